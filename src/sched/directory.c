#include "sched/directory.h"
#include "util/alloc.h"

struct tbi_payload *tbi_payload_new(const void *data, uint32_t bytes)
{
    struct tbi_payload *p = tbi_alloc(sizeof *p + bytes);

    *p = (struct tbi_payload){.users = 1, .bytes = bytes};
    if (bytes > 0)
        memcpy(p->data, data, bytes);
    return p;
}

struct tbi_payload *tbi_payload_new_of(const void *data, uint32_t bytes, struct tbi_payload *source)
{
    struct tbi_payload *p = tbi_alloc(sizeof *p + bytes + sizeof(struct tbi_payload *));

    *p = (struct tbi_payload){.users = 1, .bytes = bytes, .has_source = true};
    memcpy(p->data, data, bytes);
    memcpy(p->data + bytes, &source, sizeof(struct tbi_payload *));
    source->users++;
    return p;
}

struct tbi_payload *tbi_payload_source(const struct tbi_payload *payload)
{
    struct tbi_payload *source = NULL;

    if (payload->has_source)
        memcpy(&source, payload->data + payload->bytes, sizeof(struct tbi_payload *));
    return source;
}

void tbi_payload_seen(struct tbi_payload *payload)
{
    for (; payload != NULL; payload = tbi_payload_source(payload))
        payload->unread = false;
}

struct tbi_payload *tbi_payload_use(struct tbi_payload *payload)
{
    payload->users++;
    return payload;
}

void tbi_payload_drop(struct tbi_directory *dir, struct tbi_payload *payload)
{
    while (payload != NULL && --payload->users == 0) {
        struct tbi_payload *source = tbi_payload_source(payload);

        if (payload->unread && dir->unread != NULL)
            dir->unread(dir->unread_ctx, payload->data, payload->bytes);
        if (payload == dir->told)
            dir->told = NULL;
        free(payload);
        payload = source;
    }
}

static void free_all(struct tbi_waiter *w)
{
    while (w != NULL) {
        struct tbi_waiter *next = w->next;

        free(w);
        w = next;
    }
}

static bool has_list(const struct tbi_waiter *asker)
{
    return asker->proc != TBI_PROC_DRIVER && asker->proc != TBI_PROC_NONE;
}

static void take_from_lists(struct tbi_waiter *asker)
{
    for (; asker != NULL; asker = asker->next)
        if (has_list(asker))
            tbi_list_unlink(&TBI_ENTRY(asker, struct tbi_question, waiter)->link);
}

static void clear(struct tbi_directory *dir, struct tbi_object *object)
{
    free_all(object->waiters);
    take_from_lists(object->askers);
    free_all(object->askers);
    object->waiters = object->askers = NULL;
    tbi_payload_drop(dir, object->payload);
    free(object->contained);
    free(object->replicas);
    object->payload = NULL;
    object->contained = NULL;
    object->replicas = NULL;
}

static void destroy(struct tbi_directory *dir, struct tbi_maker *maker)
{
    for (unsigned i = 0; i < maker->nobjects; i++)
        clear(dir, &maker->object[i]);
    free(maker->submit);
    free(maker);
}

void tbi_directory_fini(struct tbi_directory *dir)
{
    struct tbi_map_slot e;
    size_t at = 0;

    while (tbi_map_next(&dir->makers, &at, &e))
        destroy(dir, e.value);
    tbi_map_fini(&dir->makers);
}

struct tbi_maker *tbi_directory_maker(const struct tbi_directory *dir, struct tbi_id id)
{
    return tbi_map_get(&dir->makers, tbi_id_task(id));
}

struct tbi_maker *tbi_directory_add(struct tbi_directory *dir, struct tbi_id id, unsigned n)
{
    struct tbi_maker *maker = tbi_alloc_zeroed(1, sizeof *maker + n * sizeof maker->object[0]);

    if (!tbi_map_put(&dir->makers, tbi_id_task(id), maker)) {
        free(maker);
        return NULL;
    }
    maker->id = tbi_id_task(id);
    maker->nobjects = maker->live = (uint16_t)n;
    tbi_list_init(&maker->children);
    for (unsigned i = 0; i < n; i++)
        maker->object[i].holders = 1;
    dir->objects += n;
    return maker;
}

struct tbi_object *tbi_directory_object(const struct tbi_directory *dir, struct tbi_id id,
                                        struct tbi_maker **maker)
{
    struct tbi_maker *m = tbi_directory_maker(dir, id);
    unsigned i = tbi_id_index(id);

    if (m == NULL || i >= m->nobjects || m->object[i].state == TBI_FREED)
        return NULL;
    if (maker != NULL)
        *maker = m;
    return &m->object[i];
}

void tbi_directory_reap(struct tbi_directory *dir, struct tbi_maker *maker)
{
    if (maker->state != TBI_ENDED || maker->live > 0)
        return;
    tbi_map_take(&dir->makers, maker->id);
    destroy(dir, maker);
}

/* Ids whose hold is to be given back: an explicit stack, since containment may go deep. */
struct stack {
    struct tbi_id *id;
    size_t n, room;
};

static void push(struct stack *stack, struct tbi_id id)
{
    if (stack->n == stack->room) {
        stack->room = stack->room * 2 + 16;
        stack->id = tbi_realloc(stack->id, stack->room * sizeof *stack->id);
    }
    stack->id[stack->n++] = id;
}

static void free_object(struct tbi_directory *dir, struct tbi_maker *maker, unsigned i,
                        struct stack *stack, tbi_gone_fn *gone, void *ctx)
{
    struct tbi_object *object = &maker->object[i];
    struct tbi_id id = tbi_id_with_index(maker->id, i);

    if (object->state == TBI_READY && object->in_store) {
        gone(ctx, object->rank, id);
        for (uint32_t k = 0; object->replicas != NULL && k < object->replicas->n; k++)
            gone(ctx, object->replicas->rank[k], id);
    }
    for (uint32_t k = 0; object->contained != NULL && k < object->contained->n; k++)
        push(stack, object->contained->id[k]);
    clear(dir, object);
    object->state = TBI_FREED;
    dir->objects--;
    maker->live--;
    tbi_directory_reap(dir, maker);
}

/* A pending object outlives its last holder: its task runs all the same, and a process that asked
 * for it and then died must not leave a waiter in freed memory. */
static void settle_one(struct tbi_directory *dir, struct tbi_id id, struct stack *stack,
                       tbi_gone_fn *gone, void *ctx)
{
    struct tbi_maker *maker;
    struct tbi_object *object = tbi_directory_object(dir, id, &maker);

    if (object == NULL || object->holders > 0)
        return;
    if (object->state != TBI_PENDING)
        free_object(dir, maker, tbi_id_index(id), stack, gone, ctx);
    else if (maker->is_actor)
        dir->orphan(dir->orphan_ctx, maker);
}

static void drain(struct tbi_directory *dir, struct stack *stack, tbi_gone_fn *gone, void *ctx)
{
    while (stack->n > 0) {
        struct tbi_id id = stack->id[--stack->n];
        struct tbi_object *object = tbi_directory_object(dir, id, NULL);

        if (object != NULL && object->holders > 0) {
            object->holders--;
            settle_one(dir, id, stack, gone, ctx);
        }
    }
    free(stack->id);
}

void tbi_directory_release(struct tbi_directory *dir, struct tbi_id id, tbi_gone_fn *gone,
                           void *ctx)
{
    struct stack stack = {0};
    struct tbi_object *object = tbi_directory_object(dir, id, NULL);

    if (object == NULL || object->holders == 0)
        return;
    object->holders--;
    settle_one(dir, id, &stack, gone, ctx);
    drain(dir, &stack, gone, ctx);
}

void tbi_directory_settle(struct tbi_directory *dir, struct tbi_id id, tbi_gone_fn *gone, void *ctx)
{
    struct stack stack = {0};

    settle_one(dir, id, &stack, gone, ctx);
    drain(dir, &stack, gone, ctx);
}

void tbi_object_add_waiter(struct tbi_object *object, struct tbi_waiter waiter)
{
    struct tbi_waiter *w = tbi_copy(&waiter, sizeof waiter);

    w->next = object->waiters;
    object->waiters = w;
}

static bool same_question(const struct tbi_waiter *a, const struct tbi_waiter *b)
{
    return a->rank == b->rank && a->proc == b->proc && !((a->flags ^ b->flags) & TBI_GET_EXISTS);
}

void tbi_object_add_asker(struct tbi_object *object, struct tbi_waiter waiter, struct tbi_link *questions,
                          uint64_t now_us)
{
    struct tbi_question question = {.object = object, .since_us = now_us}, *q;
    struct tbi_waiter *w = object->askers;

    while (w != NULL && !same_question(w, &waiter))
        w = w->next;
    if (w != NULL)
        return;
    waiter.next = object->askers;
    question.waiter = waiter;
    if (questions == NULL) {
        object->askers = tbi_copy(&waiter, sizeof waiter);
        return;
    }
    q = tbi_copy(&question, sizeof question);
    tbi_list_append(questions, &q->link);
    object->askers = &q->waiter;
}

static void drop_asker(struct tbi_waiter **at)
{
    struct tbi_waiter *w = *at;

    *at = w->next;
    if (has_list(w))
        tbi_list_unlink(&TBI_ENTRY(w, struct tbi_question, waiter)->link);
    free(w);
}

void tbi_object_remove_askers(struct tbi_object *object, uint32_t rank, uint32_t proc)
{
    for (struct tbi_waiter **at = &object->askers; *at != NULL;)
        if ((*at)->rank == rank && (*at)->proc == proc)
            drop_asker(at);
        else
            at = &(*at)->next;
}

void tbi_question_drop(struct tbi_question *q)
{
    struct tbi_waiter **at = &q->object->askers;

    while (*at != &q->waiter)
        at = &(*at)->next;
    drop_asker(at);
}

/* In front of `to`, oldest first. */
static struct tbi_waiter *take(struct tbi_waiter **list, struct tbi_waiter *to)
{
    struct tbi_waiter *w;

    while ((w = *list) != NULL) {
        *list = w->next;
        w->next = to;
        to = w;
    }
    return to;
}

struct tbi_waiter *tbi_object_take_waiters(struct tbi_object *object)
{
    take_from_lists(object->askers);
    return take(&object->askers, take(&object->waiters, NULL));
}

void tbi_object_add_replica(struct tbi_object *object, unsigned rank)
{
    struct tbi_ranks *r = object->replicas;
    uint32_t n = r == NULL ? 0 : r->n;

    for (uint32_t k = 0; k < n; k++)
        if (r->rank[k] == rank)
            return;
    if (r == NULL || n == r->room) {
        uint32_t room = n * 2 + 2;

        r = tbi_realloc(r, sizeof *r + room * sizeof r->rank[0]);
        r->room = room;
        object->replicas = r;
    }
    r->rank[n] = rank;
    r->n = n + 1;
}

void tbi_object_remove_replica(struct tbi_object *object, unsigned rank)
{
    struct tbi_ranks *r = object->replicas;

    for (uint32_t k = 0; r != NULL && k < r->n; k++)
        if (r->rank[k] == rank) {
            r->rank[k] = r->rank[--r->n];
            return;
        }
}

const char *tbi_directory_check(const struct tbi_directory *dir)
{
    struct tbi_map_slot e;
    size_t at = 0, objects = 0;

    while (tbi_map_next(&dir->makers, &at, &e)) {
        const struct tbi_maker *m = e.value;
        unsigned live = 0;

        for (unsigned i = 0; i < m->nobjects; i++) {
            const struct tbi_object *o = &m->object[i];

            live += o->state != TBI_FREED;
            if (o->state != TBI_PENDING && (o->waiters != NULL || o->askers != NULL))
                return "waiters on an object that is not pending";
            if (o->state == TBI_FREED && (o->payload || o->contained || o->replicas))
                return "a freed object still owns something";
            if (o->state != TBI_FREED && o->state != TBI_PENDING && o->holders == 0)
                return "an object that nobody holds is alive";
            if (o->state == TBI_PENDING && m->state == TBI_ENDED)
                return "an ended task left an object pending";
            if (o->state == TBI_FAILED && o->payload == NULL)
                return "a failed object has no error";
        }
        if (live != m->live)
            return "the count of live objects is wrong";
        if (m->state == TBI_ENDED && live == 0)
            return "an ended maker without objects was not reaped";
        objects += live;
    }
    return objects == dir->objects ? NULL : "the sum of live objects is wrong";
}
