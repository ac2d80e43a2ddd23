/* surroundings.h - the working directory, umask and environment of a process that runs tasks: what one task changes
 * is undone before the next one begins.
 *
 * A task that changes nothing costs nothing: the functions that change something are noticed, in the program and in
 * the libraries that are loaded when the job begins. Calls from a library that a task loads by dlopen, and changes to
 * `environ` itself or to the strings in it, are not. */
#ifndef TBI_SURROUNDINGS_H
#define TBI_SURROUNDINGS_H

#include <stdbool.h>

/* In the process that executors are forked from. */
void tbi_surroundings_watch(void);

/* A task begins in this process, and has ended. False: it was not possible to undo what it changed. */
void tbi_surroundings_begin(void);
bool tbi_surroundings_end(void);

#endif
