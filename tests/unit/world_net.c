/* world_net.c - frames between the ranks of the world: records are packed, fragmented and put together as between real
 * ranks, and each rank sends no more than its quotas allow. Frames between two ranks keep their order; everything else
 * is delayed at will. What a frame brings goes into the boxes from which head and agents take. */
#include "world_parts.h"
#include "net/quota.h"

/* From one rank to another. */
struct world_link {
    struct tbi_outbox out;
    struct tbi_inbox in;
    uint8_t *wire;              /* frames on their way, each behind its size */
    size_t begin, end, room;
    uint64_t units;             /* ... and what they count for */
};

static struct world_link *link_of(const struct world *w, unsigned a, unsigned b)
{
    return &w->net.link[a * w->nranks + b];
}

void world_net_create(struct world *w, size_t frame, unsigned total)
{
    size_t *frames = tbi_alloc(w->nranks * sizeof *frames);

    for (unsigned r = 0; r < w->nranks; r++)
        frames[r] = frame;
    w->net.frame = frame;
    w->net.link = tbi_alloc_zeroed(w->nranks * w->nranks, sizeof *w->net.link);
    w->net.quota = tbi_alloc_zeroed(w->nranks, sizeof *w->net.quota);
    for (unsigned r = 0; r < w->nranks; r++)
        tbi_quota_init(&w->net.quota[r], w->nranks, frames, total);
    w->net.most = tbi_quota_reserved(&w->net.quota[0]) > total ? tbi_quota_reserved(&w->net.quota[0]) : total;
    free(frames);
}

void world_net_free(struct world *w)
{
    for (unsigned i = 0; w->net.link != NULL && i < w->nranks * w->nranks; i++) {
        tbi_outbox_fini(&w->net.link[i].out);
        tbi_inbox_fini(&w->net.link[i].in);
        free(w->net.link[i].wire);
    }
    for (unsigned r = 0; w->net.quota != NULL && r < w->nranks; r++)
        tbi_quota_fini(&w->net.quota[r]);
    free(w->net.link);
    free(w->net.quota);
}

struct tbi_outbox *world_net_box(struct world *w, unsigned a, unsigned b, struct tbi_outbox *arrived)
{
    return w->net.link == NULL || a == b ? arrived : &link_of(w, a, b)->out;
}

size_t world_net_waiting(const struct world *w, unsigned a, unsigned b)
{
    return w->net.link == NULL || a == b ? 0 : tbi_outbox_bytes(&link_of(w, a, b)->out);
}

/* ---- sending ---- */

static bool has_leave(const struct world *w, unsigned a, unsigned b)
{
    return tbi_outbox_bytes(&link_of(w, a, b)->out) > 0 &&
           tbi_quota_room(&w->net.quota[a].peer[b], w->net.frame) > sizeof(struct tbi_frame);
}

bool world_net_can_send(const struct world *w, unsigned a, unsigned b)
{
    return w->net.link != NULL && a != b &&
           (has_leave(w, a, b) || tbi_quota_must_tell(&w->net.quota[a].peer[b]));
}

static uint64_t units(size_t bytes)
{
    return (bytes + TBI_QUOTA_UNIT - 1) / TBI_QUOTA_UNIT;
}

/* As in transport.c: a frame of records, or else one that only tells the other what it may send. */
const char *world_net_send(struct world *w, unsigned a, unsigned b)
{
    struct tbi_quota_peer *quota = &w->net.quota[a].peer[b];
    struct world_link *link = link_of(w, a, b);
    size_t need = link->end + sizeof(uint64_t) + w->net.frame + 8, n;
    uint64_t flying = 0;
    struct tbi_frame *frame;

    if (need > link->room) {
        link->room = need * 2;
        link->wire = tbi_realloc(link->wire, link->room);
    }
    frame = (struct tbi_frame *)(void *)(link->wire + link->end + sizeof(uint64_t));
    if (has_leave(w, a, b)) {
        n = tbi_outbox_cut(&link->out, frame, tbi_quota_room(quota, w->net.frame), tbi_quota_tell(quota));
        tbi_quota_sent(quota, n);
        link->units += units(n);
        w->frames++;
        w->held_back += tbi_outbox_bytes(&link->out) > 0 && !has_leave(w, a, b);
    } else {
        *frame = (struct tbi_frame){.magic = TBI_FRAME_MAGIC, .version = TBI_PROTOCOL_VERSION,
                                    .limit = tbi_quota_tell(quota)};
        n = sizeof *frame;
    }
    *(uint64_t *)(void *)(link->wire + link->end) = n;
    link->end += sizeof(uint64_t) + tbi_padded(n);
    for (unsigned r = 0; r < w->nranks; r++)
        flying += r != b ? link_of(w, r, b)->units : 0;
    return flying <= w->net.most ? NULL : "more is on its way to a rank than it has promised";
}

/* ---- arriving ---- */

bool world_net_can_arrive(const struct world *w, unsigned a, unsigned b)
{
    return w->net.link != NULL && a != b && link_of(w, a, b)->end > link_of(w, a, b)->begin;
}

struct arrival {
    struct world *w;
    unsigned from, to;
};

static void arrived(void *ctx, const struct tbi_record *record)
{
    const struct arrival *at = ctx;
    struct world *w = at->w;
    enum tbi_msg type = (enum tbi_msg)record->type;
    struct tbi_outbox *box = tbi_msg_info[type].to == TBI_ROLE_HEAD    ? &w->to_head[at->from]
                             : tbi_msg_info[type].from == TBI_ROLE_HEAD ? &w->to_agent[at->to]
                                                                        : &w->between[at->from][at->to];
    size_t size = record->len - sizeof *record;

    memcpy(tbi_outbox_append(box, type, record->proc, size), record + 1, size);
}

const char *world_net_arrive(struct world *w, unsigned a, unsigned b)
{
    struct world_link *link = link_of(w, a, b);
    size_t n = (size_t)*(uint64_t *)(void *)(link->wire + link->begin);
    const uint8_t *bytes = link->wire + link->begin + sizeof(uint64_t);
    const struct tbi_frame *frame = (const void *)bytes;
    const char *why = tbi_frame_check(bytes, n);

    if (why == NULL)
        why = tbi_quota_told(&w->net.quota[b].peer[a], frame->limit);
    if (why == NULL && frame->bytes > 0) {
        link->units -= units(n);
        why = tbi_quota_take(&w->net.quota[b], a, n, frame->waiting);
    }
    while (tbi_quota_next_news(&w->net.quota[b]) >= 0)
        continue; /* who may be told is looked at anyway */
    if (why == NULL)
        why = tbi_inbox_frame(&link->in, bytes, n, arrived, &(struct arrival){w, a, b});
    link->begin += sizeof(uint64_t) + tbi_padded(n);
    if (link->begin == link->end)
        link->begin = link->end = 0;
    return why;
}

const char *world_net_is_empty(const struct world *w)
{
    for (unsigned i = 0; w->net.link != NULL && i < w->nranks * w->nranks; i++)
        if (tbi_outbox_bytes(&w->net.link[i].out) > 0 || w->net.link[i].end > 0)
            return "records wait for leave to be sent that does not come";
    return NULL;
}
