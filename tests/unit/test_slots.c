/* test_slots.c - holds exec/slots: where slots lie with pages of 4 to 64 KiB, what an executor can touch, and
 * that no record waits unseen in a ring whose bit is not set. */
#include "unit.h"
#include "exec/slots.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void pages_that_cannot_work_are_named(void **state)
{
    (void)state;
    for (uint32_t bytes = 4096; bytes <= 65536; bytes *= 2)
        assert_null(tbi_page_check(bytes));
    assert_non_null(tbi_page_check(2048));
    assert_non_null(tbi_page_check(131072));
    assert_non_null(tbi_page_check(12288));
    assert_non_null(tbi_page_check(0));
    assert_non_null(tbi_page_check(UINT32_MAX)); /* sysconf does not know */
    assert_int_equal(tbi_page_bytes(), sysconf(_SC_PAGESIZE));
}

static void slots_begin_on_pages_and_do_not_overlap(void **state)
{
    (void)state;
    for (uint32_t page = 4096; page <= 65536; page *= 2) {
        struct tbi_slots *s = tbi_slots_create(page);
        uint8_t *end = (uint8_t *)tbi_slots_output(s) + tbi_ring_footprint(TBI_OUTPUT_RING);

        assert_non_null(s);
        assert_true((uint8_t *)tbi_slots_output(s) >=
                    (uint8_t *)tbi_slots_deaths(s) + tbi_ring_footprint(TBI_DEATHS_RING));
        for (uint32_t i = 0; i < TBI_SLOTS_MAX; i++) {
            uint8_t *slot = (uint8_t *)tbi_slots_slot(s, i), *in = (uint8_t *)tbi_slots_in(s, i);
            uint8_t *out = (uint8_t *)tbi_slots_out(s, i);

            assert_true(slot >= end && in >= slot + sizeof(struct tbi_slot));
            assert_true(out >= in + tbi_ring_footprint(TBI_SLOT_RING));
            end = out + tbi_ring_footprint(TBI_SLOT_RING);
            assert_int_equal((uintptr_t)(slot - (uint8_t *)tbi_slots_deaths(s)) % page, 0);
        }
        end[-1] = 1; /* the region reaches so far */
        tbi_slots_destroy(s);
    }
}

/* The signal that a child which keeps slot `own` only dies of when it writes there; 0: of none. */
static int death_by_writing(struct tbi_slots *s, uint32_t own, volatile void *at)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        tbi_slots_keep_only(s, own);
        *(volatile uint8_t *)at = 0;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void an_executor_can_write_its_own_slot_alone(void **state)
{
    static const uint32_t pages[] = {4096, 65536};

    (void)state;
    for (int p = 0; p < 2; p++) {
        struct tbi_slots *s = tbi_slots_create(pages[p] > tbi_page_bytes() ? pages[p] : tbi_page_bytes());

        for (uint32_t own = 0; own < TBI_SLOTS_MAX; own += TBI_SLOTS_MAX / 3) { /* the first .. the last */
            uint8_t *last = (uint8_t *)tbi_slots_out(s, own) + tbi_ring_footprint(TBI_SLOT_RING) - 1;

            assert_int_equal(death_by_writing(s, own, tbi_slots_slot(s, own)), 0);
            assert_int_equal(death_by_writing(s, own, last), 0);
            if (own > 0)
                assert_int_equal(death_by_writing(s, own, (uint8_t *)tbi_slots_out(s, own - 1) +
                                                  tbi_ring_footprint(TBI_SLOT_RING) - 1), SIGSEGV);
            if (own + 1 < TBI_SLOTS_MAX)
                assert_int_equal(death_by_writing(s, own, tbi_slots_slot(s, own + 1)), SIGSEGV);
            assert_int_equal(death_by_writing(s, own, tbi_slots_deaths(s)), SIGSEGV);
            assert_int_equal(death_by_writing(s, own, tbi_slots_output(s)), SIGSEGV);
        }
        tbi_slots_destroy(s);
    }
}

enum { NEWS = 200000 };

static void *tell(void *ctx)
{
    struct tbi_slots *s = ctx;
    struct tbi_ring_writer w;
    uint64_t record[2], random = 7;

    tbi_ring_writer_init(&w, tbi_slots_out(s, 70), TBI_SLOT_RING);
    for (uint64_t k = 0; k < NEWS; k++) {
        struct tbi_record head = {.len = 16, .type = TBI_MSG_EXIT, .proc = (uint32_t)k};

        memcpy(record, &head, sizeof head);
        record[1] = 0;
        for (size_t sent = 0, n; sent < sizeof record; sent += n) {
            n = tbi_ring_write(&w, (uint8_t *)record + sent, sizeof record - sent);
            if (n > 0)
                tbi_slots_note_news(s, 70);
            else
                sched_yield();
        }
        for (uint64_t wait = unit_random(&random) % 64; wait > 0; wait--)
            atomic_signal_fence(memory_order_seq_cst); /* a delay, so that the two meet in every way */
    }
    return NULL;
}

/* Only a bit leads the reader to the ring. */
static void what_was_written_is_always_told_by_a_bit(void **state)
{
    struct tbi_slots *s = tbi_slots_create(tbi_page_bytes());
    struct tbi_ring_reader r;
    pthread_t thread;
    time_t limit = time(NULL) + 120;

    (void)state;
    tbi_ring_reader_init(&r, tbi_slots_out(s, 70), TBI_SLOT_RING);
    assert_int_equal(pthread_create(&thread, NULL, tell, s), 0);
    for (uint64_t k = 0; k < NEWS;) {
        const struct tbi_record *record;

        if (tbi_slots_take_news(s, 64) == 0) {
            if (time(NULL) > limit)
                fail_msg("%llu of %d records, and no bit of the others", (unsigned long long)k, NEWS);
            sched_yield();
            continue;
        }
        while ((record = tbi_ring_next(&r)) != NULL)
            assert_int_equal(record->proc, k++);
        assert_null(r.broken);
    }
    pthread_join(thread, NULL);
    tbi_ring_reader_fini(&r);
    tbi_slots_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_that_cannot_work_are_named),
        cmocka_unit_test(slots_begin_on_pages_and_do_not_overlap),
        cmocka_unit_test(an_executor_can_write_its_own_slot_alone),
        cmocka_unit_test(what_was_written_is_always_told_by_a_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
