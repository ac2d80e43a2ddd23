/* noted_signals.c - signal handlers, the signal mask and the alternate stack of the thread that runs tasks, and timers
 * that send signals. */
#include "exec/noted.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

typedef void handler(int);

static struct {
    sigset_t mask;                  /* what every task begins with */
    stack_t stack;
    struct sigaction action[NSIG];  /* before the first change */
} before;

static int (*own_sigaction)(int, const struct sigaction *, struct sigaction *);
static int noted_sigaction(int signal, const struct sigaction *to, struct sigaction *from)
{
    if (to != NULL)
        tbi_note(TBI_NOTED_SIGNALS);
    return own_sigaction(signal, to, from);
}

static int (*own_sigprocmask)(int, const sigset_t *, sigset_t *);
static int noted_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    if (set != NULL)
        tbi_note(TBI_NOTED_SIGNALS);
    return own_sigprocmask(how, set, old);
}

static int (*own_pthread_sigmask)(int, const sigset_t *, sigset_t *);
static int noted_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    if (set != NULL)
        tbi_note(TBI_NOTED_SIGNALS);
    return own_pthread_sigmask(how, set, old);
}

TBI_NOTED(TBI_NOTED_SIGNALS, handler *, signal, (int s, handler *to), (s, to))
TBI_NOTED(TBI_NOTED_SIGNALS, handler *, sysv_signal, (int s, handler *to), (s, to))
TBI_NOTED(TBI_NOTED_SIGNALS, handler *, __sysv_signal, (int s, handler *to), (s, to))
TBI_NOTED(TBI_NOTED_SIGNALS, handler *, bsd_signal, (int s, handler *to), (s, to))
TBI_NOTED(TBI_NOTED_SIGNALS, handler *, ssignal, (int s, handler *to), (s, to))
TBI_NOTED(TBI_NOTED_SIGNALS, handler *, sigset, (int s, handler *to), (s, to))
TBI_NOTED(TBI_NOTED_SIGNALS, int, sighold, (int s), (s))
TBI_NOTED(TBI_NOTED_SIGNALS, int, sigrelse, (int s), (s))
TBI_NOTED(TBI_NOTED_SIGNALS, int, sigignore, (int s), (s))
TBI_NOTED(TBI_NOTED_SIGNALS, int, siginterrupt, (int s, int how), (s, how))
TBI_NOTED(TBI_NOTED_SIGNALS, int, sigblock, (int mask), (mask))
TBI_NOTED(TBI_NOTED_SIGNALS, int, sigsetmask, (int mask), (mask))
TBI_NOTED(TBI_NOTED_SIGNALS, int, sigaltstack, (const stack_t *to, stack_t *from), (to, from))
TBI_NOTED(TBI_NOTED_TIMERS, unsigned, alarm, (unsigned seconds), (seconds))
TBI_NOTED(TBI_NOTED_TIMERS, useconds_t, ualarm, (useconds_t first, useconds_t then), (first, then))
TBI_NOTED(TBI_NOTED_TIMERS, int, setitimer, (int which, const struct itimerval *to, struct itimerval *from),
          (which, to, from))

const struct tbi_noted tbi_noted_signals[] = {
    TBI_NOTED_ROW(sigaction), TBI_NOTED_ROW(sigprocmask), TBI_NOTED_ROW(pthread_sigmask), TBI_NOTED_ROW(signal),
    TBI_NOTED_ROW(sysv_signal), TBI_NOTED_ROW(__sysv_signal), TBI_NOTED_ROW(bsd_signal), TBI_NOTED_ROW(ssignal),
    TBI_NOTED_ROW(sigset), TBI_NOTED_ROW(sighold), TBI_NOTED_ROW(sigrelse), TBI_NOTED_ROW(sigignore),
    TBI_NOTED_ROW(siginterrupt), TBI_NOTED_ROW(sigblock), TBI_NOTED_ROW(sigsetmask), TBI_NOTED_ROW(sigaltstack),
    TBI_NOTED_ROW(alarm), TBI_NOTED_ROW(ualarm), TBI_NOTED_ROW(setitimer), {NULL, NULL, NULL}};

void tbi_signals_start(void)
{
    pthread_sigmask(SIG_BLOCK, NULL, &before.mask);
    sigaltstack(NULL, &before.stack);
}

void tbi_signals_save(void)
{
    for (int s = 1; s < NSIG; s++)
        sigaction(s, NULL, &before.action[s]);
}

/* Of those that the task has blocked: in the next task it would arrive. */
static bool some_wait(const sigset_t *blocked)
{
    sigset_t waiting;

    sigpending(&waiting);
    for (int s = 1; s < NSIG; s++)
        if (sigismember(&waiting, s) == 1 && sigismember(blocked, s) == 1 && sigismember(&before.mask, s) == 0)
            return true;
    return false;
}

bool tbi_signals_undo(void)
{
    sigset_t blocked;

    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    if (some_wait(&blocked))
        return false;
    for (int s = 1; s < NSIG; s++) {
        const struct sigaction *was = &before.action[s];
        struct sigaction is;

        if (sigaction(s, NULL, &is) == 0 && (is.sa_handler != was->sa_handler || is.sa_flags != was->sa_flags))
            sigaction(s, was, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before.mask, NULL);
    sigaltstack(&before.stack, NULL);
    return true;
}

bool tbi_timers_undo(void)
{
    static const struct itimerval none;

    return setitimer(ITIMER_REAL, &none, NULL) == 0 && setitimer(ITIMER_VIRTUAL, &none, NULL) == 0 &&
           setitimer(ITIMER_PROF, &none, NULL) == 0;
}
