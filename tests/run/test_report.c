/* test_report.c - holds SIGUSR2: a rank that gets it writes what its threads, its head and its agent wait for, and
 * the job goes on. */
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

static void a_signal_makes_a_rank_say_what_it_waits_for(void **state)
{
    struct gate gate = gate_new();
    int before = dup(STDERR_FILENO), fds[2], got = 0;
    static char text[65536];
    pthread_t thread;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    lasting = tb_remote(lasts, gate.path);
    gate_reach(&gate);
    pthread_create(&thread, NULL, waits, &got);
    dup2(fds[1], STDERR_FILENO);
    do { /* until the other thread waits */
        memset(text, 0, sizeof text);
        kill(getpid(), SIGUSR2);
        read_until(fds[0], " waits for room in the store\n", text, sizeof text);
    } while (strstr(text, "tb_get has waited for ") == NULL);
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

RUN(cmocka_unit_test(a_signal_makes_a_rank_say_what_it_waits_for))
