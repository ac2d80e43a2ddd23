#include "net/transport.h"
#include "net/codec.h"
#include "net/copies.h"
#include "net/quota.h"
#include "util/alloc.h"
#include "util/fault.h"

enum {
    FRAME_HOST = 4000,          /* below vader's eager limit of 4,096 */
    FRAME_HOSTS = 60 * 1024,    /* below TCP's of 64 KiB */
    RECEIVES = 128,
    SPARE = 256,                /* frames kept for the next ones to be sent */
    TURN = 64, TURN_BYTES = 256 * 1024, /* frames, and bytes in them, handled in one turn at most */
    DRAIN_US = 2000000          /* for copies under way at the end */
};

struct peer {
    struct tbi_outbox out;
    struct tbi_inbox in;
    size_t frame;               /* bytes of one to it at most */
    bool shares_memory;
    bool spoke, left;           /* it was sent a frame since the last beat; it said that it goes */
    unsigned silent;            /* looks since a frame came from it */
    bool dirty;                 /* it is in the list of those with something to send */
    uint64_t held_until_us;     /* by a fault; 0: not */
};

struct sending {
    struct sending *next;
    MPI_Request request;
    unsigned rank;
    _Alignas(8) uint8_t frame[];
};

struct tbi_mpi_transport {
    struct tbi_mpi *mpi;
    const struct tbi_memory *memory;
    struct peer *peer;
    struct tbi_quota quota;
    unsigned *dirty, ndirty;
    size_t frame;               /* the largest of all */
    uint8_t *buffer;            /* buffer[RECEIVES * frame] */
    MPI_Request receive[RECEIVES];
    unsigned next;              /* the receive that was posted first */
    struct sending *under_way, *last, *spare;
    unsigned nspare;
    struct tbi_copies *copies;
    void (*copied)(void *loop, uint32_t ticket, bool ok);
    void *loop;
    void (*record)(void *loop, unsigned rank, const struct tbi_record *record);
    unsigned from;              /* whose frame is being handled */
};

/* ---- receiving ---- */

static void post(struct tbi_mpi_transport *t, unsigned i)
{
    PMPI_Irecv(t->buffer + i * t->frame, (int)t->frame, MPI_BYTE, MPI_ANY_SOURCE, 0, t->mpi->world,
              &t->receive[i]);
}

static void mark(struct tbi_mpi_transport *t, unsigned rank)
{
    if (!t->peer[rank].dirty) {
        t->peer[rank].dirty = true;
        t->dirty[t->ndirty++] = rank;
    }
}

static void on_record(void *ctx, const struct tbi_record *record)
{
    struct tbi_mpi_transport *t = ctx;

    t->peer[t->from].left |= record->type == TBI_MSG_BYE;
    t->record(t->loop, t->from, record);
}

static void take_frame(struct tbi_mpi_transport *t, unsigned rank, const uint8_t *frame, size_t n)
{
    const struct tbi_frame *head = (const struct tbi_frame *)frame;
    struct tbi_quota_peer *quota = &t->quota.peer[rank];
    struct peer *peer = &t->peer[rank];
    const char *why = tbi_frame_check(frame, n);
    uint32_t limit = quota->limit;

    t->from = rank;
    peer->silent = 0;
    if (why == NULL)
        why = tbi_quota_told(quota, head->limit);
    if (why == NULL && head->bytes > 0)
        why = tbi_quota_take(&t->quota, rank, n, head->waiting);
    if (why == NULL)
        why = tbi_inbox_frame(&peer->in, frame, n, on_record, t);
    if (why != NULL) {
        fprintf(stderr, "thornback: rank %u: a frame from rank %u is refused: %s\n", t->mpi->rank,
                rank, why);
        PMPI_Abort(t->mpi->world, 1);
    }
    if ((quota->limit != limit && tbi_outbox_bytes(&peer->out) > 0) || tbi_quota_must_tell(quota))
        mark(t, rank);
    for (int other; (other = tbi_quota_next_news(&t->quota)) >= 0;)
        mark(t, (unsigned)other);
}

static void on_copied(void *ctx, uint32_t ticket, bool ok)
{
    struct tbi_mpi_transport *t = ctx;

    t->copied(t->loop, ticket, ok);
}

static bool receive(void *ctx, void (*record)(void *, unsigned, const struct tbi_record *),
                    void *loop)
{
    struct tbi_mpi_transport *t = ctx;
    bool moved = false;
    size_t bytes = 0;

    t->record = record;
    t->loop = loop;
    for (int k = 0; k < TURN && bytes < TURN_BYTES; k++) {
        MPI_Status status;
        int done, n;

        PMPI_Test(&t->receive[t->next], &done, &status);
        if (!done)
            break;
        PMPI_Get_count(&status, MPI_BYTE, &n);
        take_frame(t, (unsigned)status.MPI_SOURCE, t->buffer + t->next * t->frame, (size_t)n);
        bytes += (size_t)n;
        post(t, t->next);
        t->next = (t->next + 1) % RECEIVES;
        moved = true;
    }
    if (tbi_copies_busy(t->copies))
        moved |= tbi_copies_progress(t->copies, on_copied, t);
    return moved;
}

/* ---- sending ---- */

static void *send_record(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size)
{
    struct tbi_mpi_transport *t = ctx;

    if (type == TBI_MSG_FETCHED && t->mpi->window != MPI_WIN_NULL)
        PMPI_Win_sync(t->mpi->window); /* what processes wrote is there for who reads it by RMA */
    mark(t, rank);
    return tbi_outbox_append(&t->peer[rank].out, type, proc, size);
}

static struct sending *new_sending(struct tbi_mpi_transport *t)
{
    struct sending *s = t->spare;

    if (s == NULL)
        return tbi_alloc(sizeof *s + t->frame);
    t->spare = s->next;
    t->nspare--;
    return s;
}

/* It has been sent. */
static void end_sending(struct tbi_mpi_transport *t, struct sending *s)
{
    if (t->nspare == SPARE) {
        free(s);
        return;
    }
    s->next = t->spare;
    t->spare = s;
    t->nspare++;
}

static void ring(const struct tbi_mpi_transport *t, unsigned rank)
{
    if (t->peer[rank].shares_memory)
        tbi_bell_ring(tbi_memory_bell(t->memory, rank));
}

static void isend(struct tbi_mpi_transport *t, unsigned rank, struct sending *s, size_t n)
{
    int done;

    s->rank = rank;
    s->next = NULL;
    t->peer[rank].spoke = true;
    PMPI_Isend(s->frame, (int)n, MPI_BYTE, (int)rank, 0, t->mpi->world, &s->request);
    PMPI_Test(&s->request, &done, MPI_STATUS_IGNORE);
    if (done) {
        end_sending(t, s);
    } else if (t->under_way == NULL) {
        t->under_way = t->last = s;
    } else {
        t->last = t->last->next = s;
    }
}

/* A frame without records. */
static void acknowledge(struct tbi_mpi_transport *t, unsigned rank)
{
    struct sending *s = new_sending(t);

    *(struct tbi_frame *)(void *)s->frame = (struct tbi_frame){
        .magic = TBI_FRAME_MAGIC, .version = TBI_PROTOCOL_VERSION, .limit = tbi_quota_tell(&t->quota.peer[rank])};
    isend(t, rank, s, sizeof(struct tbi_frame));
}

/* Is what goes to this peer held back by a fault? What comes after it waits too, so order is kept. */
static bool is_held(struct peer *peer)
{
    if (peer->held_until_us == 0)
        peer->held_until_us = tbi_now_us() + tbi_fault_delay_us();
    if (tbi_now_us() < peer->held_until_us)
        return true;
    peer->held_until_us = 0;
    return false;
}

static void send_frames(struct tbi_mpi_transport *t, unsigned rank)
{
    struct tbi_quota_peer *quota = &t->quota.peer[rank];
    struct peer *peer = &t->peer[rank];
    bool sent = false;
    size_t room;

    while (tbi_outbox_bytes(&peer->out) > 0 && (room = tbi_quota_room(quota, peer->frame)) > 0) {
        struct sending *s = new_sending(t);
        size_t n = tbi_outbox_cut(&peer->out, s->frame, room, tbi_quota_tell(quota));

        tbi_quota_sent(quota, n);
        isend(t, rank, s, n);
        sent = true;
    }
    if (tbi_quota_must_tell(quota)) { /* it may wait for this to go on */
        acknowledge(t, rank);
        sent = true;
    }
    if (sent)
        ring(t, rank);
}

static void test_sends(struct tbi_mpi_transport *t)
{
    struct sending **at = &t->under_way, *s;
    int done;

    t->last = NULL;
    while ((s = *at) != NULL) {
        PMPI_Test(&s->request, &done, MPI_STATUS_IGNORE);
        if (!done) {
            t->last = s;
            at = &s->next;
            continue;
        }
        ring(t, s->rank); /* it may have slept through the first ring: the message was not there */
        *at = s->next;
        end_sending(t, s);
    }
}

static bool has_more(void *ctx)
{
    const struct tbi_mpi_transport *t = ctx;

    for (unsigned r = 0; r < t->mpi->nranks; r++)
        if (tbi_outbox_bytes(&t->peer[r].out) > 0)
            return true;
    return false;
}

static size_t waiting(void *ctx, unsigned rank)
{
    return tbi_outbox_bytes(&((const struct tbi_mpi_transport *)ctx)->peer[rank].out);
}

static bool flush(void *ctx)
{
    struct tbi_mpi_transport *t = ctx;

    unsigned held = 0;

    for (unsigned i = 0; i < t->ndirty; i++) {
        unsigned rank = t->dirty[i];

        if (tbi_fault_is_armed(TBI_FAULT_FRAME_DELAY) && is_held(&t->peer[rank])) {
            t->dirty[held++] = rank;
            continue;
        }
        t->peer[rank].dirty = false;
        send_frames(t, rank);
    }
    t->ndirty = held;
    if (t->under_way != NULL)
        test_sends(t);
    return held > 0 || t->under_way != NULL || tbi_copies_busy(t->copies);
}

/* ---- the rest of the port ---- */

/* Of those that this rank watches, the next from `rank` on, or nranks. */
static unsigned next_watched(const struct tbi_mpi_transport *t, unsigned rank)
{
    unsigned end = t->mpi->rank == 0 ? t->mpi->nranks : 1;

    while (rank < end && (rank == t->mpi->rank || t->peer[rank].left ||
                          t->mpi->host[rank] == t->mpi->host[t->mpi->rank]))
        rank++;
    return rank < end ? rank : t->mpi->nranks;
}

static void beat(void *ctx)
{
    struct tbi_mpi_transport *t = ctx;

    for (unsigned r = next_watched(t, 0); r < t->mpi->nranks; r = next_watched(t, r + 1)) {
        if (!t->peer[r].spoke)
            acknowledge(t, r);
        t->peer[r].spoke = false;
    }
}

static unsigned silence(void *ctx, unsigned *rank)
{
    struct tbi_mpi_transport *t = ctx;
    unsigned most = 0;

    *rank = 0;
    for (unsigned r = next_watched(t, 0); r < t->mpi->nranks; r = next_watched(t, r + 1))
        if (++t->peer[r].silent > most) {
            most = t->peer[r].silent;
            *rank = r;
        }
    return most;
}

static void copy(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t to,
                 uint64_t bytes)
{
    tbi_copies_pull(((struct tbi_mpi_transport *)ctx)->copies, ticket, rank, from, to, bytes);
}

static void push(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t bytes)
{
    tbi_copies_push(((struct tbi_mpi_transport *)ctx)->copies, ticket, rank, from, bytes);
}

static void set_copied(void *ctx, void (*copied)(void *loop, uint32_t ticket, bool ok), void *loop)
{
    struct tbi_mpi_transport *t = ctx;

    t->copied = copied;
    t->loop = loop;
}

static void find_frame_sizes(struct tbi_mpi_transport *t)
{
    size_t *frame = tbi_alloc(t->mpi->nranks * sizeof *frame);
    MPI_Group physical, world;

    PMPI_Comm_group(t->mpi->physical, &physical);
    PMPI_Comm_group(t->mpi->world, &world);
    t->frame = FRAME_HOST;
    for (int r = 0; r < (int)t->mpi->nranks; r++) {
        int there;

        PMPI_Group_translate_ranks(world, 1, &r, physical, &there);
        t->peer[r].frame = there == MPI_UNDEFINED ? FRAME_HOSTS : FRAME_HOST;
        t->peer[r].shares_memory = t->mpi->host[r] == t->mpi->host[t->mpi->rank];
        if (t->peer[r].frame > t->frame)
            t->frame = t->peer[r].frame;
        frame[r] = t->peer[r].frame;
    }
    tbi_quota_init(&t->quota, t->mpi->nranks, frame, TBI_QUOTA_TOTAL);
    free(frame);
    PMPI_Group_free(&physical);
    PMPI_Group_free(&world);
}

struct tbi_mpi_transport *tbi_transport_start(struct tbi_mpi *mpi, const struct tbi_memory *memory,
                                              struct tbi_transport *port)
{
    struct tbi_mpi_transport *t = tbi_alloc_zeroed(1, sizeof *t);

    t->mpi = mpi;
    t->memory = memory;
    t->peer = tbi_alloc_zeroed(mpi->nranks, sizeof *t->peer);
    t->dirty = tbi_alloc(mpi->nranks * sizeof *t->dirty);
    find_frame_sizes(t);
    t->buffer = tbi_alloc(RECEIVES * t->frame);
    t->copies = tbi_copies_create(mpi, memory);
    for (unsigned i = 0; i < RECEIVES; i++)
        post(t, i);
    *port = (struct tbi_transport){t, send_record, receive, flush, has_more, waiting, copy, push, set_copied,
                                   beat, silence, mpi->nhosts == 1};
    PMPI_Barrier(mpi->world);
    return t;
}

static void ignore(void *loop, uint32_t ticket, bool ok)
{
    (void)loop, (void)ticket, (void)ok;
}

void tbi_transport_stop(struct tbi_mpi_transport *t)
{
    uint64_t deadline_us = tbi_now_us() + DRAIN_US;
    struct sending *s;

    /* What other ranks still read from us, or send us, goes on a while: it is on its way already. */
    t->copied = ignore;
    while (tbi_copies_busy(t->copies) && tbi_now_us() < deadline_us)
        tbi_copies_progress(t->copies, on_copied, t);
    PMPI_Barrier(t->mpi->world);
    for (unsigned i = 0; i < RECEIVES; i++) {
        PMPI_Cancel(&t->receive[i]);
        PMPI_Wait(&t->receive[i], MPI_STATUS_IGNORE);
    }
    for (unsigned r = 0; r < t->mpi->nranks; r++) {
        tbi_outbox_fini(&t->peer[r].out);
        tbi_inbox_fini(&t->peer[r].in);
    }
    while ((s = t->under_way) != NULL) {
        t->under_way = s->next;
        PMPI_Wait(&s->request, MPI_STATUS_IGNORE);
        free(s);
    }
    while ((s = t->spare) != NULL) {
        t->spare = s->next;
        free(s);
    }
    tbi_copies_destroy(t->copies);
    tbi_quota_fini(&t->quota);
    free(t->buffer);
    free(t->dirty);
    free(t->peer);
    free(t);
}
