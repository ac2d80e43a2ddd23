#include "node/report.h"
#include "node/local.h"
#include "sched/graph.h"

#include <inttypes.h>

static const char *const state_name[] = {
    [TBI_OPEN] = "being written", [TBI_WAITING] = "waiting for arguments", [TBI_QUEUED] = "queued",
    [TBI_PARKED] = "waiting for their actor", [TBI_DELAYED] = "waiting for their next attempt",
    [TBI_DISPATCHED] = "sent to a node", [TBI_BLOCKED] = "blocked in a wait of their own", [TBI_ENDED] = "ended"};
enum { STATES = sizeof state_name / sizeof state_name[0] };

static unsigned long length(const struct tbi_link *list)
{
    unsigned long n = 0;

    for (const struct tbi_link *l = list->next; l != list; l = l->next)
        n++;
    return n;
}

void tbi_report_agent(const struct tbi_agent *agent, const char *const *functions, unsigned rank, FILE *to)
{
    struct tbi_agent_counts c = tbi_agent_counts(agent);
    struct tbi_map_slot e;
    size_t at = 0;

    fprintf(to, "thornback: rank %u: %zu tasks here, %u processes, of them %u run or wait in a task and %u have "
            "given their CPUs away; %lu waits for room in the store\n", rank, (size_t)c.jobs, (unsigned)c.executors,
            (unsigned)c.running, (unsigned)c.blocked, length(&agent->rooms));
    while (tbi_map_next(&agent->procs, &at, &e)) {
        const struct tbi_proc *p = e.value;

        if (p->job != NULL)
            fprintf(to, "thornback: rank %u: process %u runs '%s', %s, with %u tasks given to it\n", rank, p->proc,
                    functions != NULL ? functions[p->job->m->fn] : "?",
                    p->blocked ? "which waits for objects" : "which has not ended", p->nwork);
    }
}

void tbi_report_head(const struct tbi_sched *sched, FILE *to)
{
    size_t count[STATES] = {0}, at = 0;
    struct tbi_map_slot e;

    while (tbi_map_next(&sched->dir.makers, &at, &e)) {
        const struct tbi_maker *m = e.value;

        if (m->submit != NULL && m->state < STATES)
            count[m->state]++;
    }
    fprintf(to, "thornback: rank 0: tasks and calls by state:");
    for (unsigned s = 0; s < STATES; s++)
        if (count[s] > 0)
            fprintf(to, " %zu %s;", count[s], state_name[s]);
    fprintf(to, " %zu have not ended\n", sched->tasks);
}

void tbi_report_object(const struct tbi_sched *sched, struct tbi_id id, char *text, size_t size)
{
    const struct tbi_maker *m = tbi_directory_maker(&sched->dir, tbi_id_task(id));
    const char *const *names = sched->config.functions;

    if (m == NULL || m->state >= STATES)
        snprintf(text, size, "which the head does not know");
    else if (m->submit == NULL)
        snprintf(text, size, "a put, %s", state_name[m->state]);
    else
        snprintf(text, size, "a result of '%s', %s", names != NULL ? names[m->submit->fn] : "?", state_name[m->state]);
}
