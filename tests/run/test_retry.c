/* test_retry.c - holds that a task whose process dies is run again as often as it may, that errors of
 * the function are retried only where that was asked for, that a limit of time ends an attempt, and
 * that the error says what happened in the last one. */
#include "marks.h"
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Marks the attempt; ends its process by `signal` before attempt number `until`. */
static int dies(tb_call *call)
{
    mark(tb_arg_string(call, 0));
    if (tb_call_attempt(call) < tb_arg_int(call, 2))
        raise(tb_arg_int(call, 1));
    return tb_return(call, tb_call_attempt(call));
}
TB_TASK(dies);

static int fails(tb_call *call)
{
    int code = tb_arg_int(call, 1);

    mark(tb_arg_string(call, 0));
    return tb_call_attempt(call) < 2 ? code : tb_return(call, now());
}
TB_TASK(fails);

static int parent_dies_once(tb_call *call)
{
    double *room;
    tb_ref child;
    int v;

    child = tb_remote(dies, tb_arg_string(call, 0), SIGKILL, 1);
    tb_must(tb_return_array(call, 0, &room, 1 << 20));
    tb_must(tb_get(child, &v));
    room[(1 << 20) - 1] = v + 10 * tb_call_attempt(call);
    if (tb_call_attempt(call) == 0)
        raise(SIGKILL);
    return 0;
}
TB_TASK(parent_dies_once);

static int ends(tb_call *call)
{
    volatile char *p;

    switch (tb_arg_int(call, 0)) {
    case 0:
        exit(3);
    case 1:
        abort();
    case 2: { /* the stack overflows */
        struct rlimit r = {1 << 20, 1 << 20};

        setrlimit(RLIMIT_STACK, &r);
        for (p = (volatile char *)&r;; p -= 64)
            *p = 1;
    }
    default:
        _exit(0);
    }
    return 0;
}
TB_TASK(ends, .max_retries = TB_NONE);

static int lasts(tb_call *call)
{
    struct timespec long_time = {1000, 0};

    mark(tb_arg_string(call, 0));
    nanosleep(&long_time, NULL);
    return tb_return(call, tb_cancelled(call) ? 1 : 0);
}
TB_TASK(lasts);

static int prints_into_the_void(tb_call *call)
{
    char line[1000];

    close(1);
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 100; i++)
        printf("%.*s\n", (int)sizeof line, line);
    fflush(stdout);
    return tb_return(call, 42);
}
TB_TASK(prints_into_the_void);

static void a_task_that_kills_itself_runs_once_and_max_retries_more(void **state)
{
    struct { tb_options options; int runs; } cases[] = {
        {{0}, 4}, {{.max_retries = TB_NONE}, 1}, {{.max_retries = 1}, 2}, {{.max_retries = 6}, 7}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct marks m = marks_new();
        tb_ref r = tb_remote_with(dies, &cases[i].options, m.path, SIGKILL, 100);
        tb_error e;

        assert_fails(TB_ERR_CRASHED, "signal 9", tb_get(r, NULL));
        assert_ok(tb_error_detail(r, &e));
        assert_int_equal(e.signal, SIGKILL);
        assert_int_equal(e.attempt, cases[i].runs - 1);
        assert_string_equal(e.function, "dies");
        assert_true(e.pid > 0 && e.rank >= 0 && e.host[0] != 0);
        assert_int_equal(marks_end(&m), cases[i].runs);
        assert_ok(tb_release(r));
    }
}

static void a_task_that_lives_at_last_gives_its_value(void **state)
{
    struct marks m = marks_new();
    tb_ref r = tb_remote(dies, m.path, SIGSEGV, 2),
           s = tb_remote_with(dies, TB_OPTIONS(.max_retries = -1), m.path, SIGTERM, 20);
    int v;

    (void)state;
    assert_ok(tb_get(r, &v));
    assert_int_equal(v, 2);
    assert_ok(tb_get(s, &v));
    assert_int_equal(v, 20);
    assert_int_equal(marks_end(&m), 24);
    assert_ok(tb_release(r));
    assert_ok(tb_release(s));
}

static void every_way_to_end_a_process_is_told_apart(void **state)
{
    struct { int how, signal, number; } cases[] = {
        {0, 0, 3}, {1, SIGABRT, 0}, {2, SIGSEGV, 0}, {3, 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tb_ref r = tb_remote(ends, cases[i].how);
        tb_error e;

        assert_int_equal(tb_get(r, NULL), TB_ERR_CRASHED);
        assert_ok(tb_error_detail(r, &e));
#ifndef __SANITIZE_ADDRESS__ /* which turns signals into exits */
        assert_int_equal(e.signal, cases[i].signal);
        assert_int_equal(e.number, cases[i].number);
#endif
        assert_ok(tb_release(r));
    }
}

static void a_retried_parent_submits_its_children_anew(void **state)
{
    struct marks m = marks_new();
    tb_ref r = tb_remote(parent_dies_once, m.path);
    const double *view;
    size_t n;

    (void)state;
    assert_ok(tb_get_array(r, &view, &n));
    assert_int_equal(n, 1 << 20);
    assert_true(view[n - 1] == 11);
    assert_int_equal(marks_end(&m), 4); /* two children of two attempts */
    assert_ok(tb_release(r));
}

static void an_error_of_the_function_is_retried_only_when_its_code_was_named(void **state)
{
    struct { tb_options options; int code, runs; } cases[] = {
        {{0}, TB_ERR_TYPE, 1},
        {{.retry_on_error = {TB_ERR_TASK}}, TB_ERR_TYPE, 1},
        {{.retry_on_error = {TB_ERR_TASK, TB_ERR_TYPE}}, TB_ERR_TYPE, 3},
        {{.retry_on_error = {TB_ERR_ANY}}, 77, 3},
        {{.retry_on_error = {TB_ERR_ANY}, .max_retries = 1}, 77, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct marks m = marks_new();
        tb_ref r = tb_remote_with(fails, &cases[i].options, m.path, cases[i].code);

        assert_int_equal(tb_get(r, NULL), cases[i].runs == 3   ? 0
                                          : cases[i].code < 0 ? cases[i].code
                                                              : TB_ERR_TASK);
        assert_int_equal(marks_end(&m), cases[i].runs);
        assert_ok(tb_release(r));
    }
}

static void a_retry_waits_for_its_delay(void **state)
{
    struct marks m = marks_new();
    double begin = now(), end;
    tb_ref r = tb_remote_with(fails, TB_OPTIONS(.retry_on_error = {TB_ERR_ANY}, .retry_delay = 0.05),
                              m.path, 5);

    (void)state;
    assert_ok(tb_get(r, &end));
    assert_true(end - begin >= 0.1 || end < begin); /* another host may have another clock */
    assert_int_equal(marks_end(&m), 3);
    assert_ok(tb_release(r));
}

static void a_task_that_exceeds_its_limit_fails_with_timeout(void **state)
{
    struct marks m = marks_new();
    tb_ref r = tb_remote_with(lasts, TB_OPTIONS(.time_limit = 0.02, .max_retries = -1), m.path),
           d = tb_remote(dies, m.path, SIGKILL, r), fast = tb_remote_with(
               dies, TB_OPTIONS(.time_limit = 1000), m.path, SIGKILL, 0);
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_TIMEOUT, "time_limit of 0.02 s", tb_get(r, NULL));
    assert_ok(tb_error_detail(r, &e));
    assert_string_equal(e.function, "lasts");
    assert_int_equal(tb_get(d, NULL), TB_ERR_TIMEOUT);
    assert_ok(tb_get(fast, NULL));
    assert_int_equal(marks_end(&m), 2);
    assert_ok(tb_release_all((tb_ref[]){r, d, fast}, 3));
}

/* argument: marks. Lasts in its first attempt. Returns: the attempt */
static int lasts_once(tb_call *call)
{
    mark(tb_arg_string(call, 0));
    if (tb_call_attempt(call) == 0)
        for (;;)
            pause();
    return tb_return(call, tb_call_attempt(call));
}
TB_TASK(lasts_once, .time_limit = 0.05, .max_retries = 3);

static void one_whose_retry_on_error_has_timeout_is_run_again(void **state)
{
    static const int code[] = {TB_ERR_TIMEOUT, TB_ERR_ANY};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct marks m = marks_new();
        tb_ref r = tb_remote_with(lasts_once, TB_OPTIONS(.retry_on_error = {code[i]}), m.path);
        int attempt;

        assert_ok(tb_get(r, &attempt));
        assert_true(attempt >= 1 && attempt <= 3); /* on a busy machine the second may last, too */
        assert_int_equal(marks_end(&m), attempt + 1);
        assert_ok(tb_release(r));
    }
}

static void a_closed_stdout_loses_output_and_nothing_else(void **state)
{
    tb_ref r = tb_remote_with(prints_into_the_void, TB_OPTIONS(.max_retries = TB_NONE));
    int v;

    (void)state;
    assert_ok(tb_get(r, &v));
    assert_int_equal(v, 42);
    assert_ok(tb_release(r));
}

RUN(cmocka_unit_test(a_task_that_kills_itself_runs_once_and_max_retries_more),
    cmocka_unit_test(a_task_that_lives_at_last_gives_its_value),
    cmocka_unit_test(every_way_to_end_a_process_is_told_apart),
    cmocka_unit_test(a_retried_parent_submits_its_children_anew),
    cmocka_unit_test(an_error_of_the_function_is_retried_only_when_its_code_was_named),
    cmocka_unit_test(a_retry_waits_for_its_delay),
    cmocka_unit_test(a_task_that_exceeds_its_limit_fails_with_timeout),
    cmocka_unit_test(one_whose_retry_on_error_has_timeout_is_run_again),
    cmocka_unit_test(a_closed_stdout_loses_output_and_nothing_else))
