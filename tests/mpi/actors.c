/* actors.c - holds, over several nodes, that actors are reached from everywhere: one process by a name, each caller's
 * calls in order, handles that travel; that they are where their strategy or placement group says, and give all
 * they held back however they end; and that those that die come back where there is room. Every worker has
 * 4 CPUs. Needs three workers or more. */
#include "../run/counter.h"
#include "nodes.h"

enum { CPUS = 4, ROUNDS = 10, CALLS = 100 };

static int counter_rank(tb_call *call, struct counter *self)
{
    (void)self;
    return tb_return(call, tb_call_rank(call));
}
TB_METHOD(counter, counter_rank);

/* What tasks and actors of the test before held may still be about to come back. */
static void assert_all_is_free(void)
{
    for (int i = 0; i < nnodes; i++) {
        double cpus;

        do
            assert_ok(tb_node_available_resources(node[i].rank, "CPU", &cpus));
        while (cpus != CPUS);
    }
}

static tb_options on(int rank)
{
    return (tb_options){.num_cpus = TB_NONE, .strategy = TB_STRATEGY_NODE, .node = rank};
}

/* Where it lives, when it does. */
static int rank_of(tb_actor c) { return get_int(tb_actor_call(c, counter_rank)); }

/* ---- reached from everywhere ---- */

/* argument: the name. Returns: the process, and a handle that keeps it until all have asked */
static int gets_by_name(tb_call *call)
{
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.name = tb_arg_string(call, 0), .get_if_exists = true), 0);
    int v, rc = tb_get(tb_actor_call(c, counter_pid), &v);

    return rc != 0 ? rc : tb_return(call, v, c);
}
TB_TASK(gets_by_name);

static void get_if_exists_on_all_ranks_at_once_gives_one_process(void **state)
{
    enum { EACH = 3 };

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        tb_ref r[EACH * NODES_MAX][2];
        int n = 0, pid, first = 0;

        for (int k = 0; k < EACH; k++)
            for (int i = 0; i < nnodes; i++) {
                tb_options o = on(node[i].rank);

                assert_ok(tb_remote_v(gets_by_name, &o, r[n++], 2, TB_VALUES("the one")));
            }
        for (int k = 0; k < n; k++) {
            assert_ok(tb_get(r[k][0], &pid));
            first = first == 0 ? pid : first;
            assert_int_equal(pid, first);
        }
        for (int k = 0; k < n; k++)
            assert_ok(tb_release_all(r[k], 2));
    }
    assert_all_is_free();
}

/* Remembers what each caller said last. */
struct journal { int last[2 * NODES_MAX]; };

/* arguments: caller, number [, a late one]. Returns the number, if it is the next one of this caller. */
static int journal_note(tb_call *call, struct journal *self)
{
    int who = tb_arg_int(call, 0), number = tb_arg_int(call, 1);

    if (number != self->last[who] + 1)
        return tb_fail(call, "caller %d: %d after %d", who, number, self->last[who]);
    return tb_return(call, self->last[who] = number);
}
TB_ACTOR(journal, struct journal);
TB_METHOD(journal, journal_note);

static int later(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(later, .num_cpus = TB_NONE);

/* Some calls wait for an argument, and go another way than those that do not. */
static int note_often(tb_actor journal, int who)
{
    tb_ref r[CALLS], argument;
    int v[CALLS], rc;

    for (int i = 0; i < CALLS; i++) {
        if (i % 7 == 3) {
            argument = tb_remote(later, i);
            r[i] = tb_actor_call(journal, journal_note, who, i + 1, argument);
            tb_must(tb_release(argument));
        } else {
            r[i] = tb_actor_call(journal, journal_note, who, i + 1);
        }
    }
    rc = tb_get_all(r, CALLS, v);
    tb_must(tb_release_all(r, CALLS));
    return rc;
}

static int notes(tb_call *call)
{
    int rc = note_often(tb_arg_actor(call, 0), tb_arg_int(call, 1));

    return rc != 0 ? rc : tb_return(call, 1);
}
TB_TASK(notes);

static void calls_from_several_ranks_run_in_the_order_of_each_caller(void **state)
{
    (void)state;
    for (int at = 0; at < nnodes; at++) {
        tb_options o = on(node[at].rank);
        tb_actor j = tb_actor_new_v(journal, &o, NULL, 0);
        tb_ref r[NODES_MAX];

        for (int i = 0; i < nnodes; i++) {
            tb_options here = on(node[i].rank);

            r[i] = tb_remote_with(notes, &here, j, 1 + i);
        }
        assert_ok(note_often(j, 0));
        for (int i = 0; i < nnodes; i++)
            assert_int_equal(get_int(r[i]), 1);
        assert_ok(tb_actor_release(j));
    }
}

/* arguments: first value, where, marks. Returns: the handle of an actor that it made there */
static int makes(tb_call *call)
{
    tb_options o = on(tb_arg_int(call, 1));

    return tb_return(call, tb_actor_new_with(counter, &o, tb_arg_int(call, 0), tb_arg_string(call, 2)));
}
TB_TASK(makes);

static int increments(tb_call *call)
{
    int v, rc = tb_get(tb_actor_call(tb_arg_actor(call, 0), counter_increment), &v);

    return rc != 0 ? rc : tb_return(call, v);
}
TB_TASK(increments);

static void handles_travel_between_ranks_and_the_last_one_ends_the_actor(void **state)
{
    struct marks m = marks_new();

    (void)state;
    for (int i = 0; i < nnodes; i++) {
        tb_options here = on(node[i].rank), there = on(node[(i + 2) % nnodes].rank);
        tb_ref made = tb_remote_with(makes, &here, 10 * i, node[(i + 1) % nnodes].rank, m.path), inside;
        tb_actor c;

        assert_ok(tb_get(made, &c));
        assert_ok(tb_release(made));
        assert_int_equal(get_int(tb_remote_with(increments, &there, c)), 10 * i + 1);
        inside = tb_put(c);
        assert_int_equal(rank_of(c), node[(i + 1) % nnodes].rank);
        assert_ok(tb_actor_release(c));
        assert_int_equal(get_int(tb_remote_with(increments, &here, inside)), 10 * i + 2);
        assert_int_equal(marks_count(m.path), 2 * i + 1);
        assert_ok(tb_release(inside));
        assert_int_equal(marks_await(m.path, 2 * i + 2), 2 * i + 2); /* its fini */
    }
    marks_end(&m);
}

/* ---- where they are ---- */

static void an_actor_lives_on_the_node_it_asks_for(void **state)
{
    struct hold h;
    tb_actor c;
    tb_ref r;
    size_t ready;

    (void)state;
    for (int i = 0; i < nnodes; i++) {
        tb_options o = {.strategy = TB_STRATEGY_NODE, .node = node[i].rank};

        c = tb_actor_new_with(counter, &o, 0);
        assert_int_equal(rank_of(c), node[i].rank);
        assert_ok(tb_actor_release(c));
        o = (tb_options){.num_cpus = 1, .strategy = TB_STRATEGY_PREFER_NODE, .node = node[i].rank};
        c = tb_actor_new_with(counter, &o, 0);
        assert_int_equal(rank_of(c), node[i].rank);
        assert_ok(tb_actor_release(c));
    }
    assert_all_is_free();
    h = hold_node(node[1].rank, CPUS);
    c = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = 1, .strategy = TB_STRATEGY_NODE, .node = node[1].rank), 0);
    r = tb_actor_call(c, counter_rank);
    assert_ok(tb_wait(&r, 1, 1, 0.05, &ready));
    assert_int_equal(ready, 0); /* it waits for that node and takes no other */
    hold_end(&h);
    assert_int_equal(get_int(r), node[1].rank);
    assert_ok(tb_actor_release(c));
    assert_all_is_free();
}

static void spread_puts_as_many_actors_on_as_many_nodes(void **state)
{
    tb_actor c[NODES_MAX];
    int seen[NODES_MAX] = {0};

    (void)state;
    for (int i = 0; i < nnodes; i++)
        c[i] = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = 1, .strategy = TB_STRATEGY_SPREAD), 0);
    for (int i = 0; i < nnodes; i++) {
        int rank = rank_of(c[i]);

        for (int k = 0; k < nnodes; k++)
            seen[k] += node[k].rank == rank;
    }
    for (int k = 0; k < nnodes; k++)
        assert_int_equal(seen[k], 1);
    for (int i = 0; i < nnodes; i++)
        assert_ok(tb_actor_release(c[i]));
    assert_all_is_free();
}

static void ten_default_actors_live_on_two_cpus(void **state)
{
    struct hold h[NODES_MAX];
    tb_actor c[10];
    int holds = 0;

    (void)state;
    for (int i = 0; i < nnodes; i++)
        h[holds++] = hold_node(node[i].rank, i == 0 ? CPUS - 2 : CPUS);
    for (int i = 0; i < 10; i++)
        c[i] = tb_actor_new(counter, i);
    for (int i = 0; i < 10; i++)
        assert_int_equal(get_int(tb_actor_call(c[i], counter_increment)), i + 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rank_of(c[i]), node[0].rank);
        assert_ok(tb_actor_release(c[i]));
    }
    hold_end_all(h, holds);
    assert_all_is_free();
}

static int where(tb_call *call) { return tb_return(call, tb_call_rank(call)); }
TB_TASK(where);

static void tasks_run_beside_actors_that_hold_whole_nodes_for_ever(void **state)
{
    enum { TASKS = 200 };
    tb_actor c[NODES_MAX];
    tb_ref r[TASKS];

    (void)state;
    for (int i = 1; i < nnodes; i++) {
        tb_options o = {.num_cpus = CPUS, .strategy = TB_STRATEGY_NODE, .node = node[i].rank};

        c[i] = tb_actor_new_with(counter, &o, 0);
    }
    for (int i = 0; i < TASKS; i++)
        r[i] = tb_remote(where);
    for (int i = 0; i < TASKS; i++)
        get_int(r[i]); /* all of them: those, too, that were sent before an actor took their node */
    for (int i = 1; i < nnodes; i++) {
        assert_int_equal(rank_of(c[i]), node[i].rank);
        assert_ok(tb_actor_release(c[i]));
    }
    assert_all_is_free();
}

/* ---- in placement groups ---- */

static int bad_init(tb_call *call, struct counter *self)
{
    self->value = 1;
    return tb_fail(call, "no luck");
}
TB_ACTOR(bad, struct counter, .init = bad_init);

static int counter_bundle(tb_call *call, struct counter *self)
{
    tb_group g = tb_call_group(call);

    (void)self;
    return tb_return(call, tb_struct(g));
}
TB_METHOD(counter, counter_bundle);

static void actors_live_in_the_bundles_of_their_group(void **state)
{
    tb_bundle b[NODES_MAX];
    tb_actor c[NODES_MAX];
    int rank[NODES_MAX];
    tb_group g;

    (void)state;
    for (int i = 0; i < nnodes; i++)
        b[i] = (tb_bundle){.num_cpus = 1};
    g = tb_group_new(b, nnodes, TB_GROUP_STRICT_SPREAD);
    for (int i = 0; i < nnodes; i++)
        c[i] = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = 1, .group = tb_group_bundle(g, i)), 0);
    assert_int_equal(tb_group_nodes(g, rank, nnodes), nnodes);
    for (int i = 0; i < nnodes; i++) {
        tb_ref r = tb_actor_call(c[i], counter_bundle);
        tb_group is = tb_group_bundle(g, i), said;

        assert_int_equal(rank_of(c[i]), rank[i]);
        assert_ok(tb_get_struct(r, &said));
        assert_true(said.hi == is.hi && said.lo == is.lo);
        assert_ok(tb_release(r));
        assert_ok(tb_actor_release(c[i]));
    }
    for (int i = 0; i < nnodes; i++) /* the bundles are as they were */
        assert_int_equal(get_int(tb_remote_with(where, TB_OPTIONS(.group = tb_group_bundle(g, i)))), rank[i]);
    assert_ok(tb_group_remove(g));
    g = tb_group_new(b, 2, TB_GROUP_PACK);
    for (int i = 0; i < 2; i++)
        c[i] = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = 1, .group = g), 0);
    assert_int_equal(rank_of(c[0]), rank_of(c[1]));
    for (int i = 0; i < 2; i++)
        assert_ok(tb_actor_release(c[i]));
    assert_ok(tb_group_remove(g));
    assert_all_is_free();
}

static int counter_leave(tb_call *call, struct counter *self)
{
    int rc = tb_actor_exit(call);

    return rc != 0 ? rc : tb_return(call, self->value);
}
TB_METHOD(counter, counter_leave);

static void a_bundle_is_whole_again_however_its_actor_ends(void **state)
{
    tb_bundle b = {.num_cpus = 2};
    tb_group g = tb_group_new(&b, 1, TB_GROUP_PACK);
    tb_options o = {.num_cpus = 2, .group = g};
    tb_actor c;

    (void)state;
    for (int end = 0; end < 5; end++) {
        if (end == 0) {
            c = tb_actor_new_with(bad, &o, 0);
            assert_call_fails(TB_ERR_ACTOR_DIED, "no luck", tb_actor_call(c, bad_init));
        } else {
            c = tb_actor_new_with(counter, &o, 0);
            assert_int_equal(get_int(tb_actor_call(c, counter_increment)), 1);
        }
        if (end == 1)
            assert_ok(tb_kill(c, TB_KILL_NO_RESTART));
        if (end == 2)
            assert_call_fails(TB_ERR_ACTOR_DIED, "signal 9", tb_actor_call(c, counter_dies_until, 1));
        if (end == 3)
            assert_int_equal(get_int(tb_actor_call(c, counter_leave)), 1);
        assert_ok(tb_actor_release(c));
        get_int(tb_remote_with(where, &o)); /* which needs all of the bundle */
    }
    assert_ok(tb_group_remove(g));
    assert_all_is_free();
}
TB_METHOD(bad, bad_init);

static void with_its_group_an_actor_ends(void **state)
{
    tb_bundle b = {.num_cpus = 2};
    tb_group g = tb_group_new(&b, 1, TB_GROUP_PACK);
    tb_actor c = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = 1, .group = g, .max_restarts = -1), 0),
             d = tb_actor_new_with(counter, TB_OPTIONS(.group = g, .max_restarts = -1), 0);
    struct gate gate = gate_new();
    tb_ref r;

    (void)state;
    assert_int_equal(rank_of(c), rank_of(d));
    r = tb_actor_call(c, counter_wait, gate.path);
    gate_reach(&gate);
    assert_ok(tb_group_remove(g));
    assert_call_fails(TB_ERR_ACTOR_DIED, "group", r);
    assert_soon(({
        tb_ref r_ = tb_actor_call(d, counter_increment);
        int rc_ = tb_get(r_, NULL);
        tb_release(r_);
        rc_ == TB_ERR_ACTOR_DIED;
    }));
    gate_open(&gate);
    assert_ok(tb_actor_release(c));
    assert_ok(tb_actor_release(d));
    assert_all_is_free();
}

/* ---- ends ---- */

/* arguments: an actor, a gate. Returns: what a call of it that waits for the gate ended with */
static int calls_and_waits(tb_call *call)
{
    tb_ref r = tb_actor_call(tb_arg_actor(call, 0), counter_wait, tb_arg_string(call, 1));

    return tb_return(call, tb_get(r, NULL));
}
TB_TASK(calls_and_waits);

static void killed_in_a_long_call_it_fails_that_at_once_wherever_its_caller_is(void **state)
{
    (void)state;
    for (int i = 0; i < nnodes; i++) {
        tb_options o = {.num_cpus = 1, .strategy = TB_STRATEGY_NODE, .node = node[i].rank},
                   caller = on(node[(i + 1) % nnodes].rank);
        tb_actor c = tb_actor_new_with(counter, &o, 0);
        struct gate g = gate_new();
        tb_ref remote = tb_remote_with(calls_and_waits, &caller, c, g.path), own;

        gate_reach(&g);
        own = tb_actor_call(c, counter_increment);
        assert_ok(tb_kill(c, TB_KILL_NO_RESTART));
        assert_call_fails(TB_ERR_ACTOR_DIED, "tb_kill", own);
        assert_int_equal(get_int(remote), TB_ERR_ACTOR_DIED); /* though the gate is closed */
        gate_open(&g);
        assert_ok(tb_actor_release(c));
    }
    assert_all_is_free();
}

/* Calls it twice in two ways, and dies in its first attempt. */
static int dies_calling(tb_call *call)
{
    tb_actor c = tb_arg_actor(call, 0);
    int v[CALLS];
    tb_ref r[CALLS];

    for (int i = 0; i < CALLS; i++)
        r[i] = tb_actor_call(c, counter_increment);
    if (tb_call_attempt(call) == 0)
        raise(SIGKILL);
    tb_must(tb_get_all(r, CALLS, v));
    for (int i = 1; i < CALLS; i++)
        if (v[i] <= v[i - 1])
            return tb_fail(call, "%d after %d", v[i], v[i - 1]);
    return tb_return(call, 1);
}
TB_TASK(dies_calling);

static void callers_that_die_leave_the_actor_in_order(void **state)
{
    (void)state;
    for (int at = 0; at < nnodes; at++) {
        tb_options o = on(node[at].rank);
        tb_actor c = tb_actor_new_with(counter, &o, 0);
        tb_ref r[NODES_MAX];

        for (int i = 0; i < nnodes; i++) {
            tb_options here = on(node[i].rank);

            r[i] = tb_remote_with(dies_calling, &here, c);
        }
        for (int i = 0; i < nnodes; i++)
            assert_int_equal(get_int(r[i]), 1);
        assert_true(get_int(tb_actor_call(c, counter_increment)) > CALLS * nnodes);
        assert_ok(tb_actor_release(c));
    }
}

/* Dies in the first attempt of the call; returns where it ran in the end. */
static int counter_move(tb_call *call, struct counter *self)
{
    (void)self;
    if (tb_call_attempt(call) == 0)
        raise(SIGKILL);
    return tb_return(call, tb_call_rank(call));
}
TB_METHOD(counter, counter_move);

/* argument: an actor that moves. Returns: where to */
static int makes_it_move(tb_call *call)
{
    int v, rc = tb_get(tb_actor_call(tb_arg_actor(call, 0), counter_move), &v);

    return rc != 0 ? rc : tb_return(call, v);
}
TB_TASK(makes_it_move);

static void an_actor_that_dies_is_begun_again_where_there_is_room(void **state)
{
    (void)state;
    for (int i = 0; i < nnodes; i++) {
        int from = node[i].rank, to = node[(i + 1) % nnodes].rank;
        tb_options caller = on(node[(i + 2) % nnodes].rank);
        struct gate next = gate_new();
        struct hold h[NODES_MAX], hold_to;
        tb_ref full, moved, behind;
        tb_actor c;
        int n = 0;

        for (int k = 0; k < nnodes; k++)
            if (node[k].rank != from && node[k].rank != to)
                h[n++] = hold_node(node[k].rank, CPUS);
        hold_to = hold_node(to, CPUS);
        c = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = CPUS, .max_restarts = -1, .max_task_retries = -1), 0);
        assert_int_equal(rank_of(c), from);
        full = tb_remote_with(holds, TB_OPTIONS(.num_cpus = CPUS, .strategy = TB_STRATEGY_NODE, .node = from),
                              next.path);
        moved = tb_remote_with(makes_it_move, &caller, c);
        gate_reach(&next); /* now its old place is taken */
        behind = tb_actor_call(c, counter_rank);
        hold_end(&hold_to);
        assert_int_equal(get_int(moved), to);
        assert_int_equal(get_int(behind), to);
        gate_open(&next);
        assert_int_equal(get_int(full), from);
        hold_end_all(h, n);
        assert_ok(tb_actor_release(c));
        assert_all_is_free();
    }
}

static int begin(void **state)
{
    (void)state;
    return nodes_begin(CPUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_if_exists_on_all_ranks_at_once_gives_one_process),
        cmocka_unit_test(calls_from_several_ranks_run_in_the_order_of_each_caller),
        cmocka_unit_test(handles_travel_between_ranks_and_the_last_one_ends_the_actor),
        cmocka_unit_test(an_actor_lives_on_the_node_it_asks_for),
        cmocka_unit_test(spread_puts_as_many_actors_on_as_many_nodes),
        cmocka_unit_test(ten_default_actors_live_on_two_cpus),
        cmocka_unit_test(tasks_run_beside_actors_that_hold_whole_nodes_for_ever),
        cmocka_unit_test(actors_live_in_the_bundles_of_their_group),
        cmocka_unit_test(a_bundle_is_whole_again_however_its_actor_ends),
        cmocka_unit_test(with_its_group_an_actor_ends),
        cmocka_unit_test(killed_in_a_long_call_it_fails_that_at_once_wherever_its_caller_is),
        cmocka_unit_test(callers_that_die_leave_the_actor_in_order),
        cmocka_unit_test(an_actor_that_dies_is_begun_again_where_there_is_room),
    };

    return cmocka_run_group_tests(tests, begin, run_end);
}
