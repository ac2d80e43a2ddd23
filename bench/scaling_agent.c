/* scaling_agent.c - rows of scaling.c for a rank's agent alone: what it sends goes nowhere. It is rank 1 of 3; rank 2
 * is on another host. In processor time. */
#include "scaling.h"
#include "bench.h"
#include "net/codec.h"
#include "node/agent.h"
#include "thornback.h"

enum { PAGE = 4096, ENDS = 16, CALLS = 8 };

struct node {
    struct tbi_agent *agent;
    struct tbi_outbox in, sent;
    uint32_t forked;
    uint64_t made;
};

static void *on_send(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct node *a = ctx;

    (void)rank;
    a->sent.begin = a->sent.end = 0;
    return tbi_outbox_append(&a->sent, type, proc, size);
}

static void on_fork(void *ctx, uint32_t proc) { ((struct node *)ctx)->forked = proc; }
static uint64_t on_take_back(void *ctx, uint32_t proc, uint64_t begun, uint64_t offered)
{
    (void)ctx, (void)proc, (void)begun;
    return offered;
}

static void *record(struct node *a, enum tbi_msg type, uint32_t proc, size_t size)
{
    a->in.begin = a->in.end = 0;
    return tbi_outbox_append(&a->in, type, proc, size);
}

static void deliver(struct node *a)
{
    const struct tbi_record *r = (void *)(a->in.data + a->in.begin);
    unsigned from = tbi_msg_info[r->type].from == TBI_ROLE_PROC ? 1 : 0;
    const char *why = tbi_agent_handle(a->agent, from, r, 0);

    if (why != NULL) {
        fprintf(stderr, "scaling: %s\n", why);
        exit(1);
    }
}

static void begin(struct node *a, unsigned cpus, uint64_t store_bytes)
{
    int64_t totals[TBI_CUSTOM] = {(int64_t)cpus * TBI_UNIT};

    *a = (struct node){0};
    a->agent = tbi_agent_create(
        &(struct tbi_agent_config){.rank = 1, .nranks = 3, .host = (unsigned[]){0, 0, 1},
                                   .resources = {.nresources = TBI_CUSTOM, .totals = totals},
                                   .max_executors = cpus, .most_processes = cpus, .last_proc = TBI_ID_PROC_MAX,
                                   .overtakes = 64, .store_bytes = store_bytes, .page_bytes = PAGE,
                                   .create_timeout_us = 1000000, .birth_patience_us = 1000000, .grace_us = 1000000},
        (struct tbi_port){a, on_send},
        (struct tbi_agent_ops){.ctx = a, .fork = on_fork, .take_back = on_take_back});
}

static void end(struct node *a)
{
    tbi_agent_destroy(a->agent);
    tbi_outbox_fini(&a->in);
    tbi_outbox_fini(&a->sent);
}

static struct tbi_id id_of(unsigned proc, uint64_t k) { return tbi_id_make(1, proc > 0, proc, k, 0); }

/* It begins, in a new process. */
static struct tbi_id dispatch(struct node *a, unsigned nreturns)
{
    struct msg_dispatch *m = record(a, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m);
    struct tbi_id task = id_of(0, ++a->made);

    *m = (struct msg_dispatch){.task = task, .cpus = TBI_UNIT, .nreturns = (uint16_t)nreturns};
    deliver(a);
    return task;
}

static void create(struct node *a, uint32_t proc, struct tbi_id id, uint64_t bytes)
{
    *(struct msg_create *)record(a, TBI_MSG_CREATE, proc, sizeof(struct msg_create)) = (struct msg_create){id, bytes};
    deliver(a);
}

/* The process waits for an object of rank 2, and the head has said where that is. */
static void need(struct node *a, uint32_t proc, struct tbi_id id)
{
    *(struct msg_get *)record(a, TBI_MSG_GET, proc, sizeof(struct msg_get)) = (struct msg_get){id, 0, 0};
    deliver(a);
    *(struct msg_located *)record(a, TBI_MSG_RESOLVED, proc, sizeof(struct msg_located)) =
        (struct msg_located){id, TBI_AT_STORE, 2, 0, PAGE};
    deliver(a);
}

/* A call of an actor on rank 2; the first one asks where that lives. */
static void call(struct node *a, uint32_t proc, struct tbi_id parent, uint64_t number)
{
    struct msg_submit *m = record(a, TBI_MSG_SUBMIT, proc, sizeof *m + sizeof(struct tbi_id) + sizeof(struct msg_call));
    struct tbi_id actor = id_of(0, UINT64_C(1) << 40);

    *m = (struct msg_submit){.kind = TBI_CALL, .task = id_of(proc, number), .parent = parent, .nreturns = 1, .nrefs = 1};
    *(struct tbi_id *)(m + 1) = actor;
    *(struct msg_call *)((struct tbi_id *)(m + 1) + 1) = (struct msg_call){.actor = actor};
    deliver(a);
    if (number > 1)
        return;
    *(struct msg_where *)record(a, TBI_MSG_WHERE, TBI_PROC_NONE, sizeof(struct msg_where)) =
        (struct msg_where){actor, 0, 2, proc, 0};
    deliver(a);
}

/* n processes run, each with calls that are under way, an object of its own and one of all that are on their way here,
 * and a create that waits for room; and n tasks wait for the one of all. */
static void begin_many(struct node *a, int n)
{
    struct tbi_id shared = id_of(0, UINT64_C(1) << 41);

    begin(a, (unsigned)n, ((uint64_t)n + 1) * PAGE);
    for (int i = 0; i < n; i++) {
        struct tbi_id task = dispatch(a, 1);

        for (uint64_t k = 1; k <= CALLS; k++)
            call(a, a->forked, task, k);
        need(a, a->forked, shared);
        need(a, a->forked, id_of(a->forked, CALLS + 1));
    }
    for (int i = 0; i < n; i++) {
        struct msg_dispatch *m =
            record(a, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m + sizeof(struct msg_located) + sizeof(uint64_t));
        struct msg_located *at = (struct msg_located *)(m + 1);

        *m = (struct msg_dispatch){.task = id_of(0, ++a->made), .cpus = TBI_UNIT, .nreturns = 1, .nargs = 1, .nresolve = 1};
        *at = (struct msg_located){shared, TBI_AT_STORE, 2, 0, PAGE};
        *(uint64_t *)(at + 1) = TBI_ARG_REF;
        deliver(a);
    }
    for (int i = 0; i < n; i++)
        create(a, (uint32_t)i + 1, id_of((unsigned)i + 1, CALLS + 2), PAGE);
}

/* A few of the processes end. */
double scaling_one_end(int n)
{
    struct tbi_error_link cause;
    struct node a;
    double t;

    begin_many(&a, n);
    tbi_error_link(&cause, TB_ERR_CRASHED, "killed");
    t = bench_cpu_now();
    for (unsigned k = 0; k < ENDS; k++)
        tbi_agent_died(a.agent, k * (unsigned)n / ENDS + 1, &cause, false);
    t = bench_cpu_now() - t;
    end(&a);
    return t;
}

/* A few wait no longer for what all wait for. */
double scaling_one_forgets(int n)
{
    struct node a;
    double t;

    begin_many(&a, n);
    t = bench_cpu_now();
    for (unsigned k = 0; k < ENDS; k++) {
        *(struct msg_object *)record(&a, TBI_MSG_FORGET, k * (unsigned)n / ENDS + 1, sizeof(struct msg_object)) =
            (struct msg_object){id_of(0, UINT64_C(1) << 41)};
        deliver(&a);
    }
    t = bench_cpu_now() - t;
    end(&a);
    return t;
}

/* A task fails when it has created n results; another process has as many. The second such task is timed: the first finds
 * memory that was never used, which costs in itself. */
double scaling_abandon(int n)
{
    struct node a;
    double t = 0;

    begin(&a, 2, ((uint64_t)n * 4) * PAGE);
    for (int r = 0; r < 3; r++) {
        struct tbi_id task = dispatch(&a, (unsigned)n);
        struct msg_done *m;

        t = bench_cpu_now();
        for (int i = 0; i < n; i++)
            create(&a, r == 0 ? 1 : 2, tbi_id_with_index(task, (unsigned)i), PAGE);
        if (r == 0)
            continue; /* it goes on */
        m = record(&a, TBI_MSG_DONE, 2, sizeof *m + sizeof(struct tbi_error_link));
        *m = (struct msg_done){.task = task, .error = TB_ERR_TASK, .data_bytes = sizeof(struct tbi_error_link),
                               .error_bytes = sizeof(struct tbi_error_link)};
        tbi_error_link((struct tbi_error_link *)(m + 1), TB_ERR_TASK, "it failed");
        deliver(&a);
        t = bench_cpu_now() - t;
    }
    end(&a);
    return t;
}
