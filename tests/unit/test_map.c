/* test_map.c - holds util/map: what was put is found until taken, through growth and deletions. */
#include "unit.h"
#include "util/map.h"

static struct tbi_id id(uint64_t k)
{
    return tbi_id_make(1, 0, 0, k, 0);
}

static void an_empty_map_has_nothing(void **state)
{
    struct tbi_map map = {0};
    struct tbi_map_slot e;
    size_t at = 0;

    (void)state;
    assert_null(tbi_map_get(&map, id(1)));
    assert_null(tbi_map_take(&map, id(1)));
    assert_false(tbi_map_next(&map, &at, &e));
    tbi_map_fini(&map);
}

static void a_key_that_is_there_keeps_its_value(void **state)
{
    struct tbi_map map = {0};
    char first, second;

    (void)state;
    assert_true(tbi_map_put(&map, id(1), &first));
    assert_false(tbi_map_put(&map, id(1), &second));
    assert_ptr_equal(tbi_map_take(&map, id(1)), &first);
    assert_int_equal(map.count, 0);
    tbi_map_fini(&map);
}

static void it_agrees_with_a_plain_array_under_random_work(void **state)
{
    enum { KEYS = 3000 };
    static char present[KEYS], dummy[KEYS];
    struct tbi_map map = {0};
    uint64_t seed = 42;
    size_t count = 0;

    (void)state;
    for (int step = 0; step < 200000; step++) {
        size_t k = unit_random(&seed) % KEYS;

        if (!present[k] && unit_random(&seed) % 2) {
            tbi_map_put(&map, id(k + 1), &dummy[k]);
            present[k] = 1;
            count++;
        } else {
            assert_ptr_equal(tbi_map_take(&map, id(k + 1)), present[k] ? &dummy[k] : NULL);
            count -= present[k];
            present[k] = 0;
        }
        k = unit_random(&seed) % KEYS;
        assert_ptr_equal(tbi_map_get(&map, id(k + 1)), present[k] ? &dummy[k] : NULL);
        assert_int_equal(map.count, count);
    }
    size_t at = 0, seen = 0;
    struct tbi_map_slot e;
    while (tbi_map_next(&map, &at, &e)) {
        assert_true(present[tbi_id_counter(e.key) - 1]);
        seen++;
    }
    assert_int_equal(seen, count);
    tbi_map_fini(&map);
}

/* In maps of any size and filling, runs over the end of the table included. */
static void what_a_walk_gives_may_be_taken(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (size_t n = 1; n < 600; n++) {
        static int given[600];
        struct tbi_map map = {0};
        struct tbi_map_slot e;
        uint64_t first = unit_random(&seed) % 1000000;
        size_t at = 0, taken = 0;

        memset(given, 0, sizeof given);
        for (size_t k = 0; k < n; k++)
            tbi_map_put(&map, id(first + k), &given[k]);
        while (tbi_map_next(&map, &at, &e)) {
            ++*(int *)e.value;
            if (unit_random(&seed) % 4 > 0) {
                assert_ptr_equal(tbi_map_take(&map, e.key), e.value);
                at--;
                taken++;
            }
        }
        for (size_t k = 0; k < n; k++) /* one that stays may be given again */
            assert_true(given[k] >= 1);
        assert_int_equal(map.count, n - taken);
        tbi_map_fini(&map);
    }
}

static void a_map_gives_its_memory_back_after_a_peak(void **state)
{
    enum { PEAK = 1000000, LEFT = 100 };
    struct tbi_map map = {0};
    char dummy;

    (void)state;
    for (uint64_t k = 1; k <= PEAK; k++)
        tbi_map_put(&map, id(k), &dummy);
    assert_true(map.mask + 1 >= PEAK);
    for (uint64_t k = LEFT + 1; k <= PEAK; k++)
        assert_ptr_equal(tbi_map_take(&map, id(k)), &dummy);
    for (uint64_t k = PEAK + 1; k <= 4 * PEAK && map.mask + 1 > 1024; k++) { /* not at once: a peak may come again */
        tbi_map_put(&map, id(k), &dummy);
        assert_ptr_equal(tbi_map_take(&map, id(k)), &dummy);
    }
    assert_true(map.mask + 1 <= 1024);
    for (uint64_t k = 1; k <= LEFT; k++)
        assert_ptr_equal(tbi_map_get(&map, id(k)), &dummy);
    tbi_map_fini(&map);
}

static void a_map_that_is_filled_and_emptied_in_turn_keeps_its_size(void **state)
{
    enum { BATCH = 10000 };
    struct tbi_map map = {0};
    char dummy;
    size_t slots = 0;

    (void)state;
    for (int round = 0; round < 10; round++) {
        for (uint64_t k = 1; k <= BATCH; k++) {
            tbi_map_put(&map, id(k), &dummy);
            assert_true(round == 0 || map.mask + 1 == slots);
        }
        slots = map.mask + 1;
        for (uint64_t k = 1; k <= BATCH; k++)
            tbi_map_take(&map, id(k));
    }
    tbi_map_fini(&map);
}

static void an_id_keeps_all_its_fields(void **state)
{
    struct tbi_id a = tbi_id_make(0xef, TBI_ID_RANK_MAX, 77, TBI_ID_COUNTER_MAX, 65535);

    (void)state;
    assert_int_equal(tbi_id_job(a), 0xef);
    assert_int_equal(tbi_id_rank(a), TBI_ID_RANK_MAX);
    assert_int_equal(tbi_id_proc(a), 77);
    assert_int_equal(tbi_id_counter(a), TBI_ID_COUNTER_MAX);
    assert_int_equal(tbi_id_index(a), 65535);
    assert_int_equal(tbi_id_error(a), 0);
    assert_int_equal(tbi_id_index(tbi_id_task(a)), 0);
    assert_int_equal(tbi_id_counter(tbi_id_task(a)), TBI_ID_COUNTER_MAX);
}

/* Each field in turn at its largest, the others 0: it is read back, and shows in no other. */
static void no_field_of_an_id_runs_into_another(void **state)
{
    const uint64_t max[5] = {TBI_ID_JOB_MAX, TBI_ID_RANK_MAX, TBI_ID_PROC_MAX, TBI_ID_COUNTER_MAX, TBI_ID_INDEX_MAX};

    (void)state;
    for (int over = 0; over < 2; over++) /* one more than the largest: nothing of it is seen */
        for (int k = 0; k < 5; k++) {
            uint64_t v[5] = {0}, is[5];
            struct tbi_id id;

            v[k] = max[k] + (uint64_t)over;
            id = tbi_id_make((unsigned)v[0], (unsigned)v[1], (unsigned)v[2], v[3], (unsigned)v[4]);
            is[0] = tbi_id_job(id), is[1] = tbi_id_rank(id), is[2] = tbi_id_proc(id);
            is[3] = tbi_id_counter(id), is[4] = tbi_id_index(id);
            for (int i = 0; i < 5; i++)
                assert_int_equal(is[i], i == k && !over ? max[k] : 0);
            assert_int_equal(tbi_id_error(id), 0);
            assert_true(over || !tbi_id_is_null(id));
        }
    assert_true(TBI_ID_PROC_MAX >= 1000000000); /* a rank starts a million processes in 12 minutes */
    assert_int_equal(TBI_ID_JOB_BITS + TBI_ID_RANK_BITS + TBI_ID_PROC_BITS + TBI_ID_ERROR_BITS, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(a_key_that_is_there_keeps_its_value),
        cmocka_unit_test(it_agrees_with_a_plain_array_under_random_work),
        cmocka_unit_test(what_a_walk_gives_may_be_taken),
        cmocka_unit_test(a_map_gives_its_memory_back_after_a_peak),
        cmocka_unit_test(a_map_that_is_filled_and_emptied_in_turn_keeps_its_size),
        cmocka_unit_test(an_id_keeps_all_its_fields),
        cmocka_unit_test(no_field_of_an_id_runs_into_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
