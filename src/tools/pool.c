/* pool.c - a pool of actors. A call is WAITING in line, then RUNNING on an actor, then ENDED until its result is
 * taken. Calls are found by their numbers, which count up; whoever waits for a result also gives the calls in line
 * to the actors that become idle meanwhile. */
#include "tools/pool.h"
#include "api/errors.h"
#include "tools/held.h"
#include "util/alloc.h"
#include "util/list.h"
#include "util/plural.h"

struct work {
    struct tbi_link link;       /* WAITING: in line; ENDED: in the order of the ends */
    size_t number;
    enum { WAITING, RUNNING, ENDED } state;
    bool forgotten;             /* RUNNING: nobody wants the result, and work[] does not have it */
    tb_function_ *method;
    const char *name;
    tb_value *value;            /* WAITING: value[nvalues], held */
    size_t nvalues;
    tb_actor actor;             /* RUNNING: on this one */
    tb_ref result;              /* RUNNING, ENDED: held */
};

struct tb_pool {
    tb_actor *idle;             /* idle[nidle], the last one first */
    struct work **running;      /* running[nrunning] */
    tb_ref *awaited;            /* room for their results */
    size_t nidle, nrunning, room; /* the three have room for all actors */
    bool died;                  /* an actor */
    struct tbi_link line, ended;
    struct work **work;         /* work[number - base], NULL when its result was taken; first <= number < end */
    size_t base, first, end, work_room, left;
};

/* ---- calls ---- */

static struct work *work_at(const struct tb_pool *pool, size_t number)
{
    return pool->work[number - pool->base];
}

static struct work *add_work(struct tb_pool *pool)
{
    struct work *w = tbi_alloc_zeroed(1, sizeof *w);
    size_t n = pool->end - pool->first;

    if (pool->end - pool->base == pool->work_room) {
        if (n * 2 > pool->work_room || pool->work_room == 0) {
            pool->work_room = pool->work_room * 2 + 16;
            pool->work = tbi_realloc(pool->work, pool->work_room * sizeof(struct work *));
        }
        memmove(pool->work, pool->work + (pool->first - pool->base), n * sizeof(struct work *));
        pool->base = pool->first;
    }
    w->number = pool->end++;
    pool->work[w->number - pool->base] = w;
    pool->left++;
    return w;
}

static void release_values(struct work *w)
{
    for (size_t i = 0; i < w->nvalues; i++)
        tbi_held_release(&w->value[i]);
    free(w->value);
    w->value = NULL;
    w->nvalues = 0;
}

/* From now on nobody can ask for it. */
static void unlist(struct tb_pool *pool, const struct work *w)
{
    pool->work[w->number - pool->base] = NULL;
    pool->left--;
    while (pool->first < pool->end && work_at(pool, pool->first) == NULL)
        pool->first++;
}

/* Its result, if it has one, was passed on or released. */
static void free_work(struct work *w)
{
    tbi_list_unlink(&w->link);
    release_values(w);
    free(w);
}

/* ---- from the line to the actors, and back ---- */

static void begin(struct tb_pool *pool, struct work *w, const tb_value *values, size_t nvalues)
{
    w->actor = pool->idle[--pool->nidle];
    tb_scope_begin();
    tb_actor_call_v_(w->actor, w->method, w->name, NULL, &w->result, 1, values, nvalues);
    tb_retain(w->result);
    tb_scope_end();
    w->state = RUNNING;
    pool->running[pool->nrunning++] = w;
}

static void serve_line(struct tb_pool *pool)
{
    while (pool->nidle > 0 && !tbi_list_empty(&pool->line)) {
        struct work *w = TBI_ENTRY(pool->line.next, struct work, link);

        tbi_list_unlink(&w->link);
        begin(pool, w, w->value, w->nvalues);
        release_values(w);
    }
}

/* Its actor is idle again, unless it has died. */
static void end(struct tb_pool *pool, struct work *w)
{
    if (tb_get_one_(w->result, TB_NO_TYPE, 1, NULL, -1) == TB_ERR_ACTOR_DIED) {
        tb_actor_release(w->actor);
        pool->died = true;
    } else {
        pool->idle[pool->nidle++] = w->actor;
    }
    w->state = ENDED;
    if (w->forgotten) {
        tb_release(w->result);
        free_work(w);
    } else {
        tbi_list_append(&pool->ended, &w->link);
    }
}

/* Waits until a call ends, and has the next one begin. 0, TB_ERR_TIMEOUT, or why the wait ended; TB_ERR_ARGUMENT
 * if none runs. */
static int gather(struct tb_pool *pool, double timeout)
{
    size_t ready, at = 0;
    int rc;

    for (size_t i = 0; i < pool->nrunning; i++)
        pool->awaited[i] = pool->running[i]->result;
    rc = tb_wait(pool->awaited, pool->nrunning, 1, timeout, &ready);
    if (rc != 0)
        return rc;
    if (ready == 0)
        return tbi_error_set(TB_ERR_TIMEOUT, "none of the %zu call%s that the pool's actors run has ended in time",
                             pool->nrunning, tbi_s(pool->nrunning));
    while (!tb_ref_equal(pool->running[at]->result, pool->awaited[0]))
        at++;
    struct work *w = pool->running[at];

    pool->running[at] = pool->running[--pool->nrunning];
    end(pool, w);
    serve_line(pool);
    return 0;
}

/* One that has ended, of the numbers from .. to - 1; NULL: none has. */
static struct work *find_ended(const struct tb_pool *pool, size_t from, size_t to)
{
    if (to - from == 1)
        return work_at(pool, from)->state == ENDED ? work_at(pool, from) : NULL;
    for (struct tbi_link *l = pool->ended.next; l != &pool->ended; l = l->next) {
        struct work *w = TBI_ENTRY(l, struct work, link);

        if (w->number >= from && w->number < to)
            return w;
    }
    return NULL;
}

static int no_actors(const struct tb_pool *pool)
{
    return pool->died ? tbi_error_set(TB_ERR_ACTOR_DIED, "all actors of the pool have died, and calls wait for one: "
                                      "tb_pool_push another")
                      : tbi_error_set(TB_ERR_ARGUMENT, "the pool has no actors, and calls wait for one: "
                                      "tb_pool_push one");
}

int tbi_pool_take(tb_pool *pool, size_t from, size_t to, double deadline, size_t *number, tb_ref *result)
{
    struct work *w;

    while ((w = find_ended(pool, from, to)) == NULL) {
        int rc = pool->nrunning > 0 ? gather(pool, tbi_timeout_until(deadline)) : no_actors(pool);

        if (rc != 0)
            return rc;
    }
    *number = w->number;
    *result = tbi_held_pass(w->result);
    unlist(pool, w);
    free_work(w);
    return 0;
}

/* Those that ended while nobody looked. */
static void look(struct tb_pool *pool)
{
    while (pool->nrunning > 0 && gather(pool, 0) == 0) {
    }
}

/* ---- by number ---- */

size_t tbi_pool_numbers(const tb_pool *pool)
{
    return pool->end;
}

void tbi_pool_forget(tb_pool *pool, size_t number)
{
    struct work *w = work_at(pool, number);

    if (w == NULL)
        return;
    unlist(pool, w);
    if (w->state == RUNNING) {
        w->forgotten = true;
        return;
    }
    if (w->state == ENDED)
        tb_release(w->result);
    free_work(w);
}

/* ---- the pool ---- */

static int check(const struct tb_pool *pool, const char *function)
{
    return pool != NULL ? 0 : tbi_error_set(TB_ERR_ARGUMENT, "%s: pool is NULL", function);
}

int tb_pool_push(tb_pool *pool, tb_actor actor)
{
    int rc = check(pool, "tb_pool_push");

    if (rc == 0)
        rc = tb_actor_retain(actor);
    if (rc != 0)
        return rc;
    if (pool->nidle + pool->nrunning == pool->room) {
        pool->room = pool->room * 2 + 8;
        pool->idle = tbi_realloc(pool->idle, pool->room * sizeof *pool->idle);
        pool->running = tbi_realloc(pool->running, pool->room * sizeof(struct work *));
        pool->awaited = tbi_realloc(pool->awaited, pool->room * sizeof *pool->awaited);
    }
    pool->idle[pool->nidle++] = actor;
    serve_line(pool);
    return 0;
}

tb_pool *tb_pool_new(const tb_actor *actors, size_t n)
{
    struct tb_pool *pool;

    if (actors == NULL && n > 0) {
        tbi_error_set(TB_ERR_ARGUMENT, "tb_pool_new: %zu actor%s at NULL", n, tbi_s(n));
        return NULL;
    }
    pool = tbi_alloc_zeroed(1, sizeof *pool);
    tbi_list_init(&pool->line);
    tbi_list_init(&pool->ended);
    for (size_t i = n; i-- > 0;) /* so that the first is used first */
        if (tb_pool_push(pool, actors[i]) != 0) {
            tb_pool_free(pool);
            return NULL;
        }
    return pool;
}

void tb_pool_free(tb_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->first < pool->end)
        tbi_pool_forget(pool, pool->first);
    for (size_t i = 0; i < pool->nrunning; i++) {
        tb_actor_release(pool->running[i]->actor);
        tb_release(pool->running[i]->result);
        free_work(pool->running[i]);
    }
    while (pool->nidle > 0)
        tb_actor_release(pool->idle[--pool->nidle]);
    free(pool->idle);
    free(pool->running);
    free(pool->awaited);
    free(pool->work);
    free(pool);
}

int tb_pool_pop_idle(tb_pool *pool, tb_actor *actor)
{
    int rc = check(pool, "tb_pool_pop_idle");

    if (rc == 0 && actor == NULL)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "tb_pool_pop_idle: actor is NULL");
    if (rc != 0)
        return rc;
    *actor = (tb_actor){0};
    look(pool);
    if (pool->nidle == 0)
        return tbi_error_set(TB_ERR_TIMEOUT, "none of the pool's %zu actor%s is idle now", pool->nrunning,
                             tbi_s(pool->nrunning));
    *actor = pool->idle[--pool->nidle];
    tb_scope_give_actor(*actor);
    return 0;
}

bool tb_pool_has_free(tb_pool *pool)
{
    if (check(pool, "tb_pool_has_free") != 0)
        return false;
    look(pool);
    return pool->nidle > 0;
}

bool tb_pool_has_next(const tb_pool *pool)
{
    return check(pool, "tb_pool_has_next") == 0 && pool->left > 0;
}

int tb_pool_submit_(tb_pool *pool, tb_function_ *method, const char *name, const tb_value *values, size_t nvalues)
{
    int rc = check(pool, "tb_pool_submit");
    struct work *w;

    if (rc == 0 && values == NULL && nvalues > 0)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "tb_pool_submit: '%s' is called with %zu value%s at NULL", name, nvalues,
                           tbi_s(nvalues));
    if (rc != 0)
        return rc;
    w = add_work(pool);
    w->method = method;
    w->name = name;
    if (pool->nidle > 0) {
        begin(pool, w, values, nvalues);
        return 0;
    }
    w->value = tbi_alloc_zeroed(nvalues + 1, sizeof *w->value);
    for (; w->nvalues < nvalues; w->nvalues++)
        w->value[w->nvalues] = tbi_held_copy(&values[w->nvalues]);
    tbi_list_append(&pool->line, &w->link);
    return 0;
}

/* ---- results ---- */

static int get_next(const char *function, tb_pool *pool, tb_ref *result, size_t *number, bool ordered,
                    double timeout)
{
    int rc = check(pool, function);
    size_t ignored;

    if (rc == 0 && result == NULL)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "%s: result is NULL", function);
    if (rc != 0)
        return rc;
    *result = (tb_ref){0};
    if (pool->left == 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "%s: all results were taken, no calls are left: ask tb_pool_has_next",
                             function);
    return tbi_pool_take(pool, pool->first, ordered ? pool->first + 1 : pool->end, tbi_deadline_after(timeout),
                         number != NULL ? number : &ignored, result);
}

int tb_pool_get_next_timeout(tb_pool *pool, tb_ref *result, double timeout)
{
    return get_next("tb_pool_get_next", pool, result, NULL, true, timeout);
}

int tb_pool_get_next(tb_pool *pool, tb_ref *result)
{
    return tb_pool_get_next_timeout(pool, result, -1);
}

int tb_pool_get_next_unordered_timeout(tb_pool *pool, tb_ref *result, size_t *number, double timeout)
{
    return get_next("tb_pool_get_next_unordered", pool, result, number, false, timeout);
}

int tb_pool_get_next_unordered(tb_pool *pool, tb_ref *result, size_t *number)
{
    return tb_pool_get_next_unordered_timeout(pool, result, number, -1);
}
