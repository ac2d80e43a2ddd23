/* Everything a user may write with values compiles without a single warning. */
#include <thornback.h>

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

/* The macros around calls: every form, each argument once, no warning. */
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
        TB_SCOPE { rc |= tb_scope_keep(r); }
        if (rc != 0)
            return tb_fail(call, "%d", rc);
    }
    return tb_init(NULL, NULL, TB_CONFIG(.num_cpus = 8)) | tb_finalize();
}
