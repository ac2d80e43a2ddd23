/* test_fork.c - holds what a program may do with fork, in tasks, actors and the driver: the child's calls into the
 * library fail with TB_ERR_STATE, a child that returns from the task's function, or leaves main, ends quietly, and
 * the parent notices nothing of all that; and what exit in a task does. */
#include "counter.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CALLS = 9 };

static int twice(tb_call *call)
{
    return tb_return(call, 2 * tb_arg_int(call, 0));
}
TB_TASK(twice);

/* In a child: the codes of what it tries. `call` may be NULL. */
static void try_all(tb_call *call, tb_ref held, int code[CALLS])
{
    size_t ready;
    int v, i = 0;

    code[i++] = tb_get(tb_remote(twice, 1), &v);
    code[i++] = tb_get(tb_put(1), &v);
    code[i++] = tb_wait(&held, 1, 1, -1, &ready);
    code[i++] = tb_cancel(held, 0);
    code[i++] = tb_release(held);
    code[i++] = tb_init(NULL, NULL, NULL);
    code[i++] = tb_finalize();
    code[i++] = call != NULL ? tb_return(call, 7) : TB_ERR_STATE;
    code[i++] = call != NULL ? tb_fail(call, "the child's") : TB_ERR_STATE;
}

/* How the child ended: its exit status, or -1. */
static int end_of(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Forks; the child tries everything. Returns how many of its calls failed with TB_ERR_STATE. */
static int child_tries(tb_call *call)
{
    int code[CALLS], n = 0, pipes[2];
    tb_ref held = tb_put(1);
    pid_t pid;

    if (pipe(pipes) != 0)
        abort();
    pid = fork();
    if (pid == 0) {
        try_all(call, held, code);
        _exit(write(pipes[1], code, sizeof code) != (ssize_t)sizeof code ||
              strstr(tb_last_error(), "fork") == NULL);
    }
    close(pipes[1]);
    if (read(pipes[0], code, sizeof code) == (ssize_t)sizeof code)
        for (int i = 0; i < CALLS; i++)
            n += code[i] == TB_ERR_STATE;
    close(pipes[0]);
    tb_release(held);
    return end_of(pid) == 0 ? n : -1;
}

static int forks_and_tries(tb_call *call)
{
    return tb_return(call, child_tries(call));
}
TB_TASK(forks_and_tries, .max_retries = TB_NONE);

/* The child cannot exec, and returns as if it were the task; at once, or when the gate opens. Returns how it
 * ended, if it is waited for. argument: the gate, if any */
static int forks_and_both_return(tb_call *call)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (tb_num_args(call) > 0)
            gate_wait(tb_arg_string(call, 0));
        execlp("/no/such/program", "program", (char *)NULL);
        return tb_fail(call, "cannot run it: %s", strerror(errno));
    }
    return tb_return(call, tb_num_args(call) > 0 ? 0 : end_of(pid));
}
TB_TASK(forks_and_both_return, .max_retries = TB_NONE);

static int child_must(tb_call *call)
{
    pid_t pid = fork();

    if (pid == 0) {
        fclose(stderr);
        tb_must(tb_release((tb_ref){1, 2}));
    }
    return tb_return(call, end_of(pid));
}
TB_TASK(child_must, .max_retries = TB_NONE);

static void others_run(void)
{
    tb_ref r[100];

    for (int i = 0; i < 100; i++)
        r[i] = tb_remote(twice, i);
    for (int i = 0; i < 100; i++)
        assert_int_equal(get_int(r[i]), 2 * i);
}

static void a_child_of_a_task_cannot_call_the_library(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(get_int(tb_remote(forks_and_tries)), CALLS);
    others_run();
}

static void a_child_of_the_driver_cannot_call_the_library(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(child_tries(NULL), CALLS);
    others_run();
}

static void a_child_of_the_driver_that_exits_ends_nothing(void **state)
{
    pid_t pid;

    (void)state;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        fclose(stdout); /* the test's own report is the parent's */
        exit(5);
    }
    assert_int_equal(end_of(pid), 5);
    others_run();
}

static void a_child_that_returns_from_the_task_ends_with_its_parents_result_untouched(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(get_int(tb_remote(forks_and_both_return)), 1);
    others_run();
}

static void a_child_that_returns_after_its_parent_does_not_harm_the_tasks_that_follow(void **state)
{
    struct gate gate = gate_new();

    (void)state;
    assert_int_equal(get_int(tb_remote(forks_and_both_return, gate.path)), 0);
    others_run();
    gate_open(&gate);
    others_run();
}

static void tb_must_in_a_child_ends_the_child_alone(void **state)
{
    (void)state;
    assert_int_equal(get_int(tb_remote(child_must)), 1);
    others_run();
}

/* ---- children that pthread_atfork does not tell of ---- */

/* vfork, whose child cannot exec and returns as if it were the task. */
static int vforks_and_both_return(tb_call *call)
{
    pid_t pid = vfork();

    if (pid == 0) {
        execlp("/no/such/program", "program", (char *)NULL);
        return tb_fail(call, "cannot run it: %s", strerror(errno));
    }
    return tb_return(call, end_of(pid));
}
TB_TASK(vforks_and_both_return, .max_retries = TB_NONE);

static int forks_by_number(tb_call *call)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    return pid == 0 ? 3 : tb_return(call, end_of((pid_t)pid));
}
TB_TASK(forks_by_number, .max_retries = TB_NONE);

/* Its child goes on in its place, and it ends. */
static int is_daemon(tb_call *call)
{
    tb_must(daemon(1, 1));
    return tb_return(call, 18);
}
TB_TASK(is_daemon, .max_retries = TB_NONE);

static void a_child_of_vfork_that_returns_ends_and_later_ones_are_noticed(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        tb_ref r;
        int v;

        assert_int_equal(get_int(tb_remote(vforks_and_both_return)), 1);
        assert_int_equal(get_int(tb_remote(forks_by_number)), 1);
        r = tb_remote(is_daemon);
        assert_int_equal(tb_get(r, &v), TB_ERR_CRASHED);
        assert_ok(tb_release(r));
        assert_int_equal(get_int(tb_remote(forks_and_both_return)), 1);
        others_run();
    }
}

/* ---- exit ---- */

static char cleaned[96];      /* made by the driver's handlers, in other processes than its own */
static pid_t driver;
static char cleaned_here[96]; /* in a process of tasks: marked by its own handler */

static void clean_driver(void)
{
    if (getpid() != driver)
        close(open(cleaned, O_CREAT | O_WRONLY, 0600));
}

static void clean_task(void)
{
    mark(cleaned_here);
}

/* arguments: the path of marks; how: 0 exit, 1 quick_exit */
static int exits_itself(tb_call *call)
{
    snprintf(cleaned_here, sizeof cleaned_here, "%s", tb_arg_string(call, 0));
    if (tb_arg_int(call, 1) == 1)
        quick_exit(7);
    atexit(clean_task);
    exit(7);
}
TB_TASK(exits_itself, .max_retries = TB_NONE);

static void exit_in_a_task_runs_its_handlers_and_not_the_drivers(void **state)
{
    struct marks own = marks_new();

    (void)state;
    unlink(cleaned); /* of a child of the driver */
    for (int how = 0; how < 2; how++) {
        tb_ref r = tb_remote(exits_itself, own.path, how);
        tb_error e;

        assert_int_equal(tb_get(r, NULL), TB_ERR_CRASHED);
        assert_ok(tb_error_detail(r, &e));
        if (how == 0)
            assert_non_null(strstr(e.message, "exit status 7"));
        assert_ok(tb_release(r));
    }
    others_run();
    assert_int_equal(marks_end(&own), 1);
    assert_int_not_equal(access(cleaned, F_OK), 0);
}

/* ---- actors ---- */

/* Its constructor, method and fini fork children that return. */
struct forker { int value; char path[96]; };

static int forker_init(tb_call *call, struct forker *self)
{
    pid_t pid = fork();

    self->value = 40;
    snprintf(self->path, sizeof self->path, "%s", tb_arg_string(call, 0));
    return pid == 0 ? 0 : end_of(pid) == 0 ? 0 : -1;
}

static void forker_fini(struct forker *self)
{
    pid_t pid = fork();

    if (pid != 0 && end_of(pid) == 0)
        mark(self->path);
}

static int forker_add(tb_call *call, struct forker *self)
{
    pid_t pid = fork();

    self->value++;
    if (pid == 0)
        return 3;
    return tb_return(call, end_of(pid) == 1 ? self->value : -1);
}
TB_ACTOR(forker, struct forker, .init = forker_init, .fini = forker_fini);
TB_METHOD(forker, forker_add);

static void children_of_an_actor_that_return_leave_it_as_it_is(void **state)
{
    static const int at_once[] = {1, 3};

    (void)state;
    for (int k = 0; k < 2; k++) { /* with threads for its calls, too */
        struct marks ended = marks_new();
        tb_actor a = tb_actor_new_with(forker, TB_OPTIONS(.max_concurrency = at_once[k]), ended.path);

        for (int i = 1; i <= 10; i++)
            assert_int_equal(get_int(tb_actor_call(a, forker_add)), 40 + i);
        assert_ok(tb_actor_release(a));
        marks_await(ended.path, 1);
        assert_int_equal(marks_end(&ended), 1);
    }
    others_run();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_of_a_task_cannot_call_the_library),
        cmocka_unit_test(a_child_of_the_driver_cannot_call_the_library),
        cmocka_unit_test(a_child_of_the_driver_that_exits_ends_nothing),
        cmocka_unit_test(a_child_that_returns_from_the_task_ends_with_its_parents_result_untouched),
        cmocka_unit_test(a_child_that_returns_after_its_parent_does_not_harm_the_tasks_that_follow),
        cmocka_unit_test(a_child_of_vfork_that_returns_ends_and_later_ones_are_noticed),
        cmocka_unit_test(tb_must_in_a_child_ends_the_child_alone),
        cmocka_unit_test(exit_in_a_task_runs_its_handlers_and_not_the_drivers),
        cmocka_unit_test(children_of_an_actor_that_return_leave_it_as_it_is)};

    driver = getpid();
    snprintf(cleaned, sizeof cleaned, "/tmp/tb-cleaned-%d", (int)driver);
    atexit(clean_driver); /* before tb_init, so that processes of tasks have a copy */
    at_quick_exit(clean_driver);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
