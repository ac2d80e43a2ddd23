/* says: int (\*)(tb_call \*, struct gauge \*) */
#include <thornback.h>

struct counter { int value; };
struct gauge { int value; };
static int gauge_read(tb_call *call, struct gauge *self) { return call == 0 && self->value; }
TB_ACTOR(counter, struct counter);
TB_METHOD(counter, gauge_read); /* the state of another class */
