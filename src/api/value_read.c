/* value_read.c - reading values as the type the reader asks for. */
#include "api/errors.h"
#include "api/value.h"
#include "util/plural.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Any number: exactly one of the three is meant. */
struct number {
    enum { SIGNED, UNSIGNED, FLOATING } kind;
    int64_t i;
    uint64_t u;
    double d;
};

static bool is_complex(tb_type t)
{
    return t == TB_COMPLEX_FLOAT || t == TB_COMPLEX_DOUBLE;
}
static bool is_real(tb_type t)
{
    return t >= TB_BOOL && t <= TB_DOUBLE;
}

#define LOAD(ctype, field, which)                                                                  \
    {                                                                                              \
        ctype x;                                                                                   \
        memcpy(&x, from, sizeof x);                                                                \
        n.kind = which;                                                                            \
        n.field = x;                                                                               \
        break;                                                                                     \
    }

static struct number load(tb_type type, const void *from)
{
    struct number n = {0};

    switch (type) {
    case TB_BOOL:
        n.kind = UNSIGNED; /* by way of a byte: what lies there need not be 0 or 1 */
        n.u = *(const uint8_t *)from != 0;
        break;
    case TB_CHAR: LOAD(char, i, SIGNED)
    case TB_INT8: LOAD(int8_t, i, SIGNED)
    case TB_INT16: LOAD(int16_t, i, SIGNED)
    case TB_INT32: LOAD(int32_t, i, SIGNED)
    case TB_INT64: LOAD(int64_t, i, SIGNED)
    case TB_UINT8: LOAD(uint8_t, u, UNSIGNED)
    case TB_UINT16: LOAD(uint16_t, u, UNSIGNED)
    case TB_UINT32: LOAD(uint32_t, u, UNSIGNED)
    case TB_UINT64: LOAD(uint64_t, u, UNSIGNED)
    case TB_FLOAT: LOAD(float, d, FLOATING)
    default: LOAD(double, d, FLOATING)
    }
    return n;
}

/* Stores n as an integer type if it holds it. */
#define STORE(ctype, min, max)                                                                     \
    {                                                                                              \
        ctype x;                                                                                   \
        if (n.kind == SIGNED ? n.i < (int64_t)(min) || (n.i > 0 && (uint64_t)n.i > (max))          \
                             : n.u > (max))                                                        \
            return false;                                                                          \
        x = n.kind == SIGNED ? (ctype)n.i : (ctype)n.u;                                            \
        memcpy(to, &x, sizeof x);                                                                  \
        return true;                                                                               \
    }

static bool store_integer(struct number n, tb_type type, void *to)
{
    if (n.kind == FLOATING)
        return false;
    switch (type) {
    case TB_BOOL: STORE(uint8_t, 0, 1u)
    case TB_CHAR: STORE(char, (char)-1 < 0 ? -128 : 0, (char)-1 < 0 ? 127u : 255u)
    case TB_INT8: STORE(int8_t, INT8_MIN, 127u)
    case TB_INT16: STORE(int16_t, INT16_MIN, 32767u)
    case TB_INT32: STORE(int32_t, INT32_MIN, (uint64_t)INT32_MAX)
    case TB_INT64: STORE(int64_t, INT64_MIN, (uint64_t)INT64_MAX)
    case TB_UINT8: STORE(uint8_t, 0, 255u)
    case TB_UINT16: STORE(uint16_t, 0, 65535u)
    case TB_UINT32: STORE(uint32_t, 0, (uint64_t)UINT32_MAX)
    default: STORE(uint64_t, 0, UINT64_MAX)
    }
}

/* An integer is held by a floating type only if it comes back the same; a finite double must stay
 * finite as a float and may be rounded. */
static bool store_floating(struct number n, tb_type type, void *to)
{
    double d = n.kind == FLOATING ? n.d : n.kind == SIGNED ? (double)n.i : (double)n.u;
    float f;

    if (n.kind == FLOATING) {
        if (type == TB_FLOAT && isfinite(d) && fabs(d) > FLT_MAX)
            return false;
    } else {
        uint64_t size = n.kind == SIGNED && n.i < 0 ? -(uint64_t)n.i : n.u | (uint64_t)n.i;
        int digits = type == TB_FLOAT ? FLT_MANT_DIG : DBL_MANT_DIG;

        if (size != 0 && size >> __builtin_ctzll(size) >> digits != 0)
            return false;
    }
    if (type == TB_DOUBLE) {
        memcpy(to, &d, sizeof d);
    } else {
        f = (float)d;
        memcpy(to, &f, sizeof f);
    }
    return true;
}

static bool store_real(struct number n, tb_type type, void *to)
{
    return type == TB_FLOAT || type == TB_DOUBLE ? store_floating(n, type, to)
                                                 : store_integer(n, type, to);
}

static bool read_complex(const struct tbi_view *view, tb_type type, void *out)
{
    tb_type part = type == TB_COMPLEX_FLOAT ? TB_FLOAT : TB_DOUBLE;
    tb_type from = view->type == TB_COMPLEX_FLOAT ? TB_FLOAT : TB_DOUBLE;
    size_t width = part == TB_FLOAT ? 4 : 8;

    if (is_real(view->type)) /* the imaginary part stays 0 */
        return store_real(load(view->type, view->data), part, out);
    return is_complex(view->type) && store_real(load(from, view->data), part, out) &&
           store_real(load(from, (const uint8_t *)view->data + (from == TB_FLOAT ? 4 : 8)), part,
                      (uint8_t *)out + width);
}

static int mismatch(const struct tbi_view *view, const char *expected)
{
    return tbi_error_set(TB_ERR_TYPE, "expected %s, given %s%s", expected,
                         view->array ? "an array of " : "", tbi_type_name(view->type));
}

static int read_record(const struct tbi_view *view, void *out, size_t size)
{
    if (view->array || view->type != TB_RECORD)
        return mismatch(view, "struct");
    if (view->elem != size)
        return tbi_error_set(TB_ERR_TYPE, "expected a struct of %zu byte%s, given one of %llu", size, tbi_s(size),
                             (unsigned long long)view->elem);
    memcpy(out, view->data, size);
    return 0;
}

int tbi_value_read(const struct tbi_view *view, tb_type type, void *out, size_t size)
{
    bool fits;

    memset(out, 0, size);
    if (type == TB_RECORD)
        return read_record(view, out, size);
    if (view->array)
        return mismatch(view, tbi_type_name(type));
    if (is_complex(type)) {
        fits = read_complex(view, type, out);
    } else if (is_real(type) && is_real(view->type)) {
        fits = store_real(load(view->type, view->data), type, out);
    } else if (tbi_type_is_handle(type) && view->type == type) {
        memcpy(out, view->data, sizeof(tb_ref));
        fits = true;
    } else {
        return mismatch(view, tbi_type_name(type));
    }
    if (fits)
        return 0;
    memset(out, 0, size);
    if (is_real(view->type) && load(view->type, view->data).kind != FLOATING) {
        struct number n = load(view->type, view->data);

        return n.kind == SIGNED
                   ? tbi_error_set(TB_ERR_TYPE, "expected %s, given %s %lld, which it cannot hold",
                                   tbi_type_name(type), tbi_type_name(view->type), (long long)n.i)
                   : tbi_error_set(TB_ERR_TYPE, "expected %s, given %s %llu, which it cannot hold",
                                   tbi_type_name(type), tbi_type_name(view->type),
                                   (unsigned long long)n.u);
    }
    return mismatch(view, tbi_type_name(type));
}

int tbi_value_read_array(const struct tbi_view *view, tb_type type, uint64_t elem,
                         const void **data, size_t *n)
{
    *data = NULL;
    *n = 0;
    if (!view->array || view->type != type)
        return tbi_error_set(TB_ERR_TYPE, "expected an array of %s, given %s%s",
                             tbi_type_name(type), view->array ? "an array of " : "",
                             tbi_type_name(view->type));
    if (view->elem != elem)
        return tbi_error_set(TB_ERR_TYPE, "expected structs of %llu byte%s, given structs of %llu",
                             (unsigned long long)elem, tbi_s(elem), (unsigned long long)view->elem);
    *data = view->data;
    *n = (size_t)view->count;
    return 0;
}

int tbi_value_read_string(const struct tbi_view *view, const char **text)
{
    *text = NULL;
    if (view->type != TB_STRING || view->array)
        return mismatch(view, "string");
    if (view->count == 0 || ((const char *)view->data)[view->count - 1] != 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "a string has no end");
    *text = view->data;
    return 0;
}

const tb_ref *tbi_value_refs(const struct tbi_view *view, size_t *n)
{
    *n = tbi_type_is_handle(view->type) ? (size_t)view->count : 0;
    return *n > 0 ? view->data : NULL;
}
