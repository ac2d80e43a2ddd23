/* thornback_tools.h - what many programs would else write themselves: a map over an array, a pool of actors, and a
 * queue between tasks. All of it is made of the calls of thornback.h, and works in the driver, in tasks and in
 * actors.
 *
 * C11; from C++ only the plain functions and types. Errors, outputs and timeouts are as in thornback.h; each waiting
 * call gives its task's CPUs back meanwhile. */
#ifndef THORNBACK_TOOLS_H
#define THORNBACK_TOOLS_H

#include <thornback.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a map over an array ---- */

/* What the macros call, and the general form, for structs and for options with a timeout: `in` is an array (tb_array,
 * tb_records), `out` has room for as many elements of `elem` bytes of `type`, TB_RECORD for structs. */
TB_API int tb_map_(tb_task_fn *fn, const char *name, const tb_options *options, tb_value in, size_t chunk,
                   double timeout, tb_type type, size_t elem, void *out, const tb_value *values, size_t nvalues);

/* ---- a pool of actors ---- */

/* Actors of one class that share out calls: each is given to one that is idle, or waits until one is. A pool lives in
 * the process that made it. Threads: any, one at a time. */
typedef struct tb_pool tb_pool;

/* Makes a pool of these actors, none is possible.
 * Shapes:  actors[n], copied.
 * Returns: the pool, for tb_pool_free; NULL on an error: TB_ERR_ARGUMENT, TB_ERR_REF for a handle that is null or of
 *          another job.
 * Owns:    the pool has a count of each handle of its own. */
TB_API tb_pool *tb_pool_new(const tb_actor *actors, size_t n);

/* Ends the pool: calls that wait are dropped, those that were made run to their end, and results that were not taken
 * are released. NULL is possible. */
TB_API void tb_pool_free(tb_pool *pool);

/* One more actor, which is idle. Errors: as tb_pool_new. */
TB_API int tb_pool_push(tb_pool *pool, tb_actor actor);

/* Takes an actor out that is idle.
 * Owns:    the handle becomes the caller's, with one count.
 * Errors:  TB_ERR_TIMEOUT if none is idle now; *actor is null then.
 * Blocks:  for a message to rank 0 and back, to see which calls have ended; so does tb_pool_has_free. */
TB_API int tb_pool_pop_idle(tb_pool *pool, tb_actor *actor);

/* Is an actor idle, and no call waits for one? */
TB_API bool tb_pool_has_free(tb_pool *pool);

/* Are there calls whose results were not taken? */
TB_API bool tb_pool_has_next(const tb_pool *pool);

/* See tb_pool_submit. */
TB_API int tb_pool_submit_(tb_pool *pool, tb_function_ *method, const char *name, const tb_value *values,
                           size_t nvalues);

/* The result of the next call, in the order in which they were submitted; or of the one that ended first, and its
 * number, counted from 0 since the pool was made (`number` may be NULL). What a call failed with is what its ref
 * reports. An actor that has died is not used any more; its calls are not made again.
 * Owns:    the ref becomes the caller's, with one count.
 * Errors:  TB_ERR_TIMEOUT, and nothing is lost; TB_ERR_ARGUMENT if all results were taken; TB_ERR_ACTOR_DIED if calls
 *          wait but all actors have died: they go on waiting, for tb_pool_push.
 * Blocks:  until the result is there; gives calls that wait to actors that become idle. */
TB_API int tb_pool_get_next(tb_pool *pool, tb_ref *result);
TB_API int tb_pool_get_next_timeout(tb_pool *pool, tb_ref *result, double timeout);
TB_API int tb_pool_get_next_unordered(tb_pool *pool, tb_ref *result, size_t *number);
TB_API int tb_pool_get_next_unordered_timeout(tb_pool *pool, tb_ref *result, size_t *number, double timeout);

/* What tb_pool_map_unordered calls for each result as it comes: of the i-th element. The ref is the pool's.
 * Returns: 0, or an error that ends the map. */
typedef int tb_pool_each(size_t i, tb_ref result, void *arg);

/* What the macros call; also the general forms: any n values, each the argument of one call. */
TB_API int tb_pool_map_refs_(tb_pool *pool, tb_function_ *method, const char *name, const tb_value *values, size_t n,
                             tb_ref *refs, double timeout);
TB_API int tb_pool_map_(tb_pool *pool, tb_function_ *method, const char *name, tb_value in, tb_type type, size_t elem,
                        void *out, double timeout);
TB_API int tb_pool_map_unordered_(tb_pool *pool, tb_function_ *method, const char *name, tb_value in,
                                  tb_pool_each *each, void *arg, double timeout);

/* ---- a queue ---- */

/* A queue that any number of tasks, actors and the driver put values into and get them from, each once, in order. It
 * is an actor, and its handle is used as one: an argument, a result or part of an object, got by tb_arg_actor, kept
 * with tb_actor_retain and given back with tb_actor_release; the queue ends with its last handle. With options.name
 * tb_get_actor finds it.
 * A call that waits is served in its turn. Who dies or is cancelled while it waits takes nothing with it; but what
 * it was just being given is lost. */
typedef tb_actor tb_queue;

/* Makes a queue that holds `maxsize` values at most; 0: any number. options: of the actor, may be NULL.
 * Returns: its handle, at once, as tb_actor_new; what is wrong is what its calls fail with.
 * Owns:    the handle is the caller's, with one count. */
TB_API TB_USE_RESULT_ tb_queue tb_queue_new(int64_t maxsize);
TB_API TB_USE_RESULT_ tb_queue tb_queue_new_with(int64_t maxsize, const tb_options *options);

/* See tb_queue_put and tb_queue_get. */
TB_API int tb_queue_put_(tb_queue queue, tb_value value, double timeout);
TB_API int tb_queue_get_(tb_queue queue, tb_type type, size_t size, void *out, double timeout);

/* All of these values, or none if there is no room for all now (TB_ERR_TIMEOUT; TB_ERR_ARGUMENT if there never is).
 * Shapes:  values[n]: TB_VALUES(1, "two"), or an array and its length. */
TB_API int tb_queue_put_nowait_batch(tb_queue queue, const tb_value *values, size_t n);

/* The next n values, or none if there are fewer now (TB_ERR_TIMEOUT).
 * Shapes:  refs[n].
 * Owns:    each becomes the caller's, with one count. */
TB_API int tb_queue_get_nowait_batch(tb_queue queue, tb_ref *refs, size_t n);

/* How many values it holds; whether that is none, or as many as it can. Others may put and get meanwhile. */
TB_API int tb_queue_size(tb_queue queue, size_t *size);
TB_API int tb_queue_empty(tb_queue queue, bool *empty);
TB_API int tb_queue_full(tb_queue queue, bool *full);
/* How many calls wait to get and to put, of the first 64 of each; either may be NULL. */
TB_API int tb_queue_waiting(tb_queue queue, size_t *getters, size_t *putters);

/* Ends the queue and drops what it holds: after the calls that reached it before, or after `grace` seconds (0: at
 * once). Calls that wait, and later ones, fail with TB_ERR_ACTOR_DIED. The handle is still to be released.
 * Returns: 0, also if it had ended. */
TB_API int tb_queue_shutdown(tb_queue queue, double grace);

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus
/* Runs a remote function on an array, chunk by chunk, and gathers what it returns: tb_map(fn, in, n, chunk, out,
 * args...) calls fn with `chunk` elements of `in`, and the further arguments behind it, if there are any (a large one
 * as a ref: it goes with each call); fn returns an array of as many elements of the type of `out`, which become
 * out[the same place].
 * Shapes:  in[n], out[n], of numbers; the last chunk may be shorter. chunk 0: about eight chunks for each CPU. Each
 *          chunk is copied into the store, a limited number of them at a time.
 * Returns: 0 when all is done; else the first error, which names the elements: the other chunks are cancelled and
 *          `out` is zeroed.
 * Blocks:  until all is done. */
#define tb_map(task, in, n, chunk, ...) tb_map_timeout(task, -1, in, n, chunk, __VA_ARGS__)
#define tb_map_timeout(task, timeout, in, n, chunk, ...)                                           \
    tb_map_v(task, NULL, timeout, tb_array(in, n), chunk, TB_FIRST_(__VA_ARGS__), TB_REST_(__VA_ARGS__))
/* The same with options for each call. */
#define tb_map_with(task, options, in, n, chunk, ...)                                              \
    tb_map_v(task, options, -1, tb_array(in, n), chunk, TB_FIRST_(__VA_ARGS__), TB_REST_(__VA_ARGS__))
#define tb_map_v(task, options, timeout, in, chunk, out, ...)                                      \
    tb_map_((task), #task, (options), (in), (chunk), (timeout), tb_type_of_pointee_(out), sizeof *(out), (out),   \
            __VA_ARGS__)

/* Has a method called by one of the pool's actors: tb_pool_submit(pool, method, args...). Arguments are as those of
 * tb_actor_call; those that have to wait are copied, large ones into the store.
 * Returns: 0; what the call fails with, also at once, is what its result reports. TB_ERR_ARGUMENT if pool is NULL.
 * Blocks:  as tb_actor_call. */
#define tb_pool_submit(pool, ...)                                                                  \
    tb_pool_submit_((pool), TB_ADDRESS_(TB_FIRST_(__VA_ARGS__)), TB_FIRST_NAME_(__VA_ARGS__),      \
                    TB_REST_(__VA_ARGS__))

/* Calls the method once for each element of in[n], an array of numbers, refs or actors, and gathers the results, one
 * each, in out[n]; other calls of the pool go on beside that, and keep their results.
 * Returns: 0 when all have ended; else the first error, in the order of the elements, and `out` is zeroed. After
 *          a timeout, or when all actors have died, calls that were not made are dropped.
 * Blocks:  until all have ended, or the timeout. */
#define tb_pool_map(pool, method, in, n, out) tb_pool_map_timeout(pool, method, in, n, out, -1)
#define tb_pool_map_timeout(pool, method, in, n, out, timeout)                                     \
    tb_pool_map_((pool), TB_ADDRESS_((method)), #method, tb_array(in, n), tb_type_to_read_(out), TB_SIZEOF_(out), \
                 (out), (timeout))

/* The same for any values[n], one an argument each, into refs[n], which become the caller's: failed ones too. */
#define tb_pool_map_refs(pool, method, values, n, refs) tb_pool_map_refs_timeout(pool, method, values, n, refs, -1)
#define tb_pool_map_refs_timeout(pool, method, values, n, refs, timeout)                           \
    tb_pool_map_refs_((pool), TB_ADDRESS_((method)), #method, (values), (n), (refs), (timeout))

/* The same, but each result is given to each(i, result, arg) as it comes. */
#define tb_pool_map_unordered(pool, method, in, n, each, arg)                                      \
    tb_pool_map_unordered_timeout(pool, method, in, n, each, arg, -1)
#define tb_pool_map_unordered_timeout(pool, method, in, n, each, arg, timeout)                     \
    tb_pool_map_unordered_((pool), TB_ADDRESS_((method)), #method, tb_array(in, n), (each), (arg), (timeout))

/* Puts a value of any kind into the queue: a number, a string, tb_array(...), an actor. A ref stands for its value,
 * which need not be there yet: it is what the getter gets. With a timeout of 0, `nowait`, only if there is room now.
 * Errors:  TB_ERR_TIMEOUT if the queue is full until then; TB_ERR_ACTOR_DIED if it has ended; TB_ERR_TYPE if the actor
 *          is no queue.
 * Blocks:  until the queue has room, and in any case for a message there and back. A queue that does not answer, say
 *          because there is no CPU to begin it, is given five seconds more than the timeout. */
#define tb_queue_put(queue, x) tb_queue_put_timeout(queue, x, -1)
#define tb_queue_put_nowait(queue, x) tb_queue_put_timeout(queue, x, 0)
#define tb_queue_put_timeout(queue, x, timeout) tb_queue_put_((queue), tb_value_of(x), (timeout))

/* Gets the next value: into a tb_ref, for all that tb_get and tb_get_array read, which becomes the caller's; or
 * into a number or tb_actor itself. A value that cannot be read as that is lost, so read what may be of several types
 * by a tb_ref.
 * Errors, blocks: as tb_queue_put, for an empty queue; TB_ERR_TYPE; what the value's task failed with. */
#define tb_queue_get(queue, ptr) tb_queue_get_timeout(queue, ptr, -1)
#define tb_queue_get_nowait(queue, ptr) tb_queue_get_timeout(queue, ptr, 0)
#define tb_queue_get_timeout(queue, ptr, timeout)                                                  \
    tb_queue_get_((queue), tb_type_to_read_(ptr), TB_SIZEOF_(ptr), (ptr), (timeout))
#endif

#endif
