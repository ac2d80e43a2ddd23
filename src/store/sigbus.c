#include "store/sigbus.h"
#include "store/segment.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct tbi_memory *watched;
static struct sigaction before;
static char message[256];
static size_t message_bytes;

static bool within(const uint8_t *start, uint64_t bytes, const uint8_t *at)
{
    return start != NULL && at >= start && at < start + bytes;
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
    const struct tbi_memory *m = watched;
    const uint8_t *at = info->si_addr;
    bool ours;

    (void)context;
    ours = info->si_code > 0 && within(m->writable, m->bytes, at);
    for (unsigned r = 0; !ours && info->si_code > 0 && m->base != NULL && r < m->nranks; r++)
        ours = m->base[r] != NULL && (within(m->base[r] - m->page, m->bytes + m->page, at) ||
                                      within(m->view[r], m->bytes, at));
    if (ours) {
        ssize_t written = write(STDERR_FILENO, message, message_bytes);

        (void)written;
        _exit(1);
    }
    sigaction(signal, &before, NULL);
    if (info->si_code <= 0)
        raise(signal); /* nobody's access: it would not come again by itself */
}

void tbi_sigbus_watch(const struct tbi_memory *memory, const char *host)
{
    struct sigaction act = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    if (tbi_memory_populates(memory))
        return;
    watched = memory;
    message_bytes = (size_t)snprintf(
        message, sizeof message, "thornback: the object store of rank %u on host %s finds no more "
        "memory (bus error): /dev/shm is full; set TB_STORE lower\n", memory->rank, host);
    if (message_bytes >= sizeof message)
        message_bytes = sizeof message - 1;
    sigaction(SIGBUS, &act, &before);
}
