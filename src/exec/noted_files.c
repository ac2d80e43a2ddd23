/* noted_files.c - descriptors 0 to 2 and the streams over them. A later task's file must not become one of them, and be
 * printed into: a process in which they are not what they were runs no other task. */
#include "exec/noted.h"
#include "exec/locked.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    dev_t device;
    ino_t inode;
} standard[3];

void tbi_standard_start(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        struct stat s;

        if (fstat(fd, &s) != 0)
            continue;
        standard[fd].device = s.st_dev;
        standard[fd].inode = s.st_ino;
    }
}

bool tbi_standard_undo(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        struct stat s;

        if (fstat(fd, &s) != 0 || s.st_dev != standard[fd].device || s.st_ino != standard[fd].inode)
            return false;
    }
    return true;
}

static void note(int fd)
{
    if (fd >= 0 && fd <= 2)
        tbi_note(TBI_NOTED_STANDARD);
}

static int (*own_close)(int);
static int noted_close(int fd)
{
    note(fd);
    return own_close(fd);
}

static int (*own_dup2)(int, int);
static int noted_dup2(int fd, int to)
{
    note(to);
    return own_dup2(fd, to);
}

static int (*own_dup3)(int, int, int);
static int noted_dup3(int fd, int to, int flags)
{
    note(to);
    return own_dup3(fd, to, flags);
}

static int (*own_close_range)(unsigned, unsigned, int);
static int noted_close_range(unsigned from, unsigned to, int flags)
{
    if (from <= 2)
        tbi_note(TBI_NOTED_STANDARD);
    return own_close_range(from, to, flags);
}

static void (*own_closefrom)(int);
static void noted_closefrom(int from)
{
    if (from <= 2)
        tbi_note(TBI_NOTED_STANDARD);
    own_closefrom(from);
}

/* The stream is of no use any more, or another, whatever becomes of its descriptor. */
static void note_stream(FILE *f)
{
    if (f == stdin || f == stdout || f == stderr)
        tbi_note(TBI_NOTED_LASTING);
    else
        note(fileno(f));
    tbi_locked_forget(f);
}

static int (*own_fclose)(FILE *);
static int noted_fclose(FILE *f)
{
    note_stream(f);
    return own_fclose(f);
}

static FILE *(*own_freopen)(const char *, const char *, FILE *);
static FILE *noted_freopen(const char *path, const char *mode, FILE *f)
{
    note_stream(f);
    return own_freopen(path, mode, f);
}

static FILE *(*own_freopen64)(const char *, const char *, FILE *);
static FILE *noted_freopen64(const char *path, const char *mode, FILE *f)
{
    note_stream(f);
    return own_freopen64(path, mode, f);
}

static void (*own_flockfile)(FILE *);
static void noted_flockfile(FILE *f)
{
    own_flockfile(f);
    tbi_locked_add(f, 1);
}

static int (*own_ftrylockfile)(FILE *);
static int noted_ftrylockfile(FILE *f)
{
    int rc = own_ftrylockfile(f);

    if (rc == 0)
        tbi_locked_add(f, 1);
    return rc;
}

static void (*own_funlockfile)(FILE *);
static void noted_funlockfile(FILE *f)
{
    tbi_locked_add(f, -1);
    own_funlockfile(f);
}

const struct tbi_noted tbi_noted_files[] = {
    TBI_NOTED_ROW(close), TBI_NOTED_ROW(dup2), TBI_NOTED_ROW(dup3), TBI_NOTED_ROW(close_range),
    TBI_NOTED_ROW(closefrom), TBI_NOTED_ROW(fclose), TBI_NOTED_ROW(freopen), TBI_NOTED_ROW(freopen64),
    TBI_NOTED_ROW(flockfile), TBI_NOTED_ROW(ftrylockfile), TBI_NOTED_ROW(funlockfile), {NULL, NULL, NULL}};
