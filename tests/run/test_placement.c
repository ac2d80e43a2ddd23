/* test_placement.c - holds resources as a program sees them: tasks run where what they ask for is free,
 * on cores and GPUs of their own, never beyond what a node has; what they had comes back however they
 * end; a demand that nothing meets fails at once. Every worker rank is given 4 CPUs, 2 GPUs and 1.5
 * Custom; the last one has the only License, and the label zone=b. */
#include "gate.h"
#include "run.h"

#include <signal.h>
#include <time.h>

enum { CPUS = 4, GPUS = 2, TASKS = 400 };
static int last_rank;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What a task saw of itself. */
struct seen {
    double begin, end;
    int rank, ncores, ngpus, threads;
    int core[16], gpu[GPUS];
    char visible[64];
};

static struct seen look(tb_call *call)
{
    struct seen s = {.begin = now(), .rank = tb_call_rank(call)};
    const char *id[GPUS], *threads = getenv("OMP_NUM_THREADS");

    s.ncores = tb_call_cores(call, s.core, 16);
    s.ngpus = tb_call_gpus(call, id, GPUS);
    for (int i = 0; i < s.ngpus; i++)
        s.gpu[i] = atoi(id[i]);
    s.threads = threads == NULL ? -1 : atoi(threads);
    snprintf(s.visible, sizeof s.visible, "%s",
             getenv("CUDA_VISIBLE_DEVICES") ? getenv("CUDA_VISIBLE_DEVICES") : "(unset)");
    return s;
}

/* Works for some milliseconds. argument: how many */
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
TB_TASK(waits);

static int ends_badly(tb_call *call)
{
    int how = tb_arg_int(call, 0);

    if (how == 1)
        return tb_fail(call, "as it should");
    if (how == 2)
        raise(SIGKILL);
    if (how == 3)
        for (;;)
            pause();
    return tb_return(call, how);
}
TB_TASK(ends_badly, .num_cpus = 2, .num_gpus = 1.0, .resources = {{"Custom", 0.75}},
        .max_retries = TB_NONE);

/* Holds all CPUs and GPUs of its node and waits for a child that wants all CPUs there; then sees that one
 * which wants a GPU there has not begun. */
static int parent(tb_call *call)
{
    int rank = tb_call_rank(call);
    tb_ref child = tb_remote_with(works, TB_OPTIONS(.num_cpus = CPUS, .strategy = TB_STRATEGY_NODE,
                                                    .node = rank), 1),
           rival = tb_remote_with(works, TB_OPTIONS(.num_cpus = TB_NONE, .num_gpus = 0.5,
                                                    .strategy = TB_STRATEGY_NODE, .node = rank), 1);
    size_t ready;
    int rc = tb_get(child, NULL);

    if (rc == 0)
        rc = tb_wait(&rival, 1, 1, 0, &ready);
    return rc != 0 ? rc : tb_return(call, (int)ready);
}
TB_TASK(parent, .num_cpus = CPUS, .num_gpus = GPUS);

static struct seen get_seen(tb_ref r)
{
    struct seen s;

    assert_ok(tb_get_struct(r, &s));
    return s;
}

static void the_job_says_what_it_has(void **state)
{
    double amount;
    tb_node node[64];
    int n = tb_nodes(node, 64);

    (void)state;
    assert_true(n >= 1 && node[0].num_cpus == CPUS && node[0].num_gpus == GPUS);
    assert_true(node[0].memory > 0 && node[0].host[0] != 0);
    assert_ok(tb_cluster_resources("CPU", &amount));
    assert_true(amount == CPUS * n);
    assert_ok(tb_cluster_resources("License", &amount));
    assert_true(amount == 1);
    assert_ok(tb_node_resources(last_rank, "zone=b", &amount));
    assert_true(amount == 1);
    assert_ok(tb_available_resources("Custom", &amount));
    assert_true(amount == 1.5 * n);
    assert_fails(TB_ERR_ARGUMENT, "'Tape'", tb_available_resources("Tape", &amount));
    assert_fails(TB_ERR_ARGUMENT, "rank 77", tb_node_resources(77, "CPU", &amount));
    assert_fails(TB_ERR_ARGUMENT, "rank", tb_node_resources(-1, "CPU", &amount));
}

static void a_task_has_the_gpus_it_asked_for_and_no_other(void **state)
{
    tb_ref none = tb_remote(works, 0), two = tb_remote_with(works, TB_OPTIONS(.num_gpus = 2), 0);
    struct seen s = get_seen(none);

    (void)state;
    assert_int_equal(s.ngpus, 0);
    assert_string_equal(s.visible, "");
    s = get_seen(two);
    assert_int_equal(s.ngpus, 2);
    assert_int_not_equal(s.gpu[0], s.gpu[1]);
    assert_non_null(strchr(s.visible, ','));
    assert_ok(tb_release_all((tb_ref[]){none, two}, 2));
}

static void halves_of_a_gpu_share_one(void **state)
{
    struct gate g = gate_new(), h = gate_new();
    const tb_options *half = TB_OPTIONS(.num_cpus = TB_NONE, .num_gpus = 0.5,
                                        .strategy = TB_STRATEGY_NODE, .node = last_rank);
    tb_ref a = tb_remote_with(waits, half, g.path), b = tb_remote_with(waits, half, h.path);
    struct seen x, y;

    (void)state;
    gate_reach(&g);
    gate_reach(&h); /* now both run */
    gate_open(&g);
    gate_open(&h);
    x = get_seen(a);
    y = get_seen(b);
    assert_int_equal(x.ngpus, 1);
    assert_int_equal(x.gpu[0], y.gpu[0]);
    assert_ok(tb_release_all((tb_ref[]){a, b}, 2));
}

static void what_only_one_node_has_draws_tasks_there(void **state)
{
    tb_options cases[] = {{.resources = {{"License", 1}}}, {.labels = "zone=b"},
                          {.strategy = TB_STRATEGY_NODE, .node = last_rank},
                          {.strategy = TB_STRATEGY_PREFER_NODE, .node = last_rank}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        tb_ref r = tb_remote_with(works, &cases[i], 0);

        assert_int_equal(get_seen(r).rank, last_rank);
        assert_ok(tb_release(r));
    }
}

static void a_demand_that_nothing_meets_fails_at_once_and_names_it(void **state)
{
    struct { tb_options options; const char *says; } cases[] = {
        {{.num_cpus = 1000}, "1000 CPUs"},
        {{.num_cpus = 2, .num_gpus = 3}, "3 GPUs"},
        {{.resources = {{"Custom", 2}}}, "2 Custom"},
        {{.resources = {{"Tape", 1}}}, "'Tape', which no node has"},
        {{.labels = "zone=a"}, "'zone=a', which no node has"}};
    tb_ref nowhere = tb_remote_with(works, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = 999), 0);

    (void)state;
    assert_fails(TB_ERR_ARGUMENT, "999", tb_get(nowhere, NULL));
    assert_ok(tb_release(nowhere));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tb_ref r = tb_remote_with(works, &cases[i].options, 0);

        assert_fails(TB_ERR_INFEASIBLE, cases[i].says, tb_get(r, NULL));
        assert_ok(tb_release(r));
    }
}

static void a_blocked_task_gives_its_cpus_and_keeps_its_gpus(void **state)
{
    tb_ref r = tb_remote(parent);
    int ready;

    (void)state;
    assert_ok(tb_get(r, &ready));
    assert_int_equal(ready, 0);
    assert_ok(tb_release(r));
}

static void all_comes_back_however_a_task_ends(void **state)
{
    double amount, all;
    tb_ref r[40], everything;

    (void)state;
    for (int i = 0; i < 40; i++)
        r[i] = tb_remote(ends_badly, i % 4);
    for (int i = 3; i < 40; i += 4)
        assert_ok(tb_cancel(r[i], i % 8 == 3 ? TB_CANCEL_DEFAULT : TB_CANCEL_FORCE));
    for (int i = 0; i < 40; i++)
        assert_int_equal(tb_get(r[i], NULL), i % 4 == 0   ? 0
                                             : i % 4 == 1 ? TB_ERR_TASK
                                             : i % 4 == 2 ? TB_ERR_CRASHED
                                                          : TB_ERR_CANCELLED);
    assert_ok(tb_release_all(r, 40));
    everything = tb_remote_with(works, TB_OPTIONS(.num_cpus = CPUS, .num_gpus = GPUS,
                                                  .resources = {{"Custom", 1.5}}), 0);
    assert_ok(tb_get(everything, NULL));
    assert_ok(tb_release(everything));
    assert_ok(tb_cluster_resources("Custom", &all));
    do /* what was cancelled may still be about to end */
        assert_ok(tb_available_resources("Custom", &amount));
    while (amount != all);
    assert_ok(tb_available_resources("CPU", &amount));
    assert_ok(tb_cluster_resources("CPU", &all));
    assert_true(amount == all);
}

/* At every moment that a task began, of those that ran then on its node: */
static void check_moment(const struct seen *s, const tb_options *o, int at)
{
    double cpus = 0, gpus[64] = {0}, custom = 0;
    int users[1024] = {0};

    for (int k = 0; k < TASKS; k++) {
        bool whole = o[k].num_cpus == (int)o[k].num_cpus;

        if (s[k].rank != s[at].rank || s[k].begin > s[at].begin || s[k].end <= s[at].begin)
            continue;
        cpus += o[k].num_cpus;
        custom += o[k].resources[0].amount;
        for (int g = 0; g < s[k].ngpus; g++)
            gpus[s[k].gpu[g]] += o[k].num_gpus < 1 ? o[k].num_gpus : 1;
        for (int c = 0; c < s[k].ncores; c++)
            users[s[k].core[c]] += whole ? 1 : 0;
    }
    assert_true(cpus <= CPUS + 1e-9 && custom <= 1.5 + 1e-9);
    for (int g = 0; g < 64; g++)
        assert_true(gpus[g] <= 1 + 1e-9);
    for (int c = 0; c < 1024; c++)
        assert_true(users[c] <= 1);
}

static void running_tasks_never_exceed_a_node_and_have_cores_of_their_own(void **state)
{
    static tb_options o[TASKS];
    static struct seen s[TASKS];
    static tb_ref r[TASKS];
    uint64_t seed = 42;

    (void)state;
    for (int k = 0; k < TASKS; k++) {
        static const double cpus[] = {1, 1, 2, 3, 4, 0.5}, gpus[] = {0, 0, 0.25, 0.5, 1, 2};

        o[k].num_cpus = cpus[unit_random(&seed) % 6];
        o[k].num_gpus = gpus[unit_random(&seed) % 6];
        o[k].resources[0] = (tb_resource){"Custom", (double)(unit_random(&seed) % 5) / 4};
        if (o[k].resources[0].amount == 0)
            o[k].resources[0].name = NULL;
        r[k] = tb_remote_with(works, &o[k], (int)(unit_random(&seed) % 8));
    }
    for (int k = 0; k < TASKS; k++) {
        s[k] = get_seen(r[k]);
        assert_int_equal(s[k].ngpus, o[k].num_gpus == 0 ? 0 : o[k].num_gpus < 1 ? 1 : (int)o[k].num_gpus);
        assert_int_equal(s[k].threads, o[k].num_cpus < 1 ? 1 : (int)o[k].num_cpus);
    }
    for (int k = 0; k < TASKS; k++)
        check_moment(s, o, k);
    assert_ok(tb_release_all(r, TASKS));
}

static int begin(void **state)
{
    char ranks[64];

    last_rank = run_ranks() - 1;
    snprintf(ranks, sizeof ranks, "%d:License=1,label.zone=b", last_rank);
    unsetenv("OMP_NUM_THREADS");
    unsetenv("CUDA_VISIBLE_DEVICES");
    (void)state;
    tb_must(tb_init(NULL, NULL, TB_CONFIG(.num_cpus = CPUS, .num_gpus = GPUS,
                                          .resources = {{"Custom", 1.5}}, .ranks = ranks)));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_job_says_what_it_has),
        cmocka_unit_test(a_task_has_the_gpus_it_asked_for_and_no_other),
        cmocka_unit_test(halves_of_a_gpu_share_one),
        cmocka_unit_test(what_only_one_node_has_draws_tasks_there),
        cmocka_unit_test(a_demand_that_nothing_meets_fails_at_once_and_names_it),
        cmocka_unit_test(a_blocked_task_gives_its_cpus_and_keeps_its_gpus),
        cmocka_unit_test(all_comes_back_however_a_task_ends),
        cmocka_unit_test(running_tasks_never_exceed_a_node_and_have_cores_of_their_own),
    };

    setenv("TB_CANCEL_GRACE", "0.1", 1);
    return cmocka_run_group_tests(tests, begin, run_end);
}
