#include "api/registry.h"
#include "api/errors.h"
#include "util/alloc.h"

static struct tb_task_record_ *registered; /* newest first */
static struct tb_task_record_ *late;
static bool frozen;

struct address {
    uintptr_t at;   /* of the function, or of a class's record */
    int id;
};
static const struct tb_task_record_ **rows;  /* by id */
static struct address *addresses;            /* sorted by address */
static size_t nrows, naddresses;

void tb_task_register_(struct tb_task_record_ *record)
{
    struct tb_task_record_ **list = frozen ? &late : &registered;

    record->next = *list;
    *list = record;
}

enum kind { TASK, METHOD, CLASS };

static enum kind kind_of(const struct tb_task_record_ *r)
{
    return r->cls != NULL ? CLASS : r->method != NULL ? METHOD : TASK;
}

static uintptr_t address_of(const struct tb_task_record_ *r)
{
    return r->cls != NULL ? (uintptr_t)r : r->method != NULL ? (uintptr_t)r->method->fn : (uintptr_t)r->fn;
}

static int by_name(const void *a, const void *b)
{
    const struct tb_task_record_ *x = *(struct tb_task_record_ *const *)a;
    const struct tb_task_record_ *y = *(struct tb_task_record_ *const *)b;
    int c = strcmp(x->name, y->name);

    if (c == 0)
        c = strcmp(x->file, y->file);
    if (c == 0)
        c = (x->line > y->line) - (x->line < y->line);
    return c != 0 ? c : (int)kind_of(x) - (int)kind_of(y);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = ((const struct address *)a)->at, y = ((const struct address *)b)->at;

    return (x > y) - (x < y);
}

void tbi_registry_thaw(void)
{
    free(rows);
    free(addresses);
    rows = NULL;
    addresses = NULL;
    nrows = naddresses = 0;
    frozen = false;
    while (late != NULL) {
        struct tb_task_record_ *record = late;

        late = record->next;
        tb_task_register_(record);
    }
}

/* Equal neighbours become one row; every address keeps its entry. */
static void number(const struct tb_task_record_ **record, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_name(&record[i - 1], &record[i]) != 0)
            rows[nrows++] = record[i];
        addresses[naddresses++] = (struct address){address_of(record[i]), (int)nrows - 1};
    }
    qsort(addresses, naddresses, sizeof *addresses, by_address);
}

int tbi_registry_freeze(void)
{
    const struct tb_task_record_ **record;
    size_t n = 0;

    if (frozen)
        return 0;
    for (const struct tb_task_record_ *r = registered; r != NULL; r = r->next)
        n++;
    record = tbi_alloc((n + 1) * sizeof *record);
    rows = tbi_alloc((n + 1) * sizeof *rows);
    addresses = tbi_alloc((n + 1) * sizeof *addresses);
    n = 0;
    for (const struct tb_task_record_ *r = registered; r != NULL; r = r->next)
        record[n++] = r;
    qsort(record, n, sizeof *record, by_name);
    number(record, n);
    free(record);
    frozen = true;
    for (size_t i = 1; i < naddresses; i++)
        if (addresses[i].at == addresses[i - 1].at && addresses[i].id != addresses[i - 1].id) {
            int rc = tbi_error_set(
                TB_ERR_ARGUMENT,
                "'%s' and '%s' are one function at one address: register it once, as a task or as "
                "a method of one class, and link without --icf=all, which merges functions with equal bodies",
                rows[addresses[i - 1].id]->name, rows[addresses[i].id]->name);

            tbi_registry_thaw();
            return rc;
        }
    return 0;
}

/* The id of what lies there, or -1. */
static int look_up(uintptr_t at)
{
    struct address key = {at, 0};
    const struct address *found =
        naddresses == 0 ? NULL
                        : bsearch(&key, addresses, naddresses, sizeof key, by_address);

    return found == NULL ? -1 : found->id;
}

/* Nothing is registered at that address. Returns -1. */
static int not_there(enum kind kind, const char *written)
{
    const char *macro = kind == TASK ? "TB_TASK" : "TB_METHOD";

    for (size_t i = 0; i < nrows; i++)
        if (kind_of(rows[i]) == kind && strcmp(rows[i]->name, written) == 0) {
            tbi_error_set(TB_ERR_UNREGISTERED,
                          "'%s' is registered in %s:%d, but at another address: %s must stand "
                          "in the file that defines the function, and programs that get it from a "
                          "library linked with -Bsymbolic must not be linked with -no-pie",
                          written, rows[i]->file, rows[i]->line, macro);
            return -1;
        }
    for (const struct tb_task_record_ *r = late; r != NULL; r = r->next)
        if (kind_of(r) == kind && strcmp(r->name, written) == 0) {
            tbi_error_set(TB_ERR_UNREGISTERED, "'%s' was registered (%s:%d) after tb_init, when the other ranks could "
                          "not learn of it any more: load the library that has it before tb_init", written,
                          r->file, r->line);
            return -1;
        }
    tbi_error_set(TB_ERR_UNREGISTERED,
                  kind == TASK ? "'%s' is not a remote function: write TB_TASK(%s); below its definition, "
                                 "in the same file"
                               : "'%s' is not a method: write TB_METHOD(class, %s); below its definition, in "
                                 "the file of the class",
                  written, written);
    return -1;
}

int tbi_registry_find(tb_task_fn *fn, const char *written)
{
    int id = look_up((uintptr_t)fn);

    if (id < 0)
        return not_there(TASK, written);
    if (kind_of(rows[id]) == TASK)
        return id;
    tbi_error_set(TB_ERR_UNREGISTERED, "'%s' is a method of class '%s', not a task: call it by tb_actor_call",
                  written, rows[id]->method->of->name);
    return -1;
}

int tbi_registry_find_method(tb_function_ *fn, const char *written)
{
    int id = look_up((uintptr_t)fn);

    if (id < 0)
        return not_there(METHOD, written);
    if (kind_of(rows[id]) == METHOD)
        return id;
    tbi_error_set(TB_ERR_UNREGISTERED, "'%s' is a task, not a method: call it by tb_remote", written);
    return -1;
}

int tbi_registry_find_class(struct tb_actor_class_ cls, const char *written)
{
    int id = look_up((uintptr_t)cls.record);

    if (id < 0)
        tbi_error_set(TB_ERR_UNREGISTERED, "class '%s' is not registered: the library that has its TB_ACTOR "
                      "was loaded after tb_init", written);
    return id;
}

int tbi_registry_count(void)
{
    return (int)nrows;
}

const struct tb_task_record_ *tbi_registry_row(int id)
{
    return rows[id];
}

/* FNV-1a (Fowler, Noll, Vo; draft-eastlake-fnv), 64 bits. */
static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    while (bytes-- > 0)
        hash = (hash ^ *p++) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return text == NULL ? mix(hash, "", 1) : mix(hash, text, strlen(text) + 1);
}

/* Field by field: the struct has pointers, which differ between ranks, and padding. */
static uint64_t mix_options(uint64_t hash, const tb_options *o)
{
    hash = mix(hash, &o->num_cpus, sizeof o->num_cpus);
    hash = mix(hash, &o->num_gpus, sizeof o->num_gpus);
    hash = mix(hash, &o->memory, sizeof o->memory);
    hash = mix(hash, &o->max_retries, sizeof o->max_retries);
    hash = mix(hash, o->retry_on_error, sizeof o->retry_on_error);
    hash = mix(hash, &o->retry_delay, sizeof o->retry_delay);
    hash = mix(hash, &o->time_limit, sizeof o->time_limit);
    hash = mix(hash, &o->strategy, sizeof o->strategy);
    hash = mix(hash, &o->node, sizeof o->node);
    hash = mix_text(hash, o->labels);
    hash = mix(hash, &o->max_task_retries, sizeof o->max_task_retries);
    hash = mix_text(hash, o->name);
    hash = mix_text(hash, o->name_space);
    hash = mix(hash, &o->get_if_exists, sizeof o->get_if_exists);
    hash = mix(hash, &o->lifetime, sizeof o->lifetime);
    hash = mix(hash, &o->max_restarts, sizeof o->max_restarts);
    hash = mix(hash, &o->max_concurrency, sizeof o->max_concurrency);
    hash = mix(hash, &o->max_pending_calls, sizeof o->max_pending_calls);
    hash = mix_text(hash, o->concurrency_group);
    for (size_t i = 0; i < sizeof o->concurrency_groups / sizeof o->concurrency_groups[0]; i++) {
        hash = mix_text(hash, o->concurrency_groups[i].name);
        hash = mix(hash, &o->concurrency_groups[i].max_concurrency, sizeof(int));
    }
    for (size_t i = 0; i < sizeof o->resources / sizeof o->resources[0]; i++) {
        hash = mix_text(hash, o->resources[i].name);
        hash = mix(hash, &o->resources[i].amount, sizeof o->resources[i].amount);
    }
    return hash;
}

/* What kind of row it is, and what must agree for that kind. */
static uint64_t mix_kind(uint64_t hash, const struct tb_task_record_ *r)
{
    enum kind kind = kind_of(r);

    hash = mix(hash, &kind, sizeof kind);
    if (kind == METHOD)
        return mix_text(hash, r->method->of->name);
    if (kind == CLASS) {
        bool has[3] = {r->cls->init != NULL, r->cls->restore != NULL, r->cls->fini != NULL};

        hash = mix(hash, &r->cls->bytes, sizeof r->cls->bytes);
        hash = mix(hash, has, sizeof has);
    }
    return hash;
}

uint64_t tbi_registry_digest(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < nrows; i++) {
        hash = mix_text(hash, rows[i]->name);
        hash = mix_text(hash, rows[i]->file);
        hash = mix(hash, &rows[i]->line, sizeof rows[i]->line);
        hash = mix_kind(hash, rows[i]);
        hash = mix_options(hash, rows[i]->options);
    }
    return hash;
}

const struct tb_task_record_ *tbi_registry_take_late(void)
{
    const struct tb_task_record_ *record = late;

    if (record != NULL)
        late = record->next;
    return record;
}
