#include "node/loop_parts.h"

#include <string.h>

enum {
    OUTPUT_WINDOW = 64 * 1024,   /* bytes of a rank's output that may wait on rank 0 */
    OUTPUT_BACKLOG = 256 * 1024, /* bytes that the terminal may be behind before ranks must wait */
    STOP_PRINT_US = 1000000      /* for the zygote to bring more output at the end */
};

bool tbi_loop_may_print(void *ctx)
{
    return ((const struct tbi_loop *)ctx)->unwritten < OUTPUT_WINDOW;
}

void tbi_loop_of_printing(void *ctx, const struct tbi_record *record)
{
    struct tbi_loop *loop = ctx;
    size_t size = record->len - sizeof *record;

    memcpy(tbi_loop_from_agent(loop, 0, TBI_MSG_OUTPUT, record->proc, size), record + 1, size);
    loop->unwritten += ((const struct msg_output *)(record + 1))->bytes;
    loop->print_deadline_us = loop->now_us + STOP_PRINT_US;
}

void tbi_loop_on_written(struct tbi_loop *loop, const struct msg_written *m)
{
    loop->unwritten -= m->bytes;
    loop->print_deadline_us = loop->now_us + STOP_PRINT_US;
}

void tbi_loop_on_output(struct tbi_loop *loop, unsigned rank, const struct msg_output *m)
{
    tbi_terminal_put(loop->terminal, m->stream, (const char *)(m + 1), m->bytes);
    loop->owed[rank] += m->bytes;
    loop->owes |= loop->owed[rank] >= OUTPUT_WINDOW / 2;
}

bool tbi_loop_can_pay(const struct tbi_loop *loop)
{
    return loop->owes && tbi_terminal_backlog(loop->terminal) < OUTPUT_BACKLOG;
}

/* Tells ranks that they may go on printing, unless the terminal is behind. */
bool tbi_loop_pay(struct tbi_loop *loop)
{
    if (!tbi_loop_can_pay(loop))
        return false;
    for (unsigned r = 0; r < loop->config.agent.nranks; r++)
        if (loop->owed[r] >= OUTPUT_WINDOW / 2) {
            struct msg_written *m = tbi_loop_from_head(loop, r, TBI_MSG_WRITTEN, TBI_PROC_NONE, sizeof *m);

            m->bytes = loop->owed[r];
            loop->owed[r] = 0;
        }
    loop->owes = false;
    return true;
}
