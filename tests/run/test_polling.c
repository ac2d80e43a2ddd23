/* test_polling.c - holds that a task begins although others, submitted before it, block and go on without end: they poll an
 * actor, or tasks of their own, until it has changed what they ask for. Every worker rank is given 2 CPUs, and there are far more
 * such tasks than CPUs. */
#include "run.h"

enum { CPUS = 2, POLLERS = 60, LIMIT_S = 60 /* against hangs; it is never reached */ };
static int npollers;

struct state {
    int open, asked;
};

static int is_open(tb_call *call, struct state *s)
{
    s->asked++;
    return tb_return(call, s->open);
}

static int open_it(tb_call *call, struct state *s)
{
    s->open = 1;
    return tb_return(call, s->asked);
}

TB_ACTOR(state, struct state, .num_cpus = TB_NONE);
TB_METHOD(state, is_open);
TB_METHOD(state, open_it);

static tb_ref ask(tb_actor a)
{
    return tb_actor_call(a, is_open);
}

static int asks_once(tb_call *call)
{
    int open = 0, rc = tb_get(ask(tb_arg_actor(call, 0)), &open);

    return rc != 0 ? rc : tb_return(call, open);
}
TB_TASK(asks_once, .max_retries = TB_NONE);

static tb_ref ask_by_task(tb_actor a)
{
    return tb_remote(asks_once, a);
}

/* In a task whose argument is the actor, until it is open. The task returns 1. */
static int poll_with(tb_call *call, tb_ref (*asks)(tb_actor))
{
    tb_actor a = tb_arg_actor(call, 0);
    int open = 0, rc = 0;

    while (rc == 0 && !open) {
        tb_ref r = asks(a);

        rc = tb_get(r, &open);
        tb_release(r);
    }
    return rc != 0 ? rc : tb_return(call, open);
}

static int polls(tb_call *call)
{
    return poll_with(call, ask);
}
TB_TASK(polls, .max_retries = TB_NONE);

static int polls_by_tasks(tb_call *call)
{
    return poll_with(call, ask_by_task);
}
TB_TASK(polls_by_tasks, .max_retries = TB_NONE);

/* argument: the actor. Returns: 1. */
static int opens(tb_call *call)
{
    int rc = tb_get(tb_actor_call(tb_arg_actor(call, 0), open_it), NULL);

    return rc != 0 ? rc : tb_return(call, 1);
}
TB_TASK(opens, .max_retries = TB_NONE);

struct opener {
    int done;
};

static int open_at_once(tb_call *call, struct opener *o)
{
    o->done = 1;
    return tb_get(tb_actor_call(tb_arg_actor(call, 0), open_it), NULL);
}

static int is_done(tb_call *call, struct opener *o)
{
    return tb_return(call, o->done);
}

TB_ACTOR(opener, struct opener, .init = open_at_once, .num_cpus = 1);
TB_METHOD(opener, is_done);

/* All are submitted before the one that opens it. */
static tb_actor begin_pollers(tb_ref *poller, bool by_tasks, const tb_options *options)
{
    tb_actor a = tb_actor_new(state);
    tb_ref lives = tb_actor_call(a, is_open);

    assert_ok(tb_get(lives, NULL));
    assert_ok(tb_release(lives));
    for (int i = 0; i < npollers; i++)
        poller[i] = by_tasks ? tb_remote_with(polls_by_tasks, options, a) : tb_remote_with(polls, options, a);
    return a;
}

static void end(tb_actor a, tb_ref *poller, tb_ref opener)
{
    int one = 0;

    assert_ok(tb_get_timeout(opener, &one, LIMIT_S));
    assert_int_equal(one, 1);
    for (int i = 0; i < npollers; i++) {
        assert_ok(tb_get_timeout(poller[i], &one, LIMIT_S));
        assert_int_equal(one, 1);
        assert_ok(tb_release(poller[i]));
    }
    assert_ok(tb_release(opener));
    assert_ok(tb_actor_release(a));
}

/* One task opens it, with these options, that is submitted last. */
static void open_by(bool by_tasks, const tb_options *options)
{
    tb_ref *poller = calloc((size_t)npollers, sizeof *poller);
    tb_actor a = begin_pollers(poller, by_tasks, TB_OPTIONS(.num_cpus = 1));

    end(a, poller, tb_remote_with(opens, options, a));
    free(poller);
}

static void a_task_begins_although_others_poll_an_actor(void **state)
{
    (void)state;
    open_by(false, TB_OPTIONS(.num_cpus = 1));
}

static void so_does_one_that_asks_for_all_cpus_of_a_node(void **state)
{
    (void)state;
    open_by(false, TB_OPTIONS(.num_cpus = CPUS));
}

static void and_one_that_asks_for_a_new_process(void **state)
{
    (void)state;
    open_by(false, TB_OPTIONS(.num_cpus = 1, .fresh_process = true));
}

static void and_one_that_asks_for_no_cpus(void **state)
{
    (void)state;
    open_by(false, TB_OPTIONS(.num_cpus = TB_NONE));
}

static void and_one_while_others_poll_by_tasks_of_their_own(void **state)
{
    (void)state;
    open_by(true, TB_OPTIONS(.num_cpus = 1));
}

static void an_actor_is_created_although_others_poll(void **state)
{
    tb_ref *poller = calloc((size_t)npollers, sizeof *poller);
    tb_actor a = begin_pollers(poller, false, TB_OPTIONS(.num_cpus = 1)), o = tb_actor_new(opener, a);

    (void)state;
    end(a, poller, tb_actor_call(o, is_done));
    assert_ok(tb_actor_release(o));
    free(poller);
}

static void a_task_begins_in_a_group_although_others_poll_there(void **state)
{
    const tb_bundle b = {.num_cpus = CPUS};
    tb_group g = tb_group_new(&b, 1, TB_GROUP_PACK);
    tb_ref *poller = calloc((size_t)npollers, sizeof *poller);
    tb_actor a;

    (void)state;
    assert_ok(tb_group_wait_timeout(g, LIMIT_S));
    a = begin_pollers(poller, false, TB_OPTIONS(.num_cpus = 1, .group = g));
    end(a, poller, tb_remote_with(opens, TB_OPTIONS(.num_cpus = CPUS, .group = g), a));
    assert_ok(tb_group_remove(g));
    free(poller);
}

static int begin(void **state)
{
    double cpus;

    setenv("TB_NUM_CPUS", "2", 1);
    run_begin(state);
    if (tb_cluster_resources("CPU", &cpus) != 0)
        return -1;
    npollers = POLLERS * (int)cpus / CPUS;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_begins_although_others_poll_an_actor),
        cmocka_unit_test(so_does_one_that_asks_for_all_cpus_of_a_node),
        cmocka_unit_test(and_one_that_asks_for_a_new_process),
        cmocka_unit_test(and_one_that_asks_for_no_cpus),
        cmocka_unit_test(and_one_while_others_poll_by_tasks_of_their_own),
        cmocka_unit_test(an_actor_is_created_although_others_poll),
        cmocka_unit_test(a_task_begins_in_a_group_although_others_poll_there),
    };
    return cmocka_run_group_tests(tests, begin, run_end);
}
