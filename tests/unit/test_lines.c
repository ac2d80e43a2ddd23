/* test_lines.c - holds exec/lines: however the bytes come, they go on as the same whole lines in
 * the same order; lines that are too long, not ended, or marked with their function; and the
 * tail. */
#include "unit.h"
#include "exec/lines.h"

static char got[1 << 20];
static size_t bytes, calls;

static void collect(void *ctx, const char *lines, size_t n)
{
    (void)ctx;
    assert_true(n > 0 && n <= TBI_LINES_MAX && lines[n - 1] == '\n');
    assert_true(bytes + n < sizeof got);
    memcpy(got + bytes, lines, n);
    bytes += n;
    calls++;
}

static struct tbi_lines_sink sink;
static struct tbi_lines lines;
static const char *const functions[] = {"first", "second"};

static void begin(bool named)
{
    struct tbi_lines_source source = {named ? functions : NULL, 2, 3, 77};

    sink.emit = collect;
    bytes = calls = 0;
    tbi_lines_init(&lines, source, true);
}

static void give(const char *text)
{
    tbi_lines_take(&lines, text, strlen(text), &sink);
}

static void mark(uint32_t function)
{
    char m[TBI_MARK];

    tbi_mark_write(m, function);
    tbi_lines_take(&lines, m, sizeof m, &sink);
}

static void assert_got(const char *text)
{
    assert_int_equal(bytes, strlen(text));
    assert_memory_equal(got, text, bytes);
}

static void a_line_waits_for_its_rest(void **state)
{
    (void)state;
    begin(false);
    give("one\ntw");
    assert_got("one\n");
    give("");
    give("o\n\nthree");
    assert_got("one\ntwo\n\n");
    tbi_lines_end(&lines, &sink);
    assert_got("one\ntwo\n\nthree\n");
}

static void lines_that_come_together_go_on_together(void **state)
{
    (void)state;
    begin(false);
    give("one\ntwo\nthree\n");
    assert_int_equal(calls, 1);
    tbi_lines_end(&lines, &sink);
    assert_int_equal(calls, 1);
}

static void a_line_that_is_too_long_goes_on_in_parts(void **state)
{
    static char text[2 * TBI_LINE_MAX + 3], want[sizeof text + 2];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    begin(false);
    give(text);
    assert_int_equal(bytes, 2 * (TBI_LINE_MAX + 1));
    give("b\nc\n");
    memcpy(want, text, TBI_LINE_MAX);
    want[TBI_LINE_MAX] = '\n';
    memcpy(want + TBI_LINE_MAX + 1, want, TBI_LINE_MAX + 1);
    assert_memory_equal(got, want, 2 * (TBI_LINE_MAX + 1));
    assert_int_equal(bytes, 2 * (TBI_LINE_MAX + 1) + strlen("aab\nc\n"));
    assert_memory_equal(got + 2 * (TBI_LINE_MAX + 1), "aab\nc\n", 6);
    tbi_lines_end(&lines, &sink);

    begin(false);           /* the longest that stays whole */
    text[TBI_LINE_MAX] = 0;
    give(text);
    give("\n");
    assert_int_equal(bytes, TBI_LINE_MAX + 1);
    tbi_lines_end(&lines, &sink);
    assert_int_equal(bytes, TBI_LINE_MAX + 1);
}

static void a_mark_names_the_function_of_what_follows(void **state)
{
    (void)state;
    begin(true);
    give("hello\n");
    mark(1);
    give("a\nb\nc");
    mark(0);                /* ends the line that was left unfinished */
    give("d\n");
    mark(1);
    tbi_lines_end(&lines, &sink);
    assert_got("(executor rank=3 pid=77) hello\n"
               "(second rank=3 pid=77) a\n"
               "(second rank=3 pid=77) b\n"
               "(second rank=3 pid=77) c\n"
               "(first rank=3 pid=77) d\n");
}

static void what_only_looks_like_a_mark_is_text(void **state)
{
    char m[TBI_MARK + 1];

    (void)state;
    begin(true);
    tbi_mark_write(m, 2);   /* there is no such function */
    m[TBI_MARK] = 0;
    tbi_lines_take(&lines, m, TBI_MARK, &sink);
    tbi_lines_take(&lines, "\0tb\n\0", 5, &sink);
    tbi_lines_end(&lines, &sink);
    assert_int_equal(bytes, 3 * strlen("(executor rank=3 pid=77) ") + TBI_MARK + 5 + 1);

    begin(false);           /* and without prefixes all of them are */
    mark(0);
    assert_int_equal(bytes, TBI_MARK);
    tbi_lines_end(&lines, &sink);
}

/* Text with lines of all lengths and marks among them, in pieces of all sizes, against what
 * comes out of the same text in one piece, and that against what was put in. */
static void how_the_bytes_come_makes_no_difference(void **state)
{
    static char text[200000], whole[sizeof got], want[sizeof got];

    (void)state;
    for (uint64_t round = 1; round <= 200; round++) {
        uint64_t seed = round;
        size_t n = 0, wanted = 0, whole_bytes;
        bool named = round % 2;
        const char *prefix = named ? "(executor rank=3 pid=77) " : "";

        while (n < 60000) {
            size_t length = unit_random(&seed) % 20 == 0 ? unit_random(&seed) % TBI_LINE_MAX
                                                         : unit_random(&seed) % 80;

            if (named && unit_random(&seed) % 8 == 0) {
                uint32_t function = unit_random(&seed) % 2;

                tbi_mark_write(text + n, function);
                n += TBI_MARK;
                prefix = function == 0 ? "(first rank=3 pid=77) " : "(second rank=3 pid=77) ";
            }
            for (size_t i = 0; i < length; i++)
                text[n + i] = (char)(unit_random(&seed) % 50 == 0 ? 0 : 'a' + i % 26);
            text[n + length] = '\n';
            wanted += (size_t)sprintf(want + wanted, "%s", prefix);
            memcpy(want + wanted, text + n, length + 1);
            wanted += length + 1;
            n += length + 1;
        }
        begin(named);
        tbi_lines_take(&lines, text, n, &sink);
        tbi_lines_end(&lines, &sink);
        assert_int_equal(bytes, wanted);
        assert_memory_equal(got, want, wanted);
        memcpy(whole, got, bytes);
        whole_bytes = bytes;
        begin(named);
        for (size_t at = 0, piece; at < n; at += piece) {
            piece = unit_random(&seed) % 3 ? unit_random(&seed) % 20 : unit_random(&seed) % 5000;
            if (piece > n - at)
                piece = n - at;
            tbi_lines_take(&lines, text + at, piece, &sink);
        }
        tbi_lines_end(&lines, &sink);
        assert_int_equal(bytes, whole_bytes);
        assert_memory_equal(got, whole, bytes);
    }
}

static void assert_tail(const char *text)
{
    char tail[TBI_TAIL];

    assert_int_equal(tbi_lines_tail(&lines, tail), strlen(text));
    assert_string_equal(tail, text);
}

static void the_tail_is_the_last_lines_without_prefixes(void **state)
{
    char want[500] = "", line[32];

    (void)state;
    begin(true);
    assert_tail("");
    mark(0);
    give("short\n\n");
    assert_tail("short");
    for (int i = 100; i < 400; i++) {
        snprintf(line, sizeof line, "line %d\n", i);
        give(line);
    }
    for (int i = 356; i < 400; i++)
        sprintf(want + strlen(want), "line %d%s", i, i < 399 ? "\n" : "");
    assert_tail(want);      /* 399 bytes are 44 lines and the end of one more, which is left out */
    give("unfinished");
    assert_tail(want);
    tbi_lines_end(&lines, &sink);
    memmove(want, want + strlen("line 356\n"), strlen(want) - strlen("line 356\n") + 1);
    assert_tail(strcat(want, "\nunfinished"));
    tbi_lines_forget_tail(&lines);
    assert_tail("");
}

static void the_tail_of_a_long_line_is_its_end(void **state)
{
    static char text[5000], want[TBI_TAIL];

    (void)state;
    begin(false);
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + i % 26);
    text[sizeof text - 2] = 0;
    tbi_lines_take(&lines, text, sizeof text - 1, &sink);
    tbi_lines_end(&lines, &sink);
    memcpy(want, text + sizeof text - 1 - (TBI_TAIL - 2), TBI_TAIL - 2);
    want[TBI_TAIL - 3] = '?'; /* what would end it too early */
    assert_tail(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_waits_for_its_rest),
        cmocka_unit_test(lines_that_come_together_go_on_together),
        cmocka_unit_test(a_line_that_is_too_long_goes_on_in_parts),
        cmocka_unit_test(a_mark_names_the_function_of_what_follows),
        cmocka_unit_test(what_only_looks_like_a_mark_is_text),
        cmocka_unit_test(how_the_bytes_come_makes_no_difference),
        cmocka_unit_test(the_tail_is_the_last_lines_without_prefixes),
        cmocka_unit_test(the_tail_of_a_long_line_is_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
