/* loop_parts.h - what the parts of a rank's event loop share: loop.c makes the turns, loop_records.c carries records to
 * and from those they are for, loop_output.c carries what tasks print, loop_end.c brings the loop to its end. */
#ifndef TBI_LOOP_PARTS_H
#define TBI_LOOP_PARTS_H

#include "node/loop.h"
#include "node/roll_call.h"
#include "node/terminal.h"

struct tbi_loop {
    struct tbi_loop_config config;
    struct tbi_agent *agent;
    struct tbi_sched *sched;
    struct tbi_pool *pool;
    struct tbi_outbox to_head, to_agent, to_driver; /* between parties of this rank */
    struct tbi_outbox taken;                        /* a queue while its records are handled */
    uint64_t now_us;
    bool sched_dirty;       /* the head has handled something since its last pass */
    bool delivered;         /* to the driver, in this turn */
    bool unsent;            /* something is still on its way out */
    uint64_t sleep_us, moved_us;
    uint64_t unwritten;     /* bytes of our output that rank 0 did not say are written */
    struct tbi_terminal *terminal;                  /* on rank 0 */
    uint64_t *owed;                                 /* a rank: bytes it was not told of yet */
    bool owes;                                      /* some of that is due */
    uint64_t watch_us, watch_every_us;              /* when to look after the others next */
    uint64_t look_us;                               /* when to look at all slots next */
    uint64_t beat_us;                               /* when to send beats next, if a turn lasts so long */
    unsigned handled;                               /* records */
    bool stopping, killed, ended;
    bool settling;          /* stopping, but records are still handled: see tbi_loop_shutdown */
    uint64_t stop_deadline_us, print_deadline_us;
    unsigned byes;
    uint64_t reported_us;   /* when this rank, not 0, last said what it waits for */
    struct tbi_roll_call roll_call;                 /* on rank 0 */
};

/* loop.c */
void tbi_loop_on_report(struct tbi_loop *loop);

/* loop_records.c: */
/* the ports of agent and head; ctx is the loop */
void *tbi_loop_from_agent(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size);
void *tbi_loop_from_head(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size);
struct tbi_agent_ops tbi_loop_agent_ops(struct tbi_loop *loop);
/* what executors say, and what is told of them */
const char *tbi_loop_of_executor(void *ctx, const struct tbi_record *record);
void tbi_loop_executor_doomed(void *ctx, uint32_t proc);
void tbi_loop_executor_died(void *ctx, uint32_t proc, const struct tbi_error_link *cause, bool said);
void tbi_loop_executor_unborn(void *ctx, uint32_t proc, const struct tbi_error_link *cause);
/* what other ranks say, and the end of a copy */
void tbi_loop_of_rank(void *ctx, unsigned rank, const struct tbi_record *record);
void tbi_loop_on_copied(void *ctx, uint32_t ticket, bool ok);
/* records that wait between parties of this rank; true: there were some */
bool tbi_loop_serve(struct tbi_loop *loop, struct tbi_outbox *queue);
bool tbi_loop_serve_driver(struct tbi_loop *loop);
bool tbi_loop_deliver_to_driver(struct tbi_loop *loop);

/* loop_output.c */
bool tbi_loop_may_print(void *ctx);
void tbi_loop_of_printing(void *ctx, const struct tbi_record *record);
void tbi_loop_on_written(struct tbi_loop *loop, const struct msg_written *m);
void tbi_loop_on_output(struct tbi_loop *loop, unsigned rank, const struct msg_output *m);
bool tbi_loop_can_pay(const struct tbi_loop *loop);
bool tbi_loop_pay(struct tbi_loop *loop);

/* loop_end.c */
bool tbi_loop_is_deaf(const struct tbi_loop *loop);
void tbi_loop_begin_to_stop(struct tbi_loop *loop, bool settles);
void tbi_loop_check_stop(struct tbi_loop *loop);

#endif
