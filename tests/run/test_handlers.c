/* test_handlers.c - holds what calls in signal handlers do: in one that interrupted another call of its thread each
 * fails at once and changes nothing, whatever it would have waited for; in one that interrupted the program's own
 * code they work. */
#include "counter.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>
#include <time.h>

enum { LIMIT_S = 30, CALLS_MAX = 64 };

static struct {
    tb_call *call;              /* of the task or method whose thread is interrupted, or NULL */
    _Atomic bool done;          /* it was interrupted in a call, and this is what calls there gave: */
    int n;
    struct { const char *what; bool refused; } made[CALLS_MAX];
    sem_t handled;
    pthread_t thread;
    const char *gate;           /* that what the thread waits for stands at */
} hit;

/* A call whose error is of another kind. */
static void forget_error(void)
{
    tb_wait(NULL, 1, 1, 0, NULL);
}

static void note(const char *what, bool failed)
{
    bool says = strstr(tb_last_error(), "signal handler") != NULL;

    hit.made[hit.n].what = what;
    hit.made[hit.n++].refused = failed && says;
    forget_error();
}
#define CODE(call) note(#call, (call) == TB_ERR_STATE)
#define SAYS(call) note(#call, ((void)(call), true))

static int nothing(tb_call *call)
{
    return tb_return(call, 0);
}
TB_TASK(nothing);

static void call_all(void)
{
    tb_ref ref = {0, 0}, some = {1, 1};
    tb_actor actor = {0, 0};
    tb_group group = {0};
    tb_bundle bundle = {.num_cpus = 1};
    tb_error error;
    uint64_t shape[TB_MAX_DIMS];
    const double *view;
    double *to, amount;
    size_t n;
    int x, ndim;
    char text[8];

    forget_error();
    CODE(tb_get(some, &x));
    CODE(tb_get_timeout(some, &x, 0));
    CODE(tb_get_array(some, &view, &n));
    CODE(tb_get_string(some, text, sizeof text));
    CODE(tb_get_shape(some, &ndim, shape));
    CODE(tb_unpin(some));
    CODE(tb_error_detail(some, &error));
    CODE(tb_wait(&some, 1, 1, -1, &n));
    CODE(tb_wait_idle(-1));
    CODE(tb_retain(some));
    CODE(tb_release(some));
    CODE(tb_seal(some));
    CODE(tb_cancel(some, 0));
    CODE(tb_scope_keep(some));
    CODE(tb_scope_give(some));
    SAYS(tb_scope_begin());
    SAYS(tb_scope_end());
    SAYS(ref = tb_put(1));
    CODE(tb_get(ref, &x));
    SAYS(ref = tb_create_array(&to, 8));
    SAYS(ref = tb_remote(nothing));
    CODE(tb_release(ref));
    SAYS(actor = tb_actor_new(counter, 1));
    SAYS(ref = tb_actor_call(actor, counter_increment));
    CODE(tb_kill(actor, 0));
    CODE(tb_actor_retain(actor));
    CODE(tb_actor_release(actor));
    CODE(tb_get_actor("nobody", NULL, &actor));
    SAYS(group = tb_group_new(&bundle, 1, TB_GROUP_PACK));
    SAYS(ref = tb_group_ready(group));
    CODE(tb_group_wait(group));
    CODE(tb_group_nodes(group, NULL, 0));
    CODE(tb_group_remove(group));
    CODE(tb_nodes(NULL, 0));
    CODE(tb_available_resources("CPU", &amount));
    CODE(tb_init(NULL, NULL, NULL));
    if (hit.call == NULL) {
        CODE(tb_finalize());
        return;
    }
    SAYS(tb_arg_int(hit.call, 0));
    SAYS(tb_num_args(hit.call));
    SAYS(tb_call_rank(hit.call));
    SAYS(tb_call_attempt(hit.call));
    SAYS(tb_call_actor(hit.call));
    CODE(tb_return(hit.call, 1));
    CODE(tb_return_array(hit.call, 0, &to, 8));
    CODE(tb_fail(hit.call, "no"));
}

/* The probe tells the two kinds of moments apart: outside a call it is the ref that is wrong. */
static void on_signal(int signal)
{
    (void)signal;
    if (!hit.done && tb_retain((tb_ref){0, 0}) == TB_ERR_STATE) {
        call_all();
        hit.done = true;
    }
    sem_post(&hit.handled);
}

/* Interrupts the thread until it was in a call, then lets it go. */
static void *interrupt(void *unused)
{
    time_t until = time(NULL) + LIMIT_S;
    struct gate gate = {.fd = -1};

    (void)unused;
    while (!hit.done && time(NULL) < until) {
        pthread_kill(hit.thread, SIGUSR1);
        while (sem_wait(&hit.handled) != 0) {
        }
    }
    snprintf(gate.path, sizeof gate.path, "%s", hit.gate);
    gate_open(&gate);
    return NULL;
}

static int stands(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 7);
}
TB_TASK(stands, .num_cpus = TB_NONE);

enum how { GET, WAIT, IDLE, HOWS };

/* This thread waits, and is interrupted. Returns 0, or what is wrong, as an error of the caller's. */
static int wait_interrupted(const char *gate, enum how how, const char **wrong)
{
    struct sigaction act = {.sa_handler = on_signal}, before;
    pthread_t interrupter;
    size_t ready = 0;
    tb_ref ref;
    int x = 0, rc;

    hit.done = false;
    hit.n = 0;
    hit.gate = gate;
    hit.thread = pthread_self();
    sem_init(&hit.handled, 0, 0);
    ref = tb_remote(stands, gate);
    sigaction(SIGUSR1, &act, &before);
    if (pthread_create(&interrupter, NULL, interrupt, NULL) != 0)
        abort();
    rc = how == GET ? tb_get(ref, &x) : how == WAIT ? tb_wait(&ref, 1, 1, -1, &ready) : tb_wait_idle(-1);
    pthread_join(interrupter, NULL);
    sigaction(SIGUSR1, &before, NULL);
    *wrong = rc != 0 ? tb_last_error() : !hit.done ? "no call in a handler was refused" : NULL;
    if (*wrong == NULL && how == GET && x != 7)
        *wrong = "the interrupted tb_get gave another value";
    for (int i = 0; *wrong == NULL && i < hit.n; i++)
        if (!hit.made[i].refused)
            *wrong = hit.made[i].what;
    tb_release(ref);
    return *wrong != NULL;
}

static void a_handler_that_interrupted_a_call_of_the_driver_can_make_none(void **state)
{
    const char *wrong;

    (void)state;
    for (int how = GET; how < HOWS; how++) {
        struct gate gate = gate_new();

        if (wait_interrupted(gate.path, (enum how)how, &wrong))
            fail_msg("wait %d: %s", how, wrong);
    }
}

static int is_interrupted(tb_call *call)
{
    const char *wrong;

    hit.call = call;
    if (wait_interrupted(tb_arg_string(call, 0), (enum how)tb_arg_int(call, 1), &wrong))
        return tb_fail(call, "%s", wrong);
    return tb_call_error(call) != 0 ? tb_call_error(call) : tb_return(call, 1);
}
TB_TASK(is_interrupted, .max_retries = TB_NONE);

static int counter_is_interrupted(tb_call *call, struct counter *self)
{
    (void)self;
    return is_interrupted(call);
}
TB_METHOD(counter, counter_is_interrupted);

static void nor_can_one_that_interrupted_a_call_of_a_task_or_method(void **state)
{
    tb_actor actor = tb_actor_new(counter, 1);

    (void)state;
    for (int how = GET; how < IDLE; how++) {
        struct gate gate = gate_new(), other = gate_new();
        tb_ref ref = tb_remote(is_interrupted, gate.path, how);

        assert_ok(tb_get(ref, NULL));
        tb_release(ref);
        ref = tb_actor_call(actor, counter_is_interrupted, other.path, how);
        assert_ok(tb_get(ref, NULL));
        tb_release(ref);
    }
    tb_actor_release(actor);
}

/* ---- the program's own code ---- */

static int got;

static void on_own_signal(int signal)
{
    tb_ref ref = tb_put(signal);

    if (tb_get(ref, &got) != 0)
        got = -1;
    tb_release(ref);
}

static int raises(tb_call *call)
{
    signal(SIGUSR1, on_own_signal);
    raise(SIGUSR1);
    return tb_return(call, got);
}
TB_TASK(raises);

static void one_that_interrupted_the_programs_own_code_can(void **state)
{
    tb_ref ref = tb_remote(raises);
    int x;

    (void)state;
    signal(SIGUSR1, on_own_signal);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    assert_int_equal(got, SIGUSR1);
    assert_ok(tb_get(ref, &x));
    assert_int_equal(x, SIGUSR1);
    tb_release(ref);
}

/* ---- many ---- */

static volatile long worked, refused, failed;

static void on_timer(int signal)
{
    int rc;

    (void)signal;
    rc = tb_retain((tb_ref){0, 0});
    worked += rc == TB_ERR_REF;
    refused += rc == TB_ERR_STATE;
    failed += rc != TB_ERR_REF && rc != TB_ERR_STATE;
}

/* Returns how many of 2000 calls went wrong. */
static int call_with_a_timer(void)
{
    struct sigaction act = {.sa_handler = on_timer, .sa_flags = SA_RESTART}, before;
    struct itimerval every = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    int bad = 0;

    failed = 0;
    sigaction(SIGALRM, &act, &before);
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < 2000; i++) {
        tb_ref ref = tb_remote(nothing);
        int x = 1;

        bad += tb_get(ref, &x) != 0 || x != 0;
        bad += tb_release(ref) != 0;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    return bad + (int)failed;
}

static int calls_with_a_timer(tb_call *call)
{
    return tb_return(call, call_with_a_timer());
}
TB_TASK(calls_with_a_timer);

static void calls_go_on_whenever_they_are_interrupted(void **state)
{
    tb_ref ref;
    int bad;

    (void)state;
    assert_int_equal(call_with_a_timer(), 0);
    ref = tb_remote(calls_with_a_timer);
    assert_ok(tb_get(ref, &bad));
    assert_int_equal(bad, 0);
    tb_release(ref);
}

/* ---- tb_must ---- */

static void on_must(int signal)
{
    (void)signal;
    if (tb_retain((tb_ref){0, 0}) == TB_ERR_STATE)
        tb_must(TB_ERR_UNSUPPORTED);
    sem_post(&hit.handled);
}

static int musts(tb_call *call)
{
    struct sigaction act = {.sa_handler = on_must};
    pthread_t interrupter;

    hit.done = false;
    hit.gate = tb_arg_string(call, 0);
    hit.thread = pthread_self();
    sem_init(&hit.handled, 0, 0);
    sigaction(SIGUSR1, &act, NULL);
    if (pthread_create(&interrupter, NULL, interrupt, NULL) != 0)
        abort();
    return tb_get(tb_remote(stands, hit.gate), NULL);
}
TB_TASK(musts, .max_retries = TB_NONE);

static void tb_must_in_a_handler_ends_the_task_with_its_reason(void **state)
{
    struct gate gate = gate_new();
    tb_ref ref = tb_remote(musts, gate.path);

    (void)state;
    assert_fails(TB_ERR_UNSUPPORTED, "TB_ERR_UNSUPPORTED", tb_get(ref, NULL));
    tb_release(ref);
    gate_open(&gate);
    assert_ok(tb_wait_idle(-1));
}

RUN(cmocka_unit_test(a_handler_that_interrupted_a_call_of_the_driver_can_make_none),
    cmocka_unit_test(nor_can_one_that_interrupted_a_call_of_a_task_or_method),
    cmocka_unit_test(one_that_interrupted_the_programs_own_code_can),
    cmocka_unit_test(calls_go_on_whenever_they_are_interrupted),
    cmocka_unit_test(tb_must_in_a_handler_ends_the_task_with_its_reason))
