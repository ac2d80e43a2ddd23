#include "api/credit.h"
#include "api/lend.h"
#include "api/process.h"
#include "exec/bell.h"

enum { FIRST_UNITS = 64, SLACK_US = 100000, SLACK_MAX_US = 60000000 };

static bool is_limited(const struct tbi_process *p)
{
    return p->proc != TBI_PROC_DRIVER;
}

void tbi_credit_init(struct tbi_credit *credit)
{
    *credit = (struct tbi_credit){.units = FIRST_UNITS, .slack_us = SLACK_US};
}

static bool is_answered(const struct tbi_credit *credit)
{
    return credit->granted == credit->asked;
}

static bool may_submit(void *arg)
{
    const struct tbi_credit *credit = arg;

    return credit->used < credit->units || is_answered(credit);
}

static void ask_if_due(struct tbi_process *p)
{
    struct tbi_credit *credit = &p->credit;
    struct msg_credit *m;

    if (credit->used < credit->units || !is_answered(credit))
        return;
    m = p->port.send(p->port.ctx, TBI_MSG_CREDIT, sizeof *m);
    *m = (struct msg_credit){.number = ++credit->asked};
    credit->used = 0;
}

void tbi_credit_wait(struct tbi_process *p)
{
    struct tbi_credit *credit = &p->credit;

    if (!is_limited(p))
        return;
    while (!may_submit(credit)) {
        uint64_t number = credit->asked;

        if (tbi_process_wait_uncancelled(p, may_submit, credit, tbi_now_us() + credit->slack_us) || p->closing)
            break;
        if (credit->asked != number)
            continue; /* another thread went on before us */
        credit->granted = number;
        if (credit->slack_us < SLACK_MAX_US)
            credit->slack_us *= 2;
    }
    ask_if_due(p);
}

void tbi_credit_use(struct tbi_process *p, const struct msg_submit *m)
{
    if (!is_limited(p))
        return;
    p->credit.used += tbi_submit_units(m);
    ask_if_due(p);
}

void tbi_credit_granted(struct tbi_process *p, const struct msg_credit *m)
{
    if (m->number != p->credit.asked)
        return; /* the process did not wait for this answer */
    p->credit.granted = m->number;
    p->credit.units = m->units;
    p->credit.slack_us = SLACK_US;
}
