/* test_roll_call.c - holds what rank 0 does when it has asked all ranks what they wait for: those that do not answer in
 * time are named, once. */
#include "unit.h"
#include "node/roll_call.h"

#include <unistd.h>

static const char *host_of(void *ctx, unsigned rank)
{
    static const char *const host[] = {"a", "b", "c", "d"};

    (void)ctx;
    return rank < 4 ? host[rank] : "e";
}

/* What is written to stderr when it is that late. */
static const char *said(struct tbi_roll_call *call, uint64_t now_us)
{
    static char text[8192];
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    size_t n;

    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    tbi_roll_call_tick(call, now_us, host_of, NULL);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    return text;
}

static void ranks_that_do_not_answer_are_named_once(void **state)
{
    struct tbi_roll_call call;

    (void)state;
    tbi_roll_call_init(&call, 4);
    tbi_roll_call_begin(&call, 1000);
    tbi_roll_call_answered(&call, 1);
    tbi_roll_call_answered(&call, 3);
    assert_string_equal(said(&call, 1000 + 4999999), "");
    assert_non_null(strstr(said(&call, 1000 + 5000000), "rank 2 on host c has not said for 5 s what it waits for"));
    assert_string_equal(said(&call, 100000000), "");
    tbi_roll_call_fini(&call);
}

static void when_all_have_answered_nothing_is_said(void **state)
{
    struct tbi_roll_call call;

    (void)state;
    tbi_roll_call_init(&call, 3);
    tbi_roll_call_begin(&call, 1000);
    tbi_roll_call_answered(&call, 2);
    tbi_roll_call_answered(&call, 1);
    tbi_roll_call_answered(&call, 1); /* it was asked twice */
    assert_true(call.due_us == UINT64_MAX);
    assert_string_equal(said(&call, 100000000), "");
    tbi_roll_call_fini(&call);
}

static void of_many_some_are_named_and_the_others_counted(void **state)
{
    struct tbi_roll_call call;
    const char *text;

    (void)state;
    tbi_roll_call_init(&call, 1001);
    tbi_roll_call_begin(&call, 0);
    text = said(&call, 5000000);
    assert_non_null(strstr(text, "rank 16 on host e "));
    assert_null(strstr(text, "rank 17 on host e "));
    assert_non_null(strstr(text, "and so have 984 more\n"));
    tbi_roll_call_fini(&call);
}

static void a_rank_alone_waits_for_nobody(void **state)
{
    struct tbi_roll_call call;

    (void)state;
    tbi_roll_call_init(&call, 1);
    tbi_roll_call_begin(&call, 0);
    assert_true(call.due_us == UINT64_MAX);
    tbi_roll_call_fini(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_that_do_not_answer_are_named_once),
        cmocka_unit_test(when_all_have_answered_nothing_is_said),
        cmocka_unit_test(of_many_some_are_named_and_the_others_counted),
        cmocka_unit_test(a_rank_alone_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
