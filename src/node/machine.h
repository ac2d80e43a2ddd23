/* machine.h - what this host has, and what of it the job may use: the least of the machine, control
 * groups and the SLURM allocation. All for the host as a whole; its ranks share it out. */
#ifndef TBI_MACHINE_H
#define TBI_MACHINE_H

#include "node/system.h"

#include <stdint.h>

/* CPUs that may be busy at a time, at least 1, UINT_MAX: no limit but the cores. The quota of
 * the control groups, rounded down, and SLURM_CPUS_ON_NODE, which also counts where SLURM binds
 * nobody. (SLURM may count hardware threads; a core's worth is not known here, so this is an
 * upper bound.) */
unsigned tbi_machine_cpus(const struct tbi_system *sys);

/* Bytes of memory: all that is installed, not what is free at the moment, so that a job finds the
 * same each time; the control groups' limit; SLURM_MEM_PER_NODE or _PER_CPU. UINT64_MAX: it is not known. */
uint64_t tbi_machine_memory(const struct tbi_system *sys);

/* Bytes of /dev/shm that are free; UINT64_MAX if there is none. */
uint64_t tbi_machine_shm_free(const struct tbi_system *sys);

/* Bytes that this process may still map (ulimit -v), less what it will map besides stores; UINT64_MAX: no limit. */
uint64_t tbi_machine_address_space(const struct tbi_system *sys);

/* Bytes of private memory that it may still have (ulimit -d: heap, stacks of threads and all other private mappings that
 * can be written, but not the store, which is shared); UINT64_MAX: no limit. And so many it needs whatever its store is. */
uint64_t tbi_machine_private(const struct tbi_system *sys);
uint64_t tbi_machine_private_fixed(void);

/* Threads of this process; 1 where that cannot be seen. */
unsigned tbi_machine_threads(const struct tbi_system *sys);

#endif
