#include "sched/fit.h"
#include "util/alloc.h"
#include "util/instances.h"

enum {
    STEPS = 20000,        /* nodes looked at, in all, on the way back: it is asked for at every pass */
    STEPS_EVER = 2000000, /* ... once for each group */
    SMALL = 64            /* bundles of a group that goes back on its steps; and its kinds that are compared */
};

struct fit {
    const struct tbi_nodes *nodes;
    const struct tbi_group *group;
    const int64_t *lent; /* [node], or NULL */
    int64_t *left;      /* [node * nresources + resource] */
    int32_t *gpu;       /* [node * TBI_GPUS_MAX + instance]; NULL: no bundle wants any */
    bool *may;          /* [node] */
    unsigned *order;    /* bundles, largest first, those that ask for the same together */
    unsigned *end;      /* [k]: where in `order` those end that ask for the same as order[k] */
    unsigned *on_node;  /* [node]: bundles there */
    unsigned *on_host;  /* [first node of the host in by_host]: bundles there */
    unsigned *node;     /* [bundle]: the outcome */
    long steps;
};

static int64_t *left_of(const struct fit *f, unsigned i)
{
    return f->left + (size_t)i * f->nodes->nresources;
}

static bool take_gpus(int32_t *gpu, unsigned n, int64_t amount)
{
    uint64_t chosen = tbi_instances_choose(gpu, n, amount);

    for (unsigned g = 0; g < n; g++)
        if (chosen >> g & 1)
            gpu[g] -= tbi_instances_each(amount);
    return chosen != 0;
}

/* What is changed of a node, to be put back. */
struct saved {
    int32_t gpu[TBI_GPUS_MAX];
};

static bool put(struct fit *f, unsigned b, unsigned i, struct saved *saved)
{
    const struct tbi_group_bundle *bundle = &f->group->bundle[b];
    const int64_t *whole = tbi_ledger_whole(f->nodes, i);
    int32_t *gpu = f->gpu == NULL ? NULL : f->gpu + (size_t)i * TBI_GPUS_MAX;
    int64_t *left = left_of(f, i);

    f->steps--;
    if (!f->may[i])
        return false;
    for (unsigned p = 0; p < bundle->nparts; p++)
        if (left[bundle->part[p].resource] < bundle->part[p].amount ||
            whole[bundle->part[p].resource] == 0)
            return false;
    if (gpu != NULL)
        memcpy(saved->gpu, gpu, sizeof saved->gpu);
    for (unsigned p = 0; p < bundle->nparts; p++)
        if (bundle->part[p].resource == TBI_GPUS && bundle->part[p].amount > 0 &&
            !take_gpus(gpu, f->nodes->node[i].ngpus, bundle->part[p].amount))
            return false;
    for (unsigned p = 0; p < bundle->nparts; p++)
        left[bundle->part[p].resource] -= bundle->part[p].amount;
    f->on_node[i]++;
    f->on_host[f->nodes->node[i].first]++;
    f->node[b] = i;
    return true;
}

static void undo(struct fit *f, unsigned b, const struct saved *saved)
{
    const struct tbi_group_bundle *bundle = &f->group->bundle[b];
    unsigned i = f->node[b];

    if (f->gpu != NULL)
        memcpy(f->gpu + (size_t)i * TBI_GPUS_MAX, saved->gpu, sizeof saved->gpu);
    for (unsigned p = 0; p < bundle->nparts; p++)
        left_of(f, i)[bundle->part[p].resource] += bundle->part[p].amount;
    f->on_node[i]--;
    f->on_host[f->nodes->node[i].first]--;
}

/* Among nodes that are about as empty, one with many others on its host. */
static uint64_t host_size(const struct fit *f, unsigned i)
{
    uint64_t n = 0;

    for (unsigned h = f->nodes->node[i].first; h < f->nodes->node[i].end && n < 255; h++)
        n += f->may[f->nodes->by_host[h]];
    return n;
}

/* Larger is better. */
static uint64_t rate(const struct fit *f, unsigned b, unsigned i)
{
    const struct tbi_group_bundle *bundle = &f->group->bundle[b];
    const int64_t *whole = tbi_ledger_whole(f->nodes, i), *load = tbi_ledger_load(f->nodes, i);
    uint64_t node = f->on_node[i], host = f->on_host[f->nodes->node[i].first];
    double empty = 1;

    for (unsigned p = 0; p < bundle->nparts; p++) {
        unsigned r = bundle->part[p].resource;
        double share = whole[r] > 0 ? (double)(left_of(f, i)[r] - load[r]) / (double)whole[r] : 0;

        empty = share < empty ? share : empty;
    }
    if (empty < 0)
        empty = 0;
    if (f->group->strategy == TBI_GROUP_PACK)
        return (uint64_t)(node > 0) << 62 | (uint64_t)(host > 0) << 61 |
               (uint64_t)(empty * 15) << 50 | host_size(f, i) << 40 |
               (uint64_t)(empty * (1 << 30)) << 1 | 1;
    return (0xffff - host) << 47 | (0xffff - node) << 31 | (uint64_t)(empty * (1 << 30)) | 1;
}

static int smaller_first(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* Is as much free of as many GPUs, whichever these are? */
static bool gpus_alike(const struct fit *f, unsigned a, unsigned b)
{
    unsigned n = f->nodes->node[a].ngpus;
    const int32_t *at_a = f->gpu + (size_t)a * TBI_GPUS_MAX, *at_b = f->gpu + (size_t)b * TBI_GPUS_MAX;
    int32_t x[TBI_GPUS_MAX], y[TBI_GPUS_MAX];

    if (n != f->nodes->node[b].ngpus)
        return false;
    if (memcmp(at_a, at_b, n * sizeof *x) == 0)
        return true;
    memcpy(x, at_a, n * sizeof *x);
    memcpy(y, at_b, n * sizeof *y);
    qsort(x, n, sizeof *x, smaller_first);
    qsort(y, n, sizeof *y, smaller_first);
    return memcmp(x, y, n * sizeof *x) == 0;
}

static bool alike(const struct fit *f, unsigned a, unsigned b)
{
    size_t bytes = f->nodes->nresources * sizeof *f->left;

    return f->on_node[a] == f->on_node[b] &&
           f->on_host[f->nodes->node[a].first] == f->on_host[f->nodes->node[b].first] &&
           memcmp(left_of(f, a), left_of(f, b), bytes) == 0 &&
           memcmp(tbi_ledger_whole(f->nodes, a), tbi_ledger_whole(f->nodes, b), bytes) == 0 &&
           (f->gpu == NULL || gpus_alike(f, a, b));
}

/* The best node for the bundle that was not tried; TBI_ANY_NODE: none. */
static unsigned best_node(struct fit *f, unsigned b, const bool *tried)
{
    unsigned best = TBI_ANY_NODE;
    uint64_t most = 0;

    for (unsigned i = 0; i < f->nodes->n; i++) {
        struct saved saved;
        uint64_t score = (tried != NULL && tried[i]) || !f->may[i] ? 0 : rate(f, b, i);

        if (score > most && put(f, b, i, &saved)) {
            undo(f, b, &saved);
            most = score;
            best = i;
        }
    }
    return best;
}

/* One after the other, each on the best node. */
static bool place_each(struct fit *f)
{
    for (unsigned k = 0; k < f->group->n; k++) {
        unsigned best = best_node(f, f->order[k], NULL);
        struct saved saved;

        if (best == TBI_ANY_NODE)
            return false;
        put(f, f->order[k], best, &saved);
    }
    return true;
}

/* ---- whether it can fit at all ---- */

/* How many bundles like this one have room at the node, if nothing else is put there. */
static int64_t count_at(const struct fit *f, unsigned b, unsigned i)
{
    const struct tbi_group_bundle *bundle = &f->group->bundle[b];
    const int64_t *whole = tbi_ledger_whole(f->nodes, i), *left = left_of(f, i);
    int64_t least = !f->may[i] ? 0 : f->group->strategy == TBI_GROUP_STRICT_SPREAD ? 1 : INT32_MAX, n;

    for (unsigned p = 0; p < bundle->nparts && least > 0; p++) {
        unsigned r = bundle->part[p].resource;
        int64_t amount = bundle->part[p].amount;

        if (left[r] < amount || whole[r] == 0)
            return 0;
        n = amount > 0 ? left[r] / amount : least;
        least = n < least ? n : least;
        if (r != TBI_GPUS || amount == 0)
            continue;
        n = tbi_instances_count(f->gpu + (size_t)i * TBI_GPUS_MAX, f->nodes->node[i].ngpus, amount);
        least = n < least ? n : least;
    }
    return least;
}

/* Where the one has room, the other has too. */
static bool asks_for_no_more(const struct tbi_group_bundle *a, const struct tbi_group_bundle *b)
{
    unsigned q = 0;

    for (unsigned p = 0; p < a->nparts; p++) {
        while (q < b->nparts && b->part[q].resource < a->part[p].resource)
            q++;
        if (q == b->nparts || b->part[q].resource != a->part[p].resource || b->part[q].amount < a->part[p].amount)
            return false;
    }
    return true;
}

/* Of the k-th bundle and those after it, how many ask for at least as much as order[at]? */
static int64_t count_from(const struct fit *f, unsigned k, unsigned at)
{
    const struct tbi_group *group = f->group;
    int64_t n = 0;
    unsigned kinds = 0;

    for (unsigned j = k; j < group->n && kinds++ < SMALL; j = f->end[j])
        if (asks_for_no_more(&group->bundle[f->order[at]], &group->bundle[f->order[j]]))
            n += f->end[j] - j;
    return n;
}

/* For each kind of bundle: have so many room as there are of it and of larger ones? What fits nowhere is so found without
 * a search, and if all ask for the same, nothing else is needed. */
static bool may_place_from(struct fit *f, unsigned k)
{
    unsigned kinds = 0;

    for (unsigned at = k; at < f->group->n && kinds++ < SMALL; at = f->end[at]) {
        int64_t want = count_from(f, k, at);

        for (unsigned i = 0; i < f->nodes->n && want > 0; i++, f->steps--)
            want -= count_at(f, f->order[at], i);
        if (want > 0)
            return false;
    }
    return true;
}

/* ---- trying ---- */

/* Places the k-th bundle and those after it. `before`: nodes that were tried for the one before it, which asks for
 * the same, with all that now stands: on them this one need not be tried either. */
static bool place_from(struct fit *f, unsigned k, const bool *before)
{
    unsigned n = f->nodes->n, b, best;
    bool *tried; /* nodes that were, and those like them */
    bool done = false;

    if (k == f->group->n)
        return true;
    if (!may_place_from(f, k))
        return false;
    b = f->order[k];
    tried = tbi_alloc_zeroed(n, sizeof *tried);
    if (before != NULL)
        memcpy(tried, before, n * sizeof *tried);
    while (f->steps > 0 && (best = best_node(f, b, tried)) != TBI_ANY_NODE) {
        struct saved saved;

        f->steps -= n;
        put(f, b, best, &saved);
        done = place_from(f, k + 1, k + 1 < f->end[k] ? tried : NULL);
        if (done)
            break;
        undo(f, b, &saved);
        for (unsigned i = 0; i < n; i++)
            tried[i] |= i == best || alike(f, i, best);
    }
    free(tried);
    return done;
}

static bool place_all_on(struct fit *f, unsigned i)
{
    for (unsigned k = 0; k < f->group->n; k++) {
        struct saved saved;

        if (!put(f, f->order[k], i, &saved))
            return false;
    }
    return true;
}

/* What there is at a node, by what is asked for. */
static void see(struct fit *f, unsigned i, enum tbi_fit_on on)
{
    const struct tbi_nodes *nodes = f->nodes;
    const struct tbi_node *node = &nodes->node[i];
    const int64_t *total = on == TBI_FIT_EVER ? tbi_ledger_whole(nodes, i)
                                              : tbi_ledger_total(nodes, i);

    for (unsigned r = 0; r < nodes->nresources; r++)
        left_of(f, i)[r] = total[r] - (on == TBI_FIT_FREE ? tbi_ledger_load(nodes, i)[r] : 0);
    if (on == TBI_FIT_FREE)
        left_of(f, i)[TBI_CPUS] -= node->blocked - (f->lent != NULL ? f->lent[i] : 0);
    for (unsigned g = 0; f->gpu != NULL && g < node->ngpus; g++)
        f->gpu[(size_t)i * TBI_GPUS_MAX + g] =
            on == TBI_FIT_FREE ? node->gpu[g] : TBI_UNIT - (on == TBI_FIT_SOON ? node->held[g] : 0);
    f->may[i] = node->works && (on == TBI_FIT_EVER || f->lent != NULL ||
                               ((node->kept_for == NULL || node->kept_for == f->group) &&
                                f->group->seq < node->closed_from));
    if (on == TBI_FIT_FREE && tbi_group_is_refused(nodes, f->group, i, f->lent != NULL ? f->lent[i] : 0))
        f->may[i] = false;
    f->on_node[i] = f->on_host[i] = 0;
}

static bool strict_pack(struct fit *f, enum tbi_fit_on on)
{
    for (unsigned i = 0; i < f->nodes->n; i++) {
        if (!f->may[i])
            continue;
        if (place_all_on(f, i))
            return true;
        see(f, i, on); /* what was put is undone */
    }
    return false;
}

/* Finds a node for the bundle, moving others (owner[node]) to other nodes if need be. */
static bool augment(struct fit *f, unsigned b, unsigned *owner, unsigned *mark, unsigned round)
{
    struct saved saved;

    for (unsigned i = 0; i < f->nodes->n; i++) {
        if (mark[i] == round || !f->may[i])
            continue;
        if (owner[i] != TBI_ANY_NODE)
            continue;
        if (put(f, b, i, &saved)) {
            undo(f, b, &saved);
            mark[i] = round;
            owner[i] = b;
            return true;
        }
    }
    for (unsigned i = 0; i < f->nodes->n; i++) {
        if (mark[i] == round || !f->may[i] || !put(f, b, i, &saved))
            continue;
        undo(f, b, &saved);
        mark[i] = round;
        if (augment(f, owner[i], owner, mark, round)) {
            owner[i] = b;
            return true;
        }
    }
    return false;
}

static bool strict_spread(struct fit *f)
{
    unsigned n = f->nodes->n, *owner = tbi_alloc(n * sizeof *owner);
    unsigned *mark = tbi_alloc_zeroed(n, sizeof *mark);
    bool found = f->group->n <= n;

    for (unsigned i = 0; i < n; i++)
        owner[i] = TBI_ANY_NODE;
    for (unsigned k = 0; k < f->group->n && found; k++)
        found = augment(f, f->order[k], owner, mark, k + 1);
    for (unsigned i = 0; i < n && found; i++)
        if (owner[i] != TBI_ANY_NODE)
            f->node[owner[i]] = i;
    free(owner);
    free(mark);
    return found;
}

static double size_of(const struct tbi_group_bundle *bundle, const int64_t *most)
{
    double size = 0;

    for (unsigned p = 0; p < bundle->nparts; p++)
        if (most[bundle->part[p].resource] > 0)
            size += (double)bundle->part[p].amount / (double)most[bundle->part[p].resource];
    return size;
}

struct sized {
    double size;
    const struct tbi_group_bundle *bundle;
};

/* By what they ask for. */
static int compare(const struct tbi_group_bundle *a, const struct tbi_group_bundle *b)
{
    if (a->nparts != b->nparts)
        return a->nparts < b->nparts ? -1 : 1;
    for (unsigned p = 0; p < a->nparts; p++) {
        if (a->part[p].resource != b->part[p].resource)
            return a->part[p].resource < b->part[p].resource ? -1 : 1;
        if (a->part[p].amount != b->part[p].amount)
            return a->part[p].amount < b->part[p].amount ? -1 : 1;
    }
    return 0;
}

static int larger_first(const void *a, const void *b)
{
    const struct sized *x = a, *y = b;
    int differ;

    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    differ = compare(x->bundle, y->bundle);
    return differ != 0 ? differ : (x->bundle > y->bundle) - (x->bundle < y->bundle);
}

static void sort(struct fit *f)
{
    const struct tbi_group *group = f->group;
    struct sized *sized = tbi_alloc(group->n * sizeof *sized);
    int64_t most[TBI_RESOURCES_MAX] = {0};
    unsigned kinds = 0;

    for (unsigned i = 0; i < f->nodes->n; i++)
        for (unsigned r = 0; r < f->nodes->nresources; r++)
            if (tbi_ledger_whole(f->nodes, i)[r] > most[r])
                most[r] = tbi_ledger_whole(f->nodes, i)[r];
    for (unsigned b = 0; b < group->n; b++)
        sized[b] = (struct sized){size_of(&group->bundle[b], most), &group->bundle[b]};
    qsort(sized, group->n, sizeof *sized, larger_first);
    for (unsigned k = 0; k < group->n; k++)
        f->order[k] = (unsigned)(sized[k].bundle - group->bundle);
    for (unsigned k = group->n; k-- > 0;) {
        bool same = k + 1 < group->n && compare(sized[k].bundle, sized[k + 1].bundle) == 0;

        f->end[k] = same ? f->end[k + 1] : k + 1;
        kinds += !same;
    }
    f->steps += (long)f->nodes->n * group->n * (4 + (kinds < SMALL ? kinds : SMALL)); /* all at the first try */
    free(sized);
}

/* Is there as much in all? */
static bool may_fit(const struct fit *f)
{
    int64_t sum[TBI_RESOURCES_MAX] = {0};

    for (unsigned i = 0; i < f->nodes->n; i++)
        for (unsigned r = 0; f->may[i] && r < f->nodes->nresources; r++)
            if (left_of(f, i)[r] > 0)
                sum[r] += left_of(f, i)[r];
    for (unsigned b = 0; b < f->group->n; b++)
        for (unsigned p = 0; p < f->group->bundle[b].nparts; p++)
            sum[f->group->bundle[b].part[p].resource] -= f->group->bundle[b].part[p].amount;
    for (unsigned r = 0; r < f->nodes->nresources; r++)
        if (sum[r] < 0)
            return false;
    return true;
}

static bool wants_gpus(const struct tbi_group *group)
{
    for (unsigned b = 0; b < group->n; b++)
        for (unsigned p = 0; p < group->bundle[b].nparts; p++)
            if (group->bundle[b].part[p].resource == TBI_GPUS)
                return true;
    return false;
}

static bool place(struct fit *f, enum tbi_fit_on on)
{
    if (f->group->strategy == TBI_GROUP_STRICT_PACK)
        return strict_pack(f, on);
    if (!may_place_from(f, 0))
        return false;
    if (f->group->strategy == TBI_GROUP_STRICT_SPREAD)
        return strict_spread(f);
    return f->group->n <= SMALL ? place_from(f, 0, NULL) : place_each(f);
}

/* What was found for it with more steps. */
static bool place_as_planned(struct fit *f, enum tbi_fit_on on)
{
    struct saved saved;

    for (unsigned i = 0; i < f->nodes->n; i++)
        see(f, i, on);
    for (unsigned k = 0; k < f->group->n; k++)
        if (!put(f, f->order[k], f->group->plan[f->order[k]], &saved))
            return false;
    return true;
}

bool tbi_fit(const struct tbi_nodes *nodes, const struct tbi_group *group, enum tbi_fit_on on,
             const int64_t *lent, unsigned *node, unsigned *order)
{
    unsigned n = nodes->n;
    struct fit f = {
        .nodes = nodes, .group = group, .lent = lent, .node = node,
        .left = tbi_alloc((size_t)n * nodes->nresources * sizeof *f.left),
        .gpu = wants_gpus(group) ? tbi_alloc_zeroed((size_t)n * TBI_GPUS_MAX, sizeof *f.gpu) : NULL,
        .may = tbi_alloc(n * sizeof *f.may), .order = tbi_alloc(group->n * sizeof *f.order),
        .end = tbi_alloc(group->n * sizeof *f.end),
        .on_node = tbi_alloc(n * sizeof *f.on_node), .on_host = tbi_alloc(n * sizeof *f.on_host),
        .steps = on == TBI_FIT_EVER ? STEPS_EVER : STEPS};
    bool found = false;

    for (unsigned i = 0; i < n; i++)
        see(&f, i, on);
    if (may_fit(&f)) {
        sort(&f);
        found = place(&f, on) || (group->plan != NULL && place_as_planned(&f, on));
    }
    free(f.left);
    free(f.gpu);
    free(f.may);
    if (order != NULL && found)
        memcpy(order, f.order, group->n * sizeof *order);
    free(f.order);
    free(f.end);
    free(f.on_node);
    free(f.on_host);
    return found;
}
