/* wait.c - tb_wait: which of these are done? */
#include "api/errors.h"
#include "api/lend.h"
#include "api/get.h"
#include "util/alloc.h"

enum { CHECKED = 64, MANY = 1000, LOOK_NS = 50 /* that a look at a ref takes, about */ };

struct waiting {
    const struct tbi_process *process;
    struct tbi_handle **handle;
    size_t n, wanted;   /* n: of those given, how many were looked at */
    bool only_exists;
    size_t missing;     /* so many were not ready when we looked last, ... */
    uint64_t heard;     /* ... when the process had heard of so many */
    size_t polled;      /* so many, from the first on, have answered a poll */
};

static bool is_settled(const struct tbi_handle *h)
{
    return tbi_handle_is_here(h) || h->state == TBI_HANDLE_EXISTS;
}

static bool is_ready(const struct tbi_handle *h, bool only_exists)
{
    return tbi_handle_is_here(h) || (h->state == TBI_HANDLE_EXISTS && (only_exists || h->near));
}

/* All are looked at only when enough was heard of since: else who waits for thousands would do so for each. */
static bool are_enough_ready(void *arg)
{
    struct waiting *w = arg;
    size_t ready = 0;

    if (w->process->heard - w->heard < w->missing)
        return false;
    for (size_t i = 0; i < w->n && ready < w->wanted; i++)
        ready += is_ready(w->handle[i], w->only_exists);
    w->missing = w->wanted - ready;
    w->heard = w->process->heard;
    return w->missing == 0;
}

static bool are_all_polled(void *arg)
{
    struct waiting *w = arg;

    while (w->polled < w->n && !w->handle[w->polled]->polled)
        w->polled++;
    return w->polled == w->n;
}

/* Uses the handles of the first refs, up to `most`, or until enough are ready. A mistake is found among the first CHECKED
 * always. May be called again with more. */
static int look(struct tbi_process *p, const tb_ref *refs, struct waiting *w, size_t most)
{
    struct tbi_handle **handle = w->handle;
    size_t i, ready = 0;
    bool twice = false;
    int rc = 0;

    for (i = 0; i < most && (i < CHECKED || ready < w->wanted); i++) {
        if (i >= w->n && (rc = tbi_get_use(p, refs[i], &handle[i])) != 0)
            break;
        twice |= handle[i]->marked;
        handle[i]->marked = true;
        ready += is_ready(handle[i], w->only_exists);
    }
    for (size_t k = 0; k < i; k++)
        handle[k]->marked = false;
    if (rc == 0 && twice)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "tb_wait: a ref stands twice among those given");
    w->n = i;
    w->missing = 0;
    if (rc != 0)
        tbi_get_end(p, handle, i);
    return rc;
}

/* Ready ones first, as many as were asked for, each part in the order given. */
static size_t partition(tb_ref *refs, const struct waiting *w, bool poll)
{
    tb_ref *rest = tbi_alloc(w->n * sizeof *rest);
    size_t ready = 0, others = 0;

    for (size_t i = 0; i < w->n; i++)
        if (ready < w->wanted &&
            (poll ? is_settled(w->handle[i]) : is_ready(w->handle[i], w->only_exists)))
            refs[ready++] = refs[i];
        else
            rest[others++] = refs[i];
    memcpy(refs + ready, rest, others * sizeof *rest);
    free(rest);
    return ready;
}

/* To be told when they are ready, and to have them here then unless that is not wanted. */
static void ask(struct tbi_process *p, const struct waiting *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct tbi_handle *h = w->handle[i];

        if (is_ready(h, w->only_exists) || h->asked)
            continue;
        if (!w->only_exists)
            tbi_handle_ask(p, h, tbi_wanted_flag(p));
        else if (!h->asked_exists)
            tbi_handle_ask(p, h, TBI_GET_EXISTS | tbi_wanted_flag(p));
    }
}

/* Whoever waits for one of many, many times, would have all looked at each time: so the first ones are waited for as long
 * as a look at the others would take, which at worst doubles that time. Are enough of them ready? */
static bool wait_for_the_first(struct tbi_process *p, struct waiting *w, size_t n, uint64_t deadline_us)
{
    uint64_t until_us = tbi_now_us() + n * LOOK_NS / 1000;

    if (w->wanted > w->n)
        return false;
    ask(p, w);
    return tbi_process_wait(p, are_enough_ready, w, until_us < deadline_us ? until_us : deadline_us);
}

/* Asks how things are, waits for the answers, and starts to fetch what is ready elsewhere. */
static void poll_all(struct tbi_process *p, struct waiting *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!is_settled(w->handle[i]))
            tbi_handle_ask(p, w->handle[i], TBI_GET_EXISTS | TBI_GET_POLL);
    tbi_process_wait(p, are_all_polled, w, UINT64_MAX);
    for (size_t i = 0; i < w->n && !w->only_exists; i++) {
        struct tbi_handle *h = w->handle[i];

        if (h->state == TBI_HANDLE_EXISTS && !h->near && !h->asked)
            tbi_handle_ask(p, h, 0);
    }
}

int tb_wait_with(tb_ref *refs, size_t n, size_t num_returns, double timeout, int flags,
                 size_t *ready)
{
    struct waiting w = {.wanted = num_returns, .only_exists = flags & TB_WAIT_ONLY_EXISTS};
    bool poll = tbi_timeout_is_none(timeout);
    struct tbi_process *p;
    int rc;

    if (ready == NULL || (refs == NULL && n > 0))
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_wait: refs or ready is NULL");
    *ready = 0;
    if (num_returns == 0 || num_returns > n)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_wait: num_returns = %zu of %zu refs: 1 to the "
                             "number of refs are possible", num_returns, n);
    if (flags & ~TB_WAIT_ONLY_EXISTS)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_wait: unknown flags %#x", flags);
    rc = tbi_timeout_check("tb_wait", timeout);
    if (rc != 0)
        return rc;
    p = tbi_process_enter("tb_wait");
    if (p == NULL)
        return TB_ERR_STATE;
    w.process = p;
    w.handle = tbi_alloc(n * sizeof *w.handle);
    rc = look(p, refs, &w, n < MANY ? n : CHECKED);
    if (rc == 0 && w.n < n && !are_enough_ready(&w) && (poll || !wait_for_the_first(p, &w, n, tbi_deadline(timeout))))
        rc = look(p, refs, &w, n);
    if (rc == 0) {
        if (are_enough_ready(&w)) {
            /* nothing to wait for */
        } else if (poll) {
            poll_all(p, &w);
        } else {
            ask(p, &w);
            tbi_process_awaits(w.handle, w.n);
            if (!tbi_process_wait_blocked(p, are_enough_ready, &w, tbi_deadline(timeout)))
                rc = tbi_process_why_ended(p);
            tbi_process_awaits(NULL, 0);
        }
        *ready = rc == 0 ? partition(refs, &w, poll) : 0;
        tbi_get_end(p, w.handle, w.n);
    }
    free(w.handle);
    tbi_process_leave(p);
    return rc;
}

int tb_wait(tb_ref *refs, size_t n, size_t num_returns, double timeout, size_t *ready)
{
    return tb_wait_with(refs, n, num_returns, timeout, 0, ready);
}
