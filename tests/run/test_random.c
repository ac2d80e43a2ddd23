/* test_random.c - holds that the C library's random generators draw other numbers in each process of tasks, although
 * the program seeded them before. */
#include "gate.h"
#include "run.h"

enum { PROCESSES = 8 };

/* argument: a gate, so that each of these tasks has a process of its own. Returns: what it draws */
static int draws(tb_call *call)
{
    int64_t drawn[3];

    gate_wait(tb_arg_string(call, 0));
    drawn[0] = rand();
    drawn[1] = random();
    drawn[2] = lrand48();
    return tb_return(call, tb_array(drawn, 3));
}
TB_TASK(draws, .num_cpus = TB_NONE);

static void each_process_draws_other_numbers(void **state)
{
    struct gate gate[PROCESSES];
    tb_ref r[PROCESSES];
    const int64_t *drawn[PROCESSES];

    (void)state;
    for (int i = 0; i < PROCESSES; i++) {
        gate[i] = gate_new();
        r[i] = tb_remote(draws, gate[i].path);
    }
    for (int i = 0; i < PROCESSES; i++)
        gate_reach(&gate[i]); /* all run at once */
    for (int i = 0; i < PROCESSES; i++) {
        gate_open(&gate[i]);
        assert_ok(tb_get_array(r[i], &drawn[i], NULL));
        for (int k = 0; k < i; k++)
            for (int g = 0; g < 3; g++)
                assert_true(drawn[i][g] != drawn[k][g]);
    }
    assert_ok(tb_release_all(r, PROCESSES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_process_draws_other_numbers)};

    srand(12345);
    srandom(12345);
    srand48(12345);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
