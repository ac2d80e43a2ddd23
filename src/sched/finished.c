/* finished.c - FINISHED: what becomes of a task that has ended at its node, of its results and of the refs that its
 * process goes on holding. */
#include "sched/failure.h"
#include "sched/graph.h"
#include "sched/retry.h"
#include "util/error_blob.h"

static void take_results(struct tbi_sched *sched, struct tbi_maker *task, unsigned rank,
                         const struct msg_done *m)
{
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);
    const struct tbi_id *ids = (const struct tbi_id *)(result + m->nresults);
    const uint8_t *data;
    uint32_t nids = m->nkept;

    for (unsigned i = 0; i < m->nresults; i++)
        nids += result[i].nrefs;
    data = (const uint8_t *)(ids + nids);
    for (unsigned i = 0; i < m->nresults; i++) {
        struct tbi_object *object = &task->object[i];

        tbi_sched_contain(sched, object, ids, result[i].nrefs);
        ids += result[i].nrefs;
        if (result[i].where == TBI_AT_INLINE) {
            tbi_sched_set_inline(object, data, result[i].bytes);
            data += tbi_padded(result[i].bytes);
        } else {
            tbi_sched_set_in_store(object, rank, result[i].bytes);
        }
    }
}

/* The task was cancelled before it was done: nobody wants what it made. */
static void drop_results(struct tbi_sched *sched, const struct tbi_maker *task, unsigned rank,
                         const struct msg_done *m)
{
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);

    for (unsigned i = 0; i < m->nresults; i++)
        if (result[i].where == TBI_AT_STORE)
            tbi_sched_send_free(sched, rank, tbi_id_with_index(task->id, i));
}

static const struct tbi_id *kept_refs(const struct msg_done *m)
{
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);
    const struct tbi_id *ids = (const struct tbi_id *)(result + m->nresults);

    for (unsigned i = 0; i < m->nresults; i++)
        ids += result[i].nrefs;
    return ids;
}

void tbi_sched_keep_refs(struct tbi_sched *sched, const struct msg_done *m)
{
    const struct tbi_id *ids = kept_refs(m);

    for (uint32_t k = 0; k < m->nkept; k++) {
        struct tbi_object *kept = tbi_directory_object(&sched->dir, ids[k], NULL);

        if (kept != NULL)
            kept->holders++;
    }
}

void tbi_sched_hold_contained(struct tbi_sched *sched, const struct msg_done *m, bool hold)
{
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);
    const struct tbi_id *ids = (const struct tbi_id *)(result + m->nresults), *end = kept_refs(m);

    for (; ids < end; ids++) {
        struct tbi_object *object = tbi_directory_object(&sched->dir, *ids, NULL);

        if (hold && object != NULL)
            object->holders++;
        else if (!hold)
            tbi_directory_release(&sched->dir, *ids, tbi_sched_send_free, sched);
    }
}

const char *tbi_sched_on_finished(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record,
                                  bool late)
{
    const struct msg_done *m = (const struct msg_done *)(record + 1);
    struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->task);
    const uint8_t *end = (const uint8_t *)record + record->len;

    if (task == NULL && m->direct && tbi_map_get(&sched->actors.early, m->task) == NULL) {
        tbi_actors_keep_early(sched, rank, record);
        return NULL;
    }
    if (task == NULL || (!tbi_retry_runs(task, rank, m->attempt) &&
                         (task->state != TBI_OPEN || task->node != rank)))
        return "FINISHED of a task that does not run there";
    if (m->error == 0 && (task->submit == NULL ||
                          m->nresults != (task->is_actor ? 0 : task->submit->nreturns)))
        return "FINISHED with another number of results than the task has";
    if (m->error != 0 && (m->nresults != 0 || tbi_error_links(end - m->data_bytes,
                                                              m->error_bytes) == 0))
        return "FINISHED with an error that is none";
    /* The process goes on holding these; the task's own hold ends with it, at the same moment. */
    if (!late)
        tbi_sched_keep_refs(sched, m);
    if (task->state == TBI_BLOCKED)
        tbi_ledger_unblock(task);
    if (task->state != TBI_OPEN && !task->is_call) {
        tbi_ledger_give(task);
        if (task->is_actor) /* what waits for what it had may be sent now */
            tbi_ready_bring_back(&sched->ready);
        tbi_sched_ran(sched, task->submit->fn, m->run_us);
    }
    if (task->aborted) {
        drop_results(sched, task, rank, m);
        tbi_sched_conclude(sched, task);
    } else if (task->overdue) {
        drop_results(sched, task, rank, m);
        tbi_retry_after_timeout(sched, task);
    } else if (m->error != 0) {
        struct tbi_payload *error = tbi_failure_of_agent(sched, task->submit, end - m->data_bytes,
                                                         m->error_bytes);

        if (task->is_actor)
            tbi_actors_ended(sched, task, m, error);
        else if (task->is_call)
            tbi_actors_call_failed(sched, task, m->crashed, error);
        else if (task->submit == NULL || !tbi_retry_after(sched, task, m, error))
            tbi_sched_fail(sched, task, error);
    } else if (task->is_actor) {
        tbi_actors_ended(sched, task, m, NULL);
    } else {
        take_results(sched, task, rank, m);
        tbi_sched_conclude(sched, task);
    }
    return NULL;
}
