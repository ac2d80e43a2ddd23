/* sim_actors.h - actors of sim.h's scheduler: what processes and agents say of them. Calls have the numbers that
 * their callers gave them, which the test writes down. */
#ifndef TB_SIM_ACTORS_H
#define TB_SIM_ACTORS_H

#include "sim.h"

enum { KILL = TB_KILL_NO_RESTART };

/* An actor, and a call of one, also with retries of its own; each returns the number of its object. */
#define ACTOR(sim, ...) sim_submit(sim, (struct sim_task){.kind = TBI_ACTOR, __VA_ARGS__})
#define CALL(sim, of, number, ...) RETRIED_CALL(sim, of, number, TBI_RETRIES_DEFAULT, __VA_ARGS__)
#define RETRIED_CALL(sim, of, number, retries, ...)                                                \
    sim_submit(sim, (struct sim_task){.kind = TBI_CALL, .actor = (of), .seq = (number),            \
                                      .max_retries = (retries), __VA_ARGS__})

/* Rank 0 has the driver and runs nothing; ranks 1 and 2 have two CPUs each, and get nothing ahead of its turn. */
static inline int sim_two_workers(void **state)
{
    *state = sim_new(3, (int32_t[]){0, 20000, 20000}, (unsigned[]){0, 0, 1}, 0);
    return 0;
}

/* Nothing was sent for what was told. */
#define assert_silence(sim) assert_actions(sim, "")

/* What is sent is not of interest. */
static inline void sim_run(struct sim *sim)
{
    tbi_sched_run(sim->sched);
    assert_null(tbi_sched_check(sim->sched));
    (void)sim_actions(sim);
}

static inline const char *sim_lives(struct sim *sim, unsigned rank, int actor, uint32_t attempt)
{
    struct msg_done *m = sim_record(sim, TBI_MSG_LIVES, sizeof *m);

    *m = (struct msg_done){.task = sim_id((uint64_t)actor), .attempt = attempt};
    return sim_deliver(sim, rank);
}

/* It was told to end, or said so, and has. */
static inline const char *sim_ended(struct sim *sim, unsigned rank, int actor, uint32_t attempt)
{
    struct msg_done *m = sim_record(sim, TBI_MSG_FINISHED, sizeof *m);

    *m = (struct msg_done){.task = sim_id((uint64_t)actor), .attempt = attempt};
    return sim_deliver(sim, rank);
}

/* A call is done in this attempt, with one inline int64. */
static inline const char *sim_called(struct sim *sim, unsigned rank, int call, uint32_t attempt,
                                     int64_t value, bool exits)
{
    struct msg_done *m = sim_record(sim, TBI_MSG_FINISHED, sizeof *m + sizeof(struct tbi_result) + 8);
    struct tbi_result *result = (struct tbi_result *)(m + 1);

    *m = (struct msg_done){.task = sim_id((uint64_t)call), .attempt = attempt, .nresults = 1,
                           .data_bytes = 8, .exits = exits};
    *result = (struct tbi_result){TBI_AT_INLINE, 0, 8};
    memcpy(result + 1, &value, 8);
    return sim_deliver(sim, rank);
}

/* What the agent says when the process of an actor has died: first its calls that were begun. */
static inline void sim_crashed(struct sim *sim, unsigned rank, int actor_or_call, uint32_t attempt)
{
    sim_attempt_failed(sim, rank, actor_or_call, attempt, TB_ERR_CRASHED);
}

static inline void sim_kill(struct sim *sim, int actor, uint32_t flags)
{
    struct msg_cancel *m = sim_record(sim, TBI_MSG_KILL, sizeof *m);

    *m = (struct msg_cancel){sim_id((uint64_t)actor), flags, 0};
    assert_null(sim_deliver(sim, 0));
}

/* Process 0 of this rank asks who is called so, with this ticket. */
static inline void sim_find(struct sim *sim, unsigned rank, const char *name, uint64_t ticket)
{
    size_t bytes = strlen(name) + 1;
    struct msg_find *m = sim_record(sim, TBI_MSG_FIND, sizeof *m + tbi_padded(bytes));

    *m = (struct msg_find){ticket, (uint32_t)bytes, 0};
    memset(m + 1, 0, tbi_padded(bytes));
    for (size_t i = 0; i < bytes; i++)
        ((char *)(m + 1))[i] = name[i] == '/' ? 0 : name[i];
    assert_null(sim_deliver(sim, rank));
}

static inline void sim_checkpoint(struct sim *sim, unsigned rank, int actor, int object)
{
    struct msg_checkpoint *m = sim_record(sim, TBI_MSG_CHECKPOINT, sizeof *m);

    *m = (struct msg_checkpoint){sim_id((uint64_t)actor), sim_id((uint64_t)object)};
    assert_null(sim_deliver(sim, rank));
}

static inline void sim_release(struct sim *sim, int object)
{
    sim_object(sim, TBI_MSG_RELEASE, 0, object);
}

/* The driver asks for the object, and gets this at once: "inline=7", "error=-5 in work", "pending". */
#define assert_fate(sim, object, expected)                                                         \
    do {                                                                                           \
        char text_[200];                                                                           \
        int object_ = object;                                                                      \
        snprintf(text_, sizeof text_, "RESOLVED %d to 0 %s\n", object_ & 0xffffff, expected);      \
        (void)sim_actions(sim);                                                                    \
        sim_resolve(sim, 0, object_, TBI_GET_EXISTS | TBI_GET_POLL);                               \
        assert_actions(sim, text_);                                                                \
    } while (0)

/* The same of an actor, or a call, that is dead; the text says why. */
#define assert_died(sim, object, why)                                                              \
    do {                                                                                           \
        sim_resolve(sim, 0, object, 0);                                                            \
        assert_non_null(strstr(sim_actions(sim), " error=-5 in work"));                            \
        if (strstr((sim)->message, why) == NULL)                                                   \
            fail_msg("\"%s\" does not say \"%s\"", (sim)->message, why);                           \
    } while (0)

/* The error that was told last. */
#define assert_says(sim, what)                                                                     \
    do {                                                                                           \
        if (strstr((sim)->message, what) == NULL)                                                  \
            fail_msg("\"%s\" does not say \"%s\"", (sim)->message, what);                          \
    } while (0)

/* An object that failed tells of this function, and of the process that ran it, as sim_attempt_failed has it: 0: of none. */
#define assert_ran(sim, object, fn, ran)                                                           \
    do {                                                                                           \
        int ran_ = ran;                                                                            \
        sim_resolve(sim, 0, object, 0);                                                            \
        assert_non_null(strstr(sim_actions(sim), " error="));                                      \
        assert_string_equal((sim)->told.function, fn);                                             \
        assert_int_equal((sim)->told.pid, ran_ > 0 ? 100 + ran_ : 0);                              \
        assert_int_equal((sim)->told.rank, ran_ > 0 ? 1 : -1);                                     \
        assert_string_equal((sim)->told.host, ran_ > 0 ? "there" : "");                            \
    } while (0)

/* Nothing is left on the head's books. */
#define assert_nothing_is_left(sim)                                                                \
    do {                                                                                           \
        struct tbi_sched_counts counts_ = tbi_sched_counts((sim)->sched);                          \
        assert_true(counts_.tasks == 0 && counts_.makers == 0 && counts_.load == 0);               \
    } while (0)

/* An actor that lives at rank 1, where it was created. */
static inline int sim_living(struct sim *sim, struct sim_task t)
{
    int a;

    t.kind = TBI_ACTOR;
    a = sim_submit(sim, t);
    sim_run(sim);
    assert_null(sim_lives(sim, 1, a, 0));
    sim_run(sim);
    return a;
}

#endif
