/* graph.h - what follows when a task ends: dependants become ready or fail with it, those who asked
 * are told, holds are given back. Internal to the scheduler; shares its struct with sched.c. */
#ifndef TBI_GRAPH_H
#define TBI_GRAPH_H

#include "sched/actors.h"
#include "sched/clients.h"
#include "sched/closing.h"
#include "sched/directory.h"
#include "sched/groups.h"
#include "sched/idle.h"
#include "sched/place.h"
#include "sched/ready.h"
#include "sched/sched.h"
#include "sched/submitters.h"

struct tbi_sched {
    struct tbi_sched_config config;
    struct tbi_port port;
    struct tbi_directory dir;
    struct tbi_ready ready;
    struct tbi_nodes nodes;
    struct tbi_link gainers;    /* ledgers, this one or of groups, that have gained */
    struct tbi_groups groups;
    struct tbi_closing closing;
    struct tbi_actors actors;
    struct tbi_link failing;    /* makers with a `failure`, not carried through yet */
    struct tbi_link delayed;    /* makers that wait for their retry, the next one first */
    struct tbi_demands demands;
    struct tbi_submitters submitters;
    struct tbi_map clients;     /* rank and process -> struct tbi_client */
    struct tbi_idle idle;
    uint64_t *run;              /* by function: how long its tasks run, in 1/16 us; 0: not known */
    struct tbi_tournament loaded; /* nodes by what waits there, as of so many changes */
    uint64_t loaded_seen;
    struct tbi_link hungry;     /* nodes that could run what waits elsewhere */
    unsigned asked;             /* nodes that were asked to give something back */
    const struct tbi_object **scratch; /* room for a task's arguments */
    unsigned nscratch;
    struct tbi_object **refs;   /* room for those of a task that is being submitted */
    unsigned nrefs;
    uint64_t now_us;
    size_t tasks;               /* not yet ended */
    size_t retries;
};

/* The task lacks nothing but a place. */
void tbi_sched_queue(struct tbi_sched *sched, struct tbi_maker *task);

/* A pass, without trying groups. */
void tbi_sched_send_tasks(struct tbi_sched *sched);

/* How long a task of this function runs, as far as is known; 0: not at all. */
uint32_t tbi_sched_run_us(const struct tbi_sched *sched, uint32_t fn);
/* One has run for so long; 0: nobody knows. */
void tbi_sched_ran(struct tbi_sched *sched, uint32_t fn, uint32_t us);

/* Tell a process where an object is; `object` is READY or FAILED. */
void tbi_sched_tell(struct tbi_sched *sched, unsigned rank, uint32_t proc, struct tbi_id id,
                    const struct tbi_object *object, uint32_t flags);
void tbi_sched_tell_error(struct tbi_sched *sched, unsigned rank, uint32_t proc, struct tbi_id id,
                          const void *error, uint32_t bytes);

/* The rank to read an object in a segment from, seen from `rank`: itself, its host, the owner. */
unsigned tbi_sched_source(const struct tbi_sched *sched, const struct tbi_object *object,
                          unsigned rank);

/* The maker has ended and its objects are READY or FAILED: wake, give back, settle. The maker may
 * be gone afterwards. Dependants of failed objects wait in `failing`. */
void tbi_sched_conclude(struct tbi_sched *sched, struct tbi_maker *maker);

/* The agent of `rank` has a new task already, and will say when it has ended. */
void tbi_sched_learn(struct tbi_sched *sched, struct tbi_maker *task, unsigned rank);

/* The call goes to the node where its actor lives. NULL, or what it fails with. */
struct tbi_payload *tbi_sched_send_call(struct tbi_sched *sched, struct tbi_maker *call,
                                        unsigned node, uint32_t epoch);

/* FINISHED; `late`: kept until its SUBMIT came, so its refs are counted already. */
const char *tbi_sched_on_finished(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record,
                                  bool late);
/* What the results contain is held, or no longer, for their sake. */
void tbi_sched_hold_contained(struct tbi_sched *sched, const struct msg_done *m, bool hold);

/* The process goes on holding the refs that its task names at its end. */
void tbi_sched_keep_refs(struct tbi_sched *sched, const struct msg_done *m);

/* The node is kept for this owner, or for nobody any more; its agent is told. */
void tbi_sched_keep_node(struct tbi_sched *sched, unsigned node, const void *owner);
/* No node is kept for tasks of this class any more. */
void tbi_sched_unkeep(struct tbi_sched *sched, struct tbi_class *class);
/* ... if none of them waits: it would be kept for nobody, for ever. */
void tbi_sched_unkeep_idle(struct tbi_sched *sched, struct tbi_class *class);

/* Carries through what stands in `failing`. */
void tbi_sched_carry_failures(struct tbi_sched *sched);
/* The object is READY: one value, which travels in messages; or in the segment of `rank`. */
void tbi_sched_set_inline(struct tbi_object *object, const void *value, uint64_t bytes);
void tbi_sched_set_in_store(struct tbi_object *object, unsigned rank, uint64_t bytes);

/* Fail the maker and everything that depends on it. Takes over one use of `error`. */
void tbi_sched_fail(struct tbi_sched *sched, struct tbi_maker *maker, struct tbi_payload *error);

/* The same for the objects of a task that an agent still has: the task goes on, `aborted`, until
 * it is FINISHED. */
void tbi_sched_abort(struct tbi_sched *sched, struct tbi_maker *task, struct tbi_payload *error);

/* Adopt `n` contained ids: the object holds each until it is freed. */
void tbi_sched_contain(struct tbi_sched *sched, struct tbi_object *object,
                       const struct tbi_id *ids, uint32_t n);

/* A blocked task waits for this maker's objects: so it does for what that needs in turn. */
void tbi_sched_want(struct tbi_sched *sched, struct tbi_maker *maker);

void tbi_sched_send_free(void *sched, unsigned rank, struct tbi_id id); /* a tbi_gone_fn */

#endif
