/* test_failures.c - holds what the head does when tasks fail or are cancelled: which are tried again, what ends with
 * them, and that a failure which nobody reads is reported once. */
#include "sim.h"

static void a_crashed_task_is_tried_again_as_often_as_it_may(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = 2});

    sim_resolve(sim, 0, a, 0);
    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_attempt_failed(sim, 1, a, 0, TB_ERR_CRASHED);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    sim_attempt_failed(sim, 1, a, 1, TB_ERR_CRASHED);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=2\n");
    sim_attempt_failed(sim, 1, a, 2, TB_ERR_CRASHED);
    assert_actions(sim, "RESOLVED 1 to 0 error=-2 in work\n");
    assert_int_equal(tbi_sched_counts(sim->sched).retries, 2);
    assert_int_equal(sim->unread, 0);
}

static void an_error_of_the_function_is_final_unless_its_code_was_named(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = 9}),
        b = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = 1,
                                              .retry_codes = 1u << -TB_ERR_TASK});

    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 1\n");
    sim_attempt_failed(sim, 1, a, 0, TB_ERR_TASK);
    sim_attempt_failed(sim, 1, b, 0, TB_ERR_TASK);
    assert_actions(sim, "DISPATCH 2 to 1 attempt=1\n");
    sim_attempt_failed(sim, 1, b, 1, TB_ERR_TYPE);
    assert_actions(sim, "");
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
}

static void a_retry_waits_for_its_delay(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = -1, .retry_delay_ms = 5}),
        b = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = -1, .retry_delay_ms = 2});

    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 1\n");
    sim->now = 1000;
    sim_attempt_failed(sim, 1, a, 0, TB_ERR_CRASHED);
    sim_attempt_failed(sim, 1, b, 0, TB_ERR_CRASHED);
    assert_actions(sim, "");
    assert_int_equal(tbi_sched_deadline(sim->sched), 3000);
    tbi_sched_tick(sim->sched, 2999);
    assert_actions(sim, "");
    tbi_sched_tick(sim->sched, 3000);
    assert_actions(sim, "DISPATCH 2 to 1 attempt=1\n");
    tbi_sched_tick(sim->sched, 6000);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    assert_true(tbi_sched_deadline(sim->sched) == UINT64_MAX);
}

static void a_cancelled_task_that_waits_never_runs_and_fails_its_dependants(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1}), b, c, d;

    b = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {a}});
    c = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {b}});
    d = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = -1, .retry_delay_ms = 5});
    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 4 to 1\n");
    sim_attempt_failed(sim, 1, d, 0, TB_ERR_CRASHED);
    sim_resolve(sim, 0, c, 0);
    sim_resolve(sim, 0, d, 0);
    sim_cancel(sim, b, 0);
    assert_actions(sim, "RESOLVED 3 to 0 error=-3 in work\n");
    sim_cancel(sim, d, 0); /* that waits for its retry */
    assert_actions(sim, "RESOLVED 4 to 0 error=-3 in work\n");
    assert_null(sim_done(sim, 1, a, 1, 7, 0));
    assert_actions(sim, "");
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
}

static void a_running_task_fails_at_once_when_cancelled_and_its_end_changes_nothing(void **state)
{
    struct sim *sim = *state;
    int x = sim_put(sim, 5, 0),
        a = sim_submit(sim, (struct sim_task){.cpus = 2, .after = {x}, .max_retries = 3});

    sim_submit(sim, (struct sim_task){.cpus = 1, .after = {a}});
    assert_actions(sim, "DISPATCH 2 to 1 inline=8\n");
    sim_resolve(sim, 0, a, 0);
    sim_cancel(sim, a, 0);
    assert_actions(sim, "ABORT 2 to 1\nRESOLVED 2 to 0 error=-3 in work\n");
    sim_object(sim, TBI_MSG_RELEASE, 0, x);
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 1); /* it holds its argument to its end */
    sim_cancel(sim, a, 0);
    assert_actions(sim, "");
    sim_cancel(sim, a, TB_CANCEL_FORCE);
    assert_actions(sim, "ABORT 2 to 1 by force\n");
    sim_failed(sim, 1, a, TB_ERR_CRASHED);
    sim_resolve(sim, 0, a, 0);
    assert_actions(sim, "RESOLVED 2 to 0 error=-3 in work\n");
    sim_object(sim, TBI_MSG_RELEASE, 0, a);
    sim_object(sim, TBI_MSG_RELEASE, 0, a + 1);
    assert_int_equal(tbi_sched_counts(sim->sched).makers, 0);
    assert_int_equal(tbi_sched_counts(sim->sched).load, 0);
}

static void results_of_a_cancelled_task_are_freed_where_they_lie(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1});

    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_cancel(sim, a, 0);
    assert_actions(sim, "ABORT 1 to 1\n");
    sim_object(sim, TBI_MSG_RELEASE, 0, a);
    assert_actions(sim, "");
    sim_done_stored(sim, 1, a, 100000);
    assert_actions(sim, "FREE 1 to 1\n");
    assert_int_equal(tbi_sched_counts(sim->sched).makers, 0);
}

static void what_was_done_first_is_not_cancelled(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1}), x = sim_put(sim, 3, 0);

    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_null(sim_done(sim, 1, a, 1, 7, 0));
    sim_cancel(sim, a, TB_CANCEL_FORCE);
    sim_cancel(sim, x, 0);
    sim_cancel(sim, 99, 0);
    sim_resolve(sim, 0, a, 0);
    assert_actions(sim, "RESOLVED 1 to 0 inline=7\n");
}

static void children_are_cancelled_with_their_parent_unless_they_are_spared(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1}),
        b = sim_submit(sim, (struct sim_task){.cpus = 1}), c;

    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 1\n");
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a});
    c = sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = b});
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = b, .after = {c}});
    assert_actions(sim, "DISPATCH 3 to 1\nDISPATCH 4 to 1\n");
    sim_cancel(sim, a, TB_CANCEL_NOT_RECURSIVE);
    assert_actions(sim, "ABORT 1 to 1\n");
    sim_cancel(sim, b, 0);
    assert_actions(sim, "ABORT 2 to 1\nABORT 4 to 1\n");
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = b}); /* too late */
    sim_resolve(sim, 1, 6, 0);
    assert_actions(sim, "RESOLVED 6 to 1 error=-3 in work\n");
    for (int k = 1; k <= 4; k++)
        sim_failed(sim, 1, k, TB_ERR_CANCELLED);
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
}

static void what_a_dead_process_had_submitted_is_cancelled_and_submitted_anew(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = 1});

    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a});
    assert_actions(sim, "DISPATCH 2 to 1\n");
    sim_attempt_failed(sim, 1, a, 0, TB_ERR_CRASHED);
    assert_actions(sim, "ABORT 2 to 1\nDISPATCH 1 to 1 attempt=1\n");
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a});
    assert_actions(sim, "DISPATCH 3 to 1\n");
}

static void an_overdue_task_fails_with_timeout_at_once(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = 5});

    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_resolve(sim, 0, a, 0);
    sim_task_msg(sim, TBI_MSG_OVERDUE, 1, a);
    assert_actions(sim, "ABORT 1 to 1\nRESOLVED 1 to 0 error=-4 in work\n");
    sim_task_msg(sim, TBI_MSG_OVERDUE, 1, a);
    assert_actions(sim, "");
}

/* Its children are the attempt's, and end with it. */
static void one_that_may_be_tried_again_after_timeout_is_when_it_has_ended(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = 1, .retry_codes = 1u << -TB_ERR_TIMEOUT});

    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a});
    assert_actions(sim, "DISPATCH 2 to 1\nDISPATCH 1 to 1\n");
    sim_resolve(sim, 0, a, 0);
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a});
    assert_actions(sim, "DISPATCH 3 to 1\n");
    sim_task_msg(sim, TBI_MSG_OVERDUE, 1, a);
    assert_actions(sim, "ABORT 1 to 1\nABORT 3 to 1\n");
    sim_task_msg(sim, TBI_MSG_OVERDUE, 1, a);
    assert_actions(sim, "");
    assert_null(sim_done(sim, 1, a, 1, 9, 0)); /* too late, and its children have not run */
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a});
    assert_actions(sim, "DISPATCH 4 to 1\n");
    {
        struct msg_task *m = sim_record(sim, TBI_MSG_OVERDUE, sizeof *m);

        *m = (struct msg_task){sim_id((uint64_t)a), 1, 0};
        assert_null(sim_deliver(sim, 1));
    }
    assert_actions(sim, "ABORT 1 to 1\nRESOLVED 1 to 0 error=-4 in work\nABORT 4 to 1\n");
}

static void one_that_is_cancelled_meanwhile_is_not_tried_again(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .max_retries = 5, .retry_codes = 1u << -TB_ERR_TIMEOUT});

    sim_resolve(sim, 0, a, 0);
    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_task_msg(sim, TBI_MSG_OVERDUE, 1, a);
    assert_actions(sim, "ABORT 1 to 1\n");
    sim_cancel(sim, a, 0);
    assert_actions(sim, "ABORT 1 to 1\nRESOLVED 1 to 0 error=-3 in work\n");
    sim_failed(sim, 1, a, TB_ERR_TASK);
    assert_actions(sim, "");
}

static void a_failure_that_nobody_read_is_reported_once(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1}), b, c, d;

    b = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {a}});
    c = sim_submit(sim, (struct sim_task){.cpus = 1});
    d = sim_submit(sim, (struct sim_task){.cpus = 1});
    tbi_sched_run(sim->sched);
    sim_failed(sim, 1, a, TB_ERR_TASK);
    sim_failed(sim, 1, c, TB_ERR_TASK);
    sim_cancel(sim, d, 0);
    sim_object(sim, TBI_MSG_RELEASE, 0, a);
    assert_int_equal(sim->unread, 0); /* b carries it on */
    sim_object(sim, TBI_MSG_RELEASE, 0, b);
    assert_int_equal(sim->unread, 1);
    sim_object(sim, TBI_MSG_SEEN, 0, c);
    sim_object(sim, TBI_MSG_RELEASE, 0, c);
    sim_object(sim, TBI_MSG_RELEASE, 0, d); /* somebody wanted that */
    assert_int_equal(sim->unread, 1);
}

#define ON(setup, test) cmocka_unit_test_setup_teardown(test, setup, sim_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(sim_one_worker, a_crashed_task_is_tried_again_as_often_as_it_may),
        ON(sim_one_worker, an_error_of_the_function_is_final_unless_its_code_was_named),
        ON(sim_one_worker, a_retry_waits_for_its_delay),
        ON(sim_one_worker, a_cancelled_task_that_waits_never_runs_and_fails_its_dependants),
        ON(sim_one_worker, a_running_task_fails_at_once_when_cancelled_and_its_end_changes_nothing),
        ON(sim_one_worker, results_of_a_cancelled_task_are_freed_where_they_lie),
        ON(sim_one_worker, what_was_done_first_is_not_cancelled),
        ON(sim_one_worker, children_are_cancelled_with_their_parent_unless_they_are_spared),
        ON(sim_one_worker, what_a_dead_process_had_submitted_is_cancelled_and_submitted_anew),
        ON(sim_one_worker, an_overdue_task_fails_with_timeout_at_once),
        ON(sim_one_worker, one_that_may_be_tried_again_after_timeout_is_when_it_has_ended),
        ON(sim_one_worker, one_that_is_cancelled_meanwhile_is_not_tried_again),
        ON(sim_one_worker, a_failure_that_nobody_read_is_reported_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
