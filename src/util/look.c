#include "util/look.h"
#include "exec/bell.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { MISSES_TOLD = 10 };

static bool told;
static unsigned own_rank;
static _Atomic unsigned misses;

void tbi_look_begin(unsigned rank, bool debug)
{
    own_rank = rank;
    told = debug;
}

bool tbi_look_is_told(void)
{
    return told;
}

uint64_t tbi_look_before(uint64_t deadline_us)
{
    uint64_t look_us = tbi_now_us() + TBI_LOOK_US;

    return deadline_us < look_us ? deadline_us : look_us;
}

void tbi_look_tell(const char *format, ...)
{
    char line[512];
    va_list args;
    int n;

    if (!told)
        return;
    n = snprintf(line, sizeof line, "thornback: rank %u, process %d: ", own_rank, (int)getpid());
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n++] = '\n';
    n = (int)write(STDERR_FILENO, line, (size_t)n); /* in one piece, and without stdio's locks */
    (void)n;
}

void tbi_look_missed(const char *who, uint64_t since_us)
{
    if (told && atomic_fetch_add(&misses, 1) < MISSES_TOLD)
        tbi_look_tell("missed wake-up: %s waited for %.1f s, has news, and was not woken", who,
                      (double)(tbi_now_us() - since_us) / 1e6);
}

void tbi_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attr);
    pthread_condattr_destroy(&attr);
}

void tbi_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_us)
{
    uint64_t until_us = tbi_look_before(deadline_us);
    struct timespec until = {(time_t)(until_us / 1000000), (long)(until_us % 1000000) * 1000};

    pthread_cond_timedwait(condition, mutex, &until);
}
