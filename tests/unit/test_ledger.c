/* test_ledger.c - holds demands of several resources, labels, GPUs and strategies: who fits where,
 * what is infeasible and how that is said, and that the forecast is exact whatever happens. */
#include "sim.h"

enum { DISK = TBI_CUSTOM, SSD, RESOURCES };
static const char *const names[RESOURCES] = {[DISK] = "Disk", [SSD] = "ssd"};

#define GIB (UINT64_C(1) << 30)
#define HAS(cpus, gpus, memory, disk, ssd)                                                         \
    {(cpus) * 10000, (gpus) * 10000, (memory) * 10000, (disk) * 10000, (ssd) * 10000}

/* Rank 0 runs no tasks; 1 is small, with a disk; 2 has GPUs and memory; 3 has an SSD. */
static struct sim *cluster(unsigned ahead)
{
    static const int64_t totals[][RESOURCES] = {
        HAS(0, 0, 0, 0, 0), HAS(2, 0, (int64_t)GIB, 1, 0), HAS(8, 2, (int64_t)(4 * GIB), 0, 0),
        HAS(4, 0, (int64_t)GIB, 3, 1)};

    return sim_with((struct tbi_sched_config){
        .nranks = 4, .nresources = RESOURCES, .totals = totals[0], .resources = names,
        .host = (unsigned[]){0, 0, 1, 1}, .ahead = ahead});
}

static int set_up(void **state)
{
    *state = cluster(0);
    return 0;
}
static int with_ahead(void **state)
{
    *state = cluster(2);
    return 0;
}
static int done(void **state)
{
    sim_free(*state);
    return 0;
}

static void finish(struct sim *sim, unsigned rank, int task)
{
    assert_null(sim_done(sim, rank, task, 1, 0, 0));
}

static void a_task_goes_where_all_that_it_asks_for_is_free(void **state)
{
    struct sim *sim = *state;

    sim_submit(sim, (struct sim_task){.cpus = 1, .more = {{TBI_GPUS, 1}}});
    sim_submit(sim, (struct sim_task){.cpus = 1, .more = {{DISK, 2}}});
    sim_submit(sim, (struct sim_task){.cpus = 1, .more = {{TBI_MEMORY, 2.0 * GIB}}});
    assert_actions(sim, "DISPATCH 1 to 2\nDISPATCH 2 to 3\nDISPATCH 3 to 2\n");
    sim_submit(sim, (struct sim_task){.cpus = 1, .more = {{TBI_MEMORY, 3.0 * GIB}}});
    sim_submit(sim, (struct sim_task){.cpus = 1, .more = {{DISK, 2}}});
    assert_actions(sim, ""); /* the only nodes with as much have lent it */
    finish(sim, 2, 3);
    assert_actions(sim, "DISPATCH 4 to 2\n");
    finish(sim, 3, 2);
    assert_actions(sim, "DISPATCH 5 to 3\n");
}

static void a_label_is_asked_for_without_an_amount(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 5; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .more = {{SSD, 0}}});
    assert_actions(sim, "DISPATCH 1 to 3\nDISPATCH 2 to 3\nDISPATCH 3 to 3\nDISPATCH 4 to 3\n");
}

static const char *why(struct sim *sim, struct sim_task t)
{
    sim_resolve(sim, 0, sim_submit(sim, t), 0);
    tbi_sched_run(sim->sched);
    assert_non_null(strstr(sim_actions(sim), "error=-10 in work"));
    return sim->message;
}

static void what_no_node_can_meet_fails_at_once_and_says_why(void **state)
{
    struct sim *sim = *state;

    assert_string_equal(
        why(sim, (struct sim_task){.cpus = 1, .more = {{TBI_GPUS, 3}, {TBI_MEMORY, GIB / 2.0}}}),
        "the task needs 1 CPU, 3 GPUs, 512 MiB of memory; the node that comes nearest, rank 2, has "
        "8 CPUs, 2 GPUs, 4 GiB of memory: ask for less, or start the job with more a rank");
    assert_string_equal(
        why(sim, (struct sim_task){.cpus = 6, .more = {{DISK, 0.5}, {SSD, 0}}}),
        "the task needs 6 CPUs, 0.5 Disk, a node with ssd; the node that comes nearest, rank 3, has "
        "4 CPUs, 3 Disk: ask for less, or start the job with more a rank");
    assert_string_equal(
        why(sim, (struct sim_task){.cpus = 9}),
        "the task needs 9 CPUs; the node that comes nearest, rank 2, has 8 CPUs: ask for less, or "
        "start the job with more a rank");
    assert_string_equal(
        why(sim, (struct sim_task){
                     .cpus = 1, .more = {{DISK, 1}}, .strategy = TBI_ON_NODE, .node = 2}),
        "the task needs 1 CPU, 1 Disk on rank 2, which has 8 CPUs, no Disk: ask for less, or for "
        "another node");
    assert_string_equal(
        why(sim, (struct sim_task){.cpus = 1, .strategy = TBI_ON_NODE}),
        "the task needs 1 CPU on rank 0, which runs no tasks: choose a worker rank");
    /* and is in nobody's way */
    sim_submit(sim, (struct sim_task){.cpus = 8});
    assert_actions(sim, "DISPATCH 6 to 2\n");
}

static void a_resource_that_no_node_has_is_named(void **state)
{
    static const int64_t totals[][RESOURCES] = {HAS(2, 0, 0, 0, 0)};
    struct sim *sim = sim_with((struct tbi_sched_config){
        .nranks = 1, .nresources = RESOURCES, .totals = totals[0], .resources = names,
        .host = (unsigned[]){0}});

    (void)state;
    assert_string_equal(why(sim, (struct sim_task){.cpus = 1,
                                                   .more = {{TBI_GPUS, 0.5}, {DISK, 1}}}),
                        "the task needs 1 CPU, 0.5 GPUs, 1 Disk; no node has any GPUs");
    assert_string_equal(why(sim, (struct sim_task){.cpus = 1, .more = {{SSD, 0}}}),
                        "the task needs 1 CPU, a node with ssd; no node has any ssd");
    sim_free(sim);
}

static void what_cannot_be_meant_is_an_error(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .more = {{TBI_GPUS, 1.5}}}),
        b = sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_PREFER_NODE, .node = 4});

    sim_resolve(sim, 0, a, 0);
    assert_actions(sim, "RESOLVED 1 to 0 error=-12 in work\n");
    assert_string_equal(sim->message,
                        "the task asks for 1.5 GPUs: a part of one, or whole ones, are possible");
    sim_resolve(sim, 0, b, 0);
    assert_actions(sim, "RESOLVED 2 to 0 error=-12 in work\n");
    assert_string_equal(sim->message, "the task asks for node 4: there are 4, from 0");
    /* what no process sends is refused, and changes nothing */
    assert_non_null(sim_try(sim, (struct sim_task){.cpus = -1}));
    assert_non_null(sim_try(sim, (struct sim_task){.more = {{TBI_GPUS, -1}}}));
    assert_non_null(sim_try(sim, (struct sim_task){.more = {{DISK, 1}, {TBI_GPUS, 1}}}));
    assert_non_null(sim_try(sim, (struct sim_task){.more = {{DISK, 1}, {DISK, 1}}}));
    assert_non_null(sim_try(sim, (struct sim_task){.more = {{RESOURCES, 1}}}));
    assert_non_null(sim_try(sim, (struct sim_task){.strategy = TBI_IN_GROUP + 1}));
    assert_int_equal(tbi_sched_counts(sim->sched).tasks, 0);
}

static void parts_of_gpus_share_instances_and_whole_ones_have_their_own(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 3; i++) /* 0.6 and 0.4 on one, 0.6 on the other */
        sim_submit(sim, (struct sim_task){.more = {{TBI_GPUS, i == 1 ? 0.4 : 0.6}}});
    assert_actions(sim, "DISPATCH 1 to 2\nDISPATCH 2 to 2\nDISPATCH 3 to 2\n");
    sim_submit(sim, (struct sim_task){.more = {{TBI_GPUS, 1}}});
    sim_submit(sim, (struct sim_task){.more = {{TBI_GPUS, 0.5}}});
    assert_actions(sim, ""); /* 0.4 is free, in one piece */
    finish(sim, 2, 2);
    assert_actions(sim, ""); /* 0.8 is free, in two pieces */
    finish(sim, 2, 3);
    assert_actions(sim, "DISPATCH 4 to 2\n");
    finish(sim, 2, 1);
    assert_actions(sim, "DISPATCH 5 to 2\n");
}

static void what_was_sent_ahead_gets_its_gpus_when_others_end(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 4; i++)
        sim_submit(sim, (struct sim_task){.more = {{TBI_GPUS, 1}}});
    assert_actions(sim, "DISPATCH 1 to 2\nDISPATCH 2 to 2\nDISPATCH 3 to 2\nDISPATCH 4 to 2\n");
    sim_submit(sim, (struct sim_task){.more = {{TBI_GPUS, 0.5}}});
    finish(sim, 2, 1);
    finish(sim, 2, 2);
    finish(sim, 2, 3);
    assert_actions(sim, "DISPATCH 5 to 2\n");
    finish(sim, 2, 4);
    finish(sim, 2, 5);
    assert_actions(sim, "");
    assert_int_equal(tbi_sched_available(sim->sched, 2, TBI_GPUS), 20000);
}

static void a_blocked_task_keeps_all_but_its_cpus(void **state)
{
    struct sim *sim = *state;

    sim_submit(sim, (struct sim_task){.cpus = 8, .more = {{TBI_GPUS, 2}}});
    assert_actions(sim, "DISPATCH 1 to 2\n");
    sim_task_msg(sim, TBI_MSG_BLOCK, 2, 1);
    sim_submit(sim, (struct sim_task){.cpus = 8});
    sim_submit(sim, (struct sim_task){.more = {{TBI_GPUS, 0.1}}});
    assert_actions(sim, "BLOCKED 1 to 2\nDISPATCH 2 to 2\n");
    assert_int_equal(tbi_sched_available(sim->sched, 2, TBI_GPUS), 0);
    sim_failed(sim, 2, 1, TB_ERR_CRASHED); /* it dies while it is blocked */
    assert_actions(sim, "DISPATCH 3 to 2\n");
    finish(sim, 2, 2);
    finish(sim, 2, 3);
    assert_int_equal(tbi_sched_available(sim->sched, 2, TBI_CPUS), 80000);
    assert_int_equal(tbi_sched_available(sim->sched, 2, TBI_GPUS), 20000);
}

static void strategies_decide_where_a_task_may_be(void **state)
{
    struct sim *sim = *state;

    for (int i = 0; i < 4; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_SPREAD});
    assert_actions(sim, "DISPATCH 1 to 1\nDISPATCH 2 to 2\nDISPATCH 3 to 3\nDISPATCH 4 to 2\n");
    for (int i = 0; i < 4; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_PREFER_NODE, .node = 3});
    assert_actions(sim, "DISPATCH 5 to 3\nDISPATCH 6 to 3\nDISPATCH 7 to 3\nDISPATCH 8 to 2\n");
    for (int i = 0; i < 2; i++)
        sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_ON_NODE, .node = 3});
    sim_submit(sim, (struct sim_task){.cpus = 1}); /* they are in nobody's way */
    assert_actions(sim, "DISPATCH 11 to 2\n");
    finish(sim, 3, 5);
    assert_actions(sim, "DISPATCH 9 to 3 stays\n");
}

/* Three nodes that are alike, and chance decides between equals but for tasks that are spread. */
static struct sim *three_alike(void)
{
    int64_t totals[4][TBI_CUSTOM] = {{0}, {20000}, {20000}, {20000}};

    return sim_with((struct tbi_sched_config){.nranks = 4, .nresources = TBI_CUSTOM, .totals = totals[0],
                                              .host = (unsigned[]){0, 1, 2, 3}, .ahead = 2, .seed = 7});
}

static int submit_and_see_where(struct sim *sim, struct sim_task task)
{
    int k = sim_submit(sim, task), number, rank;

    tbi_sched_run(sim->sched);
    assert_null(tbi_sched_check(sim->sched));
    assert_int_equal(sscanf(sim_actions(sim), "DISPATCH %d to %d", &number, &rank), 2);
    assert_int_equal(number, k);
    return rank;
}

static void tasks_to_spread_take_turns_also_one_by_one(void **state)
{
    struct sim *sim = three_alike();
    int on[4] = {0}, last = 0;

    (void)state;
    for (int i = 1; i <= 9000; i++) { /* more than the bits of a turn hold */
        int rank = submit_and_see_where(sim, (struct sim_task){.cpus = 1, .strategy = TBI_SPREAD});

        on[rank]++;
        assert_null(sim_done(sim, (unsigned)rank, i, 1, 0, 0));
        if (i % 3 == 0)
            assert_true(on[1] == on[2] && on[2] == on[3]);
    }
    for (int i = 0; i < 30; i++) { /* by whatever they ask for */
        int rank = submit_and_see_where(sim, (struct sim_task){.cpus = i % 2 ? 0.5 : 0, .strategy = TBI_SPREAD});

        assert_true(rank != last);
        assert_null(sim_done(sim, (unsigned)rank, 9001 + i, 1, 0, 0));
        last = rank;
    }
    sim_free(sim);
}

static void a_task_for_one_node_is_not_overtaken_there_for_ever(void **state)
{
    struct sim *sim = *state;
    int running[200] = {0}, n = 0, big = 0;

    for (int i = 1; i < 150; i++) { /* an endless stream of small ones that could be elsewhere */
        int task, rank;

        sim_submit(sim, (struct sim_task){.cpus = 1, .depth = 1});
        if (i == 20)
            big = sim_submit(sim, (struct sim_task){.cpus = 8, .strategy = TBI_ON_NODE, .node = 2});
        tbi_sched_run(sim->sched);
        assert_null(tbi_sched_check(sim->sched));
        for (const char *line = sim_actions(sim); (line = strstr(line, "DISPATCH ")); line++, n++) {
            assert_int_equal(sscanf(line, "DISPATCH %d to %d", &task, &rank), 2);
            running[task] = rank;
            if (task == big)
                return;
        }
        for (task = 1; n > 6; task++) /* the oldest end */
            if (running[task] > 0) {
                finish(sim, (unsigned)running[task], task);
                running[task] = 0;
                n--;
            }
    }
    fail_msg("the large task never got its node");
}

static void of_two_hosts_with_arguments_the_one_with_more_bytes_wins(void **state)
{
    struct sim *sim = *state;
    int a = sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_ON_NODE, .node = 1}),
        b = sim_submit(sim, (struct sim_task){.cpus = 1, .strategy = TBI_ON_NODE, .node = 3}), t;

    assert_actions(sim, "DISPATCH 1 to 1 stays\nDISPATCH 2 to 3 stays\n");
    sim_done_stored(sim, 1, a, 100000);
    sim_done_stored(sim, 3, b, 200000);
    t = sim_submit(sim, (struct sim_task){.cpus = 1, .after = {a, b}});
    assert_actions(sim, "DISPATCH 3 to 2 at=1 at=3\n"); /* 2 shares the memory of 3 */
    sim_submit(sim, (struct sim_task){.cpus = 1, .after = {a}});
    assert_actions(sim, "DISPATCH 4 to 1 at=1\n");
    sim_submit(sim, (struct sim_task){.cpus = 2, .after = {a}}); /* no room: not in its queue */
    assert_actions(sim, "DISPATCH 5 to 2 at=1\n");
    finish(sim, 2, t);
}

static void a_thousand_grabs_and_returns_of_a_tenth_leave_all_as_it_was(void **state)
{
    struct sim *sim = *state;
    int running[64], n = 0, task, rank;
    uint64_t seed = 12345;

    for (int i = 0; i < 1000; i++)
        sim_submit(sim, (struct sim_task){.cpus = 0.1,
                                          .more = {{TBI_GPUS, 0.1}, {TBI_MEMORY, 0.1}}});
    for (int ended = 0; ended < 1000; ended++) {
        tbi_sched_run(sim->sched);
        for (const char *line = sim_actions(sim); (line = strstr(line, "DISPATCH ")); line++) {
            assert_int_equal(sscanf(line, "DISPATCH %d to %d", &task, &rank), 2);
            assert_int_equal(rank, 2);
            running[n++] = task;
        }
        assert_true(n <= 20); /* tenths of two GPUs */
        assert_true(n > 0);
        rank = (int)(unit_random(&seed) % (unsigned)n);
        finish(sim, 2, running[rank]);
        running[rank] = running[--n];
    }
    assert_null(tbi_sched_check(sim->sched));
    assert_int_equal(tbi_sched_available(sim->sched, 2, TBI_CPUS), 80000);
    assert_int_equal(tbi_sched_available(sim->sched, 2, TBI_GPUS), 20000);
    assert_int_equal(tbi_sched_available(sim->sched, 2, TBI_MEMORY), 4 * GIB * 10000);
}

static void classes_are_forgotten_when_no_task_needs_them(void **state)
{
    struct sim *sim = *state;

    for (int i = 1; i <= 1000; i++) {
        sim_submit(sim, (struct sim_task){.cpus = 1 + i / 10000.0});
        tbi_sched_run(sim->sched);
        sim_actions(sim);
        sim_cancel(sim, i, 0);
        sim_failed(sim, 2, i, TB_ERR_CANCELLED);
    }
    assert_true(tbi_sched_counts(sim->sched).classes <= 64);
}

/* ---- random clusters ---- */

enum { TASKS = 800 };
struct model {
    struct sim *sim;
    unsigned nranks, ahead;
    int tasks;               /* how many there will be */
    int64_t total[SIM_RANKS][RESOURCES], used[SIM_RANKS][RESOURCES];
    struct sim_task task[TASKS + 1];
    int at[TASKS + 1];       /* 0 nowhere, rank + 1 running, -(rank + 1) blocked */
    uint32_t attempt[TASKS + 1];
    bool asked[SIM_RANKS];   /* to give tasks back */
    uint64_t seed;
    unsigned sent, sent_ahead, taken;
};

static unsigned pick(struct model *m, unsigned n)
{
    return (unsigned)(unit_random(&m->seed) % n);
}

static void use(struct model *m, int k, int sign, bool only_cpus)
{
    int64_t *used = m->used[abs(m->at[k]) - 1];

    used[TBI_CPUS] += sign * (int64_t)llround(m->task[k].cpus * 10000);
    for (int p = 0; !only_cpus && p < 4 && m->task[k].more[p].resource; p++)
        used[m->task[k].more[p].resource] +=
            sign * (int64_t)llround(m->task[k].more[p].amount * 10000);
}

/* Some node has it all. */
static bool is_feasible(const struct model *m, const struct sim_task *t)
{
    for (unsigned r = 0; r < m->nranks; r++) {
        bool fits = m->total[r][TBI_CPUS] > 0 &&
                    llround(t->cpus * 10000) <= m->total[r][TBI_CPUS] &&
                    (t->strategy != TBI_ON_NODE || t->node == r);

        for (int p = 0; p < 4 && t->more[p].resource; p++)
            fits &= m->total[r][t->more[p].resource] > 0 &&
                    llround(t->more[p].amount * 10000) <= m->total[r][t->more[p].resource];
        if (fits)
            return true;
    }
    return false;
}

static void model_submit(struct model *m)
{
    struct sim_task t = {.cpus = pick(m, 9) / 2.0, .depth = pick(m, 3),
                         .strategy = (enum tbi_strategy)pick(m, 4), .node = pick(m, m->nranks),
                         .max_retries = (int)pick(m, 3) - 1};
    int n = 0;

    if (pick(m, 3) == 0)
        t.more[n++] = (struct sim_part){TBI_GPUS, pick(m, 2) ? 1 + pick(m, 2)
                                                             : 0.1 + pick(m, 9) / 10.0};
    if (pick(m, 4) == 0)
        t.more[n++] = (struct sim_part){TBI_MEMORY, 1 + pick(m, 1000)};
    if (pick(m, 4) == 0)
        t.more[n++] = (struct sim_part){DISK, pick(m, 30) / 10.0};
    if (pick(m, 8) == 0)
        t.more[n++] = (struct sim_part){SSD, 0};
    if (m->sim->next > 0 && pick(m, 2))
        t.after[0] = 1 + (int)pick(m, (unsigned)m->sim->next);
    m->task[sim_submit(m->sim, t)] = t;
}

static void model_end(struct model *m, int k)
{
    unsigned rank = (unsigned)abs(m->at[k]) - 1;

    if (m->at[k] == 0)
        return;
    use(m, k, -1, false);
    if (m->at[k] < 0)
        use(m, k, 1, true);
    m->at[k] = 0;
    if (pick(m, 6) == 0) {
        sim_attempt_failed(m->sim, rank, k, m->attempt[k], TB_ERR_CRASHED);
    } else {
        struct msg_done *done = sim_record(m->sim, TBI_MSG_FINISHED,
                                           sizeof *done + sizeof(struct tbi_result));

        *done = (struct msg_done){
            .task = sim_id((uint64_t)k), .attempt = m->attempt[k], .nresults = 1,
            .run_us = pick(m, 3) ? 0 : pick(m, 4000)};
        *(struct tbi_result *)(done + 1) =
            (struct tbi_result){TBI_AT_STORE, 0, pick(m, 2) ? 1 << 20 : 100};
        assert_null(sim_deliver(m->sim, rank));
    }
}

static void model_block(struct model *m, int k)
{
    struct msg_task *task;

    if (m->at[k] == 0)
        return;
    use(m, k, m->at[k] > 0 ? -1 : 1, true);
    task = sim_record(m->sim, m->at[k] > 0 ? TBI_MSG_BLOCK : TBI_MSG_UNBLOCKED, sizeof *task);
    *task = (struct msg_task){sim_id((uint64_t)k), m->attempt[k], 0};
    m->at[k] = -m->at[k];
    assert_null(sim_deliver(m->sim, (unsigned)abs(m->at[k]) - 1));
}

/* A node that was asked gives up to three of its tasks back. */
static void model_give_back(struct model *m, unsigned rank)
{
    struct msg_task *task;
    struct msg_taken *taken;
    unsigned n = 0;

    if (!m->asked[rank])
        return;
    m->asked[rank] = false;
    taken = sim_record(m->sim, TBI_MSG_TAKEN, sizeof *taken + 3 * sizeof *task);
    task = (struct msg_task *)(taken + 1);
    for (int k = 1; k <= m->tasks && n < 3; k++)
        if (m->at[k] == (int)rank + 1 && pick(m, 2)) {
            task[n++] = (struct msg_task){sim_id((uint64_t)k), m->attempt[k], 0};
            use(m, k, -1, false);
            m->at[k] = 0;
        }
    *taken = (struct msg_taken){n, 0};
    ((struct tbi_record *)(m->sim->in.data + m->sim->in.begin))->len -= (3 - n) * sizeof *task;
    m->sim->in.end -= (3 - n) * sizeof *task;
    assert_null(sim_deliver(m->sim, rank));
    m->taken += n;
}

static void note_dispatch(struct model *m, const char *line)
{
    const char *attempt = strstr(line, "attempt="), *end = strchr(line, '\n');
    int k, rank;
    bool fits = true;

    assert_int_equal(sscanf(line, "DISPATCH %d to %d", &k, &rank), 2);
    assert_int_equal(m->at[k], 0);
    assert_true(is_feasible(m, &m->task[k]));
    assert_true(m->task[k].strategy != TBI_ON_NODE || m->task[k].node == (unsigned)rank);
    m->attempt[k] = attempt != NULL && attempt < end ? (uint32_t)atoi(attempt + 8) : 0;
    m->at[k] = rank + 1;
    use(m, k, 1, false);
    /* only of what it asks for: one that resumes may have taken more CPUs than there are */
    fits = m->task[k].cpus == 0 || m->used[rank][TBI_CPUS] <= m->total[rank][TBI_CPUS];
    for (int p = 0; p < 4 && m->task[k].more[p].resource; p++)
        fits &= m->used[rank][m->task[k].more[p].resource] <=
                m->total[rank][m->task[k].more[p].resource];
    m->sent++;
    m->sent_ahead += !fits;
    if (m->ahead == 0 && (strstr(line, "wanted") == NULL || strstr(line, "wanted") > end))
        assert_true(fits);
}

static void note_dispatches(struct model *m)
{
    const char *text;
    double cpus;
    int rank;

    assert_null(tbi_sched_check(m->sim->sched));
    text = sim_actions(m->sim);
    for (const char *line = text; (line = strstr(line, "DISPATCH ")); line++)
        note_dispatch(m, line);
    for (const char *line = text; (line = strstr(line, "TAKE_BACK ")); line++) {
        assert_int_equal(sscanf(line, "TAKE_BACK %lf CPUs to %d", &cpus, &rank), 2);
        assert_false(m->asked[rank]);
        m->asked[rank] = true;
    }
}

static void model_settle(struct model *m)
{
    tbi_sched_run(m->sim->sched);
    note_dispatches(m);
    for (unsigned r = 0; r < m->nranks; r++) /* the sums are exact */
        for (unsigned i = 0; i < RESOURCES; i++) {
            int64_t left = m->total[r][i] - m->used[r][i];

            assert_true(tbi_sched_available(m->sim->sched, r, i) == (left > 0 ? left : 0));
        }
}

static struct model *model_new(uint64_t seed, unsigned most_ranks, int tasks)
{
    struct model *m = calloc(1, sizeof *m);
    unsigned host[SIM_RANKS];

    m->seed = seed * 7919;
    m->nranks = 2 + pick(m, most_ranks - 1);
    m->tasks = tasks;
    m->ahead = pick(m, 2) ? 0 : pick(m, 5);
    for (unsigned r = 0; r < m->nranks; r++) {
        host[r] = pick(m, 3);
        if (r > 0)
            m->total[r][TBI_CPUS] = 10000 * (1 + (int)pick(m, 5));
        m->total[r][TBI_GPUS] = pick(m, 2) * 10000 * pick(m, 4);
        m->total[r][TBI_MEMORY] = 10000 * (int64_t)pick(m, 2000);
        m->total[r][DISK] = 1000 * (int64_t)pick(m, 30);
        m->total[r][SSD] = pick(m, 3) == 0 ? 10000 : 0;
    }
    m->sim = sim_with((struct tbi_sched_config){
        .nranks = m->nranks, .nresources = RESOURCES, .totals = m->total[0], .resources = names,
        .host = host, .ahead = m->ahead, .seed = seed % 3});
    return m;
}

static void nothing_is_left(struct model *m)
{
    for (int turn = 0; turn <= m->tasks * 4 && tbi_sched_counts(m->sim->sched).tasks > 0; turn++) {
        for (int k = 1; k <= m->tasks; k++) {
            if (m->at[k] < 0)
                model_block(m, k);
            model_end(m, k);
        }
        for (unsigned r = 0; r < m->nranks; r++)
            model_give_back(m, r);
        model_settle(m);
    }
    assert_int_equal(tbi_sched_counts(m->sim->sched).tasks, 0);
    for (int k = 1; k <= m->tasks; k++)
        sim_object(m->sim, TBI_MSG_RELEASE, 0, k);
    assert_int_equal(tbi_sched_counts(m->sim->sched).makers, 0);
    for (unsigned r = 0; r < m->nranks; r++)
        for (unsigned i = 0; i < RESOURCES; i++)
            assert_true(tbi_sched_available(m->sim->sched, r, i) == m->total[r][i]);
}

static void random_step(struct model *m)
{
    int k = 1 + (int)pick(m, (unsigned)m->sim->next + 1);

    switch (pick(m, 8)) {
    case 7:
        model_give_back(m, pick(m, m->nranks));
        break;
    case 0: case 1:
        model_submit(m);
        break;
    case 2: case 3:
        model_end(m, k);
        break;
    case 4:
        model_block(m, k);
        break;
    case 5:
        if ((uint64_t)k <= m->sim->next && pick(m, 4) == 0)
            sim_cancel(m->sim, k, pick(m, 2));
        break;
    default:
        sim_resolve(m->sim, pick(m, m->nranks), k, pick(m, 2) ? TBI_GET_WANTED : 0);
    }
}

/* As many as TB_WORLDS asks for (test_world.c): under valgrind they take twenty times as long. */
static int rounds_of(int rounds)
{
    const char *worlds = getenv("TB_WORLDS");
    long long n = worlds != NULL ? strtoll(worlds, NULL, 10) * rounds / 10000 : rounds;

    return n < rounds / 10 ? rounds / 10 : n < rounds ? (int)n : rounds;
}

/* `batch`: steps before each pass. */
static void random_clusters(int rounds, unsigned most_ranks, int tasks, unsigned batch)
{
    unsigned long sent = 0, ahead = 0, taken = 0;

    for (int round = 1; round <= rounds; round++) {
        struct model *m = model_new((uint64_t)round, most_ranks, tasks);

        while (m->sim->next < (uint64_t)tasks) {
            for (unsigned n = pick(m, batch); n > 0 && m->sim->next < (uint64_t)tasks; n--) {
                random_step(m);
                note_dispatches(m); /* a task that blocks starts a pass */
            }
            model_settle(m);
        }
        nothing_is_left(m);
        sent += m->sent;
        ahead += m->sent_ahead;
        taken += m->taken;
        sim_free(m->sim);
        free(m);
    }
    print_message("%lu tasks sent, %lu of them ahead; %lu taken back\n", sent, ahead, taken);
    assert_true(ahead > 0 && ahead < sent / 2 && taken > 0);
}

static void random_clusters_stay_within_their_totals_and_nothing_is_left(void **state)
{
    (void)state;
    random_clusters(rounds_of(500), 8, 100, 2);
}

static void large_clusters_do_so_when_many_tasks_end_between_two_passes(void **state)
{
    (void)state;
    random_clusters(rounds_of(20), SIM_RANKS, TASKS, 60);
}

#define ON(setup, test) cmocka_unit_test_setup_teardown(test, setup, done)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(set_up, a_task_goes_where_all_that_it_asks_for_is_free),
        ON(set_up, a_label_is_asked_for_without_an_amount),
        ON(set_up, what_no_node_can_meet_fails_at_once_and_says_why),
        cmocka_unit_test(a_resource_that_no_node_has_is_named),
        ON(set_up, what_cannot_be_meant_is_an_error),
        ON(set_up, parts_of_gpus_share_instances_and_whole_ones_have_their_own),
        ON(with_ahead, what_was_sent_ahead_gets_its_gpus_when_others_end),
        ON(set_up, a_blocked_task_keeps_all_but_its_cpus),
        ON(set_up, strategies_decide_where_a_task_may_be),
        cmocka_unit_test(tasks_to_spread_take_turns_also_one_by_one),
        ON(set_up, a_task_for_one_node_is_not_overtaken_there_for_ever),
        ON(set_up, of_two_hosts_with_arguments_the_one_with_more_bytes_wins),
        ON(set_up, a_thousand_grabs_and_returns_of_a_tenth_leave_all_as_it_was),
        ON(set_up, classes_are_forgotten_when_no_task_needs_them),
        cmocka_unit_test(random_clusters_stay_within_their_totals_and_nothing_is_left),
        cmocka_unit_test(large_clusters_do_so_when_many_tasks_end_between_two_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
