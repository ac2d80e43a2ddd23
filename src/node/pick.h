/* pick.h - which of a rank's free cores a task gets. Pure. */
#ifndef TBI_PICK_H
#define TBI_PICK_H

#include "node/cores.h"

/* Picks k >= 1 of the cores [0, n), of which bit c % 64 of free[c / 64] says whether core c is
 * free: out of one L3 cache, else one NUMA domain, else one package, if one has as many free,
 * and there out of the one with the fewest, so that wide tasks find room elsewhere; side by side
 * if they can be, in the smallest such gap. False, and nothing is written: fewer are free. O(n). */
bool tbi_pick_cores(const struct tbi_core *core, unsigned n, const uint64_t *free, unsigned k,
                    unsigned *picked);

#endif
