/* watchdog.h - a thread that ends the process when its loop stands still: calls of MPI that concern a
 * host which cannot be reached any more may never return, and then nobody else here would notice.
 * Time in which the whole process was stopped does not count. All functions may be called with NULL,
 * a watchdog that does nothing. */
#ifndef TBI_WATCHDOG_H
#define TBI_WATCHDOG_H

#include <stdint.h>

struct tbi_watchdog;

/* The process is ended `limit_us` after the last pat. NULL: no thread could be started. */
struct tbi_watchdog *tbi_watchdog_start(uint64_t limit_us, unsigned rank, const char *host);
/* The loop turns. */
void tbi_watchdog_pat(struct tbi_watchdog *dog);
/* No more pats: from now on the rest of the end may take `limit_us`. */
void tbi_watchdog_see_off(struct tbi_watchdog *dog, uint64_t limit_us);
void tbi_watchdog_stop(struct tbi_watchdog *dog);

/* Ends this process at once, and by that the job: writes "thornback: rank R on host H: " and the rest as
 * one line to stderr. Takes no lock and calls no MPI, so that it cannot hang. */
_Noreturn void tbi_end_job(unsigned rank, const char *host, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
