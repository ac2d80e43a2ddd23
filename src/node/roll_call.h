/* roll_call.h - SIGUSR2: a rank that gets it says what it waits for; rank 0 also has all the others do so, and names
 * those that do not answer. What is said is in report.h. */
#ifndef TBI_ROLL_CALL_H
#define TBI_ROLL_CALL_H

#include <stdbool.h>
#include <stdint.h>

/* The next turn of the loop is to report. Safe in a signal handler; ring the loop's bell then. */
void tbi_roll_call_ask(void);
bool tbi_roll_call_is_asked(void);
/* Was it asked for? Then that is done with. */
bool tbi_roll_call_take(void);
/* For another thread than the loop's: how long the loop has not heard of it. 0: it is not asked for. */
uint64_t tbi_roll_call_unheard_us(uint64_t now_us);

/* On rank 0: who has not answered. */
struct tbi_roll_call {
    unsigned nranks, nmissing;
    bool *missing;
    uint64_t due_us;    /* when to name those that are missing; UINT64_MAX: none are, or they were named */
};
void tbi_roll_call_init(struct tbi_roll_call *call, unsigned nranks);
void tbi_roll_call_fini(struct tbi_roll_call *call);
/* All ranks but 0 were asked. */
void tbi_roll_call_begin(struct tbi_roll_call *call, uint64_t now_us);
void tbi_roll_call_answered(struct tbi_roll_call *call, unsigned rank);
/* It is time: names those that are missing, at most a few, on stderr. */
void tbi_roll_call_tick(struct tbi_roll_call *call, uint64_t now_us,
                        const char *(*host_of)(void *ctx, unsigned rank), void *ctx);

#endif
