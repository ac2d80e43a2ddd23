#include "util/heap.h"
#include "util/alloc.h"

enum { ROOM_MIN = 16, ROOM_KEPT = 1024 /* so much is not given back */ };

static void place_at(struct tbi_heap *heap, size_t at, struct tbi_heap_entry *entry)
{
    heap->entry[at] = entry;
    entry->at = at;
}

static void sift_up(struct tbi_heap *heap, struct tbi_heap_entry *entry)
{
    size_t at = entry->at;

    for (; at > 1 && heap->entry[at / 2]->key > entry->key; at /= 2)
        place_at(heap, at, heap->entry[at / 2]);
    place_at(heap, at, entry);
}

static void sift_down(struct tbi_heap *heap, struct tbi_heap_entry *entry)
{
    size_t at = entry->at;

    for (size_t child; (child = at * 2) <= heap->n; at = child) {
        if (child < heap->n && heap->entry[child + 1]->key < heap->entry[child]->key)
            child++;
        if (heap->entry[child]->key >= entry->key)
            break;
        place_at(heap, at, heap->entry[child]);
    }
    place_at(heap, at, entry);
}

static void resize(struct tbi_heap *heap, size_t room)
{
    heap->room = room;
    heap->entry = tbi_realloc(heap->entry, (room + 1) * sizeof(struct tbi_heap_entry *));
}

void tbi_heap_fini(struct tbi_heap *heap)
{
    free(heap->entry);
    *heap = (struct tbi_heap){0};
}

void tbi_heap_put(struct tbi_heap *heap, struct tbi_heap_entry *entry, uint64_t key)
{
    if (heap->n == heap->room)
        resize(heap, heap->room == 0 ? ROOM_MIN : heap->room * 2);
    entry->key = key;
    entry->at = ++heap->n;
    sift_up(heap, entry);
}

void tbi_heap_take(struct tbi_heap *heap, struct tbi_heap_entry *entry)
{
    struct tbi_heap_entry *last = heap->entry[heap->n--];

    if (last != entry) {
        place_at(heap, entry->at, last);
        sift_up(heap, last);
        sift_down(heap, last);
    }
    entry->at = 0;
    if (heap->room > ROOM_KEPT && heap->n < heap->room / 8) /* after a peak */
        resize(heap, heap->room / 4);
}

void tbi_heap_change(struct tbi_heap *heap, struct tbi_heap_entry *entry, uint64_t key)
{
    entry->key = key;
    sift_up(heap, entry);
    sift_down(heap, entry);
}

const char *tbi_heap_check(const struct tbi_heap *heap)
{
    for (size_t at = 1; at <= heap->n; at++) {
        if (heap->entry[at]->at != at)
            return "an entry of a heap does not know where it is";
        if (at > 1 && heap->entry[at / 2]->key > heap->entry[at]->key)
            return "a heap is out of order";
    }
    return NULL;
}
