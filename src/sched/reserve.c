#include "sched/groups.h"
#include "api/value.h"
#include "sched/fit.h"
#include "sched/graph.h"
#include "sched/lenders.h"
#include "sched/retry.h"
#include "util/alloc.h"

enum { TRIED_MAX = 16 /* groups that are tried in a pass, from the front */ };

bool tbi_group_is_refused(const struct tbi_nodes *nodes, const struct tbi_group *group, unsigned node, int64_t lent)
{
    const struct tbi_refusal *refusal = group->refusal == NULL ? NULL : &group->refusal[node];

    return refusal != NULL && refusal->freed == 1 + nodes->node[node].freed && lent <= refusal->lent;
}

void tbi_groups_stop_waiting(struct tbi_group *group)
{
    tbi_list_unlink(&group->waiting);
    tbi_list_unlink(&group->wanting);
}

void tbi_groups_unkeep(struct tbi_sched *sched, struct tbi_group *group)
{
    while (group->nkept > 0)
        tbi_sched_keep_node(sched, group->kept[--group->nkept], NULL);
}

/* `lenders` NULL: there are none. */
static unsigned count_lenders(const struct tbi_lenders *lenders, unsigned node)
{
    unsigned n = 0;

    for (size_t k = 0; lenders != NULL && k < lenders->n; k++)
        n += lenders->task[k]->place == node;
    return n;
}

static void send_reserve(struct tbi_sched *sched, struct tbi_group *group, unsigned b, unsigned node,
                         const struct tbi_lenders *lenders)
{
    struct tbi_group_bundle *bundle = &group->bundle[b];
    unsigned cpus = bundle->nparts > 0 && bundle->part[0].resource == TBI_CPUS, n = count_lenders(lenders, node);
    size_t more = (bundle->nparts - cpus) * sizeof *bundle->part;
    struct msg_reserve *m = sched->port.send(sched->port.ctx, node, TBI_MSG_RESERVE, TBI_PROC_NONE,
                                             sizeof *m + more + n * sizeof(struct tbi_id));
    struct tbi_id *lender = (struct tbi_id *)((uint8_t *)(m + 1) + more);

    *m = (struct msg_reserve){.bundle = tbi_group_bundle_id(group, b),
                              .demand = {cpus ? (int32_t)bundle->part[0].amount : 0, bundle->nparts - cpus},
                              .nlenders = n};
    if (more > 0)
        memcpy(m + 1, bundle->part + cpus, more);
    for (size_t k = 0; n > 0 && k < lenders->n; k++)
        if (lenders->task[k]->place == node)
            *lender++ = lenders->task[k]->id;
    bundle->node = node;
    bundle->lent = lenders != NULL ? lenders->cpus[node] : 0;
    bundle->state = TBI_BUNDLE_ASKED;
    bundle->gpus = tbi_ledger_hold(&sched->nodes, node, bundle->part, bundle->nparts);
    group->asked++;
    group->taken++;
}

static void send_unreserve(struct tbi_sched *sched, struct tbi_group *group, unsigned b)
{
    struct msg_object *m = sched->port.send(sched->port.ctx, group->bundle[b].node,
                                            TBI_MSG_UNRESERVE, TBI_PROC_NONE, sizeof *m);

    m->id = tbi_group_bundle_id(group, b);
    group->bundle[b].state = TBI_BUNDLE_RETURNING;
}

static void put_back(struct tbi_sched *sched, struct tbi_group *group, unsigned b)
{
    struct tbi_group_bundle *bundle = &group->bundle[b];

    tbi_ledger_unhold(&sched->nodes, bundle->node, bundle->part, bundle->nparts, bundle->gpus);
    sched->nodes.node[bundle->node].freed += group->removed;
    bundle->state = TBI_BUNDLE_IDLE;
    group->taken--;
    tbi_closing_note_returned(sched, bundle->node);
    tbi_ready_bring_back(&sched->ready);
}

/* GPUs that were free when the nodes were chosen are: holding by instance, in the same order, cannot fail. Nor can it
 * at the agents, if they see the same, for they are asked in this order. */
static bool try_on(struct tbi_sched *sched, struct tbi_group *group, const struct tbi_lenders *lenders, unsigned *node,
                   unsigned *order)
{
    group->tried = sched->nodes.changes;
    if (!tbi_fit(&sched->nodes, group, TBI_FIT_FREE, NULL, node, order) &&
        (lenders == NULL || !tbi_fit(&sched->nodes, group, TBI_FIT_FREE, lenders->cpus, node, order)))
        return false;
    sched->groups.asking = group;
    tbi_ready_note_reserved(&sched->ready, &sched->nodes, group->seq);
    for (unsigned k = 0; k < group->n; k++) {
        if (k == 0 || node[order[k]] != node[order[k - 1]])
            tbi_ready_note_bundle(&sched->ready, &sched->nodes, node[order[k]], group->seq);
        send_reserve(sched, group, order[k], node[order[k]], lenders);
    }
    return true;
}

static bool try(struct tbi_sched *sched, struct tbi_group *group, const struct tbi_lenders *lenders)
{
    unsigned *node = tbi_alloc(2 * (size_t)group->n * sizeof *node);
    bool done = try_on(sched, group, lenders, node, node + group->n);

    free(node);
    return done;
}

static bool may_try(const struct tbi_sched *sched, const struct tbi_group *group)
{
    return sched->groups.asking == NULL && group->taken == 0 && group->tried != sched->nodes.changes;
}

/* All of them, in the order in which they were wanted: any may be what others have to wait for. */
static void reserve_wanted(struct tbi_sched *sched)
{
    struct tbi_link *wanted = &sched->groups.wanted;
    struct tbi_lenders lenders;
    bool known = false;

    for (struct tbi_link *l = wanted->next; l != wanted; l = l->next) {
        struct tbi_group *group = TBI_ENTRY(l, struct tbi_group, wanting);

        if (!may_try(sched, group))
            continue;
        if (!known)
            tbi_lenders_find(sched, &lenders);
        known = true;
        try(sched, group, &lenders);
    }
    if (known)
        tbi_lenders_fini(&lenders);
}

void tbi_groups_want(struct tbi_sched *sched, struct tbi_group *group)
{
    if (!tbi_list_linked(&group->waiting) || tbi_list_linked(&group->wanting))
        return;
    tbi_list_append(&sched->groups.wanted, &group->wanting);
    group->tried = UINT64_MAX; /* not yet, with what tasks lend */
}

void tbi_groups_reserve(struct tbi_sched *sched)
{
    struct tbi_link *waiting = &sched->groups.waiting;
    struct tbi_group *first = TBI_ENTRY(waiting->next, struct tbi_group, waiting);
    unsigned tried = 0;

    reserve_wanted(sched);
    for (struct tbi_link *l = waiting->next; l != waiting && tried < TRIED_MAX && sched->groups.asking == NULL;
         l = l->next) {
        struct tbi_group *group = TBI_ENTRY(l, struct tbi_group, waiting);

        if (tbi_list_linked(&group->wanting))
            continue;
        tried++;
        first->passed += may_try(sched, group) && try(sched, group, NULL) && group != first;
        if (first->passed >= sched->ready.limit)
            return;
    }
}

void tbi_groups_note_sent(struct tbi_sched *sched, const struct tbi_maker *task)
{
    struct tbi_link *waiting = &sched->groups.waiting;
    struct tbi_group *first;

    if (tbi_list_empty(waiting) || task->wanted || task->class->group != NULL)
        return;
    first = TBI_ENTRY(waiting->next, struct tbi_group, waiting);
    first->overtaken += task->seq > first->seq;
}

void tbi_groups_begin_keeping(struct tbi_sched *sched)
{
    struct tbi_link *waiting = &sched->groups.waiting;
    struct tbi_group *first;
    unsigned *node;

    if (tbi_list_empty(waiting))
        return;
    first = TBI_ENTRY(waiting->next, struct tbi_group, waiting);
    if (first->overtaken < sched->ready.limit || first->nkept > 0 || first->taken > 0)
        return;
    first->overtaken = 0; /* or else it would be tried anew after each task */
    node = tbi_alloc(first->n * sizeof *node);
    if (tbi_fit(&sched->nodes, first, TBI_FIT_SOON, NULL, node, NULL)) {
        free(first->kept);
        first->kept = node;
        for (unsigned b = 0; b < first->n; b++)
            if (sched->nodes.node[node[b]].kept_for == NULL) {
                tbi_sched_keep_node(sched, node[b], first);
                first->kept[first->nkept++] = node[b];
            }
    } else {
        free(node);
    }
}

/* As tb_put_array would. */
static void set_ranks(const struct tbi_group *group, struct tbi_object *object)
{
    int32_t *rank = tbi_alloc(group->n * sizeof *rank);
    tb_value value = {.type = TB_INT32, .flags = TB_VALUE_ARRAY, .count = group->n,
                      .elem = sizeof *rank, .ptr = rank};
    size_t bytes = tbi_value_packed_size(&value);
    void *packed = tbi_alloc_zeroed(1, tbi_padded(bytes));

    for (unsigned b = 0; b < group->n; b++)
        rank[b] = (int32_t)group->bundle[b].node;
    tbi_value_pack(&value, packed);
    tbi_sched_set_inline(object, packed, bytes);
    free(rank);
    free(packed);
}

static void become_ready(struct tbi_sched *sched, struct tbi_group *group)
{
    struct tbi_maker *maker = tbi_directory_maker(&sched->dir, group->id);
    unsigned *host = tbi_alloc(group->n * sizeof *host);

    for (unsigned b = 0; b < group->n; b++)
        host[b] = sched->nodes.node[group->bundle[b].node].host;
    tbi_ledger_set_hosts(&group->nodes, host);
    free(host);
    sched->groups.asking = NULL;
    tbi_groups_stop_waiting(group);
    tbi_groups_unkeep(sched, group);
    set_ranks(group, &maker->object[0]);
    tbi_sched_conclude(sched, maker);
}

void tbi_groups_give_back(struct tbi_sched *sched, struct tbi_group *group)
{
    for (unsigned b = 0; b < group->n; b++)
        if (group->bundle[b].state == TBI_BUNDLE_HELD)
            send_unreserve(sched, group, b);
}

const char *tbi_groups_on_lent(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_lent *m = (const struct msg_lent *)(record + 1);
    struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->task);

    if (task == NULL || task->state != TBI_BLOCKED || !tbi_retry_runs(task, rank, m->attempt) ||
        task->lent == (m->lent != 0) || task->class->nodes != &sched->nodes || task->class->nparts == 0 ||
        task->class->part[0].resource != TBI_CPUS)
        return "LENT of a task that is not blocked there, or has no CPUs of the node's";
    tbi_ledger_lend(task, m->lent != 0);
    return NULL;
}

/* Refused, and all is given back: it is tried again, elsewhere or when something has changed there. */
static void note_refusal(struct tbi_sched *sched, struct tbi_group *group)
{
    if (group->taken > 0 || !group->refused || group->removed)
        return;
    group->refused = false;
    sched->groups.asking = NULL;
}

static struct tbi_group_bundle *bundle_on(const struct tbi_sched *sched, unsigned rank,
                                          struct tbi_id id, enum tbi_bundle_state state,
                                          struct tbi_group **group)
{
    unsigned index = tbi_id_index(id);

    *group = tbi_groups_find(&sched->groups, id);
    if (*group == NULL || index == 0 || index > (*group)->n ||
        (*group)->bundle[index - 1].state != state || (*group)->bundle[index - 1].node != rank)
        return NULL;
    return &(*group)->bundle[index - 1];
}

const char *tbi_groups_on_reserved(struct tbi_sched *sched, unsigned rank,
                                   const struct tbi_record *record)
{
    const struct msg_reserved *m = (const struct msg_reserved *)(record + 1);
    struct tbi_group *group;
    struct tbi_group_bundle *bundle = bundle_on(sched, rank, m->bundle, TBI_BUNDLE_ASKED, &group);

    if (bundle == NULL)
        return "RESERVED of a bundle that nobody asked for";
    if (m->granted && !tbi_ledger_rehold(&sched->nodes, rank, bundle->part, bundle->nparts, &bundle->gpus, m->gpus))
        return "RESERVED on GPUs that the bundle cannot have";
    group->asked--;
    if (m->granted) {
        bundle->state = TBI_BUNDLE_HELD;
    } else {
        put_back(sched, group, (unsigned)(bundle - group->bundle));
        group->refused = true;
        if (group->refusal == NULL)
            group->refusal = tbi_alloc_zeroed(sched->nodes.n, sizeof *group->refusal);
        /* What ends there from now on counts, though other bundles are still on their way back. */
        group->refusal[rank] = (struct tbi_refusal){1 + sched->nodes.node[rank].freed, bundle->lent};
    }
    if (group->asked > 0)
        return NULL;
    if (group->removed)
        sched->groups.asking = NULL;
    if (group->removed || group->refused)
        tbi_groups_give_back(sched, group);
    else
        become_ready(sched, group);
    note_refusal(sched, group);
    tbi_groups_reap(sched, group);
    return NULL;
}

const char *tbi_groups_on_unreserved(struct tbi_sched *sched, unsigned rank,
                                     const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_group *group;
    struct tbi_group_bundle *bundle = bundle_on(sched, rank, m->id, TBI_BUNDLE_RETURNING, &group);

    if (bundle == NULL)
        return "UNRESERVED of a bundle that was not to be given back";
    put_back(sched, group, (unsigned)(bundle - group->bundle));
    note_refusal(sched, group);
    tbi_groups_reap(sched, group);
    return NULL;
}
