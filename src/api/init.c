/* init.c - tb_init and tb_finalize: what is started, in which order, and its undoing.
 *
 *   settings, checks -> world (ranks, hosts) -> segment mapped -> zygote forked -> window
 *   -> loop -> rank 0: progress thread, return to the program; others: serve, then exit(0)
 *
 * The zygote must be forked before there are threads of ours and memory that MPI has registered. */
#include "api/driver.h"
#include "api/errors.h"
#include "api/options.h"
#include "api/registry.h"
#include "api/settings.h"
#include "exec/executor.h"
#include "node/machine.h"
#include "util/alloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { UNIT = 10000, INLINE_MAX = 1 << 20, INLINE_TASK = 64 * 1024 };

static struct job {
    struct tbi_settings settings;
    unsigned rank, nranks;
    unsigned *host;
    int32_t *cpus;
    char hostname[64];
    struct tbi_memory memory;
    struct tbi_slots *slots;
    struct tbi_zygote zygote;
    bool has_zygote;
    struct tbi_executor_config executor;
    struct tbi_process process;
    struct tbi_driver *driver;
    const char **functions;
} job;
static enum { NEVER, RUNNING, ENDED } state;

/* ---- checks ---- */

static int check_threads(void)
{
    unsigned threads = tbi_machine_threads();

    if (syscall(SYS_gettid) != getpid())
        return tbi_error_set(TB_ERR_STATE, "tb_init is called from a second thread: call it from "
                             "the one that runs main, for the processes of tasks end with it");
    if (threads > 1 && dlsym(RTLD_DEFAULT, "GOMP_parallel") != NULL)
        return tbi_error_set(TB_ERR_STATE, "the program has %u threads before tb_init, and GNU "
                             "OpenMP is loaded, which hangs in tasks once it was used: call tb_init "
                             "before the first parallel region", threads);
    if (threads > 1)
        fprintf(stderr, "thornback: warning: the program has %u threads before tb_init; locks that "
                "they hold now stay locked in the processes of tasks\n", threads);
    return 0;
}

static int check_tasks(void)
{
    int rc = tbi_registry_freeze();
    struct tbi_demand ignored;

    for (int i = 0; rc == 0 && i < tbi_registry_count(); i++) {
        const struct tb_task_record_ *task = tbi_registry_task(i);

        rc = tbi_options_demand(task->name, task->options, NULL, &ignored);
    }
    return rc;
}

/* ---- parts ---- */

static void wake_rank(void *ctx)
{
    const struct job *j = ctx;

    tbi_bell_ring(tbi_memory_bell(&j->memory, j->rank));
}

static int executor(void *ctx, uint32_t slot, uint32_t proc)
{
    return tbi_executor_main(&((struct job *)ctx)->executor, slot, proc);
}

static int start_alone(struct job *j)
{
    uint64_t bytes = (uint64_t)j->settings.store;
    int rc;

    j->rank = 0;
    j->nranks = 1;
    j->host = tbi_alloc_zeroed(1, sizeof *j->host);
    j->cpus = tbi_alloc_zeroed(1, sizeof *j->cpus);
    if (bytes == 0)
        bytes = tbi_machine_store();
    rc = tbi_memory_map_alone(&j->memory, 1, 0, bytes);
    return rc == 0 ? 0 : tbi_error_set(TB_ERR_STORE_FULL, "the object store of %llu bytes cannot be "
                                       "mapped: %s; set TB_STORE lower",
                                       (unsigned long long)bytes, strerror(-rc));
}

static int start_zygote(struct job *j)
{
    struct tbi_zygote_config config = {.executor = executor, .ctx = j,
                                       .deaths_size = TBI_DEATHS_RING, .wake = wake_rank};
    int rc;

    j->slots = tbi_slots_create();
    if (j->slots == NULL)
        return tbi_error_set(TB_ERR_OUT_OF_MEMORY, "no memory for the processes of tasks: %s",
                             strerror(errno));
    j->executor = (struct tbi_executor_config){
        .slots = j->slots, .memory = &j->memory, .rank = j->rank, .host = j->hostname,
        .job = j->process.job, .limits = j->process.limits};
    config.deaths = tbi_slots_deaths(j->slots);
    rc = tbi_zygote_start(&j->zygote, &config);
    j->has_zygote = rc == 0;
    return rc == 0 ? 0 : tbi_error_set(TB_ERR_OUT_OF_MEMORY, "no process can be started: %s",
                                       strerror(-rc));
}

static struct tbi_loop_config loop_config(struct job *j, struct tbi_sched_config *sched)
{
    const struct tbi_settings *s = &j->settings;
    int32_t cpus = j->cpus[j->rank];
    unsigned most = s->max_executors > 0 ? (unsigned)s->max_executors
                                         : 4 * (unsigned)((cpus + UNIT - 1) / UNIT) + 8;

    *sched = (struct tbi_sched_config){
        .nranks = j->nranks, .cpus = j->cpus, .host = j->host, .ahead = (unsigned)s->ahead,
        .overtakes = (unsigned)s->overtakes, .functions = j->functions,
        .nfunctions = (unsigned)tbi_registry_count()};
    return (struct tbi_loop_config){
        .agent = {.rank = j->rank, .nranks = j->nranks, .host = j->host, .cpus = cpus,
                  .max_executors = most, .overtakes = (unsigned)s->overtakes,
                  .store_bytes = j->memory.bytes,
                  .create_timeout_us = (uint64_t)(s->create_timeout * 1e6),
                  .fetch = TBI_FETCH_RMA},
        .sched = j->rank == 0 ? sched : NULL, .slots = j->slots, .zygote = &j->zygote,
        .memory = &j->memory, .host = j->hostname};
}

static void stop(struct job *j)
{
    if (j->driver != NULL)
        tbi_driver_destroy(j->driver);
    if (j->has_zygote)
        tbi_zygote_stop(&j->zygote);
    tbi_slots_destroy(j->slots);
    if (j->memory.base != NULL)
        tbi_memory_unmap_alone(&j->memory);
    free(j->host);
    free(j->cpus);
    free(j->functions);
    memset(j, 0, sizeof *j);
}

static int start(struct job *j, const tb_config *config)
{
    struct tbi_sched_config sched;
    struct tbi_loop_config loop;
    int rc = check_threads();

    if (rc == 0)
        rc = check_tasks();
    if (rc == 0)
        rc = tbi_settings_read(&j->settings, config);
    if (rc == 0 && j->settings.inline_bytes > INLINE_MAX)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "TB_INLINE=%g: at most %d bytes travel in messages",
                           j->settings.inline_bytes, INLINE_MAX);
    if (rc == 0)
        rc = start_alone(j);
    if (rc != 0)
        return rc;
    gethostname(j->hostname, sizeof j->hostname - 1);
    j->cpus[0] = (int32_t)(j->settings.num_cpus > 0 ? j->settings.num_cpus * UNIT
                                                    : tbi_machine_cores() * UNIT);
    j->process = (struct tbi_process){
        .job = (unsigned)getpid() & 0xffff, .rank = j->rank, .proc = TBI_PROC_DRIVER,
        .memory = &j->memory, .host = j->hostname,
        .limits = {.inline_bytes = (uint32_t)j->settings.inline_bytes,
                   .inline_task_bytes = INLINE_TASK}};
    rc = start_zygote(j);
    if (rc != 0)
        return rc;
    j->functions = tbi_alloc_zeroed((size_t)tbi_registry_count() + 1, sizeof *j->functions);
    for (int i = 0; i < tbi_registry_count(); i++)
        j->functions[i] = tbi_registry_task(i)->name;
    loop = loop_config(j, &sched);
    j->driver = tbi_driver_create(&j->process, &loop);
    if (j->driver == NULL)
        return tbi_error_set(TB_ERR_OUT_OF_MEMORY, "no thread can be started: %s",
                             strerror(errno));
    tbi_process_init(&j->process);
    return 0;
}

int tb_init(int *argc, char ***argv, const tb_config *config)
{
    int rc;

    (void)argc, (void)argv;
    if (state == RUNNING)
        return tbi_error_set(TB_ERR_STATE, "tb_init is called twice");
    if (state == ENDED)
        return tbi_error_set(TB_ERR_STATE, "tb_init after tb_finalize: it can be started once in a "
                             "process");
    rc = start(&job, config);
    if (rc != 0) {
        stop(&job);
        tbi_registry_thaw();
        return rc;
    }
    state = RUNNING;
    return 0;
}

int tb_finalize(void)
{
    struct job *j = &job;

    if (state != RUNNING)
        return tbi_error_set(TB_ERR_STATE, state == NEVER ? "tb_finalize before tb_init"
                                                          : "tb_finalize is called twice");
    pthread_mutex_lock(&j->process.lock);
    j->process.closing = true; /* who waits gives up */
    pthread_cond_broadcast(&j->process.changed);
    pthread_mutex_unlock(&j->process.lock);
    tbi_driver_end(j->driver);
    tbi_process_fini(&j->process);
    stop(j);
    state = ENDED;
    return 0;
}
