/* takeback.c - tasks that have not begun go back to the head, for a node that idles. */
#include "node/local.h"
#include "util/alloc.h"

/* What is still free at the other node; -1: it has none of it. */
struct room {
    int64_t left[TBI_RESOURCES_MAX];
    unsigned most;
};

static bool fits(const struct tbi_job *job, const struct room *room)
{
    const struct tbi_amount *more = tbi_dispatch_more(job->m);

    if (job->m->cpus > room->left[TBI_CPUS])
        return false;
    for (unsigned i = 0; i < job->m->nmore; i++)
        if (more[i].amount > room->left[more[i].resource])
            return false;
    return true;
}

static void use(const struct tbi_job *job, struct room *room)
{
    const struct tbi_amount *more = tbi_dispatch_more(job->m);

    room->left[TBI_CPUS] -= job->m->cpus;
    for (unsigned i = 0; i < job->m->nmore; i++)
        room->left[more[i].resource] -= more[i].amount;
    room->most--;
}

/* Notes the shallowest and youngest of those that are ready. */
static unsigned choose(const struct tbi_agent *agent, struct room *room, struct tbi_job **chosen)
{
    unsigned n = 0;

    for (unsigned d = 0; d < agent->depths; d++)
        for (struct tbi_link *l = agent->ready[d].prev; l != &agent->ready[d]; l = l->prev) {
            struct tbi_job *job = TBI_ENTRY(l, struct tbi_job, link);

            if (room->most == 0)
                return n;
            if (!job->wanted && !(job->m->flags & TBI_DISPATCH_STAYS) && fits(job, room)) {
                use(job, room);
                chosen[n++] = job;
            }
        }
    return n;
}

/* Removing one may admit others, which changes the lists: so those that go are chosen first. */
static unsigned take_ready(struct tbi_agent *agent, struct room *room, struct msg_task *task)
{
    struct tbi_job **chosen = tbi_alloc(room->most * sizeof(struct tbi_job *));
    unsigned n = choose(agent, room, chosen);

    for (unsigned i = 0; i < n; i++) {
        task[i] = (struct msg_task){chosen[i]->m->task, chosen[i]->m->attempt, 0};
        tbi_jobs_remove(agent, chosen[i]);
    }
    free(chosen);
    return n;
}

/* What executors were given ahead of its turn and could go is ready again. Those who get none of it
 * back are given it anew. */
static void take_from_executors(struct tbi_agent *agent, const struct room *room)
{
    for (struct tbi_link *l = agent->busy.next, *next; l != &agent->busy; l = next) {
        struct tbi_proc *proc = TBI_ENTRY(l, struct tbi_proc, link);

        next = l->next;
        if (room->most > 0 && proc->nwork > 1 && proc->job->bundle == &agent->whole && fits(proc->job, room))
            tbi_run_take_back(agent, proc);
    }
}

/* ---- unasked ---- */

static bool waits_for_an_actor(const struct tbi_agent *agent, const struct tbi_job *job)
{
    const struct tbi_amount *more = tbi_dispatch_more(job->m);

    if (job->bundle != &agent->whole || job->m->flags & TBI_DISPATCH_BOUND)
        return false;
    if (job->m->cpus > tbi_grants_total(agent->whole.grants, TBI_CPUS) - agent->lasting[TBI_CPUS])
        return true;
    for (unsigned i = 0; i < job->m->nmore; i++)
        if (more[i].amount > tbi_grants_total(agent->whole.grants, more[i].resource) -
                                 agent->lasting[more[i].resource])
            return true;
    return false;
}

bool tbi_takeback_unasked(struct tbi_agent *agent, struct tbi_job *job)
{
    struct msg_taken *m;

    if (agent->nactors == 0 || !waits_for_an_actor(agent, job))
        return false;
    m = agent->port.send(agent->port.ctx, 0, TBI_MSG_TAKEN, TBI_PROC_NONE,
                         sizeof *m + sizeof(struct msg_task));
    *m = (struct msg_taken){1, 1};
    *(struct msg_task *)(m + 1) = (struct msg_task){job->m->task, job->m->attempt, 0};
    return true;
}

void tbi_takeback_beside_actors(struct tbi_agent *agent)
{
    for (unsigned d = 0; d < agent->depths; d++)
        for (struct tbi_link *l = agent->ready[d].next, *next; l != &agent->ready[d]; l = next) {
            struct tbi_job *job = TBI_ENTRY(l, struct tbi_job, link);

            next = l->next;
            if (tbi_takeback_unasked(agent, job)) {
                tbi_jobs_remove(agent, job);
                next = agent->ready[d].next; /* removing one may admit others, which changes the lists */
            }
        }
}

const char *tbi_takeback(struct tbi_agent *agent, const struct msg_take_back *m)
{
    const struct tbi_amount *free_there = (const struct tbi_amount *)(m + 1);
    struct room room = {.most = m->most};
    struct msg_task *task;
    struct msg_taken *answer;
    unsigned n;

    for (unsigned r = 0; r < TBI_RESOURCES_MAX; r++)
        room.left[r] = r == TBI_CPUS ? 0 : -1;
    for (unsigned i = 0; i < m->nfree; i++) {
        if (free_there[i].resource >= TBI_RESOURCES_MAX || free_there[i].amount < 0)
            return "TAKE_BACK for what is free of no resource";
        room.left[free_there[i].resource] = free_there[i].amount;
    }
    if (room.most > agent->jobs.count)
        room.most = (unsigned)agent->jobs.count;
    if (room.most > (TBI_BODY_MAX - sizeof *answer) / sizeof *task)
        room.most = (TBI_BODY_MAX - sizeof *answer) / sizeof *task;
    task = tbi_alloc(room.most * sizeof *task);
    n = take_ready(agent, &room, task);
    take_from_executors(agent, &room);
    n += take_ready(agent, &room, task + n);
    answer = agent->port.send(agent->port.ctx, 0, TBI_MSG_TAKEN, TBI_PROC_NONE,
                              sizeof *answer + n * sizeof *task);
    *answer = (struct msg_taken){n, 0};
    if (n > 0)
        memcpy(answer + 1, task, n * sizeof *task);
    free(task);
    return NULL;
}
