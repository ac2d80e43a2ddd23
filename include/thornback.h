/* thornback.h - the public C API of Thornback. So far: handles and error codes. */
#ifndef THORNBACK_H
#define THORNBACK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A reference to an object of the job, possibly one that does not exist yet: a plain value, valid
 * on every rank. All zero is the null reference. */
typedef struct tb_ref {
    uint64_t hi, lo;
} tb_ref;

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

#ifdef __cplusplus
}
#endif

#endif
