/* ends.c - a job to be ended in every way (see ends.sh): has busy executors on each worker, objects in
 * the store, and says "ready"; then does what its argument says. Status 5 is that of a job that was
 * ended in order and saw what it should, 6 one that did not. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../run/gate.h"

#include <thornback.h>

enum { BUSY = 4, GOOD = 5, WRONG = 6 };

/* A process that has left its parent, session and group, as a daemon does. */
static void leave_a_stray(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        setsid();
        if (fork() == 0)
            for (;;)
                pause();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static int busy(tb_call *call)
{
    if (getenv("ENDS_WITHOUT_STRAYS") == NULL)
        leave_a_stray();
    for (;;)
        pause();
    return tb_return(call, 0);
}
TB_TASK(busy, .num_cpus = TB_NONE, .max_retries = TB_NONE);

static int quick(tb_call *call)
{
    int *room;

    tb_must(tb_return_array(call, 0, &room, 100000));
    room[0] = 1;
    return 0;
}
TB_TASK(quick);

static void *exits(void *arg)
{
    exit(arg == NULL ? 7 : 0);
    return NULL;
}

static int exits_in_a_thread(tb_call *call)
{
    pthread_t thread;

    pthread_create(&thread, NULL, exits, NULL);
    pause();
    return tb_return(call, 0);
}
TB_TASK(exits_in_a_thread, .max_retries = TB_NONE);

static int says_its_pid(tb_call *call)
{
    pid_t pid = getpid();
    int fd = open(tb_arg_string(call, 0), O_WRONLY);

    if (fd < 0 || write(fd, &pid, sizeof pid) != sizeof pid)
        return tb_fail(call, "%s", strerror(errno));
    close(fd);
    pause();
    return tb_return(call, 0);
}
TB_TASK(says_its_pid, .max_retries = TB_NONE);

/* Lives through what happens to the job between its two gates. */
static int lasts(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    gate_wait(tb_arg_string(call, 1));
    return tb_return(call, 1);
}
TB_TASK(lasts, .num_cpus = TB_NONE, .max_retries = TB_NONE);

static int large(tb_call *call)
{
    char *room;

    tb_must(tb_return_array(call, 0, &room, 16 << 20));
    memset(room, 1, 16 << 20);
    return 0;
}
TB_TASK(large);

static int sum(tb_call *call)
{
    const char *at;
    size_t n;

    tb_must(tb_arg_array(call, 0, &at, &n));
    return tb_return(call, (int)n + at[0]);
}
TB_TASK(sum);

static tb_ref task[BUSY];
static volatile sig_atomic_t signalled;

static void ready(void)
{
    printf("ready\n");
    fflush(stdout);
}

static void note(int s)
{
    signalled = s;
}

static void leave(int s)
{
    (void)s;
    exit(3);
}

static int get(void)
{
    tb_must(tb_get(task[0], NULL));
    return WRONG;
}

static int finalize(void)
{
    tb_must(tb_finalize());
    return GOOD;
}

static int return_early(void) { return 3; }
static int exit_0(void) { exit(0); }
static int exit_3(void) { exit(3); }

static int crash(void)
{
    volatile int *volatile nowhere = NULL;

    *nowhere = 1;
    return WRONG;
}

static int do_abort(void) { abort(); }

enum { WAITERS = 3 };
static _Atomic int waiter[WAITERS], nwaiters;

/* Said by a thread that is going to wait in the library. */
static void going_to_wait(void)
{
    waiter[atomic_fetch_add(&nwaiters, 1)] = (int)syscall(SYS_gettid);
}

static bool sleeps(int tid)
{
    char path[64], state = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    f = fopen(path, "r");
    if (f == NULL)
        return false;
    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    fclose(f);
    return state == 'S';
}

/* Until n threads that said so do. */
static void until_waiting(int n)
{
    for (int i = 0; i < n; i++)
        while (waiter[i] == 0 || !sleeps(waiter[i]))
            sched_yield();
}

static void *exit_soon(void *arg)
{
    until_waiting(1);
    exit(3);
    return arg;
}

/* Main waits, and must not have the time to report an error. */
static int exit_in_a_thread(void)
{
    pthread_t thread;

    going_to_wait();
    pthread_create(&thread, NULL, exit_soon, NULL);
    return get();
}

/* As a pool's destructor would, after the job was ended by exit: so the wait has to end some time. */
static pthread_t waiting;
static void join(void)
{
    pthread_join(waiting, NULL);
}

static void *waits(void *rc)
{
    going_to_wait();
    *(int *)rc = tb_get(task[1], NULL);
    return NULL;
}

static int rcs[2];
static int exit_joins_a_waiting_thread(void)
{
    pthread_create(&waiting, NULL, waits, &rcs[0]);
    until_waiting(1);
    exit(3);
}

/* Threads that make no call any more are not stopped by the end of the job, and must not crash in it. */
static const int *shown;
static size_t nshown;
static volatile long sum_of_views;
static _Atomic int nreaders;

static void *reads_a_view(void *arg)
{
    for (bool first = true;; first = false) {
        for (size_t i = 0; i < nshown; i++)
            sum_of_views += shown[i];
        nreaders += first;
    }
    return arg;
}

static void *writes_an_object(void *arg)
{
    int *room;
    tb_ref object = tb_create_array(&room, 100000);

    for (int i = 0;; i++) {
        for (size_t k = 0; k < 100000; k++)
            ((volatile int *)room)[k] = i;
        nreaders += i == 0;
    }
    return tb_release(object) == 0 ? NULL : arg;
}

static void start(void *(*user)(void *), int n)
{
    pthread_t thread;

    pthread_create(&thread, NULL, user, NULL);
    while (nreaders < n)
        sched_yield();
}

static void start_a_reader(void)
{
    tb_must(tb_get_array(tb_remote(quick), &shown, &nshown));
    start(reads_a_view, 1);
}

static int return_while_threads_use_the_store(void)
{
    start_a_reader();
    start(writes_an_object, 2);
    return GOOD;
}

static int finalize_while_a_view_is_read(void)
{
    start_a_reader();
    return finalize();
}

static void *submits(void *got)
{
    int rc = 0;

    for (int i = 0; rc == 0; i++) {
        tb_ref ref = tb_remote(quick);

        rc = tb_get(ref, NULL);
        tb_release(ref);
        nreaders += i == 0;
    }
    *(int *)got = rc;
    return NULL;
}

static pthread_t submitter[WAITERS];
static int submitted[WAITERS];
static void start_submitters(void)
{
    for (int i = 0; i < WAITERS; i++)
        pthread_create(&submitter[i], NULL, submits, &submitted[i]);
    while (nreaders < WAITERS)
        sched_yield();
}

static int return_while_threads_submit(void)
{
    start_submitters();
    return GOOD;
}

static int finalize_while_threads_submit(void)
{
    start_submitters();
    tb_must(tb_finalize());
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(submitter[i], NULL);
        if (submitted[i] != TB_ERR_STATE)
            return WRONG;
    }
    return GOOD;
}

static int exit_in_a_handler(void)
{
    signal(SIGINT, leave);
    ready();
    return get();
}

static int wait_computing(void)
{
    for (volatile unsigned long i = 0; !signalled; i++) {
    }
    return WRONG;
}

/* Until there is none: the program starts no more. */
static void *reap_all(void *arg)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    return arg;
}

static int wait_reaping(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, reap_all, NULL);
    return get();
}

/* What the program forks, and how it ends, is no matter of the job's. */
static int fork_a_child_that_exits(void)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        exit(0);
    if (waitpid(child, &status, 0) != child || status != 0 ||
        tb_get(tb_remote(quick), NULL) != 0)
        return WRONG;
    return finalize();
}

/* One thread leads, the others follow; all get the error. */
static int finalize_while_threads_wait(void)
{
    enum { N = WAITERS };
    pthread_t thread[N];
    int rc[N] = {0};

    for (int i = 0; i < N; i++)
        pthread_create(&thread[i], NULL, waits, &rc[i]);
    until_waiting(N);
    tb_must(tb_finalize());
    for (int i = 0; i < N; i++) {
        pthread_join(thread[i], NULL);
        if (rc[i] != TB_ERR_STATE)
            return WRONG;
    }
    return tb_finalize() == TB_ERR_STATE ? GOOD : WRONG;
}

/* The program decides what a signal means: it goes on, and so do its tasks. */
static int survive_a_signal(void)
{
    static const int those[] = {SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    struct gate first = gate_new(), second = gate_new();
    tb_ref lasting = tb_remote(lasts, first.path, second.path);
    sigset_t held, before;

    sigemptyset(&held);
    for (size_t i = 0; i < sizeof those / sizeof those[0]; i++) {
        signal(those[i], note);
        sigaddset(&held, those[i]);
    }
    gate_open(&first);
    sigprocmask(SIG_BLOCK, &held, &before); /* one that comes before sigsuspend is not lost */
    ready();
    while (!signalled)
        sigsuspend(&before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    gate_open(&second);
    return tb_get(lasting, NULL) == 0 && tb_get(tb_remote(quick), NULL) == 0 ? finalize() : WRONG;
}

/* Of the tasks that run, only the one whose process is killed fails. */
static int lose_one_task(void)
{
    struct gate fifo = gate_new();
    tb_ref lost = tb_remote(says_its_pid, fifo.path);
    int fd = open(fifo.path, O_RDONLY);
    size_t n = 0;
    pid_t pid;

    if (read(fd, &pid, sizeof pid) != sizeof pid || kill(pid, SIGKILL) != 0)
        return WRONG;
    close(fd);
    unlink(fifo.path);
    if (tb_get(lost, NULL) != TB_ERR_CRASHED || tb_get(tb_remote(quick), NULL) != 0)
        return WRONG;
    tb_must(tb_wait(task, BUSY, 1, 0, &n));
    return n == 0 ? finalize() : WRONG;
}

static int exit_in_a_task(void)
{
    return tb_get(tb_remote(exits_in_a_thread), NULL) == TB_ERR_CRASHED ? finalize() : WRONG;
}

/* Objects are always on their way between the hosts. */
static int wait_fetching(void)
{
    while (!signalled) {
        tb_ref from[8], r[16];

        for (int i = 0; i < 8; i++)
            from[i] = tb_remote(large);
        for (int i = 0; i < 16; i++)
            r[i] = tb_remote(sum, from[i % 8]);
        for (int i = 0; i < 16; i++)
            tb_must(tb_get(r[i], NULL));
        tb_must(tb_release_all(from, 8));
        tb_must(tb_release_all(r, 16));
        ready();
    }
    return WRONG;
}

static const struct way {
    const char *name;
    int (*go)(void);
} ways[] = {
    {"return", finalize}, /* the executors are idle */
    {"return_early", return_early},
    {"exit_0", exit_0},
    {"exit", exit_3},
    {"finalize", finalize},
    {"crash", crash},
    {"abort", do_abort},
    {"wait", get},
    {"wait_computing", wait_computing},
    {"wait_reaping", wait_reaping},
    {"wait_fetching", wait_fetching},
    {"exit_in_a_thread", exit_in_a_thread},
    {"exit_joins_a_waiting_thread", exit_joins_a_waiting_thread},
    {"return_while_threads_use_the_store", return_while_threads_use_the_store},
    {"finalize_while_a_view_is_read", finalize_while_a_view_is_read},
    {"return_while_threads_submit", return_while_threads_submit},
    {"finalize_while_threads_submit", finalize_while_threads_submit},
    {"exit_in_a_handler", exit_in_a_handler},
    {"exit_in_a_task", exit_in_a_task},
    {"fork_a_child_that_exits", fork_a_child_that_exits},
    {"finalize_while_threads_wait", finalize_while_threads_wait},
    {"survive_a_signal", survive_a_signal},
    {"lose_one_task", lose_one_task},
};

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "return";
    const struct way *way = NULL;
    tb_ref object;
    const int *view;
    size_t n;

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(ways[i].name, how) == 0)
            way = &ways[i];
    if (way == NULL) {
        fprintf(stderr, "no way %s\n", how);
        return 1;
    }
    if (way->go == exit_joins_a_waiting_thread)
        atexit(join); /* before tb_init, so that it comes after the end of the job */
    tb_must(tb_init(&argc, &argv, NULL));
    object = tb_remote(quick);
    tb_must(tb_get_array(object, &view, &n));
    for (int i = 0; i < BUSY && strcmp(how, "return") != 0; i++)
        task[i] = tb_remote(busy);
    object = tb_remote(quick);
    tb_must(tb_get_array(object, &view, &n));
    if (way->go != exit_in_a_handler && way->go != survive_a_signal)
        ready();
    return way->go();
}
