/* seed.h - numbers that depend on where a task stands in the tree of tasks, and on nothing else. */
#ifndef TBI_SEED_H
#define TBI_SEED_H

#include <stdint.h>

/* Mixer of splitmix64, see util/id.h. */
static inline uint64_t tbi_seed_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Of the child with this number, from 0. */
static inline uint64_t tbi_seed_child(uint64_t parent, uint64_t number)
{
    return tbi_seed_mix(parent ^ tbi_seed_mix(number));
}

#endif
