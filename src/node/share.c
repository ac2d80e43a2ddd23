/* share.c - one thing after the other is given to the party that has the least among all that can
 * be reached: those who may have it, and those to whom one of them can pass on something else. This
 * makes a most even sharing (Harvey, Ladner, Lovasz, Tamir: Semi-matchings for bipartite graphs,
 * 2006).
 *
 * Things that the same parties may have are alike, a class: only their numbers matter on the
 * way, and which is whose is settled at the end, in order. A host has few classes, mostly one. */
#include "node/share.h"
#include "util/alloc.h"

struct sharing {
    unsigned nparties, nthings, nclasses;
    const bool *may;
    unsigned *class_of;     /* [nthings] */
    unsigned *example;      /* [nclasses] a thing of it */
    unsigned *count;        /* [nclasses * nparties] how many of a class a party has */
    unsigned *load;         /* [nparties] how many it has in all */
    unsigned *from, *with;  /* [nparties] of a search: who passes on to it, and of which class */
    unsigned *queue;
    bool *seen;             /* [nparties] */
    bool *open;             /* [nclasses] all that may have of it are seen */
};

static bool may_have(const struct sharing *s, unsigned party, unsigned class)
{
    return s->may[party * s->nthings + s->example[class]];
}

static bool alike(const struct sharing *s, unsigned a, unsigned b)
{
    for (unsigned p = 0; p < s->nparties; p++)
        if (s->may[p * s->nthings + a] != s->may[p * s->nthings + b])
            return false;
    return true;
}

static void find_classes(struct sharing *s)
{
    for (unsigned t = 0; t < s->nthings; t++) {
        unsigned c = 0;

        while (c < s->nclasses && !alike(s, s->example[c], t))
            c++;
        if (c == s->nclasses)
            s->example[s->nclasses++] = t;
        s->class_of[t] = c;
    }
}

/* Whoever may have of `class` and was not found before, by way of `from`. */
static void reach(struct sharing *s, unsigned from, unsigned class, unsigned *n)
{
    s->open[class] = true;
    for (unsigned p = 0; p < s->nparties; p++)
        if (!s->seen[p] && may_have(s, p, class)) {
            s->seen[p] = true;
            s->from[p] = from;
            s->with[p] = class;
            s->queue[(*n)++] = p;
        }
}

/* Gives one more of `class` away. */
static void give(struct sharing *s, unsigned class)
{
    unsigned n = 0, to, p;

    memset(s->seen, 0, s->nparties * sizeof *s->seen);
    memset(s->open, 0, s->nclasses * sizeof *s->open);
    reach(s, TBI_SHARE_NOBODY, class, &n);
    for (unsigned i = 0; i < n; i++)
        for (unsigned c = 0; c < s->nclasses; c++)
            if (!s->open[c] && s->count[c * s->nparties + s->queue[i]] > 0)
                reach(s, s->queue[i], c, &n);
    if (n == 0)
        return;
    to = s->queue[0];
    for (unsigned i = 1; i < n; i++) {
        p = s->queue[i];
        if (s->load[p] < s->load[to] || (s->load[p] == s->load[to] && p < to))
            to = p;
    }
    s->load[to]++;
    for (p = to; p != TBI_SHARE_NOBODY; p = s->from[p]) {
        s->count[s->with[p] * s->nparties + p]++;
        if (s->from[p] != TBI_SHARE_NOBODY)
            s->count[s->with[p] * s->nparties + s->from[p]]--;
    }
}

void tbi_share(unsigned nparties, unsigned nthings, const bool *may, unsigned *owner)
{
    struct sharing s = {.nparties = nparties, .nthings = nthings, .may = may};

    s.class_of = tbi_alloc_zeroed(nthings, sizeof *s.class_of);
    s.example = tbi_alloc_zeroed(nthings, sizeof *s.example);
    find_classes(&s);
    s.count = tbi_alloc_zeroed((size_t)s.nclasses * nparties, sizeof *s.count);
    s.load = tbi_alloc_zeroed(nparties, sizeof *s.load);
    s.from = tbi_alloc_zeroed(nparties, sizeof *s.from);
    s.with = tbi_alloc_zeroed(nparties, sizeof *s.with);
    s.queue = tbi_alloc_zeroed(nparties, sizeof *s.queue);
    s.seen = tbi_alloc_zeroed(nparties, sizeof *s.seen);
    s.open = tbi_alloc_zeroed(s.nclasses, sizeof *s.open);
    for (unsigned t = 0; t < nthings; t++)
        give(&s, s.class_of[t]);
    for (unsigned t = 0; t < nthings; t++) {
        unsigned *count = &s.count[s.class_of[t] * nparties], p = 0;

        while (p < nparties && count[p] == 0)
            p++;
        owner[t] = p < nparties ? p : TBI_SHARE_NOBODY;
        if (p < nparties)
            count[p]--;
    }
    free(s.class_of);
    free(s.example);
    free(s.count);
    free(s.load);
    free(s.from);
    free(s.with);
    free(s.queue);
    free(s.seen);
    free(s.open);
}
