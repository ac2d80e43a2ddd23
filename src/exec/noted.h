/* noted.h - functions of the C library that change something of the process which the next task would find: in their
 * place others are called, here and in exec/noted_*.c, that note it first. */
#ifndef TBI_NOTED_H
#define TBI_NOTED_H

#include <stdbool.h>
#include <stddef.h>

/* What can be changed: it is saved before the first change in a task, and undone behind it, in this order. */
enum tbi_noted_kind {
    TBI_NOTED_TIMERS, TBI_NOTED_SIGNALS, TBI_NOTED_DIRECTORY, TBI_NOTED_UMASK, TBI_NOTED_VARIABLES, TBI_NOTED_LIMITS,
    TBI_NOTED_AFFINITY,
    TBI_NOTED_STANDARD, /* descriptors 0 to 2: only looked at */
    TBI_NOTED_LASTING,  /* whatever cannot be undone */
    TBI_NOTED_KINDS
};

/* To be called before the change; nothing unless a task runs in this process. Keeps errno. */
void tbi_note(enum tbi_noted_kind kind);
/* As if there had been no change. */
void tbi_note_none(enum tbi_noted_kind kind);

typedef void tbi_function(void);
struct tbi_noted {
    const char *name;
    tbi_function *noted;
    void *own;          /* a variable, which is set to the C library's own; NULL: that is not needed */
};

/* A function that notes a kind and then calls the C library's own, which is `own_name`. */
#define TBI_NOTED(kind, result, name, parameters, arguments)                                       \
    static result (*own_##name) parameters;                                                        \
    static result noted_##name parameters                                                          \
    {                                                                                              \
        tbi_note(kind);                                                                            \
        return own_##name arguments;                                                               \
    }
#define TBI_NOTED_ROW(name) {#name, (tbi_function *)noted_##name, &own_##name}

/* Each ends with a row without a name. */
extern const struct tbi_noted tbi_noted_signals[], tbi_noted_attributes[], tbi_noted_files[], tbi_noted_threads[];

/* ---- noted_signals.c, noted_attributes.c, noted_files.c: saving, and undoing; false: it was not possible ---- */

void tbi_signals_start(void);
void tbi_signals_save(void);
bool tbi_signals_undo(void);
bool tbi_timers_undo(void);

void tbi_limits_save(void);
bool tbi_limits_undo(void);
void tbi_affinity_save(void);
bool tbi_affinity_undo(void);

void tbi_standard_start(void);
bool tbi_standard_undo(void);

#endif
