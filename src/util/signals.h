/* signals.h - the names of signals that end processes. */
#ifndef TBI_SIGNALS_H
#define TBI_SIGNALS_H

#include <signal.h>
#include <stddef.h>

static inline const char *tbi_signal_name(int number)
{
    static const struct { int number; const char *name; } known[] = {
#define NAMED(signal) {signal, #signal}
        NAMED(SIGHUP), NAMED(SIGINT), NAMED(SIGQUIT), NAMED(SIGILL), NAMED(SIGTRAP), NAMED(SIGABRT), NAMED(SIGBUS),
        NAMED(SIGFPE), NAMED(SIGKILL), NAMED(SIGUSR1), NAMED(SIGSEGV), NAMED(SIGUSR2), NAMED(SIGPIPE), NAMED(SIGALRM),
        NAMED(SIGTERM), NAMED(SIGXCPU), NAMED(SIGXFSZ), NAMED(SIGSYS), NAMED(SIGVTALRM), NAMED(SIGPROF), NAMED(SIGIO)};
#undef NAMED
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].number == number)
            return known[i].name;
    return "a signal";
}

#endif
