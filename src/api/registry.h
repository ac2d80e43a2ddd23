/* registry.h - the remote functions of this program, as all ranks know them: tasks, classes of actors and
 * their methods, all rows of one table.
 *
 * TB_TASK and kin register by constructor, before main and in any order; freezing, in tb_init, gives each
 * row its id: its rank among (name, file, line) in sorted order, so that ids agree on all ranks
 * whatever their addresses. Registered twice under the same (name, file, line), as by a
 * header that two files include, a function is one row with two addresses.
 * Not thread-safe until frozen; read-only from then on. */
#ifndef TBI_REGISTRY_H
#define TBI_REGISTRY_H

#include "thornback.h"

#include <stdbool.h>

/* Sorts and checks. 0, or TB_ERR_ARGUMENT with the last error set: two names at one address. */
int tbi_registry_freeze(void);
/* Back to the state before: for a process that starts Thornback again, and for tests. */
void tbi_registry_thaw(void);

/* The id of the task, method or class, or -1. `written` is its name where it was used: the last error, of
 * TB_ERR_UNREGISTERED, then names it and the likely causes. A task is not found as a method, nor a method as a
 * task. */
int tbi_registry_find(tb_task_fn *fn, const char *written);
int tbi_registry_find_method(tb_function_ *fn, const char *written);
int tbi_registry_find_class(struct tb_actor_class_ cls, const char *written);

int tbi_registry_count(void);
const struct tb_task_record_ *tbi_registry_row(int id); /* 0 <= id < count */

/* Over names, files, lines, options and what is known of classes: equal on all ranks, or they run different programs. */
uint64_t tbi_registry_digest(void);

/* A row that came after freezing (a library loaded later), once; NULL: none. */
const struct tb_task_record_ *tbi_registry_take_late(void);

#endif
