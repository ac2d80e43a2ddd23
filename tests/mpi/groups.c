/* groups.c - holds, over several nodes, that placement groups are where their strategy says, reserved all or
 * not at all, and begin in bounded time, be it among endless tasks of one CPU or among endless small groups.
 * Every worker has 4 CPUs. Needs three workers or more. */
#include "nodes.h"

#include <errno.h>
#include <time.h>

enum { CPUS = 4, OVERTAKES = 64, MOST = 200000, BUNDLES_MAX = CPUS * NODES_MAX };

static int where(tb_call *call) { return tb_return(call, tb_call_rank(call)); }
TB_TASK(where);

static int get_rank(tb_ref r)
{
    int rank;

    assert_ok(tb_get(r, &rank));
    assert_ok(tb_release(r));
    return rank;
}

/* n bundles of so many CPUs each. */
static tb_group group_of(int n, double cpus, int strategy)
{
    tb_bundle b[BUNDLES_MAX];

    for (int i = 0; i < n; i++)
        b[i] = (tb_bundle){.num_cpus = cpus};
    return tb_group_new(b, n, strategy);
}

/* What groups and tasks of the test before had may still be about to come back. */
static void assert_all_is_free(void)
{
    for (int i = 0; i < nnodes; i++) {
        double cpus;

        do
            assert_ok(tb_node_available_resources(node[i].rank, "CPU", &cpus));
        while (cpus != CPUS);
    }
}

/* ---- strategies ---- */

/* Where the bundles of a group are, which tasks in them see too. */
static void find_bundles(tb_group g, int n, int rank[])
{
    tb_ref r[BUNDLES_MAX];

    assert_int_equal(tb_group_nodes(g, rank, n), n);
    for (int i = 0; i < n; i++)
        r[i] = tb_remote_with(where, TB_OPTIONS(.group = tb_group_bundle(g, i)));
    for (int i = 0; i < n; i++)
        assert_int_equal(get_rank(r[i]), rank[i]);
}

static int count_of(int rank, const int *ranks, int n)
{
    int count = 0;

    for (int i = 0; i < n; i++)
        count += ranks[i] == rank;
    return count;
}

static int different(const int *rank, int n)
{
    int found = 0;

    for (int i = 0; i < nnodes; i++)
        found += count_of(node[i].rank, rank, n) > 0;
    return found;
}

static int different_hosts(const int *rank, int n)
{
    int first[NODES_MAX], hosts = hosts_find(first), found = 0;

    for (int h = 0; h < hosts; h++) {
        int k = 0;

        while (k < n && !same_host(first[h], rank[k]))
            k++;
        found += k < n;
    }
    return found;
}

static void strict_spread_puts_no_two_bundles_on_a_node(void **state)
{
    int rank[BUNDLES_MAX];
    tb_group g;

    (void)state;
    for (int n = 2; n <= nnodes; n++) {
        g = group_of(n, 1, TB_GROUP_STRICT_SPREAD);
        find_bundles(g, n, rank);
        assert_int_equal(different(rank, n), n);
        assert_ok(tb_group_remove(g));
    }
    g = group_of(nnodes + 1, 1, TB_GROUP_STRICT_SPREAD);
    assert_fails(TB_ERR_INFEASIBLE, "bundle", tb_group_wait(g));
    assert_ok(tb_group_remove(g));
}

static void strict_pack_puts_all_bundles_on_one_node_and_waits_for_it(void **state)
{
    int rank[BUNDLES_MAX], at = nnodes - 1;
    struct hold h[NODES_MAX];
    tb_group g = group_of(CPUS, 1, TB_GROUP_STRICT_PACK);

    (void)state;
    find_bundles(g, CPUS, rank);
    assert_int_equal(different(rank, CPUS), 1);
    assert_ok(tb_group_remove(g));
    g = group_of(CPUS + 1, 1, TB_GROUP_STRICT_PACK);
    assert_fails(TB_ERR_INFEASIBLE, "bundle", tb_group_wait(g));
    assert_ok(tb_group_remove(g));
    for (int i = 0; i < nnodes; i++)
        h[i] = hold_node(node[i].rank, 1);
    g = group_of(CPUS, 1, TB_GROUP_STRICT_PACK);
    assert_int_equal(tb_group_wait_timeout(g, 0), TB_ERR_TIMEOUT);
    hold_end(&h[at]);
    find_bundles(g, CPUS, rank);
    assert_int_equal(count_of(node[at].rank, rank, CPUS), CPUS);
    hold_end_all(h, at);
    assert_ok(tb_group_remove(g));
}

static void pack_takes_as_few_nodes_and_hosts_as_it_goes(void **state)
{
    const tb_bundle uneven[] = {{.num_cpus = 3}, {.num_cpus = 2}, {.num_cpus = 1}, {.num_cpus = 2}};
    int rank[BUNDLES_MAX], first[NODES_MAX], hosts = hosts_find(first), n;
    tb_group g;

    (void)state;
    for (int nodes = 1; nodes <= nnodes; nodes++) {
        assert_all_is_free();
        n = nodes * CPUS;
        g = group_of(n, 1, TB_GROUP_PACK);
        find_bundles(g, n, rank);
        assert_int_equal(different(rank, n), nodes);
        for (int i = 0; i < nnodes; i++)
            assert_true(count_of(node[i].rank, rank, n) <= CPUS);
        if (nodes == 2)
            assert_int_equal(different_hosts(rank, n), hosts < nnodes ? 1 : 2);
        assert_ok(tb_group_remove(g));
    }
    assert_all_is_free();
    g = tb_group_new(uneven, 4, TB_GROUP_PACK); /* 3 and 1, 2 and 2 */
    find_bundles(g, 4, rank);
    assert_int_equal(different(rank, 4), 2);
    assert_ok(tb_group_remove(g));
}

static void spread_takes_as_many_nodes_as_it_goes(void **state)
{
    int rank[BUNDLES_MAX], first[NODES_MAX], hosts = hosts_find(first);
    struct hold h;
    tb_group g;

    (void)state;
    for (int each = 1; each <= CPUS; each++) {
        assert_all_is_free();
        g = group_of(each * nnodes, 1, TB_GROUP_SPREAD);
        find_bundles(g, each * nnodes, rank);
        assert_int_equal(different(rank, each * nnodes), nnodes);
        for (int i = 0; i < nnodes && hosts == nnodes; i++) /* else hosts may come before nodes */
            assert_int_equal(count_of(node[i].rank, rank, each * nnodes), each);
        assert_ok(tb_group_remove(g));
    }
    assert_all_is_free();
    h = hold_node(node[1].rank, CPUS);
    g = group_of(nnodes, 1, TB_GROUP_SPREAD); /* one node has two then: it is not strict */
    find_bundles(g, nnodes, rank);
    assert_int_equal(different(rank, nnodes), nnodes - 1);
    assert_int_equal(count_of(node[1].rank, rank, nnodes), 0);
    hold_end(&h);
    assert_ok(tb_group_remove(g));
}

static void tasks_go_to_whichever_bundle_has_room(void **state)
{
    int rank[BUNDLES_MAX], count[NODES_MAX] = {0};
    tb_group g = group_of(nnodes, 2, TB_GROUP_STRICT_SPREAD);
    struct gate gate[2 * NODES_MAX];
    tb_ref r[2 * NODES_MAX], more;
    size_t ready;

    (void)state;
    assert_int_equal(tb_group_nodes(g, rank, nnodes), nnodes);
    for (int k = 0; k < 2 * nnodes; k++) {
        gate[k] = gate_new();
        r[k] = tb_remote_with(holds, TB_OPTIONS(.group = g), gate[k].path);
    }
    for (int k = 0; k < 2 * nnodes; k++)
        gate_reach(&gate[k]); /* all bundles are full */
    more = tb_remote_with(where, TB_OPTIONS(.group = g));
    for (int k = 0; k < 8 * nnodes; k++)
        get_rank(tb_remote(where));
    assert_ok(tb_wait(&more, 1, 1, 0, &ready));
    assert_int_equal(ready, 0);
    for (int k = 0; k < 2 * nnodes; k++) {
        int at;

        gate_open(&gate[k]);
        at = get_rank(r[k]);
        for (int i = 0; i < nnodes; i++)
            count[i] += node[i].rank == at;
    }
    for (int i = 0; i < nnodes; i++)
        assert_int_equal(count[i], 2);
    get_rank(more);
    assert_ok(tb_group_remove(g));
}

/* ---- all or nothing ---- */

/* Makes a group of 3 CPUs of every node. Returns: the group. */
static int makes(tb_call *call)
{
    tb_bundle b[NODES_MAX];
    int n = tb_arg_int(call, 0);
    tb_group g;

    for (int i = 0; i < n; i++)
        b[i] = (tb_bundle){.num_cpus = 3};
    g = tb_group_new(b, n, TB_GROUP_STRICT_SPREAD);
    return tb_return(call, tb_struct(g));
}
TB_TASK(makes, .num_cpus = TB_NONE);

static void of_two_groups_that_want_the_same_exactly_one_is_there(void **state)
{
    enum { ROUNDS = 30 };
    int firsts[2] = {0};

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        tb_ref made[2], refs[2], ready_0;
        tb_group g[2];
        size_t ready;
        int first;

        for (int k = 0; k < 2; k++)
            made[k] = tb_remote_with(makes, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = node[k].rank),
                                     nnodes);
        for (int k = 0; k < 2; k++) {
            assert_ok(tb_get_struct(made[k], &g[k]));
            refs[k] = tb_group_ready(g[k]);
        }
        ready_0 = refs[0];
        assert_ok(tb_wait(refs, 2, 1, -1, &ready));
        first = tb_ref_equal(refs[0], ready_0) ? 0 : 1;
        firsts[first]++;
        for (int i = 0; i < nnodes; i++) { /* the other one has nothing, not even a part */
            double cpus;

            do
                assert_ok(tb_node_available_resources(node[i].rank, "CPU", &cpus));
            while (cpus != CPUS - 3);
        }
        assert_int_equal(tb_group_wait_timeout(g[1 - first], 0), TB_ERR_TIMEOUT);
        assert_ok(tb_group_remove(g[first]));
        assert_ok(tb_group_wait(g[1 - first]));
        assert_ok(tb_group_remove(g[1 - first]));
        assert_ok(tb_release_all(refs, 2));
        assert_ok(tb_release_all(made, 2));
    }
    print_message("of %d pairs the first was there first %d times\n", ROUNDS, firsts[0]);
    assert_all_is_free();
}

/* ---- fairness ---- */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct begun {
    double at;
    int rank;
};

/* Says when it began; sleeps for argument 0 microseconds. */
static int begins(tb_call *call)
{
    struct begun b = {now(), tb_call_rank(call)};
    struct timespec left = {0, tb_arg_int(call, 0) * 1000L};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
    return tb_return(call, tb_struct(b));
}
TB_TASK(begins);

/* The stream: tasks that are not done, 3 for each CPU, behind the ref of the group if there is one; and when
 * those that are done began. */
static tb_ref flight[3 * CPUS * NODES_MAX + 1];
static struct begun begun[MOST];
static int in_flight, nbegun;

/* Waits until one is done and puts another at the end. Returns: whether it was the group that was `there`. */
static bool turn(tb_ref there, int us)
{
    size_t ready;
    tb_ref done;

    assert_ok(tb_wait(flight, (size_t)in_flight, 1, -1, &ready));
    done = flight[0];
    memmove(flight, flight + 1, (size_t)--in_flight * sizeof flight[0]);
    if (tb_ref_equal(done, there))
        return true;
    assert_ok(tb_get_struct(done, &begun[nbegun++]));
    assert_ok(tb_release(done));
    flight[in_flight++] = tb_remote(begins, us);
    return false;
}

static void stream_around_a_group(int us)
{
    int window = 3 * CPUS * nnodes, from, between = 0;
    double submitted, last = 0;
    tb_ref there, r[NODES_MAX];
    tb_group g;

    in_flight = nbegun = 0;
    while (in_flight < window)
        flight[in_flight++] = tb_remote(begins, us);
    while (nbegun < 4 * window) /* until it flows */
        turn((tb_ref){0}, us);
    from = nbegun;
    submitted = now();
    g = group_of(nnodes, CPUS, TB_GROUP_STRICT_SPREAD); /* all there is */
    for (int i = 0; i < nnodes; i++)
        r[i] = tb_remote_with(begins, TB_OPTIONS(.group = tb_group_bundle(g, i)), 0);
    there = tb_group_ready(g);
    memmove(flight + 1, flight, (size_t)in_flight++ * sizeof flight[0]);
    flight[0] = there; /* tb_wait looks at it first */
    while (!turn(there, us))
        if (nbegun == MOST)
            fail_msg("%d tasks of one CPU ran, and the group was not there", nbegun - from);
    for (int i = 0; i < nnodes; i++) {
        struct begun inside;

        assert_ok(tb_get_struct(r[i], &inside));
        last = inside.at > last ? inside.at : last;
        assert_ok(tb_release(r[i]));
    }
    assert_ok(tb_release(there));
    assert_ok(tb_group_remove(g));
    while (in_flight > 0) {
        assert_ok(tb_get(flight[--in_flight], NULL));
        assert_ok(tb_release(flight[in_flight]));
    }
    for (int k = from; k < nbegun; k++)
        between += begun[k].at >= submitted && begun[k].at < last;
    print_message("%d nodes, tasks of %d us: %d of them began between the request for the group and the begin "
                  "of the last task in it, in %.1f ms\n", nnodes, us, between, (last - submitted) * 1e3);
    /* What fair.c has for a wide task, on each node in turn. */
    assert_true(between <= nnodes * (2 * window + 2 * OVERTAKES + CPUS));
}

static void a_group_begins_among_endless_short_tasks(void **state)
{
    (void)state;
    stream_around_a_group(3000);
}

static void a_group_begins_among_endless_empty_tasks(void **state)
{
    (void)state;
    stream_around_a_group(0);
}

static void a_wide_group_begins_among_endless_small_ones(void **state)
{
    tb_group small[BUNDLES_MAX], wide;
    int n = CPUS * nnodes, turns = 0, passed = 0, rc;

    (void)state;
    for (int i = 0; i < n; i++)
        small[i] = group_of(1, 1, TB_GROUP_PACK);
    for (int i = 0; i < n; i++)
        assert_ok(tb_group_wait(small[i]));
    wide = group_of(nnodes, CPUS, TB_GROUP_STRICT_SPREAD);
    while ((rc = tb_group_wait_timeout(wide, 0)) == TB_ERR_TIMEOUT) {
        tb_group *oldest = &small[turns % n];

        if (turns++ >= n && tb_group_wait_timeout(*oldest, 0) == 0)
            passed++; /* it was asked for after the wide one, and was there before it */
        if (passed > MOST)
            fail_msg("%d groups of one CPU were there before the wide one", passed);
        assert_ok(tb_group_remove(*oldest));
        *oldest = group_of(1, 1, TB_GROUP_PACK);
    }
    assert_ok(rc);
    print_message("%d nodes: a group of all their CPUs was there after %d later groups of one\n", nnodes,
                  passed);
    assert_true(passed <= nnodes * (2 * OVERTAKES + n));
    assert_ok(tb_group_remove(wide));
    for (int i = 0; i < n; i++) {
        assert_ok(tb_group_wait(small[i]));
        assert_ok(tb_group_remove(small[i]));
    }
    assert_all_is_free();
}

static int begin(void **state)
{
    (void)state;
    return nodes_begin(CPUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_spread_puts_no_two_bundles_on_a_node),
        cmocka_unit_test(strict_pack_puts_all_bundles_on_one_node_and_waits_for_it),
        cmocka_unit_test(pack_takes_as_few_nodes_and_hosts_as_it_goes),
        cmocka_unit_test(spread_takes_as_many_nodes_as_it_goes),
        cmocka_unit_test(tasks_go_to_whichever_bundle_has_room),
        cmocka_unit_test(of_two_groups_that_want_the_same_exactly_one_is_there),
        cmocka_unit_test(a_group_begins_among_endless_short_tasks),
        cmocka_unit_test(a_group_begins_among_endless_empty_tasks),
        cmocka_unit_test(a_wide_group_begins_among_endless_small_ones),
    };

    setenv("TB_OVERTAKES", "64", 0);
    return cmocka_run_group_tests(tests, begin, run_end);
}
