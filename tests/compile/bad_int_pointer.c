/* says: int \* */
#include <thornback.h>
tb_value f(int *p) { return tb_value_of(p); }
