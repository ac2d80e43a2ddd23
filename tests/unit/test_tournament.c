/* test_tournament.c - holds util/tournament: the best is the largest number, whichever one changes. */
#include "unit.h"
#include "util/tournament.h"

static uint64_t largest(const uint64_t *number, unsigned n)
{
    uint64_t best = 0;

    for (unsigned i = 0; i < n; i++)
        best = number[i] > best ? number[i] : best;
    return best;
}

static void the_best_is_the_largest_after_every_change(void **state)
{
    static const unsigned sizes[] = {1, 2, 7, 8, 9, 63, 64, 65, 511, 513, 1000, 5000};
    uint64_t seed = 4711;

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        unsigned n = sizes[s];
        uint64_t *number = calloc(n, sizeof *number);
        struct tbi_tournament t;

        tbi_tournament_init(&t, n);
        assert_int_equal(tbi_tournament_best(&t), 0);
        for (int k = 0; k < 3000; k++) { /* few different numbers, so that many are equal */
            unsigned i = (unsigned)(unit_random(&seed) % n);

            number[i] = unit_random(&seed) % (k % 2 ? 10 : 1000);
            tbi_tournament_set(&t, i, number[i]);
            assert_int_equal(tbi_tournament_best(&t), largest(number, n));
        }
        for (unsigned i = 0; i < n; i++)
            t.level[0][i] = number[i] = unit_random(&seed) % 1000;
        tbi_tournament_play(&t);
        assert_int_equal(tbi_tournament_best(&t), largest(number, n));
        tbi_tournament_fini(&t);
        free(number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_the_largest_after_every_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
