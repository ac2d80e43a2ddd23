/* census.h - what the system says of a process of this job: memory of its own, descriptors, and its children. For
 * tests that compare a job with what it was before. Read from /proc, so of processes of the same host. */
#ifndef TB_CENSUS_H
#define TB_CENSUS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct census {
    int descriptors;
    long kb;        /* of memory of its own: not the store's */
};

/* All zero: there is no such process, or it may not be looked at. */
static inline struct census census_of(int pid)
{
    struct census c = {0};
    char path[64], line[256];
    DIR *dir;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL)
        c.descriptors++;
    if (dir != NULL)
        closedir(dir);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "RssAnon: %ld kB", &c.kb);
    if (f != NULL)
        fclose(f);
    return c;
}

/* 0: there is no such process. */
static inline int census_parent(int pid, char *state)
{
    char path[64], *end, text[512] = "";
    int parent = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (f == NULL)
        return 0;
    if (fgets(text, sizeof text, f) != NULL && (end = strrchr(text, ')')) != NULL &&
        sscanf(end, ") %c %d", state, &parent) != 2)
        parent = 0;
    fclose(f);
    return parent;
}

/* Writes the first `room` children of a process to child[], which may be NULL. Returns how many there are, and how
 * many of them nobody has reaped. */
static inline int census_children(int of, int *child, int room, int *zombies)
{
    DIR *dir = opendir("/proc");
    const struct dirent *e;
    int n = 0;

    *zombies = 0;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        int pid = atoi(e->d_name);
        char state = 0;

        if (pid <= 0 || census_parent(pid, &state) != of)
            continue;
        if (child != NULL && n < room)
            child[n] = pid;
        n++;
        *zombies += state == 'Z';
    }
    if (dir != NULL)
        closedir(dir);
    return n;
}

#endif
