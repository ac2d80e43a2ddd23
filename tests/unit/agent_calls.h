/* agent_calls.h - calls that the head sends to an actor's agent. */
#ifndef TB_AGENT_CALLS_H
#define TB_AGENT_CALLS_H

#include "agent_actors.h"

struct call {
    unsigned lane;
    uint32_t epoch, attempt, limit_ms;
    int at;             /* 1 + the rank of its one argument, object 100; 0: none */
};

/* The call of this number, of the caller that `task` is of. */
static inline const char *dispatch_call(struct fake *f, int task, int actor, uint64_t number, struct call c)
{
    unsigned n = c.at > 0;
    struct msg_dispatch *m = record(f, TBI_MSG_DISPATCH, TBI_PROC_NONE,
                                    sizeof *m + n * (sizeof(struct msg_located) + 8) + sizeof(struct msg_call));
    struct msg_located *arg = (struct msg_located *)(m + 1);

    *m = (struct msg_dispatch){.task = id(task), .nreturns = 1, .attempt = c.attempt, .nargs = (uint16_t)n,
                               .nresolve = (uint16_t)n, .limit_ms = c.limit_ms,
                               .flags = TBI_DISPATCH_CALL | TBI_DISPATCH_STAYS};
    if (n > 0) {
        *arg = (struct msg_located){id(100), TBI_AT_STORE, (unsigned)c.at - 1, 0, 5000};
        *(uint64_t *)(arg + 1) = TBI_ARG_REF;
    }
    *(struct msg_call *)(uintptr_t)tbi_dispatch_call(m) =
        (struct msg_call){.actor = id(actor), .seq = number, .epoch = c.epoch, .lane = (uint16_t)c.lane};
    return deliver(f, 0);
}

/* Plain ones, one after the other: `task` has number `from`, the next task the next one. */
static inline void dispatch_calls(struct fake *f, int actor, int task, uint64_t from, uint64_t to)
{
    for (uint64_t number = from; number <= to; number++)
        assert_null(dispatch_call(f, task + (int)(number - from), actor, number, (struct call){0}));
}

/* The caller is the one that `of` is of. */
static inline void skip_numbers(struct fake *f, int actor, int of, uint32_t epoch, uint64_t from, uint64_t to)
{
    *(struct msg_skip *)record(f, TBI_MSG_SKIP, TBI_PROC_NONE, sizeof(struct msg_skip)) =
        (struct msg_skip){id(actor), epoch, tbi_id_rank(id(of)), tbi_id_proc(id(of)), 0, from, to + 1};
    assert_null(deliver(f, 0));
}

#endif
