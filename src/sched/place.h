/* place.h - the head's forecast of what each node does, and the choice of a node for a task.
 *
 * Amounts are in 1/10000 CPU. The forecast counts every task sent to a node and not yet ended or
 * blocked; only the node's agent knows which of them have started. A node takes tasks until their
 * number reaches what its CPUs hold at once plus `ahead`, which wait in its own queue so that it
 * need not ask between two tasks.
 * Pure; not thread-safe. */
#ifndef TBI_PLACE_H
#define TBI_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TBI_CPU 10000 /* one CPU */

struct tbi_node {
    int32_t cpus;        /* 0: runs no tasks */
    unsigned host;       /* ranks with an equal number share memory */
    int64_t load;        /* demands of its tasks */
    unsigned count;      /* number of its tasks */
    bool reserved;       /* kept for tasks that demand exactly `reserved_cpus` */
    int32_t reserved_cpus;
    uint64_t local_bytes; /* scratch of one choice: argument bytes on its host */
};
struct tbi_nodes {
    struct tbi_node *node;
    unsigned n, ahead;
};

void tbi_node_take(struct tbi_node *node, int32_t cpus);
void tbi_node_give(struct tbi_node *node, int32_t cpus);

/* The node for a task of this demand, or -1 if none takes it now.
 * `bypass`: a blocked task waits for it, so neither the queue's length nor a reservation counts.
 * The choice: where its large arguments are, if it fits there at once; else pack nodes to half,
 * then the emptiest one it fits; else the shortest queue. */
int tbi_place(const struct tbi_nodes *nodes, int32_t cpus, bool bypass);

/* The node with the most CPUs: it decides what is feasible. */
unsigned tbi_place_largest(const struct tbi_nodes *nodes);

#endif
