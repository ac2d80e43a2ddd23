#include "util/fair_lock.h"
#include "util/look.h"

void tbi_fair_lock_init(struct tbi_fair_lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL);
    tbi_condition_init(&lock->changed);
    atomic_init(&lock->next, 0);
    lock->serving = 0;
}

void tbi_fair_lock_fini(struct tbi_fair_lock *lock)
{
    pthread_cond_destroy(&lock->changed);
    pthread_mutex_destroy(&lock->mutex);
}

void tbi_fair_lock_take(struct tbi_fair_lock *lock)
{
    uint64_t ticket;

    pthread_mutex_lock(&lock->mutex);
    ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);
    while (lock->serving != ticket)
        tbi_condition_wait(&lock->changed, &lock->mutex, UINT64_MAX);
    pthread_mutex_unlock(&lock->mutex);
}

void tbi_fair_lock_give(struct tbi_fair_lock *lock)
{
    bool wanted;

    pthread_mutex_lock(&lock->mutex);
    wanted = tbi_fair_lock_is_wanted(lock);
    lock->serving++;
    if (wanted) /* all: the next in order is one of them */
        pthread_cond_broadcast(&lock->changed);
    pthread_mutex_unlock(&lock->mutex);
}
