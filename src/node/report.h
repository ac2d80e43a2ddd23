/* report.h - what a rank waits for, in lines for people: written when SIGUSR2 comes (see api/init.c). Reads the inner
 * state of head and agent, and changes nothing. */
#ifndef TBI_REPORT_H
#define TBI_REPORT_H

#include "node/agent.h"
#include "sched/sched.h"

#include <stdio.h>

/* Tasks at the node and rooms that are waited for, and what each process runs. `functions`: names by number. */
void tbi_report_agent(const struct tbi_agent *agent, const char *const *functions, unsigned rank, FILE *to);

/* How many tasks the head has in which state. */
void tbi_report_head(const struct tbi_sched *sched, FILE *to);

/* As snprintf: by which function an object is made, and how far that is. */
void tbi_report_object(const struct tbi_sched *sched, struct tbi_id id, char *text, size_t size);

#endif
