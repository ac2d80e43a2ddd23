#include "exec/descriptors.h"
#include "util/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

int tbi_descriptors_list(struct tbi_descriptors *d)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *e;
    size_t room = 0;

    *d = (struct tbi_descriptors){0};
    if (dir == NULL)
        return -errno;
    while ((e = readdir(dir)) != NULL) {
        int fd = atoi(e->d_name); /* 0 for "." */

        if (fd <= 2 || fd == dirfd(dir))
            continue;
        if (d->n == room) {
            room = room * 2 + 16;
            d->fd = tbi_realloc(d->fd, room * sizeof *d->fd);
        }
        d->fd[d->n++] = fd;
    }
    closedir(dir);
    if (d->n > 0)
        qsort(d->fd, d->n, sizeof *d->fd, compare);
    return 0;
}

unsigned tbi_descriptors_spare(unsigned most)
{
    int *fd = tbi_alloc(most * sizeof *fd), why;
    unsigned n = 0;

    while (n < most && (fd[n] = n == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : fcntl(fd[0], F_DUPFD_CLOEXEC, 3)) >= 0)
        n++;
    why = errno;
    for (unsigned i = 0; i < n; i++)
        close(fd[i]);
    free(fd);
    errno = why;
    return n;
}

void tbi_descriptors_free(struct tbi_descriptors *d)
{
    free(d->fd);
    *d = (struct tbi_descriptors){0};
}

static bool has(const struct tbi_descriptors *d, int fd)
{
    return d != NULL && d->n > 0 && bsearch(&fd, d->fd, d->n, sizeof fd, compare) != NULL;
}

int tbi_descriptors_blind(struct tbi_descriptors *inherited, const int *own, size_t nown,
                          const struct tbi_descriptors *kept)
{
    int rc = tbi_descriptors_list(inherited), nothing;
    size_t n = 0;

    if (rc != 0)
        return rc;
    nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (size_t i = 0; i < inherited->n; i++) {
        int fd = inherited->fd[i], flags = fcntl(fd, F_GETFD);
        bool ours = false;

        for (size_t k = 0; k < nown; k++)
            ours |= fd == own[k];
        if (ours)
            continue;
        if (!has(kept, fd) && (nothing < 0 || dup3(nothing, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0))
            close(fd);
        else
            inherited->fd[n++] = fd;
    }
    inherited->n = n;
    if (nothing >= 0)
        close(nothing);
    return 0;
}

static void close_from_to(unsigned from, unsigned to)
{
    long limit = sysconf(_SC_OPEN_MAX);

    if (from > to)
        return;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, from, to, 0u) == 0)
        return;
#endif
    for (unsigned fd = from; fd <= to && fd < (unsigned long)limit; fd++) /* a kernel before 5.9 */
        close((int)fd);
}

void tbi_descriptors_close_others(const struct tbi_descriptors *d)
{
    unsigned from = 3;

    for (size_t i = 0; i < d->n; i++) {
        close_from_to(from, (unsigned)d->fd[i] - 1);
        from = (unsigned)d->fd[i] + 1;
    }
    close_from_to(from, ~0u);
}
