/* marks.h - how often something happened in tasks, on whichever host and in however many processes
 * that share a file system: one byte a time in a file. */
#ifndef TB_MARKS_H
#define TB_MARKS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

struct marks {
    char path[96];
};

static inline _Noreturn void marks_fail(const char *path)
{
    perror(path);
    abort();
}

/* In the test. A process of this number that was killed may have left some. */
static inline struct marks marks_new(void)
{
    static int number;
    struct marks m;
    int fd;

    do {
        snprintf(m.path, sizeof m.path, "/tmp/tb-marks-%d-%d", (int)getpid(), number++);
        fd = open(m.path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    } while (fd < 0 && errno == EEXIST);
    if (fd < 0)
        marks_fail(m.path);
    close(fd);
    return m;
}

/* In a task. */
static inline void mark(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND);

    if (fd < 0 || write(fd, "x", 1) != 1)
        marks_fail(path);
    close(fd);
}

static inline int marks_count(const char *path)
{
    struct stat s;

    if (stat(path, &s) != 0)
        marks_fail(path);
    return (int)s.st_size;
}

/* In the test: waits until there are n, for a minute at most; how many there are then. A mark on this host is an event
 * of the file; one that another host makes is not, so that the file is looked at every second, too. */
static inline int marks_await(const char *path, int n)
{
    int seconds = 60, have;
    char events[4096];
    struct pollfd changed = {inotify_init1(IN_CLOEXEC), POLLIN, 0};

    if (changed.fd < 0 || inotify_add_watch(changed.fd, path, IN_MODIFY) < 0)
        marks_fail(path);
    while ((have = marks_count(path)) < n && seconds > 0)
        if (poll(&changed, 1, 1000) == 0)
            seconds--;
        else if (read(changed.fd, events, sizeof events) < 0)
            marks_fail(path);
    close(changed.fd);
    return have;
}

/* In the test: how many there were in all. */
static inline int marks_end(struct marks *m)
{
    int n = marks_count(m->path);

    unlink(m->path);
    return n;
}

#endif
