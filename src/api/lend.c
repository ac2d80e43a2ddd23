#include "api/lend.h"
#include "api/call.h"
#include "exec/bell.h"
#include "exec/bind.h"
#include "util/fault.h"

#include <time.h>

/* For how long a process is looked at before it is said to compute nothing, and what part of that it may compute all
 * the same: its threads that wait look now and then. */
enum { IDLE_US = 100000, IDLE_PART = 10 };

/* The executor may end here, all told. */
static void may_end(struct tbi_process *p, enum tbi_fault point)
{
    if (tbi_fault(point)) {
        p->port.flush(p->port.ctx);
        tbi_fault_die();
    }
}

static void send_task(struct tbi_process *p, const struct tbi_call *call, enum tbi_msg type)
{
    struct msg_task *m = p->port.send(p->port.ctx, type, sizeof *m);

    *m = (struct msg_task){call->run->task, call->run->attempt, 0};
}

static void lend(struct tbi_process *p, struct tbi_call *call)
{
    tbi_fault_point(TBI_FAULT_BLOCK);
    send_task(p, call, TBI_MSG_BLOCK);
    call->cpus = TBI_CPUS_LENT;
    may_end(p, TBI_FAULT_WAIT);
}

/* ---- back again ---- */

struct resuming {
    const struct tbi_call *call;
    uint32_t resumes;
};

static bool is_resumed(void *arg)
{
    const struct resuming *r = arg;

    return r->call->resumes != r->resumes;
}

/* Another thread may have asked for them already. */
static void take_back(struct tbi_process *p, struct tbi_call *call)
{
    struct resuming r = {call, call->resumes};

    if (call->cpus == TBI_CPUS_HELD)
        return;
    if (call->cpus == TBI_CPUS_LENT) {
        send_task(p, call, TBI_MSG_UNBLOCK);
        call->cpus = TBI_CPUS_RESUMING;
        may_end(p, TBI_FAULT_RESUME);
    }
    tbi_process_wait_for(p, is_resumed, &r, UINT64_MAX, true);
    tbi_bind_cores(p->places, call->cores, call->ncores);
}

void tbi_lend_end(struct tbi_process *p, struct tbi_call *call)
{
    while (call->cpus != TBI_CPUS_HELD && !p->closing)
        take_back(p, call);
}

/* ---- the thread that runs the task ---- */

static bool wait_with_call(struct tbi_process *p, struct tbi_call *call, bool (*done)(void *), void *arg,
                           uint64_t deadline_us, bool even_if_cancelled)
{
    uint64_t since_us = tbi_now_us();
    bool is_task = call->run->kind != TBI_CALL, ok;

    if (tbi_call_is_cancelled(call) && !even_if_cancelled)
        return false;
    while (is_task && call->cpus == TBI_CPUS_RESUMING) /* another thread may have done it anew meanwhile */
        take_back(p, call);
    if (is_task && call->cpus == TBI_CPUS_HELD)
        lend(p, call);
    call->waits = true;
    ok = tbi_process_wait_for(p, done, arg, deadline_us, even_if_cancelled);
    call->waits = false;
    if (is_task)
        take_back(p, call);
    call->blocked_us += tbi_now_us() - since_us;
    return ok;
}

/* ---- others of its process ---- */

static uint64_t computed_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool computes_nothing(struct tbi_call *call)
{
    uint64_t now_us = tbi_now_us(), span_us = now_us - call->looked_us, used_us;
    bool idle;

    if (call->looked_us != 0 && span_us < IDLE_US)
        return false;
    used_us = computed_us();
    idle = call->looked_us != 0 && span_us < 10 * IDLE_US /* else nobody looked meanwhile */ &&
           (used_us - call->used_us) * IDLE_PART <= span_us;
    call->looked_us = now_us;
    call->used_us = used_us;
    return idle;
}

static bool wait_beside_call(struct tbi_process *p, struct tbi_call *call, bool (*done)(void *), void *arg,
                             uint64_t deadline_us, bool even_if_cancelled)
{
    const struct msg_run *run = call->run;
    bool ok = false;

    while (!ok && tbi_now_us() < deadline_us && !p->closing && tbi_process_call(p) == call && call->run == run &&
           !call->over && (even_if_cancelled || !tbi_call_is_cancelled(call))) {
        uint64_t look_us;

        if (computes_nothing(call) && call->cpus == TBI_CPUS_HELD)
            lend(p, call);
        look_us = call->looked_us + IDLE_US;
        ok = tbi_process_wait_for(p, done, arg, look_us < deadline_us ? look_us : deadline_us, even_if_cancelled);
    }
    if (tbi_process_call(p) == call && call->run == run && !call->over && !call->waits)
        take_back(p, call);
    return ok;
}

static bool wait_blocked(struct tbi_process *p, bool (*done)(void *), void *arg, uint64_t deadline_us,
                         bool even_if_cancelled)
{
    struct tbi_call *call = tbi_process_call(p);

    if (done(arg))
        return true;
    if (call != NULL && pthread_equal(call->thread, pthread_self()))
        return wait_with_call(p, call, done, arg, deadline_us, even_if_cancelled);
    if (call != NULL && call->run->kind != TBI_CALL && !call->over)
        return wait_beside_call(p, call, done, arg, deadline_us, even_if_cancelled);
    return tbi_process_wait_for(p, done, arg, deadline_us, even_if_cancelled);
}

bool tbi_process_wait_blocked(struct tbi_process *p, bool (*done)(void *), void *arg,
                              uint64_t deadline_us)
{
    return wait_blocked(p, done, arg, deadline_us, false);
}

bool tbi_process_wait_uncancelled(struct tbi_process *p, bool (*done)(void *), void *arg,
                                  uint64_t deadline_us)
{
    return wait_blocked(p, done, arg, deadline_us, true);
}
