/* floats.h - how this thread computes with floating point: rounding, traps, flushing to zero, and the flags of what has
 * happened. Looking costs a few nanoseconds, where fegetenv and fesetenv cost as much as a tenth of an empty task. */
#ifndef TBI_FLOATS_H
#define TBI_FLOATS_H

#include <fenv.h>
#include <stdint.h>

struct tbi_floats {
    fenv_t all;
    uint64_t word[2];
};

/* The registers as two words, with no flag set that was not. */
static inline void tbi_floats_read(uint64_t word[2])
{
#if defined __x86_64__
    uint32_t sse;
    uint16_t control, status;

    __asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfnstsw %2" : "=m"(sse), "=m"(control), "=m"(status));
    word[0] = sse;
    word[1] = (uint64_t)control << 16 | (status & 0x3f);
#elif defined __aarch64__
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(word[0]), "=r"(word[1]));
#else
    static uint64_t changes;

    word[0] = word[1] = __atomic_add_fetch(&changes, 1, __ATOMIC_RELAXED); /* whatever they are, they are set */
#endif
}

static inline void tbi_floats_save(struct tbi_floats *f)
{
    feclearexcept(FE_ALL_EXCEPT);
    fegetenv(&f->all);
    tbi_floats_read(f->word);
}

static inline void tbi_floats_restore(const struct tbi_floats *f)
{
    uint64_t word[2];

    tbi_floats_read(word);
    if (word[0] != f->word[0] || word[1] != f->word[1])
        fesetenv(&f->all);
}

#endif
