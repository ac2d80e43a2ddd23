/* micro.c - what one task, one put, one get and one wait cost, seen by the driver. One head and one
 * worker rank: bench/run micro starts it. Limits that depend on the machine are measured between the
 * rounds of what they limit; every value is the median of the rounds. */
#include "bench.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thornback.h>

enum { ROUNDS = 7, BATCH = 1000 };

static int empty(tb_call *call) { return tb_return(call, 1); }
TB_TASK(empty);

static int array(tb_call *call)
{
    double *room;

    tb_must(tb_return_array(call, 0, &room, (size_t)tb_arg_int64(call, 0)));
    room[0] = 1;
    return 0;
}
TB_TASK(array);

/* Busy until the moment given, which it returns as it saw it. */
static int until(tb_call *call)
{
    double t = tb_arg_double(call, 0), now;

    while ((now = bench_now()) < t) {
    }
    return tb_return(call, now);
}
TB_TASK(until);

static int after(tb_call *call) { return tb_return(call, tb_arg_double(call, 0)); }
TB_TASK(after);

/* ---- the machine's own figures ---- */

/* Four futex hops through three processes: driver, relay, end, relay, driver. */
struct chain {
    _Alignas(64) _Atomic uint32_t word[4];
};
static struct chain *chain;

static void hop(_Atomic uint32_t *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await(_Atomic uint32_t *word, uint32_t seen)
{
    while (atomic_load(word) == seen)
        syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void start_chain(void)
{
    chain = mmap(NULL, sizeof *chain, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int who = 0; who < 2; who++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (uint32_t n = 0;; n++) {
                await(&chain->word[who ? 1 : 0], n);
                hop(&chain->word[who ? 2 : 1]);
                if (who == 0) {
                    await(&chain->word[2], n);
                    hop(&chain->word[3]);
                }
            }
        }
}

static double chain_us(int times)
{
    double t = bench_now();

    for (int i = 0; i < times; i++) {
        uint32_t seen = atomic_load(&chain->word[3]);

        hop(&chain->word[0]);
        await(&chain->word[3], seen);
    }
    return (bench_now() - t) / times * 1e6;
}

/* ---- rows ---- */

/* All that was let go is gone when this returns. */
static void settle(void)
{
    for (int i = 0; i < 2; i++) {
        tb_ref r = tb_remote(empty);

        tb_must(tb_get(r, NULL));
        tb_must(tb_release(r));
    }
}

/* Dies in its first attempt; the second says how long after that it began. Each rank, and so its
 * executors, has a page of its own. */
static double *died_at;

static int die_once(tb_call *call)
{
    if (tb_call_attempt(call) == 0) {
        *died_at = bench_now();
        raise(SIGKILL);
    }
    return tb_return(call, bench_now() - *died_at);
}
TB_TASK(die_once);

static void recover_executor(void)
{
    double ms[5 * ROUNDS];

    for (int k = 0; k < 5 * ROUNDS; k++) {
        tb_ref r = tb_remote(die_once);
        double seconds;

        tb_must(tb_get(r, &seconds));
        tb_must(tb_release(r));
        ms[k] = seconds * 1e3;
    }
    bench_row("recover_executor", bench_median(ms, 5 * ROUNDS), "ms", 0);
}

static void task_async(void)
{
    double rate[ROUNDS];
    tb_ref r[BATCH];

    for (int k = 0; k < ROUNDS; k++) {
        double t = bench_now();

        for (int b = 0; b < 100; b++) {
            for (int i = 0; i < BATCH; i++)
                r[i] = tb_remote(empty);
            tb_must(tb_get_all(r, BATCH, NULL));
            tb_must(tb_release_all(r, BATCH));
        }
        rate[k] = 100.0 * BATCH / (bench_now() - t);
    }
    bench_row("task_async", bench_median(rate, ROUNDS), "tasks/s", 500e3);
}

/* The same, all under way at once and waited for together. */
static void wait_for_all(void)
{
    enum { N = 200000 };
    double rate[ROUNDS];
    tb_ref *r = malloc(N * sizeof *r);

    for (int k = 0; k < ROUNDS; k++) {
        double t = bench_now();
        size_t ready;

        for (int i = 0; i < N; i++)
            r[i] = tb_remote(empty);
        tb_must(tb_wait(r, N, N, -1, &ready));
        tb_must(tb_release_all(r, N));
        rate[k] = N / (bench_now() - t);
    }
    bench_row("wait_all", bench_median(rate, ROUNDS), "tasks/s", 0);
    free(r);
}

static void task_sync(void)
{
    double task[ROUNDS], hops[ROUNDS];
    int n = 2000;

    for (int k = 0; k < ROUNDS; k++) {
        double t = bench_now();

        for (int i = 0; i < n; i++) {
            tb_ref r = tb_remote(empty);

            tb_must(tb_get(r, NULL));
            tb_must(tb_release(r));
        }
        task[k] = (bench_now() - t) / n * 1e6;
        hops[k] = chain_us(n);
    }
    bench_row("task_sync", bench_median(task, ROUNDS), "us", 2 * bench_median(hops, ROUNDS));
}

static void small(void)
{
    double put[ROUNDS], get[ROUNDS];
    int n = 100000, v;

    for (int k = 0; k < ROUNDS; k++) {
        double t = bench_now();
        tb_ref r;

        for (int i = 0; i < n; i++) {
            r = tb_put(i);
            tb_must(tb_release(r));
        }
        settle(); /* the directory has seen them all */
        put[k] = n / (bench_now() - t);
        t = bench_now();
        for (int i = 0; i < n; i++) { /* a new object each time: a repeated get is a look-up */
            r = tb_put(i);
            tb_must(tb_get(r, &v));
            tb_must(tb_release(r));
        }
        get[k] = n / (bench_now() - t);
    }
    bench_row("put_small", bench_median(put, ROUNDS), "ops/s", 500e3);
    bench_row("get_small", bench_median(get, ROUNDS), "ops/s", 500e3);
}

static void large(void)
{
    size_t n = (size_t)32 << 20, bytes = n * sizeof(double);
    double *from = malloc(bytes), put[ROUNDS], copy[ROUNDS];
    double *warm = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double cold = bench_now();
    tb_ref r;

    memset(from, 1, bytes);
    memset(warm, 1, bytes);
    cold = bench_now();
    r = tb_put_array(from, n);
    cold = bench_now() - cold;
    for (int k = 0; k < ROUNDS; k++) {
        double t;

        tb_must(tb_release(r));
        settle();
        t = bench_now();
        r = tb_put_array(from, n);
        put[k] = (double)bytes / (bench_now() - t) / 1e9;
        t = bench_now();
        memcpy(warm, from, bytes);
        copy[k] = (double)bytes / (bench_now() - t) / 1e9;
    }
    tb_must(tb_get(r, NULL));
    tb_must(tb_release(r));
    bench_row("put_large", bench_median(put, ROUNDS), "GB/s", 0.8 * bench_median(copy, ROUNDS));
    bench_row("put_large_cold", (double)bytes / cold / 1e9, "GB/s", 0);
    munmap(warm, bytes);
    free(from);
}

static double view_us(tb_ref r, int times)
{
    const double *view;
    size_t n;
    double t = bench_now();

    for (int i = 0; i < times; i++) {
        tb_must(tb_get_array(r, &view, &n));
        tb_must(tb_unpin(r));
    }
    return (bench_now() - t) / times * 1e6;
}

static void views(void)
{
    double us[ROUNDS], first[ROUNDS], again[ROUNDS], *room;
    int64_t n = (int64_t)1 << 27;
    tb_ref own = tb_create_array(&room, (size_t)n), r;

    room[0] = 1;
    tb_must(tb_seal(own));
    for (int k = 0; k < ROUNDS; k++)
        us[k] = view_us(own, 1000);
    tb_must(tb_release(own));
    settle();
    for (int k = 0; k < ROUNDS; k++) {
        size_t ready;

        r = tb_remote(array, (int64_t)1 << 20);
        tb_must(tb_wait_with(&r, 1, 1, -1, TB_WAIT_ONLY_EXISTS, &ready));
        first[k] = view_us(r, 1);
        again[k] = view_us(r, 200);
        tb_must(tb_release(r));
    }
    bench_row("get_large", bench_median(us, ROUNDS), "us", 5);
    bench_row("get_large_worker_first", bench_median(first, ROUNDS), "us", 0);
    bench_row("get_large_worker_again", bench_median(again, ROUNDS), "us", 0);
}

/* How long after the first of n tasks has ended a wait for one of them returns. With one, it is what
 * this machine needs to wake two processes that have slept for 50 ms. */
static void wait_for_one_of(const char *name, int n, double limit)
{
    double late[ROUNDS];
    tb_ref r[1000];

    for (int k = 0; k < ROUNDS; k++) {
        double when, now;
        size_t ready;

        r[0] = tb_remote(until, bench_now() + 0.05);
        for (int i = 1; i < n; i++)
            r[i] = tb_remote(after, r[i - 1]);
        tb_must(tb_wait(r, (size_t)n, 1, -1, &ready));
        now = bench_now();
        tb_must(tb_get(r[0], &when));
        late[k] = (now - when) * 1e6;
        tb_must(tb_wait(r, (size_t)n, (size_t)n, -1, &ready));
        tb_must(tb_release_all(r, (size_t)n));
    }
    bench_row(name, bench_median(late, ROUNDS), "us", limit);
}

int main(int argc, char **argv)
{
    start_chain();
    died_at = mmap(NULL, sizeof *died_at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tb_must(tb_init(&argc, &argv, NULL));
    settle();
    task_async();
    wait_for_all();
    task_sync();
    small();
    wait_for_one_of("wait_1", 1, 0);
    wait_for_one_of("wait_1k", 1000, 100);
    large();
    views();
    recover_executor();
    return tb_finalize();
}
