/* slots.h - what a rank and its executors share besides the store: one slot an executor, and the
 * rings in which the zygote reports deaths and passes on what executors print.
 *
 *      page 0   zygote's          slot 0                               slot 1
 *     +--------+--------+--------+--------+-----------+-----------+   +--------
 *     | news,  | deaths | output | control| ring in   | ring out  |   |
 *     +--------+--------+--------+--------+-----------+-----------+   +--------
 *
 * The region is mapped before the zygote is forked, so every executor inherits it; each then
 * closes all of it to itself but page 0 and its own slot: a wild write can end no one else's
 * work. Slots start on page boundaries; untouched ones cost no memory. */
#ifndef TBI_SLOTS_H
#define TBI_SLOTS_H

#include "exec/bell.h"
#include "exec/ring.h"
#include "util/error_blob.h"
#include "util/fault.h"
#include "util/page.h"

enum {
    TBI_SLOTS_MAX = 1024,           /* executors of one rank at a time */
    TBI_SLOT_RING = 64 * 1024,      /* bytes of each of a slot's rings */
    TBI_DEATHS_RING = 8 * 1024,     /* of the zygote's rings */
    TBI_OUTPUT_RING = 256 * 1024,
    TBI_SLOT_CANCELS = 64
};

struct tbi_slot {
    struct tbi_bell bell;           /* the executor sleeps on it */
    /* Tasks are numbered in the order they were offered to this executor. Both sides advance `next`
     * by compare-and-swap: the executor by one, to claim a task before it runs it; the agent to
     * behind the last one offered, to take back what was not begun. */
    _Alignas(64) _Atomic uint64_t next;
    /* The numbers + 1 of tasks here that are not wanted any more, each at its number modulo the size; written by
     * the agent. Calls that run at once can displace one another, so their process is told, too: see
     * tbi_lanes_cancel. */
    _Atomic uint64_t cancelled[TBI_SLOT_CANCELS];
    /* What the signal that interrupts would hit in an actor: tbi_slot_aim. */
    _Atomic uint64_t target;
    /* The number of the task that runs, or ran last, + 1: the executor's alone, unlike `next`. Of calls that run
     * at once, the one that was begun last, so what is told by it of a crash may be another's. */
    _Alignas(64) _Atomic uint64_t begun;
    _Atomic int32_t pid;            /* its own, for reports; 0: it has not begun */
    /* An error that the running task cannot get rid of, even by crashing (a wrong argument type, a
     * failed tb_must); valid while `sticks` is the number of that task + 1, and `begun` too. Of calls that run at
     * once, only one that ends the process itself leaves it, and sets both. */
    _Atomic uint64_t sticks;
    struct tbi_error_link sticky;
};

static inline bool tbi_slot_is_cancelled(const struct tbi_slot *slot, uint64_t number)
{
    return atomic_load(&slot->cancelled[number % TBI_SLOT_CANCELS]) == number + 1;
}

/* Whom the signal that interrupts would hit in an actor whose calls run one after the other: `target` is the number of
 * a call times 4, and how far it is. The executor enters and leaves, the agent aims. All of it is sequentially
 * consistent, and so is the agent's write of `cancelled` before it aims: a call that it finds not begun finds the
 * cancel when it has entered; one that has ended is not aimed at; and one that was aimed at waits for the signal before
 * it makes way for the next. */
enum { TBI_TARGET_RUNS = 1, TBI_TARGET_AIMED, TBI_TARGET_OVER };

static inline void tbi_slot_enter(struct tbi_slot *slot, uint64_t number)
{
    atomic_store(&slot->target, number * 4 + TBI_TARGET_RUNS);
}

/* True: a signal is on its way. */
static inline bool tbi_slot_leave(struct tbi_slot *slot, uint64_t number)
{
    return atomic_exchange(&slot->target, number * 4 + TBI_TARGET_OVER) == number * 4 + TBI_TARGET_AIMED;
}

/* May the signal be sent? */
static inline bool tbi_slot_aim(struct tbi_slot *slot, uint64_t number)
{
    uint64_t runs = number * 4 + TBI_TARGET_RUNS;

    return atomic_compare_exchange_strong(&slot->target, &runs, number * 4 + TBI_TARGET_AIMED);
}

struct tbi_slots;

struct tbi_slots *tbi_slots_create(uint32_t page); /* bytes of one; NULL with errno: no memory */
void tbi_slots_destroy(struct tbi_slots *slots);

struct tbi_slot *tbi_slots_slot(struct tbi_slots *slots, uint32_t slot);
struct tbi_ring *tbi_slots_in(struct tbi_slots *slots, uint32_t slot);   /* agent to executor */
struct tbi_ring *tbi_slots_out(struct tbi_slots *slots, uint32_t slot);
struct tbi_ring *tbi_slots_deaths(struct tbi_slots *slots);
struct tbi_fault_board *tbi_slots_faults(struct tbi_slots *slots);
struct tbi_ring *tbi_slots_output(struct tbi_slots *slots);

/* Makes a slot like new, for the next executor in it. */
void tbi_slots_reset(struct tbi_slots *slots, uint32_t slot);

/* In an executor: from now on only page 0 and this slot can be touched. */
void tbi_slots_keep_only(struct tbi_slots *slots, uint32_t slot);
/* How many bytes that leaves. */
size_t tbi_slots_kept(const struct tbi_slots *slots);

/* The whole region. */
const void *tbi_slots_region(const struct tbi_slots *slots, size_t *bytes);

/* Which executors have written to their rings. Noting: after the write is published; the ring of the
 * rank's bell comes next. Taking: 64 slots from `first`, a bit each, cleared. */
void tbi_slots_note_news(struct tbi_slots *slots, uint32_t slot);
uint64_t tbi_slots_take_news(struct tbi_slots *slots, uint32_t first);
bool tbi_slots_have_news(const struct tbi_slots *slots, uint32_t nslots);

#endif
