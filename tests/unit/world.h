/* world.h - a whole job in one process: the head, agents, executors and a driver that do random
 * things, joined by a network that delays each channel on its own. Everything random comes from
 * one seed, so a failing world can be run again. The scheduler and the agents are the real ones. */
#ifndef TB_WORLD_H
#define TB_WORLD_H

#include "unit.h"
#include "net/codec.h"
#include "node/agent.h"
#include "sched/sched.h"
#include "thornback.h"
#include "util/map.h"

enum { WORLD_RANKS = 40, WORLD_RANKS_FEW = 4, WORLD_PROCS = 1000, WORLD_HANDLES = 64, WORLD_GROUPS = 8, WORLD_OWN_GROUPS = 24, RACE_CHANNELS = 6 };

struct handle {
    struct tbi_id id;
    bool borrowed;     /* came with an argument: covered by the task until its end */
    bool actor;        /* of an actor: nothing to wait for */
};

/* A driver or an executor. */
struct proc {
    unsigned rank;
    uint32_t number;
    bool alive, running;
    bool unborn;                   /* it could not be started, which its agent does not know yet */
    struct tbi_outbox in, out;
    size_t in_ring;                /* bytes at the start of `out` that survive its death */
    struct msg_run run;            /* the task it runs */
    struct tbi_outbox runs;        /* tasks it was given and has not begun */
    uint64_t next;                 /* number of the next it may begin; the agent moves it too */
    struct handle handle[WORLD_HANDLES];
    unsigned nhandles;
    struct tbi_id kept[WORLD_HANDLES]; /* held over the end of a task; only ever released */
    unsigned nkept;
    struct tbi_id pinned[WORLD_HANDLES];
    unsigned npinned;
    uint64_t counter;
    int steps;                     /* what it will still do before it ends its task */
    struct tbi_id waiting;         /* null, or the object it blocks on */
    bool resuming;
    bool cancelled;                /* the running task is not wanted any more */
    bool exiting;                  /* it was told to end */
    struct { uint64_t units, used, asked, granted; } credit; /* as in api/credit.h */
    bool starving;                 /* it waits for some */
    bool doomed;                   /* its agent has had it killed, it still runs */
    struct tbi_id creating;        /* null, or what it waits for room for */
    struct tbi_id given_up[WORLD_HANDLES]; /* what it does not any more, though the answer has not come */
    unsigned ngiven_up;
    unsigned results_made;         /* stored results written so far */
    uint32_t stored;               /* bit i: result i is in the store */
    uint64_t made[32];             /* ... and has so many bytes */
    unsigned asked, answered;      /* GETs of the driver's last act */
    struct tbi_id actor;           /* that it is, or null */
    uint32_t epoch;                /* ... in this life */
    struct tbi_id own;             /* group that its task has made for itself, or null */
    unsigned begun;                /* tasks and calls */
    bool spent;                    /* its task was to have a process of its own */
};

/* A call as it was made, to see that each caller's calls begin in order. */
struct made_call {
    struct tbi_id task, actor;
    uint64_t seq;                  /* among this caller's to this actor, from 1 */
    unsigned lane;
    bool done;
};
/* The last call of a caller that has begun, in one life of an actor. */
struct begun_call {
    struct tbi_id actor;
    unsigned rank, lane;
    uint32_t proc, epoch;
    uint64_t seq;
};

/* What became of an object, as a process heard of it. */
struct outcome {
    struct tbi_id id;
    int code;                      /* 0: it has a value */
};

struct copying {
    uint32_t ticket;
    unsigned rank;
    bool active;
};

/* What races, see world_races.c: what is done at which event; null ids and zeros while that does not matter. */
enum race { NO_RACE, CANCEL_TASK, CANCEL_CALL, KILL_ACTOR, CRASH_ACTOR, CANCEL_AND_CRASH };
enum asking { AT_ONCE, CALLER_FIRST, DRIVER_FIRST };
struct races {
    enum race race;
    enum asking asking;
    unsigned at;                   /* the event at which it is done; of a call: the how manyth after the call */
    bool done, by_caller;
    unsigned crash_at;             /* of CANCEL_AND_CRASH: the event at which the process dies; 0: not yet, or done */
    uint32_t flags;
    unsigned slowness[RACE_CHANNELS]; /* how often others go first, see world_races.c */
    struct tbi_id caller, actor, call[2];
    unsigned step;                 /* of the caller */
    unsigned called_at;            /* events before the second call, which goes directly; 0: it was not made yet */
    bool driver_asks, caller_heard, driver_heard;
};

struct world_link;
/* Frames between ranks, see world_net.c. */
struct world_net {
    struct world_link *link;       /* link[from * nranks + to]; NULL: records arrive one by one, without frames */
    struct tbi_quota *quota;       /* of each rank */
    size_t frame, backlog;         /* bytes of one; of records to the head with which an agent reads no rings */
    uint64_t most;                 /* units that may be on their way to one rank */
};

struct world {
    uint64_t seed, random;
    unsigned nranks;
    uint64_t now;
    struct tbi_sched *sched;
    struct tbi_agent *agent[WORLD_RANKS];
    bool head_touched, agent_touched[WORLD_RANKS]; /* since they were checked */
    struct tbi_outbox to_head[WORLD_RANKS], to_agent[WORLD_RANKS];
    struct tbi_outbox between[WORLD_RANKS][WORLD_RANKS];
    struct world_net net;
    unsigned long frames, held_back; /* frames with records; those behind which more had to wait for leave */
    struct world_self { struct world *world; unsigned rank; } self[WORLD_RANKS];
    unsigned nprocs;
    struct copying copy[64];
    struct tbi_id group[WORLD_GROUPS + WORLD_OWN_GROUPS];
    unsigned groups_max, ngroups, own_groups_max, own_groups, own_reserved, reserved, refused, ran_in_groups, ran_with_gpus;
    struct tbi_map fresh;           /* tasks that were to have a new process */
    struct tbi_map started;         /* task -> attempts that ran, and its struct msg_submit */
    struct outcome *outcome;
    unsigned noutcomes;
    unsigned full;                  /* how often a reader had no room for a copy */
    unsigned events;
    size_t ring_bytes;              /* of an executor's ring; 0: what it sends never waits for room */
    bool hasty;                     /* executors begin tasks although the ends of others wait for room */
    bool picky;                     /* some tasks and actors ask for a new process */
    bool alike;                     /* all tasks have the same demand, so many are given ahead of their turn */
    unsigned untold, several;       /* ends of tasks that were lost with their process; while it ran another */
    unsigned skipped;               /* tasks that an executor did not begin because they were taken back */
    struct races races;
    struct {                        /* the driver waits until nothing is unfinished, or asks what is */
        unsigned most;              /* questions */
        unsigned asked, waits;      /* tickets are 1 .. asked; so many waited */
        bool answered[64];          /* by ticket */
        bool quiet[128];            /* by answer: no process ran anything when it was given */
        unsigned given, told, idle; /* answers by the head; heard by the driver; that said that nothing is */
    } idle;
    unsigned tasks_left, kills_left, killed, ran, retried, crashed_seen, cancelled_seen, overdue_seen;
    struct tbi_id gate, opener;     /* null, or an object of the driver's, sealed when it hears of that task */
    bool gated, gate_open;
    unsigned gates_opened, gate_waits;
    unsigned most_processes;        /* of a rank; few: then no task waits, for it might wait for a process */
    unsigned barren, said;          /* processes that will not be started; lines for the user */
    unsigned alone;                 /* tasks and actors that had a new process as they asked */
    unsigned rooms_given_up, evicted;
    unsigned passed[WORLD_RANKS];   /* tasks in a row that have resumed past one that waits, see world_turns.c */
    bool passed_too_often;
    unsigned turns, holds;          /* tasks that began before such; how often nobody resumed when nothing else moved */
    unsigned unread, stillborn, copies_failed, taken;
    struct tbi_id *actor;           /* actor[nactors]: all that were made */
    unsigned nactors, actors_max;
    bool limited;                   /* what processes may submit ahead is little */
    unsigned starved;               /* how often one had to wait for more */
    bool calls_more;
    struct made_call *call;
    unsigned ncalls;
    struct begun_call *begun;
    unsigned nbegun;
    struct tbi_map exits;           /* actors that have said that they end */
    uint64_t ticket;
    unsigned constructed, restarted, called, retired, exited, died_seen, unavailable_seen, found, direct,
        stopped;
    struct proc proc[WORLD_PROCS];  /* [0]: the driver. Last, and large: world_new does not clear it */
};

/* All zeros, but for the processes: each is set when it is begun. */
struct world *world_new(void);
/* Runs the world of this seed to its end and checks it. NULL, or what went wrong. */
const char *world_run(uint64_t seed, struct world **kept_for_reports);
/* The smallest world in which a task is cancelled at its event number `at`, with one dependant, by force
 * or not. *late: there was no such event, the task was over. */
const char *world_race(uint64_t seed, unsigned at, bool force, bool *late);
/* The smallest world in which an executor calls an actor on another rank directly. At event number `at` after that
 * call was made it is cancelled, or its actor or the actor's process is killed, or it is cancelled and soon the process
 * is killed. The caller and the driver both ask
 * what became of the call and must hear the same. */
struct raced {
    bool late;     /* as above */
    bool direct;   /* the call went directly: the actor had not died before it left */
    int heard;     /* 0: a value; else the error */
};
const char *world_race_direct(uint64_t seed, enum race race, unsigned at, struct raced *raced);
/* The same with so many ranks. */
const char *world_run_many(uint64_t seed, unsigned nranks, struct world **kept_for_reports);
void world_free(struct world *world);

#endif
