#include "exec/slots.h"
#include "util/alloc.h"

#include <sys/mman.h>

enum { PAGE = 4096 };

static size_t pages(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

struct front {
    _Atomic uint64_t news[TBI_SLOTS_MAX / 64];
    struct tbi_fault_board faults;
};

struct tbi_slots {
    struct front *front;
    size_t deaths_at, output_at, slots_at; /* where they begin */
    size_t control_bytes, ring_bytes, slot_bytes, bytes;
};

struct tbi_slots *tbi_slots_create(void)
{
    struct tbi_slots *s = tbi_alloc_zeroed(1, sizeof *s);

    s->deaths_at = pages(sizeof(struct front));
    s->output_at = s->deaths_at + pages(tbi_ring_footprint(TBI_DEATHS_RING));
    s->slots_at = s->output_at + pages(tbi_ring_footprint(TBI_OUTPUT_RING));
    s->control_bytes = pages(sizeof(struct tbi_slot));
    s->ring_bytes = pages(tbi_ring_footprint(TBI_SLOT_RING));
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

    /* With the fence, a bit that is still set will be taken after our write can be seen. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!(atomic_load_explicit(&s->front->news[slot / 64], memory_order_relaxed) & bit))
        atomic_fetch_or(&s->front->news[slot / 64], bit);
}

uint64_t tbi_slots_take_news(struct tbi_slots *s, uint32_t first)
{
    if (atomic_load_explicit(&s->front->news[first / 64], memory_order_relaxed) == 0)
        return 0;
    return atomic_exchange(&s->front->news[first / 64], 0);
}

bool tbi_slots_have_news(const struct tbi_slots *s, uint32_t nslots)
{
    for (uint32_t i = 0; i * 64 < nslots; i++)
        if (atomic_load(&s->front->news[i]) != 0)
            return true;
    return false;
}
