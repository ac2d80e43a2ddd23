/* tournament.h - the largest of many numbers that change one at a time: groups of eight, the largest
 * of each group, of eight of those, and so on up to one. Eight are a cache line, which is what a
 * change costs a level, at most; mostly it ends at the first.
 * Not thread-safe. */
#ifndef TBI_TOURNAMENT_H
#define TBI_TOURNAMENT_H

#include <stdint.h>

enum { TBI_TOURNAMENT_LEVELS = 11 }; /* 8^10 numbers */

struct tbi_tournament {
    uint64_t *level[TBI_TOURNAMENT_LEVELS]; /* level[0][i]: number i; the last has one */
    unsigned groups[TBI_TOURNAMENT_LEVELS]; /* of eight */
    unsigned top;
};

/* Of n numbers (at least one), all 0. */
void tbi_tournament_init(struct tbi_tournament *t, unsigned n);
void tbi_tournament_fini(struct tbi_tournament *t); /* also of one that is zeroed */

void tbi_tournament_set(struct tbi_tournament *t, unsigned i, uint64_t number);
/* After the numbers were set in level[0]: the same for all of them at once. */
void tbi_tournament_play(struct tbi_tournament *t);

static inline uint64_t tbi_tournament_best(const struct tbi_tournament *t)
{
    return t->level[t->top][0];
}

#endif
