/* terminal.h - the driver's stdout and stderr, to which everything goes that tasks print on any
 * rank.
 *
 * A thread of its own writes, so that nobody else waits when the terminal is stopped or the
 * reader of a pipe is slow; it starts with the first line. Lines stay whole, also beside what
 * the program itself prints: they are written in pieces that a pipe takes as one, unless a line
 * alone is longer. A descriptor that is closed or has no reader loses what would go there, and
 * nothing else. */
#ifndef TBI_TERMINAL_H
#define TBI_TERMINAL_H

#include <stddef.h>
#include <stdint.h>

struct tbi_terminal;

/* `wake` is called in the thread when it has written something. */
struct tbi_terminal *tbi_terminal_create(void (*wake)(void *ctx), void *ctx);
/* Writes what is left, then ends the thread. */
void tbi_terminal_destroy(struct tbi_terminal *terminal);

/* Whole lines for stream 1 (stdout) or 2 (stderr); copied. Does not block. One thread at a time. */
void tbi_terminal_put(struct tbi_terminal *terminal, uint32_t stream, const char *lines,
                      size_t bytes);

/* Bytes that are not written yet. From any thread. */
size_t tbi_terminal_backlog(const struct tbi_terminal *terminal);

#endif
