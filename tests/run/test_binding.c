/* test_binding.c - holds that a task runs on the cores it is told: bound there, alone on them while it
 * runs, also after it has waited; wider tasks have more; tasks without CPUs may use the whole share of
 * the rank. Where ranks share cores, or there is a quota, nobody is bound, and that is said. */
#include "gate.h"
#include "run.h"

#include <sched.h>

struct seen {
    int rank, ncores, core[64], bound;  /* bound: the affinity is just these */
    int allowed;                        /* how many it may use */
};

static struct seen look(tb_call *call)
{
    struct seen s = {.rank = tb_call_rank(call)};
    cpu_set_t set;

    s.ncores = tb_call_cores(call, s.core, 64);
    sched_getaffinity(0, sizeof set, &set);
    s.allowed = CPU_COUNT(&set);
    s.bound = s.allowed == s.ncores;
    for (int i = 0; i < s.ncores; i++)
        s.bound &= CPU_ISSET(s.core[i], &set) != 0;
    return s;
}

static int where(tb_call *call)
{
    struct seen s = look(call);

    return tb_return(call, tb_struct(s));
}
TB_TASK(where);

static int waits(tb_call *call)
{
    struct seen s = look(call);

    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, tb_struct(s));
}
TB_TASK(waits);

static int waits_for_a_child(tb_call *call)
{
    tb_ref child = tb_remote(where);
    struct seen s;
    int rc = tb_get(child, NULL);

    s = look(call);
    return rc != 0 ? rc : tb_return(call, tb_struct(s));
}
TB_TASK(waits_for_a_child);

static struct seen get_seen(tb_ref r)
{
    struct seen s;

    assert_ok(tb_get_struct(r, &s));
    assert_ok(tb_release(r));
    return s;
}

/* Is the first worker bound at all? */
static int cores_there;

static void a_task_is_bound_to_the_cores_it_is_told(void **state)
{
    struct seen s = get_seen(tb_remote(where));

    (void)state;
    cores_there = s.ncores;
    print_message(s.ncores > 0 ? "bound\n" : "not bound: cores are shared or limited here\n");
    if (s.ncores > 0)
        assert_true(s.bound);
    s = get_seen(tb_remote(waits_for_a_child));
    if (s.ncores > 0)
        assert_true(s.bound);
}

static void tasks_at_a_time_have_different_cores(void **state)
{
    struct gate g = gate_new(), h = gate_new();
    struct seen x, y;
    tb_node node;
    tb_ref a, b;

    (void)state;
    assert_true(tb_nodes(&node, 1) >= 1);
    if (node.num_cpus < 2) {
        unlink(g.path);
        unlink(h.path);
        print_message("the node has one CPU: nothing runs at a time\n");
        return;
    }
    a = tb_remote_with(waits, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = node.rank), g.path);
    b = tb_remote_with(waits, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = node.rank), h.path);
    gate_reach(&g);
    gate_reach(&h); /* now both run */
    gate_open(&g);
    gate_open(&h);
    x = get_seen(a);
    y = get_seen(b);
    assert_int_equal(x.rank, y.rank);
    for (int i = 0; i < x.ncores; i++)
        for (int k = 0; k < y.ncores; k++)
            assert_int_not_equal(x.core[i], y.core[k]);
}

static void wider_tasks_have_more_and_those_without_cpus_the_whole_share(void **state)
{
    tb_node node;
    struct seen s;

    (void)state;
    assert_true(tb_nodes(&node, 1) >= 1);
    s = get_seen(tb_remote_with(where, TB_OPTIONS(.num_cpus = node.num_cpus)));
    if (s.ncores > 0)
        assert_true(s.bound && s.ncores >= (int)node.num_cpus);
    s = get_seen(tb_remote_with(where, TB_OPTIONS(.num_cpus = TB_NONE)));
    assert_int_equal(s.ncores, 0);
    if (cores_there > 0)
        assert_true(s.allowed >= (int)node.num_cpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_is_bound_to_the_cores_it_is_told),
        cmocka_unit_test(tasks_at_a_time_have_different_cores),
        cmocka_unit_test(wider_tasks_have_more_and_those_without_cpus_the_whole_share),
    };

    setenv("TB_BIND", "yes", 1); /* by default not on the host of rank 0 */
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
