/* report.h - what a rank waits for, in lines for people: written when SIGUSR2 comes (see api/report_signal.c). Reads the inner
 * state of head and agent, and changes nothing. */
#ifndef TBI_REPORT_H
#define TBI_REPORT_H

#include "node/agent.h"
#include "sched/sched.h"

#include <stdio.h>

/* Whose report it is. */
struct tbi_report_place {
    unsigned rank;
    const char *host;
    const char *const *functions;                   /* names by number */
    int32_t (*pid_of)(void *ctx, uint32_t proc);    /* of an executor; NULL: nobody knows */
    void *ctx;
    uint64_t now_us;
};

/* What each process runs or waits for, and since when; last a line with the sums. */
void tbi_report_agent(const struct tbi_agent *agent, const struct tbi_report_place *place, FILE *to);

/* How many tasks the head has in which state, and what processes of tasks wait for. */
void tbi_report_head(const struct tbi_sched *sched, const struct tbi_report_place *place, FILE *to);

/* As snprintf: by which function an object is made, and how far that is. */
void tbi_report_object(const struct tbi_sched *sched, struct tbi_id id, char *text, size_t size);

#endif
