/* strategies.c - holds, over several nodes, that tasks run only where their strategy, labels and custom
 * resources allow: while those nodes have no room they wait, and others pass them; that all of every node
 * is back however tasks end; and that a task sees the same cluster as the driver. Every worker has 4
 * CPUs; those with an odd place among them bear zone=a and have a Tape, the others bear zone=b; the first
 * has the only License. Needs three workers or more. */
#include "nodes.h"

#include <signal.h>

enum { CPUS = 4 };

static int where(tb_call *call) { return tb_return(call, tb_call_rank(call)); }
TB_TASK(where);

static bool in_zone_a(int rank)
{
    for (int i = 0; i < nnodes; i++)
        if (node[i].rank == rank)
            return i % 2 == 1;
    return false;
}

static int get_rank(tb_ref r)
{
    int rank;

    assert_ok(tb_get(r, &rank));
    assert_ok(tb_release(r));
    return rank;
}

static bool is_done(tb_ref r)
{
    size_t ready;

    assert_ok(tb_wait(&r, 1, 1, 0, &ready));
    return ready == 1;
}

/* ---- strategies ---- */

/* Held all together, so none can have run where another was before. */
static void spread_per_node(int each)
{
    int n = each * nnodes, count[NODES_MAX] = {0}, rank;
    struct gate g[CPUS * NODES_MAX];
    tb_ref r[CPUS * NODES_MAX];

    for (int k = 0; k < n; k++) {
        g[k] = gate_new();
        r[k] = tb_remote_with(holds, TB_OPTIONS(.strategy = TB_STRATEGY_SPREAD), g[k].path);
    }
    for (int k = 0; k < n; k++)
        gate_reach(&g[k]);
    for (int k = 0; k < n; k++) {
        gate_open(&g[k]);
        rank = get_rank(r[k]);
        for (int i = 0; i < nnodes; i++)
            count[i] += node[i].rank == rank;
    }
    for (int i = 0; i < nnodes; i++)
        assert_int_equal(count[i], each);
}

static void spread_puts_one_task_on_each_node_then_a_second(void **state)
{
    (void)state;
    spread_per_node(1);
    spread_per_node(2);
    spread_per_node(CPUS);
}

static void spread_passes_by_a_node_that_is_full(void **state)
{
    struct hold h = hold_node(node[1].rank, CPUS);

    (void)state;
    for (int k = 0; k < 3 * nnodes; k++)
        assert_int_not_equal(get_rank(tb_remote_with(
                                 where, TB_OPTIONS(.strategy = TB_STRATEGY_SPREAD))), node[1].rank);
    hold_end(&h);
}

static void a_task_for_a_node_waits_while_that_is_full_and_others_pass(void **state)
{
    (void)state;
    for (int i = 0; i < nnodes; i++) {
        struct hold h = hold_node(node[i].rank, CPUS);
        tb_ref hard = tb_remote_with(where, TB_OPTIONS(.strategy = TB_STRATEGY_NODE,
                                                       .node = node[i].rank));

        for (int k = 0; k < 8 * nnodes; k++)
            assert_int_not_equal(get_rank(tb_remote(where)), node[i].rank);
        assert_false(is_done(hard));
        hold_end(&h);
        assert_int_equal(get_rank(hard), node[i].rank);
    }
}

static void a_task_that_prefers_a_node_runs_there_or_at_once_elsewhere(void **state)
{
    (void)state;
    for (int i = 0; i < nnodes; i++) {
        const tb_options *soft = TB_OPTIONS(.strategy = TB_STRATEGY_PREFER_NODE,
                                            .node = node[i].rank);
        struct hold h = hold_node(node[i].rank, CPUS - 1);

        assert_int_equal(get_rank(tb_remote_with(where, soft)), node[i].rank);
        hold_end(&h);
        h = hold_node(node[i].rank, CPUS);
        assert_int_not_equal(get_rank(tb_remote_with(where, soft)), node[i].rank);
        hold_end(&h);
    }
}

/* ---- labels and custom resources ---- */

static void labelled_tasks_run_only_on_nodes_with_the_label(void **state)
{
    enum { TASKS = 60 };
    tb_ref a[TASKS], b[TASKS];

    (void)state;
    for (int k = 0; k < TASKS; k++) {
        a[k] = tb_remote_with(where, TB_OPTIONS(.labels = "zone=a"));
        b[k] = tb_remote_with(where, TB_OPTIONS(.labels = "zone=b", .strategy = TB_STRATEGY_SPREAD));
    }
    for (int k = 0; k < TASKS; k++) {
        assert_true(in_zone_a(get_rank(a[k])));
        assert_false(in_zone_a(get_rank(b[k])));
    }
}

static void a_labelled_task_waits_while_all_nodes_with_the_label_are_full(void **state)
{
    struct hold h[NODES_MAX];
    int n = 0;
    tb_ref r;

    (void)state;
    for (int i = 0; i < nnodes; i++)
        if (in_zone_a(node[i].rank))
            h[n++] = hold_node(node[i].rank, CPUS);
    r = tb_remote_with(where, TB_OPTIONS(.labels = "zone=a"));
    for (int k = 0; k < 8 * nnodes; k++)
        assert_false(in_zone_a(get_rank(tb_remote(where))));
    assert_false(is_done(r));
    hold_end_all(h, n);
    assert_true(in_zone_a(get_rank(r)));
}

static void a_custom_resource_is_used_only_where_it_is_and_as_often_as_there_is(void **state)
{
    const tb_options *tape = TB_OPTIONS(.num_cpus = TB_NONE, .resources = {{"Tape", 1}});
    struct gate g[NODES_MAX];
    tb_ref r[NODES_MAX], last;
    bool used[64] = {false};
    double tapes;
    int n;

    (void)state;
    assert_ok(tb_cluster_resources("Tape", &tapes));
    n = (int)tapes;
    assert_int_equal(n, nnodes / 2);
    for (int k = 0; k < n; k++) {
        g[k] = gate_new();
        r[k] = tb_remote_with(holds, tape, g[k].path);
    }
    for (int k = 0; k < n; k++)
        gate_reach(&g[k]);
    last = tb_remote_with(where, tape);
    for (int k = 0; k < 8 * nnodes; k++) /* what can run passes it */
        get_rank(tb_remote(where));
    assert_false(is_done(last));
    for (int k = 0; k < n; k++) {
        int rank;

        gate_open(&g[k]);
        rank = get_rank(r[k]);
        assert_true(in_zone_a(rank) && !used[rank]);
        used[rank] = true;
    }
    assert_true(in_zone_a(get_rank(last)));
}

static void what_no_single_node_has_together_is_infeasible(void **state)
{
    tb_options cases[] = {{.labels = "zone=a", .resources = {{"License", 1}}},
                          {.labels = "zone=a,zone=b"},
                          {.resources = {{"Tape", 1}}, .strategy = TB_STRATEGY_NODE, .node = node[0].rank},
                          {.num_cpus = CPUS + 1},
                          {.num_gpus = 1}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tb_ref r = tb_remote_with(where, &cases[i]);

        assert_fails(TB_ERR_INFEASIBLE, "", tb_get(r, NULL));
        assert_ok(tb_release(r));
    }
}

/* ---- all comes back ---- */

enum how { WELL, BADLY, CRASHES, CRASHES_ONCE, EXITS, FOR_EVER, WAITS_FOR_EVER, HOWS };

static int ends(tb_call *call)
{
    enum how how = (enum how)tb_arg_int(call, 0);
    tb_ref child;

    switch (how) {
    case BADLY:
        return tb_fail(call, "as it should");
    case CRASHES_ONCE:
        if (tb_call_attempt(call) > 0)
            return tb_return(call, 1);
        raise(SIGSEGV);
        break;
    case CRASHES:
        raise(SIGKILL);
        break;
    case EXITS:
        _exit(3);
    case FOR_EVER:
        while (!tb_cancelled(call))
            pause();
        return tb_return(call, 0);
    case WAITS_FOR_EVER:
        child = tb_remote(ends, (int)FOR_EVER);
        return tb_get(child, NULL);
    default:
        break;
    }
    return tb_return(call, 1);
}
TB_TASK(ends, .num_cpus = 0.5, .memory = 1000000);

static void assert_all_is_back(void)
{
    static const char *const names[] = {"CPU", "memory", "Tape", "License"};

    for (int i = 0; i < nnodes; i++)
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            double all, now;

            assert_ok(tb_node_resources(node[i].rank, names[k], &all));
            do /* of what was cancelled the process may still be about to end */
                assert_ok(tb_node_available_resources(node[i].rank, names[k], &now));
            while (now != all);
        }
}

static void all_of_every_node_is_back_however_tasks_end(void **state)
{
    enum { ROUNDS = 4, TAPES = 8 };
    tb_ref r[NODES_MAX][HOWS], tape[TAPES], dependant;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < nnodes; i++)
            for (int how = 0; how < HOWS; how++)
                r[i][how] = tb_remote_with(
                    ends, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = node[i].rank,
                                     .max_retries = how == CRASHES_ONCE ? 1 : TB_NONE,
                                     .time_limit = how == FOR_EVER && round % 2 == 1 ? 0.05 : 0),
                    how);
        for (int k = 0; k < TAPES; k++)
            tape[k] = tb_remote_with(ends, TB_OPTIONS(.resources = {{"Tape", 0.7}},
                                                      .max_retries = TB_NONE), k % 3);
        dependant = tb_remote(ends, r[0][BADLY]);
        for (int i = 0; i < nnodes; i++) {
            if (round % 2 == 0)
                assert_ok(tb_cancel(r[i][FOR_EVER], round == 0 ? TB_CANCEL_DEFAULT : TB_CANCEL_FORCE));
            assert_ok(tb_cancel(r[i][WAITS_FOR_EVER], TB_CANCEL_DEFAULT));
        }
        for (int i = 0; i < nnodes; i++) {
            static const int expected[HOWS] = {0, TB_ERR_TASK, TB_ERR_CRASHED, 0, TB_ERR_CRASHED,
                                               TB_ERR_CANCELLED, TB_ERR_CANCELLED};

            for (int how = 0; how < HOWS; how++) {
                int rc = tb_get(r[i][how], NULL);

                if (how == FOR_EVER && round % 2 == 1)
                    assert_int_equal(rc, TB_ERR_TIMEOUT);
                else
                    assert_int_equal(rc, expected[how]);
                if (how != BADLY || i > 0)
                    assert_ok(tb_release(r[i][how]));
            }
        }
        for (int k = 0; k < TAPES; k++) {
            assert_int_equal(tb_get(tape[k], NULL), k % 3 == WELL ? 0 : k % 3 == BADLY ? TB_ERR_TASK
                                                                                      : TB_ERR_CRASHED);
            assert_ok(tb_release(tape[k]));
        }
        assert_int_equal(tb_get(dependant, NULL), TB_ERR_TASK);
        assert_ok(tb_release_all((tb_ref[]){dependant, r[0][BADLY]}, 2));
        assert_all_is_back();
    }
    /* and can be had: all of every node at once */
    for (int i = 0; i < nnodes; i++)
        r[i][0] = tb_remote_with(where, TB_OPTIONS(.num_cpus = CPUS, .strategy = TB_STRATEGY_NODE,
                                                   .node = node[i].rank,
                                                   .memory = node[i].memory));
    for (int i = 0; i < nnodes; i++)
        assert_int_equal(get_rank(r[i][0]), node[i].rank);
}

/* ---- what tasks see of it ---- */

/* argument 0: tb_nodes as the driver sees them */
static int looks(tb_call *call)
{
    const tb_node *theirs;
    tb_node mine[NODES_MAX];
    int rank = tb_call_rank(call), n = tb_nodes(mine, NODES_MAX);
    double all, free;
    size_t count;

    tb_must(tb_arg_records(call, 0, &theirs, &count));
    if (n != (int)count || memcmp(mine, theirs, count * sizeof *mine) != 0)
        return tb_fail(call, "tb_nodes has %d nodes here, %zu in the driver, or they differ", n, count);
    tb_must(tb_cluster_resources("CPU", &all));
    if (all != (double)n * CPUS)
        return tb_fail(call, "tb_cluster_resources: %g CPUs", all);
    tb_must(tb_node_resources(rank, "memory", &all));
    tb_must(tb_node_available_resources(rank, "CPU", &free));
    if (all <= 0 || free != CPUS - 3)
        return tb_fail(call, "%g CPUs of rank %d are free while a task has 3 of %d", free, rank, CPUS);
    tb_must(tb_available_resources("zone=b", &free));
    if (free != (n + 1) / 2)
        return tb_fail(call, "%g nodes bear zone=b", free);
    if (tb_node_resources(99, "CPU", &all) != TB_ERR_ARGUMENT ||
        tb_cluster_resources("Disk", &all) != TB_ERR_ARGUMENT)
        return tb_fail(call, "rank 99, or a Disk");
    return tb_return(call, rank);
}
TB_TASK(looks, .num_cpus = 3);

static void a_task_sees_the_same_nodes_as_the_driver_and_its_own_share_taken(void **state)
{
    (void)state;
    for (int i = 0; i < nnodes; i++) {
        tb_ref r;

        tb_remote_v(looks, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = node[i].rank), &r, 1,
                    TB_VALUES(tb_records(node, (size_t)nnodes)));
        assert_int_equal(get_rank(r), node[i].rank);
    }
}

static int begin(void **state)
{
    int workers = run_ranks() - 1;
    char ranks[512];
    int at = 0;

    (void)state;
    if (workers < 3 || workers > NODES_MAX) {
        fprintf(stderr, "3 to %d worker ranks are needed\n", NODES_MAX);
        exit(1);
    }
    for (int i = 0; i < workers; i++)
        at += snprintf(ranks + at, sizeof ranks - (size_t)at, "%d:%s;", i + 1,
                       i % 2 == 1 ? "label.zone=a,Tape=1"
                       : i == 0   ? "label.zone=b,License=1" : "label.zone=b");
    tb_must(tb_init(NULL, NULL, TB_CONFIG(.num_cpus = CPUS, .num_gpus = TB_NONE, .ranks = ranks)));
    nodes_find();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spread_puts_one_task_on_each_node_then_a_second),
        cmocka_unit_test(spread_passes_by_a_node_that_is_full),
        cmocka_unit_test(a_task_for_a_node_waits_while_that_is_full_and_others_pass),
        cmocka_unit_test(a_task_that_prefers_a_node_runs_there_or_at_once_elsewhere),
        cmocka_unit_test(labelled_tasks_run_only_on_nodes_with_the_label),
        cmocka_unit_test(a_labelled_task_waits_while_all_nodes_with_the_label_are_full),
        cmocka_unit_test(a_custom_resource_is_used_only_where_it_is_and_as_often_as_there_is),
        cmocka_unit_test(what_no_single_node_has_together_is_infeasible),
        cmocka_unit_test(all_of_every_node_is_back_however_tasks_end),
        cmocka_unit_test(a_task_sees_the_same_nodes_as_the_driver_and_its_own_share_taken),
    };

    setenv("TB_CANCEL_GRACE", "0.1", 1);
    return cmocka_run_group_tests(tests, begin, run_end);
}
