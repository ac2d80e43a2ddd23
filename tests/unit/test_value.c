/* test_value.c - holds api/value: whatever C type goes in comes out as the types that hold it and as
 * no other; arrays keep type, shape and alignment; a damaged blob is refused. */
#include "unit.h"
#include "api/errors.h"
#include "api/value.h"
#include "util/id.h"

#include <complex.h>

static _Alignas(64) uint8_t blob[4096];

static struct tbi_view packed(tb_value v)
{
    struct tbi_view view;
    size_t size;

    assert_int_equal(tbi_value_check(&v), 0);
    size = tbi_value_packed_size(&v);
    assert_true(size <= sizeof blob);
    memset(blob, 0xee, sizeof blob);
    tbi_value_pack(&v, blob);
    assert_int_equal(blob[size], 0xee);
    assert_int_equal(tbi_value_open(blob, size, &view), 0);
    return view;
}

#define READ(value, tbtype, ctype, expected)                                                       \
    do {                                                                                           \
        struct tbi_view view_ = packed(tb_value_of(value));                                        \
        ctype got_;                                                                                \
        assert_int_equal(tbi_value_read(&view_, tbtype, &got_, sizeof got_), 0);                   \
        assert_true(got_ == (expected));                                                           \
    } while (0)
#define REFUSE(value, tbtype, ctype, text)                                                         \
    do {                                                                                           \
        struct tbi_view view_ = packed(tb_value_of(value));                                        \
        ctype got_, zero_;                                                                         \
        memset(&zero_, 0, sizeof zero_);                                                           \
        memset(&got_, 1, sizeof got_);                                                             \
        assert_int_equal(tbi_value_read(&view_, tbtype, &got_, sizeof got_), TB_ERR_TYPE);         \
        assert_memory_equal(&got_, &zero_, sizeof got_);                                           \
        assert_string_equal(tb_last_error(), text);                                                \
    } while (0)

static void every_c_type_comes_back_as_itself(void **state)
{
    (void)state;
    READ((bool)1, TB_BOOL, bool, 1);
    READ((char)'x', TB_CHAR, char, 'x');
    READ((signed char)-128, TB_INT8, int8_t, -128);
    READ((short)-32768, TB_INT16, short, -32768);
    READ(-2147483647 - 1, TB_INT32, int, -2147483647 - 1);
    READ(-9000000000000000000L, TB_INT64, long, -9000000000000000000L);
    READ(-9000000000000000000LL, TB_INT64, long long, -9000000000000000000LL);
    READ((unsigned char)255, TB_UINT8, uint8_t, 255);
    READ((unsigned short)65535, TB_UINT16, uint16_t, 65535);
    READ(4294967295u, TB_UINT32, unsigned, 4294967295u);
    READ(18446744073709551615uL, TB_UINT64, unsigned long, UINT64_MAX);
    READ(1.5f, TB_FLOAT, float, 1.5f);
    READ(0.1, TB_DOUBLE, double, 0.1);
    READ((float _Complex)(1.5f + 2 * I), TB_COMPLEX_FLOAT, float _Complex, 1.5f + 2 * I);
    READ(1.5 - 2 * I, TB_COMPLEX_DOUBLE, double _Complex, 1.5 - 2 * I);
}

static void a_number_is_read_as_any_type_that_holds_it(void **state)
{
    (void)state;
    READ(7, TB_INT64, long long, 7);
    READ(7L, TB_INT8, int8_t, 7);
    READ(200, TB_UINT8, uint8_t, 200);
    READ(1, TB_BOOL, bool, 1);
    READ(16777216, TB_FLOAT, float, 16777216.0f);
    READ(UINT64_C(1) << 63, TB_DOUBLE, double, 9223372036854775808.0);
    READ(INT64_MIN, TB_DOUBLE, double, -9223372036854775808.0);
    READ(0.1, TB_FLOAT, float, 0.1f);
    READ(3, TB_COMPLEX_DOUBLE, double _Complex, 3);
    READ((float _Complex)(1.5f + 2 * I), TB_COMPLEX_DOUBLE, double _Complex, 1.5 + 2 * I);
}

static void a_number_that_does_not_fit_is_an_error_that_names_it(void **state)
{
    (void)state;
    REFUSE(300, TB_INT8, int8_t, "expected int8, given int32 300, which it cannot hold");
    REFUSE(-1, TB_UINT64, uint64_t, "expected uint64, given int32 -1, which it cannot hold");
    REFUSE(2, TB_BOOL, bool, "expected bool, given int32 2, which it cannot hold");
    REFUSE(UINT64_MAX, TB_INT64, int64_t,
           "expected int64, given uint64 18446744073709551615, which it cannot hold");
    REFUSE(16777217, TB_FLOAT, float, "expected float, given int32 16777217, which it cannot hold");
    REFUSE(1.0, TB_INT32, int, "expected int32, given double");
    REFUSE(1e300, TB_FLOAT, float, "expected float, given double");
    REFUSE(1.0 + I, TB_DOUBLE, double, "expected double, given complex double");
    REFUSE("1", TB_INT32, int, "expected int32, given string");
}

static void strings_and_refs_and_structs_travel(void **state)
{
    struct { int a; double b; } s = {1, 2.5}, t;
    tb_ref ref = {0x123456789abcdef0, 42}, got;
    char buf[6] = "hello", small;
    struct tbi_view view;
    const char *text;
    size_t n;

    (void)state;
    view = packed(tb_value_of(buf)); /* an array of char decays to a string */
    assert_int_equal(tbi_value_read_string(&view, &text), 0);
    assert_string_equal(text, "hello");
    view = packed(tb_value_of(""));
    assert_int_equal(tbi_value_read_string(&view, &text), 0);
    assert_string_equal(text, "");
    view = packed(tb_value_of(tb_nested(ref)));
    assert_int_equal(tbi_value_read(&view, TB_REF, &got, sizeof got), 0);
    assert_true(tb_ref_equal(got, ref));
    assert_true(tb_ref_equal(*tbi_value_refs(&view, &n), ref));
    assert_int_equal(n, 1);
    view = packed(tb_struct(s));
    assert_int_equal(tbi_value_read(&view, TB_RECORD, &t, sizeof t), 0);
    assert_true(t.a == 1 && t.b == 2.5);
    assert_int_equal(tbi_value_read(&view, TB_RECORD, &small, 1), TB_ERR_TYPE);
    assert_string_equal(tb_last_error(), "expected a struct of 1 byte, given one of 16");
    assert_null(tbi_value_refs(&view, &n));
}

static void actors_travel_and_are_counted_but_are_no_refs(void **state)
{
    tb_actor a = {0x123456789abcdef0, 42 << 16}, pair[2] = {a, {1, 2}}, got;
    tb_value v = tb_value_of(a);
    struct tbi_view view;
    const void *data;
    const tb_ref *ids;
    size_t n;

    (void)state;
    view = packed(v);
    assert_int_equal(tbi_value_read(&view, TB_ACTOR_HANDLE, &got, sizeof got), 0);
    assert_true(tb_actor_equal(got, a) && !tb_actor_is_null(got));
    ids = tbi_value_refs(&view, &n);
    assert_true(n == 1 && ids->hi == a.hi && ids->lo == a.lo);
    assert_int_equal(tbi_value_read(&view, TB_REF, &got, sizeof got), TB_ERR_TYPE);
    assert_string_equal(tb_last_error(), "expected ref, given actor");
    assert_true(tb_actor_is_null(got));
    view = packed(tb_nested((tb_ref){a.hi, a.lo}));
    assert_int_equal(tbi_value_read(&view, TB_ACTOR_HANDLE, &got, sizeof got), TB_ERR_TYPE);
    view = packed(tb_array(pair, 2));
    assert_int_equal(tbi_value_read_array(&view, TB_ACTOR_HANDLE, sizeof a, &data, &n), 0);
    assert_int_equal(n, 2);
    assert_memory_equal(data, pair, sizeof pair);
    assert_ptr_equal(tbi_value_refs(&view, &n), data);
    assert_int_equal(n, 2);
}

static void arrays_keep_type_shape_and_alignment(void **state)
{
    double grid[6] = {1, 2, 3, 4, 5, 6};
    uint64_t shape[7] = {2, 3, 1, 1, 1, 1, 1};
    const void *data;
    struct tbi_view view;
    size_t n;

    (void)state;
    for (int ndim = 0; ndim <= 7; ndim++) {
        if (ndim == 1)
            continue; /* 2 is not 6 */
        view = packed(tb_array_as(TB_DOUBLE, grid, 6, ndim, ndim ? shape : NULL));
        assert_int_equal(tbi_value_read_array(&view, TB_DOUBLE, 8, &data, &n), 0);
        assert_int_equal(n, 6);
        assert_int_equal((uintptr_t)data % 64, 0);
        assert_memory_equal(data, grid, sizeof grid);
        assert_int_equal(view.ndim, ndim);
        if (ndim > 0)
            assert_memory_equal(view.shape, shape, (size_t)ndim * 8);
    }
    assert_int_equal(tbi_value_read_array(&view, TB_FLOAT, 4, &data, &n), TB_ERR_TYPE);
    assert_string_equal(tb_last_error(), "expected an array of float, given an array of double");
    assert_null(data);
    view = packed(tb_array((double *)NULL, 0)); /* an empty one is an array too */
    assert_int_equal(tbi_value_read_array(&view, TB_DOUBLE, 8, &data, &n), 0);
    assert_int_equal(n, 0);
    view = packed(tb_records((struct { char c[3]; } *)"abcdef", 2));
    assert_int_equal(tbi_value_read_array(&view, TB_RECORD, 3, &data, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(tbi_value_read_array(&view, TB_RECORD, 4, &data, &n), TB_ERR_TYPE);
}

#define BAD(value, part)                                                                           \
    do {                                                                                           \
        tb_value v_ = value;                                                                       \
        assert_int_equal(tbi_value_check(&v_), TB_ERR_ARGUMENT);                                   \
        assert_non_null(strstr(tb_last_error(), part));                                            \
    } while (0)

static void what_cannot_travel_is_refused_by_name(void **state)
{
    uint64_t shape[2] = {3, 5}, huge[2] = {UINT64_MAX, 2};

    (void)state;
    BAD(tb_value_of((char *)NULL), "a string is NULL");
    BAD(tb_array((int *)NULL, 3), "an array of 3 elements is at NULL");
    BAD(tb_array_as(TB_DOUBLE, shape, 14, 2, shape), "has 14 elements, its shape 15");
    BAD(tb_array_as(TB_DOUBLE, shape, 14, 2, huge), "too many elements");
    BAD(tb_array_as(TB_DOUBLE, shape, 2, 8, shape), "8 dimensions");
    BAD(tb_array_as(TB_DOUBLE, shape, 2, 1, NULL), "no shape");
    BAD(tb_array_as((tb_type)99, shape, 2, 0, NULL), "type 99");
    BAD(tb_array_as(TB_RECORD, shape, 2, 0, NULL), "0 bytes");
    BAD(tb_array_as(TB_STRING, shape, 2, 0, NULL), "array of strings");
    BAD(tb_array(shape, SIZE_MAX), "more than any store");
}

static void a_damaged_blob_is_refused_and_not_read_beyond_its_end(void **state)
{
    uint64_t seed = 11;
    uint32_t numbers[10] = {0};
    uint64_t shape[2] = {2, 5};
    int refused = 0;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        tb_value v = round % 2 ? tb_array_as(TB_UINT32, numbers, 10, 2, shape)
                               : tb_value_of("some text");
        size_t size = tbi_value_packed_size(&v), cut = unit_random(&seed) % (size + 1);
        uint8_t *copy = aligned_alloc(64, 192), *tight;
        struct tbi_view view;
        const char *text;
        const void *data;
        size_t n;

        tbi_value_pack(&v, copy);
        copy[unit_random(&seed) % 34] ^= (uint8_t)(1u << unit_random(&seed) % 8);
        tight = malloc(cut + (cut == 0)); /* the sanitizer sees what lies behind */
        memcpy(tight, copy, cut);
        if (tbi_value_open(tight, cut, &view) == 0) {
            tbi_value_read_string(&view, &text);
            tbi_value_read_array(&view, TB_UINT32, 4, &data, &n);
            tbi_value_read(&view, TB_INT64, &n, sizeof n);
        } else {
            refused++;
        }
        free(tight);
        free(copy);
    }
    assert_true(refused > 1000);
}

static void codes_have_texts_and_refs_can_be_printed(void **state)
{
    char text[64], tiny[4];

    (void)state;
    assert_string_equal(tb_strerror(0), "success");
    assert_string_equal(tb_strerror(TB_ERR_TIMEOUT), "timed out");
    assert_string_equal(tb_strerror(5), "unknown error");
    for (int code = -1; code >= TB_ERR_LAST_; code--)
        assert_string_not_equal(tb_strerror(code), "unknown error");
    assert_string_equal(tb_ref_text((tb_ref){(UINT64_C(7) << TBI_ID_JOB_AT) | (3 << TBI_ID_PROC_AT), 9 << 16 | 2}, text,
                                    sizeof text), "7:0.3:9.2");
    assert_string_equal(tb_ref_text((tb_ref){0, 0}, tiny, sizeof tiny), "0:0");
    assert_true(tb_ref_is_null((tb_ref){0, 0}));
    assert_string_equal(tb_actor_text((tb_actor){(UINT64_C(7) << TBI_ID_JOB_AT) | (3 << TBI_ID_PROC_AT), 9 << 16}, text,
                                      sizeof text), "7:0.3:9.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_c_type_comes_back_as_itself),
        cmocka_unit_test(a_number_is_read_as_any_type_that_holds_it),
        cmocka_unit_test(a_number_that_does_not_fit_is_an_error_that_names_it),
        cmocka_unit_test(strings_and_refs_and_structs_travel),
        cmocka_unit_test(actors_travel_and_are_counted_but_are_no_refs),
        cmocka_unit_test(arrays_keep_type_shape_and_alignment),
        cmocka_unit_test(what_cannot_travel_is_refused_by_name),
        cmocka_unit_test(a_damaged_blob_is_refused_and_not_read_beyond_its_end),
        cmocka_unit_test(codes_have_texts_and_refs_can_be_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
