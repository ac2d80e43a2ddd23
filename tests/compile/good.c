/* Everything a user may write with values compiles without a single warning. */
#include <thornback_tools.h>

struct point { double x, y; };
int main(void)
{
    int i = 1, numbers[3] = {1, 2, 3};
    const double grid[2] = {0};
    struct point p = {1, 2}, ps[2] = {{0, 0}, {1, 1}};
    char name[8] = "name";
    tb_ref ref = {0, 0}, refs[2] = {{0, 0}, {0, 0}};
    tb_value values[] = {
        tb_value_of(1), tb_value_of('c'), tb_value_of((bool)1), tb_value_of(2u), tb_value_of(3L),
        tb_value_of(4uLL), tb_value_of(1.5f), tb_value_of(2.5), tb_value_of("text"),
        tb_value_of(name), tb_value_of(ref), tb_value_of(tb_nested(ref)), tb_value_of(tb_struct(p)),
        tb_value_of(tb_bytes(name, 4)), tb_value_of(tb_array(numbers, 3)),
        tb_value_of(tb_array(grid, 2)), tb_value_of(tb_records(ps, 2)), tb_value_of(tb_array(refs, 2)),
    };
    tb_value once = tb_value_of(i++), part = tb_array(&numbers[i], 1);
    return i == 2 && once.as.i == 1 && part.count == 1 && values[0].type == TB_INT32 ? 0 : 1;
}

static int plain(tb_call *call) { return call == 0; }
static int heavy(tb_call *call) { return call == 0; }
TB_TASK(plain);
TB_TASK(heavy, .num_cpus = 4, .num_gpus = 2, .resources = {{"Custom", 1}, {"Disk", 0.5}},
        .max_retries = 5);

/* Classes: all of it, in any order, mixed with options; nothing at all; of a type without a tag; a class that is
 * made elsewhere; names that variables and functions have too. */
struct counter { int value; };
typedef struct { double sum; _Alignas(64) char line[64]; } total;
static int counter_init(tb_call *call, struct counter *self) { return call == 0 || self->value; }
static int counter_restore(tb_call *call, struct counter *self) { return call != 0 || self->value; }
static void counter_fini(struct counter *self) { self->value = 0; }
int counter_increment(tb_call *call, struct counter *self);
int counter_increment(tb_call *call, struct counter *self) { return call == 0 && ++self->value; }
static int counter_read(tb_call *call, struct counter *self) { return call == 0 && self->value; }
static int total_add(tb_call *call, total *self) { return call == 0 && self->sum > 0; }
TB_ACTOR_DECLARE(counter);
TB_ACTOR(counter, struct counter, .num_cpus = 2, .num_gpus = 0.5, .init = counter_init,
         .resources = {{"Custom", 1}, {"Disk", 0.5}}, .fini = counter_fini, .max_restarts = -1,
         .restore = counter_restore, .concurrency_groups = {{"io", 2}, {"compute", 4}});
TB_METHOD(counter, counter_increment);
TB_METHOD(counter, counter_read, .concurrency_group = "io", .max_task_retries = 2, .time_limit = 1);
TB_ACTOR(total, total);
TB_METHOD(total, total_add);
TB_ACTOR_DECLARE(elsewhere);

int use_actors(tb_call *call);
int use_actors(tb_call *call)
{
    tb_actor counter = tb_actor_new(counter, 0), actors[3] = {counter, {0, 0}, {0, 0}}, got;
    tb_options mine = {.name = "sum", .name_space = "stats", .get_if_exists = true,
                       .lifetime = TB_LIFETIME_DETACHED, .max_pending_calls = 10, .max_concurrency = 3};
    const tb_actor *view;
    tb_ref r = tb_actor_call(counter, counter_increment), many[2];
    const char *text = "late";
    size_t n;
    int i = 0, rc = 0;

    actors[i++] = tb_actor_new(elsewhere, 1, 2.5, "text", r, counter, tb_array(actors, 3));
    actors[1] = tb_actor_new_with(total, &mine);
    actors[2] = tb_actor_new_with(counter, TB_OPTIONS(.num_cpus = TB_NONE), 1, text);
    got = tb_actor_new_v(counter, NULL, NULL, 0);
    got = tb_actor_new_v(counter, &mine, TB_VALUES(1, r, got));
    r = tb_actor_call(actors[1], total_add, 1.5, r);
    r = tb_actor_call_with(counter, counter_increment, TB_OPTIONS(.time_limit = 1), r);
    rc |= tb_actor_call_n(counter, counter_read, many, 2) | tb_actor_call_n(counter, counter_read, NULL, 0, 1, r);
    rc |= tb_actor_call_v(counter, counter_read, NULL, many, 2, TB_VALUES(1, "two"));
    r = tb_put(counter);
    r = tb_put_array(actors, 3);
    r = tb_remote(plain, counter, tb_array(actors, 3));
    rc |= tb_get(r, &got) | tb_get_array(r, &view, &n) | tb_get_all(many, 2, actors);
    rc |= tb_arg(call, 0, &got) | tb_arg_array(call, 1, &view, &n) | tb_return(call, got);
    got = tb_arg_actor(call, 0);
    rc |= tb_get_actor("sum", NULL, &got) | tb_actor_retain(tb_call_actor(call)) | tb_actor_release(got);
    rc |= tb_actor_exit(call) | tb_actor_checkpoint(call, r) | tb_actor_equal(got, counter);
    TB_SCOPE { rc |= tb_scope_keep_actor(got); }
    return rc | tb_kill(counter, TB_KILL_NO_RESTART) | tb_actor_is_null(got);
}

/* The macros around calls: every form, each argument once, no warning. */
static int sees(size_t i, tb_ref result, void *arg)
{
    return tb_ref_is_null(result) && i > 0 && arg != NULL;
}

int use_map_and_pool(tb_actor actor)
{
    const int in[3] = {1, 2, 3};
    double out[3];
    tb_value values[2] = {tb_value_of(1), tb_value_of("two")};
    tb_pool *pool = tb_pool_new(&actor, 1);
    tb_ref refs[2];
    size_t number;
    int rc = 0;

    rc |= tb_map(plain, in, 3, 0, out) | tb_map(plain, in, 3, 1, out, 2.5, "more");
    rc |= tb_map_timeout(plain, 0.5, in, 3, 1, out) | tb_map_timeout(plain, 0.5, in, 3, 1, out, 1);
    rc |= tb_map_with(plain, TB_OPTIONS(.num_cpus = 2, .num_gpus = 1), in, 3, 1, out, refs[0]);
    rc |= tb_map_v(plain, NULL, -1, tb_records(out, 3), 1, out, NULL, 0);
    rc |= tb_pool_submit(pool, counter_increment) | tb_pool_submit(pool, counter_increment, 1, "two", refs[0]);
    rc |= tb_pool_map(pool, counter_increment, in, 3, out) | tb_pool_map(pool, counter_increment, in, 3, NULL);
    rc |= tb_pool_map_timeout(pool, counter_increment, in, 3, out, 0.5);
    rc |= tb_pool_map_refs(pool, counter_increment, values, 2, refs);
    rc |= tb_pool_map_refs_timeout(pool, counter_increment, values, 2, refs, 1);
    rc |= tb_pool_map_unordered(pool, counter_increment, in, 3, sees, NULL);
    rc |= tb_pool_get_next(pool, refs) | tb_pool_get_next_unordered(pool, refs, &number);
    rc |= tb_pool_has_next(pool) || tb_pool_has_free(pool) ? tb_pool_push(pool, actor) : 0;
    rc |= tb_pool_pop_idle(pool, &actor);
    tb_pool_free(pool);
    return rc;
}

int use_queue(void)
{
    tb_queue q = tb_queue_new(10), named = tb_queue_new_with(0, TB_OPTIONS(.name = "q"));
    float x[2] = {1, 2};
    size_t n;
    bool is;
    double d;
    tb_ref r;
    int rc = 0;

    rc |= tb_queue_put(q, 1) | tb_queue_put(q, "two") | tb_queue_put_nowait(q, tb_array(x, 2));
    rc |= tb_queue_put_timeout(q, named, 0.5) | tb_queue_put_nowait_batch(q, TB_VALUES(1, "two", 3.0));
    rc |= tb_queue_get(q, &d) | tb_queue_get_nowait(q, &r) | tb_queue_get_timeout(q, &named, 0.5);
    rc |= tb_queue_get(q, NULL) | tb_queue_get_nowait_batch(q, &r, 1);
    rc |= tb_queue_size(q, &n) | tb_queue_empty(q, &is) | tb_queue_full(q, &is) | tb_queue_waiting(q, &n, NULL);
    return rc | tb_queue_shutdown(q, 1) | tb_actor_release(q);
}

int use_all(tb_call *call);
int use_all(tb_call *call)
{
    const double *view;
    const struct point *points;
    const tb_ref *refs;
    const unsigned char *bytes;
    double *room, d;
    struct point p, *ps;
    const char *text;
    char buf[8];
    size_t n, ready;
    float _Complex z;
    bool b;
    tb_ref one = tb_remote(plain), many[3], r;
    tb_options mine = {.num_cpus = 0.5};
    int i = 0, rc = 0;

    r = tb_remote(plain, 1, 2.5, "text", one, tb_nested(one), tb_array(many, 3), tb_struct(p));
    rc |= tb_remote_n(plain, many, 3);
    rc |= tb_remote_n(plain, &many[i++], 1, one, 2);
    rc |= tb_remote_n(plain, NULL, 0);
    many[0] = tb_remote_with(plain, TB_OPTIONS(.num_cpus = 2));
    many[1] = tb_remote_with(plain, &mine, 1, one);
    rc |= tb_remote_v(plain, NULL, many, 3, NULL, 0);
    rc |= tb_remote_v(plain, &mine, many, 3, TB_VALUES(1, "two", 3.0));
    many[2] = tb_put(tb_bytes("x", 1));
    r = tb_put_array(&d, 1);
    r = tb_put_records(&p, 1);
    r = tb_create_array(&room, 10);
    r = tb_create_records(&ps, 10);
    rc |= tb_seal(r) | tb_get(r, &d) | tb_get(r, NULL) | tb_get_timeout(r, &b, 0.5);
    rc |= tb_get_all(many, 3, NULL) | tb_get_all_timeout(many, 1, &z, 1) | tb_get(r, &text);
    rc |= tb_get_array(r, &view, &n) | tb_get_array(r, &refs, NULL) | tb_get_records(r, &points, &n);
    rc |= tb_get_bytes(r, &bytes, &n) | tb_get_struct(r, &p) | tb_get_string(r, buf, sizeof buf);
    rc |= tb_wait(many, 3, 1, -1, &ready) | tb_wait_with(many, 3, 1, 0, TB_WAIT_ONLY_EXISTS, &ready);
    rc |= tb_arg(call, 0, &d) | tb_arg(call, 1, &text) | tb_arg(call, 2, &r);
    rc |= tb_arg_array(call, 0, &view, &n) | tb_arg_records(call, 0, &points, &n);
    rc |= tb_arg_struct(call, 0, &p) | tb_arg_bytes(call, 0, &bytes, &n);
    rc |= tb_return(call) | tb_return(call, 1, "two", p.x) | tb_return_at(call, 0, 'c');
    rc |= tb_return_array(call, 0, &room, 3) | tb_return_records(call, 0, &ps, 3);
    rc |= tb_return_v(call, TB_VALUES(1, 2));
    {
        tb_bundle bundle[] = {{.num_cpus = 1}, {.num_gpus = 1, .resources = {{"Disk", 0.5}}}};
        tb_group group = tb_group_new(bundle, 2, TB_GROUP_SPREAD);

        many[0] = tb_remote_with(plain, TB_OPTIONS(.group = group), tb_struct(group));
        many[1] = tb_remote_with(plain, TB_OPTIONS(.num_cpus = 2, .group = tb_group_bundle(group, 0)));
        many[2] = tb_group_ready(group);
        group = tb_call_group(call);
        rc |= tb_group_wait(group) | tb_group_wait_timeout(group, 0.5) | tb_group_nodes(group, &i, 1);
        rc |= tb_group_remove(group);
    }
    tb_must(tb_unpin(r));
    TB_SCOPE {
        TB_SCOPE { rc |= tb_scope_keep(r) | tb_scope_give(r); }
        if (rc != 0)
            return tb_fail(call, "%d", rc);
    }
    return tb_init(NULL, NULL, TB_CONFIG(.num_cpus = 8)) | tb_finalize();
}
