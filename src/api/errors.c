#include "api/errors.h"
#include "util/error_blob.h"
#include "util/id.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Thread_local char last_error[1024];

int tbi_error_set(int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(last_error, sizeof last_error, fmt, args);
    va_end(args);
    return code;
}

enum { REPORTS_MAX = 20 };
static _Atomic unsigned long reports;

void tbi_error_report_unread(const void *error)
{
    const struct tbi_error_link *link = error;
    char where[128] = "";

    if (atomic_fetch_add(&reports, 1) >= REPORTS_MAX)
        return;
    if (link->rank >= 0)
        snprintf(where, sizeof where, " (rank %d, host %s, pid %d)", link->rank, link->host,
                 link->pid);
    fprintf(stderr, "thornback: %s%s%s failed and nobody has read why: %s: %s%s\n",
            link->function[0] ? "'" : "", link->function[0] ? link->function : "an object",
            link->function[0] ? "'" : "", tb_strerror(link->code), link->message, where);
}

void tbi_error_report_rest(void)
{
    unsigned long n = atomic_load(&reports);

    if (n > REPORTS_MAX)
        fprintf(stderr, "thornback: and %lu more failures that nobody has read\n",
                n - REPORTS_MAX);
}

const char *tb_last_error(void)
{
    return last_error;
}

const char *tb_strerror(int code)
{
#define TEXT(name, number, text)                                                                   \
    case name:                                                                                     \
        return text;
    switch (code) {
    case 0:
        return "success";
        TB_ERRORS(TEXT)
    }
#undef TEXT
    return "unknown error";
}

const char *tbi_type_name(int type)
{
#define TEXT(name, bytes, text)                                                                    \
    case name:                                                                                     \
        return text;
    switch (type) {
        TB_TYPES(TEXT)
    }
#undef TEXT
    return "unknown type";
}

int tb_ref_equal(tb_ref a, tb_ref b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

int tb_ref_is_null(tb_ref ref)
{
    return (ref.hi | ref.lo) == 0;
}

char *tb_ref_text(tb_ref ref, char *text, size_t size)
{
    struct tbi_id id = {ref.hi, ref.lo};

    if (size > 0)
        snprintf(text, size, "%u:%u.%u:%" PRIu64 ".%u", tbi_id_job(id), tbi_id_rank(id),
                 tbi_id_proc(id), tbi_id_counter(id), tbi_id_index(id));
    return text;
}

int tb_actor_equal(tb_actor a, tb_actor b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

int tb_actor_is_null(tb_actor actor)
{
    return (actor.hi | actor.lo) == 0;
}

char *tb_actor_text(tb_actor actor, char *text, size_t size)
{
    return tb_ref_text((tb_ref){actor.hi, actor.lo}, text, size);
}
