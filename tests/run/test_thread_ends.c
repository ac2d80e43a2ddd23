/* test_thread_ends.c - holds what becomes of a task or method that ends its thread instead of returning, and of one that
 * returns with a C stream locked: it fails with an error that says so, or nothing is lost, and others go on. */
#include "counter.h"

#include <pthread.h>

enum { LANES = 3 };
struct lanes {
    char unused;
};

#ifdef __SANITIZE_ADDRESS__
void __asan_handle_no_return(void); /* the frames that a cancel leaves are no stack any more */
#else
#define __asan_handle_no_return()
#endif

static void ends_itself(int how)
{
    if (how == 0)
        pthread_exit(NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_cancel(pthread_self());
    __asan_handle_no_return();
    pthread_testcancel();
}

static int lanes_end(tb_call *call, struct lanes *self)
{
    (void)self;
    tb_must(tb_return(call, 1));
    ends_itself(tb_arg_int(call, 0));
    return 0;
}

/* It is not a method's to end the thread, unless it asks for that. */
static int lanes_cancel(tb_call *call, struct lanes *self)
{
    (void)self;
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return tb_return(call, 2);
}

static int lanes_wait(tb_call *call, struct lanes *self)
{
    (void)self;
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 3);
}

static int lanes_lock(tb_call *call, struct lanes *self)
{
    (void)self;
    flockfile(stdout);
    flockfile(stdout);
    return tb_return(call, 4);
}

static int lanes_print(tb_call *call, struct lanes *self)
{
    (void)self;
    printf("#\n");
    return tb_return(call, 5);
}
TB_ACTOR(lanes, struct lanes);
TB_METHOD(lanes, lanes_end);
TB_METHOD(lanes, lanes_cancel);
TB_METHOD(lanes, lanes_wait);
TB_METHOD(lanes, lanes_lock);
TB_METHOD(lanes, lanes_print);

static int soon(tb_ref r)
{
    int v = 0;

    assert_ok(tb_get_timeout(r, &v, 60));
    assert_ok(tb_release(r));
    return v;
}

static void fails_and_says_so(int code, tb_ref r)
{
    int v;

    assert_fails(code, "ended its thread", tb_get_timeout(r, &v, 60));
    assert_ok(tb_release(r));
}

static void a_method_that_ends_its_thread_fails_and_its_lane_goes_on(void **state)
{
    tb_actor a = tb_actor_new_with(lanes, TB_OPTIONS(.max_concurrency = LANES));

    (void)state;
    for (int i = 0; i < 4 * LANES; i++)
        fails_and_says_so(TB_ERR_TASK, tb_actor_call(a, lanes_end, i % 2));
    for (int i = 0; i < 2 * LANES; i++)
        assert_int_equal(soon(tb_actor_call(a, lanes_cancel)), 2);
    for (int k = 0; k < 2; k++) { /* all lanes at once */
        struct gate gate[LANES];
        tb_ref r[LANES];

        for (int i = 0; i < LANES; i++) {
            gate[i] = gate_new();
            r[i] = tb_actor_call(a, lanes_wait, gate[i].path);
        }
        for (int i = 0; i < LANES; i++)
            gate_reach(&gate[i]);
        for (int i = 0; i < LANES; i++)
            gate_open(&gate[i]);
        for (int i = 0; i < LANES; i++)
            assert_int_equal(soon(r[i]), 3);
    }
    assert_ok(tb_actor_release(a));
    assert_ok(tb_wait_idle(60));
}

static void a_stream_that_a_method_left_locked_can_be_used_by_the_next(void **state)
{
    tb_actor a = tb_actor_new_with(lanes, TB_OPTIONS(.max_concurrency = LANES));

    (void)state;
    for (int i = 0; i < 2 * LANES; i++) {
        struct gate gate = gate_new();
        tb_ref r = tb_actor_call(a, lanes_wait, gate.path);

        gate_reach(&gate); /* so that a call takes another lane than the one before */
        assert_int_equal(soon(tb_actor_call(a, lanes_lock)), 4);
        gate_open(&gate);
        assert_int_equal(soon(r), 3);
        for (int k = 0; k < LANES; k++)
            assert_int_equal(soon(tb_actor_call(a, lanes_print)), 5);
    }
    assert_ok(tb_actor_release(a));
}

/* ---- the main thread ---- */

static void *waits(void *arg)
{
    for (;;)
        pause();
    return arg;
}

/* With a thread that goes on: without it the process would end with its main thread. */
static int task_ends(tb_call *call)
{
    pthread_t thread;

    tb_must(-pthread_create(&thread, NULL, waits, NULL));
    tb_must(tb_return(call, 1));
    ends_itself(tb_arg_int(call, 0));
    return 0;
}
TB_TASK(task_ends, .max_retries = TB_NONE);

static int twice(tb_call *call)
{
    return tb_return(call, 2 * tb_arg_int(call, 0));
}
TB_TASK(twice);

static void a_task_that_ends_its_thread_fails_and_others_run(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        tb_actor a = tb_actor_new(lanes);

        fails_and_says_so(TB_ERR_TASK, tb_remote(task_ends, i % 2));
        /* and of an actor whose calls the main thread runs, which ends with it */
        fails_and_says_so(TB_ERR_ACTOR_DIED, tb_actor_call(a, lanes_end, i % 2));
        assert_int_equal(soon(tb_remote(twice, i)), 2 * i);
        assert_ok(tb_actor_release(a));
    }
}

/* A thread of the driver is cancelled while it waits: its call ends first, in order. */
static tb_ref awaited;
static void *gets(void *arg)
{
    *(int *)arg = tb_get(awaited, NULL);
    return NULL;
}

static int waits_at_gate(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 1);
}
TB_TASK(waits_at_gate);

static void a_thread_that_is_cancelled_while_it_waits_keeps_no_lock(void **state)
{
    struct gate gate = gate_new();
    pthread_t thread;
    int got = 1;

    (void)state;
    awaited = tb_remote(waits_at_gate, gate.path);
    gate_reach(&gate);
    assert_int_equal(pthread_create(&thread, NULL, gets, &got), 0);
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(soon(tb_remote(twice, 3)), 6);
    gate_open(&gate);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(soon(awaited), 1);
}

RUN(cmocka_unit_test(a_method_that_ends_its_thread_fails_and_its_lane_goes_on),
    cmocka_unit_test(a_stream_that_a_method_left_locked_can_be_used_by_the_next),
    cmocka_unit_test(a_task_that_ends_its_thread_fails_and_others_run),
    cmocka_unit_test(a_thread_that_is_cancelled_while_it_waits_keeps_no_lock))
