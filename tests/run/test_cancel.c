/* test_cancel.c - holds tb_cancel: what has not begun never runs, what runs is interrupted and, if it
 * does not listen, killed; children go with it unless they are spared; dependants fail with the
 * cause; what is done stays done; and each ref ends in one way only. */
#include "gate.h"
#include "marks.h"
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

static int marks_it(tb_call *call)
{
    mark(tb_arg_string(call, 0));
    return tb_return(call, 7);
}
TB_TASK(marks_it);

/* arguments: gate, marks */
static int waits_then_marks(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    mark(tb_arg_string(call, 1));
    return tb_return(call, 7);
}
TB_TASK(waits_then_marks, .num_cpus = TB_NONE);

static int adds(tb_call *call) { return tb_return(call, tb_arg_int(call, 0) + 1); }
TB_TASK(adds);

/* Says who it is through the gate's file and waits to be interrupted. arguments: gate, marks */
static int listens(tb_call *call)
{
    int fd = open(tb_arg_string(call, 0), O_RDONLY);

    mark(tb_arg_string(call, 1));
    while (!tb_cancelled(call)) {
        struct pollfd p = {.fd = -1};

        poll(&p, 1, 1000);
    }
    close(fd);
    mark(tb_arg_string(call, 1));
    return tb_return(call, 7);
}
TB_TASK(listens, .num_cpus = TB_NONE, .max_retries = -1);

/* Sends its pid and does not listen. arguments: a FIFO to write to, marks */
static int is_deaf(tb_call *call)
{
    int fd = open(tb_arg_string(call, 0), O_WRONLY), pid = getpid();

    mark(tb_arg_string(call, 1));
    if (write(fd, &pid, sizeof pid) != sizeof pid)
        abort();
    close(fd);
    for (;;)
        poll(NULL, 0, -1);
}
TB_TASK(is_deaf, .num_cpus = TB_NONE, .max_retries = -1);

/* Blocks on a child that never ends by itself, and says how that ended. arguments: the child's gate and
 * marks, a FIFO to write to */
static int blocks(tb_call *call)
{
    tb_ref child = tb_remote(waits_then_marks, tb_arg_string(call, 0), tb_arg_string(call, 1));
    int rc = tb_get(child, NULL), fd;

    do /* the signal that tells of the cancel may come only now */
        fd = open(tb_arg_string(call, 2), O_WRONLY);
    while (fd < 0 && errno == EINTR);
    if (write(fd, &rc, sizeof rc) != sizeof rc)
        abort();
    close(fd);
    tb_must(tb_release(child));
    return rc;
}
TB_TASK(blocks, .num_cpus = TB_NONE);

static int cancels(tb_call *call)
{
    return tb_return(call, tb_cancel(tb_arg_ref(call, 0), TB_CANCEL_DEFAULT));
}
TB_TASK(cancels);

static int read_int(const char *fifo)
{
    int fd = open(fifo, O_RDONLY), x = 0;

    assert_int_equal(read(fd, &x, sizeof x), sizeof x);
    close(fd);
    return x;
}

/* The job goes on meanwhile. */
static void take_a_turn(void)
{
    tb_ref r = tb_put(1);

    assert_ok(tb_get(r, NULL));
    assert_ok(tb_release(r));
}

/* Until the process has ended, or 60 seconds. */
static void assert_ends(int pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (fd < 0 && errno == ESRCH)
        return;
    assert_true(fd >= 0);
    assert_int_equal(poll(&p, 1, 60000), 1);
    close(fd);
}

static void what_waits_for_an_argument_never_runs_and_its_dependants_fail(void **state)
{
    struct marks m = marks_new();
    struct gate g = gate_new();
    tb_ref a = tb_remote(waits_then_marks, g.path, m.path), b = tb_remote(adds, a),
           c = tb_remote(adds, b);
    tb_error e;
    int v;

    (void)state;
    assert_ok(tb_cancel(b, TB_CANCEL_DEFAULT));
    assert_fails(TB_ERR_CANCELLED, "cancelled by tb_cancel", tb_get(b, &v));
    assert_int_equal(v, 0);
    assert_int_equal(tb_get(c, &v), TB_ERR_CANCELLED);
    assert_ok(tb_error_detail(c, &e));
    assert_string_equal(e.function, "adds");
    gate_open(&g);
    assert_ok(tb_get(a, &v));
    assert_int_equal(v, 7);
    assert_int_equal(marks_end(&m), 1);
    assert_ok(tb_release_all((tb_ref[]){a, b, c}, 3));
}

static void a_running_task_sees_it_and_its_result_counts_no_more(void **state)
{
    struct marks m = marks_new();
    struct gate g = gate_new();
    tb_ref a = tb_remote(listens, g.path, m.path), b = tb_remote(adds, a);

    (void)state;
    gate_open(&g); /* it runs */
    assert_ok(tb_cancel(a, TB_CANCEL_DEFAULT));
    assert_int_equal(tb_get(b, NULL), TB_ERR_CANCELLED);
    assert_int_equal(tb_get(a, NULL), TB_ERR_CANCELLED);
    assert_ok(tb_release_all((tb_ref[]){a, b}, 2));
    while (marks_count(m.path) < 2) /* it leaves by itself, and does not run again */
        take_a_turn();
    assert_int_equal(marks_end(&m), 2);
}

static void who_does_not_listen_is_killed_and_not_run_again(void **state)
{
    (void)state;
    for (int force = 0; force < 2; force++) {
        struct marks m = marks_new();
        struct gate g = gate_new();
        tb_ref a = tb_remote(is_deaf, g.path, m.path);
        int pid = read_int(g.path);

        assert_ok(tb_cancel(a, force ? TB_CANCEL_FORCE : TB_CANCEL_DEFAULT));
        assert_int_equal(tb_get(a, NULL), TB_ERR_CANCELLED);
        assert_ends(pid);
        assert_ok(tb_release(a));
        unlink(g.path);
        assert_int_equal(marks_end(&m), 1);
    }
}

static void a_call_that_waits_returns_cancelled_and_children_go_too(void **state)
{
    struct marks m = marks_new();
    struct gate g = gate_new(), said = gate_new();
    tb_ref a = tb_remote(blocks, g.path, m.path, said.path);
    int fd = open(g.path, O_WRONLY); /* the child runs: it has opened it */

    (void)state;
    assert_ok(tb_cancel(a, TB_CANCEL_DEFAULT));
    assert_int_equal(tb_get(a, NULL), TB_ERR_CANCELLED);
    assert_int_equal(read_int(said.path), TB_ERR_CANCELLED);
    assert_int_equal(tb_get(a, NULL), TB_ERR_CANCELLED);
    assert_ok(tb_release(a));
    close(fd);
    unlink(g.path);
    unlink(said.path);
    marks_end(&m);
}

static void children_are_spared_where_that_is_asked_for(void **state)
{
    struct marks m = marks_new();
    struct gate g = gate_new(), said = gate_new();
    tb_ref a = tb_remote(blocks, g.path, m.path, said.path);
    int fd = open(g.path, O_WRONLY); /* the child runs */

    (void)state;
    assert_ok(tb_cancel(a, TB_CANCEL_NOT_RECURSIVE));
    assert_int_equal(read_int(said.path), TB_ERR_CANCELLED);
    assert_int_equal(marks_count(m.path), 0);
    close(fd);
    while (marks_count(m.path) < 1)
        take_a_turn();
    assert_int_equal(marks_end(&m), 1);
    unlink(g.path);
    unlink(said.path);
    assert_int_equal(tb_get(a, NULL), TB_ERR_CANCELLED);
    assert_ok(tb_release(a));
}

static void what_is_done_stays_done(void **state)
{
    struct marks m = marks_new();
    tb_ref a = tb_remote(marks_it, m.path), x = tb_put(5);
    int v;

    (void)state;
    assert_ok(tb_get(a, NULL));
    assert_ok(tb_cancel(a, TB_CANCEL_FORCE));
    assert_ok(tb_get(a, &v));
    assert_int_equal(v, 7);
    assert_ok(tb_cancel(x, TB_CANCEL_DEFAULT));
    assert_ok(tb_get(x, &v));
    assert_int_equal(v, 5);
    assert_int_equal(marks_end(&m), 1);
    assert_ok(tb_release_all((tb_ref[]){a, x}, 2));
}

static void a_task_may_cancel_another(void **state)
{
    struct marks m = marks_new();
    struct gate g = gate_new();
    tb_ref a = tb_remote(waits_then_marks, g.path, m.path), b = tb_remote(adds, a),
           c = tb_remote(cancels, tb_nested(b));
    int v;

    (void)state;
    assert_ok(tb_get(c, &v));
    assert_int_equal(v, 0);
    assert_int_equal(tb_get(b, NULL), TB_ERR_CANCELLED);
    gate_open(&g);
    assert_ok(tb_get(a, NULL));
    marks_end(&m);
    assert_ok(tb_release_all((tb_ref[]){a, b, c}, 3));
}

static void wrong_use_is_refused(void **state)
{
    tb_ref r = tb_put(1);

    (void)state;
    assert_fails(TB_ERR_ARGUMENT, "0x10", tb_cancel(r, 16));
    assert_fails(TB_ERR_REF, "null", tb_cancel((tb_ref){0, 0}, TB_CANCEL_DEFAULT));
    assert_fails(TB_ERR_REF, "another job", tb_cancel((tb_ref){r.hi ^ UINT64_C(1) << 60, r.lo}, 0));
    assert_ok(tb_release(r));
}

static void of_5000_queued_tasks_each_ends_when_some_are_cancelled(void **state)
{
    enum { N = 5000 };
    static tb_ref r[N];
    struct gate g = gate_new();
    struct marks m = marks_new();
    tb_ref first = tb_remote(waits_then_marks, g.path, m.path);
    uint64_t seed = 20261125;
    int cancelled = 0, done = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        r[i] = tb_remote(adds, first);
    for (int i = 0; i < N; i++) {
        if (i == N / 2)
            gate_open(&g); /* from here on they are not only queued, but run */
        if (unit_random(&seed) % 20 == 0)
            assert_ok(tb_cancel(r[i], TB_CANCEL_DEFAULT));
    }
    for (int i = 0; i < N; i++) {
        int v, rc = tb_get(r[i], &v);

        assert_true((rc == 0 && v == 8) || rc == TB_ERR_CANCELLED);
        cancelled += rc != 0;
        done += rc == 0;
        assert_int_equal(tb_get(r[i], NULL), rc);
    }
    assert_true(cancelled > 0 && cancelled < N / 10);
    assert_int_equal(done + cancelled, N);
    assert_ok(tb_release_all(r, N));
    assert_ok(tb_release(first));
    marks_end(&m);
}

static void a_cancel_that_races_with_the_end_gives_one_or_the_other(void **state)
{
    int cancelled = 0, rc[2], v;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        tb_ref a = tb_remote(adds, i), b = tb_remote(adds, a);

        for (int spin = i % 50 * 4000; spin > 0; spin--)
            __asm__ volatile("");
        assert_ok(tb_cancel(a, i % 16 == 0 ? TB_CANCEL_FORCE : TB_CANCEL_DEFAULT));
        rc[0] = tb_get(a, &v);
        assert_true((rc[0] == 0 && v == i + 1) || rc[0] == TB_ERR_CANCELLED);
        rc[1] = tb_get(b, &v);
        assert_true((rc[1] == 0 && v == i + 2) || rc[1] == TB_ERR_CANCELLED);
        assert_int_equal(rc[0], rc[1]);
        cancelled += rc[0] != 0;
        assert_ok(tb_release_all((tb_ref[]){a, b}, 2));
    }
    print_message("%d of 2000 cancelled\n", cancelled);
}

/* Fails if a signal comes that is not for it. */
static int naps(tb_call *call)
{
    struct timespec t = {0, tb_arg_int(call, 0) % 5 * 100000};

    if (nanosleep(&t, NULL) != 0 && !tb_cancelled(call))
        return tb_fail(call, "it was interrupted, and not cancelled");
    return tb_return(call, tb_arg_int(call, 0));
}
TB_TASK(naps, .max_retries = TB_NONE);

struct bed { int unused; };
static int bed_naps(tb_call *call, struct bed *bed)
{
    (void)bed;
    return naps(call);
}
TB_ACTOR(bed, struct bed);
TB_METHOD(bed, bed_naps);

/* One in three is cancelled, at any moment; calls of one actor run one after the other, and so do tasks that were given
 * to a process ahead. */
static void cancel_one_in_three(tb_actor on, int flags)
{
    enum { ROUNDS = 300, N = 24 };

    for (int round = 0; round < ROUNDS; round++) {
        tb_ref r[N];
        int v;

        for (int i = 0; i < N; i++)
            r[i] = tb_actor_is_null(on) ? tb_remote(naps, round * 7 + i) : tb_actor_call(on, bed_naps, round * 7 + i);
        for (int i = 0; i < round % 20; i++)
            sched_yield();
        for (int i = round % 3; i < N; i += 3)
            assert_ok(tb_cancel(r[i], flags));
        for (int i = 0; i < N; i++) {
            int rc = tb_get(r[i], &v);

            if (rc != 0 && (rc != TB_ERR_CANCELLED || i % 3 != round % 3))
                fail_msg("task %d of round %d: %s", i, round, tb_last_error());
        }
        assert_ok(tb_release_all(r, N));
    }
}

static void a_cancel_interrupts_and_kills_no_other_task(void **state)
{
    (void)state;
    cancel_one_in_three((tb_actor){0}, TB_CANCEL_DEFAULT);
    cancel_one_in_three((tb_actor){0}, TB_CANCEL_FORCE);
}

static void nor_another_call_of_the_actor(void **state)
{
    tb_actor on = tb_actor_new(bed);

    (void)state;
    cancel_one_in_three(on, TB_CANCEL_DEFAULT);
    assert_ok(tb_actor_release(on));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_for_an_argument_never_runs_and_its_dependants_fail),
        cmocka_unit_test(a_running_task_sees_it_and_its_result_counts_no_more),
        cmocka_unit_test(who_does_not_listen_is_killed_and_not_run_again),
        cmocka_unit_test(a_call_that_waits_returns_cancelled_and_children_go_too),
        cmocka_unit_test(children_are_spared_where_that_is_asked_for),
        cmocka_unit_test(what_is_done_stays_done),
        cmocka_unit_test(a_task_may_cancel_another),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(of_5000_queued_tasks_each_ends_when_some_are_cancelled),
        cmocka_unit_test(a_cancel_that_races_with_the_end_gives_one_or_the_other),
        cmocka_unit_test(a_cancel_interrupts_and_kills_no_other_task),
        cmocka_unit_test(nor_another_call_of_the_actor),
    };

    setenv("TB_CANCEL_GRACE", "2", 1); /* enough for who listens, on a busy machine too */
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
