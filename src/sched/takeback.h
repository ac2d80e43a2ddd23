/* takeback.h - work that waits at one node while another idles. Internal to the scheduler.
 *
 * A node is hungry when it has gained, the pass found nothing more for it, and it has room for
 * tasks like some that were sent. Then the most loaded node is asked to give back what has not
 * begun and fits; at most one question is open to each node. What comes back is queued as if it
 * had never been sent, and finds its place in the next pass. */
#ifndef TBI_TAKEBACK_H
#define TBI_TAKEBACK_H

#include "sched/graph.h"

enum { TBI_TAKEBACKS_MAX = 8 }; /* as often as that a task is taken back; then it stays */

/* At the end of a pass: asks for the hungry nodes. */
void tbi_takeback_ask(struct tbi_sched *sched);

/* NULL, or why the answer was refused; then nothing has changed. */
const char *tbi_takeback_answer(struct tbi_sched *sched, unsigned rank, const struct msg_taken *m);

#endif
