/* actors.c - how actors come to life, end and come again, on the head. */
#include "sched/actor_parts.h"
#include "sched/failure.h"
#include "sched/graph.h"
#include "sched/retry.h"
#include "thornback.h"
#include "util/alloc.h"

static const struct msg_actor *terms_of(const struct tbi_maker *maker)
{
    return tbi_submit_actor(maker->submit);
}

struct tbi_object *tbi_actor_object(const struct tbi_sched *sched, const struct tbi_actor *actor)
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

    for (size_t at = 0; tbi_map_next(&actor->callers, &at, &e);) {
        tbi_list_unlink(&((struct tbi_actor_caller *)e.value)->link);
        free(e.value);
    }
    tbi_map_fini(&actor->callers);
    tbi_map_take(&sched->actors.by_id, actor->maker->id);
    tbi_list_unlink(&actor->orphan);
    tbi_payload_drop(&sched->dir, actor->death);
    tbi_payload_drop(&sched->dir, actor->last);
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
    for (size_t at = 0; tbi_map_next(&sched->actors.parents, &at, &e);)
        free(e.value);
    tbi_map_fini(&sched->actors.parents);
}

struct tbi_actor *tbi_actors_find(const struct tbi_sched *sched, struct tbi_id id)
{
    return tbi_id_is_null(tbi_id_task(id)) ? NULL
                                           : tbi_map_get(&sched->actors.by_id, tbi_id_task(id));
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
    if (tbi_actor_find_name(sched, name, terms->name_bytes) != NULL)
        return tbi_failure_name_taken(sched, maker->submit, name);
    tbi_actor_give_name(sched, actor, name, terms->name_bytes);
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
            tbi_actor_take_over(sched, actor, call, cause);
    }
}

void tbi_actors_ended(struct tbi_sched *sched, struct tbi_maker *maker, const struct msg_done *m,
                      struct tbi_payload *error)
{
    struct tbi_actor *actor = tbi_actors_find(sched, maker->id);
    bool lived = actor->state != TBI_ACTOR_BEGINS;
    struct tbi_payload *cause = error;
    struct msg_done end = *m;

    end.crashed |= actor->killed;
    if (actor->killed && error != NULL)
        tbi_failure_by_kill(error);
    actor->killed = false;
    set_cpus(sched, maker, actor->cpus);
    if (error != NULL && !actor->retired) {
        /* It may be begun on the spot: so it does not live any more, whatever comes of this. */
        actor->state = lived ? TBI_ACTOR_RESTARTS : TBI_ACTOR_BEGINS;
        tbi_idle_note_actor(sched, actor);
        tbi_actor_unlocate_all(sched, actor, false);
        tbi_payload_use(cause);
        if (tbi_retry_after(sched, maker, &end, error)) {
            sort_calls_out(sched, actor, cause);
            tbi_payload_drop(&sched->dir, actor->last);
            actor->last = cause;
            return;
        }
        tbi_payload_drop(&sched->dir, cause);
    }
    if (error != NULL && actor->retired)
        error->unread = false; /* nobody is there to read it */
    tbi_sched_fail(sched, maker, tbi_failure_died(sched, maker->submit, error, !actor->retired, actor->by));
    if (error != NULL)
        error->unread = false; /* what it fails with tells of it */
    tbi_payload_drop(&sched->dir, error);
}

static void die(struct tbi_sched *sched, struct tbi_actor *actor, struct tbi_payload *death)
{
    actor->state = TBI_ACTOR_DEAD;
    tbi_idle_note_actor(sched, actor);
    if (actor->death == NULL)
        actor->death = tbi_payload_use(death);
    tbi_failure_is_of(sched, actor->maker->submit, death);
    tbi_actor_free_name(sched, actor);
}

void tbi_actors_end(struct tbi_sched *sched, struct tbi_maker *maker)
{
    struct tbi_actor *actor = tbi_actors_find(sched, maker->id);
    struct tbi_link calls;

    if (actor->state != TBI_ACTOR_DEAD)
        die(sched, actor, maker->object[0].payload);
    tbi_actor_unlocate_all(sched, actor, true);
    move_calls(&actor->calls, &calls);
    while (!tbi_list_empty(&calls)) {
        struct tbi_maker *call = take_call(&calls);

        if (call->aborted)
            tbi_sched_conclude(sched, call);
        else
            tbi_actor_take_over(sched, actor, call, NULL);
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
        tbi_idle_note_actor(sched, actor);
        tbi_actor_free_name(sched, actor);
        if (tbi_actor_is_at_its_node(maker)) {
            struct msg_task *m = sched->port.send(sched->port.ctx, maker->node, TBI_MSG_RETIRE,
                                                  TBI_PROC_NONE, sizeof *m);

            *m = (struct msg_task){maker->id, maker->attempt, 0};
        } else {
            tbi_retry_cancel(sched, maker, TB_CANCEL_DEFAULT,
                             tbi_failure_died(sched, maker->submit, NULL, false, TBI_BY_KILL));
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
    /* The forecast first, also of one that was killed meanwhile: its agent counts what it has until it has ended. */
    if (maker->state == TBI_BLOCKED) {
        maker->state = TBI_DISPATCHED;
        tbi_ledger_unblock(maker);
    }
    if (actor->flags & TBI_ACTOR_PLACED_ONLY && maker->submit->cpus > 0) {
        tbi_ledger_give(maker);
        set_cpus(sched, maker, 0);
        tbi_ledger_take(maker);
    }
    tbi_ledger_settle(maker);
    tbi_clients_note_task(sched, rank, record->proc, m->task);
    if (maker->aborted)
        return NULL; /* it is being ended */
    actor->state = TBI_ACTOR_LIVES;
    actor->epoch = maker->attempt;
    tbi_idle_note_actor(sched, actor);
    for (struct tbi_link *l = actor->calls.next, *next; l != &actor->calls; l = next) {
        struct tbi_maker *call = TBI_ENTRY(l, struct tbi_maker, link);

        next = l->next;
        tbi_actor_tell(sched, actor, call);
        if (call->state == TBI_PARKED)
            tbi_actors_queue(sched, call);
    }
    for (size_t at = 0; tbi_map_next(&actor->callers, &at, &e);)
        tbi_actor_locate(sched, actor, e.value);
    return NULL;
}

const char *tbi_actors_on_instances(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_instances *m = (const struct msg_instances *)(record + 1);
    struct tbi_actor *actor = tbi_actors_find(sched, m->actor);

    if (actor == NULL || !tbi_retry_runs(actor->maker, rank, m->attempt) || actor->maker->class->gpus == 0 ||
        !tbi_ledger_regrant(actor->maker, m->gpus))
        return "INSTANCES of an actor that does not live there, or that it cannot have";
    return NULL;
}

void tbi_actors_abort(struct tbi_sched *sched, struct tbi_maker *maker, struct tbi_payload *death)
{
    struct tbi_actor *actor = tbi_actors_find(sched, maker->id);
    struct tbi_link calls;

    actor->retired = true;
    die(sched, actor, death);
    tbi_actor_unlocate_all(sched, actor, false);
    move_calls(&actor->calls, &calls);
    while (!tbi_list_empty(&calls)) {
        struct tbi_maker *call = take_call(&calls);

        if (call->state != TBI_DISPATCHED)
            tbi_actor_fail_call(sched, call, death);
        else /* it ends with the process, and may be done before: what was answered stands */
            tbi_list_append(&actor->calls, &call->link);
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
    actor->by = m->by == TBI_BY_QUEUE_SHUTDOWN ? TBI_BY_QUEUE_SHUTDOWN : TBI_BY_KILL;
    if (m->flags & TBI_KILL_FOLLOWS)
        return NULL;
    if (m->flags & TB_KILL_NO_RESTART || maker->submit->max_retries == 0)
        tbi_retry_cancel(sched, actor->maker, TB_CANCEL_FORCE,
                         tbi_failure_killed(sched, maker->submit, actor->by));
    else if (tbi_actor_is_at_its_node(maker)) { /* else there is no process, and the next one is a new one */
        tbi_retry_send_abort(sched, maker, TB_CANCEL_FORCE);
        actor->killed = true;
    }
    return NULL;
}

/* ---- checks ---- */

const char *tbi_actors_check(const struct tbi_sched *sched)
{
    struct tbi_map_slot e;
    size_t calls = 0, counted = 0, resting = 0;

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
                actor->state != TBI_ACTOR_DEAD)
                return "a call is with an actor that does not live";
        }
        if (n != actor->ncalls || maker->state == TBI_ENDED)
            return "an actor's calls are counted wrongly, or it outlived its end";
        if (actor->state == TBI_ACTOR_LIVES && !tbi_actor_is_at_its_node(maker))
            return "an actor lives nowhere";
        if (maker->live > 0 && maker->object[0].holders == 0 && !actor->retired)
            return "an actor that nobody holds was not told to end";
        calls += n;
        resting += actor->state == TBI_ACTOR_LIVES && !actor->retired;
    }
    if (resting != sched->idle.resting || sched->actors.by_id.count > sched->idle.actors)
        return "the counts of actors are wrong";
    return calls == counted ? NULL : "a call belongs to no actor";
}
