/* world_parts.h - what the files of the world share: random choices, and what processes send and hold. */
#ifndef TB_WORLD_PARTS_H
#define TB_WORLD_PARTS_H

#include "world.h"
#include "util/alloc.h"

#define TRY(call)                                                                                  \
    do {                                                                                           \
        const char *why_ = (call);                                                                 \
        if (why_ != NULL)                                                                          \
            return why_;                                                                           \
    } while (0)

static inline unsigned pick(struct world *w, unsigned n)
{
    return (unsigned)(unit_random(&w->random) % n);
}

/* What may change their state is called through these, so that the loop knows whose books to check. */
static inline struct tbi_sched *head_of(struct world *w)
{
    w->head_touched = true;
    return w->sched;
}

static inline struct tbi_agent *agent_of(struct world *w, unsigned rank)
{
    w->agent_touched[rank] = true;
    return w->agent[rank];
}

static inline void send_object(struct proc *p, enum tbi_msg type, struct tbi_id id)
{
    ((struct msg_object *)tbi_outbox_append(&p->out, type, p->number, sizeof(struct msg_object)))
        ->id = id;
}

static inline struct tbi_id new_id(struct proc *p)
{
    return tbi_id_make(1, p->rank, p->number, ++p->counter, 0);
}

static inline void add_handle(struct proc *p, struct tbi_id id, bool borrowed)
{
    p->handle[p->nhandles++] = (struct handle){id, borrowed, false};
}

/* In some worlds it asks for a new process, now and then. */
static inline void world_may_be_fresh(struct world *w, struct msg_submit *m)
{
    if (!w->picky || pick(w, 4) != 0)
        return;
    m->fresh = 1;
    tbi_map_put(&w->fresh, m->task, w);
}

/* A ref it has, of an object that is to be ready some day; null: it has none. */
static inline struct tbi_id some_ref(struct world *w, const struct proc *p)
{
    unsigned at = p->nhandles > 0 ? pick(w, p->nhandles) : 0;

    for (unsigned i = 0; i < p->nhandles; i++, at = (at + 1) % p->nhandles)
        if (!p->handle[at].actor)
            return p->handle[at].id;
    return (struct tbi_id){0};
}

/* ---- world.c ---- */

/* Of a rank, process or copy `a`; BETWEEN: from rank a to rank b. */
struct event {
    enum { HEAD, AGENT, BETWEEN, COPY, PROC_IN, PROC_OUT, FLUSH, BEGIN, ACT, KILL, LEAVE, UNBORN, TIME, SEND,
           ARRIVE } kind;
    unsigned a, b;
};

/* The world of this seed before anything happens; of `nranks` ranks, 0: of as many as the seed says. */
void world_create(struct world *w, uint64_t seed, unsigned nranks);
const char *world_to_the_end(struct world *w);
/* The first record in the box, ours to free. NULL, or what is wrong with it. */
const char *world_take_first(struct tbi_outbox *box, struct tbi_record **record);
/* The agent of `rank` handles the first record of `from`'s. NULL, or what is wrong. */
const char *world_agent_takes(struct world *w, unsigned rank, unsigned from, struct tbi_outbox *box);
/* Somebody was told this of the object: a code, or 0. NULL, or whom it contradicts. */
const char *world_note_outcome(struct world *w, struct tbi_id id, int code);

/* ---- world_procs.c ---- */

/* What a process has sent goes into its ring as far as there is room; the rest is lost if it dies. */
void world_flush(struct world *w, struct proc *p);
bool world_is_behind(const struct proc *p); /* some had no room */
/* Its agent takes the first record out of its ring. NULL, or what is wrong. */
const char *world_read_ring(struct world *w, struct proc *p);
void world_send_get(struct proc *p, struct tbi_id id, uint32_t flags);
void world_send_cancel(struct proc *p, struct tbi_id id, uint32_t flags);
void world_drop_handle(struct proc *p, unsigned i);
void world_wait(struct proc *p, struct tbi_id id);
/* Has it used up its credit? Then it waits for more from now on. */
bool world_starves(struct world *w, struct proc *p);
/* Where processes are few, what was sent to a node may not begin, and the head cannot see that a process which waits
 * for credit keeps it from beginning: then that goes on by itself after a while; so does one that keeps GPUs which what was
 * sent needs. False: none does. */
bool world_go_on_without_credit(struct world *w);
/* It has submitted this. */
void world_use_credit(struct proc *p, const struct msg_submit *m);
void world_end_task(struct world *w, struct proc *p);
/* It begins the next task it was sent; takes in a record; does a step of the task it runs. */
const char *world_next_task(struct world *w, struct proc *p);
const char *world_proc_takes(struct world *w, struct proc *p);
bool world_can_act(const struct proc *p);
void world_act(struct world *w, struct proc *p);
const char *world_kill_proc(struct world *w, struct proc *p);

/* ---- world_net.c ---- */

/* Records travel in frames of so many bytes at most, and each rank promises so many units in all. */
void world_net_create(struct world *w, size_t frame, unsigned total);
void world_net_free(struct world *w);
/* Where what a sends to b goes: the way to b, or where it arrives if there are no frames. */
struct tbi_outbox *world_net_box(struct world *w, unsigned a, unsigned b, struct tbi_outbox *arrived);
size_t world_net_waiting(const struct world *w, unsigned a, unsigned b);
bool world_net_can_send(const struct world *w, unsigned a, unsigned b);
bool world_net_can_arrive(const struct world *w, unsigned a, unsigned b);
/* One frame. NULL, or what is wrong. */
const char *world_net_send(struct world *w, unsigned a, unsigned b);
const char *world_net_arrive(struct world *w, unsigned a, unsigned b);
/* Nothing moves any more. NULL, or what waits. */
const char *world_net_is_empty(const struct world *w);

/* ---- world_books.c ---- */

/* Nothing moves any more: does head or agent have anything on record for a process that has ended, or for what nobody
 * waits for any more? */
const char *world_books_are_clean(struct world *w);

/* ... does a task wait for a group, which may have the CPUs of those that wait for groups? */
const char *world_no_task_waits_for_itself(struct world *w);

/* ---- world_turns.c ---- */

/* The agent sends RUN or RESUME to that process. */
void world_note_turn(struct world *w, unsigned rank, enum tbi_msg type, uint32_t number);
/* Nothing moves: does nobody resume there, for one that may begin? */
void world_note_hold(struct world *w, unsigned rank);

/* ---- world_races.c ---- */

/* Before each event: is it time for what races? */
const char *world_disturb(struct world *w);
/* In a race the process has done what it does there; false: it does as in other worlds. */
bool world_race_act(struct world *w, struct proc *p);
/* How often others have their chance when it is this event's turn. */
unsigned world_race_slowness(const struct world *w, const struct event *e);
/* A process has heard what became of an object. NULL, or what is wrong with that. */
const char *world_race_heard(struct world *w, struct proc *p, struct tbi_id id, int code);

/* ---- world_actors.c ---- */

bool world_is_actor(const struct world *w, struct tbi_id id);
void world_note_actor(struct world *w, struct tbi_id id);
void world_note_call(struct world *w, const struct proc *p, struct tbi_id task, const struct msg_call *terms);
void world_do_actor(struct world *w, struct proc *p);
bool world_do_call(struct world *w, struct proc *p); /* false: it has no actor to call */
void world_do_kill(struct world *w, struct proc *p);
void world_do_find(struct world *w, struct proc *p);
void world_do_checkpoint(struct world *w, struct proc *p);
void world_found(struct world *w, struct proc *p, const struct msg_found *m);
/* NULL, or why the call must not begin now. */
const char *world_call_begins(struct world *w, const struct proc *p, const struct msg_run *m);
/* The agent is going to hear of this end: of a call, or of another task. */
void world_call_done(struct world *w, struct tbi_id task);
/* The driver kills every actor there is; true: there were some. */
bool world_kill_all(struct world *w);
/* Nothing moves any more: does a call wait at an actor that does nothing? */
const char *world_calls_go_on(struct world *w);
/* ... or a task beside actors, for what they keep? */
const char *world_tasks_go_on(struct world *w);
/* ... or a group, where nothing is in its way? */
const char *world_groups_go_on(struct world *w);
/* The head hears that a task, or actor, has ended. NULL, or why it cannot have. */
const char *world_finished(struct world *w, const struct msg_done *m);
void world_actors_free(struct world *w);

#endif
