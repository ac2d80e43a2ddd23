/* test_machine.c - holds node/machine and node/cgroup: the limits of control groups of version
 * 1, 2 and both, with all their parents and as containers see them, and those of a SLURM
 * allocation. */
#include "unit.h"
#include "tree.h"
#include "node/cgroup.h"
#include "node/machine.h"

#include <errno.h>
#include <limits.h>
#include <sys/resource.h>

#define MEMORY_V1 "/sys/fs/cgroup/memory"
#define CPU_V1 "/sys/fs/cgroup/cpu,cpuacct"
#define GB (UINT64_C(1) << 30)

/* What the kernel says of a host that uses version 1, 2, or both at once. */
static void mount_v1(const char *memory, const char *cpu)
{
    char text[512];

    snprintf(text, sizeof text, "7:cpuset:/\n5:cpu,cpuacct:%s\n4:memory:%s\n", cpu, memory);
    tree_file("/proc/self/cgroup", text);
    tree_file("/proc/self/mountinfo",
              "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
              "33 31 0:30 / " CPU_V1 " rw,nosuid shared:8 - cgroup cgroup rw,cpu,cpuacct\n"
              "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
              "35 31 0:32 / " MEMORY_V1 " rw,relatime - cgroup cgroup rw,memory\n");
}

static void mount_v2(const char *group, const char *root)
{
    char text[512];

    snprintf(text, sizeof text, "0::%s\n", group);
    tree_file("/proc/self/cgroup", text);
    snprintf(text, sizeof text, "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
             "30 24 0:26 %s /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
             root);
    tree_file("/proc/self/mountinfo", text);
}

static void assert_limits(uint64_t memory, uint64_t quota)
{
    struct tbi_system sys = tree_system();

    assert_true(tbi_cgroup_memory(&sys) == memory);
    assert_true(tbi_cgroup_quota(&sys) == quota);
}

static void without_groups_there_is_no_limit(void **state)
{
    struct tbi_system sys = tree_system();

    (void)state;
    assert_limits(UINT64_MAX, UINT64_MAX);
    assert_int_equal(tbi_machine_cpus(&sys), UINT_MAX);
    assert_true(tbi_machine_memory(&sys) == UINT64_MAX);
}

static void version_1_limits(void **state)
{
    (void)state;
    mount_v1("/job/7", "/job/7");
    tree_file(MEMORY_V1 "/job/7/memory.limit_in_bytes", "4294967296\n");
    tree_file(CPU_V1 "/job/7/cpu.cfs_quota_us", "150000\n");
    tree_file(CPU_V1 "/job/7/cpu.cfs_period_us", "100000\n");
    assert_limits(4 * GB, 1500);
}

static void version_1_without_a_quota_says_minus_one(void **state)
{
    (void)state;
    mount_v1("/", "/");
    tree_file(MEMORY_V1 "/memory.limit_in_bytes", "9223372036854771712\n");
    tree_file(CPU_V1 "/cpu.cfs_quota_us", "-1\n");
    tree_file(CPU_V1 "/cpu.cfs_period_us", "100000\n");
    assert_limits(UINT64_C(9223372036854771712), UINT64_MAX);
}

static void version_2_limits(void **state)
{
    (void)state;
    mount_v2("/user.slice/job", "/");
    tree_file("/sys/fs/cgroup/user.slice/job/memory.max", "1073741824\n");
    tree_file("/sys/fs/cgroup/user.slice/job/cpu.max", "250000 100000\n");
    assert_limits(GB, 2500);
}

static void max_is_no_limit(void **state)
{
    (void)state;
    mount_v2("/a", "/");
    tree_file("/sys/fs/cgroup/a/memory.max", "max\n");
    tree_file("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    assert_limits(UINT64_MAX, UINT64_MAX);
}

static void the_least_of_all_parents_counts(void **state)
{
    (void)state;
    mount_v2("/slurm/job_1/step_0", "/");
    tree_file("/sys/fs/cgroup/slurm/job_1/step_0/memory.max", "max\n");
    tree_file("/sys/fs/cgroup/slurm/job_1/step_0/cpu.max", "800000 100000\n");
    tree_file("/sys/fs/cgroup/slurm/job_1/memory.max", "2147483648\n");
    tree_file("/sys/fs/cgroup/slurm/job_1/cpu.max", "300000 100000\n");
    tree_file("/sys/fs/cgroup/slurm/memory.max", "8589934592\n");
    tree_file("/sys/fs/cgroup/slurm/cpu.max", "400000 50000\n");
    assert_limits(2 * GB, 3000);
}

static void the_groups_mounted_at_the_top_count_too(void **state)
{
    (void)state;
    mount_v2("/a", "/");
    tree_file("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_limits(UINT64_MAX, 500);
}

/* In a container the mount is its own group, and paths may be those outside. */
static void a_container_finds_its_own_group(void **state)
{
    (void)state;
    mount_v2("/docker/abc/inner", "/docker/abc");
    tree_file("/sys/fs/cgroup/inner/memory.max", "max\n");
    tree_file("/sys/fs/cgroup/memory.max", "3221225472\n");
    assert_limits(3 * GB, UINT64_MAX);
}

static void a_path_outside_of_the_namespace_is_the_mount(void **state)
{
    (void)state;
    mount_v2("/../../other", "/");
    tree_file("/sys/fs/cgroup/memory.max", "1073741824\n");
    tree_file("/sys/other/memory.max", "4096\n"); /* where a careless reader would end up */
    tree_file("/other/memory.max", "4096\n");
    assert_limits(GB, UINT64_MAX);
}

static void a_group_with_a_longer_name_is_not_below(void **state)
{
    (void)state;
    mount_v2("/docker/abcdef", "/docker/abc");
    tree_file("/sys/fs/cgroup/memory.max", "1073741824\n");
    tree_file("/sys/fs/cgroupdef/memory.max", "4096\n");
    assert_limits(GB, UINT64_MAX);
}

static void hybrid_takes_each_limit_where_it_is(void **state)
{
    (void)state;
    tree_file("/proc/self/cgroup", "4:memory:/m\n1:cpu:/c\n0::/u\n");
    tree_file("/proc/self/mountinfo",
              "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
              "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n"
              "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
              "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
    tree_file("/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "400000\n");
    tree_file("/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n");
    tree_file("/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "4294967296\n");
    assert_limits(4 * GB, 4000);
    tree_file("/sys/fs/cgroup/unified/u/memory.max", "2147483648\n");
    tree_file("/sys/fs/cgroup/unified/u/cpu.max", "100000 100000\n");
    assert_limits(2 * GB, 1000);
}

static void assert_cpus(const char *quota, const char *slurm, unsigned want)
{
    struct tbi_system sys = tree_system();

    tree.n = 0;
    mount_v2("/a", "/");
    tree_file("/sys/fs/cgroup/a/cpu.max", quota);
    if (slurm != NULL)
        tree_set("SLURM_CPUS_ON_NODE", slurm);
    assert_int_equal(tbi_machine_cpus(&sys), want);
}

static void a_fraction_of_a_cpu_is_left_out_but_for_the_first(void **state)
{
    (void)state;
    assert_cpus("150000 100000", NULL, 1);
    assert_cpus("1050000 100000", NULL, 10);
    assert_cpus("20000 100000", NULL, 1);
    assert_cpus("max 100000", NULL, UINT_MAX);
}

static void an_allocation_limits_the_cpus(void **state)
{
    (void)state;
    assert_cpus("max 100000", "12", 12);
    assert_cpus("800000 100000", "12", 8);
    assert_cpus("1600000 100000", "12", 12);
    assert_cpus("max 100000", "many", UINT_MAX);
    assert_cpus("max 100000", "-3", UINT_MAX);
    assert_cpus("max 100000", "0", UINT_MAX);
    assert_cpus("max 100000", "99999999999999999999999", UINT_MAX);
}

static void memory_is_the_least_of_three(void **state)
{
    struct tbi_system sys = tree_system();

    (void)state;
    tree_file("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:  1 kB\n");
    assert_true(tbi_machine_memory(&sys) == 16 * GB);
    mount_v2("/a", "/");
    tree_file("/sys/fs/cgroup/a/memory.max", "8589934592\n");
    assert_true(tbi_machine_memory(&sys) == 8 * GB);
    tree_set("SLURM_MEM_PER_NODE", "4096");
    assert_true(tbi_machine_memory(&sys) == 4 * GB);
    tree.value[0] = "0"; /* all there is */
    assert_true(tbi_machine_memory(&sys) == 8 * GB);
    tree.value[0] = "18446744073709551615";
    assert_true(tbi_machine_memory(&sys) == 8 * GB);
}

static void memory_may_be_allocated_for_each_cpu(void **state)
{
    struct tbi_system sys = tree_system();

    (void)state;
    tree_file("/proc/meminfo", "MemTotal:       16777216 kB\n");
    tree_set("SLURM_MEM_PER_CPU", "1024");
    assert_true(tbi_machine_memory(&sys) == 16 * GB); /* for how many? */
    tree_set("SLURM_CPUS_ON_NODE", "3");
    assert_true(tbi_machine_memory(&sys) == 3 * GB);
}

static void shm_may_not_be_there(void **state)
{
    struct tbi_system sys = tree_system();

    (void)state;
    assert_true(tbi_machine_shm_free(&sys) == UINT64_MAX);
    tree_file("/dev/shm/a", "");
    assert_true(tbi_machine_shm_free(&sys) < UINT64_MAX);
}

/* A file that is not there, or not for us, says that there is no limit; of one that cannot be read nothing is known. */
static void what_should_be_readable_and_is_not_is_noted(void **state)
{
    struct tbi_system sys = tree_system();

    (void)state;
    mount_v2("/job", "/");
    assert_limits(UINT64_MAX, UINT64_MAX);
    assert_int_equal(tree.unread.error, 0);
    tree_link("/sys/fs/cgroup/job/memory.max", "memory.max");
    assert_limits(UINT64_MAX, UINT64_MAX);
    assert_int_equal(tree.unread.error, ELOOP);
    assert_string_equal(tree.unread.path, "/sys/fs/cgroup/job/memory.max");
    tree_file("/proc/meminfo/a_folder", "");
    tbi_machine_memory(&sys);
    assert_int_equal(tree.unread.error, ELOOP); /* the first one */
    memset(&tree.unread, 0, sizeof tree.unread);
    assert_true(tbi_machine_memory(&sys) == UINT64_MAX);
    assert_int_equal(tree.unread.error, EISDIR);
    assert_string_equal(tree.unread.path, "/proc/meminfo");
    memset(&tree.unread, 0, sizeof tree.unread);
    assert_true(tbi_machine_memory(&(struct tbi_system){tree.root, tree_getenv, NULL}) == UINT64_MAX);
    tree_file("/proc/self/statm", "1 1 1 1 0 1 0\n");
    tree_file("/proc/self/task/1/stat", "");
    assert_int_equal(tbi_machine_threads(&sys), 1);
    tree_link("/dev/shm", "shm");
    assert_true(tbi_machine_shm_free(&sys) == UINT64_MAX);
    assert_string_equal(tree.unread.path, "/dev/shm");
}

static void a_file_whose_reading_fails_is_noted(void **state)
{
    struct tbi_system sys = tree_system();
    char text[8] = "before";

    (void)state;
    tree_file("/proc/meminfo/a_folder", "");
    assert_false(tbi_system_read(&sys, "/proc/meminfo", text, sizeof text));
    assert_string_equal(text, "");
    assert_int_equal(tree.unread.error, EISDIR);
    assert_string_equal(tree.unread.path, "/proc/meminfo");
}

/* A limit that nothing here comes near, not even what sanitizers map. */
static void a_limit_of_private_memory_is_what_it_leaves(void **state)
{
    const rlim_t much = (rlim_t)1 << 46;
    struct tbi_system sys = tree_system();
    struct rlimit before, limit;
    uint64_t left, less, none;
    char beyond[64];

    (void)state;
    getrlimit(RLIMIT_DATA, &before);
    limit = before;
    limit.rlim_cur = much;
    if (before.rlim_max != RLIM_INFINITY && before.rlim_max < much)
        skip();
    assert_int_equal(setrlimit(RLIMIT_DATA, &limit), 0);
    tree_file("/proc/self/statm", "500000 10 10 10 0 1 0\n");
    left = tbi_machine_private(&sys);
    tree_file("/proc/self/statm", "500000 10 10 10 0 1001 0\n");
    less = tbi_machine_private(&sys);
    snprintf(beyond, sizeof beyond, "500000 10 10 10 0 %llu 0\n",
             (unsigned long long)much / (unsigned long long)sysconf(_SC_PAGESIZE) + 1);
    tree_file("/proc/self/statm", beyond);
    none = tbi_machine_private(&sys);
    assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
    assert_int_equal(none, 0);
    assert_in_range(left, much / 2, much);
    assert_int_equal(left - less, 1000 * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_true(tbi_machine_private_fixed() > 16 << 20);
    if (before.rlim_cur == RLIM_INFINITY)
        assert_true(tbi_machine_private(&sys) == UINT64_MAX);
}

/* This very machine: nothing above what the kernel itself says. */
static void this_machine_has_memory(void **state)
{
    struct tbi_system here = tbi_system_here();
    uint64_t installed = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    (void)state;
    assert_in_range(tbi_machine_memory(&here), 1 << 20, installed);
    assert_true(tbi_machine_cpus(&here) >= 1);
    assert_int_equal(tbi_machine_threads(&here), 1);
}

#define ON_A_TREE(test) cmocka_unit_test_setup_teardown(test, tree_begin, tree_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_TREE(without_groups_there_is_no_limit),
        ON_A_TREE(version_1_limits),
        ON_A_TREE(version_1_without_a_quota_says_minus_one),
        ON_A_TREE(version_2_limits),
        ON_A_TREE(max_is_no_limit),
        ON_A_TREE(the_least_of_all_parents_counts),
        ON_A_TREE(the_groups_mounted_at_the_top_count_too),
        ON_A_TREE(a_container_finds_its_own_group),
        ON_A_TREE(a_path_outside_of_the_namespace_is_the_mount),
        ON_A_TREE(a_group_with_a_longer_name_is_not_below),
        ON_A_TREE(hybrid_takes_each_limit_where_it_is),
        ON_A_TREE(a_fraction_of_a_cpu_is_left_out_but_for_the_first),
        ON_A_TREE(an_allocation_limits_the_cpus),
        ON_A_TREE(memory_is_the_least_of_three),
        ON_A_TREE(memory_may_be_allocated_for_each_cpu),
        ON_A_TREE(shm_may_not_be_there),
        ON_A_TREE(what_should_be_readable_and_is_not_is_noted),
        ON_A_TREE(a_file_whose_reading_fails_is_noted),
        ON_A_TREE(a_limit_of_private_memory_is_what_it_leaves),
        cmocka_unit_test(this_machine_has_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
