/* killer_actors.c - executors are killed all the time, those that are actors and those that run tasks, while the driver
 * and tasks call actors. Where calls are retried without end all of them succeed, in the order of each caller; where
 * they are not, each gives its value, ACTOR_UNAVAILABLE or, if the actor is not begun again, ACTOR_DIED. At the end
 * nothing is held. Arguments: seconds. Prints what was survived. */
#include "killer.h"

#include <thornback.h>

enum { CALLERS = 5, CALLS = 40, ROUND = 1000000, PAUSE_MS = 20 };

/* What each caller said last, in this life of the actor. */
struct echo { int64_t last[CALLERS]; };

static int echo_init(tb_call *call, struct echo *self)
{
    (void)self;
    return tb_num_args(call) == 1 ? 0 : tb_fail(call, "%zu arguments", tb_num_args(call));
}

/* arguments: caller, number; numbers of one caller rise. Returns: the number */
static int echo_say(tb_call *call, struct echo *self)
{
    int who = tb_arg_int(call, 0);
    int64_t number = tb_arg_int64(call, 1), last = self->last[who];

    /* What a task that was killed had called may come between the calls of its next attempt. */
    if (number <= last && number / ROUND == last / ROUND)
        return tb_fail(call, "caller %d said %lld after %lld", who, (long long)number, (long long)last);
    if (number > last)
        self->last[who] = number;
    return tb_return(call, number);
}
TB_ACTOR(echo, struct echo, .init = echo_init);
TB_METHOD(echo, echo_say);

static int later(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(later, .max_retries = -1);

/* Its CALLS numbers follow `from`; some wait for an argument first. Returns 0 if all came back right. */
static int says(tb_actor actor, int who, int64_t from)
{
    tb_ref r[CALLS];
    int64_t v;
    int rc = 0;

    for (int i = 0; i < CALLS; i++) {
        if (i % 8 == 5) {
            tb_ref argument = tb_remote(later, i);

            r[i] = tb_actor_call(actor, echo_say, who, from + i, argument);
            tb_must(tb_release(argument));
        } else {
            r[i] = tb_actor_call(actor, echo_say, who, from + i);
        }
    }
    for (int i = 0; i < CALLS && rc == 0; i++) {
        rc = tb_get(r[i], &v);
        if (rc == 0 && v != from + i)
            rc = TB_ERR_TYPE;
    }
    tb_must(tb_release_all(r, CALLS));
    return rc;
}

/* arguments: actor, caller, round. An attempt has numbers of its own. */
static int calls(tb_call *call)
{
    int64_t from = (tb_arg_int64(call, 2) * 1000 + tb_call_attempt(call) + 1) * ROUND;
    int rc = says(tb_arg_actor(call, 0), tb_arg_int(call, 1), from);

    return rc != 0 ? rc : tb_return(call, 1);
}
TB_TASK(calls, .max_retries = -1, .num_cpus = TB_NONE);

static void no(const char *what, int rc)
{
    fprintf(stderr, "%s: %d %s\n", what, rc, tb_last_error());
    exit(1);
}

static tb_actor make(int max_restarts, int max_task_retries)
{
    return tb_actor_new_with(echo, TB_OPTIONS(.max_restarts = max_restarts, .max_task_retries = max_task_retries), 1);
}

/* All of them succeed. */
static void call_for_sure(tb_actor actor, int64_t round)
{
    tb_ref r[CALLERS];
    int rc;

    for (int who = 1; who < CALLERS; who++)
        r[who] = tb_remote(calls, actor, who, round);
    if ((rc = says(actor, 0, (round + 1) * ROUND)) != 0)
        no("a call that is retried without end failed", rc);
    for (int who = 1; who < CALLERS; who++) {
        if ((rc = tb_get(r[who], NULL)) != 0)
            no("a task that calls, or its call that is retried without end, failed", rc);
        tb_must(tb_release(r[who]));
    }
}

struct outcome { int right, unavailable, died; };

/* What becomes of each is told, and is one of three. */
static void call_once(tb_actor actor, int64_t round, bool comes_back, struct outcome *o)
{
    tb_ref r[CALLS];

    for (int i = 0; i < CALLS; i++)
        r[i] = tb_actor_call(actor, echo_say, 0, (round + 1) * ROUND + i);
    for (int i = 0; i < CALLS; i++) {
        int64_t v;
        int rc = tb_get(r[i], &v);

        if (rc == 0 && v != (round + 1) * ROUND + i)
            no("a call gave another's value", (int)v);
        if (rc != 0 && rc != TB_ERR_ACTOR_DIED && rc != TB_ERR_ACTOR_UNAVAILABLE)
            no("a call failed", rc);
        if (rc == (comes_back ? TB_ERR_ACTOR_DIED : TB_ERR_ACTOR_UNAVAILABLE))
            no(comes_back ? "an actor that is begun again has died" : "one that is not is unavailable", rc);
        o->right += rc == 0;
        o->unavailable += rc == TB_ERR_ACTOR_UNAVAILABLE;
        o->died += rc == TB_ERR_ACTOR_DIED;
    }
    tb_must(tb_release_all(r, CALLS));
}

static bool is_dead(tb_actor actor)
{
    tb_ref r = tb_actor_call(actor, echo_say, 1, INT64_C(0));
    int rc = tb_get(r, NULL);

    tb_must(tb_release(r));
    return rc == TB_ERR_ACTOR_DIED;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    struct outcome o = {0};
    tb_actor sure, once, mortal;
    int64_t round = 0;
    int kills, deaths = 0;

    tb_must(tb_init(&argc, &argv, NULL));
    sure = make(-1, -1);
    once = make(-1, TB_NONE);
    mortal = make(0, -1);
    killer_begin(argv[0], PAUSE_MS);
    for (time_t end = time(NULL) + (time_t)seconds; time(NULL) < end; round++) {
        call_for_sure(sure, round);
        call_once(once, round, true, &o);
        call_once(mortal, round, false, &o);
        if (is_dead(mortal)) {
            deaths++;
            tb_must(tb_actor_release(mortal));
            mortal = make(0, -1);
        }
    }
    kills = killer_end();
    call_for_sure(sure, round);
    tb_must(tb_actor_release(sure));
    tb_must(tb_actor_release(once));
    tb_must(tb_actor_release(mortal));
    printf("survived %d kills in %g s: %lld calls that are retried, all right and in order; of others %d right, %d "
           "unavailable, %d of %d actors that died\n", kills, seconds, (long long)(round + 1) * CALLERS * CALLS, o.right,
           o.unavailable, o.died, deaths);
    tb_must(tb_finalize());
    return kills > 0 && round > 0 ? 0 : 1;
}
