/* args.c - what a task reads of its call: arguments and context. */
#include "api/call.h"
#include "api/errors.h"
#include "util/alloc.h"
#include "util/plural.h"

static int argument_error(struct tbi_call *call, size_t i, int rc)
{
    char why[400];

    snprintf(why, sizeof why, "%s", tb_last_error());
    return tbi_error_set(rc, "'%s', argument %zu: %s", call->function, i, why);
}

static int open_arg(struct tbi_call *call, size_t i, struct tbi_view *view)
{
    const struct tbi_run_arg *arg;
    const uint8_t *at;
    int rc;

    if (i >= call->run->nargs)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' has %u argument%s; number %zu was asked for, and they count from 0", call->function,
                             call->run->nargs, tbi_s(call->run->nargs), i);
    arg = &call->arg[i];
    at = arg->rank == TBI_ARG_INLINE ? call->data + arg->offset
                                     : tbi_memory_at(call->process->memory, arg->rank, arg->offset);
    rc = tbi_value_open(at, arg->bytes, view);
    return rc == 0 ? 0 : argument_error(call, i, rc);
}

/* Inline values lie at multiples of 8 only: an array of structs may want more. */
static const void *aligned(struct tbi_call *call, const struct tbi_view *view)
{
    size_t bytes = (size_t)(view->count * view->elem);
    void *copy;

    if ((uintptr_t)view->data % TBI_VALUE_ALIGN == 0 || bytes == 0)
        return view->data;
    copy = aligned_alloc(TBI_VALUE_ALIGN, (bytes / TBI_VALUE_ALIGN + 1) * TBI_VALUE_ALIGN);
    memcpy(tbi_need_memory(copy, bytes), view->data, bytes);
    call->copy = tbi_realloc(call->copy, (call->ncopies + 1) * sizeof *call->copy);
    return call->copy[call->ncopies++] = copy;
}

/* Refs and actors inside an argument are usable as long as the task runs. */
static void borrow(struct tbi_call *call, const struct tbi_view *view)
{
    struct tbi_process *p;
    size_t n;
    const tb_ref *ref = tbi_value_refs(view, &n);

    if (n == 0 || (p = tbi_process_enter_for_call("tb_arg")) == NULL)
        return;
    for (size_t k = 0; k < n; k++)
        tbi_handle_borrow(p, call, tbi_id_of(ref[k]));
    if (!view->array)
        tbi_scope_note(p, tbi_handle_own(p, tbi_id_of(ref[0])));
    tbi_process_leave(p);
}

static int read_arg(struct tbi_call *call, size_t i, tb_type type, void *out, size_t size)
{
    struct tbi_view view;
    const char *text = NULL;
    int rc = open_arg(call, i, &view);

    if (rc != 0)
        return rc;
    if (type == TB_STRING) {
        rc = tbi_value_read_string(&view, &text);
        memcpy(out, &text, sizeof text);
    } else {
        rc = tbi_value_read(&view, type, out, size);
        if (rc == 0 && tbi_type_is_handle(type))
            borrow(call, &view);
    }
    return rc == 0 ? 0 : argument_error(call, i, rc);
}

int tb_arg_(tb_call *handle, size_t i, tb_type type, void *out, size_t size)
{
    TBI_ENTER_CALL(call, handle, "tb_arg");

    if (out == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_arg: the argument would go to NULL");
    memset(out, 0, size);
    return call == NULL ? tbi_call_none(handle) : read_arg(call, i, type, out, size);
}

int tb_arg_array_(tb_call *handle, size_t i, tb_type type, size_t elem, void *pview, size_t *n)
{
    TBI_ENTER_CALL(call, handle, "tb_arg_array");
    struct tbi_view view;
    const void *data = NULL;
    size_t count = 0;
    int rc;

    if (pview == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_arg_array: the view would go to NULL");
    memcpy(pview, &data, sizeof data);
    if (n != NULL)
        *n = 0;
    rc = call == NULL ? tbi_call_none(handle) : open_arg(call, i, &view);
    if (rc != 0)
        return rc;
    if (type == TB_RECORD && view.type == TB_RECORD && !view.array && view.elem == elem)
        count = 1;
    else
        rc = tbi_value_read_array(&view, type, elem ? elem : view.elem, &data, &count);
    if (rc != 0)
        return argument_error(call, i, rc);
    borrow(call, &view);
    data = aligned(call, &view);
    memcpy(pview, &data, sizeof data);
    if (n != NULL)
        *n = count;
    return 0;
}

int tb_arg_shape(tb_call *handle, size_t i, int *ndim, uint64_t shape[TB_MAX_DIMS])
{
    TBI_ENTER_CALL(call, handle, "tb_arg_shape");
    struct tbi_view view;
    int rc;

    if (ndim == NULL || shape == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_arg_shape: the result would go to NULL");
    *ndim = 0;
    rc = call == NULL ? tbi_call_none(handle) : open_arg(call, i, &view);
    if (rc == 0) {
        *ndim = view.ndim;
        memcpy(shape, view.shape, (size_t)view.ndim * sizeof *shape);
    }
    return rc;
}

size_t tb_num_args(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_num_args");

    return call == NULL ? 0 : call->run->nargs;
}

/* `out` is 0 if it cannot be read. */
static void read_or_stick(tb_call *handle, size_t i, tb_type type, void *out, size_t size)
{
    TBI_ENTER_CALL(call, handle, "tb_arg");

    memset(out, 0, size);
    if (call != NULL)
        tbi_call_stick_if(call, read_arg(call, i, type, out, size));
}

int tb_arg_int(tb_call *call, size_t i)
{
    int x;

    read_or_stick(call, i, TB_INT32, &x, sizeof x);
    return x;
}

int64_t tb_arg_int64(tb_call *call, size_t i)
{
    int64_t x;

    read_or_stick(call, i, TB_INT64, &x, sizeof x);
    return x;
}

double tb_arg_double(tb_call *call, size_t i)
{
    double x;

    read_or_stick(call, i, TB_DOUBLE, &x, sizeof x);
    return x;
}

const char *tb_arg_string(tb_call *call, size_t i)
{
    const char *x;

    read_or_stick(call, i, TB_STRING, &x, sizeof x);
    return x;
}

tb_ref tb_arg_ref(tb_call *call, size_t i)
{
    tb_ref x;

    read_or_stick(call, i, TB_REF, &x, sizeof x);
    return x;
}

tb_actor tb_arg_actor(tb_call *call, size_t i)
{
    tb_actor x;

    read_or_stick(call, i, TB_ACTOR_HANDLE, &x, sizeof x);
    return x;
}

/* ---- context ---- */

tb_ref tb_call_task_id(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_task_id");

    return call == NULL ? (tb_ref){0, 0} : tbi_ref_of(call->run->task);
}

int tb_call_rank(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_rank");

    return call == NULL ? -1 : (int)call->process->rank;
}

const char *tb_call_host(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_host");

    return call == NULL ? "" : call->process->host;
}

int tb_call_attempt(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_attempt");

    return call == NULL ? -1 : (int)(call->run->attempt + call->again);
}

uint64_t tb_call_seed(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_seed");

    return call == NULL ? 0 : call->run->seed;
}

const char *tb_call_function(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_function");

    return call == NULL ? "" : call->function;
}
