/* test_restarts.c - holds how actors come back at the head: which calls go on in the next life and which fail,
 * checkpoints, and what becomes of actors in placement groups. */
#include "sim_actors.h"

/* An actor that lives at rank 1; with one CPU, without end of restarts. */
static int living(struct sim *sim, struct sim_task t)
{
    int a;

    t.kind = TBI_ACTOR;
    t.cpus = 1;
    t.max_retries = t.max_retries != 0 ? t.max_retries : -1;
    a = sim_submit(sim, t);
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    sim_run(sim);
    return a;
}

/* ---- calls ---- */

static void calls_that_may_not_be_retried_are_unavailable(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = 0}}), begun = CALL(sim, a, 1),
        waits = CALL(sim, a, 2), meanwhile;

    sim_run(sim);
    sim_crashed(sim, 1, begun, 0);
    assert_fate(sim, begun, "pending");
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    assert_fate(sim, begun, "error=-6 in work because -2"); /* how it crashed itself */
    assert_ran(sim, begun, "work", begun);
    assert_says(sim, "the call is not run again, for it has no max_task_retries left");
    assert_fate(sim, waits, "error=-6 in work because -2"); /* how the actor did */
    assert_ran(sim, waits, "work", 0);
    assert_says(sim, "the call was not begun, for the actor is being restarted: as the test wants it; make the call again, "
                     "or give it .max_task_retries");
    meanwhile = CALL(sim, a, 3, .fn = 1);
    assert_fate(sim, meanwhile, "error=-6 in other because -2");
    assert_ran(sim, meanwhile, "other", 0);
    assert_says(sim, "the call was not begun, for the actor is being restarted");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, ""); /* no number is known to the new life yet, so none is missing */
    CALL(sim, a, 4);
    assert_actions(sim, "SKIP 1 to 1 epoch=1: 0.0's 1 to 3\nDISPATCH 5 to 1 stays epoch=1\n");
}

static void calls_that_may_are_sent_anew_in_order(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}}), done = CALL(sim, a, 1),
        begun = CALL(sim, a, 2);

    CALL(sim, a, 3);
    CALL(sim, a, 1, .by = 2);
    sim_run(sim);
    assert_null(sim_called(sim, 1, done, 0, 7, false));
    sim_crashed(sim, 1, begun, 0);
    sim_crashed(sim, 1, a, 0);
    CALL(sim, a, 4);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "SKIP 1 to 1 epoch=1: 0.0's 1 to 1\nDISPATCH 3 to 1 stays attempt=1 epoch=1\n"
                        "DISPATCH 4 to 1 stays epoch=1\nDISPATCH 5 to 1 stays epoch=1\n"
                        "DISPATCH 6 to 1 stays epoch=1\n");
    assert_null(sim_called(sim, 1, begun, 1, 8, false));
    assert_fate(sim, begun, "inline=8");
}

static void only_calls_that_were_begun_use_up_retries(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = 1}}), begun = CALL(sim, a, 1),
        waits = CALL(sim, a, 2);

    sim_run(sim);
    sim_crashed(sim, 1, begun, 0);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 2 to 1 stays attempt=1 epoch=1\nDISPATCH 3 to 1 stays epoch=1\n");
    sim_crashed(sim, 1, begun, 1);
    sim_crashed(sim, 1, a, 1);
    sim_run(sim);
    assert_fate(sim, begun, "error=-6 in work because -2");
    assert_null(sim_lives(sim, 1, a, 2));
    assert_actions(sim, "SKIP 1 to 1 epoch=2: 0.0's 1 to 1\nDISPATCH 3 to 1 stays epoch=2\n");
    assert_null(sim_called(sim, 1, waits, 0, 1, false));
    assert_fate(sim, waits, "inline=1");
}

static void what_a_call_says_of_its_retries_goes_before_what_the_actor_says(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}}), none = RETRIED_CALL(sim, a, 1, 0),
        one = RETRIED_CALL(sim, a, 2, 1);

    sim_run(sim);
    sim_crashed(sim, 1, one, 0); /* they run at once */
    sim_crashed(sim, 1, none, 0);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    assert_fate(sim, none, "error=-6 in work because -2");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "SKIP 1 to 1 epoch=1: 0.0's 1 to 1\nDISPATCH 3 to 1 stays attempt=1 epoch=1\n");
}

static void a_call_that_waits_for_its_argument_is_of_the_life_in_which_it_is_ready(void **state)
{
    struct sim *sim = *state;
    int x = sim_submit(sim, (struct sim_task){.cpus = 0}), y = sim_submit(sim, (struct sim_task){.cpus = 0}), a, late,
        later;

    sim_run(sim);
    a = living(sim, (struct sim_task){0});
    late = CALL(sim, a, 1, .after = {x});
    later = CALL(sim, a, 2, .after = {y});
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    assert_null(sim_done(sim, 1, x, 1, 7, 0)); /* while it restarts: it would be too late */
    assert_fate(sim, late, "error=-6 in work because -2");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "SKIP 3 to 1 epoch=1: 0.0's 1 to 1\n");
    assert_null(sim_done(sim, 1, y, 1, 7, 0));
    assert_actions(sim, "DISPATCH 5 to 1 stays epoch=1 inline=8\n");
    (void)later;
}

static void a_cancelled_call_that_runs_is_not_run_again(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}}), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_cancel(sim, c, 0);
    sim_crashed(sim, 1, c, 0);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "ABORT 2 to 1\nDISPATCH 1 to 1 attempt=1\n");
    assert_fate(sim, c, "error=-3 in work");
    sim_release(sim, c);
    assert_null(sim_lives(sim, 1, a, 1));
    assert_silence(sim);
    assert_int_equal(tbi_sched_counts(sim->sched).makers, 1);
}

static void a_call_that_crashed_and_is_cancelled_before_the_actor_is_known_to_be_dead_is_cancelled(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}}), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_crashed(sim, 1, c, 0);
    sim_cancel(sim, c, 0);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    assert_fate(sim, c, "error=-3 in work");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_silence(sim);
}

static void what_a_lost_call_had_submitted_is_cancelled(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}}), c = CALL(sim, a, 1), child;

    sim_run(sim);
    child = sim_submit(sim, (struct sim_task){.cpus = 2, .parent = c, .by = 1});
    sim_run(sim);
    sim_crashed(sim, 1, c, 0);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    assert_fate(sim, child, "error=-3 in work");
}

/* ---- lives ---- */

static void it_comes_back_where_there_is_room(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}}), c = CALL(sim, a, 1);

    sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_ON_NODE, .node = 1});
    sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_ON_NODE, .node = 1});
    sim_run(sim);
    sim_crashed(sim, 1, c, 0);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "DISPATCH 4 to 1 stays\nDISPATCH 1 to 2 attempt=1\n"); /* that one was first in line */
    assert_non_null(sim_lives(sim, 1, a, 1));
    assert_non_null(sim_lives(sim, 2, a, 0));
    assert_null(sim_lives(sim, 2, a, 1));
    assert_actions(sim, "DISPATCH 2 to 2 stays attempt=1 epoch=1\n");
    assert_non_null(sim_called(sim, 1, c, 0, 7, false));
    assert_null(sim_called(sim, 2, c, 1, 7, false));
    sim_release(sim, a);
    assert_actions(sim, "RETIRE 1 to 2 attempt=1\n");
    assert_null(sim_ended(sim, 2, a, 1));
    assert_int_equal(tbi_sched_counts(sim->sched).load, 20000);
}

static void calls_wait_while_it_waits_for_its_turn(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}});

    for (int k = 0; k < 5; k++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1});
    sim_run(sim);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "DISPATCH 5 to 1\n"); /* deeper than the actor */
    CALL(sim, a, 1);
    assert_silence(sim);
    assert_null(sim_done(sim, 1, 5, 1, 0, 0));
    assert_actions(sim, "DISPATCH 6 to 1\n");
    assert_null(sim_done(sim, 1, 6, 1, 0, 0));
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 7 to 1 stays epoch=1\n");
}

static void restarts_are_used_up(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.max_retries = 1, .as = {.max_task_retries = -1}, .name = "/a"}),
        c = CALL(sim, a, 1);

    sim_run(sim);
    sim_crashed(sim, 1, a, 0); /* without having begun the call */
    sim_run(sim);
    sim_find(sim, 0, "/a", 1); /* it has its name all the while */
    assert_actions(sim, "IDENTIFY 1 for ticket 1 to 0\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 2 to 1 stays epoch=1\n");
    sim_crashed(sim, 1, a, 1);
    assert_died(sim, c, "as the test wants it");
    assert_silence(sim);
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
    assert_int_equal(tbi_sched_counts(sim->sched).load, 0);
}

static void one_whose_process_dies_before_it_lives_uses_up_a_restart(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1, .max_retries = 1), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    assert_fate(sim, c, "pending"); /* it was never sent: no retry is needed */
    sim_crashed(sim, 1, a, 1);
    assert_died(sim, c, "as the test wants it");
}

static void a_constructor_that_fails_when_it_is_begun_again_is_its_end(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}}), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    sim_attempt_failed(sim, 1, a, 1, TB_ERR_TASK);
    assert_died(sim, c, "as the test wants it");
    assert_silence(sim);
}

static void kill_by_default_costs_a_life(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.max_retries = 1, .as = {.max_task_retries = -1}}), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_kill(sim, a, 0);
    assert_actions(sim, "ABORT 1 to 1 by force\n");
    assert_fate(sim, c, "pending");
    sim_crashed(sim, 1, c, 0);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 2 to 1 stays attempt=1 epoch=1\n");
    sim_kill(sim, a, 0);
    sim_crashed(sim, 1, c, 1);
    sim_crashed(sim, 1, a, 1);
    assert_died(sim, c, "as the test wants it");
}

static void so_it_does_while_it_is_begun(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1, .max_retries = 2), c = RETRIED_CALL(sim, a, 1, -1);

    sim_kill(sim, a, 0); /* no node has it yet */
    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_kill(sim, a, 0);
    assert_actions(sim, "ABORT 1 to 1 by force\n");
    sim_attempt_failed(sim, 1, a, 0, TB_ERR_CANCELLED); /* it had not begun there */
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    sim_kill(sim, a, 0);
    assert_null(sim_lives(sim, 1, a, 1)); /* on its way already */
    assert_actions(sim, "ABORT 1 to 1 by force\nDISPATCH 2 to 1 stays epoch=1\n");
    sim_crashed(sim, 1, c, 0);
    sim_crashed(sim, 1, a, 1);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=2\n");
    assert_fate(sim, c, "pending");
    sim_attempt_failed(sim, 1, a, 2, TB_ERR_TASK); /* by itself */
    assert_died(sim, c, "as the test wants it");
}

static void kill_by_default_of_one_without_restarts_is_final_at_once(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1), c = CALL(sim, a, 1);

    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    sim_run(sim);
    sim_kill(sim, a, 0);
    assert_died(sim, a, "killed by tb_kill");
    sim_crashed(sim, 1, a, 0);
    assert_died(sim, c, "killed by tb_kill");
}

static void killed_while_it_restarts_it_does_not_come_back(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}}), c = CALL(sim, a, 1);

    for (int k = 0; k < 5; k++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1});
    sim_run(sim);
    sim_crashed(sim, 1, c, 0);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    sim_kill(sim, a, TB_KILL_NO_RESTART);
    assert_died(sim, c, "killed by tb_kill");
    for (int k = 3; k <= 7; k++)
        if (sim_done(sim, 1, k, 1, 0, 0) != NULL)
            assert_null(sim_done(sim, 2, k, 1, 0, 0));
        else
            sim_run(sim);
    assert_silence(sim);
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
}

static void one_that_nobody_wants_does_not_come_back(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){0});

    sim_release(sim, a);
    assert_actions(sim, "RETIRE 1 to 1\n");
    sim_crashed(sim, 1, a, 0); /* it did not get that far */
    assert_silence(sim);
    assert_nothing_is_left(sim);
}

static void released_while_it_restarts_it_ends(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){0});

    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    sim_release(sim, a);
    assert_actions(sim, "RETIRE 1 to 1 attempt=1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_null(sim_ended(sim, 1, a, 1));
    assert_silence(sim);
    assert_nothing_is_left(sim);
}

static void what_it_needs_to_begin_it_needs_each_time(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){.as = {.flags = TBI_ACTOR_PLACED_ONLY, .max_task_retries = -1}});

    assert_int_equal(tbi_sched_counts(sim->sched).load, 0);
    for (int k = 0; k < 4; k++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    sim_run(sim);
    sim_crashed(sim, 1, a, 0);
    assert_silence(sim); /* all CPUs are in use */
    assert_int_equal(tbi_sched_counts(sim->sched).load, 40000);
    assert_null(sim_done(sim, 1, 3, 1, 0, 0));
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1\n");
    assert_int_equal(tbi_sched_counts(sim->sched).load, 40000);
    assert_null(sim_lives(sim, 1, a, 1));
    assert_int_equal(tbi_sched_counts(sim->sched).load, 30000);
    sim_release(sim, a);
    assert_null(sim_ended(sim, 1, a, 1));
    assert_int_equal(tbi_sched_counts(sim->sched).load, 30000);
}

/* ---- checkpoints ---- */

static void it_is_begun_again_with_its_checkpoint(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){0}), x = sim_put(sim, 5, 0), y;

    sim_checkpoint(sim, 1, a, x);
    sim_release(sim, x);
    assert_int_equal(tbi_sched_counts(sim->sched).objects, 2);
    y = sim_put(sim, 6, 0);
    sim_checkpoint(sim, 1, a, y); /* instead of the first */
    sim_release(sim, y);
    assert_int_equal(tbi_sched_counts(sim->sched).objects, 2);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "DISPATCH 1 to 1 attempt=1 restores inline=8\n");
    assert_null(sim_lives(sim, 1, a, 1));
    sim_release(sim, a);
    sim_run(sim);
    assert_null(sim_ended(sim, 1, a, 1));
    assert_nothing_is_left(sim);
}

static void it_waits_for_a_checkpoint_that_is_being_made(void **state)
{
    struct sim *sim = *state;
    int x = sim_submit(sim, (struct sim_task){.cpus = 0}), a;

    sim_run(sim);
    a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}});
    sim_checkpoint(sim, 1, a, x);
    sim_crashed(sim, 1, a, 0);
    CALL(sim, a, 1);
    assert_silence(sim);
    assert_null(sim_done(sim, 1, x, 1, 7, 0));
    assert_actions(sim, "DISPATCH 2 to 1 attempt=1 restores inline=8\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 3 to 1 stays epoch=1\n");
}

static void one_whose_checkpoint_fails_fails_with_it(void **state)
{
    struct sim *sim = *state;
    int x = sim_submit(sim, (struct sim_task){.cpus = 0}), y = sim_submit(sim, (struct sim_task){.cpus = 9}), a;

    sim_run(sim);
    a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}});
    sim_checkpoint(sim, 1, a, x);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    sim_failed(sim, 1, x, TB_ERR_TASK); /* while it waits for it */
    assert_fate(sim, a, "error=-1 in work");
    assert_fate(sim, CALL(sim, a, 1), "error=-1 in work");
    a = living(sim, (struct sim_task){.as = {.max_task_retries = -1}});
    sim_checkpoint(sim, 1, a, y); /* which has failed before */
    sim_crashed(sim, 1, a, 0);
    assert_silence(sim);
    assert_fate(sim, a, "error=-10 in work");
    assert_int_equal(tbi_sched_counts(sim->sched).load, 0);
}

static void killed_while_it_waits_for_its_checkpoint_it_ends(void **state)
{
    struct sim *sim = *state;
    int x = sim_submit(sim, (struct sim_task){.cpus = 0}), a;

    sim_run(sim);
    a = living(sim, (struct sim_task){0});
    sim_checkpoint(sim, 1, a, x);
    sim_crashed(sim, 1, a, 0);
    sim_kill(sim, a, TB_KILL_NO_RESTART);
    assert_died(sim, a, "killed by tb_kill");
    assert_null(sim_done(sim, 1, x, 1, 7, 0));
    assert_silence(sim);
    sim_release(sim, a);
    sim_release(sim, x);
    assert_nothing_is_left(sim);
}

static void a_checkpoint_of_the_dead_or_of_what_is_gone_is_not_kept(void **state)
{
    struct sim *sim = *state;
    int a = living(sim, (struct sim_task){0}), x = sim_put(sim, 5, 0), y = sim_put(sim, 6, 0);

    sim_release(sim, x);
    sim_checkpoint(sim, 1, a, x); /* gone */
    sim_kill(sim, a, TB_KILL_NO_RESTART);
    sim_checkpoint(sim, 1, a, y); /* of the dead */
    sim_release(sim, y);
    sim_run(sim);
    sim_crashed(sim, 1, a, 0);
    sim_release(sim, a);
    assert_nothing_is_left(sim);
}

/* ---- placement groups ---- */

/* A group of one bundle of two CPUs at rank 1. */
static int group(struct sim *sim)
{
    int g = sim_group(sim, TBI_GROUP_PACK, 1, &(struct sim_bundle){.cpus = 2});

    sim_run(sim);
    assert_null(sim_reserved(sim, 1, g, 1, true));
    sim_run(sim);
    return g;
}

static void in_a_group_it_takes_of_its_bundle_in_each_life(void **state)
{
    struct sim *sim = *state;
    int g = group(sim), a;
    struct sim_task t = {.kind = TBI_ACTOR, .cpus = 1, .max_retries = -1, .strategy = TBI_IN_GROUP, .group = g};

    a = sim_submit(sim, t);
    sim_submit(sim, (struct sim_task){.cpus = 2, .strategy = TBI_IN_GROUP, .group = g});
    assert_actions(sim, "DISPATCH 2 to 1 stays in 1.1\n");
    assert_null(sim_lives(sim, 1, a, 0));
    CALL(sim, a, 1);
    assert_actions(sim, "DISPATCH 4 to 1 stays epoch=0\n"); /* not in the bundle: it asks for nothing */
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "DISPATCH 3 to 1 stays in 1.1\n"); /* older, and all of the bundle */
    assert_null(sim_done(sim, 1, 3, 1, 0, 0));
    assert_actions(sim, "DISPATCH 2 to 1 stays attempt=1 in 1.1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    sim_kill(sim, a, TB_KILL_NO_RESTART);
    sim_crashed(sim, 1, a, 1);
    sim_run(sim);
    sim_submit(sim, (struct sim_task){.cpus = 2, .strategy = TBI_IN_GROUP, .group = g});
    assert_actions(sim, "DISPATCH 5 to 1 stays in 1.1\n");
}

static void what_it_gives_back_when_it_lives_goes_to_its_bundle(void **state)
{
    struct sim *sim = *state;
    int g = group(sim), a;
    struct sim_task t = {.kind = TBI_ACTOR, .cpus = 1, .max_retries = -1, .strategy = TBI_IN_GROUP, .group = g,
                         .as = {.flags = TBI_ACTOR_PLACED_ONLY}};

    a = sim_submit(sim, t);
    sim_submit(sim, (struct sim_task){.cpus = 2, .strategy = TBI_IN_GROUP, .group = g});
    assert_actions(sim, "DISPATCH 2 to 1 stays in 1.1\n");
    assert_null(sim_lives(sim, 1, a, 0));
    assert_actions(sim, "DISPATCH 3 to 1 stays in 1.1\n");
    sim_object(sim, TBI_MSG_UNGROUP, 0, g);
    assert_actions(sim, "UNRESERVE 1.1 to 1\n");
    sim_failed(sim, 1, 3, TB_ERR_CANCELLED);
    sim_failed(sim, 1, a, TB_ERR_CANCELLED);
    assert_null(sim_unreserved(sim, 1, g, 1));
    assert_silence(sim);
    assert_true(tbi_sched_available(sim->sched, 1, TBI_CPUS) == 20000);
}

static void with_its_group_it_ends_for_good(void **state)
{
    struct sim *sim = *state;
    int g = group(sim), a, c;
    struct sim_task t = {.kind = TBI_ACTOR, .cpus = 1, .max_retries = -1, .strategy = TBI_IN_GROUP, .group = g,
                         .as = {.max_task_retries = -1}};

    a = sim_submit(sim, t);
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    c = CALL(sim, a, 1);
    sim_run(sim);
    sim_object(sim, TBI_MSG_UNGROUP, 0, g);
    assert_actions(sim, "UNRESERVE 1.1 to 1\n");
    sim_failed(sim, 1, a, TB_ERR_CANCELLED); /* what its agent says of what was in a bundle */
    assert_null(sim_unreserved(sim, 1, g, 1));
    assert_died(sim, c, "as the test wants it");
    assert_silence(sim);
    sim_release(sim, a);
    sim_release(sim, c);
    assert_nothing_is_left(sim);
}

static void one_whose_group_goes_while_it_restarts_fails_with_it(void **state)
{
    struct sim *sim = *state;
    int g = group(sim), a, c;
    struct sim_task t = {.kind = TBI_ACTOR, .cpus = 2, .max_retries = -1, .strategy = TBI_IN_GROUP, .group = g,
                         .as = {.max_task_retries = -1}};

    a = sim_submit(sim, t);
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    sim_submit(sim, (struct sim_task){.cpus = 2, .strategy = TBI_IN_GROUP, .group = g, .depth = 1});
    c = CALL(sim, a, 1);
    sim_run(sim);
    sim_crashed(sim, 1, a, 0);
    sim_object(sim, TBI_MSG_UNGROUP, 0, g);
    assert_actions(sim, "WHERE 2 to 0.0: ended\nUNRESERVE 1.1 to 1\n");
    assert_fate(sim, a, "error=-3 in work");
    assert_fate(sim, c, "error=-3 in work");
}

static void one_that_waits_for_its_group_fails_when_that_is_removed(void **state)
{
    struct sim *sim = *state;
    int g, a, c;

    group(sim);
    g = sim_group(sim, TBI_GROUP_STRICT_SPREAD, 2, (struct sim_bundle[]){{.cpus = 2}, {.cpus = 2}});
    a = ACTOR(sim, .cpus = 1, .strategy = TBI_IN_GROUP, .group = g);
    c = CALL(sim, a, 1);
    assert_silence(sim);
    sim_object(sim, TBI_MSG_UNGROUP, 0, g);
    assert_fate(sim, a, "error=-3");
    assert_fate(sim, c, "error=-3");
    a = ACTOR(sim, .cpus = 1, .strategy = TBI_IN_GROUP, .group = g); /* afterwards */
    assert_fate(sim, CALL(sim, a, 1), "error=-3 in work");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, sim_two_workers, sim_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(calls_that_may_not_be_retried_are_unavailable),
        ON(calls_that_may_are_sent_anew_in_order),
        ON(only_calls_that_were_begun_use_up_retries),
        ON(what_a_call_says_of_its_retries_goes_before_what_the_actor_says),
        ON(a_call_that_waits_for_its_argument_is_of_the_life_in_which_it_is_ready),
        ON(a_cancelled_call_that_runs_is_not_run_again),
        ON(a_call_that_crashed_and_is_cancelled_before_the_actor_is_known_to_be_dead_is_cancelled),
        ON(what_a_lost_call_had_submitted_is_cancelled),
        ON(it_comes_back_where_there_is_room),
        ON(calls_wait_while_it_waits_for_its_turn),
        ON(restarts_are_used_up),
        ON(one_whose_process_dies_before_it_lives_uses_up_a_restart),
        ON(a_constructor_that_fails_when_it_is_begun_again_is_its_end),
        ON(kill_by_default_costs_a_life),
        ON(so_it_does_while_it_is_begun),
        ON(kill_by_default_of_one_without_restarts_is_final_at_once),
        ON(killed_while_it_restarts_it_does_not_come_back),
        ON(one_that_nobody_wants_does_not_come_back),
        ON(released_while_it_restarts_it_ends),
        ON(what_it_needs_to_begin_it_needs_each_time),
        ON(it_is_begun_again_with_its_checkpoint),
        ON(it_waits_for_a_checkpoint_that_is_being_made),
        ON(one_whose_checkpoint_fails_fails_with_it),
        ON(killed_while_it_waits_for_its_checkpoint_it_ends),
        ON(a_checkpoint_of_the_dead_or_of_what_is_gone_is_not_kept),
        ON(in_a_group_it_takes_of_its_bundle_in_each_life),
        ON(what_it_gives_back_when_it_lives_goes_to_its_bundle),
        ON(with_its_group_it_ends_for_good),
        ON(one_whose_group_goes_while_it_restarts_fails_with_it),
        ON(one_that_waits_for_its_group_fails_when_that_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
