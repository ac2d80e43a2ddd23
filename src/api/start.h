/* start.h - the parts of tb_init. All return 0 or an error, which is set; those of the job are collective under MPI where
 * they say so, and agree on the error then. */
#ifndef TBI_START_H
#define TBI_START_H

#include "api/job.h"

/* start_checks.c: what must be so before anything is started */
bool tbi_start_in_main_thread(void);
int tbi_start_check_threads(void);
int tbi_start_check_functions(void);
int tbi_start_check_page(void);
int tbi_start_check_faults(const struct tbi_job *job);
/* free descriptors; with a launcher it does not return if there are too few, as MPI could not start */
int tbi_start_check_descriptors(const struct tbi_job *job);

/* start.c: */
/* ranks, hosts, the store and what each rank has. Of one rank, or with MPI; `rc` and `settings` are what went wrong
 * before, of which the second counts on rank 0 alone. Collective. */
int tbi_start_alone(struct tbi_job *job);
int tbi_start_mpi(struct tbi_job *job, int rc, int settings);
/* the process that starts executors, before there are threads of ours and memory that MPI has registered */
int tbi_start_zygote(struct tbi_job *job);
/* after that: the driver's second view of the store, and the way to the other ranks (collective) */
int tbi_start_guard_views(struct tbi_job *job);
int tbi_start_connect(struct tbi_job *job);
void tbi_start_warn_of_no_files(const struct tbi_job *job);

/* report_signal.c: SIGUSR2 asks what this rank waits for. Before it has a loop, a line says that it is in tb_init; then
 * the bell of the loop is rung. */
void tbi_report_signal_begin(const struct tbi_job *job);
void tbi_report_signal_ring(struct tbi_bell *bell);
void tbi_report_signal_end(void);

#endif
