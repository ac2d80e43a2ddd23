#include "sched/failure.h"
#include "sched/place.h"
#include "thornback.h"

#include <stdio.h>

static struct tbi_payload *payload_of(const struct tbi_error_link *link)
{
    return tbi_payload_new(link, sizeof *link);
}

/* To be reported if nobody reads it. A cancelled task is not: somebody wanted it so. */
static struct tbi_payload *unread(struct tbi_payload *payload)
{
    payload->unread = true;
    return payload;
}

static void name(const struct tbi_sched *sched, struct tbi_error_link *link, uint32_t fn)
{
    if (link->function[0] == 0 && sched->config.functions != NULL && fn < sched->config.nfunctions)
        snprintf(link->function, sizeof link->function, "%s", sched->config.functions[fn]);
}

struct tbi_payload *tbi_failure_no_such_ref(struct tbi_id id)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_REF,
                   "no object %016llx%016llx: it was freed when its last reference was released, or "
                   "never was of this job",
                   (unsigned long long)id.hi, (unsigned long long)id.lo);
    return payload_of(&link);
}

struct tbi_payload *tbi_failure_infeasible(const struct tbi_sched *sched,
                                           const struct msg_submit *task)
{
    unsigned largest = tbi_place_largest(&sched->nodes);
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_INFEASIBLE,
                   "the task needs %g CPUs; the largest node, rank %u, has %g: ask for fewer, or "
                   "start the job with more cores a rank",
                   (double)task->cpus / TBI_CPU, largest,
                   (double)sched->nodes.node[largest].cpus / TBI_CPU);
    name(sched, &link, task->fn);
    return unread(payload_of(&link));
}

struct tbi_payload *tbi_failure_too_much_inline(const struct tbi_sched *sched,
                                                const struct msg_submit *task, size_t bytes)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_ARGUMENT,
                   "the task's small arguments add up to %zu bytes, more than the %u that travel in "
                   "one message: put them into one array",
                   bytes, TBI_RECORD_MAX);
    name(sched, &link, task->fn);
    return unread(payload_of(&link));
}

struct tbi_payload *tbi_failure_of_agent(const struct tbi_sched *sched,
                                         const struct msg_submit *task, const void *error,
                                         uint32_t bytes)
{
    struct tbi_payload *payload = unread(tbi_payload_new(error, bytes));

    if (task != NULL) /* agents do not know the names */
        name(sched, (struct tbi_error_link *)payload->data, task->fn);
    return payload;
}

struct tbi_payload *tbi_failure_cancelled(const struct tbi_sched *sched,
                                          const struct msg_submit *task, const char *why)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_CANCELLED, "%s", why);
    name(sched, &link, task->fn);
    return payload_of(&link);
}

struct tbi_payload *tbi_failure_overdue(const struct tbi_sched *sched,
                                        const struct msg_submit *task, unsigned rank,
                                        uint32_t attempt)
{
    struct tbi_error_link link[2];

    tbi_error_link(&link[0], TB_ERR_CANCELLED, "cancelled, for it exceeded its time_limit");
    tbi_error_link(&link[1], TB_ERR_TIMEOUT, "it ran for more than its time_limit of %g s",
                   task->limit_ms / 1e3);
    for (int i = 0; i < 2; i++) {
        link[i].rank = (int32_t)rank;
        link[i].attempt = attempt;
        name(sched, &link[i], task->fn);
    }
    return unread(tbi_payload_new(link, sizeof link));
}
