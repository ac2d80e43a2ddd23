/* world_books.c - what may be on record when nothing moves any more: every kind of entry has an owner who takes it out,
 * also when the process that it is for has ended. */
#include "world_parts.h"
#include "node/local.h"
#include "sched/actor_parts.h"
#include "sched/graph.h"

static const struct proc *find_proc(const struct world *w, unsigned rank, uint32_t number)
{
    for (unsigned i = 0; i < w->nprocs; i++)
        if (w->proc[i].rank == rank && w->proc[i].number == number)
            return &w->proc[i];
    return NULL;
}

static bool lives(const struct world *w, unsigned rank, uint32_t number)
{
    const struct proc *p = find_proc(w, rank, number);

    return p != NULL && p->alive;
}

/* ---- at the head ---- */

static const char *check_askers(const struct world *w)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&w->sched->dir.makers, &at, &e);) {
        const struct tbi_maker *m = e.value;

        for (unsigned i = 0; i < m->nobjects; i++)
            for (const struct tbi_waiter *a = m->object[i].askers; a != NULL; a = a->next) {
                const struct proc *p = find_proc(w, a->rank, a->proc);

                if (a->proc == TBI_PROC_NONE)
                    continue;
                if (p == NULL || !p->alive)
                    return "the head has a question of a process that has ended";
                if (p->number != TBI_PROC_DRIVER && !tbi_id_equal(p->waiting, tbi_id_with_index(m->id, i)))
                    return "the head has a question of a process that does not wait for the answer";
            }
    }
    return NULL;
}

static const struct tbi_actor_caller *caller_at_head(const struct world *w, struct tbi_id actor, uint64_t rank_and_proc)
{
    const struct tbi_actor *a = tbi_actors_find(w->sched, actor);

    return a == NULL ? NULL : tbi_map_get(&a->callers, (struct tbi_id){1, rank_and_proc});
}

static const char *check_callers(const struct world *w)
{
    struct tbi_map_slot e, c;

    for (size_t at = 0; tbi_map_next(&w->sched->actors.by_id, &at, &e);)
        for (size_t in = 0; tbi_map_next(&((const struct tbi_actor *)e.value)->callers, &in, &c);) {
            const struct tbi_actor_caller *caller = c.value;

            if (caller->ncalls == 0 && !lives(w, caller->rank, caller->proc))
                return "the head knows a caller that has ended, and none of its calls";
        }
    return w->sched->actors.early.count == 0 && w->sched->actors.parents.count == 0
               ? NULL
               : "the head has something of direct calls that it has not heard of";
}

static const char *check_clients(const struct world *w)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&w->sched->clients, &at, &e);)
        if (!lives(w, (unsigned)(e.key.lo >> 32), (uint32_t)e.key.lo))
            return "the head knows a process that has ended";
    return NULL;
}

/* ---- at the agents ---- */

static const char *check_proc(const struct world *w, const struct tbi_proc *proc)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&proc->callees, &at, &e);)
        if (tbi_actors_find(w->sched, e.key) == NULL)
            return "an agent numbers the calls of an actor that has ended";
    if (proc->actor == NULL)
        return NULL;
    for (size_t at = 0; tbi_map_next(&proc->actor->callers, &at, &e);)
        if (caller_at_head(w, proc->job->m->task, e.key.lo) == NULL)
            return "an actor's agent knows a caller that has ended";
    return proc->actor->stopped.count == 0 ? NULL : "an actor's agent has stopped calls that do not come";
}

static const char *check_agent(const struct world *w, const struct tbi_agent *agent)
{
    struct tbi_map_slot e;
    unsigned idle = 0;

    for (size_t at = 0; tbi_map_next(&agent->procs, &at, &e);)
        TRY(check_proc(w, e.value));
    for (const struct tbi_link *l = agent->rooms.next; l != &agent->rooms; l = l->next) {
        const struct tbi_room *room = TBI_ENTRY(l, struct tbi_room, link);

        if (room->proc != TBI_PROC_NONE && !lives(w, agent->config.rank, room->proc))
            return "a process that has ended waits for room";
    }
    for (const struct tbi_link *l = agent->idle.next; l != &agent->idle; l = l->next)
        idle++;
    return idle <= agent->config.max_executors ? NULL : "more processes idle than may have tasks";
}

const char *world_books_are_clean(struct world *w)
{
    TRY(world_net_is_empty(w));
    TRY(check_askers(w));
    TRY(check_callers(w));
    TRY(check_clients(w));
    for (unsigned r = 0; r < w->nranks; r++)
        TRY(check_agent(w, w->agent[r]));
    return NULL;
}

/* ---- groups that tasks wait for ---- */

static bool waits_for_a_group(const struct world *w, unsigned rank, const struct tbi_proc *proc)
{
    const struct proc *p = find_proc(w, rank, proc->proc);
    const struct tbi_group *group = p == NULL || !p->alive ? NULL : tbi_groups_find(&w->sched->groups, p->waiting);

    return group != NULL && tbi_list_linked(&group->waiting);
}

/* Is there nothing at the node but tasks that wait for groups? */
static bool has_nothing_else(const struct world *w, const struct tbi_agent *agent)
{
    struct tbi_map_slot e;
    size_t jobs = 0;

    for (size_t at = 0; tbi_map_next(&agent->procs, &at, &e);) {
        const struct tbi_proc *proc = e.value;

        if (proc->job == NULL)
            continue;
        if (!waits_for_a_group(w, agent->config.rank, proc))
            return false;
        jobs += proc->nwork;
    }
    return jobs == agent->jobs.count;
}

static bool fits_at(const struct world *w, const struct tbi_group *group, const struct tbi_agent *agent)
{
    const struct tbi_group_bundle *bundle = &group->bundle[0];

    return bundle->nparts == 1 && bundle->part[0].resource == TBI_CPUS && w->sched->nodes.node[agent->config.rank].works &&
           bundle->part[0].amount <= tbi_grants_total(agent->whole.grants, TBI_CPUS) - agent->held_cpus &&
           has_nothing_else(w, agent);
}

const char *world_no_task_waits_for_itself(struct world *w)
{
    for (unsigned i = 1; i < w->nprocs; i++) {
        const struct tbi_group *group = tbi_groups_find(&w->sched->groups, w->proc[i].waiting);

        if (!w->proc[i].alive || group == NULL || !tbi_list_linked(&group->waiting) || group->n != 1)
            continue;
        for (unsigned r = 0; r < w->nranks; r++)
            if (fits_at(w, group, w->agent[r]))
                return "a task waits for a group where nothing is but tasks that wait for groups";
    }
    return NULL;
}
