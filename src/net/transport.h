/* transport.h - records between ranks as MPI messages, and bulk copies of objects between hosts.
 *
 * Frames (codec.h) are received into a ring of preposted receives, tested in the order in which they
 * were posted, which is the order in which messages match. How much a peer may send
 * is in quota.h; the rest waits in its outbox. After frames to a peer that shares
 * memory its bell is rung. Nothing here blocks, but start and stop. One thread at a time.
 *
 * MPI is called by the names of its profiling interface (PMPI_Test), in copies.c too: the program's own imports of
 * MPI_Test and the like are replaced meanwhile (api/mpi_calls.h). */
#ifndef TBI_TRANSPORT_H
#define TBI_TRANSPORT_H

#include "net/mpi_job.h"
#include "node/loop.h"

struct tbi_mpi_transport;

/* Collective. `port` is filled in for tbi_loop_config. */
struct tbi_mpi_transport *tbi_transport_start(struct tbi_mpi *mpi, const struct tbi_memory *memory,
                                              struct tbi_transport *port);
/* Collective, when nobody sends any more. */
void tbi_transport_stop(struct tbi_mpi_transport *transport);

#endif
