/* process_records.c - what a process does with the records that its agent sends it: answers about objects, rooms,
 * actors and resources, credit, and leave to go on. */
#include "api/process.h"
#include "api/actor.h"
#include "api/call.h"
#include "util/alloc.h"

static void keep_blob(struct tbi_handle *h, uint8_t state, const void *bytes, uint64_t n)
{
    void *blob;

    if (h->blob != NULL)
        return; /* a second answer */
    blob = tbi_need_memory(aligned_alloc(TBI_VALUE_ALIGN, (n / TBI_VALUE_ALIGN + 1) *
                                                              TBI_VALUE_ALIGN), n);
    h->blob = memcpy(blob, bytes, n);
    h->bytes = n;
    h->state = state;
}

static void on_object(struct tbi_process *p, const struct msg_located *m)
{
    struct tbi_handle *h = tbi_handle_find(p, m->id);

    if (h == NULL) { /* it was released meanwhile */
        if (m->where == TBI_AT_STORE)
            tbi_process_send_id(p, TBI_MSG_UNPIN, m->id);
        return;
    }
    h->polled = false;
    p->heard += m->where != TBI_AT_PENDING;
    switch (m->where) {
    case TBI_AT_INLINE:
        h->asked = h->asked_exists = false;
        keep_blob(h, TBI_HANDLE_INLINE, m + 1, m->bytes);
        break;
    case TBI_AT_ERROR:
        h->asked = h->asked_exists = false;
        if (h->state != TBI_HANDLE_STORED)
            keep_blob(h, TBI_HANDLE_FAILED, m + 1, m->bytes);
        break;
    case TBI_AT_STORE:
        h->asked = false;
        if (h->state == TBI_HANDLE_STORED) {
            tbi_process_send_id(p, TBI_MSG_UNPIN, m->id);
            break;
        }
        h->state = TBI_HANDLE_STORED;
        h->near = true;
        h->rank = m->rank;
        h->offset = m->offset;
        h->bytes = m->bytes;
        tbi_handle_settle(p, h);
        break;
    case TBI_AT_EXISTS:
        h->asked_exists = false;
        if (h->state == TBI_HANDLE_UNKNOWN)
            h->state = TBI_HANDLE_EXISTS;
        break;
    default: /* TBI_AT_PENDING */
        break;
    }
}

static void on_created(struct tbi_process *p, const struct msg_created *m)
{
    struct tbi_creating *c = p->creating;

    for (struct tbi_given_up **at = &p->given_up, *g; (g = *at) != NULL; at = &g->next)
        if (tbi_id_equal(g->id, m->id)) { /* older than any create of this id that still waits */
            *at = g->next;
            free(g);
            return;
        }
    while (c != NULL && !tbi_id_equal(c->id, m->id))
        c = c->next;
    if (c == NULL)
        return;
    c->answered = true;
    c->offset = m->offset;
    c->cold = m->cold;
    c->failed = m->error_bytes > 0;
    if (tbi_error_links(m + 1, m->error_bytes) > 0)
        *c->error = *(const struct tbi_error_link *)(m + 1);
}

static struct tbi_inquiry *find_inquiry(const struct tbi_process *p, uint64_t ticket)
{
    struct tbi_inquiry *i = p->inquiries;

    while (i != NULL && i->ticket != ticket)
        i = i->next;
    return i;
}

static void on_informed(struct tbi_process *p, const struct msg_inquire *m)
{
    struct tbi_inquiry *i = find_inquiry(p, m->ticket);

    if (i == NULL)
        return;
    i->answered = true;
    i->amount = m->amount;
}

static void on_tallied(struct tbi_process *p, const struct msg_unfinished *m)
{
    struct tbi_inquiry *i = find_inquiry(p, m->ticket);

    if (i == NULL)
        return;
    i->answered = true;
    i->left = *m;
}

/* The task's own thread binds itself, when it goes on. */
static void on_resume(struct tbi_process *p, const struct msg_resume *m)
{
    struct tbi_call *call = p->running;

    while (call != NULL && !tbi_id_equal(call->run->task, m->task))
        call = call->next;
    if (call == NULL)
        return;
    call->cpus = TBI_CPUS_HELD;
    call->resumes++;
    call->ncores = m->ncores;
    if (m->ncores > 0) {
        call->cores = tbi_realloc(call->cores, m->ncores * sizeof *call->cores);
        memcpy(call->cores, m + 1, m->ncores * sizeof *call->cores);
    }
}

bool tbi_process_take(struct tbi_process *p, const struct tbi_record *record)
{
    const void *body = record + 1;
    bool ok = true;

    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->news, 1);
    switch ((enum tbi_msg)record->type) {
    case TBI_MSG_OBJECT:
        on_object(p, body);
        break;
    case TBI_MSG_CREATED:
        on_created(p, body);
        break;
    case TBI_MSG_INFORMED:
        on_informed(p, body);
        break;
    case TBI_MSG_TALLIED:
        on_tallied(p, body);
        break;
    case TBI_MSG_GRANTED:
        tbi_credit_granted(p, body);
        break;
    case TBI_MSG_FOUND:
        tbi_actor_on_found(p, body);
        break;
    case TBI_MSG_RESUME:
        on_resume(p, body);
        break;
    default:
        ok = p->take_other != NULL && p->take_other(p, record);
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}
