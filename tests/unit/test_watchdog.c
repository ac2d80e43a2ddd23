/* test_watchdog.c - holds node/watchdog: a process in which a call of MPI does not return is ended, with one line
 * that says where and why, and one that does not answer SIGUSR2 is named; one that computes, gets no processor or
 * was stopped as a whole is not ended. */
#include "unit.h"
#include "exec/bell.h"
#include "node/roll_call.h"
#include "node/watchdog.h"

#include <poll.h>
#include <signal.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT_US = 300000 };

/* Time itself is what these tests are of, and a process that lets it pass has nothing else to wait for. */
static void let_pass(unsigned us)
{
    poll(NULL, 0, (int)(us / 1000));
}

static void stands_still(void)
{
    tbi_watchdog_enter(tbi_watchdog_start(LIMIT_US, 3, "here"));
    for (;;)
        pause();
}

static void turns_for_three_limits(void)
{
    struct tbi_watchdog *dog = tbi_watchdog_start(LIMIT_US, 3, "here");
    uint64_t end = tbi_now_us() + 3 * LIMIT_US;

    while (tbi_now_us() < end) {
        tbi_watchdog_enter(dog);
        let_pass(1000);
        tbi_watchdog_leave(dog);
    }
    tbi_watchdog_stop(dog);
    _exit(5);
}

static void handles_what_came_for_three_limits(void)
{
    struct tbi_watchdog *dog = tbi_watchdog_start(LIMIT_US, 3, "here");
    uint64_t end = tbi_now_us() + 3 * LIMIT_US;

    tbi_watchdog_enter(dog);
    while (tbi_now_us() < end) {
        tbi_watchdog_pat(dog);
        let_pass(1000);
    }
    tbi_watchdog_stop(dog);
    _exit(5);
}

/* A turn that computes for long. */
static void is_outside_for_three_limits(void)
{
    struct tbi_watchdog *dog = tbi_watchdog_start(LIMIT_US, 3, "here");

    tbi_watchdog_enter(dog);
    tbi_watchdog_leave(dog);
    let_pass(3 * LIMIT_US);
    tbi_watchdog_stop(dog);
    _exit(5);
}

/* In a call for three limits, on a processor that another process has: it runs only while that one does not want
 * to. */
static void gets_no_processor(void)
{
    struct tbi_watchdog *dog = tbi_watchdog_start(LIMIT_US, 3, "here");
    uint64_t end = tbi_now_us() + 3 * LIMIT_US;
    pid_t parent = getpid(), spinner;
    struct sched_param lowest = {0};
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    spinner = fork();
    if (spinner == 0) {
        close(STDERR_FILENO);
        while (getppid() == parent)
            ;
        _exit(0);
    }
    sched_setscheduler(0, SCHED_IDLE, &lowest);
    tbi_watchdog_enter(dog);
    while (tbi_now_us() < end)
        ;
    tbi_watchdog_leave(dog);
    kill(spinner, SIGKILL);
    waitpid(spinner, NULL, 0);
    tbi_watchdog_stop(dog);
    _exit(5);
}

/* SIGUSR2 came, and nothing takes notice of it; goes on when that was said. The line is what the parent reads. */
static void does_not_answer(bool in_mpi)
{
    struct tbi_watchdog *dog = tbi_watchdog_start(20000000, 3, "here");
    struct pollfd said = {.events = POLLIN};
    char line[512];
    int fds[2], to = dup(STDERR_FILENO);
    ssize_t n;

    if (pipe(fds) != 0)
        _exit(6);
    dup2(fds[1], STDERR_FILENO);
    if (in_mpi)
        tbi_watchdog_enter(dog);
    tbi_roll_call_ask();
    n = read(fds[0], line, sizeof line);
    (void)!write(to, line, n > 0 ? (size_t)n : 0);
    said.fd = fds[0];
    n = poll(&said, 1, 2500); /* it looks again meanwhile, and says it once */
    tbi_roll_call_take();
    tbi_watchdog_stop(dog);
    _exit(n == 0 ? 5 : 7);
}

static void does_not_answer_in_mpi(void) { does_not_answer(true); }
static void does_not_answer_outside(void) { does_not_answer(false); }

static void does_not_come_to_an_end(void)
{
    struct tbi_watchdog *dog = tbi_watchdog_start(60000000, 3, "here");

    tbi_watchdog_see_off(dog, LIMIT_US);
    for (;;)
        pause();
}

/* Stops itself for longer than the limit; its parent lets it go on. */
static void is_stopped_meanwhile(void)
{
    struct tbi_watchdog *dog = tbi_watchdog_start(LIMIT_US, 3, "here");

    tbi_watchdog_enter(dog);
    raise(SIGSTOP);
    tbi_watchdog_stop(dog);
    _exit(5);
}

/* Runs it in a child: its exit status, and what it wrote to stderr. */
static int run(void (*child)(void), char *text, size_t size)
{
    int fds[2], status;
    ssize_t n, all = 0;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        child();
    }
    close(fds[1]);
    while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        let_pass(2 * LIMIT_US);
        kill(pid, SIGCONT);
    }
    while ((n = read(fds[0], text + all, size - 1 - (size_t)all)) > 0)
        all += n;
    text[all] = 0;
    close(fds[0]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void who_stands_still_is_ended_with_a_message(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(run(stands_still, text, sizeof text), 1);
    assert_string_equal(text, "thornback: rank 3 on host here: MPI did not return for 0.3 s (was a "
                        "host lost, or a descriptor of MPI closed? TB_HEARTBEAT sets the limit): the job ends\n");
}

static void who_turns_is_not(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(run(turns_for_three_limits, text, sizeof text), 5);
    assert_string_equal(text, "");
}

static void who_handles_what_came_within_a_call_is_not(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(run(handles_what_came_for_three_limits, text, sizeof text), 5);
    assert_string_equal(text, "");
}

static void who_computes_between_calls_is_not(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(run(is_outside_for_three_limits, text, sizeof text), 5);
    assert_string_equal(text, "");
}

static void who_gets_no_processor_has_missed_nothing(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(run(gets_no_processor, text, sizeof text), 5);
    assert_string_equal(text, "");
}

/* The line with the pid and the seconds, which vary, left out. */
static void assert_unheard(void (*child)(void), const char *why)
{
    char text[512], end[128];
    int pid, at = 0;
    double s;

    assert_int_equal(run(child, text, sizeof text), 5);
    assert_int_equal(sscanf(text, "thornback: rank 3 (pid %d on host here): for %lf s it has %n", &pid, &s, &at), 2);
    assert_true(s >= 2);
    snprintf(end, sizeof end, "not said what it waits for: its agent %s\n", why);
    assert_string_equal(text + at, end);
}

static void a_rank_that_does_not_answer_a_report_signal_is_named_once(void **state)
{
    (void)state;
    assert_unheard(does_not_answer_in_mpi, "is in a call of MPI");
    assert_unheard(does_not_answer_outside, "makes no turn");
}

static void an_end_that_does_not_come_is_ended(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(run(does_not_come_to_an_end, text, sizeof text), 1);
    assert_non_null(strstr(text, "rank 3 on host here: the end of the job does not come to an end "
                                 "within 0.3 s"));
}

static void who_was_stopped_has_missed_nothing(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(run(is_stopped_meanwhile, text, sizeof text), 5);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_stands_still_is_ended_with_a_message),
        cmocka_unit_test(who_turns_is_not),
        cmocka_unit_test(who_handles_what_came_within_a_call_is_not),
        cmocka_unit_test(who_computes_between_calls_is_not),
        cmocka_unit_test(who_gets_no_processor_has_missed_nothing),
        cmocka_unit_test(a_rank_that_does_not_answer_a_report_signal_is_named_once),
        cmocka_unit_test(an_end_that_does_not_come_is_ended),
        cmocka_unit_test(who_was_stopped_has_missed_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
