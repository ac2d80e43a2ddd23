/* world.c - the network of the world and its loop: one event after the other, until nothing moves any more. */
#include "world_parts.h"

static struct proc *find_proc(struct world *w, unsigned rank, uint32_t number)
{
    for (unsigned i = 0; i < w->nprocs; i++)
        if (w->proc[i].rank == rank && w->proc[i].number == number)
            return &w->proc[i];
    return NULL;
}

/* ---- the network ---- */

static bool is_quiet(const struct world *w)
{
    for (unsigned i = 1; i < w->nprocs; i++)
        if (w->proc[i].alive && w->proc[i].running)
            return false;
    return true;
}

static void *from_head(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct world *w = ctx;

    if (type == TBI_MSG_TALLY) {
        assert_true(w->idle.given < 128);
        w->idle.quiet[w->idle.given++] = is_quiet(w);
    }
    return tbi_outbox_append(world_net_box(w, 0, rank, &w->to_agent[rank]), type, proc, size);
}

static void *from_agent(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct world_self *self = ctx;
    struct world *w = self->world;

    switch (tbi_msg_info[type].to) {
    case TBI_ROLE_AGENT:
        return tbi_outbox_append(world_net_box(w, self->rank, rank, &w->between[self->rank][rank]), type, proc, size);
    case TBI_ROLE_PROC:
        if (type == TBI_MSG_RUN || type == TBI_MSG_RESUME)
            world_note_turn(w, self->rank, type, proc);
        return tbi_outbox_append(&find_proc(w, self->rank, proc)->in, type, proc, size);
    default:
        return tbi_outbox_append(world_net_box(w, self->rank, 0, &w->to_head[self->rank]), type, proc, size);
    }
}

static void world_fork(void *ctx, uint32_t number)
{
    struct world_self *self = ctx;
    struct proc *p = &self->world->proc[self->world->nprocs++];

    assert_true(self->world->nprocs < WORLD_PROCS);
    *p = (struct proc){.rank = self->rank, .number = number, .alive = true,
                       .credit.units = self->world->limited ? 1 + pick(self->world, 3) : UINT32_MAX};
    if (self->world->barren == 0 && self->world->kills_left > 0 && pick(self->world, 30) == 0)
        self->world->barren = 1 + pick(self->world, 8);
    if (self->world->barren > 0) { /* no process can be started now */
        self->world->barren--;
        p->unborn = true;
        p->alive = false;
    }
}

static void world_unborn(struct world *w, struct proc *p)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_CRASHED, "no process, as the seed wants it");
    p->unborn = false;
    w->stillborn++;
    tbi_agent_unborn(agent_of(w, p->rank), p->number, &link, w->now);
}

static void world_say(void *ctx, const char *line)
{
    struct world_self *self = ctx;

    self->world->said += strlen(line) > 0;
}

static void world_copy(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t to,
                       uint64_t bytes)
{
    struct world_self *self = ctx;
    struct copying *c = self->world->copy;

    (void)rank, (void)from, (void)to, (void)bytes;
    while (c->active)
        c++;
    assert_true(c < self->world->copy + 64);
    *c = (struct copying){ticket, self->rank, true};
}

static void world_interrupt(void *ctx, uint32_t number, uint64_t task, bool others)
{
    struct world_self *self = ctx;
    struct proc *p = find_proc(self->world, self->rank, number);

    (void)others;
    if (p->running && p->run.number == task)
        p->cancelled = true;
}

static void world_kill(void *ctx, uint32_t number)
{
    struct world_self *self = ctx;
    struct proc *p = find_proc(self->world, self->rank, number);

    p->doomed = p->alive;
}

static void world_unread(void *ctx, const void *error, uint32_t bytes)
{
    (void)error, (void)bytes;
    ((struct world *)ctx)->unread++;
}

/* Whoever hears of an object hears the same. */
const char *world_note_outcome(struct world *w, struct tbi_id id, int code)
{
    unsigned i = 0;

    /* Freed meanwhile, for who passed it on did not hold it; or no room for a copy at this reader. */
    if (code == TB_ERR_REF || code == TB_ERR_STORE_FULL) {
        w->full += code == TB_ERR_STORE_FULL;
        return NULL;
    }
    while (i < w->noutcomes && !tbi_id_equal(w->outcome[i].id, id))
        i++;
    if (i < w->noutcomes)
        return w->outcome[i].code == code ? NULL : "an object has a value and an error, or two errors";
    w->outcome = tbi_realloc(w->outcome, (i + 1) * sizeof *w->outcome);
    w->outcome[w->noutcomes++] = (struct outcome){id, code};
    return NULL;
}

static uint64_t world_take_back(void *ctx, uint32_t number, uint64_t begun, uint64_t offered)
{
    struct world_self *self = ctx;
    struct proc *p = find_proc(self->world, self->rank, number);
    uint64_t from = p->next;

    assert_true(begun <= from && from <= offered);
    p->next = offered;
    return from;
}

const char *world_take_first(struct tbi_outbox *box, struct tbi_record **record)
{
    struct tbi_record *r = (void *)(box->data + box->begin);

    *record = tbi_copy(r, r->len); /* handlers append to boxes, this one perhaps */
    box->begin += r->len;
    if (box->begin == box->end)
        box->begin = box->end = 0;
    return tbi_record_check(*record, (*record)->len);
}

const char *world_agent_takes(struct world *w, unsigned rank, unsigned from, struct tbi_outbox *box)
{
    struct tbi_record *record;
    const char *why = world_take_first(box, &record);

    if (why == NULL)
        why = tbi_agent_handle(agent_of(w, rank), from, record, w->now);
    free(record);
    return why;
}

static const char *head_takes(struct world *w, unsigned rank)
{
    struct tbi_record *record;
    const char *why = world_take_first(&w->to_head[rank], &record);

    if (why == NULL && record->type == TBI_MSG_RESERVED) {
        bool granted = ((const struct msg_reserved *)(record + 1))->granted;

        *(granted ? &w->reserved : &w->refused) += 1;
    }
    if (why == NULL && record->type == TBI_MSG_SUBMIT) {
        const struct msg_call *call = tbi_submit_call((const void *)(record + 1));

        w->direct += call != NULL && call->flags & TBI_CALL_DIRECT;
    }
    w->stopped += record->type == TBI_MSG_STOPPED;
    w->evicted += record->type == TBI_MSG_EVICTED;
    if (why == NULL && record->type == TBI_MSG_FINISHED)
        why = world_finished(w, (const void *)(record + 1));
    if (why == NULL && record->type == TBI_MSG_TAKEN)
        w->taken += ((const struct msg_taken *)(record + 1))->ntasks;
    if (why == NULL)
        why = tbi_sched_handle(head_of(w), rank, record, w->now);
    free(record);
    if (pick(w, 2) == 0) /* the head runs its pass once per batch, however long that is */
        tbi_sched_run(head_of(w));
    return why;
}

/* ---- the loop ---- */

static void pass_time(struct world *w, uint64_t now)
{
    w->now = now;
    tbi_sched_tick(head_of(w), now);
    for (unsigned r = 0; r < w->nranks; r++)
        tbi_agent_tick(agent_of(w, r), now);
}

enum { EVENTS = 3 * WORLD_RANKS * WORLD_RANKS + 2 * WORLD_RANKS + 10 * WORLD_PROCS };

/* One event of all that are possible now; false: none is. */
static bool one_event(struct world *w, const char **why)
{
    struct event can[EVENTS], *e;
    unsigned n = 0;
    bool copied;

    for (unsigned a = 0; a < w->nranks; a++) {
        if (tbi_outbox_bytes(&w->to_head[a]) > 0)
            can[n].kind = HEAD, can[n++].a = a;
        if (tbi_outbox_bytes(&w->to_agent[a]) > 0)
            can[n].kind = AGENT, can[n++].a = a;
        for (unsigned b = 0; b < w->nranks; b++) {
            if (tbi_outbox_bytes(&w->between[a][b]) > 0)
                can[n].kind = BETWEEN, can[n].a = a, can[n++].b = b;
            if (world_net_can_send(w, a, b))
                can[n].kind = SEND, can[n].a = a, can[n++].b = b;
            if (world_net_can_arrive(w, a, b))
                can[n].kind = ARRIVE, can[n].a = a, can[n++].b = b;
        }
    }
    for (unsigned i = 0; i < 64; i++)
        if (w->copy[i].active)
            can[n].kind = COPY, can[n++].a = i;
    for (unsigned i = 0; i < w->nprocs; i++) {
        struct proc *p = &w->proc[i];

        if (p->unborn)
            can[n].kind = UNBORN, can[n++].a = i;
        if (!p->alive)
            continue;
        if (tbi_outbox_bytes(&p->in) > 0)
            can[n].kind = PROC_IN, can[n++].a = i;
        if (w->ring_bytes == 0 || i == 0)
            world_flush(w, p);
        if (p->in_ring > 0 && (p->rank == 0 || world_net_waiting(w, p->rank, 0) <= w->net.backlog))
            can[n].kind = PROC_OUT, can[n++].a = i;
        if (world_is_behind(p))
            can[n].kind = FLUSH, can[n++].a = i;
        if (p->doomed || (p->exiting && tbi_outbox_bytes(&p->out) == 0))
            can[n].kind = LEAVE, can[n++].a = i;
        if (!p->running && !p->exiting && tbi_outbox_bytes(&p->runs) > 0 && (w->hasty || !world_is_behind(p)))
            can[n].kind = BEGIN, can[n++].a = i;
        if (world_can_act(p))
            can[n].kind = ACT, can[n++].a = i;
        if (i > 0 && w->kills_left > 0 && pick(w, p->running && world_is_behind(p) ? 4 : 40) == 0)
            can[n].kind = KILL, can[n++].a = i;
    }
    if (n == 0)
        return false;
    if (pick(w, 200) == 0)
        can[n++].kind = TIME;
    e = &can[pick(w, n)];
    for (unsigned tries = 0; tries < world_race_slowness(w, e); tries++)
        e = &can[pick(w, n)];
    for (int tries = 0; tries < 4 && e->kind == PROC_OUT && w->ring_bytes > 0; tries++)
        e = &can[pick(w, n)]; /* the agent reads slowly, so that rings become full */
    switch (e->kind) {
    case HEAD:
        *why = head_takes(w, e->a);
        break;
    case AGENT:
        *why = world_agent_takes(w, e->a, 0, &w->to_agent[e->a]);
        break;
    case BETWEEN:
        *why = world_agent_takes(w, e->b, e->a, &w->between[e->a][e->b]);
        break;
    case COPY:
        w->copy[e->a].active = false;
        copied = w->races.race != NO_RACE || pick(w, 20) > 0; /* else there is no memory for it */
        w->copies_failed += !copied;
        tbi_agent_copied(agent_of(w, w->copy[e->a].rank), w->copy[e->a].ticket, copied);
        break;
    case SEND:
        *why = world_net_send(w, e->a, e->b);
        break;
    case ARRIVE:
        *why = world_net_arrive(w, e->a, e->b);
        break;
    case PROC_IN:
        *why = world_proc_takes(w, &w->proc[e->a]);
        break;
    case PROC_OUT:
        *why = world_read_ring(w, &w->proc[e->a]);
        break;
    case FLUSH:
        world_flush(w, &w->proc[e->a]);
        break;
    case BEGIN:
        *why = world_next_task(w, &w->proc[e->a]);
        break;
    case ACT:
        world_act(w, &w->proc[e->a]);
        break;
    case TIME:
        pass_time(w, w->now + pick(w, 700));
        break;
    case KILL:
        w->kills_left--;
        *why = world_kill_proc(w, &w->proc[e->a]);
        break;
    case UNBORN:
        world_unborn(w, &w->proc[e->a]);
        break;
    case LEAVE:
        *why = world_kill_proc(w, &w->proc[e->a]);
    }
    w->events++;
    return true;
}

/* The books of those whose state may have changed since the last check; of large worlds at some events only. */
static const char *check(struct world *w)
{
    if (w->passed_too_often)
        return "tasks have resumed past one that waits more often than they may";
    if (w->nranks > WORLD_RANKS_FEW && w->events % 64 != 0)
        return NULL;
    if (w->head_touched)
        TRY(tbi_sched_check(w->sched));
    for (unsigned r = 0; r < w->nranks; r++)
        if (w->agent_touched[r])
            TRY(tbi_agent_check(w->agent[r]));
    w->head_touched = false;
    memset(w->agent_touched, 0, sizeof w->agent_touched);
    return NULL;
}

/* Until nothing moves any more; time passes only then, as far as the next deadline. */
static const char *until_quiet(struct world *w)
{
    for (int events = 0;; events++) {
        uint64_t deadline = tbi_sched_deadline(w->sched);
        const char *why = NULL;

        TRY(world_disturb(w));
        if (events > 200000)
            return "the world does not come to rest";
        if (one_event(w, &why)) {
            TRY(why);
            TRY(check(w));
            continue;
        }
        tbi_sched_run(head_of(w));
        for (unsigned r = 0; r < w->nranks; r++) {
            world_note_hold(w, r);
            if (tbi_agent_deadline(w->agent[r]) < deadline)
                deadline = tbi_agent_deadline(w->agent[r]);
            if (tbi_outbox_bytes(&w->to_agent[r]) > 0 || world_net_can_send(w, 0, r))
                deadline = w->now;
        }
        if (deadline == UINT64_MAX && world_go_on_without_credit(w))
            continue;
        if (deadline == UINT64_MAX)
            return world_books_are_clean(w);
        pass_time(w, deadline);
    }
}

static const char *nothing_left(struct world *w)
{
    struct tbi_sched_counts s = tbi_sched_counts(w->sched);

    if (s.tasks != 0)
        return "tasks are left";
    if (s.makers != 0)
        return "objects are left in the directory";
    if (s.announced != 0)
        return "the head waits for calls that will not come";
    if (s.asking != 0)
        return "a process still waits for credit";
    if (s.load != 0)
        return "the forecast is not empty";
    for (unsigned r = 0; r < w->nranks; r++) {
        struct tbi_agent_counts a = tbi_agent_counts(w->agent[r]);

        if (a.jobs != 0 || a.running != 0 || a.executors != 0)
            return "jobs or executors are left";
        if (a.pins != 0 || a.leases != 0)
            return "pins or leases are left";
        if (a.objects != 0 || a.store_used != 0)
            return "objects are left in a store";
    }
    return NULL;
}

struct world *world_new(void)
{
    struct world *w = tbi_alloc(sizeof *w);

    memset(w, 0, offsetof(struct world, proc));
    return w;
}

void world_create(struct world *w, uint64_t seed, unsigned nranks)
{
    int32_t cpus[WORLD_RANKS];
    int64_t totals[WORLD_RANKS][TBI_CUSTOM] = {{0}};
    unsigned host[WORLD_RANKS];

    w->seed = seed;
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    w->nranks = nranks > 0 ? nranks : 1 + pick(w, WORLD_RANKS_FEW);
    w->tasks_left = 10 + pick(w, 50);
    w->kills_left = pick(w, 3) ? pick(w, 8) : 0;
    w->groups_max = pick(w, 2) ? WORLD_GROUPS : 0;
    w->own_groups_max = pick(w, 3) == 0 ? WORLD_OWN_GROUPS : 0;
    w->actors_max = pick(w, 2) ? 1 + pick(w, 8) : 0;
    w->calls_more = pick(w, 2);
    w->gated = nranks == 0 && pick(w, 2);
    w->most_processes = nranks == 0 && pick(w, 4) == 0 ? 1 + pick(w, 4) : WORLD_PROCS;
    w->limited = pick(w, 2);
    w->tasks_left += w->actors_max > 0 && w->calls_more ? 100 : 0;
    w->ring_bytes = pick(w, 2) ? 0 : (size_t)64 << pick(w, 6);
    w->hasty = pick(w, 2);
    w->picky = nranks == 0 && pick(w, 3) == 0;
    w->idle.most = 60;
    w->alike = w->ring_bytes > 0 && pick(w, 2);
    for (unsigned r = 0; r < w->nranks; r++) {
        cpus[r] = r == 0 && w->nranks > 1 ? 0 : 10000 * (1 + (int32_t)pick(w, 3));
        totals[r][TBI_CPUS] = cpus[r];
        totals[r][TBI_GPUS] = cpus[r] > 0 ? 10000 * pick(w, 4) : 0;
        host[r] = pick(w, 2);
    }
    struct tbi_sched_config sc = {.nranks = w->nranks, .nresources = TBI_CUSTOM,
                                  .totals = totals[0], .host = host, .seed = seed % 2,
                                  .queue = w->limited ? pick(w, 24) : 1 << 18, .ahead = pick(w, 6), .overtakes = 1 + pick(w, 8),
                                  .nfunctions = 1, .unread = world_unread, .unread_ctx = w};
    w->sched = tbi_sched_create(&sc, (struct tbi_port){w, from_head});
    w->proc[w->nprocs++] = (struct proc){.alive = true, .running = true, .steps = 30};
    for (unsigned r = 0; r < w->nranks; r++) {
        struct tbi_agent_config ac = {
            .rank = r, .nranks = w->nranks, .host = host,
            .resources = {.nresources = TBI_CUSTOM, .totals = totals[r]},
            .max_executors = 1 + pick(w, 5), .most_processes = w->most_processes,
            .birth_patience_us = 1 + pick(w, 100000), .offers = w->alike ? 3 : pick(w, 4),
            .overtakes = 1 + pick(w, 8), .nested = pick(w, 3) * 3,
            .store_bytes = 4096 * (4 + pick(w, 60)), .page_bytes = 4096,
            .last_proc = TBI_ID_PROC_MAX, .create_timeout_us = 1000,
            .grace_us = 1 + pick(w, 1000), .fetch = TBI_FETCH_RMA};

        w->self[r].world = w;
        w->self[r].rank = r;
        w->agent[r] = tbi_agent_create(&ac, (struct tbi_port){&w->self[r], from_agent},
                                       (struct tbi_agent_ops){&w->self[r], world_fork,
                                                              world_copy, NULL,
                                                              world_take_back, world_interrupt,
                                                              world_kill, world_say});
    }
    if (nranks == 0 && w->nranks > 1 && pick(w, 2)) {
        world_net_create(w, (size_t)64 << pick(w, 7), 1 + pick(w, 3 * w->nranks));
        w->net.backlog = (size_t)256 << pick(w, 6);
    }
}

const char *world_to_the_end(struct world *w)
{
    struct proc *driver = &w->proc[0];

    TRY(until_quiet(w));
    TRY(world_calls_go_on(w));
    TRY(world_tasks_go_on(w));
    TRY(world_groups_go_on(w));
    TRY(world_no_task_waits_for_itself(w));
    for (unsigned g = 0, a = 0; g < w->ngroups || a < w->nactors;) { /* else they, or who waits for what they
                                                                       * have, might wait for ever */
        a = w->nactors;
        world_kill_all(w);
        for (; g < w->ngroups; g++)
            send_object(driver, TBI_MSG_UNGROUP, w->group[g]);
        TRY(until_quiet(w)); /* tasks that could begin now may have made more */
    }
    if (driver->running || driver->answered < driver->asked)
        return "a ref of the driver never became ready or failed";
    /* The end of the job: the driver lets go of everything, and executors leave. */
    w->kills_left = 0;
    while (driver->nhandles > 0)
        world_drop_handle(driver, driver->nhandles - 1);
    while (driver->npinned > 0)
        send_object(driver, TBI_MSG_UNPIN, driver->pinned[--driver->npinned]);
    TRY(until_quiet(w));
    for (bool any = true; any;) { /* actors may be begun again meanwhile, and submit tasks */
        any = false;
        for (unsigned i = 1; i < w->nprocs; i++)
            if (w->proc[i].alive) {
                if (w->proc[i].running)
                    return "a task never ended";
                any = true;
                w->killed--;
                TRY(world_kill_proc(w, &w->proc[i]));
            }
        TRY(until_quiet(w));
    }
    for (unsigned ticket = 1; ticket <= w->idle.asked; ticket++)
        if (!w->idle.answered[ticket])
            return "the driver was not told that nothing is unfinished";
    return nothing_left(w);
}

const char *world_run(uint64_t seed, struct world **out)
{
    struct world *w = world_new();

    *out = w;
    world_create(w, seed, 0);
    return world_to_the_end(w);
}

const char *world_run_many(uint64_t seed, unsigned nranks, struct world **out)
{
    struct world *w = tbi_alloc_zeroed(1, sizeof *w);

    *out = w;
    world_create(w, seed, nranks);
    w->tasks_left = 300;
    w->proc[0].steps = 400;
    world_net_create(w, (size_t)128 << pick(w, 6), nranks);
    w->net.backlog = 1024;
    return world_to_the_end(w);
}

void world_free(struct world *w)
{
    world_net_free(w);
    tbi_sched_destroy(w->sched);
    for (unsigned a = 0; a < w->nranks; a++) {
        tbi_agent_destroy(w->agent[a]);
        tbi_outbox_fini(&w->to_head[a]);
        tbi_outbox_fini(&w->to_agent[a]);
        for (unsigned b = 0; b < w->nranks; b++)
            tbi_outbox_fini(&w->between[a][b]);
    }
    for (unsigned i = 0; i < w->nprocs; i++) {
        tbi_outbox_fini(&w->proc[i].in);
        tbi_outbox_fini(&w->proc[i].runs);
        tbi_outbox_fini(&w->proc[i].out);
    }
    tbi_map_fini(&w->started);
    tbi_map_fini(&w->fresh);
    world_actors_free(w);
    free(w->outcome);
    free(w);
}
