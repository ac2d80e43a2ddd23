/* test_share.c - holds node/share: what several parties may have is shared as evenly as it can
 * be, each thing goes to one who may have it, and neighbours stay together. */
#include "unit.h"
#include "node/share.h"

enum { MOST = 6 };

struct question {
    unsigned nparties, nthings;
    bool may[MOST * 64];
};

/* One text a party: 'x' for what it may have. */
static struct question ask(unsigned nparties, const char *const *rows)
{
    struct question q = {.nparties = nparties, .nthings = (unsigned)strlen(rows[0])};

    for (unsigned p = 0; p < nparties; p++)
        for (unsigned t = 0; t < q.nthings; t++)
            q.may[p * q.nthings + t] = rows[p][t] == 'x';
    return q;
}

static void assert_answer(const struct question *q, const char *want)
{
    unsigned owner[64];
    char got[65] = "";

    tbi_share(q->nparties, q->nthings, q->may, owner);
    for (unsigned t = 0; t < q->nthings; t++)
        got[t] = owner[t] == TBI_SHARE_NOBODY ? '-' : (char)('0' + owner[t]);
    assert_string_equal(got, want);
}

static void all_may_have_all_and_get_blocks(void **state)
{
    struct question q = ask(3, (const char *[]){"xxxxxxxx", "xxxxxxxx", "xxxxxxxx"});

    (void)state;
    assert_answer(&q, "00011122");
}

static void what_only_one_may_have_stays_with_it(void **state)
{
    struct question q = ask(3, (const char *[]){"xx......", "..xxxxx.", ".......x"});

    (void)state;
    assert_answer(&q, "00111112");
}

static void who_may_have_little_gets_it(void **state)
{
    struct question q = ask(2, (const char *[]){"xxxx", "..xx"});
    struct question narrow = ask(2, (const char *[]){"xxxx", "x..."});

    (void)state;
    assert_answer(&q, "0011");
    assert_answer(&narrow, "1000");
}

/* Three in a chain: what is too much for the first goes to the second, which passes on to the
 * third. */
static void evenness_takes_detours(void **state)
{
    struct question q = ask(3, (const char *[]){"xxxxxx...", "...xxxxxx", "......xxx"});
    struct question chain = ask(3, (const char *[]){"xxxx.", "...xx", "....x"});

    (void)state;
    assert_answer(&q, "000111222");
    assert_answer(&chain, "00012");
}

static void with_more_parties_than_things_the_first_get_one(void **state)
{
    struct question q = ask(4, (const char *[]){"xx", "xx", "xx", "xx"});
    struct question none = ask(2, (const char *[]){"x.x", "x.x"});

    (void)state;
    assert_answer(&q, "01");
    assert_answer(&none, "0-1");
}

static int by_size(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

/* Is `a`, sorted, more even than `b`? The greatest counts. */
static bool more_even(const unsigned *a, const unsigned *b, unsigned n)
{
    while (n-- > 0)
        if (a[n] != b[n])
            return a[n] < b[n];
    return false;
}

/* Every way to share, by brute force; the most even loads. */
static void try_all(const struct question *q, unsigned thing, unsigned *load, unsigned *best)
{
    bool any = false;

    if (thing == q->nthings) {
        unsigned sorted[MOST];

        memcpy(sorted, load, sizeof sorted);
        qsort(sorted, q->nparties, sizeof *sorted, by_size);
        if (more_even(sorted, best, q->nparties))
            memcpy(best, sorted, sizeof sorted);
        return;
    }
    for (unsigned p = 0; p < q->nparties; p++)
        if (q->may[p * q->nthings + thing]) {
            any = true;
            load[p]++;
            try_all(q, thing + 1, load, best);
            load[p]--;
        }
    if (!any)
        try_all(q, thing + 1, load, best);
}

static void nothing_is_more_even(void **state)
{
    uint64_t seed = 11;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct question q = {.nparties = 1 + (unsigned)(unit_random(&seed) % 4),
                             .nthings = 1 + (unsigned)(unit_random(&seed) % 7)};
        unsigned owner[64], load[MOST] = {0}, best[MOST], zero[MOST] = {0};

        for (unsigned i = 0; i < q.nparties * q.nthings; i++)
            q.may[i] = unit_random(&seed) % 2 != 0;
        tbi_share(q.nparties, q.nthings, q.may, owner);
        for (unsigned t = 0; t < q.nthings; t++) {
            bool anybody = false;

            for (unsigned p = 0; p < q.nparties; p++)
                anybody |= q.may[p * q.nthings + t];
            assert_int_equal(owner[t] != TBI_SHARE_NOBODY, anybody);
            if (anybody) {
                assert_true(q.may[owner[t] * q.nthings + t]);
                load[owner[t]]++;
            }
        }
        qsort(load, q.nparties, sizeof *load, by_size);
        memset(best, 0xff, sizeof best);
        try_all(&q, 0, zero, best);
        assert_memory_equal(load, best, q.nparties * sizeof *load);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_may_have_all_and_get_blocks),
        cmocka_unit_test(what_only_one_may_have_stays_with_it),
        cmocka_unit_test(who_may_have_little_gets_it),
        cmocka_unit_test(evenness_takes_detours),
        cmocka_unit_test(with_more_parties_than_things_the_first_get_one),
        cmocka_unit_test(nothing_is_more_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
