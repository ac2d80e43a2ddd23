#include "api/errors.h"
#include "util/id.h"

#include <inttypes.h>
#include <stdarg.h>
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
