/* objects.c - the objects an agent knows: its own, copies of others', and others' memory on the same
 * host that it reads under a lease.
 *
 *   create -> OPEN -> SEALED (primary)
 *   need, other host -> [ROOM ->] ASKED -> COPYING -> SEALED (copy)
 *   need, same host  ->           ASKED -> MAPPED
 *
 * A pin is a job or a view of a process here; a lease is another agent's pin on ours. What is
 * pinned or leased is never freed: FREE only dooms it, and the last pin or lease ends it. A copy without either
 * gives way when its room is wanted, see rooms.c. A MAPPED object is let go with its last pin. An owner that has the object no more refuses, and the head is
 * asked again. */
#include "node/local.h"
#include "thornback.h"
#include "util/alloc.h"

struct tbi_local *tbi_objects_find(const struct tbi_agent *agent, struct tbi_id id)
{
    return tbi_map_get(&agent->objects, id);
}

bool tbi_objects_usable(const struct tbi_local *object)
{
    return object->state == TBI_LOCAL_SEALED || object->state == TBI_LOCAL_MAPPED;
}

static struct tbi_local *add(struct tbi_agent *agent, struct tbi_id id, uint64_t bytes)
{
    struct tbi_local *object = tbi_alloc_zeroed(1, sizeof *object);

    object->id = id;
    object->bytes = bytes;
    object->rank = agent->config.rank;
    tbi_list_init(&object->needs);
    tbi_map_put(&agent->objects, id, object);
    return object;
}

static void send_fetch_done(struct tbi_agent *agent, struct tbi_local *object)
{
    struct msg_fetch_end *m = agent->port.send(agent->port.ctx, object->rank, TBI_MSG_FETCH_DONE,
                                               TBI_PROC_NONE, sizeof *m);

    *m = (struct msg_fetch_end){object->id, object->ticket, 0};
    object->ticket = 0;
}

static void destroy(struct tbi_agent *agent, struct tbi_local *object)
{
    if (object->ticket != 0)
        tbi_map_take(&agent->tickets, tbi_small_id(object->ticket));
    if (object->jobs > 0)
        agent->admitted_bytes -= object->bytes;
    tbi_rooms_unspare(agent, object);
    tbi_map_take(&agent->objects, object->id);
    free(object);
}

/* Lets go of an object that nothing here uses any more, if its state says so. */
static void settle(struct tbi_agent *agent, struct tbi_local *object)
{
    if (object->pins > 0 || object->leases > 0 || !tbi_list_empty(&object->needs))
        return;
    if (object->state == TBI_LOCAL_MAPPED) {
        tbi_map_take(&agent->tickets, tbi_small_id(object->ticket));
        send_fetch_done(agent, object);
        destroy(agent, object);
    } else if (object->state == TBI_LOCAL_SEALED && object->doomed) {
        tbi_segment_free(agent->segment, object->offset);
        destroy(agent, object);
        tbi_rooms_serve(agent);
    } else if (object->state == TBI_LOCAL_SEALED && object->copy) {
        tbi_rooms_spare(agent, object);
        tbi_rooms_serve(agent);
    }
}

void tbi_objects_pin(struct tbi_agent *agent, struct tbi_local *object)
{
    tbi_rooms_unspare(agent, object);
    object->pins++;
    agent->pins++;
}

void tbi_objects_unpin(struct tbi_agent *agent, struct tbi_local *object)
{
    object->pins--;
    agent->pins--;
    settle(agent, object);
}

/* ---- who waits for an object ---- */

/* All that there are now, to `taken`: an answer may set off new ones. */
static void take_needs(struct tbi_local *object, struct tbi_link *taken)
{
    tbi_list_init(taken);
    while (!tbi_list_empty(&object->needs)) {
        struct tbi_need *need = TBI_ENTRY(object->needs.next, struct tbi_need, link);

        tbi_list_unlink(&need->of_proc);
        tbi_list_unlink(&need->link);
        tbi_list_append(taken, &need->link);
    }
}

static struct tbi_need *next_of(struct tbi_link *taken)
{
    struct tbi_need *need;

    if (tbi_list_empty(taken))
        return NULL;
    need = TBI_ENTRY(taken->next, struct tbi_need, link);
    tbi_list_unlink(&need->link);
    return need;
}

static void satisfy(struct tbi_agent *agent, struct tbi_local *object)
{
    struct tbi_link taken;
    struct tbi_need *need;

    take_needs(object, &taken);
    object->pins++; /* telling one must not end it for the next */
    while ((need = next_of(&taken)) != NULL) {
        if (need->job != NULL) {
            tbi_objects_pin(agent, object);
            tbi_jobs_argument_here(agent, need->job);
        } else {
            tbi_procs_tell(agent, need->proc, object);
        }
        free(need);
    }
    object->pins--;
    settle(agent, object);
}

/* The object cannot be had: everyone who waits for it gets the error, and it is forgotten. */
static void give_up(struct tbi_agent *agent, struct tbi_local *object, const void *error,
                    uint32_t bytes)
{
    struct tbi_id id = object->id;
    struct tbi_link taken;
    struct tbi_need *need;

    take_needs(object, &taken);
    destroy(agent, object);
    while ((need = next_of(&taken)) != NULL) {
        if (need->job != NULL) {
            tbi_jobs_argument_failed(agent, need->job, id, error, bytes);
        } else if (tbi_procs_find(agent, need->proc) != NULL) {
            struct msg_located *m =
                agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_OBJECT, need->proc,
                                 sizeof *m + tbi_padded(bytes));

            *m = (struct msg_located){.id = id, .where = TBI_AT_ERROR, .bytes = bytes};
            memcpy(m + 1, error, bytes);
        }
        free(need);
    }
}

static void forget(struct tbi_agent *agent, struct tbi_need *need)
{
    struct tbi_local *object = need->object;

    tbi_list_unlink(&need->link);
    tbi_list_unlink(&need->of_proc);
    free(need);
    if (tbi_list_empty(&object->needs) && object->state == TBI_LOCAL_ROOM) { /* nobody wants it any more */
        tbi_rooms_forget_copy(object);
        destroy(agent, object);
    }
}

/* One for each time it has asked. Either list may be long: all who wait for the object, or all that the process waits
 * for. So both are walked, until the shorter one ends. */
static struct tbi_need *find_need(const struct tbi_local *object, const struct tbi_proc *proc)
{
    struct tbi_link *l = object->needs.next, *m = proc->needs.next;

    for (; l != &object->needs && m != &proc->needs; l = l->next, m = m->next) {
        struct tbi_need *of_object = TBI_ENTRY(l, struct tbi_need, link);
        struct tbi_need *of_proc = TBI_ENTRY(m, struct tbi_need, of_proc);

        if (of_object->job == NULL && of_object->proc == proc->proc)
            return of_object;
        if (of_proc->object == object)
            return of_proc;
    }
    return NULL;
}

void tbi_objects_forget_need(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id id)
{
    struct tbi_local *object;
    struct tbi_need *need;

    while ((object = tbi_list_empty(&proc->needs) ? NULL : tbi_objects_find(agent, id)) != NULL &&
           (need = find_need(object, proc)) != NULL)
        forget(agent, need);
}

void tbi_objects_forget_needs(struct tbi_agent *agent, struct tbi_proc *proc)
{
    while (!tbi_list_empty(&proc->needs))
        forget(agent, TBI_ENTRY(proc->needs.next, struct tbi_need, of_proc));
}

/* ---- room ---- */

static int store_full(const struct tbi_agent *agent, uint64_t bytes, struct tbi_error_link *link)
{
    return tbi_error_link(link, TB_ERR_STORE_FULL,
                          "no room for an object of %llu bytes in the store of rank %u: %llu of "
                          "%llu bytes are in use; release objects or set TB_STORE higher",
                          (unsigned long long)bytes, agent->config.rank,
                          (unsigned long long)tbi_segment_used(agent->segment),
                          (unsigned long long)tbi_segment_capacity(agent->segment));
}

static void send_fetch(struct tbi_agent *agent, struct tbi_local *object, enum tbi_fetch_mode mode)
{
    struct msg_fetch *m = agent->port.send(agent->port.ctx, object->rank, TBI_MSG_FETCH,
                                           TBI_PROC_NONE, sizeof *m);

    do
        object->ticket = ++agent->next_ticket;
    while (object->ticket == 0); /* 0 means none, also after 2^32 fetches */
    tbi_map_put(&agent->tickets, tbi_small_id(object->ticket), object);
    *m = (struct msg_fetch){object->id, (uint32_t)mode, object->ticket};
    object->state = TBI_LOCAL_ASKED;
}

/* Where else is it? */
static void ask_head(struct tbi_agent *agent, struct tbi_local *object)
{
    struct msg_get *ask = agent->port.send(agent->port.ctx, 0, TBI_MSG_RESOLVE, TBI_PROC_NONE, sizeof *ask);

    *ask = (struct msg_get){object->id, 0, 0};
    object->state = TBI_LOCAL_ASKED;
}

/* Ask object->rank for it, with room for the copy if it is on another host. */
static void begin(struct tbi_agent *agent, struct tbi_local *object)
{
    const unsigned *host = agent->config.host;
    struct tbi_error_link link;
    struct tbi_extent extent;

    if (object->rank == agent->config.rank) {
        ask_head(agent, object); /* it was sent here for a copy that we have given up since */
    } else if (host[object->rank] == host[agent->config.rank]) {
        send_fetch(agent, object, TBI_FETCH_MAP);
    } else if (object->bytes > tbi_segment_capacity(agent->segment)) {
        store_full(agent, object->bytes, &link);
        give_up(agent, object, &link, sizeof link);
    } else if (tbi_rooms_take(agent, object->bytes, &extent)) {
        object->offset = extent.offset;
        object->room = extent.bytes;
        send_fetch(agent, object, agent->config.fetch);
    } else {
        object->state = TBI_LOCAL_ROOM;
        object->waits = tbi_rooms_wait(agent, object->id, object->bytes, NULL);
    }
}

static void lend(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id id, uint64_t bytes,
                 const struct tbi_extent *extent)
{
    struct tbi_local *object = add(agent, id, bytes);
    struct msg_created *m = agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_CREATED,
                                             proc->proc, sizeof *m);

    object->state = TBI_LOCAL_OPEN;
    object->offset = extent->offset;
    object->room = extent->bytes;
    tbi_map_put(&proc->open, id, object);
    *m = (struct msg_created){.id = id, .offset = extent->offset, .bytes = bytes,
                              .cold = extent->cold_to > extent->cold_from};
}

static void refuse_create(struct tbi_agent *agent, uint32_t proc, struct tbi_id id, uint64_t bytes)
{
    struct tbi_error_link link;
    struct msg_created *m = agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_CREATED,
                                             proc, sizeof *m + sizeof link);

    store_full(agent, bytes, &link);
    *m = (struct msg_created){.id = id, .bytes = bytes, .error_bytes = sizeof link};
    memcpy(m + 1, &link, sizeof link);
}

void tbi_objects_create(struct tbi_agent *agent, struct tbi_proc *proc, const struct msg_create *m)
{
    struct tbi_extent extent;

    if (m->bytes > tbi_segment_capacity(agent->segment))
        refuse_create(agent, proc->proc, m->id, m->bytes);
    else if (tbi_rooms_take(agent, m->bytes, &extent))
        lend(agent, proc, m->id, m->bytes, &extent);
    else
        tbi_rooms_wait(agent, m->id, m->bytes, proc);
}

void tbi_objects_give_room(struct tbi_agent *agent, const struct tbi_room *room, const struct tbi_extent *extent)
{
    struct tbi_local *object;

    if (room->proc != TBI_PROC_NONE) {
        lend(agent, tbi_procs_find(agent, room->proc), room->id, room->bytes, extent);
        return;
    }
    object = tbi_objects_find(agent, room->id);
    object->offset = extent->offset;
    object->room = extent->bytes;
    send_fetch(agent, object, agent->config.fetch);
}

void tbi_objects_refuse_room(struct tbi_agent *agent, const struct tbi_room *room)
{
    struct tbi_error_link link;

    if (room->proc != TBI_PROC_NONE) {
        refuse_create(agent, room->proc, room->id, room->bytes);
        return;
    }
    store_full(agent, room->bytes, &link);
    give_up(agent, tbi_objects_find(agent, room->id), &link, sizeof link);
}

void tbi_objects_evict(struct tbi_agent *agent, struct tbi_local *copy)
{
    struct msg_object *m = agent->port.send(agent->port.ctx, 0, TBI_MSG_EVICTED, TBI_PROC_NONE, sizeof *m);

    m->id = copy->id;
    tbi_segment_free(agent->segment, copy->offset);
    destroy(agent, copy);
}

/* ---- writing ---- */

void tbi_objects_abandon(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id id)
{
    struct tbi_local *object = tbi_map_take(&proc->open, id);

    tbi_segment_free_unused(agent->segment, object->offset);
    destroy(agent, object);
    tbi_rooms_serve(agent);
}

const char *tbi_objects_seal(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id id,
                             uint64_t bytes)
{
    struct tbi_local *object = tbi_map_get(&proc->open, id);

    (void)agent;
    if (object == NULL || bytes > object->bytes)
        return "an object is sealed that was not created, or with more bytes";
    tbi_map_take(&proc->open, id);
    object->bytes = bytes;
    object->state = TBI_LOCAL_SEALED;
    return NULL;
}

void tbi_objects_on_free(struct tbi_agent *agent, struct tbi_id id)
{
    struct tbi_local *object = tbi_objects_find(agent, id);

    if (object == NULL)
        return;
    object->doomed = true;
    settle(agent, object);
}

/* ---- between agents ---- */

void tbi_objects_need(struct tbi_agent *agent, const struct msg_located *at, struct tbi_need need)
{
    struct tbi_local *object = tbi_objects_find(agent, at->id);
    bool fresh = object == NULL;
    struct tbi_need *n = tbi_copy(&need, sizeof need);
    struct tbi_proc *proc = need.job == NULL ? tbi_procs_find(agent, need.proc) : NULL;

    if (fresh) {
        object = add(agent, at->id, at->bytes);
        object->rank = at->rank;
    }
    object->unconfirmed = false; /* the head has sent us to it */
    tbi_list_append(&object->needs, &n->link);
    n->object = object;
    if (proc != NULL)
        tbi_list_append(&proc->needs, &n->of_proc);
    tbi_rooms_unspare(agent, object);
    if (fresh)
        begin(agent, object);
    else if (tbi_objects_usable(object))
        satisfy(agent, object);
}

void tbi_objects_on_fetch(struct tbi_agent *agent, unsigned rank, const struct msg_fetch *m)
{
    struct tbi_local *object = tbi_objects_find(agent, m->id);
    struct msg_fetched *answer = agent->port.send(agent->port.ctx, rank, TBI_MSG_FETCHED,
                                                  TBI_PROC_NONE, sizeof *answer);

    *answer = (struct msg_fetched){.id = m->id, .ticket = m->ticket, .refused = 1};
    if (object == NULL || object->state != TBI_LOCAL_SEALED)
        return;
    object->leases++;
    agent->leases++;
    tbi_rooms_unspare(agent, object);
    answer->refused = 0;
    answer->offset = object->offset;
    answer->bytes = object->bytes;
    if (m->mode == TBI_FETCH_P2P)
        agent->ops.push(agent->ops.ctx, m->ticket, rank, object->offset, object->bytes);
}

const char *tbi_objects_on_fetch_done(struct tbi_agent *agent, const struct msg_fetch_end *m)
{
    struct tbi_local *object = tbi_objects_find(agent, m->id);

    if (object == NULL || object->leases == 0)
        return "FETCH_DONE of an object that is not leased";
    object->leases--;
    agent->leases--;
    settle(agent, object);
    return NULL;
}

const char *tbi_objects_on_fetched(struct tbi_agent *agent, const struct msg_fetched *m)
{
    struct tbi_local *object = tbi_map_get(&agent->tickets, tbi_small_id(m->ticket));
    const unsigned *host = agent->config.host;
    bool map;

    if (object == NULL || object->state != TBI_LOCAL_ASKED || !tbi_id_equal(object->id, m->id))
        return "FETCHED that was not asked for";
    map = host[object->rank] == host[agent->config.rank];
    if (!m->refused && m->bytes != object->bytes)
        return "FETCHED of another size than the head said";
    if (m->refused) {
        tbi_map_take(&agent->tickets, tbi_small_id(object->ticket));
        object->ticket = 0;
        if (!map) {
            tbi_segment_free_unused(agent->segment, object->offset);
            object->room = 0;
            tbi_rooms_serve(agent);
        }
        ask_head(agent, object);
    } else if (map) {
        object->state = TBI_LOCAL_MAPPED;
        object->offset = m->offset;
        satisfy(agent, object);
    } else {
        object->state = TBI_LOCAL_COPYING;
        agent->ops.copy(agent->ops.ctx, object->ticket, object->rank, m->offset, object->offset,
                        object->bytes);
    }
    return NULL;
}

void tbi_objects_on_located(struct tbi_agent *agent, const struct msg_located *m)
{
    struct tbi_local *object = tbi_objects_find(agent, m->id);

    if (object == NULL || object->state != TBI_LOCAL_ASKED || object->ticket != 0)
        return;
    if (m->where == TBI_AT_STORE) {
        object->rank = m->rank;
        begin(agent, object);
    } else {
        give_up(agent, object, m + 1, (uint32_t)m->bytes);
    }
}

void tbi_agent_copied(struct tbi_agent *agent, uint32_t ticket, bool ok)
{
    struct tbi_local *object = tbi_map_take(&agent->tickets, tbi_small_id(ticket));
    struct tbi_error_link link;
    struct msg_object *m;

    send_fetch_done(agent, object);
    if (!ok) {
        store_full(agent, object->bytes, &link);
        tbi_segment_free_unused(agent->segment, object->offset);
        give_up(agent, object, &link, sizeof link);
        tbi_rooms_serve(agent);
        tbi_run_start(agent);
        return;
    }
    object->state = TBI_LOCAL_SEALED;
    object->copy = true;
    object->rank = agent->config.rank;
    m = agent->port.send(agent->port.ctx, 0, TBI_MSG_REPLICA, TBI_PROC_NONE, sizeof *m);
    m->id = object->id;
    satisfy(agent, object);
    tbi_run_start(agent);
}
