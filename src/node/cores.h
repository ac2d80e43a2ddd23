/* cores.h - which cores are this rank's. Open MPI's default binds each of one or two ranks to a single
 * core, and executors would inherit that: a default is no choice, so it is widened to all cores of
 * the host and these are split between its worker ranks. What the user or the batch system chose is
 * kept. */
#ifndef TBI_CORES_H
#define TBI_CORES_H

#include <stdbool.h>
#include <stdint.h>

/* CPUs (hardware threads) of a host, by the kernel's numbers. */
enum { TBI_CPUS_MAX = 1024 };
struct tbi_cpu_set {
    uint64_t bits[TBI_CPUS_MAX / 64];
};

/* What this process may use now. */
struct tbi_cpu_set tbi_cores_allowed(void);
/* Undoes a binding that nobody chose (see above). Before the zygote is forked. */
void tbi_cores_widen(void);
/* Binds this process, and what it forks from now on. */
void tbi_cores_bind(const struct tbi_cpu_set *set);

struct tbi_core_share {
    unsigned cores;         /* at least 1 */
    struct tbi_cpu_set set; /* to be bound to */
    bool shared;            /* there are more ranks than cores: they share all of them */
};

/* The share of rank `me` of the `n` worker ranks of one host, of which each may use allowed[i]. Sets
 * that do not overlap stay as they are; otherwise all cores are split evenly, near ones together. */
struct tbi_core_share tbi_cores_share(const struct tbi_cpu_set *allowed, unsigned n, unsigned me);

#endif
