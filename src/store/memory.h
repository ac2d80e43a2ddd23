/* memory.h - the store's memory as this process sees it: one segment for each rank of the host.
 *
 *      base - TBI_PAGE   base                                     base + bytes
 *     +-----------------+----------------------------------------+
 *     | the rank's bell |  objects: offsets count from base      |
 *     +-----------------+----------------------------------------+
 *
 * In a rank's own process everything is readable and writable. In an executor objects can only be
 * read, and written through a second mapping of the own rank's segment (mremap with an old size of
 * 0) that is closed except for what is lent to the executor: a wild write ends the writer. */
#ifndef TBI_MEMORY_H
#define TBI_MEMORY_H

#include "exec/bell.h"

#include <stddef.h>

struct tbi_memory {
    unsigned nranks, rank;
    uint8_t **base;     /* by rank; NULL: on another host */
    uint8_t *writable;  /* the own segment's base, to write through */
    uint64_t bytes;     /* of each segment, whole pages */
    bool guarded;       /* writable needs opening */
};

/* Memory for a host with one rank, shared with all children. 0, or a negative errno. */
int tbi_memory_map_alone(struct tbi_memory *memory, unsigned nranks, unsigned rank,
                         uint64_t bytes);
void tbi_memory_unmap_alone(struct tbi_memory *memory);

static inline struct tbi_bell *tbi_memory_bell(const struct tbi_memory *memory, unsigned rank)
{
    return (struct tbi_bell *)(void *)(memory->base[rank] - 4096);
}

/* In an executor: from now on as described above. 0, or a negative errno. */
int tbi_memory_guard(struct tbi_memory *memory);

/* Opens what was lent for writing and, if asked to, gets its pages now, so that too little memory is
 * an error here and no SIGBUS later. NULL: there is none. */
void *tbi_memory_open(const struct tbi_memory *memory, uint64_t offset, uint64_t bytes, bool cold);
void tbi_memory_close(const struct tbi_memory *memory, uint64_t offset, uint64_t bytes);

/* Gets pages before they are touched. False: there are no more. */
bool tbi_memory_populate(void *at, uint64_t bytes);

/* False: this kernel cannot do that (before Linux 5.14), and the above is always true. */
bool tbi_memory_populates(const struct tbi_memory *memory);

#endif
