/* number.h - numbers in texts that do not depend on the locale: settings are the same for a program that calls
 * setlocale and for one that does not. */
#ifndef TBI_NUMBER_H
#define TBI_NUMBER_H

#include <stddef.h>

/* As strtod, and as printf's %.10g; returns `to`. */
double tbi_number_read(const char *text, char **end);
char *tbi_number_write(char *to, size_t size, double x);

#endif
