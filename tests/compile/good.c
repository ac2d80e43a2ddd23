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
