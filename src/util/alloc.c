#include "util/alloc.h"

#include <sys/resource.h>

void tbi_out_of_memory(size_t bytes)
{
    static const struct { int kind; const char *name; } limits[] = {{RLIMIT_AS, "-v"}, {RLIMIT_DATA, "-d"}};
    char text[256];
    int n = snprintf(text, sizeof text, "thornback: out of memory (%zu bytes)", bytes);

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit limit;

        if (getrlimit(limits[i].kind, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
            n += snprintf(text + n, sizeof text - (size_t)n, "; its limit (ulimit %s) is %llu MB", limits[i].name,
                          (unsigned long long)limit.rlim_cur >> 20);
    }
    fprintf(stderr, "%s\n", text);
    abort();
}
