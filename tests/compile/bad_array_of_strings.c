/* says: char \*\* */
#include <thornback.h>
tb_value f(char **p) { return tb_array(p, 2); }
