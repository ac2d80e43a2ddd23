/* bench.h - what the benchmarks share: a clock, medians, and the line they print:
 * {"name","value","unit","limit","ratio"}, ratio = value / limit. */
#ifndef TB_BENCH_H
#define TB_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of this process, so that what else the machine does is not in it. */
static inline double bench_cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static inline double bench_median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, bench_compare);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* limit 0: none */
static inline void bench_row(const char *name, double value, const char *unit, double limit)
{
    if (limit > 0)
        printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"limit\":%.6g,\"ratio\":%.3f}\n",
               name, value, unit, limit, value / limit);
    else
        printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"limit\":null,\"ratio\":null}\n",
               name, value, unit);
    fflush(stdout);
}

#endif
