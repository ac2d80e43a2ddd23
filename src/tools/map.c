/* map.c - a map over an array: a task for each chunk, a limited number of them at a time, whose results are copied
 * out as they come. */
#include "thornback_tools.h"

#include "api/errors.h"
#include "tools/held.h"
#include "util/alloc.h"
#include "util/plural.h"

enum { CHUNKS_A_CPU = 8, AHEAD_A_CPU = 4, AHEAD_MIN = 4, AHEAD_MAX = 1024 };

struct map {
    tb_task_fn *fn;
    const char *name;
    const tb_options *options;
    tb_value in;
    size_t chunk, next;         /* elements; the first that was not submitted */
    tb_type type;
    size_t elem;
    uint8_t *out;
    tb_value *values;           /* values[nvalues], the first is the chunk's */
    size_t nvalues;
    struct piece {
        tb_ref ref;
        size_t at, n;           /* elements at .. at + n - 1 */
    } *piece;                   /* piece[npieces], under way */
    tb_ref *refs;               /* theirs, as tb_wait orders them */
    size_t npieces, ahead;      /* at most */
};

static int check(const struct map *m)
{
    if (m->in.flags & TB_VALUE_ARRAY && m->in.elem > 0 && (m->in.ptr != NULL || m->in.count == 0) &&
        (m->out != NULL || m->in.count == 0))
        return m->type != TB_REF && m->type != TB_ACTOR_HANDLE
                   ? 0
                   : tbi_error_set(TB_ERR_UNSUPPORTED, "tb_map of '%s': results are numbers or structs; gather refs "
                                   "and actors by tb_remote", m->name);
    return tbi_error_set(TB_ERR_ARGUMENT, "tb_map of '%s': in or out is NULL, or in is no array", m->name);
}

/* How many chunks there are, if the caller leaves it to us, and how many are under way at most: so that all CPUs have
 * work, and a long array does not fill the store. */
static int plan(struct map *m)
{
    double cpus;
    int rc = tb_cluster_resources("CPU", &cpus);
    size_t n;

    if (rc != 0)
        return rc;
    n = cpus * CHUNKS_A_CPU < 1 ? 1 : (size_t)(cpus * CHUNKS_A_CPU);
    if (m->chunk == 0)
        m->chunk = m->in.count / n + (m->in.count % n != 0);
    n = cpus * AHEAD_A_CPU < AHEAD_MIN ? AHEAD_MIN : cpus * AHEAD_A_CPU > AHEAD_MAX ? AHEAD_MAX
                                                                                    : (size_t)(cpus * AHEAD_A_CPU);
    m->ahead = n;
    return 0;
}

static void submit(struct map *m)
{
    size_t left = m->in.count - m->next;
    struct piece *p = &m->piece[m->npieces];

    *p = (struct piece){.at = m->next, .n = left < m->chunk ? left : m->chunk};
    m->values[0] = m->in;
    m->values[0].ptr = (const uint8_t *)m->in.ptr + p->at * m->in.elem;
    m->values[0].count = p->n;
    tb_remote_v_(m->fn, m->name, m->options, &p->ref, 1, m->values, m->nvalues);
    m->refs[m->npieces++] = p->ref;
    m->next += p->n;
}

static int fail(const struct map *m, const struct piece *p, int rc)
{
    char why[512];

    snprintf(why, sizeof why, "%s", tb_last_error());
    return tbi_error_set(rc, "tb_map of '%s', elements %zu to %zu: %s", m->name, p->at, p->at + p->n - 1, why);
}

/* Copies what came to its place. */
static int take(struct map *m, const struct piece *p)
{
    const void *view;
    size_t n;
    int rc = tb_get_array_(p->ref, m->type, m->type == TB_RECORD ? m->elem : 0, &view, &n, -1);

    if (rc == 0 && n != p->n)
        rc = tbi_error_set(TB_ERR_TYPE, "'%s' returned %zu element%s for %zu", m->name, n, tbi_s(n), p->n);
    if (rc != 0)
        return fail(m, p, rc);
    memcpy(m->out + p->at * m->elem, view, n * m->elem);
    return 0;
}

/* Waits for a chunk, and makes room for the next one. */
static int gather(struct map *m, double deadline)
{
    size_t ready, at = 0;
    int rc = tb_wait(m->refs, m->npieces, 1, tbi_timeout_until(deadline), &ready);

    if (rc == 0 && ready == 0)
        rc = tbi_error_set(TB_ERR_TIMEOUT, "tb_map of '%s': %llu element%s not done in time", m->name,
                           (unsigned long long)m->in.count, tbi_plural(m->in.count, " was", "s were"));
    if (rc != 0)
        return rc;
    while (!tb_ref_equal(m->piece[at].ref, m->refs[0]))
        at++;
    rc = take(m, &m->piece[at]);
    tb_release(m->refs[0]);
    m->piece[at] = m->piece[--m->npieces];
    memmove(m->refs, m->refs + 1, m->npieces * sizeof *m->refs);
    return rc;
}

static int run(struct map *m, double deadline)
{
    int rc = 0;

    while (rc == 0 && (m->next < m->in.count || m->npieces > 0)) {
        while (m->next < m->in.count && m->npieces < m->ahead)
            submit(m);
        rc = gather(m, deadline);
    }
    for (size_t i = 0; i < m->npieces; i++)
        tb_cancel(m->refs[i], TB_CANCEL_DEFAULT);
    tb_release_all(m->refs, m->npieces);
    return rc;
}

int tb_map_(tb_task_fn *fn, const char *name, const tb_options *options, tb_value in, size_t chunk, double timeout,
            tb_type type, size_t elem, void *out, const tb_value *values, size_t nvalues)
{
    struct map m = {.fn = fn, .name = name, .options = options, .in = in, .chunk = chunk, .type = type, .elem = elem,
                    .out = out, .nvalues = nvalues + 1};
    double deadline = tbi_deadline_after(timeout);
    int rc = check(&m);

    if (rc == 0)
        rc = plan(&m);
    if (rc != 0)
        return rc;
    m.values = tbi_alloc(m.nvalues * sizeof *m.values);
    if (nvalues > 0)
        memcpy(m.values + 1, values, nvalues * sizeof *values);
    m.piece = tbi_alloc(m.ahead * sizeof *m.piece);
    m.refs = tbi_alloc(m.ahead * sizeof *m.refs);
    rc = run(&m, deadline);
    if (rc != 0)
        memset(out, 0, in.count * elem);
    free(m.values);
    free(m.piece);
    free(m.refs);
    return rc;
}
