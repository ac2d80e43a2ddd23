#include "sched/ready.h"
#include "util/alloc.h"

void tbi_ready_init(struct tbi_ready *ready)
{
    *ready = (struct tbi_ready){0};
    tbi_list_init(&ready->wanted);
}

void tbi_ready_fini(struct tbi_ready *ready)
{
    for (unsigned c = 0; c < ready->nclasses; c++) {
        for (unsigned d = 0; d < ready->classes[c].depths; d++)
            free(ready->classes[c].level[d]);
        free(ready->classes[c].level);
    }
    free(ready->classes);
}

static struct tbi_ready_class *class_of(struct tbi_ready *ready, int32_t cpus)
{
    struct tbi_ready_class *c;

    for (unsigned i = 0; i < ready->nclasses; i++)
        if (ready->classes[i].cpus == cpus)
            return &ready->classes[i];
    ready->classes = tbi_realloc(ready->classes, (ready->nclasses + 1) * sizeof *c);
    c = &ready->classes[ready->nclasses++];
    *c = (struct tbi_ready_class){.cpus = cpus};
    return c;
}

static struct tbi_link *level_of(struct tbi_ready_class *c, unsigned depth)
{
    if (depth >= c->depths) {
        c->level = tbi_realloc(c->level, (depth + 1) * sizeof *c->level);
        while (c->depths <= depth) {
            c->level[c->depths] = tbi_alloc(sizeof **c->level);
            tbi_list_init(c->level[c->depths++]);
        }
    }
    return c->level[depth];
}

void tbi_ready_add(struct tbi_ready *ready, struct tbi_maker *task)
{
    struct tbi_ready_class *c;

    task->seq = ready->next_seq++;
    ready->count++;
    if (task->wanted) {
        tbi_list_append(&ready->wanted, &task->link);
        return;
    }
    c = class_of(ready, task->submit->cpus);
    tbi_list_append(level_of(c, task->depth), &task->link);
    c->count++;
    if (task->depth > c->deepest)
        c->deepest = task->depth;
}

void tbi_ready_remove(struct tbi_ready *ready, struct tbi_maker *task)
{
    tbi_list_unlink(&task->link);
    ready->count--;
    if (!task->wanted)
        class_of(ready, task->submit->cpus)->count--;
}

static struct tbi_maker *best_of(struct tbi_ready_class *c)
{
    while (tbi_list_empty(c->level[c->deepest]))
        c->deepest--;
    return TBI_ENTRY(c->level[c->deepest]->next, struct tbi_maker, link);
}

struct tbi_maker *tbi_ready_best(struct tbi_ready *ready)
{
    struct tbi_maker *best = NULL;

    if (!tbi_list_empty(&ready->wanted))
        return TBI_ENTRY(ready->wanted.next, struct tbi_maker, link);
    for (unsigned i = 0; i < ready->nclasses; i++) {
        struct tbi_ready_class *c = &ready->classes[i];
        struct tbi_maker *task;

        if (c->stuck || c->count == 0)
            continue;
        task = best_of(c);
        if (best == NULL || task->depth > best->depth ||
            (task->depth == best->depth && task->seq < best->seq))
            best = task;
    }
    return best;
}

void tbi_ready_set_stuck(struct tbi_ready *ready, int32_t cpus)
{
    class_of(ready, cpus)->stuck = true;
}

void tbi_ready_begin_pass(struct tbi_ready *ready)
{
    for (unsigned i = 0; i < ready->nclasses; i++)
        ready->classes[i].stuck = false;
}

void tbi_ready_note_sent(struct tbi_ready *ready, const struct tbi_maker *task)
{
    if (task->wanted) /* what a blocked task waits for passes everyone, always */
        return;
    for (unsigned i = 0; i < ready->nclasses; i++) {
        struct tbi_ready_class *c = &ready->classes[i];

        if (c->cpus == task->submit->cpus)
            c->overtaken = 0;
        else if (c->count > 0 && best_of(c)->seq < task->seq)
            c->overtaken++;
    }
}

bool tbi_ready_has(const struct tbi_ready *ready, int32_t cpus)
{
    for (unsigned i = 0; i < ready->nclasses; i++)
        if (ready->classes[i].cpus == cpus)
            return ready->classes[i].count > 0;
    return false;
}

struct tbi_maker *tbi_ready_starving(struct tbi_ready *ready, unsigned i, unsigned limit)
{
    struct tbi_ready_class *c = &ready->classes[i];

    return c->count > 0 && c->overtaken >= limit ? best_of(c) : NULL;
}
