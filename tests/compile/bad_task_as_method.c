/* says: too many arguments to function */
#include <thornback.h>

static int task(tb_call *call) { return call == 0; }
TB_TASK(task);
tb_ref f(tb_actor a);
tb_ref f(tb_actor a)
{
    return tb_actor_call(a, task); /* tb_remote */
}
