/* test_world.c - holds head and agents together: random jobs under a network that reorders between
 * channels, with executors killed at any step. After every event nothing is oversubscribed and all
 * books agree; at the end every ref is ready or failed and no pin, lease, handle, byte or task is
 * left. In half of the worlds records travel in frames under the quotas of net/quota.h. And small ones, in which a task or a direct call is cancelled, or its actor ends, at every event in turn. TB_WORLDS sets how many
 * worlds (default 10000), TB_SEED the first one, or the only one if TB_WORLDS is not set. */
#include "sched/graph.h"
#include "world.h"

static void every_world_ends_with_every_ref_settled_and_nothing_left(void **state)
{
    const char *worlds = getenv("TB_WORLDS"), *only = getenv("TB_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    uint64_t last = first - 1 + (worlds ? strtoull(worlds, NULL, 10) : only ? 1 : 10000);
    unsigned long ran = 0, reserved = 0, refused = 0, closings = 0,
                  in_groups = 0, with_gpus = 0, killed = 0, crashed = 0, retried = 0, cancelled = 0, overdue = 0, unread = 0,
                  stillborn = 0, copies_failed = 0, given_up = 0, evicted = 0, taken = 0, constructed = 0, restarted = 0, called = 0,
                  retired = 0, exited = 0, died = 0, unavailable = 0, found = 0,
                  direct = 0, stopped = 0, gates = 0, gate_waits = 0, untold = 0, several = 0, skipped = 0, starved = 0, frames = 0, held_back = 0,
                  idle_asked = 0, own_groups = 0, own_reserved = 0, alone = 0, turns = 0, holds = 0, idle_waits = 0, idle = 0;

    (void)state;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct world *world;
        const char *why = world_run(seed, &world);

        if (why != NULL)
            fail_msg("world %llu: %s; again with TB_SEED=%llu", (unsigned long long)seed, why,
                     (unsigned long long)seed);
        ran += world->ran;
        killed += world->killed;
        crashed += world->crashed_seen;
        retried += world->retried;
        cancelled += world->cancelled_seen;
        overdue += world->overdue_seen;
        unread += world->unread;
        stillborn += world->stillborn;
        copies_failed += world->copies_failed;
        given_up += world->rooms_given_up;
        evicted += world->evicted;
        alone += world->alone;
        taken += world->taken;
        turns += world->turns;
        holds += world->holds;
        constructed += world->constructed;
        restarted += world->restarted;
        called += world->called;
        retired += world->retired;
        exited += world->exited;
        died += world->died_seen;
        unavailable += world->unavailable_seen;
        found += world->found;
        direct += world->direct;
        gates += world->gates_opened;
        gate_waits += world->gate_waits;
        stopped += world->stopped;
        untold += world->untold;
        several += world->several;
        skipped += world->skipped;
        starved += world->starved;
        frames += world->frames;
        held_back += world->held_back;
        idle_asked += world->idle.told;
        idle_waits += world->idle.waits;
        idle += world->idle.idle;
        reserved += world->reserved;
        own_groups += world->own_groups;
        own_reserved += world->own_reserved;
        refused += world->refused;
        closings += world->sched->closing.number;
        in_groups += world->ran_in_groups;
        with_gpus += world->ran_with_gpus;
        world_free(world);
    }
    print_message("%llu worlds: %lu attempts ran, %lu of them retries; %lu executors killed; seen: "
                  "%lu crashes, %lu cancelled, %lu overdue; %lu failures unread; %lu "
                  "tasks taken back\n",
                  (unsigned long long)(last - first + 1), ran, retried, killed, crashed, cancelled,
                  overdue, unread, taken);
    print_message("%lu bundles reserved, %lu refused; %lu attempts ran in them, %lu with "
                  "GPUs; %lu times a node was closed to groups\n", reserved, refused, in_groups, with_gpus, closings);
    print_message("%lu tasks waited for groups of their own, %lu had them\n", own_groups, own_reserved);
    print_message("%lu actors constructed, %lu of them again; %lu calls begun; %lu actors retired, %lu exited; seen: "
                  "%lu ACTOR_DIED, %lu ACTOR_UNAVAILABLE; %lu found by name; %lu direct calls, %lu of them stopped\n", constructed, restarted, called,
                  retired, exited, died, unavailable, found, direct, stopped);
    print_message("%lu tasks waited for %lu tasks that came later\n", gate_waits, gates);
    print_message("%lu forks and %lu copies failed; %lu ends of tasks died with their process, which had no room in its "
                  "ring, %lu while it ran another; %lu tasks were taken back from executors\n", stillborn, copies_failed,
                  untold, several, skipped);
    print_message("processes had to wait for credit %lu times; %lu frames, behind %lu of which records waited for leave\n",
                  starved, frames, held_back);
    print_message("the driver was told %lu times how much is unfinished, %lu times nothing; it waited for that %lu "
                  "times\n", idle_asked, idle, idle_waits);
    print_message("%lu tasks and actors had a new process as they asked\n", alone);
    print_message("%lu tasks began before others resumed; %lu times nobody resumed for a larger one\n", turns, holds);
    print_message("%lu creates were given up, %lu copies evicted\n", given_up, evicted);
    assert_true(only || (ran && reserved && constructed && called));
    if (last - first >= 500) /* a few worlds need not have seen all of these */
        assert_true(alone && killed && crashed && retried && cancelled && overdue && unread && stillborn &&
                    copies_failed && starved && frames && held_back && given_up && evicted && taken && refused && closings &&
                    in_groups && with_gpus && restarted && retired && exited && died && found && gates &&
                    gate_waits && untold && skipped && idle_waits && idle && idle_asked > idle);
    if (last - first >= 500)
        assert_true(own_groups && own_reserved && turns);
    if (last - first >= 2000) /* these are rarer */
        assert_true(unavailable && direct && stopped && several);
}

static void many_ranks_keep_to_their_quotas_and_all_get_on(void **state)
{
    const char *worlds = getenv("TB_WORLDS");
    uint64_t n = worlds != NULL ? strtoull(worlds, NULL, 10) / 1000 : 10;
    unsigned long ran = 0, frames = 0, held_back = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= n || seed <= 2; seed++) {
        struct world *world;
        const char *why = world_run_many(seed, WORLD_RANKS, &world);

        if (why != NULL)
            fail_msg("world %llu of many ranks: %s", (unsigned long long)seed, why);
        ran += world->ran;
        frames += world->frames;
        held_back += world->held_back;
        world_free(world);
    }
    print_message("%lu attempts ran on %d ranks; %lu frames, behind %lu of which records waited for leave\n", ran,
                  WORLD_RANKS, frames, held_back);
    assert_true(ran > 0 && frames > 0 && held_back > 0);
}

/* Fewer races where fewer worlds are asked for. */
static uint64_t seeds(void)
{
    const char *worlds = getenv("TB_WORLDS");
    uint64_t n = worlds != NULL ? strtoull(worlds, NULL, 10) / 100 : 100;

    return n < 2 ? 2 : n > 100 ? 100 : n;
}

static void a_cancel_at_any_event_gives_a_value_or_cancelled(void **state)
{
    unsigned long races = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= seeds(); seed++)
        for (int force = 0; force < 2; force++) {
            bool late = false;

            for (unsigned at = 1; !late; at++, races++) {
                const char *why = world_race(seed, at, force, &late);

                if (why != NULL)
                    fail_msg("seed %llu, cancelled at event %u%s: %s", (unsigned long long)seed, at,
                             force ? " by force" : "", why);
                assert_true(at < 10000);
            }
        }
    print_message("%lu races\n", races);
}

static void race_a_direct_call(enum race race)
{
    unsigned long races = 0, direct = 0, values = 0;

    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct raced raced = {0};

        for (unsigned at = 1; !raced.late; at++, races++) {
            const char *why = world_race_direct(seed, race, at, &raced);

            if (why != NULL)
                fail_msg("seed %llu, at event %u after the call: %s", (unsigned long long)seed, at, why);
            assert_true(at < 10000);
            direct += raced.direct;
            values += raced.heard == 0;
        }
    }
    print_message("%lu races, %lu of the calls went directly, %lu have a value\n", races, direct, values);
    assert_true(direct > races / 2 && values > races / 10);
    if (seeds() >= 20) /* rare in few; each seed is too late once */
        assert_true(values < races - seeds());
}

static void a_direct_call_cancelled_at_any_event_is_the_same_to_all_who_ask(void **state)
{
    (void)state;
    race_a_direct_call(CANCEL_CALL);
}

static void so_is_one_whose_actor_is_killed_at_any_event(void **state)
{
    (void)state;
    race_a_direct_call(KILL_ACTOR);
}

static void and_one_whose_actors_process_dies_at_any_event(void **state)
{
    (void)state;
    race_a_direct_call(CRASH_ACTOR);
}

static void and_one_that_is_cancelled_before_that(void **state)
{
    (void)state;
    race_a_direct_call(CANCEL_AND_CRASH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_at_any_event_gives_a_value_or_cancelled),
        cmocka_unit_test(a_direct_call_cancelled_at_any_event_is_the_same_to_all_who_ask),
        cmocka_unit_test(so_is_one_whose_actor_is_killed_at_any_event),
        cmocka_unit_test(and_one_whose_actors_process_dies_at_any_event),
        cmocka_unit_test(and_one_that_is_cancelled_before_that),
        cmocka_unit_test(many_ranks_keep_to_their_quotas_and_all_get_on),
        cmocka_unit_test(every_world_ends_with_every_ref_settled_and_nothing_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
