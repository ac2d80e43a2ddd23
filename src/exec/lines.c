#include "exec/lines.h"
#include "util/alloc.h"

#include <stdio.h>
#include <string.h>

static const char magic[] = "\0tb-fn:";
enum { MAGIC = sizeof magic - 1, DIGITS = 8 };

void tbi_mark_write(char mark[TBI_MARK], uint32_t function)
{
    char digits[DIGITS + 1];

    snprintf(digits, sizeof digits, "%08x", function);
    memcpy(mark, magic, MAGIC);
    memcpy(mark + MAGIC, digits, DIGITS);
    mark[MAGIC + DIGITS] = '\n';
}

/* The function that a mark names, or -1: it is none. */
static int64_t read_mark(const struct tbi_lines *l, const char *mark)
{
    uint32_t x = 0;

    for (const char *c = mark + MAGIC; c < mark + MAGIC + DIGITS; c++) {
        if ((*c < '0' || *c > '9') && (*c < 'a' || *c > 'f'))
            return -1;
        x = x << 4 | (uint32_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
    }
    return mark[MAGIC + DIGITS] == '\n' && x < l->source.nfunctions ? (int64_t)x : -1;
}

/* Where the next mark begins, if need be one that has not come whole yet; n: there is none. */
static size_t next_mark(const struct tbi_lines *l, const char *bytes, size_t at, size_t n)
{
    const char *found;

    for (; (found = memchr(bytes + at, 0, n - at)) != NULL; at++) {
        size_t left;

        at = (size_t)(found - bytes);
        left = n - at;
        if (memcmp(found, magic, left < MAGIC ? left : MAGIC) == 0 &&
            (left < TBI_MARK || read_mark(l, found) >= 0))
            return at;
    }
    return n;
}

static void set_prefix(struct tbi_lines *l, const char *function)
{
    int n = snprintf(l->prefix, sizeof l->prefix, "(%.200s rank=%u pid=%d) ", function,
                     l->source.rank, l->source.pid);

    l->prefix_bytes = (size_t)n;
}

void tbi_lines_init(struct tbi_lines *l, struct tbi_lines_source source, bool keeps_tail)
{
    memset(l, 0, sizeof *l);
    l->source = source;
    l->keeps_tail = keeps_tail;
    if (source.functions != NULL)
        set_prefix(l, "executor"); /* what it says before its first task */
}

static void add_to_tail(struct tbi_lines *l, const char *text, size_t n)
{
    size_t keep = sizeof l->tail - (n < sizeof l->tail ? n : sizeof l->tail);

    if (l->tail_bytes > keep) {
        memmove(l->tail, l->tail + l->tail_bytes - keep, keep);
        l->tail_bytes = keep;
        l->tail_cut = true;
    }
    if (n > sizeof l->tail) {
        text += n - sizeof l->tail;
        n = sizeof l->tail;
        l->tail_cut = true;
    }
    memcpy(l->tail + l->tail_bytes, text, n);
    l->tail_bytes += n;
}

static void flush(struct tbi_lines_sink *sink)
{
    if (sink->bytes > 0)
        sink->emit(sink->ctx, sink->text, sink->bytes);
    sink->bytes = 0;
}

static void add(struct tbi_lines_sink *sink, const char *bytes, size_t n)
{
    memcpy(sink->text + sink->bytes, bytes, n);
    sink->bytes += n;
}

/* One line, given without its \n. */
static void put(struct tbi_lines *l, const char *text, size_t n, struct tbi_lines_sink *sink)
{
    if (sink->bytes + l->prefix_bytes + n + 1 > sizeof sink->text)
        flush(sink);
    add(sink, l->prefix, l->prefix_bytes);
    add(sink, text, n);
    add(sink, "\n", 1);
    if (l->keeps_tail) {
        add_to_tail(l, text, n);
        add_to_tail(l, "\n", 1);
    }
}

/* The lines in bytes[at..stop); returns where the unfinished one begins. */
static size_t put_lines(struct tbi_lines *l, const char *bytes, size_t at, size_t stop,
                        struct tbi_lines_sink *sink)
{
    while (at < stop) {
        const char *newline = memchr(bytes + at, '\n', stop - at);
        size_t n = newline != NULL ? (size_t)(newline - bytes) - at : stop - at;

        if (n > TBI_LINE_MAX) {
            n = TBI_LINE_MAX;
            newline = NULL;
        } else if (newline == NULL) {
            break;
        }
        put(l, bytes + at, n, sink);
        at += n + (newline != NULL);
    }
    return at;
}

/* Returns how many of the bytes were handed over. */
static size_t cut(struct tbi_lines *l, const char *bytes, size_t n, struct tbi_lines_sink *sink)
{
    size_t at = 0;

    for (;;) {
        size_t stop = l->source.functions != NULL ? next_mark(l, bytes, at, n) : n;

        at = put_lines(l, bytes, at, stop, sink);
        if (n - stop < TBI_MARK)
            return at;
        if (at < stop)
            put(l, bytes + at, stop - at, sink);
        set_prefix(l, l->source.functions[read_mark(l, bytes + stop)]);
        at = stop + TBI_MARK;
    }
}

void tbi_lines_take(struct tbi_lines *l, const char *bytes, size_t n, struct tbi_lines_sink *sink)
{
    char *joined = NULL;
    size_t used;

    if (l->have > 0) {
        joined = tbi_realloc(l->rest, l->have + n);
        memcpy(joined + l->have, bytes, n);
        bytes = joined;
        n += l->have;
        l->rest = NULL;
        l->have = 0;
    }
    used = cut(l, bytes, n, sink);
    if (used < n) {
        l->rest = tbi_copy(bytes + used, n - used);
        l->have = n - used;
    }
    free(joined);
    flush(sink);
}

void tbi_lines_end(struct tbi_lines *l, struct tbi_lines_sink *sink)
{
    if (l->have > 0)
        put(l, l->rest, l->have, sink);
    flush(sink);
    free(l->rest);
    l->rest = NULL;
    l->have = 0;
}

size_t tbi_lines_tail(const struct tbi_lines *l, char text[TBI_TAIL])
{
    size_t n = l->tail_bytes, from = 0;
    const char *newline;

    while (n > 0 && l->tail[n - 1] == '\n')
        n--;
    if (l->tail_cut && (newline = memchr(l->tail, '\n', n)) != NULL)
        from = (size_t)(newline - l->tail) + 1;
    n -= from;
    for (size_t i = 0; i < n; i++)
        text[i] = l->tail[from + i] != 0 ? l->tail[from + i] : '?';
    text[n] = 0;
    return n;
}

void tbi_lines_forget_tail(struct tbi_lines *l)
{
    l->tail_bytes = 0;
    l->tail_cut = false;
}
