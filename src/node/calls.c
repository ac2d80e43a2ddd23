/* calls.c - actors that live here, and the calls of their methods. An actor is the task that created it, which
 * keeps its process, and what it was granted, for as long as it lives. Calls come from the head as their
 * arguments become ready, in any order; the numbers that their callers gave them, in each lane from 1, say in which
 * order they begin there.
 * What the executor has not begun can be taken back from it, as tasks can. */
#include "node/local.h"
#include "thornback.h"
#include "util/alloc.h"

struct skip {
    struct tbi_heap_entry from; /* numbers from `from` .. to - 1 */
    uint64_t to;
};

static const struct msg_call *terms_of(const struct tbi_job *call)
{
    return tbi_dispatch_call(call->m);
}

static struct tbi_id caller_id(unsigned rank, uint32_t proc, unsigned lane)
{
    return (struct tbi_id){1 + (uint64_t)lane, (uint64_t)rank << 32 | proc};
}

static struct tbi_caller *caller_of(struct tbi_local_actor *actor, unsigned rank, uint32_t proc, unsigned lane)
{
    struct tbi_id id = caller_id(rank, proc, lane);
    struct tbi_caller *caller = tbi_map_get(&actor->callers, id);

    if (caller == NULL) {
        caller = tbi_alloc_zeroed(1, sizeof *caller);
        caller->next = 1;
        tbi_map_put(&actor->callers, id, caller);
    }
    return caller;
}

static struct tbi_caller *caller_of_call(const struct tbi_job *call)
{
    return caller_of(call->actor, tbi_id_rank(call->m->task), tbi_id_proc(call->m->task), terms_of(call)->lane);
}

/* ---- giving calls to the executor ---- */

static struct tbi_lane *lane_of(const struct tbi_job *call)
{
    unsigned lane = terms_of(call)->lane;

    return &call->actor->lane[lane < call->actor->nlanes ? lane : 0];
}

/* The first ones that the lane was given run now. */
static void begin_limits(struct tbi_agent *agent, const struct tbi_lane *lane)
{
    const struct tbi_local_actor *actor = lane->actor;
    unsigned n = 0;

    if (!actor->timed)
        return;
    for (struct tbi_link *l = actor->proc->work.next; l != &actor->proc->work && n < lane->limit;
         l = l->next) {
        struct tbi_job *call = TBI_ENTRY(l, struct tbi_job, link);

        if (lane_of(call) != lane)
            continue;
        if (!call->limited)
            tbi_abort_begin_limit(agent, call);
        n++;
    }
}

static void feed(struct tbi_agent *agent, struct tbi_lane *lane)
{
    while (!tbi_list_empty(&lane->calls) && lane->given < lane->limit + agent->config.offers) {
        struct tbi_job *call = TBI_ENTRY(lane->calls.next, struct tbi_job, link);
        struct tbi_proc *proc = call->actor->proc;

        if (call->actor->ends || proc->leaving)
            return;
        tbi_list_unlink(&call->link);
        call->proc = proc;
        call->number = proc->offered++;
        tbi_list_append(&proc->work, &call->link);
        proc->nwork++;
        lane->given++;
        tbi_run_send(agent, proc, call);
    }
    begin_limits(agent, lane);
}

void tbi_calls_feed(struct tbi_agent *agent, struct tbi_proc *proc)
{
    for (unsigned i = 0; proc->actor != NULL && i < proc->actor->nlanes; i++)
        feed(agent, &proc->actor->lane[i]);
}

/* ---- order ---- */

static void end_skip(struct tbi_caller *caller, struct skip *skip)
{
    tbi_heap_take(&caller->skips, &skip->from);
    free(skip);
}

/* Whose turn it is goes into its lane. */
static void advance(struct tbi_agent *agent, struct tbi_caller *caller)
{
    for (bool more = true; more;) {
        struct tbi_heap_entry *first = tbi_heap_first(&caller->skips);

        more = false;
        if (first != NULL && first->key <= caller->next) {
            struct skip *skip = TBI_ENTRY(first, struct skip, from);

            caller->next = skip->to > caller->next ? skip->to : caller->next;
            end_skip(caller, skip);
            more = true;
        }
        first = tbi_heap_first(&caller->calls);
        if (first != NULL && first->key <= caller->next) {
            struct tbi_job *call = TBI_ENTRY(first, struct tbi_job, turn);
            struct tbi_lane *lane = lane_of(call);

            caller->next = first->key + 1 > caller->next ? first->key + 1 : caller->next;
            tbi_heap_take(&caller->calls, first);
            tbi_list_append(&lane->calls, &call->link);
            feed(agent, lane);
            more = true;
        }
    }
}

void tbi_calls_ready(struct tbi_agent *agent, struct tbi_job *call)
{
    struct tbi_caller *caller = caller_of_call(call);

    tbi_heap_put(&caller->calls, &call->turn, terms_of(call)->seq);
    advance(agent, caller);
}

static void add_skip(struct tbi_agent *agent, struct tbi_caller *caller, uint64_t from, uint64_t to)
{
    struct skip *skip = tbi_alloc_zeroed(1, sizeof *skip);

    skip->to = to;
    tbi_heap_put(&caller->skips, &skip->from, from);
    advance(agent, caller);
}

static void leave_line(struct tbi_job *call)
{
    if (tbi_heap_has(&call->turn))
        tbi_heap_take(&caller_of_call(call)->calls, &call->turn);
    tbi_list_unlink(&call->link);
}

void tbi_calls_take_out(struct tbi_agent *agent, struct tbi_job *call)
{
    bool ready = tbi_list_linked(&call->link);

    leave_line(call);
    if (ready)
        feed(agent, lane_of(call)); /* the next one may have waited behind it */
    if (terms_of(call)->seq >= caller_of_call(call)->next)
        add_skip(agent, caller_of_call(call), terms_of(call)->seq, terms_of(call)->seq + 1);
}

static struct tbi_local_actor *find(const struct tbi_agent *agent, struct tbi_id id, uint32_t epoch)
{
    const struct tbi_job *job = tbi_map_get(&agent->jobs, tbi_id_task(id));

    return job == NULL || job->proc == NULL || job->m->attempt != epoch ? NULL : job->proc->actor;
}

void tbi_calls_skip(struct tbi_agent *agent, const struct msg_skip *m)
{
    struct tbi_local_actor *actor = find(agent, m->actor, m->epoch);

    if (actor != NULL)
        add_skip(agent, caller_of(actor, m->rank, m->proc, m->lane), m->from, m->to);
}

static void free_caller(struct tbi_caller *caller)
{
    for (struct tbi_heap_entry *first; (first = tbi_heap_first(&caller->skips)) != NULL;)
        end_skip(caller, TBI_ENTRY(first, struct skip, from));
    tbi_heap_fini(&caller->skips);
    tbi_heap_fini(&caller->calls);
    free(caller);
}

void tbi_calls_caller_gone(struct tbi_agent *agent, const struct msg_caller *m)
{
    struct tbi_local_actor *actor = find(agent, m->actor, m->epoch);

    for (unsigned lane = 0; actor != NULL && lane < TBI_LANES_MAX; lane++) {
        struct tbi_caller *caller = tbi_map_get(&actor->callers, caller_id(m->rank, m->proc, lane));

        if (caller != NULL && caller->calls.n == 0)
            free_caller(tbi_map_take(&actor->callers, caller_id(m->rank, m->proc, lane)));
    }
}

struct tbi_local_actor *tbi_calls_of_call(const struct tbi_agent *agent,
                                           const struct msg_dispatch *m)
{
    const struct msg_call *call = tbi_dispatch_call(m);
    struct tbi_local_actor *actor = find(agent, call->actor, call->epoch);

    return actor == NULL || actor->ends ? NULL : actor;
}

bool tbi_calls_enter(struct tbi_local_actor *actor, struct tbi_job *call)
{
    call->actor = actor;
    tbi_list_append(&actor->calls, &call->call);
    actor->timed |= call->m->limit_ms > 0;
    return tbi_map_take(&actor->stopped, call->m->task) != NULL;
}

void tbi_calls_stop(struct tbi_agent *agent, const struct msg_stop *m)
{
    struct tbi_local_actor *actor = find(agent, m->actor, m->epoch);
    const struct tbi_job *call = tbi_map_get(&agent->jobs, m->task);
    struct msg_task *answer;

    if (actor == NULL || (call == NULL && m->seq < caller_of(actor, tbi_id_rank(m->task), tbi_id_proc(m->task),
                                                             m->lane)->next))
        return; /* FINISHED, or the actor's, is on its way */
    if (call != NULL && call->m->attempt != m->attempt)
        return;
    answer = agent->port.send(agent->port.ctx, 0, TBI_MSG_STOPPED, TBI_PROC_NONE, sizeof *answer);
    *answer = (struct msg_task){m->task, m->attempt, 0};
    if (call != NULL)
        tbi_abort_job(agent, &(struct msg_abort){m->task, m->attempt, 0});
    else if (tbi_map_get(&actor->stopped, m->task) == NULL)
        tbi_map_put(&actor->stopped, m->task, actor);
}

/* ---- a life ---- */

/* What it keeps from others as long as it lives. */
static void count_lasting(struct tbi_agent *agent, const struct tbi_job *job, int sign)
{
    struct tbi_demand demand = tbi_job_demand(job);

    if (job->bundle != &agent->whole)
        return;
    agent->lasting[TBI_CPUS] += (int64_t)demand.cpus * sign;
    for (unsigned i = 0; i < demand.nmore; i++)
        agent->lasting[demand.more[i].resource] += demand.more[i].amount * sign;
}

const char *tbi_calls_construct(struct tbi_agent *agent, struct tbi_proc *proc,
                                 const struct msg_done *m)
{
    struct tbi_job *job = proc->job;
    const struct msg_actor *terms = job != NULL ? tbi_dispatch_actor(job->m) : NULL;
    struct tbi_local_actor *actor;

    if (terms == NULL || proc->actor != NULL || !tbi_id_equal(job->m->task, m->task) ||
        job->m->attempt != m->attempt || proc->blocked || proc->cpus == TBI_CPU_QUEUED ||
        m->nresults != 0 || m->error != 0)
        return "CONSTRUCTED of an actor that is not being created there";
    actor = tbi_alloc_zeroed(1, sizeof *actor);
    actor->job = job;
    actor->proc = proc;
    actor->nlanes = terms->nlanes;
    tbi_list_init(&actor->calls);
    for (unsigned i = 0; i < TBI_LANES_MAX; i++) {
        tbi_list_init(&actor->lane[i].calls);
        actor->lane[i].actor = actor;
        actor->lane[i].limit = terms->lane[i] > 0 ? terms->lane[i] : 1;
    }
    tbi_list_unlink(&job->link); /* the only one: nothing is given ahead to who creates an actor */
    proc->nwork--;
    tbi_list_unlink(&proc->link);
    tbi_list_append(&agent->actors, &proc->link);
    agent->nactors++;
    if (!job->aborted) /* else it is to end, and is killed if it does not */
        tbi_list_unlink(&job->timer);
    tbi_jobs_give_arguments_back(agent, job);
    if (proc->cpus == TBI_CPU_OWED)
        tbi_run_count_given(agent, proc, -1); /* it will have them, but is not blocked */
    else
        proc->cpus = TBI_CPU_HELD; /* an answer to its BLOCK is not about it any more */
    if (terms->flags & TBI_ACTOR_PLACED_ONLY && job->m->cpus > 0) {
        if (proc->cpus == TBI_CPU_HELD)
            tbi_grants_give_cpus(job->bundle->grants, job->m->cpus, &proc->grant);
        tbi_lending_end(agent, proc);
        proc->cpus = TBI_CPU_HELD;
        tbi_bundles_need_no_cpus(agent, job);
    }
    proc->actor = actor;
    count_lasting(agent, job, 1);
    return NULL;
}

/* Nobody can call it any more, and nobody's call is under way. */
static void tell_to_end(struct tbi_agent *agent, struct tbi_local_actor *actor)
{
    if (!actor->ends)
        agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_EXIT, actor->proc->proc,
                         sizeof(struct msg_none));
    actor->ends = true;
}

void tbi_calls_retire(struct tbi_agent *agent, const struct msg_task *m)
{
    struct tbi_job *job = tbi_map_get(&agent->jobs, m->task);
    struct tbi_error_link link;

    if (job == NULL || job->m->attempt != m->attempt)
        return; /* it has ended meanwhile */
    job->retires = true;
    if (job->proc != NULL && job->proc->actor != NULL) {
        tell_to_end(agent, job->proc->actor);
        return;
    }
    if (job->proc != NULL)
        tbi_run_take_back(agent, job->proc);
    if (job->proc == NULL) {
        tbi_error_link(&link, TB_ERR_CANCELLED, "its last handle was released before it began");
        tbi_jobs_fail(agent, job, &link, false);
    }
}

/* ---- the end of calls ---- */

struct tbi_job *tbi_calls_running(const struct tbi_proc *proc, struct tbi_id task)
{
    for (struct tbi_link *l = proc->work.next; l != &proc->work; l = l->next)
        if (tbi_id_equal(TBI_ENTRY(l, struct tbi_job, link)->m->task, task))
            return TBI_ENTRY(l, struct tbi_job, link);
    return NULL;
}

static void leave(struct tbi_job *call)
{
    struct tbi_proc *proc = call->proc;

    tbi_list_unlink(&call->link);
    tbi_list_unlink(&call->call);
    proc->nwork--;
    lane_of(call)->given--;
    call->proc = NULL;
}

void tbi_calls_done(struct tbi_agent *agent, struct tbi_job *call, bool exits)
{
    struct tbi_local_actor *actor = call->actor;
    struct tbi_lane *lane = lane_of(call);

    leave(call);
    tbi_jobs_forget(agent, call);
    actor->ends |= exits;
    feed(agent, lane);
}

uint64_t tbi_calls_take_back(struct tbi_agent *agent, struct tbi_proc *proc)
{
    uint64_t from = tbi_run_claim_back(agent, proc);

    for (struct tbi_link *l = proc->work.prev, *prev; l != &proc->work; l = prev) {
        struct tbi_job *call = TBI_ENTRY(l, struct tbi_job, link);
        struct tbi_lane *lane = lane_of(call);

        prev = l->prev;
        if (call->number < from)
            continue;
        tbi_list_unlink(&call->link);
        tbi_list_unlink(&call->timer);
        call->limited = false;
        proc->nwork--;
        lane->given--;
        call->proc = NULL;
        tbi_list_insert_before(lane->calls.next, &call->link);
    }
    return from;
}

/* In no list of the actor any more, which has ended. */
static void drop(struct tbi_agent *agent, struct tbi_job *call)
{
    leave_line(call);
    tbi_list_unlink(&call->call);
    call->actor = NULL;
    tbi_jobs_drop(agent, call);
}

bool tbi_calls_died(struct tbi_agent *agent, struct tbi_proc *proc, const struct tbi_error_link *why)
{
    struct tbi_local_actor *actor = proc->actor;
    bool told = actor->ends;

    count_lasting(agent, actor->job, -1);
    actor->ends = true;
    tbi_calls_take_back(agent, proc);
    while (!tbi_list_empty(&proc->work)) {
        struct tbi_job *call = TBI_ENTRY(proc->work.next, struct tbi_job, link);
        struct tbi_error_link link = *why;

        link.attempt = call->m->attempt;
        tbi_procs_send_failure(agent, proc->proc, call->m->task, link.attempt, &link, true)->direct =
            (call->m->flags & TBI_DISPATCH_DIRECT) != 0;
        leave(call);
        call->actor = NULL;
        tbi_jobs_forget(agent, call);
    }
    while (!tbi_list_empty(&actor->calls))
        drop(agent, TBI_ENTRY(actor->calls.next, struct tbi_job, call));
    return told;
}

void tbi_calls_free(struct tbi_agent *agent, struct tbi_proc *proc)
{
    struct tbi_local_actor *actor = proc->actor;
    struct tbi_map_slot e;

    if (actor == NULL)
        return;
    for (size_t at = 0; tbi_map_next(&actor->callers, &at, &e);)
        free_caller(e.value);
    tbi_map_fini(&actor->callers);
    tbi_map_fini(&actor->stopped);
    agent->nactors--;
    free(actor);
    proc->actor = NULL;
}

const char *tbi_calls_check_calls(const struct tbi_agent *agent, const struct tbi_proc *proc)
{
    const struct tbi_local_actor *actor = proc->actor;
    unsigned given = 0, work = 0;

    for (const struct tbi_link *l = proc->work.next; l != &proc->work; l = l->next, work++)
        if (TBI_ENTRY(l, struct tbi_job, link)->proc != proc ||
            TBI_ENTRY(l, struct tbi_job, link)->actor != actor)
            return "a call does not know who runs it";
    for (unsigned i = 0; i < TBI_LANES_MAX; i++) {
        const struct tbi_lane *lane = &actor->lane[i];

        given += lane->given;
        if (!actor->ends && !proc->leaving && !tbi_list_empty(&lane->calls) &&
            lane->given < lane->limit + agent->config.offers)
            return "a call waits that could run";
    }
    if (given != proc->nwork || work != proc->nwork || !tbi_list_linked(&proc->link))
        return "an actor's calls are counted wrongly, or it is in no list";
    return NULL;
}
