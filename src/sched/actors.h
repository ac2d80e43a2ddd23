/* actors.h - actors at the head: which there are, how they are called, and the calls that are on their way to
 * them. Internal to the scheduler.
 *
 * An actor is the task that creates it, for as long as it lives (see messages.h):
 *
 *      BEGINS -> LIVES -> RESTARTS -> LIVES ... -> DEAD
 *         |                  |                      ^
 *         +------------------+----------------------+
 *
 * Its object is PENDING until it is dead and then FAILED; with its last holder the actor retires. Each call holds
 * it, so that it ends after the calls that were made. Calls go to its node as soon as their arguments are there,
 * and the agent puts those of one caller to one lane in order by their numbers; numbers that will not come are told it
 * by SKIP, so that every caller's numbers are known to it without gaps, in each life anew. */
#ifndef TBI_ACTORS_H
#define TBI_ACTORS_H

#include "sched/clients.h"
#include "sched/directory.h"

struct tbi_sched;

enum tbi_actor_state { TBI_ACTOR_BEGINS, TBI_ACTOR_LIVES, TBI_ACTOR_RESTARTS, TBI_ACTOR_DEAD };

struct tbi_actor {
    struct tbi_maker *maker;    /* the task that creates it */
    enum tbi_actor_state state;
    uint32_t epoch;             /* of its life, or its last one: the task's attempt */
    struct tbi_link calls;      /* that have not ended, each caller's in the order in which it made them */
    unsigned ncalls;
    struct tbi_map callers;     /* process -> what the agent knows of its calls */
    int32_t cpus;               /* that it needs to begin */
    int32_t max_task_retries;
    uint32_t max_pending;
    uint16_t flags;             /* TBI_ACTOR_* */
    bool retired;               /* nobody can call it any more */
    bool rests;                 /* it lives and is wanted: counted by idle.c */
    bool killed;                /* its process was to die: whatever ends this attempt is its death */
    enum tbi_killer by;         /* what ends it, or is about to: errors name it */
    struct tbi_link orphan;     /* in `orphans`: its last holder has gone */
    struct tbi_payload *death;  /* DEAD: why */
    struct tbi_payload *last;   /* how its last life ended, if it is being begun again */
    struct tbi_id checkpoint;   /* held; or null */
    struct tbi_actor *namesake; /* the next with an equal hash of its name */
    uint32_t name_bytes;        /* 0: none, or not any more */
    char *name;                 /* namespace and name, each with its 0 */
};

struct tbi_actors {
    struct tbi_map by_id, by_name;
    struct tbi_link orphans;
    struct tbi_map early;       /* direct call -> its FINISHED, which came before its SUBMIT */
    struct tbi_map stopping;    /* direct call that stops -> what it is to fail with */
    struct tbi_map parents;     /* direct call that is not on record yet -> the list of what it has submitted */
};
void tbi_actors_init(struct tbi_sched *sched);
void tbi_actors_fini(struct tbi_sched *sched);

/* By the id of its object; NULL: there is none on record. */
struct tbi_actor *tbi_actors_find(const struct tbi_sched *sched, struct tbi_id id);

/* A SUBMIT that only asks for an actor that there is: answered, true. */
bool tbi_actors_get(struct tbi_sched *sched, unsigned rank, uint32_t proc, const struct msg_submit *m);
/* A SUBMIT makes a new actor, though it may fail at once: answered, if somebody waits for that. */
void tbi_actors_answer(struct tbi_sched *sched, unsigned rank, uint32_t proc, const struct msg_submit *m);
/* A new actor, and what it fails with at once, or NULL. */
struct tbi_payload *tbi_actors_create(struct tbi_sched *sched, struct tbi_maker *maker);
/* FINISHED of a direct call that is not on record yet: kept until it is. */
void tbi_actors_keep_early(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record);
/* Its parent is a direct call that is not on record yet; and now it is. */
void tbi_actors_keep_child(struct tbi_sched *sched, struct tbi_maker *child);
void tbi_actors_take_children(struct tbi_sched *sched, struct tbi_maker *call);
/* Cancels a direct call, by TB_CANCEL_* flags, if its agent agrees. Takes over `error`. */
void tbi_actors_stop(struct tbi_sched *sched, struct tbi_maker *call, uint32_t flags,
                     struct tbi_payload *error);
const char *tbi_actors_on_stopped(struct tbi_sched *sched, unsigned rank,
                                  const struct tbi_record *record);
/* A process has made a call, which may fail at once: it is on record as a caller, if the actor is. */
void tbi_actors_meet_caller(struct tbi_sched *sched, const struct msg_submit *m);
/* A process has ended that is a caller of these actors. */
void tbi_actors_caller_gone(struct tbi_sched *sched, struct tbi_client *client);
/* A call was submitted. NULL, or what it fails with. */
struct tbi_payload *tbi_actors_call(struct tbi_sched *sched, struct tbi_maker *call);
/* Its arguments are there. */
void tbi_actors_queue(struct tbi_sched *sched, struct tbi_maker *call);
/* A call is about to be concluded. */
void tbi_actors_call_ends(struct tbi_sched *sched, struct tbi_maker *call, bool was_sent);
/* FINISHED with an error, of a call that is not aborted. */
void tbi_actors_call_failed(struct tbi_sched *sched, struct tbi_maker *call, bool crashed,
                            struct tbi_payload *error);
/* FINISHED of the actor itself, not aborted; its node has it no more. `error` NULL: it ended as it should. */
void tbi_actors_ended(struct tbi_sched *sched, struct tbi_maker *maker, const struct msg_done *m,
                      struct tbi_payload *error);
/* It is being ended while its node has it: its calls fail at once, those that run too. */
void tbi_actors_abort(struct tbi_sched *sched, struct tbi_maker *maker, struct tbi_payload *death);
/* The task that creates it is about to be concluded. */
void tbi_actors_end(struct tbi_sched *sched, struct tbi_maker *maker);
/* It is to begin, again perhaps. False: it waits for its checkpoint first. */
bool tbi_actors_begin(struct tbi_sched *sched, struct tbi_maker *maker);
/* The checkpoint that it is to begin with, NULL: none. */
const struct tbi_object *tbi_actors_checkpoint(const struct tbi_sched *sched,
                                               const struct tbi_maker *maker, struct tbi_id *id);

/* Those that nobody holds any more end. */
void tbi_actors_retire(struct tbi_sched *sched);
void tbi_actors_orphan(void *sched, struct tbi_maker *maker); /* its object has lost its last holder */

const char *tbi_actors_on_instances(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record);
const char *tbi_actors_on_lives(struct tbi_sched *sched, unsigned rank,
                                const struct tbi_record *record);
const char *tbi_actors_on_kill(struct tbi_sched *sched, unsigned rank,
                               const struct tbi_record *record);
const char *tbi_actors_on_find(struct tbi_sched *sched, unsigned rank,
                               const struct tbi_record *record);
const char *tbi_actors_on_checkpoint(struct tbi_sched *sched, unsigned rank,
                                     const struct tbi_record *record);

const char *tbi_actors_check(const struct tbi_sched *sched);

#endif
