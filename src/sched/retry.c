#include "sched/retry.h"
#include "sched/failure.h"
#include "thornback.h"

bool tbi_retry_runs(const struct tbi_maker *task, unsigned rank, uint32_t attempt)
{
    return (task->state == TBI_DISPATCHED || task->state == TBI_BLOCKED) && task->node == rank &&
           task->attempt == attempt;
}

bool tbi_retry_adopt(struct tbi_sched *sched, struct tbi_maker *task)
{
    struct tbi_maker *parent = tbi_id_is_null(task->submit->parent)
                                   ? NULL
                                   : tbi_directory_maker(&sched->dir, task->submit->parent);

    if (parent == NULL && task->submit->of_direct && task->submit->kind != TBI_ACTOR)
        tbi_actors_keep_child(sched, task);
    if (task->submit->kind == TBI_ACTOR || parent == NULL || (parent->state != TBI_DISPATCHED && parent->state != TBI_BLOCKED))
        return true;
    if (parent->aborts_children) {
        tbi_retry_cancel(sched, task, TB_CANCEL_DEFAULT,
                         tbi_failure_cancelled(sched, task->submit,
                                               "cancelled with the task that submitted it"));
        return false;
    }
    tbi_list_append(&parent->children, &task->sibling);
    return true;
}

/* Ending one child may end others, its dependants: so always the first that is left. */
static void cancel_children(struct tbi_sched *sched, struct tbi_maker *task, uint32_t flags,
                            const char *why)
{
    while (!tbi_list_empty(&task->children)) {
        struct tbi_maker *child = TBI_ENTRY(task->children.next, struct tbi_maker, sibling);

        tbi_list_unlink(&child->sibling);
        tbi_retry_cancel(sched, child, flags, tbi_failure_cancelled(sched, child->submit, why));
    }
}

void tbi_retry_send_abort(struct tbi_sched *sched, const struct tbi_maker *task, uint32_t flags)
{
    struct msg_abort *m = sched->port.send(sched->port.ctx, task->node, TBI_MSG_ABORT,
                                           TBI_PROC_NONE, sizeof *m);

    *m = (struct msg_abort){task->id, task->attempt, flags & TB_CANCEL_FORCE};
}

void tbi_retry_cancel(struct tbi_sched *sched, struct tbi_maker *task, uint32_t flags,
                      struct tbi_payload *error)
{
    switch ((enum tbi_maker_state)task->state) {
    case TBI_QUEUED:
        tbi_ready_remove(&sched->ready, task);
        tbi_sched_unkeep_idle(sched, task->class);
        tbi_sched_fail(sched, task, error);
        return;
    case TBI_DELAYED:
        tbi_list_unlink(&task->link);
        tbi_sched_fail(sched, task, error);
        return;
    case TBI_WAITING:
    case TBI_PARKED:
        tbi_sched_fail(sched, task, error);
        return;
    default: /* an agent has it */
        break;
    }
    if (task->is_direct && !task->aborted) {
        tbi_actors_stop(sched, task, flags, error);
        return;
    }
    if (!task->aborted || (flags & TB_CANCEL_FORCE))
        tbi_retry_send_abort(sched, task, task->is_call ? 0 : flags); /* its process is its actor's */
    if (!task->aborted)
        tbi_sched_abort(sched, task, error);
    else
        tbi_payload_drop(&sched->dir, error);
    if (!(flags & TB_CANCEL_NOT_RECURSIVE)) {
        task->aborts_children = true;
        cancel_children(sched, task, flags, "cancelled with the task that submitted it");
    }
}

static void delay(struct tbi_sched *sched, struct tbi_maker *task)
{
    struct tbi_link *at = &sched->delayed;

    task->state = TBI_DELAYED;
    task->due_us = sched->now_us + (uint64_t)task->submit->retry_delay_ms * 1000;
    while (at->prev != &sched->delayed &&
           TBI_ENTRY(at->prev, struct tbi_maker, link)->due_us > task->due_us)
        at = at->prev;
    tbi_list_insert_before(at, &task->link);
}

void tbi_retry_orphan(struct tbi_sched *sched, struct tbi_maker *task)
{
    cancel_children(sched, task, TB_CANCEL_DEFAULT, "cancelled, for the process that submitted it died");
}

/* Is there another attempt after an error that is to be retried? */
static bool has_attempts(const struct tbi_maker *task)
{
    return task->submit->max_retries < 0 || task->attempt < (uint32_t)task->submit->max_retries;
}

void tbi_retry_overdue(struct tbi_sched *sched, struct tbi_maker *task)
{
    bool again = task->submit->retry_codes >> -TB_ERR_TIMEOUT & 1 && has_attempts(task) && task->submit->kind == TBI_TASK;

    if (!again) {
        tbi_retry_cancel(sched, task, TB_CANCEL_DEFAULT,
                         tbi_failure_overdue(sched, task->submit, task->node, task->attempt));
        return;
    }
    if (!task->overdue)
        tbi_retry_send_abort(sched, task, 0);
    task->overdue = true; /* the next attempt begins when this one has ended */
    task->aborts_children = true;
    cancel_children(sched, task, TB_CANCEL_DEFAULT, "cancelled with the task that submitted it");
}

bool tbi_retry_after(struct tbi_sched *sched, struct tbi_maker *task, const struct msg_done *m,
                     struct tbi_payload *error)
{
    const struct msg_submit *submit = task->submit;
    const struct tbi_group *group = task->class->group;
    bool may = m->crashed || (m->error > -32 && (submit->retry_codes >> -m->error & 1));

    if (m->crashed || (group != NULL && group->removed)) /* the next attempt submits its own */
        tbi_retry_orphan(sched, task);
    if (!may || !has_attempts(task))
        return false;
    task->overdue = task->aborts_children = false;
    error->unread = false; /* the next attempt makes up for it */
    tbi_payload_drop(&sched->dir, error);
    task->attempt++;
    sched->retries++;
    if (submit->retry_delay_ms > 0)
        delay(sched, task);
    else
        tbi_sched_queue(sched, task);
    return true;
}

void tbi_retry_after_timeout(struct tbi_sched *sched, struct tbi_maker *task)
{
    const struct msg_done end = {.error = TB_ERR_TIMEOUT};
    struct tbi_payload *error = tbi_failure_overdue(sched, task->submit, task->node, task->attempt);

    if (!tbi_retry_after(sched, task, &end, error))
        tbi_sched_fail(sched, task, error);
}

static uint64_t next_retry(const struct tbi_sched *sched)
{
    return tbi_list_empty(&sched->delayed)
               ? UINT64_MAX
               : TBI_ENTRY(sched->delayed.next, struct tbi_maker, link)->due_us;
}

void tbi_sched_tick(struct tbi_sched *sched, uint64_t now_us)
{
    sched->now_us = now_us;
    tbi_submitters_tick(sched);
    tbi_closing_tick(sched);
    while (next_retry(sched) <= now_us) {
        struct tbi_maker *task = TBI_ENTRY(sched->delayed.next, struct tbi_maker, link);

        tbi_list_unlink(&task->link);
        tbi_sched_queue(sched, task);
    }
    tbi_sched_carry_failures(sched);
}

uint64_t tbi_sched_deadline(const struct tbi_sched *sched)
{
    uint64_t retry = next_retry(sched), closing = tbi_closing_deadline(sched);
    uint64_t first = retry < closing ? retry : closing;

    return first < sched->submitters.look_us ? first : sched->submitters.look_us;
}
