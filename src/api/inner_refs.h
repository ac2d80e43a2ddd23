/* inner_refs.h - refs that the program sees inside an array of refs (or of actors). It holds none of them, but may
 * use each as long as this process has a handle of the array, since the array holds them. So what such a use leaves
 * in this process, a view that is pinned, ends with the array's handle.
 *
 * Most arrays are never asked for: an array is indexed when a ref is used that the process does not hold, or when
 * its contents are about to be unmapped. Indexing costs a map entry for each ref in it. Call with the lock held. */
#ifndef TBI_INNER_REFS_H
#define TBI_INNER_REFS_H

#include "api/process.h"

/* A view of an array of refs was handed out. */
void tbi_inner_open(struct tbi_process *process, struct tbi_handle *array);
/* The array's contents are about to be unmapped, though its handle stays. */
void tbi_inner_unmap(struct tbi_process *process, struct tbi_handle *array);
/* The array's handle goes. Views of refs that were only seen in it end. */
void tbi_inner_close(struct tbi_process *process, struct tbi_handle *array);

/* A view of something that the process does not hold is handed out: indexes the arrays it may have been seen in. */
void tbi_inner_index(struct tbi_process *process);
/* Does the process hold this ref: by a count of its own, by a running task's arguments, or inside an array? */
bool tbi_inner_is_held(struct tbi_process *process, struct tbi_id id);

/* Without the lock: frees everything. */
void tbi_inner_fini(struct tbi_process *process);

#endif
