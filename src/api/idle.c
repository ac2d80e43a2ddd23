#include "api/idle.h"
#include "api/errors.h"
#include "api/process.h"
#include "util/plural.h"

#include <inttypes.h>

char *tbi_counts_text(char *text, uint64_t tasks, uint64_t calls, uint64_t actors)
{
    const struct { const char *one; uint64_t n; } part[] = {
        {"task", tasks}, {"actor call", calls}, {"actor", actors}};
    size_t left = (tasks > 0) + (calls > 0) + (actors > 0), at = 0;

    text[0] = 0;
    for (int i = 0; i < 3; i++)
        if (part[i].n > 0) {
            at += (size_t)snprintf(text + at, TBI_COUNTS_TEXT - at, "%" PRIu64 " %s%s%s", part[i].n, part[i].one,
                                   tbi_s(part[i].n), left > 2 ? ", " : left == 2 ? " and " : "");
            left--;
        }
    return text;
}

static bool is_answered(void *arg)
{
    return ((struct tbi_inquiry *)arg)->answered;
}

static void ask(struct tbi_process *p, uint64_t ticket, bool waits)
{
    struct msg_await_idle *m = p->port.send(p->port.ctx, TBI_MSG_AWAIT_IDLE, sizeof *m);

    *m = (struct msg_await_idle){ticket, waits};
}

/* With the inquiry among the process's. 0, or why the wait ended. */
static int await(struct tbi_process *p, struct tbi_inquiry *inquiry, double timeout)
{
    bool waits = !tbi_timeout_is_none(timeout);
    char text[TBI_COUNTS_TEXT];
    uint64_t n;

    ask(p, inquiry->ticket, waits);
    if (waits && !tbi_process_wait(p, is_answered, inquiry, tbi_deadline(timeout)) && !p->closing)
        ask(p, inquiry->ticket, false);
    tbi_process_wait(p, is_answered, inquiry, UINT64_MAX);
    if (!inquiry->answered)
        return tbi_process_why_ended(p);
    n = inquiry->left.tasks + inquiry->left.calls + inquiry->left.actors;
    if (n == 0)
        return 0;
    tbi_counts_text(text, inquiry->left.tasks, inquiry->left.calls, inquiry->left.actors);
    return tbi_error_set(TB_ERR_TIMEOUT, "tb_wait_idle: after %g s %s %s unfinished%s", timeout, text,
                         tbi_plural(n, "is", "are"),
                         inquiry->left.actors > 0 ? " (of actors, those that are being made or end)" : "");
}

int tb_wait_idle(double timeout)
{
    struct tbi_inquiry inquiry = {0}, **at;
    struct tbi_process *p;
    int rc = tbi_timeout_check("tb_wait_idle", timeout);

    if (rc != 0)
        return rc;
    p = tbi_process_enter("tb_wait_idle");
    if (p == NULL)
        return TB_ERR_STATE;
    if (p->instance != NULL) {
        tbi_process_leave(p);
        return tbi_error_set(TB_ERR_STATE, "tb_wait_idle in a task or an actor, which would wait for itself: wait for "
                             "the refs of what it has submitted, by tb_wait");
    }
    inquiry.next = p->inquiries;
    inquiry.ticket = ++p->next_ticket;
    p->inquiries = &inquiry;
    rc = await(p, &inquiry, timeout);
    for (at = &p->inquiries; *at != &inquiry; at = &(*at)->next) {
    }
    *at = inquiry.next;
    tbi_process_leave(p);
    return rc;
}
