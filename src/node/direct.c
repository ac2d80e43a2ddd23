/* direct.c - calls that go from the caller's agent to the actor's, and their answers back, without the head in
 * between. The head says WHERE an actor's caller may do so, and learns of each call in passing, by its SUBMIT;
 * of its end by FINISHED, which may come first. Only what needs nothing of the head: a call whose arguments are
 * all with it. Its number puts it in order with those that went through the head.
 *
 * The answer, if it is small, goes straight to the process that made the call. Whatever else becomes of a call,
 * the head knows, and is asked as for any other object. So that nobody hears of a value and another of an
 * error, the actor's agent alone decides which it is: see STOP. */
#include "node/local.h"
#include "thornback.h"
#include "util/alloc.h"

/* What a process, or the agent for it, wants to know of a call that was not answered yet. */
struct tbi_asked {
    struct tbi_asked *next;
    struct msg_get get;
};
struct tbi_direct {
    struct tbi_link link;       /* in its process's list */
    struct tbi_id task;
    uint32_t proc;
    struct tbi_asked *asked;
};

/* ---- the caller's side ---- */

static struct tbi_callee *callee_of(struct tbi_proc *proc, struct tbi_id actor)
{
    struct tbi_callee *callee = tbi_map_get(&proc->callees, actor);

    if (callee == NULL) {
        callee = tbi_alloc_zeroed(1, sizeof *callee);
        tbi_map_put(&proc->callees, actor, callee);
    }
    return callee;
}

static bool may_go(const struct tbi_agent *agent, const struct tbi_callee *callee,
                   const struct msg_submit *m)
{
    return agent->config.rank != 0 && callee->direct && m->nrefs == 1;
}

static void send_call(struct tbi_agent *agent, const struct tbi_callee *callee, const struct msg_submit *m,
                      const struct msg_call *terms)
{
    size_t tail = m->nargs * sizeof(uint64_t) + m->data_bytes;
    size_t size = sizeof(struct msg_dispatch) + tail + sizeof(struct msg_call);
    bool here = callee->rank == agent->config.rank;
    struct tbi_record *record = here ? tbi_alloc(sizeof *record + size) : NULL;
    struct msg_dispatch *d = here ? (struct msg_dispatch *)(record + 1)
                                  : agent->port.send(agent->port.ctx, callee->rank, TBI_MSG_CALL,
                                                     TBI_PROC_NONE, size);

    *d = (struct msg_dispatch){.task = m->task, .fn = m->fn, .data_bytes = m->data_bytes,
                               .nreturns = m->nreturns, .nargs = m->nargs, .depth = m->depth,
                               .flags = TBI_DISPATCH_STAYS | TBI_DISPATCH_CALL | TBI_DISPATCH_DIRECT,
                               .limit_ms = m->limit_ms, .seed = m->seed};
    memcpy(d + 1, tbi_submit_args(m), tail);
    *(struct msg_call *)((uint8_t *)(d + 1) + tail) = *terms;
    if (!here)
        return;
    *record = (struct tbi_record){.len = (uint32_t)(sizeof *record + size), .type = TBI_MSG_CALL,
                                  .proc = TBI_PROC_NONE};
    tbi_jobs_dispatch(agent, record);
    free(record);
}

void tbi_direct_submit(struct tbi_agent *agent, struct tbi_proc *proc, const struct msg_submit *m,
                       struct msg_submit *sent)
{
    struct msg_call call = *tbi_submit_call(m);
    struct tbi_callee *callee = callee_of(proc, call.actor);
    struct tbi_direct *direct;
    bool goes = may_go(agent, callee, m);

    call.seq = ++callee->made[call.lane];
    call.flags &= TBI_CALL_AWAITED; /* the others are for us to say */
    if (goes) {
        call.flags |= TBI_CALL_DIRECT;
        call.epoch = callee->epoch;
    } else if (agent->config.rank != 0 && !callee->asked && !callee->direct) {
        call.flags |= TBI_CALL_LOCATES;
        callee->asked = true;
    }
    *(struct msg_call *)(uintptr_t)tbi_submit_call(sent) = call;
    if (goes) {
        if (m->nreturns > 0) {
            direct = tbi_alloc_zeroed(1, sizeof *direct);
            direct->proc = proc->proc;
            direct->task = m->task;
            tbi_list_append(&proc->direct, &direct->link);
            tbi_map_put(&agent->direct, m->task, direct);
        }
        send_call(agent, callee, m, &call);
    }
}

void tbi_direct_where(struct tbi_agent *agent, const struct msg_where *m)
{
    struct tbi_proc *proc = tbi_procs_find(agent, m->proc);
    struct tbi_callee *callee = proc == NULL ? NULL : tbi_map_get(&proc->callees, m->actor);

    if (callee == NULL)
        return;
    if (m->ended) {
        free(tbi_map_take(&proc->callees, m->actor));
        return;
    }
    callee->direct = m->rank != TBI_NOWHERE;
    callee->asked = callee->direct;
    callee->rank = m->rank;
    callee->epoch = m->epoch;
}

bool tbi_direct_get(struct tbi_agent *agent, const struct tbi_proc *proc, const struct msg_get *m)
{
    struct tbi_direct *direct = tbi_map_get(&agent->direct, tbi_id_task(m->id));
    struct tbi_asked *asked;

    if (direct == NULL || direct->proc != proc->proc)
        return false;
    if (m->flags & TBI_GET_POLL) {
        struct msg_located *answer = agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_OBJECT,
                                                      proc->proc, sizeof *answer);

        *answer = (struct msg_located){.id = m->id, .where = TBI_AT_PENDING};
        return true;
    }
    asked = tbi_alloc(sizeof *asked);
    *asked = (struct tbi_asked){direct->asked, *m};
    direct->asked = asked;
    return true;
}

bool tbi_direct_forget(struct tbi_agent *agent, const struct tbi_proc *proc, struct tbi_id id)
{
    struct tbi_direct *direct = tbi_map_get(&agent->direct, tbi_id_task(id));

    if (direct == NULL || direct->proc != proc->proc)
        return false;
    for (struct tbi_asked **at = &direct->asked, *asked; (asked = *at) != NULL;)
        if (tbi_id_equal(asked->get.id, id)) {
            *at = asked->next;
            free(asked);
        } else {
            at = &asked->next;
        }
    return true;
}

/* Out of the map. The head is asked what the process has asked, if `tell`. */
static void forget(struct tbi_agent *agent, struct tbi_direct *direct, bool tell)
{
    tbi_list_unlink(&direct->link);
    while (direct->asked != NULL) {
        struct tbi_asked *asked = direct->asked;

        direct->asked = asked->next;
        if (tell)
            *(struct msg_get *)agent->port.send(agent->port.ctx, 0, TBI_MSG_RESOLVE, direct->proc,
                                                sizeof asked->get) = asked->get;
        free(asked);
    }
    free(direct);
}

void tbi_direct_taken_over(struct tbi_agent *agent, struct tbi_id task)
{
    struct tbi_direct *direct = tbi_map_take(&agent->direct, tbi_id_task(task));

    if (direct != NULL)
        forget(agent, direct, tbi_procs_find(agent, direct->proc) != NULL);
}

const char *tbi_direct_answer(struct tbi_agent *agent, const struct msg_done *m)
{
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);
    const uint8_t *data = (const uint8_t *)(result + m->nresults);
    struct tbi_direct *direct = tbi_map_get(&agent->direct, m->task);

    for (unsigned i = 0; i < m->nresults; i++)
        if (result[i].where != TBI_AT_INLINE || result[i].nrefs > 0)
            return "ANSWER with a result that is not for its caller alone";
    if (m->nkept > 0)
        return "ANSWER that keeps refs";
    if (direct == NULL)
        return NULL; /* taken over, or its caller has died */
    if (m->nresults == 0) {
        tbi_direct_taken_over(agent, m->task);
        return NULL;
    }
    for (unsigned i = 0; i < m->nresults; i++) {
        struct msg_located *to = agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_OBJECT,
                                                  direct->proc, sizeof *to + tbi_padded(result[i].bytes));

        *to = (struct msg_located){.id = tbi_id_with_index(m->task, i), .where = TBI_AT_INLINE,
                                   .bytes = result[i].bytes};
        memcpy(to + 1, data, tbi_padded(result[i].bytes));
        data += tbi_padded(result[i].bytes);
    }
    tbi_map_take(&agent->direct, m->task);
    forget(agent, direct, false);
    return NULL;
}

void tbi_direct_forget_proc(struct tbi_agent *agent, struct tbi_proc *proc)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&proc->callees, &at, &e);)
        free(e.value);
    tbi_map_fini(&proc->callees);
    while (!tbi_list_empty(&proc->direct)) {
        struct tbi_direct *direct = TBI_ENTRY(proc->direct.next, struct tbi_direct, link);

        tbi_map_take(&agent->direct, direct->task);
        forget(agent, direct, false);
    }
}

void tbi_direct_fini(struct tbi_agent *agent)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&agent->direct, &at, &e);)
        forget(agent, e.value, false);
    tbi_map_fini(&agent->direct);
}

/* ---- the actor's side ---- */

/* To the caller's agent, which may be this one. */
static struct msg_done *begin_answer(struct tbi_agent *agent, const struct tbi_job *call, size_t size)
{
    unsigned rank = tbi_id_rank(call->m->task);

    return rank == agent->config.rank
               ? tbi_alloc(size)
               : agent->port.send(agent->port.ctx, rank, TBI_MSG_ANSWER, TBI_PROC_NONE, size);
}

static void end_answer(struct tbi_agent *agent, const struct tbi_job *call, struct msg_done *m)
{
    if (tbi_id_rank(call->m->task) != agent->config.rank)
        return;
    tbi_direct_answer(agent, m);
    free(m);
}

static bool is_direct(const struct tbi_job *call)
{
    return call->m->flags & TBI_DISPATCH_DIRECT && call->m->nreturns > 0;
}

void tbi_direct_done(struct tbi_agent *agent, const struct tbi_job *call, const struct msg_done *done,
                     size_t size)
{
    const struct tbi_result *result = (const struct tbi_result *)(done + 1);
    bool here = !call->aborted && done->error == 0 && done->nkept == 0;
    struct msg_done *m;

    if (!is_direct(call))
        return;
    for (unsigned i = 0; i < done->nresults; i++)
        here &= result[i].where == TBI_AT_INLINE && result[i].nrefs == 0;
    if (!here) {
        tbi_direct_ask_the_head(agent, call);
        return;
    }
    m = begin_answer(agent, call, size);
    memcpy(m, done, size);
    end_answer(agent, call, m);
}

void tbi_direct_ask_the_head(struct tbi_agent *agent, const struct tbi_job *call)
{
    struct msg_done *m;

    if (!is_direct(call))
        return;
    m = begin_answer(agent, call, sizeof *m);
    *m = (struct msg_done){.task = call->m->task, .attempt = call->m->attempt};
    end_answer(agent, call, m);
}
