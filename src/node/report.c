#include "node/report.h"
#include "node/local.h"
#include "sched/graph.h"
#include "util/plural.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const char *const state_name[] = {
    [TBI_OPEN] = "being written", [TBI_WAITING] = "waiting for arguments", [TBI_QUEUED] = "queued",
    [TBI_PARKED] = "waiting for their actor", [TBI_DELAYED] = "waiting for their next attempt",
    [TBI_DISPATCHED] = "sent to a node", [TBI_BLOCKED] = "blocked in a wait of their own", [TBI_ENDED] = "ended"};
enum { STATES = sizeof state_name / sizeof state_name[0], LINES = 40 /* of one kind */ };

static unsigned long length(const struct tbi_link *list)
{
    unsigned long n = 0;

    for (const struct tbi_link *l = list->next; l != list; l = l->next)
        n++;
    return n;
}

static double seconds(const struct tbi_report_place *place, uint64_t since_us)
{
    return place->now_us > since_us ? (double)(place->now_us - since_us) / 1e6 : 0;
}

static const char *name_of(const struct tbi_report_place *place, const struct tbi_job *job)
{
    return place->functions != NULL ? place->functions[job->m->fn] : "?";
}

/* ---- an agent ---- */

/* What a process that is blocked waits for, as far as its agent knows. */
static void describe_wait(const struct tbi_proc *proc, char *text, size_t size)
{
    const struct tbi_room *room = tbi_rooms_of(proc);

    if (proc->cpus == TBI_CPU_QUEUED)
        snprintf(text, size, "to have its CPUs back");
    else if (room != NULL)
        snprintf(text, size, "for room for %" PRIu64 " bytes in the store", room->bytes);
    else if (!tbi_list_empty(&proc->needs))
        snprintf(text, size, "for %lu object%s on the way here", length(&proc->needs),
                 tbi_s(length(&proc->needs)));
    else
        snprintf(text, size, "for what the head knows of");
}

static void report_proc(const struct tbi_report_place *place, const struct tbi_proc *proc, FILE *to)
{
    bool waits = proc->blocked || proc->cpus == TBI_CPU_QUEUED || tbi_rooms_of(proc) != NULL;
    int32_t pid = place->pid_of != NULL ? place->pid_of(place->ctx, proc->proc) : 0;
    char text[128], line[512];
    int n;

    n = snprintf(line, sizeof line, "thornback: rank %u: process %u ", place->rank, proc->proc);
    if (pid != 0) /* else it is only being started */
        n += snprintf(line + n, sizeof line - (size_t)n, "(pid %" PRId32 ") ", pid);
    if (proc->actor != NULL) {
        snprintf(line + n, sizeof line - (size_t)n, "is actor '%.100s': %u call%s given to it, %lu here in all",
                 name_of(place, proc->job), proc->nwork, tbi_s(proc->nwork), length(&proc->actor->calls));
    } else if (waits) {
        describe_wait(proc, text, sizeof text);
        snprintf(line + n, sizeof line - (size_t)n, "in '%.100s' has waited for %.1f s, %s", name_of(place, proc->job),
                 seconds(place, proc->since_us), text);
    } else {
        snprintf(line + n, sizeof line - (size_t)n, "has run '%.100s' for %.1f s; %u task%s given to it",
                 name_of(place, proc->job), seconds(place, proc->since_us), proc->nwork, tbi_s(proc->nwork));
    }
    fprintf(to, "%s\n", line); /* in one go, so that the lines of ranks do not mix */
}

void tbi_report_agent(const struct tbi_agent *agent, const struct tbi_report_place *place, FILE *to)
{
    struct tbi_agent_counts c = tbi_agent_counts(agent);
    struct tbi_map_slot e;
    size_t at = 0;
    unsigned lines = 0, left = 0;

    while (tbi_map_next(&agent->procs, &at, &e)) {
        const struct tbi_proc *proc = e.value;

        if (proc->job == NULL)
            continue;
        if (lines++ < LINES)
            report_proc(place, proc, to);
        else
            left++;
    }
    if (left > 0)
        fprintf(to, "thornback: rank %u: and %u more process%s\n", place->rank, left,
                tbi_plural(left, " has tasks", "es have tasks"));
    fprintf(to, "thornback: rank %u (pid %d on host %s): %zu task%s here, %u process%s, in a task: %u, of them with "
            "CPUs given away: %u; %lu wait%s for room in the store\n", place->rank, (int)getpid(),
            place->host, (size_t)c.jobs, tbi_s(c.jobs), (unsigned)c.executors, tbi_plural(c.executors, "", "es"),
            (unsigned)c.running, (unsigned)c.blocked, length(&agent->rooms), tbi_s(length(&agent->rooms)));
}

/* ---- the head ---- */

static void report_questions(const struct tbi_sched *sched, const struct tbi_report_place *place, FILE *to)
{
    unsigned lines = 0, left = 0;
    struct tbi_map_slot e;
    char text[200];

    for (size_t at = 0; tbi_map_next(&sched->dir.makers, &at, &e);) {
        const struct tbi_maker *m = e.value;

        for (unsigned i = 0; i < m->nobjects; i++)
            for (const struct tbi_waiter *w = m->object[i].askers; w != NULL; w = w->next) {
                if (w->proc == TBI_PROC_DRIVER || w->proc == TBI_PROC_NONE)
                    continue; /* the driver says so itself */
                if (lines++ >= LINES) {
                    left++;
                    continue;
                }
                tbi_report_object(sched, m->id, text, sizeof text);
                fprintf(to, "thornback: rank 0: process %u of rank %u has waited for %.1f s for %s\n", w->proc, w->rank,
                        seconds(place, TBI_ENTRY(w, struct tbi_question, waiter)->since_us), text);
            }
    }
    if (left > 0)
        fprintf(to, "thornback: rank 0: and there %s %u more such wait%s\n", tbi_plural(left, "is", "are"), left, tbi_s(left));
}

void tbi_report_head(const struct tbi_sched *sched, const struct tbi_report_place *place, FILE *to)
{
    size_t count[STATES] = {0}, at = 0;
    char line[1024] = "thornback: rank 0: tasks and calls by state:";
    size_t n = strlen(line);
    struct tbi_map_slot e;

    while (tbi_map_next(&sched->dir.makers, &at, &e)) {
        const struct tbi_maker *m = e.value;

        if (m->submit != NULL && m->state < STATES)
            count[m->state]++;
    }
    for (unsigned s = 0; s < STATES; s++)
        if (count[s] > 0)
            n += (size_t)snprintf(line + n, sizeof line - n, " %zu %s;", count[s], state_name[s]);
    fprintf(to, "%s %zu %s not ended\n", line, sched->tasks, tbi_plural(sched->tasks, "has", "have"));
    report_questions(sched, place, to);
}

void tbi_report_object(const struct tbi_sched *sched, struct tbi_id id, char *text, size_t size)
{
    const struct tbi_maker *m = tbi_directory_maker(&sched->dir, tbi_id_task(id));
    const char *const *names = sched->config.functions;

    if (m == NULL || m->state >= STATES)
        snprintf(text, size, "which the head does not know");
    else if (m->submit == NULL && tbi_groups_find(&sched->groups, m->id) != NULL)
        snprintf(text, size, "a placement group, %s", m->state == TBI_OPEN ? "not reserved yet" : state_name[m->state]);
    else if (m->submit == NULL)
        snprintf(text, size, "a put, %s", state_name[m->state]);
    else
        snprintf(text, size, "a result of '%s', %s", names != NULL ? names[m->submit->fn] : "?", state_name[m->state]);
}
