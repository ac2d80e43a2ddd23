/* grants.h - what this node has of each resource and what of it is free; which cores and GPUs a task gets.
 *
 * Amounts are in 1/10000 of a unit and exact: for every resource free + granted == total. GPUs are
 * instances: part of one, or whole ones. Cores too, but only as advice where to run: whether a task
 * fits is decided by the number of CPUs alone, so that fractions cannot block each other; as long as all
 * demands are whole, running tasks have disjoint cores.
 * Pure; not thread-safe. */
#ifndef TBI_GRANTS_H
#define TBI_GRANTS_H

#include "net/messages.h"
#include "node/cores.h"

struct tbi_grants;

struct tbi_grants_config {
    unsigned nresources;
    const int64_t *totals;          /* totals[nresources]; whole GPUs, or part of one */
    const struct tbi_core *core;    /* core[ncores], in hwloc's order; 0 cores: tasks are not bound */
    unsigned ncores;
};

/* What a task demands; `more` as in DISPATCH. */
struct tbi_demand {
    int64_t cpus;
    unsigned nmore;
    const struct tbi_amount *more;
};

/* What it was granted: places in the node's cores, then in its GPUs. */
struct tbi_grant {
    uint16_t ncores, ngpus;
    uint16_t *place;
};

struct tbi_grants *tbi_grants_create(const struct tbi_grants_config *config);
void tbi_grants_destroy(struct tbi_grants *grants); /* NULL: nothing */

/* Could it ever fit? */
bool tbi_grants_feasible(const struct tbi_grants *grants, const struct tbi_demand *demand);
bool tbi_grants_fits(const struct tbi_grants *grants, const struct tbi_demand *demand);
bool tbi_grants_others_fit(const struct tbi_grants *grants, const struct tbi_demand *demand); /* all but its CPUs */

/* Takes what fits; the grant's places are the caller's until tbi_grants_give. The cores that `last`
 * (NULL: none) names are preferred: their process is bound to them already. */
void tbi_grants_take(struct tbi_grants *grants, const struct tbi_demand *demand,
                     const struct tbi_grant *last, struct tbi_grant *grant);
uint64_t tbi_grant_gpus(const struct tbi_grant *grant); /* the bits of its GPUs */
/* Gives it back; the grant's places may be kept as `last`, to be freed by the caller. */
void tbi_grants_give(struct tbi_grants *grants, const struct tbi_demand *demand,
                     const struct tbi_grant *grant);

/* The same without the CPUs: of a task that ends while they are given away. */
void tbi_grants_give_others(struct tbi_grants *grants, const struct tbi_demand *demand,
                            const struct tbi_grant *grant);

/* The same for the CPUs and cores alone: of a task that blocks, and resumes where it fits. */
bool tbi_grants_cpus_fit(const struct tbi_grants *grants, int64_t cpus);
void tbi_grants_give_cpus(struct tbi_grants *grants, int64_t cpus, const struct tbi_grant *grant);
void tbi_grants_take_cpus(struct tbi_grants *grants, int64_t cpus, struct tbi_grant *grant);

const struct tbi_core *tbi_grants_core(const struct tbi_grants *grants, unsigned place);
int64_t tbi_grants_free(const struct tbi_grants *grants, unsigned resource);
int64_t tbi_grants_total(const struct tbi_grants *grants, unsigned resource);
bool tbi_demand_equal(const struct tbi_demand *a, const struct tbi_demand *b);

/* Every invariant that can be seen from here; NULL or what is wrong. */
const char *tbi_grants_check(const struct tbi_grants *grants);

#endif
