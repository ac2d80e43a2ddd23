/* test_bell.c - holds exec/bell: who sleeps is woken, and a wake-up that nobody sends is found to be missing, however
 * often the bell has rung before. */
#include "unit.h"
#include "exec/bell.h"

#include <pthread.h>

enum { LONG_US = 60000000, ROUNDS = 5 };

static void a_wake_up_that_nobody_sends_is_missed(void **state)
{
    struct tbi_bell bell = {0};

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t value = tbi_bell_arm(&bell, TBI_BELL_LEADER);

        tbi_bell_wait(&bell, value, TBI_BELL_LEADER, tbi_now_us() + 100);
        assert_true(tbi_bell_was_missed(&bell, value, TBI_BELL_LEADER, 1000));
        tbi_bell_ring(&bell);
        assert_false(tbi_bell_was_missed(&bell, value, TBI_BELL_LEADER, LONG_US));
    }
}

static void nobody_misses_one_who_is_disarmed_or_armed_for_another(void **state)
{
    struct tbi_bell bell = {0};
    uint32_t value = tbi_bell_arm(&bell, TBI_BELL_BACKGROUND);

    (void)state;
    assert_false(tbi_bell_was_missed(&bell, value, TBI_BELL_LEADER, LONG_US));
    tbi_bell_disarm(&bell);
    assert_false(tbi_bell_was_missed(&bell, value, TBI_BELL_BACKGROUND, LONG_US));
}

static void *rings(void *bell)
{
    tbi_bell_ring(bell);
    return NULL;
}

static void one_that_comes_late_was_not_missed(void **state)
{
    struct tbi_bell bell = {0};

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t value = tbi_bell_arm(&bell, TBI_BELL_LEADER);
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, rings, &bell), 0);
        assert_false(tbi_bell_was_missed(&bell, value, TBI_BELL_LEADER, LONG_US));
        pthread_join(thread, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_up_that_nobody_sends_is_missed),
        cmocka_unit_test(nobody_misses_one_who_is_disarmed_or_armed_for_another),
        cmocka_unit_test(one_that_comes_late_was_not_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
