/* queue.c - a queue is an actor. What it holds are refs: a value that is put becomes an object first, so that large
 * ones do not pass through the actor. Calls that may wait run in threads, put and get in lanes of their own, so that
 * neither stands in the way of the other; calls that do not wait run in the actor's first lane, beside them.
 * Whoever waits stands in a line and is served in its turn: a value is never taken by a call whose caller is gone,
 * for such a call is cancelled and leaves the line. */
#include "thornback_tools.h"

#include "api/actor.h"
#include "api/errors.h"
#include "tools/held.h"
#include "util/alloc.h"
#include "util/list.h"
#include "util/plural.h"

#include <errno.h>
#include <pthread.h>

enum { WAITING_MAX = 64 /* threads for calls in each line; further calls wait for one of them */ };
#define LOOK 0.1    /* seconds after which a waiting call looks whether it was cancelled */
#define PATIENCE 5  /* seconds that a queue which does not answer is given more than a timeout */

/* ---- in the actor ---- */

struct queue {
    pthread_mutex_t lock;
    struct tbi_link getters, putters;   /* lines of struct waiter */
    tb_ref *item;                       /* a ring: item[room], the first at `head` */
    size_t head, n, room;
    size_t max;                         /* 0: none */
    bool shut;                          /* nobody waits any more */
};

/* On the stack of the thread that waits. */
struct waiter {
    struct tbi_link link;
    pthread_cond_t turn;
};

static int init(tb_call *call, struct queue *q)
{
    int64_t max = tb_arg_int64(call, 0);

    if (max < 0)
        return tb_fail(call, "a queue with maxsize = %lld: give the number of values that it holds at most, or 0 for "
                       "any number", (long long)max);
    pthread_mutex_init(&q->lock, NULL);
    tbi_list_init(&q->getters);
    tbi_list_init(&q->putters);
    q->max = (size_t)max;
    return 0;
}

static void fini(struct queue *q)
{
    for (; q->n > 0; q->n--, q->head = (q->head + 1) % q->room)
        tb_release(q->item[q->head]);
    free(q->item);
    pthread_mutex_destroy(&q->lock);
}

static bool has_room(const struct queue *q, size_t n)
{
    return q->max == 0 || n <= q->max - q->n;
}

static bool has_items(const struct queue *q, size_t n)
{
    return n <= q->n;
}

/* The first of a line looks again. */
static void wake(const struct tbi_link *line)
{
    if (!tbi_list_empty(line))
        pthread_cond_signal(&TBI_ENTRY(line->next, struct waiter, link)->turn);
}

static void sleep_until_turn(struct queue *q, struct waiter *w, double timeout)
{
    double seconds = timeout < 0 || timeout > LOOK ? LOOK : timeout;
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(seconds * 1e9);
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&w->turn, &q->lock, &t);
}

static void waiter_init(struct waiter *w)
{
    pthread_condattr_t attributes;

    *w = (struct waiter){0};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->turn, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Waits in line until there are n values, or there is room for them. 0, TB_ERR_TIMEOUT, TB_ERR_CANCELLED, or
 * TB_ERR_ACTOR_DIED. With the lock held. */
static int wait_turn(tb_call *call, struct queue *q, struct tbi_link *line,
                     bool (*can)(const struct queue *, size_t), size_t n, double timeout)
{
    double deadline = tbi_deadline_after(timeout);
    struct waiter w;
    int rc = 0;

    if (tbi_list_empty(line) && can(q, n))
        return 0;
    if (timeout == 0)
        return TB_ERR_TIMEOUT;
    waiter_init(&w);
    tbi_list_append(line, &w.link);
    while (rc == 0 && (line->next != &w.link || !can(q, n))) {
        double left = tbi_timeout_until(deadline);

        if (q->shut)
            rc = tbi_error_set(TB_ERR_ACTOR_DIED, "the queue was shut down by tb_queue_shutdown");
        else if (tb_cancelled(call))
            rc = TB_ERR_CANCELLED;
        else if (left == 0)
            rc = TB_ERR_TIMEOUT;
        else
            sleep_until_turn(q, &w, left);
    }
    tbi_list_unlink(&w.link);
    pthread_cond_destroy(&w.turn);
    wake(line); /* who is first now may want less, or had to wait for its turn only */
    return rc;
}

static void grow(struct queue *q, size_t n)
{
    size_t room = q->room;
    tb_ref *item;

    if (q->n + n <= room)
        return;
    while (room < q->n + n)
        room = room * 2 + 16;
    item = tbi_alloc(room * sizeof *item);
    for (size_t i = 0; i < q->n; i++)
        item[i] = q->item[(q->head + i) % q->room];
    free(q->item);
    q->item = item;
    q->room = room;
    q->head = 0;
}

static void append(struct queue *q, const tb_ref *refs, size_t n)
{
    grow(q, n);
    for (size_t i = 0; i < n; i++) {
        tb_retain(refs[i]); /* the call holds them until its end only */
        q->item[(q->head + q->n++) % q->room] = refs[i];
    }
    wake(&q->getters);
    wake(&q->putters); /* there may be room for the next one, too */
}

/* (timeout, array of refs): appends them. */
static int put(tb_call *call, struct queue *q)
{
    double timeout = tb_arg_double(call, 0);
    const tb_ref *refs;
    size_t n;
    int rc = tb_arg_array(call, 1, &refs, &n);

    if (rc != 0)
        return rc;
    if (q->max > 0 && n > q->max)
        return tbi_error_set(TB_ERR_ARGUMENT, "%zu values at once for a queue that holds %zu at most: put fewer at a "
                             "time", n, q->max);
    pthread_mutex_lock(&q->lock);
    rc = wait_turn(call, q, &q->putters, has_room, n, timeout);
    if (rc == 0)
        append(q, refs, n);
    else if (rc == TB_ERR_TIMEOUT)
        tbi_error_set(rc, "the queue is full: it holds %zu of %zu value%s, no room for %zu", q->n, q->max, tbi_s(q->max),
                      n);
    pthread_mutex_unlock(&q->lock);
    return rc != 0 ? rc : tb_return(call, true);
}

/* The same in the actor's first lane, which does not wait. Under a name of its own, for a method has one lane. */
static int put_now(tb_call *call, struct queue *q)
{
    return put(call, q);
}

/* The first n, which leave when they are in the result. */
static int take(tb_call *call, struct queue *q, size_t n)
{
    tb_ref *refs = tbi_alloc(n * sizeof *refs);
    int rc;

    for (size_t i = 0; i < n; i++)
        refs[i] = q->item[(q->head + i) % q->room];
    rc = tb_return(call, tb_array(refs, n));
    if (rc == 0 && tb_cancelled(call))
        rc = TB_ERR_CANCELLED; /* nobody would read the result */
    if (rc == 0) {
        q->head = (q->head + n) % q->room;
        q->n -= n;
        tb_release_all(refs, n);
        wake(&q->putters);
    }
    wake(&q->getters);
    free(refs);
    return rc;
}

/* (timeout, n): the next n values, as an array of refs. */
static int get(tb_call *call, struct queue *q)
{
    double timeout = tb_arg_double(call, 0);
    int64_t n = tb_arg_int64(call, 1);
    int rc;

    if (tb_call_error(call) != 0)
        return tb_call_error(call);
    if (q->max > 0 && (uint64_t)n > q->max)
        return tbi_error_set(TB_ERR_ARGUMENT, "%lld values at once of a queue that holds %zu at most: get fewer at a "
                             "time", (long long)n, q->max);
    pthread_mutex_lock(&q->lock);
    rc = wait_turn(call, q, &q->getters, has_items, (size_t)n, timeout);
    if (rc == 0)
        rc = take(call, q, (size_t)n);
    else if (rc == TB_ERR_TIMEOUT)
        tbi_error_set(rc, q->n == 0 ? "the queue is empty" : "the queue holds %zu value%s, not %lld", q->n, tbi_s(q->n),
                      (long long)n);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

static int get_now(tb_call *call, struct queue *q)
{
    return get(call, q);
}

static size_t length(const struct tbi_link *line)
{
    size_t n = 0;

    for (const struct tbi_link *l = line->next; l != line; l = l->next)
        n++;
    return n;
}

struct counts { size_t n, max, getters, putters; };

static int count(tb_call *call, struct queue *q)
{
    struct counts c = {.max = q->max};

    pthread_mutex_lock(&q->lock);
    c.n = q->n;
    c.getters = length(&q->getters);
    c.putters = length(&q->putters);
    pthread_mutex_unlock(&q->lock);
    return tb_return(call, tb_struct(c));
}

/* Ends the actor when those that wait have left, which the first of each line passes on. */
static int end(tb_call *call, struct queue *q)
{
    int rc = tb_actor_exit(call);

    pthread_mutex_lock(&q->lock);
    q->shut = true;
    wake(&q->getters);
    wake(&q->putters);
    pthread_mutex_unlock(&q->lock);
    return rc != 0 ? rc : tb_return(call, true);
}

TB_ACTOR(tb_queue, struct queue, .init = init, .fini = fini,
         .concurrency_groups = {{"put", WAITING_MAX}, {"get", WAITING_MAX}});
TB_METHOD(tb_queue, put, .concurrency_group = "put");
TB_METHOD(tb_queue, get, .concurrency_group = "get");
TB_METHOD(tb_queue, put_now);
TB_METHOD(tb_queue, get_now);
TB_METHOD(tb_queue, count);
TB_METHOD(tb_queue, end);

/* ---- at the callers ---- */

tb_queue tb_queue_new_with(int64_t maxsize, const tb_options *options)
{
    return tb_actor_new_with(tb_queue, options, maxsize);
}

tb_queue tb_queue_new(int64_t maxsize)
{
    return tb_queue_new_with(maxsize, NULL);
}

/* The answer to a call that the queue gives up itself after `timeout`. Should it not even do that, the call is
 * cancelled, unless it has ended by then. 0, or what the call failed with. */
static int await(tb_ref answer, double timeout)
{
    size_t ready;
    int rc = tb_wait(&answer, 1, 1, timeout < 0 ? -1 : timeout + PATIENCE, &ready);

    if (rc != 0 || ready == 0)
        tb_cancel(answer, TB_CANCEL_DEFAULT);
    if (rc != 0)
        return rc;
    rc = tb_get(answer, NULL);
    if (rc == TB_ERR_CANCELLED && ready == 0)
        rc = tbi_error_set(TB_ERR_TIMEOUT, "the queue did not answer within %g seconds and %d more: its process has "
                           "not begun, or all its threads serve calls that wait", timeout, PATIENCE);
    return rc;
}

#define ASK(queue, method, ...) tbi_actor_ask(queue, TB_ADDRESS_(method), #method, TB_VALUES(__VA_ARGS__))

static int put_refs(tb_queue queue, const tb_ref *refs, size_t n, double timeout)
{
    tb_value refs_value = tb_array(refs, n);

    return await(timeout == 0 ? ASK(queue, put_now, timeout, refs_value) : ASK(queue, put, timeout, refs_value), timeout);
}

/* The object that stands for a value in the queue. */
static tb_ref object_of(const tb_value *value)
{
    bool is_ref = value->type == TB_REF && !(value->flags & TB_VALUE_ARRAY);

    return is_ref ? value->as.ref : tb_put_value_(*value);
}

int tb_queue_put_(tb_queue queue, tb_value value, double timeout)
{
    tb_ref ref;
    int rc;

    tb_scope_begin();
    ref = object_of(&value);
    rc = put_refs(queue, &ref, 1, timeout);
    tb_scope_end();
    return rc;
}

int tb_queue_put_nowait_batch(tb_queue queue, const tb_value *values, size_t n)
{
    tb_ref *refs;
    int rc;

    if (values == NULL && n > 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_queue_put_nowait_batch: values is NULL");
    if (n == 0)
        return 0;
    refs = tbi_alloc(n * sizeof *refs);
    tb_scope_begin();
    for (size_t i = 0; i < n; i++)
        refs[i] = object_of(&values[i]);
    rc = put_refs(queue, refs, n, 0);
    tb_scope_end();
    free(refs);
    return rc;
}

/* The next n, each with a count that belongs to no scope. */
static int get_refs(tb_queue queue, tb_ref *refs, size_t n, double timeout)
{
    const tb_ref *view;
    tb_ref answer;
    int rc;

    tb_scope_begin();
    answer = timeout == 0 ? ASK(queue, get_now, timeout, (int64_t)n) : ASK(queue, get, timeout, (int64_t)n);
    rc = await(answer, timeout);
    if (rc == 0)
        rc = tb_get_array(answer, &view, NULL);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        refs[i] = view[i];
        rc = tb_retain(refs[i]);
    }
    tb_scope_end();
    return rc;
}

int tb_queue_get_nowait_batch(tb_queue queue, tb_ref *refs, size_t n)
{
    int rc;

    if (refs == NULL && n > 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_queue_get_nowait_batch: refs is NULL");
    if (n == 0)
        return 0;
    memset(refs, 0, n * sizeof *refs);
    rc = get_refs(queue, refs, n, 0);
    for (size_t i = 0; rc == 0 && i < n; i++)
        tbi_held_pass(refs[i]);
    return rc;
}

int tb_queue_get_(tb_queue queue, tb_type type, size_t size, void *out, double timeout)
{
    tb_ref ref;
    int rc;

    if (type == TB_STRING)
        return tbi_error_set(TB_ERR_UNSUPPORTED, "tb_queue_get: a string lives as long as its ref: get that, into a "
                             "tb_ref");
    if (type != TB_NO_TYPE && out == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_queue_get: the value would go to NULL");
    if (out != NULL)
        memset(out, 0, size);
    rc = get_refs(queue, &ref, 1, timeout);
    if (rc != 0)
        return rc;
    if (type == TB_REF) {
        memcpy(out, &ref, sizeof ref);
        tbi_held_pass(ref);
        return 0;
    }
    rc = type == TB_NO_TYPE ? 0 : tb_get_one_(ref, type, size, out, -1);
    tb_release(ref);
    return rc;
}

static int get_counts(tb_queue queue, const char *function, bool wanted, struct counts *c)
{
    int rc;

    *c = (struct counts){0};
    if (!wanted)
        return tbi_error_set(TB_ERR_ARGUMENT, "%s: the answer would go to NULL", function);
    tb_scope_begin();
    rc = tb_get_struct(tbi_actor_ask(queue, TB_ADDRESS_(count), "count", NULL, 0), c);
    tb_scope_end();
    return rc;
}

int tb_queue_size(tb_queue queue, size_t *size)
{
    struct counts c;
    int rc = get_counts(queue, "tb_queue_size", size != NULL, &c);

    if (size != NULL)
        *size = c.n;
    return rc;
}

int tb_queue_empty(tb_queue queue, bool *empty)
{
    struct counts c;
    int rc = get_counts(queue, "tb_queue_empty", empty != NULL, &c);

    if (empty != NULL)
        *empty = rc == 0 && c.n == 0;
    return rc;
}

int tb_queue_full(tb_queue queue, bool *full)
{
    struct counts c;
    int rc = get_counts(queue, "tb_queue_full", full != NULL, &c);

    if (full != NULL)
        *full = rc == 0 && c.max > 0 && c.n >= c.max;
    return rc;
}

int tb_queue_waiting(tb_queue queue, size_t *getters, size_t *putters)
{
    struct counts c;
    int rc = get_counts(queue, "tb_queue_waiting", true, &c);

    if (getters != NULL)
        *getters = c.getters;
    if (putters != NULL)
        *putters = c.putters;
    return rc;
}

int tb_queue_shutdown(tb_queue queue, double grace)
{
    int rc = 0;

    if (grace != 0) {
        tb_ref answer;
        size_t ready;

        rc = tbi_actor_kill(queue, TBI_KILL_FOLLOWS, TBI_BY_QUEUE_SHUTDOWN);
        if (rc != 0)
            return rc;
        tb_scope_begin();
        answer = tbi_actor_ask(queue, TB_ADDRESS_(end), "end", NULL, 0);
        rc = tb_wait(&answer, 1, 1, grace, &ready);
        if (rc == 0 && ready > 0)
            rc = tb_get(answer, NULL);
        tb_scope_end();
        if (rc == 0 && ready > 0)
            return 0; /* it ends by itself */
    }
    if (rc != 0 && rc != TB_ERR_ACTOR_DIED)
        return rc;
    return tbi_actor_kill(queue, TB_KILL_NO_RESTART, TBI_BY_QUEUE_SHUTDOWN);
}
