/* bundles.c - what is set aside here for placement groups: a bundle takes its resources of the node's, and
 * is to its tasks what the node is to others. It is granted if it is free now, and leaves all tasks that
 * are here, blocked ones with their CPUs, as much as they need: they could not run else while it lasts. */
#include "node/local.h"
#include "thornback.h"
#include "util/alloc.h"

#include <string.h>

struct tbi_bundle *tbi_bundles_find(struct tbi_agent *agent, const struct tbi_id *id)
{
    struct tbi_bundle *bundle;

    if (id == NULL)
        return &agent->whole;
    bundle = tbi_map_get(&agent->bundles, *id);
    return bundle == NULL || bundle->doomed ? NULL : bundle;
}

uint16_t tbi_bundles_core(const struct tbi_bundle *bundle, uint16_t place)
{
    return bundle->grant.place == NULL ? place : bundle->grant.place[place];
}

uint16_t tbi_bundles_gpu(const struct tbi_bundle *bundle, uint16_t place)
{
    return bundle->grant.place == NULL ? place : bundle->grant.place[bundle->grant.ncores + place];
}

bool tbi_bundles_feasible(const struct tbi_agent *agent, const struct tbi_bundle *bundle,
                          const struct tbi_demand *demand)
{
    if (!tbi_grants_feasible(agent->whole.grants, demand) ||
        demand->cpus > tbi_grants_total(bundle->grants, TBI_CPUS))
        return false;
    for (unsigned i = 0; i < demand->nmore; i++)
        if (demand->more[i].amount > tbi_grants_total(bundle->grants, demand->more[i].resource))
            return false;
    return true;
}

static void count_needed(tbi_total *needed, const struct tbi_demand *demand, int sign)
{
    needed[TBI_CPUS] += (tbi_total)demand->cpus * sign;
    for (unsigned i = 0; i < demand->nmore; i++)
        needed[demand->more[i].resource] += (tbi_total)demand->more[i].amount * sign;
}

/* What nobody else may set aside of what it asks for. */
static struct tbi_demand need_of(const struct tbi_job *job)
{
    struct tbi_demand demand = tbi_job_demand(job);

    if (tbi_lending_is_lender(job))
        demand.cpus = 0;
    return demand;
}

static void count_job(struct tbi_agent *agent, const struct tbi_job *job, int sign)
{
    struct tbi_demand demand = need_of(job);

    if (job->counted)
        count_needed(agent->needed, &demand, sign);
}

void tbi_bundles_enter(struct tbi_bundle *bundle, struct tbi_job *job)
{
    job->bundle = bundle;
    bundle->jobs++;
    tbi_list_append(&bundle->members, &job->member);
}

void tbi_bundles_count(struct tbi_agent *agent, struct tbi_job *job)
{
    job->counted = job->bundle == &agent->whole;
    count_job(agent, job, 1);
}

void tbi_bundles_need_no_cpus(struct tbi_agent *agent, struct tbi_job *job)
{
    count_job(agent, job, -1);
    job->m->cpus = 0;
    count_job(agent, job, 1);
}

/* Takes a demand off; false: so much is not left of some resource. No sum can overflow. */
static bool take_off(int64_t *left, const struct tbi_demand *demand)
{
    bool enough = (left[TBI_CPUS] -= demand->cpus) >= 0;

    for (unsigned i = 0; i < demand->nmore; i++)
        enough &= (left[demand->more[i].resource] -= demand->more[i].amount) >= 0;
    return enough;
}

static bool is_enough_of(const struct tbi_agent *agent, unsigned resource, int64_t amount)
{
    return agent->needed[resource] + amount <= tbi_grants_total(agent->whole.grants, resource);
}

/* Is there enough for all that is here, and for this? CPUs may be lent to it. */
static bool leaves_enough(struct tbi_agent *agent, const struct tbi_demand *demand, const struct tbi_id *lenders,
                          unsigned nlenders)
{
    tbi_total missing = agent->needed[TBI_CPUS] + demand->cpus - tbi_grants_total(agent->whole.grants, TBI_CPUS);

    for (unsigned r = 0; r < agent->config.resources.nresources; r++)
        if (r != TBI_CPUS && !is_enough_of(agent, r, 0))
            return false;
    for (unsigned i = 0; i < demand->nmore; i++)
        if (!is_enough_of(agent, demand->more[i].resource, demand->more[i].amount))
            return false;
    return missing <= 0 || tbi_lending_begin(agent, lenders, nlenders, missing);
}

/* A ledger of what the bundle got: its cores and GPUs, numbered from 0. */
static struct tbi_grants *grants_of(const struct tbi_agent *agent, const struct tbi_bundle *bundle)
{
    struct tbi_grants_config config = agent->config.resources;
    int64_t totals[TBI_RESOURCES_MAX] = {bundle->demand.cpus};
    struct tbi_core *core = tbi_alloc((bundle->grant.ncores + 1) * sizeof *core);
    struct tbi_grants *grants;

    for (unsigned i = 0; i < bundle->demand.nmore; i++)
        totals[bundle->demand.more[i].resource] = bundle->demand.more[i].amount;
    for (unsigned c = 0; c < bundle->grant.ncores; c++)
        core[c] = *tbi_grants_core(agent->whole.grants, bundle->grant.place[c]);
    config.totals = totals;
    config.core = core;
    config.ncores = bundle->grant.ncores;
    grants = tbi_grants_create(&config);
    free(core);
    return grants;
}

const char *tbi_bundles_reserve(struct tbi_agent *agent, const struct msg_reserve *m)
{
    struct tbi_demand demand = {m->demand.cpus, m->demand.nmore, (const struct tbi_amount *)(m + 1)};
    const struct tbi_id *lenders = (const struct tbi_id *)(demand.more + demand.nmore);
    struct msg_reserved *answer;
    struct tbi_bundle *bundle;
    bool granted;

    if (tbi_id_index(m->bundle) == 0)
        return "RESERVE of what is no bundle";
    if (tbi_map_get(&agent->bundles, m->bundle) != NULL)
        return "RESERVE of a bundle that is here";
    if (!tbi_grants_feasible(agent->whole.grants, &demand))
        return "RESERVE of what the node can never have";
    tbi_lending_note_blocked(agent, lenders, m->nlenders);
    granted = tbi_list_empty(&agent->whole.resuming) &&
              tbi_grants_fits(agent->whole.grants, &demand) && leaves_enough(agent, &demand, lenders, m->nlenders);
    answer = agent->port.send(agent->port.ctx, 0, TBI_MSG_RESERVED, TBI_PROC_NONE, sizeof *answer);
    *answer = (struct msg_reserved){.bundle = m->bundle, .granted = granted};
    if (!granted)
        return NULL;
    bundle = tbi_alloc_zeroed(1, sizeof *bundle);
    bundle->id = m->bundle;
    bundle->demand = demand;
    bundle->demand.more = tbi_copy(demand.more, demand.nmore * sizeof *demand.more);
    tbi_list_init(&bundle->resuming);
    tbi_list_init(&bundle->waiting);
    tbi_list_init(&bundle->members);
    count_needed(agent->needed, &demand, 1);
    tbi_grants_take(agent->whole.grants, &bundle->demand, NULL, &bundle->grant);
    answer->gpus = tbi_grant_gpus(&bundle->grant);
    bundle->grants = grants_of(agent, bundle);
    agent->held_cpus += demand.cpus;
    tbi_map_put(&agent->bundles, bundle->id, bundle);
    return NULL;
}

static void destroy(struct tbi_agent *agent, struct tbi_bundle *bundle)
{
    tbi_queue_forget(&agent->queue, bundle);
    tbi_heap_fini(&bundle->kinds);
    tbi_grants_destroy(bundle->grants);
    free(bundle->grant.place);
    free((struct tbi_amount *)bundle->demand.more);
    free(bundle);
}

void tbi_bundles_destroy(struct tbi_agent *agent)
{
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&agent->bundles, &at, &e);)
        destroy(agent, e.value);
    tbi_map_fini(&agent->bundles);
}

/* A doomed bundle without tasks goes back to the node. */
static void give_back(struct tbi_agent *agent, struct tbi_bundle *bundle)
{
    struct msg_object *m;

    if (!bundle->doomed || bundle->jobs > 0)
        return;
    tbi_map_take(&agent->bundles, bundle->id);
    tbi_grants_give(agent->whole.grants, &bundle->demand, &bundle->grant);
    agent->held_cpus -= bundle->demand.cpus;
    count_needed(agent->needed, &bundle->demand, -1);
    m = agent->port.send(agent->port.ctx, 0, TBI_MSG_UNRESERVED, TBI_PROC_NONE, sizeof *m);
    m->id = bundle->id;
    destroy(agent, bundle);
}

void tbi_bundles_leave(struct tbi_agent *agent, struct tbi_job *job)
{
    count_job(agent, job, -1);
    tbi_list_unlink(&job->member);
    job->bundle->jobs--;
    give_back(agent, job->bundle);
}

static const char removed[] = "its placement group was removed";

void tbi_bundles_removed(struct tbi_error_link *link)
{
    link->code = TB_ERR_CANCELLED;
    link->root = 0;
    memcpy(link->message, removed, sizeof removed);
}

/* It runs, and is killed; or it fails here, at the latest when its arguments have come. */
static void end_job(struct tbi_agent *agent, struct tbi_job *job)
{
    struct tbi_error_link link;

    if (job->proc != NULL)
        tbi_run_take_back(agent, job->proc);
    if (job->proc != NULL) {
        tbi_abort_by_force(agent, job);
        return;
    }
    tbi_error_link(&link, TB_ERR_CANCELLED, "%s", removed);
    tbi_jobs_fail(agent, job, &link, false);
}

const char *tbi_bundles_unreserve(struct tbi_agent *agent, struct tbi_id id)
{
    struct tbi_bundle *bundle = tbi_bundles_find(agent, &id);
    struct tbi_id *task;
    size_t n = 0;

    if (bundle == NULL)
        return "UNRESERVE of a bundle that is not here";
    bundle->doomed = true;
    task = tbi_alloc((bundle->jobs + 1) * sizeof *task);
    for (const struct tbi_link *l = bundle->members.next; l != &bundle->members; l = l->next)
        task[n++] = TBI_ENTRY(l, struct tbi_job, member)->m->task;
    bundle->jobs++; /* it stays until the end of this */
    while (n-- > 0) {
        struct tbi_job *job = tbi_map_get(&agent->jobs, task[n]);

        if (job != NULL)
            end_job(agent, job);
    }
    free(task);
    bundle->jobs--;
    give_back(agent, bundle);
    return NULL;
}

/* Is what is needed counted rightly? */
static bool is_needed(const struct tbi_agent *agent)
{
    tbi_total needed[TBI_RESOURCES_MAX] = {0};
    struct tbi_map_slot e;

    for (size_t at = 0; tbi_map_next(&agent->bundles, &at, &e);)
        count_needed(needed, &((const struct tbi_bundle *)e.value)->demand, 1);
    for (size_t at = 0; tbi_map_next(&agent->jobs, &at, &e);) {
        const struct tbi_job *job = e.value;
        struct tbi_demand demand = need_of(job);

        if (job->counted)
            count_needed(needed, &demand, 1);
    }
    return memcmp(needed, agent->needed, sizeof needed) == 0;
}

static unsigned count_running(const struct tbi_agent *agent, const struct tbi_bundle *bundle)
{
    struct tbi_map_slot e;
    unsigned n = 0;

    for (size_t at = 0; tbi_map_next(&agent->procs, &at, &e);) {
        const struct tbi_proc *proc = e.value;

        n += proc->job != NULL && proc->job->bundle == bundle;
    }
    return n;
}

/* What bundles, and the running tasks in this one, leave of what it has; false: more is taken. */
static bool what_is_left(const struct tbi_agent *agent, const struct tbi_bundle *bundle, int64_t *left)
{
    struct tbi_map_slot e;
    bool enough = true;

    for (unsigned r = 0; r < agent->config.resources.nresources; r++)
        left[r] = tbi_grants_total(bundle->grants, r);
    for (size_t at = 0; bundle == &agent->whole && tbi_map_next(&agent->bundles, &at, &e);)
        enough &= take_off(left, &((const struct tbi_bundle *)e.value)->demand);
    for (size_t at = 0; tbi_map_next(&agent->procs, &at, &e);) {
        const struct tbi_proc *proc = e.value;
        struct tbi_demand demand;

        if (proc->job == NULL || proc->job->bundle != bundle)
            continue;
        demand = tbi_job_demand(proc->job);
        if (proc->cpus != TBI_CPU_HELD && proc->cpus != TBI_CPU_ASKED)
            demand.cpus = 0;
        enough &= take_off(left, &demand);
    }
    return enough;
}

static const char *check(const struct tbi_agent *agent, const struct tbi_bundle *bundle)
{
    int64_t left[TBI_RESOURCES_MAX];
    struct tbi_map_slot e;
    unsigned jobs = bundle == &agent->whole;

    for (size_t at = 0; tbi_map_next(&agent->jobs, &at, &e);)
        jobs += ((const struct tbi_job *)e.value)->bundle == bundle;
    if (jobs != bundle->jobs || (bundle->doomed && jobs == 0))
        return "a bundle counts its tasks wrongly, or was kept without any";
    if (count_running(agent, bundle) != bundle->running || (bundle->running > 0) != tbi_list_linked(&bundle->active))
        return "a bundle counts the processes that run tasks of it wrongly";
    if (tbi_list_empty(&bundle->resuming) == tbi_list_linked(&bundle->resumer))
        return "nobody knows that processes of a bundle wait to resume, or none do";
    if (!what_is_left(agent, bundle, left))
        return "the demands of running tasks exceed what there is for them";
    for (unsigned r = 0; r < agent->config.resources.nresources; r++)
        if (left[r] != tbi_grants_free(bundle->grants, r))
            return "the count of what is free is wrong";
    return tbi_grants_check(bundle->grants);
}

const char *tbi_bundles_check(const struct tbi_agent *agent)
{
    const char *why = NULL;
    struct tbi_map_slot e;
    int64_t held = 0;

    for (size_t at = 0; why == NULL && tbi_map_next(&agent->bundles, &at, &e);) {
        held += ((const struct tbi_bundle *)e.value)->demand.cpus;
        why = check(agent, e.value);
    }
    if (why == NULL && !is_needed(agent))
        why = "what bundles and tasks need is counted wrongly";
    if (why == NULL && held != agent->held_cpus)
        why = "what bundles hold of the CPUs is counted wrongly";
    return why != NULL ? why : check(agent, &agent->whole);
}
