/* test_actor.c - holds what actors are to their callers: state that lasts from call to call, in the order of each
 * caller; handles that are values and keep the actor alive; names; and clear errors for what cannot be. How actors
 * die and come back is in test_restart.c, calls that run at once in test_concurrency.c. */
#include "counter.h"

#include <math.h>

static int add(tb_call *call) { return tb_return(call, tb_arg_int(call, 0) + tb_arg_int(call, 1)); }
TB_TASK(add, .num_cpus = TB_NONE);

/* Returns 7 when the gate opens. */
static int late(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 7);
}
TB_TASK(late, .num_cpus = TB_NONE);

/* ---- the walk-through ---- */

static void a_counter_counts(void **state)
{
    tb_actor c = tb_actor_new(counter, 0);

    (void)state;
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 1);
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 2);
    assert_ok(tb_actor_release(c));
}

static void ten_counters_live_beside_each_other(void **state)
{
    tb_actor c[10];
    tb_ref r[10];
    int v[10];

    (void)state;
    for (int i = 0; i < 10; i++)
        c[i] = tb_actor_new(counter, 0);
    for (int i = 0; i < 10; i++)
        r[i] = tb_actor_call(c[i], counter_increment);
    assert_ok(tb_get_all(r, 10, v));
    for (int i = 0; i < 10; i++)
        assert_int_equal(v[i], 1);
    assert_ok(tb_release_all(r, 10));
    for (int i = 0; i < 5; i++)
        r[i] = tb_actor_call(c[0], counter_increment);
    assert_ok(tb_get_all(r, 5, v));
    for (int i = 0; i < 5; i++)
        assert_int_equal(v[i], i + 2);
    assert_ok(tb_release_all(r, 5));
    for (int i = 0; i < 10; i++)
        assert_ok(tb_actor_release(c[i]));
}

static void actors_hold_what_they_ask_for_explicitly(void **state)
{
    tb_actor held = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = 1), 0), free_ = tb_actor_new(counter, 0);
    double before, all;

    (void)state;
    assert_int_equal(get_int(tb_actor_call(free_, counter_increment)), 1);
    assert_int_equal(get_int(tb_actor_call(held, counter_increment)), 1);
    assert_ok(tb_cluster_resources("CPU", &all));
    assert_soon(tb_available_resources("CPU", &before) == 0 && before == all - 1);
    assert_ok(tb_actor_release(held));
    assert_soon(tb_available_resources("CPU", &before) == 0 && before == all);
    assert_ok(tb_actor_release(free_));
    held = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = 100000), 0);
    assert_call_fails(TB_ERR_INFEASIBLE, "100000 CPUs", tb_actor_call(held, counter_increment));
    assert_ok(tb_actor_release(held));
}

/* ---- order ---- */

static void calls_of_one_caller_run_in_their_order(void **state)
{
    enum { N = 200 };
    tb_actor c = tb_actor_new(counter, 0);
    tb_ref r[N];
    int v[N];

    (void)state;
    for (int i = 0; i < N; i++)
        r[i] = tb_actor_call(c, counter_increment);
    assert_ok(tb_get_all(r, N, v));
    for (int i = 0; i < N; i++)
        assert_int_equal(v[i], i + 1);
    assert_ok(tb_release_all(r, N));
    assert_ok(tb_actor_release(c));
}

/* Calls often; returns 1 if the values rose. */
static int calls_often(tb_call *call)
{
    tb_actor c = tb_arg_actor(call, 0);
    tb_ref r[100];
    int v[100];

    for (int i = 0; i < 100; i++)
        r[i] = tb_actor_call(c, counter_increment);
    tb_must(tb_get_all(r, 100, v));
    for (int i = 1; i < 100; i++)
        if (v[i] <= v[i - 1])
            return tb_fail(call, "%d after %d", v[i], v[i - 1]);
    return tb_return(call, 1);
}
TB_TASK(calls_often, .num_cpus = TB_NONE);

static void each_of_two_callers_sees_rising_values(void **state)
{
    tb_actor c = tb_actor_new(counter, 0);
    tb_ref a = tb_remote(calls_often, c), b = tb_remote(calls_often, c);

    (void)state;
    assert_int_equal(get_int(a), 1);
    assert_int_equal(get_int(b), 1);
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 201);
    assert_ok(tb_actor_release(c));
}

static void a_late_argument_holds_up_its_caller_alone(void **state)
{
    struct gate g = gate_new();
    tb_actor c = tb_actor_new(counter, 0);
    tb_ref argument = tb_remote(late, g.path);
    tb_ref first = tb_actor_call(c, counter_increment, argument), second = tb_actor_call(c, counter_increment);
    size_t ready;

    (void)state;
    assert_int_equal(get_int(tb_remote(calls_often, c)), 1); /* another caller */
    assert_ok(tb_wait((tb_ref[]){first, second}, 2, 1, 0.05, &ready));
    assert_int_equal(ready, 0);
    gate_open(&g);
    assert_int_equal(get_int(first), 107);
    assert_int_equal(get_int(second), 108);
    assert_ok(tb_release(argument));
    assert_ok(tb_actor_release(c));
}

static int fails(tb_call *call) { return tb_fail(call, "on purpose"); }
TB_TASK(fails);

static void a_failed_argument_fails_its_call_and_no_other(void **state)
{
    tb_actor c = tb_actor_new(counter, 0);
    tb_ref bad = tb_remote(fails), r = tb_actor_call(c, counter_increment, bad);

    (void)state;
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 1);
    assert_call_fails(TB_ERR_TASK, "on purpose", r);
    assert_call_fails(TB_ERR_TASK, "on purpose", bad);
    assert_ok(tb_actor_release(c));
}

/* ---- calls take and return everything ---- */

struct store { double sum; tb_ref kept; tb_actor friend; };

static int store_mix(tb_call *call, struct store *self)
{
    const double *x;
    double *out;
    size_t n;
    int rc = tb_arg_array(call, 0, &x, &n);

    if (rc == 0)
        rc = tb_return_at(call, 0, "text");
    if (rc == 0)
        rc = tb_return_array(call, 1, &out, n);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        out[i] = self->sum += x[i];
    return 0;
}

static int store_keep(tb_call *call, struct store *self)
{
    self->kept = tb_arg_ref(call, 0);
    tb_must(tb_scope_keep(self->kept)); /* else it goes with the call */
    return tb_return(call);
}

static int store_kept(tb_call *call, struct store *self)
{
    int v;
    int rc = tb_get(self->kept, &v);

    return rc != 0 ? rc : tb_return(call, v);
}

static int store_befriend(tb_call *call, struct store *self)
{
    self->friend = tb_arg_actor(call, 0);
    tb_must(tb_scope_keep_actor(self->friend));
    return tb_return(call);
}

static int store_ask(tb_call *call, struct store *self)
{
    int v;
    int rc = tb_get(tb_actor_call(self->friend, counter_increment), &v);

    return rc != 0 ? rc : tb_return(call, v);
}

static int store_unfriend(tb_call *call, struct store *self)
{
    int rc = tb_actor_release(self->friend);

    return rc != 0 ? rc : tb_return(call);
}
TB_ACTOR(store, struct store);
TB_METHOD(store, store_mix);
TB_METHOD(store, store_keep);
TB_METHOD(store, store_kept);
TB_METHOD(store, store_befriend);
TB_METHOD(store, store_ask);
TB_METHOD(store, store_unfriend);

static void calls_take_and_return_what_tasks_do(void **state)
{
    enum { N = 100000 };
    tb_actor s = tb_actor_new(store);
    double *x = calloc(N, sizeof *x);
    const double *view;
    const char *text;
    tb_ref r[2], big;
    size_t n;

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = 1;
    big = tb_put_array(x, N);
    assert_ok(tb_actor_call_n(s, store_mix, r, 2, big));
    assert_ok(tb_get(r[0], &text));
    assert_string_equal(text, "text");
    assert_ok(tb_get_array(r[1], &view, &n));
    assert_true(n == N && view[N - 1] == N);
    assert_ok(tb_release_all(r, 2));
    assert_ok(tb_actor_call_v(s, store_mix, TB_OPTIONS(.time_limit = 60), r, 2, TB_VALUES(tb_array(x, 2))));
    assert_ok(tb_get_array(r[1], &view, &n));
    assert_true(n == 2 && view[1] == N + 2);
    assert_ok(tb_release_all(r, 2));
    assert_ok(tb_release(big));
    assert_ok(tb_actor_release(s));
    free(x);
}

static void an_actor_keeps_refs_from_call_to_call(void **state)
{
    tb_actor s = tb_actor_new(store);
    tb_ref r = tb_put(42), done = tb_actor_call(s, store_keep, tb_nested(r));

    (void)state;
    assert_call_fails(TB_ERR_TASK, "0 results", done); /* tb_return(call) for a ref */
    assert_ok(tb_actor_call_n(s, store_keep, NULL, 0, tb_nested(r)));
    assert_ok(tb_release(r));
    assert_int_equal(get_int(tb_actor_call(s, store_kept)), 42);
    assert_ok(tb_actor_release(s));
}

/* ---- handles ---- */

static int increments_argument(tb_call *call)
{
    int v;
    int rc = tb_get(tb_actor_call(tb_arg_actor(call, 0), counter_increment), &v);

    return rc != 0 ? rc : tb_return(call, v);
}
TB_TASK(increments_argument);

static int makes_counter(tb_call *call)
{
    tb_actor c = tb_actor_new(counter, tb_arg_int(call, 0));

    return tb_return(call, c); /* and its own handle goes with the task */
}
TB_TASK(makes_counter);

static void a_handle_goes_through_tasks_objects_and_actors(void **state)
{
    tb_actor c = tb_actor_new(counter, 0), s = tb_actor_new(store), pair[2] = {c, s}, got;
    const tb_actor *view;
    tb_ref one, both;
    size_t n;

    (void)state;
    assert_int_equal(get_int(tb_remote(increments_argument, c)), 1);
    one = tb_put(c);
    assert_int_equal(get_int(tb_remote(increments_argument, one)), 2); /* its value is the handle */
    both = tb_put_array(pair, 2);
    assert_ok(tb_actor_call_n(s, store_befriend, NULL, 0, c));
    assert_ok(tb_actor_release(c)); /* now object and friend have it */
    assert_int_equal(get_int(tb_actor_call(s, store_ask)), 3);
    assert_ok(tb_get(one, &got));
    assert_true(tb_actor_equal(got, c));
    assert_int_equal(get_int(tb_actor_call(got, counter_increment)), 4);
    assert_ok(tb_actor_release(got));
    assert_ok(tb_get_array(both, &view, &n));
    assert_true(n == 2 && tb_actor_equal(view[0], c) && tb_actor_equal(view[1], s));
    assert_call_fails(TB_ERR_REF, "tb_actor_retain", tb_actor_call(view[0], counter_increment));
    assert_ok(tb_actor_retain(view[0]));
    assert_int_equal(get_int(tb_actor_call(view[0], counter_increment)), 5);
    assert_ok(tb_actor_release(view[0]));
    assert_ok(tb_release(one));
    assert_ok(tb_release(both));
    assert_ok(tb_actor_release(s));
}

static void a_task_returns_an_actor_that_it_made(void **state)
{
    tb_ref r = tb_remote(makes_counter, 10);
    tb_actor c;

    (void)state;
    assert_ok(tb_get(r, &c));
    assert_ok(tb_release(r));
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 11);
    assert_ok(tb_actor_release(c));
}

static void an_actor_ends_with_its_last_handle_after_the_calls_that_were_made(void **state)
{
    struct marks m = marks_new();
    struct gate g = gate_new();
    tb_actor c = tb_actor_new(counter, 0, m.path), s = tb_actor_new(store);
    tb_ref waits, last;

    (void)state;
    waits = tb_actor_call(c, counter_wait, g.path);
    last = tb_actor_call(c, counter_increment);
    assert_ok(tb_actor_call_n(s, store_befriend, NULL, 0, c));
    assert_ok(tb_actor_release(c));
    gate_open(&g);
    assert_int_equal(get_int(waits), 0);
    assert_int_equal(get_int(last), 1);
    others_come_and_go();
    assert_int_equal(marks_count(m.path), 1); /* the friend has one */
    assert_ok(tb_actor_call_n(s, store_unfriend, NULL, 0));
    assert_int_equal(marks_await(m.path, 2), 2); /* fini */
    assert_ok(tb_actor_release(s));
    TB_SCOPE {
        c = tb_actor_new(counter, 5, m.path);
        assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 6);
    }
    assert_int_equal(marks_await(m.path, 4), 4);
    marks_end(&m);
}

static void the_last_handle_may_be_in_an_object(void **state)
{
    struct marks m = marks_new();
    tb_actor c = tb_actor_new(counter, 0, m.path), got;
    tb_ref r = tb_put(c);

    (void)state;
    assert_ok(tb_actor_release(c));
    others_come_and_go();
    assert_ok(tb_get(r, &got));
    assert_int_equal(get_int(tb_actor_call(got, counter_increment)), 1);
    assert_ok(tb_actor_release(got));
    assert_ok(tb_release(r));
    assert_int_equal(marks_await(m.path, 2), 2);
    marks_end(&m);
}

/* ---- names ---- */

static void a_name_finds_its_actor_in_its_namespace(void **state)
{
    tb_actor a = tb_actor_new_with(counter, TB_OPTIONS(.name = "sum"), 10), b, got;

    (void)state;
    b = tb_actor_new_with(counter, TB_OPTIONS(.name = "sum", .name_space = "other"), 20);
    assert_ok(tb_get_actor("sum", NULL, &got));
    assert_true(tb_actor_equal(got, a));
    assert_int_equal(get_int(tb_actor_call(got, counter_increment)), 11);
    assert_ok(tb_actor_release(got));
    assert_ok(tb_get_actor("sum", "other", &got));
    assert_true(tb_actor_equal(got, b));
    assert_ok(tb_actor_release(got));
    assert_fails(TB_ERR_ARGUMENT, "no actor named \"mean\"", tb_get_actor("mean", NULL, &got));
    assert_true(tb_actor_is_null(got));
    got = tb_actor_new_with(counter, TB_OPTIONS(.name = "sum"), 0);
    assert_call_fails(TB_ERR_ARGUMENT, "sum", tb_actor_call(got, counter_increment));
    assert_ok(tb_actor_release(got));
    assert_ok(tb_actor_release(a));
    assert_soon(tb_get_actor("sum", NULL, &got) == TB_ERR_ARGUMENT || tb_actor_release(got) != 0);
    assert_ok(tb_actor_release(b));
}

static int gets_by_name(tb_call *call)
{
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.name = "one", .get_if_exists = true), 0);
    int v;
    int rc = tb_get(tb_actor_call(c, counter_pid), &v);

    return rc != 0 ? rc : tb_return(call, v, c);
}
TB_TASK(gets_by_name);

static void get_if_exists_gives_one_process_to_all(void **state)
{
    enum { N = 8 };
    tb_ref r[N][2];
    tb_actor c;
    int pid, first = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        assert_ok(tb_remote_n(gets_by_name, r[i], 2));
    for (int i = 0; i < N; i++) {
        assert_ok(tb_get(r[i][0], &pid));
        first = first == 0 ? pid : first;
        assert_int_equal(pid, first);
    }
    c = tb_actor_new_with(counter, TB_OPTIONS(.name = "one", .get_if_exists = true), 0);
    assert_int_equal(get_int(tb_actor_call(c, counter_pid)), first);
    for (int i = 0; i < N; i++)
        assert_ok(tb_release_all(r[i], 2));
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 1);
    assert_ok(tb_actor_release(c));
}

static void a_detached_actor_lives_without_a_handle(void **state)
{
    struct marks m = marks_new();
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.name = "stays", .lifetime = TB_LIFETIME_DETACHED), 1, m.path);

    (void)state;
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 2);
    assert_ok(tb_actor_release(c));
    others_come_and_go();
    assert_int_equal(marks_count(m.path), 1);
    assert_ok(tb_get_actor("stays", NULL, &c));
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 3);
    assert_ok(tb_kill(c, TB_KILL_NO_RESTART));
    assert_ok(tb_actor_release(c));
    assert_soon(tb_get_actor("stays", NULL, &c) == TB_ERR_ARGUMENT);
    assert_int_equal(marks_end(&m), 1); /* no fini */
}

/* ---- what cannot be ---- */

static int bad_init(tb_call *call, struct store *self)
{
    self->sum = 1;
    return tb_fail(call, "no %s today", tb_arg_string(call, 0));
}
TB_ACTOR(bad, struct store, .init = bad_init);
TB_METHOD(bad, bad_init);

static void a_failing_constructor_fails_every_call_with_its_message(void **state)
{
    tb_actor a = tb_actor_new(bad, "luck");
    tb_ref r = tb_actor_call(a, bad_init, "x");
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_ACTOR_DIED, "no luck today", tb_get(r, NULL));
    assert_ok(tb_error_detail(r, &e));
    assert_int_equal(e.code, TB_ERR_ACTOR_DIED);
    assert_ok(tb_release(r));
    assert_call_fails(TB_ERR_ACTOR_DIED, "no luck today", tb_actor_call(a, bad_init, "x"));
    assert_ok(tb_actor_release(a));
    a = tb_actor_new(counter); /* without its argument */
    assert_call_fails(TB_ERR_ACTOR_DIED, "'counter' has 0 arguments", tb_actor_call(a, counter_increment));
    assert_ok(tb_actor_release(a));
}

static void a_method_of_another_class_is_named_with_both(void **state)
{
    tb_actor s = tb_actor_new(store);

    (void)state;
    assert_call_fails(TB_ERR_TYPE, "method of class 'counter', and the actor is of class 'store'",
                      tb_actor_call(s, counter_increment));
    assert_call_fails(TB_ERR_REF, "the actor is null", tb_actor_call(s, store_unfriend)); /* but it lives */
    assert_call_fails(TB_ERR_REF, "the ref is null", tb_actor_call(s, store_kept));
    assert_ok(tb_actor_release(s));
}

static int context(tb_call *call)
{
    int rc = tb_actor_exit(call);

    if (rc != TB_ERR_STATE || tb_actor_checkpoint(call, tb_put(1)) != TB_ERR_STATE)
        return tb_fail(call, "%d", rc);
    return tb_return(call, tb_actor_is_null(tb_call_actor(call)));
}
TB_TASK(context);

static void bad_handles_are_refused(void **state)
{
    tb_actor c = tb_actor_new(counter, 0), null = {0, 0}, foreign = c;

    (void)state;
    foreign.hi ^= UINT64_C(1) << 60;
    assert_call_fails(TB_ERR_REF, "the actor is null", tb_actor_call(null, counter_increment));
    assert_call_fails(TB_ERR_REF, "another job", tb_actor_call(foreign, counter_increment));
    assert_call_fails(TB_ERR_REF, "the actor is null", tb_remote(increments_argument, null));
    assert_fails(TB_ERR_REF, "another job", tb_kill(foreign, TB_KILL_DEFAULT));
    assert_fails(TB_ERR_ARGUMENT, "flags", tb_kill(c, 4));
    assert_fails(TB_ERR_REF, "null", tb_actor_retain(null));
    assert_ok(tb_actor_release(c));
    assert_fails(TB_ERR_REF, "actor", tb_actor_release(c));
    assert_call_fails(TB_ERR_REF, "does not hold it", tb_actor_call(c, counter_increment));
    assert_int_equal(get_int(tb_remote(context)), 1);
}

static void options_of_the_wrong_kind_fail_the_calls(void **state)
{
    tb_actor a = tb_actor_new_with(counter, TB_OPTIONS(.max_retries = 2), 0);

    (void)state;
    assert_call_fails(TB_ERR_ARGUMENT, "max_retries = 2", tb_actor_call(a, counter_increment));
    assert_ok(tb_actor_release(a));
    a = tb_actor_new(counter, 0);
    assert_call_fails(TB_ERR_ARGUMENT, "num_cpus = 1",
                      tb_actor_call_with(a, counter_increment, TB_OPTIONS(.num_cpus = 1)));
    assert_int_equal(get_int(tb_actor_call(a, counter_increment)), 1);
    assert_ok(tb_actor_release(a));
}

/* After the end of the job nothing can be called. */
static int ends(void **state)
{
    tb_actor c = tb_actor_new(counter, 0), d;
    int rc;

    (void)state;
    if (get_int(tb_actor_call(c, counter_increment)) != 1 || tb_actor_release(c) != 0)
        return -1;
    d = tb_actor_new_with(counter, TB_OPTIONS(.lifetime = TB_LIFETIME_DETACHED), 0); /* ends with the job */
    if (get_int(tb_actor_call(d, counter_increment)) != 1 || tb_actor_release(d) != 0)
        return -1;
    rc = tb_finalize();
    d = tb_actor_new(counter, 0);
    if (tb_get(tb_actor_call(d, counter_increment), NULL) != TB_ERR_STATE ||
        tb_get(tb_actor_call(c, counter_increment), NULL) != TB_ERR_STATE ||
        tb_kill(c, 0) != TB_ERR_STATE || tb_get_actor("sum", NULL, &d) != TB_ERR_STATE ||
        tb_actor_release(c) != TB_ERR_STATE)
        return -1;
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_counts),
        cmocka_unit_test(ten_counters_live_beside_each_other),
        cmocka_unit_test(actors_hold_what_they_ask_for_explicitly),
        cmocka_unit_test(calls_of_one_caller_run_in_their_order),
        cmocka_unit_test(each_of_two_callers_sees_rising_values),
        cmocka_unit_test(a_late_argument_holds_up_its_caller_alone),
        cmocka_unit_test(a_failed_argument_fails_its_call_and_no_other),
        cmocka_unit_test(calls_take_and_return_what_tasks_do),
        cmocka_unit_test(an_actor_keeps_refs_from_call_to_call),
        cmocka_unit_test(a_handle_goes_through_tasks_objects_and_actors),
        cmocka_unit_test(a_task_returns_an_actor_that_it_made),
        cmocka_unit_test(an_actor_ends_with_its_last_handle_after_the_calls_that_were_made),
        cmocka_unit_test(the_last_handle_may_be_in_an_object),
        cmocka_unit_test(a_name_finds_its_actor_in_its_namespace),
        cmocka_unit_test(get_if_exists_gives_one_process_to_all),
        cmocka_unit_test(a_detached_actor_lives_without_a_handle),
        cmocka_unit_test(a_failing_constructor_fails_every_call_with_its_message),
        cmocka_unit_test(a_method_of_another_class_is_named_with_both),
        cmocka_unit_test(bad_handles_are_refused),
        cmocka_unit_test(options_of_the_wrong_kind_fail_the_calls),
    };
    return cmocka_run_group_tests(tests, run_begin, ends);
}
