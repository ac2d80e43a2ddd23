#include "node/store_size.h"
#include "util/plural.h"

#include <stdbool.h>
#include <stdio.h>

enum { LEAST = 1 << 20 };

typedef unsigned long long number;

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static number mega(uint64_t bytes)
{
    return bytes >> 20;
}

/* Open MPI wants 5 % to spare; too little makes it hang. */
static uint64_t with_spare(uint64_t bytes)
{
    return bytes + bytes / 16;
}

/* The largest parts that have room. The driver maps each a second time, to read; an executor its own rank's, to write. */
static uint64_t most_in_shm(const struct tbi_store_host *h)
{
    uint64_t fixed = h->ranks * h->shm_fixed;

    if (h->shm_free < fixed)
        return 0;
    return h->mapped > 1 ? (h->shm_free - fixed) / h->ranks / 17 * 16 : UINT64_MAX;
}

static uint64_t most_mapped(const struct tbi_store_host *h)
{
    return h->address_space / (2 * h->mapped);
}

static uint64_t most_in_table(const struct tbi_store_host *h)
{
    if (h->private_memory < h->private_fixed)
        return 0;
    return h->private_memory < UINT64_MAX / h->table_share ? (h->private_memory - h->private_fixed) * h->table_share
                                                           : UINT64_MAX;
}

static uint64_t default_size(const struct tbi_store_host *h)
{
    uint64_t bytes = h->memory;

    if (h->mapped > 1)
        bytes = smaller(bytes, h->shm_free);
    bytes = bytes / 10 * 3 / h->ranks;
    return smaller(smaller(bytes, most_in_table(h)), smaller(most_in_shm(h), most_mapped(h)));
}

/* Whatever its size is. */
static bool is_hopeless(const struct tbi_store_host *h, uint64_t wanted, char *why, size_t size)
{
    if (most_in_table(h) < LEAST)
        snprintf(why, size, "the limit of private memory (ulimit -d) on host %s leaves %llu MB, and threads and tables of "
                 "Thornback need %llu MB, whatever TB_STORE is; set it higher", h->name, mega(h->private_memory),
                 mega(h->private_fixed));
    else if (wanted == 0 && h->memory == UINT64_MAX)
        snprintf(why, size, "how much memory host %s has is not known, for /proc/meminfo cannot be read: set TB_STORE, and "
                 "TB_MEMORY if tasks ask for memory", h->name);
    else
        return false;
    return true;
}

uint64_t tbi_store_size(const struct tbi_store_host *h, uint64_t wanted, char *why, size_t size)
{
    uint64_t bytes = wanted != 0 ? wanted : default_size(h), least = smaller(bytes, LEAST);

    if (is_hopeless(h, wanted, why, size))
        return 0;
    if (wanted == 0 && bytes < LEAST)
        bytes = least = LEAST; /* then one of these says what is short */
    if (most_in_shm(h) < least)
        snprintf(why, size, "/dev/shm is too small on host %s: MPI and the object store need %llu MB a rank there, whatever "
                 "TB_STORE is, and %llu MB are free for %u rank%s; make it larger%s", h->name,
                 mega(h->shm_fixed + with_spare(h->mapped > 1 ? LEAST : 0)), mega(h->shm_free), h->ranks, tbi_s(h->ranks),
                 tbi_plural(h->ranks, "", ", or start fewer ranks"));
    else if (most_in_shm(h) < bytes)
        snprintf(why, size, "the object store does not fit on host %s: %u rank%s of %llu MB need%s %llu MB, /dev/shm has %llu MB "
                 "free; set TB_STORE lower, or make it larger", h->name, h->ranks, tbi_s(h->ranks), mega(bytes),
                 tbi_plural(h->ranks, "s", ""),
                 mega(h->ranks * (with_spare(bytes) + h->shm_fixed)), mega(h->shm_free));
    else if (most_mapped(h) < bytes)
        snprintf(why, size, "the object store does not fit on host %s: a process maps %u times %llu MB, and the limit of its "
                 "address space (ulimit -v) leaves %llu MB; set TB_STORE lower, or that higher", h->name, 2 * h->mapped,
                 mega(bytes), mega(h->address_space));
    else if (most_in_table(h) < bytes)
        snprintf(why, size, "the object store does not fit on host %s: a rank needs %llu MB of private memory for the table of a "
                 "part of %llu MB, and the limit (ulimit -d) leaves %llu MB; set TB_STORE lower, or that higher", h->name,
                 mega(bytes / h->table_share) + 1, mega(bytes), mega(h->private_memory - h->private_fixed));
    else if (h->memory / h->ranks < bytes)
        snprintf(why, size, "the object store does not fit on host %s: %u rank%s of %llu MB need%s %llu MB, it has %llu MB of "
                 "memory; set TB_STORE lower", h->name, h->ranks, tbi_s(h->ranks), mega(bytes),
                 tbi_plural(h->ranks, "s", ""), mega(h->ranks * bytes), mega(h->memory));
    else
        return bytes;
    return 0;
}
