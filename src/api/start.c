#include "api/start.h"
#include "api/errors.h"
#include "api/isolate.h"
#include "api/registry.h"
#include "api/version.h"
#include "node/machine.h"
#include "node/store_size.h"
#include "store/segment.h"
#include "util/alloc.h"
#include "util/fault.h"

#include <errno.h>
#include <unistd.h>

static void wake_rank(void *ctx)
{
    const struct tbi_job *j = ctx;

    tbi_bell_ring(tbi_memory_bell(&j->memory, j->rank));
}

static int executor(void *ctx, uint32_t slot, uint32_t proc)
{
    return tbi_executor_main(&((struct tbi_job *)ctx)->executor, slot, proc);
}

static int map_alone(struct tbi_job *j)
{
    struct tbi_system sys = tbi_system_here();
    struct tbi_store_host host = {.name = j->hostname, .ranks = 1, .mapped = 1, .memory = tbi_machine_memory(&sys),
                                  .shm_free = UINT64_MAX, .address_space = tbi_machine_address_space(&sys),
                                  .private_memory = tbi_machine_private(&sys),
                                  .private_fixed = tbi_machine_private_fixed(),
                                  .table_share = tbi_segment_table_share(tbi_page_bytes())};
    char why[400];
    uint64_t bytes;
    int rc = tbi_survey_check(j);

    if (rc != 0)
        return rc;
    bytes = tbi_store_size(&host, (uint64_t)j->settings.store, why, sizeof why);
    if (bytes == 0)
        return tbi_error_set(TB_ERR_STORE_FULL, "%s", why);
    rc = tbi_memory_map_alone(&j->memory, 1, 0, bytes);
    return rc == 0 ? 0 : tbi_error_set(TB_ERR_STORE_FULL, "the object store of %llu bytes cannot be "
                                       "mapped: %s; set TB_STORE lower",
                                       (unsigned long long)bytes, strerror(-rc));
}

/* One rank, which is also the worker. */
int tbi_start_alone(struct tbi_job *j)
{
    struct tbi_system sys = tbi_system_here();
    struct tbi_cpu_set allowed = tbi_cores_allowed();
    int rc = tbi_resources_check_ranks(&j->settings, 1);

    if (rc == 0)
        rc = map_alone(j);

    j->nranks = 1;
    j->host = tbi_alloc_zeroed(1, sizeof *j->host);
    j->places.cores = tbi_cores_share(NULL, &allowed, 1, 0);
    tbi_cores_cap(&j->places.cores, tbi_machine_cpus(&sys), 1, 0);
    return rc != 0 ? rc : tbi_survey_resources(j);
}

static int agree_on_settings(struct tbi_job *j, int rc)
{
    uint64_t digest = tbi_registry_digest();
    uint32_t number = (uint32_t)getpid();

    rc = tbi_mpi_agree(&j->mpi, rc);
    if (rc != 0)
        return rc;
    /* First, and of the same size for ever, for whatever comes after it may differ. */
    rc = tbi_mpi_same(&j->mpi, tbi_version, sizeof tbi_version, "another version of Thornback");
    if (tbi_mpi_same(&j->mpi, &digest, sizeof digest, "another program, with other "
                     "remote functions,") != 0 && rc == 0)
        rc = TB_ERR_ARGUMENT;
    rc = tbi_mpi_agree(&j->mpi, rc);
    if (rc != 0)
        return rc;
    tbi_mpi_share(&j->mpi, &j->settings, sizeof j->settings);
    tbi_mpi_share(&j->mpi, &number, sizeof number);
    j->process.job = number & TBI_ID_JOB_MAX;
    rc = tbi_resources_read(&j->resources, &j->settings); /* the same everywhere */
    return rc != 0 ? rc : tbi_resources_check_ranks(&j->settings, j->nranks);
}

int tbi_start_mpi(struct tbi_job *j, int rc, int settings)
{
    uint64_t bytes;
    int started;

    tbi_isolate_note_own(j);
    started = tbi_mpi_start(&j->mpi);

    j->uses_mpi = j->mpi.world != MPI_COMM_NULL;
    if (!j->uses_mpi)
        return started;
    j->rank = j->mpi.rank;
    j->nranks = j->mpi.nranks;
    if (j->rank == 0) {
        tbi_settings_warn(stderr);
        rc = rc != 0 ? rc : settings; /* those of the others do not count */
    }
    if (started == 0 && j->nranks - 1 > TBI_ID_RANK_MAX)
        started = tbi_error_set(TB_ERR_UNSUPPORTED, "%u ranks: %u are possible", j->nranks, TBI_ID_RANK_MAX + 1);
    rc = agree_on_settings(j, rc != 0 ? rc : started);
    if (rc != 0)
        return rc;
    rc = tbi_mpi_agree(&j->mpi,
                       tbi_mpi_find_hosts(&j->mpi, (unsigned)j->settings.virtual_nodes,
                                          j->hostname));
    if (rc != 0)
        return rc;
    j->host = tbi_copy(j->mpi.host, j->nranks * sizeof *j->host);
    tbi_survey_cores(j);
    bytes = tbi_mpi_segment_bytes(&j->mpi, (uint64_t)j->settings.store);
    rc = bytes == 0 ? TB_ERR_STORE_FULL : 0;
    if (tbi_survey_check(j) != 0) /* then what is wrong with the store follows from that */
        rc = TB_ERR_OUT_OF_MEMORY;
    rc = tbi_mpi_agree(&j->mpi, rc);
    if (rc == 0)
        rc = tbi_mpi_agree(&j->mpi, tbi_mpi_map(&j->mpi, bytes, &j->memory));
    if (rc == 0)
        rc = tbi_mpi_agree(&j->mpi, tbi_survey_resources(j));
    return rc;
}

/* After the zygote: the window, whose memory MPI may register, and the way to the others. */
int tbi_start_connect(struct tbi_job *j)
{
    bool wanted = j->mpi.nhosts > 1 && (int)j->settings.fetch != TBI_FETCH_BY_P2P;

    j->fetches_by_messages = !wanted || !tbi_mpi_make_window(&j->mpi, &j->memory);
    if (wanted && j->fetches_by_messages) {
        if ((int)j->settings.fetch == TBI_FETCH_BY_RMA)
            return tbi_error_set(TB_ERR_UNSUPPORTED, "TB_FETCH=rma: this MPI cannot make a window "
                                 "over all ranks; with Open MPI over TCP try OMPI_MCA_osc=^ucx");
        if (j->rank == 0)
            fprintf(stderr, "thornback: note: this MPI cannot make a window over all ranks; objects "
                    "travel between hosts as messages (with Open MPI over TCP try "
                    "OMPI_MCA_osc=^ucx)\n");
    }
    j->transport = tbi_transport_start(&j->mpi, &j->memory, &j->port);
    return 0;
}

/* With rank 0's settings, which were checked there. */
static void arm_faults(struct tbi_job *j)
{
    struct tbi_fault_plan plan;
    char why[512];

    if (tbi_fault_parse(j->settings.fault, &plan, why, sizeof why))
        tbi_fault_arm(&plan, tbi_slots_faults(j->slots));
}

/* How it was, from all ranks: the first that has no files is named. */
void tbi_start_warn_of_no_files(const struct tbi_job *j)
{
    int32_t *none = tbi_alloc_zeroed(j->nranks, sizeof *none);
    unsigned r = 0;

    if (j->uses_mpi)
        tbi_mpi_gather(&j->mpi, j->no_files, none);
    else
        none[0] = j->no_files;
    while (r < j->nranks && none[r] == 0)
        r++;
    if (r < j->nranks && j->rank == 0)
        fprintf(stderr, "thornback: warning: TB_LOG_DIR=%s: rank %u cannot write files there: %s; "
                "what tasks print goes to the terminal alone\n", j->settings.log_dir, r,
                strerror(none[r]));
    free(none);
}

int tbi_start_zygote(struct tbi_job *j)
{
    bool prefixes = j->settings.log_prefix != 0;
    struct tbi_zygote_config config = {
        .executor = executor, .prepare = tbi_isolate_tasks, .ctx = j, .deaths_size = TBI_DEATHS_RING, .wake = wake_rank,
        .output = {.ring_size = TBI_OUTPUT_RING, .rank = j->rank,
                   .functions = prefixes ? j->functions : NULL,
                   .nfunctions = (unsigned)tbi_registry_count()}};
    int rc;

    j->slots = tbi_slots_create(tbi_page_bytes());
    if (j->slots == NULL)
        return tbi_error_set(TB_ERR_OUT_OF_MEMORY, "no memory for the processes of tasks: %s",
                             strerror(errno));
    j->executor = (struct tbi_executor_config){
        .slots = j->slots, .memory = &j->memory, .rank = j->rank, .host = j->hostname,
        .job = j->process.job, .limits = j->process.limits, .cluster = &j->cluster,
        .places = &j->places, .marks = prefixes};
    arm_faults(j);
    if (j->settings.keep_descriptors != 0)
        config.kept = &j->own_descriptors;
    config.deaths = tbi_slots_deaths(j->slots);
    config.output.slots = j->slots;
    config.output.ring = tbi_slots_output(j->slots);
    if (j->settings.log_dir[0] != 0 && j->cpus[j->rank] > 0)
        j->no_files = -tbi_output_files(j->settings.log_dir, j->rank, config.output.file);
    rc = tbi_zygote_start(&j->zygote, &config);
    j->has_zygote = rc == 0;
    for (int i = 0; i < 2; i++)
        if (config.output.file[i] != 0)
            close(config.output.file[i]);
    return rc == 0 ? 0 : tbi_error_set(TB_ERR_OUT_OF_MEMORY, "no process can be started: %s",
                                       strerror(-rc));
}

/* After the zygote, whose children need no second view. */
int tbi_start_guard_views(struct tbi_job *j)
{
    int rc = tbi_memory_guard_views(&j->memory);

    return rc == 0 ? 0 : tbi_error_set(TB_ERR_STORE_FULL, "the object store cannot be mapped for reading: %s; set "
                                       "TB_STORE lower", strerror(-rc));
}
