#include "node/cores.h"
#include "node/share.h"
#include "util/alloc.h"

#include <hwloc.h>
#include <limits.h>
#include <sched.h>
#include <unistd.h>

/* ---- sets, and what the kernel says ---- */

static bool has(const struct tbi_cpu_set *set, unsigned cpu)
{
    return cpu < TBI_CPUS_MAX && set->bits[cpu / 64] >> cpu % 64 & 1;
}

static void add(struct tbi_cpu_set *set, unsigned cpu)
{
    if (cpu < TBI_CPUS_MAX)
        set->bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

static void unite(struct tbi_cpu_set *set, const struct tbi_cpu_set *with)
{
    for (unsigned w = 0; w < TBI_CPUS_MAX / 64; w++)
        set->bits[w] |= with->bits[w];
}

static bool overlap(const struct tbi_cpu_set *a, const struct tbi_cpu_set *b)
{
    for (unsigned w = 0; w < TBI_CPUS_MAX / 64; w++)
        if (a->bits[w] & b->bits[w])
            return true;
    return false;
}

/* The kernel refuses a mask that is shorter than its own. */
union mask {
    cpu_set_t cpus;
    unsigned long words[TBI_CPUS_MAX / (8 * sizeof(unsigned long))];
};

static bool allowed_of(pid_t pid, struct tbi_cpu_set *set)
{
    union mask mask = {.words = {0}};

    memset(set, 0, sizeof *set);
    if (sched_getaffinity(pid, sizeof mask, &mask.cpus) != 0)
        return false;
    for (unsigned cpu = 0; cpu < TBI_CPUS_MAX; cpu++)
        if (CPU_ISSET_S(cpu, sizeof mask, &mask.cpus))
            add(set, cpu);
    return true;
}

struct tbi_cpu_set tbi_cores_allowed(void)
{
    struct tbi_cpu_set set;

    allowed_of(0, &set);
    return set;
}

void tbi_cores_bind_thread(int thread, const struct tbi_cpu_set *set)
{
    union mask mask = {.words = {0}};

    for (unsigned cpu = 0; cpu < TBI_CPUS_MAX; cpu++)
        if (has(set, cpu))
            CPU_SET_S(cpu, sizeof mask, &mask.cpus);
    /* fails for an empty set: then nothing changes */
    sched_setaffinity(thread, sizeof mask, &mask.cpus);
}

void tbi_cores_bind(const struct tbi_cpu_set *set)
{
    tbi_cores_bind_thread(0, set);
}

/* What started this process, by name, with the process above it. 0: it cannot be found out. */
static pid_t look_up(const struct tbi_system *sys, pid_t pid, char name[16])
{
    char path[64], text[512], *end;
    int above = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    /* "71 (mpirun) S 70 ...", where a name may hold blanks and brackets */
    if (!tbi_system_read(sys, path, text, sizeof text) || (end = strrchr(text, ')')) == NULL ||
        sscanf(text, "%*d (%15[^)]", name) != 1 || sscanf(end, ") %*c %d", &above) != 1)
        return 0;
    return above;
}

/* What Open MPI's own process on this host may use: it binds its ranks, never itself. */
static bool launcher_allows(const struct tbi_system *sys, struct tbi_cpu_set *set)
{
    static const char *const launcher[] = {"orted", "mpirun", "mpiexec", "orterun", "prte"};
    char name[16];
    pid_t above;

    for (pid_t pid = getppid(); pid > 0; pid = above) {
        above = look_up(sys, pid, name);
        if (above == 0)
            return false;
        for (unsigned i = 0; i < sizeof launcher / sizeof launcher[0]; i++)
            if (strncmp(name, launcher[i], strlen(launcher[i])) == 0)
                return allowed_of(pid, set);
    }
    return false;
}

void tbi_cores_widen(const struct tbi_system *sys)
{
    struct tbi_cpu_set wide;

    /* mpirun --bind-to sets the first; srun --cpu-bind the others. */
    if (sys->getenv("OMPI_MCA_hwloc_base_binding_policy") != NULL ||
        (sys->getenv("SLURM_CPU_BIND") != NULL && sys->getenv("OMPI_COMM_WORLD_SIZE") == NULL))
        return;
    if (!launcher_allows(sys, &wide))
        memset(&wide, 0xff, sizeof wide); /* the kernel leaves out what the cgroup does not allow */
    tbi_cores_bind(&wide);
}

/* ---- cores ---- */

/* With what this rank is not allowed, for another of the host may be. */
static hwloc_topology_t load(void)
{
    hwloc_topology_t t;

    if (hwloc_topology_init(&t) != 0)
        return NULL;
    hwloc_topology_set_flags(t, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_topology_set_all_types_filter(t, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(t, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(t, HWLOC_OBJ_L3CACHE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(t, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_load(t) == 0)
        return t;
    hwloc_topology_destroy(t);
    return NULL;
}

static unsigned number_above(hwloc_topology_t t, hwloc_obj_type_t type, hwloc_obj_t o,
                             unsigned otherwise)
{
    hwloc_obj_t above = hwloc_get_ancestor_obj_by_type(t, type, o);

    return above != NULL ? above->logical_index : otherwise;
}

static struct tbi_core describe(hwloc_topology_t t, hwloc_obj_t o, const struct tbi_cpu_set *of)
{
    int numa = hwloc_bitmap_first(o->nodeset);
    struct tbi_core core = {.numa = (uint16_t)(numa < 0 ? 0 : numa)};
    unsigned cpu;

    core.package = (uint16_t)number_above(t, HWLOC_OBJ_PACKAGE, o, 0);
    core.l3 = (uint16_t)number_above(t, HWLOC_OBJ_L3CACHE, o, core.numa);
    hwloc_bitmap_foreach_begin(cpu, o->cpuset)
        if (has(of, cpu) && core.nthreads < TBI_CORE_THREADS)
            core.thread[core.nthreads++] = (uint16_t)cpu;
    hwloc_bitmap_foreach_end();
    return core;
}

static unsigned list(hwloc_topology_t t, const struct tbi_cpu_set *of, struct tbi_core **core)
{
    /* some virtual machines have threads only */
    int depth = hwloc_get_type_or_below_depth(t, HWLOC_OBJ_CORE);
    unsigned all = hwloc_get_nbobjs_by_depth(t, depth), n = 0;

    *core = tbi_alloc_zeroed(all, sizeof **core);
    for (unsigned i = 0; i < all; i++) {
        (*core)[n] = describe(t, hwloc_get_obj_by_depth(t, depth, i), of);
        n += (*core)[n].nthreads > 0;
    }
    return n;
}

static bool may_use(const struct tbi_cpu_set *allowed, const struct tbi_core *core)
{
    for (unsigned i = 0; i < core->nthreads; i++)
        if (has(allowed, core->thread[i]))
            return true;
    return false;
}

static bool is_alone(const struct tbi_cpu_set *allowed, unsigned n, unsigned i)
{
    for (unsigned k = 0; k < n; k++)
        if (k != i && overlap(&allowed[i], &allowed[k]))
            return false;
    return true;
}

static void add_threads(struct tbi_cpu_set *set, const struct tbi_core *core,
                        const struct tbi_cpu_set *allowed)
{
    for (unsigned i = 0; i < core->nthreads; i++)
        if (has(allowed, core->thread[i]))
            add(set, core->thread[i]);
}

/* What rank `me` is left with of what others may use as well; false: nothing, or somebody who is
 * left with nothing uses it too. Such a core is the only one of its rank: else it would be the
 * other's. */
static bool part(hwloc_topology_t t, const struct tbi_cpu_set *allowed, unsigned n, unsigned me,
                 struct tbi_cpu_set *mine)
{
    struct tbi_cpu_set all = {{0}};
    struct tbi_core *core;
    unsigned ncores, *owner;
    bool *may, *has_any = tbi_alloc_zeroed(n, sizeof *has_any), own = true;

    for (unsigned i = 0; i < n; i++)
        unite(&all, &allowed[i]);
    ncores = list(t, &all, &core);
    owner = tbi_alloc_zeroed(ncores, sizeof *owner);
    may = tbi_alloc_zeroed((size_t)n * ncores, sizeof *may);
    for (unsigned i = 0; i < n; i++)
        if (!is_alone(allowed, n, i))
            for (unsigned c = 0; c < ncores; c++)
                may[i * ncores + c] = may_use(&allowed[i], &core[c]);
    tbi_share(n, ncores, may, owner);
    for (unsigned c = 0; c < ncores; c++)
        if (owner[c] != TBI_SHARE_NOBODY)
            has_any[owner[c]] = true;
    for (unsigned c = 0; c < ncores && has_any[me]; c++)
        if (owner[c] == me) {
            add_threads(mine, &core[c], &allowed[me]);
            for (unsigned i = 0; i < n; i++)
                own &= has_any[i] || !may[i * ncores + c];
        }
    own &= has_any[me];
    free(may);
    free(owner);
    free(has_any);
    free(core);
    return own;
}

struct tbi_core_share tbi_cores_share(struct hwloc_topology *topology,
                                      const struct tbi_cpu_set *allowed, unsigned n, unsigned me)
{
    struct tbi_core_share share = {.set = allowed[me], .cpus = 1};
    hwloc_topology_t t = topology != NULL ? topology : load();
    struct tbi_cpu_set mine = {{0}};

    if (t == NULL)
        return share;
    if (!is_alone(allowed, n, me)) {
        share.shared = !part(t, allowed, n, me, &mine);
        if (!share.shared)
            share.set = mine;
    }
    share.ncores = list(t, &share.set, &share.core);
    if (!share.shared && share.ncores > 0)
        share.cpus = share.ncores;
    if (topology == NULL)
        hwloc_topology_destroy(t);
    return share;
}

void tbi_cores_cap(struct tbi_core_share *share, unsigned limit, unsigned n, unsigned me)
{
    unsigned mine = limit / n + (me < limit % n);

    if (mine < share->cpus)
        share->cpus = mine > 0 ? mine : 1;
}

void tbi_cores_free(struct tbi_core_share *share)
{
    free(share->core);
    share->core = NULL;
    share->ncores = 0;
}
