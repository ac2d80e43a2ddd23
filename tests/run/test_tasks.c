/* test_tasks.c - holds tasks as a program sees them: what is passed and returned, in every number and
 * kind, and that nothing is lost on the way through messages or the store. */
#include "run.h"

#include <complex.h>

struct point {
    double x, y;
    int id;
};

static int one(tb_call *call) { return tb_return(call, 1); }
TB_TASK(one);

static int add_one(tb_call *call) { return tb_return(call, tb_arg_int(call, 0) + 1); }
TB_TASK(add_one);

static int three(tb_call *call) { return tb_return(call, 1, 2.5, "three"); }
TB_TASK(three);

static int nothing(tb_call *call) { return call == NULL; }
TB_TASK(nothing);

static void a_task_returns_its_value(void **state)
{
    tb_ref a = tb_remote(one);
    int v = 0;

    (void)state;
    assert_ok(tb_get(a, &v));
    assert_int_equal(v, 1);
    assert_ok(tb_get(a, &v));
    assert_ok(tb_get(a, NULL));
    assert_ok(tb_release(a));
}

static void a_ref_is_passed_as_its_value(void **state)
{
    tb_ref a = tb_remote(one), b = tb_remote(add_one, a), c = tb_remote(add_one, b);
    int v = 0;

    (void)state;
    assert_ok(tb_release(a)); /* the tasks hold what they need */
    assert_ok(tb_release(b));
    assert_ok(tb_get(c, &v));
    assert_int_equal(v, 3);
    assert_ok(tb_release(c));
}

static void a_task_has_as_many_results_as_it_is_asked_for(void **state)
{
    tb_ref r[3];
    double d;
    int i;
    char text[8];

    (void)state;
    assert_ok(tb_remote_n(three, r, 3));
    assert_ok(tb_get(r[0], &i));
    assert_ok(tb_get(r[1], &d));
    assert_ok(tb_get_string(r[2], text, sizeof text));
    assert_int_equal(i, 1);
    assert_true(d == 2.5);
    assert_string_equal(text, "three");
    assert_ok(tb_release_all(r, 3));
    assert_ok(tb_remote_n(nothing, NULL, 0));
    assert_ok(tb_remote_v(one, NULL, r, 1, NULL, 0));
    assert_ok(tb_get(r[0], &i));
    assert_ok(tb_release(r[0]));
}

static int many(tb_call *call)
{
    int n = tb_arg_int(call, 0);

    for (int i = 0; i < n; i++)
        tb_return_at(call, (size_t)i, i * i);
    return 0;
}
TB_TASK(many);

static void a_task_may_have_a_thousand_results(void **state)
{
    tb_ref r[1000];
    int v[1000];

    (void)state;
    assert_ok(tb_remote_n(many, r, 1000, 1000));
    assert_ok(tb_get_all(r, 1000, v));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(v[i], i * i);
    assert_ok(tb_release_all(r, 1000));
}

static int all_kinds(tb_call *call)
{
    signed char i8;
    unsigned long u64;
    float f;
    double complex z;
    bool b;
    const char *text;
    struct point p;
    const unsigned char *bytes;
    size_t n;
    int rc = 0;

    tb_must(tb_arg(call, 0, &i8));
    tb_must(tb_arg(call, 1, &u64));
    tb_must(tb_arg(call, 2, &f));
    tb_must(tb_arg(call, 3, &z));
    tb_must(tb_arg(call, 4, &b));
    tb_must(tb_arg(call, 5, &text));
    tb_must(tb_arg_struct(call, 6, &p));
    tb_must(tb_arg_bytes(call, 7, &bytes, &n));
    rc += i8 != -3;
    rc += u64 != 1ul << 40;
    rc += f != 0.5f;
    rc += z != 1 + 2 * I;
    rc += !b;
    rc += strcmp(text, "text") != 0;
    rc += p.x != 1 || p.y != 2 || p.id != 3;
    rc += n != 4 || memcmp(bytes, "abc", 4) != 0;
    rc += tb_num_args(call) != 8;
    return tb_return(call, rc);
}
TB_TASK(all_kinds);

static void every_kind_of_value_arrives_as_it_was_sent(void **state)
{
    struct point p = {1, 2, 3};
    double complex z = 1 + 2 * I;
    tb_ref r = tb_remote(all_kinds, (signed char)-3, 1ul << 40, 0.5f, z, (bool)1, "text",
                         tb_struct(p), tb_bytes("abc", 4));
    int wrong = -1;

    (void)state;
    assert_ok(tb_get(r, &wrong));
    assert_int_equal(wrong, 0);
    assert_ok(tb_release(r));
}

static int scale(tb_call *call)
{
    double factor, *out;
    const double *in;
    size_t n;
    int rc;

    if ((rc = tb_arg(call, 0, &factor)) || (rc = tb_arg_array(call, 1, &in, &n)))
        return rc;
    if ((rc = tb_return_array(call, 0, &out, n)))
        return rc;
    for (size_t i = 0; i < n; i++)
        out[i] = factor * in[i];
    return 0;
}
TB_TASK(scale);

static void scaled(size_t n)
{
    double *grid = malloc((n + 1) * sizeof *grid);
    const double *view;
    size_t m;
    tb_ref g, s, t;

    for (size_t i = 0; i < n; i++)
        grid[i] = (double)i;
    g = tb_put_array(grid, n);
    s = tb_remote(scale, 2.0, g);
    t = tb_remote(scale, 0.5, tb_array(grid, n)); /* large: put by the call itself */
    assert_ok(tb_get_array(s, &view, &m));
    assert_int_equal(m, n);
    for (size_t i = 0; i < n; i++)
        assert_true(view[i] == 2.0 * (double)i);
    assert_ok(tb_unpin(s));
    assert_ok(tb_get_array(t, &view, &m));
    for (size_t i = 0; i < n; i++)
        assert_true(view[i] == 0.5 * (double)i);
    assert_ok(tb_release(g));
    assert_ok(tb_release(s));
    assert_ok(tb_release(t));
    free(grid);
}

static void arrays_of_any_size_go_through_messages_or_the_store(void **state)
{
    (void)state;
    scaled(0);
    scaled(1);
    scaled(200);  /* a message */
    scaled(300);  /* the store */
    scaled(100000);
}

static int sum_shape(tb_call *call)
{
    uint64_t shape[TB_MAX_DIMS];
    const float *x;
    size_t n;
    int ndim;
    double sum = 0;

    tb_must(tb_arg_shape(call, 0, &ndim, shape));
    tb_must(tb_arg_array(call, 0, &x, &n));
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return tb_return(call, ndim, (double)(shape[0] * 1000 + shape[1]), sum);
}
TB_TASK(sum_shape);

static void an_array_keeps_its_shape(void **state)
{
    float grid[6] = {1, 2, 3, 4, 5, 6};
    uint64_t shape[2] = {2, 3}, seen[TB_MAX_DIMS];
    tb_ref g = tb_put_array_as(TB_FLOAT, grid, 6, 2, shape), r[3];
    double shape_text, sum;
    int ndim;

    (void)state;
    assert_ok(tb_get_shape(g, &ndim, seen));
    assert_int_equal(ndim, 2);
    assert_int_equal(seen[1], 3);
    assert_ok(tb_remote_n(sum_shape, r, 3, g));
    assert_ok(tb_get(r[0], &ndim));
    assert_ok(tb_get(r[1], &shape_text));
    assert_ok(tb_get(r[2], &sum));
    assert_int_equal(ndim, 2);
    assert_true(shape_text == 2003 && sum == 21);
    assert_ok(tb_release_all(r, 3));
    assert_ok(tb_release(g));
}

static int sum_points(tb_call *call)
{
    const struct point *p;
    struct point sum = {0, 0, 0}, *out;
    size_t n;

    tb_must(tb_arg_records(call, 0, &p, &n));
    for (size_t i = 0; i < n; i++) {
        sum.x += p[i].x;
        sum.id += p[i].id;
    }
    tb_must(tb_return_records(call, 1, &out, 2));
    out[0] = out[1] = sum;
    return tb_return_at(call, 0, tb_struct(sum));
}
TB_TASK(sum_points);

static void structs_travel_alone_and_in_arrays(void **state)
{
    struct point p[3] = {{1, 0, 1}, {2, 0, 2}, {3, 0, 3}}, sum;
    const struct point *view;
    tb_ref a = tb_put_records(p, 3), r[2];
    size_t n;

    (void)state;
    assert_ok(tb_remote_n(sum_points, r, 2, a));
    assert_ok(tb_get_struct(r[0], &sum));
    assert_true(sum.x == 6 && sum.id == 6);
    assert_ok(tb_get_records(r[1], &view, &n));
    assert_int_equal(n, 2);
    assert_true(view[1].x == 6);
    assert_ok(tb_release_all(r, 2));
    assert_ok(tb_release(a));
}

static int options_cpus(tb_call *call) { return tb_return(call, 7); }
TB_TASK(options_cpus, .num_cpus = 0.25);

static void options_of_a_call_come_before_those_of_the_task(void **state)
{
    tb_ref a = tb_remote_with(options_cpus, TB_OPTIONS(.num_cpus = TB_NONE));
    tb_ref b = tb_remote_with(options_cpus, TB_OPTIONS(.num_cpus = 1e5));
    tb_options mine = {.num_cpus = 0.5};
    tb_ref c = tb_remote_with(options_cpus, &mine);
    int v;

    (void)state;
    assert_ok(tb_get(a, &v));
    assert_fails(TB_ERR_INFEASIBLE, "100000 CPUs", tb_get(b, &v));
    assert_ok(tb_get(c, &v));
    assert_int_equal(v, 7);
    assert_ok(tb_release(a));
    assert_ok(tb_release(b));
    assert_ok(tb_release(c));
}

static int echo_big(tb_call *call)
{
    const char *text;

    tb_must(tb_arg(call, 0, &text));
    return tb_return(call, text);
}
TB_TASK(echo_big);

static void a_long_string_goes_through_the_store(void **state)
{
    size_t n = 100000;
    char *text = malloc(n);
    const char *back;
    tb_ref r;

    (void)state;
    memset(text, 'x', n);
    text[n - 1] = 0;
    r = tb_remote(echo_big, text);
    memset(text, 'y', n - 1); /* it was copied */
    assert_ok(tb_get(r, &back));
    assert_int_equal(strlen(back), n - 1);
    assert_true(back[0] == 'x' && back[n - 2] == 'x');
    assert_ok(tb_release(r));
    free(text);
}

static int twenty(tb_call *call)
{
    int sum = 0;

    for (size_t i = 0; i < tb_num_args(call); i++)
        sum += tb_arg_int(call, i);
    return tb_return(call, sum);
}
TB_TASK(twenty);

static void twenty_arguments_stand_in_a_call_and_any_number_in_the_general_form(void **state)
{
    tb_ref a = tb_remote(twenty, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                         20), b;
    tb_value values[1000];
    int v;

    (void)state;
    assert_ok(tb_get(a, &v));
    assert_int_equal(v, 210);
    for (int i = 0; i < 1000; i++)
        values[i] = tb_value_of(i);
    assert_ok(tb_remote_v(twenty, NULL, &b, 1, values, 1000));
    assert_ok(tb_get(b, &v));
    assert_int_equal(v, 499500);
    assert_ok(tb_release(a));
    assert_ok(tb_release(b));
}

static int context(tb_call *call)
{
    tb_ref id = tb_call_task_id(call);

    return tb_return(call, tb_call_rank(call), tb_call_attempt(call), tb_call_host(call),
                     !tb_ref_is_null(id) && strcmp(tb_call_function(call), "context") == 0);
}
TB_TASK(context);

static void a_task_knows_where_it_runs(void **state)
{
    tb_ref r[4];
    int rank, attempt;
    bool named;
    char host[80];

    (void)state;
    assert_ok(tb_remote_n(context, r, 4));
    assert_ok(tb_get(r[0], &rank));
    assert_ok(tb_get(r[1], &attempt));
    assert_ok(tb_get_string(r[2], host, sizeof host));
    assert_ok(tb_get(r[3], &named));
    assert_true(rank >= 0 && attempt == 0 && strlen(host) > 0 && named);
    assert_ok(tb_release_all(r, 4));
}

static void ten_thousand_tasks_all_return(void **state)
{
    enum { N = 10000 };
    tb_ref *r = malloc(N * sizeof *r);
    int *v = malloc(N * sizeof *v);

    (void)state;
    for (int i = 0; i < N; i++)
        r[i] = tb_remote(add_one, i);
    assert_ok(tb_get_all(r, N, v));
    for (int i = 0; i < N; i++)
        assert_int_equal(v[i], i + 1);
    assert_ok(tb_release_all(r, N));
    free(r);
    free(v);
}

RUN(cmocka_unit_test(a_task_returns_its_value),
    cmocka_unit_test(a_ref_is_passed_as_its_value),
    cmocka_unit_test(a_task_has_as_many_results_as_it_is_asked_for),
    cmocka_unit_test(a_task_may_have_a_thousand_results),
    cmocka_unit_test(every_kind_of_value_arrives_as_it_was_sent),
    cmocka_unit_test(arrays_of_any_size_go_through_messages_or_the_store),
    cmocka_unit_test(an_array_keeps_its_shape),
    cmocka_unit_test(structs_travel_alone_and_in_arrays),
    cmocka_unit_test(options_of_a_call_come_before_those_of_the_task),
    cmocka_unit_test(a_long_string_goes_through_the_store),
    cmocka_unit_test(twenty_arguments_stand_in_a_call_and_any_number_in_the_general_form),
    cmocka_unit_test(a_task_knows_where_it_runs),
    cmocka_unit_test(ten_thousand_tasks_all_return))
