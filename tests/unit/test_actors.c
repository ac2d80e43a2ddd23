/* test_actors.c - holds actors at the head: where they are created and what they hold, in which order their calls
 * go to them, and their names. How they end is in test_actor_ends.c, how they come back in test_restarts.c. */
#include "sim_actors.h"
#include "sched/graph.h"

/* ---- creation ---- */

static void it_is_placed_as_the_task_that_creates_it(void **state)
{
    struct sim *sim = *state;
    int large = sim_submit(sim, (struct sim_task){.cpus = 2}), a;

    assert_actions(sim, "DISPATCH 1 to 1\n");
    a = ACTOR(sim, .cpus = 2);
    ACTOR(sim, .cpus = 2);
    assert_actions(sim, "DISPATCH 2 to 2\n");
    assert_null(sim_done(sim, 1, large, 1, 0, 0));
    assert_actions(sim, "DISPATCH 3 to 1\n");
    assert_null(sim_lives(sim, 2, a, 0));
    assert_silence(sim);
}

static void it_waits_for_its_arguments(void **state)
{
    struct sim *sim = *state;
    int x = sim_submit(sim, (struct sim_task){.cpus = 1});

    ACTOR(sim, .cpus = 1, .after = {x});
    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_null(sim_done(sim, 1, x, 1, 7, 0));
    assert_actions(sim, "DISPATCH 2 to 1 inline=8\n");
}

static void what_it_asks_for_explicitly_it_holds_for_life(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1);

    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_null(sim_lives(sim, 1, a, 0));
    assert_int_equal(tbi_sched_counts(sim->sched).load, 10000);
    sim_release(sim, a);
    assert_actions(sim, "RETIRE 1 to 1\n");
    assert_int_equal(tbi_sched_counts(sim->sched).load, 10000);
    assert_null(sim_ended(sim, 1, a, 0));
    assert_nothing_is_left(sim);
}

static void what_it_needs_to_begin_it_gives_back_when_it_lives(void **state)
{
    struct sim *sim = *state;

    for (int k = 1; k <= 10; k++)
        ACTOR(sim, .cpus = 1, .as = {.flags = TBI_ACTOR_PLACED_ONLY});
    sim_run(sim);
    for (int k = 1; k <= 10; k++)
        if (sim_lives(sim, 1, k, 0) != NULL)
            assert_null(sim_lives(sim, 2, k, 0));
        else
            sim_run(sim);
    assert_int_equal(tbi_sched_counts(sim->sched).load, 0);
}

static void its_other_resources_stay_when_its_cpus_go(void **state)
{
    int64_t totals[2][TBI_CUSTOM] = {{0}, {10000, 20000, 0}};
    struct sim *sim = sim_with((struct tbi_sched_config){.nranks = 2, .nresources = TBI_CUSTOM,
                                                         .totals = totals[0], .host = (unsigned[]){0, 0}});
    int a = ACTOR(sim, .cpus = 1, .more = {{TBI_GPUS, 1}}, .as = {.flags = TBI_ACTOR_PLACED_ONLY});

    (void)state;
    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_null(sim_lives(sim, 1, a, 0));
    assert_true(tbi_sched_available(sim->sched, 1, TBI_CPUS) == 10000);
    assert_true(tbi_sched_available(sim->sched, 1, TBI_GPUS) == 10000);
    sim_free(sim);
}

static void one_that_waits_in_its_constructor_lives_all_the_same(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1);

    sim_run(sim);
    sim_task_msg(sim, TBI_MSG_BLOCK, 1, a);
    assert_actions(sim, "BLOCKED 1 to 1\n");
    assert_int_equal(tbi_sched_counts(sim->sched).load, 0);
    assert_null(sim_lives(sim, 1, a, 0)); /* it was quicker than its agent's UNBLOCKED */
    assert_int_equal(tbi_sched_counts(sim->sched).load, 10000);
    CALL(sim, a, 1);
    assert_actions(sim, "DISPATCH 2 to 1 stays epoch=0\n");
}

static void one_that_is_killed_while_it_begins_counts_as_lasting_until_it_has_ended(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 2);
    struct tbi_nodes *nodes = &sim->sched->nodes;
    unsigned rank;

    sim_run(sim);
    rank = tbi_ledger_load(nodes, 1)[TBI_CPUS] > 0 ? 1 : 2;
    sim_kill(sim, a, KILL);
    sim_run(sim);
    assert_null(sim_lives(sim, rank, a, 0)); /* said before its agent heard of the end */
    assert_int_equal(nodes->lasting[rank * nodes->nresources + TBI_CPUS], 20000);
    sim_crashed(sim, rank, a, 0);
    sim_run(sim);
    assert_int_equal(nodes->lasting[rank * nodes->nresources + TBI_CPUS], 0);
    sim_release(sim, a);
    sim_run(sim);
    assert_nothing_is_left(sim);
}

static void an_infeasible_one_fails_its_calls_with_the_reason(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 3), c = CALL(sim, a, 1);

    assert_fate(sim, a, "error=-10 in work");
    assert_fate(sim, c, "error=-10 in work");
    assert_non_null(strstr(sim->message, "the task needs 3 CPUs"));
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
}

static void a_constructor_that_fails_fails_its_calls_with_its_message(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1, .max_retries = -1), c = CALL(sim, a, 1);

    sim_run(sim);
    sim_failed(sim, 1, a, TB_ERR_TASK);
    assert_died(sim, c, "the actor has ended: as the test wants it");
    assert_died(sim, CALL(sim, a, 2), "as the test wants it");
    assert_int_equal(tbi_sched_counts(sim->sched).load, 0); /* and it is not begun again */
    assert_silence(sim);
}

/* ---- calls ---- */

static void calls_that_were_made_before_go_when_it_lives(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1);

    CALL(sim, a, 1);
    CALL(sim, a, 2);
    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_null(sim_lives(sim, 1, a, 0));
    assert_actions(sim, "DISPATCH 2 to 1 stays epoch=0\nDISPATCH 3 to 1 stays epoch=0\n");
    CALL(sim, a, 3);
    assert_actions(sim, "DISPATCH 4 to 1 stays epoch=0\n");
    assert_null(sim_called(sim, 1, 2, 0, 42, false));
    assert_fate(sim, 2, "inline=42");
}

static void a_late_argument_holds_up_no_other_call(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), x = sim_submit(sim, (struct sim_task){.cpus = 1});

    CALL(sim, a, 1, .after = {x});
    CALL(sim, a, 2);
    assert_actions(sim, "DISPATCH 4 to 1 stays epoch=0\nDISPATCH 2 to 2\n");
    assert_null(sim_done(sim, 2, x, 1, 7, 0));
    assert_actions(sim, "DISPATCH 3 to 1 stays epoch=0 inline=8\n"); /* the agent knows: it is the first */
}

static void a_failed_argument_fails_its_call_whose_number_is_skipped(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), x = sim_submit(sim, (struct sim_task){.cpus = 1}), c;

    c = CALL(sim, a, 1, .after = {x});
    CALL(sim, a, 2);
    sim_run(sim);
    sim_failed(sim, 2, x, TB_ERR_TASK);
    assert_actions(sim, "SKIP 1 to 1 epoch=0: 0.0's 1 to 1\n");
    assert_fate(sim, c, "error=-1 in work");
    c = CALL(sim, a, 3, .after = {x}); /* it has failed already */
    assert_actions(sim, "SKIP 1 to 1 epoch=0: 0.0's 3 to 3\n");
    assert_fate(sim, c, "error=-1 in work");
}

static void numbers_that_were_used_up_before_it_lived_are_skipped(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1), x = sim_put(sim, 5, 0), bad = sim_submit(sim, (struct sim_task){.cpus = 9});

    CALL(sim, a, 1, .after = {bad});
    CALL(sim, a, 2, .after = {bad});
    CALL(sim, a, 3, .after = {x});
    CALL(sim, a, 4, .after = {bad});
    CALL(sim, a, 5);
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    assert_actions(sim, "SKIP 1 to 1 epoch=0: 0.0's 1 to 2\nDISPATCH 6 to 1 stays epoch=0 inline=8\n"
                        "SKIP 1 to 1 epoch=0: 0.0's 4 to 4\nDISPATCH 8 to 1 stays epoch=0\n");
}

static void each_caller_has_numbers_of_its_own(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), bad = sim_submit(sim, (struct sim_task){.cpus = 9});

    CALL(sim, a, 1, .by = 1, .after = {bad});
    CALL(sim, a, 1, .by = 2);
    CALL(sim, a, 1, .after = {bad});
    CALL(sim, a, 2, .by = 1);
    assert_actions(sim, "SKIP 1 to 1 epoch=0: 1.1's 1 to 1\nDISPATCH 4 to 1 stays epoch=0\n"
                        "SKIP 1 to 1 epoch=0: 0.0's 1 to 1\nDISPATCH 6 to 1 stays epoch=0\n");
}

static void a_cancelled_call_is_skipped_if_it_was_not_sent(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), x = sim_submit(sim, (struct sim_task){.cpus = 1});
    int waits = CALL(sim, a, 1, .after = {x}), sent = CALL(sim, a, 2);

    sim_run(sim);
    sim_cancel(sim, waits, 0);
    assert_actions(sim, "SKIP 1 to 1 epoch=0: 0.0's 1 to 1\n");
    assert_fate(sim, waits, "error=-3 in work");
    sim_cancel(sim, sent, TB_CANCEL_FORCE);
    assert_actions(sim, "ABORT 4 to 1\n"); /* by force it would cost the actor its life */
    assert_fate(sim, sent, "error=-3 in work");
    sim_failed(sim, 1, sent, TB_ERR_CANCELLED);
    assert_silence(sim);
    CALL(sim, a, 3);
    assert_actions(sim, "DISPATCH 5 to 1 stays epoch=0\n");
}

static void a_cancelled_call_that_was_parked_never_goes(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1), c = CALL(sim, a, 1);

    CALL(sim, a, 2);
    sim_run(sim);
    sim_cancel(sim, c, 0);
    assert_fate(sim, c, "error=-3 in work");
    assert_null(sim_lives(sim, 1, a, 0));
    assert_actions(sim, "SKIP 1 to 1 epoch=0: 0.0's 1 to 1\nDISPATCH 3 to 1 stays epoch=0\n");
}

static void a_call_that_fails_is_final_and_the_actor_goes_on(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1, .as = {.max_task_retries = -1}}),
        c = CALL(sim, a, 1);

    sim_run(sim);
    sim_failed(sim, 1, c, TB_ERR_TASK);
    assert_fate(sim, c, "error=-1 in work");
    CALL(sim, a, 2);
    assert_actions(sim, "DISPATCH 3 to 1 stays epoch=0\n");
}

static void more_calls_than_may_be_pending_fail(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .as = {.max_pending = 2}});

    CALL(sim, a, 1);
    CALL(sim, a, 2);
    CALL(sim, a, 3);
    assert_actions(sim, "DISPATCH 2 to 1 stays epoch=0\nDISPATCH 3 to 1 stays epoch=0\n"
                        "SKIP 1 to 1 epoch=0: 0.0's 3 to 3\n");
    assert_fate(sim, 4, "error=-6 in work");
    assert_non_null(strstr(sim->message, "2 calls of the actor have not ended"));
    assert_null(sim_called(sim, 1, 2, 0, 0, false));
    CALL(sim, a, 4);
    assert_actions(sim, "DISPATCH 5 to 1 stays epoch=0\n");
}

static void a_call_of_what_is_no_actor_fails(void **state)
{
    struct sim *sim = *state;
    int x = sim_put(sim, 5, 0), bad = sim_submit(sim, (struct sim_task){.cpus = 9});

    assert_fate(sim, CALL(sim, x, 1), "error=-14 in work");
    assert_non_null(strstr(sim->message, "a call of what is no actor's handle"));
    assert_fate(sim, CALL(sim, bad, 1), "error=-10 in work"); /* or was to be one */
    sim_release(sim, x);
    assert_fate(sim, CALL(sim, x, 2), "error=-14");
}

static void calls_are_cancelled_with_the_task_that_made_them_and_actors_are_not(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), t = sim_submit(sim, (struct sim_task){.cpus = 1}), b;

    sim_run(sim);
    CALL(sim, a, 1, .parent = t, .by = 1);
    b = ACTOR(sim, .cpus = 1, .parent = t, .by = 1);
    sim_run(sim);
    sim_cancel(sim, t, 0);
    assert_actions(sim, "ABORT 2 to 2\nABORT 3 to 1\n");
    sim_failed(sim, 2, t, TB_ERR_CANCELLED);
    assert_null(sim_lives(sim, 1, b, 0));
    assert_fate(sim, b, "pending");
    CALL(sim, b, 1);
    assert_actions(sim, "DISPATCH 5 to 1 stays epoch=0\n");
}

/* ---- beside tasks ---- */

static void tasks_that_ask_for_nothing_go_beside_any_number_of_actors(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 200; i++) {
        int a = ACTOR(sim, .cpus = 0, .strategy = TBI_ON_NODE, .node = 1);

        tbi_sched_run(sim->sched);
        assert_null(sim_lives(sim, 1, a, 0));
    }
    sim_run(sim);
    sim_submit(sim, (struct sim_task){.cpus = 0, .strategy = TBI_ON_NODE, .node = 1});
    assert_actions(sim, "DISPATCH 201 to 1 stays\n");
}

static void actors_without_cpus_are_spread_as_if_each_took_one(void **state)
{
    struct sim *sim = *state;
    unsigned on[3] = {0};

    for (int i = 0; i < 8; i++) {
        int a = ACTOR(sim, .cpus = 1, .as = {.flags = TBI_ACTOR_PLACED_ONLY});
        unsigned rank;

        tbi_sched_run(sim->sched);
        rank = strstr(sim_actions(sim), "to 1") != NULL ? 1 : 2;
        on[rank]++;
        assert_null(sim_lives(sim, rank, a, 0));
    }
    assert_int_equal(on[1], 4);
    assert_int_equal(on[2], 4);
}

/* Rank 1 starts nothing and gives back all it is asked for, rank 2 ends at once what it is sent. Returns how many of
 * the tasks 1 .. 32 it has ended. */
static int ended_at_2(struct sim *sim)
{
    bool at_1[33] = {false};
    int ended = 0;

    for (bool more = true; more;) {
        int k, rank, n = 0, taken[33], at_2[33];
        bool asked = false;
        const char *line;

        tbi_sched_run(sim->sched);
        line = sim_actions(sim);
        more = *line != 0;
        for (; *line != 0; line = strchr(line, '\n') + 1) {
            if (sscanf(line, "DISPATCH %d to %d", &k, &rank) == 2 && rank == 2)
                at_2[n++] = k;
            else if (sscanf(line, "DISPATCH %d to %d", &k, &rank) == 2)
                at_1[k] = true;
            asked |= strstr(line, "TAKE_BACK") == line;
        }
        for (int i = 0; i < n; i++, ended++)
            assert_null(sim_done(sim, 2, at_2[i], 1, 0, 0));
        for (k = 1, n = 0; k <= 32; k++)
            if (at_1[k] && asked) {
                taken[n++] = k;
                at_1[k] = false;
            }
        taken[n] = 0;
        if (asked)
            assert_null(sim_taken(sim, 1, taken));
    }
    return ended;
}

static void no_task_waits_for_cpus_that_an_actor_has_for_life(void **state)
{
    enum { TASKS = 12 };
    struct sim *sim = sim_new(3, (int32_t[]){0, 20000, 20000}, (unsigned[]){0, 0, 0}, 2);
    int a = ACTOR(sim, .cpus = 2, .strategy = TBI_ON_NODE, .node = 1);

    (void)state;
    sim->run_us = 10; /* short tasks: what waits is through soon, if it can run at all */
    sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_ON_NODE, .node = 2});
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    assert_null(sim_done(sim, 2, 2, 1, 0, 0));
    for (int k = 0; k < TASKS; k++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_int_equal(ended_at_2(sim), TASKS);
    sim_free(sim);
}

static void no_task_is_made_to_stay_where_an_actor_has_all_cpus_for_life(void **state)
{
    struct sim *sim = sim_new(3, (int32_t[]){0, 10000, 10000}, (unsigned[]){0, 0, 0}, 1);
    int a = ACTOR(sim, .cpus = 1, .strategy = TBI_ON_NODE, .node = 1), running, waits;
    const char *sent;

    (void)state;
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    running = sim_submit(sim, (struct sim_task){.cpus = 1});
    waits = sim_submit(sim, (struct sim_task){.cpus = 1});
    tbi_sched_run(sim->sched);
    sent = sim_actions(sim);
    for (int times = 1; times <= 10 && strstr(sent, "DISPATCH 3 to 1") != NULL; times++) {
        assert_null(sim_done(sim, 2, running, 1, 0, 0));
        sim_run(sim);
        running = sim_submit(sim, (struct sim_task){.cpus = 1}); /* is first at the free node */
        sim_run(sim);
        assert_null(sim_taken(sim, 1, (int[]){waits, 0}));
        tbi_sched_run(sim->sched);
        sent = sim_actions(sim);
        assert_null(strstr(sent, "to 1 stays")); /* where it would wait as long as the actor lives */
    }
    sim_free(sim);
}

/* ---- names ---- */

static void a_name_finds_its_actor_and_gives_one_hold_more(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .name = "space/sum"});

    sim_find(sim, 2, "space/sum", 8);
    sim_find(sim, 2, "/sum", 9);
    sim_find(sim, 2, "space/su", 10);
    assert_actions(sim, "IDENTIFY 1 for ticket 8 to 2\nIDENTIFY 0 for ticket 9 to 2\n"
                        "IDENTIFY 0 for ticket 10 to 2\n");
    sim_release(sim, a);
    assert_silence(sim);
    sim_object(sim, TBI_MSG_RELEASE, 2, a);
    assert_actions(sim, "RETIRE 1 to 1\n");
}

static void a_name_that_is_taken_fails_the_second(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 1, .name = "s/n"), b = ACTOR(sim, .cpus = 1, .name = "s/n");

    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_fate(sim, b, "error=-12 in work");
    assert_non_null(strstr(sim->message, "an actor named 'n' in the namespace 's' is there already"));
    sim_release(sim, b);
    sim_find(sim, 0, "s/n", 1); /* that one's end leaves the first's name alone */
    assert_actions(sim, "IDENTIFY 1 for ticket 1 to 0\n");
    ACTOR(sim, .cpus = 1, .name = "t/n");
    ACTOR(sim, .cpus = 1, .name = "s/m");
    sim_run(sim);
    sim_find(sim, 0, "t/n", 1);
    sim_find(sim, 0, "s/m", 1);
    assert_actions(sim, "IDENTIFY 3 for ticket 1 to 0\nIDENTIFY 4 for ticket 1 to 0\n");
    (void)a;
}

static void get_if_exists_makes_one_and_finds_it_for_all_others(void **state)
{
    struct sim *sim = *state;
    struct sim_task t = {.kind = TBI_ACTOR, .cpus = 1, .name = "/n", .as = {.flags = TBI_ACTOR_GET}};
    int a;

    t.as.ticket = 5;
    a = sim_submit(sim, t);
    t.as.ticket = 6;
    t.by = 2;
    sim_submit(sim, t);
    assert_actions(sim, "IDENTIFY 1 for ticket 5 to 0\nIDENTIFY 1 for ticket 6 to 2\nDISPATCH 1 to 1\n");
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 1);
    assert_null(sim_lives(sim, 1, a, 0));
    sim_release(sim, a);
    assert_silence(sim); /* the other one has it */
    sim_object(sim, TBI_MSG_RELEASE, 2, a);
    assert_actions(sim, "RETIRE 1 to 1\n");
    t.as.ticket = 7; /* one that retires is not found any more */
    assert_int_equal(sim_submit(sim, t), SIM_BY(2, 3));
    assert_actions(sim, "IDENTIFY 3 for ticket 7 to 2\nDISPATCH 3 to 2\n");
}

static void the_name_of_one_that_is_killed_is_free_at_once(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 1, .name = "/n"});

    sim_kill(sim, a, KILL);
    ACTOR(sim, .cpus = 1, .name = "/n");
    assert_actions(sim, "ABORT 1 to 1 by force\nDISPATCH 2 to 2\n");
    sim_crashed(sim, 1, a, 0); /* which takes nothing from the second */
    sim_find(sim, 0, "/n", 1);
    assert_actions(sim, "IDENTIFY 2 for ticket 1 to 0\n");
}

/* ---- what is refused ---- */

static void records_that_nobody_sends_are_refused_and_change_nothing(void **state)
{
    static const struct { const char *why; struct sim_task task; } bad[] = {
        {"local", {.kind = TBI_ACTOR, .local = 1}},
        {"another number of objects", {.kind = TBI_ACTOR, .nreturns = 2}},
        {"no end", {.kind = TBI_ACTOR, .name = "nospace"}},
        {"call that has a demand", {.kind = TBI_CALL, .seq = 1, .cpus = 1}},
        {"call that has a demand", {.kind = TBI_CALL, .seq = 1, .more = {{TBI_GPUS, 1}}}},
        {"call that has a demand", {.kind = TBI_CALL, .seq = 1, .strategy = TBI_SPREAD}},
        {"no number", {.kind = TBI_CALL, .seq = 0}},
        {"call that has a demand", {.kind = TBI_CALL, .seq = 1, .lane = TBI_LANES_MAX}},
        {"local", {.kind = TBI_CALL, .seq = 1, .local = 1}},
    };
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0});

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sim_task t = bad[i].task;
        const char *why;

        t.actor = a;
        why = sim_try(sim, t);
        assert_non_null(why);
        if (strstr(why, bad[i].why) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", why, bad[i].why);
    }
    assert_silence(sim);
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 1);
}

static void lives_is_refused_of_what_does_not_begin_there(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1}), a = ACTOR(sim, .cpus = 1);
    struct msg_done *m;

    assert_non_null(sim_lives(sim, 1, a, 0)); /* nor anywhere */
    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 2\n");
    assert_non_null(sim_lives(sim, 1, t, 0));
    assert_non_null(sim_lives(sim, 1, a, 0));
    assert_non_null(sim_lives(sim, 2, a, 1));
    m = sim_record(sim, TBI_MSG_LIVES, sizeof *m + sizeof(struct tbi_result));
    *m = (struct msg_done){.task = sim_id((uint64_t)a), .nresults = 1};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){TBI_AT_STORE, 0, 8};
    assert_non_null(sim_deliver(sim, 2));
    assert_null(sim_lives(sim, 2, a, 0));
    assert_non_null(sim_lives(sim, 2, a, 0));
    assert_silence(sim);
}

static void an_end_with_results_of_an_actor_is_refused(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = CALL(sim, a, 1);

    sim_run(sim);
    assert_non_null(sim_done(sim, 1, a, 1, 7, 0));
    assert_non_null(sim_called(sim, 2, c, 0, 7, false)); /* another rank */
    assert_non_null(sim_called(sim, 1, c, 1, 7, false)); /* another attempt */
    assert_silence(sim);
    assert_null(sim_called(sim, 1, c, 0, 7, false));
}

#define ON(test) cmocka_unit_test_setup_teardown(test, sim_two_workers, sim_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(it_is_placed_as_the_task_that_creates_it),
        ON(it_waits_for_its_arguments),
        ON(what_it_asks_for_explicitly_it_holds_for_life),
        ON(what_it_needs_to_begin_it_gives_back_when_it_lives),
        cmocka_unit_test(its_other_resources_stay_when_its_cpus_go),
        ON(one_that_waits_in_its_constructor_lives_all_the_same),
        ON(one_that_is_killed_while_it_begins_counts_as_lasting_until_it_has_ended),
        ON(an_infeasible_one_fails_its_calls_with_the_reason),
        ON(a_constructor_that_fails_fails_its_calls_with_its_message),
        ON(calls_that_were_made_before_go_when_it_lives),
        ON(a_late_argument_holds_up_no_other_call),
        ON(a_failed_argument_fails_its_call_whose_number_is_skipped),
        ON(numbers_that_were_used_up_before_it_lived_are_skipped),
        ON(each_caller_has_numbers_of_its_own),
        ON(a_cancelled_call_is_skipped_if_it_was_not_sent),
        ON(a_cancelled_call_that_was_parked_never_goes),
        ON(a_call_that_fails_is_final_and_the_actor_goes_on),
        ON(more_calls_than_may_be_pending_fail),
        ON(a_call_of_what_is_no_actor_fails),
        ON(calls_are_cancelled_with_the_task_that_made_them_and_actors_are_not),
        ON(tasks_that_ask_for_nothing_go_beside_any_number_of_actors),
        ON(actors_without_cpus_are_spread_as_if_each_took_one),
        cmocka_unit_test(no_task_waits_for_cpus_that_an_actor_has_for_life),
        cmocka_unit_test(no_task_is_made_to_stay_where_an_actor_has_all_cpus_for_life),
        ON(a_name_finds_its_actor_and_gives_one_hold_more),
        ON(a_name_that_is_taken_fails_the_second),
        ON(get_if_exists_makes_one_and_finds_it_for_all_others),
        ON(the_name_of_one_that_is_killed_is_free_at_once),
        ON(records_that_nobody_sends_are_refused_and_change_nothing),
        ON(lives_is_refused_of_what_does_not_begin_there),
        ON(an_end_with_results_of_an_actor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
