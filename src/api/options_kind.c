/* options_kind.c - which options are for tasks, which for actors, which for calls of methods. One of another kind
 * is an error: it would have no effect, and the program would not know. A new option: one row here. */
#include "api/errors.h"
#include "api/options.h"

#include <stdio.h>
#include <string.h>

enum { TASKS = 1 << TBI_TASK, ACTORS = 1 << TBI_ACTOR, CALLS = 1 << TBI_CALL };

struct given {
    const char *name;
    unsigned of;            /* the kinds that have it */
    bool set;
    double number;          /* its value, unless it has a text */
    const char *text;
};

static const char *of_kinds(unsigned of)
{
    switch (of) {
    case TASKS:
        return "tasks";
    case ACTORS:
        return "actors";
    case CALLS:
        return "calls of methods";
    case TASKS | ACTORS:
        return "tasks and actors";
    case TASKS | CALLS:
        return "tasks and calls of methods";
    default:
        return "actors and calls of methods";
    }
}

static const char *remedy(const struct given *o, unsigned kind)
{
    bool retries = strcmp(o->name, "max_retries") == 0, restarts = strncmp(o->name, "max_", 4) == 0;

    switch (kind) {
    case ACTORS:
        return retries ? "an actor has max_restarts, and max_task_retries for its calls"
                       : "TB_METHOD and tb_actor_call_with take it";
    case CALLS:
        return retries ? "a call has max_task_retries" : "TB_ACTOR and tb_actor_new_with take it";
    default:
        return restarts ? "a task has max_retries" : "TB_ACTOR or TB_METHOD takes it";
    }
}

static int refuse(const char *function, const struct given *o, unsigned kind)
{
    char value[128];

    if (o->text != NULL)
        snprintf(value, sizeof value, "\"%s\"", o->text);
    else
        snprintf(value, sizeof value, "%g", o->number);
    return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for %s = %s, which is an option of %s: %s", function, o->name,
                         value, of_kinds(o->of), remedy(o, kind));
}

#define NUMBER(field, of) {#field, of, o->field != 0, (double)o->field, NULL}
#define TEXT(field, of) {#field, of, o->field != NULL, 0, o->field}
#define LIST(field, of)                                                                            \
    {#field, of, o->field[0].name != NULL, 0, o->field[0].name != NULL ? o->field[0].name : ""}

int tbi_options_check_kind(const char *function, enum tbi_kind kind, const tb_options *o)
{
    unsigned of = 1u << kind;

    if (o == NULL)
        return 0;
    const struct given given[] = {
        NUMBER(num_cpus, TASKS | ACTORS),
        NUMBER(num_gpus, TASKS | ACTORS),
        NUMBER(memory, TASKS | ACTORS),
        LIST(resources, TASKS | ACTORS),
        TEXT(labels, TASKS | ACTORS),
        NUMBER(strategy, TASKS | ACTORS),
        NUMBER(node, TASKS | ACTORS),
        NUMBER(fresh_process, TASKS | ACTORS),
        {"group", TASKS | ACTORS, (o->group.hi | o->group.lo) != 0, 0, "..."},
        NUMBER(max_retries, TASKS),
        NUMBER(retry_on_error[0], TASKS | CALLS),
        NUMBER(retry_delay, TASKS | CALLS),
        NUMBER(time_limit, TASKS | CALLS),
        NUMBER(max_task_retries, ACTORS | CALLS),
        TEXT(name, ACTORS),
        TEXT(name_space, ACTORS),
        NUMBER(get_if_exists, ACTORS),
        NUMBER(lifetime, ACTORS),
        NUMBER(max_restarts, ACTORS),
        NUMBER(max_concurrency, ACTORS),
        LIST(concurrency_groups, ACTORS),
        NUMBER(max_pending_calls, ACTORS),
        TEXT(concurrency_group, CALLS),
    };
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
        if (given[i].set && !(given[i].of & of))
            return refuse(function, &given[i], of);
    return 0;
}
