/* memory.h - the store's memory as this process sees it: one segment for each rank of the host.
 *
 *      base - page       base                                     base + bytes
 *     +-----------------+----------------------------------------+
 *     | the rank's bell |  objects: offsets count from base      |
 *     +-----------------+----------------------------------------+
 *
 * In a rank's own process `base` is readable and writable. The driver reads objects through second mappings of
 * the same memory that are read-only (`view`): a write through a view ends the program where it happens. What the
 * program itself is to write is opened there for that time.
 * In the zygote, and so in all executors, objects can only be read, and written through a second mapping of
 * the own rank's segment that is closed except for what is lent to the executor; of the bells they reach
 * their rank's alone. A second mapping is made by mremap with an old size of 0. */
#ifndef TBI_MEMORY_H
#define TBI_MEMORY_H

#include "exec/bell.h"
#include "util/page.h"

#include <stddef.h>

struct tbi_memory {
    unsigned nranks, rank;
    uint8_t **base;     /* by rank; NULL: on another host */
    uint8_t **view;     /* by rank: where this process reads objects */
    uint8_t *writable;  /* the own segment's base, to write through */
    uint64_t bytes;     /* of each segment, whole pages */
    uint32_t page;      /* bytes of one: the same on all ranks of a host */
    bool guarded;       /* writable needs opening */
    bool alone;         /* the own segment is ours to unmap */
};

/* Sizes, and no memory yet: the caller fills `base`, then calls tbi_memory_ready. */
void tbi_memory_init(struct tbi_memory *memory, unsigned nranks, unsigned rank, uint64_t bytes);
void tbi_memory_ready(struct tbi_memory *memory);
/* Undoes all that was done here; the segments themselves only if tbi_memory_map_alone made them. */
/* `keep`: what is mapped stays so until the process ends. */
void tbi_memory_fini(struct tbi_memory *memory, bool keep);

/* Memory for a host with one rank, shared with all children. 0, or a negative errno. */
int tbi_memory_map_alone(struct tbi_memory *memory, unsigned nranks, unsigned rank,
                         uint64_t bytes);

static inline struct tbi_bell *tbi_memory_bell(const struct tbi_memory *memory, unsigned rank)
{
    return (struct tbi_bell *)(void *)(memory->base[rank] - memory->page);
}

static inline const void *tbi_memory_at(const struct tbi_memory *memory, unsigned rank, uint64_t offset)
{
    return memory->view[rank] + offset;
}

/* In the zygote: from now on, here and in its children, as described above. 0, or a negative errno. */
int tbi_memory_guard(struct tbi_memory *memory);

/* In the driver, after the zygote was forked: views become read-only. 0, or a negative errno. */
int tbi_memory_guard_views(struct tbi_memory *memory);

/* Opens what was lent for writing and, if asked to, gets its pages now, so that too little memory is
 * an error here and no SIGBUS later. NULL: there is none. */
void *tbi_memory_open(const struct tbi_memory *memory, uint64_t offset, uint64_t bytes, bool cold);
void tbi_memory_close(const struct tbi_memory *memory, uint64_t offset, uint64_t bytes);

/* The same for the program to write there itself, in the driver as in tasks: at the address where it reads the object
 * later, and only until it is taken back. */
void *tbi_memory_lend(const struct tbi_memory *memory, uint64_t offset, uint64_t bytes, bool cold);
void tbi_memory_take_back(const struct tbi_memory *memory, uint64_t offset, uint64_t bytes);

/* Gets pages before they are touched. False: there are no more. */
bool tbi_memory_populate(void *at, uint64_t bytes);

/* False: this kernel cannot do that (before Linux 5.14), and the above is always true. */
bool tbi_memory_populates(const struct tbi_memory *memory);

#endif
