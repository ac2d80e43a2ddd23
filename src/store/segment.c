#include "store/segment.h"
#include "util/alloc.h"

#include <inttypes.h>

/* One entry a page, but only the first and the last page of an extent are ever looked at, so the
 * zeroed table costs memory only where extents begin and end. */
struct page {
    uint32_t pages;      /* first and last page: length of the extent */
    uint32_t state;
    uint32_t next, prev; /* first page of a free one: neighbours in the bin, +1; 0: none */
};
enum { NOTHING, FREE, USED };

enum { SPLIT_BITS = 3, SPLIT = 1 << SPLIT_BITS, LEVELS = 32 };

struct tbi_segment {
    struct page *page;
    uint32_t unit;                /* bytes of a page */
    uint32_t npages, frontier, used;
    bool doubted;                 /* below the frontier there may be pages that nobody has touched */
    uint32_t bin[LEVELS][SPLIT];  /* first page + 1; 0: empty */
    uint32_t levels;              /* bit l: bin[l] has something */
    uint8_t splits[LEVELS];       /* bit s: bin[l][s] has something */
};

struct tbi_segment *tbi_segment_create(uint64_t bytes, uint32_t page_bytes)
{
    struct tbi_segment *s = tbi_alloc_zeroed(1, sizeof *s);
    uint64_t n = bytes / page_bytes;

    s->npages = n > UINT32_MAX - 2 ? UINT32_MAX - 2 : (uint32_t)n; /* 16 TiB of 4 KiB */
    s->unit = page_bytes;
    s->page = tbi_alloc_zeroed((size_t)s->npages + 1, sizeof *s->page);
    return s;
}

void tbi_segment_destroy(struct tbi_segment *s)
{
    if (s != NULL)
        free(s->page);
    free(s);
}

/* Level: the power of two below; split: the next three bits. Sizes below SPLIT stand in level 0,
 * one bin each. */
static void bin_of(uint32_t pages, unsigned *level, unsigned *split)
{
    if (pages < SPLIT) {
        *level = 0;
        *split = pages;
    } else {
        unsigned top = 31 - (unsigned)__builtin_clz(pages);

        *level = top - SPLIT_BITS + 1;
        *split = (pages >> (top - SPLIT_BITS)) & (SPLIT - 1);
    }
}

static void mark(struct tbi_segment *s, uint32_t at, uint32_t pages, uint32_t state)
{
    s->page[at].pages = s->page[at + pages - 1].pages = pages;
    s->page[at].state = s->page[at + pages - 1].state = state;
}

static void bin_add(struct tbi_segment *s, uint32_t at, uint32_t pages)
{
    unsigned l, k;
    uint32_t first;

    mark(s, at, pages, FREE);
    bin_of(pages, &l, &k);
    first = s->bin[l][k];
    s->page[at].next = first;
    s->page[at].prev = 0;
    if (first != 0)
        s->page[first - 1].prev = at + 1;
    s->bin[l][k] = at + 1;
    s->splits[l] |= (uint8_t)(1u << k);
    s->levels |= 1u << l;
}

static void bin_remove(struct tbi_segment *s, uint32_t at)
{
    struct page *p = &s->page[at];
    unsigned l, k;

    bin_of(p->pages, &l, &k);
    if (p->next != 0)
        s->page[p->next - 1].prev = p->prev;
    if (p->prev != 0)
        s->page[p->prev - 1].next = p->next;
    else
        s->bin[l][k] = p->next;
    if (s->bin[l][k] == 0) {
        s->splits[l] &= (uint8_t)~(1u << k);
        if (s->splits[l] == 0)
            s->levels &= ~(1u << l);
    }
}

/* The first page + 1 of a free extent of at least `pages`, or 0. The request's own bin may hold
 * smaller ones too, so it is searched for a fit; any bin above fits with its first. */
static uint32_t find(const struct tbi_segment *s, uint32_t pages)
{
    unsigned l, k, above;
    uint32_t levels;

    bin_of(pages, &l, &k);
    for (uint32_t at = s->bin[l][k]; at != 0; at = s->page[at - 1].next)
        if (s->page[at - 1].pages >= pages)
            return at;
    above = s->splits[l] & ~((2u << k) - 1);
    if (above != 0)
        return s->bin[l][__builtin_ctz(above)];
    levels = l + 1 < LEVELS ? s->levels & ~((2u << l) - 1) : 0;
    if (levels == 0)
        return 0;
    l = (unsigned)__builtin_ctz(levels);
    return s->bin[l][__builtin_ctz(s->splits[l])];
}

bool tbi_segment_alloc(struct tbi_segment *s, uint64_t bytes, struct tbi_extent *extent)
{
    uint64_t want = bytes == 0 ? 1 : bytes / s->unit + (bytes % s->unit != 0);
    uint32_t pages, at, cold;

    if (want > s->npages)
        return false;
    pages = (uint32_t)want;
    at = find(s, pages);
    if (at != 0) {
        uint32_t have;

        at--;
        have = s->page[at].pages;
        cold = s->frontier;
        bin_remove(s, at);
        if (have > pages)
            bin_add(s, at + pages, have - pages);
    } else {
        at = cold = s->frontier;
        if (at > 0 && s->page[at - 1].state == FREE)
            at -= s->page[at - 1].pages; /* begin with the warm end */
        if (pages > s->npages - at)
            return false;
        if (at < cold)
            bin_remove(s, at);
        s->frontier = at + pages;
    }
    mark(s, at, pages, USED);
    s->used += pages;
    extent->offset = (uint64_t)at * s->unit;
    extent->bytes = (uint64_t)pages * s->unit;
    extent->cold_from = (uint64_t)(s->doubted ? at : cold) * s->unit;
    extent->cold_to = (uint64_t)(s->doubted ? at + pages : s->frontier) * s->unit;
    return true;
}

void tbi_segment_free(struct tbi_segment *s, uint64_t offset)
{
    uint32_t at = (uint32_t)(offset / s->unit), pages;

    if (offset % s->unit != 0 || offset / s->unit >= s->frontier || s->page[at].state != USED ||
        s->page[at].pages == 0) {
        fprintf(stderr, "thornback: internal error: nothing of the store begins at %" PRIu64 "\n",
                offset);
        abort();
    }
    pages = s->page[at].pages;
    s->used -= pages;
    mark(s, at, pages, NOTHING); /* no stale boundary inside what it is joined to */
    if (at + pages < s->frontier && s->page[at + pages].state == FREE) {
        uint32_t more = s->page[at + pages].pages;

        bin_remove(s, at + pages);
        mark(s, at + pages, more, NOTHING);
        pages += more;
    }
    if (at > 0 && s->page[at - 1].state == FREE) {
        uint32_t more = s->page[at - 1].pages;

        at -= more;
        bin_remove(s, at);
        mark(s, at, more, NOTHING);
        pages += more;
    }
    bin_add(s, at, pages);
}

void tbi_segment_free_unused(struct tbi_segment *s, uint64_t offset)
{
    s->doubted = true;
    tbi_segment_free(s, offset);
}

uint64_t tbi_segment_capacity(const struct tbi_segment *s)
{
    return (uint64_t)s->npages * s->unit;
}

uint64_t tbi_segment_used(const struct tbi_segment *s)
{
    return (uint64_t)s->used * s->unit;
}

const char *tbi_segment_check(const struct tbi_segment *s)
{
    uint32_t used = 0, free_extents = 0, binned = 0, before = NOTHING;

    for (uint32_t at = 0; at < s->frontier; at += s->page[at].pages) {
        const struct page *p = &s->page[at];

        if (p->pages == 0 || p->pages > s->frontier - at)
            return "extents do not tile the segment";
        if (s->page[at + p->pages - 1].pages != p->pages ||
            s->page[at + p->pages - 1].state != p->state)
            return "an extent's two ends differ";
        if (p->state != FREE && p->state != USED)
            return "an extent is neither free nor used";
        if (p->state == FREE && before == FREE)
            return "two free extents are neighbours";
        used += p->state == USED ? p->pages : 0;
        free_extents += p->state == FREE;
        before = p->state;
    }
    for (unsigned l = 0; l < LEVELS; l++)
        for (unsigned k = 0; k < SPLIT; k++) {
            bool bit = (s->levels >> l & 1) && (s->splits[l] >> k & 1);

            if (bit != (s->bin[l][k] != 0))
                return "a bin and its bit disagree";
            for (uint32_t at = s->bin[l][k]; at != 0; at = s->page[at - 1].next) {
                unsigned level, split;

                bin_of(s->page[at - 1].pages, &level, &split);
                if (s->page[at - 1].state != FREE || level != l || split != k)
                    return "an extent stands in a wrong bin";
                binned++;
            }
        }
    if (binned != free_extents)
        return "not every free extent stands in a bin";
    return used == s->used ? NULL : "the sum of used pages is wrong";
}
