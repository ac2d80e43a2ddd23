/* actor.c - actors from outside: they are made, called, found by name and killed. What happens in the process of
 * an actor is in instance.c. */
#include "api/actor.h"
#include "api/lend.h"
#include "api/call.h"
#include "api/errors.h"
#include "api/inner_refs.h"
#include "api/registry.h"
#include "api/submit.h"
#include "util/error_blob.h"
#include "util/plural.h"

#include <string.h>

/* ---- by name ---- */

/* Who waits for a FOUND; lives on the stack of the thread that waits. */
struct tbi_finding {
    struct tbi_finding *next;
    uint64_t ticket;
    bool answered;
    struct tbi_id id;       /* null: there is none */
};

void tbi_actor_on_found(struct tbi_process *p, const struct msg_found *m)
{
    struct tbi_finding *f = p->findings;

    while (f != NULL && f->ticket != m->ticket)
        f = f->next;
    if (!tbi_id_is_null(m->id))
        tbi_handle_own_found(p, m->id, tbi_id_equal(m->id, m->submitted));
    if (f != NULL) {
        f->answered = true;
        f->id = m->id;
    } else if (!tbi_id_is_null(m->id)) {
        tbi_handle_release(p, m->id); /* who asked was cancelled meanwhile */
    }
}

static bool is_answered(void *arg)
{
    return ((struct tbi_finding *)arg)->answered;
}

/* Waits for the answer to what was sent with this ticket, and puts the handle into the caller's scope. 0, or why
 * the wait ended. */
static int await(struct tbi_process *p, uint64_t ticket, struct tbi_id *id)
{
    struct tbi_finding finding = {.next = p->findings, .ticket = ticket}, **at;

    p->findings = &finding;
    tbi_process_wait_blocked(p, is_answered, &finding, UINT64_MAX);
    for (at = &p->findings; *at != &finding; at = &(*at)->next) {
    }
    *at = finding.next;
    *id = finding.id;
    if (!finding.answered)
        return tbi_process_why_ended(p);
    if (!tbi_id_is_null(*id))
        tbi_scope_note(p, tbi_handle_find(p, *id));
    return 0;
}

int tb_get_actor(const char *name, const char *name_space, tb_actor *actor)
{
    struct tbi_process *p;
    struct msg_find *m;
    struct tbi_id id;
    size_t bytes;
    int rc;

    if (actor == NULL || name == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_get_actor: name or actor is NULL");
    *actor = (tb_actor){0};
    if (strlen(name) > TBI_NAME_MAX || (name_space != NULL && strlen(name_space) > TBI_NAME_MAX))
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_get_actor: \"%.40s...\": names and namespaces have up to %d bytes",
                             strlen(name) > TBI_NAME_MAX ? name : name_space, TBI_NAME_MAX);
    bytes = tbi_name_bytes(name_space, name);
    p = tbi_process_enter("tb_get_actor");
    if (p == NULL)
        return TB_ERR_STATE;
    m = p->port.send(p->port.ctx, TBI_MSG_FIND, sizeof *m + tbi_padded(bytes));
    *m = (struct msg_find){.ticket = ++p->next_ticket, .name_bytes = (uint32_t)bytes};
    tbi_name_pack(name_space, name, m + 1);
    rc = await(p, p->next_ticket, &id);
    if (rc == 0 && tbi_id_is_null(id))
        rc = tbi_error_set(TB_ERR_ARGUMENT, "there is no actor named \"%s\" in namespace \"%s\": none was made, or "
                           "it has ended", name, name_space != NULL ? name_space : "");
    *actor = tbi_actor_of(rc == 0 ? id : (struct tbi_id){0});
    tbi_process_leave(p);
    return rc;
}

/* ---- making ---- */

static int find_class(struct tbi_draft *d, struct tb_actor_class_ cls, const tb_options *options)
{
    d->fn = tbi_registry_find_class(cls, d->name);
    if (d->fn >= 0 && cls.record->cls->init == NULL && d->nvalues > 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "'%s' is made with %zu argument%s, but its class has no .init that "
                             "would read them", d->name, d->nvalues, tbi_s(d->nvalues));
    return d->fn < 0 ? TB_ERR_UNREGISTERED
                     : tbi_options_read_actor(d->name, cls.record->options, options, d->p->cluster->resources,
                                              &d->terms);
}

/* What was submitted is an actor of its own, or only the question for one. */
static tb_ref await_existing(struct tbi_process *p, const struct tbi_draft *d)
{
    struct tbi_error_link link;
    struct tbi_id id;
    int rc = await(p, d->ticket, &id);

    if (rc == 0 && tbi_id_is_null(id))
        rc = tbi_error_set(TB_ERR_ACTOR_DIED, "'%s' was not made", d->name);
    if (rc == 0)
        return tbi_ref_of(id);
    tbi_error_link(&link, rc, "%s", tb_last_error());
    return tbi_ref_failed(p, &link, sizeof link);
}

tb_actor tb_actor_new_(struct tb_actor_class_ cls, const char *name, const tb_options *options,
                       const tb_value *values, size_t nvalues)
{
    struct tbi_draft d = {.name = name, .value = values, .nvalues = nvalues, .nreturns = 1, .kind = TBI_ACTOR};
    tb_ref ref = {0, 0};
    int rc = tbi_draft_check(&d, &ref);

    if (rc != 0)
        return tbi_actor_of(tbi_id_of(tbi_ref_code(rc)));
    d.p = tbi_process_enter("tb_actor_new");
    if (d.p == NULL)
        return tbi_actor_of(tbi_id_of(tbi_ref_code(TB_ERR_STATE)));
    rc = find_class(&d, cls, options);
    if (d.terms.actor.get_if_exists)
        d.ticket = ++d.p->next_ticket;
    rc = tbi_submit(&d, rc, &ref);
    if (rc == 0 && d.terms.actor.get_if_exists)
        ref = await_existing(d.p, &d);
    tbi_process_leave(d.p);
    return tbi_actor_of(tbi_id_of(ref));
}

/* ---- calling ---- */

/* May this handle be used here, as its holder? 0, or an error with the last error set, which is the draft's too. */
static int check_actor(struct tbi_draft *d)
{
    const struct tbi_handle *h;
    char text[64];
    int rc = tbi_id_check_made(d->p, d->actor, "actor");

    if (rc != 0)
        return rc;
    h = tbi_handle_find(d->p, d->actor);
    if (h != NULL && h->local)
        return tbi_draft_fail_as(d, tbi_handle_find(d->p, d->actor));
    if (h == NULL || (h->count == 0 && h->borrowers == 0))
        return tbi_error_set(TB_ERR_REF, "'%s' is called on actor %s, but this process does not hold it: it was "
                             "released, or only seen in a view (then tb_actor_retain makes it yours)%s", d->name,
                             tb_ref_text(tbi_ref_of(d->actor), text, sizeof text), tbi_call_hint_to_keep(d->p));
    return 0;
}

static int find_method(struct tbi_draft *d, tb_function_ *fn, const tb_options *options)
{
    const struct tb_task_record_ *row;
    int rc;

    d->fn = tbi_registry_find_method(fn, d->name);
    if (d->fn < 0)
        return TB_ERR_UNREGISTERED;
    rc = check_actor(d);
    if (rc != 0)
        return rc;
    row = tbi_registry_row(d->fn);
    return tbi_options_read_call(d->name, row->method->of->name, row->method->of->options, row->options, options,
                                 &d->terms);
}

static int call_method(struct tbi_draft *d, tb_function_ *method, const tb_options *options, tb_ref *refs)
{
    int rc = tbi_draft_check(d, refs);

    if (rc != 0)
        return rc;
    d->p = tbi_process_enter("tb_actor_call");
    if (d->p == NULL) {
        for (size_t i = 0; i < d->nreturns; i++)
            refs[i] = tbi_ref_code(TB_ERR_STATE);
        return TB_ERR_STATE;
    }
    rc = tbi_submit(d, find_method(d, method, options), refs);
    tbi_process_leave(d->p);
    return rc;
}

int tb_actor_call_v_(tb_actor actor, tb_function_ *method, const char *name, const tb_options *options,
                     tb_ref *refs, size_t nrefs, const tb_value *values, size_t nvalues)
{
    struct tbi_draft d = {.name = name, .value = values, .nvalues = nvalues, .nreturns = nrefs,
                          .kind = TBI_CALL, .actor = tbi_actor_id(actor)};

    return call_method(&d, method, options, refs);
}

tb_ref tbi_actor_ask(tb_actor actor, tb_function_ *method, const char *name, const tb_value *values, size_t nvalues)
{
    struct tbi_draft d = {.name = name, .value = values, .nvalues = nvalues, .nreturns = 1, .kind = TBI_CALL,
                          .actor = tbi_actor_id(actor), .awaited = true};
    tb_ref ref = {0, 0};
    int rc = call_method(&d, method, NULL, &ref);

    return rc != 0 && tb_ref_is_null(ref) ? tbi_ref_code(rc) : ref;
}

tb_ref tb_actor_call_(tb_actor actor, tb_function_ *method, const char *name, const tb_options *options,
                      const tb_value *values, size_t nvalues)
{
    tb_ref ref = {0, 0};
    int rc = tb_actor_call_v_(actor, method, name, options, &ref, 1, values, nvalues);

    return rc != 0 && tb_ref_is_null(ref) ? tbi_ref_code(rc) : ref;
}

/* ---- killing ---- */

/* By this process, perhaps only inside an array that it has a view of. */
static int check_held(struct tbi_process *p, struct tbi_id id, const char *function)
{
    int rc = tbi_id_check_made(p, id, "actor");
    char text[64];

    if (rc != 0 || tbi_inner_is_held(p, id))
        return rc;
    return tbi_error_set(TB_ERR_REF, "%s of actor %s, but this process does not hold it: it was released", function,
                         tb_ref_text(tbi_ref_of(id), text, sizeof text));
}

int tbi_actor_kill(tb_actor actor, uint32_t flags, enum tbi_killer by)
{
    const char *function = by == TBI_BY_QUEUE_SHUTDOWN ? "tb_queue_shutdown" : "tb_kill";
    struct tbi_process *p = tbi_process_enter(function);
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = check_held(p, tbi_actor_id(actor), function);
    if (rc == 0 && tbi_id_error(tbi_actor_id(actor)) == 0) { /* else it was never made */
        struct msg_cancel *m = p->port.send(p->port.ctx, TBI_MSG_KILL, sizeof *m);

        *m = (struct msg_cancel){tbi_actor_id(actor), flags, by};
    }
    tbi_process_leave(p);
    return rc;
}

int tb_kill(tb_actor actor, int flags)
{
    if (flags & ~TB_KILL_NO_RESTART)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_kill: unknown flags %#x", flags);
    return tbi_actor_kill(actor, (uint32_t)flags, TBI_BY_KILL);
}
