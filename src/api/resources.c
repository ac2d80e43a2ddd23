#include "api/resources.h"
#include "api/errors.h"
#include "util/number.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const reserved[] = {"CPU", "GPU", "memory", "num_cpus", "num_gpus", "cpus",
                                       "gpus", "object_store_memory", "label"};

int64_t tbi_resources_amount(double units)
{
    int64_t amount;

    if (!(units >= 0 && units <= 1e14)) /* NaN too */
        return -1;
    amount = llround(units * TBI_UNIT);
    return amount == 0 && units > 0 ? -1 : amount;
}

const char *tbi_resources_bad_name(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(name, reserved[i]) == 0)
            return "that name is reserved; there are options of their own for CPUs, GPUs and memory";
    if (n == 0 || n >= TBI_RESOURCE_NAME)
        return "a name has 1 to 63 characters";
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("_-.", name[i]) == NULL)
            return "a name has letters, digits, '_', '-' and '.'";
    return NULL;
}

int tbi_resources_find(const struct tbi_resources *r, const char *name)
{
    for (unsigned i = 0; i < r->n; i++)
        if (strcmp(r->name[i], name) == 0)
            return (int)i;
    return -1;
}

/* ---- reading lists of KEY=VALUE ---- */

struct entry {
    char key[TBI_RESOURCE_NAME], value[TBI_RESOURCE_NAME];
    bool label;         /* the resource is "key=value" */
};

/* Takes the next KEY=VALUE off the text. 1, 0 at the end of the text or list, -1: it is none. */
static int next_entry(const char **text, struct entry *e, bool labels)
{
    const char *at = *text + strspn(*text, ", "), *eq;
    size_t n = strcspn(at, ",;"), key;

    if (n == 0) {
        *text = at;
        return 0;
    }
    *text = at + n;
    e->label = labels;
    if (!labels && strncmp(at, "label.", 6) == 0) {
        e->label = true;
        at += 6;
        n -= 6;
    }
    eq = memchr(at, '=', n);
    key = eq == NULL ? 0 : (size_t)(eq - at);
    if (key == 0 || key >= sizeof e->key || n - key - 1 >= sizeof e->value || n == key + 1)
        return -1;
    memcpy(e->key, at, key);
    e->key[key] = 0;
    memcpy(e->value, eq + 1, n - key - 1);
    e->value[n - key - 1] = 0;
    return 1;
}

static int wrong(const char *setting, const char *text, const char *why)
{
    return tbi_error_set(TB_ERR_ARGUMENT, "%s=%s: %s", setting, text, why);
}

/* What a key of TB_RANKS overrides besides custom resources. */
static int built_in(const char *key)
{
    return strcmp(key, "num_cpus") == 0 ? TBI_CPUS : strcmp(key, "num_gpus") == 0 ? TBI_GPUS
           : strcmp(key, "memory") == 0 ? TBI_MEMORY : -1;
}

static double number(const char *text, bool *ok)
{
    static const char suffix[] = "KMGT";
    char *end;
    double x = tbi_number_read(text, &end);
    const char *s = *end != 0 ? strchr(suffix, *end) : NULL;

    if (s != NULL) {
        x = ldexp(x, 10 * (int)(s - suffix + 1));
        end++;
    }
    *ok = end != text && *end == 0;
    return x;
}

static int64_t amount_of(const struct entry *e)
{
    bool ok;
    double x = number(e->value, &ok);

    return ok ? tbi_resources_amount(x) : -1;
}

/* The name in the table; false: it does not fit. */
static bool name_of(const struct entry *e, char name[TBI_RESOURCE_NAME])
{
    size_t key = strlen(e->key), value = e->label ? strlen(e->value) + 1 : 0;

    if (key + value >= TBI_RESOURCE_NAME)
        return false;
    memcpy(name, e->key, key + 1);
    if (e->label) {
        name[key] = '=';
        memcpy(name + key + 1, e->value, value);
    }
    return true;
}

/* The keys of one list, each of which may stand there once. */
struct keys {
    char key[TBI_RESOURCES_MAX][TBI_RESOURCE_NAME + sizeof "label."];
    unsigned n;
};

/* A list has room for more keys than a job for resources: those are refused anyway, as too many. */
static int check_once(struct keys *keys, const char *setting, const char *text, const struct entry *e)
{
    char key[sizeof keys->key[0]], why[160];

    snprintf(key, sizeof key, "%s%s", e->label && strcmp(setting, "TB_RANKS") == 0 ? "label." : "", e->key);
    for (unsigned i = 0; i < keys->n; i++)
        if (strcmp(keys->key[i], key) == 0) {
            snprintf(why, sizeof why, "%s stands there twice: leave one of them out", key);
            return wrong(setting, text, why);
        }
    if (keys->n < TBI_RESOURCES_MAX)
        memcpy(keys->key[keys->n++], key, sizeof key);
    return 0;
}

static int add(struct tbi_resources *r, const char *setting, const char *text,
               const struct entry *e, bool ranks)
{
    char name[TBI_RESOURCE_NAME];
    const char *why;
    unsigned at;

    if (!e->label && amount_of(e) < 0)
        return wrong(setting, text, "the amount of a resource is a number from 0.0001 to 1e14, or 0");
    if (!e->label && ranks && built_in(e->key) >= 0)
        return 0;
    why = tbi_resources_bad_name(e->key);
    if (why == NULL && e->label)
        why = tbi_resources_bad_name(e->value);
    if (why == NULL && !name_of(e, name))
        why = "key and value of a label have up to 62 characters";
    if (why != NULL)
        return wrong(setting, text, why);
    if (tbi_resources_find(r, name) >= 0)
        return 0;
    if (r->n == TBI_RESOURCES_MAX)
        return wrong(setting, text, "there are more than 61 custom resources and labels");
    for (at = r->n++; at > TBI_CUSTOM && strcmp(r->name[at - 1], name) > 0; at--)
        memcpy(r->name[at], r->name[at - 1], sizeof r->name[at]);
    snprintf(r->name[at], sizeof r->name[at], "%s", name);
    return 0;
}

static int read_list(struct tbi_resources *r, const char *setting, const char *text, bool labels)
{
    const char *at = text;
    struct keys keys = {.n = 0};
    struct entry e;
    int rc, more;

    while ((more = next_entry(&at, &e, labels)) > 0) {
        rc = add(r, setting, text, &e, false);
        rc = rc == 0 ? check_once(&keys, setting, text, &e) : rc;
        if (rc != 0)
            return rc;
    }
    if (more < 0 || *at != 0)
        return wrong(setting, text, labels ? "KEY=VALUE,... is expected" : "NAME=AMOUNT,... is expected");
    return 0;
}

/* The next "RANK:" of TB_RANKS; its list follows. False: there is none. */
static bool next_rank(const char **at, unsigned long *rank)
{
    char *end;

    *at += strspn(*at, "; ");
    *rank = strtoul(*at, &end, 10);
    if (end == *at || *end != ':')
        return false;
    *at = end + 1;
    return true;
}

/* Does a list before `end`, where its own begins, name the rank? */
static bool names_rank(const char *text, const char *end, unsigned long rank)
{
    unsigned long other;
    struct entry e;

    while (next_rank(&text, &other) && text < end) {
        if (other == rank)
            return true;
        while (next_entry(&text, &e, false) > 0) {
        }
    }
    return false;
}

static int read_ranks(struct tbi_resources *r, const char *text)
{
    const char *at = text;
    unsigned long rank;
    struct entry e;
    char why[96];

    while (next_rank(&at, &rank)) {
        struct keys keys = {.n = 0};
        int rc, more;

        if (names_rank(text, at, rank)) {
            snprintf(why, sizeof why, "rank %lu stands there twice: put all it has behind one %lu:", rank, rank);
            return wrong("TB_RANKS", text, why);
        }
        while ((more = next_entry(&at, &e, false)) > 0) {
            rc = add(r, "TB_RANKS", text, &e, true);
            rc = rc == 0 ? check_once(&keys, "TB_RANKS", text, &e) : rc;
            if (rc != 0)
                return rc;
        }
        if (more < 0)
            break;
    }
    return *at == 0 ? 0 : wrong("TB_RANKS", text, "RANK:NAME=AMOUNT,...;... is expected, where NAME "
                                "is num_cpus, num_gpus, memory, a resource, or label.KEY");
}

int tbi_resources_read(struct tbi_resources *r, const struct tbi_settings *s)
{
    static const char *const first[TBI_CUSTOM] = {"CPU", "GPU", "memory"};
    int rc;

    memset(r, 0, sizeof *r);
    for (r->n = 0; r->n < TBI_CUSTOM; r->n++)
        snprintf(r->name[r->n], sizeof r->name[r->n], "%s", first[r->n]);
    rc = read_list(r, "TB_RESOURCES", s->resources, false);
    if (rc == 0)
        rc = read_list(r, "TB_LABELS", s->labels, true);
    return rc != 0 ? rc : read_ranks(r, s->ranks);
}

int tbi_resources_check_ranks(const struct tbi_settings *s, unsigned nranks)
{
    const char *at = s->ranks;
    unsigned long rank;
    struct entry e;
    char why[96];

    while (next_rank(&at, &rank)) {
        snprintf(why, sizeof why, "there is no rank %lu: the job has ranks 0 to %u", rank, nranks - 1);
        if (rank >= nranks)
            return wrong("TB_RANKS", s->ranks, why);
        while (next_entry(&at, &e, false) > 0) {
        }
    }
    return 0;
}

static void set(const struct tbi_resources *r, const struct entry *e, bool ranks, int64_t *amount)
{
    char name[TBI_RESOURCE_NAME];
    int i = !e->label && ranks ? built_in(e->key) : -1;

    name_of(e, name);
    if (i < 0)
        i = tbi_resources_find(r, name);
    amount[i] = e->label ? TBI_UNIT : amount_of(e);
}

void tbi_resources_of_rank(const struct tbi_resources *r, const struct tbi_settings *s,
                           unsigned rank, int64_t *amount)
{
    const char *at = s->resources;
    unsigned long which;
    struct entry e;

    memset(amount, 0, r->n * sizeof *amount);
    amount[TBI_CPUS] = s->num_cpus > 0 ? tbi_resources_amount(s->num_cpus) : -1;
    amount[TBI_GPUS] = s->num_gpus >= 0 ? tbi_resources_amount(s->num_gpus) : -1;
    amount[TBI_MEMORY] = s->memory > 0 ? tbi_resources_amount(s->memory) : -1;
    while (next_entry(&at, &e, false) > 0)
        set(r, &e, false, amount);
    for (at = s->labels; next_entry(&at, &e, true) > 0;)
        set(r, &e, false, amount);
    for (at = s->ranks; next_rank(&at, &which);)
        while (next_entry(&at, &e, false) > 0)
            if (which == rank)
                set(r, &e, true, amount);
}
