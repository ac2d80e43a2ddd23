/* says: double \*\* */
#include <thornback.h>

int f(tb_ref r);
int f(tb_ref r)
{
    double *view;
    size_t n;

    return tb_get_array(r, &view, &n); /* views are const */
}
