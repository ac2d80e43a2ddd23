/* fault.h - faults on demand: TB_FAULT=point:n[,point:n...] lets the n-th passing of a named point go
 * wrong, so that tests reach the interleavings that chance would not.
 *
 *   point:n    the n-th time that the rank passes the point, all its processes counted together
 *   point:n+   every n-th time
 *   point:n%   that share of the times, by chance: the same for the same seed:k
 *   point:0    never; only counts
 *
 * The points are one table. From it come the enum, the parser, the texts of its errors and
 * doc/faults.md. A point is named after what the process is about to do. To add one: a row here, and
 * tbi_fault or tbi_fault_point where it happens; tests/faults/points.sh tries it from then on.
 *
 * What is counted lies on a board in memory that a rank shares with its zygote and executors. Armed
 * before the zygote is forked, all of them know the plan. Each process asks only for points of its
 * kind: the driver and the ranks are never killed. Where nothing is armed, a point costs a load and a
 * branch. Any thread. */
#ifndef TBI_FAULT_H
#define TBI_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* KILL: an executor is killed that is about to do this. END, in executors alone, FAIL and DELAY: what
 * happens.
 *    point         name         effect what */
#define TBI_FAULTS(X)                                                                              \
    X(START,        start,       KILL,  "serve; it is new and has read nothing")                   \
    X(IDLE,         idle,        KILL,  "wait for its next task; all is told")                     \
    X(CLAIM,        claim,       KILL,  "claim a task that it was given")                          \
    X(BEGIN,        begin,       KILL,  "call the function of a task that it claimed")             \
    X(RETURN,       return,      KILL,  "tell the end of a task whose function returned")          \
    X(RECORD,       record,      KILL,  "write the second half of what it has to tell")            \
    X(BELL,         bell,        KILL,  "ring for its agent; all is written")                      \
    X(SUBMIT,       submit,      KILL,  "submit a task; large arguments are stored")               \
    X(GET,          get,         KILL,  "ask for an object")                                       \
    X(READ,         read,        KILL,  "read an object that is pinned for it")                    \
    X(BLOCK,        block,       KILL,  "say that its task is blocked")                            \
    X(WAIT,         wait,        KILL,  "wait, blocked; that is told")                             \
    X(RESUME,       resume,      KILL,  "wait for its CPUs; what it waited for is there")          \
    X(PUT,          put,         KILL,  "send a small object")                                     \
    X(CREATE,       create,      KILL,  "ask for room in the store")                               \
    X(ROOM,         room,        KILL,  "write into room that it was lent")                        \
    X(SEAL,         seal,        KILL,  "seal what it has written")                                \
    X(HOLD,         hold,        KILL,  "say that it holds a ref")                                 \
    X(RELEASE,      release,     KILL,  "say that it holds a ref no more")                         \
    X(CONSTRUCT,    construct,   KILL,  "call the constructor of an actor, or restore it")         \
    X(CHECKPOINT,   checkpoint,  KILL,  "say which object is its actor's checkpoint")              \
    X(LEAVE,        leave,       KILL,  "end its actor in order; it was told to")                  \
    X(ALLOC,        alloc,       END,   "an allocation for bookkeeping fails; the process ends")         \
    X(FORK,         fork,        FAIL,  "the fork of an executor fails with EAGAIN")               \
    X(POPULATE,     populate,    FAIL,  "getting memory for an object fails: STORE_FULL")          \
    X(WRITE,        write,       FAIL,  "a write of what tasks print fails: that is lost")         \
    X(FRAME_DELAY,  frame_delay, DELAY, "what goes to other ranks is held back, up to n microseconds")

#define TBI_FAULT_ENUM(point, name, effect, what) TBI_FAULT_##point,
enum tbi_fault { TBI_FAULTS(TBI_FAULT_ENUM) TBI_FAULT_COUNT };
#undef TBI_FAULT_ENUM

struct tbi_fault_rule {
    uint64_t n;
    char how;   /* 0 nothing is planned, '=' once, '+' every n-th time, '%' by chance */
};
struct tbi_fault_plan {
    uint64_t seed;
    struct tbi_fault_rule rule[TBI_FAULT_COUNT];
};

/* Shared by the processes of a rank; starts zeroed. */
struct tbi_fault_board {
    _Atomic bool silent;    /* nothing fires; what is passed is counted all the same */
    _Atomic uint64_t passed[TBI_FAULT_COUNT], fired[TBI_FAULT_COUNT];
};

/* Reads a plan; an empty text plans nothing. False: `why` names what is wrong and what is possible. */
bool tbi_fault_parse(const char *text, struct tbi_fault_plan *plan, char *why, size_t size);

/* In a rank, before it forks its zygote. The plan is copied, the board must outlive all. */
void tbi_fault_arm(const struct tbi_fault_plan *plan, struct tbi_fault_board *board);
/* In an executor: from now on the points of executors count too. */
void tbi_fault_arm_executor(void);
/* In a rank, before the board goes. */
void tbi_fault_disarm(void);

/* The board, or NULL: for tests that look at it, or want silence for a while. */
struct tbi_fault_board *tbi_fault_board(void);

/* One line for each planned point: how often it was passed, and how often it fired. */
void tbi_fault_report(unsigned rank, FILE *to);
/* The table as Markdown: doc/faults.md is this. */
void tbi_fault_document(FILE *to);

/* ---- at the points ---- */

extern _Atomic uint32_t tbi_fault_armed; /* a bit for each point that is planned in this process */

bool tbi_fault_due(enum tbi_fault point);
_Noreturn void tbi_fault_die(void);
/* Up to the planned number of microseconds. */
uint64_t tbi_fault_delay_us(void);

static inline bool tbi_fault_is_armed(enum tbi_fault point)
{
    return (atomic_load_explicit(&tbi_fault_armed, memory_order_relaxed) >> point & 1) != 0;
}
/* Counts; true: it is to go wrong. */
static inline bool tbi_fault(enum tbi_fault point)
{
    return __builtin_expect(tbi_fault_is_armed(point), 0) && tbi_fault_due(point);
}
/* The executor may end here. */
static inline void tbi_fault_point(enum tbi_fault point)
{
    if (tbi_fault(point))
        tbi_fault_die();
}

#endif
