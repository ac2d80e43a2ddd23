/* cores.h - which cores are this rank's. Open MPI's default binds each of one or two ranks to a
 * single core, and executors would inherit that: a default is no choice, so it is widened to what
 * mpirun itself may use and this is split between the worker ranks of a host. What the user or the
 * batch system chose is kept.
 *
 * One CPU of a demand is one physical core, with as many of its hardware threads as are allowed:
 * numerical codes gain little from a second thread, and two tasks on one core would slow each other
 * down. (Ray counts hardware threads; who wants that sets TB_NUM_CPUS.)
 *
 * Cores stand in hwloc's order, by package, NUMA domain, L3 cache: near ones are neighbours. */
#ifndef TBI_CORES_H
#define TBI_CORES_H

#include "node/system.h"

#include <stdbool.h>
#include <stdint.h>

/* Hardware threads of a host, by the kernel's numbers, of which Linux knows no more than this. */
enum { TBI_CPUS_MAX = 8192 };
struct tbi_cpu_set {
    uint64_t bits[TBI_CPUS_MAX / 64];
};

enum { TBI_CORE_THREADS = 8 };
struct tbi_core {
    uint16_t thread[TBI_CORE_THREADS]; /* that are allowed */
    uint16_t nthreads;
    uint16_t l3, numa, package;        /* equal numbers: the same one */
};

struct hwloc_topology;

/* What this process may use now. */
struct tbi_cpu_set tbi_cores_allowed(void);
/* Undoes a binding that nobody chose (see above). Before the zygote is forked. */
void tbi_cores_widen(const struct tbi_system *sys);
/* Binds this process, and what it forks from now on. */
void tbi_cores_bind(const struct tbi_cpu_set *set);
void tbi_cores_bind_thread(int thread, const struct tbi_cpu_set *set); /* by its id; 0: the caller */

/* With fewer CPUs than cores, a quota limits the time, not the place: whoever has one like it may
 * run on these cores too, so tasks are better left unbound within `set`. */
struct tbi_core_share {
    unsigned cpus;          /* to be offered to tasks, at least 1; fewer than cores under a quota */
    struct tbi_cpu_set set; /* to be bound to */
    struct tbi_core *core;  /* the cores of `set`, in order: a task's cores are places in this */
    unsigned ncores;        /* 0: it cannot be found out */
    bool shared;            /* others use them too, for there are more ranks than cores */
};

/* The share of rank `me` of the `n` worker ranks of one host, of which each may use allowed[i]:
 * what it may use alone, and an even part of the rest, in whole cores. A rank that nothing is
 * left for shares cores, and so does who has them. NULL: this host's topology. The same on all
 * ranks of the host. */
struct tbi_core_share tbi_cores_share(struct hwloc_topology *topology,
                                      const struct tbi_cpu_set *allowed, unsigned n, unsigned me);
/* No more CPUs than an even part of `limit` (tbi_machine_cpus), but at least 1. */
void tbi_cores_cap(struct tbi_core_share *share, unsigned limit, unsigned n, unsigned me);
void tbi_cores_free(struct tbi_core_share *share);

#endif
