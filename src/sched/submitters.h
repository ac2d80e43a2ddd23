/* submitters.h - how much each process has submitted that has not begun, and when it may submit more.
 *
 * A process asks (CREDIT) when it has used up the units of its last grant, and waits when it has used them up again
 * before the answer has come. The head answers when less of the process's tasks wait than it may use twice. So at
 * most four grants of a process are under way or queued here, and the answer, which comes behind all that was sent
 * before the question, also shows that the head keeps up with the process. A grant is `queue` units (sched.h)
 * divided among the processes with something queued, and GRANT_MAX at most.
 *
 * A task is charged to its submitter from its SUBMIT until it is sent to a node, a call until it has ended; what an
 * agent has kept for itself (`local`) is not. The driver is not limited: its tasks are what the job is about.
 *
 * A process that waits for credit has given its CPUs away. What its tasks wait for may be something that it would
 * do next: so if no task computes anywhere, all who ask are given more, STALL_US after something has moved. Or it has
 * only called an actor more often than this can work: so who has much queued waits twice as long each time, up to a
 * second, until it is answered for what has begun. */
#ifndef TBI_SUBMITTERS_H
#define TBI_SUBMITTERS_H

#include "net/messages.h"
#include "util/list.h"
#include "util/map.h"

struct tbi_sched;
struct tbi_maker;
struct tbi_submitter;

struct tbi_submitters {
    struct tbi_map map;             /* process -> struct tbi_submitter */
    struct tbi_submitter *last;     /* that was looked up last */
    struct tbi_link asking;         /* who waits for an answer, in the order of asking */
    size_t nasking, ncharged;       /* ncharged: processes with something queued */
    uint64_t look_us;               /* when to see whether the job stands still; UINT64_MAX: nobody asks, or
                                     * nothing has moved since the last look */
};

void tbi_submitters_init(struct tbi_submitters *submitters);
void tbi_submitters_fini(struct tbi_submitters *submitters);

/* The task has come; it is sent, or ends (`submit` is its description, maybe not its own any more). Of one that is
 * not charged, nothing. */
void tbi_submitters_charge(struct tbi_sched *sched, struct tbi_maker *task);
void tbi_submitters_discharge(struct tbi_sched *sched, struct tbi_maker *task, const struct msg_submit *submit);

const char *tbi_submitters_on_credit(struct tbi_sched *sched, unsigned rank, const struct tbi_record *record);
/* A record was handled: if somebody asks, it is seen to in a while whether the job stands still. */
void tbi_submitters_moved(struct tbi_sched *sched);
void tbi_submitters_tick(struct tbi_sched *sched);
/* The process has ended: it waits for nothing. */
void tbi_submitters_gone(struct tbi_sched *sched, unsigned rank, uint32_t proc);
const char *tbi_submitters_check(const struct tbi_sched *sched);

#endif
