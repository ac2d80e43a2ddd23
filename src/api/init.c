/* init.c - tb_init and tb_finalize: what is started, in which order, and its undoing.
 *
 *   settings, checks -> world (ranks, hosts) -> segment mapped -> zygote forked -> window
 *   -> loop -> rank 0: progress thread, return to the program; others: serve, then exit(0)
 *
 * The zygote must be forked before there are threads of ours and memory that MPI has registered. */
#include "api/errors.h"
#include "api/forked.h"
#include "api/mpi_calls.h"
#include "api/registry.h"
#include "api/start.h"
#include "exec/children.h"
#include "store/late.h"
#include "store/sigbus.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/look.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { UNIT = 10000, INLINE_TASK = 64 * 1024, EXIT_WAIT_US = 10000000 };
enum { BIRTH_PATIENCE_US = 10000000 };
enum { QUEUE_UNITS = 256 * 1024 /* of tasks that tasks submit ahead: some 150 MB on rank 0 */ };
enum { STOP_LIMIT_US = 60000000 /* from the last message of the job to the end of MPI */ };

static struct tbi_job job;
enum { NEVER, RUNNING, ENDING, ENDED };
static _Atomic int state;
static pid_t driver; /* the process that tb_init returned in */

/* What is opened later must not become stdin, stdout or stderr, and be printed into. */
static void open_closed_stdio(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", O_RDWR);
}

static void report_unread(void *ctx, const void *error, uint32_t bytes)
{
    (void)ctx, (void)bytes;
    tbi_error_report_unread(error);
}

static const char *host_of(void *ctx, unsigned rank)
{
    const struct tbi_job *j = ctx;

    return j->mpi.hostname[rank];
}

static struct tbi_loop_config loop_config(struct tbi_job *j, struct tbi_sched_config *sched)
{
    const struct tbi_settings *s = &j->settings;
    int32_t cpus = j->cpus[j->rank];
    unsigned most = s->max_executors > 0 ? (unsigned)s->max_executors
                                         : 4 * (unsigned)((cpus + UNIT - 1) / UNIT) + 8;

    for (unsigned i = 0; i < j->resources.n; i++)
        j->names[i] = j->resources.name[i];
    *sched = (struct tbi_sched_config){
        .nranks = j->nranks, .nresources = j->resources.n, .totals = j->totals, .host = j->host,
        .resources = j->names,
        .ahead = (unsigned)s->ahead, .queue = QUEUE_UNITS, .seed = j->process.job,
        .overtakes = (unsigned)s->overtakes, .functions = j->functions,
        .nfunctions = (unsigned)tbi_registry_count(), .unread = report_unread};
    return (struct tbi_loop_config){
        .agent = {.rank = j->rank, .nranks = j->nranks, .host = j->host,
                  .resources = {.nresources = j->resources.n,
                                .totals = &j->totals[j->rank * j->resources.n],
                                .core = j->places.cores.core, .ncores = j->places.cores.ncores},
                  .max_executors = most, .most_processes = TBI_SLOTS_MAX, .birth_patience_us = BIRTH_PATIENCE_US,
                  .offers = (unsigned)s->offers,
                  .overtakes = (unsigned)s->overtakes, .nested = (unsigned)s->nested,
                  .store_bytes = j->memory.bytes, .page_bytes = j->memory.page,
                  .create_timeout_us = (uint64_t)(s->create_timeout * 1e6),
                  .grace_us = (uint64_t)(s->cancel_grace * 1e6),
                  .fetch = j->fetches_by_messages ? TBI_FETCH_P2P : TBI_FETCH_RMA},
        .sched = j->rank == 0 ? sched : NULL, .slots = j->slots, .zygote = &j->zygote,
        .memory = &j->memory, .host = j->hostname, .spins = (int)s->idle == TBI_IDLE_SPIN,
        .transport = j->transport != NULL ? &j->port : NULL,
        .heartbeat = j->mpi.nhosts > 1 ? s->heartbeat : 0, .host_of = host_of, .host_ctx = j,
        .watchdog = j->watchdog, .functions = j->functions};
}

static void stop(struct tbi_job *j)
{
    tbi_report_signal_end();
    tbi_watchdog_see_off(j->watchdog, STOP_LIMIT_US);
    if (j->transport != NULL)
        tbi_transport_stop(j->transport);
    if (j->driver != NULL)
        tbi_driver_destroy(j->driver);
    if (j->has_zygote)
        tbi_zygote_stop(&j->zygote); /* before MPI_Finalize: mpirun waits for who holds its pipes */
    tbi_fault_report(j->rank, stderr);
    tbi_fault_disarm();
    tbi_slots_destroy(j->slots);
    tbi_mpi_accept();
    if (j->uses_mpi)
        tbi_mpi_stop(&j->mpi);
    tbi_memory_fini(&j->memory, j->store_stays); /* behind the windows over it */
    free(j->own_shared.range);
    tbi_watchdog_stop(j->watchdog);
    tbi_descriptors_free(&j->own_descriptors);
    free(j->host);
    free(j->cpus);
    free(j->totals);
    free(j->hostnames);
    free(j->functions);
    tbi_cores_free(&j->places.cores);
    memset(j, 0, sizeof *j);
}

/* A worker's whole life: it serves until the head says that the job is over. */
static _Noreturn void serve(struct tbi_job *j, const struct tbi_loop_config *config)
{
    struct tbi_bell *bell = tbi_memory_bell(&j->memory, j->rank);
    struct tbi_loop *loop = tbi_loop_create(config);

    tbi_zygote_ignore_group_signals();
    tbi_children_adopt(); /* a worker has no children but the job's: see tbi_loop */
    while (!tbi_loop_ended(loop)) {
        uint64_t until;
        uint32_t value;

        if (tbi_loop_turn(loop) || tbi_loop_linger(loop))
            continue;
        until = tbi_loop_sleep_until(loop, tbi_now_us());
        value = tbi_bell_arm(bell, TBI_BELL_LEADER);
        if (!tbi_loop_has_news(loop) && !tbi_loop_ended(loop))
            tbi_loop_sleep(loop, tbi_loop_executors_ring(loop), bell, value, TBI_BELL_LEADER, until);
        tbi_bell_disarm(bell);
    }
    tbi_loop_destroy(loop);
    stop(j);
    tbi_process_stay_inside(false);
    exit(0);
}

static int read_settings(struct tbi_job *j, const tb_config *config)
{
    int rc = tbi_settings_read(&j->settings, config);

    if (rc == 0)
        rc = tbi_start_check_faults(j);
    return rc != 0 ? rc : tbi_resources_read(&j->resources, &j->settings);
}

static int start(struct tbi_job *j, const tb_config *config)
{
    struct tbi_sched_config sched;
    struct tbi_loop_config loop;
    int rc, settings, listed;

    gethostname(j->hostname, sizeof j->hostname - 1);
    tbi_report_signal_begin(j);
    open_closed_stdio();
    j->mpi.shared = j->mpi.window = MPI_WIN_NULL;
    rc = tbi_start_check_descriptors(j);
    if (rc == 0)
        rc = tbi_start_check_threads();
    if (rc == 0)
        rc = tbi_start_check_page();
    if (rc == 0)
        rc = tbi_start_check_functions();
    settings = rc == 0 ? read_settings(j, config) : 0;
    if (!tbi_mpi_launched())
        tbi_settings_warn(stderr);
    j->process.job = (unsigned)getpid() & TBI_ID_JOB_MAX;
    listed = tbi_descriptors_list(&j->own_descriptors); /* before those of MPI */
    if (listed != 0 && rc == 0)
        rc = tbi_error_set(TB_ERR_OUT_OF_MEMORY, "which descriptors are open cannot be found out: /proc/self/fd: %s",
                           strerror(-listed));
    if (tbi_mpi_launched())
        rc = tbi_start_mpi(j, rc, settings);
    else if (rc == 0 && settings != 0)
        rc = settings;
    else if (rc == 0 && j->settings.virtual_nodes > 1)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "TB_VIRTUAL_NODES=%.0f: there is one rank; start the "
                           "program with mpirun", j->settings.virtual_nodes);
    else if (rc == 0)
        rc = tbi_start_alone(j);
    if (rc != 0)
        return rc;
    j->process.rank = j->rank;
    j->process.proc = TBI_PROC_DRIVER;
    j->process.seed = (uint64_t)j->settings.job_seed;
    j->process.memory = &j->memory;
    j->process.host = j->hostname;
    j->process.cluster = &j->cluster;
    j->process.limits = (struct tbi_limits){(uint32_t)j->settings.inline_bytes, INLINE_TASK};
    tbi_sigbus_watch(&j->memory, j->hostname);
    j->functions = tbi_alloc_zeroed((size_t)tbi_registry_count() + 1, sizeof *j->functions);
    for (int i = 0; i < tbi_registry_count(); i++)
        j->functions[i] = tbi_registry_row(i)->name;
    tbi_look_begin(j->rank, j->settings.debug >= 1);
    rc = tbi_start_zygote(j);
    if (rc == 0 && j->rank == 0)
        rc = tbi_start_guard_views(j);
    if (j->uses_mpi)
        rc = tbi_mpi_agree(&j->mpi, rc);
    if (rc == 0 && j->settings.log_dir[0] != 0)
        tbi_start_warn_of_no_files(j);
    if (rc == 0 && j->nranks > 1)
        rc = tbi_start_connect(j);
    if (rc != 0)
        return rc;
    if (j->nranks > 1 && j->settings.heartbeat > 0)
        j->watchdog = tbi_watchdog_start((uint64_t)(j->settings.heartbeat * 1e6), j->rank,
                                         j->hostname);
    tbi_report_signal_ring(tbi_memory_bell(&j->memory, j->rank));
    loop = loop_config(j, &sched);
    if (j->rank != 0)
        serve(j, &loop);
    tbi_process_init(&j->process); /* before the progress thread, which takes its lock */
    j->driver = tbi_driver_create(&j->process, &loop);
    if (j->driver == NULL) {
        tbi_process_fini(&j->process);
        return tbi_error_set(TB_ERR_OUT_OF_MEMORY, "no thread can be started: %s",
                             strerror(errno));
    }
    return 0;
}

/* MPI_Finalize would never return without its own. */
static void check_descriptors(struct tbi_job *j)
{
    char how[96];

    if (j->has_zygote && !tbi_zygote_lives(&j->zygote, how, sizeof how))
        tbi_end_job(j->rank, j->hostname, "the process that starts executors %s: the job ends", how);
}

/* The end, by tb_finalize or, if the program leaves without it, in exit(). */
static void end(struct tbi_job *j, bool leaves)
{
    bool settles;

    check_descriptors(j);
    tbi_process_close(&j->process, leaves);
    if (leaves)
        tbi_late_park(&j->memory);
    pthread_mutex_lock(&j->process.lock);
    settles = j->settings.debug >= 1 && tbi_handles_report_leaks(&j->process, stderr) == 0;
    pthread_mutex_unlock(&j->process.lock);
    tbi_driver_end(j->driver, settles);
    /* Threads that make no call run on, in the middle of a view perhaps. */
    j->store_stays = leaves || tbi_handles_are_viewed(&j->process);
    tbi_process_fini(&j->process);
    stop(j);
    tbi_error_report_rest();
    tbi_process_closed();
    state = ENDED;
}

/* Not for what the program has forked. From a signal handler that interrupted us, or when MPI gives up,
 * the job cannot be ended in order: the process just leaves, and what belongs to it follows. */
static void at_exit(void)
{
    uint64_t deadline_us = tbi_now_us() + EXIT_WAIT_US;
    int expected = RUNNING;

    if (getpid() != driver || tbi_process_is_inside())
        return;
    if (atomic_compare_exchange_strong(&state, &expected, ENDING))
        end(&job, true);
    while (state == ENDING && tbi_now_us() < deadline_us) /* another thread is in tb_finalize */
        usleep(1000);
}

/* A program that has initialised MPI for itself, without mpirun, goes on using it. */
static void refuse_mpi_calls(const struct tbi_job *j)
{
    int initialised;

    MPI_Initialized(&initialised);
    if (j->uses_mpi || !initialised)
        tbi_mpi_refuse(j->uses_mpi ? TBI_MPI_DRIVER : TBI_MPI_DRIVER_ALONE);
}

int tb_init(int *argc, char ***argv, const tb_config *config)
{
    int rc;

    (void)argc, (void)argv;
    if (tbi_process_is_inside())
        return tbi_process_refuse_handler("tb_init");
    if (tbi_forked())
        return tbi_forked_refuse("tb_init");
    if (tbi_process_runs_tasks())
        return tbi_error_set(TB_ERR_STATE, "tb_init in a task or an actor, which is of a job already: it can use "
                             "all other functions as it is");
    if (state == RUNNING)
        return tbi_error_set(TB_ERR_STATE, "tb_init is called twice");
    if (state != NEVER)
        return tbi_error_set(TB_ERR_STATE, "tb_init after tb_finalize: it can be started once in a "
                             "process");
    tbi_process_stay_inside(true);
    rc = start(&job, config);
    if (rc != 0) {
        bool worker = job.uses_mpi && job.rank != 0;

        stop(&job);
        tbi_registry_thaw();
        tbi_process_stay_inside(false);
        if (worker)
            exit(0); /* the driver says what went wrong, and with which status the job ends */
        return rc;
    }
    driver = getpid();
    if ((int)job.settings.show_map != 0)
        tbi_cluster_print(&job.cluster, stderr);
    refuse_mpi_calls(&job);
    state = RUNNING;
    atexit(at_exit); /* runs before what MPI and its libraries do there */
    tbi_process_stay_inside(false);
    return 0;
}

int tb_finalize(void)
{
    int was = RUNNING;

    if (tbi_forked())
        return tbi_forked_refuse("tb_finalize");
    if (tbi_process_runs_tasks())
        return tbi_error_set(TB_ERR_STATE, "tb_finalize in a task or an actor: the program that called tb_init ends "
                             "the job; a task ends by returning, an actor by tb_actor_exit");
    if (tbi_process_is_inside())
        return tbi_error_set(TB_ERR_STATE, "tb_finalize in the middle of another call: a signal "
                             "handler cannot end the job; let it set a flag");
    if (state == RUNNING && !tbi_start_in_main_thread()) /* nor could MPI be finalised there */
        return tbi_error_set(TB_ERR_STATE, "tb_finalize is called from another thread than tb_init: call it from the "
                             "one that runs main");
    tbi_process_stay_inside(true);
    if (atomic_compare_exchange_strong(&state, &was, ENDING))
        end(&job, false);
    tbi_process_stay_inside(false);
    if (was == RUNNING)
        return 0;
    return tbi_error_set(TB_ERR_STATE, was == NEVER ? "tb_finalize before tb_init"
                                                    : "tb_finalize is called twice");
}
