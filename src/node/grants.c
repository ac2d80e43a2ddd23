#include "node/grants.h"
#include "node/pick.h"
#include "util/alloc.h"
#include "util/instances.h"

enum { UNIT = 10000 };

struct tbi_grants {
    struct tbi_grants_config config;
    int64_t *free;              /* free[nresources] */
    struct tbi_core *core;
    int64_t *used;              /* of each core: above UNIT only when fractions left no other */
    uint64_t *idle;             /* a bit a core: nothing of it is used */
    unsigned ngpus;
    int32_t *gpu;               /* free of each */
};

/* Fractions of CPUs count as one more core, of which the task has that part; so do those of GPUs. */
static int64_t part_of(int64_t amount, unsigned i)
{
    int64_t left = amount - (int64_t)i * UNIT;

    return left < UNIT ? left : UNIT;
}

struct tbi_grants *tbi_grants_create(const struct tbi_grants_config *config)
{
    struct tbi_grants *l = tbi_alloc_zeroed(1, sizeof *l);
    int64_t *totals = tbi_copy(config->totals, config->nresources * sizeof *totals);

    l->config = *config;
    l->config.totals = totals;
    l->config.core = l->core = tbi_copy(config->core, config->ncores * sizeof *l->core);
    l->free = tbi_copy(totals, config->nresources * sizeof *l->free);
    l->used = tbi_alloc_zeroed(config->ncores + 1, sizeof *l->used);
    l->idle = tbi_alloc_zeroed(config->ncores / 64 + 1, sizeof *l->idle);
    for (unsigned c = 0; c < config->ncores; c++)
        l->idle[c / 64] |= UINT64_C(1) << c % 64;
    l->ngpus = config->nresources > TBI_GPUS ? (unsigned)((totals[TBI_GPUS] + UNIT - 1) / UNIT) : 0;
    l->gpu = tbi_alloc_zeroed(l->ngpus + 1, sizeof *l->gpu);
    for (unsigned g = 0; g < l->ngpus; g++)
        l->gpu[g] = (int32_t)part_of(totals[TBI_GPUS], g);
    return l;
}

void tbi_grants_destroy(struct tbi_grants *l)
{
    if (l == NULL)
        return;
    free((int64_t *)l->config.totals);
    free(l->core);
    free(l->free);
    free(l->used);
    free(l->idle);
    free(l->gpu);
    free(l);
}

/* ---- does it fit? ---- */

bool tbi_grants_feasible(const struct tbi_grants *l, const struct tbi_demand *d)
{
    if (d->cpus < 0 || d->cpus > l->config.totals[TBI_CPUS])
        return false;
    for (unsigned i = 0; i < d->nmore; i++) {
        const struct tbi_amount *a = &d->more[i];

        if (a->resource == TBI_CPUS || a->resource >= l->config.nresources || a->amount < 0 ||
            (i > 0 && a->resource <= a[-1].resource) ||
            a->amount > l->config.totals[a->resource] || l->config.totals[a->resource] == 0 ||
            (a->resource == TBI_GPUS && a->amount > UNIT && a->amount % UNIT != 0))
            return false;
    }
    return true;
}

static bool gpus_fit(const struct tbi_grants *l, int64_t amount)
{
    return tbi_instances_choose(l->gpu, l->ngpus, amount) != 0;
}

bool tbi_grants_cpus_fit(const struct tbi_grants *l, int64_t cpus)
{
    return cpus <= l->free[TBI_CPUS];
}

bool tbi_grants_others_fit(const struct tbi_grants *l, const struct tbi_demand *d)
{
    for (unsigned i = 0; i < d->nmore; i++)
        if (d->more[i].amount > l->free[d->more[i].resource] ||
            (d->more[i].resource == TBI_GPUS && d->more[i].amount > 0 &&
             !gpus_fit(l, d->more[i].amount)))
            return false;
    return true;
}

bool tbi_grants_fits(const struct tbi_grants *l, const struct tbi_demand *d)
{
    return tbi_grants_cpus_fit(l, d->cpus) && tbi_grants_others_fit(l, d);
}

/* ---- cores ---- */

static void use_core(struct tbi_grants *l, unsigned c, int64_t amount)
{
    l->used[c] += amount;
    if (l->used[c] == 0)
        l->idle[c / 64] |= UINT64_C(1) << c % 64;
    else
        l->idle[c / 64] &= ~(UINT64_C(1) << c % 64);
}

static unsigned ncores_for(const struct tbi_grants *l, int64_t cpus)
{
    int64_t n = (cpus + UNIT - 1) / UNIT;

    return l->config.ncores == 0 ? 0 : n < l->config.ncores ? (unsigned)n : l->config.ncores;
}

static bool are_idle(const struct tbi_grants *l, const uint16_t *place, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (l->used[place[i]] != 0)
            return false;
    return true;
}

/* The fullest core that has room for the part, else the emptiest. */
static unsigned share_core(const struct tbi_grants *l, int64_t part)
{
    unsigned best = 0;

    for (unsigned c = 1; c < l->config.ncores; c++) {
        bool room = l->used[c] + part <= UNIT, had = l->used[best] + part <= UNIT;

        if (room != had ? room : room ? l->used[c] > l->used[best] : l->used[c] < l->used[best])
            best = c;
    }
    return best;
}

static void take_cores(struct tbi_grants *l, int64_t cpus, const struct tbi_grant *last,
                       struct tbi_grant *grant)
{
    unsigned n = ncores_for(l, cpus), whole = (unsigned)(cpus / UNIT), got = 0;
    unsigned picked[TBI_CPUS_MAX];

    if (whole > n)
        whole = n;
    if (whole > 0 && last != NULL && last->ncores == n && are_idle(l, last->place, whole))
        for (; got < whole; got++)
            picked[got] = last->place[got];
    else if (whole > 0 && tbi_pick_cores(l->core, l->config.ncores, l->idle, whole, picked))
        got = whole;
    for (unsigned i = 0; i < got; i++)
        use_core(l, picked[i], UNIT);
    for (; got < n; got++) { /* the fraction; or fractions of others left too few idle cores */
        picked[got] = share_core(l, part_of(cpus, got));
        use_core(l, picked[got], part_of(cpus, got));
    }
    grant->ncores = (uint16_t)n;
    for (unsigned i = 0; i < n; i++)
        grant->place[i] = (uint16_t)picked[i];
}

static void give_cores(struct tbi_grants *l, int64_t cpus, const struct tbi_grant *grant)
{
    for (unsigned i = 0; i < grant->ncores; i++)
        use_core(l, grant->place[i], -part_of(cpus, i));
}

void tbi_grants_give_cpus(struct tbi_grants *l, int64_t cpus, const struct tbi_grant *grant)
{
    l->free[TBI_CPUS] += cpus;
    give_cores(l, cpus, grant);
}

void tbi_grants_take_cpus(struct tbi_grants *l, int64_t cpus, struct tbi_grant *grant)
{
    l->free[TBI_CPUS] -= cpus;
    take_cores(l, cpus, grant, grant);
}

/* ---- GPUs ---- */

static int64_t gpus_of(const struct tbi_demand *d)
{
    for (unsigned i = 0; i < d->nmore; i++)
        if (d->more[i].resource == TBI_GPUS)
            return d->more[i].amount;
    return 0;
}

static void take_gpus(struct tbi_grants *l, int64_t amount, struct tbi_grant *grant)
{
    uint16_t *place = grant->place + grant->ncores;
    uint64_t chosen = amount > 0 ? tbi_instances_choose(l->gpu, l->ngpus, amount) : 0;

    grant->ngpus = 0;
    for (unsigned g = 0; g < l->ngpus; g++)
        if (chosen >> g & 1) {
            l->gpu[g] -= tbi_instances_each(amount);
            place[grant->ngpus++] = (uint16_t)g;
        }
}

uint64_t tbi_grant_gpus(const struct tbi_grant *grant)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < grant->ngpus; i++)
        bits |= UINT64_C(1) << grant->place[grant->ncores + i];
    return bits;
}

/* ---- all of it ---- */

void tbi_grants_take(struct tbi_grants *l, const struct tbi_demand *d,
                     const struct tbi_grant *last, struct tbi_grant *grant)
{
    int64_t gpus = gpus_of(d);
    size_t places = ncores_for(l, d->cpus) + (size_t)(gpus + UNIT - 1) / UNIT;

    grant->place = places > 0 ? tbi_alloc(places * sizeof *grant->place) : NULL;
    l->free[TBI_CPUS] -= d->cpus;
    for (unsigned i = 0; i < d->nmore; i++)
        l->free[d->more[i].resource] -= d->more[i].amount;
    take_cores(l, d->cpus, last, grant);
    take_gpus(l, gpus, grant);
}

void tbi_grants_give(struct tbi_grants *l, const struct tbi_demand *d,
                     const struct tbi_grant *grant)
{
    tbi_grants_give_cpus(l, d->cpus, grant);
    tbi_grants_give_others(l, d, grant);
}

void tbi_grants_give_others(struct tbi_grants *l, const struct tbi_demand *d,
                            const struct tbi_grant *grant)
{
    int64_t gpus = gpus_of(d);

    for (unsigned i = 0; i < d->nmore; i++)
        l->free[d->more[i].resource] += d->more[i].amount;
    for (unsigned i = 0; i < grant->ngpus; i++)
        l->gpu[grant->place[grant->ncores + i]] += tbi_instances_each(gpus);
}

const struct tbi_core *tbi_grants_core(const struct tbi_grants *l, unsigned place)
{
    return &l->core[place];
}

int64_t tbi_grants_free(const struct tbi_grants *l, unsigned resource)
{
    return l->free[resource];
}

int64_t tbi_grants_total(const struct tbi_grants *l, unsigned resource)
{
    return l->config.totals[resource];
}

bool tbi_demand_equal(const struct tbi_demand *a, const struct tbi_demand *b)
{
    if (a->cpus != b->cpus || a->nmore != b->nmore)
        return false;
    for (unsigned i = 0; i < a->nmore; i++)
        if (a->more[i].resource != b->more[i].resource || a->more[i].amount != b->more[i].amount)
            return false;
    return true;
}

const char *tbi_grants_check(const struct tbi_grants *l)
{
    int64_t used = 0, gpus = 0;

    for (unsigned r = 0; r < l->config.nresources; r++)
        if (l->free[r] < 0 || l->free[r] > l->config.totals[r])
            return "more of a resource is granted than there is, or less than nothing";
    for (unsigned c = 0; c < l->config.ncores; c++) {
        used += l->used[c];
        if (l->used[c] < 0 || (l->used[c] == 0) != (l->idle[c / 64] >> c % 64 & 1))
            return "a core is wrongly taken for idle";
    }
    if (l->config.ncores > 0 && used > l->config.totals[TBI_CPUS] - l->free[TBI_CPUS])
        return "cores are in use that no task was granted";
    for (unsigned g = 0; g < l->ngpus; g++) {
        gpus += l->gpu[g];
        if (l->gpu[g] < 0 || l->gpu[g] > UNIT)
            return "more of a GPU is granted than there is of it";
    }
    if (l->ngpus > 0 && gpus != l->free[TBI_GPUS])
        return "the GPUs' free parts do not add up";
    return NULL;
}
