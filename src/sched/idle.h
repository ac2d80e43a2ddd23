/* idle.h - what of the job is unfinished: for a driver that waits until nothing is, and for the line at its end.
 *
 * Whatever a process submits is on record here before its submitter ends, for both come in order from the same
 * agent, direct calls and tasks that agents begin by themselves included. So when nothing is unfinished here,
 * nothing runs anywhere. */
#ifndef TBI_IDLE_H
#define TBI_IDLE_H

#include "net/messages.h"
#include "util/list.h"

struct tbi_sched;
struct tbi_actor;

/* The driver's threads that wait; each stands here until it is told, or asks again without waiting. */
struct tbi_idle {
    struct tbi_link asking;     /* struct tbi_idle_asking */
    size_t calls, actors;       /* of the tasks not yet ended: calls, and the tasks that are actors */
    size_t resting;             /* of the actors: those that live and are wanted; they do not count as unfinished */
};
void tbi_idle_init(struct tbi_idle *idle);
void tbi_idle_fini(struct tbi_idle *idle);

/* A task of this kind is on record, or has ended. */
void tbi_idle_count(struct tbi_sched *sched, unsigned kind, bool ended);
/* The actor's state has changed. */
void tbi_idle_note_actor(struct tbi_sched *sched, struct tbi_actor *actor);

const char *tbi_idle_on_await(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record);
/* Those that wait are told if nothing is unfinished. */
void tbi_idle_tell(struct tbi_sched *sched);

#endif
