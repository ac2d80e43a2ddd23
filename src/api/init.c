/* init.c - tb_init and tb_finalize: what is started, in which order, and its undoing.
 *
 *   settings, checks -> world (ranks, hosts) -> segment mapped -> zygote forked -> window
 *   -> loop -> rank 0: progress thread, return to the program; others: serve, then exit(0)
 *
 * The zygote must be forked before there are threads of ours and memory that MPI has registered. */
#include "api/errors.h"
#include "api/forked.h"
#include "api/isolate.h"
#include "api/mpi_calls.h"
#include "api/options.h"
#include "api/registry.h"
#include "api/version.h"
#include "exec/children.h"
#include "node/machine.h"
#include "node/roll_call.h"
#include "node/store_size.h"
#include "store/late.h"
#include "store/segment.h"
#include "store/sigbus.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/look.h"
#include "util/plural.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { UNIT = 10000, INLINE_TASK = 64 * 1024, EXIT_WAIT_US = 10000000 };
enum { BIRTH_PATIENCE_US = 10000000 };
enum { QUEUE_UNITS = 256 * 1024 /* of tasks that tasks submit ahead: some 150 MB on rank 0 */ };
enum { STOP_LIMIT_US = 60000000 /* from the last message of the job to the end of MPI */ };

static struct tbi_job job;
enum { NEVER, RUNNING, ENDING, ENDED };
static _Atomic int state;
static pid_t driver; /* the process that tb_init returned in */

/* ---- checks ---- */

static bool is_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

static int check_threads(void)
{
    struct tbi_system sys = tbi_system_here();
    unsigned threads = tbi_machine_threads(&sys);

    if (!is_main_thread())
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

/* The options that a task, class or method was registered with. */
static int check_row(const struct tb_task_record_ *row)
{
    enum tbi_kind kind = row->cls != NULL ? TBI_ACTOR : row->method != NULL ? TBI_CALL : TBI_TASK;
    struct tbi_terms ignored;
    int rc = tbi_options_check_kind(row->name, kind, row->options);

    if (rc != 0)
        return rc;
    switch (kind) {
    case TBI_ACTOR:
        return tbi_options_read_actor(row->name, row->options, NULL, NULL, &ignored);
    case TBI_CALL:
        return tbi_options_read_call(row->name, row->method->of->name, row->method->of->options, row->options,
                                     NULL, &ignored);
    default:
        return tbi_options_read(row->name, row->options, NULL, NULL, &ignored);
    }
}

static int check_functions(void)
{
    int rc = tbi_registry_freeze();

    for (int i = 0; rc == 0 && i < tbi_registry_count(); i++)
        rc = check_row(tbi_registry_row(i));
    return rc;
}

/* Without any, nothing of the machine can be read, and other libraries fail in ways of their own. */
static int check_descriptors_left(const struct tbi_job *j)
{
    enum { OURS = 7 /* with those of one process of tasks */, MPIS = 24 };
    unsigned wanted = tbi_mpi_launched() ? MPIS : OURS, spare = tbi_descriptors_spare(wanted);
    struct rlimit limit = {0};
    int why = errno;

    if (spare == wanted)
        return 0;
    getrlimit(RLIMIT_NOFILE, &limit);
    tbi_error_set(TB_ERR_OUT_OF_MEMORY, "tb_init on host %s needs %u free descriptors, and there %s %u: %s (the limit, "
                  "ulimit -n, is %llu); close files before, or set it higher", j->hostname, wanted,
                  tbi_plural(spare, "is", "are"), spare, strerror(why), (unsigned long long)limit.rlim_cur);
    if (tbi_mpi_launched()) { /* MPI could not start here, and the other ranks would wait for this one in it */
        fprintf(stderr, "thornback: %s\n", tb_last_error());
        _exit(1);
    }
    return TB_ERR_OUT_OF_MEMORY;
}

/* ---- parts ---- */

/* What is opened later must not become stdin, stdout or stderr, and be printed into. */
static void open_closed_stdio(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", O_RDWR);
}

static void wake_rank(void *ctx)
{
    const struct tbi_job *j = ctx;

    tbi_bell_ring(tbi_memory_bell(&j->memory, j->rank));
}

static int executor(void *ctx, uint32_t slot, uint32_t proc)
{
    return tbi_executor_main(&((struct tbi_job *)ctx)->executor, slot, proc);
}

static int map_alone(struct tbi_job *j)
{
    struct tbi_system sys = tbi_system_here();
    struct tbi_store_host host = {.name = j->hostname, .ranks = 1, .mapped = 1, .memory = tbi_machine_memory(&sys),
                                  .shm_free = UINT64_MAX, .address_space = tbi_machine_address_space(&sys),
                                  .private_memory = tbi_machine_private(&sys),
                                  .private_fixed = tbi_machine_private_fixed(),
                                  .table_share = tbi_segment_table_share(tbi_page_bytes())};
    char why[400];
    uint64_t bytes;
    int rc = tbi_survey_check(j);

    if (rc != 0)
        return rc;
    bytes = tbi_store_size(&host, (uint64_t)j->settings.store, why, sizeof why);
    if (bytes == 0)
        return tbi_error_set(TB_ERR_STORE_FULL, "%s", why);
    rc = tbi_memory_map_alone(&j->memory, 1, 0, bytes);
    return rc == 0 ? 0 : tbi_error_set(TB_ERR_STORE_FULL, "the object store of %llu bytes cannot be "
                                       "mapped: %s; set TB_STORE lower",
                                       (unsigned long long)bytes, strerror(-rc));
}

/* One rank, which is also the worker. */
static int start_alone(struct tbi_job *j)
{
    struct tbi_system sys = tbi_system_here();
    struct tbi_cpu_set allowed = tbi_cores_allowed();
    int rc = tbi_resources_check_ranks(&j->settings, 1);

    if (rc == 0)
        rc = map_alone(j);

    j->nranks = 1;
    j->host = tbi_alloc_zeroed(1, sizeof *j->host);
    j->places.cores = tbi_cores_share(NULL, &allowed, 1, 0);
    tbi_cores_cap(&j->places.cores, tbi_machine_cpus(&sys), 1, 0);
    return rc != 0 ? rc : tbi_survey_resources(j);
}

static int agree_on_settings(struct tbi_job *j, int rc)
{
    uint64_t digest = tbi_registry_digest();
    uint32_t number = (uint32_t)getpid();

    rc = tbi_mpi_agree(&j->mpi, rc);
    if (rc != 0)
        return rc;
    /* First, and of the same size for ever, for whatever comes after it may differ. */
    rc = tbi_mpi_same(&j->mpi, tbi_version, sizeof tbi_version, "another version of Thornback");
    if (tbi_mpi_same(&j->mpi, &digest, sizeof digest, "another program, with other "
                     "remote functions,") != 0 && rc == 0)
        rc = TB_ERR_ARGUMENT;
    rc = tbi_mpi_agree(&j->mpi, rc);
    if (rc != 0)
        return rc;
    tbi_mpi_share(&j->mpi, &j->settings, sizeof j->settings);
    tbi_mpi_share(&j->mpi, &number, sizeof number);
    j->process.job = number & TBI_ID_JOB_MAX;
    rc = tbi_resources_read(&j->resources, &j->settings); /* the same everywhere */
    return rc != 0 ? rc : tbi_resources_check_ranks(&j->settings, j->nranks);
}

static int start_mpi(struct tbi_job *j, int rc, int settings)
{
    uint64_t bytes;
    int started;

    tbi_isolate_note_own(j);
    started = tbi_mpi_start(&j->mpi);

    j->uses_mpi = j->mpi.world != MPI_COMM_NULL;
    if (!j->uses_mpi)
        return started;
    j->rank = j->mpi.rank;
    j->nranks = j->mpi.nranks;
    if (j->rank == 0) {
        tbi_settings_warn(stderr);
        rc = rc != 0 ? rc : settings; /* those of the others do not count */
    }
    if (started == 0 && j->nranks - 1 > TBI_ID_RANK_MAX)
        started = tbi_error_set(TB_ERR_UNSUPPORTED, "%u ranks: %u are possible", j->nranks, TBI_ID_RANK_MAX + 1);
    rc = agree_on_settings(j, rc != 0 ? rc : started);
    if (rc != 0)
        return rc;
    rc = tbi_mpi_agree(&j->mpi,
                       tbi_mpi_find_hosts(&j->mpi, (unsigned)j->settings.virtual_nodes,
                                          j->hostname));
    if (rc != 0)
        return rc;
    j->host = tbi_copy(j->mpi.host, j->nranks * sizeof *j->host);
    tbi_survey_cores(j);
    bytes = tbi_mpi_segment_bytes(&j->mpi, (uint64_t)j->settings.store);
    rc = bytes == 0 ? TB_ERR_STORE_FULL : 0;
    if (tbi_survey_check(j) != 0) /* then what is wrong with the store follows from that */
        rc = TB_ERR_OUT_OF_MEMORY;
    rc = tbi_mpi_agree(&j->mpi, rc);
    if (rc == 0)
        rc = tbi_mpi_agree(&j->mpi, tbi_mpi_map(&j->mpi, bytes, &j->memory));
    if (rc == 0)
        rc = tbi_mpi_agree(&j->mpi, tbi_survey_resources(j));
    return rc;
}

/* After the zygote: the window, whose memory MPI may register, and the way to the others. */
static int connect_ranks(struct tbi_job *j)
{
    bool wanted = j->mpi.nhosts > 1 && (int)j->settings.fetch != TBI_FETCH_BY_P2P;

    j->fetches_by_messages = !wanted || !tbi_mpi_make_window(&j->mpi, &j->memory);
    if (wanted && j->fetches_by_messages) {
        if ((int)j->settings.fetch == TBI_FETCH_BY_RMA)
            return tbi_error_set(TB_ERR_UNSUPPORTED, "TB_FETCH=rma: this MPI cannot make a window "
                                 "over all ranks; with Open MPI over TCP try OMPI_MCA_osc=^ucx");
        if (j->rank == 0)
            fprintf(stderr, "thornback: note: this MPI cannot make a window over all ranks; objects "
                    "travel between hosts as messages (with Open MPI over TCP try "
                    "OMPI_MCA_osc=^ucx)\n");
    }
    j->transport = tbi_transport_start(&j->mpi, &j->memory, &j->port);
    return 0;
}

static int check_page(void)
{
    uint32_t bytes = tbi_page_bytes();
    const char *why = tbi_page_check(bytes);

    return why == NULL ? 0 : tbi_error_set(TB_ERR_UNSUPPORTED, "this system's pages of memory have %u bytes: %s",
                                           bytes, why);
}

static int check_faults(const struct tbi_job *j)
{
    struct tbi_fault_plan plan;
    char why[512];

    return tbi_fault_parse(j->settings.fault, &plan, why, sizeof why)
               ? 0 : tbi_error_set(TB_ERR_ARGUMENT, "%s", why);
}

/* With rank 0's settings, which were checked there. */
static void arm_faults(struct tbi_job *j)
{
    struct tbi_fault_plan plan;
    char why[512];

    if (tbi_fault_parse(j->settings.fault, &plan, why, sizeof why))
        tbi_fault_arm(&plan, tbi_slots_faults(j->slots));
}

/* How it was, from all ranks: the first that has no files is named. */
static void warn_of_no_files(const struct tbi_job *j)
{
    int32_t *none = tbi_alloc_zeroed(j->nranks, sizeof *none);
    unsigned r = 0;

    if (j->uses_mpi)
        tbi_mpi_gather(&j->mpi, j->no_files, none);
    else
        none[0] = j->no_files;
    while (r < j->nranks && none[r] == 0)
        r++;
    if (r < j->nranks && j->rank == 0)
        fprintf(stderr, "thornback: warning: TB_LOG_DIR=%s: rank %u cannot write files there: %s; "
                "what tasks print goes to the terminal alone\n", j->settings.log_dir, r,
                strerror(none[r]));
    free(none);
}

static int start_zygote(struct tbi_job *j)
{
    bool prefixes = j->settings.log_prefix != 0;
    struct tbi_zygote_config config = {
        .executor = executor, .prepare = tbi_isolate_tasks, .ctx = j, .deaths_size = TBI_DEATHS_RING, .wake = wake_rank,
        .output = {.ring_size = TBI_OUTPUT_RING, .rank = j->rank,
                   .functions = prefixes ? j->functions : NULL,
                   .nfunctions = (unsigned)tbi_registry_count()}};
    int rc;

    j->slots = tbi_slots_create(tbi_page_bytes());
    if (j->slots == NULL)
        return tbi_error_set(TB_ERR_OUT_OF_MEMORY, "no memory for the processes of tasks: %s",
                             strerror(errno));
    j->executor = (struct tbi_executor_config){
        .slots = j->slots, .memory = &j->memory, .rank = j->rank, .host = j->hostname,
        .job = j->process.job, .limits = j->process.limits, .cluster = &j->cluster,
        .places = &j->places, .marks = prefixes};
    arm_faults(j);
    if (j->settings.keep_descriptors != 0)
        config.kept = &j->own_descriptors;
    config.deaths = tbi_slots_deaths(j->slots);
    config.output.slots = j->slots;
    config.output.ring = tbi_slots_output(j->slots);
    if (j->settings.log_dir[0] != 0 && j->cpus[j->rank] > 0)
        j->no_files = -tbi_output_files(j->settings.log_dir, j->rank, config.output.file);
    rc = tbi_zygote_start(&j->zygote, &config);
    j->has_zygote = rc == 0;
    for (int i = 0; i < 2; i++)
        if (config.output.file[i] != 0)
            close(config.output.file[i]);
    return rc == 0 ? 0 : tbi_error_set(TB_ERR_OUT_OF_MEMORY, "no process can be started: %s",
                                       strerror(-rc));
}

/* After the zygote, whose children need no second view. */
static int guard_views(struct tbi_job *j)
{
    int rc = tbi_memory_guard_views(&j->memory);

    return rc == 0 ? 0 : tbi_error_set(TB_ERR_STORE_FULL, "the object store cannot be mapped for reading: %s; set "
                                       "TB_STORE lower", strerror(-rc));
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

/* ---- SIGUSR2: what does this rank wait for? ---- */

static struct tbi_bell *_Atomic own_bell;   /* NULL: no loop runs yet, or any more */
static struct {
    char text[256];
    size_t n;
} before_loop;                              /* what is said then */

static void on_report_signal(int signal)
{
    struct tbi_bell *bell = own_bell;
    int before = errno;

    (void)signal;
    tbi_roll_call_ask();
    if (bell != NULL)
        tbi_bell_ring(bell);
    else
        (void)!write(STDERR_FILENO, before_loop.text, before_loop.n);
    errno = before;
}

/* First of all, for tb_init may wait for ranks that do not come. Only where the signal would else end the process: the
 * program's own handler goes ahead, before and later. */
static void begin_reports(const struct tbi_job *j)
{
    struct sigaction act = {.sa_handler = on_report_signal, .sa_flags = SA_RESTART}, there;

    before_loop.n = (size_t)snprintf(before_loop.text, sizeof before_loop.text, "thornback: pid %d on host %s is in "
                                     "tb_init, and waits for MPI or for other ranks\n", (int)getpid(), j->hostname);
    if (sigaction(SIGUSR2, NULL, &there) == 0 && !(there.sa_flags & SA_SIGINFO) && there.sa_handler == SIG_DFL)
        sigaction(SIGUSR2, &act, NULL);
}

static void end_reports(void)
{
    struct sigaction there;

    if (sigaction(SIGUSR2, NULL, &there) == 0 && !(there.sa_flags & SA_SIGINFO) &&
        there.sa_handler == on_report_signal)
        signal(SIGUSR2, SIG_IGN); /* one may be on its way, and must not end what goes on */
    own_bell = NULL;
}

static void stop(struct tbi_job *j)
{
    end_reports();
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
        rc = check_faults(j);
    return rc != 0 ? rc : tbi_resources_read(&j->resources, &j->settings);
}

static int start(struct tbi_job *j, const tb_config *config)
{
    struct tbi_sched_config sched;
    struct tbi_loop_config loop;
    int rc, settings, listed;

    gethostname(j->hostname, sizeof j->hostname - 1);
    begin_reports(j);
    open_closed_stdio();
    j->mpi.shared = j->mpi.window = MPI_WIN_NULL;
    rc = check_descriptors_left(j);
    if (rc == 0)
        rc = check_threads();
    if (rc == 0)
        rc = check_page();
    if (rc == 0)
        rc = check_functions();
    settings = rc == 0 ? read_settings(j, config) : 0;
    if (!tbi_mpi_launched())
        tbi_settings_warn(stderr);
    j->process.job = (unsigned)getpid() & TBI_ID_JOB_MAX;
    listed = tbi_descriptors_list(&j->own_descriptors); /* before those of MPI */
    if (listed != 0 && rc == 0)
        rc = tbi_error_set(TB_ERR_OUT_OF_MEMORY, "which descriptors are open cannot be found out: /proc/self/fd: %s",
                           strerror(-listed));
    if (tbi_mpi_launched())
        rc = start_mpi(j, rc, settings);
    else if (rc == 0 && settings != 0)
        rc = settings;
    else if (rc == 0 && j->settings.virtual_nodes > 1)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "TB_VIRTUAL_NODES=%.0f: there is one rank; start the "
                           "program with mpirun", j->settings.virtual_nodes);
    else if (rc == 0)
        rc = start_alone(j);
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
    rc = start_zygote(j);
    if (rc == 0 && j->rank == 0)
        rc = guard_views(j);
    if (j->uses_mpi)
        rc = tbi_mpi_agree(&j->mpi, rc);
    if (rc == 0 && j->settings.log_dir[0] != 0)
        warn_of_no_files(j);
    if (rc == 0 && j->nranks > 1)
        rc = connect_ranks(j);
    if (rc != 0)
        return rc;
    if (j->mpi.nhosts > 1 && j->settings.heartbeat > 0)
        j->watchdog = tbi_watchdog_start((uint64_t)(j->settings.heartbeat * 1e6), j->rank,
                                         j->hostname);
    own_bell = tbi_memory_bell(&j->memory, j->rank);
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
    if (state == RUNNING && !is_main_thread()) /* nor could MPI be finalised there */
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
