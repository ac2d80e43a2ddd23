/* ends.c - a job to be ended in every way (see ends.sh): has busy executors on each worker, objects in
 * the store, and says "ready"; then does what its argument says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <thornback.h>

static int busy(tb_call *call)
{
    for (;;)
        pause();
    return tb_return(call, 0);
}
TB_TASK(busy, .num_cpus = TB_NONE);

static int quick(tb_call *call)
{
    int *room;

    tb_must(tb_return_array(call, 0, &room, 100000));
    room[0] = 1;
    return 0;
}
TB_TASK(quick);

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "return";
    tb_ref object, b[4];
    const int *view;
    size_t n;

    tb_must(tb_init(&argc, &argv, NULL));
    object = tb_remote(quick);
    tb_must(tb_get_array(object, &view, &n));
    for (int i = 0; strcmp(how, "return") != 0 && i < 4; i++)
        b[i] = tb_remote(busy);
    object = tb_remote(quick);
    tb_must(tb_get_array(object, &view, &n));
    printf("ready\n");
    fflush(stdout);
    if (strcmp(how, "exit") == 0)
        exit(3);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "wait") == 0)
        tb_must(tb_get(b[0], NULL));
    tb_must(tb_finalize());
    return 5;
}
