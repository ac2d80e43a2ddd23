/* actor_calls.c - calls on their way to actors: through the head, or directly from the caller's agent to the
 * actor's; and what becomes of them when the actor does not live any more. */
#include "sched/actor_parts.h"
#include "sched/failure.h"
#include "sched/graph.h"
#include "sched/retry.h"
#include "util/alloc.h"

/* A FINISHED that came before its SUBMIT, with its record. */
struct early {
    unsigned rank;
    _Alignas(8) uint8_t record[];
};

static struct tbi_id caller_id(struct tbi_id task)
{
    return (struct tbi_id){1, (uint64_t)tbi_id_rank(task) << 32 | tbi_id_proc(task)};
}

static const struct msg_call *call_of(const struct tbi_maker *call)
{
    return tbi_submit_call(call->submit);
}

static void skip(struct tbi_sched *sched, const struct tbi_actor *actor, const struct tbi_maker *call,
                 uint64_t from, uint64_t to)
{
    struct msg_skip *m = sched->port.send(sched->port.ctx, actor->maker->node, TBI_MSG_SKIP,
                                          TBI_PROC_NONE, sizeof *m);

    *m = (struct msg_skip){actor->maker->id, actor->epoch, tbi_id_rank(call->id), tbi_id_proc(call->id),
                           call_of(call)->lane, from, to};
}

static struct tbi_actor_caller *caller_of_task(struct tbi_sched *sched, struct tbi_actor *actor, struct tbi_id task)
{
    struct tbi_id id = caller_id(task);
    struct tbi_actor_caller *caller = tbi_map_get(&actor->callers, id);
    struct tbi_client *client;

    if (caller == NULL) {
        caller = tbi_alloc_zeroed(1, sizeof *caller);
        caller->rank = tbi_id_rank(task);
        caller->proc = tbi_id_proc(task);
        caller->actor = actor;
        tbi_map_put(&actor->callers, id, caller);
        client = tbi_clients_of(sched, caller->rank, caller->proc);
        if (client != NULL)
            tbi_list_append(&client->callers, &caller->link);
    }
    return caller;
}

static struct tbi_actor_caller *caller_of(struct tbi_sched *sched, struct tbi_actor *actor, const struct tbi_maker *call)
{
    return caller_of_task(sched, actor, call->id);
}

/* If it has ended, and so have its calls: nobody needs its numbers any more, here or at the actor's agent. */
static void part(struct tbi_sched *sched, struct tbi_actor_caller *caller)
{
    const struct tbi_actor *actor = caller->actor;

    if (!caller->gone || caller->ncalls > 0)
        return;
    if (actor->state == TBI_ACTOR_LIVES && caller->life == (uint64_t)actor->epoch + 1)
        *(struct msg_caller *)sched->port.send(sched->port.ctx, actor->maker->node, TBI_MSG_CALLER_GONE, TBI_PROC_NONE,
                                               sizeof(struct msg_caller)) =
            (struct msg_caller){actor->maker->id, actor->epoch, caller->rank, caller->proc, 0};
    tbi_map_take(&caller->actor->callers, (struct tbi_id){1, (uint64_t)caller->rank << 32 | caller->proc});
    tbi_list_unlink(&caller->link);
    free(caller);
}

void tbi_actors_caller_gone(struct tbi_sched *sched, struct tbi_client *client)
{
    while (!tbi_list_empty(&client->callers)) {
        struct tbi_actor_caller *caller = TBI_ENTRY(client->callers.next, struct tbi_actor_caller, link);

        tbi_list_unlink(&caller->link);
        caller->gone = true;
        part(sched, caller);
    }
}

static void send_where(struct tbi_sched *sched, const struct tbi_actor *actor,
                       const struct tbi_actor_caller *caller, unsigned where, bool ended)
{
    struct msg_where *m = sched->port.send(sched->port.ctx, caller->rank, TBI_MSG_WHERE, TBI_PROC_NONE,
                                           sizeof *m);

    *m = (struct msg_where){actor->maker->id, actor->epoch, where, caller->proc, ended};
}

void tbi_actors_meet_caller(struct tbi_sched *sched, const struct msg_submit *m)
{
    const struct msg_call *terms = tbi_submit_call(m);
    struct tbi_actor *actor = tbi_actors_find(sched, terms->actor);

    if (actor != NULL)
        caller_of_task(sched, actor, m->task);
    else /* its agent has made a new record of it, which nobody else would end */
        *(struct msg_where *)sched->port.send(sched->port.ctx, tbi_id_rank(m->task), TBI_MSG_WHERE, TBI_PROC_NONE,
                                              sizeof(struct msg_where)) =
            (struct msg_where){terms->actor, 0, TBI_NOWHERE, tbi_id_proc(m->task), true};
}

/* It lives. What has a limit of calls has to have them counted here. */
void tbi_actor_locate(struct tbi_sched *sched, const struct tbi_actor *actor, struct tbi_actor_caller *caller)
{
    if (!caller->locates || caller->located || actor->max_pending > 0)
        return;
    send_where(sched, actor, caller, actor->maker->node, false);
    caller->located = true;
}

/* It lives no more, or has ended for good. */
void tbi_actor_unlocate_all(struct tbi_sched *sched, const struct tbi_actor *actor, bool ended)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&actor->callers, &at, &e);) {
        struct tbi_actor_caller *caller = e.value;

        if (caller->located || ended)
            send_where(sched, actor, caller, TBI_NOWHERE, ended);
        caller->located = caller->locates = false;
    }
}

/* All numbers of its caller and lane before this call's are known to the agent, or are on their way. */
void tbi_actor_tell(struct tbi_sched *sched, struct tbi_actor *actor, const struct tbi_maker *call)
{
    struct tbi_actor_caller *caller = caller_of(sched, actor, call);
    uint64_t seq = call_of(call)->seq, *next = &caller->next[call_of(call)->lane];

    if (caller->life != (uint64_t)actor->epoch + 1) {
        for (unsigned i = 0; i < TBI_LANES_MAX; i++)
            caller->next[i] = 1;
        caller->life = (uint64_t)actor->epoch + 1;
    }
    if (*next < seq)
        skip(sched, actor, call, *next, seq);
    if (*next <= seq)
        *next = seq + 1;
}

/* Not on the spot: that could end others of those that are being gone through, or the actor. */
static void fail_soon(struct tbi_sched *sched, struct tbi_maker *call, struct tbi_payload *error)
{
    call->state = TBI_WAITING;
    call->failure = error;
    tbi_list_unlink(&call->link);
    tbi_list_append(&sched->failing, &call->link);
}

static int32_t retries_of(const struct tbi_actor *actor, const struct tbi_maker *call)
{
    int32_t own = call->submit->max_retries;

    return own == TBI_RETRIES_DEFAULT ? actor->max_task_retries : own;
}

/* The call was with the agent, which has it no more. May it wait for the actor's next life? */
static bool goes_on(struct tbi_sched *sched, const struct tbi_actor *actor, struct tbi_maker *call)
{
    int32_t retries = retries_of(actor, call);
    bool begun = call->failure != NULL;

    if (retries == 0 || (begun && retries > 0 && call->attempt >= (uint32_t)retries))
        return false;
    if (begun) {
        call->failure->unread = false;
        tbi_payload_drop(&sched->dir, call->failure);
        call->failure = NULL;
        call->attempt++;
        sched->retries++;
    }
    call->state = TBI_PARKED;
    return true;
}

static void fail_unavailable(struct tbi_sched *sched, struct tbi_maker *call,
                             const struct tbi_payload *cause)
{
    struct tbi_payload *own = call->failure; /* how it crashed itself */

    fail_soon(sched, call, tbi_failure_unavailable(sched, call, own != NULL ? own : cause));
    if (own != NULL) {
        own->unread = false;
        tbi_payload_drop(&sched->dir, own);
    }
}

/* ... with this, and not with how its process ended. */
static void fail_instead(struct tbi_sched *sched, struct tbi_maker *call, struct tbi_payload *error)
{
    if (call->failure != NULL)
        call->failure->unread = false;
    tbi_payload_drop(&sched->dir, call->failure);
    fail_soon(sched, call, error);
}

void tbi_actor_fail_call(struct tbi_sched *sched, struct tbi_maker *call, struct tbi_payload *death)
{
    fail_instead(sched, call, tbi_failure_of_call(sched, call, death));
}

bool tbi_actor_is_at_its_node(const struct tbi_maker *maker)
{
    return maker->state == TBI_DISPATCHED || maker->state == TBI_BLOCKED;
}

static void send_taken_over(struct tbi_sched *sched, const struct tbi_maker *call)
{
    struct msg_object *m = sched->port.send(sched->port.ctx, tbi_id_rank(call->id), TBI_MSG_TAKEN_OVER,
                                            TBI_PROC_NONE, sizeof *m);

    m->id = call->id;
}

/* ---- direct calls ---- */

void tbi_actors_keep_early(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_done *m = (const struct msg_done *)(record + 1);
    struct early *early = tbi_alloc(sizeof *early + record->len);

    early->rank = rank;
    memcpy(early->record, record, record->len);
    tbi_sched_keep_refs(sched, m);
    tbi_sched_hold_contained(sched, m, true); /* who made them may let go of them now */
    tbi_map_put(&sched->actors.early, m->task, early);
}

/* What it submits comes before its FINISHED, from the same agent. */
void tbi_actors_keep_child(struct tbi_sched *sched, struct tbi_maker *child)
{
    struct tbi_map *parents = &sched->actors.parents;
    struct tbi_id id = child->submit->parent;
    struct tbi_link *children = tbi_map_get(parents, id);

    if (children == NULL) {
        children = tbi_alloc(sizeof *children);
        tbi_list_init(children);
        tbi_map_put(parents, id, children);
    }
    tbi_list_append(children, &child->sibling);
}

void tbi_actors_take_children(struct tbi_sched *sched, struct tbi_maker *call)
{
    struct tbi_link *children = tbi_map_take(&sched->actors.parents, call->id);

    while (children != NULL && !tbi_list_empty(children)) {
        struct tbi_link *child = children->next;

        tbi_list_unlink(child);
        tbi_list_append(&call->children, child);
    }
    free(children);
}

/* Its agent has it, in this life of the actor. */
static bool is_there(const struct tbi_actor *actor, const struct tbi_maker *call)
{
    return actor != NULL && tbi_actor_is_at_its_node(actor->maker) && actor->state != TBI_ACTOR_BEGINS &&
           actor->epoch == call_of(call)->epoch && actor->maker->attempt == actor->epoch;
}

/* Its FINISHED has come before. Returns whether that settles it. */
static bool was_finished(struct tbi_sched *sched, struct tbi_maker *call)
{
    struct tbi_id id = call->id; /* the call may go */
    struct early *early = tbi_map_take(&sched->actors.early, id);
    const struct msg_done *m;

    if (early == NULL)
        return false;
    m = (const struct msg_done *)(early->record + sizeof(struct tbi_record));
    call->state = TBI_DISPATCHED;
    call->node = early->rank;
    tbi_sched_on_finished(sched, early->rank, (const struct tbi_record *)early->record, true);
    tbi_sched_hold_contained(sched, m, false);
    free(early);
    return tbi_directory_maker(&sched->dir, id) != call || call->state == TBI_ENDED;
}

/* The call may wait for the next life, or cannot. */
void tbi_actor_take_over(struct tbi_sched *sched, struct tbi_actor *actor, struct tbi_maker *call,
                      struct tbi_payload *cause)
{
    if (call->is_direct)
        send_taken_over(sched, call);
    call->is_direct = false;
    if (call->stops > 0)
        fail_instead(sched, call, tbi_payload_use(tbi_map_get(&sched->actors.stopping, call->id)));
    else if (actor->state == TBI_ACTOR_DEAD)
        tbi_actor_fail_call(sched, call, actor->death);
    else if (goes_on(sched, actor, call))
        tbi_list_append(&actor->calls, &call->link);
    else
        fail_unavailable(sched, call, cause);
}

/* A call that was sent to the actor's agent: it is there, or has ended there, or was never begun. */
static void learn(struct tbi_sched *sched, struct tbi_actor *actor, struct tbi_maker *call)
{
    call->is_direct = true;
    if (was_finished(sched, call))
        return;
    if (actor == NULL) { /* it had crashed, with the actor */
        send_taken_over(sched, call);
        tbi_actor_fail_call(sched, call, tbi_directory_object(&sched->dir, call_of(call)->actor, NULL)->payload);
        return;
    }
    call->state = TBI_DISPATCHED;
    call->node = actor->maker->node;
    if (is_there(actor, call))
        return;
    tbi_list_unlink(&call->link);
    tbi_actor_take_over(sched, actor, call, actor->last);
    if (call->state == TBI_PARKED && actor->state == TBI_ACTOR_LIVES)
        tbi_actors_queue(sched, call);
}

void tbi_actors_stop(struct tbi_sched *sched, struct tbi_maker *call, uint32_t flags,
                     struct tbi_payload *error)
{
    const struct msg_call *terms = call_of(call);
    struct msg_stop *m;

    if (call->stops > 0) {
        tbi_payload_drop(&sched->dir, error);
        return;
    }
    call->stops = (uint8_t)(1 + flags);
    tbi_map_put(&sched->actors.stopping, call->id, error);
    m = sched->port.send(sched->port.ctx, call->node, TBI_MSG_STOP, TBI_PROC_NONE, sizeof *m);
    *m = (struct msg_stop){call->id, terms->actor, terms->seq, call->attempt, terms->epoch, terms->lane, 0};
}

const char *tbi_actors_on_stopped(struct tbi_sched *sched, unsigned rank,
                                  const struct tbi_record *record)
{
    const struct msg_task *m = (const struct msg_task *)(record + 1);
    struct tbi_maker *call = tbi_directory_maker(&sched->dir, m->task);

    if (call == NULL || call->stops == 0 || !tbi_retry_runs(call, rank, m->attempt))
        return "STOPPED of a call that was not to stop there";
    send_taken_over(sched, call);
    call->is_direct = false;
    tbi_retry_cancel(sched, call, call->stops - 1u,
                     tbi_payload_use(tbi_map_get(&sched->actors.stopping, call->id)));
    return NULL;
}

void tbi_actors_queue(struct tbi_sched *sched, struct tbi_maker *call)
{
    struct tbi_actor *actor = tbi_actors_find(sched, call_of(call)->actor);
    struct tbi_payload *failure = NULL;

    if (call->state == TBI_WAITING && call_of(call)->flags & TBI_CALL_DIRECT) {
        learn(sched, actor, call);
        return;
    }
    call->state = TBI_PARKED;
    if (actor->state == TBI_ACTOR_DEAD)
        failure = tbi_failure_of_call(sched, call, actor->death);
    else if (actor->state == TBI_ACTOR_LIVES)
        failure = tbi_sched_send_call(sched, call, actor->maker->node, actor->epoch);
    else if (actor->state == TBI_ACTOR_RESTARTS && retries_of(actor, call) == 0)
        failure = tbi_failure_unavailable(sched, call, actor->last);
    if (failure != NULL)
        fail_soon(sched, call, failure);
}

struct tbi_payload *tbi_actors_call(struct tbi_sched *sched, struct tbi_maker *call)
{
    const struct msg_call *m = call_of(call);
    const struct tbi_object *object = tbi_directory_object(&sched->dir, m->actor, NULL);
    struct tbi_actor *actor = tbi_actors_find(sched, m->actor);
    bool direct = m->flags & TBI_CALL_DIRECT;
    struct tbi_actor_caller *caller;

    if (direct && tbi_map_get(&sched->actors.early, call->id) != NULL) {
        call->is_call = true; /* what became of it is known, whatever has become of the actor since */
        if (actor == NULL)
            return NULL;
    } else if (object->state == TBI_FAILED && !(direct && is_there(actor, call))) {
        if (direct)
            send_taken_over(sched, call);
        return tbi_failure_of_call(sched, call, object->payload);
    } else if (actor == NULL) {
        return tbi_failure_no_actor(sched, call->submit);
    }
    call->is_call = true;
    tbi_list_append(&actor->calls, &call->link);
    actor->ncalls++;
    caller = caller_of(sched, actor, call);
    caller->ncalls++;
    caller->locates |= (m->flags & TBI_CALL_LOCATES) != 0;
    if (actor->state == TBI_ACTOR_LIVES) {
        tbi_actor_tell(sched, actor, call);
        tbi_actor_locate(sched, actor, caller);
    }
    if (actor->max_pending > 0 && actor->ncalls > actor->max_pending)
        return tbi_failure_too_many_calls(sched, call->submit, actor->max_pending);
    return NULL;
}

void tbi_actors_call_ends(struct tbi_sched *sched, struct tbi_maker *call, bool was_sent)
{
    struct tbi_actor *actor = tbi_actors_find(sched, call_of(call)->actor);
    struct tbi_actor_caller *caller;
    uint64_t seq = call_of(call)->seq;

    tbi_list_unlink(&call->link);
    tbi_payload_drop(&sched->dir, call->failure); /* it crashed, and was cancelled since */
    call->failure = NULL;
    if (call->stops > 0)
        tbi_payload_drop(&sched->dir, tbi_map_take(&sched->actors.stopping, call->id));
    call->stops = 0;
    if (actor == NULL)
        return; /* it ended first */
    actor->ncalls--;
    if (actor->state == TBI_ACTOR_LIVES && !was_sent)
        skip(sched, actor, call, seq, seq + 1);
    caller = caller_of(sched, actor, call);
    caller->ncalls--;
    part(sched, caller);
}

void tbi_actors_call_failed(struct tbi_sched *sched, struct tbi_maker *call, bool crashed,
                            struct tbi_payload *error)
{
    const struct tbi_actor *actor = tbi_actors_find(sched, call_of(call)->actor);

    if (!crashed) {
        tbi_sched_fail(sched, call, error);
        return;
    }
    if (actor != NULL && actor->killed)
        tbi_failure_by_kill(error);
    tbi_retry_orphan(sched, call);
    tbi_payload_drop(&sched->dir, call->failure);
    call->failure = error; /* whether it is run again is seen when the actor is FINISHED too */
}
