/* test_isolation.c - what a task can write of memory that others work with: its own slot, its rank's bell, what it
 * is lent for writing, and what the program itself has shared; nothing of MPI, nothing of other tasks, no
 * object. Values are read-only to those who read them, the driver included.
 *
 * Linked with the library's insides, which say how large a slot is. */
#include "run.h"
#include "exec/slots.h"
#include "util/page.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LARGE = 1 << 20 }; /* bytes of a value that lies in the store */

static int *own; /* a page that the program shares with its tasks */

/* Bytes of shared memory that this process may write. */
static long writable(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long from, to;
    char line[512], mode[8];
    long sum = 0;

    if (maps == NULL)
        abort();
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 && mode[1] == 'w' && mode[3] == 's')
            sum += (long)(to - from);
    fclose(maps);
    return sum;
}

/* Could it be written there? The kernel says so without a signal. */
static bool may_write(const void *at)
{
    int ends[2];
    bool may;

    if (pipe(ends) != 0 || write(ends[1], "x", 1) != 1)
        abort();
    may = read(ends[0], (void *)(uintptr_t)at, 1) == 1;
    if (!may && errno != EFAULT)
        abort();
    close(ends[0]);
    close(ends[1]);
    return may;
}

static int measure(tb_call *call)
{
    return tb_return(call, writable());
}
TB_TASK(measure);

/* What each of two tasks that live at the same time sees. */
static int measure_both(tb_call *call)
{
    long sum = writable(), other = 0;
    int rc = tb_get(tb_remote(measure), &other);

    return rc != 0 ? rc : tb_return(call, other == sum ? sum : -1L);
}
TB_TASK(measure_both);

static int measure_while_writing(tb_call *call)
{
    long before = writable(), during, after;
    char *bytes;
    tb_ref r = tb_create_array(&bytes, LARGE);

    if (bytes == NULL)
        return tb_fail(call, "%s", tb_last_error());
    during = writable();
    memset(bytes, 1, LARGE);
    tb_must(tb_seal(r));
    after = writable();
    return tb_return(call, after != before ? -1L : during - before);
}
TB_TASK(measure_while_writing);

static int write_own(tb_call *call)
{
    *own = 7;
    return tb_return(call, *own);
}
TB_TASK(write_own);

static int write_argument(tb_call *call)
{
    const char *bytes;
    size_t n;

    tb_must(tb_arg_array(call, 0, &bytes, &n));
    return tb_return(call, (int)may_write(bytes));
}
TB_TASK(write_argument);

static int make_large(tb_call *call)
{
    char *bytes;

    tb_must(tb_return_array(call, 0, &bytes, LARGE));
    memset(bytes, 0, LARGE);
    return 0;
}
TB_TASK(make_large);

static long expected(void)
{
    struct tbi_slots *slots = tbi_slots_create(tbi_page_bytes());
    long bytes = (long)tbi_slots_kept(slots) + (long)tbi_page_bytes() /* the bell */ + (long)tbi_page_bytes() /* `own` */;

    tbi_slots_destroy(slots);
    return bytes;
}

static void nothing_shared_is_writable_in_a_task_but_its_slot_and_its_ranks_bell(void **state)
{
    long sum[8];
    tb_ref r[8];

    (void)state;
    for (int i = 0; i < 8; i++)
        r[i] = tb_remote(measure);
    for (int i = 0; i < 8; i++) {
        assert_ok(tb_get(r[i], &sum[i]));
        assert_int_equal(sum[i], expected());
    }
}

static void a_task_beside_another_has_no_more(void **state)
{
    long sum;

    (void)state;
    assert_ok(tb_get(tb_remote(measure_both), &sum));
    assert_int_equal(sum, expected());
}

static void what_a_task_is_lent_is_writable_until_it_is_sealed(void **state)
{
    long lent;

    (void)state;
    assert_ok(tb_get(tb_remote(measure_while_writing), &lent));
    assert_in_range(lent, LARGE, LARGE + 2 * (long)tbi_page_bytes());
}

static void memory_that_the_program_shares_itself_stays_shared(void **state)
{
    int v;

    (void)state;
    assert_ok(tb_get(tb_remote(write_own), &v));
    assert_int_equal(v, 7);
}

static void an_argument_is_read_only(void **state)
{
    static char bytes[LARGE];
    int may;
    tb_ref r = tb_put_array(bytes, LARGE);

    (void)state;
    assert_ok(tb_get(tb_remote(write_argument, r), &may));
    assert_false(may);
    assert_ok(tb_get(tb_remote(write_argument, tb_remote(make_large)), &may));
    assert_false(may);
}

static void a_view_of_the_driver_is_read_only(void **state)
{
    static char bytes[LARGE];
    tb_ref r[2] = {tb_put_array(bytes, LARGE), tb_remote(make_large)};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *view;
        size_t n;

        assert_ok(tb_get_array(r[i], &view, &n));
        assert_int_equal(n, LARGE);
        assert_false(may_write(view));
        assert_false(may_write(view + LARGE - 1));
        assert_int_equal(view[0], 0);
    }
}

static void what_the_driver_makes_in_place_cannot_be_written_once_it_is_sealed(void **state)
{
    const char *view;
    char *bytes, *beside;
    size_t n;
    tb_ref unsealed = tb_create_array(&beside, LARGE);
    tb_ref r = tb_create_array(&bytes, LARGE);

    (void)state;
    assert_true(may_write(bytes));
    memset(bytes, 5, LARGE);
    assert_ok(tb_seal(r));
    assert_false(may_write(bytes)); /* by the pointer that the driver wrote through */
    assert_false(may_write(bytes + LARGE - 1));
    assert_int_equal(bytes[0] + bytes[LARGE - 1], 10);
    assert_true(may_write(beside));
    assert_true(may_write(beside + LARGE - 1));
    assert_ok(tb_release(unsealed));
    assert_false(may_write(beside));
    assert_false(may_write(beside + LARGE - 1));
    assert_ok(tb_get_array(r, &view, &n));
    assert_int_equal(n, LARGE);
    assert_false(may_write(view));
    assert_int_equal(view[0] + view[LARGE - 1], 10);
}

static int gives_up(tb_call *call)
{
    char *bytes;
    tb_ref r = tb_create_array(&bytes, LARGE);
    bool before = may_write(bytes);

    tb_must(tb_release(r));
    return tb_return(call, before && !may_write(bytes));
}
TB_TASK(gives_up);

static void what_a_task_gives_up_unsealed_cannot_be_written_any_more(void **state)
{
    bool closed;

    (void)state;
    assert_ok(tb_get(tb_remote(gives_up), &closed));
    assert_true(closed);
}

/* What a test makes is released with it. */
static int begin_scope(void **state)
{
    (void)state;
    tb_scope_begin();
    return 0;
}

static int end_scope(void **state)
{
    (void)state;
    tb_scope_end();
    return 0;
}
#define SCOPED(claim) cmocka_unit_test_setup_teardown(claim, begin_scope, end_scope)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCOPED(nothing_shared_is_writable_in_a_task_but_its_slot_and_its_ranks_bell),
        SCOPED(a_task_beside_another_has_no_more),
        SCOPED(what_a_task_is_lent_is_writable_until_it_is_sealed),
        SCOPED(memory_that_the_program_shares_itself_stays_shared),
        SCOPED(an_argument_is_read_only),
        SCOPED(a_view_of_the_driver_is_read_only),
        SCOPED(what_the_driver_makes_in_place_cannot_be_written_once_it_is_sealed),
        SCOPED(what_a_task_gives_up_unsealed_cannot_be_written_any_more),
    };

    own = mmap(NULL, tbi_page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (own == MAP_FAILED)
        abort();
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
