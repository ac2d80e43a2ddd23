/* noted_threads.c - threads that tasks start, see threads.h. */
#include "exec/threads.h"
#include "exec/locked.h"
#include "exec/noted.h"
#include "util/alloc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <threads.h>

struct start {
    void *(*run)(void *);
    thrd_start_t run_standard;
    void *arg;
};

static _Atomic unsigned living;
static pthread_key_t key; /* of threads that count: its destructor runs when one ends, in whatever way */

static void on_end(void *arg)
{
    (void)arg;
    tbi_locked_end();
    atomic_fetch_sub(&living, 1);
}

static struct start begin(void *arg)
{
    struct start start = *(struct start *)arg;

    free(arg);
    pthread_setspecific(key, &living); /* any address */
    return start;
}

static void *run(void *arg)
{
    struct start start = begin(arg);

    return start.run(start.arg);
}

static int run_standard(void *arg)
{
    struct start start = begin(arg);

    return start.run_standard(start.arg);
}

static struct start *note(struct start start)
{
    atomic_fetch_add(&living, 1);
    return tbi_copy(&start, sizeof start);
}

static void note_failed(struct start *start)
{
    free(start);
    atomic_fetch_sub(&living, 1);
}

/* By the library whose function the thread runs. */
static bool is_of_a_pool(void *(*function)(void *))
{
    static const char *const library[] = {"libgomp", "libomp", "libiomp", "libopenblas", "libmkl", "libblis", "libtbb",
                                          "libfftw3", "libcuda", "libcublas", "libamdhip", "libhsa", "libze_",
                                          "libOpenCL"};
    void *address;
    Dl_info info;

    memcpy(&address, &function, sizeof address);
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return false;
    for (size_t i = 0; i < sizeof library / sizeof library[0]; i++) {
        const char *name = strrchr(info.dli_fname, '/');

        name = name == NULL ? info.dli_fname : name + 1;
        if (strncmp(name, library[i], strlen(library[i])) == 0)
            return true;
    }
    return false;
}

static int (*own_pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static int noted_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*function)(void *), void *arg)
{
    struct start *start;
    int rc;

    if (is_of_a_pool(function))
        return own_pthread_create(thread, how, function, arg);
    start = note((struct start){function, NULL, arg});
    rc = own_pthread_create(thread, how, run, start);
    if (rc != 0)
        note_failed(start);
    return rc;
}

static int (*own_thrd_create)(thrd_t *, thrd_start_t, void *);
static int noted_thrd_create(thrd_t *thread, thrd_start_t function, void *arg)
{
    struct start *start = note((struct start){NULL, function, arg});
    int rc = own_thrd_create(thread, run_standard, start);

    if (rc != thrd_success)
        note_failed(start);
    return rc;
}

const struct tbi_noted tbi_noted_threads[] = {TBI_NOTED_ROW(pthread_create), TBI_NOTED_ROW(thrd_create),
                                              {NULL, NULL, NULL}};

void tbi_threads_start(void)
{
    pthread_key_create(&key, on_end);
    atomic_store(&living, 0);
}

bool tbi_threads_are_left(void)
{
    return atomic_load_explicit(&living, memory_order_relaxed) > 0;
}
