#include "exec/children.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void tbi_children_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
}

/* ---- who they are ---- */

/* "/proc/" + number + rest, without stdio, which is not for signal handlers. */
static const char *path_of(char path[64], const char *before, unsigned long number, const char *after)
{
    char digit[24];
    int n = 0;
    char *to = stpcpy(path, before);

    do
        digit[n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (n > 0)
        *to++ = digit[--n];
    strcpy(to, after);
    return path;
}

static void each_in_list(int fd, void (*each)(void *, pid_t), void *ctx)
{
    char text[4096];
    pid_t pid = 0;
    ssize_t n;

    while ((n = read(fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
                continue;
            }
            if (pid > 0)
                each(ctx, pid);
            pid = 0;
        }
    if (pid > 0)
        each(ctx, pid);
}

/* The fourth word of /proc/PID/stat, where the second stands in parentheses and may be anything. */
static pid_t parent_of(unsigned long pid)
{
    char path[64], text[512];
    const char *at;
    pid_t parent = 0;
    ssize_t n;
    int fd = open(path_of(path, "/proc/", pid, "/stat"), O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    at = strrchr(text, ')');
    if (at == NULL || strlen(at) < 5)
        return 0;
    for (at += 4; *at >= '0' && *at <= '9'; at++) /* ") S " */
        parent = parent * 10 + (*at - '0');
    return parent;
}

static unsigned long number_of(const char *name)
{
    unsigned long number = 0;

    for (; *name >= '0' && *name <= '9'; name++)
        number = number * 10 + (unsigned long)(*name - '0');
    return *name == 0 ? number : 0;
}

void tbi_children_each_by_scan(void (*each)(void *ctx, pid_t child), void *ctx)
{
    struct entry { /* of the kernel's getdents64 */
        uint64_t inode, offset;
        uint16_t bytes;
        uint8_t type;
        char name[];
    };
    _Alignas(struct entry) char room[4096];
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n;

    while (fd >= 0 && (n = syscall(SYS_getdents64, fd, room, sizeof room)) > 0)
        for (long at = 0; at < n; at += ((struct entry *)(room + at))->bytes) {
            unsigned long pid = number_of(((struct entry *)(room + at))->name);

            if (pid > 0 && parent_of(pid) == getpid())
                each(ctx, (pid_t)pid);
        }
    if (fd >= 0)
        close(fd);
}

void tbi_children_each(void (*each)(void *ctx, pid_t child), void *ctx)
{
    char path[64];
    int fd = open(path_of(path, "/proc/self/task/", (unsigned long)getpid(), "/children"),
                  O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        tbi_children_each_by_scan(each, ctx);
        return;
    }
    each_in_list(fd, each, ctx);
    close(fd);
}

/* ---- their end ---- */

static void end_one(void *ctx, pid_t pid)
{
    (void)ctx;
    kill(pid, SIGKILL);
}

bool tbi_children_end(unsigned limit_ms)
{
    struct timespec pause = {0, 50000};

    for (uint64_t slept_us = 0;;) {
        pid_t pid;

        tbi_children_each(end_one, NULL);
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        }
        if (pid < 0) /* there are none, and so nobody is below them either */
            return true;
        if (slept_us >= limit_ms * UINT64_C(1000))
            return false;
        nanosleep(&pause, NULL);
        slept_us += (uint64_t)pause.tv_nsec / 1000;
        if (pause.tv_nsec < 5000000)
            pause.tv_nsec *= 2;
    }
}

void tbi_children_reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}
