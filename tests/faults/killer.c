/* killer.c - an executor is killed every 50 ms while trees of nested tasks with large objects run, all
 * of them with unlimited retries: every result must be right. Arguments: seconds. Prints what was
 * survived. The executors are found in /proc, so all ranks must be on this machine. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <thornback.h>

enum { ELEMENTS = 128 * 1024, DEPTH = 4, PROCESSES = 4096 }; /* 1 MiB an object */

/* The sum of the arrays of its two children; a leaf makes its own. arguments: depth, seed */
static int tree(tb_call *call)
{
    int depth = tb_arg_int(call, 0);
    int64_t seed = tb_arg_int64(call, 1), *out;

    if (depth > 0) {
        tb_ref child[2];
        const int64_t *in[2];
        size_t n[2];

        for (int i = 0; i < 2; i++)
            child[i] = tb_remote(tree, depth - 1, 2 * seed + i);
        for (int i = 0; i < 2; i++) {
            int rc = tb_get_array(child[i], &in[i], &n[i]);

            if (rc != 0)
                return rc;
        }
        tb_must(tb_return_array(call, 0, &out, ELEMENTS));
        for (size_t i = 0; i < ELEMENTS; i++)
            out[i] = in[0][i] + in[1][i];
        return 0;
    }
    tb_must(tb_return_array(call, 0, &out, ELEMENTS));
    for (int64_t i = 0; i < ELEMENTS; i++)
        out[i] = seed * i + 1;
    return 0;
}
TB_TASK(tree, .max_retries = -1);

static int64_t expected(int depth, int64_t seed, int64_t i)
{
    return depth == 0 ? seed * i + 1
                      : expected(depth - 1, 2 * seed, i) + expected(depth - 1, 2 * seed + 1, i);
}

/* ---- the killer ---- */

static _Atomic bool stop;
static _Atomic int kills;

struct process {
    int pid, parent;
};

/* All processes of this program. */
static int list(struct process *p, const char *name)
{
    DIR *dir = opendir("/proc");
    const struct dirent *e;
    int n = 0;

    while (dir != NULL && (e = readdir(dir)) != NULL && n < PROCESSES) {
        char path[300], comm[64], state;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        if (e->d_name[0] < '0' || e->d_name[0] > '9' || (f = fopen(path, "r")) == NULL)
            continue;
        if (fscanf(f, "%d (%63[^)]) %c %d", &p[n].pid, comm, &state, &p[n].parent) == 4 &&
            strcmp(comm, name) == 0 && state != 'Z')
            n++;
        fclose(f);
    }
    if (dir != NULL)
        closedir(dir);
    return n;
}

static const struct process *find(const struct process *p, int n, int pid)
{
    for (int i = 0; i < n; i++)
        if (p[i].pid == pid)
            return &p[i];
    return NULL;
}

/* Executors are the grandchildren of ranks of this job; a rank's parent is the driver's, or it is the
 * driver. */
static int pick_executor(const struct process *p, int n, uint64_t *random)
{
    int executor[PROCESSES], found = 0;

    for (int i = 0; i < n; i++) {
        const struct process *zygote = find(p, n, p[i].parent);
        const struct process *rank = zygote == NULL ? NULL : find(p, n, zygote->parent);

        if (rank != NULL && (rank->pid == getpid() || rank->parent == getppid()))
            executor[found++] = p[i].pid;
    }
    *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return found == 0 ? 0 : executor[(*random >> 33) % (uint64_t)found];
}

static void *killer(void *name)
{
    static struct process p[PROCESSES];
    uint64_t random = (uint64_t)time(NULL);

    while (!stop) {
        struct timespec pause = {0, 50000000};
        int pid = pick_executor(p, list(p, name), &random);

        if (pid > 0 && kill(pid, SIGKILL) == 0)
            kills++;
        nanosleep(&pause, NULL); /* the pace of the killing, nothing waits for it */
    }
    return NULL;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    time_t end;
    pthread_t thread;
    int trees = 0;
    char name[16];

    tb_must(tb_init(&argc, &argv, NULL));
    snprintf(name, sizeof name, "%s", strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0]);
    pthread_create(&thread, NULL, killer, name);
    for (end = time(NULL) + (time_t)seconds; time(NULL) < end;) {
        tb_ref r[4];

        for (int k = 0; k < 4; k++)
            r[k] = tb_remote(tree, DEPTH, (int64_t)(trees + k));
        for (int k = 0; k < 4; k++, trees++) {
            const int64_t *view;
            size_t n;

            tb_must(tb_get_array(r[k], &view, &n));
            for (int64_t i = 0; i < ELEMENTS; i += 997)
                if (n != ELEMENTS || view[i] != expected(DEPTH, trees, i)) {
                    fprintf(stderr, "tree %d is wrong at %lld\n", trees, (long long)i);
                    return 1;
                }
        }
        tb_must(tb_release_all(r, 4));
    }
    stop = true;
    pthread_join(thread, NULL);
    printf("survived %d kills in %g s: %d trees of %d tasks, all right\n", kills, seconds, trees,
           (2 << DEPTH) - 1);
    tb_must(tb_finalize());
    return kills > 0 && trees > 0 ? 0 : 1;
}
