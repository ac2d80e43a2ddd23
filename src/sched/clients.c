#include "sched/clients.h"
#include "sched/graph.h"
#include "util/alloc.h"

static struct tbi_id key_of(unsigned rank, uint32_t proc)
{
    return (struct tbi_id){1, (uint64_t)rank << 32 | proc};
}

struct tbi_client *tbi_clients_of(struct tbi_sched *sched, unsigned rank, uint32_t proc)
{
    struct tbi_id key = key_of(rank, proc);
    struct tbi_client *client;

    if (proc == TBI_PROC_DRIVER || proc == TBI_PROC_NONE)
        return NULL;
    client = tbi_map_get(&sched->clients, key);
    if (client == NULL) {
        client = tbi_alloc(sizeof *client);
        tbi_list_init(&client->questions);
        tbi_list_init(&client->callers);
        client->task = (struct tbi_id){0};
        tbi_map_put(&sched->clients, key, client);
    }
    return client;
}

void tbi_clients_note_task(struct tbi_sched *sched, unsigned rank, uint32_t proc, struct tbi_id task)
{
    struct tbi_client *client = tbi_clients_of(sched, rank, proc);

    if (client != NULL)
        client->task = task;
}

const struct tbi_client *tbi_clients_find(const struct tbi_sched *sched, unsigned rank, uint32_t proc)
{
    return tbi_map_get(&sched->clients, key_of(rank, proc));
}

struct tbi_maker *tbi_clients_task(const struct tbi_sched *sched, unsigned rank, const struct tbi_client *client)
{
    struct tbi_maker *task = tbi_id_is_null(client->task) ? NULL : tbi_directory_maker(&sched->dir, client->task);

    return task != NULL && task->node == rank && (task->state == TBI_BLOCKED || task->settled) ? task : NULL;
}

const struct tbi_client *tbi_clients_next(const struct tbi_sched *sched, size_t *at, unsigned *rank)
{
    struct tbi_map_slot e;

    if (!tbi_map_next(&sched->clients, at, &e))
        return NULL;
    *rank = (unsigned)(e.key.lo >> 32);
    return e.value;
}

void tbi_clients_fini(struct tbi_sched *sched)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&sched->clients, &at, &e);)
        free(e.value);
    tbi_map_fini(&sched->clients);
}

const char *tbi_clients_on_forget(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_object *object = tbi_directory_object(&sched->dir, m->id, NULL);

    if (object != NULL) /* else it was answered */
        tbi_object_remove_askers(object, rank, record->proc);
    return NULL;
}

/* All that the process has sent came before. */
const char *tbi_clients_on_gone(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    struct tbi_client *client;

    if (record->proc == TBI_PROC_DRIVER || record->proc == TBI_PROC_NONE)
        return "GONE of no process of tasks";
    client = tbi_map_take(&sched->clients, key_of(rank, record->proc));
    tbi_submitters_gone(sched, rank, record->proc);
    if (client == NULL)
        return NULL;
    while (!tbi_list_empty(&client->questions))
        tbi_question_drop(TBI_ENTRY(client->questions.next, struct tbi_question, link));
    tbi_actors_caller_gone(sched, client);
    free(client);
    return NULL;
}

const char *tbi_clients_check(const struct tbi_sched *sched)
{
    struct tbi_map_slot e;
    size_t asked = 0, of_clients = 0;

    for (size_t at = 0; tbi_map_next(&sched->dir.makers, &at, &e);) {
        const struct tbi_maker *m = e.value;

        for (unsigned i = 0; i < m->nobjects; i++)
            for (const struct tbi_waiter *w = m->object[i].askers; w != NULL; w = w->next)
                asked += w->proc != TBI_PROC_DRIVER && w->proc != TBI_PROC_NONE;
    }
    for (size_t at = 0; tbi_map_next(&sched->clients, &at, &e);) {
        const struct tbi_client *client = e.value;

        for (const struct tbi_link *l = client->questions.next; l != &client->questions; l = l->next, of_clients++)
            if (!tbi_id_equal(key_of(TBI_ENTRY(l, struct tbi_question, link)->waiter.rank,
                                     TBI_ENTRY(l, struct tbi_question, link)->waiter.proc), e.key))
                return "a question is on record for another process";
    }
    return asked == of_clients ? NULL : "questions are on record that no object knows, or the other way round";
}
