#include "node/loop_parts.h"
#include "node/remains.h"

enum { SETTLE_US = 5000000 }; /* for the last records to arrive; only what leaks takes that long */
enum {
    STOP_IDLE_US = 1000000, STOP_BUSY_US = 100000, /* for executors to leave by themselves */
    STOP_KILL_US = 1000000                         /* and to be gone when they are killed */
};

/* What comes when the job is over concerns nobody any more. */
bool tbi_loop_is_deaf(const struct tbi_loop *loop)
{
    return loop->stopping && !loop->settling;
}

void tbi_loop_begin_to_stop(struct tbi_loop *loop, bool settles)
{
    bool busy = tbi_agent_counts(loop->agent).running > 0;

    if (loop->stopping)
        return;
    loop->stopping = true;
    loop->settling = settles;
    loop->stop_deadline_us =
        tbi_now_us() + (settles ? SETTLE_US : busy ? STOP_BUSY_US : STOP_IDLE_US);
    tbi_pool_exit_all(loop->pool);
}

/* Executors leave or are killed, what they printed goes to rank 0, and then we are done; rank 0
 * when all others are and everything is written. */
void tbi_loop_check_stop(struct tbi_loop *loop)
{
    unsigned rank = loop->config.agent.rank, living = tbi_pool_living(loop->pool);
    bool in_time = loop->now_us < loop->stop_deadline_us;

    if (!loop->stopping || loop->ended)
        return;
    if (living > 0 && !in_time && !loop->killed) {
        loop->killed = in_time = true;
        loop->stop_deadline_us = loop->now_us + STOP_KILL_US;
    }
    if (living > 0 && loop->killed)
        tbi_pool_kill_all(loop->pool);
    if ((living > 0 && in_time) ||
        (tbi_pool_is_printing(loop->pool) &&
         (!tbi_loop_may_print(loop) || loop->now_us < loop->print_deadline_us)))
        return;
    if (loop->settling && in_time && !tbi_remains_none(loop->agent, loop->sched, living))
        return;
    if (loop->settling)
        tbi_remains_report(loop->agent, loop->sched, living, rank, stderr);
    loop->settling = false;
    if (rank == 0) {
        loop->ended = loop->byes == loop->config.agent.nranks - 1 &&
                      tbi_terminal_backlog(loop->terminal) == 0;
    } else {
        tbi_loop_from_agent(loop, 0, TBI_MSG_BYE, TBI_PROC_NONE, sizeof(struct msg_none));
        loop->ended = true;
    }
}

void tbi_loop_shutdown(struct tbi_loop *loop, bool settles)
{
    for (unsigned r = 1; r < loop->config.agent.nranks; r++) {
        struct msg_shutdown *m = tbi_loop_from_head(loop, r, TBI_MSG_SHUTDOWN, TBI_PROC_NONE, sizeof *m);

        m->settles = settles;
    }
    tbi_loop_begin_to_stop(loop, settles);
}

bool tbi_loop_ended(const struct tbi_loop *loop)
{
    const struct tbi_transport *t = loop->config.transport;

    /* Whoever leaves with records strands them: the end of the job would wait for its BYE. */
    return loop->ended && !loop->unsent && (t == NULL || !t->has_more(t->ctx));
}
