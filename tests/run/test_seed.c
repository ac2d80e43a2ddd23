/* test_seed.c - holds tb_call_seed: a number that depends on TB_JOB_SEED and the task's place in the tree of tasks
 * alone, so also after retries. The numbers below were computed from the rule in src/util/seed.h by another program. */
#include "marks.h"
#include "run.h"

#include <signal.h>

static int own_seed(tb_call *call) { return tb_return(call, tb_call_seed(call)); }
TB_TASK(own_seed);

/* Returns its own seed and those of two children; dies in its first attempt, after a child has run. argument: marks */
static int family(tb_call *call)
{
    uint64_t seed[3] = {tb_call_seed(call)};

    for (int i = 0; i < 2; i++) {
        tb_ref r = tb_remote(own_seed);

        tb_must(tb_get(r, &seed[1 + i]));
        tb_must(tb_release(r));
        if (tb_call_attempt(call) == 0) {
            mark(tb_arg_string(call, 0));
            raise(SIGKILL);
        }
    }
    return tb_return(call, tb_array(seed, 3));
}
TB_TASK(family);

struct root {
    uint64_t seed;
};
static int root_init(tb_call *call, struct root *root)
{
    root->seed = tb_call_seed(call);
    return 0;
}
static int root_seed(tb_call *call, struct root *root) { return tb_return(call, root->seed); }
/* Fails in its first attempt, after a child has run. Returns its own seed and that of a child. */
static int root_call(tb_call *call, struct root *root)
{
    uint64_t seed[2] = {tb_call_seed(call)};
    tb_ref r = tb_remote(own_seed);

    (void)root;
    tb_must(tb_get(r, &seed[1]));
    tb_must(tb_release(r));
    return tb_call_attempt(call) == 0 ? tb_fail(call, "not yet") : tb_return(call, tb_array(seed, 2));
}
TB_ACTOR(root, struct root, .init = root_init);
TB_METHOD(root, root_seed);
TB_METHOD(root, root_call, .retry_on_error = {TB_ERR_TASK});

static void seeds_depend_on_the_place_in_the_tree_alone(void **state)
{
    static const uint64_t first = 0x64bf61b512ffabe7, tree[3] = {0x7716da39cba275b2, 0xd76fdf18a84b410d, 0x2b7888b14e443ae9},
                          maker = 0x1b9730bf3fc5de36, called[2] = {0x435eb23196e47bda, 0xe1a01477873b45aa};
    struct marks m = marks_new();
    const uint64_t *seed;
    uint64_t one;
    size_t n;
    tb_ref r[4];
    tb_actor actor;

    (void)state;
    r[0] = tb_remote(own_seed);
    r[1] = tb_remote(family, m.path);
    actor = tb_actor_new(root);
    r[2] = tb_actor_call(actor, root_seed);
    r[3] = tb_actor_call(actor, root_call);
    assert_ok(tb_get(r[0], &one));
    assert_true(one == first);
    assert_ok(tb_get_array(r[1], &seed, &n));
    assert_memory_equal(seed, tree, sizeof tree);
    assert_int_equal(marks_end(&m), 1); /* it was tried twice */
    assert_ok(tb_get(r[2], &one));
    assert_true(one == maker);
    assert_ok(tb_get_array(r[3], &seed, &n));
    assert_memory_equal(seed, called, sizeof called);
    assert_ok(tb_release_all(r, 4));
    assert_ok(tb_actor_release(actor));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeds_depend_on_the_place_in_the_tree_alone)};

    setenv("TB_JOB_SEED", "7", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
