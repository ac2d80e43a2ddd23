/* bell.h - a doorbell in shared memory: how a loop that sleeps is woken by other processes and threads.
 *
 * Sleeper                                Producer
 *   value = arm(who)                       publish (ring tail, queue)
 *   look once more for news                ring()
 *   wait(value)
 *   disarm()
 *
 * The sleeper does "write armed; fence; read the news", the producer "write the news; fence; read armed", and
 * one of the two fences comes first in the order of all of them (C11 7.17.3): so either the sleeper sees the
 * news or the producer sees that it sleeps. Between the look and the wait the kernel compares `value`, which
 * a producer that saw `armed` has counted up; `armed` is released and acquired, so the value armed with is an
 * older one.
 * A producer may be killed at any instruction. It disarms only when it has woken the sleeper: before that,
 * others would take the bell for rung. What it disarms has to be what it saw, which has the value in it, for
 * the sleeper may have gone to sleep anew. (30 bits of the value: a producer that is stopped during exactly
 * 2^30 wakes may disarm once too often, and the sleeper sleeps until its deadline.)
 * tests/model/handshakes.cc runs all this, and each mistake in it, under the C11 memory model. Ringing a bell that nobody sleeps on costs a fence and a
 * load. Two kinds of sleepers may share a bell; only the kind that armed it is woken: so a thread
 * that leads the loop for a while need not wake, and be woken by, the one that waits for its return. */
#ifndef TBI_BELL_H
#define TBI_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TBI_BELL_LEADER = 1, TBI_BELL_BACKGROUND = 2 };

struct tbi_bell {
    _Atomic uint32_t value;   /* counts wakes */
    _Atomic uint32_t armed;   /* who sleeps or is about to: the value shifted by 2, and TBI_BELL_*; 0 nobody */
};

/* From now on, producers wake `who`. Returns the value to wait on. */
uint32_t tbi_bell_arm(struct tbi_bell *bell, uint32_t who);
/* Sleeps until rung as `who`, or until `deadline_us` of the monotonic clock (UINT64_MAX: for ever).
 * May also wake for no reason. */
void tbi_bell_wait(struct tbi_bell *bell, uint32_t value, uint32_t who, uint64_t deadline_us);
void tbi_bell_disarm(struct tbi_bell *bell);
/* For a sleeper whose wait ended at its deadline and that finds news all the same: is it sure that nobody rings for
 * them? Waits until rung, or for `sure_us`. */
bool tbi_bell_was_missed(struct tbi_bell *bell, uint32_t value, uint32_t who, uint64_t sure_us);

void tbi_bell_wake(struct tbi_bell *bell);
static inline void tbi_bell_ring(struct tbi_bell *bell)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&bell->armed, memory_order_relaxed) != 0)
        tbi_bell_wake(bell);
}

uint64_t tbi_now_us(void); /* CLOCK_MONOTONIC */

/* Before sleeping it pays to give others the processor a few times: whoever has news for us is often
 * about to run, and neither needs the kernel to wake the other then. Returns whether to look again;
 * `since_us` is when there was news last. */
enum { TBI_LINGER_US = 30 };
bool tbi_linger(uint64_t since_us);

#endif
