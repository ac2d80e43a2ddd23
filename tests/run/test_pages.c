/* test_pages.c - holds a job on a system whose pages of memory have 64 KiB, as some aarch64 kernels have: this
 * program's sysconf says so to the library. And one whose pages cannot work: tb_init says it in a line. */
#include "run.h"

#include <dlfcn.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

/* Before libc's. */
__attribute__((visibility("default"))) long sysconf(int name);
long sysconf(int name)
{
    static long (*real)(int);
    const char *page = getenv("TEST_PAGE");

    if (name == _SC_PAGESIZE)
        return page != NULL ? atol(page) : 65536;
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}

static int sum(tb_call *call)
{
    const double *x;
    double all = 0;
    size_t n;

    tb_must(tb_arg_array(call, 0, &x, &n));
    for (size_t i = 0; i < n; i++)
        all += x[i];
    return tb_return(call, all);
}
TB_TASK(sum);

static int numbers(tb_call *call)
{
    size_t n = (size_t)tb_arg_int(call, 0);
    double *x = malloc(n * sizeof *x);
    int rc;

    for (size_t i = 0; i < n; i++)
        x[i] = (double)i;
    rc = tb_return(call, tb_array(x, n));
    free(x);
    return rc;
}
TB_TASK(numbers);

static void objects_of_any_size_go_through_the_store(void **state)
{
    static const int sizes[] = {1, 4000, 8191, 8192, 8193, 100000, 300000};

    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        tb_ref x = tb_remote(numbers, sizes[i]), y = tb_remote(sum, x);
        double all = -1;

        assert_ok(tb_get(y, &all));
        assert_true(all == sizes[i] * (sizes[i] - 1.0) / 2);
        assert_ok(tb_release(x));
        assert_ok(tb_release(y));
    }
}

/* What a program alone, with pages of that size, writes to its stderr. */
static void run_with(const char *page, char *text, size_t size, int *status)
{
    extern char **environ;
    char *argv[] = {(char *)(uintptr_t)"/proc/self/exe", NULL}, *env[400], set[64];
    posix_spawn_file_actions_t actions;
    size_t n = 0;
    int fds[2], k = 0;
    ssize_t got;
    pid_t pid;

    for (char **e = environ; *e != NULL && k < 398; e++)
        if (strncmp(*e, "OMPI_", 5) != 0 && strncmp(*e, "PMI", 3) != 0 && strncmp(*e, "TB_", 3) != 0)
            env[k++] = *e; /* neither what a launcher sets nor other settings */
    snprintf(set, sizeof set, "TEST_PAGE=%s", page);
    env[k++] = set;
    env[k] = NULL;
    assert_int_equal(pipe(fds), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, argv, env), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    while (n + 1 < size && (got = read(fds[0], text + n, size - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = 0;
    close(fds[0]);
    assert_int_equal(waitpid(pid, status, 0), pid);
}

static void pages_that_cannot_work_are_refused_in_one_line(void **state)
{
    static const char *const pages[] = {"131072", "262144", "2048", "12288", "-1"};

    (void)state;
    for (unsigned i = 0; i < sizeof pages / sizeof *pages; i++) {
        char text[1000];
        int status;

        run_with(pages[i], text, sizeof text, &status);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 3 || strstr(text, "pages of memory have") == NULL ||
            strchr(text, '\n') != text + strlen(text) - 1)
            fail_msg("with pages of %s bytes: status %d, \"%s\"", pages[i], status, text);
    }
}

static int say_and_leave(void)
{
    int rc = tb_init(NULL, NULL, NULL);

    fprintf(stderr, "%s\n", rc == 0 ? "it works" : tb_last_error());
    if (rc == 0)
        tb_finalize();
    return rc == TB_ERR_UNSUPPORTED ? 3 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_of_any_size_go_through_the_store),
        cmocka_unit_test(pages_that_cannot_work_are_refused_in_one_line),
    };

    return getenv("TEST_PAGE") != NULL ? say_and_leave()
                                       : cmocka_run_group_tests(tests, run_begin, run_end);
}
