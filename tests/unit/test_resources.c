/* test_resources.c - holds the job's table of resources and what each rank is said to have: from
 * settings alone, alike on all ranks, and wrong entries named. */
#include "unit.h"
#include "api/resources.h"

#include <string.h>

static struct tbi_settings with(const char *resources, const char *labels, const char *ranks)
{
    static struct tbi_settings s;

    assert_int_equal(tbi_settings_read(&s, NULL), 0);
    strcpy(s.resources, resources);
    strcpy(s.labels, labels);
    strcpy(s.ranks, ranks);
    return s;
}

static void names_are_numbered_by_the_alphabet_behind_the_first_three(void **state)
{
    struct tbi_settings s = with("Disk=0.5,Custom=2", "zone=a", "3:License=1,num_cpus=8,label.zone=b");
    struct tbi_resources r;
    const char *expected[] = {"CPU", "GPU", "memory", "Custom", "Disk", "License", "zone=a", "zone=b"};

    (void)state;
    assert_int_equal(tbi_resources_read(&r, &s), 0);
    assert_int_equal(r.n, 8);
    for (unsigned i = 0; i < 8; i++)
        assert_string_equal(r.name[i], expected[i]);
    assert_int_equal(tbi_resources_find(&r, "License"), 5);
    assert_int_equal(tbi_resources_find(&r, "Licence"), -1);
}

static void a_rank_has_what_all_have_or_its_own(void **state)
{
    struct tbi_settings s = with("Disk=0.5,Custom=2", "zone=a",
                                 "3:Custom=0,num_cpus=8,num_gpus=2,memory=4K;4:label.zone=b");
    struct tbi_resources r;
    int64_t a[TBI_RESOURCES_MAX];

    (void)state;
    assert_int_equal(tbi_resources_read(&r, &s), 0);
    tbi_resources_of_rank(&r, &s, 1, a);
    assert_true(a[TBI_CPUS] == -1 && a[TBI_GPUS] == -1 && a[TBI_MEMORY] == -1);
    assert_true(a[3] == 20000 && a[4] == 5000 && a[5] == 10000 && a[6] == 0);
    tbi_resources_of_rank(&r, &s, 3, a);
    assert_true(a[TBI_CPUS] == 80000 && a[TBI_GPUS] == 20000 && a[TBI_MEMORY] == 40960000);
    assert_true(a[3] == 0 && a[4] == 5000 && a[5] == 10000 && a[6] == 0);
    tbi_resources_of_rank(&r, &s, 4, a);
    assert_true(a[5] == 10000 && a[6] == 10000);
}

static void one_name_may_stand_in_several_lists(void **state)
{
    struct tbi_settings s = with("A=1,B=2", "A=1,B=1", "1:A=2,label.A=2,memory=1;2:A=2,label.A=2,memory=2");
    struct tbi_resources r;

    (void)state;
    assert_int_equal(tbi_resources_read(&r, &s), 0);
}

static void wrong_entries_are_named(void **state)
{
    struct { const char *resources, *labels, *ranks, *says; } cases[] = {
        {"Disk", "", "", "TB_RESOURCES=Disk: NAME=AMOUNT"},
        {"Disk=-1", "", "", "TB_RESOURCES=Disk=-1: the amount"},
        {"Disk=nan", "", "", "the amount"},
        {"Disk=1X", "", "", "the amount"},
        {"Disk=0.00001", "", "", "the amount"},
        {"CPU=1", "", "", "TB_RESOURCES=CPU=1: that name is reserved"},
        {"num_cpus=1", "", "", "reserved"},
        {"a b=1", "", "", "letters, digits"},
        {"", "zone", "", "TB_LABELS=zone: KEY=VALUE"},
        {"", "zone=a;b=c", "", "TB_LABELS"},
        {"", "", "3", "TB_RANKS=3: RANK:NAME=AMOUNT"},
        {"", "", "3:Disk=1;x:Disk=2", "TB_RANKS"},
        {"", "", "3:num_cpus=much", "the amount"},
        {"A=1,A=2", "", "", "TB_RESOURCES=A=1,A=2: A stands there twice: leave one of them out"},
        {"A=1,B=1,A=1", "", "", "A stands there twice"},
        {"", "a=1,a=2", "", "TB_LABELS=a=1,a=2: a stands there twice"},
        {"", "a=1,a=1", "", "TB_LABELS=a=1,a=1: a stands there twice"},
        {"", "", "3:num_cpus=1,num_cpus=2", "TB_RANKS=3:num_cpus=1,num_cpus=2: num_cpus stands there twice"},
        {"", "", "3:A=1,label.A=1,label.A=2", "label.A stands there twice"},
        {"", "", "3:A=1;4:A=1;03:B=2", "rank 3 stands there twice: put all it has behind one 3:"}};
    struct tbi_resources r;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbi_settings s = with(cases[i].resources, cases[i].labels, cases[i].ranks);

        assert_int_equal(tbi_resources_read(&r, &s), TB_ERR_ARGUMENT);
        if (strstr(tb_last_error(), cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", tb_last_error(), cases[i].says);
    }
}

static void more_names_than_there_are_numbers_are_refused(void **state)
{
    struct tbi_settings s = with("", "", "");
    struct tbi_resources r;
    size_t at = 0;

    (void)state;
    for (int i = 0; i < 62; i++)
        at += (size_t)sprintf(s.resources + at, "r%d=1,", i);
    assert_int_equal(tbi_resources_read(&r, &s), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "more than 61"));
}

static void what_the_config_says_is_what_the_variable_would_say(void **state)
{
    struct tbi_settings s;
    tb_config config = {.num_gpus = TB_NONE, .memory = 4096,
                        .resources = {{"Custom", 2}, {"Disk", 0.5}}, .ranks = "1:Disk=3"};

    (void)state;
    assert_int_equal(tbi_settings_read(&s, &config), 0);
    assert_string_equal(s.resources, "Custom=2,Disk=0.5");
    assert_string_equal(s.ranks, "1:Disk=3");
    assert_true(s.num_gpus == 0 && s.memory == 4096);
    config.num_gpus = 0.5;
    assert_int_equal(tbi_settings_read(&s, &config), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "num_gpus = 0.5"));
    config.num_gpus = 0;
    config.resources[0].name = "a,b";
    assert_int_equal(tbi_settings_read(&s, &config), TB_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_numbered_by_the_alphabet_behind_the_first_three),
        cmocka_unit_test(a_rank_has_what_all_have_or_its_own),
        cmocka_unit_test(one_name_may_stand_in_several_lists),
        cmocka_unit_test(wrong_entries_are_named),
        cmocka_unit_test(more_names_than_there_are_numbers_are_refused),
        cmocka_unit_test(what_the_config_says_is_what_the_variable_would_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
