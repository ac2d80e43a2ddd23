#include "api/mpi_calls.h"
#include "api/call.h"
#include "util/alloc.h"
#include "util/imports.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- which ---- */

enum { ANYWHERE, LAUNCHED /* in the driver, when there is MPI */ };

/* What changes nothing, is a local matter, or ends the job. Names as C and Fortran share them. */
#define ALLOWED(X)                                                                                 \
    X(initialized, ANYWHERE)                                                                       \
    X(finalized, ANYWHERE)                                                                         \
    X(get_version, ANYWHERE)                                                                       \
    X(get_library_version, ANYWHERE)                                                               \
    X(wtime, ANYWHERE)                                                                             \
    X(wtick, ANYWHERE)                                                                             \
    X(aint_add, ANYWHERE)                                                                          \
    X(aint_diff, ANYWHERE)                                                                         \
    X(pcontrol, ANYWHERE)                                                                          \
    X(comm_rank, LAUNCHED)                                                                         \
    X(comm_size, LAUNCHED)                                                                         \
    X(get_processor_name, LAUNCHED)                                                                \
    X(query_thread, LAUNCHED)                                                                      \
    X(is_thread_main, LAUNCHED)                                                                    \
    X(error_string, LAUNCHED)                                                                      \
    X(error_class, LAUNCHED)                                                                       \
    X(type_size, LAUNCHED)                                                                         \
    X(abort, LAUNCHED)

static const struct {
    const char *name;
    int where;
} allowed[] = {
#define ROW(name, where) {#name, where},
    ALLOWED(ROW)
#undef ROW
};

/* The part that C and Fortran share, in small letters: "send" of MPI_Send, PMPI_Send, mpi_send_, mpi_send__ and
 * mpi_send_f08_; and of MPIX_Send, as extensions are named. False: it is no name of MPI's. */
static bool plain_name(const char *name, char plain[64])
{
    const char *prefix = name + (name[0] == 'P' || name[0] == 'p');
    size_t n = 0;

    if (strncmp(prefix, "MPI", 3) != 0 && strncmp(prefix, "mpi", 3) != 0)
        return false;
    prefix += prefix[3] == 'X' || prefix[3] == 'x' ? 4 : 3;
    if (*prefix++ != '_')
        return false;
    for (; prefix[n] != 0 && n < 63; n++)
        plain[n] = (char)tolower((unsigned char)prefix[n]);
    while (n > 0 && plain[n - 1] == '_')
        n--;
    plain[n] = 0;
    if (n > 4 && strcmp(plain + n - 4, "_f08") == 0)
        plain[n - 4] = 0;
    return true;
}

bool tbi_mpi_allowed(enum tbi_mpi_caller caller, const char *name)
{
    char plain[64];

    if (!plain_name(name, plain))
        return true;
    if (caller != TBI_MPI_TASK && (name[0] == 'P' || name[0] == 'p'))
        return true;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strcmp(plain, allowed[i].name) == 0 &&
            (allowed[i].where == ANYWHERE || caller == TBI_MPI_DRIVER))
            return true;
    return false;
}

/* Every function of MPI has a second name that begins with P. So data of MPI are none, nor what a program calls
 * so for itself. */
static bool is_function(const char *name)
{
    char second[80];

    if (name[0] == 'P' || name[0] == 'p')
        return true;
    snprintf(second, sizeof second, "%c%s", name[0] == 'M' ? 'P' : 'p', name);
    return dlsym(RTLD_DEFAULT, second) != NULL;
}

/* ---- what happens then ---- */

enum { STUBS = 1024, SLOTS = 2 * STUBS };

static enum tbi_mpi_caller refused_caller;
static struct {
    char *name;     /* that this stub stands for; ours, as objects may be unloaded */
    void *function; /* what it means, NULL: no function of MPI */
} refused[STUBS];
static unsigned nrefused;

static const char *reason(const char *plain)
{
    if (refused_caller == TBI_MPI_TASK)
        return "in a task, whose process is no rank of MPI: exchange values by arguments and results, or by "
               "tb_put and tb_get";
    if (strcmp(plain, "init") == 0 || strcmp(plain, "init_thread") == 0)
        return "after tb_init, which initialises MPI itself if the program is started with mpirun: leave the call out";
    if (strcmp(plain, "finalize") == 0)
        return "before tb_finalize, which finalises MPI itself: leave the call out";
    if (refused_caller == TBI_MPI_DRIVER_ALONE)
        return "in a program that was started without mpirun, so there is no MPI: let tasks do the work";
    return "between tb_init and tb_finalize, where MPI is Thornback's and the other ranks run tasks: let tasks do "
           "the work";
}

/* As MPI itself does on an error, unless told otherwise: no code that is returned is likely to be looked at. */
static _Noreturn void refuse(unsigned stub)
{
    const char *name = refused[stub].name;
    char plain[64], message[512], fortran[80];

    plain_name(name, plain);
    snprintf(fortran, sizeof fortran, "MPI_%c%s", toupper((unsigned char)plain[0]), plain + 1);
    snprintf(message, sizeof message, "%s is called %s", isupper((unsigned char)name[0]) ? name : fortran,
             reason(plain));
    if (refused_caller == TBI_MPI_TASK)
        tbi_call_end_now(TB_ERR_UNSUPPORTED, message);
    fprintf(stderr, "thornback: %s\n", message);
    if (refused_caller == TBI_MPI_TASK) { /* a thread that no task owns */
        fflush(NULL);
        _exit(1);
    }
    exit(1);
}

/* A function for each name, which has to know by itself what it stands for. */
#define STUB(n) static void stub_##n(void) { refuse(n); }
#define ADDRESS(n) stub_##n,
#define SIXTEEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) \
    X(n##8) X(n##9) X(n##a) X(n##b) X(n##c) X(n##d) X(n##e) X(n##f)
#define STUBS_16(n) SIXTEEN(STUB, n)
#define ADDRESSES_16(n) SIXTEEN(ADDRESS, n)
#define LINES(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) \
    X(n##8) X(n##9) X(n##a) X(n##b) X(n##c) X(n##d) X(n##e) X(n##f)
LINES(STUBS_16, 0x0) LINES(STUBS_16, 0x1) LINES(STUBS_16, 0x2) LINES(STUBS_16, 0x3)
static void (*const stubs[STUBS])(void) = {
    LINES(ADDRESSES_16, 0x0) LINES(ADDRESSES_16, 0x1) LINES(ADDRESSES_16, 0x2) LINES(ADDRESSES_16, 0x3)
};

/* ---- the replacement ---- */

static uint16_t slot_of[SLOTS]; /* by hash of the name: its stub + 1 */

static uint16_t *find(const char *name)
{
    uint32_t hash = 2166136261u;

    for (const char *c = name; *c != 0; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    while (slot_of[hash % SLOTS] != 0 && strcmp(refused[slot_of[hash % SLOTS] - 1].name, name) != 0)
        hash++;
    return &slot_of[hash % SLOTS];
}

static bool may_be(const char *name)
{
    return name[0] == 'M' || name[0] == 'm' || name[0] == 'P' || name[0] == 'p';
}

static void *note(void *ctx, const char *name, void *now)
{
    uint16_t *slot;

    (void)ctx;
    if (!may_be(name) || tbi_mpi_allowed(refused_caller, name))
        return now;
    slot = find(name);
    if (*slot == 0 && nrefused < STUBS) {
        refused[nrefused].name = tbi_copy(name, strlen(name) + 1);
        *slot = (uint16_t)++nrefused;
    }
    return now;
}

static void *replace(void *ctx, const char *name, void *now)
{
    uint16_t stub;

    (void)ctx;
    stub = may_be(name) ? *find(name) : 0;
    return stub != 0 && refused[stub - 1].function != NULL ? (void *)stubs[stub - 1] : now;
}

static void *restore(void *ctx, const char *name, void *now)
{
    uint16_t stub;

    (void)ctx;
    stub = may_be(name) ? *find(name) : 0;
    return stub != 0 && now == (void *)stubs[stub - 1] ? refused[stub - 1].function : now;
}

/* Names are looked up between two visits and not during one, which holds a lock of the dynamic linker. */
void tbi_mpi_refuse(enum tbi_mpi_caller caller)
{
    refused_caller = caller;
    tbi_imports_visit(note, NULL);
    for (unsigned i = 0; i < nrefused; i++)
        refused[i].function = is_function(refused[i].name) ? dlsym(RTLD_DEFAULT, refused[i].name) : NULL;
    if (nrefused > 0)
        tbi_imports_visit(replace, NULL);
}

void tbi_mpi_accept(void)
{
    if (nrefused > 0)
        tbi_imports_visit(restore, NULL);
    for (unsigned i = 0; i < nrefused; i++)
        free(refused[i].name);
    memset(refused, 0, sizeof refused);
    memset(slot_of, 0, sizeof slot_of);
    nrefused = 0;
}
