#include "node/watchdog.h"
#include "exec/bell.h"
#include "node/granted.h"
#include "node/roll_call.h"
#include "util/alloc.h"
#include "util/thread.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 20 /* within the limit */, UNHEARD_US = 2000000 };

struct tbi_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t limit_us;
    unsigned rank;
    const char *host;
    _Atomic pid_t inside;       /* the thread that is in a call of MPI; 0: none is */
    _Atomic unsigned pats;      /* counts those calls, and signs of life within one */
    pid_t leaver;               /* the thread that ends the job, when `off` */
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

static pid_t own_tid(void)
{
    static _Thread_local pid_t tid;

    if (tid == 0)
        tid = (pid_t)syscall(SYS_gettid);
    return tid;
}

/* Until the next look, or a change. */
static void nap(struct tbi_watchdog *dog, uint64_t us)
{
    struct timespec next;

    clock_gettime(CLOCK_MONOTONIC, &next);
    next.tv_nsec += (long)(us % 1000000) * 1000;
    next.tv_sec += (time_t)(us / 1000000) + next.tv_nsec / 1000000000;
    next.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&dog->changed, &dog->lock, &next);
}

/* SIGUSR2 came, and the loop takes no notice: somebody else has to say so. Returns whether it was said. */
static bool answer_for_loop(const struct tbi_watchdog *dog, uint64_t now_us, bool said)
{
    uint64_t unheard_us = tbi_roll_call_unheard_us(now_us);

    if (unheard_us > UNHEARD_US && !said)
        fprintf(stderr, "thornback: rank %u (pid %d on host %s): for %.1f s it has not said what it waits for: its agent "
                "%s\n", dog->rank, (int)getpid(), dog->host, (double)unheard_us / 1e6,
                atomic_load(&dog->inside) != 0 ? "is in a call of MPI" : "makes no turn");
    return unheard_us > UNHEARD_US;
}

/* Adds up the time that the watched thread could have used since it gave a sign of life, at most a look's length
 * for each look: a process that was stopped for long, by a debugger or a terminal, has missed nothing, and neither
 * has one whose watchdog or whose loop got no processor. */
static void *watch(void *ctx)
{
    struct tbi_watchdog *dog = ctx;
    struct tbi_system sys = tbi_system_here();
    struct tbi_thread_times before = {.known = false}, now;
    uint64_t looked_us = tbi_now_us(), silent_us = 0;
    unsigned seen = 0;
    pid_t watched = 0;
    bool off = false, answered = false;

    pthread_mutex_lock(&dog->lock);
    while (!dog->stop) {
        pid_t tid = dog->off ? dog->leaver : atomic_load(&dog->inside);
        unsigned pats = atomic_load(&dog->pats);
        uint64_t each_us = dog->limit_us / LOOKS, at_us = tbi_now_us();
        uint64_t passed_us = at_us - looked_us < each_us ? at_us - looked_us : each_us;

        looked_us = at_us;
        answered = answer_for_loop(dog, at_us, answered);
        now = tid != 0 ? tbi_thread_times(&sys, tid) : (struct tbi_thread_times){.known = false};
        if (tid == 0 || tid != watched || off != dog->off || (!off && pats != seen))
            silent_us = 0;
        else
            silent_us += tbi_granted_us(&before, &now, passed_us);
        watched = tid;
        before = now;
        seen = pats;
        off = dog->off;
        if (silent_us > dog->limit_us)
            tbi_end_job(dog->rank, dog->host, off
                        ? "the end of the job does not come to an end within %g s (was a host lost?)"
                        : "MPI did not return for %g s (was a host lost, or a descriptor of MPI "
                          "closed? TB_HEARTBEAT sets the limit): the job ends", (double)dog->limit_us / 1e6);
        nap(dog, each_us);
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

void tbi_watchdog_enter(struct tbi_watchdog *dog)
{
    if (dog == NULL)
        return;
    tbi_watchdog_pat(dog);
    atomic_store_explicit(&dog->inside, own_tid(), memory_order_relaxed);
}

void tbi_watchdog_pat(struct tbi_watchdog *dog)
{
    if (dog != NULL) /* one thread at a time does so */
        atomic_store_explicit(&dog->pats, atomic_load_explicit(&dog->pats, memory_order_relaxed) + 1,
                              memory_order_relaxed);
}

void tbi_watchdog_leave(struct tbi_watchdog *dog)
{
    if (dog != NULL)
        atomic_store_explicit(&dog->inside, 0, memory_order_relaxed);
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
    dog->leaver = own_tid();
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
