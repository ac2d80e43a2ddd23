/* dispatch.c - the scheduling pass: the best ready tasks go to the nodes where they fit. */
#include "sched/failure.h"
#include "sched/graph.h"
#include "sched/takeback.h"
#include "util/alloc.h"

#include <string.h>

/* The arguments of the task that is being placed. */
struct arguments {
    const struct tbi_object **object;   /* [nresolve] */
    struct tbi_near near[TBI_NEAR_MAX];
    unsigned nnear;
};

/* Counts an object's bytes on the host of `rank`, once a host. */
static void add_near(const struct tbi_sched *sched, struct arguments *args,
                     const struct tbi_object **last, const struct tbi_object *object, unsigned rank)
{
    unsigned host = sched->nodes.node[rank].host, k = 0;

    while (k < args->nnear && args->near[k].host != host)
        k++;
    if (k == TBI_NEAR_MAX)
        return;
    if (k == args->nnear) {
        args->near[args->nnear++] = (struct tbi_near){host, 0};
        last[k] = NULL;
    }
    if (last[k] != object)
        args->near[k].bytes += object->bytes;
    last[k] = object;
}

/* Looks the arguments up; for large ones, on which hosts they are. */
static void find_arguments(struct tbi_sched *sched, const struct tbi_maker *task,
                           struct arguments *args)
{
    const struct tbi_id *refs = tbi_submit_refs(task->submit);
    const struct tbi_object *last[TBI_NEAR_MAX];
    unsigned n = task->submit->nresolve;
    uint64_t stored = 0;

    args->nnear = 0;
    args->object = NULL;
    if (n == 0)
        return;
    if (n > sched->nscratch) {
        sched->nscratch = n * 2;
        sched->scratch = tbi_realloc(sched->scratch, n * 2 * sizeof *sched->scratch);
    }
    args->object = sched->scratch;
    for (unsigned i = 0; i < n; i++) {
        args->object[i] = tbi_directory_object(&sched->dir, refs[i], NULL);
        stored += args->object[i]->in_store ? args->object[i]->bytes : 0;
    }
    for (unsigned i = 0; stored >= TBI_LARGE_BYTES && i < n; i++) {
        const struct tbi_object *object = args->object[i];
        uint32_t copies = object->replicas == NULL ? 0 : object->replicas->n;

        if (!object->in_store)
            continue;
        add_near(sched, args, last, object, object->rank);
        for (uint32_t k = 0; k < copies && k < 4 * TBI_NEAR_MAX; k++)
            add_near(sched, args, last, object, object->replicas->rank[k]);
    }
}

static void learn(struct tbi_sched *sched, struct tbi_maker *task, unsigned rank, unsigned place)
{
    task->node = rank;
    task->place = place;
    task->state = TBI_DISPATCHED;
    task->cost_us = tbi_sched_run_us(sched, task->submit->fn);
    tbi_submitters_discharge(sched, task, task->submit);
    tbi_ledger_take(task);
}

/* An argument's place; a small one's value goes to `to`. Returns where the next one goes. */
static uint8_t *write_argument(const struct tbi_sched *sched, struct msg_located *at, uint8_t *to,
                               struct tbi_id id, const struct tbi_object *object, unsigned node)
{
    *at = (struct msg_located){.id = id, .where = TBI_AT_STORE, .bytes = object->bytes};
    if (object->in_store) {
        at->rank = tbi_sched_source(sched, object, node);
        return to;
    }
    at->where = TBI_AT_INLINE;
    memset(to + tbi_padded(object->bytes) - 8, 0, object->bytes > 0 ? 8 : 0);
    memcpy(to, object->payload->data, object->bytes);
    return to + tbi_padded(object->bytes);
}

static size_t inline_bytes(const struct tbi_object *object)
{
    return object->in_store ? 0 : tbi_padded(object->bytes);
}

/* What goes behind the description by the task's kind. Returns its bytes; `to` NULL: only that. */
static size_t write_kind(const struct tbi_maker *task, uint32_t epoch, bool restores, void *to)
{
    const struct msg_submit *submit = task->submit;

    if (submit->kind == TBI_ACTOR && to != NULL) {
        struct msg_actor *actor = to;

        *actor = *tbi_submit_actor(submit);
        actor->name_bytes = 0;
        actor->flags |= restores ? TBI_ACTOR_RESTORES : 0;
    } else if (submit->kind == TBI_CALL && to != NULL) {
        *(struct msg_call *)to = *tbi_submit_call(submit);
        ((struct msg_call *)to)->epoch = epoch;
    }
    return submit->kind == TBI_ACTOR  ? sizeof(struct msg_actor)
           : submit->kind == TBI_CALL ? sizeof(struct msg_call)
                                      : 0;
}

/* Returns NULL, or the error the task fails with. `bundle`: that it is in, or NULL. */
static struct tbi_payload *dispatch(struct tbi_sched *sched, struct tbi_maker *task, unsigned node,
                                    const struct tbi_id *bundle, uint32_t epoch,
                                    const struct arguments *found)
{
    const struct msg_submit *submit = task->submit;
    const struct tbi_id *refs = tbi_submit_refs(submit);
    size_t data = submit->data_bytes, words = submit->nargs * sizeof(uint64_t), size;
    uint64_t run;
    struct tbi_id checkpoint_id;
    const struct tbi_object *checkpoint = tbi_actors_checkpoint(sched, task, &checkpoint_id);
    unsigned more = checkpoint != NULL; /* the last argument */
    bool bound = submit->kind == TBI_CALL || bundle != NULL || task->class->node != TBI_ANY_NODE;
    bool stays = bound || task->takebacks >= TBI_TAKEBACKS_MAX;
    struct msg_dispatch *m;
    struct msg_located *at;
    uint8_t *to;

    for (unsigned i = 0; i < submit->nresolve; i++)
        data += inline_bytes(found->object[i]);
    data += more ? inline_bytes(checkpoint) : 0;
    size = sizeof *m + (submit->nresolve + more) * sizeof *at + words + more * sizeof(uint64_t) + data +
           submit->nmore * sizeof(struct tbi_amount) + (bundle != NULL ? sizeof *bundle : 0) +
           write_kind(task, epoch, more, NULL);
    run = tbi_run_most(submit->nargs + more, data);
    if (size > TBI_BODY_MAX || run > TBI_BODY_MAX)
        return tbi_failure_too_much_inline(sched, submit, size > run ? size : (size_t)run);
    m = sched->port.send(sched->port.ctx, node, TBI_MSG_DISPATCH, TBI_PROC_NONE, size);
    *m = (struct msg_dispatch){
        .task = task->id, .attempt = task->attempt, .fn = submit->fn, .cpus = submit->cpus,
        .data_bytes = (uint32_t)data, .nreturns = submit->nreturns,
        .nargs = (uint16_t)(submit->nargs + more), .nresolve = (uint16_t)(submit->nresolve + more),
        .nmore = submit->nmore, .depth = submit->depth,
        .flags = (uint16_t)((task->wanted ? TBI_DISPATCH_WANTED : 0) |
                            (stays ? TBI_DISPATCH_STAYS : 0) |
                            (bound ? TBI_DISPATCH_BOUND : 0) |
                            (submit->fresh ? TBI_DISPATCH_FRESH : 0) |
                            (bundle != NULL ? TBI_DISPATCH_BUNDLE : 0) |
                            (submit->kind == TBI_ACTOR ? TBI_DISPATCH_ACTOR : 0) |
                            (submit->kind == TBI_CALL ? TBI_DISPATCH_CALL : 0)),
        .limit_ms = submit->limit_ms, .seed = submit->seed};
    at = (struct msg_located *)(m + 1);
    to = (uint8_t *)(at + submit->nresolve + more);
    memcpy(to, tbi_submit_args(submit), words);
    to += words;
    if (more) {
        *(uint64_t *)to = TBI_ARG_REF | submit->nresolve;
        to += sizeof(uint64_t);
    }
    if (submit->data_bytes > 0)
        memcpy(to, tbi_submit_data(submit), submit->data_bytes);
    to += submit->data_bytes;
    for (unsigned i = 0; i < submit->nresolve; i++)
        to = write_argument(sched, &at[i], to, refs[i], found->object[i], node);
    if (more)
        to = write_argument(sched, &at[submit->nresolve], to, checkpoint_id, checkpoint, node);
    memcpy(to, tbi_submit_more(submit), submit->nmore * sizeof(struct tbi_amount));
    to += submit->nmore * sizeof(struct tbi_amount);
    if (bundle != NULL) {
        *(struct tbi_id *)to = *bundle;
        to += sizeof *bundle;
    }
    write_kind(task, epoch, more, to);
    return NULL;
}

struct tbi_payload *tbi_sched_send_call(struct tbi_sched *sched, struct tbi_maker *call,
                                        unsigned node, uint32_t epoch)
{
    struct tbi_payload *failure;
    struct arguments found;

    find_arguments(sched, call, &found);
    failure = dispatch(sched, call, node, NULL, epoch, &found);
    if (failure != NULL)
        return failure;
    call->state = TBI_DISPATCHED;
    call->node = node;
    return NULL;
}

/* A task of the class goes to a node. */
static void let_elder_through(struct tbi_sched *sched, struct tbi_class *class)
{
    struct tbi_maker *elder = tbi_ready_next_elder(&sched->ready, class);

    if (elder != NULL)
        tbi_sched_want(sched, elder);
}

void tbi_sched_learn(struct tbi_sched *sched, struct tbi_maker *task, unsigned rank)
{
    task->seq = sched->ready.next_seq++;
    tbi_ready_note_sent(&sched->ready, task, rank);
    tbi_groups_note_sent(sched, task);
    let_elder_through(sched, task->class);
    learn(sched, task, rank, rank);
}

static int find_node(struct tbi_sched *sched, const struct tbi_maker *task, struct arguments *args)
{
    const struct msg_submit *submit = task->submit;
    struct tbi_wish wish = {.strategy = (enum tbi_strategy)submit->strategy, .node = submit->node,
                            .bypass = task->wanted, .run_us = tbi_sched_run_us(sched, submit->fn)};

    find_arguments(sched, task, args);
    wish.near = args->near;
    wish.nnear = args->nnear;
    return tbi_place(task->class->nodes, task->class, &wish);
}

static void send(struct tbi_sched *sched, struct tbi_maker *task, unsigned place,
                 const struct arguments *args)
{
    const struct tbi_group *group = task->class->group;
    unsigned node = group != NULL ? tbi_group_rank(group, place) : place;
    struct tbi_payload *failure;
    struct tbi_id bundle;

    tbi_ready_note_sent(&sched->ready, task, place);
    tbi_groups_note_sent(sched, task);
    tbi_ready_remove(&sched->ready, task);
    let_elder_through(sched, task->class);
    tbi_sched_unkeep(sched, task->class); /* its turn has come, here or elsewhere */
    if (group != NULL)
        bundle = tbi_group_bundle_id(group, place);
    failure = dispatch(sched, task, node, group != NULL ? &bundle : NULL, 0, args);
    if (failure != NULL)
        tbi_sched_fail(sched, task, failure);
    else
        learn(sched, task, node, place);
}

/* An agent takes in nothing by itself meanwhile. */
void tbi_sched_keep_node(struct tbi_sched *sched, unsigned node, const void *owner)
{
    struct msg_keep *m =
        sched->port.send(sched->port.ctx, node, TBI_MSG_KEEP, TBI_PROC_NONE, sizeof *m);

    *m = (struct msg_keep){owner != NULL, 0};
    if (owner != NULL)
        tbi_ledger_keep(&sched->nodes, node, owner);
    else
        tbi_ledger_unkeep(&sched->nodes, node);
}

void tbi_sched_unkeep(struct tbi_sched *sched, struct tbi_class *class)
{
    tbi_closing_end(sched, class);
    if (class->kept == TBI_ANY_NODE)
        return;
    if (class->group != NULL)
        tbi_ledger_unkeep(class->nodes, class->kept);
    else
        tbi_sched_keep_node(sched, class->kept, NULL);
    class->kept = TBI_ANY_NODE;
}

void tbi_sched_unkeep_idle(struct tbi_sched *sched, struct tbi_class *class)
{
    if (class->count == 0)
        tbi_sched_unkeep(sched, class);
}

/* A class that was overtaken too often gets a node that takes nothing else until it is served. */
static void begin_keeping(struct tbi_sched *sched)
{
    struct tbi_link *starving = &sched->ready.starving;

    for (struct tbi_link *l = starving->next; l != starving; l = l->next) {
        struct tbi_class *class = TBI_ENTRY(l, struct tbi_class, starving);
        int node = class->kept == TBI_ANY_NODE ? tbi_place_soonest(class->nodes, class) : -1;

        if (node < 0 && class->kept == TBI_ANY_NODE)
            tbi_closing_begin(sched, class);
        if (node < 0)
            continue;
        class->kept = (unsigned)node;
        if (class->group != NULL)
            tbi_ledger_keep(class->nodes, class->kept, class);
        else
            tbi_sched_keep_node(sched, class->kept, class);
        class->nodes->node[class->kept].kept_class = class;
    }
}

/* What is stuck is tried on the nodes that have gained: through the tournaments if these nodes are
 * many and the classes few, else directly. */
static void retry_stuck(struct tbi_sched *sched, struct tbi_nodes *nodes)
{
    nodes->retried = nodes->gains;
    nodes->roomless = 0;
    tbi_ready_try(&sched->ready, &nodes->any);
    for (unsigned k = 0; k < nodes->ngained; k++) {
        struct tbi_node *node = &nodes->node[nodes->gained[k]];

        tbi_ready_try(&sched->ready, &node->own);
        if (node->kept_class != NULL && node->kept_class->stuck)
            tbi_ready_set_stuck(&sched->ready, node->kept_class, false);
    }
}

/* Returns whether any ledger had gained since. */
static bool retry_all_stuck(struct tbi_sched *sched)
{
    bool any = false;

    for (struct tbi_link *l = sched->gainers.next; l != &sched->gainers; l = l->next) {
        struct tbi_nodes *nodes = TBI_ENTRY(l, struct tbi_nodes, gainer);

        if (nodes->retried != nodes->gains) {
            retry_stuck(sched, nodes);
            any = true;
        }
    }
    return any;
}

static void send_what_fits(struct tbi_sched *sched)
{
    struct tbi_maker *task;
    struct arguments args;

    while ((task = tbi_ready_best(&sched->ready)) != NULL) {
        int node = find_node(sched, task, &args);

        if (node >= 0)
            send(sched, task, (unsigned)node, &args);
        else if (task->wanted)
            tbi_ready_set_aside(&sched->ready, task);
        else
            tbi_ready_set_stuck(&sched->ready, task->class, true);
    }
}

void tbi_sched_run(struct tbi_sched *sched)
{
    tbi_groups_reserve(sched);
    tbi_sched_send_tasks(sched);
}

void tbi_sched_send_tasks(struct tbi_sched *sched)
{
    retry_all_stuck(sched);
    do
        send_what_fits(sched);
    while (retry_all_stuck(sched)); /* a node is kept no longer */
    if (sched->nodes.ngained > 0 || !tbi_list_empty(&sched->hungry))
        tbi_takeback_ask(sched);
    while (!tbi_list_empty(&sched->gainers))
        tbi_ledger_end_pass(TBI_ENTRY(sched->gainers.next, struct tbi_nodes, gainer));
    begin_keeping(sched);
    tbi_groups_begin_keeping(sched);
    tbi_idle_tell(sched);
}
