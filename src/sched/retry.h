/* retry.h - what follows when tasks fail or are cancelled: further attempts, and the end of children.
 * Internal to the scheduler.
 *
 * A task that was cancelled while an agent has it has failed at once: whichever of FINISHED and
 * CANCEL the head handles first is final. Its agent is told by ABORT, and keeps its own promise that
 * FINISHED comes; until then the task keeps its arguments and its place in the forecast. */
#ifndef TBI_RETRY_H
#define TBI_RETRY_H

#include "sched/graph.h"

/* Does an agent, on `rank`, have this attempt? */
bool tbi_retry_runs(const struct tbi_maker *task, unsigned rank, uint32_t attempt);

/* A new task becomes its parent's child, if that runs. False: the parent was cancelled and with it
 * all that it submits; the task has failed. */
bool tbi_retry_adopt(struct tbi_sched *sched, struct tbi_maker *task);

/* A task has run for longer than it may: it is ended, and fails at once or, if it may be tried again after that, is
 * `overdue` until it has ended. */
void tbi_retry_overdue(struct tbi_sched *sched, struct tbi_maker *task);
/* ... and now it has, and is in no ledger any more. */
void tbi_retry_after_timeout(struct tbi_sched *sched, struct tbi_maker *task);

/* Cancels a task that has not ended, by TB_CANCEL_* flags. Takes over one use of `error`. */
void tbi_retry_cancel(struct tbi_sched *sched, struct tbi_maker *task, uint32_t flags,
                      struct tbi_payload *error);

/* The agent is told to end the task; with TB_CANCEL_FORCE at once. */
void tbi_retry_send_abort(struct tbi_sched *sched, const struct tbi_maker *task, uint32_t flags);

/* What a dead process had submitted for it is cancelled. */
void tbi_retry_orphan(struct tbi_sched *sched, struct tbi_maker *task);

/* The attempt has failed with `m` and `error` (ours from now on, if it is retried) and is in no
 * ledger any more. What a dead process had submitted is cancelled. False: there is no other try. */
bool tbi_retry_after(struct tbi_sched *sched, struct tbi_maker *task, const struct msg_done *m,
                     struct tbi_payload *error);

#endif
