#include "exec/surroundings.h"
#include "util/alloc.h"
#include "util/imports.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static struct {
    _Atomic bool inside;    /* a task runs */
    bool moved, masked, varied; /* it has changed the directory, the umask, the environment */
    int dir;                /* what they were; -1: it could not be opened */
    mode_t mask;
    char **variables;
    char **installed;       /* the array that `environ` was set to last, ours */
} now;

/* The C library's own, by rows of `calls`. */
enum { CHDIR, FCHDIR, UMASK, SETENV, PUTENV, UNSETENV, CLEARENV, CALLS };
static void *own[CALLS];
#define OWN(call, type) ((type)own_function(call))
typedef void function(void);

static function *own_function(int call)
{
    function *f;

    memcpy(&f, &own[call], sizeof f);
    return f;
}

static void note_directory(void)
{
    if (!atomic_load(&now.inside) || now.moved)
        return;
    now.moved = true;
    now.dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The strings stay where they are: the C library frees none. */
static void note_variables(void)
{
    size_t n = 0;

    if (!atomic_load(&now.inside) || now.varied)
        return;
    now.varied = true;
    while (environ != NULL && environ[n] != NULL)
        n++;
    now.variables = tbi_alloc_zeroed(n + 1, sizeof *now.variables);
    if (n > 0)
        memcpy(now.variables, environ, n * sizeof *now.variables);
}

static int noted_chdir(const char *path)
{
    note_directory();
    return OWN(CHDIR, int (*)(const char *))(path);
}

static int noted_fchdir(int fd)
{
    note_directory();
    return OWN(FCHDIR, int (*)(int))(fd);
}

static mode_t noted_umask(mode_t mask)
{
    mode_t before = OWN(UMASK, mode_t (*)(mode_t))(mask);

    if (atomic_load(&now.inside) && !now.masked) {
        now.masked = true;
        now.mask = before;
    }
    return before;
}

static int noted_setenv(const char *name, const char *value, int replace)
{
    note_variables();
    return OWN(SETENV, int (*)(const char *, const char *, int))(name, value, replace);
}

static int noted_putenv(char *text)
{
    note_variables();
    return OWN(PUTENV, int (*)(char *))(text);
}

static int noted_unsetenv(const char *name)
{
    note_variables();
    return OWN(UNSETENV, int (*)(const char *))(name);
}

static int noted_clearenv(void)
{
    note_variables();
    return OWN(CLEARENV, int (*)(void))();
}

static const struct {
    const char *name;
    function *noted;
} calls[CALLS] = {
    [CHDIR] = {"chdir", (function *)noted_chdir},          [FCHDIR] = {"fchdir", (function *)noted_fchdir},
    [UMASK] = {"umask", (function *)noted_umask},          [SETENV] = {"setenv", (function *)noted_setenv},
    [PUTENV] = {"putenv", (function *)noted_putenv},       [UNSETENV] = {"unsetenv", (function *)noted_unsetenv},
    [CLEARENV] = {"clearenv", (function *)noted_clearenv},
};

static void *replace(void *ctx, const char *name, void *there)
{
    void *noted;

    (void)ctx;
    for (int i = 0; i < CALLS; i++)
        if (own[i] != NULL && strcmp(name, calls[i].name) == 0) {
            memcpy(&noted, &calls[i].noted, sizeof noted);
            return noted;
        }
    return there;
}

void tbi_surroundings_watch(void)
{
    for (int i = 0; i < CALLS; i++)
        own[i] = dlsym(RTLD_DEFAULT, calls[i].name);
    tbi_imports_visit(replace, NULL);
}

void tbi_surroundings_begin(void)
{
    atomic_store_explicit(&now.inside, true, memory_order_relaxed);
}

static bool move_back(void)
{
    bool moved = now.dir >= 0 && fchdir(now.dir) == 0;

    if (now.dir >= 0)
        close(now.dir);
    return moved;
}

bool tbi_surroundings_end(void)
{
    bool restored = true;

    atomic_store_explicit(&now.inside, false, memory_order_relaxed);
    if (!now.moved && !now.masked && !now.varied)
        return true;
    if (now.moved)
        restored = move_back();
    if (now.masked)
        umask(now.mask);
    if (now.varied) {
        environ = now.variables;
        free(now.installed);
        now.installed = now.variables;
    }
    now.moved = now.masked = now.varied = false;
    return restored;
}
