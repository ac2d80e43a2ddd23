/* test_groups.c - holds placement groups at the head: bundles go where their strategy says, all of them or
 * none; tasks in them wait for that and stay within them; what is removed ends; and nobody starves. */
#include "node/report.h"
#include "sim_actors.h"

#define GROUP(sim, strategy, ...)                                                                  \
    sim_group(sim, strategy,                                                                       \
              sizeof((struct sim_bundle[]){__VA_ARGS__}) / sizeof(struct sim_bundle),              \
              (struct sim_bundle[]){__VA_ARGS__})
#define IN(g, ...) (struct sim_task){.strategy = TBI_IN_GROUP, .group = (g), __VA_ARGS__}

/* Rank 0 runs no tasks; 1, 2 (a host) and 3 have 4 CPUs each, 3 has 2 GPUs. */
static int set_up(void **state)
{
    int64_t totals[4][TBI_CUSTOM] = {{0}};

    for (int r = 1; r < 4; r++)
        totals[r][TBI_CPUS] = 40000;
    totals[3][TBI_GPUS] = 20000;
    *state = sim_with((struct tbi_sched_config){.nranks = 4, .nresources = TBI_CUSTOM,
                                                .totals = totals[0],
                                                .host = (unsigned[]){0, 0, 0, 1}});
    return 0;
}
static int done(void **state)
{
    sim_free(*state);
    return 0;
}

static void grant(struct sim *sim, int group, const unsigned *rank, unsigned n)
{
    for (unsigned b = 1; b <= n; b++)
        assert_null(sim_reserved(sim, rank[b - 1], group, b, true));
}

static void bundles_are_reserved_and_then_tasks_run_in_them(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_STRICT_SPREAD, {.cpus = 1}, {.cpus = 2});

    assert_int_equal(sim_submit(sim, IN(g, .cpus = 2)), 2);
    sim_submit(sim, IN(g, .cpus = 1, .bundle = 1));
    assert_actions(sim, "RESERVE 1.2 to 1\nRESERVE 1.1 to 2\n");
    assert_null(sim_reserved(sim, 2, g, 1, true));
    assert_actions(sim, "");
    assert_null(sim_reserved(sim, 1, g, 2, true));
    assert_actions(sim, "DISPATCH 2 to 1 stays in 1.2\nDISPATCH 3 to 2 stays in 1.1\n");
}

static void a_report_says_that_it_is_a_group_and_not_reserved_yet(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1});
    char text[128];

    (void)sim_actions(sim);
    tbi_report_object(sim->sched, sim_id((uint64_t)g), text, sizeof text);
    assert_string_equal(text, "a placement group, not reserved yet");
}

static void what_a_group_holds_others_do_not_get(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_STRICT_SPREAD, {.cpus = 4}, {.cpus = 4}, {.cpus = 3});

    (void)sim_actions(sim);
    tbi_sched_run(sim->sched);
    (void)sim_actions(sim);
    grant(sim, g, (unsigned[]){1, 2, 3}, 3);
    assert_actions(sim, "");
    sim_submit(sim, (struct sim_task){.cpus = 2});
    sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_actions(sim, "DISPATCH 3 to 3\n"); /* the older one has room nowhere */
    sim_object(sim, TBI_MSG_UNGROUP, 0, g);
    assert_actions(sim, "UNRESERVE 1.1 to 1\nUNRESERVE 1.2 to 2\nUNRESERVE 1.3 to 3\n");
    assert_null(sim_unreserved(sim, 2, g, 2));
    assert_actions(sim, "DISPATCH 2 to 2\n");
}

static void a_task_that_fits_no_bundle_is_infeasible_and_says_so(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1}, {.cpus = 2});

    tbi_sched_run(sim->sched);
    (void)sim_actions(sim);
    sim_submit(sim, IN(g, .cpus = 3));
    sim_resolve(sim, 0, 2, 0);
    assert_actions(sim, "RESOLVED 2 to 0 error=-10 in work\n");
    assert_string_equal(sim->message, "the task needs 3 CPUs of a bundle of its placement group, and the "
                                      "one that comes nearest, bundle 1, has 2 CPUs: ask for less, or "
                                      "make a group with larger bundles");
    sim_submit(sim, IN(g, .cpus = 1, .bundle = 3));
    sim_resolve(sim, 0, 3, 0);
    assert_actions(sim, "RESOLVED 3 to 0 error=-12 in work\n");
}

static void a_group_that_can_never_be_is_infeasible_at_once(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_STRICT_PACK, {.cpus = 3}, {.cpus = 2});

    sim_submit(sim, IN(g, .cpus = 1));
    sim_resolve(sim, 0, g, 0);
    sim_resolve(sim, 0, 2, 0);
    assert_actions(sim, "RESOLVED 1 to 0 error=-10\nRESOLVED 2 to 0 error=-10\n");
    assert_string_equal(sim->message, "the placement group's 2 bundles do not fit on one node, even if "
                                      "nothing else ran: ask for less, or start the job with more ranks");
    g = GROUP(sim, TBI_GROUP_STRICT_SPREAD, {.cpus = 1}, {.cpus = 1}, {.cpus = 1}, {.cpus = 1});
    sim_resolve(sim, 0, g, 0);
    assert_actions(sim, "RESOLVED 3 to 0 error=-10\n");
    g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1}, {.cpus = 5});
    sim_resolve(sim, 0, g, 0);
    assert_actions(sim, "RESOLVED 4 to 0 error=-10\n");
    assert_string_equal(sim->message, "bundle 1 of the placement group needs 5 CPUs, which no node has: "
                                      "make it smaller, or start the job with more a rank");
}

static void it_waits_until_all_of_it_fits(void **state)
{
    struct sim *sim = *state;
    int g;

    for (int k = 1; k <= 3; k++)
        sim_submit(sim, (struct sim_task){.cpus = 3, .strategy = TBI_ON_NODE, .node = (unsigned)k});
    tbi_sched_run(sim->sched);
    (void)sim_actions(sim);
    g = GROUP(sim, TBI_GROUP_SPREAD, {.cpus = 2}, {.cpus = 2});
    assert_actions(sim, "");
    assert_null(sim_done(sim, 1, 1, 1, 0, 0));
    assert_actions(sim, "RESERVE 4.1 to 1\nRESERVE 4.2 to 1\n");
    grant(sim, g, (unsigned[]){1, 1}, 2);
    assert_actions(sim, "");
}

static void one_that_was_refused_returns_all_and_tries_again_when_the_refuser_has_changed(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_STRICT_SPREAD, {.cpus = 1}, {.cpus = 1}, {.cpus = 1});

    assert_actions(sim, "RESERVE 1.1 to 1\nRESERVE 1.2 to 2\nRESERVE 1.3 to 3\n");
    assert_null(sim_reserved(sim, 1, g, 1, false));
    assert_null(sim_reserved(sim, 3, g, 3, true));
    assert_null(sim_reserved(sim, 2, g, 2, true));
    assert_actions(sim, "UNRESERVE 1.2 to 2\nUNRESERVE 1.3 to 3\n");
    assert_null(sim_unreserved(sim, 2, g, 2));
    assert_null(sim_unreserved(sim, 3, g, 3));
    assert_actions(sim, "");
    sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_ON_NODE, .node = 1});
    assert_actions(sim, "DISPATCH 2 to 1 stays\n");
    assert_null(sim_done(sim, 1, 2, 1, 0, 0));
    assert_actions(sim, "RESERVE 1.1 to 1\nRESERVE 1.2 to 2\nRESERVE 1.3 to 3\n");
}

static void an_endless_stream_of_tasks_does_not_hold_it_up(void **state)
{
    struct sim *sim = *state;
    int g = 0, first = 1, passed = 0;

    for (int k = 0; k < 13; k++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    tbi_sched_run(sim->sched);
    (void)sim_actions(sim);
    g = GROUP(sim, TBI_GROUP_STRICT_PACK, {.cpus = 2}, {.cpus = 2});
    for (; passed < 100; passed++) {
        sim_submit(sim, (struct sim_task){.cpus = 1});
        while (first == g || sim_done(sim, 1, first, 1, 0, 0) != NULL) /* ends somewhere */
            if (first == g || sim_done(sim, 2, first, 1, 0, 0) == NULL ||
                sim_done(sim, 3, first, 1, 0, 0) == NULL)
                break;
        first++;
        tbi_sched_run(sim->sched);
        assert_null(tbi_sched_check(sim->sched));
        if (strstr(sim_actions(sim), "RESERVE") != NULL)
            break;
    }
    assert_in_range(passed, 1, 40);
}

/* Groups of one CPU have both of a node's; each that goes makes room for the next one, which has waited for it. */
static struct sim *begin_stream(void)
{
    struct sim *sim = sim_new(2, (int32_t[]){0, 20000}, (unsigned[]){0, 0}, 2);

    for (int k = 1; k <= 2; k++) {
        int g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1});

        sim_run(sim);
        grant(sim, g, (unsigned[]){1}, 1);
    }
    return sim;
}

/* `older`: of the two groups the one that goes. Returns the one that came in its place, or 0. */
static int go_on(struct sim *sim, int older)
{
    int next = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1});
    char text[40];

    sim_object(sim, TBI_MSG_UNGROUP, 0, older);
    assert_null(sim_unreserved(sim, 1, older, 1));
    tbi_sched_run(sim->sched);
    assert_null(tbi_sched_check(sim->sched));
    snprintf(text, sizeof text, "RESERVE %d.1 to 1\n", next);
    if (strstr(sim_actions(sim), text) == NULL)
        return 0;
    grant(sim, next, (unsigned[]){1}, 1);
    return next;
}

/* Returns how many groups passed the task, which needs both CPUs. */
static int count_passing(struct sim *sim, struct sim_task big, bool wanted)
{
    int a = 1, b = 2, passed = 0, task = sim_submit(sim, big), c;
    char text[40];

    if (wanted)
        sim_resolve(sim, 1, task, TBI_GET_WANTED);
    sim_run(sim);
    while (passed < 100 && (c = go_on(sim, a)) != 0) {
        a = b;
        b = c;
        passed++;
    }
    GROUP(sim, TBI_GROUP_PACK, {.cpus = 1}); /* and what is younger stays out all the same */
    sim_object(sim, TBI_MSG_UNGROUP, 0, b);
    assert_null(sim_unreserved(sim, 1, b, 1));
    tbi_sched_run(sim->sched);
    assert_null(tbi_sched_check(sim->sched));
    snprintf(text, sizeof text, "DISPATCH %d to 1", task);
    assert_non_null(strstr(sim_actions(sim), text));
    assert_null(sim_done(sim, 1, task, 1, 0, 0));
    tbi_sched_run(sim->sched);
    assert_null(tbi_sched_check(sim->sched));
    assert_non_null(strstr(sim_actions(sim), "RESERVE")); /* the node is open again */
    return passed;
}

static void an_endless_stream_of_groups_does_not_hold_up_a_task(void **state)
{
    const struct sim_task big[] = {{.cpus = 2}, {.cpus = 2, .strategy = TBI_ON_NODE, .node = 1}, {.cpus = 2}};

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct sim *sim = begin_stream();

        assert_in_range(count_passing(sim, big[k], k == 2), 4, 6);
        sim_free(sim);
    }
}

/* Who is to remove the group that stays may wait for the one that is kept out. */
static void a_node_is_not_closed_to_groups_for_ever(void **state)
{
    struct sim *sim = begin_stream();
    int stays, goes = 1, c, task = sim_submit(sim, (struct sim_task){.cpus = 2});
    char text[40];

    (void)state;
    stays = go_on(sim, 2);
    assert_int_not_equal(stays, 0);
    for (int k = 0; k < 20 && (c = go_on(sim, goes)) != 0; k++)
        goes = c;
    assert_true(tbi_sched_deadline(sim->sched) == 1000000);
    tbi_sched_tick(sim->sched, 999999);
    assert_actions(sim, "");
    tbi_sched_tick(sim->sched, 1000000);
    snprintf(text, sizeof text, "RESERVE %d.1 to 1\n", (int)sim->next);
    assert_actions(sim, text);
    assert_true(tbi_sched_deadline(sim->sched) == UINT64_MAX);
    goes = (int)sim->next;
    grant(sim, goes, (unsigned[]){1}, 1);
    for (int k = 0; k < 20; k++) /* nor again for a group that does not go */
        assert_int_not_equal(goes = go_on(sim, goes), 0);
    sim_object(sim, TBI_MSG_UNGROUP, 0, stays);
    assert_null(sim_unreserved(sim, 1, stays, 1));
    tbi_sched_run(sim->sched);
    sim_object(sim, TBI_MSG_UNGROUP, 0, goes);
    assert_null(sim_unreserved(sim, 1, goes, 1));
    tbi_sched_run(sim->sched);
    snprintf(text, sizeof text, "DISPATCH %d to 1", task);
    assert_non_null(strstr(sim_actions(sim), text));
    sim_free(sim);
}

/* A task without room is no reason to leave free what older groups will not leave in any case. */
static void a_node_is_not_closed_for_what_older_groups_hold(void **state)
{
    struct sim *sim = begin_stream();
    int goes = 2;

    (void)state;
    sim_submit(sim, (struct sim_task){.cpus = 2});
    for (int k = 0; k < 20; k++)
        assert_int_not_equal(goes = go_on(sim, goes), 0);
    sim_free(sim);
}

static void removed_while_it_waits_it_fails_with_all_tasks_in_it(void **state)
{
    struct sim *sim = *state;
    int g;

    GROUP(sim, TBI_GROUP_STRICT_SPREAD, {.cpus = 4}, {.cpus = 4}, {.cpus = 4});
    tbi_sched_run(sim->sched);
    (void)sim_actions(sim);
    g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1});
    sim_submit(sim, IN(g, .cpus = 1));
    sim_resolve(sim, 0, g, 0);
    sim_resolve(sim, 0, 3, 0);
    assert_actions(sim, "");
    sim_object(sim, TBI_MSG_UNGROUP, 0, g);
    assert_actions(sim, "RESOLVED 2 to 0 error=-3\nRESOLVED 3 to 0 error=-3\n");
    sim_submit(sim, IN(g, .cpus = 1));
    sim_resolve(sim, 0, 4, 0);
    assert_actions(sim, "RESOLVED 4 to 0 error=-3 in work\n");
    sim_object(sim, TBI_MSG_UNGROUP, 0, g); /* again: nothing */
    assert_actions(sim, "");
}

static void removed_it_takes_the_tasks_with_it_that_wait_in_it(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1});

    tbi_sched_run(sim->sched);
    grant(sim, g, (unsigned[]){1}, 1);
    sim_submit(sim, IN(g, .cpus = 1));
    sim_submit(sim, IN(g, .cpus = 1));
    sim_submit(sim, IN(g, .cpus = 1, .after = {3}));
    tbi_sched_run(sim->sched);
    (void)sim_actions(sim);
    for (int k = 2; k <= 4; k++)
        sim_resolve(sim, 0, k, 0);
    sim_object(sim, TBI_MSG_UNGROUP, 0, g);
    assert_actions(sim, "RESOLVED 3 to 0 error=-3 in work\nRESOLVED 4 to 0 error=-3 in work\n"
                        "UNRESERVE 1.1 to 1\n");
    sim_failed(sim, 1, 2, TB_ERR_CANCELLED);
    assert_null(sim_unreserved(sim, 1, g, 1));
    assert_actions(sim, "RESOLVED 2 to 0 error=-3 in work\n");
    assert_true(tbi_sched_available(sim->sched, 1, TBI_CPUS) == 40000);
    for (int k = 2; k <= 4; k++)
        sim_object(sim, TBI_MSG_RELEASE, 0, k);
    assert_int_equal(tbi_sched_counts(sim->sched).makers, 0);
}

/* An actor has all that the bundle has for as long as it lives: so a task that a blocked one waits for stands aside. */
static void removed_it_takes_a_wanted_task_with_it_that_stands_aside(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1}), a, t;

    tbi_sched_run(sim->sched);
    grant(sim, g, (unsigned[]){1}, 1);
    a = ACTOR(sim, .strategy = TBI_IN_GROUP, .group = g, .cpus = 1);
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    t = sim_submit(sim, IN(g, .cpus = 1));
    sim_resolve(sim, 2, t, TBI_GET_WANTED);
    assert_actions(sim, "");
    sim_object(sim, TBI_MSG_UNGROUP, 0, g);
    assert_actions(sim, "RESOLVED 3 to 2 error=-3 in work\nUNRESERVE 1.1 to 1\n");
    sim_failed(sim, 1, a, TB_ERR_CANCELLED);
    assert_null(sim_unreserved(sim, 1, g, 1));
    assert_actions(sim, ""); /* above all not the task, to a bundle that there is not */
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
}

static void strategies_decide_where_bundles_go(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1}, {.cpus = 1}, {.cpus = 2}, {.cpus = 1});


    assert_actions(sim, "RESERVE 1.3 to 1\nRESERVE 1.1 to 1\nRESERVE 1.2 to 1\n"
                        "RESERVE 1.4 to 2\n"); /* one host of two nodes */
    grant(sim, g, (unsigned[]){1, 1, 1, 2}, 4);
    g = GROUP(sim, TBI_GROUP_SPREAD, {.cpus = 1}, {.cpus = 1});
    assert_actions(sim, "RESERVE 2.1 to 3\nRESERVE 2.2 to 2\n");
    grant(sim, g, (unsigned[]){3, 2}, 2);
    GROUP(sim, TBI_GROUP_STRICT_PACK, {.cpus = 1, .more = {{TBI_GPUS, 1}}}, {.cpus = 1, .more = {{TBI_GPUS, 0.5}}},
          {.cpus = 0, .more = {{TBI_GPUS, 0.5}}});
    assert_actions(sim, "RESERVE 3.1 to 3\nRESERVE 3.2 to 3\nRESERVE 3.3 to 3\n");
}

static void bundles_are_asked_for_in_the_order_in_which_they_fit(void **state)
{
    struct sim *sim = *state; /* the agent finds room for the small ones beside the large ones, not the other way round */

    GROUP(sim, TBI_GROUP_PACK, {.cpus = 0, .more = {{TBI_GPUS, 0.3}}}, {.cpus = 0, .more = {{TBI_GPUS, 0.3}}},
          {.cpus = 0, .more = {{TBI_GPUS, 0.7}}}, {.cpus = 0, .more = {{TBI_GPUS, 0.7}}});
    assert_actions(sim, "RESERVE 1.3 to 3\nRESERVE 1.4 to 3\nRESERVE 1.1 to 3\nRESERVE 1.2 to 3\n");
}

static void the_forecast_follows_the_gpus_that_the_agent_chose(void **state)
{
    struct sim *sim = *state;
    int first = GROUP(sim, TBI_GROUP_PACK, {.cpus = 0, .more = {{TBI_GPUS, 0.5}}}), second;

    assert_actions(sim, "RESERVE 1.1 to 3\n"); /* on the first of two, as the head would have it */
    sim->reserved_gpus = 6;
    assert_non_null(sim_reserved(sim, 3, first, 1, true)); /* two, and one that there is not */
    sim->reserved_gpus = 2;
    assert_null(sim_reserved(sim, 3, first, 1, true));
    second = GROUP(sim, TBI_GROUP_PACK, {.cpus = 0, .more = {{TBI_GPUS, 0.5}}});
    assert_actions(sim, "RESERVE 2.1 to 3\n");
    sim->reserved_gpus = 1;
    assert_null(sim_reserved(sim, 3, second, 1, true));
    GROUP(sim, TBI_GROUP_PACK, {.cpus = 0, .more = {{TBI_GPUS, 1}}}); /* half of each is free: nobody is asked in vain */
    assert_actions(sim, "");
    sim_submit(sim, (struct sim_task){.more = {{TBI_GPUS, 0.5}}});
    assert_actions(sim, "DISPATCH 4 to 3\n");
}

static const char *instances(struct sim *sim, unsigned rank, int actor, uint64_t gpus)
{
    struct msg_instances *m = sim_record(sim, TBI_MSG_INSTANCES, sizeof *m);

    *m = (struct msg_instances){sim_id((uint64_t)actor), 0, 0, gpus};
    return sim_deliver(sim, rank);
}

static void and_those_that_an_actor_has(void **state)
{
    struct sim *sim = *state;
    int a, b;

    for (int i = 0; i < 2; i++)
        ACTOR(sim, .more = {{TBI_GPUS, 0.5}});
    assert_actions(sim, "DISPATCH 1 to 3\nDISPATCH 2 to 3\n");
    a = 1, b = 2;
    assert_non_null(instances(sim, 1, a, 1)); /* it is not there */
    assert_null(sim_lives(sim, 3, a, 0));
    assert_non_null(instances(sim, 3, a, 3)); /* half of one it has, not of two */
    assert_null(instances(sim, 3, a, 1));
    assert_null(sim_lives(sim, 3, b, 0));
    assert_null(instances(sim, 3, b, 2)); /* not beside the other, as the head would have it */
    GROUP(sim, TBI_GROUP_PACK, {.cpus = 0, .more = {{TBI_GPUS, 1}}});
    assert_actions(sim, "");
}

/* ---- blocked tasks ---- */

/* Process p of rank 1 says so, of a task or an object. */
static void said_by(struct sim *sim, uint32_t p, enum tbi_msg type, int of)
{
    struct msg_get *get;

    if (type == TBI_MSG_RESOLVE) {
        get = sim_record(sim, type, sizeof *get);
        *get = (struct msg_get){sim_id((uint64_t)of), TBI_GET_WANTED, 0};
    } else {
        *(struct msg_task *)sim_record(sim, type, sizeof(struct msg_task)) = (struct msg_task){sim_id((uint64_t)of), 0, 0};
    }
    ((struct tbi_record *)(sim->in.data + sim->in.begin))->proc = p;
    assert_null(sim_deliver(sim, 1));
}

static const char *lent(struct sim *sim, int task, bool lent)
{
    *(struct msg_lent *)sim_record(sim, TBI_MSG_LENT, sizeof(struct msg_lent)) =
        (struct msg_lent){sim_id((uint64_t)task), 0, lent};
    return sim_deliver(sim, 1);
}

static int one_worker_of_two_cpus(void **state)
{
    *state = sim_new(2, (int32_t[]){0, 20000}, (unsigned[]){0, 0}, 2);
    return 0;
}

static void it_may_have_the_cpus_of_a_task_that_waits_for_it(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 2}), g;

    assert_actions(sim, "DISPATCH 1 to 1\n");
    g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 2});
    said_by(sim, 1, TBI_MSG_RESOLVE, g);
    assert_actions(sim, ""); /* it is not blocked yet */
    said_by(sim, 1, TBI_MSG_BLOCK, t);
    assert_actions(sim, "BLOCKED 1 to 1\nRESERVE 2.1 to 1 lent by 1\n");
    assert_null(lent(sim, t, true));
    assert_non_null(lent(sim, t, true));
    assert_null(sim_reserved(sim, 1, g, 1, true));
    (void)sim_actions(sim);
    said_by(sim, 1, TBI_MSG_UNBLOCKED, t); /* when the group was removed, say */
    assert_actions(sim, "");
    assert_non_null(lent(sim, t, false));
}

static void one_that_nobody_waits_for_may_not(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1}), h, u;

    assert_actions(sim, "DISPATCH 1 to 1\n");
    (void)GROUP(sim, TBI_GROUP_PACK, {.cpus = 2});
    said_by(sim, 1, TBI_MSG_BLOCK, t);
    assert_actions(sim, "BLOCKED 1 to 1\n");
    u = sim_submit(sim, (struct sim_task){.cpus = 1});
    assert_actions(sim, "DISPATCH 3 to 1\n");
    h = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1}); /* younger, but a task waits for it */
    said_by(sim, 2, TBI_MSG_RESOLVE, h);
    said_by(sim, 2, TBI_MSG_BLOCK, u);
    assert_actions(sim, "BLOCKED 3 to 1\nRESERVE 4.1 to 1 lent by 3\n"); /* the other waits for something else */
    assert_null(lent(sim, u, true));
    assert_null(sim_reserved(sim, 1, h, 1, true));
    (void)sim_actions(sim);
    assert_actions(sim, "");
}

static void who_waits_for_what_waits_for_it_lends_too(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1}), u = sim_submit(sim, (struct sim_task){.cpus = 1});
    int g, in, after;

    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 1\n");
    g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 2});
    in = sim_submit(sim, IN(g, .cpus = 1));
    after = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {in}});
    said_by(sim, 1, TBI_MSG_RESOLVE, after);
    said_by(sim, 1, TBI_MSG_BLOCK, t);
    assert_actions(sim, "BLOCKED 1 to 1\n");
    said_by(sim, 2, TBI_MSG_RESOLVE, t);
    said_by(sim, 2, TBI_MSG_BLOCK, u);
    assert_actions(sim, "WANTED 1 to 1\nBLOCKED 2 to 1\nRESERVE 3.1 to 1 lent by 1 lent by 2\n");
}

/* Also when the node is kept for another: that may be what has to wait. */
static void it_passes_a_group_that_a_node_is_kept_for(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1}), g = 0;

    assert_actions(sim, "DISPATCH 1 to 1\n");
    (void)GROUP(sim, TBI_GROUP_PACK, {.cpus = 2});
    for (bool kept = false; !kept;) { /* tasks pass it, as often as they may */
        int u = sim_submit(sim, (struct sim_task){.cpus = 1});

        tbi_sched_run(sim->sched);
        kept = strstr(sim_actions(sim), "KEEP 1 to 1") != NULL;
        assert_null(sim_done(sim, 1, u, 1, 0, 0));
    }
    g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1});
    tbi_sched_run(sim->sched);
    (void)sim_actions(sim);
    said_by(sim, 1, TBI_MSG_RESOLVE, g);
    said_by(sim, 1, TBI_MSG_BLOCK, t);
    tbi_sched_run(sim->sched);
    assert_non_null(strstr(sim_actions(sim), "RESERVE"));
}

static void answers_to_nothing_are_refused(void **state)
{
    struct sim *sim = *state;
    int g = GROUP(sim, TBI_GROUP_PACK, {.cpus = 1});

    tbi_sched_run(sim->sched);
    assert_non_null(sim_reserved(sim, 2, g, 1, true)); /* another rank was asked */
    assert_non_null(sim_reserved(sim, 1, g, 2, true));
    assert_non_null(sim_unreserved(sim, 1, g, 1));
    assert_null(sim_reserved(sim, 1, g, 1, true));
    assert_non_null(sim_reserved(sim, 1, g, 1, true));
}

#define ON(test) cmocka_unit_test_setup_teardown(test, set_up, done)
#define WORKER(test) cmocka_unit_test_setup_teardown(test, one_worker_of_two_cpus, done)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(bundles_are_reserved_and_then_tasks_run_in_them),
        ON(a_report_says_that_it_is_a_group_and_not_reserved_yet),
        ON(what_a_group_holds_others_do_not_get),
        ON(a_task_that_fits_no_bundle_is_infeasible_and_says_so),
        ON(a_group_that_can_never_be_is_infeasible_at_once),
        ON(it_waits_until_all_of_it_fits),
        ON(one_that_was_refused_returns_all_and_tries_again_when_the_refuser_has_changed),
        ON(an_endless_stream_of_tasks_does_not_hold_it_up),
        cmocka_unit_test(an_endless_stream_of_groups_does_not_hold_up_a_task),
        cmocka_unit_test(a_node_is_not_closed_to_groups_for_ever),
        cmocka_unit_test(a_node_is_not_closed_for_what_older_groups_hold),
        ON(removed_while_it_waits_it_fails_with_all_tasks_in_it),
        ON(removed_it_takes_the_tasks_with_it_that_wait_in_it),
        ON(removed_it_takes_a_wanted_task_with_it_that_stands_aside),
        ON(strategies_decide_where_bundles_go),
        ON(bundles_are_asked_for_in_the_order_in_which_they_fit),
        ON(the_forecast_follows_the_gpus_that_the_agent_chose),
        ON(and_those_that_an_actor_has),
        WORKER(it_may_have_the_cpus_of_a_task_that_waits_for_it),
        WORKER(one_that_nobody_waits_for_may_not),
        WORKER(who_waits_for_what_waits_for_it_lends_too),
        WORKER(it_passes_a_group_that_a_node_is_kept_for),
        ON(answers_to_nothing_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
