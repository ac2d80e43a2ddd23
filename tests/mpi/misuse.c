/* misuse.c - each argument is one way to use Thornback wrongly (see misuse.sh): prints the error it got,
 * or what it found out about its placement. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <thornback.h>
#include <thornback_tools.h>

static unsigned cpus(void)
{
    cpu_set_t set;

    sched_getaffinity(0, sizeof set, &set);
    return (unsigned)CPU_COUNT(&set);
}

static int affinity(tb_call *call) { return tb_return(call, cpus()); }
TB_TASK(affinity, .num_cpus = TB_NONE); /* so it may use all cores of its rank */

static int one(tb_call *call) { return tb_return(call, 1); }
TB_TASK(one);

static int fails(tb_call *call) { return tb_fail(call, "no luck"); }
TB_TASK(fails);

static int one_more(tb_call *call) { return tb_return(call, tb_arg_int(call, 0) + 1); }
TB_TASK(one_more);

static int not_registered(tb_call *call) { return tb_return(call, 1); }

static void *init_in_a_thread(void *arg)
{
    *(int *)arg = tb_init(NULL, NULL, NULL);
    printf("%d %s\n", *(int *)arg, tb_last_error());
    return NULL;
}

/* ---- threads that wait when the job ends ---- */

static atomic_int turns;
static tb_queue queue;

static void *gets(void *arg)
{
    int v;

    while (tb_queue_get_timeout(queue, &v, 0.0005) == TB_ERR_TIMEOUT)
        turns++;
    return arg;
}

/* More than there is room for: the last one waits. */
static void *puts_much(void *arg)
{
    static char much[1 << 20];

    for (int i = 0; i < 1000; i++, turns++)
        if (tb_get(tb_put_array(much, sizeof much), NULL) != 0)
            break;
    return arg;
}

static int ends_under(void *(*waits)(void *), int n)
{
    enum { THREADS = 8 };
    pthread_t thread[THREADS];
    int v, rc;

    queue = tb_queue_new(0);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, waits, NULL);
    while (turns < n)
        sched_yield();
    for (int i = 0; i < 100; i++) /* they go on meanwhile */
        tb_must(tb_get(tb_remote(one), &v));
    rc = tb_finalize();
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    return rc;
}

static void report(int rc)
{
    printf("%d %s\n", rc, tb_last_error());
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    pthread_t thread;
    unsigned there;
    tb_ref r;
    int v, rc;

    if (strcmp(how, "before") == 0) {
        r = tb_remote(one);
        report(tb_get(r, &v));
        report(tb_get(tb_put(1), NULL));
        report(tb_finalize());
        report(tb_release(r));
    }
    if (strcmp(how, "thread") == 0) {
        pthread_create(&thread, NULL, init_in_a_thread, &rc);
        pthread_join(thread, NULL);
        return 0;
    }
    rc = tb_init(&argc, &argv, NULL);
    if (rc != 0) {
        report(rc);
        return 4;
    }
    if (strcmp(how, "unread") == 0) {
        tb_ref failed[4] = {tb_remote(fails), tb_remote(fails)};

        failed[2] = tb_remote(one_more, failed[1]);
        failed[3] = tb_remote(one);
        tb_must(tb_wait(failed, 4, 4, -1, &(size_t){0}));
        report(tb_get(failed[0], NULL));   /* read */
        tb_must(tb_release(failed[0]));
        tb_must(tb_release(failed[1]));    /* not read, nor is its dependant: reported once */
        tb_must(tb_release(failed[2]));
        tb_must(tb_release(tb_remote(not_registered))); /* nor this */
        failed[0] = tb_remote(one);
        tb_must(tb_cancel(failed[0], TB_CANCEL_DEFAULT)); /* as it was wanted: not reported */
        tb_must(tb_release_all((tb_ref[]){failed[0], failed[3]}, 2));
        return tb_finalize();
    }
    if (strcmp(how, "unread_often") == 0) {
        for (int i = 0; i < 5; i++) {
            tb_ref failed = tb_remote(fails);

            tb_must(tb_wait(&failed, 1, 1, -1, &(size_t){0}));
            tb_must(tb_release(failed));
        }
        return tb_finalize();
    }
    if (strcmp(how, "ends_under_gets") == 0)
        return ends_under(gets, 20);
    if (strcmp(how, "ends_under_puts") == 0)
        return ends_under(puts_much, 8);
    if (strcmp(how, "closes") == 0) {
        for (int fd = 3; fd < 256; fd++)
            close(fd);
        report(tb_get(tb_remote(one), &v));
    }
    if (strcmp(how, "affinity") == 0) {
        tb_must(tb_get(tb_remote(affinity), &there));
        printf("driver %u executor %u\n", cpus(), there);
    }
    r = tb_put(1);
    rc = tb_finalize();
    if (strcmp(how, "after") == 0) {
        report(tb_get(r, &v));
        report(tb_get(tb_remote(one), &v));
        report(tb_finalize());
        report(tb_init(NULL, NULL, NULL));
        report(tb_wait(&r, 1, 1, 0, &(size_t){0}));
    }
    return rc;
}
