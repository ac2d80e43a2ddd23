#include "sched/graph.h"
#include "sched/failure.h"
#include "util/alloc.h"

void tbi_sched_queue(struct tbi_sched *sched, struct tbi_maker *task)
{
    const struct tbi_group *group;

    if (task->is_call) {
        tbi_actors_queue(sched, task);
        return;
    }
    if (task->is_actor && !tbi_actors_begin(sched, task))
        return;
    group = task->class->group;
    if (group != NULL && tbi_group_is_removed(group)) {
        task->state = TBI_WAITING;
        task->failure = tbi_failure_of_group(sched, task->submit);
        tbi_list_append(&sched->failing, &task->link);
        return;
    }
    task->state = TBI_QUEUED;
    tbi_ready_add(&sched->ready, task);
}

uint32_t tbi_sched_run_us(const struct tbi_sched *sched, uint32_t fn)
{
    uint64_t us = fn < sched->config.nfunctions ? sched->run[fn] / 16 : 0;

    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void tbi_sched_ran(struct tbi_sched *sched, uint32_t fn, uint32_t us)
{
    uint64_t now = (uint64_t)us * 16;

    if (us == 0 || fn >= sched->config.nfunctions)
        return;
    if (sched->run[fn] == 0)
        sched->run[fn] = now;
    sched->run[fn] = sched->run[fn] - sched->run[fn] / 8 + now / 8;
}

void tbi_sched_send_free(void *ctx, unsigned rank, struct tbi_id id)
{
    struct tbi_sched *sched = ctx;
    struct msg_object *m =
        sched->port.send(sched->port.ctx, rank, TBI_MSG_FREE, TBI_PROC_NONE, sizeof *m);

    m->id = id;
}

unsigned tbi_sched_source(const struct tbi_sched *sched, const struct tbi_object *object,
                          unsigned rank)
{
    unsigned host = sched->config.host[rank], best = object->rank;

    for (uint32_t k = 0; object->replicas != NULL && k < object->replicas->n; k++) {
        unsigned r = object->replicas->rank[k];

        if (best != rank && (r == rank || (sched->config.host[best] != host &&
                                           sched->config.host[r] == host)))
            best = r;
    }
    return best;
}

void tbi_sched_tell_error(struct tbi_sched *sched, unsigned rank, uint32_t proc, struct tbi_id id,
                          const void *error, uint32_t bytes)
{
    struct msg_located *m = sched->port.send(sched->port.ctx, rank, TBI_MSG_RESOLVED, proc,
                                             sizeof *m + tbi_padded(bytes));

    *m = (struct msg_located){.id = id, .where = TBI_AT_ERROR, .bytes = bytes};
    memcpy(m + 1, error, bytes);
}

void tbi_sched_tell(struct tbi_sched *sched, unsigned rank, uint32_t proc, struct tbi_id id,
                    const struct tbi_object *object, uint32_t flags)
{
    struct msg_located *m;
    uint32_t bytes = 0;

    if (object->state == TBI_FAILED) {
        tbi_sched_tell_error(sched, rank, proc, id, object->payload->data, object->payload->bytes);
        return;
    }
    if (!object->in_store)
        bytes = object->payload->bytes;
    m = sched->port.send(sched->port.ctx, rank, TBI_MSG_RESOLVED, proc,
                         sizeof *m + tbi_padded(bytes));
    *m = (struct msg_located){.id = id, .where = TBI_AT_INLINE, .bytes = object->bytes};
    if (!object->in_store) {
        memcpy(m + 1, object->payload->data, bytes);
    } else if (flags & TBI_GET_EXISTS) {
        m->where = TBI_AT_EXISTS;
    } else {
        m->where = TBI_AT_STORE;
        m->rank = tbi_sched_source(sched, object, rank);
    }
}

static void wake(struct tbi_sched *sched, struct tbi_id id, struct tbi_object *object)
{
    struct tbi_waiter *w = tbi_object_take_waiters(object), *next;

    for (; w != NULL; w = next) {
        next = w->next;
        if (tbi_id_is_null(w->task)) {
            tbi_sched_tell(sched, w->rank, w->proc, id, object, w->flags);
        } else {
            struct tbi_maker *task = tbi_directory_maker(&sched->dir, w->task);

            if (task == NULL || task->state != TBI_WAITING || task->failure != NULL) {
                /* it failed for another argument */
            } else if (object->state == TBI_FAILED) {
                task->failure = tbi_payload_use(object->payload);
                tbi_list_unlink(&task->link);
                tbi_list_append(&sched->failing, &task->link);
            } else if (--task->unmet == 0) {
                tbi_sched_queue(sched, task);
            }
        }
        free(w);
    }
}

void tbi_sched_conclude(struct tbi_sched *sched, struct tbi_maker *maker)
{
    struct msg_submit *submit = maker->submit;
    struct tbi_class *class;
    struct tbi_group *group;
    struct tbi_id id = maker->id;
    unsigned n = maker->nobjects;
    bool gone;

    if (maker->is_call)
        tbi_actors_call_ends(sched, maker, maker->state == TBI_DISPATCHED);
    if (maker->is_actor)
        tbi_actors_end(sched, maker);
    class = maker->class;
    tbi_ready_end_elder(maker);
    gone = maker->live == 0; /* freed before, or there never were any */
    maker->state = TBI_ENDED;
    maker->submit = NULL;
    tbi_list_unlink(&maker->sibling);
    while (!tbi_list_empty(&maker->children)) /* they go on by themselves */
        tbi_list_unlink(maker->children.next);
    for (unsigned i = 0; i < n; i++)
        wake(sched, tbi_id_with_index(id, i), &maker->object[i]);
    if (submit != NULL) {
        tbi_idle_count(sched, submit->kind, true);
        tbi_submitters_discharge(sched, maker, submit);
        for (unsigned i = 0; i < submit->nrefs; i++)
            tbi_directory_release(&sched->dir, tbi_submit_refs(submit)[i], tbi_sched_send_free,
                                  sched);
        if (class != NULL && class->users == 1)
            tbi_sched_unkeep(sched, class);
        group = class != NULL ? class->group : NULL;
        if (class != NULL)
            tbi_demands_drop(&sched->demands, class);
        if (group != NULL) {
            group->tasks--;
            tbi_groups_reap(sched, group);
        }
        free(submit);
    }
    if (gone)
        tbi_directory_reap(&sched->dir, maker);
    for (unsigned i = 0; !gone && i < n; i++)
        tbi_directory_settle(&sched->dir, tbi_id_with_index(id, i), tbi_sched_send_free, sched);
}

static void fail_objects(struct tbi_sched *sched, struct tbi_maker *maker,
                         struct tbi_payload *error)
{
    const struct msg_call *call = maker->submit != NULL ? tbi_submit_call(maker->submit) : NULL;

    if (call != NULL && call->flags & TBI_CALL_AWAITED)
        tbi_payload_seen(error);
    for (unsigned i = 0; i < maker->nobjects; i++) {
        struct tbi_object *object = &maker->object[i];

        object->state = TBI_FAILED;
        object->payload = tbi_payload_use(error);
        object->bytes = error->bytes;
    }
    tbi_payload_drop(&sched->dir, error);
}

/* Those that failed for an argument, until there are none. */
void tbi_sched_carry_failures(struct tbi_sched *sched)
{
    while (!tbi_list_empty(&sched->failing)) {
        struct tbi_maker *maker = TBI_ENTRY(sched->failing.next, struct tbi_maker, link);

        tbi_list_unlink(&maker->link);
        fail_objects(sched, maker, maker->failure);
        maker->failure = NULL;
        tbi_sched_conclude(sched, maker);
    }
}

void tbi_sched_fail(struct tbi_sched *sched, struct tbi_maker *maker, struct tbi_payload *error)
{
    fail_objects(sched, maker, error);
    tbi_sched_conclude(sched, maker);
    tbi_sched_carry_failures(sched);
}

void tbi_sched_abort(struct tbi_sched *sched, struct tbi_maker *task, struct tbi_payload *error)
{
    struct tbi_id id = task->id;

    task->aborted = true;
    if (task->is_actor)
        tbi_actors_abort(sched, task, error);
    fail_objects(sched, task, error);
    for (unsigned i = 0; i < task->nobjects; i++)
        wake(sched, tbi_id_with_index(id, i), &task->object[i]);
    for (unsigned i = 0; i < task->nobjects; i++)
        tbi_directory_settle(&sched->dir, tbi_id_with_index(id, i), tbi_sched_send_free, sched);
    tbi_sched_carry_failures(sched);
}

void tbi_sched_contain(struct tbi_sched *sched, struct tbi_object *object,
                       const struct tbi_id *ids, uint32_t n)
{
    if (n == 0)
        return;
    object->contained = tbi_alloc(sizeof *object->contained + n * sizeof *ids);
    object->contained->n = n;
    for (uint32_t k = 0; k < n; k++) {
        struct tbi_object *inner = tbi_directory_object(&sched->dir, ids[k], NULL);

        object->contained->id[k] = ids[k];
        if (inner != NULL)
            inner->holders++;
    }
}

/* The group that this is, or that a task which waits, or the actor of a call, is to be in: it must be reserved first. */
static void want_group(struct tbi_sched *sched, const struct tbi_maker *maker)
{
    const struct tbi_actor *actor =
        maker->is_call ? tbi_actors_find(sched, tbi_submit_call(maker->submit)->actor) : NULL;
    struct tbi_group *group = NULL;

    if (actor != NULL)
        maker = actor->maker;
    if (maker->submit == NULL)
        group = tbi_groups_find(&sched->groups, maker->id);
    else if (maker->class != NULL)
        group = maker->class->group;
    if (group != NULL)
        tbi_groups_want(sched, group);
}

void tbi_sched_want(struct tbi_sched *sched, struct tbi_maker *maker)
{
    struct tbi_maker **todo = NULL;
    size_t n = 0, room = 0;

    for (;;) {
        if (maker->state == TBI_OPEN || maker->state == TBI_WAITING || maker->state == TBI_PARKED)
            want_group(sched, maker);
        if (!maker->wanted && maker->submit != NULL) {
            bool queued = maker->state == TBI_QUEUED; /* no call is */

            if (queued) {
                tbi_ready_remove(&sched->ready, maker);
                tbi_sched_unkeep_idle(sched, maker->class);
            }
            maker->wanted = true;
            if (queued)
                tbi_sched_queue(sched, maker);
            if (maker->state == TBI_DISPATCHED || maker->state == TBI_BLOCKED) {
                struct msg_task *m = sched->port.send(sched->port.ctx, maker->node,
                                                      TBI_MSG_WANTED, TBI_PROC_NONE, sizeof *m);

                *m = (struct msg_task){maker->id, maker->attempt, 0};
            }
            for (unsigned i = 0; maker->state == TBI_WAITING && i < maker->submit->nresolve; i++) {
                struct tbi_maker *source =
                    tbi_directory_maker(&sched->dir, tbi_submit_refs(maker->submit)[i]);

                if (source == NULL || source->wanted || (source->submit == NULL && source->state != TBI_OPEN))
                    continue;
                if (n == room) {
                    room = room * 2 + 16;
                    todo = tbi_realloc(todo, room * sizeof *todo);
                }
                todo[n++] = source;
            }
        }
        if (n == 0)
            break;
        maker = todo[--n];
    }
    free(todo);
}
