#include "exec/lanes.h"
#include "api/crash.h"
#include "exec/bind.h"
#include "exec/zygote.h"
#include "util/alloc.h"
#include "util/look.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

struct waiting {
    struct waiting *next;
    struct msg_run *run;
};

struct lane {
    struct tbi_lanes *all;
    pthread_cond_t wake;        /* a call has come */
    struct waiting *first, **last;
};

struct tbi_lanes {
    pthread_mutex_t lock;
    pthread_cond_t idle;        /* nothing runs */
    struct lane lane[TBI_LANES_MAX];
    unsigned nlanes, running;
    bool draining;
    pthread_key_t key;          /* whose destructor runs in a thread that ends */
    tbi_lanes_fn *fn;
    tbi_lanes_lost_fn *lost;
    void *ctx;
};

static struct msg_run *take(struct lane *lane)
{
    struct waiting *w = lane->first;
    struct msg_run *run = w->run;

    lane->first = w->next;
    if (lane->first == NULL)
        lane->last = &lane->first;
    free(w);
    return run;
}

static void *serve(void *ctx)
{
    struct lane *lane = ctx;
    struct tbi_lanes *all = lane->all;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* it is not a method's to end */
    pthread_setspecific(all->key, lane);
    tbi_bind_thread();
    tbi_crash_begin_thread();
    pthread_mutex_lock(&all->lock);
    for (;;) {
        struct msg_run *run;

        while (lane->first == NULL || all->draining)
            tbi_condition_wait(&lane->wake, &all->lock, UINT64_MAX);
        run = take(lane);
        all->running++;
        pthread_mutex_unlock(&all->lock);
        all->fn(all->ctx, run);
        pthread_mutex_lock(&all->lock);
        if (--all->running == 0)
            pthread_cond_signal(&all->idle);
    }
    return NULL;
}

/* They run the program's functions, and its signals come to them as to the main thread; but for the one that is
 * for the process. */
static int start(struct lane *lane)
{
    sigset_t blocked, before;
    pthread_t thread;
    int rc;

    pthread_sigmask(SIG_BLOCK, NULL, &before);
    blocked = before;
    sigaddset(&blocked, TBI_INTERRUPT_SIGNAL);
    sigdelset(&blocked, TBI_LANE_SIGNAL);
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    rc = pthread_create(&thread, NULL, serve, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_detach(thread);
    return rc;
}

/* A thread of the lane ends: only what a call does can be why. The next calls have another. */
static void on_end(void *ctx)
{
    struct lane *lane = ctx;
    struct tbi_lanes *all = lane->all;
    int rc;

    all->lost(all->ctx);
    pthread_mutex_lock(&all->lock);
    if (--all->running == 0)
        pthread_cond_signal(&all->idle);
    pthread_mutex_unlock(&all->lock);
    rc = start(lane);
    if (rc == 0)
        return;
    fprintf(stderr, "thornback: a method ended its thread, and another cannot be started: %s\n", strerror(rc));
    _exit(1);
}

struct tbi_lanes *tbi_lanes_create(const uint16_t *lane, unsigned nlanes, tbi_lanes_fn *fn, tbi_lanes_lost_fn *lost,
                                   void *ctx)
{
    struct tbi_lanes *l = tbi_alloc_zeroed(1, sizeof *l);

    pthread_mutex_init(&l->lock, NULL);
    tbi_condition_init(&l->idle);
    l->nlanes = nlanes;
    l->fn = fn;
    l->lost = lost;
    pthread_key_create(&l->key, on_end);
    l->ctx = ctx;
    for (unsigned i = 0; i < nlanes; i++) {
        l->lane[i].all = l;
        l->lane[i].last = &l->lane[i].first;
        tbi_condition_init(&l->lane[i].wake);
    }
    for (unsigned i = 0; i < nlanes; i++)
        for (unsigned k = 0; k < lane[i]; k++) {
            int rc = start(&l->lane[i]);

            if (rc != 0) { /* those that were started sleep until the process ends, and use `l` */
                errno = rc;
                return NULL;
            }
        }
    return l;
}

void tbi_lanes_give(struct tbi_lanes *l, struct msg_run *run)
{
    struct lane *lane = &l->lane[run->lane < l->nlanes ? run->lane : 0];
    struct waiting *w = tbi_alloc(sizeof *w);

    *w = (struct waiting){NULL, run};
    pthread_mutex_lock(&l->lock);
    *lane->last = w;
    lane->last = &w->next;
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&l->lock);
}

void tbi_lanes_drain(struct tbi_lanes *l)
{
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    l->draining = true;
    while (l->running > 0)
        tbi_condition_wait(&l->idle, &l->lock, UINT64_MAX);
    pthread_mutex_unlock(&l->lock);
}
