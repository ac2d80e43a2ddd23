/* value.c - makers of values, and their packed form. Reading is in value_read.c. */
#include "api/value.h"
#include "api/errors.h"
#include "util/plural.h"

#include <complex.h>
#include <string.h>

/* Room a value may take: what the directory can count and no arithmetic below can wrap. */
#define BYTES_MAX (UINT64_C(1) << 48)

static uint64_t bytes_of(tb_type type)
{
#define BYTES(name, bytes, text) [name] = bytes,
    static const uint64_t bytes[TB_TYPE_COUNT_] = {TB_TYPES(BYTES)};
#undef BYTES
    return type > TB_NO_TYPE && type < TB_TYPE_COUNT_ ? bytes[type] : 0;
}

static tb_value single(tb_type type)
{
    return (tb_value){.type = type, .count = 1, .elem = bytes_of(type)};
}

tb_value tb_value_bool_(bool x)
{
    tb_value v = single(TB_BOOL);

    v.as.u = x;
    return v;
}

tb_value tb_value_char_(char x)
{
    tb_value v = single(TB_CHAR);

    v.as.i = x;
    return v;
}

tb_value tb_value_int_(long long x, tb_type type)
{
    tb_value v = single(type);

    v.as.i = x;
    return v;
}

tb_value tb_value_uint_(unsigned long long x, tb_type type)
{
    tb_value v = single(type);

    v.as.u = x;
    return v;
}

tb_value tb_value_float_(float x)
{
    tb_value v = single(TB_FLOAT);

    v.as.f = x;
    return v;
}

tb_value tb_value_double_(double x)
{
    tb_value v = single(TB_DOUBLE);

    v.as.d = x;
    return v;
}

tb_value tb_value_complex_float_(float _Complex x)
{
    tb_value v = single(TB_COMPLEX_FLOAT);

    v.as.cf[0] = crealf(x);
    v.as.cf[1] = cimagf(x);
    return v;
}

tb_value tb_value_complex_double_(double _Complex x)
{
    tb_value v = single(TB_COMPLEX_DOUBLE);

    v.as.cd[0] = creal(x);
    v.as.cd[1] = cimag(x);
    return v;
}

tb_value tb_value_string_(const char *x)
{
    tb_value v = single(TB_STRING);

    v.ptr = x;
    v.count = x == NULL ? 0 : strlen(x) + 1;
    return v;
}

tb_value tb_value_ref_(tb_ref x)
{
    tb_value v = single(TB_REF);

    v.as.ref = x;
    return v;
}

tb_value tb_value_actor_(tb_actor x)
{
    tb_value v = single(TB_ACTOR_HANDLE);

    v.as.ref = (tb_ref){x.hi, x.lo};
    return v;
}

tb_value tb_nested(tb_ref ref)
{
    tb_value v = tb_value_ref_(ref);

    v.flags = TB_VALUE_NESTED;
    return v;
}

tb_value tb_bytes(const void *ptr, size_t n)
{
    return (tb_value){.type = TB_BYTES, .flags = TB_VALUE_ARRAY, .count = n, .elem = 1, .ptr = ptr};
}

tb_value tb_array_as(tb_type type, const void *ptr, size_t n, int ndim, const uint64_t *shape)
{
    return (tb_value){.type = type, .flags = TB_VALUE_ARRAY, .count = n, .elem = bytes_of(type),
                      .ptr = ptr, .ndim = ndim, .shape = shape};
}

tb_value tb_record_array_(const void *ptr, size_t n, size_t elem)
{
    return (tb_value){.type = TB_RECORD, .flags = TB_VALUE_ARRAY, .count = n, .elem = elem,
                      .ptr = ptr};
}

tb_value tb_record_(const void *ptr, size_t elem)
{
    return (tb_value){.type = TB_RECORD, .count = 1, .elem = elem, .ptr = ptr};
}

static int check_shape(const tb_value *v)
{
    uint64_t product = 1;

    if (v->ndim < 0 || v->ndim > TB_MAX_DIMS || (v->ndim > 0 && v->shape == NULL))
        return tbi_error_set(TB_ERR_ARGUMENT, "an array has %d dimensions%s: give 1 to %d, or 0 and "
                             "no shape", v->ndim, v->shape == NULL ? " and no shape" : "",
                             TB_MAX_DIMS);
    for (int i = 0; i < v->ndim; i++) {
        if (v->shape[i] != 0 && product > BYTES_MAX / v->shape[i])
            return tbi_error_set(TB_ERR_ARGUMENT, "an array's shape has too many elements");
        product *= v->shape[i];
    }
    if (v->ndim > 0 && product != v->count)
        return tbi_error_set(TB_ERR_ARGUMENT, "an array has %llu element%s, its shape %llu",
                             (unsigned long long)v->count, tbi_s(v->count), (unsigned long long)product);
    return 0;
}

int tbi_value_check(const tb_value *v)
{
    bool pointed = v->flags & TB_VALUE_ARRAY || v->type == TB_STRING || v->type == TB_RECORD;

    if (v->type <= TB_NO_TYPE || v->type >= TB_TYPE_COUNT_)
        return tbi_error_set(TB_ERR_ARGUMENT, "a value has type %d, which is none", (int)v->type);
    if (v->type == TB_STRING && v->ptr == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "a string is NULL");
    if (v->type == TB_STRING && v->flags & TB_VALUE_ARRAY)
        return tbi_error_set(TB_ERR_ARGUMENT, "an array of strings cannot travel as one "
                             "value: pass each, or one string with separators");
    if (v->type == TB_RECORD && (v->elem == 0 || v->elem > UINT32_MAX))
        return tbi_error_set(TB_ERR_ARGUMENT, "a struct has %llu bytes: 1 to 4294967295 can travel",
                             (unsigned long long)v->elem);
    if (v->elem != 0 && v->count > BYTES_MAX / v->elem)
        return tbi_error_set(TB_ERR_ARGUMENT, "%llu elements of %llu bytes are more than any store "
                             "holds", (unsigned long long)v->count, (unsigned long long)v->elem);
    if (pointed && v->ptr == NULL && v->count > 0)
        return tbi_error_set(TB_ERR_ARGUMENT, "an array of %llu element%s is at NULL",
                             (unsigned long long)v->count, tbi_s(v->count));
    return check_shape(v);
}

static size_t data_at(bool array, int ndim)
{
    size_t head = TBI_VALUE_HEAD + (size_t)ndim * sizeof(uint64_t);

    return array ? (head + TBI_VALUE_ALIGN - 1) / TBI_VALUE_ALIGN * TBI_VALUE_ALIGN : head;
}

size_t tbi_value_packed_size(const tb_value *v)
{
    return data_at(v->flags & TB_VALUE_ARRAY, v->ndim) + (size_t)(v->count * v->elem);
}

struct head {
    uint8_t type, ndim;
    uint16_t flags;
    uint32_t elem;
    uint64_t count;
};
_Static_assert(sizeof(struct head) == TBI_VALUE_HEAD, "the drawing in value.h");

/* A single number's bytes, in the width of its type (little and big endian alike). */
static void pack_single(const tb_value *v, void *to)
{
    int8_t i8 = (int8_t)v->as.i;
    int16_t i16 = (int16_t)v->as.i;
    int32_t i32 = (int32_t)v->as.i;

    switch (v->elem) {
    case 1:
        memcpy(to, &i8, 1);
        break;
    case 2:
        memcpy(to, &i16, 2);
        break;
    case 4:
        if (v->type == TB_FLOAT)
            memcpy(to, &v->as.f, 4);
        else
            memcpy(to, &i32, 4);
        break;
    default:
        memcpy(to, &v->as, (size_t)v->elem);
    }
}

void tbi_value_pack_head(const tb_value *v, void *to)
{
    struct head head = {(uint8_t)v->type, (uint8_t)v->ndim, (uint16_t)v->flags, (uint32_t)v->elem,
                        v->count};
    size_t shape = (size_t)v->ndim * sizeof(uint64_t);
    uint8_t *bytes = to;

    memset(bytes, 0, data_at(v->flags & TB_VALUE_ARRAY, v->ndim));
    memcpy(bytes, &head, sizeof head);
    if (shape > 0)
        memcpy(bytes + TBI_VALUE_HEAD, v->shape, shape);
}

void tbi_value_pack(const tb_value *v, void *to)
{
    bool array = v->flags & TB_VALUE_ARRAY;
    size_t at = data_at(array, v->ndim);
    uint8_t *bytes = to;

    tbi_value_pack_head(v, to);
    if (!array && v->type != TB_STRING && v->type != TB_RECORD)
        pack_single(v, bytes + at);
    else if (v->count > 0)
        memcpy(bytes + at, v->ptr, (size_t)(v->count * v->elem));
}

int tbi_value_open(const void *packed, size_t bytes, struct tbi_view *view)
{
    struct head head;
    uint64_t product = 1;
    size_t at;

    *view = (struct tbi_view){0};
    if (bytes < sizeof head)
        return tbi_error_set(TB_ERR_ARGUMENT, "a value of %zu bytes has no head", bytes);
    memcpy(&head, packed, sizeof head);
    at = data_at(head.flags & TB_VALUE_ARRAY, head.ndim);
    if (head.type <= TB_NO_TYPE || head.type >= TB_TYPE_COUNT_ || head.ndim > TB_MAX_DIMS ||
        (head.type != TB_RECORD && head.elem != bytes_of(head.type)) || head.elem == 0 ||
        (!(head.flags & TB_VALUE_ARRAY) && head.type != TB_STRING && head.count != 1) ||
        at > bytes || head.count > BYTES_MAX / head.elem || head.count * head.elem != bytes - at)
        return tbi_error_set(TB_ERR_ARGUMENT, "a value of %zu bytes is damaged", bytes);
    view->type = (tb_type)head.type;
    view->array = head.flags & TB_VALUE_ARRAY;
    view->ndim = head.ndim;
    view->elem = head.elem;
    view->count = head.count;
    view->shape = (const uint64_t *)((const uint8_t *)packed + TBI_VALUE_HEAD);
    view->data = (const uint8_t *)packed + at;
    for (int i = 0; i < view->ndim; i++) {
        if (view->shape[i] != 0 && product > BYTES_MAX / view->shape[i])
            return tbi_error_set(TB_ERR_ARGUMENT, "a value's shape is damaged");
        product *= view->shape[i];
    }
    if (view->ndim > 0 && product != view->count)
        return tbi_error_set(TB_ERR_ARGUMENT, "a value's shape is damaged");
    return 0;
}
