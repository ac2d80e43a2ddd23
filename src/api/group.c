/* group.c - placement groups: a program makes them, waits for them and removes them. Where the bundles go is
 * for the head to say; here a group is an object that is ready when it is reserved. */
#include "api/group.h"
#include "api/errors.h"
#include "api/get.h"
#include "api/options.h"
#include "util/alloc.h"
#include "util/plural.h"

enum { BUNDLES_MAX = 65534 /* their numbers, from 1, are the index of an id */ };

/* ---- handles ---- */

/* Why this thread's last group that failed at once did so: a handle has room for the code only. */
static _Thread_local struct {
    struct tbi_id id;
    char why[512];
} failure;

/* A handle that stands for a failure, with the last error. */
static tb_group failed(struct tbi_process *p, int code)
{
    failure.id = tbi_process_new_id(p);
    failure.id.hi |= (uint64_t)(-code & 0xff);
    snprintf(failure.why, sizeof failure.why, "%s", tb_last_error());
    return tbi_group_of(failure.id);
}

int tbi_group_check(const struct tbi_process *p, tb_group group)
{
    struct tbi_id id = tbi_group_id(group);
    int code = -(int)tbi_id_error(id);
    char text[64];

    if (tbi_id_is_null(id))
        return tbi_error_set(TB_ERR_REF, "the group is null: it was never set");
    if (code != 0 && code >= TB_ERR_LAST_)
        return tbi_error_set(code, "the group was not made: %s",
                             tbi_id_equal(id, failure.id) ? failure.why : tb_strerror(code));
    if (code != 0 || tbi_id_job(id) != p->job)
        return tbi_error_set(TB_ERR_REF, "group %s belongs to another job (%u; this is %u)",
                             tb_ref_text(tbi_ref_of(id), text, sizeof text), tbi_id_job(id), p->job);
    if (tbi_id_rank(id) == p->rank && tbi_id_proc(id) == p->proc && tbi_id_counter(id) > p->counter)
        return tbi_error_set(TB_ERR_REF, "group %s was never made",
                             tb_ref_text(tbi_ref_of(id), text, sizeof text));
    return 0;
}

tb_group tb_group_bundle(tb_group group, int index)
{
    struct tbi_process *p = tbi_process_enter("tb_group_bundle");
    struct tbi_id id = tbi_group_id(group);
    int rc = 0;

    if (p == NULL)
        return tbi_group_of(tbi_id_of(tbi_ref_code(TB_ERR_STATE)));
    if (tbi_id_is_null(id))
        rc = tbi_group_check(p, group);
    else if (tbi_id_error(id) == 0 && (index < 0 || index >= BUNDLES_MAX))
        rc = tbi_error_set(TB_ERR_ARGUMENT, "tb_group_bundle: index = %d: 0 to the number of bundles - 1 "
                           "are possible", index);
    if (rc != 0)
        group = failed(p, rc);
    else if (tbi_id_error(id) == 0)
        group = tbi_group_of(tbi_id_with_index(id, (unsigned)index + 1));
    tbi_process_leave(p);
    return group;
}

/* ---- making ---- */

/* The bundles as they stand in the message, one after the other. *bytes: how much they take. */
static int pack(const struct tbi_process *p, const tb_bundle *bundles, int n, uint8_t *to, size_t *bytes)
{
    *bytes = 0;
    for (int i = 0; i < n; i++) {
        struct tbi_terms terms;
        struct msg_bundle head;
        char name[24];
        int rc;

        snprintf(name, sizeof name, "bundle %d", i);
        rc = tbi_bundle_read(name, &bundles[i], p->cluster->resources, &terms);
        if (rc != 0)
            return rc;
        head = (struct msg_bundle){terms.cpus, terms.nmore};
        memcpy(to + *bytes, &head, sizeof head);
        *bytes += sizeof head;
        memcpy(to + *bytes, terms.more, terms.nmore * sizeof terms.more[0]);
        *bytes += terms.nmore * sizeof terms.more[0];
    }
    if (*bytes > TBI_RECORD_MAX - sizeof(struct tbi_record) - sizeof(struct msg_group))
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_group_new: %d bundles that ask for so many resources each "
                             "are too many: make more groups, of fewer bundles", n);
    return 0;
}

static int check(const tb_bundle *bundles, int n, int strategy)
{
    if (n < 1 || n > BUNDLES_MAX)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_group_new: n = %d bundles: 1 to %d are possible", n,
                             BUNDLES_MAX);
    if (bundles == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_group_new: %d bundle%s at NULL", n, tbi_s((uint64_t)n));
    if (strategy < TB_GROUP_PACK || strategy > TB_GROUP_STRICT_SPREAD)
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_group_new: strategy = %d, which is none of TB_GROUP_*",
                             strategy);
    return 0;
}

tb_group tb_group_new(const tb_bundle *bundles, int n, int strategy)
{
    struct tbi_process *p = tbi_process_enter("tb_group_new");
    uint8_t *packed = NULL;
    tb_group group;
    size_t bytes;
    int rc;

    if (p == NULL)
        return tbi_group_of(tbi_id_of(tbi_ref_code(TB_ERR_STATE)));
    rc = check(bundles, n, strategy);
    if (rc == 0) {
        packed = tbi_alloc((size_t)n * (sizeof(struct msg_bundle) +
                                        TBI_MORE_MAX * sizeof(struct tbi_amount)));
        rc = pack(p, bundles, n, packed, &bytes);
        if (rc == 0 && bytes > TBI_BODY_MAX - sizeof(struct msg_group))
            rc = tbi_error_set(TB_ERR_ARGUMENT, "tb_group_new: the demands of %d bundles make a message of %zu bytes, and "
                               "%zu are possible: make several groups", n, bytes + sizeof(struct msg_group),
                               (size_t)TBI_BODY_MAX);
    }
    if (rc == 0) {
        struct msg_group *m = p->port.send(p->port.ctx, TBI_MSG_GROUP, sizeof *m + bytes);

        *m = (struct msg_group){tbi_process_new_id(p), (uint32_t)strategy, (uint32_t)n};
        memcpy(m + 1, packed, bytes);
        group = tbi_group_of(m->id);
    } else {
        group = failed(p, rc);
    }
    free(packed);
    tbi_process_leave(p);
    return group;
}

int tb_group_remove(tb_group group)
{
    struct tbi_process *p = tbi_process_enter("tb_group_remove");
    int rc;

    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_group_check(p, group);
    if (rc == 0)
        tbi_process_send_id(p, TBI_MSG_UNGROUP, tbi_id_task(tbi_group_id(group)));
    tbi_process_leave(p);
    return rc;
}

/* ---- waiting ---- */

tb_ref tb_group_ready(tb_group group)
{
    struct tbi_process *p = tbi_process_enter("tb_group_ready");
    struct tbi_id id = tbi_id_task(tbi_group_id(group));
    tb_ref ref;
    int rc;

    if (p == NULL)
        return tbi_ref_code(TB_ERR_STATE);
    rc = tbi_group_check(p, group);
    if (rc == 0) {
        tbi_scope_note(p, tbi_handle_own(p, id));
        ref = tbi_ref_of(id);
    } else {
        struct tbi_error_link link;

        tbi_error_link(&link, rc, "%s", tb_last_error());
        ref = tbi_ref_failed(p, &link, sizeof link);
    }
    tbi_process_leave(p);
    return ref;
}

static bool is_answered(void *arg)
{
    return !((const struct tbi_handle *)arg)->polled;
}

/* Is it ready now? Asked anew each time, since a handle that nobody holds between two looks keeps nothing.
 * 0, or TB_ERR_TIMEOUT, or why the wait for the answer ended. */
static int look(struct tbi_process *p, struct tbi_id id)
{
    struct tbi_handle *h = tbi_handle_use(p, id);
    int rc = 0;

    if (h->state == TBI_HANDLE_UNKNOWN) {
        tbi_handle_ask(p, h, TBI_GET_EXISTS | TBI_GET_POLL);
        if (!tbi_process_wait(p, is_answered, h, UINT64_MAX))
            rc = tbi_process_why_ended(p);
        else if (h->state == TBI_HANDLE_UNKNOWN)
            rc = TB_ERR_TIMEOUT;
    }
    tbi_handle_drop_use(p, h);
    return rc;
}

/* Returns the number of bundles that `id` names, or an error. */
static int copy_ranks(struct tbi_id id, const struct tbi_view *view, int *ranks, int max)
{
    size_t bundle = tbi_id_index(id), n;
    const void *data;
    const int32_t *from;
    int rc = tbi_value_read_array(view, TB_INT32, sizeof *from, &data, &n);

    if (rc != 0)
        return rc;
    if (bundle > n)
        return tbi_error_set(TB_ERR_ARGUMENT, "the group has bundles 0 to %zu, there is no bundle %zu", n - 1,
                             bundle - 1);
    from = data;
    if (bundle > 0) {
        from += bundle - 1;
        n = 1;
    }
    for (size_t i = 0; i < n && i < (size_t)max; i++)
        ranks[i] = from[i];
    return (int)n;
}

/* The same when it is there. The process holds it. */
static int wait_held(struct tbi_process *p, struct tbi_id id, double timeout, int *ranks, int max)
{
    tb_ref ref = tbi_ref_of(tbi_id_task(id));
    struct tbi_handle *h;
    struct tbi_view view;
    int rc = 0;

    if (tbi_timeout_is_none(timeout)) {
        rc = look(p, tbi_id_task(id));
        timeout = -1; /* what is ready comes at once */
    }
    if (rc == 0)
        rc = tbi_get_begin(p, &ref, &h, 1, timeout);
    if (rc != 0)
        return rc;
    rc = tbi_get_view(p, h, &view);
    if (rc == 0)
        rc = copy_ranks(id, &view, ranks, max);
    tbi_get_end(p, &h, 1);
    return rc;
}

static int wait_for(const char *function, tb_group group, double timeout, int *ranks, int max)
{
    struct tbi_process *p;
    int rc = tbi_timeout_check(function, timeout);

    if (rc != 0)
        return rc;
    p = tbi_process_enter(function);
    if (p == NULL)
        return TB_ERR_STATE;
    rc = tbi_group_check(p, group);
    if (rc == 0) {
        struct tbi_id object = tbi_id_task(tbi_group_id(group));

        tbi_handle_own(p, object); /* so that it stays while we read, should the group be removed */
        rc = wait_held(p, tbi_group_id(group), timeout, ranks, max);
        tbi_handle_release(p, object);
        if (rc == TB_ERR_REF)
            tbi_error_set(rc, "no such placement group: it was removed, or never was of this job");
        else if (rc == TB_ERR_TIMEOUT)
            tbi_error_set(rc, "the group was not reserved within %g second%s", timeout, timeout == 1 ? "" : "s");
    }
    tbi_process_leave(p);
    return rc;
}

int tb_group_wait_timeout(tb_group group, double timeout)
{
    int rc = wait_for("tb_group_wait", group, timeout, NULL, 0);

    return rc < 0 ? rc : 0;
}

int tb_group_wait(tb_group group)
{
    return tb_group_wait_timeout(group, -1);
}

int tb_group_nodes(tb_group group, int *ranks, int max)
{
    if (max < 0 || (ranks == NULL && max > 0))
        return tbi_error_set(TB_ERR_ARGUMENT, "tb_group_nodes: ranks is NULL, or max = %d negative", max);
    if (max > 0)
        memset(ranks, 0, (size_t)max * sizeof *ranks);
    return wait_for("tb_group_nodes", group, -1, ranks, max);
}
