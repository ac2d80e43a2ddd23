#include "net/mpi_job.h"
#include "api/errors.h"
#include "node/machine.h"
#include "node/store_size.h"
#include "store/segment.h"
#include "util/alloc.h"
#include "util/plural.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

bool tbi_mpi_launched(void)
{
    static const char *const sign[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMIX_NAMESPACE",
                                       "PMI_RANK", "PMI_SIZE", "PMI_FD", "MPI_LOCALRANKID",
                                       "PALS_RANKID"};

    for (unsigned i = 0; i < sizeof sign / sizeof sign[0]; i++)
        if (getenv(sign[i]) != NULL)
            return true;
    return false;
}

/* Over TCP, Open MPI 4.1 picks a one-sided component that cannot make our window; without UCX's it
 * picks one that can. Only where nobody has chosen, and there is no fast network. */
static void choose_one_sided(void)
{
    static const char *const chosen[] = {"OMPI_MCA_osc", "OMPI_MCA_pml", "OMPI_MCA_mtl"};

    for (unsigned i = 0; i < 3; i++)
        if (getenv(chosen[i]) != NULL)
            return;
    if (access("/sys/class/infiniband", F_OK) != 0 && access("/dev/cxi0", F_OK) != 0)
        setenv("OMPI_MCA_osc", "^ucx", 0);
}

int tbi_mpi_start(struct tbi_mpi *mpi)
{
    int rank, n, provided, done;

    memset(mpi, 0, sizeof *mpi);
    mpi->world = mpi->physical = mpi->node = MPI_COMM_NULL;
    mpi->shared = mpi->window = MPI_WIN_NULL;
    MPI_Initialized(&done);
    if (done)
        return tbi_error_set(TB_ERR_STATE, "MPI is initialised before tb_init: let tb_init do it");
    choose_one_sided();
    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    MPI_Comm_dup(MPI_COMM_WORLD, &mpi->world);
    MPI_Comm_rank(mpi->world, &rank);
    MPI_Comm_size(mpi->world, &n);
    mpi->rank = (unsigned)rank;
    mpi->nranks = (unsigned)n;
    if (provided < MPI_THREAD_SERIALIZED)
        return tbi_error_set(TB_ERR_UNSUPPORTED, "this MPI has thread level %d, needed is "
                             "MPI_THREAD_SERIALIZED (%d)", provided, MPI_THREAD_SERIALIZED);
    return 0;
}

void tbi_mpi_stop(struct tbi_mpi *mpi)
{
    if (mpi->window != MPI_WIN_NULL) {
        MPI_Win_unlock_all(mpi->window);
        MPI_Win_free(&mpi->window);
    }
    if (mpi->shared != MPI_WIN_NULL)
        MPI_Win_free(&mpi->shared);
    if (mpi->node != MPI_COMM_NULL)
        MPI_Comm_free(&mpi->node);
    if (mpi->physical != MPI_COMM_NULL)
        MPI_Comm_free(&mpi->physical);
    if (mpi->world != MPI_COMM_NULL)
        MPI_Comm_free(&mpi->world);
    free(mpi->host);
    free(mpi->hostname);
    mpi->host = NULL;
    mpi->hostname = NULL;
    MPI_Finalize();
}

int tbi_mpi_agree(const struct tbi_mpi *mpi, int rc)
{
    int first = rc == 0 ? INT_MAX : (int)mpi->rank, lowest;
    struct { int rc; char text[1000]; } failure = {.rc = rc};

    MPI_Allreduce(&first, &lowest, 1, MPI_INT, MPI_MIN, mpi->world);
    if (lowest == INT_MAX)
        return 0;
    if (rc != 0)
        snprintf(failure.text, sizeof failure.text, "%s", tb_last_error());
    MPI_Bcast(&failure, sizeof failure, MPI_BYTE, lowest, mpi->world);
    return tbi_error_set(failure.rc, "%s", failure.text);
}

void tbi_mpi_share(const struct tbi_mpi *mpi, void *bytes, size_t n)
{
    MPI_Bcast(bytes, (int)n, MPI_BYTE, 0, mpi->world);
}

int tbi_mpi_same(const struct tbi_mpi *mpi, const void *mine, size_t n, const char *what)
{
    void *first = tbi_copy(mine, n);
    bool same;

    MPI_Bcast(first, (int)n, MPI_BYTE, 0, mpi->world);
    same = memcmp(first, mine, n) == 0;
    free(first);
    return same ? 0 : tbi_error_set(TB_ERR_ARGUMENT, "rank %u runs %s than rank 0: start the same "
                                    "program, built once, on all ranks", mpi->rank, what);
}

/* The node number of a physical host's rank i of n: contiguous groups, sizes as even as can be. */
static int virtual_node(int i, int n, int nodes)
{
    return (int)((long)i * nodes / n);
}

int tbi_mpi_find_hosts(struct tbi_mpi *mpi, unsigned virtual_nodes, const char *name)
{
    char own[sizeof *mpi->hostname] = {0};
    int i, n, mine = (int)mpi->rank, least;
    int *all = tbi_alloc(mpi->nranks * sizeof *all);
    int rc = 0;

    MPI_Comm_split_type(mpi->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &mpi->physical);
    MPI_Comm_rank(mpi->physical, &i);
    MPI_Comm_size(mpi->physical, &n);
    if (virtual_nodes < 1 || virtual_nodes > (unsigned)n)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "TB_VIRTUAL_NODES=%u: the host of rank %u has %d rank%s: %s%d %s "
                           "possible", virtual_nodes, mpi->rank, n, tbi_s((uint64_t)n), tbi_plural((uint64_t)n, "", "1 to "), n,
                           tbi_plural((uint64_t)n, "is", "are"));
    MPI_Comm_split(mpi->physical, rc == 0 ? virtual_node(i, n, (int)virtual_nodes) : 0, i,
                   &mpi->node);
    MPI_Allreduce(&mine, &least, 1, MPI_INT, MPI_MIN, mpi->node);
    MPI_Allgather(&least, 1, MPI_INT, all, 1, MPI_INT, mpi->world);
    mpi->host = tbi_alloc(mpi->nranks * sizeof *mpi->host);
    mpi->nhosts = 0;
    for (unsigned r = 0; r < mpi->nranks; r++) {
        mpi->host[r] = (unsigned)all[r];
        mpi->nhosts += mpi->host[r] == r;
    }
    free(all);
    if (mpi->nhosts > 1) {
        snprintf(own, sizeof own, "%s", name);
        mpi->hostname = tbi_alloc(mpi->nranks * sizeof *mpi->hostname);
        MPI_Allgather(own, sizeof own, MPI_BYTE, mpi->hostname, sizeof own, MPI_BYTE, mpi->world);
    }
    return rc;
}

static bool is_worker(const struct tbi_mpi *mpi)
{
    return mpi->rank != 0 || mpi->nranks == 1;
}

/* What each of the *n workers of this host says, `bytes` from each in order of rank: the caller's. *me:
 * the own place among them, if this is one. */
static void *ask_workers(const struct tbi_mpi *mpi, const void *mine, size_t bytes, unsigned *n,
                         unsigned *me)
{
    int here, rank, works = is_worker(mpi), *working;
    uint8_t *all;

    MPI_Comm_rank(mpi->physical, &rank);
    MPI_Comm_size(mpi->physical, &here);
    working = tbi_alloc((size_t)here * sizeof *working);
    all = tbi_alloc((size_t)here * bytes);
    MPI_Allgather(&works, 1, MPI_INT, working, 1, MPI_INT, mpi->physical);
    MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, mpi->physical);
    *n = *me = 0;
    for (int k = 0; k < here; k++) {
        if (k == rank)
            *me = *n;
        if (working[k])
            memmove(all + bytes * (*n)++, all + bytes * (size_t)k, bytes);
    }
    free(working);
    return all;
}

struct tbi_core_share tbi_mpi_share_cores(const struct tbi_mpi *mpi)
{
    struct tbi_cpu_set allowed = tbi_cores_allowed(), *workers;
    struct tbi_core_share share = {.set = allowed};
    struct tbi_system sys = tbi_system_here();
    unsigned n, me;

    workers = ask_workers(mpi, &allowed, sizeof allowed, &n, &me);
    if (is_worker(mpi)) {
        share = tbi_cores_share(NULL, workers, n, me);
        tbi_cores_cap(&share, tbi_machine_cpus(&sys), n, me);
    }
    free(workers);
    return share;
}

struct tbi_gpus tbi_mpi_share_gpus(const struct tbi_mpi *mpi, const struct tbi_gpus *found)
{
    struct tbi_gpus share = {.n = 0}, *workers;
    unsigned n, me;

    workers = ask_workers(mpi, found, sizeof *found, &n, &me);
    if (is_worker(mpi))
        tbi_gpus_share(workers, n, me, &share);
    free(workers);
    return share;
}

unsigned tbi_mpi_workers_here(const struct tbi_mpi *mpi)
{
    int mine = is_worker(mpi), all;

    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_SUM, mpi->physical);
    return (unsigned)all;
}

unsigned tbi_mpi_sum_before(const struct tbi_mpi *mpi, unsigned mine)
{
    unsigned sum = 0;
    int i;

    MPI_Comm_rank(mpi->physical, &i);
    MPI_Exscan(&mine, &sum, 1, MPI_UNSIGNED, MPI_SUM, mpi->physical);
    return i == 0 ? 0 : sum;
}

void tbi_mpi_gather_bytes(const struct tbi_mpi *mpi, const void *mine, size_t n, void *all)
{
    MPI_Allgather(mine, (int)n, MPI_BYTE, all, (int)n, MPI_BYTE, mpi->world);
}

void tbi_mpi_gather(const struct tbi_mpi *mpi, int32_t mine, int32_t *all)
{
    MPI_Allgather(&mine, 1, MPI_INT32_T, all, 1, MPI_INT32_T, mpi->world);
}

static uint64_t least_here(const struct tbi_mpi *mpi, uint64_t mine)
{
    uint64_t least;

    MPI_Allreduce(&mine, &least, 1, MPI_UINT64_T, MPI_MIN, mpi->physical);
    return least;
}

uint64_t tbi_mpi_segment_bytes(const struct tbi_mpi *mpi, uint64_t wanted)
{
    enum { MPIS_OWN = 8 << 20 }; /* bytes a rank: Open MPI has 4 MB segments */
    struct tbi_system sys = tbi_system_here();
    char name[MPI_MAX_PROCESSOR_NAME], why[400];
    struct tbi_store_host host = {.name = name, .shm_fixed = MPIS_OWN};
    int n, length, mapped;
    uint64_t bytes;

    MPI_Comm_size(mpi->physical, &n);
    MPI_Comm_size(mpi->node, &mapped);
    MPI_Allreduce(MPI_IN_PLACE, &mapped, 1, MPI_INT, MPI_MAX, mpi->physical);
    MPI_Get_processor_name(name, &length);
    host.ranks = (unsigned)n;
    host.mapped = (unsigned)mapped;
    host.memory = least_here(mpi, tbi_machine_memory(&sys));
    host.shm_free = least_here(mpi, tbi_machine_shm_free(&sys));
    host.address_space = least_here(mpi, tbi_machine_address_space(&sys));
    host.private_memory = least_here(mpi, tbi_machine_private(&sys));
    host.private_fixed = tbi_machine_private_fixed();
    host.table_share = tbi_segment_table_share(tbi_page_bytes());
    bytes = tbi_store_size(&host, wanted, why, sizeof why);
    if (bytes == 0)
        tbi_error_set(TB_ERR_STORE_FULL, "%s", why);
    return bytes;
}

/* Where the segment of each rank of the host begins here. Each rank says how far its own lies behind the start of its
 * part of the window: the same part has another address in each process, and not always the same remainder. */
static void find_segments(const struct tbi_mpi *mpi, int n, uint64_t page, struct tbi_memory *memory)
{
    uint64_t mine, *begins = tbi_alloc((size_t)n * sizeof *begins);
    MPI_Group node, world;
    MPI_Aint size;
    int unit, me;
    void *at;

    MPI_Comm_rank(mpi->node, &me);
    MPI_Win_shared_query(mpi->shared, me, &size, &unit, &at);
    mine = tbi_page_up((uintptr_t)at, (uint32_t)page) + page - (uintptr_t)at;
    MPI_Allgather(&mine, 1, MPI_UINT64_T, begins, 1, MPI_UINT64_T, mpi->node);
    MPI_Comm_group(mpi->node, &node);
    MPI_Comm_group(mpi->world, &world);
    for (int i = 0; i < n; i++) {
        int rank;

        MPI_Win_shared_query(mpi->shared, i, &size, &unit, &at);
        MPI_Group_translate_ranks(node, 1, &i, world, &rank);
        memory->base[rank] = (uint8_t *)at + begins[i];
    }
    MPI_Group_free(&node);
    MPI_Group_free(&world);
    free(begins);
}

int tbi_mpi_map(struct tbi_mpi *mpi, uint64_t bytes, struct tbi_memory *memory)
{
    int n, rc;
    MPI_Info info;
    uint64_t need, page = tbi_page_bytes();

    bytes = bytes / page * page;
    need = bytes + 2 * page; /* the window need not begin on a page */
    MPI_Comm_size(mpi->node, &n);
    if (n == 1) {
        rc = tbi_memory_map_alone(memory, mpi->nranks, mpi->rank, bytes);
        return rc == 0 ? 0 : tbi_error_set(TB_ERR_STORE_FULL, "the object store of %llu bytes "
                                           "cannot be mapped: %s", (unsigned long long)bytes,
                                           strerror(-rc));
    }
    MPI_Info_create(&info);
    MPI_Info_set(info, "alloc_shared_noncontig", "true");
    MPI_Comm_set_errhandler(mpi->node, MPI_ERRORS_RETURN);
    rc = MPI_Win_allocate_shared((MPI_Aint)need, 1, info, mpi->node, &mpi->mapped, &mpi->shared);
    MPI_Info_free(&info);
    if (rc != MPI_SUCCESS) {
        mpi->shared = MPI_WIN_NULL;
        return tbi_error_set(TB_ERR_STORE_FULL, "MPI cannot share %llu bytes between the ranks of "
                             "a host (MPI error %d)", (unsigned long long)need, rc);
    }
    tbi_memory_init(memory, mpi->nranks, mpi->rank, bytes);
    find_segments(mpi, n, page, memory);
    tbi_memory_ready(memory);
    memset(memory->writable - page, 0, page);
    MPI_Barrier(mpi->node); /* nobody rings a bell that is not there yet */
    return 0;
}

bool tbi_mpi_make_window(struct tbi_mpi *mpi, const struct tbi_memory *memory)
{
    int rc, flag, *model, made, all;

    MPI_Comm_set_errhandler(mpi->world, MPI_ERRORS_RETURN);
    rc = MPI_Win_create(memory->writable, (MPI_Aint)memory->bytes, 1, MPI_INFO_NULL, mpi->world,
                        &mpi->window);
    MPI_Comm_set_errhandler(mpi->world, MPI_ERRORS_ARE_FATAL);
    made = rc == MPI_SUCCESS;
    if (made) {
        MPI_Win_get_attr(mpi->window, MPI_WIN_MODEL, &model, &flag);
        made = flag && *model == MPI_WIN_UNIFIED;
    }
    MPI_Allreduce(&made, &all, 1, MPI_INT, MPI_MIN, mpi->world);
    if (!all) {
        if (rc == MPI_SUCCESS)
            MPI_Win_free(&mpi->window);
        mpi->window = MPI_WIN_NULL;
        return false;
    }
    MPI_Win_lock_all(MPI_MODE_NOCHECK, mpi->window);
    return true;
}
