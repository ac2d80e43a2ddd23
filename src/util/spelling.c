#include "util/spelling.h"

#include <string.h>

/* Levenshtein's edit distance, for names of up to 39 characters. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[40], n = (unsigned)strlen(b);

    if (n > 39)
        return 100;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1] != 0; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

const char *tbi_spelling_nearest(const char *word, const char *(*name)(unsigned i), unsigned n)
{
    const char *nearest = name(0);
    unsigned least = distance(word, nearest);

    for (unsigned i = 1; i < n; i++) {
        unsigned d = distance(word, name(i));

        if (d < least) {
            least = d;
            nearest = name(i);
        }
    }
    return nearest;
}
