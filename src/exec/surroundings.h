/* surroundings.h - what a task can change of its process and the next one would find: what can be undone is, before the
 * next one begins; else the process runs no other task. Undone are changes of the working directory, the umask, the
 * environment, signal handlers, the signal mask, timers of alarm and setitimer, limits (setrlimit), the processors of the
 * main thread and how it computes with floating point. Not undone: user and group, priority, namespaces and the like,
 * POSIX timers, descriptors 0 to 2, threads that go on (threads.h), a signal that waits while it is blocked.
 *
 * A task that changes nothing costs a few nanoseconds: the functions that change something are noticed (noted.h), in
 * the program and in the libraries that are loaded when the job begins, syscall() included. Calls from a library that
 * a task loads by dlopen, and changes to the strings in the environment, are not. Nor is what a static program calls. */
#ifndef TBI_SURROUNDINGS_H
#define TBI_SURROUNDINGS_H

#include <stdbool.h>

/* In the process that executors are forked from. */
void tbi_surroundings_watch(void);
/* In an executor, before its first task. */
void tbi_surroundings_start(void);

/* A task begins in this process, and has ended. False: the process must not run another one. */
void tbi_surroundings_begin(void);
bool tbi_surroundings_end(void);

#endif
