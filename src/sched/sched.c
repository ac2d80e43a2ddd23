/* sched.c - the head's message handlers. They decode, check and change the directory; dispatch.c alone
 * sends tasks to nodes, finished.c has their ends, and retry.c what follows from failures and cancelling. */
#include "sched/sched.h"
#include "sched/failure.h"
#include "sched/graph.h"
#include "sched/retry.h"
#include "sched/takeback.h"
#include "thornback.h"
#include "util/alloc.h"

struct tbi_sched *tbi_sched_create(const struct tbi_sched_config *config, struct tbi_port port)
{
    struct tbi_sched *sched = tbi_alloc_zeroed(1, sizeof *sched);
    unsigned *host = tbi_copy(config->host, config->nranks * sizeof *host);
    size_t names = config->resources != NULL ? config->nresources : 0;

    sched->config = *config;
    sched->config.host = host;
    sched->config.totals = NULL;
    sched->config.resources = tbi_copy(config->resources, names * sizeof *config->resources);
    sched->port = port;
    tbi_list_init(&sched->gainers);
    tbi_ledger_init(&sched->nodes, config->nranks, config->nresources, config->totals, host,
                    &sched->gainers);
    tbi_groups_init(&sched->groups);
    tbi_actors_init(sched);
    sched->nodes.ahead = config->ahead;
    sched->nodes.random = config->seed * UINT64_C(0x9e3779b97f4a7c15);
    tbi_demands_init(&sched->demands);
    tbi_submitters_init(&sched->submitters);
    tbi_idle_init(&sched->idle);
    sched->run = tbi_alloc_zeroed(config->nfunctions, sizeof *sched->run);
    sched->dir.unread = config->unread;
    sched->dir.unread_ctx = config->unread_ctx;
    tbi_ready_init(&sched->ready, config->overtakes > 0 ? config->overtakes : 1);
    tbi_list_init(&sched->failing);
    tbi_list_init(&sched->delayed);
    tbi_list_init(&sched->hungry);
    tbi_tournament_init(&sched->loaded, config->nranks);
    return sched;
}

void tbi_sched_destroy(struct tbi_sched *sched)
{
    if (sched == NULL)
        return;
    tbi_actors_fini(sched);
    tbi_directory_fini(&sched->dir);
    tbi_clients_fini(sched);
    tbi_demands_fini(&sched->demands);
    tbi_groups_fini(&sched->groups);
    tbi_submitters_fini(&sched->submitters);
    tbi_idle_fini(&sched->idle);
    tbi_ready_fini(&sched->ready);
    tbi_ledger_fini(&sched->nodes);
    tbi_tournament_fini(&sched->loaded);
    free(sched->scratch);
    free(sched->refs);
    free(sched->run);
    free((void *)sched->config.resources);
    free((unsigned *)sched->config.host);
    free(sched);
}

/* NULL also for one that is still being made, but that nobody holds any more: a ref to it is as good
 * as freed. */
static struct tbi_object *held_object(const struct tbi_sched *sched, struct tbi_id id,
                                      struct tbi_maker **maker)
{
    struct tbi_object *object = tbi_directory_object(&sched->dir, id, maker);

    return object == NULL || object->holders == 0 ? NULL : object;
}

/* NULL, or the failure of a task that can never be placed. */
static struct tbi_payload *check_demand(const struct tbi_sched *sched, const struct tbi_maker *task,
                                        struct tbi_group *group)
{
    const struct msg_submit *m = task->submit;

    if (m->strategy == TBI_IN_GROUP && (group == NULL || group->removed))
        return tbi_failure_of_group(sched, m);
    if (group != NULL && tbi_group_failure(sched, group) != NULL)
        return tbi_payload_use(tbi_group_failure(sched, group));
    if (!task->class->feasible ||
        ((m->strategy == TBI_ON_NODE || m->strategy == TBI_PREFER_NODE) &&
         m->node >= sched->nodes.n) ||
        (group != NULL && task->class->node != TBI_ANY_NODE && task->class->node >= group->n))
        return tbi_failure_of_demand(sched, task);
    return NULL;
}

/* NULL, or why nobody sends this. */
static const char *check_submit(const struct tbi_sched *sched, const struct msg_submit *m)
{
    const struct msg_call *call = tbi_submit_call(m);
    const struct msg_actor *actor = tbi_submit_actor(m);
    const char *name = (const char *)(actor + 1);

    if (m->local && (m->nrefs > 0 || m->nmore > 0 || m->strategy != TBI_DEFAULT || m->kind != TBI_TASK))
        return "SUBMIT of a local task that is not for an agent to keep";
    if (tbi_id_index(m->task) != 0 || m->strategy > TBI_IN_GROUP ||
        tbi_demand_check(m->cpus, tbi_submit_more(m), m->nmore, sched->nodes.nresources) != NULL)
        return "SUBMIT with a demand that cannot be, or an id that is no task's";
    if (call != NULL && (m->cpus != 0 || m->nmore > 0 || m->strategy != TBI_DEFAULT || m->nrefs == m->nresolve ||
                         !tbi_id_equal(tbi_submit_refs(m)[m->nrefs - 1], call->actor) || call->seq == 0 ||
                         call->lane >= TBI_LANES_MAX))
        return "SUBMIT of a call that has a demand, no number, or does not hold its actor";
    if (actor != NULL && actor->name_bytes > 0 &&
        (name[actor->name_bytes - 1] != 0 || strlen(name) + 1 >= actor->name_bytes))
        return "SUBMIT of an actor whose name has no end";
    if (m->kind == TBI_ACTOR && (m->nreturns != 1 || m->nargs == UINT16_MAX || m->nresolve == UINT16_MAX))
        return "SUBMIT of an actor with another number of objects than one, or too many arguments";
    return NULL;
}

static bool is_direct(const struct msg_submit *m)
{
    return m->kind == TBI_CALL && tbi_submit_call(m)->flags & TBI_CALL_DIRECT;
}

/* Of the others: NULL, or what it fails with at once. */
static struct tbi_payload *begin_by_kind(struct tbi_sched *sched, struct tbi_maker *task,
                                         struct tbi_group *group)
{
    struct tbi_payload *failure = NULL;

    if (task->submit->kind == TBI_CALL)
        return tbi_actors_call(sched, task);
    if (task->submit->kind == TBI_ACTOR)
        failure = tbi_actors_create(sched, task);
    return failure != NULL ? failure : check_demand(sched, task, group);
}

/* ---- from processes ---- */

/* Looks up what the task refers to, once: held by the task, they stay where they are. NULL, or its failure, and
 * nothing is held. */
static struct tbi_payload *hold_refs(struct tbi_sched *sched, struct tbi_maker *task)
{
    const struct tbi_id *refs = tbi_submit_refs(task->submit);
    unsigned n = task->submit->nrefs;

    if (n > sched->nrefs) {
        sched->nrefs = n * 2;
        sched->refs = tbi_realloc(sched->refs, sched->nrefs * sizeof(struct tbi_object *));
    }
    for (unsigned i = 0; i < n; i++) {
        struct tbi_maker *maker;

        sched->refs[i] = held_object(sched, refs[i], &maker);
        if (sched->refs[i] != NULL && maker != task) {
            sched->refs[i]->holders++;
            continue;
        }
        for (unsigned k = 0; k < i; k++)
            sched->refs[k]->holders--;
        return tbi_failure_no_such_ref(refs[i]);
    }
    return NULL;
}

static const char *on_submit(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_submit *m = (const struct msg_submit *)(record + 1);
    struct tbi_payload *failure;
    struct tbi_group *group = NULL;
    const char *why = check_submit(sched, m);
    struct tbi_maker *task;

    if (why != NULL)
        return why;
    if (m->kind == TBI_ACTOR && tbi_directory_maker(&sched->dir, m->task) == NULL &&
        tbi_actors_get(sched, rank, record->proc, m))
        return NULL;
    task = tbi_directory_add(&sched->dir, m->task, m->nreturns);
    if (task == NULL)
        return "SUBMIT with an id that is taken";
    if (m->kind == TBI_ACTOR)
        tbi_actors_answer(sched, rank, record->proc, m);
    if (m->kind == TBI_CALL)
        tbi_actors_meet_caller(sched, m);
    task->submit = tbi_copy(m, record->len - sizeof *record);
    task->depth = m->depth;
    task->state = TBI_WAITING;
    if (m->strategy == TBI_IN_GROUP)
        group = tbi_groups_find(&sched->groups, *tbi_submit_group(m));
    if (group != NULL)
        task->class = tbi_group_class(sched, group, m);
    else if (m->kind != TBI_CALL)
        task->class = tbi_demands_use(&sched->demands, &sched->nodes, NULL,
                                      m->strategy == TBI_ON_NODE ? m->node : TBI_ANY_NODE, m);
    tbi_idle_count(sched, m->kind, false);
    if (!m->local)
        tbi_submitters_charge(sched, task);
    if (is_direct(m))
        tbi_actors_take_children(sched, task);
    failure = hold_refs(sched, task);
    if (failure != NULL) {
        task->submit->nrefs = task->submit->nresolve = 0; /* it holds nothing to give back */
        failure->unread = true;
        tbi_sched_fail(sched, task, failure);
        return NULL;
    }
    if (m->local) {
        tbi_sched_learn(sched, task, rank);
        tbi_retry_adopt(sched, task);
        return NULL;
    }
    if (!is_direct(m) && !tbi_retry_adopt(sched, task))
        return NULL;
    failure = begin_by_kind(sched, task, group);
    if (failure != NULL) {
        tbi_sched_fail(sched, task, failure);
        return NULL;
    }
    if (group != NULL && tbi_group_is_pending(sched, group)) {
        tbi_object_add_waiter(tbi_directory_object(&sched->dir, group->id, NULL),
                              (struct tbi_waiter){.task = task->id});
        task->unmet++;
    }
    for (unsigned i = 0; i < m->nresolve; i++) {
        struct tbi_object *object = sched->refs[i];

        if (object->state == TBI_FAILED) {
            tbi_sched_fail(sched, task, tbi_payload_use(object->payload));
            return NULL;
        }
        if (object->state == TBI_PENDING) {
            tbi_object_add_waiter(object, (struct tbi_waiter){.task = task->id});
            task->unmet++;
        }
    }
    if (task->unmet == 0)
        tbi_sched_queue(sched, task);
    task = is_direct(m) ? tbi_directory_maker(&sched->dir, m->task) : NULL;
    if (task != NULL && task->submit != NULL)
        tbi_retry_adopt(sched, task); /* only now that it is known where it is can it be stopped */
    return NULL;
}

void tbi_sched_set_inline(struct tbi_object *object, const void *value, uint64_t bytes)
{
    object->state = TBI_READY;
    object->bytes = bytes;
    object->payload = tbi_payload_new(value, (uint32_t)bytes);
}

void tbi_sched_set_in_store(struct tbi_object *object, unsigned rank, uint64_t bytes)
{
    object->state = TBI_READY;
    object->bytes = bytes;
    object->in_store = true;
    object->rank = rank;
}

static const char *on_put(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_put *m = (const struct msg_put *)(record + 1);
    const struct tbi_id *ids = (const struct tbi_id *)(m + 1);
    struct tbi_maker *maker = tbi_directory_add(&sched->dir, m->id, 1);

    (void)rank;
    if (maker == NULL)
        return "PUT with an id that is taken";
    tbi_sched_contain(sched, &maker->object[0], ids, m->nrefs);
    tbi_sched_set_inline(&maker->object[0], ids + m->nrefs, m->bytes);
    maker->state = TBI_ENDED;
    return NULL;
}

static const char *on_announce(struct tbi_sched *sched, unsigned rank,
                               const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_maker *maker = tbi_directory_add(&sched->dir, m->id, 1);

    if (maker == NULL)
        return "ANNOUNCE with an id that is taken";
    maker->state = TBI_OPEN;
    maker->node = rank;
    return NULL;
}

static const char *on_hold(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_object *object = held_object(sched, m->id, NULL);

    (void)rank;
    if (object != NULL) /* else it was freed before: its user will be told on the next get */
        object->holders++;
    return NULL;
}

static const char *on_release(struct tbi_sched *sched, unsigned rank,
                              const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);

    (void)rank;
    tbi_directory_release(&sched->dir, m->id, tbi_sched_send_free, sched);
    return NULL;
}

static const char *on_cancel(struct tbi_sched *sched, unsigned rank,
                             const struct tbi_record *record)
{
    const struct msg_cancel *m = (const struct msg_cancel *)(record + 1);
    struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->id);

    (void)rank;
    if (task != NULL && task->submit != NULL) /* else it is over, or was none */
        tbi_retry_cancel(sched, task, m->flags,
                         tbi_failure_cancelled(sched, task->submit, "cancelled by tb_cancel"));
    return NULL;
}

static const char *on_seen(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_object *object = tbi_directory_object(&sched->dir, m->id, NULL);

    (void)rank;
    if (object != NULL && object->state == TBI_FAILED)
        tbi_payload_seen(object->payload);
    return NULL;
}

static const char *on_inquire(struct tbi_sched *sched, unsigned rank,
                              const struct tbi_record *record)
{
    const struct msg_inquire *m = (const struct msg_inquire *)(record + 1);
    struct msg_inquire *answer;

    if (m->rank >= sched->nodes.n || m->resource >= sched->nodes.nresources)
        return "INQUIRE about a rank or a resource that there is not";
    answer = sched->port.send(sched->port.ctx, rank, TBI_MSG_INFORM, record->proc, sizeof *answer);
    *answer = *m;
    answer->amount = tbi_sched_available(sched, m->rank, m->resource);
    return NULL;
}

/* Children first, then the answer: the agent gives the task's CPUs away only when it has what the
 * task waits for, so that it does not start older, shallower work in between. */
static const char *on_block(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_task *m = (const struct msg_task *)(record + 1);
    struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->task);
    struct msg_task *answer;

    if (task == NULL || task->state != TBI_DISPATCHED || !tbi_retry_runs(task, rank, m->attempt))
        return "BLOCK of a task that does not run there";
    task->state = TBI_BLOCKED;
    tbi_clients_note_task(sched, rank, record->proc, m->task);
    tbi_ledger_block(task);
    tbi_sched_send_tasks(sched); /* a group that may have its CPUs is for the next pass: it has them still */
    answer = sched->port.send(sched->port.ctx, rank, TBI_MSG_BLOCKED, record->proc, sizeof *answer);
    *answer = *m;
    return NULL;
}

/* ---- from agents ---- */

static const char *on_unblocked(struct tbi_sched *sched, unsigned rank,
                                const struct tbi_record *record)
{
    const struct msg_task *m = (const struct msg_task *)(record + 1);
    struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->task);

    if (task == NULL || task->state != TBI_BLOCKED || !tbi_retry_runs(task, rank, m->attempt))
        return "UNBLOCKED of a task that is not blocked there";
    task->state = TBI_DISPATCHED;
    tbi_ledger_unblock(task);
    return NULL;
}

static const char *on_overdue(struct tbi_sched *sched, unsigned rank,
                              const struct tbi_record *record)
{
    const struct msg_task *m = (const struct msg_task *)(record + 1);
    struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->task);

    if (task != NULL && tbi_retry_runs(task, rank, m->attempt) && !task->aborted)
        tbi_retry_overdue(sched, task);
    return NULL;
}

static const char *on_resolve(struct tbi_sched *sched, unsigned rank,
                              const struct tbi_record *record)
{
    const struct msg_get *m = (const struct msg_get *)(record + 1);
    struct tbi_maker *maker;
    struct tbi_object *object = held_object(sched, m->id, &maker);

    if (object == NULL) {
        struct tbi_payload *error = tbi_failure_no_such_ref(m->id);

        tbi_sched_tell_error(sched, rank, record->proc, m->id, error->data, error->bytes);
        tbi_payload_drop(&sched->dir, error);
    } else if (object->state != TBI_PENDING) {
        tbi_sched_tell(sched, rank, record->proc, m->id, object, m->flags);
    } else if (m->flags & TBI_GET_POLL) {
        struct msg_located *answer = sched->port.send(sched->port.ctx, rank, TBI_MSG_RESOLVED,
                                                      record->proc, sizeof *answer);

        *answer = (struct msg_located){.id = m->id, .where = TBI_AT_PENDING};
    } else {
        struct tbi_client *client = tbi_clients_of(sched, rank, record->proc);

        tbi_object_add_asker(object, (struct tbi_waiter){.rank = rank, .proc = record->proc, .flags = m->flags},
                             client != NULL ? &client->questions : NULL, sched->now_us);
        if (m->flags & TBI_GET_WANTED)
            tbi_sched_want(sched, maker);
    }
    return NULL;
}

static const char *on_sealed(struct tbi_sched *sched, unsigned rank,
                             const struct tbi_record *record)
{
    const struct msg_seal *m = (const struct msg_seal *)(record + 1);
    struct tbi_maker *maker = tbi_directory_maker(&sched->dir, m->id);

    if (maker == NULL)
        maker = tbi_directory_add(&sched->dir, m->id, 1);
    else if (maker->state != TBI_OPEN || maker->node != rank)
        return "SEALED of an object that is not open there";
    tbi_sched_contain(sched, &maker->object[0], (const struct tbi_id *)(m + 1), m->nrefs);
    tbi_sched_set_in_store(&maker->object[0], rank, m->bytes);
    tbi_sched_conclude(sched, maker);
    return NULL;
}

static const char *on_replica(struct tbi_sched *sched, unsigned rank,
                              const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_object *object = tbi_directory_object(&sched->dir, m->id, NULL);

    if (object != NULL && object->state == TBI_READY && object->in_store)
        tbi_object_add_replica(object, rank);
    else
        tbi_sched_send_free(sched, rank, m->id); /* freed while it was being copied */
    return NULL;
}

/* The agent's room was wanted for others. */
static const char *on_evicted(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_object *object = tbi_directory_object(&sched->dir, m->id, NULL);

    if (object != NULL)
        tbi_object_remove_replica(object, rank);
    return NULL;
}

static const char *on_taken(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    return tbi_takeback_answer(sched, rank, (const struct msg_taken *)(record + 1));
}

static const char *on_finished(struct tbi_sched *sched, unsigned rank,
                               const struct tbi_record *record)
{
    return tbi_sched_on_finished(sched, rank, record, false);
}

const char *tbi_sched_handle(struct tbi_sched *sched, unsigned rank,
                             const struct tbi_record *record, uint64_t now_us)
{
    static const char *(*const handler[TBI_MSG_COUNT])(struct tbi_sched *, unsigned,
                                                       const struct tbi_record *) = {
        [TBI_MSG_SUBMIT] = on_submit,       [TBI_MSG_PUT] = on_put,
        [TBI_MSG_ANNOUNCE] = on_announce,   [TBI_MSG_HOLD] = on_hold,
        [TBI_MSG_RELEASE] = on_release,     [TBI_MSG_BLOCK] = on_block,
        [TBI_MSG_UNBLOCKED] = on_unblocked, [TBI_MSG_RESOLVE] = on_resolve,
        [TBI_MSG_SEALED] = on_sealed,       [TBI_MSG_REPLICA] = on_replica,
        [TBI_MSG_FINISHED] = on_finished,   [TBI_MSG_CANCEL] = on_cancel,
        [TBI_MSG_INQUIRE] = on_inquire,     [TBI_MSG_CREDIT] = tbi_submitters_on_credit,
        [TBI_MSG_EVICTED] = on_evicted,     [TBI_MSG_FORGET] = tbi_clients_on_forget,
        [TBI_MSG_GONE] = tbi_clients_on_gone,
        [TBI_MSG_AWAIT_IDLE] = tbi_idle_on_await,
        [TBI_MSG_SEEN] = on_seen,           [TBI_MSG_OVERDUE] = on_overdue,
        [TBI_MSG_TAKEN] = on_taken,         [TBI_MSG_GROUP] = tbi_groups_on_group,
        [TBI_MSG_UNGROUP] = tbi_groups_on_ungroup,
        [TBI_MSG_RESERVED] = tbi_groups_on_reserved, [TBI_MSG_LENT] = tbi_groups_on_lent,
        [TBI_MSG_UNRESERVED] = tbi_groups_on_unreserved,
        [TBI_MSG_STOPPED] = tbi_actors_on_stopped,
        [TBI_MSG_INSTANCES] = tbi_actors_on_instances, [TBI_MSG_LIVES] = tbi_actors_on_lives, [TBI_MSG_KILL] = tbi_actors_on_kill,
        [TBI_MSG_FIND] = tbi_actors_on_find,
        [TBI_MSG_CHECKPOINT] = tbi_actors_on_checkpoint,
    };

    const char *why;

    if (rank >= sched->nodes.n || handler[record->type] == NULL)
        return "a message that is not for the scheduler";
    sched->now_us = now_us;
    why = handler[record->type](sched, rank, record);
    tbi_sched_carry_failures(sched); /* of tasks whose group, or actor, is gone */
    tbi_actors_retire(sched);
    tbi_submitters_moved(sched);
    return why;
}

struct tbi_sched_counts tbi_sched_counts(const struct tbi_sched *sched)
{
    const struct tbi_actors *actors = &sched->actors;
    struct tbi_sched_counts c = {
        .tasks = sched->tasks, .queued = sched->ready.count, .retries = sched->retries,
        .objects = sched->dir.objects, .makers = sched->dir.makers.count, .classes = sched->demands.count,
        .asking = sched->submitters.nasking,
        .announced = actors->early.count + actors->parents.count + actors->stopping.count};

    for (unsigned n = 0; n < sched->nodes.n; n++)
        c.load += tbi_ledger_load(&sched->nodes, n)[TBI_CPUS];
    for (struct tbi_link *l = sched->groups.all.next; l != &sched->groups.all; l = l->next) {
        bool own = !TBI_ENTRY(l, struct tbi_group, all)->removed; /* it holds one object itself */

        c.objects -= own;
        c.makers -= own;
    }
    return c;
}

int64_t tbi_sched_available(const struct tbi_sched *sched, unsigned rank, unsigned resource)
{
    int64_t left = tbi_ledger_total(&sched->nodes, rank)[resource] -
                   tbi_ledger_load(&sched->nodes, rank)[resource];

    return left > 0 ? left : 0;
}
