/* test_lending.c - holds that tasks which have all CPUs lend them while they wait, in whichever thread and for whatever:
 * here other threads of theirs wait for tasks, by short looks, for a queue, or to submit more; and tasks wait for room in
 * the store. Nothing of it would ever end else. Every worker rank is given 2 CPUs. */
#include "cpus.h"

#include <pthread.h>
#include <stdatomic.h>
#include <thornback_tools.h>

enum { THREADS = 3, MANY = 3000, LARGE = 1 << 20, LARGES = 100 };

static int adds_one(tb_call *call)
{
    return tb_return(call, tb_arg_int(call, 0) + 1);
}
TB_TASK(adds_one);

/* ---- in a task, what other threads of it do; each returns what is wrong ---- */

static void *waits_for_a_task(void *arg)
{
    int x = 0;
    tb_ref r = tb_remote(adds_one, 6);

    (void)arg;
    tb_must(tb_get_timeout(r, &x, LIMIT_S));
    tb_must(tb_release(r));
    return x == 7 ? NULL : "another value";
}

static void *looks_for_it(void *arg)
{
    tb_ref r = tb_remote(adds_one, 6);
    int x = 0, rc = TB_ERR_TIMEOUT;

    (void)arg;
    for (int i = 0; rc == TB_ERR_TIMEOUT && i < LIMIT_S * 50; i++)
        rc = tb_get_timeout(r, &x, 0.02);
    tb_must(tb_release(r));
    return rc == 0 && x == 7 ? NULL : "another value";
}

static void *submits_many(void *arg)
{
    static tb_ref r[THREADS][MANY];
    static atomic_int taken;
    tb_ref *own = r[atomic_fetch_add(&taken, 1) % THREADS];
    int x = 0;

    (void)arg;
    for (int i = 0; i < MANY; i++)
        own[i] = tb_remote(adds_one, i);
    tb_must(tb_get_timeout(own[MANY - 1], &x, LIMIT_S));
    tb_must(tb_release_all(own, MANY));
    return x == MANY ? NULL : "another value";
}

static void *(*const threads[])(void *) = {waits_for_a_task, looks_for_it, submits_many};

/* argument: what its threads do. It computes nothing while they do it. */
static int joins_threads(tb_call *call)
{
    pthread_t thread[THREADS];
    int wrong = 0;

    for (int i = 0; i < THREADS; i++)
        tb_must(-pthread_create(&thread[i], NULL, threads[tb_arg_int(call, 0)], NULL));
    for (int i = 0; i < THREADS; i++) {
        void *why;

        tb_must(-pthread_join(thread[i], &why));
        wrong += why != NULL;
    }
    return tb_return(call, wrong);
}
TB_TASK(joins_threads, .max_retries = TB_NONE);

/* As many as there are CPUs, and some more. */
static void assert_that_tasks_go_on_whose_threads_do(int what)
{
    tb_ref r[64];
    int n = ncpus + 2 < 64 ? ncpus + 2 : 64;

    for (int i = 0; i < n; i++)
        r[i] = tb_remote(joins_threads, what);
    for (int i = 0; i < n; i++) {
        int wrong = -1;

        assert_ok(tb_get_timeout(r[i], &wrong, LIMIT_S));
        assert_int_equal(wrong, 0);
    }
    assert_ok(tb_release_all(r, (size_t)n));
    assert_all_is_back();
}

static void a_task_lends_its_cpus_while_its_threads_wait(void **state)
{
    (void)state;
    assert_that_tasks_go_on_whose_threads_do(0);
}

static void also_when_they_look_in_short_intervals(void **state)
{
    (void)state;
    assert_that_tasks_go_on_whose_threads_do(1);
}

static void also_when_they_submit_more_than_may_wait(void **state)
{
    (void)state;
    assert_that_tasks_go_on_whose_threads_do(2);
}

/* ---- queues ---- */

static void *takes_one(void *arg)
{
    const tb_queue *q = arg;
    int x = 0;

    tb_must(tb_queue_get_timeout(*q, &x, LIMIT_S));
    return x == 7 ? NULL : "another value";
}

static int takes_in_a_thread(tb_call *call)
{
    tb_queue q = tb_arg_actor(call, 0);
    pthread_t thread;
    void *why;

    tb_must(-pthread_create(&thread, NULL, takes_one, &q));
    tb_must(-pthread_join(thread, &why));
    return tb_return(call, why != NULL);
}
TB_TASK(takes_in_a_thread, .max_retries = TB_NONE);

static int puts_one(tb_call *call)
{
    int rc = tb_queue_put(tb_arg_actor(call, 0), 7);

    return rc != 0 ? rc : tb_return(call, 0);
}
TB_TASK(puts_one);

static void also_when_they_wait_for_a_queue(void **state)
{
    tb_queue q = tb_queue_new_with(0, TB_OPTIONS(.num_cpus = TB_NONE));
    tb_ref takes[64], puts[64];
    int n = ncpus < 64 ? ncpus : 64;

    (void)state;
    for (int i = 0; i < n; i++)
        takes[i] = tb_remote(takes_in_a_thread, q);
    for (int i = 0; i < n; i++)
        puts[i] = tb_remote(puts_one, q);
    for (int i = 0; i < n; i++) {
        int wrong = -1;

        assert_ok(tb_get_timeout(takes[i], &wrong, LIMIT_S));
        assert_int_equal(wrong, 0);
        assert_ok(tb_get_timeout(puts[i], NULL, LIMIT_S));
    }
    assert_ok(tb_release_all(takes, (size_t)n));
    assert_ok(tb_release_all(puts, (size_t)n));
    assert_ok(tb_actor_release(q));
    assert_all_is_back();
}

/* ---- room in the store ---- */

static int has_bytes(tb_call *call)
{
    const void *bytes;
    size_t n;
    int rc = tb_arg_bytes(call, 0, &bytes, &n);

    return rc != 0 ? rc : tb_return(call, (int)n);
}
TB_TASK(has_bytes);

/* Far more of them than have room at once. */
static int submits_large_ones(tb_call *call)
{
    char *bytes = calloc(1, LARGE);
    int rc = 0, n = 0;

    for (int i = 0; i < LARGES && rc == 0; i++) {
        tb_ref r = tb_remote(has_bytes, tb_bytes(bytes, LARGE));

        if (i == LARGES - 1)
            rc = tb_get_timeout(r, &n, LIMIT_S);
        tb_release(r);
    }
    free(bytes);
    return rc != 0 ? rc : tb_return(call, n);
}
TB_TASK(submits_large_ones, .max_retries = TB_NONE);

static void a_task_lends_its_cpus_while_it_waits_for_room_in_the_store(void **state)
{
    tb_ref r[64];
    int n = ncpus + 1 < 64 ? ncpus + 1 : 64;

    (void)state;
    for (int i = 0; i < n; i++)
        r[i] = tb_remote(submits_large_ones);
    for (int i = 0; i < n; i++) {
        int bytes = 0;

        assert_ok(tb_get_timeout(r[i], &bytes, LIMIT_S));
        assert_int_equal(bytes, LARGE);
    }
    assert_ok(tb_release_all(r, (size_t)n));
    assert_all_is_back();
}

static int begin(void **state)
{
    setenv("TB_STORE", "64M", 1);
    return begin_with_cpus(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_lends_its_cpus_while_its_threads_wait),
        cmocka_unit_test(also_when_they_look_in_short_intervals),
        cmocka_unit_test(also_when_they_submit_more_than_may_wait),
        cmocka_unit_test(also_when_they_wait_for_a_queue),
        cmocka_unit_test(a_task_lends_its_cpus_while_it_waits_for_room_in_the_store),
    };

    return cmocka_run_group_tests(tests, begin, run_end);
}
