/* test_idle.c - holds tb_wait_idle: it waits for tasks that nobody has a ref of, for what they submit, for calls of
 * actors and their fini, but not for actors that wait for calls; and what it says when its time is up. */
#include "gate.h"
#include "run.h"

#include <errno.h>
#include <pthread.h>

/* arguments: a directory, how many levels of children. Leaves a file in it, and each task has two children. */
static int tree(tb_call *call)
{
    const char *dir = tb_arg_string(call, 0);
    int depth = tb_arg_int(call, 1), fd;
    char path[160], id[64];

    for (int i = 0; i < 2 && depth > 0; i++)
        tb_must(tb_release(tb_remote(tree, dir, depth - 1)));
    snprintf(path, sizeof path, "%s/%s", dir, tb_ref_text(tb_call_task_id(call), id, sizeof id));
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0)
        return tb_fail(call, "%s: %s", path, strerror(errno));
    close(fd);
    return tb_return(call, 0);
}
TB_TASK(tree, .max_retries = TB_NONE);

static int gated(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 1);
}
TB_TASK(gated, .num_cpus = TB_NONE);

static int waits_for_all(tb_call *call)
{
    int rc = tb_wait_idle(0);

    return tb_return(call, rc == TB_ERR_STATE && strstr(tb_last_error(), "would wait for itself") != NULL);
}
TB_TASK(waits_for_all);

struct keeper {
    char path[160];
};
static int keeper_init(tb_call *call, struct keeper *keeper)
{
    snprintf(keeper->path, sizeof keeper->path, "%s", tb_arg_string(call, 0));
    return tb_call_error(call);
}
static int keep(tb_call *call, struct keeper *keeper)
{
    (void)keeper;
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 1);
}
static void keeper_fini(struct keeper *keeper)
{
    int fd = open(keeper->path, O_CREAT | O_WRONLY, 0600);

    if (fd >= 0)
        close(fd);
}
TB_ACTOR(keeper, struct keeper, .init = keeper_init, .fini = keeper_fini);
TB_METHOD(keeper, keep);

static unsigned files_in(const char *dir, bool removes)
{
    char command[256];
    FILE *list;
    unsigned n;

    snprintf(command, sizeof command, "ls %s | wc -l", dir);
    list = popen(command, "r");
    assert_non_null(list);
    assert_int_equal(fscanf(list, "%u", &n), 1);
    pclose(list);
    snprintf(command, sizeof command, "rm -r %s", dir);
    if (removes)
        assert_int_equal(system(command), 0);
    return n;
}

static void nothing_runs_any_more_when_it_returns(void **state)
{
    char dir[] = "/tmp/tb-idle-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < 8; i++)
        assert_ok(tb_release(tb_remote(tree, (const char *)dir, 4)));
    assert_ok(tb_wait_idle(-1));
    assert_int_equal(files_in(dir, true), 8 * 31);
}

static void it_returns_at_once_if_there_is_nothing(void **state)
{
    (void)state;
    assert_ok(tb_wait_idle(0));
    assert_ok(tb_wait_idle(-1));
}

static void a_timeout_says_how_many_are_left(void **state)
{
    struct gate g = gate_new(), h = gate_new();
    tb_ref r[2] = {tb_remote(gated, g.path), tb_remote(gated, h.path)};

    (void)state;
    assert_fails(TB_ERR_TIMEOUT, "2 tasks are unfinished", tb_wait_idle(0));
    assert_fails(TB_ERR_TIMEOUT, "2 tasks are unfinished", tb_wait_idle(0.01));
    gate_open(&g);
    assert_ok(tb_get(r[0], NULL));
    assert_fails(TB_ERR_TIMEOUT, "1 task is unfinished", tb_wait_idle(0));
    gate_open(&h);
    assert_ok(tb_wait_idle(60));
    assert_ok(tb_release_all(r, 2));
}

static void calls_count_and_actors_that_wait_for_calls_do_not(void **state)
{
    struct gate g = gate_new();
    char dir[] = "/tmp/tb-idle-XXXXXX", path[160];
    tb_actor actor;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/fini", dir);
    actor = tb_actor_new(keeper, (const char *)path);
    assert_ok(tb_wait_idle(-1)); /* until it is made */
    assert_ok(tb_release(tb_actor_call(actor, keep, (const char *)g.path)));
    assert_fails(TB_ERR_TIMEOUT, "1 actor call is unfinished", tb_wait_idle(0));
    gate_open(&g);
    assert_ok(tb_wait_idle(-1));
    assert_int_equal(files_in(dir, false), 0);
    assert_ok(tb_actor_release(actor));
    assert_ok(tb_wait_idle(-1)); /* until its fini has run */
    assert_int_equal(files_in(dir, true), 1);
}

static void a_task_cannot_wait_for_itself(void **state)
{
    tb_ref r = tb_remote(waits_for_all);
    int right = 0;

    (void)state;
    assert_ok(tb_get(r, &right));
    assert_true(right);
    assert_ok(tb_release(r));
}

static void *wait_beside(void *rc)
{
    *(int *)rc = tb_wait_idle(-1);
    return NULL;
}

static void several_threads_may_wait(void **state)
{
    struct gate g = gate_new();
    tb_ref r = tb_remote(gated, g.path);
    pthread_t thread[3];
    int rc[3] = {1, 1, 1};

    (void)state;
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, wait_beside, &rc[i]);
    assert_fails(TB_ERR_TIMEOUT, "1 task is unfinished", tb_wait_idle(0.01));
    gate_open(&g);
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(rc[i], 0);
    }
    assert_ok(tb_release(r));
}

static void a_timeout_that_is_no_number_is_refused(void **state)
{
    (void)state;
    assert_fails(TB_ERR_ARGUMENT, "tb_wait_idle", tb_wait_idle(0.0 / 0.0));
}

RUN(cmocka_unit_test(nothing_runs_any_more_when_it_returns), cmocka_unit_test(it_returns_at_once_if_there_is_nothing),
    cmocka_unit_test(a_timeout_says_how_many_are_left),
    cmocka_unit_test(calls_count_and_actors_that_wait_for_calls_do_not),
    cmocka_unit_test(a_task_cannot_wait_for_itself), cmocka_unit_test(several_threads_may_wait),
    cmocka_unit_test(a_timeout_that_is_no_number_is_refused))
