/* test_quota.c - holds how much ranks may send to one at a time: thousands of senders under random delays never have more
 * on the way than it has promised, all get on, and whoever sends alone is not held up. */
#include "unit.h"
#include "net/quota.h"
#include "util/alloc.h"

enum { FRAME = 60 * 1024, FRAME_HOST = 4000, SENDERS = 4096 };

/* A sender, and the two channels between it and the receiver, each in order. */
struct sender {
    struct tbi_quota_peer *own;     /* its side */
    uint64_t left;                  /* bytes that it has to send */
    uint64_t served;                /* of them, taken in */
    size_t bytes[TBI_QUOTA_FRAMES * 16];
    uint64_t waiting[TBI_QUOTA_FRAMES * 16];
    unsigned first, n;              /* frames on the way */
    uint32_t limit[64];
    unsigned first_told, ntold;     /* limits on the way back */
};

struct sim {
    struct tbi_quota at_receiver, at_senders;
    struct sender *sender;
    unsigned nsenders;
    uint64_t seed, flying, most_flying, served;
    size_t frame;
};

enum { CHANNEL = TBI_QUOTA_FRAMES * 16, TOLD = 64 };

static struct sim *sim_new(unsigned nsenders, size_t frame)
{
    struct sim *s = tbi_alloc_zeroed(1, sizeof *s);
    size_t *frames = tbi_alloc((nsenders + 1) * sizeof *frames);

    for (unsigned i = 0; i <= nsenders; i++)
        frames[i] = frame;
    s->nsenders = nsenders;
    s->frame = frame;
    s->seed = nsenders;
    s->sender = tbi_alloc_zeroed(nsenders, sizeof *s->sender);
    /* The receiver is the last rank; of each sender's books only what it sends to that rank matters, which is
     * reckoned as the receiver reckons it for that sender. */
    tbi_quota_init(&s->at_receiver, nsenders + 1, frames, TBI_QUOTA_TOTAL);
    tbi_quota_init(&s->at_senders, nsenders + 1, frames, TBI_QUOTA_TOTAL);
    for (unsigned i = 0; i < nsenders; i++)
        s->sender[i].own = &s->at_senders.peer[i];
    free(frames);
    return s;
}

static void sim_free(struct sim *s)
{
    tbi_quota_fini(&s->at_receiver);
    tbi_quota_fini(&s->at_senders);
    free(s->sender);
    free(s);
}

static bool send_one(struct sim *s, struct sender *from)
{
    size_t room = tbi_quota_room(from->own, s->frame);

    if (room == 0 || from->left == 0)
        return false;
    assert_true(from->n < CHANNEL);
    if (room > from->left)
        room = from->left;
    from->left -= room;
    from->bytes[(from->first + from->n) % CHANNEL] = room;
    from->waiting[(from->first + from->n++) % CHANNEL] = from->left;
    tbi_quota_sent(from->own, room);
    s->flying += room;
    if (s->flying > s->most_flying)
        s->most_flying = s->flying;
    return true;
}

static void tell(struct sim *s, unsigned i)
{
    struct sender *to = &s->sender[i];

    assert_true(to->ntold < TOLD);
    to->limit[(to->first_told + to->ntold++) % TOLD] = tbi_quota_tell(&s->at_receiver.peer[i]);
}

static bool take_one(struct sim *s, unsigned i)
{
    struct sender *from = &s->sender[i];
    size_t bytes = from->bytes[from->first];

    if (from->n == 0)
        return false;
    assert_null(tbi_quota_take(&s->at_receiver, i, bytes, from->waiting[from->first]));
    from->first = (from->first + 1) % CHANNEL;
    from->n--;
    from->served += bytes;
    s->served += bytes;
    s->flying -= bytes;
    if (tbi_quota_must_tell(&s->at_receiver.peer[i]))
        tell(s, i);
    for (int other; (other = tbi_quota_next_news(&s->at_receiver)) >= 0;)
        tell(s, (unsigned)other);
    return true;
}

static bool hear_one(struct sender *to)
{
    if (to->ntold == 0)
        return false;
    assert_null(tbi_quota_told(to->own, to->limit[to->first_told]));
    to->first_told = (to->first_told + 1) % TOLD;
    to->ntold--;
    return true;
}

/* One event of a random sender, or of the next one that has any; false: nothing moves any more. */
static bool step(struct sim *s)
{
    unsigned at = (unsigned)(unit_random(&s->seed) % s->nsenders);

    for (unsigned k = 0; k < s->nsenders; k++, at = (at + 1) % s->nsenders)
        switch (unit_random(&s->seed) % 3) {
        case 0:
            if (send_one(s, &s->sender[at]) || hear_one(&s->sender[at]) || take_one(s, at))
                return true;
            break;
        case 1:
            if (take_one(s, at) || send_one(s, &s->sender[at]) || hear_one(&s->sender[at]))
                return true;
            break;
        default:
            if (hear_one(&s->sender[at]) || take_one(s, at) || send_one(s, &s->sender[at]))
                return true;
        }
    return false;
}

static void all_senders_of_an_incast_get_on_within_the_bound(void **state)
{
    enum { BYTES = 256 * 1024 };
    const uint64_t bound = (uint64_t)TBI_QUOTA_TOTAL * TBI_QUOTA_UNIT;
    struct sim *s = sim_new(SENDERS, FRAME);
    uint64_t least = UINT64_MAX;
    unsigned long steps = 0;

    (void)state;
    for (unsigned i = 0; i < SENDERS; i++)
        s->sender[i].left = BYTES;
    for (; step(s); steps++) {
        assert_true(s->flying <= bound);
        if (steps % 65536 == 0)
            assert_true(tbi_quota_reserved(&s->at_receiver) <= TBI_QUOTA_TOTAL);
        if (s->served < (uint64_t)SENDERS * BYTES / 2 || least < UINT64_MAX)
            continue;
        for (unsigned k = 0; k < SENDERS; k++)
            least = s->sender[k].served < least ? s->sender[k].served : least;
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        assert_int_equal(s->sender[i].served, BYTES);
        assert_int_equal(s->sender[i].n, 0);
    }
    print_message("%lu steps, at most %llu KiB on the way of %llu; when half was done, the last had sent %llu of "
                  "%d KiB\n", steps, (unsigned long long)s->most_flying / 1024, (unsigned long long)bound / 1024,
                  (unsigned long long)least / 1024, BYTES / 1024);
    assert_true(s->most_flying > bound / 8); /* it was an incast */
    assert_true(least >= BYTES / 32); /* and not one after the other */
    sim_free(s);
}

/* What was lent comes back: each has its base again, and the rest is nobody's. */
static void what_was_lent_comes_back(void **state)
{
    struct sim *s = sim_new(SENDERS, FRAME);
    uint32_t extra = s->at_receiver.extra;

    (void)state;
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = round; i < SENDERS; i += 1 + round * 100)
            s->sender[i].left = 1 + unit_random(&s->seed) % 300000;
        while (step(s)) {
        }
        assert_true(tbi_quota_reserved(&s->at_receiver) <= TBI_QUOTA_TOTAL);
        assert_true(s->at_receiver.extra >= extra - extra / 8); /* a last frame may be shorter than was lent for it */
    }
    sim_free(s);
}

/* Its share would be two units: it gets what the others do not use. */
static void one_of_thousands_that_sends_alone_has_large_frames(void **state)
{
    enum { BYTES = 20 << 20 };
    struct sim *s = sim_new(SENDERS, FRAME);
    unsigned long frames = 0;
    uint64_t most = 0;

    (void)state;
    s->sender[7].left = BYTES;
    for (bool moves = true; moves;) {
        moves = false;
        while (send_one(s, &s->sender[7])) { /* as fast as it may; all arrives later */
            moves = true;
            frames++;
        }
        most = s->flying > most ? s->flying : most;
        while (take_one(s, 7))
            moves = true;
        while (hear_one(&s->sender[7]))
            moves = true;
    }
    assert_int_equal(s->sender[7].served, BYTES);
    print_message("%lu frames, %llu KiB on the way at most\n", frames, (unsigned long long)most / 1024);
    assert_true(frames < 2 * BYTES / FRAME);
    assert_true(most >= 1 << 20);
    sim_free(s);
}

static void in_a_small_job_nobody_waits_for_leave(void **state)
{
    struct sim *s = sim_new(2, FRAME_HOST);
    unsigned n = 0;

    (void)state;
    s->sender[0].left = 1 << 20;
    while (send_one(s, &s->sender[0]))
        n++;
    assert_int_equal(n, TBI_QUOTA_FRAMES);
    for (unsigned k = 0; k < TBI_QUOTA_FRAMES / 2; k++) {
        assert_int_equal(s->sender[0].ntold, 0);
        assert_true(take_one(s, 0));
    }
    assert_int_equal(s->sender[0].ntold, 1); /* it is told once for half of them */
    sim_free(s);
}

static void what_cannot_be_is_refused(void **state)
{
    struct sim *s = sim_new(2, FRAME_HOST);

    (void)state;
    assert_null(tbi_quota_told(s->sender[0].own, s->sender[0].own->limit + 10));
    assert_non_null(tbi_quota_told(s->sender[0].own, s->sender[0].own->limit - 1));
    for (unsigned k = 0; k < TBI_QUOTA_FRAMES; k++)
        assert_null(tbi_quota_take(&s->at_receiver, 1, FRAME_HOST, 0));
    assert_null(tbi_quota_take(&s->at_receiver, 1, FRAME_HOST, 0)); /* it may have been told meanwhile */
    assert_non_null(tbi_quota_take(&s->at_receiver, 0, (TBI_QUOTA_FRAMES + 1) * TBI_QUOTA_UNIT, 0));
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_senders_of_an_incast_get_on_within_the_bound),
        cmocka_unit_test(what_was_lent_comes_back),
        cmocka_unit_test(one_of_thousands_that_sends_alone_has_large_frames),
        cmocka_unit_test(in_a_small_job_nobody_waits_for_leave),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
