#include "util/fault.h"
#include "util/spelling.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { DELAY_MAX = 1000000 };
enum effect { KILL, END, FAIL, DELAY };

static const struct {
    const char *name;
    enum effect effect;
    const char *what;
} points[] = {
#define ROW(point, name, effect, what) {#name, effect, what},
    TBI_FAULTS(ROW)
#undef ROW
};
_Static_assert(TBI_FAULT_COUNT <= 32, "a bit each");

_Atomic uint32_t tbi_fault_armed;
static struct tbi_fault_plan plan;
static struct tbi_fault_board *board;

/* ---- the plan ---- */

static const char *name_of(unsigned i)
{
    return points[i].name;
}

static int find(const char *name)
{
    for (int i = 0; i < TBI_FAULT_COUNT; i++)
        if (strcmp(points[i].name, name) == 0)
            return i;
    return -1;
}

static bool unknown(const char *text, const char *name, char *why, size_t size)
{
    int n = snprintf(why, size, "TB_FAULT=%s: there is no point '%s'; did you mean %s? There are "
                     "seed", text, name, tbi_spelling_nearest(name, name_of, TBI_FAULT_COUNT));

    for (int i = 0; i < TBI_FAULT_COUNT && n > 0 && (size_t)n < size; i++)
        n += snprintf(why + n, size - (size_t)n, ", %s", points[i].name);
    return false;
}

/* The number behind a point's name; `suffixed` and `most` say what is possible there. */
static bool bad_value(const char *text, const char *name, const char *value, bool suffixed,
                      uint64_t most, char *why, size_t size)
{
    if (suffixed)
        snprintf(why, size, "TB_FAULT=%s: '%s' cannot be '%s'; possible are %s:3 the third time, %s:3+ "
                 "every third time, %s:3%% of the times (up to 100), %s:0 never, but counted", text,
                 name, value, name, name, name, name);
    else
        snprintf(why, size, "TB_FAULT=%s: '%s' cannot be '%s'; possible are whole numbers up to %llu",
                 text, name, value, (unsigned long long)most);
    return false;
}

/* One point:n of the text. */
static bool parse_item(const char *text, char *item, struct tbi_fault_plan *p, char *why,
                       size_t size)
{
    char *value = strchr(item, ':'), *end, suffix = '=';
    bool seed, suffixed;
    unsigned long long n;
    uint64_t most;
    int i;

    if (value == NULL)
        value = item + strlen(item);
    else
        *value++ = 0;
    seed = strcmp(item, "seed") == 0;
    i = find(item);
    if (i < 0 && !seed)
        return unknown(text, item, why, size);
    suffixed = !seed && points[i].effect != DELAY;
    most = seed || suffixed ? INT64_MAX : DELAY_MAX;
    n = strtoull(value, &end, 10);
    if (suffixed && (*end == '+' || *end == '%'))
        suffix = *end++;
    if (*value < '0' || *value > '9' || *end != 0 || (suffix == '+' && n == 0) ||
        n > (suffix == '%' ? 100 : most))
        return bad_value(text, item, value, suffixed, most, why, size);
    if (seed) {
        p->seed = n;
        return true;
    }
    if (p->rule[i].how != 0) {
        snprintf(why, size, "TB_FAULT=%s: '%s' stands there twice", text, item);
        return false;
    }
    p->rule[i] = (struct tbi_fault_rule){n, suffix};
    return true;
}

bool tbi_fault_parse(const char *text, struct tbi_fault_plan *p, char *why, size_t size)
{
    const char *at = text;

    memset(p, 0, sizeof *p);
    while (*at != 0) {
        char item[64];
        size_t n = strcspn(at, ",");

        snprintf(item, sizeof item, "%.*s", (int)n, at);
        if (!parse_item(text, item, p, why, size))
            return false;
        at += n + (at[n] == ',');
    }
    return true;
}

static void arm(bool executor)
{
    uint32_t bits = 0;

    for (int i = 0; i < TBI_FAULT_COUNT; i++)
        if (plan.rule[i].how != 0 && (executor || points[i].effect >= FAIL))
            bits |= UINT32_C(1) << i;
    atomic_store(&tbi_fault_armed, bits);
}

void tbi_fault_arm(const struct tbi_fault_plan *p, struct tbi_fault_board *b)
{
    plan = *p;
    board = b;
    arm(false);
}

void tbi_fault_arm_executor(void)
{
    arm(true);
}

void tbi_fault_disarm(void)
{
    atomic_store(&tbi_fault_armed, 0);
    board = NULL;
    memset(&plan, 0, sizeof plan);
}

struct tbi_fault_board *tbi_fault_board(void)
{
    return board;
}

/* ---- at the points ---- */

/* A number of chance for the count-th passing of a point (splitmix64, Steele and others 2014). */
static uint64_t chance(enum tbi_fault point, uint64_t count)
{
    uint64_t z = (plan.seed * TBI_FAULT_COUNT + point) * UINT64_C(0xd1342543de82ef95) +
                 count * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

bool tbi_fault_due(enum tbi_fault point)
{
    const struct tbi_fault_rule *rule = &plan.rule[point];
    uint64_t count = atomic_fetch_add(&board->passed[point], 1) + 1;
    bool due = rule->how == '=' ? count == rule->n
               : rule->how == '+' ? count % rule->n == 0
                                  : chance(point, count) % 100 < rule->n;

    if (!due || atomic_load(&board->silent))
        return false;
    atomic_fetch_add(&board->fired[point], 1);
    return true;
}

uint64_t tbi_fault_delay_us(void)
{
    uint64_t count = atomic_fetch_add(&board->passed[TBI_FAULT_FRAME_DELAY], 1) + 1, us;

    us = chance(TBI_FAULT_FRAME_DELAY, count) % (plan.rule[TBI_FAULT_FRAME_DELAY].n + 1);
    if (us == 0 || atomic_load(&board->silent))
        return 0;
    atomic_fetch_add(&board->fired[TBI_FAULT_FRAME_DELAY], 1);
    return us;
}

void tbi_fault_die(void)
{
    raise(SIGKILL);
    abort(); /* not reached */
}

/* ---- in words ---- */

void tbi_fault_report(unsigned rank, FILE *to)
{
    char line[2048];
    int n = snprintf(line, sizeof line, "thornback: rank %u: TB_FAULT fired", rank);
    const char *sep = "";

    if (board == NULL)
        return;
    for (int i = 0; i < TBI_FAULT_COUNT; i++) {
        if (plan.rule[i].how == 0)
            continue;
        n += snprintf(line + n, sizeof line - (size_t)n, "%s %s %llu of %llu", sep, points[i].name,
                      (unsigned long long)atomic_load(&board->fired[i]),
                      (unsigned long long)atomic_load(&board->passed[i]));
        sep = ",";
    }
    if (*sep != 0)
        fprintf(to, "%s\n", line); /* in one go, so that the lines of ranks do not mix */
}

void tbi_fault_document(FILE *to)
{
    fprintf(to, "# Faults\n\n"
            "`TB_FAULT=point:n[,point:n...]` lets what passes a point go wrong, for tests: `claim:3` the\n"
            "third time that a rank passes it, all its processes counted together, `claim:3+` every\n"
            "third time, `claim:3%%` of the times by chance (`seed:k` gives another sequence), `claim:0`\n"
            "never, but it is counted. `tb_finalize` tells for each rank how often each point fired and was\n"
            "passed. A point is named after what the process is about to do. Made from the table in\n"
            "`src/util/fault.h`; `tests/unit/test_fault` holds the two together, and\n"
            "`tests/faults/points.sh` tries every point.\n\n"
            "| point | what happens |\n|---|---|\n");
    for (int i = 0; i < TBI_FAULT_COUNT; i++)
        fprintf(to, "| `%s` | %s%s |\n", points[i].name,
                points[i].effect == KILL ? "an executor is killed that is about to " : "",
                points[i].what);
}
