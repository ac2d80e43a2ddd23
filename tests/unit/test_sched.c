/* test_sched.c - holds the scheduler and directory: transcripts of what it sends for what it is
 * told. The sim is one driver on rank 0 (which runs no tasks) and workers behind it. */
#include "sim.h"

static void a_task_is_dispatched_and_its_value_reaches_who_asked(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1});

    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_resolve(sim, 0, a, 0);
    assert_actions(sim, "");
    assert_null(sim_done(sim, 1, a, 1, 42, 0));
    assert_actions(sim, "RESOLVED 1 to 0 inline=42\n");
    sim_resolve(sim, 0, a, 0);
    assert_actions(sim, "RESOLVED 1 to 0 inline=42\n");
    sim_object(sim, TBI_MSG_RELEASE, 0, a);
    assert_int_equal(tbi_sched_counts(sim->sched).makers, 0);
}

static void a_dependant_waits_for_its_argument(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1});

    sim_submit(sim, (struct sim_task){.cpus = 1, .after = {a}});
    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_null(sim_done(sim, 1, a, 1, 7, 0));
    assert_actions(sim, "DISPATCH 2 to 1 inline=8\n");
}

static void an_argument_released_by_its_submitter_lives_until_the_task_is_done(void **state)
{
    struct sim *sim = *state;
    int x = sim_put(sim, 5, 0), t = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {x}});

    sim_object(sim, TBI_MSG_RELEASE, 0, x);
    assert_actions(sim, "DISPATCH 2 to 1 inline=8\n");
    assert_int_equal(tbi_sched_counts(sim->sched).objects, 2);
    assert_null(sim_done(sim, 1, t, 1, 0, 0));
    assert_int_equal(tbi_sched_counts(sim->sched).objects, 1);
    sim_resolve(sim, 0, x, 0);
    assert_actions(sim, "RESOLVED 1 to 0 error=-14\n");
}

static void a_kept_ref_is_handed_over_with_the_end_of_the_task(void **state)
{
    struct sim *sim = *state;
    int x = sim_put(sim, 5, 0), t = sim_submit(sim, (struct sim_task){.cpus = 1, .holds = {x}});

    sim_object(sim, TBI_MSG_RELEASE, 0, x);
    assert_actions(sim, "DISPATCH 2 to 1\n");
    assert_null(sim_done(sim, 1, t, 1, 0, x));
    sim_resolve(sim, 1, x, 0);
    assert_actions(sim, "RESOLVED 1 to 1 inline=5\n");
    sim_object(sim, TBI_MSG_RELEASE, 1, x);
    sim_object(sim, TBI_MSG_RELEASE, 0, t);
    assert_int_equal(tbi_sched_counts(sim->sched).makers, 0);
}

static void an_object_inside_another_lives_as_long_as_that(void **state)
{
    struct sim *sim = *state;
    int inner = sim_put(sim, 1, 0), middle = sim_put(sim, 2, inner), outer = sim_put(sim, 3, middle);

    sim_object(sim, TBI_MSG_RELEASE, 0, inner);
    sim_object(sim, TBI_MSG_RELEASE, 0, middle);
    assert_int_equal(tbi_sched_counts(sim->sched).objects, 3);
    sim_object(sim, TBI_MSG_RELEASE, 0, outer);
    assert_int_equal(tbi_sched_counts(sim->sched).objects, 0);
}

static void a_failure_reaches_every_dependant_with_the_first_cause(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1}),
        slow = sim_submit(sim, (struct sim_task){.cpus = 1}),
        b = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {slow, a}}),
        c = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {b}});

    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 1\n");
    sim_resolve(sim, 0, c, 0);
    sim_failed(sim, 1, a, TB_ERR_CRASHED);
    assert_actions(sim, "RESOLVED 4 to 0 error=-2 in work\n");
    /* b is gone although it stands among the waiters of `slow` */
    sim_object(sim, TBI_MSG_RELEASE, 0, b);
    assert_null(sim_done(sim, 1, slow, 1, 0, 0));
    assert_actions(sim, "");
    /* and a task submitted with a failed argument fails at once */
    sim_resolve(sim, 0, sim_submit(sim, (struct sim_task){.cpus = 1, .after = {c}}), 0);
    assert_actions(sim, "RESOLVED 5 to 0 error=-2 in work\n");
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
}

static void a_long_chain_of_dependants_fails_without_recursion(void **state)
{
    struct sim *sim = *state;
    int first = sim_submit(sim, (struct sim_task){.cpus = 1}), last = first;

    for (int i = 0; i < 200000; i++)
        last = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {last}});
    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_resolve(sim, 0, last, 0);
    sim_failed(sim, 1, first, TB_ERR_TASK);
    assert_actions(sim, "RESOLVED 200001 to 0 error=-1 in work\n");
}

static void who_asks_again_and_again_is_answered_once(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1});

    assert_actions(sim, "DISPATCH 1 to 1\n");
    for (int i = 0; i < 3; i++) {
        sim_resolve(sim, 0, a, 0);
        sim_resolve(sim, 1, a, TBI_GET_EXISTS);
        sim_resolve(sim, 1, a, TBI_GET_WANTED);
        sim_object(sim, TBI_MSG_HOLD, 1, a);
        sim_object(sim, TBI_MSG_RELEASE, 1, a);
    }
    assert_null(sim_done(sim, 1, a, 1, 0, 0));
    assert_actions(sim, "WANTED 1 to 1\n"
                        "RESOLVED 1 to 0 inline=0\nRESOLVED 1 to 1 inline=0\nRESOLVED 1 to 1 inline=0\n");
}

static void a_poll_is_answered_at_once(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1});

    sim_resolve(sim, 0, a, TBI_GET_EXISTS | TBI_GET_POLL);
    assert_actions(sim, "RESOLVED 1 to 0 pending\nDISPATCH 1 to 1\n");
    assert_null(sim_done(sim, 1, a, 1, 42, 0));
    assert_actions(sim, "");
    sim_resolve(sim, 0, a, TBI_GET_EXISTS | TBI_GET_POLL);
    assert_actions(sim, "RESOLVED 1 to 0 inline=42\n");
}

static void a_ref_released_before_its_task_ended_is_freed(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1});

    sim_object(sim, TBI_MSG_RELEASE, 0, a);
    sim_resolve(sim, 0, a, 0);
    sim_object(sim, TBI_MSG_HOLD, 0, a);
    assert_actions(sim, "RESOLVED 1 to 0 error=-14\nDISPATCH 1 to 1\n");
    assert_null(sim_done(sim, 1, a, 1, 42, 0));
    assert_int_equal(tbi_sched_counts(sim->sched).makers, 0);
}

static void an_infeasible_demand_fails_at_once_and_blocks_nobody(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 3});

    sim_submit(sim, (struct sim_task){.cpus = 2});
    sim_resolve(sim, 0, a, 0);
    assert_actions(sim, "RESOLVED 1 to 0 error=-10 in work\nDISPATCH 2 to 1\n");
}

static void a_freed_argument_fails_the_task_with_ref(void **state)
{
    struct sim *sim = *state;
    int x = sim_put(sim, 5, 0);

    sim_object(sim, TBI_MSG_RELEASE, 0, x);
    sim_resolve(sim, 0, sim_submit(sim, (struct sim_task){.cpus = 1, .after = {x}}), 0);
    assert_actions(sim, "RESOLVED 2 to 0 error=-14\n");
}

static void a_blocked_task_gives_its_cpus_back_after_its_children_are_sent(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 5; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1});
    sim_actions(sim);
    tbi_sched_run(sim->sched);
    sim_actions(sim);
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1});
    sim_task_msg(sim, TBI_MSG_BLOCK, 1, 1);
    assert_actions(sim, "DISPATCH 6 to 1\nBLOCKED 1 to 1\n");
    sim_task_msg(sim, TBI_MSG_UNBLOCKED, 1, 1);
    assert_int_equal(tbi_sched_counts(sim->sched).load, 50000);
    assert_null(sim_done(sim, 1, 1, 1, 0, 0));
    assert_int_equal(tbi_sched_counts(sim->sched).load, 40000);
}

static void what_a_blocked_task_waits_for_passes_a_full_queue(void **state)
{
    struct sim *sim = *state;
    int deep;

    for (int i = 0; i < 5; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 3});
    tbi_sched_run(sim->sched);
    sim_actions(sim);
    deep = sim_submit(sim, (struct sim_task){.cpus = 1});
    deep = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {deep}});
    sim_resolve(sim, 1, deep, TBI_GET_WANTED);
    assert_actions(sim, "DISPATCH 6 to 1 wanted\n");
    assert_null(sim_done(sim, 1, 6, 1, 0, 0));
    assert_actions(sim, "DISPATCH 7 to 1 wanted inline=8\n");
    /* one that is already with the agent: the agent is told */
    sim_resolve(sim, 1, 1, TBI_GET_WANTED);
    assert_actions(sim, "WANTED 1 to 1\n");
}

static void a_large_argument_draws_the_task_to_its_host(void **state)
{
    struct sim *sim = *state;
    int x = sim_put(sim, 0, 0), t;

    (void)x;
    for (int i = 0; i < 2; i++) { /* the first packs rank 1 to half, so do objects: 1 and 2 */
        t = sim_submit(sim, (struct sim_task){.cpus = 2});
        tbi_sched_run(sim->sched);
    }
    assert_string_equal(sim_actions(sim), "DISPATCH 2 to 1\nDISPATCH 3 to 2\n");
    sim_done_stored(sim, 2, t, 1 << 20);
    sim_submit(sim, (struct sim_task){.cpus = 4, .after = {t}});
    assert_actions(sim, "DISPATCH 4 to 2 at=2\n");
    /* no room there: elsewhere at once rather than in the queue */
    sim_submit(sim, (struct sim_task){.cpus = 1, .after = {t}});
    assert_actions(sim, "DISPATCH 5 to 1 at=2\n");
    /* with a copy on rank 1 its host is as good */
    sim_object(sim, TBI_MSG_REPLICA, 1, t);
    sim_submit(sim, (struct sim_task){.cpus = 1, .after = {t}});
    assert_actions(sim, "DISPATCH 6 to 1 at=1\n");
}

static void a_stored_object_and_its_copies_are_freed_everywhere(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1});

    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_done_stored(sim, 1, t, 1 << 20);
    sim_object(sim, TBI_MSG_REPLICA, 2, t);
    sim_object(sim, TBI_MSG_RELEASE, 0, t);
    assert_actions(sim, "FREE 1 to 1\nFREE 1 to 2\n");
    sim_object(sim, TBI_MSG_REPLICA, 0, t); /* a copy that came too late */
    assert_actions(sim, "FREE 1 to 0\n");
}

static void a_copy_that_was_evicted_is_no_source_any_more(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1});

    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_done_stored(sim, 1, t, 1 << 20);
    sim_object(sim, TBI_MSG_REPLICA, 2, t);
    sim_object(sim, TBI_MSG_EVICTED, 2, t);
    sim_object(sim, TBI_MSG_EVICTED, 2, t); /* there is none */
    sim_object(sim, TBI_MSG_EVICTED, 1, t); /* nor is the object itself a copy */
    sim_object(sim, TBI_MSG_RELEASE, 0, t);
    assert_actions(sim, "FREE 1 to 1\n");
    sim_object(sim, TBI_MSG_EVICTED, 2, t); /* it is gone */
    assert_actions(sim, "");
}

static void a_result_nobody_waits_for_any_more_is_freed_on_arrival(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1});

    sim_object(sim, TBI_MSG_RELEASE, 0, t);
    assert_actions(sim, "DISPATCH 1 to 1\n");
    sim_done_stored(sim, 1, t, 1 << 20);
    assert_actions(sim, "FREE 1 to 1\n");
    assert_int_equal(tbi_sched_counts(sim->sched).makers, 0);
}

static void an_object_announced_before_it_is_written_can_be_waited_for(void **state)
{
    struct sim *sim = *state;
    int x = (int)++sim->next;

    sim_object(sim, TBI_MSG_ANNOUNCE, 0, x);
    sim_submit(sim, (struct sim_task){.cpus = 1, .after = {x}});
    assert_actions(sim, "");
    sim_sealed(sim, 0, x, 1 << 20);
    assert_actions(sim, "DISPATCH 2 to 1 at=0\n");
}

static void what_does_not_belong_is_refused_and_changes_nothing(void **state)
{
    struct sim *sim = *state;
    int t = sim_submit(sim, (struct sim_task){.cpus = 1});

    assert_actions(sim, "DISPATCH 1 to 1\n");
    assert_non_null(sim_done(sim, 0, t, 1, 0, 0));  /* another rank */
    assert_non_null(sim_done(sim, 1, t, 2, 0, 0));  /* too many results */
    assert_non_null(sim_done(sim, 1, 99, 1, 0, 0)); /* no such task */
    assert_null(sim_done(sim, 1, t, 1, 0, 0));
    assert_non_null(sim_done(sim, 1, t, 1, 0, 0));  /* twice */
    assert_null(tbi_sched_check(sim->sched));
}

/* Where each task is: 0 nowhere, rank + 1 running, -(rank + 1) blocked; and what the driver holds. */
enum { TASKS = 120 };
struct random_world {
    struct sim *sim;
    int at[TASKS + 2];
    bool held[TASKS + 2];
    uint64_t seed;
};

static void submit_something(struct random_world *w)
{
    struct sim_task t = {.cpus = (double)(unit_random(&w->seed) % 9) / 2};

    t.depth = unit_random(&w->seed) % 4;
    for (int a = 0; a < 2 && w->sim->next > 0; a++)
        t.after[a] = 1 + (int)(unit_random(&w->seed) % w->sim->next);
    w->held[sim_submit(w->sim, t)] = true;
}

static void end_task(struct random_world *w, int k)
{
    unsigned rank = (unsigned)w->at[k] - 1;

    if (w->at[k] <= 0)
        return;
    if (unit_random(&w->seed) % 8 == 0)
        sim_failed(w->sim, rank, k, TB_ERR_CRASHED);
    else if (unit_random(&w->seed) % 2)
        sim_done_stored(w->sim, rank, k, 1 << 20);
    else
        assert_null(sim_done(w->sim, rank, k, 1, 1, 0));
    w->at[k] = 0;
}

static void block_or_unblock(struct random_world *w, int k)
{
    if (w->at[k] == 0)
        return;
    sim_task_msg(w->sim, w->at[k] > 0 ? TBI_MSG_BLOCK : TBI_MSG_UNBLOCKED,
                 (unsigned)abs(w->at[k]) - 1, k);
    w->at[k] = -w->at[k];
}

static void let_go(struct random_world *w, int k)
{
    if (w->held[k])
        sim_object(w->sim, TBI_MSG_RELEASE, 0, k);
    w->held[k] = false;
}

static void settle(struct random_world *w)
{
    tbi_sched_run(w->sim->sched);
    assert_null(tbi_sched_check(w->sim->sched));
    for (const char *line = sim_actions(w->sim); (line = strstr(line, "DISPATCH ")); line++) {
        int task, rank;

        assert_int_equal(sscanf(line, "DISPATCH %d to %d", &task, &rank), 2);
        assert_int_equal(w->at[task], 0); /* no task runs twice */
        w->at[task] = rank + 1;
    }
}

/* Random submissions, ends, failures, blocks and releases, checked after every step; at the end
 * everything is ended and released, and nothing may remain. */
static void random_worlds_keep_every_invariant_and_leave_nothing(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 300; round++) {
        struct random_world w = {.seed = round * 7919};

        w.sim = sim_new(4, (int32_t[]){0, 20000, 40000, 10000}, (unsigned[]){0, 0, 1, 1},
                        round % 5);
        while (w.sim->next < TASKS) {
            int k = 1 + (int)(unit_random(&w.seed) % (w.sim->next + 1));

            switch (unit_random(&w.seed) % 5) {
            case 0:
                submit_something(&w);
                break;
            case 1:
                end_task(&w, k);
                break;
            case 2:
                block_or_unblock(&w, k);
                break;
            case 3:
                let_go(&w, k);
                break;
            default:
                sim_resolve(w.sim, (unsigned)(unit_random(&w.seed) % 4), k,
                            unit_random(&w.seed) % 2 ? TBI_GET_WANTED : 0);
            }
            settle(&w);
        }
        for (int turn = 0; turn <= TASKS && tbi_sched_counts(w.sim->sched).tasks > 0; turn++) {
            for (int k = 1; k <= TASKS; k++) {
                if (w.at[k] < 0)
                    block_or_unblock(&w, k);
                end_task(&w, k);
            }
            settle(&w);
        }
        for (int k = 1; k <= TASKS; k++)
            let_go(&w, k);
        settle(&w);
        assert_int_equal(tbi_sched_counts(w.sim->sched).tasks, 0);
        assert_int_equal(tbi_sched_counts(w.sim->sched).makers, 0);
        assert_int_equal(tbi_sched_counts(w.sim->sched).load, 0);
        sim_free(w.sim);
    }
}

static void a_task_that_its_agent_has_already_is_taken_for_sent(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1}), b, c;

    assert_actions(sim, "DISPATCH 1 to 1\n");
    b = sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a, .local = 1,
                                          .max_retries = 1});
    sim_resolve(sim, 0, b, 0);
    assert_actions(sim, "");
    assert_null(sim_done(sim, 1, b, 1, 5, 0));
    assert_actions(sim, "RESOLVED 2 to 0 inline=5\n");
    c = sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a, .local = 1,
                                          .max_retries = 1});
    sim_attempt_failed(sim, 1, c, 0, TB_ERR_CRASHED);
    assert_actions(sim, "DISPATCH 3 to 1 attempt=1\n"); /* a retry is the head's */
    sim_cancel(sim, a, 0);
    assert_actions(sim, "ABORT 1 to 1\nABORT 3 to 1\n");
    sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1, .parent = a, .local = 1});
    assert_actions(sim, "ABORT 4 to 1\n"); /* its agent has it, but its parent is cancelled */
}

#define ON(setup, test) cmocka_unit_test_setup_teardown(test, setup, sim_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(sim_one_worker, a_task_is_dispatched_and_its_value_reaches_who_asked),
        ON(sim_one_worker, a_dependant_waits_for_its_argument),
        ON(sim_one_worker, an_argument_released_by_its_submitter_lives_until_the_task_is_done),
        ON(sim_one_worker, a_kept_ref_is_handed_over_with_the_end_of_the_task),
        ON(sim_one_worker, an_object_inside_another_lives_as_long_as_that),
        ON(sim_one_worker, a_failure_reaches_every_dependant_with_the_first_cause),
        ON(sim_one_worker, a_long_chain_of_dependants_fails_without_recursion),
        ON(sim_one_worker, who_asks_again_and_again_is_answered_once),
        ON(sim_one_worker, a_poll_is_answered_at_once),
        ON(sim_one_worker, a_ref_released_before_its_task_ended_is_freed),
        ON(sim_one_worker, an_infeasible_demand_fails_at_once_and_blocks_nobody),
        ON(sim_one_worker, a_freed_argument_fails_the_task_with_ref),
        ON(sim_one_worker, a_blocked_task_gives_its_cpus_back_after_its_children_are_sent),
        ON(sim_one_worker, what_a_blocked_task_waits_for_passes_a_full_queue),
        ON(sim_two_hosts, a_large_argument_draws_the_task_to_its_host),
        ON(sim_two_hosts, a_stored_object_and_its_copies_are_freed_everywhere),
        ON(sim_two_hosts, a_copy_that_was_evicted_is_no_source_any_more),
        ON(sim_one_worker, a_result_nobody_waits_for_any_more_is_freed_on_arrival),
        ON(sim_one_worker, an_object_announced_before_it_is_written_can_be_waited_for),
        ON(sim_one_worker, what_does_not_belong_is_refused_and_changes_nothing),
        ON(sim_one_worker, a_task_that_its_agent_has_already_is_taken_for_sent),
        cmocka_unit_test(random_worlds_keep_every_invariant_and_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
