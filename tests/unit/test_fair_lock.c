/* test_fair_lock.c - holds util/fair_lock: threads get the lock in the order in which they asked, so a thread
 * that takes it again and again keeps nobody waiting. */
#include "unit.h"
#include "util/fair_lock.h"

#include <pthread.h>
#include <sched.h>

enum { THREADS = 8, ROUNDS = 2000 };

static struct tbi_fair_lock lock;
static unsigned order[THREADS], arrived;
static _Atomic unsigned asked;

struct asker {
    pthread_t thread;
    unsigned number;
};

static void *ask_once(void *ctx)
{
    const struct asker *a = ctx;

    tbi_fair_lock_take(&lock);
    order[arrived++] = a->number;
    tbi_fair_lock_give(&lock);
    return NULL;
}

static uint64_t waiting(void)
{
    return atomic_load(&lock.next) - lock.serving - 1;
}

static void begin(struct asker *a, unsigned number)
{
    uint64_t before = waiting();

    a->number = number;
    assert_int_equal(pthread_create(&a->thread, NULL, ask_once, a), 0);
    while (waiting() == before)
        sched_yield();
}

static void a_thread_that_yields_goes_behind_all_that_wait(void **state)
{
    struct asker a[THREADS];

    (void)state;
    arrived = 0;
    tbi_fair_lock_init(&lock);
    tbi_fair_lock_take(&lock);
    assert_false(tbi_fair_lock_is_wanted(&lock));
    for (unsigned i = 0; i < THREADS; i++)
        begin(&a[i], i);
    assert_true(tbi_fair_lock_is_wanted(&lock));
    tbi_fair_lock_yield(&lock);
    assert_int_equal(arrived, THREADS);
    assert_false(tbi_fair_lock_is_wanted(&lock));
    tbi_fair_lock_give(&lock);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(a[i].thread, NULL);
        assert_int_equal(order[i], i);
    }
    tbi_fair_lock_fini(&lock);
}

static unsigned long count;

static void *count_up(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < ROUNDS; i++) {
        tbi_fair_lock_take(&lock);
        count++;
        if (i % 3 == 0)
            tbi_fair_lock_yield(&lock);
        tbi_fair_lock_give(&lock);
    }
    atomic_fetch_add(&asked, 1);
    return NULL;
}

static void one_thread_at_a_time_has_it(void **state)
{
    pthread_t thread[THREADS];

    (void)state;
    tbi_fair_lock_init(&lock);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, count_up, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(asked, THREADS);
    assert_int_equal(count, THREADS * ROUNDS);
    tbi_fair_lock_fini(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_yields_goes_behind_all_that_wait),
        cmocka_unit_test(one_thread_at_a_time_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
