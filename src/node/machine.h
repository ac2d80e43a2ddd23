/* machine.h - what this host has, and what of it is this process's. */
#ifndef TBI_MACHINE_H
#define TBI_MACHINE_H

#include <stdint.h>

/* Cores that this process may use, by its affinity and its cgroup's CPU quota; at least 1. */
unsigned tbi_machine_cores(void);

/* Bytes that a store on this host may take by default: 30 % of the least of memory, the cgroup's
 * limit and the free part of /dev/shm. */
uint64_t tbi_machine_store(void);

/* Bytes of /dev/shm that are free; UINT64_MAX if there is none. */
uint64_t tbi_machine_shm_free(void);

/* Threads of this process. */
unsigned tbi_machine_threads(void);

#endif
