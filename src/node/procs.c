/* procs.c - the processes of a node: what each holds, and what each asks for. A record that does
 * not make sense is refused before anything is changed, and costs its sender its life; everybody
 * else's books stay right. */
#include "node/local.h"
#include "thornback.h"
#include "util/alloc.h"

struct tbi_proc *tbi_procs_find(const struct tbi_agent *agent, uint32_t proc)
{
    return tbi_map_get(&agent->procs, tbi_small_id(proc));
}

struct tbi_proc *tbi_procs_add(struct tbi_agent *agent, uint32_t number)
{
    struct tbi_proc *proc = tbi_alloc_zeroed(1, sizeof *proc);

    proc->proc = number;
    tbi_list_init(&proc->work);
    tbi_list_init(&proc->direct);
    tbi_list_init(&proc->needs);
    tbi_list_init(&proc->rooms);
    tbi_map_put(&agent->procs, tbi_small_id(number), proc);
    if (number != TBI_PROC_DRIVER)
        agent->executors++;
    return proc;
}

void tbi_procs_free(struct tbi_agent *agent, struct tbi_proc *proc)
{
    tbi_map_take(&agent->procs, tbi_small_id(proc->proc));
    if (proc->proc != TBI_PROC_DRIVER)
        agent->executors--;
    tbi_list_unlink(&proc->link);
    tbi_calls_free(agent, proc);
    tbi_direct_forget_proc(agent, proc);
    tbi_map_fini(&proc->handles);
    tbi_map_fini(&proc->pins);
    tbi_map_fini(&proc->open);
    free(proc->grant.place);
    free(proc);
}

void tbi_procs_note_begun(struct tbi_proc *proc, const struct tbi_job *job)
{
    if (proc->begun <= job->number)
        proc->begun = job->number + 1;
}

/* ---- handles and pins ---- */

void tbi_procs_add_hold(struct tbi_proc *proc, struct tbi_id id)
{
    uintptr_t holds;

    if (proc->proc == TBI_PROC_DRIVER)
        return;
    holds = (uintptr_t)tbi_map_take(&proc->handles, id);
    tbi_map_put(&proc->handles, id, (void *)(holds + 1));
}

void tbi_procs_tell(struct tbi_agent *agent, uint32_t number, struct tbi_local *object)
{
    struct tbi_proc *proc = tbi_procs_find(agent, number);
    struct msg_located *m;
    uintptr_t views;

    if (proc == NULL)
        return;
    tbi_objects_pin(agent, object);
    views = (uintptr_t)tbi_map_take(&proc->pins, object->id);
    tbi_map_put(&proc->pins, object->id, (void *)(views + 1));
    m = agent->port.send(agent->port.ctx, agent->config.rank, TBI_MSG_OBJECT, number, sizeof *m);
    *m = (struct msg_located){object->id, TBI_AT_STORE, object->rank, object->offset,
                              object->bytes};
}

static const char *on_unpin(struct tbi_agent *agent, struct tbi_proc *proc,
                            const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    uintptr_t views = (uintptr_t)tbi_map_take(&proc->pins, m->id);

    if (views == 0)
        return "UNPIN of what is not pinned";
    if (views > 1)
        tbi_map_put(&proc->pins, m->id, (void *)(views - 1));
    tbi_objects_unpin(agent, tbi_objects_find(agent, m->id));
    return NULL;
}

/* ---- records for the head, noted in passing ---- */

static void *forward(struct tbi_agent *agent, const struct tbi_record *record, enum tbi_msg type)
{
    size_t size = record->len - sizeof *record;

    return memcpy(agent->port.send(agent->port.ctx, 0, type, record->proc, size), record + 1, size);
}

static bool made_by(const struct tbi_agent *agent, const struct tbi_proc *proc, struct tbi_id id)
{
    return tbi_id_rank(id) == agent->config.rank && tbi_id_proc(id) == proc->proc;
}

static bool is_of_direct(const struct tbi_proc *proc, const struct msg_submit *m)
{
    const struct tbi_job *parent = proc->actor != NULL ? tbi_calls_running(proc, m->parent) : NULL;

    return parent != NULL && parent->m->flags & TBI_DISPATCH_DIRECT;
}

static const char *on_submit(struct tbi_agent *agent, struct tbi_proc *proc,
                             const struct tbi_record *record)
{
    const struct msg_submit *m = (const struct msg_submit *)(record + 1);
    struct msg_submit *sent;

    if (!made_by(agent, proc, m->task) || m->local != 0 || m->of_direct != 0)
        return "SUBMIT with another process's id, or of a task that an agent has";
    if (m->kind == TBI_CALL && tbi_submit_call(m)->lane >= TBI_LANES_MAX)
        return "SUBMIT of a call to a lane that no actor has";
    for (unsigned i = 0; i < m->nreturns; i++)
        tbi_procs_add_hold(proc, tbi_id_with_index(m->task, i));
    sent = forward(agent, record, TBI_MSG_SUBMIT);
    sent->of_direct = is_of_direct(proc, m);
    if (tbi_nested_may_stay(agent, proc, m)) {
        sent->local = 1;
        tbi_nested_take(agent, m);
    } else if (m->kind == TBI_CALL) {
        tbi_direct_submit(agent, proc, m, sent);
    }
    return NULL;
}

static const char *on_put(struct tbi_agent *agent, struct tbi_proc *proc,
                          const struct tbi_record *record)
{
    const struct msg_put *m = (const struct msg_put *)(record + 1);

    if (!made_by(agent, proc, m->id))
        return "PUT with another process's id";
    tbi_procs_add_hold(proc, m->id);
    forward(agent, record, TBI_MSG_PUT);
    return NULL;
}

static const char *on_announce(struct tbi_agent *agent, struct tbi_proc *proc,
                               const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    struct tbi_local *object = tbi_map_get(&proc->open, m->id);

    if (!made_by(agent, proc, m->id) || object == NULL || object->announced)
        return "ANNOUNCE of an object that was not created, or twice";
    object->announced = true;
    tbi_procs_add_hold(proc, m->id);
    forward(agent, record, TBI_MSG_ANNOUNCE);
    return NULL;
}

static const char *on_hold(struct tbi_agent *agent, struct tbi_proc *proc,
                           const struct tbi_record *record)
{
    tbi_procs_add_hold(proc, ((const struct msg_object *)(record + 1))->id);
    forward(agent, record, TBI_MSG_HOLD);
    return NULL;
}

static const char *on_release(struct tbi_agent *agent, struct tbi_proc *proc,
                              const struct tbi_record *record)
{
    struct tbi_id id = ((const struct msg_object *)(record + 1))->id;
    uintptr_t holds = proc->proc == TBI_PROC_DRIVER ? 1 : (uintptr_t)tbi_map_take(&proc->handles, id);

    if (holds == 0)
        return "RELEASE of what is not held";
    if (holds > 1)
        tbi_map_put(&proc->handles, id, (void *)(holds - 1));
    forward(agent, record, TBI_MSG_RELEASE);
    return NULL;
}

/* What concerns the head alone. */
static const char *pass_on(struct tbi_agent *agent, struct tbi_proc *proc,
                           const struct tbi_record *record)
{
    (void)proc;
    forward(agent, record, (enum tbi_msg)record->type);
    return NULL;
}

/* ---- requests ---- */

static const char *on_get(struct tbi_agent *agent, struct tbi_proc *proc,
                          const struct tbi_record *record)
{
    const struct msg_get *m = (const struct msg_get *)(record + 1);
    struct tbi_local *object = tbi_objects_find(agent, m->id);

    if (tbi_direct_get(agent, proc, m))
        return NULL;
    /* A result that has just come may be one of a task that was cancelled before: the head knows. */
    if (object != NULL && tbi_objects_usable(object) && !object->unconfirmed &&
        !(m->flags & TBI_GET_EXISTS))
        tbi_procs_tell(agent, proc->proc, object);
    else
        forward(agent, record, TBI_MSG_RESOLVE);
    return NULL;
}

static const char *on_forget(struct tbi_agent *agent, struct tbi_proc *proc, const struct tbi_record *record)
{
    struct tbi_id id = ((const struct msg_object *)(record + 1))->id;

    tbi_objects_forget_need(agent, proc, id);
    if (!tbi_direct_forget(agent, proc, id))
        forward(agent, record, TBI_MSG_FORGET);
    return NULL;
}

/* What the process runs under this id, or NULL. */
static struct tbi_job *running(const struct tbi_proc *proc, struct tbi_id task)
{
    if (proc->actor != NULL)
        return tbi_calls_running(proc, task);
    return proc->job != NULL && tbi_id_equal(proc->job->m->task, task) ? proc->job : NULL;
}

static const char *on_create(struct tbi_agent *agent, struct tbi_proc *proc,
                             const struct tbi_record *record)
{
    const struct msg_create *m = (const struct msg_create *)(record + 1);
    const struct tbi_job *job = running(proc, tbi_id_task(m->id));
    bool own_result = job != NULL && tbi_id_index(m->id) < job->m->nreturns;

    if ((!made_by(agent, proc, m->id) && !own_result) || tbi_objects_find(agent, m->id) != NULL ||
        tbi_rooms_find(proc, m->id) != NULL)
        return "CREATE of another's object, or twice";
    tbi_objects_create(agent, proc, m);
    return NULL;
}

static const char *on_abandon(struct tbi_agent *agent, struct tbi_proc *proc,
                              const struct tbi_record *record)
{
    const struct msg_object *m = (const struct msg_object *)(record + 1);
    const struct tbi_local *object = tbi_map_get(&proc->open, m->id);
    struct tbi_room *room = object == NULL ? tbi_rooms_find(proc, m->id) : NULL;

    if ((object != NULL && object->announced) ||
        (!made_by(agent, proc, m->id) && running(proc, tbi_id_task(m->id)) == NULL))
        return "ABANDON of what was announced, or of another's object";
    if (object != NULL)
        tbi_objects_abandon(agent, proc, m->id);
    else if (room != NULL)
        tbi_rooms_end(agent, room); /* each CREATE is answered once */
    return NULL; /* else it was refused, and the process does not know it yet */
}

static const char *on_seal(struct tbi_agent *agent, struct tbi_proc *proc,
                           const struct tbi_record *record)
{
    const struct msg_seal *m = (const struct msg_seal *)(record + 1);
    const char *why;

    if (!made_by(agent, proc, m->id))
        return "SEAL of another process's object";
    why = tbi_objects_seal(agent, proc, m->id, m->bytes);
    if (why != NULL)
        return why;
    if (proc->proc != TBI_PROC_DRIVER && tbi_map_get(&proc->handles, m->id) == NULL)
        tbi_procs_add_hold(proc, m->id); /* else it was announced */
    forward(agent, record, TBI_MSG_SEALED);
    return NULL;
}

/* ---- blocking ---- */

static bool runs(const struct tbi_proc *proc, const struct msg_task *m)
{
    return proc->job != NULL && tbi_id_equal(proc->job->m->task, m->task) &&
           proc->job->m->attempt == m->attempt;
}

void tbi_procs_give_cpus_away(struct tbi_agent *agent, struct tbi_proc *proc)
{
    proc->cpus = TBI_CPU_GIVEN;
    tbi_grants_give_cpus(proc->job->bundle->grants, proc->job->m->cpus, &proc->grant);
    tbi_run_count_given(agent, proc, 1);
}

static const char *on_block(struct tbi_agent *agent, struct tbi_proc *proc,
                            const struct tbi_record *record)
{
    if (!runs(proc, (const struct msg_task *)(record + 1)) || proc->blocked || proc->actor != NULL)
        return "BLOCK of a task that does not run there";
    tbi_procs_note_begun(proc, proc->job);
    if (proc->nwork > 1)
        tbi_run_take_back(agent, proc);
    if (proc->nwork > 1)
        return "BLOCK, and it claims to have begun another task";
    proc->blocked = true;
    proc->since_us = agent->now_us;
    tbi_list_unlink(&proc->link);
    if (proc->cpus == TBI_CPU_OWED) /* to the head it is blocked all the time */
        tbi_lending_block(proc);
    if (proc->cpus != TBI_CPU_HELD) /* else an earlier BLOCK is still on its way to the head */
        return NULL;
    forward(agent, record, TBI_MSG_BLOCK);
    proc->cpus = TBI_CPU_ASKED;
    if (tbi_queue_waits(agent, proc->job->m->depth)) /* its children are here already */
        tbi_procs_give_cpus_away(agent, proc);
    return NULL;
}

static const char *on_unblock(struct tbi_agent *agent, struct tbi_proc *proc,
                              const struct tbi_record *record)
{
    if (!runs(proc, (const struct msg_task *)(record + 1)) || !proc->blocked)
        return "UNBLOCK of a task that is not blocked";
    proc->blocked = false;
    if (tbi_list_linked(&proc->lender)) {
        tbi_lending_owe(agent, proc);
    } else if (proc->cpus == TBI_CPU_GIVEN) {
        tbi_resume_queue(agent, proc);
    } else {
        tbi_resume_go_on(agent, proc);
    }
    return NULL;
}

/* ---- the end of a task ---- */

/* Would every stored result be found written? Nothing is changed. */
static const char *check_results(const struct tbi_proc *proc, const struct tbi_job *job,
                                 const struct msg_done *m)
{
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);

    if (m->error == 0 && (m->nresults != job->m->nreturns || job->m->flags & TBI_DISPATCH_ACTOR))
        return "DONE with another number of results than the task has";
    for (unsigned i = 0; i < m->nresults; i++) {
        const struct tbi_local *object =
            tbi_map_get(&proc->open, tbi_id_with_index(m->task, i));

        if (result[i].where == TBI_AT_STORE && (object == NULL || result[i].bytes > object->bytes))
            return "DONE with a result that was not created";
    }
    return NULL;
}

/* Rooms lent for results that the task did not deliver, or that it waits for in some thread. */
static void abandon_results(struct tbi_agent *agent, struct tbi_proc *proc, struct tbi_id task,
                            unsigned nreturns)
{
    tbi_rooms_end_task(agent, proc, task);
    for (unsigned i = 0; i < nreturns && proc->open.count > 0; i++)
        if (tbi_map_get(&proc->open, tbi_id_with_index(task, i)) != NULL)
            tbi_objects_abandon(agent, proc, tbi_id_with_index(task, i));
}

static const char *on_done(struct tbi_agent *agent, struct tbi_proc *proc,
                           const struct tbi_record *record)
{
    const struct msg_done *m = (const struct msg_done *)(record + 1);
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);
    const struct tbi_id *ids = (const struct tbi_id *)(result + m->nresults);
    struct tbi_job *job = running(proc, m->task);
    struct msg_done *finished;
    const char *why;

    if (job == NULL || job->m->attempt != m->attempt || proc->blocked || proc->cpus == TBI_CPU_QUEUED)
        return "DONE of a task that does not run there";
    if (m->crashed || (m->exits && proc->actor == NULL))
        return "DONE that says that its process has died, or is no actor's and ends with it";
    if (m->error != 0 &&
        (m->nresults != 0 || m->error > 0 ||
         tbi_error_links((const uint8_t *)record + record->len - m->data_bytes,
                         m->error_bytes) == 0))
        return "DONE with an error that is none";
    why = check_results(proc, job, m);
    if (why != NULL)
        return why;
    tbi_procs_note_begun(proc, job);
    for (unsigned i = 0; i < m->nresults; i++) {
        if (result[i].where == TBI_AT_STORE) {
            tbi_objects_seal(agent, proc, tbi_id_with_index(m->task, i), result[i].bytes);
            tbi_objects_find(agent, tbi_id_with_index(m->task, i))->unconfirmed = true;
        }
        ids += result[i].nrefs;
    }
    abandon_results(agent, proc, m->task, job->m->nreturns);
    for (uint32_t k = 0; k < m->nkept; k++)
        tbi_procs_add_hold(proc, ids[k]);
    finished = forward(agent, record, TBI_MSG_FINISHED);
    if (proc->actor != NULL) {
        finished->direct = (job->m->flags & TBI_DISPATCH_DIRECT) != 0;
        tbi_direct_done(agent, job, m, record->len - sizeof *record);
        tbi_calls_done(agent, job, m->exits);
        return NULL;
    }
    /* One of an actor that could not be created, or of a task that was to have it alone. */
    proc->leaving |= (job->m->flags & (TBI_DISPATCH_ACTOR | TBI_DISPATCH_FRESH)) != 0;
    tbi_run_end(agent, proc);
    return NULL;
}

static const char *on_constructed(struct tbi_agent *agent, struct tbi_proc *proc,
                                  const struct tbi_record *record)
{
    const struct msg_done *m = (const struct msg_done *)(record + 1);
    const struct tbi_id *kept = (const struct tbi_id *)(m + 1);
    const char *why = tbi_calls_construct(agent, proc, m);

    if (why != NULL)
        return why;
    tbi_procs_note_begun(proc, proc->job);
    for (uint32_t k = 0; k < m->nkept; k++)
        tbi_procs_add_hold(proc, kept[k]);
    forward(agent, record, TBI_MSG_LIVES);
    if (proc->grant.ngpus > 0)
        *(struct msg_instances *)agent->port.send(agent->port.ctx, 0, TBI_MSG_INSTANCES, proc->proc,
                                                sizeof(struct msg_instances)) =
            (struct msg_instances){m->task, m->attempt, 0, tbi_grant_gpus(&proc->grant)};
    tbi_takeback_beside_actors(agent);
    /* One that is being killed dies by that: told to exit, it would end for good although it may be begun again. */
    if (proc->job->retires || (proc->job->aborted && !proc->job->killed))
        tbi_calls_retire(agent, &(struct msg_task){proc->job->m->task, proc->job->m->attempt, 0});
    return NULL;
}

/* Tasks that it will not run because they were taken back, if they really were. */
static const char *on_skipped(struct tbi_agent *agent, struct tbi_proc *proc,
                              const struct tbi_record *record)
{
    const struct msg_skipped *m = (const struct msg_skipped *)(record + 1);

    (void)agent;
    for (const struct tbi_link *l = proc->work.next; l != &proc->work; l = l->next) {
        const struct tbi_job *job = TBI_ENTRY(l, struct tbi_job, link);

        if (m->from <= job->number && job->number < m->to)
            return "SKIPPED of a task that was not taken back";
    }
    return NULL;
}

const char *tbi_procs_handle(struct tbi_agent *agent, const struct tbi_record *record)
{
    static const char *(*const handler[TBI_MSG_COUNT])(struct tbi_agent *, struct tbi_proc *,
                                                       const struct tbi_record *) = {
        [TBI_MSG_SUBMIT] = on_submit,   [TBI_MSG_PUT] = on_put,
        [TBI_MSG_ANNOUNCE] = on_announce, [TBI_MSG_HOLD] = on_hold,
        [TBI_MSG_RELEASE] = on_release, [TBI_MSG_BLOCK] = on_block,
        [TBI_MSG_UNBLOCK] = on_unblock, [TBI_MSG_GET] = on_get,
        [TBI_MSG_UNPIN] = on_unpin,     [TBI_MSG_CREATE] = on_create,
        [TBI_MSG_ABANDON] = on_abandon, [TBI_MSG_SEAL] = on_seal,
        [TBI_MSG_DONE] = on_done,       [TBI_MSG_CANCEL] = pass_on,
        [TBI_MSG_SEEN] = pass_on,       [TBI_MSG_INQUIRE] = pass_on,
        [TBI_MSG_CREDIT] = pass_on,     [TBI_MSG_AWAIT_IDLE] = pass_on,
        [TBI_MSG_GROUP] = pass_on,      [TBI_MSG_UNGROUP] = pass_on,
        [TBI_MSG_KILL] = pass_on,       [TBI_MSG_FIND] = pass_on,
        [TBI_MSG_CHECKPOINT] = pass_on, [TBI_MSG_CONSTRUCTED] = on_constructed,
        [TBI_MSG_SKIPPED] = on_skipped, [TBI_MSG_FORGET] = on_forget,
    };
    struct tbi_proc *proc = tbi_procs_find(agent, record->proc);

    if (proc == NULL || handler[record->type] == NULL)
        return "a record of no process of ours";
    if (!proc->spoke)
        tbi_births_spoke(agent, proc);
    return handler[record->type](agent, proc, record);
}

/* ---- death ---- */

struct msg_done *tbi_procs_send_failure(struct tbi_agent *agent, uint32_t proc, struct tbi_id task,
                                        uint32_t attempt, const struct tbi_error_link *link,
                                        bool crashed)
{
    struct msg_done *m = agent->port.send(agent->port.ctx, 0, TBI_MSG_FINISHED, proc,
                                          sizeof *m + sizeof *link);

    *m = (struct msg_done){.task = task, .attempt = attempt, .error = link->code,
                           .crashed = crashed, .data_bytes = sizeof *link, .error_bytes = sizeof *link};
    memcpy(m + 1, link, sizeof *link);
    return m;
}

/* Its calls first, then what the head is to do with them can be decided. */
static void end_actor(struct tbi_agent *agent, struct tbi_proc *proc,
                      const struct tbi_error_link *link, bool crashed)
{
    struct tbi_id id = proc->job->m->task;
    uint32_t attempt = proc->job->m->attempt;

    if (tbi_calls_died(agent, proc, link)) {
        struct msg_done *m = agent->port.send(agent->port.ctx, 0, TBI_MSG_FINISHED, proc->proc, sizeof *m);

        *m = (struct msg_done){.task = id, .attempt = attempt};
    } else {
        struct tbi_error_link why = *link;

        why.attempt = attempt;
        tbi_procs_send_failure(agent, proc->proc, id, attempt, &why, crashed);
    }
    tbi_run_end(agent, proc);
}

void tbi_agent_doom(struct tbi_agent *agent, uint32_t number)
{
    struct tbi_proc *proc = tbi_procs_find(agent, number);

    if (proc == NULL || number == TBI_PROC_DRIVER)
        return;
    proc->leaving = true;
    if (proc->job == NULL)
        tbi_list_unlink(&proc->link);
}

/* Every task that it had begun: more than one if the ends of the first had found no room in its ring. Only the last
 * can be the one that `cause` tells of. */
static void end_begun(struct tbi_agent *agent, struct tbi_proc *proc, const struct tbi_error_link *cause,
                      bool said)
{
    while (proc->job != NULL) {
        struct tbi_error_link link = *cause;
        bool told = said && (proc->nwork == 1 || proc->job->bundle->doomed);

        if (said && !told)
            tbi_error_link(&link, TB_ERR_CRASHED, "its process ended before it could tell of the task's end");
        link.attempt = proc->job->m->attempt;
        tbi_procs_send_failure(agent, proc->proc, proc->job->m->task, link.attempt, &link, !told);
        tbi_run_end(agent, proc);
    }
}

void tbi_agent_died(struct tbi_agent *agent, uint32_t number, const struct tbi_error_link *cause,
                    bool said)
{
    struct tbi_proc *proc = tbi_procs_find(agent, number);
    struct tbi_error_link link = *cause;
    struct tbi_map_slot e;
    size_t at = 0;

    if (proc == NULL)
        return;
    tbi_rooms_forget(proc); /* first of all: what is given back now must not be lent to it */
    tbi_objects_forget_needs(agent, proc);
    proc->leaving = false; /* it need not be told to exit */
    if (proc->job != NULL && proc->job->bundle->doomed) {
        tbi_bundles_removed(&link);
        said = true;
    }
    /* What it was given and had not begun runs elsewhere; but the task that it was started for fails
     * if it never began any, or a node that cannot start processes would try for ever. */
    if (proc->actor != NULL) {
        end_actor(agent, proc, &link, !said);
    } else if (proc->job != NULL) {
        struct tbi_job *first = proc->job;

        if (!tbi_run_take_back(agent, proc) && proc->job == NULL)
            tbi_jobs_fail(agent, first, &link, true);
    }
    end_begun(agent, proc, &link, said);
    while (tbi_map_next(&proc->open, &at, &e)) {
        if (((const struct tbi_local *)e.value)->announced)
            tbi_procs_send_failure(agent, number, e.key, 0, &link, false);
        tbi_objects_abandon(agent, proc, e.key);
        at--; /* another may have taken its place in the map */
    }
    for (at = 0; tbi_map_next(&proc->pins, &at, &e);)
        for (uintptr_t views = (uintptr_t)e.value; views > 0; views--)
            tbi_objects_unpin(agent, tbi_objects_find(agent, e.key));
    for (at = 0; tbi_map_next(&proc->handles, &at, &e);)
        for (uintptr_t holds = (uintptr_t)e.value; holds > 0; holds--) {
            struct msg_object *m =
                agent->port.send(agent->port.ctx, 0, TBI_MSG_RELEASE, number, sizeof *m);

            m->id = e.key;
        }
    agent->port.send(agent->port.ctx, 0, TBI_MSG_GONE, number, sizeof(struct msg_none));
    tbi_procs_free(agent, proc);
    tbi_rooms_serve(agent); /* it may have stood in front of smaller ones */
    tbi_run_start(agent);
}
