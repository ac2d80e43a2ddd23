/* heap.h - a binary heap of entries that lie in what they stand for: the one with the smallest key is first. Putting
 * in, taking out (any entry) and changing a key cost O(log n); no order among equal keys.
 * Not thread-safe. */
#ifndef TBI_HEAP_H
#define TBI_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tbi_heap_entry {
    uint64_t key;
    size_t at;      /* in the heap, from 1; 0: in none */
};
struct tbi_heap {
    struct tbi_heap_entry **entry; /* entry[1 .. n] */
    size_t n, room;
};

void tbi_heap_fini(struct tbi_heap *heap); /* also of one that is zeroed; entries are not touched */
void tbi_heap_put(struct tbi_heap *heap, struct tbi_heap_entry *entry, uint64_t key);
void tbi_heap_take(struct tbi_heap *heap, struct tbi_heap_entry *entry); /* it is in this heap */
void tbi_heap_change(struct tbi_heap *heap, struct tbi_heap_entry *entry, uint64_t key);

/* NULL: there is none. */
static inline struct tbi_heap_entry *tbi_heap_first(const struct tbi_heap *heap)
{
    return heap->n == 0 ? NULL : heap->entry[1];
}
static inline bool tbi_heap_has(const struct tbi_heap_entry *entry)
{
    return entry->at != 0;
}

/* NULL, or what is wrong. */
const char *tbi_heap_check(const struct tbi_heap *heap);

#endif
