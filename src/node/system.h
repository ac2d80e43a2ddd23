/* system.h - where what is found out about this machine is read from: the files below `root` and
 * the environment. Tests give a made-up folder and variables of their own; everybody else asks
 * tbi_system_here. Reading never fails: what is not there is told apart from what is. */
#ifndef TBI_SYSTEM_H
#define TBI_SYSTEM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct tbi_system {
    const char *root;                   /* "": the real one; in front of every path */
    char *(*getenv)(const char *name);  /* NULL: not set */
};

static inline struct tbi_system tbi_system_here(void)
{
    return (struct tbi_system){"", getenv};
}

enum { TBI_PATH = 4096 };

/* Opens for reading; NULL if it cannot be. */
FILE *tbi_system_open(const struct tbi_system *sys, const char *path);
/* Reads the start of a small file as text. False, and an empty text: it cannot be read. */
bool tbi_system_read(const struct tbi_system *sys, const char *path, char *text, size_t size);
/* May this process read and write `path`? The kernel takes the cgroup's devices into account. */
bool tbi_system_usable(const struct tbi_system *sys, const char *path);

#endif
