/* alloc.h - allocation for bookkeeping. The head and the agents cannot go on without their tables,
 * so running out of ordinary memory ends the process with a message; memory whose size a user
 * chooses (objects, arguments) comes from the store, which can say no. */
#ifndef TBI_ALLOC_H
#define TBI_ALLOC_H

#include "util/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Says so, and which limits of memory the process has, and aborts. */
_Noreturn void tbi_out_of_memory(size_t bytes);

static inline void *tbi_need_memory(void *p, size_t bytes)
{
    if ((p == NULL || tbi_fault(TBI_FAULT_ALLOC)) && bytes != 0)
        tbi_out_of_memory(bytes);
    return p;
}

static inline void *tbi_alloc(size_t bytes)
{
    return tbi_need_memory(malloc(bytes), bytes);
}
static inline void *tbi_alloc_zeroed(size_t n, size_t each)
{
    return tbi_need_memory(calloc(n, each), n * each);
}
static inline void *tbi_realloc(void *p, size_t bytes)
{
    return tbi_need_memory(realloc(p, bytes), bytes);
}
static inline void *tbi_copy(const void *p, size_t bytes)
{
    return bytes == 0 ? NULL : memcpy(tbi_alloc(bytes), p, bytes);
}

#endif
