#include "exec/slots.h"
#include "util/alloc.h"

#include <sys/mman.h>

struct front {
    _Atomic uint64_t news[TBI_SLOTS_MAX / 64];
    struct tbi_fault_board faults;
};

struct tbi_slots {
    struct front *front;
    size_t deaths_at, output_at, slots_at; /* where they begin */
    size_t control_bytes, ring_bytes, slot_bytes, bytes;
};

struct tbi_slots *tbi_slots_create(uint32_t page)
{
    struct tbi_slots *s = tbi_alloc_zeroed(1, sizeof *s);

    s->deaths_at = tbi_page_up(sizeof(struct front), page);
    s->output_at = s->deaths_at + tbi_page_up(tbi_ring_footprint(TBI_DEATHS_RING), page);
    s->slots_at = s->output_at + tbi_page_up(tbi_ring_footprint(TBI_OUTPUT_RING), page);
    s->control_bytes = tbi_page_up(sizeof(struct tbi_slot), page);
    s->ring_bytes = tbi_page_up(tbi_ring_footprint(TBI_SLOT_RING), page);
    s->slot_bytes = s->control_bytes + 2 * s->ring_bytes;
    s->bytes = s->slots_at + TBI_SLOTS_MAX * s->slot_bytes;
    s->front = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->front == MAP_FAILED) {
        free(s);
        return NULL;
    }
    return s;
}

void tbi_slots_destroy(struct tbi_slots *s)
{
    if (s == NULL)
        return;
    munmap(s->front, s->bytes);
    free(s);
}

static uint8_t *slot_at(struct tbi_slots *s, uint32_t slot)
{
    return (uint8_t *)s->front + s->slots_at + slot * s->slot_bytes;
}

struct tbi_slot *tbi_slots_slot(struct tbi_slots *s, uint32_t slot)
{
    return (struct tbi_slot *)slot_at(s, slot);
}

struct tbi_ring *tbi_slots_in(struct tbi_slots *s, uint32_t slot)
{
    return (struct tbi_ring *)(slot_at(s, slot) + s->control_bytes);
}

struct tbi_ring *tbi_slots_out(struct tbi_slots *s, uint32_t slot)
{
    return (struct tbi_ring *)(slot_at(s, slot) + s->control_bytes + s->ring_bytes);
}

struct tbi_ring *tbi_slots_deaths(struct tbi_slots *s)
{
    return (struct tbi_ring *)((uint8_t *)s->front + s->deaths_at);
}

struct tbi_ring *tbi_slots_output(struct tbi_slots *s)
{
    return (struct tbi_ring *)((uint8_t *)s->front + s->output_at);
}

struct tbi_fault_board *tbi_slots_faults(struct tbi_slots *s)
{
    return &s->front->faults;
}

void tbi_slots_reset(struct tbi_slots *s, uint32_t slot)
{
    memset(tbi_slots_slot(s, slot), 0, sizeof(struct tbi_slot));
    memset(tbi_slots_in(s, slot), 0, sizeof(struct tbi_ring));
    memset(tbi_slots_out(s, slot), 0, sizeof(struct tbi_ring));
}

void tbi_slots_keep_only(struct tbi_slots *s, uint32_t slot)
{
    uint8_t *first = (uint8_t *)s->front + s->deaths_at, *own = slot_at(s, slot);

    mprotect(first, (size_t)(own - first), PROT_NONE);
    if (slot + 1 < TBI_SLOTS_MAX)
        mprotect(own + s->slot_bytes, (TBI_SLOTS_MAX - slot - 1) * s->slot_bytes, PROT_NONE);
}

size_t tbi_slots_kept(const struct tbi_slots *s)
{
    return s->deaths_at + s->slot_bytes;
}

const void *tbi_slots_region(const struct tbi_slots *s, size_t *bytes)
{
    *bytes = s->bytes;
    return s->front;
}

void tbi_slots_note_news(struct tbi_slots *s, uint32_t slot)
{
    uint64_t bit = UINT64_C(1) << slot % 64;

    /* A bit that is still set need not be set again, if it is taken after our write can be seen. So the producer
     * does "write the tail; fence; read the bits" and the consumer "clear the bits; fence; read the tail", and
     * one of the two fences comes first in the order of all of them (C11 7.17.3). Ours: then the consumer's read
     * of the tail sees our write. The consumer's: then we see the bits cleared, and set ours. No other order will
     * do for the consumer: a sequentially consistent exchange does not keep the read of the tail, an acquire
     * load, from coming before it. tests/model/handshakes.cc runs it under the C11 memory model. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!(atomic_load_explicit(&s->front->news[slot / 64], memory_order_relaxed) & bit))
        atomic_fetch_or_explicit(&s->front->news[slot / 64], bit, memory_order_relaxed);
}

uint64_t tbi_slots_take_news(struct tbi_slots *s, uint32_t first)
{
    uint64_t news;

    if (atomic_load_explicit(&s->front->news[first / 64], memory_order_relaxed) == 0)
        return 0; /* a bit that comes later is seen by the look between arming the bell and sleeping */
    news = atomic_exchange_explicit(&s->front->news[first / 64], 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* the partner of the producer's */
    return news;
}

bool tbi_slots_have_news(const struct tbi_slots *s, uint32_t nslots)
{
    for (uint32_t i = 0; i * 64 < nslots; i++)
        if (atomic_load(&s->front->news[i]) != 0)
            return true;
    return false;
}
