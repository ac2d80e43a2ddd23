/* scaling.c - costs that must not grow: each row does n and 8 n of something and prints how many times as long the
 * second took, by the median of REPEATS. In proportion it is 8; more than 12 is too much.
 *   little_cpu     tasks that ask for 0.01 CPU: all fit, and processes are few
 *   chain          a chain of tasks, each of which submits the next: the depth grows
 *   demands        tasks that ask for another amount of memory each
 *   reverse        calls of an actor whose arguments become ready in the opposite order
 *   bundles        a placement group of n bundles, with a task in each
 *   groups         n placement groups, with a task in each
 *   wait_one       tb_wait for one of n, n times
 *   segment        room in a store that has as many free extents which are a little too small
 *   group_alike    passes of the head while a group waits for parts of GPUs, on n nodes
 *   group_mixed    the same on nodes of which no two have as much left
 *   group_crossed  and for bundles of which none asks for less of all than another
 *   arguments      tasks with n arguments, at the head
 *   results        tasks with n results that have refs inside, and as many refs kept, at the head
 *   one_end        the end of a process, of n that have calls, needs and creates under way, at its agent
 *   one_forgets    one of them that does not wait any more for what all wait for
 *   abandon        a task that fails when it has created n results, at its agent
 * Of one_end and one_forgets the number of processes is n; the same few end or forget. n is small where what it needs would else
 * be in the processor's cache, and what 8 n need not: that is no growth of the work, and costs two to three times as much. */
#include "bench.h"
#include "scaling.h"

#include <thornback.h>

#include "../tests/run/gate.h"
#include "store/segment.h"

enum { REPEATS = 3, TIMES = 8, LIMIT = 12 };

static int noop(tb_call *call) { return tb_return(call, 1); }
TB_TASK(noop);

static int chain(tb_call *call)
{
    int n = tb_arg_int(call, 0);

    if (n > 1)
        tb_release(tb_remote(chain, n - 1));
    return tb_return(call, n);
}
TB_TASK(chain);

static int gated(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 1);
}
TB_TASK(gated);

static int same(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(same);

struct sum {
    int n;
};
static int add(tb_call *call, struct sum *sum)
{
    sum->n += tb_arg_int(call, 0);
    return tb_return(call, sum->n);
}
TB_ACTOR(sum, struct sum);
TB_METHOD(sum, add);

static double run_tasks(int n, double cpus, bool differ)
{
    tb_ref *r = malloc((size_t)n * sizeof *r);
    double t = bench_now();

    for (int i = 0; i < n; i++)
        r[i] = tb_remote_with(noop, TB_OPTIONS(.num_cpus = cpus, .memory = differ ? (1 << 20) + i : 0));
    tb_must(tb_get_all_(r, (size_t)n, TB_NO_TYPE, 0, NULL, -1));
    t = bench_now() - t;
    tb_must(tb_release_all(r, (size_t)n));
    free(r);
    return t;
}

static double little_cpu(int n) { return run_tasks(n, 0.01, false); }
static double demands(int n) { return run_tasks(n, 1, true); }

static double run_chain(int n)
{
    double t = bench_now();

    tb_must(tb_release(tb_remote(chain, n)));
    tb_must(tb_wait_idle(-1));
    return bench_now() - t;
}

static double reverse(int n)
{
    tb_ref *p = malloc((size_t)n * sizeof *p), *r = malloc((size_t)n * sizeof *r), g;
    struct gate gate = gate_new();
    tb_actor actor = tb_actor_new(sum);
    double t;
    int v;

    g = tb_remote(gated, gate.path);
    for (int i = 0; i < n; i++)
        p[i] = tb_remote(same, g);
    for (int i = 0; i < n; i++)
        r[i] = tb_actor_call(actor, add, p[n - 1 - i]);
    gate_reach(&gate);
    t = bench_now();
    gate_open(&gate);
    tb_must(tb_get(r[n - 1], &v));
    t = bench_now() - t;
    if (v != n)
        tb_must(TB_ERR_STATE);
    tb_must(tb_release_all(p, (size_t)n));
    tb_must(tb_release_all(r, (size_t)n));
    tb_must(tb_release(g));
    tb_must(tb_actor_release(actor));
    free(p);
    free(r);
    return t;
}

/* n tasks, each in a bundle of its own: of one group, or of n. */
static double run_in_groups(int n, int ngroups)
{
    tb_bundle *bundle = calloc((size_t)n, sizeof *bundle);
    tb_group *group = malloc((size_t)ngroups * sizeof *group);
    tb_ref *r = malloc((size_t)n * sizeof *r);
    double t = bench_now();

    for (int i = 0; i < n; i++)
        bundle[i].memory = 1;
    for (int g = 0; g < ngroups; g++)
        group[g] = tb_group_new(bundle, n / ngroups, TB_GROUP_PACK);
    for (int i = 0; i < n; i++)
        r[i] = tb_remote_with(noop, TB_OPTIONS(.num_cpus = TB_NONE, .memory = 1,
                                               .group = ngroups > 1 ? group[i] : tb_group_bundle(group[0], i)));
    tb_must(tb_get_all_(r, (size_t)n, TB_NO_TYPE, 0, NULL, -1));
    for (int g = 0; g < ngroups; g++)
        tb_must(tb_group_remove(group[g]));
    tb_must(tb_wait_idle(-1));
    t = bench_now() - t;
    tb_must(tb_release_all(r, (size_t)n));
    free(bundle);
    free(group);
    free(r);
    return t;
}

static double bundles(int n) { return run_in_groups(n, 1); }
static double groups(int n) { return run_in_groups(n, n); }

static double wait_one(int n)
{
    tb_ref *r = malloc((size_t)n * sizeof *r);
    double t = bench_now();
    size_t ready;

    for (int i = 0; i < n; i++)
        r[i] = tb_remote(noop);
    for (size_t at = 0; at < (size_t)n; at += ready) {
        tb_must(tb_wait(r + at, (size_t)n - at, 1, -1, &ready));
        tb_must(tb_release_all(r + at, ready));
    }
    free(r);
    return bench_now() - t;
}

/* Extents of 65 pages are free, each between two that are not; 71 are asked for. */
static double segment(int n)
{
    enum { PAGE = 4096 };
    struct tbi_segment *s = tbi_segment_create((uint64_t)n * (65 + 1 + 71) * PAGE, PAGE);
    uint64_t *at = malloc((size_t)n * sizeof *at);
    struct tbi_extent extent;
    double t = 0;

    for (int i = 0; i < n; i++) {
        tbi_segment_alloc(s, 65 * PAGE, &extent);
        at[i] = extent.offset;
        tbi_segment_alloc(s, PAGE, &extent);
    }
    for (int i = 0; i < n; i++)
        tbi_segment_free(s, at[i]);
    for (int round = 0; round < 2; round++) { /* the first finds memory that was never used, which costs in itself */
        t = bench_now();
        for (int i = 0; i < n; i++) {
            if (!tbi_segment_alloc(s, 71 * PAGE, &extent))
                tb_must(TB_ERR_STATE);
            at[i] = extent.offset;
        }
        t = bench_now() - t;
        for (int i = 0; i < n; i++)
            tbi_segment_free(s, at[i]);
    }
    tbi_segment_destroy(s);
    free(at);
    return t;
}

static const struct row {
    const char *name;
    double (*run)(int n);
    int n;
} rows[] = {
    {"little_cpu", little_cpu, 5000}, {"chain", run_chain, 5000},  {"demands", demands, 5000},
    {"bundles", bundles, 4000},       {"groups", groups, 5000},
    {"reverse", reverse, 2500},       {"wait_one", wait_one, 2500}, {"segment", segment, 4000},
    {"group_alike", scaling_group_alike, 32}, {"group_mixed", scaling_group_mixed, 32},
    {"group_crossed", scaling_group_crossed, 32},
    {"arguments", scaling_arguments, 500},    {"results", scaling_results, 500},
    {"one_end", scaling_one_end, 500},        {"one_forgets", scaling_one_forgets, 500},
    {"abandon", scaling_abandon, 500},
};

struct pair {
    double small, large; /* seconds for n and 8 n */
};

static int compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    double p = x->large / x->small, q = y->large / y->small;

    return (p > q) - (p < q);
}

/* n as often as 8 n have n in them, so that what else the machine does meets both alike. The pair in the middle. */
static struct pair measure(const struct row *row)
{
    struct pair pair[REPEATS];

    for (int k = 0; k < REPEATS; k++) {
        pair[k].small = 0;
        for (int i = 0; i < TIMES; i++)
            pair[k].small += row->run(row->n) / TIMES;
        pair[k].large = row->run(TIMES * row->n);
    }
    qsort(pair, REPEATS, sizeof *pair, compare);
    return pair[REPEATS / 2];
}

/* Only the rows that are named, if any are. Exit status 1: some cost grows too fast. */
int main(int argc, char **argv)
{
    int grown = 0;

    tb_must(tb_init(&argc, &argv, TB_CONFIG(.memory = INT64_C(64) << 30)));
    run_tasks(1000, 1, false);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const struct row *row = &rows[k];
        bool named = argc < 2;
        struct pair t;

        for (int a = 1; a < argc; a++)
            named |= strcmp(argv[a], row->name) == 0;
        if (!named)
            continue;
        t = measure(row);
        printf("{\"name\":\"scaling_%s\",\"n\":%d,\"seconds\":%.4g,\"seconds_8n\":%.4g,\"value\":%.4g,"
               "\"unit\":\"times\",\"limit\":%d,\"ratio\":%.3f}\n",
               row->name, row->n, t.small, t.large, t.large / t.small, LIMIT, t.large / t.small / LIMIT);
        fflush(stdout);
        grown += t.large / t.small > LIMIT;
    }
    tb_must(tb_finalize());
    return grown > 0;
}
