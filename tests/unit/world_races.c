/* world_races.c - the smallest worlds in which something is cancelled or killed at a certain event, so that each moment
 * has its turn: a task, or a call that an executor on rank 2 makes of an actor on rank 1, directly. */
#include "world_parts.h"
#include "sched/graph.h"

/* ---- a task ---- */

/* The driver has submitted its two tasks, asks for both, and does nothing else. */
static void begin_tasks(struct world *w)
{
    struct proc *driver = &w->proc[0];

    w->kills_left = w->tasks_left = 0;
    driver->steps = 0;
    for (int i = 0; i < 2; i++) {
        struct msg_submit *m = tbi_outbox_append(&driver->out, TBI_MSG_SUBMIT, driver->number,
                                                 sizeof *m + (size_t)i * 24);

        *m = (struct msg_submit){.task = new_id(driver), .cpus = 5000, .nreturns = 1,
                                 .nargs = (uint16_t)i, .nrefs = (uint16_t)i,
                                 .nresolve = (uint16_t)i, .max_retries = 2};
        if (i == 1) {
            *(struct tbi_id *)(m + 1) = driver->handle[0].id;
            *(uint64_t *)((struct tbi_id *)(m + 1) + 1) = TBI_ARG_REF;
        }
        add_handle(driver, m->task, false);
    }
}

const char *world_race(uint64_t seed, unsigned at, bool force, bool *late)
{
    struct world *w = world_new();
    const char *why;

    world_create(w, seed, 0);
    begin_tasks(w);
    w->races = (struct races){.race = CANCEL_TASK, .at = at, .flags = force ? TB_CANCEL_FORCE : 0};
    why = world_to_the_end(w);
    *late = !w->races.done;
    if (why == NULL && w->noutcomes + w->full < 2)
        why = "a ref has neither a value nor an error";
    world_free(w);
    return why;
}

/* ---- a call ---- */

static struct msg_submit *submit(struct world *w, struct proc *p, struct msg_submit m, struct tbi_id held,
                                 const void *terms, size_t bytes)
{
    bool inlined = m.nargs > 0;
    struct msg_submit *to = tbi_outbox_append(&p->out, TBI_MSG_SUBMIT, p->number,
                                              sizeof m + m.nrefs * sizeof held + inlined * (8 + sizeof held) + bytes);
    struct tbi_id *at = (struct tbi_id *)(to + 1);

    *to = m;
    to->task = new_id(p);
    to->data_bytes = inlined ? sizeof held : 0;
    if (m.nrefs > 0)
        *at++ = held;
    if (inlined) {
        *(uint64_t *)at = sizeof held;
        at = (struct tbi_id *)((uint64_t *)at + 1);
        *at++ = held;
    }
    if (bytes > 0)
        memcpy(at, terms, bytes);
    add_handle(p, to->task, false);
    p->handle[p->nhandles - 1].actor = m.kind == TBI_ACTOR;
    (void)w;
    return to;
}

/* The driver has made the actor, which may be begun again once, and the task that is to call it. */
static void begin_call(struct world *w)
{
    struct msg_actor terms = {.nlanes = 1, .lane = {1}, .max_task_retries = (int32_t)pick(w, 3) - 1,
                              .flags = pick(w, 2) ? TBI_ACTOR_PLACED_ONLY : 0};
    struct proc *driver = &w->proc[0];

    w->kills_left = w->groups_max = w->actors_max = w->calls_more = 0;
    driver->running = false;
    w->races.actor = submit(w, driver, (struct msg_submit){.kind = TBI_ACTOR, .cpus = 5000, .nreturns = 1,
                                                           .max_retries = (int32_t)pick(w, 2),
                                                           .strategy = TBI_ON_NODE, .node = 1},
                            (struct tbi_id){0}, &terms, sizeof terms)->task;
    world_note_actor(w, w->races.actor);
    w->races.caller = submit(w, driver, (struct msg_submit){.cpus = 5000, .strategy = TBI_ON_NODE, .node = 2,
                                                            .nargs = 1, .nrefs = 1},
                             w->races.actor, NULL, 0)->task;
}

static struct tbi_id make_call(struct world *w, struct proc *p)
{
    struct msg_call terms = {.actor = w->races.actor};
    const struct msg_submit *m =
        submit(w, p, (struct msg_submit){.kind = TBI_CALL, .parent = p->run.task, .nreturns = 1, .depth = 1, .nrefs = 1,
                                         .max_retries = TBI_RETRIES_DEFAULT},
               w->races.actor, &terms, sizeof terms);

    world_note_call(w, p, m->task, &terms);
    return m->task;
}

/* It cannot act before the driver has heard. */
static void wait_for_driver(const struct world *w, struct proc *p)
{
    p->resuming = !w->races.driver_heard;
}

/* The first call's answer comes after WHERE, so the second goes directly. The caller has its ref until the driver, which
 * has none before it asks, has heard. */
static void call_twice(struct world *w, struct proc *p)
{
    struct races *r = &w->races;

    switch (r->step++) {
    case 0:
        r->call[0] = make_call(w, p);
        world_wait(p, r->call[0]);
        break;
    case 1:
        r->call[1] = make_call(w, p);
        r->called_at = w->events + 1;
        if (r->asking == DRIVER_FIRST)
            wait_for_driver(w, p);
        break;
    case 2:
        world_wait(p, r->call[1]);
        break;
    case 3:
        wait_for_driver(w, p);
        break;
    default:
        world_end_task(w, p);
    }
}

bool world_race_act(struct world *w, struct proc *p)
{
    if (w->races.race <= CANCEL_TASK)
        return false;
    p->steps = 0; /* the actor, and its calls, only end */
    if (!tbi_id_equal(p->run.task, w->races.caller))
        return false;
    call_twice(w, p);
    return true;
}

/* Channels that matter to a direct call: its own and its answer's, and those of what agents and head say of it. Some are
 * slow, so that what is in them is overtaken. */
static const struct event channel[RACE_CHANNELS] = {{BETWEEN, 2, 1}, {BETWEEN, 1, 2}, {HEAD, 1, 0},
                                                    {HEAD, 2, 0},    {AGENT, 1, 0},   {AGENT, 2, 0}};

unsigned world_race_slowness(const struct world *w, const struct event *e)
{
    for (unsigned i = 0; w->races.race > CANCEL_TASK && i < RACE_CHANNELS; i++)
        if (e->kind == channel[i].kind && e->a == channel[i].a && (e->kind != BETWEEN || e->b == channel[i].b))
            return w->races.slowness[i];
    return 0;
}

static struct proc *find_running(struct world *w, struct tbi_id task)
{
    for (unsigned i = 0; i < w->nprocs; i++)
        if (w->proc[i].alive && w->proc[i].running && tbi_id_equal(w->proc[i].run.task, task))
            return &w->proc[i];
    return NULL;
}

static struct proc *find_actor(struct world *w)
{
    for (unsigned i = 0; i < w->nprocs; i++)
        if (w->proc[i].alive && tbi_id_equal(w->proc[i].actor, w->races.actor))
            return &w->proc[i];
    return NULL;
}

const char *world_race_heard(struct world *w, struct proc *p, struct tbi_id id, int code)
{
    struct races *r = &w->races;
    bool cancelled, ended;
    struct proc *caller;

    if (r->race <= CANCEL_TASK || !tbi_id_equal(id, r->call[1]))
        return NULL;
    cancelled = r->race == CANCEL_CALL || r->race == CANCEL_AND_CRASH;
    ended = r->race != CANCEL_CALL;
    if (code != 0 && code != TB_ERR_STORE_FULL && !(cancelled && code == TB_ERR_CANCELLED) &&
        !(ended && (code == TB_ERR_ACTOR_DIED || code == TB_ERR_ACTOR_UNAVAILABLE)))
        return "the call fails with what nobody did to it";
    if (p->number != TBI_PROC_DRIVER) {
        r->caller_heard = true;
        return NULL;
    }
    caller = find_running(w, r->caller);
    if (!r->driver_heard && caller != NULL && (r->step == 4 || (r->asking == DRIVER_FIRST && r->step == 2)))
        caller->resuming = false;
    r->driver_heard = true;
    return NULL;
}

/* As soon as the head knows of the call, or when the caller has heard. */
static void driver_asks(struct world *w)
{
    struct races *r = &w->races;
    struct proc *driver = &w->proc[0];

    if (r->driver_asks || r->called_at == 0 || tbi_directory_maker(&w->sched->dir, r->call[1]) == NULL ||
        (r->asking == CALLER_FIRST && !r->caller_heard))
        return;
    r->driver_asks = true;
    add_handle(driver, r->call[1], false);
    send_object(driver, TBI_MSG_HOLD, r->call[1]);
    world_send_get(driver, r->call[1], 0);
    driver->asked++;
}

static const char *crash_actor(struct world *w)
{
    struct proc *p = find_actor(w);

    w->races.crash_at = 0;
    return p == NULL ? NULL : world_kill_proc(w, p);
}

static void send_kill(struct world *w, struct proc *p)
{
    struct msg_cancel *m = tbi_outbox_append(&p->out, TBI_MSG_KILL, p->number, sizeof *m);

    *m = (struct msg_cancel){w->races.actor, w->races.flags, 0};
}

const char *world_disturb(struct world *w)
{
    struct races *r = &w->races;
    struct proc *by = &w->proc[0];

    if (r->race == NO_RACE)
        return NULL;
    driver_asks(w);
    if (r->crash_at > 0 && w->events >= r->crash_at)
        return crash_actor(w);
    if (r->done || (r->race != CANCEL_TASK && r->called_at == 0) || w->events + 1 < r->at + r->called_at)
        return NULL;
    r->done = true;
    if (r->by_caller && find_running(w, r->caller) != NULL)
        by = find_running(w, r->caller);
    switch (r->race) {
    case CANCEL_TASK:
        world_send_cancel(by, by->handle[0].id, r->flags);
        return NULL;
    case CANCEL_CALL:
        world_send_cancel(by, r->call[1], r->flags);
        return NULL;
    case KILL_ACTOR:
        send_kill(w, by);
        return NULL;
    case CANCEL_AND_CRASH:
        world_send_cancel(by, r->call[1], r->flags);
        r->crash_at = w->events + 1 + pick(w, 16);
        return NULL;
    default:
        return crash_actor(w);
    }
}

const char *world_race_direct(uint64_t seed, enum race race, unsigned at, struct raced *raced)
{
    struct world *w = world_new();
    const char *why;

    world_create(w, seed, 3);
    w->races = (struct races){.race = race, .at = at, .asking = (enum asking)pick(w, 3), .by_caller = pick(w, 2),
                              .flags = pick(w, 2)};
    for (unsigned i = 0; i < RACE_CHANNELS; i++)
        w->races.slowness[i] = pick(w, 2) * pick(w, 4);
    begin_call(w);
    why = world_to_the_end(w);
    *raced = (struct raced){.late = !w->races.done, .direct = w->direct > 0};
    if (why == NULL && (!w->races.caller_heard || !w->races.driver_heard))
        why = "the caller or the driver has heard nothing";
    for (unsigned i = 0; i < w->noutcomes; i++)
        if (tbi_id_equal(w->outcome[i].id, w->races.call[1]))
            raced->heard = w->outcome[i].code;
    world_free(w);
    return why;
}
