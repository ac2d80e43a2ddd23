/* counter.h - the class that tests of actors share: it counts, and can wait, die and tell. Whoever makes one gives
 * its first value and, if its end matters, the path of marks: one for each constructor, one for each fini. */
#ifndef TB_COUNTER_H
#define TB_COUNTER_H

#include "gate.h"
#include "marks.h"
#include "run.h"

#include <sched.h>
#include <signal.h>
#include <time.h>

struct counter { int value; char path[96]; };

static int counter_init(tb_call *call, struct counter *self)
{
    self->value += tb_arg_int(call, 0);
    if (tb_num_args(call) > 1) {
        snprintf(self->path, sizeof self->path, "%s", tb_arg_string(call, 1));
        mark(self->path);
    }
    return 0;
}

static void counter_fini(struct counter *self)
{
    if (self->path[0] != 0)
        mark(self->path);
}

/* Returns the new value. argument: by how much, else 1 */
static int counter_increment(tb_call *call, struct counter *self)
{
    return tb_return(call, self->value += tb_num_args(call) > 0 ? tb_arg_int(call, 0) : 1);
}

/* Returns the value when the gate opens. */
static int counter_wait(tb_call *call, struct counter *self)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, self->value);
}

static int counter_pid(tb_call *call, struct counter *self)
{
    (void)self;
    return tb_return(call, (int)getpid());
}

/* Dies in the attempts before this one, then counts. */
static int counter_dies_until(tb_call *call, struct counter *self)
{
    if (tb_call_attempt(call) < tb_arg_int(call, 0))
        raise(SIGKILL);
    return tb_return(call, ++self->value);
}

TB_ACTOR(counter, struct counter, .init = counter_init, .fini = counter_fini);
TB_METHOD(counter, counter_increment);
TB_METHOD(counter, counter_wait);
TB_METHOD(counter, counter_pid);
TB_METHOD(counter, counter_dies_until);

static inline int get_int(tb_ref r)
{
    int v = 0;

    assert_ok(tb_get(r, &v));
    assert_ok(tb_release(r));
    return v;
}

/* Meanwhile other actors begin, are called and end: what was to follow from what was said before, has. */
static inline void others_come_and_go(void)
{
    for (int i = 0; i < 3; i++) {
        tb_actor other = tb_actor_new(counter, 0);

        assert_int_equal(get_int(tb_actor_call(other, counter_increment)), 1);
        assert_ok(tb_actor_release(other));
    }
}

#define assert_call_fails(code, text, ref)                                                         \
    do {                                                                                           \
        tb_ref r_ = ref;                                                                           \
        assert_fails(code, text, tb_get(r_, NULL));                                                \
        tb_release(r_);                                                                            \
    } while (0)

/* For what the job is in the middle of and tells nobody of by itself: the head and the agents say how many CPUs are free,
 * who waits in a queue or whether an actor is known only when they are asked. So they are asked again, and give other
 * processes the processor meanwhile, until it is so, for a minute at most. What can be waited for is not for this: a ref
 * by tb_get, a mark by marks_await, a task by a gate. */
#define assert_soon(condition)                                                                     \
    do {                                                                                           \
        time_t end_ = time(NULL) + 60;                                                             \
        bool is_;                                                                                  \
        while (!(is_ = (condition)) && time(NULL) < end_)                                          \
            sched_yield();                                                                         \
        if (!is_)                                                                                  \
            fail_msg("within a minute it did not become true that %s", #condition);                \
    } while (0)

#endif
