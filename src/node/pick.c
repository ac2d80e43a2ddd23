#include "node/pick.h"

#include <limits.h>

static bool is_free(const uint64_t *free, unsigned core)
{
    return free[core / 64] >> core % 64 & 1;
}

static unsigned next_free(const uint64_t *free, unsigned from)
{
    while (!is_free(free, from))
        from++;
    return from;
}

/* What of the machine a core belongs to, the narrowest first. */
enum level { WITHIN_L3, WITHIN_NUMA, WITHIN_PACKAGE, ANYWHERE };

static unsigned domain_of(const struct tbi_core *core, enum level level)
{
    switch (level) {
    case WITHIN_L3:
        return core->l3;
    case WITHIN_NUMA:
        return core->numa;
    case WITHIN_PACKAGE:
        return core->package;
    default:
        return 0;
    }
}

/* Of the domains with k free cores, the one with the fewest: cores [*from, *to). */
static bool find_domain(const struct tbi_core *core, unsigned n, const uint64_t *free, unsigned k,
                        enum level level, unsigned *from, unsigned *to)
{
    unsigned fewest = UINT_MAX, end;

    for (unsigned start = 0; start < n; start = end) {
        unsigned nfree = 0;

        for (end = start; end < n && domain_of(&core[end], level) == domain_of(&core[start], level);
             end++)
            nfree += is_free(free, end);
        if (nfree >= k && nfree < fewest) {
            fewest = nfree;
            *from = start;
            *to = end;
        }
    }
    return fewest != UINT_MAX;
}

/* The first of the k free cores in a row, of [from, to), that lie closest together; of equal
 * ones, that leave the fewest free neighbours. */
static unsigned closest(const uint64_t *free, unsigned k, unsigned from, unsigned to)
{
    unsigned best = from, least = UINT_MAX, cost, low, high, last = to - 1;

    while (!is_free(free, last))
        last--;
    low = high = next_free(free, from);
    for (unsigned i = 1; i < k; i++)
        high = next_free(free, high + 1);
    for (;;) {
        cost = 4 * (high - low) + (low > from && is_free(free, low - 1)) +
               (high + 1 < to && is_free(free, high + 1));
        if (cost < least) {
            least = cost;
            best = low;
        }
        if (high == last)
            return best;
        low = next_free(free, low + 1);
        high = next_free(free, high + 1);
    }
}

bool tbi_pick_cores(const struct tbi_core *core, unsigned n, const uint64_t *free, unsigned k,
                    unsigned *picked)
{
    unsigned from, to, at;

    for (enum level level = WITHIN_L3; level <= ANYWHERE; level++) {
        if (!find_domain(core, n, free, k, level, &from, &to))
            continue;
        at = closest(free, k, from, to);
        for (unsigned i = 0; i < k; i++, at++) {
            at = next_free(free, at);
            picked[i] = at;
        }
        return true;
    }
    return false;
}
