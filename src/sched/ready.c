#include "sched/ready.h"
#include "sched/ledger.h"
#include "util/alloc.h"
#include "util/turns.h"

enum {
    OLDEST = 16,  /* classes, or depths, of which the oldest is sought */
    FAILURES = 32 /* classes that find no node although some have gained, before it is asked whether any can */
};

void tbi_ready_init(struct tbi_ready *ready, unsigned limit)
{
    *ready = (struct tbi_ready){.limit = limit};
    tbi_list_init(&ready->wanted);
    tbi_list_init(&ready->aside);
    tbi_list_init(&ready->starving);
    tbi_list_init(&ready->trying);
}

void tbi_ready_fini(struct tbi_ready *ready)
{
    tbi_heap_fini(&ready->heap);
}

void tbi_ready_forget(struct tbi_class *class)
{
    tbi_levels_fini(&class->tasks);
}

void tbi_ready_line_init(struct tbi_line *line, struct tbi_nodes *nodes, unsigned node)
{
    *line = (struct tbi_line){.nodes = nodes, .node = node};
    tbi_list_init(&line->waiting);
    tbi_list_init(&line->tried);
}

void tbi_ready_line_fini(struct tbi_line *line)
{
    tbi_list_unlink(&line->trying);
    tbi_heap_fini(&line->stuck);
}

static struct tbi_line *line_of(const struct tbi_class *class)
{
    struct tbi_nodes *nodes = class->nodes;

    return class->node == TBI_ANY_NODE ? &nodes->any : &nodes->node[class->node].own;
}

/* ---- what is stuck ---- */

/* Could it take a task of any class that waits? */
static bool may_have_room(const struct tbi_nodes *nodes, unsigned i)
{
    const int64_t *total = tbi_ledger_total(nodes, i), *load = tbi_ledger_load(nodes, i);

    if (!nodes->node[i].works || nodes->node[i].kept_for != NULL)
        return false;
    for (unsigned r = 0; r < nodes->nresources; r++)
        if (nodes->least[r] > 0 && total[r] - load[r] < nodes->least[r])
            return false;
    return true;
}

/* Nodes only lose room while tasks are sent, so each is looked at once for all. */
static bool may_go_on(struct tbi_line *line)
{
    struct tbi_nodes *nodes = line->nodes;

    if (++line->failures <= FAILURES) /* who finds no room may be sent ahead */
        return true;
    if (line->node != TBI_ANY_NODE)
        return may_have_room(nodes, line->node);
    while (nodes->roomless < nodes->ngained && !may_have_room(nodes, nodes->gained[nodes->roomless]))
        nodes->roomless++;
    return nodes->roomless < nodes->ngained;
}

void tbi_ready_set_stuck(struct tbi_ready *ready, struct tbi_class *class, bool stuck)
{
    struct tbi_line *line = line_of(class);

    if (class->stuck == stuck)
        return;
    class->stuck = stuck;
    if (stuck) {
        tbi_heap_take(&ready->heap, &class->order);
        tbi_list_append(&line->tried, &class->tried);
        if (tbi_list_linked(&line->trying) && !may_go_on(line))
            tbi_list_unlink(&line->trying);
        return;
    }
    if (tbi_heap_has(&class->order))
        tbi_heap_take(&line->stuck, &class->order);
    tbi_list_unlink(&class->tried);
    tbi_heap_put(&ready->heap, &class->order, class->order.key);
}

void tbi_ready_try(struct tbi_ready *ready, struct tbi_line *line)
{
    while (!tbi_list_empty(&line->tried)) {
        struct tbi_class *class = TBI_ENTRY(line->tried.next, struct tbi_class, tried);

        tbi_list_unlink(&class->tried);
        tbi_heap_put(&line->stuck, &class->order, class->order.key);
    }
    line->failures = 0;
    if (line->stuck.n > 0 && !tbi_list_linked(&line->trying))
        tbi_list_append(&ready->trying, &line->trying);
}

/* The best of what is stuck comes back, if it is the best of all. */
static void bring_back_stuck(struct tbi_ready *ready)
{
    for (struct tbi_link *l = ready->trying.next, *next; l != &ready->trying; l = next) {
        struct tbi_line *line = TBI_ENTRY(l, struct tbi_line, trying);
        struct tbi_heap_entry *first = tbi_heap_first(&line->stuck), *best = tbi_heap_first(&ready->heap);

        next = l->next;
        if (first == NULL) {
            tbi_list_unlink(l);
        } else if (best == NULL || first->key < best->key) {
            struct tbi_class *class = TBI_ENTRY(first, struct tbi_class, order);

            class->limited = class->nodes->nwaiting > class->nodes->ngained / 3;
            tbi_ready_set_stuck(ready, class, false);
        }
    }
}

/* ---- the tasks of a class ---- */

struct tbi_maker *tbi_ready_best_of(const struct tbi_class *class)
{
    return TBI_ENTRY(tbi_levels_highest(&class->tasks)->list.next, struct tbi_maker, link);
}

static uint64_t key_of(const struct tbi_maker *task)
{
    return (uint64_t)(UINT16_MAX - task->depth) << 48 | task->seq;
}

/* Its tasks wait from now on. */
static void note_least(struct tbi_nodes *nodes, const struct tbi_class *class)
{
    unsigned p = 0;

    for (unsigned r = 0; r < nodes->nresources; r++) {
        int64_t amount = p < class->nparts && class->part[p].resource == r ? class->part[p++].amount : 0;

        if (nodes->nwaiting == 1 || amount < nodes->least[r])
            nodes->least[r] = amount;
    }
}

void tbi_ready_forgive(struct tbi_class *class)
{
    class->overtaken = 0;
    tbi_list_unlink(&class->starving);
}

void tbi_ready_add(struct tbi_ready *ready, struct tbi_maker *task)
{
    struct tbi_class *class = task->class;
    struct tbi_nodes *nodes = class->nodes;

    task->seq = ready->next_seq++;
    ready->count++;
    if (task->wanted) {
        tbi_list_append(&ready->wanted, &task->link);
        return;
    }
    tbi_list_append(tbi_levels_list(&class->tasks, task->depth), &task->link);
    if (class->count++ > 0 && task->depth <= class->deepest)
        return;
    class->deepest = task->depth;
    if (class->count == 1) {
        tbi_list_append(&line_of(class)->waiting, &class->active);
        nodes->nwaiting++;
        note_least(nodes, class);
        tbi_ready_forgive(class);
        class->closings = 0;
        tbi_heap_put(&ready->heap, &class->order, key_of(task));
    } else {
        tbi_ready_set_stuck(ready, class, false);
        tbi_heap_change(&ready->heap, &class->order, key_of(task));
    }
    class->limited = false; /* it may find what the others did not */
}

void tbi_ready_remove(struct tbi_ready *ready, struct tbi_maker *task)
{
    struct tbi_class *class = task->class;
    uint64_t key;

    ready->count--;
    if (task->wanted) {
        tbi_list_unlink(&task->link);
        if (class->count == 0)
            tbi_ready_forgive(class);
        return;
    }
    tbi_levels_take(&class->tasks, task->depth, &task->link);
    if (--class->count == 0) {
        tbi_ready_set_stuck(ready, class, false);
        tbi_heap_take(&ready->heap, &class->order);
        tbi_list_unlink(&class->active);
        class->nodes->nwaiting--;
        tbi_list_unlink(&class->starving);
        return;
    }
    class->deepest = tbi_levels_highest(&class->tasks)->number;
    key = key_of(tbi_ready_best_of(class));
    if (class->order.key == key)
        return;
    if (class->stuck) {
        tbi_ready_set_stuck(ready, class, false);
        class->limited = false;
    }
    tbi_heap_change(&ready->heap, &class->order, key);
}

struct tbi_maker *tbi_ready_best(struct tbi_ready *ready)
{
    struct tbi_heap_entry *first;

    if (!tbi_list_empty(&ready->wanted))
        return TBI_ENTRY(ready->wanted.next, struct tbi_maker, link);
    if (!tbi_list_empty(&ready->trying))
        bring_back_stuck(ready);
    first = tbi_heap_first(&ready->heap);
    return first == NULL ? NULL : tbi_ready_best_of(TBI_ENTRY(first, struct tbi_class, order));
}

/* ---- who was overtaken ---- */

void tbi_ready_set_aside(struct tbi_ready *ready, struct tbi_maker *task)
{
    tbi_list_unlink(&task->link);
    tbi_list_append(&ready->aside, &task->link);
}

void tbi_ready_bring_back(struct tbi_ready *ready)
{
    while (!tbi_list_empty(&ready->aside)) {
        struct tbi_link *first = ready->aside.next;

        tbi_list_unlink(first);
        tbi_list_append(&ready->wanted, first);
    }
}

static void count_overtaker(struct tbi_ready *ready, struct tbi_class *class, uint64_t seq)
{
    if (class->overtaken == 0 || seq < class->overtaken_by)
        class->overtaken_by = seq;
    if (++class->overtaken == ready->limit)
        tbi_list_append(&ready->starving, &class->starving);
}

static void overtake(struct tbi_ready *ready, const struct tbi_line *line, const struct tbi_class *by, uint64_t seq)
{
    unsigned looked = 0;

    for (struct tbi_link *l = line->waiting.next; l != &line->waiting && looked++ < OLDEST; l = l->next) {
        struct tbi_class *class = TBI_ENTRY(l, struct tbi_class, active);

        if (class == by || (class->order.key & ((UINT64_C(1) << 48) - 1)) > seq)
            continue;
        count_overtaker(ready, class, seq);
    }
}

/* Tasks are sent as soon as a wanted one is, but groups take out of the totals what it needs. */
static void overtake_wanted(struct tbi_ready *ready, const struct tbi_nodes *nodes, const struct tbi_link *tasks,
                            uint64_t seq)
{
    unsigned looked = 0;

    for (struct tbi_link *l = tasks->next; l != tasks && looked++ < OLDEST; l = l->next) {
        struct tbi_maker *task = TBI_ENTRY(l, struct tbi_maker, link);

        if (task->class->nodes == nodes && task->class->count == 0 && task->seq < seq)
            count_overtaker(ready, task->class, seq);
    }
}

void tbi_ready_note_reserved(struct tbi_ready *ready, struct tbi_nodes *nodes, uint64_t seq)
{
    overtake(ready, &nodes->any, NULL, seq);
    overtake_wanted(ready, nodes, &ready->wanted, seq);
    overtake_wanted(ready, nodes, &ready->aside, seq);
}

void tbi_ready_note_bundle(struct tbi_ready *ready, struct tbi_nodes *nodes, unsigned node, uint64_t seq)
{
    overtake(ready, &nodes->node[node].own, NULL, seq);
}

void tbi_ready_note_sent(struct tbi_ready *ready, const struct tbi_maker *task, unsigned node)
{
    struct tbi_class *class = task->class;
    struct tbi_nodes *nodes = class->nodes;

    if (task->wanted) /* what a blocked task waits for passes everyone, always */
        return;
    tbi_ready_forgive(class);
    if (tbi_list_linked(&class->active)) {
        tbi_list_unlink(&class->active);
        tbi_list_append(&line_of(class)->waiting, &class->active);
    }
    overtake(ready, &nodes->any, class, task->seq);
    overtake(ready, &nodes->node[node].own, class, task->seq);
}

struct tbi_maker *tbi_ready_next_elder(struct tbi_ready *ready, struct tbi_class *class)
{
    struct tbi_maker *oldest;
    unsigned looked = 0;

    if (!tbi_turn_has_come(++class->passed, ready->limit, class->elders) || class->count == 0)
        return NULL;
    class->passed = 0;
    oldest = tbi_ready_best_of(class);
    for (struct tbi_level *level = tbi_levels_lowest(&class->tasks); level != NULL && looked++ < OLDEST;
         level = tbi_levels_next(level)) {
        struct tbi_maker *first = TBI_ENTRY(level->list.next, struct tbi_maker, link);

        oldest = first->seq < oldest->seq ? first : oldest;
    }
    if (oldest->depth == class->deepest)
        return NULL;
    oldest->elder = !oldest->is_actor; /* that lives on when it has begun */
    class->elders += oldest->elder;
    return oldest;
}

void tbi_ready_end_elder(struct tbi_maker *task)
{
    if (task->elder)
        task->class->elders--;
    task->elder = false;
}

static const char *check_class(const struct tbi_ready *ready, const struct tbi_class *class)
{
    const struct tbi_line *line = line_of(class);
    size_t n = 0;

    for (const struct tbi_level *level = tbi_levels_lowest(&class->tasks); level != NULL;
         level = tbi_levels_next(level))
        for (const struct tbi_link *t = level->list.next; t != &level->list; t = t->next)
            n++;
    if (n != class->count || class->deepest != tbi_levels_highest(&class->tasks)->number ||
        class->order.key != key_of(tbi_ready_best_of(class)))
        return "a class has another number of tasks than it counts, or another best one";
    if (class->stuck ? tbi_heap_has(&class->order) == tbi_list_linked(&class->tried) ||
                           (tbi_heap_has(&class->order) && line->stuck.entry[class->order.at] != &class->order)
                     : tbi_list_linked(&class->tried) || ready->heap.entry[class->order.at] != &class->order)
        return "a class is not where those are that are stuck, or not stuck";
    if (class->overtaken < ready->limit && tbi_list_linked(&class->starving))
        return "a class starves that was not overtaken so often";
    return NULL;
}

const char *tbi_ready_check(const struct tbi_ready *ready, const struct tbi_nodes *nodes)
{
    const char *why = tbi_heap_check(&ready->heap);
    size_t tasks = 0;

    for (const struct tbi_link *l = nodes->any.waiting.next; l != &nodes->any.waiting && why == NULL; l = l->next) {
        const struct tbi_class *class = TBI_ENTRY(l, struct tbi_class, active);

        tasks += class->count;
        why = check_class(ready, class);
    }
    if (why == NULL)
        why = tbi_heap_check(&nodes->any.stuck);
    return why != NULL || tasks <= ready->count ? why : "more tasks wait than are counted";
}
