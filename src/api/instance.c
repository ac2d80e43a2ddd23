#include "api/instance.h"
#include "api/errors.h"
#include "api/forked.h"
#include "api/registry.h"
#include "util/alloc.h"
#include "util/fault.h"

#include <stdalign.h>

/* ---- life ---- */

static void *new_state(const struct tb_class_ *about)
{
    size_t align = about->align > alignof(max_align_t) ? about->align : alignof(max_align_t);
    size_t bytes = (about->bytes + align - 1) / align * align;

    return memset(tbi_need_memory(aligned_alloc(align, bytes), bytes), 0, bytes);
}

/* 0, or an error with the last error set: then what was constructed is ended. */
static int start_lanes(struct tbi_instance *i, const struct tbi_call *call, const struct msg_actor *actor)
{
    unsigned threads = 0;
    int rc;

    for (unsigned k = 0; k < actor->nlanes; k++)
        threads += actor->lane[k];
    if (threads <= 1)
        return 0;
    rc = call->process->start_lanes(call->process, actor);
    i->concurrent = rc == 0;
    if (rc == 0)
        return 0;
    if (i->cls->cls->fini != NULL)
        i->cls->cls->fini(i->state);
    return tbi_error_set(TB_ERR_OUT_OF_MEMORY, "'%s' wants %u threads for calls that run at once, and not all can be "
                         "started: %s (limits: ulimit -u, the job's memory)", i->cls->name, threads, strerror(rc));
}

int tbi_instance_construct(struct tbi_instance *i, struct tbi_call *call)
{
    const struct msg_actor *actor = tbi_run_actor(call->run);
    const struct tb_class_ *about;
    int rc = 0;

    i->fn = call->run->fn;
    i->cls = tbi_registry_row((int)i->fn);
    about = i->cls->cls;
    i->id = call->run->task;
    i->run = call->run;
    i->state = new_state(about);
    tbi_fault_point(TBI_FAULT_CONSTRUCT);
    if (actor->flags & TBI_ACTOR_RESTORES && about->restore != NULL)
        rc = about->restore(call->handle, i->state);
    else if (about->init != NULL)
        rc = about->init(call->handle, i->state);
    tbi_forked_leave(rc != 0);
    return rc != 0 || call->failed != 0 ? rc : start_lanes(i, call, actor);
}

void tbi_instance_drop(struct tbi_instance *i)
{
    free(i->state);
    free(i->cores);
    *i = (struct tbi_instance){0};
}

void tbi_instance_settle(struct tbi_instance *i, const struct tbi_call *call)
{
    const struct msg_run *run = call->run;
    const uint16_t *gpu = call->place + run->ncores;

    if (tbi_run_actor(run)->flags & TBI_ACTOR_PLACED_ONLY) {
        tbi_bind(call->process->places, gpu, 0, run->ngpus, 0);
        return;
    }
    i->ncores = call->ncores > 0 ? call->ncores : run->ncores; /* others, after it has waited */
    i->cores = tbi_copy(call->ncores > 0 ? call->cores : call->place, i->ncores * sizeof *i->cores);
}

int tbi_instance_call(struct tbi_instance *i, struct tbi_call *call)
{
    const struct tb_method_ *method = tbi_registry_row((int)call->run->fn)->method;

    if (tbi_id_is_null(i->id))
        return tbi_call_stick(call, TB_ERR_STATE, "no actor lives in the process that was to run this");
    if (tbi_call_is_cancelled(call)) /* while it waited for its thread */
        return tbi_call_stick(call, TB_ERR_CANCELLED, "cancelled before it began");
    if (method->of == i->cls)
        return method->run(call->handle, i->state);
    tbi_error_set(TB_ERR_TYPE, "'%s' is a method of class '%s', and the actor is of class '%s'", call->function,
                  method->of->name, i->cls->name);
    return tbi_call_stick(call, TB_ERR_TYPE, tb_last_error());
}

void tbi_instance_end(struct tbi_instance *i)
{
    if (tbi_id_is_null(i->id))
        return;
    tbi_fault_point(TBI_FAULT_LEAVE);
    if (i->cls->cls->fini != NULL) {
        bool before = tbi_process_stay_inside(false);

        i->cls->cls->fini(i->state);
        tbi_process_stay_inside(before);
    }
    tbi_forked_leave(0);
    tbi_instance_drop(i);
}

/* ---- what a method may ask for ---- */

static bool is_of_actor(const struct tbi_call *call)
{
    return call != NULL && call->run->kind != TBI_TASK && !tbi_id_is_null(call->instance->id);
}

tb_actor tb_call_actor(tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_actor");
    struct tbi_process *p;

    if (!is_of_actor(call))
        return (tb_actor){0};
    p = tbi_process_enter_for_call("tb_call_actor");
    if (p == NULL)
        return (tb_actor){0};
    tbi_handle_borrow(p, call, call->instance->id); /* the call holds its actor */
    tbi_process_leave(p);
    return tbi_actor_of(call->instance->id);
}

int tb_actor_exit(tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_actor_exit");

    if (call == NULL)
        return tbi_call_none(handle);
    if (tbi_forked())
        return tbi_forked_refuse("tb_actor_exit");
    if (!is_of_actor(call) || call->run->kind != TBI_CALL)
        return tbi_error_set(TB_ERR_STATE, "tb_actor_exit in '%s', which is not a method: %s", call->function,
                             is_of_actor(call) ? "a constructor ends the actor by an error"
                                               : "others end an actor by tb_kill");
    call->exits = true;
    return 0;
}

static int check_checkpoint(struct tbi_process *p, const struct tbi_call *call, struct tbi_id id)
{
    const struct tbi_handle *h = tbi_handle_find(p, id);
    char text[64];
    int rc;

    if (call->instance->cls->cls->restore == NULL)
        return tbi_error_set(TB_ERR_UNSUPPORTED, "tb_actor_checkpoint: class '%s' has no .restore in its TB_ACTOR",
                             call->instance->cls->name);
    rc = tbi_id_check(p, id, "ref");
    if (rc != 0)
        return rc;
    if (h != NULL && h->local)
        return tbi_error_set(((const struct tbi_error_link *)h->blob)->code, "%s",
                             ((const struct tbi_error_link *)h->blob)->message);
    if (h != NULL && h->state == TBI_HANDLE_OPEN)
        return tbi_error_set(TB_ERR_STATE, "ref %s is not sealed yet: call tb_seal first",
                             tb_ref_text(tbi_ref_of(id), text, sizeof text));
    if (h == NULL || (h->count == 0 && h->borrowers == 0))
        return tbi_error_set(TB_ERR_REF, "tb_actor_checkpoint: ref %s is not held by this process",
                             tb_ref_text(tbi_ref_of(id), text, sizeof text));
    return 0;
}

int tb_actor_checkpoint(tb_call *handle, tb_ref ref)
{
    TBI_ENTER_CALL(call, handle, "tb_actor_checkpoint");
    struct tbi_process *p;
    int rc;

    if (call == NULL)
        return tbi_call_none(handle);
    if (!is_of_actor(call))
        return tbi_error_set(TB_ERR_STATE, "tb_actor_checkpoint in '%s', which is a task", call->function);
    p = tbi_process_enter_for_call("tb_actor_checkpoint");
    if (p == NULL)
        return TB_ERR_STATE;
    rc = check_checkpoint(p, call, tbi_id_of(ref));
    if (rc == 0) {
        struct msg_checkpoint *m;

        tbi_fault_point(TBI_FAULT_CHECKPOINT);
        m = p->port.send(p->port.ctx, TBI_MSG_CHECKPOINT, sizeof *m);
        *m = (struct msg_checkpoint){call->instance->id, tbi_id_of(ref)};
    }
    tbi_process_leave(p);
    return rc;
}
