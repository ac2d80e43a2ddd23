#include "node/pool.h"
#include "net/codec.h"
#include "thornback.h"
#include "util/alloc.h"
#include "util/error_blob.h"
#include "util/map.h"
#include "util/signals.h"

#include <errno.h>
#include <signal.h>

struct executor {
    uint32_t proc, slot;
    bool asked;             /* the zygote was told */
    bool killed;            /* it was told that as well */
    bool queued;            /* it is in `dirty` */
    struct tbi_outbox out;
    struct tbi_ring_writer writer;
    struct tbi_ring_reader reader;
    uint64_t offered;       /* tasks that it was sent */
    uint64_t claimed;       /* what its claim word said last, which never falls; is to say when it has a slot */
    char refused[200];      /* why it is being killed */
};

struct tbi_pool {
    struct tbi_pool_config config;
    struct tbi_ring_reader deaths, output;
    uint64_t printed, handed;               /* bytes of output before the last death; handed over */
    struct tbi_map executors;               /* proc + 1 as an id -> executor */
    struct executor *at[TBI_SLOTS_MAX];     /* by slot */
    uint32_t free[TBI_SLOTS_MAX];
    uint32_t nfree, nslots;                 /* nslots: one above the highest ever used */
    struct executor **dirty;                /* have something to be written */
    size_t ndirty, dirty_room;
    struct executor **unborn;               /* no slot, or the zygote was not told yet */
    size_t nunborn, unborn_room;
    struct late {
        uint32_t proc;
        bool kill;                          /* else: interrupt */
    } *late;                                /* orders that the zygote was not told yet */
    size_t nlate, late_room;
    uint8_t *nowhere;                       /* for records to the dead */
    bool missed;                            /* a ring has something, and its bit may be lost */
    uint64_t looked_us;                     /* when has_news looked at all rings last */
};

enum {
    FEW = 64,           /* executors: so many rings are looked at whenever the rank is about to sleep */
    LOOK_US = 1000      /* more of them: no more often */
};

static struct tbi_id key(uint32_t proc)
{
    return (struct tbi_id){0, (uint64_t)proc + 1};
}

struct tbi_pool *tbi_pool_create(const struct tbi_pool_config *config)
{
    struct tbi_pool *pool = tbi_alloc_zeroed(1, sizeof *pool);

    pool->config = *config;
    tbi_ring_reader_init(&pool->deaths, tbi_slots_deaths(config->slots), TBI_DEATHS_RING);
    tbi_ring_reader_init(&pool->output, tbi_slots_output(config->slots), TBI_OUTPUT_RING);
    for (uint32_t i = TBI_SLOTS_MAX; i-- > 0;)
        pool->free[pool->nfree++] = i; /* the lowest on top */
    return pool;
}

static void free_executor(struct tbi_pool *pool, struct executor *x)
{
    tbi_map_take(&pool->executors, key(x->proc));
    tbi_outbox_fini(&x->out);
    tbi_ring_reader_fini(&x->reader);
    free(x);
}

void tbi_pool_destroy(struct tbi_pool *pool)
{
    struct tbi_map_slot e;
    size_t at;

    if (pool == NULL)
        return;
    for (at = 0; tbi_map_next(&pool->executors, &at, &e); at = 0)
        free_executor(pool, e.value);
    tbi_map_fini(&pool->executors);
    tbi_ring_reader_fini(&pool->deaths);
    tbi_ring_reader_fini(&pool->output);
    free(pool->dirty);
    free(pool->unborn);
    free(pool->late);
    free(pool->nowhere);
    free(pool);
}

static void push(struct executor ***list, size_t *n, size_t *room, struct executor *x)
{
    if (*n == *room) {
        *room = *room * 2 + 16;
        *list = tbi_realloc(*list, *room * sizeof **list);
    }
    (*list)[(*n)++] = x;
}

/* ---- birth and death ---- */

/* False: there is none. */
static bool find_slot(struct tbi_pool *pool, struct executor *x)
{
    if (x->slot < TBI_SLOTS_MAX)
        return true;
    if (pool->nfree == 0)
        return false;
    x->slot = pool->free[--pool->nfree];
    pool->at[x->slot] = x;
    if (x->slot >= pool->nslots)
        pool->nslots = x->slot + 1;
    tbi_ring_writer_init(&x->writer, tbi_slots_in(pool->config.slots, x->slot), TBI_SLOT_RING);
    tbi_ring_reader_init(&x->reader, tbi_slots_out(pool->config.slots, x->slot), TBI_SLOT_RING);
    atomic_store(&tbi_slots_slot(pool->config.slots, x->slot)->next, x->claimed);
    return true;
}

void tbi_pool_fork(struct tbi_pool *pool, uint32_t proc)
{
    struct executor *x = tbi_alloc_zeroed(1, sizeof *x);

    x->proc = proc;
    x->slot = TBI_SLOTS_MAX;
    tbi_map_put(&pool->executors, key(proc), x);
    x->asked = find_slot(pool, x) && tbi_zygote_fork(pool->config.zygote, x->slot, proc) == 0;
    if (!x->asked)
        push(&pool->unborn, &pool->nunborn, &pool->unborn_room, x);
}

/* What it wrote: as much as its ring holds, which is all if it is dead. NULL, or why it is to be killed. */
static const char *drain(struct tbi_pool *pool, struct executor *x)
{
    uint64_t from = x->reader.head;
    const struct tbi_record *record;

    while (x->refused[0] == 0 && x->reader.head - from <= TBI_SLOT_RING &&
           (record = tbi_ring_next(&x->reader)) != NULL) {
        const char *why = record->proc != x->proc ? "a record in another process's name"
                                                  : pool->config.record(pool->config.ctx, record);

        if (why != NULL)
            return why;
    }
    return x->reader.broken;
}

/* It has overwritten its memory, or lies. From now on nothing is taken from it, nor written to it. */
static void note_refused(struct executor *x, const char *why)
{
    if (why != NULL && x->refused[0] == 0)
        snprintf(x->refused, sizeof x->refused, "%s", why);
}

static void order(struct tbi_pool *pool, uint32_t proc, bool kill);

static void refuse(struct tbi_pool *pool, struct executor *x, const char *why)
{
    if (x->refused[0] != 0)
        return;
    note_refused(x, why);
    order(pool, x->proc, true);
    pool->config.doomed(pool->config.ctx, x->proc);
}

static void note_output(struct tbi_error_link *link, const struct msg_exited *m)
{
    size_t n = m->bytes < sizeof link->output ? m->bytes : sizeof link->output - 1;

    memcpy(link->output, m + 1, n);
    link->output[n] = 0;
}

/* The limit that was hit when no process could be started. */
static const char *limit_of(int code)
{
    switch (code) {
    case EMFILE:
        return "ulimit -n: each process of tasks takes two descriptors";
    case ENFILE:
        return "the system has no more descriptors";
    case EAGAIN:
        return "ulimit -u, or pids.max of its control group";
    case ENOMEM:
        return "the job's memory, or vm.overcommit_memory";
    case EBADF:
    case ENOTSOCK:
        return "the program closed a descriptor of the library, by closefrom perhaps";
    default:
        return "see fork(2)";
    }
}

/* What the task had said of itself before its process ended, if it makes sense: the process could write it. */
static bool take_sticky(struct tbi_slot *slot, struct tbi_error_link *link)
{
    uint64_t begun = atomic_load(&slot->begun);

    if (begun == 0 || atomic_load(&slot->sticks) != begun)
        return false;
    memcpy(link, &slot->sticky, sizeof *link);
    link->output[0] = 0;
    return tbi_error_links(link, sizeof *link) == 1;
}

/* `m` with its tail. Returns whether it is what the task had said of itself. */
static bool describe(const struct tbi_pool *pool, const struct executor *x,
                     const struct msg_exited *m, struct tbi_error_link *link)
{
    if (x->refused[0] == 0 && x->slot < TBI_SLOTS_MAX &&
        take_sticky(tbi_slots_slot(pool->config.slots, x->slot), link)) {
        link->signal = m->signal;
        link->pid = m->pid;
        link->rank = (int32_t)pool->config.rank;
        note_output(link, m);
        return true;
    }
    if (x->refused[0] != 0)
        tbi_error_link(link, TB_ERR_CRASHED, "its process was killed for breaking the protocol: %s (was its memory "
                       "overwritten?)", x->refused);
    else if (m->pid == 0)
        tbi_error_link(link, TB_ERR_CRASHED, "no process could be started for the task: %s (%s)",
                       strerror(m->status), limit_of(m->status));
    else if (m->signal != 0)
        tbi_error_link(link, TB_ERR_CRASHED, "its process (pid %d, rank %u, host %s) was ended by %s, signal %d (%s)%s",
                       m->pid, pool->config.rank, pool->config.host, tbi_signal_name(m->signal), m->signal,
                       strsignal(m->signal), m->signal == SIGKILL
                           ? ", which the out-of-memory killer sends too" : "");
    else
        tbi_error_link(link, TB_ERR_CRASHED, "its process (pid %d, rank %u, host %s) ended with exit status %d before "
                       "the task returned", m->pid, pool->config.rank, pool->config.host, m->status);
    link->signal = m->signal;
    link->number = m->status;
    link->pid = m->pid;
    link->rank = (int32_t)pool->config.rank;
    note_output(link, m);
    snprintf(link->host, sizeof link->host, "%s", pool->config.host);
    return false;
}

static void bury(struct tbi_pool *pool, struct executor *x, const struct msg_exited *m)
{
    struct tbi_error_link cause;
    bool said;

    if (x->slot < TBI_SLOTS_MAX)
        note_refused(x, drain(pool, x));
    said = describe(pool, x, m, &cause);
    if (m->pid == 0 && x->refused[0] == 0)
        pool->config.unborn(pool->config.ctx, x->proc, &cause);
    else
        pool->config.died(pool->config.ctx, x->proc, &cause, said);
    for (size_t i = 0; x->queued && i < pool->ndirty; i++)
        if (pool->dirty[i] == x) {
            pool->dirty[i] = pool->dirty[--pool->ndirty];
            break;
        }
    if (x->slot < TBI_SLOTS_MAX) {
        tbi_slots_reset(pool->config.slots, x->slot);
        pool->at[x->slot] = NULL;
        pool->free[pool->nfree++] = x->slot;
    }
    free_executor(pool, x);
}

static bool ask_again(struct tbi_pool *pool)
{
    bool moved = false;

    for (size_t i = 0; i < pool->nunborn;) {
        struct executor *x = pool->unborn[i];
        int rc = find_slot(pool, x) ? tbi_zygote_fork(pool->config.zygote, x->slot, x->proc) : -EAGAIN;

        if (rc == -EAGAIN || rc == -ENOBUFS) {
            i++;
            continue;
        }
        pool->unborn[i] = pool->unborn[--pool->nunborn];
        x->asked = rc == 0;
        moved = true;
        if (rc != 0)
            bury(pool, x, &(struct msg_exited){.status = -rc});
    }
    return moved;
}

/* ---- records ---- */

void *tbi_pool_send(struct tbi_pool *pool, uint32_t proc, enum tbi_msg type, size_t size)
{
    struct executor *x = tbi_map_get(&pool->executors, key(proc));

    if (x == NULL)
        return pool->nowhere = tbi_realloc(pool->nowhere, tbi_padded(size) + 8);
    if (!x->queued) {
        x->queued = true;
        push(&pool->dirty, &pool->ndirty, &pool->dirty_room, x);
    }
    x->offered += type == TBI_MSG_RUN;
    return tbi_outbox_append(&x->out, type, proc, size);
}

static const char *const impossible_claim = "its claim on tasks is impossible";

/* The claim word of a slot, if it can be right: it rises, and not above what was offered. UINT64_MAX: it is not. */
static uint64_t read_claim(struct tbi_pool *pool, struct executor *x, uint64_t begun, uint64_t offered)
{
    uint64_t next = atomic_load(&tbi_slots_slot(pool->config.slots, x->slot)->next);

    if (next < begun || next < x->claimed || next > offered)
        return UINT64_MAX;
    return x->claimed = next;
}

uint64_t tbi_pool_take_back(struct tbi_pool *pool, uint32_t proc, uint64_t begun, uint64_t offered)
{
    struct executor *x = tbi_map_get(&pool->executors, key(proc));
    _Atomic uint64_t *word;
    uint64_t next;

    if (x == NULL)
        return begun;
    if (x->slot == TBI_SLOTS_MAX) {
        next = x->claimed;
        x->claimed = offered;
        return next;
    }
    word = &tbi_slots_slot(pool->config.slots, x->slot)->next;
    do {
        next = read_claim(pool, x, begun, offered);
        if (next == UINT64_MAX) { /* nobody knows what it has begun: it begins nothing more */
            atomic_store(word, UINT64_MAX);
            refuse(pool, x, impossible_claim);
            return offered;
        }
    } while (!atomic_compare_exchange_strong(word, &next, offered));
    x->claimed = offered;
    return next;
}

/* Orders to the zygote that find no room go first when there is some: until then the executor lives. */
static void order(struct tbi_pool *pool, uint32_t proc, bool kill)
{
    int rc = kill ? tbi_zygote_kill(pool->config.zygote, proc)
                  : tbi_zygote_interrupt(pool->config.zygote, proc);

    if (rc != -EAGAIN && rc != -ENOBUFS)
        return;
    if (pool->nlate == pool->late_room) {
        pool->late_room = pool->late_room * 2 + 16;
        pool->late = tbi_realloc(pool->late, pool->late_room * sizeof *pool->late);
    }
    pool->late[pool->nlate++] = (struct late){proc, kill};
}

static bool order_again(struct tbi_pool *pool)
{
    size_t n = pool->nlate;

    pool->nlate = 0;
    for (size_t i = 0; i < n; i++)
        order(pool, pool->late[i].proc, pool->late[i].kill); /* appends behind what was read */
    return pool->nlate < n;
}

void tbi_pool_interrupt(struct tbi_pool *pool, uint32_t proc, uint64_t number, bool others)
{
    struct executor *x = tbi_map_get(&pool->executors, key(proc));
    struct tbi_slot *slot;

    if (x == NULL || x->slot == TBI_SLOTS_MAX)
        return;
    slot = tbi_slots_slot(pool->config.slots, x->slot);
    atomic_store(&slot->cancelled[number % TBI_SLOT_CANCELS], number + 1);
    if (!others || tbi_slot_aim(slot, number))
        order(pool, proc, false);
}

int32_t tbi_pool_pid(struct tbi_pool *pool, uint32_t proc)
{
    const struct executor *x = tbi_map_get(&pool->executors, key(proc));

    return x == NULL || x->slot == TBI_SLOTS_MAX ? 0 : atomic_load(&tbi_slots_slot(pool->config.slots, x->slot)->pid);
}

void tbi_pool_kill(struct tbi_pool *pool, uint32_t proc)
{
    order(pool, proc, true);
}

bool tbi_pool_flush(struct tbi_pool *pool)
{
    size_t left = 0;

    for (size_t i = 0; i < pool->ndirty; i++) {
        struct executor *x = pool->dirty[i];
        struct tbi_outbox *out = &x->out;
        size_t n = x->slot == TBI_SLOTS_MAX || x->refused[0] != 0
                       ? 0 : tbi_ring_write(&x->writer, out->data + out->begin,
                                            tbi_outbox_bytes(out));

        out->begin += n;
        if (n > 0)
            tbi_bell_ring(&tbi_slots_slot(pool->config.slots, x->slot)->bell);
        if (x->writer.broken != NULL)
            refuse(pool, x, x->writer.broken);
        if (tbi_outbox_bytes(out) == 0 || x->refused[0] != 0) {
            tbi_outbox_clear(out);
            x->queued = false;
        } else {
            pool->dirty[left++] = x;
        }
    }
    pool->ndirty = left;
    return left > 0;
}

static bool read_ring(struct tbi_pool *pool, uint32_t slot)
{
    struct executor *x = pool->at[slot];
    const char *why;

    if (x == NULL || x->refused[0] != 0 || !tbi_ring_has_news(&x->reader))
        return false;
    why = drain(pool, x);
    if (why != NULL)
        refuse(pool, x, why);
    else if (tbi_ring_has_news(&x->reader)) /* others have their turn first */
        tbi_slots_note_news(pool->config.slots, slot);
    return true;
}

static bool read_all_rings(struct tbi_pool *pool)
{
    bool moved = false;

    pool->missed = false;
    for (uint32_t slot = 0; slot < pool->nslots; slot++)
        moved |= read_ring(pool, slot);
    return moved;
}

bool tbi_pool_look(struct tbi_pool *pool)
{
    bool moved = pool->config.may_read(pool->config.ctx) && read_all_rings(pool);

    for (uint32_t slot = 0; slot < pool->nslots; slot++) {
        struct executor *x = pool->at[slot];

        if (x == NULL || !x->asked || x->refused[0] != 0)
            continue;
        if (!tbi_ring_look(&x->writer))
            refuse(pool, x, x->writer.broken);
        else if (read_claim(pool, x, 0, x->offered) == UINT64_MAX)
            refuse(pool, x, impossible_claim);
        moved |= x->refused[0] != 0;
    }
    return moved;
}

static bool hand_over_output(struct tbi_pool *pool)
{
    const struct tbi_record *record;
    bool moved = false;

    while (pool->config.may_print(pool->config.ctx) && tbi_ring_has_news(&pool->output) &&
           (record = tbi_ring_next(&pool->output)) != NULL) {
        pool->handed += ((const struct msg_output *)(record + 1))->bytes;
        pool->config.printed(pool->config.ctx, record);
        moved = true;
    }
    return moved;
}

bool tbi_pool_receive(struct tbi_pool *pool)
{
    const struct tbi_record *record;
    bool moved = pool->nunborn > 0 && ask_again(pool), reads = pool->config.may_read(pool->config.ctx);

    if (pool->nlate > 0)
        moved |= order_again(pool);
    if (reads && pool->missed)
        moved |= read_all_rings(pool);
    for (uint32_t first = 0; reads && first < pool->nslots; first += 64)
        for (uint64_t news = tbi_slots_take_news(pool->config.slots, first); news != 0;
             news &= news - 1)
            moved |= read_ring(pool, first + (uint32_t)__builtin_ctzll(news));
    while (tbi_ring_has_news(&pool->deaths) &&
           (record = tbi_ring_next(&pool->deaths)) != NULL) {
        struct executor *x = tbi_map_get(&pool->executors, key(record->proc));
        const struct msg_exited *m = (const struct msg_exited *)(record + 1);

        moved = true;
        pool->printed = m->printed;
        hand_over_output(pool); /* what it printed goes ahead of the news of its end */
        if (x != NULL)
            bury(pool, x, m);
    }
    moved |= hand_over_output(pool);
    return moved;
}

/* Something may lie in a ring although no bit says so. */
static bool has_missed(struct tbi_pool *pool)
{
    if (pool->nslots > FEW) {
        uint64_t now_us = tbi_now_us();

        if (now_us - pool->looked_us < LOOK_US)
            return false;
        pool->looked_us = now_us;
    }
    for (uint32_t slot = 0; slot < pool->nslots && !pool->missed; slot++) {
        const struct executor *x = pool->at[slot];

        pool->missed = x != NULL && x->refused[0] == 0 && tbi_ring_has_news(&x->reader);
    }
    return pool->missed;
}

bool tbi_pool_has_news(struct tbi_pool *pool)
{
    return pool->nunborn > 0 || pool->nlate > 0 ||
           tbi_ring_has_news(&pool->deaths) ||
           (tbi_ring_has_news(&pool->output) && pool->config.may_print(pool->config.ctx)) ||
           (pool->config.may_read(pool->config.ctx) &&
            (tbi_slots_have_news(pool->config.slots, pool->nslots) || has_missed(pool)));
}

void tbi_pool_exit_all(struct tbi_pool *pool)
{
    struct tbi_map_slot e;
    size_t at = 0;

    while (tbi_map_next(&pool->executors, &at, &e))
        tbi_pool_send(pool, ((struct executor *)e.value)->proc, TBI_MSG_EXIT,
                      sizeof(struct msg_none));
}

void tbi_pool_kill_all(struct tbi_pool *pool)
{
    struct tbi_map_slot e;
    size_t at = 0;

    while (tbi_map_next(&pool->executors, &at, &e)) {
        struct executor *x = e.value;

        if (x->asked && !x->killed)
            x->killed = tbi_zygote_kill(pool->config.zygote, x->proc) == 0;
    }
}

bool tbi_pool_is_printing(const struct tbi_pool *pool)
{
    return pool->handed < pool->printed;
}

unsigned tbi_pool_living(const struct tbi_pool *pool)
{
    return (unsigned)pool->executors.count;
}
