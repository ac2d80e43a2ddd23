/* test_stale.c - holds that a tb_call is of use to its own task, constructor or method alone: once that has ended, what
 * is done with it fails, and does not reach the one that runs then; and that until then other threads may use it. */
#include "counter.h"

#include <pthread.h>
#include <unistd.h>

static tb_call *old; /* in a process of tasks: of the task that ran there first */

static int leaves_its_call(tb_call *call)
{
    if (old == NULL)
        old = call;
    return tb_return(call, (int)getpid());
}
TB_TASK(leaves_its_call);

/* How many of the functions that change the call, or read it, refuse it. */
static int refusals(tb_call *call)
{
    const int *view;
    int x, *to, ndim, n = 0;
    uint64_t shape[TB_MAX_DIMS];

    n += tb_return_at(call, 0, 666) == TB_ERR_STATE && strstr(tb_last_error(), "has ended") != NULL;
    n += tb_return(call, 666) == TB_ERR_STATE;
    n += tb_return_array(call, 0, &to, 10) == TB_ERR_STATE;
    n += tb_fail(call, "not yours") == TB_ERR_STATE;
    n += tb_arg(call, 0, &x) == TB_ERR_STATE;
    n += tb_arg_array(call, 0, &view, NULL) == TB_ERR_STATE;
    n += tb_arg_shape(call, 0, &ndim, shape) == TB_ERR_STATE;
    n += tb_arg_int(call, 0) == 0;
    n += tb_num_args(call) == 0;
    n += tb_call_error(call) == TB_ERR_STATE;
    n += tb_call_rank(call) == -1;
    n += tb_cancelled(call);
    return n;
}
enum { REFUSALS = 12 };

/* Returns its process, and how many refused the other call; -1: there was none. argument: any number but 0 */
static int uses_the_old_call(tb_call *call)
{
    tb_must(tb_return_at(call, 0, (int)getpid()));
    return tb_return_at(call, 1, old == NULL ? -1 : refusals(old));
}
TB_TASK(uses_the_old_call);

static void the_call_of_a_task_that_has_ended_is_refused_and_the_next_task_unharmed(void **state)
{
    int same_process = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        tb_ref r[2], before = tb_remote(leaves_its_call);
        int pid, got[2];

        assert_ok(tb_get(before, &pid));
        assert_ok(tb_remote_n(uses_the_old_call, r, 2, 77));
        assert_ok(tb_get_all(r, 2, got));
        if (got[0] == pid) {
            assert_int_equal(got[1], REFUSALS);
            same_process++;
        }
        assert_ok(tb_release(before));
        assert_ok(tb_release_all(r, 2));
    }
    assert_true(same_process > 0); /* else this has shown nothing */
}

/* ---- threads ---- */

struct keeper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    tb_call *call;
    bool next_runs;
    int refused;
};

static void *lags(void *arg)
{
    struct keeper *k = arg;

    pthread_mutex_lock(&k->lock);
    while (!k->next_runs)
        pthread_cond_wait(&k->changed, &k->lock);
    k->refused = refusals(k->call);
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

static int keeper_begin(tb_call *call, struct keeper *k)
{
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->changed, NULL);
    k->call = call;
    tb_must(-pthread_create(&k->thread, NULL, lags, k));
    return tb_return(call, 1);
}

/* The thread of the method before uses that one's call while this one runs, which has set its result. */
static int keeper_next(tb_call *call, struct keeper *k)
{
    tb_must(tb_return_at(call, 0, tb_arg_int(call, 0)));
    pthread_mutex_lock(&k->lock);
    k->next_runs = true;
    pthread_cond_signal(&k->changed);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    return tb_return_at(call, 1, k->refused);
}
TB_ACTOR(keeper, struct keeper);
TB_METHOD(keeper, keeper_begin);
TB_METHOD(keeper, keeper_next);

static void the_thread_that_a_method_left_cannot_reach_the_next_one(void **state)
{
    tb_actor a = tb_actor_new(keeper);
    tb_ref r[2];
    int got[2];

    (void)state;
    assert_int_equal(get_int(tb_actor_call(a, keeper_begin)), 1);
    assert_ok(tb_actor_call_n(a, keeper_next, r, 2, 42));
    assert_ok(tb_get_all(r, 2, got));
    assert_int_equal(got[0], 42);
    assert_int_equal(got[1], REFUSALS);
    assert_ok(tb_release_all(r, 2));
    assert_ok(tb_actor_release(a));
}

enum { HELPERS = 4, ROUNDS = 200 };
struct help {
    tb_call *call;
    int index;
};

static void *helps(void *arg)
{
    static pthread_mutex_t one_returns = PTHREAD_MUTEX_INITIALIZER;
    struct help *h = arg;
    char *how = NULL;
    int x;

    for (int i = 0; i < ROUNDS; i++)
        if (tb_arg(h->call, 0, &x) != 0 || tb_call_rank(h->call) < 0 || tb_cancelled(h->call))
            return "failed to read";
    pthread_mutex_lock(&one_returns);
    if (tb_return_at(h->call, (size_t)h->index, x + h->index) != 0)
        how = "failed to return";
    pthread_mutex_unlock(&one_returns);
    return how;
}

/* Its threads read its argument and set a result each. */
static int is_helped(tb_call *call)
{
    pthread_t thread[HELPERS];
    struct help help[HELPERS];
    void *failed = NULL, *how;

    for (int i = 0; i < HELPERS; i++) {
        help[i] = (struct help){call, i};
        tb_must(-pthread_create(&thread[i], NULL, helps, &help[i]));
    }
    for (int i = 0; i < HELPERS; i++) {
        pthread_join(thread[i], &how);
        failed = failed != NULL ? failed : how;
    }
    return failed == NULL ? 0 : tb_fail(call, "%s", (char *)failed);
}
TB_TASK(is_helped);

static void the_threads_of_a_task_that_runs_use_its_call(void **state)
{
    tb_ref r[HELPERS];
    int got[HELPERS];

    (void)state;
    assert_ok(tb_remote_n(is_helped, r, HELPERS, 7));
    assert_ok(tb_get_all(r, HELPERS, got));
    for (int i = 0; i < HELPERS; i++)
        assert_int_equal(got[i], 7 + i);
    assert_ok(tb_release_all(r, HELPERS));
}

RUN(cmocka_unit_test(the_call_of_a_task_that_has_ended_is_refused_and_the_next_task_unharmed),
    cmocka_unit_test(the_thread_that_a_method_left_cannot_reach_the_next_one),
    cmocka_unit_test(the_threads_of_a_task_that_runs_use_its_call))
