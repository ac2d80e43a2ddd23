/* ledger.h - what each node has, and the head's forecast of what of it is taken.
 *
 * Amounts are in 1/10000 of a unit and exact. The forecast counts every task that was sent to a
 * node and has not ended; a blocked one without its CPUs; an actor that lives there by what it keeps alone,
 * for it is not what others wait for. Only the node's agent knows which of them
 * have started, so a load may exceed the total, by what waits there.
 * GPUs are instances: a fraction is part of one, the fullest that has room; whole ones are wholly
 * the task's own. A task that was sent ahead and found none is owed them: it gets them, oldest
 * first, when others end. Which instances a bundle or an actor has, their agent says, since they have them for long;
 * until it has said so of all, and tasks have ended that were forecast there, more of an instance may be granted than
 * there is.
 * A bundle of a placement group is taken out of its node's total while it is held. The bundles of a
 * group are nodes of a ledger of their own, with what they hold as totals.
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
    unsigned actors;         /* that live there and take no CPUs */
    unsigned ngpus;
    int32_t *gpu;            /* what is free of each instance */
    int32_t *held;           /* what bundles hold of each */
    int64_t blocked;         /* CPUs that blocked tasks will want back, but for those that were lent to bundles */
    struct tbi_link owed;    /* tasks that wait for instances */
    const void *kept_for;    /* the only class, or group, that it takes anything of, or NULL */
    struct tbi_class *kept_class; /* ... that class, or NULL */
    struct tbi_link keeping;
    uint64_t closed_from;    /* it takes no bundle of a group with this seq or a later one; UINT64_MAX: of any */
    unsigned first, end;     /* in `by_host`: the nodes of its host */
    uint64_t change;         /* the last one */
    uint64_t freed;          /* how often something was given back for good */
    uint64_t spread_at;      /* `spreads` when a task was last spread to it; 0: never */
    bool gained;             /* it is in `gained` */
    struct tbi_line own;     /* classes that may be nowhere else */
    /* takeback.c */
    struct tbi_link hungry;
    unsigned asked_for;      /* it was asked to give back for this node, or TBI_ANY_NODE */
    unsigned questions;      /* how many were asked for it since it gained */
};

struct tbi_nodes {
    struct tbi_node *node;
    unsigned n, nresources;
    uint64_t number;         /* of this ledger: the main one is 0 */
    int64_t *total, *load;   /* [node * nresources + resource]; total: without what bundles hold */
    int64_t *lasting;        /* of the load, what actors that live have: it is not waited for */
    int64_t *whole;          /* the total with it */
    uint64_t holds;          /* how often bundles were taken out or put back, or actors lived or ended */
    int32_t *gpus;           /* all instances' */
    unsigned *by_host;       /* all nodes, those of a host together */
    struct tbi_link kept;    /* nodes that are kept for somebody */
    struct tbi_line any;     /* classes with tasks that wait, but for those that must be on one node */
    unsigned nwaiting;       /* as many, with those */
    int64_t *least;          /* by resource: none of them asks for less; as of when it was more than one */
    unsigned roomless;       /* so many of `gained`, from the first on, have no room for any of them */
    struct tbi_link sent;    /* classes of the tasks that nodes have */
    uint32_t *log;           /* log[k % (mask + 1)]: the node that change k was of */
    uint64_t changes, mask;
    uint64_t random;         /* state of the generator; 0: the first of equals is chosen */
    uint64_t spreads;        /* tasks that were to be spread and have been sent, so far */
    uint64_t spread_base;    /* for place.c: who was given one before this many is as good as who never was */
    unsigned ahead;          /* tasks sent to a node beyond what it can run at once */
    unsigned *gained;        /* nodes that may take more than at the end of the last pass */
    unsigned ngained;
    uint64_t gains;          /* how often one has */
    uint64_t retried;        /* ... when what is stuck was last retried */
    struct tbi_link *gainers, gainer; /* the list of ledgers with such nodes; in it */
};

/* totals[node * nresources + resource]; at most TBI_GPUS_MAX GPUs count. host: NULL while it is not
 * known. `gainers`: a list for ledgers that have gained. */
void tbi_ledger_init(struct tbi_nodes *nodes, unsigned n, unsigned nresources,
                     const int64_t *totals, const unsigned *host, struct tbi_link *gainers);
void tbi_ledger_set_hosts(struct tbi_nodes *nodes, const unsigned *host);
void tbi_ledger_fini(struct tbi_nodes *nodes);

static inline const int64_t *tbi_ledger_total(const struct tbi_nodes *nodes, unsigned i)
{
    return nodes->total + (size_t)i * nodes->nresources;
}
static inline const int64_t *tbi_ledger_whole(const struct tbi_nodes *nodes, unsigned i)
{
    return nodes->whole + (size_t)i * nodes->nresources;
}
static inline const int64_t *tbi_ledger_load(const struct tbi_nodes *nodes, unsigned i)
{
    return nodes->load + (size_t)i * nodes->nresources;
}

static inline const int64_t *tbi_ledger_lasting(const struct tbi_nodes *nodes, unsigned i)
{
    return nodes->lasting + (size_t)i * nodes->nresources;
}

/* Can the node ever run a task of this class? */
bool tbi_ledger_feasible(const struct tbi_nodes *nodes, unsigned i, const struct tbi_class *class);
/* Are there instances for so many GPUs? */
bool tbi_ledger_has_gpus(const struct tbi_node *node, int64_t amount);

/* The task goes to the node at its place, or has ended there (or was taken back). */
void tbi_ledger_take(struct tbi_maker *task);
void tbi_ledger_give(struct tbi_maker *task);
/* It is an actor, and lives there now. */
void tbi_ledger_settle(struct tbi_maker *actor);
/* It waits for others: only its CPUs are free meanwhile. */
void tbi_ledger_block(struct tbi_maker *task);
void tbi_ledger_unblock(struct tbi_maker *task);
/* It is blocked, and a bundle has its CPUs; or not any more. */
void tbi_ledger_lend(struct tbi_maker *task, bool lent);

/* Takes what a bundle holds out of the node's total, or puts it back. It must be free: the bits of the
 * GPU instances are chosen by _hold and given back to _unhold. */
uint64_t tbi_ledger_hold(struct tbi_nodes *nodes, unsigned i, const struct tbi_amount *part,
                         unsigned nparts);
void tbi_ledger_unhold(struct tbi_nodes *nodes, unsigned i, const struct tbi_amount *part,
                       unsigned nparts, uint64_t gpus);

/* The agent has chosen these instances: the forecast follows. False: they cannot be. */
bool tbi_ledger_rehold(struct tbi_nodes *nodes, unsigned i, const struct tbi_amount *part, unsigned nparts,
                       uint64_t *gpus, uint64_t chosen);
bool tbi_ledger_regrant(struct tbi_maker *task, uint64_t chosen);

/* From now on only tasks of this class, or bundles of this group, go to node i; until it is over. */
void tbi_ledger_keep(struct tbi_nodes *nodes, unsigned i, const void *owner);
void tbi_ledger_unkeep(struct tbi_nodes *nodes, unsigned i);

/* From now on bundles of groups with this seq, or a later one, stay off node i; UINT64_MAX: of none any more. */
void tbi_ledger_close(struct tbi_nodes *nodes, unsigned i, uint64_t seq);

/* What others derived of any node may be wrong now. */
void tbi_ledger_note_all(struct tbi_nodes *nodes);

/* All that waits was tried on what the nodes have gained. */
void tbi_ledger_end_pass(struct tbi_nodes *nodes);

/* What can be seen without the tasks; NULL, or what is wrong. */
const char *tbi_ledger_check(const struct tbi_nodes *nodes);

#endif
