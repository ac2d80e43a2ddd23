/* get.h - waiting for objects to be here, for tb_get and what is like it. With the process's lock
 * held. */
#ifndef TBI_GET_H
#define TBI_GET_H

#include "api/process.h"

/* Sends a GET, of the kind that the flags say. */
void tbi_handle_ask(struct tbi_process *process, struct tbi_handle *handle, uint32_t flags);
/* TBI_GET_WANTED if the caller is a task's own thread. */
uint32_t tbi_wanted_flag(const struct tbi_process *process);

/* Begins a use of what a ref names: 0 and the handle, or an error with the last error set: no ref of
 * ours, or one that we are still writing. End it by tbi_handle_drop_use. */
int tbi_get_use(struct tbi_process *process, tb_ref ref, struct tbi_handle **handle);

/* Can its value, or its error, be read now? */
bool tbi_handle_is_here(const struct tbi_handle *handle);

/* Waits until all are here; the same ref may stand there twice. 0: all are, and stay until
 * tbi_get_end. Otherwise an error with the last error set, and nothing is in use. */
int tbi_get_begin(struct tbi_process *process, const tb_ref *refs, struct tbi_handle **handle,
                  size_t n, double timeout);
void tbi_get_end(struct tbi_process *process, struct tbi_handle **handle, size_t n);

/* Opens what is here; TB_ERR_STATE without a word if it is no value. */
int tbi_get_open(const struct tbi_process *process, const struct tbi_handle *handle, struct tbi_view *view);
/* The same for the program; if it is a failure, returns its code and sets the last error. */
int tbi_get_view(struct tbi_process *process, struct tbi_handle *handle,
                 struct tbi_view *view);

#endif
