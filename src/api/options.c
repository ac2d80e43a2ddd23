#include "api/options.h"
#include "api/errors.h"

#include <math.h>

enum { UNIT = 10000, CPUS_MAX = 100000, RETRIES_DEFAULT = 3, SECONDS_MAX = 4000000 };

static int unsupported(const char *function, const char *field, double value)
{
    return tbi_error_set(TB_ERR_UNSUPPORTED, "'%s' asks for %s = %g, which is not supported yet",
                         function, field, value);
}

static int check_unsupported(const char *function, const tb_options *o)
{
    if (o->num_gpus != 0 && o->num_gpus != TB_NONE)
        return unsupported(function, "num_gpus", o->num_gpus);
    if (o->memory != 0 && o->memory != TB_NONE)
        return unsupported(function, "memory", (double)o->memory);
    for (size_t i = 0; i < sizeof o->resources / sizeof o->resources[0]; i++)
        if (o->resources[i].name != NULL || o->resources[i].amount != 0)
            return tbi_error_set(TB_ERR_UNSUPPORTED,
                                 "'%s' asks for resource '%s', which is not supported yet",
                                 function, o->resources[i].name ? o->resources[i].name : "(null)");
    return 0;
}

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

static int read_seconds(const char *function, const char *field, double seconds, uint32_t *ms)
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

static int read_codes(const char *function, const int *code, size_t n, uint32_t *codes)
{
    *codes = 0;
    for (size_t i = 0; i < n; i++) {
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

int tbi_options_read(const char *function, const tb_options *registered, const tb_options *call,
                     struct tbi_terms *terms)
{
    const tb_options *from[2] = {registered, call};
    const int *codes = NULL;
    double cpus = 1, delay = 0, limit = 0;
    int retries = RETRIES_DEFAULT, rc = 0;
    size_t ncodes = sizeof registered->retry_on_error / sizeof registered->retry_on_error[0];

    for (int i = 0; i < 2 && rc == 0; i++) {
        if (from[i] == NULL)
            continue;
        rc = check_unsupported(function, from[i]);
        cpus = from[i]->num_cpus != 0 ? from[i]->num_cpus : cpus;
        delay = from[i]->retry_delay != 0 ? from[i]->retry_delay : delay;
        limit = from[i]->time_limit != 0 ? from[i]->time_limit : limit;
        retries = from[i]->max_retries != 0 ? from[i]->max_retries : retries;
        codes = from[i]->retry_on_error[0] != 0 ? from[i]->retry_on_error : codes;
    }
    *terms = (struct tbi_terms){.max_retries = retries == TB_NONE ? 0 : retries};
    if (rc == 0)
        rc = read_cpus(function, cpus, terms);
    if (rc == 0 && terms->max_retries < -1)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for max_retries = %d: a number from 0 on is "
                           "possible, or -1 for retries without end, or TB_NONE for none",
                           function, retries);
    if (rc == 0)
        rc = read_codes(function, codes, codes != NULL ? ncodes : 0, &terms->retry_codes);
    if (rc == 0)
        rc = read_seconds(function, "retry_delay", delay, &terms->retry_delay_ms);
    return rc != 0 ? rc : read_seconds(function, "time_limit", limit, &terms->limit_ms);
}
