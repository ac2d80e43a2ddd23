#include "net/messages.h"

#define INFO(type, from, to, payload, tail)                                                        \
    [TBI_MSG_##type] = {#type, TBI_ROLE_##from, TBI_ROLE_##to, sizeof(struct payload), tail},
const struct tbi_msg_info tbi_msg_info[TBI_MSG_COUNT] = {TBI_MESSAGES(INFO)};
#undef INFO

#define CHECK(type, from, to, payload, tail)                                                       \
    _Static_assert(sizeof(struct payload) % 8 == 0, #payload " must be a multiple of 8 bytes");
TBI_MESSAGES(CHECK)
#undef CHECK
_Static_assert(sizeof(struct tbi_record) == 8, "a record's header is 8 bytes");
_Static_assert(TBI_MSG_COUNT <= 256, "a record's type is 8 bits");
