/* agent.c - creation, the messages from the head and from other agents, and the checks. */
#include "node/agent.h"
#include "node/local.h"
#include "util/alloc.h"

struct tbi_agent *tbi_agent_create(const struct tbi_agent_config *config, struct tbi_port port,
                                   struct tbi_agent_ops ops)
{
    struct tbi_agent *agent = tbi_alloc_zeroed(1, sizeof *agent);

    agent->config = *config;
    if (config->last_proc == 0)
        agent->config.last_proc = TBI_ID_PROC_MAX;
    agent->config.host = tbi_copy(config->host, config->nranks * sizeof *config->host);
    agent->port = port;
    agent->ops = ops;
    agent->whole.grants = tbi_grants_create(&config->resources);
    agent->whole.jobs = 1; /* it never goes */
    tbi_list_init(&agent->whole.resuming);
    tbi_list_init(&agent->whole.waiting);
    tbi_list_init(&agent->whole.members);
    tbi_list_init(&agent->active);
    tbi_queue_init(&agent->queue);
    agent->segment = tbi_segment_create(config->store_bytes, config->page_bytes);
    tbi_list_init(&agent->rooms);
    tbi_list_init(&agent->spare);
    tbi_list_init(&agent->unadmitted);
    tbi_list_init(&agent->idle);
    tbi_list_init(&agent->resumers);
    tbi_list_init(&agent->lenders);
    tbi_list_init(&agent->debtors);
    tbi_list_init(&agent->busy);
    tbi_list_init(&agent->timers);
    tbi_list_init(&agent->actors);
    tbi_list_init(&agent->dropped);
    agent->timer_us = agent->idle_us = UINT64_MAX;
    if (config->rank == 0)
        tbi_procs_add(agent, TBI_PROC_DRIVER);
    return agent;
}

static void free_job(struct tbi_job *job)
{
    free(job->error);
    free(job);
}

void tbi_agent_destroy(struct tbi_agent *agent)
{
    struct tbi_map_slot e;
    size_t at;

    if (agent == NULL)
        return;
    tbi_rooms_destroy(agent);
    for (at = 0; tbi_map_next(&agent->procs, &at, &e); at = 0)
        tbi_procs_free(agent, e.value);
    for (at = 0; tbi_map_next(&agent->jobs, &at, &e);)
        free_job(e.value);
    while (!tbi_list_empty(&agent->dropped)) {
        struct tbi_job *job = TBI_ENTRY(agent->dropped.next, struct tbi_job, call);

        tbi_list_unlink(&job->call);
        free_job(job);
    }
    for (at = 0; tbi_map_next(&agent->objects, &at, &e);) {
        struct tbi_local *object = e.value;

        while (!tbi_list_empty(&object->needs)) {
            struct tbi_need *need = TBI_ENTRY(object->needs.next, struct tbi_need, link);

            tbi_list_unlink(&need->link);
            free(need);
        }
        free(object);
    }
    tbi_map_fini(&agent->procs);
    tbi_map_fini(&agent->jobs);
    tbi_map_fini(&agent->objects);
    tbi_map_fini(&agent->tickets);
    tbi_direct_fini(agent);
    tbi_segment_destroy(agent->segment);
    tbi_bundles_destroy(agent);
    tbi_grants_destroy(agent->whole.grants);
    tbi_queue_fini(&agent->queue);
    tbi_heap_fini(&agent->whole.kinds);
    free((unsigned *)agent->config.host);
    free(agent);
}

/* The head answers a process that asked through us, or ourselves (TBI_PROC_NONE). */
static void on_resolved(struct tbi_agent *agent, const struct tbi_record *record)
{
    const struct msg_located *m = (const struct msg_located *)(record + 1);
    size_t size = record->len - sizeof *record;

    if (record->proc == TBI_PROC_NONE) {
        tbi_objects_on_located(agent, m);
    } else if (tbi_procs_find(agent, record->proc) == NULL) {
        /* it died meanwhile */
    } else if (m->where == TBI_AT_STORE) {
        tbi_objects_need(agent, m, (struct tbi_need){.proc = record->proc});
    } else {
        memcpy(agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_OBJECT, record->proc,
                                size), m, size);
    }
}

static void on_inform(struct tbi_agent *agent, const struct tbi_record *record)
{
    const struct msg_inquire *m = (const struct msg_inquire *)(record + 1);

    if (tbi_procs_find(agent, record->proc) != NULL)
        *(struct msg_inquire *)agent->port.send(agent->port.ctx, agent->config.rank,
                                                TBI_MSG_INFORMED, record->proc, sizeof *m) = *m;
}

static void on_grant(struct tbi_agent *agent, const struct tbi_record *record)
{
    const struct msg_credit *m = (const struct msg_credit *)(record + 1);

    if (tbi_procs_find(agent, record->proc) != NULL)
        *(struct msg_credit *)agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_GRANTED,
                                               record->proc, sizeof *m) = *m;
}

static void on_tally(struct tbi_agent *agent, const struct tbi_record *record)
{
    const struct msg_unfinished *m = (const struct msg_unfinished *)(record + 1);

    if (tbi_procs_find(agent, record->proc) != NULL)
        *(struct msg_unfinished *)agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_TALLIED,
                                                   record->proc, sizeof *m) = *m;
}

/* With an actor that was there already the process gets one hold more of it. */
static void on_identify(struct tbi_agent *agent, const struct tbi_record *record)
{
    const struct msg_found *m = (const struct msg_found *)(record + 1);
    struct tbi_proc *proc = tbi_procs_find(agent, record->proc);
    bool held = !tbi_id_is_null(m->id) && !tbi_id_equal(m->submitted, m->id);

    if (proc == NULL) {
        if (held)
            ((struct msg_object *)agent->port.send(agent->port.ctx, 0, TBI_MSG_RELEASE, record->proc,
                                                   sizeof(struct msg_object)))->id = m->id;
        return;
    }
    if (held && !tbi_id_is_null(m->submitted))
        tbi_map_take(&proc->handles, m->submitted); /* that actor was not made */
    if (held)
        tbi_procs_add_hold(proc, m->id);
    *(struct msg_found *)agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_FOUND,
                                          record->proc, sizeof *m) = *m;
}

/* The head knows that the task is blocked, and has sent what it could of its children. */
static void on_blocked(struct tbi_agent *agent, const struct tbi_record *record)
{
    const struct msg_task *m = (const struct msg_task *)(record + 1);
    struct tbi_proc *proc = tbi_procs_find(agent, record->proc);

    if (proc == NULL || proc->job == NULL || !tbi_id_equal(proc->job->m->task, m->task) ||
        proc->job->m->attempt != m->attempt || proc->cpus != TBI_CPU_ASKED)
        return; /* it ended or died meanwhile, and the head will hear of that */
    if (proc->blocked) {
        tbi_procs_give_cpus_away(agent, proc);
    } else {
        struct msg_task *answer = agent->port.send(agent->port.ctx, 0, TBI_MSG_UNBLOCKED,
                                                   record->proc, sizeof *answer);

        *answer = *m;
        proc->cpus = TBI_CPU_HELD;
    }
}

const char *tbi_agent_handle(struct tbi_agent *agent, unsigned rank,
                             const struct tbi_record *record, uint64_t now_us)
{
    const void *body = record + 1;
    const char *why = NULL;

    agent->now_us = now_us;
    if (tbi_msg_info[record->type].from == TBI_ROLE_PROC) {
        why = tbi_procs_handle(agent, record);
    } else {
        switch ((enum tbi_msg)record->type) {
        case TBI_MSG_DISPATCH:
            why = tbi_jobs_dispatch(agent, record);
            break;
        case TBI_MSG_RESOLVED:
            on_resolved(agent, record);
            break;
        case TBI_MSG_INFORM:
            on_inform(agent, record);
            break;
        case TBI_MSG_GRANT:
            on_grant(agent, record);
            break;
        case TBI_MSG_TALLY:
            on_tally(agent, record);
            break;
        case TBI_MSG_IDENTIFY:
            on_identify(agent, record);
            break;
        case TBI_MSG_SKIP:
            tbi_calls_skip(agent, body);
            break;
        case TBI_MSG_CALLER_GONE:
            tbi_calls_caller_gone(agent, body);
            break;
        case TBI_MSG_CALL:
            why = tbi_dispatch_call(body) != NULL &&
                          ((const struct msg_dispatch *)body)->flags & TBI_DISPATCH_DIRECT
                      ? tbi_jobs_dispatch(agent, record)
                      : "CALL of what is no direct call";
            break;
        case TBI_MSG_ANSWER:
            why = tbi_direct_answer(agent, body);
            break;
        case TBI_MSG_WHERE:
            tbi_direct_where(agent, body);
            break;
        case TBI_MSG_TAKEN_OVER:
            tbi_direct_taken_over(agent, ((const struct msg_object *)body)->id);
            break;
        case TBI_MSG_STOP:
            tbi_calls_stop(agent, body);
            break;
        case TBI_MSG_RETIRE:
            tbi_calls_retire(agent, body);
            break;
        case TBI_MSG_BLOCKED:
            on_blocked(agent, record);
            break;
        case TBI_MSG_WANTED:
            tbi_jobs_want(agent, ((const struct msg_task *)body)->task);
            break;
        case TBI_MSG_ABORT:
            tbi_abort_job(agent, body);
            break;
        case TBI_MSG_KEEP:
            agent->kept = ((const struct msg_keep *)body)->kept != 0;
            break;
        case TBI_MSG_RESERVE:
            why = tbi_bundles_reserve(agent, body);
            break;
        case TBI_MSG_UNRESERVE:
            why = tbi_bundles_unreserve(agent, ((const struct msg_object *)body)->id);
            break;
        case TBI_MSG_TAKE_BACK:
            why = tbi_takeback(agent, body);
            break;
        case TBI_MSG_FREE:
            tbi_objects_on_free(agent, ((const struct msg_object *)body)->id);
            break;
        case TBI_MSG_FETCH:
            tbi_objects_on_fetch(agent, rank, body);
            break;
        case TBI_MSG_FETCHED:
            why = tbi_objects_on_fetched(agent, body);
            break;
        case TBI_MSG_FETCH_DONE:
            why = tbi_objects_on_fetch_done(agent, body);
            break;
        default:
            why = "a message that is not for an agent";
        }
    }
    tbi_run_start(agent);
    return why;
}

uint64_t tbi_agent_deadline(const struct tbi_agent *agent)
{
    uint64_t rooms = tbi_rooms_deadline(agent), births = tbi_births_deadline(agent);
    uint64_t first = rooms < births ? rooms : births, resume = tbi_resume_deadline(agent);

    if (resume < first)
        first = resume;
    if (agent->idle_us < first)
        first = agent->idle_us;
    return first < agent->timer_us ? first : agent->timer_us;
}

void tbi_agent_tick(struct tbi_agent *agent, uint64_t now_us)
{
    agent->now_us = now_us;
    tbi_rooms_tick(agent);
    tbi_abort_tick(agent);
    tbi_births_tick(agent);
    tbi_idle_tick(agent);
    tbi_run_start(agent);
}

struct tbi_agent_counts tbi_agent_counts(const struct tbi_agent *agent)
{
    return (struct tbi_agent_counts){
        .executors = agent->executors,     .running = agent->running,
        .blocked = agent->blocked,         .jobs = agent->jobs.count,
        .cpus_free = tbi_grants_free(agent->whole.grants, TBI_CPUS), .objects = agent->objects.count,
        .pins = agent->pins,               .leases = agent->leases,
        .store_used = tbi_segment_used(agent->segment),
    };
}

static const char *check_procs(const struct tbi_agent *agent)
{
    struct tbi_map_slot e, pin;
    unsigned executors = 0, running = 0, blocked = 0, actors = 0;
    size_t at = 0, in;

    while (tbi_map_next(&agent->procs, &at, &e)) {
        const struct tbi_proc *proc = e.value;
        unsigned work = 0;
        bool held = proc->cpus == TBI_CPU_HELD || proc->cpus == TBI_CPU_ASKED;

        executors += proc->proc != TBI_PROC_DRIVER;
        running += proc->job != NULL;
        blocked += proc->job != NULL && proc->actor == NULL && !held;
        actors += proc->actor != NULL;
        if (proc->actor != NULL) {
            const char *why = tbi_calls_check_calls(agent, proc);

            if (why != NULL)
                return why;
            continue;
        }
        if ((proc->proc != TBI_PROC_DRIVER && !proc->blocked &&
             (proc->job != NULL || !proc->leaving)) != tbi_list_linked(&proc->link))
            return "a process is in no list that it should be in, or the other way round";
        for (const struct tbi_link *l = proc->work.next; l != &proc->work; l = l->next) {
            const struct tbi_job *job = TBI_ENTRY(l, struct tbi_job, link);

            work++;
            struct tbi_demand demand = tbi_job_demand(job), first = tbi_job_demand(proc->job);

            if (!tbi_demand_equal(&demand, &first) || job->bundle != proc->job->bundle)
                return "an executor was given a task of another demand";
            if (job->proc != proc || (job->aborted && !proc->leaving && &job->link == proc->work.prev))
                return "a task does not know who runs it, or is aborted and that process may go on";
            if (tbi_list_linked(&job->timer) && job != proc->job && !job->aborted)
                return "a task is timed before it begins";
        }
        if (work != proc->nwork || (proc->job != NULL) != (work > 0) ||
            (work > 1 && (proc->blocked || work > 1 + agent->config.offers)))
            return "an executor has more tasks than it should, or the count is wrong";
        for (in = 0; tbi_map_next(&proc->pins, &in, &pin);)
            if (tbi_objects_find(agent, pin.key) == NULL)
                return "a pin on nothing";
    }
    if (executors != agent->executors || actors != agent->nactors || running != agent->running || blocked != agent->blocked)
        return "the counts of executors are wrong";
    return NULL;
}

const char *tbi_agent_check(const struct tbi_agent *agent)
{
    const char *why = check_procs(agent);
    struct tbi_map_slot e;
    size_t at = 0, pins = 0, leases = 0;
    uint64_t used = 0, admitted = 0;
    unsigned elders = 0;

    if (why == NULL)
        why = tbi_bundles_check(agent);
    if (why == NULL)
        why = tbi_lending_check(agent);
    if (why == NULL)
        why = tbi_run_check(agent);
    if (why == NULL)
        why = tbi_rooms_check(agent);
    if (why == NULL)
        why = tbi_segment_check(agent->segment);
    if (why != NULL)
        return why;
    while (tbi_map_next(&agent->jobs, &at, &e))
        elders += ((const struct tbi_job *)e.value)->elder;
    if (elders != agent->elders)
        return "the tasks that were let through are counted wrongly";
    at = 0;
    while (tbi_map_next(&agent->objects, &at, &e)) {
        const struct tbi_local *object = e.value;

        pins += object->pins;
        leases += object->leases;
        used += object->room;
        admitted += object->jobs > 0 ? object->bytes : 0;
        if (!tbi_list_empty(&object->needs) && tbi_objects_usable(object))
            return "someone waits for an object that is here";
        for (const struct tbi_link *l = object->needs.next; l != &object->needs; l = l->next)
            if (TBI_ENTRY(l, struct tbi_need, link)->job == NULL &&
                tbi_procs_find(agent, TBI_ENTRY(l, struct tbi_need, link)->proc) == NULL)
                return "a process that has ended waits for an object";
        if (object->state == TBI_LOCAL_MAPPED && object->pins == 0)
            return "a lease is kept that nobody uses";
        if (object->doomed && object->state == TBI_LOCAL_SEALED && object->pins == 0 &&
            object->leases == 0)
            return "a freed object was kept";
    }
    if (pins != agent->pins || leases != agent->leases)
        return "the sums of pins and leases are wrong";
    if (admitted != agent->admitted_bytes ||
        (agent->jobs.count == 0 && tbi_list_empty(&agent->dropped) && agent->admitted > 0) ||
        (agent->admitted == 0 && !tbi_list_empty(&agent->unadmitted)))
        return "the copies of admitted jobs are counted wrongly, or nobody is admitted";
    return used == tbi_segment_used(agent->segment) ? NULL : "room is lost, or lent twice";
}
