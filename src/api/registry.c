#include "api/registry.h"
#include "api/errors.h"
#include "util/alloc.h"

static struct tb_task_record_ *registered; /* newest first */
static struct tb_task_record_ *late;
static bool frozen;

struct address {
    tb_task_fn *fn;
    int id;
};
static const struct tb_task_record_ **tasks; /* by id */
static struct address *addresses;            /* sorted by address */
static size_t ntasks, naddresses;

void tb_task_register_(struct tb_task_record_ *record)
{
    struct tb_task_record_ **list = frozen ? &late : &registered;

    record->next = *list;
    *list = record;
}

static int by_name(const void *a, const void *b)
{
    const struct tb_task_record_ *x = *(struct tb_task_record_ *const *)a;
    const struct tb_task_record_ *y = *(struct tb_task_record_ *const *)b;
    int c = strcmp(x->name, y->name);

    if (c == 0)
        c = strcmp(x->file, y->file);
    return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct address *)a)->fn;
    uintptr_t y = (uintptr_t)((const struct address *)b)->fn;

    return (x > y) - (x < y);
}

void tbi_registry_thaw(void)
{
    free(tasks);
    free(addresses);
    tasks = NULL;
    addresses = NULL;
    ntasks = naddresses = 0;
    frozen = false;
    while (late != NULL) {
        struct tb_task_record_ *record = late;

        late = record->next;
        tb_task_register_(record);
    }
}

/* Equal neighbours become one task; every address keeps its entry. */
static void number(const struct tb_task_record_ **record, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_name(&record[i - 1], &record[i]) != 0)
            tasks[ntasks++] = record[i];
        addresses[naddresses++] = (struct address){record[i]->fn, (int)ntasks - 1};
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
    tasks = tbi_alloc((n + 1) * sizeof *tasks);
    addresses = tbi_alloc((n + 1) * sizeof *addresses);
    n = 0;
    for (const struct tb_task_record_ *r = registered; r != NULL; r = r->next)
        record[n++] = r;
    qsort(record, n, sizeof *record, by_name);
    number(record, n);
    free(record);
    frozen = true;
    for (size_t i = 1; i < naddresses; i++)
        if (addresses[i].fn == addresses[i - 1].fn && addresses[i].id != addresses[i - 1].id) {
            int rc = tbi_error_set(
                TB_ERR_ARGUMENT,
                "tasks '%s' and '%s' are one function at one address: register it once, and link "
                "without --icf=all, which merges functions with equal bodies",
                tasks[addresses[i - 1].id]->name, tasks[addresses[i].id]->name);

            tbi_registry_thaw();
            return rc;
        }
    return 0;
}

int tbi_registry_find(tb_task_fn *fn, const char *written)
{
    struct address key = {fn, 0};
    const struct address *found =
        naddresses == 0 ? NULL
                        : bsearch(&key, addresses, naddresses, sizeof key, by_address);

    if (found != NULL)
        return found->id;
    for (size_t i = 0; i < ntasks; i++)
        if (strcmp(tasks[i]->name, written) == 0) {
            tbi_error_set(TB_ERR_UNREGISTERED,
                          "'%s' is registered in %s:%d, but at another address: TB_TASK must stand "
                          "in the file that defines the function, and programs that get it from a "
                          "library linked with -Bsymbolic must not be linked with -no-pie",
                          written, tasks[i]->file, tasks[i]->line);
            return -1;
        }
    tbi_error_set(TB_ERR_UNREGISTERED,
                  "'%s' is not a remote function: write TB_TASK(%s); below its definition, in the "
                  "same file", written, written);
    return -1;
}

int tbi_registry_count(void)
{
    return (int)ntasks;
}

const struct tb_task_record_ *tbi_registry_task(int id)
{
    return tasks[id];
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
    for (size_t i = 0; i < sizeof o->resources / sizeof o->resources[0]; i++) {
        hash = mix_text(hash, o->resources[i].name);
        hash = mix(hash, &o->resources[i].amount, sizeof o->resources[i].amount);
    }
    return hash;
}

uint64_t tbi_registry_digest(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < ntasks; i++) {
        hash = mix_text(hash, tasks[i]->name);
        hash = mix_text(hash, tasks[i]->file);
        hash = mix(hash, &tasks[i]->line, sizeof tasks[i]->line);
        hash = mix_options(hash, tasks[i]->options);
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
