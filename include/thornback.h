/* thornback.h - the public C API of Thornback: so far handles, errors, values and registration.
 *
 * C11; from C++ only the plain functions and types. Every function here may be called from any
 * thread at any time and never blocks, unless its comment says otherwise. */
#ifndef THORNBACK_H
#define THORNBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TB_API __attribute__((visibility("default")))

/* ---- errors ---- */

/*    name              code  text */
#define TB_ERRORS(X)                                                                               \
    X(TB_ERR_TASK,              -1,  "the task failed")                                            \
    X(TB_ERR_CRASHED,           -2,  "the process that ran the task died")                         \
    X(TB_ERR_CANCELLED,         -3,  "cancelled")                                                  \
    X(TB_ERR_TIMEOUT,           -4,  "timed out")                                                  \
    X(TB_ERR_ACTOR_DIED,        -5,  "the actor is dead")                                          \
    X(TB_ERR_ACTOR_UNAVAILABLE, -6,  "the actor is not available at the moment")                   \
    X(TB_ERR_OBJECT_LOST,       -7,  "the object is lost")                                         \
    X(TB_ERR_STORE_FULL,        -8,  "the object store is full")                                   \
    X(TB_ERR_OUT_OF_MEMORY,     -9,  "out of memory")                                              \
    X(TB_ERR_INFEASIBLE,        -10, "no node can ever meet the demand")                           \
    X(TB_ERR_TYPE,              -11, "the value has another type")                                 \
    X(TB_ERR_ARGUMENT,          -12, "an argument is not valid")                                   \
    X(TB_ERR_NODE_DIED,         -13, "the node died")                                              \
    X(TB_ERR_REF,               -14, "the reference is freed or not of this job")                  \
    X(TB_ERR_STATE,             -15, "not possible before tb_init or after tb_finalize")           \
    X(TB_ERR_UNREGISTERED,      -16, "the function is not registered")                             \
    X(TB_ERR_UNSUPPORTED,       -17, "not supported")

#define TB_ERROR_ENUM_(name, code, text) name = code,
enum { TB_ERRORS(TB_ERROR_ENUM_) TB_ERR_LAST_ = -17 };
#undef TB_ERROR_ENUM_

/* The fixed text of a code.
 * Returns: never NULL; "success" for 0, "unknown error" for a number that is no code.
 * Owns:    static. */
TB_API const char *tb_strerror(int code);

/* What went wrong in this thread's last call that failed: names the thing, the value, the remedy.
 * Returns: never NULL; "" if nothing failed yet.
 * Owns:    the library, until this thread's next failure.
 * Threads: each has its own. */
TB_API const char *tb_last_error(void);

/* ---- handles ---- */

/* A reference to an object of the job, possibly one that does not exist yet: a plain value, valid
 * on every rank. All zero is the null reference. */
typedef struct tb_ref {
    uint64_t hi, lo;
} tb_ref;

/* Do both name the same object? Returns: 1 or 0. Two null references are equal. */
TB_API int tb_ref_equal(tb_ref a, tb_ref b);
TB_API int tb_ref_is_null(tb_ref ref);

/* Writes the reference as text, for logs: "job:rank.process:number.index".
 * Shapes:  text[size]; cut to fit and always ended when size > 0; 64 is enough.
 * Returns: text. */
TB_API char *tb_ref_text(tb_ref ref, char *text, size_t size);

/* ---- types and values ---- */

/*    name               bytes  in words */
#define TB_TYPES(X)                                                                                \
    X(TB_BOOL,           1,  "bool")                                                               \
    X(TB_CHAR,           1,  "char")                                                               \
    X(TB_INT8,           1,  "int8")                                                               \
    X(TB_INT16,          2,  "int16")                                                              \
    X(TB_INT32,          4,  "int32")                                                              \
    X(TB_INT64,          8,  "int64")                                                              \
    X(TB_UINT8,          1,  "uint8")                                                              \
    X(TB_UINT16,         2,  "uint16")                                                             \
    X(TB_UINT32,         4,  "uint32")                                                             \
    X(TB_UINT64,         8,  "uint64")                                                             \
    X(TB_FLOAT,          4,  "float")                                                              \
    X(TB_DOUBLE,         8,  "double")                                                             \
    X(TB_COMPLEX_FLOAT,  8,  "complex float")                                                      \
    X(TB_COMPLEX_DOUBLE, 16, "complex double")                                                     \
    X(TB_REF,            16, "ref")                                                                \
    X(TB_STRING,         1,  "string")                                                             \
    X(TB_BYTES,          1,  "bytes")                                                              \
    X(TB_RECORD,         0,  "struct")

#define TB_TYPE_ENUM_(name, bytes, text) name,
typedef enum tb_type { TB_NO_TYPE, TB_TYPES(TB_TYPE_ENUM_) TB_TYPE_COUNT_ } tb_type;
#undef TB_TYPE_ENUM_

enum { TB_MAX_DIMS = 7 };
enum {
    TB_VALUE_ARRAY = 1,   /* `ptr` points to `count` elements */
    TB_VALUE_NESTED = 2   /* a ref that travels as a ref, not replaced by what it refers to */
};

/* A value on its way into a task, a result or an object. Made by tb_value_of and the makers below;
 * what it points to must live until the call that takes it returns. */
typedef struct tb_value {
    tb_type type;
    int flags;              /* TB_VALUE_* */
    uint64_t count;         /* elements: 1, an array's number, a string's bytes with the final 0 */
    uint64_t elem;          /* bytes of one */
    const void *ptr;        /* arrays, strings, bytes, structs; else the value is in `as` */
    int ndim;               /* arrays with a shape: 1..7, else 0 */
    const uint64_t *shape;  /* shape[ndim], slowest dimension first */
    union {
        int64_t i;
        uint64_t u;
        float f;
        double d;
        float cf[2];
        double cd[2];
        tb_ref ref;
    } as;
} tb_value;

/* What tb_value_of calls; each takes one C type. */
TB_API tb_value tb_value_bool_(bool x);
TB_API tb_value tb_value_char_(char x);
TB_API tb_value tb_value_int_(long long x, tb_type type);
TB_API tb_value tb_value_uint_(unsigned long long x, tb_type type);
TB_API tb_value tb_value_float_(float x);
TB_API tb_value tb_value_double_(double x);
TB_API tb_value tb_value_string_(const char *x);
TB_API tb_value tb_value_ref_(tb_ref x);

/* A ref that stays a ref: the task gets the handle, not the value. */
TB_API tb_value tb_nested(tb_ref ref);

/* `n` bytes, of no type. */
TB_API tb_value tb_bytes(const void *ptr, size_t n);

/* An array of a type named at run time. `type` is a number type or TB_REF; shape[ndim] may be NULL
 * with ndim 0. A wrong type or shape is found, with TB_ERR_ARGUMENT, by the call that takes it. */
TB_API tb_value tb_array_as(tb_type type, const void *ptr, size_t n, int ndim,
                            const uint64_t *shape);
TB_API tb_value tb_record_array_(const void *ptr, size_t n, size_t elem);
TB_API tb_value tb_record_(const void *ptr, size_t elem);

/* ---- remote functions ---- */

/* Zero in an option means "default"; this means zero. Exact in int, int64_t and double. */
#define TB_NONE (-2147483647 - 1)

typedef struct tb_resource {
    const char *name;
    double amount;
} tb_resource;

/* What a task asks for: given with TB_TASK as default, and again with a call to override it.
 * Units: CPUs and GPUs in numbers of them, to 1/10000; memory in bytes.
 * So far num_cpus is honoured; another field that is set is refused with TB_ERR_UNSUPPORTED. */
typedef struct tb_options {
    double num_cpus;             /* default 1 */
    double num_gpus;
    int64_t memory;
    tb_resource resources[8];
    int max_retries;
    char pad_;                   /* not for users: lets the macros end in a designator */
} tb_options;

/* The running task, as its function sees it. */
typedef struct tb_call tb_call;

/* A remote function. Returns: 0, a TB_ERR_*, or another number, which fails the task with it. */
typedef int tb_task_fn(tb_call *call);

struct tb_task_record_ {
    tb_task_fn *fn;
    const char *name, *file;
    int line;
    const tb_options *options;
    struct tb_task_record_ *next; /* the library's */
};
TB_API void tb_task_register_(struct tb_task_record_ *record);

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus
#define TB_OPTIONS(...) (&(const tb_options){__VA_ARGS__})

/* Makes `fn` a remote function: TB_TASK(fn); or TB_TASK(fn, .num_cpus = 2); in the file that
 * defines it, at file scope. */
#define TB_TASK(...) TB_TASK_(__VA_ARGS__, .pad_ = 0)
#define TB_TASK_(task, ...)                                                                        \
    static const tb_options task##_tb_options_ = {__VA_ARGS__};                                    \
    static struct tb_task_record_ task##_tb_record_ = {task,     #task,                            \
                                                       __FILE__, __LINE__,                         \
                                                       &task##_tb_options_, NULL};                 \
    __attribute__((constructor)) static void task##_tb_register_(void)                             \
    {                                                                                              \
        tb_task_register_(&task##_tb_record_);                                                     \
    }                                                                                              \
    _Static_assert(1, "")

TB_API tb_value tb_value_complex_float_(float _Complex x);
TB_API tb_value tb_value_complex_double_(double _Complex x);
static inline tb_value tb_value_i8_(signed char x) { return tb_value_int_(x, TB_INT8); }
static inline tb_value tb_value_i16_(short x) { return tb_value_int_(x, TB_INT16); }
static inline tb_value tb_value_i32_(int x) { return tb_value_int_(x, TB_INT32); }
static inline tb_value tb_value_long_(long x)
{
    return tb_value_int_(x, sizeof x == 8 ? TB_INT64 : TB_INT32);
}
static inline tb_value tb_value_i64_(long long x) { return tb_value_int_(x, TB_INT64); }
static inline tb_value tb_value_u8_(unsigned char x) { return tb_value_uint_(x, TB_UINT8); }
static inline tb_value tb_value_u16_(unsigned short x) { return tb_value_uint_(x, TB_UINT16); }
static inline tb_value tb_value_u32_(unsigned x) { return tb_value_uint_(x, TB_UINT32); }
static inline tb_value tb_value_ulong_(unsigned long x)
{
    return tb_value_uint_(x, sizeof x == 8 ? TB_UINT64 : TB_UINT32);
}
static inline tb_value tb_value_u64_(unsigned long long x) { return tb_value_uint_(x, TB_UINT64); }
static inline tb_value tb_value_self_(tb_value x) { return x; }

/* A value of any C type in the list; another type is a compile error that names it. No `default`,
 * so that a pointer or a struct is not taken for something it is not. */
#define tb_value_of(x)                                                                             \
    _Generic((x),                                                                                  \
        _Bool: tb_value_bool_,                                                                     \
        char: tb_value_char_,                                                                      \
        signed char: tb_value_i8_,                                                                 \
        short: tb_value_i16_,                                                                      \
        int: tb_value_i32_,                                                                        \
        long: tb_value_long_,                                                                      \
        long long: tb_value_i64_,                                                                  \
        unsigned char: tb_value_u8_,                                                               \
        unsigned short: tb_value_u16_,                                                             \
        unsigned: tb_value_u32_,                                                                   \
        unsigned long: tb_value_ulong_,                                                            \
        unsigned long long: tb_value_u64_,                                                         \
        float: tb_value_float_,                                                                    \
        double: tb_value_double_,                                                                  \
        float _Complex: tb_value_complex_float_,                                                   \
        double _Complex: tb_value_complex_double_,                                                 \
        char *: tb_value_string_,                                                                  \
        const char *: tb_value_string_,                                                            \
        tb_ref: tb_value_ref_,                                                                     \
        tb_value: tb_value_self_)(x)

/* The run-time type of what a pointer points to; a type without one is a compile error. */
#define tb_type_of_pointee_(ptr)                                                                   \
    _Generic((ptr),                                                                                \
        _Bool *: TB_BOOL, const _Bool *: TB_BOOL,                                                  \
        char *: TB_CHAR, const char *: TB_CHAR,                                                    \
        signed char *: TB_INT8, const signed char *: TB_INT8,                                      \
        short *: TB_INT16, const short *: TB_INT16,                                                \
        int *: TB_INT32, const int *: TB_INT32,                                                    \
        long *: sizeof(long) == 8 ? TB_INT64 : TB_INT32,                                           \
        const long *: sizeof(long) == 8 ? TB_INT64 : TB_INT32,                                     \
        long long *: TB_INT64, const long long *: TB_INT64,                                        \
        unsigned char *: TB_UINT8, const unsigned char *: TB_UINT8,                                \
        unsigned short *: TB_UINT16, const unsigned short *: TB_UINT16,                            \
        unsigned *: TB_UINT32, const unsigned *: TB_UINT32,                                        \
        unsigned long *: sizeof(long) == 8 ? TB_UINT64 : TB_UINT32,                                \
        const unsigned long *: sizeof(long) == 8 ? TB_UINT64 : TB_UINT32,                          \
        unsigned long long *: TB_UINT64, const unsigned long long *: TB_UINT64,                    \
        float *: TB_FLOAT, const float *: TB_FLOAT,                                                \
        double *: TB_DOUBLE, const double *: TB_DOUBLE,                                            \
        float _Complex *: TB_COMPLEX_FLOAT, const float _Complex *: TB_COMPLEX_FLOAT,              \
        double _Complex *: TB_COMPLEX_DOUBLE, const double _Complex *: TB_COMPLEX_DOUBLE,          \
        tb_ref *: TB_REF, const tb_ref *: TB_REF)

/* An array of `n` numbers or refs; the type is the pointer's. Each argument is evaluated once. */
#define tb_array(ptr, n) tb_array_as(tb_type_of_pointee_(ptr), (ptr), (n), 0, NULL)
/* An array of `n` structs, and one struct: travel as they lie in memory. */
#define tb_records(ptr, n) tb_record_array_((ptr), (n), sizeof *(ptr))
#define tb_struct(s) tb_record_(&(s), sizeof(s))
#endif

#endif
