/* placement.c - what a task is told of the cores and GPUs it was granted, and the bundle it is in; a
 * method of those that its actor has. */
#include "api/call.h"
#include "api/group.h"
#include "api/instance.h"

#include <string.h>

int tb_call_cores(const tb_call *handle, int *cores, int max)
{
    TBI_ENTER_CALL(call, handle, "tb_call_cores");
    const struct tbi_core_share *share;
    const uint16_t *place;
    unsigned nplaces;
    int n = 0;

    if (call == NULL)
        return 0;
    share = &call->process->places->cores;
    if (call->run->kind == TBI_CALL) {
        place = call->instance->cores;
        nplaces = call->instance->ncores;
    } else {
        place = call->ncores > 0 ? call->cores : call->place; /* the first: after it has waited */
        nplaces = call->ncores > 0 ? call->ncores : call->run->ncores;
    }
    for (unsigned i = 0; i < nplaces; i++)
        for (unsigned t = 0; t < share->core[place[i]].nthreads; t++, n++)
            if (n < max)
                cores[n] = share->core[place[i]].thread[t];
    return n;
}

int tb_call_gpus(const tb_call *handle, const char **ids, int max)
{
    TBI_ENTER_CALL(call, handle, "tb_call_gpus");
    int n = call == NULL ? 0 : call->placed->ngpus;

    for (int i = 0; i < n && i < max; i++)
        ids[i] = call->process->places->gpus.id[call->place[call->placed->ncores + i]];
    return n;
}

tb_group tb_call_group(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_group");
    struct tbi_id bundle = {0};

    if (call != NULL && call->placed->in_bundle) {
        size_t places = (call->placed->ncores + call->placed->ngpus) * sizeof *call->place;

        memcpy(&bundle, (const uint8_t *)call->place + tbi_padded(places), sizeof bundle);
    }
    return tbi_group_of(bundle);
}
