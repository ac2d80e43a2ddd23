#include "util/tournament.h"
#include "util/alloc.h"

void tbi_tournament_init(struct tbi_tournament *t, unsigned n)
{
    size_t numbers = 0;
    uint64_t *room;

    *t = (struct tbi_tournament){.top = 0};
    for (unsigned left = n;; left = t->groups[t->top++]) {
        t->groups[t->top] = (left + 7) / 8;
        numbers += t->groups[t->top] * (size_t)8;
        if (left == 1)
            break;
    }
    room = aligned_alloc(64, numbers * sizeof *room);
    tbi_need_memory(room, numbers * sizeof *room);
    memset(room, 0, numbers * sizeof *room);
    for (unsigned l = 0; l <= t->top; l++) {
        t->level[l] = room;
        room += t->groups[l] * (size_t)8;
    }
}

void tbi_tournament_fini(struct tbi_tournament *t)
{
    free(t->level[0]);
}

static uint64_t largest(const uint64_t *group)
{
    uint64_t best = group[0];

    for (int k = 1; k < 8; k++)
        best = group[k] > best ? group[k] : best;
    return best;
}

void tbi_tournament_set(struct tbi_tournament *t, unsigned i, uint64_t number)
{
    uint64_t was = t->level[0][i];

    t->level[0][i] = number;
    for (unsigned l = 0; l < t->top; l++) {
        uint64_t *up = &t->level[l + 1][i / 8];

        if (*up == was && number < was)
            number = largest(t->level[l] + i / 8 * 8);
        else if (number <= *up)
            return;
        was = *up;
        *up = number;
        i /= 8;
    }
}

void tbi_tournament_play(struct tbi_tournament *t)
{
    for (unsigned l = 0; l < t->top; l++)
        for (unsigned g = 0; g < t->groups[l]; g++)
            t->level[l + 1][g] = largest(t->level[l] + (size_t)g * 8);
}
