/* test_remains.c - holds the last look at a rank's books: with nothing on them it says nothing, else it
 * names what is left and how much. The agent and the head are rank 0 of one. */
#include "unit.h"
#include "net/codec.h"
#include "node/remains.h"
#include "sched/sched.h"
#include "thornback.h"

struct rank {
    struct tbi_agent *agent;
    struct tbi_sched *sched;
    struct tbi_outbox to_head, to_others;
    uint32_t forked;
};

static struct tbi_id id(int k) { return tbi_id_make(1, 0, 0, (uint64_t)k, 0); }

static void *send(void *ctx, unsigned to, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct rank *r = ctx;

    (void)to;
    return tbi_outbox_append(tbi_msg_info[type].to == TBI_ROLE_HEAD ? &r->to_head : &r->to_others,
                             type, proc, size);
}

static void fork_one(void *ctx, uint32_t proc)
{
    ((struct rank *)ctx)->forked = proc;
}

static uint64_t take_nothing_back(void *ctx, uint32_t proc, uint64_t begun, uint64_t offered)
{
    (void)ctx, (void)proc, (void)begun;
    return offered;
}

static int begin(void **state)
{
    static const int64_t totals[TBI_CUSTOM] = {10000};
    static const unsigned host = 0;
    struct rank *r = calloc(1, sizeof *r);
    struct tbi_agent_config agent = {.nranks = 1, .host = &host, .max_executors = 2, .most_processes = 2,
                                     .resources = {.nresources = TBI_CUSTOM, .totals = totals},
                                     .store_bytes = 10 * 4096, .page_bytes = 4096, .last_proc = TBI_ID_PROC_MAX};
    struct tbi_sched_config sched = {.nranks = 1, .nresources = TBI_CUSTOM, .totals = totals,
                                     .host = &host, .ahead = 4};

    r->agent = tbi_agent_create(&agent, (struct tbi_port){r, send},
                                (struct tbi_agent_ops){.ctx = r, .fork = fork_one,
                                                       .take_back = take_nothing_back});
    r->sched = tbi_sched_create(&sched, (struct tbi_port){r, send});
    *state = r;
    return 0;
}

static int end(void **state)
{
    struct rank *r = *state;

    tbi_agent_destroy(r->agent);
    tbi_sched_destroy(r->sched);
    tbi_outbox_fini(&r->to_head);
    tbi_outbox_fini(&r->to_others);
    free(r);
    return 0;
}

/* A record from the driver; what it leads to reaches the head at once. */
static void driver(struct rank *r, enum tbi_msg type, const void *body, size_t size)
{
    struct tbi_outbox in = {0};

    memcpy(tbi_outbox_append(&in, type, TBI_PROC_DRIVER, size), body, size);
    assert_null(tbi_agent_handle(r->agent, 0, (const void *)(in.data + in.begin), 0));
    tbi_outbox_fini(&in);
    while (tbi_outbox_bytes(&r->to_head) > 0) {
        const struct tbi_record *record = (const void *)(r->to_head.data + r->to_head.begin);

        assert_null(tbi_sched_handle(r->sched, 0, record, 0));
        r->to_head.begin += record->len;
    }
    tbi_sched_run(r->sched);
}

/* Hands what the head has for the agent over. */
static void deliver(struct rank *r)
{
    while (tbi_outbox_bytes(&r->to_others) > 0) {
        const struct tbi_record *record = (const void *)(r->to_others.data + r->to_others.begin);
        struct tbi_outbox copy = {0};
        enum tbi_msg type = record->type;

        memcpy(tbi_outbox_append(&copy, type, record->proc, record->len - sizeof *record),
               record + 1, record->len - sizeof *record);
        r->to_others.begin += record->len;
        if (tbi_msg_info[type].from == TBI_ROLE_HEAD)
            assert_null(tbi_agent_handle(r->agent, 0, (const void *)(copy.data + copy.begin), 0));
        tbi_outbox_fini(&copy);
    }
}

static void assert_says(const struct rank *r, unsigned living, const char *expected)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);

    tbi_remains_report(r->agent, r->sched, living, 7, f);
    fclose(f);
    assert_string_equal(text, expected);
    assert_int_equal(tbi_remains_none(r->agent, r->sched, living), expected[0] == 0);
    free(text);
}

static void books_with_nothing_on_them_say_nothing(void **state)
{
    assert_says(*state, 0, "");
}

static void a_process_that_stays_is_named(void **state)
{
    assert_says(*state, 2, "thornback: rank 7: left at the end: processes of tasks: 2\n");
}

static void an_object_is_named_on_the_node_and_at_the_head_until_it_is_released(void **state)
{
    struct rank *r = *state;
    struct msg_create create = {id(1), 5000};
    struct msg_seal seal = {id(1), 5000, 0, 0};
    struct msg_object object = {id(1)};

    driver(r, TBI_MSG_CREATE, &create, sizeof create);
    deliver(r);
    assert_says(r, 0, "thornback: rank 7: left at the end: objects on the node: 1, bytes of the "
                      "store: 8192\n");
    driver(r, TBI_MSG_SEAL, &seal, sizeof seal);
    assert_says(r, 0, "thornback: rank 7: left at the end: objects on the node: 1, bytes of the "
                      "store: 8192, objects of the head: 1, makers of objects of the head: 1\n");
    driver(r, TBI_MSG_RELEASE, &object, sizeof object);
    deliver(r);
    assert_says(r, 0, "");
}

static void a_pin_and_a_lease_are_named(void **state)
{
    struct rank *r = *state;
    struct msg_create create = {id(1), 5000};
    struct msg_seal seal = {id(1), 5000, 0, 0};
    struct msg_object object = {id(1)};
    struct msg_get get = {id(1), 0, 0};
    struct {
        struct tbi_record record;
        struct msg_fetch fetch;
    } fetch = {{sizeof fetch, TBI_MSG_FETCH, TBI_PROC_NONE}, {id(1), TBI_FETCH_MAP, 1}};

    driver(r, TBI_MSG_CREATE, &create, sizeof create);
    driver(r, TBI_MSG_SEAL, &seal, sizeof seal);
    driver(r, TBI_MSG_GET, &get, sizeof get);
    assert_null(tbi_agent_handle(r->agent, 0, &fetch.record, 0));
    driver(r, TBI_MSG_RELEASE, &object, sizeof object);
    deliver(r);
    assert_says(r, 0, "thornback: rank 7: left at the end: objects on the node: 1, pins: 1, "
                      "leases: 1, bytes of the store: 8192\n");
}

static void a_task_is_named_where_it_is(void **state)
{
    struct rank *r = *state;
    struct msg_submit submit = {.task = id(1), .cpus = 10000, .nreturns = 1};

    driver(r, TBI_MSG_SUBMIT, &submit, sizeof submit);
    assert_says(r, 0, "thornback: rank 7: left at the end: tasks of the head: 1, objects of the "
                      "head: 1, makers of objects of the head: 1\n");
    deliver(r);
    assert_int_equal(r->forked, 1);
    assert_says(r, 1, "thornback: rank 7: left at the end: processes of tasks: 1, tasks on the "
                      "node: 1, tasks of the head: 1, objects of the head: 1, makers of objects of "
                      "the head: 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(books_with_nothing_on_them_say_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_process_that_stays_is_named, begin, end),
        cmocka_unit_test_setup_teardown(
            an_object_is_named_on_the_node_and_at_the_head_until_it_is_released, begin, end),
        cmocka_unit_test_setup_teardown(a_pin_and_a_lease_are_named, begin, end),
        cmocka_unit_test_setup_teardown(a_task_is_named_where_it_is, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
