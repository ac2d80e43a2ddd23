/* agent_fixture.h - an agent alone, driven by short commands: transcripts of what it sends, forks and copies for
 * what it is told. The agent is rank 1 of three; ranks 0 and 1 share a host, rank 2 is on another.
 * A line is "RUN 3 to p1" (task or object number, process), "FETCH 3 to 2" (rank), "fork p1" or
 * "copy 3 from 2"; errors have " error=CODE" behind them, and what runs on cores or GPUs their places in the
 * node's: " cores 0 1", " gpus 1". */
#ifndef TB_AGENT_FIXTURE_H
#define TB_AGENT_FIXTURE_H

#include "unit.h"
#include "net/codec.h"
#include "node/agent.h"
#include "thornback.h"

struct fake {
    struct tbi_agent *agent;
    struct tbi_outbox out, in;
    unsigned rank;
    char text[4096];
    size_t len;
    uint32_t ticket;      /* of the last FETCH or copy */
    uint64_t now;
    uint32_t forked;      /* the last process */
    bool never_born;      /* the one that tasks are taken back from */
    uint32_t gone;              /* the process that the head was told has ended, last of all; 0: none. Not in `text` */
    unsigned not_begun;         /* how many of the tasks given to it an executor has not begun */
};

/* What process p of rank p has made, p not 0, is known by this number; other numbers are the driver's. */
#define BY(p, k) ((p) << 24 | (k))
static inline struct tbi_id id(int k)
{
    return tbi_id_make(1, (unsigned)k >> 24, (unsigned)k >> 24, (uint64_t)k & 0xffffff, 0);
}

static inline void print(struct fake *f, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    f->len += (size_t)vsnprintf(f->text + f->len, sizeof f->text - f->len, fmt, args);
    va_end(args);
}

static inline void describe_taken(struct fake *f, const struct msg_taken *m)
{
    const struct msg_task *task = (const struct msg_task *)(m + 1);

    print(f, "TAKEN%s", m->unasked ? " unasked" : "");
    for (unsigned i = 0; i < m->ntasks; i++)
        print(f, " %d", (int)tbi_id_counter(task[i].task));
    print(f, "\n");
}

static inline void describe_places(struct fake *f, const char *what, const uint16_t *place, unsigned n)
{
    if (n > 0)
        print(f, " %s", what);
    for (unsigned i = 0; i < n; i++)
        print(f, " %u", place[i]);
}

static inline void describe_run(struct fake *f, const struct msg_run *m)
{
    const uint16_t *place =
        (const uint16_t *)((const struct tbi_run_arg *)(m + 1) + m->nargs) + m->data_bytes / 2;

    if (m->kind == TBI_ACTOR)
        print(f, " actor");
    if (m->attempt > 0)
        print(f, " attempt %u", m->attempt);
    if (m->lane > 0)
        print(f, " lane %u", m->lane);
    if (m->in_bundle)
        print(f, " in a bundle");
    describe_places(f, "cores", place, m->ncores);
    describe_places(f, "gpus", place + m->ncores, m->ngpus);
}

static inline void describe_object(struct fake *f, const struct msg_located *m)
{
    if (m->where == TBI_AT_INLINE)
        print(f, " inline=%d", (int)*(const int64_t *)(m + 1));
    if (m->where == TBI_AT_PENDING)
        print(f, " pending");
}

/* Its first value, all that there is to say of it. */
static inline void describe_answer(struct fake *f, const struct msg_done *m)
{
    if (m->nresults == 0)
        print(f, " ask the head");
    else
        print(f, " inline=%d", (int)*(const int64_t *)((const struct tbi_result *)(m + 1) + m->nresults));
}

static inline void describe_made_call(struct fake *f, const struct msg_call *m)
{
    print(f, " number %d", (int)m->seq);
    if (m->flags & TBI_CALL_LOCATES)
        print(f, " asks");
    if (m->flags & TBI_CALL_DIRECT)
        print(f, " direct");
}

/* The argument of one that has any is an int64. */
static inline void describe_call(struct fake *f, const struct msg_dispatch *m)
{
    print(f, " number %d in life %u", (int)tbi_dispatch_call(m)->seq, tbi_dispatch_call(m)->epoch);
    if (m->data_bytes > 0)
        print(f, " of %d", (int)*(const int64_t *)((const uint64_t *)(m + 1) + m->nargs));
}

/* What was sent is described one call later, when its body has been filled in. */
static inline void describe(struct fake *f)
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
        f->gone = 0;
        if (r->type == TBI_MSG_GONE) {
            f->gone = r->proc;
            f->out.begin += r->len;
            continue;
        }
        print(f, "%s %d", tbi_msg_info[r->type].name, (int)tbi_id_counter(*first));
        if ((r->type == TBI_MSG_OBJECT || r->type == TBI_MSG_RESOLVE) && tbi_id_index(*first) > 0)
            print(f, ".%u", tbi_id_index(*first));
        print(f, " to ");
        if (tbi_msg_info[r->type].to == TBI_ROLE_PROC)
            print(f, "p%u", r->proc);
        else
            print(f, "%d", (int)to);
        if (r->type == TBI_MSG_SUBMIT && ((const struct msg_submit *)(r + 1))->local)
            print(f, " local");
        if (r->type == TBI_MSG_SUBMIT && ((const struct msg_submit *)(r + 1))->of_direct)
            print(f, " of a direct call");
        if (r->type == TBI_MSG_FINISHED && done->error != 0)
            print(f, " error=%d%s", done->error, done->crashed ? " crashed" : "");
        if (r->type == TBI_MSG_FINISHED && done->exits)
            print(f, " exits");
        if (r->type == TBI_MSG_FINISHED && done->direct)
            print(f, " direct");
        if (r->type == TBI_MSG_SUBMIT && ((const struct msg_submit *)done)->kind == TBI_CALL)
            describe_made_call(f, tbi_submit_call((const void *)done));
        if (r->type == TBI_MSG_CALL)
            describe_call(f, (const void *)(r + 1));
        if (r->type == TBI_MSG_ANSWER)
            describe_answer(f, done);
        if (r->type == TBI_MSG_OBJECT)
            describe_object(f, (const void *)(r + 1));
        if (r->type == TBI_MSG_FOUND)
            print(f, " is %d", (int)tbi_id_counter(((const struct msg_found *)done)->id));
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
        if (r->type == TBI_MSG_LENT && !((const struct msg_lent *)(r + 1))->lent)
            print(f, " no more");
        if (r->type == TBI_MSG_FETCHED && ((const struct msg_fetched *)(r + 1))->refused)
            print(f, " refused");
        print(f, "\n");
        f->out.begin += r->len;
    }
}

/* The rank rides in eight bytes of its own behind the body. What is sent stays where it is until the next record is
 * delivered, for the agent may copy from it. */
static inline void *fake_send(void *ctx, unsigned dest, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct fake *f = ctx;
    uint64_t to = dest;
    uint8_t *body;

    describe(f);
    body = tbi_outbox_append(&f->out, type, proc, tbi_padded(size) + 8);
    memcpy(body + tbi_padded(size), &to, 8);
    return body;
}

static inline void fake_fork(void *ctx, uint32_t proc)
{
    describe(ctx);
    ((struct fake *)ctx)->forked = proc;
    print(ctx, "fork p%u\n", proc);
}

static inline void fake_copy(void *ctx, uint32_t ticket, unsigned source, uint64_t from, uint64_t to,
                      uint64_t bytes)
{
    struct fake *f = ctx;

    (void)from, (void)to, (void)bytes;
    describe(f);
    f->ticket = ticket;
    print(f, "copy from %u\n", source);
}

static inline uint64_t fake_take_back(void *ctx, uint32_t proc, uint64_t begun, uint64_t offered)
{
    struct fake *f = ctx;

    (void)begun;
    describe(f);
    if (f->not_begun > 0)
        print(f, "take back %u from p%u\n", f->not_begun, proc);
    return f->never_born ? 0 : offered - f->not_begun;
}

static inline void fake_interrupt(void *ctx, uint32_t proc, uint64_t number, bool others)
{
    (void)others;
    describe(ctx);
    print(ctx, "interrupt p%u in task number %u\n", proc, (unsigned)number);
}

static inline void fake_kill(void *ctx, uint32_t proc)
{
    describe(ctx);
    print(ctx, "kill p%u\n", proc);
}

static inline void fake_say(void *ctx, const char *line)
{
    describe(ctx);
    print(ctx, "say: %s\n", line);
}

static unsigned nested, rank = 1, most = 100, last = TBI_ID_PROC_MAX; /* of the next agent's config */
static int64_t memory; /* likewise */
enum { ROOM = 1 << 16 /* bytes of all that the agent sends for one record */ };

static inline int setup_node(void **state, unsigned offers, unsigned cpus, unsigned ncores, unsigned gpus)
{
    struct fake *f = calloc(1, sizeof *f);
    unsigned host[3] = {0, 0, 1};
    int64_t totals[TBI_CUSTOM + 1] = {cpus * 10000, gpus * 10000, memory, 10000 /* a label */};
    struct tbi_core core[4] = {{.nthreads = 1}, {.nthreads = 1}, {.nthreads = 1}, {.nthreads = 1}};
    struct tbi_agent_config config = {.rank = rank, .nranks = 3, .host = host,
                                      .resources = {.nresources = TBI_CUSTOM + 1, .totals = totals,
                                                    .core = core, .ncores = ncores},
                                      
                                      .max_executors = cpus, .most_processes = most, .overtakes = 2, .offers = offers,
                                      .store_bytes = 10 * 4096, .page_bytes = 4096, .last_proc = last, .create_timeout_us = 1000,
                                      .fetch = TBI_FETCH_RMA, .grace_us = 500,
                                      .birth_patience_us = 1000000,
                                      .nested = nested};

    f->rank = rank;
    tbi_outbox_append(&f->out, TBI_MSG_BYE, TBI_PROC_NONE, ROOM);
    f->out.begin = f->out.end = 0;
    f->agent = tbi_agent_create(&config, (struct tbi_port){f, fake_send},
                                (struct tbi_agent_ops){f, fake_fork, fake_copy, NULL,
                                                       fake_take_back, fake_interrupt,
                                                       fake_kill, fake_say});
    *state = f;
    return 0;
}

static inline int setup_with(void **state, unsigned offers)
{
    return setup_node(state, offers, 2, 0, 0);
}

static inline int setup(void **state)
{
    return setup_with(state, 0);
}

/* Four CPUs and as many cores, two GPUs. */
static inline int setup_large(void **state)
{
    return setup_node(state, 0, 4, 4, 2);
}

static inline int setup_large_ahead(void **state)
{
    return setup_node(state, 2, 4, 0, 2);
}

static inline int setup_nested(void **state)
{
    nested = 2;
    setup_with(state, 0);
    nested = 0;
    return 0;
}

/* The rank of the driver and the head. */
static inline int setup_head(void **state)
{
    rank = 0;
    setup_with(state, 0);
    rank = 1;
    return 0;
}

static inline int setup_ahead(void **state)
{
    return setup_with(state, 2);
}

static inline int teardown(void **state)
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

static inline void *record(struct fake *f, enum tbi_msg type, uint32_t proc, size_t size)
{
    f->in.begin = f->in.end = 0;
    return tbi_outbox_append(&f->in, type, proc, size);
}

static inline const char *deliver(struct fake *f, unsigned from)
{
    describe(f);
    f->out.begin = f->out.end = 0;
    assert_null(tbi_record_check((void *)f->in.data, tbi_outbox_bytes(&f->in)));
    return tbi_agent_handle(f->agent, from, (void *)f->in.data, f->now);
}

/* A task without or, if `at` >= 0, with one stored argument, object 100, at that rank. */
static inline void dispatch(struct fake *f, int task, double cpus, unsigned depth, int at)
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
static inline void dispatch_large(struct fake *f, int task, int object, uint64_t pages)
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
static inline const char *done_of(struct fake *f, uint32_t proc, struct tbi_id task, uint32_t attempt)
{
    struct msg_done *m = record(f, TBI_MSG_DONE, proc, sizeof *m);

    *m = (struct msg_done){.task = task, .attempt = attempt};
    return deliver(f, 1);
}

static inline const char *done(struct fake *f, uint32_t proc, int task, uint32_t where)
{
    bool is_inline = where == TBI_AT_INLINE;
    struct msg_done *m = record(f, TBI_MSG_DONE, proc,
                                sizeof *m + sizeof(struct tbi_result) + (is_inline ? 8 : 0));

    *m = (struct msg_done){.task = id(task), .nresults = 1, .data_bytes = is_inline ? 8 : 0};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){where, 0, is_inline ? 8 : 5000};
    return deliver(f, 1);
}

static inline const char *task_msg(struct fake *f, enum tbi_msg type, uint32_t proc, int task)
{
    *(struct msg_task *)record(f, type, proc, sizeof(struct msg_task)) =
        (struct msg_task){id(task), 0, 0};
    return deliver(f, 0);
}

static inline const char *object_msg(struct fake *f, enum tbi_msg type, uint32_t proc, struct tbi_id object)
{
    *(struct msg_object *)record(f, type, proc, sizeof(struct msg_object)) =
        (struct msg_object){object};
    return deliver(f, 0);
}

static inline const char *create(struct fake *f, uint32_t proc, struct tbi_id object, uint64_t bytes)
{
    *(struct msg_create *)record(f, TBI_MSG_CREATE, proc, sizeof(struct msg_create)) =
        (struct msg_create){object, bytes};
    return deliver(f, 1);
}

/* Rank `from` answers our last FETCH of object 100. */
static inline void answer_fetch(struct fake *f, unsigned from, bool refused)
{
    *(struct msg_fetched *)record(f, TBI_MSG_FETCHED, TBI_PROC_NONE, sizeof(struct msg_fetched)) =
        (struct msg_fetched){id(100), refused ? 0 : 8192, refused ? 0 : 5000, f->ticket, refused};
    assert_null(deliver(f, from));
}

/* Rank 2 asks for object 1. */
static inline void remote_fetch(struct fake *f, uint32_t ticket)
{
    *(struct msg_fetch *)record(f, TBI_MSG_FETCH, TBI_PROC_NONE, sizeof(struct msg_fetch)) =
        (struct msg_fetch){id(1), TBI_FETCH_RMA, ticket};
    assert_null(deliver(f, 2));
}

static inline void crash(struct fake *f, uint32_t proc)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_CRASHED, "signal 11");
    tbi_agent_died(f->agent, proc, &link, false);
}

/* The process could not be started. */
static inline void unborn(struct fake *f, uint32_t proc)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_CRASHED, "no process");
    f->never_born = true;
    tbi_agent_unborn(f->agent, proc, &link, f->now);
    f->never_born = false;
}

static inline void abort_task(struct fake *f, int task, uint32_t attempt, uint32_t force)
{
    *(struct msg_abort *)record(f, TBI_MSG_ABORT, TBI_PROC_NONE, sizeof(struct msg_abort)) =
        (struct msg_abort){id(task), attempt, force};
    assert_null(deliver(f, 0));
}

static inline struct tbi_id bundle_of(int group, unsigned bundle)
{
    return tbi_id_with_index(id(group), bundle);
}

/* A bundle of so many CPUs is to be set aside; these tasks wait for groups. */
static inline const char *reserve_of(struct fake *f, int group, unsigned bundle, double cpus, const int *lender, unsigned n)
{
    struct msg_reserve *m = record(f, TBI_MSG_RESERVE, TBI_PROC_NONE, sizeof *m + n * sizeof(struct tbi_id));

    *m = (struct msg_reserve){.bundle = bundle_of(group, bundle), .demand = {(int32_t)(cpus * 10000), 0}, .nlenders = n};
    for (unsigned i = 0; i < n; i++)
        ((struct tbi_id *)(m + 1))[i] = id(lender[i]);
    return deliver(f, 0);
}

static inline const char *reserve(struct fake *f, int group, unsigned bundle, double cpus)
{
    return reserve_of(f, group, bundle, cpus, NULL, 0);
}

#endif
