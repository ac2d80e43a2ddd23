/* cpus.h - for tests whose worker ranks are given 2 CPUs each, in whatever machine. */
#ifndef TB_CPUS_H
#define TB_CPUS_H

#include "run.h"

enum { CPUS = 2, LIMIT_S = 60 /* against hangs; it is never reached */ };
static int ncpus; /* of all nodes */

static inline void assert_all_is_back(void)
{
    double amount = 0;

    do
        assert_ok(tb_available_resources("CPU", &amount));
    while (amount != ncpus);
}

static inline int begin_with_cpus(void **state)
{
    (void)state;
    tb_must(tb_init(NULL, NULL, TB_CONFIG(.num_cpus = CPUS)));
    ncpus = CPUS * tb_nodes(NULL, 0);
    return 0;
}

#endif
