#include "net/quota.h"
#include "util/alloc.h"

enum { SHARE = 16 /* units: a large frame */ };

static uint32_t units(uint64_t bytes)
{
    uint64_t n = (bytes + TBI_QUOTA_UNIT - 1) / TBI_QUOTA_UNIT;

    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t reserve(const struct tbi_quota_peer *peer)
{
    return peer->promised - peer->taken;
}

void tbi_quota_init(struct tbi_quota *q, unsigned npeers, const size_t *frame, uint32_t total)
{
    uint32_t part = total / 2 / (npeers > 1 ? npeers - 1 : 1);
    uint64_t bases = 0;

    *q = (struct tbi_quota){.npeers = npeers, .peer = tbi_alloc_zeroed(npeers, sizeof *q->peer)};
    tbi_list_init(&q->line);
    tbi_list_init(&q->news);
    for (unsigned p = 0; p < npeers; p++) {
        struct tbi_quota_peer *peer = &q->peer[p];

        peer->most = TBI_QUOTA_FRAMES * units(frame[p]);
        peer->base = least(part > 0 ? part : 1, peer->most);
        peer->limit = peer->promised = peer->told = peer->base;
        bases += peer->base;
    }
    q->extra = bases < total ? total - (uint32_t)bases : 0;
}

void tbi_quota_fini(struct tbi_quota *q)
{
    free(q->peer);
    *q = (struct tbi_quota){0};
}

size_t tbi_quota_room(const struct tbi_quota_peer *peer, size_t frame)
{
    uint64_t bytes = (uint64_t)(peer->limit - peer->sent) * TBI_QUOTA_UNIT;

    return bytes < frame ? (size_t)bytes : frame;
}

void tbi_quota_sent(struct tbi_quota_peer *peer, size_t bytes)
{
    peer->sent += units(bytes);
}

const char *tbi_quota_told(struct tbi_quota_peer *peer, uint32_t limit)
{
    if (limit - peer->limit > INT32_MAX)
        return "it takes back what we may send";
    peer->limit = limit;
    return NULL;
}

/* How much more it could use. */
static uint32_t want(const struct tbi_quota_peer *peer)
{
    uint32_t useful = least(peer->waiting, peer->most);

    return useful > reserve(peer) ? useful - reserve(peer) : 0;
}

static void serve_line(struct tbi_quota *q)
{
    while (q->extra > 0 && !tbi_list_empty(&q->line)) {
        struct tbi_quota_peer *peer = TBI_ENTRY(q->line.next, struct tbi_quota_peer, line);
        uint32_t more = least(least(want(peer), SHARE), q->extra);

        peer->promised += more;
        q->extra -= more;
        tbi_list_unlink(&peer->line);
        if (want(peer) > 0)
            tbi_list_append(&q->line, &peer->line);
        if (!tbi_list_linked(&peer->news) && tbi_quota_must_tell(peer))
            tbi_list_append(&q->news, &peer->news);
    }
}

const char *tbi_quota_take(struct tbi_quota *q, unsigned p, size_t bytes, uint64_t waiting)
{
    struct tbi_quota_peer *peer = &q->peer[p];
    uint32_t n = units(bytes), over = reserve(peer) - peer->base;

    if (n > reserve(peer))
        return "it sends more than it may";
    peer->taken += n;
    q->extra += least(over, n);
    if (reserve(peer) < peer->base)
        peer->promised = peer->taken + peer->base;
    peer->waiting = units(waiting);
    if (want(peer) == 0)
        tbi_list_unlink(&peer->line);
    else if (!tbi_list_linked(&peer->line))
        tbi_list_append(&q->line, &peer->line);
    serve_line(q);
    return NULL;
}

uint32_t tbi_quota_tell(struct tbi_quota_peer *peer)
{
    tbi_list_unlink(&peer->news);
    return peer->told = peer->promised;
}

bool tbi_quota_must_tell(const struct tbi_quota_peer *peer)
{
    uint32_t untold = peer->promised - peer->told;

    return untold > 0 && untold >= reserve(peer) / 2;
}

int tbi_quota_next_news(struct tbi_quota *q)
{
    struct tbi_quota_peer *peer;

    if (tbi_list_empty(&q->news))
        return -1;
    peer = TBI_ENTRY(q->news.next, struct tbi_quota_peer, news);
    tbi_list_unlink(&peer->news);
    return (int)(peer - q->peer);
}

uint64_t tbi_quota_reserved(const struct tbi_quota *q)
{
    uint64_t sum = 0;

    for (unsigned p = 0; p < q->npeers; p++)
        sum += reserve(&q->peer[p]);
    return sum;
}
