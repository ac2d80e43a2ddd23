/* copies.h - objects between hosts, in chunks of which several are on the way: by MPI_Rget from the
 * owner's window, or as messages that the owner sends when it grants the lease. */
#ifndef TBI_COPIES_H
#define TBI_COPIES_H

#include "net/mpi_job.h"

struct tbi_copies;

struct tbi_copies *tbi_copies_create(struct tbi_mpi *mpi, const struct tbi_memory *memory);
void tbi_copies_destroy(struct tbi_copies *copies);

/* Begins to bring `bytes` from `rank`'s segment at `from` to ours at `to`. */
void tbi_copies_pull(struct tbi_copies *copies, uint32_t ticket, unsigned rank, uint64_t from,
                     uint64_t to, uint64_t bytes);
/* The owner's side of a fetch by messages. */
void tbi_copies_push(struct tbi_copies *copies, uint32_t ticket, unsigned rank, uint64_t from,
                     uint64_t bytes);

/* Moves on what is under way; calls `done` for each pull that ended (ok false: there was no memory).
 * True: something moved. */
bool tbi_copies_progress(struct tbi_copies *copies,
                         void (*done)(void *ctx, uint32_t ticket, bool ok), void *ctx);
bool tbi_copies_busy(const struct tbi_copies *copies);

#endif
