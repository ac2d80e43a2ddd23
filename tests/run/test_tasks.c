/* test_tasks.c - holds the program's view of tasks: what is passed, returned, waited for and failed. */
#include "../unit/unit.h"

#include <thornback.h>

static int one(tb_call *call) { return tb_return(call, 1); }
TB_TASK(one);

static int add_one(tb_call *call)
{
    return tb_return(call, tb_arg_int(call, 0) + 1);
}
TB_TASK(add_one);

static void a_task_returns_its_value(void **state)
{
    tb_ref a = tb_remote(one);
    int v = 0;

    (void)state;
    assert_int_equal(tb_get(a, &v), 0);
    assert_int_equal(v, 1);
    assert_int_equal(tb_release(a), 0);
}

static void a_ref_is_passed_as_its_value(void **state)
{
    tb_ref a = tb_remote(one), b = tb_remote(add_one, a);
    int v = 0;

    (void)state;
    assert_int_equal(tb_get(b, &v), 0);
    assert_int_equal(v, 2);
    tb_release(a);
    tb_release(b);
}

static int begin(void **state)
{
    (void)state;
    tb_must(tb_init(NULL, NULL, NULL));
    return 0;
}

static int end(void **state)
{
    (void)state;
    return tb_finalize();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_returns_its_value),
        cmocka_unit_test(a_ref_is_passed_as_its_value),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
