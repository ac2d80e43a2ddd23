/* test_actor_ends.c - holds how long the head lets actors live, with their handles, and how they end: released, killed,
 * by themselves or with their process, and what becomes of their calls then. */
#include "sim_actors.h"
#include "sched/graph.h"

/* ---- handles ---- */

static void with_its_last_handle_it_retires_after_the_calls_that_were_made(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_release(sim, a);
    assert_silence(sim);
    assert_null(sim_called(sim, 1, c, 0, 7, false));
    assert_actions(sim, "RETIRE 1 to 1\n");
    assert_fate(sim, c, "inline=7");
    assert_null(sim_ended(sim, 1, a, 0));
    sim_release(sim, c);
    assert_nothing_is_left(sim);
    assert_int_equal(sim->unread, 0);
}

static void a_handle_in_an_object_keeps_it(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), x = sim_put(sim, 0, a);

    sim_release(sim, a);
    assert_silence(sim);
    sim_release(sim, x);
    assert_actions(sim, "RETIRE 1 to 1\n");
}

static void a_handle_kept_by_its_constructor_keeps_another(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), b = ACTOR(sim, .cpus = 1, .holds = {a});
    struct msg_done *m;

    sim_run(sim);
    sim_release(sim, a);
    m = sim_record(sim, TBI_MSG_LIVES, sizeof *m + sizeof(struct tbi_id));
    *m = (struct msg_done){.task = sim_id((uint64_t)b), .nkept = 1};
    *(struct tbi_id *)(m + 1) = sim_id((uint64_t)a);
    assert_null(sim_deliver(sim, 2));
    assert_silence(sim);
    sim_release(sim, b);
    assert_actions(sim, "RETIRE 2 to 2\n");
    assert_null(sim_ended(sim, 2, b, 0)); /* it holds its arguments as long as it may be begun again */
    assert_silence(sim);
    sim_object(sim, TBI_MSG_RELEASE, 2, a); /* what its process held goes with that */
    assert_actions(sim, "RETIRE 1 to 1\n");
}

static void one_that_nobody_wants_before_it_is_sent_never_begins(void **state)
{
    struct sim *sim = *state;
    int x = sim_submit(sim, (struct sim_task){.cpus = 1}), a = ACTOR(sim, .cpus = 1, .after = {x});

    sim_run(sim);
    sim_release(sim, a);
    assert_silence(sim);
    assert_null(sim_done(sim, 1, x, 1, 0, 0));
    sim_release(sim, x);
    assert_silence(sim);
    assert_nothing_is_left(sim);
}

static void one_that_nobody_wants_while_it_begins_is_told_to_end(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1);

    sim_run(sim);
    sim_release(sim, a);
    assert_actions(sim, "RETIRE 1 to 1\n");
    assert_null(sim_lives(sim, 1, a, 0));
    assert_silence(sim);
    assert_null(sim_ended(sim, 1, a, 0));
    assert_nothing_is_left(sim);
    a = ACTOR(sim, .cpus = 1);
    sim_run(sim);
    sim_release(sim, a);
    sim_failed(sim, 1, a, TB_ERR_CANCELLED); /* its agent had not begun it */
    assert_nothing_is_left(sim);
    assert_int_equal(sim->unread, 0);
}

static void one_that_nobody_wants_when_it_is_taken_back_never_begins(void **state)
{
    struct sim *sim = sim_new(3, (int32_t[]){0, 10000, 10000}, (unsigned[]){0, 0, 0}, 1);
    int a;

    (void)state;
    sim_submit(sim, (struct sim_task){.cpus = 1});
    sim_submit(sim, (struct sim_task){.cpus = 1});
    a = ACTOR(sim, .cpus = 1);
    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 2\nDISPATCH 3 to 1\n");
    assert_null(sim_done(sim, 2, 2, 1, 0, 0));
    assert_actions(sim, "TAKE_BACK 1 CPUs to 1\n");
    sim_release(sim, a);
    assert_actions(sim, "RETIRE 3 to 1\n");
    assert_null(sim_taken(sim, 1, (int[]){a, 0})); /* it was on its way: RETIRE will find nothing */
    assert_silence(sim);
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 1);
    sim_free(sim);
}

static void a_detached_one_lives_until_the_job_ends(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .as = {.flags = TBI_ACTOR_DETACHED}, .name = "/a"});

    sim_release(sim, a);
    assert_silence(sim);
    sim_find(sim, 2, "/a", 1);
    assert_actions(sim, "IDENTIFY 1 for ticket 1 to 2\n");
    sim_object(sim, TBI_MSG_RELEASE, 2, a);
    assert_silence(sim);
    tbi_sched_let_go(sim->sched);
    assert_actions(sim, "RETIRE 1 to 1\n");
    tbi_sched_let_go(sim->sched); /* again: nothing */
    assert_silence(sim);
    assert_null(sim_ended(sim, 1, a, 0));
    assert_nothing_is_left(sim);
}

static void a_detached_one_that_is_killed_leaves_nothing(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 1, .as = {.flags = TBI_ACTOR_DETACHED}});

    sim_kill(sim, a, KILL);
    sim_release(sim, a);
    assert_actions(sim, "ABORT 1 to 1 by force\n");
    sim_crashed(sim, 1, a, 0);
    assert_nothing_is_left(sim);
}

/* ---- ends ---- */

static void killed_it_fails_at_once_what_waits_and_with_its_process_what_runs(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 1, .max_retries = -1, .as = {.max_task_retries = -1}}),
        x = sim_submit(sim, (struct sim_task){.cpus = 1}), sent = CALL(sim, a, 1),
        waits = CALL(sim, a, 2, .after = {x});

    sim_run(sim);
    sim_resolve(sim, 0, sent, 0);
    sim_resolve(sim, 0, waits, 0);
    sim_kill(sim, a, KILL);
    assert_actions(sim, "ABORT 1 to 1 by force\nRESOLVED 4 to 0 error=-5 in work\n");
    assert_non_null(strstr(sim->message, "killed by tb_kill"));
    assert_died(sim, CALL(sim, a, 3), "killed by tb_kill");
    assert_int_equal(tbi_sched_counts(sim->sched).load, 20000); /* its agent has it still */
    sim_kill(sim, a, KILL);
    assert_silence(sim);
    sim_crashed(sim, 1, sent, 0);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "WHERE 1 to 0.0: ended\nRESOLVED 3 to 0 error=-5 in work\n"); /* its callers may forget it */
    assert_int_equal(tbi_sched_counts(sim->sched).load, 10000);
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 1);
}

static void a_call_that_is_done_before_the_process_is_killed_keeps_its_value(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_kill(sim, a, KILL);
    assert_fate(sim, c, "pending");
    assert_null(sim_called(sim, 1, c, 0, 7, false));
    assert_fate(sim, c, "inline=7");
    sim_crashed(sim, 1, a, 0);
    sim_release(sim, c);
    sim_release(sim, a);
    assert_nothing_is_left(sim);
}

/* Ends the actor, which runs this call, in one of the ways there are. */
static void end_it(struct sim *sim, int way, int actor, int runs)
{
    if (way == 0)
        sim_kill(sim, actor, KILL);
    sim_crashed(sim, 1, runs, 0);
    if (way == 1)
        assert_null(sim_ended(sim, 1, actor, 0)); /* it had called tb_actor_exit */
    else if (way == 2)
        sim_failed(sim, 1, actor, TB_ERR_CANCELLED); /* with its group */
    else
        sim_crashed(sim, 1, actor, 0);
}

static void each_call_fails_in_its_own_name_with_where_it_ran(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct sim *sim = sim_new(3, (int32_t[]){0, 20000, 20000}, (unsigned[]){0, 0, 1}, 0);
        int x = sim_submit(sim, (struct sim_task){.cpus = 1}), a = ACTOR(sim, .cpus = 0), runs, sent, waits;

        sim_run(sim);
        assert_null(sim_lives(sim, 1, a, 0));
        runs = CALL(sim, a, 1, .fn = 1);
        sent = CALL(sim, a, 2, .fn = 1);
        waits = CALL(sim, a, 3, .after = {x});
        sim_run(sim);
        end_it(sim, way, a, runs);
        assert_ran(sim, runs, "other", runs);
        assert_ran(sim, sent, "other", 0);
        assert_null(sim_done(sim, 1, x, 1, 0, 0));
        assert_ran(sim, waits, "work", 0);
        assert_ran(sim, CALL(sim, a, 4, .fn = 1), "other", 0);
        sim_free(sim);
    }
}

static void calls_that_its_end_kept_from_beginning_fail_with_one_error_each_method(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 1}), c[4];

    for (int i = 0; i < 4; i++)
        c[i] = CALL(sim, a, (uint64_t)i + 1, .fn = i == 3);
    sim_run(sim);
    sim_crashed(sim, 1, a, 0);
    for (int i = 1; i < 3; i++)
        assert_ptr_equal(tbi_directory_object(&sim->sched->dir, sim_id((uint64_t)c[i]), NULL)->payload,
                         tbi_directory_object(&sim->sched->dir, sim_id((uint64_t)c[0]), NULL)->payload);
    assert_ran(sim, c[0], "work", 0);
    assert_ran(sim, c[3], "other", 0);
    for (int i = 0; i < 4; i++)
        sim_release(sim, c[i]);
    sim_object(sim, TBI_MSG_SEEN, 0, a);
    sim_release(sim, a);
    assert_nothing_is_left(sim);
    assert_int_equal(sim->unread, 0);
}

static void killed_before_it_was_sent_it_never_begins(void **state)
{
    struct sim *sim = *state;
    int x = sim_submit(sim, (struct sim_task){.cpus = 1}), a = ACTOR(sim, .cpus = 1, .after = {x}),
        c = CALL(sim, a, 1);

    sim_run(sim);
    sim_kill(sim, a, KILL);
    assert_died(sim, c, "killed by tb_kill");
    assert_null(sim_done(sim, 1, x, 1, 0, 0));
    assert_silence(sim);
}

static void killed_while_it_begins_it_does_not_live(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_kill(sim, a, KILL);
    assert_actions(sim, "ABORT 1 to 1 by force\n");
    assert_died(sim, c, "killed by tb_kill");
    assert_null(sim_lives(sim, 1, a, 0)); /* it was on its way */
    assert_silence(sim);
    assert_null(sim_ended(sim, 1, a, 0));
    assert_int_equal(tbi_sched_counts(sim->sched).load, 0);
}

static void a_kill_of_what_is_no_actor_or_dead_does_nothing(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1}), a = ACTOR(sim, .cpus = 9);

    sim_run(sim);
    sim_kill(sim, t, KILL);
    sim_kill(sim, a, KILL);
    sim_kill(sim, 77, KILL);
    assert_silence(sim);
}

static void it_ends_itself_after_the_call_that_says_so(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 1, .max_retries = -1, .as = {.max_task_retries = -1},
                                          .name = "/a"}),
        leaves = CALL(sim, a, 1), behind = CALL(sim, a, 2);

    sim_run(sim);
    assert_null(sim_called(sim, 1, leaves, 0, 7, true));
    assert_fate(sim, leaves, "inline=7");
    assert_null(sim_ended(sim, 1, a, 0));
    assert_died(sim, behind, "it called tb_actor_exit");
    assert_died(sim, CALL(sim, a, 3), "it called tb_actor_exit");
    sim_find(sim, 0, "/a", 1);
    assert_actions(sim, "IDENTIFY 0 for ticket 1 to 0\n");
    assert_int_equal(tbi_sched_counts(sim->sched).load, 0);
}

static void without_restarts_the_death_of_its_process_is_its_own(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 1, .name = "/a", .as = {.max_task_retries = -1}}),
        begun = CALL(sim, a, 1), waits = CALL(sim, a, 2);

    sim_run(sim);
    sim_crashed(sim, 1, begun, 0);
    assert_fate(sim, begun, "pending"); /* what follows decides */
    sim_crashed(sim, 1, a, 0);
    assert_died(sim, begun, "the actor has ended: as the test wants it");
    assert_died(sim, waits, "as the test wants it");
    sim_find(sim, 0, "/a", 1);
    assert_actions(sim, "IDENTIFY 0 for ticket 1 to 0\n");
    for (int k = a; k <= waits; k++)
        sim_release(sim, k);
    assert_nothing_is_left(sim);
}

static void a_death_that_nobody_read_is_reported_once(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 1}), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_crashed(sim, 1, c, 0);
    sim_crashed(sim, 1, a, 0);
    sim_release(sim, c);
    assert_int_equal(sim->unread, 0);
    sim_release(sim, a);
    assert_int_equal(sim->unread, 1);
    assert_nothing_is_left(sim);
}

static void who_has_read_what_a_call_failed_with_has_read_the_death(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 1}), c = CALL(sim, a, 1), d = CALL(sim, a, 2, .fn = 1);

    sim_run(sim);
    sim_crashed(sim, 1, c, 0);
    sim_crashed(sim, 1, a, 0);
    sim_object(sim, TBI_MSG_SEEN, 0, d);
    for (int k = a; k <= d; k++)
        sim_release(sim, k);
    assert_int_equal(sim->unread, 0);
    assert_nothing_is_left(sim);
}

static void what_the_library_waits_for_itself_is_not_unread(void **state)
{
    struct sim *sim = *state;

    for (int flags = TBI_CALL_AWAITED; flags >= 0; flags -= TBI_CALL_AWAITED) {
        int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = CALL(sim, a, 1, .call_flags = (unsigned)flags);

        sim_run(sim);
        sim_failed(sim, 1, c, TB_ERR_TIMEOUT);
        sim_release(sim, c);
        assert_int_equal(sim->unread, flags == 0);
    }
}

#define ON(test) cmocka_unit_test_setup_teardown(test, sim_two_workers, sim_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(with_its_last_handle_it_retires_after_the_calls_that_were_made),
        ON(a_handle_in_an_object_keeps_it),
        ON(a_handle_kept_by_its_constructor_keeps_another),
        ON(one_that_nobody_wants_before_it_is_sent_never_begins),
        ON(one_that_nobody_wants_while_it_begins_is_told_to_end),
        cmocka_unit_test(one_that_nobody_wants_when_it_is_taken_back_never_begins),
        ON(a_detached_one_lives_until_the_job_ends),
        ON(a_detached_one_that_is_killed_leaves_nothing),
        ON(killed_it_fails_at_once_what_waits_and_with_its_process_what_runs),
        ON(a_call_that_is_done_before_the_process_is_killed_keeps_its_value),
        ON(each_call_fails_in_its_own_name_with_where_it_ran),
        ON(calls_that_its_end_kept_from_beginning_fail_with_one_error_each_method),
        ON(killed_before_it_was_sent_it_never_begins),
        ON(killed_while_it_begins_it_does_not_live),
        ON(a_kill_of_what_is_no_actor_or_dead_does_nothing),
        ON(it_ends_itself_after_the_call_that_says_so),
        ON(without_restarts_the_death_of_its_process_is_its_own),
        ON(a_death_that_nobody_read_is_reported_once),
        ON(what_the_library_waits_for_itself_is_not_unread),
        ON(who_has_read_what_a_call_failed_with_has_read_the_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
