/* noted_attributes.c - what the system knows of the process: its limits, where it runs, who it is. And system calls
 * that are made by syscall(), of any kind. */
#include "api/forked.h"
#include "exec/noted.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- limits ---- */

static struct rlimit limit[RLIM_NLIMITS];

void tbi_limits_save(void)
{
    for (int i = 0; i < (int)RLIM_NLIMITS; i++)
        getrlimit(i, &limit[i]);
}

bool tbi_limits_undo(void)
{
    bool all = true;

    for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
        struct rlimit is;

        if (getrlimit(i, &is) == 0 && (is.rlim_cur != limit[i].rlim_cur || is.rlim_max != limit[i].rlim_max))
            all = setrlimit(i, &limit[i]) == 0 && all;
    }
    return all;
}

TBI_NOTED(TBI_NOTED_LIMITS, int, setrlimit, (int what, const struct rlimit *to), (what, to))
TBI_NOTED(TBI_NOTED_LIMITS, int, setrlimit64, (int what, const void *to), (what, to))

static int (*own_prlimit)(pid_t, int, const struct rlimit *, struct rlimit *);
static int noted_prlimit(pid_t pid, int what, const struct rlimit *to, struct rlimit *from)
{
    if (to != NULL)
        tbi_note(TBI_NOTED_LIMITS);
    return own_prlimit(pid, what, to, from);
}

static int (*own_prlimit64)(pid_t, int, const void *, void *);
static int noted_prlimit64(pid_t pid, int what, const void *to, void *from)
{
    if (to != NULL)
        tbi_note(TBI_NOTED_LIMITS);
    return own_prlimit64(pid, what, to, from);
}

/* ---- the processors that the main thread may run on ---- */

static union {
    cpu_set_t set;
    unsigned char room[8192 / 8]; /* as many as Linux can have */
} processors;
static bool knows_processors;

void tbi_affinity_save(void)
{
    knows_processors = sched_getaffinity(getpid(), sizeof processors, &processors.set) == 0;
}

bool tbi_affinity_undo(void)
{
    return knows_processors && sched_setaffinity(getpid(), sizeof processors, &processors.set) == 0;
}

TBI_NOTED(TBI_NOTED_AFFINITY, int, sched_setaffinity, (pid_t pid, size_t size, const cpu_set_t *set), (pid, size, set))
TBI_NOTED(TBI_NOTED_AFFINITY, int, pthread_setaffinity_np, (pthread_t thread, size_t size, const cpu_set_t *set),
          (thread, size, set))

/* ---- what is not undone ---- */

#define LASTING(name, parameters, arguments) TBI_NOTED(TBI_NOTED_LASTING, int, name, parameters, arguments)

LASTING(setuid, (uid_t id), (id))
LASTING(setgid, (gid_t id), (id))
LASTING(seteuid, (uid_t id), (id))
LASTING(setegid, (gid_t id), (id))
LASTING(setfsuid, (uid_t id), (id))
LASTING(setfsgid, (gid_t id), (id))
LASTING(setreuid, (uid_t real, uid_t id), (real, id))
LASTING(setregid, (gid_t real, gid_t id), (real, id))
LASTING(setresuid, (uid_t real, uid_t id, uid_t saved), (real, id, saved))
LASTING(setresgid, (gid_t real, gid_t id, gid_t saved), (real, id, saved))
LASTING(setgroups, (size_t n, const gid_t *id), (n, id))
LASTING(initgroups, (const char *user, gid_t id), (user, id))
LASTING(chroot, (const char *path), (path))
LASTING(unshare, (int what), (what))
LASTING(setns, (int fd, int type), (fd, type))
LASTING(setpgrp, (void), ())
LASTING(setsid, (void), ())
LASTING(nice, (int by), (by))
LASTING(setpriority, (int which, id_t who, int to), (which, who, to))
LASTING(sched_setscheduler, (pid_t pid, int policy, const struct sched_param *to), (pid, policy, to))
LASTING(sched_setparam, (pid_t pid, const struct sched_param *to), (pid, to))
LASTING(pthread_setschedparam, (pthread_t thread, int policy, const struct sched_param *to), (thread, policy, to))
LASTING(mlockall, (int what), (what))
LASTING(personality, (unsigned long to), (to))
LASTING(timer_create, (clockid_t clock, struct sigevent *how, timer_t *timer), (clock, how, timer))

/* Of a child, as shells do, it is no matter of ours. */
static int (*own_setpgid)(pid_t, pid_t);
static int noted_setpgid(pid_t pid, pid_t group)
{
    if (pid == 0 || pid == getpid())
        tbi_note(TBI_NOTED_LASTING);
    return own_setpgid(pid, group);
}

static bool lasts(long option)
{
    switch (option) {
    case PR_SET_PDEATHSIG:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_DUMPABLE:
    case PR_SET_KEEPCAPS:
    case PR_SET_SECCOMP:
    case PR_CAPBSET_DROP:
    case PR_SET_SECUREBITS:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_TIMERSLACK:
    case PR_SET_THP_DISABLE:
    case PR_SET_TSC:
        return true;
    default: /* a name, and what only asks */
        return false;
    }
}

static int (*own_prctl)(int, ...);
static int noted_prctl(int option, ...)
{
    unsigned long a[4];
    va_list args;

    va_start(args, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(args, unsigned long);
    va_end(args);
    if (lasts(option))
        tbi_note(TBI_NOTED_LASTING);
    return own_prctl(option, a[0], a[1], a[2], a[3]);
}

/* ---- by number ---- */

static void note_number(long number, const long a[6])
{
    switch (number) {
    case SYS_chdir:
    case SYS_fchdir:
        tbi_note(TBI_NOTED_DIRECTORY);
        break;
    case SYS_umask:
        tbi_note(TBI_NOTED_UMASK);
        break;
#ifdef SYS_alarm
    case SYS_alarm:
#endif
    case SYS_setitimer:
        tbi_note(TBI_NOTED_TIMERS);
        break;
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_sigaltstack:
        tbi_note(TBI_NOTED_SIGNALS);
        break;
    case SYS_setrlimit:
    case SYS_prlimit64:
        tbi_note(TBI_NOTED_LIMITS);
        break;
    case SYS_sched_setaffinity:
        tbi_note(TBI_NOTED_AFFINITY);
        break;
#ifdef SYS_dup2
    case SYS_dup2:
#endif
    case SYS_dup3:
        if (a[1] >= 0 && a[1] <= 2)
            tbi_note(TBI_NOTED_STANDARD);
        break;
    case SYS_close:
#ifdef SYS_close_range
    case SYS_close_range:
#endif
        if (a[0] >= 0 && a[0] <= 2)
            tbi_note(TBI_NOTED_STANDARD);
        break;
    case SYS_prctl:
        if (lasts(a[0]))
            tbi_note(TBI_NOTED_LASTING);
        break;
    case SYS_setpgid:
        if (a[0] == 0 || a[0] == getpid())
            tbi_note(TBI_NOTED_LASTING);
        break;
    case SYS_setuid: case SYS_setgid: case SYS_setreuid: case SYS_setregid: case SYS_setresuid: case SYS_setresgid:
    case SYS_setfsuid: case SYS_setfsgid: case SYS_setgroups: case SYS_capset: case SYS_chroot: case SYS_unshare:
    case SYS_setns: case SYS_setsid: case SYS_setpriority: case SYS_ioprio_set: case SYS_sched_setscheduler:
    case SYS_sched_setparam: case SYS_sched_setattr: case SYS_set_mempolicy: case SYS_mlockall: case SYS_personality:
    case SYS_seccomp: case SYS_timer_create:
        tbi_note(TBI_NOTED_LASTING);
        break;
    default:
        break;
    }
}

static bool makes_a_process(long number)
{
#ifdef SYS_fork
    if (number == SYS_fork)
        return true;
#endif
    return number == SYS_clone;
}

/* As many as there can be, for it is not known how many came: what was not passed is not looked at. */
static long (*own_syscall)(long, ...);
__attribute__((no_sanitize_address)) static long noted_syscall(long number, ...)
{
    pid_t self = makes_a_process(number) ? getpid() : 0;
    va_list args;
    long a[6], result;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    note_number(number, a);
    result = own_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (self != 0 && result == 0 && getpid() != self)
        tbi_forked_flag = true;
    return result;
}

/* fork without the handlers of pthread_atfork, by which a child is known. */
static pid_t (*own__Fork)(void);
static pid_t noted__Fork(void)
{
    pid_t pid = own__Fork();

    if (pid == 0)
        tbi_forked_flag = true;
    return pid;
}

/* vfork is fork in tasks: its child would share the memory, and if it returned from the task's function, as one whose
 * exec has failed may, it would go on as this process. */
const struct tbi_noted tbi_noted_attributes[] = {
    {"vfork", (tbi_function *)fork, NULL}, TBI_NOTED_ROW(_Fork), TBI_NOTED_ROW(syscall), TBI_NOTED_ROW(prctl),
    TBI_NOTED_ROW(setrlimit), TBI_NOTED_ROW(setrlimit64), TBI_NOTED_ROW(prlimit), TBI_NOTED_ROW(prlimit64),
    TBI_NOTED_ROW(sched_setaffinity), TBI_NOTED_ROW(pthread_setaffinity_np), TBI_NOTED_ROW(setuid),
    TBI_NOTED_ROW(setgid), TBI_NOTED_ROW(seteuid), TBI_NOTED_ROW(setegid), TBI_NOTED_ROW(setfsuid),
    TBI_NOTED_ROW(setfsgid), TBI_NOTED_ROW(setreuid), TBI_NOTED_ROW(setregid), TBI_NOTED_ROW(setresuid),
    TBI_NOTED_ROW(setresgid), TBI_NOTED_ROW(setgroups), TBI_NOTED_ROW(initgroups), TBI_NOTED_ROW(chroot),
    TBI_NOTED_ROW(unshare), TBI_NOTED_ROW(setns), TBI_NOTED_ROW(setpgid), TBI_NOTED_ROW(setpgrp), TBI_NOTED_ROW(setsid),
    TBI_NOTED_ROW(nice), TBI_NOTED_ROW(setpriority), TBI_NOTED_ROW(sched_setscheduler), TBI_NOTED_ROW(sched_setparam),
    TBI_NOTED_ROW(pthread_setschedparam), TBI_NOTED_ROW(mlockall), TBI_NOTED_ROW(personality),
    TBI_NOTED_ROW(timer_create), {NULL, NULL, NULL}};
