/* remains.h - what a rank still has on record when a job is over: with no ref held and no task under way
 * that should be nothing, and what is left all the same is a leak. */
#ifndef TBI_REMAINS_H
#define TBI_REMAINS_H

#include "node/agent.h"

#include <stdio.h>

/* Nothing? `living` counts executors that have not ended; sched is NULL where the head is not. */
bool tbi_remains_none(const struct tbi_agent *agent, const struct tbi_sched *sched,
                      unsigned living);

/* One line that names what is left, and what of the books is wrong; says nothing if all is well. */
void tbi_remains_report(const struct tbi_agent *agent, const struct tbi_sched *sched,
                        unsigned living, unsigned rank, FILE *to);

#endif
