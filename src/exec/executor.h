/* executor.h - the process that runs tasks, or is an actor: one ring in, one ring out, one task at a
 * time. Calls of an actor may run at once, in threads (lanes.h): then the main thread hands them out. */
#ifndef TBI_EXECUTOR_H
#define TBI_EXECUTOR_H

#include "api/process.h"
#include "exec/slots.h"

/* What an executor inherits from its rank. */
struct tbi_executor_config {
    struct tbi_slots *slots;
    struct tbi_memory *memory;
    unsigned job, rank;
    const char *host;
    bool marks;             /* what is printed is marked with its function */
    struct tbi_limits limits;
    const struct tbi_cluster *cluster;
    const struct tbi_places *places;
};

/* Runs tasks until told to exit. `ctx` is a struct tbi_executor_config. For tbi_zygote_config. */
int tbi_executor_main(void *ctx, uint32_t slot, uint32_t proc);

#endif
