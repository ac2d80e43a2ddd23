#include "exec/locked.h"

enum { FILES = 8 }; /* that a thread locks at once; those beyond are not unlocked */

static _Thread_local unsigned held;
static _Thread_local struct {
    FILE *f;
    int times;
} lock[FILES];

/* Where it stands, or could; -1: nowhere. */
static int find(const FILE *f)
{
    int free = -1;

    for (int i = 0; i < FILES; i++) {
        if (lock[i].times > 0 && lock[i].f == f)
            return i;
        if (lock[i].times == 0)
            free = i;
    }
    return free;
}

void tbi_locked_add(FILE *f, int by)
{
    int at = find(f);

    if (at < 0 || lock[at].times + by < 0)
        return;
    if (lock[at].times == 0)
        held++;
    lock[at].f = f;
    lock[at].times += by;
    if (lock[at].times == 0)
        held--;
}

void tbi_locked_forget(FILE *f)
{
    for (int i = 0; held > 0 && i < FILES; i++)
        if (lock[i].times > 0 && lock[i].f == f) {
            lock[i].times = 0;
            held--;
        }
}

bool tbi_locked_end(void)
{
    if (held == 0)
        return false;
    for (int i = 0; i < FILES; i++)
        while (lock[i].times > 0) {
            FILE *f = lock[i].f;
            int before = lock[i].times;

            funlockfile(f); /* which is noted, unless its import is the C library's own */
            if (lock[i].times == before)
                lock[i].times--;
        }
    held = 0;
    return true;
}
