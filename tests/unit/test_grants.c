/* test_grants.c - holds what a node has and grants: amounts are exact, nothing is granted beyond what there is,
 * whole demands get cores of their own, near each other, and parts of a GPU share one. */
#include "unit.h"
#include "node/grants.h"

#include <string.h>

enum { UNIT = 10000, NCORES = 8 };

/* Two packages of four cores; 8 CPUs, 4 GPUs, 1 GB in units, 2.5 of a custom one. */
static int setup(void **state)
{
    struct tbi_core core[NCORES];
    int64_t totals[4] = {8 * UNIT, 4 * UNIT, INT64_C(1000000000) * UNIT, 25000};
    struct tbi_grants_config config = {.nresources = 4, .totals = totals, .core = core,
                                       .ncores = NCORES};

    for (uint16_t c = 0; c < NCORES; c++)
        core[c] = (struct tbi_core){.thread = {c}, .nthreads = 1, .l3 = c / 4, .numa = c / 4,
                                    .package = c / 4};
    *state = tbi_grants_create(&config);
    return 0;
}

static int teardown(void **state)
{
    tbi_grants_destroy(*state);
    return 0;
}

static struct tbi_demand cpus(int64_t amount)
{
    return (struct tbi_demand){.cpus = amount};
}

static void a_thousand_grabs_and_returns_of_a_tenth_leave_it_as_it_was(void **state)
{
    struct tbi_grants *l = *state;
    struct tbi_amount more[2] = {{TBI_GPUS, 0, 1000}, {TBI_CUSTOM, 0, 1000}};
    struct tbi_demand d = {1000, 2, more};
    struct tbi_grant grant[25];
    unsigned n = 0;

    for (int k = 0; k < 1000; k++) {
        if (!tbi_grants_fits(l, &d)) {
            assert_int_equal(n, 25); /* of the custom one there is 2.5 */
            while (n > 0) {
                tbi_grants_give(l, &d, &grant[--n]);
                free(grant[n].place);
            }
        }
        tbi_grants_take(l, &d, NULL, &grant[n++]);
        assert_null(tbi_grants_check(l));
    }
    while (n > 0) {
        tbi_grants_give(l, &d, &grant[--n]);
        free(grant[n].place);
    }
    for (unsigned r = 0; r < 4; r++)
        assert_true(tbi_grants_free(l, r) == tbi_grants_total(l, r));
    assert_null(tbi_grants_check(l));
}

static void whole_demands_get_disjoint_cores_that_share_a_cache(void **state)
{
    struct tbi_grants *l = *state;
    struct tbi_demand three = cpus(3 * UNIT), one = cpus(UNIT);
    struct tbi_grant a, b, c, d;

    tbi_grants_take(l, &three, NULL, &a);
    tbi_grants_take(l, &three, NULL, &b);
    tbi_grants_take(l, &one, NULL, &c);
    tbi_grants_take(l, &one, NULL, &d);
    assert_false(tbi_grants_fits(l, &one));
    assert_int_equal(a.ncores, 3);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(a.place[i] / 4, a.place[0] / 4);
        assert_int_equal(b.place[i] / 4, b.place[0] / 4);
    }
    assert_int_not_equal(a.place[0] / 4, b.place[0] / 4);
    assert_int_not_equal(c.place[0], d.place[0]);
    assert_null(tbi_grants_check(l));
    free(a.place), free(b.place), free(c.place), free(d.place);
}

static void the_last_cores_are_preferred_while_they_are_idle(void **state)
{
    struct tbi_grants *l = *state;
    struct tbi_demand one = cpus(UNIT);
    struct tbi_grant a, b, again;

    tbi_grants_take(l, &one, NULL, &a);
    tbi_grants_take(l, &one, NULL, &b);
    tbi_grants_give(l, &one, &a);
    tbi_grants_give(l, &one, &b);
    tbi_grants_take(l, &one, &b, &again);
    assert_int_equal(again.place[0], b.place[0]);
    free(a.place), free(b.place), free(again.place);
}

static void halves_share_a_core_and_leave_the_others_whole(void **state)
{
    struct tbi_grants *l = *state;
    struct tbi_demand half = cpus(UNIT / 2), seven = cpus(7 * UNIT);
    struct tbi_grant a, b, c;

    tbi_grants_take(l, &half, NULL, &a);
    tbi_grants_take(l, &half, NULL, &b);
    assert_int_equal(a.place[0], b.place[0]);
    assert_true(tbi_grants_fits(l, &seven));
    tbi_grants_take(l, &seven, NULL, &c);
    for (int i = 0; i < 7; i++)
        assert_int_not_equal(c.place[i], a.place[0]);
    assert_null(tbi_grants_check(l));
    free(a.place), free(b.place), free(c.place);
}

static void a_blocked_task_gives_its_cores_and_keeps_the_rest(void **state)
{
    struct tbi_grants *l = *state;
    struct tbi_amount gpu = {TBI_GPUS, 0, UNIT};
    struct tbi_demand d = {8 * UNIT, 1, &gpu}, all = cpus(8 * UNIT);
    struct tbi_grant a, b;

    tbi_grants_take(l, &d, NULL, &a);
    tbi_grants_give_cpus(l, d.cpus, &a);
    assert_int_equal(tbi_grants_free(l, TBI_GPUS), 3 * UNIT);
    tbi_grants_take(l, &all, NULL, &b);
    assert_false(tbi_grants_cpus_fit(l, d.cpus));
    tbi_grants_give(l, &all, &b);
    tbi_grants_take_cpus(l, d.cpus, &a);
    assert_int_equal(tbi_grants_free(l, TBI_CPUS), 0);
    tbi_grants_give_cpus(l, d.cpus, &a);
    tbi_grants_give_others(l, &d, &a);
    assert_int_equal(tbi_grants_free(l, TBI_GPUS), 4 * UNIT);
    assert_null(tbi_grants_check(l));
    free(a.place), free(b.place);
}

static void parts_of_a_gpu_share_one_and_whole_ones_need_whole_ones(void **state)
{
    struct tbi_grants *l = *state;
    struct tbi_amount half = {TBI_GPUS, 0, UNIT / 2}, big = {TBI_GPUS, 0, 6000},
                      three = {TBI_GPUS, 0, 3 * UNIT}, odd = {TBI_GPUS, 0, 15000};
    struct tbi_demand h = {0, 1, &half}, g = {0, 1, &big}, t = {0, 1, &three}, o = {0, 1, &odd};
    struct tbi_grant a, b, c, d;

    tbi_grants_take(l, &h, NULL, &a);
    tbi_grants_take(l, &h, NULL, &b);
    assert_int_equal(a.ngpus, 1);
    assert_int_equal(a.place[0], b.place[0]);
    tbi_grants_take(l, &t, NULL, &c);
    assert_int_equal(c.ngpus, 3);
    tbi_grants_give(l, &t, &c);
    tbi_grants_take(l, &g, NULL, &d);
    assert_true(tbi_grants_free(l, TBI_GPUS) > 2 * UNIT);
    assert_false(tbi_grants_fits(l, &t)); /* 2.4 are free, of which two whole */
    assert_false(tbi_grants_feasible(l, &o));
    assert_null(tbi_grants_check(l));
    free(a.place), free(b.place), free(c.place), free(d.place);
}

static void what_is_not_there_is_not_feasible(void **state)
{
    struct tbi_grants *l = *state;
    struct tbi_amount label = {TBI_CUSTOM, 0, 0}, unknown = {9, 0, 1}, much = {TBI_CUSTOM, 0, 25001};
    struct tbi_amount twice[] = {{TBI_GPUS, 0, 2500}, {TBI_GPUS, 0, 2500}};
    struct tbi_demand d[] = {{0, 1, &label}, {0, 1, &unknown}, {0, 1, &much}, {80001, 0, NULL}, {0, 2, twice}};

    assert_true(tbi_grants_feasible(l, &d[0]));
    for (int i = 1; i < 5; i++)
        assert_false(tbi_grants_feasible(l, &d[i]));
}

static void random_demands_never_exceed_what_there_is(void **state)
{
    enum { TASKS = 64 };
    struct tbi_grants *l = *state;
    struct { struct tbi_demand d; struct tbi_amount more[2]; struct tbi_grant g; bool runs, blocked; }
        task[TASKS] = {{.runs = false}};
    uint64_t seed = 1;

    for (int step = 0; step < 200000; step++) {
        int k = (int)(unit_random(&seed) % TASKS);

        if (!task[k].runs) {
            bool whole = unit_random(&seed) % 2;

            task[k].more[0] = (struct tbi_amount){
                TBI_GPUS, 0, whole ? (int64_t)(unit_random(&seed) % 4) * UNIT
                                   : (int64_t)(unit_random(&seed) % UNIT)};
            task[k].more[1] = (struct tbi_amount){TBI_CUSTOM, 0,
                                                  (int64_t)(unit_random(&seed) % 9000)};
            task[k].d = (struct tbi_demand){(int64_t)(unit_random(&seed) % 30000), 2, task[k].more};
            if (!tbi_grants_fits(l, &task[k].d))
                continue;
            tbi_grants_take(l, &task[k].d, NULL, &task[k].g);
            task[k].runs = true;
        } else if (unit_random(&seed) % 3 == 0) {
            if (!task[k].blocked)
                tbi_grants_give_cpus(l, task[k].d.cpus, &task[k].g);
            else if (tbi_grants_cpus_fit(l, task[k].d.cpus))
                tbi_grants_take_cpus(l, task[k].d.cpus, &task[k].g);
            else
                continue;
            task[k].blocked = !task[k].blocked;
        } else {
            if (task[k].blocked)
                tbi_grants_give_others(l, &task[k].d, &task[k].g);
            else
                tbi_grants_give(l, &task[k].d, &task[k].g);
            free(task[k].g.place);
            task[k].runs = task[k].blocked = false;
        }
        if (tbi_grants_check(l) != NULL)
            fail_msg("step %d: %s", step, tbi_grants_check(l));
    }
    for (int k = 0; k < TASKS; k++)
        if (task[k].runs) {
            if (task[k].blocked)
                tbi_grants_give_others(l, &task[k].d, &task[k].g);
            else
                tbi_grants_give(l, &task[k].d, &task[k].g);
            free(task[k].g.place);
        }
    for (unsigned r = 0; r < 4; r++)
        assert_true(tbi_grants_free(l, r) == tbi_grants_total(l, r));
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(a_thousand_grabs_and_returns_of_a_tenth_leave_it_as_it_was),
        ON(whole_demands_get_disjoint_cores_that_share_a_cache),
        ON(the_last_cores_are_preferred_while_they_are_idle),
        ON(halves_share_a_core_and_leave_the_others_whole),
        ON(a_blocked_task_gives_its_cores_and_keeps_the_rest),
        ON(parts_of_a_gpu_share_one_and_whole_ones_need_whole_ones),
        ON(what_is_not_there_is_not_feasible),
        ON(random_demands_never_exceed_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
