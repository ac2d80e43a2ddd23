#include "sched/place.h"
#include "util/alloc.h"

enum {
    LIGHT_SLOTS = 64,  /* tasks that ask for nothing always fit; this many at a time will do */
    WORK_US = 2000,    /* that may wait at a node: a round trip to the head costs far less */
};

/* How good a node is for a class, in one number: larger is better, 0 is not at all.
 *
 *     63 62   61            32 31        20 19     0
 *    +-------+----------------+------------+--------+
 *    | tier  |     value      |   random   |  node  |   HALF, QUEUE
 *    +-------+-------+--------+---+--------+--------+
 *    | tier  | rough |   random   |  fine  |  node  |   ROOM: near-equals are equals
 *    +-------+-------+------------+--------+--------+
 *
 * To spread, the turn (see turn_of) stands in place of the random number. The node stands there inverted, so that
 * without randomness the first of equals is chosen. */
enum tier { NONE, QUEUE, ROOM, HALF }; /* HALF: fits and leaves it half empty; ROOM: fits */
enum { NODE_BITS = 20, RANDOM_BITS = 12, VALUE_BITS = 30, ROUGH_BITS = 5, TIER_AT = 62 };
#define VALUE_MAX ((UINT64_C(1) << VALUE_BITS) - 1)
#define NODE_MASK ((UINT64_C(1) << NODE_BITS) - 1)
#define TURN_MAX ((UINT64_C(1) << RANDOM_BITS) - 1)

static enum tier tier_of(uint64_t score)
{
    return (enum tier)(score >> TIER_AT);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static unsigned node_of(uint64_t score)
{
    return (unsigned)(NODE_MASK - (score & NODE_MASK));
}

/* xorshift64 (Marsaglia 2003); seeded with 0 it stays 0. */
static uint64_t draw(struct tbi_nodes *nodes)
{
    uint64_t x = nodes->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    nodes->random = x;
    return x >> (64 - RANDOM_BITS);
}

/* Tasks are spread by turns: the longer ago a node was given one, the larger. Thousands of nodes take a turn in
 * groups. */
static unsigned turn_shift(const struct tbi_nodes *nodes)
{
    unsigned shift = 0;

    while (TURN_MAX << shift < 4 * (uint64_t)nodes->n)
        shift++;
    return shift;
}

static uint64_t turn_of(const struct tbi_nodes *nodes, unsigned i)
{
    uint64_t at = nodes->node[i].spread_at, base = nodes->spread_base;

    return TURN_MAX - (at > base ? (at - base) >> turn_shift(nodes) : 0);
}

/* The bits of a turn suffice for so many tasks: then half of the turns are forgotten. */
static void renew_turns(struct tbi_nodes *nodes)
{
    uint64_t most = TURN_MAX << turn_shift(nodes);

    if (nodes->spreads - nodes->spread_base < most)
        return;
    nodes->spread_base = nodes->spreads - most / 2;
    tbi_ledger_note_all(nodes);
}

static unsigned tasks_on(const struct tbi_node *node, const struct tbi_class *class)
{
    return class->light ? node->light : node->count;
}

static unsigned count_slots(const struct tbi_nodes *nodes, unsigned i,
                            const struct tbi_class *class)
{
    const int64_t *total = tbi_ledger_total(nodes, i), *lasting = tbi_ledger_lasting(nodes, i);
    int64_t least = class->light ? LIGHT_SLOTS : INT32_MAX;

    for (unsigned p = 0; p < class->nparts; p++) {
        const struct tbi_amount *part = &class->part[p];
        int64_t n = least;

        if (part->resource == TBI_GPUS && part->amount > 0 && part->amount < TBI_UNIT)
            n = nodes->node[i].ngpus * (TBI_UNIT / part->amount);
        else if (part->amount > 0)
            n = (total[part->resource] - lasting[part->resource]) / part->amount;
        if (n < least)
            least = n;
    }
    return least < 1 ? 1 : (unsigned)least;
}

/* How many tasks of the class the node runs at once. They are divisions, and asked for often. */
static unsigned slots(const struct tbi_nodes *nodes, unsigned i, struct tbi_class *class)
{
    if (class->node != TBI_ANY_NODE)
        return count_slots(nodes, i, class);
    if (class->slots == NULL)
        class->slots = tbi_alloc_zeroed(nodes->n, sizeof *class->slots);
    if (class->slots_holds != nodes->holds)
        memset(class->slots, 0, nodes->n * sizeof *class->slots);
    class->slots_holds = nodes->holds;
    if (class->slots[i] == 0)
        class->slots[i] = count_slots(nodes, i, class);
    return class->slots[i];
}

/* Shorter is better: by the time until it is through, as far as that is known, then by length. */
static uint64_t queue_value(const struct tbi_nodes *nodes, unsigned i, struct tbi_class *class)
{
    const struct tbi_node *node = &nodes->node[i];
    unsigned n = slots(nodes, i, class), length = tasks_on(node, class) * 64 / n;
    uint64_t us = 0;

    if (node->backlog_us > 0)
        us = (uint64_t)node->backlog_us / n / 16;
    if (us > 0x3fff)
        us = 0x3fff;
    if (length > 0xffff)
        length = 0xffff;
    return VALUE_MAX - (us << 16 | length);
}

static double share(int64_t used, int64_t total)
{
    return used < total ? (double)used / (double)total : 1;
}

/* What is in use of a resource, as far as a choice between nodes goes: actors that take no CPUs compute all
 * the same, and would else all come to be on the first node. */
static int64_t in_use(const struct tbi_nodes *nodes, unsigned i, unsigned resource)
{
    int64_t load = tbi_ledger_load(nodes, i)[resource];

    return resource == TBI_CPUS ? load + nodes->node[i].actors * (int64_t)TBI_UNIT : load;
}

/* The value of a node that has room for a task of the class. */
static uint64_t room_value(const struct tbi_nodes *nodes, unsigned i,
                           const struct tbi_class *class, bool spread, enum tier *tier)
{
    const int64_t *total = tbi_ledger_total(nodes, i);
    const struct tbi_node *node = &nodes->node[i];
    unsigned tasks = node->count + node->light + node->actors;
    double before = 0, after = 0, larger;

    if (class->light)
        before = after = share(in_use(nodes, i, TBI_CPUS), total[TBI_CPUS]);
    for (unsigned p = 0; p < class->nparts; p++) {
        unsigned r = class->part[p].resource;

        if (class->part[p].amount == 0)
            continue;
        larger = share(in_use(nodes, i, r), total[r]);
        before = larger > before ? larger : before;
        larger = share(in_use(nodes, i, r) + class->part[p].amount, total[r]);
        after = larger > after ? larger : after;
    }
    *tier = !spread && after > 0.5 ? ROOM : HALF;
    if (*tier == HALF && !spread)
        return (uint64_t)(before * (double)VALUE_MAX);
    return (uint64_t)((1 - before) * (double)(VALUE_MAX >> 10)) << 10 | /* of equally empty ones the one with */
           (1023 - (tasks < 1023 ? tasks : 1023));                      /* the fewest tasks */
}

static uint64_t rate(struct tbi_nodes *nodes, unsigned i, struct tbi_class *class, bool spread,
                     bool bypass)
{
    const struct tbi_node *node = &nodes->node[i];
    const int64_t *total = tbi_ledger_total(nodes, i), *load = tbi_ledger_load(nodes, i);
    const int64_t *lasting = tbi_ledger_lasting(nodes, i);
    bool fits = !class->light || node->light < LIGHT_SLOTS;
    enum tier tier = QUEUE;
    uint64_t value, random;

    if (!node->works || (node->kept_for != NULL && node->kept_for != class && !bypass))
        return 0;
    for (unsigned p = 0; p < class->nparts; p++) {
        int64_t amount = class->part[p].amount, all = total[class->part[p].resource];

        if (all < amount || all == 0 || all - lasting[class->part[p].resource] < amount)
            return 0; /* never, or not as long as an actor lives */
        fits &= load[class->part[p].resource] <= all - amount;
    }
    if (fits && class->gpus > 0)
        fits = tbi_ledger_has_gpus(node, class->gpus);
    value = fits ? room_value(nodes, i, class, spread, &tier) : queue_value(nodes, i, class);
    random = (spread ? turn_of(nodes, i) : draw(nodes)) << NODE_BITS;
    if (tier == ROOM) {
        uint64_t fine = value & (VALUE_MAX >> ROUGH_BITS);

        value -= fine;
        random = random << (VALUE_BITS - ROUGH_BITS) | fine << NODE_BITS;
    }
    return (uint64_t)tier << TIER_AT | value << (NODE_BITS + RANDOM_BITS) | random |
           (NODE_MASK - i);
}

/* Does anything wait there already, so far as the forecast tells? */
static bool has_queue(const struct tbi_nodes *nodes, unsigned i, const struct tbi_class *class)
{
    const int64_t *total = tbi_ledger_total(nodes, i), *load = tbi_ledger_load(nodes, i);
    const struct tbi_node *node = &nodes->node[i];
    bool over = class->light ? node->light > LIGHT_SLOTS : !tbi_list_empty(&node->owed);

    for (unsigned p = 0; p < class->nparts; p++)
        over |= load[class->part[p].resource] > total[class->part[p].resource];
    return over;
}

static bool may_queue(const struct tbi_nodes *nodes, unsigned i, struct tbi_class *class,
                      uint32_t run_us)
{
    const struct tbi_node *node = &nodes->node[i];
    uint64_t n = slots(nodes, i, class), tasks = tasks_on(node, class);

    if (nodes->ahead == 0)
        return false;
    if (run_us == 0)
        return tasks < n + nodes->ahead;
    if (!has_queue(nodes, i, class))
        return true;
    return run_us < WORK_US && tasks < n * (1 + nodes->ahead) &&
           (uint64_t)node->backlog_us + run_us <= WORK_US * n;
}

static uint64_t best_node(struct tbi_nodes *nodes, struct tbi_class *class, bool spread)
{
    struct tbi_tournament *t = &class->tournament[spread];
    uint64_t *seen = &class->seen[spread];

    if (t->level[0] == NULL || nodes->changes - *seen > nodes->n) {
        if (t->level[0] == NULL)
            tbi_tournament_init(t, nodes->n);
        for (unsigned i = 0; i < nodes->n; i++)
            t->level[0][i] = rate(nodes, i, class, spread, false);
        tbi_tournament_play(t);
    } else {
        for (uint64_t k = *seen; k < nodes->changes; k++) {
            unsigned i = nodes->log[k & nodes->mask];

            if (nodes->node[i].change == k) /* else it will come once more */
                tbi_tournament_set(t, i, rate(nodes, i, class, spread, false));
        }
    }
    *seen = nodes->changes;
    return tbi_tournament_best(t);
}

static uint64_t best_gained(struct tbi_nodes *nodes, struct tbi_class *class, bool spread)
{
    uint64_t best = 0;

    for (unsigned k = 0; k < nodes->ngained; k++)
        best = larger(best, rate(nodes, nodes->gained[k], class, spread, false));
    return best;
}

void tbi_place_forget(struct tbi_class *class)
{
    tbi_tournament_fini(&class->tournament[0]);
    tbi_tournament_fini(&class->tournament[1]);
    free(class->slots);
}

/* Where in by_host the nodes of a host begin, if it has any. */
static unsigned first_of(const struct tbi_nodes *nodes, unsigned host)
{
    unsigned low = 0, high = nodes->n;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (nodes->node[nodes->by_host[middle]].host < host)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of the nodes with the most bytes that it fits at once the best one, or 0. */
static uint64_t near_node(struct tbi_nodes *nodes, struct tbi_class *class,
                          const struct tbi_wish *wish)
{
    uint64_t best = 0, bytes = 0;

    for (unsigned k = 0; k < wish->nnear; k++) {
        const struct tbi_near *near = &wish->near[k];

        if (near->bytes < TBI_LARGE_BYTES || near->bytes < bytes)
            continue;
        for (unsigned h = first_of(nodes, near->host);
             h < nodes->n && nodes->node[nodes->by_host[h]].host == near->host; h++) {
            uint64_t score = rate(nodes, nodes->by_host[h], class, false, wish->bypass);

            if (tier_of(score) >= ROOM && (near->bytes > bytes || score > best)) {
                best = score;
                bytes = near->bytes;
            }
        }
    }
    return best;
}

int tbi_place(struct tbi_nodes *nodes, struct tbi_class *class, const struct tbi_wish *wish)
{
    uint64_t best = 0;

    if (wish->strategy == TBI_SPREAD)
        renew_turns(nodes);
    if (class->node != TBI_ANY_NODE)
        best = rate(nodes, class->node, class, false, wish->bypass);
    else if (wish->strategy == TBI_PREFER_NODE)
        best = rate(nodes, wish->node, class, false, wish->bypass);
    else if (wish->nnear > 0 && wish->strategy == TBI_DEFAULT)
        best = near_node(nodes, class, wish);
    if (tier_of(best) >= ROOM)
        return (int)node_of(best);
    if (class->node == TBI_ANY_NODE && class->limited && !wish->bypass)
        best = best_gained(nodes, class, wish->strategy == TBI_SPREAD);
    else if (class->node == TBI_ANY_NODE)
        best = best_node(nodes, class, wish->strategy == TBI_SPREAD);
    if (class->node == TBI_ANY_NODE && wish->bypass && tier_of(best) < ROOM)
        for (struct tbi_link *l = nodes->kept.next; l != &nodes->kept; l = l->next) {
            unsigned kept = (unsigned)(TBI_ENTRY(l, struct tbi_node, keeping) - nodes->node);

            best = larger(best, rate(nodes, kept, class, false, true));
        }
    if (best == 0 || (tier_of(best) == QUEUE && !wish->bypass &&
                      !may_queue(nodes, node_of(best), class, wish->run_us)))
        return -1;
    return (int)node_of(best);
}

bool tbi_place_fits(struct tbi_nodes *nodes, unsigned i, struct tbi_class *class)
{
    return tier_of(rate(nodes, i, class, false, false)) >= ROOM;
}

int tbi_place_soonest(struct tbi_nodes *nodes, struct tbi_class *class)
{
    uint64_t best = class->node != TBI_ANY_NODE ? rate(nodes, class->node, class, false, false)
                                                : best_node(nodes, class, false);

    return best == 0 || nodes->node[node_of(best)].kept_for != NULL ? -1 : (int)node_of(best);
}

unsigned tbi_place_nearest(const struct tbi_nodes *nodes, const struct tbi_class *class)
{
    unsigned best = 0;
    double most = -1;

    for (unsigned i = 0; i < nodes->n; i++) {
        const int64_t *total = tbi_ledger_whole(nodes, i);
        double met = 0, worst = 1;

        for (unsigned p = 0; p < class->nparts; p++) {
            const struct tbi_amount *part = &class->part[p];
            double share = total[part->resource] >= part->amount && total[part->resource] > 0 ? 1
                           : part->amount == 0 ? 0
                           : (double)total[part->resource] / (double)part->amount;

            met += share == 1;
            worst = share < worst ? share : worst;
        }
        if (nodes->node[i].works && met + worst > most) {
            most = met + worst;
            best = i;
        }
    }
    return best;
}

static uint64_t without_random(uint64_t score, bool spread)
{
    uint64_t bits = ((UINT64_C(1) << RANDOM_BITS) - 1) << NODE_BITS;

    if (spread)
        return score;
    return score & ~(tier_of(score) == ROOM ? bits << (VALUE_BITS - ROUGH_BITS) : bits);
}

const char *tbi_place_check(const struct tbi_nodes *nodes, struct tbi_class *class)
{
    struct tbi_nodes copy = *nodes;

    copy.random = 0;
    for (unsigned spread = 0; spread < 2; spread++) {
        struct tbi_tournament *t = &class->tournament[spread];
        uint64_t best = 0;

        if (t->level[0] == NULL || class->seen[spread] != nodes->changes)
            continue;
        for (unsigned i = 0; i < nodes->n; i++) {
            best = larger(best, t->level[0][i]);
            if (without_random(t->level[0][i], spread) != rate(&copy, i, class, spread, false))
                return "a class has a wrong score for a node";
        }
        if (best != tbi_tournament_best(t))
            return "the best node of a class is another one";
    }
    for (unsigned i = 0; class->stuck && nodes->ngained == 0 && i < nodes->n; i++)
        if ((class->node == TBI_ANY_NODE || class->node == i) &&
            tier_of(rate(&copy, i, class, false, false)) >= ROOM)
            return "tasks wait although a node has room for them";
    return NULL;
}
