/* test_limits.c - holds what fits into one message between processes: at the limit everything arrives, beyond it an
 * error gives the figure, and nothing is aborted. */
#include "run.h"

enum { REFS_MAX = 1 << 19, RECORD = (1 << 24) - 16, MiB = 1 << 20 };

static int count_args(tb_call *call) { return tb_return(call, (int)tb_num_args(call)); }
TB_TASK(count_args);

/* n small arguments behind as many bytes of resolved ones as make a RUN of `run` bytes, the kernel's share of it aside. */
static int call_with(int n, size_t run, int *got)
{
    static char bytes[MiB];
    size_t left = run - (size_t)n * (24 + 40) /* a row and a packed int */;
    tb_value *v = calloc((size_t)n + 20, sizeof *v);
    tb_ref r[20], x;
    int k = 0, rc;

    while (left > 0) {
        size_t each = left < 1000000 ? left : 1000000;

        left -= each;
        r[k] = tb_put_value_(tb_bytes(bytes, each > 100 ? each - 100 : 1));
        v[k] = tb_value_ref_(r[k]);
        k++;
    }
    for (int i = 0; i < n; i++)
        v[k + i] = tb_value_int_(i, TB_INT32);
    rc = tb_remote_v(count_args, NULL, &x, 1, v, (size_t)(k + n));
    assert_ok(rc);
    rc = tb_get(x, got);
    *got -= rc == 0 ? k : 0;
    assert_ok(tb_release(x));
    assert_ok(tb_release_all(r, (size_t)k));
    free(v);
    return rc;
}

/* A row of a RUN takes 24 bytes for an argument that takes 8 in its DISPATCH. */
static void arguments_that_fit_in_a_dispatch_and_not_in_a_run_are_refused_with_the_figure(void **state)
{
    int got = 0;

    (void)state;
    assert_ok(call_with(1600, RECORD - 200 * 1024, &got));
    assert_int_equal(got, 1600);
    for (size_t over = 0; over <= 160 * 1024; over += 20 * 1024) { /* in RUN alone, then in DISPATCH as well */
        int rc = call_with(1600, RECORD - 60 * 1024 + over, &got);

        assert_int_equal(rc, TB_ERR_ARGUMENT);
        assert_non_null(strstr(tb_last_error(), "16777200 are possible"));
    }
    assert_ok(call_with(10, 100000, &got)); /* the job goes on */
    assert_int_equal(got, 10);
}

static int many_refs(tb_call *call)
{
    int n = tb_arg_int(call, 0), m = tb_arg_int(call, 1);
    tb_ref r = tb_put(1), *a = malloc((size_t)(n > m ? n : m) * sizeof *a);
    int rc;

    for (int i = 0; i < n || i < m; i++)
        a[i] = r;
    rc = tb_return_at(call, 0, tb_array(a, (size_t)n));
    if (rc == 0)
        rc = tb_return_at(call, 0, tb_array(a, (size_t)n)); /* again: counted once */
    if (rc == 0)
        rc = tb_return_at(call, 1, tb_array(a, (size_t)m));
    free(a);
    return rc;
}
TB_TASK(many_refs, .max_retries = TB_NONE);

static void results_name_as_many_refs_as_the_end_of_a_task_has_room_for(void **state)
{
    static const struct {
        int n, m, fits;
    } cases[] = {{REFS_MAX, 0, 1}, {REFS_MAX - 1, 1, 1}, {REFS_MAX, 1, 0}, {REFS_MAX + 1, 0, 0},
                 {1100000, 0, 0}, {1, REFS_MAX, 0}};

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        tb_ref r[2];
        int rc;

        assert_ok(tb_remote_n(many_refs, r, 2, cases[i].n, cases[i].m));
        rc = tb_get(r[0], NULL);
        if (rc != (cases[i].fits ? 0 : TB_ERR_ARGUMENT) || (rc != 0 && strstr(tb_last_error(), "at most 524288") == NULL))
            fail_msg("%d and %d refs: %d, \"%s\"", cases[i].n, cases[i].m, rc, tb_last_error());
        assert_ok(tb_release_all(r, 2));
    }
}

static void an_object_names_as_many(void **state)
{
    tb_ref one = tb_put(1), *a = malloc((REFS_MAX + 1) * sizeof *a), r;

    (void)state;
    for (int i = 0; i <= REFS_MAX; i++)
        a[i] = one;
    r = tb_put_array(a, REFS_MAX);
    assert_ok(tb_get(r, NULL));
    assert_ok(tb_release(r));
    r = tb_put_array(a, REFS_MAX + 1);
    assert_fails(TB_ERR_ARGUMENT, "524289 refs or actors: at most 524288", tb_get(r, NULL));
    assert_ok(tb_release(r));
    assert_ok(tb_release(one));
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_that_fit_in_a_dispatch_and_not_in_a_run_are_refused_with_the_figure),
        cmocka_unit_test(results_name_as_many_refs_as_the_end_of_a_task_has_room_for),
        cmocka_unit_test(an_object_names_as_many),
    };

    setenv("TB_INLINE", "1M", 1);
    setenv("TB_STORE", "128M", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
