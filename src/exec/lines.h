/* lines.h - what a process prints, as it comes, cut into whole lines: the beginning of a line waits
 * for its rest, until its end or until it is TBI_LINE_MAX long; then it goes on as a line of its
 * own.
 *
 * If the functions' names are known each line is preceded by "(function rank=R pid=P) ". Which
 * function the next bytes are from is said by a mark among them, which is taken out again. A mark
 * also ends a line that the function before left unfinished. What only looks like a mark is text.
 *
 *      0   1        7              15   16
 *     +---+--------+--------------+----+
 *     | 0 | tb-fn: | 8 hex digits | \n |
 *     +---+--------+--------------+----+
 *
 * Pure. */
#ifndef TBI_LINES_H
#define TBI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TBI_LINE_MAX = 16 * 1024,
    TBI_LINES_MAX = TBI_LINE_MAX + 512, /* handed over at a time; a line and what precedes it fit */
    TBI_MARK = 16,
    TBI_TAIL = 400                      /* of the last that was printed, the final 0 included */
};

/* Where lines go; may serve several streams in turn. */
struct tbi_lines_sink {
    void (*emit)(void *ctx, const char *lines, size_t bytes); /* whole lines, each ends in \n */
    void *ctx;
    size_t bytes;
    char text[TBI_LINES_MAX];
};

/* Who prints; constant from the first byte on. */
struct tbi_lines_source {
    const char *const *functions;   /* NULL: no prefixes, no marks */
    unsigned nfunctions, rank;
    int pid;
};

struct tbi_lines {
    struct tbi_lines_source source;
    char prefix[256];
    size_t prefix_bytes;
    char *rest;                     /* the unfinished line, and perhaps the beginning of a mark */
    size_t have;
    bool keeps_tail, tail_cut;      /* cut: there was more before it */
    char tail[TBI_TAIL - 1];
    size_t tail_bytes;
};

void tbi_lines_init(struct tbi_lines *lines, struct tbi_lines_source source, bool keeps_tail);

/* Takes bytes[n]; hands over what became whole before it returns. */
void tbi_lines_take(struct tbi_lines *lines, const char *bytes, size_t n,
                    struct tbi_lines_sink *sink);
/* Nothing more comes: what waits is handed over, as a line. Frees; the tail stays. */
void tbi_lines_end(struct tbi_lines *lines, struct tbi_lines_sink *sink);

/* The last that was handed over, without prefixes, from the start of a line on where there is one.
 * Returns its length. */
size_t tbi_lines_tail(const struct tbi_lines *lines, char text[TBI_TAIL]);
void tbi_lines_forget_tail(struct tbi_lines *lines);

void tbi_mark_write(char mark[TBI_MARK], uint32_t function);

#endif
