#include "util/error_blob.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct tbi_error_link) % 8 == 0, "links must stay aligned in records");

int tbi_error_link(struct tbi_error_link *link, int code, const char *fmt, ...)
{
    va_list args;

    memset(link, 0, sizeof *link);
    link->code = code;
    link->rank = -1;
    va_start(args, fmt);
    vsnprintf(link->message, sizeof link->message, fmt, args);
    va_end(args);
    return code;
}

int tbi_error_chain(struct tbi_error_link chain[TBI_ERROR_CHAIN_MAX], const void *cause, size_t bytes)
{
    const struct tbi_error_link *link = cause;
    int n = cause == NULL ? 0 : tbi_error_links(cause, bytes), room = TBI_ERROR_CHAIN_MAX - 1;

    if (n <= room) {
        if (n > 0)
            memcpy(&chain[1], link, (size_t)n * sizeof *link);
        return 1 + n;
    }
    memcpy(&chain[1], link, (size_t)(room - 1) * sizeof *link);
    chain[room] = link[n - 1];
    return TBI_ERROR_CHAIN_MAX;
}

int tbi_error_links(const void *blob, size_t bytes)
{
    const struct tbi_error_link *link = blob;
    size_t n = bytes / sizeof *link;

    if (n < 1 || n > TBI_ERROR_CHAIN_MAX || bytes % sizeof *link != 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (link[i].code >= 0 || link[i].root > sizeof link[i].message || memchr(link[i].host, 0, sizeof link[i].host) == NULL ||
            memchr(link[i].function, 0, sizeof link[i].function) == NULL ||
            memchr(link[i].message, 0, sizeof link[i].message) == NULL ||
            memchr(link[i].output, 0, sizeof link[i].output) == NULL)
            return 0;
    return (int)n;
}
