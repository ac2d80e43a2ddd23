/* forked.h - is this process the child of a fork that the program made, in the driver or in a task? It shares
 * with its parent the rings, the slot and the descriptors of the library, and has only one of its threads: so
 * nothing of the library may be used in it. The flag is set in the child before fork() returns there; a look at it
 * costs one read. Not set by vfork and posix_spawn, whose children can only exec. */
#ifndef TBI_FORKED_H
#define TBI_FORKED_H

#include <stdbool.h>

extern bool tbi_forked_flag;

/* From now on, for this process and the children of its forks. */
void tbi_forked_watch(void);

static inline bool tbi_forked(void)
{
    return __builtin_expect(tbi_forked_flag, false);
}

/* TB_ERR_STATE, with the last error saying that `function` was called in a forked child. */
int tbi_forked_refuse(const char *function);

/* Returns in the parent. A forked child ends here: it has returned from the program's function, and what comes next
 * is for its parent to do. Without exit handlers, and without flushing what its parent had buffered. */
void tbi_forked_leave(int status);

/* The same for a child that the flag does not tell of: of vfork or clone. A system call. */
void tbi_forked_look(int status);

#endif
