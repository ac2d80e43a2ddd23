/* id.h - the 16-byte identity of a task, and of each object that it or a put makes.
 *
 *      hi   63       56 55          38 37           8 7      0
 *          +-----------+--------------+--------------+--------+
 *          |   job 8   | origin rank  | incarnation  | error  |
 *          |           |      18      |      30      |   8    |
 *          +-----------+--------------+--------------+--------+
 *      lo   63                                   16 15      0
 *          +---------------------------------------+---------+
 *          |              counter 48               | index 16|
 *          +---------------------------------------+---------+
 *
 * The layout is that of tb_ref (thornback.h) and the two must change together. A task and its
 * returns share everything but the index; the task itself is named by index 0. A process (rank,
 * incarnation) numbers what it makes from 1 upwards and never reuses a number. A non-zero error
 * marks a ref that stands for a submission refused on the spot; it exists nowhere else.
 *
 * No number may run over: what it names would be taken for something else. tb_init refuses more ranks than
 * there is room for, tb_remote more returns. Incarnations last for eight days if a rank does nothing but start
 * processes (1,450 a second), then it starts no more and says so (node/births.c). The counter lasts for nine
 * years at a million objects a second. */
#ifndef TBI_ID_H
#define TBI_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tbi_id {
    uint64_t hi, lo;
};

enum {
    TBI_ID_JOB_BITS = 8,
    TBI_ID_RANK_BITS = 18,
    TBI_ID_PROC_BITS = 30,
    TBI_ID_ERROR_BITS = 8,
    TBI_ID_INDEX_BITS = 16
};
#define TBI_ID_JOB_MAX ((1u << TBI_ID_JOB_BITS) - 1)
#define TBI_ID_RANK_MAX ((1u << TBI_ID_RANK_BITS) - 1)
#define TBI_ID_PROC_MAX ((1u << TBI_ID_PROC_BITS) - 1)
#define TBI_ID_COUNTER_MAX ((UINT64_C(1) << 48) - 1)
#define TBI_ID_INDEX_MAX 0xffffu
enum {
    TBI_ID_PROC_AT = TBI_ID_ERROR_BITS,
    TBI_ID_RANK_AT = TBI_ID_PROC_AT + TBI_ID_PROC_BITS,
    TBI_ID_JOB_AT = TBI_ID_RANK_AT + TBI_ID_RANK_BITS
};

static inline struct tbi_id tbi_id_make(unsigned job, unsigned rank, unsigned proc,
                                        uint64_t counter, unsigned index)
{
    return (struct tbi_id){((uint64_t)(job & TBI_ID_JOB_MAX) << TBI_ID_JOB_AT) |
                               ((uint64_t)(rank & TBI_ID_RANK_MAX) << TBI_ID_RANK_AT) |
                               ((uint64_t)(proc & TBI_ID_PROC_MAX) << TBI_ID_PROC_AT),
                           (counter << TBI_ID_INDEX_BITS) | (index & TBI_ID_INDEX_MAX)};
}

static inline unsigned tbi_id_job(struct tbi_id id) { return (unsigned)(id.hi >> TBI_ID_JOB_AT); }
static inline unsigned tbi_id_rank(struct tbi_id id) { return (id.hi >> TBI_ID_RANK_AT) & TBI_ID_RANK_MAX; }
static inline unsigned tbi_id_proc(struct tbi_id id) { return (id.hi >> TBI_ID_PROC_AT) & TBI_ID_PROC_MAX; }
static inline unsigned tbi_id_error(struct tbi_id id) { return (unsigned)(id.hi & 0xff); }
static inline uint64_t tbi_id_counter(struct tbi_id id) { return id.lo >> TBI_ID_INDEX_BITS; }
static inline unsigned tbi_id_index(struct tbi_id id) { return (unsigned)(id.lo & TBI_ID_INDEX_MAX); }

static inline bool tbi_id_is_null(struct tbi_id id) { return (id.hi | id.lo) == 0; }
static inline bool tbi_id_equal(struct tbi_id a, struct tbi_id b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

/* The task that makes this object (or the object itself, if a put made it). */
static inline struct tbi_id tbi_id_task(struct tbi_id id)
{
    return (struct tbi_id){id.hi, id.lo & ~(uint64_t)TBI_ID_INDEX_MAX};
}

static inline struct tbi_id tbi_id_with_index(struct tbi_id id, unsigned index)
{
    return (struct tbi_id){id.hi, (id.lo & ~(uint64_t)TBI_ID_INDEX_MAX) | index};
}

/* Four consecutive numbers of one process are neighbours, for they are mostly used one after the
 * other and would else cost a cache miss each; the groups are scattered, so that the streams of
 * several processes do not pile up. Mixer of splitmix64 (Steele, Lea, Flood: "Fast splittable
 * pseudorandom number generators", 2014). */
static inline uint64_t tbi_id_hash(struct tbi_id id)
{
    uint64_t near = tbi_id_counter(id) & 3;
    uint64_t x = (id.lo - (near << TBI_ID_INDEX_BITS)) ^ (id.hi * UINT64_C(0x9e3779b97f4a7c15));

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) << 2 | near;
}

#endif
