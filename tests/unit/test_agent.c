/* test_agent.c - holds the agent's decisions on tasks, processes and objects. Who passes whom is in
 * test_turns.c, placement groups are in test_bundles.c, actors in test_calls.c. */
#include "agent_fixture.h"

static void executors_are_forked_as_needed_and_used_again(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    dispatch(f, 2, 1, 0, -1);
    assert_said(f, "fork p2\nRUN 2 to p2\n");
    dispatch(f, 3, 1, 0, -1);
    assert_said(f, "");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p2\n");
}

static void what_runs_never_exceeds_the_cpus_and_deeper_goes_first(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 0.5, 0, -1);
    dispatch(f, 3, 2, 1, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 3 to p1\n");
}

static void executors_get_work_ahead_of_their_turn(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 4; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 4 to p1\n");
    assert_non_null(done(f, 1, 3, TBI_AT_INLINE)); /* 2 comes first */
}

static void what_is_not_begun_is_taken_back_when_the_task_blocks(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    f->not_begun = 2;
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_said(f, "take back 2 from p1\nBLOCK 1 to 0\n");
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_said(f, "fork p2\nRUN 2 to p2\nRUN 3 to p2\n");
}

/* Another node has so many CPUs free, and half a GPU. */
static void take_back(struct fake *f, unsigned most, double cpus)
{
    struct msg_take_back *m = record(f, TBI_MSG_TAKE_BACK, TBI_PROC_NONE,
                                     sizeof *m + 2 * sizeof(struct tbi_amount));
    struct tbi_amount *there = (struct tbi_amount *)(m + 1);

    *m = (struct msg_take_back){most, 2};
    there[0] = (struct tbi_amount){.resource = TBI_CPUS, .amount = (int64_t)(cpus * 10000)};
    there[1] = (struct tbi_amount){.resource = TBI_GPUS, .amount = 5000};
    assert_null(deliver(f, 0));
}

static void what_waits_goes_back_for_an_idle_node_shallow_and_young_first(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 7; k++)
        dispatch(f, k, 1, k == 3, -1);
    dispatch(f, 8, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\n");
    assert_null(task_msg(f, TBI_MSG_WANTED, TBI_PROC_NONE, 6)); /* a blocked task waits for it */
    take_back(f, 9, 1.5);
    assert_said(f, "TAKEN 7\n"); /* 8 does not fit there, a second one neither */
    take_back(f, 2, 8);
    assert_said(f, "TAKEN 8 5\n");
    take_back(f, 9, 8);
    assert_said(f, "TAKEN 4 3\n");
    take_back(f, 9, 8);
    assert_said(f, "TAKEN\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 6 to p1\n");
    dispatch(f, 7, 1, 0, -1); /* it may come again */
    assert_null(done(f, 1, 6, TBI_AT_INLINE));
    assert_said(f, "FINISHED 6 to 0\nRUN 7 to p1\n");
}

static void what_has_to_be_here_stays(void **state)
{
    struct fake *f = *state;
    struct msg_dispatch *m;

    dispatch(f, 1, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m);
    *m = (struct msg_dispatch){.task = id(2), .cpus = 10000, .nreturns = 1,
                               .flags = TBI_DISPATCH_STAYS};
    assert_null(deliver(f, 0));
    take_back(f, 9, 8);
    assert_said(f, "TAKEN\n");
}

static void what_an_executor_has_not_begun_goes_back_for_an_idle_node(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    f->not_begun = 2;
    take_back(f, 1, 2);
    assert_said(f, "take back 2 from p1\nTAKEN 3\nRUN 2 to p1\n");
    f->not_begun = 0; /* it was just about to */
    take_back(f, 1, 2);
    assert_said(f, "TAKEN\n");
}

static void what_is_not_begun_is_taken_back_for_free_cpus(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 4; k++)
        dispatch(f, k, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\nRUN 3 to p1\nRUN 4 to p2\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\n");
    f->not_begun = 1;
    assert_null(done(f, 2, 4, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\ntake back 1 from p1\nRUN 3 to p2\n");
}

static void what_a_dead_executor_had_not_begun_runs_elsewhere(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 2; k++)
        dispatch(f, k, 2, 0, -1);
    f->not_begun = 1;
    crash(f, 1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\ntake back 1 from p1\nFINISHED 1 to 0 "
                   "error=-2 crashed\nfork p2\nRUN 2 to p2\n");
    crash(f, 2); /* it never began anything: else nodes that cannot start processes would go on */
    assert_said(f, "take back 1 from p2\nFINISHED 2 to 0 error=-2 crashed\n");
}

static void that_a_process_has_ended_is_the_last_that_the_head_hears_of_it(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_null(object_msg(f, TBI_MSG_HOLD, 1, id(7)));
    assert_said(f, "fork p1\nRUN 1 to p1\nHOLD 7 to 0\n");
    assert_int_equal(f->gone, 0);
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\nRELEASE 7 to 0\n");
    assert_int_equal(f->gone, 1);
}

static void what_a_process_does_not_wait_for_any_more_it_is_not_told(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_null(object_msg(f, TBI_MSG_FORGET, 1, id(7)));
    assert_said(f, "fork p1\nRUN 1 to p1\nFORGET 7 to 0\n");
    *(struct msg_located *)record(f, TBI_MSG_RESOLVED, 1, sizeof(struct msg_located)) =
        (struct msg_located){id(100), TBI_AT_STORE, 2, 0, 5000};
    assert_null(deliver(f, 0));
    assert_said(f, "FETCH 100 to 2\n"); /* it is on its way here */
    assert_null(object_msg(f, TBI_MSG_FORGET, 1, id(100)));
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "FORGET 100 to 0\ncopy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\n");
}

static void need(struct fake *f, uint32_t proc, int object)
{
    *(struct msg_located *)record(f, TBI_MSG_RESOLVED, proc, sizeof(struct msg_located)) =
        (struct msg_located){id(object), TBI_AT_STORE, 2, 0, 5000};
    assert_null(deliver(f, 0));
}

static void who_forgets_an_object_leaves_the_others_waiting_for_it(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    need(f, 1, 99);
    need(f, 1, 100);
    need(f, 2, 100);
    need(f, 1, 100); /* another thread of it */
    dispatch(f, 3, 0, 0, 2);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\nFETCH 99 to 2\nFETCH 100 to 2\n");
    assert_null(object_msg(f, TBI_MSG_FORGET, 1, id(100)));
    assert_said(f, "FORGET 100 to 0\n");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nOBJECT 100 to p2\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p2\n");
}

/* The store has 10 pages: 7 for copies of arguments. */
static void copies_of_arguments_leave_room_for_results(void **state)
{
    struct fake *f = *state;

    dispatch_large(f, 1, 100, 4);
    assert_said(f, "FETCH 100 to 2\n");
    dispatch_large(f, 2, 101, 4);
    assert_said(f, "");
    dispatch_large(f, 3, 100, 4); /* the same object: no more room */
    assert_said(f, "");           /* its turn comes after 2 */
    assert_null(task_msg(f, TBI_MSG_WANTED, TBI_PROC_NONE, 2));
    assert_said(f, "FETCH 101 to 2\n"); /* a blocked task waits for it */
    dispatch(f, 4, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 4 to p1\n");
}

static void one_task_is_admitted_however_large(void **state)
{
    struct fake *f = *state;

    dispatch_large(f, 1, 100, 9);
    assert_said(f, "FETCH 100 to 2\n");
}

static void a_blocked_tasks_cpus_are_given_away_when_the_head_has_answered(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_said(f, "BLOCK 1 to 0\n");
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_said(f, "fork p2\nRUN 2 to p2\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, ""); /* it must wait for the CPUs, before any new start */
    dispatch(f, 3, 2, 5, -1);
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\n");
}

static void a_task_that_unblocks_before_the_answer_never_lost_its_cpus(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "BLOCK 1 to 0\nRESUME 1 to p1\n");
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_said(f, "UNBLOCKED 1 to 0\n");
}

static void a_process_whose_task_waits_does_not_count_for_the_limit(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 2; k++) {
        dispatch(f, k, 1, 0, -1);
        assert_null(task_msg(f, TBI_MSG_BLOCK, (uint32_t)k, k));
        assert_null(task_msg(f, TBI_MSG_BLOCKED, (uint32_t)k, k));
    }
    assert_said(f, "fork p1\nRUN 1 to p1\nBLOCK 1 to 0\nfork p2\nRUN 2 to p2\nBLOCK 2 to 0\n");
    dispatch(f, 3, 1, 0, -1);
    dispatch(f, 4, 1, 0, -1);
    assert_said(f, "fork p3\nRUN 3 to p3\nfork p4\nRUN 4 to p4\n");
    assert_null(done(f, 3, 3, TBI_AT_INLINE));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1)); /* it waits for a CPU, and goes first */
    assert_said(f, "FINISHED 3 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\n");
}

static void above_the_limit_tasks_wait_although_they_fit(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 0, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p2\n");
}

static void an_argument_on_the_same_host_is_mapped_under_a_lease(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, 0);
    assert_said(f, "FETCH 100 to 0\n");
    answer_fetch(f, 0, false);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nFETCH_DONE 100 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).objects, 0);
}

static void an_argument_on_another_host_is_copied_and_stays_as_a_replica(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, 2);
    assert_said(f, "FETCH 100 to 2\n");
    answer_fetch(f, 2, false);
    assert_said(f, "copy from 2\n");
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "FETCH_DONE 100 to 2\nREPLICA 100 to 0\nfork p1\nRUN 1 to p1\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 8192);
    /* FREE while the task uses it only dooms it */
    assert_null(object_msg(f, TBI_MSG_FREE, TBI_PROC_NONE, id(100)));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 8192);
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

static void an_owner_that_refuses_is_asked_for_at_the_head(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, 2);
    assert_said(f, "FETCH 100 to 2\n");
    answer_fetch(f, 2, true);
    assert_said(f, "RESOLVE 100 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

static void a_leased_object_is_not_freed_before_the_lease_ends(void **state)
{
    struct fake *f = *state;
    struct msg_fetch_end *end;

    dispatch(f, 1, 1, 0, -1);
    assert_null(create(f, 1, id(1), 5000));
    assert_null(done(f, 1, 1, TBI_AT_STORE));
    assert_said(f, "fork p1\nRUN 1 to p1\nCREATED 1 to p1\nFINISHED 1 to 0\n");
    remote_fetch(f, 7);
    assert_said(f, "FETCHED 1 to 2\n");
    assert_null(object_msg(f, TBI_MSG_FREE, TBI_PROC_NONE, id(1)));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 8192);
    end = record(f, TBI_MSG_FETCH_DONE, TBI_PROC_NONE, sizeof *end);
    *end = (struct msg_fetch_end){id(1), 7, 0};
    assert_null(deliver(f, 2));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
    remote_fetch(f, 8);
    assert_said(f, "FETCHED 1 to 2 refused\n");
}

static void a_create_waits_for_room_then_gets_it_or_fails(void **state)
{
    struct fake *f = *state;
    struct tbi_id a = tbi_id_make(1, 1, 1, 1, 0), b = tbi_id_make(1, 1, 1, 2, 0),
                  c = tbi_id_make(1, 1, 1, 3, 0);

    dispatch(f, 50, 1, 0, -1);
    assert_null(create(f, 1, a, 9 * 4096));
    assert_said(f, "fork p1\nRUN 50 to p1\nCREATED 1 to p1\n");
    assert_null(create(f, 1, b, 11 * 4096)); /* more than there ever is: at once */
    assert_said(f, "CREATED 2 to p1 error=-8\n");
    assert_null(create(f, 1, b, 2 * 4096));
    assert_said(f, "");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, a));
    assert_said(f, "CREATED 2 to p1\n");
    assert_null(create(f, 1, c, 9 * 4096));
    assert_int_equal(tbi_agent_deadline(f->agent), 1000);
    tbi_agent_tick(f->agent, 999);
    assert_said(f, "");
    tbi_agent_tick(f->agent, 1000);
    assert_said(f, "CREATED 3 to p1 error=-8\n");
}

static void a_crash_fails_the_task_and_returns_all_it_had(void **state)
{
    struct fake *f = *state;
    struct tbi_id announced = tbi_id_make(1, 1, 1, 9, 0);

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_null(create(f, 1, id(1), 5000));
    assert_null(create(f, 1, announced, 5000));
    assert_null(object_msg(f, TBI_MSG_ANNOUNCE, 1, announced));
    assert_null(object_msg(f, TBI_MSG_HOLD, 1, id(70)));
    assert_said(f, "fork p1\nRUN 1 to p1\nCREATED 1 to p1\nCREATED 9 to p1\nANNOUNCE 9 to 0\n"
                   "HOLD 70 to 0\n");
    crash(f, 1);
    describe(f);
    assert_non_null(strstr(f->text, "FINISHED 1 to 0 error=-2 crashed\n"));
    assert_non_null(strstr(f->text, "FINISHED 9 to 0 error=-2\n"));
    assert_non_null(strstr(f->text, "RELEASE 70 to 0\n"));
    assert_non_null(strstr(f->text, "RELEASE 9 to 0\n"));
    assert_non_null(strstr(f->text, "fork p2\nRUN 2 to p2\n"));
    assert_null(tbi_agent_check(f->agent));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

static void all_that_a_dead_executor_had_begun_have_crashed(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    f->not_begun = 1; /* the end of 1 had no room in the ring when it began 2 */
    crash(f, 1);
    assert_said(f, "take back 1 from p1\nFINISHED 1 to 0 error=-2 crashed\nFINISHED 2 to 0 error=-2 crashed\n"
                   "fork p2\nRUN 3 to p2\n");
    assert_null(tbi_agent_check(f->agent));
}

static void what_the_last_one_said_before_it_died_is_not_said_of_the_others(void **state)
{
    struct fake *f = *state;
    struct tbi_error_link link;

    for (int k = 1; k <= 2; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\n");
    tbi_error_link(&link, TB_ERR_TASK, "a tb_must that failed");
    tbi_agent_died(f->agent, 1, &link, true);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\nFINISHED 2 to 0 error=-1\n");
}

static void an_executor_that_is_doomed_is_given_no_task(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "fork p1\nRUN 1 to p1\nFINISHED 1 to 0\n");
    tbi_agent_doom(f->agent, 1); /* idle */
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p2\nRUN 2 to p2\n");
    tbi_agent_doom(f->agent, 2); /* it runs 2 */
    dispatch(f, 3, 2, 0, -1);
    assert_said(f, "");
    assert_null(tbi_agent_check(f->agent));
    crash(f, 1);
    crash(f, 2);
    assert_said(f, "FINISHED 2 to 0 error=-2 crashed\nfork p3\nRUN 3 to p3\n");
}

static void only_what_was_taken_back_can_be_skipped(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 2, 0, -1);
    *(struct msg_skipped *)record(f, TBI_MSG_SKIPPED, 1, sizeof(struct msg_skipped)) = (struct msg_skipped){1, 3};
    assert_non_null(deliver(f, 1));
    f->not_begun = 2;
    abort_task(f, 2, 0, 0);
    f->not_begun = 0;
    *(struct msg_skipped *)record(f, TBI_MSG_SKIPPED, 1, sizeof(struct msg_skipped)) = (struct msg_skipped){1, 3};
    assert_null(deliver(f, 1)); /* 3 was given to it again, under another number */
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\ntake back 2 from p1\nFINISHED 2 to 0 error=-3\n"
                   "RUN 3 to p1\n");
}

static void nonsense_from_a_process_is_refused_and_changes_nothing(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_non_null(done(f, 1, 2, TBI_AT_INLINE));             /* another task's end */
    assert_non_null(done(f, 1, 1, TBI_AT_STORE));              /* a result it never created */
    assert_non_null(done(f, 9, 1, TBI_AT_INLINE));             /* no such process */
    assert_non_null(create(f, 1, tbi_id_make(1, 1, 2, 1, 0), 8)); /* another process's id */
    assert_non_null(object_msg(f, TBI_MSG_RELEASE, 1, id(5)));
    assert_non_null(object_msg(f, TBI_MSG_UNPIN, 1, id(5)));
    assert_non_null(object_msg(f, TBI_MSG_ABANDON, 1, id(5)));
    assert_non_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\n");
}

static void what_is_aborted_before_it_began_never_runs(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 4; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    abort_task(f, 4, 0, 0); /* in the queue */
    assert_said(f, "FINISHED 4 to 0 error=-3\n");
    f->not_begun = 2;
    abort_task(f, 2, 0, 0); /* given ahead */
    assert_said(f, "take back 2 from p1\nFINISHED 2 to 0 error=-3\nRUN 3 to p1\n");
}

/* Its DONE has not come, but the next is running. */
static void one_that_is_over_is_aborted_without_harm_to_the_next(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    f->not_begun = 1;
    abort_task(f, 1, 0, 1);
    assert_said(f, "take back 1 from p1\nRUN 3 to p1\n");
    f->not_begun = 1;
    abort_task(f, 1, 0, 0);
    assert_said(f, "take back 1 from p1\nRUN 3 to p1\n");
    f->not_begun = 0;
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    assert_null(done(f, 1, 3, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nFINISHED 2 to 0\nFINISHED 3 to 0\n");
    dispatch(f, 4, 2, 0, -1);
    assert_said(f, "RUN 4 to p1\n");
}

static void a_running_task_is_interrupted_and_then_killed(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    f->now = 100;
    abort_task(f, 1, 1, 0); /* another attempt */
    assert_said(f, "");
    abort_task(f, 1, 0, 0);
    assert_said(f, "INTERRUPT 1 to p1\ninterrupt p1 in task number 0\n");
    abort_task(f, 1, 0, 0);
    assert_said(f, "");
    assert_int_equal(tbi_agent_deadline(f->agent), 600);
    tbi_agent_tick(f->agent, 600);
    assert_said(f, "kill p1\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\n");
}

static void a_process_whose_task_was_interrupted_runs_no_other(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    abort_task(f, 1, 0, 0);
    assert_said(f, "fork p1\nRUN 1 to p1\nINTERRUPT 1 to p1\ninterrupt p1 in task number 0\n");
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nEXIT 0 to p1\nfork p2\nRUN 2 to p2\n");
    crash(f, 1);
    assert_said(f, "");
}

static void by_force_it_is_killed_at_once(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    abort_task(f, 1, 0, 1);
    assert_said(f, "fork p1\nRUN 1 to p1\nkill p1\n");
}

static void a_task_aborted_while_its_argument_comes_ends_when_it_is_here(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, 2);
    assert_said(f, "FETCH 100 to 2\n");
    abort_task(f, 1, 0, 0);
    assert_said(f, "");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nFINISHED 1 to 0 error=-3\n");
    assert_int_equal(tbi_agent_counts(f->agent).pins, 0);
}

static void a_task_aborted_before_its_copies_were_admitted_ends_at_once(void **state)
{
    struct fake *f = *state;

    dispatch_large(f, 1, 100, 4);
    dispatch_large(f, 2, 101, 4);
    assert_said(f, "FETCH 100 to 2\n");
    abort_task(f, 2, 0, 0);
    assert_said(f, "FINISHED 2 to 0 error=-3\n");
}

static void a_task_that_exceeds_its_limit_is_reported_once(void **state)
{
    struct fake *f = *state;
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m);

    f->now = 1000;
    *m = (struct msg_dispatch){.task = id(1), .cpus = 10000, .nreturns = 1, .limit_ms = 2};
    assert_null(deliver(f, 0));
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    tbi_agent_tick(f->agent, 2999);
    assert_said(f, "");
    tbi_agent_tick(f->agent, 3000);
    assert_said(f, "OVERDUE 1 to 0\n");
    tbi_agent_tick(f->agent, 99999);
    assert_said(f, "");
}

/* Process 1 submits task `k` of its own, for the task 1 that it runs. */
static const char *submit(struct fake *f, int k, double cpus, unsigned strategy)
{
    struct msg_submit *m = record(f, TBI_MSG_SUBMIT, 1, sizeof *m);

    *m = (struct msg_submit){.task = tbi_id_make(1, 1, 1, (uint64_t)k, 0), .parent = id(1),
                             .cpus = (int32_t)(cpus * 10000), .depth = 1,
                             .strategy = (uint8_t)strategy};
    return deliver(f, 1);
}

static void a_nested_task_begins_where_it_was_submitted(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(submit(f, 11, 1, TBI_DEFAULT));
    assert_said(f, "SUBMIT 11 to 0 local\nfork p2\nRUN 11 to p2\n");
    assert_null(submit(f, 12, 1, TBI_DEFAULT));
    assert_null(submit(f, 13, 1, TBI_DEFAULT));
    assert_null(submit(f, 14, 1, TBI_DEFAULT)); /* two wait here: the head will know better */
    assert_said(f, "SUBMIT 12 to 0 local\nSUBMIT 13 to 0 local\nSUBMIT 14 to 0\n");
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1)); /* and its CPUs go to them at once */
    assert_said(f, "BLOCK 1 to 0\nfork p3\nRUN 12 to p3\n");
    assert_null(done_of(f, 2, tbi_id_make(1, 1, 1, 11, 0), 0));
    assert_said(f, "FINISHED 11 to 0\nRUN 13 to p2\n");
}

static void while_a_task_starves_none_is_taken_in_by_the_way(void **state)
{
    struct fake *f = *state; /* so many that a task submits may stay */

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(submit(f, 11, 1, TBI_DEFAULT));
    assert_said(f, "SUBMIT 11 to 0 local\nfork p2\nRUN 11 to p2\n");
    assert_null(done_of(f, 2, id(BY(1, 11)), 0));
    assert_null(submit(f, 12, 1, TBI_DEFAULT));
    assert_said(f, "FINISHED 11 to 0\nSUBMIT 12 to 0 local\nRUN 12 to p2\n");
    assert_null(submit(f, 13, 1, TBI_DEFAULT)); /* twice was enough */
    assert_said(f, "SUBMIT 13 to 0\n");
}

static void what_the_head_must_place_goes_to_the_head(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_null(submit(f, 11, 1, TBI_SPREAD));
    assert_null(submit(f, 12, 3, TBI_DEFAULT)); /* more than the node has */
    assert_said(f, "fork p1\nRUN 1 to p1\nSUBMIT 11 to 0\nSUBMIT 12 to 0\n");
    *(struct msg_keep *)record(f, TBI_MSG_KEEP, TBI_PROC_NONE, sizeof(struct msg_keep)) =
        (struct msg_keep){1, 0};
    assert_null(deliver(f, 0));
    assert_null(submit(f, 13, 1, TBI_DEFAULT));
    assert_said(f, "SUBMIT 13 to 0\n");
    *(struct msg_keep *)record(f, TBI_MSG_KEEP, TBI_PROC_NONE, sizeof(struct msg_keep)) =
        (struct msg_keep){0, 0};
    assert_null(deliver(f, 0));
    assert_null(submit(f, 14, 1, TBI_DEFAULT));
    assert_said(f, "SUBMIT 14 to 0 local\nfork p2\nRUN 14 to p2\n");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define NESTED(test) cmocka_unit_test_setup_teardown(test, setup_nested, teardown)
#define AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_ahead, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(executors_are_forked_as_needed_and_used_again),
        ON(what_runs_never_exceeds_the_cpus_and_deeper_goes_first),
        ON(copies_of_arguments_leave_room_for_results),
        ON(one_task_is_admitted_however_large),
        AHEAD(executors_get_work_ahead_of_their_turn),
        AHEAD(what_is_not_begun_is_taken_back_when_the_task_blocks),
        AHEAD(what_is_not_begun_is_taken_back_for_free_cpus),
        ON(what_waits_goes_back_for_an_idle_node_shallow_and_young_first),
        ON(what_has_to_be_here_stays),
        AHEAD(what_an_executor_has_not_begun_goes_back_for_an_idle_node),
        AHEAD(what_a_dead_executor_had_not_begun_runs_elsewhere),
        ON(that_a_process_has_ended_is_the_last_that_the_head_hears_of_it),
        ON(what_a_process_does_not_wait_for_any_more_it_is_not_told),
        ON(who_forgets_an_object_leaves_the_others_waiting_for_it),
        ON(a_blocked_tasks_cpus_are_given_away_when_the_head_has_answered),
        ON(a_task_that_unblocks_before_the_answer_never_lost_its_cpus),
        ON(a_process_whose_task_waits_does_not_count_for_the_limit),
        ON(above_the_limit_tasks_wait_although_they_fit),
        ON(an_argument_on_the_same_host_is_mapped_under_a_lease),
        ON(an_argument_on_another_host_is_copied_and_stays_as_a_replica),
        ON(an_owner_that_refuses_is_asked_for_at_the_head),
        ON(a_leased_object_is_not_freed_before_the_lease_ends),
        ON(a_create_waits_for_room_then_gets_it_or_fails),
        ON(a_crash_fails_the_task_and_returns_all_it_had),
        AHEAD(all_that_a_dead_executor_had_begun_have_crashed),
        AHEAD(what_the_last_one_said_before_it_died_is_not_said_of_the_others),
        AHEAD(an_executor_that_is_doomed_is_given_no_task),
        AHEAD(only_what_was_taken_back_can_be_skipped),
        AHEAD(what_is_aborted_before_it_began_never_runs),
        AHEAD(one_that_is_over_is_aborted_without_harm_to_the_next),
        ON(a_running_task_is_interrupted_and_then_killed),
        ON(a_process_whose_task_was_interrupted_runs_no_other),
        ON(by_force_it_is_killed_at_once),
        ON(a_task_aborted_while_its_argument_comes_ends_when_it_is_here),
        ON(a_task_aborted_before_its_copies_were_admitted_ends_at_once),
        ON(a_task_that_exceeds_its_limit_is_reported_once),
        NESTED(a_nested_task_begins_where_it_was_submitted),
        NESTED(while_a_task_starves_none_is_taken_in_by_the_way),
        NESTED(what_the_head_must_place_goes_to_the_head),
        ON(nonsense_from_a_process_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
