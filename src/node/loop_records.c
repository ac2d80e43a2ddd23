#include "node/loop_parts.h"

#include <string.h>

enum { LIVE_EVERY = 16 /* records */ };

/* ---- out of agent and head ---- */

/* Who sends writes into what this gives, unchecked. All that a record is made of is bounded where it comes from (see
 * TBI_INLINE_MAX and the codec), so a larger one is an error of ours, and ends the job in one line. */
static void *whole(const struct tbi_loop *loop, void *body, enum tbi_msg type, size_t size)
{
    if (body == NULL)
        tbi_end_job(loop->config.agent.rank, loop->config.host, "internal error: %s of %zu bytes, and a record has room "
                    "for %zu: the job ends", tbi_msg_info[type].name, size, (size_t)TBI_BODY_MAX);
    return body;
}

static void *pass_from_agent(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct tbi_loop *loop = ctx;
    const struct tbi_transport *t = loop->config.transport;

    switch (tbi_msg_info[type].to) {
    case TBI_ROLE_PROC:
        return proc == TBI_PROC_DRIVER && loop->sched != NULL
                   ? tbi_outbox_append(&loop->to_driver, type, proc, size)
                   : tbi_pool_send(loop->pool, proc, type, size);
    case TBI_ROLE_HEAD:
        return loop->sched != NULL ? tbi_outbox_append(&loop->to_head, type, proc, size)
                                   : t->send(t->ctx, 0, type, proc, size);
    default:
        return t->send(t->ctx, rank, type, proc, size);
    }
}

void *tbi_loop_from_agent(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    return whole(ctx, pass_from_agent(ctx, rank, type, proc, size), type, size);
}

void *tbi_loop_from_head(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct tbi_loop *loop = ctx;
    void *body = rank == 0 ? tbi_outbox_append(&loop->to_agent, type, proc, size)
                           : loop->config.transport->send(loop->config.transport->ctx, rank, type, proc, size);

    return whole(loop, body, type, size);
}

static void fork_executor(void *ctx, uint32_t proc)
{
    tbi_pool_fork(((struct tbi_loop *)ctx)->pool, proc);
}

static void copy(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t to,
                 uint64_t bytes)
{
    const struct tbi_transport *t = ((struct tbi_loop *)ctx)->config.transport;

    t->copy(t->ctx, ticket, rank, from, to, bytes);
}

static void push(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t bytes)
{
    const struct tbi_transport *t = ((struct tbi_loop *)ctx)->config.transport;

    t->push(t->ctx, ticket, rank, from, bytes);
}

static uint64_t take_back(void *ctx, uint32_t proc, uint64_t begun, uint64_t offered)
{
    return tbi_pool_take_back(((struct tbi_loop *)ctx)->pool, proc, begun, offered);
}

static void interrupt(void *ctx, uint32_t proc, uint64_t number, bool others)
{
    tbi_pool_interrupt(((struct tbi_loop *)ctx)->pool, proc, number, others);
}

static void kill_executor(void *ctx, uint32_t proc)
{
    tbi_pool_kill(((struct tbi_loop *)ctx)->pool, proc);
}

static void say(void *ctx, const char *line)
{
    const struct tbi_loop *loop = ctx;

    fprintf(stderr, "thornback: warning: rank %u on host %s: %s\n", loop->config.agent.rank, loop->config.host, line);
}

struct tbi_agent_ops tbi_loop_agent_ops(struct tbi_loop *loop)
{
    return (struct tbi_agent_ops){loop, fork_executor, copy, push, take_back, interrupt, kill_executor, say};
}

/* ---- into them ---- */

static void refused(const struct tbi_loop *loop, const char *who, unsigned rank,
                    const struct tbi_record *record, const char *why)
{
    fprintf(stderr, "thornback: %s of rank %u refused %s from rank %u: %s\n", who,
            loop->config.agent.rank, tbi_msg_info[record->type].name, rank, why);
}

void tbi_loop_on_copied(void *ctx, uint32_t ticket, bool ok)
{
    struct tbi_loop *loop = ctx;

    if (!tbi_loop_is_deaf(loop))
        tbi_agent_copied(loop->agent, ticket, ok);
}

/* A turn may handle many records, or expensive ones: meanwhile the other ranks hear that this one lives, and so does
 * the watchdog. What they say is not heard before the next turn, so their silence is not counted here. */
static void live_on(struct tbi_loop *loop)
{
    const struct tbi_transport *t = loop->config.transport;

    if (t == NULL || ++loop->handled % LIVE_EVERY != 0)
        return;
    tbi_watchdog_pat(loop->config.watchdog);
    if (loop->config.heartbeat == 0 || tbi_now_us() < loop->beat_us)
        return;
    loop->beat_us = tbi_now_us() + loop->watch_every_us;
    t->beat(t->ctx);
}

static const char *to_agent(struct tbi_loop *loop, unsigned rank, const struct tbi_record *record)
{
    live_on(loop);
    return tbi_agent_handle(loop->agent, rank, record, loop->now_us);
}

/* Of what goes on until its process is ended, the head is told no more than that it came to its end. */
static void tell_late_end(struct tbi_loop *loop, const struct msg_done *done)
{
    struct msg_done *m = tbi_loop_from_agent(loop, 0, TBI_MSG_FINISHED, TBI_PROC_NONE, sizeof *m);

    *m = (struct msg_done){.task = done->task, .attempt = done->attempt};
}

const char *tbi_loop_of_executor(void *ctx, const struct tbi_record *record)
{
    struct tbi_loop *loop = ctx;

    if (tbi_msg_info[record->type].from != TBI_ROLE_PROC || record->type == TBI_MSG_EXITED)
        return "a record that is not a process's to send";
    if (!tbi_loop_is_deaf(loop))
        return to_agent(loop, loop->config.agent.rank, record);
    if (record->type == TBI_MSG_DONE && !loop->ended)
        tell_late_end(loop, (const struct msg_done *)(record + 1));
    return NULL;
}

void tbi_loop_executor_doomed(void *ctx, uint32_t proc)
{
    tbi_agent_doom(((struct tbi_loop *)ctx)->agent, proc);
}

void tbi_loop_executor_died(void *ctx, uint32_t proc, const struct tbi_error_link *cause, bool said)
{
    struct tbi_loop *loop = ctx;

    if (!tbi_loop_is_deaf(loop))
        tbi_agent_died(loop->agent, proc, cause, said);
}

void tbi_loop_executor_unborn(void *ctx, uint32_t proc, const struct tbi_error_link *cause)
{
    struct tbi_loop *loop = ctx;

    if (!tbi_loop_is_deaf(loop))
        tbi_agent_unborn(loop->agent, proc, cause, tbi_now_us());
}

void tbi_loop_of_rank(void *ctx, unsigned rank, const struct tbi_record *record)
{
    struct tbi_loop *loop = ctx;
    const char *why;

    if (record->type == TBI_MSG_SHUTDOWN)
        tbi_loop_begin_to_stop(loop, ((const struct msg_shutdown *)(record + 1))->settles != 0);
    else if (record->type == TBI_MSG_BYE)
        loop->byes++;
    else if (record->type == TBI_MSG_REPORT)
        tbi_loop_on_report(loop);
    else if (record->type == TBI_MSG_REPORTED && loop->sched != NULL)
        tbi_roll_call_answered(&loop->roll_call, rank);
    else if (record->type == TBI_MSG_WRITTEN)
        tbi_loop_on_written(loop, (const struct msg_written *)(record + 1));
    else if (record->type == TBI_MSG_OUTPUT && loop->terminal != NULL)
        tbi_loop_on_output(loop, rank, (const struct msg_output *)(record + 1));
    else if (tbi_loop_is_deaf(loop) && record->type == TBI_MSG_FINISHED && loop->sched != NULL)
        tbi_sched_note_end(loop->sched, (const struct msg_done *)(record + 1));
    else if (tbi_loop_is_deaf(loop))
        return;
    else if (tbi_msg_info[record->type].to != TBI_ROLE_HEAD) {
        why = to_agent(loop, rank, record);
        if (why != NULL)
            refused(loop, "the agent", rank, record, why);
    } else if (loop->sched == NULL) {
        refused(loop, "a worker", rank, record, "it is for the head");
    } else {
        loop->sched_dirty = true;
        live_on(loop);
        why = tbi_sched_handle(loop->sched, rank, record, loop->now_us);
        if (why != NULL)
            refused(loop, "the head", rank, record, why);
    }
}

/* Takes the queue away before its records are handled: handlers append to it. */
static bool take(struct tbi_loop *loop, struct tbi_outbox *queue)
{
    struct tbi_outbox t = loop->taken;

    if (tbi_outbox_bytes(queue) == 0)
        return false;
    loop->taken = *queue;
    tbi_outbox_clear(&t);
    *queue = t;
    return true;
}

bool tbi_loop_serve(struct tbi_loop *loop, struct tbi_outbox *queue)
{
    if (!take(loop, queue))
        return false;
    while (tbi_outbox_bytes(&loop->taken) > 0) {
        const struct tbi_record *r = (const void *)(loop->taken.data + loop->taken.begin);

        loop->taken.begin += r->len;
        tbi_loop_of_rank(loop, 0, r);
    }
    return true;
}

bool tbi_loop_serve_driver(struct tbi_loop *loop)
{
    const struct tbi_driver_port *d = &loop->config.driver;
    const char *why;

    tbi_outbox_clear(&loop->taken);
    d->take(d->ctx, &loop->taken);
    if (tbi_outbox_bytes(&loop->taken) == 0)
        return false;
    while (tbi_outbox_bytes(&loop->taken) > 0) {
        const struct tbi_record *r = (const void *)(loop->taken.data + loop->taken.begin);

        loop->taken.begin += r->len;
        why = tbi_loop_is_deaf(loop) ? NULL : to_agent(loop, 0, r);
        if (why != NULL)
            refused(loop, "the agent", 0, r, why);
    }
    return true;
}

bool tbi_loop_deliver_to_driver(struct tbi_loop *loop)
{
    if (!take(loop, &loop->to_driver))
        return false;
    while (tbi_outbox_bytes(&loop->taken) > 0) {
        const struct tbi_record *r = (const void *)(loop->taken.data + loop->taken.begin);

        loop->taken.begin += r->len;
        loop->config.driver.deliver(loop->config.driver.ctx, r);
    }
    return true;
}
