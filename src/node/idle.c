/* idle.c - processes without a task: kept for the next ones, most recently used first. A peak, as of tasks that all
 * waited for others, may leave more of them than may have tasks at a time (TB_MAX_EXECUTORS); those beyond that which
 * nobody has used for a while are told to exit; and one at a time so that a new process can be started where a task asks
 * for one (fresh_process). */
#include "node/local.h"

enum { UNUSED_US = 10000000 };

void tbi_idle_enter(struct tbi_agent *agent, struct tbi_proc *proc)
{
    tbi_list_insert_before(agent->idle.next, &proc->link);
    proc->since_us = agent->now_us;
    if (agent->executors - agent->nactors > agent->config.max_executors && agent->idle_us == UINT64_MAX)
        agent->idle_us = agent->now_us + UNUSED_US;
}

static unsigned count(const struct tbi_agent *agent)
{
    unsigned n = 0;

    for (const struct tbi_link *l = agent->idle.next; l != &agent->idle; l = l->next)
        n++;
    return n;
}

static void leave(struct tbi_agent *agent, struct tbi_proc *proc)
{
    tbi_list_unlink(&proc->link);
    proc->leaving = true;
    agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_EXIT, proc->proc, sizeof(struct msg_none));
}

void tbi_idle_give_way(struct tbi_agent *agent)
{
    struct tbi_proc *proc;

    if (tbi_list_empty(&agent->idle) || (agent->gives_way != 0 && tbi_procs_find(agent, agent->gives_way) != NULL))
        return;
    proc = TBI_ENTRY(agent->idle.prev, struct tbi_proc, link);
    agent->gives_way = proc->proc;
    leave(agent, proc);
}

void tbi_idle_tick(struct tbi_agent *agent)
{
    unsigned n;

    if (agent->idle_us > agent->now_us)
        return;
    agent->idle_us = UINT64_MAX;
    for (n = count(agent); n > agent->config.max_executors; n--) {
        struct tbi_proc *proc = TBI_ENTRY(agent->idle.prev, struct tbi_proc, link);

        if (proc->since_us + UNUSED_US > agent->now_us) {
            agent->idle_us = proc->since_us + UNUSED_US;
            return;
        }
        leave(agent, proc);
    }
}
