/* test_world.c - holds head and agents together: random jobs under a network that reorders between
 * channels, with executors killed at any step. After every event nothing is oversubscribed and all
 * books agree; at the end every ref is ready or failed and no pin, lease, handle, byte or task is
 * left. TB_WORLDS sets how many worlds (default 10000), TB_SEED runs a single one again. */
#include "world.h"

static void every_world_ends_with_every_ref_settled_and_nothing_left(void **state)
{
    const char *worlds = getenv("TB_WORLDS"), *only = getenv("TB_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    uint64_t last = only ? first : worlds ? strtoull(worlds, NULL, 10) : 10000;
    unsigned long ran = 0, killed = 0, crashed = 0;

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
        world_free(world);
    }
    print_message("%llu worlds: %lu tasks ran, %lu executors killed, %lu crashes seen\n",
                  (unsigned long long)(last - first + 1), ran, killed, crashed);
    assert_true(ran > 0);
    assert_true(only || (killed > 0 && crashed > 0)); /* else the test tests nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_world_ends_with_every_ref_settled_and_nothing_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
