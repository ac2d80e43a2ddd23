/* test_long_wait.c - holds that with TB_DEBUG a call which waits for 10 s says what for, once, whether its thread leads the
 * loop or stands by, in the driver and in a task. */
#include "run.h"
#include "gate.h"

#include <pthread.h>

static int lasts(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 7);
}
TB_TASK(lasts, .num_cpus = TB_NONE);

static int outer(tb_call *call)
{
    int got = 0;

    tb_must(tb_get(tb_remote(lasts, tb_arg_string(call, 0)), &got));
    return tb_return(call, got);
}
TB_TASK(outer, .num_cpus = TB_NONE);

static tb_ref ref;

static void *waits(void *got)
{
    tb_must(tb_get(ref, (int *)got));
    return NULL;
}

/* How often it stands there. */
static int count(const char *text, const char *what)
{
    int n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void who_waits_for_long_says_what_for(void **state)
{
    static const char line[] = "objects are not here, the first is ", in_task[] = ", in 'outer'\n";
    struct gate gate = gate_new();
    int before = dup(STDERR_FILENO), fds[2], got[2] = {0, 0};
    static char text[65536];
    pthread_t thread[2];
    size_t n = 0;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    ref = tb_remote(outer, gate.path);
    gate_reach(&gate);
    dup2(fds[1], STDERR_FILENO);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, waits, &got[i]), 0);
    while (count(text, line) < 3 || count(text, in_task) < 1) { /* a task's comes with what it prints */
        ssize_t more = read(fds[0], text + n, sizeof text - 1 - n);

        assert_true(more > 0);
        n += (size_t)more;
        text[n] = 0;
    }
    dup2(before, STDERR_FILENO);
    assert_int_equal(count(text, line), 3);
    assert_int_equal(count(text, in_task), 1);
    gate_open(&gate);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(got[i], 7);
    }
    assert_ok(tb_release(ref));
    close(fds[0]);
    close(fds[1]);
    close(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_waits_for_long_says_what_for)};

    setenv("TB_DEBUG", "1", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
