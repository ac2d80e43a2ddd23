/* points.c - a job to have faults in (see points.sh): some trees of tasks, and how they fared. With
 * the argument "leak" the driver forgets a ref without giving it back, as a broken runtime might. */
#include "work.h"

#include "api/process.h"

#include <string.h>

static void forget(tb_ref ref)
{
    struct tbi_process *p = tbi_process_enter("points");
    struct tbi_handle *h = tbi_map_take(&p->handles, tbi_id_of(ref));

    free(h->blob);
    free(h);
    tbi_process_leave(p);
}

int main(int argc, char **argv)
{
    struct work_outcome o;

    tb_must(tb_init(&argc, &argv, NULL));
    if (argc > 1 && strcmp(argv[1], "leak") == 0) {
        tb_ref object = work_child(0, 1, 0);
        size_t ready;

        tb_must(tb_wait_with(&object, 1, 1, -1, TB_WAIT_ONLY_EXISTS, &ready));
        forget(object);
        return tb_finalize();
    }
    o = work_trees(24, 2, 1);
    printf("%d right, %d failed\n", o.right, o.crashed + o.full);
    return tb_finalize();
}
