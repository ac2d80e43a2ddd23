/* fetch.c - objects of `argv[1]` bytes that a task has made on another host, fetched by the driver one
 * after the other into warm room. Prints the mean of 20 in GB/s, alone. */
#include "bench.h"

#include <thornback.h>

static int make(tb_call *call)
{
    char *room;
    size_t n = (size_t)tb_arg_int64(call, 0);

    tb_must(tb_return_array(call, 0, &room, n));
    memset(room, 1, n);
    return 0;
}
TB_TASK(make);

static double one(size_t bytes)
{
    tb_ref r = tb_remote(make, (int64_t)bytes);
    const char *view;
    size_t n, ready;
    double t;

    tb_must(tb_wait_with(&r, 1, 1, -1, TB_WAIT_ONLY_EXISTS, &ready));
    t = bench_now();
    tb_must(tb_get_array(r, &view, &n));
    t = bench_now() - t;
    if (view[bytes - 1] != 1)
        exit(1);
    tb_must(tb_release(r));
    return t;
}

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? (size_t)atoll(argv[1]) : (size_t)16 << 20;
    double sum = 0;

    tb_must(tb_init(&argc, &argv, NULL));
    for (int i = 0; i < 5; i++)
        one(bytes);
    for (int i = 0; i < 20; i++)
        sum += one(bytes);
    printf("%.4f\n", 20 * (double)bytes / sum / 1e9);
    return tb_finalize();
}
