/* test_registry.c - holds api/registry and api/options: functions are found by address, classes by their
 * record, ids follow the sorted names, a wrong demand is an error that names function, field and value. */
#include "unit.h"
#include "api/errors.h"
#include "api/options.h"
#include "api/registry.h"

/* Bodies differ, so that no linker may merge them. */
static int zebra(tb_call *call) { return call == NULL; }
static int ant(tb_call *call) { return call == NULL ? 2 : 3; }
static const tb_options no_options = {0};
static int stray(tb_call *call) { return call == NULL ? 4 : 5; }
static int in_header_a(tb_call *call) { return call == NULL ? 6 : 7; }
static int in_header_b(tb_call *call) { return call == NULL ? 8 : 9; }
static int later(tb_call *call) { return call == NULL ? 10 : 11; }
/* As TB_TASK would fill it in. */
#define TASK(name_, file_, line_, fn_)                                                             \
    {.name = name_, .file = file_, .line = line_, .options = &no_options, .fn = fn_}
TB_TASK(zebra);
TB_TASK(ant, .num_cpus = 0.5, .resources = {{"Disk", 1}, {"Tape", 0.5}});

struct gauge { int value; double mean; };
static int gauge_init(tb_call *call, struct gauge *self) { return call == NULL ? self->value : 12; }
static void gauge_fini(struct gauge *self) { self->value = 13; }
static int gauge_read(tb_call *call, struct gauge *self) { return call == NULL ? self->value : 14; }
static int gauge_stray(tb_call *call, struct gauge *self) { return call == NULL ? self->value : 15; }
TB_ACTOR(gauge, struct gauge, .num_cpus = 2, .init = gauge_init, .fini = gauge_fini, .labels = "zone=a");
TB_METHOD(gauge, gauge_read, .time_limit = 1);
TB_ACTOR(bare, struct gauge);

static int thaw(void **state)
{
    (void)state;
    tbi_registry_thaw();
    return 0;
}

static void ids_are_ranks_of_names_and_found_by_address(void **state)
{
    (void)state;
    assert_int_equal(tbi_registry_freeze(), 0);
    assert_int_equal(tbi_registry_count(), 5); /* ant, bare, gauge, gauge_read, zebra */
    assert_int_equal(tbi_registry_find(ant, "ant"), 0);
    assert_int_equal(tbi_registry_find_class(gauge_tb_class_, "gauge"), 2);
    assert_int_equal(tbi_registry_find_method((tb_function_ *)gauge_read, "gauge_read"), 3);
    assert_int_equal(tbi_registry_find(zebra, "zebra"), 4);
    assert_string_equal(tbi_registry_row(0)->name, "ant");
    assert_true(tbi_registry_row(0)->options->num_cpus == 0.5);
}

static void an_unregistered_function_is_named_with_its_remedy(void **state)
{
    (void)state;
    assert_int_equal(tbi_registry_freeze(), 0);
    assert_int_equal(tbi_registry_find(stray, "stray"), -1);
    assert_non_null(strstr(tb_last_error(), "write TB_TASK(stray);"));
    /* the name is known but stands for another function: never a lookup by name instead */
    assert_int_equal(tbi_registry_find(stray, "ant"), -1);
    assert_non_null(strstr(tb_last_error(), "at another address"));
}

static void a_class_has_what_was_given_and_nothing_else(void **state)
{
    const struct tb_task_record_ *row;
    struct gauge g = {5, 0};

    (void)state;
    assert_int_equal(tbi_registry_freeze(), 0);
    row = tbi_registry_row(2);
    assert_string_equal(row->name, "gauge");
    assert_int_equal(row->cls->bytes, sizeof(struct gauge));
    assert_true(row->options->num_cpus == 2 && row->options->max_restarts == 0);
    assert_string_equal(row->options->labels, "zone=a");
    assert_int_equal(row->cls->init(NULL, &g), 5);
    row->cls->fini(&g);
    assert_int_equal(g.value, 13);
    assert_null(row->cls->restore);
    row = tbi_registry_row(3);
    assert_true(row->options->time_limit == 1);
    assert_ptr_equal(row->method->of, tbi_registry_row(2));
    assert_int_equal(row->method->run(NULL, &g), 13);
    row = tbi_registry_row(1);
    assert_true(row->cls->init == NULL && row->cls->restore == NULL && row->cls->fini == NULL);
}

static void a_class_is_known_by_its_record_wherever_a_copy_of_it_lies(void **state)
{
    struct tb_actor_class_ copy = gauge_tb_class_, late = {&(struct tb_task_record_){.name = "late"}};

    (void)state;
    assert_int_equal(tbi_registry_freeze(), 0);
    assert_int_equal(tbi_registry_find_class(copy, "gauge"), 2);
    assert_int_equal(tbi_registry_find_class(late, "late"), -1);
    assert_non_null(strstr(tb_last_error(), "'late' is not registered: the library"));
}

static void a_method_is_no_task_nor_the_other_way_round(void **state)
{
    (void)state;
    assert_int_equal(tbi_registry_freeze(), 0);
    assert_int_equal(tbi_registry_find((tb_task_fn *)(tb_function_ *)gauge_read, "gauge_read"), -1);
    assert_string_equal(tb_last_error(), "'gauge_read' is a method of class 'gauge', not a task: call it by "
                                         "tb_actor_call");
    assert_int_equal(tbi_registry_find_method((tb_function_ *)ant, "ant"), -1);
    assert_string_equal(tb_last_error(), "'ant' is a task, not a method: call it by tb_remote");
    assert_int_equal(tbi_registry_find_method((tb_function_ *)gauge_stray, "gauge_stray"), -1);
    assert_non_null(strstr(tb_last_error(), "write TB_METHOD(class, gauge_stray);"));
    assert_int_equal(tbi_registry_find_method((tb_function_ *)gauge_stray, "gauge_read"), -1);
    assert_non_null(strstr(tb_last_error(), "at another address: TB_METHOD"));
    /* a task of a method's or class's name is just not there */
    assert_int_equal(tbi_registry_find(stray, "gauge"), -1);
    assert_non_null(strstr(tb_last_error(), "write TB_TASK(gauge);"));
}

static void a_method_of_two_classes_is_refused(void **state)
{
    static struct tb_method_ method = {(tb_function_ *)gauge_read, NULL, NULL};
    static struct tb_task_record_ again = {.name = "gauge_read", .file = "x.c", .line = 3,
                                           .options = &no_options, .method = &method};

    (void)state;
    tb_task_register_(&again);
    assert_int_equal(tbi_registry_freeze(), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "'gauge_read' and 'gauge_read' are one function"));
    method.fn = (tb_function_ *)gauge_stray;
    method.of = gauge_tb_class_.record;
    assert_int_equal(tbi_registry_freeze(), 0);
}

static void two_names_at_one_address_are_refused(void **state)
{
    static struct tb_task_record_ alias = TASK("bee", "x.c", 1, ant);

    (void)state;
    tb_task_register_(&alias);
    assert_int_equal(tbi_registry_freeze(), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "'ant' and 'bee'"));
    alias.fn = stray;
    assert_int_equal(tbi_registry_freeze(), 0);
}

static void a_task_in_a_header_is_one_task_with_two_addresses(void **state)
{
    static struct tb_task_record_ first = TASK("in_header", "x.h", 7, in_header_a);
    static struct tb_task_record_ second = TASK("in_header", "x.h", 7, in_header_b);
    int before;

    (void)state;
    assert_int_equal(tbi_registry_freeze(), 0);
    before = tbi_registry_count();
    tbi_registry_thaw();
    tb_task_register_(&first);
    tb_task_register_(&second);
    assert_int_equal(tbi_registry_freeze(), 0);
    assert_int_equal(tbi_registry_count(), before + 1);
    assert_int_equal(tbi_registry_find(in_header_a, "in_header"),
                     tbi_registry_find(in_header_b, "in_header"));
}

static void the_digest_tells_programs_apart(void **state)
{
    static struct tb_task_record_ more = TASK("more", "x.c", 2, later);
    uint64_t digest;

    (void)state;
    assert_int_equal(tbi_registry_freeze(), 0);
    digest = tbi_registry_digest();
    assert_true(tbi_registry_digest() == digest);
    tb_task_register_(&more); /* too late */
    assert_int_equal(tbi_registry_find(later, "more"), -1);
    assert_non_null(strstr(tb_last_error(), "after tb_init"));
    assert_ptr_equal(tbi_registry_take_late(), &more);
    assert_null(tbi_registry_take_late());
    tbi_registry_thaw();
    tb_task_register_(&more);
    assert_int_equal(tbi_registry_freeze(), 0);
    assert_true(tbi_registry_digest() != digest);
}

static void the_digest_tells_classes_apart(void **state)
{
    struct tb_class_ *about = (struct tb_class_ *)gauge_tb_class_.record->cls, was = *about;
    uint64_t digest;

    (void)state;
    assert_int_equal(tbi_registry_freeze(), 0);
    digest = tbi_registry_digest();
    about->bytes++;
    assert_true(tbi_registry_digest() != digest);
    *about = was;
    about->restore = about->init;
    assert_true(tbi_registry_digest() != digest);
    *about = was;
    assert_true(tbi_registry_digest() == digest);
}

static void the_demand_is_the_calls_over_the_tasks_over_one(void **state)
{
    const tb_options half = {.num_cpus = 0.5}, none = {.num_cpus = TB_NONE}, unset = {0};
    struct tbi_terms d;

    (void)state;
    assert_int_equal(tbi_options_read("f", NULL, NULL, NULL, &d), 0);
    assert_int_equal(d.cpus, 10000);
    assert_int_equal(tbi_options_read("f", &half, &unset, NULL, &d), 0);
    assert_int_equal(d.cpus, 5000);
    assert_int_equal(tbi_options_read("f", &half, &none, NULL, &d), 0);
    assert_int_equal(d.cpus, 0);
    assert_int_equal(tbi_options_read("f", &none, TB_OPTIONS(.num_cpus = 3), NULL, &d), 0);
    assert_int_equal(d.cpus, 30000);
}

static const struct tbi_resources table = {.n = 5,
                                           .name = {"CPU", "GPU", "memory", "Disk", "zone=a"}};

static void a_demand_stands_by_rising_resource(void **state)
{
    const tb_options task = {.num_gpus = 2, .resources = {{"Disk", 0.5}}},
                     call = {.memory = 4096, .num_gpus = TB_NONE, .labels = "zone=a",
                             .strategy = TB_STRATEGY_PREFER_NODE, .node = 3};
    struct tbi_terms t;

    (void)state;
    assert_int_equal(tbi_options_read("f", &task, NULL, &table, &t), 0);
    assert_int_equal(t.nmore, 2);
    assert_true(t.more[0].resource == TBI_GPUS && t.more[0].amount == 20000);
    assert_true(t.more[1].resource == 3 && t.more[1].amount == 5000);
    assert_int_equal(tbi_options_read("f", &task, &call, &table, &t), 0);
    assert_int_equal(t.nmore, 3);
    assert_true(t.more[0].resource == TBI_MEMORY && t.more[0].amount == 40960000);
    assert_true(t.more[1].resource == 3 && t.more[2].resource == 4 && t.more[2].amount == 0);
    assert_true(t.strategy == TBI_PREFER_NODE && t.node == 3);
}

static void a_group_stands_instead_of_what_was_said_of_the_place_before(void **state)
{
    const tb_group g = {0x700000000100, 0x30002};
    const tb_options task = {.strategy = TB_STRATEGY_NODE, .node = 2, .labels = "zone=a",
                             .num_gpus = 1}, grouped = {.group = g};
    struct tbi_terms t;

    (void)state;
    assert_int_equal(tbi_options_read("f", &task, &grouped, &table, &t), 0);
    assert_true(t.strategy == TBI_IN_GROUP && t.group.hi == g.hi && t.group.lo == g.lo);
    assert_int_equal(t.node, 0);
    assert_int_equal(t.nmore, 1); /* the GPU; the label went with the node */
    assert_int_equal(tbi_options_read("f", &task, TB_OPTIONS(.group = g, .strategy = TB_NONE), &table, &t),
                     0);
    assert_int_equal(t.strategy, TBI_IN_GROUP);
    /* and the other way round */
    assert_int_equal(tbi_options_read("f", &grouped, TB_OPTIONS(.strategy = TB_STRATEGY_SPREAD), &table,
                                      &t), 0);
    assert_true(t.strategy == TBI_SPREAD && t.group.hi == 0);
    assert_int_equal(tbi_options_read("f", &grouped, TB_OPTIONS(.num_cpus = 2), &table, &t), 0);
    assert_true(t.strategy == TBI_IN_GROUP && t.group.lo == g.lo && t.cpus == 20000);
}

static void a_bundle_has_just_what_it_names(void **state)
{
    const tb_bundle gpu = {.num_gpus = 0.5, .labels = "zone=a", .resources = {{"Disk", 2}}},
                    cpus = {.num_cpus = 1.5, .num_gpus = TB_NONE, .memory = 10};
    struct tbi_terms t;

    (void)state;
    assert_int_equal(tbi_bundle_read("bundle 0", &gpu, &table, &t), 0);
    assert_int_equal(t.cpus, 0);
    assert_int_equal(t.nmore, 3);
    assert_true(t.more[0].resource == TBI_GPUS && t.more[0].amount == 5000);
    assert_true(t.more[1].resource == 3 && t.more[1].amount == 20000);
    assert_true(t.more[2].resource == 4 && t.more[2].amount == 0);
    assert_int_equal(tbi_bundle_read("bundle 0", &cpus, &table, &t), 0);
    assert_int_equal(t.cpus, 15000);
    assert_int_equal(t.nmore, 1);
    assert_true(t.more[0].resource == TBI_MEMORY && t.more[0].amount == 100000);
}

#define WRONG_BUNDLE(code, part, ...)                                                              \
    do {                                                                                           \
        struct tbi_terms d_;                                                                       \
        assert_int_equal(tbi_bundle_read("bundle 2", &(tb_bundle){__VA_ARGS__}, &table, &d_), code); \
        assert_non_null(strstr(tb_last_error(), part));                                            \
    } while (0)

static void a_wrong_bundle_is_named_with_field_and_value(void **state)
{
    (void)state;
    WRONG_BUNDLE(TB_ERR_ARGUMENT, "'bundle 2' asks for nothing", .num_cpus = 0);
    WRONG_BUNDLE(TB_ERR_ARGUMENT, "'bundle 2' asks for nothing", .labels = "zone=a");
    WRONG_BUNDLE(TB_ERR_ARGUMENT, "'bundle 2' asks for nothing", .num_cpus = TB_NONE);
    WRONG_BUNDLE(TB_ERR_ARGUMENT, "'bundle 2' asks for num_cpus = -2", .num_cpus = -2);
    WRONG_BUNDLE(TB_ERR_ARGUMENT, "num_gpus = 1.5: above 1", .num_gpus = 1.5);
    WRONG_BUNDLE(TB_ERR_ARGUMENT, "memory = -5", .memory = -5);
    WRONG_BUNDLE(TB_ERR_ARGUMENT, "'Disk' = nan", .resources = {{"Disk", __builtin_nan("")}});
    WRONG_BUNDLE(TB_ERR_INFEASIBLE, "'Tape', which no node has", .resources = {{"Tape", 1}});
    WRONG_BUNDLE(TB_ERR_INFEASIBLE, "label 'zone=b'", .num_cpus = 1, .labels = "zone=b");
}

#define WRONG(code, part, ...)                                                                     \
    do {                                                                                           \
        struct tbi_terms d_;                                                                      \
        assert_int_equal(tbi_options_read("f", NULL, TB_OPTIONS(__VA_ARGS__), &table, &d_), code);       \
        assert_non_null(strstr(tb_last_error(), part));                                            \
    } while (0)

static void a_wrong_demand_names_function_field_and_value(void **state)
{
    (void)state;
    WRONG(TB_ERR_ARGUMENT, "'f' asks for num_cpus = -1", .num_cpus = -1);
    WRONG(TB_ERR_ARGUMENT, "num_cpus = nan", .num_cpus = __builtin_nan(""));
    WRONG(TB_ERR_ARGUMENT, "num_cpus = 1e+09", .num_cpus = 1e9);
    WRONG(TB_ERR_ARGUMENT, "smallest part", .num_cpus = 1e-6);
    WRONG(TB_ERR_ARGUMENT, "num_gpus = -1", .num_gpus = -1);
    WRONG(TB_ERR_ARGUMENT, "num_gpus = 1.5: above 1", .num_gpus = 1.5);
    WRONG(TB_ERR_ARGUMENT, "memory = -5", .memory = -5);
    WRONG(TB_ERR_ARGUMENT, "'Disk' = -2", .resources = {{"Disk", -2}});
    WRONG(TB_ERR_ARGUMENT, "'Disk' = nan", .resources = {{"Disk", __builtin_nan("")}});
    WRONG(TB_ERR_ARGUMENT, "'GPU': that name is reserved", .resources = {{"GPU", 1}});
    WRONG(TB_ERR_ARGUMENT, "'Disk' twice", .resources = {{"Disk", 1}, {"Disk", 1}});
    WRONG(TB_ERR_ARGUMENT, "'(null)': it has no name", .resources = {{NULL, 1}});
    WRONG(TB_ERR_INFEASIBLE, "'Tape', which no node has (there are: Disk, zone=a)",
          .resources = {{"Tape", 1}});
    WRONG(TB_ERR_INFEASIBLE, "label 'zone=b', which no node has", .labels = "zone=b");
    WRONG(TB_ERR_ARGUMENT, "labels \"zone\"", .labels = "zone");
    WRONG(TB_ERR_ARGUMENT, "strategy = 9", .strategy = 9);
    WRONG(TB_ERR_ARGUMENT, "node = 2 without", .node = 2);
    WRONG(TB_ERR_ARGUMENT, "node = -2", .strategy = TB_STRATEGY_NODE, .node = -2);
    WRONG(TB_ERR_ARGUMENT, "a group together with a strategy", .group = {1, 1}, .strategy = TB_STRATEGY_SPREAD);
    WRONG(TB_ERR_ARGUMENT, "a group together with a node", .group = {1, 1}, .node = 1);
    WRONG(TB_ERR_ARGUMENT, "a group together with labels", .group = {1, 1}, .labels = "zone=a");
    WRONG(TB_ERR_ARGUMENT, "max_retries = -2", .max_retries = -2);
    WRONG(TB_ERR_ARGUMENT, "retry_on_error = {-18}", .retry_on_error = {TB_ERR_TASK, -18});
    WRONG(TB_ERR_ARGUMENT, "retry_delay = -1", .retry_delay = -1);
    WRONG(TB_ERR_ARGUMENT, "time_limit = inf", .time_limit = __builtin_inf());
}

static void retries_and_limits_have_defaults_and_are_overridden(void **state)
{
    const tb_options task = {.max_retries = -1, .retry_on_error = {TB_ERR_TASK, TB_ERR_TYPE},
                             .retry_delay = 0.5, .time_limit = 1e-9},
                     call = {.max_retries = TB_NONE, .retry_on_error = {TB_NONE}, .time_limit = 2};
    struct tbi_terms t;

    (void)state;
    assert_int_equal(tbi_options_read("f", NULL, NULL, NULL, &t), 0);
    assert_int_equal(t.max_retries, 3);
    assert_int_equal(t.retry_codes | t.retry_delay_ms | t.limit_ms, 0);
    assert_int_equal(tbi_options_read("f", &task, NULL, NULL, &t), 0);
    assert_int_equal(t.max_retries, -1);
    assert_int_equal(t.retry_codes, 1 << 1 | 1 << 11);
    assert_int_equal(t.retry_delay_ms, 500);
    assert_int_equal(t.limit_ms, 1);
    assert_int_equal(tbi_options_read("f", &task, &call, NULL, &t), 0);
    assert_int_equal(t.max_retries, 0);
    assert_int_equal(t.retry_codes, 0);
    assert_int_equal(t.limit_ms, 2000);
    assert_int_equal(tbi_options_read("f", NULL, TB_OPTIONS(.retry_on_error = {TB_ERR_ANY}), NULL,
                                      &t), 0);
    assert_true(t.retry_codes == UINT32_MAX);
}

static const tb_options grouped_class = {.concurrency_groups = {{"io", 2}, {"compute", 0}}};

static void an_actor_is_placed_with_a_cpu_and_lives_without(void **state)
{
    const tb_options held = {.num_cpus = 2, .num_gpus = 1}, none = {.num_cpus = TB_NONE}, gpu = {.num_gpus = 1};
    struct tbi_terms t;

    (void)state;
    assert_int_equal(tbi_options_read_actor("c", NULL, NULL, &table, &t), 0);
    assert_true(t.cpus == 10000 && t.actor.placed_only && t.nmore == 0);
    assert_true(t.max_retries == 0 && t.actor.max_task_retries == 0 && t.actor.max_pending == 0);
    assert_true(t.actor.name == NULL && !t.actor.get_if_exists && !t.actor.detached);
    assert_true(t.actor.nlanes == 1 && t.actor.lane[0] == 1);
    assert_int_equal(tbi_options_read_actor("c", &gpu, NULL, &table, &t), 0);
    assert_true(t.cpus == 10000 && t.actor.placed_only && t.nmore == 1);
    assert_int_equal(tbi_options_read_actor("c", &held, NULL, &table, &t), 0);
    assert_true(t.cpus == 20000 && !t.actor.placed_only);
    assert_int_equal(tbi_options_read_actor("c", &held, &none, &table, &t), 0);
    assert_true(t.cpus == 0 && !t.actor.placed_only && t.nmore == 1);
    assert_int_equal(tbi_options_read_actor("c", NULL, TB_OPTIONS(.num_cpus = 1), &table, &t), 0);
    assert_true(t.cpus == 10000 && !t.actor.placed_only);
}

static void an_actors_options_are_its_creations_over_its_classs(void **state)
{
    const tb_options cls = {.max_restarts = -1, .max_task_retries = 3, .max_concurrency = 4, .name_space = "stats",
                            .max_pending_calls = 10, .strategy = TB_STRATEGY_SPREAD,
                            .concurrency_groups = {{"io", 2}, {"compute", 0}}},
                     made = {.max_restarts = TB_NONE, .name = "sum", .get_if_exists = true,
                             .lifetime = TB_LIFETIME_DETACHED, .max_pending_calls = TB_NONE,
                             .concurrency_groups = {{"compute", 1000}}};
    struct tbi_terms t;

    (void)state;
    assert_int_equal(tbi_options_read_actor("c", &cls, NULL, NULL, &t), 0);
    assert_true(t.max_retries == -1 && t.actor.max_task_retries == 3 && t.actor.max_pending == 10);
    assert_true(t.actor.nlanes == 3 && t.actor.lane[0] == 4 && t.actor.lane[1] == 2 && t.actor.lane[2] == 1);
    assert_int_equal(t.strategy, TBI_SPREAD);
    assert_int_equal(tbi_options_read_actor("c", &cls, &made, NULL, &t), 0);
    assert_true(t.max_retries == 0 && t.actor.max_task_retries == 3 && t.actor.max_pending == 0);
    assert_true(t.actor.get_if_exists && t.actor.detached);
    assert_string_equal(t.actor.name, "sum");
    assert_string_equal(t.actor.name_space, "stats");
    assert_true(t.actor.nlanes == 3 && t.actor.lane[1] == 2 && t.actor.lane[2] == 1000);
}

static void a_call_has_its_own_options_or_else_the_actors(void **state)
{
    const tb_options method = {.max_task_retries = 2, .concurrency_group = "io", .time_limit = 1};
    struct tbi_terms t;

    (void)state;
    assert_int_equal(tbi_options_read_call("m", "c", &grouped_class, NULL, NULL, &t), 0);
    assert_true(t.cpus == 0 && t.nmore == 0 && t.strategy == TBI_DEFAULT && t.lane == 0);
    assert_int_equal(t.max_retries, TBI_RETRIES_DEFAULT);
    assert_int_equal(tbi_options_read_call("m", "c", &grouped_class, &method, NULL, &t), 0);
    assert_true(t.max_retries == 2 && t.lane == 1 && t.limit_ms == 1000);
    assert_int_equal(tbi_options_read_call("m", "c", &grouped_class, &method,
                                           TB_OPTIONS(.max_task_retries = -1, .concurrency_group = "compute",
                                                      .retry_delay = 0.5), &t), 0);
    assert_true(t.max_retries == -1 && t.lane == 2 && t.retry_delay_ms == 500);
    assert_int_equal(tbi_options_read_call("m", "c", &grouped_class, &method, TB_OPTIONS(.max_task_retries = TB_NONE),
                                           &t), 0);
    assert_int_equal(t.max_retries, 0);
}

#define WRONG_ACTOR(code, part, ...)                                                               \
    do {                                                                                           \
        struct tbi_terms d_;                                                                       \
        assert_int_equal(tbi_options_read_actor("c", &grouped_class, TB_OPTIONS(__VA_ARGS__), &table, &d_), code); \
        assert_non_null(strstr(tb_last_error(), part));                                            \
    } while (0)
#define WRONG_CALL(code, part, ...)                                                                \
    do {                                                                                           \
        struct tbi_terms d_;                                                                       \
        assert_int_equal(tbi_options_read_call("m", "c", &grouped_class, NULL, TB_OPTIONS(__VA_ARGS__), &d_), code); \
        assert_non_null(strstr(tb_last_error(), part));                                            \
    } while (0)

static void a_wrong_option_of_an_actor_or_a_call_is_named_with_its_value(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'n', sizeof name);
    name[299] = 0;
    WRONG_ACTOR(TB_ERR_ARGUMENT, "'c' asks for num_cpus = -1", .num_cpus = -1);
    WRONG_ACTOR(TB_ERR_INFEASIBLE, "'Tape', which no node has", .resources = {{"Tape", 1}});
    WRONG_ACTOR(TB_ERR_ARGUMENT, "'c' asks for max_restarts = -2", .max_restarts = -2);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "'c' asks for max_task_retries = -5", .max_task_retries = -5);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "max_concurrency = 1001: 1 to 1000", .max_concurrency = 1001);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "max_concurrency = -1:", .max_concurrency = -1);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "max_concurrency = 2000 in group 'io'", .concurrency_groups = {{"io", 2000}});
    WRONG_ACTOR(TB_ERR_ARGUMENT, "group 'disk', which its class does not have (it has: io, compute)",
                .concurrency_groups = {{"disk", 1}});
    WRONG_ACTOR(TB_ERR_ARGUMENT, "max_pending_calls = -3", .max_pending_calls = -3);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "lifetime = 7", .lifetime = 7);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "name = \"\"", .name = "");
    WRONG_ACTOR(TB_ERR_ARGUMENT, "up to 255 bytes", .name = name);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "name_space = \"nnn", .name = "a", .name_space = name);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "get_if_exists = 1 without a name", .get_if_exists = true);
    WRONG_CALL(TB_ERR_ARGUMENT, "'m' asks for max_task_retries = -2", .max_task_retries = -2);
    WRONG_CALL(TB_ERR_ARGUMENT, "concurrency_group = \"disk\", which class 'c' does not have (it has: io, compute)",
               .concurrency_group = "disk");
    WRONG_CALL(TB_ERR_ARGUMENT, "time_limit = -1", .time_limit = -1);
    WRONG_CALL(TB_ERR_ARGUMENT, "'m' asks for retry_on_error = {5}", .retry_on_error = {TB_ERR_TASK, 5});
}

static void wrong_groups_of_a_class_are_named(void **state)
{
    const tb_options twice = {.concurrency_groups = {{"io", 1}, {"io", 2}}},
                     nameless = {.concurrency_groups = {{NULL, 2}}},
                     gap = {.concurrency_groups = {{"io", 1}, {0}, {"late", 1}}};
    struct tbi_terms t;

    (void)state;
    assert_int_equal(tbi_options_read_actor("c", &twice, NULL, NULL, &t), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "concurrency group 'io' twice"));
    assert_int_equal(tbi_options_read_actor("c", &nameless, NULL, NULL, &t), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "without a name"));
    assert_int_equal(tbi_options_read_actor("c", &gap, NULL, NULL, &t), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "before 'late'"));
}

static void an_option_of_another_kind_is_refused_with_the_one_that_was_meant(void **state)
{
    (void)state;
    WRONG_ACTOR(TB_ERR_ARGUMENT, "'c' asks for max_retries = 3, which is an option of tasks: an actor has "
                "max_restarts", .max_retries = 3);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "time_limit = 2, which is an option of tasks and calls of methods", .time_limit = 2);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "retry_on_error[0] = -1", .retry_on_error = {TB_ERR_TASK});
    WRONG_ACTOR(TB_ERR_ARGUMENT, "retry_delay = 1", .retry_delay = 1);
    WRONG_ACTOR(TB_ERR_ARGUMENT, "concurrency_group = \"io\", which is an option of calls of methods",
                .concurrency_group = "io");
    WRONG_CALL(TB_ERR_ARGUMENT, "'m' asks for num_cpus = 1, which is an option of tasks and actors: TB_ACTOR and",
               .num_cpus = 1);
    WRONG_CALL(TB_ERR_ARGUMENT, "resources = \"Disk\"", .resources = {{"Disk", 1}});
    WRONG_CALL(TB_ERR_ARGUMENT, "group = ", .group = {1, 1});
    WRONG_CALL(TB_ERR_ARGUMENT, "labels = \"zone=a\"", .labels = "zone=a");
    WRONG_CALL(TB_ERR_ARGUMENT, "max_retries = -1, which is an option of tasks: a call has max_task_retries",
               .max_retries = -1);
    WRONG_CALL(TB_ERR_ARGUMENT, "name = \"n\"", .name = "n");
    WRONG_CALL(TB_ERR_ARGUMENT, "max_concurrency = 2", .max_concurrency = 2);
    WRONG(TB_ERR_ARGUMENT, "max_restarts = 2, which is an option of actors: a task has max_retries",
          .max_restarts = 2);
    WRONG(TB_ERR_ARGUMENT, "max_task_retries = -1, which is an option of actors and calls", .max_task_retries = -1);
    WRONG(TB_ERR_ARGUMENT, "lifetime = 1", .lifetime = TB_LIFETIME_DETACHED);
    WRONG(TB_ERR_ARGUMENT, "name_space = \"s\"", .name_space = "s");
    WRONG(TB_ERR_ARGUMENT, "get_if_exists = 1", .get_if_exists = true);
    WRONG(TB_ERR_ARGUMENT, "concurrency_groups = \"io\"", .concurrency_groups = {{"io", 1}});
    WRONG(TB_ERR_ARGUMENT, "max_pending_calls = 9", .max_pending_calls = 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(ids_are_ranks_of_names_and_found_by_address, thaw),
        cmocka_unit_test_teardown(an_unregistered_function_is_named_with_its_remedy, thaw),
        cmocka_unit_test_teardown(a_class_has_what_was_given_and_nothing_else, thaw),
        cmocka_unit_test_teardown(a_class_is_known_by_its_record_wherever_a_copy_of_it_lies, thaw),
        cmocka_unit_test_teardown(a_method_is_no_task_nor_the_other_way_round, thaw),
        cmocka_unit_test_teardown(the_digest_tells_programs_apart, thaw),
        cmocka_unit_test_teardown(the_digest_tells_classes_apart, thaw),
        cmocka_unit_test_teardown(a_method_of_two_classes_is_refused, thaw),
        cmocka_unit_test_teardown(two_names_at_one_address_are_refused, thaw),
        cmocka_unit_test_teardown(a_task_in_a_header_is_one_task_with_two_addresses, thaw),
        cmocka_unit_test(the_demand_is_the_calls_over_the_tasks_over_one),
        cmocka_unit_test(retries_and_limits_have_defaults_and_are_overridden),
        cmocka_unit_test(a_demand_stands_by_rising_resource),
        cmocka_unit_test(a_group_stands_instead_of_what_was_said_of_the_place_before),
        cmocka_unit_test(a_bundle_has_just_what_it_names),
        cmocka_unit_test(a_wrong_demand_names_function_field_and_value),
        cmocka_unit_test(a_wrong_bundle_is_named_with_field_and_value),
        cmocka_unit_test(an_actor_is_placed_with_a_cpu_and_lives_without),
        cmocka_unit_test(an_actors_options_are_its_creations_over_its_classs),
        cmocka_unit_test(a_call_has_its_own_options_or_else_the_actors),
        cmocka_unit_test(a_wrong_option_of_an_actor_or_a_call_is_named_with_its_value),
        cmocka_unit_test(wrong_groups_of_a_class_are_named),
        cmocka_unit_test(an_option_of_another_kind_is_refused_with_the_one_that_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
