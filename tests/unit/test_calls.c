/* test_calls.c - holds what the agent does with actors and the calls of their methods: an actor keeps its process and
 * what it was granted; each caller's calls run in the order of their numbers, as many at once as their lane allows;
 * and how calls and actors end. */
#include "agent_actors.h"

/* ---- what head and processes say ---- */

struct call {
    unsigned lane;
    uint32_t epoch, attempt, limit_ms;
    int at;             /* 1 + the rank of its one argument, object 100; 0: none */
};

/* The call of this number, of the caller that `task` is of. */
static const char *dispatch_call(struct fake *f, int task, int actor, uint64_t number, struct call c)
{
    unsigned n = c.at > 0;
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE,
                                    sizeof *m + n * (sizeof(struct msg_located) + 8) + sizeof(struct msg_call));
    struct msg_located *arg = (struct msg_located *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .nreturns = 1, .attempt = c.attempt, .nargs = (uint16_t)n,
                               .nresolve = (uint16_t)n, .limit_ms = c.limit_ms,
                               .flags = TBI_DISPATCH_CALL | TBI_DISPATCH_STAYS};
    if (n > 0) {
        *arg = (struct msg_located){id(100), TBI_AT_STORE, (unsigned)c.at - 1, 0, 5000};
        *(uint64_t *)(arg + 1) = TBI_ARG_REF;
    }
    *(struct msg_call *)(uintptr_t)tbi_dispatch_call(m) =
        (struct msg_call){.actor = id(actor), .seq = number, .epoch = c.epoch, .lane = (uint16_t)c.lane};
    return deliver(f, 0);
}

/* Plain ones, one after the other: `task` has number `from`, the next task the next one. */
static void dispatch_calls(struct fake *f, int actor, int task, uint64_t from, uint64_t to)
{
    for (uint64_t number = from; number <= to; number++)
        assert_null(dispatch_call(f, task + (int)(number - from), actor, number, (struct call){0}));
}

/* The caller is the one that `of` is of. */
static void skip_numbers(struct fake *f, int actor, int of, uint32_t epoch, uint64_t from, uint64_t to)
{
    *(struct msg_skip *)record(f, TBI_MSG_SKIP, TBI_PROC_NONE, sizeof(struct msg_skip)) =
        (struct msg_skip){id(actor), epoch, tbi_id_rank(id(of)), tbi_id_proc(id(of)), 0, from, to + 1};
    assert_null(deliver(f, 0));
}

/* The head answers FIND, or a SUBMIT of `submitted`, of this process. */
static void identify(struct fake *f, uint32_t proc, int submitted, int found)
{
    *(struct msg_found *)record(f, TBI_MSG_IDENTIFY, proc, sizeof(struct msg_found)) =
        (struct msg_found){submitted != 0 ? id(submitted) : (struct tbi_id){0},
                           found != 0 ? id(found) : (struct tbi_id){0}, 7};
    assert_null(deliver(f, 0));
}

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
    assert_said(f, "LIVES 1 to 0\nLIVES 2 to 0\nfork p3\nRUN 3 to p3 cores 0 2 3\nTAKEN unasked 4\n");
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
    assert_null(dispatch_call(f, 5, 1, 4, (struct call){.lane = 1}));
    assert_null(dispatch_call(f, 6, 1, 5, (struct call){.lane = 1}));
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
    assert_null(dispatch_call(f, 5, 1, 4, (struct call){.lane = 1}));
    assert_said(f, "RUN 2 to p1\nRUN 5 to p1 lane 1\n");
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
    assert_null(dispatch_call(f, 4, 1, 3, (struct call){.limit_ms = 2, .lane = 1}));
    forget(f);
    tbi_agent_tick(f->agent, 3000);
    assert_said(f, "OVERDUE 4 to 0\n");
    assert_null(dispatch_call(f, 5, 1, 4, (struct call){.limit_ms = 2, .lane = 1}));
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

static void submit_call(struct fake *f, int k, int actor)
{
    struct msg_submit *m =
        record(f, TBI_MSG_SUBMIT, 1, sizeof *m + sizeof(struct tbi_id) + sizeof(struct msg_call));

    *m = (struct msg_submit){.kind = TBI_CALL, .task = id(BY(1, k)), .parent = id(9), .nrefs = 1};
    *(struct tbi_id *)(m + 1) = id(actor);
    *(struct msg_call *)((struct tbi_id *)(m + 1) + 1) = (struct msg_call){.actor = id(actor), .seq = 77};
    assert_null(deliver(f, 1));
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
        ON(calls_that_come_in_any_order_run_in_that_of_their_numbers),
        AHEAD(numbers_that_will_not_come_are_skipped),
        ON(ranges_that_overlap_are_skipped_once),
        AHEAD(each_caller_has_numbers_of_its_own),
        AHEAD(a_late_argument_holds_up_its_caller_alone),
        ON(a_call_whose_argument_is_lost_fails_and_the_next_one_runs),
        ON(so_many_run_at_once_as_their_lane_allows),
        ON(a_full_lane_holds_up_no_other),
        ON(an_unknown_lane_is_the_first),
        AHEAD(some_are_given_ahead_of_their_turn),
        AHEAD(one_that_has_not_begun_is_taken_back),
        ON(one_that_runs_is_interrupted_and_its_actor_never_killed),
        ON(one_that_waits_for_its_turn_ends_and_uses_its_number_up),
        ON(one_whose_argument_is_under_way_ends_when_it_is_here_and_holds_up_nobody),
        AHEAD(the_limit_of_a_call_begins_when_it_runs),
        ON(calls_that_run_at_once_have_limits_of_their_own),
        ON(one_that_is_not_wanted_any_more_is_told_to_exit),
        ON(not_wanted_while_it_begins_it_exits_as_soon_as_it_lives),
        ON(not_wanted_before_it_begins_it_never_does),
        ON(not_wanted_while_its_argument_comes_it_ends_when_that_is_here),
        ON(one_that_ends_itself_begins_no_other_call),
        AHEAD(of_the_calls_of_one_that_dies_those_that_were_begun_have_crashed),
        ON(one_that_says_why_it_dies_has_not_crashed),
        ON(killed_it_takes_all_its_calls_with_it),
        ON(cancelled_while_it_begins_it_is_interrupted_and_then_killed),
        ON(a_call_whose_copy_is_under_way_when_its_actor_dies_lets_it_come),
        ON(it_may_be_sent_again_meanwhile_and_uses_the_same_copy),
        ON(calls_whose_copies_are_under_way_at_the_end_are_freed),
        ON(calls_and_skips_for_another_life_are_dropped),
        ON(with_its_bundle_it_is_killed_and_that_goes_when_it_has_ended),
        ON(what_it_gives_back_when_it_lives_is_its_bundles),
        ON(what_an_actor_holds_no_bundle_gets),
        ON(a_process_that_finds_an_actor_has_one_hold_more),
        ON(one_that_was_there_is_held_instead_of_the_one_that_was_not_made),
        ON(a_process_is_told_what_number_its_calls_have_of_each_actor),
        ON(what_does_not_make_sense_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
