/* ledger.h - what each node has, and the head's forecast of what of it is taken.
 *
 * Amounts are in 1/10000 of a unit and exact. The forecast counts every task that was sent to a
 * node and has not ended; a blocked one without its CPUs. Only the node's agent knows which of them
 * have started, so a load may exceed the total, by what waits there.
 * GPUs are instances: a fraction is part of one, the fullest that has room; whole ones are wholly
 * the task's own. A task that was sent ahead and found none is owed them: it gets them, oldest
 * first, when others end. So what is granted of an instance never exceeds it.
 * Each change of a node is noted in a log, by which others bring up to date what they derived.
 * Pure; not thread-safe. */
#ifndef TBI_LEDGER_H
#define TBI_LEDGER_H

#include "sched/demand.h"

struct tbi_node {
    unsigned host;           /* ranks with an equal number share memory */
    bool works;              /* it has CPUs: else it runs no tasks */
    unsigned count;          /* of its tasks that ask for anything and are not blocked */
    unsigned light;          /* ... that ask for nothing */
    int64_t backlog_us;      /* how long they will run, as far as is known */
    unsigned unknown;        /* of how many it is not */
    unsigned ngpus;
    int32_t *gpu;            /* what is free of each instance */
    struct tbi_link owed;    /* tasks that wait for instances */
    struct tbi_class *kept_for; /* the only class that it takes tasks of, or NULL */
    unsigned first, end;     /* in `by_host`: the nodes of its host */
    uint64_t change;         /* the last one */
    bool gained;             /* it is in `gained` */
    struct tbi_link own;     /* classes that may be nowhere else and have tasks that wait */
    /* takeback.c */
    struct tbi_link hungry;
    unsigned asked_for;      /* it was asked to give back for this node, or TBI_ANY_NODE */
    unsigned questions;      /* how many were asked for it since it gained */
};

struct tbi_nodes {
    struct tbi_node *node;
    unsigned n, nresources;
    int64_t *total, *load;   /* [node * nresources + resource] */
    int32_t *gpus;           /* all instances' */
    unsigned *by_host;       /* all nodes, those of a host together */
    struct tbi_link keepers; /* classes that a node is kept for */
    struct tbi_link sent;    /* classes of the tasks that nodes have */
    uint32_t *log;           /* log[k % (mask + 1)]: the node that change k was of */
    uint64_t changes, mask;
    uint64_t random;         /* state of the generator; 0: the first of equals is chosen */
    unsigned ahead;          /* tasks sent to a node beyond what it can run at once */
    unsigned *gained;        /* nodes that may take more than at the end of the last pass */
    unsigned ngained;
    uint64_t gains;          /* how often one has */
};

/* totals[rank * nresources + resource]; GPUs are whole ones, at most TBI_GPUS_MAX of them count. */
void tbi_ledger_init(struct tbi_nodes *nodes, unsigned n, unsigned nresources,
                     const int64_t *totals, const unsigned *host);
void tbi_ledger_fini(struct tbi_nodes *nodes);

static inline const int64_t *tbi_ledger_total(const struct tbi_nodes *nodes, unsigned i)
{
    return nodes->total + (size_t)i * nodes->nresources;
}
static inline const int64_t *tbi_ledger_load(const struct tbi_nodes *nodes, unsigned i)
{
    return nodes->load + (size_t)i * nodes->nresources;
}

/* Can the node ever run a task of this class? */
bool tbi_ledger_feasible(const struct tbi_nodes *nodes, unsigned i, const struct tbi_class *class);
/* Are there instances for so many GPUs? */
bool tbi_ledger_has_gpus(const struct tbi_node *node, int64_t amount);

/* The task goes to node i, or has ended there (or was taken back). */
void tbi_ledger_take(struct tbi_nodes *nodes, unsigned i, struct tbi_maker *task);
void tbi_ledger_give(struct tbi_nodes *nodes, unsigned i, struct tbi_maker *task);
/* It waits for others: only its CPUs are free meanwhile. */
void tbi_ledger_block(struct tbi_nodes *nodes, unsigned i, struct tbi_maker *task);
void tbi_ledger_unblock(struct tbi_nodes *nodes, unsigned i, struct tbi_maker *task);

/* From now on only tasks of this class go to node i; until it is over. */
void tbi_ledger_keep(struct tbi_nodes *nodes, unsigned i, struct tbi_class *class);
void tbi_ledger_unkeep(struct tbi_nodes *nodes, struct tbi_class *class);

/* All that waits was tried on what the nodes have gained. */
void tbi_ledger_end_pass(struct tbi_nodes *nodes);

/* What can be seen without the tasks; NULL, or what is wrong. */
const char *tbi_ledger_check(const struct tbi_nodes *nodes);

#endif
