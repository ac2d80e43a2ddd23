/* tree.h - a made-up machine for tests: files below a temporary folder, and environment variables.
 * One at a time. tree_begin and tree_end are CMocka's setup and teardown. */
#ifndef TB_TREE_H
#define TB_TREE_H

#include "node/system.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TREE_VARIABLES = 16 };
static struct {
    char root[32];
    const char *name[TREE_VARIABLES], *value[TREE_VARIABLES];
    unsigned n;
    struct tbi_unread unread;
} tree;

static inline char *tree_getenv(const char *name)
{
    for (unsigned i = 0; i < tree.n; i++)
        if (strcmp(tree.name[i], name) == 0)
            return (char *)tree.value[i];
    return NULL;
}

static inline struct tbi_system tree_system(void)
{
    return (struct tbi_system){tree.root, tree_getenv, &tree.unread};
}

static inline int tree_begin(void **state)
{
    (void)state;
    memset(&tree, 0, sizeof tree);
    strcpy(tree.root, "/tmp/tb_tree_XXXXXX");
    return mkdtemp(tree.root) == NULL ? -1 : 0;
}

static inline int tree_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline int tree_end(void **state)
{
    (void)state;
    return nftw(tree.root, tree_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes the folders above `path` and returns its real name. */
static inline const char *tree_make_way(const char *path)
{
    static char at[512];

    snprintf(at, sizeof at, "%s%s", tree.root, path);
    for (char *slash = at + strlen(tree.root); (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        mkdir(at, 0700);
        *slash = '/';
    }
    return at;
}

static inline void tree_file(const char *path, const char *text)
{
    FILE *f = fopen(tree_make_way(path), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static inline void tree_link(const char *path, const char *to)
{
    assert_int_equal(symlink(to, tree_make_way(path)), 0);
}

static inline void tree_set(const char *name, const char *value)
{
    assert_true(tree.n < TREE_VARIABLES);
    tree.name[tree.n] = name;
    tree.value[tree.n++] = value;
}

#endif
