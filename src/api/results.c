/* results.c - what a task or call returns: room for it, in memory or in the store, until its DONE is sent. */
#include "api/call.h"
#include "api/errors.h"
#include "api/forked.h"
#include "api/get.h"
#include "api/put.h"
#include "util/alloc.h"
#include "util/plural.h"

static int check_index(struct tbi_call *call, size_t i)
{
    if (tbi_forked())
        return tbi_forked_refuse("tb_return");
    if (i >= call->nreturns)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' was asked for %u result%s, sets number %zu",
                             call->function, call->nreturns, tbi_s(call->nreturns), i);
    return 0;
}

/* Room for a result: in memory if it is small, else in the store. NULL: the last error is set. */
static void *room_for(struct tbi_call *call, size_t i, size_t bytes, int *rc)
{
    const struct tbi_limits *limits = &call->process->limits;
    struct tbi_call_result *r = &call->result[i];
    struct tbi_id id = tbi_id_with_index(call->run->task, (unsigned)i);
    struct tbi_process *p;
    struct tbi_error_link error;
    void *at;

    if (r->set && !r->stored)
        call->inline_bytes -= r->bytes;
    free(r->blob);
    r->blob = NULL;
    if (bytes <= limits->inline_bytes && call->inline_bytes + bytes <= limits->inline_task_bytes &&
        !r->stored) {
        at = aligned_alloc(TBI_VALUE_ALIGN, (bytes / TBI_VALUE_ALIGN + 1) * TBI_VALUE_ALIGN);
        *r = (struct tbi_call_result){.set = true, .bytes = bytes,
                                      .blob = tbi_need_memory(at, bytes)};
        call->inline_bytes += bytes;
        return at;
    }
    p = tbi_process_enter_for_call("tb_return");
    if (p == NULL) {
        *rc = TB_ERR_STATE;
        return NULL;
    }
    if (r->stored) {
        tbi_memory_take_back(p->memory, r->offset, r->bytes);
        tbi_process_send_id(p, TBI_MSG_ABANDON, id);
    }
    *r = (struct tbi_call_result){0};
    at = tbi_create(p, id, bytes, true, &r->offset, &error);
    if (at == NULL)
        *rc = tbi_error_set(error.code, "%s", error.message);
    else
        r->set = r->stored = true;
    r->bytes = bytes;
    tbi_process_leave(p);
    return at;
}

/* What a result refers to is held until DONE has been sent, even if the function releases it before. */
static int hold_contained(const struct tbi_call *call, const tb_value *v)
{
    struct tbi_process *p = tbi_process_enter_for_call("tb_return");
    const void *ids;
    size_t n;
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_contained_check(p, v);
    ids = tbi_contained(v, &n);
    for (size_t k = 0; rc == 0 && k < n; k++)
        tbi_scope_note_in(call->scope, tbi_handle_own(p, tbi_contained_id(ids, k)));
    tbi_process_leave(p);
    return rc;
}

/* The end of the task names them all in one record. */
static int check_refs(const struct tbi_call *call, size_t i, size_t refs)
{
    size_t others = call->nrefs - call->result[i].refs;

    if (refs <= TBI_REFS_MAX - others)
        return 0;
    return tbi_error_set(TB_ERR_ARGUMENT, "'%s', result %zu: %zu refs or actors, with %zu in its other results: at most %d "
                         "can be in the results of a task; put them into objects of their own", call->function, i,
                         refs, others, TBI_REFS_MAX);
}

static int set_result(struct tbi_call *call, size_t i, const tb_value *v)
{
    size_t refs = 0;
    void *at;
    int rc = tbi_value_check(v);

    if (rc == 0) {
        tbi_contained(v, &refs);
        rc = check_refs(call, i, refs);
    }
    if (rc == 0 && refs > 0)
        rc = hold_contained(call, v);
    if (rc != 0)
        return rc;
    call->nrefs -= call->result[i].refs;
    call->result[i].refs = 0;
    at = room_for(call, i, tbi_value_packed_size(v), &rc);
    if (at != NULL) {
        tbi_value_pack(v, at);
        call->nrefs += call->result[i].refs = refs;
    }
    return rc;
}

int tb_return_at_(tb_call *handle, size_t i, tb_value v)
{
    TBI_ENTER_CALL(call, handle, "tb_return_at");
    int rc;

    if (call == NULL)
        return tbi_call_none(handle);
    rc = check_index(call, i);
    if (rc == 0)
        rc = set_result(call, i, &v);
    tbi_call_stick_if(call, rc);
    return rc;
}

int tb_return_v_(tb_call *handle, const tb_value *values, size_t n)
{
    TBI_ENTER_CALL(call, handle, "tb_return");
    int rc = 0;

    if (call == NULL)
        return tbi_call_none(handle);
    if (tbi_forked())
        return tbi_forked_refuse("tb_return");
    if (n != call->nreturns)
        rc = tbi_error_set(TB_ERR_TASK, "'%s' returns %zu result%s, its caller asked for %u",
                           call->function, n, tbi_s(n), call->nreturns);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = set_result(call, i, &values[i]);
    tbi_call_stick_if(call, rc);
    return rc;
}

int tb_return_array_(tb_call *handle, size_t i, tb_type type, size_t elem, size_t n, void *pptr)
{
    TBI_ENTER_CALL(call, handle, "tb_return_array");
    tb_value v = type == TB_RECORD ? tb_record_array_("", n, elem)
                                   : tb_array_as(type, "", n, 0, NULL);
    uint8_t *at = NULL;
    int rc;

    memcpy(pptr, &at, sizeof at);
    if (call == NULL)
        return tbi_call_none(handle);
    rc = check_index(call, i);
    if (rc == 0)
        rc = tbi_value_check(&v);
    if (rc == 0 && tbi_type_is_handle(type))
        rc = tbi_error_set(TB_ERR_UNSUPPORTED, "an array of %ss cannot be written in place: use "
                           "tb_return_at with tb_array", tbi_type_name(type));
    if (rc == 0)
        at = room_for(call, i, tbi_value_packed_size(&v), &rc);
    if (rc == 0) {
        tbi_value_pack_head(&v, at);
        at += tbi_value_packed_size(&v) - n * v.elem;
        memcpy(pptr, &at, sizeof at);
    }
    tbi_call_stick_if(call, rc);
    return rc;
}

void tbi_results_undo(struct tbi_call *call)
{
    struct tbi_process *p = call->process;

    for (unsigned i = 0; i < call->nreturns; i++) {
        struct tbi_call_result *r = &call->result[i];

        free(r->blob);
        if (r->stored) {
            tbi_memory_take_back(p->memory, r->offset, r->bytes);
            tbi_process_send_id(p, TBI_MSG_ABANDON, tbi_id_with_index(call->run->task, i));
        }
        *r = (struct tbi_call_result){0};
    }
    call->inline_bytes = 0;
    call->nrefs = 0;
}
