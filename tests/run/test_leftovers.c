/* test_leftovers.c - holds that what a task leaves behind in its process does not reach the next one: what can be undone
 * is, and the process is used again; else it runs no other task. So it is with how numbers are computed, signals,
 * timers, limits, processors, descriptors 0 to 2, threads, users and priorities. */
#include "counter.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>

extern char **environ;

static void handler(int s)
{
    (void)s;
}

/* ---- what a task may change ---- */

static void rounds(void) { fesetround(FE_UPWARD); }
#ifdef __x86_64__
static void flushes_to_zero(void) { __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040); }
static void traps(void) { __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() & ~0x200u); }
#else
static void flushes_to_zero(void) { fesetround(FE_DOWNWARD); }
static void traps(void) { fesetround(FE_TOWARDZERO); }
#endif
static void raises_flags(void) { feraiseexcept(FE_DIVBYZERO | FE_OVERFLOW); }
static void sets_alarm(void) { alarm(1000); }
static void sets_timer(void)
{
    struct itimerval soon = {{1000, 0}, {1000, 0}};

    tb_must(setitimer(ITIMER_VIRTUAL, &soon, NULL));
}
static void blocks_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    tb_must(-pthread_sigmask(SIG_SETMASK, &all, NULL));
}
static void ignores_signals(void) { tb_must(-(signal(SIGTERM, SIG_IGN) == SIG_ERR || signal(SIGFPE, SIG_IGN) == SIG_ERR)); }
static void handles_signals(void)
{
    struct sigaction act = {.sa_handler = handler};

    tb_must(sigaction(SIGUSR1, &act, NULL));
    tb_must(sigaction(SIGCHLD, &act, NULL));
}
static void lowers_a_limit(void)
{
    struct rlimit to;

    tb_must(getrlimit(RLIMIT_FSIZE, &to));
    to.rlim_cur = 0;
    tb_must(setrlimit(RLIMIT_FSIZE, &to));
}
static void moves_by_number(void) { tb_must((int)syscall(SYS_chdir, "/")); }
static void puts_other_environment(void)
{
    static char *other[] = {"ONLY=1", NULL};

    environ = other;
    tb_must(setenv("MORE", "1", 1));
}
static void assigns_other_environment(void)
{
    static char *other[] = {"ONLY=1", NULL};

    environ = other;
}
static void binds_itself(void)
{
    cpu_set_t all, one;
    int cpu = 0;

    tb_must(sched_getaffinity(0, sizeof all, &all));
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    tb_must(sched_setaffinity(0, sizeof one, &one));
}

static void lowers_a_hard_limit(void)
{
    struct rlimit to = {200, 200};

    tb_must(setrlimit(RLIMIT_NOFILE, &to));
}
static void is_nice(void) { tb_must(setpriority(PRIO_PROCESS, 0, 5)); }
static void makes_a_timer(void)
{
    struct itimerspec soon = {.it_value = {1000, 0}};
    timer_t timer;

    tb_must(timer_create(CLOCK_MONOTONIC, NULL, &timer));
    tb_must(timer_settime(timer, 0, &soon, NULL));
}
static void leaves_a_signal(void)
{
    blocks_signals();
    tb_must(raise(SIGUSR1));
}
static void closes_stdout(void) { tb_must(close(1)); }
static void closes_all(void)
{
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
}
static void closes_stream(void) { tb_must(fclose(stdout)); }
static void prints_elsewhere(void)
{
    int fd = open("/dev/null", O_WRONLY);

    tb_must(dup2(fd, 1));
    close(fd);
}
static void *waits(void *arg)
{
    for (;;)
        pause();
    return arg;
}
static inline int waits_too(void *arg)
{
    for (;;)
        pause();
    return arg != NULL;
}
static void leaves_a_thread(void)
{
    pthread_t thread;

    tb_must(-pthread_create(&thread, NULL, waits, NULL));
}
static inline void leaves_a_standard_thread(void)
{
    thrd_t thread;

    tb_must(-(thrd_create(&thread, waits_too, NULL) != thrd_success));
}
static void *returns(void *arg)
{
    return arg;
}
static void joins_its_threads(void)
{
    pthread_t thread[4];

    for (int i = 0; i < 4; i++)
        tb_must(-pthread_create(&thread[i], NULL, returns, NULL));
    for (int i = 0; i < 4; i++)
        tb_must(-pthread_join(thread[i], NULL));
}
static void *exits(void *arg)
{
    pthread_exit(arg);
}
static void joins_one_that_exits(void)
{
    pthread_t thread;

    tb_must(-pthread_create(&thread, NULL, exits, NULL));
    tb_must(-pthread_join(thread, NULL));
}

/* UNDONE: the process is used again. ENDED: it never is. EITHER: that depends on whose it is. */
enum { UNDONE, ENDED, EITHER };
static const struct {
    void (*change)(void);
    int how;
} change[] = {
    {rounds, UNDONE}, {flushes_to_zero, UNDONE}, {traps, UNDONE}, {raises_flags, UNDONE}, {sets_alarm, UNDONE},
    {sets_timer, UNDONE}, {blocks_signals, UNDONE}, {ignores_signals, UNDONE}, {handles_signals, UNDONE},
    {lowers_a_limit, UNDONE}, {moves_by_number, UNDONE}, {puts_other_environment, UNDONE},
    {assigns_other_environment, UNDONE}, {binds_itself, UNDONE}, {joins_its_threads, UNDONE},
    {joins_one_that_exits, UNDONE}, {lowers_a_hard_limit, EITHER}, {is_nice, ENDED}, {makes_a_timer, ENDED}, {leaves_a_signal, ENDED},
    {closes_stdout, ENDED}, {closes_all, ENDED}, {closes_stream, ENDED}, {prints_elsewhere, ENDED},
#ifndef __SANITIZE_THREAD__ /* which crashes in a thread that thrd_create made: it knows those of pthread_create alone */
    {leaves_a_standard_thread, ENDED},
#endif
    {leaves_a_thread, ENDED}};
enum { CHANGES = sizeof change / sizeof change[0] };

/* argument: which; or a number beyond: none. Returns its process. */
static int changes(tb_call *call)
{
    int which = tb_arg_int(call, 0);

    tb_must(tb_return(call, (int)getpid()));
    if (which < CHANGES)
        change[which].change();
    return 0;
}
TB_TASK(changes, .max_retries = TB_NONE);

/* ---- what a task finds ---- */

static int timers(void)
{
    struct itimerval real, other;

    getitimer(ITIMER_REAL, &real);
    getitimer(ITIMER_VIRTUAL, &other);
    return real.it_value.tv_sec > 0 || other.it_value.tv_sec > 0;
}

static void describe(char *to, size_t size)
{
    volatile double one = 1, three = 3, tiny = 1e-310;
    int blocked = 0, handled = 0, variables = 0, n;
    struct rlimit files, descriptors;
    sigset_t mask;
    cpu_set_t cpus;
    char dir[512] = "";

    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int s = 1; s < NSIG; s++) {
        struct sigaction act;

        blocked += sigismember(&mask, s) == 1;
        handled += sigaction(s, NULL, &act) == 0 && act.sa_handler != SIG_DFL;
    }
    while (environ != NULL && environ[variables] != NULL)
        variables++;
    getrlimit(RLIMIT_FSIZE, &files);
    getrlimit(RLIMIT_NOFILE, &descriptors);
    sched_getaffinity(0, sizeof cpus, &cpus);
    tb_must(-(getcwd(dir, sizeof dir) == NULL));
    n = fetestexcept(FE_ALL_EXCEPT) & (FE_DIVBYZERO | FE_OVERFLOW);
    snprintf(to, size, "flags %d, 1/3 %.17g, tiny %g, traps %d, timers %d, blocked %d, handled %d, variables %d, files %lld of %lld, "
             "cpus %d, nice %d, dir %s, uid %d", n, one / three, tiny * one,
#ifdef __x86_64__
             !(__builtin_ia32_stmxcsr() & 0x200u),
#else
             0,
#endif
             timers(), blocked, handled, variables, (long long)files.rlim_cur, (long long)descriptors.rlim_cur, CPU_COUNT(&cpus),
             getpriority(PRIO_PROCESS, 0), dir, (int)getuid());
}

/* Returns its process, and all that. */
static int looks(tb_call *call)
{
    char text[1024];

    describe(text, sizeof text);
    return tb_return(call, (int)getpid(), text);
}
TB_TASK(looks, .max_retries = TB_NONE);

static int find(char text[1024])
{
    tb_ref r[2];
    int pid;

    assert_ok(tb_remote_n(looks, r, 2));
    assert_ok(tb_get(r[0], &pid));
    assert_ok(tb_get_string(r[1], text, 1024));
    assert_ok(tb_release_all(r, 2));
    return pid;
}

static void what_a_task_leaves_behind_does_not_reach_the_next(void **state)
{
    enum { ROUNDS = 10 };
    char before[1024], after[1024];

    (void)state;
    find(before);
    for (int i = 0; i < CHANGES; i++) {
        int same = 0;

        for (int k = 0; k < ROUNDS; k++) {
            int changer = get_int(tb_remote(changes, i));

            same += find(after) == changer;
            if (strcmp(before, after) != 0)
                fail_msg("change %d: \"%s\", and before: \"%s\"", i, after, before);
        }
        if ((change[i].how == UNDONE && same == 0) || (change[i].how == ENDED && same > 0))
            fail_msg("change %d: %d of %d times the next task was in the same process", i, same, ROUNDS);
    }
}

RUN(cmocka_unit_test(what_a_task_leaves_behind_does_not_reach_the_next))
