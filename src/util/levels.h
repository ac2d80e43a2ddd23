/* levels.h - lists by level: of what waits at depths of which most are empty. Any number of levels; one that is
 * empty costs nothing. O(1) for the level that was used last, else O(log levels).
 * Not thread-safe. */
#ifndef TBI_LEVELS_H
#define TBI_LEVELS_H

#include "util/list.h"

#include <stdint.h>

struct tbi_level {
    struct tbi_link list;       /* not empty */
    uint32_t number, rank;
    struct tbi_level *lower, *higher, *above; /* in a tree by number */
};
struct tbi_levels {
    struct tbi_level *root;
    struct tbi_level *last;     /* used last, or NULL */
    struct tbi_level *spare;    /* an unused one, or NULL */
};

void tbi_levels_fini(struct tbi_levels *levels); /* also of one that is zeroed; links are not touched */

/* The list of the level, to which something is to be added at once. */
struct tbi_link *tbi_levels_list(struct tbi_levels *levels, uint32_t number);
/* Takes out a link of this level. */
void tbi_levels_take(struct tbi_levels *levels, uint32_t number, struct tbi_link *link);

/* The levels that have something, from one end to the other; NULL: no more. */
struct tbi_level *tbi_levels_lowest(const struct tbi_levels *levels);
struct tbi_level *tbi_levels_highest(const struct tbi_levels *levels);
struct tbi_level *tbi_levels_next(const struct tbi_level *level);

static inline bool tbi_levels_empty(const struct tbi_levels *levels)
{
    return levels->root == NULL;
}

#endif
