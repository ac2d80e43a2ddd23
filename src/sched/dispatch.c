/* dispatch.c - the scheduling pass: the best ready tasks go to the nodes where they fit. */
#include "sched/failure.h"
#include "sched/graph.h"

#include <string.h>

/* Bytes of the task's stored arguments on each node's host. */
static void measure_locality(struct tbi_sched *sched, const struct tbi_maker *task)
{
    struct tbi_nodes *nodes = &sched->nodes;

    for (unsigned n = 0; n < nodes->n; n++)
        nodes->node[n].local_bytes = 0;
    for (unsigned i = 0; i < task->submit->nresolve; i++) {
        const struct tbi_object *object =
            tbi_directory_object(&sched->dir, tbi_submit_refs(task->submit)[i], NULL);

        if (!object->in_store)
            continue;
        for (unsigned n = 0; n < nodes->n; n++)
            if (nodes->node[n].host ==
                nodes->node[tbi_sched_source(sched, object, n)].host)
                nodes->node[n].local_bytes += object->bytes;
    }
}

/* Returns NULL, or the error the task fails with. */
static struct tbi_payload *dispatch(struct tbi_sched *sched, struct tbi_maker *task, unsigned node)
{
    const struct msg_submit *submit = task->submit;
    const struct tbi_id *refs = tbi_submit_refs(submit);
    size_t data = submit->data_bytes, args = submit->nargs * sizeof(uint64_t), size;
    struct msg_dispatch *m;
    struct msg_located *at;
    uint8_t *to;

    for (unsigned i = 0; i < submit->nresolve; i++) {
        const struct tbi_object *object = tbi_directory_object(&sched->dir, refs[i], NULL);

        if (!object->in_store)
            data += tbi_padded(object->bytes);
    }
    size = sizeof *m + submit->nresolve * sizeof *at + args + data +
           submit->nmore * sizeof(struct tbi_amount);
    m = size > TBI_RECORD_MAX ? NULL
                              : sched->port.send(sched->port.ctx, node, TBI_MSG_DISPATCH,
                                                 TBI_PROC_NONE, size);
    if (m == NULL)
        return tbi_failure_too_much_inline(sched, submit, size);
    *m = (struct msg_dispatch){
        .task = task->id, .attempt = task->attempt, .fn = submit->fn, .cpus = submit->cpus,
        .data_bytes = (uint32_t)data, .nreturns = submit->nreturns, .nargs = submit->nargs,
        .nresolve = submit->nresolve, .nmore = submit->nmore, .depth = submit->depth,
        .flags = task->wanted ? TBI_DISPATCH_WANTED : 0, .limit_ms = submit->limit_ms};
    at = (struct msg_located *)(m + 1);
    to = (uint8_t *)(at + submit->nresolve);
    memcpy(to, tbi_submit_args(submit), args + submit->data_bytes);
    to += args + submit->data_bytes;
    for (unsigned i = 0; i < submit->nresolve; i++) {
        const struct tbi_object *object = tbi_directory_object(&sched->dir, refs[i], NULL);

        at[i] = (struct msg_located){.id = refs[i], .bytes = object->bytes};
        if (object->in_store) {
            at[i].where = TBI_AT_STORE;
            at[i].rank = tbi_sched_source(sched, object, node);
        } else {
            at[i].where = TBI_AT_INLINE;
            memset(to + tbi_padded(object->bytes) - 8, 0, object->bytes > 0 ? 8 : 0);
            memcpy(to, object->payload->data, object->bytes);
            to += tbi_padded(object->bytes);
        }
    }
    memcpy(to, tbi_submit_more(submit), submit->nmore * sizeof(struct tbi_amount));
    task->node = node;
    task->state = TBI_DISPATCHED;
    tbi_node_take(&sched->nodes.node[node], submit->cpus);
    return NULL;
}

/* A demand that was overtaken too often gets a node that takes nothing else until it is served. */
static void reserve(struct tbi_sched *sched, int32_t cpus)
{
    struct tbi_node *best = NULL;

    for (unsigned n = 0; n < sched->nodes.n; n++) {
        struct tbi_node *node = &sched->nodes.node[n];

        if (node->reserved && node->reserved_cpus == cpus)
            return;
        if (node->cpus > 0 && node->cpus >= cpus && !node->reserved &&
            (best == NULL || node->count < best->count))
            best = node;
    }
    if (best != NULL) {
        best->reserved = true;
        best->reserved_cpus = cpus;
        sched->reservations++;
    }
}

/* A reservation ends when a task of its demand got a place, here or elsewhere, and when none waits
 * any more: because it failed, or because it is wanted now and passes anyway. Otherwise the node
 * would be kept for nobody, for ever. */
static void end_reservations(struct tbi_sched *sched, int32_t served)
{
    for (unsigned n = 0; sched->reservations > 0 && n < sched->nodes.n; n++) {
        struct tbi_node *node = &sched->nodes.node[n];

        if (node->reserved && (node->reserved_cpus == served ||
                               !tbi_ready_has(&sched->ready, node->reserved_cpus))) {
            node->reserved = false;
            sched->reservations--;
        }
    }
}

void tbi_sched_run(struct tbi_sched *sched)
{
    struct tbi_maker *task;

    tbi_ready_begin_pass(&sched->ready);
    end_reservations(sched, -1);
    while ((task = tbi_ready_best(&sched->ready)) != NULL) {
        struct tbi_payload *failure;
        int node;

        measure_locality(sched, task);
        node = tbi_place(&sched->nodes, task->submit->cpus, task->wanted);
        if (node < 0) {
            tbi_ready_set_stuck(&sched->ready, task->submit->cpus);
            continue;
        }
        tbi_ready_note_sent(&sched->ready, task);
        tbi_ready_remove(&sched->ready, task);
        end_reservations(sched, task->submit->cpus);
        failure = dispatch(sched, task, (unsigned)node);
        if (failure != NULL)
            tbi_sched_fail(sched, task, failure);
    }
    for (unsigned i = 0; i < sched->ready.nclasses; i++)
        if ((task = tbi_ready_starving(&sched->ready, i, sched->config.overtakes)) != NULL)
            reserve(sched, task->submit->cpus);
}
