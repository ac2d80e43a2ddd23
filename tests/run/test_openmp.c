/* test_openmp.c - holds how many threads an OpenMP runtime takes that is loaded before the job begins: those of the
 * task's CPUs, in tasks and in the threads of an actor whose calls run at once. */
#include "run.h"

#ifdef _OPENMP
#include <omp.h>
static int threads(void) { return omp_get_max_threads(); }
#else
static int threads(void) { return 1; } /* this compiler has no OpenMP */
#endif

static int task_threads(tb_call *call) { return tb_return(call, threads()); }
TB_TASK(task_threads);

struct team {
    char unused;
};
static int team_threads(tb_call *call, struct team *team)
{
    (void)team;
    return tb_return(call, threads());
}
TB_ACTOR(team, struct team, .num_cpus = 1, .max_concurrency = 2);
TB_METHOD(team, team_threads);

static int get(tb_ref r)
{
    int n = -1;

    assert_ok(tb_get(r, &n));
    assert_ok(tb_release(r));
    return n;
}

static void a_task_has_as_many_threads_as_cpus(void **state)
{
    (void)state;
    assert_int_equal(get(tb_remote(task_threads)), 1);
#ifdef _OPENMP
    assert_int_equal(get(tb_remote_with(task_threads, TB_OPTIONS(.num_cpus = 3))), 3);
    assert_int_equal(get(tb_remote(task_threads)), 1);
#endif
}

static void so_do_calls_that_run_at_once(void **state)
{
    tb_actor actor = tb_actor_new(team);

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(get(tb_actor_call(actor, team_threads)), 1);
    assert_ok(tb_actor_release(actor));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_task_has_as_many_threads_as_cpus),
                                       cmocka_unit_test(so_do_calls_that_run_at_once)};

    unsetenv("OMP_NUM_THREADS"); /* else the user has chosen */
    setenv("TB_NUM_CPUS", "3", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
