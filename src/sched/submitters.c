#include "sched/submitters.h"
#include "sched/graph.h"
#include "util/alloc.h"

enum {
    GRANT_MAX = 512,    /* so many that a process which the head keeps up with never waits for an answer */
    STALL_US = 10000,
    STALLS_MAX = 7,     /* so often it is doubled */
    FREE_UNITS = 2048,  /* so much may be queued before it is */
    KEPT = 64           /* processes with nothing queued that are kept on record */
};

struct tbi_submitter {
    struct tbi_id key;
    struct tbi_link asking;
    uint64_t units;     /* of its tasks that have not begun */
    uint64_t number;    /* of its question, while it asks */
    uint64_t due_us;    /* when it is answered if the job stands still, with much queued */
    unsigned stalls;    /* answers of that kind in a row */
};

static struct tbi_id key_of(unsigned rank, uint32_t proc)
{
    return (struct tbi_id){1, (uint64_t)rank << 32 | proc};
}

void tbi_submitters_init(struct tbi_submitters *s)
{
    *s = (struct tbi_submitters){.look_us = UINT64_MAX};
    tbi_list_init(&s->asking);
}

void tbi_submitters_fini(struct tbi_submitters *s)
{
    struct tbi_map_slot e;
    size_t at = 0;

    while (tbi_map_next(&s->map, &at, &e))
        free(e.value);
    tbi_map_fini(&s->map);
}

/* Processes come and go: those that have nothing queued and do not ask are forgotten before there are many. */
static void forget_idle(struct tbi_submitters *s)
{
    struct tbi_id *idle = tbi_alloc(s->map.count * sizeof *idle);
    struct tbi_map_slot e;
    size_t at = 0, n = 0;

    while (tbi_map_next(&s->map, &at, &e)) {
        const struct tbi_submitter *submitter = e.value;

        if (submitter->units == 0 && !tbi_list_linked(&submitter->asking))
            idle[n++] = submitter->key;
    }
    while (n > 0)
        free(tbi_map_take(&s->map, idle[--n]));
    free(idle);
    s->last = NULL;
}

static struct tbi_submitter *submitter_of(struct tbi_submitters *s, struct tbi_id key)
{
    struct tbi_submitter *submitter = s->last;

    if (submitter != NULL && tbi_id_equal(submitter->key, key))
        return submitter;
    submitter = tbi_map_get(&s->map, key);
    if (submitter == NULL) {
        if (s->map.count >= 2 * (s->ncharged + s->nasking) + KEPT)
            forget_idle(s);
        submitter = tbi_alloc_zeroed(1, sizeof *submitter);
        submitter->key = key;
        tbi_map_put(&s->map, key, submitter);
    }
    return s->last = submitter;
}

static uint64_t grant_units(const struct tbi_sched *sched)
{
    size_t n = sched->submitters.ncharged > 0 ? sched->submitters.ncharged : 1;
    uint64_t units = sched->config.queue / (4 * n);

    return units < 1 ? 1 : units > GRANT_MAX ? GRANT_MAX : units;
}

static void grant(struct tbi_sched *sched, struct tbi_submitter *submitter)
{
    struct msg_credit *m = sched->port.send(sched->port.ctx, (unsigned)(submitter->key.lo >> 32), TBI_MSG_GRANT,
                                            (uint32_t)submitter->key.lo, sizeof *m);

    *m = (struct msg_credit){submitter->number, grant_units(sched)};
    tbi_list_unlink(&submitter->asking);
    if (--sched->submitters.nasking == 0)
        sched->submitters.look_us = UINT64_MAX;
}

static void answer(struct tbi_sched *sched, struct tbi_submitter *submitter)
{
    if (!tbi_list_linked(&submitter->asking) || submitter->units > 2 * grant_units(sched))
        return;
    submitter->stalls = 0;
    grant(sched, submitter);
}

void tbi_submitters_charge(struct tbi_sched *sched, struct tbi_maker *task)
{
    struct tbi_submitters *s = &sched->submitters;
    struct tbi_submitter *submitter;
    uint32_t proc = tbi_id_proc(task->id);

    if (proc == TBI_PROC_DRIVER)
        return;
    submitter = submitter_of(s, key_of(tbi_id_rank(task->id), proc));
    s->ncharged += submitter->units == 0;
    submitter->units += tbi_submit_units(task->submit);
    task->charged = true;
}

void tbi_submitters_discharge(struct tbi_sched *sched, struct tbi_maker *task, const struct msg_submit *submit)
{
    struct tbi_submitters *s = &sched->submitters;
    struct tbi_submitter *submitter;

    if (!task->charged)
        return;
    task->charged = false;
    submitter = submitter_of(s, key_of(tbi_id_rank(task->id), tbi_id_proc(task->id)));
    submitter->units -= tbi_submit_units(submit);
    s->ncharged -= submitter->units == 0;
    answer(sched, submitter);
}

const char *tbi_submitters_on_credit(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    struct tbi_submitters *s = &sched->submitters;
    struct tbi_submitter *submitter;

    if (record->proc == TBI_PROC_DRIVER)
        return "CREDIT for the driver, which needs none";
    submitter = submitter_of(s, key_of(rank, record->proc));
    submitter->number = ((const struct msg_credit *)(record + 1))->number;
    if (!tbi_list_linked(&submitter->asking)) { /* else it did not wait for the last answer */
        tbi_list_append(&s->asking, &submitter->asking);
        s->nasking++;
        submitter->due_us = sched->now_us + ((uint64_t)STALL_US << submitter->stalls);
    }
    answer(sched, submitter);
    return NULL;
}

void tbi_submitters_gone(struct tbi_sched *sched, unsigned rank, uint32_t proc)
{
    struct tbi_submitters *s = &sched->submitters;
    struct tbi_submitter *submitter = tbi_map_get(&s->map, key_of(rank, proc));

    if (submitter == NULL || !tbi_list_linked(&submitter->asking))
        return; /* it is forgotten when there are many without tasks */
    tbi_list_unlink(&submitter->asking);
    if (--s->nasking == 0)
        s->look_us = UINT64_MAX;
}

static bool is_computing(const struct tbi_nodes *nodes)
{
    for (unsigned i = 0; i < nodes->n; i++)
        if (nodes->node[i].count > 0 || nodes->node[i].light > 0)
            return true;
    return false;
}

static bool stands_still(const struct tbi_sched *sched)
{
    bool computes = is_computing(&sched->nodes);

    for (struct tbi_link *l = sched->groups.all.next; !computes && l != &sched->groups.all; l = l->next)
        computes = is_computing(&TBI_ENTRY(l, struct tbi_group, all)->nodes);
    return !computes;
}

void tbi_submitters_moved(struct tbi_sched *sched)
{
    struct tbi_submitters *s = &sched->submitters;

    if (s->nasking > 0 && s->look_us == UINT64_MAX)
        s->look_us = sched->now_us + STALL_US;
}

void tbi_submitters_tick(struct tbi_sched *sched)
{
    struct tbi_submitters *s = &sched->submitters;
    uint64_t next_us = UINT64_MAX;

    if (s->look_us > sched->now_us)
        return;
    s->look_us = UINT64_MAX;
    if (!stands_still(sched))
        return;
    for (struct tbi_link *l = s->asking.next, *after; l != &s->asking; l = after) {
        struct tbi_submitter *submitter = TBI_ENTRY(l, struct tbi_submitter, asking);

        after = l->next;
        if (submitter->units <= FREE_UNITS || submitter->due_us <= sched->now_us) {
            submitter->stalls += submitter->units > FREE_UNITS && submitter->stalls < STALLS_MAX;
            grant(sched, submitter);
        } else if (submitter->due_us < next_us) {
            next_us = submitter->due_us;
        }
    }
    s->look_us = next_us;
}

const char *tbi_submitters_check(const struct tbi_sched *sched)
{
    const struct tbi_submitters *s = &sched->submitters;
    uint64_t units = 0;
    size_t at = 0, asking = 0, charged = 0;
    struct tbi_map_slot e;

    while (tbi_map_next(&s->map, &at, &e)) {
        const struct tbi_submitter *submitter = e.value;

        units += submitter->units;
        charged += submitter->units > 0;
        asking += tbi_list_linked(&submitter->asking);
        if (tbi_list_linked(&submitter->asking) && submitter->units == 0)
            return "a process waits for credit although nothing of its is queued";
    }
    for (at = 0; tbi_map_next(&sched->dir.makers, &at, &e);) {
        const struct tbi_maker *m = e.value;

        if (m->charged && (m->submit == NULL || (m->state == TBI_DISPATCHED && !m->is_call)))
            return "a task that has begun is charged to its submitter";
        units -= m->charged ? tbi_submit_units(m->submit) : 0;
    }
    if (units != 0 || asking != s->nasking || charged != s->ncharged)
        return "submitters are charged with other tasks than there are";
    return s->look_us == UINT64_MAX || s->nasking > 0 ? NULL : "somebody is looked after who does not wait for credit";
}
