/* test_calls.c - holds what the agent does with calls of methods: each caller's run in the order of their numbers, as
 * many at once as their lane allows; how one that is not wanted any more ends; and what processes are told of actors
 * that they ask for. */
#include "agent_calls.h"

/* ---- what head and processes say ---- */

/* The head answers FIND, or a SUBMIT of `submitted`, of this process. */
static void identify(struct fake *f, uint32_t proc, int submitted, int found)
{
    *(struct msg_found *)record(f, TBI_MSG_IDENTIFY, proc, sizeof(struct msg_found)) =
        (struct msg_found){submitted != 0 ? id(submitted) : (struct tbi_id){0},
                           found != 0 ? id(found) : (struct tbi_id){0}, 7};
    assert_null(deliver(f, 0));
}

/* ---- order ---- */

static void calls_that_come_in_any_order_run_in_that_of_their_numbers(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 4, 1, 3, (struct call){0}));
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){0}));
    assert_said(f, "");
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){0}));
    assert_said(f, "RUN 2 to p1\n");
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p1\n");
    assert_null(failed(f, 1, 3)); /* which is no reason not to go on */
    assert_said(f, "FINISHED 3 to 0 error=-1\nRUN 4 to p1\n");
}

static void numbers_that_will_not_come_are_skipped(void **state)
{
    struct fake *f = *state; /* three are given to the process at a time */

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 4, 1, 3, (struct call){0}));
    assert_null(dispatch_call(f, 9, 1, 8, (struct call){0}));
    skip_numbers(f, 1, 4, 0, 6, 7);
    skip_numbers(f, 1, 4, 0, 4, 4);
    assert_said(f, "");
    skip_numbers(f, 1, 4, 0, 1, 2);
    assert_said(f, "RUN 4 to p1\n");
    assert_null(dispatch_call(f, 6, 1, 5, (struct call){0}));
    assert_said(f, "RUN 6 to p1\nRUN 9 to p1\n");
}

static void ranges_that_overlap_are_skipped_once(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 4, 1, 5, (struct call){0}));
    skip_numbers(f, 1, 4, 0, 1, 3);
    skip_numbers(f, 1, 4, 0, 2, 2);
    skip_numbers(f, 1, 4, 0, 3, 4);
    assert_said(f, "RUN 4 to p1\n");
}

static void each_caller_has_numbers_of_its_own(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){0}));
    assert_null(dispatch_call(f, BY(2, 11), 1, 1, (struct call){0}));
    skip_numbers(f, 1, BY(3, 0), 0, 1, 1); /* a third one's */
    assert_said(f, "RUN 11 to p1\n");
    skip_numbers(f, 1, 3, 0, 1, 1);
    assert_said(f, "RUN 3 to p1\n");
}

static void a_late_argument_holds_up_its_caller_alone(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.at = 1 + 2}));
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){0}));
    assert_said(f, "FETCH 100 to 2\n");
    assert_null(dispatch_call(f, BY(2, 11), 1, 1, (struct call){0}));
    assert_said(f, "RUN 11 to p1\n");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nRUN 2 to p1\nRUN 3 to p1\n");
}

static void a_call_whose_argument_is_lost_fails_and_the_next_one_runs(void **state)
{
    struct fake *f = *state;
    struct msg_located *m;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.at = 1 + 2}));
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){0}));
    assert_said(f, "FETCH 100 to 2\n");
    answer_fetch(f, 2, true);
    assert_said(f, "RESOLVE 100 to 0\n");
    m = record(f, TBI_MSG_RESOLVED, TBI_PROC_NONE, sizeof *m + sizeof(struct tbi_error_link));
    *m = (struct msg_located){.id = id(100), .where = TBI_AT_ERROR, .bytes = sizeof(struct tbi_error_link)};
    tbi_error_link((struct tbi_error_link *)(m + 1), TB_ERR_REF, "freed");
    assert_null(deliver(f, 0));
    assert_said(f, "FINISHED 2 to 0 error=-14\nRUN 3 to p1\n");
}

/* ---- lanes ---- */

static void so_many_run_at_once_as_their_lane_allows(void **state)
{
    struct fake *f = *state; /* nothing is given ahead */

    live(f, (struct actor){.lane0 = 2, .lane1 = 1});
    dispatch_calls(f, 1, 2, 1, 3);
    assert_null(dispatch_call(f, 5, 1, 1, (struct call){.lane = 1}));
    assert_null(dispatch_call(f, 6, 1, 2, (struct call){.lane = 1}));
    assert_said(f, "RUN 2 to p1\nRUN 3 to p1\nRUN 5 to p1 lane 1\n");
    assert_null(done(f, 1, 3, TBI_AT_INLINE)); /* before the one that began first */
    assert_said(f, "FINISHED 3 to 0\nRUN 4 to p1\n");
    assert_null(done(f, 1, 5, TBI_AT_INLINE));
    assert_said(f, "FINISHED 5 to 0\nRUN 6 to p1 lane 1\n");
}

static void a_full_lane_holds_up_no_other(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.lane0 = 1, .lane1 = 1});
    dispatch_calls(f, 1, 2, 1, 3);
    assert_null(dispatch_call(f, 5, 1, 1, (struct call){.lane = 1}));
    assert_said(f, "RUN 2 to p1\nRUN 5 to p1 lane 1\n");
}

static void a_call_that_waits_for_its_argument_holds_up_its_own_lane_alone(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.lane0 = 1, .lane1 = 1});
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){0})); /* number 1 has not come */
    assert_null(dispatch_call(f, 5, 1, 1, (struct call){.lane = 1}));
    assert_null(dispatch_call(f, 7, 1, 3, (struct call){.lane = 1}));
    assert_said(f, "RUN 5 to p1 lane 1\n");
    assert_null(done(f, 1, 5, TBI_AT_INLINE));
    assert_null(dispatch_call(f, 6, 1, 2, (struct call){.lane = 1}));
    assert_said(f, "FINISHED 5 to 0\nRUN 6 to p1 lane 1\n");
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){0}));
    assert_said(f, "RUN 2 to p1\n");
}

static void an_unknown_lane_is_the_first(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.lane0 = 1});
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.lane = 5}));
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){0}));
    assert_said(f, "RUN 2 to p1 lane 5\n");
}

static void some_are_given_ahead_of_their_turn(void **state)
{
    struct fake *f = *state; /* two */

    live(f, (struct actor){0});
    dispatch_calls(f, 1, 2, 1, 5);
    assert_said(f, "RUN 2 to p1\nRUN 3 to p1\nRUN 4 to p1\n");
    assert_true(tbi_agent_works_ahead(f->agent));
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 5 to p1\n");
}

/* ---- calls that are not wanted any more ---- */

static void one_that_has_not_begun_is_taken_back(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    dispatch_calls(f, 1, 2, 1, 4);
    forget(f);
    f->not_begun = 2;
    abort_task(f, 3, 0, 0);
    assert_said(f, "take back 2 from p1\nRUN 4 to p1\nRUN 5 to p1\nFINISHED 3 to 0 error=-3\n");
}

static void one_that_runs_is_interrupted_and_its_actor_never_killed(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    dispatch_calls(f, 1, 2, 1, 2);
    assert_said(f, "RUN 2 to p1\n");
    abort_task(f, 2, 1, 0); /* another attempt */
    assert_said(f, "");
    abort_task(f, 2, 0, 1); /* by force */
    assert_said(f, "INTERRUPT 2 to p1\ninterrupt p1 in task number 1\n");
    abort_task(f, 2, 0, 0);
    tbi_agent_tick(f->agent, 1000000);
    assert_said(f, "");
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p1\n");
}

static void one_that_waits_for_its_turn_ends_and_uses_its_number_up(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){0}));
    assert_null(dispatch_call(f, 4, 1, 3, (struct call){0}));
    abort_task(f, 3, 0, 0);
    assert_said(f, "FINISHED 3 to 0 error=-3\n");
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){0}));
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    assert_said(f, "RUN 2 to p1\nFINISHED 2 to 0\nRUN 4 to p1\n");
    assert_null(dispatch_call(f, 5, 1, 4, (struct call){0}));
    abort_task(f, 5, 0, 0); /* its turn has come, its lane is full */
    assert_said(f, "FINISHED 5 to 0 error=-3\n");
    assert_null(dispatch_call(f, 6, 1, 5, (struct call){0}));
    assert_null(done(f, 1, 4, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\nRUN 6 to p1\n");
}

static void one_whose_argument_is_under_way_ends_when_it_is_here_and_holds_up_nobody(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.at = 1 + 2}));
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){0}));
    abort_task(f, 2, 0, 0);
    assert_said(f, "FETCH 100 to 2\nRUN 3 to p1\n");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nFINISHED 2 to 0 error=-3\n");
    assert_int_equal(tbi_agent_counts(f->agent).pins, 0);
}

/* ---- limits ---- */

static void the_limit_of_a_call_begins_when_it_runs(void **state)
{
    struct fake *f = *state; /* two are given ahead */

    live(f, (struct actor){0});
    f->now = 1000;
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.limit_ms = 9}));
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){.limit_ms = 2}));
    assert_said(f, "RUN 2 to p1\nRUN 3 to p1\n");
    tbi_agent_tick(f->agent, 9999);
    assert_said(f, "");
    tbi_agent_tick(f->agent, 10000);
    assert_said(f, "OVERDUE 2 to 0\n");
    f->now = 20000;
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    tbi_agent_tick(f->agent, 21999);
    assert_said(f, "FINISHED 2 to 0\n");
    tbi_agent_tick(f->agent, 22000);
    assert_said(f, "OVERDUE 3 to 0\n");
}

static void calls_that_run_at_once_have_limits_of_their_own(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.lane0 = 2, .lane1 = 1});
    f->now = 1000;
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.limit_ms = 9}));
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){.limit_ms = 3}));
    assert_null(dispatch_call(f, 4, 1, 1, (struct call){.limit_ms = 2, .lane = 1}));
    forget(f);
    tbi_agent_tick(f->agent, 3000);
    assert_said(f, "OVERDUE 4 to 0\n");
    assert_null(dispatch_call(f, 5, 1, 2, (struct call){.limit_ms = 2, .lane = 1}));
    tbi_agent_tick(f->agent, 3900);
    assert_said(f, ""); /* not again */
    abort_task(f, 4, 0, 0);
    assert_said(f, "INTERRUPT 4 to p1\ninterrupt p1 in task number 3\n");
    tbi_agent_tick(f->agent, 4000);
    assert_said(f, "OVERDUE 3 to 0\n");
    abort_task(f, 3, 0, 0);
    assert_null(done(f, 1, 3, TBI_AT_INLINE));
    tbi_agent_tick(f->agent, 10000);
    assert_said(f, "INTERRUPT 3 to p1\ninterrupt p1 in task number 2\nFINISHED 3 to 0\nOVERDUE 2 to 0\n");
}

/* ---- names and numbers ---- */

static void a_process_that_finds_an_actor_has_one_hold_more(void **state)
{
    struct fake *f = *state;

    dispatch(f, 9, 1, 0, -1);
    forget(f);
    identify(f, 1, 0, 70);
    identify(f, 1, 0, 70);
    identify(f, 1, 0, 0);
    assert_said(f, "FOUND 0 to p1 is 70\nFOUND 0 to p1 is 70\nFOUND 0 to p1 is 0\n");
    assert_null(object_msg(f, TBI_MSG_RELEASE, 1, id(70)));
    crash(f, 1);
    assert_said(f, "RELEASE 70 to 0\nFINISHED 9 to 0 error=-2 crashed\nRELEASE 70 to 0\n");
    identify(f, 1, 0, 70); /* it has died meanwhile */
    identify(f, 1, 0, 0);
    assert_said(f, "RELEASE 70 to 0\n");
}

/* Process 1 makes actor `k`, or gets it if it exists. */
static void submit_actor(struct fake *f, int k)
{
    struct msg_submit *m = record(f, TBI_MSG_SUBMIT, 1, sizeof *m + sizeof(struct msg_actor) + 8);
    struct msg_actor *terms = (struct msg_actor *)(m + 1);

    *m = (struct msg_submit){.kind = TBI_ACTOR, .task = id(BY(1, k)), .parent = id(9), .nreturns = 1};
    *terms = (struct msg_actor){.nlanes = 1, .name_bytes = 3, .flags = TBI_ACTOR_GET};
    memcpy(terms + 1, "\0n\0\0\0\0\0", 8);
    assert_null(deliver(f, 1));
}

static void one_that_was_there_is_held_instead_of_the_one_that_was_not_made(void **state)
{
    struct fake *f = *state;

    dispatch(f, 9, 1, 0, -1);
    submit_actor(f, 11);
    submit_actor(f, 12);
    identify(f, 1, BY(1, 11), BY(1, 11));
    identify(f, 1, BY(1, 12), BY(1, 11));
    assert_said(f, "fork p1\nRUN 9 to p1\nSUBMIT 11 to 0\nSUBMIT 12 to 0\nFOUND 11 to p1 is 11\n"
                   "FOUND 12 to p1 is 11\n");
    assert_non_null(object_msg(f, TBI_MSG_RELEASE, 1, id(BY(1, 12))));
    crash(f, 1);
    assert_said(f, "FINISHED 9 to 0 error=-2 crashed\nRELEASE 11 to 0\nRELEASE 11 to 0\n");
}

static const char *submit_to_lane(struct fake *f, int k, int actor, unsigned lane)
{
    struct msg_submit *m =
        record(f, TBI_MSG_SUBMIT, 1, sizeof *m + sizeof(struct tbi_id) + sizeof(struct msg_call));

    *m = (struct msg_submit){.kind = TBI_CALL, .task = id(BY(1, k)), .parent = id(9), .nrefs = 1};
    *(struct tbi_id *)(m + 1) = id(actor);
    *(struct msg_call *)((struct tbi_id *)(m + 1) + 1) = (struct msg_call){.actor = id(actor), .seq = 77,
                                                                                .lane = (uint16_t)lane};
    return deliver(f, 1);
}

static void submit_call(struct fake *f, int k, int actor)
{
    assert_null(submit_to_lane(f, k, actor, 0));
}

static void a_process_is_told_what_number_its_calls_have_of_each_actor(void **state)
{
    struct fake *f = *state;

    dispatch(f, 9, 1, 0, -1);
    submit_call(f, 11, 1);
    submit_call(f, 12, 1);
    submit_call(f, 13, 2);
    submit_call(f, 14, 1);
    assert_said(f, "fork p1\nRUN 9 to p1\nSUBMIT 11 to 0 number 1 asks\nSUBMIT 12 to 0 number 2\n"
                   "SUBMIT 13 to 0 number 1 asks\nSUBMIT 14 to 0 number 3\n");
    assert_null(submit_to_lane(f, 15, 1, 2)); /* each lane has numbers of its own */
    assert_null(submit_to_lane(f, 16, 1, 2));
    submit_call(f, 17, 1);
    assert_said(f, "SUBMIT 15 to 0 number 1\nSUBMIT 16 to 0 number 2\nSUBMIT 17 to 0 number 4\n");
    assert_string_equal(submit_to_lane(f, 18, 1, TBI_LANES_MAX), "SUBMIT of a call to a lane that no actor has");
}

/* ---- what is refused ---- */

static void what_does_not_make_sense_is_refused_and_changes_nothing(void **state)
{
    struct fake *f = *state;
    struct msg_done *m;

    dispatch(f, 9, 1, 0, -1);
    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1}));
    assert_said(f, "fork p1\nRUN 9 to p1\nfork p2\nRUN 1 to p2 actor\n");
    assert_non_null(constructed(f, 1, 9, 0));           /* a task */
    assert_non_null(constructed(f, 1, 1, 0));           /* another process */
    assert_non_null(constructed(f, 2, 1, 1));           /* another attempt */
    assert_non_null(constructed(f, 7, 1, 0));           /* no such process */
    assert_non_null(done(f, 2, 1, TBI_AT_INLINE));      /* CONSTRUCTED says it */
    assert_non_null(done_and_exits(f, 1, 9));           /* no actor */
    m = record(f, TBI_MSG_CONSTRUCTED, 2, sizeof *m + sizeof(struct tbi_result) + 8);
    *m = (struct msg_done){.task = id(1), .nresults = 1, .data_bytes = 8};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){TBI_AT_INLINE, 0, 8};
    assert_non_null(deliver(f, 1));
    assert_null(constructed(f, 2, 1, 0));
    assert_non_null(constructed(f, 2, 1, 0));           /* twice */
    assert_non_null(task_msg(f, TBI_MSG_BLOCK, 2, 1));  /* it keeps what it has while a call waits */
    assert_non_null(done(f, 2, 1, TBI_AT_INLINE));
    assert_non_null(done(f, 2, 3, TBI_AT_INLINE));      /* a call that it was not given */
    dispatch_calls(f, 1, 3, 1, 2);
    assert_non_null(dispatch_call(f, 3, 1, 1, (struct call){0})); /* it is here */
    assert_non_null(done(f, 2, 4, TBI_AT_INLINE));      /* waits for its turn */
    assert_non_null(create(f, 2, id(4), 8));
    assert_said(f, "LIVES 1 to 0\nRUN 3 to p2\n");
    assert_null(create(f, 2, id(3), 5000));             /* the result of what it runs */
    assert_null(done(f, 2, 3, TBI_AT_STORE));
    assert_said(f, "CREATED 3 to p2\nFINISHED 3 to 0\nRUN 4 to p2\n");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_ahead, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(calls_that_come_in_any_order_run_in_that_of_their_numbers),
        AHEAD(numbers_that_will_not_come_are_skipped),
        ON(ranges_that_overlap_are_skipped_once),
        AHEAD(each_caller_has_numbers_of_its_own),
        AHEAD(a_late_argument_holds_up_its_caller_alone),
        ON(a_call_whose_argument_is_lost_fails_and_the_next_one_runs),
        ON(so_many_run_at_once_as_their_lane_allows),
        ON(a_full_lane_holds_up_no_other),
        ON(a_call_that_waits_for_its_argument_holds_up_its_own_lane_alone),
        ON(an_unknown_lane_is_the_first),
        AHEAD(some_are_given_ahead_of_their_turn),
        AHEAD(one_that_has_not_begun_is_taken_back),
        ON(one_that_runs_is_interrupted_and_its_actor_never_killed),
        ON(one_that_waits_for_its_turn_ends_and_uses_its_number_up),
        ON(one_whose_argument_is_under_way_ends_when_it_is_here_and_holds_up_nobody),
        AHEAD(the_limit_of_a_call_begins_when_it_runs),
        ON(calls_that_run_at_once_have_limits_of_their_own),
        ON(a_process_that_finds_an_actor_has_one_hold_more),
        ON(one_that_was_there_is_held_instead_of_the_one_that_was_not_made),
        ON(a_process_is_told_what_number_its_calls_have_of_each_actor),
        ON(what_does_not_make_sense_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
