#include "store/late.h"
#include "store/segment.h"
#include "util/alloc.h"

#include <signal.h>
#include <unistd.h>

struct range {
    const uint8_t *from, *end;
};

static struct range *range; /* never freed: the handlers stay until the process ends */
static unsigned nranges;
static struct sigaction before[NSIG];

static void park(int signal, siginfo_t *info, void *context)
{
    const uint8_t *at = info->si_addr;

    (void)context;
    for (unsigned i = 0; info->si_code > 0 && i < nranges; i++)
        while (at >= range[i].from && at < range[i].end)
            pause();
    sigaction(signal, &before[signal], NULL);
    if (info->si_code <= 0)
        raise(signal); /* nobody's access: it would not come again by itself */
}

static void add(const uint8_t *from, uint64_t bytes)
{
    if (from != NULL)
        range[nranges++] = (struct range){from, from + bytes};
}

void tbi_late_park(const struct tbi_memory *m)
{
    static const int signals[] = {SIGSEGV, SIGBUS};
    struct sigaction act = {.sa_sigaction = park, .sa_flags = SA_SIGINFO};

    range = tbi_alloc((2 * (size_t)m->nranks + 1) * sizeof *range);
    for (unsigned r = 0; r < m->nranks; r++) {
        add(m->base[r], m->bytes);
        add(m->view[r], m->bytes);
    }
    add(m->writable, m->bytes);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &act, &before[signals[i]]);
}
