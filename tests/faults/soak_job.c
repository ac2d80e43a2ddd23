/* soak_job.c SECONDS [SEED] - days of use in minutes: tasks of all sizes, trees of nested tasks, actors, cancels, waits and
 * errors, mixed at random, while an executor is killed every 100 ms on average. Retries and restarts have no limit,
 * so every value has to come back right, and every failure is one that the program asked for.
 *
 * Between rounds nothing is held. Then memory and descriptors of each rank and each zygote, the number of executors
 * and the use of /dev/shm are sampled: after a warm-up of a third of the time, what the last third has must not
 * exceed what the middle third had. The same SEED gives the same rounds, though not the same kills. */
#include "census.h"

#include <thornback.h>

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    RANKS_MAX = 16,
    PAUSE_MS = 100,             /* between two kills, on average */
    BATCH = 24,                 /* tasks of a round */
    LARGEST = 32 << 20,         /* bytes of an argument or a result */
    ROUND_BYTES = 96 << 20,     /* of all arguments of a round */
    SAMPLES_MAX = 100000
};

static uint64_t random_state;

static uint64_t draw(void) /* splitmix64 */
{
    uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void no(const char *what, int rc)
{
    fprintf(stderr, "FAILED: %s: %d %s\n", what, rc, tb_last_error());
    exit(1);
}

static void must(const char *what, int rc)
{
    if (rc != 0)
        no(what, rc);
}

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- arrays whose every element can be checked ---- */

static void fill(uint8_t *to, size_t n, uint64_t seed)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8, seed += UINT64_C(0x9e3779b97f4a7c15))
        memcpy(to + i, &seed, 8);
    for (; i < n; i++)
        to[i] = (uint8_t)(seed >> 8 * (i % 8));
}

static bool is_filled(const uint8_t *from, size_t n, uint64_t seed)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8, seed += UINT64_C(0x9e3779b97f4a7c15))
        if (memcmp(from + i, &seed, 8) != 0)
            return false;
    for (; i < n; i++)
        if (from[i] != (uint8_t)(seed >> 8 * (i % 8)))
            return false;
    return true;
}

static size_t some_size(void)
{
    size_t most = (size_t)1 << draw() % 26; /* as many of each order of magnitude */

    return (size_t)(draw() % (most + 1));
}

/* ---- tasks of all sizes ---- */

/* arguments: bytes filled with seed, seed, size of the result. Returns: bytes filled with seed + 1 */
static int remake(tb_call *call)
{
    const uint8_t *in;
    uint8_t *out;
    size_t n;
    uint64_t seed = (uint64_t)tb_arg_int64(call, 1);
    int64_t bytes = tb_arg_int64(call, 2);
    int rc = tb_arg_array(call, 0, &in, &n);

    if (rc == 0 && !is_filled(in, n, seed))
        return tb_fail(call, "the argument is not what was put");
    if (rc == 0)
        rc = tb_return_array(call, 0, &out, (size_t)bytes);
    if (rc == 0)
        fill(out, (size_t)bytes, seed + 1);
    return rc;
}
TB_TASK(remake, .max_retries = -1);

static tb_ref put_filled(size_t n, uint64_t seed)
{
    uint8_t *to;
    tb_ref r;

    if (draw() % 2) {
        r = tb_create_array(&to, n);
        if (to != NULL) {
            fill(to, n, seed);
            must("tb_seal", tb_seal(r));
        }
        return r;
    }
    to = malloc(n + 1);
    fill(to, n, seed);
    r = tb_put_array(to, n);
    free(to);
    return r;
}

static void sizes(void)
{
    tb_ref r[BATCH];
    uint64_t seed[BATCH];
    size_t bytes[BATCH], sum = 0;
    int n = 0;

    for (; n < BATCH && sum < ROUND_BYTES; n++) {
        size_t in = some_size();
        tb_ref argument;

        seed[n] = draw();
        bytes[n] = some_size();
        sum += in + bytes[n];
        argument = put_filled(in, seed[n]);
        r[n] = tb_remote(remake, argument, (int64_t)seed[n], (int64_t)bytes[n]);
        must("release of an argument", tb_release(argument));
    }
    for (int i = 0; i < n; i++) {
        const uint8_t *view;
        size_t got;

        must("a task", tb_get_array(r[i], &view, &got));
        if (got != bytes[i] || !is_filled(view, got, seed[i] + 1))
            no("a task gave a wrong array", i);
    }
    must("release", tb_release_all(r, (size_t)n));
}

/* ---- trees ---- */

static int64_t tree_value(int depth, int64_t seed)
{
    return depth == 0 ? seed : tree_value(depth - 1, seed * 3 + 1) - tree_value(depth - 1, seed * 5 + 2) % 1000003;
}

/* arguments: depth, seed; its children are submitted, waited for, and read through an array of refs */
static int tree(tb_call *call)
{
    int depth = tb_arg_int(call, 0), rc;
    int64_t seed = tb_arg_int64(call, 1), v[2];
    tb_ref child[2], box;
    const tb_ref *inside;
    size_t ready;

    if (depth == 0)
        return tb_return(call, seed);
    child[0] = tb_remote(tree, depth - 1, seed * 3 + 1);
    child[1] = tb_remote(tree, depth - 1, seed * 5 + 2);
    box = tb_put_array(child, 2);
    if ((rc = tb_get_array(box, &inside, NULL)) != 0)
        return rc;
    tb_must(tb_release_all(child, 2));
    child[0] = inside[0];
    child[1] = inside[1];
    if ((rc = tb_wait(child, 2, 1, -1, &ready)) != 0 || (rc = tb_get_all(inside, 2, v)) != 0)
        return rc;
    return tb_return(call, v[0] - v[1] % 1000003);
}
TB_TASK(tree, .max_retries = -1);

static void trees(void)
{
    tb_ref r[BATCH / 4];
    int64_t seed[BATCH / 4];
    int depth[BATCH / 4];

    for (int i = 0; i < BATCH / 4; i++) {
        seed[i] = (int64_t)(draw() % 1000);
        depth[i] = (int)(draw() % 5);
        r[i] = tb_remote(tree, depth[i], seed[i]);
    }
    for (int i = 0; i < BATCH / 4; i++) {
        int64_t v;

        must("a tree", tb_get(r[i], &v));
        if (v != tree_value(depth[i], seed[i]))
            no("a tree gave a wrong value", i);
    }
    must("release", tb_release_all(r, BATCH / 4));
}

/* ---- actors ---- */

struct account { int64_t last; };

static int account_init(tb_call *call, struct account *self)
{
    self->last = tb_arg_int64(call, 0);
    return 0;
}

/* Numbers of one caller rise within a life; a new life may begin anywhere. Returns: number and size */
static int account_say(tb_call *call, struct account *self)
{
    int64_t number = tb_arg_int64(call, 0);
    const uint8_t *in;
    size_t n;
    int rc = tb_arg_array(call, 1, &in, &n);

    if (rc == 0 && !is_filled(in, n, (uint64_t)number))
        return tb_fail(call, "the argument is not what was put");
    if (rc == 0 && number < self->last)
        return tb_fail(call, "%lld after %lld", (long long)number, (long long)self->last);
    self->last = number;
    return rc != 0 ? rc : tb_return(call, number);
}
TB_ACTOR(account, struct account, .init = account_init, .max_restarts = -1, .max_task_retries = -1);
TB_METHOD(account, account_say);

/* arguments: actor, first number */
static int speaks(tb_call *call)
{
    tb_actor a = tb_arg_actor(call, 0);
    int64_t from = tb_arg_int64(call, 1), v;
    int rc = 0;

    for (int i = 0; i < 4 && rc == 0; i++) {
        uint8_t bytes[16];
        tb_ref r;

        fill(bytes, sizeof bytes, (uint64_t)from);
        r = tb_actor_call(a, account_say, from, tb_array(bytes, sizeof bytes));
        rc = tb_get(r, &v);
        if (rc == 0 && v != from)
            return tb_fail(call, "a call gave another's value");
    }
    return rc != 0 ? rc : tb_return(call, from);
}
TB_TASK(speaks, .max_retries = -1, .num_cpus = TB_NONE);

static void actors(void)
{
    tb_actor a = tb_actor_new(account, INT64_C(0));
    tb_ref r[BATCH], task;
    int64_t v;

    for (int i = 0; i < BATCH; i++) {
        size_t n = some_size() % 100000;
        tb_ref argument = put_filled(n, (uint64_t)i);

        r[i] = tb_actor_call(a, account_say, (int64_t)i, argument);
        must("release of an argument", tb_release(argument));
    }
    for (int i = 0; i < BATCH; i++) {
        must("a call", tb_get(r[i], &v));
        if (v != i)
            no("a call gave another's value", (int)v);
    }
    must("release", tb_release_all(r, BATCH));
    task = tb_remote(speaks, a, (int64_t)BATCH);
    must("a task that calls", tb_get(task, &v));
    must("release", tb_release(task));
    if (draw() % 2)
        must("tb_kill", tb_kill(a, TB_KILL_NO_RESTART));
    must("release of an actor", tb_actor_release(a));
}

/* ---- cancels and waits ---- */

/* Ends only when it is cancelled. */
static int never_ends(tb_call *call)
{
    struct timespec nap = {0, 1000000};

    while (!tb_cancelled(call))
        nanosleep(&nap, NULL);
    return TB_ERR_CANCELLED;
}
TB_TASK(never_ends, .max_retries = -1, .num_cpus = TB_NONE);

/* Waits for what never comes, until it is cancelled. argument: a nested ref */
static int waits(tb_call *call)
{
    tb_ref never = tb_arg_ref(call, 0);
    int v, rc = tb_get(never, &v);

    return rc != 0 ? rc : tb_return(call, v);
}
TB_TASK(waits, .max_retries = -1, .num_cpus = 0.01);

static void cancels(void)
{
    tb_ref never = tb_remote(never_ends), r[BATCH];
    int v, rc;

    for (int i = 0; i < BATCH; i++)
        r[i] = tb_remote(waits, tb_nested(never));
    (void)tb_wait(r, BATCH, 1, 0.001 * (double)(draw() % 20), &(size_t){0});
    for (int i = 0; i < BATCH; i++)
        must("tb_cancel", tb_cancel(r[i], draw() % 3 == 0 ? TB_CANCEL_FORCE : TB_CANCEL_DEFAULT));
    for (int i = 0; i < BATCH; i++) {
        rc = tb_get(r[i], &v);
        if (rc != TB_ERR_CANCELLED)
            no("a cancelled task", rc);
    }
    must("tb_cancel", tb_cancel(never, TB_CANCEL_DEFAULT));
    rc = tb_get(never, &v);
    if (rc != TB_ERR_CANCELLED)
        no("a cancelled task", rc);
    must("release", tb_release_all(r, BATCH));
    must("release", tb_release(never));
}

static void waits_of_all_kinds(void)
{
    tb_ref r[BATCH];
    size_t ready = 0;
    int rc;

    for (int i = 0; i < BATCH; i++)
        r[i] = tb_remote(tree, (int)(draw() % 3), (int64_t)i);
    rc = tb_wait(r, BATCH, 1 + draw() % BATCH, draw() % 2 ? 0 : 0.01, &ready);
    if (rc != 0 && rc != TB_ERR_TIMEOUT)
        no("tb_wait", rc);
    must("tb_wait for all", tb_wait(r, BATCH, BATCH, -1, &ready));
    if (ready != BATCH)
        no("tb_wait found too few", (int)ready);
    must("release", tb_release_all(r, BATCH));
}

/* ---- errors ---- */

static int fails(tb_call *call)
{
    return tb_fail(call, "as asked: %d", tb_arg_int(call, 0));
}
TB_TASK(fails, .max_retries = -1);

static int dies(tb_call *call)
{
    (void)call;
    _exit(3);
}
TB_TASK(dies, .max_retries = TB_NONE);

static int hands_on(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(hands_on, .max_retries = -1);

static void errors(void)
{
    for (int i = 0; i < BATCH / 2; i++) {
        bool crash = draw() % 2;
        tb_ref root = crash ? tb_remote(dies) : tb_remote(fails, i), next = tb_remote(hands_on, root);
        int v, rc = tb_get(next, &v);
        char text[32];

        snprintf(text, sizeof text, "as asked: %d", i);
        if (rc != (crash ? TB_ERR_CRASHED : TB_ERR_TASK) || (!crash && strstr(tb_last_error(), text) == NULL))
            no("a failure", rc);
        must("release", tb_release(root));
        must("release", tb_release(next));
    }
}

/* ---- kills ---- */

static _Atomic bool stop;
static _Atomic int kills;
static int rank[RANKS_MAX + 1], nranks; /* those that run tasks; behind them rank 0, if it is none */

/* Kills a random executor of its rank, perhaps itself. Executors are the children of their zygote. */
static int kills_one(tb_call *call)
{
    int child[512], zombies, n = census_children(getppid(), child, 512, &zombies);

    (void)call;
    if (n > 0)
        kill(child[(unsigned)tb_arg_int(call, 0) % (unsigned)(n < 512 ? n : 512)], SIGKILL);
    return tb_return(call, 0);
}
TB_TASK(kills_one, .max_retries = TB_NONE, .num_cpus = TB_NONE, .strategy = TB_STRATEGY_NODE);

static void *killer(void *seed)
{
    uint64_t x = (uint64_t)(uintptr_t)seed;

    while (!stop) {
        struct timespec pause = {0, 0};
        tb_ref r;

        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        r = tb_remote_with(kills_one, TB_OPTIONS(.node = rank[(x >> 33) % (uint64_t)nranks]), (int)(x >> 40));
        (void)tb_get(r, NULL); /* 0, or it was its own choice */
        must("release", tb_release(r));
        kills++;
        pause.tv_nsec = (long)((x >> 20) % (2 * PAUSE_MS)) * 1000000L;
        nanosleep(&pause, NULL); /* the pace of the killing, nothing waits for it */
    }
    return NULL;
}

/* ---- samples ---- */

enum { RANK_KB, ZYGOTE_KB, DESCRIPTORS, EXECUTORS, FIGURES };
static const char *const figure_name[FIGURES] = {"kB of the rank", "kB of its zygote", "descriptors of both",
                                                 "executors"};
/* What the last third may have more than the middle: memory is given out in pieces, and how many executors are
 * blocked at once is chance. */
static const double allowed[FIGURES] = {8192, 1024, 4, 16};

struct sample {
    double at;
    int64_t figure[FIGURES];
};
static struct sample *samples[RANKS_MAX + 1];
static int nsamples[RANKS_MAX + 1];

/* Returns FIGURES numbers of its rank. */
static int look(tb_call *call)
{
    int zygote = getppid(), zombies, executors;
    char state;
    struct census r = census_of(census_parent(zygote, &state)), z = census_of(zygote);
    int64_t f[FIGURES];

    executors = census_children(zygote, NULL, 0, &zombies);
    f[RANK_KB] = r.kb;
    f[ZYGOTE_KB] = z.kb;
    f[EXECUTORS] = executors;
    f[DESCRIPTORS] = r.descriptors + z.descriptors - 2 * executors; /* without the pipes of those that live */
    return tb_return(call, tb_array(f, FIGURES));
}
TB_TASK(look, .max_retries = -1, .num_cpus = TB_NONE, .strategy = TB_STRATEGY_NODE);

static void note(int i, double at, const int64_t *figure)
{
    struct sample *s = &samples[i][nsamples[i]];

    if (nsamples[i] == SAMPLES_MAX || figure[RANK_KB] == 0)
        return;
    nsamples[i]++;
    s->at = at;
    memcpy(s->figure, figure, sizeof s->figure);
}

/* Rank 0, where head and driver are, though it runs no tasks. */
static void sample_driver(double at)
{
    struct census c = census_of(getpid());

    note(nranks, at, (int64_t[FIGURES]){[RANK_KB] = c.kb, [DESCRIPTORS] = c.descriptors});
}

static void sample_ranks(double at)
{
    if (rank[0] != 0)
        sample_driver(at);
    for (int i = 0; i < nranks; i++) {
        tb_ref r = tb_remote_with(look, TB_OPTIONS(.node = rank[i]));
        const int64_t *f;
        size_t n;

        must("a look at a rank", tb_get_array(r, &f, &n));
        note(i, at, f);
        must("release", tb_release(r));
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double median_between(int i, int figure, double from, double to)
{
    int64_t *v = malloc((size_t)(nsamples[i] + 1) * sizeof *v), n = 0;
    double median;

    for (int k = 0; k < nsamples[i]; k++)
        if (samples[i][k].at >= from && samples[i][k].at < to)
            v[n++] = samples[i][k].figure[figure];
    qsort(v, (size_t)n, sizeof *v, by_size);
    median = n == 0 ? 0 : (double)v[n / 2];
    free(v);
    return median;
}

static bool has_grown(double seconds)
{
    bool grown = false;

    for (int i = 0; i <= nranks; i++)
        for (int f = 0; nsamples[i] > 0 && f < FIGURES; f++) {
            double middle = median_between(i, f, seconds / 3, seconds * 2 / 3);
            double last = median_between(i, f, seconds * 2 / 3, 1e9);
            bool too_much = last > middle + allowed[f];

            printf("rank %d, %s: %.0f, then %.0f%s\n", rank[i], figure_name[f], middle, last,
                   too_much ? ": GROWN" : "");
            grown |= too_much;
        }
    return grown;
}

static long long shm_kb(void)
{
    struct statvfs s;

    return statvfs("/dev/shm", &s) != 0 ? 0 : (long long)((s.f_blocks - s.f_bfree) * s.f_frsize / 1024);
}

/* ---- the job ---- */

static void begin(uint64_t seed)
{
    tb_node node[RANKS_MAX];
    int n = tb_nodes(node, RANKS_MAX);

    random_state = seed;
    for (int i = 0; i < n && i < RANKS_MAX; i++) {
        rank[nranks++] = node[i].rank;
    }
    for (int i = 0; i <= nranks; i++)
        samples[i] = malloc(SAMPLES_MAX * sizeof *samples[i]);
}

int main(int argc, char **argv)
{
    static void (*const kind[])(void) = {sizes, trees, actors, cancels, waits_of_all_kinds, errors};
    enum { KINDS = sizeof kind / sizeof kind[0] };
    double seconds = argc > 1 ? atof(argv[1]) : 10, began;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    long long rounds = 0, shm[2] = {0};
    pthread_t thread;
    bool grown;

#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 * 1024); /* what this program frees itself goes back to the system */
#endif
    tb_must(tb_init(&argc, &argv, NULL));
    begin(seed);
    if (pthread_create(&thread, NULL, killer, (void *)(uintptr_t)seed) != 0)
        no("pthread_create", 0);
    began = seconds_now();
    for (double at = 0; at < seconds; at = seconds_now() - began, rounds++) {
        kind[draw() % KINDS]();
        sample_ranks(at);
        shm[at >= seconds / 2] = shm_kb();
    }
    stop = true;
    pthread_join(thread, NULL);
    grown = has_grown(seconds);
    printf("/dev/shm: %lld kB, then %lld kB\n", shm[0], shm[1]);
    printf("survived %d kills in %g s: %lld rounds, all right\n", kills, seconds, rounds);
    for (int i = 0; i <= nranks; i++)
        free(samples[i]);
    tb_must(tb_finalize());
    return kills > 0 && rounds > 0 && !grown ? 0 : 1;
}
