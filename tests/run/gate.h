/* gate.h - a task that waits until the test lets it go, without sleeping: a FIFO, which works between
 * any processes that share a file system. */
#ifndef TB_GATE_H
#define TB_GATE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct gate {
    char path[96];
    int fd; /* -1 until gate_reach */
};

static inline _Noreturn void gate_fails(const char *path)
{
    perror(path);
    abort();
}

/* In the test. A process of this number that was killed may have left some. */
static inline struct gate gate_new(void)
{
    static int number;
    struct gate g = {.fd = -1};
    int rc;

    do {
        snprintf(g.path, sizeof g.path, "/tmp/tb-gate-%d-%d", (int)getpid(), number++);
        rc = mkfifo(g.path, 0600);
    } while (rc != 0 && errno == EEXIST);
    if (rc != 0)
        gate_fails(g.path);
    return g;
}

/* In the task: until the gate is opened. */
static inline void gate_wait(const char *path)
{
    int fd = open(path, O_RDONLY);
    char byte;

    if (fd < 0)
        gate_fails(path);
    while (read(fd, &byte, 1) > 0) {
    }
    close(fd);
}

/* The same, whatever signals come. */
static inline void gate_wait_through(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = 1;
    char byte;

    if (fd < 0)
        gate_fails(path);
    while (n > 0 || (n < 0 && errno == EINTR))
        n = read(fd, &byte, 1);
    close(fd);
}

/* In the test: waits until the task is there. */
static inline void gate_reach(struct gate *g)
{
    g->fd = open(g->path, O_WRONLY | O_CLOEXEC);
    if (g->fd < 0)
        gate_fails(g->path);
}

/* In the test: waits until the task is there, then lets it go. */
static inline void gate_open(struct gate *g)
{
    if (g->fd < 0)
        gate_reach(g);
    close(g->fd);
    unlink(g->path);
}

#endif
