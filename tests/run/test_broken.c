/* test_broken.c - holds what a job makes of executors that die with results for which their ring had no room, and of
 * tasks that overwrite the memory their process shares with its agent: they cost themselves, and nobody else. */
#include "run.h"

#include <signal.h>
#include <unistd.h>

enum { LONG = 120 /* seconds: against hangs */ };

/* ---- results without room ---- */

enum { RESULTS = 30, TASKS = 100 }; /* a task's results fill a ring */

static int full_task(tb_call *call)
{
    static char bytes[1900];

    if (tb_arg_int(call, 0) % 10 == 7 && tb_call_attempt(call) == 0)
        raise(SIGKILL);
    for (size_t i = 0; i < RESULTS; i++)
        tb_return_at(call, i, tb_bytes(bytes, sizeof bytes));
    return 0;
}
TB_TASK(full_task, .max_retries = 100);

static void an_executor_that_dies_with_full_rings_loses_no_task(void **state)
{
    static tb_ref r[TASKS][RESULTS];

    (void)state;
    for (int i = 0; i < TASKS; i++)
        assert_ok(tb_remote_n(full_task, r[i], RESULTS, i));
    for (int i = 0; i < TASKS; i++) {
        assert_ok(tb_get_timeout(r[i][0], (void *)NULL, LONG));
        assert_ok(tb_release_all(r[i], RESULTS));
    }
}

/* ---- wild writes ---- */

/* The slot of this process: what is shared with its agent alone. NULL: not found. `page0`: what it shares with all
 * executors, which comes before the slots that are closed to it. */
static char *find_shared(bool page0, size_t *bytes)
{
    FILE *f = fopen("/proc/self/maps", "r");
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char line[512], perm[8], *found = NULL;
    unsigned long from, to, last = 0, first = 0;

    while (f != NULL && found == NULL && fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx %7s", &from, &to, perm) == 3) {
            bool own = strcmp(perm, "rw-s") == 0;

            if (page0 && strcmp(perm, "---s") == 0 && last == from && first != 0)
                found = (char *)first;
            else if (!page0 && own && to - from > 100000 && to - from < 1000000)
                found = (char *)from;
            last = to;
            first = own && to - from == page ? from : 0;
            *bytes = found == NULL || page0 ? page : to - from;
        }
    if (f != NULL)
        fclose(f);
    return found;
}

/* Writes `byte` over so much of its slot, once. */
static int wild_task(tb_call *call)
{
    int byte = tb_arg_int(call, 0), from = tb_arg_int(call, 1), n = tb_arg_int(call, 2);
    size_t bytes;
    char *slot = find_shared(false, &bytes);

    if (slot == NULL)
        return tb_fail(call, "no slot was found");
    if (n == 0)
        n = (int)bytes;
    memset(slot + from, byte, (size_t)n);
    return tb_return(call, 1);
}
TB_TASK(wild_task, .max_retries = TB_NONE);

static int good_task(tb_call *call)
{
    return tb_return(call, tb_arg_int(call, 0));
}
TB_TASK(good_task);

static void a_task_that_overwrites_its_slot_costs_itself_alone(void **state)
{
    static const int byte[] = {0xff, 0, 1, 0x41};
    int page = (int)sysconf(_SC_PAGESIZE);
    const int at[][2] = {{0, 0}, {64, 8}, {page, 8}, {page + 64, 8}, {0, 64}};

    (void)state;
    for (size_t b = 0; b < sizeof byte / sizeof *byte; b++)
        for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
            tb_ref wild = tb_remote(wild_task, byte[b], at[k][0], at[k][1]), good[40];
            int value, rc;

            for (int i = 0; i < 40; i++)
                good[i] = tb_remote(good_task, i);
            for (int i = 0; i < 40; i++) {
                assert_ok(tb_get_timeout(good[i], &value, LONG));
                assert_int_equal(value, i);
            }
            rc = tb_get_timeout(wild, &value, LONG);
            if (rc != 0)
                assert_fails(TB_ERR_CRASHED, "overwritten", rc);
            assert_ok(tb_release_all(good, 40));
            assert_ok(tb_release(wild));
        }
}

/* Clears the bits that say who has news, until it is cancelled. */
static int hiding_task(tb_call *call)
{
    size_t bytes;
    char *page = find_shared(true, &bytes);

    if (page == NULL)
        return tb_fail(call, "no page was found");
    while (!tb_cancelled(call))
        memset(page, 0, 128);
    return tb_return(call, 1);
}
TB_TASK(hiding_task, .max_retries = TB_NONE, .num_cpus = TB_NONE);

static void a_task_that_clears_news_bits_hides_nobodys_news(void **state)
{
    tb_ref hides = tb_remote(hiding_task);
    int value;

    (void)state;
    for (int round = 0; round < 100; round++) {
        tb_ref r = tb_remote(good_task, round);

        assert_ok(tb_get_timeout(r, &value, LONG));
        assert_int_equal(value, round);
        assert_ok(tb_release(r));
    }
    assert_ok(tb_cancel(hides, TB_CANCEL_DEFAULT));
    assert_int_equal(tb_get_timeout(hides, &value, LONG), TB_ERR_CANCELLED);
    assert_ok(tb_release(hides));
}

RUN(cmocka_unit_test(an_executor_that_dies_with_full_rings_loses_no_task),
    cmocka_unit_test(a_task_that_overwrites_its_slot_costs_itself_alone),
    cmocka_unit_test(a_task_that_clears_news_bits_hides_nobodys_news))
