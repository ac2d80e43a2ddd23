/* actors.c - what calls of actors cost, how fast actors come and go, and what a thousand of them take: seen by the
 * driver, with the task's round trip measured between the rounds of the call's. bench/run actors starts it. */
#include "bench.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <thornback.h>

enum { ROUNDS = 7, BATCH = 1000, CALLERS = 4, CALLS = 20000, LIVE = 1000, WINDOW = 20 };
enum { RINGS = 2 * 64 * 1024 }; /* with a page before each: what an actor's process shares with its agent alone */

static int empty(tb_call *call) { return tb_return(call, 1); }
TB_TASK(empty);

struct counter {
    int64_t value;
};
static int increment(tb_call *call, struct counter *self) { return tb_return(call, ++self->value); }

/* Bytes of memory of this process that no other one has. */
static int unshared(tb_call *call, struct counter *self)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    long long kib, bytes = 0;
    char line[200];

    (void)self;
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Private_%*[a-zA-Z_]: %lld", &kib) == 1)
            bytes += kib * 1024;
    if (f != NULL)
        fclose(f);
    return tb_return(call, (int64_t)bytes);
}
TB_ACTOR(counter, struct counter);
TB_METHOD(counter, increment);
TB_METHOD(counter, unshared);

/* Calls an actor so many times, a batch at a time. Returns when it began and when it was done. */
static int caller(tb_call *call)
{
    tb_actor actor = tb_arg_actor(call, 0);
    double t = bench_now();
    tb_ref r[BATCH];

    for (int left = tb_arg_int(call, 1); left > 0; left -= BATCH) {
        for (int i = 0; i < BATCH; i++)
            r[i] = tb_actor_call(actor, increment);
        tb_must(tb_get_all(r, BATCH, NULL));
        tb_must(tb_release_all(r, BATCH));
    }
    return tb_return(call, t, bench_now());
}
TB_TASK(caller, .num_cpus = TB_NONE);

static double task_us(int n)
{
    double t = bench_now();

    for (int i = 0; i < n; i++) {
        tb_ref r = tb_remote(empty);

        tb_must(tb_get(r, NULL));
        tb_must(tb_release(r));
    }
    return (bench_now() - t) / n * 1e6;
}

static double call_us(tb_actor actor, int n)
{
    double t = bench_now();

    for (int i = 0; i < n; i++) {
        tb_ref r = tb_actor_call(actor, increment);

        tb_must(tb_get(r, NULL));
        tb_must(tb_release(r));
    }
    return (bench_now() - t) / n * 1e6;
}

static void actor_sync(void)
{
    tb_actor actor = tb_actor_new(counter);
    double task[ROUNDS], calls[ROUNDS];

    call_us(actor, 10);
    for (int k = 0; k < ROUNDS; k++) {
        task[k] = task_us(2000);
        calls[k] = call_us(actor, 2000);
    }
    tb_must(tb_actor_release(actor));
    bench_row("actor_sync", bench_median(calls, ROUNDS), "us", 1.2 * bench_median(task, ROUNDS));
}

static void actor_async_1_1(void)
{
    tb_actor actor = tb_actor_new(counter);
    double rate[ROUNDS];
    tb_ref r[BATCH];

    call_us(actor, 10);
    for (int k = 0; k < ROUNDS; k++) {
        double t = bench_now();

        for (int b = 0; b < 100; b++) {
            for (int i = 0; i < BATCH; i++)
                r[i] = tb_actor_call(actor, increment);
            tb_must(tb_get_all(r, BATCH, NULL));
            tb_must(tb_release_all(r, BATCH));
        }
        rate[k] = 100.0 * BATCH / (bench_now() - t);
    }
    tb_must(tb_actor_release(actor));
    bench_row("actor_async_1_1", bench_median(rate, ROUNDS), "calls/s", 400e3);
}

static double calls_at_once(const tb_actor *actor)
{
    double first = 0, last = 0;
    tb_ref r[CALLERS][2];

    for (int i = 0; i < CALLERS; i++)
        tb_must(tb_remote_n(caller, r[i], 2, actor[i], (int)CALLS));
    for (int i = 0; i < CALLERS; i++) {
        double t[2];

        tb_must(tb_get_all(r[i], 2, t));
        tb_must(tb_release_all(r[i], 2));
        first = i == 0 || t[0] < first ? t[0] : first;
        last = t[1] > last ? t[1] : last;
    }
    return (double)CALLERS * CALLS / (last - first);
}

/* Callers are tasks: each calls an actor of its own, wherever the two are. */
static void actor_async_n_n(const char *name)
{
    tb_actor actor[CALLERS];
    double rate[ROUNDS];

    for (int i = 0; i < CALLERS; i++)
        actor[i] = tb_actor_new(counter);
    for (int i = 0; i < CALLERS; i++)
        call_us(actor[i], 10);
    calls_at_once(actor);
    for (int k = 0; k < ROUNDS; k++)
        rate[k] = calls_at_once(actor);
    for (int i = 0; i < CALLERS; i++)
        tb_must(tb_actor_release(actor[i]));
    bench_row(name, bench_median(rate, ROUNDS), "calls/s", 250e3);
}

/* How long a call takes that waits for its value, in microseconds. */
static int waiting_caller(tb_call *call)
{
    tb_actor actor = tb_arg_actor(call, 0);

    call_us(actor, 10); /* the first one goes by the head, and asks where the actor lives */
    return tb_return(call, call_us(actor, tb_arg_int(call, 1)));
}
TB_TASK(waiting_caller, .num_cpus = TB_NONE, .strategy = TB_STRATEGY_NODE);

static double waiting_caller_us(tb_actor actor)
{
    tb_ref r = tb_remote_with(waiting_caller, TB_OPTIONS(.node = 2), actor, 2000);
    double us;

    tb_must(tb_get(r, &us));
    tb_must(tb_release(r));
    return us;
}

/* From a task on rank 2 to an actor on rank 1: directly; and by the head, which has to count the calls of an actor that
 * limits them. */
static void actor_sync_ranks(void)
{
    tb_actor unlimited = tb_actor_new_with(counter, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = 1));
    tb_actor limited = tb_actor_new_with(counter, TB_OPTIONS(.strategy = TB_STRATEGY_NODE, .node = 1,
                                                             .max_pending_calls = BATCH));
    double direct[ROUNDS], by_head[ROUNDS];

    for (int k = 0; k < ROUNDS; k++) {
        direct[k] = waiting_caller_us(unlimited);
        by_head[k] = waiting_caller_us(limited);
    }
    tb_must(tb_actor_release(unlimited));
    tb_must(tb_actor_release(limited));
    bench_row("actor_sync_ranks", bench_median(direct, ROUNDS), "us", 0);
    bench_row("actor_sync_head", bench_median(by_head, ROUNDS), "us", 0);
}

/* So many at a time, each called once. */
static double created_per_second(int n)
{
    double t = bench_now();

    for (int done = 0; done < n; done += WINDOW) {
        tb_actor actor[WINDOW];
        tb_ref r[WINDOW];

        for (int i = 0; i < WINDOW; i++) {
            actor[i] = tb_actor_new(counter);
            r[i] = tb_actor_call(actor[i], increment);
        }
        tb_must(tb_get_all(r, WINDOW, NULL));
        tb_must(tb_release_all(r, WINDOW));
        for (int i = 0; i < WINDOW; i++)
            tb_must(tb_actor_release(actor[i]));
    }
    return n / (bench_now() - t);
}

static void actor_create(void)
{
    double rate[ROUNDS];

    created_per_second(100);
    for (int k = 0; k < ROUNDS; k++)
        rate[k] = created_per_second(200);
    bench_row("actor_create", bench_median(rate, ROUNDS), "actors/s", 500);
}

static void actor_live(void)
{
    static tb_actor actor[LIVE];
    static tb_ref r[LIVE];
    int64_t bytes[LIVE], most = 0;

    for (int i = 0; i < LIVE; i++)
        actor[i] = tb_actor_new(counter);
    for (int i = 0; i < LIVE; i++)
        r[i] = tb_actor_call(actor[i], increment);
    tb_must(tb_get_all(r, LIVE, NULL));
    tb_must(tb_release_all(r, LIVE));
    for (int i = 0; i < LIVE; i++)
        r[i] = tb_actor_call(actor[i], unshared);
    tb_must(tb_get_all(r, LIVE, bytes));
    tb_must(tb_release_all(r, LIVE));
    for (int i = 0; i < LIVE; i++)
        most = bytes[i] > most ? bytes[i] : most;
    for (int i = 0; i < LIVE; i++)
        tb_must(tb_actor_release(actor[i]));
    bench_row("actor_live", (double)(most + RINGS + 3 * sysconf(_SC_PAGESIZE)) / (1 << 20), "MiB", 2);
}

int main(int argc, char **argv)
{
    int nodes;

    tb_must(tb_init(&argc, &argv, NULL));
    nodes = tb_nodes(NULL, 0);
    if (nodes > 1) {
        actor_async_n_n("actor_async_n_n_ranks");
        actor_sync_ranks();
        return tb_finalize();
    }
    actor_sync();
    actor_async_1_1();
    actor_async_n_n("actor_async_n_n");
    actor_create();
    actor_live();
    return tb_finalize();
}
