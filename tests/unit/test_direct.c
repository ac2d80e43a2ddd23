/* test_direct.c - holds what agents do with calls that go from the caller's agent to the actor's without the head in
 * between: which do, what number each has, who is told of their ends and by whom, and that an agent which was told
 * to stop one never gives it a value. The agent is the caller's in the first half and the actor's in the second. */
#include "agent_actors.h"

/* ---- what is said to the caller's agent ---- */

/* Task 9, which calls actors, runs in process 1. */
static void begin_caller(struct fake *f)
{
    dispatch(f, 9, 0, 0, -1);
    forget(f);
}

struct made {
    unsigned nreturns;  /* 0: one */
    unsigned resolved, held; /* so many refs as arguments, and inside values; of objects 80 .. */
    int64_t argument;   /* 0: none */
};

/* Process 1, or the driver, makes call `k`. */
static void make_call(struct fake *f, int k, int actor, struct made c)
{
    unsigned nrefs = c.resolved + c.held + 1, inlined = c.argument != 0, nargs = c.resolved + inlined;
    struct msg_submit *m = record(f, TBI_MSG_SUBMIT, f->rank,
                                  sizeof *m + nrefs * sizeof(struct tbi_id) + nargs * 8 + inlined * 8 +
                                      sizeof(struct msg_call));
    struct tbi_id *refs = (struct tbi_id *)(m + 1);
    uint64_t *args = (uint64_t *)(refs + nrefs);

    *m = (struct msg_submit){.kind = TBI_CALL, .task = id(BY((int)f->rank, k)), .parent = id(9),
                             .nreturns = (uint16_t)(c.nreturns == 0 ? 1 : c.nreturns), .nargs = (uint16_t)nargs,
                             .nrefs = (uint16_t)nrefs, .nresolve = (uint16_t)c.resolved, .data_bytes = inlined * 8};
    for (unsigned i = 0; i + 1 < nrefs; i++)
        refs[i] = id(80 + (int)i);
    refs[nrefs - 1] = id(actor);
    for (unsigned i = 0; i < c.resolved; i++)
        args[i] = TBI_ARG_REF | i;
    if (inlined)
        args[c.resolved] = 8;
    if (inlined)
        memcpy(args + nargs, &c.argument, 8);
    *(struct msg_call *)(args + nargs + inlined) = (struct msg_call){.actor = id(actor)};
    assert_null(deliver(f, f->rank));
}

static void say_where(struct fake *f, struct msg_where m)
{
    *(struct msg_where *)record(f, TBI_MSG_WHERE, TBI_PROC_NONE, sizeof m) = m;
    assert_null(deliver(f, 0));
}

/* Calls of the actor by process 1, or the driver, may go to this rank, in this life. */
static void where(struct fake *f, int actor, unsigned at, uint32_t epoch)
{
    say_where(f, (struct msg_where){id(actor), epoch, at, f->rank, 0});
}

static void nowhere(struct fake *f, int actor, bool ended)
{
    say_where(f, (struct msg_where){id(actor), 0, TBI_NOWHERE, f->rank, ended});
}

/* Call 11 of actor 1, which lives at rank 2, has gone there. */
static void call_directly(struct fake *f, struct made c)
{
    begin_caller(f);
    make_call(f, 10, 1, (struct made){0});
    where(f, 1, 2, 0);
    make_call(f, 11, 1, c);
    forget(f);
}

static void get(struct fake *f, uint32_t proc, int k, unsigned index, uint32_t flags)
{
    *(struct msg_get *)record(f, TBI_MSG_GET, proc, sizeof(struct msg_get)) =
        (struct msg_get){tbi_id_with_index(id(BY(1, k)), index), flags, 0};
    assert_null(deliver(f, 1));
}

struct end {
    unsigned n;                  /* results: `value`, and one more each */
    int64_t value;
    bool stored, contains, keeps;/* the last result is stored, or has a ref inside; the process keeps one */
};

static void write_end(struct msg_done *m, struct tbi_id task, struct end e)
{
    struct tbi_result *result = (struct tbi_result *)(m + 1);
    struct tbi_id *ids = (struct tbi_id *)(result + e.n);
    unsigned inlined = e.n - e.stored;

    *m = (struct msg_done){.task = task, .nresults = (uint16_t)e.n, .nkept = e.keeps, .data_bytes = inlined * 8};
    for (unsigned i = 0; i < e.n; i++)
        result[i] = (struct tbi_result){TBI_AT_INLINE, 0, 8};
    if (e.stored)
        result[e.n - 1] = (struct tbi_result){TBI_AT_STORE, 0, 5000};
    if (e.contains)
        result[e.n - 1].nrefs = 1;
    if (e.contains)
        *ids++ = id(70);
    if (e.keeps)
        *ids++ = id(71);
    for (unsigned i = 0; i < inlined; i++)
        ((int64_t *)ids)[i] = e.value + i;
}

static size_t end_bytes(struct end e)
{
    return sizeof(struct msg_done) + e.n * sizeof(struct tbi_result) + (e.contains + e.keeps) * sizeof(struct tbi_id) +
           (e.n - e.stored) * 8;
}

/* Rank 2 answers call `k`; without results: the head knows. */
static const char *answer(struct fake *f, int k, struct end e)
{
    write_end(record(f, TBI_MSG_ANSWER, TBI_PROC_NONE, end_bytes(e)), id(BY(1, k)), e);
    return deliver(f, 2);
}

static void taken_over(struct fake *f, int k)
{
    assert_null(object_msg(f, TBI_MSG_TAKEN_OVER, TBI_PROC_NONE, id(BY(1, k))));
}

/* ---- what is said to the actor's agent ---- */

/* A call by process 2 of rank 2, which has come directly. */
static struct msg_dispatch *write_call(struct fake *f, int k, uint64_t number, struct msg_dispatch d, uint32_t epoch)
{
    struct msg_dispatch *m = record(f, TBI_MSG_CALL, TBI_PROC_NONE, sizeof *m + sizeof(struct msg_call));

    *m = d;
    m->task = id(BY(2, k));
    m->flags |= TBI_DISPATCH_STAYS | TBI_DISPATCH_CALL | TBI_DISPATCH_DIRECT;
    *(struct msg_call *)(m + 1) = (struct msg_call){.actor = id(1), .seq = number, .epoch = epoch, .flags = TBI_CALL_DIRECT};
    return m;
}

static void call_of(struct fake *f, int k, uint64_t number, struct msg_dispatch d, uint32_t epoch)
{
    write_call(f, k, number, d, epoch);
    assert_null(deliver(f, 2));
}

static void call(struct fake *f, int k, uint64_t number)
{
    call_of(f, k, number, (struct msg_dispatch){.nreturns = 1}, 0);
}

/* The same caller's, by the head. */
static void dispatch_call_in(struct fake *f, int k, uint64_t number, uint32_t epoch)
{
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m + sizeof(struct msg_call));

    *m = (struct msg_dispatch){.task = id(BY(2, k)), .nreturns = 1, .flags = TBI_DISPATCH_STAYS | TBI_DISPATCH_CALL};
    *(struct msg_call *)(m + 1) = (struct msg_call){.actor = id(1), .seq = number, .epoch = epoch};
    assert_null(deliver(f, 0));
}

static void dispatch_call(struct fake *f, int k, uint64_t number)
{
    dispatch_call_in(f, k, number, 0);
}

static void stop_of(struct fake *f, int k, uint64_t number, uint32_t attempt, uint32_t epoch)
{
    *(struct msg_stop *)record(f, TBI_MSG_STOP, TBI_PROC_NONE, sizeof(struct msg_stop)) =
        (struct msg_stop){id(BY(2, k)), id(1), number, attempt, epoch, 0, 0};
    assert_null(deliver(f, 0));
}

static void stop(struct fake *f, int k, uint64_t number)
{
    stop_of(f, k, number, 0, 0);
}

/* Process 1, the actor, has done the call. */
static void returns(struct fake *f, struct tbi_id task, uint32_t proc, struct end e)
{
    write_end(record(f, TBI_MSG_DONE, proc, end_bytes(e)), task, e);
    assert_null(deliver(f, 1));
}

/* ---- which calls go directly ---- */

static void the_first_call_of_each_actor_asks_where_it_lives(void **state)
{
    struct fake *f = *state;

    begin_caller(f);
    make_call(f, 11, 1, (struct made){0});
    make_call(f, 12, 1, (struct made){0});
    make_call(f, 13, 2, (struct made){0});
    assert_said(f, "SUBMIT 11 to 0 number 1 asks\nSUBMIT 12 to 0 number 2\nSUBMIT 13 to 0 number 1 asks\n");
}

static void once_it_is_told_calls_go_directly_and_the_head_learns_of_them(void **state)
{
    struct fake *f = *state;

    begin_caller(f);
    make_call(f, 11, 1, (struct made){0});
    make_call(f, 12, 2, (struct made){0});
    where(f, 1, 2, 3);
    make_call(f, 13, 1, (struct made){.argument = 42});
    make_call(f, 14, 2, (struct made){0});
    assert_said(f, "SUBMIT 11 to 0 number 1 asks\nSUBMIT 12 to 0 number 1 asks\n"
                   "SUBMIT 13 to 0 number 2 direct\nCALL 13 to 2 number 2 in life 3 of 42\n"
                   "SUBMIT 14 to 0 number 2\n");
}

static void a_call_that_has_refs_goes_by_the_head_and_is_counted_with_the_others(void **state)
{
    struct fake *f = *state;

    begin_caller(f);
    make_call(f, 11, 1, (struct made){0});
    where(f, 1, 2, 0);
    make_call(f, 12, 1, (struct made){.resolved = 1});
    make_call(f, 13, 1, (struct made){.held = 1, .argument = 7});
    make_call(f, 14, 1, (struct made){0});
    assert_said(f, "SUBMIT 11 to 0 number 1 asks\nSUBMIT 12 to 0 number 2\nSUBMIT 13 to 0 number 3\n"
                   "SUBMIT 14 to 0 number 4 direct\nCALL 14 to 2 number 4 in life 0\n");
}

static void calls_of_the_driver_always_go_by_the_head(void **state)
{
    struct fake *f = *state; /* rank 0 */

    make_call(f, 11, 1, (struct made){0});
    where(f, 1, 2, 0);
    make_call(f, 12, 1, (struct made){0});
    assert_said(f, "SUBMIT 11 to 0 number 1\nSUBMIT 12 to 0 number 2\n");
}

static void when_it_lives_nowhere_the_next_call_asks_again(void **state)
{
    struct fake *f = *state;

    begin_caller(f);
    make_call(f, 11, 1, (struct made){0});
    where(f, 1, 2, 0);
    nowhere(f, 1, false);
    make_call(f, 12, 1, (struct made){0});
    make_call(f, 13, 1, (struct made){0});
    where(f, 1, 0, 1);
    make_call(f, 14, 1, (struct made){0});
    assert_said(f, "SUBMIT 11 to 0 number 1 asks\nSUBMIT 12 to 0 number 2 asks\nSUBMIT 13 to 0 number 3\n"
                   "SUBMIT 14 to 0 number 4 direct\nCALL 14 to 0 number 4 in life 1\n");
}

static void when_it_has_ended_its_calls_are_not_counted_any_more(void **state)
{
    struct fake *f = *state;

    begin_caller(f);
    make_call(f, 11, 1, (struct made){0});
    make_call(f, 12, 2, (struct made){0});
    where(f, 1, 2, 0);
    nowhere(f, 1, true);
    nowhere(f, 1, true); /* again, or of one that it never called */
    make_call(f, 13, 1, (struct made){0});
    make_call(f, 14, 2, (struct made){0});
    assert_said(f, "SUBMIT 11 to 0 number 1 asks\nSUBMIT 12 to 0 number 1 asks\nSUBMIT 13 to 0 number 1 asks\n"
                   "SUBMIT 14 to 0 number 2\n");
}

static void what_a_dead_process_asked_is_not_told_to_the_next(void **state)
{
    struct fake *f = *state;

    begin_caller(f);
    make_call(f, 11, 1, (struct made){0});
    crash(f, 1);
    where(f, 1, 2, 0);
    dispatch(f, 8, 0, 0, -1);
    forget(f);
    where(f, 1, 2, 0); /* still of process 1 */
    assert_said(f, "");
}

/* ---- their ends, at the caller's agent ---- */

static void a_small_value_goes_straight_to_the_process_that_called(void **state)
{
    struct fake *f = *state;

    call_directly(f, (struct made){.nreturns = 2});
    assert_null(answer(f, 11, (struct end){.n = 2, .value = 42}));
    assert_said(f, "OBJECT 11 to p1 inline=42\nOBJECT 11.1 to p1 inline=43\n");
    assert_null(answer(f, 11, (struct end){.n = 2, .value = 44})); /* nobody asks any more */
    assert_said(f, "");
    get(f, 1, 11, 0, 0); /* should it want it again, the head has it */
    assert_said(f, "RESOLVE 11 to 0\n");
}

static void who_wants_it_waits_for_the_answer_and_who_polls_does_not(void **state)
{
    struct fake *f = *state;

    call_directly(f, (struct made){0});
    get(f, 1, 11, 0, TBI_GET_WANTED);
    assert_said(f, "");
    get(f, 1, 11, 0, TBI_GET_EXISTS);
    assert_said(f, "");
    get(f, 1, 11, 0, TBI_GET_EXISTS | TBI_GET_POLL);
    assert_said(f, "OBJECT 11 to p1 pending\n");
    assert_null(answer(f, 11, (struct end){.n = 1, .value = 7}));
    assert_said(f, "OBJECT 11 to p1 inline=7\n");
}

static void another_process_asks_the_head(void **state)
{
    struct fake *f = *state;

    call_directly(f, (struct made){0});
    dispatch(f, 8, 1, 0, -1);
    forget(f);
    get(f, 2, 11, 0, 0);
    assert_said(f, "RESOLVE 11 to 0\n");
}

static void an_answer_without_results_sends_who_waits_to_the_head(void **state)
{
    struct fake *f = *state;

    call_directly(f, (struct made){.nreturns = 2});
    get(f, 1, 11, 1, 0);
    get(f, 1, 11, 0, TBI_GET_EXISTS);
    assert_null(answer(f, 11, (struct end){0}));
    assert_said(f, "RESOLVE 11 to 0\nRESOLVE 11.1 to 0\n");
    get(f, 1, 11, 0, TBI_GET_EXISTS | TBI_GET_POLL);
    assert_said(f, "RESOLVE 11 to 0\n");
}

static void so_it_is_when_the_head_has_taken_the_call_over(void **state)
{
    struct fake *f = *state;

    call_directly(f, (struct made){0});
    get(f, 1, 11, 0, 0);
    taken_over(f, 11);
    assert_said(f, "RESOLVE 11 to 0\n");
    get(f, 1, 11, 0, 0);
    assert_said(f, "RESOLVE 11 to 0\n");
    taken_over(f, 11);
    assert_null(answer(f, 11, (struct end){.n = 1})); /* it comes too late: the head decides */
    assert_said(f, "");
}

static void nobody_asks_for_a_process_that_has_died(void **state)
{
    struct fake *f = *state;

    call_directly(f, (struct made){0});
    make_call(f, 12, 1, (struct made){0});
    get(f, 1, 11, 0, 0);
    get(f, 1, 12, 0, 0);
    forget(f);
    crash(f, 1);
    forget(f);
    taken_over(f, 11);
    assert_null(answer(f, 12, (struct end){.n = 1}));
    assert_said(f, "");
}

static void calls_without_an_answer_at_the_end_are_freed(void **state)
{
    struct fake *f = *state;

    call_directly(f, (struct made){0});
    get(f, 1, 11, 0, 0);
    assert_null(tbi_agent_check(f->agent)); /* the teardown does it, and memory is checked */
}

static void a_call_that_returns_nothing_is_not_waited_for(void **state)
{
    struct fake *f = *state;

    call_of(f, 11, 1, (struct msg_dispatch){0}, 0);
    assert_said(f, ""); /* there is no actor */
    live(f, (struct actor){0});
    call_of(f, 11, 1, (struct msg_dispatch){0}, 0);
    returns(f, id(BY(2, 11)), 1, (struct end){0});
    assert_said(f, "RUN 11 to p1\nFINISHED 11 to 0 direct\n");
}

static void an_answer_that_is_not_for_its_caller_alone_is_refused(void **state)
{
    struct fake *f = *state;

    call_directly(f, (struct made){0});
    assert_string_equal(answer(f, 11, (struct end){.n = 1, .stored = true}),
                        "ANSWER with a result that is not for its caller alone");
    assert_string_equal(answer(f, 11, (struct end){.n = 1, .contains = true}),
                        "ANSWER with a result that is not for its caller alone");
    assert_string_equal(answer(f, 11, (struct end){.n = 1, .keeps = true}), "ANSWER that keeps refs");
    assert_said(f, "");
    assert_null(answer(f, 11, (struct end){.n = 1, .value = 7}));
    assert_said(f, "OBJECT 11 to p1 inline=7\n");
}

/* ---- an actor on the caller's own rank ---- */

static void on_the_own_rank_nothing_goes_to_another(void **state)
{
    struct fake *f = *state;

    begin_caller(f);
    assert_null(dispatch_actor(f, 1, (struct actor){0}));
    assert_null(constructed(f, 2, 1, 0));
    make_call(f, 10, 1, (struct made){.resolved = 1}); /* the head has it */
    where(f, 1, 1, 0);
    forget(f);
    make_call(f, 11, 1, (struct made){0});
    make_call(f, 12, 1, (struct made){0});
    get(f, 1, 12, 0, 0);
    assert_said(f, "SUBMIT 11 to 0 number 2 direct\nSUBMIT 12 to 0 number 3 direct\n"); /* one is before them */
    *(struct msg_skip *)record(f, TBI_MSG_SKIP, TBI_PROC_NONE, sizeof(struct msg_skip)) =
        (struct msg_skip){id(1), 0, 1, 1, 0, 1, 2};
    assert_null(deliver(f, 0));
    assert_said(f, "RUN 11 to p2\n");
    returns(f, id(BY(1, 11)), 2, (struct end){.n = 1, .value = 5});
    assert_said(f, "FINISHED 11 to 0 direct\nOBJECT 11 to p1 inline=5\nRUN 12 to p2\n");
    assert_null(failed(f, 2, BY(1, 12)));
    assert_said(f, "FINISHED 12 to 0 error=-1 direct\nRESOLVE 12 to 0\n");
}

/* ---- their ends, at the actor's agent ---- */

static void the_agent_answers_the_caller_and_tells_the_head(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    call_of(f, 11, 1, (struct msg_dispatch){.nreturns = 2}, 0);
    returns(f, id(BY(2, 11)), 1, (struct end){.n = 2, .value = 42});
    assert_said(f, "RUN 11 to p1\nFINISHED 11 to 0 direct\nANSWER 11 to 2 inline=42\n");
}

static void of_what_is_not_for_the_caller_alone_it_says_that_the_head_knows(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    call_of(f, 11, 1, (struct msg_dispatch){.nreturns = 2}, 0);
    assert_null(create(f, 1, tbi_id_with_index(id(BY(2, 11)), 1), 5000));
    returns(f, id(BY(2, 11)), 1, (struct end){.n = 2, .stored = true});
    assert_said(f, "RUN 11 to p1\nCREATED 11 to p1\nFINISHED 11 to 0 direct\nANSWER 11 to 2 ask the head\n");
    call(f, 12, 2);
    returns(f, id(BY(2, 12)), 1, (struct end){.n = 1, .contains = true});
    assert_said(f, "RUN 12 to p1\nFINISHED 12 to 0 direct\nANSWER 12 to 2 ask the head\n");
    call(f, 13, 3);
    returns(f, id(BY(2, 13)), 1, (struct end){.n = 1, .keeps = true});
    assert_said(f, "RUN 13 to p1\nFINISHED 13 to 0 direct\nANSWER 13 to 2 ask the head\n");
    call(f, 14, 4);
    assert_null(failed(f, 1, BY(2, 14)));
    assert_said(f, "RUN 14 to p1\nFINISHED 14 to 0 error=-1 direct\nANSWER 14 to 2 ask the head\n");
}

/* Process 1 makes task `k`, which needs a node of its own choice, for the call `parent`. */
static void submit(struct fake *f, int k, struct tbi_id parent)
{
    struct msg_submit *m = record(f, TBI_MSG_SUBMIT, 1, sizeof *m);

    *m = (struct msg_submit){.task = id(BY(1, k)), .parent = parent, .strategy = TBI_ON_NODE, .node = 2};
    assert_null(deliver(f, 1));
}

static void what_a_call_submits_says_that_the_head_may_not_know_it_yet(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    call(f, 11, 1);
    dispatch_call(f, 12, 2);
    forget(f);
    submit(f, 21, id(BY(2, 11)));
    submit(f, 22, id(BY(2, 12)));
    submit(f, 23, id(BY(2, 13))); /* by a thread that outlives its call */
    assert_said(f, "SUBMIT 21 to 0 of a direct call\nSUBMIT 22 to 0\nSUBMIT 23 to 0\n");
}

static void of_what_it_has_not_ended_when_the_actor_dies_the_head_says_more(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    call(f, 11, 1);
    call(f, 12, 2); /* it was never begun: the head will see that it has not ended */
    forget(f);
    crash(f, 1);
    assert_said(f, "FINISHED 11 to 0 error=-2 crashed direct\nFINISHED 1 to 0 error=-2 crashed\n");
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 0);
    call(f, 13, 3); /* sent before its caller's agent knew */
    assert_said(f, "");
}

static void calls_for_another_life_are_dropped(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.attempt = 1});
    call(f, 11, 1); /* life 0 */
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 1);
    call_of(f, 12, 1, (struct msg_dispatch){.nreturns = 1}, 1);
    assert_said(f, "RUN 12 to p1\n");
}

static void so_are_those_that_the_head_has_sent_again_meanwhile(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){.attempt = 1});
    dispatch_call_in(f, 11, 1, 1);
    call(f, 11, 1); /* life 0: it was on its way when the actor died */
    assert_said(f, "RUN 11 to p1\n");
    returns(f, id(BY(2, 11)), 1, (struct end){.n = 1});
    call(f, 11, 1);
    assert_said(f, "FINISHED 11 to 0\n");
}

static void calls_that_come_either_way_run_in_the_order_of_their_numbers(void **state)
{
    struct fake *f = *state; /* three are given to the process at a time */

    live(f, (struct actor){0});
    call(f, 12, 2);
    call(f, 13, 3);
    assert_said(f, "");
    dispatch_call(f, 11, 1);
    assert_said(f, "RUN 11 to p1\nRUN 12 to p1\nRUN 13 to p1\n");
    returns(f, id(BY(2, 11)), 1, (struct end){.n = 1}); /* of that the caller's agent asks the head */
    assert_said(f, "FINISHED 11 to 0\n");
}

static void a_call_that_is_no_direct_one_is_refused(void **state)
{
    struct fake *f = *state;
    struct msg_dispatch *m;

    live(f, (struct actor){0});
    m = record(f, TBI_MSG_CALL, TBI_PROC_NONE, sizeof *m); /* a task */
    *m = (struct msg_dispatch){.task = id(BY(2, 11)), .nreturns = 1, .flags = TBI_DISPATCH_DIRECT};
    assert_string_equal(deliver(f, 2), "CALL of what is no direct call");
    m = write_call(f, 11, 1, (struct msg_dispatch){.nreturns = 1}, 0);
    m->flags &= (uint16_t)~TBI_DISPATCH_DIRECT;
    assert_string_equal(deliver(f, 2), "CALL of what is no direct call");
    call(f, 11, 1);
    write_call(f, 11, 1, (struct msg_dispatch){.nreturns = 1}, 0);
    assert_string_equal(deliver(f, 2), "DISPATCH of a task that is here");
    assert_said(f, "RUN 11 to p1\n");
}

/* ---- calls that are to stop ---- */

static void stopped_before_it_comes_it_never_begins(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    stop(f, 11, 1);
    assert_said(f, "STOPPED 11 to 0\n");
    call(f, 11, 1);
    assert_said(f, "FINISHED 11 to 0 error=-3 direct\nANSWER 11 to 2 ask the head\n");
    call(f, 12, 2); /* its number is used up */
    assert_said(f, "RUN 12 to p1\n");
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 2);
}

static void so_it_is_if_others_come_before_it(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    stop(f, 12, 2);
    call(f, 11, 1);
    assert_said(f, "STOPPED 12 to 0\nRUN 11 to p1\n");
    call(f, 13, 3);
    returns(f, id(BY(2, 11)), 1, (struct end){.n = 1, .value = 7});
    assert_said(f, "FINISHED 11 to 0 direct\nANSWER 11 to 2 inline=7\n");
    call(f, 12, 2);
    assert_said(f, "FINISHED 12 to 0 error=-3 direct\nANSWER 12 to 2 ask the head\nRUN 13 to p1\n");
}

static void a_stop_that_no_call_follows_goes_with_the_actor(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    stop(f, 11, 1);
    crash(f, 1);
    assert_null(dispatch_actor(f, 1, (struct actor){.attempt = 1}));
    assert_null(constructed(f, 2, 1, 1));
    forget(f);
    call_of(f, 11, 1, (struct msg_dispatch){.nreturns = 1, .attempt = 0}, 1);
    assert_said(f, "RUN 11 to p2\n");
}

static void stopped_while_it_waits_for_its_turn_it_never_begins(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    call(f, 12, 2);
    stop(f, 12, 2);
    assert_said(f, "STOPPED 12 to 0\nFINISHED 12 to 0 error=-3 direct\nANSWER 12 to 2 ask the head\n");
    call(f, 13, 3);
    call(f, 11, 1);
    returns(f, id(BY(2, 11)), 1, (struct end){.n = 1});
    assert_said(f, "RUN 11 to p1\nFINISHED 11 to 0 direct\nANSWER 11 to 2 inline=0\nRUN 13 to p1\n");
}

static void stopped_while_it_was_given_ahead_it_is_taken_back(void **state)
{
    struct fake *f = *state; /* three are given to the process at a time */

    live(f, (struct actor){0});
    call(f, 11, 1);
    call(f, 12, 2);
    forget(f);
    f->not_begun = 1;
    stop(f, 12, 2);
    assert_said(f, "STOPPED 12 to 0\ntake back 1 from p1\nFINISHED 12 to 0 error=-3 direct\n"
                   "ANSWER 12 to 2 ask the head\n");
}

static void stopped_while_it_runs_it_has_no_value_any_more(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    call(f, 11, 1);
    stop(f, 11, 1);
    assert_said(f, "RUN 11 to p1\nSTOPPED 11 to 0\nINTERRUPT 11 to p1\ninterrupt p1 in task number 1\n");
    returns(f, id(BY(2, 11)), 1, (struct end){.n = 1, .value = 42}); /* it takes no notice */
    assert_said(f, "FINISHED 11 to 0 direct\nANSWER 11 to 2 ask the head\n");
}

static void stopped_after_its_end_it_has_what_it_had(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    call(f, 11, 1);
    returns(f, id(BY(2, 11)), 1, (struct end){.n = 1, .value = 42});
    forget(f);
    stop(f, 11, 1); /* FINISHED tells the head that it came too late */
    assert_said(f, "");
}

static void what_is_to_stop_in_another_life_or_attempt_goes_on(void **state)
{
    struct fake *f = *state; /* three are given to the process at a time */

    live(f, (struct actor){.attempt = 1});
    call_of(f, 11, 1, (struct msg_dispatch){.nreturns = 1, .attempt = 1}, 1);
    stop_of(f, 11, 1, 1, 0);
    stop_of(f, 11, 1, 0, 1);
    stop_of(f, 12, 2, 0, 0);
    call_of(f, 12, 2, (struct msg_dispatch){.nreturns = 1}, 1);
    assert_said(f, "RUN 11 to p1 attempt 1\nRUN 12 to p1\n");
}

static void no_call_of_an_actor_that_has_ended_is_stopped(void **state)
{
    struct fake *f = *state;

    live(f, (struct actor){0});
    call(f, 11, 1);
    crash(f, 1);
    forget(f);
    stop(f, 11, 1); /* the actor's FINISHED tells the head what became of it */
    stop(f, 12, 2);
    assert_said(f, "");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define HEAD(test) cmocka_unit_test_setup_teardown(test, setup_head, teardown)
#define AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_ahead, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(the_first_call_of_each_actor_asks_where_it_lives),
        ON(once_it_is_told_calls_go_directly_and_the_head_learns_of_them),
        ON(a_call_that_has_refs_goes_by_the_head_and_is_counted_with_the_others),
        HEAD(calls_of_the_driver_always_go_by_the_head),
        ON(when_it_lives_nowhere_the_next_call_asks_again),
        ON(when_it_has_ended_its_calls_are_not_counted_any_more),
        ON(what_a_dead_process_asked_is_not_told_to_the_next),
        ON(a_small_value_goes_straight_to_the_process_that_called),
        ON(who_wants_it_waits_for_the_answer_and_who_polls_does_not),
        ON(another_process_asks_the_head),
        ON(an_answer_without_results_sends_who_waits_to_the_head),
        ON(so_it_is_when_the_head_has_taken_the_call_over),
        ON(nobody_asks_for_a_process_that_has_died),
        ON(calls_without_an_answer_at_the_end_are_freed),
        ON(an_answer_that_is_not_for_its_caller_alone_is_refused),
        ON(on_the_own_rank_nothing_goes_to_another),
        ON(the_agent_answers_the_caller_and_tells_the_head),
        ON(of_what_is_not_for_the_caller_alone_it_says_that_the_head_knows),
        ON(a_call_that_returns_nothing_is_not_waited_for),
        ON(what_a_call_submits_says_that_the_head_may_not_know_it_yet),
        ON(of_what_it_has_not_ended_when_the_actor_dies_the_head_says_more),
        ON(calls_for_another_life_are_dropped),
        ON(so_are_those_that_the_head_has_sent_again_meanwhile),
        AHEAD(calls_that_come_either_way_run_in_the_order_of_their_numbers),
        ON(a_call_that_is_no_direct_one_is_refused),
        ON(stopped_before_it_comes_it_never_begins),
        ON(so_it_is_if_others_come_before_it),
        ON(a_stop_that_no_call_follows_goes_with_the_actor),
        ON(stopped_while_it_waits_for_its_turn_it_never_begins),
        AHEAD(stopped_while_it_was_given_ahead_it_is_taken_back),
        ON(stopped_while_it_runs_it_has_no_value_any_more),
        ON(stopped_after_its_end_it_has_what_it_had),
        AHEAD(what_is_to_stop_in_another_life_or_attempt_goes_on),
        ON(no_call_of_an_actor_that_has_ended_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
