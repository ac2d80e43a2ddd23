#include "node/loop.h"
#include "exec/children.h"
#include "node/loop_parts.h"
#include "node/report.h"
#include "util/alloc.h"
#include "util/look.h"

enum { SLEEP_MIN_US = 50, SLEEP_HOST_US = 10000, SLEEP_HOSTS_US = 1000, SLEEP_ALONE_US = 1000000 };
enum { WATCH_US = 1000000, BEATS = 10 /* within TB_HEARTBEAT */ };
enum { LOOK_US = 10000 /* between two looks at all slots of executors, while the rank is busy */ };
enum { ROUNDS = 16 /* of records between head and agent of this rank in one turn */ };
enum { HEAD_BACKLOG = 1 << 20 /* bytes of records to the head that wait for leave to go */ };
enum { ORPHANS_END_MS = 3000, REPORT_EVERY_US = 1000000 };

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
        more = tbi_loop_serve(loop, &loop->to_head);
        if (loop->sched_dirty) {
            loop->sched_dirty = false;
            tbi_sched_run(loop->sched);
        }
        more |= tbi_loop_serve(loop, &loop->to_agent);
    }
    return more;
}

/* Both may call MPI, which may not return. */
static bool receive(struct tbi_loop *loop)
{
    const struct tbi_transport *t = loop->config.transport;
    bool moved;

    tbi_watchdog_enter(loop->config.watchdog);
    moved = t->receive(t->ctx, tbi_loop_of_rank, loop);
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
        tbi_loop_from_head(loop, r, TBI_MSG_REPORT, TBI_PROC_NONE, sizeof(struct msg_none));
    tbi_roll_call_begin(&loop->roll_call, loop->now_us);
}

void tbi_loop_on_report(struct tbi_loop *loop)
{
    report_as_worker(loop);
    tbi_loop_from_agent(loop, 0, TBI_MSG_REPORTED, TBI_PROC_NONE, sizeof(struct msg_none));
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
        moved |= tbi_loop_serve_driver(loop);
    moved |= tbi_loop_pay(loop);
    if (loop->sched != NULL && tbi_sched_deadline(loop->sched) <= loop->now_us) {
        tbi_sched_tick(loop->sched, loop->now_us);
        loop->sched_dirty = true;
    }
    moved |= exchange(loop);
    if (tbi_agent_deadline(loop->agent) <= loop->now_us)
        tbi_agent_tick(loop->agent, loop->now_us);
    moved |= tbi_loop_deliver_to_driver(loop);
    if (loop->watch_us <= loop->now_us)
        watch(loop);
    tbi_loop_check_stop(loop);
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
        tbi_outbox_bytes(&loop->to_agent) > 0 || tbi_loop_can_pay(loop) ||
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
           (d->rang != NULL && d->rang(d->ctx));
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

struct tbi_agent *tbi_loop_agent(struct tbi_loop *loop)
{
    return loop->agent;
}

struct tbi_sched *tbi_loop_sched(struct tbi_loop *loop)
{
    return loop->sched;
}

/* While much of what executors have said waits to go to the head, more of it waits in their rings, and when these
 * are full so do they. The head takes in what comes whatever agents do, so this ends. */
static bool may_read(void *ctx)
{
    const struct tbi_loop *loop = ctx;
    const struct tbi_transport *t = loop->config.transport;

    return loop->sched != NULL || t == NULL || t->waiting(t->ctx, 0) < HEAD_BACKLOG;
}

static void wake(void *ctx)
{
    const struct tbi_loop *loop = ctx;

    tbi_bell_ring(tbi_memory_bell(loop->config.memory, loop->config.agent.rank));
}

struct tbi_loop *tbi_loop_create(const struct tbi_loop_config *config)
{
    struct tbi_loop *loop = tbi_alloc_zeroed(1, sizeof *loop);
    struct tbi_pool_config pool = {config->slots, config->zygote, config->agent.rank, config->host,
                                   loop, tbi_loop_of_executor, tbi_loop_executor_doomed, tbi_loop_executor_died,
                                   tbi_loop_executor_unborn, tbi_loop_of_printing, tbi_loop_may_print, may_read};

    loop->config = *config;
    loop->config.sched = NULL;
    loop->watch_every_us = WATCH_US;
    if (config->heartbeat > 0 && config->heartbeat / BEATS < WATCH_US / 1e6)
        loop->watch_every_us = (uint64_t)(config->heartbeat / BEATS * 1e6) + 1;
    loop->pool = tbi_pool_create(&pool);
    if (config->sched != NULL) {
        loop->sched = tbi_sched_create(config->sched, (struct tbi_port){loop, tbi_loop_from_head});
        loop->terminal = tbi_terminal_create(wake, loop);
        loop->owed = tbi_alloc_zeroed(config->agent.nranks, sizeof *loop->owed);
        tbi_roll_call_init(&loop->roll_call, config->agent.nranks);
    }
    loop->agent = tbi_agent_create(&config->agent, (struct tbi_port){loop, tbi_loop_from_agent},
                                   tbi_loop_agent_ops(loop));
    if (config->transport != NULL)
        config->transport->on_copied(config->transport->ctx, tbi_loop_on_copied, loop);
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
