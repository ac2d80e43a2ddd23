/* takeback.c - tasks that have not begun go back to the head, for a node that idles. */
#include "node/local.h"
#include "util/alloc.h"

/* What is still free at the other node; -1: it has none of it. */
struct room {
    int64_t left[TBI_RESOURCES_MAX];
    unsigned most;
};

static bool fits(const struct tbi_demand *demand, const struct room *room)
{
    if (demand->cpus > room->left[TBI_CPUS])
        return false;
    for (unsigned i = 0; i < demand->nmore; i++)
        if (demand->more[i].amount > room->left[demand->more[i].resource])
            return false;
    return true;
}

static void use(const struct tbi_demand *demand, struct room *room)
{
    room->left[TBI_CPUS] -= demand->cpus;
    for (unsigned i = 0; i < demand->nmore; i++)
        room->left[demand->more[i].resource] -= demand->more[i].amount;
    room->most--;
}

/* Goes through the tasks of a kind, the shallowest and youngest first, but for wanted ones. */
struct cursor {
    struct tbi_heap_entry order;
    const struct tbi_job_kind *kind;
    const struct tbi_level *level;
    struct tbi_link *at;
};

static struct tbi_job *job_at(const struct cursor *cursor)
{
    return TBI_ENTRY(cursor->at, struct tbi_job, link);
}

/* In among the others, by the task it stands at. */
static void stand(struct tbi_heap *heap, struct cursor *cursor, const struct tbi_level *level, struct tbi_link *at)
{
    if (level != NULL && at == &level->list) {
        level = tbi_levels_next(level);
        at = level == NULL ? NULL : level->list.prev;
    }
    if (level == NULL || level->number > UINT16_MAX)
        return;
    cursor->level = level;
    cursor->at = at;
    tbi_heap_put(heap, &cursor->order, ((uint64_t)level->number + 1) * (UINT64_C(1) << 47) - job_at(cursor)->arrival);
}

/* Notes the shallowest and youngest of those that are ready. */
static unsigned choose(const struct tbi_agent *agent, struct room *room, struct tbi_job **chosen)
{
    struct cursor *cursors = tbi_alloc_zeroed(agent->queue.count, sizeof *cursors);
    struct tbi_heap heap = {0};
    struct tbi_heap_entry *first;
    struct tbi_job_kind *kind;
    unsigned n = 0, k = 0;

    for (size_t at = 0; tbi_queue_next(agent, &at, &kind);)
        if (fits(&kind->demand, room)) {
            const struct tbi_level *lowest = tbi_levels_lowest(&kind->jobs);

            cursors[k].kind = kind;
            stand(&heap, &cursors[k++], lowest, lowest->list.prev);
        }
    while (room->most > 0 && (first = tbi_heap_first(&heap)) != NULL) {
        struct cursor *cursor = TBI_ENTRY(first, struct cursor, order);
        struct tbi_job *job = job_at(cursor);

        tbi_heap_take(&heap, first);
        if (!fits(&cursor->kind->demand, room))
            continue;
        if (!(job->m->flags & TBI_DISPATCH_STAYS)) {
            use(&cursor->kind->demand, room);
            chosen[n++] = job;
        }
        stand(&heap, cursor, cursor->level, cursor->at->prev);
    }
    tbi_heap_fini(&heap);
    free(cursors);
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
        if (room->most > 0 && proc->nwork > 1 && proc->job->bundle == &agent->whole) {
            struct tbi_demand demand = tbi_job_demand(proc->job);

            if (fits(&demand, room))
                tbi_run_take_back(agent, proc);
        }
    }
}

/* ---- unasked ---- */

/* What asks for that, and is in no bundle. */
static bool wait_for_an_actor(const struct tbi_agent *agent, const struct tbi_demand *demand)
{
    if (demand->cpus > tbi_grants_total(agent->whole.grants, TBI_CPUS) - agent->lasting[TBI_CPUS])
        return true;
    for (unsigned i = 0; i < demand->nmore; i++)
        if (demand->more[i].amount > tbi_grants_total(agent->whole.grants, demand->more[i].resource) -
                                         agent->lasting[demand->more[i].resource])
            return true;
    return false;
}

static bool waits_for_an_actor(const struct tbi_agent *agent, const struct tbi_job *job)
{
    struct tbi_demand demand = tbi_job_demand(job);

    return job->bundle == &agent->whole && !(job->m->flags & TBI_DISPATCH_BOUND) && wait_for_an_actor(agent, &demand);
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

/* Of the kind; first they are noted, for removing one may admit others, which changes the queue. */
static struct tbi_job **note_all(const struct tbi_job_kind *kind, size_t *n)
{
    struct tbi_job **job = tbi_alloc(kind->count * sizeof(struct tbi_job *));

    *n = 0;
    for (const struct tbi_level *level = tbi_levels_lowest(&kind->jobs); level != NULL; level = tbi_levels_next(level))
        for (struct tbi_link *l = level->list.next; l != &level->list; l = l->next)
            job[(*n)++] = TBI_ENTRY(l, struct tbi_job, link);
    return job;
}

void tbi_takeback_beside_actors(struct tbi_agent *agent)
{
    struct tbi_job_kind **kinds = tbi_alloc(agent->queue.count * sizeof(struct tbi_job_kind *)), *kind;
    size_t nkinds = 0, n;

    for (size_t at = 0; tbi_queue_next(agent, &at, &kind);)
        if (kind->bundle == &agent->whole && wait_for_an_actor(agent, &kind->demand))
            kinds[nkinds++] = kind;
    for (size_t k = 0; k < nkinds; k++) {
        struct tbi_job **job = note_all(kinds[k], &n);

        for (size_t i = 0; i < n; i++)
            if (tbi_takeback_unasked(agent, job[i]))
                tbi_jobs_remove(agent, job[i]);
        free(job);
    }
    free(kinds);
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
