/* instance.h - the actor that lives in this process: its state, what it was placed with, and its end. There is
 * none in a process that runs tasks. */
#ifndef TBI_INSTANCE_H
#define TBI_INSTANCE_H

#include "api/call.h"

struct tbi_instance {
    struct tbi_id id;                   /* null: no actor lives here */
    const struct tb_task_record_ *cls;
    uint32_t fn;                        /* the class's number */
    void *state;
    const struct msg_run *run;          /* of its creation, which stays: its GPUs and bundle are there */
    uint16_t *cores;                    /* cores[ncores], places that it holds */
    unsigned ncores;
    bool concurrent;                    /* its calls run in threads of their own */
    bool exits;                         /* a method asked for the end: nothing more is begun. Under the lock */
};

/* RUN of kind TBI_ACTOR: makes the state and calls init, or restore. Returns what that returned. Without the
 * lock, as all here. */
int tbi_instance_construct(struct tbi_instance *instance, struct tbi_call *call);
/* The construction has failed: as if there had been none. */
void tbi_instance_drop(struct tbi_instance *instance);
/* It has not: from now on the actor has what it keeps, which may be less than it took to begin it. */
void tbi_instance_settle(struct tbi_instance *instance, const struct tbi_call *call);

/* RUN of kind TBI_CALL. Returns what the method returned. */
int tbi_instance_call(struct tbi_instance *instance, struct tbi_call *call);

/* The end in order: calls fini, if an actor lives here. */
void tbi_instance_end(struct tbi_instance *instance);

#endif
