/* local.h - the agent's inner structs, shared by its files:
 *   agent.c    messages from the head, the table of handlers, checks
 *   jobs.c     tasks at the node until they may run
 *   queue.c    those that may: which is the best
 *   run.c      what runs, and on which executor
 *   resume.c   tasks that have blocked and go on
 *   births.c   whether one more process may be started
 *   idle.c     processes without a task, and when there are too many
 *   abort.c    the end of tasks that are not wanted any more, or take too long
 *   bundles.c  what is set aside for placement groups
 *   lending.c  CPUs of blocked tasks that bundles have
 *   calls.c    actors that live here, and the calls of their methods
 *   direct.c   calls that go to the actor's agent without the head in between
 *   nested.c   tasks that tasks submit and that stay on their node
 *   takeback.c tasks that go back to the head, for a node that idles
 *   objects.c  the part of the store that is ours, copies of and views into others'
 *   rooms.c    room in it: who waits, and which copies give way
 *   procs.c    processes: their handles, pins and rooms, their requests and their death */
#ifndef TBI_LOCAL_H
#define TBI_LOCAL_H

#include "node/agent.h"
#include "store/segment.h"
#include "util/heap.h"
#include "util/levels.h"
#include "util/list.h"
#include "util/map.h"

/* A sum of as many amounts as there may be. */
__extension__ typedef __int128 tbi_total;

/* CPUs of a blocked task: HELD, ASKED (told the head, no answer yet: still held), GIVEN away,
 * or QUEUED to be taken back; or it goes on and is OWED them, see lending.c. */
enum tbi_cpu_state { TBI_CPU_HELD, TBI_CPU_ASKED, TBI_CPU_GIVEN, TBI_CPU_QUEUED, TBI_CPU_OWED };

/* What is set aside for a bundle of a placement group; and the node itself, of which the bundles and all
 * other tasks take theirs. */
struct tbi_bundle {
    struct tbi_id id;           /* null: the node */
    struct tbi_grants *grants;  /* of what it has */
    struct tbi_link resuming;   /* processes in it that wait to have their CPUs back */
    struct tbi_link resumer;    /* in `resumers`, if there are any */
    unsigned jobs;              /* tasks in it */
    struct tbi_link members;    /* these */
    size_t nready;              /* ... that may start */
    struct tbi_heap kinds;      /* the kinds of these, by the best of each */
    struct tbi_link waiting;    /* the same kinds, first who was not served for longest */
    unsigned running;           /* processes that run tasks of it, or are its actors */
    struct tbi_link active;     /* in `active`, if there are any */
    struct tbi_job_kind *starving;  /* one of them that was overtaken too often: the others wait until one of it begins */
    uint64_t resumed;           /* processes that have resumed in it since a task began, while some waited */
    uint64_t hold_us;           /* nobody resumes until then, so that a task may begin; 0: they do */
    unsigned held_in_vain;      /* how often in a row it did not */
    bool doomed;                /* it goes when they have ended */
    struct tbi_demand demand;   /* what it has taken of the node, and got */
    struct tbi_grant grant;
};

/* Tasks that may start and ask for the same, of the same bundle. */
struct tbi_job_kind {
    struct tbi_job_kind *chain;     /* with an equal hash */
    uint64_t hash;
    struct tbi_link idle;       /* without tasks: in the queue's list */
    struct tbi_bundle *bundle;
    bool actor;                 /* they create actors */
    bool fresh;                 /* each needs a new process */
    bool needs_no_cpus;         /* of the node */
    struct tbi_levels jobs;     /* by depth, wanted ones above all; each oldest first */
    size_t count;
    struct tbi_heap_entry order, in_bundle; /* by the best of them */
    struct tbi_link aside;      /* it cannot begin, in this pass */
    struct tbi_link waiting;    /* in the bundle's list */
    unsigned overtaken;         /* by younger ones of other kinds, while it did not fit */
    uint64_t passed;            /* how many others have begun since its oldest was let through, or could have been */
    struct tbi_demand demand;
    struct tbi_amount more[];
};
struct tbi_queue {
    struct tbi_job_kind **bucket;
    size_t mask, count;
    struct tbi_job_kind *last;      /* most tasks are of the kind of the one before; or NULL */
    struct tbi_link idle;       /* kinds without tasks, longest first */
    unsigned nidle;
    struct tbi_heap heap[2][2]; /* kinds with tasks: [needs_no_cpus][actor] */
};

/* An actor that lives here. Calls of one caller to one lane begin in the order of their numbers; lanes do not wait
 * for each other. A call whose turn has come waits in its lane until the executor has so few that it may be
 * given more. */
struct tbi_lane {
    struct tbi_local_actor *actor;
    struct tbi_link calls;
    unsigned limit;             /* of calls that run at once */
    unsigned given;             /* to the executor, and not done */
};
struct tbi_local_actor {
    struct tbi_job *job;        /* that created it */
    struct tbi_proc *proc;
    struct tbi_map callers;     /* process and lane -> struct tbi_caller */
    struct tbi_link calls;      /* all that have come and not ended */
    struct tbi_map stopped;     /* direct calls that must not begin, and have not come yet */
    struct tbi_lane lane[TBI_LANES_MAX];
    unsigned nlanes;
    bool timed;                 /* some calls have a limit */
    bool ends;                  /* it was told to, or said so: what comes for it now is dropped */
};
struct tbi_caller {
    uint64_t next;              /* the number whose turn it is */
    struct tbi_heap calls;      /* with all their arguments here, but not in their turn; by number */
    struct tbi_heap skips;      /* numbers that will not come; by number */
};

struct tbi_job {
    struct tbi_link link;       /* among its kind's, its lane's calls, or in its executor's work */
    struct tbi_job_kind *kind;      /* while it may start */
    struct tbi_heap_entry turn; /* a call: in its caller's calls */
    uint64_t number;            /* among the tasks given to its executor */
    bool copies;                /* it has arguments from other hosts */
    bool admitted;              /* ... and they are on their way, or here */
    struct msg_dispatch *m;     /* with its tail; they lie behind the job */
    struct tbi_bundle *bundle;  /* that it takes its resources of: the node, if it is in none */
    struct tbi_link member;     /* ... in its `members` */
    bool counted;               /* what it asks for is in `needed` */
    unsigned missing;           /* arguments that are not on this host yet */
    uint64_t arrival;           /* in the order in which tasks could first start here; 0: it could not yet */
    bool wanted;                /* a blocked task waits for it, or it is an elder */
    bool elder;                 /* it was let through before deeper ones, see run.c */
    bool aborted;
    bool killed;                /* its process was ordered to be killed: that death is its end */
    struct tbi_proc *proc;      /* that it was given to, or NULL */
    struct tbi_link timer;      /* in `timers`, if it has a limit or is aborted, while it runs */
    uint64_t due_us;            /* ... then */
    bool limited;               /* its limit has begun */
    void *error;                /* packed: an argument could not be had */
    uint32_t error_bytes;
    struct tbi_local_actor *actor; /* a call: of this actor, or NULL if that has ended meanwhile */
    struct tbi_link call;       /* ... in its `calls`; or in the agent's `dropped` */
    bool dropped;               /* nobody waits for its end any more, only for its arguments' copies */
    bool retires;               /* an actor that is being created: it ends then */
};

struct tbi_proc {
    uint32_t proc;
    struct tbi_link link;       /* in `idle`, `busy`, `resuming` or `debtors`; blocked: in none */
    struct tbi_link lender;     /* in `lenders`, if bundles have its task's CPUs */
    struct tbi_job *job;        /* the first of `work`; NULL: idle, or the driver */
    struct tbi_link work;       /* the tasks given to it, in the order in which it runs them */
    unsigned nwork;
    uint64_t offered;           /* tasks given to it so far, in all */
    uint64_t begun;             /* those of lower numbers have begun, or were taken back */
    enum tbi_cpu_state cpus;
    struct tbi_grant grant;     /* of its task; of the last one while it is idle */
    struct tbi_id granted_in;   /* ... which was in this bundle */
    uint64_t since_us;          /* it runs its task, or waits, or is idle, since then */
    bool spoke;                 /* it has sent something */
    bool blocked;               /* it said BLOCK and not yet UNBLOCK */
    bool leaving;               /* its task was interrupted: it runs no other; without one, in no list */
    struct tbi_local_actor *actor; /* that it is; then `job` is the task that created it, `work` its calls,
                                 * and it is in `actors` */
    struct tbi_map callees;     /* actor -> struct tbi_callee */
    struct tbi_link direct;     /* its direct calls without an answer so far */
    struct tbi_map handles;     /* ids it holds at the head, each with how often, as a pointer-sized count;
                                 * executors only */
    struct tbi_map pins;        /* id -> number of views, as a pointer-sized count */
    struct tbi_map open;        /* id -> object it is writing */
    struct tbi_link needs;      /* for objects that are on their way here */
    struct tbi_link rooms;      /* that it waits for, longest first */
};

/* An actor that a process calls. */
struct tbi_callee {
    uint64_t made[TBI_LANES_MAX]; /* calls so far, to each lane */
    bool asked, direct;         /* the head was asked where it lives, and has said so: at `rank` in this life */
    uint32_t epoch;
    unsigned rank;
};

enum tbi_local_state {
    TBI_LOCAL_OPEN,     /* ours: lent to a process that writes it */
    TBI_LOCAL_SEALED,   /* ours: the primary, or a finished copy */
    TBI_LOCAL_ROOM,     /* waits for room for a copy */
    TBI_LOCAL_ASKED,    /* asked its owner, or the head for another one */
    TBI_LOCAL_COPYING,  /* the bytes are on their way */
    TBI_LOCAL_MAPPED    /* in the memory of another rank of this host, under its lease */
};

struct tbi_need {           /* who waits for an object to be usable here */
    struct tbi_link link;   /* in the object's `needs` */
    struct tbi_job *job;    /* or NULL: the process */
    uint32_t proc;
    struct tbi_link of_proc; /* in the process's `needs`, while it lives */
    struct tbi_local *object;
};

struct tbi_local {
    struct tbi_id id;
    enum tbi_local_state state;
    bool announced;         /* OPEN, and the head knows: others may wait for it */
    bool unconfirmed;       /* a task's result, and the head may have decided on another: see on_get */
    bool doomed;            /* freed by the head, still in use */
    bool copy;              /* SEALED: the primary is another rank's */
    struct tbi_link spare;  /* in the agent's list, if it is a copy that nobody uses */
    unsigned rank;          /* whose memory, or whom we asked */
    uint32_t ticket;        /* of our fetch or lease, 0: none */
    uint64_t offset, bytes;
    uint64_t room;          /* what the segment gave, 0: nothing */
    unsigned pins, leases;
    unsigned jobs;          /* admitted jobs that use it as a copy: counted in `admitted_bytes` once */
    struct tbi_link needs;  /* oldest first */
    struct tbi_room *waits; /* ROOM: in this place */
};

/* A create, or a copy, that waits for room. */
struct tbi_room {
    struct tbi_link link;
    struct tbi_link of_proc; /* in its process's `rooms` */
    struct tbi_id id;
    uint64_t bytes, deadline_us;
    uint64_t passed;        /* bytes that were given past it while it was the first */
    uint32_t proc;          /* TBI_PROC_NONE: a copy */
};

struct tbi_births {
    bool fail;              /* the last process that was to be started was not, so far */
    bool wanted;            /* something waits for nothing but a process, and nothing has begun since */
    bool told_of_failure, told_of_limit[2];
    uint64_t since_us;      /* the first of the failures in a row */
    uint64_t pause_us, next_us; /* not before then is it tried again */
    uint64_t told_us;       /* when to say what `wanted` waits for */
};

struct tbi_agent {
    struct tbi_agent_config config;
    struct tbi_port port;
    struct tbi_agent_ops ops;
    uint64_t now_us;
    /* jobs.c, run.c */
    struct tbi_map jobs;        /* by task id */
    struct tbi_queue queue;
    struct tbi_link unadmitted; /* jobs whose copies would leave too little room for results */
    uint64_t admitted_bytes;    /* of the copies that admitted jobs use */
    unsigned admitted;          /* jobs with such copies */
    size_t nready, nready_free; /* nready_free: of them, those that demand no CPU of the node */
    struct tbi_bundle whole;    /* the node */
    struct tbi_map bundles;     /* by id */
    int64_t held_cpus;          /* that bundles have taken */
    int64_t given_cpus;         /* of the node, that tasks have GIVEN or are QUEUED for, but for lenders */
    struct tbi_link lenders, debtors; /* the first lender first; debtors: those that are OWED CPUs */
    tbi_total needed[TBI_RESOURCES_MAX]; /* by bundles, and by all tasks here that are in none, blocked ones too */
    uint64_t arrivals, relieved; /* relieved: how often one that starved has begun, or gone */
    unsigned starving;          /* bundles, the node included, in which a task starves */
    unsigned elders;            /* that have not ended */
    bool kept;                  /* the node is kept for a task of the head's */
    unsigned running, blocked;
    struct tbi_link active;     /* bundles of which tasks run: no more than there are processes */
    struct tbi_link actors;     /* their processes */
    unsigned nactors;
    int64_t lasting[TBI_RESOURCES_MAX]; /* what those of them have that are in no bundle */
    struct tbi_map direct;      /* task -> direct call of a process here, without an answer so far */
    struct tbi_link dropped;    /* calls of actors that have ended, whose copies are under way */
    struct tbi_link timers;     /* running jobs that something is due for, in no order */
    uint64_t timer_us;          /* not later than the first of them */
    /* objects.c */
    struct tbi_segment *segment;
    struct tbi_map objects;
    struct tbi_map tickets;     /* ticket (as an id) -> object */
    struct tbi_link rooms;      /* who waits for room, longest first */
    struct tbi_link spare;      /* copies that nobody uses, longest unused first */
    uint64_t spare_bytes;       /* ... and their room */
    uint32_t next_ticket;
    size_t pins, leases;
    /* procs.c */
    struct tbi_map procs;       /* incarnation (as an id) -> process */
    struct tbi_link idle;       /* most recently used first: its memory is warm */
    uint64_t idle_us;           /* when to look whether there are too many */
    struct tbi_link resumers;   /* bundles with processes that wait to resume */
    struct tbi_link busy;       /* run a task and may be given more; next in turn first */
    uint32_t next_proc;
    unsigned executors;
    uint32_t gives_way;     /* a process that left so that a new one may be started, perhaps not gone yet; 0: none */
    /* births.c */
    struct tbi_births births;
};

static inline const struct msg_located *tbi_job_arguments(const struct tbi_job *job)
{
    return (const struct msg_located *)(job->m + 1);
}

static inline struct tbi_demand tbi_job_demand(const struct tbi_job *job)
{
    return (struct tbi_demand){job->m->cpus, job->m->nmore, tbi_dispatch_more(job->m)};
}

static inline bool tbi_job_is_fresh(const struct tbi_job *job)
{
    return job->m->flags & TBI_DISPATCH_FRESH;
}

static inline bool tbi_job_is_call(const struct tbi_job *job)
{
    return job->m->flags & TBI_DISPATCH_CALL;
}

static inline struct tbi_id tbi_small_id(uint64_t number)
{
    return (struct tbi_id){0, number + 1};
}

/* Need it not wait for CPUs of the node? */
static inline bool tbi_job_needs_no_cpus(const struct tbi_agent *agent, const struct tbi_job *job)
{
    return job->m->cpus == 0 || job->bundle != &agent->whole;
}

/* bundles.c */
/* The bundle of this id, NULL: the node; NULL if there is none that takes tasks. */
struct tbi_bundle *tbi_bundles_find(struct tbi_agent *agent, const struct tbi_id *id);
const char *tbi_bundles_reserve(struct tbi_agent *agent, const struct msg_reserve *m);
const char *tbi_bundles_unreserve(struct tbi_agent *agent, struct tbi_id id);
/* Could a task in it ever have that? Labels are the node's. */
bool tbi_bundles_feasible(const struct tbi_agent *agent, const struct tbi_bundle *bundle,
                          const struct tbi_demand *demand);
/* A new task is of this bundle; it has ended. */
void tbi_bundles_enter(struct tbi_bundle *bundle, struct tbi_job *job);
void tbi_bundles_leave(struct tbi_agent *agent, struct tbi_job *job);
/* It may run here one day: nothing is set aside that it could miss then. */
void tbi_bundles_count(struct tbi_agent *agent, struct tbi_job *job);
/* The job needs no CPUs any more. */
void tbi_bundles_need_no_cpus(struct tbi_agent *agent, struct tbi_job *job);
void tbi_bundles_destroy(struct tbi_agent *agent); /* those that are left */
/* What a task in a doomed bundle fails with: code and text; where it ran stays. */
void tbi_bundles_removed(struct tbi_error_link *link);
/* The core, or GPU, of the node that a place among the bundle's stands for. */
uint16_t tbi_bundles_core(const struct tbi_bundle *bundle, uint16_t place);
uint16_t tbi_bundles_gpu(const struct tbi_bundle *bundle, uint16_t place);
const char *tbi_bundles_check(const struct tbi_agent *agent);

/* lending.c */
/* The head knows that these tasks are blocked, or were a moment ago: those that have blocked anew need not wait for
 * its answer, since it would not ask again when that has come. */
void tbi_lending_note_blocked(struct tbi_agent *agent, const struct tbi_id *tasks, unsigned n);
/* A bundle needs so many CPUs more than tasks leave it. Some of these n tasks lend them to it; false: they have not
 * so many, and nothing is changed. */
bool tbi_lending_begin(struct tbi_agent *agent, const struct tbi_id *tasks, unsigned n, tbi_total missing);
/* A lender is not blocked any more, and goes on at once; it is blocked again. */
void tbi_lending_owe(struct tbi_agent *agent, struct tbi_proc *proc);
void tbi_lending_block(struct tbi_proc *proc);
/* Its task ends, or needs no CPUs any more, and is not OWED any. */
void tbi_lending_end(struct tbi_agent *agent, struct tbi_proc *proc);
/* What CPUs there are, and nobody wants back, lenders have again. */
void tbi_lending_settle(struct tbi_agent *agent);
/* Has the task lent its CPUs? Then nothing is left to it. */
static inline bool tbi_lending_is_lender(const struct tbi_job *job)
{
    return job->proc != NULL && job->proc->job == job && tbi_list_linked(&job->proc->lender);
}
const char *tbi_lending_check(const struct tbi_agent *agent);

/* jobs.c */
const char *tbi_jobs_dispatch(struct tbi_agent *agent, const struct tbi_record *record);
void tbi_jobs_argument_here(struct tbi_agent *agent, struct tbi_job *job);
void tbi_jobs_argument_failed(struct tbi_agent *agent, struct tbi_job *job, struct tbi_id id,
                              const void *error, uint32_t bytes);
/* A job that no executor has fails, at the latest when its arguments are here. `crashed`: for want of
 * a process. */
void tbi_jobs_fail(struct tbi_agent *agent, struct tbi_job *job, const struct tbi_error_link *why,
                   bool crashed);
void tbi_jobs_want(struct tbi_agent *agent, struct tbi_id task);
/* It is ready, has not begun and is no job of this agent any more. */
void tbi_jobs_remove(struct tbi_agent *agent, struct tbi_job *job);
/* In no list any more, it ends: its arguments are unpinned. */
void tbi_jobs_forget(struct tbi_agent *agent, struct tbi_job *job);
/* In among those that may start, behind those of its depth or back in front; and out of them. */
void tbi_jobs_put_in(struct tbi_agent *agent, struct tbi_job *job, bool in_front);
void tbi_jobs_take_out(struct tbi_agent *agent, struct tbi_job *job);

/* A call whose arguments are still under way ends without a word. */
void tbi_jobs_drop(struct tbi_agent *agent, struct tbi_job *job);
/* It needs its arguments no longer, though it goes on. */
void tbi_jobs_give_arguments_back(struct tbi_agent *agent, struct tbi_job *job);

/* calls.c */
/* NULL, or why not. Its process has CONSTRUCTED it. */
const char *tbi_calls_construct(struct tbi_agent *agent, struct tbi_proc *proc,
                                 const struct msg_done *m);
/* The actor that the call is for, if it lives here in that life and takes calls; else NULL. */
struct tbi_local_actor *tbi_calls_of_call(const struct tbi_agent *agent,
                                           const struct msg_dispatch *m);
/* It has come. Returns whether it has been stopped before. */
bool tbi_calls_enter(struct tbi_local_actor *actor, struct tbi_job *call);
void tbi_calls_ready(struct tbi_agent *agent, struct tbi_job *call); /* its arguments are here */
/* Out of its caller's order, or its lane. Its number is used up. */
void tbi_calls_take_out(struct tbi_agent *agent, struct tbi_job *call);
/* The call that its process says something of, or NULL. */
struct tbi_job *tbi_calls_running(const struct tbi_proc *proc, struct tbi_id task);
void tbi_calls_done(struct tbi_agent *agent, struct tbi_job *call, bool exits);
/* Calls that were not begun go back into their lanes. Returns the number of the first of them. */
uint64_t tbi_calls_take_back(struct tbi_agent *agent, struct tbi_proc *proc);
/* A direct call is not wanted any more. */
void tbi_calls_stop(struct tbi_agent *agent, const struct msg_stop *m);
void tbi_calls_skip(struct tbi_agent *agent, const struct msg_skip *m);
void tbi_calls_caller_gone(struct tbi_agent *agent, const struct msg_caller *m);
void tbi_calls_retire(struct tbi_agent *agent, const struct msg_task *m);
/* Its process has died: calls that were begun have crashed, the others are dropped. Returns whether it had
 * been told to end. */
bool tbi_calls_died(struct tbi_agent *agent, struct tbi_proc *proc, const struct tbi_error_link *why);
void tbi_calls_free(struct tbi_agent *agent, struct tbi_proc *proc);
void tbi_calls_feed(struct tbi_agent *agent, struct tbi_proc *proc); /* what was taken back goes on */
const char *tbi_calls_check_calls(const struct tbi_agent *agent, const struct tbi_proc *proc);

/* idle.c */
void tbi_idle_enter(struct tbi_agent *agent, struct tbi_proc *proc); /* it has no task, and is in no list */
void tbi_idle_tick(struct tbi_agent *agent);
void tbi_idle_give_way(struct tbi_agent *agent); /* one leaves for a new process, unless one does so already */

/* direct.c */
/* A process makes a call: it is numbered, and sent if it may go directly. `sent` is the same on its way to the
 * head, to be filled in at once. */
void tbi_direct_submit(struct tbi_agent *agent, struct tbi_proc *proc, const struct msg_submit *m,
                       struct msg_submit *sent);
void tbi_direct_where(struct tbi_agent *agent, const struct msg_where *m);
/* The process wants to know of a direct call of its own: it will be told. */
bool tbi_direct_get(struct tbi_agent *agent, const struct tbi_proc *proc, const struct msg_get *m);
/* It does not any more. False: it is no such call. */
bool tbi_direct_forget(struct tbi_agent *agent, const struct tbi_proc *proc, struct tbi_id id);
void tbi_direct_taken_over(struct tbi_agent *agent, struct tbi_id task);
const char *tbi_direct_answer(struct tbi_agent *agent, const struct msg_done *m);
void tbi_direct_forget_proc(struct tbi_agent *agent, struct tbi_proc *proc);
void tbi_direct_fini(struct tbi_agent *agent);
/* A call has ended here: its caller is told, if it came directly. `size`: of `done` with its tail. */
void tbi_direct_done(struct tbi_agent *agent, const struct tbi_job *call, const struct msg_done *done,
                     size_t size);
void tbi_direct_ask_the_head(struct tbi_agent *agent, const struct tbi_job *call);

/* queue.c */
void tbi_queue_init(struct tbi_queue *queue);
void tbi_queue_fini(struct tbi_queue *queue); /* the jobs are gone */
void tbi_queue_forget(struct tbi_queue *queue, const struct tbi_bundle *bundle); /* one that nothing waits in goes */
void tbi_queue_put(struct tbi_agent *agent, struct tbi_job *job, bool in_front);
void tbi_queue_take(struct tbi_agent *agent, struct tbi_job *job);
/* The kind with the best task; with those that need CPUs of the node, and those that create no actors? NULL: none. */
struct tbi_job_kind *tbi_queue_first(const struct tbi_agent *agent, bool with_cpus, bool tasks);
/* All kinds with tasks, in no order: start with *at = 0; false at the end. */
bool tbi_queue_next(const struct tbi_agent *agent, size_t *at, struct tbi_job_kind **kind);
/* The kind is not found first any more, until those in `aside` are brought back. */
void tbi_queue_set_aside(struct tbi_agent *agent, struct tbi_job_kind *kind, struct tbi_link *aside);
void tbi_queue_bring_back(struct tbi_agent *agent, struct tbi_link *aside);
/* Does anything wait that is deeper, or wanted? */
bool tbi_queue_waits(const struct tbi_agent *agent, unsigned depth);
struct tbi_job *tbi_kind_best(const struct tbi_job_kind *kind);
struct tbi_job *tbi_kind_oldest(const struct tbi_job_kind *kind);
/* The task, which may start, is wanted from now on. */
void tbi_queue_raise(struct tbi_agent *agent, struct tbi_job *job);
const char *tbi_queue_check(const struct tbi_agent *agent);

/* run.c */
void tbi_run_start(struct tbi_agent *agent);   /* start and resume what fits */
void tbi_run_send(struct tbi_agent *agent, struct tbi_proc *proc, const struct tbi_job *job);
/* Its task has given its CPUs away, or does not want them back any more (-1). */
void tbi_run_count_given(struct tbi_agent *agent, const struct tbi_proc *proc, int sign);
/* Its task is over: it goes on with the next one it has, or is idle. */
void tbi_run_end(struct tbi_agent *agent, struct tbi_proc *proc);
/* The process can begin none of its tasks from now on. Returns the number of the first that it has not begun. */
uint64_t tbi_run_claim_back(struct tbi_agent *agent, struct tbi_proc *proc);
/* What it has not begun goes back into the queue. Returns whether it has begun anything, ever. */
bool tbi_run_take_back(struct tbi_agent *agent, struct tbi_proc *proc);
/* Is a task ready whose demand is free? */
bool tbi_run_wants_process(const struct tbi_agent *agent);
/* The best kind of the bundle that could begin if nobody resumed: of those for which there are CPUs now, or else if all CPUs
 * were free. It needs some. NULL: none. */
struct tbi_job_kind *tbi_run_next_in(const struct tbi_agent *agent, const struct tbi_bundle *bundle);
void tbi_run_begin_best(struct tbi_agent *agent, struct tbi_job_kind *kind); /* of such a kind, for which there are CPUs */
/* The places of the node that those in the grant stand for. */
void tbi_run_write_places(uint16_t *to, const struct tbi_bundle *bundle, const struct tbi_grant *grant, unsigned ngpus);
const char *tbi_run_check(const struct tbi_agent *agent); /* after tbi_run_start */

/* resume.c */
void tbi_resume_queue(struct tbi_agent *agent, struct tbi_proc *proc); /* it waits for its CPUs from now on */
void tbi_resume_what_fits(struct tbi_agent *agent);
/* A process that waited goes on with its CPUs. */
void tbi_resume_go_on(struct tbi_agent *agent, struct tbi_proc *proc);
/* It goes on; the head is told that its task has its CPUs again. */
void tbi_resume_send(struct tbi_agent *agent, const struct tbi_proc *proc);
void tbi_resume_send_unblocked(struct tbi_agent *agent, const struct tbi_proc *proc);
uint64_t tbi_resume_deadline(const struct tbi_agent *agent);
const char *tbi_resume_check(const struct tbi_agent *agent);

/* births.c */
bool tbi_births_are_too_many(const struct tbi_agent *agent, bool for_actor); /* there are as many as there may be */
bool tbi_births_may(const struct tbi_agent *agent, bool for_actor);
void tbi_births_end(struct tbi_agent *agent);    /* after all that could begin has begun */
void tbi_births_begun(struct tbi_agent *agent);  /* one is being started */
void tbi_births_spoke(struct tbi_agent *agent, struct tbi_proc *proc); /* for the first time: it lives */
void tbi_births_wanted(struct tbi_agent *agent); /* a task waits for nothing but a process */
void tbi_births_tick(struct tbi_agent *agent);
uint64_t tbi_births_deadline(const struct tbi_agent *agent);

/* nested.c */
/* May a task that this process's task submits stay here? Then the job is made by _take, and the head
 * must be told before it can end. */
bool tbi_nested_may_stay(const struct tbi_agent *agent, const struct tbi_proc *proc,
                         const struct msg_submit *m);
void tbi_nested_take(struct tbi_agent *agent, const struct msg_submit *m);

/* takeback.c: gives tasks back and says which. NULL, or why not. */
const char *tbi_takeback(struct tbi_agent *agent, const struct msg_take_back *m);
/* A task that is ready, but would have to wait until an actor ends, is told to the head as given back: then it
 * is to be removed. And all of those. */
bool tbi_takeback_unasked(struct tbi_agent *agent, struct tbi_job *job);
void tbi_takeback_beside_actors(struct tbi_agent *agent);

/* abort.c */
void tbi_abort_job(struct tbi_agent *agent, const struct msg_abort *m);
void tbi_abort_by_force(struct tbi_agent *agent, struct tbi_job *job); /* one that runs */
void tbi_abort_begin_limit(struct tbi_agent *agent, struct tbi_job *job); /* it begins to run */
void tbi_abort_tick(struct tbi_agent *agent);

/* objects.c */
struct tbi_local *tbi_objects_find(const struct tbi_agent *agent, struct tbi_id id);
bool tbi_objects_usable(const struct tbi_local *object);
/* See to it that the object is usable here; then `need` is told. `at` says who has it. */
void tbi_objects_need(struct tbi_agent *agent, const struct msg_located *at, struct tbi_need need);
void tbi_objects_pin(struct tbi_agent *agent, struct tbi_local *object);
void tbi_objects_unpin(struct tbi_agent *agent, struct tbi_local *object);
void tbi_objects_create(struct tbi_agent *agent, struct tbi_proc *proc,
                        const struct msg_create *m);
void tbi_objects_abandon(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id id);
/* NULL, or why not. */
const char *tbi_objects_seal(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id id,
                             uint64_t bytes);
void tbi_objects_on_free(struct tbi_agent *agent, struct tbi_id id);
void tbi_objects_on_fetch(struct tbi_agent *agent, unsigned rank, const struct msg_fetch *m);
const char *tbi_objects_on_fetched(struct tbi_agent *agent, const struct msg_fetched *m);
/* The head's answer about an object that a job or a copy under way asked for anew. */
void tbi_objects_on_located(struct tbi_agent *agent, const struct msg_located *m);
const char *tbi_objects_on_fetch_done(struct tbi_agent *agent, const struct msg_fetch_end *m);
/* The process ends: it waits for none any more. */
void tbi_objects_forget_needs(struct tbi_agent *agent, struct tbi_proc *proc);
void tbi_objects_forget_need(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id id); /* of one object */
/* Who waited for room gets it, or does not; the entry is its caller's to free. */
void tbi_objects_give_room(struct tbi_agent *agent, const struct tbi_room *room, const struct tbi_extent *extent);
void tbi_objects_refuse_room(struct tbi_agent *agent, const struct tbi_room *room);
void tbi_objects_evict(struct tbi_agent *agent, struct tbi_local *copy); /* one that nobody uses */

/* rooms.c */
const struct tbi_room *tbi_rooms_of(const struct tbi_proc *proc); /* the first it waits for, or NULL */
/* Room at once, unless others must come first; false: none. */
bool tbi_rooms_take(struct tbi_agent *agent, uint64_t bytes, struct tbi_extent *extent);
/* `proc` NULL: for a copy. */
struct tbi_room *tbi_rooms_wait(struct tbi_agent *agent, struct tbi_id id, uint64_t bytes, struct tbi_proc *proc);
void tbi_rooms_serve(struct tbi_agent *agent); /* something was freed */
/* The create of this process that waits for room, or with TBI_PROC_NONE the copy. NULL: none. */
struct tbi_room *tbi_rooms_find(const struct tbi_proc *proc, struct tbi_id id);
void tbi_rooms_end(struct tbi_agent *agent, struct tbi_room *room); /* it is not wanted: it is refused */
void tbi_rooms_end_task(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id task); /* so are this task's */
void tbi_rooms_forget(struct tbi_proc *proc); /* the process ends */
void tbi_rooms_forget_copy(struct tbi_local *object);
/* Who has waited for room too long is refused. */
void tbi_rooms_tick(struct tbi_agent *agent);
uint64_t tbi_rooms_deadline(const struct tbi_agent *agent);
/* A copy is used by nobody; an object is used. */
void tbi_rooms_spare(struct tbi_agent *agent, struct tbi_local *copy);
void tbi_rooms_unspare(struct tbi_agent *agent, struct tbi_local *object);
void tbi_rooms_destroy(struct tbi_agent *agent);
const char *tbi_rooms_check(const struct tbi_agent *agent);

/* procs.c */
/* The head has counted one hold more for it. */
void tbi_procs_add_hold(struct tbi_proc *proc, struct tbi_id id);
struct msg_done *tbi_procs_send_failure(struct tbi_agent *agent, uint32_t proc, struct tbi_id task,
                                        uint32_t attempt, const struct tbi_error_link *link,
                                        bool crashed);
struct tbi_proc *tbi_procs_find(const struct tbi_agent *agent, uint32_t proc);
struct tbi_proc *tbi_procs_add(struct tbi_agent *agent, uint32_t proc);
void tbi_procs_free(struct tbi_agent *agent, struct tbi_proc *proc);
/* It has begun this task. */
void tbi_procs_note_begun(struct tbi_proc *proc, const struct tbi_job *job);
/* Tell a process that an object is usable, pinning it for it; nothing if it is gone. */
void tbi_procs_tell(struct tbi_agent *agent, uint32_t proc, struct tbi_local *object);
/* Its task is blocked, which the head has been told. */
void tbi_procs_give_cpus_away(struct tbi_agent *agent, struct tbi_proc *proc);
const char *tbi_procs_handle(struct tbi_agent *agent, const struct tbi_record *record);

#endif
