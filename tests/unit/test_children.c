/* test_children.c - holds that a process finds its children, by the kernel's list and without it, and ends all that
 * are below it, however they have detached themselves. */
#include "unit.h"

#include "exec/children.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 300 };

struct found {
    pid_t pid[2 * N];
    int n;
};

static void note(void *ctx, pid_t pid)
{
    struct found *f = ctx;

    assert_true(f->n < 2 * N);
    f->pid[f->n++] = pid;
}

static int compare(const void *a, const void *b)
{
    return *(const pid_t *)a - *(const pid_t *)b;
}

static void assert_finds(void (*each)(void (*)(void *, pid_t), void *), const pid_t *child, int n)
{
    struct found f = {.n = 0};

    each(note, &f);
    qsort(f.pid, (size_t)f.n, sizeof f.pid[0], compare);
    assert_int_equal(f.n, n);
    assert_memory_equal(f.pid, child, (size_t)n * sizeof *child);
}

static void both_ways_find_all_children_whatever_they_are_called(void **state)
{
    pid_t child[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            prctl(PR_SET_NAME, i % 2 ? ") S 1 (" : "1) Z");
            for (;;)
                pause();
        }
        assert_true(child[i] > 0);
    }
    qsort(child, N, sizeof child[0], compare);
    assert_finds(tbi_children_each, child, N);
    assert_finds(tbi_children_each_by_scan, child, N);
    assert_true(tbi_children_end(60000));
    assert_finds(tbi_children_each, child, 0);
    assert_finds(tbi_children_each_by_scan, child, 0);
}

/* A tree of processes, each in a session of its own, whose inner nodes leave; all hold `fd`. */
static void grow(int depth)
{
    for (int i = 0; i < 2; i++)
        if (fork() == 0) {
            setsid();
            if (depth > 0) {
                grow(depth - 1);
                _exit(0);
            }
            for (;;)
                pause();
        }
}

static void all_that_are_below_are_ended_though_their_parents_have_left(void **state)
{
    int held[2], status;
    char byte;
    pid_t top;

    (void)state;
    assert_int_equal(pipe(held), 0);
    top = fork();
    if (top == 0) {
        tbi_children_adopt();
        close(held[0]);
        grow(3);
        _exit(tbi_children_end(60000) ? 0 : 1);
    }
    close(held[1]);
    assert_int_equal(read(held[0], &byte, 1), 0); /* the last one that held it has ended */
    close(held[0]);
    assert_int_equal(waitpid(top, &status, 0), top);
    assert_int_equal(status, 0);
}

static void a_child_that_has_ended_is_forgotten(void **state)
{
    siginfo_t info;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    tbi_children_reap();
    assert_int_equal(waitpid(child, NULL, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_find_all_children_whatever_they_are_called),
        cmocka_unit_test(all_that_are_below_are_ended_though_their_parents_have_left),
        cmocka_unit_test(a_child_that_has_ended_is_forgotten)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
