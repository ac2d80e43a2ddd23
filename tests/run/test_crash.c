/* test_crash.c - holds what is said of a task whose process a signal ends: who it was, which signal; with TB_DEBUG
 * where it was, and its arguments. Handlers of the program are left alone. */
#include "run.h"

#include <signal.h>
#include <unistd.h>

static int aborts(tb_call *call)
{
    (void)call;
    abort();
}
TB_TASK(aborts, .max_retries = TB_NONE);

static void leave(int signal)
{
    (void)signal;
    _exit(7);
}

static int handles(tb_call *call)
{
    (void)call;
    signal(SIGABRT, leave);
    abort();
}
TB_TASK(handles, .max_retries = TB_NONE);

static int dies_in_a_thread(tb_call *call, char *unused)
{
    (void)call, (void)unused;
    abort();
}
TB_ACTOR(crew, char, .max_concurrency = 2);
TB_METHOD(crew, dies_in_a_thread);

static void a_crash_names_process_rank_host_and_signal(void **state)
{
    tb_ref r = tb_remote(aborts, 42);
    char process[160];
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_CRASHED, "was ended by SIGABRT, signal 6 (", tb_get(r, NULL));
    assert_non_null(strstr(tb_last_error(), "'aborts' failed: its process (pid "));
    assert_ok(tb_error_detail(r, &e));
    snprintf(process, sizeof process, "pid %d, rank %d, host %s)", e.pid, e.rank, e.host);
    assert_non_null(strstr(e.message, process));
    assert_int_equal(e.signal, SIGABRT);
    assert_ok(tb_release(r));
}

static void with_debugging_its_last_words_are_the_backtrace_and_arguments(void **state)
{
    tb_ref r = tb_remote(aborts, 42, "some text");
    tb_error e;

    (void)state;
    assert_int_equal(tb_get(r, NULL), TB_ERR_CRASHED);
    assert_ok(tb_error_detail(r, &e));
    assert_non_null(strstr(e.output, "(+0x")); /* a frame */
    assert_non_null(strstr(e.output, "thornback: argument 0: 4 bytes: 2a 00 00 00"));
    assert_non_null(strstr(e.output, "thornback: argument 1: 10 bytes: 73 6f 6d 65 20 74 65 78 74 00"));
    assert_ok(tb_release(r));
}

static void so_they_are_of_a_thread_of_an_actor(void **state)
{
    tb_actor actor = tb_actor_new(crew);
    tb_ref r = tb_actor_call(actor, dies_in_a_thread, 42);
    tb_error e;

    (void)state;
    assert_int_equal(tb_get(r, NULL), TB_ERR_ACTOR_DIED);
    assert_ok(tb_error_detail(r, &e));
    assert_non_null(strstr(e.output, "thornback: argument 0: 4 bytes: 2a 00 00 00"));
    assert_ok(tb_release(r));
    assert_ok(tb_actor_release(actor));
}

static void a_handler_of_the_program_is_left_alone(void **state)
{
    tb_ref r = tb_remote(handles);
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_CRASHED, "ended with exit status 7", tb_get(r, NULL));
    assert_ok(tb_error_detail(r, &e));
    assert_null(strstr(e.output, "backtrace"));
    assert_ok(tb_release(r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_names_process_rank_host_and_signal),
        cmocka_unit_test(with_debugging_its_last_words_are_the_backtrace_and_arguments),
        cmocka_unit_test(so_they_are_of_a_thread_of_an_actor),
        cmocka_unit_test(a_handler_of_the_program_is_left_alone),
    };

    setenv("TB_DEBUG", "1", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
