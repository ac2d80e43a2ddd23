/* scope.c - what is released together. Each thread has a stack of scopes of its own; below it lies, in
 * an executor, the scope of the running task. A scope is a list of counts it owns, one entry for
 * each ref that was made while it was the innermost. */
#include "api/call.h"
#include "api/errors.h"
#include "api/process.h"
#include "util/alloc.h"

struct tbi_scope {
    struct tbi_scope *outer;
    struct tbi_id *id;
    size_t n, room;
};

static _Thread_local struct tbi_scope *innermost;

struct tbi_scope *tbi_scope_create(void)
{
    return tbi_alloc_zeroed(1, sizeof(struct tbi_scope));
}

static void note(struct tbi_scope *scope, struct tbi_id id)
{
    if (scope->n == scope->room) {
        scope->room = scope->room * 2 + 16;
        scope->id = tbi_realloc(scope->id, scope->room * sizeof *scope->id);
    }
    scope->id[scope->n++] = id;
}

/* That of the running call, below all of this thread's; NULL in the driver. */
static struct tbi_scope *lowest(const struct tbi_process *p)
{
    const struct tb_call *call = tbi_process_call(p);

    return call != NULL ? call->scope : NULL;
}

void tbi_scope_note(struct tbi_process *p, struct tbi_id id)
{
    struct tbi_scope *scope = innermost != NULL ? innermost : lowest(p);

    if (scope != NULL)
        note(scope, id);
}

void tbi_scope_note_in(struct tbi_scope *scope, struct tbi_id id)
{
    note(scope, id);
}

void tbi_scope_release_borrowed(struct tbi_process *p, struct tbi_scope *scope)
{
    size_t left = 0;

    for (size_t i = 0; i < scope->n; i++) {
        const struct tbi_handle *h = tbi_handle_find(p, scope->id[i]);

        if (h == NULL || h->borrowers == 0)
            scope->id[left++] = scope->id[i];
        else if (h->count > 0)
            tbi_handle_release(p, scope->id[i]);
    }
    scope->n = left;
}

void tbi_scope_destroy(struct tbi_process *p, struct tbi_scope *scope)
{
    for (size_t i = scope->n; i-- > 0;) {
        const struct tbi_handle *h = tbi_handle_find(p, scope->id[i]);

        if (h != NULL && h->count > 0) /* else the program released it itself */
            tbi_handle_release(p, scope->id[i]);
    }
    free(scope->id);
    free(scope);
}

void tb_scope_begin(void)
{
    struct tbi_scope *scope = tbi_scope_create();

    scope->outer = innermost;
    innermost = scope;
}

void tb_scope_end(void)
{
    struct tbi_scope *scope = innermost;
    struct tbi_process *p;

    if (scope == NULL) {
        tbi_error_set(TB_ERR_STATE, "tb_scope_end without tb_scope_begin in this thread");
        return;
    }
    innermost = scope->outer;
    p = tbi_process_enter("tb_scope_end");
    if (p == NULL) { /* finalised within the scope: everything was released */
        free(scope->id);
        free(scope);
        return;
    }
    tbi_scope_destroy(p, scope);
    tbi_process_leave(p);
}

static int keep(struct tbi_id id, const char *function, const char *what)
{
    struct tbi_process *p = tbi_process_enter(function);
    struct tbi_scope *scope = innermost, *outer;

    if (p == NULL)
        return TB_ERR_STATE;
    if (scope == NULL)
        scope = lowest(p);
    for (size_t i = scope == NULL ? 0 : scope->n; i-- > 0;)
        if (tbi_id_equal(scope->id[i], id)) {
            scope->id[i] = scope->id[--scope->n];
            outer = scope == lowest(p) ? NULL : scope->outer ? scope->outer : lowest(p);
            if (outer != NULL)
                note(outer, id);
            tbi_process_leave(p);
            return 0;
        }
    tbi_process_leave(p);
    return tbi_error_set(TB_ERR_ARGUMENT, "%s: the %s was not made in this scope", function, what);
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
    const struct tbi_handle *h;
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_id_check(p, id, what);
    h = rc == 0 ? tbi_handle_find(p, id) : NULL;
    if (h != NULL && h->count > 0)
        tbi_scope_note(p, id);
    else if (rc == 0)
        rc = tbi_error_set(TB_ERR_REF, "%s: this process does not hold the %s: it was released before, or only "
                           "seen in a view", function, what);
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
