/* get.c - tb_get and kin: see to it that an object is here, then read it. */
#include "api/get.h"
#include "api/lend.h"
#include "api/call.h"
#include "api/errors.h"
#include "api/inner_refs.h"
#include "util/alloc.h"
#include "util/error_blob.h"
#include "util/fault.h"
#include "util/plural.h"

#include <string.h>

bool tbi_handle_is_here(const struct tbi_handle *h)
{
    return h->state == TBI_HANDLE_STORED || h->state == TBI_HANDLE_INLINE ||
           h->state == TBI_HANDLE_FAILED;
}

void tbi_handle_ask(struct tbi_process *p, struct tbi_handle *h, uint32_t flags)
{
    struct msg_get *m;

    if (flags & TBI_GET_POLL)
        h->polled = true;
    else if (flags & TBI_GET_EXISTS)
        h->asked_exists = true;
    else
        h->asked = true;
    tbi_fault_point(TBI_FAULT_GET);
    m = p->port.send(p->port.ctx, TBI_MSG_GET, sizeof *m);
    *m = (struct msg_get){h->id, flags, 0};
}

uint32_t tbi_wanted_flag(const struct tbi_process *p)
{
    const struct tbi_call *call = tbi_process_call(p);

    return call != NULL && pthread_equal(call->thread, pthread_self()) ? TBI_GET_WANTED : 0;
}

/* ---- several at once ---- */

struct awaited {
    struct tbi_handle **handle;
    size_t n, next; /* all before `next` are here: what has come stays while it is used */
};

static bool are_all_here(void *arg)
{
    struct awaited *a = arg;

    while (a->next < a->n && tbi_handle_is_here(a->handle[a->next]))
        a->next++;
    return a->next == a->n;
}

int tbi_get_use(struct tbi_process *p, tb_ref ref, struct tbi_handle **handle)
{
    char text[64];
    int rc = tbi_ref_check(p, ref);

    if (rc != 0)
        return rc;
    *handle = tbi_handle_use(p, tbi_id_of(ref));
    if ((*handle)->state != TBI_HANDLE_OPEN)
        return 0;
    tbi_handle_drop_use(p, *handle);
    return tbi_error_set(TB_ERR_STATE, "ref %s is not sealed yet: call tb_seal first",
                         tb_ref_text(ref, text, sizeof text));
}

static bool are_all_answered(void *arg)
{
    const struct awaited *a = arg;

    for (size_t i = 0; i < a->n; i++)
        if (!tbi_handle_is_here(a->handle[i]) && a->handle[i]->polled)
            return false;
    return true;
}

/* Looks the refs up and starts what is needed. On failure nothing is in use. */
static int begin(struct tbi_process *p, const tb_ref *refs, struct tbi_handle **handle, size_t n, bool poll)
{
    for (size_t i = 0; i < n; i++) {
        int rc = tbi_get_use(p, refs[i], &handle[i]);

        if (rc != 0) {
            tbi_get_end(p, handle, i);
            return rc;
        }
        if (!tbi_handle_is_here(handle[i]) && poll)
            tbi_handle_ask(p, handle[i], TBI_GET_POLL);
        else if (!tbi_handle_is_here(handle[i]) && !handle[i]->asked)
            tbi_handle_ask(p, handle[i], tbi_wanted_flag(p));
    }
    return 0;
}

int tbi_get_begin(struct tbi_process *p, const tb_ref *refs, struct tbi_handle **handle, size_t n,
                  double timeout)
{
    struct awaited awaited = {handle, n, 0};
    bool poll = tbi_timeout_is_none(timeout), here;
    int rc = begin(p, refs, handle, n, poll);

    if (rc != 0)
        return rc;
    tbi_process_awaits(handle, n);
    if (poll) /* what is ready is brought here, which may take a moment; for what is not, the answer says so */
        here = tbi_process_wait(p, are_all_answered, &awaited, UINT64_MAX) && are_all_here(&awaited);
    else
        here = tbi_process_wait_blocked(p, are_all_here, &awaited, tbi_deadline(timeout));
    tbi_process_awaits(NULL, 0);
    if (here)
        return 0;
    rc = tbi_process_why_ended(p);
    if (rc == 0)
        rc = tbi_error_set(TB_ERR_TIMEOUT, "%zu of %zu object%s did not come within %g second%s",
                           n - awaited.next, n, tbi_s(n), timeout, timeout == 1 ? "" : "s");
    tbi_get_end(p, handle, n);
    return rc;
}

void tbi_get_end(struct tbi_process *p, struct tbi_handle **handle, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tbi_handle_drop_use(p, handle[i]);
}

/* The last error, with the root cause behind it if a task on the way had words of its own that do not tell it. */
static int set_error(const struct tbi_process *p, const struct tbi_error_link *error, size_t bytes)
{
    const struct tbi_error_link *root = error + tbi_error_links(error, bytes) - 1;
    const char *last = strrchr(error->output, '\n');
    const char *output = last != NULL ? last + 1 : error->output;
    bool named = error->function[0] != 0, printed = output[0] != 0;
    bool root_named = root > error && root->function[0] != 0;
    bool tells = root <= error || strstr(error->message, root->message) != NULL;

    return tbi_error_set(error->code, "%s%s%s%s%s%s%.200s%s%s%s%s", named ? "'" : "", error->function,
                         named ? "' failed: " : "", error->message,
                         error->code == TB_ERR_REF && !named ? tbi_call_hint_to_keep(p) : "",
                         printed ? "; the last it wrote to stderr: " : "", output,
                         tells ? "" : root_named ? "; the root cause: '" : "; the root cause: ",
                         tells ? "" : root->function, tells || !root_named ? "" : "' failed: ",
                         tells ? "" : root->message);
}

int tbi_get_open(const struct tbi_process *p, const struct tbi_handle *h, struct tbi_view *view)
{
    switch (h->state) {
    case TBI_HANDLE_INLINE:
        return tbi_value_open(h->blob, h->bytes, view);
    case TBI_HANDLE_STORED:
        return tbi_value_open(tbi_memory_at(p->memory, h->rank, h->offset), h->bytes, view);
    default:
        return TB_ERR_STATE;
    }
}

int tbi_get_view(struct tbi_process *p, struct tbi_handle *h, struct tbi_view *view)
{
    struct tbi_call *call;
    int rc;

    if (h->state != TBI_HANDLE_FAILED) {
        tbi_fault_point(TBI_FAULT_READ);
        return tbi_get_open(p, h, view);
    }
    tbi_handle_see(p, h);
    rc = set_error(p, h->blob, h->bytes);
    call = tbi_process_call(p);
    if (call != NULL)
        tbi_call_note_cause(call, h->blob, h->bytes);
    return rc;
}

/* ---- what the public functions differ in: how a value is taken ---- */

struct taking {
    tb_type type;
    uint64_t elem;
    void *out;      /* for the i-th object at out + i * size */
    size_t size;
    size_t *n;      /* arrays: the number of elements */
    bool array;
};

/* What was handed out is valid as long as the handle lives: a ref that is not held needs an end for that. */
static void end_with_holder(struct tbi_process *p, const struct tbi_handle *h)
{
    if (h->count == 0 && h->borrowers == 0)
        tbi_inner_index(p);
}

static int take_string(struct tbi_process *p, struct tbi_handle *h, const struct tbi_view *view, void *out)
{
    const char *text;
    int rc = tbi_value_read_string(view, &text);

    memcpy(out, &text, sizeof text);
    if (rc != 0)
        return rc;
    h->kept = true; /* readable as long as the handle lives */
    end_with_holder(p, h);
    return 0;
}

/* A ref or an actor that is read out of an object becomes ours. */
static int take_handle(struct tbi_process *p, const struct tbi_view *view, tb_type type, void *out)
{
    struct tbi_id id;
    int rc = tbi_value_read(view, type, &id, sizeof id);

    if (rc == 0 && !tbi_id_is_null(id))
        tbi_scope_note(p, tbi_handle_own(p, id));
    memcpy(out, &id, sizeof id);
    return rc;
}

static int take_array(struct tbi_process *p, struct tbi_handle *h, const struct tbi_view *view,
                      const struct taking *t)
{
    const void *data;
    int rc;

    if (t->type == TB_RECORD && view->type == TB_RECORD && !view->array &&
        view->elem == t->elem) { /* one struct reads as an array of one */
        data = view->data;
        *t->n = 1;
        rc = 0;
    } else {
        rc = tbi_value_read_array(view, t->type, t->elem ? t->elem : view->elem, &data, t->n);
    }
    memcpy(t->out, &data, sizeof data);
    if (rc != 0)
        return rc;
    h->views++;
    end_with_holder(p, h);
    if (tbi_type_is_handle(view->type))
        tbi_inner_open(p, h);
    return 0;
}

static int take(struct tbi_process *p, struct tbi_handle *h, const struct taking *t, size_t i)
{
    struct tbi_view view;
    void *out = t->out == NULL ? NULL : (uint8_t *)t->out + i * t->size;
    int rc = tbi_get_view(p, h, &view);

    if (rc != 0 || out == NULL)
        return rc;
    if (t->array)
        return take_array(p, h, &view, t);
    if (t->type == TB_STRING)
        return take_string(p, h, &view, out);
    if (tbi_type_is_handle(t->type))
        return take_handle(p, &view, t->type, out);
    return tbi_value_read(&view, t->type, out, t->size);
}

static void zero(const struct taking *t, size_t n)
{
    if (t->out != NULL)
        memset(t->out, 0, n * t->size);
    if (t->n != NULL)
        *t->n = 0;
}

static int get(const char *function, const tb_ref *refs, size_t n, const struct taking *t,
               double timeout)
{
    struct tbi_handle *few[8], **handle = n <= 8 ? few : NULL;
    struct tbi_process *p;
    int rc;

    if (n > 0 && refs == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "%s: refs is NULL", function);
    if (t->type != TB_NO_TYPE && t->out == NULL && n > 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "%s: the result would go to NULL", function);
    zero(t, n);
    rc = tbi_timeout_check(function, timeout);
    if (rc != 0)
        return rc;
    p = tbi_process_enter(function);
    if (p == NULL)
        return TB_ERR_STATE;
    if (handle == NULL)
        handle = tbi_alloc(n * sizeof *handle);
    rc = tbi_get_begin(p, refs, handle, n, timeout);
    if (rc == 0) {
        for (size_t i = 0; i < n && rc == 0; i++)
            rc = take(p, handle[i], t, i);
        if (rc != 0)
            zero(t, n);
        tbi_get_end(p, handle, n);
    }
    if (handle != few)
        free(handle);
    tbi_process_leave(p);
    return rc;
}

int tb_get_all_(const tb_ref *refs, size_t n, tb_type type, size_t size, void *out, double timeout)
{
    struct taking t = {.type = type, .out = type == TB_NO_TYPE ? NULL : out, .size = size};

    if (type == TB_NO_TYPE && out != NULL)
        return tbi_error_set(TB_ERR_TYPE, "tb_get into a void pointer: its type is not known");
    return get("tb_get", refs, n, &t, timeout);
}

int tb_get_one_(tb_ref ref, tb_type type, size_t size, void *out, double timeout)
{
    return tb_get_all_(&ref, 1, type, size, out, timeout);
}

int tb_get_record_(tb_ref ref, void *out, size_t size, double timeout)
{
    struct taking t = {.type = TB_RECORD, .out = out, .size = size};

    return get("tb_get_struct", &ref, 1, &t, timeout);
}

int tb_get_array_(tb_ref ref, tb_type type, size_t elem, void *pview, size_t *n, double timeout)
{
    size_t ignored;
    struct taking t = {.type = type, .elem = elem, .out = pview, .size = sizeof(void *),
                       .n = n == NULL ? &ignored : n, .array = true};

    return get("tb_get_array", &ref, 1, &t, timeout);
}

int tb_get_string_timeout(tb_ref ref, char *buf, size_t size, double timeout)
{
    struct tbi_process *p;
    struct tbi_handle *h;
    struct tbi_view view;
    const char *text;
    int rc;

    if (buf == NULL || size == 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_get_string: no buffer");
    buf[0] = 0;
    rc = tbi_timeout_check("tb_get_string", timeout);
    if (rc != 0)
        return rc;
    p = tbi_process_enter("tb_get_string");
    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_get_begin(p, &ref, &h, 1, timeout);
    if (rc == 0) {
        rc = tbi_get_view(p, h, &view);
        if (rc == 0)
            rc = tbi_value_read_string(&view, &text);
        if (rc == 0 && view.count > size)
            rc = tbi_error_set(TB_ERR_ARGUMENT, "tb_get_string: the string needs %llu byte%s, the "
                               "buffer has %zu", (unsigned long long)view.count, tbi_s(view.count), size);
        if (rc == 0)
            memcpy(buf, text, (size_t)view.count);
        tbi_get_end(p, &h, 1);
    }
    tbi_process_leave(p);
    return rc;
}

int tb_get_string(tb_ref ref, char *buf, size_t size)
{
    return tb_get_string_timeout(ref, buf, size, -1);
}

int tb_get_shape(tb_ref ref, int *ndim, uint64_t shape[TB_MAX_DIMS])
{
    struct tbi_process *p;
    struct tbi_handle *h;
    struct tbi_view view;
    int rc;

    if (ndim == NULL || shape == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_get_shape: the result would go to NULL");
    *ndim = 0;
    p = tbi_process_enter("tb_get_shape");
    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_get_begin(p, &ref, &h, 1, -1);
    if (rc == 0) {
        rc = tbi_get_view(p, h, &view);
        if (rc == 0) {
            *ndim = view.ndim;
            memcpy(shape, view.shape, (size_t)view.ndim * sizeof *shape);
        }
        tbi_get_end(p, &h, 1);
    }
    tbi_process_leave(p);
    return rc;
}

int tb_unpin(tb_ref ref)
{
    struct tbi_process *p = tbi_process_enter("tb_unpin");
    struct tbi_handle *h;
    char text[64];
    int rc = 0;

    if (p == NULL)
        return TB_ERR_STATE;
    h = tbi_handle_find(p, tbi_id_of(ref));
    if (h == NULL || h->views == 0) {
        rc = tbi_error_set(TB_ERR_REF, "ref %s is unpinned, but no view of it is open here",
                           tb_ref_text(ref, text, sizeof text));
    } else {
        h->views--;
        h->users++;
        tbi_handle_drop_use(p, h);
    }
    tbi_process_leave(p);
    return rc;
}

/* ---- errors in detail ---- */

int tb_error_cause(tb_ref ref, int k, tb_error *e)
{
    struct tbi_process *p;
    struct tbi_handle *h;
    int rc = 0, n;

    if (e == NULL || k < 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_error_cause: e is NULL, or k = %d negative", k);
    memset(e, 0, sizeof *e);
    e->rank = -1;
    p = tbi_process_enter("tb_error_detail");
    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_get_begin(p, &ref, &h, 1, -1);
    if (rc != 0) {
        tbi_process_leave(p);
        return rc;
    }
    n = h->state == TBI_HANDLE_FAILED ? tbi_error_links(h->blob, h->bytes) : 0;
    if (k < n) {
        const struct tbi_error_link *link = (const struct tbi_error_link *)h->blob + k;

        *e = (tb_error){.code = link->code, .number = link->number, .signal = link->signal,
                        .rank = link->rank, .pid = link->pid, .attempt = link->attempt};
        memcpy(e->host, link->host, sizeof e->host);
        memcpy(e->function, link->function, sizeof e->function);
        memcpy(e->message, link->message, sizeof e->message);
        memcpy(e->output, link->output, sizeof e->output);
        tbi_handle_see(p, h);
    } else {
        rc = tbi_error_set(TB_ERR_ARGUMENT, n == 0 ? "the object has not failed"
                                                   : "the error has no cause of that number");
    }
    tbi_get_end(p, &h, 1);
    tbi_process_leave(p);
    return rc;
}

int tb_error_detail(tb_ref ref, tb_error *e)
{
    return tb_error_cause(ref, 0, e);
}
