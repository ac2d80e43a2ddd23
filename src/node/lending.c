/* lending.c - a bundle may have the CPUs of tasks that are blocked until groups are reserved (sched/lenders.h): they
 * would else wait for themselves. Such a task is a lender until it has its CPUs again. As long as it is blocked nothing is
 * left to it; and when it goes on it does so at once, without CPUs, for the group may be held until this very task removes
 * it. It is then OWED them, and takes them as soon as as many are free that no blocked task will want back. If it
 * blocks again meanwhile, it has none to give. To the head it is blocked until it has its CPUs; LENT says that it has
 * lent them, or that it is an ordinary blocked task again. */
#include "node/local.h"

static bool may_lend(const struct tbi_agent *agent, const struct tbi_job *job)
{
    return job != NULL && job->proc != NULL && job->proc->job == job && job->bundle == &agent->whole &&
           job->proc->cpus == TBI_CPU_GIVEN && job->m->cpus > 0 && !tbi_list_linked(&job->proc->lender);
}

static void send_lent(struct tbi_agent *agent, const struct tbi_proc *proc, bool lent)
{
    struct msg_lent *m = agent->port.send(agent->port.ctx, 0, TBI_MSG_LENT, proc->proc, sizeof *m);

    *m = (struct msg_lent){proc->job->m->task, proc->job->m->attempt, lent};
}

static void lend(struct tbi_agent *agent, struct tbi_proc *proc)
{
    tbi_list_append(&agent->lenders, &proc->lender);
    agent->given_cpus -= proc->job->m->cpus;
    agent->needed[TBI_CPUS] -= proc->job->m->cpus;
    send_lent(agent, proc, true);
}

void tbi_lending_note_blocked(struct tbi_agent *agent, const struct tbi_id *tasks, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct tbi_job *job = tbi_map_get(&agent->jobs, tasks[i]);

        if (job != NULL && job->proc != NULL && job->proc->job == job && job->proc->blocked &&
            job->proc->cpus == TBI_CPU_ASKED)
            tbi_procs_give_cpus_away(agent, job->proc);
    }
}

bool tbi_lending_begin(struct tbi_agent *agent, const struct tbi_id *tasks, unsigned n, tbi_total missing)
{
    unsigned end = 0;

    for (; end < n && missing > 0; end++) {
        const struct tbi_job *job = tbi_map_get(&agent->jobs, tasks[end]);

        missing -= may_lend(agent, job) ? job->m->cpus : 0;
    }
    if (missing > 0)
        return false;
    for (unsigned i = 0; i < end; i++) {
        const struct tbi_job *job = tbi_map_get(&agent->jobs, tasks[i]);

        if (may_lend(agent, job))
            lend(agent, job->proc);
    }
    return true;
}

void tbi_lending_owe(struct tbi_agent *agent, struct tbi_proc *proc)
{
    proc->cpus = TBI_CPU_OWED;
    proc->since_us = agent->now_us;
    tbi_list_append(&agent->debtors, &proc->link); /* it has nothing that another task could take over */
    tbi_resume_send(agent, proc);
}

void tbi_lending_block(struct tbi_proc *proc)
{
    proc->cpus = TBI_CPU_GIVEN;
}

void tbi_lending_end(struct tbi_agent *agent, struct tbi_proc *proc)
{
    if (!tbi_list_linked(&proc->lender))
        return;
    tbi_list_unlink(&proc->lender);
    agent->needed[TBI_CPUS] += proc->job->m->cpus;
}

/* It has its CPUs again, or if it is blocked, they are left to it again. */
static void end_loan(struct tbi_agent *agent, struct tbi_proc *proc)
{
    if (proc->cpus == TBI_CPU_GIVEN) {
        tbi_lending_end(agent, proc);
        agent->given_cpus += proc->job->m->cpus;
        send_lent(agent, proc, false);
        return;
    }
    tbi_run_count_given(agent, proc, -1);
    tbi_lending_end(agent, proc);
    proc->cpus = TBI_CPU_HELD;
    tbi_grants_take_cpus(agent->whole.grants, proc->job->m->cpus, &proc->grant);
    if (proc->actor != NULL) /* it was constructed meanwhile, and to the head it has them since then */
        return;
    tbi_list_unlink(&proc->link);
    tbi_list_append(&agent->busy, &proc->link);
    tbi_resume_send_unblocked(agent, proc);
}

static bool may_end(const struct tbi_agent *agent, const struct tbi_proc *proc)
{
    return tbi_grants_free(agent->whole.grants, TBI_CPUS) - agent->given_cpus >= proc->job->m->cpus;
}

void tbi_lending_settle(struct tbi_agent *agent)
{
    for (struct tbi_link *l = agent->lenders.next, *next; l != &agent->lenders; l = next) {
        struct tbi_proc *proc = TBI_ENTRY(l, struct tbi_proc, lender);

        next = l->next;
        if (may_end(agent, proc))
            end_loan(agent, proc);
    }
}

/* A task that has begun has its CPUs, or lends them, or there are so many that it may wait for them. Else it would wait
 * for bundles, and these may be held for good. */
static bool can_have_its_cpus(const struct tbi_agent *agent, const struct tbi_job *job)
{
    return job->bundle != &agent->whole || job->proc == NULL || job->proc->job != job || tbi_lending_is_lender(job) ||
           job->m->cpus <= tbi_grants_total(agent->whole.grants, TBI_CPUS) - agent->held_cpus;
}

const char *tbi_lending_check(const struct tbi_agent *agent)
{
    struct tbi_map_slot e;
    int64_t given = 0;

    for (size_t at = 0; tbi_map_next(&agent->procs, &at, &e);) {
        const struct tbi_proc *proc = e.value;
        bool lends = tbi_list_linked(&proc->lender), owed = proc->cpus == TBI_CPU_OWED;

        if (lends ? proc->job == NULL || proc->job->bundle != &agent->whole ||
                        !(owed || (proc->blocked && proc->cpus == TBI_CPU_GIVEN))
                  : owed)
            return "a task lends CPUs that it has, or is owed some that it has not lent";
        if (owed && (proc->blocked || (proc->nwork > 1 && proc->actor == NULL)))
            return "a task that is owed CPUs is blocked, or others are to take them over";
        if (lends && may_end(agent, proc))
            return "a task lends CPUs that are free";
        if (!lends && proc->job != NULL && proc->job->bundle == &agent->whole &&
            (proc->cpus == TBI_CPU_GIVEN || proc->cpus == TBI_CPU_QUEUED))
            given += proc->job->m->cpus;
    }
    if (given != agent->given_cpus)
        return "the CPUs that tasks have given away are counted wrongly";
    for (size_t at = 0; tbi_map_next(&agent->jobs, &at, &e);)
        if (!can_have_its_cpus(agent, e.value))
            return "bundles hold CPUs that a task waits for";
    return NULL;
}
