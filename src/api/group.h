/* group.h - the handle of a placement group: the id of the object that is ready when the group is reserved;
 * of a bundle, with its number, from 1, as index. With the process's lock held. */
#ifndef TBI_GROUP_H
#define TBI_GROUP_H

#include "api/process.h"

/* Is this a group, or a bundle, that can be used here? 0, or the code that it carries, or TB_ERR_REF, with
 * the last error set. */
int tbi_group_check(const struct tbi_process *process, tb_group group);

static inline struct tbi_id tbi_group_id(tb_group group)
{
    return (struct tbi_id){group.hi, group.lo};
}
static inline tb_group tbi_group_of(struct tbi_id id)
{
    return (tb_group){id.hi, id.lo};
}

#endif
