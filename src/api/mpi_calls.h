/* mpi_calls.h - what the program gets that calls MPI itself while Thornback runs: an error that says what to do
 * instead, in place of a hang or a crash later.
 *
 * MPI is Thornback's from tb_init to tb_finalize: other ranks are in tb_init and take part in nothing, and one thread
 * calls MPI at a time. Processes of tasks are forked from ranks and are none. So the program's imports of MPI's
 * functions, whatever the language, are replaced: nothing has to be linked in another order, other tools that
 * intercept MPI are not in the way, and a function that a later MPI adds is covered. */
#ifndef TBI_MPI_CALLS_H
#define TBI_MPI_CALLS_H

#include <stdbool.h>

enum tbi_mpi_caller { TBI_MPI_DRIVER, TBI_MPI_DRIVER_ALONE /* without mpirun, hence without MPI */, TBI_MPI_TASK };

/* May it be called, by this name in C or Fortran (MPI_Send, mpi_send_, mpi_send_f08_)? True for all that is no
 * function of MPI. The library's own calls go by the names of MPI's profiling interface (PMPI_Send), which only
 * tasks may not call. */
bool tbi_mpi_allowed(enum tbi_mpi_caller caller, const char *name);

/* From now on, in this process and its children, what is not allowed ends the task, or the program. */
void tbi_mpi_refuse(enum tbi_mpi_caller caller);
/* As before: MPI itself answers. */
void tbi_mpi_accept(void);

#endif
