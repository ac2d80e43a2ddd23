#include "api/options.h"
#include "api/errors.h"

#include <math.h>

enum { UNIT = 10000, CPUS_MAX = 100000 };

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
    if (o->max_retries != 0 && o->max_retries != TB_NONE)
        return unsupported(function, "max_retries", o->max_retries);
    for (size_t i = 0; i < sizeof o->resources / sizeof o->resources[0]; i++)
        if (o->resources[i].name != NULL || o->resources[i].amount != 0)
            return tbi_error_set(TB_ERR_UNSUPPORTED,
                                 "'%s' asks for resource '%s', which is not supported yet",
                                 function, o->resources[i].name ? o->resources[i].name : "(null)");
    return 0;
}

int tbi_options_demand(const char *function, const tb_options *registered, const tb_options *call,
                       struct tbi_demand *demand)
{
    const tb_options *from[2] = {registered, call};
    double cpus = 1;

    for (int i = 0; i < 2; i++) {
        int rc;

        if (from[i] == NULL)
            continue;
        rc = check_unsupported(function, from[i]);
        if (rc != 0)
            return rc;
        if (from[i]->num_cpus != 0)
            cpus = from[i]->num_cpus;
    }
    if (cpus == TB_NONE)
        cpus = 0;
    if (!(cpus >= 0 && cpus <= CPUS_MAX)) /* NaN too */
        return tbi_error_set(TB_ERR_ARGUMENT,
                             "'%s' asks for num_cpus = %g: 0.0001 to %d are possible, or TB_NONE "
                             "for none", function, cpus, CPUS_MAX);
    demand->cpus = (int32_t)llround(cpus * UNIT);
    if (cpus > 0 && demand->cpus == 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' asks for num_cpus = %g: the smallest part of a "
                             "CPU is 0.0001; write TB_NONE for none", function, cpus);
    return 0;
}
