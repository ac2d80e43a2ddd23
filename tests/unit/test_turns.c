/* test_turns.c - holds that no task which waits at an agent is passed by others without end: not one that asks for
 * more than is free, nor one that others submitted later, but deeper, go before, nor one past which others resume that
 * block again and again. TB_OVERTAKES is 2. */
#include "agent_fixture.h"

static void a_large_demand_is_overtaken_only_so_often(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    for (int k = 3; k <= 6; k++)
        dispatch(f, k, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 3 to p2\n");
    assert_null(done(f, 2, 3, TBI_AT_INLINE));
    assert_said(f, "FINISHED 3 to 0\nRUN 4 to p2\n");
    assert_null(done(f, 2, 4, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\n"); /* twice was enough */
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 2 to p1\n");
}

static void so_it_is_by_deeper_tasks(void **state)
{
    struct fake *f = *state; /* a chain of them: one CPU is idle all the time */

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    for (int k = 3; k <= 4; k++) {
        dispatch(f, k, 1, (unsigned)k, -1);
        assert_null(done(f, k % 2 ? 1 : 2, k == 3 ? 1 : 3, TBI_AT_INLINE));
    }
    assert_said(f, "fork p2\nRUN 3 to p2\nFINISHED 1 to 0\nRUN 4 to p1\nFINISHED 3 to 0\n");
    dispatch(f, 5, 1, 5, -1); /* twice was enough */
    assert_said(f, "");
    assert_null(done(f, 1, 4, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\nRUN 2 to p1\n");
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 5 to p1\n");
}

static void and_by_those_that_are_given_ahead(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    dispatch(f, 3, 1, 1, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 3 to p2\n");
    dispatch(f, 4, 1, 1, -1);
    dispatch(f, 5, 1, 1, -1);
    assert_said(f, "RUN 4 to p1\n"); /* twice was enough */
    f->not_begun = 1;
    assert_null(done(f, 2, 3, TBI_AT_INLINE)); /* what was given ahead comes back, too */
    f->not_begun = 0;
    assert_said(f, "FINISHED 3 to 0\ntake back 1 from p1\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 2 to p1\n");
}

/* The process does the first of these, of which 0 is the end, and is given the next then. */
static void run_in_turn(struct fake *f, uint32_t proc, const int *task)
{
    for (; task[1] != 0; task++) {
        char expected[80];

        assert_null(done(f, proc, task[0], TBI_AT_INLINE));
        snprintf(expected, sizeof expected, "FINISHED %d to 0\nRUN %d to p%u\n", task[0], task[1], (unsigned)proc);
        assert_said(f, expected);
    }
}

static void dispatch_deep(struct fake *f, int from, int to, double cpus)
{
    for (int k = from; k <= to; k++)
        dispatch(f, k, cpus, 5, -1);
}

static void the_oldest_of_equal_demand_is_passed_by_deeper_ones_only_so_often(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    dispatch_deep(f, 3, 6, 2);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    run_in_turn(f, 1, (int[]){1, 3, 4, 2, 5, 0});
}

static void so_is_one_that_fits_but_has_no_process(void **state)
{
    struct fake *f = *state; /* both of its processes are busy */

    dispatch(f, 1, 0.1, 0, -1);
    dispatch(f, 2, 0.1, 0, -1);
    dispatch(f, 3, 0.2, 0, -1);
    dispatch_deep(f, 4, 7, 0.1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\n");
    run_in_turn(f, 1, (int[]){1, 4, 5, 3, 6, 0});
}

static void those_given_ahead_pass_it_as_often(void **state)
{
    struct fake *f = *state; /* up to two are given ahead */

    dispatch(f, 1, 2, 5, -1);
    dispatch_deep(f, 2, 3, 2);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    dispatch(f, 4, 2, 0, -1);
    dispatch_deep(f, 5, 8, 2);
    run_in_turn(f, 1, (int[]){1, 5, 0});
    run_in_turn(f, 1, (int[]){2, 6, 0});
    run_in_turn(f, 1, (int[]){3, 4, 0});
    run_in_turn(f, 1, (int[]){5, 7, 0});
}

/* The first that was let through is blocked: a tree of tasks would be unrolled. */
static void while_one_has_not_ended_the_next_is_passed_by_eight_times_as_many(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    dispatch(f, 3, 2, 0, -1);
    dispatch_deep(f, 4, 24, 2);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    run_in_turn(f, 1, (int[]){1, 4, 5, 2, 0});
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 2));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 2));
    assert_said(f, "BLOCK 2 to 0\nfork p2\nRUN 6 to p2\n");
    run_in_turn(f, 2, (int[]){6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 3, 22, 0});
}

/* ---- those that resume ---- */

static void block(struct fake *f, uint32_t proc, int task)
{
    assert_null(task_msg(f, TBI_MSG_BLOCK, proc, task));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, proc, task));
}

static void unblock(struct fake *f, uint32_t proc, int task)
{
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, proc, task));
}

/* Tasks 1 to n of so many CPUs, on p1 to pn, have begun and blocked, and all but the last, which runs, would resume. */
static void begin_pollers(struct fake *f, int n, double cpus)
{
    for (int k = 1; k <= n; k++)
        dispatch(f, k, cpus, 0, -1);
    for (int k = 1; k < n; k++)
        block(f, (uint32_t)k, k);
    for (int k = 1; k < n; k++)
        unblock(f, (uint32_t)k, k);
    describe(f);
    f->len = 0;
}

static void a_task_that_has_not_begun_is_passed_by_those_that_resume_only_so_often(void **state)
{
    struct fake *f = *state;

    begin_pollers(f, 3, 2);
    dispatch(f, 4, 2, 0, -1);
    block(f, 3, 3);
    assert_said(f, "BLOCK 3 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\n");
    unblock(f, 3, 3);
    block(f, 1, 1);
    assert_said(f, "BLOCK 1 to 0\nRESUME 2 to p2\nUNBLOCKED 2 to 0\n");
    unblock(f, 1, 1);
    block(f, 2, 2); /* twice was enough */
    assert_said(f, "BLOCK 2 to 0\nfork p4\nRUN 4 to p4\n");
    unblock(f, 2, 2);
    assert_null(done(f, 4, 4, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\nRESUME 3 to p3\nUNBLOCKED 3 to 0\n");
}

/* Each of the others gives back half of what it asks for; nobody has CPUs until it has. */
static void so_is_one_that_asks_for_more_than_one_of_them_gives_back(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    block(f, 1, 1);
    dispatch(f, 3, 1, 0, -1);
    unblock(f, 1, 1);
    dispatch(f, 4, 2, 0, -1);
    block(f, 2, 2);
    unblock(f, 2, 2);
    block(f, 3, 3);
    unblock(f, 3, 3);
    describe(f);
    f->len = 0; /* 1 and 2 have resumed past it, and run */
    block(f, 1, 1);
    unblock(f, 1, 1);
    assert_said(f, "BLOCK 1 to 0\n");
    block(f, 2, 2);
    assert_said(f, "BLOCK 2 to 0\nfork p4\nRUN 4 to p4\n");
    assert_null(done(f, 4, 4, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\nRESUME 3 to p3\nUNBLOCKED 3 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\n");
}

/* What runs may wait for one of those that would resume, without a word. */
static void but_for_that_one_nobody_waits_for_long(void **state)
{
    struct fake *f = *state;
    uint64_t until;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    dispatch(f, 3, 2, 0, -1);
    for (int i = 0; i < 2; i++) { /* there is nobody else: it has its CPU again at once */
        block(f, 2, 2);
        unblock(f, 2, 2);
    }
    describe(f);
    f->len = 0;
    block(f, 2, 2);
    unblock(f, 2, 2);
    assert_said(f, "BLOCK 2 to 0\n");
    until = tbi_agent_deadline(f->agent);
    assert_true(until > f->now && until < UINT64_MAX);
    tbi_agent_tick(f->agent, f->now = until);
    assert_said(f, "RESUME 2 to p2\nUNBLOCKED 2 to 0\n");
    for (int i = 1; i < 16; i++) { /* and then not so soon again */
        block(f, 2, 2);
        unblock(f, 2, 2);
        assert_said(f, "BLOCK 2 to 0\nRESUME 2 to p2\nUNBLOCKED 2 to 0\n");
    }
    block(f, 2, 2);
    unblock(f, 2, 2);
    assert_said(f, "BLOCK 2 to 0\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 3 to p1\n");
}

static int setup_few(void **state)
{
    most = 3;
    setup_with(state, 0);
    most = 100;
    return 0;
}

static void one_that_no_process_can_be_had_for_keeps_nobody_from_resuming(void **state)
{
    struct fake *f = *state; /* there may be 3 processes */

    begin_pollers(f, 3, 2);
    dispatch(f, 4, 2, 0, -1);
    for (int i = 0; i < 9; i++) {
        int runs = (i + 2) % 3 + 1, next = i % 3 + 1;
        char expected[120];

        block(f, (uint32_t)runs, runs);
        unblock(f, (uint32_t)runs, runs);
        snprintf(expected, sizeof expected, "BLOCK %d to 0\nRESUME %d to p%d\nUNBLOCKED %d to 0\n", runs, next, next, next);
        assert_said(f, expected);
    }
}

static void one_that_needs_no_cpus_waits_for_none_who_resumes(void **state)
{
    struct fake *f = *state;

    begin_pollers(f, 3, 2);
    dispatch(f, 4, 0, 0, -1);
    assert_said(f, "fork p4\nRUN 4 to p4\n");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define FEW(test) cmocka_unit_test_setup_teardown(test, setup_few, teardown)
#define AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_ahead, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(a_large_demand_is_overtaken_only_so_often),
        ON(so_it_is_by_deeper_tasks),
        AHEAD(and_by_those_that_are_given_ahead),
        ON(the_oldest_of_equal_demand_is_passed_by_deeper_ones_only_so_often),
        ON(so_is_one_that_fits_but_has_no_process),
        AHEAD(those_given_ahead_pass_it_as_often),
        ON(a_task_that_has_not_begun_is_passed_by_those_that_resume_only_so_often),
        ON(so_is_one_that_asks_for_more_than_one_of_them_gives_back),
        ON(but_for_that_one_nobody_waits_for_long),
        FEW(one_that_no_process_can_be_had_for_keeps_nobody_from_resuming),
        ON(one_that_needs_no_cpus_waits_for_none_who_resumes),
        ON(while_one_has_not_ended_the_next_is_passed_by_eight_times_as_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
