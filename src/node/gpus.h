/* gpus.h - which GPUs a process may use, how the ranks of a host share them, and how a task is told
 * which are its. Plain bytes without pointers, so that ranks can send each other what they found.
 *
 * Ids are opaque texts, as the vendor's variable takes them: an index, a UUID, the name of a MIG
 * part, "0.1" for a part of an Intel GPU. Two ranks that name one GPU in two ways cannot be seen
 * through.
 *
 * What is expected of the caller: every worker rank of a host finds its list (before the
 * zygote is forked; no vendor's library is loaded for it, which a forked process could not use
 * any more), the lists go to all ranks of the host, each takes its share. A task is given places
 * in the share; before its function runs, its executor sets tbi_gpus_variable to tbi_gpus_value
 * and unsets tbi_gpus_unset. A task without GPUs gets the value for none. */
#ifndef TBI_GPUS_H
#define TBI_GPUS_H

#include "net/messages.h"
#include "node/system.h"

#include <stdint.h>

/* Whose variable the ids are for. */
enum tbi_gpu_kind { TBI_GPUS_CUDA, TBI_GPUS_ROCR, TBI_GPUS_HIP, TBI_GPUS_ZE };

enum { TBI_GPU_ID = 64 };
struct tbi_gpus {
    uint32_t kind; /* CUDA if there is none: then a given number of GPUs can still be handed out */
    uint32_t n;
    char id[TBI_GPUS_MAX][TBI_GPU_ID]; /* all different */
};

/* What this process may use:
 *   1. CUDA_, ROCR_, HIP_VISIBLE_DEVICES or ZE_AFFINITY_MASK: the first that is set. SLURM sets
 *      several at once: then the first whose vendor's devices are here.
 *   2. SLURM_STEP_GPUS, SLURM_JOB_GPUS, GPU_DEVICE_ORDINAL
 *   3. /dev/nvidia0 ..., AMD's KFD nodes, Intel's render nodes, as far as this process may open
 *      them (containers and SLURM hide some): numbered from 0, as the vendor's runtime does.
 * A list ends before "-1" or "NoDevFiles", as for CUDA. 0, or -1 and a text that says which
 * variable is not possible. */
int tbi_gpus_find(const struct tbi_system *sys, struct tbi_gpus *gpus, char *why, size_t size);

/* What of its list all[me] each of the n worker ranks of a host keeps: a GPU that several ranks
 * list goes to one of them, as evenly as can be and neighbours together; what only one lists
 * stays with it. The same on all ranks. Ids of different kinds are different. */
void tbi_gpus_share(const struct tbi_gpus *all, unsigned n, unsigned me, struct tbi_gpus *mine);

const char *tbi_gpus_variable(uint32_t kind);
/* The value for the GPUs which[0..n), n may be 0; returns its length, as snprintf. */
size_t tbi_gpus_value(const struct tbi_gpus *gpus, const uint32_t *which, unsigned n, char *to,
                      size_t size);
/* Variables, NULL at the end, that would choose once more among the GPUs that the first left. */
const char *const *tbi_gpus_unset(uint32_t kind);

#endif
