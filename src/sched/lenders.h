/* lenders.h - which blocked tasks wait for placement groups that are not reserved yet, directly or not.
 *
 * A blocked task wants its CPUs back, so groups leave them to it. But one that cannot go on until a group is reserved
 * would wait for itself: its CPUs may be the group's, and it goes on without them (node/lending.c). It need not wait for
 * that very group: of many tasks that each wait for a group of their own the first would else wait for all others.
 * Whoever waits for anything else keeps its CPUs, and its children find them, however long the group lasts. So groups
 * that no blocked task waits for may have none of these CPUs.
 *
 * It is found by going from the groups to the tasks that wait for them, to those that wait for these, and so on. What
 * the head does not see is a wait for a call that goes directly to an actor: who asks the head for nothing is taken to
 * wait for any actor that is reached. Nor does it know who will seal what was announced: who waits for that keeps its CPUs.
 * Pure; internal to the scheduler. */
#ifndef TBI_LENDERS_H
#define TBI_LENDERS_H

#include "sched/directory.h"

struct tbi_sched;

struct tbi_lenders {
    int64_t *cpus;              /* cpus[node]: of all of them there */
    struct tbi_maker **task;    /* BLOCKED, not `lent` */
    size_t n, room;
};

/* Of all groups that are wanted and not reserved. Ended by _fini. */
void tbi_lenders_find(const struct tbi_sched *sched, struct tbi_lenders *lenders);
void tbi_lenders_fini(struct tbi_lenders *lenders);

#endif
