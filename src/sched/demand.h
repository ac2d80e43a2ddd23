/* demand.h - what tasks ask for. Tasks that ask for the same form a class; the queue, the choice of
 * a node and fairness work by class, for there are few.
 *
 * A class lives as long as tasks of it do; some without tasks are kept, so that a program that
 * submits one task at a time does not make its class anew each time.
 * Amounts are in 1/10000 of a unit. Pure; not thread-safe. */
#ifndef TBI_DEMAND_H
#define TBI_DEMAND_H

#include "net/messages.h"
#include "util/heap.h"
#include "util/levels.h"
#include "util/tournament.h"

struct tbi_maker;
struct tbi_nodes;
struct tbi_group;

/* Classes with tasks that wait: those that may be on any of a ledger's nodes, or those of one node. */
struct tbi_line {
    struct tbi_link waiting;   /* all of them; first who was not served for longest */
    struct tbi_heap stuck;     /* those that found no node, best first, but for those in `tried` */
    struct tbi_link tried;     /* those that found none on what nodes have gained now */
    struct tbi_link trying;    /* in the queue's list, while what is stuck is tried on that */
    struct tbi_nodes *nodes;
    unsigned node;             /* TBI_ANY_NODE: any */
    unsigned failures;
};

struct tbi_class {
    struct tbi_class *chain;   /* with an equal hash */
    uint64_t hash;
    unsigned users;            /* tasks that have not ended */
    struct tbi_link idle;      /* without users: in the table's list */
    struct tbi_nodes *nodes;   /* that it may be on: all, or the bundles of a group */
    struct tbi_group *group;   /* then this one, else NULL */
    unsigned node;             /* the only one of them, or TBI_ANY_NODE */
    bool feasible;             /* some node's total suffices, and a GPU above one is a whole one */
    bool light;                /* it asks for no amount of anything */
    int64_t gpus;
    /* ready.c: its tasks that wait for a place */
    struct tbi_levels tasks;   /* by depth, each oldest first */
    unsigned deepest;          /* the depth of the best one */
    size_t count;
    struct tbi_heap_entry order; /* by its best task; in the heap of those that are not stuck, or in its line's `stuck` */
    bool stuck;                /* has tasks, but found no node */
    struct tbi_link tried;     /* ... since its line was last begun */
    bool limited;              /* it was stuck: only nodes that have gained may take it */
    uint64_t passed;           /* tasks sent since it was seen to whether older, shallower ones wait */
    unsigned elders;           /* those that were let through, and have not ended */
    unsigned overtaken;        /* younger tasks of other classes sent, and groups reserved, while its best one waited */
    uint64_t overtaken_by;     /* the oldest of these, by its seq */
    struct tbi_link active;    /* in its line's `waiting` */
    struct tbi_link starving;
    /* ledger.c */
    unsigned kept;             /* the node that is kept for it, or TBI_ANY_NODE */
    /* closing.c */
    unsigned closings;         /* of a node that ended without a place for it, since it was last without tasks */
    uint64_t closed_at;        /* no node could be closed, as of so many holds */
    /* ledger.c */
    size_t sent;               /* tasks of it that nodes have */
    struct tbi_link sending;
    /* place.c */
    struct tbi_tournament tournament[2]; /* of the nodes: by default, and to spread */
    uint64_t seen[2];          /* as many changes of nodes are in it */
    uint32_t *slots;           /* how many tasks each node runs at once; 0: not counted yet */
    uint64_t slots_holds;      /* ... as of so many holds */

    unsigned nparts;
    struct tbi_amount part[];  /* by rising resource; amount 0: the node has to have some of it */
};
#define TBI_ANY_NODE UINT32_MAX

struct tbi_demands {
    struct tbi_class **bucket;
    size_t mask, count;
    struct tbi_class *last;    /* most tasks ask for the same as the one before; or NULL */
    struct tbi_link idle;      /* without users, longest first */
    unsigned nidle;
};
void tbi_demands_init(struct tbi_demands *demands);
void tbi_demands_fini(struct tbi_demands *demands);

/* NULL, or what no process sends: parts out of order, unknown, negative or given twice. */
const char *tbi_demand_check(int32_t cpus, const struct tbi_amount *more, unsigned nmore,
                             unsigned nresources);

/* The class of a checked demand, with one user more. `node`: of `nodes`, or TBI_ANY_NODE. */
struct tbi_class *tbi_demands_use(struct tbi_demands *demands, struct tbi_nodes *nodes,
                                  struct tbi_group *group, unsigned node,
                                  const struct msg_submit *m);
/* No class is the group's any more; none of them has users. */
void tbi_demands_forget(struct tbi_demands *demands, const struct tbi_group *group);
void tbi_demands_drop(struct tbi_demands *demands, struct tbi_class *class);

/* "CPUs", "Disk". `names` by resource, or NULL; `room` for those without a name. */
const char *tbi_resource_name(char *room, size_t size, unsigned resource,
                              const char *const *names);
/* "2 CPUs, 1 GPU, 0.5 Disk, a node with ssd"; `zero` goes before a name without an amount. Returns
 * `to`. */
const char *tbi_amount_words(char *to, size_t size, const struct tbi_amount *part, unsigned nparts,
                             const char *zero, const char *const *names);

#endif
