/* check.c - every invariant of the head that can be seen from here, for tests: what the ledgers, the queue
 * and the groups say is compared with the tasks and objects on record. */
#include "sched/graph.h"
#include "util/alloc.h"

/* What tasks on a node sum up to, to be compared with what the ledger says. */
struct sums {
    int64_t load[TBI_RESOURCES_MAX], gpu[TBI_GPUS_MAX], backlog, blocked;
    unsigned count, light, unknown, actors;
};

static void add_up(struct sums *sums, const struct tbi_maker *task)
{
    const struct tbi_class *class = task->class;
    bool blocked = task->state == TBI_BLOCKED;

    for (unsigned p = 0; p < class->nparts; p++)
        if (!blocked || class->part[p].resource != TBI_CPUS)
            sums->load[class->part[p].resource] += class->part[p].amount;
        else if (!task->lent)
            sums->blocked += class->part[p].amount;
    for (unsigned g = 0; g < TBI_GPUS_MAX; g++)
        if (class->gpus > 0 && task->gpus >> g & 1)
            sums->gpu[g] += class->gpus < TBI_UNIT ? class->gpus : TBI_UNIT;
    if (task->settled)
        sums->actors += class->nparts == 0 || class->part[0].resource != TBI_CPUS;
    if (blocked || task->settled)
        return;
    *(class->light ? &sums->light : &sums->count) += 1;
    sums->backlog += task->cost_us;
    sums->unknown += task->cost_us == 0;
}

/* Is a ledger's forecast the sum of the tasks that were sent to it? */
static const char *check_ledger(const struct tbi_sched *sched, const struct tbi_nodes *nodes)
{
    struct sums *sums = tbi_alloc_zeroed(nodes->n, sizeof *sums);
    struct tbi_map_slot e;
    bool right = true;
    size_t at = 0;

    while (tbi_map_next(&sched->dir.makers, &at, &e)) {
        const struct tbi_maker *m = e.value;

        if ((m->state == TBI_DISPATCHED || m->state == TBI_BLOCKED) && m->class != NULL &&
            m->class->nodes == nodes)
            add_up(&sums[m->place], m);
    }
    for (unsigned i = 0; i < nodes->n; i++) {
        const struct tbi_node *node = &nodes->node[i];
        int64_t gpus = tbi_ledger_whole(nodes, i)[TBI_GPUS];

        right &= memcmp(sums[i].load, tbi_ledger_load(nodes, i),
                        nodes->nresources * sizeof *sums[i].load) == 0;
        right &= node->count == sums[i].count && node->light == sums[i].light &&
                 node->backlog_us == sums[i].backlog && node->unknown == sums[i].unknown &&
                 node->blocked == sums[i].blocked && node->actors == sums[i].actors;
        for (unsigned g = 0; g < node->ngpus; g++, gpus -= TBI_UNIT)
            right &= node->gpu[g] + node->held[g] + sums[i].gpu[g] ==
                     (gpus < TBI_UNIT ? gpus : TBI_UNIT);
    }
    free(sums);
    return right ? tbi_ledger_check(nodes) : "the forecast is not the sum of what was dispatched";
}

static const char *check_nodes(const struct tbi_sched *sched)
{
    const char *why = check_ledger(sched, &sched->nodes);
    unsigned asked = 0;

    for (unsigned i = 0; i < sched->nodes.n; i++)
        asked += sched->nodes.node[i].asked_for != TBI_ANY_NODE;
    if (asked != sched->asked)
        return "more or fewer nodes were asked to give back than are counted";
    for (struct tbi_link *l = sched->groups.all.next; why == NULL && l != &sched->groups.all;
         l = l->next)
        why = check_ledger(sched, &TBI_ENTRY(l, struct tbi_group, all)->nodes);
    for (size_t b = 0; b <= sched->demands.mask; b++)
        for (struct tbi_class *class = sched->demands.bucket[b]; why == NULL && class != NULL;
             class = class->chain)
            why = tbi_place_check(class->nodes, class);
    return why == NULL ? tbi_groups_check(sched) : why;
}

const char *tbi_sched_check(const struct tbi_sched *sched)
{
    const char *why = tbi_directory_check(&sched->dir);
    struct tbi_map_slot e;
    size_t at = 0, tasks = 0, queued = 0, calls = 0, actors = 0;

    if (why == NULL)
        why = check_nodes(sched);
    if (why == NULL)
        why = tbi_ready_check(&sched->ready, &sched->nodes);
    if (why == NULL)
        why = tbi_closing_check(sched);
    if (why == NULL)
        why = tbi_actors_check(sched);
    if (why == NULL)
        why = tbi_clients_check(sched);
    if (why != NULL)
        return why;
    while (tbi_map_next(&sched->dir.makers, &at, &e)) {
        const struct tbi_maker *m = e.value;

        tasks += m->submit != NULL;
        queued += m->state == TBI_QUEUED;
        calls += m->submit != NULL && m->submit->kind == TBI_CALL;
        actors += m->submit != NULL && m->submit->kind == TBI_ACTOR;
        if ((m->state == TBI_ENDED || m->state == TBI_OPEN) != (m->submit == NULL))
            return "a task's description outlived it, or it lost it";
        if ((m->state == TBI_WAITING) != (m->unmet > 0) && m->state != TBI_ENDED)
            return "a waiting task misses nothing, or another one does";
        if (m->aborted && m->state != TBI_DISPATCHED && m->state != TBI_BLOCKED &&
            m->state != TBI_ENDED)
            return "a task that no agent has waits for its end";
        if (m->lent && (m->state != TBI_BLOCKED || m->class->nodes != &sched->nodes))
            return "a task has lent CPUs that it needs, or that are not the node's";
        if (m->state == TBI_ENDED && !tbi_list_empty(&m->children))
            return "an ended task has children";
    }
    if (tasks != sched->tasks || calls != sched->idle.calls || actors != sched->idle.actors || queued != sched->ready.count)
        return "the counts of tasks are wrong";
    return tbi_submitters_check(sched);
}
