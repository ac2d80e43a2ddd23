/* submit.c - drafts of submissions, and tb_remote. */
#include "api/submit.h"
#include "api/call.h"
#include "api/errors.h"
#include "api/group.h"
#include "api/put.h"
#include "api/registry.h"
#include "util/alloc.h"
#include "util/error_blob.h"
#include "util/fault.h"
#include "util/plural.h"
#include "util/seed.h"

enum { VALUES_MAX = 65535 };

static int fail(struct tbi_draft *d, int code)
{
    tbi_error_link(&d->link, code, "%s", tb_last_error());
    snprintf(d->link.function, sizeof d->link.function, "%s", d->name);
    d->error = &d->link;
    d->error_bytes = sizeof d->link;
    return code;
}

static bool is_resolved_arg(const tb_value *v)
{
    return v->type == TB_REF && !(v->flags & (TB_VALUE_ARRAY | TB_VALUE_NESTED));
}

int tbi_draft_fail_as(struct tbi_draft *d, struct tbi_handle *h)
{
    tbi_handle_see(d->p, h); /* the refs of this call carry it on */
    d->error = h->blob;
    d->error_bytes = h->bytes;
    return tbi_error_set(((const struct tbi_error_link *)h->blob)->code, "%s",
                         ((const struct tbi_error_link *)h->blob)->message);
}

/* An argument that is known to have failed here is the failure of the call. */
static int check_ref(struct tbi_draft *d, const tb_value *v)
{
    size_t n;
    const void *ids = tbi_contained(v, &n);

    for (size_t i = 0; i < n; i++) {
        struct tbi_handle *h = tbi_handle_find(d->p, tbi_contained_id(ids, i));

        if (h != NULL && h->local)
            return tbi_draft_fail_as(d, h);
    }
    return tbi_contained_check(d->p, v);
}

static int check(struct tbi_draft *d)
{
    int rc = 0;

    if (d->nvalues > VALUES_MAX || d->nreturns > VALUES_MAX)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' is called with %zu argument%s for %zu result%s: "
                             "%d of each are possible; put them into an array", d->name,
                             d->nvalues, tbi_s(d->nvalues), d->nreturns, tbi_s(d->nreturns), VALUES_MAX);
    if (d->terms.num_args != TBI_ANY_ARGS && d->nvalues != (size_t)d->terms.num_args)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' is called with %zu argument%s, and takes %d (num_args)", d->name,
                             d->nvalues, tbi_s(d->nvalues), d->terms.num_args);
    if (d->terms.strategy == TBI_IN_GROUP)
        rc = tbi_group_check(d->p, tbi_group_of(d->terms.group));
    for (size_t i = 0; i < d->nvalues && rc == 0; i++) {
        rc = tbi_value_check(&d->value[i]);
        if (rc != 0) {
            char why[512];

            snprintf(why, sizeof why, "%s", tb_last_error());
            return tbi_error_set(rc, "'%s', argument %zu: %s", d->name, i, why);
        }
        rc = check_ref(d, &d->value[i]);
    }
    return rc;
}

/* Which values travel in the message, and which become objects first. */
static int plan(struct tbi_draft *d)
{
    const struct tbi_limits *limits = &d->p->limits;

    for (size_t i = 0; i < d->nvalues; i++) {
        const tb_value *v = &d->value[i];
        size_t bytes, refs;

        if (is_resolved_arg(v)) {
            d->nresolve++;
            continue;
        }
        bytes = tbi_value_packed_size(v);
        if (bytes > limits->inline_bytes || d->data_bytes + bytes > limits->inline_task_bytes) {
            int rc;

            if (d->stored == NULL)
                d->stored = tbi_alloc_zeroed(d->nvalues, sizeof *d->stored);
            rc = tbi_put(d->p, v, &d->stored[i], &d->link);
            if (rc != 0) {
                d->stored[i] = (struct tbi_id){0};
                return tbi_error_set(rc, "%s", d->link.message);
            }
            d->nresolve++;
        } else {
            tbi_contained(v, &refs);
            d->nheld += refs;
            d->data_bytes += tbi_padded(bytes);
        }
    }
    d->nheld += d->kind == TBI_CALL; /* the actor */
    if (d->nresolve + d->nheld > VALUES_MAX)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' is called with %zu refs in its arguments: %d "
                             "are possible; put them into an array first", d->name,
                             d->nresolve + d->nheld, VALUES_MAX);
    return 0;
}

size_t tbi_name_bytes(const char *name_space, const char *name)
{
    return (name_space == NULL ? 0 : strlen(name_space)) + strlen(name) + 2;
}

void tbi_name_pack(const char *name_space, const char *name, void *to)
{
    size_t space = name_space == NULL ? 0 : strlen(name_space);
    char *text = to;

    memset(text, 0, tbi_padded(tbi_name_bytes(name_space, name)));
    if (space > 0)
        memcpy(text, name_space, space);
    memcpy(text + space + 1, name, strlen(name));
}

static size_t actor_name_bytes(const struct tbi_draft *d)
{
    return d->terms.actor.name == NULL ? 0 : tbi_name_bytes(d->terms.actor.name_space, d->terms.actor.name);
}

/* What stands behind a submission by its kind. */
static size_t kind_bytes(const struct tbi_draft *d)
{
    switch (d->kind) {
    case TBI_ACTOR:
        return sizeof(struct msg_actor) + tbi_padded(actor_name_bytes(d));
    case TBI_CALL:
        return sizeof(struct msg_call);
    default:
        return 0;
    }
}

static void write_actor(const struct tbi_draft *d, struct msg_actor *m)
{
    const struct tbi_actor_terms *a = &d->terms.actor;

    *m = (struct msg_actor){
        .ticket = d->ticket, .max_task_retries = a->max_task_retries, .max_pending = a->max_pending,
        .name_bytes = (uint32_t)actor_name_bytes(d), .nlanes = (uint16_t)a->nlanes,
        .flags = (uint16_t)((a->placed_only ? TBI_ACTOR_PLACED_ONLY : 0) |
                            (a->detached ? TBI_ACTOR_DETACHED : 0) | (a->get_if_exists ? TBI_ACTOR_GET : 0))};
    memcpy(m->lane, a->lane, sizeof m->lane);
    if (m->name_bytes > 0)
        tbi_name_pack(a->name_space, a->name, m + 1);
}

static void write_kind(const struct tbi_draft *d, void *to)
{
    if (d->kind == TBI_ACTOR)
        write_actor(d, to);
    else if (d->kind == TBI_CALL)
        *(struct msg_call *)to = (struct msg_call){
            .actor = d->actor, .lane = (uint16_t)d->terms.lane, .flags = d->awaited ? TBI_CALL_AWAITED : 0,
            .retry_codes = d->terms.retry_codes,
            .retry_delay_ms = d->terms.retry_delay_ms, .max_retries = d->terms.max_retries};
}

/* The arguments: `refs` gets the ids that the task holds, `args` what each is. */
static uint8_t *write_values(const struct tbi_draft *d, struct tbi_id *refs, uint64_t *args, uint8_t *data)
{
    size_t resolved = 0, held = d->nresolve;

    for (size_t i = 0; i < d->nvalues; i++) {
        const tb_value *v = &d->value[i];
        bool stored = d->stored != NULL && !tbi_id_is_null(d->stored[i]);
        size_t bytes, n;
        const void *ids;

        if (stored || is_resolved_arg(v)) {
            args[i] = TBI_ARG_REF | resolved;
            refs[resolved++] = stored ? d->stored[i] : tbi_id_of(v->as.ref);
            continue;
        }
        bytes = tbi_value_packed_size(v);
        args[i] = bytes;
        if (bytes % 8 != 0)
            memset(data + tbi_padded(bytes) - 8, 0, 8);
        tbi_value_pack(v, data);
        data += tbi_padded(bytes);
        ids = tbi_contained(v, &n);
        if (n > 0)
            memcpy(&refs[held], ids, n * sizeof *refs);
        held += n;
    }
    if (d->kind == TBI_CALL)
        refs[held] = d->actor;
    return data;
}

static struct tbi_id send_submit(const struct tbi_draft *d)
{
    size_t nrefs = d->nresolve + d->nheld, more = d->terms.nmore * sizeof d->terms.more[0];
    size_t group = d->terms.strategy == TBI_IN_GROUP ? sizeof d->terms.group : 0;
    struct tbi_process *p = d->p;
    struct tbi_call *call = tbi_process_call(p);
    struct msg_submit *m = p->port.send(p->port.ctx, TBI_MSG_SUBMIT,
                                        sizeof *m + nrefs * sizeof(struct tbi_id) +
                                            d->nvalues * sizeof(uint64_t) + d->data_bytes + more +
                                            group + kind_bytes(d));
    struct tbi_id *refs = (struct tbi_id *)(m + 1);
    uint64_t *args = (uint64_t *)(refs + nrefs);
    uint8_t *to = (uint8_t *)(args + d->nvalues);
    struct tbi_id task;

    *m = (struct msg_submit){
        .task = tbi_process_new_id(p), .parent = call != NULL ? call->run->task : (struct tbi_id){0},
        .fn = (uint32_t)d->fn, .cpus = d->terms.cpus, .data_bytes = (uint32_t)d->data_bytes,
        .max_retries = d->terms.max_retries, .retry_codes = d->terms.retry_codes,
        .nmore = (uint8_t)d->terms.nmore, .strategy = (uint8_t)d->terms.strategy,
        .node = d->terms.node, .retry_delay_ms = d->terms.retry_delay_ms, .limit_ms = d->terms.limit_ms,
        .nreturns = (uint16_t)d->nreturns, .nargs = (uint16_t)d->nvalues,
        .seed = call != NULL ? tbi_seed_child(call->run->seed, call->nsubmitted++) : tbi_seed_child(p->seed, p->nsubmitted++),
        .nrefs = (uint16_t)nrefs, .nresolve = (uint16_t)d->nresolve, .kind = (uint8_t)d->kind,
        .fresh = d->terms.fresh_process,
        /* Beyond the last depth tasks count as equally deep: the order is by age then. */
        .depth = call == NULL ? 0 : call->run->depth < UINT16_MAX ? (uint16_t)(call->run->depth + 1) : UINT16_MAX};
    to = write_values(d, refs, args, to);
    memcpy(to, d->terms.more, more);
    memcpy(to + more, &d->terms.group, group);
    write_kind(d, to + more + group);
    task = m->task;
    tbi_credit_use(p, m); /* which may send a record of its own */
    return task;
}

int tbi_submit(struct tbi_draft *d, int rc, tb_ref *refs)
{
    struct tbi_id task;

    if (rc == 0)
        tbi_credit_wait(d->p);
    if (rc == 0)
        rc = check(d);
    if (rc == 0)
        rc = plan(d);
    if (rc == 0) {
        tbi_fault_point(TBI_FAULT_SUBMIT);
        task = send_submit(d);
        for (size_t i = 0; i < d->nreturns; i++) {
            refs[i] = tbi_ref_of(tbi_id_with_index(task, (unsigned)i));
            if (!d->terms.actor.get_if_exists)
                tbi_handle_new(d->p, tbi_id_of(refs[i]));
        }
    } else {
        if (d->error == NULL)
            fail(d, rc);
        for (size_t i = 0; i < d->nreturns; i++)
            refs[i] = tbi_ref_failed(d->p, d->error, d->error_bytes);
    }
    for (size_t i = 0; d->stored != NULL && i < d->nvalues; i++)
        if (!tbi_id_is_null(d->stored[i]))
            tbi_handle_release(d->p, d->stored[i]); /* the task holds it now */
    free(d->stored);
    return rc;
}

int tbi_draft_check(const struct tbi_draft *d, const tb_ref *refs)
{
    bool none = refs == NULL && d->nreturns > 0;

    if (!none && (d->value != NULL || d->nvalues == 0))
        return 0;
    return tbi_error_set(TB_ERR_ARGUMENT, "'%s' is called with %zu %s at NULL", d->name,
                         none ? d->nreturns : d->nvalues, none ? "refs" : "values");
}

/* ---- tasks ---- */

static int find_task(struct tbi_draft *d, tb_task_fn *fn, const tb_options *options)
{
    d->fn = tbi_registry_find(fn, d->name);
    return d->fn < 0 ? TB_ERR_UNREGISTERED
                     : tbi_options_read(d->name, tbi_registry_row(d->fn)->options, options,
                                        d->p->cluster->resources, &d->terms);
}

int tb_remote_v_(tb_task_fn *fn, const char *name, const tb_options *options, tb_ref *refs,
                 size_t nrefs, const tb_value *values, size_t nvalues)
{
    struct tbi_draft d = {.name = name, .value = values, .nvalues = nvalues, .nreturns = nrefs,
                          .kind = TBI_TASK};
    int rc = tbi_draft_check(&d, refs);

    if (rc != 0)
        return rc;
    d.p = tbi_process_enter("tb_remote");
    if (d.p == NULL) {
        for (size_t i = 0; i < nrefs; i++)
            refs[i] = tbi_ref_code(TB_ERR_STATE);
        return TB_ERR_STATE;
    }
    rc = tbi_submit(&d, find_task(&d, fn, options), refs);
    tbi_process_leave(d.p);
    return rc;
}

tb_ref tb_remote_(tb_task_fn *fn, const char *name, const tb_options *options,
                  const tb_value *values, size_t nvalues)
{
    tb_ref ref = {0, 0};

    if (tb_remote_v_(fn, name, options, &ref, 1, values, nvalues) == TB_ERR_ARGUMENT &&
        tb_ref_is_null(ref))
        ref = tbi_ref_code(TB_ERR_ARGUMENT);
    return ref;
}
