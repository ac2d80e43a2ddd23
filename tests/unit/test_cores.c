/* test_cores.c - holds node/cores, on machines that hwloc makes up: which cores each rank of a host
 * gets. */
#include "unit.h"
#include "node/cores.h"

#include <hwloc.h>
#include <limits.h>
#include <sched.h>

/* Two packages, each a NUMA domain with two caches of four cores of two threads: 16 cores, 32
 * threads, numbered core by core. */
#define TWO_PACKAGES "package:2 [numa] l3:2 core:4 pu:2"

static struct hwloc_topology *machine(const char *description)
{
    hwloc_topology_t t;

    assert_int_equal(hwloc_topology_init(&t), 0);
    assert_int_equal(hwloc_topology_set_synthetic(t, description), 0);
    assert_int_equal(hwloc_topology_load(t), 0);
    return t;
}

/* Threads [from, to). */
static struct tbi_cpu_set threads(unsigned from, unsigned to)
{
    struct tbi_cpu_set set = {{0}};

    for (unsigned cpu = from; cpu < to; cpu++)
        set.bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
    return set;
}

/* "0-3,8" */
static const char *text_of(const struct tbi_cpu_set *set)
{
    static char text[4096];
    size_t at = 0;

    text[0] = '\0';
    for (unsigned cpu = 0; cpu < TBI_CPUS_MAX; cpu++) {
        unsigned first = cpu;

        if (!(set->bits[cpu / 64] >> cpu % 64 & 1))
            continue;
        while (cpu + 1 < TBI_CPUS_MAX && set->bits[(cpu + 1) / 64] >> (cpu + 1) % 64 & 1)
            cpu++;
        at += (size_t)snprintf(text + at, sizeof text - at, first < cpu ? "%s%u-%u" : "%s%u",
                               at > 0 ? "," : "", first, cpu);
    }
    return text;
}

/* "4 CPUs of 0-7" or "1 CPU of 0-3, shared" */
static void assert_share(struct hwloc_topology *t, const struct tbi_cpu_set *allowed, unsigned n,
                         unsigned me, const char *want)
{
    struct tbi_core_share share = tbi_cores_share(t, allowed, n, me);
    char got[4200];

    snprintf(got, sizeof got, "%u of %s%s", share.cpus, text_of(&share.set),
             share.shared ? ", shared" : "");
    assert_string_equal(got, want);
    if (!share.shared)
        assert_int_equal(share.ncores, share.cpus);
    tbi_cores_free(&share);
}

static void a_rank_alone_gets_all_in_order(void **state)
{
    struct hwloc_topology *t = machine(TWO_PACKAGES);
    struct tbi_cpu_set all = threads(0, 32);
    struct tbi_core_share share = tbi_cores_share(t, &all, 1, 0);

    (void)state;
    assert_int_equal(share.cpus, 16);
    assert_int_equal(share.ncores, 16);
    for (unsigned c = 0; c < 16; c++) {
        assert_int_equal(share.core[c].nthreads, 2);
        assert_int_equal(share.core[c].thread[0], 2 * c);
        assert_int_equal(share.core[c].thread[1], 2 * c + 1);
        assert_int_equal(share.core[c].l3, c / 4);
        assert_int_equal(share.core[c].numa, c / 8);
        assert_int_equal(share.core[c].package, c / 8);
    }
    tbi_cores_free(&share);
    hwloc_topology_destroy(t);
}

/* As on most machines, the second threads are numbered after all the first. */
static void threads_of_a_core_stay_together(void **state)
{
    struct hwloc_topology *t = machine("package:1 core:4 pu:2(indexes=0,4,1,5,2,6,3,7)");
    struct tbi_cpu_set all[2] = {threads(0, 8), threads(0, 8)};

    (void)state;
    assert_share(t, all, 2, 0, "2 of 0-1,4-5");
    assert_share(t, all, 2, 1, "2 of 2-3,6-7");
    hwloc_topology_destroy(t);
}

static void overlapping_ranks_split_whole_cores(void **state)
{
    struct hwloc_topology *t = machine(TWO_PACKAGES);
    struct tbi_cpu_set all[3] = {threads(0, 32), threads(0, 32), threads(0, 32)};

    (void)state;
    assert_share(t, all, 2, 0, "8 of 0-15");
    assert_share(t, all, 2, 1, "8 of 16-31");
    assert_share(t, all, 3, 0, "6 of 0-11");
    assert_share(t, all, 3, 1, "5 of 12-21");
    assert_share(t, all, 3, 2, "5 of 22-31");
    hwloc_topology_destroy(t);
}

static void bindings_that_do_not_overlap_are_kept(void **state)
{
    struct hwloc_topology *t = machine(TWO_PACKAGES);
    struct tbi_cpu_set bound[3] = {threads(0, 2), threads(2, 16), threads(16, 17)};

    (void)state;
    assert_share(t, bound, 3, 0, "1 of 0-1");
    assert_share(t, bound, 3, 1, "7 of 2-15");
    assert_share(t, bound, 3, 2, "1 of 16"); /* one thread of a core, as SLURM may allot it */
    hwloc_topology_destroy(t);
}

static void ranks_on_two_threads_of_a_core_are_left_there(void **state)
{
    struct hwloc_topology *t = machine(TWO_PACKAGES);
    struct tbi_cpu_set bound[4] = {threads(0, 1), threads(1, 2), threads(8, 16), threads(8, 16)};

    (void)state;
    assert_share(t, bound, 4, 0, "1 of 0");
    assert_share(t, bound, 4, 1, "1 of 1");
    assert_share(t, bound, 4, 2, "2 of 8-11");
    assert_share(t, bound, 4, 3, "2 of 12-15");
    hwloc_topology_destroy(t);
}

static void no_rank_gets_what_it_may_not_use(void **state)
{
    struct hwloc_topology *t = machine(TWO_PACKAGES);
    struct tbi_cpu_set allowed[2] = {threads(0, 32), threads(0, 4)};

    (void)state;
    assert_share(t, allowed, 2, 0, "14 of 4-31");
    assert_share(t, allowed, 2, 1, "2 of 0-3");
    hwloc_topology_destroy(t);
}

static void more_ranks_than_cores_share_them(void **state)
{
    struct hwloc_topology *t = machine("core:2 pu:2");
    struct tbi_cpu_set all[3] = {threads(0, 4), threads(0, 4), threads(0, 4)};

    (void)state;
    for (unsigned me = 0; me < 3; me++)
        assert_share(t, all, 3, me, "1 of 0-3, shared");
    hwloc_topology_destroy(t);
}

/* Only where it is crowded: the third rank has two cores of its own. */
static void ranks_elsewhere_on_the_host_share_nothing(void **state)
{
    struct hwloc_topology *t = machine("core:4 pu:1");
    struct tbi_cpu_set allowed[4] = {threads(0, 1), threads(0, 1), threads(1, 4), threads(1, 2)};

    (void)state;
    assert_share(t, allowed, 4, 0, "1 of 0, shared");
    assert_share(t, allowed, 4, 1, "1 of 0, shared");
    assert_share(t, allowed, 4, 2, "2 of 2-3");
    assert_share(t, allowed, 4, 3, "1 of 1");
    hwloc_topology_destroy(t);
}

static void machines_may_have_thousands_of_threads(void **state)
{
    struct hwloc_topology *t = machine("package:4 [numa] l3:8 core:32 pu:4");
    struct tbi_cpu_set all[2] = {threads(0, 4096), threads(0, 4096)};

    (void)state;
    assert_share(t, all, 1, 0, "1024 of 0-4095");
    assert_share(t, all, 2, 1, "512 of 2048-4095");
    hwloc_topology_destroy(t);
}

static void a_limit_is_shared_out_too(void **state)
{
    static const struct { unsigned cpus, limit, n, me, want; } cases[] = {
        {8, UINT_MAX, 2, 0, 8}, {8, 3, 1, 0, 3}, {8, 3, 2, 0, 2}, {8, 3, 2, 1, 1},
        {1, 16, 2, 0, 1},       {4, 1, 2, 0, 1}, {4, 1, 2, 1, 1},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbi_core_share share = {.cpus = cases[i].cpus};

        tbi_cores_cap(&share, cases[i].limit, cases[i].n, cases[i].me);
        assert_int_equal(share.cpus, cases[i].want);
    }
}

static void this_machine_gives_what_the_kernel_allows(void **state)
{
    struct tbi_cpu_set allowed = tbi_cores_allowed();
    struct tbi_core_share share = tbi_cores_share(NULL, &allowed, 1, 0);
    unsigned nthreads = 0;
    cpu_set_t mask;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    assert_in_range(share.cpus, 1, CPU_COUNT(&mask));
    for (unsigned c = 0; c < share.ncores; c++)
        for (unsigned i = 0; i < share.core[c].nthreads; i++, nthreads++)
            assert_true(CPU_ISSET(share.core[c].thread[i], &mask));
    assert_int_equal(nthreads, CPU_COUNT(&mask));
    tbi_cores_free(&share);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_alone_gets_all_in_order),
        cmocka_unit_test(threads_of_a_core_stay_together),
        cmocka_unit_test(overlapping_ranks_split_whole_cores),
        cmocka_unit_test(bindings_that_do_not_overlap_are_kept),
        cmocka_unit_test(ranks_on_two_threads_of_a_core_are_left_there),
        cmocka_unit_test(no_rank_gets_what_it_may_not_use),
        cmocka_unit_test(more_ranks_than_cores_share_them),
        cmocka_unit_test(ranks_elsewhere_on_the_host_share_nothing),
        cmocka_unit_test(machines_may_have_thousands_of_threads),
        cmocka_unit_test(a_limit_is_shared_out_too),
        cmocka_unit_test(this_machine_gives_what_the_kernel_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
