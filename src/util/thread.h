/* thread.h - threads of the library's own: the program's signals are not delivered in them, so its
 * handlers run in its own threads, and what it waits for with sigwait is not taken away. */
#ifndef TBI_THREAD_H
#define TBI_THREAD_H

#include <pthread.h>
#include <signal.h>

/* As pthread_create. */
static inline int tbi_thread_start(pthread_t *thread, void *(*run)(void *), void *ctx)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t blocked, before;
    int rc;

    sigfillset(&blocked);
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    rc = pthread_create(thread, NULL, run, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

#endif
