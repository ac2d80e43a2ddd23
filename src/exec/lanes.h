/* lanes.h - the threads of an actor whose calls run at once: each lane has as many as it may run, and calls that
 * have come before one is free wait there in their order. Threads stay to the end of the process; one that a call
 * ends (pthread_exit) is replaced. */
#ifndef TBI_LANES_H
#define TBI_LANES_H

#include "net/messages.h"

#include <signal.h>
#include <stdatomic.h>

struct tbi_lanes;

/* Interrupts one thread of a lane. Not the signal that interrupts a process: that would come to any thread which
 * does not block it, so they all do, but for the main one. */
#define TBI_LANE_SIGNAL (SIGRTMIN + 5)

/* Runs one call, in a thread of its lane. */
typedef void tbi_lanes_fn(void *ctx, const struct msg_run *run);

/* Called in a thread that is ending in the middle of a call, in its last moments: tells of the call's end. */
typedef void tbi_lanes_lost_fn(void *ctx);

static inline bool tbi_run_is_cancelled(const struct msg_run *run)
{
    return atomic_load(&((struct msg_run *)run)->cancelled) != 0;
}

/* Starts lane[i] threads for each lane. NULL with errno: not all of them could be. */
struct tbi_lanes *tbi_lanes_create(const uint16_t *lane, unsigned nlanes, tbi_lanes_fn *fn,
                                   tbi_lanes_lost_fn *lost, void *ctx);

/* The call, which is ours to free from now on, is run as soon as its lane has a thread; one of a lane that there is
 * not is run in the first. */
void tbi_lanes_give(struct tbi_lanes *lanes, struct msg_run *run);

/* If the call has not ended it is marked as cancelled (tbi_run_is_cancelled), and the system call that its thread may
 * be in is interrupted. */
void tbi_lanes_cancel(struct tbi_lanes *lanes, const struct msg_task *task);

/* What waits is never begun. Returns when nothing runs. `lanes` may be NULL. */
void tbi_lanes_drain(struct tbi_lanes *lanes);

#endif
