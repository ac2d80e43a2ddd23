/* test_held.c - holds what a process keeps of refs, and for how long: a ref that it has let go of never reads, what
 * is no ref gives no other code, a get with timeout 0 takes what is ready, views that were got through an array of
 * refs end with the array, scopes own exactly the counts that were made in them and no memory of those that have
 * gone, and an actor is told how to keep a ref. */
#include "gate.h"
#include "run.h"

#include <malloc.h>
#include <math.h>

enum { ROUNDS = 200, BYTES = 1 << 20 /* of an object: 64 fill the store */ };

static int makes_a_large_one(tb_call *call)
{
    char *to;
    int rc = tb_return_array(call, 0, &to, BYTES);

    if (rc == 0)
        memset(to, 7, BYTES);
    return rc;
}
TB_TASK(makes_a_large_one);

/* ---- released ---- */

static void a_ref_that_was_released_never_reads(void **state)
{
    const char *view;
    size_t ready;

    (void)state;
    for (int i = 0; i < 5; i++) {
        tb_ref r = tb_remote(makes_a_large_one);

        assert_ok(tb_get(r, NULL));
        assert_ok(tb_release(r));
        assert_fails(TB_ERR_REF, "freed by tb_release", tb_get_array(r, &view, NULL));
        assert_fails(TB_ERR_REF, "freed by tb_release", tb_wait(&r, 1, 1, 0, &ready));
        assert_fails(TB_ERR_REF, "freed by tb_release", tb_retain(r));
    }
}

static void every_call_says_that_its_ref_was_freed(void **state)
{
    tb_ref r = tb_remote(makes_a_large_one);
    tb_error e;
    char text[8];
    int v;

    (void)state;
    assert_ok(tb_retain(r));
    assert_ok(tb_release_all((tb_ref[]){r, r}, 2));
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_cancel(r, TB_CANCEL_DEFAULT));
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_get(r, &v));
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_get_string(r, text, sizeof text));
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_seal(r));
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_scope_keep(r));
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_error_detail(r, &e));
    assert_fails(TB_ERR_REF, "released before", tb_scope_give(r));
    assert_fails(TB_ERR_REF, "released before", tb_release(r));
    assert_fails(TB_ERR_REF, "no view", tb_unpin(r));
}

static int makes_none(tb_call *call, int *self)
{
    (void)call, (void)self;
    return 0;
}
TB_ACTOR(none, int, .init = makes_none);

static void every_call_says_that_its_actor_was_released(void **state)
{
    tb_actor a = tb_actor_new(none);

    (void)state;
    assert_ok(tb_actor_release(a));
    assert_fails(TB_ERR_REF, "it was released", tb_kill(a, TB_KILL_DEFAULT));
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_actor_retain(a));
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_scope_keep_actor(a));
    assert_fails(TB_ERR_REF, "released before", tb_scope_give_actor(a));
    assert_fails(TB_ERR_REF, "released before", tb_actor_release(a));
}

static void a_released_ref_is_no_argument(void **state)
{
    tb_ref r = tb_put(1), failed;

    (void)state;
    assert_ok(tb_release(r));
    failed = tb_put_array(&r, 1);
    assert_fails(TB_ERR_REF, "freed by tb_release", tb_get(failed, NULL));
    assert_ok(tb_release(failed));
}

static void what_is_no_ref_gives_the_code_for_that(void **state)
{
    static const int bytes[] = {0xff, 0x55, 0x11, 0x12, 0x01};
    tb_ref known = tb_put(1);
    char text[64];
    int job = atoi(tb_ref_text(known, text, sizeof text));

    (void)state;
    assert_ok(tb_release(known));
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        tb_ref r, w, result;
        tb_actor a;
        size_t ready;

        memset(&r, bytes[i] == job ? bytes[i] ^ 2 : bytes[i], sizeof r); /* of another job */
        memset(&a, bytes[i] == job ? bytes[i] ^ 2 : bytes[i], sizeof a);
        w = r;
        assert_int_equal(tb_get_timeout(r, NULL, 1), TB_ERR_REF);
        assert_int_equal(tb_wait(&w, 1, 1, 1, &ready), TB_ERR_REF);
        assert_int_equal(tb_release(r), TB_ERR_REF);
        assert_int_equal(tb_cancel(r, TB_CANCEL_DEFAULT), TB_ERR_REF);
        assert_int_equal(tb_kill(a, TB_KILL_NO_RESTART), TB_ERR_REF);
        assert_int_equal(tb_actor_release(a), TB_ERR_REF);
        result = tb_put_array(&r, 1);
        assert_int_equal(tb_get(result, NULL), TB_ERR_REF);
        assert_ok(tb_release(result));
    }
}

/* ---- timeouts ---- */

static void polls(tb_ref r)
{
    const char *view;
    size_t ready, n;
    tb_ref w = r;

    assert_ok(tb_wait(&w, 1, 1, -1, &ready));
    assert_ok(tb_get_array_timeout(r, &view, &n, 0));
    assert_int_equal(n, BYTES);
    assert_int_equal(view[n - 1], 7);
    assert_ok(tb_release(r));
}

static void a_get_with_timeout_0_takes_what_is_ready(void **state)
{
    static char bytes[BYTES];
    tb_ref small = tb_put(5);
    int v;

    (void)state;
    assert_ok(tb_get_timeout(small, &v, 0));
    assert_int_equal(v, 5);
    assert_ok(tb_release(small));
    memset(bytes, 7, sizeof bytes);
    polls(tb_put_array(bytes, BYTES));
    polls(tb_remote(makes_a_large_one));
}

static int waits_for_the_gate(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 8);
}
TB_TASK(waits_for_the_gate);

static void a_get_with_timeout_0_does_not_wait_for_the_rest(void **state)
{
    struct gate gate = gate_new();
    tb_ref r[2] = {tb_put(1), tb_remote(waits_for_the_gate, gate.path)};
    int v[2];

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(tb_get_all_timeout(r, 2, v, 0), TB_ERR_TIMEOUT);
    gate_open(&gate);
    assert_ok(tb_get_all(r, 2, v));
    assert_int_equal(v[1], 8);
    assert_ok(tb_get_all_timeout(r, 2, v, 0));
    assert_ok(tb_release_all(r, 2));
}

static void a_timeout_that_is_not_a_number_is_refused(void **state)
{
    tb_ref r = tb_put(1), w = r;
    char text[8];
    size_t ready;
    int v;

    (void)state;
    assert_fails(TB_ERR_ARGUMENT, "NaN", tb_get_timeout(r, &v, NAN));
    assert_fails(TB_ERR_ARGUMENT, "NaN", tb_get_string_timeout(r, text, sizeof text, NAN));
    assert_fails(TB_ERR_ARGUMENT, "NaN", tb_wait(&w, 1, 1, NAN, &ready));
    assert_fails(TB_ERR_ARGUMENT, "NaN", tb_group_wait_timeout((tb_group){1, 1}, NAN));
    assert_ok(tb_release(r));
}

/* ---- views through an array of refs ---- */

static int returns_a_box(tb_call *call)
{
    char *to;
    tb_ref r = tb_create_array(&to, BYTES);

    if (to == NULL)
        return TB_ERR_STORE_FULL;
    memset(to, 7, BYTES);
    tb_must(tb_seal(r));
    return tb_return(call, tb_array(&r, 1));
}
TB_TASK(returns_a_box);

static int looks_into_a_box(void)
{
    tb_ref box = tb_remote(returns_a_box);
    const tb_ref *refs;
    const char *view;
    size_t n;
    int rc = tb_get_array(box, &refs, &n);

    if (rc == 0)
        rc = tb_get_array(refs[0], &view, &n);
    if (rc == 0 && (n != BYTES || view[0] != 7 || view[BYTES - 1] != 7))
        rc = TB_ERR_TASK;
    tb_must(tb_release(box));
    return rc;
}

static int looks_in_a_task(tb_call *call)
{
    int rc = looks_into_a_box();

    return rc != 0 ? rc : tb_return(call, 1);
}
TB_TASK(looks_in_a_task);

static void views_through_an_array_of_refs_end_with_it(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        assert_ok(looks_into_a_box());
}

static void and_so_they_do_in_a_task(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        tb_ref r = tb_remote(looks_in_a_task);
        int v;

        assert_ok(tb_get(r, &v));
        assert_ok(tb_release(r));
    }
}

static void a_ref_in_two_arrays_lives_as_long_as_the_last(void **state)
{
    char *to;
    const char *view, *again;
    const tb_ref *in_one, *in_two;
    tb_ref r = tb_create_array(&to, BYTES), one, two;

    (void)state;
    memset(to, 9, BYTES);
    assert_ok(tb_seal(r));
    one = tb_put_array(&r, 1);
    two = tb_put_array(&r, 1);
    assert_ok(tb_release(r));
    assert_ok(tb_get_array(one, &in_one, NULL));
    assert_ok(tb_get_array(in_one[0], &view, NULL));
    assert_ok(tb_get_array(two, &in_two, NULL));
    assert_ok(tb_unpin(two)); /* the view of the array goes, its refs stay */
    assert_ok(tb_get_array(r, &again, NULL));
    assert_ok(tb_release(one));
    assert_int_equal(view[BYTES - 1] + again[0], 18);
    assert_ok(tb_get_array(r, &again, NULL));
    assert_ok(tb_release(two));
    assert_fails(TB_ERR_REF, "freed", tb_get_array(r, &again, NULL));
}

static void arrays_in_arrays_end_from_outside_in(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const tb_ref *outer, *inner;
        const char *view;
        tb_ref box = tb_remote(returns_a_box), boxes = tb_put_array(&box, 1);

        assert_ok(tb_release(box));
        assert_ok(tb_get_array(boxes, &outer, NULL));
        assert_ok(tb_get_array(outer[0], &inner, NULL));
        assert_ok(tb_get_array(inner[0], &view, NULL));
        assert_int_equal(view[0], 7);
        assert_ok(tb_release(boxes));
    }
}

/* ---- scopes ---- */

static void what_was_retained_after_its_release_is_not_the_scopes(void **state)
{
    tb_ref r = tb_put(5), holder = tb_put_array(&r, 1);
    int v;

    (void)state;
    assert_ok(tb_release(r));
    TB_SCOPE {
        const tb_ref *refs;

        assert_ok(tb_get_array(holder, &refs, NULL));
        assert_ok(tb_retain(r));
        assert_ok(tb_scope_give(r)); /* the scope's */
        assert_fails(TB_ERR_REF, "belongs to a scope", tb_scope_give(r));
        assert_ok(tb_release(r));    /* nobody's */
        assert_ok(tb_retain(r));     /* the program's, beyond the scope */
    }
    assert_ok(tb_release(holder));
    assert_ok(tb_get(r, &v));
    assert_int_equal(v, 5);
    assert_ok(tb_release(r));
    assert_fails(TB_ERR_REF, "freed", tb_get(r, &v));
}

static void a_scope_takes_back_each_count_that_was_made_in_it(void **state)
{
    tb_ref inner = tb_put(3), box = tb_put(tb_nested(inner)), r;
    int v;

    (void)state;
    TB_SCOPE
        for (int i = 0; i < 100; i++)
            assert_ok(tb_get(box, &r));
    assert_ok(tb_get(inner, &v)); /* the one that was made outside is left */
    assert_ok(tb_release(inner));
    assert_fails(TB_ERR_REF, "", tb_release(inner));
    assert_ok(tb_release(box));
}

/* Bytes that malloc has given out and not got back; 0 under a sanitizer's malloc. */
static long long in_use(void)
{
    return (long long)mallinfo2().uordblks;
}

static int makes_and_releases(tb_call *call)
{
    long long before, after;

    for (int round = 0; round < 2; round++) {
        before = in_use();
        for (int i = 0; i < 100000; i++)
            tb_must(tb_release(tb_put(i)));
        after = in_use();
    }
    return tb_return(call, (int64_t)(after - before));
}
TB_TASK(makes_and_releases);

static void a_long_task_keeps_nothing_of_what_it_released(void **state)
{
    tb_ref r = tb_remote(makes_and_releases);
    int64_t grown;

    (void)state;
    assert_ok(tb_get(r, &grown));
    assert_true(grown < 200000); /* 1,600,000 would be 16 bytes each */
    assert_ok(tb_release(r));
}

/* ---- what an actor keeps ---- */

struct keeper { tb_ref made, got; tb_actor self; };

static int keeper_init(tb_call *call, struct keeper *self)
{
    self->made = tb_put(5);
    self->got = tb_arg_ref(call, 0);
    self->self = tb_arg_actor(call, 1);
    return 0;
}

static int keeper_read(tb_call *call, struct keeper *self)
{
    int v, rc = tb_get(tb_arg_int(call, 0) ? self->made : self->got, &v);

    return rc != 0 ? rc : tb_return(call, v);
}

static int keeper_look(tb_call *call, struct keeper *self);
TB_ACTOR(keeper, struct keeper, .init = keeper_init);
TB_METHOD(keeper, keeper_read);
TB_METHOD(keeper, keeper_look);

static int keeper_look(tb_call *call, struct keeper *self)
{
    tb_ref r = tb_actor_call(self->self, keeper_look);
    int v, rc = tb_get(r, &v);

    return rc != 0 ? rc : tb_return(call, v);
}

static int keeper_other_init(tb_call *call, int *self) { *self = (int)tb_num_args(call); return 0; }
TB_ACTOR(other, int, .init = keeper_other_init);

static void an_actor_is_told_how_to_keep_a_ref(void **state)
{
    tb_ref given = tb_put(4), r;
    tb_actor other_one = tb_actor_new(other);
    tb_actor a = tb_actor_new(keeper, tb_nested(given), other_one);
    int v;

    (void)state;
    assert_ok(tb_release(given));
    r = tb_actor_call(a, keeper_read, 1);
    assert_fails(TB_ERR_REF, "tb_scope_keep", tb_get(r, &v));
    assert_ok(tb_release(r));
    r = tb_actor_call(a, keeper_look);
    assert_fails(TB_ERR_REF, "tb_scope_keep_actor", tb_get(r, &v));
    assert_ok(tb_release(r));
    assert_ok(tb_actor_release(a));
    assert_ok(tb_actor_release(other_one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ref_that_was_released_never_reads),
    cmocka_unit_test(every_call_says_that_its_ref_was_freed),
    cmocka_unit_test(every_call_says_that_its_actor_was_released),
        cmocka_unit_test(a_released_ref_is_no_argument),
        cmocka_unit_test(what_is_no_ref_gives_the_code_for_that),
        cmocka_unit_test(a_get_with_timeout_0_takes_what_is_ready),
        cmocka_unit_test(a_get_with_timeout_0_does_not_wait_for_the_rest),
        cmocka_unit_test(a_timeout_that_is_not_a_number_is_refused),
        cmocka_unit_test(views_through_an_array_of_refs_end_with_it),
        cmocka_unit_test(and_so_they_do_in_a_task),
        cmocka_unit_test(a_ref_in_two_arrays_lives_as_long_as_the_last),
        cmocka_unit_test(arrays_in_arrays_end_from_outside_in),
        cmocka_unit_test(what_was_retained_after_its_release_is_not_the_scopes),
        cmocka_unit_test(a_scope_takes_back_each_count_that_was_made_in_it),
        cmocka_unit_test(a_long_task_keeps_nothing_of_what_it_released),
        cmocka_unit_test(an_actor_is_told_how_to_keep_a_ref),
    };

    setenv("TB_STORE", "64M", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
