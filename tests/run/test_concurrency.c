/* test_concurrency.c - holds calls of one actor that run at once: as many as its lanes say and no more, each with
 * what is its own (arguments, handles, cancel, errors), and an end that waits for all of them. */
#include "counter.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>

struct pool { atomic_int value, inside, most; char path[96]; };

static int pool_init(tb_call *call, struct pool *self)
{
    if (tb_num_args(call) > 0)
        snprintf(self->path, sizeof self->path, "%s", tb_arg_string(call, 0));
    return 0;
}
static void pool_fini(struct pool *self)
{
    if (self->path[0] != 0 && atomic_load(&self->inside) == 0)
        mark(self->path);
}
static void enter(struct pool *self)
{
    int now = atomic_fetch_add(&self->inside, 1) + 1, most = atomic_load(&self->most);

    while (now > most && !atomic_compare_exchange_weak(&self->most, &most, now)) {
    }
}
static int pool_wait(tb_call *call, struct pool *self)
{
    enter(self);
    gate_wait(tb_arg_string(call, 0));
    atomic_fetch_sub(&self->inside, 1);
    return tb_return(call, atomic_fetch_add(&self->value, 1) + 1);
}
static int pool_add(tb_call *call, struct pool *self)
{
    enter(self);
    usleep(100);
    atomic_fetch_sub(&self->inside, 1);
    return tb_return(call, atomic_fetch_add(&self->value, 1) + 1);
}
static int pool_most(tb_call *call, struct pool *self)
{
    return tb_return(call, atomic_load(&self->most));
}
static int pool_io(tb_call *call, struct pool *self) { return pool_wait(call, self); }
static int pool_compute(tb_call *call, struct pool *self) { return pool_add(call, self); }

/* Adds its argument. */
static int pool_plus(tb_call *call, struct pool *self)
{
    return tb_return(call, atomic_fetch_add(&self->value, tb_arg_int(call, 0)) + tb_arg_int(call, 0));
}
static int hundred(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 100);
}
TB_TASK(hundred);

static int twice(tb_call *call) { return tb_return(call, 2 * tb_arg_int(call, 0)); }
TB_TASK(twice);

/* Has tasks run, and gets what they return; all its refs are its own. */
static int pool_nest(tb_call *call, struct pool *self)
{
    int sum = 0;

    (void)self;
    for (int i = 0; i < 10; i++) {
        tb_ref r = tb_remote(twice, i);
        int v, rc = tb_get(r, &v);

        if (rc != 0)
            return rc;
        sum += v;
    }
    return tb_return(call, sum);
}

/* arguments: an actor, a gate. Calls the actor when the gate is open. */
static int pool_ask_late(tb_call *call, struct pool *self)
{
    tb_actor c = tb_arg_actor(call, 0);
    int v, rc;

    (void)self;
    gate_wait(tb_arg_string(call, 1));
    rc = tb_get(tb_actor_call(c, counter_increment), &v);
    return rc != 0 ? rc : tb_return(call, v);
}

/* Marks that it is there, until it is interrupted. */
static int pool_listen(tb_call *call, struct pool *self)
{
    int interrupted = 0;

    (void)self;
    mark(tb_arg_string(call, 0));
    while (!tb_cancelled(call)) {
        struct pollfd p = {.fd = -1};

        interrupted |= poll(&p, 1, 20000) < 0 && errno == EINTR;
    }
    if (interrupted)
        mark(tb_arg_string(call, 0));
    return tb_return(call, 0);
}

/* Does not look whether it is cancelled before the gate is opened; then marks that it is. */
static int pool_heed_late(tb_call *call, struct pool *self)
{
    (void)self;
    gate_wait_through(tb_arg_string(call, 0));
    while (!tb_cancelled(call))
        poll(NULL, 0, 100);
    mark(tb_arg_string(call, 1));
    return tb_return(call, 0);
}

static int pool_wrong(tb_call *call, struct pool *self)
{
    (void)self;
    return tb_return(call, tb_arg_int(call, 5));
}

static int pool_leave(tb_call *call, struct pool *self)
{
    (void)self;
    tb_must(tb_actor_exit(call));
    return tb_return(call, 1);
}

static int pool_must(tb_call *call, struct pool *self)
{
    (void)self;
    tb_must(tb_arg_(call, 7, TB_INT32, &(int){0}, sizeof(int)));
    return tb_return(call, 1);
}
/* Goes on holding all refs of an array. */
static int pool_keep(tb_call *call, struct pool *self)
{
    const tb_ref *refs;
    size_t n;
    int rc = tb_arg_array(call, 0, &refs, &n);

    (void)self;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = tb_retain(refs[i]);
    return rc != 0 ? rc : tb_return(call, (int)n);
}
TB_ACTOR(pool, struct pool, .init = pool_init, .fini = pool_fini,
         .concurrency_groups = {{"io", 2}, {"compute", 1}});
TB_METHOD(pool, pool_wait);
TB_METHOD(pool, pool_add);
TB_METHOD(pool, pool_plus);
TB_METHOD(pool, pool_keep);
TB_METHOD(pool, pool_most);
TB_METHOD(pool, pool_io, .concurrency_group = "io");
TB_METHOD(pool, pool_compute, .concurrency_group = "compute");
TB_METHOD(pool, pool_nest);
TB_METHOD(pool, pool_ask_late);
TB_METHOD(pool, pool_listen);
TB_METHOD(pool, pool_heed_late);
TB_METHOD(pool, pool_wrong);
TB_METHOD(pool, pool_leave);
TB_METHOD(pool, pool_must);

static void as_many_calls_run_at_once_as_were_asked_for(void **state)
{
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 3));
    struct gate g[4] = {gate_new(), gate_new(), gate_new(), gate_new()};
    tb_ref r[4];
    size_t ready;

    (void)state;
    for (int i = 0; i < 4; i++)
        r[i] = tb_actor_call(p, pool_wait, g[i].path);
    for (int i = 0; i < 3; i++)
        gate_reach(&g[i]); /* all three are there */
    others_come_and_go();
    assert_int_equal(open(g[3].path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1); /* the fourth is not */
    gate_open(&g[1]);
    assert_int_equal(get_int(r[1]), 1); /* ends before the first */
    gate_reach(&g[3]);
    assert_ok(tb_wait((tb_ref[]){r[0], r[2], r[3]}, 3, 1, 0.02, &ready));
    assert_int_equal(ready, 0);
    gate_open(&g[3]);
    gate_open(&g[2]);
    gate_open(&g[0]);
    for (int i = 0; i < 4; i++)
        assert_true(i == 1 || get_int(r[i]) > 1);
    assert_int_equal(get_int(tb_actor_call(p, pool_most)), 3);
    assert_ok(tb_actor_release(p));
}

static void a_thousand_calls_of_ten_threads_are_all_answered(void **state)
{
    enum { N = 1000 };
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 10));
    tb_ref r[N];
    int v[N];
    long sum = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        r[i] = tb_actor_call(p, pool_add);
    assert_ok(tb_get_all(r, N, v));
    for (int i = 0; i < N; i++)
        sum += v[i];
    assert_int_equal(sum, (long)N * (N + 1) / 2);
    assert_ok(tb_release_all(r, N));
    assert_in_range(get_int(tb_actor_call(p, pool_most)), 2, 10);
    assert_ok(tb_actor_release(p));
}

static void groups_do_not_hold_each_other_up(void **state)
{
    tb_actor p = tb_actor_new(pool);
    struct gate a = gate_new(), b = gate_new(), c = gate_new();
    tb_ref io[3], compute[20];
    int v[20];

    (void)state;
    io[0] = tb_actor_call(p, pool_io, a.path);
    io[1] = tb_actor_call(p, pool_io, b.path);
    io[2] = tb_actor_call(p, pool_io, c.path); /* waits for one of them */
    for (int i = 0; i < 20; i++)
        compute[i] = tb_actor_call(p, pool_compute);
    assert_ok(tb_get_all(compute, 20, v));
    for (int i = 0; i < 20; i++)
        assert_int_equal(v[i], i + 1); /* one at a time, in order */
    assert_int_equal(get_int(tb_actor_call(p, pool_add)), 21); /* of no group */
    assert_int_equal(get_int(tb_actor_call_with(p, pool_add, TB_OPTIONS(.concurrency_group = "compute"))), 22);
    gate_open(&a);
    assert_int_equal(get_int(io[0]), 23);
    gate_reach(&c);
    gate_open(&b);
    gate_open(&c);
    assert_true(get_int(io[1]) > 23 && get_int(io[2]) > 23);
    assert_ok(tb_release_all(compute, 20));
    assert_call_fails(TB_ERR_ARGUMENT, "(it has: io, compute)",
                      tb_actor_call_with(p, pool_add, TB_OPTIONS(.concurrency_group = "disk")));
    assert_ok(tb_actor_release(p));
}

static void an_argument_that_is_pending_holds_up_its_own_group_alone(void **state)
{
    tb_actor p = tb_actor_new(pool);
    struct gate g = gate_new();
    tb_ref late, first, second;

    (void)state;
    late = tb_remote(hundred, g.path);
    gate_reach(&g);
    first = tb_actor_call_with(p, pool_plus, TB_OPTIONS(.concurrency_group = "compute"), late);
    second = tb_actor_call(p, pool_compute);
    assert_int_equal(get_int(tb_actor_call(p, pool_add)), 1);
    assert_int_equal(get_int(tb_actor_call_with(p, pool_add, TB_OPTIONS(.concurrency_group = "io"))), 2);
    gate_open(&g);
    assert_int_equal(get_int(first), 102);
    assert_int_equal(get_int(second), 103); /* in its group behind the one that waited */
    assert_ok(tb_release(late));
    assert_ok(tb_actor_release(p));
}

static void calls_that_run_at_once_wait_each_for_its_own(void **state)
{
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 8));
    tb_ref r[32];

    (void)state;
    for (int i = 0; i < 32; i++)
        r[i] = tb_actor_call(p, pool_nest);
    for (int i = 0; i < 32; i++)
        assert_int_equal(get_int(r[i]), 90);
    assert_ok(tb_actor_release(p));
}

static void a_handle_that_two_calls_came_with_stays_until_both_have_ended(void **state)
{
    struct marks m = marks_new();
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 2)), c = tb_actor_new(counter, 0, m.path);
    struct gate a = gate_new(), b = gate_new();
    tb_ref first = tb_actor_call(p, pool_ask_late, c, a.path), second = tb_actor_call(p, pool_ask_late, c, b.path);

    (void)state;
    gate_reach(&a);
    gate_reach(&b);
    assert_ok(tb_actor_release(c));
    gate_open(&a);
    assert_int_equal(get_int(first), 1);
    others_come_and_go();
    assert_int_equal(marks_count(m.path), 1);
    gate_open(&b);
    assert_int_equal(get_int(second), 2);
    assert_int_equal(marks_await(m.path, 2), 2); /* its end */
    marks_end(&m);
    assert_ok(tb_actor_release(p));
}

static void one_call_is_cancelled_and_the_others_go_on(void **state)
{
    struct marks m = marks_new();
    struct gate g = gate_new(), never = gate_new();
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 2));
    tb_ref stays = tb_actor_call(p, pool_wait, g.path), listens = tb_actor_call(p, pool_listen, m.path), waits;

    (void)state;
    gate_reach(&g);
    assert_int_equal(marks_await(m.path, 1), 1);
    waits = tb_actor_call(p, pool_wait, never.path); /* behind both */
    others_come_and_go();
    assert_ok(tb_cancel(waits, TB_CANCEL_DEFAULT));
    assert_call_fails(TB_ERR_CANCELLED, "", waits);
    assert_ok(tb_cancel(listens, TB_CANCEL_DEFAULT));
    assert_call_fails(TB_ERR_CANCELLED, "", listens);
    assert_int_equal(marks_await(m.path, 2), 2); /* its poll was interrupted */
    assert_int_equal(get_int(tb_actor_call(p, pool_add)), 1); /* the thread is free; nobody waits at `never` */
    assert_int_equal(open(never.path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
    gate_open(&g);
    assert_int_equal(get_int(stays), 2);
    marks_end(&m);
    unlink(never.path);
    assert_ok(tb_actor_release(p));
}

/* However far apart they came. */
static void each_of_many_calls_cancelled_at_once_learns_of_it(void **state)
{
    enum { CALLS = 4, BETWEEN = 63 };
    struct marks m = marks_new();
    struct gate look[CALLS];
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = CALLS + 1));
    tb_ref r[CALLS];

    (void)state;
    for (int i = 0; i < CALLS; i++) {
        look[i] = gate_new();
        r[i] = tb_actor_call(p, pool_heed_late, look[i].path, m.path);
        gate_reach(&look[i]);
        for (int k = 0; k < BETWEEN; k++)
            assert_true(get_int(tb_actor_call(p, pool_add)) > 0);
    }
    for (int i = 0; i < CALLS; i++)
        assert_ok(tb_cancel(r[i], TB_CANCEL_DEFAULT));
    for (int i = 0; i < CALLS; i++)
        assert_call_fails(TB_ERR_CANCELLED, "", r[i]);
    for (int i = 0; i < CALLS; i++)
        gate_open(&look[i]);
    assert_int_equal(marks_await(m.path, CALLS), CALLS);
    marks_end(&m);
    assert_ok(tb_actor_release(p));
}

static void an_error_is_of_its_call_alone(void **state)
{
    struct gate g = gate_new();
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 2));
    tb_ref stays = tb_actor_call(p, pool_wait, g.path);

    (void)state;
    gate_reach(&g);
    for (int i = 0; i < 10; i++)
        assert_call_fails(TB_ERR_ARGUMENT, "'pool_wrong' has 0 arguments", tb_actor_call(p, pool_wrong));
    gate_open(&g);
    assert_int_equal(get_int(stays), 1);
    assert_ok(tb_actor_release(p));
}

static void tb_must_in_one_call_says_why_all_have_ended(void **state)
{
    struct gate g = gate_new();
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 3));
    tb_ref stays = tb_actor_call(p, pool_wait, g.path);

    (void)state;
    gate_reach(&g);
    assert_call_fails(TB_ERR_ACTOR_DIED, "number 7 was asked for", tb_actor_call(p, pool_must));
    assert_call_fails(TB_ERR_ACTOR_DIED, "", stays);
    gate_open(&g);
    assert_ok(tb_actor_release(p));
}

static void an_actor_leaves_when_all_its_calls_have_ended(void **state)
{
    struct marks m = marks_new();
    struct gate g = gate_new();
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 2), m.path);
    tb_ref stays = tb_actor_call(p, pool_wait, g.path), leaves = tb_actor_call(p, pool_leave);

    (void)state;
    gate_reach(&g);
    assert_int_equal(get_int(leaves), 1);
    others_come_and_go();
    assert_int_equal(marks_count(m.path), 0);
    gate_open(&g);
    assert_int_equal(get_int(stays), 1);
    assert_int_equal(marks_await(m.path, 1), 1); /* fini, with nobody inside */
    marks_end(&m);
    assert_call_fails(TB_ERR_ACTOR_DIED, "", tb_actor_call(p, pool_add));
    assert_ok(tb_actor_release(p));
}

static void calls_above_max_pending_fail_at_once(void **state)
{
    struct gate g = gate_new();
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.max_pending_calls = 3), 0);
    tb_ref r[3] = {tb_actor_call(c, counter_wait, g.path)};

    (void)state;
    gate_reach(&g);
    r[1] = tb_actor_call(c, counter_increment);
    r[2] = tb_actor_call(c, counter_increment);
    assert_call_fails(TB_ERR_ACTOR_UNAVAILABLE, "max_pending_calls", tb_actor_call(c, counter_increment));
    gate_open(&g);
    assert_int_equal(get_int(r[0]), 0);
    assert_int_equal(get_int(r[1]), 1);
    assert_int_equal(get_int(r[2]), 2);
    assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 3);
    assert_ok(tb_actor_release(c));
}

/* Without address space a sanitizer ends the process. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITHOUT_ADDRESS_SPACE(test)
#else
#define WITHOUT_ADDRESS_SPACE(test) , cmocka_unit_test(test)

static int crowd_init(tb_call *call, struct pool *self)
{
    struct rlimit none = {0, 0};

    (void)call, (void)self;
    return setrlimit(RLIMIT_AS, &none); /* no thread gets a stack */
}
TB_ACTOR(crowd, struct pool, .init = crowd_init, .max_concurrency = 100);
static int crowd_add(tb_call *call, struct pool *self) { return tb_return(call, atomic_load(&self->value) + 1); }
TB_METHOD(crowd, crowd_add);

static void too_many_threads_fail_the_constructor(void **state)
{
    tb_actor a;

    (void)state;
    a = tb_actor_new(crowd);
    assert_call_fails(TB_ERR_ACTOR_DIED, "'crowd' wants 100 threads", tb_actor_call(a, crowd_add));
    assert_ok(tb_actor_release(a));
}
#endif

/* The thread that had to leave some of it to others has nothing more to do. */
static void what_a_call_says_gets_out_though_it_is_more_than_the_ring_takes(void **state)
{
    const int sizes[] = {3000, 4000, 5000, 6000, 7000, 10000};
    tb_actor p = tb_actor_new_with(pool, TB_OPTIONS(.max_concurrency = 4));
    tb_ref *r = calloc(10000, sizeof *r), n;
    int v;

    (void)state;
    for (int k = 0; k < 6; k++) {
        for (int i = 0; i < sizes[k]; i++)
            r[i] = tb_put(i);
        n = tb_actor_call(p, pool_keep, tb_array(r, sizes[k]));
        assert_ok(tb_get_timeout(n, &v, 60));
        assert_int_equal(v, sizes[k]);
        assert_ok(tb_release(n));
        assert_ok(tb_release_all(r, (size_t)sizes[k]));
    }
    free(r);
    assert_ok(tb_actor_release(p));
}

RUN(cmocka_unit_test(as_many_calls_run_at_once_as_were_asked_for),
    cmocka_unit_test(a_thousand_calls_of_ten_threads_are_all_answered),
    cmocka_unit_test(groups_do_not_hold_each_other_up),
    cmocka_unit_test(an_argument_that_is_pending_holds_up_its_own_group_alone),
    cmocka_unit_test(calls_that_run_at_once_wait_each_for_its_own),
    cmocka_unit_test(a_handle_that_two_calls_came_with_stays_until_both_have_ended),
    cmocka_unit_test(one_call_is_cancelled_and_the_others_go_on),
    cmocka_unit_test(each_of_many_calls_cancelled_at_once_learns_of_it),
    cmocka_unit_test(an_error_is_of_its_call_alone),
    cmocka_unit_test(tb_must_in_one_call_says_why_all_have_ended),
    cmocka_unit_test(an_actor_leaves_when_all_its_calls_have_ended),
    cmocka_unit_test(calls_above_max_pending_fail_at_once),
    cmocka_unit_test(what_a_call_says_gets_out_though_it_is_more_than_the_ring_takes)
    WITHOUT_ADDRESS_SPACE(too_many_threads_fail_the_constructor))
