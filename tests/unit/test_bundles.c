/* test_bundles.c - holds what the agent sets aside for placement groups: a bundle is to its tasks what the node
 * is to others, it is granted if nobody here would miss it, and goes when the tasks in it have ended; and tasks that wait
 * for groups lend it their CPUs, and go on without. */
#include "agent_fixture.h"

/* Bundle 1 of this group, with CPUs and so much of another resource. */
static const char *reserve_both(struct fake *f, int group, double cpus, unsigned resource, double amount)
{
    struct msg_reserve *m = record(f, TBI_MSG_RESERVE, TBI_PROC_NONE,
                                   sizeof *m + sizeof(struct tbi_amount));

    *m = (struct msg_reserve){.bundle = bundle_of(group, 1), .demand = {(int32_t)(cpus * 10000), 1}};
    *(struct tbi_amount *)(m + 1) = (struct tbi_amount){resource, 0, (int64_t)(amount * 10000)};
    return deliver(f, 0);
}

/* A task in bundle 1 of this group, with CPUs and so much of another resource. */
static void dispatch_both(struct fake *f, int task, double cpus, int group, unsigned resource,
                          double amount)
{
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE,
                                    sizeof *m + sizeof(struct tbi_amount) + sizeof(struct tbi_id));
    struct tbi_amount *more = (struct tbi_amount *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .cpus = (int32_t)(cpus * 10000), .nreturns = 1,
                               .flags = TBI_DISPATCH_BUNDLE | TBI_DISPATCH_STAYS, .nmore = 1};
    *more = (struct tbi_amount){resource, 0, (int64_t)(amount * 10000)};
    *(struct tbi_id *)(more + 1) = bundle_of(group, 1);
    assert_null(deliver(f, 0));
}

static const char *dispatch_in(struct fake *f, int task, double cpus, int group, unsigned bundle)
{
    struct msg_dispatch *m =
        record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m + sizeof(struct tbi_id));

    *m = (struct msg_dispatch){.task = id(task), .cpus = (int32_t)(cpus * 10000), .nreturns = 1,
                               .flags = TBI_DISPATCH_BUNDLE | TBI_DISPATCH_STAYS};
    *(struct tbi_id *)(m + 1) = bundle_of(group, bundle);
    return deliver(f, 0);
}

/* A task in bundle 1 of this group, with object 100 of rank 2 as its argument. */
static void dispatch_far(struct fake *f, int task, int group)
{
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE,
                                    sizeof *m + sizeof(struct msg_located) + 8 + sizeof(struct tbi_id));
    struct msg_located *arg = (struct msg_located *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .nreturns = 1, .nargs = 1, .nresolve = 1,
                               .flags = TBI_DISPATCH_BUNDLE | TBI_DISPATCH_STAYS};
    *arg = (struct msg_located){id(100), TBI_AT_STORE, 2, 0, 5000};
    *(uint64_t *)(arg + 1) = TBI_ARG_REF;
    *(struct tbi_id *)((uint64_t *)(arg + 1) + 1) = bundle_of(group, 1);
    assert_null(deliver(f, 0));
}

static void tasks_in_a_bundle_have_its_cpus_and_others_the_rest(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "RESERVED 50 to 0 granted\n");
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1)); /* waits, though the node has a CPU left */
    assert_said(f, "fork p1\nRUN 1 to p1 in a bundle\n");
    dispatch(f, 3, 1, 0, -1);
    dispatch(f, 4, 1, 0, -1); /* and so does this one, when the bundle is idle */
    assert_said(f, "fork p2\nRUN 3 to p2\n");
    assert_null(done(f, 2, 3, TBI_AT_INLINE));
    assert_said(f, "FINISHED 3 to 0\nRUN 4 to p2\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 2 to p1 in a bundle\n");
    assert_null(done(f, 1, 2, TBI_AT_INLINE));
    dispatch(f, 5, 1, 0, -1);
    assert_said(f, "FINISHED 2 to 0\n");
}

static void a_bundle_is_refused_if_a_task_here_would_miss_what_it_takes(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "RESERVED 50 to 0 refused\n"); /* it runs */
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "BLOCK 1 to 0\nRESERVED 50 to 0 refused\n"); /* it will want its CPUs back */
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "RESUME 1 to p1\nUNBLOCKED 1 to 0\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "FINISHED 1 to 0\nRESERVED 50 to 0 granted\n");
}

static void a_task_that_resumes_in_a_bundle_waits_for_its_cpus_alone(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1));
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\nBLOCK 1 to 0\n"
                   "fork p2\nRUN 2 to p2 in a bundle\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, ""); /* the CPU that is free is not the bundle's */
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\n");
}

static void a_bundle_goes_when_the_tasks_in_it_have_ended(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1));
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\n");
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    describe(f);
    assert_non_null(strstr(f->text, "kill p1\n"));
    assert_non_null(strstr(f->text, "FINISHED 2 to 0 error=-3\n"));
    assert_null(strstr(f->text, "UNRESERVED"));
    f->len = 0;
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-3\nUNRESERVED 50 to 0\n");
    assert_null(reserve(f, 51, 1, 2));
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(51, 1)));
    assert_said(f, "RESERVED 51 to 0 granted\nUNRESERVED 51 to 0\n");
}

static void bundles_that_cannot_be_are_refused(void **state)
{
    struct fake *f = *state;

    assert_non_null(reserve(f, 50, 1, 3));
    assert_non_null(reserve(f, 50, 1, -1));
    assert_non_null(reserve(f, 50, 0, 1)); /* the group itself */
    assert_non_null(reserve_both(f, 50, 1, TBI_GPUS, 1));
    assert_non_null(reserve_both(f, 50, 1, TBI_CUSTOM, -1));
    assert_non_null(reserve_both(f, 50, 1, TBI_CUSTOM + 1, 0));
    assert_non_null(dispatch_in(f, 1, 1, 50, 1));
    assert_non_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    assert_null(reserve(f, 50, 1, 1));
    assert_non_null(reserve(f, 50, 1, 1));
    assert_said(f, "RESERVED 50 to 0 granted\n");
}

static void a_bundle_is_refused_if_a_task_that_waits_here_would_miss_what_it_takes(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 2, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    assert_null(reserve(f, 50, 1, 1)); /* one CPU is free */
    assert_said(f, "RESERVED 50 to 0 refused\n");
    abort_task(f, 2, 0, 0);
    assert_null(reserve(f, 50, 1, 1));
    assert_said(f, "FINISHED 2 to 0 error=-3\nRESERVED 50 to 0 granted\n");
}

static void tasks_in_a_bundle_run_on_its_cores_and_gpus(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    assert_null(reserve_both(f, 49, 0, TBI_GPUS, 1));
    assert_null(reserve_both(f, 50, 2, TBI_GPUS, 1));
    assert_said(f, "fork p1\nRUN 1 to p1 cores 0\nfork p2\nRUN 2 to p2 cores 1\n"
                   "RESERVED 49 to 0 granted\nRESERVED 50 to 0 granted\n");
    assert_null(dispatch_in(f, 3, 1, 50, 1));
    dispatch_both(f, 4, 1, 50, TBI_GPUS, 1);
    assert_said(f, "fork p3\nRUN 3 to p3 in a bundle cores 2\n"
                   "fork p4\nRUN 4 to p4 in a bundle cores 3 gpus 1\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    dispatch_both(f, 5, 0, 49, TBI_GPUS, 1); /* the process's last core is no place in the bundle */
    assert_said(f, "FINISHED 2 to 0\nRUN 5 to p2 in a bundle gpus 0\n");
    assert_null(task_msg(f, TBI_MSG_BLOCK, 4, 4));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 4, 4));
    assert_null(done(f, 3, 3, TBI_AT_INLINE));
    assert_null(dispatch_in(f, 6, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 4, 4));
    assert_said(f, "BLOCK 4 to 0\nFINISHED 3 to 0\nRUN 6 to p3 in a bundle cores 2\n"
                   "RESUME 4 to p4 cores 3\nUNBLOCKED 4 to 0\n");
}

static void parts_of_a_gpu_share_half_of_one(void **state)
{
    struct fake *f = *state;

    assert_null(reserve_both(f, 50, 1, TBI_GPUS, 0.5));
    for (int k = 1; k <= 3; k++)
        dispatch_both(f, k, 0, 50, TBI_GPUS, 0.25);
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle gpus 0\n"
                   "fork p2\nRUN 2 to p2 in a bundle gpus 0\n");
    dispatch_both(f, 4, 0, 50, TBI_GPUS, 0.75);
    assert_said(f, "FINISHED 4 to 0 error=-10\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 3 to p1 in a bundle gpus 0\n");
}

/* A bundle that asks for none of a resource has none, but bears its node's labels. */
static void tasks_in_a_bundle_may_ask_for_the_nodes_labels_and_no_more(void **state)
{
    struct fake *f = *state;

    assert_null(reserve_both(f, 50, 1, TBI_GPUS, 0));
    dispatch_both(f, 1, 0, 50, TBI_CUSTOM, 0);
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\n");
    dispatch_both(f, 2, 0, 50, TBI_CUSTOM, 1);
    dispatch_both(f, 3, 0, 50, TBI_GPUS, 1);
    assert_said(f, "FINISHED 2 to 0 error=-10\nFINISHED 3 to 0 error=-10\n");
}

static void a_large_demand_is_overtaken_freely_by_tasks_of_other_bundles(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 2));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(dispatch_in(f, 2, 2, 50, 1));
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle cores 0\n");
    for (int k = 3; k <= 6; k++) {
        dispatch(f, k, 2, 0, -1);
        assert_null(done(f, 2, k, TBI_AT_INLINE));
    }
    describe(f);
    f->len = 0;
    assert_null(dispatch_in(f, 7, 1, 50, 1)); /* it may pass task 2, which was not overtaken yet */
    assert_said(f, "RUN 7 to p2 in a bundle cores 1\n");
}

static void who_resumes_outside_bundles_goes_before_what_would_be_given_ahead(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    dispatch(f, 1, 1, 0, -1);
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    dispatch(f, 2, 1, 0, -1);
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1\nBLOCK 1 to 0\nfork p2\nRUN 2 to p2\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    dispatch(f, 3, 1, 0, -1);
    assert_said(f, "");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nRESUME 1 to p1\nUNBLOCKED 1 to 0\nRUN 3 to p1\n");
}

static void what_waits_in_a_bundle_keeps_nobody_else_from_work_ahead_or_free_cpus(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(dispatch_in(f, 2, 0.5, 50, 1)); /* waits: it is not like the one that runs */
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\n");
    for (int k = 3; k <= 6; k++)
        dispatch(f, k, 1.5, 0, -1);
    assert_said(f, "fork p2\nRUN 3 to p2\nfork p3\nRUN 4 to p3\nRUN 5 to p2\nRUN 6 to p3\n");
    assert_null(done(f, 3, 4, TBI_AT_INLINE));
    f->not_begun = 1;
    assert_null(done(f, 3, 6, TBI_AT_INLINE));
    assert_said(f, "FINISHED 4 to 0\nFINISHED 6 to 0\ntake back 1 from p2\nRUN 5 to p3\n");
}

static void what_waits_for_an_argument_or_to_resume_ends_with_its_bundle(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_BLOCK, 2, 2));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 2, 2));
    assert_null(dispatch_in(f, 3, 1, 50, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    dispatch_far(f, 4, 50);
    describe(f);
    f->len = 0;
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    describe(f);
    for (int p = 1; p <= 3; p++) {
        char kill[24];

        snprintf(kill, sizeof kill, "kill p%d\n", p);
        assert_non_null(strstr(f->text, kill));
    }
    f->len = 0;
    crash(f, 2);
    assert_said(f, "FINISHED 2 to 0 error=-3\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-3\n");
    assert_null(done(f, 3, 3, TBI_AT_INLINE)); /* it was quicker */
    assert_said(f, "FINISHED 3 to 0\nEXIT 0 to p3\n");
    assert_non_null(dispatch_in(f, 5, 1, 50, 1));
    assert_non_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    answer_fetch(f, 2, false);
    tbi_agent_copied(f->agent, f->ticket, true);
    assert_said(f, "copy from 2\nFETCH_DONE 100 to 2\nREPLICA 100 to 0\nFINISHED 4 to 0 error=-3\n"
                   "UNRESERVED 50 to 0\n");
}

static void what_waits_for_the_node_starts_when_a_bundle_has_gone(void **state)
{
    struct fake *f = *state;

    assert_null(reserve(f, 50, 1, 2));
    assert_null(dispatch_in(f, 1, 1, 50, 1));
    dispatch(f, 2, 1, 0, -1); /* sent before the head knew of the bundle */
    assert_said(f, "RESERVED 50 to 0 granted\nfork p1\nRUN 1 to p1 in a bundle\n");
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    assert_said(f, "kill p1\n");
    crash(f, 1);
    assert_said(f, "FINISHED 1 to 0 error=-3\nUNRESERVED 50 to 0\nfork p2\nRUN 2 to p2\n");
}

static void bundles_that_are_left_at_the_end_are_freed(void **state)
{
    struct fake *f = *state;

    assert_null(reserve_both(f, 50, 1, TBI_GPUS, 0.5));
    assert_null(reserve(f, 51, 1, 1));
    assert_null(dispatch_in(f, 1, 1, 51, 1));
    assert_null(dispatch_in(f, 2, 1, 51, 1));
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(51, 1)));
    assert_int_equal(tbi_agent_counts(f->agent).jobs, 1);
    assert_null(tbi_agent_check(f->agent)); /* the teardown does it, and memory is checked */
}

static int setup_all_the_memory(void **state)
{
    memory = INT64_C(1000000000000000000); /* no node may have more */
    setup(state);
    memory = 0;
    return 0;
}

/* A task in no bundle that asks for all of the memory. */
static void dispatch_all_the_memory(struct fake *f, int task)
{
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE, sizeof *m + sizeof(struct tbi_amount));

    *m = (struct msg_dispatch){.task = id(task), .nreturns = 1, .flags = TBI_DISPATCH_STAYS, .nmore = 1};
    *(struct tbi_amount *)(m + 1) = (struct tbi_amount){TBI_MEMORY, 0, INT64_C(1000000000000000000)};
    assert_null(deliver(f, 0));
}

static void what_waits_may_need_more_in_all_than_a_number_holds(void **state)
{
    enum { TASKS = 37 }; /* twice 2^64, about */
    struct fake *f = *state;

    for (int i = 1; i <= TASKS; i++)
        dispatch_all_the_memory(f, i);
    assert_said(f, "fork p1\nRUN 1 to p1\n");
    for (int i = 1; i <= TASKS; i++) {
        describe(f);
        f->len = 0;
        assert_null(reserve_both(f, 50, 0, TBI_MEMORY, 1));
        assert_said(f, "RESERVED 50 to 0 refused\n");
        assert_null(done(f, 1, i, TBI_AT_INLINE));
    }
    describe(f);
    f->len = 0;
    assert_null(reserve_both(f, 50, 0, TBI_MEMORY, 1));
    assert_said(f, "RESERVED 50 to 0 granted\n");
    assert_null(tbi_agent_check(f->agent));
}

/* ---- CPUs that are lent ---- */

static void block(struct fake *f, unsigned proc, int task)
{
    assert_null(task_msg(f, TBI_MSG_BLOCK, proc, task));
    assert_null(task_msg(f, TBI_MSG_BLOCKED, proc, task));
}

static void a_task_that_waits_for_groups_goes_on_without_the_cpus_that_it_lent(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    block(f, 1, 1);
    assert_said(f, "fork p1\nRUN 1 to p1\nBLOCK 1 to 0\n");
    assert_null(reserve_of(f, 50, 1, 1, (int[]){1}, 1));
    assert_said(f, "LENT 1 to 0\nRESERVED 50 to 0 granted\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "RESUME 1 to p1\n"); /* to the head it is blocked still */
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(dispatch_in(f, 2, 1, 50, 1));
    assert_said(f, "fork p2\nRUN 2 to p2 in a bundle\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "FINISHED 2 to 0\nRESUME 1 to p1\n"); /* it may have to remove the group itself */
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    assert_said(f, "UNRESERVED 50 to 0\nUNBLOCKED 1 to 0\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\n");
}

static void it_has_its_cpus_again_before_others_begin(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    block(f, 1, 1);
    assert_null(reserve_of(f, 50, 1, 1, (int[]){1}, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    dispatch(f, 3, 1, 0, -1);
    assert_said(f, "fork p1\nRUN 1 to p1\nfork p2\nRUN 2 to p2\nBLOCK 1 to 0\nLENT 1 to 0\nRESERVED 50 to 0 granted\n"
                   "RESUME 1 to p1\n");
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nUNBLOCKED 1 to 0\n");
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    assert_said(f, "FINISHED 1 to 0\nRUN 3 to p1\n");
}

static void while_it_is_blocked_what_ends_is_left_to_it_again(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    block(f, 1, 1);
    assert_null(reserve_of(f, 50, 1, 1, (int[]){1}, 1));
    describe(f), f->len = 0;
    assert_null(done(f, 2, 2, TBI_AT_INLINE));
    assert_said(f, "FINISHED 2 to 0\nLENT 1 to 0 no more\n");
    assert_null(reserve(f, 51, 1, 1));
    assert_said(f, "RESERVED 51 to 0 refused\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "RESUME 1 to p1\nUNBLOCKED 1 to 0\n");
}

static void it_ends_before_it_has_them_again_and_nothing_is_left(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    block(f, 1, 1);
    assert_null(reserve_of(f, 50, 1, 2, (int[]){1}, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    describe(f), f->len = 0;
    assert_null(done(f, 1, 1, TBI_AT_INLINE));
    dispatch(f, 2, 1, 0, -1);
    assert_said(f, "FINISHED 1 to 0\n");
    assert_null(object_msg(f, TBI_MSG_UNRESERVE, TBI_PROC_NONE, bundle_of(50, 1)));
    assert_said(f, "UNRESERVED 50 to 0\nRUN 2 to p1\n");
}

static void one_that_has_blocked_anew_lends_before_the_head_has_answered(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 2, 0, -1);
    assert_null(task_msg(f, TBI_MSG_BLOCK, 1, 1));
    assert_null(reserve_of(f, 50, 1, 2, (int[]){1}, 1));
    assert_said(f, "fork p1\nRUN 1 to p1\nBLOCK 1 to 0\nLENT 1 to 0\nRESERVED 50 to 0 granted\n");
    assert_null(task_msg(f, TBI_MSG_BLOCKED, 1, 1));
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "RESUME 1 to p1\n");
}

/* Those that wait for anything else, and those that have not blocked, keep their CPUs, whatever the head says. */
static void nobody_lends_what_he_has_or_what_others_wait_for(void **state)
{
    struct fake *f = *state;

    dispatch(f, 1, 1, 0, -1);
    dispatch(f, 2, 1, 0, -1);
    block(f, 1, 1);
    describe(f), f->len = 0;
    assert_null(reserve_of(f, 50, 1, 2, (int[]){1, 2, 7}, 3));
    assert_said(f, "RESERVED 50 to 0 refused\n");
    block(f, 2, 2);
    assert_null(reserve_of(f, 50, 1, 2, (int[]){1}, 1));
    assert_said(f, "BLOCK 2 to 0\nRESERVED 50 to 0 refused\n");
    assert_null(task_msg(f, TBI_MSG_UNBLOCK, 1, 1));
    assert_said(f, "RESUME 1 to p1\nUNBLOCKED 1 to 0\n");
}

#define ON(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define LARGE(test) cmocka_unit_test_setup_teardown(test, setup_large, teardown)
#define LARGE_AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_large_ahead, teardown)
#define AHEAD(test) cmocka_unit_test_setup_teardown(test, setup_ahead, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(tasks_in_a_bundle_have_its_cpus_and_others_the_rest),
        cmocka_unit_test_setup_teardown(what_waits_may_need_more_in_all_than_a_number_holds, setup_all_the_memory,
                                        teardown),
        ON(a_bundle_is_refused_if_a_task_here_would_miss_what_it_takes),
        ON(a_task_that_resumes_in_a_bundle_waits_for_its_cpus_alone),
        ON(a_bundle_goes_when_the_tasks_in_it_have_ended),
        ON(bundles_that_cannot_be_are_refused),
        ON(a_bundle_is_refused_if_a_task_that_waits_here_would_miss_what_it_takes),
        ON(a_task_that_waits_for_groups_goes_on_without_the_cpus_that_it_lent),
        ON(it_has_its_cpus_again_before_others_begin),
        ON(while_it_is_blocked_what_ends_is_left_to_it_again),
        ON(it_ends_before_it_has_them_again_and_nothing_is_left),
        ON(one_that_has_blocked_anew_lends_before_the_head_has_answered),
        ON(nobody_lends_what_he_has_or_what_others_wait_for),
        LARGE(tasks_in_a_bundle_run_on_its_cores_and_gpus),
        LARGE(parts_of_a_gpu_share_half_of_one),
        LARGE(tasks_in_a_bundle_may_ask_for_the_nodes_labels_and_no_more),
        LARGE(a_large_demand_is_overtaken_freely_by_tasks_of_other_bundles),
        AHEAD(who_resumes_outside_bundles_goes_before_what_would_be_given_ahead),
        LARGE_AHEAD(what_waits_in_a_bundle_keeps_nobody_else_from_work_ahead_or_free_cpus),
        LARGE(what_waits_for_an_argument_or_to_resume_ends_with_its_bundle),
        ON(what_waits_for_the_node_starts_when_a_bundle_has_gone),
        LARGE(bundles_that_are_left_at_the_end_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
