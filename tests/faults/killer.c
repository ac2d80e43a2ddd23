/* killer.c - an executor is killed every 50 ms while trees of nested tasks with large objects run, all
 * of them with unlimited retries: every result must be right. Arguments: seconds. Prints what was
 * survived. */
#include "killer.h"

#include <thornback.h>

enum { ELEMENTS = 128 * 1024, DEPTH = 4 }; /* 1 MiB an object */

/* The sum of the arrays of its two children; a leaf makes its own. arguments: depth, seed */
static int tree(tb_call *call)
{
    int depth = tb_arg_int(call, 0);
    int64_t seed = tb_arg_int64(call, 1), *out;

    if (depth > 0) {
        tb_ref child[2];
        const int64_t *in[2];
        size_t n[2];

        for (int i = 0; i < 2; i++)
            child[i] = tb_remote(tree, depth - 1, 2 * seed + i);
        for (int i = 0; i < 2; i++) {
            int rc = tb_get_array(child[i], &in[i], &n[i]);

            if (rc != 0)
                return rc;
        }
        tb_must(tb_return_array(call, 0, &out, ELEMENTS));
        for (size_t i = 0; i < ELEMENTS; i++)
            out[i] = in[0][i] + in[1][i];
        return 0;
    }
    tb_must(tb_return_array(call, 0, &out, ELEMENTS));
    for (int64_t i = 0; i < ELEMENTS; i++)
        out[i] = seed * i + 1;
    return 0;
}
TB_TASK(tree, .max_retries = -1);

static int64_t expected(int depth, int64_t seed, int64_t i)
{
    return depth == 0 ? seed * i + 1
                      : expected(depth - 1, 2 * seed, i) + expected(depth - 1, 2 * seed + 1, i);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    time_t end;
    int trees = 0, kills;

    tb_must(tb_init(&argc, &argv, NULL));
    killer_begin(argv[0], 50);
    for (end = time(NULL) + (time_t)seconds; time(NULL) < end;) {
        tb_ref r[4];

        for (int k = 0; k < 4; k++)
            r[k] = tb_remote(tree, DEPTH, (int64_t)(trees + k));
        for (int k = 0; k < 4; k++, trees++) {
            const int64_t *view;
            size_t n;

            tb_must(tb_get_array(r[k], &view, &n));
            for (int64_t i = 0; i < ELEMENTS; i += 997)
                if (n != ELEMENTS || view[i] != expected(DEPTH, trees, i)) {
                    fprintf(stderr, "tree %d is wrong at %lld\n", trees, (long long)i);
                    return 1;
                }
        }
        tb_must(tb_release_all(r, 4));
    }
    kills = killer_end();
    printf("survived %d kills in %g s: %d trees of %d tasks, all right\n", kills, seconds, trees,
           (2 << DEPTH) - 1);
    tb_must(tb_finalize());
    return kills > 0 && trees > 0 ? 0 : 1;
}
