#include "exec/bind.h"
#include "exec/noted.h"
#include "util/alloc.h"

#include <dirent.h>
#include <dlfcn.h>

enum { UNIT = 10000, VALUE = 16 * 1024, SMALL = 16 };

/* What the process is set to; it is new, and this is all of it. */
static struct {
    bool bound, counted, shown;
    bool kept; /* the user has chosen OMP_NUM_THREADS */
    struct tbi_cpu_set set;
    unsigned threads;
    char gpus[VALUE];
    struct grant {
        int32_t cpus;
        uint16_t ncores, ngpus, place[SMALL]; /* of the last task, if it was that small */
    } last;
} now;

/* All threads of the process: those that OpenMP keeps from task to task too. */
static void bind_all(const struct tbi_cpu_set *set)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *e;

    while (dir != NULL && (e = readdir(dir)) != NULL)
        if (e->d_name[0] != '.')
            tbi_cores_bind_thread(atoi(e->d_name), set);
    if (dir != NULL)
        closedir(dir);
    else
        tbi_cores_bind(set);
    tbi_note_none(TBI_NOTED_AFFINITY); /* it was no change by a task */
}

void tbi_bind_cores(const struct tbi_places *places, const uint16_t *core, unsigned ncores)
{
    struct tbi_cpu_set set = {{0}};

    if (places->cores.ncores == 0)
        return;
    if (ncores == 0)
        set = places->cores.set;
    for (unsigned i = 0; i < ncores; i++)
        for (unsigned t = 0; t < places->cores.core[core[i]].nthreads; t++) {
            unsigned cpu = places->cores.core[core[i]].thread[t];

            set.bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
        }
    if (now.bound && memcmp(&now.set, &set, sizeof set) == 0)
        return;
    bind_all(&set);
    now.set = set;
    now.bound = true;
    now.last.cpus = -1;
}

/* Libraries that are loaded already have read their variables: they are told by a call. */
static void tell_libraries(int threads)
{
    static const char *const setter[] = {"omp_set_num_threads", "openblas_set_num_threads",
                                         "MKL_Set_Num_Threads", "bli_thread_set_num_threads"};

    for (size_t i = 0; i < sizeof setter / sizeof setter[0]; i++) {
        void *found = dlsym(RTLD_DEFAULT, setter[i]);
        void (*set)(int);

        if (found == NULL)
            continue;
        memcpy(&set, &found, sizeof set);
        set(threads);
    }
}

void tbi_bind_thread(void)
{
    if (now.counted && !now.kept)
        tell_libraries((int)now.threads);
}

static void count_threads(int32_t cpus)
{
    static const char *const variable[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                           "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
                                           "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"};
    static bool chosen[sizeof variable / sizeof variable[0]]; /* by the user: kept */
    unsigned threads = cpus < UNIT ? 1 : (unsigned)cpus / UNIT;
    char text[16];

    if (now.counted && now.threads == threads)
        return;
    snprintf(text, sizeof text, "%u", threads);
    for (size_t i = 0; i < sizeof variable / sizeof variable[0]; i++) {
        chosen[i] |= !now.counted && getenv(variable[i]) != NULL;
        if (!chosen[i])
            setenv(variable[i], text, 1);
    }
    now.kept = chosen[0];
    if (!chosen[0])
        tell_libraries((int)threads);
    now.threads = threads;
    now.counted = true;
}

static void show_gpus(const struct tbi_gpus *gpus, const uint16_t *place, unsigned n)
{
    const char *const *other = tbi_gpus_unset(gpus->kind);
    uint32_t which[TBI_GPUS_MAX];
    char value[VALUE];

    for (unsigned i = 0; i < n; i++)
        which[i] = place[i];
    tbi_gpus_value(gpus, which, n, value, sizeof value);
    if (now.shown && strcmp(now.gpus, value) == 0)
        return;
    setenv(tbi_gpus_variable(gpus->kind), value, 1);
    for (; !now.shown && *other != NULL; other++)
        unsetenv(*other);
    strcpy(now.gpus, value);
    now.shown = true;
}

void tbi_bind(const struct tbi_places *places, const uint16_t *place, unsigned ncores,
              unsigned ngpus, int32_t cpus)
{
    size_t bytes = (ncores + ngpus) * sizeof *place;

    if (now.shown && now.last.cpus == cpus && now.last.ncores == ncores &&
        now.last.ngpus == ngpus && (bytes == 0 || memcmp(now.last.place, place, bytes) == 0))
        return; /* as the task before */
    tbi_bind_cores(places, place, ncores);
    count_threads(cpus);
    show_gpus(&places->gpus, place + ncores, ngpus);
    if (ncores + ngpus > SMALL)
        return;
    now.last = (struct grant){cpus, (uint16_t)ncores, (uint16_t)ngpus, {0}};
    if (bytes > 0)
        memcpy(now.last.place, place, bytes);
}
