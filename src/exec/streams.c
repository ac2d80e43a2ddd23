#include "exec/streams.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>

#ifdef __GLIBC__

#if __GLIBC_PREREQ(2, 32)
#include <sys/single_threaded.h>
#define ALONE ((bool)__libc_single_threaded)
#else
#define ALONE false
#endif

/* glibc's list of all open streams, and its lock. Exported, as the layout of a stream is, but in no header. */
extern FILE *_IO_list_all;
void _IO_list_lock(void);
void _IO_list_unlock(void);

/* What a stream of wide characters holds is not to be seen from here. */
static bool may_hold(FILE *f)
{
    return f->_IO_write_ptr > f->_IO_write_base || (f->_mode > 0 && __fwriting(f));
}

static void flush_list(void)
{
    for (FILE *f = _IO_list_all; f != NULL; f = f->_chain)
        if (may_hold(f) && ftrylockfile(f) == 0) {
            fflush(f);
            funlockfile(f);
        }
}

void tbi_streams_flush(void)
{
    bool alone = ALONE;

    if (!alone) /* else streams may come and go meanwhile */
        _IO_list_lock();
    flush_list();
    if (!alone)
        _IO_list_unlock();
}

#else

void tbi_streams_flush(void)
{
    fflush(NULL);
}

#endif
