/* test_fault.c - holds the faults on demand: what a plan may say and how a wrong one is refused, that
 * passings are counted over all processes of a rank, who is killed and who is not, and that
 * doc/faults.md is the table. `test_fault --print` writes that file anew; `test_fault --points` lists
 * the points. */
#include "document.h"
#include "util/alloc.h"
#include "util/fault.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tbi_fault_board *board;

static int begin(void **state)
{
    (void)state;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return board == MAP_FAILED;
}

static int end(void **state)
{
    (void)state;
    tbi_fault_disarm();
    return munmap(board, sizeof *board);
}

static void arm(const char *text)
{
    struct tbi_fault_plan plan;
    char why[512] = "";

    if (!tbi_fault_parse(text, &plan, why, sizeof why))
        fail_msg("%s", why);
    tbi_fault_disarm();
    memset(board, 0, sizeof *board);
    tbi_fault_arm(&plan, board);
}

/* ---- the plan ---- */

static void a_plan_says_when_a_point_fires(void **state)
{
    struct tbi_fault_plan plan;
    char why[512];

    (void)state;
    assert_true(tbi_fault_parse("claim:3,fork:20+,seed:7,seal:5%,frame_delay:400,put:0", &plan, why,
                                sizeof why));
    assert_true(plan.rule[TBI_FAULT_CLAIM].n == 3 && plan.rule[TBI_FAULT_CLAIM].how == '=');
    assert_true(plan.rule[TBI_FAULT_FORK].n == 20 && plan.rule[TBI_FAULT_FORK].how == '+');
    assert_true(plan.rule[TBI_FAULT_SEAL].n == 5 && plan.rule[TBI_FAULT_SEAL].how == '%');
    assert_true(plan.rule[TBI_FAULT_PUT].n == 0 && plan.rule[TBI_FAULT_PUT].how == '=');
    assert_true(plan.rule[TBI_FAULT_FRAME_DELAY].n == 400 && plan.seed == 7);
    assert_int_equal(plan.rule[TBI_FAULT_BEGIN].how, 0);
    assert_true(tbi_fault_parse("", &plan, why, sizeof why));
}

static void refused(const char *text, const char *says, const char *possible)
{
    struct tbi_fault_plan plan;
    char why[512] = "";

    assert_false(tbi_fault_parse(text, &plan, why, sizeof why));
    if (strstr(why, text) == NULL || strstr(why, says) == NULL || strstr(why, possible) == NULL)
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", why, says, possible);
}

static void a_wrong_plan_is_refused_in_words(void **state)
{
    (void)state;
    refused("clam:3", "there is no point 'clam'; did you mean claim?", "start, idle, claim, begin");
    refused("claim:3,,put:1", "there is no point ''", "frame_delay");
    refused("claim", "'claim' cannot be ''", "claim:3 the third time");
    refused("claim:", "'claim' cannot be ''", "claim:3+ every third time");
    refused("claim:x", "'claim' cannot be 'x'", "claim:3% of the times");
    refused("claim:0x", "'claim' cannot be '0x'", "claim:0 never");
    refused("claim:3+4", "'claim' cannot be '3+4'", "claim:3+ every");
    refused("claim:-1", "'claim' cannot be '-1'", "claim:3 the");
    refused("claim:0+", "'claim' cannot be '0+'", "claim:3 the");
    refused("claim:101%", "'claim' cannot be '101%'", "(up to 100)");
    refused("claim:99999999999999999999", "'claim' cannot be '9999", "claim:3 the");
    refused("frame_delay:3+", "'frame_delay' cannot be '3+'", "whole numbers up to 1000000");
    refused("frame_delay:2000000", "'frame_delay' cannot be '2000000'", "whole numbers up to 1000000");
    refused("seed:a", "'seed' cannot be 'a'", "whole numbers");
    refused("claim:1,claim:2", "'claim' stands there twice", "");
}

/* ---- counting ---- */

static int passes(enum tbi_fault point, int n)
{
    int fired = 0;

    for (int i = 0; i < n; i++)
        fired += tbi_fault(point);
    return fired;
}

static void nothing_fires_and_nothing_is_counted_unasked(void **state)
{
    (void)state;
    assert_int_equal(passes(TBI_FAULT_FORK, 10), 0);
    arm("populate:1+");
    assert_int_equal(passes(TBI_FAULT_FORK, 10), 0);
    assert_true(board->passed[TBI_FAULT_FORK] == 0 && board->fired[TBI_FAULT_FORK] == 0);
}

static void a_point_fires_at_its_number_at_each_multiple_or_never(void **state)
{
    (void)state;
    arm("fork:3,populate:3+");
    assert_int_equal(passes(TBI_FAULT_FORK, 2), 0);
    assert_int_equal(passes(TBI_FAULT_FORK, 1), 1);
    assert_int_equal(passes(TBI_FAULT_FORK, 100), 0);
    assert_int_equal(passes(TBI_FAULT_POPULATE, 100), 33);
    assert_true(board->passed[TBI_FAULT_FORK] == 103 && board->fired[TBI_FAULT_FORK] == 1);
    arm("fork:0");
    assert_int_equal(passes(TBI_FAULT_FORK, 100), 0);
    assert_true(board->passed[TBI_FAULT_FORK] == 100);
}

static void chance_is_fair_and_repeats_with_its_seed(void **state)
{
    char first[1000], again[1000], other[1000];

    (void)state;
    arm("fork:20%,seed:5");
    for (int i = 0; i < 1000; i++)
        first[i] = tbi_fault(TBI_FAULT_FORK);
    assert_in_range(board->fired[TBI_FAULT_FORK], 150, 250);
    arm("fork:20%,seed:5");
    for (int i = 0; i < 1000; i++)
        again[i] = tbi_fault(TBI_FAULT_FORK);
    assert_memory_equal(first, again, sizeof first);
    arm("fork:20%,seed:6");
    for (int i = 0; i < 1000; i++)
        other[i] = tbi_fault(TBI_FAULT_FORK);
    assert_memory_not_equal(first, other, sizeof first);
    arm("fork:0%,populate:100%");
    assert_int_equal(passes(TBI_FAULT_FORK, 100), 0);
    assert_int_equal(passes(TBI_FAULT_POPULATE, 100), 100);
}

static void delays_stay_within_what_was_asked(void **state)
{
    uint64_t most = 0;

    (void)state;
    arm("frame_delay:300");
    for (int i = 0; i < 1000; i++) {
        uint64_t us = tbi_fault_delay_us();

        assert_true(us <= 300);
        most = us > most ? us : most;
    }
    assert_true(most > 200);
    assert_true(board->passed[TBI_FAULT_FRAME_DELAY] == 1000);
    arm("frame_delay:0");
    assert_int_equal(tbi_fault_delay_us(), 0);
}

static void silence_counts_and_lets_nothing_fire(void **state)
{
    (void)state;
    arm("fork:1+,frame_delay:100");
    assert_ptr_equal(tbi_fault_board(), board);
    board->silent = true;
    assert_int_equal(passes(TBI_FAULT_FORK, 10), 0);
    assert_int_equal(tbi_fault_delay_us(), 0);
    board->silent = false;
    assert_int_equal(passes(TBI_FAULT_FORK, 10), 10);
    assert_true(board->passed[TBI_FAULT_FORK] == 20);
}

static void a_driver_or_rank_is_never_killed(void **state)
{
    (void)state;
    arm("begin:1+,alloc:1+,put:1+");
    tbi_fault_point(TBI_FAULT_BEGIN);
    tbi_fault_point(TBI_FAULT_PUT);
    free(tbi_alloc(8));
    assert_true(board->passed[TBI_FAULT_BEGIN] == 0 && board->passed[TBI_FAULT_ALLOC] == 0);
}

/* Forks `n` executors of which each passes the point `times` times; returns how many died by `by`. */
static int executors(int n, enum tbi_fault point, int times, int by)
{
    pid_t pid[16];
    int died = 0;

    for (int i = 0; i < n; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            tbi_fault_arm_executor();
            for (int k = 0; k < times; k++)
                if (point == TBI_FAULT_ALLOC)
                    free(tbi_alloc(8));
                else
                    tbi_fault_point(point);
            _exit(0);
        }
    }
    for (int i = 0; i < n; i++) {
        int status;

        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        died += WIFSIGNALED(status) && WTERMSIG(status) == by;
    }
    return died;
}

static void passings_are_counted_over_all_processes(void **state)
{
    (void)state;
    arm("begin:20"); /* no executor of eight comes that far alone */
    assert_int_equal(executors(8, TBI_FAULT_BEGIN, 3, SIGKILL), 1);
    assert_true(board->fired[TBI_FAULT_BEGIN] == 1);
    assert_in_range(board->passed[TBI_FAULT_BEGIN], 22, 24); /* the dead one's last are missing */
    arm("begin:3+");
    assert_int_equal(executors(8, TBI_FAULT_BEGIN, 1, SIGKILL), 2);
}

static void an_allocation_that_fails_ends_an_executor(void **state)
{
    (void)state;
    arm("alloc:20");
    assert_int_equal(executors(8, TBI_FAULT_ALLOC, 3, SIGABRT), 1);
    assert_true(board->fired[TBI_FAULT_ALLOC] == 1);
}

/* ---- in words ---- */

static void the_report_names_what_was_planned(void **state)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);

    (void)state;
    arm("fork:2+,populate:0");
    passes(TBI_FAULT_FORK, 5);
    tbi_fault_report(3, f);
    tbi_fault_disarm();
    tbi_fault_report(3, f); /* says nothing */
    fclose(f);
    assert_string_equal(text, "thornback: rank 3: TB_FAULT fired fork 2 of 5, populate 0 of 0\n");
    free(text);
}

static void the_document_is_the_table(void **state)
{
    (void)state;
    assert_document("faults.md", tbi_fault_document);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_says_when_a_point_fires),
        cmocka_unit_test(a_wrong_plan_is_refused_in_words),
        cmocka_unit_test(nothing_fires_and_nothing_is_counted_unasked),
        cmocka_unit_test(a_point_fires_at_its_number_at_each_multiple_or_never),
        cmocka_unit_test(chance_is_fair_and_repeats_with_its_seed),
        cmocka_unit_test(delays_stay_within_what_was_asked),
        cmocka_unit_test(silence_counts_and_lets_nothing_fire),
        cmocka_unit_test(a_driver_or_rank_is_never_killed),
        cmocka_unit_test(passings_are_counted_over_all_processes),
        cmocka_unit_test(an_allocation_that_fails_ends_an_executor),
        cmocka_unit_test(the_report_names_what_was_planned),
        cmocka_unit_test(the_document_is_the_table),
    };

    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        tbi_fault_document(stdout);
        return 0;
    }
#define LIST(point, name, effect, what) puts(#name);
    if (argc > 1 && strcmp(argv[1], "--points") == 0) {
        TBI_FAULTS(LIST)
        return 0;
    }
    return cmocka_run_group_tests(tests, begin, end);
}
