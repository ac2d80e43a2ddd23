/* unit.h - what every CMocka test needs, in the order CMocka asks for. */
#ifndef TB_UNIT_H
#define TB_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A seeded generator (xorshift64*, Vigna 2016), so that a failing run can be repeated. */
static inline uint64_t unit_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

#endif
