/* store_size.h - how large a rank's part of the object store is, and whether that fits its host. Pure: all ranks of a
 * host that give the same get the same. */
#ifndef TBI_STORE_SIZE_H
#define TBI_STORE_SIZE_H

#include <stddef.h>
#include <stdint.h>

struct tbi_store_host {
    const char *name;
    unsigned ranks;         /* that it has */
    unsigned mapped;        /* parts that one process maps: of the ranks of its node; above 1 they are in /dev/shm */
    uint64_t memory;        /* bytes, of the host; UINT64_MAX: not known */
    uint64_t shm_free;      /* ... of /dev/shm; UINT64_MAX: there is none */
    uint64_t shm_fixed;     /* ... of it that each rank needs whatever its store is: MPI's */
    uint64_t address_space; /* ... that each process may map; UINT64_MAX: no limit */
    uint64_t private_memory;/* ... of private memory that each rank may have; UINT64_MAX: no limit */
    uint64_t private_fixed; /* ... of it that it needs whatever its store is */
    uint64_t table_share;   /* beside that, one byte of it for so many bytes of its part of the store */
};

/* Bytes of each rank's part: `wanted`, or if that is 0 30 % of what the host has, shared out, or what fits. 0: it does
 * not fit, and `why` says what is short and what to do. */
uint64_t tbi_store_size(const struct tbi_store_host *host, uint64_t wanted, char *why, size_t size);

#endif
