/* test_queue.c - holds the queue between tasks, actors and the driver: each value comes out once, in order; who waits
 * is served in its turn, and neither the queue nor others are held up by that; timeouts lose nothing; who dies or is
 * cancelled while it waits takes nothing with it. */
#include "counter.h"

#include <thornback_tools.h>

#include <time.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- values ---- */

static int late(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 77);
}
TB_TASK(late, .num_cpus = TB_NONE);

static void values_of_all_kinds_come_out_in_order(void **state)
{
    struct gate g = gate_new();
    tb_queue q = tb_queue_new(0);
    double *grid = calloc(100000, sizeof *grid), d;
    tb_actor c = tb_actor_new(counter, 5), got;
    tb_ref promise = tb_remote(late, g.path), r;
    const double *view;
    const char *text;
    size_t n;
    int v;

    (void)state;
    grid[99999] = 3;
    assert_ok(tb_queue_put(q, 1));
    assert_ok(tb_queue_put(q, 2.5));
    assert_ok(tb_queue_put(q, "three"));
    assert_ok(tb_queue_put(q, tb_array(grid, 100000)));
    assert_ok(tb_queue_put(q, promise)); /* its value is not there yet */
    assert_ok(tb_queue_put(q, c));
    assert_ok(tb_release(promise));
    assert_ok(tb_actor_release(c)); /* the queue has both */
    assert_ok(tb_queue_get(q, &v));
    assert_int_equal(v, 1);
    assert_ok(tb_queue_get(q, &d));
    assert_true(d == 2.5);
    assert_ok(tb_queue_get(q, &r));
    assert_ok(tb_get(r, &text));
    assert_string_equal(text, "three");
    assert_ok(tb_release(r));
    assert_ok(tb_queue_get(q, &r));
    assert_ok(tb_get_array(r, &view, &n));
    assert_true(n == 100000 && view[99999] == 3);
    assert_ok(tb_release(r));
    assert_ok(tb_queue_get(q, &r));
    gate_open(&g);
    assert_int_equal(get_int(r), 77);
    assert_ok(tb_queue_get(q, &got));
    assert_int_equal(get_int(tb_actor_call(got, counter_increment)), 6);
    assert_ok(tb_actor_release(got));
    assert_ok(tb_actor_release(q));
    free(grid);
}

static void a_full_queue_takes_and_an_empty_one_gives_nothing(void **state)
{
    tb_queue q = tb_queue_new(2);
    double begin;
    bool is;
    size_t n;
    int v;

    (void)state;
    assert_ok(tb_queue_empty(q, &is));
    assert_true(is);
    assert_fails(TB_ERR_TIMEOUT, "the queue is empty", tb_queue_get_nowait(q, &v));
    begin = now();
    assert_fails(TB_ERR_TIMEOUT, "the queue is empty", tb_queue_get_timeout(q, &v, 0.05));
    assert_true(now() - begin >= 0.05);
    assert_ok(tb_queue_put(q, 1));
    assert_ok(tb_queue_full(q, &is));
    assert_false(is);
    assert_ok(tb_queue_put(q, 2));
    assert_ok(tb_queue_full(q, &is));
    assert_true(is);
    assert_fails(TB_ERR_TIMEOUT, "the queue is full: it holds 2 of 2 values, no room for 1", tb_queue_put_nowait(q, 3));
    assert_fails(TB_ERR_TIMEOUT, "the queue is full", tb_queue_put_timeout(q, 3, 0.05));
    assert_ok(tb_queue_size(q, &n));
    assert_int_equal(n, 2);
    assert_ok(tb_queue_get(q, NULL)); /* drops one */
    assert_ok(tb_queue_put_timeout(q, 4, 0.05));
    assert_ok(tb_queue_get(q, &v));
    assert_int_equal(v, 2);
    assert_ok(tb_queue_get(q, &v));
    assert_int_equal(v, 4);
    assert_ok(tb_actor_release(q));
    q = tb_queue_new(0); /* without bounds it is never full */
    assert_ok(tb_queue_put(q, 1));
    assert_ok(tb_queue_full(q, &is));
    assert_false(is);
    assert_ok(tb_actor_release(q));
}

static void batches_go_whole_or_not_at_all(void **state)
{
    tb_queue q = tb_queue_new(5);
    tb_value values[3];
    tb_ref r[6];
    size_t n;

    (void)state;
    for (int i = 0; i < 3; i++)
        values[i] = tb_value_of(i);
    assert_ok(tb_queue_put_nowait_batch(q, values, 3));
    assert_fails(TB_ERR_TIMEOUT, "holds 3 of 5 values, no room for 3", tb_queue_put_nowait_batch(q, values, 3));
    assert_ok(tb_queue_put_nowait_batch(q, TB_VALUES("four", 5.5)));
    assert_fails(TB_ERR_ARGUMENT, "6 values at once for a queue that holds 5",
                 tb_queue_put_nowait_batch(q, TB_VALUES(1, 2, 3, 4, 5, 6)));
    assert_ok(tb_queue_get_nowait_batch(q, r, 3));
    for (int i = 0; i < 3; i++)
        assert_int_equal(get_int(r[i]), i);
    assert_fails(TB_ERR_TIMEOUT, "the queue holds 2 values, not 3", tb_queue_get_nowait_batch(q, r, 3));
    assert_true(tb_ref_is_null(r[0]));
    assert_ok(tb_queue_size(q, &n));
    assert_int_equal(n, 2);
    assert_fails(TB_ERR_ARGUMENT, "6 values at once of a queue", tb_queue_get_nowait_batch(q, r, 6));
    assert_ok(tb_queue_put_nowait_batch(q, NULL, 0));
    assert_ok(tb_queue_get_nowait_batch(q, NULL, 0));
    assert_ok(tb_actor_release(q));
}

static void a_batch_may_be_large(void **state)
{
    enum { N = 10000 };
    tb_queue q = tb_queue_new(0);
    tb_value *values = calloc(N, sizeof *values);
    tb_ref *r = calloc(N, sizeof *r);
    int *v = calloc(N, sizeof *v);

    (void)state;
    for (int i = 0; i < N; i++)
        values[i] = tb_value_of(i);
    for (int round = 0; round < 3; round++) {
        assert_ok(tb_queue_put_nowait_batch(q, values, N));
        assert_ok(tb_queue_get_nowait_batch(q, r, N));
        assert_ok(tb_get_all(r, N, v));
        for (int i = 0; i < N; i++)
            assert_int_equal(v[i], i);
        assert_ok(tb_release_all(r, N));
    }
    free(values);
    free(r);
    free(v);
    assert_ok(tb_actor_release(q));
}

/* ---- waiting ---- */

static size_t getters(tb_queue q)
{
    size_t n;

    assert_ok(tb_queue_waiting(q, &n, NULL));
    return n;
}

static int getter(tb_call *call)
{
    int v;
    int rc = tb_queue_get(tb_arg_actor(call, 0), &v);

    return rc != 0 ? rc : tb_return(call, v);
}
TB_TASK(getter, .num_cpus = TB_NONE, .max_retries = TB_NONE);

static int putter(tb_call *call)
{
    int rc = tb_queue_put(tb_arg_actor(call, 0), tb_arg_int(call, 1));

    return rc != 0 ? rc : tb_return(call, 1);
}
TB_TASK(putter, .num_cpus = TB_NONE);

static void who_waits_is_served_and_holds_nobody_up(void **state)
{
    enum { N = 4 };
    tb_queue q = tb_queue_new(1);
    tb_ref r[N];
    bool is;
    int sum = 0;
    size_t ready, n;

    (void)state;
    for (int i = 0; i < N; i++)
        r[i] = tb_remote(getter, q);
    assert_soon(getters(q) == N);
    assert_ok(tb_wait(r, N, 1, 0.05, &ready));
    assert_int_equal(ready, 0);
    assert_ok(tb_queue_empty(q, &is)); /* answers beside them */
    assert_true(is);
    for (int i = 0; i < N; i++)
        assert_ok(tb_queue_put(q, 1 << i));
    for (int i = 0; i < N; i++)
        sum += get_int(r[i]);
    assert_int_equal(sum, 15);
    for (int i = 0; i < N; i++)
        r[i] = tb_remote(putter, q, 1 << i);
    assert_soon(tb_queue_waiting(q, NULL, &n) == 0 && n == N - 1); /* one value has room */
    sum = 0;
    for (int i = 0; i < N; i++) {
        int v;

        assert_ok(tb_queue_get(q, &v));
        sum += v;
    }
    assert_int_equal(sum, 15);
    assert_ok(tb_get_all(r, N, NULL));
    assert_ok(tb_release_all(r, N));
    assert_ok(tb_actor_release(q));
}

static void who_is_cancelled_or_dies_takes_nothing(void **state)
{
    tb_queue q = tb_queue_new(0);
    tb_ref cancelled = tb_remote(getter, q), killed, stays;
    int v;

    (void)state;
    assert_soon(getters(q) == 1);
    killed = tb_remote(getter, q);
    assert_soon(getters(q) == 2);
    stays = tb_remote(getter, q);
    assert_soon(getters(q) == 3);
    assert_ok(tb_cancel(cancelled, TB_CANCEL_DEFAULT));
    assert_fails(TB_ERR_CANCELLED, "", tb_get(cancelled, NULL));
    assert_ok(tb_cancel(killed, TB_CANCEL_FORCE));
    assert_fails(TB_ERR_CANCELLED, "", tb_get(killed, NULL));
    assert_soon(getters(q) == 1);
    assert_ok(tb_queue_put(q, 1));
    assert_ok(tb_queue_put(q, 2));
    v = get_int(stays);
    assert_int_equal(v, 1);
    assert_ok(tb_queue_get(q, &v));
    assert_int_equal(v, 2);
    assert_ok(tb_release(cancelled));
    assert_ok(tb_release(killed));
    assert_ok(tb_actor_release(q));
}

/* Gets until it gets 0; returns the sum, fails if what came from one source did not come in order. */
static int consumer(tb_call *call)
{
    tb_queue q = tb_arg_actor(call, 0);
    int last[8] = {0}, v;
    int64_t sum = 0;

    for (;;) {
        int rc = tb_queue_get(q, &v);

        if (rc != 0 || v == 0)
            return rc != 0 ? rc : tb_return(call, sum);
        if (v <= last[v % 8])
            return tb_fail(call, "%d after %d", v, last[v % 8]);
        last[v % 8] = v;
        sum += v;
    }
}
TB_TASK(consumer, .num_cpus = TB_NONE);

/* (queue, source, n): n rising numbers that are `source` modulo 8. */
static int producer(tb_call *call)
{
    tb_queue q = tb_arg_actor(call, 0);
    int source = tb_arg_int(call, 1), n = tb_arg_int(call, 2);

    for (int i = 1; i <= n; i++) {
        int rc = tb_queue_put(q, 8 * i + source);

        if (rc != 0)
            return rc;
    }
    return tb_return(call, n);
}
TB_TASK(producer, .num_cpus = TB_NONE);

static void many_put_and_get_each_value_once(void **state)
{
    enum { SOURCES = 4, N = 200, SINKS = 3 };
    tb_queue q = tb_queue_new(7);
    tb_ref from[SOURCES], to[SINKS];
    int64_t sum = 0, expected = 0, part;

    (void)state;
    for (int i = 0; i < SINKS; i++)
        to[i] = tb_remote(consumer, q);
    for (int i = 0; i < SOURCES; i++)
        from[i] = tb_remote(producer, q, i, N);
    assert_ok(tb_get_all(from, SOURCES, NULL));
    for (int i = 0; i < SINKS; i++)
        assert_ok(tb_queue_put(q, 0));
    for (int i = 0; i < SINKS; i++) {
        assert_ok(tb_get(to[i], &part));
        sum += part;
    }
    for (int i = 0; i < SOURCES; i++)
        for (int k = 1; k <= N; k++)
            expected += 8 * k + i;
    assert_int_equal(sum, expected);
    assert_ok(tb_release_all(from, SOURCES));
    assert_ok(tb_release_all(to, SINKS));
    assert_ok(tb_actor_release(q));
}

/* ---- handles and ends ---- */

static void a_queue_is_found_by_name_and_goes_through_objects(void **state)
{
    tb_queue q = tb_queue_new_with(3, TB_OPTIONS(.name = "line")), got;
    tb_ref r;
    int v;

    (void)state;
    assert_ok(tb_queue_put(q, 9));
    r = tb_put(q);
    assert_ok(tb_actor_release(q));
    assert_ok(tb_get_actor("line", NULL, &got));
    assert_ok(tb_queue_get(got, &v));
    assert_int_equal(v, 9);
    assert_ok(tb_actor_release(got));
    assert_ok(tb_release(r));
}

static void shutdown_ends_waits_at_once(void **state)
{
    tb_queue q = tb_queue_new(0);
    tb_ref r[3];
    int v;

    (void)state;
    assert_ok(tb_queue_put(q, 1));
    assert_ok(tb_queue_shutdown(q, 0));
    assert_fails(TB_ERR_ACTOR_DIED, "shut down by tb_queue_shutdown", tb_queue_get(q, &v));
    assert_ok(tb_queue_shutdown(q, 0));
    assert_ok(tb_queue_shutdown(q, 5));
    assert_ok(tb_actor_release(q));
    assert_fails(TB_ERR_REF, "tb_queue_shutdown", tb_queue_shutdown(q, 0));
    assert_fails(TB_ERR_REF, "tb_queue_shutdown", tb_queue_shutdown(q, 5));
    q = tb_queue_new(0);
    for (int i = 0; i < 3; i++)
        r[i] = tb_remote(getter, q);
    assert_soon(getters(q) == 3);
    assert_ok(tb_queue_shutdown(q, 60));
    for (int i = 0; i < 3; i++)
        assert_call_fails(TB_ERR_ACTOR_DIED, "shut down by tb_queue_shutdown", r[i]);
    assert_fails(TB_ERR_ACTOR_DIED, "shut down by tb_queue_shutdown", tb_queue_put(q, 1));
    assert_ok(tb_actor_release(q));
}

/* Killed at once, those that wait in it learn what the program called, in whichever process they are. */
static void who_waits_at_a_shutdown_without_grace_is_told_of_it(void **state)
{
    tb_queue q = tb_queue_new(0);
    tb_ref r[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        r[i] = tb_remote(getter, q);
    assert_soon(getters(q) == 3);
    assert_ok(tb_queue_shutdown(q, 0));
    for (int i = 0; i < 3; i++)
        assert_call_fails(TB_ERR_ACTOR_DIED, "shut down by tb_queue_shutdown", r[i]);
    assert_ok(tb_actor_release(q));
    q = tb_queue_new(0);
    assert_ok(tb_kill(q, 0)); /* which is another matter */
    assert_fails(TB_ERR_ACTOR_DIED, "killed by tb_kill", tb_queue_put(q, 1));
    assert_ok(tb_actor_release(q));
}

static void what_cannot_be_is_told(void **state)
{
    tb_queue q = tb_queue_new(-3), null = {0, 0};
    tb_actor c = tb_actor_new(counter, 0);
    const char *text;
    size_t n;
    int v;

    (void)state;
    assert_fails(TB_ERR_ACTOR_DIED, "maxsize = -3", tb_queue_put(q, 1));
    assert_ok(tb_actor_release(q));
    assert_fails(TB_ERR_REF, "null", tb_queue_put(null, 1));
    assert_fails(TB_ERR_REF, "null", tb_queue_get_timeout(null, &v, 1));
    assert_fails(TB_ERR_TYPE, "method of class 'tb_queue', and the actor is of class 'counter'",
                 tb_queue_size(c, &n));
    assert_ok(tb_actor_release(c));
    q = tb_queue_new(0);
    assert_fails(TB_ERR_UNSUPPORTED, "tb_ref", tb_queue_get(q, &text));
    assert_ok(tb_queue_put(q, 2.5));
    assert_fails(TB_ERR_TYPE, "double", tb_queue_get(q, &v));
    assert_fails(TB_ERR_ARGUMENT, "NULL", tb_queue_size(q, NULL));
    assert_ok(tb_actor_release(q));
    q = tb_queue_new_with(0, TB_OPTIONS(.num_cpus = 100000));
    assert_fails(TB_ERR_INFEASIBLE, "CPUs", tb_queue_put(q, 1));
    assert_ok(tb_actor_release(q));
}

static void a_queue_that_cannot_begin_yet_is_waited_for_in_bounds(void **state)
{
    double cpus, begin = now();
    struct gate g = gate_new();
    tb_ref busy;
    tb_queue q;
    tb_node first;
    int v;

    (void)state;
    assert_true(tb_nodes(&first, 1) >= 1);
    cpus = first.num_cpus; /* of one node: it can only be there */
    busy = tb_remote_with(late, TB_OPTIONS(.num_cpus = cpus, .strategy = TB_STRATEGY_NODE, .node = first.rank), g.path);
    gate_reach(&g);
    q = tb_queue_new_with(0, TB_OPTIONS(.num_cpus = cpus, .strategy = TB_STRATEGY_NODE, .node = first.rank));
    assert_fails(TB_ERR_TIMEOUT, "did not answer", tb_queue_get_timeout(q, &v, 0.01));
    assert_true(now() - begin < 60);
    gate_open(&g);
    assert_ok(tb_queue_put(q, 4));
    assert_ok(tb_queue_get(q, &v));
    assert_int_equal(v, 4);
    assert_ok(tb_release(busy));
    assert_ok(tb_actor_release(q));
}

static int consume(tb_call *call)
{
    int v;

    tb_must(tb_queue_get(tb_arg_actor(call, 0), &v));
    return tb_return(call, v);
}
TB_TASK(consume);

static int produce(tb_call *call)
{
    for (int i = 0; i < tb_arg_int(call, 1); i++)
        tb_must(tb_queue_put(tb_arg_actor(call, 0), i));
    return tb_return(call, 0);
}
TB_TASK(produce);

/* Many more than TB_MAX_EXECUTORS; what they wait for, the library cannot know. */
static void tasks_that_wait_in_a_queue_leave_room_for_the_one_that_fills_it(void **state)
{
    enum { CONSUMERS = 64 };
    tb_queue q = tb_queue_new(0);
    tb_ref got[CONSUMERS], last;
    long sum = 0;

    (void)state;
    for (int i = 0; i < CONSUMERS; i++)
        got[i] = tb_remote(consume, q);
    last = tb_remote(produce, q, CONSUMERS);
    for (int i = 0; i < CONSUMERS; i++) {
        int v = -1;

        assert_ok(tb_get_timeout(got[i], &v, 120));
        sum += v;
        assert_ok(tb_release(got[i]));
    }
    assert_int_equal(sum, CONSUMERS * (CONSUMERS - 1) / 2);
    assert_int_equal(get_int(last), 0);
    assert_ok(tb_actor_release(q));
}

RUN(cmocka_unit_test(values_of_all_kinds_come_out_in_order),
    cmocka_unit_test(a_full_queue_takes_and_an_empty_one_gives_nothing),
    cmocka_unit_test(batches_go_whole_or_not_at_all),
    cmocka_unit_test(a_batch_may_be_large),
    cmocka_unit_test(who_waits_is_served_and_holds_nobody_up),
    cmocka_unit_test(who_is_cancelled_or_dies_takes_nothing),
    cmocka_unit_test(many_put_and_get_each_value_once),
    cmocka_unit_test(a_queue_is_found_by_name_and_goes_through_objects),
    cmocka_unit_test(shutdown_ends_waits_at_once),
    cmocka_unit_test(who_waits_at_a_shutdown_without_grace_is_told_of_it),
    cmocka_unit_test(what_cannot_be_is_told),
    cmocka_unit_test(tasks_that_wait_in_a_queue_leave_room_for_the_one_that_fills_it),
    cmocka_unit_test(a_queue_that_cannot_begin_yet_is_waited_for_in_bounds))
