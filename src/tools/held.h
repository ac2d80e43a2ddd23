/* held.h - values and refs that a tool keeps beyond the call in which it got them: with counts of its own, which
 * belong to no scope. Made of public calls. */
#ifndef TBI_TOOLS_HELD_H
#define TBI_TOOLS_HELD_H

#include "thornback.h"

#include <time.h>

/* A copy that lasts: refs and actors are held, and what `value` points to becomes an object that stands for it. What
 * cannot travel fails the call that it is given to. */
tb_value tbi_held_copy(const tb_value *value);
void tbi_held_release(const tb_value *copy);

/* The i-th element of an array, which must be a valid value, as a value of its own. */
tb_value tbi_held_element(const tb_value *array, size_t i);

/* Gives what the tool held to the caller, whose scope has it from now on. Returns it. */
tb_ref tbi_held_pass(tb_ref ref);

/* ---- one timeout for several waits ---- */

/* In seconds of the monotonic clock; negative timeouts give infinity. */
double tbi_deadline_after(double timeout);
/* What is left of it, as a timeout: not negative, but -1 for ever. */
double tbi_timeout_until(double deadline);

#endif
