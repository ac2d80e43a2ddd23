#include "util/levels.h"
#include "util/alloc.h"

/* The tree is a treap (Seidel, Aragon 1996): ordered by number, and by rank from above. Ranks are as good as drawn. */
static uint32_t rank_of(uint32_t number)
{
    return (uint32_t)(((number + 1) * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

void tbi_levels_fini(struct tbi_levels *levels)
{
    struct tbi_level *level = levels->root;

    while (level != NULL) { /* from the leaves up */
        struct tbi_level *below = level->lower != NULL ? level->lower : level->higher, *above = level->above;

        if (below != NULL) {
            *(level->lower != NULL ? &level->lower : &level->higher) = NULL;
            level = below;
        } else {
            free(level);
            level = above;
        }
    }
    free(levels->spare);
    *levels = (struct tbi_levels){0};
}

static struct tbi_level **place_of(struct tbi_levels *levels, const struct tbi_level *level)
{
    struct tbi_level *above = level->above;

    return above == NULL ? &levels->root : above->lower == level ? &above->lower : &above->higher;
}

/* One of the two below `level` comes to stand above it. */
static void rotate(struct tbi_levels *levels, struct tbi_level *level, struct tbi_level *up)
{
    struct tbi_level *moves;

    *place_of(levels, level) = up;
    up->above = level->above;
    level->above = up;
    if (level->lower == up) {
        moves = level->lower = up->higher;
        up->higher = level;
    } else {
        moves = level->higher = up->lower;
        up->lower = level;
    }
    if (moves != NULL)
        moves->above = level;
}

static struct tbi_level *add(struct tbi_levels *levels, uint32_t number, struct tbi_level *above,
                             struct tbi_level **at)
{
    struct tbi_level *level = levels->spare != NULL ? levels->spare : tbi_alloc(sizeof *level);

    levels->spare = NULL;
    *level = (struct tbi_level){.number = number, .rank = rank_of(number), .above = above};
    tbi_list_init(&level->list);
    *at = level;
    while (level->above != NULL && level->above->rank < level->rank)
        rotate(levels, level->above, level);
    return level;
}

static struct tbi_level *find(struct tbi_levels *levels, uint32_t number)
{
    struct tbi_level *above = NULL, **at = &levels->root;

    if (levels->last != NULL && levels->last->number == number)
        return levels->last;
    while (*at != NULL && (*at)->number != number) {
        above = *at;
        at = number < above->number ? &above->lower : &above->higher;
    }
    levels->last = *at != NULL ? *at : add(levels, number, above, at);
    return levels->last;
}

static void end(struct tbi_levels *levels, struct tbi_level *level)
{
    while (level->lower != NULL && level->higher != NULL)
        rotate(levels, level, level->lower->rank > level->higher->rank ? level->lower : level->higher);
    *place_of(levels, level) = level->lower != NULL ? level->lower : level->higher;
    if (level->lower != NULL)
        level->lower->above = level->above;
    if (level->higher != NULL)
        level->higher->above = level->above;
    if (levels->last == level)
        levels->last = NULL;
    free(levels->spare);
    levels->spare = level;
}

struct tbi_link *tbi_levels_list(struct tbi_levels *levels, uint32_t number)
{
    return &find(levels, number)->list;
}

void tbi_levels_take(struct tbi_levels *levels, uint32_t number, struct tbi_link *link)
{
    tbi_list_unlink(link);
    if (levels->last == NULL || levels->last->number != number)
        levels->last = find(levels, number);
    if (tbi_list_empty(&levels->last->list))
        end(levels, levels->last);
}

struct tbi_level *tbi_levels_lowest(const struct tbi_levels *levels)
{
    struct tbi_level *level = levels->root;

    while (level != NULL && level->lower != NULL)
        level = level->lower;
    return level;
}

struct tbi_level *tbi_levels_highest(const struct tbi_levels *levels)
{
    struct tbi_level *level = levels->root;

    while (level != NULL && level->higher != NULL)
        level = level->higher;
    return level;
}

struct tbi_level *tbi_levels_next(const struct tbi_level *level)
{
    struct tbi_level *next = level->higher;

    if (next == NULL) {
        while (level->above != NULL && level->above->higher == level)
            level = level->above;
        return level->above;
    }
    while (next->lower != NULL)
        next = next->lower;
    return next;
}
