/* options.h - what a task or a bundle asks for, checked and in the scheduler's units. Pure; thread-safe. */
#ifndef TBI_OPTIONS_H
#define TBI_OPTIONS_H

#include "api/resources.h"

enum { TBI_MORE_MAX = 20 };
struct tbi_terms {
    int32_t cpus;               /* 1/10000 CPU */
    unsigned nmore;
    struct tbi_amount more[TBI_MORE_MAX]; /* what it demands besides, by rising resource */
    enum tbi_strategy strategy;
    uint32_t node;
    struct tbi_id group;        /* with TBI_IN_GROUP */
    int32_t max_retries;        /* and so on as in struct msg_submit */
    uint32_t retry_codes, retry_delay_ms, limit_ms;
};

/* What holds for a task by its options at registration and those of the call, which win where they
 * are set; either may be NULL. `resources` NULL: only what can be said without them. 0, or
 * TB_ERR_ARGUMENT or TB_ERR_INFEASIBLE with the last error naming function, field and value. Whether there
 * is such a group is not looked at. */
int tbi_options_read(const char *function, const tb_options *registered, const tb_options *call,
                     const struct tbi_resources *resources, struct tbi_terms *terms);

/* The same for what a bundle sets aside, into `cpus` and `more`; `name` is what errors call it. */
int tbi_bundle_read(const char *name, const tb_bundle *bundle, const struct tbi_resources *resources,
                    struct tbi_terms *terms);

#endif
