#include "util/page.h"

#include <stdatomic.h>
#include <unistd.h>

uint32_t tbi_page_bytes(void)
{
    static _Atomic uint32_t known;
    uint32_t bytes = atomic_load_explicit(&known, memory_order_relaxed);

    if (bytes == 0) {
        bytes = (uint32_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&known, bytes, memory_order_relaxed);
    }
    return bytes;
}

const char *tbi_page_check(uint32_t bytes)
{
    if (bytes < TBI_PAGE_LEAST || bytes > TBI_PAGE_MOST || (bytes & (bytes - 1)) != 0)
        return "a power of two from 4096 to 65536 is needed";
    return NULL;
}
