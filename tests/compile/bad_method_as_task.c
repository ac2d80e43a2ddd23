/* says: incompatible .*pointer type */
#include <thornback.h>

struct counter { int value; };
static int counter_read(tb_call *call, struct counter *self) { return call == 0 && self->value; }
TB_ACTOR(counter, struct counter);
TB_METHOD(counter, counter_read);
tb_ref f(void);
tb_ref f(void)
{
    return tb_remote(counter_read); /* tb_actor_call */
}
