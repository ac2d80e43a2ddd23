/* ready.h - tasks that only wait for a place, best first.
 *
 * Order: tasks that a blocked task waits for, then deeper tasks, then older ones. Depth first keeps
 * the number of blocked processes near depth x CPUs: a tree of tasks is walked, not unrolled. So that tasks which
 * submit without end do not keep all others from running, the oldest of a class is let through (an elder) when `limit`
 * others were sent since the last one was (util/turns.h). When
 * the best of a class finds no node, the rest of it cannot either: the class is stuck, and stands
 * aside until some node has gained room. The others are in a heap: O(log classes) to add and to remove. When nodes have
 * gained, what is stuck comes back one by one, best first, for as long as one of these nodes may have room for any of
 * it. Of who is overtaken only those are looked at that were not served for longest; the others have their turn.
 * Pure; not thread-safe. */
#ifndef TBI_READY_H
#define TBI_READY_H

#include "sched/demand.h"
#include "sched/directory.h"

struct tbi_ready {
    struct tbi_link wanted;
    struct tbi_heap heap;      /* classes with tasks that are not stuck */
    struct tbi_link trying;    /* lines */
    struct tbi_link aside;     /* wanted ones that no node can take while bundles or actors hold so much */
    struct tbi_link starving;  /* those that were overtaken `limit` times */
    unsigned limit;
    uint64_t next_seq;
    size_t count;
};
void tbi_ready_init(struct tbi_ready *ready, unsigned limit);
void tbi_ready_fini(struct tbi_ready *ready);
void tbi_ready_forget(struct tbi_class *class); /* frees what is ours of a class without tasks */

void tbi_ready_add(struct tbi_ready *ready, struct tbi_maker *task);
void tbi_ready_remove(struct tbi_ready *ready, struct tbi_maker *task);

/* The best task whose class is not stuck; NULL: none. It stays in the queue. */
struct tbi_maker *tbi_ready_best(struct tbi_ready *ready);
/* The best task of a class that has any. */
struct tbi_maker *tbi_ready_best_of(const struct tbi_class *class);
void tbi_ready_set_stuck(struct tbi_ready *ready, struct tbi_class *class, bool stuck);

void tbi_ready_line_init(struct tbi_line *line, struct tbi_nodes *nodes, unsigned node);
void tbi_ready_line_fini(struct tbi_line *line); /* nothing waits in it */
/* Nodes have gained: what is stuck in the line is tried again, see tbi_ready_best. */
void tbi_ready_try(struct tbi_ready *ready, struct tbi_line *line);

/* A wanted task that finds no node stands aside, until some bundle is given back, or an actor ends. */
void tbi_ready_set_aside(struct tbi_ready *ready, struct tbi_maker *task);
void tbi_ready_bring_back(struct tbi_ready *ready);

/* The task, still in the queue, is about to be sent to this node of its class's: older ones of other
 * classes are overtaken. */
void tbi_ready_note_sent(struct tbi_ready *ready, const struct tbi_maker *task, unsigned node);
/* One of the class was sent. Is it the turn of an older, shallower one? That or NULL. Its end is told. */
struct tbi_maker *tbi_ready_next_elder(struct tbi_ready *ready, struct tbi_class *class);
void tbi_ready_end_elder(struct tbi_maker *task);
/* So are they, and wanted ones, by a group that is as old as `seq`; and by its bundles those that may be on that node alone. */
void tbi_ready_note_reserved(struct tbi_ready *ready, struct tbi_nodes *nodes, uint64_t seq);
void tbi_ready_note_bundle(struct tbi_ready *ready, struct tbi_nodes *nodes, unsigned node, uint64_t seq);
/* The class was not overtaken at all. */
void tbi_ready_forgive(struct tbi_class *class);

/* NULL, or what is wrong. */
const char *tbi_ready_check(const struct tbi_ready *ready, const struct tbi_nodes *nodes);

#endif
