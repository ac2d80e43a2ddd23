/* clients.h - the processes of tasks as the head knows them: what each has asked and was not told yet, and which
 * actors it calls. GONE says that a process has ended: then its questions are taken out of the objects at once, and
 * what is on record of its calls goes with the last of them that ends, here and at the actors' agents. The driver
 * ends with the job, so it is none of them. Internal to the scheduler. */
#ifndef TBI_CLIENTS_H
#define TBI_CLIENTS_H

#include "net/messages.h"
#include "util/list.h"

struct tbi_sched;

struct tbi_client {
    struct tbi_link questions;  /* struct tbi_question, see directory.h */
    struct tbi_link callers;    /* struct tbi_actor_caller, see actor_parts.h */
    struct tbi_id task;         /* that it last said to be blocked in, or the actor that it is; or null */
};

/* Made when it is needed first; NULL for the driver and for agents. */
struct tbi_client *tbi_clients_of(struct tbi_sched *sched, unsigned rank, uint32_t proc);
/* It is blocked in this task, or is this actor, from now on. */
void tbi_clients_note_task(struct tbi_sched *sched, unsigned rank, uint32_t proc, struct tbi_id task);
/* The blocked task, or the living actor, of a process, which is of that rank; NULL: none. */
struct tbi_maker *tbi_clients_task(const struct tbi_sched *sched, unsigned rank, const struct tbi_client *client);
const struct tbi_client *tbi_clients_find(const struct tbi_sched *sched, unsigned rank, uint32_t proc);
/* All of them, in no order: start with *at = 0; NULL at the end. */
const struct tbi_client *tbi_clients_next(const struct tbi_sched *sched, size_t *at, unsigned *rank);
void tbi_clients_fini(struct tbi_sched *sched); /* after all that they have on their lists */

const char *tbi_clients_on_forget(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record);
const char *tbi_clients_on_gone(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record);

const char *tbi_clients_check(const struct tbi_sched *sched);

#endif
