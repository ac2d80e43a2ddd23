/* quota.h - how much ranks may send to one of them that it has not taken in yet, so that thousands which send to it at
 * once cannot fill its memory. Pure, one user at a time; transport.c and tests keep to it alike.
 *
 * The unit is a frame, or each 4 KiB of a larger one. A receiver promises `total` units in all and tells each peer how
 * many it may have sent since the start (its limit); what a peer has been promised and the receiver has not taken in
 * is its reserve. Half of the total is divided among the peers in equal parts: each always has that much (its base, at
 * least one unit), so a frame to an idle rank never waits for leave, and everybody gets on. The rest goes to peers that
 * say that more is waiting there (in each frame), never more than that, a large frame at a time, the longest
 * waiting first. What is promised is sent, so it comes back and need not be revoked. */
#ifndef TBI_QUOTA_H
#define TBI_QUOTA_H

#include "util/list.h"

#include <stdint.h>

enum {
    TBI_QUOTA_UNIT = 4096,      /* bytes */
    TBI_QUOTA_TOTAL = 16384,    /* units: 64 MiB */
    TBI_QUOTA_FRAMES = 64       /* the most that a peer may have promised, in frames of the largest size */
};

/* All counts are of units since the start, modulo 2^32. */
struct tbi_quota_peer {
    uint32_t limit, sent;       /* what we may have sent to it, and have sent */
    uint32_t promised, told, taken; /* what it may have sent to us, as we know and as it knows; what we have taken in */
    uint32_t base, most;        /* of its reserve: at least, and at most */
    uint32_t waiting;           /* units that it had besides what it had sent, as it said last */
    struct tbi_link line;       /* among those who wait for more than there is */
    struct tbi_link news;       /* among those who were given more out of turn */
};

struct tbi_quota {
    struct tbi_quota_peer *peer;
    unsigned npeers;
    uint32_t extra;             /* units that nobody was promised */
    struct tbi_link line, news;
};

/* Ranks 0 .. npeers - 1; frames from and to rank r have frame[r] bytes at most. Both sides compute the same base. */
void tbi_quota_init(struct tbi_quota *quota, unsigned npeers, const size_t *frame, uint32_t total);
void tbi_quota_fini(struct tbi_quota *quota);

/* ---- sending to a peer ---- */

/* Bytes that the next frame to it may have, of `frame` at most; 0: none may be sent now. */
size_t tbi_quota_room(const struct tbi_quota_peer *peer, size_t frame);
void tbi_quota_sent(struct tbi_quota_peer *peer, size_t bytes);
/* It has told us this limit. NULL, or why that cannot be. */
const char *tbi_quota_told(struct tbi_quota_peer *peer, uint32_t limit);

/* ---- receiving ---- */

/* A frame of the peer's with records has come, and so many bytes wait there. NULL, or why that cannot be. */
const char *tbi_quota_take(struct tbi_quota *quota, unsigned peer, size_t bytes, uint64_t waiting);
/* The limit to tell the peer, in the frame that goes to it now. */
uint32_t tbi_quota_tell(struct tbi_quota_peer *peer);
/* Is it time to tell it, in a frame without records if there are none? */
bool tbi_quota_must_tell(const struct tbi_quota_peer *peer);
/* The next one that may be told more since others have sent less, or -1. */
int tbi_quota_next_news(struct tbi_quota *quota);
/* Units that may be on their way to us, in all. */
uint64_t tbi_quota_reserved(const struct tbi_quota *quota);

#endif
