/* failure.h - the errors that the head itself finds, as the packed errors that objects fail with. Each
 * returns a payload with one user. Internal to the scheduler. */
#ifndef TBI_FAILURE_H
#define TBI_FAILURE_H

#include "sched/graph.h"
#include "util/error_blob.h"

/* What an agent sent; task NULL: of an object that was being put. */
struct tbi_payload *tbi_failure_of_agent(const struct tbi_sched *sched,
                                         const struct msg_submit *task, const void *error,
                                         uint32_t bytes);

struct tbi_payload *tbi_failure_no_such_ref(struct tbi_id id);
/* The task's group is not there, or not any more. */
struct tbi_payload *tbi_failure_of_group(const struct tbi_sched *sched,
                                         const struct msg_submit *task);
/* The group itself: no nodes can ever meet it, or it was removed while it waited. */
struct tbi_payload *tbi_failure_infeasible_group(const struct tbi_sched *sched,
                                                 const struct tbi_group *group);
struct tbi_payload *tbi_failure_removed(void);
/* An actor that has ended: with this error, or NULL: by its own will (`exits`), or for want of handles. `by`: what was
 * called to end it. */
struct tbi_payload *tbi_failure_died(const struct tbi_sched *sched, const struct msg_submit *actor,
                                     const struct tbi_payload *error, bool exits, enum tbi_killer by);
struct tbi_payload *tbi_failure_killed(const struct tbi_sched *sched, const struct msg_submit *actor, enum tbi_killer by);
/* The error tells how an actor's process ended that tb_kill was to end: it says so. */
void tbi_failure_by_kill(struct tbi_payload *error);
struct tbi_payload *tbi_failure_name_taken(const struct tbi_sched *sched,
                                           const struct msg_submit *actor, const char *name);
/* The actor ends with this failure: it is its own, unless it is that of an argument. */
void tbi_failure_is_of(const struct tbi_sched *sched, const struct msg_submit *actor, struct tbi_payload *death);
/* How a call fails with the end of its actor: in its own name, with where it ran if it had begun (its `failure` is how
 * its process ended, then). */
struct tbi_payload *tbi_failure_of_call(struct tbi_sched *sched, const struct tbi_maker *call,
                                        struct tbi_payload *death);
/* A call that may not be run again, of an actor that is being restarted. `cause`: how its process ended, or NULL. */
struct tbi_payload *tbi_failure_unavailable(const struct tbi_sched *sched,
                                            const struct tbi_maker *call,
                                            const struct tbi_payload *cause);
struct tbi_payload *tbi_failure_too_many_calls(const struct tbi_sched *sched,
                                               const struct msg_submit *call, uint32_t most);
struct tbi_payload *tbi_failure_no_actor(const struct tbi_sched *sched,
                                         const struct msg_submit *call);
/* No node can ever meet the demand, or nobody can mean it. */
struct tbi_payload *tbi_failure_of_demand(const struct tbi_sched *sched,
                                          const struct tbi_maker *task);
struct tbi_payload *tbi_failure_too_much_inline(const struct tbi_sched *sched,
                                                const struct msg_submit *task, size_t bytes);
struct tbi_payload *tbi_failure_cancelled(const struct tbi_sched *sched,
                                          const struct msg_submit *task, const char *why);
/* CANCELLED with the cause TIMEOUT. */
struct tbi_payload *tbi_failure_overdue(const struct tbi_sched *sched,
                                        const struct msg_submit *task, unsigned rank,
                                        uint32_t attempt);

#endif
