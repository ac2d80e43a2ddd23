/* directory.h - the head's record of every object: who makes it, who holds it, where it is.
 *
 * A *maker* is what brings objects into being: a task (its returns), or a put (one object). Objects
 * live inside their maker, so that one lookup finds both. An object is PENDING, then READY or
 * FAILED, and FREED when nobody holds it any more; a maker goes when it has ended and all its
 * objects are freed. `holders` counts processes with a handle, tasks that have not ended and refer
 * to it, and objects that contain it.
 *
 * Pure; not thread-safe: the caller holds the progress lock. */
#ifndef TBI_DIRECTORY_H
#define TBI_DIRECTORY_H

#include "net/messages.h"
#include "util/list.h"
#include "util/map.h"

/* Bytes shared by all who need them: an inline value, or an error that fails many objects. */
struct tbi_payload {
    uint32_t users, bytes;
    bool unread;        /* a failure that no process has read yet */
    bool of_actor;      /* the end of an actor, told in its name */
    bool has_source;    /* behind the data is the failure that this one tells of in other words */
    _Alignas(8) uint8_t data[];
};
struct tbi_payload *tbi_payload_new(const void *data, uint32_t bytes); /* one user */
/* A failure; who reads it has read `source` too, which it uses. */
struct tbi_payload *tbi_payload_new_of(const void *data, uint32_t bytes, struct tbi_payload *source);
/* Or NULL. */
struct tbi_payload *tbi_payload_source(const struct tbi_payload *payload);
void tbi_payload_seen(struct tbi_payload *payload);
struct tbi_payload *tbi_payload_use(struct tbi_payload *payload);

enum tbi_object_state { TBI_PENDING, TBI_READY, TBI_FAILED, TBI_FREED };

struct tbi_maker;
/* A task whose argument an object is, or a process that asked for it (task null). By id, not by
 * pointer: a task that failed for another argument is gone while it still stands here. */
struct tbi_waiter {
    struct tbi_waiter *next;
    struct tbi_id task;
    uint32_t rank, proc, flags; /* flags: TBI_GET_* */
};
/* The same of a process of a task; it is also in that process's list, see clients.h. */
struct tbi_question {
    struct tbi_waiter waiter;
    struct tbi_link link;
    struct tbi_object *object;
    uint64_t since_us;
};
struct tbi_ids {
    uint32_t n;
    struct tbi_id id[];
};
struct tbi_ranks {
    uint32_t n, room;
    uint32_t rank[];
};

struct tbi_object { /* there may be millions, pending */
    uint32_t holders;
    uint32_t rank;               /* in_store: the owner */
    uint64_t bytes : 61;         /* of the packed value */
    uint64_t state : 2;          /* enum tbi_object_state */
    uint64_t in_store : 1;       /* READY: in a segment, else in `payload` */
    struct tbi_payload *payload; /* READY inline: the value; FAILED: the packed error */
    struct tbi_waiter *waiters;  /* tasks, newest first */
    struct tbi_waiter *askers;   /* processes, newest first; each once for each kind of GET */
    struct tbi_ids *contained;   /* what it holds in turn; NULL: nothing */
    struct tbi_ranks *replicas;  /* other ranks with a copy; NULL: none */
};

/* What each state guarantees:
 *   OPEN        a put that was announced and not yet sealed
 *   WAITING     `unmet` > 0 arguments are not there yet
 *   QUEUED      in the ready queue
 *   PARKED      a call whose actor does not live, see actors.h
 *   DELAYED     it failed and will be QUEUED again at `due_us`
 *   DISPATCHED  the agent of `node` has it; its demand is in the ledger
 *   BLOCKED     the same, but it waits in tb_get and its demand is not in the ledger; or it goes on, but its CPUs are lent
 *   ENDED       all objects are READY, FAILED or FREED; `submit` is gone */
enum tbi_maker_state {
    TBI_OPEN, TBI_WAITING, TBI_QUEUED, TBI_PARKED, TBI_DELAYED, TBI_DISPATCHED, TBI_BLOCKED, TBI_ENDED
};

struct tbi_maker {
    struct tbi_id id;
    struct tbi_link link;       /* QUEUED, DELAYED: in that queue; DISPATCHED, BLOCKED: in its node's
                                 * `owed`, if so; of a call: in its actor's `calls`; else in a worklist or
                                 * nowhere */
    struct tbi_link children;   /* tasks it submitted that have not ended */
    struct tbi_link sibling;    /* in its parent's `children` */
    struct msg_submit *submit;  /* a task's description with its tail; NULL for a put */
    uint8_t state;
    bool wanted : 1;            /* a blocked task waits for it, directly or not; or it is an elder */
    bool elder : 1;             /* it was let through before deeper ones, see ready.h */
    bool aborted : 1;           /* DISPATCHED, BLOCKED: cancelled, its objects are FAILED or FREED */
    bool overdue : 1;           /* DISPATCHED, BLOCKED: over its time limit, and to be tried again when it has ended */
    bool aborts_children : 1;   /* ... of both: what it still submits is cancelled too */
    bool is_actor : 1, is_call : 1; /* on record in actors.c */
    bool settled : 1;           /* an actor that lives, and is counted so in the ledger */
    bool is_direct : 1;         /* DISPATCHED: a call that its caller's agent has sent */
    bool charged : 1;           /* to its submitter, see submitters.h */
    bool lent : 1;              /* BLOCKED, and a bundle has its CPUs: it may run all the same */
    uint8_t stops;              /* ... that is not wanted any more, if its agent agrees: 1 + TB_CANCEL_* */
    uint8_t takebacks;          /* how often it was taken back */
    uint16_t nobjects;
    uint16_t live;              /* objects not FREED */
    uint16_t depth;
    uint32_t attempt, node, unmet;
    struct tbi_class *class;    /* a task's demand; NULL: a call */
    union {
        uint64_t seq;           /* QUEUED: order of becoming ready */
        uint64_t due_us;        /* DELAYED */
        uint64_t gpus;          /* DISPATCHED, BLOCKED: bits of the instances it holds */
    };
    uint32_t cost_us;           /* DISPATCHED, BLOCKED: how long it will run; 0: nobody knows */
    uint32_t place;             /* ... and where in its class's nodes: `node`, or the bundle */
    struct tbi_payload *failure; /* set while the failure is being carried through; of a call that is
                                 * DISPATCHED: its process has died */
    struct tbi_object object[];
};

struct tbi_directory {
    struct tbi_map makers;      /* by tbi_id_task */
    size_t objects;             /* live ones, for reports and checks */
    void (*unread)(void *ctx, const void *error, uint32_t bytes); /* see sched.h */
    void *unread_ctx;
    void (*orphan)(void *ctx, struct tbi_maker *maker); /* an actor has lost its last holder */
    void *orphan_ctx;
    struct tbi_payload *told;   /* the last that failed a call which its actor's end kept from beginning, ... */
    uint32_t told_fn;           /* ... of this method: many fail with one. NULL: none, or it is gone */
};
/* NULL: nothing. With its last user a payload goes. */
void tbi_payload_drop(struct tbi_directory *dir, struct tbi_payload *payload);
void tbi_directory_fini(struct tbi_directory *dir);

/* A new maker of n objects, each PENDING with one holder. NULL: the id is taken. */
struct tbi_maker *tbi_directory_add(struct tbi_directory *dir, struct tbi_id id, unsigned n);
struct tbi_maker *tbi_directory_maker(const struct tbi_directory *dir, struct tbi_id id);

/* The object, or NULL if it is unknown or freed; *maker (if not NULL) is set with it. */
struct tbi_object *tbi_directory_object(const struct tbi_directory *dir, struct tbi_id id,
                                        struct tbi_maker **maker);

/* Takes the maker out and frees it if it has ended and no object of it is alive. */
void tbi_directory_reap(struct tbi_directory *dir, struct tbi_maker *maker);

/* One holder less. Objects that nobody holds become FREED, and so on through what they contained;
 * for every copy in a segment `gone` is called with the rank that has it. */
typedef void tbi_gone_fn(void *ctx, unsigned rank, struct tbi_id id);
void tbi_directory_release(struct tbi_directory *dir, struct tbi_id id, tbi_gone_fn *gone,
                           void *ctx);

/* Frees the object if nobody holds it: for results that arrive after the last release. */
void tbi_directory_settle(struct tbi_directory *dir, struct tbi_id id, tbi_gone_fn *gone,
                          void *ctx);

void tbi_object_add_waiter(struct tbi_object *object, struct tbi_waiter waiter); /* a task */
/* A process, with its list of questions; NULL for the driver and for agents. It may have asked before: one answer is
 * enough. */
void tbi_object_add_asker(struct tbi_object *object, struct tbi_waiter waiter, struct tbi_link *questions,
                          uint64_t now_us);
/* It does not wait for the object any more. */
void tbi_object_remove_askers(struct tbi_object *object, uint32_t rank, uint32_t proc);
void tbi_question_drop(struct tbi_question *question);
/* Takes all that wait, processes first, the oldest of each first; the caller frees each. */
struct tbi_waiter *tbi_object_take_waiters(struct tbi_object *object);
void tbi_object_add_replica(struct tbi_object *object, unsigned rank);
void tbi_object_remove_replica(struct tbi_object *object, unsigned rank);

/* Every invariant above that can be seen from the directory alone; NULL or what is wrong. */
const char *tbi_directory_check(const struct tbi_directory *dir);

#endif
