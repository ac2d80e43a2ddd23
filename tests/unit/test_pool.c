/* test_pool.c - holds node/pool: records go to and come from real executor processes; one that
 * sends rubbish, or overwrites its slot, is killed, and its death says why; a new one gets a clean slot; what lies in
 * a ring is found whatever the news bits say; what they print
 * comes when there is room for it, and holds up nothing else. */
#include "unit.h"
#include "node/pool.h"
#include "thornback.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

struct world {
    struct tbi_slots *slots;
    struct tbi_zygote zygote;
    struct tbi_pool *pool;
    unsigned records, deaths, doomed, unborn;
    struct tbi_error_link last;
    bool muted, deaf;
    size_t printed[3]; /* bytes, by stream */
};

enum { SILENT = 4, CLAIMS = 5, HEAD_LIES = 6, STICKY_LIES = 7 };

/* What it does to its slot, by its number. */
static void overwrite(struct world *w, uint32_t slot, uint32_t proc)
{
    struct tbi_slot *s = tbi_slots_slot(w->slots, slot);

    if (proc == CLAIMS)
        atomic_store(&s->next, 99);
    if (proc == HEAD_LIES)
        memset(tbi_slots_in(w->slots, slot), 0x41, 8);
    if (proc == STICKY_LIES) {
        memset(&s->sticky, 'x', sizeof s->sticky);
        s->sticky.code = -1;
        atomic_store(&s->sticks, 1);
        atomic_store(&s->begun, 1);
    }
}

/* By its number: 1 says hello and ends; 2 writes rubbish and waits; 3 sends what the owner refuses; SILENT says hello,
 * but not that it has news; others overwrite their slot. */
static int executor(void *ctx, uint32_t slot, uint32_t proc)
{
    struct world *w = ctx;
    struct { struct tbi_record r; struct msg_object m; } hello = {
        {.len = sizeof hello, .type = TBI_MSG_RELEASE, .proc = proc}, {{1, 1}}};
    struct tbi_ring_writer writer;

    tbi_slots_keep_only(w->slots, slot);
    tbi_ring_writer_init(&writer, tbi_slots_out(w->slots, slot), TBI_SLOT_RING);
    if (proc == 2)
        hello.r.type = 255;
    overwrite(w, slot, proc);
    tbi_ring_write(&writer, &hello, sizeof hello);
    if (proc != SILENT)
        tbi_slots_note_news(w->slots, slot);
    if (proc == STICKY_LIES)
        return 7;
    if (proc == 1) {
        printf("hello\nand a good day");
        fprintf(stderr, "first\nlast words\n");
    }
    while (proc != 1)
        pause();
    return 7;
}

static const char *record(void *ctx, const struct tbi_record *r)
{
    ((struct world *)ctx)->records++;
    return r->proc == 3 ? "RELEASE of what is not held" : NULL;
}

static void doomed(void *ctx, uint32_t proc)
{
    (void)proc;
    ((struct world *)ctx)->doomed++;
}

static void died(void *ctx, uint32_t proc, const struct tbi_error_link *cause, bool said)
{
    (void)proc, (void)said;
    ((struct world *)ctx)->deaths++;
    ((struct world *)ctx)->last = *cause;
}

static void unborn(void *ctx, uint32_t proc, const struct tbi_error_link *cause)
{
    (void)proc;
    ((struct world *)ctx)->unborn++;
    ((struct world *)ctx)->last = *cause;
}

static bool may_print(void *ctx)
{
    return !((struct world *)ctx)->muted;
}

static bool may_read(void *ctx)
{
    return !((struct world *)ctx)->deaf;
}

static void printed(void *ctx, const struct tbi_record *r)
{
    struct world *w = ctx;
    const struct msg_output *m = (const struct msg_output *)(r + 1);

    w->printed[m->stream] += m->bytes;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct tbi_zygote_config z = {.executor = executor, .ctx = w, .deaths_size = TBI_DEATHS_RING};
    struct tbi_pool_config p = {.zygote = &w->zygote, .rank = 3, .host = "here", .ctx = w,
                                .record = record, .doomed = doomed, .died = died, .unborn = unborn,
                                .printed = printed,
                                .may_print = may_print, .may_read = may_read};

    w->slots = p.slots = tbi_slots_create(tbi_page_bytes());
    z.deaths = tbi_slots_deaths(w->slots);
    z.output = (struct tbi_output_config){.ring = tbi_slots_output(w->slots), .rank = 3,
                                          .ring_size = TBI_OUTPUT_RING, .slots = w->slots};
    if (tbi_zygote_start(&w->zygote, &z) != 0)
        return -1;
    w->pool = tbi_pool_create(&p);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    tbi_pool_destroy(w->pool);
    tbi_zygote_stop(&w->zygote);
    tbi_slots_destroy(w->slots);
    free(w);
    return 0;
}

static void until_deaths(struct world *w, unsigned n)
{
    uint64_t limit = tbi_now_us() + 60000000;

    while (w->deaths < n && tbi_now_us() < limit)
        if (!tbi_pool_receive(w->pool))
            sched_yield();
    assert_int_equal(w->deaths, n);
}

static void an_executor_says_its_piece_and_ends(void **state)
{
    struct world *w = *state;

    tbi_pool_fork(w->pool, 1);
    until_deaths(w, 1);
    assert_int_equal(w->records, 1);
    assert_int_equal(w->last.code, TB_ERR_CRASHED);
    assert_non_null(strstr(w->last.message, "exit status 7"));
    assert_int_equal(w->last.rank, 3);
    assert_string_equal(w->last.output, "first\nlast words");
    assert_int_equal(w->printed[1], strlen("hello\nand a good day\n"));
    assert_int_equal(w->printed[2], strlen("first\nlast words\n"));
    assert_false(tbi_pool_is_printing(w->pool));
    assert_int_equal(tbi_pool_living(w->pool), 0);
}

static void output_waits_for_room_and_deaths_do_not(void **state)
{
    struct world *w = *state;

    w->muted = true;
    tbi_pool_fork(w->pool, 1);
    until_deaths(w, 1);
    assert_int_equal(w->printed[1] + w->printed[2], 0);
    assert_true(tbi_pool_is_printing(w->pool));
    assert_false(tbi_pool_has_news(w->pool));
    w->muted = false;
    assert_true(tbi_pool_has_news(w->pool));
    while (tbi_pool_is_printing(w->pool))
        if (!tbi_pool_receive(w->pool))
            sched_yield();
    assert_int_equal(w->printed[1], strlen("hello\nand a good day\n"));
}

static void all_can_be_killed(void **state)
{
    struct world *w = *state;

    for (uint32_t proc = 10; proc < 20; proc++)
        tbi_pool_fork(w->pool, proc);
    while (w->records < 10)
        if (!tbi_pool_receive(w->pool))
            sched_yield();
    tbi_pool_kill_all(w->pool);
    until_deaths(w, 10);
    assert_int_equal(w->last.signal, SIGKILL);
    assert_int_equal(tbi_pool_living(w->pool), 0);
}

static void a_record_that_is_none_costs_its_sender_its_life(void **state)
{
    struct world *w = *state;

    tbi_pool_fork(w->pool, 2);
    until_deaths(w, 1);
    assert_int_equal(w->records, 0);
    assert_int_equal(w->last.signal, SIGKILL);
    assert_non_null(strstr(w->last.message, "unknown message type"));
    tbi_pool_fork(w->pool, 1); /* in the same slot, which is clean again */
    until_deaths(w, 2);
    assert_int_equal(w->records, 1);
}

static void so_does_one_that_the_agent_refuses(void **state)
{
    struct world *w = *state;

    tbi_pool_fork(w->pool, 3);
    until_deaths(w, 1);
    assert_int_equal(w->last.signal, SIGKILL);
    assert_non_null(strstr(w->last.message, "RELEASE of what is not held"));
}

static void what_lies_in_a_ring_is_found_whatever_the_bits_say(void **state)
{
    struct world *w = *state;

    tbi_pool_fork(w->pool, SILENT);
    while (!tbi_pool_has_news(w->pool))
        sched_yield();
    assert_true(tbi_pool_receive(w->pool));
    assert_int_equal(w->records, 1);
    assert_false(tbi_pool_has_news(w->pool));
    assert_false(tbi_pool_look(w->pool));
    tbi_pool_kill_all(w->pool);
    until_deaths(w, 1);
}

static void records_wait_while_their_way_is_full_and_deaths_do_not(void **state)
{
    struct world *w = *state;

    w->deaf = true;
    tbi_pool_fork(w->pool, SILENT + 100);
    while (!tbi_slots_have_news(w->slots, 1))
        if (!tbi_pool_receive(w->pool))
            sched_yield();
    assert_false(tbi_pool_has_news(w->pool));
    assert_false(tbi_pool_receive(w->pool));
    assert_false(tbi_pool_look(w->pool));
    assert_int_equal(w->records, 0);
    w->deaf = false;
    assert_true(tbi_pool_has_news(w->pool));
    assert_true(tbi_pool_receive(w->pool));
    assert_int_equal(w->records, 1);
    w->deaf = true;
    tbi_pool_fork(w->pool, 1); /* what it said is heard when it has ended */
    until_deaths(w, 1);
    assert_int_equal(w->records, 2);
    tbi_pool_kill_all(w->pool);
    until_deaths(w, 2);
}

/* Whoever overwrites its slot is found when it is looked at next. */
static void until_killed(struct world *w, uint32_t proc, const char *why)
{
    tbi_pool_fork(w->pool, proc);
    while (w->records == 0)
        if (!tbi_pool_receive(w->pool))
            sched_yield();
    assert_true(tbi_pool_look(w->pool));
    assert_int_equal(w->doomed, 1);
    assert_false(tbi_pool_look(w->pool)); /* it is told once */
    until_deaths(w, 1);
    assert_int_equal(w->doomed, 1);
    assert_int_equal(w->last.signal, SIGKILL);
    assert_non_null(strstr(w->last.message, why));
}

static void a_claim_on_tasks_that_were_never_offered_costs_its_life(void **state)
{
    until_killed(*state, CLAIMS, "its claim on tasks is impossible");
}

static void so_does_reading_what_was_never_written(void **state)
{
    until_killed(*state, HEAD_LIES, "the ring's head is impossible");
}

static void tasks_are_not_taken_back_from_who_lies_about_them(void **state)
{
    struct world *w = *state;

    tbi_pool_fork(w->pool, CLAIMS);
    while (w->records == 0)
        if (!tbi_pool_receive(w->pool))
            sched_yield();
    for (int i = 0; i < 3; i++)
        tbi_pool_send(w->pool, CLAIMS, TBI_MSG_RUN, sizeof(struct msg_run));
    assert_int_equal(tbi_pool_take_back(w->pool, CLAIMS, 0, 3), 3);
    assert_int_equal(w->doomed, 1);
    until_deaths(w, 1);
    assert_non_null(strstr(w->last.message, "its claim on tasks is impossible"));
}

static void an_error_that_it_leaves_is_checked_before_it_is_used(void **state)
{
    struct world *w = *state;

    tbi_pool_fork(w->pool, STICKY_LIES);
    until_deaths(w, 1);
    assert_int_equal(w->last.code, TB_ERR_CRASHED);
    assert_non_null(strstr(w->last.message, "exit status 7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_executor_says_its_piece_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(output_waits_for_room_and_deaths_do_not, setup, teardown),
        cmocka_unit_test_setup_teardown(records_wait_while_their_way_is_full_and_deaths_do_not, setup, teardown),
        cmocka_unit_test_setup_teardown(all_can_be_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_that_is_none_costs_its_sender_its_life, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(so_does_one_that_the_agent_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(what_lies_in_a_ring_is_found_whatever_the_bits_say, setup, teardown),
        cmocka_unit_test_setup_teardown(a_claim_on_tasks_that_were_never_offered_costs_its_life, setup, teardown),
        cmocka_unit_test_setup_teardown(so_does_reading_what_was_never_written, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_are_not_taken_back_from_who_lies_about_them, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_that_it_leaves_is_checked_before_it_is_used, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
