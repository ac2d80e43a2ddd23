/* actor_names.c - which actor has which name. */
#include "sched/actor_parts.h"
#include "sched/graph.h"
#include "util/alloc.h"

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static struct tbi_id name_hash(const char *name, uint32_t bytes)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (uint32_t i = 0; i < bytes; i++)
        h = (h ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
    return (struct tbi_id){1, h};
}

struct tbi_actor *tbi_actor_find_name(const struct tbi_sched *sched, const char *name, uint32_t bytes)
{
    struct tbi_actor *actor = bytes == 0 ? NULL : tbi_map_get(&sched->actors.by_name,
                                                              name_hash(name, bytes));

    while (actor != NULL &&
           (actor->name_bytes != bytes || memcmp(actor->name, name, bytes) != 0))
        actor = actor->namesake;
    return actor;
}

void tbi_actor_give_name(struct tbi_sched *sched, struct tbi_actor *actor, const char *name,
                      uint32_t bytes)
{
    struct tbi_id hash = name_hash(name, bytes);

    if (bytes == 0)
        return;
    actor->name = tbi_copy(name, bytes);
    actor->name_bytes = bytes;
    actor->namesake = tbi_map_take(&sched->actors.by_name, hash);
    tbi_map_put(&sched->actors.by_name, hash, actor);
}

void tbi_actor_free_name(struct tbi_sched *sched, struct tbi_actor *actor)
{
    struct tbi_id hash = name_hash(actor->name, actor->name_bytes);
    struct tbi_actor *first, **at = &first;

    if (actor->name_bytes == 0)
        return;
    first = tbi_map_take(&sched->actors.by_name, hash);
    while (*at != actor)
        at = &(*at)->namesake;
    *at = actor->namesake;
    if (first != NULL)
        tbi_map_put(&sched->actors.by_name, hash, first);
    actor->name_bytes = 0;
}

static void identify(struct tbi_sched *sched, unsigned rank, uint32_t proc, struct tbi_id submitted,
                     struct tbi_id id, uint64_t ticket)
{
    struct msg_found *m = sched->port.send(sched->port.ctx, rank, TBI_MSG_IDENTIFY, proc, sizeof *m);

    *m = (struct msg_found){submitted, id, ticket};
}

const char *tbi_actors_on_find(struct tbi_sched *sched, unsigned rank,
                               const struct tbi_record *record)
{
    const struct msg_find *m = (const struct msg_find *)(record + 1);
    struct tbi_actor *actor = tbi_actor_find_name(sched, (const char *)(m + 1), m->name_bytes);

    if (actor != NULL)
        tbi_actor_object(sched, actor)->holders++;
    identify(sched, rank, record->proc, (struct tbi_id){0},
             actor != NULL ? actor->maker->id : (struct tbi_id){0}, m->ticket);
    return NULL;
}

void tbi_actors_answer(struct tbi_sched *sched, unsigned rank, uint32_t proc, const struct msg_submit *m)
{
    const struct msg_actor *terms = tbi_submit_actor(m);

    if (terms != NULL && terms->flags & TBI_ACTOR_GET)
        identify(sched, rank, proc, m->task, m->task, terms->ticket);
}

bool tbi_actors_get(struct tbi_sched *sched, unsigned rank, uint32_t proc, const struct msg_submit *m)
{
    const struct msg_actor *terms = tbi_submit_actor(m);
    struct tbi_actor *actor = NULL;

    if (terms != NULL && terms->flags & TBI_ACTOR_GET)
        actor = tbi_actor_find_name(sched, (const char *)(terms + 1), terms->name_bytes);
    if (actor == NULL)
        return false;
    tbi_actor_object(sched, actor)->holders++;
    identify(sched, rank, proc, m->task, actor->maker->id, terms->ticket);
    return true;
}
