/* test_pick.c - holds node/pick, on machines that hwloc makes up: which of a rank's free cores a
 * task gets. */
#include "unit.h"
#include "node/pick.h"

#include <hwloc.h>

/* Two packages, each a NUMA domain with two caches of four cores. */
#define TWO_PACKAGES "package:2 [numa] l3:2 core:4 pu:2"

static struct tbi_core_share cores_of(const char *description)
{
    struct tbi_core_share share;
    struct tbi_cpu_set all;
    hwloc_topology_t t;

    memset(&all, 0xff, sizeof all);
    assert_int_equal(hwloc_topology_init(&t), 0);
    assert_int_equal(hwloc_topology_set_synthetic(t, description), 0);
    assert_int_equal(hwloc_topology_load(t), 0);
    share = tbi_cores_share(t, &all, 1, 0);
    hwloc_topology_destroy(t);
    return share;
}

/* `free`: one letter a core, 'x' where it is free. "2 3", or "none". */
static void assert_picked(const struct tbi_core_share *s, const char *free, unsigned k,
                          const char *want)
{
    uint64_t bits[4] = {0};
    unsigned picked[64];
    char got[256] = "none";
    size_t at = 0;

    assert_int_equal(strlen(free), s->ncores);
    for (unsigned c = 0; c < s->ncores; c++)
        if (free[c] == 'x')
            bits[c / 64] |= UINT64_C(1) << c % 64;
    if (tbi_pick_cores(s->core, s->ncores, bits, k, picked))
        for (unsigned i = 0; i < k; i++)
            at += (size_t)sprintf(got + at, "%s%u", i > 0 ? " " : "", picked[i]);
    assert_string_equal(got, want);
}

static void a_task_gets_one_cache_if_it_can(void **state)
{
    struct tbi_core_share s = cores_of(TWO_PACKAGES);

    (void)state;
    assert_picked(&s, "xxxxxxxxxxxxxxxx", 4, "0 1 2 3");
    assert_picked(&s, "..xxxxxxxxxxxxxx", 4, "4 5 6 7");
    assert_picked(&s, "..xxxx..xx....xx", 2, "2 3");
    assert_picked(&s, "..xx.xxx.xxx.xxx", 3, "5 6 7");
    tbi_cores_free(&s);
}

static void else_one_numa_domain_else_anything(void **state)
{
    struct tbi_core_share s = cores_of(TWO_PACKAGES);

    (void)state;
    assert_picked(&s, "..xxxx..xxx...xx", 4, "2 3 4 5");
    assert_picked(&s, "...x.x..xxx...xx", 4, "8 9 10 14");
    assert_picked(&s, "xx.......x.....x", 4, "0 1 9 15");
    assert_picked(&s, "xx.......x.....x", 5, "none");
    tbi_cores_free(&s);
}

/* The first package has 5 free, the second 8: room for a wider task. */
static void the_tightest_place_is_taken_first(void **state)
{
    struct tbi_core_share s = cores_of(TWO_PACKAGES);

    (void)state;
    assert_picked(&s, "xxxx.x..xxxxxxxx", 1, "5");
    assert_picked(&s, "xxxx.xx.xxxxxxxx", 2, "5 6");
    assert_picked(&s, "xxxxxx..xxxxxxxx", 5, "0 1 2 3 4");
    tbi_cores_free(&s);
}

static void the_smallest_gap_is_filled(void **state)
{
    struct tbi_core_share s = cores_of("l3:1 core:16 pu:1");

    (void)state;
    assert_picked(&s, "xxxx.x.xx.xxx...", 1, "5");
    assert_picked(&s, "xxxx.x.xx.xxx...", 2, "7 8");
    assert_picked(&s, "xxxx.x.xx.xxx...", 3, "10 11 12");
    assert_picked(&s, "xxxx.x.xx.xxx...", 5, "0 1 2 3 5");
    assert_picked(&s, ".....xxxxxxx....", 2, "5 6"); /* from an end, not out of the middle */
    tbi_cores_free(&s);
}

/* How many free cores the best domain has that holds all picked ones, at each level. */
static bool fits_in_one(const struct tbi_core_share *s, const bool *free, unsigned k, int level)
{
    for (unsigned c = 0; c < s->ncores; c++) {
        unsigned n = 0;

        for (unsigned d = 0; d < s->ncores; d++)
            n += free[d] && (level == 0 ? s->core[d].l3 == s->core[c].l3
                                        : s->core[d].numa == s->core[c].numa);
        if (n >= k)
            return true;
    }
    return false;
}

static void picked_cores_are_free_different_and_no_further_apart_than_needed(void **state)
{
    struct tbi_core_share s = cores_of("package:2 [numa] l3:4 core:9 pu:1"); /* 72 cores */
    uint64_t seed = 3;

    (void)state;
    for (int round = 0; round < 5000; round++) {
        unsigned picked[128], k = 1 + (unsigned)(unit_random(&seed) % 20), nfree = 0;
        unsigned density = 1 + (unsigned)(unit_random(&seed) % 8);
        uint64_t bits[2] = {0};
        bool free[128] = {false}, one_l3 = true, one_numa = true, got;

        for (unsigned c = 0; c < s.ncores; c++)
            if (unit_random(&seed) % density == 0) {
                free[c] = true;
                nfree++;
                bits[c / 64] |= UINT64_C(1) << c % 64;
            }
        got = tbi_pick_cores(s.core, s.ncores, bits, k, picked);
        assert_int_equal(got, nfree >= k);
        for (unsigned i = 0; got && i < k; i++) {
            assert_true(picked[i] < s.ncores && free[picked[i]]);
            assert_true(i == 0 || picked[i] > picked[i - 1]);
            one_l3 &= s.core[picked[i]].l3 == s.core[picked[0]].l3;
            one_numa &= s.core[picked[i]].numa == s.core[picked[0]].numa;
        }
        if (got) {
            assert_int_equal(one_l3, fits_in_one(&s, free, k, 0));
            assert_int_equal(one_numa, fits_in_one(&s, free, k, 1));
        }
    }
    tbi_cores_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_gets_one_cache_if_it_can),
        cmocka_unit_test(else_one_numa_domain_else_anything),
        cmocka_unit_test(the_tightest_place_is_taken_first),
        cmocka_unit_test(the_smallest_gap_is_filled),
        cmocka_unit_test(picked_cores_are_free_different_and_no_further_apart_than_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
