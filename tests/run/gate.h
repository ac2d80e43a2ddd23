/* gate.h - a task that waits until the test lets it go, without sleeping: a FIFO, which works between
 * any processes that share a file system. */
#ifndef TB_GATE_H
#define TB_GATE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct gate {
    char path[96];
};

/* In the test. */
static inline struct gate gate_new(void)
{
    static int number;
    struct gate g;

    snprintf(g.path, sizeof g.path, "/tmp/tb-gate-%d-%d", (int)getpid(), number++);
    if (mkfifo(g.path, 0600) != 0)
        abort();
    return g;
}

/* In the task: until the gate is opened. */
static inline void gate_wait(const char *path)
{
    int fd = open(path, O_RDONLY);
    char byte;

    if (fd < 0)
        abort();
    while (read(fd, &byte, 1) > 0) {
    }
    close(fd);
}

/* In the test: waits until the task is there; it stays until gate_let_go with what this returns. */
static inline int gate_hold(const struct gate *g)
{
    return open(g->path, O_WRONLY);
}

static inline void gate_let_go(struct gate *g, int held)
{
    close(held);
    unlink(g->path);
}

/* In the test: waits until the task is there, then lets it go. */
static inline void gate_open(struct gate *g)
{
    gate_let_go(g, gate_hold(g));
}

#endif
