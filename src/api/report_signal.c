#include "api/start.h"
#include "node/roll_call.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static struct tbi_bell *_Atomic own_bell;   /* NULL: no loop runs yet, or any more */
static struct {
    char text[256];
    size_t n;
} before_loop;                              /* what is said then */

static void on_report_signal(int signal)
{
    struct tbi_bell *bell = own_bell;
    int before = errno;

    (void)signal;
    tbi_roll_call_ask();
    if (bell != NULL)
        tbi_bell_ring(bell);
    else
        (void)!write(STDERR_FILENO, before_loop.text, before_loop.n);
    errno = before;
}

/* First of all, for tb_init may wait for ranks that do not come. Only where the signal would else end the process: the
 * program's own handler goes ahead, before and later. */
void tbi_report_signal_begin(const struct tbi_job *j)
{
    struct sigaction act = {.sa_handler = on_report_signal, .sa_flags = SA_RESTART}, there;

    before_loop.n = (size_t)snprintf(before_loop.text, sizeof before_loop.text, "thornback: pid %d on host %s is in "
                                     "tb_init, and waits for MPI or for other ranks\n", (int)getpid(), j->hostname);
    if (sigaction(SIGUSR2, NULL, &there) == 0 && !(there.sa_flags & SA_SIGINFO) && there.sa_handler == SIG_DFL)
        sigaction(SIGUSR2, &act, NULL);
}

void tbi_report_signal_ring(struct tbi_bell *bell)
{
    own_bell = bell;
}

void tbi_report_signal_end(void)
{
    struct sigaction there;

    if (sigaction(SIGUSR2, NULL, &there) == 0 && !(there.sa_flags & SA_SIGINFO) &&
        there.sa_handler == on_report_signal)
        signal(SIGUSR2, SIG_IGN); /* one may be on its way, and must not end what goes on */
    own_bell = NULL;
}
