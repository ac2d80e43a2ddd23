/* ready.h - tasks that only wait for a place, best first.
 *
 * Order: tasks that a blocked task waits for, then deeper tasks, then older ones. Depth first keeps
 * the number of blocked processes near depth x CPUs: a tree of tasks is walked, not unrolled. Tasks
 * of one demand form a class; when the best of a class finds no node, the rest of it cannot either,
 * so a scheduling pass skips the whole class. O(classes) to find the best, O(1) to add and remove.
 * Pure; not thread-safe. */
#ifndef TBI_READY_H
#define TBI_READY_H

#include "sched/directory.h"

struct tbi_ready_class {
    int32_t cpus;
    bool stuck;              /* nothing of it fits in the pass under way */
    unsigned overtaken;      /* younger tasks of other classes sent while its best one waited */
    unsigned deepest;        /* no list above it has entries */
    unsigned depths;
    struct tbi_link **level; /* level[depth]: oldest first; level pointers stay put */
    size_t count;
};
struct tbi_ready {
    struct tbi_ready_class *classes;
    unsigned nclasses;
    struct tbi_link wanted;
    uint64_t next_seq;
    size_t count;
};
void tbi_ready_init(struct tbi_ready *ready);
void tbi_ready_fini(struct tbi_ready *ready);
void tbi_ready_add(struct tbi_ready *ready, struct tbi_maker *task);
void tbi_ready_remove(struct tbi_ready *ready, struct tbi_maker *task);

/* The best task whose class is not stuck; NULL: none. It stays in the queue. */
struct tbi_maker *tbi_ready_best(struct tbi_ready *ready);
void tbi_ready_set_stuck(struct tbi_ready *ready, int32_t cpus);

/* The task, still in the queue, is about to be sent: older ones of other classes are overtaken. */
void tbi_ready_note_sent(struct tbi_ready *ready, const struct tbi_maker *task);
/* Does any task of this demand wait, those not counted that a blocked task waits for? */
bool tbi_ready_has(const struct tbi_ready *ready, int32_t cpus);
/* The best task of class i if the class was overtaken at least `limit` times, else NULL. */
struct tbi_maker *tbi_ready_starving(struct tbi_ready *ready, unsigned i, unsigned limit);
void tbi_ready_begin_pass(struct tbi_ready *ready); /* no class is stuck */

#endif
