/* look.h - waits that look again. Every wait of the library has a bound after which it looks whether what it waits
 * for is there, so that a lost wake-up costs a second and not the job; and with TB_DEBUG the look tells on
 * stderr what it finds: a wait that has lasted for long, once, and a wake-up that was missed, which is a fault. */
#ifndef TBI_LOOK_H
#define TBI_LOOK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    TBI_LOOK_US = 1000000,      /* no wait lasts longer without a look */
    TBI_LONG_US = 10000000,     /* with TB_DEBUG, a wait that lasts so long is told */
    TBI_SURE_US = 3000000       /* a bell that is not rung within this is not rung: its ringer may be preempted */
};

/* What stands before each line. Forked processes go on with it: the zygote's come after this. */
void tbi_look_begin(unsigned rank, bool debug);
bool tbi_look_is_told(void);

/* The deadline, or the next look if that is earlier. */
uint64_t tbi_look_before(uint64_t deadline_us);

/* One line on stderr, if looks are told: "thornback: rank R, process P: " and the rest. */
void tbi_look_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same about a wait since `since_us` in which a wake-up was missed. Tells at most ten times. */
void tbi_look_missed(const char *who, uint64_t since_us);

/* A condition for waits with deadlines of the monotonic clock. */
void tbi_condition_init(pthread_cond_t *condition);
/* As pthread_cond_timedwait; returns at the next look, too. */
void tbi_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_us);

#endif
