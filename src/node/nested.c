/* nested.c - tasks that a task submits may begin on its own node without asking the head, which learns of
 * them in passing: SUBMIT goes on with `local` set, and the head takes the task for sent. Only what needs
 * CPUs and nothing else, has all its arguments with it, and may be anywhere; none while a task starves here; and
 * only so many, since the others are better spread by the head. What waits here is given back when another node idles. */
#include "node/local.h"
#include "util/alloc.h"

bool tbi_nested_may_stay(const struct tbi_agent *agent, const struct tbi_proc *proc,
                         const struct msg_submit *m)
{
    return m->kind == TBI_TASK && proc->job != NULL && !proc->job->aborted && !agent->kept && agent->whole.starving == NULL &&
           agent->nready < agent->config.nested && m->nrefs == 0 && m->nmore == 0 &&
           m->strategy == TBI_DEFAULT &&
           m->cpus <= tbi_grants_total(agent->whole.grants, TBI_CPUS) - agent->held_cpus;
}

void tbi_nested_take(struct tbi_agent *agent, const struct msg_submit *m)
{
    size_t tail = m->nargs * sizeof(uint64_t) + m->data_bytes;
    size_t size = sizeof(struct tbi_record) + sizeof(struct msg_dispatch) + tail;
    struct tbi_record *record = tbi_alloc(size);
    struct msg_dispatch *d = (struct msg_dispatch *)(record + 1);

    *record = (struct tbi_record){.len = (uint32_t)size, .type = TBI_MSG_DISPATCH,
                                  .proc = TBI_PROC_NONE};
    *d = (struct msg_dispatch){.task = m->task, .fn = m->fn, .cpus = m->cpus,
                               .data_bytes = m->data_bytes, .nreturns = m->nreturns,
                               .nargs = m->nargs, .depth = m->depth, .limit_ms = m->limit_ms, .seed = m->seed,
                               .flags = m->fresh ? TBI_DISPATCH_FRESH : 0};
    memcpy(d + 1, tbi_submit_args(m), tail);
    tbi_jobs_dispatch(agent, record);
    free(record);
}
