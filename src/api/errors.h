/* errors.h - this thread's last error. Whoever first decides that something is an error says so
 * here, once; callers only pass the code on. */
#ifndef TBI_ERRORS_H
#define TBI_ERRORS_H

#include "thornback.h"

/* Remembers the text and returns the code, so that failing is one line. */
int tbi_error_set(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tbi_error_clear(void); /* tb_last_error gives "" */

const char *tbi_type_name(int type); /* "int32"; "unknown type" for what is none */

/* Says on stderr that something failed and that nobody has read why: a packed error's first link.
 * After some reports the others are only counted; tbi_error_report_rest says how many there were. */
void tbi_error_report_unread(const void *error);
void tbi_error_report_rest(void);

#endif
