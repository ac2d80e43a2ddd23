/* queue.c - tasks of the node that may start, best first: wanted ones, then deeper ones, then older ones. Tasks that ask for the same, of the same bundle, are of one kind: whether the best of them fits says it of all,
 * so what a task costs here depends on the kinds that wait, not on the tasks. Kinds are in heaps by their best task:
 * one for those that need CPUs of the node, so that they are left alone while there are none, and one for the others;
 * and each twice, for an actor may have a process of its own when tasks may not. */
#include "node/local.h"
#include "util/alloc.h"

enum {
    IDLE_MAX = 16,               /* kinds without tasks that are kept */
    WANTED_LEVEL = UINT16_MAX + 1,
    ARRIVAL_BITS = 47,
    OLDEST = 16                  /* depths of which the oldest task is sought */
};

static uint32_t level_of(const struct tbi_job *job)
{
    return job->wanted ? WANTED_LEVEL : job->m->depth;
}

static uint64_t key_of(const struct tbi_job *job)
{
    return (uint64_t)(WANTED_LEVEL - level_of(job)) << ARRIVAL_BITS | job->arrival;
}

struct tbi_job *tbi_kind_best(const struct tbi_job_kind *kind)
{
    return TBI_ENTRY(tbi_levels_highest(&kind->jobs)->list.next, struct tbi_job, link);
}

struct tbi_job *tbi_kind_oldest(const struct tbi_job_kind *kind)
{
    struct tbi_job *oldest = NULL;
    unsigned looked = 0;

    for (const struct tbi_level *level = tbi_levels_lowest(&kind->jobs); level != NULL && looked++ < OLDEST;
         level = tbi_levels_next(level)) {
        struct tbi_job *first = TBI_ENTRY(level->list.next, struct tbi_job, link);

        oldest = oldest == NULL || first->arrival < oldest->arrival ? first : oldest;
    }
    return oldest;
}

static struct tbi_heap *heap_of(struct tbi_agent *agent, const struct tbi_job_kind *kind)
{
    return &agent->queue.heap[kind->needs_no_cpus][kind->actor];
}

/* ---- the table of kinds ---- */

static bool is_actor(const struct tbi_job *job)
{
    return job->m->flags & TBI_DISPATCH_ACTOR;
}

static bool same(const struct tbi_job_kind *kind, const struct tbi_job *job)
{
    struct tbi_demand demand = tbi_job_demand(job);

    return kind->bundle == job->bundle && kind->actor == is_actor(job) && kind->fresh == tbi_job_is_fresh(job) &&
           tbi_demand_equal(&kind->demand, &demand);
}

static uint64_t hash(const struct tbi_job *job)
{
    struct tbi_demand demand = tbi_job_demand(job);
    struct tbi_id id = {(uint64_t)demand.cpus << 2 | (unsigned)tbi_job_is_fresh(job) << 1 | is_actor(job),
                        (uint64_t)(uintptr_t)job->bundle};

    for (unsigned i = 0; i < demand.nmore; i++)
        id.hi = (id.hi ^ demand.more[i].resource ^ (uint64_t)demand.more[i].amount << 8) * UINT64_C(1099511628211);
    return tbi_id_hash(id);
}

static void grow(struct tbi_queue *queue)
{
    size_t n = queue->bucket == NULL ? 0 : queue->mask + 1;
    struct tbi_job_kind **old = queue->bucket;

    queue->mask = n == 0 ? 15 : n * 2 - 1;
    queue->bucket = tbi_alloc_zeroed(queue->mask + 1, sizeof(struct tbi_job_kind *));
    for (size_t b = 0; b < n; b++)
        for (struct tbi_job_kind *kind = old[b], *next; kind != NULL; kind = next) {
            next = kind->chain;
            kind->chain = queue->bucket[kind->hash & queue->mask];
            queue->bucket[kind->hash & queue->mask] = kind;
        }
    free(old);
}

static void destroy(struct tbi_job_kind *kind)
{
    tbi_levels_fini(&kind->jobs);
    free(kind);
}

/* It has no tasks. */
static void forget(struct tbi_queue *queue, struct tbi_job_kind *kind)
{
    struct tbi_job_kind **at = &queue->bucket[kind->hash & queue->mask];

    while (*at != kind)
        at = &(*at)->chain;
    *at = kind->chain;
    tbi_list_unlink(&kind->idle);
    queue->nidle--;
    queue->count--;
    if (queue->last == kind)
        queue->last = NULL;
    destroy(kind);
}

static struct tbi_job_kind *kind_of(struct tbi_agent *agent, const struct tbi_job *job)
{
    struct tbi_queue *queue = &agent->queue;
    struct tbi_demand demand = tbi_job_demand(job);
    struct tbi_job_kind *kind = queue->last;
    size_t more = demand.nmore * sizeof *demand.more;
    uint64_t h;

    if (kind != NULL && same(kind, job))
        return kind;
    h = hash(job);
    if (queue->bucket == NULL || queue->count > queue->mask)
        grow(queue);
    for (kind = queue->bucket[h & queue->mask]; kind != NULL && (kind->hash != h || !same(kind, job));)
        kind = kind->chain;
    if (kind == NULL) {
        kind = tbi_alloc_zeroed(1, sizeof *kind + more);
        kind->hash = h;
        kind->bundle = job->bundle;
        kind->actor = is_actor(job);
        kind->fresh = tbi_job_is_fresh(job);
        kind->needs_no_cpus = tbi_job_needs_no_cpus(agent, job);
        kind->demand = (struct tbi_demand){demand.cpus, demand.nmore, kind->more};
        if (more > 0)
            memcpy(kind->more, demand.more, more);
        kind->chain = queue->bucket[h & queue->mask];
        queue->bucket[h & queue->mask] = kind;
        queue->count++;
        tbi_list_append(&queue->idle, &kind->idle);
        queue->nidle++;
    }
    queue->last = kind;
    return kind;
}

void tbi_queue_init(struct tbi_queue *queue)
{
    *queue = (struct tbi_queue){.bucket = NULL};
    tbi_list_init(&queue->idle);
}

void tbi_queue_fini(struct tbi_queue *queue)
{
    for (size_t b = 0; queue->bucket != NULL && b <= queue->mask; b++)
        for (struct tbi_job_kind *kind = queue->bucket[b], *next; kind != NULL; kind = next) {
            next = kind->chain;
            destroy(kind);
        }
    free(queue->bucket);
    for (unsigned i = 0; i < 4; i++)
        tbi_heap_fini(&queue->heap[i / 2][i % 2]);
}

void tbi_queue_forget(struct tbi_queue *queue, const struct tbi_bundle *bundle)
{
    for (struct tbi_link *l = queue->idle.next, *next; l != &queue->idle; l = next) {
        struct tbi_job_kind *kind = TBI_ENTRY(l, struct tbi_job_kind, idle);

        next = l->next;
        if (kind->bundle == bundle)
            forget(queue, kind);
    }
}

/* ---- tasks ---- */

static void begin_waiting(struct tbi_agent *agent, struct tbi_job_kind *kind)
{
    struct tbi_bundle *bundle = kind->bundle;

    tbi_list_unlink(&kind->idle);
    agent->queue.nidle--;
    kind->overtaken = 0;
    tbi_list_append(&bundle->waiting, &kind->waiting);
    tbi_heap_put(heap_of(agent, kind), &kind->order, key_of(tbi_kind_best(kind)));
    tbi_heap_put(&bundle->kinds, &kind->in_bundle, kind->order.key);
}

static void end_waiting(struct tbi_agent *agent, struct tbi_job_kind *kind)
{
    struct tbi_bundle *bundle = kind->bundle;

    tbi_heap_take(heap_of(agent, kind), &kind->order);
    tbi_heap_take(&bundle->kinds, &kind->in_bundle);
    tbi_list_unlink(&kind->waiting);
    tbi_list_append(&agent->queue.idle, &kind->idle);
    if (++agent->queue.nidle > IDLE_MAX)
        forget(&agent->queue, TBI_ENTRY(agent->queue.idle.next, struct tbi_job_kind, idle));
}

static void order(struct tbi_agent *agent, struct tbi_job_kind *kind)
{
    uint64_t key = key_of(tbi_kind_best(kind));

    if (kind->order.key == key)
        return;
    if (tbi_heap_has(&kind->order))
        tbi_heap_change(heap_of(agent, kind), &kind->order, key);
    else
        kind->order.key = key; /* it is set aside */
    tbi_heap_change(&kind->bundle->kinds, &kind->in_bundle, key);
}

void tbi_queue_put(struct tbi_agent *agent, struct tbi_job *job, bool in_front)
{
    struct tbi_job_kind *kind = kind_of(agent, job);
    struct tbi_link *list = tbi_levels_list(&kind->jobs, level_of(job));

    if (job->arrival == 0)
        job->arrival = ++agent->arrivals;
    tbi_list_insert_before(in_front ? list->next : list, &job->link);
    job->kind = kind;
    if (kind->count++ == 0)
        begin_waiting(agent, kind);
    else if (in_front || key_of(job) < kind->order.key)
        order(agent, kind);
}

void tbi_queue_take(struct tbi_agent *agent, struct tbi_job *job)
{
    struct tbi_job_kind *kind = job->kind;

    tbi_levels_take(&kind->jobs, level_of(job), &job->link);
    job->kind = NULL;
    if (--kind->count == 0)
        end_waiting(agent, kind);
    else
        order(agent, kind);
}

void tbi_queue_raise(struct tbi_agent *agent, struct tbi_job *job)
{
    struct tbi_job_kind *kind = job->kind;

    tbi_levels_take(&kind->jobs, level_of(job), &job->link);
    job->wanted = true;
    tbi_list_append(tbi_levels_list(&kind->jobs, level_of(job)), &job->link);
    order(agent, kind);
}

struct tbi_job_kind *tbi_queue_first(const struct tbi_agent *agent, bool with_cpus, bool tasks)
{
    const struct tbi_heap_entry *best = NULL;

    for (unsigned i = with_cpus ? 0 : 2; i < 4; i++) {
        const struct tbi_heap_entry *first = tbi_heap_first(&agent->queue.heap[i / 2][i % 2]);

        if (i % 2 == 0 && !tasks)
            continue;
        if (first != NULL && (best == NULL || first->key < best->key))
            best = first;
    }
    return best == NULL ? NULL : TBI_ENTRY(best, struct tbi_job_kind, order);
}

bool tbi_queue_next(const struct tbi_agent *agent, size_t *at, struct tbi_job_kind **kind)
{
    size_t left = (*at)++;

    for (unsigned i = 0; i < 4; i++) {
        const struct tbi_heap *heap = &agent->queue.heap[i / 2][i % 2];

        if (left < heap->n) {
            *kind = TBI_ENTRY(heap->entry[left + 1], struct tbi_job_kind, order);
            return true;
        }
        left -= heap->n;
    }
    return false;
}

void tbi_queue_set_aside(struct tbi_agent *agent, struct tbi_job_kind *kind, struct tbi_link *aside)
{
    tbi_heap_take(heap_of(agent, kind), &kind->order);
    tbi_list_append(aside, &kind->aside);
}

void tbi_queue_bring_back(struct tbi_agent *agent, struct tbi_link *aside)
{
    while (!tbi_list_empty(aside)) {
        struct tbi_job_kind *kind = TBI_ENTRY(aside->next, struct tbi_job_kind, aside);

        tbi_list_unlink(&kind->aside);
        tbi_heap_put(heap_of(agent, kind), &kind->order, kind->order.key);
    }
}

bool tbi_queue_waits(const struct tbi_agent *agent, unsigned depth)
{
    const struct tbi_job_kind *kind = tbi_queue_first(agent, true, true);

    return kind != NULL && level_of(tbi_kind_best(kind)) > depth;
}

const char *tbi_queue_check(const struct tbi_agent *agent)
{
    struct tbi_job_kind *kind;
    const char *why = NULL;

    for (unsigned i = 0; i < 4 && why == NULL; i++)
        why = tbi_heap_check(&agent->queue.heap[i / 2][i % 2]);
    for (size_t at = 0; why == NULL && tbi_queue_next(agent, &at, &kind);) {
        size_t n = 0;

        for (const struct tbi_level *level = tbi_levels_lowest(&kind->jobs); level != NULL;
             level = tbi_levels_next(level))
            for (const struct tbi_link *l = level->list.next; l != &level->list; l = l->next) {
                const struct tbi_job *job = TBI_ENTRY(l, struct tbi_job, link);

                n++;
                if (job->kind != kind || level_of(job) != level->number || !same(kind, job))
                    why = "a task waits among others of another kind, or does not know it";
            }
        if (n != kind->count || kind->order.key != key_of(tbi_kind_best(kind)) || kind->order.key != kind->in_bundle.key)
            why = "a kind has another number of tasks than it counts, or another best one";
    }
    return why;
}
