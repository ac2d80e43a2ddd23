/* closing.h - a node that is closed to groups until a task that they have passed too often has its place.
 *
 * What bundles hold is out of a node's total, so a task may find no node that could be kept for it, although each bundle
 * is given back soon: another takes its place. Then one node, where bundles that passed the task hold what it lacks, is
 * closed to all groups that are younger than the task, until that is there; then the node is kept as for any other. Other tasks
 * go there meanwhile: nobody knows when the bundles go. Nor can it last for ever, for who is to remove a group may wait
 * for one that is kept out. It ends when no bundle has come back for 1 s, and for twice as long the next time. What is
 * reserved by then does not count as a bundle that passes any more.
 * One node of the job at a time. Pure; internal to the scheduler. */
#ifndef TBI_CLOSING_H
#define TBI_CLOSING_H

#include "sched/demand.h"

struct tbi_sched;

struct tbi_closing {
    struct tbi_class *class;   /* NULL: no node is closed */
    unsigned node;
    uint64_t until_us;
    uint64_t number;           /* of closings so far */
};

/* No node can be kept for the class, which starves. */
void tbi_closing_begin(struct tbi_sched *sched, struct tbi_class *class);
/* It has its place, or is not there any more. */
void tbi_closing_end(struct tbi_sched *sched, const struct tbi_class *class);

/* A bundle was given back. */
void tbi_closing_note_returned(struct tbi_sched *sched, unsigned node);
void tbi_closing_tick(struct tbi_sched *sched);
uint64_t tbi_closing_deadline(const struct tbi_sched *sched); /* UINT64_MAX: none */

/* NULL, or what is wrong. */
const char *tbi_closing_check(const struct tbi_sched *sched);

#endif
