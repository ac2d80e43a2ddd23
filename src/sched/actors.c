#include "sched/actors.h"
#include "sched/failure.h"
#include "sched/graph.h"
#include "sched/retry.h"
#include "thornback.h"
#include "util/alloc.h"

/* What the agent knows of one caller's calls in the actor's present life: all numbers below `next`. */
struct caller {
    unsigned rank;
    uint32_t proc;
    uint64_t next;
    uint64_t life;  /* the epoch it holds for, + 1 */
    bool locates;   /* its agent has asked where the actor lives */
    bool located;   /* ... and was told */
};
/* A FINISHED that came early, with its record. */
struct early {
    unsigned rank;
    _Alignas(8) uint8_t record[];
};

static struct tbi_id caller_id(struct tbi_id task)
{
    return (struct tbi_id){1, (uint64_t)tbi_id_rank(task) << 32 | tbi_id_proc(task)};
}

static const struct msg_actor *terms_of(const struct tbi_maker *maker)
{
    return tbi_submit_actor(maker->submit);
}

static const struct msg_call *call_of(const struct tbi_maker *call)
{
    return tbi_submit_call(call->submit);
}

static struct tbi_object *object_of(const struct tbi_sched *sched, const struct tbi_actor *actor)
{
    return tbi_directory_object(&sched->dir, actor->maker->id, NULL);
}

void tbi_actors_init(struct tbi_sched *sched)
{
    tbi_list_init(&sched->actors.orphans);
    sched->dir.orphan = tbi_actors_orphan;
    sched->dir.orphan_ctx = sched;
}

static void destroy(struct tbi_sched *sched, struct tbi_actor *actor)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&actor->callers, &at, &e);)
        free(e.value);
    tbi_map_fini(&actor->callers);
    tbi_map_take(&sched->actors.by_id, actor->maker->id);
    tbi_list_unlink(&actor->orphan);
    tbi_payload_drop(&sched->dir, actor->death);
    free(actor->name);
    free(actor);
}

void tbi_actors_fini(struct tbi_sched *sched)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&sched->actors.by_id, &at, &e); at = 0)
        destroy(sched, e.value);
    tbi_map_fini(&sched->actors.by_id);
    tbi_map_fini(&sched->actors.by_name);
    for (size_t at = 0; tbi_map_next(&sched->actors.early, &at, &e);)
        free(e.value);
    tbi_map_fini(&sched->actors.early);
    for (size_t at = 0; tbi_map_next(&sched->actors.stopping, &at, &e);)
        tbi_payload_drop(&sched->dir, e.value);
    tbi_map_fini(&sched->actors.stopping);
}

struct tbi_actor *tbi_actors_find(const struct tbi_sched *sched, struct tbi_id id)
{
    return tbi_id_is_null(tbi_id_task(id)) ? NULL
                                           : tbi_map_get(&sched->actors.by_id, tbi_id_task(id));
}

/* ---- names ---- */

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static struct tbi_id name_hash(const char *name, uint32_t bytes)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (uint32_t i = 0; i < bytes; i++)
        h = (h ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
    return (struct tbi_id){1, h};
}

static struct tbi_actor *find_name(const struct tbi_sched *sched, const char *name, uint32_t bytes)
{
    struct tbi_actor *actor = bytes == 0 ? NULL : tbi_map_get(&sched->actors.by_name,
                                                              name_hash(name, bytes));

    while (actor != NULL &&
           (actor->name_bytes != bytes || memcmp(actor->name, name, bytes) != 0))
        actor = actor->namesake;
    return actor;
}

static void give_name(struct tbi_sched *sched, struct tbi_actor *actor, const char *name,
                      uint32_t bytes)
{
    struct tbi_id hash = name_hash(name, bytes);

    if (bytes == 0)
        return;
    actor->name = tbi_copy(name, bytes);
    actor->name_bytes = bytes;
    actor->namesake = tbi_map_take(&sched->actors.by_name, hash);
    tbi_map_put(&sched->actors.by_name, hash, actor);
}

static void free_name(struct tbi_sched *sched, struct tbi_actor *actor)
{
    struct tbi_id hash = name_hash(actor->name, actor->name_bytes);
    struct tbi_actor *first, **at = &first;

    if (actor->name_bytes == 0)
        return;
    first = tbi_map_take(&sched->actors.by_name, hash);
    while (*at != actor)
        at = &(*at)->namesake;
    *at = actor->namesake;
    if (first != NULL)
        tbi_map_put(&sched->actors.by_name, hash, first);
    actor->name_bytes = 0;
}

static void identify(struct tbi_sched *sched, unsigned rank, uint32_t proc, struct tbi_id submitted,
                     struct tbi_id id, uint64_t ticket)
{
    struct msg_found *m = sched->port.send(sched->port.ctx, rank, TBI_MSG_IDENTIFY, proc, sizeof *m);

    *m = (struct msg_found){submitted, id, ticket};
}

const char *tbi_actors_on_find(struct tbi_sched *sched, unsigned rank,
                               const struct tbi_record *record)
{
    const struct msg_find *m = (const struct msg_find *)(record + 1);
    struct tbi_actor *actor = find_name(sched, (const char *)(m + 1), m->name_bytes);

    if (actor != NULL)
        object_of(sched, actor)->holders++;
    identify(sched, rank, record->proc, (struct tbi_id){0},
             actor != NULL ? actor->maker->id : (struct tbi_id){0}, m->ticket);
    return NULL;
}

void tbi_actors_answer(struct tbi_sched *sched, unsigned rank, uint32_t proc, const struct msg_submit *m)
{
    const struct msg_actor *terms = tbi_submit_actor(m);

    if (terms != NULL && terms->flags & TBI_ACTOR_GET)
        identify(sched, rank, proc, m->task, m->task, terms->ticket);
}

bool tbi_actors_get(struct tbi_sched *sched, unsigned rank, uint32_t proc, const struct msg_submit *m)
{
    const struct msg_actor *terms = tbi_submit_actor(m);
    struct tbi_actor *actor = NULL;

    if (terms != NULL && terms->flags & TBI_ACTOR_GET)
        actor = find_name(sched, (const char *)(terms + 1), terms->name_bytes);
    if (actor == NULL)
        return false;
    object_of(sched, actor)->holders++;
    identify(sched, rank, proc, m->task, actor->maker->id, terms->ticket);
    return true;
}

/* ---- coming and going ---- */

struct tbi_payload *tbi_actors_create(struct tbi_sched *sched, struct tbi_maker *maker)
{
    const struct msg_actor *terms = terms_of(maker);
    const char *name = (const char *)(terms + 1);
    struct tbi_actor *actor = tbi_alloc_zeroed(1, sizeof *actor);

    actor->maker = maker;
    actor->cpus = maker->submit->cpus;
    actor->max_task_retries = terms->max_task_retries;
    actor->max_pending = terms->max_pending;
    actor->flags = terms->flags;
    tbi_list_init(&actor->calls);
    tbi_map_put(&sched->actors.by_id, maker->id, actor);
    maker->is_actor = true;
    if (terms->flags & TBI_ACTOR_DETACHED)
        maker->object[0].holders++;
    if (find_name(sched, name, terms->name_bytes) != NULL)
        return tbi_failure_name_taken(sched, maker->submit, name);
    give_name(sched, actor, name, terms->name_bytes);
    return NULL;
}

/* The demand that the ledger holds for it. Its node has it. */
static void set_cpus(struct tbi_sched *sched, struct tbi_maker *maker, int32_t cpus)
{
    struct tbi_class *old = maker->class;
    struct tbi_group *group = old->group;

    if (maker->submit->cpus == cpus)
        return;
    maker->submit->cpus = cpus;
    if (group != NULL) {
        maker->class = tbi_group_class(sched, group, maker->submit);
        group->tasks--; /* it was counted when it came */
    } else {
        maker->class = tbi_demands_use(&sched->demands, old->nodes, NULL, old->node, maker->submit);
    }
    tbi_demands_drop(&sched->demands, old);
}

static void hold_checkpoint(struct tbi_sched *sched, struct tbi_actor *actor, struct tbi_id id)
{
    struct tbi_id old = actor->checkpoint;

    if (!tbi_id_is_null(id))
        tbi_directory_object(&sched->dir, id, NULL)->holders++;
    actor->checkpoint = id;
    if (!tbi_id_is_null(old))
        tbi_directory_release(&sched->dir, old, tbi_sched_send_free, sched);
}

const char *tbi_actors_on_checkpoint(struct tbi_sched *sched, unsigned rank,
                                     const struct tbi_record *record)
{
    const struct msg_checkpoint *m = (const struct msg_checkpoint *)(record + 1);
    struct tbi_actor *actor = tbi_actors_find(sched, m->actor);
    const struct tbi_object *object = tbi_directory_object(&sched->dir, m->object, NULL);

    (void)rank;
    if (actor != NULL && actor->state != TBI_ACTOR_DEAD && object != NULL && object->holders > 0)
        hold_checkpoint(sched, actor, m->object);
    return NULL;
}

const struct tbi_object *tbi_actors_checkpoint(const struct tbi_sched *sched,
                                               const struct tbi_maker *maker, struct tbi_id *id)
{
    const struct tbi_actor *actor = maker->is_actor ? tbi_actors_find(sched, maker->id) : NULL;

    if (actor == NULL || tbi_id_is_null(actor->checkpoint))
        return NULL;
    *id = actor->checkpoint;
    return tbi_directory_object(&sched->dir, actor->checkpoint, NULL);
}

bool tbi_actors_begin(struct tbi_sched *sched, struct tbi_maker *maker)
{
    struct tbi_actor *actor = tbi_actors_find(sched, maker->id);
    struct tbi_object *object = tbi_id_is_null(actor->checkpoint)
                                    ? NULL
                                    : tbi_directory_object(&sched->dir, actor->checkpoint, NULL);

    if (object == NULL || object->state == TBI_READY)
        return true;
    maker->state = TBI_WAITING;
    if (object->state == TBI_FAILED) {
        maker->failure = tbi_payload_use(object->payload);
        tbi_list_append(&sched->failing, &maker->link);
    } else {
        maker->unmet = 1;
        tbi_object_add_waiter(object, (struct tbi_waiter){.task = maker->id});
    }
    return false;
}

/* ---- calls on their way ---- */

static void skip(struct tbi_sched *sched, const struct tbi_actor *actor, struct tbi_id task,
                 uint64_t from, uint64_t to)
{
    struct msg_skip *m = sched->port.send(sched->port.ctx, actor->maker->node, TBI_MSG_SKIP,
                                          TBI_PROC_NONE, sizeof *m);

    *m = (struct msg_skip){actor->maker->id, actor->epoch, tbi_id_rank(task), tbi_id_proc(task), 0,
                           from, to};
}

static struct caller *caller_of(struct tbi_actor *actor, const struct tbi_maker *call)
{
    struct tbi_id id = caller_id(call->id);
    struct caller *caller = tbi_map_get(&actor->callers, id);

    if (caller == NULL) {
        caller = tbi_alloc_zeroed(1, sizeof *caller);
        caller->rank = tbi_id_rank(call->id);
        caller->proc = tbi_id_proc(call->id);
        tbi_map_put(&actor->callers, id, caller);
    }
    return caller;
}

static void send_where(struct tbi_sched *sched, const struct tbi_actor *actor,
                       const struct caller *caller, unsigned where, bool ended)
{
    struct msg_where *m = sched->port.send(sched->port.ctx, caller->rank, TBI_MSG_WHERE, TBI_PROC_NONE,
                                           sizeof *m);

    *m = (struct msg_where){actor->maker->id, actor->epoch, where, caller->proc, ended};
}

/* It lives. What has a limit of calls has to have them counted here. */
static void locate(struct tbi_sched *sched, const struct tbi_actor *actor, struct caller *caller)
{
    if (!caller->locates || caller->located || actor->max_pending > 0)
        return;
    send_where(sched, actor, caller, actor->maker->node, false);
    caller->located = true;
}

/* It lives no more, or has ended for good. */
static void unlocate_all(struct tbi_sched *sched, const struct tbi_actor *actor, bool ended)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&actor->callers, &at, &e);) {
        struct caller *caller = e.value;

        if (caller->located || ended)
            send_where(sched, actor, caller, TBI_NOWHERE, ended);
        caller->located = caller->locates = false;
    }
}

/* All numbers of its caller before this call's are known to the agent, or are on their way. */
static void tell(struct tbi_sched *sched, struct tbi_actor *actor, const struct tbi_maker *call)
{
    struct caller *caller = caller_of(actor, call);
    uint64_t seq = call_of(call)->seq;

    if (caller->life != (uint64_t)actor->epoch + 1) {
        caller->next = 1;
        caller->life = (uint64_t)actor->epoch + 1;
    }
    if (caller->next < seq)
        skip(sched, actor, call->id, caller->next, seq);
    if (caller->next <= seq)
        caller->next = seq + 1;
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

    fail_soon(sched, call, tbi_failure_unavailable(sched, call->submit, own != NULL ? own : cause));
    if (own != NULL) {
        own->unread = false;
        tbi_payload_drop(&sched->dir, own);
    }
}

static void fail_for_good(struct tbi_sched *sched, struct tbi_maker *call, struct tbi_payload *death)
{
    if (call->failure != NULL)
        call->failure->unread = false; /* the actor's own says more */
    tbi_payload_drop(&sched->dir, call->failure);
    fail_soon(sched, call, tbi_payload_use(death));
}

static bool is_at_its_node(const struct tbi_maker *maker)
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

/* Its agent has it, in this life of the actor. */
static bool is_there(const struct tbi_actor *actor, const struct tbi_maker *call)
{
    return actor != NULL && is_at_its_node(actor->maker) && actor->state != TBI_ACTOR_BEGINS &&
           actor->epoch == call_of(call)->epoch && actor->maker->attempt == actor->epoch;
}

/* Its FINISHED has come before. Returns whether that settles it. */
static bool was_finished(struct tbi_sched *sched, struct tbi_maker *call)
{
    struct early *early = tbi_map_take(&sched->actors.early, call->id);
    const struct msg_done *m;

    if (early == NULL)
        return false;
    m = (const struct msg_done *)(early->record + sizeof(struct tbi_record));
    call->state = TBI_DISPATCHED;
    call->node = early->rank;
    tbi_sched_on_finished(sched, early->rank, (const struct tbi_record *)early->record, true);
    tbi_sched_hold_contained(sched, m, false);
    free(early);
    return tbi_directory_maker(&sched->dir, call->id) != call || call->state == TBI_ENDED;
}

/* The call may wait for the next life, or cannot. */
static void take_over(struct tbi_sched *sched, struct tbi_actor *actor, struct tbi_maker *call,
                      struct tbi_payload *cause)
{
    if (call->is_direct)
        send_taken_over(sched, call);
    call->is_direct = false;
    if (call->stops > 0)
        fail_soon(sched, call, tbi_payload_use(tbi_map_get(&sched->actors.stopping, call->id)));
    else if (actor->state == TBI_ACTOR_DEAD)
        fail_for_good(sched, call, actor->death);
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
        fail_for_good(sched, call, tbi_directory_object(&sched->dir, call_of(call)->actor, NULL)->payload);
        return;
    }
    call->state = TBI_DISPATCHED;
    call->node = actor->maker->node;
    if (is_there(actor, call))
        return;
    tbi_list_unlink(&call->link);
    take_over(sched, actor, call, NULL);
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
    *m = (struct msg_stop){call->id, terms->actor, terms->seq, call->attempt, terms->epoch};
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
        failure = tbi_payload_use(actor->death);
    else if (actor->state == TBI_ACTOR_LIVES)
        failure = tbi_sched_send_call(sched, call, actor->maker->node, actor->epoch);
    else if (actor->state == TBI_ACTOR_RESTARTS && retries_of(actor, call) == 0)
        failure = tbi_failure_unavailable(sched, call->submit, NULL);
    if (failure != NULL)
        fail_soon(sched, call, failure);
}

struct tbi_payload *tbi_actors_call(struct tbi_sched *sched, struct tbi_maker *call)
{
    const struct msg_call *m = call_of(call);
    const struct tbi_object *object = tbi_directory_object(&sched->dir, m->actor, NULL);
    struct tbi_actor *actor = tbi_actors_find(sched, m->actor);
    bool direct = m->flags & TBI_CALL_DIRECT;
    struct caller *caller;

    if (direct && tbi_map_get(&sched->actors.early, call->id) != NULL) {
        call->is_call = true; /* what became of it is known, whatever has become of the actor since */
        if (actor == NULL)
            return NULL;
    } else if (object->state == TBI_FAILED && !(direct && is_there(actor, call))) {
        if (direct)
            send_taken_over(sched, call);
        return tbi_payload_use(object->payload);
    } else if (actor == NULL) {
        return tbi_failure_no_actor(sched, call->submit);
    }
    call->is_call = true;
    tbi_list_append(&actor->calls, &call->link);
    actor->ncalls++;
    caller = caller_of(actor, call);
    caller->locates |= (m->flags & TBI_CALL_LOCATES) != 0;
    if (actor->state == TBI_ACTOR_LIVES) {
        tell(sched, actor, call);
        locate(sched, actor, caller);
    }
    if (actor->max_pending > 0 && actor->ncalls > actor->max_pending)
        return tbi_failure_too_many_calls(sched, call->submit, actor->max_pending);
    return NULL;
}

void tbi_actors_call_ends(struct tbi_sched *sched, struct tbi_maker *call, bool was_sent)
{
    struct tbi_actor *actor = tbi_actors_find(sched, call_of(call)->actor);
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
        skip(sched, actor, call->id, seq, seq + 1);
}

void tbi_actors_call_failed(struct tbi_sched *sched, struct tbi_maker *call, bool crashed,
                            struct tbi_payload *error)
{
    if (!crashed) {
        tbi_sched_fail(sched, call, error);
        return;
    }
    tbi_payload_drop(&sched->dir, call->failure);
    call->failure = error; /* whether it is run again is seen when the actor is FINISHED too */
}

/* ---- the end of a life ---- */

/* Takes the calls away from the actor: what is done with one may end others, which leave the list. */
static void move_calls(struct tbi_link *from, struct tbi_link *to)
{
    tbi_list_init(to);
    if (tbi_list_empty(from))
        return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    tbi_list_init(from);
}

static struct tbi_maker *take_call(struct tbi_link *calls)
{
    struct tbi_maker *call = TBI_ENTRY(calls->next, struct tbi_maker, link);

    tbi_list_unlink(&call->link);
    return call;
}

static void sort_calls_out(struct tbi_sched *sched, struct tbi_actor *actor,
                           struct tbi_payload *cause)
{
    struct tbi_link calls;

    move_calls(&actor->calls, &calls);
    while (!tbi_list_empty(&calls)) {
        struct tbi_maker *call = take_call(&calls);

        if (call->aborted)
            tbi_sched_conclude(sched, call);
        else if (call->state != TBI_DISPATCHED)
            tbi_list_append(&actor->calls, &call->link);
        else
            take_over(sched, actor, call, cause);
    }
}

void tbi_actors_ended(struct tbi_sched *sched, struct tbi_maker *maker, const struct msg_done *m,
                      struct tbi_payload *error)
{
    struct tbi_actor *actor = tbi_actors_find(sched, maker->id);
    bool lived = actor->state != TBI_ACTOR_BEGINS;
    struct tbi_payload *cause = error;

    set_cpus(sched, maker, actor->cpus);
    if (error != NULL && !actor->retired) {
        /* It may be begun on the spot: so it does not live any more, whatever comes of this. */
        actor->state = lived ? TBI_ACTOR_RESTARTS : TBI_ACTOR_BEGINS;
        unlocate_all(sched, actor, false);
        tbi_payload_use(cause);
        if (tbi_retry_after(sched, maker, m, error)) {
            sort_calls_out(sched, actor, cause);
            tbi_payload_drop(&sched->dir, cause);
            return;
        }
        tbi_payload_drop(&sched->dir, cause);
    }
    tbi_sched_fail(sched, maker, tbi_failure_died(sched, maker->submit, error, !actor->retired));
    if (error != NULL)
        error->unread = false; /* what it fails with tells of it */
    tbi_payload_drop(&sched->dir, error);
}

static void die(struct tbi_sched *sched, struct tbi_actor *actor, struct tbi_payload *death)
{
    actor->state = TBI_ACTOR_DEAD;
    if (actor->death == NULL)
        actor->death = tbi_payload_use(death);
    free_name(sched, actor);
}

void tbi_actors_end(struct tbi_sched *sched, struct tbi_maker *maker)
{
    struct tbi_actor *actor = tbi_actors_find(sched, maker->id);
    struct tbi_link calls;

    if (actor->state != TBI_ACTOR_DEAD)
        die(sched, actor, maker->object[0].payload);
    unlocate_all(sched, actor, true);
    move_calls(&actor->calls, &calls);
    while (!tbi_list_empty(&calls)) {
        struct tbi_maker *call = take_call(&calls);

        if (call->aborted)
            tbi_sched_conclude(sched, call);
        else
            take_over(sched, actor, call, NULL);
    }
    hold_checkpoint(sched, actor, (struct tbi_id){0});
    if (actor->flags & TBI_ACTOR_DETACHED)
        tbi_directory_release(&sched->dir, maker->id, tbi_sched_send_free, sched);
    destroy(sched, actor);
    maker->is_actor = false;
}

void tbi_actors_orphan(void *ctx, struct tbi_maker *maker)
{
    struct tbi_sched *sched = ctx;
    struct tbi_actor *actor = tbi_actors_find(sched, maker->id);

    if (!tbi_list_linked(&actor->orphan))
        tbi_list_append(&sched->actors.orphans, &actor->orphan);
}

void tbi_actors_retire(struct tbi_sched *sched)
{
    while (!tbi_list_empty(&sched->actors.orphans)) {
        struct tbi_actor *actor = TBI_ENTRY(sched->actors.orphans.next, struct tbi_actor, orphan);
        struct tbi_maker *maker = actor->maker;

        tbi_list_unlink(&actor->orphan);
        actor->retired = true;
        free_name(sched, actor);
        if (is_at_its_node(maker)) {
            struct msg_task *m = sched->port.send(sched->port.ctx, maker->node, TBI_MSG_RETIRE,
                                                  TBI_PROC_NONE, sizeof *m);

            *m = (struct msg_task){maker->id, maker->attempt, 0};
        } else {
            tbi_retry_cancel(sched, maker, TB_CANCEL_DEFAULT,
                             tbi_failure_died(sched, maker->submit, NULL, false));
        }
    }
}

void tbi_sched_let_go(struct tbi_sched *sched)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&sched->actors.by_id, &at, &e);) {
        struct tbi_actor *actor = e.value;

        if (actor->flags & TBI_ACTOR_DETACHED) {
            actor->flags &= (uint16_t)~TBI_ACTOR_DETACHED;
            tbi_directory_release(&sched->dir, actor->maker->id, tbi_sched_send_free, sched);
        }
    }
    tbi_actors_retire(sched);
    tbi_sched_carry_failures(sched);
}

const char *tbi_actors_on_lives(struct tbi_sched *sched, unsigned rank,
                                const struct tbi_record *record)
{
    const struct msg_done *m = (const struct msg_done *)(record + 1);
    struct tbi_actor *actor = tbi_actors_find(sched, m->task);
    struct tbi_maker *maker = actor != NULL ? actor->maker : NULL;
    struct tbi_map_slot e;

    if (actor == NULL || !tbi_retry_runs(maker, rank, m->attempt) ||
        actor->state == TBI_ACTOR_LIVES || m->nresults != 0)
        return "LIVES of an actor that does not begin there";
    tbi_sched_keep_refs(sched, m);
    if (maker->aborted)
        return NULL; /* it was killed meanwhile, and is being ended */
    if (maker->state == TBI_BLOCKED) {
        maker->state = TBI_DISPATCHED;
        tbi_ledger_unblock(maker);
    }
    if (actor->flags & TBI_ACTOR_PLACED_ONLY && maker->submit->cpus > 0) {
        tbi_ledger_give(maker);
        set_cpus(sched, maker, 0);
        tbi_ledger_take(maker);
    }
    actor->state = TBI_ACTOR_LIVES;
    actor->epoch = maker->attempt;
    for (struct tbi_link *l = actor->calls.next, *next; l != &actor->calls; l = next) {
        struct tbi_maker *call = TBI_ENTRY(l, struct tbi_maker, link);

        next = l->next;
        tell(sched, actor, call);
        if (call->state == TBI_PARKED)
            tbi_actors_queue(sched, call);
    }
    for (size_t at = 0; tbi_map_next(&actor->callers, &at, &e);)
        locate(sched, actor, e.value);
    return NULL;
}

void tbi_actors_abort(struct tbi_sched *sched, struct tbi_maker *maker, struct tbi_payload *death)
{
    struct tbi_actor *actor = tbi_actors_find(sched, maker->id);
    struct tbi_link calls;

    actor->retired = true;
    die(sched, actor, death);
    unlocate_all(sched, actor, false);
    move_calls(&actor->calls, &calls);
    while (!tbi_list_empty(&calls)) {
        struct tbi_maker *call = take_call(&calls);

        if (call->state != TBI_DISPATCHED) {
            fail_for_good(sched, call, death);
            continue;
        }
        tbi_list_append(&actor->calls, &call->link);
        if (!call->aborted && !call->is_direct) /* a direct one may have a value already: see stop */
            tbi_sched_abort(sched, call, tbi_payload_use(death));
    }
}

const char *tbi_actors_on_kill(struct tbi_sched *sched, unsigned rank,
                               const struct tbi_record *record)
{
    const struct msg_cancel *m = (const struct msg_cancel *)(record + 1);
    struct tbi_actor *actor = tbi_actors_find(sched, m->id);
    const struct tbi_maker *maker = actor != NULL ? actor->maker : NULL;

    (void)rank;
    if (actor == NULL || actor->state == TBI_ACTOR_DEAD)
        return NULL;
    if (m->flags & TB_KILL_NO_RESTART || maker->submit->max_retries == 0)
        tbi_retry_cancel(sched, actor->maker, TB_CANCEL_FORCE,
                         tbi_failure_killed(sched, maker->submit));
    else if (actor->state == TBI_ACTOR_LIVES)
        tbi_retry_send_abort(sched, maker, TB_CANCEL_FORCE);
    return NULL;
}

/* ---- checks ---- */

const char *tbi_actors_check(const struct tbi_sched *sched)
{
    struct tbi_map_slot e;
    size_t calls = 0, counted = 0;

    for (size_t at = 0; tbi_map_next(&sched->dir.makers, &at, &e);) {
        const struct tbi_maker *m = e.value;

        counted += m->is_call && m->state != TBI_ENDED;
        if (m->is_actor && tbi_actors_find(sched, m->id) == NULL)
            return "an actor is not on record";
        if (m->state == TBI_PARKED && !m->is_call)
            return "a task that is no call waits for an actor";
    }
    for (size_t at = 0; tbi_map_next(&sched->actors.by_id, &at, &e);) {
        const struct tbi_actor *actor = e.value;
        const struct tbi_maker *maker = actor->maker;
        unsigned n = 0;

        for (const struct tbi_link *l = actor->calls.next; l != &actor->calls; l = l->next) {
            const struct tbi_maker *call = TBI_ENTRY(l, struct tbi_maker, link);

            n++;
            if (call->state == TBI_PARKED && actor->state == TBI_ACTOR_LIVES)
                return "a call waits for an actor that lives";
            if (call->state == TBI_DISPATCHED && actor->state != TBI_ACTOR_LIVES && !call->aborted &&
                !(call->is_direct && actor->state == TBI_ACTOR_DEAD))
                return "a call is with an actor that does not live";
        }
        if (n != actor->ncalls || maker->state == TBI_ENDED)
            return "an actor's calls are counted wrongly, or it outlived its end";
        if (actor->state == TBI_ACTOR_LIVES && !is_at_its_node(maker))
            return "an actor lives nowhere";
        if (maker->live > 0 && maker->object[0].holders == 0 && !actor->retired)
            return "an actor that nobody holds was not told to end";
        calls += n;
    }
    return calls == counted ? NULL : "a call belongs to no actor";
}
