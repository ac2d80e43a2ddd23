/* zygote.h - the process that executors are forked from.
 *
 * Forked once, early, from a process with one thread and few pages touched, so that an executor
 * costs a fraction of a millisecond and inherits no lock in a state that nobody will ever undo. It
 * runs no user code. When its parent dies, the kernel sends it TBI_ZYGOTE_END, at which it ends its executors and
 * all processes that they have started; when it dies itself, the kernel kills the executors (PR_SET_PDEATHSIG at
 * both steps). What an executor had started, and however it detached itself, becomes the zygote's child when the
 * executor ends (children.h), and is killed then. Deaths are reported as EXITED records in a ring; what executors print
 * comes as OUTPUT records in another (output.h), so that deaths need not wait for a slow terminal. What a
 * terminal or a launcher sends to a whole group of processes (SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2) is
 * for the program to decide on: zygote and executors ignore it, the zygote SIGTERM too. */
#ifndef TBI_ZYGOTE_H
#define TBI_ZYGOTE_H

#include "exec/descriptors.h"
#include "exec/output.h"
#include "exec/ring.h"

#include <signal.h>

struct tbi_zygote_config {
    /* Runs in the executor, in its only thread, with signals reset and no descriptors but 0 to
     * 2 (an empty stdin, and pipes to the zygote; stdout goes line by line) and, in place of those that the program
     * had, /dev/null. When it returns, the
     * executor ends with that status, after stdio is flushed. */
    int (*executor)(void *ctx, uint32_t slot, uint32_t proc);
    /* Runs once in the zygote, before it serves: what no executor is to have is closed here. 0, or a negative
     * errno, with which the zygote ends. May be NULL. */
    int (*prepare)(void *ctx);
    void *ctx;
    /* Descriptors of the program that executors are to have; NULL: none. */
    const struct tbi_descriptors *kept;
    /* Shared memory, zeroed: the zygote is the producer. */
    struct tbi_ring *deaths;
    uint32_t deaths_size;
    struct tbi_output_config output;
    /* Called in the zygote when there is news in a ring: wakes the reader. May be NULL. */
    void (*wake)(void *ctx);
};

struct tbi_zygote {
    int pid;
    int commands; /* our end of the command socket */
};

/* Forks the zygote, which keeps the config's files open. Call from the main thread, before any
 * other thread exists: the zygote dies with the thread that forked it. 0, or a negative errno. */
int tbi_zygote_start(struct tbi_zygote *zygote, const struct tbi_zygote_config *config);

/* Asks for an executor; its death, or the failure of its fork, is reported as EXITED with this
 * `proc`. Does not block. 0, or a negative errno: -EAGAIN when too many requests are under way,
 * another when the zygote is gone. */
int tbi_zygote_fork(struct tbi_zygote *zygote, uint32_t slot, uint32_t proc);

/* Kills an executor, if it still lives; its death is reported as any other. As tbi_zygote_fork. */
int tbi_zygote_kill(struct tbi_zygote *zygote, uint32_t proc);

/* Sends it the signal that interrupts system calls (design rule 7). It is left to the zygote, which
 * alone knows that the process is not reaped yet. As tbi_zygote_fork. */
#define TBI_INTERRUPT_SIGNAL (SIGRTMIN + 4)
int tbi_zygote_interrupt(struct tbi_zygote *zygote, uint32_t proc);

/* Does it still live? If not, how it ended, for a sentence. One system call. Once it is dead only
 * tbi_zygote_stop makes sense. */
bool tbi_zygote_lives(struct tbi_zygote *zygote, char *how, size_t size);

/* Signals that are meant for the program as a whole, but that terminals and launchers send to each of its
 * processes (Ctrl-C and the like, SIGUSR1), are ignored from now on where nobody handles them. */
void tbi_zygote_ignore_group_signals(void);

/* Ends it, all its executors and what these have started, and waits until the zygote is reaped. Processes that do
 * not die of SIGKILL (in a system call that hangs, or of another user) are waited for a few seconds. */
#define TBI_ZYGOTE_END (SIGRTMIN + 6)
void tbi_zygote_stop(struct tbi_zygote *zygote);

#endif
