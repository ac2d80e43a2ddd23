/* ring.h - a stream of records from one process to another through shared memory: one producer, one
 * consumer, no lock, so that either may be killed at any instruction and the other goes on.
 *
 *      head          tail          data[size]
 *     +------------+------------+- - - - - - - - - - - - -+     head, tail: bytes read, written
 *     | consumer's | producer's |  record | record | rec  |     in all; each on a line of its own;
 *     +------------+------------+- - - - - - - - - - - - -+     position = number mod size
 *
 * The producer copies bytes in and then releases the tail; the consumer acquires the tail, copies
 * whole records out into memory of its own and only then checks them, since the producer may be
 * broken and still writing. A record may be larger than the ring: it goes through in parts. What a
 * killed producer left of an unfinished record is never seen. */
#ifndef TBI_RING_H
#define TBI_RING_H

#include "net/messages.h"

#include <stdatomic.h>

struct tbi_ring {
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) uint8_t data[];
};

/* Bytes of shared memory, zeroed, that a ring with `size` bytes of data takes. The size is a power
 * of two from 64 on, and known to both sides. */
static inline size_t tbi_ring_footprint(uint32_t size)
{
    return sizeof(struct tbi_ring) + size;
}

/* The producer's end. */
struct tbi_ring_writer {
    struct tbi_ring *ring;
    uint32_t size;
    uint64_t tail;
    uint64_t head; /* last seen: the shared line is only read when the ring looks full */
    const char *broken; /* NULL, or why nothing more is written: the consumer's memory is overwritten */
};
void tbi_ring_writer_init(struct tbi_ring_writer *writer, struct tbi_ring *ring, uint32_t size);

/* Writes as much of bytes[n] as there is room for, a multiple of 8, and returns how much; 0 also if the consumer
 * is broken (see `broken`). Does not block; wake the consumer if it sleeps. */
size_t tbi_ring_write(struct tbi_ring_writer *writer, const void *bytes, size_t n);

/* Looks at how far the consumer says that it has read. False: that cannot be, and the ring is broken. */
bool tbi_ring_look(struct tbi_ring_writer *writer);

/* The consumer's end. */
struct tbi_ring_reader {
    struct tbi_ring *ring;
    uint32_t size;
    uint64_t head;
    uint8_t *buffer;       /* one record, as far as it has come */
    size_t have, room;
    const char *broken;    /* NULL, or why nothing more is taken from this producer */
};
void tbi_ring_reader_init(struct tbi_ring_reader *reader, struct tbi_ring *ring, uint32_t size);
void tbi_ring_reader_fini(struct tbi_ring_reader *reader);

/* The next record, or NULL: none is complete, or the producer is broken (see `broken`). The record
 * is checked, and stays valid until the next call. Does not block. */
const struct tbi_record *tbi_ring_next(struct tbi_ring_reader *reader);

/* Is there anything to read? For deciding whether to sleep. */
static inline bool tbi_ring_has_news(const struct tbi_ring_reader *reader)
{
    return atomic_load_explicit(&reader->ring->tail, memory_order_acquire) != reader->head;
}

#endif
