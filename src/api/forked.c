#include "api/forked.h"
#include "api/errors.h"

#include <pthread.h>
#include <unistd.h>

bool tbi_forked_flag;
static pid_t owner;

static void in_child(void)
{
    tbi_forked_flag = true;
}

void tbi_forked_watch(void)
{
    static bool watches;

    owner = getpid();
    if (!watches)
        pthread_atfork(NULL, NULL, in_child);
    watches = true;
}

int tbi_forked_refuse(const char *function)
{
    return tbi_error_set(TB_ERR_STATE, "%s in the child of a fork: only the process that forked can call the "
                         "library; let the child exec or _exit", function);
}

void tbi_forked_leave(int status)
{
    if (tbi_forked())
        _exit(status);
}

/* The flag is not set: the memory may be the parent's. */
void tbi_forked_look(int status)
{
    if (getpid() != owner)
        _exit(status);
}
