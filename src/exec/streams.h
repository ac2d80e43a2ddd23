/* streams.h - what a task has written to C streams and not flushed itself. */
#ifndef TBI_STREAMS_H
#define TBI_STREAMS_H

/* Writes out what is buffered in any stream that is open for writing; a few nanoseconds if nothing is. Unlike
 * fflush(NULL) it does not wait for a stream that another thread uses: one that waits for input holds its stream's
 * lock until some comes. */
void tbi_streams_flush(void);

#endif
