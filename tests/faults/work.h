/* work.h - trees of tasks that pass every point of util/fault.h on their way: nested tasks, waits, refs
 * in results, objects small and large made in each way, actors that keep a checkpoint. What a tree gives can be
 * computed, so each one is right, or has failed because an executor was killed or the store had no memory. */
#ifndef TB_WORK_H
#define TB_WORK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <thornback.h>

enum { WORK_NUMBERS = 4000 }; /* 16 KB: travels through the store */

static inline int work_mix(int seed, int i)
{
    return (int)((uint32_t)seed * 2654435761u + (uint32_t)i * 40503u) >> 1;
}

static inline void work_fill(int *numbers, int seed)
{
    for (int i = 0; i < WORK_NUMBERS; i++)
        numbers[i] = work_mix(seed, i);
}

static inline int work_is_filled(const int *numbers, size_t n, int seed)
{
    if (n != WORK_NUMBERS)
        return 0;
    for (int i = 0; i < WORK_NUMBERS; i++)
        if (numbers[i] != work_mix(seed, i))
            return 0;
    return 1;
}

/* What work(depth, seed, ..) gives is filled with this. */
static inline int work_value(int depth, int seed)
{
    return depth == 0 ? seed : work_mix(work_value(depth - 1, work_mix(seed, 1)),
                                        work_value(depth - 1, work_mix(seed, 2)));
}

/* Gives a ref to an object that it makes. */
static int deposit(tb_call *call)
{
    printf("deposit\n"); /* so that there is output to be lost */
    return tb_return(call, tb_nested(tb_put(tb_arg_int(call, 0))));
}
TB_TASK(deposit);

/* An actor that has done each of its numbers, 1 to the last, once, though it may have been begun again between
 * any two steps of a call. */
struct keeper { int number, value; };

static int keeper_init(tb_call *call, struct keeper *self)
{
    self->value = tb_arg_int(call, 0);
    return 0;
}

static int keeper_restore(tb_call *call, struct keeper *self)
{
    return tb_arg_struct(call, tb_num_args(call) - 1, self);
}

static void keeper_fini(struct keeper *self)
{
    if (self->number < 0)
        abort();
}

/* Returns the value after this number. */
static int keeper_step(tb_call *call, struct keeper *self)
{
    int number = tb_arg_int(call, 0), rc;

    if (number != self->number && number != self->number + 1)
        return tb_fail(call, "number %d after %d", number, self->number);
    if (number == self->number + 1) {
        self->number++;
        self->value = work_mix(self->value, number);
        if ((rc = tb_actor_checkpoint(call, tb_put(tb_struct(*self)))) != 0)
            return rc;
    }
    return tb_return(call, self->value);
}
TB_ACTOR(keeper, struct keeper, .init = keeper_init, .restore = keeper_restore, .fini = keeper_fini,
         .max_restarts = -1, .max_task_retries = -1);
TB_METHOD(keeper, keeper_step);

enum { WORK_STEPS = 3 };

/* 0, or why a step failed, which only the store can be the reason of. */
static int work_with_keeper(tb_call *call, int seed)
{
    tb_actor k = tb_actor_new(keeper, seed);
    tb_ref step[WORK_STEPS];
    int value[WORK_STEPS], rc;

    for (int i = 0; i < WORK_STEPS; i++)
        step[i] = tb_actor_call(k, keeper_step, i + 1);
    if ((rc = tb_get_all(step, WORK_STEPS, value)) != 0)
        return rc;
    for (int i = 0; i < WORK_STEPS; i++)
        if ((seed = work_mix(seed, i + 1)) != value[i])
            return tb_fail(call, "step %d gave %d instead of %d", i + 1, value[i], seed);
    return tb_actor_release(k);
}

/* A child of work() and its argument, made by tb_put or in place. */
static int work(tb_call *call);

static tb_ref work_child(int depth, int seed, int in_place)
{
    int numbers[WORK_NUMBERS], *room;
    tb_ref argument, child;

    if (in_place) {
        argument = tb_create_array(&room, WORK_NUMBERS);
        if (room != NULL) {
            work_fill(room, seed);
            tb_must(tb_seal(argument));
        }
    } else {
        work_fill(numbers, seed);
        argument = tb_put_array(numbers, WORK_NUMBERS);
    }
    child = tb_remote(work, depth, seed, argument);
    tb_must(tb_release(argument));
    return child;
}

/* 0, or why it failed; a wrong value ends the program, or the task with a code that no fault gives. */
static int work_check(tb_ref child, int depth, int seed)
{
    const int *view;
    size_t n;
    int rc = tb_get_array(child, &view, &n);

    if (rc == 0 && !work_is_filled(view, n, work_value(depth, seed)))
        tb_must(TB_ERR_TYPE);
    return rc;
}

static int work_with_children(tb_call *call, int depth, int seed)
{
    tb_ref child[2], first[2], box = tb_remote(deposit, seed), inside;
    size_t ready;
    int v, rc;

    for (int i = 0; i < 2; i++)
        first[i] = child[i] = work_child(depth - 1, work_mix(seed, 1 + i), i);
    if ((rc = tb_wait(first, 2, 1, -1, &ready)) != 0)
        return rc;
    for (int i = 0; i < 2; i++)
        if ((rc = work_check(child[i], depth - 1, work_mix(seed, 1 + i))) != 0)
            return rc;
    if ((rc = tb_get(box, &inside)) != 0 || (rc = tb_get(inside, &v)) != 0)
        return rc;
    if (v != seed)
        return tb_fail(call, "%d was deposited, %d came back", seed, v);
    if ((rc = tb_release(inside)) != 0)
        return rc;
    return work_with_keeper(call, seed);
}

/* depth, seed, numbers filled with the seed */
static int work(tb_call *call)
{
    int depth = tb_arg_int(call, 0), seed = tb_arg_int(call, 1), *out, rc;
    const int *in;
    size_t n;

    if ((rc = tb_arg_array(call, 2, &in, &n)) != 0)
        return rc;
    if (!work_is_filled(in, n, seed))
        return tb_fail(call, "the argument is not what was put");
    if (depth > 0 && (rc = work_with_children(call, depth, seed)) != 0)
        return rc;
    if ((rc = tb_return_array(call, 0, &out, WORK_NUMBERS)) == 0)
        work_fill(out, work_value(depth, seed));
    return rc;
}
TB_TASK(work);

struct work_outcome {
    int right, crashed, full;
};

/* Runs `n` trees, so that each get returns. What is neither right nor a fault's doing ends the program. */
static struct work_outcome work_trees(int n, int depth, int seed)
{
    struct work_outcome outcome = {0};
    tb_ref *tree = malloc((size_t)n * sizeof *tree);

    for (int i = 0; i < n; i++)
        tree[i] = work_child(depth, seed + i, i % 2);
    for (int i = 0; i < n; i++) {
        int rc = work_check(tree[i], depth, seed + i);

        outcome.right += rc == 0;
        outcome.crashed += rc == TB_ERR_CRASHED;
        outcome.full += rc == TB_ERR_STORE_FULL;
        if (rc != 0 && rc != TB_ERR_CRASHED && rc != TB_ERR_STORE_FULL) {
            printf("tree %d: %d %s\n", i, rc, tb_last_error());
            exit(1);
        }
    }
    tb_must(tb_release_all(tree, (size_t)n));
    free(tree);
    return outcome;
}

#endif
