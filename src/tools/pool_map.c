/* pool_map.c - maps over a pool: as many calls as there are elements, and their results. Other calls of the pool
 * are not touched. */
#include "api/errors.h"
#include "tools/held.h"
#include "tools/pool.h"
#include "util/alloc.h"

static int check(const tb_pool *pool, const char *name, bool in, bool out)
{
    if (pool != NULL && in && out)
        return 0;
    return tbi_error_set(TB_ERR_ARGUMENT, "tb_pool_map of '%s': %s is NULL", name,
                         pool == NULL ? "pool" : in ? "what takes the results" : "the array");
}

/* The calls with these numbers are not wanted any more. */
static void forget(tb_pool *pool, size_t from, size_t to)
{
    for (; from < to; from++)
        tbi_pool_forget(pool, from);
}

int tb_pool_map_refs_(tb_pool *pool, tb_function_ *method, const char *name, const tb_value *values, size_t n,
                      tb_ref *refs, double timeout)
{
    double deadline = tbi_deadline_after(timeout);
    int rc = check(pool, name, values != NULL || n == 0, refs != NULL || n == 0);
    size_t first, number, i;

    if (rc != 0)
        return rc;
    first = tbi_pool_numbers(pool);
    for (i = 0; i < n && rc == 0; i++)
        rc = tb_pool_submit_(pool, method, name, &values[i], 1);
    for (i = 0; i < n && rc == 0; i++)
        rc = tbi_pool_take(pool, first + i, first + i + 1, deadline, &number, &refs[i]);
    if (rc == 0)
        return 0;
    forget(pool, first, tbi_pool_numbers(pool));
    tb_release_all(refs, i > 0 ? i - 1 : 0); /* the last one failed */
    memset(refs, 0, n * sizeof *refs);
    return rc;
}

/* The elements of an array, as values. 0, or TB_ERR_ARGUMENT. */
static int elements(const char *name, const tb_value *in, tb_value **values)
{
    *values = NULL;
    if (in->type <= TB_NO_TYPE || in->type >= TB_TYPE_COUNT_ || !(in->flags & TB_VALUE_ARRAY) ||
        in->elem == 0 || (in->ptr == NULL && in->count > 0))
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_pool_map of '%s': no array, or one at NULL", name);
    *values = tbi_alloc((in->count + 1) * sizeof **values);
    for (size_t i = 0; i < in->count; i++)
        (*values)[i] = tbi_held_element(in, i);
    return 0;
}

int tb_pool_map_(tb_pool *pool, tb_function_ *method, const char *name, tb_value in, tb_type type, size_t elem,
                 void *out, double timeout)
{
    int rc = check(pool, name, true, out != NULL || type == TB_NO_TYPE || in.count == 0);
    tb_value *values = NULL;
    tb_ref *refs;

    if (rc == 0 && type == TB_STRING)
        rc = tbi_error_set(TB_ERR_UNSUPPORTED, "tb_pool_map of '%s': strings live as long as their refs: take those, "
                           "by tb_pool_map_refs", name);
    if (rc == 0)
        rc = elements(name, &in, &values);
    if (rc != 0)
        return rc;
    refs = tbi_alloc((in.count + 1) * sizeof *refs);
    rc = tb_pool_map_refs_(pool, method, name, values, in.count, refs, timeout);
    if (rc != 0 && type != TB_NO_TYPE) {
        memset(out, 0, in.count * elem);
    } else if (rc == 0) {
        rc = tb_get_all_(refs, in.count, type, elem, out, -1);
        tb_release_all(refs, in.count);
    }
    free(refs);
    free(values);
    return rc;
}

int tb_pool_map_unordered_(tb_pool *pool, tb_function_ *method, const char *name, tb_value in, tb_pool_each *each,
                           void *arg, double timeout)
{
    double deadline = tbi_deadline_after(timeout);
    int rc = check(pool, name, true, each != NULL);
    tb_value *values = NULL;
    size_t first, number;
    tb_ref result;

    if (rc == 0)
        rc = elements(name, &in, &values);
    if (rc != 0)
        return rc;
    first = tbi_pool_numbers(pool);
    for (size_t i = 0; i < in.count && rc == 0; i++)
        rc = tb_pool_submit_(pool, method, name, &values[i], 1);
    for (size_t i = 0; i < in.count && rc == 0; i++) {
        rc = tbi_pool_take(pool, first, first + in.count, deadline, &number, &result);
        if (rc != 0)
            break;
        rc = each(number - first, result, arg);
        tb_release(result);
    }
    if (rc != 0)
        forget(pool, first, tbi_pool_numbers(pool));
    free(values);
    return rc;
}
