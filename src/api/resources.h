/* resources.h - which resources the job has, by name and number, and how much of each a rank is said to
 * have. Numbers are the same on all ranks, since all read the same settings: CPUs, GPUs and memory
 * first, then custom resources and labels by name. A label "zone=a" is a resource of that name, of
 * which every node that bears it has one unit and nobody takes any. Amounts are in 1/10000 of a unit. */
#ifndef TBI_RESOURCES_H
#define TBI_RESOURCES_H

#include "api/settings.h"
#include "net/messages.h"

enum { TBI_RESOURCE_NAME = 64 };

struct tbi_resources {
    unsigned n;
    char name[TBI_RESOURCES_MAX][TBI_RESOURCE_NAME];
};

/* Reads TB_RESOURCES, TB_LABELS and TB_RANKS. 0, or TB_ERR_ARGUMENT with the last error naming the
 * setting, the entry and the remedy. */
int tbi_resources_read(struct tbi_resources *resources, const struct tbi_settings *settings);

/* Are all ranks that TB_RANKS names there? As above. */
int tbi_resources_check_ranks(const struct tbi_settings *settings, unsigned nranks);

/* What `rank` is said to have: amount[resources->n]; -1: what is found there. */
void tbi_resources_of_rank(const struct tbi_resources *resources,
                           const struct tbi_settings *settings, unsigned rank, int64_t *amount);

/* The number of a resource or label, or -1. */
int tbi_resources_find(const struct tbi_resources *resources, const char *name);

/* An amount of at most 1e14 units (1e14 bytes) in 1/10000; -1: it is negative, NaN, too large, or too
 * small to be told from none. */
int64_t tbi_resources_amount(double units);

/* "CPU", "GPU", "memory" and the like: taken, or not a name. NULL, or why not. */
const char *tbi_resources_bad_name(const char *name);

#endif
