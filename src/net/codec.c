/* codec.c - see codec.h. Every count that a receiver will follow into a record's tail is checked
 * here, once, so that no handler has to. */
#include "net/codec.h"
#include "util/alloc.h"

void tbi_outbox_fini(struct tbi_outbox *out)
{
    free(out->data);
    *out = (struct tbi_outbox){0};
}

void *tbi_outbox_append(struct tbi_outbox *out, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct tbi_record *record;
    size_t len;

    if (size > TBI_RECORD_MAX - sizeof *record)
        return NULL;
    len = sizeof *record + tbi_padded(size);
    if (out->end + len > out->room && out->begin > 0) {
        memmove(out->data, out->data + out->begin, out->end - out->begin);
        out->end -= out->begin;
        out->begin = 0;
    }
    if (out->end + len > out->room) {
        out->room = (out->end + len) * 2 + 1024;
        out->data = tbi_realloc(out->data, out->room);
    }
    record = (struct tbi_record *)(out->data + out->end);
    out->end += len;
    memset((uint8_t *)record + len - 8, 0, 8);
    *record = (struct tbi_record){.len = (uint32_t)len, .type = (unsigned)type & 0xff,
                                  .proc = proc};
    return record + 1;
}

size_t tbi_outbox_cut(struct tbi_outbox *out, void *frame, size_t room, uint32_t limit)
{
    struct tbi_frame *head = frame;
    size_t payload = (room - sizeof *head) & ~(size_t)7, bytes = 0;
    unsigned flags = 0;

    if (out->begin == out->end)
        return 0;
    if (out->cut == 0)
        while (out->begin + bytes < out->end) {
            const struct tbi_record *r = (void *)(out->data + out->begin + bytes);

            if (bytes + r->len > payload)
                break;
            bytes += r->len;
        }
    if (bytes > 0) {
        memcpy(head + 1, out->data + out->begin, bytes);
        out->begin += bytes;
    } else {
        size_t len = ((struct tbi_record *)(out->data + out->begin))->len;

        flags = TBI_FRAME_FRAGMENT;
        bytes = len - out->cut;
        if (bytes <= payload)
            flags |= TBI_FRAME_LAST;
        else
            bytes = payload;
        memcpy(head + 1, out->data + out->begin + out->cut, bytes);
        out->cut += bytes;
        if (out->cut == len) {
            out->begin += len;
            out->cut = 0;
        }
    }
    if (out->begin == out->end)
        tbi_outbox_clear(out);
    *head = (struct tbi_frame){TBI_FRAME_MAGIC, TBI_PROTOCOL_VERSION, (uint16_t)flags,
                               (uint32_t)bytes, limit, out->end - out->begin - out->cut};
    return sizeof *head + bytes;
}

enum { INBOX_KEPT = 4 << 20 /* bytes for the fragments of one peer */ };

void tbi_inbox_fini(struct tbi_inbox *in)
{
    free(in->data);
    *in = (struct tbi_inbox){0};
}

/* ---- the tails: how many bytes must lie behind each payload ---- */

/* What lies behind a task's description by its kind, when `before` bytes are before it. */
static uint64_t tail_kind(unsigned kind, const void *at, uint64_t before, uint64_t room, bool named)
{
    const struct msg_actor *actor = at;

    if (kind == TBI_CALL)
        return before + sizeof(struct msg_call);
    if (kind != TBI_ACTOR)
        return kind == TBI_TASK ? before : UINT64_MAX;
    if (before + sizeof *actor > room || actor->nlanes == 0 || actor->nlanes > TBI_LANES_MAX ||
        (!named && actor->name_bytes != 0))
        return UINT64_MAX;
    return before + sizeof *actor + tbi_padded(actor->name_bytes);
}

/* Bytes of the DISPATCH that a SUBMIT leads to, at least: its own inline values are in it, and a place for each argument
 * that is not. Checkpoint included. */
static uint64_t dispatch_least(const struct msg_submit *m)
{
    return sizeof(struct msg_dispatch) + (m->nresolve + UINT64_C(1)) * sizeof(struct msg_located) +
           (m->nargs + UINT64_C(1)) * sizeof(uint64_t) + m->data_bytes + m->nmore * sizeof(struct tbi_amount) +
           sizeof(struct tbi_id) + sizeof(struct msg_actor) + sizeof(struct msg_call);
}

static uint64_t tail_submit(const struct msg_submit *m, uint64_t room)
{
    const uint8_t *at = (const uint8_t *)(m + 1);
    uint64_t refs = (uint64_t)m->nrefs * sizeof(struct tbi_id), args = (uint64_t)m->nargs * 8;
    uint64_t data = 0;

    if (m->nresolve > m->nrefs || m->data_bytes % 8 != 0 || refs + args > room)
        return UINT64_MAX;
    for (unsigned i = 0; i < m->nargs; i++) {
        uint64_t word = ((const uint64_t *)(at + refs))[i];

        if (word & TBI_ARG_REF) {
            if ((word & ~TBI_ARG_REF) >= m->nresolve)
                return UINT64_MAX;
        } else if (word > room || (data += tbi_padded(word)) > room) {
            return UINT64_MAX;
        }
    }
    if (data != m->data_bytes || tbi_run_most(m->nargs, data) > TBI_BODY_MAX ||
        dispatch_least(m) > TBI_BODY_MAX)
        return UINT64_MAX;
    data += refs + args + m->nmore * sizeof(struct tbi_amount) +
            (m->strategy == TBI_IN_GROUP ? sizeof(struct tbi_id) : 0);
    return tail_kind(m->kind, at + data, data, room, true);
}

static uint64_t tail_group(const struct msg_group *m, uint64_t room)
{
    const struct msg_bundle *bundle = (const struct msg_bundle *)(m + 1);
    uint64_t size = 0;

    for (uint32_t b = 0; b < m->nbundles; b++) {
        if (size + sizeof *bundle > room)
            return UINT64_MAX;
        size += sizeof *bundle + (uint64_t)bundle->nmore * sizeof(struct tbi_amount);
        if (size > room)
            return UINT64_MAX;
        bundle = tbi_bundle_next(bundle);
    }
    return size;
}

static uint64_t tail_dispatch(const struct msg_dispatch *m, uint64_t room)
{
    const struct msg_located *at = (const struct msg_located *)(m + 1);
    uint64_t refs = (uint64_t)m->nresolve * sizeof *at, args = (uint64_t)m->nargs * 8;
    uint64_t data = 0;

    if (m->data_bytes % 8 != 0 || refs + args > room)
        return UINT64_MAX;
    for (unsigned i = 0; i < m->nargs; i++) {
        uint64_t word = ((const uint64_t *)(at + m->nresolve))[i];

        if (word & TBI_ARG_REF) {
            if ((word & ~TBI_ARG_REF) >= m->nresolve)
                return UINT64_MAX;
        } else if (word > room || (data += tbi_padded(word)) > room) {
            return UINT64_MAX;
        }
    }
    for (unsigned i = 0; i < m->nresolve; i++)
        if (at[i].where == TBI_AT_INLINE) {
            if (at[i].bytes > TBI_INLINE_MAX || (data += tbi_padded(at[i].bytes)) > room)
                return UINT64_MAX;
        } else if (at[i].where != TBI_AT_STORE) {
            return UINT64_MAX;
        }
    if (data != m->data_bytes || tbi_run_most(m->nargs, data) > TBI_BODY_MAX)
        return UINT64_MAX;
    data += refs + args + m->nmore * sizeof(struct tbi_amount) +
            (m->flags & TBI_DISPATCH_BUNDLE ? sizeof(struct tbi_id) : 0);
    return tail_kind(m->flags & TBI_DISPATCH_ACTOR ? TBI_ACTOR
                     : m->flags & TBI_DISPATCH_CALL ? TBI_CALL : TBI_TASK,
                     (const uint8_t *)at + data, data, room, false);
}

static uint64_t tail_done(const struct msg_done *m, uint64_t room)
{
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);
    uint64_t size = (uint64_t)m->nresults * sizeof *result, data = m->error_bytes, ids = m->nkept;

    if (size > room || m->data_bytes % 8 != 0 || (m->error == 0) != (m->error_bytes == 0))
        return UINT64_MAX;
    data = tbi_padded(data);
    for (unsigned i = 0; i < m->nresults; i++) {
        ids += result[i].nrefs;
        if (result[i].where == TBI_AT_INLINE) {
            if (result[i].bytes > TBI_INLINE_MAX || (data += tbi_padded(result[i].bytes)) > room)
                return UINT64_MAX;
        } else if (result[i].where != TBI_AT_STORE) {
            return UINT64_MAX;
        }
    }
    return data != m->data_bytes ? UINT64_MAX : size + ids * sizeof(struct tbi_id) + data;
}

static uint64_t tail_run(const struct msg_run *m, uint64_t room)
{
    const struct tbi_run_arg *arg = (const struct tbi_run_arg *)(m + 1);
    uint64_t size = (uint64_t)m->nargs * sizeof *arg;

    if (size > room || m->data_bytes % 8 != 0)
        return UINT64_MAX;
    for (unsigned i = 0; i < m->nargs; i++)
        if (arg[i].rank == TBI_ARG_INLINE &&
            (arg[i].offset > m->data_bytes || arg[i].bytes > m->data_bytes - arg[i].offset))
            return UINT64_MAX;
    size += m->data_bytes + tbi_run_places(m) + (m->in_bundle ? sizeof(struct tbi_id) : 0);
    return m->kind > TBI_CALL ? UINT64_MAX
                              : size + (m->kind == TBI_ACTOR ? sizeof(struct msg_actor) : 0);
}

static uint64_t tail_located(const struct msg_located *m)
{
    bool has_bytes = m->where == TBI_AT_INLINE || m->where == TBI_AT_ERROR;

    if (m->where < TBI_AT_INLINE || m->where > TBI_AT_PENDING)
        return UINT64_MAX;
    return !has_bytes ? 0 : m->bytes > TBI_RECORD_MAX ? UINT64_MAX : tbi_padded(m->bytes);
}

static uint64_t tail_bytes(const struct tbi_record *record, uint64_t room)
{
    const void *body = record + 1;

    switch ((enum tbi_msg)record->type) {
    case TBI_MSG_SUBMIT:
        return tail_submit(body, room);
    case TBI_MSG_DISPATCH:
    case TBI_MSG_CALL:
        return tail_dispatch(body, room);
    case TBI_MSG_DONE:
    case TBI_MSG_FINISHED:
    case TBI_MSG_CONSTRUCTED:
    case TBI_MSG_LIVES:
    case TBI_MSG_ANSWER:
        return tail_done(body, room);
    case TBI_MSG_RUN:
        return tail_run(body, room);
    case TBI_MSG_RESUME:
        return tbi_padded(((const struct msg_resume *)body)->ncores * UINT64_C(2));
    case TBI_MSG_OBJECT:
    case TBI_MSG_RESOLVED:
        return tail_located(body);
    case TBI_MSG_PUT: {
        const struct msg_put *m = body;
        return m->bytes > TBI_INLINE_MAX ? UINT64_MAX : (uint64_t)m->nrefs * sizeof(struct tbi_id) + tbi_padded(m->bytes);
    }
    case TBI_MSG_SEAL:
    case TBI_MSG_SEALED:
        return (uint64_t)((const struct msg_seal *)body)->nrefs * sizeof(struct tbi_id);
    case TBI_MSG_GROUP:
        return tail_group(body, room);
    case TBI_MSG_RESERVE:
        return ((const struct msg_reserve *)body)->demand.nmore * (uint64_t)sizeof(struct tbi_amount) +
               ((const struct msg_reserve *)body)->nlenders * (uint64_t)sizeof(struct tbi_id);
    case TBI_MSG_TAKE_BACK:
        return (uint64_t)((const struct msg_take_back *)body)->nfree * sizeof(struct tbi_amount);
    case TBI_MSG_TAKEN:
        return (uint64_t)((const struct msg_taken *)body)->ntasks * sizeof(struct msg_task);
    case TBI_MSG_CREATED: {
        uint64_t bytes = ((const struct msg_created *)body)->error_bytes;
        return bytes > TBI_RECORD_MAX ? UINT64_MAX : tbi_padded(bytes);
    }
    case TBI_MSG_EXITED:
        return tbi_padded(((const struct msg_exited *)body)->bytes);
    case TBI_MSG_OUTPUT: {
        const struct msg_output *m = body;
        return m->stream != 1 && m->stream != 2 ? UINT64_MAX : tbi_padded(m->bytes);
    }
    case TBI_MSG_FIND:
        return tbi_padded(((const struct msg_find *)body)->name_bytes);
    case TBI_MSG_FETCHED:
        return room; /* with or without the bytes; the reader compares with what it asked for */
    default:
        return 0;
    }
}

const char *tbi_record_check(const struct tbi_record *record, size_t room)
{
    size_t fixed;

    if (room < sizeof *record)
        return "less than a record's header";
    if (record->type >= TBI_MSG_COUNT)
        return "unknown message type";
    fixed = sizeof *record + tbi_msg_info[record->type].payload;
    if (record->len % 8 != 0 || record->len < fixed)
        return "record too short for its type";
    if (record->len > room)
        return "record longer than what was received";
    if (tail_bytes(record, record->len - fixed) != record->len - fixed)
        return "record's length and its counts do not agree";
    return NULL;
}

static const char *take_fragment(struct tbi_inbox *in, const struct tbi_frame *head,
                                 tbi_record_fn *handle, void *ctx)
{
    const struct tbi_record *record;
    const char *why;

    if (in->bytes + head->bytes > TBI_RECORD_MAX)
        return "fragments add up to more than a record may have";
    if (in->bytes + head->bytes > in->room) {
        in->room = (in->bytes + head->bytes) * 2;
        in->data = tbi_realloc(in->data, in->room);
    }
    memcpy(in->data + in->bytes, head + 1, head->bytes);
    in->bytes += head->bytes;
    if (!(head->flags & TBI_FRAME_LAST))
        return NULL;
    record = (const struct tbi_record *)in->data;
    why = tbi_record_check(record, in->bytes);
    if (why == NULL && record->len != in->bytes)
        why = "fragments do not add up to the record";
    if (why == NULL)
        handle(ctx, record);
    in->bytes = 0;
    if (in->room > INBOX_KEPT)
        tbi_inbox_fini(in);
    return why;
}

const char *tbi_frame_check(const void *frame, size_t size)
{
    const struct tbi_frame *head = frame;

    if (size < sizeof *head)
        return "shorter than a frame's header";
    if (head->magic != TBI_FRAME_MAGIC)
        return "no Thornback frame (wrong magic number)";
    if (head->version != TBI_PROTOCOL_VERSION)
        return "other protocol version: all ranks must run the same Thornback";
    if (head->bytes != size - sizeof *head || head->bytes % 8 != 0)
        return "frame's length does not agree with its header";
    return NULL;
}

const char *tbi_inbox_frame(struct tbi_inbox *in, const void *frame, size_t size, tbi_record_fn *handle, void *ctx)
{
    const struct tbi_frame *head = frame;
    const uint8_t *at = (const uint8_t *)(head + 1);
    const char *bad = tbi_frame_check(frame, size);
    size_t left;

    if (bad != NULL)
        return bad;
    if (head->bytes == 0 && head->flags == 0)
        return NULL; /* an acknowledgement alone; may come between fragments */
    if (head->flags & TBI_FRAME_FRAGMENT)
        return take_fragment(in, head, handle, ctx);
    if (head->flags != 0)
        return "unknown frame flags";
    if (in->bytes != 0)
        return "a fragmented record was not finished";
    for (left = head->bytes; left > 0;) {
        const struct tbi_record *record = (const struct tbi_record *)at;
        const char *why = tbi_record_check(record, left);

        if (why != NULL)
            return why;
        handle(ctx, record);
        at += record->len;
        left -= record->len;
    }
    return NULL;
}
