/* messages.h - every message of Thornback: the one table, and the layout of each payload.
 *
 * The same records travel between ranks (packed into MPI frames), between an agent and its
 * executors (through rings in shared memory) and, on rank 0, between the driver, the head and the
 * agent (through queues in memory). From the table come the enum, the names in logs, the checks of
 * size and sender on receipt, the dispatch and the page in doc/. Adding a message: one row here,
 * one payload struct below, one handler of the name given.
 *
 * A record is a struct tbi_record (8 bytes) and its body, padded to 8 bytes in all:
 *
 *      0        3 4        7 8                        8 + sizeof payload          len
 *     +--------+-+----------+--------------------------+---------------------------+
 *     | len 24 |t|  proc    | payload struct           | what follows (see table)  |
 *     +--------+-+----------+--------------------------+---------------------------+
 *
 * `proc` is the process a record concerns: the incarnation number of an executor on the rank that
 * sent it (or that it goes to), 0 for the driver, TBI_PROC_NONE where it means nothing.
 * All parties run on one kind of machine, so bytes travel in native order; the frame header's
 * magic number would show a mixed job.
 *
 * Roles: HEAD the scheduler and directory on rank 0; AGENT a rank's agent; PROC a process that
 * uses the API (an executor, or the driver). PROC talks to its own agent only; what it sends to
 * HEAD goes through the agent, which notes handles in passing and forwards the record unchanged. */
#ifndef TBI_MESSAGES_H
#define TBI_MESSAGES_H

#include "util/id.h"

#include <stdatomic.h>

#define TBI_PROTOCOL_VERSION 2
#define TBI_PROC_DRIVER 0u
#define TBI_PROC_NONE 0xffffffffu

enum tbi_role { TBI_ROLE_HEAD, TBI_ROLE_AGENT, TBI_ROLE_PROC };

static inline size_t tbi_padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

struct tbi_record {
    uint32_t len : 24;  /* bytes in all, this header included, a multiple of 8 */
    uint32_t type : 8;  /* enum tbi_msg */
    uint32_t proc;
};
#define TBI_RECORD_MAX ((1u << 24) - 8)
#define TBI_BODY_MAX (TBI_RECORD_MAX - sizeof(struct tbi_record))

/* What of a user's goes into one record is bounded where it comes from, so that all that is made of it fits too. The
 * codec refuses more, so nobody else need ask. */
enum {
    TBI_INLINE_MAX = 1 << 20,   /* bytes of one packed value that travels in messages */
    TBI_REFS_MAX = 1 << 19,     /* refs in an object, and in all results of a task */
    TBI_KEPT_MAX = 1 << 18,     /* refs named as kept in a DONE; more are told by HOLD before it */
    TBI_PLACES_MAX = 0xffff + 64 /* cores and GPUs of a rank */
};

/*    type          from   to     payload              followed by */
#define TBI_MESSAGES(X)                                                                            \
    X(SUBMIT,       PROC,  HEAD,  msg_submit,          "ids held, argument words, inline values")  \
    X(GROUP,        PROC,  HEAD,  msg_group,           "bundles, each with its amounts")           \
    X(UNGROUP,      PROC,  HEAD,  msg_object,          "")                                         \
    X(PUT,          PROC,  HEAD,  msg_put,             "ids contained, the packed value")          \
    X(ANNOUNCE,     PROC,  HEAD,  msg_object,          "")                                         \
    X(HOLD,         PROC,  HEAD,  msg_object,          "")                                         \
    X(RELEASE,      PROC,  HEAD,  msg_object,          "")                                         \
    X(CANCEL,       PROC,  HEAD,  msg_cancel,          "")                                         \
    X(KILL,         PROC,  HEAD,  msg_cancel,          "")                                         \
    X(FIND,         PROC,  HEAD,  msg_find,            "the name")                                 \
    X(CHECKPOINT,   PROC,  HEAD,  msg_checkpoint,      "")                                         \
    X(SEEN,         PROC,  HEAD,  msg_object,          "")                                         \
    X(INQUIRE,      PROC,  HEAD,  msg_inquire,         "")                                         \
    X(CREDIT,       PROC,  HEAD,  msg_credit,          "")                                         \
    X(FORGET,       PROC,  HEAD,  msg_object,          "")                                         \
    X(AWAIT_IDLE,   PROC,  HEAD,  msg_await_idle,      "")                                         \
    X(BLOCK,        PROC,  HEAD,  msg_task,            "")                                         \
    X(UNBLOCK,      PROC,  AGENT, msg_task,            "")                                         \
    X(GET,          PROC,  AGENT, msg_get,             "")                                         \
    X(UNPIN,        PROC,  AGENT, msg_object,          "")                                         \
    X(CREATE,       PROC,  AGENT, msg_create,          "")                                         \
    X(ABANDON,      PROC,  AGENT, msg_object,          "")                                         \
    X(SEAL,         PROC,  AGENT, msg_seal,            "ids contained")                            \
    X(DONE,         PROC,  AGENT, msg_done,            "results, ids contained, ids kept, values") \
    X(CONSTRUCTED,  PROC,  AGENT, msg_done,            "ids kept")                                 \
    X(SKIPPED,      PROC,  AGENT, msg_skipped,         "")                                         \
    X(EXITED,       PROC,  AGENT, msg_exited,          "the end of its stderr")                    \
    X(RUN,          AGENT, PROC,  msg_run,             "argument rows, inline values, places")     \
    X(OBJECT,       AGENT, PROC,  msg_located,         "the packed value or error")                \
    X(CREATED,      AGENT, PROC,  msg_created,         "error")                                    \
    X(INFORMED,     AGENT, PROC,  msg_inquire,         "")                                         \
    X(GRANTED,      AGENT, PROC,  msg_credit,          "")                                         \
    X(TALLIED,      AGENT, PROC,  msg_unfinished,      "")                                         \
    X(FOUND,        AGENT, PROC,  msg_found,           "")                                         \
    X(RESUME,       AGENT, PROC,  msg_resume,          "its cores")                                \
    X(INTERRUPT,    AGENT, PROC,  msg_task,            "")                                         \
    X(EXIT,         AGENT, PROC,  msg_none,            "")                                         \
    X(RESOLVE,      AGENT, HEAD,  msg_get,             "")                                         \
    X(SEALED,       AGENT, HEAD,  msg_seal,            "ids contained")                            \
    X(FINISHED,     AGENT, HEAD,  msg_done,            "results, ids contained, ids kept, values") \
    X(LIVES,        AGENT, HEAD,  msg_done,            "ids kept")                                 \
    X(INSTANCES,    AGENT, HEAD,  msg_instances,       "")                                         \
    X(UNBLOCKED,    AGENT, HEAD,  msg_task,            "")                                         \
    X(LENT,         AGENT, HEAD,  msg_lent,            "")                                         \
    X(OVERDUE,      AGENT, HEAD,  msg_task,            "")                                         \
    X(STOPPED,      AGENT, HEAD,  msg_task,            "")                                         \
    X(REPLICA,      AGENT, HEAD,  msg_object,          "")                                         \
    X(EVICTED,      AGENT, HEAD,  msg_object,          "")                                         \
    X(GONE,         AGENT, HEAD,  msg_none,            "")                                         \
    X(OUTPUT,       AGENT, HEAD,  msg_output,          "whole lines")                              \
    X(WRITTEN,      HEAD,  AGENT, msg_written,         "")                                         \
    X(TAKEN,        AGENT, HEAD,  msg_taken,           "tasks")                                    \
    X(RESERVED,     AGENT, HEAD,  msg_reserved,        "")                                         \
    X(UNRESERVED,   AGENT, HEAD,  msg_object,          "")                                         \
    X(DISPATCH,     HEAD,  AGENT, msg_dispatch,        "located args, argument words, values")     \
    X(SKIP,         HEAD,  AGENT, msg_skip,            "")                                         \
    X(CALLER_GONE,  HEAD,  AGENT, msg_caller,          "")                                         \
    X(RETIRE,       HEAD,  AGENT, msg_task,            "")                                         \
    X(WHERE,        HEAD,  AGENT, msg_where,           "")                                         \
    X(STOP,         HEAD,  AGENT, msg_stop,            "")                                         \
    X(TAKEN_OVER,   HEAD,  AGENT, msg_object,          "")                                         \
    X(GRANT,        HEAD,  AGENT, msg_credit,          "")                                         \
    X(TALLY,        HEAD,  AGENT, msg_unfinished,      "")                                         \
    X(IDENTIFY,     HEAD,  AGENT, msg_found,           "")                                         \
    X(INFORM,       HEAD,  AGENT, msg_inquire,         "")                                         \
    X(RESOLVED,     HEAD,  AGENT, msg_located,         "the packed value or error")                \
    X(BLOCKED,      HEAD,  AGENT, msg_task,            "")                                         \
    X(WANTED,       HEAD,  AGENT, msg_task,            "")                                         \
    X(ABORT,        HEAD,  AGENT, msg_abort,           "")                                         \
    X(KEEP,         HEAD,  AGENT, msg_keep,            "")                                         \
    X(TAKE_BACK,    HEAD,  AGENT, msg_take_back,       "amounts")                                  \
    X(RESERVE,      HEAD,  AGENT, msg_reserve,         "amounts, tasks that wait for groups")      \
    X(UNRESERVE,    HEAD,  AGENT, msg_object,          "")                                         \
    X(FREE,         HEAD,  AGENT, msg_object,          "")                                         \
    X(REPORT,       HEAD,  AGENT, msg_none,            "")                                         \
    X(REPORTED,     AGENT, HEAD,  msg_none,            "")                                         \
    X(SHUTDOWN,     HEAD,  AGENT, msg_shutdown,        "")                                         \
    X(CALL,         AGENT, AGENT, msg_dispatch,        "located args, argument words, values")     \
    X(ANSWER,       AGENT, AGENT, msg_done,            "results, values")                          \
    X(FETCH,        AGENT, AGENT, msg_fetch,           "")                                         \
    X(FETCHED,      AGENT, AGENT, msg_fetched,         "the bytes, if sent along")                 \
    X(FETCH_DONE,   AGENT, AGENT, msg_fetch_end,       "")                                         \
    X(BYE,          AGENT, HEAD,  msg_none,            "")

#define TBI_MSG_ENUM(type, from, to, payload, tail) TBI_MSG_##type,
enum tbi_msg { TBI_MESSAGES(TBI_MSG_ENUM) TBI_MSG_COUNT };
#undef TBI_MSG_ENUM

struct tbi_msg_info {
    const char *name;
    enum tbi_role from, to;
    size_t payload;     /* bytes of the payload struct: a shorter record is refused */
    const char *tail;
};
extern const struct tbi_msg_info tbi_msg_info[TBI_MSG_COUNT];

/* ---- payloads; every struct is a multiple of 8 bytes ---- */

struct msg_none {
    uint64_t unused;
};
struct msg_object {
    struct tbi_id id;
};
/* The job is over. With `settles`, nobody holds a ref and no task is under way: agents go on until
 * nothing is left on their books, and tell what stays. */
struct msg_shutdown {
    uint64_t settles;
};
struct msg_task {
    struct tbi_id task;
    uint32_t attempt, unused;
};

/* Behind it: uint16_t cores[ncores], padded to 8 bytes: places in the rank's cores. None: the task has no CPUs, or goes on
 * without them, and may use all. */
struct msg_resume {
    struct tbi_id task;
    uint32_t attempt, ncores;
};

/* How much of a resource is free on a rank, as far as the head knows? The answer is the same with the
 * amount filled in. */
struct msg_inquire {
    uint64_t ticket;        /* the process's own number for it */
    uint32_t rank, resource;
    int64_t amount;
};

/* A process has used up what it may submit and asks for more; GRANT and GRANTED answer the question of this
 * `number`, the process's own count of them. `units`: that it may use until it asks again. */
struct msg_credit {
    uint64_t number, units;
};

/* How much of the job is unfinished? TALLY and TALLIED answer it, with `waits` when nothing is, else at once. The
 * same question once more, without `waits`, ends the wait. From the driver alone. */
struct msg_await_idle {
    uint64_t ticket;        /* as in msg_inquire */
    uint64_t waits;
};
struct msg_unfinished {
    uint64_t ticket, tasks, calls;
    uint64_t actors;        /* that are being made, or end */
};

/* CANCEL: the task that makes this object is not wanted any more. KILL: nor is this actor; with TBI_KILL_FOLLOWS it goes on
 * and is about to be ended, which is noted. ABORT: so its agent is to end it, if this attempt is not over. INTERRUPT: so its
 * process is to leave what it waits in. */
struct msg_cancel {
    struct tbi_id id;
    uint32_t flags;          /* TB_CANCEL_*, TB_KILL_* */
    uint32_t by;             /* KILL: enum tbi_killer */
};
enum { TBI_KILL_FOLLOWS = 1 << 16 /* beside TB_KILL_* */ };
enum tbi_killer { TBI_BY_KILL, TBI_BY_QUEUE_SHUTDOWN }; /* the function that the user called */
struct msg_abort {
    struct tbi_id task;
    uint32_t attempt;
    uint32_t force;          /* 1: kill the process at once */
};

/* One part of a demand: so much of a resource. Resources are numbered alike on all ranks: the first three
 * as below, then custom resources and node labels in the order of their names. Amounts are in
 * 1/10000 of a unit; 0 asks for a node that has any of it, which is how labels are asked for. */
struct tbi_amount {
    uint32_t resource, unused;
    int64_t amount;
};
enum { TBI_CPUS, TBI_GPUS, TBI_MEMORY, TBI_CUSTOM, TBI_RESOURCES_MAX = 64 };
enum { TBI_UNIT = 10000, TBI_GPUS_MAX = 64 /* of a rank */ };
enum tbi_strategy {
    TBI_DEFAULT,        /* by locality, else packed to half, then spread */
    TBI_SPREAD,         /* on the least loaded node */
    TBI_ON_NODE,        /* on `node` and no other */
    TBI_PREFER_NODE,    /* on `node` if it can be there now, else as by default */
    TBI_IN_GROUP        /* in a bundle of a placement group */
};

/* A placement group: its id is that of the object that is ready when all its bundles are reserved, an
 * array of their ranks (int32). A bundle's id is the group's with its number, from 1, as index. Behind it:
 * nbundles times struct msg_bundle and its struct tbi_amount more[nmore], as in SUBMIT. */
enum tbi_group_strategy {
    TBI_GROUP_PACK,         /* on as few nodes as it goes */
    TBI_GROUP_SPREAD,       /* on as many */
    TBI_GROUP_STRICT_PACK,  /* on one node, or not at all */
    TBI_GROUP_STRICT_SPREAD /* no two on the same node */
};
struct msg_group {
    struct tbi_id id;
    uint32_t strategy, nbundles;
};
struct msg_bundle {
    int32_t cpus;
    uint32_t nmore;
};
static inline const struct tbi_amount *tbi_bundle_more(const struct msg_bundle *m)
{
    return (const struct tbi_amount *)(m + 1);
}
static inline const struct msg_bundle *tbi_bundle_next(const struct msg_bundle *m)
{
    return (const struct msg_bundle *)(tbi_bundle_more(m) + m->nmore);
}

/* The agent is to set so much aside for tasks of this bundle, if it is free now; RESERVED says whether
 * it did. UNRESERVE ends that, and the tasks in it; UNRESERVED comes when they have ended. Behind it:
 * struct tbi_amount more[demand.nmore], struct tbi_id lenders[nlenders]: tasks there that are blocked until groups
 * are reserved, so the bundle may have their CPUs. */
struct msg_reserve {
    struct tbi_id bundle;
    struct msg_bundle demand;
    uint32_t nlenders, unused;
};
struct msg_reserved {
    struct tbi_id bundle;
    uint32_t granted, unused;
    uint64_t gpus;           /* bits of the instances it got */
};
/* A bundle has the CPUs of this blocked task, which resumes without them if it must; or not any more (`lent` 0). */
struct msg_lent {
    struct tbi_id task;
    uint32_t attempt, lent;
};
/* LIVES came before: the actor has these instances of its node's GPUs, or of its bundle's. */
struct msg_instances {
    struct tbi_id actor;
    uint32_t attempt, unused;
    uint64_t gpus;
};

/* The node is kept for a task of the head's: until it says otherwise the agent takes in none by itself. */
struct msg_keep {
    uint32_t kept, unused;
};

/* What a SUBMIT asks for. An actor is the task that creates it: it is placed, fails and is begun again as
 * tasks are, its attempt is the actor's epoch, and once CONSTRUCTED its process goes on until the actor ends,
 * which is when the task is FINISHED. The actor's id is that of this task's object, and who has a handle of
 * the actor holds that object. A call of a method is a task without a demand, which goes where the actor
 * lives. */
enum tbi_kind { TBI_TASK, TBI_ACTOR, TBI_CALL };

enum { TBI_LANES_MAX = 8 /* of calls that run at once: lane 0, and the concurrency groups */ };
enum {
    TBI_ACTOR_PLACED_ONLY = 1,  /* it has its CPUs until it is constructed, and then none */
    TBI_ACTOR_DETACHED = 2,     /* it needs no handle to live */
    TBI_ACTOR_GET = 4,          /* if the name is taken, that actor is meant: answered by FOUND */
    TBI_ACTOR_RESTORES = 8      /* DISPATCH, RUN: its last argument is its checkpoint */
};
/* Behind a SUBMIT, its DISPATCH (without the name) and the RUN (likewise) that creates an actor. The name:
 * namespace and name, each with a final 0, padded to 8 bytes; without bytes it has none. */
struct msg_actor {
    uint64_t ticket;         /* with TBI_ACTOR_GET: for FOUND */
    int32_t max_task_retries;/* of calls that do not say */
    uint32_t max_pending;    /* calls that have not ended; 0: any number */
    uint32_t name_bytes;
    uint16_t flags, nlanes;
    uint16_t lane[TBI_LANES_MAX]; /* calls that run at once in each; lane[0] is max_concurrency */
};
/* Behind a SUBMIT of a call, and its DISPATCH. The actor is the last of the refs the call holds. `seq`: in
 * what order this caller's calls to this lane of the actor were made, from 1; set by the caller's agent. */
struct msg_call {
    struct tbi_id actor;
    uint64_t seq;
    uint32_t epoch;          /* DISPATCH, CALL, and SUBMIT with TBI_CALL_DIRECT: in which life */
    uint16_t lane, flags;    /* TBI_CALL_* */
    /* After an error of these codes the actor's process runs it again by itself; as in msg_submit. */
    uint32_t retry_codes, retry_delay_ms;
    int32_t max_retries;
    uint32_t unused;
};
enum {
    TBI_CALL_LOCATES = 1,    /* the caller's agent would call directly: tell it WHERE the actor lives */
    TBI_CALL_DIRECT = 2,     /* it has sent the call to the actor's agent already, see node/direct.c */
    TBI_CALL_AWAITED = 4     /* the library waits for it, and tells its failure as its own: nobody else need read it */
};
enum { TBI_RETRIES_DEFAULT = INT32_MIN /* max_retries of a call: as the actor says */ };

/* The calls `from` .. `to`-1 of this caller to this lane will not come. */
struct msg_skip {
    struct tbi_id actor;
    uint32_t epoch, rank, proc, lane;
    uint64_t from, to;
};

/* This caller has ended, and so have all its calls of the actor in this life of it. */
struct msg_caller {
    struct tbi_id actor;
    uint32_t epoch, rank, proc, unused;
};

/* Where this process's calls of the actor may go directly: to `rank`, in this life of it. Not any more: then
 * `rank` is TBI_NOWHERE. The actor has ended: then nobody needs to know how many calls were made either. */
struct msg_where {
    struct tbi_id actor;
    uint32_t epoch, rank, proc, ended;
};
#define TBI_NOWHERE 0xffffffffu
/* A direct call is not wanted any more. STOPPED: its agent has not said FINISHED of it so far, and from now on
 * it has no value. No answer: FINISHED is on its way, or the actor has ended. TAKEN_OVER: the head has the call
 * now, and knows what becomes of it. */
struct msg_stop {
    struct tbi_id task, actor;
    uint64_t seq;
    uint32_t attempt, epoch, lane, unused;
};

/* Which actor has this name? FOUND and IDENTIFY answer it, and a SUBMIT with TBI_ACTOR_GET. If another actor
 * than the submitted one is found, the process has got one hold more of that: it gives it back if it had one. */
struct msg_find {
    uint64_t ticket;         /* the process's own number for it */
    uint32_t name_bytes, unused; /* as in msg_actor */
};
struct msg_found {
    struct tbi_id submitted; /* the actor that was to be created, or null */
    struct tbi_id id;        /* null: none */
    uint64_t ticket;
};
/* When the actor is begun again it gets this object as its last argument. */
struct msg_checkpoint {
    struct tbi_id actor, object;
};

/* A task, as its submitter describes it. Behind it:
 *   struct tbi_id refs[nrefs]       what the task holds until it is done: the first nresolve are
 *                                   arguments to be replaced by their values, the others travel
 *                                   as refs inside inline values
 *   uint64_t      args[nargs]       TBI_ARG_REF | i: refs[i]'s value; else the bytes of an inline
 *                                   packed value, taken from data in turn
 *   uint8_t       data[data_bytes]  the inline values, each padded to 8 bytes
 *   struct tbi_amount more[nmore]   what it demands besides CPUs, by rising resource
 *   struct tbi_id group             with TBI_IN_GROUP: the group, or the bundle that it has to be in
 *   struct msg_actor | msg_call     by its kind */
struct msg_submit {
    struct tbi_id task;      /* the returns are this id with index 0 .. nreturns-1 */
    struct tbi_id parent;    /* the submitting task; null for the driver */
    uint32_t fn;             /* id in the table of registered functions */
    int32_t cpus;            /* demand in 1/10000 CPU */
    uint32_t data_bytes;     /* multiple of 8 */
    int32_t max_retries;     /* after a failure that may be retried; -1: without end */
    uint32_t retry_codes;    /* bit n: also after the function failed with error -n; not of a call */
    uint32_t retry_delay_ms; /* before each retry */
    uint32_t limit_ms;       /* how long an attempt may run; 0: for ever */
    uint16_t nreturns, nargs, nrefs, nresolve;
    uint16_t depth;          /* 0 by the driver, else the submitting task's + 1 */
    uint8_t nmore, strategy; /* strategy: enum tbi_strategy */
    uint32_t node;           /* a rank, for the strategies that name one */
    uint8_t local;           /* 1: the agent it comes through has it already, see node/nested.c */
    uint8_t kind;            /* enum tbi_kind; an actor's or a call's has struct msg_actor or msg_call last */
    uint8_t of_direct;       /* 1: `parent` is a call that was sent directly: its SUBMIT may come after this one */
    uint8_t fresh;           /* 1: in a process that has run nothing before */
    uint64_t seed;           /* for tb_call_seed */
};
#define TBI_ARG_REF (UINT64_C(1) << 63)
static inline const struct tbi_id *tbi_submit_refs(const struct msg_submit *m)
{
    return (const struct tbi_id *)(m + 1);
}
static inline const uint64_t *tbi_submit_args(const struct msg_submit *m)
{
    return (const uint64_t *)(tbi_submit_refs(m) + m->nrefs);
}
static inline const uint8_t *tbi_submit_data(const struct msg_submit *m)
{
    return (const uint8_t *)(tbi_submit_args(m) + m->nargs);
}
static inline const struct tbi_amount *tbi_submit_more(const struct msg_submit *m)
{
    return (const struct tbi_amount *)(tbi_submit_data(m) + m->data_bytes);
}
static inline const struct tbi_id *tbi_submit_group(const struct msg_submit *m)
{
    return m->strategy == TBI_IN_GROUP ? (const struct tbi_id *)(tbi_submit_more(m) + m->nmore)
                                       : NULL;
}

/* What it uses of its submitter's credit: one, and one for each KiB of values that the head keeps for it. */
static inline uint32_t tbi_submit_units(const struct msg_submit *m)
{
    return 1 + m->data_bytes / 1024;
}

static inline const void *tbi_submit_end(const struct msg_submit *m)
{
    return (const struct tbi_id *)(tbi_submit_more(m) + m->nmore) + (m->strategy == TBI_IN_GROUP);
}
static inline const struct msg_actor *tbi_submit_actor(const struct msg_submit *m)
{
    return m->kind == TBI_ACTOR ? tbi_submit_end(m) : NULL;
}
static inline const struct msg_call *tbi_submit_call(const struct msg_submit *m)
{
    return m->kind == TBI_CALL ? tbi_submit_end(m) : NULL;
}

/* A small object, ready at once; its maker holds it. Behind it: ids[nrefs], value[bytes]. */
struct msg_put {
    struct tbi_id id;
    uint32_t nrefs, bytes;
};

/* GET: a process wants an object; RESOLVE: its agent asks the head where it is. The answer is one
 * OBJECT or RESOLVED with the same id and proc, when the object is ready or has failed. FORGET: the process does not
 * wait for it any more; an answer may still come. GONE: a process has ended, and so do all its questions; it is the
 * last record that concerns it. */
struct msg_get {
    struct tbi_id id;
    uint32_t flags, unused;
};
enum {
    TBI_GET_EXISTS = 1, /* only say that it is ready: neither fetch nor pin */
    TBI_GET_WANTED = 2, /* a task blocks on it: its producer may exceed the executor limit */
    TBI_GET_POLL = 4    /* with EXISTS: answer at once, TBI_AT_PENDING if it is not ready */
};

enum tbi_where {
    TBI_AT_INLINE = 1,  /* the packed value follows */
    TBI_AT_STORE,       /* in the segment of `rank`, at offset (0 while only the rank is known) */
    TBI_AT_ERROR,       /* the packed error follows */
    TBI_AT_EXISTS,      /* ready; where was not asked for (answer to TBI_GET_EXISTS) */
    TBI_AT_PENDING      /* not ready yet (answer to TBI_GET_POLL) */
};
/* Where an object is. To a process, TBI_AT_STORE is pinned for it until UNPIN. */
struct msg_located {
    struct tbi_id id;
    uint32_t where;     /* enum tbi_where */
    uint32_t rank;      /* TBI_AT_STORE: whose segment */
    uint64_t offset;    /* TBI_AT_STORE: of the packed value, from the segment's start */
    uint64_t bytes;     /* of the packed value or error */
};

/* Room for an object of `bytes` bytes of packed value, to be written in place. */
struct msg_create {
    struct tbi_id id;
    uint64_t bytes;
};
/* The answer: error_bytes == 0 and the offset lent to the process, or an error behind it. */
struct msg_created {
    struct tbi_id id;
    uint64_t offset;
    uint64_t bytes;
    uint32_t error_bytes;
    uint32_t cold;          /* part of the room was never used: get its pages before touching it */
};
/* The object is written and from now on immutable. Behind it: ids[nrefs] contained. */
struct msg_seal {
    struct tbi_id id;
    uint64_t bytes;
    uint32_t nrefs, rank;  /* SEALED: the owner */
};

/* A task has ended. Behind it:
 *   struct tbi_result results[nresults]   0 if the task failed as a whole
 *   struct tbi_id     contained[...]      each result's `nrefs` in turn
 *   struct tbi_id     kept[nkept]         borrowed refs the process goes on holding
 *   uint8_t           data[data_bytes]    inline values in turn, each padded to 8; or, if error
 *                                         is not 0, the packed error of the whole task
 * ANSWER: the same of a direct call for its caller, if it has all its results inline; without results: the
 * head knows. */
struct msg_done {
    struct tbi_id task;
    uint32_t attempt;
    int32_t error;          /* 0, or a TB_ERR_* */
    uint16_t nresults;
    uint16_t crashed;       /* FINISHED: 1: the process died of it, which is retried by itself */
    uint32_t nkept;
    uint32_t data_bytes;    /* multiple of 8 */
    uint32_t error_bytes;   /* of the packed error at the start of data */
    uint32_t run_us;        /* how long the attempt ran, not counting waits; 0: unknown */
    uint16_t exits;         /* 1: the actor ends with this call */
    uint16_t direct;        /* FINISHED: 1: of a direct call, whose SUBMIT may come later */
};
struct tbi_result {
    uint32_t where;         /* TBI_AT_INLINE or TBI_AT_STORE (created under this id, now sealed) */
    uint32_t nrefs;
    uint64_t bytes;
};

/* An executor did not begin the tasks numbered from `from` to `to` - 1, for its claim word says that they were taken
 * back. If they were not, the word was overwritten. */
struct msg_skipped {
    uint64_t from, to;
};

/* The zygote reports an executor's end, or that it could not be forked. */
struct msg_exited {
    int32_t pid;            /* 0: never was */
    int32_t signal;         /* that ended it, or 0 */
    int32_t status;         /* its exit status; with pid 0 the errno of fork */
    uint32_t bytes;         /* of the end of its stderr, without a final 0 */
    uint64_t printed;       /* bytes of lines in OUTPUT records before it, of all executors */
};

/* What executors of a rank have printed: from the zygote to its agent, and from there to rank 0,
 * which writes it to the driver's stdout (stream 1) or stderr (2). WRITTEN says how much room
 * there is again, so that rank 0 need not keep more than a fixed number of bytes of each rank. */
struct msg_output {
    uint32_t stream;
    uint32_t bytes;         /* of lines behind it, each with its \n */
};
struct msg_written {
    uint64_t bytes;
};

/* A task for an agent. Behind it:
 *   struct msg_located resolved[nresolve]  where the resolved arguments are
 *   uint64_t           args[nargs]         as in SUBMIT
 *   uint8_t            data[data_bytes]    SUBMIT's inline values, then each TBI_AT_INLINE value of
 *                                          `resolved` in turn, all padded to 8
 *   struct tbi_amount  more[nmore]         as in SUBMIT
 *   struct tbi_id      bundle              with TBI_DISPATCH_BUNDLE: what it takes its resources of
 *   struct msg_actor | msg_call            with TBI_DISPATCH_ACTOR or _CALL */
struct msg_dispatch {
    struct tbi_id task;
    uint32_t attempt, fn;
    int32_t cpus;
    uint32_t data_bytes;
    uint16_t nreturns, nargs, nresolve, depth;
    uint16_t flags, nmore;
    uint32_t limit_ms;      /* as in SUBMIT */
    uint64_t seed;
};
enum {
    TBI_DISPATCH_WANTED = 1,
    TBI_DISPATCH_STAYS = 2, /* it must be on this node, or was taken back often enough */
    TBI_DISPATCH_BUNDLE = 4,
    TBI_DISPATCH_ACTOR = 8,
    TBI_DISPATCH_CALL = 16,
    TBI_DISPATCH_DIRECT = 32,   /* it came as CALL */
    TBI_DISPATCH_BOUND = 64,    /* it must be on this node */
    TBI_DISPATCH_FRESH = 128    /* in a process that has run nothing before */
};
static inline const struct tbi_amount *tbi_dispatch_more(const struct msg_dispatch *m)
{
    const struct msg_located *at = (const struct msg_located *)(m + 1);
    const uint64_t *args = (const uint64_t *)(at + m->nresolve);

    return (const struct tbi_amount *)((const uint8_t *)(args + m->nargs) + m->data_bytes);
}
static inline const struct tbi_id *tbi_dispatch_bundle(const struct msg_dispatch *m)
{
    return m->flags & TBI_DISPATCH_BUNDLE ? (const struct tbi_id *)(tbi_dispatch_more(m) + m->nmore)
                                          : NULL;
}

static inline const void *tbi_dispatch_end(const struct msg_dispatch *m)
{
    return (const struct tbi_id *)(tbi_dispatch_more(m) + m->nmore) +
           (m->flags & TBI_DISPATCH_BUNDLE ? 1 : 0);
}
static inline const struct msg_actor *tbi_dispatch_actor(const struct msg_dispatch *m)
{
    return m->flags & TBI_DISPATCH_ACTOR ? tbi_dispatch_end(m) : NULL;
}
static inline const struct msg_call *tbi_dispatch_call(const struct msg_dispatch *m)
{
    return m->flags & TBI_DISPATCH_CALL ? tbi_dispatch_end(m) : NULL;
}

/* Another node idles, and has so much free of each resource: the agent gives up to `most` tasks back
 * that have not begun, may go elsewhere and fit into that together; the last to start here first.
 * Behind it: struct tbi_amount free[nfree], by rising resource; what is not there is not there. */
struct msg_take_back {
    uint32_t most, nfree;
};
/* The answer to each TAKE_BACK: these attempts are not here any more and never began. Or unasked: they would
 * have to wait until an actor ends. Behind it: struct msg_task task[ntasks]. */
struct msg_taken {
    uint32_t ntasks, unasked;
};

/* A task for an executor. Behind it:
 *   struct tbi_run_arg args[nargs]
 *   uint8_t            data[data_bytes]
 *   uint16_t           places[ncores + ngpus]  of the rank's cores, then GPUs; padded to 8 bytes
 *   struct tbi_id      bundle              if `in_bundle`: that the task is in
 *   struct msg_actor   actor               if `kind` is TBI_ACTOR */
struct msg_run {
    struct tbi_id task;
    uint32_t attempt, fn;
    int32_t cpus;
    uint32_t data_bytes;
    uint16_t nreturns, nargs, depth, in_bundle;
    uint16_t ncores, ngpus; /* ncores 0: not bound */
    uint16_t kind, lane;    /* enum tbi_kind; TBI_CALL: in which lane it runs */
    uint64_t number;        /* in the order in which this executor gets tasks, from 0 */
    uint32_t retry_codes, retry_delay_ms; /* TBI_CALL: as in msg_call */
    int32_t max_retries;
    _Atomic uint32_t cancelled; /* 0. The executor's: set when it is told, if it runs calls in lanes */
    uint64_t seed;          /* as in SUBMIT */
};
/* One argument: rank == TBI_ARG_INLINE: `bytes` of data at `offset` there; else in a segment. */
struct tbi_run_arg {
    uint32_t rank, unused;
    uint64_t offset, bytes;
};
#define TBI_ARG_INLINE 0xffffffffu
static inline size_t tbi_run_places(const struct msg_run *m) /* bytes */
{
    return tbi_padded((m->ncores + m->ngpus) * sizeof(uint16_t));
}
/* Bytes of a RUN, at most, for that many arguments and bytes of inline values: it can be larger than its DISPATCH. */
static inline uint64_t tbi_run_most(uint64_t nargs, uint64_t data_bytes)
{
    return sizeof(struct msg_run) + nargs * sizeof(struct tbi_run_arg) + data_bytes +
           tbi_padded(TBI_PLACES_MAX * sizeof(uint16_t)) + sizeof(struct tbi_id) + sizeof(struct msg_actor);
}
/* The largest DONE that a process sends: of 65,535 results, all inline. */
_Static_assert(sizeof(struct msg_done) + 0xffff * (sizeof(struct tbi_result) + 8) +
                       ((size_t)TBI_REFS_MAX + TBI_KEPT_MAX) * sizeof(struct tbi_id) + (64 << 10) <= TBI_BODY_MAX,
               "a DONE fits into a record");
/* A value or an error is answered by RESOLVED and OBJECT. */
_Static_assert(sizeof(struct msg_located) <= sizeof(struct msg_done), "an error that came can be passed on");
_Static_assert(sizeof(struct msg_located) + TBI_INLINE_MAX <= TBI_BODY_MAX, "a value that came can be passed on");
static inline const struct msg_actor *tbi_run_actor(const struct msg_run *m)
{
    const struct tbi_run_arg *arg = (const struct tbi_run_arg *)(m + 1);
    const uint8_t *places = (const uint8_t *)(arg + m->nargs) + m->data_bytes;

    return m->kind != TBI_ACTOR ? NULL
                                : (const void *)(places + tbi_run_places(m) +
                                                 (m->in_bundle ? sizeof(struct tbi_id) : 0));
}

/* An agent wants another agent's object. The owner pins it under a lease and says where it is, or
 * sends it along when it is small, or refuses; FETCH_DONE ends the lease. */
struct msg_fetch {
    struct tbi_id id;
    uint32_t mode;          /* enum tbi_fetch_mode */
    uint32_t ticket;        /* names this fetch between the two agents */
};
enum tbi_fetch_mode {
    TBI_FETCH_MAP,          /* same host: the reader uses the owner's memory */
    TBI_FETCH_RMA,          /* the reader copies with MPI_Rget */
    TBI_FETCH_P2P           /* the owner sends the bytes in messages of their own */
};
struct msg_fetched {
    struct tbi_id id;
    uint64_t offset, bytes;
    uint32_t ticket;
    uint32_t refused;       /* the owner has it no more: ask the head again */
};
struct msg_fetch_end {
    struct tbi_id id;
    uint32_t ticket, unused;
};

#endif
