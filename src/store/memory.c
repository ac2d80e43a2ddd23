#include "store/memory.h"
#include "store/segment.h"
#include "util/alloc.h"
#include "util/fault.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

int tbi_memory_map_alone(struct tbi_memory *m, unsigned nranks, unsigned rank, uint64_t bytes)
{
    uint8_t *at;

    bytes = bytes / TBI_PAGE * TBI_PAGE;
    at = mmap(NULL, TBI_PAGE + bytes, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    *m = (struct tbi_memory){.nranks = nranks, .rank = rank, .bytes = bytes,
                             .base = tbi_alloc_zeroed(nranks, sizeof *m->base)};
    m->writable = m->base[rank] = at + TBI_PAGE;
    return 0;
}

void tbi_memory_unmap_alone(struct tbi_memory *m)
{
    munmap(m->base[m->rank] - TBI_PAGE, TBI_PAGE + m->bytes);
    free(m->base);
    *m = (struct tbi_memory){0};
}

int tbi_memory_guard(struct tbi_memory *m)
{
    uint8_t *own = m->base[m->rank];
    uint8_t *alias = mremap(own, 0, m->bytes, MREMAP_MAYMOVE);

    if (alias == MAP_FAILED || mprotect(alias, m->bytes, PROT_NONE) != 0)
        return -errno;
    for (unsigned r = 0; r < m->nranks; r++)
        if (m->base[r] != NULL && mprotect(m->base[r], m->bytes, PROT_READ) != 0)
            return -errno;
    m->writable = alias;
    m->guarded = true;
    return 0;
}

static uint64_t whole_pages(uint64_t bytes)
{
    return bytes == 0 ? TBI_PAGE : (bytes + TBI_PAGE - 1) / TBI_PAGE * TBI_PAGE;
}

void *tbi_memory_open(const struct tbi_memory *m, uint64_t offset, uint64_t bytes, bool cold)
{
    void *at = m->writable + offset;

    bytes = whole_pages(bytes);
    if (m->guarded && mprotect(at, bytes, PROT_READ | PROT_WRITE) != 0)
        return NULL;
    /* A new process has to map even warm pages; getting them in one go is the cheapest way. */
    return (cold || m->guarded) && !tbi_memory_populate(at, bytes) ? NULL : at;
}

void tbi_memory_close(const struct tbi_memory *m, uint64_t offset, uint64_t bytes)
{
    if (m->guarded)
        mprotect(m->writable + offset, whole_pages(bytes), PROT_NONE);
}

bool tbi_memory_populate(void *at, uint64_t bytes)
{
    int rc;

    if (tbi_fault(TBI_FAULT_POPULATE))
        return false;
    do
        rc = madvise(at, bytes, MADV_POPULATE_WRITE);
    while (rc != 0 && (errno == EINTR || errno == EAGAIN));
    return rc == 0 || errno == EINVAL; /* EINVAL: an older kernel: see sigbus.h */
}

bool tbi_memory_populates(const struct tbi_memory *m)
{
    return madvise(tbi_memory_bell(m, m->rank), TBI_PAGE, MADV_POPULATE_WRITE) == 0 || errno != EINVAL;
}
