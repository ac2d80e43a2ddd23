/* test_input.c - holds what takes in bytes from outside against all bytes: frames and the records in them, settings,
 * resources and fault plans; and head and agent against well-formed records of any content in any order. Run it under
 * sanitizers. Seeded: TB_SEED=n runs one round. FUZZ_SECONDS: how long each test goes on (default 1). */
#include "unit.h"
#include "api/resources.h"
#include "api/settings.h"
#include "exec/bell.h"
#include "net/codec.h"
#include "node/agent.h"
#include "sched/sched.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/page.h"

#include <fcntl.h>
#include <unistd.h>

static uint64_t random_state;
static unsigned long taken, refused; /* of what was given in this test */

static void count(const char *why)
{
    taken += why == NULL;
    refused += why != NULL;
}

static unsigned pick(unsigned n)
{
    return (unsigned)(unit_random(&random_state) % n);
}

/* Calls round(seed) until the time is over. */
static void rounds(void (*round)(void))
{
    const char *seconds = getenv("FUZZ_SECONDS"), *only = getenv("TB_SEED");
    uint64_t end_us = tbi_now_us() + (seconds != NULL ? strtoull(seconds, NULL, 10) : 1) * 1000000, seed = 1;

    if (only != NULL)
        seed = strtoull(only, NULL, 10);
    do {
        random_state = seed++ * UINT64_C(0x9e3779b97f4a7c15) | 1;
        round();
    } while (only == NULL && tbi_now_us() < end_us);
    print_message("%lu were taken, %lu refused\n", taken, refused);
    assert_true(only != NULL || (taken > 0 && refused > 0));
    taken = refused = 0;
}

/* ---- records ---- */

static struct tbi_id some_id(void)
{
    if (pick(8) == 0)
        return (struct tbi_id){pick(3), pick(3)};
    return tbi_id_make(1, pick(3), pick(3), 1 + pick(6), pick(4) == 0 ? pick(3) : 0);
}

static uint64_t some_word(void)
{
    static const uint64_t edge[] = {0, 1, 2, 8, 10000, 0xffff, 0xffffffff, UINT64_C(1) << 63, UINT64_MAX};

    return pick(3) ? pick(4) : edge[pick(sizeof edge / sizeof *edge)];
}

/* Of this type, or of any; well-formed by itself. NULL: none was found. */
static struct tbi_record *some_record(enum tbi_msg type)
{
    for (int tries = 0; tries < 40; tries++) {
        size_t fixed = sizeof(struct tbi_record) + tbi_msg_info[type].payload, len = fixed + (size_t)pick(24) * 8 * pick(2);
        struct tbi_record *r = tbi_alloc_zeroed(1, len); /* exact, for the sanitizer */
        uint8_t *body = (uint8_t *)(r + 1);
        size_t n = len - sizeof *r;

        *r = (struct tbi_record){.len = (uint32_t)len, .type = (unsigned)type & 0xff, .proc = pick(4)};
        for (size_t at = 0; at + 8 <= n; at += 8) {
            struct tbi_id id = some_id();
            uint64_t word = pick(3) ? pick(2) ? pick(3) : (uint64_t)pick(3) << 32 | pick(3) : some_word();

            if (at + 16 <= n && (at == 0 || pick(3) == 0)) {
                memcpy(body + at, &id, 16);
                at += 8;
            } else {
                memcpy(body + at, &word, 8);
            }
        }
        if (tbi_record_check(r, len) == NULL)
            return r;
        free(r);
    }
    return NULL;
}

/* ---- frames ---- */

static uint64_t sum;

/* Everything that a handler might follow lies within the record. */
static void read_all(void *ctx, const struct tbi_record *r)
{
    const uint8_t *at = (const uint8_t *)r;
    const void *body = r + 1;

    (void)ctx;
    for (size_t i = 0; i < r->len; i++)
        sum += at[i];
    if (r->type == TBI_MSG_SUBMIT && tbi_submit_actor(body) != NULL)
        sum += tbi_submit_actor(body)->nlanes;
    if (r->type == TBI_MSG_SUBMIT && tbi_submit_call(body) != NULL)
        sum += tbi_submit_call(body)->lane;
    if (r->type == TBI_MSG_SUBMIT && tbi_submit_group(body) != NULL)
        sum += tbi_submit_group(body)->lo;
    if ((r->type == TBI_MSG_DISPATCH || r->type == TBI_MSG_CALL) && tbi_dispatch_actor(body) != NULL)
        sum += tbi_dispatch_actor(body)->flags;
    if ((r->type == TBI_MSG_DISPATCH || r->type == TBI_MSG_CALL) && tbi_dispatch_call(body) != NULL)
        sum += tbi_dispatch_call(body)->seq;
    if (r->type == TBI_MSG_RUN && tbi_run_actor(body) != NULL)
        sum += tbi_run_actor(body)->flags;
}

static void a_frame(void)
{
    static struct tbi_inbox in;
    struct tbi_outbox out = {0};
    uint8_t whole[4096];

    for (unsigned n = 1 + pick(6); n > 0; n--) {
        struct tbi_record *r = some_record((enum tbi_msg)pick(TBI_MSG_COUNT));

        if (r != NULL)
            memcpy(tbi_outbox_append(&out, (enum tbi_msg)r->type, r->proc, r->len - sizeof *r), r + 1, r->len - sizeof *r);
        free(r);
    }
    while (tbi_outbox_bytes(&out) > 0) {
        size_t n = tbi_outbox_cut(&out, whole, 64 + (size_t)pick(500) * 8, pick(3));
        uint8_t *frame = tbi_copy(whole, n); /* exact */

        for (unsigned k = pick(2) * pick(6); k > 0; k--)
            frame[(pick(4) ? sizeof(struct tbi_frame) : 0) + pick((unsigned)(n - sizeof(struct tbi_frame)))] ^=
                (uint8_t)(1u << pick(8));
        count(tbi_inbox_frame(&in, frame, pick(20) ? n : pick((unsigned)n + 1), read_all, NULL));
        free(frame);
    }
    tbi_outbox_fini(&out);
    if (pick(16) == 0)
        tbi_inbox_fini(&in);
}

static void no_frame_is_read_beyond_its_end(void **state)
{
    (void)state;
    rounds(a_frame);
}

/* ---- head and agent ---- */

static struct tbi_outbox said;

static void *say(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    (void)ctx, (void)rank;
    said.begin = said.end = 0;
    return tbi_outbox_append(&said, type, proc, size);
}

static void nothing(void *ctx, uint32_t proc)
{
    (void)ctx, (void)proc;
}

static void no_copy(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t to, uint64_t bytes)
{
    (void)ctx, (void)ticket, (void)rank, (void)from, (void)to, (void)bytes;
}

static void no_push(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t bytes)
{
    (void)ctx, (void)ticket, (void)rank, (void)from, (void)bytes;
}

static uint64_t take_back(void *ctx, uint32_t proc, uint64_t begun, uint64_t offered)
{
    (void)ctx, (void)proc;
    return begun + pick((unsigned)(offered - begun) + 1);
}

static void no_interrupt(void *ctx, uint32_t proc, uint64_t number, bool others)
{
    (void)ctx, (void)proc, (void)number, (void)others;
}

static const int64_t totals[3][TBI_CUSTOM] = {{0}, {20000, 10000}, {20000}};
static const unsigned host[3] = {0, 0, 1};

/* What processes may say passes through their agent, whose books must stay right whatever it is. */
static void an_agents_processes(void)
{
    struct tbi_agent_config config = {.rank = 1, .nranks = 3, .host = host,
                                      .resources = {.nresources = TBI_CUSTOM, .totals = totals[1]},
                                      .max_executors = 4, .most_processes = 16, .birth_patience_us = 1000, .offers = 3,
                                      .nested = 2, .overtakes = 2, .store_bytes = 1 << 20, .page_bytes = tbi_page_bytes(),
                                      .create_timeout_us = 100, .grace_us = 100, .fetch = TBI_FETCH_RMA};
    struct tbi_agent *agent = tbi_agent_create(&config, (struct tbi_port){NULL, say},
                                               (struct tbi_agent_ops){.fork = nothing, .copy = no_copy, .push = no_push,
                                                                      .take_back = take_back, .interrupt = no_interrupt,
                                                                      .kill = nothing});

    for (int i = 0; i < 200; i++) {
        enum tbi_msg type = pick(4) ? (enum tbi_msg)pick(TBI_MSG_COUNT) : TBI_MSG_DISPATCH;
        struct tbi_record *r;

        if (type == TBI_MSG_EXITED || (tbi_msg_info[type].from != TBI_ROLE_PROC && type != TBI_MSG_DISPATCH))
            continue;
        r = some_record(type);
        if (r != NULL && (type != TBI_MSG_DISPATCH || ((struct msg_dispatch *)(r + 1))->nresolve == 0))
            count(tbi_agent_handle(agent, pick(3), r, (uint64_t)i));
        free(r);
        if (pick(40) == 0) {
            struct tbi_error_link link;

            tbi_error_link(&link, -2, "it died");
            tbi_agent_died(agent, 1 + pick(3), &link, pick(2));
        }
        if (tbi_agent_check(agent) != NULL)
            fail_msg("record %d: %s", i, tbi_agent_check(agent));
    }
    tbi_agent_destroy(agent);
}

static void an_agents_books_are_right_whatever_processes_say(void **state)
{
    (void)state;
    rounds(an_agents_processes);
}

static void no_unread(void *ctx, const void *error, uint32_t bytes)
{
    (void)ctx, (void)error, (void)bytes;
}

static void a_heads_processes(void)
{
    struct tbi_sched_config config = {.nranks = 3, .nresources = TBI_CUSTOM, .totals = totals[0], .host = host,
                                      .ahead = 2, .overtakes = 2, .nfunctions = 4, .unread = no_unread};
    struct tbi_sched *sched = tbi_sched_create(&config, (struct tbi_port){NULL, say});

    for (int i = 0; i < 200; i++) {
        enum tbi_msg type = (enum tbi_msg)pick(TBI_MSG_COUNT);
        struct tbi_record *r = tbi_msg_info[type].to == TBI_ROLE_HEAD ? some_record(type) : NULL;

        if (r != NULL)
            count(tbi_sched_handle(sched, pick(3), r, (uint64_t)i));
        free(r);
        tbi_sched_run(sched);
    }
    tbi_sched_destroy(sched);
}

static void a_head_survives_whatever_ranks_say(void **state)
{
    (void)state;
    rounds(a_heads_processes);
}

/* ---- texts ---- */

/* Pieces of what is right, and anything. */
static void write_text(char *text, size_t size)
{
    static const char *const piece[] = {"TB_", "=", ",", ":", ";", "1", "0.5", "-", "1e308", "nan", "G", "GiB", "label.",
                                        "num_cpus", "num_gpus", "Custom", "ring_record", "yes", "auto", "memory", " "};
    size_t n = 0;

    for (unsigned k = pick(60); k > 0 && n + 16 < size; k--)
        if (pick(4))
            n += (size_t)snprintf(text + n, size - n, "%s", piece[pick(sizeof piece / sizeof *piece)]);
        else
            text[n++] = (char)(1 + pick(255));
    text[n] = 0;
    if (pick(200) == 0) {
        memset(text, 'a' + (int)pick(3), size - 1);
        text[size - 1] = 0;
    }
}

static void a_setting(void)
{
    static const char *const name[] = {
#define NAME(field, variable, ...) #variable,
        TBI_SETTINGS(NAME)
#undef NAME
    };
    const char *which = name[pick(sizeof name / sizeof *name)];
    static char text[3 * TBI_SETTING_TEXT];
    static struct tbi_settings settings;
    struct tbi_fault_plan plan;
    char why[300];

    write_text(text, sizeof text);
    setenv(which, text, 1);
    if (tbi_settings_read(&settings, NULL) == 0) {
        static struct tbi_resources resources;

        count(tbi_resources_read(&resources, &settings) == 0 ? NULL : tb_last_error());
    } else {
        count(tb_last_error());
    }
    unsetenv(which);
    if (!tbi_fault_parse(text, &plan, why, sizeof why))
        assert_true(strlen(why) < sizeof why);
}

static void no_text_of_a_setting_does_harm(void **state)
{
    (void)state;
    rounds(a_setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_frame_is_read_beyond_its_end),
        cmocka_unit_test(an_agents_books_are_right_whatever_processes_say),
        cmocka_unit_test(a_head_survives_whatever_ranks_say),
        cmocka_unit_test(no_text_of_a_setting_does_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
