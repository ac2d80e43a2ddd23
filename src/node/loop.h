/* loop.h - the event loop of a rank: it carries records between the agent, on rank 0 the head and the
 * driver, the executors and the other ranks. One turn:
 *
 *      other ranks --+                        +--> head    --+
 *      driver -------+--> receive (handlers) -+              +--> until nothing is left --> flush:
 *      executors ----+                        +--> agent   --+     rings, frames, driver
 *
 * What executors print goes beside that to rank 0, and there to the terminal: a rank passes on
 * OUTPUT_WINDOW bytes, and more when rank 0 says that they are written.
 *
 * A turn neither blocks nor sleeps, and is bounded: of each source it takes what was there, or a fixed amount. Not thread-safe: one thread at a time runs it. */
#ifndef TBI_LOOP_H
#define TBI_LOOP_H

#include "net/codec.h"
#include "node/agent.h"
#include "node/pool.h"
#include "node/watchdog.h"
#include "sched/sched.h"
#include "store/memory.h"

/* The way to other ranks. */
struct tbi_transport {
    void *ctx;
    void *(*send)(void *ctx, unsigned rank, enum tbi_msg type, uint32_t proc, size_t size);
    /* Hands over what has come. True: there was something. */
    bool (*receive)(void *ctx, void (*record)(void *loop, unsigned rank,
                                              const struct tbi_record *record), void *loop);
    /* Sends what is queued. True: something is still on its way, come back soon. */
    bool (*flush)(void *ctx);
    /* Does anything wait here, for a peer to take in what it was sent before? */
    bool (*has_more)(void *ctx);
    /* Bytes of records to this rank that wait here. */
    size_t (*waiting)(void *ctx, unsigned rank);
    /* As in tbi_agent_ops; the end of a copy is told by `copied` from within receive. */
    void (*copy)(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t to,
                 uint64_t bytes);
    void (*push)(void *ctx, uint32_t ticket, unsigned rank, uint64_t from, uint64_t bytes);
    void (*on_copied)(void *ctx, void (*copied)(void *loop, uint32_t ticket, bool ok), void *loop);
    /* Rank 0 and the ranks of other hosts watch each other. Lets those that watch us know that we live, if
     * nothing else has since the last call. */
    void (*beat)(void *ctx);
    /* To be called once in a while, after receive. Of those that we watch, *rank is the one from which nothing
     * was heard for the most calls, which are returned. */
    unsigned (*silence)(void *ctx, unsigned *rank);
    bool all_on_host;   /* every peer rings our bell, and nobody is watched */
};

/* The driver's side, on rank 0. */
struct tbi_driver_port {
    void *ctx;
    /* Moves what the driver has queued into `to`, which is empty. */
    void (*take)(void *ctx, struct tbi_outbox *to);
    bool (*has_news)(void *ctx);
    bool (*rang)(void *ctx); /* ... and rang for it: other news wait for the next turn, whenever that is */
    void (*deliver)(void *ctx, const struct tbi_record *record);
    /* What its threads wait for, in lines. */
    void (*report)(void *ctx, const struct tbi_sched *sched, FILE *to);
};

struct tbi_loop_config {
    struct tbi_agent_config agent;
    const struct tbi_sched_config *sched; /* rank 0: the head; else NULL */
    struct tbi_slots *slots;
    struct tbi_zygote *zygote;
    struct tbi_memory *memory;
    const char *host;
    struct tbi_transport *transport;      /* NULL: there is no other rank */
    struct tbi_driver_port driver;        /* rank 0 */
    bool spins;                           /* never sleeps */
    double heartbeat;                     /* seconds of silence that end the job; 0: none does */
    const char *(*host_of)(void *ctx, unsigned rank);
    void *host_ctx;
    struct tbi_watchdog *watchdog;        /* may be NULL */
    const char *const *functions;         /* their names by number, for reports */
};

struct tbi_loop;

struct tbi_loop *tbi_loop_create(const struct tbi_loop_config *config);
void tbi_loop_destroy(struct tbi_loop *loop);

/* One turn. True: something moved. */
bool tbi_loop_turn(struct tbi_loop *loop);

/* Is there something to do, or on its way out? To be asked after arming the bell. */
bool tbi_loop_has_news(struct tbi_loop *loop);
/* After a turn that moved nothing: is it too early to sleep? Gives others the processor then. */
bool tbi_loop_linger(const struct tbi_loop *loop);
/* Until when to sleep at most; counts idle turns and becomes longer. */
uint64_t tbi_loop_sleep_until(struct tbi_loop *loop, uint64_t now_us);

/* Do executors ring for each news? While they have work ahead they ring now and then only. */
bool tbi_loop_executors_ring(const struct tbi_loop *loop);
/* Waits on the bell; another thread may make turns meanwhile. With TB_DEBUG tells if the time ran out though
 * somebody should have rung. */
void tbi_loop_sleep(const struct tbi_loop *loop, bool executors_ring, struct tbi_bell *bell, uint32_t value,
                    uint32_t who, uint64_t deadline_us);

/* On rank 0: ends the job; then make turns until tbi_loop_ended. `settles`: no ref is held and no task
 * under way, so each rank goes on until nothing is left on its books, for a while at most, and names
 * on stderr what is. */
void tbi_loop_shutdown(struct tbi_loop *loop, bool settles);
bool tbi_loop_ended(const struct tbi_loop *loop);

struct tbi_agent *tbi_loop_agent(struct tbi_loop *loop);
struct tbi_sched *tbi_loop_sched(struct tbi_loop *loop);

#endif
