#include "sched/groups.h"
#include "sched/failure.h"
#include "sched/fit.h"
#include "sched/graph.h"
#include "util/alloc.h"

enum { BUNDLES_MAX = 65534 /* their numbers are an id's index */ };

void tbi_groups_init(struct tbi_groups *groups)
{
    *groups = (struct tbi_groups){0};
    tbi_list_init(&groups->all);
    tbi_list_init(&groups->waiting);
    tbi_list_init(&groups->wanted);
}

static void destroy(struct tbi_groups *groups, struct tbi_group *group)
{
    tbi_map_take(&groups->by_id, group->id);
    tbi_list_unlink(&group->all);
    tbi_groups_stop_waiting(group);
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

/* ---- removing ---- */

void tbi_groups_reap(struct tbi_sched *sched, struct tbi_group *group)
{
    if (!group->removed || group->taken > 0 || group->tasks > 0)
        return;
    tbi_demands_forget(&sched->demands, group);
    tbi_list_unlink(&group->nodes.gainer);
    destroy(&sched->groups, group);
}

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
    tbi_groups_stop_waiting(group);
    tbi_groups_unkeep(sched, group);
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
        tbi_groups_give_back(sched, group);
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
