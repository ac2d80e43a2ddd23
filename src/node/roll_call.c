#include "node/roll_call.h"
#include "exec/bell.h"
#include "util/alloc.h"

#include <stdatomic.h>
#include <stdio.h>

enum { PATIENCE_US = 5000000, NAMED = 16 };

static _Atomic uint64_t asked_us; /* since when; 0: not */

void tbi_roll_call_ask(void)
{
    uint64_t none = 0;

    atomic_compare_exchange_strong(&asked_us, &none, tbi_now_us());
}

bool tbi_roll_call_is_asked(void)
{
    return atomic_load_explicit(&asked_us, memory_order_relaxed) != 0;
}

bool tbi_roll_call_take(void)
{
    return atomic_exchange(&asked_us, 0) != 0;
}

uint64_t tbi_roll_call_unheard_us(uint64_t now_us)
{
    uint64_t since_us = atomic_load(&asked_us);

    return since_us != 0 && now_us > since_us ? now_us - since_us : 0;
}

void tbi_roll_call_init(struct tbi_roll_call *call, unsigned nranks)
{
    *call = (struct tbi_roll_call){.nranks = nranks, .missing = tbi_alloc_zeroed(nranks, sizeof *call->missing),
                                   .due_us = UINT64_MAX};
}

void tbi_roll_call_fini(struct tbi_roll_call *call)
{
    free(call->missing);
}

void tbi_roll_call_begin(struct tbi_roll_call *call, uint64_t now_us)
{
    for (unsigned r = 1; r < call->nranks; r++)
        call->missing[r] = true;
    call->nmissing = call->nranks - 1;
    call->due_us = call->nmissing > 0 ? now_us + PATIENCE_US : UINT64_MAX;
}

void tbi_roll_call_answered(struct tbi_roll_call *call, unsigned rank)
{
    call->nmissing -= call->missing[rank];
    call->missing[rank] = false;
    if (call->nmissing == 0)
        call->due_us = UINT64_MAX;
}

void tbi_roll_call_tick(struct tbi_roll_call *call, uint64_t now_us,
                        const char *(*host_of)(void *ctx, unsigned rank), void *ctx)
{
    unsigned named = 0;

    if (now_us < call->due_us)
        return;
    call->due_us = UINT64_MAX;
    for (unsigned r = 1; r < call->nranks && named < NAMED; r++)
        if (call->missing[r]) {
            fprintf(stderr, "thornback: rank 0: rank %u on host %s has not said for %d s what it waits for: its agent is "
                    "in a call of MPI, was stopped, or gets no processor\n", r, host_of(ctx, r), PATIENCE_US / 1000000);
            named++;
        }
    if (call->nmissing > named)
        fprintf(stderr, "thornback: rank 0: and so have %u more\n", call->nmissing - named);
}
