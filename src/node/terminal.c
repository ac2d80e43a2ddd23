#include "node/terminal.h"
#include "exec/bell.h"
#include "net/codec.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/look.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

struct tbi_terminal {
    void (*wake)(void *ctx);
    void *ctx;
    pthread_t thread;
    bool started;
    bool lost[2];               /* nobody reads that stream; the thread's, if there is one */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct tbi_outbox queue;    /* OUTPUT records, under the lock */
    bool stop;
    _Atomic size_t backlog;
};

struct tbi_terminal *tbi_terminal_create(void (*wake)(void *ctx), void *ctx)
{
    struct tbi_terminal *t = tbi_alloc_zeroed(1, sizeof *t);

    t->wake = wake;
    t->ctx = ctx;
    pthread_mutex_init(&t->lock, NULL);
    tbi_condition_init(&t->changed);
    return t;
}

/* ---- the thread ---- */

/* How much of it to write at a time: whole lines, if there is one, that are atomic for a pipe. */
static size_t piece_of(const char *lines, size_t bytes)
{
    const char *end;

    if (bytes <= PIPE_BUF)
        return bytes;
    end = memrchr(lines, '\n', PIPE_BUF);
    if (end == NULL)
        end = memchr(lines, '\n', bytes);
    return end != NULL ? (size_t)(end - lines) + 1 : bytes;
}

static ssize_t try_write(int fd, const char *lines, size_t bytes)
{
    if (!tbi_fault(TBI_FAULT_WRITE))
        return write(fd, lines, bytes);
    errno = EIO;
    return -1;
}

static void write_lines(struct tbi_terminal *t, const struct msg_output *m)
{
    const char *at = (const char *)(m + 1);
    size_t left = m->bytes;
    int fd = (int)m->stream;

    while (left > 0 && !t->lost[fd - 1]) {
        ssize_t n = try_write(fd, at, piece_of(at, left));

        if (n >= 0) {
            at += n;
            left -= (size_t)n;
        } else if (errno == EAGAIN) { /* someone made it non-blocking */
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, TBI_LOOK_US / 1000);
        } else if (errno != EINTR) {
            t->lost[fd - 1] = true;
        }
    }
    atomic_fetch_sub(&t->backlog, m->bytes);
}

static void *write_all(void *ctx)
{
    struct tbi_terminal *t = ctx;
    struct tbi_outbox taken = {0}, empty;

    pthread_mutex_lock(&t->lock);
    while (!t->stop || tbi_outbox_bytes(&t->queue) > 0) {
        if (tbi_outbox_bytes(&t->queue) == 0) {
            tbi_condition_wait(&t->changed, &t->lock, UINT64_MAX);
            continue;
        }
        empty = taken;
        empty.begin = empty.end = 0;
        taken = t->queue;
        t->queue = empty;
        pthread_mutex_unlock(&t->lock);
        while (tbi_outbox_bytes(&taken) > 0) {
            const struct tbi_record *r = (const void *)(taken.data + taken.begin);

            taken.begin += r->len;
            write_lines(t, (const struct msg_output *)(r + 1));
        }
        t->wake(t->ctx);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    tbi_outbox_fini(&taken);
    return NULL;
}

/* No signal is for this thread: handlers run where the program expects them, and a reader that
 * is gone is an error of write and not SIGPIPE. */
static void start(struct tbi_terminal *t)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&t->thread, NULL, write_all, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->started = rc == 0;
    if (rc != 0) {
        fprintf(stderr, "thornback: warning: what tasks print is lost: no thread can be started to "
                "write it: %s\n", strerror(rc));
        t->lost[0] = t->lost[1] = true;
    }
}

/* ---- its owner ---- */

void tbi_terminal_put(struct tbi_terminal *t, uint32_t stream, const char *lines, size_t bytes)
{
    struct msg_output *m;

    if (!t->started && !t->lost[0])
        start(t);
    if (!t->started)
        return;
    atomic_fetch_add(&t->backlog, bytes);
    pthread_mutex_lock(&t->lock);
    m = tbi_outbox_append(&t->queue, TBI_MSG_OUTPUT, TBI_PROC_NONE, sizeof *m + bytes);
    *m = (struct msg_output){stream, (uint32_t)bytes};
    memcpy(m + 1, lines, bytes);
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

size_t tbi_terminal_backlog(const struct tbi_terminal *t)
{
    return atomic_load(&t->backlog);
}

void tbi_terminal_destroy(struct tbi_terminal *t)
{
    if (t == NULL)
        return;
    if (t->started) {
        pthread_mutex_lock(&t->lock);
        t->stop = true;
        pthread_cond_signal(&t->changed);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
    }
    tbi_outbox_fini(&t->queue);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
