/* world_procs.c - the processes of the world: what they submit, put, get, hold and let go of, how they end. */
#include "world_parts.h"

bool world_is_behind(const struct proc *p)
{
    return p->in_ring < tbi_outbox_bytes(&p->out);
}

void world_flush(struct world *w, struct proc *p)
{
    bool limited = w->ring_bytes > 0 && p->number != TBI_PROC_DRIVER;

    while (world_is_behind(p)) {
        const struct tbi_record *r = (const void *)(p->out.data + p->out.begin + p->in_ring);

        if (limited && p->in_ring > 0 && p->in_ring + r->len > w->ring_bytes)
            return;
        p->in_ring += r->len;
        if (r->type == TBI_MSG_DONE)
            world_call_done(w, ((const struct msg_done *)(r + 1))->task);
    }
}

const char *world_read_ring(struct world *w, struct proc *p)
{
    p->in_ring -= ((const struct tbi_record *)(p->out.data + p->out.begin))->len;
    return world_agent_takes(w, p->rank, p->rank, &p->out);
}

/* What found no room is lost. */
static void lose_backlog(struct world *w, struct proc *p, bool running)
{
    for (; tbi_outbox_bytes(&p->out) > 0;) {
        const struct tbi_record *r = (const void *)(p->out.data + p->out.begin);

        w->untold += r->type == TBI_MSG_DONE;
        w->several += r->type == TBI_MSG_DONE && running && tbi_id_is_null(p->actor);
        p->out.begin += r->len;
    }
}

static void send_task(struct proc *p, enum tbi_msg type)
{
    struct msg_task *m = tbi_outbox_append(&p->out, type, p->number, sizeof *m);

    *m = (struct msg_task){p->run.task, p->run.attempt, 0};
}

void world_send_get(struct proc *p, struct tbi_id id, uint32_t flags)
{
    struct msg_get *m = tbi_outbox_append(&p->out, TBI_MSG_GET, p->number, sizeof *m);

    *m = (struct msg_get){id, flags, 0};
}

static bool has_handle(const struct proc *p, struct tbi_id id)
{
    for (unsigned i = 0; i < p->nhandles; i++)
        if (tbi_id_equal(p->handle[i].id, id))
            return true;
    for (unsigned i = 0; i < p->nkept; i++)
        if (tbi_id_equal(p->kept[i], id))
            return true;
    return false;
}

/* Ids inside a value: the fakes' values are nothing but lists of ids, but for those of groups. A handle that came with an
 * argument is covered by the task; one read from an object is announced at once. */
static void adopt(struct world *w, struct proc *p, const void *value, uint64_t bytes, bool borrowed)
{
    const struct tbi_id *id = value;

    for (uint64_t k = 0; k < bytes / sizeof *id; k++)
        if (p->nhandles < WORLD_HANDLES - 8 && tbi_id_job(id[k]) == 1 && !has_handle(p, id[k])) {
            add_handle(p, id[k], borrowed);
            p->handle[p->nhandles - 1].actor = world_is_actor(w, id[k]);
            if (!borrowed)
                send_object(p, TBI_MSG_HOLD, id[k]);
        }
}

void world_drop_handle(struct proc *p, unsigned i)
{
    if (!p->handle[i].borrowed)
        send_object(p, TBI_MSG_RELEASE, p->handle[i].id);
    p->handle[i] = p->handle[--p->nhandles];
}

/* But for the gate: the driver still has to seal it. */
static void drop_some_handle(struct world *w, struct proc *p)
{
    unsigned i = pick(w, p->nhandles);

    if (p->number != TBI_PROC_DRIVER || !tbi_id_equal(p->handle[i].id, w->gate))
        world_drop_handle(p, i);
}

static struct tbi_amount some_gpus(struct world *w)
{
    static const int64_t amount[] = {2500, 5000, 10000, 20000};

    return (struct tbi_amount){.resource = TBI_GPUS, .amount = amount[pick(w, 4)]};
}

/* Its ref is held from now on, as tb_group_ready would. */
static void do_group(struct world *w, struct proc *p)
{
    unsigned n = 1 + pick(w, 3), gpus = pick(w, 4) == 0;
    struct msg_bundle *bundle;
    struct msg_group *m;

    if (w->ngroups - w->own_groups == w->groups_max || p->nhandles > WORLD_HANDLES - 12)
        return;
    m = tbi_outbox_append(&p->out, TBI_MSG_GROUP, p->number, sizeof *m + n * (sizeof *bundle + gpus * sizeof(struct tbi_amount)));
    *m = (struct msg_group){new_id(p), pick(w, 4), n};
    bundle = (struct msg_bundle *)(m + 1);
    for (unsigned b = 0; b < n; b++) {
        *bundle = (struct msg_bundle){(int32_t)pick(w, 5) * 5000, gpus};
        if (gpus)
            *(struct tbi_amount *)(bundle + 1) = some_gpus(w);
        bundle = (struct msg_bundle *)tbi_bundle_next(bundle);
    }
    w->group[w->ngroups++] = m->id;
    add_handle(p, m->id, false);
    send_object(p, TBI_MSG_HOLD, p->handle[p->nhandles - 1].id);
}

/* A task makes a group of as many CPUs as it has, and waits for it. */
static void do_own_group(struct world *w, struct proc *p)
{
    struct msg_group *m;

    if (w->own_groups == w->own_groups_max || !tbi_id_is_null(p->own) || p->nhandles > WORLD_HANDLES - 12 ||
        p->run.ngpus > 0 || w->most_processes < WORLD_PROCS)
        return;
    m = tbi_outbox_append(&p->out, TBI_MSG_GROUP, p->number, sizeof *m + sizeof(struct msg_bundle));
    *m = (struct msg_group){new_id(p), pick(w, 4), 1};
    *(struct msg_bundle *)(m + 1) = (struct msg_bundle){p->run.cpus > 0 ? p->run.cpus : 5000, 0};
    p->own = m->id;
    w->own_groups++;
    w->group[w->ngroups++] = p->own;
    add_handle(p, p->own, false);
    send_object(p, TBI_MSG_HOLD, p->own);
    world_wait(p, p->own);
}

/* ... and removes it, as a rule. */
static void end_own_group(struct world *w, struct proc *p)
{
    if (!tbi_id_is_null(p->own) && pick(w, 4) > 0)
        send_object(p, TBI_MSG_UNGROUP, p->own);
    p->own = (struct tbi_id){0};
}

static void do_ungroup(struct world *w, struct proc *p)
{
    if (w->ngroups > 0 && pick(w, 3) == 0)
        send_object(p, TBI_MSG_UNGROUP, w->group[pick(w, w->ngroups)]);
}

/* ---- credit ---- */

static void ask_if_due(struct proc *p)
{
    if (p->credit.used < p->credit.units || p->credit.asked != p->credit.granted || p->number == TBI_PROC_DRIVER)
        return;
    *(struct msg_credit *)tbi_outbox_append(&p->out, TBI_MSG_CREDIT, p->number, sizeof(struct msg_credit)) =
        (struct msg_credit){.number = ++p->credit.asked};
    p->credit.used = 0;
}

void world_use_credit(struct proc *p, const struct msg_submit *m)
{
    p->credit.used += tbi_submit_units(m);
    ask_if_due(p);
}

bool world_starves(struct world *w, struct proc *p)
{
    ask_if_due(p);
    if (p->number == TBI_PROC_DRIVER || p->credit.used < p->credit.units)
        return false;
    p->starving = true;
    w->starved++;
    if (p->run.kind != TBI_CALL)
        send_task(p, TBI_MSG_BLOCK);
    return true;
}

static void leave_wait(struct proc *p);

static void got_credit(struct proc *p, const struct msg_credit *m)
{
    if (m->number != p->credit.asked)
        return;
    p->credit.granted = m->number;
    p->credit.units = m->units;
    if (p->starving)
        leave_wait(p);
    p->starving = false;
}

bool world_go_on_without_credit(struct world *w)
{
    bool any = false;

    for (unsigned i = 1; i < w->nprocs; i++) {
        struct proc *p = &w->proc[i];

        if (!p->alive || !p->starving || (w->most_processes == WORLD_PROCS && p->run.ngpus == 0))
            continue;
        p->starving = false;
        p->credit.units++;
        leave_wait(p);
        any = true;
    }
    return any;
}

static void do_submit(struct world *w, struct proc *p)
{
    bool some = !tbi_id_is_null(some_ref(w, p));
    unsigned nresolve = some ? pick(w, 3) : 0, nheld = p->nhandles ? pick(w, 3) : 0;
    unsigned depth = p->number == 0 ? 0 : p->run.depth + 1u, nrefs = nresolve + nheld;
    unsigned nargs = nresolve + (nheld > 0);
    bool grouped = w->ngroups > 0 && pick(w, 3) == 0 && !w->alike, gpus = pick(w, 6) == 0 && !w->alike;
    struct tbi_amount *more;
    struct tbi_id *refs;
    uint64_t *args;
    struct msg_submit *m;

    if (w->tasks_left == 0 || depth > 3 || p->nhandles > WORLD_HANDLES - 12 || world_starves(w, p))
        return;
    w->tasks_left--;
    m = tbi_outbox_append(&p->out, TBI_MSG_SUBMIT, p->number,
                          sizeof *m + nrefs * 16 + nargs * 8 + nheld * 16 + gpus * sizeof *more +
                              grouped * sizeof(struct tbi_id));
    *m = (struct msg_submit){.max_retries = (int32_t)pick(w, 4) - 1,
                             .retry_codes = pick(w, 2) << -TB_ERR_TASK | pick(w, 2) << -TB_ERR_TIMEOUT,
                             .retry_delay_ms = pick(w, 3) / 2, .limit_ms = pick(w, 6) / 5,
                             .task = new_id(p), .parent = p->run.task, .depth = (uint16_t)depth,
                             .cpus = w->alike ? 10000 : (int32_t)pick(w, 5) * 5000,
                             .strategy = (uint8_t)(pick(w, 3) ? TBI_DEFAULT : pick(w, 4)),
                             .node = pick(w, w->nranks), .nargs = (uint16_t)nargs,
                             .nrefs = (uint16_t)nrefs, .nresolve = (uint16_t)nresolve,
                             .nreturns = (uint16_t)pick(w, 3), .data_bytes = nheld * 16};
    world_may_be_fresh(w, m);
    refs = (struct tbi_id *)(m + 1);
    args = (uint64_t *)(refs + nrefs);
    for (unsigned i = 0; i < nrefs; i++)
        refs[i] = i < nresolve ? some_ref(w, p) : p->handle[pick(w, p->nhandles)].id;
    for (unsigned i = 0; i < nresolve; i++)
        args[i] = TBI_ARG_REF | i;
    if (nheld > 0) {
        args[nresolve] = nheld * 16;
        memcpy(args + nargs, refs + nresolve, nheld * 16);
    }
    more = (struct tbi_amount *)(args + nargs + nheld * 2);
    m->nmore = gpus;
    if (gpus)
        *more = some_gpus(w);
    if (grouped) {
        m->strategy = TBI_IN_GROUP;
        *(struct tbi_id *)(more + gpus) =
            !tbi_id_is_null(p->own) && pick(w, 2) ? p->own
                                                   : tbi_id_with_index(w->group[pick(w, w->ngroups)], pick(w, 3));
    }
    for (unsigned i = 0; i < m->nreturns; i++)
        add_handle(p, tbi_id_with_index(m->task, i), false);
    world_use_credit(p, m);
}

/* The task that the driver submits last, and that needs nothing but a CPU: what waits at the gate waits for it. */
static void submit_opener(struct world *w, struct proc *p)
{
    struct msg_submit *m = tbi_outbox_append(&p->out, TBI_MSG_SUBMIT, p->number, sizeof *m);

    *m = (struct msg_submit){.task = new_id(p), .cpus = (int32_t)pick(w, 3) * 5000, .nreturns = 1,
                             .strategy = TBI_DEFAULT};
    w->opener = m->task;
    add_handle(p, m->task, false);
}

/* An object that the driver announces and seals only when it has heard of a task that comes later: nobody but the
 * driver knows that who waits for the one waits for the other, as in a queue. */
static void open_gate(struct world *w, struct proc *p)
{
    struct msg_seal *seal = tbi_outbox_append(&p->out, TBI_MSG_SEAL, p->number, sizeof *seal);

    *seal = (struct msg_seal){w->gate, 1, 0, p->rank};
    w->gate_open = true;
    w->gates_opened++;
}

void world_send_cancel(struct proc *p, struct tbi_id id, uint32_t flags)
{
    struct msg_cancel *m = tbi_outbox_append(&p->out, TBI_MSG_CANCEL, p->number, sizeof *m);

    *m = (struct msg_cancel){id, flags, 0};
}

static void do_cancel(struct world *w, struct proc *p)
{
    if (!tbi_id_is_null(some_ref(w, p)) && pick(w, 2) == 0)
        world_send_cancel(p, some_ref(w, p), pick(w, 4));
}

static void do_put(struct world *w, struct proc *p)
{
    unsigned nrefs = p->nhandles ? pick(w, 3) : 0;
    struct msg_put *m;
    struct tbi_id *ids;

    if (p->nhandles > WORLD_HANDLES - 12)
        return;
    m = tbi_outbox_append(&p->out, TBI_MSG_PUT, p->number, sizeof *m + nrefs * 32);
    ids = (struct tbi_id *)(m + 1);
    *m = (struct msg_put){new_id(p), nrefs, nrefs * 16};
    for (unsigned i = 0; i < nrefs; i++)
        ids[i] = ids[nrefs + i] = p->handle[pick(w, p->nhandles)].id;
    add_handle(p, m->id, false);
}

static void do_create(struct world *w, struct proc *p, struct tbi_id id)
{
    struct msg_create *m = tbi_outbox_append(&p->out, TBI_MSG_CREATE, p->number, sizeof *m);

    *m = (struct msg_create){id, 1 + pick(w, 6 * 4096)};
    p->creating = id;
}

void world_wait(struct proc *p, struct tbi_id id)
{
    p->waiting = id;
    world_send_get(p, id, TBI_GET_WANTED);
    if (p->run.kind != TBI_CALL) /* an actor keeps what it has */
        send_task(p, TBI_MSG_BLOCK);
}

static void do_get(struct world *w, struct proc *p)
{
    struct tbi_id ref = some_ref(w, p);

    if (tbi_id_is_null(ref) || p->number == 0 || p->run.ngpus > 0 || w->most_processes < WORLD_PROCS)
        return; /* who keeps GPUs, or a process, while it waits may wait for who needs them */
    w->gate_waits += tbi_id_equal(ref, w->gate) && !w->gate_open;
    world_wait(p, ref);
}

void world_end_task(struct world *w, struct proc *p)
{
    unsigned n = p->run.nreturns, nrefs[4] = {0}, total = 0, nkept = 0, data = 0;
    struct tbi_error_link link;
    struct tbi_id kept[WORLD_HANDLES], *ids;
    struct tbi_result *result;
    struct msg_done *m;
    uint8_t *at;
    bool steady = w->races.race > CANCEL_TASK; /* all ends well but for what races */
    bool fails = !steady && pick(w, 12) == 0, exits = !steady && p->run.kind == TBI_CALL && pick(w, 20) == 0;
    bool constructs = p->run.kind == TBI_ACTOR && !fails;

    end_own_group(w, p);
    if (fails)
        n = 0;
    for (unsigned i = 0; i < n; i++)
        if (!(p->stored >> i & 1)) {
            nrefs[i] = p->nhandles ? pick(w, 2) : 0;
            total += nrefs[i];
            data += nrefs[i] * 16;
        }
    for (unsigned i = 0; i < p->nhandles; i++)
        if (p->handle[i].borrowed && pick(w, 3) == 0 && p->nkept + nkept < WORLD_HANDLES)
            kept[nkept++] = p->handle[i].id;
    if (fails)
        data = sizeof link;
    m = tbi_outbox_append(&p->out, constructs ? TBI_MSG_CONSTRUCTED : TBI_MSG_DONE, p->number,
                          sizeof *m + n * sizeof *result + (total + nkept) * 16 + data);
    *m = (struct msg_done){.task = p->run.task, .attempt = p->run.attempt, .nkept = nkept,
                           .nresults = (uint16_t)n, .data_bytes = data,
                           .error = fails ? TB_ERR_TASK : 0, .exits = exits, .run_us = pick(w, 2) * pick(w, 4000),
                           .error_bytes = fails ? sizeof link : 0};
    result = (struct tbi_result *)(m + 1);
    ids = (struct tbi_id *)(result + n);
    at = (uint8_t *)(ids + total + nkept);
    for (unsigned i = 0; i < n; i++) {
        if (p->stored >> i & 1)
            result[i] = (struct tbi_result){TBI_AT_STORE, 0, p->made[i]};
        else
            result[i] = (struct tbi_result){TBI_AT_INLINE, nrefs[i], nrefs[i] * 16};
        for (unsigned k = 0; k < nrefs[i]; k++) {
            *ids = p->handle[pick(w, p->nhandles)].id;
            memcpy(at, ids++, 16);
            at += 16;
        }
    }
    memcpy(ids, kept, nkept * 16);
    if (fails) {
        tbi_error_link(&link, TB_ERR_TASK, "as the seed wants it");
        memcpy(at, &link, sizeof link);
    }
    for (unsigned i = 0; i < nkept; i++)
        p->kept[p->nkept++] = kept[i];
    while (p->nhandles > 0) { /* its own refs are released when it ends */
        struct tbi_id id = p->handle[p->nhandles - 1].id;

        if (p->handle[p->nhandles - 1].borrowed)
            p->nhandles--;
        else if (pick(w, 8) == 0 && p->nkept < WORLD_HANDLES)
            p->kept[p->nkept++] = id, p->nhandles--; /* or kept by tb_retain */
        else
            world_drop_handle(p, p->nhandles - 1);
    }
    while (p->npinned > 0)
        send_object(p, TBI_MSG_UNPIN, p->pinned[--p->npinned]);
    while (p->nkept > WORLD_HANDLES / 2 || (p->nkept > 0 && pick(w, 3) == 0))
        send_object(p, TBI_MSG_RELEASE, p->kept[--p->nkept]);
    if (constructs) {
        p->actor = p->run.task;
        p->epoch = p->run.attempt;
        w->constructed++;
        w->restarted += p->epoch > 0;
    }
    w->exited += exits;
    if (exits && tbi_map_get(&w->exits, p->actor) == NULL)
        tbi_map_put(&w->exits, p->actor, w);
    p->exiting |= exits;
    p->running = false;
}

/* To be told when nothing is unfinished, or how much is; perhaps of a question that waits already. */
static void ask_what_is_unfinished(struct world *w, struct proc *p)
{
    struct msg_await_idle *m;
    bool waits = pick(w, 2), again = !waits && w->idle.asked > 0 && pick(w, 2);

    if (w->idle.asked == w->idle.most)
        return;
    m = tbi_outbox_append(&p->out, TBI_MSG_AWAIT_IDLE, p->number, sizeof *m);
    *m = (struct msg_await_idle){again ? 1 + pick(w, w->idle.asked) : ++w->idle.asked, waits};
    w->idle.waits += waits;
}

static const char *told_what_is_unfinished(struct world *w, const struct msg_unfinished *m)
{
    bool quiet = w->idle.quiet[w->idle.told++];

    w->idle.answered[m->ticket] = true;
    if (m->tasks + m->calls + m->actors > 0)
        return NULL;
    w->idle.idle++;
    return quiet ? NULL : "the driver is told that nothing is unfinished while a process runs something";
}

bool world_can_act(const struct proc *p)
{
    return p->alive && p->running && tbi_id_is_null(p->waiting) && !p->resuming && !p->starving &&
           tbi_id_is_null(p->creating);
}

void world_act(struct world *w, struct proc *p)
{
    if (world_race_act(w, p))
        return;
    if (p->number == TBI_PROC_DRIVER && p->steps >= 0 && w->idle.most > 0 && pick(w, 8) == 0)
        ask_what_is_unfinished(w, p);
    if (w->gated && p->number == TBI_PROC_DRIVER && p->steps > 0 && tbi_id_is_null(w->gate)) {
        w->gated = false;
        do_create(w, p, w->gate = new_id(p));
        return;
    }
    if (w->own_groups_max > 0 && p->steps > 0 && p->number != TBI_PROC_DRIVER && tbi_id_is_null(p->own) && pick(w, 4) == 0) {
        do_own_group(w, p);
        if (!tbi_id_is_null(p->waiting))
            return;
    }
    if (p->steps-- > 0 && p->number != TBI_PROC_DRIVER && w->calls_more && w->actors_max > 0 && pick(w, 3) > 0) {
        if (pick(w, 3) == 0) /* executors are what calls directly: they know of the results before the head */
            pick(w, 2) ? do_cancel(w, p) : do_get(w, p);
        else if (!world_do_call(w, p))
            world_do_actor(w, p);
    } else if (p->steps >= 0) {
        switch (pick(w, w->actors_max > 0 ? 18 : 11)) {
        case 11:
            world_do_actor(w, p);
            break;
        case 12: case 13: case 14:
            world_do_call(w, p);
            break;
        case 15:
            world_do_kill(w, p);
            break;
        case 16:
            world_do_find(w, p);
            break;
        case 17:
            world_do_checkpoint(w, p);
            break;
        case 10:
            do_group(w, p);
            break;
        case 9:
            do_ungroup(w, p);
            break;
        case 8:
            do_cancel(w, p);
            break;
        case 0: case 1: case 2:
            do_submit(w, p);
            break;
        case 3:
            do_put(w, p);
            break;
        case 4:
            if (p->nhandles < WORLD_HANDLES - 12)
                do_create(w, p, new_id(p));
            break;
        case 5:
            if (p->npinned > 0)
                send_object(p, TBI_MSG_UNPIN, p->pinned[--p->npinned]);
            else if (p->nhandles > 0)
                drop_some_handle(w, p);
            break;
        default:
            do_get(w, p);
        }
    } else if (p->number == TBI_PROC_DRIVER) {
        if (!tbi_id_is_null(w->gate))
            submit_opener(w, p);
        for (unsigned i = 0; i < p->nhandles; i++) /* the last act: every ref ends */
            if (!p->handle[i].actor) {
                world_send_get(p, p->handle[i].id, pick(w, 3) == 0 ? TBI_GET_EXISTS : 0);
                p->asked++;
            }
        p->running = false;
    } else if (p->results_made < p->run.nreturns && pick(w, 2) == 0) {
        do_create(w, p, tbi_id_with_index(p->run.task, p->results_made));
    } else if (p->results_made < p->run.nreturns && pick(w, 2) == 0) {
        p->results_made++;
    } else {
        world_end_task(w, p);
    }
}

static const char *begin_task(struct world *w, struct proc *p, const struct tbi_record *r)
{
    const struct msg_run *m = (const void *)(r + 1);
    const struct tbi_run_arg *arg = (const void *)(m + 1);
    uintptr_t attempts;

    if (p->running)
        return "RUN to an executor that runs a task";
    attempts = (uintptr_t)tbi_map_take(&w->started, m->task);
    if (m->attempt < attempts) /* one may have died before it began */
        return "an attempt ran twice, or out of turn";
    tbi_map_put(&w->started, m->task, (void *)((uintptr_t)m->attempt + 1));
    w->ran++;
    w->ran_in_groups += m->in_bundle;
    w->ran_with_gpus += m->ngpus > 0;
    w->retried += m->attempt > 0;
    if (m->kind == TBI_CALL)
        TRY(world_call_begins(w, p, m));
    else if (!tbi_id_is_null(p->actor))
        return "a task is given to an actor";
    if (p->spent || (tbi_map_get(&w->fresh, m->task) != NULL && p->begun > 0))
        return "a task that was to have a process of its own shares it";
    p->begun++;
    if (m->kind != TBI_CALL && tbi_map_get(&w->fresh, m->task) != NULL)
        w->alone++, p->spent = m->kind == TBI_TASK;
    p->run = *m;
    if (m->kind == TBI_ACTOR)
        p->run.nreturns = 0; /* it makes itself */
    p->running = true;
    p->steps = (int)pick(w, w->calls_more && w->actors_max > 0 ? 24 : 8);
    p->cancelled = false;
    p->results_made = 0;
    p->stored = 0;
    for (unsigned i = 0; i < m->nargs; i++)
        if (arg[i].rank == TBI_ARG_INLINE)
            adopt(w, p, (const uint8_t *)(arg + m->nargs) + arg[i].offset, arg[i].bytes, true);
    return NULL;
}

/* Begins the next task it was given, unless the agent took it back. */
const char *world_next_task(struct world *w, struct proc *p)
{
    struct tbi_record *r;
    const char *why = world_take_first(&p->runs, &r);
    uint64_t number = ((const struct msg_run *)(r + 1))->number;

    if (why == NULL && number > p->next)
        why = "a task was given out of order";
    if (why == NULL && number == p->next) {
        p->next++;
        why = begin_task(w, p, r);
    } else if (why == NULL) {
        struct msg_skipped *m = tbi_outbox_append(&p->out, TBI_MSG_SKIPPED, p->number, sizeof *m);

        *m = (struct msg_skipped){number, number + 1};
        w->skipped++;
    }
    free(r);
    return why;
}

static void leave_wait(struct proc *p)
{
    p->waiting = (struct tbi_id){0};
    if (p->run.kind == TBI_CALL)
        return;
    p->resuming = true;
    send_task(p, TBI_MSG_UNBLOCK);
}

static const char *got_object(struct world *w, struct proc *p, const struct msg_located *m)
{
    const struct tbi_error_link *error = (const void *)(m + 1);
    int code = m->where == TBI_AT_ERROR ? error->code : 0;

    if (m->where == TBI_AT_STORE && p->npinned == WORLD_HANDLES)
        send_object(p, TBI_MSG_UNPIN, m->id);
    else if (m->where == TBI_AT_STORE)
        p->pinned[p->npinned++] = m->id;
    w->crashed_seen += code == TB_ERR_CRASHED;
    w->cancelled_seen += code == TB_ERR_CANCELLED;
    w->died_seen += code == TB_ERR_ACTOR_DIED;
    w->unavailable_seen += code == TB_ERR_ACTOR_UNAVAILABLE;
    w->overdue_seen += code == TB_ERR_TIMEOUT;
    if (code != 0 && pick(w, 2) == 0)
        send_object(p, TBI_MSG_SEEN, m->id);
    TRY(world_note_outcome(w, m->id, code));
    TRY(world_race_heard(w, p, m->id, code));
    if (p->number == TBI_PROC_DRIVER) {
        p->answered++;
        if (!tbi_id_is_null(w->gate) && !w->gate_open && tbi_id_equal(m->id, w->opener))
            open_gate(w, p);
        return NULL;
    }
    if (!tbi_id_equal(p->waiting, m->id))
        return NULL; /* asked for before it was cancelled */
    w->own_reserved += code == 0 && tbi_id_equal(m->id, p->own);
    if (m->where == TBI_AT_INLINE)
        adopt(w, p, m + 1, m->bytes, false);
    leave_wait(p);
    return NULL;
}

static void got_room(struct world *w, struct proc *p, const struct msg_created *m)
{
    bool result = p->number != 0 && tbi_id_equal(tbi_id_task(m->id), p->run.task);

    for (unsigned i = 0; i < p->ngiven_up; i++)
        if (tbi_id_equal(p->given_up[i], m->id)) {
            p->given_up[i] = p->given_up[--p->ngiven_up];
            return;
        }
    p->creating = (struct tbi_id){0};
    if (result) {
        if (m->error_bytes == 0) {
            p->stored |= 1u << p->results_made;
            p->made[p->results_made] = m->bytes;
        }
        p->results_made++;
    } else if (tbi_id_equal(m->id, w->gate)) {
        if (m->error_bytes == 0) {
            send_object(p, TBI_MSG_ANNOUNCE, m->id);
            add_handle(p, m->id, false);
        } else {
            w->gate = (struct tbi_id){0};
        }
    } else if (m->error_bytes == 0 && pick(w, 8) == 0) {
        send_object(p, TBI_MSG_ABANDON, m->id);
    } else if (m->error_bytes == 0) {
        struct msg_seal *seal;

        if (pick(w, 2) == 0)
            send_object(p, TBI_MSG_ANNOUNCE, m->id);
        seal = tbi_outbox_append(&p->out, TBI_MSG_SEAL, p->number, sizeof *seal);
        *seal = (struct msg_seal){m->id, m->bytes - pick(w, (unsigned)m->bytes), 0, p->rank};
        add_handle(p, m->id, false);
    }
}

/* It is interrupted while it waits for room. It may ask for the same once more. */
static void give_up(struct world *w, struct proc *p)
{
    send_object(p, TBI_MSG_ABANDON, p->creating);
    p->given_up[p->ngiven_up++] = p->creating;
    p->creating = (struct tbi_id){0};
    w->rooms_given_up++;
}

const char *world_proc_takes(struct world *w, struct proc *p)
{
    struct tbi_record *r;
    const char *why = world_take_first(&p->in, &r);

    if (why == NULL)
        switch ((enum tbi_msg)r->type) {
        case TBI_MSG_RUN:
            memcpy(tbi_outbox_append(&p->runs, TBI_MSG_RUN, p->number, r->len - sizeof *r), r + 1,
                   r->len - sizeof *r);
            break;
        case TBI_MSG_OBJECT:
            why = got_object(w, p, (const void *)(r + 1));
            break;
        case TBI_MSG_CREATED:
            got_room(w, p, (const void *)(r + 1));
            break;
        case TBI_MSG_GRANTED:
            got_credit(p, (const void *)(r + 1));
            break;
        case TBI_MSG_TALLIED:
            why = told_what_is_unfinished(w, (const void *)(r + 1));
            break;
        case TBI_MSG_FOUND:
            world_found(w, p, (const void *)(r + 1));
            break;
        case TBI_MSG_EXIT:
            w->retired += !tbi_id_is_null(p->actor);
            if (p->running)
                why = "EXIT to a process that runs a task";
            p->exiting = true;
            break;
        case TBI_MSG_INTERRUPT:
            if (p->running && p->cancelled && !tbi_id_is_null(p->waiting)) {
                send_object(p, TBI_MSG_FORGET, p->waiting);
                leave_wait(p);
            }
            if (p->running && p->cancelled && !tbi_id_is_null(p->creating) && p->ngiven_up < WORLD_HANDLES)
                give_up(w, p);
            break;
        case TBI_MSG_RESUME:
            if (!p->resuming)
                why = "RESUME of a task that did not ask for it";
            p->resuming = false;
            break;
        default:
            why = "a record that no process takes";
        }
    free(r);
    return why;
}

/* SIGKILL at any moment; what lies in its ring is handled first. */
const char *world_kill_proc(struct world *w, struct proc *p)
{
    struct tbi_error_link link;

    bool running = p->running;

    p->alive = p->running = false;
    w->killed++;
    while (p->in_ring > 0)
        TRY(world_read_ring(w, p));
    lose_backlog(w, p, running);
    tbi_error_link(&link, TB_ERR_CRASHED, "killed by the seed");
    tbi_agent_died(agent_of(w, p->rank), p->number, &link, pick(w, 8) == 0);
    return NULL;
}
