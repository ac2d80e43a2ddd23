/* locked.h - the locks of C streams (flockfile) that a thread holds. They are the thread's: if a task or method returned
 * with one, no other thread of its process could print any more. */
#ifndef TBI_LOCKED_H
#define TBI_LOCKED_H

#include <stdbool.h>
#include <stdio.h>

/* This thread has locked it once more, or (by -1) is about to unlock it. */
void tbi_locked_add(FILE *f, int by);
/* It is about to be closed. */
void tbi_locked_forget(FILE *f);
/* Unlocks what this thread holds. Returns whether that was any. A read of a variable, as a rule. */
bool tbi_locked_end(void);

#endif
