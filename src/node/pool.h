/* pool.h - the executors of a rank: their slots and rings, their birth and their death. It carries
 * records and knows nothing of what they mean. Used by the thread that runs the loop. */
#ifndef TBI_POOL_H
#define TBI_POOL_H

#include "exec/slots.h"
#include "exec/zygote.h"

struct tbi_pool;

struct tbi_pool_config {
    struct tbi_slots *slots;
    struct tbi_zygote *zygote;
    unsigned rank;
    const char *host;
    void *ctx;
    /* A record of the executor record->proc. NULL, or why it was refused: the executor is killed. */
    const char *(*record)(void *ctx, const struct tbi_record *record);
    /* It is being killed: for what was refused, or for what it wrote over its slot. As tbi_agent_doom. */
    void (*doomed)(void *ctx, uint32_t proc);
    /* It is gone, and all that it sent was handed over. As tbi_agent_died. */
    void (*died)(void *ctx, uint32_t proc, const struct tbi_error_link *cause, bool said);
    /* It could not be started. As tbi_agent_unborn. */
    void (*unborn)(void *ctx, uint32_t proc, const struct tbi_error_link *cause);
    /* An OUTPUT record: what executors printed. Asked before each: is there room for one? */
    void (*printed)(void *ctx, const struct tbi_record *record);
    bool (*may_print)(void *ctx);
    /* May records of living executors be handed over? Else they stay in the rings, and their writers wait. */
    bool (*may_read)(void *ctx);
};

struct tbi_pool *tbi_pool_create(const struct tbi_pool_config *config);
void tbi_pool_destroy(struct tbi_pool *pool);

/* Starts an executor; never fails at once, but by `unborn`. */
void tbi_pool_fork(struct tbi_pool *pool, uint32_t proc);

/* Room for a record's body; it leaves with the next flush. Also for one that is dead: into the void. */
void *tbi_pool_send(struct tbi_pool *pool, uint32_t proc, enum tbi_msg type, size_t size);

/* Takes back the tasks from the first that was not begun up to `offered`; returns its number. As in
 * tbi_agent_ops. */
uint64_t tbi_pool_take_back(struct tbi_pool *pool, uint32_t proc, uint64_t begun, uint64_t offered);

/* As in tbi_agent_ops. */
void tbi_pool_interrupt(struct tbi_pool *pool, uint32_t proc, uint64_t number, bool others);
void tbi_pool_kill(struct tbi_pool *pool, uint32_t proc);
/* What it says of itself, for reports; 0: it has not begun, or is none. */
int32_t tbi_pool_pid(struct tbi_pool *pool, uint32_t proc);

/* Hands over what has come, of each executor as much as its ring holds at most. True: there was something. */
bool tbi_pool_receive(struct tbi_pool *pool);
/* Looks at each executor's slot whatever the news bits say, for any executor may overwrite those: hands over what
 * lies in the rings, and kills executors whose claim word or ring cannot be right. To be called once in a while.
 * True: there was something. */
bool tbi_pool_look(struct tbi_pool *pool);
/* Writes to the rings, wakes who has news. True: some found no room and must be tried again. */
bool tbi_pool_flush(struct tbi_pool *pool);
/* Is there anything to receive? Looks at the rings themselves, too, if there are few executors or it is some time ago:
 * then the next receive does as well. */
bool tbi_pool_has_news(struct tbi_pool *pool);

/* Tells all executors to exit when they are idle, or kills them. Then receive until
 * tbi_pool_living is 0; kill again in each turn, for not all may be told at once. */
void tbi_pool_exit_all(struct tbi_pool *pool);
void tbi_pool_kill_all(struct tbi_pool *pool);
unsigned tbi_pool_living(const struct tbi_pool *pool);
/* Was something printed by executors that died which was not handed over yet? */
bool tbi_pool_is_printing(const struct tbi_pool *pool);

#endif
