/* jobs.c - tasks at the node until they may run, and their end if they do not: arguments come here, in such
 * numbers that results find room, and what has all of them is ready, by depth and age. */
#include "node/local.h"
#include "thornback.h"
#include "util/alloc.h"

/* In a job's own record of where its arguments are: the place is not known there, so `offset` is free
 * to say whether the job is counted among those that use the object as a copy. */
enum { COUNTED = 1 };

static void admit_waiting(struct tbi_agent *agent);

static void forget(struct tbi_agent *agent, struct tbi_job *job)
{
    tbi_map_take(&agent->jobs, job->m->task);
    tbi_bundles_leave(agent, job);
}

static void leave_admitted(struct tbi_agent *agent, struct tbi_job *job)
{
    if (!job->admitted)
        return;
    job->admitted = false;
    agent->admitted--;
    admit_waiting(agent);
}

static void free_job(struct tbi_agent *agent, struct tbi_job *job)
{
    tbi_list_unlink(&job->timer);
    tbi_list_unlink(&job->call);
    leave_admitted(agent, job);
    agent->elders -= job->elder;
    if (!job->dropped)
        forget(agent, job);
    free(job->error);
    free(job);
}

/* A failed job's arguments that never came are marked, see tbi_jobs_argument_failed. */
static void unpin_arguments(struct tbi_agent *agent, const struct tbi_job *job)
{
    for (unsigned i = 0; i < job->m->nresolve; i++) {
        const struct msg_located *at = &tbi_job_arguments(job)[i];
        struct tbi_local *object;

        if (at->where != TBI_AT_STORE)
            continue;
        object = tbi_objects_find(agent, at->id);
        if (at->offset == COUNTED && --object->jobs == 0)
            agent->admitted_bytes -= object->bytes;
        tbi_objects_unpin(agent, object);
    }
}

/* All arguments are settled and one could not be had, or the task was aborted: it ends here. */
static void fail_job(struct tbi_agent *agent, struct tbi_job *job, bool crashed)
{
    uint32_t bytes = job->error_bytes;
    struct msg_done *m = agent->port.send(agent->port.ctx, 0, TBI_MSG_FINISHED, TBI_PROC_NONE,
                                          sizeof *m + tbi_padded(bytes));

    *m = (struct msg_done){.task = job->m->task, .attempt = job->m->attempt,
                           .error = ((const struct tbi_error_link *)job->error)->code,
                           .crashed = crashed, .direct = (job->m->flags & TBI_DISPATCH_DIRECT) != 0,
                           .data_bytes = (uint32_t)tbi_padded(bytes), .error_bytes = bytes};
    memcpy(m + 1, job->error, bytes);
    tbi_direct_ask_the_head(agent, job);
    if (job->actor != NULL)
        tbi_calls_take_out(agent, job);
    unpin_arguments(agent, job);
    free_job(agent, job);
}

void tbi_jobs_put_in(struct tbi_agent *agent, struct tbi_job *job, bool in_front)
{
    if (tbi_job_is_call(job)) {
        tbi_calls_ready(agent, job);
        return;
    }
    tbi_queue_put(agent, job, in_front);
    agent->nready++;
    agent->nready_free += tbi_job_needs_no_cpus(agent, job);
    job->bundle->nready++;
}

void tbi_jobs_take_out(struct tbi_agent *agent, struct tbi_job *job)
{
    if (tbi_job_is_call(job)) {
        tbi_calls_take_out(agent, job);
        return;
    }
    if (job->bundle->starving == job->kind) {
        job->bundle->starving = NULL;
        job->kind->overtaken = 0;
        agent->starving--;
        agent->relieved++;
    }
    tbi_queue_take(agent, job);
    job->bundle->nready--;
    agent->nready--;
    agent->nready_free -= tbi_job_needs_no_cpus(agent, job);
}

/* None is pinned, or on its way. */
static void forget_arguments(struct tbi_job *job)
{
    for (unsigned i = 0; i < job->m->nresolve; i++)
        ((struct msg_located *)(job->m + 1))[i].where = TBI_AT_ERROR;
}

void tbi_jobs_forget(struct tbi_agent *agent, struct tbi_job *job)
{
    unpin_arguments(agent, job);
    free_job(agent, job);
}

void tbi_jobs_remove(struct tbi_agent *agent, struct tbi_job *job)
{
    tbi_jobs_take_out(agent, job);
    tbi_jobs_forget(agent, job);
}

static void set_error(struct tbi_job *job, const struct tbi_error_link *why)
{
    free(job->error);
    job->error = tbi_copy(why, sizeof *why);
    ((struct tbi_error_link *)job->error)->attempt = job->m->attempt;
    job->error_bytes = sizeof *why;
}

void tbi_jobs_fail(struct tbi_agent *agent, struct tbi_job *job, const struct tbi_error_link *why,
                   bool crashed)
{
    set_error(job, why);
    if (job->missing > 0) { /* when its arguments have come: their copies are under way */
        if (job->actor != NULL)
            tbi_calls_take_out(agent, job);
        return;
    }
    if (job->copies && !job->admitted) {
        tbi_list_unlink(&job->link);
        forget_arguments(job);
    } else {
        tbi_jobs_take_out(agent, job);
    }
    fail_job(agent, job, crashed);
}

void tbi_jobs_drop(struct tbi_agent *agent, struct tbi_job *job)
{
    if (job->missing > 0) {
        forget(agent, job);
        job->dropped = true;
        tbi_list_append(&agent->dropped, &job->call);
        return;
    }
    if (job->copies && !job->admitted)
        forget_arguments(job);
    tbi_jobs_forget(agent, job);
}

void tbi_jobs_give_arguments_back(struct tbi_agent *agent, struct tbi_job *job)
{
    unpin_arguments(agent, job);
    forget_arguments(job);
    leave_admitted(agent, job);
}

void tbi_jobs_argument_failed(struct tbi_agent *agent, struct tbi_job *job, struct tbi_id id,
                              const void *error, uint32_t bytes)
{
    struct msg_located *at = (struct msg_located *)(job->m + 1);

    if (job->error == NULL) {
        job->error = tbi_copy(error, bytes);
        job->error_bytes = bytes;
    }
    while (at->where != TBI_AT_STORE || !tbi_id_equal(at->id, id))
        at++;
    at->where = TBI_AT_ERROR;
    tbi_jobs_argument_here(agent, job);
}

void tbi_jobs_argument_here(struct tbi_agent *agent, struct tbi_job *job)
{
    if (--job->missing > 0)
        return;
    if (job->dropped) {
        tbi_jobs_forget(agent, job);
        return;
    }
    if (job->error != NULL) {
        fail_job(agent, job, false);
        return;
    }
    if (!tbi_job_is_call(job) && tbi_takeback_unasked(agent, job))
        tbi_jobs_forget(agent, job);
    else
        tbi_jobs_put_in(agent, job, false);
}

static bool is_copied(const struct tbi_agent *agent, const struct msg_located *at)
{
    return at->where == TBI_AT_STORE &&
           agent->config.host[at->rank] != agent->config.host[agent->config.rank];
}

/* Gets the arguments of a job here; it becomes ready when all are. */
static void admit(struct tbi_agent *agent, struct tbi_job *job)
{
    struct msg_located *at = (struct msg_located *)(job->m + 1);

    job->admitted = job->copies;
    agent->admitted += job->copies;
    /* One more than there are, so that the job cannot become ready halfway through the loop. */
    job->missing = 1;
    for (unsigned i = 0; i < job->m->nresolve; i++) {
        struct tbi_local *object;

        if (at[i].where != TBI_AT_STORE)
            continue;
        job->missing++;
        at[i].offset = 0;
        tbi_objects_need(agent, &at[i], (struct tbi_need){.job = job});
        object = tbi_objects_find(agent, at[i].id);
        if (object != NULL && is_copied(agent, &at[i])) { /* NULL: it has failed at once */
            at[i].offset = COUNTED;
            if (object->jobs++ == 0)
                agent->admitted_bytes += object->bytes;
        }
    }
    tbi_jobs_argument_here(agent, job);
}

/* Bytes that its copies would add to those of the jobs that are admitted. */
static uint64_t bytes_to_add(const struct tbi_agent *agent, const struct tbi_job *job)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < job->m->nresolve; i++) {
        const struct msg_located *at = &tbi_job_arguments(job)[i];
        const struct tbi_local *object = tbi_objects_find(agent, at->id);

        if (is_copied(agent, at) && (object == NULL || object->jobs == 0))
            bytes += at->bytes;
    }
    return bytes;
}

/* Copies of arguments use 70 % of the segment at most, so that results find room; but one job is always
 * admitted, and so is what a blocked task waits for: that task may hold the room itself. */
static bool may_be_admitted(const struct tbi_agent *agent, const struct tbi_job *job)
{
    return !job->copies || job->wanted || agent->admitted == 0 ||
           agent->admitted_bytes + bytes_to_add(agent, job) <=
               tbi_segment_capacity(agent->segment) / 10 * 7;
}

static void admit_waiting(struct tbi_agent *agent)
{
    while (!tbi_list_empty(&agent->unadmitted)) {
        struct tbi_job *job = TBI_ENTRY(agent->unadmitted.next, struct tbi_job, link);

        if (!may_be_admitted(agent, job))
            return;
        tbi_list_unlink(&job->link);
        admit(agent, job);
    }
}

const char *tbi_jobs_dispatch(struct tbi_agent *agent, const struct tbi_record *record)
{
    const struct msg_dispatch *m = (const struct msg_dispatch *)(record + 1);
    struct tbi_error_link link;
    struct tbi_bundle *bundle = tbi_bundles_find(agent, tbi_dispatch_bundle(m));
    struct tbi_demand demand;
    struct tbi_job *job;
    struct tbi_local_actor *actor = NULL;

    if (m->flags & TBI_DISPATCH_CALL) {
        actor = tbi_calls_of_call(agent, m);
        if (actor == NULL)
            return NULL; /* it has ended: the head will hear of that, and may have sent the call again */
    }
    if (bundle == NULL)
        return "DISPATCH of a task in a bundle that is not here";
    job = tbi_alloc(sizeof *job + record->len - sizeof *record);
    *job = (struct tbi_job){.m = memcpy(job + 1, m, record->len - sizeof *record)};
    if (!tbi_map_put(&agent->jobs, m->task, job)) {
        free(job);
        return "DISPATCH of a task that is here";
    }
    job->wanted = m->flags & TBI_DISPATCH_WANTED;
    tbi_bundles_enter(bundle, job);
    if (actor != NULL && tbi_calls_enter(actor, job)) {
        tbi_error_link(&link, TB_ERR_CANCELLED, "cancelled before it began");
        set_error(job, &link);
        forget_arguments(job);
        fail_job(agent, job, false);
        return NULL;
    }
    for (unsigned i = 0; i < m->nresolve; i++)
        job->copies |= is_copied(agent, &tbi_job_arguments(job)[i]);
    demand = tbi_job_demand(job);
    if (!tbi_bundles_feasible(agent, bundle, &demand)) {
        /* the head knows what the node has; should it be wrong, the task must not wait for ever */
        tbi_error_link(&link, TB_ERR_INFEASIBLE, "the task was sent to rank %u, which can never "
                       "run it", agent->config.rank);
        set_error(job, &link);
        forget_arguments(job);
        fail_job(agent, job, false);
        return NULL;
    }
    tbi_bundles_count(agent, job);
    if (may_be_admitted(agent, job))
        admit(agent, job);
    else
        tbi_list_append(&agent->unadmitted, &job->link);
    return NULL;
}

void tbi_jobs_want(struct tbi_agent *agent, struct tbi_id task)
{
    struct tbi_job *job = tbi_map_get(&agent->jobs, task);

    if (job == NULL || job->wanted)
        return;
    if (job->kind != NULL)
        tbi_queue_raise(agent, job);
    job->wanted = true;
    if (job->copies && !job->admitted) {
        tbi_list_unlink(&job->link);
        admit(agent, job);
    }
}
