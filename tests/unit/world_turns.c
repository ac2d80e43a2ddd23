/* world_turns.c - counts, by what an agent sends alone, how many tasks in a row have taken their CPUs back while another
 * waited that could have begun on them: as many as TB_OVERTAKES says and no more. */
#include "world_parts.h"
#include "node/local.h"

static bool could_begin(const struct tbi_agent *agent, const struct tbi_job_kind *kind, int64_t cpus)
{
    return kind->bundle == &agent->whole && !kind->actor && !kind->fresh && kind->demand.nmore == 0 &&
           kind->demand.cpus > 0 && kind->demand.cpus <= cpus;
}

/* Is one resumed although a task waits for less, or as much, and a process for it? It has its CPUs already. */
static bool passes_one(const struct tbi_agent *agent, const struct tbi_proc *resumed)
{
    int64_t cpus = tbi_grants_free(agent->whole.grants, TBI_CPUS) + resumed->job->m->cpus;
    struct tbi_job_kind *kind;

    if (tbi_list_empty(&agent->idle) || agent->whole.starving != NULL || agent->queue.count > 16 /* not all are looked at */)
        return false;
    for (size_t at = 0; tbi_queue_next(agent, &at, &kind);)
        if (could_begin(agent, kind, cpus))
            return true;
    return false;
}

void world_note_turn(struct world *w, unsigned rank, enum tbi_msg type, uint32_t number)
{
    const struct tbi_agent *agent = w->agent[rank];
    const struct tbi_proc *proc = tbi_procs_find(agent, number);

    if (proc->actor != NULL || proc->job->bundle != &agent->whole || proc->job->m->cpus == 0)
        return;
    if (type == TBI_MSG_RUN) {
        w->turns += !tbi_list_empty(&agent->whole.resuming);
        w->passed[rank] = 0;
    } else if (type == TBI_MSG_RESUME && proc->cpus == TBI_CPU_HELD && passes_one(agent, proc)) { /* else it had them still */
        w->passed_too_often |= ++w->passed[rank] > agent->config.overtakes;
    }
}

void world_note_hold(struct world *w, unsigned rank)
{
    w->holds += tbi_resume_deadline(w->agent[rank]) != UINT64_MAX;
}
