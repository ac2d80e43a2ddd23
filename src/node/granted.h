/* granted.h - how much of the time that passed a thread could use: while it ran, and while it slept because it
 * wanted nothing. What is left out is the time in which it was ready to run and waited for a processor. A limit on
 * a thread's silence that counts this does not end a healthy job on a busy machine. */
#ifndef TBI_GRANTED_H
#define TBI_GRANTED_H

#include "node/system.h"

#include <stdint.h>
#include <sys/types.h>

struct tbi_thread_times {
    bool known;         /* false: this kernel does not say */
    bool runnable;      /* it runs, or waits for a processor, and that wait is not in waited_ns yet */
    uint64_t ran_ns, waited_ns;
};

/* Of a thread of this process, by /proc/self/task/TID/schedstat and stat. */
struct tbi_thread_times tbi_thread_times(const struct tbi_system *sys, pid_t tid);

/* Of `passed_us` between two looks at a thread: so much it ran or slept. All of it if nothing is known. */
uint64_t tbi_granted_us(const struct tbi_thread_times *before, const struct tbi_thread_times *now,
                        uint64_t passed_us);

#endif
