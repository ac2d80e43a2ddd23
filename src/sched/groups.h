/* groups.h - placement groups at the head: bundles of resources that are reserved together, on nodes
 * chosen by strategy, or not at all. Internal to the scheduler.
 *
 * A group:  GROUP -> waits -> RESERVE to all its nodes -> all RESERVED: ready -> UNGROUP: removed
 *                      ^                 |
 *                      +--- UNRESERVE <--+  one of them had no room: the forecast was ahead of it, and it is left out
 *                                           until something has changed there
 *
 * They are tried in order, on what is free; those first that blocked tasks wait for, which also get the CPUs of such tasks
 * (lenders.h) and pass everyone, as tasks that are wanted do: who is passed may be what has to wait for them. The first of them, if tasks have passed it too often, gets
 * nodes that take nothing else until it fits; if younger groups have, none of them is tried any more. While it waits, tasks in it
 * wait for its object as for an argument. Its bundles are the nodes of a ledger of its own, in which its
 * tasks are placed as others are among the nodes.
 * groups.c has how they begin and end, reserve.c how they get their nodes. */
#ifndef TBI_GROUPS_H
#define TBI_GROUPS_H

#include "sched/directory.h"
#include "sched/ledger.h"

struct tbi_sched;

enum tbi_bundle_state {
    TBI_BUNDLE_IDLE,      /* nothing is taken for it */
    TBI_BUNDLE_ASKED,     /* taken in the forecast, its agent was asked */
    TBI_BUNDLE_HELD,      /* and has it */
    TBI_BUNDLE_RETURNING  /* is to give it back */
};
struct tbi_group_bundle {
    const struct tbi_amount *part; /* by rising resource; amount 0: the node has to have some of it */
    unsigned nparts;
    unsigned node;                 /* unless IDLE */
    uint64_t gpus;                 /* ... of which it holds these instances */
    int64_t lent;                  /* ... and tasks there would have lent so many CPUs when it was asked for */
    enum tbi_bundle_state state;
};

/* A node that refused is not asked again until something has ended there, or its tasks lend more. */
struct tbi_refusal {
    uint64_t freed;                /* 1 + the node's count then; 0: it has not refused */
    int64_t lent;
};

struct tbi_group {
    struct tbi_id id;
    struct tbi_link all;           /* until the last task in it has ended */
    struct tbi_link waiting;       /* in order, until it is reserved */
    struct tbi_link wanting;       /* so too, if a blocked task waits for it, directly or not, or did */
    enum tbi_group_strategy strategy;
    bool removed, refused;
    unsigned tasks;                /* in it that have not ended */
    unsigned asked, taken;         /* bundles that are ASKED; that are not IDLE */
    uint64_t seq;                  /* order among tasks that are ready */
    unsigned overtaken, passed;    /* by tasks, by younger groups */
    unsigned *plan;                /* plan[n]: nodes on which it fits if nothing else is there */
    unsigned *kept;                /* kept[nkept]: nodes that are kept for it */
    unsigned nkept;
    uint64_t tried;                /* in vain, after so many changes of nodes */
    struct tbi_refusal *refusal;   /* refusal[node], or NULL: none has refused */
    struct tbi_amount *amounts;
    struct tbi_nodes nodes;        /* its bundles */
    unsigned n;
    struct tbi_group_bundle bundle[];
};

struct tbi_groups {
    struct tbi_map by_id;
    struct tbi_link all, waiting, wanted;
    uint64_t made;
    const struct tbi_group *asking; /* one at a time, or two could be refused for each other's sake for ever */
};
void tbi_groups_init(struct tbi_groups *groups);
void tbi_groups_fini(struct tbi_groups *groups);

/* By its own id or a bundle's; NULL: there is none. */
struct tbi_group *tbi_groups_find(const struct tbi_groups *groups, struct tbi_id id);

/* The class of a task in the group. */
struct tbi_class *tbi_group_class(struct tbi_sched *sched, struct tbi_group *group,
                                  const struct msg_submit *m);
bool tbi_group_is_removed(const struct tbi_group *group);
bool tbi_group_is_pending(const struct tbi_sched *sched, const struct tbi_group *group);
struct tbi_payload *tbi_group_failure(const struct tbi_sched *sched, const struct tbi_group *group);
bool tbi_group_bundle_is_feasible(const struct tbi_sched *sched, const struct tbi_group *group,
                                  unsigned bundle);
unsigned tbi_group_rank(const struct tbi_group *group, unsigned bundle);
struct tbi_id tbi_group_bundle_id(const struct tbi_group *group, unsigned bundle);

/* A blocked task waits for it. */
void tbi_groups_want(struct tbi_sched *sched, struct tbi_group *group);

/* Has the node refused it, and nothing changed there since? `lent`: what tasks there would lend now. */
bool tbi_group_is_refused(const struct tbi_nodes *nodes, const struct tbi_group *group, unsigned node, int64_t lent);

/* The group waits no more; no node is kept for it any more; the bundles that it has are given back. */
void tbi_groups_stop_waiting(struct tbi_group *group);
void tbi_groups_unkeep(struct tbi_sched *sched, struct tbi_group *group);
void tbi_groups_give_back(struct tbi_sched *sched, struct tbi_group *group);

/* Tries those that wait; then what was overtaken too often gets nodes. */
void tbi_groups_reserve(struct tbi_sched *sched);
void tbi_groups_begin_keeping(struct tbi_sched *sched);
/* The task, still in the queue, is about to be sent. */
void tbi_groups_note_sent(struct tbi_sched *sched, const struct tbi_maker *task);
/* A task has ended: if it was the last one of a removed group, that goes. */
void tbi_groups_reap(struct tbi_sched *sched, struct tbi_group *group);

const char *tbi_groups_on_group(struct tbi_sched *sched, unsigned rank,
                                const struct tbi_record *record);
const char *tbi_groups_on_ungroup(struct tbi_sched *sched, unsigned rank,
                                  const struct tbi_record *record);
const char *tbi_groups_on_reserved(struct tbi_sched *sched, unsigned rank,
                                   const struct tbi_record *record);
const char *tbi_groups_on_unreserved(struct tbi_sched *sched, unsigned rank,
                                     const struct tbi_record *record);

const char *tbi_groups_on_lent(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record);

const char *tbi_groups_check(const struct tbi_sched *sched);

#endif
