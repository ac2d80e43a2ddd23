/* test_openmp.c - holds how many threads an OpenMP runtime takes that is loaded before the job begins: those of the
 * task's CPUs, in tasks and in the threads of an actor whose calls run at once; and that the process of tasks whose
 * runtime keeps its threads is used again. */
#include "run.h"

#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
static int threads(void) { return omp_get_max_threads(); }
#else
static int threads(void) { return 1; } /* this compiler has no OpenMP */
#endif

static int task_threads(tb_call *call) { return tb_return(call, threads()); }
TB_TASK(task_threads);

/* Its runtime keeps the threads, which do nothing until the next one needs them. Returns its process. */
static int computes_in_parallel(tb_call *call)
{
    int sum = 0;

#ifdef _OPENMP
#pragma omp parallel for num_threads(3) reduction(+ : sum)
#endif
    for (int i = 0; i < 300; i++)
        sum += i;
    return sum == 299 * 150 ? tb_return(call, (int)getpid()) : tb_fail(call, "the sum is %d", sum);
}
TB_TASK(computes_in_parallel, .num_cpus = 3);

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

static void the_threads_of_a_runtime_do_not_end_their_process(void **state)
{
    enum { TASKS = 16 };
    int pid[TASKS], again = 0;

    (void)state;
    for (int i = 0; i < TASKS; i++) {
        pid[i] = get(tb_remote(computes_in_parallel)); /* on any of a few nodes */
        for (int k = 0; k < i; k++)
            if (pid[k] == pid[i]) {
                again++;
                break;
            }
    }
    assert_true(again > 0);
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
                                       cmocka_unit_test(the_threads_of_a_runtime_do_not_end_their_process),
                                       cmocka_unit_test(so_do_calls_that_run_at_once)};

    unsetenv("OMP_NUM_THREADS"); /* else the user has chosen */
    setenv("TB_NUM_CPUS", "3", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
