#include "node/watchdog.h"
#include "util/alloc.h"
#include "util/thread.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 20 /* within the limit */ };

struct tbi_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t limit_us;
    unsigned rank;
    const char *host;
    _Atomic unsigned pats;
    bool off, stop;
};

void tbi_end_job(unsigned rank, const char *host, const char *format, ...)
{
    char line[512];
    int n = snprintf(line, sizeof line, "thornback: rank %u on host %s: ", rank, host);
    va_list args;
    ssize_t written;

    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n++] = '\n';
    written = write(STDERR_FILENO, line, (size_t)n);
    (void)written;
    _exit(1);
}

/* Counts looks, not time: a process that was stopped for long, by a debugger or a terminal, has not
 * missed any. */
static void *watch(void *ctx)
{
    struct tbi_watchdog *dog = ctx;
    unsigned seen = 0, looks = 0;
    bool off = false;

    pthread_mutex_lock(&dog->lock);
    while (!dog->stop) {
        unsigned pats = atomic_load(&dog->pats);
        struct timespec next;
        uint64_t each_us = dog->limit_us / LOOKS;

        if (pats != seen || off != dog->off)
            looks = 0;
        seen = pats;
        off = dog->off;
        if (looks > LOOKS)
            tbi_end_job(dog->rank, dog->host, off
                        ? "the end of the job does not come to an end within %g s (was a host lost?)"
                        : "MPI did not return for %g s (was a host lost? TB_HEARTBEAT sets the "
                          "limit): the job ends", (double)dog->limit_us / 1e6);
        clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_nsec += (long)(each_us % 1000000) * 1000;
        next.tv_sec += (time_t)(each_us / 1000000) + next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        looks += pthread_cond_timedwait(&dog->changed, &dog->lock, &next) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&dog->lock);
    return NULL;
}

struct tbi_watchdog *tbi_watchdog_start(uint64_t limit_us, unsigned rank, const char *host)
{
    struct tbi_watchdog *dog = tbi_alloc_zeroed(1, sizeof *dog);
    pthread_condattr_t attr;

    dog->limit_us = limit_us;
    dog->rank = rank;
    dog->host = host;
    pthread_mutex_init(&dog->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&dog->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (tbi_thread_start(&dog->thread, watch, dog) == 0)
        return dog;
    pthread_cond_destroy(&dog->changed);
    pthread_mutex_destroy(&dog->lock);
    free(dog);
    return NULL;
}

void tbi_watchdog_pat(struct tbi_watchdog *dog)
{
    if (dog != NULL)
        atomic_fetch_add_explicit(&dog->pats, 1, memory_order_relaxed);
}

static void change(struct tbi_watchdog *dog, bool *flag)
{
    *flag = true;
    pthread_cond_signal(&dog->changed);
    pthread_mutex_unlock(&dog->lock);
}

void tbi_watchdog_see_off(struct tbi_watchdog *dog, uint64_t limit_us)
{
    if (dog == NULL)
        return;
    pthread_mutex_lock(&dog->lock);
    dog->limit_us = limit_us;
    change(dog, &dog->off);
}

void tbi_watchdog_stop(struct tbi_watchdog *dog)
{
    if (dog == NULL)
        return;
    pthread_mutex_lock(&dog->lock);
    change(dog, &dog->stop);
    pthread_join(dog->thread, NULL);
    pthread_cond_destroy(&dog->changed);
    pthread_mutex_destroy(&dog->lock);
    free(dog);
}
