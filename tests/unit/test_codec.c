/* test_codec.c - holds net/codec and the message table: what is packed into frames comes out again
 * in order whatever the frame size, and no damaged frame is believed or read beyond its end. */
#include "unit.h"
#include "net/codec.h"

struct seen {
    struct tbi_outbox records; /* everything handled so far, byte for byte */
    int count;
};

static void collect(void *ctx, const struct tbi_record *r)
{
    struct seen *seen = ctx;
    void *to = tbi_outbox_append(&seen->records, r->type, r->proc, r->len - sizeof *r);

    memcpy(to, r + 1, r->len - sizeof *r);
    seen->count++;
}

/* A record of a random type and size with consistent counts. */
static void append_random(struct tbi_outbox *out, uint64_t *seed)
{
    size_t size = unit_random(seed) % 4 == 0 ? unit_random(seed) % 9000 : unit_random(seed) % 100;

    if (unit_random(seed) % 2) {
        struct msg_put *put = tbi_outbox_append(out, TBI_MSG_PUT, 7, sizeof *put + size);

        *put = (struct msg_put){tbi_id_make(1, 2, 3, 4, 0), 0, (uint32_t)size};
        memset(put + 1, (int)size, size);
    } else {
        struct msg_object *m = tbi_outbox_append(out, TBI_MSG_RELEASE, 7, sizeof *m);

        m->id = tbi_id_make(1, 2, 3, size + 1, 0);
    }
}

static void records_survive_frames_of_any_size_in_order(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 300; round++) {
        uint64_t seed = round;
        size_t room = 64 + unit_random(&seed) % 5000, size;
        uint64_t frame[5064 / 8 + 1];
        struct tbi_outbox out = {0};
        struct tbi_inbox in = {0};
        struct seen seen = {0};
        uint8_t *sent;
        size_t sent_bytes;
        for (int i = 0; i < 40; i++)
            append_random(&out, &seed);
        sent_bytes = tbi_outbox_bytes(&out);
        sent = malloc(sent_bytes);
        memcpy(sent, out.data + out.begin, sent_bytes);
        while ((size = tbi_outbox_cut(&out, frame, room, 99)) > 0) {
            assert_true(size <= room);
            assert_null(tbi_inbox_frame(&in, frame, size, collect, &seen));
            assert_int_equal(((const struct tbi_frame *)(const void *)frame)->limit, 99);
            assert_int_equal(((const struct tbi_frame *)(const void *)frame)->waiting, tbi_outbox_bytes(&out) - out.cut);
        }
        assert_int_equal(seen.count, 40);
        assert_int_equal(tbi_outbox_bytes(&seen.records), sent_bytes);
        assert_memory_equal(seen.records.data, sent, sent_bytes);
        free(sent);
        tbi_outbox_fini(&out);
        tbi_outbox_fini(&seen.records);
        tbi_inbox_fini(&in);
    }
}

static void a_record_over_the_limit_is_refused_at_once(void **state)
{
    struct tbi_outbox out = {0};

    (void)state;
    assert_null(tbi_outbox_append(&out, TBI_MSG_PUT, 0, TBI_RECORD_MAX));
    assert_int_equal(tbi_outbox_bytes(&out), 0);
    tbi_outbox_fini(&out);
}

static void another_version_is_refused_by_name(void **state)
{
    struct tbi_frame frame = {TBI_FRAME_MAGIC, TBI_PROTOCOL_VERSION + 1, 0, 0, 0, 0};
    struct tbi_inbox in = {0};
    struct seen seen = {0};

    (void)state;
    assert_non_null(strstr(tbi_inbox_frame(&in, &frame, sizeof frame, collect, &seen),
                           "protocol version"));
    frame.magic = 0;
    assert_non_null(strstr(tbi_inbox_frame(&in, &frame, sizeof frame, collect, &seen),
                           "magic"));
}

/* Damage random bytes, or cut the end off: AddressSanitizer sees any read beyond the copy. */
static void damaged_frames_are_never_read_beyond_their_end(void **state)
{
    int refused = 0;

    (void)state;
    for (uint64_t round = 1; round <= 20000; round++) {
        uint64_t seed = round, frame[512];
        struct tbi_outbox out = {0};
        struct tbi_inbox in = {0};
        struct seen seen = {0};
        enum tbi_msg type = unit_random(&seed) % TBI_MSG_COUNT;
        size_t body = tbi_msg_info[type].payload + unit_random(&seed) % 200, size;
        uint8_t *at = tbi_outbox_append(&out, type, 1, body), *copy;

        for (size_t i = 0; i < body; i++)
            at[i] = unit_random(&seed) % 3 ? 0 : (uint8_t)unit_random(&seed);
        size = tbi_outbox_cut(&out, frame, sizeof frame, 0);
        if (unit_random(&seed) % 4 == 0)
            size = unit_random(&seed) % (size + 1);
        copy = malloc(size + 1);
        memcpy(copy, frame, size);
        if (size > 0 && unit_random(&seed) % 2)
            copy[unit_random(&seed) % size] ^= (uint8_t)(1 << unit_random(&seed) % 8);
        refused += tbi_inbox_frame(&in, copy, size, collect, &seen) != NULL;
        free(copy);
        tbi_outbox_fini(&out);
        tbi_outbox_fini(&seen.records);
        tbi_inbox_fini(&in);
    }
    assert_true(refused > 1000);
}

static void every_message_has_a_name_and_a_way(void **state)
{
    (void)state;
    for (int t = 0; t < TBI_MSG_COUNT; t++) {
        assert_non_null(tbi_msg_info[t].name);
        assert_true(tbi_msg_info[t].payload >= 8);
        assert_true(tbi_msg_info[t].from != tbi_msg_info[t].to ||
                    tbi_msg_info[t].from == TBI_ROLE_AGENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_survive_frames_of_any_size_in_order),
        cmocka_unit_test(a_record_over_the_limit_is_refused_at_once),
        cmocka_unit_test(another_version_is_refused_by_name),
        cmocka_unit_test(damaged_frames_are_never_read_beyond_their_end),
        cmocka_unit_test(every_message_has_a_name_and_a_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
