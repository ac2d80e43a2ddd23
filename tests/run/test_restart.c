/* test_restart.c - holds how actors end before their time and come back: tb_kill and tb_actor_exit, the death of
 * their process, which calls are retried then and which fail, and that a checkpoint saves what was. */
#include "counter.h"

/* ---- ends ---- */

static int counter_leave(tb_call *call, struct counter *self)
{
    int rc = tb_actor_exit(call);

    return rc != 0 ? rc : tb_return(call, self->value);
}
TB_METHOD(counter, counter_leave);

/* The call's error names it, and says where it ran, if it had begun. */
static void assert_failed(tb_ref r, int code, const char *text, const char *method, bool begun)
{
    tb_error e;

    assert_fails(code, text, tb_get(r, NULL));
    assert_ok(tb_error_detail(r, &e));
    assert_string_equal(e.function, method);
    assert_true((e.pid != 0) == begun);
    assert_true((e.rank >= 0) == begun);
    assert_true((e.host[0] != 0) == begun);
    assert_ok(tb_release(r));
}

static void kill_fails_what_runs_and_what_waits(void **state)
{
    struct gate g = gate_new();
    struct marks m = marks_new();
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.name = "victim", .num_cpus = 1), 0, m.path), again;
    tb_ref runs = tb_actor_call(c, counter_wait, g.path), waits = tb_actor_call(c, counter_increment);
    double cpus, all;

    (void)state;
    gate_reach(&g);
    assert_ok(tb_kill(c, TB_KILL_NO_RESTART));
    assert_failed(runs, TB_ERR_ACTOR_DIED, "killed by tb_kill", "counter_wait", true);
    assert_failed(waits, TB_ERR_ACTOR_DIED, "killed by tb_kill", "counter_increment", false);
    assert_failed(tb_actor_call(c, counter_increment), TB_ERR_ACTOR_DIED, "killed by tb_kill", "counter_increment", false);
    assert_ok(tb_kill(c, TB_KILL_NO_RESTART)); /* twice is no error */
    assert_ok(tb_cluster_resources("CPU", &all));
    assert_soon(tb_available_resources("CPU", &cpus) == 0 && cpus == all);
    again = tb_actor_new_with(counter, TB_OPTIONS(.name = "victim"), 5); /* the name is free */
    assert_int_equal(get_int(tb_actor_call(again, counter_increment)), 6);
    assert_int_equal(marks_end(&m), 1); /* no fini */
    assert_ok(tb_actor_release(again));
    assert_ok(tb_actor_release(c));
    gate_open(&g);
}

/* Waits, then ends its process. */
static int counter_wait_and_exit(tb_call *call, struct counter *self)
{
    (void)self;
    gate_wait(tb_arg_string(call, 0));
    _exit(7);
}
TB_METHOD(counter, counter_wait_and_exit);

static void whatever_ends_an_actor_its_calls_say_where_they_ran(void **state)
{
    static const struct {
        int code;
        const char *text, *unbegun;
    } end[] = {{TB_ERR_ACTOR_DIED, "killed by tb_kill", "killed by tb_kill"},
               {TB_ERR_ACTOR_DIED, "exit status 7", "exit status 7"},
               {TB_ERR_ACTOR_DIED, "its placement group was removed", "its placement group was removed"},
               {TB_ERR_ACTOR_UNAVAILABLE, "the call is not run again", "the call was not begun, for the actor is being "
                "restarted: its process (pid "}};

    (void)state;
    for (int way = 0; way < 4; way++) {
        struct gate g = gate_new();
        tb_bundle bundle = {.num_cpus = 1};
        tb_group group = way == 2 ? tb_group_new(&bundle, 1, TB_GROUP_PACK) : (tb_group){0};
        tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_restarts = way == 3, .num_cpus = way == 2,
                                                           .group = group), 0);
        tb_ref runs = way == 1 ? tb_actor_call(c, counter_wait_and_exit, g.path) : tb_actor_call(c, counter_wait, g.path),
               waits = tb_actor_call(c, counter_increment);

        gate_reach(&g);
        if (way == 1)
            gate_open(&g);
        else
            assert_ok(way == 2 ? tb_group_remove(group) : tb_kill(c, way == 0 ? TB_KILL_NO_RESTART : TB_KILL_DEFAULT));
        assert_failed(runs, end[way].code, end[way].text, way == 1 ? "counter_wait_and_exit" : "counter_wait", true);
        assert_failed(waits, end[way].code, end[way].unbegun, "counter_increment", false);
        if (way != 1)
            gate_open(&g);
        assert_ok(tb_actor_release(c));
    }
}

static void kill_by_default_lets_the_actor_begin_again(void **state)
{
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_restarts = 1), 10);
    int pid = get_int(tb_actor_call(c, counter_pid));

    (void)state;
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 11);
    assert_ok(tb_kill(c, TB_KILL_DEFAULT));
    assert_soon(({
        tb_ref r_ = tb_actor_call(c, counter_pid);
        int now_ = 0, rc_ = tb_get(r_, &now_);
        tb_release(r_);
        rc_ == 0 && now_ != pid;
    }));
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 11); /* the constructor's state */
    assert_ok(tb_kill(c, TB_KILL_DEFAULT)); /* there was one restart */
    assert_soon(({
        tb_ref r_ = tb_actor_call(c, counter_pid);
        int rc_ = tb_get(r_, NULL);
        tb_release(r_);
        rc_ == TB_ERR_ACTOR_DIED;
    }));
    assert_ok(tb_actor_release(c));
}

/* The call's error tells of the process, which tb_kill has ended. */
static void assert_killed(tb_ref r, int code, int pid)
{
    tb_error e;

    assert_fails(code, "was killed by tb_kill", tb_get(r, NULL));
    assert_null(strstr(tb_last_error(), "out-of-memory"));
    assert_ok(tb_error_detail(r, &e));
    assert_int_equal(e.signal, SIGKILL);
    assert_int_equal(e.pid, pid);
    assert_true(e.rank >= 0);
    assert_ok(tb_release(r));
}

static void who_is_killed_by_tb_kill_is_said_to_be_with_restarts_left_and_without(void **state)
{
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_restarts = 1), 0);

    (void)state;
    for (int restarts = 1; restarts >= 0; restarts--) {
        struct gate g = gate_new();
        int pid = get_int(tb_actor_call_with(c, counter_pid, TB_OPTIONS(.max_task_retries = -1)));
        tb_ref runs = tb_actor_call(c, counter_wait, g.path);

        gate_reach(&g);
        assert_ok(tb_kill(c, TB_KILL_DEFAULT));
        assert_killed(runs, restarts > 0 ? TB_ERR_ACTOR_UNAVAILABLE : TB_ERR_ACTOR_DIED, pid);
        gate_open(&g);
    }
    assert_call_fails(TB_ERR_ACTOR_DIED, "was killed by tb_kill", tb_actor_call(c, counter_increment));
    assert_ok(tb_actor_release(c));
}

/* The first time it never comes to an end. */
static int stuck_init(tb_call *call, int *attempt)
{
    *attempt = tb_call_attempt(call);
    while (*attempt == 0)
        gate_wait(tb_arg_string(call, 0));
    return 0;
}
TB_ACTOR(stuck, int, .init = stuck_init, .max_restarts = 1);

static int stuck_attempt(tb_call *call, int *attempt)
{
    return tb_return(call, *attempt);
}
TB_METHOD(stuck, stuck_attempt);

static void so_it_does_from_a_constructor_that_is_stuck(void **state)
{
    struct gate g = gate_new();
    tb_actor a = tb_actor_new(stuck, g.path);
    tb_ref r = tb_actor_call(a, stuck_attempt);

    (void)state;
    gate_reach(&g);
    assert_ok(tb_kill(a, TB_KILL_DEFAULT));
    assert_int_equal(get_int(r), 1);
    assert_ok(tb_actor_release(a));
    gate_open(&g);
}

static void an_actor_ends_itself_cleanly(void **state)
{
    struct marks m = marks_new();
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_restarts = -1), 3, m.path);
    tb_ref leaves = tb_actor_call(c, counter_leave), behind = tb_actor_call(c, counter_increment);

    (void)state;
    assert_int_equal(get_int(leaves), 3);
    assert_call_fails(TB_ERR_ACTOR_DIED, "", behind);
    assert_int_equal(marks_await(m.path, 2), 2); /* fini, and no restart */
    assert_call_fails(TB_ERR_ACTOR_DIED, "", tb_actor_call(c, counter_increment));
    others_come_and_go();
    assert_int_equal(marks_end(&m), 2);
    assert_ok(tb_actor_release(c));
}

/* ---- restarts ---- */

static void without_restarts_the_death_of_the_process_is_the_actors(void **state)
{
    tb_actor c = tb_actor_new(counter, 0);
    tb_ref r = tb_actor_call(c, counter_dies_until, 1), behind = tb_actor_call(c, counter_increment);
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_ACTOR_DIED, "signal 9", tb_get(r, NULL));
    assert_ok(tb_error_detail(r, &e));
    assert_int_equal(e.code, TB_ERR_ACTOR_DIED);
    assert_ok(tb_release(r));
    assert_call_fails(TB_ERR_ACTOR_DIED, "", behind);
    assert_ok(tb_actor_release(c));
}

static void a_call_that_may_not_be_retried_is_unavailable(void **state)
{
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_restarts = 1), 0);
    int pid = get_int(tb_actor_call(c, counter_pid));
    tb_ref r = tb_actor_call(c, counter_dies_until, 1);
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_ACTOR_UNAVAILABLE, "was ended by SIGKILL, signal 9", tb_get(r, NULL));
    assert_non_null(strstr(tb_last_error(), "the actor is being restarted"));
    assert_ok(tb_error_detail(r, &e));
    assert_true(e.signal == SIGKILL && e.pid == pid && e.rank >= 0 && e.host[0] != 0);
    assert_ok(tb_release(r));
    assert_soon(({
        tb_ref r_ = tb_actor_call(c, counter_increment);
        int v_ = 0, rc_ = tb_get(r_, &v_);
        tb_release(r_);
        rc_ == 0 && v_ > 0;
    }));
    assert_call_fails(TB_ERR_ACTOR_DIED, "", tb_actor_call(c, counter_dies_until, 1)); /* the second death */
    assert_ok(tb_actor_release(c));
}

static void calls_are_retried_as_often_as_they_may(void **state)
{
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_restarts = -1, .max_task_retries = 2), 0);

    (void)state;
    assert_int_equal(get_int(tb_actor_call(c, counter_dies_until, 2)), 1);
    assert_call_fails(TB_ERR_ACTOR_UNAVAILABLE, "", tb_actor_call(c, counter_dies_until, 3));
    assert_int_equal(get_int(tb_actor_call_with(c, counter_dies_until, TB_OPTIONS(.max_task_retries = -1), 4)), 1);
    assert_call_fails(TB_ERR_ACTOR_UNAVAILABLE, "",
                      tb_actor_call_with(c, counter_dies_until, TB_OPTIONS(.max_task_retries = TB_NONE), 1));
    assert_ok(tb_actor_release(c));
}

/* Dies in every tenth first attempt, else returns its argument and how many came before it in this life. */
static int counter_hazard(tb_call *call, struct counter *self)
{
    int i = tb_arg_int(call, 0);

    if (tb_call_attempt(call) == 0 && i % 10 == 9)
        raise(SIGKILL);
    if (i < self->value)
        return tb_fail(call, "%d after %d", i, self->value);
    self->value = i;
    return tb_return(call, i);
}
TB_METHOD(counter, counter_hazard);

static void calls_stay_in_order_through_crashes(void **state)
{
    enum { N = 200 };
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_restarts = -1, .max_task_retries = -1), -1);
    tb_ref r[N];
    int v[N];

    (void)state;
    for (int i = 0; i < N; i++)
        r[i] = tb_actor_call(c, counter_hazard, i);
    assert_ok(tb_get_all(r, N, v));
    for (int i = 0; i < N; i++)
        assert_int_equal(v[i], i);
    assert_ok(tb_release_all(r, N));
    assert_ok(tb_actor_release(c));
}

/* ---- checkpoints ---- */

struct ledger { int value, restored; };

static int ledger_init(tb_call *call, struct ledger *self)
{
    self->value = tb_arg_int(call, 0);
    return 0;
}
static int ledger_restore(tb_call *call, struct ledger *self)
{
    self->restored = 1;
    return tb_arg_struct(call, tb_num_args(call) - 1, self);
}
static int ledger_add(tb_call *call, struct ledger *self)
{
    tb_ref saved;

    self->value += tb_arg_int(call, 0);
    saved = tb_put(tb_struct(*self));
    tb_must(tb_actor_checkpoint(call, saved));
    return tb_return(call, self->value);
}
static int ledger_read(tb_call *call, struct ledger *self)
{
    if (tb_call_attempt(call) == 0)
        raise(SIGKILL);
    return tb_return(call, self->value);
}
TB_ACTOR(ledger, struct ledger, .init = ledger_init, .restore = ledger_restore, .max_restarts = -1,
         .max_task_retries = -1);
TB_METHOD(ledger, ledger_add);
TB_METHOD(ledger, ledger_read);

static int counter_checkpoint(tb_call *call, struct counter *self)
{
    int rc = tb_actor_checkpoint(call, tb_put(self->value));

    return rc != 0 ? rc : tb_return(call, 0);
}
TB_METHOD(counter, counter_checkpoint);

static void an_actor_comes_back_as_its_checkpoint_says(void **state)
{
    tb_actor l = tb_actor_new(ledger, 100), c = tb_actor_new(counter, 0);

    (void)state;
    assert_int_equal(get_int(tb_actor_call(l, ledger_read)), 100); /* by init: there is none yet */
    for (int i = 1; i <= 20; i++)
        assert_int_equal(get_int(tb_actor_call(l, ledger_add, 1)), 100 + i);
    assert_int_equal(get_int(tb_actor_call(l, ledger_read)), 120);
    assert_int_equal(get_int(tb_actor_call(l, ledger_add, 5)), 125);
    assert_int_equal(get_int(tb_actor_call(l, ledger_read)), 125);
    assert_call_fails(TB_ERR_UNSUPPORTED, "'counter' has no .restore", tb_actor_call(c, counter_checkpoint));
    assert_ok(tb_actor_release(c));
    assert_ok(tb_actor_release(l));
}

static int must_fails(tb_call *call, struct counter *self)
{
    int v;

    tb_must(tb_arg(call, 7, &v));
    return tb_return(call, self->value);
}
TB_METHOD(counter, must_fails);

static void tb_must_in_a_method_ends_the_actor(void **state)
{
    tb_actor c = tb_actor_new(counter, 0);

    (void)state;
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 1);
    assert_call_fails(TB_ERR_ACTOR_DIED, "tb_arg(call, 7, &v)", tb_actor_call(c, must_fails));
    assert_call_fails(TB_ERR_ACTOR_DIED, "", tb_actor_call(c, counter_increment));
    assert_ok(tb_actor_release(c));
}

RUN(cmocka_unit_test(kill_fails_what_runs_and_what_waits),
    cmocka_unit_test(whatever_ends_an_actor_its_calls_say_where_they_ran),
    cmocka_unit_test(kill_by_default_lets_the_actor_begin_again),
    cmocka_unit_test(who_is_killed_by_tb_kill_is_said_to_be_with_restarts_left_and_without),
    cmocka_unit_test(so_it_does_from_a_constructor_that_is_stuck),
    cmocka_unit_test(an_actor_ends_itself_cleanly),
    cmocka_unit_test(without_restarts_the_death_of_the_process_is_the_actors),
    cmocka_unit_test(a_call_that_may_not_be_retried_is_unavailable),
    cmocka_unit_test(calls_are_retried_as_often_as_they_may),
    cmocka_unit_test(calls_stay_in_order_through_crashes),
    cmocka_unit_test(an_actor_comes_back_as_its_checkpoint_says),
    cmocka_unit_test(tb_must_in_a_method_ends_the_actor))
