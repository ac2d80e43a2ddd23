/* segment.h - which parts of a rank's store memory are lent out. Bookkeeping by offsets; the memory
 * itself is never touched here.
 *
 * The unit is a page of memory (util/page.h), so that an executor can be given write access to one object
 * alone. Memory that was used before is preferred: the first touch of a page of shared memory costs
 * ten times a copy into it. All pages from the frontier on were never handed out; what is handed
 * out from there is reported as cold, once, so that the caller can populate it: if memory is short then, that fails,
 * while a first touch would end the process.
 *
 * Free extents are in a tree by size: O(log extents) to find, take and join, and the smallest that suffices is
 * taken. Sizes and offsets in bytes. Pure; not thread-safe.
 */
#ifndef TBI_SEGMENT_H
#define TBI_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct tbi_segment;

struct tbi_extent {
    uint64_t offset, bytes;      /* bytes: whole pages */
    uint64_t cold_from, cold_to; /* offsets; equal: nothing of it is cold */
};

/* Its table takes one byte of this process's memory for so many bytes of the segment. */
uint64_t tbi_segment_table_share(uint32_t page_bytes);

struct tbi_segment *tbi_segment_create(uint64_t bytes, uint32_t page_bytes); /* rounded down to pages */
void tbi_segment_destroy(struct tbi_segment *segment);  /* NULL: nothing */

/* Takes room for `bytes` (0 counts as one page). False: no room now; nothing changed. */
bool tbi_segment_alloc(struct tbi_segment *segment, uint64_t bytes, struct tbi_extent *extent);

/* Gives back what stands at exactly this offset; anything else ends the process, for then the
 * bookkeeping of objects is wrong and data would be overwritten. */
void tbi_segment_free(struct tbi_segment *segment, uint64_t offset);

/* The same of what may never have been populated, or written. From now on all that is handed out is reported as
 * cold: where the memory is that was not got, is not kept. */
void tbi_segment_free_unused(struct tbi_segment *segment, uint64_t offset);

uint64_t tbi_segment_capacity(const struct tbi_segment *segment);
uint64_t tbi_segment_used(const struct tbi_segment *segment);

/* Every invariant; NULL or what is wrong. O(extents). */
const char *tbi_segment_check(const struct tbi_segment *segment);

#endif
