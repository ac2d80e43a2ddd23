/* test_flood.c - holds tasks that submit faster than the job works: others have their turn, the memory of rank 0 stays
 * bounded, and who has to wait before it submits more does not wait for ever. */
#include "marks.h"
#include "run.h"

#include <sys/resource.h>
#include <thornback_tools.h>

enum { FLOODS = 2, WAIT = 120 /* seconds; nothing here takes nearly as long */ };

#ifdef __SANITIZE_ADDRESS__
enum { MORE_MB = 1000 }; /* what was freed is kept for a while */
#else
enum { MORE_MB = 64 };
#endif

static int number(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(number);

/* Until there is a mark in the file. */
static int floods(tb_call *call)
{
    const char *stop = tb_arg_string(call, 0);
    int n = 0;

    for (; n % 64 != 0 || marks_count(stop) == 0; n++)
        tb_must(tb_release(tb_remote(number, n)));
    return tb_return(call, n);
}
TB_TASK(floods, .num_cpus = 0.05);

static void tasks_that_submit_without_end_leave_others_their_turn(void **state)
{
    struct marks stop = marks_new();
    tb_ref flood[FLOODS];
    int n;

    (void)state;
    for (int i = 0; i < FLOODS; i++)
        flood[i] = tb_remote(floods, stop.path);
    for (int i = 0; i < 20; i++) {
        tb_ref r = tb_remote(number, i);

        assert_ok(tb_get_timeout(r, &n, WAIT));
        assert_int_equal(n, i);
        assert_ok(tb_release(r));
    }
    mark(stop.path);
    for (int i = 0; i < FLOODS; i++) {
        assert_ok(tb_get_timeout(flood[i], &n, WAIT));
        assert_true(n > 0);
        assert_ok(tb_release(flood[i]));
    }
    marks_end(&stop);
}

static int submits(tb_call *call)
{
    int n = tb_arg_int(call, 0);

    for (int i = 0; i < n; i++)
        tb_must(tb_release(tb_remote(number, i)));
    return tb_return(call, n);
}
TB_TASK(submits, .num_cpus = 0.05);

static long peak_mb(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss / 1024;
}

/* 32 submitters, the head's share of each is small; their tasks would take 150 MB. */
static void what_they_submit_does_not_fill_the_memory(void **state)
{
    enum { SUBMITTERS = 32, EACH = 10000 };
    tb_ref r[SUBMITTERS];
    long before = peak_mb();
    int n;

    (void)state;
    for (int i = 0; i < SUBMITTERS; i++)
        r[i] = tb_remote(submits, EACH);
    for (int i = 0; i < SUBMITTERS; i++) {
        assert_ok(tb_get_timeout(r[i], &n, WAIT));
        assert_int_equal(n, EACH);
        assert_ok(tb_release(r[i]));
    }
    print_message("%ld MB more\n", peak_mb() - before);
    assert_true(peak_mb() - before < MORE_MB);
}

/* All of them, and then waits. */
static int sums(tb_call *call)
{
    int n = tb_arg_int(call, 0), v, sum = 0;
    tb_ref *r = malloc((size_t)n * sizeof *r);

    for (int i = 0; i < n; i++)
        r[i] = tb_remote(number, i);
    for (int i = 0; i < n; i++) {
        tb_must(tb_get(r[i], &v));
        sum += v;
    }
    free(r);
    return tb_return(call, sum);
}
TB_TASK(sums);

static void a_task_gets_the_results_of_more_tasks_than_it_may_submit_ahead(void **state)
{
    tb_ref r[4];
    int sum;

    (void)state;
    for (int i = 0; i < 4; i++)
        r[i] = tb_remote(sums, 4000);
    for (int i = 0; i < 4; i++) {
        assert_ok(tb_get_timeout(r[i], &sum, WAIT));
        assert_int_equal(sum, 4000 * 3999 / 2);
        assert_ok(tb_release(r[i]));
    }
}

static int takes(tb_call *call)
{
    int v;

    tb_must(tb_queue_get(tb_arg_actor(call, 0), &v));
    return tb_return(call, v);
}
TB_TASK(takes);

static int adds(tb_call *call)
{
    return tb_return(call, tb_arg_int(call, 0) + tb_arg_int(call, 1));
}
TB_TASK(adds);

/* None of the tasks can begin before the last thing that their submitter does. */
static int gives_at_last(tb_call *call)
{
    enum { N = 3000 };
    tb_queue q = tb_queue_new(0);
    tb_ref first = tb_remote(takes, q), r[N];
    int v, sum = 0;

    for (int i = 0; i < N; i++)
        r[i] = tb_remote(adds, first, i);
    tb_must(tb_queue_put(q, 1));
    for (int i = 0; i < N; i++) {
        tb_must(tb_get(r[i], &v));
        sum += v;
    }
    return tb_return(call, sum - N * (N - 1) / 2);
}
TB_TASK(gives_at_last);

static void tasks_that_wait_for_what_their_submitter_does_last_begin(void **state)
{
    tb_ref r = tb_remote(gives_at_last);
    int n;

    (void)state;
    assert_ok(tb_get_timeout(r, &n, WAIT));
    assert_int_equal(n, 3000);
    assert_ok(tb_release(r));
}

struct source { int unused; };

static int source_sums(tb_call *call, struct source *self)
{
    (void)self;
    return sums(call);
}
TB_ACTOR(source, struct source);
TB_METHOD(source, source_sums);

/* Its calls keep the CPUs that it has, so nothing tells the head that one waits. */
static void an_actor_may_submit_more_than_that_too(void **state)
{
    tb_actor a = tb_actor_new(source);
    tb_ref r = tb_actor_call(a, source_sums, 5000);
    int sum;

    (void)state;
    assert_ok(tb_get_timeout(r, &sum, WAIT));
    assert_int_equal(sum, 5000 * 4999 / 2);
    assert_ok(tb_release(r));
    assert_ok(tb_actor_release(a));
}

RUN(cmocka_unit_test(what_they_submit_does_not_fill_the_memory),
    cmocka_unit_test(tasks_that_submit_without_end_leave_others_their_turn),
    cmocka_unit_test(a_task_gets_the_results_of_more_tasks_than_it_may_submit_ahead),
    cmocka_unit_test(tasks_that_wait_for_what_their_submitter_does_last_begin),
    cmocka_unit_test(an_actor_may_submit_more_than_that_too))
