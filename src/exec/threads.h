/* threads.h - threads that tasks start and that live on when the task has ended. What such a thread does would befall
 * the task that runs then: so its process runs no other one.
 *
 * Threads that a runtime keeps for the next time it is used do nothing meanwhile, and starting them anew for each
 * task would be slow: those of OpenMP, of BLAS, MKL, FFTW and TBB, and of GPUs' libraries do not count. They are
 * told from others by the library that the function of the thread lies in. Not noticed are threads that are started
 * by a library which a task loads (dlopen), or by the C library for itself. */
#ifndef TBI_THREADS_H
#define TBI_THREADS_H

#include <stdbool.h>

/* In an executor, before its first task. */
void tbi_threads_start(void);
/* Is there one now? One read. */
bool tbi_threads_are_left(void);

#endif
