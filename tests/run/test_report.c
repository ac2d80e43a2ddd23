/* test_report.c - holds SIGUSR2: a rank that gets it writes what its threads, its head and its agent wait for and since
 * when, and the job goes on. What the other ranks write then, tests/mpi/report.sh looks at. */
#include "run.h"
#include "gate.h"

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

static void *waits(void *got)
{
    tb_must(tb_get(lasting, (int *)got));
    return NULL;
}

/* All that comes until a line has `last` in it. */
static void read_until(int fd, const char *last, char *text, size_t size)
{
    size_t n = 0;

    while (n + 1 < size && strstr(text, last) == NULL) {
        ssize_t got = read(fd, text + n, size - 1 - n);

        assert_true(got > 0);
        n += (size_t)got;
        text[n] = 0;
    }
}

/* ... until it has `and` in it, too. */
static const char *report_with(int fd, const char *and)
{
    static char text[65536];

    do {
        memset(text, 0, sizeof text);
        kill(getpid(), SIGUSR2);
        read_until(fd, " waits for room in the store\n", text, sizeof text);
    } while (strstr(text, and) == NULL);
    return text;
}

static void it_says_what_a_task_waits_for_and_what_processes_do(void **state)
{
    struct gate gate = gate_new();
    int before = dup(STDERR_FILENO), fds[2], got = 0;
    tb_ref ref = tb_remote(outer, gate.path);
    const char *text;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    gate_reach(&gate);
    dup2(fds[1], STDERR_FILENO);
    text = report_with(fds[0], " s for a result of 'lasts', sent to a node\n");
    if (run_ranks() == 1)
        text = report_with(fds[0], " in 'outer' has waited for ");
    dup2(before, STDERR_FILENO);
    if (run_ranks() == 1) {
        assert_non_null(strstr(text, "s, for what the head knows of\n"));
        assert_non_null(strstr(text, " has run 'lasts' for "));
        assert_null(strstr(text, "(pid 0)"));
    }
    gate_open(&gate);
    assert_ok(tb_get(ref, &got));
    assert_int_equal(got, 7);
    assert_ok(tb_release(ref));
    close(fds[0]);
    close(fds[1]);
    close(before);
}

static void a_signal_makes_a_rank_say_what_it_waits_for(void **state)
{
    struct gate gate = gate_new();
    int before = dup(STDERR_FILENO), fds[2], got = 0;
    const char *text;
    pthread_t thread;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    lasting = tb_remote(lasts, gate.path);
    gate_reach(&gate);
    pthread_create(&thread, NULL, waits, &got);
    dup2(fds[1], STDERR_FILENO);
    text = report_with(fds[0], "tb_get has waited for "); /* the other thread */
    dup2(before, STDERR_FILENO);
    assert_non_null(strstr(text, "1 of 1 objects are not here, the first is "));
    assert_non_null(strstr(text, "a result of 'lasts', sent to a node\n"));
    assert_non_null(strstr(text, "1 have not ended\n"));
    gate_open(&gate);
    pthread_join(thread, NULL);
    assert_int_equal(got, 7);
    assert_ok(tb_release(lasting));
    close(fds[0]);
    close(fds[1]);
    close(before);
}

RUN(cmocka_unit_test(a_signal_makes_a_rank_say_what_it_waits_for),
    cmocka_unit_test(it_says_what_a_task_waits_for_and_what_processes_do))
