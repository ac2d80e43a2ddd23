#include "node/machine.h"

#include <dirent.h>
#include <hwloc.h>
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
static unsigned quota(unsigned cores)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    unsigned long long use, period;
    int n = 0;

    if (f == NULL)
        return cores;
    n = fscanf(f, "%llu %llu", &use, &period);
    fclose(f);
    if (n != 2 || period == 0 || use / period >= cores)
        return cores;
    return use < period ? 1 : (unsigned)(use / period);
}

unsigned tbi_machine_cores(void)
{
    hwloc_topology_t topology;
    hwloc_bitmap_t own = hwloc_bitmap_alloc();
    int cores = 0;

    if (hwloc_topology_init(&topology) == 0) {
        hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
        hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
        if (hwloc_topology_load(topology) == 0 &&
            hwloc_get_cpubind(topology, own, HWLOC_CPUBIND_PROCESS) == 0)
            for (hwloc_obj_t core = NULL;
                 (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != NULL;)
                cores += hwloc_bitmap_intersects(core->cpuset, own);
        hwloc_topology_destroy(topology);
    }
    hwloc_bitmap_free(own);
    return quota(cores > 0 ? (unsigned)cores : 1);
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
