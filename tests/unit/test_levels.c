/* test_levels.c - holds util/levels: each level has what was put there, in order; they are walked from the lowest to
 * the highest; and one that has become empty is gone. */
#include "unit.h"
#include "util/levels.h"

enum { ENTRIES = 300, NUMBERS = 40 };

struct entry {
    struct tbi_link link;
    uint32_t number;
    uint64_t seq;
};

/* What a walk shows: rising numbers, and in each the entries of it in the order in which they came. Returns how many. */
static size_t walk(const struct tbi_levels *levels)
{
    size_t n = 0, empty = 0;
    int64_t last = -1;

    for (struct tbi_level *level = tbi_levels_lowest(levels); level != NULL; level = tbi_levels_next(level)) {
        uint64_t seq = 0;

        assert_true(level->number > last);
        last = level->number;
        empty += tbi_list_empty(&level->list);
        for (struct tbi_link *l = level->list.next; l != &level->list; l = l->next, n++) {
            struct entry *e = TBI_ENTRY(l, struct entry, link);

            assert_int_equal(e->number, level->number);
            assert_true(e->seq > seq);
            seq = e->seq;
        }
        if (tbi_levels_next(level) == NULL)
            assert_ptr_equal(level, tbi_levels_highest(levels));
    }
    assert_int_equal(empty, 0);
    return n;
}

static unsigned height(const struct tbi_level *level)
{
    unsigned a, b;

    if (level == NULL)
        return 0;
    a = height(level->lower);
    b = height(level->higher);
    return 1 + (a > b ? a : b);
}

static void each_level_has_what_was_put_there_after_every_change(void **state)
{
    struct entry entry[ENTRIES] = {0};
    struct tbi_levels levels = {0};
    uint64_t seed = 4711;
    size_t in = 0;

    (void)state;
    assert_null(tbi_levels_lowest(&levels));
    assert_null(tbi_levels_highest(&levels));
    for (uint64_t k = 1; k <= 30000; k++) {
        struct entry *e = &entry[unit_random(&seed) % ENTRIES];

        if (tbi_list_linked(&e->link)) {
            tbi_levels_take(&levels, e->number, &e->link);
            in--;
        } else {
            e->number = (uint32_t)(unit_random(&seed) % NUMBERS) * (k % 2 ? 1 : UINT32_MAX / NUMBERS);
            e->seq = k;
            tbi_list_append(tbi_levels_list(&levels, e->number), &e->link);
            in++;
        }
        assert_int_equal(walk(&levels), in);
        assert_int_equal(tbi_levels_empty(&levels), in == 0);
    }
    for (int i = 0; i < ENTRIES; i++)
        if (tbi_list_linked(&entry[i].link))
            tbi_levels_take(&levels, entry[i].number, &entry[i].link);
    assert_true(tbi_levels_empty(&levels));
    tbi_levels_fini(&levels);
}

static void many_levels_in_rising_order_make_no_deep_tree(void **state)
{
    enum { MANY = 60000 };
    struct entry *entry = calloc(MANY, sizeof *entry);
    struct tbi_levels levels = {0};

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        entry[i] = (struct entry){.number = i, .seq = i + 1};
        tbi_list_append(tbi_levels_list(&levels, i), &entry[i].link);
    }
    assert_int_equal(walk(&levels), MANY);
    assert_true(height(levels.root) < 80); /* log2 of it is 16 */
    for (uint32_t i = 0; i < MANY; i += 2)
        tbi_levels_take(&levels, i, &entry[i].link);
    assert_int_equal(walk(&levels), MANY / 2);
    assert_int_equal(tbi_levels_lowest(&levels)->number, 1);
    assert_int_equal(tbi_levels_highest(&levels)->number, MANY - 1);
    assert_true(height(levels.root) < 80);
    tbi_levels_fini(&levels); /* with all that is left */
    assert_true(tbi_levels_empty(&levels));
    free(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_has_what_was_put_there_after_every_change),
        cmocka_unit_test(many_levels_in_rising_order_make_no_deep_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
