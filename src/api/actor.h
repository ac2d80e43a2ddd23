/* actor.h - what answers the head's FOUND: who waits for an actor by its name. With the process's lock held. */
#ifndef TBI_ACTOR_H
#define TBI_ACTOR_H

#include "api/process.h"

/* FOUND has come: the process has got a count of the handle with it. */
void tbi_actor_on_found(struct tbi_process *process, const struct msg_found *m);

#endif
