#include "sched/place.h"

enum {
    LARGE_BYTES = 64 * 1024, /* below this, moving an argument costs less than waiting */
    ZERO_DEMAND_SLOTS = 64   /* tasks of no demand always fit; this many at a time will do */
};

void tbi_node_take(struct tbi_node *node, int32_t cpus)
{
    node->load += cpus;
    node->count++;
}

void tbi_node_give(struct tbi_node *node, int32_t cpus)
{
    node->load -= cpus;
    node->count--;
}

static unsigned slots(const struct tbi_node *node, int32_t cpus)
{
    return cpus > 0 ? (unsigned)(node->cpus / cpus) : ZERO_DEMAND_SLOTS;
}

/* How good a node is: larger is better, compared field by field. */
struct score {
    int at_once;      /* 1: fits what is free */
    uint64_t local;   /* large argument bytes on the host */
    int packs;        /* 1: stays within half of the node */
    double fill;      /* packs: fuller is better; else emptier is, so negative */
};

static bool better(struct score a, struct score b)
{
    if (a.at_once != b.at_once)
        return a.at_once > b.at_once;
    if (a.local != b.local)
        return a.local > b.local;
    if (a.packs != b.packs)
        return a.packs > b.packs;
    return a.fill > b.fill;
}

static struct score rate(const struct tbi_node *node, int32_t cpus)
{
    struct score s = {0};
    int64_t after = node->load + cpus;

    s.at_once = after <= node->cpus;
    s.local = node->local_bytes >= LARGE_BYTES ? node->local_bytes : 0;
    if (!s.at_once) {
        s.local = 0;    /* the queue's length decides: locality must not starve idle nodes */
        s.fill = -(double)node->count / node->cpus;
    } else if (after * 2 <= node->cpus) {
        s.packs = 1;
        s.fill = (double)node->load / node->cpus;
    } else {
        s.fill = -(double)node->load / node->cpus;
    }
    return s;
}

int tbi_place(const struct tbi_nodes *nodes, int32_t cpus, bool bypass)
{
    struct score best = {0};
    int chosen = -1;

    for (unsigned i = 0; i < nodes->n; i++) {
        const struct tbi_node *node = &nodes->node[i];
        struct score s;

        if (node->cpus == 0 || cpus > node->cpus)
            continue;
        if (!bypass && (node->count >= slots(node, cpus) + nodes->ahead ||
                        (node->reserved && node->reserved_cpus != cpus)))
            continue;
        s = rate(node, cpus);
        if (chosen < 0 || better(s, best)) {
            best = s;
            chosen = (int)i;
        }
    }
    return chosen;
}

unsigned tbi_place_largest(const struct tbi_nodes *nodes)
{
    unsigned best = 0;

    for (unsigned i = 1; i < nodes->n; i++)
        if (nodes->node[i].cpus > nodes->node[best].cpus)
            best = i;
    return best;
}
