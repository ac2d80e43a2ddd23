/* says: counter_tb_class_ */
#include <thornback.h>

struct counter { int value; };
tb_actor f(void);
tb_actor f(void)
{
    return tb_actor_new(counter); /* TB_ACTOR or TB_ACTOR_DECLARE is missing */
}
