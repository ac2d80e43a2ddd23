/* sched.h - the head: scheduler and object directory as a pure state machine.
 *
 * Messages in (tbi_sched_handle), messages out (the `send` of its port); it makes no MPI call,
 * reads no clock and does no I/O, so the whole of it runs in tests and simulations.
 * Units: amounts of resources in 1/10000, times in microseconds. Not thread-safe: the caller holds
 * the progress lock.
 *
 * A task:   SUBMIT -> WAITING -> QUEUED -> DISPATCHED <-> BLOCKED -> ENDED
 *                        |         | ^          |             |
 *                        |         | +-[DELAYED]+-------------+   the attempt failed, it is retried
 *                        |         |            |             |
 *                        +---------+------------+-------------+--> ENDED with all returns FAILED
 *
 * An actor is a task that stays DISPATCHED as long as it lives, see actors.h; its calls are tasks which are
 * PARKED instead of QUEUED, while it does not, and need no place of their own.
 *
 * A cancelled task that runs has failed at once for everyone who waits for it; it stays DISPATCHED or
 * BLOCKED, `aborted`, until its agent says that it has ended. */
#ifndef TBI_SCHED_H
#define TBI_SCHED_H

#include "net/messages.h"

struct tbi_sched;

struct tbi_sched_config {
    unsigned nranks;
    unsigned nresources;    /* numbered as in messages.h: at least TBI_CUSTOM */
    const int64_t *totals;  /* [rank * nresources + resource]; without CPUs a rank runs no tasks */
    const char *const *resources; /* names by resource, for error texts; may be NULL */
    const unsigned *host;   /* per rank: equal numbers share memory */
    unsigned ahead;         /* tasks sent to a node beyond what it can run at once, as long as nobody
                             * knows how long they run; then as many as run in about 2 ms */
    unsigned overtakes;     /* how often a task may be overtaken before a node is kept for it */
    unsigned queue;         /* units that tasks may submit ahead of what begins, all together: see submitters.h */
    uint64_t seed;          /* of the choice between equal nodes; 0: always the first */
    const char *const *functions; /* names by function id, for error texts; may be NULL */
    unsigned nfunctions;    /* how long tasks run is known only of these */
    /* A failure goes that no process has read: a packed error. May be NULL. */
    void (*unread)(void *ctx, const void *error, uint32_t bytes);
    void *unread_ctx;
};

/* How messages leave: returns room for `size` body bytes of a record to `rank`, to be filled before
 * the next call; NULL if a record cannot be that large. */
struct tbi_port {
    void *ctx;
    void *(*send)(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size);
};

struct tbi_sched *tbi_sched_create(const struct tbi_sched_config *config, struct tbi_port port);
void tbi_sched_destroy(struct tbi_sched *sched);

/* Takes one record that came from `rank` (already found well-formed by tbi_record_check).
 * Returns NULL, or why it was refused; a refused record changes nothing. */
const char *tbi_sched_handle(struct tbi_sched *sched, unsigned rank,
                             const struct tbi_record *record, uint64_t now_us);

/* Sends ready tasks where they fit. Call after a batch of records. */
void tbi_sched_run(struct tbi_sched *sched);

/* Queues the retries whose delay is over, and gives credit if nothing moves else. Call, and then tbi_sched_run, when
 * the deadline is past. */
void tbi_sched_tick(struct tbi_sched *sched, uint64_t now_us);
uint64_t tbi_sched_deadline(const struct tbi_sched *sched); /* UINT64_MAX: none */

struct tbi_sched_counts {
    size_t tasks;       /* not yet ended */
    size_t queued;      /* of them, waiting for a place */
    size_t retries;     /* attempts after the first, so far */
    size_t objects;     /* alive, without those of groups */
    size_t makers;      /* tasks and puts on record */
    size_t classes;     /* different demands among the tasks, and a few kept */
    size_t asking;      /* processes that wait for credit */
    size_t announced;   /* direct calls of which something came before their SUBMIT, or that are to stop */
    int64_t load;       /* forecast of CPUs over all nodes */
};
struct tbi_sched_counts tbi_sched_counts(const struct tbi_sched *sched);

/* What would end unfinished if the job ended now, but for what was cancelled. O(everything). */
struct tbi_unfinished {
    size_t tasks, calls;
};
struct tbi_unfinished tbi_sched_unfinished(const struct tbi_sched *sched);
/* The job is over, and nothing is handled any more: a FINISHED that was on its way still counts. */
void tbi_sched_note_end(struct tbi_sched *sched, const struct msg_done *m);

/* What the forecast leaves of a resource on a node, not below 0. */
int64_t tbi_sched_available(const struct tbi_sched *sched, unsigned rank, unsigned resource);

/* Detached actors need not live any longer: the job is about to end. */
void tbi_sched_let_go(struct tbi_sched *sched);

/* Every invariant that can be seen from here; NULL or what is wrong. O(everything). */
const char *tbi_sched_check(const struct tbi_sched *sched);

#endif
