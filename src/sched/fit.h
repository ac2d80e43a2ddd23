/* fit.h - which nodes the bundles of a placement group go to: all of them at once, or none.
 *
 * STRICT_SPREAD is a matching of bundles and nodes, found by augmenting paths (Kuhn 1955), so it is found if
 * there is one. The others are vector bin packing, which is NP-hard: bundles are placed largest first, each on
 * the best node by the strategy, and small groups go back on their steps up to a limit. It is asked for at every pass while a
 * group waits, so what cannot be is found by counting where it can: how many bundles of a kind have room in all. And so the
 * limit is low but when the group is made: what was found then, its plan, is tried last.
 * Pure; not thread-safe. */
#ifndef TBI_FIT_H
#define TBI_FIT_H

#include "sched/groups.h"

enum tbi_fit_on {
    TBI_FIT_FREE,   /* on what is free, blocked tasks being left theirs */
    TBI_FIT_SOON,   /* on what will be free when all tasks have ended */
    TBI_FIT_EVER    /* ... and other groups are gone */
};

/* Nodes kept for others are left out, but for EVER. `lent`, for FREE: blocked tasks wait for the group, so that it passes
 * all others, and may have so many CPUs of each node more, which tasks do not need back until groups are reserved; else
 * NULL. node[group->n] is filled in, and order[group->n], if not NULL: the
 * order in which bundles were placed, in which instances must be chosen. False: it does not fit. */
bool tbi_fit(const struct tbi_nodes *nodes, const struct tbi_group *group, enum tbi_fit_on on,
             const int64_t *lent, unsigned *node, unsigned *order);

#endif
