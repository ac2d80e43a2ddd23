/* cluster.c - what the job has and what of it is free: tb_nodes and kin. */
#include "api/errors.h"
#include "api/process.h"

#include <string.h>

static bool works(const struct tbi_cluster *c, unsigned rank)
{
    return c->totals[rank * c->resources->n + TBI_CPUS] > 0;
}

static double total(const struct tbi_cluster *c, unsigned rank, int resource)
{
    return (double)c->totals[rank * c->resources->n + (unsigned)resource] / TBI_UNIT;
}

int tb_nodes(tb_node *nodes, int max)
{
    struct tbi_process *p = tbi_process_enter("tb_nodes");
    const struct tbi_cluster *c;
    int n = 0;

    if (p == NULL)
        return TB_ERR_STATE;
    c = p->cluster;
    for (unsigned r = 0; r < c->nranks; r++) {
        if (!works(c, r))
            continue;
        if (n < max) {
            nodes[n] = (tb_node){.rank = (int)r, .num_cpus = total(c, r, TBI_CPUS),
                                 .num_gpus = total(c, r, TBI_GPUS),
                                 .memory = (int64_t)total(c, r, TBI_MEMORY)};
            memcpy(nodes[n].host, c->hostname[r], sizeof nodes[n].host);
        }
        n++;
    }
    tbi_process_leave(p);
    return n;
}

void tbi_cluster_print(const struct tbi_cluster *c, FILE *to)
{
    for (unsigned r = 0; r < c->nranks; r++) {
        fprintf(to, "thornback: rank %u on %s: ", r, c->hostname[r]);
        if (!works(c, r)) {
            fprintf(to, "%s\n", r == 0 ? "the driver, runs no tasks" : "runs no tasks");
            continue;
        }
        fprintf(to, "%g CPUs, %g GPUs, %.4g GB for tasks", total(c, r, TBI_CPUS),
                total(c, r, TBI_GPUS), total(c, r, TBI_MEMORY) / 1e9);
        for (unsigned i = TBI_CUSTOM; i < c->resources->n; i++)
            if (strchr(c->resources->name[i], '=') == NULL && total(c, r, (int)i) > 0)
                fprintf(to, ", %g %s", total(c, r, (int)i), c->resources->name[i]);
            else if (total(c, r, (int)i) > 0)
                fprintf(to, ", %s", c->resources->name[i]);
        fprintf(to, "\n");
    }
}

static bool is_answered(void *arg)
{
    return ((struct tbi_inquiry *)arg)->answered;
}

/* 0, or TB_ERR_STATE or TB_ERR_CANCELLED. */
static int inquire(struct tbi_process *p, unsigned rank, int resource, double *amount)
{
    struct tbi_inquiry inquiry = {.next = p->inquiries, .ticket = ++p->next_ticket}, **at;
    struct msg_inquire *m = p->port.send(p->port.ctx, TBI_MSG_INQUIRE, sizeof *m);

    *m = (struct msg_inquire){.ticket = inquiry.ticket, .rank = rank,
                              .resource = (uint32_t)resource};
    p->inquiries = &inquiry;
    tbi_process_wait(p, is_answered, &inquiry, UINT64_MAX);
    for (at = &p->inquiries; *at != &inquiry; at = &(*at)->next) {
    }
    *at = inquiry.next;
    if (!inquiry.answered)
        return tbi_process_why_ended(p);
    *amount += (double)inquiry.amount / TBI_UNIT;
    return 0;
}

enum { ALL = -1 };

static int ask(const char *function, int rank, const char *name, bool available, double *amount)
{
    struct tbi_process *p;
    int resource, rc = 0;

    if (amount == NULL || name == NULL)
        return tbi_error_set(TB_ERR_ARGUMENT, "%s: name or amount is NULL", function);
    *amount = 0;
    p = tbi_process_enter(function);
    if (p == NULL)
        return TB_ERR_STATE;
    resource = tbi_resources_find(p->cluster->resources, name);
    if (resource < 0)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "%s: no node has a resource or label '%s'; it is \"CPU\", "
                           "\"GPU\", \"memory\" or one of TB_RESOURCES and TB_LABELS", function, name);
    else if (rank < ALL || rank >= (int)p->cluster->nranks)
        rc = tbi_error_set(TB_ERR_ARGUMENT, "%s: rank %d: the job has ranks 0 to %u", function, rank,
                           p->cluster->nranks - 1);
    for (unsigned r = 0; rc == 0 && r < p->cluster->nranks; r++) {
        if ((rank != ALL && (int)r != rank) || !works(p->cluster, r))
            continue;
        if (available)
            rc = inquire(p, r, resource, amount);
        else
            *amount += total(p->cluster, r, resource);
    }
    if (rc != 0)
        *amount = 0;
    tbi_process_leave(p);
    return rc;
}

int tb_cluster_resources(const char *name, double *amount)
{
    return ask("tb_cluster_resources", ALL, name, false, amount);
}

int tb_available_resources(const char *name, double *amount)
{
    return ask("tb_available_resources", ALL, name, true, amount);
}

static int ask_rank(const char *function, int rank, const char *name, bool available,
                    double *amount)
{
    return ask(function, rank < 0 ? ALL - 1 : rank, name, available, amount); /* no rank means all */
}

int tb_node_resources(int rank, const char *name, double *amount)
{
    return ask_rank("tb_node_resources", rank, name, false, amount);
}

int tb_node_available_resources(int rank, const char *name, double *amount)
{
    return ask_rank("tb_node_available_resources", rank, name, true, amount);
}
