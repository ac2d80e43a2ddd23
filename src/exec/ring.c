#include "exec/ring.h"
#include "net/codec.h"
#include "util/alloc.h"

void tbi_ring_writer_init(struct tbi_ring_writer *writer, struct tbi_ring *ring, uint32_t size)
{
    *writer = (struct tbi_ring_writer){.ring = ring, .size = size};
}

void tbi_ring_reader_init(struct tbi_ring_reader *reader, struct tbi_ring *ring, uint32_t size)
{
    *reader = (struct tbi_ring_reader){.ring = ring, .size = size};
}

void tbi_ring_reader_fini(struct tbi_ring_reader *reader)
{
    free(reader->buffer);
    *reader = (struct tbi_ring_reader){0};
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

bool tbi_ring_look(struct tbi_ring_writer *w)
{
    uint64_t head = atomic_load_explicit(&w->ring->head, memory_order_acquire);

    if (w->broken == NULL && (head - w->head > w->tail - w->head || head % 8 != 0))
        w->broken = "the ring's head is impossible";
    if (w->broken == NULL)
        w->head = head;
    return w->broken == NULL;
}

size_t tbi_ring_write(struct tbi_ring_writer *w, const void *bytes, size_t n)
{
    size_t at = w->tail & (w->size - 1), room, first;

    if (w->broken != NULL || (w->size - (w->tail - w->head) < n && !tbi_ring_look(w)))
        return 0;
    room = w->size - (size_t)(w->tail - w->head);
    n = least(n, room) & ~(size_t)7;
    if (n == 0)
        return 0;
    first = least(n, w->size - at);
    memcpy(w->ring->data + at, bytes, first);
    memcpy(w->ring->data, (const uint8_t *)bytes + first, n - first);
    w->tail += n;
    atomic_store_explicit(&w->ring->tail, w->tail, memory_order_release);
    return n;
}

/* Copies up to n of the `ready` bytes out, behind what the buffer has. */
static void take(struct tbi_ring_reader *r, size_t n)
{
    size_t at = r->head & (r->size - 1), first = least(n, r->size - at);

    if (r->have + n > r->room) {
        r->room = (r->have + n) * 2;
        r->buffer = tbi_realloc(r->buffer, r->room);
    }
    memcpy(r->buffer + r->have, r->ring->data + at, first);
    memcpy(r->buffer + r->have + first, r->ring->data, n - first);
    r->have += n;
    r->head += n;
    atomic_store_explicit(&r->ring->head, r->head, memory_order_release);
}

static size_t length(const struct tbi_ring_reader *r)
{
    return ((const struct tbi_record *)r->buffer)->len;
}

const struct tbi_record *tbi_ring_next(struct tbi_ring_reader *r)
{
    uint64_t ready = atomic_load_explicit(&r->ring->tail, memory_order_acquire) - r->head;

    if (r->broken != NULL)
        return NULL;
    if (ready > r->size || ready % 8 != 0) {
        r->broken = "the ring's tail is impossible";
        return NULL;
    }
    if (r->have >= sizeof(struct tbi_record) && r->have == length(r))
        r->have = 0; /* the record of the last call */
    if (r->have < sizeof(struct tbi_record)) {
        if (ready == 0)
            return NULL;
        take(r, sizeof(struct tbi_record));
        ready -= sizeof(struct tbi_record);
        if (length(r) < sizeof(struct tbi_record) || length(r) % 8 != 0) {
            r->broken = "a record's length is impossible";
            return NULL;
        }
    }
    if (ready > 0)
        take(r, least((size_t)ready, length(r) - r->have));
    if (r->have < length(r))
        return NULL;
    r->broken = tbi_record_check((const struct tbi_record *)r->buffer, r->have);
    return r->broken == NULL ? (const struct tbi_record *)r->buffer : NULL;
}
