#include "sched/failure.h"
#include "sched/place.h"
#include "thornback.h"
#include "util/plural.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

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
    char text[64];

    tbi_error_link(&link, TB_ERR_REF, "no object %s: it was freed when its last reference was released, or never was "
                   "of this job", tb_ref_text((tb_ref){id.hi, id.lo}, text, sizeof text));
    return payload_of(&link);
}

/* Says what the node has of each resource that the class asks for. */
static const char *node_words(char *to, size_t size, const struct tbi_sched *sched,
                              const struct tbi_class *class, unsigned node)
{
    struct tbi_amount has[TBI_RESOURCES_MAX];
    unsigned n = 0;

    for (unsigned p = 0; p < class->nparts; p++) {
        has[n] = class->part[p];
        has[n].amount = tbi_ledger_whole(class->nodes, node)[has[n].resource];
        n += class->part[p].amount > 0; /* what is asked for by name alone is named already */
    }
    return tbi_amount_words(to, size, has, n, "no", sched->config.resources);
}

static bool any_has(const struct tbi_nodes *nodes, unsigned resource)
{
    for (unsigned i = 0; i < nodes->n; i++)
        if (nodes->node[i].works && tbi_ledger_whole(nodes, i)[resource] > 0)
            return true;
    return false;
}

/* No bundle of its group can. */
static void describe_too_large(const struct tbi_sched *sched, const struct tbi_class *class,
                               struct tbi_error_link *link)
{
    bool any = class->node == TBI_ANY_NODE;
    unsigned bundle = any ? tbi_place_nearest(class->nodes, class) : class->node;
    char wants[160], has[160];

    tbi_amount_words(wants, sizeof wants, class->part, class->nparts, "a node with",
                     sched->config.resources);
    node_words(has, sizeof has, sched, class, bundle);
    tbi_error_link(link, TB_ERR_INFEASIBLE,
                   "the task needs %s of %s of its placement group, and %s %u, has %s: ask for less, "
                   "or make a group with larger bundles",
                   wants, any ? "a bundle" : "that bundle",
                   any ? "the one that comes nearest, bundle" : "this one, bundle", bundle, has);
}

static void describe_infeasible(const struct tbi_sched *sched, const struct tbi_class *class,
                                struct tbi_error_link *link)
{
    const struct tbi_nodes *nodes = &sched->nodes;
    bool any = class->node == TBI_ANY_NODE;
    unsigned node = any ? tbi_place_nearest(nodes, class) : class->node;
    char wants[160], has[160], name[32];

    tbi_amount_words(wants, sizeof wants, class->part, class->nparts, "a node with",
                     sched->config.resources);
    node_words(has, sizeof has, sched, class, node);
    for (unsigned p = 0; any && p < class->nparts; p++)
        if (!any_has(nodes, class->part[p].resource)) {
            tbi_error_link(link, TB_ERR_INFEASIBLE, "the task needs %s; no node has any %s", wants,
                           tbi_resource_name(name, sizeof name, class->part[p].resource,
                                             sched->config.resources));
            return;
        }
    if (!nodes->node[node].works)
        tbi_error_link(link, TB_ERR_INFEASIBLE,
                       "the task needs %s on rank %u, which runs no tasks: choose a worker rank",
                       wants, node);
    else if (any)
        tbi_error_link(link, TB_ERR_INFEASIBLE,
                       "the task needs %s; the node that comes nearest, rank %u, has %s: ask for "
                       "less, or start the job with more a rank",
                       wants, node, has);
    else
        tbi_error_link(link, TB_ERR_INFEASIBLE,
                       "the task needs %s on rank %u, which has %s: ask for less, or for another "
                       "node",
                       wants, node, has);
}

struct tbi_payload *tbi_failure_of_demand(const struct tbi_sched *sched,
                                          const struct tbi_maker *task)
{
    const struct tbi_class *class = task->class;
    struct tbi_error_link link;

    if (class->gpus > TBI_UNIT && class->gpus % TBI_UNIT != 0)
        tbi_error_link(&link, TB_ERR_ARGUMENT,
                       "the task asks for %.10g GPUs: a part of one, or whole ones, are possible",
                       (double)class->gpus / TBI_UNIT);
    else if (class->group != NULL && class->node != TBI_ANY_NODE && class->node >= class->group->n)
        tbi_error_link(&link, TB_ERR_ARGUMENT,
                       "the task asks for bundle %u of a placement group: there are %u, from 0",
                       class->node, class->group->n);
    else if (class->group != NULL)
        describe_too_large(sched, class, &link);
    else if (task->submit->strategy >= TBI_ON_NODE && task->submit->node >= sched->nodes.n)
        tbi_error_link(&link, TB_ERR_ARGUMENT, "the task asks for node %u: there are %u, from 0",
                       task->submit->node, sched->nodes.n);
    else
        describe_infeasible(sched, class, &link);
    name(sched, &link, task->submit->fn);
    return unread(payload_of(&link));
}

struct tbi_payload *tbi_failure_of_group(const struct tbi_sched *sched,
                                         const struct msg_submit *task)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_CANCELLED,
                   "its placement group was removed, or never was of this job");
    name(sched, &link, task->fn);
    return payload_of(&link);
}

struct tbi_payload *tbi_failure_removed(void)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_CANCELLED, "the placement group was removed before it was reserved");
    return payload_of(&link);
}

struct tbi_payload *tbi_failure_infeasible_group(const struct tbi_sched *sched,
                                                 const struct tbi_group *group)
{
    static const char *const how[] = {"", "", " on one node", " on as many nodes"};
    struct tbi_error_link link;
    char wants[160];

    for (unsigned b = 0; b < group->n; b++)
        if (!tbi_group_bundle_is_feasible(sched, group, b)) {
            const struct tbi_group_bundle *bundle = &group->bundle[b];

            tbi_error_link(&link, TB_ERR_INFEASIBLE,
                           "bundle %u of the placement group needs %s, which no node has: make it "
                           "smaller, or start the job with more a rank", b,
                           tbi_amount_words(wants, sizeof wants, bundle->part, bundle->nparts,
                                            "a node with", sched->config.resources));
            return payload_of(&link);
        }
    tbi_error_link(&link, TB_ERR_INFEASIBLE,
                   "the placement group's %u bundle%s not fit%s, even if nothing else ran: ask for "
                   "less, or start the job with more ranks", group->n, tbi_plural(group->n, " does", "s do"),
                   how[group->strategy]);
    return payload_of(&link);
}

struct tbi_payload *tbi_failure_too_much_inline(const struct tbi_sched *sched,
                                                const struct msg_submit *task, size_t bytes)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_ARGUMENT,
                   "the task's %u small argument%s a message of %zu bytes, and %zu are possible: put them "
                   "into one array", task->nargs, tbi_plural(task->nargs, " makes", "s make"), bytes, (size_t)TBI_BODY_MAX);
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
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_TIMEOUT, "it ran for more than its time_limit of %g s", task->limit_ms / 1e3);
    link.rank = (int32_t)rank;
    link.attempt = attempt;
    name(sched, &link, task->fn);
    return unread(payload_of(&link));
}

/* ---- actors and their calls ---- */

/* The error with those it was caused by behind it. */
static struct tbi_payload *with_cause(struct tbi_error_link *link, const struct tbi_payload *cause)
{
    struct tbi_error_link chain[TBI_ERROR_CHAIN_MAX] = {*link};
    int n = cause == NULL ? 1 : tbi_error_chain(chain, cause->data, cause->bytes);

    return tbi_payload_new(chain, (uint32_t)((size_t)n * sizeof *chain));
}

/* Where and how the process ended, as the cause has it. */
static void tell_where(struct tbi_error_link *link, const struct tbi_error_link *cause)
{
    link->rank = cause->rank;
    link->pid = cause->pid;
    link->signal = cause->signal;
    link->number = cause->number;
    memcpy(link->host, cause->host, sizeof link->host);
    memcpy(link->output, cause->output, sizeof link->output);
}

/* What fails had not begun. How the actor's process ended is still of use. */
static void tell_nowhere(struct tbi_error_link *link)
{
    link->rank = -1;
    link->pid = 0;
    link->attempt = 0;
    link->host[0] = 0;
}

void tbi_failure_by_kill(struct tbi_payload *error)
{
    struct tbi_error_link *link = (struct tbi_error_link *)error->data;

    if (link->code != TB_ERR_CRASHED || link->signal != SIGKILL)
        return; /* it had ended before the signal came */
    snprintf(link->message, sizeof link->message, "its process (pid %d, rank %d, host %s) was killed by tb_kill",
             link->pid, link->rank, link->host);
}

void tbi_failure_is_of(const struct tbi_sched *sched, const struct msg_submit *actor, struct tbi_payload *death)
{
    const struct tbi_error_link *first = (const struct tbi_error_link *)death->data;
    struct tbi_error_link own = {0};

    name(sched, &own, actor->fn);
    death->of_actor |= strcmp(first->function, own.function) == 0;
}

struct tbi_payload *tbi_failure_of_call(struct tbi_sched *sched, const struct tbi_maker *call,
                                        struct tbi_payload *death)
{
    struct tbi_directory *dir = &sched->dir;
    bool begun = call->failure != NULL;
    struct tbi_error_link chain[TBI_ERROR_CHAIN_MAX];
    struct tbi_payload *told;

    if (!death->of_actor)
        return tbi_payload_use(death);
    if (!begun && dir->told != NULL && dir->told_fn == call->submit->fn && tbi_payload_source(dir->told) == death)
        return tbi_payload_use(dir->told);
    memcpy(chain, death->data, death->bytes);
    chain[0].function[0] = 0;
    name(sched, &chain[0], call->submit->fn);
    if (begun) {
        tell_where(&chain[0], (const struct tbi_error_link *)call->failure->data);
        chain[0].attempt = call->attempt;
    } else {
        tell_nowhere(&chain[0]);
    }
    told = tbi_payload_new_of(chain, death->bytes, death);
    if (!begun) {
        dir->told = told;
        dir->told_fn = call->submit->fn;
    }
    return told;
}

static const char shut_down[] = "the queue was shut down by tb_queue_shutdown";

struct tbi_payload *tbi_failure_died(const struct tbi_sched *sched, const struct msg_submit *actor,
                                     const struct tbi_payload *error, bool exits, enum tbi_killer by)
{
    const struct tbi_error_link *cause =
        error == NULL ? NULL : (const struct tbi_error_link *)error->data;
    struct tbi_error_link link;
    struct tbi_payload *payload;

    tbi_error_link(&link, TB_ERR_ACTOR_DIED, "the actor has ended: %s",
                   cause != NULL                 ? cause->message
                   : !exits                      ? "nobody had a handle of it any more"
                   : by == TBI_BY_QUEUE_SHUTDOWN ? shut_down
                                                 : "it called tb_actor_exit");
    if (cause != NULL)
        tell_where(&link, cause);
    name(sched, &link, actor->fn);
    payload = with_cause(&link, error);
    payload->unread = error != NULL && error->unread;
    return payload;
}

struct tbi_payload *tbi_failure_killed(const struct tbi_sched *sched, const struct msg_submit *actor, enum tbi_killer by)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_ACTOR_DIED, "the actor has ended: %s",
                   by == TBI_BY_QUEUE_SHUTDOWN ? shut_down : "it was killed by tb_kill");
    name(sched, &link, actor->fn);
    return payload_of(&link);
}

struct tbi_payload *tbi_failure_name_taken(const struct tbi_sched *sched,
                                           const struct msg_submit *actor, const char *key)
{
    const char *called = key + strlen(key) + 1;
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_ARGUMENT,
                   "an actor named '%.100s' in the namespace '%.100s' is there already: choose another name, "
                   "or say .get_if_exists = true", called, key);
    name(sched, &link, actor->fn);
    return unread(payload_of(&link));
}

struct tbi_payload *tbi_failure_unavailable(const struct tbi_sched *sched, const struct tbi_maker *call,
                                            const struct tbi_payload *cause)
{
    bool begun = call->failure != NULL;
    const struct tbi_error_link *first = cause == NULL ? NULL : (const struct tbi_error_link *)cause->data;
    const char *how = first != NULL ? first->message : "the actor's process has ended";
    struct tbi_error_link link;
    struct tbi_payload *payload;

    if (begun)
        tbi_error_link(&link, TB_ERR_ACTOR_UNAVAILABLE, "%.300s; the actor is being restarted; the call is not run again, "
                       "for it has no max_task_retries left", how);
    else
        tbi_error_link(&link, TB_ERR_ACTOR_UNAVAILABLE, "the call was not begun, for the actor is being restarted: %.300s; "
                       "make the call again, or give it .max_task_retries, to let it wait", how);
    if (first != NULL)
        tell_where(&link, first);
    if (begun)
        link.attempt = call->attempt;
    else
        tell_nowhere(&link);
    name(sched, &link, call->submit->fn);
    payload = with_cause(&link, cause);
    payload->unread = true;
    return payload;
}

struct tbi_payload *tbi_failure_too_many_calls(const struct tbi_sched *sched,
                                               const struct msg_submit *call, uint32_t most)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_ACTOR_UNAVAILABLE,
                   "%u call%s of the actor %s not ended, as many as its max_pending_calls allows: wait "
                   "for some of them first", most, tbi_s(most), tbi_plural(most, "has", "have"));
    name(sched, &link, call->fn);
    return unread(payload_of(&link));
}

struct tbi_payload *tbi_failure_no_actor(const struct tbi_sched *sched,
                                         const struct msg_submit *call)
{
    struct tbi_error_link link;

    tbi_error_link(&link, TB_ERR_REF, "a call of what is no actor's handle");
    name(sched, &link, call->fn);
    return unread(payload_of(&link));
}
