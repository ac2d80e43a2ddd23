/* driver.h - rank 0's program as a process, and who runs rank 0's loop: the driver's thread that waits,
 * or else a progress thread.
 *
 * While a thread leads, the progress thread sleeps. A leader that leaves does not wake it: it arms the
 * bell in its name, so that the next news does (design rule 11, without a hand-off in the common
 * case). Submitting takes the process's short lock alone, appends and rings. */
#ifndef TBI_DRIVER_H
#define TBI_DRIVER_H

#include "api/process.h"
#include "node/loop.h"

struct tbi_driver;

/* `process` has everything but its port, which is set here. Starts the progress thread. NULL with
 * errno: no thread. The loop's config is completed with the driver's port. */
struct tbi_driver *tbi_driver_create(struct tbi_process *process, struct tbi_loop_config *config);

/* Ends the job on all ranks and the progress thread, when all calls of the process, which is closed, have
 * returned. `settles`: the driver holds no ref; when the tasks have ended, each rank says what it has
 * left. */
void tbi_driver_end(struct tbi_driver *driver, bool settles);
void tbi_driver_destroy(struct tbi_driver *driver);

#endif
