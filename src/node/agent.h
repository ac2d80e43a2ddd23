/* agent.h - a rank's agent: what runs on the node, what lies in its part of the store, who uses it.
 * Decisions only: records in (tbi_agent_handle), records out (the port), and a few verbs for what
 * is not a message (fork, copy). It makes no MPI call, touches no object's bytes and reads no
 * clock, so the agent runs in the seeded world as it runs in a job.
 *
 * Processes are named by incarnation: the driver is TBI_PROC_DRIVER (rank 0 only), executors count
 * from 1 and a number is never used twice. Amounts of CPU are in 1/10000, sizes in bytes, times in
 * microseconds. Not thread-safe.
 *
 * An executor:  forked -> RUN -> DONE -> idle -> RUN ...      (one task at a time)
 * With more work of the same demand waiting, an executor gets some tasks ahead, so that it goes from
 * one to the next without us; what it has not begun is taken back when its task blocks, when CPUs
 * are free elsewhere, or when it dies.
 * A task that is aborted while it runs is interrupted; when its process has not ended it within the
 * grace, the process is killed. A process whose task was interrupted runs no other: the signal may
 * still be on its way, and what the task left behind is unknown.
 * Its CPUs:     taken with RUN, given back with DONE or death, and in between given away by
 *               BLOCK -> (head answers BLOCKED) and taken back by UNBLOCK -> RESUME. */
#ifndef TBI_AGENT_H
#define TBI_AGENT_H

#include "net/messages.h"
#include "node/grants.h"
#include "sched/sched.h" /* struct tbi_port */
#include "util/error_blob.h"

struct tbi_agent;

struct tbi_agent_config {
    unsigned rank, nranks;
    const unsigned *host;      /* per rank: equal numbers share memory */
    struct tbi_grants_config resources; /* no CPUs: runs no tasks */
    unsigned max_executors;    /* that have a task which does not wait, or none, at a time; actors do not count */
    unsigned most_processes;   /* of any kind, at a time */
    uint32_t last_proc;         /* the highest number a process can have, at most TBI_ID_PROC_MAX; 0: that */
    uint64_t birth_patience_us; /* how long tasks wait when no process can be started and none lives */
    unsigned offers;           /* tasks an executor is given beyond the one it runs */
    unsigned nested;           /* tasks that may wait here which tasks of ours have submitted */
    unsigned overtakes;        /* how often a task that does not fit may be overtaken */
    uint64_t store_bytes;
    uint32_t page_bytes;       /* of memory: the unit of the store */
    uint64_t create_timeout_us; /* how long a create waits for room */
    uint64_t grace_us;         /* how long an aborted task may go on */
    enum tbi_fetch_mode fetch;  /* TBI_FETCH_RMA or TBI_FETCH_P2P, between hosts */
};

/* What the agent asks for besides sending. Answers come later, by an event. */
struct tbi_agent_ops {
    void *ctx;
    /* Start the executor `proc`; it may be sent RUN at once. Failing is told by tbi_agent_unborn. */
    void (*fork)(void *ctx, uint32_t proc);
    /* Copy an object of `bytes` from `rank`'s segment at `from` to ours at `to`; then call
     * tbi_agent_copied with the ticket. */
    void (*copy)(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t to,
                 uint64_t bytes);
    /* Send our bytes at `from` to `rank`, which calls its copy for that ticket. Only for
     * TBI_FETCH_P2P; no answer: the reader ends the lease. */
    void (*push)(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t bytes);
    /* Takes back the tasks that this executor has not begun; they are numbered from 0 to `offered` - 1.
     * Returns the number of the first of them, from `begun` to `offered`; `offered`: there are none.
     * Those below `begun` are known to have begun: an executor that claims otherwise is broken and is
     * killed, and all of its tasks count as begun. */
    uint64_t (*take_back)(void *ctx, uint32_t proc, uint64_t begun, uint64_t offered);
    /* Tells the task of this number, which the executor runs, that it is not wanted any more, and
     * interrupts the system call it may be in. `others`: the executor may begin another task meanwhile, which must not
     * be interrupted. */
    void (*interrupt)(void *ctx, uint32_t proc, uint64_t number, bool others);
    /* Kills the executor; its death is told by tbi_agent_died. */
    void (*kill)(void *ctx, uint32_t proc);
    /* One line for the user: something that is short, and why. NULL: nobody reads it. */
    void (*say)(void *ctx, const char *line);
};

/* `port.send` with a type that goes to PROC sends to the own process `proc`; else to `rank`. */
struct tbi_agent *tbi_agent_create(const struct tbi_agent_config *config, struct tbi_port port,
                                   struct tbi_agent_ops ops);
void tbi_agent_destroy(struct tbi_agent *agent);

/* Takes one record: from `rank`, or, if its type comes from PROC, from the own process
 * record->proc. NULL, or why it was refused: a process that sent it is to be killed. */
const char *tbi_agent_handle(struct tbi_agent *agent, unsigned rank,
                             const struct tbi_record *record, uint64_t now_us);

/* The process is being killed because it broke its memory: it is given no more tasks. Its death follows. */
void tbi_agent_doom(struct tbi_agent *agent, uint32_t proc);

/* The process is gone and all it sent was handled. Every task that it had begun and not ended fails as
 * crashed, those that it had not begun run elsewhere. `cause` describes the death, or what the task had
 * said of itself before (`said`: then it is no crash, to be retried by itself); function and attempt
 * are filled in here. */
void tbi_agent_died(struct tbi_agent *agent, uint32_t proc, const struct tbi_error_link *cause,
                    bool said);

/* The process could not be started, and `cause` says why. What it was given goes back into the queue. */
void tbi_agent_unborn(struct tbi_agent *agent, uint32_t proc, const struct tbi_error_link *cause,
                      uint64_t now_us);

/* ok false: there was no memory for the copy. */
void tbi_agent_copied(struct tbi_agent *agent, uint32_t ticket, bool ok);

/* Ends creates that waited for room too long and tasks that exceed their limit or their grace. Call
 * when tbi_agent_deadline is past. */
void tbi_agent_tick(struct tbi_agent *agent, uint64_t now_us);
uint64_t tbi_agent_deadline(const struct tbi_agent *agent); /* UINT64_MAX: none */

/* Has some executor more than one task? Then ends of tasks may come without a ring. */
bool tbi_agent_works_ahead(const struct tbi_agent *agent);

struct tbi_agent_counts {
    unsigned executors, running, blocked;
    size_t jobs;            /* tasks here, running ones included */
    int64_t cpus_free;
    size_t objects;         /* on record: own, copies, mapped */
    size_t pins, leases;    /* leases given to other agents */
    uint64_t store_used;
};
struct tbi_agent_counts tbi_agent_counts(const struct tbi_agent *agent);
const char *tbi_agent_check(const struct tbi_agent *agent);

#endif
