/* test_group.c - holds placement groups as a program sees them: bundles are reserved all together or wait, in
 * order; only tasks of the group use what they have, and never more; a group that is removed takes its tasks
 * with it and gives all back; what cannot be is an error that says so. Every worker rank is given 4 CPUs, 2
 * GPUs and 1.5 Custom; most groups are on the last one, which alone bears the label zone=b. */
#include "gate.h"
#include "run.h"

#include <signal.h>
#include <time.h>

enum { CPUS = 4, GPUS = 2 };
static int last_rank, nnodes;

/* A bundle on the last rank. */
#define THERE(...) {.labels = "zone=b", __VA_ARGS__}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- tasks ---- */

struct seen {
    tb_group group;
    double begin, end;
    int rank, ngpus, gpu[GPUS];
    char visible[64];
};

static struct seen look(tb_call *call)
{
    struct seen s = {.group = tb_call_group(call), .begin = now(), .rank = tb_call_rank(call)};
    const char *id[GPUS], *visible = getenv("CUDA_VISIBLE_DEVICES");

    s.ngpus = tb_call_gpus(call, id, GPUS);
    for (int i = 0; i < s.ngpus; i++)
        s.gpu[i] = atoi(id[i]);
    snprintf(s.visible, sizeof s.visible, "%s", visible ? visible : "(unset)");
    return s;
}

static int looks(tb_call *call)
{
    struct seen s = look(call);

    s.end = now();
    return tb_return(call, tb_struct(s));
}
TB_TASK(looks);

static int works(tb_call *call)
{
    struct seen s = look(call);
    struct timespec t = {0, tb_arg_int(call, 0) * 1000000L};

    nanosleep(&t, NULL);
    s.end = now();
    return tb_return(call, tb_struct(s));
}
TB_TASK(works);

static int waits(tb_call *call)
{
    struct seen s = look(call);

    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, tb_struct(s));
}
TB_TASK(waits, .max_retries = TB_NONE);

static int crashes_once(tb_call *call)
{
    struct seen s = look(call);

    if (tb_call_attempt(call) == 0)
        raise(SIGKILL);
    return tb_return(call, tb_struct(s));
}
TB_TASK(crashes_once);

static int sum(tb_call *call)
{
    const int32_t *x;
    size_t n;
    int s = 0, rc = tb_arg_array(call, 0, &x, &n);

    for (size_t i = 0; i < n; i++)
        s += x[i];
    return rc != 0 ? rc : tb_return(call, s);
}
TB_TASK(sum, .num_cpus = TB_NONE);

/* ---- in the test ---- */

static bool same(tb_group a, tb_group b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static bool is_done(tb_ref r)
{
    size_t ready;

    assert_ok(tb_wait(&r, 1, 1, 0, &ready));
    return ready == 1;
}

static struct seen get_seen(tb_ref r)
{
    struct seen s;

    assert_ok(tb_get_struct(r, &s));
    assert_ok(tb_release(r));
    return s;
}

static void assert_fails_with(int code, const char *text, tb_ref r)
{
    assert_fails(code, text, tb_get(r, NULL));
    assert_ok(tb_release(r));
}

/* A group of one bundle on the last rank that has so many CPUs. */
static tb_group group_of(double cpus)
{
    const tb_bundle b = THERE(.num_cpus = cpus);

    return tb_group_new(&b, 1, TB_GROUP_PACK);
}

static tb_ref look_in(tb_group g)
{
    return tb_remote_with(looks, TB_OPTIONS(.group = g));
}

static tb_ref look_outside(double cpus)
{
    return tb_remote_with(looks, TB_OPTIONS(.num_cpus = cpus, .strategy = TB_STRATEGY_NODE,
                                            .node = last_rank));
}

/* Others come and go on the last rank: what waits would have begun, if it could. */
static void pass(void)
{
    for (int k = 0; k < 20; k++)
        get_seen(look_outside(TB_NONE));
}

static double available(const char *name)
{
    double amount;

    assert_ok(tb_node_available_resources(last_rank, name, &amount));
    return amount;
}

/* Waits for it: what was cancelled may still be about to end. */
static void assert_comes_to(const char *name, double amount)
{
    while (available(name) != amount) {
    }
}

static void assert_all_is_back(void)
{
    assert_comes_to("CPU", CPUS);
    assert_comes_to("GPU", GPUS);
    assert_comes_to("Custom", 1.5);
}

/* ---- groups come and go ---- */

static void every_strategy_that_can_be_met_is(void **state)
{
    static const int strategy[] = {TB_GROUP_PACK, TB_GROUP_SPREAD, TB_GROUP_STRICT_PACK,
                                   TB_GROUP_STRICT_SPREAD};
    const tb_bundle b[] = {THERE(.num_cpus = 1), THERE(.num_cpus = 2, .num_gpus = 1)};

    (void)state;
    for (int i = 0; i < 4; i++) {
        int n = strategy[i] == TB_GROUP_STRICT_SPREAD ? 1 : 2, rank[3] = {-1, -1, -1};
        tb_group g = tb_group_new(b, n, strategy[i]);

        assert_ok(tb_group_wait(g));
        assert_ok(tb_group_wait_timeout(g, 0));
        assert_int_equal(tb_group_nodes(g, rank, 3), n);
        for (int k = 0; k < n; k++)
            assert_int_equal(rank[k], last_rank);
        assert_int_equal(tb_group_nodes(g, NULL, 0), n);
        rank[0] = -1;
        assert_int_equal(tb_group_nodes(tb_group_bundle(g, n - 1), rank, 1), 1);
        assert_int_equal(rank[0], last_rank);
        assert_int_equal(get_seen(look_in(g)).rank, last_rank);
        assert_ok(tb_group_remove(g));
    }
}

static void what_no_node_could_hold_is_infeasible_at_once(void **state)
{
    tb_bundle all[65];
    struct { tb_bundle b[2]; int n, strategy; const char *says; } cases[] = {
        {{{.num_cpus = 1000}}, 1, TB_GROUP_PACK, "1000 CPUs"},
        {{{.num_cpus = 1}, {.num_cpus = 1, .num_gpus = GPUS + 1}}, 2, TB_GROUP_SPREAD, "3 GPUs"},
        {{{.resources = {{"Custom", 2}}}}, 1, TB_GROUP_STRICT_PACK, "2 Custom"},
        {{THERE(.num_cpus = 3), THERE(.num_cpus = 2)}, 2, TB_GROUP_PACK, "bundle"},
        {{{.num_cpus = 3}, {.num_cpus = 2}}, 2, TB_GROUP_STRICT_PACK, "bundle"},
        {{THERE(.num_cpus = 1), THERE(.num_cpus = 1)}, 2, TB_GROUP_STRICT_SPREAD, "bundle"}};
    tb_group g;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g = tb_group_new(cases[i].b, cases[i].n, cases[i].strategy);
        assert_fails(TB_ERR_INFEASIBLE, cases[i].says, tb_group_wait(g));
        assert_fails(TB_ERR_INFEASIBLE, cases[i].says, tb_group_wait_timeout(g, 0));
        assert_fails_with(TB_ERR_INFEASIBLE, "", tb_group_ready(g));
        assert_fails_with(TB_ERR_INFEASIBLE, "", look_in(g));
        assert_ok(tb_group_remove(g));
    }
    assert_true(nnodes < 65);
    for (int i = 0; i <= nnodes; i++)
        all[i] = (tb_bundle){.num_cpus = CPUS};
    g = tb_group_new(all, nnodes + 1, TB_GROUP_SPREAD);
    assert_fails(TB_ERR_INFEASIBLE, "bundle", tb_group_wait(g));
    assert_ok(tb_group_remove(g));
}

static void a_group_waits_for_room_and_gets_it_in_order(void **state)
{
    tb_group a = group_of(CPUS), b, c, d;
    int rank;

    (void)state;
    assert_ok(tb_group_wait(a));
    b = group_of(1);
    c = group_of(CPUS);
    d = group_of(CPUS);
    assert_fails(TB_ERR_TIMEOUT, "not reserved within 0 s", tb_group_wait_timeout(b, 0));
    assert_fails(TB_ERR_TIMEOUT, "not reserved within 0.05", tb_group_wait_timeout(b, 0.05));
    assert_ok(tb_group_remove(a));
    assert_int_equal(tb_group_nodes(b, &rank, 1), 1);
    assert_int_equal(rank, last_rank);
    assert_int_equal(tb_group_wait_timeout(c, 0), TB_ERR_TIMEOUT);
    assert_ok(tb_group_remove(b));
    assert_ok(tb_group_wait(c));
    assert_int_equal(tb_group_wait_timeout(d, 0.01), TB_ERR_TIMEOUT);
    assert_ok(tb_group_remove(d)); /* never reserved */
    assert_ok(tb_group_remove(c));
    assert_all_is_back();
}

static void a_ready_ref_is_one_like_others(void **state)
{
    const tb_bundle two[] = {THERE(.num_cpus = 1), THERE(.num_cpus = 1)};
    tb_group all = group_of(CPUS), g = tb_group_new(two, 2, TB_GROUP_PACK);
    tb_ref r[2] = {tb_group_ready(g), tb_group_ready(all)}, again = tb_group_ready(tb_group_bundle(g, 1)),
           s = tb_remote(sum, again);
    const int32_t *rank;
    size_t n;
    int value;

    (void)state;
    assert_true(tb_ref_equal(r[0], again));
    assert_ok(tb_wait(r, 2, 1, -1, &n));
    assert_true(n == 1 && !tb_ref_equal(r[0], again)); /* `all` came first */
    assert_false(is_done(s));
    assert_ok(tb_group_remove(all));
    assert_ok(tb_get(s, &value));
    assert_int_equal(value, 2 * last_rank);
    assert_ok(tb_group_remove(g));
    assert_ok(tb_get_array(again, &rank, &n)); /* it stays */
    assert_true(n == 2 && rank[0] == last_rank && rank[1] == last_rank);
    assert_ok(tb_release_all((tb_ref[]){r[0], r[1], again, s}, 4));
}

static void groups_come_and_go(void **state)
{
    tb_group g[8];

    (void)state;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 8; i++) /* more than fit at a time */
            g[i] = group_of(i % 3 + 1);
        for (int i = 0; i < 8; i++) {
            if (i % 3 != 2)
                assert_ok(tb_group_wait(g[i]));
            if (i % 3 == 0)
                assert_int_equal(get_seen(look_in(g[i])).rank, last_rank);
            assert_ok(tb_group_remove(g[i]));
        }
    }
    assert_all_is_back();
}

static void available_resources_are_those_that_no_group_has(void **state)
{
    const tb_bundle b[] = {THERE(.num_cpus = 1.5, .num_gpus = 1),
                           THERE(.num_cpus = 1, .resources = {{"Custom", 0.5}})};
    tb_group g;
    double total, all;

    (void)state;
    assert_all_is_back();
    g = tb_group_new(b, 2, TB_GROUP_PACK);
    assert_ok(tb_group_wait(g));
    assert_true(available("CPU") == 1.5 && available("GPU") == 1 && available("Custom") == 1);
    get_seen(tb_remote_with(looks, TB_OPTIONS(.num_gpus = 1, .group = g)));
    assert_comes_to("GPU", 1); /* a task in it takes nothing more */
    assert_true(available("CPU") == 1.5);
    assert_ok(tb_cluster_resources("CPU", &total));
    assert_true(total == CPUS * nnodes); /* that is what there is, reserved or not */
    assert_ok(tb_group_remove(g));
    assert_all_is_back();
    do
        assert_ok(tb_available_resources("CPU", &all));
    while (all != total);
}

/* ---- tasks in groups ---- */

static void tasks_of_a_group_wait_for_its_cpus_while_others_run(void **state)
{
    tb_group g = group_of(2);
    struct gate first = gate_new(), second = gate_new();
    tb_ref a = tb_remote_with(waits, TB_OPTIONS(.group = g), first.path), /* before it is reserved */
           b = tb_remote_with(waits, TB_OPTIONS(.group = g), second.path), c, outside;

    (void)state;
    gate_reach(&first);
    gate_reach(&second);
    c = look_in(g);
    outside = look_outside(2); /* all that is left */
    assert_int_equal(get_seen(outside).rank, last_rank);
    pass();
    assert_false(is_done(c));
    gate_open(&first);
    assert_true(same(get_seen(c).group, tb_group_bundle(g, 0)));
    gate_open(&second);
    assert_true(same(get_seen(a).group, tb_group_bundle(g, 0)));
    assert_int_equal(get_seen(b).rank, last_rank);
    assert_ok(tb_group_remove(g));
}

static void tasks_outside_wait_for_what_is_reserved(void **state)
{
    tb_group g = group_of(CPUS);
    tb_ref outside;

    (void)state;
    assert_ok(tb_group_wait(g));
    outside = look_outside(1);
    for (int k = 0; k < 20; k++)
        get_seen(look_in(g));
    pass();
    assert_false(is_done(outside));
    assert_ok(tb_group_remove(g));
    assert_true(same(get_seen(outside).group, (tb_group){0}));
}

/* Of CPUs that tasks have when `at` begins; only of those in the group, or only of the others. */
static double cpus_at(const struct seen *s, const double *cpus, int n, int at, bool in_group)
{
    double x = 0;

    for (int k = 0; k < n; k++)
        if ((s[k].group.hi != 0) == in_group && s[k].rank == last_rank && s[k].begin <= s[at].begin &&
            s[k].end > s[at].begin)
            x += cpus[k];
    return x;
}

static void neither_tasks_in_a_group_nor_others_exceed_what_is_theirs(void **state)
{
    enum { TASKS = 200 };
    static const double sizes[] = {0.5, 1, 2};
    static struct seen s[TASKS];
    static double cpus[TASKS];
    static tb_ref r[TASKS];
    tb_group g = group_of(2);
    uint64_t seed = 7;

    (void)state;
    assert_ok(tb_group_wait(g));
    for (int k = 0; k < TASKS; k++) {
        tb_options inside = {.group = g}, outside = {.strategy = TB_STRATEGY_NODE, .node = last_rank},
                   *o = k % 2 == 0 ? &inside : &outside;

        o->num_cpus = cpus[k] = sizes[unit_random(&seed) % 3];
        r[k] = tb_remote_with(works, o, (int)(unit_random(&seed) % 5));
    }
    for (int k = 0; k < TASKS; k++)
        s[k] = get_seen(r[k]);
    for (int k = 0; k < TASKS; k++) {
        assert_true(same(s[k].group, k % 2 == 0 ? tb_group_bundle(g, 0) : (tb_group){0}));
        assert_true(cpus_at(s, cpus, TASKS, k, true) <= 2 + 1e-9);
        assert_true(cpus_at(s, cpus, TASKS, k, false) <= CPUS - 2 + 1e-9);
    }
    assert_ok(tb_group_remove(g));
}

static void a_bundle_can_be_named(void **state)
{
    const tb_bundle b[] = {THERE(.num_cpus = 1),
                           THERE(.num_cpus = 1, .resources = {{"Custom", 1}})};
    const tb_resource custom = {"Custom", 1};
    tb_group g = tb_group_new(b, 2, TB_GROUP_PACK), zero = tb_group_bundle(g, 0),
             one = tb_group_bundle(g, 1);
    struct gate gate = gate_new();
    tb_ref held, waiting;

    (void)state;
    assert_true(same(get_seen(look_in(one)).group, one));
    assert_true(same(get_seen(look_in(zero)).group, zero));
    assert_true(same(tb_group_bundle(one, 0), zero));
    /* what only one bundle has draws the task there */
    assert_true(same(get_seen(tb_remote_with(looks, TB_OPTIONS(.resources = {custom}, .group = g))).group,
                     one));
    assert_fails_with(TB_ERR_INFEASIBLE, "1 Custom",
                      tb_remote_with(looks, TB_OPTIONS(.resources = {custom}, .group = zero)));
    held = tb_remote_with(waits, TB_OPTIONS(.group = zero), gate.path);
    gate_reach(&gate);
    waiting = look_in(zero);
    assert_true(same(get_seen(look_in(g)).group, one));
    assert_true(same(get_seen(look_in(one)).group, one));
    assert_false(is_done(waiting));
    gate_open(&gate);
    get_seen(held);
    assert_true(same(get_seen(waiting).group, zero));
    assert_fails_with(TB_ERR_ARGUMENT, "2", look_in(tb_group_bundle(g, 2)));
    assert_fails(TB_ERR_ARGUMENT, "no bundle 2", tb_group_nodes(tb_group_bundle(g, 2), NULL, 0));
    assert_ok(tb_group_remove(one)); /* any handle will do */
    assert_fails(TB_ERR_REF, "no such placement group", tb_group_wait(g));
}

static void a_task_has_to_fit_into_one_bundle(void **state)
{
    const tb_bundle b[] = {THERE(.num_cpus = 1), THERE(.num_cpus = 2)};
    tb_group g = tb_group_new(b, 2, TB_GROUP_PACK);

    (void)state;
    assert_fails_with(TB_ERR_INFEASIBLE, "3 CPUs",
                      tb_remote_with(looks, TB_OPTIONS(.num_cpus = 3, .group = g)));
    assert_fails_with(TB_ERR_INFEASIBLE, "1 GPU",
                      tb_remote_with(looks, TB_OPTIONS(.num_gpus = 1, .group = g)));
    assert_fails_with(TB_ERR_INFEASIBLE, "2 CPUs",
                      tb_remote_with(looks, TB_OPTIONS(.num_cpus = 2, .group = tb_group_bundle(g, 0))));
    assert_true(same(get_seen(tb_remote_with(looks, TB_OPTIONS(.num_cpus = 2, .group = g))).group,
                     tb_group_bundle(g, 1)));
    get_seen(tb_remote_with(looks, TB_OPTIONS(.num_cpus = TB_NONE, .group = g)));
    assert_ok(tb_group_remove(g));
}

static void a_task_that_dies_is_retried_in_its_bundle(void **state)
{
    const tb_bundle b[] = {THERE(.num_cpus = 1), THERE(.num_cpus = 1)};
    tb_group g = tb_group_new(b, 2, TB_GROUP_PACK);

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_true(same(get_seen(tb_remote_with(crashes_once, TB_OPTIONS(.group = tb_group_bundle(g, i)))).group,
                         tb_group_bundle(g, i)));
    assert_ok(tb_group_remove(g));
    assert_all_is_back();
}

/* ---- GPUs ---- */

static void tasks_see_the_gpus_of_their_bundle(void **state)
{
    const tb_bundle b[] = {THERE(.num_cpus = 1, .num_gpus = 1), THERE(.num_cpus = 1, .num_gpus = 1)};
    tb_group g = tb_group_new(b, 2, TB_GROUP_STRICT_PACK);
    struct seen first[2], s;
    tb_ref outside;

    (void)state;
    for (int i = 0; i < 2; i++) {
        first[i] = get_seen(tb_remote_with(looks, TB_OPTIONS(.num_gpus = 1, .group = tb_group_bundle(g, i))));
        assert_int_equal(first[i].ngpus, 1);
    }
    assert_int_not_equal(first[0].gpu[0], first[1].gpu[0]);
    outside = tb_remote_with(looks, TB_OPTIONS(.num_cpus = TB_NONE, .num_gpus = 0.5,
                                               .strategy = TB_STRATEGY_NODE, .node = last_rank));
    for (int k = 0; k < 10; k++) {
        int i = k % 2;

        s = get_seen(tb_remote_with(looks, TB_OPTIONS(.num_gpus = k % 3 == 0 ? 0.5 : 1,
                                                      .group = tb_group_bundle(g, i))));
        assert_int_equal(s.ngpus, 1);
        assert_int_equal(s.gpu[0], first[i].gpu[0]);
        assert_string_equal(s.visible, first[i].visible);
    }
    s = get_seen(look_in(g)); /* which asks for none */
    assert_int_equal(s.ngpus, 0);
    assert_string_equal(s.visible, "");
    assert_fails_with(TB_ERR_INFEASIBLE, "2 GPUs",
                      tb_remote_with(looks, TB_OPTIONS(.num_gpus = 2, .group = g)));
    pass();
    assert_false(is_done(outside));
    assert_ok(tb_group_remove(g));
    assert_int_equal(get_seen(outside).ngpus, 1);
}

static void a_bundle_may_have_a_part_of_a_gpu_or_several(void **state)
{
    const tb_bundle b[] = {THERE(.num_gpus = 0.5), THERE(.num_gpus = 0.5)}, two = THERE(.num_gpus = 2);
    const tb_options *half = TB_OPTIONS(.num_cpus = TB_NONE, .num_gpus = 0.5);
    tb_group g = tb_group_new(b, 2, TB_GROUP_PACK);
    tb_options in = *half;
    struct seen s;

    (void)state;
    assert_ok(tb_group_wait(g));
    assert_true(available("GPU") == 1 && available("CPU") == CPUS);
    for (int i = 0; i < 2; i++) {
        in.group = tb_group_bundle(g, i);
        s = get_seen(tb_remote_with(looks, &in));
        assert_int_equal(s.ngpus, 1);
    }
    in.num_gpus = 1;
    assert_fails_with(TB_ERR_INFEASIBLE, "1 GPU", tb_remote_with(looks, &in));
    in.num_gpus = 0.5;
    in.num_cpus = 1; /* it has none */
    assert_fails_with(TB_ERR_INFEASIBLE, "1 CPU", tb_remote_with(looks, &in));
    assert_ok(tb_group_remove(g));
    g = tb_group_new(&two, 1, TB_GROUP_PACK);
    s = get_seen(tb_remote_with(looks, TB_OPTIONS(.num_cpus = TB_NONE, .num_gpus = 2, .group = g)));
    assert_true(s.ngpus == 2 && s.gpu[0] != s.gpu[1]);
    assert_ok(tb_group_remove(g));
    assert_all_is_back();
}

/* ---- removal ---- */

static void a_group_that_is_removed_takes_its_tasks_with_it(void **state)
{
    const tb_bundle b[] = {THERE(.num_cpus = 1, .num_gpus = 1),
                           THERE(.num_cpus = 2, .resources = {{"Custom", 1.5}})};
    tb_group g = tb_group_new(b, 2, TB_GROUP_PACK), zero = tb_group_bundle(g, 0);
    struct gate gate = gate_new();
    tb_ref running = tb_remote_with(waits, TB_OPTIONS(.num_gpus = 1, .group = zero), gate.path),
           waiting = look_in(zero), dependant = tb_remote(looks, waiting),
           late = tb_remote_with(looks, TB_OPTIONS(.group = g), running);

    (void)state;
    gate_reach(&gate);
    assert_ok(tb_group_remove(g));
    assert_fails_with(TB_ERR_CANCELLED, "", running);
    assert_fails_with(TB_ERR_CANCELLED, "", waiting);
    assert_fails_with(TB_ERR_CANCELLED, "", dependant);
    assert_fails_with(TB_ERR_CANCELLED, "", late);
    assert_ok(tb_group_remove(g));
    assert_fails(TB_ERR_REF, "no such placement group: it was removed", tb_group_wait(g));
    assert_fails(TB_ERR_REF, "no such placement group", tb_group_wait_timeout(g, 0));
    assert_fails(TB_ERR_REF, "no such placement group", tb_group_nodes(g, NULL, 0));
    assert_fails_with(TB_ERR_REF, "", tb_group_ready(g));
    assert_fails_with(TB_ERR_CANCELLED, "placement group was removed", look_in(g));
    assert_fails_with(TB_ERR_CANCELLED, "placement group was removed", look_in(zero));
    assert_all_is_back();
    gate_open(&gate);
    get_seen(tb_remote_with(looks, TB_OPTIONS(.num_cpus = CPUS, .num_gpus = GPUS,
                                              .strategy = TB_STRATEGY_NODE, .node = last_rank)));
}

static int waits_for(tb_call *call)
{
    tb_group g;
    int rc = tb_arg_struct(call, 0, &g);

    if (rc == 0)
        rc = tb_group_wait(g);
    return rc != 0 ? rc : tb_return(call, 0);
}
TB_TASK(waits_for, .num_cpus = TB_NONE);

static void what_waits_for_a_group_ends_with_it(void **state)
{
    tb_group all = group_of(CPUS), g;
    tb_ref ready, task, in;

    (void)state;
    assert_ok(tb_group_wait(all));
    g = group_of(1);
    ready = tb_group_ready(g); /* holds it, so that the task cannot come too late */
    task = tb_remote(waits_for, tb_struct(g));
    in = look_in(g);
    pass();
    assert_false(is_done(ready) || is_done(task) || is_done(in));
    assert_ok(tb_group_remove(g));
    assert_fails_with(TB_ERR_CANCELLED, "", task);
    assert_fails_with(TB_ERR_CANCELLED, "", in);
    assert_fails_with(TB_ERR_CANCELLED, "", ready);
    assert_ok(tb_group_remove(all));
    assert_all_is_back();
}

/* ---- groups in tasks ---- */

/* argument: the group that it should be in. Returns: whether its own child is in none */
static int is_in(tb_call *call)
{
    tb_group g, mine = tb_call_group(call);
    struct seen s;
    tb_ref child;
    int rank, rc = tb_arg_struct(call, 0, &g);

    if (rc != 0 || !same(mine, tb_group_bundle(g, 0)))
        return tb_fail(call, "in another group");
    if (tb_group_nodes(mine, &rank, 1) != 1 || rank != tb_call_rank(call))
        return tb_fail(call, "on another node");
    child = tb_remote(looks);
    rc = tb_get_struct(child, &s);
    return rc != 0 ? rc : tb_return(call, same(s.group, (tb_group){0}));
}
TB_TASK(is_in);

static int makes(tb_call *call)
{
    const tb_bundle b = THERE(.num_cpus = 1);
    tb_group g = tb_group_new(&b, 1, TB_GROUP_STRICT_SPREAD);
    tb_ref child = tb_remote_with(is_in, TB_OPTIONS(.group = g), tb_struct(g));
    int none, rc = tb_group_wait(g);

    if (rc == 0)
        rc = tb_get(child, &none);
    if (rc == 0)
        rc = tb_group_remove(g);
    return rc != 0 ? rc : tb_return(call, none);
}
TB_TASK(makes);

/* Asks for all CPUs of the node it runs on. Returns: the group. */
static int makes_and_leaves(tb_call *call)
{
    const tb_bundle b = THERE(.num_cpus = CPUS);
    tb_group g = tb_group_new(&b, 1, TB_GROUP_PACK);
    int rc = tb_group_wait(g); /* it may have this task's CPU */

    return rc != 0 ? rc : tb_return(call, tb_struct(g));
}
TB_TASK(makes_and_leaves);

/* Runs one more like it in the same bundle, which has room for one only. argument: how many */
static int descends(tb_call *call)
{
    int n = tb_arg_int(call, 0), below = 0, rc = 0;

    if (n > 1) {
        tb_ref child = tb_remote_with(descends, TB_OPTIONS(.group = tb_call_group(call)), n - 1);

        rc = tb_get(child, &below);
    }
    return rc != 0 ? rc : tb_return(call, below + 1);
}
TB_TASK(descends);

static void a_task_makes_groups_and_passes_them_on(void **state)
{
    tb_ref r = tb_remote(makes);
    tb_group g;
    int x;

    (void)state;
    assert_ok(tb_get(r, &x));
    assert_int_equal(x, 1);
    assert_ok(tb_release(r));
    r = tb_remote_with(makes_and_leaves, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = last_rank));
    assert_ok(tb_get_struct(r, &g));
    assert_ok(tb_release(r));
    assert_ok(tb_group_wait(g)); /* a group does not end with the task that made it */
    assert_true(same(get_seen(look_in(g)).group, tb_group_bundle(g, 0)));
    assert_ok(tb_group_remove(g));
}

static void a_blocked_task_gives_its_cpu_to_others_of_its_group(void **state)
{
    tb_group g = group_of(1);
    tb_ref r = tb_remote_with(descends, TB_OPTIONS(.group = g), 5);
    int n;

    (void)state;
    assert_ok(tb_get(r, &n));
    assert_int_equal(n, 5);
    assert_ok(tb_release(r));
    assert_ok(tb_group_remove(g));
    assert_all_is_back();
}

/* ---- misuse ---- */

static void a_wrong_group_says_what_is_wrong_with_it(void **state)
{
    const tb_bundle good[2] = {{.num_cpus = 1}, {.num_cpus = 1}}, nothing[2] = {{.num_cpus = 1}},
                    negative = {.num_cpus = -1}, tape = {.resources = {{"Tape", 1}}};
    struct { const tb_bundle *b; int n, strategy, code; const char *says; } cases[] = {
        {good, 0, TB_GROUP_PACK, TB_ERR_ARGUMENT, "n = 0 bundles: 1 to 65534"},
        {good, -3, TB_GROUP_PACK, TB_ERR_ARGUMENT, "n = -3"},
        {good, 65535, TB_GROUP_PACK, TB_ERR_ARGUMENT, "n = 65535"},
        {NULL, 2, TB_GROUP_PACK, TB_ERR_ARGUMENT, "2 bundles at NULL"},
        {good, 2, 4, TB_ERR_ARGUMENT, "strategy = 4"},
        {good, 2, -1, TB_ERR_ARGUMENT, "strategy = -1"},
        {nothing, 2, TB_GROUP_PACK, TB_ERR_ARGUMENT, "'bundle 1' asks for nothing"},
        {&negative, 1, TB_GROUP_PACK, TB_ERR_ARGUMENT, "'bundle 0' asks for num_cpus = -1"},
        {&tape, 1, TB_GROUP_PACK, TB_ERR_INFEASIBLE, "'bundle 0' asks for resource 'Tape'"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tb_group g = tb_group_new(cases[i].b, cases[i].n, cases[i].strategy);
        int rank = 7;

        assert_non_null(strstr(tb_last_error(), cases[i].says));
        assert_fails(cases[i].code, cases[i].says, tb_group_wait(g));
        assert_fails(cases[i].code, cases[i].says, tb_group_nodes(g, &rank, 1));
        assert_int_equal(rank, 0);
        assert_fails(cases[i].code, cases[i].says, tb_group_wait_timeout(tb_group_bundle(g, 0), 0));
        assert_fails_with(cases[i].code, cases[i].says, tb_group_ready(g));
        assert_fails_with(cases[i].code, cases[i].says, look_in(g));
        assert_fails(cases[i].code, cases[i].says, tb_group_remove(g));
    }
}

static void handles_that_name_no_group_are_told(void **state)
{
    tb_group g = group_of(1), null = {0}, foreign = g, never = g, wild = {0x1234567812345678, 0x8765432187654321};

    (void)state;
    foreign.hi ^= UINT64_C(1) << 60;
    never.lo += UINT64_C(1000000) << 16;
    assert_fails(TB_ERR_REF, "the group is null", tb_group_wait(null));
    assert_fails(TB_ERR_REF, "the group is null", tb_group_nodes(null, NULL, 0));
    assert_fails(TB_ERR_REF, "the group is null", tb_group_remove(null));
    assert_fails(TB_ERR_REF, "the group is null", tb_group_wait(tb_group_bundle(null, 0)));
    assert_fails_with(TB_ERR_REF, "the group is null", tb_group_ready(null));
    assert_fails(TB_ERR_REF, "another job", tb_group_wait(foreign));
    assert_fails(TB_ERR_REF, "another job", tb_group_remove(tb_group_bundle(foreign, 0)));
    assert_fails_with(TB_ERR_REF, "another job", look_in(foreign));
    assert_fails_with(TB_ERR_REF, "another job", tb_group_ready(foreign));
    assert_fails(TB_ERR_REF, "another job", tb_group_wait(wild));
    assert_fails(TB_ERR_REF, "never made", tb_group_wait(never));
    assert_fails(TB_ERR_ARGUMENT, "index = -1", tb_group_wait(tb_group_bundle(g, -1)));
    assert_fails(TB_ERR_ARGUMENT, "index = 65534", tb_group_wait(tb_group_bundle(g, 65534)));
    assert_fails_with(TB_ERR_ARGUMENT, "index = -1", look_in(tb_group_bundle(g, -1)));
    assert_fails(TB_ERR_ARGUMENT, "ranks is NULL", tb_group_nodes(g, NULL, 1));
    assert_fails(TB_ERR_ARGUMENT, "max = -1", tb_group_nodes(g, NULL, -1));
    assert_fails_with(TB_ERR_ARGUMENT, "a group together with a strategy",
                      tb_remote_with(looks, TB_OPTIONS(.group = g, .strategy = TB_STRATEGY_SPREAD)));
    assert_true(same(tb_call_group(NULL), null));
    assert_ok(tb_group_wait(g)); /* nothing of this has touched it */
    assert_ok(tb_group_remove(g));
    /* an object that is no group */
    {
        tb_ref x = tb_put(1), in;
        tb_group no_group = {x.hi, x.lo};

        assert_int_equal(tb_group_wait(no_group), TB_ERR_TYPE);
        assert_ok(tb_group_remove(no_group));
        in = look_in(no_group);
        assert_int_not_equal(tb_get(in, NULL), 0);
        assert_ok(tb_release(in));
        assert_ok(tb_get(x, NULL));
        assert_ok(tb_release(x));
    }
}

/* The last test: they are there when the job ends. */
static void groups_may_be_left_to_the_end_of_the_job(void **state)
{
    tb_group g = group_of(CPUS), never = group_of(CPUS);

    (void)state;
    assert_int_equal(get_seen(look_in(g)).rank, last_rank);
    assert_int_equal(tb_group_wait_timeout(never, 0), TB_ERR_TIMEOUT);
}

static int begin(void **state)
{
    char ranks[64];

    last_rank = run_ranks() - 1;
    snprintf(ranks, sizeof ranks, "%d:label.zone=b", last_rank);
    unsetenv("CUDA_VISIBLE_DEVICES");
    (void)state;
    tb_must(tb_init(NULL, NULL, TB_CONFIG(.num_cpus = CPUS, .num_gpus = GPUS,
                                          .resources = {{"Custom", 1.5}}, .ranks = ranks)));
    nnodes = tb_nodes(NULL, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_strategy_that_can_be_met_is),
        cmocka_unit_test(what_no_node_could_hold_is_infeasible_at_once),
        cmocka_unit_test(a_group_waits_for_room_and_gets_it_in_order),
        cmocka_unit_test(a_ready_ref_is_one_like_others),
        cmocka_unit_test(groups_come_and_go),
        cmocka_unit_test(available_resources_are_those_that_no_group_has),
        cmocka_unit_test(tasks_of_a_group_wait_for_its_cpus_while_others_run),
        cmocka_unit_test(tasks_outside_wait_for_what_is_reserved),
        cmocka_unit_test(neither_tasks_in_a_group_nor_others_exceed_what_is_theirs),
        cmocka_unit_test(a_bundle_can_be_named),
        cmocka_unit_test(a_task_has_to_fit_into_one_bundle),
        cmocka_unit_test(a_task_that_dies_is_retried_in_its_bundle),
        cmocka_unit_test(tasks_see_the_gpus_of_their_bundle),
        cmocka_unit_test(a_bundle_may_have_a_part_of_a_gpu_or_several),
        cmocka_unit_test(a_group_that_is_removed_takes_its_tasks_with_it),
        cmocka_unit_test(what_waits_for_a_group_ends_with_it),
        cmocka_unit_test(a_task_makes_groups_and_passes_them_on),
        cmocka_unit_test(a_blocked_task_gives_its_cpu_to_others_of_its_group),
        cmocka_unit_test(a_wrong_group_says_what_is_wrong_with_it),
        cmocka_unit_test(handles_that_name_no_group_are_told),
        cmocka_unit_test(groups_may_be_left_to_the_end_of_the_job),
    };

    setenv("TB_CANCEL_GRACE", "0.1", 1);
    return cmocka_run_group_tests(tests, begin, run_end);
}
