/* rooms.c - room in this rank's part of the store: who waits for it, and what gives way.
 *
 * Creates of processes and copies of others' objects get room in the order in which they ask. A request that fits may
 * pass the first one that does not, until as many bytes as the store has were given past that: from then on all
 * that is freed is kept for it. Each one waits for a limited time.
 *
 * A copy of another rank's object that nobody uses any more stays, for it may be used again, until its room is wanted:
 * then the one that was used longest ago goes first, and the head is told. */
#include "node/local.h"
#include "util/alloc.h"

static struct tbi_room *first(const struct tbi_agent *agent)
{
    return tbi_list_empty(&agent->rooms) ? NULL : TBI_ENTRY(agent->rooms.next, struct tbi_room, link);
}

/* ---- copies that nobody uses ---- */

void tbi_rooms_spare(struct tbi_agent *agent, struct tbi_local *copy)
{
    tbi_list_append(&agent->spare, &copy->spare);
    agent->spare_bytes += copy->room;
}

void tbi_rooms_unspare(struct tbi_agent *agent, struct tbi_local *object)
{
    if (!tbi_list_linked(&object->spare))
        return;
    tbi_list_unlink(&object->spare);
    agent->spare_bytes -= object->room;
}

/* Nothing is given up in vain, as far as the sum can say. */
static bool find_room(struct tbi_agent *agent, uint64_t bytes, struct tbi_extent *extent)
{
    uint64_t kept = tbi_segment_used(agent->segment) - agent->spare_bytes;

    if (tbi_segment_alloc(agent->segment, bytes, extent))
        return true;
    if (kept > tbi_segment_capacity(agent->segment) || bytes > tbi_segment_capacity(agent->segment) - kept)
        return false;
    while (!tbi_list_empty(&agent->spare)) {
        tbi_objects_evict(agent, TBI_ENTRY(agent->spare.next, struct tbi_local, spare));
        if (tbi_segment_alloc(agent->segment, bytes, extent))
            return true;
    }
    return false;
}

/* ---- who waits ---- */

const struct tbi_room *tbi_rooms_of(const struct tbi_proc *proc)
{
    return tbi_list_empty(&proc->rooms) ? NULL : TBI_ENTRY(proc->rooms.next, struct tbi_room, of_proc);
}

static bool may_pass(const struct tbi_agent *agent, const struct tbi_room *room, uint64_t bytes)
{
    return room->passed + bytes <= tbi_segment_capacity(agent->segment);
}

bool tbi_rooms_take(struct tbi_agent *agent, uint64_t bytes, struct tbi_extent *extent)
{
    struct tbi_room *waits = first(agent);

    if ((waits != NULL && !may_pass(agent, waits, bytes)) || !find_room(agent, bytes, extent))
        return false;
    if (waits != NULL)
        waits->passed += bytes;
    return true;
}

struct tbi_room *tbi_rooms_wait(struct tbi_agent *agent, struct tbi_id id, uint64_t bytes, struct tbi_proc *proc)
{
    struct tbi_room *room = tbi_alloc_zeroed(1, sizeof *room);

    *room = (struct tbi_room){.id = id, .bytes = bytes, .proc = proc != NULL ? proc->proc : TBI_PROC_NONE,
                              .deadline_us = agent->now_us + agent->config.create_timeout_us};
    tbi_list_append(&agent->rooms, &room->link);
    if (proc != NULL)
        tbi_list_append(&proc->rooms, &room->of_proc);
    return room;
}

static void drop(struct tbi_room *room)
{
    tbi_list_unlink(&room->link);
    tbi_list_unlink(&room->of_proc);
    free(room);
}

void tbi_rooms_serve(struct tbi_agent *agent)
{
    uint64_t too_much = UINT64_MAX; /* for so many bytes there was no room, nor is there for more */

    for (struct tbi_link *l = agent->rooms.next, *next; l != &agent->rooms; l = next) {
        struct tbi_room *room = TBI_ENTRY(l, struct tbi_room, link), *waits = first(agent);
        struct tbi_extent extent;

        next = l->next;
        if (room != waits && !may_pass(agent, waits, room->bytes))
            return;
        if (room->bytes >= too_much)
            continue;
        if (!find_room(agent, room->bytes, &extent)) {
            too_much = room->bytes;
            continue;
        }
        waits->passed += room->bytes;
        tbi_objects_give_room(agent, room, &extent);
        drop(room);
    }
}

struct tbi_room *tbi_rooms_find(const struct tbi_proc *proc, struct tbi_id id)
{
    for (struct tbi_link *l = proc->rooms.next; l != &proc->rooms; l = l->next) {
        struct tbi_room *room = TBI_ENTRY(l, struct tbi_room, of_proc);

        if (tbi_id_equal(room->id, id))
            return room;
    }
    return NULL;
}

void tbi_rooms_end(struct tbi_agent *agent, struct tbi_room *room)
{
    tbi_objects_refuse_room(agent, room);
    drop(room);
    tbi_rooms_serve(agent); /* it may have stood in front of smaller ones */
}

void tbi_rooms_end_task(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id task)
{
    for (struct tbi_link *l = proc->rooms.next, *next; l != &proc->rooms; l = next) {
        struct tbi_room *room = TBI_ENTRY(l, struct tbi_room, of_proc);

        next = l->next;
        if (tbi_id_equal(tbi_id_task(room->id), task)) {
            tbi_objects_refuse_room(agent, room);
            drop(room);
        }
    }
}

void tbi_rooms_forget(struct tbi_proc *proc)
{
    while (!tbi_list_empty(&proc->rooms))
        drop(TBI_ENTRY(proc->rooms.next, struct tbi_room, of_proc));
}

void tbi_rooms_forget_copy(struct tbi_local *object)
{
    drop(object->waits);
}

uint64_t tbi_rooms_deadline(const struct tbi_agent *agent)
{
    return tbi_list_empty(&agent->rooms) ? UINT64_MAX : first(agent)->deadline_us;
}

void tbi_rooms_tick(struct tbi_agent *agent)
{
    while (tbi_rooms_deadline(agent) <= agent->now_us) {
        struct tbi_room *room = first(agent);

        tbi_list_unlink(&room->link); /* what a refusal sets off finds it gone */
        tbi_list_unlink(&room->of_proc);
        tbi_objects_refuse_room(agent, room);
        free(room);
    }
    tbi_rooms_serve(agent);
}

void tbi_rooms_destroy(struct tbi_agent *agent)
{
    while (!tbi_list_empty(&agent->rooms))
        drop(first(agent));
}

/* ---- checks ---- */

static bool is_waiting(const struct tbi_agent *agent, const struct tbi_room *room)
{
    for (const struct tbi_link *l = agent->rooms.next; l != &agent->rooms; l = l->next)
        if (l == &room->link)
            return true;
    return false;
}

static const char *check_room(const struct tbi_agent *agent, const struct tbi_room *room)
{
    const struct tbi_local *object = tbi_objects_find(agent, room->id);

    if (room->proc == TBI_PROC_NONE)
        return object == NULL || object->state != TBI_LOCAL_ROOM || object->waits != room ? "room is wanted for no copy" : NULL;
    if (tbi_procs_find(agent, room->proc) == NULL)
        return "a process that has ended waits for room";
    return object != NULL ? "a process waits for room that it has" : NULL;
}

const char *tbi_rooms_check(const struct tbi_agent *agent)
{
    struct tbi_map_slot e;
    uint64_t spare = 0;

    for (const struct tbi_link *l = agent->rooms.next; l != &agent->rooms; l = l->next) {
        const char *why = check_room(agent, TBI_ENTRY(l, struct tbi_room, link));

        if (why != NULL)
            return why;
    }
    for (size_t at = 0; tbi_map_next(&agent->objects, &at, &e);) {
        const struct tbi_local *object = e.value;
        bool unused = object->copy && object->state == TBI_LOCAL_SEALED && object->pins == 0 &&
                      object->leases == 0 && tbi_list_empty(&object->needs);

        if (unused != tbi_list_linked(&object->spare))
            return "a copy that is in use may be given up, or one that is not may not";
        spare += unused ? object->room : 0;
        if (object->state == TBI_LOCAL_ROOM && !is_waiting(agent, object->waits))
            return "a copy waits for room that nobody gives it";
    }
    return spare == agent->spare_bytes ? NULL : "the room of copies that nobody uses is counted wrongly";
}
