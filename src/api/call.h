/* call.h - a task, or a call of an actor's method or constructor, that runs in this executor: its arguments, its results, and what has gone wrong. */
#ifndef TBI_CALL_H
#define TBI_CALL_H

#include "api/process.h"
#include "exec/slots.h"

struct tbi_call_result {
    bool set, stored;
    uint64_t bytes, offset;
    void *blob;             /* inline, or NULL */
    size_t refs;            /* in it */
};

struct tbi_call {
    tb_call *handle;                /* what the program has of it: a number, of this call alone in its process */
    struct tbi_process *process;
    const struct msg_run *run;      /* with its tail; ours */
    const struct msg_run *placed;   /* the same, or of a method the run that made its actor: says where it is */
    struct tbi_instance *instance;  /* the actor; NULL in a task */
    const struct tbi_run_arg *arg;  /* arg[run->nargs] */
    const uint8_t *data;            /* inline values */
    const uint16_t *place;          /* place[placed->ncores + ->ngpus] of the rank's cores and GPUs */
    const char *function;
    pthread_t thread;               /* that runs the task */
    struct tbi_call *next;          /* that runs beside it */
    struct tbi_scope *scope;        /* of what is made in it */
    struct tbi_id *borrowed;        /* borrowed[nborrowed], some perhaps twice */
    size_t nborrowed, borrowed_room;
    uint64_t nsubmitted;            /* tasks, actors and calls, in this attempt */
    unsigned again;                 /* how often it has failed here and was begun anew */
    uint64_t began_us, blocked_us;  /* when its function was called; how long it has waited since */
    uint32_t run_us;                /* how long it ran without that, at least 1 */
    enum { TBI_CPUS_HELD, TBI_CPUS_LENT, TBI_CPUS_RESUMING } cpus; /* see lend.h */
    bool waits;                     /* `thread` does, so the CPUs are lent for it */
    uint32_t resumes;               /* how often they came back */
    uint64_t looked_us, used_us;    /* when other threads looked last whether it computes; what it had computed */
    uint16_t *cores;                /* that it has after it has waited, if they may be others */
    unsigned ncores;
    struct tbi_slot *slot;
    unsigned nreturns;              /* none of a constructor, whose object is the actor */
    struct tbi_call_result *result; /* result[nreturns] */
    uint64_t inline_bytes;          /* of results so far */
    size_t nrefs;                   /* in results so far */
    int failed;                     /* the first error that sticks, or 0 */
    void *cause;                    /* the error that the last failed get gave; for chains */
    size_t cause_bytes;
    char *cause_text;               /* what tb_last_error said of it */
    bool exits;                     /* the actor ends with it */
    unsigned users, entries;        /* under the lock: other threads in a function with it now; and ever */
    bool over;                      /* under the lock: its function has returned, and no thread enters any more */
    void **copy;                    /* aligned copies of inline arrays, freed at the end */
    size_t ncopies;
    struct tbi_error_link error;    /* of `failed`; the last, for it is large and not cleared */
};

/* Runs one task or call and sends its DONE, or CONSTRUCTED. Without the process's lock. */
void tbi_call_run(struct tbi_process *process, struct tbi_slot *slot, const struct msg_run *run);

/* What the program passes to a function is a tb_call, which is never followed as a pointer: the call is looked up by
 * it. Declares `call`, which is NULL with the last error set if there is none, and which cannot end before the function
 * returns. For functions of the API; without the process's lock. */
#define TBI_ENTER_CALL(call, handle, function)                                                     \
    struct tbi_call *call __attribute__((cleanup(tbi_call_leave))) = tbi_call_enter(handle, function)
struct tbi_call *tbi_call_enter(const tb_call *handle, const char *function);
void tbi_call_leave(struct tbi_call **call);
/* The code of the error that there is no call for it. */
static inline int tbi_call_none(const tb_call *handle)
{
    return handle == NULL ? TB_ERR_ARGUMENT : TB_ERR_STATE;
}
/* With the lock: until no other thread is in it. Those that wait do so no longer once it is over. */
void tbi_call_wait_alone(struct tbi_call *call);

/* With the lock: it is over. */
void tbi_call_close(struct tbi_call *call);

/* Without the lock: of the task that runs here. *known: it is the one that was asked for. */
bool tbi_task_is_cancelled(const tb_call *handle, bool *known);
/* NULL is not. */
bool tbi_call_is_cancelled(const struct tbi_call *call);

/* This thread is ending, in the middle of its call, which fails, or in none. From the destructor of a thread-specific
 * value. */
void tbi_call_abandon(void);
/* What is said of it. */
void tbi_call_describe_abandoned(char *text, size_t size, const char *function);

/* Remembers why a get failed, and what tb_last_error says of it, for the chain of causes if the task then fails with
 * the same code. */
void tbi_call_note_cause(struct tbi_call *call, const void *error, size_t bytes);

/* The call fails with this whatever its function does next. Returns the code. */
int tbi_call_stick(struct tbi_call *call, int code, const char *message);
/* The same with the last error, unless rc is 0; call may be NULL. */
void tbi_call_stick_if(struct tbi_call *call, int rc);

/* The call of this thread, if it runs one, ends here with this error, and its process with it. */
void tbi_call_end_now(int code, const char *message);
/* What an error about a ref that is not held may add, where a scope has probably released it; else "". */
const char *tbi_call_hint_to_keep(const struct tbi_process *process);

/* With the process's lock: as if no result had been set. */
void tbi_results_undo(struct tbi_call *call);

#endif
