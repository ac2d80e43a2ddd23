#include "sched/takeback.h"
#include "sched/failure.h"
#include "sched/retry.h"

#include <string.h>

enum {
    MOST = 64,      /* tasks that are asked for at a time */
    QUESTIONS = 2,  /* nodes that are asked in turn, when they have nothing */
    WORTH_US = 200, /* what is through sooner had better stay */
    NODE_BITS = 20
};

/* How much waits at a node: larger is more, 0 is nothing that is worth it. Above NODE_BITS, where
 * the node is: 24 bits of the load, and above them 20 of the time until it is through, in 16 us. */
static uint64_t rate(const struct tbi_nodes *nodes, unsigned i)
{
    const int64_t *total = tbi_ledger_total(nodes, i), *load = tbi_ledger_load(nodes, i);
    const struct tbi_node *node = &nodes->node[i];
    double over = 0;
    uint64_t us;

    if (!node->works || node->asked_for != TBI_ANY_NODE)
        return 0;
    for (unsigned r = 0; r < nodes->nresources; r++)
        if (total[r] > 0 && load[r] > total[r]) {
            double share = (double)(load[r] - total[r]) / (double)total[r];

            over = share > over ? share : over;
        }
    us = (uint64_t)node->backlog_us * TBI_UNIT /
         (uint64_t)(total[TBI_CPUS] > 0 ? total[TBI_CPUS] : TBI_UNIT);
    if (over == 0 || (us < WORTH_US && node->unknown == 0))
        return 0;
    us = us / 16 < 0xfffff ? us / 16 : 0xfffff;
    over = over < 0xffff ? over * 256 + 1 : 0xffffff;
    return us << (24 + NODE_BITS) | (uint64_t)over << NODE_BITS | i;
}

/* The node with the most to give, or TBI_ANY_NODE. */
static unsigned most_loaded(struct tbi_sched *sched)
{
    struct tbi_nodes *nodes = &sched->nodes;
    struct tbi_tournament *t = &sched->loaded;
    uint64_t best;

    if (nodes->changes - sched->loaded_seen > nodes->n) {
        for (unsigned i = 0; i < nodes->n; i++)
            t->level[0][i] = rate(nodes, i);
        tbi_tournament_play(t);
    } else {
        for (uint64_t k = sched->loaded_seen; k < nodes->changes; k++) {
            unsigned i = nodes->log[k & nodes->mask];

            tbi_tournament_set(t, i, rate(nodes, i));
        }
    }
    sched->loaded_seen = nodes->changes;
    best = tbi_tournament_best(t);
    return best == 0 ? TBI_ANY_NODE : (unsigned)(best & ((1u << NODE_BITS) - 1));
}

static bool has_cpus(const struct tbi_nodes *nodes, unsigned i)
{
    return nodes->node[i].kept_for == NULL &&
           tbi_ledger_load(nodes, i)[TBI_CPUS] < tbi_ledger_total(nodes, i)[TBI_CPUS];
}

/* Has it room for tasks like some that nodes have? */
static bool has_room(struct tbi_nodes *nodes, unsigned i)
{
    for (struct tbi_link *l = nodes->sent.next; l != &nodes->sent; l = l->next) {
        struct tbi_class *class = TBI_ENTRY(l, struct tbi_class, sending);

        if (class->node == TBI_ANY_NODE && tbi_place_fits(nodes, i, class))
            return true;
    }
    return false;
}

static void ask(struct tbi_sched *sched, unsigned loaded, unsigned hungry)
{
    struct tbi_nodes *nodes = &sched->nodes;
    const int64_t *total = tbi_ledger_total(nodes, hungry), *load = tbi_ledger_load(nodes, hungry);
    struct tbi_amount part[TBI_RESOURCES_MAX];
    struct msg_take_back *m;
    unsigned n = 0;

    for (unsigned r = 0; r < nodes->nresources; r++)
        if (total[r] > 0 && load[r] <= total[r])
            part[n++] = (struct tbi_amount){.resource = r, .amount = total[r] - load[r]};
    m = sched->port.send(sched->port.ctx, loaded, TBI_MSG_TAKE_BACK, TBI_PROC_NONE,
                         sizeof *m + n * sizeof *part);
    *m = (struct msg_take_back){MOST, n};
    memcpy(m + 1, part, n * sizeof *part);
    nodes->node[loaded].asked_for = hungry;
    sched->asked++;
    /* Until its answer, or, when that is "nothing", until something changes there. */
    tbi_tournament_set(&sched->loaded, loaded, 0);
}

static void note_hungry(struct tbi_sched *sched)
{
    struct tbi_nodes *nodes = &sched->nodes;

    for (unsigned k = 0; k < nodes->ngained; k++) {
        struct tbi_node *node = &nodes->node[nodes->gained[k]];

        if (!has_cpus(nodes, nodes->gained[k]))
            continue;
        node->questions = 0;
        if (!tbi_list_linked(&node->hungry))
            tbi_list_append(&sched->hungry, &node->hungry);
    }
}

void tbi_takeback_ask(struct tbi_sched *sched)
{
    struct tbi_nodes *nodes = &sched->nodes;

    note_hungry(sched);
    while (!tbi_list_empty(&sched->hungry)) {
        struct tbi_node *node = TBI_ENTRY(sched->hungry.next, struct tbi_node, hungry);
        unsigned hungry = (unsigned)(node - nodes->node), loaded = most_loaded(sched);

        if (loaded == TBI_ANY_NODE && sched->asked > 0)
            return; /* who was asked may have more than for one */
        tbi_list_unlink(&node->hungry);
        if (loaded != TBI_ANY_NODE && loaded != hungry && has_cpus(nodes, hungry) &&
            has_room(nodes, hungry))
            ask(sched, loaded, hungry);
    }
}

static bool is_there(const struct tbi_sched *sched, unsigned rank, const struct msg_task *m)
{
    const struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->task);

    return task != NULL && task->state == TBI_DISPATCHED && tbi_retry_runs(task, rank, m->attempt);
}

const char *tbi_takeback_answer(struct tbi_sched *sched, unsigned rank, const struct msg_taken *m)
{
    const struct msg_task *taken = (const struct msg_task *)(m + 1);
    struct tbi_node *node = &sched->nodes.node[rank], *hungry;

    if (!m->unasked && node->asked_for == TBI_ANY_NODE)
        return "TAKEN, and nobody asked";
    for (unsigned i = 0; i < m->ntasks; i++)
        if (!is_there(sched, rank, &taken[i]))
            return "TAKEN of a task that does not wait there";
    hungry = &sched->nodes.node[m->unasked ? rank : node->asked_for];
    if (!m->unasked) {
        node->asked_for = TBI_ANY_NODE;
        sched->asked--;
    }
    for (unsigned i = 0; i < m->ntasks; i++) {
        struct tbi_maker *task = tbi_directory_maker(&sched->dir, taken[i].task);

        if (!is_there(sched, rank, &taken[i]))
            continue; /* it is in the list twice */
        tbi_ledger_give(task);
        task->takebacks += !m->unasked && task->takebacks < UINT8_MAX;
        if (task->aborted)
            tbi_sched_conclude(sched, task);
        else if (task->is_actor && tbi_actors_find(sched, task->id)->retired) /* its RETIRE came too late */
            tbi_sched_fail(sched, task, tbi_failure_died(sched, task->submit, NULL, false, TBI_BY_KILL));
        else
            tbi_sched_queue(sched, task);
    }
    if (!m->unasked && m->ntasks == 0 && ++hungry->questions < QUESTIONS && !tbi_list_linked(&hungry->hungry))
        tbi_list_append(&sched->hungry, &hungry->hungry);
    return NULL;
}
