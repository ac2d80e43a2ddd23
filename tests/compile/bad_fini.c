/* says: int .*(struct counter \*) */
#include <thornback.h>

struct counter { int value; };
static int counter_fini(struct counter *self) { return self->value; }
TB_ACTOR(counter, struct counter, .fini = counter_fini); /* returns nothing */
