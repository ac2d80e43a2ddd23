/* says: long double */
#include <thornback.h>
tb_value f(long double x) { return tb_value_of(x); }
