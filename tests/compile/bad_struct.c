/* says: struct point */
#include <thornback.h>
struct point { int x; };
tb_value f(struct point p) { return tb_value_of(p); }
