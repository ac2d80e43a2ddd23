/* sim.h - the scheduler alone, driven by short commands; what it sends is compared as text.
 * A transcript line is "DISPATCH 3 to 1" (task or object number, rank), with " wanted",
 * " inline=VALUE", " at=RANK" or " error=CODE in FUNCTION" behind it where that applies.
 * What actors need besides is in sim_actors.h. */
#ifndef TB_SIM_H
#define TB_SIM_H

#include "unit.h"
#include "net/codec.h"
#include "sched/sched.h"
#include "thornback.h"
#include "util/error_blob.h"

#include <math.h>

enum { SIM_RANKS = 64 };

struct sim {
    struct tbi_sched *sched;
    struct tbi_outbox out[SIM_RANKS];
    struct tbi_outbox in;
    char text[1 << 16];
    size_t len;
    uint64_t next, now;
    unsigned unread;              /* failures that went unread */
    struct tbi_error_link told;   /* the last error that was told, ... */
    char message[512];            /* ... and what it says */
    uint32_t run_us;              /* how long tasks say that they ran */
    uint64_t reserved_gpus;       /* the bits of the instances that agents say bundles got */
    unsigned order[4096], norder; /* ranks in the order of sending */
};

static inline void *sim_send(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc,
                             size_t size)
{
    struct sim *sim = ctx;

    assert_true(sim->norder < 4096);
    sim->order[sim->norder++] = rank;
    return tbi_outbox_append(&sim->out[rank], type, proc, size);
}

static const char *const sim_functions[] = {"work", "other"};

static inline void sim_unread(void *ctx, const void *error, uint32_t bytes)
{
    assert_int_not_equal(tbi_error_links(error, bytes), 0);
    ((struct sim *)ctx)->unread++;
}

/* Completes the config. */
static inline struct sim *sim_with(struct tbi_sched_config config)
{
    struct sim *sim = calloc(1, sizeof *sim);

    config.overtakes = 4;
    config.functions = sim_functions;
    config.nfunctions = sizeof sim_functions / sizeof *sim_functions;
    config.unread = sim_unread;
    config.unread_ctx = sim;
    sim->sched = tbi_sched_create(&config, (struct tbi_port){sim, sim_send});
    return sim;
}

static inline struct sim *sim_new(unsigned nranks, const int32_t *cpus, const unsigned *host,
                                  unsigned ahead)
{
    int64_t totals[SIM_RANKS][TBI_CUSTOM] = {{0}};

    for (unsigned r = 0; r < nranks; r++)
        totals[r][TBI_CPUS] = cpus[r];
    return sim_with((struct tbi_sched_config){.nranks = nranks, .nresources = TBI_CUSTOM,
                                              .totals = totals[0], .host = host, .ahead = ahead});
}

static inline void sim_free(struct sim *sim)
{
    tbi_sched_destroy(sim->sched);
    for (int i = 0; i < SIM_RANKS; i++)
        tbi_outbox_fini(&sim->out[i]);
    tbi_outbox_fini(&sim->in);
    free(sim);
}

/* What process p of rank p has made, p not 0, is known by this number; other numbers are the driver's. */
#define SIM_BY(p, k) ((p) << 24 | (k))
static inline struct tbi_id sim_id(uint64_t k)
{
    unsigned p = (unsigned)(k >> 24);

    return tbi_id_make(1, p, p, k & 0xffffff, 0);
}

static inline void sim_print(struct sim *sim, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    sim->len += (size_t)vsnprintf(sim->text + sim->len, sizeof sim->text - sim->len, fmt, args);
    va_end(args);
}

/* For how many CPUs. */
static inline void sim_take_back(struct sim *sim, unsigned rank, const struct msg_take_back *m)
{
    const struct tbi_amount *there = (const void *)(m + 1);

    assert_int_equal(there[0].resource, TBI_CPUS);
    sim_print(sim, "TAKE_BACK %g CPUs to %u\n", (double)there[0].amount / 10000, rank);
}

static inline void sim_describe(struct sim *sim, unsigned rank, const struct tbi_record *r)
{
    const struct tbi_id *id = (const void *)(r + 1); /* so begin all payloads but these two */

    if (r->type == TBI_MSG_TAKE_BACK) {
        sim_take_back(sim, rank, (const void *)(r + 1));
        return;
    }
    if (r->type == TBI_MSG_IDENTIFY) {
        const struct msg_found *m = (const void *)id;

        sim_print(sim, "IDENTIFY %d for ticket %d to %u\n", (int)tbi_id_counter(m->id), (int)m->ticket, rank);
        return;
    }
    if (r->type == TBI_MSG_GRANT) {
        const struct msg_credit *m = (const void *)id;

        sim_print(sim, "GRANT %d: %d to %u.%u\n", (int)m->number, (int)m->units, rank, r->proc);
        return;
    }
    if (r->type == TBI_MSG_TALLY) {
        const struct msg_unfinished *m = (const void *)id;

        sim_print(sim, "TALLY %d to %u: %d tasks, %d calls, %d actors\n", (int)m->ticket, rank, (int)m->tasks,
                  (int)m->calls, (int)m->actors);
        return;
    }
    if (r->type == TBI_MSG_KEEP) {
        sim_print(sim, "KEEP %u to %u\n", ((const struct msg_keep *)(r + 1))->kept, rank);
        return;
    }
    sim_print(sim, "%s %d", tbi_msg_info[r->type].name, (int)tbi_id_counter(*id));
    if (tbi_id_index(*id) > 0)
        sim_print(sim, ".%u", tbi_id_index(*id));
    sim_print(sim, " to %u", rank);
    if (r->type == TBI_MSG_DISPATCH) {
        const struct msg_dispatch *m = (const void *)(r + 1);
        const struct msg_located *at = (const void *)(m + 1);

        if (m->flags & TBI_DISPATCH_WANTED)
            sim_print(sim, " wanted");
        if (m->flags & TBI_DISPATCH_STAYS)
            sim_print(sim, " stays");
        if (m->attempt > 0)
            sim_print(sim, " attempt=%u", m->attempt);
        if (tbi_dispatch_call(m) != NULL)
            sim_print(sim, " epoch=%u", tbi_dispatch_call(m)->epoch);
        if (tbi_dispatch_actor(m) != NULL && tbi_dispatch_actor(m)->flags & TBI_ACTOR_RESTORES)
            sim_print(sim, " restores");
        if (tbi_dispatch_bundle(m) != NULL)
            sim_print(sim, " in %d.%u", (int)tbi_id_counter(*tbi_dispatch_bundle(m)),
                      tbi_id_index(*tbi_dispatch_bundle(m)));
        for (unsigned i = 0; i < m->nresolve; i++)
            if (at[i].where == TBI_AT_STORE)
                sim_print(sim, " at=%u", at[i].rank);
            else
                sim_print(sim, " inline=%d", (int)at[i].bytes);
    } else if (r->type == TBI_MSG_RESERVE) {
        const struct msg_reserve *m = (const void *)id;
        const struct tbi_id *lender = (const struct tbi_id *)((const struct tbi_amount *)(m + 1) + m->demand.nmore);

        for (unsigned i = 0; i < m->nlenders; i++)
            sim_print(sim, " lent by %d", (int)tbi_id_counter(lender[i]));
    } else if (r->type == TBI_MSG_SKIP) {
        const struct msg_skip *m = (const void *)id;

        sim_print(sim, " epoch=%u: %u.%u's %d to %d", m->epoch, m->rank, m->proc, (int)m->from,
                  (int)m->to - 1);
    } else if (r->type == TBI_MSG_WHERE) {
        const struct msg_where *m = (const void *)id;

        if (m->rank != TBI_NOWHERE)
            sim_print(sim, ".%u epoch=%u: %u", m->proc, m->epoch, m->rank);
        else
            sim_print(sim, ".%u: %s", m->proc, m->ended ? "ended" : "nowhere");
    } else if (r->type == TBI_MSG_STOP) {
        const struct msg_stop *m = (const void *)id;

        sim_print(sim, " number=%d epoch=%u", (int)m->seq, m->epoch);
    } else if (r->type == TBI_MSG_RETIRE) {
        const struct msg_task *m = (const void *)id;

        if (m->attempt > 0)
            sim_print(sim, " attempt=%u", m->attempt);
    } else if (r->type == TBI_MSG_ABORT) {
        if (((const struct msg_abort *)(r + 1))->force)
            sim_print(sim, " by force");
    } else if (r->type == TBI_MSG_RESOLVED) {
        const struct msg_located *m = (const void *)(r + 1);
        const struct tbi_error_link *error = (const void *)(m + 1);

        if (m->where == TBI_AT_INLINE)
            sim_print(sim, " inline=%d", (int)*(const int64_t *)(m + 1));
        else if (m->where == TBI_AT_STORE)
            sim_print(sim, " at=%u", m->rank);
        else if (m->where == TBI_AT_EXISTS || m->where == TBI_AT_PENDING)
            sim_print(sim, m->where == TBI_AT_EXISTS ? " exists" : " pending");
        else if (m->where == TBI_AT_ERROR)
            sim_print(sim, " error=%d%s%s", error->code, error->function[0] ? " in " : "",
                      error->function);
        if (m->where == TBI_AT_ERROR)
            sim->told = *error;
        if (m->where == TBI_AT_ERROR)
            snprintf(sim->message, sizeof sim->message, "%s", error->message);
        if (m->where == TBI_AT_ERROR && m->bytes > sizeof *error)
            sim_print(sim, " because %d", error[1].code);
    }
    sim_print(sim, "\n");
}

/* What the scheduler sent since the last call. */
static inline const char *sim_actions(struct sim *sim)
{
    size_t at[SIM_RANKS] = {0};

    sim->len = 0;
    sim->text[0] = 0;
    for (unsigned i = 0; i < sim->norder; i++) {
        struct tbi_outbox *out = &sim->out[sim->order[i]];
        const struct tbi_record *r = (void *)(out->data + out->begin + at[sim->order[i]]);

        assert_null(tbi_record_check(r, tbi_outbox_bytes(out) - at[sim->order[i]]));
        sim_describe(sim, sim->order[i], r);
        at[sim->order[i]] += r->len;
    }
    sim->norder = 0;
    for (int i = 0; i < SIM_RANKS; i++)
        sim->out[i].begin = sim->out[i].end = 0;
    return sim->text;
}

#define assert_actions(sim, expected)                                                              \
    do {                                                                                           \
        tbi_sched_run((sim)->sched);                                                               \
        assert_null(tbi_sched_check((sim)->sched));                                                \
        assert_string_equal(sim_actions(sim), expected);                                           \
    } while (0)

static inline void *sim_record(struct sim *sim, enum tbi_msg type, size_t size)
{
    sim->in.begin = sim->in.end = 0;
    return tbi_outbox_append(&sim->in, type, 0, size);
}

static inline const char *sim_deliver(struct sim *sim, unsigned rank)
{
    const struct tbi_record *r = (void *)(sim->in.data + sim->in.begin);

    assert_null(tbi_record_check(r, tbi_outbox_bytes(&sim->in)));
    return tbi_sched_handle(sim->sched, rank, r, sim->now);
}

struct sim_task {
    double cpus;
    unsigned fn;   /* in sim_functions */
    unsigned depth, nreturns;
    int after[4];  /* objects whose values are arguments; 0 ends */
    int holds[4];  /* objects that travel as refs; 0 ends */
    int parent;    /* the task that submits it; 0: the driver */
    unsigned local; /* 1: it comes from rank 1, whose agent has it */
    unsigned of_direct; /* 1: its parent was called directly */
    int max_retries;
    uint32_t retry_codes, retry_delay_ms;
    struct sim_part { unsigned resource; double amount; } more[4]; /* resource 0 ends */
    enum tbi_strategy strategy;
    unsigned node;
    int group;     /* with TBI_IN_GROUP */
    unsigned bundle; /* of it, from 1; 0: any */
    enum tbi_kind kind;
    struct msg_actor as;  /* an actor: its terms, ... */
    const char *name;     /* ... "namespace/name", or NULL */
    int actor;            /* a call: of this actor, ... */
    uint64_t seq;         /* ... by its caller's number for it */
    unsigned lane;
    unsigned call_flags;  /* ... TBI_CALL_*, ... */
    uint32_t epoch;       /* ... and in which life, if it was sent directly */
    unsigned by;          /* the process p of rank p that submits it; 0: the driver */
};

/* Bytes of what goes behind a SUBMIT by its kind, if `to` is not NULL written there. */
static inline size_t sim_kind(struct sim_task t, void *to)
{
    struct msg_actor *actor = to;
    size_t name = t.name != NULL ? strlen(t.name) + 1 : 0;

    if (t.kind == TBI_CALL && to != NULL)
        *(struct msg_call *)to = (struct msg_call){.actor = sim_id((uint64_t)t.actor), .seq = t.seq,
                                                   .epoch = t.epoch, .lane = (uint16_t)t.lane,
                                                   .flags = (uint16_t)t.call_flags};
    if (t.kind == TBI_ACTOR && to != NULL) {
        *actor = t.as;
        actor->name_bytes = (uint32_t)name;
        actor->nlanes = 1;
        memset(actor + 1, 0, tbi_padded(name));
        for (size_t i = 0; i < name; i++)
            ((char *)(actor + 1))[i] = t.name[i] == '/' ? 0 : t.name[i];
    }
    return t.kind == TBI_CALL    ? sizeof(struct msg_call)
           : t.kind == TBI_ACTOR ? sizeof(struct msg_actor) + tbi_padded(name)
                                 : 0;
}

/* Submit a task by the driver. One return unless said otherwise. NULL, or why it was refused. */
static inline const char *sim_try(struct sim *sim, struct sim_task t)
{
    unsigned nresolve = 0, nrefs, nmore = 0;
    struct tbi_amount *more;
    struct msg_submit *m;
    struct tbi_id *refs;

    while (nresolve < 4 && t.after[nresolve])
        nresolve++;
    for (nrefs = nresolve; nrefs < nresolve + 4 && t.holds[nrefs - nresolve];)
        nrefs++;
    nrefs += t.kind == TBI_CALL;
    while (nmore < 4 && t.more[nmore].resource)
        nmore++;
    m = sim_record(sim, TBI_MSG_SUBMIT,
                   sizeof *m + nrefs * sizeof *refs + nresolve * 8 + nmore * sizeof *more +
                       (t.strategy == TBI_IN_GROUP ? sizeof(struct tbi_id) : 0) + sim_kind(t, NULL));
    *m = (struct msg_submit){.task = sim_id(SIM_BY((uint64_t)t.by, ++sim->next)), .fn = t.fn,
                             .cpus = (int32_t)(t.cpus * 10000),
                             .nreturns = (uint16_t)(t.nreturns ? t.nreturns : 1), .kind = (uint8_t)t.kind,
                             .nargs = (uint16_t)nresolve, .nrefs = (uint16_t)nrefs,
                             .nresolve = (uint16_t)nresolve, .depth = (uint16_t)t.depth,
                             .local = (uint8_t)t.local, .of_direct = (uint16_t)t.of_direct, .max_retries = t.max_retries, .retry_codes = t.retry_codes,
                             .retry_delay_ms = t.retry_delay_ms, .nmore = (uint8_t)nmore,
                             .strategy = (uint8_t)t.strategy, .node = t.node};
    if (t.parent != 0)
        m->parent = sim_id((uint64_t)t.parent);
    refs = (struct tbi_id *)(m + 1);
    for (unsigned i = 0; i < nrefs; i++)
        refs[i] = sim_id((uint64_t)(i < nresolve                               ? t.after[i]
                                    : t.kind == TBI_CALL && i == nrefs - 1 ? t.actor
                                                                             : t.holds[i - nresolve]));
    for (unsigned i = 0; i < nresolve; i++)
        ((uint64_t *)(refs + nrefs))[i] = TBI_ARG_REF | i;
    more = (struct tbi_amount *)((uint64_t *)(refs + nrefs) + nresolve);
    for (unsigned i = 0; i < nmore; i++)
        more[i] = (struct tbi_amount){.resource = t.more[i].resource,
                                      .amount = (int64_t)llround(t.more[i].amount * 10000)};
    if (t.strategy == TBI_IN_GROUP)
        *(struct tbi_id *)(more + nmore) = tbi_id_with_index(sim_id((uint64_t)t.group), t.bundle);
    sim_kind(t, (struct tbi_id *)(more + nmore) + (t.strategy == TBI_IN_GROUP));
    return sim_deliver(sim, t.local ? 1 : t.by);
}

struct sim_bundle {
    double cpus;
    struct sim_part more[2]; /* resource 0 ends */
};

/* Makes a group of `n` bundles; returns its number. */
static inline int sim_group(struct sim *sim, enum tbi_group_strategy strategy, unsigned n,
                            const struct sim_bundle *bundles)
{
    size_t size = sizeof(struct msg_group) + n * sizeof(struct msg_bundle);
    struct msg_group *m;
    struct msg_bundle *to;

    for (unsigned b = 0; b < n; b++)
        for (unsigned i = 0; i < 2 && bundles[b].more[i].resource != 0; i++)
            size += sizeof(struct tbi_amount);
    m = sim_record(sim, TBI_MSG_GROUP, size);
    *m = (struct msg_group){sim_id(++sim->next), strategy, n};
    to = (struct msg_bundle *)(m + 1);
    for (unsigned b = 0; b < n; b++) {
        struct tbi_amount *more = (struct tbi_amount *)(to + 1);

        *to = (struct msg_bundle){(int32_t)llround(bundles[b].cpus * 10000), 0};
        for (unsigned i = 0; i < 2 && bundles[b].more[i].resource != 0; i++)
            more[to->nmore++] =
                (struct tbi_amount){.resource = bundles[b].more[i].resource,
                                    .amount = (int64_t)llround(bundles[b].more[i].amount * 10000)};
        to = (struct msg_bundle *)(more + to->nmore);
    }
    assert_null(sim_deliver(sim, 0));
    return (int)sim->next;
}

/* The agent of `rank` has, or has not, set the bundle (from 1) aside; or given it back. */
static inline const char *sim_reserved(struct sim *sim, unsigned rank, int group, unsigned bundle,
                                       bool granted)
{
    struct msg_reserved *m = sim_record(sim, TBI_MSG_RESERVED, sizeof *m);

    *m = (struct msg_reserved){tbi_id_with_index(sim_id((uint64_t)group), bundle), granted, 0, sim->reserved_gpus};
    return sim_deliver(sim, rank);
}
static inline const char *sim_unreserved(struct sim *sim, unsigned rank, int group, unsigned bundle)
{
    struct msg_object *m = sim_record(sim, TBI_MSG_UNRESERVED, sizeof *m);

    m->id = tbi_id_with_index(sim_id((uint64_t)group), bundle);
    return sim_deliver(sim, rank);
}

/* The same, which has to be taken; returns its number. */
static inline int sim_submit(struct sim *sim, struct sim_task t)
{
    assert_null(sim_try(sim, t));
    return SIM_BY((int)t.by, (int)sim->next);
}

/* A small object with one int64 and, unless 0, a ref inside; returns its number. */
static inline int sim_put(struct sim *sim, int64_t value, int inside)
{
    unsigned nrefs = inside != 0;
    struct msg_put *m = sim_record(sim, TBI_MSG_PUT, sizeof *m + nrefs * 16 + 8);
    struct tbi_id *ids = (struct tbi_id *)(m + 1);

    *m = (struct msg_put){sim_id(++sim->next), nrefs, 8};
    if (inside)
        ids[0] = sim_id((uint64_t)inside);
    memcpy(ids + nrefs, &value, 8);
    assert_null(sim_deliver(sim, 0));
    return (int)sim->next;
}

static inline void sim_sealed(struct sim *sim, unsigned rank, int object, uint64_t bytes)
{
    struct msg_seal *m = sim_record(sim, TBI_MSG_SEALED, sizeof *m);

    *m = (struct msg_seal){sim_id((uint64_t)object), bytes, 0, rank};
    assert_null(sim_deliver(sim, rank));
}

/* The task ended with `n` inline int64 results, all `value`; `kept` (0: none) is kept. */
static inline const char *sim_done(struct sim *sim, unsigned rank, int task, unsigned n,
                                   int64_t value, int kept)
{
    struct msg_done *m = sim_record(sim, TBI_MSG_FINISHED,
                                    sizeof *m + n * (sizeof(struct tbi_result) + 8) +
                                        (kept ? 16 : 0));
    struct tbi_result *result = (struct tbi_result *)(m + 1);
    struct tbi_id *ids = (struct tbi_id *)(result + n);

    *m = (struct msg_done){.task = sim_id((uint64_t)task), .nresults = (uint16_t)n,
                           .nkept = kept != 0, .data_bytes = n * 8, .run_us = sim->run_us};
    for (unsigned i = 0; i < n; i++)
        result[i] = (struct tbi_result){TBI_AT_INLINE, 0, 8};
    if (kept)
        *ids++ = sim_id((uint64_t)kept);
    for (unsigned i = 0; i < n; i++)
        memcpy((uint8_t *)ids + i * 8, &value, 8);
    return sim_deliver(sim, rank);
}

/* The task ended with one result of `bytes` in the segment of its rank. */
static inline void sim_done_stored(struct sim *sim, unsigned rank, int task, uint64_t bytes)
{
    struct msg_done *m = sim_record(sim, TBI_MSG_FINISHED, sizeof *m + sizeof(struct tbi_result));

    *m = (struct msg_done){.task = sim_id((uint64_t)task), .nresults = 1};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){TBI_AT_STORE, 0, bytes};
    assert_null(sim_deliver(sim, rank));
}

/* Its process, where there was one, was 100 + its number, on rank `rank` of host "there". */
static inline void sim_attempt_failed(struct sim *sim, unsigned rank, int task, uint32_t attempt,
                                      int code)
{
    struct msg_done *m =
        sim_record(sim, TBI_MSG_FINISHED, sizeof *m + sizeof(struct tbi_error_link));
    struct tbi_error_link *link = (struct tbi_error_link *)(m + 1);

    *m = (struct msg_done){.task = sim_id((uint64_t)task), .error = code, .attempt = attempt,
                           .crashed = code == TB_ERR_CRASHED,
                           .data_bytes = sizeof(struct tbi_error_link),
                           .error_bytes = sizeof(struct tbi_error_link)};
    tbi_error_link(link, code, "as the test wants it");
    link->rank = (int32_t)rank;
    link->pid = 100 + task;
    strcpy(link->host, "there");
    assert_null(sim_deliver(sim, rank));
}

static inline void sim_failed(struct sim *sim, unsigned rank, int task, int code)
{
    sim_attempt_failed(sim, rank, task, 0, code);
}

/* Answers TAKE_BACK with these tasks; 0 ends. */
static inline const char *sim_taken(struct sim *sim, unsigned rank, const int *tasks)
{
    unsigned n = 0;
    struct msg_taken *m;

    while (tasks[n] != 0)
        n++;
    m = sim_record(sim, TBI_MSG_TAKEN, sizeof *m + n * sizeof(struct msg_task));
    *m = (struct msg_taken){n, 0};
    for (unsigned i = 0; i < n; i++)
        ((struct msg_task *)(m + 1))[i] = (struct msg_task){sim_id((uint64_t)tasks[i]), 0, 0};
    return sim_deliver(sim, rank);
}

static inline void sim_cancel(struct sim *sim, int object, uint32_t flags)
{
    struct msg_cancel *m = sim_record(sim, TBI_MSG_CANCEL, sizeof *m);

    *m = (struct msg_cancel){sim_id((uint64_t)object), flags, 0};
    assert_null(sim_deliver(sim, 0));
}

static inline void sim_object(struct sim *sim, enum tbi_msg type, unsigned rank, int object)
{
    struct msg_object *m = sim_record(sim, type, sizeof *m);

    m->id = sim_id((uint64_t)object);
    assert_null(sim_deliver(sim, rank));
}

static inline void sim_task_msg(struct sim *sim, enum tbi_msg type, unsigned rank, int task)
{
    struct msg_task *m = sim_record(sim, type, sizeof *m);

    *m = (struct msg_task){sim_id((uint64_t)task), 0, 0};
    assert_null(sim_deliver(sim, rank));
}

static inline void sim_resolve(struct sim *sim, unsigned rank, int object, uint32_t flags)
{
    struct msg_get *m = sim_record(sim, TBI_MSG_RESOLVE, sizeof *m);

    *m = (struct msg_get){sim_id((uint64_t)object), flags, 0};
    assert_null(sim_deliver(sim, rank));
}

/* Rank 0 has the driver and runs nothing. One worker of two CPUs behind it, or two of four on different hosts. */
static inline int sim_one_worker(void **state)
{
    *state = sim_new(2, (int32_t[]){0, 20000}, (unsigned[]){0, 0}, 2);
    return 0;
}

static inline int sim_two_hosts(void **state)
{
    *state = sim_new(3, (int32_t[]){0, 40000, 40000}, (unsigned[]){0, 0, 1}, 2);
    return 0;
}

static inline int sim_teardown(void **state)
{
    sim_free(*state);
    return 0;
}

#endif
