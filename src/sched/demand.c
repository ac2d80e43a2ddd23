#include "sched/demand.h"
#include "sched/ledger.h"
#include "sched/place.h"
#include "sched/ready.h"
#include "util/alloc.h"

enum { IDLE_MAX = 64 }; /* classes kept without tasks */

void tbi_demands_init(struct tbi_demands *demands)
{
    *demands = (struct tbi_demands){.mask = 63};
    demands->bucket = tbi_alloc_zeroed(demands->mask + 1, sizeof *demands->bucket);
    tbi_list_init(&demands->idle);
}

static void destroy(struct tbi_class *class)
{
    tbi_ready_forget(class);
    tbi_place_forget(class);
    free(class);
}

void tbi_demands_fini(struct tbi_demands *demands)
{
    for (size_t b = 0; b <= demands->mask; b++)
        for (struct tbi_class *class = demands->bucket[b], *next; class != NULL; class = next) {
            next = class->chain;
            destroy(class);
        }
    free(demands->bucket);
}

const char *tbi_demand_check(int32_t cpus, const struct tbi_amount *more, unsigned nmore,
                             unsigned nresources)
{
    uint32_t least = TBI_CPUS + 1;

    if (cpus < 0)
        return "a negative demand";
    for (unsigned i = 0; i < nmore; i++) {
        if (more[i].resource < least || more[i].resource >= nresources)
            return "resources that are unknown or not in order";
        if (more[i].amount < 0)
            return "a negative demand";
        if (more[i].amount == 0 && more[i].resource < TBI_CUSTOM)
            return "a demand of none of a resource that every node counts";
        least = more[i].resource + 1;
    }
    return NULL;
}

/* FNV-1a by words, then mixed as in tbi_id_hash. */
static uint64_t hash(const struct msg_submit *m, const struct tbi_nodes *nodes, unsigned node)
{
    const struct tbi_amount *more = tbi_submit_more(m);
    uint64_t h = UINT64_C(14695981039346656037);

    h = (h ^ (uint64_t)m->cpus) * UINT64_C(1099511628211);
    h = (h ^ node) * UINT64_C(1099511628211);
    h = (h ^ nodes->number) * UINT64_C(1099511628211);
    for (unsigned i = 0; i < m->nmore; i++) {
        h = (h ^ more[i].resource) * UINT64_C(1099511628211);
        h = (h ^ (uint64_t)more[i].amount) * UINT64_C(1099511628211);
    }
    return tbi_id_hash((struct tbi_id){h, 0});
}

static bool same(const struct tbi_class *class, const struct msg_submit *m,
                 const struct tbi_nodes *nodes, unsigned node)
{
    const struct tbi_amount *more = tbi_submit_more(m);
    const struct tbi_amount *part = class->part;
    unsigned cpus = m->cpus > 0;

    if (class->nodes != nodes || class->node != node || class->nparts != cpus + m->nmore ||
        (cpus && (part->resource != TBI_CPUS || part->amount != m->cpus)))
        return false;
    part += cpus;
    for (unsigned i = 0; i < m->nmore; i++)
        if (part[i].resource != more[i].resource || part[i].amount != more[i].amount)
            return false;
    return true;
}

static void grow(struct tbi_demands *demands)
{
    struct tbi_class **old = demands->bucket;
    size_t n = demands->mask + 1;

    demands->mask = n * 2 - 1;
    demands->bucket = tbi_alloc_zeroed(n * 2, sizeof *demands->bucket);
    for (size_t b = 0; b < n; b++)
        for (struct tbi_class *class = old[b], *next; class != NULL; class = next) {
            struct tbi_class **to = &demands->bucket[class->hash & demands->mask];

            next = class->chain;
            class->chain = *to;
            *to = class;
        }
    free(old);
}

static struct tbi_class *create(struct tbi_nodes *nodes, struct tbi_group *group, unsigned node,
                                const struct msg_submit *m)
{
    const struct tbi_amount *more = tbi_submit_more(m);
    struct tbi_class *class =
        tbi_alloc_zeroed(1, sizeof *class + (m->nmore + 1u) * sizeof *class->part);

    class->nodes = nodes;
    class->group = group;
    class->node = node;
    class->kept = TBI_ANY_NODE;
    class->light = m->cpus == 0;
    if (m->cpus > 0)
        class->part[class->nparts++] = (struct tbi_amount){.resource = TBI_CPUS, .amount = m->cpus};
    for (unsigned i = 0; i < m->nmore; i++) {
        class->part[class->nparts++] =
            (struct tbi_amount){.resource = more[i].resource, .amount = more[i].amount};
        class->light &= more[i].amount == 0;
        if (more[i].resource == TBI_GPUS)
            class->gpus = more[i].amount;
    }
    if (node != TBI_ANY_NODE)
        class->feasible = node < nodes->n && tbi_ledger_feasible(nodes, node, class);
    for (unsigned i = 0; node == TBI_ANY_NODE && i < nodes->n && !class->feasible; i++)
        class->feasible = tbi_ledger_feasible(nodes, i, class);
    class->feasible &= class->gpus <= TBI_UNIT || class->gpus % TBI_UNIT == 0;
    return class;
}

struct tbi_class *tbi_demands_use(struct tbi_demands *demands, struct tbi_nodes *nodes,
                                  struct tbi_group *group, unsigned node,
                                  const struct msg_submit *m)
{
    struct tbi_class *class = demands->last;
    uint64_t h;

    if (class != NULL && class->users > 0 && same(class, m, nodes, node)) {
        class->users++;
        return class;
    }
    h = hash(m, nodes, node);
    class = demands->bucket[h & demands->mask];
    while (class != NULL && (class->hash != h || !same(class, m, nodes, node)))
        class = class->chain;
    if (class == NULL) {
        if (demands->count > demands->mask)
            grow(demands);
        class = create(nodes, group, node, m);
        class->hash = h;
        class->chain = demands->bucket[h & demands->mask];
        demands->bucket[h & demands->mask] = class;
        demands->count++;
    } else if (class->users == 0) {
        tbi_list_unlink(&class->idle);
        demands->nidle--;
    }
    class->users++;
    demands->last = class;
    return class;
}

/* It has no users. */
static void forget(struct tbi_demands *demands, struct tbi_class *class)
{
    struct tbi_class **at;

    tbi_list_unlink(&class->idle);
    demands->nidle--;
    demands->count--;
    for (at = &demands->bucket[class->hash & demands->mask]; *at != class;)
        at = &(*at)->chain;
    *at = class->chain;
    if (demands->last == class)
        demands->last = NULL;
    destroy(class);
}

void tbi_demands_drop(struct tbi_demands *demands, struct tbi_class *class)
{
    if (--class->users > 0)
        return;
    tbi_list_append(&demands->idle, &class->idle);
    if (++demands->nidle > IDLE_MAX)
        forget(demands, TBI_ENTRY(demands->idle.next, struct tbi_class, idle));
}

void tbi_demands_forget(struct tbi_demands *demands, const struct tbi_group *group)
{
    for (struct tbi_link *l = demands->idle.next, *next; l != &demands->idle; l = next) {
        struct tbi_class *class = TBI_ENTRY(l, struct tbi_class, idle);

        next = l->next;
        if (class->group == group)
            forget(demands, class);
    }
}

const char *tbi_resource_name(char *room, size_t size, unsigned resource,
                              const char *const *names)
{
    static const char *const fixed[TBI_CUSTOM] = {"CPUs", "GPUs", "memory"};

    if (resource < TBI_CUSTOM)
        return fixed[resource];
    if (names != NULL)
        return names[resource];
    snprintf(room, size, "resource %u", resource);
    return room;
}

static int part_words(char *to, size_t size, const struct tbi_amount *part, const char *zero,
                      const char *const *names)
{
    static const char *const byte_unit[] = {"B", "KiB", "MiB", "GiB"};
    double amount = (double)part->amount / TBI_UNIT;
    char room[32];
    const char *name = tbi_resource_name(room, sizeof room, part->resource, names);
    unsigned u = 0;

    if (part->amount == 0)
        return snprintf(to, size, "%s %s", zero, name);
    if (part->resource == TBI_MEMORY) {
        for (; amount >= 1024 && u < 3; u++)
            amount /= 1024;
        return snprintf(to, size, "%.6g %s of memory", amount, byte_unit[u]);
    }
    if (part->amount == TBI_UNIT && part->resource < TBI_CUSTOM)
        return snprintf(to, size, "1 %.3s", name); /* one CPU */
    return snprintf(to, size, "%.10g %s", amount, name);
}

const char *tbi_amount_words(char *to, size_t size, const struct tbi_amount *part, unsigned nparts,
                             const char *zero, const char *const *names)
{
    size_t len = 0;

    snprintf(to, size, "nothing");
    for (unsigned i = 0; i < nparts && len < size; i++) {
        if (i > 0)
            len += (size_t)snprintf(to + len, size - len, ", ");
        if (len < size)
            len += (size_t)part_words(to + len, size - len, &part[i], zero, names);
    }
    return to;
}
