/* plural.h - words that go by a number: "1 task has", "2 tasks have". */
#ifndef TBI_PLURAL_H
#define TBI_PLURAL_H

#include <stdint.h>

static inline const char *tbi_plural(uint64_t n, const char *one, const char *several)
{
    return n == 1 ? one : several;
}

/* The ending of a noun. */
static inline const char *tbi_s(uint64_t n)
{
    return tbi_plural(n, "", "s");
}

#endif
