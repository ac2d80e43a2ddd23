/* run.h - for tests that are a whole program: the job is started before the first test and ended after
 * the last. Under mpirun the same program runs on all ranks, and only rank 0 comes back from
 * tb_init. */
#ifndef TB_RUN_H
#define TB_RUN_H

#include "../unit/unit.h"

#include <thornback.h>

#ifdef __SANITIZE_ADDRESS__
/* MPI unloads its components at the end, and then the leak checker could not tell their leaks, which
 * tests/lsan.supp names, from ours. Exported, so that it comes before libc's. */
__attribute__((visibility("default"))) int dlclose(void *library);
int dlclose(void *library)
{
    (void)library;
    return 0;
}
#endif

/* How many ranks the launcher started, before tb_init: mpirun of Open MPI, or mpiexec of MPICH. */
static inline int run_ranks(void)
{
    const char *size = getenv("OMPI_COMM_WORLD_SIZE");

    if (size == NULL)
        size = getenv("PMI_SIZE");
    return size == NULL ? 1 : atoi(size);
}

static inline int run_begin(void **state)
{
    (void)state;
    tb_must(tb_init(NULL, NULL, NULL));
    return 0;
}

static inline int run_end(void **state)
{
    (void)state;
    return tb_finalize();
}

/* The program's main. */
#define RUN(...)                                                                                   \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests(tests, run_begin, run_end);                                  \
    }

/* The call succeeded; what it says otherwise is shown. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        int rc_of_call_ = (call);                                                                  \
        if (rc_of_call_ != 0)                                                                      \
            fail_msg("%s: %d, %s", #call, rc_of_call_, tb_last_error());                           \
    } while (0)

/* The call failed with this code, and the text says so. */
#define assert_fails(code, text, call)                                                             \
    do {                                                                                           \
        assert_int_equal((call), (code));                                                          \
        if (strstr(tb_last_error(), (text)) == NULL)                                               \
            fail_msg("\"%s\" does not say \"%s\"", tb_last_error(), (text));                       \
    } while (0)

#endif
