/* survey.c - what a rank has: found where nothing is said, shared out between the ranks of a host. */
#include "api/errors.h"
#include "api/job.h"
#include "node/machine.h"
#include "util/alloc.h"

#include <string.h>

int tbi_survey_check(const struct tbi_job *j)
{
    struct tbi_system sys = tbi_system_here();

    return sys.unread->error == 0 ? 0 : tbi_error_set(TB_ERR_OUT_OF_MEMORY, "what host %s has cannot be found out: %s cannot "
                                                      "be read: %s", j->hostname, sys.unread->path,
                                                      strerror(sys.unread->error));
}

static bool works(const struct tbi_job *j)
{
    return j->rank != 0 || j->nranks == 1;
}

/* The ids of the GPUs that the rank is said to have: those that were found, as far as they go; if there
 * are to be more, numbers, apart from those of the host's other ranks. */
static int find_gpus(struct tbi_job *j, int64_t wanted)
{
    struct tbi_system sys = tbi_system_here();
    struct tbi_gpus *gpus = &j->places.gpus;
    unsigned n = wanted < 0 ? 0 : (unsigned)(wanted / TBI_UNIT), before = 0;
    char why[256];
    int rc = tbi_gpus_find(&sys, gpus, why, sizeof why);

    if (rc != 0)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "%s", why);
    if (wanted > 0 && (wanted % TBI_UNIT != 0 || n > TBI_GPUS_MAX))
        rc = tbi_error_set(TB_ERR_ARGUMENT, "rank %u is to have %g GPUs: 0 to %d, whole ones, are "
                           "possible (TB_NUM_GPUS, TB_RANKS)", j->rank,
                           (double)wanted / TBI_UNIT, TBI_GPUS_MAX);
    if (j->uses_mpi) {
        *gpus = tbi_mpi_share_gpus(&j->mpi, gpus);
        before = tbi_mpi_sum_before(&j->mpi, n);
    }
    if (wanted < 0 || rc != 0)
        return rc;
    for (unsigned i = 0; n > gpus->n && i < n; i++)
        snprintf(gpus->id[i], sizeof gpus->id[i], "%u", before + i);
    gpus->n = n;
    return 0;
}

/* Beside the driver and the scheduler, which have no core of their own, bound tasks would often wait
 * for a core while another one is idle: empty tasks then lose a seventh of their rate. */
static bool binds(const struct tbi_job *j)
{
    switch ((int)j->settings.bind) {
    case TBI_BIND_AUTO:
        return strcmp(j->hostnames[j->rank], j->hostnames[0]) != 0;
    default:
        return (int)j->settings.bind == TBI_BIND_YES;
    }
}

/* What is found where nothing is said, and then what every rank has. */
int tbi_survey_resources(struct tbi_job *j)
{
    struct tbi_system sys = tbi_system_here();
    struct tbi_core_share *cores = &j->places.cores;
    unsigned n = j->resources.n, workers = j->uses_mpi ? tbi_mpi_workers_here(&j->mpi) : 1;
    uint64_t found = tbi_machine_memory(&sys), memory = found / (workers > 0 ? workers : 1);
    int64_t mine[TBI_RESOURCES_MAX];
    int rc;

    tbi_resources_of_rank(&j->resources, &j->settings, j->rank, mine);
    if (!works(j))
        memset(mine, 0, sizeof mine);
    rc = find_gpus(j, mine[TBI_GPUS]);
    if (mine[TBI_CPUS] < 0)
        mine[TBI_CPUS] = (int64_t)cores->cpus * TBI_UNIT;
    if (mine[TBI_GPUS] < 0)
        mine[TBI_GPUS] = (int64_t)j->places.gpus.n * TBI_UNIT;
    if (mine[TBI_MEMORY] < 0)
        mine[TBI_MEMORY] = found != UINT64_MAX && memory > j->memory.bytes
                               ? (int64_t)(memory - j->memory.bytes) * TBI_UNIT : 0;
    if (works(j) && mine[TBI_CPUS] <= (int64_t)cores->cpus * TBI_UNIT && !cores->shared) {
        tbi_cores_bind(&cores->set);
        if (cores->cpus < cores->ncores) /* a quota: nobody gains from a core of his own */
            cores->ncores = 0;
    } else {
        cores->ncores = 0;
    }
    j->totals = tbi_alloc(j->nranks * n * sizeof *j->totals);
    j->cpus = tbi_alloc(j->nranks * sizeof *j->cpus);
    if (j->uses_mpi)
        tbi_mpi_gather_bytes(&j->mpi, mine, n * sizeof *mine, j->totals);
    else
        memcpy(j->totals, mine, n * sizeof *mine);
    j->hostnames = tbi_alloc(j->nranks * sizeof *j->hostnames);
    if (j->uses_mpi)
        tbi_mpi_gather_bytes(&j->mpi, j->hostname, sizeof j->hostname, j->hostnames);
    else
        memcpy(j->hostnames, j->hostname, sizeof j->hostname);
    if (!binds(j))
        cores->ncores = 0;
    for (unsigned r = 0; r < j->nranks; r++)
        j->cpus[r] = (int32_t)j->totals[r * n + TBI_CPUS];
    j->cluster = (struct tbi_cluster){j->nranks, &j->resources, j->totals,
                                      (const char (*)[64])j->hostnames};
    return rc != 0 ? rc : tbi_survey_check(j);
}

static void warn_of_shared_cores(const struct tbi_job *j)
{
    int32_t *shared = tbi_alloc(j->nranks * sizeof *shared);
    int32_t any = 0;

    tbi_mpi_gather(&j->mpi, j->places.cores.shared, shared);
    for (unsigned r = 0; r < j->nranks; r++)
        any |= shared[r];
    if (any && j->rank == 0)
        fprintf(stderr, "thornback: warning: there are more worker ranks than cores on a host: they "
                "share them (TB_SHOW_MAP=1 shows what each has)\n");
    free(shared);
}

void tbi_survey_cores(struct tbi_job *j)
{
    struct tbi_system sys = tbi_system_here();

    tbi_cores_widen(&sys);
    j->places.cores = tbi_mpi_share_cores(&j->mpi);
    warn_of_shared_cores(j);
}
