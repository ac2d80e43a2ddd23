/* document.h - for tables that a document is made of: the file in doc/ is what the table writes. */
#ifndef TB_DOCUMENT_H
#define TB_DOCUMENT_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

static inline void assert_document(const char *name, void (*write)(FILE *))
{
    const char *dir = getenv("srcdir");
    char path[4096], *text = NULL, *written;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);

    write(f);
    fclose(f);
    snprintf(path, sizeof path, "%s/doc/%s", dir != NULL ? dir : ".", name);
    f = fopen(path, "r");
    assert_non_null(f);
    written = calloc(1, bytes + 2);
    assert_int_equal(fread(written, 1, bytes + 1, f), bytes);
    fclose(f);
    assert_string_equal(written, text);
    free(written);
    free(text);
}

#endif
