#include "util/maps.h"
#include "util/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void tbi_ranges_add(struct tbi_ranges *r, const void *from, size_t bytes)
{
    r->range = tbi_realloc(r->range, (r->n + 1) * sizeof *r->range);
    r->range[r->n++] = (struct tbi_range){(uintptr_t)from, (uintptr_t)from + bytes};
}

int tbi_maps_shared(struct tbi_ranges *r)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long from, to;
    char *line = NULL, mode[5];
    size_t room = 0;
    int rc = 0;

    if (maps == NULL)
        return -errno;
    while (getline(&line, &room, maps) > 0)
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 && mode[1] == 'w' && mode[3] == 's')
            tbi_ranges_add(r, (const void *)from, to - from);
    if (ferror(maps))
        rc = -EIO;
    free(line);
    fclose(maps);
    return rc;
}

/* A private mapping of nothing takes its place. By system call: MPI puts hooks into the C library's functions, which
 * would tell it that memory it knows is gone. */
static int close_range_of(uintptr_t from, uintptr_t to)
{
    long at = syscall(SYS_mmap, from, to - from, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0L);

    return at == -1 ? -errno : 0;
}

/* What of `from` to `to` is in none of keep[i], keep[i + 1] ... */
static int close_rest(uintptr_t from, uintptr_t to, const struct tbi_ranges *keep, size_t i)
{
    int rc;

    while (i < keep->n && (keep->range[i].to <= from || keep->range[i].from >= to))
        i++;
    if (from >= to)
        return 0;
    if (i == keep->n)
        return close_range_of(from, to);
    rc = keep->range[i].from > from ? close_rest(from, keep->range[i].from, keep, i + 1) : 0;
    return rc != 0 ? rc : close_rest(keep->range[i].to, to, keep, i + 1);
}

int tbi_maps_close(const struct tbi_ranges *keep)
{
    struct tbi_ranges shared = {0};
    int rc = tbi_maps_shared(&shared);

    for (size_t i = 0; rc == 0 && i < shared.n; i++)
        rc = close_rest(shared.range[i].from, shared.range[i].to, keep, 0);
    free(shared.range);
    return rc;
}
