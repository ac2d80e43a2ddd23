#include "api/inner_refs.h"
#include "api/get.h"
#include "util/alloc.h"

/* What an array contained when it was indexed: a copy, for its memory may be gone when it ends. */
struct contents {
    size_t n;
    struct tbi_id id[];
};

static bool is_loose(const struct tbi_handle *h)
{
    return h->count == 0 && h->borrowers == 0;
}

static struct contents *copy_contents(struct tbi_process *p, const struct tbi_handle *array)
{
    struct tbi_view view;
    struct contents *c;
    const tb_ref *ref;
    size_t n;

    if (tbi_get_open(p, array, &view) != 0)
        n = 0, ref = NULL;
    else
        ref = tbi_value_refs(&view, &n);
    c = tbi_alloc(sizeof *c + n * sizeof c->id[0]);
    c->n = 0;
    for (size_t i = 0; i < n; i++)
        if (!tbi_id_is_null(tbi_id_of(ref[i])))
            c->id[c->n++] = tbi_id_of(ref[i]);
    return c;
}

/* The number of indexed arrays' elements that are this ref: kept as the pointer itself. */
static void count(struct tbi_process *p, struct tbi_id id, int change)
{
    uintptr_t n = (uintptr_t)tbi_map_take(&p->inner_counts, id) + (uintptr_t)change;

    if (n > 0)
        tbi_map_put(&p->inner_counts, id, (void *)n);
}

static void index_array(struct tbi_process *p, struct tbi_handle *array)
{
    struct contents *c = copy_contents(p, array);

    tbi_map_put(&p->inner_arrays, array->id, c);
    for (size_t i = 0; i < c->n; i++)
        count(p, c->id[i], 1);
}

void tbi_inner_index(struct tbi_process *p)
{
    struct tbi_map_slot e;
    size_t at = 0;

    while (tbi_map_next(&p->inner_new, &at, &e))
        index_array(p, e.value);
    tbi_map_fini(&p->inner_new);
}

void tbi_inner_open(struct tbi_process *p, struct tbi_handle *array)
{
    if (array->contains)
        return;
    array->contains = true;
    tbi_map_put(&p->inner_new, array->id, array);
}

void tbi_inner_unmap(struct tbi_process *p, struct tbi_handle *array)
{
    if (array->contains && tbi_map_take(&p->inner_new, array->id) != NULL)
        index_array(p, array);
}

void tbi_inner_close(struct tbi_process *p, struct tbi_handle *array)
{
    struct contents *c;

    if (!array->contains)
        return;
    array->contains = false;
    tbi_map_take(&p->inner_new, array->id);
    c = tbi_map_take(&p->inner_arrays, array->id);
    for (size_t i = 0; c != NULL && i < c->n; i++) {
        struct tbi_handle *h;

        count(p, c->id[i], -1);
        h = tbi_handle_find(p, c->id[i]);
        if (h != NULL && is_loose(h) && tbi_map_get(&p->inner_counts, h->id) == NULL)
            tbi_handle_end_views(p, h);
    }
    free(c);
}

bool tbi_inner_is_held(struct tbi_process *p, struct tbi_id id)
{
    const struct tbi_handle *h = tbi_handle_find(p, id);

    if (h != NULL && !is_loose(h))
        return true;
    tbi_inner_index(p);
    return tbi_map_get(&p->inner_counts, id) != NULL;
}

void tbi_inner_fini(struct tbi_process *p)
{
    struct tbi_map_slot e;
    size_t at = 0;

    while (tbi_map_next(&p->inner_arrays, &at, &e))
        free(e.value);
    tbi_map_fini(&p->inner_arrays);
    tbi_map_fini(&p->inner_counts);
    tbi_map_fini(&p->inner_new);
}
