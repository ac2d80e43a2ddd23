/* handles.c - the refs and actors that this process holds. Only its first and last count of a ref make a
 * message; a ref that came with an argument is covered by the task and makes none. */
#include "api/call.h"
#include "api/errors.h"
#include "api/inner_refs.h"
#include "util/alloc.h"
#include "util/fault.h"
#include "util/plural.h"

struct tbi_handle *tbi_handle_find(const struct tbi_process *p, struct tbi_id id)
{
    return tbi_id_is_null(id) ? NULL : tbi_map_get(&p->handles, id);
}

static struct tbi_handle *add(struct tbi_process *p, struct tbi_id id)
{
    struct tbi_handle *h = tbi_alloc_zeroed(1, sizeof *h);

    h->id = id;
    tbi_map_put(&p->handles, id, h);
    return h;
}

struct tbi_handle *tbi_handle_new(struct tbi_process *p, struct tbi_id id)
{
    struct tbi_handle *h = add(p, id);

    h->count = 1;
    tbi_scope_note(p, h);
    return h;
}

struct tbi_handle *tbi_handle_use(struct tbi_process *p, struct tbi_id id)
{
    struct tbi_handle *h = tbi_handle_find(p, id);

    if (h == NULL)
        h = add(p, id);
    h->users++;
    return h;
}

void tbi_handle_see(struct tbi_process *p, struct tbi_handle *h)
{
    if (!h->seen && !h->local)
        tbi_process_send_id(p, TBI_MSG_SEEN, h->id);
    h->seen = true;
}

void tbi_handle_report_unread(const struct tbi_handle *h)
{
    if (h->local && !h->seen)
        tbi_error_report_unread(h->blob);
}

void tbi_handle_forget(struct tbi_process *p, struct tbi_handle *h)
{
    tbi_handle_report_unread(h);
    tbi_inner_close(p, h);
    if (h->state == TBI_HANDLE_STORED) {
        tbi_process_send_id(p, TBI_MSG_UNPIN, h->id);
    } else if (h->state == TBI_HANDLE_OPEN) {
        tbi_memory_take_back(p->memory, h->offset, h->bytes);
        tbi_process_send_id(p, TBI_MSG_ABANDON, h->id);
    }
    if (h->asked || h->asked_exists)
        tbi_process_send_id(p, TBI_MSG_FORGET, h->id);
    tbi_map_take(&p->handles, h->id);
    free(h->blob);
    free(h);
}

void tbi_handle_settle(struct tbi_process *p, struct tbi_handle *h)
{
    if (h->state != TBI_HANDLE_STORED || h->users > 0 || h->views > 0 || h->kept)
        return;
    tbi_inner_unmap(p, h);
    tbi_process_send_id(p, TBI_MSG_UNPIN, h->id);
    h->state = TBI_HANDLE_EXISTS;
}

void tbi_handle_end_views(struct tbi_process *p, struct tbi_handle *h)
{
    h->views = 0;
    h->kept = false;
    if (h->users == 0)
        tbi_handle_forget(p, h);
}

void tbi_handle_drop_use(struct tbi_process *p, struct tbi_handle *h)
{
    h->users--;
    if (h->count == 0 && h->borrowers == 0 && h->views == 0 && !h->kept && h->users == 0)
        tbi_handle_forget(p, h);
    else
        tbi_handle_settle(p, h);
}

struct tbi_handle *tbi_handle_own(struct tbi_process *p, struct tbi_id id)
{
    struct tbi_handle *h = tbi_handle_find(p, id);

    if (h == NULL)
        h = add(p, id);
    if (h->count++ == 0 && h->borrowers == 0 && !h->local) {
        tbi_fault_point(TBI_FAULT_HOLD);
        tbi_process_send_id(p, TBI_MSG_HOLD, id);
    }
    return h;
}

struct tbi_handle *tbi_handle_own_found(struct tbi_process *p, struct tbi_id id, bool made)
{
    struct tbi_handle *h = tbi_handle_find(p, id);

    if (h == NULL)
        h = add(p, id);
    if (h->count++ > 0 && !made && (h->borrowers == 0 || h->told))
        tbi_process_send_id(p, TBI_MSG_RELEASE, id); /* it is counted twice now, and once is enough */
    h->told = h->borrowers > 0;
    return h;
}

void tbi_handle_borrow(struct tbi_process *p, struct tbi_call *call, struct tbi_id id)
{
    struct tbi_handle *h = tbi_handle_find(p, id);

    if (tbi_id_is_null(id) || (h != NULL && h->count > 0 && h->borrowers == 0))
        return; /* held already: that is worth more */
    if (h == NULL)
        h = add(p, id);
    if (h->borrower == call)
        return;
    if (call->nborrowed == call->borrowed_room) {
        call->borrowed_room = call->borrowed_room * 2 + 16;
        call->borrowed = tbi_realloc(call->borrowed, call->borrowed_room * sizeof *call->borrowed);
    }
    call->borrowed[call->nborrowed++] = id;
    h->borrowers++;
    h->borrower = call;
}

/* Returns whether the program goes on owning it, without the agent knowing. */
static bool end_borrowing(struct tbi_process *p, const struct tbi_call *call, struct tbi_handle *h)
{
    bool kept;

    if (h->borrower == call)
        h->borrower = NULL;
    if (--h->borrowers > 0)
        return false;
    kept = h->count > 0 && !h->told;
    h->told = false;
    if (h->count == 0 && h->users == 0)
        tbi_handle_forget(p, h);
    return kept;
}

uint32_t tbi_handles_end_borrowing(struct tbi_process *p, struct tbi_call *call, struct tbi_id *kept)
{
    uint32_t n = 0;

    for (size_t i = 0; i < call->nborrowed; i++)
        if (end_borrowing(p, call, tbi_handle_find(p, call->borrowed[i])))
            kept[n++] = call->borrowed[i];
    call->nborrowed = 0;
    return n;
}

static int release(struct tbi_process *p, struct tbi_id id, const char *what)
{
    struct tbi_handle *h = tbi_handle_find(p, id);
    char text[64];

    if (h == NULL || h->count == 0)
        return tbi_error_set(TB_ERR_REF, "%s %s is released, but this process does not hold it: "
                             "it was released before, or only seen in a view", what,
                             tb_ref_text(tbi_ref_of(id), text, sizeof text));
    tbi_scope_on_release(h);
    if (--h->count > 0)
        return 0;
    if ((h->borrowers == 0 || h->told) && !h->local && h->state != TBI_HANDLE_OPEN) {
        tbi_fault_point(TBI_FAULT_RELEASE);
        tbi_process_send_id(p, TBI_MSG_RELEASE, id);
    }
    h->told = false;
    h->views = 0; /* views end with the ref */
    h->kept = false;
    if (h->users == 0 && h->borrowers == 0)
        tbi_handle_forget(p, h);
    return 0;
}

int tbi_handle_release(struct tbi_process *p, struct tbi_id id)
{
    return release(p, id, "ref");
}

static bool is_own(const struct tbi_process *p, struct tbi_id id)
{
    return tbi_id_rank(id) == p->rank && tbi_id_proc(id) == p->proc;
}

bool tbi_id_is_failed(const struct tbi_process *p, struct tbi_id id)
{
    int code = -(int)tbi_id_error(id);

    return code < 0 && code >= TB_ERR_LAST_ &&
           (tbi_id_job(id) == p->job || tbi_id_equal(id, tbi_id_of(tbi_ref_code(code))));
}

int tbi_id_check_made(const struct tbi_process *p, struct tbi_id id, const char *what)
{
    char text[64];

    if (!tbi_id_is_null(id) && tbi_id_error(id) == 0 && tbi_id_job(id) == p->job &&
        (!is_own(p, id) || tbi_id_counter(id) <= p->counter))
        return 0;
    if (tbi_id_is_null(id))
        return tbi_error_set(TB_ERR_REF, "the %s is null: it was never set", what);
    if (tbi_id_is_failed(p, id) && tbi_handle_find(p, id) == NULL)
        return tbi_error_set(-(int)tbi_id_error(id), "the call that made this %s failed: %s", what,
                             tb_strerror(-(int)tbi_id_error(id)));
    if (tbi_id_error(id) != 0 && tbi_handle_find(p, id) == NULL)
        return tbi_error_set(TB_ERR_REF, "the %s is none: its memory holds something else", what);
    if (tbi_id_job(id) != p->job)
        return tbi_error_set(TB_ERR_REF, "%s %s belongs to another job (%u; this is %u)", what,
                             tb_ref_text(tbi_ref_of(id), text, sizeof text), tbi_id_job(id), p->job);
    if (is_own(p, id) && tbi_id_counter(id) > p->counter)
        return tbi_error_set(TB_ERR_REF, "%s %s was never made", what,
                             tb_ref_text(tbi_ref_of(id), text, sizeof text));
    return 0;
}

/* Whoever else may still hold it: if this process let go of what it made, its use is a mistake, and fails each time. */
int tbi_id_check(struct tbi_process *p, struct tbi_id id, const char *what)
{
    int rc = tbi_id_check_made(p, id, what);
    char text[64];

    if (rc != 0 || !is_own(p, id) || tbi_inner_is_held(p, id))
        return rc;
    return tbi_error_set(TB_ERR_REF, "%s %s is not held any more: it was freed by tb_release, or with the scope that it was made in%s",
                         what, tb_ref_text(tbi_ref_of(id), text, sizeof text), tbi_call_hint_to_keep(p));
}

int tbi_ref_check(struct tbi_process *p, tb_ref ref)
{
    return tbi_id_check(p, tbi_id_of(ref), "ref");
}

tb_ref tbi_ref_failed(struct tbi_process *p, const void *error, size_t bytes)
{
    int code = ((const struct tbi_error_link *)error)->code;
    struct tbi_id id = tbi_process_new_id(p);
    struct tbi_handle *h;

    id.hi |= (uint64_t)(-code & 0xff);
    h = tbi_handle_new(p, id);
    h->local = true;
    h->seen = p->closing || code == TB_ERR_CANCELLED; /* nobody is to read that: somebody wanted it so */
    h->state = TBI_HANDLE_FAILED;
    h->bytes = bytes;
    h->blob = tbi_copy(error, bytes);
    return tbi_ref_of(id);
}

tb_ref tbi_ref_code(int code)
{
    return (tb_ref){(uint64_t)(-code & 0xff), 0};
}

static int retain(struct tbi_id id, const char *function, const char *what)
{
    struct tbi_process *p = tbi_process_enter(function);
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_id_check(p, id, what);
    if (rc == 0)
        tbi_handle_own(p, id);
    tbi_process_leave(p);
    return rc;
}

int tb_retain(tb_ref ref)
{
    return retain(tbi_id_of(ref), "tb_retain", "ref");
}

int tb_actor_retain(tb_actor actor)
{
    return retain(tbi_actor_id(actor), "tb_actor_retain", "actor");
}

/* What the user lets go of; what is only a code is not held. */
static int let_go(struct tbi_process *p, struct tbi_id id, const char *what)
{
    int rc;

    if (tbi_id_is_failed(p, id) && tbi_handle_find(p, id) == NULL)
        return 0;
    rc = tbi_id_check_made(p, id, what);
    return rc != 0 ? rc : release(p, id, what);
}

int tb_release(tb_ref ref)
{
    return tb_release_all(&ref, 1);
}

int tb_release_all(const tb_ref *refs, size_t n)
{
    struct tbi_process *p;
    int first = 0;

    if (refs == NULL && n > 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_release_all: refs is NULL");
    p = tbi_process_enter("tb_release");
    if (p == NULL)
        return TB_ERR_STATE;
    for (size_t i = 0; i < n; i++) {
        int rc = let_go(p, tbi_id_of(refs[i]), "ref");

        if (first == 0)
            first = rc;
    }
    tbi_process_leave(p);
    return first;
}

int tb_actor_release(tb_actor actor)
{
    struct tbi_process *p = tbi_process_enter("tb_actor_release");
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = let_go(p, tbi_actor_id(actor), "actor");
    p->hurries = true; /* its resources are for others, though the driver may compute for long now */
    tbi_process_leave(p);
    return rc;
}

bool tbi_handles_are_viewed(const struct tbi_process *p)
{
    struct tbi_map_slot e;
    size_t at = 0;

    while (tbi_map_next(&p->handles, &at, &e)) {
        const struct tbi_handle *h = e.value;

        if (h->views > 0 || h->kept || h->state == TBI_HANDLE_OPEN)
            return true;
    }
    return false;
}

size_t tbi_handles_report_leaks(const struct tbi_process *p, FILE *to)
{
    enum { SHOWN = 10 };
    tb_ref leaked[SHOWN];
    struct tbi_map_slot e;
    size_t at = 0, n = 0;

    while (tbi_map_next(&p->handles, &at, &e)) {
        const struct tbi_handle *h = e.value;

        if (h->count == 0)
            continue;
        if (n < SHOWN)
            leaked[n] = tbi_ref_of(h->id);
        n++;
    }
    if (n == 0)
        return 0;
    fprintf(to, "thornback: %zu ref%s not released before tb_finalize:", n,
            tbi_plural(n, " was", "s were"));
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        char text[64];

        fprintf(to, " %s", tb_ref_text(leaked[i], text, sizeof text));
    }
    fprintf(to, n > SHOWN ? " ...\n" : "\n");
    return n;
}
