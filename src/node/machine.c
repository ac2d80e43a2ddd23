#include "node/machine.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The first number in a small file; UINT64_MAX if there is none, or it says "max". */
static uint64_t read_number(const char *path)
{
    FILE *f = fopen(path, "r");
    unsigned long long x;
    int n = 0;

    if (f == NULL)
        return UINT64_MAX;
    n = fscanf(f, "%llu", &x);
    fclose(f);
    return n == 1 ? x : UINT64_MAX;
}

/* cgroup v2 as seen from inside: "max 100000" or "200000 100000" (microseconds a period). */
unsigned tbi_machine_quota(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    unsigned long long use, period;
    int n = 0;

    if (f == NULL)
        return UINT_MAX;
    n = fscanf(f, "%llu %llu", &use, &period);
    fclose(f);
    if (n != 2 || period == 0)
        return UINT_MAX;
    return use < period ? 1 : (unsigned)(use / period);
}

uint64_t tbi_machine_shm_free(void)
{
    struct statvfs fs;

    return statvfs("/dev/shm", &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

uint64_t tbi_machine_store(void)
{
    uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t limit = read_number("/sys/fs/cgroup/memory.max"), shm = tbi_machine_shm_free();

    if (limit < least)
        least = limit;
    if (shm < least)
        least = shm;
    return least / 10 * 3;
}

unsigned tbi_machine_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    unsigned n = 0;

    if (dir == NULL)
        return 1;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}
