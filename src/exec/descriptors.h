/* descriptors.h - the descriptors that executors inherit, from 3 on. A number that is open in the program stays in
 * use in tasks, so that a FILE or descriptor from before tb_init never comes to mean a file that a task has opened:
 * there it is /dev/null, unless the program asked for its own to be kept (TB_KEEP_DESCRIPTORS). */
#ifndef TBI_DESCRIPTORS_H
#define TBI_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

struct tbi_descriptors {
    int *fd; /* fd[n], ascending */
    size_t n;
};

/* How many more this process may open, `most` at most, by opening them; errno says why not more. */
unsigned tbi_descriptors_spare(unsigned most);

/* Those that are open now. 0, or a negative errno. The caller's to free. */
int tbi_descriptors_list(struct tbi_descriptors *d);
void tbi_descriptors_free(struct tbi_descriptors *d);

/* In a process of our own, in one thread: puts /dev/null at all that are open, with the same close-on-exec flag, but
 * for own[nown], which `inherited` then lacks, and those of `kept` (may be NULL). Without /dev/null they are closed.
 * 0, or a negative errno. */
int tbi_descriptors_blind(struct tbi_descriptors *inherited, const int *own, size_t nown,
                          const struct tbi_descriptors *kept);

/* Closes all but these. */
void tbi_descriptors_close_others(const struct tbi_descriptors *d);

#endif
