/* crash.c - see crash.h. What runs in the handler calls nothing that may allocate or lock. */
#include "api/crash.h"
#include "api/value.h"
#include "util/alloc.h"
#include "util/look.h"
#include "util/signals.h"

#include <execinfo.h>
#include <unistd.h>

enum { STACK = 64 * 1024, FRAMES = 64, SHOWN = 32 /* bytes of an argument */, ARGS = 4 };

static struct {
    bool watches;
    const struct tbi_memory *memory;
    unsigned rank;
} crash;
static _Thread_local struct about {
    const struct msg_run *run;
    const char *function;
} about;
static struct about last; /* of any thread: for threads that the program has started */

struct text {
    char at[512];
    size_t n;
};

static void add(struct text *t, const char *s)
{
    while (*s != 0 && t->n < sizeof t->at)
        t->at[t->n++] = *s++;
}

static void add_number(struct text *t, uint64_t x, unsigned base)
{
    char digits[24];
    int i = sizeof digits - 1;

    digits[i] = 0;
    do {
        digits[--i] = "0123456789abcdef"[x % base];
        x /= base;
    } while (x > 0);
    add(t, digits + i);
}

static void put(const struct text *t)
{
    ssize_t n = write(STDERR_FILENO, t->at, t->n);

    (void)n; /* nobody reads */
}

static void show_argument(const struct msg_run *run, unsigned i)
{
    const struct tbi_run_arg *arg = (const struct tbi_run_arg *)(run + 1);
    const uint8_t *packed = arg[i].rank == TBI_ARG_INLINE
                                ? (const uint8_t *)(arg + run->nargs) + arg[i].offset
                                : tbi_memory_at(crash.memory, arg[i].rank, arg[i].offset);
    struct text t = {.n = 0};
    struct tbi_view view;
    uint64_t bytes;

    if (tbi_value_open(packed, arg[i].bytes, &view) != 0)
        return;
    bytes = view.elem * view.count;
    add(&t, "thornback: argument ");
    add_number(&t, i, 10);
    add(&t, ": ");
    add_number(&t, bytes, 10);
    add(&t, " bytes:");
    for (uint64_t k = 0; k < bytes && k < SHOWN; k++) {
        uint8_t byte = ((const uint8_t *)view.data)[k];

        add(&t, byte < 16 ? " 0" : " ");
        add_number(&t, byte, 16);
    }
    add(&t, bytes > SHOWN ? " ...\n" : "\n");
    put(&t);
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
    const struct about *a = about.run != NULL ? &about : &last;
    struct text t = {.n = 0};
    void *frame[FRAMES];

    (void)context;
    add(&t, "thornback: '");
    add(&t, a->run != NULL ? a->function : "no task");
    add(&t, "' (pid ");
    add_number(&t, (uint64_t)getpid(), 10);
    add(&t, ", rank ");
    add_number(&t, crash.rank, 10);
    add(&t, ") gets ");
    add(&t, tbi_signal_name(signal));
    if (info->si_code > 0) { /* from the kernel, for what it did */
        add(&t, " at address 0x");
        add_number(&t, (uintptr_t)info->si_addr, 16);
    }
    add(&t, "; backtrace:\n");
    put(&t);
    backtrace_symbols_fd(frame, backtrace(frame, FRAMES), STDERR_FILENO);
    for (unsigned i = 0; a->run != NULL && i < a->run->nargs && i < ARGS; i++)
        show_argument(a->run, i);
    raise(signal); /* as it would have ended without this */
}

void tbi_crash_begin_thread(void)
{
    stack_t stack = {.ss_size = STACK}, there;

    if (!crash.watches || sigaltstack(NULL, &there) != 0 || !(there.ss_flags & SS_DISABLE))
        return;
    stack.ss_sp = tbi_alloc(STACK); /* as long as the thread, which is as long as the process */
    sigaltstack(&stack, NULL);
}

void tbi_crash_watch(const struct tbi_memory *memory, unsigned rank)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction act = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND}, there;
    void *frame[1];

    if (!tbi_look_is_told())
        return;
    crash.watches = true;
    crash.memory = memory;
    crash.rank = rank;
    backtrace(frame, 1); /* the first call loads a library */
    tbi_crash_begin_thread();
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], NULL, &there) == 0 && !(there.sa_flags & SA_SIGINFO) && there.sa_handler == SIG_DFL)
            sigaction(signals[i], &act, NULL);
}

void tbi_crash_about(const struct msg_run *run, const char *function)
{
    if (!crash.watches)
        return;
    about = (struct about){run, function};
    last = about;
}
