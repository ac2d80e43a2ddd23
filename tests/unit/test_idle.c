/* test_idle.c - holds what the head says is unfinished: to a driver that waits until nothing is, at once to one that
 * only asks, and at the end of the job. */
#include "sim_actors.h"

static const char *ask(struct sim *sim, uint64_t ticket, bool waits)
{
    struct msg_await_idle *m = sim_record(sim, TBI_MSG_AWAIT_IDLE, sizeof *m);

    *m = (struct msg_await_idle){ticket, waits};
    return sim_deliver(sim, 0);
}

static void a_waiting_driver_is_told_when_the_last_task_has_ended(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1}), b = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {a}});

    sim_run(sim);
    assert_null(ask(sim, 7, true));
    assert_null(ask(sim, 8, true));
    assert_silence(sim);
    sim_release(sim, b); /* nobody has its ref: it is unfinished all the same */
    assert_null(sim_done(sim, 1, a, 1, 0, 0));
    assert_actions(sim, "DISPATCH 2 to 1 inline=8\n");
    sim_release(sim, a);
    assert_silence(sim);
    assert_null(sim_done(sim, 1, b, 1, 0, 0));
    assert_actions(sim, "TALLY 7 to 0: 0 tasks, 0 calls, 0 actors\nTALLY 8 to 0: 0 tasks, 0 calls, 0 actors\n");
    assert_nothing_is_left(sim);
}

static void a_driver_that_finds_nothing_unfinished_is_told_at_once(void **state)
{
    struct sim *sim = *state;

    assert_null(ask(sim, 7, true));
    assert_actions(sim, "TALLY 7 to 0: 0 tasks, 0 calls, 0 actors\n");
}

static void who_only_asks_hears_how_much_is_left_at_once(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), b, c;

    assert_null(ask(sim, 1, false));
    assert_actions(sim, "TALLY 1 to 0: 0 tasks, 0 calls, 0 actors\n"); /* it waits for calls */
    b = CALL(sim, a, 1);
    c = sim_submit(sim, (struct sim_task){.cpus = 1});
    (void)ACTOR(sim, .cpus = 1);
    sim_run(sim);
    assert_null(ask(sim, 2, false));
    assert_actions(sim, "TALLY 2 to 0: 1 tasks, 1 calls, 1 actors\n");
    (void)b, (void)c;
}

static void who_asks_again_waits_no_longer(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1});

    sim_run(sim);
    assert_null(ask(sim, 3, true));
    assert_silence(sim);
    assert_null(ask(sim, 3, false));
    assert_actions(sim, "TALLY 3 to 0: 1 tasks, 0 calls, 0 actors\n");
    assert_null(sim_done(sim, 1, a, 1, 0, 0));
    assert_silence(sim);
}

static void an_actor_counts_until_it_is_made_and_while_it_ends(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1);

    sim_run(sim);
    assert_null(ask(sim, 1, true));
    assert_silence(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    assert_actions(sim, "TALLY 1 to 0: 0 tasks, 0 calls, 0 actors\n");
    sim_release(sim, a);
    assert_null(ask(sim, 2, true));
    assert_actions(sim, "RETIRE 1 to 1\n");
    assert_null(sim_ended(sim, 1, a, 0));
    assert_actions(sim, "TALLY 2 to 0: 0 tasks, 0 calls, 0 actors\n");
}

static void one_that_is_begun_again_counts_meanwhile(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = 1});

    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    assert_null(ask(sim, 1, true));
    assert_silence(sim);
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "TALLY 1 to 0: 0 tasks, 0 calls, 0 actors\n");
}

static void a_cancelled_task_counts_until_it_has_ended(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1});

    sim_run(sim);
    sim_cancel(sim, a, 0);
    sim_run(sim);
    assert_null(ask(sim, 1, true));
    assert_silence(sim);
    assert_int_equal(tbi_sched_unfinished(sim->sched).tasks, 0); /* but nobody need be told at the end of the job */
    assert_null(sim_done(sim, 1, a, 1, 0, 0));
    assert_actions(sim, "TALLY 1 to 0: 0 tasks, 0 calls, 0 actors\n");
}

static void the_end_of_the_job_counts_tasks_and_calls_but_not_actors(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), late = sim_submit(sim, (struct sim_task){.cpus = 1});
    struct msg_done done = {.task = sim_id((uint64_t)late)};

    (void)CALL(sim, a, 1);
    (void)CALL(sim, a, 2);
    (void)sim_submit(sim, (struct sim_task){.cpus = 1});
    (void)ACTOR(sim, .cpus = 1);
    sim_run(sim);
    assert_int_equal(tbi_sched_unfinished(sim->sched).tasks, 2);
    assert_int_equal(tbi_sched_unfinished(sim->sched).calls, 2);
    tbi_sched_note_end(sim->sched, &done);
    assert_int_equal(tbi_sched_unfinished(sim->sched).tasks, 1);
}

static void only_the_driver_may_wait(void **state)
{
    struct sim *sim = *state;
    struct msg_await_idle *m = sim_record(sim, TBI_MSG_AWAIT_IDLE, sizeof *m);

    *m = (struct msg_await_idle){1, true};
    assert_non_null(sim_deliver(sim, 1));
    assert_silence(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_waiting_driver_is_told_when_the_last_task_has_ended, sim_one_worker, sim_teardown),
        cmocka_unit_test_setup_teardown(a_driver_that_finds_nothing_unfinished_is_told_at_once, sim_one_worker, sim_teardown),
        cmocka_unit_test_setup_teardown(who_only_asks_hears_how_much_is_left_at_once, sim_one_worker, sim_teardown),
        cmocka_unit_test_setup_teardown(who_asks_again_waits_no_longer, sim_one_worker, sim_teardown),
        cmocka_unit_test_setup_teardown(an_actor_counts_until_it_is_made_and_while_it_ends, sim_one_worker, sim_teardown),
        cmocka_unit_test_setup_teardown(one_that_is_begun_again_counts_meanwhile, sim_one_worker, sim_teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_task_counts_until_it_has_ended, sim_one_worker, sim_teardown),
        cmocka_unit_test_setup_teardown(the_end_of_the_job_counts_tasks_and_calls_but_not_actors, sim_one_worker, sim_teardown),
        cmocka_unit_test_setup_teardown(only_the_driver_may_wait, sim_one_worker, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
