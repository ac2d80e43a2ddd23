/* walkthrough.c - Ray's "Core Walkthrough" in C, section by section, with every claim asserted: starting, remote
 * functions, passing refs, resources, placement groups, multiple returns, cancelling, objects, fetching results,
 * waiting, and actors: their resources, calling and killing them. Runs as ./walkthrough or under mpirun, with any
 * number of ranks. */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <thornback.h>

#define check(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "walkthrough.c:%d: not true: %s\n", __LINE__, #claim);                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- Remote functions (tasks) ---- */

/* A regular C function that takes a call ... */
static int my_function(tb_call *call)
{
    return tb_return(call, 1);
}
/* ... becomes a remote function by TB_TASK. */
TB_TASK(my_function);

static void pretend_to_compute(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    nanosleep(&t, NULL);
}

static int slow_function(tb_call *call)
{
    pretend_to_compute(0.2);
    return tb_return(call, 1);
}
TB_TASK(slow_function);

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void remote_functions(void)
{
    tb_ref ref = tb_remote(my_function), slow[4];
    double begin;
    int value;

    /* The call returned a ref at once; tb_get waits for the result. */
    tb_must(tb_get(ref, &value));
    check(value == 1);
    tb_must(tb_release(ref));

    /* Calls happen in parallel, in the background. */
    begin = now();
    for (int i = 0; i < 4; i++)
        slow[i] = tb_remote(slow_function); /* this does not block */
    check(now() - begin < 4 * 0.2);
    tb_must(tb_get_all(slow, 4, NULL));
    tb_must(tb_release_all(slow, 4));
}

/* ---- Passing object refs to remote functions ---- */

static int function_with_an_argument(tb_call *call)
{
    int value = tb_arg_int(call, 0); /* a ref arrives as its value */

    return tb_return(call, value + 1);
}
TB_TASK(function_with_an_argument);

static void passing_refs(void)
{
    tb_ref ref1 = tb_remote(my_function), ref2;
    int value;

    tb_must(tb_get(ref1, &value));
    check(value == 1);
    /* The second task is not run until the first has ended, and gets its result wherever it is. */
    ref2 = tb_remote(function_with_an_argument, ref1);
    tb_must(tb_get(ref2, &value));
    check(value == 2);
    tb_must(tb_release(ref1));
    tb_must(tb_release(ref2));
}

/* ---- Specifying required resources ---- */

/* How many GPUs the task may see: the variable names those that it was given. */
static int visible_gpus(void)
{
    const char *ids = getenv("CUDA_VISIBLE_DEVICES");
    int n = ids != NULL && *ids != 0;

    for (; ids != NULL && *ids != 0; ids++)
        n += *ids == ',';
    return n;
}

static int my_gpu_function(tb_call *call)
{
    return tb_return(call, visible_gpus());
}
TB_TASK(my_gpu_function, .num_cpus = 4, .num_gpus = 2); /* runs where both are free */

static int h(tb_call *call)
{
    return tb_return(call, visible_gpus());
}
TB_TASK(h, .num_cpus = 0.5, .num_gpus = 0.5); /* fractions: two of them share a CPU and a GPU */

static int f(tb_call *call)
{
    return tb_return(call, visible_gpus());
}
TB_TASK(f, .resources = {{"Custom", 1}}); /* by default 1 CPU, and nothing else */

static void required_resources(void)
{
    tb_ref refs[3] = {tb_remote(my_gpu_function), tb_remote(h), tb_remote(f)},
           other = tb_remote_with(h, TB_OPTIONS(.num_cpus = TB_NONE, .num_gpus = 1)),
           impossible = tb_remote_with(h, TB_OPTIONS(.num_gpus = 5));
    tb_node first;
    double total;
    int values[3];

    check(tb_nodes(&first, 1) >= 1);
    tb_must(tb_node_resources(first.rank, "GPU", &total));
    check(total == 4); /* of each worker rank, as main has asked for */
    tb_must(tb_get_all(refs, 3, values));
    check(values[0] == 2 && values[1] == 1 && values[2] == 0);
    tb_must(tb_get(other, &values[0])); /* options of a call override those of its task */
    check(values[0] == 1);
    check(tb_get(impossible, &values[0]) == TB_ERR_INFEASIBLE); /* at once, and clearly */
    tb_must(tb_release_all(refs, 3));
    tb_must(tb_release(other));
    tb_must(tb_release(impossible));
}

/* Resources that are set aside together, on one node or over several, for the tasks of a group alone. */
static void placement_groups(void)
{
    const tb_bundle bundles[] = {{.num_cpus = 2}, {.num_cpus = 1, .num_gpus = 1}};
    tb_group group = tb_group_new(bundles, 2, TB_GROUP_STRICT_PACK); /* both on one node, or not at all */
    tb_ref any = tb_remote_with(h, TB_OPTIONS(.group = group)), /* there is a GPU in the second only */
           first = tb_remote_with(my_function, TB_OPTIONS(.group = tb_group_bundle(group, 0))),
           impossible = tb_remote_with(my_gpu_function, TB_OPTIONS(.group = group));
    int ranks[2], value;
    double left;

    tb_must(tb_group_wait(group));
    check(tb_group_nodes(group, ranks, 2) == 2 && ranks[0] == ranks[1]);
    tb_must(tb_node_available_resources(ranks[0], "CPU", &left));
    check(left == 8 - 3); /* for all others */
    tb_must(tb_get(any, &value));
    check(value == 1);
    tb_must(tb_get(first, &value));
    check(value == 1);
    check(tb_get(impossible, &value) == TB_ERR_INFEASIBLE); /* 4 CPUs and 2 GPUs: no bundle has them */
    tb_must(tb_group_remove(group)); /* what still waits or runs in it would be cancelled */
    check(tb_group_wait(group) == TB_ERR_REF);
    tb_must(tb_release_all((tb_ref[]){any, first, impossible}, 3));
}

/* ---- Multiple returns ---- */

static int return_multiple(tb_call *call)
{
    return tb_return(call, 1, 2, 3);
}
TB_TASK(return_multiple);

static void multiple_returns(void)
{
    tb_ref abc[3];
    int values[3];

    tb_must(tb_remote_n(return_multiple, abc, 3));
    tb_must(tb_get_all(abc, 3, values));
    check(values[0] == 1 && values[1] == 2 && values[2] == 3);
    tb_must(tb_release_all(abc, 3));
}

/* ---- Cancelling tasks ---- */

static int blocking_operation(tb_call *call)
{
    pretend_to_compute(10e6);
    return tb_return(call, 0);
}
TB_TASK(blocking_operation);

static void cancelling(void)
{
    tb_ref ref = tb_remote(blocking_operation), dependant = tb_remote(function_with_an_argument, ref);
    int value;

    tb_must(tb_cancel(ref, TB_CANCEL_DEFAULT)); /* running or not */
    check(tb_get(ref, &value) == TB_ERR_CANCELLED);
    check(tb_get(dependant, &value) == TB_ERR_CANCELLED);
    tb_must(tb_release(ref));
    tb_must(tb_release(dependant));
}

/* ---- Objects ---- */

static int sum(tb_call *call)
{
    const double *x;
    double s = 0;
    size_t n;

    tb_must(tb_arg_array(call, 0, &x, &n));
    for (size_t i = 0; i < n; i++)
        s += x[i];
    return tb_return(call, s);
}
TB_TASK(sum);

static void objects(void)
{
    int y = 1, value;
    tb_ref ref = tb_put(y), copy = ref, big, total;
    double *grid = malloc(100000 * sizeof *grid), s;
    const double *view, *again;
    size_t n;

    /* A ref is a plain value that names the object. */
    check(tb_ref_equal(ref, copy));
    tb_must(tb_get(copy, &value));
    check(value == 1);
    tb_must(tb_release(ref));

    /* An array is read in place, where it lies in shared memory; two views are the same memory. */
    for (int i = 0; i < 100000; i++)
        grid[i] = i;
    big = tb_put_array(grid, 100000);
    grid[0] = 7; /* the object is immutable: it was copied */
    tb_must(tb_get_array(big, &view, &n));
    tb_must(tb_get_array(big, &again, NULL));
    check(n == 100000 && view[0] == 0 && view[99999] == 99999 && view == again);
    total = tb_remote(sum, big);
    tb_must(tb_get(total, &s));
    check(s == 99999.0 * 100000 / 2);
    tb_must(tb_unpin(big));
    tb_must(tb_unpin(big));
    tb_must(tb_release(big));
    tb_must(tb_release(total));
    free(grid);
}

/* ---- Fetching results ---- */

static int long_running_function(tb_call *call)
{
    pretend_to_compute(1);
    return tb_return(call, 8);
}
TB_TASK(long_running_function);

static void fetching_results(void)
{
    tb_ref three[3], ref;
    int values[3], value;

    for (int i = 0; i < 3; i++)
        three[i] = tb_put(i);
    tb_must(tb_get_all(three, 3, values)); /* several at once */
    check(values[0] == 0 && values[1] == 1 && values[2] == 2);
    tb_must(tb_release_all(three, 3));

    ref = tb_remote(long_running_function);
    check(tb_get_timeout(ref, &value, 0.05) == TB_ERR_TIMEOUT);
    tb_must(tb_get(ref, &value));
    check(value == 8);
    tb_must(tb_release(ref));
}

static void waiting(void)
{
    const tb_options *no_cpu = TB_OPTIONS(.num_cpus = TB_NONE); /* both run, be there one CPU only */
    tb_ref slow = tb_remote_with(long_running_function, no_cpu);
    tb_ref quick = tb_remote_with(my_function, no_cpu), refs[2] = {slow, quick};
    size_t ready;

    tb_must(tb_wait(refs, 2, 1, -1, &ready));
    /* refs[0 .. ready) are done, the rest is not */
    check(ready == 1 && tb_ref_equal(refs[0], quick) && tb_ref_equal(refs[1], slow));
    tb_must(tb_wait(refs, 2, 2, -1, &ready));
    check(ready == 2 && tb_ref_equal(refs[0], quick)); /* each part keeps its order */
    tb_must(tb_wait(refs, 2, 1, 0, &ready));
    check(ready == 1); /* never more than were asked for; 0 seconds only look */
    tb_must(tb_release_all(refs, 2));
}

/* ---- Remote classes (actors) ---- */

/* A regular C struct and the functions that work on it ... */
struct counter { int value; };

static int counter_init(tb_call *call, struct counter *self)
{
    (void)call; /* its arguments are those of tb_actor_new */
    self->value = 0;
    return 0;
}

static int counter_increment(tb_call *call, struct counter *self)
{
    return tb_return(call, ++self->value);
}

static int counter_pid(tb_call *call, struct counter *self)
{
    (void)self;
    return tb_return(call, (int)getpid());
}

static int counter_slow_increment(tb_call *call, struct counter *self)
{
    pretend_to_compute(0.2);
    return tb_return(call, ++self->value);
}

static int counter_never_returns(tb_call *call, struct counter *self)
{
    pretend_to_compute(10e6);
    return tb_return(call, self->value);
}
/* ... become a class of actors and its methods. */
TB_ACTOR(counter, struct counter, .init = counter_init);
TB_METHOD(counter, counter_increment);
TB_METHOD(counter, counter_pid);
TB_METHOD(counter, counter_slow_increment);
TB_METHOD(counter, counter_never_returns);

/* Required resources of an actor: it has them as long as it lives. */
struct worker { int calls; };

static int worker_look(tb_call *call, struct worker *self)
{
    return tb_return(call, tb_call_rank(call), visible_gpus(), ++self->calls);
}
TB_ACTOR(worker, struct worker, .num_cpus = 2, .num_gpus = 0.5);
TB_METHOD(worker, worker_look);

/* Is so much of it free, as far as the scheduler knows, which hears of ends a moment later? */
static int soon_free(const char *resource, double amount)
{
    double begin = now(), is;

    do
        tb_must(tb_available_resources(resource, &is));
    while (is != amount && now() - begin < 10);
    return is == amount;
}

static void calling_an_actor(void)
{
    tb_actor counter = tb_actor_new(counter), other = tb_actor_new(counter); /* at once */
    tb_ref ref = tb_actor_call(counter, counter_increment), pids[2];
    int value, pid[2];

    tb_must(tb_get(ref, &value));
    check(value == 1);
    /* Each actor runs in a process of its own. */
    pids[0] = tb_actor_call(counter, counter_pid);
    pids[1] = tb_actor_call(other, counter_pid);
    tb_must(tb_get_all(pids, 2, pid));
    check(pid[0] != pid[1] || tb_nodes(NULL, 0) > 1); /* on two hosts they may be equal by chance */
    tb_must(tb_release(ref));
    tb_must(tb_release_all(pids, 2));
    tb_must(tb_actor_release(other)); /* with its last handle an actor ends */
    tb_must(tb_actor_release(counter));
}

static void ten_actors(void)
{
    tb_actor counters[10];
    tb_ref refs[10];
    int values[10];
    double begin, all;

    for (int i = 0; i < 10; i++)
        counters[i] = tb_actor_new(counter);
    /* Methods called on different actors run in parallel. */
    for (int i = 0; i < 10; i++)
        refs[i] = tb_actor_call(counters[i], counter_increment);
    tb_must(tb_get_all(refs, 10, values));
    for (int i = 0; i < 10; i++)
        check(values[i] == 1);
    tb_must(tb_release_all(refs, 10));
    /* An actor that names no CPUs needs one to begin, and none afterwards: ten live on eight. */
    tb_must(tb_cluster_resources("CPU", &all));
    check(soon_free("CPU", all));
    /* Methods called on the same actor run one after the other, in the order of the calls, and share its state. */
    for (int i = 0; i < 5; i++)
        refs[i] = tb_actor_call(counters[0], counter_increment);
    tb_must(tb_get_all(refs, 5, values));
    for (int i = 0; i < 5; i++)
        check(values[i] == i + 2);
    tb_must(tb_release_all(refs, 5));
    begin = now();
    for (int i = 0; i < 10; i++)
        refs[i] = tb_actor_call(counters[i], counter_slow_increment);
    tb_must(tb_get_all(refs, 10, values));
    check(now() - begin < 10 * 0.2 && values[0] == 7 && values[9] == 2);
    tb_must(tb_release_all(refs, 10));
    for (int i = 0; i < 10; i++)
        tb_must(tb_actor_release(counters[i]));
}

static void resources_of_actors(void)
{
    tb_actor a = tb_actor_new(worker), b = tb_actor_new_with(worker, TB_OPTIONS(.num_cpus = 1, .num_gpus = 1)),
             impossible = tb_actor_new_with(worker, TB_OPTIONS(.num_cpus = 9));
    tb_ref look[3];
    double all;
    int v[3];

    tb_must(tb_actor_call_n(a, worker_look, look, 3));
    tb_must(tb_get_all(look, 3, v));
    check(v[1] == 1 && v[2] == 1); /* half a GPU is one that others may see, too */
    tb_must(tb_release_all(look, 3));
    tb_must(tb_actor_call_n(b, worker_look, look, 3));
    tb_must(tb_get_all(look, 3, v));
    check(v[1] == 1 && v[2] == 1);
    tb_must(tb_release_all(look, 3));
    tb_must(tb_cluster_resources("CPU", &all));
    check(soon_free("CPU", all - 3)); /* also while no method runs */
    tb_must(tb_actor_call_n(impossible, worker_look, look, 3));
    check(tb_get(look[0], v) == TB_ERR_INFEASIBLE);
    tb_must(tb_release_all(look, 3));
    tb_must(tb_actor_release(a));
    tb_must(tb_actor_release(b));
    tb_must(tb_actor_release(impossible));
}

/* A method that runs is stopped by killing the actor. */
static void killing_an_actor(void)
{
    tb_actor c = tb_actor_new(counter);
    tb_ref first = tb_actor_call(c, counter_increment), runs = tb_actor_call(c, counter_never_returns),
           waits = tb_actor_call(c, counter_increment), late;
    int value;

    tb_must(tb_get(first, &value));
    check(value == 1);
    tb_must(tb_kill(c, TB_KILL_NO_RESTART));
    check(tb_get(runs, &value) == TB_ERR_ACTOR_DIED); /* at once */
    check(tb_get(waits, &value) == TB_ERR_ACTOR_DIED);
    late = tb_actor_call(c, counter_increment);
    check(tb_get(late, &value) == TB_ERR_ACTOR_DIED);
    tb_must(tb_release_all((tb_ref[]){first, runs, waits, late}, 4));
    tb_must(tb_actor_release(c));
}

static void actors_in_placement_groups(void)
{
    const tb_bundle bundles[] = {{.num_cpus = 2}, {.num_cpus = 2, .num_gpus = 1}};
    tb_group group = tb_group_new(bundles, 2, TB_GROUP_PACK);
    tb_actor a = tb_actor_new_with(worker, TB_OPTIONS(.group = group)); /* there are GPUs in the second bundle only */
    tb_ref look[3];
    int ranks[2], v[3];

    check(tb_group_nodes(group, ranks, 2) == 2);
    tb_must(tb_actor_call_n(a, worker_look, look, 3));
    tb_must(tb_get_all(look, 3, v));
    check(v[0] == ranks[1] && v[1] == 1);
    tb_must(tb_release_all(look, 3));
    tb_must(tb_group_remove(group)); /* which ends the actors in it */
    tb_must(tb_actor_call_n(a, worker_look, look, 3));
    check(tb_get(look[0], v) == TB_ERR_ACTOR_DIED);
    tb_must(tb_release_all(look, 3));
    tb_must(tb_actor_release(a));
}

int main(int argc, char **argv)
{
    /* ---- Starting ---- */
    /* With NULL, what is found: the cores and GPUs of the machines. */
    tb_must(tb_init(&argc, &argv, TB_CONFIG(.num_cpus = 8, .num_gpus = 4,
                                            .resources = {{"Custom", 2}})));

    remote_functions();
    passing_refs();
    required_resources();
    placement_groups();
    multiple_returns();
    cancelling();
    objects();
    fetching_results();
    waiting();
    calling_an_actor();
    ten_actors();
    resources_of_actors();
    killing_an_actor();
    actors_in_placement_groups();
    printf("every claim of the walk-through holds\n");
    return tb_finalize();
}
