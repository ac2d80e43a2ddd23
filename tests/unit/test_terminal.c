/* test_terminal.c - holds node/terminal: all lines are written, whole and in order; nobody waits
 * for a reader but the terminal's own thread; a reader that is gone loses output and nothing
 * else. */
#include "unit.h"
#include "node/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

static struct tbi_terminal *terminal;
static int saved, reader;
static _Atomic unsigned wakes;

static void woken(void *ctx)
{
    (void)ctx;
    wakes++;
}

/* stderr is a pipe whose other end is ours; cmocka goes on writing to stdout. */
static int setup(void **state)
{
    int ends[2];

    (void)state;
    saved = dup(2);
    if (pipe(ends) != 0)
        return -1;
    dup2(ends[1], 2);
    close(ends[1]);
    reader = ends[0];
    wakes = 0;
    terminal = tbi_terminal_create(woken, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tbi_terminal_destroy(terminal);
    dup2(saved, 2);
    close(saved);
    if (reader >= 0)
        close(reader);
    return 0;
}

enum { LINES = 20000 };

static size_t put_lines(void)
{
    char line[64];
    size_t bytes = 0;

    for (int k = 0; k < LINES; k++) {
        int n = snprintf(line, sizeof line, "line %d of a long text\n", k);

        tbi_terminal_put(terminal, 2, line, (size_t)n);
        bytes += (size_t)n;
    }
    return bytes;
}

static void read_lines(void)
{
    FILE *f = fdopen(dup(reader), "r");
    char line[64], want[64];

    for (int k = 0; k < LINES; k++) {
        assert_non_null(fgets(line, sizeof line, f));
        snprintf(want, sizeof want, "line %d of a long text\n", k);
        assert_string_equal(line, want);
    }
    fclose(f);
}

/* Until all is written or lost. */
static void until_idle(void)
{
    while (tbi_terminal_backlog(terminal) > 0)
        sched_yield();
}

static void nobody_waits_for_the_reader(void **state)
{
    size_t bytes = put_lines(); /* more than a pipe holds, and nobody has read */

    (void)state;
    assert_true(bytes > 500000 && tbi_terminal_backlog(terminal) > bytes - (128 << 10));
    read_lines();
    until_idle();
    assert_true(wakes > 0);
}

static void what_is_left_is_written_at_the_end(void **state)
{
    (void)state;
    tbi_terminal_put(terminal, 2, "a line\n", 7);
    tbi_terminal_destroy(terminal);
    terminal = NULL;
    {
        char got[8] = "";

        assert_int_equal(read(reader, got, 8), 7);
        assert_string_equal(got, "a line\n");
    }
}

/* With SIGPIPE as it is: it would end the program. */
static void a_reader_that_is_gone_loses_output_alone(void **state)
{
    (void)state;
    close(reader);
    reader = -1;
    put_lines();
    until_idle();
    tbi_terminal_put(terminal, 1, "[ stdout goes on ]\n", 19);
    until_idle();
}

static void a_descriptor_that_does_not_block_loses_nothing(void **state)
{
    (void)state;
    fcntl(2, F_SETFL, O_NONBLOCK);
    put_lines();
    read_lines();
    until_idle();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nobody_waits_for_the_reader),
        TEST(what_is_left_is_written_at_the_end),
        TEST(a_reader_that_is_gone_loses_output_alone),
        TEST(a_descriptor_that_does_not_block_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
