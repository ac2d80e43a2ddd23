#include "sched/idle.h"
#include "sched/graph.h"
#include "util/alloc.h"

struct tbi_idle_asking {
    struct tbi_link link;
    unsigned rank;
    uint32_t proc;
    uint64_t ticket;
};

void tbi_idle_init(struct tbi_idle *idle)
{
    tbi_list_init(&idle->asking);
}

static void forget(struct tbi_idle_asking *a)
{
    tbi_list_unlink(&a->link);
    free(a);
}

void tbi_idle_fini(struct tbi_idle *idle)
{
    while (!tbi_list_empty(&idle->asking))
        forget(TBI_ENTRY(idle->asking.next, struct tbi_idle_asking, link));
}

void tbi_idle_count(struct tbi_sched *sched, unsigned kind, bool ended)
{
    size_t one = ended ? (size_t)-1 : 1;

    sched->tasks += one;
    sched->idle.calls += kind == TBI_CALL ? one : 0;
    sched->idle.actors += kind == TBI_ACTOR ? one : 0;
}

void tbi_idle_note_actor(struct tbi_sched *sched, struct tbi_actor *actor)
{
    bool rests = actor->state == TBI_ACTOR_LIVES && !actor->retired;

    if (rests != actor->rests)
        sched->idle.resting += rests ? 1 : (size_t)-1;
    actor->rests = rests;
}

static bool is_idle(const struct tbi_sched *sched)
{
    return sched->tasks == sched->idle.resting;
}

static void tell(struct tbi_sched *sched, const struct tbi_idle_asking *a)
{
    const struct tbi_idle *idle = &sched->idle;
    struct msg_unfinished *m = sched->port.send(sched->port.ctx, a->rank, TBI_MSG_TALLY, a->proc, sizeof *m);

    *m = (struct msg_unfinished){a->ticket, sched->tasks - idle->calls - idle->actors, idle->calls,
                                 idle->actors - idle->resting};
}

const char *tbi_idle_on_await(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record)
{
    const struct msg_await_idle *m = (const struct msg_await_idle *)(record + 1);
    struct tbi_idle_asking asking = {.rank = rank, .proc = record->proc, .ticket = m->ticket}, *a = &asking;

    if (rank != 0 || record->proc != TBI_PROC_DRIVER) /* it would wait for itself */
        return "AWAIT_IDLE of a process that is not the driver";
    for (struct tbi_link *l = sched->idle.asking.next; l != &sched->idle.asking; l = l->next)
        if (TBI_ENTRY(l, struct tbi_idle_asking, link)->ticket == m->ticket)
            a = TBI_ENTRY(l, struct tbi_idle_asking, link);
    if (m->waits && a == &asking) {
        a = tbi_copy(&asking, sizeof asking);
        tbi_list_append(&sched->idle.asking, &a->link); /* told by tbi_idle_tell */
        return NULL;
    }
    tell(sched, a);
    if (a != &asking)
        forget(a);
    return NULL;
}

void tbi_idle_tell(struct tbi_sched *sched)
{
    while (is_idle(sched) && !tbi_list_empty(&sched->idle.asking)) {
        struct tbi_idle_asking *a = TBI_ENTRY(sched->idle.asking.next, struct tbi_idle_asking, link);

        tell(sched, a);
        forget(a);
    }
}

/* Does the user still want to know what becomes of it? */
static bool is_wanted(const struct tbi_sched *sched, const struct tbi_maker *task)
{
    const struct tbi_actor *actor;

    if (task->submit == NULL || task->is_actor || task->aborted || task->stops > 0)
        return false;
    actor = task->is_call ? tbi_actors_find(sched, tbi_submit_call(task->submit)->actor) : NULL;
    return !task->is_call || (actor != NULL && actor->state != TBI_ACTOR_DEAD);
}

struct tbi_unfinished tbi_sched_unfinished(const struct tbi_sched *sched)
{
    struct tbi_unfinished n = {0};
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&sched->dir.makers, &at, &e);) {
        const struct tbi_maker *task = e.value;

        if (is_wanted(sched, task))
            *(task->is_call ? &n.calls : &n.tasks) += 1;
    }
    return n;
}

void tbi_sched_note_end(struct tbi_sched *sched, const struct msg_done *m)
{
    struct tbi_maker *task = tbi_directory_maker(&sched->dir, m->task);

    if (task != NULL && task->submit != NULL && !m->crashed)
        task->aborted = true;
}
