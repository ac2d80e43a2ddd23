/* instances.h - which instances of a resource, GPUs say, a demand gets: the one routine for head and agents, so that
 * they decide alike where they see the same. Amounts in 1/10000. */
#ifndef TBI_INSTANCES_H
#define TBI_INSTANCES_H

#include <stdint.h>

#define TBI_INSTANCE 10000 /* a whole one */

/* Part of one: of the fullest that has so much left. Whole ones: the first that are wholly free. Returns their bits;
 * 0: there are none. left[n], n at most 64, may be negative. */
static inline uint64_t tbi_instances_choose(const int32_t *left, unsigned n, int64_t amount)
{
    uint64_t chosen = 0;
    int32_t least = INT32_MAX;

    if (amount < TBI_INSTANCE) {
        for (unsigned g = 0; g < n; g++)
            if (left[g] >= amount && left[g] < least) {
                least = left[g];
                chosen = UINT64_C(1) << g;
            }
        return chosen;
    }
    for (unsigned g = 0; g < n && amount > 0; g++)
        if (left[g] == TBI_INSTANCE) {
            chosen |= UINT64_C(1) << g;
            amount -= TBI_INSTANCE;
        }
    return amount > 0 ? 0 : chosen;
}

/* Of each of them, so much is the demand's. */
static inline int32_t tbi_instances_each(int64_t amount)
{
    return (int32_t)(amount < TBI_INSTANCE ? amount : TBI_INSTANCE);
}

/* How many such demands, one after the other, could get theirs? */
static inline int64_t tbi_instances_count(const int32_t *left, unsigned n, int64_t amount)
{
    int64_t count = 0;

    for (unsigned g = 0; g < n; g++)
        if (amount >= TBI_INSTANCE)
            count += left[g] == TBI_INSTANCE;
        else if (left[g] > 0)
            count += left[g] / amount;
    return amount >= TBI_INSTANCE ? count / (amount / TBI_INSTANCE) : count;
}

/* Could these be what a demand was given, of n? */
static inline int tbi_instances_are(uint64_t chosen, unsigned n, int64_t amount)
{
    unsigned count = 0;

    for (uint64_t rest = chosen; rest != 0; rest &= rest - 1)
        count++;
    return (n >= 64 || chosen >> n == 0) &&
           count == (amount < TBI_INSTANCE ? amount > 0 : (unsigned)(amount / TBI_INSTANCE));
}

#endif
