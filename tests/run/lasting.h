/* lasting.h - what the tests of long waits share: a task that waits at a gate, one that waits for it, and a thread of the
 * driver that waits for either. */
#ifndef TB_LASTING_H
#define TB_LASTING_H

#include "gate.h"
#include "run.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

static int lasts(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 7);
}
TB_TASK(lasts);

static int outer(tb_call *call)
{
    int got = 0;

    tb_must(tb_get(tb_remote(lasts, tb_arg_string(call, 0)), &got));
    return tb_return(call, got);
}
TB_TASK(outer, .num_cpus = TB_NONE);

static tb_ref lasting;

/* In a thread: until `lasting` is there. */
static void *waits(void *got)
{
    tb_must(tb_get(lasting, (int *)got));
    return NULL;
}

/* ---- stderr, which the test reads ---- */

/* What was read of it so far is text[0..n). All of it is shown on the stderr of before, too, at the latest when the
 * process ends, however that is: else a test that fails meanwhile would not say why. */
static struct captured {
    int before, fds[2];
    char text[65536];
    size_t n;
} captured = {.before = -1};

/* Waits until there is more. */
static inline ssize_t capture_read(void)
{
    struct captured *c = &captured;
    ssize_t got = read(c->fds[0], c->text + c->n, sizeof c->text - 1 - c->n);

    if (got > 0) {
        (void)!write(c->before, c->text + c->n, (size_t)got);
        c->n += (size_t)got;
        c->text[c->n] = 0;
    }
    return got;
}

static inline void capture_forget(void)
{
    captured.n = 0;
    captured.text[0] = 0;
}

/* What is written from here on comes to the stderr of before. */
static inline void capture_pause(void)
{
    dup2(captured.before, STDERR_FILENO);
}

/* Reads what is there, and waits for nothing. */
static inline void capture_rest(void)
{
    fcntl(captured.fds[0], F_SETFL, O_NONBLOCK);
    while (capture_read() > 0)
        ;
}

static inline void capture_end(void)
{
    if (captured.before < 0)
        return;
    capture_pause();
    capture_rest();
    close(captured.fds[0]);
    close(captured.fds[1]);
    close(captured.before);
    captured.before = -1;
    capture_forget();
}

static inline void capture_abort(int signal)
{
    (void)signal;
    capture_end();
}

static inline void capture_begin(void)
{
    static bool asked;
    int before = dup(STDERR_FILENO);

    if (before < 0 || pipe(captured.fds) != 0)
        abort();
    captured.before = before;
    dup2(captured.fds[1], STDERR_FILENO);
    if (!asked) {
        signal(SIGABRT, capture_abort);
        atexit(capture_end);
    }
    asked = true;
}

#endif
