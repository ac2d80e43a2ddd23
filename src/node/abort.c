/* abort.c - the end of tasks that are not wanted any more, or take too long. A task that has not begun
 * never does. One that runs is interrupted, or killed by force; whatever it then says, FINISHED
 * goes to the head, which has decided already. A limit that is exceeded is told to the head, which
 * answers with ABORT. */
#include "node/local.h"
#include "thornback.h"
#include "util/alloc.h"

static void set_timer(struct tbi_agent *agent, struct tbi_job *job, uint64_t due_us)
{
    tbi_list_unlink(&job->timer);
    tbi_list_append(&agent->timers, &job->timer);
    job->due_us = due_us;
    if (due_us < agent->timer_us)
        agent->timer_us = due_us;
}

void tbi_abort_begin_limit(struct tbi_agent *agent, struct tbi_job *job)
{
    if (job->m->limit_ms > 0 && !job->aborted) /* it may have begun, and been aborted, unnoticed */
        set_timer(agent, job, agent->now_us + (uint64_t)job->m->limit_ms * 1000);
    job->limited = true;
}

static void send_task(struct tbi_agent *agent, unsigned rank, enum tbi_msg type, uint32_t proc,
                      const struct tbi_job *job)
{
    struct msg_task *m = agent->port.send(agent->port.ctx, rank, type, proc, sizeof *m);

    *m = (struct msg_task){job->m->task, job->m->attempt, 0};
}

static void kill_process(struct tbi_agent *agent, struct tbi_job *job)
{
    job->killed = true;
    agent->ops.kill(agent->ops.ctx, job->proc->proc);
}

/* A process runs its tasks one after the other: if it has claimed a later one it is done with this, as its DONE will
 * say, and what is meant for this would hit the later one. What it has not claimed was taken back. */
static bool is_over(const struct tbi_job *job)
{
    return job->proc->actor == NULL && &job->link != job->proc->work.prev;
}

static void abort_running(struct tbi_agent *agent, struct tbi_job *job, bool force)
{
    struct tbi_proc *proc = job->proc;

    if (is_over(job)) {
        tbi_list_unlink(&job->timer);
        job->aborted = true;
        return;
    }
    if (force) {
        kill_process(agent, job);
    } else if (!job->aborted) {
        send_task(agent, agent->config.rank, TBI_MSG_INTERRUPT, proc->proc, job);
        agent->ops.interrupt(agent->ops.ctx, proc->proc, job->number, proc->actor != NULL);
        tbi_list_unlink(&job->timer);
        if (!tbi_job_is_call(job)) /* a call that takes no notice does not cost the actor its life */
            set_timer(agent, job, agent->now_us + agent->config.grace_us);
    }
    job->aborted = true;
    if (!tbi_job_is_call(job))
        proc->leaving = true;
}

void tbi_abort_by_force(struct tbi_agent *agent, struct tbi_job *job)
{
    abort_running(agent, job, true);
}

void tbi_abort_job(struct tbi_agent *agent, const struct msg_abort *m)
{
    struct tbi_job *job = tbi_map_get(&agent->jobs, m->task);
    struct tbi_error_link link;
    struct tbi_proc *proc;

    if (job == NULL || job->m->attempt != m->attempt)
        return; /* it has ended meanwhile */
    proc = job->proc;
    if (proc != NULL)
        tbi_run_take_back(agent, proc);
    if (job->proc != NULL) {
        abort_running(agent, job, m->force && !tbi_job_is_call(job));
    } else {
        tbi_error_link(&link, TB_ERR_CANCELLED, "cancelled before it began");
        tbi_jobs_fail(agent, job, &link, false);
    }
    if (proc != NULL)
        tbi_calls_feed(agent, proc);
}

void tbi_abort_tick(struct tbi_agent *agent)
{
    uint64_t next = UINT64_MAX;

    if (agent->timer_us > agent->now_us)
        return;
    for (struct tbi_link *l = agent->timers.next, *after; l != &agent->timers; l = after) {
        struct tbi_job *job = TBI_ENTRY(l, struct tbi_job, timer);

        after = l->next;
        if (job->due_us > agent->now_us) {
            next = job->due_us < next ? job->due_us : next;
            continue;
        }
        tbi_list_unlink(l);
        if (job->aborted)
            kill_process(agent, job);
        else
            send_task(agent, 0, TBI_MSG_OVERDUE, TBI_PROC_NONE, job);
    }
    agent->timer_us = next;
}
