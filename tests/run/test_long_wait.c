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
    struct captured c;
    int got[2] = {0, 0};
    static char text[65536];
    pthread_t thread[2];
    size_t n = 0;

    (void)state;
    lasting = tb_remote(outer, gate.path);
    gate_reach(&gate);
    c = capture_begin();
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, waits, &got[i]), 0);
    while (count(text, line) < 3 || count(text, in_task) < 1) { /* a task's comes with what it prints */
        ssize_t more = read(c.fds[0], text + n, sizeof text - 1 - n);

        assert_true(more > 0);
        n += (size_t)more;
        text[n] = 0;
    }
    capture_pause(&c);
    assert_int_equal(count(text, line), 3);
    assert_int_equal(count(text, in_task), 1);
    gate_open(&gate);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(got[i], 7);
    }
    assert_ok(tb_release(lasting));
    capture_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_waits_for_long_says_what_for)};

    setenv("TB_DEBUG", "1", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
