/* watchdog.h - a thread that ends the process when a call of MPI does not return: calls that concern a host which
 * cannot be reached any more may never do, nor those of an MPI whose descriptors the program closed, and then nobody
 * else here would notice. What the loop computes between
 * such calls may take as long as it likes. Only time counts in which the thread that makes the call got a processor
 * or slept: not that in which it waited for one, or in which the process was stopped. All functions may be called
 * with NULL, a watchdog that does nothing. */
#ifndef TBI_WATCHDOG_H
#define TBI_WATCHDOG_H

#include <stdint.h>

struct tbi_watchdog;

/* The process is ended when a call of MPI has taken `limit_us`. NULL: no thread could be started. */
struct tbi_watchdog *tbi_watchdog_start(uint64_t limit_us, unsigned rank, const char *host);
/* The thread that runs the loop calls MPI, and comes back from there. One thread at a time. */
void tbi_watchdog_enter(struct tbi_watchdog *dog);
void tbi_watchdog_leave(struct tbi_watchdog *dog);
/* In between: it goes on. */
void tbi_watchdog_pat(struct tbi_watchdog *dog);
/* By the thread that ends the job: from now on the rest of the end may take `limit_us`. */
void tbi_watchdog_see_off(struct tbi_watchdog *dog, uint64_t limit_us);
void tbi_watchdog_stop(struct tbi_watchdog *dog);

/* Ends this process at once, and by that the job: writes "thornback: rank R on host H: " and the rest as
 * one line to stderr. Takes no lock and calls no MPI, so that it cannot hang. */
_Noreturn void tbi_end_job(unsigned rank, const char *host, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
