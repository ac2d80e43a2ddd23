/* test_credit.c - holds when the head lets a process submit more: while little of what it has submitted waits, and when
 * nothing computes that could let the rest begin; and that deeper tasks do not keep the oldest from its turn. */
#include "sim.h"

/* Process 1 of rank 1 asks; so a grant is 4 units for one process with something queued, and it is answered while 8
 * are. */
static void ask(struct sim *sim, uint64_t number)
{
    struct msg_credit *m;

    sim->in.begin = sim->in.end = 0;
    m = tbi_outbox_append(&sim->in, TBI_MSG_CREDIT, 1, sizeof *m);
    *m = (struct msg_credit){.number = number};
    assert_null(sim_deliver(sim, 1));
}

static int submit(struct sim *sim, int parent)
{
    return sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .by = 1, .parent = parent});
}

/* One node of one CPU, and a task that runs there in process 1; it submits nine more. */
static int begin(struct sim *sim)
{
    int parent = sim_submit(sim, (struct sim_task){.cpus = 1}), last = 0;

    assert_actions(sim, "DISPATCH 1 to 1\n");
    for (int i = 0; i < 9; i++)
        last = submit(sim, parent);
    assert_int_equal(last, SIM_BY(1, 10));
    return parent;
}

static void a_process_is_given_credit_while_little_of_its_is_queued(void **state)
{
    struct sim *sim = *state;
    int parent = begin(sim);

    ask(sim, 1);
    assert_actions(sim, "");
    assert_int_equal(tbi_sched_counts(sim->sched).asking, 1);
    assert_null(sim_done(sim, 1, parent, 1, 0, 0)); /* the first of the nine begins */
    assert_actions(sim, "DISPATCH 2 to 1\nGRANT 1: 4 to 1.1\n");
    assert_int_equal(tbi_sched_counts(sim->sched).asking, 0);
    ask(sim, 2);
    assert_actions(sim, "GRANT 2: 4 to 1.1\n");
}

static void what_an_agent_has_kept_for_itself_counts_as_begun(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 20; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .by = 1, .local = 1});
    ask(sim, 1);
    assert_actions(sim, "GRANT 1: 4 to 1.1\n");
}

static void what_is_cancelled_is_not_queued_any_more(void **state)
{
    struct sim *sim = *state;

    begin(sim);
    ask(sim, 1);
    assert_actions(sim, "");
    sim_cancel(sim, SIM_BY(1, 5), 0);
    assert_actions(sim, "GRANT 1: 4 to 1.1\n");
}

/* Its tasks may wait for what it would do next, so it goes on when nothing else does. */
static void a_process_is_given_credit_when_nothing_computes(void **state)
{
    struct sim *sim = *state;
    int parent, waits_for;

    parent = sim_submit(sim, (struct sim_task){.cpus = 1});
    waits_for = sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_actions(sim, "DISPATCH 1 to 1\n");
    for (int i = 0; i < 9; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .by = 1, .parent = parent, .after = {waits_for}});
    ask(sim, 1);
    sim->now = tbi_sched_deadline(sim->sched);
    assert_int_not_equal(sim->now, UINT64_MAX);
    tbi_sched_tick(sim->sched, sim->now); /* the parent computes */
    assert_actions(sim, "");
    assert_int_equal(tbi_sched_deadline(sim->sched), UINT64_MAX); /* nothing moves, so nobody need look */
    sim_task_msg(sim, TBI_MSG_BLOCK, 1, parent);
    assert_actions(sim, "DISPATCH 2 to 1\nBLOCKED 1 to 1\n");
    sim_task_msg(sim, TBI_MSG_BLOCK, 1, waits_for);
    sim->now = tbi_sched_deadline(sim->sched);
    assert_int_not_equal(sim->now, UINT64_MAX);
    sim_actions(sim);
    tbi_sched_tick(sim->sched, sim->now);
    assert_actions(sim, "GRANT 1: 4 to 1.1\n");
}

/* Asks, and nothing computes: how long until it is answered. */
static uint64_t waits_for_credit(struct sim *sim, uint64_t number)
{
    uint64_t since = sim->now;

    ask(sim, number);
    do {
        sim->now = tbi_sched_deadline(sim->sched);
        assert_int_not_equal(sim->now, UINT64_MAX);
        tbi_sched_tick(sim->sched, sim->now);
        assert_null(tbi_sched_check(sim->sched));
    } while (strstr(sim_actions(sim), "GRANT") == NULL);
    return sim->now - since;
}

/* So does one whose calls wait behind each other at an actor, and that would go on for ever. */
static void one_with_much_queued_waits_longer_each_time_when_nothing_computes(void **state)
{
    struct sim *sim = *state;
    int parent = sim_submit(sim, (struct sim_task){.cpus = 1}), waits_for = sim_submit(sim, (struct sim_task){.cpus = 1});
    uint64_t first, all = 0, last = 0;

    assert_actions(sim, "DISPATCH 1 to 1\n");
    for (int i = 0; i < 500; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .by = 1, .parent = parent, .after = {waits_for}});
    sim_task_msg(sim, TBI_MSG_BLOCK, 1, parent);
    assert_actions(sim, "DISPATCH 2 to 1\nBLOCKED 1 to 1\n");
    sim_task_msg(sim, TBI_MSG_BLOCK, 1, waits_for);
    first = waits_for_credit(sim, 1);
    for (uint64_t n = 2; n < 20; n++)
        assert_int_equal(waits_for_credit(sim, n), first);
    for (int i = 0; i < 2000; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .by = 1, .parent = parent, .after = {waits_for}});
    for (uint64_t n = 20; n < 40; n++) {
        last = waits_for_credit(sim, n);
        all += last;
    }
    assert_true(last >= 100 * first && last < 1000 * first);
    assert_true(all >= 12 * last);
}

static void credit_is_divided_among_those_who_have_something_queued(void **state)
{
    struct sim *sim = *state;

    sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_actions(sim, "DISPATCH 1 to 1\n");
    for (unsigned p = 2; p < 4; p++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .by = p});
    ask(sim, 1);
    assert_actions(sim, "GRANT 1: 2 to 1.1\n");
}

/* A stream of deeper tasks, one running at a time: how many are sent before the old one is. */
static int passed_by(struct sim *sim, int old, int *running)
{
    char text[64];
    int passed = 0;

    snprintf(text, sizeof text, "DISPATCH %d to 1 wanted", old);
    for (;; passed++) {
        const char *sent;
        int next;

        assert_true(passed < 100);
        submit(sim, 0);
        assert_null(sim_done(sim, 1, *running, 1, 0, 0));
        tbi_sched_run(sim->sched);
        assert_null(tbi_sched_check(sim->sched));
        sent = sim_actions(sim);
        if (strstr(sent, text) != NULL)
            return passed;
        assert_int_equal(sscanf(sent, "DISPATCH %d to 1", &next), 1);
        *running = SIM_BY(1, next);
    }
}

/* Overtakes is 4. */
static void deeper_tasks_do_not_keep_the_oldest_from_its_turn(void **state)
{
    struct sim *sim = *state;
    int running = sim_submit(sim, (struct sim_task){.cpus = 1}), old;

    assert_actions(sim, "DISPATCH 1 to 1\n");
    for (int i = 0; i < 3; i++)
        submit(sim, 0);
    old = sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_in_range(passed_by(sim, old, &running), 1, 8);
}

static int setup(void **state)
{
    *state = sim_with((struct tbi_sched_config){
        .nranks = 4, .nresources = TBI_CUSTOM, .queue = 16, .host = (unsigned[]){0, 0, 0, 0},
        .totals = (int64_t[4][TBI_CUSTOM]){{0}, {[TBI_CPUS] = 10000}}[0]});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_process_is_given_credit_while_little_of_its_is_queued, setup, sim_teardown),
        cmocka_unit_test_setup_teardown(what_an_agent_has_kept_for_itself_counts_as_begun, setup, sim_teardown),
        cmocka_unit_test_setup_teardown(what_is_cancelled_is_not_queued_any_more, setup, sim_teardown),
        cmocka_unit_test_setup_teardown(a_process_is_given_credit_when_nothing_computes, setup, sim_teardown),
        cmocka_unit_test_setup_teardown(one_with_much_queued_waits_longer_each_time_when_nothing_computes, setup, sim_teardown),
        cmocka_unit_test_setup_teardown(credit_is_divided_among_those_who_have_something_queued, setup, sim_teardown),
        cmocka_unit_test_setup_teardown(deeper_tasks_do_not_keep_the_oldest_from_its_turn, setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
