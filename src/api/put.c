/* put.c - tb_put and kin: small values travel in a message, larger ones are written into the segment
 * of the own rank, by ourselves. */
#include "api/put.h"
#include "api/errors.h"
#include "api/lend.h"
#include "exec/bell.h"
#include "util/alloc.h"
#include "util/error_blob.h"
#include "util/fault.h"

enum { AT_ONCE_US = 10000 };

static bool is_answered(void *arg)
{
    return ((struct tbi_creating *)arg)->answered;
}

void *tbi_create(struct tbi_process *p, struct tbi_id id, uint64_t bytes, bool lent, uint64_t *offset,
                 struct tbi_error_link *error)
{
    struct tbi_creating creating = {.next = p->creating, .id = id, .error = error};
    struct tbi_creating **at;
    struct msg_create *m;
    void *to;

    tbi_fault_point(TBI_FAULT_CREATE);
    m = p->port.send(p->port.ctx, TBI_MSG_CREATE, sizeof *m);
    *m = (struct msg_create){id, bytes};
    p->creating = &creating;
    /* Room that there is comes at once. Else it comes from tasks that end, which may need our CPUs. */
    if (!tbi_process_wait(p, is_answered, &creating, tbi_now_us() + AT_ONCE_US))
        tbi_process_wait_blocked(p, is_answered, &creating, UINT64_MAX);
    for (at = &p->creating; *at != &creating; at = &(*at)->next) {
    }
    *at = creating.next;
    if (!creating.answered) {
        struct tbi_given_up *g = tbi_alloc(sizeof *g);

        *g = (struct tbi_given_up){p->given_up, id};
        p->given_up = g;
        tbi_process_send_id(p, TBI_MSG_ABANDON, id); /* it may be lent to us already */
        tbi_error_link(error, tbi_process_why_ended(p), "%s", tb_last_error());
        return NULL;
    }
    if (creating.failed)
        return NULL;
    tbi_fault_point(TBI_FAULT_ROOM);
    *offset = creating.offset;
    pthread_mutex_unlock(&p->lock); /* getting pages can take long */
    to = (lent ? tbi_memory_lend : tbi_memory_open)(p->memory, creating.offset, bytes, creating.cold);
    pthread_mutex_lock(&p->lock);
    if (to == NULL) {
        tbi_error_link(error, TB_ERR_STORE_FULL,
                       "host %s has no memory for an object of %llu bytes, though the store has "
                       "room: /dev/shm or the memory limit of the job is smaller than the store; "
                       "set TB_STORE lower", p->host, (unsigned long long)bytes);
        (lent ? tbi_memory_take_back : tbi_memory_close)(p->memory, creating.offset, bytes);
        tbi_process_send_id(p, TBI_MSG_ABANDON, id);
    }
    return to;
}

const void *tbi_contained(const tb_value *v, size_t *n)
{
    *n = 0;
    if (!tbi_type_is_handle(v->type))
        return NULL;
    *n = (size_t)v->count;
    return v->flags & TB_VALUE_ARRAY ? v->ptr : &v->as.ref;
}

int tbi_contained_check(struct tbi_process *p, const tb_value *v)
{
    size_t n;
    const void *ids = tbi_contained(v, &n);
    char text[64];

    for (size_t i = 0; i < n; i++) {
        struct tbi_id id = tbi_contained_id(ids, i);
        const struct tbi_handle *h;
        int rc = tbi_id_check(p, id, tbi_type_name(v->type));

        if (rc != 0)
            return rc;
        h = tbi_handle_find(p, id);
        if (h != NULL && h->local)
            return tbi_error_set(((const struct tbi_error_link *)h->blob)->code, "%s",
                                 ((const struct tbi_error_link *)h->blob)->message);
        if (h != NULL && h->state == TBI_HANDLE_OPEN)
            return tbi_error_set(TB_ERR_STATE, "ref %s is not sealed yet: call tb_seal first",
                                 tb_ref_text(tbi_ref_of(id), text, sizeof text));
    }
    return 0;
}

/* ids behind a record's payload; returns what follows them. */
static void *write_contained(const tb_value *v, void *to)
{
    size_t n;
    const void *ids = tbi_contained(v, &n);

    if (n > 0)
        memcpy(to, ids, n * sizeof(struct tbi_id));
    return (uint8_t *)to + n * sizeof(struct tbi_id);
}

static void pack_padded(const tb_value *v, size_t bytes, void *to)
{
    if (bytes % 8 != 0)
        memset((uint8_t *)to + tbi_padded(bytes) - 8, 0, 8);
    tbi_value_pack(v, to);
}

static void seal(struct tbi_process *p, const tb_value *v, struct tbi_id id, uint64_t bytes)
{
    size_t n;
    struct msg_seal *m;

    tbi_contained(v, &n);
    tbi_fault_point(TBI_FAULT_SEAL);
    m = p->port.send(p->port.ctx, TBI_MSG_SEAL, sizeof *m + n * sizeof(struct tbi_id));
    *m = (struct msg_seal){id, bytes, (uint32_t)n, p->rank};
    write_contained(v, m + 1);
}

int tbi_put(struct tbi_process *p, const tb_value *v, struct tbi_id *id,
            struct tbi_error_link *error)
{
    size_t bytes = tbi_value_packed_size(v), n;
    struct tbi_handle *h;

    tbi_contained(v, &n);
    *id = tbi_process_new_id(p);
    if (n > TBI_REFS_MAX)
        return tbi_error_link(error, TB_ERR_ARGUMENT, "an array of %zu refs or actors: at most %d can be in "
                              "one object", n, TBI_REFS_MAX);
    if (bytes <= p->limits.inline_bytes) {
        struct msg_put *m;

        tbi_fault_point(TBI_FAULT_PUT);
        m = p->port.send(p->port.ctx, TBI_MSG_PUT, sizeof *m + n * sizeof *id + tbi_padded(bytes));
        *m = (struct msg_put){*id, (uint32_t)n, (uint32_t)bytes};
        pack_padded(v, bytes, write_contained(v, m + 1));
    } else {
        uint64_t offset;
        void *to = tbi_create(p, *id, bytes, false, &offset, error);

        if (to == NULL)
            return error->code;
        /* Nobody else writes there, so others need not wait for a long copy. */
        pthread_mutex_unlock(&p->lock);
        tbi_value_pack(v, to);
        pthread_mutex_lock(&p->lock);
        tbi_memory_close(p->memory, offset, bytes);
        seal(p, v, *id, bytes);
    }
    h = tbi_handle_use(p, *id); /* a handle without a scope */
    h->users--;
    h->count = 1;
    h->state = TBI_HANDLE_EXISTS;
    return 0;
}

tb_ref tb_put_value_(tb_value v)
{
    struct tbi_process *p = tbi_process_enter("tb_put");
    struct tbi_error_link error;
    struct tbi_id id;
    tb_ref ref;
    int rc;

    if (p == NULL)
        return tbi_ref_code(TB_ERR_STATE);
    rc = tbi_value_check(&v);
    if (rc == 0)
        rc = tbi_contained_check(p, &v);
    if (rc != 0)
        tbi_error_link(&error, rc, "%s", tb_last_error());
    else
        rc = tbi_put(p, &v, &id, &error);
    if (rc == 0) {
        tbi_scope_note(p, tbi_handle_find(p, id));
        ref = tbi_ref_of(id);
    } else {
        tbi_error_set(rc, "%s", error.message);
        ref = tbi_ref_failed(p, &error, sizeof error);
    }
    tbi_process_leave(p);
    return ref;
}

tb_ref tb_create_array_(tb_type type, size_t elem, size_t n, int ndim, const uint64_t *shape,
                        void *pptr)
{
    tb_value v = type == TB_RECORD ? tb_record_array_("", n, elem)
                                   : tb_array_as(type, "", n, ndim, shape);
    struct tbi_process *p = tbi_process_enter("tb_create_array");
    struct tbi_error_link error;
    struct tbi_id id;
    struct tbi_handle *h;
    uint64_t offset;
    size_t bytes;
    void *at = NULL;
    tb_ref ref;
    int rc;

    memcpy(pptr, &at, sizeof at);
    if (p == NULL)
        return tbi_ref_code(TB_ERR_STATE);
    rc = tbi_value_check(&v);
    if (rc == 0 && tbi_type_is_handle(type))
        rc = tbi_error_set(TB_ERR_UNSUPPORTED, "an array of %ss cannot be written in place: use "
                           "tb_put_array", tbi_type_name(type));
    if (rc == 0) {
        id = tbi_process_new_id(p);
        bytes = tbi_value_packed_size(&v);
        at = tbi_create(p, id, bytes, true, &offset, &error);
        rc = at == NULL ? error.code : 0;
        if (rc != 0)
            tbi_error_set(rc, "%s", error.message);
    }
    if (rc != 0) {
        tbi_error_link(&error, rc, "%s", tb_last_error());
        ref = tbi_ref_failed(p, &error, sizeof error);
    } else {
        h = tbi_handle_new(p, id);
        h->state = TBI_HANDLE_OPEN;
        h->offset = offset;
        h->bytes = bytes;
        tbi_value_pack_head(&v, at);
        at = (uint8_t *)at + (bytes - n * v.elem);
        memcpy(pptr, &at, sizeof at);
        ref = tbi_ref_of(id);
    }
    tbi_process_leave(p);
    return ref;
}

int tb_seal(tb_ref ref)
{
    struct tbi_process *p = tbi_process_enter("tb_seal");
    struct tbi_handle *h;
    char text[64];
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_ref_check(p, ref);
    h = tbi_handle_find(p, tbi_id_of(ref));
    if (rc == 0 && h != NULL && h->local)
        rc = tbi_error_set(((const struct tbi_error_link *)h->blob)->code, "%s",
                           ((const struct tbi_error_link *)h->blob)->message);
    if (rc == 0 && (h == NULL || h->state != TBI_HANDLE_OPEN))
        rc = tbi_error_set(TB_ERR_REF, "ref %s is sealed, but was not made by tb_create_array here, "
                           "or is sealed already", tb_ref_text(ref, text, sizeof text));
    if (rc == 0) {
        struct msg_seal *m;

        tbi_fault_point(TBI_FAULT_SEAL);
        m = p->port.send(p->port.ctx, TBI_MSG_SEAL, sizeof *m);
        tbi_memory_take_back(p->memory, h->offset, h->bytes);
        *m = (struct msg_seal){h->id, h->bytes, 0, p->rank};
        h->state = TBI_HANDLE_EXISTS;
        h->near = true;
    }
    tbi_process_leave(p);
    return rc;
}
