/* test_hostile.c - holds a whole rank (head, agent, pool and loop; only the zygote is made up) against executors that
 * overwrite what they share with it: their slot, both rings, the claim word, the error they leave, the news bits of all,
 * and records they are about to send. After every turn the books agree; in the end every ref has a value or an error,
 * and nothing is left. One thread, so a seed is a run: TB_SEED=n. FUZZ_SECONDS: how long (default 3). */
#include "world_parts.h"
#include "exec/slots.h"
#include "exec/zygote.h"
#include "node/loop.h"
#include "node/remains.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { STEPS = 1500, LIMIT_US = 20000000 /* against hangs */, CALM_US = 20000 };

/* A process's end of its slot. */
struct end {
    uint32_t slot;
    bool wild, dying;
    struct tbi_ring_writer out;
    struct tbi_ring_reader in;
};
struct job {
    struct world *w;
    struct tbi_slots *slots;
    struct tbi_memory memory;
    struct tbi_loop *loop;
    struct end end[WORLD_PROCS];
    struct tbi_ring_writer deaths;
    struct tbi_outbox exited;
    bool calm;                  /* nobody goes wild any more */
    bool forges;                /* who is wild overwrites records, too */
    unsigned nwild, killed;
};
static struct job *job;         /* that the zygote is of */

static struct proc *find(uint32_t number)
{
    for (unsigned i = 1; i < job->w->nprocs; i++)
        if (job->w->proc[i].alive && job->w->proc[i].number == number)
            return &job->w->proc[i];
    return NULL;
}

static struct end *end_of(const struct proc *p)
{
    return &job->end[p - job->w->proc];
}

/* ---- the zygote ---- */

int tbi_zygote_fork(struct tbi_zygote *zygote, uint32_t slot, uint32_t proc)
{
    struct world *w = job->w;
    unsigned i = 1;

    (void)zygote;
    while (i < w->nprocs && w->proc[i].alive)
        i++;
    if (i == WORLD_PROCS)
        return -EAGAIN;
    if (i == w->nprocs)
        w->nprocs++;
    w->proc[i] = (struct proc){.number = proc, .alive = true};
    job->end[i] = (struct end){.slot = slot, .wild = !job->calm && pick(w, 3) == 0};
    job->nwild += job->end[i].wild;
    tbi_ring_writer_init(&job->end[i].out, tbi_slots_out(job->slots, slot), TBI_SLOT_RING);
    tbi_ring_reader_init(&job->end[i].in, tbi_slots_in(job->slots, slot), TBI_SLOT_RING);
    return 0;
}

int tbi_zygote_kill(struct tbi_zygote *zygote, uint32_t proc)
{
    struct proc *p = find(proc);

    (void)zygote;
    if (p != NULL)
        end_of(p)->dying = true;
    return 0;
}

int tbi_zygote_interrupt(struct tbi_zygote *zygote, uint32_t proc)
{
    struct proc *p = find(proc);

    (void)zygote;
    if (p != NULL && p->running)
        p->cancelled = true;
    return 0;
}

bool tbi_zygote_lives(struct tbi_zygote *zygote, char *how, size_t size)
{
    (void)zygote, (void)how, (void)size;
    return true;
}

static void die(struct proc *p, int signal)
{
    struct msg_exited *m = tbi_outbox_append(&job->exited, TBI_MSG_EXITED, p->number, sizeof *m);

    *m = (struct msg_exited){.pid = 1000, .signal = signal};
    p->alive = p->running = false;
    job->killed += signal != 0;
    tbi_ring_reader_fini(&end_of(p)->in);
    tbi_outbox_fini(&p->in);
    tbi_outbox_fini(&p->out);
    tbi_outbox_fini(&p->runs);
}

static void report_deaths(void)
{
    job->exited.begin += tbi_ring_write(&job->deaths, job->exited.data + job->exited.begin,
                                        tbi_outbox_bytes(&job->exited));
    if (tbi_outbox_bytes(&job->exited) == 0)
        job->exited.begin = job->exited.end = 0;
}

/* ---- wild writes ---- */

static void scramble(void *at, size_t bytes)
{
    uint8_t *b = at;
    unsigned n = 1 + pick(job->w, 16);

    if (pick(job->w, 4) == 0) {
        memset(b, pick(job->w, 2) ? 0xff * (int)pick(job->w, 2) : (int)pick(job->w, 256), bytes);
        return;
    }
    while (n-- > 0)
        b[unit_random(&job->w->random) % bytes] = (uint8_t)pick(job->w, 256);
}

static void go_wild(struct proc *p)
{
    uint32_t number = end_of(p)->slot;
    struct tbi_slot *slot = tbi_slots_slot(job->slots, number);
    struct tbi_ring *in = tbi_slots_in(job->slots, number), *out = tbi_slots_out(job->slots, number);
    struct world *w = job->w;

    switch (pick(w, job->forges ? 12 : 9)) {
    case 0: case 1:
        atomic_store(&slot->next, pick(w, 4));
        break;
    case 2:
        atomic_fetch_add(&slot->next, pick(w, 5) - 2u);
        break;
    case 3:
        scramble(&in->head, 8);
        break;
    case 4:
        atomic_fetch_add(&in->head, pick(w, 64) * 8 - 256u);
        break;
    case 5:
        scramble((uint8_t *)tbi_slots_faults(job->slots) - TBI_SLOTS_MAX / 8, TBI_SLOTS_MAX / 8);
        break;
    case 6:
        scramble(in, tbi_ring_footprint(TBI_SLOT_RING));
        break;
    case 7:
        scramble(&slot->begun, sizeof *slot - offsetof(struct tbi_slot, begun));
        if (pick(w, 2))
            atomic_store(&slot->sticks, atomic_load(&slot->begun));
        break;
    case 8:
        scramble(slot, sizeof *slot);
        break;
    case 9:
        scramble(&out->tail, 8);
        break;
    case 10:
        scramble(out->data, TBI_SLOT_RING);
        break;
    default:
        if (tbi_outbox_bytes(&p->out) > 0) /* what it is going to send */
            scramble(p->out.data + p->out.begin, tbi_outbox_bytes(&p->out));
    }
}

/* ---- executors ---- */

static bool takes_in(struct proc *p)
{
    struct end *e = end_of(p);
    const struct tbi_record *r;

    while ((r = tbi_ring_next(&e->in)) != NULL)
        memcpy(tbi_outbox_append(&p->in, r->type, p->number, r->len - sizeof *r), r + 1, r->len - sizeof *r);
    return e->in.broken == NULL;
}

static bool writes_out(struct proc *p)
{
    struct end *e = end_of(p);

    if (!e->wild)
        world_flush(job->w, p); /* else what it says may not arrive */
    p->out.begin += tbi_ring_write(&e->out, p->out.data + p->out.begin, tbi_outbox_bytes(&p->out));
    if (tbi_outbox_bytes(&p->out) == 0)
        p->out.begin = p->out.end = 0;
    p->in_ring = tbi_outbox_bytes(&p->out);
    tbi_slots_note_news(job->slots, e->slot);
    return e->out.broken == NULL;
}

/* Begins the next task, if that is its to run. NULL, or what is wrong. */
static const char *claims(struct proc *p)
{
    uint64_t number = ((const struct msg_run *)((const struct tbi_record *)(p->runs.data + p->runs.begin) + 1))->number;
    uint64_t next = number;

    if (!atomic_compare_exchange_strong(&tbi_slots_slot(job->slots, end_of(p)->slot)->next, &next, number + 1)) {
        if (next < number)
            return "its claim word fell";
        p->next = number + 1;
    } else {
        p->next = number;
        tbi_map_fini(&job->w->started); /* a liar's task may run twice */
    }
    return world_next_task(job->w, p);
}

/* NULL, or what is wrong: then it ends. */
static const char *does_something(struct proc *p)
{
    struct world *w = job->w;
    const char *why = NULL;

    if (!takes_in(p))
        return "its ring is broken";
    if (tbi_outbox_bytes(&p->in) > 0)
        why = world_proc_takes(w, p);
    else if (!p->running && !p->exiting && tbi_outbox_bytes(&p->runs) > 0 && tbi_outbox_bytes(&p->out) == 0)
        why = claims(p);
    else if (world_can_act(p))
        world_act(w, p);
    if (end_of(p)->wild && pick(w, 8) == 0)
        go_wild(p);
    if (pick(w, 3) > 0 && !writes_out(p))
        why = "its ring is broken";
    return why;
}

static const char *executor_step(struct proc *p)
{
    const char *why = end_of(p)->dying ? NULL : does_something(p);

    if (why != NULL && !end_of(p)->wild)
        return why;
    if (why != NULL || (end_of(p)->dying && pick(job->w, 4) == 0) || (!job->calm && pick(job->w, 2000) == 0))
        die(p, 9);
    else if (p->exiting && tbi_outbox_bytes(&p->out) == 0)
        die(p, 0);
    return NULL;
}

/* ---- the driver ---- */

static void take(void *ctx, struct tbi_outbox *to)
{
    struct proc *driver = &job->w->proc[0];
    struct tbi_outbox empty = *to;

    (void)ctx;
    *to = driver->out;
    driver->out = empty;
    driver->out.begin = driver->out.end = 0;
    driver->in_ring = 0;
}

static bool has_news(void *ctx)
{
    (void)ctx;
    return tbi_outbox_bytes(&job->w->proc[0].out) > 0;
}

static void deliver(void *ctx, const struct tbi_record *r)
{
    (void)ctx;
    memcpy(tbi_outbox_append(&job->w->proc[0].in, r->type, 0, r->len - sizeof *r), r + 1, r->len - sizeof *r);
}

static const char *driver_step(void)
{
    struct proc *driver = &job->w->proc[0];

    if (tbi_outbox_bytes(&driver->in) > 0)
        return world_proc_takes(job->w, driver);
    if (world_can_act(driver))
        world_act(job->w, driver);
    return NULL;
}

/* ---- a job ---- */

static const char *turn(void)
{
    report_deaths();
    tbi_loop_turn(job->loop);
    TRY(tbi_sched_check(tbi_loop_sched(job->loop)));
    return tbi_agent_check(tbi_loop_agent(job->loop));
}

static const char *step(void)
{
    unsigned i = pick(job->w, job->w->nprocs + 2);

    if (i == 0)
        return driver_step();
    if (i >= job->w->nprocs)
        return turn();
    return job->w->proc[i].alive ? executor_step(&job->w->proc[i]) : NULL;
}

/* Actors and groups go, for tasks may wait for what they have. */
static void let_go(void)
{
    struct world *w = job->w;

    for (unsigned i = 0; i < w->nactors; i++) {
        struct msg_cancel *m = tbi_outbox_append(&w->proc[0].out, TBI_MSG_KILL, 0, sizeof *m);

        *m = (struct msg_cancel){w->actor[i], TB_KILL_NO_RESTART, 0};
    }
    for (unsigned g = 0; g < w->ngroups; g++)
        send_object(&w->proc[0], TBI_MSG_UNGROUP, w->group[g]);
}

static bool all_answered(void)
{
    const struct proc *driver = &job->w->proc[0];

    return !driver->running && driver->answered >= driver->asked && tbi_outbox_bytes(&driver->in) == 0;
}

static bool nothing_is_left(void)
{
    struct tbi_agent_counts a = tbi_agent_counts(tbi_loop_agent(job->loop));
    struct tbi_sched_counts s = tbi_sched_counts(tbi_loop_sched(job->loop));

    /* A forged record may let an object contain itself, or hold what nobody lets go of. */
    return a.running + a.executors + a.pins + a.leases == 0 &&
           (job->forges || a.jobs + a.objects + a.store_used + s.tasks + s.makers + s.announced == 0);
}

static const char *until(bool (*done)(void), void (*push)(void), const char *else_what)
{
    uint64_t end_us = tbi_now_us() + LIMIT_US, calm_us = 0;

    while (!done()) {
        uint64_t now_us = tbi_now_us();

        if (now_us > end_us)
            return else_what;
        if (now_us > calm_us) {
            push();
            calm_us = now_us + CALM_US;
        }
        for (int i = 0; i < 64; i++)
            TRY(step());
        TRY(turn());
    }
    return NULL;
}

static void end_executors(void)
{
    let_go(); /* what tasks have made meanwhile */
    for (unsigned i = 1; i < job->w->nprocs; i++)
        if (job->w->proc[i].alive && !job->w->proc[i].running)
            end_of(&job->w->proc[i])->dying = true;
}

static const char *run(void)
{
    struct world *w = job->w;
    struct proc *driver = &w->proc[0];

    for (int i = 0; i < STEPS; i++)
        TRY(step());
    job->calm = true;
    for (unsigned i = 1; i < w->nprocs; i++)
        if (w->proc[i].alive && job->end[i].wild)
            job->end[i].dying = true;
    TRY(until(all_answered, let_go, "a ref of the driver never became ready or failed"));
    while (driver->nhandles > 0)
        world_drop_handle(driver, driver->nhandles - 1);
    while (driver->npinned > 0)
        send_object(driver, TBI_MSG_UNPIN, driver->pinned[--driver->npinned]);
    return until(nothing_is_left, end_executors, "something is left");
}

static void begin(uint64_t seed)
{
    static const int64_t totals[TBI_CUSTOM] = {40000, 20000};
    static const unsigned host = 0;
    struct world *w;

    job = tbi_alloc_zeroed(1, sizeof *job);
    job->w = w = world_new();
    w->seed = seed;
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    w->nranks = w->nprocs = 1;
    w->tasks_left = 20 + pick(w, 60);
    w->groups_max = pick(w, 3) == 0 ? WORLD_GROUPS : 0;
    w->actors_max = pick(w, 3) == 0 ? 1 + pick(w, 4) : 0;
    w->alike = pick(w, 2);
    job->forges = pick(w, 2);
    w->proc[0] = (struct proc){.alive = true, .running = true, .steps = 40};
    job->slots = tbi_slots_create(tbi_page_bytes());
    assert_int_equal(tbi_memory_map_alone(&job->memory, 1, 0, 1 << 20), 0);
    tbi_ring_writer_init(&job->deaths, tbi_slots_deaths(job->slots), TBI_DEATHS_RING);
    struct tbi_sched_config sched = {.nranks = 1, .nresources = TBI_CUSTOM, .totals = totals, .host = &host,
                                     .ahead = 4, .overtakes = 4, .nfunctions = 1};
    struct tbi_loop_config config = {
        .agent = {.nranks = 1, .host = &host, .resources = {.nresources = TBI_CUSTOM, .totals = totals},
                  .max_executors = 6, .most_processes = 64, .birth_patience_us = 1000000, .offers = 3, .overtakes = 4,
                  .nested = 3, .store_bytes = 1 << 20, .page_bytes = tbi_page_bytes(), .create_timeout_us = 1000,
                  .grace_us = 1000, .fetch = TBI_FETCH_RMA},
        .sched = &sched, .slots = job->slots, .memory = &job->memory, .host = "here",
        .driver = {NULL, take, has_news, has_news, deliver, NULL}};
    job->loop = tbi_loop_create(&config);
}

static void end(void)
{
    struct world *w = job->w;

    tbi_loop_destroy(job->loop);
    for (unsigned i = 0; i < w->nprocs; i++) {
        tbi_ring_reader_fini(&job->end[i].in);
        tbi_outbox_fini(&w->proc[i].in);
        tbi_outbox_fini(&w->proc[i].out);
        tbi_outbox_fini(&w->proc[i].runs);
    }
    tbi_outbox_fini(&job->exited);
    tbi_map_fini(&w->started);
    world_actors_free(w);
    free(w->outcome);
    free(w);
    tbi_memory_fini(&job->memory, false);
    tbi_slots_destroy(job->slots);
    free(job);
}

/* What head and agent say of refused records is not of interest. */
static void be_quiet(void)
{
    int null = open("/dev/null", O_WRONLY);

    dup2(null, 2);
    close(null);
}

static void wild_executors_cost_themselves_and_no_book_is_wrong(void **state)
{
    const char *seconds = getenv("FUZZ_SECONDS"), *only = getenv("TB_SEED");
    uint64_t end_us = tbi_now_us() + (seconds != NULL ? strtoull(seconds, NULL, 10) : 3) * 1000000;
    uint64_t seed = only != NULL ? strtoull(only, NULL, 10) : 1;
    unsigned long jobs = 0, wild = 0, killed = 0, ran = 0;
    const char *why;

    (void)state;
    do {
        begin(seed);
        why = run();
        if (why != NULL) { /* to stdout: stderr is quiet */
            print_message("job %llu: %s; again with TB_SEED=%llu\n", (unsigned long long)seed, why,
                          (unsigned long long)seed);
            tbi_remains_report(tbi_loop_agent(job->loop), tbi_loop_sched(job->loop), 0, 0, stdout);
            fail();
        }
        jobs++;
        wild += job->nwild;
        killed += job->killed;
        ran += job->w->ran;
        end();
        seed++;
    } while (only == NULL && tbi_now_us() < end_us);
    print_message("%lu jobs: %lu tasks ran; %lu executors went wild, %lu died\n", jobs, ran, wild, killed);
    assert_true(only != NULL || (wild > 0 && killed > 0 && ran > 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wild_executors_cost_themselves_and_no_book_is_wrong),
    };

    if (getenv("TB_SEED") == NULL)
        be_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
