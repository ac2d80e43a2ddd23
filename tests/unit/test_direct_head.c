/* test_direct_head.c - holds what the head does of calls that go directly from the caller's agent to the actor's: whom
 * it tells where an actor lives, that a call and its end may be learned in either order and in any life of the actor,
 * and that a value which may have been given to the caller stands, whoever cancels or kills. */
#include "sim_actors.h"
#include "sched/graph.h"

/* By process 2 of rank 2. */
#define DIRECT(sim, of, number, life, ...)                                                         \
    CALL(sim, of, number, .by = 2, .call_flags = TBI_CALL_DIRECT, .epoch = (life), __VA_ARGS__)

/* The number of what process 2 makes next. */
static int next_call(const struct sim *sim)
{
    return SIM_BY(2, (int)sim->next + 1);
}

/* The agent of rank 1 says that a direct call has returned this. Unless 0, a ref is inside, and one is kept. */
static const char *returned(struct sim *sim, int call, int64_t value, int inside, int kept)
{
    unsigned nids = (inside != 0) + (kept != 0);
    struct msg_done *m =
        sim_record(sim, TBI_MSG_FINISHED, sizeof *m + sizeof(struct tbi_result) + nids * sizeof(struct tbi_id) + 8);
    struct tbi_result *result = (struct tbi_result *)(m + 1);
    struct tbi_id *ids = (struct tbi_id *)(result + 1);

    *m = (struct msg_done){.task = sim_id((uint64_t)call), .nresults = 1, .data_bytes = 8, .nkept = kept != 0,
                           .direct = 1};
    *result = (struct tbi_result){TBI_AT_INLINE, inside != 0, 8};
    if (inside != 0)
        *ids++ = sim_id((uint64_t)inside);
    if (kept != 0)
        *ids++ = sim_id((uint64_t)kept);
    memcpy(ids, &value, 8);
    return sim_deliver(sim, 1);
}

static const char *returned_stored(struct sim *sim, int call)
{
    struct msg_done *m = sim_record(sim, TBI_MSG_FINISHED, sizeof *m + sizeof(struct tbi_result));

    *m = (struct msg_done){.task = sim_id((uint64_t)call), .nresults = 1, .direct = 1};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){TBI_AT_STORE, 0, 5000};
    return sim_deliver(sim, 1);
}

/* ... or that it has failed. CRASHED: with its actor, of which the next FINISHED tells. */
static void failed(struct sim *sim, int call, int code)
{
    struct msg_done *m = sim_record(sim, TBI_MSG_FINISHED, sizeof *m + sizeof(struct tbi_error_link));

    *m = (struct msg_done){.task = sim_id((uint64_t)call), .error = code, .crashed = code == TB_ERR_CRASHED,
                           .data_bytes = sizeof(struct tbi_error_link), .direct = 1,
                           .error_bytes = sizeof(struct tbi_error_link)};
    tbi_error_link((struct tbi_error_link *)(m + 1), code, "as the test wants it");
    assert_null(sim_deliver(sim, 1));
}

static const char *stopped_at(struct sim *sim, unsigned rank, int call)
{
    *(struct msg_task *)sim_record(sim, TBI_MSG_STOPPED, sizeof(struct msg_task)) =
        (struct msg_task){sim_id((uint64_t)call), 0, 0};
    return sim_deliver(sim, rank);
}

static void stopped(struct sim *sim, int call)
{
    assert_null(stopped_at(sim, 1, call));
}

/* Everybody lets go of the calls and of the actor, which has ended or ends now. */
static void assert_all_goes(struct sim *sim, int actor, bool lives, const int *calls)
{
    for (; *calls != 0; calls++)
        sim_object(sim, TBI_MSG_RELEASE, 2, *calls);
    sim_release(sim, actor);
    if (lives)
        assert_null(sim_ended(sim, 1, actor, 0));
    assert_nothing_is_left(sim);
    assert_int_equal(sim->sched->actors.early.count, 0);
    assert_int_equal(sim->sched->actors.stopping.count, 0);
    assert_int_equal(sim->sched->actors.parents.count, 0);
}
#define ALL(...) ((const int[]){__VA_ARGS__, 0})

/* ---- where it lives ---- */

static void who_asks_is_told_where_it_lives_once(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0});

    CALL(sim, a, 1, .by = 2, .call_flags = TBI_CALL_LOCATES);
    assert_actions(sim, "WHERE 1 to 2.2 epoch=0: 1\nDISPATCH 2 to 1 stays epoch=0\n");
    CALL(sim, a, 2, .by = 2, .call_flags = TBI_CALL_LOCATES);
    CALL(sim, a, 1);
    assert_actions(sim, "DISPATCH 3 to 1 stays epoch=0\nDISPATCH 4 to 1 stays epoch=0\n");
}

static void asked_before_it_lives_it_is_told_then(void **state)
{
    struct sim *sim = *state;
    int a = ACTOR(sim, .cpus = 0);

    CALL(sim, a, 1, .by = 2, .call_flags = TBI_CALL_LOCATES);
    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_null(sim_lives(sim, 1, a, 0));
    assert_actions(sim, "DISPATCH 2 to 1 stays epoch=0\nWHERE 1 to 2.2 epoch=0: 1\n");
}

static void when_it_dies_they_are_told_and_ask_again(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1}), c;

    c = CALL(sim, a, 1, .by = 2, .call_flags = TBI_CALL_LOCATES);
    sim_run(sim);
    assert_null(sim_called(sim, 1, c, 0, 7, false));
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "WHERE 1 to 2.2: nowhere\nDISPATCH 1 to 1 attempt=1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_silence(sim);
    CALL(sim, a, 2, .by = 2, .call_flags = TBI_CALL_LOCATES);
    assert_actions(sim, "SKIP 1 to 1 epoch=1: 2.2's 1 to 1\nWHERE 1 to 2.2 epoch=1: 1\n"
                        "DISPATCH 3 to 1 stays epoch=1\n");
}

static void when_it_has_ended_all_who_called_it_are_told(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0});

    CALL(sim, a, 1, .by = 2, .call_flags = TBI_CALL_LOCATES);
    sim_run(sim);
    assert_null(sim_called(sim, 1, SIM_BY(2, 2), 0, 7, true));
    assert_null(sim_ended(sim, 1, a, 0));
    assert_actions(sim, "WHERE 1 to 2.2: ended\n");
}

static void calls_of_one_that_limits_them_stay_with_the_head(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .as = {.max_pending = 2}});

    CALL(sim, a, 1, .by = 2, .call_flags = TBI_CALL_LOCATES);
    assert_actions(sim, "DISPATCH 2 to 1 stays epoch=0\n");
}

/* ---- learned of while it runs ---- */

static void a_call_that_is_at_its_actor_is_not_sent_there(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0);

    assert_silence(sim);
    assert_fate(sim, c, "pending");
    assert_null(returned(sim, c, 42, 0, 0));
    assert_fate(sim, c, "inline=42");
    assert_silence(sim);
    assert_all_goes(sim, a, true, ALL(c));
}

static void its_number_is_counted_with_those_of_the_others(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), bad = sim_submit(sim, (struct sim_task){.cpus = 9});

    DIRECT(sim, a, 1, 0);
    CALL(sim, a, 2, .by = 2);
    CALL(sim, a, 3, .by = 2, .after = {bad});
    DIRECT(sim, a, 4, 0);
    CALL(sim, a, 5, .by = 2);
    assert_actions(sim, "DISPATCH 4 to 1 stays epoch=0\nSKIP 1 to 1 epoch=0: 2.2's 3 to 3\n"
                        "DISPATCH 7 to 1 stays epoch=0\n");
}

static void who_waits_for_it_at_the_head_is_told(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0);

    sim_submit(sim, (struct sim_task){.cpus = 1, .after = {c}, .strategy = TBI_ON_NODE, .node = 2});
    sim_resolve(sim, 0, c, TBI_GET_WANTED); /* its agent has it: more is not to be done */
    sim_run(sim);
    assert_null(returned(sim, c, 42, 0, 0));
    assert_actions(sim, "RESOLVED 2 to 0 inline=42\nDISPATCH 3 to 2 stays inline=8\n");
}

static void it_fails_as_others_do(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1, .as = {.max_task_retries = -1}}),
        c = DIRECT(sim, a, 1, 0);

    failed(sim, c, TB_ERR_TASK);
    assert_fate(sim, c, "error=-1 in work");
    assert_silence(sim);
    assert_all_goes(sim, a, true, ALL(c));
}

static void when_it_crashes_the_head_takes_it_over_for_the_next_life(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1, .as = {.max_task_retries = -1}}),
        begun = DIRECT(sim, a, 1, 0), waits = DIRECT(sim, a, 2, 0);

    failed(sim, begun, TB_ERR_CRASHED);
    assert_fate(sim, begun, "pending");
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "TAKEN_OVER 2 to 2\nTAKEN_OVER 3 to 2\nDISPATCH 1 to 1 attempt=1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 2 to 1 stays attempt=1 epoch=1\nDISPATCH 3 to 1 stays epoch=1\n");
    sim_cancel(sim, waits, 0); /* it is a call like any other now */
    assert_actions(sim, "ABORT 3 to 1\n");
    assert_fate(sim, waits, "error=-3 in work");
}

static void or_says_that_the_actor_is_unavailable_or_has_died(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = 1}), begun = DIRECT(sim, a, 1, 0),
        waits = DIRECT(sim, a, 2, 0), later;

    failed(sim, begun, TB_ERR_CRASHED);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "TAKEN_OVER 2 to 2\nTAKEN_OVER 3 to 2\nDISPATCH 1 to 1 attempt=1\n");
    assert_fate(sim, begun, "error=-6 in work because -2");
    assert_fate(sim, waits, "error=-6 in work because -2");
    assert_null(sim_lives(sim, 1, a, 1));
    later = DIRECT(sim, a, 3, 1);
    sim_run(sim);
    sim_crashed(sim, 1, a, 1);
    assert_actions(sim, "WHERE 1 to 2.2: ended\nTAKEN_OVER 4 to 2\n");
    assert_died(sim, later, "as the test wants it");
    assert_all_goes(sim, a, false, ALL(begun, waits, later));
}

/* ---- its end comes first ---- */

static void an_end_that_comes_first_is_kept_until_the_call_is_known(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = next_call(sim), d;

    assert_null(returned(sim, c, 42, 0, 0));
    assert_silence(sim);
    assert_int_equal(DIRECT(sim, a, 1, 0), c);
    assert_fate(sim, c, "inline=42");
    d = next_call(sim);
    failed(sim, d, TB_ERR_TASK);
    DIRECT(sim, a, 2, 0);
    assert_fate(sim, d, "error=-1 in work");
    CALL(sim, a, 3, .by = 2);
    assert_actions(sim, "DISPATCH 4 to 1 stays epoch=0\n"); /* they have used their numbers up */
    assert_null(sim_called(sim, 1, SIM_BY(2, 4), 0, 1, false));
    assert_all_goes(sim, a, true, ALL(c, d, SIM_BY(2, 4)));
}

static void what_it_contains_lives_though_its_maker_lets_go(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), x = sim_put(sim, 5, 0), y = sim_put(sim, 6, 0),
        c = next_call(sim);

    assert_null(returned(sim, c, 42, x, y));
    sim_release(sim, x);
    sim_release(sim, y);
    assert_fate(sim, x, "inline=5");
    DIRECT(sim, a, 1, 0);
    assert_fate(sim, c, "inline=42");
    assert_fate(sim, x, "inline=5");
    sim_object(sim, TBI_MSG_RELEASE, 2, c);
    assert_fate(sim, x, "error=-14");
    assert_fate(sim, y, "inline=6"); /* the process has kept it */
    sim_object(sim, TBI_MSG_RELEASE, 1, y);
    assert_all_goes(sim, a, true, ALL(c));
}

static void a_value_that_nobody_wants_any_more_is_freed(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0), d = next_call(sim);

    sim_object(sim, TBI_MSG_RELEASE, 2, c);
    assert_null(returned_stored(sim, c));
    assert_actions(sim, "FREE 2 to 1\n");
    assert_null(returned_stored(sim, d));
    DIRECT(sim, a, 2, 0);
    assert_silence(sim);
    sim_object(sim, TBI_MSG_RELEASE, 2, d);
    assert_actions(sim, "FREE 3 to 1\n");
    sim_release(sim, a);
    assert_null(sim_ended(sim, 1, a, 0));
    assert_nothing_is_left(sim);
}

static void a_crash_that_comes_first_is_one_when_the_actors_is_known_too(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1, .as = {.max_task_retries = 1}}),
        c = next_call(sim);

    failed(sim, c, TB_ERR_CRASHED);
    DIRECT(sim, a, 1, 0);
    assert_fate(sim, c, "pending");
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "TAKEN_OVER 2 to 2\nDISPATCH 1 to 1 attempt=1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 2 to 1 stays attempt=1 epoch=1\n");
    sim_crashed(sim, 1, c, 1);
    sim_crashed(sim, 1, a, 1);
    sim_run(sim);
    assert_fate(sim, c, "error=-6 in work because -2"); /* it has had its retry */
}

static void both_may_come_before_the_call(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1, .as = {.max_task_retries = -1}}),
        c = next_call(sim), d;

    failed(sim, c, TB_ERR_CRASHED);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    DIRECT(sim, a, 1, 0);
    assert_actions(sim, "TAKEN_OVER 2 to 2\n");
    d = RETRIED_CALL(sim, a, 2, 0, .by = 2, .call_flags = TBI_CALL_DIRECT);
    assert_actions(sim, "TAKEN_OVER 3 to 2\n");
    assert_fate(sim, d, "error=-6 in work because -2"); /* it was never begun, but may not be sent again */
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 2 to 1 stays attempt=1 epoch=1\n");
    assert_null(sim_called(sim, 1, c, 1, 7, false));
    assert_fate(sim, c, "inline=7");
}

static void learned_of_in_the_next_life_it_is_sent_there(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1, .as = {.max_task_retries = 1}}), c, d, e;

    c = next_call(sim);
    failed(sim, c, TB_ERR_CRASHED);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 1));
    DIRECT(sim, a, 1, 0);
    d = DIRECT(sim, a, 2, 0);
    e = RETRIED_CALL(sim, a, 3, 0, .by = 2, .call_flags = TBI_CALL_DIRECT);
    assert_actions(sim, "TAKEN_OVER 2 to 2\nDISPATCH 2 to 1 stays attempt=1 epoch=1\n"
                        "TAKEN_OVER 3 to 2\nDISPATCH 3 to 1 stays epoch=1\n"
                        "TAKEN_OVER 4 to 2\nSKIP 1 to 1 epoch=1: 2.2's 3 to 3\n");
    assert_fate(sim, e, "error=-6 in work because -2");
    DIRECT(sim, a, 4, 1);
    assert_silence(sim);
    (void)d;
}

static void learned_of_when_the_actor_has_ended_it_has_died_with_it(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .as = {.max_task_retries = -1}}), value = next_call(sim),
        crashed = value + 1, failure = value + 2, unknown = value + 3;

    assert_null(returned(sim, value, 42, 0, 0));
    failed(sim, failure, TB_ERR_TASK);
    failed(sim, crashed, TB_ERR_CRASHED);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    DIRECT(sim, a, 1, 0);
    DIRECT(sim, a, 2, 0);
    DIRECT(sim, a, 3, 0);
    DIRECT(sim, a, 4, 0);
    assert_actions(sim, "WHERE 1 to 2.2: ended\nWHERE 1 to 2.2: ended\nTAKEN_OVER 3 to 2\nWHERE 1 to 2.2: ended\n"
                        "WHERE 1 to 2.2: ended\nTAKEN_OVER 5 to 2\n");
    assert_fate(sim, value, "inline=42");
    assert_fate(sim, failure, "error=-1 in work");
    assert_died(sim, crashed, "as the test wants it");
    assert_died(sim, unknown, "as the test wants it");
    assert_all_goes(sim, a, false, ALL(value, crashed, failure, unknown));
}

/* ---- kills ---- */

static void a_value_that_is_on_its_way_stands_when_the_actor_is_killed(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1}), done = DIRECT(sim, a, 1, 0),
        begun = DIRECT(sim, a, 2, 0), waits = DIRECT(sim, a, 3, 0), byhead = CALL(sim, a, 4, .by = 2);

    sim_run(sim);
    sim_kill(sim, a, KILL);
    assert_actions(sim, "ABORT 1 to 1 by force\n");
    assert_fate(sim, byhead, "pending");
    assert_fate(sim, done, "pending");
    assert_fate(sim, begun, "pending");
    assert_null(returned(sim, done, 42, 0, 0));
    failed(sim, begun, TB_ERR_CRASHED);
    sim_crashed(sim, 1, byhead, 0);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "WHERE 1 to 2.2: ended\nTAKEN_OVER 3 to 2\nTAKEN_OVER 4 to 2\n");
    assert_fate(sim, done, "inline=42");
    assert_died(sim, begun, "killed by tb_kill");
    assert_died(sim, waits, "killed by tb_kill");
    assert_died(sim, byhead, "killed by tb_kill");
    assert_all_goes(sim, a, false, ALL(done, begun, waits, byhead));
}

static void so_it_is_if_the_head_learns_of_the_call_after_the_kill(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), early = next_call(sim), late = early + 1, waits = early + 2;

    sim_kill(sim, a, KILL);
    sim_run(sim);
    assert_null(returned(sim, early, 41, 0, 0));
    DIRECT(sim, a, 1, 0);
    assert_fate(sim, early, "inline=41");
    DIRECT(sim, a, 2, 0);
    DIRECT(sim, a, 3, 0);
    assert_fate(sim, late, "pending");
    assert_null(returned(sim, late, 42, 0, 0));
    assert_fate(sim, late, "inline=42");
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "WHERE 1 to 2.2: ended\nTAKEN_OVER 4 to 2\n");
    assert_died(sim, waits, "killed by tb_kill");
    assert_all_goes(sim, a, false, ALL(early, late, waits));
}

static void killed_to_be_begun_again_its_calls_go_on(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1, .as = {.max_task_retries = -1}}),
        c = DIRECT(sim, a, 1, 0);

    sim_kill(sim, a, 0);
    assert_actions(sim, "ABORT 1 to 1 by force\n");
    assert_fate(sim, c, "pending");
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "TAKEN_OVER 2 to 2\nDISPATCH 1 to 1 attempt=1\n");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_actions(sim, "DISPATCH 2 to 1 stays epoch=1\n");
}

static void it_ends_itself_and_calls_behind_that_have_died(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0), late;

    assert_null(sim_ended(sim, 1, a, 0)); /* after a call by another way */
    assert_actions(sim, "WHERE 1 to 2.2: ended\nTAKEN_OVER 2 to 2\n");
    late = DIRECT(sim, a, 2, 0);
    assert_actions(sim, "WHERE 1 to 2.2: ended\nTAKEN_OVER 3 to 2\n");
    assert_died(sim, c, "it called tb_actor_exit");
    assert_died(sim, late, "it called tb_actor_exit");
    assert_all_goes(sim, a, false, ALL(c, late));
}

/* ---- cancels ---- */

static void a_cancel_asks_the_actors_agent_first(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 7, 0);

    sim_run(sim);
    sim_cancel(sim, c, TB_CANCEL_FORCE);
    assert_actions(sim, "STOP 2 to 1 number=7 epoch=0\n");
    assert_fate(sim, c, "pending");
    sim_cancel(sim, c, 0);
    assert_silence(sim);
    stopped(sim, c);
    assert_actions(sim, "TAKEN_OVER 2 to 2\nABORT 2 to 1\n"); /* not by force: its process is the actor's */
    assert_fate(sim, c, "error=-3 in work");
    assert_null(returned_stored(sim, c)); /* it took no notice */
    assert_actions(sim, "FREE 2 to 1\n");
    assert_fate(sim, c, "error=-3 in work");
    assert_all_goes(sim, a, true, ALL(c));
}

static void a_value_that_is_on_its_way_stands_when_it_is_cancelled(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0), d = DIRECT(sim, a, 2, 0);

    sim_cancel(sim, c, 0);
    sim_cancel(sim, d, 0);
    assert_null(returned(sim, c, 42, 0, 0));
    failed(sim, d, TB_ERR_TASK);
    assert_fate(sim, c, "inline=42");
    assert_fate(sim, d, "error=-1 in work");
    sim_cancel(sim, c, 0); /* it is over */
    assert_silence(sim);
    assert_all_goes(sim, a, true, ALL(c, d));
}

static void a_cancelled_one_whose_actor_dies_is_cancelled(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0, .max_retries = -1, .as = {.max_task_retries = -1}}),
        begun = DIRECT(sim, a, 1, 0), waits = DIRECT(sim, a, 2, 0), both = DIRECT(sim, a, 3, 0);

    sim_cancel(sim, begun, 0);
    sim_cancel(sim, waits, 0);
    sim_cancel(sim, both, 0);
    sim_run(sim);
    stopped(sim, both);
    sim_run(sim);
    failed(sim, begun, TB_ERR_CRASHED);
    sim_crashed(sim, 1, a, 0);
    assert_actions(sim, "TAKEN_OVER 2 to 2\nTAKEN_OVER 3 to 2\nDISPATCH 1 to 1 attempt=1\n");
    assert_fate(sim, begun, "error=-3 in work");
    assert_fate(sim, waits, "error=-3 in work");
    assert_fate(sim, both, "error=-3 in work");
    assert_null(sim_lives(sim, 1, a, 1));
    assert_silence(sim); /* none of them runs again */
    for (int c = begun; c <= both; c++)
        sim_object(sim, TBI_MSG_RELEASE, 2, c);
    sim_release(sim, a);
    assert_null(sim_ended(sim, 1, a, 1));
    assert_nothing_is_left(sim);
    assert_int_equal(sim->unread, 0);
}

static void a_cancelled_one_whose_actor_is_killed_is_cancelled(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0);

    sim_cancel(sim, c, 0);
    sim_kill(sim, a, KILL);
    sim_crashed(sim, 1, a, 0);
    sim_run(sim);
    assert_fate(sim, c, "error=-3 in work");
    assert_all_goes(sim, a, false, ALL(c));
}

static void one_that_takes_too_long_is_stopped_likewise(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0), d = DIRECT(sim, a, 2, 0);

    sim_task_msg(sim, TBI_MSG_OVERDUE, 1, c);
    sim_task_msg(sim, TBI_MSG_OVERDUE, 1, d);
    assert_actions(sim, "STOP 2 to 1 number=1 epoch=0\nSTOP 3 to 1 number=2 epoch=0\n");
    stopped(sim, c);
    assert_null(returned(sim, d, 42, 0, 0)); /* just in time */
    assert_fate(sim, c, "error=-4 in work");
    assert_fate(sim, d, "inline=42");
    failed(sim, c, TB_ERR_TIMEOUT);
    assert_all_goes(sim, a, true, ALL(c, d));
}

/* A task of process 2 at rank 2, which makes calls. */
static int caller(struct sim *sim)
{
    int t = sim_submit(sim, (struct sim_task){.cpus = 2, .strategy = TBI_ON_NODE, .node = 2});

    assert_actions(sim, "DISPATCH 2 to 2 stays\n");
    return t;
}

static void with_the_task_that_made_it_it_is_to_stop(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), t = caller(sim), c = DIRECT(sim, a, 1, 0, .parent = t), late,
        early;

    sim_cancel(sim, t, 0);
    assert_actions(sim, "ABORT 2 to 2\nSTOP 3 to 1 number=1 epoch=0\n");
    late = DIRECT(sim, a, 2, 0, .parent = t); /* it was made before its maker knew */
    assert_actions(sim, "STOP 4 to 1 number=2 epoch=0\n");
    early = next_call(sim);
    assert_null(returned(sim, early, 42, 0, 0));
    DIRECT(sim, a, 3, 0, .parent = t);
    assert_silence(sim);
    assert_fate(sim, early, "inline=42");
    stopped(sim, c);
    stopped(sim, late);
    assert_fate(sim, c, "error=-3 in work");
    assert_fate(sim, late, "error=-3 in work");
    failed(sim, c, TB_ERR_CANCELLED);
    failed(sim, late, TB_ERR_CANCELLED);
    sim_failed(sim, 2, t, TB_ERR_CANCELLED);
    sim_release(sim, t);
    assert_all_goes(sim, a, true, ALL(c, late, early));
}

static void what_it_has_submitted_is_cancelled_when_it_has_stopped(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0), d = DIRECT(sim, a, 2, 0);

    sim_submit(sim, (struct sim_task){.cpus = 1, .parent = c, .by = 1, .strategy = TBI_ON_NODE, .node = 2});
    sim_submit(sim, (struct sim_task){.cpus = 1, .parent = d, .by = 1, .strategy = TBI_ON_NODE, .node = 2});
    assert_actions(sim, "DISPATCH 4 to 2 stays\nDISPATCH 5 to 2 stays\n");
    sim_cancel(sim, c, 0);
    sim_cancel(sim, d, TB_CANCEL_NOT_RECURSIVE);
    assert_actions(sim, "STOP 2 to 1 number=1 epoch=0\nSTOP 3 to 1 number=2 epoch=0\n");
    stopped(sim, c);
    stopped(sim, d);
    assert_actions(sim, "TAKEN_OVER 2 to 2\nABORT 2 to 1\nABORT 4 to 2\nTAKEN_OVER 3 to 2\nABORT 3 to 1\n");
}

/* A task of call `c`, which runs at rank 1, of which the head may not have heard. */
static int child_of(struct sim *sim, int c)
{
    return sim_submit(sim, (struct sim_task){.cpus = 1, .parent = c, .of_direct = 1, .by = 1,
                                             .strategy = TBI_ON_NODE, .node = 2});
}

static void so_is_what_it_submitted_before_the_head_knew_of_it(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = next_call(sim) + 2, first = child_of(sim, c),
        second = child_of(sim, c);

    assert_actions(sim, "DISPATCH 2 to 2 stays\nDISPATCH 3 to 2 stays\n");
    assert_int_equal(DIRECT(sim, a, 1, 0), c);
    assert_null(sim_done(sim, 2, second, 1, 0, 0));
    sim_cancel(sim, c, 0);
    assert_actions(sim, "STOP 4 to 1 number=1 epoch=0\n");
    stopped(sim, c);
    assert_actions(sim, "TAKEN_OVER 4 to 2\nABORT 4 to 1\nABORT 2 to 2\n");
    failed(sim, c, TB_ERR_CANCELLED);
    sim_failed(sim, 2, first, TB_ERR_CANCELLED);
    sim_object(sim, TBI_MSG_RELEASE, 1, first);
    sim_object(sim, TBI_MSG_RELEASE, 1, second);
    assert_all_goes(sim, a, true, ALL(c));
}

static void and_when_it_had_crashed_before(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = next_call(sim) + 1, child = child_of(sim, c);

    assert_actions(sim, "DISPATCH 2 to 2 stays\n");
    failed(sim, c, TB_ERR_CRASHED);
    assert_silence(sim);
    assert_int_equal(DIRECT(sim, a, 1, 0), c);
    assert_actions(sim, "ABORT 2 to 2\n");
    sim_crashed(sim, 1, a, 0);
    sim_failed(sim, 2, child, TB_ERR_CANCELLED);
    sim_object(sim, TBI_MSG_RELEASE, 1, child);
    assert_all_goes(sim, a, false, ALL(c));
}

static void but_what_a_call_has_submitted_that_has_returned_goes_on(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = next_call(sim) + 1, child = child_of(sim, c);

    assert_null(returned(sim, c, 5, 0, 0));
    assert_actions(sim, "DISPATCH 2 to 2 stays\n");
    assert_int_equal(DIRECT(sim, a, 1, 0), c);
    sim_cancel(sim, c, 0);
    assert_silence(sim);
    assert_null(sim_done(sim, 2, child, 1, 0, 0));
    sim_object(sim, TBI_MSG_RELEASE, 1, child);
    assert_all_goes(sim, a, true, ALL(c));
}

/* ---- what is refused ---- */

static void what_makes_no_sense_is_refused_and_changes_nothing(void **state)
{
    struct sim *sim = *state;
    int a = sim_living(sim, (struct sim_task){.cpus = 0}), c = DIRECT(sim, a, 1, 0), d = CALL(sim, a, 2, .by = 2);

    sim_run(sim);
    assert_non_null(stopped_at(sim, 1, c)); /* it was not to stop */
    assert_non_null(stopped_at(sim, 1, d));
    assert_non_null(stopped_at(sim, 1, 77));
    sim_cancel(sim, c, 0);
    assert_actions(sim, "STOP 2 to 1 number=1 epoch=0\n");
    assert_non_null(stopped_at(sim, 2, c)); /* it is not there */
    assert_null(returned(sim, SIM_BY(2, 9), 1, 0, 0));
    assert_non_null(returned(sim, SIM_BY(2, 9), 1, 0, 0)); /* twice */
    assert_silence(sim);
    assert_fate(sim, c, "pending");
    stopped(sim, c);
    assert_fate(sim, c, "error=-3 in work");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, sim_two_workers, sim_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(who_asks_is_told_where_it_lives_once),
        ON(asked_before_it_lives_it_is_told_then),
        ON(when_it_dies_they_are_told_and_ask_again),
        ON(when_it_has_ended_all_who_called_it_are_told),
        ON(calls_of_one_that_limits_them_stay_with_the_head),
        ON(a_call_that_is_at_its_actor_is_not_sent_there),
        ON(its_number_is_counted_with_those_of_the_others),
        ON(who_waits_for_it_at_the_head_is_told),
        ON(it_fails_as_others_do),
        ON(when_it_crashes_the_head_takes_it_over_for_the_next_life),
        ON(or_says_that_the_actor_is_unavailable_or_has_died),
        ON(an_end_that_comes_first_is_kept_until_the_call_is_known),
        ON(what_it_contains_lives_though_its_maker_lets_go),
        ON(a_value_that_nobody_wants_any_more_is_freed),
        ON(a_crash_that_comes_first_is_one_when_the_actors_is_known_too),
        ON(both_may_come_before_the_call),
        ON(learned_of_in_the_next_life_it_is_sent_there),
        ON(learned_of_when_the_actor_has_ended_it_has_died_with_it),
        ON(a_value_that_is_on_its_way_stands_when_the_actor_is_killed),
        ON(so_it_is_if_the_head_learns_of_the_call_after_the_kill),
        ON(killed_to_be_begun_again_its_calls_go_on),
        ON(it_ends_itself_and_calls_behind_that_have_died),
        ON(a_cancel_asks_the_actors_agent_first),
        ON(a_value_that_is_on_its_way_stands_when_it_is_cancelled),
        ON(a_cancelled_one_whose_actor_dies_is_cancelled),
        ON(a_cancelled_one_whose_actor_is_killed_is_cancelled),
        ON(one_that_takes_too_long_is_stopped_likewise),
        ON(with_the_task_that_made_it_it_is_to_stop),
        ON(what_it_has_submitted_is_cancelled_when_it_has_stopped),
        ON(so_is_what_it_submitted_before_the_head_knew_of_it),
        ON(and_when_it_had_crashed_before),
        ON(but_what_a_call_has_submitted_that_has_returned_goes_on),
        ON(what_makes_no_sense_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
