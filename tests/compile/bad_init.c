/* says: (tb_call \*, struct gauge \*) */
#include <thornback.h>

struct counter { int value; };
struct gauge { int value; };
static int gauge_init(tb_call *call, struct gauge *self) { return call == 0 && self->value; }
TB_ACTOR(counter, struct counter, .num_cpus = 2, .init = gauge_init);
