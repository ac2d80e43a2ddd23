/* says: struct point \* */
#include <thornback.h>

struct point { double x; };
int f(tb_ref r, struct point *p);
int f(tb_ref r, struct point *p)
{
    return tb_get(r, p); /* tb_get_struct */
}
