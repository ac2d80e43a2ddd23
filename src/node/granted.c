#include "node/granted.h"

#include <inttypes.h>
#include <string.h>

struct tbi_thread_times tbi_thread_times(const struct tbi_system *sys, pid_t tid)
{
    struct tbi_thread_times t = {.known = false};
    char path[64], text[512];
    const char *state;

    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", (int)tid);
    if (!tbi_system_read(sys, path, text, sizeof text) ||
        sscanf(text, "%" SCNu64 " %" SCNu64, &t.ran_ns, &t.waited_ns) != 2 || t.ran_ns == 0)
        return t; /* a kernel that does not count says 0 */
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    if (!tbi_system_read(sys, path, text, sizeof text))
        return t;
    state = strrchr(text, ')'); /* behind the name, which may have any character in it */
    t.known = state != NULL && state[1] == ' ';
    t.runnable = t.known && state[2] == 'R';
    return t;
}

uint64_t tbi_granted_us(const struct tbi_thread_times *before, const struct tbi_thread_times *now,
                        uint64_t passed_us)
{
    uint64_t ran, waited;

    if (!before->known || !now->known)
        return passed_us;
    ran = (now->ran_ns - before->ran_ns) / 1000;
    waited = (now->waited_ns - before->waited_ns) / 1000;
    if (now->runnable)
        return ran < passed_us ? ran : passed_us;
    return waited < passed_us ? passed_us - waited : 0;
}
