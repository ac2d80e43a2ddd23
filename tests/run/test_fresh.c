/* test_fresh.c - holds that a task with .fresh_process has a process that has run nothing and runs nothing after it, also
 * where as many processes live as there may be, and that an actor begins in such a one. */
#include "run.h"

#include <unistd.h>

static int ran; /* tasks that this process has begun */
static bool spoiled;

/* Returns how many tasks its process had begun before, and whether a task that was to be alone was among them. */
static int common(tb_call *call)
{
    return tb_return(call, ran++, spoiled);
}
TB_TASK(common);

static int alone(tb_call *call)
{
    spoiled = true;
    return tb_return(call, ran++);
}
TB_TASK(alone, .fresh_process = true);

static int has_children_alone(tb_call *call)
{
    int sum = 0;

    ran++;
    for (int i = 0; i < 5; i++) {
        tb_ref r = tb_remote(alone);
        int before = -1;

        tb_must(tb_get(r, &before));
        tb_must(tb_release(r));
        sum += before;
    }
    return tb_return(call, sum);
}
TB_TASK(has_children_alone);

static int dies_once(tb_call *call)
{
    spoiled = true;
    if (tb_call_attempt(call) == 0)
        _exit(3);
    return tb_return(call, ran++);
}
TB_TASK(dies_once, .fresh_process = true);

struct hermit {
    int before;
};
static int hermit_init(tb_call *call, struct hermit *h)
{
    (void)call;
    h->before = ran++;
    return 0;
}
static int hermit_before(tb_call *call, struct hermit *h) { return tb_return(call, h->before); }
TB_ACTOR(hermit, struct hermit, .init = hermit_init, .fresh_process = true);
TB_METHOD(hermit, hermit_before);

enum { N = 40 };

/* Every process of the job has run something, and as many live as there may be. */
static void use_all(void)
{
    tb_ref r[N][2];

    for (int i = 0; i < N; i++)
        tb_remote_n(common, r[i], 2);
    for (int i = 0; i < N; i++) {
        int spoilt = -1;

        assert_ok(tb_get(r[i][1], &spoilt));
        assert_int_equal(spoilt, 0);
        assert_ok(tb_release_all(r[i], 2));
    }
}

static void it_has_a_process_that_ran_nothing_and_runs_nothing_after_it(void **state)
{
    tb_ref r[N];
    int before[N];

    (void)state;
    for (int round = 0; round < 3; round++) {
        use_all();
        for (int i = 0; i < N; i++)
            r[i] = tb_remote(alone);
        assert_ok(tb_get_all(r, N, before));
        for (int i = 0; i < N; i++)
            assert_int_equal(before[i], 0);
        assert_ok(tb_release_all(r, N));
    }
    use_all();
}

static void so_have_children_and_retries(void **state)
{
    tb_ref r = tb_remote(has_children_alone), again;
    int before = -1;

    (void)state;
    assert_ok(tb_get(r, &before));
    assert_int_equal(before, 0);
    use_all();
    again = tb_remote(dies_once);
    assert_ok(tb_get(again, &before));
    assert_int_equal(before, 0);
    use_all();
    assert_ok(tb_release(r));
    assert_ok(tb_release(again));
}

static int plain(tb_call *call) { return tb_return(call, ran++); }
TB_TASK(plain);

static void any_task_can_be_given_one(void **state)
{
    tb_ref r;
    int before = -1;

    (void)state;
    use_all();
    r = tb_remote_with(plain, TB_OPTIONS(.fresh_process = true));
    assert_ok(tb_get(r, &before));
    assert_int_equal(before, 0);
    assert_ok(tb_release(r));
}

static void an_actor_begins_in_one(void **state)
{
    tb_actor h;
    tb_ref r;
    int before = -1;

    (void)state;
    use_all();
    h = tb_actor_new(hermit);
    r = tb_actor_call(h, hermit_before);
    assert_ok(tb_get(r, &before));
    assert_int_equal(before, 0);
    assert_ok(tb_release(r));
    assert_ok(tb_actor_release(h));
}

static void a_call_of_a_method_has_the_process_of_its_actor(void **state)
{
    tb_actor h = tb_actor_new(hermit);
    tb_ref r = tb_actor_call_with(h, hermit_before, TB_OPTIONS(.fresh_process = true));

    (void)state;
    assert_fails(TB_ERR_ARGUMENT, "fresh_process = 1, which is an option of tasks and actors", tb_get(r, NULL));
    assert_ok(tb_release(r));
    assert_ok(tb_actor_release(h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_has_a_process_that_ran_nothing_and_runs_nothing_after_it),
                                       cmocka_unit_test(so_have_children_and_retries),
                                       cmocka_unit_test(any_task_can_be_given_one),
                                       cmocka_unit_test(an_actor_begins_in_one),
                                       cmocka_unit_test(a_call_of_a_method_has_the_process_of_its_actor)};

    setenv("TB_MAX_EXECUTORS", "2", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
