/* output.h - the zygote's ends of its executors' stdout and stderr: two pipes for each executor,
 * what comes out of them cut into lines (lines.h), and from there into a ring to the rank as OUTPUT
 * records, and into the rank's files if there are any.
 *
 * While the ring has no room the pipes are not read, so that who prints too much waits as he
 * would for a slow terminal; what a dead executor left in its pipes is taken all the same. One
 * thread. */
#ifndef TBI_OUTPUT_H
#define TBI_OUTPUT_H

#include "exec/lines.h"
#include "exec/slots.h"

struct tbi_output_config {
    struct tbi_ring *ring;              /* shared memory, zeroed: we are the producer */
    uint32_t ring_size;
    struct tbi_slots *slots;            /* to tell one task's stderr from another's; may be NULL */
    const char *const *functions;       /* names to precede lines with; NULL: plain lines */
    unsigned nfunctions, rank;
    int file[2];                        /* all lines are also appended there; 0: no file */
};

/* Opens DIR/rank-R.out and DIR/rank-R.err for appending; DIR is made if it is not there. 0, or a
 * negative errno, with both 0. */
int tbi_output_files(const char *dir, unsigned rank, int file[2]);

struct tbi_outputs; /* of all executors */
struct tbi_output;  /* of one */

/* NULL with errno. `config` must live as long. */
struct tbi_outputs *tbi_outputs_create(const struct tbi_output_config *config);

/* When all are closed. */
void tbi_outputs_destroy(struct tbi_outputs *outputs);

/* Readable (poll) when an executor has printed something. */
int tbi_outputs_fd(const struct tbi_outputs *outputs);

/* Takes what has come, if there is room for it. True: do not poll the descriptor now, but come
 * again within a millisecond: there was no room, or more may come and be taken together.
 * `*wrote`: the ring has news. */
bool tbi_outputs_read(struct tbi_outputs *outputs, bool *wrote);

/* Bytes of lines put into OUTPUT records so far. */
uint64_t tbi_outputs_printed(const struct tbi_outputs *outputs);

/* Pipes for an executor to be; ends[2] are what it writes to, the caller's to close. NULL with
 * errno. */
struct tbi_output *tbi_output_open(struct tbi_outputs *outputs, int ends[2]);
/* It is born: before anything is read. */
void tbi_output_begin(struct tbi_output *output, uint32_t proc, uint32_t slot, int pid);
/* In the executor itself: it is the parent's, only our copy's memory is returned. */
void tbi_output_forget(struct tbi_output *output);
/* It is dead, or was never born: all that it has printed is taken, and the pipes are closed,
 * whoever else may still hold them. The end of its stderr goes to `tail`; returns its length. */
size_t tbi_output_close(struct tbi_output *output, char tail[TBI_TAIL]);

#endif
