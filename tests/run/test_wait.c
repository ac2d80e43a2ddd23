/* test_wait.c - holds tb_wait: order, numbers, polling, failed ones, duplicates. */
#include "gate.h"
#include "run.h"

static int identity(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(identity, .num_cpus = TB_NONE);

static int gated(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 1);
}
TB_TASK(gated, .num_cpus = TB_NONE);

static int fails(tb_call *call) { return tb_fail(call, "always"); }
TB_TASK(fails, .num_cpus = TB_NONE);

static int big(tb_call *call)
{
    int *room;

    tb_must(tb_return_array(call, 0, &room, 10000));
    room[0] = 1;
    return 0;
}
TB_TASK(big, .num_cpus = TB_NONE);

static void the_ready_ones_come_first_and_order_is_kept(void **state)
{
    struct gate g = gate_new(), h = gate_new();
    tb_ref a = tb_remote(gated, g.path), b = tb_remote(identity, 1), c = tb_remote(gated, h.path),
           d = tb_remote(identity, 2), r[4] = {a, b, c, d};
    size_t ready;

    (void)state;
    assert_ok(tb_wait(r, 4, 2, -1, &ready));
    assert_int_equal(ready, 2);
    assert_true(tb_ref_equal(r[0], b) && tb_ref_equal(r[1], d));
    assert_true(tb_ref_equal(r[2], a) && tb_ref_equal(r[3], c));
    assert_ok(tb_wait(r, 4, 3, 0.01, &ready)); /* in vain */
    assert_int_equal(ready, 2);
    gate_open(&h);
    assert_ok(tb_wait(r + 2, 2, 1, -1, &ready));
    assert_true(ready == 1 && tb_ref_equal(r[2], c));
    gate_open(&g);
    assert_ok(tb_wait(r, 4, 4, -1, &ready));
    assert_int_equal(ready, 4);
    assert_ok(tb_release_all(r, 4));
}

/* Of many refs those behind the ones that suffice are not looked at. */
static void of_many_the_ready_one_is_found_wherever_it_is(void **state)
{
    enum { N = 500 };
    static const int places[] = {0, 1, 63, 64, 65, N - 1};
    struct gate g = gate_new();
    tb_ref first = tb_remote(gated, g.path), pending[N], r[N], done = tb_put(1);
    size_t ready;

    (void)state;
    for (int i = 0; i < N - 1; i++)
        pending[i] = tb_remote(identity, first);
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        int at = places[k];

        for (int i = 0; i < N; i++)
            r[i] = i == at ? done : pending[i - (i > at)];
        assert_ok(tb_wait(r, N, 1, -1, &ready));
        assert_int_equal(ready, 1);
        assert_true(tb_ref_equal(r[0], done));
        for (int i = 1; i < N; i++)
            assert_true(tb_ref_equal(r[i], pending[i - 1]));
    }
    gate_open(&g);
    assert_ok(tb_wait(r, N, N, -1, &ready));
    assert_int_equal(ready, N);
    assert_ok(tb_release_all(r, N));
    assert_ok(tb_release(first));
}

static void never_more_than_were_asked_for(void **state)
{
    tb_ref r[3] = {tb_put(1), tb_put(2), tb_put(3)};
    size_t ready;

    (void)state;
    assert_ok(tb_wait(r, 3, 1, -1, &ready));
    assert_int_equal(ready, 1);
    assert_ok(tb_release_all(r, 3));
}

static void a_timeout_of_0_only_looks(void **state)
{
    struct gate g = gate_new();
    tb_ref r[2] = {tb_remote(gated, g.path), tb_remote(big)};
    size_t ready;

    (void)state;
    assert_ok(tb_get(r[1], NULL));
    assert_ok(tb_wait(r, 2, 2, 0, &ready));
    assert_int_equal(ready, 1);
    assert_ok(tb_wait(r + 1, 1, 1, 0, &ready));
    assert_int_equal(ready, 0);
    gate_open(&g);
    do /* looking again and again must find it in the end */
        assert_ok(tb_wait(r, 2, 2, 0, &ready));
    while (ready < 2);
    assert_ok(tb_release_all(r, 2));
}

static void a_failed_one_is_ready(void **state)
{
    tb_ref r[1] = {tb_remote(fails)};
    size_t ready;

    (void)state;
    assert_ok(tb_wait(r, 1, 1, -1, &ready));
    assert_int_equal(ready, 1);
    assert_int_equal(tb_get(r[0], NULL), TB_ERR_TASK);
    assert_ok(tb_release_all(r, 1));
}

static void it_may_be_left_where_it_is(void **state)
{
    tb_ref r[2] = {tb_remote(big), tb_put(1)};
    const int *view;
    size_t ready, n;

    (void)state;
    assert_ok(tb_wait_with(r, 2, 2, -1, TB_WAIT_ONLY_EXISTS, &ready));
    assert_int_equal(ready, 2);
    assert_ok(tb_get_array(r[0], &view, &n));
    assert_int_equal(view[0], 1);
    assert_ok(tb_release_all(r, 2));
}

static void bad_counts_duplicates_and_dead_refs_are_errors(void **state)
{
    tb_ref a = tb_put(1), b = tb_put(2), r[2] = {a, a}, s[2] = {a, {0, 0}};
    size_t ready = 9;

    (void)state;
    assert_fails(TB_ERR_ARGUMENT, "twice", tb_wait(r, 2, 1, -1, &ready));
    assert_int_equal(ready, 0);
    r[1] = b;
    assert_fails(TB_ERR_ARGUMENT, "num_returns = 3 of 2", tb_wait(r, 2, 3, -1, &ready));
    assert_fails(TB_ERR_ARGUMENT, "num_returns = 0", tb_wait(r, 2, 0, -1, &ready));
    assert_fails(TB_ERR_ARGUMENT, "flags", tb_wait_with(r, 2, 1, -1, 8, &ready));
    assert_fails(TB_ERR_ARGUMENT, "NULL", tb_wait(r, 2, 1, -1, NULL));
    assert_fails(TB_ERR_REF, "null", tb_wait(s, 2, 1, -1, &ready));
    assert_ok(tb_release(a));
    assert_ok(tb_release(b));
}

static void a_thousand_are_taken_one_by_one(void **state)
{
    enum { N = 1000 };
    tb_ref r[N];
    size_t ready;
    int sum = 0, v;

    (void)state;
    for (int i = 0; i < N; i++)
        r[i] = tb_remote(identity, i);
    for (size_t left = N, at = 0; left > 0; left -= ready, at += ready) {
        assert_ok(tb_wait(r + at, left, 1, -1, &ready));
        assert_int_equal(ready, 1);
        assert_ok(tb_get(r[at], &v));
        assert_ok(tb_release(r[at]));
        sum += v;
    }
    assert_int_equal(sum, N * (N - 1) / 2);
}

RUN(cmocka_unit_test(the_ready_ones_come_first_and_order_is_kept),
    cmocka_unit_test(of_many_the_ready_one_is_found_wherever_it_is),
    cmocka_unit_test(never_more_than_were_asked_for),
    cmocka_unit_test(a_timeout_of_0_only_looks),
    cmocka_unit_test(a_failed_one_is_ready),
    cmocka_unit_test(it_may_be_left_where_it_is),
    cmocka_unit_test(bad_counts_duplicates_and_dead_refs_are_errors),
    cmocka_unit_test(a_thousand_are_taken_one_by_one))
