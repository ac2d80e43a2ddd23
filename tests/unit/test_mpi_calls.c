/* test_mpi_calls.c - holds api/mpi_calls: which of MPI's functions the program may call where, by their names in C
 * and Fortran; and util/imports: a function that this program imports is replaced in it, and given back. */
#include "unit.h"
#include "api/mpi_calls.h"
#include "util/imports.h"

#include <dlfcn.h>
#include <unistd.h>

static void a_task_may_not_call_MPI_by_any_name(void **state)
{
    static const char *const name[] = {
        "MPI_Send", "PMPI_Send", "mpi_send_", "mpi_send__", "mpi_send", "pmpi_send_", "mpi_send_f08_",
        "MPI_Init", "MPI_Init_thread", "mpi_init_", "MPI_Finalize", "MPI_Abort", "MPI_Comm_rank", "mpi_comm_rank_",
        "MPI_Barrier", "MPI_Ibarrier", "MPI_Win_create", "MPI_File_open", "MPI_T_init_thread", "MPI_Session_init",
        "MPI_Not_invented_yet",
        "MPIX_Comm_revoke", "PMPIX_Comm_revoke"};

    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++)
        if (tbi_mpi_allowed(TBI_MPI_TASK, name[i]))
            fail_msg("%s", name[i]);
}

static void what_changes_nothing_may_be_called_anywhere(void **state)
{
    static const char *const name[] = {"MPI_Initialized", "MPI_Finalized", "MPI_Get_version", "MPI_Wtime", "MPI_Wtick",
                                       "mpi_initialized_", "mpi_wtime_", "mpi_initialized_f08_", "PMPI_Wtime"};

    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++)
        for (int caller = TBI_MPI_DRIVER; caller <= TBI_MPI_TASK; caller++)
            if (!tbi_mpi_allowed((enum tbi_mpi_caller)caller, name[i]))
                fail_msg("%s", name[i]);
}

static void a_driver_with_ranks_may_ask_who_it_is_and_abort(void **state)
{
    static const char *const name[] = {"MPI_Comm_rank", "MPI_Comm_size", "mpi_comm_size_", "MPI_Get_processor_name",
                                       "MPI_Query_thread", "MPI_Abort"};

    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
        assert_true(tbi_mpi_allowed(TBI_MPI_DRIVER, name[i]));
        assert_false(tbi_mpi_allowed(TBI_MPI_DRIVER_ALONE, name[i]));
    }
    assert_false(tbi_mpi_allowed(TBI_MPI_DRIVER, "MPI_Send"));
    assert_false(tbi_mpi_allowed(TBI_MPI_DRIVER, "mpi_send_"));
}

static void the_librarys_own_names_work_in_the_driver(void **state)
{
    (void)state;
    assert_true(tbi_mpi_allowed(TBI_MPI_DRIVER, "PMPI_Isend"));
    assert_true(tbi_mpi_allowed(TBI_MPI_DRIVER, "pmpi_isend_"));
    assert_false(tbi_mpi_allowed(TBI_MPI_TASK, "PMPI_Isend"));
}

static void what_is_not_MPIs_is_left_alone(void **state)
{
    static const char *const name[] = {"malloc", "printf", "Mpi_Send", "MPIR_Foo", "MPIX", "mpi", "pmpix", "P", "", "mpfr_add"};

    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++)
        if (!tbi_mpi_allowed(TBI_MPI_TASK, name[i]))
            fail_msg("%s", name[i]);
}

/* ---- imports ---- */

static pid_t my_getppid(void) { return 4711; }

static void *ours(void *ctx, const char *name, void *now)
{
    (void)ctx;
    return strcmp(name, "getppid") == 0 ? (void *)my_getppid : now;
}

static void *theirs(void *ctx, const char *name, void *now)
{
    return strcmp(name, "getppid") == 0 && now == (void *)my_getppid ? ctx : now;
}

static void an_import_is_replaced_and_given_back(void **state)
{
    pid_t parent = getppid();

    (void)state;
    tbi_imports_visit(ours, NULL);
    assert_int_equal(getppid(), 4711);
    tbi_imports_visit(theirs, dlsym(RTLD_DEFAULT, "getppid"));
    assert_int_equal(getppid(), parent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_may_not_call_MPI_by_any_name),
        cmocka_unit_test(what_changes_nothing_may_be_called_anywhere),
        cmocka_unit_test(a_driver_with_ranks_may_ask_who_it_is_and_abort),
        cmocka_unit_test(the_librarys_own_names_work_in_the_driver),
        cmocka_unit_test(what_is_not_MPIs_is_left_alone),
        cmocka_unit_test(an_import_is_replaced_and_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
