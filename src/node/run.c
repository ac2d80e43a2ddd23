/* run.c - what runs: ready tasks go to executors, and give back what they had when they end. The sum of the
 * demands of running tasks, of blocked ones without their CPUs, never exceeds what the node has. Order:
 * resumed tasks (resume.c), then deeper tasks, then older ones; one that does not fit may be overtaken a limited
 * number of times, so that it does not starve. */
#include "node/local.h"
#include "util/alloc.h"
#include "util/turns.h"

enum { OLDEST = 16 /* kinds that are looked at when one is overtaken */ };

void tbi_run_write_places(uint16_t *to, const struct tbi_bundle *bundle,
                         const struct tbi_grant *grant, unsigned ngpus)
{
    for (unsigned c = 0; c < grant->ncores; c++)
        *to++ = tbi_bundles_core(bundle, grant->place[c]);
    for (unsigned g = 0; g < ngpus; g++)
        *to++ = tbi_bundles_gpu(bundle, grant->place[grant->ncores + g]);
}

static bool is_actor(const struct tbi_job *job)
{
    return job->m->flags & TBI_DISPATCH_ACTOR;
}

/* RUN carries every argument as a place: in its own data, or in a segment this host can read. */
void tbi_run_send(struct tbi_agent *agent, struct tbi_proc *proc, const struct tbi_job *job)
{
    static const struct tbi_grant none;
    const struct msg_dispatch *m = job->m;
    const struct msg_located *at = tbi_job_arguments(job);
    const uint64_t *word = (const uint64_t *)(at + m->nresolve);
    uint64_t *resolved = tbi_alloc((m->nresolve + 1) * sizeof *resolved), offset = 0;
    const struct msg_actor *actor = tbi_dispatch_actor(m);
    const struct msg_call *call = tbi_dispatch_call(m);
    const struct tbi_grant *grant = call != NULL ? &none : &proc->grant;
    size_t places = (size_t)(grant->ncores + grant->ngpus) * sizeof *grant->place;
    bool inside = job->bundle != &agent->whole;
    uint8_t *end;
    struct msg_run *run = agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_RUN,
                                           proc->proc, sizeof *run +
                                           m->nargs * sizeof(struct tbi_run_arg) + m->data_bytes +
                                           tbi_padded(places) + (inside ? sizeof(struct tbi_id) : 0) +
                                           (actor != NULL ? sizeof *actor : 0));
    struct tbi_run_arg *arg = (struct tbi_run_arg *)(run + 1);

    *run = (struct msg_run){.task = m->task, .attempt = m->attempt, .fn = m->fn, .cpus = m->cpus,
                            .data_bytes = m->data_bytes, .nreturns = m->nreturns,
                            .nargs = m->nargs, .depth = m->depth, .number = job->number,
                            .ncores = grant->ncores, .ngpus = grant->ngpus, .in_bundle = inside,
                            .kind = actor != NULL ? TBI_ACTOR : call != NULL ? TBI_CALL : TBI_TASK,
                            .lane = call != NULL ? call->lane : 0, .seed = m->seed};
    if (call != NULL) {
        run->retry_codes = call->retry_codes;
        run->retry_delay_ms = call->retry_delay_ms;
        run->max_retries = call->max_retries;
    }
    for (unsigned i = 0; i < m->nargs; i++)
        if (!(word[i] & TBI_ARG_REF)) {
            arg[i] = (struct tbi_run_arg){TBI_ARG_INLINE, 0, offset, word[i]};
            offset += tbi_padded(word[i]);
        }
    for (unsigned i = 0; i < m->nresolve; i++)
        if (at[i].where == TBI_AT_INLINE) {
            resolved[i] = offset;
            offset += tbi_padded(at[i].bytes);
        }
    for (unsigned i = 0; i < m->nargs; i++)
        if (word[i] & TBI_ARG_REF) {
            uint64_t k = word[i] & ~TBI_ARG_REF;

            if (at[k].where == TBI_AT_INLINE) {
                arg[i] = (struct tbi_run_arg){TBI_ARG_INLINE, 0, resolved[k], at[k].bytes};
            } else {
                const struct tbi_local *object = tbi_objects_find(agent, at[k].id);

                arg[i] = (struct tbi_run_arg){object->rank, 0, object->offset, object->bytes};
            }
        }
    if (m->data_bytes > 0)
        memcpy(arg + m->nargs, word + m->nargs, m->data_bytes);
    end = (uint8_t *)(arg + m->nargs) + m->data_bytes;
    memset(end, 0, tbi_padded(places)); /* what pads them, too */
    tbi_run_write_places((uint16_t *)end, job->bundle, grant, grant->ngpus);
    end += tbi_padded(places);
    if (inside) {
        *(struct tbi_id *)end = job->bundle->id;
        end += sizeof(struct tbi_id);
    }
    if (actor != NULL)
        *(struct msg_actor *)end = *actor;
    free(resolved);
}

/* Takes the job out of the ready list and gives it to the executor, behind what that has. */
static void give(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_job *job)
{
    tbi_jobs_take_out(agent, job);
    agent->births.wanted = false;
    job->proc = proc;
    job->number = proc->offered++;
    tbi_list_append(&proc->work, &job->link);
    proc->nwork++;
    tbi_run_send(agent, proc, job);
}

/* An idle executor, or a new one if there may be more; NULL: none for this job now. */
static struct tbi_proc *find_executor(struct tbi_agent *agent, const struct tbi_job *job)
{
    bool fresh = tbi_job_is_fresh(job);
    struct tbi_proc *proc;

    if (!tbi_list_empty(&agent->idle) && !fresh) {
        proc = TBI_ENTRY(agent->idle.next, struct tbi_proc, link);
        tbi_list_unlink(&proc->link);
        return proc;
    }
    if (!tbi_births_may(agent, is_actor(job))) {
        tbi_births_wanted(agent);
        if (fresh && tbi_births_are_too_many(agent, is_actor(job)))
            tbi_idle_give_way(agent);
        return NULL;
    }
    tbi_births_begun(agent);
    proc = tbi_procs_add(agent, ++agent->next_proc);
    agent->ops.fork(agent->ops.ctx, proc->proc);
    return proc;
}

void tbi_run_count_given(struct tbi_agent *agent, const struct tbi_proc *proc, int sign)
{
    if (proc->actor == NULL)
        agent->blocked += (unsigned)sign;
    if (proc->job->bundle == &agent->whole && !tbi_list_linked(&proc->lender))
        agent->given_cpus += (int64_t)proc->job->m->cpus * sign;
}

/* Who resumes in its bundle goes first, but not before what needs none of the CPUs that it waits for. */
static bool fits_in(const struct tbi_bundle *bundle, const struct tbi_demand *demand)
{
    return (tbi_list_empty(&bundle->resuming) || demand->cpus == 0) && tbi_grants_fits(bundle->grants, demand);
}

static bool fits(const struct tbi_job_kind *kind)
{
    return fits_in(kind->bundle, &kind->demand);
}

/* May one wait behind the other? An actor keeps its process to itself, and so does what asks for a new one. */
static bool alike(const struct tbi_job *a, const struct tbi_job *b)
{
    struct tbi_demand x = tbi_job_demand(a), y = tbi_job_demand(b);

    return !is_actor(a) && !is_actor(b) && !tbi_job_is_fresh(a) && !tbi_job_is_fresh(b) && a->bundle == b->bundle && tbi_demand_equal(&x, &y);
}

static int64_t free_cpus(const struct tbi_agent *agent)
{
    return tbi_grants_free(agent->whole.grants, TBI_CPUS);
}

/* Will there be enough for it when all that ends has ended? */
static bool may_fit(const struct tbi_agent *agent, const struct tbi_job_kind *kind)
{
    struct tbi_demand demand = kind->demand;
    int64_t cpus = tbi_grants_total(kind->bundle->grants, TBI_CPUS);

    if (kind->bundle != &agent->whole)
        return true;
    if (demand.cpus > cpus - agent->lasting[TBI_CPUS] - agent->held_cpus)
        return false;
    for (unsigned i = 0; i < demand.nmore; i++)
        if (demand.more[i].amount > tbi_grants_total(agent->whole.grants, demand.more[i].resource) -
                                        agent->lasting[demand.more[i].resource])
            return false;
    return true;
}

/* One begins, perhaps before the oldest of the kind, which could begin as well but is not so deep: tasks that submit without
 * end would keep it waiting for ever. So it is let through, an elder, when its turn has come (util/turns.h). */
static void count_passing(struct tbi_agent *agent, struct tbi_job_kind *kind, const struct tbi_job *by)
{
    struct tbi_job *oldest;

    if (!tbi_turn_has_come(++kind->passed, agent->config.overtakes, agent->elders))
        return;
    kind->passed = 0;
    oldest = tbi_kind_oldest(kind);
    if (oldest == by || oldest->wanted)
        return;
    oldest->elder = !kind->actor; /* that lives on when it has begun */
    agent->elders += oldest->elder;
    tbi_queue_raise(agent, oldest);
}

/* The job is about to be given to an executor: kinds with older ones are overtaken, however deep it is
 * and wherever it came from. Only those that were not served for longest are looked at; the others have their turn. */
static void count_overtaking(struct tbi_agent *agent, const struct tbi_job *job)
{
    struct tbi_bundle *bundle = job->bundle;
    unsigned looked = 0;

    if (job->wanted)
        return;
    job->kind->overtaken = 0;
    if (job->kind->count > 1)
        count_passing(agent, job->kind, job);
    if (bundle->waiting.next == bundle->waiting.prev)
        return; /* no other kind waits */
    tbi_list_unlink(&job->kind->waiting);
    tbi_list_append(&bundle->waiting, &job->kind->waiting);
    for (struct tbi_link *l = bundle->waiting.next; l != &bundle->waiting && looked++ < OLDEST; l = l->next) {
        struct tbi_job_kind *other = TBI_ENTRY(l, struct tbi_job_kind, waiting);

        if (other == job->kind || tbi_kind_oldest(other)->arrival >= job->arrival || !may_fit(agent, other))
            continue;
        if (fits(other)) /* but there was no process for it */
            count_passing(agent, other, job);
        else if (++other->overtaken >= agent->config.overtakes && bundle->starving == NULL) {
            bundle->starving = other;
            agent->starving++;
        }
    }
}

/* One that starves has its bundle to itself, but for wanted tasks. */
static bool must_wait(const struct tbi_job_kind *kind)
{
    const struct tbi_job_kind *starving = kind->bundle->starving;

    return starving != NULL && starving != kind && !tbi_kind_best(kind)->wanted;
}

/* The job begins on the executor, which has no other. */
static void begin(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_job *job)
{
    struct tbi_demand demand = tbi_job_demand(job);
    struct tbi_grant last = proc->grant;
    bool same = tbi_id_equal(proc->granted_in, job->bundle->id);

    count_overtaking(agent, job);
    if (job->m->cpus > 0 && (!job->wanted || job->elder)) /* wanted ones come with those that resume, and may be as many */
        job->bundle->resumed = 0;
    tbi_grants_take(job->bundle->grants, &demand, same ? &last : NULL, &proc->grant);
    proc->granted_in = job->bundle->id;
    free(last.place);
    agent->running++;
    if (job->bundle->running++ == 0)
        tbi_list_append(&agent->active, &job->bundle->active);
    proc->job = job;
    proc->since_us = agent->now_us;
    proc->cpus = TBI_CPU_HELD;
    give(agent, proc, job);
    tbi_abort_begin_limit(agent, job);
    tbi_list_append(&agent->busy, &proc->link);
}

static bool has_process(const struct tbi_agent *agent, const struct tbi_job_kind *kind)
{
    return (!kind->fresh && !tbi_list_empty(&agent->idle)) || tbi_births_may(agent, kind->actor);
}

struct tbi_job_kind *tbi_run_next_in(const struct tbi_agent *agent, const struct tbi_bundle *bundle)
{
    struct tbi_job_kind *best = NULL;
    bool best_fits = false;
    unsigned looked = 0;

    for (const struct tbi_link *l = bundle->waiting.next; l != &bundle->waiting && looked++ < OLDEST; l = l->next) {
        struct tbi_job_kind *kind = TBI_ENTRY(l, struct tbi_job_kind, waiting);
        bool now = tbi_grants_cpus_fit(bundle->grants, kind->demand.cpus);

        if (kind->demand.cpus == 0 || must_wait(kind) || !may_fit(agent, kind) || !has_process(agent, kind) ||
            !tbi_grants_others_fit(bundle->grants, &kind->demand))
            continue;
        if (best == NULL || now > best_fits || (now == best_fits && kind->in_bundle.key < best->in_bundle.key)) {
            best = kind;
            best_fits = now;
        }
    }
    return best;
}

void tbi_run_begin_best(struct tbi_agent *agent, struct tbi_job_kind *kind)
{
    struct tbi_job *job = tbi_kind_best(kind);

    begin(agent, find_executor(agent, job), job);
}

/* Does the node have CPUs for what has not begun? */
static bool has_cpus(const struct tbi_agent *agent)
{
    return free_cpus(agent) > 0 && tbi_list_empty(&agent->whole.resuming);
}

/* Starts what fits, best first. One that was overtaken too often may only be passed by wanted tasks, and
 * by those of other bundles. */
static void start_what_fits(struct tbi_agent *agent)
{
    struct tbi_link aside;
    struct tbi_job_kind *kind;
    bool tasks = true; /* a process may be had for a task that creates no actor */

    tbi_list_init(&aside);
    while ((kind = tbi_queue_first(agent, has_cpus(agent), tasks)) != NULL) {
        struct tbi_proc *proc;

        if (!fits(kind) || must_wait(kind)) {
            tbi_queue_set_aside(agent, kind, &aside);
            continue;
        }
        proc = find_executor(agent, tbi_kind_best(kind));
        if (proc != NULL)
            begin(agent, proc, tbi_kind_best(kind));
        else if (kind->fresh) /* others may have an idle process */
            tbi_queue_set_aside(agent, kind, &aside);
        else if (kind->actor)
            break;
        else
            tasks = false;
    }
    tbi_queue_bring_back(agent, &aside);
}

/* Ahead of its turn to an executor of the same demand, each in turn. Returns whether there is one. */
static bool give_ahead(struct tbi_agent *agent, struct tbi_job *job)
{
    for (struct tbi_link *l = agent->busy.next; l != &agent->busy; l = l->next) {
        struct tbi_proc *proc = TBI_ENTRY(l, struct tbi_proc, link);

        if (proc->nwork <= agent->config.offers && !proc->leaving && alike(proc->job, job)) {
            count_overtaking(agent, job);
            give(agent, proc, job);
            tbi_list_unlink(l);
            tbi_list_append(&agent->busy, l);
            return true;
        }
    }
    return false;
}

/* The best that waits in each bundle goes ahead of its turn, unless others of it must come first. Bundles may be many;
 * only those of which a process runs something are looked at. */
static void offer(struct tbi_agent *agent)
{
    for (const struct tbi_link *l = agent->active.next; l != &agent->active; l = l->next) {
        struct tbi_bundle *bundle = TBI_ENTRY(l, struct tbi_bundle, active);
        struct tbi_heap_entry *first;

        while (tbi_list_empty(&bundle->resuming) && (first = tbi_heap_first(&bundle->kinds)) != NULL) {
            struct tbi_job_kind *kind = TBI_ENTRY(first, struct tbi_job_kind, in_bundle);

            if (must_wait(kind) || !give_ahead(agent, tbi_kind_best(kind)))
                break;
        }
    }
}

bool tbi_agent_works_ahead(const struct tbi_agent *agent)
{
    for (const struct tbi_link *l = agent->busy.next; l != &agent->busy; l = l->next)
        if (TBI_ENTRY(l, struct tbi_proc, link)->nwork > 1)
            return true;
    for (const struct tbi_link *l = agent->actors.next; l != &agent->actors; l = l->next)
        if (TBI_ENTRY(l, struct tbi_proc, link)->nwork > 1)
            return true;
    return false;
}

static void give_all_back(struct tbi_agent *agent, struct tbi_proc *proc,
                          const struct tbi_job *job)
{
    struct tbi_demand demand = tbi_job_demand(job);

    if (proc->cpus == TBI_CPU_HELD || proc->cpus == TBI_CPU_ASKED) {
        tbi_grants_give(job->bundle->grants, &demand, &proc->grant);
    } else {
        tbi_grants_give_others(job->bundle->grants, &demand, &proc->grant);
        tbi_run_count_given(agent, proc, -1);
    }
    tbi_lending_end(agent, proc);
    tbi_list_unlink(&proc->link); /* from `busy`, `resuming`, `debtors` or `actors` */
    if (tbi_list_empty(&job->bundle->resuming))
        tbi_list_unlink(&job->bundle->resumer);
    agent->running--;
    if (--job->bundle->running == 0)
        tbi_list_unlink(&job->bundle->active);
    proc->job = NULL;
    proc->cpus = TBI_CPU_HELD;
}

/* Without a task it is idle, or leaves. */
static void rest(struct tbi_agent *agent, struct tbi_proc *proc)
{
    if (proc->leaving)
        agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_EXIT, proc->proc,
                         sizeof(struct msg_none));
    else
        tbi_idle_enter(agent, proc);
}

uint64_t tbi_run_claim_back(struct tbi_agent *agent, struct tbi_proc *proc)
{
    uint64_t from = agent->ops.take_back(agent->ops.ctx, proc->proc, proc->begun, proc->offered);

    proc->begun = proc->offered;
    return from;
}

bool tbi_run_take_back(struct tbi_agent *agent, struct tbi_proc *proc)
{
    uint64_t from = proc->actor != NULL ? tbi_calls_take_back(agent, proc) : tbi_run_claim_back(agent, proc);

    if (proc->actor != NULL)
        return true;
    while (!tbi_list_empty(&proc->work)) {
        struct tbi_job *job = TBI_ENTRY(proc->work.prev, struct tbi_job, link);

        if (job->number < from)
            break;
        tbi_list_unlink(&job->link);
        tbi_list_unlink(&job->timer);
        job->proc = NULL;
        proc->nwork--;
        tbi_jobs_put_in(agent, job, true);
    }
    if (proc->job != NULL && proc->nwork == 0) { /* it had not begun the first one either */
        give_all_back(agent, proc, proc->job);
        rest(agent, proc);
    }
    return from > 0;
}

/* CPUs are free and nothing waits for them but what was given to executors ahead of its turn. */
static bool take_back_for_free_cpus(struct tbi_agent *agent)
{
    if ((tbi_list_empty(&agent->idle) && !tbi_births_may(agent, false)) ||
        (agent->whole.nready > 0 && agent->bundles.count == 0))
        return false;
    for (struct tbi_link *l = agent->busy.next; l != &agent->busy; l = l->next) {
        struct tbi_proc *proc = TBI_ENTRY(l, struct tbi_proc, link);

        if (proc->nwork > 1 && proc->job->bundle->nready == 0) {
            struct tbi_demand demand = tbi_job_demand(proc->job);

            if (fits_in(proc->job->bundle, &demand)) {
                tbi_run_take_back(agent, proc);
                return agent->nready > 0;
            }
        }
    }
    return false;
}

/* Who resumes goes before what has not begun. */
static void take_back_for_resuming(struct tbi_agent *agent)
{
    for (struct tbi_link *l = agent->busy.next, *next; l != &agent->busy; l = next) {
        struct tbi_proc *proc = TBI_ENTRY(l, struct tbi_proc, link);

        next = l->next;
        if (proc->nwork > 1 && !tbi_list_empty(&proc->job->bundle->resuming))
            tbi_run_take_back(agent, proc);
    }
}

/* So does what starves. */
static void take_back_for_starving(struct tbi_agent *agent)
{
    for (struct tbi_link *l = agent->busy.next, *next; l != &agent->busy; l = next) {
        struct tbi_proc *proc = TBI_ENTRY(l, struct tbi_proc, link);

        next = l->next;
        if (proc->nwork > 1 && proc->job->bundle->starving != NULL && !proc->job->wanted)
            tbi_run_take_back(agent, proc);
    }
}

static void start_pass(struct tbi_agent *agent)
{
    if (!tbi_list_empty(&agent->lenders))
        tbi_lending_settle(agent);
    tbi_resume_what_fits(agent);
    if (!tbi_list_empty(&agent->resumers)) {
        if (agent->config.offers > 0) {
            take_back_for_resuming(agent);
            tbi_resume_what_fits(agent);
        }
        if (!tbi_list_empty(&agent->whole.resuming) && agent->bundles.count == 0 && agent->nready_free == 0)
            return;
    }
    if (agent->starving > 0 && agent->config.offers > 0)
        take_back_for_starving(agent);
    start_what_fits(agent);
    if (agent->config.offers > 0) {
        if (take_back_for_free_cpus(agent))
            start_what_fits(agent);
        offer(agent);
    }
    tbi_births_end(agent);
}

bool tbi_run_wants_process(const struct tbi_agent *agent)
{
    struct tbi_job_kind *kind;

    for (size_t at = 0; tbi_queue_next(agent, &at, &kind);)
        if (fits(kind))
            return true;
    return false;
}

/* When what starved has begun, the others may too. */
void tbi_run_start(struct tbi_agent *agent)
{
    uint64_t relieved;

    do {
        relieved = agent->relieved;
        start_pass(agent);
    } while (agent->relieved != relieved);
}

const char *tbi_run_check(const struct tbi_agent *agent)
{
    size_t nready = 0, nfree = 0;
    bool idle = !tbi_list_empty(&agent->idle);
    const char *why = tbi_queue_check(agent);
    struct tbi_job_kind *kind;

    for (size_t at = 0; why == NULL && tbi_queue_next(agent, &at, &kind);) {
        nready += kind->count;
        nfree += kind->needs_no_cpus ? kind->count : 0;
        if (fits(kind) && ((idle && !kind->fresh) || tbi_births_may(agent, kind->actor)) && !must_wait(kind))
            why = "a task waits that could run";
    }
    if (why == NULL)
        why = tbi_resume_check(agent);
    if (why != NULL)
        return why;
    return nready == agent->nready && nfree == agent->nready_free
               ? NULL
               : "the tasks that may start are counted wrongly";
}

void tbi_run_end(struct tbi_agent *agent, struct tbi_proc *proc)
{
    struct tbi_job *job = proc->job;

    if (proc->actor == NULL) {
        tbi_list_unlink(&job->link);
        proc->nwork--;
    }
    proc->blocked = false;
    if (proc->nwork > 0) { /* the next one has the same demand: it takes over the CPUs */
        proc->job = TBI_ENTRY(proc->work.next, struct tbi_job, link);
        proc->since_us = agent->now_us;
        proc->cpus = TBI_CPU_HELD; /* an answer to the old one's BLOCK is not about this one */
        tbi_abort_begin_limit(agent, proc->job);
    } else {
        give_all_back(agent, proc, job);
        rest(agent, proc);
    }
    tbi_jobs_forget(agent, job);
}
