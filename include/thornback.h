/* thornback.h - the public C API of Thornback: tasks, object references and a shared object store.
 *
 * C11; from C++ only the plain functions and types. Every function here may be called from any
 * thread of the driver or of a task, and does not block, unless its comment says otherwise.
 * Functions return 0 or a negative TB_ERR_* and then say why in tb_last_error; outputs are zeroed
 * then. Timeouts are in seconds; negative means for ever. */
#ifndef THORNBACK_H
#define THORNBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TB_API __attribute__((visibility("default")))
#define TB_USE_RESULT_ __attribute__((warn_unused_result))

/* ---- errors ---- */

/*    name              code  text */
#define TB_ERRORS(X)                                                                               \
    X(TB_ERR_TASK,              -1,  "the task failed")                                            \
    X(TB_ERR_CRASHED,           -2,  "the process that ran the task died")                         \
    X(TB_ERR_CANCELLED,         -3,  "cancelled")                                                  \
    X(TB_ERR_TIMEOUT,           -4,  "timed out")                                                  \
    X(TB_ERR_ACTOR_DIED,        -5,  "the actor is dead")                                          \
    X(TB_ERR_ACTOR_UNAVAILABLE, -6,  "the actor is not available at the moment")                   \
    X(TB_ERR_OBJECT_LOST,       -7,  "the object is lost")                                         \
    X(TB_ERR_STORE_FULL,        -8,  "the object store is full")                                   \
    X(TB_ERR_OUT_OF_MEMORY,     -9,  "out of memory")                                              \
    X(TB_ERR_INFEASIBLE,        -10, "no node can ever meet the demand")                           \
    X(TB_ERR_TYPE,              -11, "the value has another type")                                 \
    X(TB_ERR_ARGUMENT,          -12, "an argument is not valid")                                   \
    X(TB_ERR_NODE_DIED,         -13, "the node died")                                              \
    X(TB_ERR_REF,               -14, "the reference is freed or not of this job")                  \
    X(TB_ERR_STATE,             -15, "not possible now: before tb_init, after tb_finalize, or in this state of the object")           \
    X(TB_ERR_UNREGISTERED,      -16, "the function is not registered")                             \
    X(TB_ERR_UNSUPPORTED,       -17, "not supported")

#define TB_ERROR_ENUM_(name, code, text) name = code,
enum { TB_ERRORS(TB_ERROR_ENUM_) TB_ERR_LAST_ = -17 };
#undef TB_ERROR_ENUM_

/* The fixed text of a code.
 * Returns: never NULL; "success" for 0, "unknown error" for a number that is no code.
 * Owns:    static. */
TB_API const char *tb_strerror(int code);

/* What went wrong in this thread's last call that failed: names the thing, the value, the remedy.
 * Returns: never NULL; "" if nothing failed yet.
 * Owns:    the library, until this thread's next failure.
 * Threads: each has its own. */
TB_API const char *tb_last_error(void);

/* ---- handles ---- */

/* A reference to an object of the job, possibly one that does not exist yet: a plain value, valid
 * on every rank. All zero is the null reference. */
typedef struct tb_ref {
    uint64_t hi, lo;
} tb_ref;

/* Do both name the same object? Returns: 1 or 0. Two null references are equal. */
TB_API int tb_ref_equal(tb_ref a, tb_ref b);
TB_API int tb_ref_is_null(tb_ref ref);

/* Writes the reference as text, for logs: "job:rank.process:number.index".
 * Shapes:  text[size]; cut to fit and always ended when size > 0; 64 is enough.
 * Returns: text. */
TB_API char *tb_ref_text(tb_ref ref, char *text, size_t size);

/* A handle of an actor, see tb_actor_new: a plain value, valid on every rank, and counted as a reference is.
 * With its last count in the whole job the actor ends, after the calls that were made. All zero is the null
 * handle. The three below are as for references. */
typedef struct tb_actor {
    uint64_t hi, lo;
} tb_actor;
TB_API int tb_actor_equal(tb_actor a, tb_actor b);
TB_API int tb_actor_is_null(tb_actor actor);
TB_API char *tb_actor_text(tb_actor actor, char *text, size_t size);

/* ---- types and values ---- */

/*    name               bytes  in words */
#define TB_TYPES(X)                                                                                \
    X(TB_BOOL,           1,  "bool")                                                               \
    X(TB_CHAR,           1,  "char")                                                               \
    X(TB_INT8,           1,  "int8")                                                               \
    X(TB_INT16,          2,  "int16")                                                              \
    X(TB_INT32,          4,  "int32")                                                              \
    X(TB_INT64,          8,  "int64")                                                              \
    X(TB_UINT8,          1,  "uint8")                                                              \
    X(TB_UINT16,         2,  "uint16")                                                             \
    X(TB_UINT32,         4,  "uint32")                                                             \
    X(TB_UINT64,         8,  "uint64")                                                             \
    X(TB_FLOAT,          4,  "float")                                                              \
    X(TB_DOUBLE,         8,  "double")                                                             \
    X(TB_COMPLEX_FLOAT,  8,  "complex float")                                                      \
    X(TB_COMPLEX_DOUBLE, 16, "complex double")                                                     \
    X(TB_REF,            16, "ref")                                                                \
    X(TB_STRING,         1,  "string")                                                             \
    X(TB_BYTES,          1,  "bytes")                                                              \
    X(TB_RECORD,         0,  "struct")                                                             \
    X(TB_ACTOR_HANDLE,   16, "actor")

#define TB_TYPE_ENUM_(name, bytes, text) name,
typedef enum tb_type { TB_NO_TYPE, TB_TYPES(TB_TYPE_ENUM_) TB_TYPE_COUNT_ } tb_type;
#undef TB_TYPE_ENUM_

enum { TB_MAX_DIMS = 7 };
enum {
    TB_VALUE_ARRAY = 1,   /* `ptr` points to `count` elements */
    TB_VALUE_NESTED = 2   /* a ref that travels as a ref, not replaced by what it refers to */
};

/* A value on its way into a task, a result or an object. Made by tb_value_of and the makers below;
 * what it points to must live until the call that takes it returns. */
typedef struct tb_value {
    tb_type type;
    int flags;              /* TB_VALUE_* */
    uint64_t count;         /* elements: 1, an array's number, a string's bytes with the final 0 */
    uint64_t elem;          /* bytes of one */
    const void *ptr;        /* arrays, strings, bytes, structs; else the value is in `as` */
    int ndim;               /* arrays with a shape: 1..7, else 0 */
    const uint64_t *shape;  /* shape[ndim], slowest dimension first */
    union {
        int64_t i;
        uint64_t u;
        float f;
        double d;
        float cf[2];
        double cd[2];
        tb_ref ref;             /* of an actor, too: its handle's two numbers */
    } as;
} tb_value;

/* What tb_value_of calls; each takes one C type. */
TB_API tb_value tb_value_bool_(bool x);
TB_API tb_value tb_value_char_(char x);
TB_API tb_value tb_value_int_(long long x, tb_type type);
TB_API tb_value tb_value_uint_(unsigned long long x, tb_type type);
TB_API tb_value tb_value_float_(float x);
TB_API tb_value tb_value_double_(double x);
TB_API tb_value tb_value_string_(const char *x);
TB_API tb_value tb_value_ref_(tb_ref x);
TB_API tb_value tb_value_actor_(tb_actor x);

/* A ref that stays a ref: the task gets the handle, not the value. */
TB_API tb_value tb_nested(tb_ref ref);

/* `n` bytes, of no type. */
TB_API tb_value tb_bytes(const void *ptr, size_t n);

/* An array of a type named at run time. `type` is a number type, TB_REF or TB_ACTOR_HANDLE; shape[ndim] may be
 * NULL with ndim 0. A wrong type or shape is found, with TB_ERR_ARGUMENT, by the call that takes it. */
TB_API tb_value tb_array_as(tb_type type, const void *ptr, size_t n, int ndim,
                            const uint64_t *shape);
TB_API tb_value tb_record_array_(const void *ptr, size_t n, size_t elem);
TB_API tb_value tb_record_(const void *ptr, size_t elem);

/* ---- remote functions ---- */

/* Zero in an option means "default"; this means zero. Exact in int, int64_t and double. */
#define TB_NONE (-2147483647 - 1)

typedef struct tb_resource {
    const char *name;
    double amount;
} tb_resource;

enum tb_strategy {
    TB_STRATEGY_DEFAULT,      /* where large arguments are, else nodes are filled to half one after
                                 the other, then evenly */
    TB_STRATEGY_SPREAD,       /* evenly from the start */
    TB_STRATEGY_NODE,         /* on options.node, and nowhere else */
    TB_STRATEGY_PREFER_NODE   /* on options.node if there is room now */
};
enum { TB_ERR_ANY = -100 /* in retry_on_error: whatever the function failed with */ };

/* A placement group: resources that are set aside together, see tb_group_new. A plain value, valid in the
 * whole job; all zero is none. It is not counted: the group lives until tb_group_remove or the end of the
 * job. To a task it travels by tb_struct(group). */
typedef struct tb_group {
    uint64_t hi, lo;
} tb_group;

typedef struct tb_concurrency_group {
    const char *name;
    int max_concurrency;         /* calls of the group that run at once, 1 to 1000; default 1 */
} tb_concurrency_group;
enum tb_lifetime {
    TB_LIFETIME_DEFAULT,         /* until its last handle goes */
    TB_LIFETIME_DETACHED         /* until tb_kill, tb_actor_exit or the end of the job */
};

/* The fields of tb_options: a macro, so that TB_ACTOR can have them beside its own. */
#define TB_OPTION_FIELDS_                                                                          \
    /* tasks and actors */                                                                         \
    double num_cpus;             /* default 1 */                                                   \
    double num_gpus;             /* default none; above 1 a whole number */                        \
    int64_t memory;              /* default none */                                                \
    tb_resource resources[8];    /* default none */                                                \
    const char *labels;          /* only on nodes with these: "zone=a,disk=fast" */                \
    int strategy;                /* TB_STRATEGY_*; default by locality, else packed, then spread */ \
    int node;                    /* the rank, for TB_STRATEGY_NODE and TB_STRATEGY_PREFER_NODE */  \
    tb_group group;              /* in a bundle of this group that has room, or in the one that    \
                                    tb_group_bundle names; not together with strategy, node or     \
                                    labels, and a call's group stands instead of those given at    \
                                    registration. Tasks that the task submits are not in it: pass  \
                                    them the group, or tb_call_group */                            \
    bool fresh_process;          /* in a process that has run no task before. That of a task ends  \
                                    with it: for code that leaves its process changed, or cannot   \
                                    stand what others left. Starting one costs about a ms */       \
    /* tasks */                                                                                    \
    int max_retries;             /* default 3; -1: without end */                                  \
    /* tasks and calls of methods */                                                               \
    int retry_on_error[8];       /* TB_ERR_* codes, or TB_ERR_ANY; default none */                 \
    double retry_delay;          /* before each retry, of a call after an error; default none */   \
    double time_limit;           /* of each attempt; of a method call for all its attempts         \
                                    together. It counts from when the function begins: not while   \
                                    the task or the call waits for its turn. Then it is ended as   \
                                    by tb_cancel, and fails with TB_ERR_TIMEOUT; default none */   \
    /* tasks, actors and calls of methods */                                                       \
    int num_args;                /* that it takes, TB_NONE for none; with another number it fails  \
                                    at once with TB_ERR_ARGUMENT. Default any number */            \
    /* actors and calls of methods */                                                              \
    int max_task_retries;        /* of calls that the death of the actor's process ended, when it  \
                                    is begun again; default 0, or as the actor's; -1: without end */ \
    /* actors */                                                                                   \
    const char *name;            /* for tb_get_actor; free again when the actor ends */            \
    const char *name_space;      /* in which the name is unique; default "" */                     \
    bool get_if_exists;          /* if the name is taken, tb_actor_new gives a handle of that actor */ \
    int lifetime;                /* TB_LIFETIME_* */                                               \
    int max_restarts;            /* after the death of its process; default 0; -1: without end */  \
    int max_concurrency;         /* calls that run at once, each in a thread; 1 to 1000, default 1 */ \
    tb_concurrency_group concurrency_groups[7]; /* calls of these are counted, and run, apart */   \
    int max_pending_calls;       /* that have not ended; a call above fails; default any number */ \
    /* calls of methods */                                                                         \
    const char *concurrency_group; /* one of the class's; default none of them */                  \
    char pad_;                   /* not for users: lets the macros end in a designator */

/* What a task, an actor or a call of a method asks for: given with TB_TASK, TB_ACTOR or TB_METHOD as default, and
 * again with a call to override it. An option of another kind is an error.
 * Units: CPUs and GPUs in numbers of them, to 1/10000; memory in bytes; times in seconds, to 1/1000.
 *
 * A task whose process dies (a signal, exit, the out-of-memory killer) is run again, up to
 * max_retries times: so write tasks that may run twice, or say .max_retries = TB_NONE. An error that
 * the function returns is final, unless retry_on_error names its code. A cancelled task is not run again, and one
 * that exceeded its time_limit only if retry_on_error has TB_ERR_TIMEOUT or TB_ERR_ANY.
 *
 * CPUs, GPUs, memory and other resources are taken from a node that has them free, and given back when
 * the task ends; CPUs also while it waits in tb_get and the like, or for room in the store. A wait of another
 * thread that the task has made gives them back when nothing of its process has computed for 0.1 s: the task's own
 * thread, and others, may be computing meanwhile. A demand that no node can ever meet fails with
 * TB_ERR_INFEASIBLE. The task runs on particular cores, and CUDA_VISIBLE_DEVICES (or what
 * the vendor's runtime reads) names the GPUs it was given, none if it asked for none; parts of a GPU
 * share one. Memory and other resources are only counted.
 *
 * A call whose error retry_on_error names is run again by its actor on the spot, before the calls behind it,
 * up to max_task_retries times (3 if that is 0 or not given). What it did to the state stays.
 *
 * An actor has what it asks for as long as it lives, also while a call waits. But for num_cpus that is not
 * given: then one CPU is needed to begin it, and none afterwards. Calls of methods ask for no resources. */
typedef struct tb_options {
    TB_OPTION_FIELDS_
} tb_options;

/* The running task, as its function sees it: of use in all threads until that function returns. After that, whatever
 * runs in the process by then, functions that take it fail with TB_ERR_STATE, arguments are as if they were not there,
 * and tb_cancelled is true. */
typedef struct tb_call tb_call;

/* A remote function. Returns: 0, a TB_ERR_*, or another number, which fails the task with it. */
typedef int tb_task_fn(tb_call *call);

/* ---- what TB_TASK, TB_ACTOR and TB_METHOD register: not for users ---- */

/* Any function: it is only compared with others, never called. */
typedef void tb_function_(void);

struct tb_task_record_;
struct tb_class_ {
    size_t bytes, align;                        /* of the state */
    int (*init)(tb_call *call, void *state);    /* these three: NULL if the class has none */
    int (*restore)(tb_call *call, void *state);
    void (*fini)(void *state);
};
struct tb_method_ {
    tb_function_ *fn;                           /* as the user wrote it */
    int (*run)(tb_call *call, void *state);     /* calls it */
    const struct tb_task_record_ *of;           /* its class */
};
struct tb_task_record_ {
    const char *name, *file;
    int line;
    const tb_options *options;
    tb_task_fn *fn;                             /* one of these three */
    const struct tb_class_ *cls;
    const struct tb_method_ *method;
    struct tb_task_record_ *next;               /* the library's */
};
/* What stands for a class in the program. A linker may copy it, so a class is known by what it points to. */
struct tb_actor_class_ {
    const struct tb_task_record_ *record;
};
TB_API void tb_task_register_(struct tb_task_record_ *record);

/* ---- the life of the runtime ---- */

/* What the driver asks for; zero means default. A TB_* variable of the environment comes first. */
typedef struct tb_config {
    double num_cpus;             /* CPUs of each worker rank; default: its share of the host's cores */
    double num_gpus;             /* GPUs; default: its share of those that are found; TB_NONE: none */
    int64_t memory;              /* bytes that its tasks may ask for; default: its share of the host's */
    tb_resource resources[8];    /* what else each has, of any name */
    const char *labels;          /* what tasks may ask for: "zone=a,disk=fast" */
    const char *ranks;           /* what single ranks have instead: see TB_RANKS in doc/settings.md */
    int64_t store;               /* bytes of each rank's part of the object store */
    char pad_;                   /* not for users: lets the macros end in a designator */
} tb_config;

/* Starts Thornback: once, from the main thread, before the program makes threads of its own. Under
 * mpirun it returns on rank 0 only, whose program is the driver; the other ranks run tasks in here
 * and leave the program from here. MPI is initialised here, if there is any to be, and is Thornback's until
 * tb_finalize: a call of MPI by the program, in any language, ends the program with a line that names the
 * function, and in a task fails the task with TB_ERR_UNSUPPORTED. Everywhere MPI_Initialized, MPI_Finalized,
 * MPI_Get_version, MPI_Wtime and MPI_Wtick work; with ranks, in the driver, MPI_Comm_rank, MPI_Comm_size,
 * MPI_Get_processor_name, MPI_Query_thread, MPI_Error_string, MPI_Type_size and MPI_Abort, too. (Not noticed
 * are calls by a library that is loaded later by dlopen, or linked with MPI into one static program.)
 * Signal handlers are installed for SIGUSR2, unless the program has one (it makes all ranks say what they wait for), and,
 * on kernels before 5.14, for bus errors in the store, which passes others on. Of Ctrl-C, SIGHUP, SIGQUIT, SIGUSR1 and
 * SIGUSR2, which a terminal or a launcher sends to all processes, tasks take no notice: the program's handler decides, and
 * without one the first four end the job. The processes of tasks also end with the main thread: do not leave it by pthread_exit.
 * argc, argv may be NULL. config: NULL for defaults; only rank 0's counts.
 * What a task leaves in C streams is flushed when it ends. Files that the program has opened before are /dev/null in
 * tasks, but for stdout and stderr (see TB_KEEP_DESCRIPTORS in doc/settings.md); stdin is empty there. Processes that a
 * task starts end with it if it is cancelled or dies, with its actor, and at the latest with the job.
 * What a task changes of its process does not reach the next one. Undone when it ends are changes of the working directory,
 * the umask, the environment, signal handlers and the signal mask, alarm and setitimer, limits (setrlimit), the
 * processors it may run on, and rounding, traps and flushing to zero in the task's thread. A process runs no other task
 * if one has changed its user, group, priority, session, namespaces, descriptors 0 to 2 or standard streams, has made a
 * POSIX timer or left a blocked signal waiting, or if a thread that it started goes on: the process then ends with the
 * task, and the thread with it. (Threads that OpenMP, BLAS, MKL, FFTW, TBB and the libraries of GPUs keep for later may
 * stay.) All this holds for what the program, or a library that was loaded before tb_init, changes by a call, not for
 * one that is loaded by dlopen later, nor in a static program. An actor keeps its own. What else a task leaves behind
 * (static variables, strings of the environment that it has overwritten) stays in its process: .fresh_process gives
 * it one of its own.
 * mlockall(MCL_CURRENT), in a task or in the driver, makes the object stores of all ranks of the host resident that the
 * process has mapped, whatever they hold: lock what is yours with mlock instead.
 * exit in a task ends its process, and fails the task; of the handlers of atexit those run that were registered in the
 * process, not those that the program had registered before tb_init. vfork is fork in tasks.
 * Descriptors that the library has open are needed until tb_finalize: a program that closes what it has not opened, by
 * closefrom say, ends the job, with ranks after TB_HEARTBEAT at the latest.
 * The child of a fork, in the driver or in a task, shares what the library keeps with its parent: its calls fail
 * with TB_ERR_STATE, but for those that only read (arguments, tb_call_rank and the like). A child that returns from
 * a task's function ends there. Let it exec or _exit.
 * A signal handler that interrupted a call of Thornback can make none: each fails at once with TB_ERR_STATE (tb_last_error
 * of the interrupted call may then tell of that one instead), and those that have no code, as tb_arg_int, give 0. One that
 * interrupted the program's own code can make calls if it could call malloc there, too. A flag that it sets is safe always.
 * The C library's random generators (rand, random, drand48) are seeded differently in each process of tasks. Which
 * process runs a task is chance: numbers that are to be the same in each run need a seed of their own, as tb_call_seed.
 * Blocks:  until all ranks are there.
 * Errors:  TB_ERR_STATE the second time, from another thread, or in a task or an actor, which are of the job without
 *          it; TB_ERR_ARGUMENT for a bad setting, or programs that differ between ranks; TB_ERR_STORE_FULL if /dev/shm is too small. */
TB_API int tb_init(int *argc, char ***argv, const tb_config *config);

/* Waits until nothing of the job is unfinished: no task, no call of a method, no constructor of an actor, no fini of
 * an actor whose last handle is released, whoever submitted them and whether or not anybody holds their refs. Tasks
 * that are cancelled or wait for a retry are unfinished, actors that wait for calls are not. It says nothing of how
 * they ended.
 * Errors:  TB_ERR_TIMEOUT, also at once with timeout 0, with a text that says how many are left; TB_ERR_STATE in a
 *          task or an actor, which would wait for itself, and if another thread calls tb_finalize.
 * Blocks:  up to `timeout`. */
TB_API int tb_wait_idle(double timeout);

/* Ends it: running tasks are ended (a line on stderr says how many tasks and calls of methods were unfinished, but for
 * cancelled ones; tb_wait_idle first waits for them), all refs become invalid, calls of other threads that wait return
 * TB_ERR_STATE. From the main thread of the driver. A program that returns from main or calls exit
 * without it is ended in the same way, in exit, and keeps its exit status; calls of its other threads
 * do not return then before the process should be gone, and a thread that writes an object whose memory
 * is gone sleeps until then. Views can be read until the process ends. _exit, abort, a fatal signal, and exit in a
 * signal handler that interrupted a call of Thornback end the job at once.
 * Blocks:  until all ranks have ended.
 * Errors:  TB_ERR_STATE if it does not run, from another thread than tb_init's, in a task or an actor, or in a signal
 *          handler in the middle of another call. */
TB_API int tb_finalize(void);

/* ---- what the job has ---- */

typedef struct tb_node {
    int rank;
    char host[64];
    double num_cpus, num_gpus;
    int64_t memory;              /* bytes that tasks may ask for */
} tb_node;

/* The ranks that run tasks.
 * Shapes:  nodes[max]; NULL with max 0 only counts.
 * Returns: how many there are, perhaps more than max; TB_ERR_STATE. */
TB_API int tb_nodes(tb_node *nodes, int max);

/* How much there is of "CPU", "GPU", "memory" (bytes), a custom resource or a label "zone=a" (nodes that
 * bear it): in the whole job, or on one rank; and how much of it is free now, as far as the scheduler
 * knows: tasks that were sent to a node count as soon as they are.
 * Errors:  TB_ERR_ARGUMENT for a name or a rank that there is not.
 * Blocks:  the ..._available_... ones, for a message to rank 0 and back. */
TB_API int tb_cluster_resources(const char *name, double *amount);
TB_API int tb_available_resources(const char *name, double *amount);
TB_API int tb_node_resources(int rank, const char *name, double *amount);
TB_API int tb_node_available_resources(int rank, const char *name, double *amount);

/* ---- placement groups ---- */

/* What a bundle sets aside, all on one node. Zero is none, here for CPUs too; units as in tb_options. */
typedef struct tb_bundle {
    double num_cpus;
    double num_gpus;             /* above 1 a whole number */
    int64_t memory;
    tb_resource resources[8];
    const char *labels;          /* only on nodes with these: "zone=a,disk=fast" */
} tb_bundle;

enum tb_group_strategy {
    TB_GROUP_PACK,           /* on as few nodes, and hosts, as it goes */
    TB_GROUP_SPREAD,         /* on as many */
    TB_GROUP_STRICT_PACK,    /* on one node, or not at all */
    TB_GROUP_STRICT_SPREAD   /* no two on the same node, or not at all */
};

/* Asks for a placement group: n bundles of resources, each on one node (a worker rank), reserved all
 * together or not at all. As long as the group exists nobody but its tasks, those with options.group, can use
 * what its bundles have. A task in a group takes what it asks for from one bundle, and waits while that
 * is in use; if it fits into none of them, empty, it fails with TB_ERR_INFEASIBLE at once. Tasks may be
 * submitted to a group that is not reserved yet.
 * Groups are served in the order in which they were asked for, and a group may be passed by later ones, and by
 * tasks, a limited number of times only; so may a task be by groups. A group that a task waits for passes all others.
 * It may be given CPUs of tasks that wait for groups, themselves or for a task that does: these go on at once when they
 * need not wait any more, beside the tasks of the group, and have CPUs of their own again when some are free. Tasks
 * that wait for anything else keep what they will need.
 * Shapes:  bundles[n], copied; n from 1 to 65534.
 * Returns: the group, at once. It never fails: what goes wrong, at once or later, is what tb_group_wait
 *          reports, and tasks in the group fail with. The caller ends it with tb_group_remove.
 * Errors:  of the group: TB_ERR_ARGUMENT, also for a bundle that asks for nothing; TB_ERR_INFEASIBLE if the
 *          job could not meet it were all of it free; TB_ERR_STATE. */
TB_API tb_group tb_group_new(const tb_bundle *bundles, int n, int strategy);

/* For options.group: this bundle, from 0, and no other. Also of a group that is not reserved yet; of a
 * bundle's handle: another bundle of its group. In all other functions a bundle's handle stands for its group,
 * unless they say otherwise.
 * Returns: a handle; with a wrong index, or of a null group, one that carries the error as a failed group
 *          does. An index that the group does not have is found by what uses it: TB_ERR_ARGUMENT. */
TB_API tb_group tb_group_bundle(tb_group group, int index);

/* Waits until all bundles are reserved, or the timeout (0: only looks).
 * Errors:  TB_ERR_TIMEOUT; what the group failed with; TB_ERR_CANCELLED if it is removed meanwhile;
 *          TB_ERR_REF if it is null, of another job, or was removed before.
 * Blocks:  up to `timeout`; a task gives its CPUs back meanwhile. */
TB_API int tb_group_wait(tb_group group);
TB_API int tb_group_wait_timeout(tb_group group, double timeout);

/* A ref that is ready when the group is reserved: for tb_wait, together with others, and as an argument of
 * tasks that are to start then. It fails as tb_group_wait does, and stays as it is when the group is removed.
 * Its value is an array of int32_t, the rank of each bundle.
 * Returns: the ref, with one count for the caller; a failure is reported by tb_get. */
TB_API TB_USE_RESULT_ tb_ref tb_group_ready(tb_group group);

/* Where the bundles are; of a bundle's handle: where that one is.
 * Shapes:  ranks[max], the rank of each bundle in turn; NULL with max 0 only counts.
 * Returns: how many there are, perhaps more than max, and of a bundle's handle 1; or an error as
 *          tb_group_wait; TB_ERR_ARGUMENT if the group has no such bundle.
 * Blocks:  as tb_group_wait. */
TB_API int tb_group_nodes(tb_group group, int *ranks, int max);

/* The group is not wanted any more, reserved or not: tasks in it that wait or run, or are submitted later,
 * end with TB_ERR_CANCELLED, running ones as after tb_cancel, and what it has is free for others when they
 * have ended.
 * Returns: 0, also if it was removed before; the code of a group that failed at once.
 * Errors:  TB_ERR_REF if it is null or of another job. */
TB_API int tb_group_remove(tb_group group);

/* ---- submitting ---- */

/* What the macros call. `refs[nrefs]` gets the results' refs, each with one count for the caller; on
 * an error they carry it. `values[nvalues]` are copied. */
TB_API int tb_remote_v_(tb_task_fn *fn, const char *name, const tb_options *options, tb_ref *refs,
                        size_t nrefs, const tb_value *values, size_t nvalues);
TB_API TB_USE_RESULT_ tb_ref tb_remote_(tb_task_fn *fn, const char *name,
                                        const tb_options *options, const tb_value *values,
                                        size_t nvalues);

/* ---- actors ---- */

/* What the macros call; see tb_actor_new and tb_actor_call. */
TB_API TB_USE_RESULT_ tb_actor tb_actor_new_(struct tb_actor_class_ cls, const char *name, const tb_options *options,
                                             const tb_value *values, size_t nvalues);
TB_API int tb_actor_call_v_(tb_actor actor, tb_function_ *method, const char *name, const tb_options *options,
                            tb_ref *refs, size_t nrefs, const tb_value *values, size_t nvalues);
TB_API TB_USE_RESULT_ tb_ref tb_actor_call_(tb_actor actor, tb_function_ *method, const char *name,
                                            const tb_options *options, const tb_value *values, size_t nvalues);

/* The actor that was made with options.name in this namespace (NULL: "").
 * Owns:    the handle becomes the caller's, with one count.
 * Blocks:  for a message to rank 0 and back; a task gives its CPUs back meanwhile.
 * Errors:  TB_ERR_ARGUMENT if there is none; *actor is null then. */
TB_API int tb_get_actor(const char *name, const char *name_space, tb_actor *actor);

enum {
    TB_KILL_DEFAULT = 0,        /* its process dies as if by itself: the actor is begun again if it may be */
    TB_KILL_NO_RESTART = 1      /* the actor ends for good */
};

/* Ends the actor's process at once, without its fini. If the actor ends with it, calls that run or wait, and calls made
 * later, fail with TB_ERR_ACTOR_DIED, and its name and resources are free. If it is begun again, calls that run or wait,
 * and calls made until it is there, go on or are run again as their max_task_retries allows, and fail with
 * TB_ERR_ACTOR_UNAVAILABLE without it. A call that was done before the process ended keeps its result.
 * Returns: 0, also if it has ended already; what is on its way is not waited for.
 * Errors:  TB_ERR_REF if the handle is null, of another job, or not held by this process any more; TB_ERR_ARGUMENT for other flags. */
TB_API int tb_kill(tb_actor actor, int flags);

/* ---- refs ---- */

/* One more count, or one less, for the caller. With its last count in the whole job an object goes.
 * Views of it in this process end with this process's last count.
 * Errors: TB_ERR_REF if the ref is null, of another job, or (release) not held here. */
TB_API int tb_retain(tb_ref ref);
TB_API int tb_release(tb_ref ref);
/* All are released; returns the first error. */
TB_API int tb_release_all(const tb_ref *refs, size_t n);
/* The same for a handle of an actor. */
TB_API int tb_actor_retain(tb_actor actor);
TB_API int tb_actor_release(tb_actor actor);

/* All refs and handles of actors that this thread makes between the two are released at the end, except
 * those kept, which belong to the scope outside (if there is none, to the caller). TB_SCOPE { ... } is the same for a
 * block, also when it is left by break or return. */
TB_API void tb_scope_begin(void);
TB_API void tb_scope_end(void);
TB_API int tb_scope_keep(tb_ref ref);
TB_API int tb_scope_keep_actor(tb_actor actor);
/* The opposite: one count that the caller has, say by tb_retain, is released with this thread's innermost scope, or
 * at the end of the task; without either it stays the caller's.
 * Errors: TB_ERR_REF if the ref or actor is not held here, or all its counts belong to scopes already. */
TB_API int tb_scope_give(tb_ref ref);
TB_API int tb_scope_give_actor(tb_actor actor);
TB_API void tb_scope_cleanup_(const int *unused);

/* ---- objects ---- */

TB_API TB_USE_RESULT_ tb_ref tb_put_value_(tb_value value);
TB_API TB_USE_RESULT_ tb_ref tb_create_array_(tb_type type, size_t elem, size_t n, int ndim,
                                              const uint64_t *shape, void *pptr);
/* The object made by tb_create_array is written, and from now on immutable.
 * Errors: TB_ERR_REF if it is no such object, or sealed already. */
TB_API int tb_seal(tb_ref ref);

/* The view got from this ref is not used any more; the object may be moved. One call per view. */
TB_API int tb_unpin(tb_ref ref);

/* The shape of an array: `ndim` 0 if it has none.
 * Blocks: until the object is there. */
TB_API int tb_get_shape(tb_ref ref, int *ndim, uint64_t shape[TB_MAX_DIMS]);

TB_API int tb_get_one_(tb_ref ref, tb_type type, size_t size, void *out, double timeout);
TB_API int tb_get_all_(const tb_ref *refs, size_t n, tb_type type, size_t size, void *out,
                       double timeout);
TB_API int tb_get_array_(tb_ref ref, tb_type type, size_t elem, void *pview, size_t *n,
                         double timeout);
TB_API int tb_get_record_(tb_ref ref, void *out, size_t size, double timeout);

/* Copies the string into buf[size], with its final 0.
 * Errors: as tb_get; TB_ERR_ARGUMENT if it does not fit: the message has its size. */
TB_API int tb_get_string(tb_ref ref, char *buf, size_t size);
TB_API int tb_get_string_timeout(tb_ref ref, char *buf, size_t size, double timeout);

/* Waits until num_returns of the objects are done, failed ones included, or the timeout (0: only
 * looks). Then refs[0 .. *ready) are done, num_returns at most, and the others follow; both parts in
 * the order given. What is done has been brought to this host.
 * Returns: 0, also if fewer are done.
 * Errors:  TB_ERR_ARGUMENT for num_returns of 0 or above n, or a ref given twice; TB_ERR_REF. Of more than 64 refs
 *          those behind the ones that suffice are not looked at.
 * Blocks:  up to `timeout`; a task gives its CPUs back meanwhile. */
TB_API int tb_wait(tb_ref *refs, size_t n, size_t num_returns, double timeout, size_t *ready);
enum { TB_WAIT_ONLY_EXISTS = 1 /* do not bring the objects to this host */ };
TB_API int tb_wait_with(tb_ref *refs, size_t n, size_t num_returns, double timeout, int flags,
                        size_t *ready);

/* ---- cancelling ---- */

enum {
    TB_CANCEL_DEFAULT = 0,
    TB_CANCEL_FORCE = 1,         /* kill the process of a running task at once */
    TB_CANCEL_NOT_RECURSIVE = 2  /* leave the tasks that it has submitted alone */
};

/* The task that makes this object is not wanted any more; any of its refs will do. One that has not
 * begun never runs. In one that runs, tb_cancelled becomes true, a system call it is in returns with
 * EINTR (signal SIGRTMIN+4; SIGRTMIN+5 in a method that may run beside others), calls of Thornback that
 * wait return TB_ERR_CANCELLED; if it has not ended after TB_CANCEL_GRACE seconds its process is killed. The
 * tasks it has submitted are cancelled with it. From here on its refs fail with TB_ERR_CANCELLED, and what
 * depends on them with that cause, even while it still runs; if it was done first, nothing happens. It is
 * not retried. A call of a method likewise, but its actor's process is not killed, not by force either.
 * Returns: 0, also if the task is done or the ref came from tb_put.
 * Errors:  TB_ERR_REF, also for a ref of this process that it has released; TB_ERR_ARGUMENT for other flags. */
TB_API int tb_cancel(tb_ref ref, int flags);

/* ---- errors of tasks ---- */

/* A task that was cancelled, or exceeded its time_limit, fails while it may still run: then pid and host are not known
 * (0, ""), and of a cancelled one, which may not have begun, neither is the rank (-1). If an actor's process ended, number,
 * signal and output of its calls tell of that, also of calls that it had not begun. */
typedef struct tb_error {
    int code;           /* TB_ERR_* */
    int number;         /* what the function returned, or the exit status of its process */
    int signal;         /* that ended its process, or 0 */
    int rank;           /* where it ran; -1: nowhere */
    int pid;            /* of the process that ran it; 0: none */
    unsigned attempt;   /* 0: the first */
    char host[64];      /* where it ran; "": nowhere */
    char function[96];  /* the task, method or class */
    char message[512];
    char output[400];   /* if its process ended: the last it wrote to stderr, "" if nothing */
} tb_error;

/* Why the object failed; k = 0 the failure itself, 1 its cause, and so on.
 * Blocks:  until the object is there.
 * Errors:  TB_ERR_ARGUMENT if it has not failed, or has no such cause. */
TB_API int tb_error_detail(tb_ref ref, tb_error *e);
TB_API int tb_error_cause(tb_ref ref, int k, tb_error *e);

TB_API void tb_must_(int rc, const char *expression, const char *file, int line);

/* ---- in a task ---- */

TB_API size_t tb_num_args(const tb_call *call);
TB_API int tb_arg_(tb_call *call, size_t i, tb_type type, void *out, size_t size);
TB_API int tb_arg_array_(tb_call *call, size_t i, tb_type type, size_t elem, void *pview,
                         size_t *n);
TB_API int tb_arg_shape(tb_call *call, size_t i, int *ndim, uint64_t shape[TB_MAX_DIMS]);

/* The i-th argument. When it is not there or has another type they give 0, NULL or the null ref,
 * and the call fails with that error whatever else it does. Strings live as long as the call. */
TB_API int tb_arg_int(tb_call *call, size_t i);
TB_API int64_t tb_arg_int64(tb_call *call, size_t i);
TB_API double tb_arg_double(tb_call *call, size_t i);
TB_API const char *tb_arg_string(tb_call *call, size_t i);
TB_API tb_ref tb_arg_ref(tb_call *call, size_t i);
TB_API tb_actor tb_arg_actor(tb_call *call, size_t i);

/* The error that the call will fail with, whatever its function returns; 0: none so far. */
TB_API int tb_call_error(const tb_call *call);

TB_API tb_ref tb_call_task_id(const tb_call *call);  /* as a ref: for logs and comparison only */
TB_API int tb_call_rank(const tb_call *call);
TB_API const char *tb_call_host(const tb_call *call);
TB_API int tb_call_attempt(const tb_call *call);     /* 0: the first */
TB_API const char *tb_call_function(const tb_call *call);

/* A number to seed random generators with: the same in each run of the job with the same TB_JOB_SEED (0 if it is not
 * set), wherever the task runs and however often it was tried, and another one for each task, actor and call of a
 * method. It depends on the number of the submission, counted from 0 in the task, method or driver that made it, and
 * on that one's own seed. So it repeats as long as each of them makes its submissions in the same order; those of
 * several threads come in an order that may change, and so do those of threads that go on after their task. */
TB_API uint64_t tb_call_seed(const tb_call *call);

/* The hardware threads that the task is bound to, by the system's numbers, and the ids of its GPUs, as
 * the vendor's variable has them; after it has waited it may be bound to others. In a method: those that its
 * actor holds.
 * Shapes:  cores[max], ids[max]; NULL with max 0 only counts.
 * Returns: how many there are, perhaps more than max; 0: it is not bound, or has none.
 * Owns:    the ids live as long as the process. */
TB_API int tb_call_cores(const tb_call *call, int *cores, int max);
TB_API int tb_call_gpus(const tb_call *call, const char **ids, int max);

/* The bundle that the task, or the method's actor, is in, as tb_group_bundle gives it; all zero: it is in none. */
TB_API tb_group tb_call_group(const tb_call *call);

/* Has the running task been cancelled? For tasks that compute for long: return soon then; with what
 * makes no difference. */
TB_API bool tb_cancelled(const tb_call *call);

TB_API int tb_return_v_(tb_call *call, const tb_value *values, size_t n);
TB_API int tb_return_at_(tb_call *call, size_t i, tb_value value);
TB_API int tb_return_array_(tb_call *call, size_t i, tb_type type, size_t elem, size_t n,
                            void *pptr);

/* The actor whose method or constructor this is; the null handle in a task.
 * Owns:    not counted: good until the call ends; tb_actor_retain makes it the caller's. An actor that keeps a
 *          handle of itself does not end with the last handle of others. */
TB_API tb_actor tb_call_actor(tb_call *call);

/* In a method: the actor ends when this call, and those that run beside it, have: with its fini, and without being
 * begun again. Calls that it has not begun fail with TB_ERR_ACTOR_DIED.
 * Errors:  TB_ERR_STATE elsewhere. */
TB_API int tb_actor_exit(tb_call *call);

/* In a constructor or method: if the actor's process dies and it is begun again, then by .restore, with the
 * constructor's arguments and, as the last, the value of this object, instead of .init. It replaces what was named
 * before, which may go then; the job keeps the object as long as it is the actor's checkpoint.
 * Errors:  TB_ERR_STATE elsewhere; TB_ERR_UNSUPPORTED if the class has no .restore; TB_ERR_REF if the ref is
 *          not held here; what the object's call failed with, if it failed at once. */
TB_API int tb_actor_checkpoint(tb_call *call, tb_ref ref);

/* The task fails with this message. Returns: TB_ERR_TASK, to be returned. */
TB_API int tb_fail(tb_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus
#define TB_OPTIONS(...) (&(const tb_options){__VA_ARGS__})

/* Makes `fn` a remote function: TB_TASK(fn); or TB_TASK(fn, .num_cpus = 2); in the file that
 * defines it, at file scope. */
#define TB_TASK(...) TB_TASK_(__VA_ARGS__, .pad_ = 0)
#define TB_TASK_(task, ...)                                                                        \
    static const tb_options task##_tb_options_ = {__VA_ARGS__};                                    \
    static struct tb_task_record_ task##_tb_record_ = {                                            \
        .name = #task, .file = __FILE__, .line = __LINE__, .options = &task##_tb_options_,         \
        .fn = task};                                                                               \
    TB_REGISTER_(task)
#define TB_REGISTER_(record)                                                                       \
    __attribute__((constructor)) static void record##_tb_register_(void)                           \
    {                                                                                              \
        tb_task_register_(&record##_tb_record_);                                                   \
    }                                                                                              \
    _Static_assert(1, "")

/* Makes a class of actors whose state is a `type`, a struct: TB_ACTOR(counter, struct counter, .init =
 * counter_init, .fini = counter_fini, .restore = counter_restore, options...); in one file, at file scope.
 * All that follows the type may be left out.
 *   int init(tb_call *call, type *state)     makes an actor; its arguments are those of tb_actor_new, and the
 *                                            state is zeroed. An error, as of a task, ends the actor
 *   int restore(tb_call *call, type *state)  instead of init when the actor is begun again and there is a
 *                                            checkpoint, which is one more argument, the last
 *   void fini(type *state)                   when the actor ends in order
 * The name of the class is for TB_METHOD and tb_actor_new; it may be that of a variable or function, too. */
#define TB_ACTOR(...) TB_ACTOR_(__VA_ARGS__, .pad_ = 0)
#define TB_ACTOR_(class_, type, ...)                                                               \
    typedef type class_##_tb_state_;                                                               \
    _Pragma("GCC diagnostic push")                                                                 \
    _Pragma("GCC diagnostic error \"-Wincompatible-pointer-types\"")                               \
    static const struct {                                                                          \
        union {                                                                                    \
            tb_options options_;                                                                   \
            struct { TB_OPTION_FIELDS_ };                                                          \
        };                                                                                         \
        int (*init)(tb_call *, type *);                                                            \
        int (*restore)(tb_call *, type *);                                                         \
        void (*fini)(type *);                                                                      \
    } class_##_tb_given_ = {__VA_ARGS__};                                                          \
    _Pragma("GCC diagnostic pop")                                                                  \
    static int class_##_tb_init_(tb_call *call, void *state)                                       \
    {                                                                                              \
        return class_##_tb_given_.init(call, (type *)state);                                       \
    }                                                                                              \
    static int class_##_tb_restore_(tb_call *call, void *state)                                    \
    {                                                                                              \
        return class_##_tb_given_.restore(call, (type *)state);                                    \
    }                                                                                              \
    static void class_##_tb_fini_(void *state)                                                     \
    {                                                                                              \
        class_##_tb_given_.fini((type *)state);                                                    \
    }                                                                                              \
    static struct tb_class_ class_##_tb_about_ = {.bytes = sizeof(type), .align = _Alignof(type)}; \
    static struct tb_task_record_ class_##_tb_record_ = {                                          \
        .name = #class_, .file = __FILE__, .line = __LINE__, .options = &class_##_tb_given_.options_,\
        .cls = &class_##_tb_about_};                                                               \
    TB_ACTOR_DECLARE(class_);                                                                      \
    const struct tb_actor_class_ class_##_tb_class_ = {&class_##_tb_record_};                      \
    __attribute__((constructor)) static void class_##_tb_complete_(void)                           \
    {                                                                                              \
        class_##_tb_about_.init = class_##_tb_given_.init != NULL ? class_##_tb_init_ : NULL;      \
        class_##_tb_about_.restore = class_##_tb_given_.restore != NULL ? class_##_tb_restore_ : NULL;\
        class_##_tb_about_.fini = class_##_tb_given_.fini != NULL ? class_##_tb_fini_ : NULL;      \
    }                                                                                              \
    TB_REGISTER_(class_)

/* In a header: lets other files make actors of the class. */
#define TB_ACTOR_DECLARE(class_) extern TB_API const struct tb_actor_class_ class_##_tb_class_

/* Makes int method(tb_call *call, type *state) a method of the class: TB_METHOD(counter, counter_increment); or
 * TB_METHOD(counter, counter_increment, .concurrency_group = "io"); in the file of TB_ACTOR, below both. */
#define TB_METHOD(...) TB_METHOD_(__VA_ARGS__, .pad_ = 0)
#define TB_METHOD_(class_, method_, ...)                                                           \
    _Static_assert(_Generic(&method_, int (*)(tb_call *, class_##_tb_state_ *): 1), "");           \
    static int method_##_tb_run_(tb_call *call, void *state)                                       \
    {                                                                                              \
        return method_(call, (class_##_tb_state_ *)state);                                         \
    }                                                                                              \
    static const struct tb_method_ method_##_tb_method_ = {(tb_function_ *)method_,                \
                                                           method_##_tb_run_, &class_##_tb_record_};\
    static const tb_options method_##_tb_options_ = {__VA_ARGS__};                                 \
    static struct tb_task_record_ method_##_tb_record_ = {                                         \
        .name = #method_, .file = __FILE__, .line = __LINE__, .options = &method_##_tb_options_,   \
        .method = &method_##_tb_method_};                                                          \
    TB_REGISTER_(method_)

TB_API tb_value tb_value_complex_float_(float _Complex x);
TB_API tb_value tb_value_complex_double_(double _Complex x);
static inline tb_value tb_value_i8_(signed char x) { return tb_value_int_(x, TB_INT8); }
static inline tb_value tb_value_i16_(short x) { return tb_value_int_(x, TB_INT16); }
static inline tb_value tb_value_i32_(int x) { return tb_value_int_(x, TB_INT32); }
static inline tb_value tb_value_long_(long x)
{
    return tb_value_int_(x, sizeof x == 8 ? TB_INT64 : TB_INT32);
}
static inline tb_value tb_value_i64_(long long x) { return tb_value_int_(x, TB_INT64); }
static inline tb_value tb_value_u8_(unsigned char x) { return tb_value_uint_(x, TB_UINT8); }
static inline tb_value tb_value_u16_(unsigned short x) { return tb_value_uint_(x, TB_UINT16); }
static inline tb_value tb_value_u32_(unsigned x) { return tb_value_uint_(x, TB_UINT32); }
static inline tb_value tb_value_ulong_(unsigned long x)
{
    return tb_value_uint_(x, sizeof x == 8 ? TB_UINT64 : TB_UINT32);
}
static inline tb_value tb_value_u64_(unsigned long long x) { return tb_value_uint_(x, TB_UINT64); }
static inline tb_value tb_value_self_(tb_value x) { return x; }

/* A value of any C type in the list; another type is a compile error that names it. No `default`,
 * so that a pointer or a struct is not taken for something it is not. */
#define tb_value_of(x)                                                                             \
    _Generic((x),                                                                                  \
        _Bool: tb_value_bool_,                                                                     \
        char: tb_value_char_,                                                                      \
        signed char: tb_value_i8_,                                                                 \
        short: tb_value_i16_,                                                                      \
        int: tb_value_i32_,                                                                        \
        long: tb_value_long_,                                                                      \
        long long: tb_value_i64_,                                                                  \
        unsigned char: tb_value_u8_,                                                               \
        unsigned short: tb_value_u16_,                                                             \
        unsigned: tb_value_u32_,                                                                   \
        unsigned long: tb_value_ulong_,                                                            \
        unsigned long long: tb_value_u64_,                                                         \
        float: tb_value_float_,                                                                    \
        double: tb_value_double_,                                                                  \
        float _Complex: tb_value_complex_float_,                                                   \
        double _Complex: tb_value_complex_double_,                                                 \
        char *: tb_value_string_,                                                                  \
        const char *: tb_value_string_,                                                            \
        tb_ref: tb_value_ref_,                                                                     \
        tb_actor: tb_value_actor_,                                                                 \
        tb_value: tb_value_self_)(x)

/* The run-time type of what a pointer points to; a type without one is a compile error. */
#define tb_type_of_pointee_(ptr)                                                                   \
    _Generic((ptr),                                                                                \
        _Bool *: TB_BOOL, const _Bool *: TB_BOOL,                                                  \
        char *: TB_CHAR, const char *: TB_CHAR,                                                    \
        signed char *: TB_INT8, const signed char *: TB_INT8,                                      \
        short *: TB_INT16, const short *: TB_INT16,                                                \
        int *: TB_INT32, const int *: TB_INT32,                                                    \
        long *: sizeof(long) == 8 ? TB_INT64 : TB_INT32,                                           \
        const long *: sizeof(long) == 8 ? TB_INT64 : TB_INT32,                                     \
        long long *: TB_INT64, const long long *: TB_INT64,                                        \
        unsigned char *: TB_UINT8, const unsigned char *: TB_UINT8,                                \
        unsigned short *: TB_UINT16, const unsigned short *: TB_UINT16,                            \
        unsigned *: TB_UINT32, const unsigned *: TB_UINT32,                                        \
        unsigned long *: sizeof(long) == 8 ? TB_UINT64 : TB_UINT32,                                \
        const unsigned long *: sizeof(long) == 8 ? TB_UINT64 : TB_UINT32,                          \
        unsigned long long *: TB_UINT64, const unsigned long long *: TB_UINT64,                    \
        float *: TB_FLOAT, const float *: TB_FLOAT,                                                \
        double *: TB_DOUBLE, const double *: TB_DOUBLE,                                            \
        float _Complex *: TB_COMPLEX_FLOAT, const float _Complex *: TB_COMPLEX_FLOAT,              \
        double _Complex *: TB_COMPLEX_DOUBLE, const double _Complex *: TB_COMPLEX_DOUBLE,          \
        tb_ref *: TB_REF, const tb_ref *: TB_REF,                                                  \
        tb_actor *: TB_ACTOR_HANDLE, const tb_actor *: TB_ACTOR_HANDLE)

/* An array of `n` numbers, refs or actors; the type is the pointer's. Each argument is evaluated once. */
#define tb_array(ptr, n) tb_array_as(tb_type_of_pointee_(ptr), (ptr), (n), 0, NULL)
/* An array of `n` structs, and one struct: travel as they lie in memory. */
#define tb_records(ptr, n) tb_record_array_((ptr), (n), sizeof *(ptr))
#define tb_struct(s) tb_record_(&(s), sizeof(s))
/* The type of what a reader writes to: as above, or a string; NULL reads nothing. */
#define tb_type_to_read_(ptr)                                                                      \
    _Generic((ptr),                                                                                \
        void *: TB_NO_TYPE,                                                                        \
        const char **: TB_STRING,                                                                  \
        _Bool *: TB_BOOL,                                                                          \
        signed char *: TB_INT8,                                                                    \
        short *: TB_INT16,                                                                         \
        int *: TB_INT32,                                                                           \
        long *: sizeof(long) == 8 ? TB_INT64 : TB_INT32,                                           \
        long long *: TB_INT64,                                                                     \
        unsigned char *: TB_UINT8,                                                                 \
        unsigned short *: TB_UINT16,                                                               \
        unsigned *: TB_UINT32,                                                                     \
        unsigned long *: sizeof(long) == 8 ? TB_UINT64 : TB_UINT32,                                \
        unsigned long long *: TB_UINT64,                                                           \
        float *: TB_FLOAT,                                                                         \
        double *: TB_DOUBLE,                                                                       \
        float _Complex *: TB_COMPLEX_FLOAT,                                                        \
        double _Complex *: TB_COMPLEX_DOUBLE,                                                      \
        tb_ref *: TB_REF,                                                                          \
        tb_actor *: TB_ACTOR_HANDLE)
#define TB_SIZEOF_(ptr) sizeof(*_Generic((ptr), void *: (char *)0, default: (ptr)))

/* The element type of a view, `const T **`, or of room to write in, `T **`. */
#define tb_type_of_view_(pview)                                                                    \
    _Generic((pview),                                                                              \
        const _Bool **: TB_BOOL, const char **: TB_CHAR, const signed char **: TB_INT8,            \
        const short **: TB_INT16, const int **: TB_INT32,                                          \
        const long **: sizeof(long) == 8 ? TB_INT64 : TB_INT32, const long long **: TB_INT64,      \
        const unsigned char **: TB_UINT8, const unsigned short **: TB_UINT16,                      \
        const unsigned **: TB_UINT32,                                                              \
        const unsigned long **: sizeof(long) == 8 ? TB_UINT64 : TB_UINT32,                         \
        const unsigned long long **: TB_UINT64, const float **: TB_FLOAT,                          \
        const double **: TB_DOUBLE, const float _Complex **: TB_COMPLEX_FLOAT,                     \
        const double _Complex **: TB_COMPLEX_DOUBLE, const tb_ref **: TB_REF,                      \
        const tb_actor **: TB_ACTOR_HANDLE)
#define tb_type_of_room_(pptr)                                                                     \
    _Generic((pptr),                                                                               \
        _Bool **: TB_BOOL, char **: TB_CHAR, signed char **: TB_INT8, short **: TB_INT16,          \
        int **: TB_INT32, long **: sizeof(long) == 8 ? TB_INT64 : TB_INT32,                        \
        long long **: TB_INT64, unsigned char **: TB_UINT8, unsigned short **: TB_UINT16,          \
        unsigned **: TB_UINT32, unsigned long **: sizeof(long) == 8 ? TB_UINT64 : TB_UINT32,       \
        unsigned long long **: TB_UINT64, float **: TB_FLOAT, double **: TB_DOUBLE,                \
        float _Complex **: TB_COMPLEX_FLOAT, double _Complex **: TB_COMPLEX_DOUBLE)

/* How many arguments (1..21), and tb_value_of each of up to 20. */
#define TB_COUNT_(...)                                                                             \
    TB_COUNT_PICK_(__VA_ARGS__, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,  \
                   3, 2, 1, 0)
#define TB_COUNT_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, count, ...)  \
    count
#define TB_JOIN_(a, b) TB_JOIN2_(a, b)
#define TB_JOIN2_(a, b) a##b
#define TB_EACH_1_(a) tb_value_of(a)
#define TB_EACH_2_(a, ...) tb_value_of(a), TB_EACH_1_(__VA_ARGS__)
#define TB_EACH_3_(a, ...) tb_value_of(a), TB_EACH_2_(__VA_ARGS__)
#define TB_EACH_4_(a, ...) tb_value_of(a), TB_EACH_3_(__VA_ARGS__)
#define TB_EACH_5_(a, ...) tb_value_of(a), TB_EACH_4_(__VA_ARGS__)
#define TB_EACH_6_(a, ...) tb_value_of(a), TB_EACH_5_(__VA_ARGS__)
#define TB_EACH_7_(a, ...) tb_value_of(a), TB_EACH_6_(__VA_ARGS__)
#define TB_EACH_8_(a, ...) tb_value_of(a), TB_EACH_7_(__VA_ARGS__)
#define TB_EACH_9_(a, ...) tb_value_of(a), TB_EACH_8_(__VA_ARGS__)
#define TB_EACH_10_(a, ...) tb_value_of(a), TB_EACH_9_(__VA_ARGS__)
#define TB_EACH_11_(a, ...) tb_value_of(a), TB_EACH_10_(__VA_ARGS__)
#define TB_EACH_12_(a, ...) tb_value_of(a), TB_EACH_11_(__VA_ARGS__)
#define TB_EACH_13_(a, ...) tb_value_of(a), TB_EACH_12_(__VA_ARGS__)
#define TB_EACH_14_(a, ...) tb_value_of(a), TB_EACH_13_(__VA_ARGS__)
#define TB_EACH_15_(a, ...) tb_value_of(a), TB_EACH_14_(__VA_ARGS__)
#define TB_EACH_16_(a, ...) tb_value_of(a), TB_EACH_15_(__VA_ARGS__)
#define TB_EACH_17_(a, ...) tb_value_of(a), TB_EACH_16_(__VA_ARGS__)
#define TB_EACH_18_(a, ...) tb_value_of(a), TB_EACH_17_(__VA_ARGS__)
#define TB_EACH_19_(a, ...) tb_value_of(a), TB_EACH_18_(__VA_ARGS__)
#define TB_EACH_20_(a, ...) tb_value_of(a), TB_EACH_19_(__VA_ARGS__)
/* `(const tb_value[]){...}, n` for the last two arguments of the general forms. */
#define TB_VALUES(...)                                                                             \
    (const tb_value[]){TB_JOIN_(TB_JOIN_(TB_EACH_, TB_COUNT_(__VA_ARGS__)), _)(__VA_ARGS__)},      \
        (size_t)TB_COUNT_(__VA_ARGS__)

/* fn and what follows it, taken apart: the first, its name as written, the others as values. */
#define TB_FIRST_(...) TB_FIRST2_(__VA_ARGS__, 0)
#define TB_FIRST2_(first, ...) (first)
#define TB_FIRST_NAME_(...) TB_FIRST_NAME2_(__VA_ARGS__, 0)
#define TB_FIRST_NAME2_(first, ...) #first
#define TB_REST_(...) TB_JOIN_(TB_JOIN_(TB_REST_, TB_COUNT_(__VA_ARGS__)), _)(__VA_ARGS__)
#define TB_REST_1_(fn) NULL, 0
#define TB_REST_2_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_3_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_4_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_5_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_6_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_7_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_8_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_9_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_10_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_11_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_12_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_13_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_14_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_15_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_16_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_17_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_18_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_19_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_20_(fn, ...) TB_VALUES(__VA_ARGS__)
#define TB_REST_21_(fn, ...) TB_VALUES(__VA_ARGS__)

/* Runs fn on some node: tb_remote(fn, args...). Returns: a ref to its one result, with one count for
 * the caller. Never fails: what goes wrong, at once or later, is what tb_get reports. Up to 20
 * arguments; each is evaluated once and copied. A ref stands for its value; the task starts when it
 * is there. Blocks: until the store has room for large arguments, and for flow control: in a task, while some 2,000
 * tasks that its process has submitted have not begun; its CPUs go to them meanwhile. The driver is not slowed, for
 * what it submits may wait for what it does later: its tasks are queued without a limit, some 600 bytes each on rank 0
 * with the ref, and their small arguments. With many millions, wait for some before more are submitted. */
#define tb_remote(...)                                                                             \
    tb_remote_(TB_FIRST_(__VA_ARGS__), TB_FIRST_NAME_(__VA_ARGS__), NULL, TB_REST_(__VA_ARGS__))

/* The same with options for this call: tb_remote_with(fn, TB_OPTIONS(.num_cpus = 2), args...). */
#define tb_remote_with(task, ...)                                                                  \
    tb_remote_((task), #task, TB_FIRST_(__VA_ARGS__), TB_REST_(__VA_ARGS__))

/* The same for any number of results: tb_remote_n(fn, refs, n, args...).
 * Returns: 0 or the error that the refs carry. */
#define tb_remote_n(task, refs, ...)                                                               \
    tb_remote_v_((task), #task, NULL, (refs), TB_FIRST_(__VA_ARGS__), TB_REST_(__VA_ARGS__))

/* The general form: any number of values (TB_VALUES, or an array and its length; NULL, 0). */
#define tb_remote_v(task, options, refs, nrefs, ...)                                               \
    tb_remote_v_((task), #task, (options), (refs), (nrefs), __VA_ARGS__)

/* Makes an actor: tb_actor_new(counter, args...) begins one in a process of its own, on some node, and calls the
 * class's init there with the arguments, which are as those of tb_remote. A rank has up to 1,024 processes, those of
 * tasks included: an actor that finds none free begins when one has ended.
 * Returns: its handle, at once, with one count for the caller. Never fails: what goes wrong, at once or later, is
 *          what its calls fail with, a constructor's error as TB_ERR_ACTOR_DIED with its message.
 * Blocks:  as tb_remote; with get_if_exists also for a message to rank 0 and back. */
#define tb_actor_new(...)                                                                          \
    tb_actor_new_(TB_CLASS_(__VA_ARGS__, 0), TB_FIRST_NAME_(__VA_ARGS__), NULL, TB_REST_(__VA_ARGS__))
#define TB_CLASS_(class_, ...) class_##_tb_class_

/* The same with options for this actor: tb_actor_new_with(counter, TB_OPTIONS(.name = "sum"), args...). */
#define tb_actor_new_with(class_, ...)                                                             \
    tb_actor_new_(class_##_tb_class_, #class_, TB_FIRST_(__VA_ARGS__), TB_REST_(__VA_ARGS__))

/* The general form: any number of values. */
#define tb_actor_new_v(class_, options, ...)                                                       \
    tb_actor_new_(class_##_tb_class_, #class_, (options), __VA_ARGS__)

/* Calls a method of the actor's class: tb_actor_call(actor, method, args...). The calls that one process makes to
 * one concurrency group begin in the order in which it made them, also when an early one waits for its arguments.
 * Calls of other processes, and calls to other groups, do not wait for that. Calls that name no group are a group
 * of their own. Each group runs one call at a time, or as many as its max_concurrency allows. A call holds the actor
 * until it has ended.
 * Returns, blocks: as tb_remote.
 * Errors, of the ref: what the method failed with, as a task; TB_ERR_ACTOR_DIED, also if the actor could not be
 *          made; TB_ERR_ACTOR_UNAVAILABLE above max_pending_calls, and if the actor's process ended while the call ran
 *          or waited, or before it was made, the actor is begun again, and the call has no max_task_retries left;
 *          TB_ERR_REF if the handle is null, of another job, or not held here; TB_ERR_TYPE if the actor is of
 *          another class. */
#define tb_actor_call(actor, ...)                                                                  \
    tb_actor_call_((actor), TB_ADDRESS_(TB_FIRST_(__VA_ARGS__)), TB_FIRST_NAME_(__VA_ARGS__), NULL, \
                   TB_REST_(__VA_ARGS__))
/* Compiles only for what can be called with a tb_call and a pointer. */
#define TB_ADDRESS_(method) ((void)sizeof(method((tb_call *)0, (void *)0)), (tb_function_ *)method)

/* The same for any number of results: tb_actor_call_n(actor, method, refs, n, args...).
 * Returns: 0 or the error that the refs carry. */
#define tb_actor_call_n(actor, method, refs, ...)                                                  \
    tb_actor_call_v_((actor), TB_ADDRESS_((method)), #method, NULL, (refs), TB_FIRST_(__VA_ARGS__), \
                     TB_REST_(__VA_ARGS__))

/* The same with options: tb_actor_call_with(actor, method, TB_OPTIONS(.time_limit = 1), args...). */
#define tb_actor_call_with(actor, method, ...)                                                     \
    tb_actor_call_((actor), TB_ADDRESS_((method)), #method, TB_FIRST_(__VA_ARGS__), TB_REST_(__VA_ARGS__))

/* The general form. */
#define tb_actor_call_v(actor, method, options, refs, nrefs, ...)                                  \
    tb_actor_call_v_((actor), TB_ADDRESS_((method)), #method, (options), (refs), (nrefs), __VA_ARGS__)

/* Makes an object of any value. Returns: its ref; a failure is reported by tb_get.
 * Blocks: until the store has room. */
#define tb_put(x) tb_put_value_(tb_value_of(x))
#define tb_put_array(ptr, n) tb_put_value_(tb_array(ptr, n))
#define tb_put_array_as(type, ptr, n, ndim, shape)                                                 \
    tb_put_value_(tb_array_as((type), (ptr), (n), (ndim), (shape)))
#define tb_put_records(ptr, n) tb_put_value_(tb_records(ptr, n))

/* Room for an array of n in the store, to be written through *pptr and sealed by tb_seal; what writes there after that,
 * or when the ref is released unsealed, is ended by SIGSEGV.
 * Returns: its ref; on failure *pptr is NULL. Blocks: until the store has room. */
#define tb_create_array(pptr, n)                                                                   \
    tb_create_array_(tb_type_of_room_(pptr), 0, (n), 0, NULL, (void *)(pptr))
#define tb_create_array_as(type, pptr, n, ndim, shape)                                             \
    tb_create_array_((type), 0, (n), (ndim), (shape), (void *)(pptr))
#define tb_create_records(pptr, n)                                                                 \
    tb_create_array_(TB_RECORD, sizeof **(pptr), (n), 0, NULL, (void *)(pptr))

/* Waits for the object and reads it into *ptr: a number, bool, const char * (lives as long as the
 * ref), tb_ref or tb_actor (becomes the caller's). NULL: only see that it succeeded.
 * Errors:  what its task failed with; TB_ERR_TYPE; TB_ERR_REF; TB_ERR_TIMEOUT; in a task that was
 *          cancelled TB_ERR_CANCELLED.
 * Blocks:  until it is there, up to `timeout`; a task gives its CPUs back meanwhile. */
#define tb_get(ref, ptr) tb_get_timeout(ref, ptr, -1)
#define tb_get_timeout(ref, ptr, timeout)                                                          \
    tb_get_one_((ref), tb_type_to_read_(ptr), TB_SIZEOF_(ptr), (ptr), (timeout))
/* The same for n refs into ptr[n]; the same ref may stand there twice. */
#define tb_get_all(refs, n, ptr) tb_get_all_timeout(refs, n, ptr, -1)
#define tb_get_all_timeout(refs, n, ptr, timeout)                                                  \
    tb_get_all_((refs), (n), tb_type_to_read_(ptr), TB_SIZEOF_(ptr), (ptr), (timeout))
/* One struct, by size. */
#define tb_get_struct(ref, ptr) tb_get_struct_timeout(ref, ptr, -1)
#define tb_get_struct_timeout(ref, ptr, timeout)                                                   \
    tb_get_record_((ref), (ptr), sizeof *(ptr), (timeout))

/* A read-only view of an array in the store, without a copy: valid until tb_unpin(ref) or the
 * release of the ref. `pview` is a const T **; n may be NULL. Refs in an array of refs live as long
 * as the array's ref is held here, and so do views of them; tb_retain makes one the caller's. So do actors in an array: tb_actor_retain. */
#define tb_get_array(ref, pview, n) tb_get_array_timeout(ref, pview, n, -1)
#define tb_get_array_timeout(ref, pview, n, timeout)                                               \
    tb_get_array_((ref), tb_type_of_view_(pview), 0, (void *)(pview), (n), (timeout))
#define tb_get_array_as(ref, type, pview, n)                                                       \
    tb_get_array_((ref), (type), 0, (void *)(pview), (n), -1)
#define tb_get_records(ref, pview, n) tb_get_records_timeout(ref, pview, n, -1)
#define tb_get_records_timeout(ref, pview, n, timeout)                                             \
    tb_get_array_((ref), TB_RECORD, sizeof **(pview), (void *)(pview), (n), (timeout))
#define tb_get_bytes(ref, pview, n)                                                                \
    tb_get_array_((ref), TB_BYTES, 1, (void *)(pview), (n), -1)

/* The same for the arguments of a task; views and strings live as long as the call.
 * Errors: TB_ERR_TYPE, TB_ERR_ARGUMENT. */
#define tb_arg(call, i, ptr) tb_arg_((call), (i), tb_type_to_read_(ptr), (ptr), sizeof *(ptr))
#define tb_arg_struct(call, i, ptr) tb_arg_((call), (i), TB_RECORD, (ptr), sizeof *(ptr))
#define tb_arg_array(call, i, pview, n)                                                            \
    tb_arg_array_((call), (i), tb_type_of_view_(pview), 0, (void *)(pview), (n))
#define tb_arg_array_as(call, i, type, pview, n)                                                   \
    tb_arg_array_((call), (i), (type), 0, (void *)(pview), (n))
#define tb_arg_records(call, i, pview, n)                                                          \
    tb_arg_array_((call), (i), TB_RECORD, sizeof **(pview), (void *)(pview), (n))
#define tb_arg_bytes(call, i, pview, n)                                                            \
    tb_arg_array_((call), (i), TB_BYTES, 1, (void *)(pview), (n))

/* Sets the results: all at once, one, or one that is built in place in the store and sealed when the
 * task ends. Refs and actors in them may be released then. Returns: 0 or the error that the call fails with.
 * Blocks: until the store has room. */
#define tb_return(...) tb_return_v_(TB_FIRST_(__VA_ARGS__), TB_REST_(__VA_ARGS__))
#define tb_return_v(call, ...) tb_return_v_((call), __VA_ARGS__)
#define tb_return_at(call, i, x) tb_return_at_((call), (i), tb_value_of(x))
#define tb_return_array(call, i, pptr, n)                                                          \
    tb_return_array_((call), (i), tb_type_of_room_(pptr), 0, (n), (void *)(pptr))
#define tb_return_records(call, i, pptr, n)                                                        \
    tb_return_array_((call), (i), TB_RECORD, sizeof **(pptr), (n), (void *)(pptr))

/* An error here prints the expression and the reason and ends the program, or fails the task; in a method it
 * also ends the actor's process, for its state may be half changed. */
#define tb_must(expression) tb_must_((expression), #expression, __FILE__, __LINE__)

#define TB_CONFIG(...) (&(const tb_config){__VA_ARGS__, .pad_ = 0})

#define TB_SCOPE                                                                                   \
    for (int tb_scope_once_ __attribute__((cleanup(tb_scope_cleanup_))) = (tb_scope_begin(), 1);   \
         tb_scope_once_; tb_scope_once_ = 0)
#endif

#endif
