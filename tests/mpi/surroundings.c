/* surroundings.c - a program for surroundings.sh, which lacks something each time. The first argument says what it
 * does; each line that it prints begins with the code of an error, or 0. */
#include <thornback.h>

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int one(tb_call *call) { return tb_return(call, 1); }
TB_TASK(one);

static int put(size_t bytes)
{
    char *data = calloc(1, bytes);
    tb_ref r = tb_put_array(data, bytes);
    const char *view;
    size_t n;
    int rc = tb_get_array(r, &view, &n);

    free(data);
    tb_release(r);
    return rc;
}

static int put_in_task(tb_call *call)
{
    return tb_return(call, put((size_t)tb_arg_int(call, 0) << 20));
}
TB_TASK(put_in_task);

/* All descriptors but n are in use. */
static void fill(int n)
{
    int fd, last = -1;

    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        last = fd;
    for (int i = 0; i < n; i++)
        close(last - i);
}

static int begin(void)
{
    int rc = tb_init(NULL, NULL, TB_CONFIG(.resources = {{"Disk", 0.5}}));

    if (rc != 0)
        printf("%d %s\n", rc, tb_last_error());
    return rc;
}

static int run_tasks(int n)
{
    tb_ref *r = calloc((size_t)n, sizeof *r);
    int failed = 0, v;

    for (int i = 0; i < n; i++)
        r[i] = tb_remote(one);
    for (int i = 0; i < n; i++)
        if (tb_get(r[i], &v) != 0 && failed++ == 0)
            printf("%s\n", tb_last_error());
    free(r);
    printf("0 %d of %d tasks failed\n", failed, n);
    return failed > 0;
}

/* /dev/shm is filled by somebody else, and emptied at last. */
static void put_beside_others(void)
{
    if (system("dd if=/dev/zero of=/dev/shm/filler bs=1M 2>/dev/null") < 0)
        abort();
    for (int i = 0; i < 4; i++) {
        tb_ref r = tb_remote(put_in_task, 4);
        int rc = 0;

        printf("%d put by the driver\n", put(4 << 20));
        if (tb_get(r, &rc) == 0)
            printf("%d put by a task\n", rc);
        tb_release(r);
        if (i == 2)
            remove("/dev/shm/filler");
    }
}

int main(int argc, char **argv)
{
    const char *does = argc > 1 ? argv[1] : "init";
    int n = argc > 2 ? atoi(argv[2]) : 0, rc = 0;
    double disk = 0;

    if (strcmp(does, "locale") == 0 && setlocale(LC_ALL, "") == NULL)
        printf("1 there is no such locale\n");
    if (strcmp(does, "fill") == 0)
        fill(n);
    if (begin() != 0)
        return 1;
    if (strcmp(does, "tasks") == 0)
        rc = run_tasks(n);
    else if (strcmp(does, "fill") == 0)
        rc = run_tasks(20);
    else if (strcmp(does, "put") == 0)
        printf("%d put\n", put((size_t)n << 20));
    else if (strcmp(does, "beside") == 0)
        put_beside_others();
    tb_cluster_resources("Disk", &disk);
    setlocale(LC_ALL, "C");
    printf("0 begun, Disk %g\n", disk);
    return tb_finalize() != 0 || rc != 0;
}
