/* births.c - whether one more process may be started. There are two limits, TB_MAX_EXECUTORS of tasks that do not wait,
 * and what a rank can have in all; and the system may refuse. Then the tasks that the process was started for are
 * queued again, for a process that lives or for the next one, which is tried after a pause. They fail only when for long
 * nothing here could go on without a new process. */
#include "node/local.h"
#include "thornback.h"
#include "util/alloc.h"
#include "util/plural.h"

enum { PAUSE_MIN_US = 10000, PAUSE_MAX_US = 1000000, TOLD_US = 10000000 };

/* Numbers are not used again: refs of the last process that had one may live on (util/id.h). */
static bool is_used_up(const struct tbi_agent *agent)
{
    return agent->next_proc >= agent->config.last_proc;
}

static bool is_full(const struct tbi_agent *agent)
{
    return agent->executors >= agent->config.most_processes;
}

/* Processes whose tasks wait do not count: what they wait for, known to us or not, may need one. Nor do those
 * of actors, who keep theirs. */
static bool is_below_limit(const struct tbi_agent *agent)
{
    return agent->executors - agent->nactors - agent->blocked < agent->config.max_executors;
}

bool tbi_births_are_too_many(const struct tbi_agent *agent, bool for_actor)
{
    return is_full(agent) || (!for_actor && !is_below_limit(agent));
}

bool tbi_births_may(const struct tbi_agent *agent, bool for_actor)
{
    const struct tbi_births *b = &agent->births;

    return !is_used_up(agent) && !tbi_births_are_too_many(agent, for_actor) &&
           (!b->fail || b->next_us <= agent->now_us);
}

void tbi_births_begun(struct tbi_agent *agent)
{
    struct tbi_births *b = &agent->births;

    if (b->fail) /* one at a time, until one has spoken */
        b->next_us = agent->now_us + b->pause_us;
}

void tbi_births_spoke(struct tbi_agent *agent, struct tbi_proc *proc)
{
    proc->spoke = true;
    if (proc->proc != TBI_PROC_DRIVER)
        agent->births.fail = false;
}

void tbi_births_wanted(struct tbi_agent *agent)
{
    struct tbi_births *b = &agent->births;

    if (b->wanted || b->fail || agent->ops.say == NULL || b->told_of_limit[is_full(agent)])
        return;
    b->wanted = true;
    b->told_us = agent->now_us + TOLD_US;
}

/* ---- the system refuses ---- */

/* Is there a process that could take a task when it has ended its own? One whose task waits, and an idle actor, may
 * wait for just that. */
static bool something_runs(const struct tbi_agent *agent)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&agent->procs, &at, &e);) {
        const struct tbi_proc *proc = e.value;

        if (proc->proc != TBI_PROC_DRIVER && !proc->blocked && proc->nwork > 0)
            return true;
    }
    return false;
}

static void fail_all(struct tbi_agent *agent, const struct tbi_error_link *why, bool crashed)
{
    for (struct tbi_job_kind *kind; (kind = tbi_queue_first(agent, true, true)) != NULL;)
        tbi_jobs_fail(agent, tbi_kind_best(kind), why, crashed);
}

static void note_failure(struct tbi_agent *agent, const struct tbi_error_link *why)
{
    struct tbi_births *b = &agent->births;
    char text[700];

    b->pause_us = !b->fail ? PAUSE_MIN_US : b->pause_us < PAUSE_MAX_US / 2 ? b->pause_us * 2 : PAUSE_MAX_US;
    if (!b->fail)
        b->since_us = agent->now_us;
    b->fail = true;
    b->wanted = false;
    b->next_us = agent->now_us + b->pause_us;
    if (b->told_of_failure || agent->ops.say == NULL)
        return;
    b->told_of_failure = true;
    snprintf(text, sizeof text, "%s; tasks wait, and it is tried again", why->message);
    agent->ops.say(agent->ops.ctx, text);
}

void tbi_agent_unborn(struct tbi_agent *agent, uint32_t number, const struct tbi_error_link *cause, uint64_t now_us)
{
    struct tbi_proc *proc = tbi_procs_find(agent, number);
    uint64_t patience_us = agent->config.birth_patience_us;

    if (proc == NULL)
        return;
    agent->now_us = now_us;
    if (proc->job != NULL)
        tbi_run_take_back(agent, proc);
    if (proc->job != NULL) { /* its slot says that it has begun one: somebody has written there */
        tbi_agent_died(agent, number, cause, false);
        return;
    }
    tbi_procs_free(agent, proc);
    note_failure(agent, cause);
    if (agent->executors > 0)
        patience_us *= 6;
    if (now_us - agent->births.since_us >= patience_us && !something_runs(agent))
        fail_all(agent, cause, true);
    tbi_run_start(agent);
}

/* ---- the limits ---- */

/* No process will ever be started here again. Those that live go on; when none of them can take what waits, it fails,
 * and not as crashed: another attempt would come back. */
void tbi_births_end(struct tbi_agent *agent)
{
    struct tbi_error_link why;

    if (!is_used_up(agent) || agent->nready == 0 || !tbi_list_empty(&agent->idle) || something_runs(agent))
        return;
    tbi_error_link(&why, TB_ERR_INFEASIBLE, "rank %u has started %u processes, as many as a rank can in one job, and none "
                   "of them can run this task", agent->config.rank, agent->config.last_proc);
    fail_all(agent, &why, false);
}

static void tell_of_limits(struct tbi_agent *agent)
{
    char text[700];

    if (is_full(agent))
        snprintf(text, sizeof text, "there are %u processes, as many as a rank can have: %u %s, and in %u a task waits; "
                 "what is to begin here waits until one of them ends", agent->executors, agent->nactors,
                 tbi_plural(agent->nactors, "is an actor", "are actors"), agent->blocked);
    else
        snprintf(text, sizeof text, "no task has begun for %d s although what they ask for is free: %u process%s "
                 "(TB_MAX_EXECUTORS); set it higher if these wait for tasks that have not begun", TOLD_US / 1000000,
                 agent->executors - agent->nactors - agent->blocked,
                 tbi_plural(agent->executors - agent->nactors - agent->blocked, " runs tasks", "es run tasks"));
    agent->ops.say(agent->ops.ctx, text);
}

void tbi_births_tick(struct tbi_agent *agent)
{
    struct tbi_births *b = &agent->births;

    if (!b->wanted || b->told_us > agent->now_us)
        return;
    b->wanted = false;
    if (b->told_of_limit[is_full(agent)] || !tbi_run_wants_process(agent))
        return;
    b->told_of_limit[is_full(agent)] = true;
    tell_of_limits(agent);
}

uint64_t tbi_births_deadline(const struct tbi_agent *agent)
{
    const struct tbi_births *b = &agent->births;

    if (b->fail)
        return agent->nready > 0 && b->next_us > agent->now_us ? b->next_us : UINT64_MAX;
    return b->wanted ? b->told_us : UINT64_MAX;
}
