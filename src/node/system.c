#include "node/system.h"

#include <errno.h>
#include <unistd.h>

struct tbi_system tbi_system_here(void)
{
    static struct tbi_unread unread;

    return (struct tbi_system){"", getenv, &unread};
}

/* Not there, no longer there, or not for this process: what it says is then no limit of ours. */
static bool means_absent(int error)
{
    static const int absent[] = {ENOENT, ENOTDIR, ESRCH, EACCES, EPERM, ENODEV, ENXIO, EOPNOTSUPP};

    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        if (error == absent[i])
            return true;
    return false;
}

void tbi_system_note(const struct tbi_system *sys, const char *path, int error)
{
    if (sys->unread == NULL || sys->unread->error != 0 || means_absent(error))
        return;
    sys->unread->error = error;
    snprintf(sys->unread->path, sizeof sys->unread->path, "%s", path);
}

static const char *whole_path(const struct tbi_system *sys, const char *path, char *to)
{
    int n = snprintf(to, TBI_PATH, "%s%s", sys->root, path);

    return n > 0 && n < TBI_PATH ? to : "";
}

FILE *tbi_system_open(const struct tbi_system *sys, const char *path)
{
    char at[TBI_PATH];
    FILE *f = fopen(whole_path(sys, path, at), "re");

    if (f == NULL)
        tbi_system_note(sys, path, errno);
    return f;
}

DIR *tbi_system_open_folder(const struct tbi_system *sys, const char *path)
{
    char at[TBI_PATH];
    DIR *dir = opendir(whole_path(sys, path, at));

    if (dir == NULL)
        tbi_system_note(sys, path, errno);
    return dir;
}

bool tbi_system_read(const struct tbi_system *sys, const char *path, char *text, size_t size)
{
    FILE *f = tbi_system_open(sys, path);
    size_t n = 0;

    bool read = f != NULL;

    if (f != NULL) {
        n = fread(text, 1, size - 1, f);
        read = !ferror(f);
        if (!read)
            tbi_system_note(sys, path, errno);
        fclose(f);
    }
    text[read ? n : 0] = '\0';
    return read;
}

bool tbi_system_usable(const struct tbi_system *sys, const char *path)
{
    char at[TBI_PATH];

    return access(whole_path(sys, path, at), R_OK | W_OK) == 0;
}
