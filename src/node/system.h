/* system.h - where what is found out about this machine is read from: the files below `root` and
 * the environment. Tests give a made-up folder and variables of their own; everybody else asks
 * tbi_system_here. Three cases are told apart: a file that can be read, one that is not there or not for this process to
 * read, which means that there is no such limit or device, and one that should be readable and is not, of which nothing
 * is known (no free descriptor, an I/O error). The first of these last ones is noted in `unread`. */
#ifndef TBI_SYSTEM_H
#define TBI_SYSTEM_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct tbi_unread {
    int error;                          /* errno; 0: there is no such file */
    char path[128];
};

struct tbi_system {
    const char *root;                   /* "": the real one; in front of every path */
    char *(*getenv)(const char *name);  /* NULL: not set */
    struct tbi_unread *unread;          /* the first file that should be readable and is not; may be NULL */
};

/* This machine. All that ask share one `unread`, of this process. */
struct tbi_system tbi_system_here(void);

enum { TBI_PATH = 4096 };

/* Opens for reading; NULL if it cannot be. */
FILE *tbi_system_open(const struct tbi_system *sys, const char *path);
DIR *tbi_system_open_folder(const struct tbi_system *sys, const char *path);
/* Notes that `path` could not be looked at, if this error means that nothing is known of it. */
void tbi_system_note(const struct tbi_system *sys, const char *path, int error);
/* Reads the start of a small file as text. False, and an empty text: it cannot be read. */
bool tbi_system_read(const struct tbi_system *sys, const char *path, char *text, size_t size);
/* May this process read and write `path`? The kernel takes the cgroup's devices into account. */
bool tbi_system_usable(const struct tbi_system *sys, const char *path);

#endif
