#include "sched/closing.h"
#include "sched/graph.h"
#include "util/alloc.h"

enum {
    PATIENCE_US = 1000000,
    DOUBLINGS = 12 /* of it, at most */
};

static void set_deadline(struct tbi_sched *sched)
{
    unsigned n = sched->closing.class->closings;

    sched->closing.until_us = sched->now_us + ((uint64_t)PATIENCE_US << (n < DOUBLINGS ? n : DOUBLINGS));
}

/* left[node * nresources + resource]: what nodes will have when all bundles are gone that passed the class. */
static int64_t *what_will_be_left(const struct tbi_sched *sched, const struct tbi_class *class)
{
    const struct tbi_nodes *nodes = &sched->nodes;
    size_t cells = (size_t)nodes->n * nodes->nresources;
    int64_t *left = tbi_copy(nodes->whole, cells * sizeof *left);

    for (size_t k = 0; k < cells; k++)
        left[k] -= nodes->lasting[k];
    for (const struct tbi_link *l = sched->groups.all.next; l != &sched->groups.all; l = l->next) {
        const struct tbi_group *group = TBI_ENTRY(l, struct tbi_group, all);

        if (group->removed || group->seq >= class->overtaken_by)
            continue;
        for (unsigned b = 0; b < group->n; b++)
            for (unsigned p = 0; group->bundle[b].state != TBI_BUNDLE_IDLE && p < group->bundle[b].nparts; p++)
                left[(size_t)group->bundle[b].node * nodes->nresources + group->bundle[b].part[p].resource] -=
                    group->bundle[b].part[p].amount;
    }
    return left;
}

/* How much bundles have to give back at the node, as a share of what the class asks for; negative: it will not do. */
static double what_is_missing(const struct tbi_nodes *nodes, const struct tbi_class *class, unsigned i,
                              const int64_t *left)
{
    const int64_t *whole = tbi_ledger_whole(nodes, i), *total = tbi_ledger_total(nodes, i);
    const int64_t *lasting = tbi_ledger_lasting(nodes, i);
    double missing = 0;

    if (!nodes->node[i].works || nodes->node[i].kept_for != NULL || (class->node != TBI_ANY_NODE && class->node != i))
        return -1;
    for (unsigned p = 0; p < class->nparts; p++) {
        unsigned r = class->part[p].resource;
        int64_t amount = class->part[p].amount, there = total[r] - lasting[r];

        if (whole[r] == 0 || left[r] < amount)
            return -1;
        if (there < amount)
            missing += (double)(amount - there) / (double)amount;
    }
    return missing;
}

void tbi_closing_begin(struct tbi_sched *sched, struct tbi_class *class)
{
    const struct tbi_nodes *nodes = &sched->nodes;
    unsigned best = TBI_ANY_NODE;
    double least = 0;
    int64_t *left;

    if (sched->closing.class != NULL || class->nodes != nodes || class->closed_at == nodes->holds)
        return;
    class->closed_at = nodes->holds; /* as long as they are the same, so is the answer */
    left = what_will_be_left(sched, class);
    for (unsigned i = 0; i < nodes->n; i++) {
        double missing = what_is_missing(nodes, class, i, left + (size_t)i * nodes->nresources);

        if (missing > 0 && (best == TBI_ANY_NODE || missing < least)) {
            best = i;
            least = missing;
        }
    }
    free(left);
    if (best == TBI_ANY_NODE)
        return;
    sched->closing.class = class;
    sched->closing.node = best;
    sched->closing.number++;
    set_deadline(sched);
    tbi_ledger_close(&sched->nodes, best, class->overtaken_by);
}

static void end(struct tbi_sched *sched)
{
    tbi_ledger_close(&sched->nodes, sched->closing.node, UINT64_MAX);
    sched->closing.class = NULL;
}

void tbi_closing_end(struct tbi_sched *sched, const struct tbi_class *class)
{
    if (class != NULL && sched->closing.class == class)
        end(sched);
}

void tbi_closing_note_returned(struct tbi_sched *sched, unsigned node)
{
    if (sched->closing.class != NULL && sched->closing.node == node)
        set_deadline(sched);
}

void tbi_closing_tick(struct tbi_sched *sched)
{
    struct tbi_class *class = sched->closing.class;

    if (class == NULL || sched->closing.until_us > sched->now_us)
        return;
    class->closings++;
    class->closed_at = UINT64_MAX;
    tbi_ready_forgive(class);
    end(sched);
}

uint64_t tbi_closing_deadline(const struct tbi_sched *sched)
{
    return sched->closing.class != NULL ? sched->closing.until_us : UINT64_MAX;
}

const char *tbi_closing_check(const struct tbi_sched *sched)
{
    const struct tbi_closing *closing = &sched->closing;

    for (unsigned i = 0; i < sched->nodes.n; i++)
        if ((sched->nodes.node[i].closed_from != UINT64_MAX) != (closing->class != NULL && closing->node == i))
            return "a node is closed to groups for nobody, or is not for whom it should be";
    if (closing->class != NULL && closing->class->users == 0)
        return "a node is closed to groups for tasks that there are not";
    return NULL;
}
