/* mpi_job.h - what MPI gives a job at its start: ranks, hosts, shared segments, the window, and the
 * means to agree. The functions are collective over all ranks and block. From the main thread; after
 * the start only transport.c calls MPI. */
#ifndef TBI_MPI_JOB_H
#define TBI_MPI_JOB_H

#include "node/cores.h"
#include "node/gpus.h"
#include "store/memory.h"

#include <mpi.h>
#include <stdbool.h>

struct tbi_mpi {
    unsigned rank, nranks;
    MPI_Comm world;      /* ours, for everything */
    MPI_Comm physical;   /* the ranks of this host */
    MPI_Comm node;       /* of them, those that share memory: a virtual node, or all */
    unsigned *host;      /* host[nranks]: equal numbers share memory (the least rank there) */
    unsigned nhosts;     /* different numbers */
    char (*hostname)[64]; /* hostname[nranks], if there is more than one host */
    MPI_Win shared;      /* MPI_WIN_NULL: the node has one rank */
    MPI_Win window;      /* over all ranks; MPI_WIN_NULL: fetch by messages */
    void *mapped;        /* start of the own memory, shared window or not */
};

/* Was this program started by mpirun, srun or the like? Else it can do without MPI. */
bool tbi_mpi_launched(void);

/* Initialises MPI. 0, or TB_ERR_STATE if somebody else has. */
int tbi_mpi_start(struct tbi_mpi *mpi);
/* Frees what there is and finalises MPI. */
void tbi_mpi_stop(struct tbi_mpi *mpi);

/* Each rank says how it fares: 0 everywhere, or everywhere the code and last error of the lowest rank
 * that failed. */
int tbi_mpi_agree(const struct tbi_mpi *mpi, int rc);
/* Rank 0's bytes to all. */
void tbi_mpi_share(const struct tbi_mpi *mpi, void *bytes, size_t n);
/* Rank 0 has `mine` of n bytes, every other rank too: are they equal? 0, or the error `what`. Not
 * collective in its result: agree on it. */
int tbi_mpi_same(const struct tbi_mpi *mpi, const void *mine, size_t n, const char *what);

/* Finds the hosts and splits each into `virtual_nodes`. 0 or TB_ERR_ARGUMENT. `name`: of this one. */
int tbi_mpi_find_hosts(struct tbi_mpi *mpi, unsigned virtual_nodes, const char *name);

/* The cores of this rank, split with the other workers of its host; rank 0 is none unless alone.
 * To be freed with tbi_cores_free. */
struct tbi_core_share tbi_mpi_share_cores(const struct tbi_mpi *mpi);

/* The GPUs of this rank: of what each worker of the host lists, its part. */
struct tbi_gpus tbi_mpi_share_gpus(const struct tbi_mpi *mpi, const struct tbi_gpus *found);

/* How many worker ranks are on this host, and of what they say, the sum of those before this one. */
unsigned tbi_mpi_workers_here(const struct tbi_mpi *mpi);
unsigned tbi_mpi_sum_before(const struct tbi_mpi *mpi, unsigned mine);

/* Every rank's bytes. all[nranks * n]. */
void tbi_mpi_gather_bytes(const struct tbi_mpi *mpi, const void *mine, size_t n, void *all);

/* Every rank's number. all[nranks]. */
void tbi_mpi_gather(const struct tbi_mpi *mpi, int32_t mine, int32_t *all);

/* Bytes of a segment of this rank by default: the host's store split evenly; or `wanted`, if not 0.
 * 0 bytes: TB_ERR_STORE_FULL with the last error set: /dev/shm is too small. */
uint64_t tbi_mpi_segment_bytes(const struct tbi_mpi *mpi, uint64_t wanted);

/* Maps the segments of the node's ranks. 0 or TB_ERR_STORE_FULL. */
int tbi_mpi_map(struct tbi_mpi *mpi, uint64_t bytes, struct tbi_memory *memory);

/* Makes the window over all ranks, after the zygote was forked. False: it cannot be made. */
bool tbi_mpi_make_window(struct tbi_mpi *mpi, const struct tbi_memory *memory);

#endif
