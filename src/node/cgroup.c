#include "node/cgroup.h"

#include <errno.h>
#include <string.h>

/* The limit that the group in folder `dir` sets, UINT64_MAX if none. */
typedef uint64_t limit_fn(const struct tbi_system *sys, const char *dir);

static bool read_in(const struct tbi_system *sys, const char *dir, const char *name, char text[64])
{
    char path[TBI_PATH];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);

    return n > 0 && n < (int)sizeof path && tbi_system_read(sys, path, text, 64);
}

static uint64_t number_in(const struct tbi_system *sys, const char *dir, const char *name)
{
    unsigned long long x;
    char text[64];

    /* "max", "-1" and no file at all mean none; sscanf would take the minus for a wrapped number */
    if (!read_in(sys, dir, name, text) || text[0] == '-' || sscanf(text, "%llu", &x) != 1)
        return UINT64_MAX;
    return x;
}

static uint64_t thousandths(uint64_t used, uint64_t period)
{
    if (used == UINT64_MAX || period == 0 || period == UINT64_MAX || used > UINT64_MAX / 1000)
        return UINT64_MAX;
    return used * 1000 / period;
}

static uint64_t memory_v1(const struct tbi_system *sys, const char *dir)
{
    return number_in(sys, dir, "memory.limit_in_bytes");
}

static uint64_t memory_v2(const struct tbi_system *sys, const char *dir)
{
    return number_in(sys, dir, "memory.max");
}

static uint64_t quota_v1(const struct tbi_system *sys, const char *dir)
{
    return thousandths(number_in(sys, dir, "cpu.cfs_quota_us"),
                       number_in(sys, dir, "cpu.cfs_period_us"));
}

/* "150000 100000": microseconds a period; or "max 100000". */
static uint64_t quota_v2(const struct tbi_system *sys, const char *dir)
{
    unsigned long long used, period;
    char text[64];

    if (!read_in(sys, dir, "cpu.max", text) || sscanf(text, "%llu %llu", &used, &period) != 2)
        return UINT64_MAX;
    return thousandths(used, period);
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
        if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
            return true;
    return false;
}

/* A list that was read line by line, if it could be opened. */
static void end(const struct tbi_system *sys, FILE *f, const char *path)
{
    if (f == NULL)
        return;
    if (ferror(f))
        tbi_system_note(sys, path, errno);
    fclose(f);
}

/* This process's group: "4:memory,hugetlb:/path", or "0::/path" in version 2 (controller ""). */
static bool own_group(const struct tbi_system *sys, const char *controller, char *path)
{
    FILE *f = tbi_system_open(sys, "/proc/self/cgroup");
    char *line = NULL, *names, *at;
    size_t size = 0;
    bool found = false;

    while (f != NULL && !found && getline(&line, &size, f) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if ((names = strchr(line, ':')) == NULL || (at = strchr(++names, ':')) == NULL)
            continue;
        *at++ = '\0';
        if (controller[0] != '\0' ? !has_word(names, controller) : names[0] != '\0')
            continue;
        found = strlen(at) < TBI_PATH;
        if (found)
            strcpy(path, at);
    }
    free(line);
    end(sys, f, "/proc/self/cgroup");
    return found;
}

/* Where the groups are mounted, and which group that is: a container sees but its own.
 *   "35 31 0:32 /docker/1 /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory" */
static bool find_mount(const struct tbi_system *sys, const char *controller, char *root,
                       char *mount)
{
    FILE *f = tbi_system_open(sys, "/proc/self/mountinfo");
    char *line = NULL, type[16], options[256];
    const char *tail;
    size_t size = 0;
    bool found = false;

    while (f != NULL && !found && getline(&line, &size, f) > 0) {
        if ((tail = strstr(line, " - cgroup")) == NULL ||
            sscanf(tail, " - %15s %*s %255s", type, options) != 2 ||
            sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2)
            continue;
        found = controller[0] != '\0' ? strcmp(type, "cgroup") == 0 && has_word(options, controller)
                                      : strcmp(type, "cgroup2") == 0;
    }
    free(line);
    end(sys, f, "/proc/self/mountinfo");
    return found;
}

/* The part of `path` below `root`; "" if it is not there, as when it lies outside of a
 * namespace. */
static const char *below(const char *path, const char *root)
{
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0') ||
        strstr(path, "/..") != NULL || strcmp(path + n, "/") == 0)
        return "";
    return path + n;
}

/* The least that the process's group and its parents say. */
static uint64_t least(const struct tbi_system *sys, const char *controller, limit_fn *limit)
{
    char path[TBI_PATH], root[TBI_PATH], mount[TBI_PATH], dir[2 * TBI_PATH];
    uint64_t all = UINT64_MAX, one;

    if (!own_group(sys, controller, path) || !find_mount(sys, controller, root, mount))
        return UINT64_MAX;
    snprintf(dir, sizeof dir, "%s%s", mount, below(path, root));
    for (;;) {
        one = limit(sys, dir);
        if (one < all)
            all = one;
        if (strlen(dir) <= strlen(mount))
            return all;
        *strrchr(dir, '/') = '\0';
    }
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t tbi_cgroup_memory(const struct tbi_system *sys)
{
    return smaller(least(sys, "memory", memory_v1), least(sys, "", memory_v2));
}

uint64_t tbi_cgroup_quota(const struct tbi_system *sys)
{
    return smaller(least(sys, "cpu", quota_v1), least(sys, "", quota_v2));
}
