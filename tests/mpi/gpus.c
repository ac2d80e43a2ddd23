/* gpus.c - prints, for gpus.sh, which GPUs the tasks of each worker rank are given: all of the rank's at
 * once, and then each of them alone, held together:
 *
 *     rank 1: 2 GPUs; all: GPU-aaa,GPU-bbb; single: GPU-aaa GPU-bbb
 *
 * or, for a job without any, what a task that asks for one fails with. What tb_call_gpus says and what the
 * vendor's variable has are compared here. */
#include "nodes.h"

enum { GPUS_MAX = 16 };
static const char *const variables[] = {"CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
                                        "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"};

/* The ids joined by commas, which one of the variables must have; returns them. Waits at a gate. */
static int has(tb_call *call)
{
    const char *id[GPUS_MAX], *value;
    char ids[GPUS_MAX * 64] = "";
    int n = tb_call_gpus(call, id, GPUS_MAX), found = 0;

    for (int i = 0; i < n && i < GPUS_MAX; i++)
        snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%s%s", i > 0 ? "," : "", id[i]);
    for (size_t v = 0; v < sizeof variables / sizeof variables[0]; v++)
        found += (value = getenv(variables[v])) != NULL && strcmp(value, ids) == 0;
    if (found == 0)
        return tb_fail(call, "no variable of the task has %s", ids);
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, ids);
}
TB_TASK(has, .num_cpus = TB_NONE);

static tb_ref ask(int rank, double gpus, struct gate *g)
{
    *g = gate_new();
    return tb_remote_with(has, TB_OPTIONS(.num_gpus = gpus, .strategy = TB_STRATEGY_NODE, .node = rank),
                          g->path);
}

static void print_and_release(const char *before, tb_ref r)
{
    char ids[GPUS_MAX * 64];

    tb_must(tb_get_string(r, ids, sizeof ids));
    printf("%s%s", before, ids);
    tb_must(tb_release(r));
}

int main(void)
{
    double all;

    tb_must(tb_init(NULL, NULL, NULL));
    nodes_find();
    tb_must(tb_cluster_resources("GPU", &all));
    for (int i = 0; i < nnodes; i++) {
        int n = (int)node[i].num_gpus;
        struct gate g[GPUS_MAX];
        tb_ref r[GPUS_MAX];

        printf("rank %d: %d GPUs", node[i].rank, n);
        if (n > 0 && n <= GPUS_MAX) {
            r[0] = ask(node[i].rank, n, &g[0]);
            gate_open(&g[0]);
            print_and_release("; all: ", r[0]);
            for (int k = 0; k < n; k++)
                r[k] = ask(node[i].rank, 1, &g[k]);
            for (int k = 0; k < n; k++)
                gate_reach(&g[k]);
            for (int k = 0; k < n; k++) {
                gate_open(&g[k]);
                print_and_release(k == 0 ? "; single: " : " ", r[k]);
            }
        }
        printf("\n");
    }
    if (all == 0) {
        tb_ref r = tb_remote_with(has, TB_OPTIONS(.num_gpus = 1), "");
        int rc = tb_get(r, NULL);

        printf("a task that asks for one: %d %s\n", rc, tb_last_error());
        tb_must(tb_release(r));
    }
    return tb_finalize();
}
