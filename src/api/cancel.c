/* cancel.c - tb_cancel, and how a task sees that it is cancelled. */
#include "api/call.h"
#include "api/errors.h"
#include "exec/lanes.h"

int tb_cancel(tb_ref ref, int flags)
{
    struct tbi_process *p;
    int rc;

    if (flags & ~(TB_CANCEL_FORCE | TB_CANCEL_NOT_RECURSIVE))
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_cancel: unknown flags %#x", flags);
    p = tbi_process_enter("tb_cancel");
    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_ref_check(p, ref);
    if (rc == 0 && !tbi_id_is_failed(p, tbi_id_of(ref))) { /* else its call failed: nothing runs */
        struct msg_cancel *m = p->port.send(p->port.ctx, TBI_MSG_CANCEL, sizeof *m);

        *m = (struct msg_cancel){tbi_id_of(ref), (uint32_t)flags, 0};
    }
    tbi_process_leave(p);
    return rc;
}

/* The agent writes the task's number into the slot, where a task that computes finds it. Of calls that run at once
 * another may come to have the same place, so they are marked by their process, too. */
bool tbi_call_is_cancelled(const struct tbi_call *call)
{
    return call != NULL &&
           (tbi_run_is_cancelled(call->run) || tbi_slot_is_cancelled(call->slot, call->run->number));
}

/* Who is left of a task that has ended is not wanted either. */
static bool is_cancelled_or_over(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_cancelled");

    return call != NULL ? tbi_call_is_cancelled(call) : handle != NULL && !tbi_process_is_inside();
}

bool tb_cancelled(const tb_call *handle)
{
    bool known, cancelled = tbi_task_is_cancelled(handle, &known);

    return known ? cancelled : is_cancelled_or_over(handle);
}
