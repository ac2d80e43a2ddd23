// The headers can be used from C++17: functions and types, so far.
#include <thornback_tools.h>
int main()
{
    tb_bundle bundle{};
    bundle.num_cpus = 1;
    tb_options options{};
    options.group = tb_group_bundle(tb_group_new(&bundle, 1, TB_GROUP_PACK), 0);
    if (tb_group_wait(options.group) != 0)
        return 1;
    tb_actor actor{};
    options.max_restarts = 1;
    if (tb_get_actor("sum", nullptr, &actor) == 0 && tb_kill(actor, TB_KILL_DEFAULT) != 0)
        return tb_actor_release(actor);
    tb_pool *pool = tb_pool_new(&actor, 1);
    tb_ref ref{};
    if (tb_pool_get_next_timeout(pool, &ref, 1) != 0)
        tb_pool_free(pool);
    return tb_ref_is_null(tb_ref{0, 0}) && tb_value_bool_(true).type == TB_BOOL ? 0 : 1;
}
