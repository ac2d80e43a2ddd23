/* killer.h - kills executors of this job, one after the other, chosen at random, while the program does something
 * that has to survive it. They are found in /proc, so all ranks must be on this machine. */
#ifndef TB_KILLER_H
#define TB_KILLER_H

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 4096 };

static _Atomic bool killer_stop;
static _Atomic int killer_kills;
static pthread_t killer_thread;
static char killer_name[16];
static int killer_pause_ms;

struct process {
    int pid, parent;
};

/* All processes of this program. */
static inline int list(struct process *p, const char *name)
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

static inline const struct process *find(const struct process *p, int n, int pid)
{
    for (int i = 0; i < n; i++)
        if (p[i].pid == pid)
            return &p[i];
    return NULL;
}

/* Executors are the grandchildren of ranks of this job; a rank's parent is the driver's, or it is the
 * driver. */
static inline int pick_executor(const struct process *p, int n, uint64_t *random)
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

static inline void *killer(void *unused)
{
    static struct process p[PROCESSES];
    uint64_t random = (uint64_t)time(NULL);

    (void)unused;
    while (!killer_stop) {
        struct timespec pause = {0, killer_pause_ms * 1000000L};
        int pid = pick_executor(p, list(p, killer_name), &random);

        if (pid > 0 && kill(pid, SIGKILL) == 0)
            killer_kills++;
        nanosleep(&pause, NULL); /* the pace of the killing, nothing waits for it */
    }
    return NULL;
}

/* After tb_init, with main's argv[0]. */
static inline void killer_begin(const char *program, int pause_ms)
{
    snprintf(killer_name, sizeof killer_name, "%s", strrchr(program, '/') ? strrchr(program, '/') + 1 : program);
    killer_pause_ms = pause_ms;
    if (pthread_create(&killer_thread, NULL, killer, NULL) != 0)
        abort();
}

/* Returns how many were killed. */
static inline int killer_end(void)
{
    killer_stop = true;
    pthread_join(killer_thread, NULL);
    return killer_kills;
}

#endif
