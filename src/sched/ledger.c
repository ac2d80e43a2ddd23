#include "sched/ledger.h"
#include "sched/ready.h"
#include "util/alloc.h"
#include "util/instances.h"

struct place {
    unsigned host, node;
};

static int by_host(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->host != y->host)
        return x->host < y->host ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

static void find_hosts(struct tbi_nodes *nodes)
{
    struct place *place = tbi_alloc(nodes->n * sizeof *place);

    nodes->by_host = tbi_alloc(nodes->n * sizeof *nodes->by_host);
    for (unsigned i = 0; i < nodes->n; i++)
        place[i] = (struct place){nodes->node[i].host, i};
    qsort(place, nodes->n, sizeof *place, by_host);
    for (unsigned first = 0, end; first < nodes->n; first = end) {
        for (end = first; end < nodes->n && place[end].host == place[first].host; end++)
            nodes->by_host[end] = place[end].node;
        for (unsigned k = first; k < end; k++) {
            nodes->node[place[k].node].first = first;
            nodes->node[place[k].node].end = end;
        }
    }
    free(place);
}

void tbi_ledger_set_hosts(struct tbi_nodes *nodes, const unsigned *host)
{
    for (unsigned i = 0; i < nodes->n; i++)
        nodes->node[i].host = host[i];
    free(nodes->by_host);
    find_hosts(nodes);
}

static int32_t part_of_gpu(int64_t amount, unsigned g)
{
    int64_t left = amount - (int64_t)g * TBI_UNIT;

    return (int32_t)(left < TBI_UNIT ? left : TBI_UNIT);
}

void tbi_ledger_init(struct tbi_nodes *nodes, unsigned n, unsigned nresources,
                     const int64_t *totals, const unsigned *host, struct tbi_link *gainers)
{
    size_t cells = (size_t)n * nresources, gpus = 0;

    *nodes = (struct tbi_nodes){.n = n, .nresources = nresources, .mask = 63, .gainers = gainers};
    while (nodes->mask < n)
        nodes->mask = nodes->mask * 2 + 1;
    nodes->log = tbi_alloc_zeroed(nodes->mask + 1, sizeof *nodes->log);
    nodes->gained = tbi_alloc(n * sizeof *nodes->gained);
    nodes->node = tbi_alloc_zeroed(n, sizeof *nodes->node);
    nodes->total = tbi_copy(totals, cells * sizeof *totals);
    nodes->load = tbi_alloc_zeroed(cells, sizeof *nodes->load);
    nodes->lasting = tbi_alloc_zeroed(cells, sizeof *nodes->lasting);
    for (unsigned i = 0; i < n; i++) {
        struct tbi_node *node = &nodes->node[i];
        int64_t *total = nodes->total + (size_t)i * nresources;

        node->host = host != NULL ? host[i] : i;
        node->works = total[TBI_CPUS] > 0;
        if (total[TBI_GPUS] > (int64_t)TBI_GPUS_MAX * TBI_UNIT)
            total[TBI_GPUS] = (int64_t)TBI_GPUS_MAX * TBI_UNIT;
        node->ngpus = (unsigned)((total[TBI_GPUS] + TBI_UNIT - 1) / TBI_UNIT);
        gpus += node->ngpus;
        tbi_list_init(&node->owed);
        tbi_ready_line_init(&node->own, nodes, i);
        node->asked_for = TBI_ANY_NODE;
        node->closed_from = UINT64_MAX;
    }
    nodes->whole = tbi_copy(nodes->total, cells * sizeof *totals);
    tbi_list_init(&nodes->kept);
    tbi_ready_line_init(&nodes->any, nodes, TBI_ANY_NODE);
    nodes->least = tbi_alloc_zeroed(nresources, sizeof *nodes->least);
    tbi_list_init(&nodes->sent);
    find_hosts(nodes);
    nodes->gpus = tbi_alloc_zeroed(2 * gpus + 1, sizeof *nodes->gpus);
    gpus = 0;
    for (unsigned i = 0; i < n; i++) {
        struct tbi_node *node = &nodes->node[i];

        node->gpu = nodes->gpus + gpus;
        node->held = node->gpu + node->ngpus;
        gpus += 2 * (size_t)node->ngpus;
        for (unsigned g = 0; g < node->ngpus; g++)
            node->gpu[g] = part_of_gpu(tbi_ledger_total(nodes, i)[TBI_GPUS], g);
    }
}

void tbi_ledger_fini(struct tbi_nodes *nodes)
{
    tbi_ready_line_fini(&nodes->any);
    for (unsigned i = 0; i < nodes->n; i++)
        tbi_ready_line_fini(&nodes->node[i].own);
    free(nodes->least);
    free(nodes->log);
    free(nodes->gained);
    free(nodes->node);
    free(nodes->total);
    free(nodes->whole);
    free(nodes->load);
    free(nodes->lasting);
    free(nodes->gpus);
    free(nodes->by_host);
}

static void note(struct tbi_nodes *nodes, unsigned i, bool gain)
{
    struct tbi_node *node = &nodes->node[i];

    node->change = nodes->changes++;
    nodes->log[node->change & nodes->mask] = i;
    nodes->gains += gain;
    if (gain && !node->gained) {
        node->gained = true;
        nodes->gained[nodes->ngained++] = i;
        if (!tbi_list_linked(&nodes->gainer))
            tbi_list_append(nodes->gainers, &nodes->gainer);
    }
}

/* Nobody goes through the log for so many changes, see best_node in place.c. */
void tbi_ledger_note_all(struct tbi_nodes *nodes)
{
    nodes->changes += nodes->n + 1;
}

void tbi_ledger_end_pass(struct tbi_nodes *nodes)
{
    while (nodes->ngained > 0)
        nodes->node[nodes->gained[--nodes->ngained]].gained = false;
    nodes->roomless = 0;
    tbi_list_unlink(&nodes->gainer);
}

/* Tasks that a blocked one waits for are sent without bound, so that a load of bytes might grow out
 * of its type; then it is wrong for a while, and right again when they have ended. */
static void add(int64_t *load, int64_t amount)
{
    *load = (int64_t)((uint64_t)*load + (uint64_t)amount);
}

bool tbi_ledger_feasible(const struct tbi_nodes *nodes, unsigned i, const struct tbi_class *class)
{
    const int64_t *total = tbi_ledger_whole(nodes, i);

    for (unsigned p = 0; p < class->nparts; p++)
        if (total[class->part[p].resource] < class->part[p].amount ||
            total[class->part[p].resource] == 0)
            return false;
    return nodes->node[i].works;
}

/* Bits of the instances that are to be taken; 0: there are none. */
static uint64_t choose_gpus(const struct tbi_node *node, int64_t amount)
{
    return tbi_instances_choose(node->gpu, node->ngpus, amount);
}

bool tbi_ledger_has_gpus(const struct tbi_node *node, int64_t amount)
{
    return choose_gpus(node, amount) != 0;
}

/* Takes (sign -1) or gives back (1) what the task holds. */
static void move_gpus(struct tbi_node *node, const struct tbi_maker *task, int sign)
{
    int32_t each = tbi_instances_each(task->class->gpus);

    for (unsigned g = 0; g < node->ngpus; g++)
        if (task->gpus >> g & 1)
            node->gpu[g] += each * sign;
}

static bool grant_gpus(struct tbi_node *node, struct tbi_maker *task)
{
    task->gpus = choose_gpus(node, task->class->gpus);
    move_gpus(node, task, -1);
    return task->gpus != 0;
}

static void pay_owed(struct tbi_node *node)
{
    for (struct tbi_link *l = node->owed.next, *next; l != &node->owed; l = next) {
        next = l->next;
        if (grant_gpus(node, TBI_ENTRY(l, struct tbi_maker, link)))
            tbi_list_unlink(l);
    }
}

static void return_gpus(struct tbi_node *node, struct tbi_maker *task)
{
    tbi_list_unlink(&task->link);
    move_gpus(node, task, 1);
    task->gpus = 0;
    pay_owed(node);
}

/* Among what runs there and will end, or no longer. */
static void count(const struct tbi_maker *task, int sign)
{
    struct tbi_class *class = task->class;
    struct tbi_node *node = &class->nodes->node[task->place];

    *(class->light ? &node->light : &node->count) += (unsigned)sign;
    node->backlog_us += (int64_t)task->cost_us * sign;
    node->unknown += task->cost_us == 0 ? (unsigned)sign : 0;
}

static void count_sent(struct tbi_class *class, int sign)
{
    if (sign > 0 && class->sent++ == 0)
        tbi_list_append(&class->nodes->sent, &class->sending);
    else if (sign < 0 && --class->sent == 0)
        tbi_list_unlink(&class->sending);
}

/* The load of all that the task asks for, or of its CPUs alone, and the counts. */
static void move(const struct tbi_maker *task, int sign, bool only_cpus)
{
    const struct tbi_class *class = task->class;
    struct tbi_nodes *nodes = class->nodes;
    struct tbi_node *node = &nodes->node[task->place];
    int64_t *load = nodes->load + (size_t)task->place * nodes->nresources;

    for (unsigned p = 0; p < class->nparts; p++)
        if (!only_cpus || class->part[p].resource == TBI_CPUS)
            add(&load[class->part[p].resource], class->part[p].amount * sign);
    if (only_cpus && class->nparts > 0 && class->part[0].resource == TBI_CPUS)
        node->blocked -= class->part[0].amount * sign;
    count(task, sign);
    node->freed += sign < 0;
    note(nodes, task->place, sign < 0);
}

/* An actor is counted apart, if it takes no CPUs. */
static void settle(struct tbi_maker *actor, int sign)
{
    const struct tbi_class *class = actor->class;
    struct tbi_node *node = &class->nodes->node[actor->place];

    actor->settled = sign > 0;
    count(actor, -sign);
    count_sent(actor->class, -sign);
    if (class->nparts == 0 || class->part[0].resource != TBI_CPUS)
        node->actors += (unsigned)sign;
    for (unsigned p = 0; p < class->nparts; p++)
        class->nodes->lasting[(size_t)actor->place * class->nodes->nresources +
                              class->part[p].resource] += class->part[p].amount * sign;
    class->nodes->holds++;
}

void tbi_ledger_settle(struct tbi_maker *actor)
{
    settle(actor, 1);
    note(actor->class->nodes, actor->place, true);
}

void tbi_ledger_take(struct tbi_maker *task)
{
    struct tbi_class *class = task->class;
    struct tbi_node *node = &class->nodes->node[task->place];

    task->gpus = 0;
    if (class->gpus > 0 && !grant_gpus(node, task))
        tbi_list_append(&node->owed, &task->link);
    count_sent(class, 1);
    if (task->submit->strategy == TBI_SPREAD)
        node->spread_at = ++class->nodes->spreads;
    move(task, 1, false);
}

void tbi_ledger_give(struct tbi_maker *task)
{
    if (task->settled)
        settle(task, -1);
    if (task->class->gpus > 0)
        return_gpus(&task->class->nodes->node[task->place], task);
    count_sent(task->class, -1);
    move(task, -1, false);
}

void tbi_ledger_block(struct tbi_maker *task)
{
    move(task, -1, true);
}

void tbi_ledger_lend(struct tbi_maker *task, bool lent)
{
    const struct tbi_class *class = task->class;
    struct tbi_node *node = &class->nodes->node[task->place];

    node->blocked -= class->part[0].amount * (lent ? 1 : -1);
    node->freed += lent;
    task->lent = lent;
    note(class->nodes, task->place, false);
}

void tbi_ledger_unblock(struct tbi_maker *task)
{
    if (task->lent)
        tbi_ledger_lend(task, false);
    move(task, 1, true);
}

/* The bundle's GPUs, in the instances of these bits: taken (1) or given back (-1). */
static void hold_gpus(struct tbi_node *node, int64_t amount, uint64_t gpus, int sign)
{
    int32_t each = tbi_instances_each(amount) * sign;

    for (unsigned g = 0; g < node->ngpus; g++)
        if (gpus >> g & 1) {
            node->gpu[g] -= each;
            node->held[g] += each;
        }
}

uint64_t tbi_ledger_hold(struct tbi_nodes *nodes, unsigned i, const struct tbi_amount *part,
                         unsigned nparts)
{
    int64_t *total = nodes->total + (size_t)i * nodes->nresources;
    uint64_t gpus = 0;

    for (unsigned p = 0; p < nparts; p++) {
        total[part[p].resource] -= part[p].amount;
        if (part[p].resource == TBI_GPUS && part[p].amount > 0) {
            gpus = choose_gpus(&nodes->node[i], part[p].amount);
            hold_gpus(&nodes->node[i], part[p].amount, gpus, 1);
        }
    }
    nodes->holds++;
    note(nodes, i, false);
    return gpus;
}

void tbi_ledger_unhold(struct tbi_nodes *nodes, unsigned i, const struct tbi_amount *part,
                       unsigned nparts, uint64_t gpus)
{
    int64_t *total = nodes->total + (size_t)i * nodes->nresources;

    for (unsigned p = 0; p < nparts; p++) {
        total[part[p].resource] += part[p].amount;
        if (part[p].resource == TBI_GPUS)
            hold_gpus(&nodes->node[i], part[p].amount, gpus, -1);
    }
    pay_owed(&nodes->node[i]);
    nodes->holds++;
    note(nodes, i, true);
}

bool tbi_ledger_rehold(struct tbi_nodes *nodes, unsigned i, const struct tbi_amount *part, unsigned nparts,
                       uint64_t *gpus, uint64_t chosen)
{
    struct tbi_node *node = &nodes->node[i];

    for (unsigned p = 0; p < nparts && chosen != *gpus; p++) {
        if (part[p].resource != TBI_GPUS)
            continue;
        if (!tbi_instances_are(chosen, node->ngpus, part[p].amount))
            return false;
        hold_gpus(node, part[p].amount, *gpus, -1);
        hold_gpus(node, part[p].amount, chosen, 1);
        *gpus = chosen;
        pay_owed(node);
        note(nodes, i, true);
    }
    return chosen == *gpus;
}

bool tbi_ledger_regrant(struct tbi_maker *task, uint64_t chosen)
{
    struct tbi_node *node = &task->class->nodes->node[task->place];

    if (!tbi_instances_are(chosen, node->ngpus, task->class->gpus))
        return false;
    tbi_list_unlink(&task->link); /* it may have been owed them */
    move_gpus(node, task, 1);
    task->gpus = chosen;
    move_gpus(node, task, -1);
    pay_owed(node);
    note(task->class->nodes, task->place, true);
    return true;
}

void tbi_ledger_keep(struct tbi_nodes *nodes, unsigned i, const void *owner)
{
    nodes->node[i].kept_for = owner;
    tbi_list_append(&nodes->kept, &nodes->node[i].keeping);
    note(nodes, i, false);
}

void tbi_ledger_unkeep(struct tbi_nodes *nodes, unsigned i)
{
    nodes->node[i].kept_for = nodes->node[i].kept_class = NULL;
    tbi_list_unlink(&nodes->node[i].keeping);
    note(nodes, i, true);
}

void tbi_ledger_close(struct tbi_nodes *nodes, unsigned i, uint64_t seq)
{
    nodes->node[i].closed_from = seq;
    note(nodes, i, seq == UINT64_MAX);
}

const char *tbi_ledger_check(const struct tbi_nodes *nodes)
{
    for (unsigned i = 0; i < nodes->n; i++) {
        const struct tbi_node *node = &nodes->node[i];
        int64_t granted = tbi_ledger_total(nodes, i)[TBI_GPUS], owed = 0;

        for (unsigned r = 0; r < nodes->nresources; r++)
            if (tbi_ledger_total(nodes, i)[r] < 0 ||
                tbi_ledger_total(nodes, i)[r] > tbi_ledger_whole(nodes, i)[r])
                return "bundles hold more of a node than there is, or less than nothing";
        if ((node->kept_for != NULL) != tbi_list_linked(&node->keeping))
            return "a node is kept for nobody, or nobody knows that it is";
        for (unsigned g = 0; g < node->ngpus; g++) {
            if (node->held[g] < 0 || node->gpu[g] + node->held[g] > TBI_UNIT)
                return "more of a GPU is granted than there is, or less than nothing";
            granted -= node->gpu[g];
        }
        for (const struct tbi_link *l = node->owed.next; l != &node->owed; l = l->next) {
            const struct tbi_maker *task = TBI_ENTRY(l, struct tbi_maker, link);

            if (task->gpus != 0 || choose_gpus(node, task->class->gpus) != 0)
                return "a task waits for GPUs that it has, or that are free";
            owed += task->class->gpus;
        }
        if (granted + owed != tbi_ledger_load(nodes, i)[TBI_GPUS])
            return "the GPUs granted and owed are not those that the tasks ask for";
    }
    return NULL;
}
