/* locality.c - holds that a task with large arguments runs on the host that has them, or has a copy of
 * them, when that has room, also when others have more of it; and elsewhere when it has none. Gates make
 * sure of which has room. Needs three hosts with workers or more, virtual ones or of the bed. */
#include "nodes.h"

enum { CPUS = 2, LARGE = 64 << 20, LESS = 16 << 20, BYTE = 7 };
static int host[NODES_MAX], nhosts; /* the first worker of each */

/* An array of argument 0 bytes. */
static int makes(tb_call *call)
{
    int64_t n = tb_arg_int64(call, 0);
    char *room;
    int rc = tb_return_array(call, 0, &room, (size_t)n);

    if (rc == 0)
        memset(room, BYTE, (size_t)n);
    return rc;
}
TB_TASK(makes);

/* Returns its rank, when all its arguments are what they should be. */
static int reads(tb_call *call)
{
    for (size_t i = 0; i < tb_num_args(call); i++) {
        const char *at;
        size_t n;
        int rc = tb_arg_array(call, i, &at, &n);

        if (rc != 0)
            return rc;
        if (n < LESS || at[0] != BYTE || at[n / 2] != BYTE || at[n - 1] != BYTE)
            return tb_fail(call, "argument %zu, of %zu bytes, is not what was made", i, n);
    }
    return tb_return(call, tb_call_rank(call));
}
TB_TASK(reads);

/* Like reads; after that waits at a gate, whose path is the last argument. */
static int reads_and_waits(tb_call *call)
{
    const char *at;
    size_t n;
    int rc = tb_arg_array(call, 0, &at, &n);

    if (rc != 0)
        return rc;
    gate_wait(tb_arg_string(call, 1));
    return tb_return(call, tb_call_rank(call));
}
TB_TASK(reads_and_waits);

static tb_ref object_on(int rank, int64_t bytes)
{
    tb_ref r = tb_remote_with(makes, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = rank), bytes);
    size_t ready;

    assert_ok(tb_wait_with(&r, 1, 1, -1, TB_WAIT_ONLY_EXISTS, &ready));
    return r;
}

static int get_rank(tb_ref r)
{
    int rank;

    assert_ok(tb_get(r, &rank));
    assert_ok(tb_release(r));
    return rank;
}

static void assert_host(int rank, int of)
{
    if (!same_host(rank, of))
        fail_msg("it ran on rank %d, host %s, not on host %s", rank, host_of(rank), host_of(of));
}

static void a_consumer_runs_on_the_host_of_its_argument_though_others_are_emptier(void **state)
{
    (void)state;
    for (int i = 0; i < nhosts; i++) {
        tb_ref object = object_on(host[i], LARGE);
        struct hold h[NODES_MAX];
        int n = hold_host(host[i], CPUS / 2, h);

        assert_host(get_rank(tb_remote(reads, object)), host[i]);
        hold_end_all(h, n);
        assert_ok(tb_release(object));
    }
}

static void consumers_of_objects_on_several_hosts_go_each_to_its_own(void **state)
{
    tb_ref object[NODES_MAX], r[NODES_MAX];

    (void)state;
    for (int i = 0; i < nhosts; i++)
        object[i] = object_on(host[i], LARGE);
    for (int i = nhosts; i-- > 0;)
        r[i] = tb_remote(reads, object[i]);
    for (int i = 0; i < nhosts; i++)
        assert_host(get_rank(r[i]), host[i]);
    assert_ok(tb_release_all(object, (size_t)nhosts));
}

static void it_waits_for_an_argument_that_is_being_made_and_then_runs_there(void **state)
{
    tb_ref object[NODES_MAX], r[NODES_MAX];

    (void)state;
    for (int i = 0; i < nhosts; i++) {
        object[i] = tb_remote_with(makes, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = host[i]),
                                   (int64_t)LARGE);
        r[i] = tb_remote(reads, object[i]);
    }
    for (int i = 0; i < nhosts; i++)
        assert_host(get_rank(r[i]), host[i]);
    assert_ok(tb_release_all(object, (size_t)nhosts));
}

static void a_full_host_sends_it_elsewhere_and_then_the_copy_there_draws_others(void **state)
{
    tb_ref object = object_on(host[0], LARGE);
    struct hold h[NODES_MAX], k[NODES_MAX];
    int n = hold_host(host[0], CPUS, h), m, second, third;

    (void)state;
    second = get_rank(tb_remote(reads, object));
    if (same_host(second, host[0]))
        fail_msg("it ran on rank %d, of a host without room", second);
    m = hold_host(second, CPUS / 2, k); /* the third host is emptier, and has nothing of it */
    assert_host(get_rank(tb_remote(reads, object)), second);
    hold_end_all(k, m);
    m = hold_host(second, CPUS, k); /* now neither has room */
    third = get_rank(tb_remote(reads, object));
    if (same_host(third, host[0]) || same_host(third, second))
        fail_msg("it ran on rank %d, of a host without room", third);
    hold_end_all(k, m);
    hold_end_all(h, n);
    assert_ok(tb_release(object));
}

static void one_that_finds_no_room_anywhere_begins_where_room_comes_first(void **state)
{
    tb_ref object = object_on(host[0], LARGE), r;
    struct hold h[NODES_MAX][NODES_MAX];
    int n[NODES_MAX];

    (void)state;
    for (int i = 0; i < nhosts; i++)
        n[i] = hold_host(host[i], CPUS, h[i]);
    r = tb_remote_with(reads, TB_OPTIONS(.num_cpus = CPUS), object);
    for (int i = nhosts; i-- > 0;)
        hold_end_all(h[i], n[i]);
    get_rank(r); /* anywhere; but it runs */
    assert_ok(tb_release(object));
}

static void the_host_with_the_most_bytes_is_chosen_and_the_next_if_it_is_full(void **state)
{
    tb_ref more = object_on(host[1], LARGE), less = object_on(host[2], LESS);
    struct hold h[NODES_MAX];
    int n;

    (void)state;
    assert_host(get_rank(tb_remote(reads, less, more)), host[1]);
    assert_ok(tb_release(less)); /* host 1 has a copy of it now */
    less = object_on(host[2], LESS);
    n = hold_host(host[1], CPUS, h);
    assert_host(get_rank(tb_remote(reads, less, more)), host[2]);
    hold_end_all(h, n);
    assert_ok(tb_release_all((tb_ref[]){more, less}, 2));
}

static void what_the_driver_puts_draws_tasks_to_its_host_if_that_has_workers(void **state)
{
    char *bytes = malloc(LARGE);
    bool has_workers = false;
    tb_ref object;
    int rank;

    (void)state;
    memset(bytes, BYTE, LARGE);
    object = tb_put_array(bytes, LARGE);
    free(bytes);
    for (int i = 0; i < nnodes; i++)
        has_workers |= same_host(node[i].rank, 0);
    rank = get_rank(tb_remote(reads, object));
    if (has_workers)
        assert_host(rank, 0);
    assert_ok(tb_release(object));
}

/* As many consumers as the host has CPUs, all held, fill it; the next goes elsewhere. */
static void consumers_fill_the_host_and_the_next_goes_elsewhere(void **state)
{
    tb_ref object = object_on(host[1], LARGE), r[CPUS * NODES_MAX];
    struct gate g[CPUS * NODES_MAX];
    int n = 0, rank;

    (void)state;
    for (int i = 0; i < nnodes; i++)
        n += same_host(node[i].rank, host[1]) ? CPUS : 0;
    for (int i = 0; i < n; i++) {
        g[i] = gate_new();
        r[i] = tb_remote(reads_and_waits, object, g[i].path);
    }
    for (int i = 0; i < n; i++)
        gate_reach(&g[i]);
    rank = get_rank(tb_remote(reads, object));
    if (same_host(rank, host[1]))
        fail_msg("it ran on rank %d, of a host without room", rank);
    for (int i = 0; i < n; i++) {
        gate_open(&g[i]);
        assert_host(get_rank(r[i]), host[1]);
    }
    assert_ok(tb_release(object));
}

static int begin(void **state)
{
    (void)state;
    tb_must(tb_init(NULL, NULL, TB_CONFIG(.num_cpus = CPUS, .store = 384 << 20)));
    nodes_find();
    nhosts = hosts_find(host);
    if (nhosts < 3) {
        fprintf(stderr, "three hosts with workers are needed, there are %d\n", nhosts);
        exit(1);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_consumer_runs_on_the_host_of_its_argument_though_others_are_emptier),
        cmocka_unit_test(consumers_of_objects_on_several_hosts_go_each_to_its_own),
        cmocka_unit_test(it_waits_for_an_argument_that_is_being_made_and_then_runs_there),
        cmocka_unit_test(a_full_host_sends_it_elsewhere_and_then_the_copy_there_draws_others),
        cmocka_unit_test(one_that_finds_no_room_anywhere_begins_where_room_comes_first),
        cmocka_unit_test(the_host_with_the_most_bytes_is_chosen_and_the_next_if_it_is_full),
        cmocka_unit_test(what_the_driver_puts_draws_tasks_to_its_host_if_that_has_workers),
        cmocka_unit_test(consumers_fill_the_host_and_the_next_goes_elsewhere),
    };

    return cmocka_run_group_tests(tests, begin, run_end);
}
