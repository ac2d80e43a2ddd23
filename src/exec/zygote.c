#include "exec/zygote.h"
#include "exec/children.h"
#include "exec/descriptors.h"
#include "exec/streams.h"
#include "net/codec.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/look.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    END_MS = 3000,      /* that the zygote waits for processes that it has killed */
    STOP_MS = 5000      /* that its rank waits for it */
};

struct command {
    uint32_t slot, proc;
    int32_t signal; /* to be sent to it; 0: fork it */
};

struct child {
    pid_t pid;
    uint32_t proc;
    struct tbi_output *output;
};

/* The zygote's own state. */
struct nursery {
    const struct tbi_zygote_config *config;
    struct tbi_outputs *outputs;
    struct tbi_ring_writer deaths;
    struct tbi_outbox reports; /* EXITED records that the ring had no room for yet */
    struct child *child;       /* in the order of their pids */
    size_t n, room;
    pid_t group;               /* the program's */
    struct tbi_descriptors inherited; /* from the program, to executors */
    sigset_t before;           /* the signal mask and the limit that executors start with */
    struct rlimit descriptors;
};

/* Die with the parent. The signal is only armed from now on, so look once more whether the parent
 * is still there. */
static void follow(pid_t parent, int signal)
{
    prctl(PR_SET_PDEATHSIG, (unsigned long)signal);
    if (getppid() != parent)
        _exit(1);
}

/* What the parent's libraries installed must not run here: a backtrace printer, a Ctrl-C handler. */
static void reset_signals(void)
{
    for (int s = 1; s < NSIG; s++)
        if (s != SIGKILL && s != SIGSTOP)
            signal(s, SIG_DFL);
}

void tbi_zygote_ignore_group_signals(void)
{
    static const int group[] = {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    struct sigaction act;

    for (unsigned i = 0; i < sizeof group / sizeof group[0]; i++)
        if (sigaction(group[i], NULL, &act) == 0 && act.sa_handler == SIG_DFL)
            signal(group[i], SIG_IGN);
}

/* ---- deaths ---- */

/* True: something found no room. */
static bool flush_reports(struct nursery *y, bool *wrote)
{
    struct tbi_outbox *r = &y->reports;
    size_t n;

    while (tbi_outbox_bytes(r) > 0 &&
           (n = tbi_ring_write(&y->deaths, r->data + r->begin, tbi_outbox_bytes(r))) > 0) {
        r->begin += n;
        *wrote = true;
    }
    return tbi_outbox_bytes(r) > 0;
}

static void report(struct nursery *y, uint32_t proc, struct msg_exited exited, const char *tail)
{
    struct msg_exited *m = tbi_outbox_append(&y->reports, TBI_MSG_EXITED, proc,
                                             sizeof *m + exited.bytes);

    *m = exited;
    m->printed = tbi_outputs_printed(y->outputs);
    memcpy(m + 1, tail, exited.bytes);
}

/* Where the executor is in the list, or would be. */
static size_t place_of(const struct nursery *y, pid_t pid)
{
    size_t from = 0, to = y->n;

    while (from < to) {
        size_t half = (from + to) / 2;

        if (y->child[half].pid < pid)
            from = half + 1;
        else
            to = half;
    }
    return from;
}

static bool is_executor(const struct nursery *y, pid_t pid)
{
    size_t at = place_of(y, pid);

    return at < y->n && y->child[at].pid == pid;
}

static void bury(struct nursery *y, pid_t pid, int status)
{
    size_t at = place_of(y, pid), bytes;
    struct child child = y->child[at];
    char tail[TBI_TAIL];

    bytes = tbi_output_close(child.output, tail);
    memmove(&y->child[at], &y->child[at + 1], (--y->n - at) * sizeof *y->child);
    report(y, child.proc, (struct msg_exited){
        .pid = pid, .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0, .bytes = (uint32_t)bytes}, tail);
}

/* What a dead executor has left: our child by now, and no other's. */
static void end_orphan(void *ctx, pid_t pid)
{
    if (!is_executor(ctx, pid))
        kill(pid, SIGKILL);
}

/* When an orphan dies, those below it become ours, and are found by another look. */
static void reap(struct nursery *y)
{
    bool some = false;
    int status;
    pid_t pid;

    for (; (pid = waitpid(-1, &status, WNOHANG)) > 0; some = true)
        if (is_executor(y, pid))
            bury(y, pid, status);
    if (some)
        tbi_children_each(end_orphan, y);
}

/* ---- births ---- */

static void run_executor(const struct nursery *y, const int ends[2], struct command command,
                         pid_t zygote)
{
    int status;

    follow(zygote, SIGKILL);
    setpgid(0, y->group);
    tbi_children_adopt();
    dup2(ends[0], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    tbi_descriptors_close_others(&y->inherited);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    signal(TBI_ZYGOTE_END, SIG_DFL);
    signal(SIGPIPE, SIG_IGN); /* a closed stdout loses output, nothing else */
    sigprocmask(SIG_SETMASK, &y->before, NULL);
    setrlimit(RLIMIT_NOFILE, &y->descriptors);
    status = y->config->executor(y->config->ctx, command.slot, command.proc);
    tbi_streams_flush();
    _exit(status);
}

static void fork_executor(struct nursery *y, struct command command)
{
    pid_t zygote = getpid(), pid = -1;
    struct tbi_output *output;
    char tail[TBI_TAIL];
    int ends[2];

    if (y->n == y->room) {
        y->room = y->room * 2 + 16;
        y->child = tbi_realloc(y->child, y->room * sizeof *y->child);
    }
    output = tbi_output_open(y->outputs, ends);
    if (output != NULL) {
        errno = EAGAIN;
        pid = tbi_fault(TBI_FAULT_FORK) ? -1 : fork();
    }
    if (pid == 0) {
        tbi_output_forget(output);
        run_executor(y, ends, command, zygote);
    }
    if (pid < 0)
        report(y, command.proc, (struct msg_exited){.status = errno}, "");
    if (output == NULL)
        return;
    close(ends[0]);
    close(ends[1]);
    if (pid > 0) {
        size_t at = place_of(y, pid);

        tbi_output_begin(output, command.proc, command.slot, pid);
        memmove(&y->child[at + 1], &y->child[at], (y->n++ - at) * sizeof *y->child);
        y->child[at] = (struct child){pid, command.proc, output};
    } else {
        tbi_output_close(output, tail);
    }
}

static void signal_executor(const struct nursery *y, uint32_t proc, int signal)
{
    for (size_t i = 0; i < y->n; i++)
        if (y->child[i].proc == proc)
            kill(y->child[i].pid, signal);
}

static void on_child(int s)
{
    (void)s; /* only there to interrupt ppoll */
}

/* In the handler itself, so that it does not matter what the zygote is waiting for. */
static void on_end(int s)
{
    (void)s;
    tbi_children_end(END_MS);
    _exit(0);
}

static void end_when_told(void)
{
    struct sigaction act = {.sa_handler = on_end};

    sigfillset(&act.sa_mask);
    sigaction(TBI_ZYGOTE_END, &act, NULL);
}

/* Each executor takes two of our descriptors. */
static void raise_limit(struct nursery *y)
{
    struct rlimit most;

    getrlimit(RLIMIT_NOFILE, &y->descriptors);
    most = y->descriptors;
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
}

/* Executors read an empty stdin: the terminal is the driver's. */
static void empty_stdin(void)
{
    int fd = open("/dev/null", O_RDONLY);

    dup2(fd, STDIN_FILENO);
    if (fd > 2)
        close(fd);
}

static _Noreturn void live(const struct tbi_zygote_config *config, int commands)
{
    struct sigaction act = {.sa_handler = on_child};
    struct nursery y = {.config = config, .group = getpgrp()};
    sigset_t chld, end, open;
    bool rests = false;
    int rc = tbi_descriptors_blind(&y.inherited, (int[]){commands, config->output.file[0], config->output.file[1]},
                                   3, config->kept);

    if (rc != 0) {
        fprintf(stderr, "thornback: the program's descriptors cannot be found: %s\n", strerror(-rc));
        _exit(1);
    }
    y.outputs = tbi_outputs_create(&config->output);
    if (y.outputs == NULL) {
        fprintf(stderr, "thornback: no descriptor for what tasks print: %s\n", strerror(errno));
        _exit(1);
    }
    rc = config->prepare != NULL ? config->prepare(config->ctx) : 0;
    if (rc != 0) {
        fprintf(stderr, "thornback: memory cannot be closed to tasks: %s\n", strerror(-rc));
        _exit(1);
    }
    /* A launcher that kills the program's whole group gets the executors; we live on until we have noticed and have
     * ended what had left the group. */
    setpgid(0, 0);
    raise_limit(&y);
    tbi_ring_writer_init(&y.deaths, config->deaths, config->deaths_size);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, &y.before);
    sigemptyset(&end);
    sigaddset(&end, TBI_ZYGOTE_END);
    sigprocmask(SIG_UNBLOCK, &end, NULL); /* whatever the program has blocked */
    open = y.before;
    sigdelset(&open, SIGCHLD);
    sigdelset(&open, TBI_ZYGOTE_END);
    sigaction(SIGCHLD, &act, NULL);
    for (;;) {
        struct timespec soon = {0, 1000000}, look = {TBI_LOOK_US / 1000000, 0};
        struct pollfd fd[] = {{.fd = commands, .events = POLLIN},
                              {.fd = tbi_outputs_fd(y.outputs), .events = POLLIN}};
        struct command command;
        bool wrote = false;
        ssize_t got;

        /* SIGCHLD is delivered only inside, so no death is missed between reap and ppoll. With
         * reports that found no room, look again soon: the reader does not ring us. */
        ppoll(fd, rests ? 1 : 2, rests ? &soon : &look, &open);
        reap(&y);
        rests = tbi_outputs_read(y.outputs, &wrote);
        rests |= flush_reports(&y, &wrote); /* behind what the dead had printed */
        while ((got = recv(commands, &command, sizeof command, MSG_DONTWAIT)) == sizeof command)
            if (command.signal != 0)
                signal_executor(&y, command.proc, command.signal);
            else
                fork_executor(&y, command);
        if (got == 0)
            on_end(0); /* the parent is gone */
        rests |= flush_reports(&y, &wrote);
        if (wrote && config->wake != NULL)
            config->wake(config->ctx);
    }
}

int tbi_zygote_start(struct tbi_zygote *zygote, const struct tbi_zygote_config *config)
{
    int pair[2];
    pid_t parent = getpid(), pid;
    sigset_t all, before;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    tbi_streams_flush(); /* else what is buffered would be printed once by each process */
    sigfillset(&all); /* the parent's handlers must not run in the child, nor a Ctrl-C end it yet */
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid != 0)
        sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        int rc = -errno;

        close(pair[0]);
        close(pair[1]);
        return rc;
    }
    if (pid == 0) {
        reset_signals();
        end_when_told();
        follow(parent, TBI_ZYGOTE_END);
        tbi_children_adopt();
        tbi_zygote_ignore_group_signals();
        signal(SIGTERM, SIG_IGN);
        sigprocmask(SIG_SETMASK, &before, NULL);
        empty_stdin();
        live(config, pair[1]);
    }
    close(pair[1]);
    *zygote = (struct tbi_zygote){pid, pair[0]};
    return 0;
}

static int order(struct tbi_zygote *zygote, struct command command)
{
    return send(zygote->commands, &command, sizeof command, MSG_DONTWAIT | MSG_NOSIGNAL) < 0
               ? -errno
               : 0;
}

int tbi_zygote_fork(struct tbi_zygote *zygote, uint32_t slot, uint32_t proc)
{
    return order(zygote, (struct command){.slot = slot, .proc = proc});
}

int tbi_zygote_kill(struct tbi_zygote *zygote, uint32_t proc)
{
    return order(zygote, (struct command){.proc = proc, .signal = SIGKILL});
}

int tbi_zygote_interrupt(struct tbi_zygote *zygote, uint32_t proc)
{
    return order(zygote, (struct command){.proc = proc, .signal = TBI_INTERRUPT_SIGNAL});
}

bool tbi_zygote_lives(struct tbi_zygote *zygote, char *how, size_t size)
{
    int status;
    char byte;
    pid_t pid;

    /* Its end of the socket is its alone. Its pid would not do: the program may have reaped it. */
    if (recv(zygote->commands, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno != ECONNRESET) {
        if (errno != EBADF && errno != ENOTSOCK)
            return true;
        snprintf(how, size, "is out of reach, for the program closed a descriptor of the library (by closefrom?)");
        return false;
    }
    while ((pid = waitpid(zygote->pid, &status, 0)) < 0 && errno == EINTR) {
    }
    if (pid != zygote->pid)
        snprintf(how, size, "ended");
    else if (WIFSIGNALED(status))
        snprintf(how, size, "was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, size, "ended with exit status %d", WEXITSTATUS(status));
    zygote->pid = 0;
    return false;
}

void tbi_zygote_stop(struct tbi_zygote *zygote)
{
    struct pollfd ends = {.fd = zygote->commands, .events = POLLIN};
    char how[64];

    if (zygote->pid > 0 && !tbi_zygote_lives(zygote, how, sizeof how) && zygote->pid > 0)
        ends.fd = -1; /* it lives, but the descriptor is not ours any more */
    if (zygote->pid <= 0) {
        close(zygote->commands);
        *zygote = (struct tbi_zygote){0, -1};
        return;
    }
    kill(zygote->pid, TBI_ZYGOTE_END);
    while (ends.fd >= 0 && poll(&ends, 1, STOP_MS) < 0 && errno == EINTR) { /* its end of the socket is its alone */
    }
    kill(zygote->pid, SIGKILL); /* it has ended, or cannot */
    while (waitpid(zygote->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    if (ends.fd >= 0)
        close(zygote->commands);
    *zygote = (struct tbi_zygote){0, -1};
}
