/* call.c - a task, or a call of an actor, from RUN to DONE, and the one place where it is decided how it ended.
 * Reading arguments is in args.c, setting results in results.c. */
#include "api/call.h"
#include "api/lend.h"
#include "api/crash.h"
#include "api/errors.h"
#include "api/forked.h"
#include "api/instance.h"
#include "api/options.h"
#include "api/registry.h"
#include "exec/locked.h"
#include "exec/streams.h"
#include "exec/surroundings.h"
#include "util/alloc.h"
#include "util/error_blob.h"
#include "util/fault.h"

#include <stdarg.h>
#include <unistd.h>

enum { LONG_ENOUGH_US = 8 /* to have made a process in it */ };

/* ---- what has gone wrong ---- */

static void forget_cause(struct tbi_call *call)
{
    free(call->cause);
    free(call->cause_text);
    call->cause = NULL;
    call->cause_text = NULL;
    call->cause_bytes = 0;
}

void tbi_call_note_cause(struct tbi_call *call, const void *error, size_t bytes)
{
    forget_cause(call);
    call->cause = tbi_copy(error, bytes);
    call->cause_bytes = bytes;
    call->cause_text = tbi_copy(tb_last_error(), strlen(tb_last_error()) + 1);
}

/* If the last error is still that of the get that failed last: how that failure began, said without those who only
 * passed it on, or a text would grow by each of them until the reason has no room. Else NULL. */
static const char *words_of_cause(const struct tbi_call *call)
{
    const struct tbi_error_link *link = call->cause;

    if (link == NULL || strcmp(tb_last_error(), call->cause_text) != 0)
        return NULL;
    return link->root > 0 ? link->message + link->root - 1 : call->cause_text;
}

const char *tbi_call_hint_to_keep(const struct tbi_process *p)
{
    const struct tbi_call *call = tbi_process_call(p);

    if (call == NULL)
        return "";
    return call->run->kind == TBI_TASK
               ? " (refs that a task makes or reads are released when it returns)"
               : " (refs that a constructor or method makes or reads are released when it returns: tb_scope_keep or "
                 "tb_scope_keep_actor keeps one in the actor's state)";
}

static void describe(const struct tbi_call *call, struct tbi_error_link *link)
{
    link->rank = (int32_t)call->process->rank;
    link->pid = getpid();
    link->attempt = call->run->attempt + call->again;
    snprintf(link->host, sizeof link->host, "%s", call->process->host);
    snprintf(link->function, sizeof link->function, "%s", call->function);
}

/* The agent is to find it there if the process does not come to its DONE. */
static void leave_error(const struct tbi_call *call)
{
    call->slot->sticky = call->error;
    atomic_store_explicit(&call->slot->sticks, call->run->number + 1, memory_order_release);
}

int tbi_call_stick(struct tbi_call *call, int code, const char *message)
{
    if (call->failed != 0 || tbi_forked()) /* the slot is the parent's */
        return code;
    call->failed = tbi_error_link(&call->error, code, "%s", message);
    describe(call, &call->error);
    if (call->instance == NULL || !call->instance->concurrent) /* else a crash may be that of another call */
        leave_error(call);
    return code;
}

void tbi_call_stick_if(struct tbi_call *call, int rc)
{
    if (rc != 0 && call != NULL)
        tbi_call_stick(call, rc, tb_last_error());
}

int tb_call_error(const tb_call *handle)
{
    TBI_ENTER_CALL(call, handle, "tb_call_error");

    return call == NULL ? tbi_call_none(handle) : call->failed;
}

int tb_fail(tb_call *handle, const char *fmt, ...)
{
    TBI_ENTER_CALL(call, handle, "tb_fail");
    char message[512];
    va_list args;

    if (call == NULL)
        return tbi_call_none(handle);
    if (tbi_forked())
        return tbi_forked_refuse("tb_fail");
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    tbi_error_set(TB_ERR_TASK, "%s", message);
    return tbi_call_stick(call, TB_ERR_TASK, message);
}

/* `because`: the message ends where the last error is to follow. Without a call the last error is as before. A signal
 * handler that interrupted a call of the library cannot take the lock, but its thread's call is nobody else's. */
static void end_now(int code, const char *message, bool because)
{
    char last[1024];
    struct tbi_process *p;
    struct tbi_call *call;

    snprintf(last, sizeof last, "%s", tb_last_error());
    p = tbi_process_enter("tb_must");
    call = p != NULL ? tbi_process_call(p) : tbi_process_is_inside() && !tbi_forked() ? tbi_process_own_call() : NULL;
    tbi_error_set(code, "%s", last);

    if (call != NULL) {
        const char *words = because ? words_of_cause(call) : NULL;
        bool first = call->failed == 0;
        char whole[512];

        snprintf(whole, sizeof whole, "%s%s", message, words != NULL ? words : because ? tb_last_error() : "");
        tbi_call_stick(call, code, whole);
        if (first && words != NULL && strlen(message) < sizeof whole)
            call->error.root = (uint32_t)strlen(message) + 1;
        leave_error(call);
        atomic_store(&call->slot->begun, call->run->number + 1);
        if (p != NULL) {
            tbi_process_leave(p);
            tbi_streams_flush();
        }
        _exit(1); /* the task ends here; its node replaces the process */
    }
    if (p != NULL)
        tbi_process_leave(p);
}

void tbi_call_end_now(int code, const char *message)
{
    end_now(code, message, false);
}

void tb_must_(int rc, const char *expression, const char *file, int line)
{
    char message[512];

    if (rc >= 0)
        return;
    snprintf(message, sizeof message, "%s:%d: %s: %s%s", file, line, expression, tb_strerror(rc),
             tb_last_error()[0] ? ": " : "");
    end_now(rc, message, true);
    fprintf(stderr, "%s%s\n", message, tb_last_error());
    tbi_forked_leave(1);
    exit(1);
}

/* ---- from RUN to DONE ---- */

/* Decides how the task ended; fills the chain of errors and returns its length, 0 for success. */
static int judge(struct tbi_call *call, int rc, struct tbi_error_link *chain)
{
    for (unsigned i = 0; rc == 0 && call->failed == 0 && i < call->nreturns; i++)
        if (!call->result[i].set) {
            tbi_error_set(TB_ERR_TASK, "'%s' returned 0 without setting result %u of %u: use "
                          "tb_return", call->function, i, call->nreturns);
            tbi_call_stick(call, TB_ERR_TASK, tb_last_error());
        }
    if (rc == 0 && call->failed == 0)
        return 0;
    if (call->failed != 0) {
        chain[0] = call->error;
    } else {
        bool code = rc < 0 && rc >= TB_ERR_LAST_;
        const char *words = code ? words_of_cause(call) : NULL;

        if (words != NULL)
            tbi_error_link(&chain[0], rc, "%s", words);
        else if (code && tb_last_error()[0] != 0)
            tbi_error_link(&chain[0], rc, "%s", tb_last_error());
        else if (code)
            tbi_error_link(&chain[0], rc, "'%s' returned %d: %s", call->function, rc,
                           tb_strerror(rc));
        else
            tbi_error_link(&chain[0], TB_ERR_TASK, "'%s' returned %d", call->function, rc);
        chain[0].root = words != NULL;
        chain[0].number = rc;
        describe(call, &chain[0]);
    }
    if (call->cause != NULL && ((const struct tbi_error_link *)call->cause)->code == chain[0].code)
        return tbi_error_chain(chain, call->cause, call->cause_bytes);
    return 1;
}

static const void *result_at(const struct tbi_call *call, const struct tbi_call_result *r)
{
    return r->stored ? tbi_memory_at(call->process->memory, call->process->rank, r->offset) : r->blob;
}

static size_t refs_in(const struct tbi_call *call, const struct tbi_call_result *r,
                      const tb_ref **refs)
{
    struct tbi_view view;
    size_t n;

    if (tbi_value_open(result_at(call, r), r->bytes, &view) != 0)
        return 0;
    *refs = tbi_value_refs(&view, &n);
    return n;
}

static void send_failure(const struct tbi_call *call, const struct tbi_error_link *chain, int links,
                         const struct tbi_id *kept, uint32_t nkept)
{
    const struct msg_run *run = call->run;
    struct tbi_process *p = call->process;
    size_t bytes = (size_t)links * sizeof *chain;
    struct msg_done *m = p->port.send(p->port.ctx, TBI_MSG_DONE,
                                      sizeof *m + nkept * sizeof *kept + bytes);

    *m = (struct msg_done){.task = run->task, .attempt = run->attempt, .error = chain[0].code,
                           .nkept = nkept, .data_bytes = (uint32_t)bytes,
                           .error_bytes = (uint32_t)bytes, .run_us = call->run_us,
                           .exits = call->exits};
    if (nkept > 0)
        memcpy(m + 1, kept, nkept * sizeof *kept);
    memcpy((struct tbi_id *)(m + 1) + nkept, chain, bytes);
}

static void send_results(struct tbi_call *call, const struct tbi_id *kept, uint32_t nkept)
{
    const struct msg_run *run = call->run;
    struct tbi_process *p = call->process;
    size_t ids = 0, data = 0;
    struct msg_done *m;
    struct tbi_result *result;
    struct tbi_id *id;
    uint8_t *to;

    for (unsigned i = 0; i < call->nreturns; i++) {
        const tb_ref *refs;

        ids += refs_in(call, &call->result[i], &refs);
        data += call->result[i].stored ? 0 : tbi_padded(call->result[i].bytes);
    }
    m = p->port.send(p->port.ctx, TBI_MSG_DONE, sizeof *m + call->nreturns * sizeof *result +
                                                    (ids + nkept) * sizeof *id + data);
    *m = (struct msg_done){.task = run->task, .attempt = run->attempt, .nresults = (uint16_t)call->nreturns,
                           .nkept = nkept, .data_bytes = (uint32_t)data,
                           .run_us = call->run_us, .exits = call->exits};
    result = (struct tbi_result *)(m + 1);
    id = (struct tbi_id *)(result + call->nreturns);
    to = (uint8_t *)(id + ids + nkept);
    for (unsigned i = 0; i < call->nreturns; i++) {
        const struct tbi_call_result *r = &call->result[i];
        const tb_ref *refs = NULL;
        size_t n = refs_in(call, r, &refs);

        result[i] = (struct tbi_result){r->stored ? TBI_AT_STORE : TBI_AT_INLINE, (uint32_t)n,
                                        r->bytes};
        if (n > 0)
            memcpy(id, refs, n * sizeof *id);
        id += n;
        if (!r->stored) {
            memset(to + tbi_padded(r->bytes) - 8, 0, 8);
            memcpy(to, r->blob, r->bytes);
            to += tbi_padded(r->bytes);
        }
    }
    if (nkept > 0)
        memcpy(id, kept, nkept * sizeof *kept);
}

/* The actor lives: its process goes on, and holds what the call has kept. */
static void send_constructed(const struct tbi_call *call, const struct tbi_id *kept, uint32_t nkept)
{
    struct tbi_process *p = call->process;
    struct msg_done *m = p->port.send(p->port.ctx, TBI_MSG_CONSTRUCTED, sizeof *m + nkept * sizeof *kept);

    *m = (struct msg_done){.task = call->run->task, .attempt = call->run->attempt, .nkept = nkept,
                           .run_us = call->run_us};
    if (nkept > 0)
        memcpy(m + 1, kept, nkept * sizeof *kept);
}

/* No other thread is in it, or will be. One that still was may have taken back a result. */
static int close_call(struct tbi_call *call, struct tbi_error_link *chain, int links)
{
    tbi_lend_end(call->process, call); /* another thread waits */
    tbi_call_close(call);
    if (call->entries == 0)
        return links;
    tbi_call_wait_alone(call);
    return links == 0 && call->run->kind != TBI_ACTOR ? judge(call, 0, chain) : links;
}

/* What the task holds goes with its end: borrowed refs that it keeps are named in DONE itself, so
 * that the head takes the one hold before it drops the other. */
static void end(struct tbi_call *call, struct tbi_error_link *chain, int links)
{
    struct tbi_process *p = call->process;
    struct tbi_id *kept;
    uint32_t nkept;

    pthread_mutex_lock(&p->lock);
    links = close_call(call, chain, links);
    tbi_scope_release_borrowed(p, call->scope);
    kept = tbi_alloc((call->nborrowed + 1) * sizeof *kept);
    nkept = tbi_handles_end_borrowing(p, call, kept);
    while (nkept > TBI_KEPT_MAX) /* the record of its end has no room for them */
        tbi_process_send_id(p, TBI_MSG_HOLD, kept[--nkept]);
    for (unsigned i = 0; i < call->nreturns; i++)
        if (call->result[i].stored)
            tbi_memory_take_back(p->memory, call->result[i].offset, call->result[i].bytes);
    if (links > 0)
        send_failure(call, chain, links, kept, nkept);
    else if (call->run->kind == TBI_ACTOR)
        send_constructed(call, kept, nkept);
    else
        send_results(call, kept, nkept);
    free(kept);
    if (call->exits) { /* who waits for more to run need not any longer */
        call->instance->exits = true;
        atomic_fetch_add(&p->news, 1);
        pthread_cond_broadcast(&p->changed);
    }
    tbi_process_end_call(p, call);
    tbi_scope_destroy(p, call->scope);
    tbi_process_leave(p);
}

/* ---- trying again ---- */

/* A call that failed with one of these codes is tried where it is, so that no later call overtakes it. */
static bool may_try_again(const struct tbi_call *call, int code)
{
    const struct msg_run *run = call->run;
    int32_t times = run->max_retries;

    if (run->kind != TBI_CALL || code <= -32 || !(run->retry_codes >> -code & 1) || call->exits ||
        call->placed == run || tbi_call_is_cancelled(call))
        return false;
    if (times == TBI_RETRIES_DEFAULT)
        times = tbi_run_actor(call->placed)->max_task_retries;
    if (times == 0)
        times = TBI_RETRIES;
    return times < 0 || run->attempt + call->again < (uint32_t)times;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* As if it had not been run: but what it has submitted goes on, as that of a task does. */
static void undo(struct tbi_call *call)
{
    struct tbi_process *p = call->process;

    tbi_results_undo(call);
    tbi_scope_destroy(p, call->scope);
    call->scope = tbi_scope_create();
    forget_cause(call);
    call->failed = 0;
    atomic_store(&call->slot->sticks, 0);
    call->nsubmitted = 0;
    call->again++;
}

/* False: it was cancelled while it waited for its turn. */
static bool begin_again(struct tbi_call *call)
{
    uint64_t delay_us = (uint64_t)call->run->retry_delay_ms * 1000;
    struct tbi_process *p = call->process;
    bool cancelled;

    pthread_mutex_lock(&p->lock);
    tbi_call_wait_alone(call);
    undo(call);
    p->port.flush(p->port.ctx);
    if (delay_us > 0)
        tbi_process_wait(p, never, NULL, tbi_now_us() + delay_us);
    pthread_mutex_unlock(&p->lock);
    cancelled = tbi_call_is_cancelled(call);
    if (cancelled)
        tbi_call_stick(call, TB_ERR_CANCELLED, "cancelled before it was tried again");
    return !cancelled;
}

/* For the scheduler, which sends short tasks ahead of their turn. */
static uint32_t ran_for(const struct tbi_call *call)
{
    uint64_t us = tbi_now_us() - call->began_us - call->blocked_us;

    return us < 1 ? 1 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int call_function(struct tbi_call *call)
{
    switch (call->run->kind) {
    case TBI_ACTOR:
        return tbi_instance_construct(call->instance, call);
    case TBI_CALL:
        return tbi_instance_call(call->instance, call);
    default:
        return tbi_registry_row((int)call->run->fn)->fn(call->handle);
    }
}

/* Around the program's function all is the library's: a signal handler finds it in the middle of a call. */
static int run_function(struct tbi_call *call)
{
    bool before = tbi_process_stay_inside(false);
    int rc = call_function(call);

    tbi_process_stay_inside(before);
    return rc;
}

/* Once a process, for it may be what each call does. */
static void tell_locked(const struct tbi_call *call)
{
    static _Atomic bool told;

    if (!atomic_exchange(&told, true))
        fprintf(stderr, "thornback: warning: '%s' returned with a C stream locked by flockfile; it was unlocked, for else "
                "no other thread of its process could use the stream\n", call->function);
}

/* The length of the chain of errors; 0: it has succeeded. */
static int run_once(struct tbi_call *call, struct tbi_error_link *chain)
{
    int rc;

    tbi_error_clear();
    call->began_us = tbi_now_us();
    call->blocked_us = 0;
    rc = run_function(call);
    tbi_forked_leave(rc != 0);
    call->run_us = ran_for(call);
    if (call->run_us >= LONG_ENOUGH_US)
        tbi_forked_look(rc != 0);
    if (tbi_locked_end())
        tell_locked(call);
    tbi_fault_point(TBI_FAULT_RETURN);
    tbi_streams_flush();
    return judge(call, rc, chain);
}

/* It was claimed, and cancelled meanwhile: nothing would interrupt it. */
static int refuse(struct tbi_call *call, struct tbi_error_link *chain)
{
    tbi_call_stick(call, TB_ERR_CANCELLED, "cancelled before it began");
    return judge(call, 0, chain);
}

/* What becomes of the actor. */
static void settle(struct tbi_call *call, bool failed)
{
    if (call->run->kind == TBI_ACTOR && failed)
        tbi_instance_drop(call->instance);
    else if (call->run->kind == TBI_ACTOR)
        tbi_instance_settle(call->instance, call);
}

static void free_call(struct tbi_call *call)
{
    for (unsigned i = 0; i < call->nreturns; i++)
        free(call->result[i].blob);
    free(call->result);
    while (call->ncopies > 0)
        free(call->copy[--call->ncopies]);
    free(call->copy);
    free(call->borrowed);
    forget_cause(call);
    free(call->cores);
}

/* Where the run that placed it says so. */
static const uint16_t *place_of(const struct msg_run *run)
{
    return (const uint16_t *)((const uint8_t *)(run + 1) + run->nargs * sizeof(struct tbi_run_arg) +
                              run->data_bytes);
}

static void finish(struct tbi_call *call, struct tbi_error_link *chain, int links)
{
    tbi_crash_about(NULL, NULL);
    settle(call, links > 0);
    end(call, chain, links);
    free_call(call);
}

void tbi_call_run(struct tbi_process *p, struct tbi_slot *slot, const struct msg_run *run)
{
    static _Thread_local struct tbi_call call; /* not on the stack, which is gone when tbi_call_abandon needs it */
    struct tbi_error_link chain[TBI_ERROR_CHAIN_MAX];
    int links;

    memset(&call, 0, offsetof(struct tbi_call, error));
    call.process = p;
    call.run = call.placed = run;
    call.thread = pthread_self();
    call.slot = slot;
    call.instance = run->kind == TBI_TASK ? NULL : p->instance;
    call.arg = (const struct tbi_run_arg *)(run + 1);
    call.function = tbi_registry_row((int)run->fn)->name;
    call.nreturns = run->kind == TBI_ACTOR ? 0 : run->nreturns;
    if (run->kind == TBI_CALL && call.instance->run != NULL)
        call.placed = call.instance->run;
    call.data = (const uint8_t *)(call.arg + run->nargs);
    call.place = place_of(call.placed);
    if (call.nreturns > 0)
        call.result = tbi_alloc_zeroed(call.nreturns, sizeof *call.result);
    call.scope = tbi_scope_create();
    pthread_mutex_lock(&p->lock);
    tbi_process_begin_call(p, &call);
    pthread_mutex_unlock(&p->lock);
    if (run->kind != TBI_CALL) /* an actor stays where it is */
        tbi_bind(p->places, call.place, run->ncores, run->ngpus, run->cpus);
    tbi_crash_about(run, call.function);
    tbi_fault_point(TBI_FAULT_BEGIN);
    if (run->kind == TBI_TASK)
        tbi_surroundings_begin();
    links = run->kind == TBI_CALL && tbi_call_is_cancelled(&call) ? refuse(&call, chain) : run_once(&call, chain);
    while (links > 0 && may_try_again(&call, chain[0].code))
        links = begin_again(&call) ? run_once(&call, chain) : judge(&call, 0, chain);
    if (run->kind == TBI_TASK && !tbi_surroundings_end())
        p->unfit = true; /* for another task */
    finish(&call, chain, links);
}

void tbi_call_describe_abandoned(char *text, size_t size, const char *function)
{
    snprintf(text, size, "'%s' ended its thread, by pthread_exit or pthread_cancel, instead of returning", function);
}

void tbi_call_abandon(void)
{
    struct tbi_call *call = tbi_process_own_call();
    struct tbi_error_link chain[TBI_ERROR_CHAIN_MAX];
    char why[256];

    if (call == NULL)
        return;
    tbi_process_stay_inside(true); /* but not what other destructors do */
    tbi_locked_end();
    tbi_streams_flush();
    call->run_us = ran_for(call);
    tbi_call_describe_abandoned(why, sizeof why, call->function);
    tbi_call_stick(call, TB_ERR_TASK, why);
    finish(call, chain, judge(call, 0, chain));
    tbi_process_stay_inside(false);
}
