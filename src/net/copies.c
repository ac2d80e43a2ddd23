#include "net/copies.h"
#include "util/alloc.h"
#include "util/list.h"

#include <stdatomic.h>

enum { CHUNK = 1 << 20, DEPTH = 8, TAGS = 30000 };

struct copy {
    struct tbi_link link;
    bool push, failed;
    uint32_t ticket;
    unsigned rank;
    uint64_t from, to, bytes;
    uint64_t begun, ended;          /* chunks */
    MPI_Request request[DEPTH];     /* of chunk k at k % DEPTH */
};

struct tbi_copies {
    struct tbi_mpi *mpi;
    const struct tbi_memory *memory;
    MPI_Comm comm;                  /* bulk data has a channel of its own */
    struct tbi_link all;
    uint64_t *warm;                 /* a bit for each page of our segment that was got before */
    void *nowhere;                  /* for what comes and has no memory */
};

struct tbi_copies *tbi_copies_create(struct tbi_mpi *mpi, const struct tbi_memory *memory)
{
    struct tbi_copies *c = tbi_alloc_zeroed(1, sizeof *c);

    c->mpi = mpi;
    c->memory = memory;
    c->warm = tbi_alloc_zeroed(memory->bytes / memory->page / 64 + 1, sizeof *c->warm);
    tbi_list_init(&c->all);
    PMPI_Comm_dup(mpi->world, &c->comm);
    return c;
}

void tbi_copies_destroy(struct tbi_copies *c)
{
    while (!tbi_list_empty(&c->all)) { /* the job ends in the middle of it */
        struct copy *copy = TBI_ENTRY(c->all.next, struct copy, link);

        tbi_list_unlink(&copy->link);
        free(copy);
    }
    PMPI_Comm_free(&c->comm);
    free(c->warm);
    free(c->nowhere);
    free(c);
}

static void begin(struct tbi_copies *c, struct copy copy)
{
    struct copy *p = tbi_copy(&copy, sizeof copy);

    tbi_list_append(&c->all, &p->link);
}

void tbi_copies_pull(struct tbi_copies *c, uint32_t ticket, unsigned rank, uint64_t from,
                     uint64_t to, uint64_t bytes)
{
    begin(c, (struct copy){.ticket = ticket, .rank = rank, .from = from, .to = to,
                           .bytes = bytes});
}

void tbi_copies_push(struct tbi_copies *c, uint32_t ticket, unsigned rank, uint64_t from,
                     uint64_t bytes)
{
    begin(c, (struct copy){.push = true, .ticket = ticket, .rank = rank, .from = from,
                           .bytes = bytes});
}

bool tbi_copies_busy(const struct tbi_copies *c)
{
    return !tbi_list_empty(&c->all);
}

static void *nowhere(struct tbi_copies *c)
{
    if (c->nowhere == NULL)
        c->nowhere = tbi_alloc(CHUNK);
    return c->nowhere;
}

/* Gets the pages of a chunk, once: walking warm ones costs a fifth of the copy itself. Whole pages
 * from there on are ours: an object begins on a page, and a chunk is many. */
static bool warm_up(struct tbi_copies *c, uint64_t offset, uint64_t bytes)
{
    uint64_t size = c->memory->page, first = offset / size, end = (offset + bytes + size - 1) / size;
    uint64_t page = first;

    while (page < end && c->warm[page / 64] >> page % 64 & 1)
        page++;
    if (page == end)
        return true;
    if (!tbi_memory_populate(c->memory->writable + first * size, (end - first) * size))
        return false;
    for (page = first; page < end; page++)
        c->warm[page / 64] |= UINT64_C(1) << page % 64;
    return true;
}

static void begin_chunk(struct tbi_copies *c, struct copy *copy)
{
    uint64_t at = copy->begun * CHUNK;
    int n = (int)(copy->bytes - at < CHUNK ? copy->bytes - at : CHUNK);
    MPI_Request *request = &copy->request[copy->begun++ % DEPTH];
    int tag = (int)(copy->ticket % TAGS);
    uint8_t *own = c->memory->writable;

    if (copy->push) {
        PMPI_Isend(own + copy->from + at, n, MPI_BYTE, (int)copy->rank, tag, c->comm, request);
        return;
    }
    if (!warm_up(c, copy->to + at, (uint64_t)n))
        copy->failed = true;
    if (copy->failed && c->mpi->window != MPI_WIN_NULL)
        *request = MPI_REQUEST_NULL;
    else if (c->mpi->window != MPI_WIN_NULL)
        PMPI_Rget(own + copy->to + at, n, MPI_BYTE, (int)copy->rank, (MPI_Aint)(copy->from + at), n,
                 MPI_BYTE, c->mpi->window, request);
    else
        PMPI_Irecv(copy->failed ? nowhere(c) : own + copy->to + at, n, MPI_BYTE, (int)copy->rank, tag, c->comm, request);
}

static bool move(struct tbi_copies *c, struct copy *copy)
{
    uint64_t chunks = (copy->bytes + CHUNK - 1) / CHUNK;
    bool moved = false;
    int done;

    while (copy->ended < copy->begun) {
        PMPI_Test(&copy->request[copy->ended % DEPTH], &done, MPI_STATUS_IGNORE);
        if (!done)
            break;
        copy->ended++;
        moved = true;
    }
    /* Two at a time: getting new pages for one can take milliseconds. */
    for (int k = 0; k < 2 && copy->begun < chunks && copy->begun < copy->ended + DEPTH; k++) {
        begin_chunk(c, copy);
        moved = true;
    }
    return moved;
}

bool tbi_copies_progress(struct tbi_copies *c, void (*done)(void *ctx, uint32_t ticket, bool ok),
                         void *ctx)
{
    bool moved = false;

    for (struct tbi_link *l = c->all.next, *next; l != &c->all; l = next) {
        struct copy *copy = TBI_ENTRY(l, struct copy, link);

        next = l->next;
        moved |= move(c, copy);
        if (copy->ended * CHUNK < copy->bytes)
            continue;
        tbi_list_unlink(l);
        moved = true;
        if (!copy->push) {
            if (c->mpi->window != MPI_WIN_NULL)
                PMPI_Win_sync(c->mpi->window);
            atomic_thread_fence(memory_order_seq_cst);
            done(ctx, copy->ticket, !copy->failed);
        }
        free(copy);
    }
    return moved;
}
