/* children.h - the processes below this one, whoever started them. A process that adopts gets those of its
 * descendants whose parents have ended as children of its own, also those that left its session or process group,
 * so it can find and end them. The zygote and each executor adopt: what a task has started stays below its executor
 * as long as that lives, and below the zygote after that. Safe in signal handlers. */
#ifndef TBI_CHILDREN_H
#define TBI_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

/* From now on, and not for the children of a later fork: each adopts for itself. */
void tbi_children_adopt(void);

/* Calls `each` for the children there are now, dead ones that were not waited for included. One that comes or goes
 * meanwhile may be missed, or let another be missed: look again after each death. The other does without the kernel's
 * list of them, which some kernels lack. */
void tbi_children_each(void (*each)(void *ctx, pid_t child), void *ctx);
void tbi_children_each_by_scan(void (*each)(void *ctx, pid_t child), void *ctx);

/* Kills all processes below this one and waits for them. False: some are left when the time is up. */
bool tbi_children_end(unsigned limit_ms);

/* Forgets the children that have ended and that nobody has waited for. */
void tbi_children_reap(void);

#endif
