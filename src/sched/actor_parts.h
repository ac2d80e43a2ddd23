/* actor_parts.h - what the files of the head's actors share: actors.c their lives, actor_calls.c the calls on
 * their way, actor_names.c their names. */
#ifndef TBI_ACTOR_PARTS_H
#define TBI_ACTOR_PARTS_H

#include "sched/actors.h"

/* One caller of an actor, and what the actor's agent knows of its calls in the present life: of each lane all
 * numbers below `next`. */
struct tbi_actor_caller {
    unsigned rank;
    uint32_t proc;
    uint64_t next[TBI_LANES_MAX];
    uint64_t life;  /* the epoch it holds for, + 1 */
    bool locates;   /* its agent has asked where the actor lives */
    bool located;   /* ... and was told */
    bool gone;      /* the process has ended: this goes when its calls have, too */
    unsigned ncalls; /* that have not ended */
    struct tbi_actor *actor;
    struct tbi_link link; /* in its client's list; not the driver's */
};

struct tbi_object *tbi_actor_object(const struct tbi_sched *sched, const struct tbi_actor *actor);
/* Does an agent have the task that makes it? */
bool tbi_actor_is_at_its_node(const struct tbi_maker *maker);

/* ---- names: namespace and name, each with its 0 ---- */

struct tbi_actor *tbi_actor_find_name(const struct tbi_sched *sched, const char *name, uint32_t bytes);
void tbi_actor_give_name(struct tbi_sched *sched, struct tbi_actor *actor, const char *name,
                         uint32_t bytes);
void tbi_actor_free_name(struct tbi_sched *sched, struct tbi_actor *actor);

/* ---- calls ---- */

/* The agent is told of all numbers of the caller before this call's, in this life. */
void tbi_actor_tell(struct tbi_sched *sched, struct tbi_actor *actor, const struct tbi_maker *call);
/* The caller's agent is told where the actor lives, if it has asked; that it does not any more; that it has
 * ended for good. */
void tbi_actor_locate(struct tbi_sched *sched, const struct tbi_actor *actor,
                      struct tbi_actor_caller *caller);
void tbi_actor_unlocate_all(struct tbi_sched *sched, const struct tbi_actor *actor, bool ended);
/* The call, in no list, was with the agent, which has it no more: it waits for the actor's next life, or fails.
 * `cause`: how the last one ended, or NULL. */
void tbi_actor_take_over(struct tbi_sched *sched, struct tbi_actor *actor, struct tbi_maker *call,
                         struct tbi_payload *cause);
/* It fails with the actor's death, at the end of this step. */
void tbi_actor_fail_call(struct tbi_sched *sched, struct tbi_maker *call, struct tbi_payload *death);

#endif
