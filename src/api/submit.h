/* submit.h - from a call of tb_remote, tb_actor_new or tb_actor_call to one SUBMIT. A submission that fails at once
 * makes refs that carry the error, so that the program hears of it where it looks for the result.
 *
 * The caller finds the function and reads the options into a draft; all that comes then is shared. */
#ifndef TBI_SUBMIT_H
#define TBI_SUBMIT_H

#include "api/options.h"
#include "api/process.h"

struct tbi_draft {
    /* The caller's */
    const char *name;       /* of the task, class or method */
    const tb_value *value;
    size_t nvalues, nreturns;
    struct tbi_process *p;
    enum tbi_kind kind;
    int fn;                 /* in the registry */
    struct tbi_terms terms;
    struct tbi_id actor;    /* TBI_CALL: whose method it is, ... */
    bool awaited;           /* ... see tbi_actor_ask */
    uint64_t ticket;        /* TBI_ACTOR with get_if_exists: for FOUND */
    /* submit.c's */
    size_t nresolve, nheld; /* refs: to be resolved, travelling as refs */
    size_t data_bytes;
    struct tbi_id *stored;  /* stored[nvalues]: where large values were put; null ids else */
    void *error;            /* owned by a handle, or `link` */
    size_t error_bytes;
    struct tbi_error_link link;
};

/* Are these pointers what the counts say? 0 or TB_ERR_ARGUMENT. Without the lock, ahead of all. */
int tbi_draft_check(const struct tbi_draft *draft, const tb_ref *refs);

/* With the lock held. `rc`: what went wrong before, with the last error set, or 0. Sends the draft, and gives
 * refs[nreturns] their handles, each with one count for the caller; or, on an error, refs that carry it.
 * An actor's ref has no handle yet if it was asked for by get_if_exists. */
int tbi_submit(struct tbi_draft *draft, int rc, tb_ref *refs);

/* The draft fails with what this failed with: the handle of an argument, or of the actor, whose call failed at
 * once. Returns the code, with the last error set. */
int tbi_draft_fail_as(struct tbi_draft *draft, struct tbi_handle *handle);

/* Namespace and name as they travel, each with its final 0, to to[tbi_name_bytes, padded]. */
size_t tbi_name_bytes(const char *name_space, const char *name);
void tbi_name_pack(const char *name_space, const char *name, void *to);

#endif
