#include "api/start.h"
#include "api/errors.h"
#include "api/options.h"
#include "api/registry.h"
#include "node/machine.h"
#include "util/fault.h"
#include "util/plural.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

bool tbi_start_in_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

int tbi_start_check_threads(void)
{
    struct tbi_system sys = tbi_system_here();
    unsigned threads = tbi_machine_threads(&sys);

    if (!tbi_start_in_main_thread())
        return tbi_error_set(TB_ERR_STATE, "tb_init is called from a second thread: call it from "
                             "the one that runs main, for the processes of tasks end with it");
    if (threads > 1 && dlsym(RTLD_DEFAULT, "GOMP_parallel") != NULL)
        return tbi_error_set(TB_ERR_STATE, "the program has %u threads before tb_init, and GNU "
                             "OpenMP is loaded, which hangs in tasks once it was used: call tb_init "
                             "before the first parallel region", threads);
    if (threads > 1)
        fprintf(stderr, "thornback: warning: the program has %u threads before tb_init; locks that "
                "they hold now stay locked in the processes of tasks\n", threads);
    return 0;
}

/* The options that a task, class or method was registered with. */
static int check_row(const struct tb_task_record_ *row)
{
    enum tbi_kind kind = row->cls != NULL ? TBI_ACTOR : row->method != NULL ? TBI_CALL : TBI_TASK;
    struct tbi_terms ignored;
    int rc = tbi_options_check_kind(row->name, kind, row->options);

    if (rc != 0)
        return rc;
    switch (kind) {
    case TBI_ACTOR:
        return tbi_options_read_actor(row->name, row->options, NULL, NULL, &ignored);
    case TBI_CALL:
        return tbi_options_read_call(row->name, row->method->of->name, row->method->of->options, row->options,
                                     NULL, &ignored);
    default:
        return tbi_options_read(row->name, row->options, NULL, NULL, &ignored);
    }
}

int tbi_start_check_functions(void)
{
    int rc = tbi_registry_freeze();

    for (int i = 0; rc == 0 && i < tbi_registry_count(); i++)
        rc = check_row(tbi_registry_row(i));
    return rc;
}

/* Without any, nothing of the machine can be read, and other libraries fail in ways of their own. */
int tbi_start_check_descriptors(const struct tbi_job *j)
{
    enum { OURS = 7 /* with those of one process of tasks */, MPIS = 24 };
    unsigned wanted = tbi_mpi_launched() ? MPIS : OURS, spare = tbi_descriptors_spare(wanted);
    struct rlimit limit = {0};
    int why = errno;

    if (spare == wanted)
        return 0;
    getrlimit(RLIMIT_NOFILE, &limit);
    tbi_error_set(TB_ERR_OUT_OF_MEMORY, "tb_init on host %s needs %u free descriptors, and there %s %u: %s (the limit, "
                  "ulimit -n, is %llu); close files before, or set it higher", j->hostname, wanted,
                  tbi_plural(spare, "is", "are"), spare, strerror(why), (unsigned long long)limit.rlim_cur);
    if (tbi_mpi_launched()) { /* MPI could not start here, and the other ranks would wait for this one in it */
        fprintf(stderr, "thornback: %s\n", tb_last_error());
        _exit(1);
    }
    return TB_ERR_OUT_OF_MEMORY;
}

int tbi_start_check_page(void)
{
    uint32_t bytes = tbi_page_bytes();
    const char *why = tbi_page_check(bytes);

    return why == NULL ? 0 : tbi_error_set(TB_ERR_UNSUPPORTED, "this system's pages of memory have %u bytes: %s",
                                           bytes, why);
}

int tbi_start_check_faults(const struct tbi_job *j)
{
    struct tbi_fault_plan plan;
    char why[512];

    return tbi_fault_parse(j->settings.fault, &plan, why, sizeof why)
               ? 0 : tbi_error_set(TB_ERR_ARGUMENT, "%s", why);
}
