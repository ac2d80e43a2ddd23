/* credit.h - how much this process may submit ahead of the head, which gives it more as its tasks begin (see
 * sched/submitters.h): so a task that submits without end is slowed, and the job's memory stays bounded.
 *
 * It asks for more when it has used up a grant, and goes on meanwhile; it waits, as a task does that waits for a
 * result, only when it has used it up again. It does not wait for ever: what lets its tasks begin may be something
 * that it would do next, in a way that nobody can see. So after SLACK_US without an answer it goes on with
 * another grant, and each time this happens it waits twice as long, until it is answered again. */
#ifndef TBI_CREDIT_H
#define TBI_CREDIT_H

#include "net/messages.h"

struct tbi_process;

struct tbi_credit {
    uint64_t asked, granted;    /* the number of its last question, and of the last that was answered */
    uint64_t units, used;       /* of the last grant; since the last question */
    uint64_t slack_us;
};

void tbi_credit_init(struct tbi_credit *credit);
/* With the process's lock, which is dropped while it waits: until the process may submit something. */
void tbi_credit_wait(struct tbi_process *process);
/* With the lock, before it is dropped: it has submitted this. */
void tbi_credit_use(struct tbi_process *process, const struct msg_submit *m);
void tbi_credit_granted(struct tbi_process *process, const struct msg_credit *m);

#endif
