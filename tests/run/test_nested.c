/* test_nested.c - holds tasks that use the API themselves: recursion that neither deadlocks nor starts
 * processes without bound, refs released at a task's end, threads in drivers and tasks. */
#include "run.h"

#include <pthread.h>
#include <unistd.h>

static int fib(tb_call *call)
{
    int n = tb_arg_int(call, 0), a, b;
    tb_ref r[2];

    if (n < 2)
        return tb_return(call, n);
    r[0] = tb_remote(fib, n - 1);
    r[1] = tb_remote(fib, n - 2);
    tb_must(tb_get(r[0], &a));
    tb_must(tb_get(r[1], &b));
    return tb_return(call, a + b);
}
TB_TASK(fib);

static int chain(tb_call *call)
{
    int n = tb_arg_int(call, 0), v;

    if (n == 0)
        return tb_return(call, 0);
    tb_must(tb_get(tb_remote(chain, n - 1), &v));
    return tb_return(call, v + 1);
}
TB_TASK(chain);

static int waits_and_puts(tb_call *call)
{
    tb_ref r[8];
    size_t ready;
    int big[4000] = {0}, v, sum = 0;

    for (int i = 0; i < 8; i++)
        r[i] = tb_remote(chain, i);
    for (size_t left = 8, at = 0; left > 0; left -= ready, at += ready) {
        tb_must(tb_wait(r + at, left, 1, -1, &ready));
        tb_must(tb_get(r[at], &v));
        sum += v;
    }
    big[0] = sum;
    return tb_return(call, tb_nested(tb_put_array(big, 4000)));
}
TB_TASK(waits_and_puts);

static int identity(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(identity);

static void *get_in_a_thread(void *arg)
{
    int n = *(int *)arg, v = 0;
    tb_ref r = tb_remote(identity, n);

    return (void *)(intptr_t)(tb_get(r, &v) == 0 && v == n && tb_release(r) == 0);
}

static int threads_at_work(void)
{
    pthread_t thread[8];
    int number[8], good = 0;
    void *ok;

    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 8; i++) {
            number[i] = round * 8 + i;
            pthread_create(&thread[i], NULL, get_in_a_thread, &number[i]);
        }
        for (int i = 0; i < 8; i++) {
            pthread_join(thread[i], &ok);
            good += (int)(intptr_t)ok;
        }
    }
    return good;
}

static int threads(tb_call *call)
{
    return tb_return(call, threads_at_work());
}
TB_TASK(threads, .num_cpus = TB_NONE); /* its threads wait, and that gives no CPU back */

static void fib_20_by_nested_tasks(void **state)
{
    tb_ref r = tb_remote(fib, 20);
    int v;

    (void)state;
    assert_ok(tb_get(r, &v));
    assert_int_equal(v, 6765);
    assert_ok(tb_release(r));
}

static void a_chain_of_blocked_tasks_gives_its_cpus_back(void **state)
{
    tb_ref r = tb_remote(chain, 60);
    int v;

    (void)state;
    assert_ok(tb_get(r, &v));
    assert_int_equal(v, 60);
    assert_ok(tb_release(r));
}

static void tasks_wait_put_and_return_refs(void **state)
{
    tb_ref r = tb_remote(waits_and_puts), inner;
    const int *view;
    size_t n;

    (void)state;
    assert_ok(tb_get(r, &inner));
    assert_ok(tb_get_array(inner, &view, &n));
    assert_int_equal(view[0], 28);
    assert_ok(tb_release(inner));
    assert_ok(tb_release(r));
}

static void threads_of_the_driver_submit_and_get_at_once(void **state)
{
    (void)state;
    assert_int_equal(threads_at_work(), 400);
}

static void threads_of_a_task_do_too(void **state)
{
    tb_ref r = tb_remote(threads);
    int v;

    (void)state;
    assert_ok(tb_get(r, &v));
    assert_int_equal(v, 400);
    assert_ok(tb_release(r));
}

RUN(cmocka_unit_test(fib_20_by_nested_tasks),
    cmocka_unit_test(a_chain_of_blocked_tasks_gives_its_cpus_back),
    cmocka_unit_test(tasks_wait_put_and_return_refs),
    cmocka_unit_test(threads_of_the_driver_submit_and_get_at_once),
    cmocka_unit_test(threads_of_a_task_do_too))
