#include "util/fair_lock.h"

void tbi_fair_lock_init(struct tbi_fair_lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL);
    pthread_cond_init(&lock->changed, NULL);
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
        pthread_cond_wait(&lock->changed, &lock->mutex);
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
