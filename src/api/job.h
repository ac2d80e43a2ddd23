/* job.h - everything of the job in this process: what tb_init makes, part by part, and tb_finalize undoes.
 * One thread at a time. */
#ifndef TBI_JOB_H
#define TBI_JOB_H

#include "api/driver.h"
#include "api/settings.h"
#include "exec/descriptors.h"
#include "exec/executor.h"
#include "net/transport.h"
#include "util/maps.h"

struct tbi_job {
    struct tbi_settings settings;
    unsigned rank, nranks;
    unsigned *host;
    int32_t *cpus;
    struct tbi_resources resources;
    struct tbi_places places;
    struct tbi_cluster cluster;
    char (*hostnames)[64];
    int64_t *totals;            /* of each rank, totals[nranks * resources.n] */
    char hostname[64];
    struct tbi_memory memory;
    struct tbi_ranges own_shared;   /* shared memory that the program had mapped before tb_init */
    struct tbi_slots *slots;
    struct tbi_zygote zygote;
    bool has_zygote;
    struct tbi_descriptors own_descriptors; /* of the program, at tb_init */
    struct tbi_executor_config executor;
    struct tbi_process process;
    struct tbi_driver *driver;
    const char **functions;
    const char *names[TBI_RESOURCES_MAX]; /* of the resources */
    int32_t no_files;               /* errno: there are no files in TB_LOG_DIR */
    bool uses_mpi, fetches_by_messages;
    struct tbi_mpi mpi;
    struct tbi_mpi_transport *transport;
    struct tbi_transport port;
    struct tbi_watchdog *watchdog;
    bool store_stays;               /* mapped until the process ends, for threads that read or write in it */
};

/* survey.c: what this rank has, and what every rank has: */

/* the cores, shared out with the host's other ranks; under MPI */
void tbi_survey_cores(struct tbi_job *job);
/* 0, or TB_ERR_OUT_OF_MEMORY: some file that tells it should be readable, and is not; it is named */
int tbi_survey_check(const struct tbi_job *job);
/* GPUs, memory and the rest, as found or as said; where tasks are bound; `totals`, `hostnames` and
 * `cluster`. 0 or TB_ERR_ARGUMENT. Collective under MPI, after the segment was mapped. */
int tbi_survey_resources(struct tbi_job *job);

#endif
