/* test_store_size.c - holds how large a store is by default, that it fits, and that what does not fit is refused with what
 * is short and what helps. */
#include "unit.h"
#include "node/store_size.h"

#define MB (UINT64_C(1) << 20)

static const struct tbi_store_host alone = {"here", 1, 1, 10000 * MB, UINT64_MAX, 0, UINT64_MAX, UINT64_MAX, 40 * MB, 256};
static const struct tbi_store_host four = {"here", 4, 4, 10000 * MB, 8000 * MB, 8 * MB, UINT64_MAX, UINT64_MAX, 40 * MB, 256};
static char why[400];

static void refused(struct tbi_store_host host, uint64_t wanted, const char *says, const char *not)
{
    assert_int_equal(tbi_store_size(&host, wanted, why, sizeof why), 0);
    if (strstr(why, says) == NULL || (not != NULL && strstr(why, not) != NULL))
        fail_msg("\"%s\" does not say \"%s\"", why, says);
    assert_null(strchr(why, '\n'));
}

static void a_job_alone_has_three_tenths_of_memory_whatever_dev_shm_is(void **state)
{
    struct tbi_store_host host = alone;

    (void)state;
    assert_int_equal(tbi_store_size(&host, 0, why, sizeof why), 3000 * MB);
    host.shm_free = 64 * MB;
    assert_int_equal(tbi_store_size(&host, 0, why, sizeof why), 3000 * MB);
}

static void ranks_share_three_tenths_of_memory_or_of_dev_shm(void **state)
{
    struct tbi_store_host host = four;

    (void)state;
    assert_int_equal(tbi_store_size(&host, 0, why, sizeof why), 600 * MB);
    host.shm_free = 20000 * MB;
    assert_int_equal(tbi_store_size(&host, 0, why, sizeof why), 750 * MB);
    host.mapped = 1; /* each in memory of its own */
    host.shm_free = 64 * MB;
    assert_int_equal(tbi_store_size(&host, 0, why, sizeof why), 750 * MB);
}

static void the_default_fits_into_what_little_there_is(void **state)
{
    struct tbi_store_host host = four;
    uint64_t bytes;

    (void)state;
    host.shm_free = 40 * MB;
    bytes = tbi_store_size(&host, 0, why, sizeof why);
    assert_in_range(bytes, MB, 2 * MB);
    assert_true(4 * (bytes + bytes / 16 + 8 * MB) <= 40 * MB);
    host = four;
    host.address_space = 1000 * MB;
    assert_int_equal(tbi_store_size(&host, 0, why, sizeof why), 125 * MB);
    host = alone;
    host.address_space = 1000 * MB;
    assert_int_equal(tbi_store_size(&host, 0, why, sizeof why), 500 * MB);
    host.address_space = UINT64_MAX;
    host.private_memory = 42 * MB;
    assert_int_equal(tbi_store_size(&host, 0, why, sizeof why), 512 * MB);
}

static void what_is_wanted_and_fits_is_given(void **state)
{
    (void)state;
    assert_int_equal(tbi_store_size(&alone, 9000 * MB, why, sizeof why), 9000 * MB);
    assert_int_equal(tbi_store_size(&four, 1800 * MB, why, sizeof why), 1800 * MB);
}

static void what_does_not_fit_is_refused_with_what_is_short(void **state)
{
    struct tbi_store_host host = four;

    (void)state;
    refused(four, 1900 * MB, "4 ranks of 1900 MB need 8107 MB, /dev/shm has 8000 MB free; set TB_STORE lower", NULL);
    refused(alone, 20000 * MB, "1 rank of 20000 MB needs 20000 MB, it has 10000 MB of memory; set TB_STORE lower", NULL);
    host.address_space = 1000 * MB;
    refused(host, 300 * MB, "a process maps 8 times 300 MB, and the limit of its address space (ulimit -v) leaves 1000 MB",
            NULL);
    host.address_space = 0;
    refused(host, 0, "(ulimit -v)", NULL);
    host = alone;
    host.private_memory = 42 * MB;
    refused(host, 600 * MB, "3 MB of private memory for the table of a part of 600 MB, and the limit (ulimit -d) leaves 2 MB; "
            "set TB_STORE lower, or that higher", NULL);
}

static void what_a_smaller_store_does_not_help_is_told_apart(void **state)
{
    struct tbi_store_host host = alone;

    (void)state;
    host.private_memory = 30 * MB;
    refused(host, 0, "(ulimit -d) on host here leaves 30 MB, and threads and tables of Thornback need 40 MB", NULL);
    refused(host, 64 * MB, "whatever TB_STORE is; set it higher", NULL);
    host = alone;
    host.memory = UINT64_MAX;
    refused(host, 0, "is not known, for /proc/meminfo cannot be read: set TB_STORE", "bytes");
    assert_int_equal(tbi_store_size(&host, 64 * MB, why, sizeof why), 64 * MB);
}

static void where_mpi_alone_needs_too_much_a_smaller_store_is_not_the_advice(void **state)
{
    struct tbi_store_host host = four;

    (void)state;
    host.ranks = host.mapped = 9;
    host.shm_free = 64 * MB;
    refused(host, 0, "need 9 MB a rank there, whatever TB_STORE is, and 64 MB are free for 9 ranks; make it larger, or start "
            "fewer ranks", "TB_STORE lower");
    refused(host, 64 * MB, "make it larger, or start fewer ranks", "TB_STORE lower");
    host.mapped = 1;
    refused(host, 0, "need 8 MB a rank there", "TB_STORE lower");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_alone_has_three_tenths_of_memory_whatever_dev_shm_is),
        cmocka_unit_test(ranks_share_three_tenths_of_memory_or_of_dev_shm),
        cmocka_unit_test(the_default_fits_into_what_little_there_is),
        cmocka_unit_test(what_is_wanted_and_fits_is_given),
        cmocka_unit_test(what_does_not_fit_is_refused_with_what_is_short),
        cmocka_unit_test(what_a_smaller_store_does_not_help_is_told_apart),
        cmocka_unit_test(where_mpi_alone_needs_too_much_a_smaller_store_is_not_the_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
