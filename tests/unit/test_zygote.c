/* test_zygote.c - holds exec/zygote: every executor that is asked for runs and its end is reported
 * once, with its signal or status, behind all that it has printed; nothing of it outlives its parent; it
 * starts clean, with an empty stdin; signals to the group end neither it nor its executors; its own end
 * is noticed. */
#include "unit.h"
#include "exec/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 256 }; /* small: many deaths at once must wait for room */

struct shared {
    _Atomic int started, descriptors, handler_is_default;
    _Atomic int pid[64];
    _Atomic int stdin_is_empty;
    _Atomic int group;
    int own, kept; /* descriptors of the program; 0: none */
    _Atomic int own_is_null, kept_is_open;
    _Alignas(64) char ring[sizeof(struct tbi_ring) + SIZE];
    _Alignas(64) char output[sizeof(struct tbi_ring) + SIZE];
};
static struct shared *shared;
static struct tbi_ring_reader deaths, output;

static int executor(void *ctx, uint32_t slot, uint32_t proc)
{
    struct shared *s = ctx;
    struct sigaction act;
    struct stat null, file;
    int open = 0;

    stat("/dev/null", &null);
    for (int fd = 3; fd < 256; fd++)
        open += fstat(fd, &file) == 0 && file.st_rdev != null.st_rdev;
    s->own_is_null = fstat(s->own, &file) == 0 && file.st_rdev == null.st_rdev;
    s->kept_is_open = fcntl(s->kept, F_GETFD) >= 0;
    open -= s->kept > 0;
    s->descriptors = open;
    sigaction(SIGSEGV, NULL, &act);
    s->group = getpgrp();
    s->handler_is_default = act.sa_handler == SIG_DFL;
    s->stdin_is_empty = getchar() == EOF;
    s->pid[slot] = getpid();
    if (slot == 63)
        for (int i = 0; i < 1000; i++)
            printf("line %d\n", i);
    fprintf(stderr, "the end of %u", proc);
    s->started++;
    if (proc >= 1000)
        for (;;)
            pause();
    if (proc % 2)
        raise(SIGKILL);
    return (int)proc;
}

static void nobody(int s) { (void)s; }

static int start_with(void **state, const struct tbi_descriptors *kept)
{
    static struct tbi_zygote zygote;
    struct tbi_zygote_config config = {.executor = executor, .deaths_size = SIZE, .kept = kept};

    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    config.ctx = shared;
    config.output = (struct tbi_output_config){.ring = (struct tbi_ring *)shared->output,
                                               .ring_size = SIZE};
    tbi_ring_reader_init(&output, config.output.ring, SIZE);
    config.deaths = (struct tbi_ring *)shared->ring;
    tbi_ring_reader_init(&deaths, config.deaths, SIZE);
    shared->own = open("/proc/self/stat", O_RDONLY);
    signal(SIGSEGV, nobody); /* as a library of the parent might */
    *state = &zygote;
    shared->kept = kept != NULL ? kept->fd[0] : 0;
    return tbi_zygote_start(&zygote, &config);
}

static int start(void **state)
{
    return start_with(state, NULL);
}

static int stop(void **state)
{
    struct tbi_zygote *zygote = *state;

    if (zygote->pid > 0)
        tbi_zygote_stop(zygote);
    signal(SIGSEGV, SIG_DFL);
    close(shared->own);
    tbi_ring_reader_fini(&deaths);
    tbi_ring_reader_fini(&output);
    munmap(shared, sizeof *shared);
    return 0;
}

static struct msg_exited next_death(uint32_t *proc)
{
    const struct tbi_record *r;
    char tail[40];

    while ((r = tbi_ring_next(&deaths)) == NULL) {
        assert_null(deaths.broken);
        sched_yield();
    }
    assert_int_equal(r->type, TBI_MSG_EXITED);
    *proc = r->proc;
    snprintf(tail, sizeof tail, "the end of %u", r->proc);
    assert_int_equal(((const struct msg_exited *)(r + 1))->bytes, strlen(tail));
    assert_memory_equal((const struct msg_exited *)(r + 1) + 1, tail, strlen(tail));
    return *(const struct msg_exited *)(r + 1);
}

static void ask(struct tbi_zygote *zygote, uint32_t slot, uint32_t proc)
{
    int rc;

    while ((rc = tbi_zygote_fork(zygote, slot, proc)) == -EAGAIN)
        sched_yield();
    assert_int_equal(rc, 0);
}

static void each_end_is_reported_once_with_its_cause(void **state)
{
    enum { N = 64 };
    bool seen[N] = {false};

    for (uint32_t k = 0; k < N; k++)
        ask(*state, k, k);
    for (int i = 0; i < N; i++) {
        uint32_t proc;
        struct msg_exited e = next_death(&proc);

        assert_true(proc < N && !seen[proc]);
        seen[proc] = true;
        assert_int_equal(e.pid, shared->pid[proc]);
        assert_int_equal(e.signal, proc % 2 ? SIGKILL : 0);
        assert_int_equal(e.status, proc % 2 ? 0 : (int)proc);
    }
    assert_int_equal(shared->started, N);
}

static void deaths_come_though_nobody_reads_the_output_and_say_how_much_there_is(void **state)
{
    const struct tbi_record *r;
    uint64_t heard = 0, printed;
    uint32_t proc;

    ask(*state, 63, 2);
    printed = next_death(&proc).printed;
    assert_true(printed > 2 * SIZE);
    while (heard < printed)
        if ((r = tbi_ring_next(&output)) != NULL)
            heard += ((const struct msg_output *)(r + 1))->bytes;
        else
            sched_yield();
    assert_int_equal(heard, printed);
    assert_null(tbi_ring_next(&output));
}

static void an_executor_starts_without_the_parents_handlers_and_descriptors(void **state)
{
    uint32_t proc;

    ask(*state, 0, 2);
    next_death(&proc);
    assert_int_equal(shared->descriptors, 0);
    assert_true(shared->stdin_is_empty);
    assert_true(shared->handler_is_default);
}

static void a_descriptor_of_the_program_is_dev_null_in_an_executor(void **state)
{
    uint32_t proc;

    ask(*state, 0, 2);
    next_death(&proc);
    assert_true(shared->own_is_null);
}

static void a_descriptor_that_is_to_be_kept_is_open_in_an_executor(void **state)
{
    struct tbi_descriptors kept = {.n = 1};
    uint32_t proc;

    int fd = open("/proc/self/stat", O_RDONLY);

    kept.fd = &fd;
    stop(state);
    assert_int_equal(start_with(state, &kept), 0);
    ask(*state, 0, 2);
    next_death(&proc);
    assert_int_equal(shared->descriptors, 0);
    assert_true(shared->own_is_null);
    assert_true(shared->kept_is_open);
    close(fd);
}

static void executors_are_of_the_programs_group_and_the_zygote_is_not(void **state)
{
    struct tbi_zygote *zygote = *state;
    uint32_t proc;

    ask(zygote, 0, 2);
    next_death(&proc);
    assert_int_equal(shared->group, getpgrp());
    assert_int_equal(getpgid(zygote->pid), zygote->pid);
}

/* Is a process there at all, running or not yet reaped? Orphans are reaped by init, in its time. */
static bool lives(int pid)
{
    char path[64], state = 'X';
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (f == NULL)
        return false;
    if (fscanf(f, "%*d %*s %c", &state) != 1)
        state = 'X';
    fclose(f);
    return state != 'Z' && state != 'X';
}

static void nothing_outlives_the_parent(void **state)
{
    struct tbi_zygote *zygote = *state;

    for (uint32_t k = 0; k < 4; k++)
        ask(zygote, k, 1000 + k);
    while (shared->started < 4)
        sched_yield();
    tbi_zygote_stop(zygote);
    for (int k = 0; k < 4; k++)
        while (lives(shared->pid[k]))
            sched_yield();
    assert_true(tbi_zygote_fork(zygote, 0, 1) < 0);
}

static const int group[] = {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
enum { GROUP = sizeof group / sizeof group[0] };

static void signals_to_the_group_end_neither_it_nor_its_executors(void **state)
{
    struct tbi_zygote *zygote = *state;
    struct msg_exited e;
    uint32_t proc;

    for (int i = 0; i < GROUP; i++)
        kill(zygote->pid, group[i]);
    kill(zygote->pid, SIGTERM);
    ask(zygote, 0, 1000);
    while (shared->started < 1)
        sched_yield();
    for (int i = 0; i < GROUP; i++)
        kill(shared->pid[0], group[i]);
    kill(shared->pid[0], SIGTERM);
    e = next_death(&proc);
    assert_int_equal(proc, 1000);
    assert_int_equal(e.signal, SIGTERM); /* and not one of the others, which came first */
    assert_true(tbi_zygote_lives(zygote, NULL, 0));
}

static void its_end_is_noticed_with_its_cause(void **state)
{
    struct tbi_zygote *zygote = *state;
    char how[96];

    ask(zygote, 0, 1000); /* who lives on for a moment must not hide it */
    while (shared->started < 1)
        sched_yield();
    assert_true(tbi_zygote_lives(zygote, how, sizeof how));
    kill(zygote->pid, SIGKILL);
    while (tbi_zygote_lives(zygote, how, sizeof how))
        sched_yield();
    assert_string_equal(how, "was ended by signal 9 (Killed)");
}

static void its_end_is_noticed_when_the_program_has_reaped_it(void **state)
{
    struct tbi_zygote *zygote = *state;
    char how[96];

    kill(zygote->pid, SIGKILL);
    assert_int_equal(waitpid(-1, NULL, 0), zygote->pid);
    assert_false(tbi_zygote_lives(zygote, how, sizeof how));
    assert_string_equal(how, "ended");
}

static void it_is_out_of_reach_when_the_program_has_closed_its_descriptor(void **state)
{
    struct tbi_zygote *zygote = *state;
    char how[96];

    close(zygote->commands);
    assert_false(tbi_zygote_lives(zygote, how, sizeof how));
    assert_string_equal(how, "is out of reach, for the program closed a descriptor of the library (by closefrom?)");
    assert_true(zygote->pid > 0); /* the teardown ends it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_end_is_reported_once_with_its_cause, start, stop),
        cmocka_unit_test_setup_teardown(
            deaths_come_though_nobody_reads_the_output_and_say_how_much_there_is, start, stop),
        cmocka_unit_test_setup_teardown(
            an_executor_starts_without_the_parents_handlers_and_descriptors, start, stop),
        cmocka_unit_test_setup_teardown(a_descriptor_of_the_program_is_dev_null_in_an_executor, start, stop),
        cmocka_unit_test_setup_teardown(a_descriptor_that_is_to_be_kept_is_open_in_an_executor, start, stop),
        cmocka_unit_test_setup_teardown(executors_are_of_the_programs_group_and_the_zygote_is_not, start, stop),
        cmocka_unit_test_setup_teardown(nothing_outlives_the_parent, start, stop),
        cmocka_unit_test_setup_teardown(signals_to_the_group_end_neither_it_nor_its_executors,
                                        start, stop),
        cmocka_unit_test_setup_teardown(its_end_is_noticed_with_its_cause, start, stop),
        cmocka_unit_test_setup_teardown(its_end_is_noticed_when_the_program_has_reaped_it, start,
                                        stop),
        cmocka_unit_test_setup_teardown(it_is_out_of_reach_when_the_program_has_closed_its_descriptor, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
