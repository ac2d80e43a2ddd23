/* test_orphans.c - holds when processes end that tasks have started: at once with a task that is cancelled or dies,
 * with their actor, and at the latest with the job; also those that have lost their parent, left the session or
 * changed their group. Until then they are left alone, and system and popen work. */
#include "counter.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>

/* Started processes hold the FIFO open for writing, so its end is their end. */
struct watch {
    struct gate fifo;
    int fd;
};

static struct watch watch_new(void)
{
    return (struct watch){gate_new(), -1};
}

/* Until the first of them is there. */
static void watch_reach(struct watch *w)
{
    w->fd = open(w->fifo.path, O_RDONLY | O_CLOEXEC);
    if (w->fd < 0)
        abort();
    unlink(w->fifo.path);
}

/* Within a minute: false, if they live on. */
static bool watch_ended(struct watch *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    char byte;
    bool ended = poll(&p, 1, 60000) == 1 && read(w->fd, &byte, 1) == 0;

    close(w->fd);
    return ended;
}

static bool watch_lives(const struct watch *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 0;
}

enum how { PLAIN, DETACHED, TREE, STUBBORN, HOWS };
static const char *const command[] = {
    "exec 9>%s; exec sleep 98765",
    "exec 9>%s; setsid sh -c 'sleep 98765 & sleep 98765 & wait' </dev/null >/dev/null 2>&1 &",
    "exec 9>%s; (sleep 98765 & (sleep 98765 & setsid sleep 98765 &) &) & sleep 98765",
    "exec 9>%s; trap '' INT TERM HUP QUIT; sleep 98765 & exec sleep 98765"};

static int start(const char *path, int how)
{
    char text[400];

    snprintf(text, sizeof text, command[how], path);
    return system(text);
}

/* arguments: path, enum how, what to do when the command has returned: 0 wait for ever, 1 return, 2 die */
static int starts(tb_call *call)
{
    int rc = start(tb_arg_string(call, 0), tb_arg_int(call, 1));

    if (tb_arg_int(call, 2) == 2)
        raise(SIGSEGV);
    while (tb_arg_int(call, 2) == 0)
        pause();
    return tb_return(call, rc);
}
TB_TASK(starts, .max_retries = TB_NONE, .num_cpus = TB_NONE);

static int empty(tb_call *call)
{
    return tb_return(call, 0);
}
TB_TASK(empty);

/* Until its process is ended. */
static int stays(tb_call *call)
{
    (void)call;
    for (;;)
        pause();
    return 0;
}
TB_TASK(stays, .max_retries = TB_NONE, .num_cpus = TB_NONE);

/* Uses the shell after it was cancelled, and says by marks what came of it. */
static int uses_the_shell_when_cancelled(tb_call *call)
{
    char line[16] = "";
    FILE *f;
    int rc;

    gate_wait(tb_arg_string(call, 0));
    if (tb_get(tb_remote(stays), NULL) != TB_ERR_CANCELLED)
        return -1;
    rc = system("exit 3");
    if (!WIFEXITED(rc) || WEXITSTATUS(rc) != 3)
        return -1;
    f = popen("echo said", "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL || strcmp(line, "said\n") != 0 || pclose(f) != 0)
        return -1;
    mark(tb_arg_string(call, 1));
    return tb_return(call, 0);
}
TB_TASK(uses_the_shell_when_cancelled, .max_retries = TB_NONE);

static int uses_the_shell(tb_call *call)
{
    char line[16] = "";
    int rc = system("exit 3"), pid = 0;
    FILE *f = popen("echo $$", "r");

    if (fgets(line, sizeof line, f) != NULL)
        pid = atoi(line);
    return tb_return(call, WIFEXITED(rc) && WEXITSTATUS(rc) == 3 && pid > 0 && pclose(f) == 0);
}
TB_TASK(uses_the_shell);

static void what_a_cancelled_task_has_started_ends_with_it(void **state)
{
    (void)state;
    for (int how = 0; how < HOWS; how++)
        for (int force = 0; force < 2; force++) {
            struct watch w = watch_new();
            tb_ref r = tb_remote(starts, w.fifo.path, how, 0);

            watch_reach(&w);
            assert_ok(tb_cancel(r, force ? TB_CANCEL_FORCE : 0));
            assert_call_fails(TB_ERR_CANCELLED, "", r);
            assert_true(watch_ended(&w));
        }
}

static void what_a_crashing_task_has_started_ends_with_it(void **state)
{
    struct watch w = watch_new();
    tb_ref r = tb_remote(starts, w.fifo.path, DETACHED, 2);

    (void)state;
    watch_reach(&w);
    assert_call_fails(TB_ERR_CRASHED, "", r);
    assert_true(watch_ended(&w));
}

static void system_and_popen_work_in_tasks(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(get_int(tb_remote(uses_the_shell)), 1);
}

static void system_and_popen_work_in_a_cancelled_task(void **state)
{
    struct marks done = marks_new();
    struct gate gate = gate_new();
    tb_ref r = tb_remote(uses_the_shell_when_cancelled, gate.path, done.path);

    (void)state;
    gate_reach(&gate);
    assert_ok(tb_cancel(r, 0));
    gate_open(&gate);
    assert_call_fails(TB_ERR_CANCELLED, "", r);
    assert_int_equal(marks_await(done.path, 1), 1);
    marks_end(&done);
}

static struct watch left;

/* Its end is looked for when the job has ended. */
static void what_a_task_that_returned_has_started_lives_on(void **state)
{
    (void)state;
    left = watch_new();
    tb_ref r = tb_remote(starts, left.fifo.path, DETACHED, 1);

    watch_reach(&left);
    assert_int_equal(get_int(r), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(get_int(tb_remote(empty)), 0);
    assert_true(watch_lives(&left));
}

/* ---- actors ---- */

struct starter { int started; };

static int starter_start(tb_call *call, struct starter *self)
{
    self->started++;
    return tb_return(call, start(tb_arg_string(call, 0), DETACHED));
}
TB_ACTOR(starter, struct starter);
TB_METHOD(starter, starter_start);

static void what_an_actor_has_started_ends_with_it(void **state)
{
    (void)state;
    for (int kills = 0; kills < 2; kills++) {
        tb_actor a = tb_actor_new(starter);
        struct watch w = watch_new();
        tb_ref r = tb_actor_call(a, starter_start, w.fifo.path);

        watch_reach(&w);
        assert_int_equal(get_int(r), 0);
        assert_true(watch_lives(&w));
        if (kills)
            assert_ok(tb_kill(a, 0));
        assert_ok(tb_actor_release(a));
        assert_true(watch_ended(&w));
    }
}

static int begin(void **state)
{
    setenv("TB_CANCEL_GRACE", "0.3", 0);
    return run_begin(state);
}

static int end(void **state)
{
    int rc = run_end(state);

    if (!watch_ended(&left)) {
        print_error("what a task has started outlives the job\n");
        return 1;
    }
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_cancelled_task_has_started_ends_with_it),
        cmocka_unit_test(what_a_crashing_task_has_started_ends_with_it),
        cmocka_unit_test(what_an_actor_has_started_ends_with_it),
        cmocka_unit_test(system_and_popen_work_in_tasks),
        cmocka_unit_test(system_and_popen_work_in_a_cancelled_task),
        cmocka_unit_test(what_a_task_that_returned_has_started_lives_on)};

    return cmocka_run_group_tests(tests, begin, end);
}
