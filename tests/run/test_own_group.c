/* test_own_group.c - holds that tasks which have all CPUs get the groups that they wait for: each makes a group of its own,
 * or waits for what another waits for, and nothing else would ever end. Every worker rank is given 2 CPUs. */
#include "cpus.h"

enum { ROUNDS = 4 };

static int adds_one(tb_call *call)
{
    return tb_return(call, tb_arg_int(call, 0) + 1);
}
TB_TASK(adds_one);

static tb_group new_group(double cpus)
{
    const tb_bundle b = {.num_cpus = cpus};

    return tb_group_new(&b, 1, TB_GROUP_PACK);
}

static int waits_for_its_own(tb_call *call)
{
    tb_group g = new_group(1);
    int rc = tb_group_wait_timeout(g, LIMIT_S), removed = tb_group_remove(g);

    return rc != 0 ? rc : removed != 0 ? removed : tb_return(call, tb_arg_int(call, 0));
}
TB_TASK(waits_for_its_own, .max_retries = TB_NONE);

/* argument: x. Returns: x + 1, from a task in a group of its own. */
static int runs_one_in_its_own(tb_call *call)
{
    tb_group g = new_group(1);
    int x = 0, rc = tb_group_wait_timeout(g, LIMIT_S);
    tb_ref r = tb_remote_with(adds_one, TB_OPTIONS(.group = g), tb_arg_int(call, 0));

    if (rc == 0)
        rc = tb_get_timeout(r, &x, LIMIT_S);
    tb_group_remove(g);
    return rc != 0 ? rc : tb_return(call, x);
}
TB_TASK(runs_one_in_its_own, .max_retries = TB_NONE);

/* The same, and does not wait for the group itself. */
static int only_gets_from_its_own(tb_call *call)
{
    tb_group g = new_group(1);
    tb_ref r = tb_remote_with(adds_one, TB_OPTIONS(.group = g), tb_arg_int(call, 0));
    int x = 0, rc = tb_get_timeout(r, &x, LIMIT_S);

    tb_group_remove(g);
    return rc != 0 ? rc : tb_return(call, x);
}
TB_TASK(only_gets_from_its_own, .max_retries = TB_NONE);

/* It makes a group of all CPUs of a node. */
static int needs_a_node(tb_call *call)
{
    tb_group g = new_group(CPUS);
    int rc = tb_group_wait_timeout(g, LIMIT_S);

    tb_group_remove(g);
    return rc != 0 ? rc : tb_return(call, tb_arg_int(call, 0));
}
TB_TASK(needs_a_node, .max_retries = TB_NONE);

static int waits_for_who_needs_a_node(tb_call *call)
{
    tb_ref r = tb_remote(needs_a_node, tb_arg_int(call, 0));
    int x = 0, rc = tb_get_timeout(r, &x, LIMIT_S);

    return rc != 0 ? rc : tb_return(call, x + 1);
}
TB_TASK(waits_for_who_needs_a_node, .max_retries = TB_NONE);

/* ---- actors ---- */

struct holder {
    int x;
};

static int wait_for_one(tb_call *call)
{
    tb_group g = new_group(1);
    int rc = tb_group_wait_timeout(g, LIMIT_S);

    (void)call;
    tb_group_remove(g);
    return rc;
}

/* It waits for a group before it is there. */
static int holder_init(tb_call *call, struct holder *self)
{
    self->x = tb_arg_int(call, 0);
    return wait_for_one(call);
}

static int holder_get(tb_call *call, struct holder *self) { return tb_return(call, self->x); }

/* Whoever waits for this call waits for a group. */
static int holder_waits(tb_call *call, struct holder *self)
{
    int rc = wait_for_one(call);

    return rc != 0 ? rc : tb_return(call, self->x);
}

TB_ACTOR(holder, struct holder, .init = holder_init);
TB_METHOD(holder, holder_get);
TB_METHOD(holder, holder_waits);

struct idler {
    int unused;
};

static int idler_waits(tb_call *call, struct idler *self)
{
    int rc = wait_for_one(call);

    (void)self;
    return rc != 0 ? rc : tb_return(call, tb_arg_int(call, 0));
}

TB_ACTOR(idler, struct idler);
TB_METHOD(idler, idler_waits);

static int calls(tb_call *call)
{
    tb_actor a = tb_arg_actor(call, 1);
    int x = 0, rc = 0;

    for (int k = 0; k < 3 && rc == 0; k++) /* the first goes over rank 0, the others perhaps directly */
        rc = tb_get_timeout(tb_actor_call(a, idler_waits, tb_arg_int(call, 0)), &x, LIMIT_S);
    return rc != 0 ? rc : tb_return(call, x);
}
TB_TASK(calls, .max_retries = TB_NONE);

/* ---- the tests ---- */

/* Everything is free again. */
/* So many at once, several times: `remote` submits the one with argument i; each returns `more` than that. */
#define assert_all_end(n, more, remote)                                                            \
    do                                                                                             \
        for (int round = 0; round < ROUNDS; round++) {                                             \
            tb_ref ref[64];                                                                        \
            int x[64];                                                                             \
                                                                                                   \
            for (int i = 0; i < (n); i++)                                                          \
                ref[i] = (remote);                                                                 \
            assert_ok(tb_get_all(ref, (size_t)(n), x));                                            \
            for (int i = 0; i < (n); i++)                                                          \
                assert_int_equal(x[i], i + (more));                                                \
            assert_ok(tb_release_all(ref, (size_t)(n)));                                           \
            assert_all_is_back();                                                                  \
        }                                                                                          \
    while (0)

static void as_many_tasks_as_cpus_each_get_a_group_of_their_own(void **state)
{
    (void)state;
    assert_all_end(ncpus, 0, tb_remote(waits_for_its_own, i));
}

static void so_do_many_more_tasks_than_cpus(void **state)
{
    (void)state;
    assert_all_end(5 * ncpus, 0, tb_remote(waits_for_its_own, i));
}

static void and_run_a_task_in_it_before_they_remove_it(void **state)
{
    (void)state;
    assert_all_end(ncpus, 1, tb_remote(runs_one_in_its_own, i));
    assert_all_end(5 * ncpus, 1, tb_remote(runs_one_in_its_own, i));
}

static void who_waits_for_a_task_in_it_waits_for_the_group(void **state)
{
    (void)state;
    assert_all_end(ncpus, 1, tb_remote(only_gets_from_its_own, i));
    assert_all_end(5 * ncpus, 1, tb_remote(only_gets_from_its_own, i));
}

static void so_does_who_waits_for_a_task_that_waits(void **state)
{
    (void)state;
    assert_all_end(ncpus, 1, tb_remote(waits_for_who_needs_a_node, i));
}

static void a_call_that_waits_holds_up_nobody(void **state)
{
    tb_actor a = tb_actor_new_with(idler, TB_OPTIONS(.num_cpus = TB_NONE));

    (void)state;
    assert_all_end(ncpus, 0, tb_remote(calls, i, a));
    assert_ok(tb_actor_release(a));
}

/* They may keep a CPU as long as they live (1), or need it only to begin (0). */
static void actors_that_begin_get_groups_of_their_own(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++)
        for (int keep = 0; keep < 2; keep++) {
            tb_actor a[64];
            double amount;

            for (int i = 0; i < ncpus; i++)
                a[i] = keep ? tb_actor_new_with(holder, TB_OPTIONS(.num_cpus = 1), i) : tb_actor_new(holder, i);
            for (int i = 0; i < ncpus; i++) {
                tb_ref r = tb_actor_call(a[i], holder_get);
                int x;

                assert_ok(tb_get_timeout(r, &x, LIMIT_S));
                assert_int_equal(x, i);
                assert_ok(tb_release(r));
            }
            do
                assert_ok(tb_available_resources("CPU", &amount));
            while (amount != (keep ? 0 : ncpus));
            for (int i = 0; i < ncpus; i++)
                assert_ok(tb_actor_release(a[i]));
            assert_all_is_back();
        }
}

static void one_that_lives_waits_for_a_group_beside_it(void **state)
{
    tb_actor a = tb_actor_new_with(holder, TB_OPTIONS(.num_cpus = 1), 7);
    tb_ref r = tb_actor_call(a, holder_waits);
    int x;

    (void)state;
    assert_ok(tb_get_timeout(r, &x, LIMIT_S));
    assert_int_equal(x, 7);
    assert_ok(tb_release(r));
    assert_ok(tb_actor_release(a));
    assert_all_is_back();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_tasks_as_cpus_each_get_a_group_of_their_own),
        cmocka_unit_test(so_do_many_more_tasks_than_cpus),
        cmocka_unit_test(and_run_a_task_in_it_before_they_remove_it),
        cmocka_unit_test(who_waits_for_a_task_in_it_waits_for_the_group),
        cmocka_unit_test(so_does_who_waits_for_a_task_that_waits),
        cmocka_unit_test(a_call_that_waits_holds_up_nobody),
        cmocka_unit_test(actors_that_begin_get_groups_of_their_own),
        cmocka_unit_test(one_that_lives_waits_for_a_group_beside_it),
    };

    return cmocka_run_group_tests(tests, begin_with_cpus, run_end);
}
