/* actor.h - actors from outside, for other parts of the library. */
#ifndef TBI_ACTOR_H
#define TBI_ACTOR_H

#include "api/process.h"

/* tb_kill, for a function of ours that ends an actor: errors name that one. */
int tbi_actor_kill(tb_actor actor, uint32_t flags, enum tbi_killer by);

/* A call of a method whose failure the caller tells as its own: it is not said to be unread, even if the job, or the thread
 * that waits for it, ends first. */
tb_ref tbi_actor_ask(tb_actor actor, tb_function_ *method, const char *name, const tb_value *values, size_t nvalues);

/* FOUND, the head's answer to who looks for an actor by its name, has come: the process has got a count of the handle with
 * it. With the process's lock held. */
void tbi_actor_on_found(struct tbi_process *process, const struct msg_found *m);

#endif
