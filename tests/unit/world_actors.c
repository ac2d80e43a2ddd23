/* world_actors.c - what processes of the world do with actors, and whether calls begin in order. */
#include "world_parts.h"
#include "node/local.h"
#include "sched/graph.h"

enum { NAMES = 3 };

bool world_is_actor(const struct world *w, struct tbi_id id)
{
    for (unsigned i = 0; i < w->nactors; i++)
        if (tbi_id_equal(w->actor[i], id))
            return true;
    return false;
}

void world_note_actor(struct world *w, struct tbi_id id)
{
    w->actor = tbi_realloc(w->actor, (w->nactors + 1) * sizeof *w->actor);
    w->actor[w->nactors++] = id;
}

static bool has(const struct proc *p, struct tbi_id id)
{
    for (unsigned i = 0; i < p->nhandles; i++)
        if (tbi_id_equal(p->handle[i].id, id) && !p->handle[i].borrowed)
            return true;
    for (unsigned i = 0; i < p->nkept; i++)
        if (tbi_id_equal(p->kept[i], id))
            return true;
    return false;
}

static void add_actor(struct proc *p, struct tbi_id id)
{
    add_handle(p, id, false);
    p->handle[p->nhandles - 1].actor = true;
}

static struct tbi_id some_actor(struct world *w, const struct proc *p)
{
    unsigned at = p->nhandles > 0 ? pick(w, p->nhandles) : 0;

    for (unsigned i = 0; i < p->nhandles; i++, at = (at + 1) % p->nhandles)
        if (p->handle[at].actor)
            return p->handle[at].id;
    return (struct tbi_id){0};
}

static uint32_t write_name(struct world *w, char name[8])
{
    memcpy(name, "ns\0a\0\0\0", 8);
    name[3] = (char)('a' + pick(w, NAMES));
    return 5;
}

void world_do_actor(struct world *w, struct proc *p)
{
    struct tbi_id arg = some_ref(w, p);
    unsigned nrefs = !tbi_id_is_null(arg) && pick(w, 3) == 0, named = pick(w, 3) == 0;
    bool grouped = w->ngroups > 0 && pick(w, 4) == 0, gpus = pick(w, 5) == 0;
    struct msg_actor *terms;
    struct msg_submit *m;
    struct tbi_id *at;

    if (w->nactors >= w->actors_max || p->nhandles > WORLD_HANDLES - 12 || world_starves(w, p))
        return;
    m = tbi_outbox_append(&p->out, TBI_MSG_SUBMIT, p->number, sizeof *m + nrefs * 24 + grouped * 16 +
                                                                  gpus * sizeof(struct tbi_amount) +
                                                                  sizeof *terms + named * 8);
    *m = (struct msg_submit){.kind = TBI_ACTOR, .task = new_id(p), .parent = p->run.task,
                             .cpus = (int32_t)pick(w, 3) * 5000, .nreturns = 1,
                             .max_retries = (int32_t)pick(w, 4) - 1, .nargs = (uint16_t)nrefs,
                             .nrefs = (uint16_t)nrefs, .nresolve = (uint16_t)nrefs,
                             .limit_ms = pick(w, 12) / 11, .nmore = gpus, .strategy = grouped ? TBI_IN_GROUP : pick(w, 2)};
    world_may_be_fresh(w, m);
    at = (struct tbi_id *)(m + 1);
    if (nrefs > 0) {
        *at++ = arg;
        *(uint64_t *)at = TBI_ARG_REF;
        at = (struct tbi_id *)((uint64_t *)at + 1);
    }
    if (gpus) { /* parts, and whole ones */
        *(struct tbi_amount *)at = (struct tbi_amount){.resource = TBI_GPUS, .amount = 2500 << pick(w, 3)};
        at = (struct tbi_id *)((struct tbi_amount *)at + 1);
    }
    if (grouped)
        *at++ = tbi_id_with_index(w->group[pick(w, w->ngroups)], pick(w, 3));
    terms = (struct msg_actor *)at;
    *terms = (struct msg_actor){.max_task_retries = (int32_t)pick(w, 3) - 1, .nlanes = 2,
                                .max_pending = pick(w, 5) == 0 ? 3 : 0, .ticket = ++w->ticket,
                                .lane = {(uint16_t)(1 + pick(w, 2)), 1},
                                .flags = (uint16_t)((pick(w, 2) ? TBI_ACTOR_PLACED_ONLY : 0) |
                                                    (pick(w, 6) == 0 ? TBI_ACTOR_DETACHED : 0))};
    if (named) {
        terms->name_bytes = write_name(w, (char *)(terms + 1));
        terms->flags |= pick(w, 2) ? TBI_ACTOR_GET : 0;
    }
    world_note_actor(w, m->task);
    if (!(terms->flags & TBI_ACTOR_GET)) /* else when it is FOUND */
        add_actor(p, m->task);
    world_use_credit(p, m);
}

void world_note_call(struct world *w, const struct proc *p, struct tbi_id task, const struct msg_call *terms)
{
    struct made_call *made;

    w->call = tbi_realloc(w->call, (w->ncalls + 1) * sizeof *w->call);
    made = &w->call[w->ncalls++];
    *made = (struct made_call){task, terms->actor, 1, terms->lane, false};
    for (unsigned i = 0; i + 1 < w->ncalls; i++)
        made->seq += tbi_id_equal(w->call[i].actor, terms->actor) &&
                     tbi_id_rank(w->call[i].task) == p->rank && tbi_id_proc(w->call[i].task) == p->number;
}

bool world_do_call(struct world *w, struct proc *p)
{
    struct tbi_id actor = some_actor(w, p), held = some_ref(w, p), resolved = some_ref(w, p);
    unsigned nresolve = !tbi_id_is_null(resolved) && pick(w, 3) == 0;
    unsigned nheld = !tbi_id_is_null(held) && pick(w, 4) == 0, nrefs = nresolve + nheld + 1;
    unsigned nargs = nresolve + nheld;
    struct msg_submit *m;
    struct msg_call *terms;
    struct tbi_id *refs;
    uint64_t *args;

    if (tbi_id_is_null(actor) || w->tasks_left == 0 || p->nhandles > WORLD_HANDLES - 12)
        return !tbi_id_is_null(actor);
    if (world_starves(w, p))
        return true;
    w->tasks_left--;
    m = tbi_outbox_append(&p->out, TBI_MSG_SUBMIT, p->number,
                          sizeof *m + nrefs * 16 + nargs * 8 + nheld * 16 + sizeof *terms);
    *m = (struct msg_submit){.kind = TBI_CALL, .task = new_id(p), .parent = p->run.task,
                             .depth = p->number == 0 ? 0 : (uint16_t)(p->run.depth + 1u),
                             .max_retries = pick(w, 2) ? TBI_RETRIES_DEFAULT : (int32_t)pick(w, 3) - 1,
                             .limit_ms = pick(w, 8) / 7, .nargs = (uint16_t)nargs,
                             .nrefs = (uint16_t)nrefs, .nresolve = (uint16_t)nresolve,
                             .nreturns = (uint16_t)pick(w, 3), .data_bytes = nheld * 16};
    refs = (struct tbi_id *)(m + 1);
    args = (uint64_t *)(refs + nrefs);
    if (nresolve) {
        refs[0] = resolved;
        args[0] = TBI_ARG_REF;
    }
    if (nheld) {
        refs[nresolve] = held;
        args[nresolve] = 16;
        memcpy(args + nargs, &held, 16);
    }
    refs[nrefs - 1] = actor;
    terms = (struct msg_call *)(args + nargs + nheld * 2);
    *terms = (struct msg_call){.actor = actor, .lane = (uint16_t)(pick(w, 4) == 0)};
    for (unsigned i = 0; i < m->nreturns; i++)
        add_handle(p, tbi_id_with_index(m->task, i), false);
    world_note_call(w, p, m->task, terms);
    world_use_credit(p, m);
    return true;
}

void world_do_kill(struct world *w, struct proc *p)
{
    struct tbi_id actor = some_actor(w, p);
    struct msg_cancel *m;

    if (tbi_id_is_null(actor) || pick(w, 3) != 0)
        return;
    m = tbi_outbox_append(&p->out, TBI_MSG_KILL, p->number, sizeof *m);
    *m = (struct msg_cancel){actor, pick(w, 2) | (pick(w, 8) == 0 ? TBI_KILL_FOLLOWS : 0), pick(w, 3)};
}

bool world_kill_all(struct world *w)
{
    struct proc *driver = &w->proc[0];

    for (unsigned i = 0; i < w->nactors; i++) {
        struct msg_cancel *m = tbi_outbox_append(&driver->out, TBI_MSG_KILL, 0, sizeof *m);

        *m = (struct msg_cancel){w->actor[i], TB_KILL_NO_RESTART, 0};
    }
    return w->nactors > 0;
}

void world_do_find(struct world *w, struct proc *p)
{
    struct msg_find *m;

    if (w->actors_max == 0 || p->nhandles > WORLD_HANDLES - 12)
        return;
    m = tbi_outbox_append(&p->out, TBI_MSG_FIND, p->number, sizeof *m + 8);
    *m = (struct msg_find){.ticket = ++w->ticket};
    m->name_bytes = write_name(w, (char *)(m + 1));
}

void world_do_checkpoint(struct world *w, struct proc *p)
{
    struct tbi_id ref = some_ref(w, p);
    struct msg_checkpoint *m;

    if (tbi_id_is_null(p->actor) || tbi_id_is_null(ref))
        return;
    m = tbi_outbox_append(&p->out, TBI_MSG_CHECKPOINT, p->number, sizeof *m);
    *m = (struct msg_checkpoint){p->actor, ref};
}

/* It was given one hold more, which it does not need if it had one. */
void world_found(struct world *w, struct proc *p, const struct msg_found *m)
{
    bool made = tbi_id_equal(m->id, m->submitted);

    w->found += !made && !tbi_id_is_null(m->id);
    if (tbi_id_is_null(m->id))
        return;
    if (!made && has(p, m->id)) {
        send_object(p, TBI_MSG_RELEASE, m->id);
        return;
    }
    for (unsigned i = 0; i < p->nhandles; i++)
        if (tbi_id_equal(p->handle[i].id, m->id)) { /* it was covered by the task: now it is held */
            p->handle[i].borrowed = false;
            return;
        }
    if (p->running && p->nhandles < WORLD_HANDLES - 8)
        add_actor(p, m->id);
    else
        send_object(p, TBI_MSG_RELEASE, m->id);
}

/* ---- order ---- */

static struct made_call *find_call(struct world *w, struct tbi_id task)
{
    unsigned i = 0;

    while (!tbi_id_equal(w->call[i].task, task))
        i++;
    return &w->call[i];
}

static struct begun_call *last_begun(struct world *w, const struct proc *p, const struct made_call *call)
{
    struct begun_call key = {call->actor, tbi_id_rank(call->task), call->lane, tbi_id_proc(call->task),
                             p->epoch, 0};

    for (unsigned i = 0; i < w->nbegun; i++) {
        struct begun_call *b = &w->begun[i];

        if (tbi_id_equal(b->actor, key.actor) && b->rank == key.rank && b->proc == key.proc &&
            b->epoch == key.epoch && b->lane == key.lane)
            return b;
    }
    w->begun = tbi_realloc(w->begun, (w->nbegun + 1) * sizeof *w->begun);
    w->begun[w->nbegun] = key;
    return &w->begun[w->nbegun++];
}

const char *world_call_begins(struct world *w, const struct proc *p, const struct msg_run *m)
{
    struct made_call *call = find_call(w, m->task);
    struct begun_call *last = last_begun(w, p, call);

    if (!tbi_id_equal(call->actor, p->actor))
        return "a call begins at another actor";
    if (call->done)
        return "a call that was done is run again";
    if (call->seq <= last->seq)
        return "calls of one caller begin out of order";
    last->seq = call->seq;
    w->called++;
    return NULL;
}

void world_call_done(struct world *w, struct tbi_id task)
{
    for (unsigned i = 0; i < w->ncalls; i++)
        w->call[i].done |= tbi_id_equal(w->call[i].task, task);
}

static bool is_idle(const struct world *w, struct tbi_id actor)
{
    for (unsigned i = 0; i < w->nprocs; i++)
        if (w->proc[i].alive && tbi_id_equal(w->proc[i].actor, actor))
            return !w->proc[i].running && !w->proc[i].exiting;
    return false;
}

/* What is copied, or waits for room to be, is none of that. */
static bool is_ready(const struct tbi_agent *agent, struct tbi_id task)
{
    const struct tbi_job *job = tbi_map_get(&agent->jobs, task);

    return job == NULL || (job->missing == 0 && job->admitted == job->copies);
}

/* Has its caller made calls to this lane of the actor before it that have not ended? They may wait for an argument. */
static bool is_behind_another(const struct world *w, const struct tbi_maker *call)
{
    const struct msg_call *terms = tbi_submit_call(call->submit);
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&w->sched->dir.makers, &at, &e);) {
        const struct tbi_maker *m = e.value;
        const struct msg_call *other = m->is_call && m->submit != NULL ? tbi_submit_call(m->submit) : NULL;

        if (other != NULL && tbi_id_equal(other->actor, terms->actor) && other->lane == terms->lane &&
            other->seq < terms->seq &&
            tbi_id_rank(m->id) == tbi_id_rank(call->id) && tbi_id_proc(m->id) == tbi_id_proc(call->id))
            return true;
    }
    return false;
}

const char *world_calls_go_on(struct world *w)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&w->sched->dir.makers, &at, &e);) {
        const struct tbi_maker *m = e.value;

        if (m->is_call && m->state == TBI_DISPATCHED && !m->aborted && !is_behind_another(w, m) &&
            is_idle(w, tbi_submit_call(m->submit)->actor) && is_ready(w->agent[m->node], m->id))
            return "a call waits at an actor that does nothing";
    }
    return NULL;
}

static bool may_run_on(const struct tbi_agent *agent, const struct tbi_job *job)
{
    struct tbi_demand demand = tbi_job_demand(job);

    return tbi_list_empty(&agent->whole.resuming) && agent->nready == 0 && !agent->kept &&
           tbi_grants_feasible(agent->whole.grants, &demand) && tbi_grants_fits(agent->whole.grants, &demand) &&
           (!tbi_list_empty(&agent->idle) || tbi_births_may(agent, job->m->flags & TBI_DISPATCH_ACTOR));
}

/* Not only now, but as long as the actors there live. */
static bool waits_for_actors(const struct tbi_agent *agent, const struct tbi_job *job)
{
    struct tbi_demand demand = tbi_job_demand(job);
    bool fits = demand.cpus <= tbi_grants_total(agent->whole.grants, TBI_CPUS) - agent->lasting[TBI_CPUS];

    for (unsigned i = 0; i < demand.nmore; i++)
        fits &= demand.more[i].amount <= tbi_grants_total(agent->whole.grants, demand.more[i].resource) -
                                             agent->lasting[demand.more[i].resource];
    return !fits && job->bundle == &agent->whole && !(job->m->flags & TBI_DISPATCH_BOUND);
}

const char *world_tasks_go_on(struct world *w)
{
    struct tbi_map_slot e;

    for (unsigned r = 0; r < w->nranks; r++)
        for (size_t at = 0; tbi_map_next(&w->agent[r]->jobs, &at, &e);) {
            const struct tbi_job *job = e.value;

            for (unsigned other = 0; job->kind != NULL && other < w->nranks; other++)
                if (other != r && waits_for_actors(w->agent[r], job) && may_run_on(w->agent[other], job))
                    return "a task waits beside actors although another node could run it";
        }
    return NULL;
}

/* A group that was refused is tried again when something has ended where it was: there must be something. */
const char *world_groups_go_on(struct world *w)
{
    const struct tbi_link *waiting = &w->sched->groups.waiting;

    for (const struct tbi_link *l = waiting->next; l != waiting; l = l->next) {
        const struct tbi_group *group = TBI_ENTRY(l, struct tbi_group, waiting);

        for (unsigned r = 0; group->taken == 0 && r < w->nranks; r++)
            if (tbi_group_is_refused(&w->sched->nodes, group, r, 0) && tbi_agent_counts(w->agent[r]).jobs == 0)
                return "a group waits for the end of something where nothing is";
    }
    return NULL;
}

const char *world_finished(struct world *w, const struct msg_done *m)
{
    const struct tbi_maker *maker = tbi_directory_maker(&w->sched->dir, m->task);

    if (maker == NULL || !maker->is_actor || m->error != 0 || maker->aborted ||
        tbi_actors_find(w->sched, m->task)->retired || tbi_map_get(&w->exits, m->task) != NULL)
        return NULL;
    return "an actor has ended in good order that was not to end";
}

void world_actors_free(struct world *w)
{
    tbi_map_fini(&w->exits);
    free(w->actor);
    free(w->call);
    free(w->begun);
}
