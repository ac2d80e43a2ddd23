#include "exec/bell.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t tbi_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool tbi_linger(uint64_t since_us)
{
    if (tbi_now_us() - since_us > TBI_LINGER_US)
        return false;
    sched_yield();
    return true;
}

uint32_t tbi_bell_arm(struct tbi_bell *bell, uint32_t who)
{
    uint32_t value = atomic_load_explicit(&bell->value, memory_order_relaxed);

    atomic_store_explicit(&bell->armed, value << 2 | who, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    return value;
}

void tbi_bell_disarm(struct tbi_bell *bell)
{
    atomic_store_explicit(&bell->armed, 0, memory_order_relaxed);
}

void tbi_bell_wait(struct tbi_bell *bell, uint32_t value, uint32_t who, uint64_t deadline_us)
{
    struct timespec until = {(time_t)(deadline_us / 1000000),
                             (long)(deadline_us % 1000000) * 1000};

    syscall(SYS_futex, &bell->value, FUTEX_WAIT_BITSET, value,
            deadline_us == UINT64_MAX ? NULL : &until, NULL, who);
}

bool tbi_bell_was_missed(struct tbi_bell *bell, uint32_t value, uint32_t who, uint64_t sure_us)
{
    uint64_t until_us = tbi_now_us() + sure_us;

    while (atomic_load(&bell->armed) == (value << 2 | who) && atomic_load(&bell->value) == value) {
        if (tbi_now_us() >= until_us)
            return true;
        tbi_bell_wait(bell, value, who, until_us);
    }
    return false;
}

void tbi_bell_wake(struct tbi_bell *bell)
{
    uint32_t armed = atomic_load_explicit(&bell->armed, memory_order_acquire);

    if (armed == 0)
        return; /* another producer has just done it */
    atomic_fetch_add(&bell->value, 1);
    syscall(SYS_futex, &bell->value, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, armed & 3);
    atomic_compare_exchange_strong_explicit(&bell->armed, &armed, 0, memory_order_relaxed, memory_order_relaxed);
}
