/* raw_fetch.c - the limit of fetch.c: the same bytes between two ranks by MPI_Get and by Isend/Irecv,
 * mean of 20 into warm memory, each just written by the other rank as an object is: bytes that lie in
 * the caches of the core that wrote them cost more to read than those read a moment ago. Prints the
 * faster of the two in GB/s. */
#include "bench.h"

#include <mpi.h>

enum { WARM = 5, RUNS = 20 };

static char *mine, *copy;
static size_t bytes;
static int rank;

static void by_get(void *win)
{
    if (rank == 0) {
        MPI_Get(copy, (int)bytes, MPI_BYTE, 1, 0, (int)bytes, MPI_BYTE, *(MPI_Win *)win);
        MPI_Win_flush(1, *(MPI_Win *)win);
    }
}

static void by_message(void *unused)
{
    MPI_Request request;

    (void)unused;
    if (rank == 0)
        MPI_Irecv(copy, (int)bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, &request);
    else
        MPI_Isend(mine, (int)bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

/* GB/s, at rank 0. */
static double measure(void (*transfer)(void *), void *arg)
{
    double sum = 0, t;

    for (int i = -WARM; i < RUNS; i++) {
        if (rank == 1)
            memset(mine, i, bytes);
        MPI_Barrier(MPI_COMM_WORLD);
        t = bench_now();
        transfer(arg);
        if (i >= 0)
            sum += bench_now() - t;
        MPI_Barrier(MPI_COMM_WORLD); /* rank 1 makes progress in here */
    }
    return RUNS * (double)bytes / sum / 1e9;
}

int main(int argc, char **argv)
{
    double get = 0, message;
    MPI_Win win;

    bytes = argc > 1 ? (size_t)atoll(argv[1]) : (size_t)16 << 20;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    mine = malloc(bytes);
    copy = malloc(bytes);
    memset(mine, rank, bytes);
    memset(copy, 3, bytes);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (MPI_Win_create(mine, (MPI_Aint)bytes, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &win) == MPI_SUCCESS) {
        MPI_Win_lock_all(0, win);
        get = measure(by_get, &win);
        MPI_Win_unlock_all(win);
        MPI_Win_free(&win);
    }
    message = measure(by_message, NULL);
    if (rank == 0)
        printf("%.4f\n", get > message ? get : message);
    MPI_Finalize();
    return 0;
}
