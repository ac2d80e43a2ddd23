#include "sched/ready.h"
#include "sched/ledger.h"
#include "util/alloc.h"

void tbi_ready_init(struct tbi_ready *ready, unsigned limit)
{
    *ready = (struct tbi_ready){.limit = limit};
    tbi_list_init(&ready->wanted);
    tbi_list_init(&ready->aside);
    tbi_list_init(&ready->starving);
}

void tbi_ready_fini(struct tbi_ready *ready)
{
    free(ready->heap);
}

void tbi_ready_forget(struct tbi_class *class)
{
    for (unsigned d = 0; d < class->depths; d++)
        free(class->level[d]);
    free(class->level);
}

/* ---- the heap ---- */

static void place_at(struct tbi_ready *ready, unsigned at, struct tbi_class *class)
{
    ready->heap[at] = class;
    class->at = at;
}

static void sift_up(struct tbi_ready *ready, struct tbi_class *class)
{
    unsigned at = class->at;

    for (; at > 1 && ready->heap[at / 2]->key > class->key; at /= 2)
        place_at(ready, at, ready->heap[at / 2]);
    place_at(ready, at, class);
}

static void sift_down(struct tbi_ready *ready, struct tbi_class *class)
{
    unsigned at = class->at;

    for (unsigned child; (child = at * 2) <= ready->nheap; at = child) {
        if (child < ready->nheap && ready->heap[child + 1]->key < ready->heap[child]->key)
            child++;
        if (ready->heap[child]->key > class->key)
            break;
        place_at(ready, at, ready->heap[child]);
    }
    place_at(ready, at, class);
}

static void push(struct tbi_ready *ready, struct tbi_class *class)
{
    if (ready->nheap + 1 >= ready->room) {
        ready->room = ready->room * 2 + 16;
        ready->heap = tbi_realloc(ready->heap, ready->room * sizeof *ready->heap);
    }
    class->at = ++ready->nheap;
    sift_up(ready, class);
}

static void pull(struct tbi_ready *ready, struct tbi_class *class)
{
    struct tbi_class *last = ready->heap[ready->nheap--];

    if (last != class) {
        place_at(ready, class->at, last);
        sift_up(ready, last);
        sift_down(ready, last);
    }
    class->at = 0;
}

void tbi_ready_set_stuck(struct tbi_ready *ready, struct tbi_class *class, bool stuck)
{
    if (class->stuck == stuck)
        return;
    class->stuck = stuck;
    if (stuck)
        pull(ready, class);
    else
        push(ready, class);
}

/* ---- the tasks of a class ---- */

static struct tbi_link *level_of(struct tbi_class *class, unsigned depth)
{
    if (depth >= class->depths) {
        class->level = tbi_realloc(class->level, (depth + 1) * sizeof *class->level);
        while (class->depths <= depth) {
            class->level[class->depths] = tbi_alloc(sizeof **class->level);
            tbi_list_init(class->level[class->depths++]);
        }
    }
    return class->level[depth];
}

struct tbi_maker *tbi_ready_best_of(const struct tbi_class *class)
{
    return TBI_ENTRY(class->level[class->deepest]->next, struct tbi_maker, link);
}

static uint64_t key_of(const struct tbi_maker *task)
{
    return (uint64_t)(UINT16_MAX - task->depth) << 48 | task->seq;
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
    tbi_list_append(level_of(class, task->depth), &task->link);
    if (class->count++ > 0 && task->depth <= class->deepest)
        return;
    class->deepest = task->depth;
    class->key = key_of(task);
    if (class->count == 1) {
        tbi_list_append(class->node == TBI_ANY_NODE ? &nodes->waiting
                                                    : &nodes->node[class->node].own,
                        &class->active);
        nodes->nwaiting++;
        class->overtaken = 0;
        push(ready, class);
    } else if (class->stuck) {
        tbi_ready_set_stuck(ready, class, false);
    } else {
        sift_up(ready, class);
    }
    class->limited = false; /* it may find what the others did not */
}

void tbi_ready_remove(struct tbi_ready *ready, struct tbi_maker *task)
{
    struct tbi_class *class = task->class;
    uint64_t key = class->key;

    tbi_list_unlink(&task->link);
    ready->count--;
    if (task->wanted)
        return;
    if (--class->count == 0) {
        if (!class->stuck)
            pull(ready, class);
        class->stuck = false;
        tbi_list_unlink(&class->active);
        class->nodes->nwaiting--;
        tbi_list_unlink(&class->starving);
        return;
    }
    while (tbi_list_empty(class->level[class->deepest]))
        class->deepest--;
    class->key = key_of(tbi_ready_best_of(class));
    if (class->key == key)
        return;
    if (class->stuck) {
        tbi_ready_set_stuck(ready, class, false);
        class->limited = false;
    } else {
        sift_down(ready, class);
    }
}

struct tbi_maker *tbi_ready_best(const struct tbi_ready *ready)
{
    if (!tbi_list_empty(&ready->wanted))
        return TBI_ENTRY(ready->wanted.next, struct tbi_maker, link);
    return ready->nheap == 0 ? NULL : tbi_ready_best_of(ready->heap[1]);
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

static void overtake(struct tbi_ready *ready, struct tbi_link *classes,
                     const struct tbi_class *by, uint64_t seq)
{
    for (struct tbi_link *l = classes->next; l != classes; l = l->next) {
        struct tbi_class *class = TBI_ENTRY(l, struct tbi_class, active);

        if (class == by || (class->key & ((UINT64_C(1) << 48) - 1)) > seq)
            continue;
        if (++class->overtaken == ready->limit)
            tbi_list_append(&ready->starving, &class->starving);
    }
}

void tbi_ready_note_passed(struct tbi_ready *ready, struct tbi_nodes *nodes, uint64_t seq)
{
    overtake(ready, &nodes->waiting, NULL, seq);
}

void tbi_ready_note_sent(struct tbi_ready *ready, const struct tbi_maker *task, unsigned node)
{
    struct tbi_nodes *nodes = task->class->nodes;

    if (task->wanted) /* what a blocked task waits for passes everyone, always */
        return;
    task->class->overtaken = 0;
    tbi_list_unlink(&task->class->starving);
    overtake(ready, &nodes->waiting, task->class, task->seq);
    overtake(ready, &nodes->node[node].own, task->class, task->seq);
}

struct tbi_maker *tbi_ready_next_elder(struct tbi_ready *ready, struct tbi_class *class)
{
    struct tbi_maker *oldest;

    if (class->elder || ++class->passed < ready->limit || class->count == 0)
        return NULL;
    class->passed = 0;
    oldest = tbi_ready_best_of(class);
    for (unsigned d = 0; d < class->deepest; d++)
        if (!tbi_list_empty(class->level[d])) {
            struct tbi_maker *first = TBI_ENTRY(class->level[d]->next, struct tbi_maker, link);

            oldest = first->seq < oldest->seq ? first : oldest;
        }
    if (oldest->depth == class->deepest)
        return NULL;
    class->elder = oldest->elder = true;
    return oldest;
}

void tbi_ready_end_elder(struct tbi_maker *task)
{
    if (task->elder)
        task->class->elder = false;
    task->elder = false;
}

const char *tbi_ready_check(const struct tbi_ready *ready, const struct tbi_nodes *nodes)
{
    size_t tasks = 0;

    for (unsigned at = 1; at <= ready->nheap; at++) {
        const struct tbi_class *class = ready->heap[at];

        if (class->at != at || class->count == 0 || class->stuck)
            return "a class is in the heap that should not be, or does not know where";
        if (at > 1 && ready->heap[at / 2]->key > class->key)
            return "the heap of classes is out of order";
    }
    for (const struct tbi_link *l = nodes->waiting.next; l != &nodes->waiting; l = l->next) {
        const struct tbi_class *class = TBI_ENTRY(l, struct tbi_class, active);
        size_t n = 0;

        for (unsigned d = 0; d < class->depths; d++)
            for (const struct tbi_link *t = class->level[d]->next; t != class->level[d];
                 t = t->next)
                n++;
        tasks += n;
        if (n != class->count || class->stuck != (class->at == 0) ||
            class->key != key_of(tbi_ready_best_of(class)))
            return "a class has another number of tasks than it counts, or another best one";
        if (class->overtaken < ready->limit && tbi_list_linked(&class->starving))
            return "a class starves that was not overtaken so often";
    }
    return tasks <= ready->count ? NULL : "more tasks wait than are counted";
}
