/* test_granted.c - holds node/granted: the time that counts is what a thread ran or slept, not what it waited for a
 * processor. */
#include "unit.h"
#include "node/granted.h"
#include "tree.h"

static struct tbi_thread_times times(bool runnable, uint64_t ran_us, uint64_t waited_us)
{
    return (struct tbi_thread_times){.known = true, .runnable = runnable, .ran_ns = ran_us * 1000,
                                     .waited_ns = waited_us * 1000};
}

static uint64_t granted(bool runnable, uint64_t ran_us, uint64_t waited_us)
{
    struct tbi_thread_times before = times(false, 1000, 2000);
    struct tbi_thread_times now = times(runnable, 1000 + ran_us, 2000 + waited_us);

    return tbi_granted_us(&before, &now, 500);
}

static void a_thread_that_sleeps_could_use_all_of_the_time(void **state)
{
    (void)state;
    assert_int_equal(granted(false, 0, 0), 500);
}

static void waiting_for_a_processor_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(granted(false, 100, 350), 150);
    assert_int_equal(granted(false, 0, 700), 0); /* some of the wait was before the last look */
}

/* Its wait is added up when it is over, so of a thread that waits now only what it ran is sure. */
static void of_a_runnable_thread_only_its_run_time_counts(void **state)
{
    (void)state;
    assert_int_equal(granted(true, 0, 0), 0);
    assert_int_equal(granted(true, 120, 0), 120);
    assert_int_equal(granted(true, 900, 0), 500);
}

static void all_counts_if_the_kernel_does_not_say(void **state)
{
    struct tbi_thread_times unknown = {.known = false}, known = times(true, 0, 0);

    (void)state;
    assert_int_equal(tbi_granted_us(&unknown, &known, 500), 500);
    assert_int_equal(tbi_granted_us(&known, &unknown, 500), 500);
}

static void the_kernels_files_are_read(void **state)
{
    struct tbi_system sys = tree_system();
    struct tbi_thread_times got;

    (void)state;
    tree_file("/proc/self/task/7/schedstat", "5000 6000 70\n");
    tree_file("/proc/self/task/7/stat", "7 (a ) R name) S 1 7 7\n");
    got = tbi_thread_times(&sys, 7);
    assert_true(got.known);
    assert_false(got.runnable);
    assert_int_equal(got.ran_ns, 5000);
    assert_int_equal(got.waited_ns, 6000);
    tree_file("/proc/self/task/7/stat", "7 (name) R 1 7 7\n");
    assert_true(tbi_thread_times(&sys, 7).runnable);
    tree_file("/proc/self/task/7/schedstat", "0 0 0\n");
    assert_false(tbi_thread_times(&sys, 7).known);
    assert_false(tbi_thread_times(&sys, 8).known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_sleeps_could_use_all_of_the_time),
        cmocka_unit_test(waiting_for_a_processor_does_not_count),
        cmocka_unit_test(of_a_runnable_thread_only_its_run_time_counts),
        cmocka_unit_test(all_counts_if_the_kernel_does_not_say),
        cmocka_unit_test_setup_teardown(the_kernels_files_are_read, tree_begin, tree_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
