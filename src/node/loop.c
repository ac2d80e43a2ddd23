#include "node/loop.h"
#include "exec/children.h"
#include "node/remains.h"
#include "node/report.h"
#include "node/roll_call.h"
#include "node/terminal.h"
#include "util/alloc.h"
#include "util/look.h"

#include <unistd.h>

enum { SLEEP_MIN_US = 50, SLEEP_HOST_US = 10000, SLEEP_HOSTS_US = 1000, SLEEP_ALONE_US = 1000000 };
enum { WATCH_US = 1000000, BEATS = 10 /* within TB_HEARTBEAT */, LIVE_EVERY = 16 /* records */ };
enum { LOOK_US = 10000 /* between two looks at all slots of executors, while the rank is busy */ };
enum { ROUNDS = 16 /* of records between head and agent of this rank in one turn */ };
enum { HEAD_BACKLOG = 1 << 20 /* bytes of records to the head that wait for leave to go */ };
enum { ORPHANS_END_MS = 3000, REPORT_EVERY_US = 1000000 };
enum { SETTLE_US = 5000000 }; /* for the last records to arrive; only what leaks takes that long */
enum {
    STOP_IDLE_US = 1000000, STOP_BUSY_US = 100000, /* for executors to leave by themselves */
    STOP_KILL_US = 1000000,                        /* and to be gone when they are killed */
    STOP_PRINT_US = 1000000                        /* for the zygote to bring more output */
};
enum {
    OUTPUT_WINDOW = 64 * 1024,   /* bytes of a rank's output that may wait on rank 0 */
    OUTPUT_BACKLOG = 256 * 1024  /* bytes that the terminal may be behind before ranks must wait */
};

struct tbi_loop {
    struct tbi_loop_config config;
    struct tbi_agent *agent;
    struct tbi_sched *sched;
    struct tbi_pool *pool;
    struct tbi_outbox to_head, to_agent, to_driver; /* between parties of this rank */
    struct tbi_outbox taken;                        /* a queue while its records are handled */
    uint64_t now_us;
    bool sched_dirty;       /* the head has handled something since its last pass */
    bool delivered;         /* to the driver, in this turn */
    bool unsent;            /* something is still on its way out */
    uint64_t sleep_us, moved_us;
    uint64_t unwritten;     /* bytes of our output that rank 0 did not say are written */
    struct tbi_terminal *terminal;                  /* on rank 0 */
    uint64_t *owed;                                 /* a rank: bytes it was not told of yet */
    bool owes;                                      /* some of that is due */
    uint64_t watch_us, watch_every_us;              /* when to look after the others next */
    uint64_t look_us;                               /* when to look at all slots next */
    uint64_t beat_us;                               /* when to send beats next, if a turn lasts so long */
    unsigned handled;                               /* records */
    bool stopping, killed, ended;
    bool settling;          /* stopping, but records are still handled: see tbi_loop_shutdown */
    uint64_t stop_deadline_us, print_deadline_us;
    unsigned byes;
    uint64_t reported_us;   /* when this rank, not 0, last said what it waits for */
    struct tbi_roll_call roll_call;                 /* on rank 0 */
};

static void refused(const struct tbi_loop *loop, const char *who, unsigned rank,
                    const struct tbi_record *record, const char *why)
{
    fprintf(stderr, "thornback: %s of rank %u refused %s from rank %u: %s\n", who,
            loop->config.agent.rank, tbi_msg_info[record->type].name, rank, why);
}

/* ---- ports ---- */

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

static void *from_agent(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    return whole(ctx, pass_from_agent(ctx, rank, type, proc, size), type, size);
}

static void *from_head(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
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

/* What comes when the job is over concerns nobody any more. */
static bool is_deaf(const struct tbi_loop *loop)
{
    return loop->stopping && !loop->settling;
}

static void on_copied(void *ctx, uint32_t ticket, bool ok)
{
    struct tbi_loop *loop = ctx;

    if (!is_deaf(loop))
        tbi_agent_copied(loop->agent, ticket, ok);
}

/* ---- records in ---- */

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
    struct msg_done *m = from_agent(loop, 0, TBI_MSG_FINISHED, TBI_PROC_NONE, sizeof *m);

    *m = (struct msg_done){.task = done->task, .attempt = done->attempt};
}

static const char *of_executor(void *ctx, const struct tbi_record *record)
{
    struct tbi_loop *loop = ctx;

    if (tbi_msg_info[record->type].from != TBI_ROLE_PROC || record->type == TBI_MSG_EXITED)
        return "a record that is not a process's to send";
    if (!is_deaf(loop))
        return to_agent(loop, loop->config.agent.rank, record);
    if (record->type == TBI_MSG_DONE && !loop->ended)
        tell_late_end(loop, (const struct msg_done *)(record + 1));
    return NULL;
}

static void executor_doomed(void *ctx, uint32_t proc)
{
    tbi_agent_doom(((struct tbi_loop *)ctx)->agent, proc);
}

static void executor_died(void *ctx, uint32_t proc, const struct tbi_error_link *cause, bool said)
{
    struct tbi_loop *loop = ctx;

    if (!is_deaf(loop))
        tbi_agent_died(loop->agent, proc, cause, said);
}

static void executor_unborn(void *ctx, uint32_t proc, const struct tbi_error_link *cause)
{
    struct tbi_loop *loop = ctx;

    if (!is_deaf(loop))
        tbi_agent_unborn(loop->agent, proc, cause, tbi_now_us());
}

/* ---- output ---- */

/* While much of what executors have said waits to go to the head, more of it waits in their rings, and when these
 * are full so do they. The head takes in what comes whatever agents do, so this ends. */
static bool may_read(void *ctx)
{
    const struct tbi_loop *loop = ctx;
    const struct tbi_transport *t = loop->config.transport;

    return loop->sched != NULL || t == NULL || t->waiting(t->ctx, 0) < HEAD_BACKLOG;
}

static bool may_print(void *ctx)
{
    return ((const struct tbi_loop *)ctx)->unwritten < OUTPUT_WINDOW;
}

static void of_printing(void *ctx, const struct tbi_record *record)
{
    struct tbi_loop *loop = ctx;
    size_t size = record->len - sizeof *record;

    memcpy(from_agent(loop, 0, TBI_MSG_OUTPUT, record->proc, size), record + 1, size);
    loop->unwritten += ((const struct msg_output *)(record + 1))->bytes;
    loop->print_deadline_us = loop->now_us + STOP_PRINT_US;
}

static void on_written(struct tbi_loop *loop, const struct msg_written *m)
{
    loop->unwritten -= m->bytes;
    loop->print_deadline_us = loop->now_us + STOP_PRINT_US;
}

static void on_output(struct tbi_loop *loop, unsigned rank, const struct msg_output *m)
{
    tbi_terminal_put(loop->terminal, m->stream, (const char *)(m + 1), m->bytes);
    loop->owed[rank] += m->bytes;
    loop->owes |= loop->owed[rank] >= OUTPUT_WINDOW / 2;
}

static bool can_pay(const struct tbi_loop *loop)
{
    return loop->owes && tbi_terminal_backlog(loop->terminal) < OUTPUT_BACKLOG;
}

/* Tells ranks that they may go on printing, unless the terminal is behind. */
static bool pay(struct tbi_loop *loop)
{
    if (!can_pay(loop))
        return false;
    for (unsigned r = 0; r < loop->config.agent.nranks; r++)
        if (loop->owed[r] >= OUTPUT_WINDOW / 2) {
            struct msg_written *m = from_head(loop, r, TBI_MSG_WRITTEN, TBI_PROC_NONE, sizeof *m);

            m->bytes = loop->owed[r];
            loop->owed[r] = 0;
        }
    loop->owes = false;
    return true;
}

static void wake(void *ctx)
{
    const struct tbi_loop *loop = ctx;

    tbi_bell_ring(tbi_memory_bell(loop->config.memory, loop->config.agent.rank));
}

/* ---- the end, and records of other ranks ---- */

static void begin_to_stop(struct tbi_loop *loop, bool settles)
{
    bool busy = tbi_agent_counts(loop->agent).running > 0;

    if (loop->stopping)
        return;
    loop->stopping = true;
    loop->settling = settles;
    loop->stop_deadline_us =
        tbi_now_us() + (settles ? SETTLE_US : busy ? STOP_BUSY_US : STOP_IDLE_US);
    tbi_pool_exit_all(loop->pool);
}

static void on_report(struct tbi_loop *loop);

static void of_rank(void *ctx, unsigned rank, const struct tbi_record *record)
{
    struct tbi_loop *loop = ctx;
    const char *why;

    if (record->type == TBI_MSG_SHUTDOWN)
        begin_to_stop(loop, ((const struct msg_shutdown *)(record + 1))->settles != 0);
    else if (record->type == TBI_MSG_BYE)
        loop->byes++;
    else if (record->type == TBI_MSG_REPORT)
        on_report(loop);
    else if (record->type == TBI_MSG_REPORTED && loop->sched != NULL)
        tbi_roll_call_answered(&loop->roll_call, rank);
    else if (record->type == TBI_MSG_WRITTEN)
        on_written(loop, (const struct msg_written *)(record + 1));
    else if (record->type == TBI_MSG_OUTPUT && loop->terminal != NULL)
        on_output(loop, rank, (const struct msg_output *)(record + 1));
    else if (is_deaf(loop) && record->type == TBI_MSG_FINISHED && loop->sched != NULL)
        tbi_sched_note_end(loop->sched, (const struct msg_done *)(record + 1));
    else if (is_deaf(loop))
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

static bool serve(struct tbi_loop *loop, struct tbi_outbox *queue)
{
    if (!take(loop, queue))
        return false;
    while (tbi_outbox_bytes(&loop->taken) > 0) {
        const struct tbi_record *r = (const void *)(loop->taken.data + loop->taken.begin);

        loop->taken.begin += r->len;
        of_rank(loop, 0, r);
    }
    return true;
}

static bool serve_driver(struct tbi_loop *loop)
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
        why = is_deaf(loop) ? NULL : to_agent(loop, 0, r);
        if (why != NULL)
            refused(loop, "the agent", 0, r, why);
    }
    return true;
}

static bool deliver_to_driver(struct tbi_loop *loop)
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

/* Executors leave or are killed, what they printed goes to rank 0, and then we are done; rank 0
 * when all others are and everything is written. */
static void check_stop(struct tbi_loop *loop)
{
    unsigned rank = loop->config.agent.rank, living = tbi_pool_living(loop->pool);
    bool in_time = loop->now_us < loop->stop_deadline_us;

    if (!loop->stopping || loop->ended)
        return;
    if (living > 0 && !in_time && !loop->killed) {
        loop->killed = in_time = true;
        loop->stop_deadline_us = loop->now_us + STOP_KILL_US;
    }
    if (living > 0 && loop->killed)
        tbi_pool_kill_all(loop->pool);
    if ((living > 0 && in_time) ||
        (tbi_pool_is_printing(loop->pool) &&
         (!may_print(loop) || loop->now_us < loop->print_deadline_us)))
        return;
    if (loop->settling && in_time && !tbi_remains_none(loop->agent, loop->sched, living))
        return;
    if (loop->settling)
        tbi_remains_report(loop->agent, loop->sched, living, rank, stderr);
    loop->settling = false;
    if (rank == 0) {
        loop->ended = loop->byes == loop->config.agent.nranks - 1 &&
                      tbi_terminal_backlog(loop->terminal) == 0;
    } else {
        from_agent(loop, 0, TBI_MSG_BYE, TBI_PROC_NONE, sizeof(struct msg_none));
        loop->ended = true;
    }
}

/* Counts calls, not time, so that nobody is lost who was stopped together with us. */
static void watch(struct tbi_loop *loop)
{
    const struct tbi_loop_config *c = &loop->config;
    unsigned silent, rank;
    char how[96];

    loop->watch_us = loop->now_us + loop->watch_every_us;
    loop->beat_us = loop->watch_us;
    if (!tbi_zygote_lives(c->zygote, how, sizeof how)) {
        if (c->sched == NULL) /* a worker, which adopts; the driver's children may be the program's */
            tbi_children_end(ORPHANS_END_MS);
        tbi_end_job(c->agent.rank, c->host, "the process that starts executors %s: the job ends",
                    how);
    }
    if (c->transport == NULL || c->heartbeat == 0)
        return;
    tbi_watchdog_enter(c->watchdog);
    silent = c->transport->silence(c->transport->ctx, &rank);
    c->transport->beat(c->transport->ctx);
    tbi_watchdog_leave(c->watchdog);
    if (silent > 0 && silent * (loop->watch_every_us / 1e6) > c->heartbeat)
        tbi_end_job(c->agent.rank, c->host, "nothing was heard of rank %u on host %s for %g s "
                    "(TB_HEARTBEAT): the job ends", rank, c->host_of(c->host_ctx, rank),
                    c->heartbeat);
}

/* What head and agent of this rank have for each other: so many rounds at most, so that an exchange which does not
 * end cannot keep others from having their turn. True: more is left. */
static bool exchange(struct tbi_loop *loop)
{
    bool more = true;

    for (int round = 0; more && round < ROUNDS; round++) {
        more = serve(loop, &loop->to_head);
        if (loop->sched_dirty) {
            loop->sched_dirty = false;
            tbi_sched_run(loop->sched);
        }
        more |= serve(loop, &loop->to_agent);
    }
    return more;
}

/* Both may call MPI, which may not return. */
static bool receive(struct tbi_loop *loop)
{
    const struct tbi_transport *t = loop->config.transport;
    bool moved;

    tbi_watchdog_enter(loop->config.watchdog);
    moved = t->receive(t->ctx, of_rank, loop);
    tbi_watchdog_leave(loop->config.watchdog);
    return moved;
}

static bool flush(struct tbi_loop *loop)
{
    const struct tbi_transport *t = loop->config.transport;
    bool unsent;

    tbi_watchdog_enter(loop->config.watchdog);
    unsent = t->flush(t->ctx);
    tbi_watchdog_leave(loop->config.watchdog);
    return unsent;
}

static int32_t pid_of(void *ctx, uint32_t proc)
{
    return tbi_pool_pid(ctx, proc);
}

static void write_report(struct tbi_loop *loop)
{
    const struct tbi_loop_config *c = &loop->config;
    struct tbi_report_place place = {c->agent.rank, c->host, c->functions, pid_of, loop->pool, loop->now_us};

    if (c->driver.report != NULL)
        c->driver.report(c->driver.ctx, loop->sched, stderr);
    if (loop->sched != NULL)
        tbi_report_head(loop->sched, &place, stderr);
    tbi_report_agent(loop->agent, &place, stderr);
}

/* Who asks may have sent the signal to all ranks, so that rank 0's wish comes as well: once a second is enough. */
static void report_as_worker(struct tbi_loop *loop)
{
    if (loop->now_us - loop->reported_us < REPORT_EVERY_US && loop->reported_us != 0)
        return;
    loop->reported_us = loop->now_us;
    write_report(loop);
}

static void report(struct tbi_loop *loop)
{
    if (!tbi_roll_call_take())
        return;
    if (loop->sched == NULL) {
        report_as_worker(loop);
        return;
    }
    write_report(loop);
    for (unsigned r = 1; r < loop->config.agent.nranks; r++)
        from_head(loop, r, TBI_MSG_REPORT, TBI_PROC_NONE, sizeof(struct msg_none));
    tbi_roll_call_begin(&loop->roll_call, loop->now_us);
}

static void on_report(struct tbi_loop *loop)
{
    report_as_worker(loop);
    from_agent(loop, 0, TBI_MSG_REPORTED, TBI_PROC_NONE, sizeof(struct msg_none));
}

bool tbi_loop_turn(struct tbi_loop *loop)
{
    const struct tbi_transport *t = loop->config.transport;
    bool moved = false;

    loop->now_us = tbi_now_us();
    if (t != NULL)
        moved |= receive(loop);
    moved |= tbi_pool_receive(loop->pool);
    if (loop->look_us <= loop->now_us) {
        moved |= tbi_pool_look(loop->pool);
        loop->look_us = loop->now_us + LOOK_US;
    }
    if (loop->sched != NULL)
        moved |= serve_driver(loop);
    moved |= pay(loop);
    if (loop->sched != NULL && tbi_sched_deadline(loop->sched) <= loop->now_us) {
        tbi_sched_tick(loop->sched, loop->now_us);
        loop->sched_dirty = true;
    }
    moved |= exchange(loop);
    if (tbi_agent_deadline(loop->agent) <= loop->now_us)
        tbi_agent_tick(loop->agent, loop->now_us);
    moved |= deliver_to_driver(loop);
    if (loop->watch_us <= loop->now_us)
        watch(loop);
    check_stop(loop);
    if (tbi_roll_call_is_asked())
        report(loop);
    if (loop->roll_call.due_us <= loop->now_us && loop->sched != NULL)
        tbi_roll_call_tick(&loop->roll_call, loop->now_us, loop->config.host_of, loop->config.host_ctx);
    loop->unsent = tbi_pool_flush(loop->pool);
    if (t != NULL)
        loop->unsent |= flush(loop);
    if (moved) {
        loop->sleep_us = 0;
        loop->moved_us = loop->now_us;
    }
    return moved;
}

bool tbi_loop_has_news(struct tbi_loop *loop)
{
    const struct tbi_driver_port *d = &loop->config.driver;
    const struct tbi_transport *t = loop->config.transport;

    if (tbi_pool_has_news(loop->pool) || tbi_outbox_bytes(&loop->to_head) > 0 ||
        tbi_outbox_bytes(&loop->to_agent) > 0 || can_pay(loop) ||
        (loop->sched != NULL && d->has_news(d->ctx)))
        return true;
    /* One probe can bring a message in and still say that there is none. */
    return t != NULL && (receive(loop) || receive(loop));
}

/* Is there anything for which somebody has to ring the bell? Reads only what other threads may write meanwhile. */
static bool should_be_rung(const struct tbi_loop *loop, bool by_executors)
{
    const struct tbi_driver_port *d = &loop->config.driver;

    return (by_executors && tbi_slots_have_news(loop->config.slots, TBI_SLOTS_MAX)) ||
           (d->has_news != NULL && d->has_news(d->ctx));
}

bool tbi_loop_executors_ring(const struct tbi_loop *loop)
{
    return !tbi_agent_works_ahead(loop->agent);
}

void tbi_loop_sleep(const struct tbi_loop *loop, bool executors_ring, struct tbi_bell *bell, uint32_t value,
                    uint32_t who, uint64_t deadline_us)
{
    uint64_t since_us = tbi_now_us();

    tbi_bell_wait(bell, value, who, deadline_us);
    if (tbi_look_is_told() && tbi_now_us() >= deadline_us && should_be_rung(loop, executors_ring) &&
        tbi_bell_was_missed(bell, value, who, TBI_SURE_US) && should_be_rung(loop, executors_ring))
        tbi_look_missed("the loop", since_us);
}

bool tbi_loop_linger(const struct tbi_loop *loop)
{
    return tbi_linger(loop->config.spins ? tbi_now_us() : loop->moved_us);
}

uint64_t tbi_loop_sleep_until(struct tbi_loop *loop, uint64_t now_us)
{
    const struct tbi_transport *t = loop->config.transport;
    uint64_t longest = t == NULL ? SLEEP_ALONE_US : t->all_on_host ? SLEEP_HOST_US : SLEEP_HOSTS_US;
    uint64_t until = tbi_agent_deadline(loop->agent);

    if (loop->sched != NULL && tbi_sched_deadline(loop->sched) < until)
        until = tbi_sched_deadline(loop->sched);
    loop->sleep_us = loop->sleep_us == 0 ? SLEEP_MIN_US : loop->sleep_us * 2;
    if (tbi_agent_works_ahead(loop->agent)) /* their ends may come without a ring */
        longest = SLEEP_HOSTS_US;
    else if (t == NULL)
        loop->sleep_us = longest;
    if (loop->sleep_us > longest)
        loop->sleep_us = longest;
    if (loop->unsent)
        loop->sleep_us = SLEEP_MIN_US;
    if (loop->stopping && loop->stop_deadline_us < until && loop->stop_deadline_us > now_us)
        until = loop->stop_deadline_us;
    return until < now_us + loop->sleep_us ? until : now_us + loop->sleep_us;
}

void tbi_loop_shutdown(struct tbi_loop *loop, bool settles)
{
    for (unsigned r = 1; r < loop->config.agent.nranks; r++) {
        struct msg_shutdown *m = from_head(loop, r, TBI_MSG_SHUTDOWN, TBI_PROC_NONE, sizeof *m);

        m->settles = settles;
    }
    begin_to_stop(loop, settles);
}

bool tbi_loop_ended(const struct tbi_loop *loop)
{
    const struct tbi_transport *t = loop->config.transport;

    /* Whoever leaves with records strands them: the end of the job would wait for its BYE. */
    return loop->ended && !loop->unsent && (t == NULL || !t->has_more(t->ctx));
}

struct tbi_agent *tbi_loop_agent(struct tbi_loop *loop)
{
    return loop->agent;
}

struct tbi_sched *tbi_loop_sched(struct tbi_loop *loop)
{
    return loop->sched;
}

struct tbi_loop *tbi_loop_create(const struct tbi_loop_config *config)
{
    struct tbi_loop *loop = tbi_alloc_zeroed(1, sizeof *loop);
    struct tbi_pool_config pool = {config->slots, config->zygote, config->agent.rank, config->host,
                                   loop, of_executor, executor_doomed, executor_died, executor_unborn, of_printing,
                                   may_print, may_read};

    loop->config = *config;
    loop->config.sched = NULL;
    loop->watch_every_us = WATCH_US;
    if (config->heartbeat > 0 && config->heartbeat / BEATS < WATCH_US / 1e6)
        loop->watch_every_us = (uint64_t)(config->heartbeat / BEATS * 1e6) + 1;
    loop->pool = tbi_pool_create(&pool);
    if (config->sched != NULL) {
        loop->sched = tbi_sched_create(config->sched, (struct tbi_port){loop, from_head});
        loop->terminal = tbi_terminal_create(wake, loop);
        loop->owed = tbi_alloc_zeroed(config->agent.nranks, sizeof *loop->owed);
        tbi_roll_call_init(&loop->roll_call, config->agent.nranks);
    }
    loop->agent = tbi_agent_create(&config->agent, (struct tbi_port){loop, from_agent},
                                   (struct tbi_agent_ops){loop, fork_executor, copy, push,
                                                          take_back, interrupt, kill_executor, say});
    if (config->transport != NULL)
        config->transport->on_copied(config->transport->ctx, on_copied, loop);
    return loop;
}

void tbi_loop_destroy(struct tbi_loop *loop)
{
    if (loop == NULL)
        return;
    tbi_agent_destroy(loop->agent);
    tbi_sched_destroy(loop->sched);
    tbi_terminal_destroy(loop->terminal);
    tbi_pool_destroy(loop->pool);
    tbi_outbox_fini(&loop->to_head);
    tbi_outbox_fini(&loop->to_agent);
    tbi_outbox_fini(&loop->to_driver);
    tbi_outbox_fini(&loop->taken);
    tbi_roll_call_fini(&loop->roll_call);
    free(loop->owed);
    free(loop);
}
