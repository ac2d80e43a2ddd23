#include "tools/held.h"

#include <math.h>

/* An object made in passing: its one count belongs to no scope. */
static tb_ref put_unscoped(tb_value value)
{
    tb_ref ref;

    tb_scope_begin();
    ref = tb_put_value_(value);
    tb_retain(ref);
    tb_scope_end();
    return ref;
}

tb_value tbi_held_copy(const tb_value *value)
{
    if (value->flags & TB_VALUE_ARRAY || value->type == TB_STRING || value->type == TB_RECORD)
        return tb_value_ref_(put_unscoped(*value));
    if (value->type == TB_REF)
        tb_retain(value->as.ref);
    else if (value->type == TB_ACTOR_HANDLE)
        tb_actor_retain((tb_actor){value->as.ref.hi, value->as.ref.lo});
    return *value;
}

void tbi_held_release(const tb_value *copy)
{
    if (copy->type == TB_REF)
        tb_release(copy->as.ref);
    else if (copy->type == TB_ACTOR_HANDLE)
        tb_actor_release((tb_actor){copy->as.ref.hi, copy->as.ref.lo});
}

tb_value tbi_held_element(const tb_value *array, size_t i)
{
    const void *at = (const char *)array->ptr + i * array->elem;

    switch (array->type) {
    case TB_BOOL: return tb_value_bool_(*(const bool *)at);
    case TB_CHAR: return tb_value_char_(*(const char *)at);
    case TB_INT8: return tb_value_int_(*(const int8_t *)at, TB_INT8);
    case TB_INT16: return tb_value_int_(*(const int16_t *)at, TB_INT16);
    case TB_INT32: return tb_value_int_(*(const int32_t *)at, TB_INT32);
    case TB_INT64: return tb_value_int_(*(const int64_t *)at, TB_INT64);
    case TB_UINT8: return tb_value_uint_(*(const uint8_t *)at, TB_UINT8);
    case TB_UINT16: return tb_value_uint_(*(const uint16_t *)at, TB_UINT16);
    case TB_UINT32: return tb_value_uint_(*(const uint32_t *)at, TB_UINT32);
    case TB_UINT64: return tb_value_uint_(*(const uint64_t *)at, TB_UINT64);
    case TB_FLOAT: return tb_value_float_(*(const float *)at);
    case TB_DOUBLE: return tb_value_double_(*(const double *)at);
    case TB_COMPLEX_FLOAT: return tb_value_complex_float_(*(const float _Complex *)at);
    case TB_COMPLEX_DOUBLE: return tb_value_complex_double_(*(const double _Complex *)at);
    case TB_REF: return tb_value_ref_(*(const tb_ref *)at);
    case TB_ACTOR_HANDLE: return tb_value_actor_(*(const tb_actor *)at);
    default: return tb_record_(at, array->elem);
    }
}

tb_ref tbi_held_pass(tb_ref ref)
{
    tb_scope_give(ref);
    return ref;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double tbi_deadline_after(double timeout)
{
    return timeout < 0 ? INFINITY : now() + timeout;
}

double tbi_timeout_until(double deadline)
{
    double left = isinf(deadline) ? -1 : deadline - now();

    return isinf(deadline) || left > 0 ? left : 0;
}
