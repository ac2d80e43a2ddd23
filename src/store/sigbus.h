/* sigbus.h - the last word when the store's memory runs out on a kernel that cannot get pages ahead of
 * their use (MADV_POPULATE_WRITE, Linux 5.14). With a newer one tbi_memory_populate says so in time. */
#ifndef TBI_SIGBUS_H
#define TBI_SIGBUS_H

#include "store/memory.h"

/* On such a kernel: a bus error inside of this memory (which must stay where it is in memory until
 * the process ends) prints one line that names the store and ends the process with status 1. Any other bus
 * error goes to whoever handled it before. On a newer kernel: nothing. */
void tbi_sigbus_watch(const struct tbi_memory *memory, const char *host);

#endif
