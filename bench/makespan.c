/* makespan.c - how near to the greedy schedule a job of many short tasks of random length comes:
 *
 *     makespan [TASKS [MEAN-MS [SEED]]]
 *
 * Tasks sleep, so that hosts which share cores can stand for hosts with cores of their own; how long each
 * really took is recorded inside it. The bound is that of list scheduling: the same durations, in the
 * order of their submission, each begun on the slot that is free first, at no cost. The makespan is from
 * before the first submission until the driver has the last result, with the start of the processes.
 * Status 1, with a line that says why, if a task did not run or a node ran more at once than it has
 * CPUs. */
#include "bench.h"

#include <errno.h>
#include <math.h>

#include <thornback.h>

enum { RANKS_MAX = 4096 };

struct span {
    double begin, end;
    int rank;
};

/* Sleeps for argument 0 microseconds. */
static int sleeps(tb_call *call)
{
    struct span s = {.begin = bench_now(), .rank = tb_call_rank(call)};
    int us = tb_arg_int(call, 0);
    struct timespec left = {us / 1000000, us % 1000000 * 1000L};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
    s.end = bench_now();
    return tb_return(call, tb_struct(s));
}
TB_TASK(sleeps);

static double uniform(uint64_t *state) /* xorshift64*, Vigna 2016 */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)(*state * UINT64_C(2685821657736338717) >> 11) / (double)(UINT64_C(1) << 53);
}

static double list_schedule(const struct span *s, int n, int slots)
{
    double *free_at = calloc((size_t)slots, sizeof *free_at), last = 0;

    for (int i = 0; i < n; i++) { /* free_at is a heap */
        double t = free_at[0] + (s[i].end - s[i].begin);
        int at = 0, child;

        last = t > last ? t : last;
        while ((child = 2 * at + 1) < slots) {
            if (child + 1 < slots && free_at[child + 1] < free_at[child])
                child++;
            if (free_at[child] >= t)
                break;
            free_at[at] = free_at[child];
            at = child;
        }
        free_at[at] = t;
    }
    free(free_at);
    return last;
}

struct edge {
    double at;
    int rank, change;
};

static int by_time(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;

    return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : x->change - y->change;
}

/* Did a node ever run more than its CPUs, or a task nowhere? */
static int check(const struct span *s, int n, const double *cpus)
{
    static int running[RANKS_MAX];
    struct edge *e = calloc(2 * (size_t)n, sizeof *e);
    int bad = 0;

    for (int i = 0; i < n; i++) {
        bad |= s[i].rank < 0 || s[i].rank >= RANKS_MAX || s[i].end <= s[i].begin;
        e[2 * i] = (struct edge){s[i].begin, s[i].rank, 1};
        e[2 * i + 1] = (struct edge){s[i].end, s[i].rank, -1};
    }
    if (bad)
        fprintf(stderr, "makespan: a task says that it ran nowhere, or ended before it began\n");
    qsort(e, 2 * (size_t)n, sizeof *e, by_time);
    for (int i = 0; !bad && i < 2 * n; i++) {
        running[e[i].rank] += e[i].change;
        bad = running[e[i].rank] > cpus[e[i].rank];
        if (bad)
            fprintf(stderr, "makespan: rank %d has %g CPUs and ran %d tasks at once\n", e[i].rank,
                    cpus[e[i].rank], running[e[i].rank]);
    }
    free(e);
    return bad;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 10000, slots = 0, nnodes, bad;
    double mean = (argc > 2 ? atof(argv[2]) : 6) * 1e-3, begin, took, greedy, last = 0, busy = 0;
    uint64_t seed = argc > 3 ? (uint64_t)atoll(argv[3]) : 1;
    static double cpus[RANKS_MAX];
    static tb_node node[RANKS_MAX];
    struct span *s;
    tb_ref *r;
    int *us;

    if (n < 1 || mean < 1e-3 || seed == 0) {
        fprintf(stderr, "makespan [TASKS [MEAN-MS [SEED]]]: from 1, from 1, from 1 on\n");
        return 2;
    }
    s = calloc((size_t)n, sizeof *s);
    r = calloc((size_t)n, sizeof *r);
    us = calloc((size_t)n, sizeof *us);
    for (int i = 0; i < n; i++) /* exponential above 1 ms, the longest ten times the mean */
        us[i] = (int)(1e6 * fmin(1e-3 - (mean - 1e-3) * log(1 - uniform(&seed)), 10 * mean));
    tb_must(tb_init(&argc, &argv, NULL));
    nnodes = tb_nodes(node, RANKS_MAX);
    for (int i = 0; i < nnodes; i++) {
        cpus[node[i].rank] = node[i].num_cpus;
        slots += (int)node[i].num_cpus;
    }
    begin = bench_now();
    for (int i = 0; i < n; i++)
        r[i] = tb_remote(sleeps, us[i]);
    for (int i = 0; i < n; i++)
        tb_must(tb_get_struct(r[i], &s[i]));
    took = bench_now() - begin;
    greedy = list_schedule(s, n, slots);
    for (int i = 0; i < n; i++) {
        last = s[i].begin > last ? s[i].begin : last;
        busy += s[i].end - s[i].begin;
    }
    bad = check(s, n, cpus);
    if (!bad) {
        bench_row("makespan", took / greedy, "of greedy", 1.1);
        bench_row("makespan_seconds", took, "s", 0);
        bench_row("makespan_mean_task", busy / n * 1e3, "ms", 0);
        bench_row("makespan_slots", slots, "CPUs", 0);
        bench_row("makespan_tail", begin + took - last, "s after the last task began", 0);
    }
    tb_must(tb_release_all(r, (size_t)n));
    tb_must(tb_finalize());
    free(s);
    free(r);
    free(us);
    return bad;
}
