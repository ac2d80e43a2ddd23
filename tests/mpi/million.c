/* million.c - a million queued tasks run to the end; and what each takes while it is queued, in the head
 * and for its ref in the driver together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <thornback.h>

#include "../run/gate.h"

static int empty(tb_call *call) { return tb_return(call, 1); }
TB_TASK(empty);

static int gated(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 1);
}
TB_TASK(gated);

static int no_cpu(tb_call *call) { return tb_return(call, 1); }
TB_TASK(no_cpu, .num_cpus = TB_NONE);

static long resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long all, pages = 0;

    if (f == NULL || fscanf(f, "%ld %ld", &all, &pages) != 2)
        exit(1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void settle(void)
{
    tb_ref r = tb_remote(no_cpu);

    tb_must(tb_get(r, NULL));
    tb_must(tb_release(r));
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? (size_t)atoll(argv[1]) : 1000000;
    tb_ref *r = malloc(n * sizeof *r), first;
    struct gate g;
    long before, bytes;

    memset(r, 0, n * sizeof *r);
    tb_must(tb_init(&argc, &argv, TB_CONFIG(.num_cpus = 1)));
    g = gate_new();
    first = tb_remote(gated, g.path); /* holds the only CPU, so that all others are queued */
    settle();
    before = resident();
    for (size_t i = 0; i < n; i++)
        r[i] = tb_remote(empty);
    settle();
    bytes = (resident() - before) / (long)n;
    gate_open(&g);
    tb_must(tb_get_all(r, n, NULL));
    tb_must(tb_release_all(r, n));
    tb_must(tb_get(first, NULL));
    tb_must(tb_release(first));
    printf("%zu tasks ran; queued, each took %ld bytes\n", n, bytes);
    tb_must(tb_finalize());
    return bytes > 512;
}
