/* place.h - the choice of a node for a task.
 *
 * By default: where its large arguments are, if it fits there at once; else among the nodes that it
 * fits at once first those that stay half empty, the fullest of them, then the emptiest; else the
 * node whose queue is the shortest, as long as it is short: what waits there need not ask between
 * two tasks, but cannot go elsewhere either. Equals and near-equals are chosen from at random.
 * To spread, the emptiest of those that it fits at once; equals take turns.
 *
 * Each class rates the nodes and holds a tournament of them. Before that is asked for the best it
 * makes up for the nodes that have changed: O(log nodes) a change, O(nodes) after as many changes.
 * Pure; not thread-safe. */
#ifndef TBI_PLACE_H
#define TBI_PLACE_H

#include "sched/ledger.h"

enum {
    TBI_LARGE_BYTES = 64 * 1024, /* below this, moving arguments costs less than waiting */
    TBI_NEAR_MAX = 16            /* hosts that a task's arguments are looked for on */
};

/* A host with stored arguments of a task. */
struct tbi_near {
    unsigned host;
    uint64_t bytes;
};
struct tbi_wish {
    enum tbi_strategy strategy;
    unsigned node;           /* that the strategy names */
    bool bypass;             /* a blocked task waits for it: neither queues nor kept nodes count */
    uint32_t run_us;         /* how long such tasks run; 0: nobody knows */
    const struct tbi_near *near;
    unsigned nnear;
};

/* The node for a task of this class, or -1 if none takes it now: then none takes any other of the
 * class that runs as long. */
int tbi_place(struct tbi_nodes *nodes, struct tbi_class *class, const struct tbi_wish *wish);

/* Does a task of this class fit the node at once? */
bool tbi_place_fits(struct tbi_nodes *nodes, unsigned i, struct tbi_class *class);

/* The node to keep for a class that finds none: where it will fit soonest. -1: all are kept. */
int tbi_place_soonest(struct tbi_nodes *nodes, struct tbi_class *class);

void tbi_place_forget(struct tbi_class *class); /* frees what is ours of it */

/* NULL, or what is wrong with what is known of the nodes for this class. */
const char *tbi_place_check(const struct tbi_nodes *nodes, struct tbi_class *class);

/* The node that comes nearest to what is asked for. */
unsigned tbi_place_nearest(const struct tbi_nodes *nodes, const struct tbi_class *class);

#endif
