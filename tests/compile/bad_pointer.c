/* says: void \* */
#include <thornback.h>
tb_value f(void *p) { return tb_value_of(p); }
