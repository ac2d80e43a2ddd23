/* cgroup.h - the limits that control groups set to this process, of version 1, 2 or both at once
 * (hybrid). A group is limited by all its parents as well, as far as they can be seen from here:
 * the least counts. What of the cpuset is allowed, the kernel says in the affinity mask
 * (cores.h). */
#ifndef TBI_CGROUP_H
#define TBI_CGROUP_H

#include "node/system.h"

#include <stdint.h>

/* Bytes of memory; UINT64_MAX: no limit. */
uint64_t tbi_cgroup_memory(const struct tbi_system *sys);

/* Processor time, in thousandths of a CPU; UINT64_MAX: no limit. */
uint64_t tbi_cgroup_quota(const struct tbi_system *sys);

#endif
