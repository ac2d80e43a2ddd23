/* scope.c - refs that are released together. Each thread has a stack of scopes of its own; below it lies, in an
 * executor, the scope of the running call. A scope owns counts of handles: one entry for each handle, with the
 * number of its counts that belong to the scope. A count that the program releases leaves its scope at once, so a
 * scope takes no more memory than what it still owns. */
#include "api/call.h"
#include "api/errors.h"
#include "api/process.h"
#include "util/alloc.h"
#include "util/list.h"

struct tbi_scope {
    struct tbi_scope *outer;
    struct tbi_link owned;      /* struct tbi_owned, the oldest first */
};

struct tbi_owned {
    struct tbi_link link;       /* of its scope */
    struct tbi_owned *next;     /* of the same handle, in another scope */
    struct tbi_scope *scope;
    struct tbi_handle *handle;  /* NULL: the process has ended its part in the job */
    uint32_t counts;            /* never 0 */
};

static _Thread_local struct tbi_scope *innermost;

struct tbi_scope *tbi_scope_create(void)
{
    struct tbi_scope *scope = tbi_alloc_zeroed(1, sizeof(struct tbi_scope));

    tbi_list_init(&scope->owned);
    return scope;
}

/* ---- entries ---- */

static struct tbi_owned *find(const struct tbi_scope *scope, const struct tbi_handle *h)
{
    struct tbi_owned *o = h->owned;

    while (o != NULL && o->scope != scope)
        o = o->next;
    return o;
}

/* Gives up to `counts` of the entry's counts to nobody. */
static void disown(struct tbi_owned *o, uint32_t counts)
{
    struct tbi_owned **at;

    o->counts -= counts;
    if (o->counts > 0)
        return;
    if (o->handle != NULL) {
        for (at = &o->handle->owned; *at != o; at = &(*at)->next) {
        }
        *at = o->next;
    }
    tbi_list_unlink(&o->link);
    free(o);
}

void tbi_scope_note_in(struct tbi_scope *scope, struct tbi_handle *h)
{
    struct tbi_owned *o = find(scope, h);

    if (o == NULL) {
        o = tbi_alloc(sizeof *o);
        *o = (struct tbi_owned){.next = h->owned, .scope = scope, .handle = h};
        h->owned = o;
        tbi_list_append(&scope->owned, &o->link);
    }
    o->counts++;
}

/* The scope of the running call, below all of this thread's; NULL in the driver. */
static struct tbi_scope *lowest(const struct tbi_process *p)
{
    const struct tbi_call *call = tbi_process_call(p);

    return call != NULL ? call->scope : NULL;
}

void tbi_scope_note(struct tbi_process *p, struct tbi_handle *h)
{
    struct tbi_scope *scope = innermost != NULL ? innermost : lowest(p);

    if (scope != NULL)
        tbi_scope_note_in(scope, h);
}

static uint32_t owned_by_scopes(const struct tbi_handle *h)
{
    uint32_t n = 0;

    for (const struct tbi_owned *o = h->owned; o != NULL; o = o->next)
        n += o->counts;
    return n;
}

void tbi_scope_on_release(struct tbi_handle *h)
{
    if (h->owned != NULL && owned_by_scopes(h) == h->count)
        disown(h->owned, 1);
}

void tbi_scope_forget_handle(struct tbi_handle *h)
{
    for (struct tbi_owned *o = h->owned; o != NULL; o = o->next)
        o->handle = NULL;
    h->owned = NULL;
}

/* ---- the end of a scope ---- */

static void release_counts(struct tbi_process *p, struct tbi_owned *o)
{
    struct tbi_handle *h = o->handle;
    uint32_t counts = o->counts;

    disown(o, counts);
    for (uint32_t i = 0; h != NULL && i < counts; i++)
        tbi_handle_release(p, h->id); /* the last one may free h; then i was the last, too */
}

void tbi_scope_release_borrowed(struct tbi_process *p, struct tbi_scope *scope)
{
    for (struct tbi_link *l = scope->owned.next, *next; l != &scope->owned; l = next) {
        struct tbi_owned *o = TBI_ENTRY(l, struct tbi_owned, link);

        next = l->next;
        if (o->handle != NULL && o->handle->borrowers > 0)
            release_counts(p, o);
    }
}

void tbi_scope_destroy(struct tbi_process *p, struct tbi_scope *scope)
{
    while (!tbi_list_empty(&scope->owned)) /* the latest first: what contains goes before its contents */
        release_counts(p, TBI_ENTRY(scope->owned.prev, struct tbi_owned, link));
    free(scope);
}

/* ---- public functions ---- */

void tb_scope_begin(void)
{
    struct tbi_scope *scope;

    if (tbi_process_is_inside()) {
        tbi_process_refuse_handler("tb_scope_begin");
        return;
    }
    tbi_process_stay_inside(true);
    scope = tbi_scope_create();
    scope->outer = innermost;
    innermost = scope;
    tbi_process_stay_inside(false);
}

void tb_scope_end(void)
{
    struct tbi_scope *scope = innermost;
    struct tbi_process *p;

    if (tbi_process_is_inside()) {
        tbi_process_refuse_handler("tb_scope_end");
        return;
    }
    if (scope == NULL) {
        tbi_error_set(TB_ERR_STATE, "tb_scope_end without tb_scope_begin in this thread");
        return;
    }
    innermost = scope->outer;
    p = tbi_process_enter("tb_scope_end");
    if (p != NULL || tbi_process_has_ended()) /* ended: no entry has a handle; else another thread is ending it */
        tbi_scope_destroy(p, scope);
    if (p != NULL)
        tbi_process_leave(p);
}

static int keep(struct tbi_id id, const char *function, const char *what)
{
    struct tbi_process *p = tbi_process_enter(function);
    struct tbi_scope *scope = innermost, *outer;
    struct tbi_handle *h;
    struct tbi_owned *o;
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_id_check(p, id, what);
    if (scope == NULL)
        scope = lowest(p);
    h = tbi_handle_find(p, id);
    o = h != NULL && scope != NULL ? find(scope, h) : NULL;
    if (o != NULL) {
        disown(o, 1);
        outer = scope == lowest(p) ? NULL : scope->outer ? scope->outer : lowest(p);
        if (outer != NULL)
            tbi_scope_note_in(outer, h);
    }
    tbi_process_leave(p);
    return o != NULL || rc != 0 ? rc : tbi_error_set(TB_ERR_ARGUMENT, "%s: the %s was not made in this scope", function, what);
}

int tb_scope_keep(tb_ref ref)
{
    return keep(tbi_id_of(ref), "tb_scope_keep", "ref");
}

int tb_scope_keep_actor(tb_actor actor)
{
    return keep(tbi_actor_id(actor), "tb_scope_keep_actor", "actor");
}

static int give(struct tbi_id id, const char *function, const char *what)
{
    struct tbi_process *p = tbi_process_enter(function);
    struct tbi_handle *h;
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_id_check_made(p, id, what);
    h = rc == 0 ? tbi_handle_find(p, id) : NULL;
    if (rc == 0 && (h == NULL || h->count == 0))
        rc = tbi_error_set(TB_ERR_REF, "%s: this process does not hold the %s: it was released before, or only "
                           "seen in a view", function, what);
    else if (rc == 0 && owned_by_scopes(h) == h->count)
        rc = tbi_error_set(TB_ERR_REF, "%s: the %s belongs to a scope already; tb_retain makes a count that can be "
                           "given", function, what);
    else if (rc == 0)
        tbi_scope_note(p, h);
    tbi_process_leave(p);
    return rc;
}

int tb_scope_give(tb_ref ref)
{
    return give(tbi_id_of(ref), "tb_scope_give", "ref");
}

int tb_scope_give_actor(tb_actor actor)
{
    return give(tbi_actor_id(actor), "tb_scope_give_actor", "actor");
}

void tb_scope_cleanup_(const int *unused)
{
    (void)unused;
    tb_scope_end();
}
