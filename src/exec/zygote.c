#include "exec/zygote.h"
#include "net/codec.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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
    struct child *child;
    size_t n, room;
    sigset_t before;           /* the signal mask and the limit that executors start with */
    struct rlimit descriptors;
};

/* Die with the parent. The signal is only armed from now on, so look once more whether the parent
 * is still there. */
static void follow(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
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

/* All from 3 on; keep[n] is 0 where there is nothing to keep. */
static void close_all_but(const int *keep, int nkeep)
{
    DIR *dir = opendir("/proc/self/fd");
    int fds[1024], n, own;

    if (dir == NULL)
        return;
    own = dirfd(dir);
    do { /* collect, then close: closing while reading skips entries */
        const struct dirent *e;

        for (n = 0; n < 1024 && (e = readdir(dir)) != NULL;) {
            int fd = atoi(e->d_name);
            bool kept = e->d_name[0] == '.' || fd <= 2 || fd == own;

            for (int i = 0; i < nkeep; i++)
                kept |= fd == keep[i];
            if (!kept)
                fds[n++] = fd;
        }
        for (int i = 0; i < n; i++)
            close(fds[i]);
        rewinddir(dir);
    } while (n == 1024);
    closedir(dir);
}

static void close_all(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
        return;
#endif
    close_all_but(NULL, 0); /* a kernel before 5.9 */
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

static void reap(struct nursery *y)
{
    char tail[TBI_TAIL];
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < y->n; i++)
            if (y->child[i].pid == pid) {
                struct child child = y->child[i];
                size_t bytes = tbi_output_close(child.output, tail);

                y->child[i] = y->child[--y->n];
                report(y, child.proc, (struct msg_exited){
                    .pid = pid, .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                    .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                    .bytes = (uint32_t)bytes}, tail);
                break;
            }
}

/* ---- births ---- */

static void run_executor(const struct nursery *y, const int ends[2], struct command command,
                         pid_t zygote)
{
    int status;

    follow(zygote);
    dup2(ends[0], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close_all();
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN); /* a closed stdout loses output, nothing else */
    sigprocmask(SIG_SETMASK, &y->before, NULL);
    setrlimit(RLIMIT_NOFILE, &y->descriptors);
    status = y->config->executor(y->config->ctx, command.slot, command.proc);
    fflush(NULL);
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
        tbi_output_begin(output, command.proc, command.slot, pid);
        y->child[y->n++] = (struct child){pid, command.proc, output};
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
    struct nursery y = {.config = config, .outputs = tbi_outputs_create(&config->output)};
    sigset_t chld, open;
    bool rests = false;

    int rc;

    if (y.outputs == NULL) {
        fprintf(stderr, "thornback: no descriptor for what tasks print: %s\n", strerror(errno));
        _exit(1);
    }
    rc = config->prepare != NULL ? config->prepare(config->ctx) : 0;
    if (rc != 0) {
        fprintf(stderr, "thornback: memory cannot be closed to tasks: %s\n", strerror(-rc));
        _exit(1);
    }
    raise_limit(&y);
    tbi_ring_writer_init(&y.deaths, config->deaths, config->deaths_size);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, &y.before);
    open = y.before;
    sigdelset(&open, SIGCHLD);
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
            _exit(0); /* the parent is gone */
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
    fflush(NULL); /* else what is buffered would be printed once by each process */
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
        follow(parent);
        reset_signals();
        tbi_zygote_ignore_group_signals();
        signal(SIGTERM, SIG_IGN);
        sigprocmask(SIG_SETMASK, &before, NULL);
        close_all_but((int[]){pair[1], config->output.file[0], config->output.file[1]}, 3);
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
    if (recv(zygote->commands, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno != ECONNRESET)
        return true;
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
    char how[64];

    if (zygote->pid <= 0 || !tbi_zygote_lives(zygote, how, sizeof how)) {
        close(zygote->commands);
        *zygote = (struct tbi_zygote){0, -1};
        return;
    }
    kill(zygote->pid, SIGKILL);
    while (waitpid(zygote->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(zygote->commands);
    *zygote = (struct tbi_zygote){0, -1};
}
