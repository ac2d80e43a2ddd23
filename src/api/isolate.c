#include "api/isolate.h"
#include "api/mpi_calls.h"
#include "exec/surroundings.h"
#include "store/segment.h"

#include <string.h>

void tbi_isolate_note_own(struct tbi_job *j)
{
    int rc = tbi_maps_shared(&j->own_shared);

    if (rc != 0)
        fprintf(stderr, "thornback: warning: /proc/self/maps cannot be read: %s\n", strerror(-rc));
}

/* By what is mapped, not by name: every MPI names its queues, windows and locks differently. Without MPI all that
 * came since is ours, and is closed by those who made it. */
int tbi_isolate_tasks(void *ctx)
{
    struct tbi_job *j = ctx;
    int rc = tbi_memory_guard(&j->memory);
    size_t bytes;
    const void *slots = tbi_slots_region(j->slots, &bytes);

    tbi_mpi_refuse(TBI_MPI_TASK);
    tbi_surroundings_watch();
    if (rc != 0 || !j->uses_mpi)
        return rc;
    tbi_ranges_add(&j->own_shared, slots, bytes);
    tbi_ranges_add(&j->own_shared, tbi_memory_bell(&j->memory, j->rank), j->memory.page);
    return tbi_maps_close(&j->own_shared);
}
