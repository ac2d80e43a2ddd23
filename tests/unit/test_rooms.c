/* test_rooms.c - holds how room in a rank's store is shared: who may pass whom, that who ends or gives up waits no
 * longer, and that copies nobody uses give way. The store has ten pages. */
#include "agent_calls.h"

enum { PAGE = 4096 };

/* What process p has made. */
static struct tbi_id made(unsigned p, int k)
{
    return tbi_id_make(1, 1, p, (uint64_t)k, 0);
}

/* Process 1 runs task 1; with `two`, process 2 task 2. */
static void begin(struct fake *f, bool two)
{
    dispatch(f, 1, 1, 0, -1);
    if (two)
        dispatch(f, 2, 1, 0, -1);
    forget(f);
}

/* ---- who may pass ---- */

static void what_fits_passes_what_does_not(void **state)
{
    struct fake *f = *state;

    begin(f, true);
    assert_null(create(f, 1, made(1, 11), 6 * PAGE));
    assert_null(create(f, 1, made(1, 12), 9 * PAGE));
    assert_null(create(f, 2, made(2, 13), 1 * PAGE));
    assert_said(f, "CREATED 11 to p1\nCREATED 13 to p2\n");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 2, made(2, 13)));
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 11)));
    assert_said(f, "CREATED 12 to p1\n");
}

static void what_waits_behind_it_passes_it_too(void **state)
{
    struct fake *f = *state;

    begin(f, true);
    assert_null(create(f, 1, made(1, 11), 9 * PAGE));
    assert_null(create(f, 1, made(1, 12), 10 * PAGE));
    assert_null(create(f, 2, made(2, 13), 2 * PAGE));
    assert_null(create(f, 2, made(2, 14), 2 * PAGE));
    assert_said(f, "CREATED 11 to p1\n");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 11)));
    assert_said(f, "CREATED 12 to p1\n"); /* in order as far as it goes */
    assert_null(create(f, 1, made(1, 15), 9 * PAGE));
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 12)));
    assert_said(f, "CREATED 13 to p2\nCREATED 14 to p2\n"); /* then 15 does not fit */
}

static void it_is_passed_by_as_many_bytes_as_the_store_has_and_no_more(void **state)
{
    struct fake *f = *state;

    begin(f, true);
    assert_null(create(f, 1, made(1, 11), 5 * PAGE));
    assert_null(create(f, 1, made(1, 12), 9 * PAGE));
    forget(f);
    for (int k = 21; k <= 25; k++) { /* an endless stream of small ones */
        assert_null(create(f, 2, made(2, k), 2 * PAGE));
        assert_null(object_msg(f, TBI_MSG_ABANDON, 2, made(2, k)));
    }
    assert_said(f, "CREATED 21 to p2\nCREATED 22 to p2\nCREATED 23 to p2\nCREATED 24 to p2\nCREATED 25 to p2\n");
    assert_null(create(f, 2, made(2, 26), 2 * PAGE));
    assert_said(f, "");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 11)));
    assert_said(f, "CREATED 12 to p1\n");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 12)));
    assert_said(f, "CREATED 26 to p2\n");
}

/* ---- who waits no longer ---- */

static void a_create_that_is_given_up_is_answered_once_and_holds_up_nobody(void **state)
{
    struct fake *f = *state;

    begin(f, true);
    assert_null(create(f, 1, made(1, 11), 9 * PAGE));
    assert_null(create(f, 1, made(1, 12), 9 * PAGE));
    assert_null(create(f, 2, made(2, 13), 9 * PAGE));
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 12)));
    assert_said(f, "CREATED 11 to p1\nCREATED 12 to p1 error=-8\n");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 12))); /* the answer is on its way */
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 11)));
    assert_said(f, "CREATED 13 to p2\n");
    assert_null(create(f, 1, made(1, 12), PAGE));
    assert_said(f, "CREATED 12 to p1\n");
}

static void results_that_a_task_waits_for_are_given_up_with_it(void **state)
{
    struct fake *f = *state; /* in another thread, say */

    begin(f, true);
    assert_null(create(f, 2, made(2, 11), 9 * PAGE));
    assert_null(create(f, 1, id(1), 9 * PAGE));
    assert_null(failed(f, 1, 1));
    assert_said(f, "CREATED 11 to p2\nCREATED 1 to p1 error=-8\nFINISHED 1 to 0 error=-1\n");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 2, made(2, 11)));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

static void so_are_those_of_a_call(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.lane0 = 2});
    dispatch_calls(f, 1, 2, 1, 2);
    forget(f);
    assert_null(create(f, 1, id(2), 9 * PAGE));
    assert_null(create(f, 1, id(3), 9 * PAGE));
    assert_null(failed(f, 1, 3));
    assert_said(f, "CREATED 2 to p1\nCREATED 3 to p1 error=-8\nFINISHED 3 to 0 error=-1\n");
    assert_null(failed(f, 1, 2));
    assert_said(f, "FINISHED 2 to 0 error=-1\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

/* One thread waits for room, another has a view of what goes with its process. */
static void who_dies_is_not_lent_what_it_gives_back(void **state)
{
    struct fake *f = *state;

    begin(f, true);
    assert_null(create(f, 2, id(2), 9 * PAGE));
    assert_null(done(f, 2, 2, TBI_AT_STORE));
    *(struct msg_located *)record(f, TBI_MSG_RESOLVED, 1, sizeof(struct msg_located)) =
        (struct msg_located){id(2), TBI_AT_STORE, 1, 0, 5000};
    assert_null(deliver(f, 0));
    assert_null(object_msg(f, TBI_MSG_FREE, TBI_PROC_NONE, id(2)));
    assert_null(create(f, 1, made(1, 11), 2 * PAGE));
    assert_said(f, "CREATED 2 to p2\nFINISHED 2 to 0\nOBJECT 2 to p1\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

/* ---- copies ---- */

/* A copy of an object of `pages` pages, on its way for a task, comes. */
static void copy_comes(struct fake *f, int object, uint64_t pages)
{
    describe(f);
    *(struct msg_fetched *)record(f, TBI_MSG_FETCHED, TBI_PROC_NONE, sizeof(struct msg_fetched)) =
        (struct msg_fetched){id(object), 0, pages * PAGE, f->ticket, 0};
    assert_null(deliver(f, 2));
    describe(f);
    tbi_agent_copied(f->agent, f->ticket, true);
}

/* Task k reads an object, as the only one, in process 1. */
static void read_copy(struct fake *f, int k, int object, uint64_t pages)
{
    dispatch_large(f, k, object, pages);
    copy_comes(f, object, pages);
    assert_null(done(f, 1, k, TBI_AT_INLINE));
    forget(f);
}

static void a_copy_that_nobody_uses_gives_way_to_a_create(void **state)
{
    struct fake *f = *state;

    read_copy(f, 1, 100, 4);
    read_copy(f, 2, 101, 4);
    dispatch_large(f, 3, 100, 4); /* used again: it is there still */
    assert_said(f, "RUN 3 to p1\n");
    assert_null(create(f, 1, id(3), 5 * PAGE));
    assert_said(f, "EVICTED 101 to 0\nCREATED 3 to p1\n");
    assert_null(create(f, 1, made(1, 11), 2 * PAGE)); /* the other one is in use */
    assert_said(f, "");
    assert_null(failed(f, 1, 3));
    assert_said(f, "CREATED 11 to p1\nFINISHED 3 to 0 error=-1\n");
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 6 * PAGE);
}

static void and_to_other_copies_the_one_that_was_used_longest_ago_first(void **state)
{
    struct fake *f = *state;

    read_copy(f, 1, 100, 4);
    read_copy(f, 2, 101, 4);
    dispatch_large(f, 3, 100, 4);
    assert_null(done(f, 1, 3, TBI_AT_INLINE));
    forget(f);
    dispatch_large(f, 4, 102, 4);
    assert_said(f, "EVICTED 101 to 0\nFETCH 102 to 2\n");
    copy_comes(f, 102, 4);
    assert_null(done(f, 1, 4, TBI_AT_INLINE));
    forget(f);
    dispatch_large(f, 5, 100, 4);
    assert_said(f, "RUN 5 to p1\n");
}

static void none_gives_way_in_vain(void **state)
{
    struct fake *f = *state;

    read_copy(f, 1, 100, 4);
    begin(f, true);
    assert_null(create(f, 1, made(1, 11), 2 * PAGE));
    assert_null(create(f, 1, made(1, 12), 9 * PAGE));
    assert_said(f, "CREATED 11 to p1\n");
    dispatch_large(f, 3, 100, 4);
    assert_said(f, ""); /* there is no CPU for it, but the copy is there */
    assert_int_equal(tbi_agent_counts(f->agent).objects, 2);
}

static void a_copy_that_is_leased_or_wanted_stays(void **state)
{
    struct fake *f = *state;

    read_copy(f, 1, 100, 4);
    *(struct msg_fetch *)record(f, TBI_MSG_FETCH, TBI_PROC_NONE, sizeof(struct msg_fetch)) =
        (struct msg_fetch){id(100), TBI_FETCH_RMA, 7};
    assert_null(deliver(f, 2));
    begin(f, true);
    assert_null(create(f, 1, made(1, 11), 8 * PAGE));
    assert_said(f, "");
    *(struct msg_fetch_end *)record(f, TBI_MSG_FETCH_DONE, TBI_PROC_NONE, sizeof(struct msg_fetch_end)) =
        (struct msg_fetch_end){id(100), 7, 0};
    assert_null(deliver(f, 2));
    assert_said(f, "EVICTED 100 to 0\nCREATED 11 to p1\n");
}

static void who_is_sent_to_a_copy_that_gave_way_asks_the_head(void **state)
{
    struct fake *f = *state;
    struct msg_located *arg;

    read_copy(f, 1, 100, 4);
    begin(f, true);
    assert_null(create(f, 1, made(1, 11), 8 * PAGE));
    assert_said(f, "EVICTED 100 to 0\nCREATED 11 to p1\n");
    assert_null(object_msg(f, TBI_MSG_ABANDON, 1, made(1, 11)));
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    forget(f);
    dispatch(f, 3, 1, 0, 1); /* the head did not know yet */
    assert_said(f, "RESOLVE 100 to 0\n");
    arg = record(f, TBI_MSG_RESOLVED, TBI_PROC_NONE, sizeof *arg);
    *arg = (struct msg_located){id(100), TBI_AT_STORE, 2, 0, 5000};
    assert_null(deliver(f, 0));
    assert_said(f, "FETCH 100 to 2\n");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nRUN 3 to p1\n");
}

/* ---- who waits for objects ---- */

static void a_copy_that_only_the_dead_waited_for_is_not_made(void **state)
{
    struct fake *f = *state;

    begin(f, true);
    assert_null(create(f, 2, made(2, 11), 9 * PAGE));
    *(struct msg_located *)record(f, TBI_MSG_RESOLVED, 1, sizeof(struct msg_located)) =
        (struct msg_located){id(100), TBI_AT_STORE, 2, 0, 5000};
    assert_null(deliver(f, 0));
    assert_said(f, "CREATED 11 to p2\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\n");
    assert_int_equal(tbi_agent_counts(f->agent).objects, 1);
    assert_null(object_msg(f, TBI_MSG_ABANDON, 2, made(2, 11)));
    assert_said(f, "");
}

static void one_that_is_under_way_comes_and_tells_nobody(void **state)
{
    struct fake *f = *state;

    begin(f, true);
    *(struct msg_located *)record(f, TBI_MSG_RESOLVED, 1, sizeof(struct msg_located)) =
        (struct msg_located){id(100), TBI_AT_STORE, 2, 0, 5000};
    assert_null(deliver(f, 0));
    assert_said(f, "FETCH 100 to 2\n");
    crash(f, 1);
    forget(f);
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\n");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(what_fits_passes_what_does_not),
        ON(what_waits_behind_it_passes_it_too),
        ON(it_is_passed_by_as_many_bytes_as_the_store_has_and_no_more),
        ON(a_create_that_is_given_up_is_answered_once_and_holds_up_nobody),
        ON(results_that_a_task_waits_for_are_given_up_with_it),
        ON(so_are_those_of_a_call),
        ON(who_dies_is_not_lent_what_it_gives_back),
        ON(a_copy_that_nobody_uses_gives_way_to_a_create),
        ON(and_to_other_copies_the_one_that_was_used_longest_ago_first),
        ON(none_gives_way_in_vain),
        ON(a_copy_that_is_leased_or_wanted_stays),
        ON(who_is_sent_to_a_copy_that_gave_way_asks_the_head),
        ON(a_copy_that_only_the_dead_waited_for_is_not_made),
        ON(one_that_is_under_way_comes_and_tells_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
