/* test_errors.c - holds that what goes wrong is reported where the result is looked for, by its code
 * and in words that name the thing, and that nothing else is harmed. */
#include "run.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static int returns(tb_call *call) { return tb_arg_int(call, 0); }
TB_TASK(returns);

static int fails_in_words(tb_call *call) { return tb_fail(call, "no %s today", "cheese"); }
TB_TASK(fails_in_words);

static int forgets(tb_call *call) { return call == NULL; }
TB_TASK(forgets);

static int returns_two(tb_call *call) { return tb_return(call, 1, 2); }
TB_TASK(returns_two);

static int crashes(tb_call *call)
{
    (void)call;
    raise(SIGSEGV);
    return 0;
}
TB_TASK(crashes);

static int leaves(tb_call *call)
{
    _exit(tb_arg_int(call, 0));
}
TB_TASK(leaves);

static int misreads_then_crashes(tb_call *call)
{
    int x = tb_arg_int(call, 0); /* a string */

    raise(SIGKILL);
    return tb_return(call, x);
}
TB_TASK(misreads_then_crashes);

static int asks_for_too_much(tb_call *call)
{
    return tb_return(call, tb_arg_int(call, 5));
}
TB_TASK(asks_for_too_much);

static int takes_two(tb_call *call) { return tb_return(call, tb_arg_int(call, 0) + tb_arg_int(call, 1)); }
TB_TASK(takes_two, .num_args = 2);

static int must_fail(tb_call *call)
{
    int x;

    tb_must(tb_arg(call, 9, &x));
    return tb_return(call, x);
}
TB_TASK(must_fail);

static int says_then_crashes(tb_call *call)
{
    for (int i = 0; i < tb_arg_int(call, 0); i++)
        fprintf(stderr, "line %d of what it says before it crashes\n", i);
    fprintf(stderr, "last words");
    raise(SIGKILL); /* with TB_DEBUG other signals have last words of the library's */
    return 0;
}
TB_TASK(says_then_crashes);

static int identity(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(identity);

static int nested_failure(tb_call *call)
{
    tb_ref inner = tb_remote(fails_in_words);
    int v, rc = tb_get(inner, &v);

    return rc != 0 ? rc : tb_return(call, v);
}
TB_TASK(nested_failure);

static int blocks_then_misreads_and_crashes(tb_call *call)
{
    tb_ref inner = tb_remote(identity, 1);
    int v;

    tb_must(tb_get(inner, &v)); /* what was given to this process ahead is taken back meanwhile */
    tb_arg_int(call, 0);        /* a string */
    raise(SIGKILL);
    return tb_return(call, v);
}
TB_TASK(blocks_then_misreads_and_crashes);

static int wild_write(tb_call *call)
{
    const int *view;
    size_t n;

    tb_must(tb_arg_array(call, 0, &view, &n));
    *(volatile int *)(uintptr_t)view = 1;
    return tb_return(call, 1);
}
TB_TASK(wild_write);

static int not_registered(tb_call *call) { return tb_return(call, 1); }

#define assert_task_fails(code, text, call)                                                        \
    do {                                                                                           \
        tb_ref ref_ = (call);                                                                      \
        assert_fails(code, text, tb_get(ref_, NULL));                                              \
        assert_ok(tb_release(ref_));                                                               \
    } while (0)

static void a_number_other_than_0_fails_the_task_with_it(void **state)
{
    tb_ref r = tb_remote(returns, 7);
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_TASK, "'returns' returned 7", tb_get(r, NULL));
    assert_ok(tb_error_detail(r, &e));
    assert_int_equal(e.code, TB_ERR_TASK);
    assert_int_equal(e.number, 7);
    assert_string_equal(e.function, "returns");
    assert_true(e.pid > 0 && e.pid != getpid() && e.rank >= 0 && e.host[0] != 0);
    assert_ok(tb_release(r));
    assert_task_fails(TB_ERR_TIMEOUT, "returns", tb_remote(returns, TB_ERR_TIMEOUT));
}

static void a_message_reaches_the_caller(void **state)
{
    (void)state;
    assert_task_fails(TB_ERR_TASK, "no cheese today", tb_remote(fails_in_words));
}

static void a_missing_or_a_wrong_number_of_results_fails_the_task(void **state)
{
    tb_ref r[3];

    (void)state;
    assert_task_fails(TB_ERR_TASK, "without setting result 0", tb_remote(forgets));
    assert_ok(tb_remote_n(returns_two, r, 3));
    for (int i = 0; i < 3; i++)
        assert_fails(TB_ERR_TASK, "returns 2 results, its caller asked for 3", tb_get(r[i], NULL));
    assert_ok(tb_release_all(r, 3));
}

static void a_crash_fails_the_task_alone(void **state)
{
    tb_ref r = tb_remote(crashes), good;
    tb_error e;
    int v;

    (void)state;
    assert_fails(TB_ERR_CRASHED, "signal 11", tb_get(r, NULL));
    assert_ok(tb_error_detail(r, &e));
    assert_int_equal(e.signal, SIGSEGV);
    assert_string_equal(e.function, "crashes");
    assert_ok(tb_release(r));
    assert_task_fails(TB_ERR_CRASHED, "exit status 3", tb_remote(leaves, 3));
    good = tb_remote(identity, 5);
    assert_ok(tb_get(good, &v));
    assert_int_equal(v, 5);
    assert_ok(tb_release(good));
}

static void a_crash_shows_the_end_of_its_stderr(void **state)
{
    char want[80];
    tb_ref r;
    tb_error e;

    (void)state;
    for (int lines = 0; lines <= 1000; lines += 500) {
        r = tb_remote(says_then_crashes, lines);
        assert_fails(TB_ERR_CRASHED, "the last it wrote to stderr: last words", tb_get(r, NULL));
        assert_ok(tb_error_detail(r, &e));
        assert_int_equal(e.signal, SIGKILL);
        snprintf(want, sizeof want, "line %d of what it says before it crashes\nlast words",
                 lines - 1);
        if (lines == 0)
            assert_string_equal(e.output, "last words");
        else
            assert_string_equal(e.output + strlen(e.output) - strlen(want), want);
        assert_true(lines == 0 || strncmp(e.output, "line ", 5) == 0); /* cut between lines */
        assert_ok(tb_release(r));
    }
    r = tb_remote(misreads_then_crashes, "five");
    assert_fails(TB_ERR_TYPE, "expected int32", tb_get(r, NULL));
    assert_ok(tb_error_detail(r, &e));
    assert_int_equal(e.signal, SIGKILL);
    assert_ok(tb_release(r));
}

static void a_wrong_read_sticks_whatever_the_task_does_next(void **state)
{
    (void)state;
    assert_task_fails(TB_ERR_TYPE, "'identity', argument 0: expected int32, given string",
                      tb_remote(identity, "five"));
    assert_task_fails(TB_ERR_TYPE, "argument 0: expected int32, given string",
                      tb_remote(misreads_then_crashes, "five"));
    for (int i = 0; i < 5; i++) {
        tb_ref r = tb_remote(blocks_then_misreads_and_crashes, "five"), behind[20];

        for (int k = 0; k < 20; k++)
            behind[k] = tb_remote(blocks_then_misreads_and_crashes, "five");
        assert_fails(TB_ERR_TYPE, "argument 0: expected int32, given string", tb_get(r, NULL));
        assert_ok(tb_release(r));
        for (int k = 0; k < 20; k++)
            assert_fails(TB_ERR_TYPE, "expected int32", tb_get(behind[k], NULL));
        assert_ok(tb_release_all(behind, 20));
    }
    assert_task_fails(TB_ERR_ARGUMENT, "has 0 arguments; number 5 was asked for",
                      tb_remote(asks_for_too_much));
    assert_task_fails(TB_ERR_ARGUMENT, "tb_arg(call, 9, &x)", tb_remote(must_fail));
}

static void a_failed_argument_fails_its_dependants_with_the_first_cause(void **state)
{
    tb_ref a = tb_remote(fails_in_words), b = tb_remote(identity, a), c = tb_remote(identity, b);
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_TASK, "no cheese", tb_get(c, NULL));
    assert_ok(tb_error_detail(c, &e));
    assert_string_equal(e.function, "fails_in_words");
    assert_ok(tb_release(a));
    assert_ok(tb_release(b));
    assert_ok(tb_release(c));
}

static void a_task_that_fails_because_of_another_names_the_cause(void **state)
{
    tb_ref r = tb_remote(nested_failure);
    tb_error e;

    (void)state;
    assert_fails(TB_ERR_TASK, "nested_failure", tb_get(r, NULL));
    assert_ok(tb_error_cause(r, 0, &e));
    assert_string_equal(e.function, "nested_failure");
    assert_ok(tb_error_cause(r, 1, &e));
    assert_string_equal(e.function, "fails_in_words");
    assert_string_equal(e.message, "no cheese today");
    assert_fails(TB_ERR_ARGUMENT, "no cause", tb_error_cause(r, 2, &e));
    assert_ok(tb_release(r));
}

static void a_write_into_the_store_ends_the_writer_alone(void **state)
{
    int x[2000] = {42};
    const int *view;
    size_t n;
    tb_ref a = tb_put_array(x, 2000);

    (void)state;
    assert_task_fails(TB_ERR_CRASHED, "signal 11", tb_remote(wild_write, a));
    assert_ok(tb_get_array(a, &view, &n));
    assert_int_equal(view[0], 42);
    assert_ok(tb_release(a));
}

static void an_unregistered_function_is_named(void **state)
{
    tb_ref r = tb_remote(not_registered);

    (void)state;
    assert_task_fails(TB_ERR_UNREGISTERED, "not_registered", tb_remote(identity, r));
    assert_task_fails(TB_ERR_UNREGISTERED, "TB_TASK(not_registered)", r);
}

static void refs_that_cannot_be_used_are_refused(void **state)
{
    tb_ref null = {0, 0}, a = tb_put(1), foreign = a, never = a, v;
    char text[64];

    (void)state;
    foreign.hi ^= UINT64_C(1) << 60;
    never.lo += UINT64_C(1) << 40;
    assert_fails(TB_ERR_REF, "null", tb_get(null, NULL));
    assert_fails(TB_ERR_REF, "another job", tb_get(foreign, NULL));
    assert_fails(TB_ERR_REF, "never made", tb_get(never, NULL));
    assert_task_fails(TB_ERR_REF, "null", tb_remote(identity, null));
    assert_task_fails(TB_ERR_REF, "another job", tb_remote(identity, foreign));
    assert_ok(tb_release(a));
    assert_fails(TB_ERR_REF, tb_ref_text(a, text, sizeof text), tb_release(a));
    assert_fails(TB_ERR_REF, "freed", tb_get(a, NULL));
    v = tb_remote(identity, a);
    assert_fails(TB_ERR_REF, "freed", tb_get(v, NULL));
    assert_ok(tb_release(v));
    v = tb_put(tb_nested(null));
    assert_int_equal(tb_get(v, NULL), TB_ERR_REF);
    assert_ok(tb_release(v));
}

static void values_that_cannot_travel_are_refused(void **state)
{
    tb_options o = {.num_gpus = 1000};

    (void)state;
    assert_task_fails(TB_ERR_ARGUMENT, "argument 0: a string is NULL",
                      tb_remote(identity, (const char *)NULL));
    assert_task_fails(TB_ERR_ARGUMENT, "at NULL", tb_put_array((int *)NULL, 3));
    assert_task_fails(TB_ERR_INFEASIBLE, "1000 GPUs", tb_remote_with(identity, &o, 1));
    assert_task_fails(TB_ERR_ARGUMENT, "num_cpus = -2",
                      tb_remote_with(identity, TB_OPTIONS(.num_cpus = -2), 1));
    assert_fails(TB_ERR_ARGUMENT, "NULL", tb_remote_n(identity, NULL, 2, 1));
}

static void a_value_is_read_as_a_type_that_holds_it_or_not_at_all(void **state)
{
    tb_ref big = tb_put(1L << 40), d = tb_put(0.5), s = tb_put("text");
    const int *view = (const int *)&big;
    double x;
    size_t n;
    int i = 9;

    (void)state;
    assert_fails(TB_ERR_TYPE, "cannot hold", tb_get(big, &i));
    assert_int_equal(i, 0);
    assert_ok(tb_get(big, &x));
    assert_true(x == 1099511627776.0);
    assert_fails(TB_ERR_TYPE, "expected int32, given double", tb_get(d, &i));
    assert_fails(TB_ERR_TYPE, "array of int32", tb_get_array(s, &view, &n));
    assert_null(view);
    assert_ok(tb_release(big));
    assert_ok(tb_release(d));
    assert_ok(tb_release(s));
}

static void an_object_larger_than_the_store_is_refused(void **state)
{
    double *room = (double *)&room;
    tb_ref r = tb_create_array(&room, (size_t)1 << 40);

    (void)state;
    assert_null(room);
    assert_fails(TB_ERR_STORE_FULL, "no room for an object", tb_get(r, NULL));
    assert_ok(tb_release(r));
}

static int fails_at_the_bottom(tb_call *call)
{
    int depth = tb_arg_int(call, 0), v, rc;
    tb_ref r;

    if (depth == 0)
        return tb_fail(call, "the well is dry");
    r = tb_remote(fails_at_the_bottom, depth - 1);
    rc = tb_get(r, &v);
    tb_must(tb_release(r));
    return rc;
}
TB_TASK(fails_at_the_bottom);

static void the_root_cause_is_the_last_link_of_any_chain(void **state)
{
    static const int depth[] = {0, 1, 6, 7, 8, 60};

    (void)state;
    for (size_t i = 0; i < sizeof depth / sizeof depth[0]; i++) {
        tb_ref r = tb_remote(fails_at_the_bottom, depth[i]);
        tb_error e;
        int k = 0;

        assert_int_equal(tb_get(r, NULL), TB_ERR_TASK);
        while (tb_error_cause(r, k, &e) == 0)
            k++;
        assert_int_equal(k, depth[i] < 7 ? depth[i] + 1 : 8);
        assert_ok(tb_error_cause(r, k - 1, &e));
        assert_string_equal(e.message, "the well is dry");
        assert_ok(tb_release(r));
    }
}

static void starting_twice_is_an_error(void **state)
{
    (void)state;
    assert_fails(TB_ERR_STATE, "twice", tb_init(NULL, NULL, NULL));
}

static void another_number_of_arguments_than_the_task_takes_is_refused(void **state)
{
    static const int none_given = 0;
    tb_ref r[4] = {tb_remote(takes_two, 1, 2), tb_remote(takes_two, 1, 2, 3), tb_remote(takes_two, 1),
                   tb_remote_with(returns, TB_OPTIONS(.num_args = TB_NONE), none_given)};
    int sum;

    (void)state;
    assert_ok(tb_get(r[0], &sum));
    assert_int_equal(sum, 3);
    assert_fails(TB_ERR_ARGUMENT, "'takes_two' is called with 3 arguments, and takes 2 (num_args)", tb_get(r[1], NULL));
    assert_fails(TB_ERR_ARGUMENT, "'takes_two' is called with 1 argument, and takes 2 (num_args)", tb_get(r[2], NULL));
    assert_fails(TB_ERR_ARGUMENT, "'returns' is called with 1 argument, and takes 0 (num_args)", tb_get(r[3], NULL));
    assert_ok(tb_release_all(r, 4));
    r[0] = tb_remote_with(returns, TB_OPTIONS(.num_args = -2), 1);
    assert_fails(TB_ERR_ARGUMENT, "num_args = -2", tb_get(r[0], NULL));
    assert_ok(tb_release(r[0]));
}

/* Each gets the one before it, and is nothing but its failure. */
static int passes_on(tb_call *call)
{
    return tb_get(tb_arg_ref(call, 0), NULL);
}
TB_TASK(passes_on);

static int must_pass_on(tb_call *call)
{
    tb_must(tb_get(tb_arg_ref(call, 0), NULL));
    return 0;
}
TB_TASK(must_pass_on);

/* ... has words of its own, and keeps the code. */
static int words_it(tb_call *call)
{
    int rc = tb_get(tb_arg_ref(call, 0), NULL);

    return rc == TB_ERR_TASK ? tb_fail(call, "no lunch either") : rc;
}
TB_TASK(words_it);

static size_t count_words(const char *text, const char *words)
{
    size_t n = 0;

    while ((text = strstr(text, words)) != NULL) {
        text += strlen(words);
        n++;
    }
    return n;
}

/* The failure of a chain of n tasks that pass it on. */
static tb_ref fail_through(int n, bool must)
{
    tb_ref r = tb_remote(fails_in_words, 0);

    for (int i = 0; i < n; i++) {
        tb_ref next = must ? tb_remote(must_pass_on, tb_nested(r)) : tb_remote(passes_on, tb_nested(r));

        tb_wait(&next, 1, 1, -1, &(size_t){0});
        assert_ok(tb_release(r));
        r = next;
    }
    return r;
}

static void a_text_tells_the_last_link_and_the_root_cause_however_long_the_chain(void **state)
{
    static const int depth[] = {1, 2, 10, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof depth / sizeof depth[0]; i++) {
        tb_ref r = fail_through(depth[i], false);

        assert_int_equal(tb_get(r, NULL), TB_ERR_TASK);
        assert_string_equal(tb_last_error(), "'passes_on' failed: 'fails_in_words' failed: no cheese today");
        assert_ok(tb_release(r));
    }
}

static void so_does_one_that_tb_must_ended(void **state)
{
    static const int depth[] = {1, 2, 30};

    (void)state;
    for (size_t i = 0; i < sizeof depth / sizeof depth[0]; i++) {
        tb_ref r = fail_through(depth[i], true);

        assert_fails(TB_ERR_TASK, "'fails_in_words' failed: no cheese today", tb_get(r, NULL));
        assert_int_equal(count_words(tb_last_error(), "must_pass_on"), 1);
        assert_int_equal(count_words(tb_last_error(), "tb_get(tb_arg_ref(call, 0), NULL)"), 1);
        assert_ok(tb_release(r));
    }
}

static void words_on_the_way_do_not_hide_the_root_cause(void **state)
{
    tb_ref r[3] = {tb_remote(fails_in_words, 0)};

    (void)state;
    r[1] = tb_remote(words_it, tb_nested(r[0]));
    r[2] = tb_remote(passes_on, tb_nested(r[1]));
    assert_int_equal(tb_get(r[1], NULL), TB_ERR_TASK);
    assert_string_equal(tb_last_error(), "'words_it' failed: no lunch either; the root cause: 'fails_in_words' failed: "
                                         "no cheese today");
    assert_int_equal(tb_get(r[2], NULL), TB_ERR_TASK);
    assert_string_equal(tb_last_error(), "'passes_on' failed: 'words_it' failed: no lunch either; the root cause: "
                                         "'fails_in_words' failed: no cheese today");
    assert_ok(tb_release_all(r, 3));
}

/* Both codes, and how often a text names the task as the reason. */
static int begins_and_ends(tb_call *call)
{
    int begins = tb_init(NULL, NULL, NULL), said = strstr(tb_last_error(), "tb_init in a task") != NULL;
    int ends = tb_finalize();

    said += strstr(tb_last_error(), "tb_finalize in a task") != NULL;
    return tb_return(call, begins, ends, said);
}
TB_TASK(begins_and_ends);

static void a_task_neither_begins_nor_ends_a_job(void **state)
{
    tb_ref r[3];
    int v[3];

    (void)state;
    for (int i = 0; i < 2; i++) { /* the process goes on as it was */
        assert_ok(tb_remote_n(begins_and_ends, r, 3));
        assert_ok(tb_get_all(r, 3, v));
        assert_int_equal(v[0], TB_ERR_STATE);
        assert_int_equal(v[1], TB_ERR_STATE);
        assert_int_equal(v[2], 2);
        assert_ok(tb_release_all(r, 3));
    }
}

static void *finalizes(void *said)
{
    *(bool *)said = tb_finalize() == TB_ERR_STATE && strstr(tb_last_error(), "from another thread") != NULL;
    return NULL;
}

static void another_thread_does_not_end_the_job(void **state)
{
    tb_ref r = tb_put(1);
    pthread_t thread;
    bool said = false;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, finalizes, &said), 0);
    pthread_join(thread, NULL);
    assert_true(said);
    assert_ok(tb_get(r, NULL));
    assert_ok(tb_release(r));
}

RUN(cmocka_unit_test(a_text_tells_the_last_link_and_the_root_cause_however_long_the_chain),
    cmocka_unit_test(so_does_one_that_tb_must_ended),
    cmocka_unit_test(words_on_the_way_do_not_hide_the_root_cause),
    cmocka_unit_test(a_task_neither_begins_nor_ends_a_job),
    cmocka_unit_test(another_thread_does_not_end_the_job),
    cmocka_unit_test(another_number_of_arguments_than_the_task_takes_is_refused),
    cmocka_unit_test(a_number_other_than_0_fails_the_task_with_it),
    cmocka_unit_test(a_message_reaches_the_caller),
    cmocka_unit_test(a_missing_or_a_wrong_number_of_results_fails_the_task),
    cmocka_unit_test(a_crash_fails_the_task_alone),
    cmocka_unit_test(a_crash_shows_the_end_of_its_stderr),
    cmocka_unit_test(a_wrong_read_sticks_whatever_the_task_does_next),
    cmocka_unit_test(a_failed_argument_fails_its_dependants_with_the_first_cause),
    cmocka_unit_test(a_task_that_fails_because_of_another_names_the_cause),
    cmocka_unit_test(a_write_into_the_store_ends_the_writer_alone),
    cmocka_unit_test(an_unregistered_function_is_named),
    cmocka_unit_test(refs_that_cannot_be_used_are_refused),
    cmocka_unit_test(values_that_cannot_travel_are_refused),
    cmocka_unit_test(a_value_is_read_as_a_type_that_holds_it_or_not_at_all),
    cmocka_unit_test(an_object_larger_than_the_store_is_refused),
    cmocka_unit_test(the_root_cause_is_the_last_link_of_any_chain),
    cmocka_unit_test(starting_twice_is_an_error))
