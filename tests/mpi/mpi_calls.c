/* mpi_calls.c - a program that calls MPI itself while Thornback runs (see mpi_calls.sh).
 *
 *   mpi_calls list            the functions that can be named below
 *   mpi_calls driver NAME     the driver calls it: does not come back
 *   mpi_calls thread NAME     another thread of the driver does
 *   mpi_calls tasks           a task each calls one of them; prints how it fared
 *   mpi_calls actor           a method does
 *   mpi_calls allowed         what may be called in a task and in the driver
 *   mpi_calls after           MPI after tb_finalize, for a job alone
 *   mpi_calls finalized       MPI_Finalize after tb_finalize */
#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <thornback.h>

static int a[64], b[64], flag;
static MPI_Comm comm;
static MPI_Request request = MPI_REQUEST_NULL;
static MPI_Status status;
static MPI_Datatype type;
static MPI_Group group;
static MPI_Win win;
static MPI_File file;
static MPI_Info info;
static MPI_Op op;
static void *room;

/* One or more of each family. */
#define CALLS(X)                                                                                   \
    X(Init, (NULL, NULL))                                                                          \
    X(Init_thread, (NULL, NULL, MPI_THREAD_SINGLE, &flag))                                         \
    X(Finalize, ())                                                                                \
    X(Comm_dup, (MPI_COMM_WORLD, &comm))                                                           \
    X(Comm_split, (MPI_COMM_WORLD, 0, 0, &comm))                                                   \
    X(Comm_group, (MPI_COMM_WORLD, &group))                                                        \
    X(Comm_set_errhandler, (MPI_COMM_WORLD, MPI_ERRORS_RETURN))                                    \
    X(Comm_spawn, ("true", MPI_ARGV_NULL, 1, MPI_INFO_NULL, 0, MPI_COMM_SELF, &comm, a))           \
    X(Cart_create, (MPI_COMM_WORLD, 1, a, a, 0, &comm))                                            \
    X(Send, (a, 1, MPI_INT, 0, 7, MPI_COMM_WORLD))                                                 \
    X(Ssend, (a, 1, MPI_INT, 0, 7, MPI_COMM_WORLD))                                                \
    X(Isend, (a, 1, MPI_INT, 0, 7, MPI_COMM_WORLD, &request))                                      \
    X(Recv, (a, 1, MPI_INT, 0, 7, MPI_COMM_WORLD, &status))                                        \
    X(Irecv, (a, 1, MPI_INT, 0, 7, MPI_COMM_WORLD, &request))                                      \
    X(Sendrecv, (a, 1, MPI_INT, 0, 0, b, 1, MPI_INT, 0, 0, MPI_COMM_SELF, &status))                \
    X(Probe, (0, 7, MPI_COMM_WORLD, &status))                                                      \
    X(Iprobe, (0, 7, MPI_COMM_WORLD, &flag, &status))                                              \
    X(Wait, (&request, &status))                                                                   \
    X(Testall, (1, &request, &flag, &status))                                                      \
    X(Send_init, (a, 1, MPI_INT, 0, 7, MPI_COMM_WORLD, &request))                                  \
    X(Barrier, (MPI_COMM_WORLD))                                                                   \
    X(Ibarrier, (MPI_COMM_WORLD, &request))                                                        \
    X(Bcast, (a, 1, MPI_INT, 0, MPI_COMM_WORLD))                                                   \
    X(Reduce, (a, b, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD))                                      \
    X(Allreduce, (a, b, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD))                                      \
    X(Gather, (a, 1, MPI_INT, b, 1, MPI_INT, 0, MPI_COMM_WORLD))                                   \
    X(Alltoall, (a, 1, MPI_INT, b, 1, MPI_INT, MPI_COMM_WORLD))                                    \
    X(Scan, (a, b, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD))                                           \
    X(Win_create, (a, sizeof a, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &win))                           \
    X(Win_allocate_shared, (8, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &room, &win))                     \
    X(Alloc_mem, (8, MPI_INFO_NULL, &room))                                                        \
    X(File_open, (MPI_COMM_SELF, "/dev/null", MPI_MODE_RDONLY, MPI_INFO_NULL, &file))              \
    X(Type_contiguous, (2, MPI_INT, &type))                                                        \
    X(Pack_size, (1, MPI_INT, MPI_COMM_WORLD, &flag))                                              \
    X(Op_create, (NULL, 1, &op))                                                                   \
    X(Info_create, (&info))

static const char *const calls[] = {
#define ROW(name, arguments) "MPI_" #name,
    CALLS(ROW)
#undef ROW
};
enum { NCALLS = sizeof calls / sizeof calls[0] };

static int call_mpi(const char *name)
{
#define CALL(called, arguments)                                                                    \
    if (strcmp(name, "MPI_" #called) == 0)                                                         \
        return MPI_##called arguments;
    CALLS(CALL)
#undef CALL
    fprintf(stderr, "there is no %s here\n", name);
    return -1;
}

static int calls_it(tb_call *call)
{
    return tb_return(call, call_mpi(tb_arg_string(call, 0)));
}
TB_TASK(calls_it); /* with the usual retries, which must not be used up */

static int well(tb_call *call) { return tb_return(call, 1); }
TB_TASK(well);

/* MPI_Abort stands alone: it ends the driver's job as documented, but a task may not call it. */
static int aborts(tb_call *call)
{
    MPI_Abort(MPI_COMM_WORLD, 3);
    return tb_return(call, 1);
}
TB_TASK(aborts);

static int ranks(tb_call *call)
{
    MPI_Comm_rank(MPI_COMM_WORLD, &flag);
    return tb_return(call, flag);
}
TB_TASK(ranks);

static int asks(tb_call *call)
{
    int there, gone, version, sub;
    double t = MPI_Wtime();

    MPI_Initialized(&there);
    MPI_Finalized(&gone);
    MPI_Get_version(&version, &sub);
    return tb_return(call, t <= MPI_Wtime() && MPI_Wtick() > 0 && !gone && version >= 3 ? there : -1);
}
TB_TASK(asks);

struct nobody {
    int nothing;
};
static int method(tb_call *call, struct nobody *self)
{
    (void)self;
    return tb_return(call, MPI_Barrier(MPI_COMM_WORLD));
}
TB_ACTOR(nobody, struct nobody);
TB_METHOD(nobody, method);

static int failed;

static void expect(const char *claim, const char *name, int code, tb_ref r)
{
    tb_error error = {.attempt = 99};
    int v = 0, rc = tb_get(r, &v);
    const char *text = tb_last_error();

    if (rc == code && strstr(text, name) != NULL && strstr(text, "arguments and results") != NULL &&
        tb_error_detail(r, &error) == 0 && error.attempt == 0) {
        printf("[       OK ] %s_%s\n", claim, name);
        return;
    }
    printf("FAILED: %s %s: %d %s (attempt %u)\n", claim, name, rc, text, error.attempt);
    failed = 1;
}

static void *in_a_thread(void *name)
{
    call_mpi(name);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "", *name = argc > 2 ? argv[2] : "";
    pthread_t thread;
    int v = -1, there = -1;

    if (strcmp(how, "list") == 0) {
        for (int i = 0; i < NCALLS; i++)
            puts(calls[i]);
        return 0;
    }
    tb_must(tb_init(&argc, &argv, NULL));
    MPI_Initialized(&there);
    if (strcmp(how, "driver") == 0) {
        printf("%s came back with %d\n", name, call_mpi(name));
    } else if (strcmp(how, "thread") == 0) {
        pthread_create(&thread, NULL, in_a_thread, argv[2]);
        pthread_join(thread, NULL);
        printf("%s came back\n", name);
    } else if (strcmp(how, "tasks") == 0) {
        for (int i = 0; i < NCALLS; i++)
            expect("a_task_fails_that_calls", calls[i], TB_ERR_UNSUPPORTED, tb_remote(calls_it, calls[i]));
        expect("a_task_fails_that_calls", "MPI_Abort", TB_ERR_UNSUPPORTED, tb_remote(aborts));
        expect("a_task_fails_that_calls", "MPI_Comm_rank", TB_ERR_UNSUPPORTED, tb_remote(ranks));
        tb_must(tb_get(tb_remote(well), &v));
    } else if (strcmp(how, "actor") == 0) {
        tb_actor one = tb_actor_new(nobody);

        expect("an_actor_ends_whose_method_calls", "MPI_Barrier", TB_ERR_ACTOR_DIED, tb_actor_call(one, method));
    } else if (strcmp(how, "allowed") == 0) {
        int rank = 0, size = 0;

        tb_must(tb_get(tb_remote(asks), &v));
        if (there) {
            MPI_Comm_rank(MPI_COMM_WORLD, &rank);
            MPI_Comm_size(MPI_COMM_WORLD, &size);
        }
        printf("initialised %d, in a task %d, rank %d of %d\n", there, v, rank, size);
    }
    tb_must(tb_finalize());
    if (strcmp(how, "after") == 0) {
        MPI_Init(NULL, NULL);
        MPI_Allreduce(&(int){5}, &v, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
        MPI_Finalize();
        printf("sum %d\n", v);
    } else if (strcmp(how, "finalized") == 0) {
        MPI_Finalize();
    }
    return failed;
}
