/* options_actor.c - what only actors and calls of their methods ask for. */
#include "api/errors.h"
#include "api/options.h"

#include <stdio.h>
#include <string.h>

enum { CONCURRENCY_MAX = 1000, GROUPS = TBI_LANES_MAX - 1 };

/* ---- lanes: which calls run at once ---- */

static int read_concurrency(const char *cls, const char *what, int n, uint16_t *lane)
{
    if (n < 0 || n > CONCURRENCY_MAX)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for max_concurrency = %d%s: 1 to %d are possible", cls, n,
                             what, CONCURRENCY_MAX);
    *lane = (uint16_t)(n == 0 ? 1 : n);
    return 0;
}

static int find_group(const tb_concurrency_group *groups, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (groups[i].name != NULL && strcmp(groups[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Those that a class has, for an error: "it has: io, compute". */
static void list_groups(const tb_concurrency_group *groups, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, groups[0].name != NULL ? "it has: " : "it has none");

    for (int i = 0; i < GROUPS && groups[i].name != NULL && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? ", " : "", groups[i].name);
}

/* The groups of a class; the first is lane 1. */
static int read_groups(const char *cls, const tb_concurrency_group *groups, struct tbi_actor_terms *terms)
{
    for (unsigned i = 0; i < GROUPS; i++) {
        char what[TBI_NAME_MAX + 32];
        int rc;

        if (groups[i].name == NULL && groups[i].max_concurrency == 0)
            continue;
        if (groups[i].name == NULL || groups[i].name[0] == 0 || strlen(groups[i].name) > TBI_NAME_MAX)
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for a concurrency group without a name, or with one of "
                                 "more than %d bytes", cls, TBI_NAME_MAX);
        if (i + 1 != terms->nlanes)
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' has a gap in its concurrency_groups before '%s'", cls,
                                 groups[i].name);
        if (find_group(groups, i, groups[i].name) >= 0)
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for concurrency group '%s' twice", cls,
                                 groups[i].name);
        snprintf(what, sizeof what, " in group '%s'", groups[i].name);
        rc = read_concurrency(cls, what, groups[i].max_concurrency, &terms->lane[terms->nlanes++]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* An actor may have other numbers than its class, but the same groups: callers know only the class. */
static int change_groups(const char *cls, const tb_concurrency_group *of, const tb_concurrency_group *groups,
                         struct tbi_actor_terms *terms)
{
    for (unsigned i = 0; i < GROUPS; i++) {
        char what[TBI_NAME_MAX + 32], known[300];
        int at, rc;

        if (groups[i].name == NULL)
            continue;
        at = find_group(of, GROUPS, groups[i].name);
        if (at < 0) {
            list_groups(of, known, sizeof known);
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for concurrency group '%s', which its class does not "
                                 "have (%s): name it in TB_ACTOR", cls, groups[i].name, known);
        }
        snprintf(what, sizeof what, " in group '%s'", groups[i].name);
        rc = read_concurrency(cls, what, groups[i].max_concurrency, &terms->lane[at + 1]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- names ---- */

static int read_name(const char *cls, const struct tbi_actor_terms *terms)
{
    const char *text[2] = {terms->name, terms->name_space};

    for (int i = 0; i < 2; i++)
        if (text[i] != NULL && strlen(text[i]) > TBI_NAME_MAX)
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for %s = \"%.40s...\": up to %d bytes are possible",
                                 cls, i == 0 ? "name" : "name_space", text[i], TBI_NAME_MAX);
    if (terms->name != NULL && terms->name[0] == 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for name = \"\": a name has at least one byte; leave it out "
                             "for an actor without one", cls);
    if (terms->name == NULL && terms->get_if_exists)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for get_if_exists = 1 without a name", cls);
    return 0;
}

int tbi_options_read_actor(const char *cls, const tb_options *registered, const tb_options *call,
                           const struct tbi_resources *resources, struct tbi_terms *terms)
{
    const tb_options *from[2] = {registered, call};
    struct tbi_actor_terms *a = &terms->actor;
    int restarts = 0, task_retries = 0, concurrency = 0, pending = 0, lifetime = 0, rc;

    *terms = (struct tbi_terms){.actor = {.placed_only = true, .nlanes = 1}};
    for (int i = 0; i < 2; i++) {
        const tb_options *o = from[i];

        if (o == NULL)
            continue;
        a->placed_only &= o->num_cpus == 0;
        a->name = o->name != NULL ? o->name : a->name;
        a->name_space = o->name_space != NULL ? o->name_space : a->name_space;
        a->get_if_exists |= o->get_if_exists;
        lifetime = o->lifetime != 0 ? o->lifetime : lifetime;
        restarts = o->max_restarts != 0 ? o->max_restarts : restarts;
        task_retries = o->max_task_retries != 0 ? o->max_task_retries : task_retries;
        concurrency = o->max_concurrency != 0 ? o->max_concurrency : concurrency;
        pending = o->max_pending_calls != 0 ? o->max_pending_calls : pending;
    }
    rc = tbi_options_check_kind(cls, TBI_ACTOR, call);
    if (rc == 0)
        rc = tbi_options_demand(cls, registered, call, resources, terms);
    if (rc == 0)
        rc = tbi_options_num_args(cls, registered, call, &terms->num_args);
    if (rc == 0)
        rc = read_name(cls, a);
    if (rc == 0)
        rc = tbi_options_times(cls, "max_restarts", restarts, &terms->max_retries);
    if (rc == 0)
        rc = tbi_options_times(cls, "max_task_retries", task_retries, &a->max_task_retries);
    if (rc == 0)
        rc = read_concurrency(cls, "", concurrency, &a->lane[0]);
    if (rc == 0 && registered != NULL)
        rc = read_groups(cls, registered->concurrency_groups, a);
    if (rc == 0 && call != NULL && registered != NULL)
        rc = change_groups(cls, registered->concurrency_groups, call->concurrency_groups, a);
    if (rc == 0 && lifetime != TB_NONE && lifetime != TB_LIFETIME_DEFAULT && lifetime != TB_LIFETIME_DETACHED)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for lifetime = %d, which is none of TB_LIFETIME_*", cls,
                           lifetime);
    a->detached = lifetime == TB_LIFETIME_DETACHED;
    if (rc == 0 && pending < 0 && pending != TB_NONE)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for max_pending_calls = %d: a number from 1 on is possible, or "
                           "TB_NONE for any", cls, pending);
    a->max_pending = pending > 0 ? (uint32_t)pending : 0;
    return rc;
}

int tbi_options_read_call(const char *method, const char *cls, const tb_options *of, const tb_options *registered,
                          const tb_options *call, struct tbi_terms *terms)
{
    const tb_options *from[2] = {registered, call};
    const char *group = NULL;
    const int *codes = NULL;
    double delay = 0, limit = 0;
    int retries = 0, rc = tbi_options_check_kind(method, TBI_CALL, call);

    *terms = (struct tbi_terms){.max_retries = TBI_RETRIES_DEFAULT};
    for (int i = 0; i < 2; i++) {
        if (from[i] == NULL)
            continue;
        codes = from[i]->retry_on_error[0] != 0 ? from[i]->retry_on_error : codes;
        delay = from[i]->retry_delay != 0 ? from[i]->retry_delay : delay;
        limit = from[i]->time_limit != 0 ? from[i]->time_limit : limit;
        retries = from[i]->max_task_retries != 0 ? from[i]->max_task_retries : retries;
        group = from[i]->concurrency_group != NULL ? from[i]->concurrency_group : group;
    }
    if (rc == 0 && retries != 0)
        rc = tbi_options_times(method, "max_task_retries", retries, &terms->max_retries);
    if (rc == 0)
        rc = tbi_options_num_args(method, registered, call, &terms->num_args);
    if (rc == 0)
        rc = tbi_options_codes(method, codes, &terms->retry_codes);
    if (rc == 0)
        rc = tbi_options_seconds(method, "retry_delay", delay, &terms->retry_delay_ms);
    if (rc == 0)
        rc = tbi_options_seconds(method, "time_limit", limit, &terms->limit_ms);
    if (rc == 0 && group != NULL) {
        int at = find_group(of->concurrency_groups, GROUPS, group);
        char known[300];

        list_groups(of->concurrency_groups, known, sizeof known);
        if (at < 0)
            rc = tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for concurrency_group = \"%s\", which class '%s' does not "
                               "have (%s)", method, group, cls, known);
        terms->lane = (unsigned)(at + 1);
    }
    return rc;
}
