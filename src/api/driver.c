#include "api/driver.h"
#include "api/idle.h"
#include "node/report.h"
#include "util/alloc.h"
#include "util/fair_lock.h"
#include "util/plural.h"
#include "util/thread.h"

#include <errno.h>

enum { URGENT_BYTES = 64 * 1024, QUEUE_BYTES = 512 * 1024, TASKS_END_US = 5000000 };

struct tbi_driver {
    struct tbi_process *process;
    struct tbi_loop *loop;
    struct tbi_bell *bell;
    struct tbi_outbox queue;        /* from the driver to its agent, under the process's lock */
    _Atomic size_t queued;          /* its bytes, for a look without the lock */
    bool urgent;                    /* something in it should not wait for the next turn */
    _Atomic bool rung;              /* ... and the bell was rung for it */
    struct tbi_fair_lock progress;  /* held by the thread that makes turns */
    pthread_t thread;
    _Atomic bool leading, stop;
};

/* ---- the process's port ---- */

/* Who only lets go, or makes an object that nobody can ask for yet, is in no hurry. */
static bool is_urgent(enum tbi_msg type)
{
    return type != TBI_MSG_RELEASE && type != TBI_MSG_UNPIN && type != TBI_MSG_HOLD &&
           type != TBI_MSG_PUT && type != TBI_MSG_SEAL;
}

static void *send_record(void *ctx, enum tbi_msg type, size_t size)
{
    struct tbi_driver *d = ctx;
    void *body = tbi_outbox_append(&d->queue, type, TBI_PROC_DRIVER, size);

    if (body == NULL) { /* callers keep within the limits of a record */
        fprintf(stderr, "thornback: a record of %zu bytes\n", size);
        abort();
    }
    d->urgent |= is_urgent(type);
    return body;
}

static bool flush(void *ctx)
{
    struct tbi_driver *d = ctx;
    size_t bytes = tbi_outbox_bytes(&d->queue);

    if (bytes == 0)
        return false;
    atomic_store_explicit(&d->queued, bytes, memory_order_release);
    if (d->urgent || d->process->hurries || bytes > URGENT_BYTES) {
        d->urgent = d->process->hurries = false;
        atomic_store_explicit(&d->rung, true, memory_order_relaxed);
        tbi_bell_ring(d->bell);
    }
    return bytes >= QUEUE_BYTES;
}

static void relieve(void *ctx)
{
    struct tbi_driver *d = ctx;

    tbi_fair_lock_take(&d->progress);
    if (atomic_load(&d->queued) >= QUEUE_BYTES) /* else a turn of another thread took it meanwhile */
        tbi_loop_turn(d->loop);
    tbi_fair_lock_give(&d->progress);
}

/* ---- the loop's port to the driver ---- */

static void take(void *ctx, struct tbi_outbox *to)
{
    struct tbi_driver *d = ctx;
    struct tbi_outbox empty = *to;

    pthread_mutex_lock(&d->process->lock);
    if (tbi_outbox_bytes(&d->queue) > 0) {
        *to = d->queue;
        d->queue = empty;
        d->urgent = false;
        atomic_store_explicit(&d->queued, 0, memory_order_relaxed);
        atomic_store_explicit(&d->rung, false, memory_order_relaxed);
    }
    pthread_mutex_unlock(&d->process->lock);
}

static bool has_news(void *ctx)
{
    struct tbi_driver *d = ctx;

    return atomic_load_explicit(&d->queued, memory_order_acquire) > 0;
}

static bool rang(void *ctx)
{
    struct tbi_driver *d = ctx;

    return atomic_load(&d->rung);
}

static void deliver(void *ctx, const struct tbi_record *record)
{
    tbi_process_take(((struct tbi_driver *)ctx)->process, record);
}

static void report(void *ctx, const struct tbi_sched *sched, FILE *to)
{
    struct tbi_process *p = ((struct tbi_driver *)ctx)->process;
    char text[256], object[160];

    pthread_mutex_lock(&p->lock);
    fprintf(to, "thornback: rank 0: %u call%s of the driver %s under way\n", p->calls, tbi_s(p->calls),
            tbi_plural(p->calls, "is", "are"));
    for (const struct tbi_waiter *w = p->waiters; w != NULL; w = w->next) {
        const struct tbi_handle *h = tbi_waiter_text(w, text, sizeof text);

        object[0] = 0;
        if (h != NULL)
            tbi_report_object(sched, h->id, object, sizeof object);
        fprintf(to, "thornback: rank 0: %s%s%s\n", text, h != NULL ? ", " : "", object);
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- who makes the turns ---- */

/* With the progress lock: until something moved or news made sleeping needless, or `until`. */
static void sleep_on_bell(struct tbi_driver *d, uint32_t who, uint64_t deadline_us)
{
    uint32_t value = tbi_bell_arm(d->bell, who);
    uint64_t until = tbi_loop_sleep_until(d->loop, tbi_now_us());
    bool rings = tbi_loop_executors_ring(d->loop);

    if (tbi_loop_has_news(d->loop)) {
        tbi_bell_disarm(d->bell);
        return;
    }
    tbi_fair_lock_give(&d->progress);
    tbi_loop_sleep(d->loop, rings, d->bell, value, who, until < deadline_us ? until : deadline_us);
    tbi_fair_lock_take(&d->progress);
}

static void lead(void *ctx, uint64_t seen, uint64_t deadline_us)
{
    struct tbi_driver *d = ctx;

    atomic_store(&d->leading, true);
    tbi_fair_lock_take(&d->progress);
    tbi_bell_disarm(d->bell);
    while (atomic_load(&d->process->news) == seen) {
        bool moved = tbi_loop_turn(d->loop);

        if (deadline_us != UINT64_MAX && tbi_now_us() >= deadline_us)
            break;
        if (!moved && !tbi_loop_linger(d->loop) && atomic_load(&d->process->news) == seen) {
            sleep_on_bell(d, TBI_BELL_LEADER, deadline_us);
            tbi_bell_disarm(d->bell);
        }
        tbi_fair_lock_yield(&d->progress); /* turns may move for ever, and others have to make one */
    }
    atomic_store(&d->leading, false);
    tbi_bell_arm(d->bell, TBI_BELL_BACKGROUND);
    if (tbi_loop_has_news(d->loop))
        tbi_bell_ring(d->bell);
    tbi_fair_lock_give(&d->progress);
}

static void *progress_thread(void *ctx)
{
    struct tbi_driver *d = ctx;

    tbi_process_stay_inside(true);
    while (!atomic_load(&d->stop)) {
        uint32_t value = atomic_load(&d->bell->value);

        if (atomic_load(&d->leading)) {
            tbi_bell_wait(d->bell, value, TBI_BELL_BACKGROUND, tbi_now_us() + 10000);
            continue;
        }
        tbi_fair_lock_take(&d->progress);
        if (!atomic_load(&d->leading)) {
            tbi_bell_disarm(d->bell);
            if (!tbi_loop_turn(d->loop) && !tbi_loop_linger(d->loop))
                sleep_on_bell(d, TBI_BELL_BACKGROUND, UINT64_MAX);
        }
        tbi_fair_lock_give(&d->progress);
    }
    return NULL;
}

/* With the progress lock: takes in what the driver said last, and waits a while for tasks that it let
 * run without a ref. False: some are still under way. */
static bool end_tasks(struct tbi_driver *d)
{
    uint64_t deadline_us = tbi_now_us() + TASKS_END_US;
    size_t tasks;

    tbi_sched_let_go(tbi_loop_sched(d->loop));
    for (;;) {
        bool moved = tbi_loop_turn(d->loop);

        tasks = tbi_sched_counts(tbi_loop_sched(d->loop)).tasks;
        if (tasks == 0 || tbi_now_us() >= deadline_us)
            break;
        if (!moved)
            sleep_on_bell(d, TBI_BELL_LEADER, deadline_us);
    }
    return tasks == 0;
}

static void say_unfinished(const struct tbi_sched *sched)
{
    struct tbi_unfinished n = tbi_sched_unfinished(sched);
    char text[TBI_COUNTS_TEXT];

    if (n.tasks + n.calls > 0)
        fprintf(stderr, "thornback: the end of the job ended %s unfinished (tb_wait_idle waits for all)\n",
                tbi_counts_text(text, n.tasks, n.calls, 0));
}

/* With the progress lock: tells the workers that the job is over and waits until they have left. */
static void end_loop(struct tbi_driver *d, bool settles)
{
    tbi_loop_turn(d->loop); /* what the program has said so far counts */
    tbi_loop_shutdown(d->loop, settles && end_tasks(d));
    for (;;) {
        bool moved = tbi_loop_turn(d->loop);

        if (tbi_loop_ended(d->loop))
            break;
        if (!moved)
            sleep_on_bell(d, TBI_BELL_LEADER, UINT64_MAX);
    }
    say_unfinished(tbi_loop_sched(d->loop));
}

struct tbi_driver *tbi_driver_create(struct tbi_process *process, struct tbi_loop_config *config)
{
    struct tbi_driver *d = tbi_alloc_zeroed(1, sizeof *d);
    int rc;

    d->process = process;
    d->bell = tbi_memory_bell(config->memory, 0);
    tbi_fair_lock_init(&d->progress);
    process->port = (struct tbi_process_port){d, send_record, flush, lead, relieve};
    config->driver = (struct tbi_driver_port){d, take, has_news, rang, deliver, report};
    d->loop = tbi_loop_create(config);
    rc = tbi_thread_start(&d->thread, progress_thread, d);
    if (rc != 0) {
        tbi_fair_lock_take(&d->progress);
        end_loop(d, false); /* the workers serve already */
        tbi_fair_lock_give(&d->progress);
        tbi_driver_destroy(d);
        errno = rc;
        return NULL;
    }
    return d;
}

void tbi_driver_end(struct tbi_driver *d, bool settles)
{
    atomic_store(&d->leading, true); /* the progress thread keeps away */
    atomic_store(&d->stop, true);
    tbi_fair_lock_take(&d->progress);
    atomic_fetch_add(&d->process->news, 1); /* who leads looks up, and finds that the end has come */
    tbi_fair_lock_give(&d->progress);
    tbi_bell_arm(d->bell, TBI_BELL_LEADER);
    tbi_bell_wake(d->bell);
    tbi_bell_arm(d->bell, TBI_BELL_BACKGROUND);
    tbi_bell_wake(d->bell);
    pthread_join(d->thread, NULL);
    tbi_process_wait_empty(d->process);
    tbi_fair_lock_take(&d->progress);
    end_loop(d, settles);
    tbi_fair_lock_give(&d->progress);
}

void tbi_driver_destroy(struct tbi_driver *d)
{
    tbi_loop_destroy(d->loop);
    tbi_outbox_fini(&d->queue);
    tbi_fair_lock_fini(&d->progress);
    free(d);
}
