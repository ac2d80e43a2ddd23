#include "node/system.h"

#include <unistd.h>

static const char *whole_path(const struct tbi_system *sys, const char *path, char *to)
{
    int n = snprintf(to, TBI_PATH, "%s%s", sys->root, path);

    return n > 0 && n < TBI_PATH ? to : "";
}

FILE *tbi_system_open(const struct tbi_system *sys, const char *path)
{
    char at[TBI_PATH];

    return fopen(whole_path(sys, path, at), "re");
}

bool tbi_system_read(const struct tbi_system *sys, const char *path, char *text, size_t size)
{
    FILE *f = tbi_system_open(sys, path);
    size_t n = 0;

    if (f != NULL) {
        n = fread(text, 1, size - 1, f);
        fclose(f);
    }
    text[n] = '\0';
    return f != NULL;
}

bool tbi_system_usable(const struct tbi_system *sys, const char *path)
{
    char at[TBI_PATH];

    return access(whole_path(sys, path, at), R_OK | W_OK) == 0;
}
