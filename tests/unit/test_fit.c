/* test_fit.c - holds sched/fit: a small group is placed if and only if there is a way to place it, which is sought here by
 * trying all; and a large one that is not found by placing one after the other is placed as it was planned. */
#include "unit.h"
#include "sched/fit.h"
#include "thornback.h"
#include "util/instances.h"

enum { NODES = 4, GPUS = 3, BUNDLES = 6, KINDS = 3, FEW = 6, MANY = FEW + 60 };

struct site {
    struct tbi_nodes nodes;
    struct tbi_link gainers;
};
struct wanted {
    struct tbi_group *group;
    struct tbi_amount part[MANY][2];
};

static void site_init(struct site *s, unsigned n, unsigned cpus)
{
    int64_t *totals = calloc((size_t)n * TBI_CUSTOM, sizeof *totals);
    unsigned *host = calloc(n, sizeof *host);

    for (unsigned i = 0; i < n; i++) {
        totals[i * TBI_CUSTOM + TBI_CPUS] = cpus * TBI_UNIT;
        totals[i * TBI_CUSTOM + TBI_GPUS] = GPUS * TBI_UNIT;
        host[i] = i / 2;
    }
    tbi_list_init(&s->gainers);
    tbi_ledger_init(&s->nodes, n, TBI_CUSTOM, totals, host, &s->gainers);
    free(totals);
    free(host);
}

/* So much of a node's is taken. */
static void take(struct site *s, unsigned node, int64_t cpus, int64_t gpus)
{
    struct tbi_amount part[2] = {{.resource = TBI_CPUS, .amount = cpus}, {.resource = TBI_GPUS, .amount = gpus}};

    tbi_ledger_hold(&s->nodes, node, part, 1 + (gpus > 0));
}

static void ask_for(struct wanted *w, unsigned b, int64_t cpus, int64_t gpus)
{
    w->part[b][0] = (struct tbi_amount){.resource = TBI_CPUS, .amount = cpus};
    w->part[b][1] = (struct tbi_amount){.resource = TBI_GPUS, .amount = gpus};
    w->group->bundle[b] = (struct tbi_group_bundle){.part = w->part[b], .nparts = 1 + (gpus > 0)};
}

struct room {
    int64_t cpus[NODES];
    int32_t gpu[NODES][GPUS];
    unsigned bundles[NODES];
};

static bool put(struct room *room, const struct tbi_group *group, unsigned b, unsigned node)
{
    const struct tbi_group_bundle *bundle = &group->bundle[b];
    uint64_t chosen = 0;

    if (room->cpus[node] < bundle->part[0].amount)
        return false;
    if (bundle->nparts > 1 &&
        (chosen = tbi_instances_choose(room->gpu[node], GPUS, bundle->part[1].amount)) == 0)
        return false;
    room->cpus[node] -= bundle->part[0].amount;
    for (unsigned g = 0; g < GPUS; g++)
        if (chosen >> g & 1)
            room->gpu[node][g] -= tbi_instances_each(bundle->part[1].amount);
    return room->bundles[node]++ == 0 || group->strategy != TBI_GROUP_STRICT_SPREAD;
}

/* The bundles of `left` anywhere, in any order. */
static bool some_way(const struct room *room, const struct tbi_group *group, unsigned left)
{
    for (unsigned b = 0; b < group->n; b++)
        for (unsigned node = 0; left >> b & 1 && node < NODES; node++) {
            struct room next = *room;

            if (put(&next, group, b, node) && some_way(&next, group, left & ~(1u << b)))
                return true;
        }
    return left == 0;
}

static struct room room_at(const struct site *s)
{
    struct room room = {{0}, {{0}}, {0}};

    for (unsigned i = 0; i < NODES; i++) {
        room.cpus[i] = tbi_ledger_total(&s->nodes, i)[TBI_CPUS] - tbi_ledger_load(&s->nodes, i)[TBI_CPUS];
        memcpy(room.gpu[i], s->nodes.node[i].gpu, sizeof room.gpu[i]);
    }
    return room;
}

/* The bundles fit, in this order, where they are said to. */
static void assert_fits(const struct site *s, const struct tbi_group *group, const unsigned *node, const unsigned *order)
{
    struct room room = room_at(s);
    unsigned seen = 0;

    for (unsigned k = 0; k < group->n; k++) {
        assert_true(put(&room, group, order[k], node[order[k]]));
        seen |= 1u << order[k];
    }
    assert_int_equal(seen, (1u << group->n) - 1);
}

static void what_is_found_is_what_there_is(void **state)
{
    struct wanted w = {.group = calloc(1, sizeof *w.group + BUNDLES * sizeof *w.group->bundle)};
    unsigned found = 0, nothing = 0, node[BUNDLES], order[BUNDLES];
    uint64_t seed = 4711;

    (void)state;
    for (int k = 0; k < 1500; k++) {
        static const int64_t gpus[] = {0, 3000, 5000, 6000, 7000, 10000, 20000};
        unsigned nkinds = 1 + (unsigned)unit_random(&seed) % KINDS;
        int64_t kind[KINDS][2];
        struct room room;
        struct site s;
        bool is;

        site_init(&s, NODES, 4);
        for (unsigned i = 0; i < NODES; i++)
            for (unsigned n = unit_random(&seed) % 5; n > 0; n--) {
                int64_t amount = gpus[unit_random(&seed) % 7];

                if (tbi_instances_choose(s.nodes.node[i].gpu, GPUS, amount) != 0 || amount == 0)
                    take(&s, i, (int64_t)(unit_random(&seed) % 2) * TBI_UNIT, amount);
            }
        for (unsigned q = 0; q < nkinds; q++) {
            kind[q][0] = (int64_t)(unit_random(&seed) % 4) * 5000;
            kind[q][1] = gpus[unit_random(&seed) % 7];
        }
        w.group->n = 1 + (unsigned)unit_random(&seed) % BUNDLES;
        w.group->strategy = k % 3 == 0   ? TBI_GROUP_PACK
                            : k % 3 == 1 ? TBI_GROUP_SPREAD
                                         : TBI_GROUP_STRICT_SPREAD;
        for (unsigned b = 0; b < w.group->n; b++) {
            unsigned q = (unsigned)unit_random(&seed) % nkinds;

            ask_for(&w, b, kind[q][0], kind[q][1]);
        }
        room = room_at(&s);
        is = tbi_fit(&s.nodes, w.group, TBI_FIT_FREE, NULL, node, order);
        if (is)
            assert_fits(&s, w.group, node, order);
        else
            assert_false(some_way(&room, w.group, (1u << w.group->n) - 1));
        found += is;
        nothing += !is;
        tbi_ledger_fini(&s.nodes);
    }
    assert_true(found > 200 && nothing > 200);
    free(w.group);
}

/* On two nodes of ten CPUs 5, 3 and 2 have room, and 4, 3 and 3; but not one after the other, largest first. Sixty tiny ones
 * make it too many to go back on a step. */
static void what_was_planned_is_taken_where_nothing_is_found(void **state)
{
    static const int64_t cpus[FEW] = {49900, 30000, 20000, 39900, 30000, 30000};
    struct wanted w = {.group = calloc(1, sizeof *w.group + MANY * sizeof *w.group->bundle)};
    unsigned node[MANY], order[MANY], plan[MANY];
    struct site s;

    (void)state;
    site_init(&s, 2, 10);
    w.group->n = MANY;
    w.group->strategy = TBI_GROUP_PACK;
    for (unsigned b = 0; b < MANY; b++) {
        ask_for(&w, b, b < FEW ? cpus[b] : 1, 0);
        plan[b] = b < FEW ? b / 3 : b % 2;
    }
    assert_false(tbi_fit(&s.nodes, w.group, TBI_FIT_FREE, NULL, node, order));
    w.group->plan = plan;
    assert_true(tbi_fit(&s.nodes, w.group, TBI_FIT_FREE, NULL, node, order));
    assert_memory_equal(node, plan, sizeof plan);
    take(&s, 1, 10000, 0);
    assert_false(tbi_fit(&s.nodes, w.group, TBI_FIT_FREE, NULL, node, order));
    tbi_ledger_fini(&s.nodes);
    free(w.group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found_is_what_there_is),
        cmocka_unit_test(what_was_planned_is_taken_where_nothing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
