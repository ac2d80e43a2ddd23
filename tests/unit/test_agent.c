/* test_agent.c - holds the agent's decisions: transcripts of what it sends, forks and copies for what
 * it is told. The agent is rank 1 of three; ranks 0 and 1 share a host, rank 2 is on another.
 * A line is "RUN 3 to p1" (task or object number, process), "FETCH 3 to 2" (rank), "fork p1" or
 * "copy 3 from 2"; errors have " error=CODE" behind them, and what runs on cores or GPUs their places in the
 * node's: " cores 0 1", " gpus 1". */
#include "unit.h"
#include "net/codec.h"
#include "node/agent.h"
#include "thornback.h"

struct fake {
    struct tbi_agent *agent;
    struct tbi_outbox out, in;
    char text[4096];
    size_t len;
    uint32_t ticket;      /* of the last FETCH or copy */
    uint64_t now;
    unsigned not_begun;         /* how many of the tasks given to it an executor has not begun */
};

static struct tbi_id id(int k) { return tbi_id_make(1, 0, 0, (uint64_t)k, 0); }

static void print(struct fake *f, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    f->len += (size_t)vsnprintf(f->text + f->len, sizeof f->text - f->len, fmt, args);
    va_end(args);
}

static void describe_taken(struct fake *f, const struct msg_taken *m)
{
    const struct msg_task *task = (const struct msg_task *)(m + 1);

    print(f, "TAKEN");
    for (unsigned i = 0; i < m->ntasks; i++)
        print(f, " %d", (int)tbi_id_counter(task[i].task));
    print(f, "\n");
}

static void describe_places(struct fake *f, const char *what, const uint16_t *place, unsigned n)
{
    if (n > 0)
        print(f, " %s", what);
    for (unsigned i = 0; i < n; i++)
        print(f, " %u", place[i]);
}

static void describe_run(struct fake *f, const struct msg_run *m)
{
    const uint16_t *place =
        (const uint16_t *)((const struct tbi_run_arg *)(m + 1) + m->nargs) + m->data_bytes / 2;

    if (m->in_bundle)
        print(f, " in a bundle");
    describe_places(f, "cores", place, m->ncores);
    describe_places(f, "gpus", place + m->ncores, m->ngpus);
}

/* What was sent is described one call later, when its body has been filled in. */
static void describe(struct fake *f)
{
    while (tbi_outbox_bytes(&f->out) > 0) {
        const struct tbi_record *r = (void *)(f->out.data + f->out.begin);
        const struct tbi_id *first = (const void *)(r + 1);
        const struct msg_done *done = (const void *)(r + 1);
        const struct msg_created *created = (const void *)(r + 1);
        uint64_t to = *(const uint64_t *)((const uint8_t *)r + r->len - 8); /* see send */

        if (r->type == TBI_MSG_TAKEN) {
            describe_taken(f, (const void *)(r + 1));
            f->out.begin += r->len;
            continue;
        }
        print(f, "%s %d to ", tbi_msg_info[r->type].name, (int)tbi_id_counter(*first));
        if (tbi_msg_info[r->type].to == TBI_ROLE_PROC)
            print(f, "p%u", r->proc);
        else
            print(f, "%d", (int)to);
        if (r->type == TBI_MSG_SUBMIT && ((const struct msg_submit *)(r + 1))->local)
            print(f, " local");
        if (r->type == TBI_MSG_FINISHED && done->error != 0)
            print(f, " error=%d%s", done->error, done->crashed ? " crashed" : "");
        if (r->type == TBI_MSG_CREATED && created->error_bytes > 0)
            print(f, " error=%d", ((const struct tbi_error_link *)(created + 1))->code);
        if (r->type == TBI_MSG_FETCH)
            f->ticket = ((const struct msg_fetch *)(r + 1))->ticket;
        if (r->type == TBI_MSG_RUN)
            describe_run(f, (const void *)(r + 1));
        if (r->type == TBI_MSG_RESUME)
            describe_places(f, "cores", (const uint16_t *)((const struct msg_resume *)(r + 1) + 1),
                            ((const struct msg_resume *)(r + 1))->ncores);
        if (r->type == TBI_MSG_RESERVED)
            print(f, ((const struct msg_reserved *)(r + 1))->granted ? " granted" : " refused");
        if (r->type == TBI_MSG_FETCHED && ((const struct msg_fetched *)(r + 1))->refused)
            print(f, " refused");
        print(f, "\n");
        f->out.begin += r->len;
    }
    f->out.begin = f->out.end = 0;
}

/* The rank rides in eight bytes of its own behind the body. */
static void *fake_send(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct fake *f = ctx;
    uint64_t to = rank;
    uint8_t *body;

    describe(f);
    body = tbi_outbox_append(&f->out, type, proc, tbi_padded(size) + 8);
    memcpy(body + tbi_padded(size), &to, 8);
    return body;
}

static void fake_fork(void *ctx, uint32_t proc)
{
    describe(ctx);
    print(ctx, "fork p%u\n", proc);
}

static void fake_copy(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t to,
                      uint64_t bytes)
{
    struct fake *f = ctx;

    (void)from, (void)to, (void)bytes;
    describe(f);
    f->ticket = ticket;
    print(f, "copy from %u\n", rank);
}

static uint64_t fake_take_back(void *ctx, uint32_t proc, uint64_t offered)
{
    struct fake *f = ctx;

    describe(f);
    if (f->not_begun > 0)
        print(f, "take back %u from p%u\n", f->not_begun, proc);
    return offered - f->not_begun;
}

static void fake_interrupt(void *ctx, uint32_t proc, uint64_t number)
{
    describe(ctx);
    print(ctx, "interrupt p%u in task number %u\n", proc, (unsigned)number);
}

static void fake_kill(void *ctx, uint32_t proc)
{
    describe(ctx);
    print(ctx, "kill p%u\n", proc);
}

static unsigned nested; /* of the next agent's config */

static int setup_node(void **state, unsigned offers, unsigned cpus, unsigned ncores, unsigned gpus)
{
    struct fake *f = calloc(1, sizeof *f);
    unsigned host[3] = {0, 0, 1};
    int64_t totals[TBI_CUSTOM + 1] = {cpus * 10000, gpus * 10000, 0, 10000 /* a label */};
    struct tbi_core core[4] = {{.nthreads = 1}, {.nthreads = 1}, {.nthreads = 1}, {.nthreads = 1}};
    struct tbi_agent_config config = {.rank = 1, .nranks = 3, .host = host,
                                      .resources = {.nresources = TBI_CUSTOM + 1, .totals = totals,
                                                    .core = core, .ncores = ncores},
                                      .max_executors = cpus, .overtakes = 2, .offers = offers,
                                      .store_bytes = 10 * 4096, .create_timeout_us = 1000,
                                      .fetch = TBI_FETCH_RMA, .grace_us = 500,
                                      .nested = nested};

    f->agent = tbi_agent_create(&config, (struct tbi_port){f, fake_send},
                                (struct tbi_agent_ops){f, fake_fork, fake_copy, NULL,
                                                       fake_take_back, fake_interrupt,
                                                       fake_kill});
    *state = f;
    return 0;
}

static int setup_with(void **state, unsigned offers)
{
    return setup_node(state, offers, 2, 0, 0);
}

static int setup(void **state)
{
    return setup_with(state, 0);
}

/* Four CPUs and as many cores, two GPUs. */
static int setup_large(void **state)
{
    return setup_node(state, 0, 4, 4, 2);
}

static int setup_large_ahead(void **state)
{
    return setup_node(state, 2, 4, 0, 2);
}

static int setup_nested(void **state)
{
    nested = 2;
    setup_with(state, 0);
    nested = 0;
    return 0;
}

static int setup_ahead(void **state)
{
    return setup_with(state, 2);
}

static int teardown(void **state)
{
    struct fake *f = *state;

    tbi_agent_destroy(f->agent);
    tbi_outbox_fini(&f->in);
    tbi_outbox_fini(&f->out);
    free(f);
    return 0;
}

#define assert_said(f, expected)                                                                   \
    do {                                                                                           \
        describe(f);                                                                               \
        assert_null(tbi_agent_check((f)->agent));                                                  \
        assert_string_equal((f)->text, expected);                                                  \
        (f)->len = 0;                                                                              \
        (f)->text[0] = 0;                                                                          \
    } while (0)

static void *record(struct fake *f, enum tbi_msg type, uint32_t proc, size_t size)
{
    f->in.begin = f->in.end = 0;
    return tbi_outbox_append(&f->in, type, proc, size);
}

static const char *deliver(struct fake *f, unsigned rank)
{
    assert_null(tbi_record_check((void *)f->in.data, tbi_outbox_bytes(&f->in)));
    return tbi_agent_handle(f->agent, rank, (void *)f->in.data, f->now);
}

/* A task without or, if `at` >= 0, with one stored argument, object 100, at that rank. */
static void dispatch(struct fake *f, int task, double cpus, unsigned depth, int at)
{
    unsigned n = at >= 0;
    struct msg_dispatch *m =
        record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m + n * (sizeof(struct msg_located) + 8));
    struct msg_located *arg = (struct msg_located *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .cpus = (int32_t)(cpus * 10000), .nreturns = 1,
                               .nargs = (uint16_t)n, .nresolve = (uint16_t)n,
                               .depth = (uint16_t)depth};
    if (n > 0) {
        *arg = (struct msg_located){id(100), TBI_AT_STORE, (unsigned)at, 0, 5000};
        *(uint64_t *)(arg + 1) = TBI_ARG_REF;
    }
    assert_null(deliver(f, 0));
}

/* A task with one argument of `pages` pages in the store of rank 2, on the other host. */
static void dispatch_large(struct fake *f, int task, int object, uint64_t pages)
{
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE,
                                    sizeof *m + sizeof(struct msg_located) + 8);
    struct msg_located *arg = (struct msg_located *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .cpus = 10000, .nreturns = 1, .nargs = 1,
                               .nresolve = 1};
    *arg = (struct msg_located){id(object), TBI_AT_STORE, 2, 0, pages * 4096};
    *(uint64_t *)(arg + 1) = TBI_ARG_REF;
    assert_null(deliver(f, 0));
}

/* The end of a task without results. */
static const char *done_of(struct fake *f, uint32_t proc, struct tbi_id task, uint32_t attempt)
{
    struct msg_done *m = record(f, TBI_MSG_DONE, proc, sizeof *m);

    *m = (struct msg_done){.task = task, .attempt = attempt};
    return deliver(f, 1);
}

static const char *done(struct fake *f, uint32_t proc, int task, uint32_t where)
{
    bool is_inline = where == TBI_AT_INLINE;
    struct msg_done *m = record(f, TBI_MSG_DONE, proc,
                                sizeof *m + sizeof(struct tbi_result) + (is_inline ? 8 : 0));

    *m = (struct msg_done){.task = id(task), .nresults = 1, .data_bytes = is_inline ? 8 : 0};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){where, 0, is_inline ? 8 : 5000};
    return deliver(f, 1);
}

static const char *task_msg(struct fake *f, enum tbi_msg type, uint32_t proc, int task)
{
    *(struct msg_task *)record(f, type, proc, sizeof(struct msg_task)) =
        (struct msg_task){id(task), 0, 0};
    return deliver(f, 0);
}

static const char *object_msg(struct fake *f, enum tbi_msg type, uint32_t proc, struct tbi_id object)
{
    *(struct msg_object *)record(f, type, proc, sizeof(struct msg_object)) =
        (struct msg_object){object};
    return deliver(f, 0);
}

static const char *create(struct fake *f, uint32_t proc, struct tbi_id object, uint64_t bytes)
{
    *(struct msg_create *)record(f, TBI_MSG_CREATE, proc, sizeof(struct msg_create)) =
        (struct msg_create){object, bytes};
    return deliver(f, 1);
}

/* `rank` answers our last FETCH of object 100. */
static void answer_fetch(struct fake *f, unsigned rank, bool refused)
{
    *(struct msg_fetched *)record(f, TBI_MSG_FETCHED, TBI_PROC_NONE, sizeof(struct msg_fetched)) =
        (struct msg_fetched){id(100), refused ? 0 : 8192, refused ? 0 : 5000, f->ticket, refused};
    assert_null(deliver(f, rank));
}

/* Rank 2 asks for object 1. */
static void remote_fetch(struct fake *f, uint32_t ticket)
{
    *(struct msg_fetch *)record(f, TBI_MSG_FETCH, TBI_PROC_NONE, sizeof(struct msg_fetch)) =
        (struct msg_fetch){id(1), TBI_FETCH_RMA, ticket};
    assert_null(deliver(f, 2));
}

static void crash(struct fake *f, uint32_t proc)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_CRASHED, "signal 11");
    tbi_agent_died(f->agent, proc, &link, false);
}

static void abort_task(struct fake *f, int task, uint32_t attempt, uint32_t force)
{
    *(struct msg_abort *)record(f, TBI_MSG_ABORT, TBI_PROC_NONE, sizeof(struct msg_abort)) =
        (struct msg_abort){id(task), attempt, force};
    assert_null(deliver(f, 0));
}

/* ---- bundles of placement groups ---- */

static struct tbi_id bundle_of(int group, unsigned bundle)
{
    return tbi_id_with_index(id(group), bundle);
}

/* Bundle 1 of this group, with CPUs and so much of another resource. */
static const char *reserve_both(struct fake *f, int group, double cpus, unsigned resource, double amount)
{
    struct msg_reserve *m = record(f, TBI_MSG_RESERVE, TBI_PROC_NONE,
                                   sizeof *m + sizeof(struct tbi_amount));

    *m = (struct msg_reserve){bundle_of(group, 1), {(int32_t)(cpus * 10000), 1}};
    *(struct tbi_amount *)(m + 1) = (struct tbi_amount){resource, 0, (int64_t)(amount * 10000)};
    return deliver(f, 0);
}

static const char *reserve(struct fake *f, int group, unsigned bundle, double cpus)
{
    struct msg_reserve *m = record(f, TBI_MSG_RESERVE, TBI_PROC_NONE, sizeof *m);

    *m = (struct msg_reserve){bundle_of(group, bundle), {(int32_t)(cpus * 10000), 0}};
    return deliver(f, 0);
}

/* A task in bundle 1 of this group, with CPUs and so much of another resource. */
static void dispatch_both(struct fake *f, int task, double cpus, int group, unsigned resource,
                          double amount)
{
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE,
                                    sizeof *m + sizeof(struct tbi_amount) + sizeof(struct tbi_id));
    struct tbi_amount *more = (struct tbi_amount *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .cpus = (int32_t)(cpus * 10000), .nreturns = 1,
                               .flags = TBI_DISPATCH_BUNDLE | TBI_DISPATCH_STAYS, .nmore = 1};
    *more = (struct tbi_amount){resource, 0, (int64_t)(amount * 10000)};
    *(struct tbi_id *)(more + 1) = bundle_of(group, 1);
    assert_null(deliver(f, 0));
}

static const char *dispatch_in(struct fake *f, int task, double cpus, int group, unsigned bundle)
{
    struct msg_dispatch *m =
        record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m + sizeof(struct tbi_id));

    *m = (struct msg_dispatch){.task = id(task), .cpus = (int32_t)(cpus * 10000), .nreturns = 1,
                               .flags = TBI_DISPATCH_BUNDLE | TBI_DISPATCH_STAYS};
    *(struct tbi_id *)(m + 1) = bundle_of(group, bundle);
    return deliver(f, 0);
}

/* A task in bundle 1 of this group, with object 100 of rank 2 as its argument. */
static void dispatch_far(struct fake *f, int task, int group)
{
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE,
                                    sizeof *m + sizeof(struct msg_located) + 8 + sizeof(struct tbi_id));
    struct msg_located *arg = (struct msg_located *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .nreturns = 1, .nargs = 1, .nresolve = 1,
                               .flags = TBI_DISPATCH_BUNDLE | TBI_DISPATCH_STAYS};
    *arg = (struct msg_located){id(100), TBI_AT_STORE, 2, 0, 5000};
    *(uint64_t *)(arg + 1) = TBI_ARG_REF;
    *(struct tbi_id *)((uint64_t *)(arg + 1) + 1) = bundle_of(group, 1);
    assert_null(deliver(f, 0));
}

static void tasks_in_a_bundle_have_its_cpus_and_others_the_rest(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "RESERVED 50 to 0 granted\n");
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1)); /* waits, though the node has a CPU left */
    assert_said(f, "fork p1\nRUN 1 to p1 in a bundle\n");
    dispatch(f, 3, 1, 0, -1);
    dispatch(f, 4, 1, 0, -1); /* and so does this one, when the bundle is idle */
    assert_said(f, "fork p2\nRUN 3 to p2\n");
    assert_null(done(f, 2, 3, TBI_AT_INLINE));
    assert_said(f, "FINISHED 3 to 0\nRUN 4 to p2\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 2 to p1 in a bundle\n");
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    dispatch(f, 5, 1, 0, -1);
    assert_said(f, "FINISHED 2 to 0\n");
}

static void a_bundle_is_refused_if_a_task_here_would_miss_what_it_takes(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "RESERVED 50 to 0 refused\n"); /* it runs */
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "BLOCK 1 to 0\nRESERVED 50 to 0 refused\n"); /* it will want its CPUs back */
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "RESUME 1 to p1\nUNBLOCKED 1 to 0\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "FINISHED 1 to 0\nRESERVED 50 to 0 granted\n");
}

static void a_task_that_resumes_in_a_bundle_waits_for_its_cpus_alone(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1));
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\nBLOCK 1 to 0\n"
                   "fork p2\nRUN 2 to p2 in a bundle\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, ""); /* the CPU that is free is not the bundle's */
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\n");
}

static void a_bundle_goes_when_the_tasks_in_it_have_ended(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1));
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\n");
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    describe(f);
    assert_non_null(strstr(f->text, "kill p1\n"));
    assert_non_null(strstr(f->text, "FINISHED 2 to 0 error=-3\n"));
    assert_null(strstr(f->text, "UNRESERVED"));
    f->len = 0;
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-3\nUNRESERVED 50 to 0\n");
    assert_null(reserve(f, 51, 1, 2));
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(51, 1)));
    assert_said(f, "RESERVED 51 to 0 granted\nUNRESERVED 51 to 0\n");
}

static void bundles_that_cannot_be_are_refused(void **state)
{
    struct fake *f = *state;

    assert_non_null(reserve(f, 50, 1, 3));
    assert_non_null(reserve(f, 50, 1, -1));
    assert_non_null(reserve(f, 50, 0, 1)); /* the group itself */
    assert_non_null(reserve_both(f, 50, 1, TBI_GPUS, 1));
    assert_non_null(reserve_both(f, 50, 1, TBI_CUSTOM, -1));
    assert_non_null(reserve_both(f, 50, 1, TBI_CUSTOM + 1, 0));
    assert_non_null(dispatch_in(f, 1, 1, 50, 1));
    assert_non_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    assert_null(reserve(f, 50, 1, 1));
    assert_non_null(reserve(f, 50, 1, 1));
    assert_said(f, "RESERVED 50 to 0 granted\n");
}

static void a_bundle_is_refused_if_a_task_that_waits_here_would_miss_what_it_takes(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(reserve(f, 50, 1, 1)); /* one CPU is free */
    assert_said(f, "RESERVED 50 to 0 refused\n");
    abort_task(f, 2, 0, 0);
    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "FINISHED 2 to 0 error=-3\nRESERVED 50 to 0 granted\n");
}

static void tasks_in_a_bundle_run_on_its_cores_and_gpus(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    assert_null(reserve_both(f, 49, 0, TBI_GPUS, 1));
    assert_null(reserve_both(f, 50, 2, TBI_GPUS, 1));
    assert_said(f, "fork p1\nRUN 1 to p1 cores 0\nfork p2\nRUN 2 to p2 cores 1\n"
                   "RESERVED 49 to 0 granted\nRESERVED 50 to 0 granted\n");
    assert_null(dispatch_in(f, 3, 1, 50, 1));
    dispatch_both(f, 4, 1, 50, TBI_GPUS, 1);
    assert_said(f, "fork p3\nRUN 3 to p3 in a bundle cores 2\n"
                   "fork p4\nRUN 4 to p4 in a bundle cores 3 gpus 1\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    dispatch_both(f, 5, 0, 49, TBI_GPUS, 1); /* the process's last core is no place in the bundle */
    assert_said(f, "FINISHED 2 to 0\nRUN 5 to p2 in a bundle gpus 0\n");
    assert_null(task_msg(f, TBI_MSG_BLOCK, 4, 4));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 4, 4));
    assert_null(done(f, 3, 3, TBI_AT_INLINE));
    assert_null(dispatch_in(f, 6, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 4, 4));
    assert_said(f, "BLOCK 4 to 0\nFINISHED 3 to 0\nRUN 6 to p3 in a bundle cores 2\n"
                   "RESUME 4 to p4 cores 3\nUNBLOCKED 4 to 0\n");
}

static void parts_of_a_gpu_share_half_of_one(void **state)
{
    struct fake *f = *state;

    assert_null(reserve_both(f, 50, 1, TBI_GPUS, 0.5));
    for (int k = 1; k <= 3; k++)
        dispatch_both(f, k, 0, 50, TBI_GPUS, 0.25);
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle gpus 0\n"
                   "fork p2\nRUN 2 to p2 in a bundle gpus 0\n");
    dispatch_both(f, 4, 0, 50, TBI_GPUS, 0.75);
    assert_said(f, "FINISHED 4 to 0 error=-10\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 3 to p1 in a bundle gpus 0\n");
}

/* A bundle that asks for none of a resource has none, but bears its node's labels. */
static void tasks_in_a_bundle_may_ask_for_the_nodes_labels_and_no_more(void **state)
{
    struct fake *f = *state;

    assert_null(reserve_both(f, 50, 1, TBI_GPUS, 0));
    dispatch_both(f, 1, 0, 50, TBI_CUSTOM, 0);
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\n");
    dispatch_both(f, 2, 0, 50, TBI_CUSTOM, 1);
    dispatch_both(f, 3, 0, 50, TBI_GPUS, 1);
    assert_said(f, "FINISHED 2 to 0 error=-10\nFINISHED 3 to 0 error=-10\n");
}

static void a_large_demand_is_overtaken_freely_by_tasks_of_other_bundles(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 2));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(dispatch_in(f, 2, 2, 50, 1));
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle cores 0\n");
    for (int k = 3; k <= 6; k++) {
        dispatch(f, k, 2, 0, -1);
        assert_null(done(f, 2, k, TBI_AT_INLINE));
    }
    describe(f);
    f->len = 0;
    assert_null(dispatch_in(f, 7, 1, 50, 1)); /* it may pass task 2, which was not overtaken yet */
    assert_said(f, "RUN 7 to p2 in a bundle cores 1\n");
}

static void who_resumes_outside_bundles_goes_before_what_would_be_given_ahead(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    dispatch(f, 1, 1, 0, -1);
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    dispatch(f, 2, 1, 0, -1);
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1\nBLOCK 1 to 0\nfork p2\nRUN 2 to p2\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    dispatch(f, 3, 1, 0, -1);
    assert_said(f, "");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\nRUN 3 to p1\n");
}

static void what_waits_in_a_bundle_keeps_nobody_else_from_work_ahead_or_free_cpus(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(dispatch_in(f, 2, 0.5, 50, 1)); /* waits: it is not like the one that runs */
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\n");
    for (int k = 3; k <= 6; k++)
        dispatch(f, k, 1.5, 0, -1);
    assert_said(f, "fork p2\nRUN 3 to p2\nfork p3\nRUN 4 to p3\nRUN 5 to p2\nRUN 6 to p3\n");
    assert_null(done(f, 3, 4, TBI_AT_INLINE));
    f->not_begun = 1;
    assert_null(done(f, 3, 6, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\nFINISHED 6 to 0\ntake back 1 from p2\nRUN 5 to p3\n");
}

static void what_waits_for_an_argument_or_to_resume_ends_with_its_bundle(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCK, 2, 2));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 2, 2));
    assert_null(dispatch_in(f, 3, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    dispatch_far(f, 4, 50);
    describe(f);
    f->len = 0;
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    describe(f);
    for (int p = 1; p <= 3; p++) {
        char kill[24];

        snprintf(kill, sizeof kill, "kill p%d\n", p);
        assert_non_null(strstr(f->text, kill));
    }
    f->len = 0;
    crash(f, 2);
    assert_said(f, "FINISHED 2 to 0 error=-3\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-3\n");
    assert_null(done(f, 3, 3, TBI_AT_INLINE)); /* it was quicker */
    assert_said(f, "FINISHED 3 to 0\nEXIT 0 to p3\n");
    assert_non_null(dispatch_in(f, 5, 1, 50, 1));
    assert_non_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nFINISHED 4 to 0 error=-3\n"
                   "UNRESERVED 50 to 0\n");
}

static void what_waits_for_the_node_starts_when_a_bundle_has_gone(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 2));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    dispatch(f, 2, 1, 0, -1); /* sent before the head knew of the bundle */
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\n");
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    assert_said(f, "kill p1\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-3\nUNRESERVED 50 to 0\nfork p2\nRUN 2 to p2\n");
}

static void bundles_that_are_left_at_the_end_are_freed(void **state)
{
    struct fake *f = *state;

    assert_null(reserve_both(f, 50, 1, TBI_GPUS, 0.5));
    assert_null(reserve(f, 51, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 51, 1));
    assert_null(dispatch_in(f, 2, 1, 51, 1));
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(51, 1)));
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 1);
    assert_null(tbi_agent_check(f->agent)); /* the teardown does it, and memory is checked */
}

static void executors_are_forked_as_needed_and_used_again(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    dispatch(f, 2, 1, 0, -1);
    assert_said(f, "fork p2\nRUN 2 to p2\n");
    dispatch(f, 3, 1, 0, -1);
    assert_said(f, "");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p2\n");
}

static void what_runs_never_exceeds_the_cpus_and_deeper_goes_first(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 0.5, 0, -1);
    dispatch(f, 3, 2, 1, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 3 to p1\n");
}

static void a_large_demand_is_overtaken_only_so_often(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    for (int k = 3; k <= 6; k++)
        dispatch(f, k, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 3 to p2\n");
    assert_null(done(f, 2, 3, TBI_AT_INLINE));
    assert_said(f, "FINISHED 3 to 0\nRUN 4 to p2\n");
    assert_null(done(f, 2, 4, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\n"); /* twice was enough */
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 2 to p1\n");
}

static void executors_get_work_ahead_of_their_turn(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 4; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 4 to p1\n");
    assert_non_null(done(f, 1, 3, TBI_AT_INLINE)); /* 2 comes first */
}

static void what_is_not_begun_is_taken_back_when_the_task_blocks(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    f->not_begun = 2;
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_said(f, "take back 2 from p1\nBLOCK 1 to 0\n");
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_said(f, "fork p2\nRUN 2 to p2\nRUN 3 to p2\n");
}

/* Another node has so many CPUs free, and half a GPU. */
static void take_back(struct fake *f, unsigned most, double cpus)
{
    struct msg_take_back *m = record(f, TBI_MSG_TAKE_BACK, TBI_PROC_NONE,
                                     sizeof *m + 2 * sizeof(struct tbi_amount));
    struct tbi_amount *there = (struct tbi_amount *)(m + 1);

    *m = (struct msg_take_back){most, 2};
    there[0] = (struct tbi_amount){.resource = TBI_CPUS, .amount = (int64_t)(cpus * 10000)};
    there[1] = (struct tbi_amount){.resource = TBI_GPUS, .amount = 5000};
    assert_null(deliver(f, 0));
}

static void what_waits_goes_back_for_an_idle_node_shallow_and_young_first(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 7; k++)
        dispatch(f, k, 1, k == 3, -1);
    dispatch(f, 8, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\n");
    assert_null(task_msg(f, TBI_MSG_WANTED, TBI_PROC_NONE, 6)); /* a blocked task waits for it */
    take_back(f, 9, 1.5);
    assert_said(f, "TAKEN 7\n"); /* 8 does not fit there, a second one neither */
    take_back(f, 2, 8);
    assert_said(f, "TAKEN 8 5\n");
    take_back(f, 9, 8);
    assert_said(f, "TAKEN 4 3\n");
    take_back(f, 9, 8);
    assert_said(f, "TAKEN\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 6 to p1\n");
    dispatch(f, 7, 1, 0, -1); /* it may come again */
    assert_null(done(f, 1, 6, TBI_AT_INLINE));
    assert_said(f, "FINISHED 6 to 0\nRUN 7 to p1\n");
}

static void what_has_to_be_here_stays(void **state)
{
    struct fake *f = *state;
    struct msg_dispatch *m;

    dispatch(f, 1, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m);
    *m = (struct msg_dispatch){.task = id(2), .cpus = 10000, .nreturns = 1,
                               .flags = TBI_DISPATCH_STAYS};
    assert_null(deliver(f, 0));
    take_back(f, 9, 8);
    assert_said(f, "TAKEN\n");
}

static void what_an_executor_has_not_begun_goes_back_for_an_idle_node(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 3; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    f->not_begun = 2;
    take_back(f, 1, 2);
    assert_said(f, "take back 2 from p1\nTAKEN 3\nRUN 2 to p1\n");
    f->not_begun = 0; /* it was just about to */
    take_back(f, 1, 2);
    assert_said(f, "TAKEN\n");
}

static void what_is_not_begun_is_taken_back_for_free_cpus(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 4; k++)
        dispatch(f, k, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\nRUN 3 to p1\nRUN 4 to p2\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\n");
    f->not_begun = 1;
    assert_null(done(f, 2, 4, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\ntake back 1 from p1\nRUN 3 to p2\n");
}

static void what_a_dead_executor_had_not_begun_runs_elsewhere(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 2; k++)
        dispatch(f, k, 2, 0, -1);
    f->not_begun = 1;
    crash(f, 1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\ntake back 1 from p1\nFINISHED 1 to 0 "
                   "error=-2 crashed\nfork p2\nRUN 2 to p2\n");
    crash(f, 2); /* it never began anything: else nodes that cannot start processes would go on */
    assert_said(f, "take back 1 from p2\nFINISHED 2 to 0 error=-2 crashed\n");
}

/* The store has 10 pages: 7 for copies of arguments. */
static void copies_of_arguments_leave_room_for_results(void **state)
{
    struct fake *f = *state;

    dispatch_large(f, 1, 100, 4);
    assert_said(f, "FETCH 100 to 2\n");
    dispatch_large(f, 2, 101, 4);
    assert_said(f, "");
    dispatch_large(f, 3, 100, 4); /* the same object: no more room */
    assert_said(f, "");           /* its turn comes after 2 */
    assert_null(task_msg(f, TBI_MSG_WANTED, TBI_PROC_NONE, 2));
    assert_said(f, "FETCH 101 to 2\n"); /* a blocked task waits for it */
    dispatch(f, 4, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 4 to p1\n");
}

static void one_task_is_admitted_however_large(void **state)
{
    struct fake *f = *state;

    dispatch_large(f, 1, 100, 9);
    assert_said(f, "FETCH 100 to 2\n");
}

static void a_blocked_tasks_cpus_are_given_away_when_the_head_has_answered(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_said(f, "BLOCK 1 to 0\n");
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_said(f, "fork p2\nRUN 2 to p2\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, ""); /* it must wait for the CPUs, before any new start */
    dispatch(f, 3, 2, 5, -1);
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\n");
}

static void a_task_that_unblocks_before_the_answer_never_lost_its_cpus(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "BLOCK 1 to 0\nRESUME 1 to p1\n");
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_said(f, "UNBLOCKED 1 to 0\n");
}

static void above_the_limit_only_what_a_blocked_task_waits_for_gets_a_process(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 2; k++) {
        dispatch(f, k, 1, 0, -1);
        assert_null(task_msg(f, TBI_MSG_BLOCK, (uint32_t)k, k));
        assert_null(task_msg(f, TBI_MSG_BLOCKED, (uint32_t)k, k));
    }
    assert_said(f, "fork p1\nRUN 1 to p1\nBLOCK 1 to 0\nfork p2\nRUN 2 to p2\nBLOCK 2 to 0\n");
    dispatch(f, 3, 1, 0, -1);
    dispatch(f, 4, 1, 0, -1);
    assert_said(f, "");
    assert_null(task_msg(f, TBI_MSG_WANTED, TBI_PROC_NONE, 4));
    assert_said(f, "fork p3\nRUN 4 to p3\n");
}

static void an_argument_on_the_same_host_is_mapped_under_a_lease(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, 0);
    assert_said(f, "FETCH 100 to 0\n");
    answer_fetch(f, 0, false);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nFETCH_DONE 100 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).objects, 0);
}

static void an_argument_on_another_host_is_copied_and_stays_as_a_replica(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, 2);
    assert_said(f, "FETCH 100 to 2\n");
    answer_fetch(f, 2, false);
    assert_said(f, "copy from 2\n");
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "FETCH_DONE 100 to 2\nREPLICA 100 to 0\nfork p1\nRUN 1 to p1\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 8192);
    /* FREE while the task uses it only dooms it */
    assert_null(object_msg(f, TBI_MSG_FREE, TBI_PROC_NONE, id(100)));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 8192);
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

static void an_owner_that_refuses_is_asked_for_at_the_head(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, 2);
    assert_said(f, "FETCH 100 to 2\n");
    answer_fetch(f, 2, true);
    assert_said(f, "RESOLVE 100 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

static void a_leased_object_is_not_freed_before_the_lease_ends(void **state)
{
    struct fake *f = *state;
    struct msg_fetch_end *end;

    dispatch(f, 1, 1, 0, -1);
    assert_null(create(f, 1, id(1), 5000));
    assert_null(done(f, 1, 1, TBI_AT_STORE));
    assert_said(f, "fork p1\nRUN 1 to p1\nCREATED 1 to p1\nFINISHED 1 to 0\n");
    remote_fetch(f, 7);
    assert_said(f, "FETCHED 1 to 2\n");
    assert_null(object_msg(f, TBI_MSG_FREE, TBI_PROC_NONE, id(1)));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 8192);
    end = record(f, TBI_MSG_FETCH_DONE, TBI_PROC_NONE, sizeof *end);
    *end = (struct msg_fetch_end){id(1), 7, 0};
    assert_null(deliver(f, 2));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
    remote_fetch(f, 8);
    assert_said(f, "FETCHED 1 to 2 refused\n");
}

static void a_create_waits_for_room_then_gets_it_or_fails(void **state)
{
    struct fake *f = *state;
    struct tbi_id a = tbi_id_make(1, 1, 1, 1, 0), b = tbi_id_make(1, 1, 1, 2, 0),
                  c = tbi_id_make(1, 1, 1, 3, 0);

    dispatch(f, 50, 1, 0, -1);
    assert_null(create(f, 1, a, 9 * 4096));
    assert_said(f, "fork p1\nRUN 50 to p1\nCREATED 1 to p1\n");
    assert_null(create(f, 1, b, 11 * 4096)); /* more than there ever is: at once */
    assert_said(f, "CREATED 2 to p1 error=-8\n");
    assert_null(create(f, 1, b, 2 * 4096));
    assert_said(f, "");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, a));
    assert_said(f, "CREATED 2 to p1\n");
    assert_null(create(f, 1, c, 9 * 4096));
    assert_int_equal(tbi_agent_deadline(f->agent), 1000);
    tbi_agent_tick(f->agent, 999);
    assert_said(f, "");
    tbi_agent_tick(f->agent, 1000);
    assert_said(f, "CREATED 3 to p1 error=-8\n");
}

static void a_crash_fails_the_task_and_returns_all_it_had(void **state)
{
    struct fake *f = *state;
    struct tbi_id announced = tbi_id_make(1, 1, 1, 9, 0);

    dispatch(f, 1, 2, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_null(create(f, 1, id(1), 5000));
    assert_null(create(f, 1, announced, 5000));
    assert_null(object_msg(f, TBI_MSG_ANNOUNCE, 1, announced));
    assert_null(object_msg(f, TBI_MSG_HOLD, 1, id(70)));
    assert_said(f, "fork p1\nRUN 1 to p1\nCREATED 1 to p1\nCREATED 9 to p1\nANNOUNCE 9 to 0\n"
                   "HOLD 70 to 0\n");
    crash(f, 1);
    describe(f);
    assert_non_null(strstr(f->text, "FINISHED 1 to 0 error=-2 crashed\n"));
    assert_non_null(strstr(f->text, "FINISHED 9 to 0 error=-2\n"));
    assert_non_null(strstr(f->text, "RELEASE 70 to 0\n"));
    assert_non_null(strstr(f->text, "RELEASE 9 to 0\n"));
    assert_non_null(strstr(f->text, "fork p2\nRUN 2 to p2\n"));
    assert_null(tbi_agent_check(f->agent));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

static void nonsense_from_a_process_is_refused_and_changes_nothing(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_non_null(done(f, 1, 2, TBI_AT_INLINE));             /* another task's end */
    assert_non_null(done(f, 1, 1, TBI_AT_STORE));              /* a result it never created */
    assert_non_null(done(f, 9, 1, TBI_AT_INLINE));             /* no such process */
    assert_non_null(create(f, 1, tbi_id_make(1, 1, 2, 1, 0), 8)); /* another process's id */
    assert_non_null(object_msg(f, TBI_MSG_RELEASE, 1, id(5)));
    assert_non_null(object_msg(f, TBI_MSG_UNPIN, 1, id(5)));
    assert_non_null(object_msg(f, TBI_MSG_ABANDON, 1, id(5)));
    assert_non_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\n");
}

static void what_is_aborted_before_it_began_never_runs(void **state)
{
    struct fake *f = *state;

    for (int k = 1; k <= 4; k++)
        dispatch(f, k, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nRUN 2 to p1\nRUN 3 to p1\n");
    abort_task(f, 4, 0, 0); /* in the queue */
    assert_said(f, "FINISHED 4 to 0 error=-3\n");
    f->not_begun = 2;
    abort_task(f, 2, 0, 0); /* given ahead */
    assert_said(f, "take back 2 from p1\nFINISHED 2 to 0 error=-3\nRUN 3 to p1\n");
}

static void a_running_task_is_interrupted_and_then_killed(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    f->now = 100;
    abort_task(f, 1, 1, 0); /* another attempt */
    assert_said(f, "");
    abort_task(f, 1, 0, 0);
    assert_said(f, "INTERRUPT 1 to p1\ninterrupt p1 in task number 0\n");
    abort_task(f, 1, 0, 0);
    assert_said(f, "");
    assert_int_equal(tbi_agent_deadline(f->agent), 600);
    tbi_agent_tick(f->agent, 600);
    assert_said(f, "kill p1\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\n");
}

static void a_process_whose_task_was_interrupted_runs_no_other(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    abort_task(f, 1, 0, 0);
    assert_said(f, "fork p1\nRUN 1 to p1\nINTERRUPT 1 to p1\ninterrupt p1 in task number 0\n");
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nEXIT 0 to p1\nfork p2\nRUN 2 to p2\n");
    crash(f, 1);
    assert_said(f, "");
}

static void by_force_it_is_killed_at_once(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    abort_task(f, 1, 0, 1);
    assert_said(f, "fork p1\nRUN 1 to p1\nkill p1\n");
}

static void a_task_aborted_while_its_argument_comes_ends_when_it_is_here(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, 2);
    assert_said(f, "FETCH 100 to 2\n");
    abort_task(f, 1, 0, 0);
    assert_said(f, "");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nFINISHED 1 to 0 error=-3\n");
    assert_int_equal(tbi_agent_counts(f->agent).pins, 0);
}

static void a_task_aborted_before_its_copies_were_admitted_ends_at_once(void **state)
{
    struct fake *f = *state;

    dispatch_large(f, 1, 100, 4);
    dispatch_large(f, 2, 101, 4);
    assert_said(f, "FETCH 100 to 2\n");
    abort_task(f, 2, 0, 0);
    assert_said(f, "FINISHED 2 to 0 error=-3\n");
}

static void a_task_that_exceeds_its_limit_is_reported_once(void **state)
{
    struct fake *f = *state;
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m);

    f->now = 1000;
    *m = (struct msg_dispatch){.task = id(1), .cpus = 10000, .nreturns = 1, .limit_ms = 2};
    assert_null(deliver(f, 0));
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    tbi_agent_tick(f->agent, 2999);
    assert_said(f, "");
    tbi_agent_tick(f->agent, 3000);
    assert_said(f, "OVERDUE 1 to 0\n");
    tbi_agent_tick(f->agent, 99999);
    assert_said(f, "");
}

/* Process 1 submits task `k` of its own, for the task 1 that it runs. */
static const char *submit(struct fake *f, int k, double cpus, unsigned strategy)
{
    struct msg_submit *m = record(f, TBI_MSG_SUBMIT, 1, sizeof *m);

    *m = (struct msg_submit){.task = tbi_id_make(1, 1, 1, (uint64_t)k, 0), .parent = id(1),
                             .cpus = (int32_t)(cpus * 10000), .depth = 1,
                             .strategy = (uint8_t)strategy};
    return deliver(f, 1);
}

static void a_nested_task_begins_where_it_was_submitted(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(submit(f, 11, 1, TBI_DEFAULT));
    assert_said(f, "SUBMIT 11 to 0 local\nfork p2\nRUN 11 to p2\n");
    assert_null(submit(f, 12, 1, TBI_DEFAULT));
    assert_null(submit(f, 13, 1, TBI_DEFAULT));
    assert_null(submit(f, 14, 1, TBI_DEFAULT)); /* two wait here: the head will know better */
    assert_said(f, "SUBMIT 12 to 0 local\nSUBMIT 13 to 0 local\nSUBMIT 14 to 0\n");
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1)); /* and its CPUs go to them at once */
    assert_said(f, "BLOCK 1 to 0\n");
    assert_null(done_of(f, 2, tbi_id_make(1, 1, 1, 11, 0), 0));
    assert_said(f, "FINISHED 11 to 0\nRUN 12 to p2\n");
}

static void what_the_head_must_place_goes_to_the_head(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    assert_null(submit(f, 11, 1, TBI_SPREAD));
    assert_null(submit(f, 12, 3, TBI_DEFAULT)); /* more than the node has */
    assert_said(f, "fork p1\nRUN 1 to p1\nSUBMIT 11 to 0\nSUBMIT 12 to 0\n");
    *(struct msg_keep *)record(f, TBI_MSG_KEEP, TBI_PROC_NONE, sizeof(struct msg_keep)) =
        (struct msg_keep){1, 0};
    assert_null(deliver(f, 0));
    assert_null(submit(f, 13, 1, TBI_DEFAULT));
    assert_said(f, "SUBMIT 13 to 0\n");
    *(struct msg_keep *)record(f, TBI_MSG_KEEP, TBI_PROC_NONE, sizeof(struct msg_keep)) =
        (struct msg_keep){0, 0};
    assert_null(deliver(f, 0));
    assert_null(submit(f, 14, 1, TBI_DEFAULT));
    assert_said(f, "SUBMIT 14 to 0 local\nfork p2\nRUN 14 to p2\n");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define NESTED(test) cmocka_unit_test_setup_teardown(test, setup_nested, teardown)
#define LARGE(test) cmocka_unit_test_setup_teardown(test, setup_large, teardown)
#define LARGE_AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_large_ahead, teardown)
#define AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_ahead, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(executors_are_forked_as_needed_and_used_again),
        ON(tasks_in_a_bundle_have_its_cpus_and_others_the_rest),
        ON(a_bundle_is_refused_if_a_task_here_would_miss_what_it_takes),
        ON(a_task_that_resumes_in_a_bundle_waits_for_its_cpus_alone),
        ON(a_bundle_goes_when_the_tasks_in_it_have_ended),
        ON(bundles_that_cannot_be_are_refused),
        ON(a_bundle_is_refused_if_a_task_that_waits_here_would_miss_what_it_takes),
        LARGE(tasks_in_a_bundle_run_on_its_cores_and_gpus),
        LARGE(parts_of_a_gpu_share_half_of_one),
        LARGE(tasks_in_a_bundle_may_ask_for_the_nodes_labels_and_no_more),
        LARGE(a_large_demand_is_overtaken_freely_by_tasks_of_other_bundles),
        AHEAD(who_resumes_outside_bundles_goes_before_what_would_be_given_ahead),
        LARGE_AHEAD(what_waits_in_a_bundle_keeps_nobody_else_from_work_ahead_or_free_cpus),
        LARGE(what_waits_for_an_argument_or_to_resume_ends_with_its_bundle),
        ON(what_waits_for_the_node_starts_when_a_bundle_has_gone),
        LARGE(bundles_that_are_left_at_the_end_are_freed),
        ON(what_runs_never_exceeds_the_cpus_and_deeper_goes_first),
        ON(a_large_demand_is_overtaken_only_so_often),
        ON(copies_of_arguments_leave_room_for_results),
        ON(one_task_is_admitted_however_large),
        AHEAD(executors_get_work_ahead_of_their_turn),
        AHEAD(what_is_not_begun_is_taken_back_when_the_task_blocks),
        AHEAD(what_is_not_begun_is_taken_back_for_free_cpus),
        ON(what_waits_goes_back_for_an_idle_node_shallow_and_young_first),
        ON(what_has_to_be_here_stays),
        AHEAD(what_an_executor_has_not_begun_goes_back_for_an_idle_node),
        AHEAD(what_a_dead_executor_had_not_begun_runs_elsewhere),
        ON(a_blocked_tasks_cpus_are_given_away_when_the_head_has_answered),
        ON(a_task_that_unblocks_before_the_answer_never_lost_its_cpus),
        ON(above_the_limit_only_what_a_blocked_task_waits_for_gets_a_process),
        ON(an_argument_on_the_same_host_is_mapped_under_a_lease),
        ON(an_argument_on_another_host_is_copied_and_stays_as_a_replica),
        ON(an_owner_that_refuses_is_asked_for_at_the_head),
        ON(a_leased_object_is_not_freed_before_the_lease_ends),
        ON(a_create_waits_for_room_then_gets_it_or_fails),
        ON(a_crash_fails_the_task_and_returns_all_it_had),
        AHEAD(what_is_aborted_before_it_began_never_runs),
        ON(a_running_task_is_interrupted_and_then_killed),
        ON(a_process_whose_task_was_interrupted_runs_no_other),
        ON(by_force_it_is_killed_at_once),
        ON(a_task_aborted_while_its_argument_comes_ends_when_it_is_here),
        ON(a_task_aborted_before_its_copies_were_admitted_ends_at_once),
        ON(a_task_that_exceeds_its_limit_is_reported_once),
        NESTED(a_nested_task_begins_where_it_was_submitted),
        NESTED(what_the_head_must_place_goes_to_the_head),
        ON(nonsense_from_a_process_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
