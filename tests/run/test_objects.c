/* test_objects.c - holds objects, refs and views: put, built in place, read in every way, nested, counted
 * and waited for with timeouts. */
#include "gate.h"
#include "run.h"

static int identity(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(identity);

static int gated(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 1);
}
TB_TASK(gated, .num_cpus = TB_NONE);

static int get_nested(tb_call *call)
{
    tb_ref inner = tb_arg_ref(call, 0);
    int v;

    tb_must(tb_get(inner, &v));
    return tb_return(call, v * 2);
}
TB_TASK(get_nested);

static int sum_of_refs(tb_call *call)
{
    const tb_ref *refs;
    int v[16], sum = 0;
    size_t n;

    tb_must(tb_arg_array(call, 0, &refs, &n));
    tb_must(tb_get_all(refs, n, v));
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return tb_return(call, sum);
}
TB_TASK(sum_of_refs);

static int returns_a_ref(tb_call *call)
{
    tb_ref made = tb_put(tb_arg_int(call, 0));

    return tb_return(call, tb_nested(made)); /* released at the end, but in the result */
}
TB_TASK(returns_a_ref);

static int returns_refs_and_lets_them_go(tb_call *call)
{
    tb_ref a = tb_put(tb_arg_int(call, 0)), b[2] = {tb_put(1), tb_put(2)};
    int rc = tb_return(call, tb_nested(a), tb_array(b, 2));

    TB_SCOPE {
        tb_ref two[2] = {b[0], tb_put(3)};

        tb_must(tb_return_at(call, 1, tb_array(two, 2)));
    }
    tb_must(tb_release(a));
    tb_must(tb_release_all(b, 2));
    return rc;
}
TB_TASK(returns_refs_and_lets_them_go);

static tb_ref kept;
static int keeps_its_argument(tb_call *call)
{
    kept = tb_arg_ref(call, 0);
    tb_must(tb_retain(kept));
    return tb_return(call, getpid());
}
TB_TASK(keeps_its_argument);

static int uses_what_it_kept(tb_call *call)
{
    int v;

    if (tb_ref_is_null(kept))
        return tb_return(call, -1); /* another process */
    tb_must(tb_get(kept, &v));
    tb_must(tb_release(kept));
    kept = (tb_ref){0, 0};
    return tb_return(call, v);
}
TB_TASK(uses_what_it_kept);

static void what_is_put_is_got(void **state)
{
    tb_ref a = tb_put(3), b = tb_put(2.5f), c = tb_put("text");
    const char *text;
    double d;
    int i;

    (void)state;
    assert_ok(tb_get(a, &i));
    assert_ok(tb_get(b, &d));
    assert_ok(tb_get(c, &text));
    assert_true(i == 3 && d == 2.5);
    assert_string_equal(text, "text");
    assert_ok(tb_release(a));
    assert_ok(tb_release(b));
    assert_ok(tb_release(c));
}

static void an_array_is_built_in_place(void **state)
{
    const double *view;
    double *room;
    size_t n = 100000, m;
    tb_ref a = tb_create_array(&room, n), b;

    (void)state;
    assert_non_null(room);
    assert_fails(TB_ERR_STATE, "not sealed", tb_get_array(a, &view, &m));
    b = tb_remote(identity, a);
    assert_fails(TB_ERR_STATE, "not sealed", tb_get(b, NULL));
    assert_ok(tb_release(b));
    for (size_t i = 0; i < n; i++)
        room[i] = (double)i;
    assert_ok(tb_seal(a));
    assert_fails(TB_ERR_REF, "sealed already", tb_seal(a));
    assert_ok(tb_get_array(a, &view, &m));
    assert_true(m == n && view[n - 1] == (double)(n - 1));
    assert_ok(tb_unpin(a));
    assert_fails(TB_ERR_REF, "no view", tb_unpin(a));
    assert_ok(tb_release(a));
    a = tb_create_array(&room, n);
    assert_ok(tb_release(a)); /* never sealed: its room comes back */
}

static void views_stay_until_the_last_is_unpinned(void **state)
{
    int x[3000] = {7};
    const int *a, *b;
    size_t n;
    tb_ref r = tb_put_array(x, 3000);

    (void)state;
    assert_ok(tb_get_array(r, &a, &n));
    assert_ok(tb_get_array(r, &b, NULL));
    assert_ptr_equal(a, b);
    assert_ok(tb_unpin(r));
    assert_int_equal(b[0], 7);
    assert_int_equal(b[2999], 0);
    assert_ok(tb_unpin(r));
    assert_ok(tb_release(r));
}

static void several_are_got_at_once_the_same_one_twice(void **state)
{
    tb_ref a = tb_remote(identity, 1), b = tb_put(2), refs[4] = {a, b, a, b};
    int v[4];

    (void)state;
    assert_ok(tb_get_all(refs, 4, v));
    assert_true(v[0] == 1 && v[1] == 2 && v[2] == 1 && v[3] == 2);
    assert_ok(tb_get_all(refs, 0, v));
    assert_ok(tb_release(a));
    assert_ok(tb_release(b));
}

static void a_nested_ref_stays_a_ref(void **state)
{
    tb_ref a = tb_put(21), doubled = tb_remote(get_nested, tb_nested(a)), inner;
    tb_ref r = tb_remote(returns_a_ref, 5), in_object = tb_put(tb_nested(a));
    int v;

    (void)state;
    assert_ok(tb_release(a)); /* the task and the object hold it */
    assert_ok(tb_get(doubled, &v));
    assert_int_equal(v, 42);
    assert_ok(tb_get(r, &inner));
    assert_ok(tb_release(r)); /* the ref read from it is ours */
    assert_ok(tb_get(inner, &v));
    assert_int_equal(v, 5);
    assert_ok(tb_release(inner));
    assert_ok(tb_get(in_object, &inner));
    assert_true(tb_ref_equal(inner, a));
    assert_ok(tb_get(inner, &v));
    assert_int_equal(v, 21);
    assert_ok(tb_release(inner));
    assert_ok(tb_release(in_object));
    assert_ok(tb_release(doubled));
}

static void a_result_holds_what_it_refers_to(void **state)
{
    tb_ref r[2], inner;
    const tb_ref *view;
    size_t n;
    int v[2];

    (void)state;
    assert_ok(tb_remote_n(returns_refs_and_lets_them_go, r, 2, 11));
    assert_ok(tb_get(r[0], &inner));
    assert_ok(tb_get(inner, v));
    assert_int_equal(v[0], 11);
    assert_ok(tb_get_array(r[1], &view, &n));
    assert_int_equal(n, 2);
    assert_ok(tb_get_all(view, 2, v));
    assert_true(v[0] == 1 && v[1] == 3);
    assert_ok(tb_release(inner));
    assert_ok(tb_release_all(r, 2));
}

static void an_array_of_refs_keeps_them_alive(void **state)
{
    tb_ref r[16], all, sum, object;
    const tb_ref *view;
    size_t n;
    int v;

    (void)state;
    for (int i = 0; i < 16; i++)
        r[i] = i % 2 ? tb_put(i) : tb_remote(identity, i);
    sum = tb_remote(sum_of_refs, tb_array(r, 16));
    object = tb_put_array(r, 16);
    assert_ok(tb_release_all(r, 16));
    all = tb_remote(sum_of_refs, object);
    assert_ok(tb_get(sum, &v));
    assert_int_equal(v, 120);
    assert_ok(tb_get(all, &v));
    assert_int_equal(v, 120);
    assert_ok(tb_get_array(object, &view, &n));
    assert_int_equal(n, 16);
    assert_ok(tb_get(view[3], &v));
    assert_int_equal(v, 3);
    assert_ok(tb_retain(view[5]));
    r[5] = view[5];
    assert_ok(tb_release(object));
    assert_ok(tb_get(r[5], &v));
    assert_int_equal(v, 5);
    assert_ok(tb_release(r[5]));
    assert_fails(TB_ERR_REF, "freed", tb_get(r[7], &v));
    assert_ok(tb_release(sum));
    assert_ok(tb_release(all));
}

static void a_ref_may_be_kept_over_the_end_of_a_task(void **state)
{
    tb_ref a = tb_put(77), pid = tb_remote(keeps_its_argument, tb_nested(a)), again;
    int v, p;

    (void)state;
    assert_ok(tb_get(pid, &p));
    assert_ok(tb_release(a));
    again = tb_remote(uses_what_it_kept);
    assert_ok(tb_get(again, &v));
    assert_true(v == 77 || v == -1);
    assert_ok(tb_release(again));
    assert_ok(tb_release(pid));
}

static void a_get_gives_up_at_its_timeout(void **state)
{
    struct gate g = gate_new();
    tb_ref r = tb_remote(gated, g.path);
    int v;

    (void)state;
    assert_fails(TB_ERR_TIMEOUT, "1 of 1", tb_get_timeout(r, &v, 0.01));
    assert_fails(TB_ERR_TIMEOUT, "within 0 seconds", tb_get_timeout(r, &v, 0));
    gate_open(&g);
    assert_ok(tb_get(r, &v));
    assert_int_equal(v, 1);
    assert_ok(tb_get_timeout(r, &v, 0)); /* it is here */
    assert_ok(tb_release(r));
}

static void a_string_must_fit_the_buffer(void **state)
{
    tb_ref r = tb_put("12345");
    char text[6];

    (void)state;
    assert_fails(TB_ERR_ARGUMENT, "needs 6 bytes", tb_get_string(r, text, 5));
    assert_string_equal(text, "");
    assert_ok(tb_get_string(r, text, 6));
    assert_string_equal(text, "12345");
    assert_ok(tb_release(r));
}

static void counts_are_the_callers(void **state)
{
    tb_ref r = tb_put(1);
    int v;

    (void)state;
    assert_ok(tb_retain(r));
    assert_ok(tb_release(r));
    assert_ok(tb_get(r, &v));
    assert_ok(tb_release(r));
    assert_int_equal(tb_release(r), TB_ERR_REF);
}

static tb_ref made_in_scope(tb_ref *dead)
{
    TB_SCOPE {
        tb_ref a = tb_put(1), b = tb_put(2);

        *dead = a;
        tb_must(tb_scope_keep(b));
        return b;
    }
    return *dead;
}

static void a_scope_releases_what_was_made_in_it(void **state)
{
    tb_ref dead, alive = made_in_scope(&dead), outer;
    int v;

    (void)state;
    assert_ok(tb_get(alive, &v));
    assert_int_equal(v, 2);
    assert_fails(TB_ERR_REF, "freed", tb_get(dead, &v));
    assert_ok(tb_release(alive));
    TB_SCOPE {
        TB_SCOPE {
            outer = tb_remote(identity, 9);
            assert_ok(tb_scope_keep(outer));
            dead = tb_remote(identity, 8);
            assert_ok(tb_release(dead));
            dead = tb_remote(identity, 7);
            break;
        }
        assert_fails(TB_ERR_REF, "freed", tb_get(dead, &v));
        assert_ok(tb_get(outer, &v));
    }
    assert_fails(TB_ERR_REF, "freed", tb_get(outer, &v));
}

static void a_scope_takes_what_it_is_given(void **state)
{
    tb_ref r = tb_put(5), kept;
    int v;

    (void)state;
    assert_ok(tb_scope_give(r)); /* there is no scope to take it */
    TB_SCOPE {
        kept = tb_put(6);
        assert_ok(tb_retain(kept)); /* outlives the scope */
        assert_ok(tb_scope_give(r));
        assert_ok(tb_get(r, &v));
    }
    assert_fails(TB_ERR_REF, "freed", tb_get(r, &v));
    assert_fails(TB_ERR_REF, "does not hold the ref", tb_scope_give(r));
    assert_ok(tb_get(kept, &v));
    assert_int_equal(v, 6);
    assert_ok(tb_release(kept));
}

RUN(cmocka_unit_test(what_is_put_is_got),
    cmocka_unit_test(an_array_is_built_in_place),
    cmocka_unit_test(views_stay_until_the_last_is_unpinned),
    cmocka_unit_test(several_are_got_at_once_the_same_one_twice),
    cmocka_unit_test(a_nested_ref_stays_a_ref),
    cmocka_unit_test(a_result_holds_what_it_refers_to),
    cmocka_unit_test(an_array_of_refs_keeps_them_alive),
    cmocka_unit_test(a_ref_may_be_kept_over_the_end_of_a_task),
    cmocka_unit_test(a_get_gives_up_at_its_timeout),
    cmocka_unit_test(a_string_must_fit_the_buffer),
    cmocka_unit_test(counts_are_the_callers),
    cmocka_unit_test(a_scope_releases_what_was_made_in_it),
    cmocka_unit_test(a_scope_takes_what_it_is_given))
