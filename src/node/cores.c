#include "node/cores.h"

#include <hwloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static bool has(const struct tbi_cpu_set *set, unsigned cpu)
{
    return cpu < TBI_CPUS_MAX && set->bits[cpu / 64] >> cpu % 64 & 1;
}

static void add(struct tbi_cpu_set *set, unsigned cpu)
{
    if (cpu < TBI_CPUS_MAX)
        set->bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

struct tbi_cpu_set tbi_cores_allowed(void)
{
    struct tbi_cpu_set set = {{0}};
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof cpus, &cpus);
    for (unsigned cpu = 0; cpu < TBI_CPUS_MAX && cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &cpus))
            add(&set, cpu);
    return set;
}

void tbi_cores_bind(const struct tbi_cpu_set *set)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    for (unsigned cpu = 0; cpu < TBI_CPUS_MAX && cpu < CPU_SETSIZE; cpu++)
        if (has(set, cpu))
            CPU_SET(cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus); /* fails for an empty set: then nothing changes */
}

void tbi_cores_widen(void)
{
    struct tbi_cpu_set all;

    /* mpirun --bind-to sets the first; srun --cpu-bind the others. */
    if (getenv("OMPI_MCA_hwloc_base_binding_policy") != NULL ||
        (getenv("SLURM_CPU_BIND") != NULL && getenv("OMPI_COMM_WORLD_SIZE") == NULL))
        return;
    memset(&all, 0xff, sizeof all); /* the kernel leaves out what the cgroup does not allow */
    tbi_cores_bind(&all);
}

/* Each core's first hardware thread and all of them, in hwloc's order, near ones together. */
static unsigned list_cores(const struct tbi_cpu_set *of, struct tbi_cpu_set *core)
{
    hwloc_topology_t topology;
    unsigned n = 0;

    if (hwloc_topology_init(&topology) != 0)
        return 0;
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_load(topology) == 0)
        for (hwloc_obj_t o = NULL;
             (o = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, o)) != NULL &&
             n < TBI_CPUS_MAX;) {
            struct tbi_cpu_set mine = {{0}};
            unsigned cpu;
            bool any = false;

            hwloc_bitmap_foreach_begin(cpu, o->cpuset)
                if (has(of, cpu)) {
                    add(&mine, cpu);
                    any = true;
                }
            hwloc_bitmap_foreach_end();
            if (any)
                core[n++] = mine;
        }
    hwloc_topology_destroy(topology);
    return n;
}

struct tbi_core_share tbi_cores_share(const struct tbi_cpu_set *allowed, unsigned n, unsigned me)
{
    struct tbi_core_share share = {.set = allowed[me]};
    struct tbi_cpu_set all = {{0}}, *core;
    bool overlap = false;
    unsigned cores, each, first;

    for (unsigned i = 0; i < n; i++)
        for (unsigned w = 0; w < TBI_CPUS_MAX / 64; w++) {
            overlap |= (all.bits[w] & allowed[i].bits[w]) != 0;
            all.bits[w] |= allowed[i].bits[w];
        }
    core = calloc(TBI_CPUS_MAX, sizeof *core);
    if (core == NULL || (cores = list_cores(overlap ? &all : &allowed[me], core)) == 0) {
        share.cores = 1;
    } else if (!overlap) {
        share.cores = cores;
    } else if (cores < n) {
        share.cores = 1;
        share.shared = n > 1;
        share.set = all;
    } else {
        each = cores / n;
        first = me * each + (me < cores % n ? me : cores % n);
        share.cores = each + (me < cores % n);
        memset(&share.set, 0, sizeof share.set);
        for (unsigned c = first; c < first + share.cores; c++)
            for (unsigned w = 0; w < TBI_CPUS_MAX / 64; w++)
                share.set.bits[w] |= core[c].bits[w];
    }
    free(core);
    return share;
}
