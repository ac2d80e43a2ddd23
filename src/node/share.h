/* share.h - who gets what, where several ranks of a host may use the same cores or GPUs: each
 * thing goes to one party that may have it, as evenly as that can be, and in order: of things
 * that the same parties may have, each gets neighbours. Pure: the same question has the same
 * answer on every rank. */
#ifndef TBI_SHARE_H
#define TBI_SHARE_H

#include <limits.h>
#include <stdbool.h>

enum { TBI_SHARE_NOBODY = INT_MAX };

/* Fills owner[nthings] from may[party * nthings + thing]; TBI_SHARE_NOBODY where no party may
 * have it. The numbers of things of the parties, sorted, are the most even ones possible; where
 * one must have more, the first has. */
void tbi_share(unsigned nparties, unsigned nthings, const bool *may, unsigned *owner);

#endif
