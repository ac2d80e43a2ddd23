#include "util/number.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

/* Of this thread only. Without memory for it the program's own locale has to do. */
static locale_t use_plain(locale_t *plain)
{
    *plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    return *plain != (locale_t)0 ? uselocale(*plain) : (locale_t)0;
}

static void use_again(locale_t before, locale_t plain)
{
    if (plain == (locale_t)0)
        return;
    uselocale(before);
    freelocale(plain);
}

double tbi_number_read(const char *text, char **end)
{
    locale_t plain, before = use_plain(&plain);
    double x = strtod(text, end);

    use_again(before, plain);
    return x;
}

char *tbi_number_write(char *to, size_t size, double x)
{
    locale_t plain, before = use_plain(&plain);

    snprintf(to, size, "%.10g", x);
    use_again(before, plain);
    return to;
}
