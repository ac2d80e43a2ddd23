#include "sched/ledger.h"
#include "sched/directory.h"
#include "util/alloc.h"

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

void tbi_ledger_init(struct tbi_nodes *nodes, unsigned n, unsigned nresources,
                     const int64_t *totals, const unsigned *host)
{
    size_t cells = (size_t)n * nresources, gpus = 0;

    *nodes = (struct tbi_nodes){.n = n, .nresources = nresources, .mask = 63};
    while (nodes->mask < n)
        nodes->mask = nodes->mask * 2 + 1;
    nodes->log = tbi_alloc_zeroed(nodes->mask + 1, sizeof *nodes->log);
    nodes->gained = tbi_alloc(n * sizeof *nodes->gained);
    nodes->node = tbi_alloc_zeroed(n, sizeof *nodes->node);
    nodes->total = tbi_copy(totals, cells * sizeof *totals);
    nodes->load = tbi_alloc_zeroed(cells, sizeof *nodes->load);
    for (unsigned i = 0; i < n; i++) {
        struct tbi_node *node = &nodes->node[i];
        int64_t *total = nodes->total + (size_t)i * nresources;

        node->host = host[i];
        node->works = total[TBI_CPUS] > 0;
        node->ngpus = (unsigned)(total[TBI_GPUS] / TBI_UNIT);
        if (node->ngpus > TBI_GPUS_MAX)
            node->ngpus = TBI_GPUS_MAX;
        total[TBI_GPUS] = (int64_t)node->ngpus * TBI_UNIT;
        gpus += node->ngpus;
        tbi_list_init(&node->owed);
        tbi_list_init(&node->own);
        node->asked_for = TBI_ANY_NODE;
    }
    tbi_list_init(&nodes->keepers);
    tbi_list_init(&nodes->sent);
    find_hosts(nodes);
    nodes->gpus = tbi_alloc(gpus * sizeof *nodes->gpus);
    for (size_t g = 0; g < gpus; g++)
        nodes->gpus[g] = TBI_UNIT;
    gpus = 0;
    for (unsigned i = 0; i < n; i++) {
        nodes->node[i].gpu = nodes->gpus + gpus;
        gpus += nodes->node[i].ngpus;
    }
}

void tbi_ledger_fini(struct tbi_nodes *nodes)
{
    free(nodes->log);
    free(nodes->gained);
    free(nodes->node);
    free(nodes->total);
    free(nodes->load);
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
    }
}

void tbi_ledger_end_pass(struct tbi_nodes *nodes)
{
    while (nodes->ngained > 0)
        nodes->node[nodes->gained[--nodes->ngained]].gained = false;
}

/* Tasks that a blocked one waits for are sent without bound, so that a load of bytes might grow out
 * of its type; then it is wrong for a while, and right again when they have ended. */
static void add(int64_t *load, int64_t amount)
{
    *load = (int64_t)((uint64_t)*load + (uint64_t)amount);
}

bool tbi_ledger_feasible(const struct tbi_nodes *nodes, unsigned i, const struct tbi_class *class)
{
    const int64_t *total = tbi_ledger_total(nodes, i);

    for (unsigned p = 0; p < class->nparts; p++)
        if (total[class->part[p].resource] < class->part[p].amount ||
            total[class->part[p].resource] == 0)
            return false;
    return nodes->node[i].works;
}

/* Bits of the instances that are to be taken; 0: there are none. */
static uint64_t choose_gpus(const struct tbi_node *node, int64_t amount)
{
    uint64_t chosen = 0;
    int32_t least = INT32_MAX;

    if (amount < TBI_UNIT) {
        for (unsigned g = 0; g < node->ngpus; g++)
            if (node->gpu[g] >= amount && node->gpu[g] < least) {
                least = node->gpu[g];
                chosen = UINT64_C(1) << g;
            }
        return chosen;
    }
    for (unsigned g = 0; g < node->ngpus && amount > 0; g++)
        if (node->gpu[g] == TBI_UNIT) {
            chosen |= UINT64_C(1) << g;
            amount -= TBI_UNIT;
        }
    return amount > 0 ? 0 : chosen;
}

bool tbi_ledger_has_gpus(const struct tbi_node *node, int64_t amount)
{
    return choose_gpus(node, amount) != 0;
}

/* Takes (sign -1) or gives back (1) what the task holds. */
static void move_gpus(struct tbi_node *node, const struct tbi_maker *task, int sign)
{
    int64_t each = task->class->gpus < TBI_UNIT ? task->class->gpus : TBI_UNIT;

    for (unsigned g = 0; g < node->ngpus; g++)
        if (task->gpus >> g & 1)
            node->gpu[g] += (int32_t)each * sign;
}

static bool grant_gpus(struct tbi_node *node, struct tbi_maker *task)
{
    task->gpus = choose_gpus(node, task->class->gpus);
    move_gpus(node, task, -1);
    return task->gpus != 0;
}

static void return_gpus(struct tbi_node *node, struct tbi_maker *task)
{
    tbi_list_unlink(&task->link);
    move_gpus(node, task, 1);
    task->gpus = 0;
    for (struct tbi_link *l = node->owed.next, *next; l != &node->owed; l = next) {
        next = l->next;
        if (grant_gpus(node, TBI_ENTRY(l, struct tbi_maker, link)))
            tbi_list_unlink(l);
    }
}

/* The load of all that the task asks for, or of its CPUs alone, and the counts. */
static void move(struct tbi_nodes *nodes, unsigned i, const struct tbi_maker *task, int sign,
                 bool only_cpus)
{
    struct tbi_node *node = &nodes->node[i];
    int64_t *load = nodes->load + (size_t)i * nodes->nresources;
    const struct tbi_class *class = task->class;

    for (unsigned p = 0; p < class->nparts; p++)
        if (!only_cpus || class->part[p].resource == TBI_CPUS)
            add(&load[class->part[p].resource], class->part[p].amount * sign);
    *(class->light ? &node->light : &node->count) += (unsigned)sign;
    node->backlog_us += (int64_t)task->cost_us * sign;
    node->unknown += task->cost_us == 0 ? (unsigned)sign : 0;
    note(nodes, i, sign < 0);
}

void tbi_ledger_take(struct tbi_nodes *nodes, unsigned i, struct tbi_maker *task)
{
    task->gpus = 0;
    if (task->class->gpus > 0 && !grant_gpus(&nodes->node[i], task))
        tbi_list_append(&nodes->node[i].owed, &task->link);
    if (task->class->sent++ == 0)
        tbi_list_append(&nodes->sent, &task->class->sending);
    move(nodes, i, task, 1, false);
}

void tbi_ledger_give(struct tbi_nodes *nodes, unsigned i, struct tbi_maker *task)
{
    if (task->class->gpus > 0)
        return_gpus(&nodes->node[i], task);
    if (--task->class->sent == 0)
        tbi_list_unlink(&task->class->sending);
    move(nodes, i, task, -1, false);
}

void tbi_ledger_block(struct tbi_nodes *nodes, unsigned i, struct tbi_maker *task)
{
    move(nodes, i, task, -1, true);
}

void tbi_ledger_unblock(struct tbi_nodes *nodes, unsigned i, struct tbi_maker *task)
{
    move(nodes, i, task, 1, true);
}

void tbi_ledger_keep(struct tbi_nodes *nodes, unsigned i, struct tbi_class *class)
{
    nodes->node[i].kept_for = class;
    class->kept = i;
    tbi_list_append(&nodes->keepers, &class->keeping);
    note(nodes, i, false);
}

void tbi_ledger_unkeep(struct tbi_nodes *nodes, struct tbi_class *class)
{
    if (class->kept == TBI_ANY_NODE)
        return;
    nodes->node[class->kept].kept_for = NULL;
    note(nodes, class->kept, true);
    class->kept = TBI_ANY_NODE;
    tbi_list_unlink(&class->keeping);
}

const char *tbi_ledger_check(const struct tbi_nodes *nodes)
{
    for (unsigned i = 0; i < nodes->n; i++) {
        const struct tbi_node *node = &nodes->node[i];
        int64_t granted = 0, owed = 0;

        if (node->kept_for != NULL && node->kept_for->kept != i)
            return "a node is kept for a class that does not know it";
        for (unsigned g = 0; g < node->ngpus; g++) {
            if (node->gpu[g] < 0 || node->gpu[g] > TBI_UNIT)
                return "more of a GPU is granted than there is, or less than nothing";
            granted += TBI_UNIT - node->gpu[g];
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
