/* test_long_wait.c - holds that with TB_DEBUG a call which waits for 10 s says what for, once, whether its thread leads the
 * loop or stands by, in the driver and in a task. */
#include "lasting.h"

/* How often it stands there. */
static int count(const char *text, const char *what)
{
    int n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void who_waits_for_long_says_what_for(void **state)
{
    static const char line[] = "1 of 1 object is not here, the first is ", in_task[] = ", in 'outer'\n";
    struct gate gate = gate_new();
    int got[2] = {0, 0};
    pthread_t thread[2];

    (void)state;
    lasting = tb_remote(outer, gate.path);
    gate_reach(&gate);
    capture_begin();
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, waits, &got[i]), 0);
    while (count(captured.text, line) < 3 || count(captured.text, in_task) < 1) /* a task's comes with what it prints */
        assert_true(capture_read() > 0);
    capture_pause();
    assert_int_equal(count(captured.text, line), 3);
    assert_int_equal(count(captured.text, in_task), 1);
    gate_open(&gate);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(got[i], 7);
    }
    assert_ok(tb_release(lasting));
    capture_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_waits_for_long_says_what_for)};

    setenv("TB_DEBUG", "1", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
