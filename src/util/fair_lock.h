/* fair_lock.h - a lock that threads get in the order in which they asked for it. A thread that gives it back
 * and takes it again at once goes behind those that wait, which a pthread mutex does not promise: there it
 * may have it again before the others are awake, for as long as it likes. */
#ifndef TBI_FAIR_LOCK_H
#define TBI_FAIR_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tbi_fair_lock {
    pthread_mutex_t mutex;      /* held for a moment only */
    pthread_cond_t changed;
    _Atomic uint64_t next;      /* the ticket of the next thread that asks */
    uint64_t serving;           /* the ticket of the thread that has the lock */
};

void tbi_fair_lock_init(struct tbi_fair_lock *lock);
void tbi_fair_lock_fini(struct tbi_fair_lock *lock);

void tbi_fair_lock_take(struct tbi_fair_lock *lock);
void tbi_fair_lock_give(struct tbi_fair_lock *lock);

/* By the holder: does another thread wait for it? Costs a load. */
static inline bool tbi_fair_lock_is_wanted(const struct tbi_fair_lock *lock)
{
    return atomic_load_explicit(&lock->next, memory_order_relaxed) != lock->serving + 1;
}

/* By the holder: lets each thread that waits now have it once. */
static inline void tbi_fair_lock_yield(struct tbi_fair_lock *lock)
{
    if (!tbi_fair_lock_is_wanted(lock))
        return;
    tbi_fair_lock_give(lock);
    tbi_fair_lock_take(lock);
}

#endif
