/* map.h - a hash map from ids to pointers: open addressing, linear probing, backward-shift delete.
 *
 * Why not a map of a library: the head looks up several ids a task at a million tasks a second, and
 * a bucket with the key inside costs one cache miss where an intrusive chain costs two or three.
 * The map owns neither keys' referents nor values. Not thread-safe. A null id is no valid key. */
#ifndef TBI_MAP_H
#define TBI_MAP_H

#include "util/id.h"

struct tbi_map_slot {
    struct tbi_id key;
    void *value;
};
struct tbi_map {
    struct tbi_map_slot *slots;
    size_t mask;  /* number of slots - 1; the number is a power of two, or there are none yet */
    size_t count;
    size_t few;   /* entries that were put in a row while the map was much too large */
};

void tbi_map_fini(struct tbi_map *map);
void *tbi_map_get(const struct tbi_map *map, struct tbi_id key); /* NULL: not there */

/* Enters `value` (not NULL) under `key`; false, and nothing is entered, if the key is there. Long after a peak this
 * also makes the map smaller again; the cost is constant on average. */
bool tbi_map_put(struct tbi_map *map, struct tbi_id key, void *value);

/* Takes the key out and returns its value, NULL if it was not there. */
void *tbi_map_take(struct tbi_map *map, struct tbi_id key);

/* Walks all entries in no order: start with *at = 0; false at the end. Nothing may be put or taken
 * meanwhile but the entry that was given: then *at goes back by one. */
bool tbi_map_next(const struct tbi_map *map, size_t *at, struct tbi_map_slot *entry);

#endif
