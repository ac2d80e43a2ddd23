/* idle.h - tb_wait_idle, and how many tasks are unfinished in words. */
#ifndef TBI_API_IDLE_H
#define TBI_API_IDLE_H

#include <stddef.h>
#include <stdint.h>

enum { TBI_COUNTS_TEXT = 160 };

/* "2 tasks, 1 actor call and 1 actor": without those of which there are none. Returns text[TBI_COUNTS_TEXT]. */
char *tbi_counts_text(char *text, uint64_t tasks, uint64_t calls, uint64_t actors);

#endif
