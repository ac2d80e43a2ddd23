/* turns.h - when the task that has waited for longest is let through before deeper ones, by head and agents alike: when
 * `limit` others have passed it since one was let through. That grows eightfold with each that was let through and has
 * not ended, for it may be blocked until deeper ones have run: each of a tree of tasks holds as many processes as
 * the tree is deep. But it does not grow without end, so that those which run for hours keep no other waiting. */
#ifndef TBI_TURNS_H
#define TBI_TURNS_H

#include <stdbool.h>
#include <stdint.h>

enum { TBI_TURNS_OPEN = 3, TBI_TURNS_BITS = 3 };

static inline bool tbi_turn_has_come(uint64_t passed, unsigned limit, unsigned elders)
{
    return passed >= (uint64_t)limit << TBI_TURNS_BITS * (elders < TBI_TURNS_OPEN ? elders : TBI_TURNS_OPEN);
}

#endif
