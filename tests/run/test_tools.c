/* test_tools.c - holds the map over an array and the pool of actors: that all elements come out in their places, each
 * call is made once, by an actor that is idle, and what fails, dies or comes late is told and hangs nobody. The queue
 * is in test_queue.c. */
#include "counter.h"

#include <thornback_tools.h>

/* ---- map ---- */

/* (array, factor): factor times it, in double. */
static int scaled(tb_call *call)
{
    const int *x;
    double *y;
    size_t n;
    int rc = tb_arg_array(call, 0, &x, &n);

    if (rc == 0)
        rc = tb_return_array(call, 0, &y, n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (x[i] == 666)
            return tb_fail(call, "number of the beast");
        y[i] = tb_arg_double(call, 1) * x[i];
    }
    return rc;
}
TB_TASK(scaled);

static int one_short(tb_call *call)
{
    double *y;
    int rc = tb_return_array(call, 0, &y, 3);

    return rc;
}
TB_TASK(one_short);

/* Waits until it is cancelled, at a gate that nobody opens. */
static int takes_for_ever(tb_call *call)
{
    int fd = open(tb_arg_string(call, 1), O_RDONLY);

    return tb_fail(call, "open gave %d", fd);
}
TB_TASK(takes_for_ever, .num_cpus = TB_NONE);

struct point { float x, y; };

static int mirrored(tb_call *call)
{
    const struct point *p;
    struct point *q;
    size_t n;
    int rc = tb_arg_records(call, 0, &p, &n);

    if (rc == 0)
        rc = tb_return_records(call, 0, &q, n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        q[i] = (struct point){p[i].y, p[i].x};
    return rc;
}
TB_TASK(mirrored);

static void a_map_gives_each_element_its_place(void **state)
{
    enum { N = 10007 };
    const size_t chunks[] = {0, 1000, 20000, 37};
    int *x = calloc(N, sizeof *x);
    double *y = calloc(N, sizeof *y);

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = i == 666 ? 0 : i;
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        memset(y, 0, N * sizeof *y);
        assert_ok(tb_map(scaled, x, N, chunks[c], y, 0.5));
        for (int i = 0; i < N; i++)
            assert_true(y[i] == 0.5 * x[i]);
    }
    assert_ok(tb_map_with(scaled, TB_OPTIONS(.num_cpus = 0.5), x, N, 5000, y, 2));
    assert_true(y[N - 1] == 2.0 * (N - 1));
    assert_ok(tb_map(scaled, x, 0, 10, y, 0.5));
    free(x);
    free(y);
}

static void a_map_takes_and_gives_structs(void **state)
{
    struct point p[5] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}, {9, 10}}, q[5];

    (void)state;
    assert_ok(tb_map_(mirrored, "mirrored", NULL, tb_records(p, 5), 2, -1, TB_RECORD, sizeof *q, q, NULL, 0));
    for (int i = 0; i < 5; i++)
        assert_true(q[i].x == p[i].y && q[i].y == p[i].x);
}

static void a_map_that_fails_names_the_elements_and_zeroes_all(void **state)
{
    int x[100] = {0}, bad[2];
    double y[100];
    float z[100];

    (void)state;
    x[42] = 666;
    y[0] = 1;
    assert_fails(TB_ERR_TASK, "tb_map of 'scaled', elements 40 to 49: 'scaled' failed: number of the beast",
                 tb_map(scaled, x, 100, 10, y, 2.0));
    assert_true(y[0] == 0 && y[99] == 0);
    assert_fails(TB_ERR_TYPE, "elements 0 to 3: 'one_short' returned 3 elements for 4",
                 tb_map(one_short, x, 4, 4, y));
    assert_fails(TB_ERR_TYPE, "double", tb_map(scaled, x, 4, 4, z, 2.0));
    assert_fails(TB_ERR_ARGUMENT, "NULL", tb_map(scaled, (int *)NULL, 4, 4, y, 2.0));
    assert_fails(TB_ERR_UNREGISTERED, "not a remote function", tb_map((tb_task_fn *)bad, x, 4, 4, y));
}

static void a_map_that_takes_too_long_is_cancelled(void **state)
{
    struct gate g = gate_new();
    int x[2] = {1, 2}, y[2];

    (void)state;
    assert_fails(TB_ERR_TIMEOUT, "tb_map of 'takes_for_ever'",
                 tb_map_timeout(takes_for_ever, 0.05, x, 2, 1, y, g.path));
    unlink(g.path);
}

/* ---- pool ---- */

struct doubler { int calls; char gate[96]; };

static int doubler_init(tb_call *call, struct doubler *self)
{
    (void)call;
    self->calls = 0;
    return 0;
}

static int twice(tb_call *call, struct doubler *self)
{
    self->calls++;
    return tb_return(call, 2 * tb_arg_int(call, 0));
}

static int calls(tb_call *call, struct doubler *self) { return tb_return(call, self->calls); }

/* Twice the second when the gate opens. */
static int twice_at_gate(tb_call *call, struct doubler *self)
{
    (void)self;
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 2 * tb_arg_int(call, 1));
}

static int refuses_odd(tb_call *call, struct doubler *self)
{
    int x = tb_arg_int(call, 0);

    (void)self;
    return x % 2 != 0 ? tb_fail(call, "%d is odd", x) : tb_return(call, x);
}

static int dies(tb_call *call, struct doubler *self)
{
    (void)call;
    (void)self;
    raise(SIGKILL);
    return 0;
}

static int length(tb_call *call, struct doubler *self)
{
    (void)self;
    return tb_return(call, (int)strlen(tb_arg_string(call, 0)));
}

static int total(tb_call *call, struct doubler *self)
{
    const double *x;
    double sum = 0;
    size_t n;
    int rc = tb_arg_array(call, 0, &x, &n);

    (void)self;
    for (size_t i = 0; rc == 0 && i < n; i++)
        sum += x[i];
    return rc != 0 ? rc : tb_return(call, sum);
}

TB_ACTOR(doubler, struct doubler, .init = doubler_init);
TB_METHOD(doubler, twice);
TB_METHOD(doubler, twice_at_gate);
TB_METHOD(doubler, calls);
TB_METHOD(doubler, refuses_odd);
TB_METHOD(doubler, dies);
TB_METHOD(doubler, length);
TB_METHOD(doubler, total);

/* A pool that alone holds its actors, but for those in `a`, which are released with it. */
static tb_pool *pool_of(tb_actor *a, int n)
{
    tb_pool *pool;

    for (int i = 0; i < n; i++)
        a[i] = tb_actor_new(doubler);
    pool = tb_pool_new(a, (size_t)n);
    assert_non_null(pool);
    return pool;
}

static void end_pool(tb_pool *pool, const tb_actor *a, int n)
{
    tb_pool_free(pool);
    for (int i = 0; i < n; i++)
        assert_ok(tb_actor_release(a[i]));
}

static int next_int(tb_pool *pool)
{
    tb_ref r;

    assert_ok(tb_pool_get_next(pool, &r));
    return get_int(r);
}

static void results_come_in_the_order_of_the_calls(void **state)
{
    struct gate g = gate_new();
    tb_actor a[3];
    tb_pool *pool = pool_of(a, 3);
    tb_ref r;

    (void)state;
    assert_false(tb_pool_has_next(pool));
    assert_true(tb_pool_has_free(pool));
    assert_ok(tb_pool_submit(pool, twice_at_gate, g.path, 100));
    for (int i = 0; i < 50; i++)
        assert_ok(tb_pool_submit(pool, twice, i));
    assert_true(tb_pool_has_next(pool));
    assert_fails(TB_ERR_TIMEOUT, "", tb_pool_get_next_timeout(pool, &r, 0.05));
    assert_true(tb_ref_is_null(r));
    gate_open(&g);
    assert_int_equal(next_int(pool), 200);
    for (int i = 0; i < 50; i++)
        assert_int_equal(next_int(pool), 2 * i);
    assert_fails(TB_ERR_ARGUMENT, "all results were taken", tb_pool_get_next(pool, &r));
    assert_false(tb_pool_has_next(pool));
    end_pool(pool, a, 3);
}

static void a_slow_call_does_not_hold_up_the_others(void **state)
{
    enum { N = 20 };
    struct gate g = gate_new();
    tb_actor a[2];
    tb_pool *pool = pool_of(a, 2);
    bool seen[N + 1] = {false};
    size_t number;
    tb_ref r;

    (void)state;
    assert_ok(tb_pool_submit(pool, twice_at_gate, g.path, 0));
    for (int i = 1; i <= N; i++)
        assert_ok(tb_pool_submit(pool, twice, i));
    for (int i = 0; i < N; i++) { /* all but the first, by the other actor */
        assert_ok(tb_pool_get_next_unordered(pool, &r, &number));
        assert_true(number >= 1 && number <= N && !seen[number]);
        seen[number] = true;
        assert_int_equal(get_int(r), 2 * (int)number);
    }
    assert_fails(TB_ERR_TIMEOUT, "", tb_pool_get_next_unordered_timeout(pool, &r, NULL, 0));
    gate_open(&g);
    assert_ok(tb_pool_get_next_unordered(pool, &r, NULL));
    assert_int_equal(get_int(r), 0);
    end_pool(pool, a, 2);
}

static void calls_go_to_idle_actors_only(void **state)
{
    struct gate g = gate_new();
    tb_actor a[2], free_one, none;
    tb_pool *pool = pool_of(a, 2);

    (void)state;
    assert_ok(tb_pool_submit(pool, twice_at_gate, g.path, 1)); /* keeps a[0] busy */
    assert_true(tb_pool_has_free(pool));
    for (int i = 0; i < 10; i++)
        assert_ok(tb_pool_submit(pool, twice, i));
    while (!tb_pool_has_free(pool)) /* works the line off without taking results */
        get_int(tb_actor_call(a[1], calls)); /* which comes when the call before has ended */
    assert_int_equal(get_int(tb_actor_call(a[1], calls)), 10);
    assert_ok(tb_pool_pop_idle(pool, &free_one));
    assert_true(tb_actor_equal(free_one, a[1]));
    assert_fails(TB_ERR_TIMEOUT, "idle", tb_pool_pop_idle(pool, &none));
    assert_true(tb_actor_is_null(none));
    gate_open(&g);
    assert_int_equal(next_int(pool), 2);
    for (int i = 0; i < 10; i++)
        assert_int_equal(next_int(pool), 2 * i);
    assert_ok(tb_pool_push(pool, free_one));
    assert_ok(tb_actor_release(free_one));
    end_pool(pool, a, 2);
}

static void arguments_that_wait_are_kept(void **state)
{
    struct gate g = gate_new();
    tb_actor a[1];
    tb_pool *pool = pool_of(a, 1);
    char text[8] = "four";
    double x[1000], sum;
    tb_ref seven = tb_put(7), r, keep = seven;

    (void)state;
    for (int i = 0; i < 1000; i++)
        x[i] = 1;
    assert_ok(tb_pool_submit(pool, twice_at_gate, g.path, 1));
    TB_SCOPE {
        assert_ok(tb_pool_submit(pool, length, text));
        assert_ok(tb_pool_submit(pool, total, tb_array(x, 1000)));
        assert_ok(tb_pool_submit(pool, twice, seven));
    }
    assert_ok(tb_release(keep));
    memset(text, 0, sizeof text);
    memset(x, 0, sizeof x);
    gate_open(&g);
    assert_int_equal(next_int(pool), 2);
    assert_int_equal(next_int(pool), 4);
    assert_ok(tb_pool_get_next(pool, &r));
    assert_ok(tb_get(r, &sum));
    assert_true(sum == 1000);
    assert_ok(tb_release(r));
    assert_int_equal(next_int(pool), 14);
    end_pool(pool, a, 1);
}

static int note(size_t i, tb_ref result, void *arg)
{
    int *out = arg;

    return tb_get(result, &out[i]);
}

static int stop_at_three(size_t i, tb_ref result, void *arg)
{
    (void)i;
    (void)result;
    return ++*(int *)arg == 3 ? TB_ERR_CANCELLED : 0;
}

static void maps_over_a_pool_give_all_results(void **state)
{
    enum { N = 300 };
    tb_actor a[3];
    tb_pool *pool = pool_of(a, 3);
    int in[N], out[N], unordered[N], n = 0;
    tb_value values[2] = {tb_value_of("four"), tb_value_of("fifth")};
    tb_ref refs[2];

    (void)state;
    for (int i = 0; i < N; i++)
        in[i] = i;
    assert_ok(tb_pool_submit(pool, twice, 1000)); /* goes on beside the maps */
    assert_ok(tb_pool_map(pool, twice, in, N, out));
    assert_ok(tb_pool_map_unordered(pool, twice, in, N, note, unordered));
    for (int i = 0; i < N; i++)
        assert_true(out[i] == 2 * i && unordered[i] == 2 * i);
    assert_ok(tb_pool_map_refs(pool, length, values, 2, refs));
    assert_int_equal(get_int(refs[0]), 4);
    assert_int_equal(get_int(refs[1]), 5);
    assert_int_equal(tb_pool_map_unordered(pool, twice, in, N, stop_at_three, &n), TB_ERR_CANCELLED);
    assert_int_equal(n, 3);
    assert_int_equal(next_int(pool), 2000);
    assert_false(tb_pool_has_next(pool));
    end_pool(pool, a, 3);
}

static void what_fails_in_a_map_is_told(void **state)
{
    struct gate g = gate_new(), h = gate_new();
    tb_actor a[2];
    tb_pool *pool = pool_of(a, 2);
    int in[4] = {2, 4, 5, 7}, out[4] = {1, 1, 1, 1};
    const char *texts[4];
    tb_ref busy[2];

    (void)state;
    assert_fails(TB_ERR_TASK, "5 is odd", tb_pool_map(pool, refuses_odd, in, 4, out));
    assert_true(out[0] == 0 && out[3] == 0);
    assert_fails(TB_ERR_UNSUPPORTED, "tb_pool_map_refs", tb_pool_map(pool, twice, in, 4, texts));
    assert_ok(tb_pool_map(pool, refuses_odd, in, 2, out));
    assert_int_equal(out[1], 4);
    busy[0] = tb_actor_call(a[0], twice_at_gate, g.path, 1);
    busy[1] = tb_actor_call(a[1], twice_at_gate, h.path, 1);
    assert_fails(TB_ERR_TIMEOUT, "", tb_pool_map_timeout(pool, twice, in, 4, out, 0.05));
    assert_false(tb_pool_has_next(pool));
    gate_open(&g);
    gate_open(&h);
    assert_ok(tb_release_all(busy, 2));
    end_pool(pool, a, 2);
}

static void a_dead_actor_leaves_the_pool(void **state)
{
    tb_actor a[2], third;
    tb_pool *pool = pool_of(a, 2);
    tb_ref r;

    (void)state;
    assert_ok(tb_pool_submit(pool, dies));
    for (int i = 0; i < 20; i++)
        assert_ok(tb_pool_submit(pool, twice, i));
    assert_ok(tb_pool_get_next(pool, &r));
    assert_call_fails(TB_ERR_ACTOR_DIED, "signal 9", r);
    for (int i = 0; i < 20; i++)
        assert_int_equal(next_int(pool), 2 * i);
    assert_ok(tb_pool_submit(pool, dies));
    assert_ok(tb_pool_submit(pool, twice, 21));
    assert_ok(tb_pool_get_next(pool, &r));
    assert_call_fails(TB_ERR_ACTOR_DIED, "", r);
    assert_fails(TB_ERR_ACTOR_DIED, "all actors of the pool have died", tb_pool_get_next(pool, &r));
    third = tb_actor_new(doubler);
    assert_ok(tb_pool_push(pool, third));
    assert_ok(tb_actor_release(third));
    assert_int_equal(next_int(pool), 42);
    end_pool(pool, a, 2);
}

static void a_pool_ends_with_calls_under_way(void **state)
{
    struct gate g = gate_new();
    tb_actor a[1], null = {0, 0};
    tb_pool *pool = pool_of(a, 1);
    tb_ref r;

    (void)state;
    assert_ok(tb_pool_submit(pool, twice_at_gate, g.path, 1));
    assert_ok(tb_pool_submit(pool, twice, 2)); /* dropped */
    tb_pool_free(pool);
    gate_open(&g);
    assert_int_equal(get_int(tb_actor_call(a[0], calls)), 0);
    assert_ok(tb_actor_release(a[0]));
    tb_pool_free(NULL);
    assert_null(tb_pool_new(&null, 1));
    assert_non_null(strstr(tb_last_error(), "the actor is null"));
    pool = tb_pool_new(NULL, 0);
    assert_ok(tb_pool_submit(pool, twice, 1));
    assert_fails(TB_ERR_ARGUMENT, "no actors", tb_pool_get_next(pool, &r));
    tb_pool_free(pool);
    assert_fails(TB_ERR_ARGUMENT, "pool is NULL", tb_pool_submit(NULL, twice, 1));
}

/* A task that has a pool, a map and an array to work on. */
static int works_with_tools(tb_call *call)
{
    tb_actor a[2] = {tb_actor_new(doubler), tb_actor_new(doubler)};
    tb_pool *pool = tb_pool_new(a, 2);
    int in[100], out[100], sum = 0;
    double y[100];

    for (int i = 0; i < 100; i++)
        in[i] = i;
    tb_must(tb_pool_map(pool, twice, in, 100, out));
    tb_must(tb_map(scaled, in, 100, 10, y, 3.0));
    for (int i = 0; i < 100; i++)
        sum += out[i] + (int)y[i];
    tb_pool_free(pool);
    return tb_return(call, sum);
}
TB_TASK(works_with_tools);

static void tools_work_in_tasks(void **state)
{
    tb_ref r[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        r[i] = tb_remote(works_with_tools);
    for (int i = 0; i < 3; i++)
        assert_int_equal(get_int(r[i]), 5 * 4950);
}

RUN(cmocka_unit_test(a_map_gives_each_element_its_place),
    cmocka_unit_test(a_map_takes_and_gives_structs),
    cmocka_unit_test(a_map_that_fails_names_the_elements_and_zeroes_all),
    cmocka_unit_test(a_map_that_takes_too_long_is_cancelled),
    cmocka_unit_test(results_come_in_the_order_of_the_calls),
    cmocka_unit_test(a_slow_call_does_not_hold_up_the_others),
    cmocka_unit_test(calls_go_to_idle_actors_only),
    cmocka_unit_test(arguments_that_wait_are_kept),
    cmocka_unit_test(maps_over_a_pool_give_all_results),
    cmocka_unit_test(what_fails_in_a_map_is_told),
    cmocka_unit_test(a_dead_actor_leaves_the_pool),
    cmocka_unit_test(a_pool_ends_with_calls_under_way),
    cmocka_unit_test(tools_work_in_tasks))
