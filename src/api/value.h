/* value.h - a value as it travels and lies in the store: one blob, readable in place.
 *
 *      0      1      2       4        8        16                     data_at
 *     +------+------+-------+--------+--------+- - - - - - - - - - - -+- - - - -
 *     | type | ndim | flags | elem   | count  | shape[ndim], padding  | data
 *     +------+------+-------+--------+--------+- - - - - - - - - - - -+- - - - -
 *
 * Arrays begin at the next multiple of 64, so that a blob that is itself aligned to 64 gives an
 * aligned view; everything else begins at 16. Native byte order. Sizes in bytes. Every reader
 * checks against the blob's length: a damaged blob is an error, never a wild read.
 * Pure; thread-safe. */
#ifndef TBI_VALUE_H
#define TBI_VALUE_H

#include "thornback.h"

#include <stdbool.h>

enum { TBI_VALUE_HEAD = 16, TBI_VALUE_ALIGN = 64 };

/* Refs and handles of actors: 16 bytes that name something which is counted. */
static inline bool tbi_type_is_handle(tb_type type)
{
    return type == TB_REF || type == TB_ACTOR_HANDLE;
}

/* Is the value one that can travel? 0, or TB_ERR_ARGUMENT with the last error set. */
int tbi_value_check(const tb_value *value);
/* Of a checked value. */
size_t tbi_value_packed_size(const tb_value *value);
void tbi_value_pack(const tb_value *value, void *to);
/* All but the data, which somebody writes in place. */
void tbi_value_pack_head(const tb_value *value, void *to);

struct tbi_view {
    tb_type type;
    bool array;
    int ndim;
    uint64_t elem, count;
    const uint64_t *shape; /* shape[ndim] */
    const void *data;      /* elem * count bytes */
};
/* Opens a blob. 0, or TB_ERR_ARGUMENT with the last error set. */
int tbi_value_open(const void *packed, size_t bytes, struct tbi_view *view);

/* Read a single value as `type` into out[size]: a number as any number type that holds it (floating
 * point never as an integer, double as float rounded), a ref as a ref, an actor as an actor, a struct by size.
 * 0, or TB_ERR_TYPE; out is zeroed then. */
int tbi_value_read(const struct tbi_view *view, tb_type type, void *out, size_t size);

/* The elements of an array, in place; they must match exactly (records by size).
 * 0, or TB_ERR_TYPE; *data is NULL then. */
int tbi_value_read_array(const struct tbi_view *view, tb_type type, uint64_t elem,
                         const void **data, size_t *n);

/* The string, in place, ended by a 0 byte; or TB_ERR_TYPE. */
int tbi_value_read_string(const struct tbi_view *view, const char **text);

/* What travels inside and is counted: a nested ref, an actor, or an array of either. */
const tb_ref *tbi_value_refs(const struct tbi_view *view, size_t *n);

#endif
