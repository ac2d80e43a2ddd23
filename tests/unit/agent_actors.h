/* agent_actors.h - actors of agent_fixture.h's agent: what head and processes say of them. */
#ifndef TB_AGENT_ACTORS_H
#define TB_AGENT_ACTORS_H

#include "agent_fixture.h"

struct actor {
    double cpus;
    unsigned gpus, flags, lane0, lane1;
    uint32_t attempt;
    int at;             /* 1 + the rank of its one argument, object 100; 0: none */
    int group;          /* in its bundle 1; 0: none */
};

static inline const char *dispatch_actor(struct fake *f, int task, struct actor a)
{
    unsigned n = a.at > 0, more = a.gpus > 0, grouped = a.group > 0;
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE,
                                    sizeof *m + n * (sizeof(struct msg_located) + 8) +
                                        more * sizeof(struct tbi_amount) +
                                        grouped * sizeof(struct tbi_id) + sizeof(struct msg_actor));
    uint8_t *at = (uint8_t *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .cpus = (int32_t)(a.cpus * 10000), .nreturns = 1,
                               .attempt = a.attempt, .nargs = (uint16_t)n, .nresolve = (uint16_t)n,
                               .nmore = (uint16_t)more,
                               .flags = (uint16_t)(TBI_DISPATCH_ACTOR | (grouped ? TBI_DISPATCH_BUNDLE : 0))};
    if (n > 0) {
        *(struct msg_located *)at = (struct msg_located){id(100), TBI_AT_STORE, (unsigned)a.at - 1, 0, 5000};
        at += sizeof(struct msg_located);
        *(uint64_t *)at = TBI_ARG_REF;
        at += 8;
    }
    if (more) {
        *(struct tbi_amount *)at = (struct tbi_amount){TBI_GPUS, 0, (int64_t)a.gpus * 10000};
        at += sizeof(struct tbi_amount);
    }
    if (grouped) {
        *(struct tbi_id *)at = bundle_of(a.group, 1);
        at += sizeof(struct tbi_id);
    }
    *(struct msg_actor *)at = (struct msg_actor){.flags = (uint16_t)a.flags, .nlanes = a.lane1 > 0 ? 2 : 1,
                                                 .lane = {(uint16_t)a.lane0, (uint16_t)a.lane1}};
    return deliver(f, 0);
}

static inline const char *constructed(struct fake *f, uint32_t proc, int actor, uint32_t attempt)
{
    *(struct msg_done *)record(f, TBI_MSG_CONSTRUCTED, proc, sizeof(struct msg_done)) =
        (struct msg_done){.task = id(actor), .attempt = attempt};
    return deliver(f, 1);
}

/* A task, or call, has failed of its own accord. */
static inline const char *failed(struct fake *f, uint32_t proc, int task)
{
    struct msg_done *m = record(f, TBI_MSG_DONE, proc, sizeof *m + sizeof(struct tbi_error_link));

    *m = (struct msg_done){.task = id(task), .error = TB_ERR_TASK, .data_bytes = sizeof(struct tbi_error_link),
                           .error_bytes = sizeof(struct tbi_error_link)};
    tbi_error_link((struct tbi_error_link *)(m + 1), TB_ERR_TASK, "as the test wants it");
    return deliver(f, 1);
}

static inline const char *done_and_exits(struct fake *f, uint32_t proc, int task)
{
    struct msg_done *m = record(f, TBI_MSG_DONE, proc, sizeof *m + sizeof(struct tbi_result) + 8);

    *m = (struct msg_done){.task = id(task), .nresults = 1, .data_bytes = 8, .exits = 1};
    *(struct tbi_result *)(m + 1) = (struct tbi_result){TBI_AT_INLINE, 0, 8};
    return deliver(f, 1);
}

static inline void retire(struct fake *f, int actor, uint32_t attempt)
{
    *(struct msg_task *)record(f, TBI_MSG_RETIRE, TBI_PROC_NONE, sizeof(struct msg_task)) =
        (struct msg_task){id(actor), attempt, 0};
    assert_null(deliver(f, 0));
}

/* What was said is not of interest. */
static inline void forget(struct fake *f)
{
    describe(f);
    assert_null(tbi_agent_check(f->agent));
    f->len = 0;
    f->text[0] = 0;
}

/* Actor 1 lives in process 1. */
static inline void live(struct fake *f, struct actor a)
{
    assert_null(dispatch_actor(f, 1, a));
    assert_null(constructed(f, 1, 1, a.attempt));
    forget(f);
}

#endif
