#include "sched/lenders.h"
#include "sched/graph.h"
#include "util/alloc.h"

enum { STEPS = 10000 /* makers that are looked at; when there are more, every blocked task is taken to wait */ };

struct search {
    const struct tbi_sched *sched;
    struct tbi_lenders *lenders;
    struct tbi_map seen;        /* makers, by id */
    struct tbi_maker **todo;
    size_t n, room;
};

static void note_lender(struct search *s, struct tbi_maker *task)
{
    struct tbi_lenders *lenders = s->lenders;
    const struct tbi_class *class = task->class;

    if (task->state != TBI_BLOCKED || task->lent || class->nodes != &s->sched->nodes || class->nparts == 0 ||
        class->part[0].resource != TBI_CPUS || class->part[0].amount == 0)
        return;
    if (lenders->n == lenders->room) {
        lenders->room = lenders->room * 2 + 16;
        lenders->task = tbi_realloc(lenders->task, lenders->room * sizeof *lenders->task);
    }
    lenders->task[lenders->n++] = task;
    lenders->cpus[task->place] += class->part[0].amount;
}

/* This waits, too: and so do those that wait for it. */
static void reach(struct search *s, struct tbi_maker *maker)
{
    if (maker == NULL || !tbi_map_put(&s->seen, maker->id, maker))
        return;
    note_lender(s, maker);
    if (s->n == s->room) {
        s->room = s->room * 2 + 16;
        s->todo = tbi_realloc(s->todo, s->room * sizeof *s->todo);
    }
    s->todo[s->n++] = maker;
}

/* Every blocked task, or those that ask the head for nothing. */
static void reach_blocked(struct search *s, bool all)
{
    const struct tbi_client *client;
    unsigned rank;

    for (size_t at = 0; (client = tbi_clients_next(s->sched, &at, &rank)) != NULL;)
        if (all || tbi_list_empty(&client->questions))
            reach(s, tbi_clients_task(s->sched, rank, client));
}

static void follow_object(struct search *s, const struct tbi_object *object)
{
    for (const struct tbi_waiter *w = object->askers; w != NULL; w = w->next) {
        const struct tbi_client *client = tbi_clients_find(s->sched, w->rank, w->proc);

        if (client != NULL)
            reach(s, tbi_clients_task(s->sched, w->rank, client));
    }
    for (const struct tbi_waiter *w = object->waiters; w != NULL && s->n < STEPS; w = w->next) {
        struct tbi_maker *task = tbi_directory_maker(&s->sched->dir, w->task);

        if (task != NULL && task->state == TBI_WAITING)
            reach(s, task);
    }
}

static void follow(struct search *s, const struct tbi_maker *maker)
{
    const struct tbi_actor *actor = maker->is_actor ? tbi_actors_find(s->sched, maker->id) : NULL;

    for (unsigned i = 0; i < maker->nobjects; i++)
        follow_object(s, &maker->object[i]);
    if (actor == NULL)
        return;
    for (const struct tbi_link *l = actor->calls.next; l != &actor->calls; l = l->next)
        reach(s, TBI_ENTRY(l, struct tbi_maker, link));
    reach_blocked(s, false);
}

void tbi_lenders_find(const struct tbi_sched *sched, struct tbi_lenders *lenders)
{
    struct search s = {.sched = sched, .lenders = lenders};
    const struct tbi_link *wanted = &sched->groups.wanted;
    unsigned steps = 0;

    *lenders = (struct tbi_lenders){.cpus = tbi_alloc_zeroed(sched->nodes.n, sizeof *lenders->cpus)};
    for (const struct tbi_link *l = wanted->next; l != wanted; l = l->next)
        reach(&s, tbi_directory_maker(&sched->dir, TBI_ENTRY(l, struct tbi_group, wanting)->id));
    while (s.n > 0 && s.n < STEPS && steps++ < STEPS)
        follow(&s, s.todo[--s.n]);
    if (s.n > 0)
        reach_blocked(&s, true);
    free(s.todo);
    tbi_map_fini(&s.seen);
}

void tbi_lenders_fini(struct tbi_lenders *lenders)
{
    free(lenders->cpus);
    free(lenders->task);
}
