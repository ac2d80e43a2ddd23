/* test_descriptors.c - holds that what the program opened before tb_init means nothing else in tasks: what they write
 * to it is lost, and lands in no other file; and that what tasks write to streams of their own and do not flush is
 * in the file when the task has ended, once. */
#include "run.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <unistd.h>
#include <wchar.h>

static FILE *log_file;      /* opened before tb_init, with something buffered */
static int log_fd;
static char log_path[96];
static pid_t opener;

static const char header[] = "what was buffered before tb_init\n";

/* The text of a file, which is removed. */
static char *read_all(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    unlink(path);
    return text;
}

static const char *new_path(void)
{
    static char path[96];
    static int number;

    snprintf(path, sizeof path, "/tmp/tb-streams-%d-%d", (int)getpid(), number++);
    return path;
}

/* Writes to its own file, and to the program's log in between. */
static int writes_both(tb_call *call)
{
    FILE *f = fopen(tb_arg_string(call, 0), "w");
    int own = fileno(f);

    fprintf(f, "1\n");
    fflush(f);
    fprintf(log_file, "a task logs\n");
    fflush(log_file);
    dprintf(log_fd, "a task logs\n");
    fprintf(f, "2\n");
    fclose(f);
    return tb_return(call, own != log_fd);
}
TB_TASK(writes_both);

static FILE *kept; /* from task to task, in one process */

static int writes_and_keeps(tb_call *call)
{
    if (kept == NULL)
        kept = fopen(tb_arg_string(call, 0), "a");
    fprintf(kept, "%d\n", tb_arg_int(call, 1));
    return tb_return(call, 0);
}
TB_TASK(writes_and_keeps);

static int writes_wide_and_keeps(tb_call *call)
{
    FILE *f = fopen(tb_arg_string(call, 0), "w");

    fwprintf(f, L"wide\n");
    return tb_return(call, 0);
}
TB_TASK(writes_wide_and_keeps);

static void *reads(void *stream)
{
    return (void *)(intptr_t)getc(stream);
}

/* Leaves a thread that waits for input, with the lock of its stream. */
static int leaves_a_reader(tb_call *call)
{
    pthread_t thread;
    int ends[2];
    FILE *f;

    if (pipe(ends) != 0)
        return -1;
    f = fdopen(ends[0], "r");
    pthread_create(&thread, NULL, reads, f);
    while (ftrylockfile(f) == 0) {
        funlockfile(f);
        sched_yield();
    }
    return tb_return(call, 0);
}
TB_TASK(leaves_a_reader);

/* What the task returns. */
static int result_of(tb_ref r)
{
    int v = -1;

    assert_ok(tb_get_timeout(r, &v, 60));
    assert_ok(tb_release(r));
    return v;
}

static void what_a_task_writes_to_the_programs_file_lands_in_no_other(void **state)
{
    const char *path = new_path();

    (void)state;
    assert_true(result_of(tb_remote(writes_both, path)));
    assert_string_equal(read_all(path), "1\n2\n");
}

static void what_a_task_has_not_flushed_is_in_the_file_when_it_has_ended(void **state)
{
    const char *path = new_path();
    char expected[256] = "";

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(result_of(tb_remote(writes_and_keeps, path, i)), 0);
        sprintf(expected + strlen(expected), "%d\n", i);
    }
    assert_string_equal(read_all(path), expected);
}

static void wide_characters_are_flushed_too(void **state)
{
    const char *path = new_path();

    (void)state;
    assert_int_equal(result_of(tb_remote(writes_wide_and_keeps, path)), 0);
    assert_string_equal(read_all(path), "wide\n");
}

static void a_task_ends_though_a_thread_of_it_waits_for_input(void **state)
{
    (void)state;
    assert_int_equal(result_of(tb_remote(leaves_a_reader)), 0);
}

/* On the ranks that never come back from tb_init, too. */
static void remove_log(void)
{
    if (getpid() == opener)
        unlink(log_path);
}

static int begin(void **state)
{
    snprintf(log_path, sizeof log_path, "/tmp/tb-streams-log-%d", (int)getpid());
    opener = getpid();
    atexit(remove_log);
    log_file = fopen(log_path, "w");
    log_fd = fileno(log_file);
    fputs(header, log_file);
    return run_begin(state);
}

static int end(void **state)
{
    int rc = run_end(state);

    fclose(log_file);
    if (strcmp(read_all(log_path), header) != 0) {
        print_error("the program's log has not just what the program wrote\n");
        return 1;
    }
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_task_writes_to_the_programs_file_lands_in_no_other),
        cmocka_unit_test(what_a_task_has_not_flushed_is_in_the_file_when_it_has_ended),
        cmocka_unit_test(wide_characters_are_flushed_too),
        cmocka_unit_test(a_task_ends_though_a_thread_of_it_waits_for_input)};

    return cmocka_run_group_tests(tests, begin, end);
}
