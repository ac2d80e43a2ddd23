/* error_blob.h - a failure as it travels: a chain of links, the failure itself first, then its
 * cause, the cause's cause and so on. A packed error is `n` links in a row and nothing else, so
 * its length alone says whether it is whole. Pure. */
#ifndef TBI_ERROR_BLOB_H
#define TBI_ERROR_BLOB_H

#include <stddef.h>
#include <stdint.h>

enum { TBI_ERROR_CHAIN_MAX = 8 };

struct tbi_error_link {
    int32_t code;       /* TB_ERR_* */
    int32_t number;     /* what the function returned, or the exit status */
    int32_t signal;     /* that ended the process, or 0 */
    int32_t rank;       /* where it happened, -1 if nowhere in particular */
    int32_t pid;
    uint32_t attempt;
    uint32_t root;      /* from message[root - 1] on stands how the failure began that was returned on and on; or 0 */
    uint32_t pad;
    char host[64];
    char function[96];
    char message[512];
    char output[400];   /* the last that a process that ended wrote to stderr */
};

/* Fills a link with code and formatted message (cut if too long) and nothing else known.
 * Returns the code, so that failing is one line. */
int tbi_error_link(struct tbi_error_link *link, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a cause's links behind chain[0]. Of a chain that is too long, links are left out before the last one, which is
 * the root cause and always kept. Returns the number of links in all. */
int tbi_error_chain(struct tbi_error_link chain[TBI_ERROR_CHAIN_MAX], const void *cause, size_t bytes);

/* The number of links in a packed error, 0 if it is none. Texts may be trusted to end then. */
int tbi_error_links(const void *blob, size_t bytes);

#endif
