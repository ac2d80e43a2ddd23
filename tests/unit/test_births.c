/* test_births.c - holds what an agent does when it can have no more processes: tasks wait for one that lives and
 * another start is tried after a pause; they fail only when nothing here could go on without, and that for long;
 * and the user is told once which limit it is. */
#include "agent_actors.h"

static void tick(struct fake *f, uint64_t now)
{
    f->now = now;
    tbi_agent_tick(f->agent, now);
}

static void a_task_whose_process_cannot_be_started_waits_for_one_that_lives(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    unborn(f, 2);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\n"
                   "say: no process; tasks wait, and it is tried again\n");
    dispatch(f, 3, 1, 0, -1); /* it could begin, but for the same reason */
    assert_said(f, "");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 2 to p1\nfork p3\nRUN 3 to p3\n"); /* p1 lives: it may go well now */
}

/* Tasks that wait do not count for the limit of two, so four processes live; then they have nothing to do. */
static void of_a_peak_of_processes_those_leave_that_were_not_used_for_long(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 4; k++) {
        dispatch(f, k, 1, 0, -1);
        assert_null(task_msg(f, TBI_MSG_BLOCK, (uint32_t)k, k));
        assert_null(task_msg(f, TBI_MSG_BLOCKED, (uint32_t)k, k));
    }
    for (int k = 1; k <= 4; k++) {
        assert_null(task_msg(f, TBI_MSG_UNBLOCK, (uint32_t)k, k));
        f->now = (uint64_t)k;
        assert_null(done(f, (uint32_t)k, k, TBI_AT_INLINE));
    }
    forget(f);
    tick(f, 10000000);
    assert_said(f, "");
    tick(f, tbi_agent_deadline(f->agent));
    assert_said(f, "EXIT 0 to p1\n");
    tick(f, tbi_agent_deadline(f->agent));
    assert_said(f, "EXIT 0 to p2\n");
    assert_true(tbi_agent_deadline(f->agent) == UINT64_MAX);
    crash(f, 1);
    crash(f, 2);
    dispatch(f, 5, 1, 0, -1);
    assert_said(f, "RUN 5 to p4\n");
}

static void it_is_tried_again_after_a_pause_that_grows_and_told_once(void **state)
{
    struct fake *f = *state;
    uint64_t before = 0, at;

    f->now = 5000;
    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    unborn(f, 1);
    assert_said(f, "say: no process; tasks wait, and it is tried again\n");
    for (uint32_t p = 2; p < 6; p++) {
        char expected[64];

        at = tbi_agent_deadline(f->agent);
        assert_true(at - f->now > before && at - f->now <= 1000000);
        before = at - f->now;
        tick(f, at - 1);
        assert_said(f, "");
        tick(f, at);
        snprintf(expected, sizeof expected, "fork p%u\nRUN 1 to p%u\n", p, p);
        assert_said(f, expected);
        unborn(f, p);
        assert_said(f, "");
    }
    tick(f, tbi_agent_deadline(f->agent));
    assert_said(f, "fork p6\nRUN 1 to p6\n");
    assert_null(done(f, 6, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\n");
    assert_true(tbi_agent_deadline(f->agent) == UINT64_MAX);
}

/* No start goes well. The fixture's agents are patient for a second. Keeps what was said from the first end of a task
 * on. */
static void for_long(struct fake *f, uint64_t us)
{
    uint64_t end = f->now + us, at;

    while ((at = tbi_agent_deadline(f->agent)) <= end) {
        tick(f, at);
        unborn(f, f->forked);
        describe(f);
        if (strstr(f->text, "FINISHED") == NULL)
            f->len = 0;
    }
}

static void without_any_process_for_long_tasks_fail_with_what_was_hit(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    dispatch(f, 3, 1, 0, -1);
    unborn(f, 1);
    unborn(f, 2);
    f->len = 0;
    for_long(f, 900000);
    assert_null(strstr(f->text, "FINISHED"));
    for_long(f, 2000000);
    describe(f);
    assert_non_null(strstr(f->text, "FINISHED 1 to 0 error=-2 crashed\n"));
    assert_non_null(strstr(f->text, "FINISHED 2 to 0 error=-2 crashed\n"));
    assert_non_null(strstr(f->text, "FINISHED 3 to 0 error=-2 crashed\n"));
    assert_null(tbi_agent_check(f->agent));
}

static void while_a_task_runs_others_wait_however_long(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    unborn(f, 2);
    for_long(f, 3600000000);
    describe(f);
    assert_null(strstr(f->text, "FINISHED"));
    f->len = 0;
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 2 to p1\n");
}

static void a_task_that_waits_is_no_hope_for_the_one_it_may_wait_for(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    dispatch(f, 2, 1, 1, -1);
    unborn(f, 2);
    for_long(f, 4000000); /* it may still be resumed by others */
    describe(f);
    assert_null(strstr(f->text, "FINISHED"));
    for_long(f, 6000000);
    describe(f);
    assert_non_null(strstr(f->text, "FINISHED 2 to 0 error=-2 crashed\n"));
}

static int setup_few(void **state)
{
    most = 3;
    setup_node(state, 0, 8, 0, 0);
    most = 100;
    return 0;
}

static void above_the_number_of_processes_actors_and_tasks_wait(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 5; k++)
        assert_null(dispatch_actor(f, k, (struct actor){.lane0 = 1}));
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nfork p2\nRUN 2 to p2 actor\nfork p3\nRUN 3 to p3 actor\n");
    dispatch(f, 6, 1, 0, -1);
    assert_said(f, "");
    tick(f, tbi_agent_deadline(f->agent));
    assert_said(f, "say: there are 3 processes, as many as a rank can have: 0 are actors, and in 0 a task waits; what is "
                   "to begin here waits until one of them ends\n");
    assert_true(tbi_agent_deadline(f->agent) == UINT64_MAX);
    crash(f, 2);
    assert_said(f, "FINISHED 2 to 0 error=-2 crashed\nfork p4\nRUN 4 to p4 actor\n");
}

static void tasks_that_hold_every_process_for_long_are_told_of(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 0, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\n");
    tick(f, tbi_agent_deadline(f->agent));
    describe(f);
    assert_non_null(strstr(f->text, "TB_MAX_EXECUTORS"));
    f->len = 0;
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p2\n");
}

static int setup_last(void **state)
{
    last = 2;
    return setup(state);
}

static int teardown_last(void **state)
{
    last = TBI_ID_PROC_MAX;
    return teardown(state);
}

static void when_no_number_is_left_processes_that_live_go_on_and_then_tasks_fail_with_the_limit(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\n"); /* p3 there cannot be: 3 waits for p2 */
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p2\n");
    crash(f, 2);
    assert_said(f, "FINISHED 3 to 0 error=-2 crashed\n");
    dispatch(f, 4, 1, 0, -1);
    describe(f);
    assert_non_null(strstr(f->text, "FINISHED 4 to 0 error=-10"));
    assert_null(strstr(f->text, "crashed"));
    f->len = 0;
    assert_null(dispatch_actor(f, 5, (struct actor){.lane0 = 1}));
    describe(f);
    assert_non_null(strstr(f->text, "FINISHED 5 to 0 error=-10"));
    f->len = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_task_whose_process_cannot_be_started_waits_for_one_that_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(of_a_peak_of_processes_those_leave_that_were_not_used_for_long, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_tried_again_after_a_pause_that_grows_and_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(without_any_process_for_long_tasks_fail_with_what_was_hit, setup, teardown),
        cmocka_unit_test_setup_teardown(while_a_task_runs_others_wait_however_long, setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_that_waits_is_no_hope_for_the_one_it_may_wait_for, setup, teardown),
        cmocka_unit_test_setup_teardown(above_the_number_of_processes_actors_and_tasks_wait, setup_few, teardown),
        cmocka_unit_test_setup_teardown(tasks_that_hold_every_process_for_long_are_told_of, setup, teardown),
        cmocka_unit_test_setup_teardown(when_no_number_is_left_processes_that_live_go_on_and_then_tasks_fail_with_the_limit,
                                        setup_last, teardown_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
