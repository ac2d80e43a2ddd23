#include "api/errors.h"
#include "util/error_blob.h"
#include "util/id.h"
#include "util/plural.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[1024];

int tbi_error_set(int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(last_error, sizeof last_error, fmt, args);
    va_end(args);
    return code;
}

void tbi_error_clear(void)
{
    last_error[0] = 0;
}

/* ---- failures that nobody has read: each is said once, and at the end how often it came ---- */

enum { REPORTS_MAX = 20 };
static struct {
    pthread_mutex_t lock;
    int n;
    unsigned long more;     /* failures of other kinds than these */
    struct kind {
        struct tbi_error_link first;
        unsigned long again;
    } kind[REPORTS_MAX];
} reports = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The text names the process that ended. */
static bool is_of_process(const struct tbi_error_link *link)
{
    return link->signal != 0 && (link->code == TB_ERR_CRASHED || link->code == TB_ERR_ACTOR_DIED ||
                                 link->code == TB_ERR_ACTOR_UNAVAILABLE);
}

static bool is_alike(const struct tbi_error_link *a, const struct tbi_error_link *b)
{
    return a->code == b->code && a->signal == b->signal && a->number == b->number &&
           strcmp(a->function, b->function) == 0 &&
           (is_of_process(a) || strcmp(a->message, b->message) == 0);
}

/* NULL: it was said already, or there is no room. With the lock. */
static const struct tbi_error_link *note(const struct tbi_error_link *link)
{
    for (int i = 0; i < reports.n; i++)
        if (is_alike(&reports.kind[i].first, link)) {
            reports.kind[i].again++;
            return NULL;
        }
    reports.more += reports.n == REPORTS_MAX;
    if (reports.n == REPORTS_MAX)
        return NULL;
    reports.kind[reports.n] = (struct kind){*link, 0};
    return &reports.kind[reports.n++].first;
}

void tbi_error_report_unread(const void *error)
{
    const struct tbi_error_link *link = error;
    char where[128] = "";

    pthread_mutex_lock(&reports.lock);
    link = note(link);
    pthread_mutex_unlock(&reports.lock);
    if (link == NULL)
        return;
    if (link->rank >= 0 && link->signal == 0) /* else the text has it */
        snprintf(where, sizeof where, link->pid != 0 ? " (rank %d, host %s, pid %d)" : " (rank %d, host %s)",
                 link->rank, link->host, link->pid);
    fprintf(stderr, "thornback: %s%s%s failed and nobody has read why: %s: %s%s\n",
            link->function[0] ? "'" : "", link->function[0] ? link->function : "an object",
            link->function[0] ? "'" : "", tb_strerror(link->code), link->message, where);
}

void tbi_error_report_rest(void)
{
    for (int i = 0; i < reports.n; i++) {
        const struct kind *k = &reports.kind[i];

        if (k->again > 0)
            fprintf(stderr, "thornback: %s%s%s failed in the same way %lu more time%s, unread: %s\n",
                    k->first.function[0] ? "'" : "", k->first.function[0] ? k->first.function : "an object",
                    k->first.function[0] ? "'" : "", k->again, tbi_s(k->again), tb_strerror(k->first.code));
    }
    if (reports.more > 0)
        fprintf(stderr, "thornback: and %lu more failure%s that nobody has read\n", reports.more, tbi_s(reports.more));
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
