/* pool.h - what maps over a pool need of it: calls by their numbers, which count up from 0 since it was made. */
#ifndef TBI_TOOLS_POOL_H
#define TBI_TOOLS_POOL_H

#include "thornback_tools.h"

/* How many there were so far: the number of the next one. */
size_t tbi_pool_numbers(const tb_pool *pool);

/* The result that comes first of the calls from .. to - 1, of which one at least was not taken or forgotten; of a
 * single one it must not have been. As tb_pool_get_next_unordered; deadline as of tbi_deadline_after. */
int tbi_pool_take(tb_pool *pool, size_t from, size_t to, double deadline, size_t *number, tb_ref *result);

/* Drops a call that waits, or the result of one that was made. One that was taken stays so. */
void tbi_pool_forget(tb_pool *pool, size_t number);

#endif
