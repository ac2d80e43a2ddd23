/* test_segment.c - holds store/segment: extents never overlap, free ones join, warm memory comes
 * first, and cold memory is reported exactly once. */
#include "unit.h"
#include "store/segment.h"

enum { PAGE = 4096 };

static void extents_never_overlap_and_always_join(void **state)
{
    enum { PAGES = 500, LIVE = 60 };

    (void)state;
    for (uint64_t round = 1; round <= 60; round++) {
        uint32_t page = PAGE << round % 5; /* to 64 KiB */
        struct tbi_segment *s = tbi_segment_create(PAGES * page + 100, page);
        unsigned char owner[PAGES] = {0}, touched[PAGES] = {0};
        struct tbi_extent live[LIVE] = {{0}};
        uint64_t seed = round, used = 0;

        assert_int_equal(tbi_segment_capacity(s), PAGES * page);
        for (int step = 0; step < 2000; step++) {
            size_t k = unit_random(&seed) % LIVE;

            if (live[k].bytes > 0) {
                for (uint64_t p = live[k].offset / page, n = live[k].bytes / page; n; n--)
                    owner[p++] = 0;
                tbi_segment_free(s, live[k].offset);
                used -= live[k].bytes;
                live[k].bytes = 0;
            } else if (tbi_segment_alloc(s, unit_random(&seed) % (40 * page), &live[k])) {
                for (uint64_t p = live[k].offset / page, n = live[k].bytes / page; n; n--) {
                    int cold = p * page >= live[k].cold_from && p * page < live[k].cold_to;

                    assert_int_equal(owner[p], 0);
                    assert_int_equal(cold, !touched[p]);
                    touched[p] = 1;
                    owner[p++] = 1;
                }
                used += live[k].bytes;
            } else {
                live[k].bytes = 0;
            }
            assert_int_equal(tbi_segment_used(s), used);
            assert_null(tbi_segment_check(s));
        }
        for (size_t k = 0; k < LIVE; k++)
            if (live[k].bytes > 0)
                tbi_segment_free(s, live[k].offset);
        assert_true(tbi_segment_alloc(s, PAGES * page, &live[0])); /* one extent again */
        tbi_segment_destroy(s);
    }
}

static void a_full_segment_refuses_and_recovers(void **state)
{
    struct tbi_segment *s = tbi_segment_create(8 * PAGE, PAGE);
    struct tbi_extent a, b, c;

    (void)state;
    assert_true(tbi_segment_alloc(s, 5 * PAGE, &a));
    assert_false(tbi_segment_alloc(s, 4 * PAGE, &b));
    assert_true(tbi_segment_alloc(s, 3 * PAGE - 1, &b));
    assert_false(tbi_segment_alloc(s, 0, &c));
    tbi_segment_free(s, a.offset);
    assert_true(tbi_segment_alloc(s, 0, &c));
    assert_int_equal(c.bytes, PAGE);
    assert_null(tbi_segment_check(s));
    tbi_segment_destroy(s);
}

static void memory_used_before_comes_first(void **state)
{
    struct tbi_segment *s = tbi_segment_create(1000 * PAGE, PAGE);
    struct tbi_extent a, b;

    (void)state;
    assert_true(tbi_segment_alloc(s, 10 * PAGE, &a));
    assert_int_equal(a.cold_to - a.cold_from, 10 * PAGE);
    tbi_segment_free(s, a.offset);
    assert_true(tbi_segment_alloc(s, 4 * PAGE, &b));
    assert_int_equal(b.offset, a.offset);
    assert_int_equal(b.cold_from, b.cold_to);
    assert_true(tbi_segment_alloc(s, 20 * PAGE, &a)); /* six warm pages, then cold ones */
    assert_int_equal(a.cold_to - a.cold_from, 14 * PAGE);
    tbi_segment_destroy(s);
}

static void absurd_sizes_are_refused(void **state)
{
    struct tbi_segment *s = tbi_segment_create(UINT64_C(1) << 20, PAGE);
    struct tbi_extent a;

    (void)state;
    assert_false(tbi_segment_alloc(s, UINT64_MAX, &a));
    assert_false(tbi_segment_alloc(s, UINT64_C(1) << 44, &a));
    assert_false(tbi_segment_alloc(s, (UINT64_C(1) << 20) + 1, &a));
    assert_true(tbi_segment_alloc(s, UINT64_C(1) << 20, &a));
    tbi_segment_destroy(s);
}

static void a_segment_smaller_than_a_page_is_always_full(void **state)
{
    struct tbi_segment *s = tbi_segment_create(100, PAGE);
    struct tbi_extent a;

    (void)state;
    assert_int_equal(tbi_segment_capacity(s), 0);
    assert_false(tbi_segment_alloc(s, 1, &a));
    assert_null(tbi_segment_check(s));
    tbi_segment_destroy(s);
}

/* Or who is given it without populating it dies of what the system has no memory for. */
static void what_may_never_have_been_touched_is_cold_for_the_next_one(void **state)
{
    struct tbi_segment *s = tbi_segment_create(8 * PAGE, PAGE);
    struct tbi_extent a, b;

    (void)state;
    assert_true(tbi_segment_alloc(s, 3 * PAGE, &a));
    assert_true(tbi_segment_alloc(s, PAGE, &b));
    tbi_segment_free_unused(s, a.offset);
    assert_true(tbi_segment_alloc(s, 2 * PAGE, &a));
    assert_true(a.offset == 0 && a.cold_from == 0 && a.cold_to == 2 * PAGE);
    assert_true(tbi_segment_alloc(s, 3 * PAGE, &b));
    assert_true(b.cold_from == b.offset && b.cold_to == b.offset + b.bytes);
    tbi_segment_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_never_have_been_touched_is_cold_for_the_next_one),
        cmocka_unit_test(extents_never_overlap_and_always_join),
        cmocka_unit_test(a_full_segment_refuses_and_recovers),
        cmocka_unit_test(memory_used_before_comes_first),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(a_segment_smaller_than_a_page_is_always_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
