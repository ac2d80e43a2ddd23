/* sched.c - the scheduler alone against simulated clusters: how many tasks a second it takes from
 * their submission over the choice of a node to their release, and what a task and a node take.
 *
 * A million tasks are submitted, and wait; then the nodes run them and report their ends, which the
 * head handles in batches, each followed by a scheduling pass, as its loop does. All tasks run for
 * the same time, so they end in the order in which they were sent. All that the head does is timed,
 * in processor time; making and reading the records is in it too.
 *   one    one demand
 *   dag    one demand; each task has two earlier ones as arguments
 *   mixed  16 demands of CPUs, GPUs, memory and a custom resource; one task in eight is spread
 *   many   300 demands of CPUs */
#include "bench.h"

#include <malloc.h>

#include "net/codec.h"
#include "sched/sched.h"

enum {
    TASKS = 1000000,
    BATCH = 64,     /* records that the head handles before it runs a pass */
    WINDOW = 50000, /* how far a task's arguments lie back */
    CPUS = 8, AHEAD = 8, DISK = TBI_CUSTOM, RESOURCES
};
enum shape { ONE, DAG, MIXED, MANY, SHAPES };
static const char *const shape_name[SHAPES] = {"one", "dag", "mixed", "many"};

struct cluster {
    struct tbi_sched *sched;
    struct tbi_outbox in;
    struct sent { struct tbi_id task; unsigned rank; } *running; /* in the order of dispatch */
    size_t sent, ended;
    uint8_t *room;          /* the last record that the scheduler sent */
    size_t room_size;
    enum tbi_msg type;
    unsigned rank;
    bool pending;           /* it is not looked at yet: it was not filled when it was asked for */
};

static void look(struct cluster *c)
{
    if (c->pending && c->type == TBI_MSG_DISPATCH)
        c->running[c->sent++] =
            (struct sent){((const struct msg_dispatch *)c->room)->task, c->rank};
    c->pending = false;
}

static void *on_send(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct cluster *c = ctx;

    (void)proc;
    look(c);
    if (size > c->room_size) {
        c->room_size = size * 2;
        c->room = realloc(c->room, c->room_size);
    }
    c->type = type;
    c->rank = rank;
    c->pending = true;
    return c->room;
}

static void deliver(struct cluster *c, unsigned rank)
{
    const char *why =
        tbi_sched_handle(c->sched, rank, (void *)(c->in.data + c->in.begin), 0);

    if (why != NULL) {
        fprintf(stderr, "refused: %s\n", why);
        exit(1);
    }
}

static void *record(struct cluster *c, enum tbi_msg type, size_t size)
{
    c->in.begin = c->in.end = 0;
    return tbi_outbox_append(&c->in, type, 0, size);
}

static struct tbi_id id_of(uint64_t k) { return tbi_id_make(1, 0, 0, k + 1, 0); }

/* What task k asks for besides CPUs. */
static unsigned demand(enum shape shape, uint64_t k, int32_t *cpus, struct tbi_amount *more)
{
    unsigned kind = (unsigned)(k * UINT64_C(0x9e3779b97f4a7c15) >> 32), n = 0;

    *cpus = 10000;
    if (shape == MANY) {
        *cpus = 5000 + (int32_t)(kind % 300);
    } else if (shape == MIXED) {
        *cpus = 5000 << kind % 4;
        if (kind / 4 % 2)
            more[n++] = (struct tbi_amount){.resource = TBI_MEMORY, .amount = 10000 << kind % 4};
        else if (kind % 4 == 0)
            more[n++] = (struct tbi_amount){.resource = TBI_GPUS, .amount = 5000};
        if (kind / 8 % 2)
            more[n++] = (struct tbi_amount){.resource = DISK, .amount = 100};
    }
    return n;
}

static void submit(struct cluster *c, enum shape shape, uint64_t k)
{
    unsigned nargs = shape == DAG && k > WINDOW ? 2 : 0, nmore;
    struct tbi_amount more[3];
    struct msg_submit *m;
    struct tbi_id *refs;
    int32_t cpus;

    nmore = demand(shape, k, &cpus, more);
    m = record(c, TBI_MSG_SUBMIT, sizeof *m + nargs * (sizeof *refs + 8) + nmore * sizeof *more);
    *m = (struct msg_submit){.task = id_of(k), .cpus = cpus, .nreturns = 1,
                             .nargs = (uint16_t)nargs, .nrefs = (uint16_t)nargs,
                             .nresolve = (uint16_t)nargs, .nmore = (uint8_t)nmore,
                             .strategy = shape == MIXED && k % 8 == 0 ? TBI_SPREAD : TBI_DEFAULT};
    refs = (struct tbi_id *)(m + 1);
    for (unsigned i = 0; i < nargs; i++) {
        refs[i] = id_of(k - WINDOW + i);
        ((uint64_t *)(refs + nargs))[i] = TBI_ARG_REF | i;
    }
    memcpy((uint64_t *)(refs + nargs) + nargs, more, nmore * sizeof *more);
    deliver(c, 0);
}

static void end(struct cluster *c)
{
    struct sent sent = c->running[c->ended++];
    struct msg_done *m = record(c, TBI_MSG_FINISHED, sizeof *m + sizeof(struct tbi_result) + 8);

    *m = (struct msg_done){.task = sent.task, .nresults = 1, .data_bytes = 8};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){TBI_AT_INLINE, 0, 8};
    deliver(c, sent.rank);
}

/* Of what has just ended. */
static void release(struct cluster *c)
{
    struct msg_object *m = record(c, TBI_MSG_RELEASE, sizeof *m);

    m->id = c->running[c->ended - 1].task;
    deliver(c, 0);
}

static void destroy(struct cluster *c)
{
    tbi_sched_destroy(c->sched);
    tbi_outbox_fini(&c->in);
    free(c->room);
    free(c->running);
}

static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* Rank 0 runs no tasks; four workers a host, one in four with GPUs. */
static struct tbi_sched *create(struct cluster *c, unsigned n)
{
    int64_t *totals = calloc((size_t)(n + 1) * RESOURCES, sizeof *totals);
    unsigned *host = calloc(n + 1, sizeof *host);
    struct tbi_sched_config config = {
        .nranks = n + 1, .nresources = RESOURCES, .totals = totals, .host = host, .ahead = AHEAD,
        .overtakes = 64, .seed = 1};
    struct tbi_sched *sched;

    for (unsigned r = 1; r <= n; r++) {
        int64_t *total = totals + (size_t)r * RESOURCES;

        host[r] = (r - 1) / 4;
        total[TBI_CPUS] = CPUS * 10000;
        total[TBI_GPUS] = r % 4 ? 0 : 4 * 10000;
        total[TBI_MEMORY] = 64 * 10000;
        total[DISK] = 10000;
    }
    sched = tbi_sched_create(&config, (struct tbi_port){c, on_send});
    free(totals);
    free(host);
    return sched;
}

/* Seconds for all tasks, from the first submission to the last release. */
static double run(unsigned n, enum shape shape, double *task_bytes)
{
    struct cluster c = {.running = malloc(TASKS * sizeof *c.running)};
    size_t before;
    double t;

    c.sched = create(&c, n);
    memset(c.running, 0, TASKS * sizeof *c.running);
    before = in_use();
    t = bench_cpu_now();
    for (uint64_t k = 0; k < TASKS; k++)
        submit(&c, shape, k);
    t -= bench_cpu_now();
    *task_bytes = (double)(in_use() - before) / TASKS;
    t += bench_cpu_now();
    while (c.ended < TASKS) {
        tbi_sched_run(c.sched);
        look(&c);
        if (c.ended == c.sent) {
            fprintf(stderr, "%zu tasks are stuck\n", TASKS - c.ended);
            exit(1);
        }
        for (int i = 0; i < BATCH && c.ended < c.sent; i++) {
            end(&c);
            release(&c);
        }
    }
    t = bench_cpu_now() - t;
    if (tbi_sched_counts(c.sched).makers != 0)
        exit(1);
    destroy(&c);
    return t;
}

/* The median of three. */
static double measure(unsigned n, enum shape shape)
{
    static const double limit[SHAPES] = {1e6, 4e5, 4e5, 0};
    double t[3], bytes[3];
    char name[64];

    for (int i = 0; i < 3; i++)
        t[i] = run(n, shape, &bytes[i]);
    snprintf(name, sizeof name, "sched_%u_%s", n, shape_name[shape]);
    bench_row(name, TASKS / bench_median(t, 3), "decisions/s", n == 256 ? limit[shape] : 0);
    if (n == 256) {
        snprintf(name, sizeof name, "sched_task_bytes_%s", shape_name[shape]);
        bench_row(name, bench_median(bytes, 3), "bytes", 0);
    }
    return bench_median(t, 3);
}

/* A node in the ledger, and what one class more knows of it. */
static void node_bytes(unsigned n)
{
    struct cluster c = {.running = malloc(4 * sizeof *c.running)};
    size_t before = in_use(), created, used;
    char name[64];

    c.sched = create(&c, n);
    created = in_use();
    submit(&c, ONE, 0);
    tbi_sched_run(c.sched);
    used = in_use();
    snprintf(name, sizeof name, "sched_node_bytes_%u", n);
    bench_row(name, (double)(created - before) / n, "bytes", 0);
    snprintf(name, sizeof name, "sched_node_bytes_class_%u", n);
    bench_row(name, (double)(used - created) / n, "bytes", 0);
    destroy(&c);
}

int main(int argc, char **argv)
{
    static const unsigned nodes[] = {16, 256, 4096, 16384};
    enum { SIZES = sizeof nodes / sizeof *nodes };
    const char *only = argc > 1 ? argv[1] : NULL; /* a shape, for profiles */
    unsigned size = argc > 2 ? (unsigned)atoi(argv[2]) : 0;

    for (int shape = 0; shape < SHAPES; shape++) {
        double t[SIZES] = {0};
        char name[64];

        if (only != NULL && strcmp(only, shape_name[shape]) != 0)
            continue;
        for (int i = 0; i < SIZES; i++)
            if (size != 0 ? size == nodes[i] : shape != MANY || nodes[i] == 256)
                t[i] = measure(nodes[i], (enum shape)shape);
        if (t[0] > 0 && t[SIZES - 1] > 0) { /* the limit: as the logarithm of the nodes */
            snprintf(name, sizeof name, "sched_growth_%s", shape_name[shape]);
            bench_row(name, t[SIZES - 1] / t[0], "times", 14.0 / 4);
        }
    }
    if (only == NULL)
        for (int i = 1; i < SIZES; i++)
            node_bytes(nodes[i]);
    return 0;
}
