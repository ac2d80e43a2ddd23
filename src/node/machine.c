#include "node/machine.h"
#include "node/cgroup.h"
#include "util/page.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

/* A variable that is a whole number above 0; UINT64_MAX if it is none, for it is not ours to
 * judge. */
static uint64_t number_of(const struct tbi_system *sys, const char *name)
{
    const char *text = sys->getenv(name);
    unsigned long long x;
    char *end;

    if (text == NULL || !isdigit((unsigned char)text[0]))
        return UINT64_MAX;
    errno = 0;
    x = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && x > 0 ? x : UINT64_MAX;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

unsigned tbi_machine_cpus(const struct tbi_system *sys)
{
    uint64_t quota = tbi_cgroup_quota(sys);
    uint64_t cpus = smaller(quota == UINT64_MAX ? quota : quota / 1000,
                            number_of(sys, "SLURM_CPUS_ON_NODE"));

    return cpus < 1 ? 1 : cpus < UINT_MAX ? (unsigned)cpus : UINT_MAX;
}

static uint64_t installed(const struct tbi_system *sys)
{
    unsigned long long kb;
    char text[256];

    /* first line: "MemTotal:       16316412 kB" */
    if (!tbi_system_read(sys, "/proc/meminfo", text, sizeof text) ||
        sscanf(text, "MemTotal: %llu kB", &kb) != 1)
        return UINT64_MAX;
    return (uint64_t)kb << 10;
}

/* In MB, as an allocation says it. SLURM_MEM_PER_NODE=0 is all memory. */
static uint64_t allocated(const struct tbi_system *sys)
{
    uint64_t node = number_of(sys, "SLURM_MEM_PER_NODE");
    uint64_t each = number_of(sys, "SLURM_MEM_PER_CPU");
    uint64_t cpus = number_of(sys, "SLURM_CPUS_ON_NODE");

    if (node == UINT64_MAX && each != UINT64_MAX && cpus != UINT64_MAX && each < UINT32_MAX &&
        cpus < UINT_MAX)
        node = each * cpus;
    return node < UINT64_MAX >> 20 ? node << 20 : UINT64_MAX;
}

uint64_t tbi_machine_memory(const struct tbi_system *sys)
{
    return smaller(installed(sys), smaller(tbi_cgroup_memory(sys), allocated(sys)));
}

uint64_t tbi_machine_shm_free(const struct tbi_system *sys)
{
    char path[TBI_PATH];
    struct statvfs fs;

    snprintf(path, sizeof path, "%s/dev/shm", sys->root);
    return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

uint64_t tbi_machine_address_space(void)
{
    enum { BESIDES = 256 << 20 }; /* rings of processes, stacks of threads, what MPI maps later */
    struct tbi_system sys = tbi_system_here();
    struct rlimit limit;
    unsigned long long pages;
    uint64_t used;
    char text[256];

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    if (!tbi_system_read(&sys, "/proc/self/statm", text, sizeof text) || sscanf(text, "%llu", &pages) != 1)
        return limit.rlim_cur / 2;
    used = pages * tbi_page_bytes() + BESIDES;
    return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
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
