/* options.c - what tasks and bundles ask for; the demand of actors too. What only actors and calls have is read
 * in options_actor.c. */
#include "api/options.h"
#include "api/errors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { UNIT = 10000, CPUS_MAX = 100000, SECONDS_MAX = 4000000 };

/* ---- what it demands besides CPUs ---- */

static void add(struct tbi_terms *terms, int resource, int64_t amount)
{
    unsigned at = terms->nmore++;

    for (; at > 0 && terms->more[at - 1].resource > (unsigned)resource; at--)
        terms->more[at] = terms->more[at - 1];
    terms->more[at] = (struct tbi_amount){(uint32_t)resource, 0, amount};
}

static int read_gpus(const char *function, double gpus, struct tbi_terms *terms)
{
    int64_t amount = gpus == TB_NONE ? 0 : tbi_resources_amount(gpus);

    if (amount < 0 || amount > INT64_C(100000) * UNIT)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for num_gpus = %g: 0.0001 to 100000 are "
                             "possible, or TB_NONE for none", function, gpus);
    if (amount > UNIT && amount % UNIT != 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for num_gpus = %g: above 1 only whole ones "
                             "are possible", function, gpus);
    if (amount > 0)
        add(terms, TBI_GPUS, amount);
    return 0;
}

static int read_memory(const char *function, int64_t memory, struct tbi_terms *terms)
{
    int64_t amount = memory == TB_NONE ? 0 : tbi_resources_amount((double)memory);

    if (amount < 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for memory = %lld: a number of bytes from 1 "
                             "on is possible, or TB_NONE for none", function, (long long)memory);
    if (amount > 0)
        add(terms, TBI_MEMORY, amount);
    return 0;
}

static int no_such(const char *function, const char *what, const char *name,
                   const struct tbi_resources *r)
{
    char known[200] = "";
    size_t at = 0;

    for (unsigned i = TBI_CUSTOM; i < r->n && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i > TBI_CUSTOM ? ", " : "",
                               r->name[i]);
    return tbi_error_set(TB_ERR_INFEASIBLE, "'%s' asks for %s '%s', which no node has (there %s: %s); "
                         "nodes get them by TB_CONFIG, %s or TB_RANKS", function, what, name,
                         r->n > TBI_CUSTOM ? "are" : "are no others", r->n > TBI_CUSTOM ? known : "none",
                         what[0] == 'l' ? "TB_LABELS" : "TB_RESOURCES");
}

static int read_custom(const char *function, const tb_resource *list, size_t n,
                       const struct tbi_resources *r, struct tbi_terms *terms)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = list[i].name, *why;
        int64_t amount = list[i].amount == TB_NONE ? 0 : tbi_resources_amount(list[i].amount);
        int found;

        if (name == NULL && list[i].amount == 0)
            continue;
        why = name == NULL ? "it has no name" : tbi_resources_bad_name(name);
        if (why != NULL)
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for resource '%s': %s", function,
                                 name ? name : "(null)", why);
        if (amount < 0)
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for resource '%s' = %g: a number from "
                                 "0.0001 on is possible, or TB_NONE for none", function, name,
                                 list[i].amount);
        for (size_t k = 0; k < i; k++)
            if (list[k].name != NULL && strcmp(list[k].name, name) == 0)
                return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for resource '%s' twice", function,
                                     name);
        if (amount == 0 || r == NULL)
            continue;
        found = tbi_resources_find(r, name);
        if (found < 0)
            return no_such(function, "resource", name, r);
        add(terms, found, amount);
    }
    return 0;
}

static int read_labels(const char *function, const char *labels, const struct tbi_resources *r,
                       struct tbi_terms *terms)
{
    const char *at = labels == NULL ? "" : labels;
    size_t n;

    for (at += strspn(at, ", "); *at != 0; at += n, at += strspn(at, ", ")) {
        char name[TBI_RESOURCE_NAME];
        int found;

        n = strcspn(at, ",");
        if (n >= sizeof name || memchr(at, '=', n) == NULL || terms->nmore == TBI_MORE_MAX)
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for labels \"%s\": up to 8 of the form "
                                 "key=value are possible", function, labels);
        memcpy(name, at, n);
        name[n] = 0;
        if (r == NULL)
            continue;
        found = tbi_resources_find(r, name);
        if (found < 0)
            return no_such(function, "label", name, r);
        add(terms, found, 0);
    }
    return 0;
}

/* ---- where ---- */

struct place {
    int strategy, node;
    const char *labels;
    tb_group group;
};

/* What these options say of it, over what was said before: a group stands instead of all else. */
static int merge_place(const char *function, const tb_options *o, struct place *place)
{
    bool elsewhere = (o->strategy != 0 && o->strategy != TB_NONE) || o->node != 0 ||
                     (o->labels != NULL && o->labels[0] != 0);

    if ((o->group.hi | o->group.lo) != 0) {
        *place = (struct place){.group = o->group};
        return !elsewhere ? 0 : tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for a group together with "
                                              "%s: where a task in a group runs is said by the bundles",
                                              function, o->strategy != 0 ? "a strategy"
                                              : o->node != 0             ? "a node" : "labels");
    }
    if (elsewhere || o->strategy != 0)
        place->group = (tb_group){0};
    place->labels = o->labels != NULL ? o->labels : place->labels;
    if (o->strategy != 0) {
        place->strategy = o->strategy;
        place->node = o->node;
    } else if (o->node != 0) {
        place->node = o->node;
    }
    return 0;
}

static int read_place(const char *function, const struct place *place, struct tbi_terms *terms)
{
    int strategy = place->strategy, node = place->node;

    if ((place->group.hi | place->group.lo) != 0) {
        terms->strategy = TBI_IN_GROUP;
        terms->group = (struct tbi_id){place->group.hi, place->group.lo};
        return 0;
    }
    if (strategy == TB_NONE)
        strategy = TB_STRATEGY_DEFAULT;
    if (strategy < TB_STRATEGY_DEFAULT || strategy > TB_STRATEGY_PREFER_NODE)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for strategy = %d, which is none of "
                             "TB_STRATEGY_*", function, strategy);
    if (node < 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for node = %d: a rank from 0 on is possible",
                             function, node);
    if (node != 0 && strategy < TB_STRATEGY_NODE)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for node = %d without TB_STRATEGY_NODE or "
                             "TB_STRATEGY_PREFER_NODE", function, node);
    terms->strategy = (enum tbi_strategy)strategy;
    terms->node = (uint32_t)node;
    return 0;
}

/* ---- CPUs, retries and limits ---- */

static int read_cpus(const char *function, double cpus, struct tbi_terms *terms)
{
    if (cpus == TB_NONE)
        cpus = 0;
    if (!(cpus >= 0 && cpus <= CPUS_MAX)) /* NaN too */
        return tbi_error_set(TB_ERR_ARGUMENT,
                             "'%s' asks for num_cpus = %g: 0.0001 to %d are possible, or TB_NONE "
                             "for none", function, cpus, CPUS_MAX);
    terms->cpus = (int32_t)llround(cpus * UNIT);
    if (cpus > 0 && terms->cpus == 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for num_cpus = %g: the smallest part of a "
                             "CPU is 0.0001; write TB_NONE for none", function, cpus);
    return 0;
}

int tbi_options_seconds(const char *function, const char *field, double seconds, uint32_t *ms)
{
    *ms = 0;
    if (seconds == 0 || seconds == TB_NONE)
        return 0;
    if (!(seconds > 0 && seconds <= SECONDS_MAX))
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for %s = %g: 0.001 to %d seconds are "
                             "possible, or TB_NONE for none", function, field, seconds,
                             SECONDS_MAX);
    *ms = seconds < 1e-3 ? 1 : (uint32_t)llround(seconds * 1e3);
    return 0;
}

int tbi_options_times(const char *function, const char *field, int times, int32_t *to)
{
    *to = times == TB_NONE ? 0 : times;
    if (*to < -1)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for %s = %d: a number from 0 on is possible, or -1 "
                             "for without end, or TB_NONE for none", function, field, times);
    return 0;
}

int tbi_options_num_args(const char *function, const tb_options *registered, const tb_options *call, int *n)
{
    int given = call != NULL && call->num_args != 0 ? call->num_args : registered != NULL ? registered->num_args : 0;

    *n = given == 0 ? TBI_ANY_ARGS : given == TB_NONE ? 0 : given;
    if (given < 0 && given != TB_NONE)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for num_args = %d: a number from 1 on is possible, or TB_NONE "
                             "for none", function, given);
    return 0;
}

int tbi_options_codes(const char *function, const int *code, uint32_t *codes)
{
    *codes = 0;
    for (size_t i = 0; code != NULL && i < TBI_CODES_MAX; i++) {
        if (code[i] == 0 || code[i] == TB_NONE)
            continue;
        if (code[i] == TB_ERR_ANY)
            *codes = UINT32_MAX;
        else if (code[i] < 0 && code[i] >= TB_ERR_LAST_)
            *codes |= UINT32_C(1) << -code[i];
        else
            return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for retry_on_error = {%d}: TB_ERR_* "
                                 "codes are possible, or TB_ERR_ANY", function, code[i]);
    }
    return 0;
}

int tbi_options_demand(const char *function, const tb_options *registered, const tb_options *call,
                       const struct tbi_resources *resources, struct tbi_terms *terms)
{
    const tb_options *from[2] = {registered, call};
    const tb_resource *custom = NULL;
    struct place place = {0};
    double cpus = 1, gpus = 0;
    int64_t memory = 0;
    int rc = 0;

    for (int i = 0; i < 2 && rc == 0; i++) {
        if (from[i] == NULL)
            continue;
        cpus = from[i]->num_cpus != 0 ? from[i]->num_cpus : cpus;
        gpus = from[i]->num_gpus != 0 ? from[i]->num_gpus : gpus;
        memory = from[i]->memory != 0 ? from[i]->memory : memory;
        terms->fresh_process |= from[i]->fresh_process;
        custom = from[i]->resources[0].name != NULL || from[i]->resources[0].amount != 0
                     ? from[i]->resources : custom;
        rc = merge_place(function, from[i], &place);
    }
    if (rc == 0)
        rc = read_cpus(function, cpus, terms);
    if (rc == 0)
        rc = read_gpus(function, gpus, terms);
    if (rc == 0)
        rc = read_memory(function, memory, terms);
    if (rc == 0 && custom != NULL)
        rc = read_custom(function, custom, sizeof call->resources / sizeof call->resources[0],
                         resources, terms);
    if (rc == 0)
        rc = read_labels(function, place.labels, resources, terms);
    return rc != 0 ? rc : read_place(function, &place, terms);
}

int tbi_options_read(const char *function, const tb_options *registered, const tb_options *call,
                     const struct tbi_resources *resources, struct tbi_terms *terms)
{
    const tb_options *from[2] = {registered, call};
    const int *codes = NULL;
    double delay = 0, limit = 0;
    int retries = TBI_RETRIES, rc;

    for (int i = 0; i < 2; i++) {
        if (from[i] == NULL)
            continue;
        delay = from[i]->retry_delay != 0 ? from[i]->retry_delay : delay;
        limit = from[i]->time_limit != 0 ? from[i]->time_limit : limit;
        retries = from[i]->max_retries != 0 ? from[i]->max_retries : retries;
        codes = from[i]->retry_on_error[0] != 0 ? from[i]->retry_on_error : codes;
    }
    *terms = (struct tbi_terms){0};
    rc = tbi_options_check_kind(function, TBI_TASK, call);
    if (rc == 0)
        rc = tbi_options_demand(function, registered, call, resources, terms);
    if (rc == 0)
        rc = tbi_options_times(function, "max_retries", retries, &terms->max_retries);
    if (rc == 0)
        rc = tbi_options_num_args(function, registered, call, &terms->num_args);
    if (rc == 0)
        rc = tbi_options_codes(function, codes, &terms->retry_codes);
    if (rc == 0)
        rc = tbi_options_seconds(function, "retry_delay", delay, &terms->retry_delay_ms);
    return rc != 0 ? rc : tbi_options_seconds(function, "time_limit", limit, &terms->limit_ms);
}

int tbi_bundle_read(const char *name, const tb_bundle *bundle, const struct tbi_resources *resources,
                    struct tbi_terms *terms)
{
    bool some;
    int rc;

    *terms = (struct tbi_terms){0};
    rc = read_cpus(name, bundle->num_cpus, terms);
    if (rc == 0)
        rc = read_gpus(name, bundle->num_gpus, terms);
    if (rc == 0)
        rc = read_memory(name, bundle->memory, terms);
    if (rc == 0)
        rc = read_custom(name, bundle->resources,
                         sizeof bundle->resources / sizeof bundle->resources[0], resources, terms);
    some = terms->cpus > 0 || terms->nmore > 0;
    if (rc == 0)
        rc = read_labels(name, bundle->labels, resources, terms);
    if (rc == 0 && !some)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for nothing: num_cpus, num_gpus, memory or "
                           "resources say what it sets aside", name);
    return rc;
}
