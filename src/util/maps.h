/* maps.h - the shared memory that this process has mapped, whoever mapped it, and closing what a child must not
 * reach. For Linux: reads /proc/self/maps. */
#ifndef TBI_MAPS_H
#define TBI_MAPS_H

#include <stddef.h>
#include <stdint.h>

struct tbi_range {
    uintptr_t from, to; /* whole pages */
};

struct tbi_ranges {
    struct tbi_range *range; /* ours to free */
    size_t n;
};

/* Appends all shared memory that is writable now. 0, or a negative errno. */
int tbi_maps_shared(struct tbi_ranges *ranges);
void tbi_ranges_add(struct tbi_ranges *ranges, const void *from, size_t bytes);

/* Makes all writable shared memory of this process inaccessible, except what is in `keep`. The address ranges stay
 * taken, so that a pointer into one faults and never means something else. Not undone. 0, or a negative errno. */
int tbi_maps_close(const struct tbi_ranges *keep);

#endif
