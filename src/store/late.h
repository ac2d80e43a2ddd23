/* late.h - what becomes of threads that are in the store when it goes. In exit() the program's other threads run
 * on for a moment after the job has ended; one that reads a view or writes an object then would crash, and the
 * crash would take the place of the exit status. */
#ifndef TBI_LATE_H
#define TBI_LATE_H

#include "store/memory.h"

/* From now on, a thread that touches memory of the store which is not there any more sleeps until the process ends.
 * For a process that is in exit(): installs handlers of SIGSEGV and SIGBUS, which pass on all else. */
void tbi_late_park(const struct tbi_memory *memory);

#endif
