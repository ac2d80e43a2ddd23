/* nodes.h - for tests over several nodes: which there are and on which hosts, and tasks that hold some
 * of a node's CPUs until the test lets them go. Virtual nodes count as hosts. */
#ifndef TB_NODES_H
#define TB_NODES_H

#include "../run/gate.h"
#include "../run/run.h"

enum { NODES_MAX = 16 };
static tb_node node[NODES_MAX];
static int nnodes;

/* Called after tb_init. */
static inline void nodes_find(void)
{
    nnodes = tb_nodes(node, NODES_MAX);
    if (nnodes < 1 || nnodes > NODES_MAX) {
        fprintf(stderr, "1 to %d worker ranks are needed, there are %d\n", NODES_MAX, nnodes);
        exit(1);
    }
}

/* Begins a job of three nodes or more, each with so many CPUs and no GPUs. */
static inline int nodes_begin(double cpus)
{
    tb_must(tb_init(NULL, NULL, TB_CONFIG(.num_cpus = cpus, .num_gpus = TB_NONE)));
    nodes_find();
    if (nnodes < 3) {
        fprintf(stderr, "3 to %d worker ranks are needed\n", NODES_MAX);
        exit(1);
    }
    return 0;
}

/* A name of the host of a rank: its own, or the first virtual node there. */
static inline const char *host_of(int rank)
{
    static char name[NODES_MAX][16];
    const char *nodes = getenv("TB_VIRTUAL_NODES");

    if (nodes != NULL) { /* all ranks are on one host then */
        snprintf(name[rank], sizeof name[rank], "virtual %d", rank * atoi(nodes) / run_ranks());
        return name[rank];
    }
    for (int i = 0; i < nnodes; i++)
        if (node[i].rank == rank)
            return node[i].host;
    return "none";
}

static inline bool same_host(int a, int b)
{
    return strcmp(host_of(a), host_of(b)) == 0;
}

/* The first worker of each host. Returns: how many. */
static inline int hosts_find(int first[NODES_MAX])
{
    int n = 0;

    for (int i = 0; i < nnodes; i++) {
        int k = 0;

        while (k < n && !same_host(first[k], node[i].rank))
            k++;
        if (k == n)
            first[n++] = node[i].rank;
    }
    return n;
}

struct hold {
    struct gate gate;
    tb_ref ref;
};

static int holds(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, tb_call_rank(call));
}
TB_TASK(holds);

/* Takes CPUs of a node; returns when they are taken. */
static inline struct hold hold_node(int rank, double cpus)
{
    struct hold h = {.gate = gate_new()};

    h.ref = tb_remote_with(holds, TB_OPTIONS(.num_cpus = cpus, .strategy = TB_STRATEGY_NODE,
                                             .node = rank), h.gate.path);
    gate_reach(&h.gate);
    return h;
}

static inline void hold_end(struct hold *h)
{
    gate_open(&h->gate);
    assert_ok(tb_get(h->ref, NULL));
    assert_ok(tb_release(h->ref));
}

/* The same on all workers of the host of `rank`. Returns: how many. */
static inline int hold_host(int rank, double cpus, struct hold h[NODES_MAX])
{
    int n = 0;

    for (int i = 0; i < nnodes; i++)
        if (same_host(node[i].rank, rank))
            h[n++] = hold_node(node[i].rank, cpus);
    return n;
}

static inline void hold_end_all(struct hold *h, int n)
{
    for (int i = 0; i < n; i++)
        hold_end(&h[i]);
}

#endif
