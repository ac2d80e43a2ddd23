/* resume.c - tasks that have blocked and go on: they take their CPUs back, and go before tasks that have not begun. Tasks
 * that block and resume without end would keep those waiting for ever, as when they poll an actor until one of them has
 * changed it. So, when TB_OVERTAKES have resumed past what waits in their bundle, the best of that begins first. If it
 * asks for more than is free nobody resumes until it has begun, but not for long: what runs may wait, in a way that is not seen
 * here, for one of those that would resume. Each time that this was in vain the next is put off (util/turns.h). */
#include "node/local.h"
#include "util/turns.h"

enum { HOLD_US = 1000000 };

/* Sent with the cores that it has from now on, which may be others; none, if it has no CPUs. */
void tbi_resume_send(struct tbi_agent *agent, const struct tbi_proc *proc)
{
    static const struct tbi_grant none;
    const struct tbi_grant *grant = proc->cpus == TBI_CPU_OWED ? &none : &proc->grant;
    size_t places = grant->ncores * sizeof *grant->place;
    struct msg_resume *m = agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_RESUME,
                                            proc->proc, sizeof *m + tbi_padded(places));

    *m = (struct msg_resume){proc->job->m->task, proc->job->m->attempt, grant->ncores};
    tbi_run_write_places((uint16_t *)(m + 1), proc->job->bundle, grant, 0);
}

void tbi_resume_go_on(struct tbi_agent *agent, struct tbi_proc *proc)
{
    tbi_list_append(&agent->busy, &proc->link);
    proc->since_us = agent->now_us;
    tbi_resume_send(agent, proc);
}

void tbi_resume_send_unblocked(struct tbi_agent *agent, const struct tbi_proc *proc)
{
    struct msg_task *m = agent->port.send(agent->port.ctx, 0, TBI_MSG_UNBLOCKED, proc->proc, sizeof *m);

    *m = (struct msg_task){proc->job->m->task, proc->job->m->attempt, 0};
}

void tbi_resume_queue(struct tbi_agent *agent, struct tbi_proc *proc)
{
    struct tbi_bundle *bundle = proc->job->bundle;

    proc->cpus = TBI_CPU_QUEUED;
    tbi_list_append(&bundle->resuming, &proc->link);
    if (!tbi_list_linked(&bundle->resumer))
        tbi_list_append(&agent->resumers, &bundle->resumer);
}

static unsigned limit_of(const struct tbi_agent *agent)
{
    return agent->config.overtakes > 0 ? agent->config.overtakes : 1;
}

/* Does nobody resume now, so that `kind` may begin, which asks for more than is free? */
static bool holds(struct tbi_agent *agent, struct tbi_bundle *bundle)
{
    if (bundle->hold_us == 0) {
        if (!tbi_turn_has_come(bundle->resumed, limit_of(agent), bundle->held_in_vain))
            return false;
        bundle->hold_us = agent->now_us + HOLD_US;
    }
    if (agent->now_us < bundle->hold_us)
        return true;
    bundle->hold_us = 0;
    bundle->held_in_vain++;
    bundle->resumed = 0;
    return false;
}

/* Those that have not begun go first, if it is their turn. Returns whether nobody resumes now. */
static bool gives_way(struct tbi_agent *agent, struct tbi_bundle *bundle)
{
    while (bundle->resumed >= limit_of(agent)) {
        struct tbi_job_kind *kind = tbi_run_next_in(agent, bundle);

        if (kind == NULL) {
            bundle->hold_us = 0;
            return false;
        }
        if (!tbi_grants_cpus_fit(bundle->grants, kind->demand.cpus))
            return holds(agent, bundle);
        bundle->hold_us = 0;
        bundle->held_in_vain = 0;
        tbi_run_begin_best(agent, kind);
    }
    return false;
}

static void resume_in(struct tbi_agent *agent, struct tbi_bundle *bundle)
{
    while (!tbi_list_empty(&bundle->resuming)) {
        struct tbi_proc *proc = TBI_ENTRY(bundle->resuming.next, struct tbi_proc, link);

        if (gives_way(agent, bundle) || !tbi_grants_cpus_fit(bundle->grants, proc->job->m->cpus))
            return;
        tbi_list_unlink(&proc->link);
        proc->cpus = TBI_CPU_HELD;
        tbi_grants_take_cpus(bundle->grants, proc->job->m->cpus, &proc->grant);
        tbi_run_count_given(agent, proc, -1);
        tbi_resume_go_on(agent, proc);
        tbi_resume_send_unblocked(agent, proc);
        bundle->resumed = bundle->nready > 0 ? bundle->resumed + 1 : 0;
    }
    tbi_list_unlink(&bundle->resumer);
    bundle->hold_us = 0;
}

void tbi_resume_what_fits(struct tbi_agent *agent)
{
    for (struct tbi_link *l = agent->resumers.next, *next; l != &agent->resumers; l = next) {
        next = l->next;
        resume_in(agent, TBI_ENTRY(l, struct tbi_bundle, resumer));
    }
}

uint64_t tbi_resume_deadline(const struct tbi_agent *agent)
{
    uint64_t first = UINT64_MAX;

    for (const struct tbi_link *l = agent->resumers.next; l != &agent->resumers; l = l->next) {
        uint64_t hold_us = TBI_ENTRY(l, struct tbi_bundle, resumer)->hold_us;

        first = hold_us != 0 && hold_us < first ? hold_us : first;
    }
    return first;
}

const char *tbi_resume_check(const struct tbi_agent *agent)
{
    for (const struct tbi_link *l = agent->resumers.next; l != &agent->resumers; l = l->next) {
        const struct tbi_bundle *bundle = TBI_ENTRY(l, struct tbi_bundle, resumer);
        const struct tbi_job_kind *kind = bundle->resumed < limit_of(agent) ? NULL : tbi_run_next_in(agent, bundle);
        const struct tbi_proc *first = TBI_ENTRY(bundle->resuming.next, struct tbi_proc, link);

        if (kind != NULL && tbi_grants_cpus_fit(bundle->grants, kind->demand.cpus))
            return "a task waits that as many have resumed past as may";
        if (bundle->hold_us == 0 && tbi_grants_cpus_fit(bundle->grants, first->job->m->cpus))
            return "a task that goes on waits for CPUs that are free";
    }
    return NULL;
}
