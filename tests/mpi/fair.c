/* fair.c - holds that a task of 16 CPUs begins in bounded time among an endless stream of tasks of one
 * CPU, which alone would never leave 16 free: of those that were not under way when it was submitted,
 * only a fixed number begins on its node before it. Every worker has 16 CPUs. The stream goes on until
 * the wide task has run; if it did not for MOST tasks, it starves: so it does, sooner or later, with
 * TB_AHEAD=0 TB_OVERTAKES=1000000. */
#include "nodes.h"

#include <errno.h>
#include <time.h>

enum { CPUS = 16, MOST = 200000, OVERTAKES = 64, WIDE = 3 /* of them one after the other */ };

struct begun {
    double at;
    int rank;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Says when it began; sleeps for argument 0 microseconds. */
static int begins(tb_call *call)
{
    struct begun b = {now(), tb_call_rank(call)};
    struct timespec left = {0, tb_arg_int(call, 0) * 1000L};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
    return tb_return(call, tb_struct(b));
}
TB_TASK(begins);

/* The stream: `in_flight` tasks that are not done, 3 for each CPU, and when those that are done began. */
static tb_ref flight[3 * CPUS * NODES_MAX + 1];
static struct begun begun[MOST + 3 * CPUS * NODES_MAX];
static int in_flight, nbegun;

static void add(int us)
{
    flight[in_flight++] = tb_remote(begins, us);
}

/* Waits until one is done and puts another in its place. Returns: whether it was `wide`. */
static bool turn(tb_ref wide, struct begun *when, int us)
{
    size_t ready;
    struct begun b;
    tb_ref done;

    assert_ok(tb_wait(flight, (size_t)in_flight, 1, -1, &ready));
    done = flight[0];
    flight[0] = flight[--in_flight];
    assert_ok(tb_get_struct(done, &b));
    if (tb_ref_equal(done, wide)) {
        *when = b;
        return true;
    }
    begun[nbegun++] = b;
    assert_ok(tb_release(done));
    add(us);
    return false;
}

static void stream_around_a_wide_task(int us)
{
    int window = 3 * CPUS * nnodes;

    in_flight = nbegun = 0;
    while (in_flight < window)
        add(us);
    for (int w = 0; w < WIDE; w++) {
        int from = nbegun, own = 0, all = 0;
        struct begun wide;
        double submitted;
        tb_ref r;

        while (nbegun < from + 4 * window) /* until it flows */
            turn((tb_ref){0}, NULL, us);
        from = nbegun;
        submitted = now();
        r = tb_remote_with(begins, TB_OPTIONS(.num_cpus = CPUS), 0);
        flight[in_flight++] = r;
        while (!turn(r, &wide, us))
            if (nbegun >= MOST)
                fail_msg("%d tasks of one CPU ran, and the wide one did not begin", nbegun - from);
        assert_ok(tb_release(r));
        for (int k = from; k < nbegun; k++) {
            bool between = begun[k].at >= submitted && begun[k].at < wide.at;

            all += between;
            own += between && begun[k].rank == wide.rank;
        }
        print_message("%d nodes, tasks of %d us: %d of them began between the submission of the wide "
                      "one and its begin, %d on its node, in %.1f ms\n", nnodes, us, all, own,
                      (wide.at - submitted) * 1e3);
        /* What was in flight, what the head lets overtake and what the node does; and what those send
         * and start in the one pass in which they count so far: no more than is in flight, and one a
         * CPU. */
        assert_true(own <= 2 * window + 2 * OVERTAKES + CPUS);
        if (nnodes == 1)
            assert_int_equal(own, all);
    }
    while (in_flight > 0) {
        assert_ok(tb_get(flight[--in_flight], NULL));
        assert_ok(tb_release(flight[in_flight]));
    }
}

static void a_wide_task_begins_among_endless_short_ones(void **state)
{
    (void)state;
    stream_around_a_wide_task(3000);
}

static void a_wide_task_begins_among_endless_empty_ones(void **state)
{
    (void)state;
    stream_around_a_wide_task(0);
}

static int begin(void **state)
{
    (void)state;
    tb_must(tb_init(NULL, NULL, TB_CONFIG(.num_cpus = CPUS)));
    nodes_find();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_task_begins_among_endless_short_ones),
        cmocka_unit_test(a_wide_task_begins_among_endless_empty_ones),
    };

    setenv("TB_OVERTAKES", "64", 0);
    return cmocka_run_group_tests(tests, begin, run_end);
}
