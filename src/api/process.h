/* process.h - a process that uses the API, be it the driver or an executor: which refs it holds, what
 * it knows of the objects behind them, and how its threads wait.
 *
 * Every function here is called with the lock held unless it says otherwise; tbi_process_enter
 * takes it. Records leave through a port and come back through tbi_process_take. Of the threads
 * that wait, one leads: it makes the port progress, the others sleep until it has news or leaves.
 *
 * A handle:  UNKNOWN -> EXISTS -> STORED (pinned for us) -> EXISTS ...
 *               |          +----> INLINE | FAILED (the bytes are kept with the handle)
 *               +-> OPEN (we are writing it) -> EXISTS                                       */
#ifndef TBI_PROCESS_H
#define TBI_PROCESS_H

#include "api/credit.h"
#include "api/resources.h"
#include "api/value.h"
#include "exec/bind.h"
#include "net/messages.h"
#include "store/memory.h"
#include "util/error_blob.h"
#include "util/map.h"

#include <stdio.h>
#include <pthread.h>

struct tbi_process_port {
    void *ctx;
    /* Room for the body of a record of this process; filled before the lock is dropped. */
    void *(*send)(void *ctx, enum tbi_msg type, size_t size);
    /* What was sent gets on its way. True: what is still on its way has become long. */
    bool (*flush)(void *ctx);
    /* Without the lock, one thread at a time: waits for records and hands them to
     * tbi_process_take; returns when process->news is not `seen` any more, or for no reason, and
     * at the deadline at the latest. */
    void (*progress)(void *ctx, uint64_t seen, uint64_t deadline_us);
    /* Without the lock, when flush says so: works that off, so that a program that submits faster than the
     * job takes it in cannot fill the memory. */
    void (*relieve)(void *ctx);
};

enum tbi_handle_state {
    TBI_HANDLE_UNKNOWN, TBI_HANDLE_OPEN, TBI_HANDLE_EXISTS, TBI_HANDLE_STORED, TBI_HANDLE_INLINE,
    TBI_HANDLE_FAILED
};

struct tbi_handle {
    struct tbi_id id;
    uint32_t count;         /* what the program owns */
    uint32_t users;         /* API calls under way: they keep the handle from being forgotten */
    uint32_t views;         /* handed out and not yet unpinned */
    uint8_t state;          /* enum tbi_handle_state */
    bool told : 1;          /* borrowed, and yet the agent has noted us as a holder */
    bool seen : 1;          /* FAILED: the program has read why */
    bool local : 1;         /* stands for a call that failed at once: the head knows nothing of it */
    bool marked : 1;        /* while tb_wait looks for refs that it was given twice */
    bool asked : 1, asked_exists : 1, polled : 1; /* a GET, of either kind, is not answered yet */
    bool near : 1;          /* EXISTS, and was on this host when last seen */
    bool contains : 1;      /* an array of refs of which a view was handed out: see inner_refs.h */
    bool kept : 1;          /* a string of it was handed out: pinned as long as the handle lives */
    uint16_t borrowers;     /* how often running tasks hold it for us: once each at most */
    uint32_t rank;          /* STORED: in whose segment */
    struct tbi_owned *owned; /* the counts that scopes own: see scope.c */
    const struct tbi_call *borrower; /* the last of them; NULL: it has ended */
    uint64_t offset, bytes; /* OPEN, STORED: where; bytes of the blob otherwise */
    void *blob;             /* INLINE, FAILED: aligned to 64, ours */
};

/* A create that waits for its answer; lives on the stack of the thread that waits. Each CREATE is answered once: when
 * nobody waits any more, the answer is still to come, and `given_up` is ours until then. */
struct tbi_given_up {
    struct tbi_given_up *next;
    struct tbi_id id;
};
struct tbi_creating {
    struct tbi_creating *next;
    struct tbi_id id;
    bool answered, cold;
    uint64_t offset;
    struct tbi_error_link *error; /* filled in if there is one */
    bool failed;
};

/* A question to the head that waits for its answer; as above. */
struct tbi_inquiry {
    struct tbi_inquiry *next;
    uint64_t ticket;
    bool answered;
    int64_t amount;
    struct msg_unfinished left;
};

/* A thread that waits; lives on its stack. */
struct tbi_waiter {
    struct tbi_waiter *next;
    const char *function;               /* of the API; NULL: an executor waits for work */
    struct tbi_handle *const *handle;   /* handle[n]: what it waits for, if that is objects */
    size_t n;
    uint64_t since_us;
    bool told;
};

/* What every process knows of the job. */
struct tbi_cluster {
    unsigned nranks;
    const struct tbi_resources *resources;
    const int64_t *totals;      /* totals[rank * resources->n + resource] */
    const char (*hostname)[64]; /* by rank */
};

/* The map of the job, one line a rank. */
void tbi_cluster_print(const struct tbi_cluster *cluster, FILE *to);

struct tbi_limits {
    uint32_t inline_bytes;      /* of one value that travels in messages */
    uint32_t inline_task_bytes; /* of all such values of one task */
};

struct tbi_process {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool leading, closing;
    bool hurries;               /* the driver: what it has sent is to be taken at once */
    bool unfit;                 /* executors: no other task is to run here */
    _Atomic uint64_t news;      /* counts the records taken */
    uint64_t heard;             /* ... that told of an object that is ready */
    unsigned calls;             /* API calls under way */
    unsigned followers;
    struct tbi_waiter *waiters;
    unsigned job, rank;
    uint32_t proc;
    uint64_t counter;           /* of ids made */
    uint64_t seed, nsubmitted;  /* of what is submitted by no task; how many that were */
    struct tbi_map handles;
    struct tbi_map inner_new, inner_arrays, inner_counts; /* see inner_refs.c */
    struct tbi_creating *creating;
    struct tbi_given_up *given_up;
    struct tbi_inquiry *inquiries;
    struct tbi_finding *findings; /* see actor.c */
    uint64_t next_ticket;
    struct tbi_credit credit;
    const struct tbi_memory *memory;
    const char *host;
    const struct tbi_places *places;        /* executors: cores and GPUs of the rank */
    struct tbi_limits limits;
    const struct tbi_cluster *cluster;
    struct tbi_process_port port;
    struct tbi_call *running;   /* executors: the running task, or calls of the actor */
    struct tbi_instance *instance; /* executors: room for an actor */
    bool (*take_other)(struct tbi_process *, const struct tbi_record *); /* RUN, EXIT, INTERRUPT */
    /* Without the lock: threads for an actor whose calls run at once. 0, or an errno. */
    int (*start_lanes)(struct tbi_process *, const struct msg_actor *);
};

/* Without the lock. Starts the state of this process; there is one. */
void tbi_process_init(struct tbi_process *process);
/* Without the lock. From now on calls answer TB_ERR_STATE, and those that wait do so soon. `leaves`: the
 * program is in exit(), so calls of its other threads do not answer before it should be gone: else
 * they would report errors, and exit too. Then tbi_process_wait_empty, once progress was woken. */
void tbi_process_close(struct tbi_process *process, bool leaves);
/* Without the lock: until no call is under way. */
void tbi_process_wait_empty(struct tbi_process *process);
/* Without the lock, when it is closed and empty. Frees everything. */
void tbi_process_fini(struct tbi_process *process);
/* Without the lock: is there no process state, or none any more? Then no handle is left. */
bool tbi_process_has_ended(void);
/* All has ended. */
void tbi_process_closed(void);

/* Is this a process of tasks and actors? Takes no lock. */
bool tbi_process_runs_tasks(void);

/* Is this thread in the middle of a call (so a signal handler runs), or one of the library's own? */
bool tbi_process_is_inside(void);
/* From now on, or no longer, what this thread runs is the library's own. Returns whether it was before. */
bool tbi_process_stay_inside(bool stay);
/* It is: TB_ERR_STATE, with the last error set. Takes no lock. */
int tbi_process_refuse_handler(const char *function);

/* Without the lock: takes it and returns the process, or NULL with the last error set
 * (TB_ERR_STATE): before tb_init, after tb_finalize, or in a signal handler that interrupted a call of this
 * thread, which may have the lock. */
struct tbi_process *tbi_process_enter(const char *function);
/* The same between tbi_call_enter and tbi_call_leave. */
struct tbi_process *tbi_process_enter_for_call(const char *function);
/* What was sent is flushed, and the lock dropped. */
void tbi_process_leave(struct tbi_process *process);

/* The call that this thread runs; or, in a thread that a task has started, the one that there is: NULL if several
 * run, or none. */
struct tbi_call *tbi_process_call(const struct tbi_process *process);
/* The call that this thread runs, or NULL. */
struct tbi_call *tbi_process_own_call(void);
/* This thread runs it from now on, or no longer. */
void tbi_process_begin_call(struct tbi_process *process, struct tbi_call *call);
void tbi_process_end_call(struct tbi_process *process, struct tbi_call *call);

struct tbi_id tbi_process_new_id(struct tbi_process *process);
/* A record with nothing but an id. */
void tbi_process_send_id(struct tbi_process *process, enum tbi_msg type, struct tbi_id id);

/* Waits until done(arg), called with the lock held, or the deadline. The lock is dropped meanwhile.
 * False: the deadline came, or the wait was ended; then tbi_process_why_ended sets the last error and
 * returns its code, or 0. */
bool tbi_process_wait(struct tbi_process *process, bool (*done)(void *), void *arg,
                      uint64_t deadline_us);
/* The same, and perhaps a cancel does not end it. */
bool tbi_process_wait_for(struct tbi_process *process, bool (*done)(void *), void *arg, uint64_t deadline_us,
                          bool even_if_cancelled);
int tbi_process_why_ended(const struct tbi_process *process);
/* The same for a thread that runs no call, and so is not woken by a cancel. */
bool tbi_process_wait_idle(struct tbi_process *process, bool (*done)(void *), void *arg);

/* The next wait of this thread is for these objects; n = 0: no longer. For reports alone. */
void tbi_process_awaits(struct tbi_handle *const *handle, size_t n);
/* How long it has waited, and for what: the first object that is not here is returned, or NULL. */
const struct tbi_handle *tbi_waiter_text(const struct tbi_waiter *waiter, char *text, size_t size);

/* Without the lock. A record from the own agent. False: none that a process takes. */
bool tbi_process_take(struct tbi_process *process, const struct tbi_record *record);

/* Without the lock. 0, or TB_ERR_ARGUMENT with the last error set: the timeout is not a number. */
int tbi_timeout_check(const char *function, double timeout);
/* A timeout that asks how things are now. */
static inline bool tbi_timeout_is_none(double timeout)
{
    return timeout >= 0 && timeout < 1e-6;
}
/* A deadline from a timeout in seconds: negative or huge is for ever. */
uint64_t tbi_deadline(double timeout);

/* ---- handles.c ---- */

struct tbi_handle *tbi_handle_find(const struct tbi_process *process, struct tbi_id id);
/* A new one with one count that belongs to the caller's scope. */
struct tbi_handle *tbi_handle_new(struct tbi_process *process, struct tbi_id id);
/* The one there is or a new one without a count: for a ref that may be held by somebody else. */
struct tbi_handle *tbi_handle_use(struct tbi_process *process, struct tbi_id id);
/* Ends a use: a handle that nobody owns or uses is forgotten. */
void tbi_handle_drop_use(struct tbi_process *process, struct tbi_handle *handle);
/* One more count for the program, told to the head if it is the first and not covered by a task. */
struct tbi_handle *tbi_handle_own(struct tbi_process *process, struct tbi_id id);
/* The same when the head has counted it already: for an actor that was `made` as its submission asked, or for
 * one that was found instead. */
struct tbi_handle *tbi_handle_own_found(struct tbi_process *process, struct tbi_id id, bool made);
/* A ref that came with the call's arguments: the call holds it until its end. */
void tbi_handle_borrow(struct tbi_process *process, struct tbi_call *call, struct tbi_id id);
/* At a call's end: the refs it borrowed that the program goes on owning, and that no other call has borrowed, are
 * its own from now on. They are written to kept[call->nborrowed], their number is returned; the others are
 * forgotten. */
uint32_t tbi_handles_end_borrowing(struct tbi_process *process, struct tbi_call *call, struct tbi_id *kept);
/* Gives one count back. 0 or TB_ERR_REF. */
int tbi_handle_release(struct tbi_process *process, struct tbi_id id);
/* The program reads why it failed: then nobody else needs to be told. */
void tbi_handle_see(struct tbi_process *process, struct tbi_handle *handle);
/* What came for it is not needed any more: unpins if no view is left. */
void tbi_handle_settle(struct tbi_process *process, struct tbi_handle *handle);
/* If it failed at once, and nobody looked: says so on stderr. (The head does so for all others.) */
void tbi_handle_report_unread(const struct tbi_handle *handle);
/* The handle, which nobody holds, is kept for no view or string any longer. */
void tbi_handle_end_views(struct tbi_process *process, struct tbi_handle *handle);
void tbi_handle_forget(struct tbi_process *process, struct tbi_handle *handle);

/* Names the refs that are still owned, the first ten of them; says nothing if there are none. Returns
 * how many there are. */
size_t tbi_handles_report_leaks(const struct tbi_process *process, FILE *to);

/* Does the program have views or strings that point into the store, or an object that it is writing? */
bool tbi_handles_are_viewed(const struct tbi_process *process);

/* Is this a ref that can be used here? 0, or TB_ERR_REF with the last error set: null, of another job, never made,
 * or made by this process and not held by it any more. */
int tbi_ref_check(struct tbi_process *process, tb_ref ref);
/* The same for a ref or the handle of an actor; `what` is what errors call it. */
int tbi_id_check(struct tbi_process *process, struct tbi_id id, const char *what);
/* The same, but it need not be held. */
int tbi_id_check_made(const struct tbi_process *process, struct tbi_id id, const char *what);
/* Does it stand for a call that failed at once? Then it carries the code: in this job's ids, or alone. */
bool tbi_id_is_failed(const struct tbi_process *process, struct tbi_id id);
/* A ref for a call that failed at once; carries the code, and here the whole error too. */
tb_ref tbi_ref_failed(struct tbi_process *process, const void *error, size_t bytes);
/* The same when there is no process: only the code. */
tb_ref tbi_ref_code(int code);

static inline struct tbi_id tbi_id_of(tb_ref ref)
{
    return (struct tbi_id){ref.hi, ref.lo};
}
static inline tb_ref tbi_ref_of(struct tbi_id id)
{
    return (tb_ref){id.hi, id.lo};
}

/* Who has a handle of an actor holds the object that its creation makes. */
static inline struct tbi_id tbi_actor_id(tb_actor actor)
{
    return (struct tbi_id){actor.hi, actor.lo};
}
static inline tb_actor tbi_actor_of(struct tbi_id id)
{
    return (tb_actor){id.hi, id.lo};
}

/* ---- scope.c ---- */

/* The caller's innermost scope owns one of the handle's counts from now on, one that no scope owns yet. */
void tbi_scope_note(struct tbi_process *process, struct tbi_handle *handle);
struct tbi_scope *tbi_scope_create(void);
void tbi_scope_note_in(struct tbi_scope *scope, struct tbi_handle *handle);
/* The program is about to release a count: one that no scope owns if there is one, else the innermost scope's. */
void tbi_scope_on_release(struct tbi_handle *handle);
/* The handle goes though scopes own counts of it: the process ends. */
void tbi_scope_forget_handle(struct tbi_handle *handle);
/* The same for borrowed refs alone, ahead of the rest. */
void tbi_scope_release_borrowed(struct tbi_process *process, struct tbi_scope *scope);
/* Gives back what is left in it, and frees it. */
void tbi_scope_destroy(struct tbi_process *process, struct tbi_scope *scope);

#endif
