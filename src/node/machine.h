/* machine.h - what this host has, and what of it is this process's. */
#ifndef TBI_MACHINE_H
#define TBI_MACHINE_H

#include <stdint.h>

/* CPUs that the cgroup lets the host's processes use at a time, at least 1; UINT_MAX: no limit. */
unsigned tbi_machine_quota(void);

/* Bytes that a store on this host may take by default: 30 % of the least of memory, the cgroup's
 * limit and the free part of /dev/shm. */
uint64_t tbi_machine_store(void);

/* Bytes of /dev/shm that are free; UINT64_MAX if there is none. */
uint64_t tbi_machine_shm_free(void);

/* Threads of this process. */
unsigned tbi_machine_threads(void);

#endif
