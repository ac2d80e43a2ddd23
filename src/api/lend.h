/* lend.h - what a task waits for may need the task's CPUs: it gives them back while it waits.
 *
 * They are those of the thread that runs the task: from when this waits until it goes on. A wait of another thread gives
 * them back only when the whole process computes nothing, as when that thread is waited for: the task's thread may be
 * computing meanwhile. What an actor has it keeps. */
#ifndef TBI_LEND_H
#define TBI_LEND_H

#include "api/process.h"

/* As tbi_process_wait, for what comes from others. */
bool tbi_process_wait_blocked(struct tbi_process *process, bool (*done)(void *), void *arg,
                              uint64_t deadline_us);
/* The same, but a cancel does not end the wait. */
bool tbi_process_wait_uncancelled(struct tbi_process *process, bool (*done)(void *), void *arg,
                                  uint64_t deadline_us);
/* With the lock, which may be dropped meanwhile: the call, of this thread, has its CPUs. */
void tbi_lend_end(struct tbi_process *process, struct tbi_call *call);

#endif
