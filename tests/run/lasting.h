/* lasting.h - what the tests of long waits share: a task that waits at a gate, one that waits for it, and a thread of the
 * driver that waits for either. */
#ifndef TB_LASTING_H
#define TB_LASTING_H

#include "gate.h"
#include "run.h"

#include <pthread.h>

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

/* stderr, of which the test reads what is written there meanwhile. */
struct captured {
    int before, fds[2];
};

static inline struct captured capture_begin(void)
{
    struct captured c = {.before = dup(STDERR_FILENO)};

    if (pipe(c.fds) != 0)
        abort();
    dup2(c.fds[1], STDERR_FILENO);
    return c;
}

/* What is written from here on is seen again. */
static inline void capture_pause(const struct captured *c)
{
    dup2(c->before, STDERR_FILENO);
}

static inline void capture_end(const struct captured *c)
{
    capture_pause(c);
    close(c->fds[0]);
    close(c->fds[1]);
    close(c->before);
}

#endif
