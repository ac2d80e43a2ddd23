/* codec.h - frames: records to one peer, packed together and taken apart again. Knows no transport.
 *
 *      0        4        6        8        12       16        24
 *     +--------+--------+--------+--------+--------+---------+- - - - - -+- - - - -
 *     | magic  |version | flags  | bytes  | limit  | waiting | records ...
 *     +--------+--------+--------+--------+--------+---------+- - - - - -+- - - - -
 *
 * `bytes` counts the records behind the header. `limit` is how much the receiver of this frame may send in turn, and
 * `waiting` are the bytes of records that its sender has for it besides: see quota.h. A record too large for a frame travels in
 * ordered fragments, frames that carry nothing else: each has FRAGMENT set, the last one also LAST.
 * All sizes in bytes. Pure; one user at a time per struct. */
#ifndef TBI_CODEC_H
#define TBI_CODEC_H

#include "net/messages.h"

struct tbi_frame {
    uint32_t magic;
    uint16_t version, flags;
    uint32_t bytes;
    uint32_t limit;
    uint64_t waiting;
};
enum { TBI_FRAME_FRAGMENT = 1, TBI_FRAME_LAST = 2 };
#define TBI_FRAME_MAGIC 0x4b524854u /* "THRK" on a little-endian machine */

/* A growing queue of records to one receiver, and the frames cut from it. */
struct tbi_outbox {
    uint8_t *data;
    size_t begin, end, room; /* records lie in data[begin..end) */
    size_t cut;              /* bytes of the record at `begin` that went out as fragments */
};
void tbi_outbox_fini(struct tbi_outbox *out);
enum { TBI_OUTBOX_KEPT = 16 << 20 }; /* bytes: an empty one that has grown beyond gives its memory back */
/* All records were taken: it is empty. */
static inline void tbi_outbox_clear(struct tbi_outbox *out)
{
    out->begin = out->end = 0;
    if (out->room > TBI_OUTBOX_KEPT)
        tbi_outbox_fini(out);
}
static inline size_t tbi_outbox_bytes(const struct tbi_outbox *out)
{
    return out->end - out->begin;
}

/* Appends a record with room for `size` body bytes (rounded up to 8, the padding zeroed) and
 * returns where the body goes: valid until the next append or cut. NULL: size is over
 * TBI_RECORD_MAX - 8. */
void *tbi_outbox_append(struct tbi_outbox *out, enum tbi_msg type, uint32_t proc, size_t size);

/* Moves what fits, at most `room` bytes with the header, into `frame` and returns the frame's size;
 * 0 when there is nothing. `room` is at least 64. */
size_t tbi_outbox_cut(struct tbi_outbox *out, void *frame, size_t room, uint32_t limit);

/* What one peer has sent so far of a fragmented record. */
struct tbi_inbox {
    uint8_t *data;
    size_t bytes, room;
};
void tbi_inbox_fini(struct tbi_inbox *in);

/* Takes a received frame apart and calls `handle` for each record in order; records are 8-byte
 * aligned if `frame` is and live until the call returns.
 * Returns NULL, or the reason why the frame is refused: then nothing of it that comes after the
 * defect was handled. */
typedef void tbi_record_fn(void *ctx, const struct tbi_record *record);
const char *tbi_inbox_frame(struct tbi_inbox *in, const void *frame, size_t size, tbi_record_fn *handle, void *ctx);
/* Is the header of what was received good? NULL or the reason. */
const char *tbi_frame_check(const void *frame, size_t size);

/* Is this record well-formed by itself (type known, size plausible for the type, its counts within
 * its length)? `room` is what lies in memory. Returns NULL or the reason. */
const char *tbi_record_check(const struct tbi_record *record, size_t room);

#endif
