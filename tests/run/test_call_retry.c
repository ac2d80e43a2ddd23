/* test_call_retry.c - holds what retry_on_error means for calls of methods: the actor runs them again on the spot, up
 * to max_task_retries times, after the errors that are named and no others; no call behind overtakes; what a failed
 * attempt made is let go of; and a cancel ends the wait for the next one. And when the time of a call's time_limit runs. */
#include "counter.h"

/* Counts, then fails with `code` in its first attempts. arguments: how many of them, code */
static int counter_flaky(tb_call *call, struct counter *self)
{
    self->value++;
    return tb_call_attempt(call) < tb_arg_int(call, 0) ? tb_arg_int(call, 1) : tb_return(call, self->value);
}
TB_METHOD(counter, counter_flaky);

/* Waits for the gate, fails six times, counts. argument: the gate */
static int counter_flaky_and_patient(tb_call *call, struct counter *self)
{
    if (tb_call_attempt(call) == 0)
        gate_wait(tb_arg_string(call, 0));
    return tb_call_attempt(call) < 6 ? tb_fail(call, "attempt %d", tb_call_attempt(call))
                                     : tb_return(call, ++self->value);
}
TB_METHOD(counter, counter_flaky_and_patient, .retry_on_error = {TB_ERR_TASK}, .max_task_retries = -1);

static void it_is_run_again_until_it_succeeds(void **state)
{
    tb_actor c = tb_actor_new(counter, 0);

    (void)state;
    assert_int_equal(get_int(tb_actor_call_with(c, counter_flaky, TB_OPTIONS(.retry_on_error = {TB_ERR_TYPE}), 2,
                                                TB_ERR_TYPE)), 3);
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 4);
    assert_ok(tb_actor_release(c));
}

static void so_often_as_it_may(void **state)
{
    static const struct {
        tb_options actor, call;
        int fails, runs;
    } cases[] = {
        {{.max_task_retries = TB_NONE}, {.retry_on_error = {TB_ERR_ANY}}, 9, 4}, /* as a task */
        {{.max_task_retries = 1}, {.retry_on_error = {TB_ERR_ANY}}, 9, 2},
        {{.max_task_retries = 1}, {.retry_on_error = {TB_ERR_ANY}, .max_task_retries = 5}, 9, 6},
        {{.max_task_retries = -1}, {.retry_on_error = {TB_ERR_TIMEOUT, TB_ERR_TYPE}}, 20, 21},
        {{.max_task_retries = -1}, {.retry_on_error = {TB_ERR_TASK}}, 9, 1}, /* that is another error */
        {{.max_task_retries = -1}, {.max_task_retries = -1}, 9, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tb_actor c = tb_actor_new_with(counter, &cases[i].actor, 0);
        tb_ref r = tb_actor_call_with(c, counter_flaky, &cases[i].call, cases[i].fails, TB_ERR_TYPE);
        tb_error e;

        if (cases[i].runs <= cases[i].fails) {
            assert_int_equal(tb_get(r, NULL), TB_ERR_TYPE);
            assert_ok(tb_error_detail(r, &e));
            assert_int_equal(e.attempt, cases[i].runs - 1);
            assert_ok(tb_release(r));
        } else {
            assert_int_equal(get_int(r), cases[i].runs);
        }
        assert_int_equal(get_int(tb_actor_call(c, counter_increment)), cases[i].runs + 1);
        assert_ok(tb_actor_release(c));
    }
}

static void calls_behind_it_do_not_overtake(void **state)
{
    enum { BEHIND = 20 };
    tb_actor c = tb_actor_new(counter, 0);
    struct gate g = gate_new();
    tb_ref flaky = tb_actor_call_with(c, counter_flaky_and_patient, TB_OPTIONS(.retry_delay = 0.01), g.path),
           behind[BEHIND];

    (void)state;
    for (int i = 0; i < BEHIND; i++)
        behind[i] = tb_actor_call(c, counter_increment);
    gate_open(&g);
    for (int i = 0; i < BEHIND; i++)
        assert_int_equal(get_int(behind[i]), i + 2);
    assert_int_equal(get_int(flaky), 1);
    assert_ok(tb_actor_release(c));
}

static int counter_stay(tb_call *call, struct counter *self)
{
    (void)self;
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 7);
}
TB_METHOD(counter, counter_stay);

static void others_of_its_actor_go_on_beside_it_in_their_own_threads(void **state)
{
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_concurrency = 2), 0);
    struct gate g = gate_new();
    tb_ref stays = tb_actor_call(c, counter_stay, g.path);

    (void)state;
    assert_int_equal(get_int(tb_actor_call_with(c, counter_flaky,
                                                TB_OPTIONS(.retry_on_error = {TB_ERR_TYPE}, .retry_delay = 0.01), 3,
                                                TB_ERR_TYPE)), 4);
    gate_open(&g);
    assert_int_equal(get_int(stays), 7);
    assert_ok(tb_actor_release(c));
}

static void a_cancel_ends_the_wait_for_the_next_attempt(void **state)
{
    tb_actor c = tb_actor_new(counter, 0);
    struct gate g = gate_new();
    tb_ref r = tb_actor_call_with(c, counter_flaky_and_patient, TB_OPTIONS(.retry_delay = 3000), g.path);

    (void)state;
    gate_reach(&g);
    gate_open(&g);
    assert_ok(tb_cancel(r, TB_CANCEL_DEFAULT));
    assert_call_fails(TB_ERR_CANCELLED, "", r);
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 1); /* it was the actor's turn again */
    assert_ok(tb_actor_release(c));
}

/* Fills most of a store that has room for few such results, and fails after it, but the third time. */
static int counter_large(tb_call *call, struct counter *self)
{
    enum { BYTES = 8 << 20 };
    char *room;
    int rc = tb_return_array(call, 0, &room, BYTES);

    if (rc != 0)
        return rc;
    memset(room, ++self->value, BYTES);
    return tb_call_attempt(call) < 2 ? TB_ERR_TYPE : 0;
}
TB_METHOD(counter, counter_large, .retry_on_error = {TB_ERR_TYPE});

static void what_failed_attempts_made_is_let_go_of(void **state)
{
    tb_actor c = tb_actor_new(counter, 0);

    (void)state;
    for (int i = 1; i <= 20; i++) {
        tb_ref r = tb_actor_call(c, counter_large);
        const char *view;
        size_t n;

        assert_ok(tb_get_array(r, &view, &n));
        assert_true(n == 8 << 20 && view[0] == 3 * i && view[n - 1] == 3 * i);
        assert_ok(tb_release(r));
    }
    assert_ok(tb_actor_release(c));
}

static int waits_at(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 0);
}
TB_TASK(waits_at, .num_cpus = TB_NONE);

/* Until the task that is named by the string it gets has ended, or this call is interrupted. */
static int counter_waits_for(tb_call *call, struct counter *self)
{
    int rc = tb_get(tb_remote(waits_at, tb_arg_string(call, 0)), NULL);

    return rc != 0 ? rc : tb_return(call, ++self->value);
}
TB_METHOD(counter, counter_waits_for);

/* Another call with a longer limit, which begins later and at once, is over its own meanwhile. */
static void the_time_that_a_call_waits_for_its_turn_is_not_of_its_time_limit(void **state)
{
    struct gate first = gate_new(), never = gate_new();
    tb_actor c = tb_actor_new(counter, 0), other = tb_actor_new(counter, 0);
    tb_ref ahead = tb_actor_call(c, counter_wait, first.path), behind, clock;

    (void)state;
    gate_reach(&first);
    behind = tb_actor_call_with(c, counter_increment, TB_OPTIONS(.time_limit = 0.2));
    assert_int_equal(get_int(tb_actor_call(other, counter_increment)), 1); /* it lives */
    clock = tb_actor_call_with(other, counter_waits_for, TB_OPTIONS(.time_limit = 0.4), never.path);
    assert_fails(TB_ERR_TIMEOUT, "time_limit of 0.4 s", tb_get(clock, NULL));
    gate_open(&first);
    assert_int_equal(get_int(ahead), 0);
    assert_int_equal(get_int(behind), 1);
    unlink(never.path);
    assert_ok(tb_release(clock));
    assert_ok(tb_actor_release(c));
    assert_ok(tb_actor_release(other));
}

__attribute__((constructor)) static void choose_a_small_store(void)
{
    setenv("TB_STORE", "64M", 1);
}

RUN(cmocka_unit_test(it_is_run_again_until_it_succeeds), cmocka_unit_test(so_often_as_it_may),
    cmocka_unit_test(calls_behind_it_do_not_overtake),
    cmocka_unit_test(others_of_its_actor_go_on_beside_it_in_their_own_threads),
    cmocka_unit_test(a_cancel_ends_the_wait_for_the_next_attempt),
    cmocka_unit_test(what_failed_attempts_made_is_let_go_of),
    cmocka_unit_test(the_time_that_a_call_waits_for_its_turn_is_not_of_its_time_limit))
