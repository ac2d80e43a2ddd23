/* test_dispatch.c - holds when the head sends tasks: how far ahead of their turn, what it takes back for a node that
 * idles, and that a large demand is not overtaken for ever. */
#include "sim.h"

static void a_node_takes_what_it_runs_at_once_and_a_few_ahead(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 6; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 1\nDISPATCH 3 to 1\nDISPATCH 4 to 1\n");
    assert_null(sim_done(sim, 1, 2, 1, 0, 0));
    assert_actions(sim, "DISPATCH 5 to 1\n");
}

/* Runs 100 tasks, one after the other as they were sent; returns how many a node of two CPUs had at a
 * time once some had said how long they ran. */
static int most_at_once(uint32_t run_us)
{
    struct sim *sim = sim_new(2, (int32_t[]){0, 20000}, (unsigned[]){0, 0}, 10);
    int sent = 0, most = 0;

    sim->run_us = run_us;
    for (int i = 0; i < 100; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    for (int ended = 0; ended < 100; ended++) {
        tbi_sched_run(sim->sched);
        assert_null(tbi_sched_check(sim->sched));
        for (const char *l = sim_actions(sim); (l = strstr(l, "DISPATCH ")); l++)
            sent++;
        assert_true(sent > ended);
        if (ended > 20 && sent - ended > most)
            most = sent - ended;
        assert_null(sim_done(sim, 1, ended + 1, 1, 0, 0));
    }
    sim_free(sim);
    return most;
}

static void short_tasks_are_sent_ahead_for_2_ms_and_long_ones_singly(void **state)
{
    (void)state;
    assert_int_equal(most_at_once(0), 2 + 10);         /* not known: as configured */
    assert_int_equal(most_at_once(10), 2 * (1 + 10));  /* as many for each that runs */
    assert_int_equal(most_at_once(250), 2 * 2000 / 250);
    assert_int_equal(most_at_once(1999), 2 + 1);
    assert_int_equal(most_at_once(500000), 2 + 1);
}

/* Two workers of two CPUs on one host, each with two tasks that run and two that wait. */
static int two_busy(void **state)
{
    struct sim *sim = sim_new(3, (int32_t[]){0, 20000, 20000}, (unsigned[]){0, 0, 0}, 2);

    *state = sim;
    for (int i = 0; i < 8; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 2\nDISPATCH 3 to 1\nDISPATCH 4 to 2\n"
                        "DISPATCH 5 to 1\nDISPATCH 6 to 2\nDISPATCH 7 to 1\nDISPATCH 8 to 2\n");
    return 0;
}

static void an_idle_node_gets_what_waits_at_another(void **state)
{
    struct sim *sim = *state;

    assert_null(sim_done(sim, 1, 1, 1, 0, 0));
    assert_null(sim_done(sim, 1, 3, 1, 0, 0));
    assert_actions(sim, "");
    assert_null(sim_done(sim, 1, 5, 1, 0, 0));
    assert_actions(sim, "TAKE_BACK 1 CPUs to 2\n");
    assert_null(sim_done(sim, 1, 7, 1, 0, 0));
    assert_actions(sim, ""); /* one question at a time */
    assert_null(sim_taken(sim, 2, (int[]){8, 0}));
    assert_actions(sim, "DISPATCH 8 to 1\nTAKE_BACK 1 CPUs to 2\n");
    assert_null(sim_done(sim, 2, 2, 1, 0, 0)); /* it had begun all the others meanwhile */
    assert_null(sim_taken(sim, 2, (int[]){0}));
    assert_actions(sim, "");
    assert_null(sim_done(sim, 1, 8, 1, 0, 0));
    assert_actions(sim, ""); /* nothing waits there any more, so far as is known */
}

static void what_was_cancelled_while_it_was_taken_back_is_over(void **state)
{
    struct sim *sim = *state;

    for (int k = 1; k <= 5; k += 2)
        assert_null(sim_done(sim, 1, k, 1, 0, 0));
    assert_actions(sim, "TAKE_BACK 1 CPUs to 2\n");
    sim_cancel(sim, 6, 0);
    sim_resolve(sim, 0, 6, 0);
    assert_actions(sim, "ABORT 6 to 2\nRESOLVED 6 to 0 error=-3 in work\n");
    assert_null(sim_taken(sim, 2, (int[]){6, 0}));
    assert_actions(sim, "");
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 4);
}

static void what_was_not_asked_for_or_is_not_there_is_not_taken_back(void **state)
{
    struct sim *sim = *state;

    assert_non_null(sim_taken(sim, 2, (int[]){0}));
    for (int k = 1; k <= 5; k += 2)
        assert_null(sim_done(sim, 1, k, 1, 0, 0));
    assert_actions(sim, "TAKE_BACK 1 CPUs to 2\n");
    assert_non_null(sim_taken(sim, 2, (int[]){6, 7, 0})); /* 7 is at 1 */
    assert_non_null(sim_taken(sim, 1, (int[]){7, 0}));
    assert_actions(sim, "");
    assert_null(sim_taken(sim, 2, (int[]){6, 6, 0}));
    assert_actions(sim, "DISPATCH 6 to 1\n");
}

static void a_task_is_not_taken_back_for_ever(void **state)
{
    struct sim *sim = sim_new(3, (int32_t[]){0, 10000, 10000}, (unsigned[]){0, 0, 0}, 1);
    int running, waits;

    (void)state;
    sim_submit(sim, (struct sim_task){.cpus = 1});
    running = sim_submit(sim, (struct sim_task){.cpus = 1});
    waits = sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 2\nDISPATCH 3 to 1\n");
    for (int times = 1; times <= 8; times++) {
        char text[100];

        assert_null(sim_done(sim, 2, running, 1, 0, 0));
        assert_actions(sim, "TAKE_BACK 1 CPUs to 1\n");
        running = sim_submit(sim, (struct sim_task){.cpus = 1}); /* is first at the free node */
        snprintf(text, sizeof text, "DISPATCH %d to 2\n", running);
        assert_actions(sim, text);
        assert_null(sim_taken(sim, 1, (int[]){waits, 0}));
        assert_actions(sim, times < 8 ? "DISPATCH 3 to 1\n" : "DISPATCH 3 to 1 stays\n");
    }
    sim_free(sim);
}

static void deeper_tasks_go_before_older_ones(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 5; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 2});
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1});
    assert_actions(sim, "DISPATCH 6 to 1\nDISPATCH 7 to 1\nDISPATCH 1 to 1\nDISPATCH 2 to 1\n");
}

static void nor_by_tasks_that_begin_where_they_were_submitted(void **state)
{
    struct sim *sim = *state;
    int parent = sim_submit(sim, (struct sim_task){.cpus = 1}), kept = 0;

    for (int i = 0; i < 3; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    tbi_sched_run(sim->sched);
    sim_submit(sim, (struct sim_task){.cpus = 2});
    tbi_sched_run(sim->sched);
    sim_actions(sim);
    for (int i = 0; i < 4; i++) { /* the head hears of them when the node has them */
        int child = sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = parent, .local = 1});

        assert_int_equal(kept, 0);
        assert_null(sim_done(sim, 1, child, 1, 0, 0));
        tbi_sched_run(sim->sched);
        assert_null(tbi_sched_check(sim->sched));
        kept = strstr(sim_actions(sim), "KEEP") != NULL;
    }
    assert_int_equal(kept, 1); /* from now on it takes none in */
}

static void a_large_demand_is_not_overtaken_for_ever(void **state)
{
    struct sim *sim = *state;
    int big, running = 4, sent = 0;

    for (int i = 0; i < 4; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    tbi_sched_run(sim->sched);
    big = sim_submit(sim, (struct sim_task){.cpus = 2});
    sim_actions(sim);
    for (int i = 1; i < 200 && !sent; i++) { /* an endless stream of small tasks */
        char text[64];

        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1});
        if (i == big)
            continue;
        assert_null(sim_done(sim, 1, i, 1, 0, 0));
        tbi_sched_run(sim->sched);
        assert_null(tbi_sched_check(sim->sched));
        snprintf(text, sizeof text, "DISPATCH %d to 1", big);
        sent = strstr(sim_actions(sim), text) != NULL;
        running = i;
    }
    assert_true(sent);
    assert_true(running < 20);
}

/* Notes in at[task] the rank each task was sent to; returns how many were. */
static int note_dispatches(struct sim *sim, int *at)
{
    int n = 0, task, rank;

    tbi_sched_run(sim->sched);
    assert_null(tbi_sched_check(sim->sched));
    for (const char *line = sim_actions(sim); (line = strstr(line, "DISPATCH ")); line++, n++) {
        assert_int_equal(sscanf(line, "DISPATCH %d to %d", &task, &rank), 2);
        at[task] = rank;
    }
    return n;
}

static void end_all_on(struct sim *sim, int *at, int n, int rank)
{
    for (int k = 1; k <= n; k++)
        if (at[k] == rank) {
            assert_null(sim_done(sim, (unsigned)rank, k, 1, 0, 0));
            at[k] = 0;
        }
}

/* World 21125: a node was kept for a demand whose last task had got a place on another node. Which
 * node is kept does not show, so both are tried as the other one. */
static void a_node_kept_for_a_demand_that_was_served_elsewhere_takes_work_again(void **state)
{
    (void)state;
    for (int drained = 1; drained <= 2; drained++) {
        struct sim *sim = sim_new(3, (int32_t[]){0, 20000, 20000}, (unsigned[]){0, 0, 0}, 2);
        int at[64] = {0}, big;

        for (int i = 0; i < 8; i++)
            sim_submit(sim, (struct sim_task){.cpus = 1});
        assert_int_equal(note_dispatches(sim, at), 8);
        big = sim_submit(sim, (struct sim_task){.cpus = 2});
        for (int i = 1; i <= 4; i++) { /* overtaken until a node is kept for it */
            sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1});
            assert_null(sim_done(sim, (unsigned)at[i], i, 1, 0, 0));
            at[i] = 0;
            note_dispatches(sim, at);
        }
        assert_int_equal(at[big], 0);
        end_all_on(sim, at, 20, drained);
        sim_resolve(sim, 1, big, TBI_GET_WANTED);
        note_dispatches(sim, at);
        assert_int_equal(at[big], drained);
        end_all_on(sim, at, 20, 1);
        end_all_on(sim, at, 20, 2);
        for (int i = 0; i < 8; i++)
            sim_submit(sim, (struct sim_task){.cpus = 1});
        assert_int_equal(note_dispatches(sim, at), 8);
        sim_free(sim);
    }
}

#define ON(setup, test) cmocka_unit_test_setup_teardown(test, setup, sim_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(sim_one_worker, a_node_takes_what_it_runs_at_once_and_a_few_ahead),
        cmocka_unit_test(short_tasks_are_sent_ahead_for_2_ms_and_long_ones_singly),
        ON(two_busy, an_idle_node_gets_what_waits_at_another),
        ON(two_busy, what_was_cancelled_while_it_was_taken_back_is_over),
        ON(two_busy, what_was_not_asked_for_or_is_not_there_is_not_taken_back),
        cmocka_unit_test(a_task_is_not_taken_back_for_ever),
        ON(sim_one_worker, deeper_tasks_go_before_older_ones),
        ON(sim_one_worker, nor_by_tasks_that_begin_where_they_were_submitted),
        ON(sim_one_worker, a_large_demand_is_not_overtaken_for_ever),
        cmocka_unit_test(a_node_kept_for_a_demand_that_was_served_elsewhere_takes_work_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
