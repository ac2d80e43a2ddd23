/* test_report.c - holds SIGUSR2: a rank that gets it writes what its threads, its head and its agent wait for and since
 * when, one in tb_init that it is there, and the job goes on. What the other ranks write then, tests/mpi/report.sh looks at. */
#include "lasting.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* ---- in tb_init ---- */

static atomic_bool signals_in_init;
static char said_in_init[sizeof captured.text];

/* tb_init makes one for its zygote, long before the job runs; MPI may before that. */
__attribute__((visibility("default"))) int socketpair(int domain, int type, int protocol, int fds[2])
{
    if (atomic_exchange(&signals_in_init, false))
        kill(getpid(), SIGUSR2); /* comes before this returns: there is one thread, or one that takes it */
    return (int)syscall(SYS_socketpair, domain, type, protocol, fds);
}

static int begin(void **state)
{
    signals_in_init = true;
    if (run_ranks() > 1) /* the others never come back from tb_init */
        return run_begin(state);
    capture_begin();
    run_begin(state);
    capture_pause();
    capture_rest();
    snprintf(said_in_init, sizeof said_in_init, "%s", captured.text);
    capture_end();
    return 0;
}

static void a_signal_while_tb_init_waits_is_answered_and_ends_nothing(void **state)
{
    (void)state;
    assert_false(signals_in_init);
    if (run_ranks() == 1)
        assert_non_null(strstr(said_in_init, "is in tb_init, and waits for MPI or for other ranks\n"));
}

/* ---- in a job ---- */

/* A report that has `and` in it. */
static const char *report_with(const char *and)
{
    do {
        capture_forget();
        kill(getpid(), SIGUSR2);
        while (strstr(captured.text, " waits for room in the store\n") == NULL)
            assert_true(capture_read() > 0);
    } while (strstr(captured.text, and) == NULL);
    return captured.text;
}

static void it_says_what_a_task_waits_for_and_what_processes_do(void **state)
{
    struct gate gate = gate_new();
    tb_ref ref = tb_remote(outer, gate.path);
    const char *text;
    int got = 0;

    (void)state;
    gate_reach(&gate);
    capture_begin();
    text = report_with(" s for a result of 'lasts', sent to a node\n");
    if (run_ranks() == 1)
        text = report_with(" in 'outer' has waited for ");
    capture_pause();
    if (run_ranks() == 1) {
        assert_non_null(strstr(text, "s, for what the head knows of\n"));
        assert_non_null(strstr(text, " has run 'lasts' for "));
        assert_null(strstr(text, "(pid 0)"));
    }
    gate_open(&gate);
    assert_ok(tb_get(ref, &got));
    assert_int_equal(got, 7);
    assert_ok(tb_release(ref));
    capture_end();
}

static void a_signal_makes_a_rank_say_what_it_waits_for(void **state)
{
    struct gate gate = gate_new();
    const char *text;
    pthread_t thread;
    int got = 0;

    (void)state;
    lasting = tb_remote(lasts, gate.path);
    gate_reach(&gate);
    pthread_create(&thread, NULL, waits, &got);
    capture_begin();
    text = report_with("tb_get has waited for "); /* the other thread */
    capture_pause();
    assert_non_null(strstr(text, "1 of 1 object is not here, the first is "));
    assert_non_null(strstr(text, "a result of 'lasts', sent to a node\n"));
    assert_non_null(strstr(text, " 1 has not ended\n"));
    gate_open(&gate);
    pthread_join(thread, NULL);
    assert_int_equal(got, 7);
    assert_ok(tb_release(lasting));
    capture_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_while_tb_init_waits_is_answered_and_ends_nothing),
        cmocka_unit_test(a_signal_makes_a_rank_say_what_it_waits_for),
        cmocka_unit_test(it_says_what_a_task_waits_for_and_what_processes_do),
    };

    return cmocka_run_group_tests(tests, begin, run_end);
}
