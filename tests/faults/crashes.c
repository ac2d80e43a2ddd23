/* crashes.c WORKERS [KILLS] - after thousands of executors killed at random points, under nested tasks with
 * large objects, a job is what it was: its processes, descriptors and memory, its rings and slots and
 * its store. Two rounds of KILLS are compared; TB_FAULT says where they are killed (see crashes.sh).
 * Nothing is waited for by sleeping: what has to settle is asked for again after a task has run. */
#include "census.h"
#include "work.h"

#include "util/fault.h"

#include <string.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 16,
    TRIES = 10000,
    BATCH = 20,             /* trees */
    MORE_EXECUTORS = 8,     /* of a rank: how many are blocked at once is chance */
#ifdef __SANITIZE_ADDRESS__
    GROWTH_KB = 1 << 20     /* what is freed stays in quarantine */
#else
    GROWTH_KB = 1024        /* that a second round may cost a process */
#endif
};

static int nworkers;
static const char *what = "start";

static void no(const char *why, long a, long b)
{
    printf("FAILED: %s: %s: %ld, %ld\n", what, why, a, b);
    exit(1);
}

/* ---- what the system says of a process ---- */

static struct census census_for_sure(int pid)
{
    struct census c = census_of(pid);

    if (c.descriptors == 0 || c.kb == 0)
        no("a process cannot be looked at", pid, 0);
    return c;
}

/* ---- tasks that look at their rank ---- */

struct worker {
    int rank, rank_pid, zygote;
    int64_t kills;
};

/* Lets faults happen on its rank, or not, and tells how things are there. */
static int look(tb_call *call)
{
    struct tbi_fault_board *board = tbi_fault_board();
    struct worker w = {.rank = tb_call_rank(call), .zygote = getppid()};
    char state;

    board->silent = tb_arg_int(call, 0);
    w.rank_pid = census_parent(w.zygote, &state);
    for (int i = 0; i <= TBI_FAULT_ALLOC; i++)
        w.kills += (int64_t)board->fired[i];
    return tb_return(call, tb_struct(w));
}
TB_TASK(look, .num_cpus = 2); /* all of a rank, so that the next goes to another */

/* Nearly all of its rank's store at once: it has to be empty. */
static int fill(tb_call *call)
{
    char *room;
    tb_ref r = tb_create_array(&room, (size_t)tb_arg_int64(call, 0));

    if (room == NULL)
        return tb_get(r, NULL);
    room[0] = 1;
    return tb_return(call, tb_call_rank(call));
}
TB_TASK(fill, .num_cpus = 2);

static int nothing(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(nothing);

/* All workers, in order of ranks; sets whether faults happen. */
static void look_at(struct worker *worker, int silent)
{
    int seen = 0;

    memset(worker, 0, WORKERS_MAX * sizeof *worker);
    for (int try = 0; seen < nworkers && try < TRIES; try++) {
        tb_ref r[8];

        for (int i = 0; i < 8; i++)
            r[i] = tb_remote(look, silent);
        for (int i = 0; i < 8; i++) {
            struct worker w;
            int rc = tb_get_struct(r[i], &w), at;

            if (rc == TB_ERR_CRASHED)
                continue;
            tb_must(rc);
            at = nworkers == 1 ? 0 : w.rank - 1;
            seen += worker[at].zygote == 0;
            worker[at] = w;
        }
        tb_must(tb_release_all(r, 8));
    }
    if (seen < nworkers)
        no("ranks could not be reached", seen, nworkers);
    tbi_fault_board()->silent = silent; /* the driver's rank */
}

static int64_t kills(const struct worker *worker)
{
    int64_t n = 0;

    for (int i = 0; i < nworkers; i++)
        n += worker[i].kills;
    return n;
}

/* ---- rounds ---- */

struct books {
    struct census process[1 + 2 * WORKERS_MAX]; /* the driver, each worker's rank and zygote */
    int n, executors[WORKERS_MAX];
};

/* In silence: the store of each rank takes an object of nearly all of it. */
static void fill_stores(int64_t bytes)
{
    int seen[1 + WORKERS_MAX] = {0}, n = 0;
    char *room;
    tb_ref own = tb_create_array(&room, (size_t)bytes);

    if (room == NULL)
        tb_must(tb_get(own, NULL));
    tb_must(tb_release(own));
    for (int try = 0; n < nworkers && try < TRIES; try++) {
        tb_ref r[4];
        int rank;

        for (int i = 0; i < 4; i++)
            r[i] = tb_remote(fill, bytes);
        for (int i = 0; i < 4; i++) {
            tb_must(tb_get(r[i], &rank));
            n += seen[rank]++ == 0;
        }
        tb_must(tb_release_all(r, 4));
    }
    if (n < nworkers)
        no("stores could not be reached", n, nworkers);
}

static struct books take_books(void)
{
    struct books b = {0};
    struct worker worker[WORKERS_MAX];
    int zombies;

    look_at(worker, 1);
    fill_stores((int64_t)atoi(getenv("TB_STORE")) * 1024 * 1024 / 10 * 9);
    b.process[b.n++] = census_for_sure(getpid());
    for (int i = 0; i < nworkers; i++) {
        if (worker[i].rank_pid != getpid())
            b.process[b.n++] = census_for_sure(worker[i].rank_pid);
        for (int try = 0; try < TRIES; try++) {
            tb_ref r;

            b.executors[i] = census_children(worker[i].zygote, NULL, 0, &zombies);
            if (zombies == 0)
                break;
            r = tb_remote(nothing, 0);
            tb_must(tb_get(r, NULL));
            tb_must(tb_release(r));
        }
        if (zombies > 0)
            no("executors are not reaped", zombies, b.executors[i]);
        b.process[b.n] = census_for_sure(worker[i].zygote);
        b.process[b.n++].descriptors -= 2 * b.executors[i]; /* the pipes of those that live */
        printf("%s: rank %d has %d executors\n", what, worker[i].rank, b.executors[i]);
    }
    for (int i = 0; i < b.n; i++)
        printf("%s: process %d has %d descriptors, %ld kB\n", what, i, b.process[i].descriptors,
               b.process[i].kb);
    return b;
}

static struct books crash(int64_t wanted)
{
    static int seed;
    struct worker worker[WORKERS_MAX];
    struct work_outcome sum = {0};
    int64_t before, now;

    look_at(worker, 0);
    before = now = kills(worker);
    for (int try = 0; now - before < wanted && try < TRIES; try++) {
        struct work_outcome o = work_trees(BATCH, 2, seed += BATCH);

        sum.right += o.right;
        sum.crashed += o.crashed;
        sum.full += o.full;
        look_at(worker, 0);
        now = kills(worker);
    }
    if (now - before < wanted)
        no("too few executors were killed", (long)(now - before), (long)wanted);
    printf("%s: %ld executors killed, %d trees right, %d crashed, %d without memory\n", what,
           (long)(now - before), sum.right, sum.crashed, sum.full);
    if (sum.right == 0)
        no("no tree came through", sum.crashed, sum.full);
    return take_books();
}

static void run_plain_tasks(int n)
{
    tb_ref *r = malloc((size_t)n * sizeof *r);
    int v;

    for (int i = 0; i < n; i++)
        r[i] = tb_remote(nothing, i);
    for (int i = 0; i < n; i++) {
        tb_must(tb_get(r[i], &v));
        if (v != i)
            no("a plain task gave another's value", v, i);
    }
    tb_must(tb_release_all(r, (size_t)n));
    free(r);
}

static void compare(const struct books *before, const struct books *first,
                    const struct books *second)
{
    for (int i = 0; i < nworkers; i++)
        if (second->executors[i] > before->executors[i] + MORE_EXECUTORS)
            no("executors stay", before->executors[i], second->executors[i]);
    for (int i = 0; i < before->n; i++) {
        const struct census *began = &before->process[i], *a = &first->process[i],
                            *b = &second->process[i];

        if (b->descriptors != began->descriptors)
            no("descriptors are not as they began", began->descriptors, b->descriptors);
        if (b->kb > a->kb + GROWTH_KB)
            no("memory is not as it was", a->kb, b->kb);
    }
}

int main(int argc, char **argv)
{
    struct books before, first, second;
    struct worker worker[WORKERS_MAX];
    int64_t wanted;

    nworkers = argc > 1 ? atoi(argv[1]) : 1;
    wanted = argc > 2 ? atoi(argv[2]) : 1500;
    tb_must(tb_init(&argc, &argv, NULL));
    look_at(worker, 1);
    if (work_trees(10 * BATCH, 2, 0).right != 10 * BATCH)
        no("trees fail in silence", 0, 0);
    before = take_books();
    what = "first round";
    first = crash(wanted);
    what = "second round";
    second = crash(wanted);
    what = "after both";
    compare(&before, &first, &second);
    run_plain_tasks(2000);
    if (work_trees(BATCH, 2, 1000000).right != BATCH)
        no("trees fail in silence", 0, 0);
    printf("as it began\n");
    return tb_finalize();
}
