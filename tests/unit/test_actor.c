/* test_actor.c - holds api/actor, submit, instance and call: what is sent for actors and their calls, that handles
 * are told to the agent once, and how the process of an actor answers RUN. Agent and head are played by the tests,
 * which give the answers. */
#include "unit.h"
#include "api/call.h"
#include "api/errors.h"
#include "api/instance.h"
#include "api/registry.h"
#include "exec/surroundings.h"
#include "net/codec.h"

struct counter { int value; char text[16]; };
static int finished;

static int counter_init(tb_call *call, struct counter *self)
{
    if (self->value != 0 || tb_num_args(call) != 1)
        return 77;
    self->value = tb_arg_int(call, 0);
    if (self->value < 0)
        return tb_fail(call, "%d is negative", self->value);
    if (self->value == 1000)
        return tb_return(call, 5);
    if (self->value == 50)
        tb_must(tb_actor_retain(tb_call_actor(call)));
    return 0;
}
static int counter_restore(tb_call *call, struct counter *self)
{
    self->value = 100 * tb_arg_int(call, 0) + tb_arg_int(call, 1);
    return 0;
}
static void counter_fini(struct counter *self) { finished = self->value; }
static int counter_add(tb_call *call, struct counter *self)
{
    return tb_return(call, self->value += tb_arg_int(call, 0));
}
static int counter_save(tb_call *call, struct counter *self)
{
    tb_ref saved = tb_put(self->value);
    int rc = tb_actor_checkpoint(call, saved);

    return rc != 0 ? rc : tb_return(call);
}
static int counter_leave(tb_call *call, struct counter *self)
{
    (void)self;
    return tb_actor_exit(call) | tb_return(call, 3);
}
static int counter_self(tb_call *call, struct counter *self)
{
    tb_actor me = tb_call_actor(call);
    int rc = tb_actor_retain(me);

    self->text[0] = 'k';
    tb_release(tb_actor_call(me, counter_add, 1));
    return rc != 0 ? rc : tb_return(call, me);
}
static int counter_fickle(tb_call *call, struct counter *self)
{
    tb_ref made = tb_put(self->value++);

    (void)made;
    return tb_call_attempt(call) < 2 ? TB_ERR_TYPE : tb_return(call, self->value);
}
TB_ACTOR(counter, struct counter, .init = counter_init, .fini = counter_fini, .restore = counter_restore,
         .concurrency_groups = {{"io", 2}});
TB_METHOD(counter, counter_add);
TB_METHOD(counter, counter_save, .concurrency_group = "io", .max_task_retries = 2);
TB_METHOD(counter, counter_leave);
TB_METHOD(counter, counter_self);
TB_METHOD(counter, counter_fickle);

static int bare_save(tb_call *call, int *self)
{
    (void)self;
    return tb_actor_checkpoint(call, tb_put(1));
}
TB_ACTOR(bare, int);
TB_METHOD(bare, bare_save);

static int task(tb_call *call) { return tb_actor_exit(call); }
TB_TASK(task);

/* ---- a process whose agent is played ---- */

enum { JOB = 7, RANK = 1, PROC = 2 };
static const struct tbi_resources resources = {.n = 3, .name = {"CPU", "GPU", "memory"}};
static const struct tbi_cluster cluster = {.nranks = 2, .resources = &resources};

struct fake {
    struct tbi_process process;
    struct tbi_instance instance;
    struct tbi_outbox sent;
    struct tbi_slot slot;
    struct tbi_places places;
    void (*answer)(struct fake *);      /* what comes when somebody waits */
    struct tbi_id found, submitted;     /* for answers */
    uint32_t retry_codes;               /* of calls */
};

static void *fake_send(void *ctx, enum tbi_msg type, size_t size)
{
    return tbi_outbox_append(&((struct fake *)ctx)->sent, type, PROC, size);
}

static bool fake_flush(void *ctx)
{
    (void)ctx;
    return false;
}

static void fake_progress(void *ctx, uint64_t seen, uint64_t deadline_us)
{
    struct fake *f = ctx;

    (void)seen, (void)deadline_us;
    assert_non_null(f->answer);
    f->answer(f);
}

static int setup(void **state)
{
    struct fake *f = calloc(1, sizeof *f);

    if (tbi_registry_freeze() != 0)
        return -1;
    f->process = (struct tbi_process){
        .job = JOB, .rank = RANK, .proc = PROC, .cluster = &cluster, .host = "here", .limits = {2048, 65536},
        .places = &f->places, .instance = &f->instance,
        .port = {f, fake_send, fake_flush, fake_progress, NULL}};
    tbi_process_init(&f->process);
    finished = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fake *f = *state;

    tbi_process_close(&f->process, false);
    tbi_process_fini(&f->process);
    tbi_instance_drop(&f->instance);
    tbi_outbox_fini(&f->sent);
    free(f);
    return 0;
}

/* The next record, which must be of that type. */
static const void *next(struct fake *f, enum tbi_msg type)
{
    const struct tbi_record *r = (const void *)(f->sent.data + f->sent.begin);
    const char *why;

    if (tbi_outbox_bytes(&f->sent) == 0)
        fail_msg("nothing was sent, not even %s", tbi_msg_info[type].name);
    why = tbi_record_check(r, tbi_outbox_bytes(&f->sent));
    if (why != NULL)
        fail_msg("%s: %s", tbi_msg_info[r->type].name, why);
    assert_string_equal(tbi_msg_info[r->type].name, tbi_msg_info[type].name);
    f->sent.begin += r->len;
    return r + 1;
}

static void nothing_more(const struct fake *f)
{
    if (tbi_outbox_bytes(&f->sent) > 0)
        fail_msg("%s was sent", tbi_msg_info[((const struct tbi_record *)(f->sent.data + f->sent.begin))->type].name);
}

static void sends_id(struct fake *f, enum tbi_msg type, tb_actor actor)
{
    const struct msg_object *m = next(f, type);

    assert_true(tbi_id_equal(m->id, tbi_actor_id(actor)));
}

/* The agent sends this. */
static void deliver(struct fake *f, enum tbi_msg type, const void *body, size_t size)
{
    struct tbi_outbox one = {0};

    memcpy(tbi_outbox_append(&one, type, PROC, size), body, size);
    assert_true(tbi_process_take(&f->process, (const void *)one.data));
    tbi_outbox_fini(&one);
}

/* A new actor, with its SUBMIT taken. */
static tb_actor make(struct fake *f)
{
    tb_actor a = tb_actor_new(counter, 1);

    next(f, TBI_MSG_SUBMIT);
    return a;
}

/* ---- from outside ---- */

static void making_an_actor_is_a_submit_of_its_kind(void **state)
{
    struct fake *f = *state;
    tb_actor a = tb_actor_new_with(counter, TB_OPTIONS(.name = "sum", .name_space = "stats", .max_restarts = 2,
                                                       .max_task_retries = -1, .max_pending_calls = 9,
                                                       .max_concurrency = 3, .lifetime = TB_LIFETIME_DETACHED), 4);
    const struct msg_submit *m = next(f, TBI_MSG_SUBMIT);
    const struct msg_actor *actor = tbi_submit_actor(m);

    assert_true(tbi_id_equal(m->task, tbi_actor_id(a)));
    assert_int_equal(m->fn, tbi_registry_find_class(counter_tb_class_, "counter"));
    assert_true(m->kind == TBI_ACTOR && m->nreturns == 1 && m->nargs == 1 && m->cpus == 10000);
    assert_true(m->max_retries == 2 && m->depth == 0 && tbi_id_is_null(m->parent));
    assert_int_equal(actor->flags, TBI_ACTOR_PLACED_ONLY | TBI_ACTOR_DETACHED);
    assert_true(actor->max_task_retries == -1 && actor->max_pending == 9 && actor->ticket == 0);
    assert_true(actor->nlanes == 2 && actor->lane[0] == 3 && actor->lane[1] == 2);
    assert_int_equal(actor->name_bytes, 10);
    assert_memory_equal(actor + 1, "stats\0sum\0", 10);
    assert_int_equal(tb_actor_release(a), 0);
    sends_id(f, TBI_MSG_RELEASE, a);
    a = tb_actor_new_with(bare, TB_OPTIONS(.num_cpus = TB_NONE, .name = "n"));
    m = next(f, TBI_MSG_SUBMIT);
    actor = tbi_submit_actor(m);
    assert_true(m->cpus == 0 && actor->flags == 0 && actor->nlanes == 1 && actor->name_bytes == 3);
    assert_memory_equal(actor + 1, "\0n\0", 3);
    nothing_more(f);
    assert_int_equal(tb_actor_release(a), 0);
}

static void a_call_holds_its_actor_last(void **state)
{
    struct fake *f = *state;
    tb_actor a = make(f), other = make(f);
    tb_ref late = tb_put(1), r;
    const struct msg_submit *m;
    const struct tbi_id *refs;

    next(f, TBI_MSG_PUT);
    r = tb_actor_call(a, counter_add, late, other);
    m = next(f, TBI_MSG_SUBMIT);
    refs = tbi_submit_refs(m);
    assert_true(m->kind == TBI_CALL && m->cpus == 0 && m->nmore == 0 && m->strategy == TBI_DEFAULT);
    assert_true(m->nargs == 2 && m->nresolve == 1 && m->nrefs == 3 && m->nreturns == 1);
    assert_int_equal(m->max_retries, TBI_RETRIES_DEFAULT);
    assert_true(tbi_id_equal(refs[0], tbi_id_of(late)) && tbi_id_equal(refs[1], tbi_actor_id(other)) &&
                tbi_id_equal(refs[2], tbi_actor_id(a)));
    assert_true(tbi_id_equal(tbi_submit_call(m)->actor, tbi_actor_id(a)));
    assert_true(tbi_submit_call(m)->lane == 0 && tbi_submit_call(m)->seq == 0);
    assert_int_equal(tb_release(r), 0);
    next(f, TBI_MSG_RELEASE);
    assert_int_equal(tb_actor_call_n(a, counter_save, NULL, 0), 0);
    m = next(f, TBI_MSG_SUBMIT);
    assert_true(m->nreturns == 0 && m->max_retries == 2 && tbi_submit_call(m)->lane == 1);
    r = tb_actor_call_with(a, counter_add, TB_OPTIONS(.concurrency_group = "io", .max_task_retries = TB_NONE), 1);
    m = next(f, TBI_MSG_SUBMIT);
    assert_true(m->max_retries == 0 && tbi_submit_call(m)->lane == 1);
    nothing_more(f);
    tb_release_all((tb_ref[]){r, late}, 2);
    tb_actor_release(a);
    tb_actor_release(other);
}

static void expect(tb_ref r, int code, const char *text)
{
    assert_int_equal(tb_get(r, NULL), code);
    if (strstr(tb_last_error(), text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", tb_last_error(), text);
    if (!tb_ref_is_null(r) && (r.hi >> TBI_ID_JOB_AT) != 0)
        assert_int_equal(tb_release(r), 0);
}

static void what_is_no_call_fails_at_once(void **state)
{
    struct fake *f = *state;
    tb_actor a = make(f), null = {0, 0}, foreign = {UINT64_C(9) << TBI_ID_JOB_AT, 1 << 16}, gone = make(f);

    tb_actor_release(gone);
    next(f, TBI_MSG_RELEASE);
    expect(tb_actor_call(null, counter_add, 1), TB_ERR_REF, "the actor is null");
    expect(tb_actor_call(foreign, counter_add, 1), TB_ERR_REF, "another job");
    expect(tb_actor_call(gone, counter_add, 1), TB_ERR_REF, "does not hold it");
    expect(tb_actor_call_(a, (tb_function_ *)task, "task", NULL, NULL, 0), TB_ERR_UNREGISTERED, "by tb_remote");
    expect(tb_remote_((tb_task_fn *)(tb_function_ *)counter_add, "counter_add", NULL, NULL, 0), TB_ERR_UNREGISTERED,
           "by tb_actor_call");
    expect(tb_actor_call_with(a, counter_add, TB_OPTIONS(.num_cpus = 1), 1), TB_ERR_ARGUMENT, "num_cpus = 1");
    expect(tb_actor_call_with(a, counter_add, TB_OPTIONS(.concurrency_group = "x"), 1), TB_ERR_ARGUMENT,
           "class 'counter' does not have (it has: io)");
    assert_int_equal(tb_actor_call_v(a, counter_add, NULL, NULL, 2, NULL, 0), TB_ERR_ARGUMENT);
    assert_int_equal(tb_kill(null, 0), TB_ERR_REF);
    assert_int_equal(tb_kill(a, 8), TB_ERR_ARGUMENT);
    assert_int_equal(tb_actor_retain(null), TB_ERR_REF);
    assert_int_equal(tb_actor_release(gone), TB_ERR_REF);
    assert_non_null(strstr(tb_last_error(), "actor 7:1.2:2.0 is released, but"));
    nothing_more(f);
    assert_int_equal(tb_kill(a, TB_KILL_NO_RESTART), 0);
    assert_int_equal(((const struct msg_cancel *)next(f, TBI_MSG_KILL))->flags, TB_KILL_NO_RESTART);
    tb_actor_release(a);
}

static void calls_of_an_actor_that_failed_at_once_fail_as_it_did(void **state)
{
    struct fake *f = *state;
    tb_actor a = tb_actor_new_with(counter, TB_OPTIONS(.max_retries = 3), 1), b;

    expect(tb_actor_call(a, counter_add, 1), TB_ERR_ARGUMENT, "an actor has max_restarts");
    expect(tb_remote(task, a), TB_ERR_ARGUMENT, "an actor has max_restarts");
    assert_int_equal(tb_kill(a, 0), 0);
    b = tb_actor_new(bare, 1);
    expect(tb_actor_call(b, bare_save), TB_ERR_ARGUMENT, "'bare' is made with 1 argument, but its class has no");
    assert_int_equal(tb_actor_release(a), 0);
    assert_int_equal(tb_actor_release(b), 0);
    nothing_more(f);
}

/* ---- by name ---- */

static void answer_found(struct fake *f)
{
    struct msg_found m = {.id = f->found, .submitted = f->submitted, .ticket = f->process.next_ticket};

    deliver(f, TBI_MSG_FOUND, &m, sizeof m);
}

static void an_actor_that_is_found_is_held_once(void **state)
{
    struct fake *f = *state;
    tb_actor a, b, is = {tbi_id_make(JOB, 0, 0, 5, 0).hi, tbi_id_make(JOB, 0, 0, 5, 0).lo};
    const struct msg_find *m;

    f->answer = answer_found;
    f->found = tbi_actor_id(is);
    assert_int_equal(tb_get_actor("sum", NULL, &a), 0);
    assert_true(tb_actor_equal(a, is));
    m = next(f, TBI_MSG_FIND);
    assert_int_equal(m->name_bytes, 5);
    assert_memory_equal(m + 1, "\0sum\0\0\0\0", 8);
    TB_SCOPE {
        assert_int_equal(tb_get_actor("sum", "stats", &b), 0);
        next(f, TBI_MSG_FIND);
        sends_id(f, TBI_MSG_RELEASE, is); /* it was counted again, and once is enough */
    }
    nothing_more(f);
    assert_int_equal(tb_actor_release(a), 0);
    sends_id(f, TBI_MSG_RELEASE, is);
    f->found = (struct tbi_id){0};
    assert_int_equal(tb_get_actor("sum", "stats", &a), TB_ERR_ARGUMENT);
    assert_string_equal(tb_last_error(), "there is no actor named \"sum\" in namespace \"stats\": none was made, or "
                                         "it has ended");
    assert_true(tb_actor_is_null(a));
    assert_int_equal(tb_get_actor(NULL, NULL, &a), TB_ERR_ARGUMENT);
}

static void get_if_exists_gives_the_actor_that_there_is(void **state)
{
    struct fake *f = *state;
    tb_actor a, is = {tbi_id_make(JOB, 0, 0, 5, 0).hi, tbi_id_make(JOB, 0, 0, 5, 0).lo};
    const struct msg_submit *m;

    f->answer = answer_found;
    f->found = tbi_actor_id(is);
    a = tb_actor_new_with(counter, TB_OPTIONS(.name = "sum", .get_if_exists = true), 1);
    m = next(f, TBI_MSG_SUBMIT);
    assert_true(tbi_submit_actor(m)->flags & TBI_ACTOR_GET && tbi_submit_actor(m)->ticket == f->process.next_ticket);
    assert_true(tb_actor_equal(a, is) && !tbi_id_equal(m->task, f->found));
    assert_int_equal(f->process.handles.count, 1); /* what was submitted is nobody's */
    assert_int_equal(tb_actor_release(a), 0);
    sends_id(f, TBI_MSG_RELEASE, is);
    /* its own */
    f->found = f->submitted = tbi_id_make(JOB, RANK, PROC, f->process.counter + 1, 0);
    a = tb_actor_new_with(counter, TB_OPTIONS(.name = "sum", .get_if_exists = true), 1);
    m = next(f, TBI_MSG_SUBMIT);
    assert_true(tbi_id_equal(m->task, tbi_actor_id(a)));
    nothing_more(f);
    assert_int_equal(tb_actor_release(a), 0);
    sends_id(f, TBI_MSG_RELEASE, a);
    /* by nobody any more: its process was cancelled meanwhile, say */
    deliver(f, TBI_MSG_FOUND, &(struct msg_found){.id = tbi_actor_id(is), .ticket = 99}, sizeof(struct msg_found));
    sends_id(f, TBI_MSG_RELEASE, is);
    assert_int_equal(f->process.handles.count, 0);
}

/* ---- in the actor's process ---- */

enum { ARGS = 2 };
static uint64_t number;

/* Runs `fn` with these numbers as arguments, in the actor with that id or as it. Ends as the executor would. */
static void run(struct fake *f, enum tbi_kind kind, int fn, struct tbi_id task_id, unsigned nargs, const int *args,
                unsigned flags)
{
    size_t size = sizeof(struct msg_run) + ARGS * (sizeof(struct tbi_run_arg) + 24) + sizeof(struct msg_actor);
    struct msg_run *m = calloc(1, size);
    struct tbi_run_arg *arg = (struct tbi_run_arg *)(m + 1);
    uint8_t *data = (uint8_t *)(arg + nargs);

    *m = (struct msg_run){.task = task_id, .attempt = 1, .fn = (uint32_t)fn, .data_bytes = 24 * nargs,
                          .nreturns = 1, .nargs = (uint16_t)nargs, .kind = (uint16_t)kind, .number = number++,
                          .retry_codes = f->retry_codes, .max_retries = 3};
    for (unsigned i = 0; i < nargs; i++) {
        tb_value v = tb_value_of(args[i]);

        arg[i] = (struct tbi_run_arg){TBI_ARG_INLINE, 0, 24 * i, tbi_value_packed_size(&v)};
        tbi_value_pack(&v, data + 24 * i);
    }
    if (kind == TBI_ACTOR)
        *(struct msg_actor *)(data + 24 * nargs) = (struct msg_actor){.flags = (uint16_t)flags, .nlanes = 1,
                                                                      .lane = {1}};
    tbi_call_run(&f->process, &f->slot, m);
    if (f->instance.run != m)
        free(m);
}

static const struct tbi_id me = {(uint64_t)JOB << TBI_ID_JOB_AT, 9 << 16}, call_id = {(uint64_t)JOB << TBI_ID_JOB_AT, 10 << 16};

static void construct(struct fake *f, int value, unsigned flags)
{
    run(f, TBI_ACTOR, tbi_registry_find_class(counter_tb_class_, "counter"), me, 1, &value, flags);
}

static void call_method(struct fake *f, tb_function_ *method, unsigned nargs, const int *args)
{
    run(f, TBI_CALL, tbi_registry_find_method(method, "?"), call_id, nargs, args, 0);
}

static void end_life(struct fake *f)
{
    struct msg_run *was = (struct msg_run *)f->instance.run;

    tbi_instance_end(&f->instance);
    free(was);
}

/* A DONE with one number. */
static void returns(struct fake *f, int value)
{
    const struct msg_done *m = next(f, TBI_MSG_DONE);
    const struct tbi_result *result = (const struct tbi_result *)(m + 1);
    struct tbi_view view;
    int got;

    assert_int_equal(m->error, 0);
    assert_int_equal(m->nresults, 1);
    assert_int_equal(tbi_value_open(result + 1, result->bytes, &view), 0);
    assert_int_equal(tbi_value_read(&view, TB_INT32, &got, sizeof got), 0);
    assert_int_equal(got, value);
}

static void done_says(struct fake *f, int code, const char *text)
{
    const struct msg_done *m = next(f, TBI_MSG_DONE);
    const struct tbi_error_link *link = (const struct tbi_error_link *)(m + 1);

    assert_int_equal(m->error, code);
    assert_true(m->nkept == 0 && m->exits == 0);
    if (strstr(link->message, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", link->message, text);
}

static void an_actor_keeps_its_state_from_call_to_call_until_its_fini(void **state)
{
    struct fake *f = *state;
    const struct msg_done *m;

    construct(f, 5, TBI_ACTOR_PLACED_ONLY);
    m = next(f, TBI_MSG_CONSTRUCTED);
    assert_true(tbi_id_equal(m->task, me) && m->attempt == 1 && m->nresults == 0 && m->nkept == 0 && m->error == 0);
    call_method(f, (tb_function_ *)counter_add, 1, (int[]){10});
    returns(f, 15);
    call_method(f, (tb_function_ *)counter_add, 1, (int[]){-1});
    returns(f, 14);
    call_method(f, (tb_function_ *)counter_add, 0, NULL);
    done_says(f, TB_ERR_ARGUMENT, "'counter_add' has 0 arguments");
    assert_false(f->instance.exits);
    nothing_more(f);
    end_life(f);
    assert_int_equal(finished, 14);
}

static void a_failing_constructor_is_a_failing_task(void **state)
{
    struct fake *f = *state;

    construct(f, -3, 0);
    done_says(f, TB_ERR_TASK, "-3 is negative");
    assert_true(tbi_id_is_null(f->instance.id));
    construct(f, 1000, 0);
    done_says(f, TB_ERR_TASK, "'counter' returns 1 result, its caller asked for 0");
    run(f, TBI_ACTOR, tbi_registry_find_class(counter_tb_class_, "counter"), me, 2, (int[]){1, 2}, 0);
    done_says(f, TB_ERR_TASK, "'counter' returned 77");
    end_life(f);
    assert_int_equal(finished, 0); /* there was nothing to end */
}

static void what_a_failed_attempt_made_is_released_before_the_next(void **state)
{
    struct fake *f = *state;

    construct(f, 5, 0);
    next(f, TBI_MSG_CONSTRUCTED);
    call_method(f, (tb_function_ *)counter_fickle, 0, NULL); /* the first attempt is number 1 here */
    next(f, TBI_MSG_PUT);
    done_says(f, TB_ERR_TYPE, "'counter_fickle' returned");
    next(f, TBI_MSG_RELEASE);
    f->retry_codes = 1 << -TB_ERR_TYPE;
    call_method(f, (tb_function_ *)counter_fickle, 0, NULL);
    next(f, TBI_MSG_PUT);
    next(f, TBI_MSG_RELEASE);
    next(f, TBI_MSG_PUT);
    returns(f, 8);
    next(f, TBI_MSG_RELEASE);
    nothing_more(f);
    end_life(f);
}

static void a_method_of_another_class_is_refused_by_both_names(void **state)
{
    struct fake *f = *state;

    call_method(f, (tb_function_ *)counter_add, 1, (int[]){1});
    done_says(f, TB_ERR_STATE, "no actor lives");
    construct(f, 1, 0);
    next(f, TBI_MSG_CONSTRUCTED);
    call_method(f, (tb_function_ *)bare_save, 0, NULL);
    done_says(f, TB_ERR_TYPE, "'bare_save' is a method of class 'bare', and the actor is of class 'counter'");
    end_life(f);
}

static void an_actor_is_restored_with_its_checkpoint_as_last_argument(void **state)
{
    struct fake *f = *state;
    const struct msg_checkpoint *m;
    struct tbi_id saved;

    run(f, TBI_ACTOR, tbi_registry_find_class(counter_tb_class_, "counter"), me, 2, (int[]){3, 7}, TBI_ACTOR_RESTORES);
    next(f, TBI_MSG_CONSTRUCTED);
    call_method(f, (tb_function_ *)counter_add, 1, (int[]){0});
    returns(f, 307);
    call_method(f, (tb_function_ *)counter_save, 0, NULL);
    saved = ((const struct msg_put *)next(f, TBI_MSG_PUT))->id;
    m = next(f, TBI_MSG_CHECKPOINT);
    assert_true(tbi_id_equal(m->actor, me) && tbi_id_equal(m->object, saved));
    done_says(f, TB_ERR_TASK, "0 results, its caller asked for 1");
    assert_true(tbi_id_equal(((const struct msg_object *)next(f, TBI_MSG_RELEASE))->id, saved));
    end_life(f);
}

static void what_only_methods_may_do_is_refused_elsewhere(void **state)
{
    struct fake *f = *state;

    run(f, TBI_TASK, tbi_registry_find(task, "task"), call_id, 0, NULL, 0);
    done_says(f, TB_ERR_STATE, "tb_actor_exit in 'task', which is not a method: others end an actor by tb_kill");
    run(f, TBI_ACTOR, tbi_registry_find_class(bare_tb_class_, "bare"), me, 0, NULL, 0);
    next(f, TBI_MSG_CONSTRUCTED);
    call_method(f, (tb_function_ *)bare_save, 0, NULL);
    next(f, TBI_MSG_PUT);
    done_says(f, TB_ERR_UNSUPPORTED, "class 'bare' has no .restore");
    end_life(f);
}

static void a_method_ends_its_actor(void **state)
{
    struct fake *f = *state;
    const struct msg_done *m;

    construct(f, 5, 0);
    next(f, TBI_MSG_CONSTRUCTED);
    call_method(f, (tb_function_ *)counter_leave, 0, NULL);
    m = next(f, TBI_MSG_DONE);
    assert_true(m->error == 0 && m->exits == 1);
    assert_true(f->instance.exits);
    end_life(f);
    assert_int_equal(finished, 5);
}

/* A handle of itself that a call keeps is the process's from then on. */
static void an_actor_may_keep_a_handle_of_itself(void **state)
{
    struct fake *f = *state;
    const struct msg_done *m;
    const struct msg_submit *submit;

    construct(f, 50, 0); /* retains itself */
    m = next(f, TBI_MSG_CONSTRUCTED);
    assert_int_equal(m->nkept, 1);
    assert_true(tbi_id_equal(*(const struct tbi_id *)(m + 1), me));
    assert_int_equal(tb_actor_release(tbi_actor_of(me)), 0);
    sends_id(f, TBI_MSG_RELEASE, tbi_actor_of(me));
    call_method(f, (tb_function_ *)counter_self, 0, NULL);
    submit = next(f, TBI_MSG_SUBMIT);
    assert_true(submit->kind == TBI_CALL && submit->depth == 1 && tbi_id_equal(submit->parent, call_id));
    next(f, TBI_MSG_RELEASE); /* of the call's ref */
    m = next(f, TBI_MSG_DONE);
    assert_true(m->nkept == 1 && ((const struct tbi_result *)(m + 1))->nrefs == 1);
    assert_int_equal(tb_actor_release(tbi_actor_of(me)), 0);
    sends_id(f, TBI_MSG_RELEASE, tbi_actor_of(me));
    nothing_more(f);
    end_life(f);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(making_an_actor_is_a_submit_of_its_kind),
        TEST(a_call_holds_its_actor_last),
        TEST(what_is_no_call_fails_at_once),
        TEST(calls_of_an_actor_that_failed_at_once_fail_as_it_did),
        TEST(an_actor_that_is_found_is_held_once),
        TEST(get_if_exists_gives_the_actor_that_there_is),
        TEST(an_actor_keeps_its_state_from_call_to_call_until_its_fini),
        TEST(a_failing_constructor_is_a_failing_task),
        TEST(what_a_failed_attempt_made_is_released_before_the_next),
        TEST(a_method_of_another_class_is_refused_by_both_names),
        TEST(an_actor_is_restored_with_its_checkpoint_as_last_argument),
        TEST(what_only_methods_may_do_is_refused_elsewhere),
        TEST(a_method_ends_its_actor),
        TEST(an_actor_may_keep_a_handle_of_itself),
    };
    tbi_surroundings_start(); /* as an executor does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
