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

/* The registers as two words. The flags of the x87, which costs as much as all the rest, are left out. */
static inline void tbi_floats_read(uint64_t word[2])
{
#if defined __x86_64__
    uint32_t sse;
    uint16_t control;

    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(sse), "=m"(control));
    word[0] = sse;
    word[1] = control;
#elif defined __aarch64__
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(word[0]), "=r"(word[1]));
#else
    word[0] = word[1] = 0; /* whatever they are, they are set */
#endif
}

static inline void tbi_floats_save(struct tbi_floats *f)
{
    feclearexcept(FE_ALL_EXCEPT);
    fegetenv(&f->all);
    tbi_floats_read(f->word);
}

/* Most computing raises the flag of an inexact result: that is set back without fesetenv. */
static inline void tbi_floats_restore(const struct tbi_floats *f)
{
    uint64_t word[2];

    tbi_floats_read(word);
#if defined __x86_64__
    if (word[0] != f->word[0]) {
        uint32_t sse = (uint32_t)f->word[0];
        uint16_t x87;

        __asm__ volatile("ldmxcsr %0" : : "m"(sse));
        __asm__ volatile("fnstsw %0" : "=m"(x87));
        if (x87 & 0x3f)
            __asm__ volatile("fnclex");
    }
    if (word[1] != f->word[1])
        fesetenv(&f->all);
#elif defined __aarch64__
    if (word[0] != f->word[0])
        __asm__ volatile("msr fpcr, %0" : : "r"(f->word[0]));
    if (word[1] != f->word[1])
        __asm__ volatile("msr fpsr, %0" : : "r"(f->word[1]));
#else
    fesetenv(&f->all);
#endif
}

#endif
