#include "exec/surroundings.h"
#include "exec/floats.h"
#include "exec/noted.h"
#include "exec/threads.h"
#include "util/alloc.h"
#include "util/imports.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static struct {
    _Atomic bool inside;        /* a task runs */
    _Atomic unsigned changed;   /* by it, and saved before: a bit for each kind */
    pthread_mutex_t lock;       /* of threads that change something at once */
    pid_t pid;                  /* not that of a child that a task has forked */
    struct tbi_floats floats;
    char **environment;         /* `environ` when the task began */
    int dir;                    /* -1: it could not be opened */
    mode_t mask;
    char **variables;
    char **installed;           /* the array that `environ` was set to last, ours */
} now = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the directory, the umask and the environment ---- */

TBI_NOTED(TBI_NOTED_DIRECTORY, int, chdir, (const char *path), (path))
TBI_NOTED(TBI_NOTED_DIRECTORY, int, fchdir, (int fd), (fd))
TBI_NOTED(TBI_NOTED_UMASK, mode_t, umask, (mode_t mask), (mask))

static void save_directory(void)
{
    now.dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool undo_directory(void)
{
    bool moved = now.dir >= 0 && fchdir(now.dir) == 0;

    if (now.dir >= 0)
        close(now.dir);
    return moved;
}

/* Meanwhile a file that another thread makes is closed to others, rather than open. */
static void save_umask(void)
{
    now.mask = own_umask(077);
    own_umask(now.mask);
}

static bool undo_umask(void)
{
    umask(now.mask);
    return true;
}

/* The strings stay where they are: the C library frees none. The array is that of the task's beginning: one that the task
 * has put in its place by an assignment is not what the next one is to have. */
static void save_variables(void)
{
    size_t n = 0;

    while (now.environment != NULL && now.environment[n] != NULL)
        n++;
    now.variables = tbi_alloc_zeroed(n + 1, sizeof *now.variables);
    if (n > 0)
        memcpy(now.variables, now.environment, n * sizeof *now.variables);
}

static bool undo_variables(void)
{
    environ = now.variables;
    free(now.installed);
    now.installed = now.variables;
    return true;
}

TBI_NOTED(TBI_NOTED_VARIABLES, int, setenv, (const char *name, const char *value, int replace), (name, value, replace))
TBI_NOTED(TBI_NOTED_VARIABLES, int, putenv, (char *text), (text))
TBI_NOTED(TBI_NOTED_VARIABLES, int, unsetenv, (const char *name), (name))
TBI_NOTED(TBI_NOTED_VARIABLES, int, clearenv, (void), ())

static const struct tbi_noted noted_surroundings[] = {
    TBI_NOTED_ROW(chdir), TBI_NOTED_ROW(fchdir), TBI_NOTED_ROW(umask), TBI_NOTED_ROW(setenv), TBI_NOTED_ROW(putenv),
    TBI_NOTED_ROW(unsetenv), TBI_NOTED_ROW(clearenv), {NULL, NULL, NULL}};

/* ---- all kinds ---- */

static bool undo_nothing(void)
{
    return false;
}

static const struct {
    void (*save)(void);     /* NULL: it is known */
    bool (*undo)(void);
} kinds[TBI_NOTED_KINDS] = {
    [TBI_NOTED_TIMERS] = {NULL, tbi_timers_undo},
    [TBI_NOTED_SIGNALS] = {tbi_signals_save, tbi_signals_undo},
    [TBI_NOTED_DIRECTORY] = {save_directory, undo_directory},
    [TBI_NOTED_UMASK] = {save_umask, undo_umask},
    [TBI_NOTED_VARIABLES] = {save_variables, undo_variables},
    [TBI_NOTED_LIMITS] = {tbi_limits_save, tbi_limits_undo},
    [TBI_NOTED_AFFINITY] = {tbi_affinity_save, tbi_affinity_undo},
    [TBI_NOTED_STANDARD] = {NULL, tbi_standard_undo},
    [TBI_NOTED_LASTING] = {NULL, undo_nothing},
};

void tbi_note(enum tbi_noted_kind kind)
{
    int before = errno;

    if (!atomic_load(&now.inside) || atomic_load(&now.changed) & 1u << kind || getpid() != now.pid)
        return;
    pthread_mutex_lock(&now.lock);
    if (!(atomic_load(&now.changed) & 1u << kind) && kinds[kind].save != NULL)
        kinds[kind].save();
    atomic_fetch_or(&now.changed, 1u << kind);
    pthread_mutex_unlock(&now.lock);
    errno = before;
}

void tbi_note_none(enum tbi_noted_kind kind)
{
    atomic_fetch_and(&now.changed, ~(1u << kind));
}

/* ---- watching ---- */

static const struct tbi_noted *const tables[] = {noted_surroundings, tbi_noted_signals, tbi_noted_attributes,
                                                 tbi_noted_files, tbi_noted_threads};
enum { ROWS = 128, SLOTS = 4 * ROWS };

static const struct tbi_noted *row_of[SLOTS]; /* by hash of the name: many thousand names are looked up */

static const struct tbi_noted **find(const char *name)
{
    unsigned hash = (unsigned char)name[0];

    for (int i = 1; i < 6 && name[i] != 0; i++)
        hash = hash * 31 + (unsigned char)name[i];
    while (row_of[hash % SLOTS] != NULL && strcmp(row_of[hash % SLOTS]->name, name) != 0)
        hash++;
    return &row_of[hash % SLOTS];
}

static void *replace(void *ctx, const char *name, void *there)
{
    const struct tbi_noted *row = *find(name);
    void *noted;

    (void)ctx;
    if (row == NULL)
        return there;
    memcpy(&noted, &row->noted, sizeof noted);
    return noted;
}

/* What this C library does not have stays out of it. */
static void add_table(const struct tbi_noted *row)
{
    for (; row->name != NULL; row++) {
        void *own = dlsym(RTLD_DEFAULT, row->name);

        if (own == NULL)
            continue;
        if (row->own != NULL)
            memcpy(row->own, &own, sizeof own);
        *find(row->name) = row;
    }
}

void tbi_surroundings_watch(void)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        add_table(tables[i]);
    tbi_imports_visit(replace, NULL);
}

void tbi_surroundings_start(void)
{
    now.pid = getpid();
    tbi_floats_save(&now.floats);
    tbi_signals_start();
    tbi_standard_start();
    tbi_threads_start();
}

/* ---- a task ---- */

void tbi_surroundings_begin(void)
{
    now.environment = environ;
    atomic_store_explicit(&now.inside, true, memory_order_relaxed);
}

static bool undo(unsigned changed)
{
    bool all = true;

    for (int i = 0; i < TBI_NOTED_KINDS; i++)
        if (changed & 1u << i)
            all = kinds[i].undo() && all;
    atomic_store(&now.changed, 0);
    return all;
}

bool tbi_surroundings_end(void)
{
    unsigned changed = atomic_load_explicit(&now.changed, memory_order_relaxed);

    atomic_store_explicit(&now.inside, false, memory_order_relaxed);
    tbi_floats_restore(&now.floats);
    if (environ != now.environment)
        environ = now.environment; /* of variables, see undo_variables */
    return (changed == 0 || undo(changed)) && !tbi_threads_are_left();
}
