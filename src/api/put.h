/* put.h - values on their way into the store. With the process's lock held. */
#ifndef TBI_PUT_H
#define TBI_PUT_H

#include "api/process.h"

#include <string.h>

/* Makes an object of a checked value, in a message or in the store by its size, and sets *id; the
 * process holds it with one count that no scope owns. 0 or the error, described in *error. */
int tbi_put(struct tbi_process *process, const tb_value *value, struct tbi_id *id,
            struct tbi_error_link *error);

/* Room in the own rank's segment: waits for it. Returns where to write, and *offset, or NULL with
 * the error described. `lent`: the program is to write there, until tbi_memory_take_back; else we are, until
 * tbi_memory_close. */
void *tbi_create(struct tbi_process *process, struct tbi_id id, uint64_t bytes, bool lent, uint64_t *offset,
                 struct tbi_error_link *error);

/* The ids of what travels inside a value and is counted: refs as refs, and actors. They lie in memory of the
 * user's, as tb_ref or tb_actor: read one by tbi_contained_id, or copy them. */
const void *tbi_contained(const tb_value *value, size_t *n);
static inline struct tbi_id tbi_contained_id(const void *ids, size_t i)
{
    struct tbi_id id;

    memcpy(&id, (const uint8_t *)ids + i * sizeof id, sizeof id);
    return id;
}
/* May they? 0 or the last error. */
int tbi_contained_check(struct tbi_process *process, const tb_value *value);

#endif
