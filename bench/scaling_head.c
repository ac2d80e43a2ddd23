/* scaling_head.c - rows of scaling.c for the head alone: what it sends goes nowhere, and rank 1 .. n say that it was
 * done. In processor time. */
#include "scaling.h"
#include "bench.h"
#include "net/codec.h"
#include "sched/sched.h"

enum { PASSES = 50, TASKS = 10, OPEN = 10, GPUS = 4, CPUS = 64 };

struct head {
    struct tbi_sched *sched;
    struct tbi_outbox in, sent;
    unsigned rank;          /* where the last DISPATCH went */
    uint64_t made;          /* ids */
    uint64_t reserved;      /* RESERVEs */
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "scaling: %s\n", what);
    exit(1);
}

static void *on_send(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct head *h = ctx;

    if (type == TBI_MSG_DISPATCH)
        h->rank = rank;
    h->reserved += type == TBI_MSG_RESERVE;
    h->sent.begin = h->sent.end = 0;
    return tbi_outbox_append(&h->sent, type, proc, size);
}

static void *record(struct head *h, enum tbi_msg type, size_t size)
{
    h->in.begin = h->in.end = 0;
    return tbi_outbox_append(&h->in, type, 0, size);
}

static void deliver(struct head *h, unsigned rank)
{
    const char *why = tbi_sched_handle(h->sched, rank, (void *)(h->in.data + h->in.begin), 0);

    must(why == NULL, why);
}

static struct tbi_id id_of(uint64_t k) { return tbi_id_make(1, 0, 0, k, 0); }

/* Rank 0 runs no tasks; four of the others a host. */
static void begin(struct head *h, unsigned n)
{
    int64_t *totals = calloc((size_t)(n + 1) * TBI_CUSTOM, sizeof *totals);
    unsigned *host = calloc(n + 1, sizeof *host);

    for (unsigned r = 1; r <= n; r++) {
        host[r] = (r - 1) / 4;
        totals[r * TBI_CUSTOM + TBI_CPUS] = CPUS * TBI_UNIT;
        totals[r * TBI_CUSTOM + TBI_GPUS] = GPUS * TBI_UNIT;
        totals[r * TBI_CUSTOM + TBI_MEMORY] = INT64_C(1) << 40;
    }
    *h = (struct head){0};
    h->sched = tbi_sched_create(&(struct tbi_sched_config){.nranks = n + 1, .nresources = TBI_CUSTOM, .totals = totals,
                                                           .host = host, .overtakes = 64, .seed = 1},
                                (struct tbi_port){h, on_send});
    free(totals);
    free(host);
}

static void end(struct head *h)
{
    tbi_sched_destroy(h->sched);
    tbi_outbox_fini(&h->in);
    tbi_outbox_fini(&h->sent);
}

static void release(struct head *h, uint64_t object, unsigned index)
{
    *(struct msg_object *)record(h, TBI_MSG_RELEASE, sizeof(struct msg_object)) =
        (struct msg_object){tbi_id_with_index(id_of(object), index)};
    deliver(h, 0);
}

/* A task for this node with `gpus` and `memory`, unless they are 0. */
static uint64_t submit_on(struct head *h, unsigned node, int32_t cpus, int64_t gpus, int64_t memory)
{
    unsigned nmore = (gpus > 0) + (memory > 0);
    struct msg_submit *m = record(h, TBI_MSG_SUBMIT, sizeof *m + nmore * sizeof(struct tbi_amount));
    struct tbi_amount *more = (struct tbi_amount *)(m + 1);

    *m = (struct msg_submit){.task = id_of(++h->made), .cpus = cpus, .nreturns = 1, .nmore = (uint8_t)nmore,
                             .strategy = TBI_ON_NODE, .node = node};
    if (gpus > 0)
        *more++ = (struct tbi_amount){.resource = TBI_GPUS, .amount = gpus};
    if (memory > 0)
        *more = (struct tbi_amount){.resource = TBI_MEMORY, .amount = memory};
    deliver(h, 0);
    return h->made;
}

static void finish(struct head *h, uint64_t task)
{
    struct msg_done *m = record(h, TBI_MSG_FINISHED, sizeof *m + sizeof(struct tbi_result) + 8);

    *m = (struct msg_done){.task = id_of(task), .nresults = 1, .data_bytes = 8};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){TBI_AT_INLINE, 0, 8};
    deliver(h, h->rank);
}

/* MIXED: no two nodes have as much left, and bundles are of two sizes. CROSSED: and who needs less of a GPU needs more
 * CPUs, so that to be sure much must be tried. */
enum mix { ALIKE, MIXED, CROSSED };

/* A group waits that needs GPUs. OPEN nodes have a whole one left, the others none that suffices, though there is enough
 * in all; other tasks come and go. */
static double group_waits(unsigned n, enum mix mix)
{
    enum { BUNDLES = OPEN + 2 };
    struct msg_group *m;
    struct msg_bundle *bundle;
    struct head h;
    double t;

    begin(&h, n);
    for (unsigned r = 1; r <= n; r++) {
        int64_t memory = mix != ALIKE ? r * TBI_UNIT : 0, gpu = 5500 + (mix != ALIKE ? (r * 7) % 300 : 0);
        int cpus = mix == CROSSED ? CPUS - 6 - (int)r : 1;

        if (r <= OPEN)
            submit_on(&h, r, cpus * TBI_UNIT, (GPUS - 1) * TBI_UNIT, memory);
        for (unsigned g = 0; g < GPUS && r > OPEN; g++)
            submit_on(&h, r, TBI_UNIT, gpu, memory);
    }
    tbi_sched_run(h.sched);
    m = record(&h, TBI_MSG_GROUP, sizeof *m + BUNDLES * (sizeof *bundle + sizeof(struct tbi_amount)));
    *m = (struct msg_group){id_of(++h.made), TBI_GROUP_PACK, BUNDLES};
    bundle = (struct msg_bundle *)(m + 1);
    for (unsigned b = 0; b < BUNDLES; b++) {
        *bundle = (struct msg_bundle){(mix == CROSSED && b % 2 == 0 ? 3 + (int)b : 1) * TBI_UNIT, 1};
        *(struct tbi_amount *)(bundle + 1) =
            (struct tbi_amount){.resource = TBI_GPUS, .amount = mix != ALIKE && b % 2 ? 7000 : 6000};
        bundle = (struct msg_bundle *)tbi_bundle_next(bundle);
    }
    deliver(&h, 0);
    t = bench_cpu_now();
    for (int k = 0; k < PASSES; k++) {
        uint64_t task = submit_on(&h, (unsigned)k % n + 1, TBI_UNIT, 0, 0);

        tbi_sched_run(h.sched);
        finish(&h, task);
        tbi_sched_run(h.sched);
    }
    t = bench_cpu_now() - t;
    must(h.reserved == 0, "a group that does not fit was reserved");
    end(&h);
    return t;
}

double scaling_group_alike(int n) { return group_waits((unsigned)n, ALIKE); }
double scaling_group_mixed(int n) { return group_waits((unsigned)n, MIXED); }
double scaling_group_crossed(int n) { return group_waits((unsigned)n, CROSSED); }

/* Two tasks with n arguments, one half there, one half still to come. */
double scaling_arguments(int n)
{
    uint64_t first, made;
    struct head h;
    double t;

    begin(&h, 4);
    first = h.made + 1;
    for (int i = 0; i < n; i += 2) {
        struct msg_put *m = record(&h, TBI_MSG_PUT, sizeof *m + 8);

        *m = (struct msg_put){id_of(++h.made), 0, 8};
        deliver(&h, 0);
        *(struct msg_object *)record(&h, TBI_MSG_ANNOUNCE, sizeof(struct msg_object)) =
            (struct msg_object){id_of(++h.made)};
        deliver(&h, 1);
    }
    made = h.made;
    t = bench_cpu_now();
    for (int k = 0; k < 2; k++) {
        struct msg_submit *m = record(&h, TBI_MSG_SUBMIT, sizeof *m + (size_t)n * (sizeof(struct tbi_id) + 8));
        struct tbi_id *refs = (struct tbi_id *)(m + 1);

        *m = (struct msg_submit){.task = id_of(++h.made), .cpus = TBI_UNIT, .nreturns = 1, .nargs = (uint16_t)n,
                                 .strategy = TBI_ON_NODE, .node = 1, .nrefs = (uint16_t)n, .nresolve = (uint16_t)n};
        for (int i = 0; i < n; i++) {
            refs[i] = id_of(first + (uint64_t)i);
            ((uint64_t *)(refs + n))[i] = TBI_ARG_REF | (uint64_t)i;
        }
        deliver(&h, 0);
    }
    for (uint64_t k = first + 1; k <= made; k += 2) {
        *(struct msg_seal *)record(&h, TBI_MSG_SEALED, sizeof(struct msg_seal)) = (struct msg_seal){id_of(k), 8, 0, 1};
        deliver(&h, 1);
    }
    for (uint64_t k = made + 1; k <= h.made; k++) {
        tbi_sched_run(h.sched);
        finish(&h, k);
        release(&h, k, 0);
    }
    t = bench_cpu_now() - t;
    end(&h);
    return t;
}

/* Tasks with n results, each with a ref inside, and n refs that their processes keep. */
double scaling_results(int n)
{
    size_t size = sizeof(struct msg_done) + (size_t)n * (sizeof(struct tbi_result) + 2 * sizeof(struct tbi_id) + 8);
    struct head h;
    double t;

    begin(&h, 4);
    for (int i = 0; i < n; i++) {
        struct msg_put *m = record(&h, TBI_MSG_PUT, sizeof *m + 8);

        *m = (struct msg_put){id_of(++h.made), 0, 8};
        deliver(&h, 0);
    }
    t = bench_cpu_now();
    for (int k = 0; k < TASKS; k++) {
        struct msg_submit *m = record(&h, TBI_MSG_SUBMIT, sizeof *m);
        struct tbi_result *result;
        struct msg_done *d;
        struct tbi_id *ids;

        *m = (struct msg_submit){.task = id_of(++h.made), .cpus = TBI_UNIT, .nreturns = (uint16_t)n};
        deliver(&h, 0);
        tbi_sched_run(h.sched);
        d = record(&h, TBI_MSG_FINISHED, size);
        *d = (struct msg_done){.task = id_of(h.made), .nresults = (uint16_t)n, .nkept = (uint32_t)n,
                               .data_bytes = (uint32_t)n * 8};
        result = (struct tbi_result *)(d + 1);
        ids = (struct tbi_id *)(result + n);
        for (int i = 0; i < n; i++) {
            result[i] = (struct tbi_result){TBI_AT_INLINE, 1, 8};
            ids[i] = ids[n + i] = id_of((uint64_t)i + 1);
        }
        deliver(&h, h.rank);
        for (int i = 0; i < n; i++)
            release(&h, h.made, (unsigned)i);
    }
    t = bench_cpu_now() - t;
    end(&h);
    return t;
}
