/* isolate.h - what processes of tasks may not do to the job: write to memory that others work with, and call
 * MPI. */
#ifndef TBI_ISOLATE_H
#define TBI_ISOLATE_H

#include "api/job.h"

/* Before MPI is initialised: notes the shared memory there is by now, which is the program's and stays open to
 * its tasks. What is mapped from here on is MPI's or ours. */
void tbi_isolate_note_own(struct tbi_job *job);

/* In the zygote: from now on, here and in its executors, nothing shared can be written but the slots (of which an
 * executor keeps its own), the rank's bell, what is lent for writing, and the program's own; and calls of MPI end
 * the task. 0, or a negative errno. For tbi_zygote_config. */
int tbi_isolate_tasks(void *job);

#endif
