#include "node/machine.h"
#include "node/cgroup.h"
#include "util/page.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
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
    uint64_t memory = installed(sys); /* one after the other: the first that cannot be read is the one that is named */

    memory = smaller(memory, tbi_cgroup_memory(sys));
    return smaller(memory, allocated(sys));
}

uint64_t tbi_machine_shm_free(const struct tbi_system *sys)
{
    char path[TBI_PATH];
    struct statvfs fs;

    snprintf(path, sizeof path, "%s/dev/shm", sys->root);
    if (statvfs(path, &fs) == 0)
        return (uint64_t)fs.f_bavail * fs.f_frsize;
    tbi_system_note(sys, "/dev/shm", errno);
    return UINT64_MAX;
}

/* What a limit of this kind leaves, of what is the given number of statm's (see proc(5)). */
static uint64_t left_of(const struct tbi_system *sys, int kind, int number)
{
    unsigned long long pages[7];
    struct rlimit limit;
    uint64_t used;
    char text[256];

    if (getrlimit(kind, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    if (!tbi_system_read(sys, "/proc/self/statm", text, sizeof text) ||
        sscanf(text, "%llu %llu %llu %llu %llu %llu %llu", &pages[0], &pages[1], &pages[2], &pages[3], &pages[4],
               &pages[5], &pages[6]) != 7)
        return limit.rlim_cur / 2;
    used = pages[number] * tbi_page_bytes();
    return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
}

uint64_t tbi_machine_address_space(const struct tbi_system *sys)
{
    enum { BESIDES = 256 << 20 }; /* rings of processes, stacks of threads, what MPI maps later */

    uint64_t left = left_of(sys, RLIMIT_AS, 0);

    return left == UINT64_MAX ? left : left > BESIDES ? left - BESIDES : 0;
}

uint64_t tbi_machine_private(const struct tbi_system *sys)
{
    return left_of(sys, RLIMIT_DATA, 5);
}

uint64_t tbi_machine_private_fixed(void)
{
    enum { THREADS = 3, TABLES = 16 << 20 }; /* progress, terminal and watchdog; queues of a job of some tasks */
    size_t stack = 0; /* counts in full; by default as large as `ulimit -s` says */
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_getstacksize(&attr, &stack);
    pthread_attr_destroy(&attr);
    return THREADS * stack + TABLES;
}

unsigned tbi_machine_threads(const struct tbi_system *sys)
{
    DIR *dir = tbi_system_open_folder(sys, "/proc/self/task");
    unsigned n = 0;

    if (dir == NULL)
        return 1;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}
