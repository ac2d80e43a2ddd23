/* spelling.h - which known word was probably meant by an unknown one. */
#ifndef TBI_SPELLING_H
#define TBI_SPELLING_H

/* Of name(0) .. name(n - 1), n > 0, the one that takes the fewest edits to come to from `word`. */
const char *tbi_spelling_nearest(const char *word, const char *(*name)(unsigned i), unsigned n);

#endif
