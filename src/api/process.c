#include "api/process.h"
#include "api/actor.h"
#include "api/call.h"
#include "api/errors.h"
#include "api/forked.h"
#include "api/inner_refs.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/look.h"
#include "util/plural.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

static struct tbi_process *the_process;
static pthread_mutex_t the_process_lock = PTHREAD_MUTEX_INITIALIZER; /* its coming and going */
static bool was_finalised;
static _Atomic bool runs_tasks;         /* it is an executor */
static enum { NO, YES, DONE } leaving;  /* the program is in exit(): the job is being ended, is ended */
static pthread_t leaver;
static _Thread_local const char *entered; /* the function of the API that this thread is in, from before it takes
                                             a lock until after; NULL: in none */
static _Thread_local bool is_library;   /* this thread runs what is the library's own */
static _Thread_local bool reads_call;   /* it is in a function with the tb_call of `current` */
static _Thread_local struct {
    struct tbi_handle *const *handle;
    size_t n;
} awaited;                              /* the objects that it is going to wait for */
static _Thread_local struct tbi_call *current; /* the task, or method, that this thread runs */
static struct {
    _Atomic(tb_call *) handle;          /* NULL: none runs */
    const struct tbi_slot *slot;        /* of the process */
} task;                                 /* that runs here */
enum { HANDLE = 16 };                   /* a handle is the number of its call + 1, times this */
static _Thread_local struct tbi_call *helped;  /* another thread's, which this one is in a function with */

void tbi_process_init(struct tbi_process *p)
{
    tbi_forked_watch();
    tbi_credit_init(&p->credit);
    pthread_mutex_init(&p->lock, NULL);
    tbi_condition_init(&p->changed);
    runs_tasks = p->proc != TBI_PROC_DRIVER;
    pthread_mutex_lock(&the_process_lock);
    the_process = p;
    pthread_mutex_unlock(&the_process_lock);
}

void tbi_process_fini(struct tbi_process *p)
{
    struct tbi_map_slot e;
    size_t at = 0;

    pthread_mutex_lock(&the_process_lock);
    while (tbi_map_next(&p->handles, &at, &e))
        tbi_scope_forget_handle(e.value);
    the_process = NULL;
    was_finalised = true;
    pthread_mutex_unlock(&the_process_lock);
    for (at = 0; tbi_map_next(&p->handles, &at, &e);) {
        tbi_handle_report_unread(e.value);
        free(((struct tbi_handle *)e.value)->blob);
        free(e.value);
    }
    while (p->given_up != NULL) {
        struct tbi_given_up *g = p->given_up;

        p->given_up = g->next;
        free(g);
    }
    tbi_map_fini(&p->handles);
    tbi_inner_fini(p);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
}

void tbi_process_close(struct tbi_process *p, bool leaves)
{
    pthread_mutex_lock(&the_process_lock);
    leaving = leaves ? YES : NO;
    leaver = pthread_self();
    pthread_mutex_unlock(&the_process_lock);
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

bool tbi_process_has_ended(void)
{
    bool ended;

    pthread_mutex_lock(&the_process_lock);
    ended = the_process == NULL;
    pthread_mutex_unlock(&the_process_lock);
    return ended;
}

void tbi_process_closed(void)
{
    pthread_mutex_lock(&the_process_lock);
    if (leaving == YES)
        leaving = DONE;
    pthread_mutex_unlock(&the_process_lock);
}

void tbi_process_wait_empty(struct tbi_process *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->calls > 0) { /* some may be copying, or getting pages */
        pthread_mutex_unlock(&p->lock);
        usleep(200);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

bool tbi_process_runs_tasks(void)
{
    return runs_tasks;
}

bool tbi_process_is_inside(void)
{
    return entered != NULL || is_library || reads_call || helped != NULL;
}

bool tbi_process_stay_inside(bool stay)
{
    bool before = is_library;

    is_library = stay;
    return before;
}

int tbi_process_refuse_handler(const char *function)
{
    return tbi_error_set(TB_ERR_STATE, "%s in a signal handler that interrupted another call: let the handler set a flag",
                         function);
}

/* While another thread is in exit(): until the job has ended, and then for a moment more. The program
 * should be gone by then; if it is not, somebody may be waiting for this thread. */
static void stand_by(void)
{
    bool waits;

    pthread_mutex_lock(&the_process_lock);
    waits = leaving != NO && !pthread_equal(leaver, pthread_self());
    while (waits && leaving == YES) {
        pthread_mutex_unlock(&the_process_lock);
        usleep(1000);
        pthread_mutex_lock(&the_process_lock);
    }
    pthread_mutex_unlock(&the_process_lock);
    for (int i = 0; waits && i < 100; i++) /* naps, not time: the machine may stop us all for longer */
        usleep(10000);
}

static struct tbi_process *enter(const char *function)
{
    struct tbi_process *p;
    bool closing = false;

    entered = function; /* before a signal handler could find us with a lock */
    pthread_mutex_lock(&the_process_lock);
    p = the_process;
    if (p != NULL) {
        pthread_mutex_lock(&p->lock);
        closing = p->closing;
        if (closing)
            pthread_mutex_unlock(&p->lock);
        else
            p->calls++;
    }
    pthread_mutex_unlock(&the_process_lock);
    if (p != NULL && !closing)
        return p;
    entered = NULL;
    stand_by();
    tbi_error_set(TB_ERR_STATE, closing ? "%s during tb_finalize"
                                : was_finalised ? "%s after tb_finalize"
                                                : "%s before tb_init: call tb_init first",
                  function);
    return NULL;
}

struct tbi_process *tbi_process_enter(const char *function)
{
    if (tbi_forked()) /* before any lock: its holder may be a thread that the child does not have */
        tbi_forked_refuse(function);
    else if (tbi_process_is_inside())
        tbi_process_refuse_handler(function);
    else
        return enter(function);
    return NULL;
}

struct tbi_process *tbi_process_enter_for_call(const char *function)
{
    if (!tbi_forked())
        return enter(function);
    tbi_forked_refuse(function);
    return NULL;
}

void tbi_process_leave(struct tbi_process *p)
{
    bool closing;

    if (p->port.flush(p->port.ctx)) {
        pthread_mutex_unlock(&p->lock);
        p->port.relieve(p->port.ctx);
        pthread_mutex_lock(&p->lock);
    }
    closing = p->closing;
    if (entered != NULL) /* else it did not enter: the end of an executor's task */
        p->calls--;
    pthread_mutex_unlock(&p->lock);
    entered = NULL;
    if (closing)
        stand_by();
}

struct tbi_call *tbi_process_call(const struct tbi_process *p)
{
    if (current != NULL)
        return current;
    if (helped != NULL)
        return helped;
    return p->running != NULL && p->running->next == NULL ? p->running : NULL;
}

struct tbi_call *tbi_process_own_call(void)
{
    return current;
}

void tbi_process_begin_call(struct tbi_process *p, struct tbi_call *call)
{
    call->handle = (tb_call *)(uintptr_t)((call->run->number + 1) * HANDLE);
    call->next = p->running;
    p->running = call;
    current = call;
    if (call->run->kind != TBI_TASK) /* which may run beside others, and be cancelled otherwise */
        return;
    task.slot = call->slot;
    atomic_store_explicit(&task.handle, call->handle, memory_order_release);
}

/* Of the task that runs this is known without the lock, for a loop in many threads may ask it each time. */
bool tbi_task_is_cancelled(const tb_call *handle, bool *known)
{
    *known = handle != NULL && atomic_load_explicit(&task.handle, memory_order_acquire) == handle;
    return *known && tbi_slot_is_cancelled(task.slot, (uintptr_t)handle / HANDLE - 1);
}

void tbi_call_close(struct tbi_call *call)
{
    call->over = true;
    if (atomic_load_explicit(&task.handle, memory_order_relaxed) == call->handle)
        atomic_store_explicit(&task.handle, NULL, memory_order_release);
}

/* With the lock, or in the child of a fork, which has one thread. */
static struct tbi_call *find_call(const struct tbi_process *p, const tb_call *handle)
{
    struct tbi_call *call = p == NULL ? NULL : p->running;

    while (call != NULL && (call->handle != handle || call->over))
        call = call->next;
    return call;
}

static struct tbi_call *enter_as_helper(const tb_call *handle, const char *function)
{
    struct tbi_process *p = tbi_process_enter(function);
    struct tbi_call *call;

    if (p == NULL)
        return NULL;
    call = find_call(p, handle);
    if (call != NULL) {
        call->users++;
        call->entries++;
        helped = call;
    } else {
        tbi_error_set(TB_ERR_STATE, "%s: the task, constructor or method that was given this tb_call has ended; a "
                      "tb_call is valid until that function returns, in all threads", function);
    }
    tbi_process_leave(p);
    return call;
}

struct tbi_call *tbi_call_enter(const tb_call *handle, const char *function)
{
    if (current != NULL && current->handle == handle && !tbi_process_is_inside()) {
        reads_call = true;
        return current;
    }
    if (handle == NULL) {
        tbi_error_set(TB_ERR_ARGUMENT, "%s: call is NULL", function);
        return NULL;
    }
    if (tbi_forked())
        return find_call(the_process, handle);
    if (!tbi_process_is_inside())
        return enter_as_helper(handle, function);
    tbi_process_refuse_handler(function);
    return NULL;
}

void tbi_call_leave(struct tbi_call **entered_call)
{
    struct tbi_call *call = *entered_call;
    struct tbi_process *p;

    if (call == current)
        reads_call = false;
    if (call == NULL || call == current || tbi_forked())
        return;
    p = call->process;
    pthread_mutex_lock(&p->lock);
    if (--call->users == 0 && call->over) {
        atomic_fetch_add(&p->news, 1);
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    helped = NULL; /* not before: a signal handler could find us with the lock */
}

static bool is_alone(void *arg)
{
    return ((const struct tbi_call *)arg)->users == 0;
}

void tbi_call_wait_alone(struct tbi_call *call)
{
    struct tbi_process *p = call->process;

    if (call->users == 0)
        return;
    atomic_fetch_add(&p->news, 1);
    pthread_cond_broadcast(&p->changed);
    tbi_process_wait_idle(p, is_alone, call);
}

void tbi_process_end_call(struct tbi_process *p, struct tbi_call *call)
{
    struct tbi_call **at = &p->running;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    current = NULL;
}

struct tbi_id tbi_process_new_id(struct tbi_process *p)
{
    if (p->counter == TBI_ID_COUNTER_MAX) {
        fprintf(stderr, "thornback: a process made more than 2^48 objects\n");
        abort();
    }
    return tbi_id_make(p->job, p->rank, p->proc, ++p->counter, 0);
}

void tbi_process_send_id(struct tbi_process *p, enum tbi_msg type, struct tbi_id id)
{
    ((struct msg_object *)p->port.send(p->port.ctx, type, sizeof(struct msg_object)))->id = id;
}

int tbi_timeout_check(const char *function, double timeout)
{
    return !isnan(timeout) ? 0
                           : tbi_error_set(TB_ERR_ARGUMENT, "%s: the timeout is not a number (NaN); seconds are "
                                           "expected, or a negative number to wait without end", function);
}

uint64_t tbi_deadline(double timeout)
{
    if (!(timeout >= 0) || timeout > 1e9)
        return UINT64_MAX;
    return tbi_now_us() + (uint64_t)(timeout * 1e6);
}

/* ---- waiting ---- */

static void follow(struct tbi_process *p, uint64_t deadline_us)
{
    p->followers++;
    tbi_condition_wait(&p->changed, &p->lock, deadline_us);
    p->followers--;
}

/* What a thread waits for is on record while it does, for reports. */
static void begin_waiting(struct tbi_process *p, struct tbi_waiter *w, const char *function)
{
    *w = (struct tbi_waiter){.next = p->waiters, .function = function, .handle = awaited.handle, .n = awaited.n,
                             .since_us = tbi_now_us()};
    p->waiters = w;
}

static void end_waiting(struct tbi_process *p, const struct tbi_waiter *w)
{
    struct tbi_waiter **at = &p->waiters;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
}

void tbi_process_awaits(struct tbi_handle *const *handle, size_t n)
{
    awaited.handle = handle;
    awaited.n = n;
}

const struct tbi_handle *tbi_waiter_text(const struct tbi_waiter *w, char *text, size_t size)
{
    double waited = (double)(tbi_now_us() - w->since_us) / 1e6;
    size_t missing = 0, first = 0;
    char id[64];

    for (size_t i = w->n; i-- > 0;)
        if (w->handle[i]->blob == NULL && w->handle[i]->state != TBI_HANDLE_STORED) {
            missing++;
            first = i;
        }
    if (missing == 0) {
        snprintf(text, size, "%s has waited for %.1f s", w->function, waited);
        return NULL;
    }
    snprintf(text, size, "%s has waited for %.1f s: %zu of %zu object%s not here, the first is %s", w->function,
             waited, missing, w->n, tbi_plural(w->n, " is", "s are"), tb_ref_text(tbi_ref_of(w->handle[first]->id), id, sizeof id));
    return w->handle[first];
}

/* Once a wait, with TB_DEBUG. */
static void tell_if_long(struct tbi_waiter *w)
{
    char text[256];

    if (w->told || w->function == NULL || !tbi_look_is_told() || tbi_now_us() - w->since_us < TBI_LONG_US)
        return;
    w->told = true;
    tbi_waiter_text(w, text, sizeof text);
    if (current != NULL)
        tbi_look_tell("%s, in '%s'", text, current->function);
    else
        tbi_look_tell("%s", text);
}

/* Nobody wants what is waited for any more. */
static bool is_ended(const struct tbi_call *call)
{
    return call != NULL && (call->over || tbi_call_is_cancelled(call));
}

bool tbi_process_wait_for(struct tbi_process *p, bool (*done)(void *), void *arg, uint64_t deadline_us,
                          bool even_if_cancelled)
{
    struct tbi_waiter waiter;
    uint64_t seen;
    int cancels;
    bool ok;

    if (done(arg))
        return true;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancels); /* a thread that ended here would keep the lock */
    begin_waiting(p, &waiter, entered);
    /* The call is looked for each time: that of another thread may end meanwhile. */
    while (!(ok = done(arg)) && !p->closing &&
           (even_if_cancelled || !is_ended(tbi_process_call(p)))) {
        if (deadline_us != UINT64_MAX && tbi_now_us() >= deadline_us)
            break;
        tell_if_long(&waiter);
        if (p->leading) {
            p->port.flush(p->port.ctx); /* who leads sends what is queued by itself */
            follow(p, deadline_us);
            continue;
        }
        p->leading = true;
        seen = atomic_load(&p->news); /* what comes before we lead must not be waited for */
        pthread_mutex_unlock(&p->lock);
        /* Who leads says what it waits for, too. */
        p->port.progress(p->port.ctx, seen, tbi_look_is_told() ? tbi_look_before(deadline_us) : deadline_us);
        pthread_mutex_lock(&p->lock);
        p->leading = false;
        if (p->followers > 0)
            pthread_cond_broadcast(&p->changed);
    }
    end_waiting(p, &waiter);
    pthread_setcancelstate(cancels, NULL);
    return ok;
}

bool tbi_process_wait(struct tbi_process *p, bool (*done)(void *), void *arg, uint64_t deadline_us)
{
    return tbi_process_wait_for(p, done, arg, deadline_us, false);
}

bool tbi_process_wait_idle(struct tbi_process *p, bool (*done)(void *), void *arg)
{
    return tbi_process_wait_for(p, done, arg, UINT64_MAX, true);
}

int tbi_process_why_ended(const struct tbi_process *p)
{
    const struct tbi_call *call = tbi_process_call(p);

    if (p->closing)
        return tbi_error_set(TB_ERR_STATE, "tb_finalize while waiting");
    if (call != NULL && call->over)
        return tbi_error_set(TB_ERR_STATE, "'%s', which this thread works for, has ended", call->function);
    if (call != NULL && tbi_call_is_cancelled(call))
        return tbi_error_set(TB_ERR_CANCELLED, "the task that waits, '%s', is cancelled",
                             call->function);
    return 0;
}
