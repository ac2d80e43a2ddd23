/* crash.h - with TB_DEBUG, what a process of tasks writes to stderr when a signal ends it: which task it was, where it
 * is, and the first bytes of its arguments. Signals that the program handles, or ignores, are left alone. */
#ifndef TBI_CRASH_H
#define TBI_CRASH_H

#include "net/messages.h"
#include "store/memory.h"

/* In an executor, before its first task. */
void tbi_crash_watch(const struct tbi_memory *memory, unsigned rank);
/* In each thread that runs calls: a stack of its own for the report, also when its stack is used up. */
void tbi_crash_begin_thread(void);
/* This thread runs that now; NULL: nothing. */
void tbi_crash_about(const struct msg_run *run, const char *function);

#endif
