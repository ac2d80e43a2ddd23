/* says: char \* */
#include <thornback.h>

int f(tb_ref r);
int f(tb_ref r)
{
    char text[8];

    return tb_get(r, &text[0]); /* a buffer is no output: tb_get_string */
}
