#include "sched/groups.h"
#include "api/value.h"
#include "sched/failure.h"
#include "sched/fit.h"
#include "sched/graph.h"
#include "sched/lenders.h"
#include "sched/retry.h"
#include "util/alloc.h"

enum {
    BUNDLES_MAX = 65534, /* their numbers are an id's index */
    TRIED_MAX = 16       /* groups that are tried in a pass, from the front */
};

void tbi_groups_init(struct tbi_groups *groups)
{
    *groups = (struct tbi_groups){0};
    tbi_list_init(&groups->all);
    tbi_list_init(&groups->waiting);
    tbi_list_init(&groups->wanted);
}

static void stop_waiting(struct tbi_group *group)
{
    tbi_list_unlink(&group->waiting);
    tbi_list_unlink(&group->wanting);
}

static void destroy(struct tbi_groups *groups, struct tbi_group *group)
{
    tbi_map_take(&groups->by_id, group->id);
    tbi_list_unlink(&group->all);
    stop_waiting(group);
    tbi_ledger_fini(&group->nodes);
    free(group->plan);
    free(group->refusal);
    free(group->kept);
    free(group->amounts);
    free(group);
}

void tbi_groups_fini(struct tbi_groups *groups)
{
    while (!tbi_list_empty(&groups->all))
        destroy(groups, TBI_ENTRY(groups->all.next, struct tbi_group, all));
    tbi_map_fini(&groups->by_id);
}

struct tbi_group *tbi_groups_find(const struct tbi_groups *groups, struct tbi_id id)
{
    return tbi_id_is_null(tbi_id_task(id)) ? NULL : tbi_map_get(&groups->by_id, tbi_id_task(id));
}

/* ---- what tasks need to know ---- */

struct tbi_class *tbi_group_class(struct tbi_sched *sched, struct tbi_group *group,
                                  const struct msg_submit *m)
{
    unsigned index = tbi_id_index(*tbi_submit_group(m));

    group->tasks++;
    return tbi_demands_use(&sched->demands, &group->nodes, group,
                           index == 0 ? TBI_ANY_NODE : index - 1, m);
}

bool tbi_group_is_removed(const struct tbi_group *group)
{
    return group->removed;
}

static struct tbi_object *object_of(const struct tbi_sched *sched, const struct tbi_group *group)
{
    return tbi_directory_object(&sched->dir, group->id, NULL);
}

bool tbi_group_is_pending(const struct tbi_sched *sched, const struct tbi_group *group)
{
    return object_of(sched, group)->state == TBI_PENDING;
}

struct tbi_payload *tbi_group_failure(const struct tbi_sched *sched, const struct tbi_group *group)
{
    const struct tbi_object *object = object_of(sched, group);

    return object->state == TBI_FAILED ? object->payload : NULL;
}

bool tbi_group_bundle_is_feasible(const struct tbi_sched *sched, const struct tbi_group *group,
                                  unsigned b)
{
    const struct tbi_group_bundle *bundle = &group->bundle[b];

    for (unsigned i = 0; i < sched->nodes.n; i++) {
        const int64_t *whole = tbi_ledger_whole(&sched->nodes, i);
        bool fits = sched->nodes.node[i].works;

        for (unsigned p = 0; p < bundle->nparts; p++)
            fits &= whole[bundle->part[p].resource] >= bundle->part[p].amount &&
                    whole[bundle->part[p].resource] > 0;
        if (fits)
            return true;
    }
    return false;
}

unsigned tbi_group_rank(const struct tbi_group *group, unsigned bundle)
{
    return group->bundle[bundle].node;
}

struct tbi_id tbi_group_bundle_id(const struct tbi_group *group, unsigned bundle)
{
    return tbi_id_with_index(group->id, bundle + 1);
}

bool tbi_group_is_refused(const struct tbi_nodes *nodes, const struct tbi_group *group, unsigned node, int64_t lent)
{
    const struct tbi_refusal *refusal = group->refusal == NULL ? NULL : &group->refusal[node];

    return refusal != NULL && refusal->freed == 1 + nodes->node[node].freed && lent <= refusal->lent;
}

/* ---- a new group ---- */

static const char *check(const struct msg_group *m, unsigned nresources, size_t *namounts)
{
    const struct msg_bundle *bundle = (const struct msg_bundle *)(m + 1);

    if (m->strategy > TBI_GROUP_STRICT_SPREAD || m->nbundles == 0 || m->nbundles > BUNDLES_MAX ||
        tbi_id_index(m->id) != 0)
        return "GROUP of no or too many bundles, an unknown strategy, or with an id that is no group's";
    for (uint32_t b = 0; b < m->nbundles; b++) {
        if (tbi_demand_check(bundle->cpus, tbi_bundle_more(bundle), bundle->nmore, nresources) != NULL)
            return "GROUP with a demand that cannot be";
        *namounts += 1 + bundle->nmore;
        bundle = tbi_bundle_next(bundle);
    }
    return NULL;
}

static void read_bundles(struct tbi_group *group, const struct msg_group *m, int64_t *totals,
                         unsigned nresources)
{
    const struct msg_bundle *from = (const struct msg_bundle *)(m + 1);
    struct tbi_amount *to = group->amounts;

    for (uint32_t b = 0; b < m->nbundles; b++) {
        struct tbi_group_bundle *bundle = &group->bundle[b];
        int64_t *total = totals + (size_t)b * nresources;

        bundle->part = to;
        if (from->cpus > 0)
            *to++ = (struct tbi_amount){.resource = TBI_CPUS, .amount = from->cpus};
        memcpy(to, tbi_bundle_more(from), from->nmore * sizeof *to);
        to += from->nmore;
        bundle->nparts = (unsigned)(to - bundle->part);
        for (unsigned p = 0; p < bundle->nparts; p++) /* a label that its node has, a task in it may ask for */
            total[bundle->part[p].resource] =
                bundle->part[p].amount > 0 ? bundle->part[p].amount : TBI_UNIT;
        from = tbi_bundle_next(from);
    }
}

static struct tbi_group *create(struct tbi_sched *sched, const struct msg_group *m, size_t namounts)
{
    struct tbi_group *group = tbi_alloc_zeroed(1, sizeof *group + m->nbundles * sizeof *group->bundle);
    unsigned nresources = sched->nodes.nresources;
    int64_t *totals = tbi_alloc_zeroed((size_t)m->nbundles * nresources, sizeof *totals);

    group->id = m->id;
    group->strategy = (enum tbi_group_strategy)m->strategy;
    group->n = m->nbundles;
    group->tried = UINT64_MAX;
    group->seq = sched->ready.next_seq++;
    group->amounts = tbi_alloc((namounts + 1) * sizeof *group->amounts);
    read_bundles(group, m, totals, nresources);
    tbi_ledger_init(&group->nodes, group->n, nresources, totals, NULL, &sched->gainers);
    for (unsigned b = 0; b < group->n; b++)
        group->nodes.node[b].works = true; /* without CPUs too */
    group->nodes.ahead = sched->nodes.ahead;
    group->nodes.random = sched->nodes.random;
    group->nodes.number = ++sched->groups.made;
    free(totals);
    tbi_map_put(&sched->groups.by_id, group->id, group);
    tbi_list_append(&sched->groups.all, &group->all);
    return group;
}

static bool has_gpus_of(const struct tbi_group *group)
{
    for (unsigned b = 0; b < group->n; b++)
        for (unsigned p = 0; p < group->bundle[b].nparts; p++) {
            const struct tbi_amount *part = &group->bundle[b].part[p];

            if (part->resource == TBI_GPUS && part->amount > TBI_UNIT && part->amount % TBI_UNIT != 0)
                return false;
        }
    return true;
}

const char *tbi_groups_on_group(struct tbi_sched *sched, unsigned rank,
                                const struct tbi_record *record)
{
    const struct msg_group *m = (const struct msg_group *)(record + 1);
    size_t namounts = 0;
    const char *why = check(m, sched->nodes.nresources, &namounts);
    struct tbi_maker *maker;
    struct tbi_group *group;
    unsigned *node;

    (void)rank;
    if (why != NULL)
        return why;
    maker = tbi_directory_add(&sched->dir, m->id, 1);
    if (maker == NULL)
        return "GROUP with an id that is taken";
    maker->state = TBI_OPEN;
    maker->node = TBI_ANY_NODE;
    group = create(sched, m, namounts);
    node = tbi_alloc(group->n * sizeof *node);
    if (has_gpus_of(group) && tbi_fit(&sched->nodes, group, TBI_FIT_EVER, NULL, node, NULL)) {
        group->plan = node;
        tbi_list_append(&sched->groups.waiting, &group->waiting);
        return NULL;
    }
    free(node);
    tbi_sched_fail(sched, maker, tbi_failure_infeasible_group(sched, group));
    return NULL;
}

/* ---- reserving ---- */

static void unkeep(struct tbi_sched *sched, struct tbi_group *group)
{
    while (group->nkept > 0)
        tbi_sched_keep_node(sched, group->kept[--group->nkept], NULL);
}

/* `lenders` NULL: there are none. */
static unsigned count_lenders(const struct tbi_lenders *lenders, unsigned node)
{
    unsigned n = 0;

    for (size_t k = 0; lenders != NULL && k < lenders->n; k++)
        n += lenders->task[k]->place == node;
    return n;
}

static void send_reserve(struct tbi_sched *sched, struct tbi_group *group, unsigned b, unsigned node,
                         const struct tbi_lenders *lenders)
{
    struct tbi_group_bundle *bundle = &group->bundle[b];
    unsigned cpus = bundle->nparts > 0 && bundle->part[0].resource == TBI_CPUS, n = count_lenders(lenders, node);
    size_t more = (bundle->nparts - cpus) * sizeof *bundle->part;
    struct msg_reserve *m = sched->port.send(sched->port.ctx, node, TBI_MSG_RESERVE, TBI_PROC_NONE,
                                             sizeof *m + more + n * sizeof(struct tbi_id));
    struct tbi_id *lender = (struct tbi_id *)((uint8_t *)(m + 1) + more);

    *m = (struct msg_reserve){.bundle = tbi_group_bundle_id(group, b),
                              .demand = {cpus ? (int32_t)bundle->part[0].amount : 0, bundle->nparts - cpus},
                              .nlenders = n};
    if (more > 0)
        memcpy(m + 1, bundle->part + cpus, more);
    for (size_t k = 0; n > 0 && k < lenders->n; k++)
        if (lenders->task[k]->place == node)
            *lender++ = lenders->task[k]->id;
    bundle->node = node;
    bundle->lent = lenders != NULL ? lenders->cpus[node] : 0;
    bundle->state = TBI_BUNDLE_ASKED;
    bundle->gpus = tbi_ledger_hold(&sched->nodes, node, bundle->part, bundle->nparts);
    group->asked++;
    group->taken++;
}

static void send_unreserve(struct tbi_sched *sched, struct tbi_group *group, unsigned b)
{
    struct msg_object *m = sched->port.send(sched->port.ctx, group->bundle[b].node,
                                            TBI_MSG_UNRESERVE, TBI_PROC_NONE, sizeof *m);

    m->id = tbi_group_bundle_id(group, b);
    group->bundle[b].state = TBI_BUNDLE_RETURNING;
}

static void put_back(struct tbi_sched *sched, struct tbi_group *group, unsigned b)
{
    struct tbi_group_bundle *bundle = &group->bundle[b];

    tbi_ledger_unhold(&sched->nodes, bundle->node, bundle->part, bundle->nparts, bundle->gpus);
    sched->nodes.node[bundle->node].freed += group->removed;
    bundle->state = TBI_BUNDLE_IDLE;
    group->taken--;
    tbi_closing_note_returned(sched, bundle->node);
    tbi_ready_bring_back(&sched->ready);
}

/* GPUs that were free when the nodes were chosen are: holding by instance, in the same order, cannot fail. Nor can it
 * at the agents, if they see the same, for they are asked in this order. */
static bool try_on(struct tbi_sched *sched, struct tbi_group *group, const struct tbi_lenders *lenders, unsigned *node,
                   unsigned *order)
{
    group->tried = sched->nodes.changes;
    if (!tbi_fit(&sched->nodes, group, TBI_FIT_FREE, NULL, node, order) &&
        (lenders == NULL || !tbi_fit(&sched->nodes, group, TBI_FIT_FREE, lenders->cpus, node, order)))
        return false;
    sched->groups.asking = group;
    tbi_ready_note_reserved(&sched->ready, &sched->nodes, group->seq);
    for (unsigned k = 0; k < group->n; k++) {
        if (k == 0 || node[order[k]] != node[order[k - 1]])
            tbi_ready_note_bundle(&sched->ready, &sched->nodes, node[order[k]], group->seq);
        send_reserve(sched, group, order[k], node[order[k]], lenders);
    }
    return true;
}

static bool try(struct tbi_sched *sched, struct tbi_group *group, const struct tbi_lenders *lenders)
{
    unsigned *node = tbi_alloc(2 * (size_t)group->n * sizeof *node);
    bool done = try_on(sched, group, lenders, node, node + group->n);

    free(node);
    return done;
}

static bool may_try(const struct tbi_sched *sched, const struct tbi_group *group)
{
    return sched->groups.asking == NULL && group->taken == 0 && group->tried != sched->nodes.changes;
}

/* All of them, in the order in which they were wanted: any may be what others have to wait for. */
static void reserve_wanted(struct tbi_sched *sched)
{
    struct tbi_link *wanted = &sched->groups.wanted;
    struct tbi_lenders lenders;
    bool known = false;

    for (struct tbi_link *l = wanted->next; l != wanted; l = l->next) {
        struct tbi_group *group = TBI_ENTRY(l, struct tbi_group, wanting);

        if (!may_try(sched, group))
            continue;
        if (!known)
            tbi_lenders_find(sched, &lenders);
        known = true;
        try(sched, group, &lenders);
    }
    if (known)
        tbi_lenders_fini(&lenders);
}

void tbi_groups_want(struct tbi_sched *sched, struct tbi_group *group)
{
    if (!tbi_list_linked(&group->waiting) || tbi_list_linked(&group->wanting))
        return;
    tbi_list_append(&sched->groups.wanted, &group->wanting);
    group->tried = UINT64_MAX; /* not yet, with what tasks lend */
}

void tbi_groups_reserve(struct tbi_sched *sched)
{
    struct tbi_link *waiting = &sched->groups.waiting;
    struct tbi_group *first = TBI_ENTRY(waiting->next, struct tbi_group, waiting);
    unsigned tried = 0;

    reserve_wanted(sched);
    for (struct tbi_link *l = waiting->next; l != waiting && tried < TRIED_MAX && sched->groups.asking == NULL;
         l = l->next) {
        struct tbi_group *group = TBI_ENTRY(l, struct tbi_group, waiting);

        if (tbi_list_linked(&group->wanting))
            continue;
        tried++;
        first->passed += may_try(sched, group) && try(sched, group, NULL) && group != first;
        if (first->passed >= sched->ready.limit)
            return;
    }
}

void tbi_groups_note_sent(struct tbi_sched *sched, const struct tbi_maker *task)
{
    struct tbi_link *waiting = &sched->groups.waiting;
    struct tbi_group *first;

    if (tbi_list_empty(waiting) || task->wanted || task->class->group != NULL)
        return;
    first = TBI_ENTRY(waiting->next, struct tbi_group, waiting);
    first->overtaken += task->seq > first->seq;
}

void tbi_groups_begin_keeping(struct tbi_sched *sched)
{
    struct tbi_link *waiting = &sched->groups.waiting;
    struct tbi_group *first;
    unsigned *node;

    if (tbi_list_empty(waiting))
        return;
    first = TBI_ENTRY(waiting->next, struct tbi_group, waiting);
    if (first->overtaken < sched->ready.limit || first->nkept > 0 || first->taken > 0)
        return;
    first->overtaken = 0; /* or else it would be tried anew after each task */
    node = tbi_alloc(first->n * sizeof *node);
    if (tbi_fit(&sched->nodes, first, TBI_FIT_SOON, NULL, node, NULL)) {
        free(first->kept);
        first->kept = node;
        for (unsigned b = 0; b < first->n; b++)
            if (sched->nodes.node[node[b]].kept_for == NULL) {
                tbi_sched_keep_node(sched, node[b], first);
                first->kept[first->nkept++] = node[b];
            }
    } else {
        free(node);
    }
}

/* As tb_put_array would. */
static void set_ranks(const struct tbi_group *group, struct tbi_object *object)
{
    int32_t *rank = tbi_alloc(group->n * sizeof *rank);
    tb_value value = {.type = TB_INT32, .flags = TB_VALUE_ARRAY, .count = group->n,
                      .elem = sizeof *rank, .ptr = rank};
    size_t bytes = tbi_value_packed_size(&value);
    void *packed = tbi_alloc_zeroed(1, tbi_padded(bytes));

    for (unsigned b = 0; b < group->n; b++)
        rank[b] = (int32_t)group->bundle[b].node;
    tbi_value_pack(&value, packed);
    tbi_sched_set_inline(object, packed, bytes);
    free(rank);
    free(packed);
}

static void become_ready(struct tbi_sched *sched, struct tbi_group *group)
{
    struct tbi_maker *maker = tbi_directory_maker(&sched->dir, group->id);
    unsigned *host = tbi_alloc(group->n * sizeof *host);

    for (unsigned b = 0; b < group->n; b++)
        host[b] = sched->nodes.node[group->bundle[b].node].host;
    tbi_ledger_set_hosts(&group->nodes, host);
    free(host);
    sched->groups.asking = NULL;
    stop_waiting(group);
    unkeep(sched, group);
    set_ranks(group, &maker->object[0]);
    tbi_sched_conclude(sched, maker);
}

static void give_back(struct tbi_sched *sched, struct tbi_group *group)
{
    for (unsigned b = 0; b < group->n; b++)
        if (group->bundle[b].state == TBI_BUNDLE_HELD)
            send_unreserve(sched, group, b);
}

void tbi_groups_reap(struct tbi_sched *sched, struct tbi_group *group)
{
    if (!group->removed || group->taken > 0 || group->tasks > 0)
        return;
    tbi_demands_forget(&sched->demands, group);
    tbi_list_unlink(&group->nodes.gainer);
    destroy(&sched->groups, group);
}

const char *tbi_groups_on_lent(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_lent *m = (const struct msg_lent *)(record + 1);
    struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->task);

    if (task == NULL || task->state != TBI_BLOCKED || !tbi_retry_runs(task, rank, m->attempt) ||
        task->lent == (m->lent != 0) || task->class->nodes != &sched->nodes || task->class->nparts == 0 ||
        task->class->part[0].resource != TBI_CPUS)
        return "LENT of a task that is not blocked there, or has no CPUs of the node's";
    tbi_ledger_lend(task, m->lent != 0);
    return NULL;
}

/* Refused, and all is given back: it is tried again, elsewhere or when something has changed there. */
static void note_refusal(struct tbi_sched *sched, struct tbi_group *group)
{
    if (group->taken > 0 || !group->refused || group->removed)
        return;
    group->refused = false;
    sched->groups.asking = NULL;
}

static struct tbi_group_bundle *bundle_on(const struct tbi_sched *sched, unsigned rank,
                                          struct tbi_id id, enum tbi_bundle_state state,
                                          struct tbi_group **group)
{
    unsigned index = tbi_id_index(id);

    *group = tbi_groups_find(&sched->groups, id);
    if (*group == NULL || index == 0 || index > (*group)->n ||
        (*group)->bundle[index - 1].state != state || (*group)->bundle[index - 1].node != rank)
        return NULL;
    return &(*group)->bundle[index - 1];
}

const char *tbi_groups_on_reserved(struct tbi_sched *sched, unsigned rank,
                                   const struct tbi_record *record)
{
    const struct msg_reserved *m = (const struct msg_reserved *)(record + 1);
    struct tbi_group *group;
    struct tbi_group_bundle *bundle = bundle_on(sched, rank, m->bundle, TBI_BUNDLE_ASKED, &group);

    if (bundle == NULL)
        return "RESERVED of a bundle that nobody asked for";
    if (m->granted && !tbi_ledger_rehold(&sched->nodes, rank, bundle->part, bundle->nparts, &bundle->gpus, m->gpus))
        return "RESERVED on GPUs that the bundle cannot have";
    group->asked--;
    if (m->granted) {
        bundle->state = TBI_BUNDLE_HELD;
    } else {
        put_back(sched, group, (unsigned)(bundle - group->bundle));
        group->refused = true;
        if (group->refusal == NULL)
            group->refusal = tbi_alloc_zeroed(sched->nodes.n, sizeof *group->refusal);
        /* What ends there from now on counts, though other bundles are still on their way back. */
        group->refusal[rank] = (struct tbi_refusal){1 + sched->nodes.node[rank].freed, bundle->lent};
    }
    if (group->asked > 0)
        return NULL;
    if (group->removed)
        sched->groups.asking = NULL;
    if (group->removed || group->refused)
        give_back(sched, group);
    else
        become_ready(sched, group);
    note_refusal(sched, group);
    tbi_groups_reap(sched, group);
    return NULL;
}

const char *tbi_groups_on_unreserved(struct tbi_sched *sched, unsigned rank,
                                     const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_group *group;
    struct tbi_group_bundle *bundle = bundle_on(sched, rank, m->id, TBI_BUNDLE_RETURNING, &group);

    if (bundle == NULL)
        return "UNRESERVED of a bundle that was not to be given back";
    put_back(sched, group, (unsigned)(bundle - group->bundle));
    note_refusal(sched, group);
    tbi_groups_reap(sched, group);
    return NULL;
}

/* ---- removing ---- */

static void fail_all(struct tbi_sched *sched, struct tbi_link *classes)
{
    while (!tbi_list_empty(classes)) {
        struct tbi_class *class = TBI_ENTRY(classes->next, struct tbi_class, active);
        struct tbi_maker *task = tbi_ready_best_of(class);

        tbi_ready_remove(&sched->ready, task);
        tbi_sched_unkeep_idle(sched, class);
        tbi_sched_fail(sched, task, tbi_failure_of_group(sched, task->submit));
    }
}

/* Ending one may end others: so always from the front. */
static bool fail_a_wanted_one(struct tbi_sched *sched, const struct tbi_group *group)
{
    struct tbi_link *wanted = &sched->ready.wanted;

    for (struct tbi_link *l = wanted->next; l != wanted; l = l->next) {
        struct tbi_maker *task = TBI_ENTRY(l, struct tbi_maker, link);

        if (task->class->group == group) {
            tbi_ready_remove(&sched->ready, task);
            tbi_sched_fail(sched, task, tbi_failure_of_group(sched, task->submit));
            return true;
        }
    }
    return false;
}

/* What runs in it is ended by the agents. */
const char *tbi_groups_on_ungroup(struct tbi_sched *sched, unsigned rank,
                                  const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_group *group = tbi_groups_find(&sched->groups, m->id);
    struct tbi_id id;

    (void)rank;
    if (group == NULL || group->removed)
        return NULL;
    id = group->id;
    group->removed = true;
    group->tasks++; /* it stays until the end of this */
    stop_waiting(group);
    unkeep(sched, group);
    if (tbi_group_is_pending(sched, group))
        tbi_sched_fail(sched, tbi_directory_maker(&sched->dir, id), tbi_failure_removed());
    fail_all(sched, &group->nodes.any.waiting);
    for (unsigned b = 0; b < group->n; b++)
        fail_all(sched, &group->nodes.node[b].own.waiting);
    tbi_ready_bring_back(&sched->ready); /* some of them may stand aside */
    while (fail_a_wanted_one(sched, group))
        ;
    if (group->asked == 0) {
        if (sched->groups.asking == group)
            sched->groups.asking = NULL;
        give_back(sched, group);
    }
    tbi_directory_release(&sched->dir, id, tbi_sched_send_free, sched);
    group->tasks--;
    tbi_groups_reap(sched, group);
    return NULL;
}

const char *tbi_groups_check(const struct tbi_sched *sched)
{
    const struct tbi_nodes *nodes = &sched->nodes;
    int64_t *held = tbi_alloc_zeroed((size_t)nodes->n * nodes->nresources, sizeof *held);
    const char *why = NULL;

    for (struct tbi_link *l = sched->groups.all.next; l != &sched->groups.all; l = l->next) {
        const struct tbi_group *group = TBI_ENTRY(l, struct tbi_group, all);
        unsigned asked = 0, taken = 0;

        for (unsigned b = 0; b < group->n; b++) {
            const struct tbi_group_bundle *bundle = &group->bundle[b];

            asked += bundle->state == TBI_BUNDLE_ASKED;
            taken += bundle->state != TBI_BUNDLE_IDLE;
            for (unsigned p = 0; p < bundle->nparts && bundle->state != TBI_BUNDLE_IDLE; p++)
                held[(size_t)bundle->node * nodes->nresources + bundle->part[p].resource] +=
                    bundle->part[p].amount;
        }
        if (asked != group->asked || taken != group->taken)
            why = "a group's bundles are in other states than it counts";
        if ((group->asked > 0 || (group->refused && !group->removed)) &&
            sched->groups.asking != group)
            why = "more than one group asks at a time";
        if (group->removed && group->taken == 0 && group->tasks == 0)
            why = "a removed group was kept";
        if (tbi_ready_check(&sched->ready, &group->nodes) != NULL)
            why = tbi_ready_check(&sched->ready, &group->nodes);
    }
    for (size_t k = 0; k < (size_t)nodes->n * nodes->nresources; k++)
        if (nodes->total[k] + held[k] != nodes->whole[k])
            why = "what is taken out of a node's total is not what its bundles hold";
    free(held);
    return why;
}
