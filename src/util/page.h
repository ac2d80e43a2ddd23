/* page.h - the size of a page of memory, which the kernel decides: 4 KiB on x86-64, 4, 16 or 64 KiB on
 * aarch64. It is the unit in which memory is protected, so slots and objects begin on its multiples. Pure
 * code is told it; the other code asks here. */
#ifndef TBI_PAGE_H
#define TBI_PAGE_H

#include <stddef.h>
#include <stdint.h>

/* With pages between these sizes all layouts work. Larger ones would make each executor's slot, of three
 * parts of whole pages, take memory that no one accounts for. */
enum { TBI_PAGE_LEAST = 4096, TBI_PAGE_MOST = 64 * 1024 };

/* Of this system, in bytes. Asked for once; any thread. */
uint32_t tbi_page_bytes(void);

/* Can Thornback work with pages of this size? NULL, or which sizes it can work with. */
const char *tbi_page_check(uint32_t bytes);

static inline uint64_t tbi_page_up(uint64_t bytes, uint32_t page)
{
    return (bytes + page - 1) / page * page;
}

#endif
