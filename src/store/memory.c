#include "store/memory.h"
#include "util/alloc.h"
#include "util/fault.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

void tbi_memory_init(struct tbi_memory *m, unsigned nranks, unsigned rank, uint64_t bytes)
{
    uint32_t page = tbi_page_bytes();

    *m = (struct tbi_memory){.nranks = nranks, .rank = rank, .bytes = bytes / page * page, .page = page,
                             .base = tbi_alloc_zeroed(nranks, sizeof *m->base),
                             .view = tbi_alloc_zeroed(nranks, sizeof *m->view)};
}

void tbi_memory_ready(struct tbi_memory *m)
{
    memcpy(m->view, m->base, m->nranks * sizeof *m->view);
    m->writable = m->base[m->rank];
}

int tbi_memory_map_alone(struct tbi_memory *m, unsigned nranks, unsigned rank, uint64_t bytes)
{
    uint8_t *at;

    tbi_memory_init(m, nranks, rank, bytes);
    at = mmap(NULL, m->page + m->bytes, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        int rc = -errno;

        tbi_memory_fini(m, false);
        return rc;
    }
    m->alone = true;
    m->base[rank] = at + m->page;
    tbi_memory_ready(m);
    return 0;
}

void tbi_memory_fini(struct tbi_memory *m, bool keep)
{
    for (unsigned r = 0; r < m->nranks && !keep; r++)
        if (m->view[r] != m->base[r])
            munmap(m->view[r], m->bytes);
    if (m->alone && !keep)
        munmap(m->base[m->rank] - m->page, m->page + m->bytes);
    free(m->base);
    free(m->view);
    *m = (struct tbi_memory){0};
}

/* The same memory at another address. NULL with errno. */
static uint8_t *map_again(uint8_t *at, uint64_t bytes, int protection)
{
    uint8_t *again = mremap(at, 0, bytes, MREMAP_MAYMOVE);

    return again == MAP_FAILED || mprotect(again, bytes, protection) != 0 ? NULL : again;
}

int tbi_memory_guard(struct tbi_memory *m)
{
    m->writable = map_again(m->base[m->rank], m->bytes, PROT_NONE);
    if (m->writable == NULL)
        return -errno;
    for (unsigned r = 0; r < m->nranks; r++) {
        if (m->base[r] == NULL)
            continue;
        if (mprotect(m->base[r], m->bytes, PROT_READ) != 0 ||
            (r != m->rank && mprotect(tbi_memory_bell(m, r), m->page, PROT_NONE) != 0))
            return -errno;
    }
    m->guarded = true;
    return 0;
}

int tbi_memory_guard_views(struct tbi_memory *m)
{
    for (unsigned r = 0; r < m->nranks; r++) {
        uint8_t *again;

        if (m->base[r] == NULL)
            continue;
        again = map_again(m->base[r], m->bytes, PROT_READ);
        if (again == NULL)
            return -errno;
        m->view[r] = again;
    }
    return 0;
}

static uint64_t whole_pages(const struct tbi_memory *m, uint64_t bytes)
{
    return bytes == 0 ? m->page : tbi_page_up(bytes, m->page);
}

void *tbi_memory_open(const struct tbi_memory *m, uint64_t offset, uint64_t bytes, bool cold)
{
    void *at = m->writable + offset;

    bytes = whole_pages(m, bytes);
    if (m->guarded && mprotect(at, bytes, PROT_READ | PROT_WRITE) != 0)
        return NULL;
    /* A new process has to map even warm pages; getting them in one go is the cheapest way. */
    return (cold || m->guarded) && !tbi_memory_populate(at, bytes) ? NULL : at;
}

void tbi_memory_close(const struct tbi_memory *m, uint64_t offset, uint64_t bytes)
{
    if (m->guarded)
        mprotect(m->writable + offset, whole_pages(m, bytes), PROT_NONE);
}

/* Else `writable` is closed to the program anyway, or there are no views apart from it. */
static bool lends_view(const struct tbi_memory *m)
{
    return !m->guarded && m->view[m->rank] != m->base[m->rank];
}

void *tbi_memory_lend(const struct tbi_memory *m, uint64_t offset, uint64_t bytes, bool cold)
{
    void *at = m->view[m->rank] + offset;

    if (!lends_view(m))
        return tbi_memory_open(m, offset, bytes, cold);
    bytes = whole_pages(m, bytes);
    if (mprotect(at, bytes, PROT_READ | PROT_WRITE) != 0)
        return NULL;
    return tbi_memory_populate(at, bytes) ? at : NULL;
}

void tbi_memory_take_back(const struct tbi_memory *m, uint64_t offset, uint64_t bytes)
{
    if (lends_view(m))
        mprotect(m->view[m->rank] + offset, whole_pages(m, bytes), PROT_READ);
    else
        tbi_memory_close(m, offset, bytes);
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
    return madvise(tbi_memory_bell(m, m->rank), m->page, MADV_POPULATE_WRITE) == 0 || errno != EINVAL;
}
