/* bind.h - an executor on the cores and GPUs that its task was granted: affinity, and the variables that
 * OpenMP, BLAS libraries and the vendors' GPU runtimes read. Only what has changed since the last task
 * costs a system call. Used by the thread that runs tasks. */
#ifndef TBI_BIND_H
#define TBI_BIND_H

#include "net/messages.h"
#include "node/cores.h"
#include "node/gpus.h"

/* What a rank's executors inherit: the cores and GPUs that places are of. */
struct tbi_places {
    struct tbi_core_share cores;
    struct tbi_gpus gpus;
};

/* Before the task's function: its cores and its GPUs (place[ncores + ngpus]; no cores: all that the
 * rank has), and `cpus` (1/10000) threads for libraries that ask. */
void tbi_bind(const struct tbi_places *places, const uint16_t *place, unsigned ncores,
              unsigned ngpus, int32_t cpus);
/* In a new thread that runs calls: libraries such as OpenMP count threads for each thread of the program. */
void tbi_bind_thread(void);
/* After it has waited: its cores, which may be others now; without any of its own, all that the rank has. */
void tbi_bind_cores(const struct tbi_places *places, const uint16_t *core, unsigned ncores);

#endif
