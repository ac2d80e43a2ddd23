/* says: struct counter \* */
#include <thornback.h>

struct counter { int value; };
int f(tb_ref r, struct counter *counter);
int f(tb_ref r, struct counter *counter)
{
    return tb_get(r, counter); /* a state does not travel; its handle does */
}
