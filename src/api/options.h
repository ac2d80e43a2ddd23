/* options.h - what a task, an actor, a call of a method or a bundle asks for, checked and in the scheduler's
 * units. Pure; thread-safe. */
#ifndef TBI_OPTIONS_H
#define TBI_OPTIONS_H

#include "api/resources.h"

enum {
    TBI_ANY_ARGS = -1,
    TBI_MORE_MAX = 20,
    TBI_NAME_MAX = 255          /* bytes of an actor's name, and of its namespace */
};

/* What an actor alone has; as in struct msg_actor. The texts are the options'. */
struct tbi_actor_terms {
    const char *name, *name_space; /* name NULL: it has none */
    bool get_if_exists, detached;
    bool placed_only;           /* its CPUs are those of the default */
    int32_t max_task_retries;
    uint32_t max_pending;
    unsigned nlanes;
    uint16_t lane[TBI_LANES_MAX];
};

struct tbi_terms {
    int32_t cpus;               /* 1/10000 CPU */
    unsigned nmore;
    struct tbi_amount more[TBI_MORE_MAX]; /* what it demands besides, by rising resource */
    enum tbi_strategy strategy;
    uint32_t node;
    bool fresh_process;
    struct tbi_id group;        /* with TBI_IN_GROUP */
    int32_t max_retries;        /* and so on as in struct msg_submit */
    uint32_t retry_codes, retry_delay_ms, limit_ms;
    int num_args;               /* that it takes; TBI_ANY_ARGS */
    struct tbi_actor_terms actor; /* of an actor */
    unsigned lane;              /* of a call */
};

/* How many arguments it takes, by its options at registration and those of the call; either may be NULL. 0, or
 * TB_ERR_ARGUMENT as below. */
int tbi_options_num_args(const char *function, const tb_options *registered, const tb_options *call, int *n);

/* What holds for a task by its options at registration and those of the call, which win where they
 * are set; either may be NULL. `resources` NULL: only what can be said without them. 0, or
 * TB_ERR_ARGUMENT or TB_ERR_INFEASIBLE with the last error naming function, field and value. Whether there
 * is such a group is not looked at, nor whether the registered options are of the right kind. */
int tbi_options_read(const char *function, const tb_options *registered, const tb_options *call,
                     const struct tbi_resources *resources, struct tbi_terms *terms);
/* The same for an actor: `max_retries` says how often it is begun again. */
int tbi_options_read_actor(const char *cls, const tb_options *registered, const tb_options *call,
                           const struct tbi_resources *resources, struct tbi_terms *terms);
/* The same for a call of a method of class `cls`, which was registered with the options `of`. `max_retries` is
 * TBI_RETRIES_DEFAULT if it does not say. */
int tbi_options_read_call(const char *method, const char *cls, const tb_options *of, const tb_options *registered,
                          const tb_options *call, struct tbi_terms *terms);

/* The same for what a bundle sets aside, into `cpus` and `more`; `name` is what errors call it. */
int tbi_bundle_read(const char *name, const tb_bundle *bundle, const struct tbi_resources *resources,
                    struct tbi_terms *terms);

/* Are all the options that are set ones of this kind? `options` may be NULL. 0, or TB_ERR_ARGUMENT with the last
 * error naming the option, its value and what takes it. */
int tbi_options_check_kind(const char *function, enum tbi_kind kind, const tb_options *options);

/* ---- parts of the above ---- */

enum {
    TBI_RETRIES = 3, /* of who does not say */
    TBI_CODES_MAX = sizeof ((tb_options *)0)->retry_on_error / sizeof(int)
};

/* Resources and placement; `terms` is zeroed. */
int tbi_options_demand(const char *function, const tb_options *registered, const tb_options *call,
                       const struct tbi_resources *resources, struct tbi_terms *terms);
/* Seconds in milliseconds; 0: none. */
int tbi_options_seconds(const char *function, const char *field, double seconds, uint32_t *ms);
/* retry_on_error, or NULL, as one bit each, see msg_submit. */
int tbi_options_codes(const char *function, const int *code, uint32_t *codes);
/* A number of retries or restarts; -1: without end. */
int tbi_options_times(const char *function, const char *field, int times, int32_t *to);

#endif
