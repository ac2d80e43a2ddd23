/* raw_fetch.c - the limit of fetch.c: the same bytes between two ranks by MPI_Get and by Isend/Irecv,
 * 20 in a row into warm memory. Prints the faster of the two in GB/s. */
#include "bench.h"

#include <mpi.h>

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? (size_t)atoll(argv[1]) : (size_t)16 << 20;
    double get = 0, message = 0, t;
    char *mine, *copy = malloc(bytes);
    int rank, rc;
    MPI_Win win;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    mine = malloc(bytes);
    memset(mine, rank, bytes);
    memset(copy, 3, bytes);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    rc = MPI_Win_create(mine, (MPI_Aint)bytes, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &win);
    if (rc == MPI_SUCCESS) {
        MPI_Win_lock_all(0, win);
        for (int i = -5; i < 20 && rank == 0; i++) {
            if (i == 0)
                t = bench_now();
            MPI_Get(copy, (int)bytes, MPI_BYTE, 1, 0, (int)bytes, MPI_BYTE, win);
            MPI_Win_flush(1, win);
            if (i == 19)
                get = 20 * (double)bytes / (bench_now() - t) / 1e9;
        }
        MPI_Barrier(MPI_COMM_WORLD); /* rank 1 makes progress in here */
        MPI_Win_unlock_all(win);
        MPI_Win_free(&win);
    }
    for (int i = -5; i < 20; i++) {
        MPI_Request request;

        if (i == 0)
            t = bench_now();
        if (rank == 0)
            MPI_Irecv(copy, (int)bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, &request);
        else
            MPI_Isend(mine, (int)bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, &request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        if (i == 19)
            message = 20 * (double)bytes / (bench_now() - t) / 1e9;
    }
    if (rank == 0)
        printf("%.4f\n", get > message ? get : message);
    MPI_Finalize();
    return 0;
}
