#include "store/segment.h"
#include "util/alloc.h"

#include <inttypes.h>

/* One entry a page, but only the first and the last page of an extent are ever looked at, so the
 * zeroed table costs memory only where extents begin and end. */
struct page {
    uint32_t pages;      /* first and last page: length of the extent */
    uint32_t state;
    uint32_t less, more; /* first page of a free one: below it in the tree, +1; 0: none */
};
enum { NOTHING, FREE, USED };

struct tbi_segment {
    struct page *page;
    uint32_t unit;                /* bytes of a page */
    uint32_t npages, frontier, used;
    bool doubted;                 /* below the frontier there may be pages that nobody has touched */
    uint32_t root;                /* of the free extents by size and place: first page + 1; 0: none */
};

uint64_t tbi_segment_table_share(uint32_t page_bytes)
{
    return page_bytes / sizeof(struct page);
}

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

static void mark(struct tbi_segment *s, uint32_t at, uint32_t pages, uint32_t state)
{
    s->page[at].pages = s->page[at + pages - 1].pages = pages;
    s->page[at].state = s->page[at + pages - 1].state = state;
}

/* ---- the tree of free extents ---- */

/* Above others in the tree is who has the larger of these numbers, which are as good as drawn: so it is about
 * as high as if the extents had come in a random order (a treap: Seidel, Aragon 1996). */
static uint32_t rank_of(uint32_t at)
{
    return (uint32_t)((at * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static bool is_before(const struct tbi_segment *s, uint32_t a, uint32_t b)
{
    return s->page[a].pages != s->page[b].pages ? s->page[a].pages < s->page[b].pages : a < b;
}

/* Parts the tree below *tree by the extent at `at`, which is not in it. */
static void split(struct tbi_segment *s, uint32_t tree, uint32_t at, uint32_t *less, uint32_t *more)
{
    while (tree != 0) {
        struct page *p = &s->page[tree - 1];

        if (is_before(s, tree - 1, at)) {
            *less = tree;
            less = &p->more;
            tree = p->more;
        } else {
            *more = tree;
            more = &p->less;
            tree = p->less;
        }
    }
    *less = *more = 0;
}

static void tree_add(struct tbi_segment *s, uint32_t at, uint32_t pages)
{
    uint32_t *tree = &s->root;

    mark(s, at, pages, FREE);
    while (*tree != 0 && rank_of(*tree - 1) >= rank_of(at))
        tree = is_before(s, *tree - 1, at) ? &s->page[*tree - 1].more : &s->page[*tree - 1].less;
    split(s, *tree, at, &s->page[at].less, &s->page[at].more);
    *tree = at + 1;
}

static void tree_remove(struct tbi_segment *s, uint32_t at)
{
    uint32_t *tree = &s->root, less = s->page[at].less, more = s->page[at].more;

    while (*tree != at + 1)
        tree = is_before(s, *tree - 1, at) ? &s->page[*tree - 1].more : &s->page[*tree - 1].less;
    while (less != 0 && more != 0)
        if (rank_of(less - 1) >= rank_of(more - 1)) {
            *tree = less;
            tree = &s->page[less - 1].more;
            less = *tree;
        } else {
            *tree = more;
            tree = &s->page[more - 1].less;
            more = *tree;
        }
    *tree = less != 0 ? less : more;
}

/* The first page + 1 of the smallest free extent of at least `pages`, or 0. */
static uint32_t find(const struct tbi_segment *s, uint32_t pages)
{
    uint32_t best = 0;

    for (uint32_t tree = s->root; tree != 0;)
        if (s->page[tree - 1].pages >= pages) {
            best = tree;
            tree = s->page[tree - 1].less;
        } else {
            tree = s->page[tree - 1].more;
        }
    return best;
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
        tree_remove(s, at);
        if (have > pages)
            tree_add(s, at + pages, have - pages);
    } else {
        at = cold = s->frontier;
        if (at > 0 && s->page[at - 1].state == FREE)
            at -= s->page[at - 1].pages; /* begin with the warm end */
        if (pages > s->npages - at)
            return false;
        if (at < cold)
            tree_remove(s, at);
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

        tree_remove(s, at + pages);
        mark(s, at + pages, more, NOTHING);
        pages += more;
    }
    if (at > 0 && s->page[at - 1].state == FREE) {
        uint32_t more = s->page[at - 1].pages;

        at -= more;
        tree_remove(s, at);
        mark(s, at, more, NOTHING);
        pages += more;
    }
    tree_add(s, at, pages);
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

/* Extents in the tree, in order, or NOT_A_TREE. */
enum { NOT_A_TREE = 1 << 30 };
static unsigned count(const struct tbi_segment *s, uint32_t tree, uint32_t *before)
{
    unsigned n;

    if (tree == 0)
        return 0;
    n = count(s, s->page[tree - 1].less, before);
    if (s->page[tree - 1].state != FREE || (*before != 0 && !is_before(s, *before - 1, tree - 1)))
        return NOT_A_TREE;
    *before = tree;
    return n + 1 + count(s, s->page[tree - 1].more, before);
}

const char *tbi_segment_check(const struct tbi_segment *s)
{
    uint32_t used = 0, free_extents = 0, before = NOTHING, last = 0;

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
    if (count(s, s->root, &last) != free_extents)
        return "the tree has not all free extents, or others, or is out of order";
    return used == s->used ? NULL : "the sum of used pages is wrong";
}
