/* test_lives.c - holds how actors live at their agent: one keeps its process and what it was granted, or what its
 * bundle has, from its constructor to its end, and takes its calls with it. */
#include "agent_calls.h"

/* ---- a life ---- */

static void an_actor_keeps_its_process_and_what_it_was_granted(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1}));
    assert_said(f, "fork p1\nRUN 1 to p1 actor\n");
    assert_null(constructed(f, 1, 1, 0));
    assert_said(f, "LIVES 1 to 0\n");
    dispatch(f, 2, 1, 0, -1);
    dispatch(f, 3, 1, 0, -1);
    assert_said(f, "fork p2\nRUN 2 to p2\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRUN 3 to p2\n");
}

static void actors_are_not_counted_among_the_processes_there_may_be(void **state)
{
    struct fake *f = *state; /* two */

    for (int k = 1; k <= 5; k++)
        assert_null(dispatch_actor(f, k, (struct actor){0}));
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nfork p2\nRUN 2 to p2 actor\nfork p3\nRUN 3 to p3 actor\n"
                   "fork p4\nRUN 4 to p4 actor\nfork p5\nRUN 5 to p5 actor\n");
    for (int k = 1; k <= 5; k++)
        assert_null(constructed(f, (uint32_t)k, k, 0));
    forget(f);
    dispatch(f, 6, 1, 0, -1);
    dispatch(f, 7, 1, 0, -1);
    assert_said(f, "fork p6\nRUN 6 to p6\nfork p7\nRUN 7 to p7\n"); /* tasks have as many as without actors */
}

static void nothing_waits_behind_an_actor_that_begins(void **state)
{
    struct fake *f = *state; /* work is given ahead */

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 2}));
    dispatch(f, 2, 2, 0, -1);
    assert_null(dispatch_actor(f, 3, (struct actor){.cpus = 2}));
    assert_said(f, "fork p1\nRUN 1 to p1 actor\n");
    assert_null(constructed(f, 1, 1, 0));
    assert_said(f, "LIVES 1 to 0\nTAKEN unasked 2\nTAKEN unasked 3\n"); /* nor behind one that lives: back to the head, unasked */
    dispatch(f, 4, 2, 0, 2);
    assert_said(f, "FETCH 100 to 2\n");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nTAKEN unasked 4\n"); /* as soon as it is ready */
}

static void nor_does_an_actor_wait_behind_a_task(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    assert_null(dispatch_actor(f, 2, (struct actor){.cpus = 2}));
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 2 to p1 actor\n"); /* it may have a used one */
}

static void cpus_to_begin_with_are_free_when_it_lives(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 2, .flags = TBI_ACTOR_PLACED_ONLY}));
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1 actor\n");
    assert_null(constructed(f, 1, 1, 0));
    assert_said(f, "LIVES 1 to 0\nfork p2\nRUN 2 to p2\n");
    retire(f, 1, 0);
    crash(f, 1);
    assert_said(f, "EXIT 0 to p1\nFINISHED 1 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).cpus_free, 0); /* they are not given back twice */
}

static void cores_go_with_the_cpus_and_gpus_stay(void **state)
{
    struct fake *f = *state; /* four CPUs and cores, two GPUs */

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1, .gpus = 1, .flags = TBI_ACTOR_PLACED_ONLY}));
    assert_null(dispatch_actor(f, 2, (struct actor){.cpus = 1}));
    assert_said(f, "fork p1\nRUN 1 to p1 actor cores 0 gpus 0\nfork p2\nRUN 2 to p2 actor cores 1\n");
    assert_null(constructed(f, 1, 1, 0));
    assert_null(constructed(f, 2, 2, 0));
    dispatch(f, 3, 3, 0, -1);
    assert_null(dispatch_actor(f, 4, (struct actor){.gpus = 2}));
    assert_said(f, "LIVES 1 to 0\nINSTANCES 1 to 0\nLIVES 2 to 0\nfork p3\nRUN 3 to p3 cores 0 2 3\nTAKEN unasked 4\n");
    crash(f, 1);
    assert_null(dispatch_actor(f, 4, (struct actor){.gpus = 2}));
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\nfork p4\nRUN 4 to p4 actor gpus 0 1\n");
}

static void a_constructor_that_fails_costs_its_process(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 2}));
    assert_null(failed(f, 1, 1));
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nFINISHED 1 to 0 error=-1\nEXIT 0 to p1\n");
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p2\nRUN 2 to p2\n");
    crash(f, 1);
    assert_said(f, "");
}

static void what_the_constructor_needed_is_given_back_when_it_lives(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1, .at = 1 + 0}));
    assert_said(f, "FETCH 100 to 0\n");
    answer_fetch(f, 0, false);
    assert_null(constructed(f, 1, 1, 0));
    assert_int_equal(tbi_agent_counts(f->agent).pins, 0);
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nFETCH_DONE 100 to 0\nLIVES 1 to 0\n");
}

static void a_constructor_may_wait(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 2}));
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nBLOCK 1 to 0\nfork p2\nRUN 2 to p2\n");
    assert_non_null(constructed(f, 1, 1, 0)); /* it is blocked */
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_non_null(constructed(f, 1, 1, 0)); /* and has no CPUs yet */
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_null(constructed(f, 1, 1, 0));
    assert_said(f, "FINISHED 2 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\nLIVES 1 to 0\n");
}

static void an_answer_to_a_wait_of_its_constructor_comes_too_late(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 2}));
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_null(constructed(f, 1, 1, 0));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nBLOCK 1 to 0\nRESUME 1 to p1\nLIVES 1 to 0\nTAKEN unasked 2\n");
}

/* ---- ends ---- */

static void one_that_is_not_wanted_any_more_is_told_to_exit(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.cpus = 2});
    retire(f, 1, 1); /* another attempt */
    assert_said(f, "");
    retire(f, 1, 0);
    retire(f, 1, 0);
    assert_said(f, "EXIT 0 to p1\n");
    crash(f, 1); /* its process has left */
    assert_said(f, "FINISHED 1 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).cpus_free, 20000);
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 0);
}

static void not_wanted_while_it_begins_it_exits_as_soon_as_it_lives(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 2}));
    retire(f, 1, 0);
    assert_said(f, "fork p1\nRUN 1 to p1 actor\n");
    assert_null(constructed(f, 1, 1, 0));
    assert_said(f, "LIVES 1 to 0\nEXIT 0 to p1\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0\n");
}

static void not_wanted_before_it_begins_it_never_does(void **state)
{
    struct fake *f = *state;

    dispatch(f, 9, 2, 0, -1);
    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 2}));
    retire(f, 1, 0);
    assert_said(f, "fork p1\nRUN 9 to p1\nFINISHED 1 to 0 error=-3\n");
    assert_null(done(f, 1, 9, TBI_AT_INLINE));
    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 2, .attempt = 1}));
    assert_said(f, "FINISHED 9 to 0\nRUN 1 to p1 actor attempt 1\n");
    f->not_begun = 1;
    retire(f, 1, 1); /* its process has it, and has not begun */
    assert_said(f, "take back 1 from p1\nFINISHED 1 to 0 error=-3\n");
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "RUN 2 to p1\n");
}

static void not_wanted_while_its_argument_comes_it_ends_when_that_is_here(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1, .at = 1 + 2}));
    retire(f, 1, 0);
    assert_said(f, "FETCH 100 to 2\n");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nFINISHED 1 to 0 error=-3\n");
}

static void one_that_ends_itself_begins_no_other_call(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.cpus = 1});
    dispatch_calls(f, 1, 2, 1, 2);
    assert_null(done_and_exits(f, 1, 2));
    assert_null(dispatch_call(f, 4, 1, 3, (struct call){0}));
    retire(f, 1, 0);
    assert_said(f, "RUN 2 to p1\nFINISHED 2 to 0 exits\n"); /* it leaves by itself */
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0\n"); /* the head knows which calls it had */
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 0);
}

static void of_the_calls_of_one_that_dies_those_that_were_begun_have_crashed(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.cpus = 2, .lane0 = 2});
    dispatch_calls(f, 1, 2, 1, 5);
    assert_said(f, "RUN 2 to p1\nRUN 3 to p1\nRUN 4 to p1\nRUN 5 to p1\n");
    f->not_begun = 2;
    crash(f, 1);
    assert_said(f, "take back 2 from p1\nFINISHED 2 to 0 error=-2 crashed\nFINISHED 3 to 0 error=-2 crashed\n"
                   "FINISHED 1 to 0 error=-2 crashed\n");
    assert_int_equal(tbi_agent_counts(f->agent).cpus_free, 20000);
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 0);
    assert_null(dispatch_call(f, 7, 1, 6, (struct call){0})); /* sent before the head knew */
    skip_numbers(f, 1, 7, 0, 7, 7);
    abort_task(f, 4, 0, 0);
    retire(f, 1, 0);
    assert_said(f, "");
}

static void one_that_says_why_it_dies_has_not_crashed(void **state)
{
    struct fake *f = *state;
    struct tbi_error_link link;

    live(f, (struct actor){0});
    dispatch_calls(f, 1, 2, 1, 1);
    forget(f);
    tbi_error_link(&link, TB_ERR_TASK, "tb_must");
    tbi_agent_died(f->agent, 1, &link, true);
    assert_said(f, "FINISHED 2 to 0 error=-1 crashed\nFINISHED 1 to 0 error=-1\n");
}

static void killed_it_takes_all_its_calls_with_it(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.cpus = 1});
    dispatch_calls(f, 1, 2, 1, 2);
    abort_task(f, 1, 0, 1);
    assert_said(f, "RUN 2 to p1\nkill p1\n");
    assert_null(dispatch_call(f, 4, 1, 3, (struct call){0}));
    assert_null(done(f, 1, 2, TBI_AT_INLINE)); /* it was quicker */
    assert_said(f, "FINISHED 2 to 0\n");       /* nothing is begun any more */
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\n");
    assert_int_equal(tbi_agent_counts(f->agent).cpus_free, 20000);
}

static void cancelled_while_it_begins_it_is_interrupted_and_then_killed(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1}));
    f->now = 100;
    abort_task(f, 1, 0, 0);
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nINTERRUPT 1 to p1\ninterrupt p1 in task number 0\n");
    assert_null(constructed(f, 1, 1, 0)); /* it takes no notice */
    assert_said(f, "LIVES 1 to 0\nEXIT 0 to p1\n");
    tbi_agent_tick(f->agent, 600);
    assert_said(f, "kill p1\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0\n");
}

static void killed_while_it_begins_it_dies_of_that_though_it_lived_first(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1}));
    abort_task(f, 1, 0, 1);
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nkill p1\n");
    assert_null(constructed(f, 1, 1, 0)); /* on its way already: it is not told to exit, for that would be its end */
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){0}));
    assert_said(f, "LIVES 1 to 0\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\n");
}

static void killed_after_its_grace_it_dies_of_that_too(void **state)
{
    struct fake *f = *state;

    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1}));
    abort_task(f, 1, 0, 0);
    tbi_agent_tick(f->agent, 600);
    assert_said(f, "fork p1\nRUN 1 to p1 actor\nINTERRUPT 1 to p1\ninterrupt p1 in task number 0\nkill p1\n");
    assert_null(constructed(f, 1, 1, 0));
    crash(f, 1);
    assert_said(f, "LIVES 1 to 0\nFINISHED 1 to 0 error=-2 crashed\n");
}

static void a_call_whose_copy_is_under_way_when_its_actor_dies_lets_it_come(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.at = 1 + 2}));
    crash(f, 1);
    assert_said(f, "FETCH 100 to 2\nFINISHED 1 to 0 error=-2 crashed\n");
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 0);
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).pins, 0);
    assert_null(object_msg(f, TBI_MSG_FREE, TBI_PROC_NONE, id(100)));
    assert_int_equal(tbi_agent_counts(f->agent).store_used, 0);
}

static void it_may_be_sent_again_meanwhile_and_uses_the_same_copy(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.at = 1 + 2}));
    crash(f, 1);
    assert_null(dispatch_actor(f, 1, (struct actor){.attempt = 1}));
    assert_null(constructed(f, 2, 1, 1));
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.at = 1 + 2, .epoch = 1, .attempt = 1}));
    assert_said(f, "FETCH 100 to 2\nFINISHED 1 to 0 error=-2 crashed\nfork p2\nRUN 1 to p2 actor attempt 1\n"
                   "LIVES 1 to 0\n");
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nRUN 2 to p2 attempt 1\n");
    assert_int_equal(tbi_agent_counts(f->agent).pins, 1);
}

static void calls_whose_copies_are_under_way_at_the_end_are_freed(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.at = 1 + 2}));
    crash(f, 1);
    assert_null(tbi_agent_check(f->agent)); /* the teardown does it, and memory is checked */
}

static void calls_and_skips_for_another_life_are_dropped(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.attempt = 3});
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){.epoch = 2}));
    skip_numbers(f, 1, 3, 2, 1, 9);
    assert_null(dispatch_call(f, 3, 1, 2, (struct call){.epoch = 3}));
    assert_said(f, "");
    skip_numbers(f, 1, 3, 3, 1, 1);
    assert_said(f, "RUN 3 to p1\n");
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 2);
}

/* ---- bundles ---- */

static void with_its_bundle_it_is_killed_and_that_goes_when_it_has_ended(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1, .group = 50}));
    assert_null(constructed(f, 1, 1, 0));
    assert_null(dispatch_call(f, 2, 1, 1, (struct call){0}));
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 actor in a bundle\nLIVES 1 to 0\nRUN 2 to p1\n");
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    assert_said(f, "kill p1\n");
    crash(f, 1);
    assert_said(f, "FINISHED 2 to 0 error=-3 crashed\nFINISHED 1 to 0 error=-3\nUNRESERVED 50 to 0\n");
    assert_int_equal(tbi_agent_counts(f->agent).cpus_free, 20000);
}

static void what_it_gives_back_when_it_lives_is_its_bundles(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_actor(f, 1, (struct actor){.cpus = 1, .group = 50, .flags = TBI_ACTOR_PLACED_ONLY}));
    assert_null(dispatch_actor(f, 2, (struct actor){.cpus = 1, .group = 50, .flags = TBI_ACTOR_PLACED_ONLY}));
    forget(f);
    assert_null(constructed(f, 1, 1, 0));
    assert_said(f, "LIVES 1 to 0\nfork p2\nRUN 2 to p2 actor in a bundle\n");
    assert_null(reserve(f, 51, 1, 1));
    assert_said(f, "RESERVED 51 to 0 granted\n"); /* what is left of the node */
}

static void what_an_actor_holds_no_bundle_gets(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.cpus = 1});
    assert_null(reserve(f, 50, 1, 2));
    assert_said(f, "RESERVED 50 to 0 refused\n");
    crash(f, 1);
    assert_null(reserve(f, 50, 1, 2));
    assert_said(f, "FINISHED 1 to 0 error=-2 crashed\nRESERVED 50 to 0 granted\n");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define LARGE(test) cmocka_unit_test_setup_teardown(test, setup_large, teardown)
#define AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_ahead, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(an_actor_keeps_its_process_and_what_it_was_granted),
        ON(actors_are_not_counted_among_the_processes_there_may_be),
        AHEAD(nothing_waits_behind_an_actor_that_begins),
        AHEAD(nor_does_an_actor_wait_behind_a_task),
        ON(cpus_to_begin_with_are_free_when_it_lives),
        LARGE(cores_go_with_the_cpus_and_gpus_stay),
        ON(a_constructor_that_fails_costs_its_process),
        ON(what_the_constructor_needed_is_given_back_when_it_lives),
        ON(a_constructor_may_wait),
        ON(an_answer_to_a_wait_of_its_constructor_comes_too_late),
        ON(one_that_is_not_wanted_any_more_is_told_to_exit),
        ON(not_wanted_while_it_begins_it_exits_as_soon_as_it_lives),
        ON(not_wanted_before_it_begins_it_never_does),
        ON(not_wanted_while_its_argument_comes_it_ends_when_that_is_here),
        ON(one_that_ends_itself_begins_no_other_call),
        AHEAD(of_the_calls_of_one_that_dies_those_that_were_begun_have_crashed),
        ON(one_that_says_why_it_dies_has_not_crashed),
        ON(killed_it_takes_all_its_calls_with_it),
        ON(cancelled_while_it_begins_it_is_interrupted_and_then_killed),
        ON(killed_while_it_begins_it_dies_of_that_though_it_lived_first),
        ON(killed_after_its_grace_it_dies_of_that_too),
        ON(a_call_whose_copy_is_under_way_when_its_actor_dies_lets_it_come),
        ON(it_may_be_sent_again_meanwhile_and_uses_the_same_copy),
        ON(calls_whose_copies_are_under_way_at_the_end_are_freed),
        ON(calls_and_skips_for_another_life_are_dropped),
        ON(with_its_bundle_it_is_killed_and_that_goes_when_it_has_ended),
        ON(what_it_gives_back_when_it_lives_is_its_bundles),
        ON(what_an_actor_holds_no_bundle_gets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
