#include "exec/executor.h"
#include "api/crash.h"
#include "exec/children.h"
#include "exec/zygote.h"
#include "api/call.h"
#include "api/forked.h"
#include "api/instance.h"
#include "exec/lanes.h"
#include "exec/lines.h"
#include "exec/streams.h"
#include "exec/surroundings.h"
#include "net/codec.h"
#include "store/sigbus.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    BACKLOG_MAX = 1 << 20,  /* bytes waiting for room in the ring before a thread waits */
    REAP_EVERY = 64,        /* times that nothing is left to run */
    RING_EVERY_US = 50,     /* while there is more work, the agent is woken no more often */
    LOOK_EVERY_US = 1000000, /* a sleeper looks again, for its bell may have been overwritten */
    INTERRUPT_US = 10000000 /* for a signal to come */
};

struct executor {
    const struct tbi_executor_config *config;
    uint32_t slot_number, proc;
    struct tbi_slot *slot;
    struct tbi_process process;
    struct tbi_instance instance;   /* the actor that lives here, if there is one */
    struct tbi_lanes *lanes;        /* of its threads; NULL: the main thread runs all */
    struct tbi_ring_writer out;
    struct tbi_ring_reader in;
    struct tbi_outbox backlog;      /* records on their way into the ring */
    _Atomic bool behind;            /* some found no room yet */
    struct tbi_outbox runs;         /* RUN records that came */
    struct msg_skipped skipped;     /* tasks that were taken back, and the agent was not told of yet */
    bool unrung;                    /* something was written that the agent was not woken for */
    uint64_t rung_us, news_us;
    bool exiting;
    unsigned idles;                 /* how often it has found nothing to run */
    int mark[2];                    /* the pipes to mark, whatever tasks do to 1 and 2 */
    _Atomic uint32_t marked;        /* the function that was marked last */
};

/* ---- the port ---- */

static void *send_record(void *ctx, enum tbi_msg type, size_t size)
{
    struct executor *x = ctx;
    void *body = tbi_outbox_append(&x->backlog, type, x->proc, size);

    if (body == NULL) { /* callers keep within the limits of a record */
        fprintf(stderr, "thornback: a record of %zu bytes\n", size);
        abort();
    }
    return body;
}

static void ring(struct executor *x)
{
    tbi_fault_point(TBI_FAULT_BELL);
    x->unrung = false;
    x->rung_us = tbi_now_us();
    tbi_bell_ring(tbi_memory_bell(x->config->memory, x->config->rank));
}

/* Between tasks, with more of them waiting here: the agent need not hear of each end at once. When
 * executors have work ahead it looks by itself before long (see tbi_loop_sleep_until). With lanes another
 * thread may be reading the ring just now. */
static bool may_be_quiet(const struct executor *x)
{
    return x->lanes == NULL && x->process.running == NULL &&
           (tbi_ring_has_news(&x->in) || tbi_outbox_bytes(&x->runs) > 0) &&
           tbi_now_us() - x->rung_us < RING_EVERY_US;
}

/* A task has overwritten what the process shares with its agent. */
static _Noreturn void end_broken(const struct executor *x, const char *why)
{
    fprintf(stderr, "thornback: executor %u of rank %u ends: %s (was its memory overwritten?)\n", x->proc,
            x->config->rank, why);
    _exit(1);
}

/* What has no room yet stays in the backlog: the agent always reads on. */
static bool flush(void *ctx)
{
    struct executor *x = ctx;
    struct tbi_outbox *b = &x->backlog;

    while (b->end > b->begin) {
        size_t n = b->end - b->begin;

        if (tbi_fault(TBI_FAULT_RECORD)) {
            tbi_ring_write(&x->out, b->data + b->begin, n / 2);
            tbi_fault_die();
        }
        n = tbi_ring_write(&x->out, b->data + b->begin, n);
        if (x->out.broken != NULL)
            end_broken(x, x->out.broken);
        b->begin += n;
        if (n > 0) {
            tbi_slots_note_news(x->config->slots, x->slot_number);
            x->unrung = true;
        }
        if (n == 0) {
            ring(x);
            atomic_store(&x->behind, true);
            if (x->process.leading) /* it may sleep, while others compute */
                tbi_bell_ring(&x->slot->bell);
            if (b->end - b->begin <= BACKLOG_MAX)
                return false;
            usleep(50);
        }
    }
    tbi_outbox_clear(b);
    atomic_store_explicit(&x->behind, false, memory_order_relaxed);
    if (x->unrung && !may_be_quiet(x))
        ring(x);
    if (x->instance.exits) /* the main thread may sleep */
        tbi_bell_ring(&x->slot->bell);
    return false;
}

static void take_all(struct executor *x)
{
    const struct tbi_record *record;

    if (tbi_ring_has_news(&x->in))
        x->news_us = tbi_now_us();
    while ((record = tbi_ring_next(&x->in)) != NULL)
        if (!tbi_process_take(&x->process, record))
            x->in.broken = "a record that no executor takes";
    if (x->in.broken != NULL)
        end_broken(x, x->in.broken);
}

/* Whatever was asked for is on its way before we wait. */
static void flush_all(struct executor *x)
{
    pthread_mutex_lock(&x->process.lock);
    flush(x);
    if (x->unrung)
        ring(x);
    pthread_mutex_unlock(&x->process.lock);
}

static void sleep_on_bell(struct executor *x, uint32_t value, uint64_t deadline_us)
{
    struct tbi_bell *bell = &x->slot->bell;
    uint64_t since_us = tbi_now_us(), look_us = tbi_look_before(UINT64_MAX);

    tbi_bell_wait(bell, value, TBI_BELL_LEADER, deadline_us < look_us ? deadline_us : look_us);
    if (tbi_look_is_told() && tbi_now_us() >= look_us && tbi_ring_has_news(&x->in) &&
        tbi_bell_was_missed(bell, value, TBI_BELL_LEADER, TBI_SURE_US))
        tbi_look_missed("an executor", since_us);
}

static void progress(void *ctx, uint64_t seen, uint64_t deadline_us)
{
    struct executor *x = ctx;
    uint64_t longest;
    uint32_t value;

    if (!tbi_ring_has_news(&x->in)) {
        flush_all(x);
        while (!tbi_ring_has_news(&x->in) && tbi_linger(x->news_us)) {
        }
        value = tbi_bell_arm(&x->slot->bell, TBI_BELL_LEADER);
        longest = tbi_now_us() + (atomic_load(&x->behind) ? 100 : LOOK_EVERY_US);
        if (longest < deadline_us)
            deadline_us = longest;
        if (!tbi_ring_has_news(&x->in) && atomic_load(&x->process.news) == seen) /* else: the actor's end */
            sleep_on_bell(x, value, deadline_us);
        tbi_bell_disarm(&x->slot->bell);
    }
    take_all(x);
}

/* ---- the loop ---- */

static bool take_other(struct tbi_process *process, const struct tbi_record *record)
{
    struct executor *x = process->port.ctx;
    size_t size = record->len - sizeof *record;

    if (record->type == TBI_MSG_EXIT)
        x->exiting = true;
    else if (record->type == TBI_MSG_RUN || (record->type == TBI_MSG_INTERRUPT && x->lanes != NULL))
        memcpy(tbi_outbox_append(&x->runs, (enum tbi_msg)record->type, x->proc, size), record + 1, size);
    else if (record->type != TBI_MSG_INTERRUPT) /* who runs one after the other finds it in the slot */
        return false;
    return true;
}

static bool has_work(void *arg)
{
    const struct executor *x = arg;

    return x->exiting || x->instance.exits || tbi_outbox_bytes(&x->runs) > 0;
}

/* With the lock. */
static void tell_skipped(struct executor *x)
{
    if (x->skipped.to == x->skipped.from)
        return;
    *(struct msg_skipped *)send_record(x, TBI_MSG_SKIPPED, sizeof x->skipped) = x->skipped;
    x->skipped.from = x->skipped.to;
}

/* Children that tasks did not wait for would stay as zombies. An actor may still wait for its own. */
static void reap_now_and_then(struct executor *x)
{
    if (tbi_id_is_null(x->instance.id) && ++x->idles % REAP_EVERY == 0)
        tbi_children_reap();
}

/* Takes the first of `runs`. NULL: it was not a RUN. */
static struct msg_run *take_run(struct executor *x)
{
    const struct tbi_record *record = (const void *)(x->runs.data + x->runs.begin);
    struct msg_run *run = NULL;

    if (record->type == TBI_MSG_RUN)
        run = tbi_copy(record + 1, record->len - sizeof *record);
    else
        tbi_lanes_cancel(x->lanes, (const struct msg_task *)(record + 1)); /* of a call that came before */
    x->runs.begin += record->len;
    if (x->runs.begin == x->runs.end)
        tbi_outbox_clear(&x->runs);
    return run;
}

/* The next task, ours to free, or NULL: it is time to leave. */
static struct msg_run *next_run(struct executor *x)
{
    struct msg_run *run = NULL;

    pthread_mutex_lock(&x->process.lock);
    if (tbi_outbox_bytes(&x->runs) == 0)
        reap_now_and_then(x);
    if (tbi_outbox_bytes(&x->runs) == 0 && tbi_fault(TBI_FAULT_IDLE)) {
        flush(x);
        tbi_fault_die();
    }
    if (tbi_outbox_bytes(&x->runs) == 0)
        tell_skipped(x);
    x->exiting |= x->process.unfit;
    do {
        tbi_process_wait_idle(&x->process, has_work, x);
        if (x->instance.exits || x->process.unfit || tbi_outbox_bytes(&x->runs) == 0)
            break;
        run = take_run(x);
    } while (run == NULL);
    pthread_mutex_unlock(&x->process.lock);
    return run;
}

/* The kernel's out-of-memory killer should take a task before the runtime. */
static void volunteer_for_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);

    if (fd >= 0) {
        ssize_t n = write(fd, "500", 3);

        (void)n; /* an advice only */
        close(fd);
    }
}

/* Its arrival is all: a system call that the cancelled task is in returns with EINTR. */
static atomic_bool interrupted; /* lock-free, so a handler may set it; lanes are interrupted at once */

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* The signal that was meant for the call which has ended: it must not come to the next. The zygote sends it, and may
 * have to wait for a processor; or it has died, and this process will. */
static void await_interrupt(void)
{
    uint64_t until_us = tbi_now_us() + INTERRUPT_US;
    struct timespec look = {0, 100000000};
    sigset_t set, before;

    sigemptyset(&set);
    sigaddset(&set, TBI_INTERRUPT_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    while (!interrupted && tbi_now_us() < until_us)
        if (sigtimedwait(&set, NULL, &look) == TBI_INTERRUPT_SIGNAL)
            break;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void accept_interrupts(void)
{
    struct sigaction act = {.sa_handler = on_interrupt}; /* without SA_RESTART */
    sigset_t set;

    sigaction(TBI_INTERRUPT_SIGNAL, &act, NULL);
    sigaction(TBI_LANE_SIGNAL, &act, NULL);
    sigemptyset(&set);
    sigaddset(&set, TBI_INTERRUPT_SIGNAL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* What is printed from now on is printed by this function. */
static void mark(struct executor *x, uint32_t function)
{
    char bytes[TBI_MARK];

    if (!x->config->marks || atomic_exchange(&x->marked, function) == function)
        return;
    tbi_mark_write(bytes, function);
    for (int i = 0; i < 2; i++) {
        ssize_t n = write(x->mark[i], bytes, sizeof bytes);

        (void)n; /* whole: less than what a pipe takes at once; or nobody reads */
    }
}

static void run_task(struct executor *x, const struct msg_run *run)
{
    mark(x, run->fn);
    atomic_store_explicit(&x->slot->begun, run->number + 1, memory_order_relaxed);
    tbi_call_run(&x->process, x->slot, run);
}

/* A call of an actor without lanes. */
static void run_call(struct executor *x, const struct msg_run *run)
{
    interrupted = 0;
    tbi_slot_enter(x->slot, run->number);
    run_task(x, run);
    if (tbi_slot_leave(x->slot, run->number))
        await_interrupt();
}

/* ---- calls that run at once ---- */

static void run_in_lane(void *ctx, const struct msg_run *run)
{
    run_task(ctx, run);
}

static void lost_in_lane(void *ctx)
{
    (void)ctx;
    tbi_forked_leave(1);
    tbi_call_abandon();
}

static int start_lanes(struct tbi_process *process, const struct msg_actor *actor)
{
    struct executor *x = process->port.ctx;

    x->lanes = tbi_lanes_create(actor->lane, actor->nlanes, run_in_lane, lost_in_lane, x);
    return x->lanes != NULL ? 0 : errno;
}

/* What was claimed: in the order of the numbers, so calls of a lane that is busy wait here, claimed. The agent can
 * not take them back any more; one that is cancelled is not begun all the same. */
static void run_claimed(struct executor *x, struct msg_run *run)
{
    if (x->lanes != NULL && run->kind == TBI_CALL) {
        tbi_lanes_give(x->lanes, run);
        return;
    }
    if (run->kind == TBI_CALL)
        run_call(x, run);
    else
        run_task(x, run);
    if (x->instance.run != run) /* which stays with the actor */
        free(run);
}

/* An actor ends in order, and all that was to be told is: nobody can ask for it later. */
static void leave(struct executor *x)
{
    if (!tbi_id_is_null(x->instance.id)) {
        tbi_lanes_drain(x->lanes);
        mark(x, x->instance.fn);
        tbi_instance_end(&x->instance);
        tbi_streams_flush();
    }
    for (flush_all(x); atomic_load(&x->behind); flush_all(x))
        usleep(50);
}

/* Before a task begins, all that was said of those before it lies in the ring: so if the process dies, they are over. */
static void get_ahead(struct executor *x)
{
    while (atomic_load(&x->behind)) {
        flush_all(x);
        if (atomic_load(&x->behind) && !tbi_linger(x->rung_us))
            usleep(50);
    }
}

/* Is the task ours to run? Else it was taken back, which sets the word above its number. */
static bool claim(struct executor *x, const struct msg_run *run)
{
    uint64_t next = run->number;

    get_ahead(x);
    if (atomic_compare_exchange_strong(&x->slot->next, &next, run->number + 1))
        return true;
    if (next < run->number)
        end_broken(x, "its claim on tasks is impossible");
    pthread_mutex_lock(&x->process.lock);
    if (x->skipped.to != run->number) {
        tell_skipped(x);
        x->skipped.from = run->number;
    }
    x->skipped.to = run->number + 1;
    pthread_mutex_unlock(&x->process.lock);
    return false;
}

/* The generators of the C library were copied with their state, so all processes would draw the same numbers. Mixer
 * of splitmix64, see util/id.h. */
static void seed_generators(unsigned job, unsigned rank, uint32_t proc)
{
    uint64_t x = ((uint64_t)job << 48 ^ (uint64_t)rank << 24 ^ proc) + UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    srandom((unsigned)x); /* glibc's rand draws from the same stream, others have one of its own */
    srand((unsigned)(x >> 16));
    srand48((long)(x >> 32));
}

/* What runs in exit() after what tasks have registered: the process has a copy of the driver's handlers, which are to
 * act once, in the driver. */
#ifdef __GLIBC__
static void leave_exit(int status, void *arg)
{
    (void)arg;
    tbi_streams_flush();
    _exit(status);
}
#else
static void leave_exit(void)
{
    tbi_streams_flush();
    _exit(1);
}
#endif

static void leave_quick_exit(void)
{
    _exit(1);
}

/* The main thread ends, without the process if others go on: then nobody would run what comes next. */
static void on_main_end(void *arg)
{
    const struct executor *x = arg;
    const struct tbi_call *call = tbi_process_own_call();
    char why[256];

    tbi_forked_leave(1);
    tbi_call_describe_abandoned(why, sizeof why, call != NULL ? call->function : "the fini of an actor");
    tbi_call_end_now(TB_ERR_TASK, why);
    fprintf(stderr, "thornback: executor %u of rank %u ends: %s\n", x->proc, x->config->rank, why);
    _exit(1);
}

static void guard_main(struct executor *x)
{
    pthread_key_t key;

    pthread_key_create(&key, on_main_end);
    pthread_setspecific(key, x);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
}

static void begin_exit(void)
{
#ifdef __GLIBC__
    on_exit(leave_exit, NULL);
#else
    atexit(leave_exit);
#endif
    at_quick_exit(leave_quick_exit);
}

int tbi_executor_main(void *ctx, uint32_t slot, uint32_t proc)
{
    static struct executor x; /* the process is new, and this is all of it */
    struct tbi_executor_config *config = ctx;
    struct msg_run *run;

    tbi_sigbus_watch(config->memory, config->host);
    tbi_slots_keep_only(config->slots, slot);
    volunteer_for_oom();
    accept_interrupts();
    seed_generators(config->job, config->rank, proc);
    tbi_crash_watch(config->memory, config->rank);
    x.config = config;
    x.marked = UINT32_MAX;
    for (int i = 0; config->marks && i < 2; i++)
        x.mark[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
    x.slot_number = slot;
    x.proc = proc;
    x.slot = tbi_slots_slot(config->slots, slot);
    atomic_store(&x.slot->pid, getpid());
    tbi_ring_writer_init(&x.out, tbi_slots_out(config->slots, slot), TBI_SLOT_RING);
    tbi_ring_reader_init(&x.in, tbi_slots_in(config->slots, slot), TBI_SLOT_RING);
    x.process = (struct tbi_process){
        .job = config->job, .rank = config->rank, .proc = proc, .memory = config->memory,
        .seed = (uint64_t)config->rank << 32 | proc, /* no two processes have the same */
        .host = config->host, .limits = config->limits, .cluster = config->cluster,
        .places = config->places, .take_other = take_other, .instance = &x.instance,
        .start_lanes = start_lanes,
        .port = {&x, send_record, flush, progress, NULL}};
    tbi_process_stay_inside(true);
    tbi_process_init(&x.process);
    begin_exit();
    guard_main(&x);
    tbi_surroundings_start();
    tbi_fault_arm_executor();
    tbi_fault_point(TBI_FAULT_START);
    while ((run = next_run(&x)) != NULL) {
        tbi_fault_point(TBI_FAULT_CLAIM);
        if (claim(&x, run))
            run_claimed(&x, run);
        else
            free(run);
    }
    leave(&x);
    return 0;
}
