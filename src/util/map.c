#include "util/map.h"
#include "util/alloc.h"

static size_t home(const struct tbi_map *map, struct tbi_id key)
{
    return tbi_id_hash(key) & map->mask;
}

/* The slot that holds the key, or the free one where it would go. There is always a free one. */
static size_t find(const struct tbi_map *map, struct tbi_id key)
{
    size_t i = home(map, key);

    while (map->slots[i].value != NULL && !tbi_id_equal(map->slots[i].key, key))
        i = (i + 1) & map->mask;
    return i;
}

enum { SLOTS_MIN = 16, SLOTS_KEPT = 1024 /* a map of so many slots is not made smaller */ };

/* The slots for so many entries, after a peak: twice what they need. */
static size_t slots_for(size_t count)
{
    size_t slots = SLOTS_KEPT;

    while (slots < count * 4)
        slots *= 2;
    return slots;
}

static void resize(struct tbi_map *map, size_t slots)
{
    struct tbi_map_slot *old = map->slots;
    size_t n = old == NULL ? 0 : map->mask + 1;

    map->few = 0;
    map->mask = slots - 1;
    map->slots = tbi_alloc_zeroed(map->mask + 1, sizeof *map->slots);
    for (size_t i = 0; i < n; i++)
        if (old[i].value != NULL)
            map->slots[find(map, old[i].key)] = old[i];
    free(old);
}

void tbi_map_fini(struct tbi_map *map)
{
    free(map->slots);
    *map = (struct tbi_map){0};
}

void *tbi_map_get(const struct tbi_map *map, struct tbi_id key)
{
    return map->count == 0 ? NULL : map->slots[find(map, key)].value;
}

bool tbi_map_put(struct tbi_map *map, struct tbi_id key, void *value)
{
    size_t i;

    if (map->slots == NULL || (map->count + 1) * 2 > map->mask + 1)
        resize(map, map->slots == NULL ? SLOTS_MIN : (map->mask + 1) * 2);
    else if (map->count >= (map->mask + 1) / 16)
        map->few = 0;
    else if (map->mask + 1 > SLOTS_KEPT && ++map->few > map->mask) /* else work in batches would resize at each */
        resize(map, slots_for(map->count)); /* here, and not where entries are taken: a walk may do that */
    i = find(map, key);
    if (map->slots[i].value != NULL)
        return false;
    map->slots[i] = (struct tbi_map_slot){key, value};
    map->count++;
    return true;
}

void *tbi_map_take(struct tbi_map *map, struct tbi_id key)
{
    size_t hole, i;
    void *value;

    if (map->count == 0)
        return NULL;
    hole = find(map, key);
    value = map->slots[hole].value;
    if (value == NULL)
        return NULL;
    map->count--;
    /* Pull back every later entry of the run whose home does not lie behind the hole. */
    for (i = (hole + 1) & map->mask; map->slots[i].value != NULL; i = (i + 1) & map->mask) {
        size_t from_home = (i - home(map, map->slots[i].key)) & map->mask;

        if (from_home >= ((i - hole) & map->mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].value = NULL;
    return value;
}

bool tbi_map_next(const struct tbi_map *map, size_t *at, struct tbi_map_slot *entry)
{
    for (; map->slots != NULL && *at <= map->mask; ++*at)
        if (map->slots[*at].value != NULL) {
            *entry = map->slots[(*at)++];
            return true;
        }
    return false;
}
