/* imports.h - the functions that the loaded programs and libraries import from each other, and another in the place
 * of one: the entries of ELF's global offset tables. Calls within one object go by no table and are not seen.
 * For 64-bit Linux on x86-64 and aarch64; elsewhere there is nothing to visit. */
#ifndef TBI_IMPORTS_H
#define TBI_IMPORTS_H

/* What is to stand in the entry for `name` in place of `now`, which may be a stub of the dynamic linker that is
 * still to look the function up. `now` leaves it as it is. */
typedef void *tbi_import_visitor(void *ctx, const char *name, void *now);

/* Visits each entry of each object that is loaded now. Other threads may run meanwhile. */
void tbi_imports_visit(tbi_import_visitor *visit, void *ctx);

#endif
