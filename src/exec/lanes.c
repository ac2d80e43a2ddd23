#include "exec/lanes.h"
#include "api/crash.h"
#include "api/process.h"
#include "exec/bind.h"
#include "exec/zygote.h"
#include "util/alloc.h"
#include "util/list.h"
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

/* Not on its own stack: it is read when that has been left, see on_end. */
struct worker {
    struct tbi_link link;
    struct lane *lane;
    pthread_t thread;
    struct msg_run *run;        /* or NULL */
};

struct tbi_lanes {
    pthread_mutex_t lock;
    pthread_cond_t idle;        /* nothing runs */
    struct lane lane[TBI_LANES_MAX];
    struct tbi_link workers;
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

/* With the lock. */
static void end_call(struct worker *w)
{
    struct tbi_lanes *all = w->lane->all;

    free(w->run);
    w->run = NULL;
    if (--all->running == 0)
        pthread_cond_signal(&all->idle);
}

static void *serve(void *ctx)
{
    struct worker *w = ctx;
    struct lane *lane = w->lane;
    struct tbi_lanes *all = lane->all;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* it is not a method's to end */
    tbi_process_stay_inside(true);
    pthread_setspecific(all->key, w);
    tbi_bind_thread();
    tbi_crash_begin_thread();
    pthread_mutex_lock(&all->lock);
    w->thread = pthread_self();
    tbi_list_append(&all->workers, &w->link);
    for (;;) {
        while (lane->first == NULL || all->draining)
            tbi_condition_wait(&lane->wake, &all->lock, UINT64_MAX);
        w->run = take(lane);
        all->running++;
        pthread_mutex_unlock(&all->lock);
        all->fn(all->ctx, w->run);
        pthread_mutex_lock(&all->lock);
        end_call(w);
    }
    return NULL;
}

/* They run the program's functions, and its signals come to them as to the main thread; but for the one that is
 * for the process. */
static int start(struct lane *lane)
{
    struct worker *w = tbi_alloc_zeroed(1, sizeof *w);
    sigset_t blocked, before;
    pthread_t thread;
    int rc;

    w->lane = lane;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    blocked = before;
    sigaddset(&blocked, TBI_INTERRUPT_SIGNAL);
    sigdelset(&blocked, TBI_LANE_SIGNAL);
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    rc = pthread_create(&thread, NULL, serve, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_detach(thread);
    else
        free(w);
    return rc;
}

/* A thread of the lane ends: only what a call does can be why. The next calls have another. */
static void on_end(void *ctx)
{
    struct worker *w = ctx;
    struct lane *lane = w->lane;
    struct tbi_lanes *all = lane->all;
    int rc;

    all->lost(all->ctx);
    pthread_mutex_lock(&all->lock);
    tbi_list_unlink(&w->link);
    end_call(w);
    pthread_mutex_unlock(&all->lock);
    free(w);
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
    tbi_list_init(&l->workers);
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

static void mark(struct msg_run *run)
{
    atomic_store(&run->cancelled, 1);
}

static bool is(const struct msg_run *run, const struct msg_task *task)
{
    return run != NULL && tbi_id_equal(run->task, task->task) && run->attempt == task->attempt;
}

void tbi_lanes_cancel(struct tbi_lanes *l, const struct msg_task *task)
{
    pthread_mutex_lock(&l->lock);
    for (unsigned i = 0; i < l->nlanes; i++)
        for (struct waiting *w = l->lane[i].first; w != NULL; w = w->next)
            if (is(w->run, task))
                mark(w->run);
    for (struct tbi_link *k = l->workers.next; k != &l->workers; k = k->next) {
        struct worker *w = TBI_ENTRY(k, struct worker, link);

        if (is(w->run, task)) {
            mark(w->run);
            pthread_kill(w->thread, TBI_LANE_SIGNAL);
        }
    }
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
