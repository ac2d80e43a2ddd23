/* oom.c - for oom.sh, under a limit of memory: a task takes more than there is and is killed for it; nobody
 * else is harmed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <thornback.h>

static int eats(tb_call *call)
{
    size_t bytes = (size_t)tb_arg_int64(call, 0);
    volatile char *food = malloc(bytes);

    for (size_t i = 0; food != NULL && i < bytes; i += 4096)
        food[i] = 1;
    return tb_return(call, 1);
}
TB_TASK(eats, .max_retries = 1);

int main(int argc, char **argv)
{
    tb_ref small, large, after;
    tb_error e;
    int v;

    tb_must(tb_init(&argc, &argv, NULL));
    small = tb_remote(eats, (int64_t)1 << 20);
    large = tb_remote(eats, (int64_t)4 << 30);
    if (tb_get(large, &v) != TB_ERR_CRASHED) {
        printf("the task that takes too much gave %s\n", tb_last_error());
        return 1;
    }
    printf("%s\n", tb_last_error());
    tb_must(tb_error_detail(large, &e));
    printf("signal %d attempt %u\n", e.signal, e.attempt);
    after = tb_remote(eats, (int64_t)1 << 20);
    tb_must(tb_get(small, &v));
    tb_must(tb_get(after, &v));
    tb_must(tb_release_all((tb_ref[]){small, large, after}, 3));
    return tb_finalize();
}
