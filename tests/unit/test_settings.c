/* test_settings.c - holds the table of settings: what is read, from where, what is refused in which words;
 * and that doc/settings.md is the table. `test_settings --print` writes that file anew. */
#include "document.h"
#include "api/settings.h"

static int read_with(const char *name, const char *value, const tb_config *config,
                     struct tbi_settings *s)
{
    int rc;

    setenv(name, value, 1);
    rc = tbi_settings_read(s, config);
    unsetenv(name);
    return rc;
}

static void defaults_are_those_of_the_table(void **state)
{
    struct tbi_settings s;

    (void)state;
    assert_int_equal(tbi_settings_read(&s, NULL), 0);
    assert_true(s.num_cpus == 0 && s.inline_bytes == 2048 && s.ahead == 64);
    assert_true(s.create_timeout == 10 && s.virtual_nodes == 1 && s.fetch == TBI_FETCH_AUTO);
}

static void the_environment_comes_before_the_config(void **state)
{
    struct tbi_settings s;
    tb_config config = {.num_cpus = 3, .store = 1000};

    (void)state;
    assert_int_equal(tbi_settings_read(&s, &config), 0);
    assert_true(s.num_cpus == 3 && s.store == 1000);
    assert_int_equal(read_with("TB_NUM_CPUS", "2.5", &config, &s), 0);
    assert_true(s.num_cpus == 2.5 && s.store == 1000);
}

static void bytes_may_have_a_suffix(void **state)
{
    struct tbi_settings s;

    (void)state;
    assert_int_equal(read_with("TB_STORE", "512M", NULL, &s), 0);
    assert_true(s.store == 512.0 * 1024 * 1024);
    assert_int_equal(read_with("TB_STORE", "2GiB", NULL, &s), 0);
    assert_true(s.store == 2.0 * 1024 * 1024 * 1024);
}

static void yes_and_no_may_be_1_and_0(void **state)
{
    static const char *const variables[] = {"TB_SHOW_MAP", "TB_BIND", "TB_LOG_PREFIX"};
    struct tbi_settings words, digits;

    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        assert_int_equal(read_with(variables[i], "yes", NULL, &words), 0);
        assert_int_equal(read_with(variables[i], "1", NULL, &digits), 0);
        assert_memory_equal(&words, &digits, sizeof words);
        assert_int_equal(read_with(variables[i], "no", NULL, &words), 0);
        assert_int_equal(read_with(variables[i], "0", NULL, &digits), 0);
        assert_memory_equal(&words, &digits, sizeof words);
    }
}

static void refused(const char *name, const char *value, const char *says)
{
    struct tbi_settings s;

    assert_int_equal(read_with(name, value, NULL, &s), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), name));
    assert_non_null(strstr(tb_last_error(), value));
    assert_non_null(strstr(tb_last_error(), says));
}

static void bad_values_are_named(void **state)
{
    struct tbi_settings s;
    tb_config negative = {.num_cpus = -1}, nothing = {.store = -5};

    (void)state;
    refused("TB_STORE", "much", "a number from 0 on");
    refused("TB_STORE", "-1", "a number from 0 on");
    refused("TB_STORE", "5X", "perhaps with K");
    refused("TB_NUM_CPUS", "2 cores", "a number");
    refused("TB_NUM_CPUS", "nan", "a number from 0 on");
    refused("TB_MAX_EXECUTORS", "1.5", "a whole number");
    refused("TB_IDLE", "spi", "one of sleep, spin");
    refused("TB_FETCH", "fast", "one of auto, rma, p2p");
    refused("TB_FETCH", "1", "one of auto, rma, p2p");
    refused("TB_SHOW_MAP", "2", "one of no, yes");
    assert_int_equal(tbi_settings_read(&s, &negative), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "num_cpus = -1"));
    assert_int_equal(tbi_settings_read(&s, &nothing), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "store = -5"));
}

static void the_document_is_the_table(void **state)
{
    (void)state;
    assert_document("settings.md", tbi_settings_document);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(the_environment_comes_before_the_config),
        cmocka_unit_test(bytes_may_have_a_suffix),
        cmocka_unit_test(yes_and_no_may_be_1_and_0),
        cmocka_unit_test(bad_values_are_named),
        cmocka_unit_test(the_document_is_the_table),
    };

    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        tbi_settings_document(stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
