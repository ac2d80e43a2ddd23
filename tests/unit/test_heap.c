/* test_heap.c - holds util/heap: the first is the smallest, whatever is put in, taken out and changed. */
#include "unit.h"
#include "util/heap.h"

enum { ENTRIES = 300 };

static uint64_t smallest(const struct tbi_heap_entry *entry)
{
    uint64_t key = UINT64_MAX;

    for (int i = 0; i < ENTRIES; i++)
        if (tbi_heap_has(&entry[i]) && entry[i].key < key)
            key = entry[i].key;
    return key;
}

static void the_first_is_the_smallest_after_every_change(void **state)
{
    struct tbi_heap_entry entry[ENTRIES] = {{0}};
    struct tbi_heap heap = {0};
    uint64_t seed = 4711;
    size_t in = 0;

    (void)state;
    for (int k = 0; k < 30000; k++) {
        struct tbi_heap_entry *e = &entry[unit_random(&seed) % ENTRIES];
        uint64_t key = unit_random(&seed) % (k % 2 ? 10 : 1000); /* many are equal */

        if (!tbi_heap_has(e)) {
            tbi_heap_put(&heap, e, key);
            in++;
        } else if (k % 3 == 0) {
            tbi_heap_change(&heap, e, key);
        } else {
            tbi_heap_take(&heap, e);
            in--;
        }
        assert_null(tbi_heap_check(&heap));
        assert_int_equal(heap.n, in);
        if (in == 0)
            assert_null(tbi_heap_first(&heap));
        else
            assert_int_equal(tbi_heap_first(&heap)->key, smallest(entry));
    }
    tbi_heap_fini(&heap);
}

static void memory_of_a_peak_is_given_back(void **state)
{
    enum { PEAK = 100000 };
    struct tbi_heap_entry *entry = calloc(PEAK, sizeof *entry);
    struct tbi_heap heap = {0};
    uint64_t last = 0;

    (void)state;
    for (size_t i = 0; i < PEAK; i++)
        tbi_heap_put(&heap, &entry[i], PEAK - i);
    while (heap.n > 0) {
        struct tbi_heap_entry *first = tbi_heap_first(&heap);

        assert_true(first->key >= last);
        last = first->key;
        tbi_heap_take(&heap, first);
    }
    assert_true(heap.room < PEAK / 50);
    tbi_heap_fini(&heap);
    free(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_the_smallest_after_every_change),
        cmocka_unit_test(memory_of_a_peak_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
