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
    tb_config config = {.num_cpus = 3, .store = 4 << 20};

    (void)state;
    assert_int_equal(tbi_settings_read(&s, &config), 0);
    assert_true(s.num_cpus == 3 && s.store == 4 << 20);
    assert_int_equal(read_with("TB_NUM_CPUS", "2.5", &config, &s), 0);
    assert_true(s.num_cpus == 2.5 && s.store == 4 << 20);
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
    tb_config negative = {.num_cpus = -1}, nothing = {.store = -5}, gpus = {.num_gpus = 65};

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
    assert_int_equal(tbi_settings_read(&s, &gpus), TB_ERR_ARGUMENT);
    assert_non_null(strstr(tb_last_error(), "num_gpus = 65"));
}

/* For each setting: too small, too large and malformed, or NULL where there is no such thing. */
static const struct {
    const char *name, *small, *large, *bad;
} wrong[] = {
    {"TB_NUM_CPUS", "0.00001", "100001", "1,5"},
    {"TB_NUM_GPUS", "-2", "65", "0.5"},
    {"TB_MEMORY", "-1", "1000T", "0.5"},
    {"TB_RESOURCES", NULL, NULL, NULL}, /* in test_resources, as the next two */
    {"TB_LABELS", NULL, NULL, NULL},
    {"TB_RANKS", NULL, NULL, NULL},
    {"TB_BIND", NULL, NULL, "maybe"},
    {"TB_SHOW_MAP", NULL, NULL, "2"},
    {"TB_STORE", "10", "1000T", "1G1"},
    {"TB_MAX_EXECUTORS", "-1", "1025", "4x"},
    {"TB_INLINE", "-1", "2M", "2k"},
    {"TB_CREATE_TIMEOUT", "1e-300", "1e300", "nan"},
    {"TB_AHEAD", "-1", "1000001", "1.5"},
    {"TB_OFFERS", "-1", "1001", "many"},
    {"TB_NESTED", "-1", "1000001", "0.1"},
    {"TB_OVERTAKES", "-1", "1000001", ""},
    {"TB_CANCEL_GRACE", "1e-9", "1e7", "inf"},
    {"TB_VIRTUAL_NODES", "0", "1000001", "two"},
    {"TB_FETCH", NULL, NULL, "fast"},
    {"TB_HEARTBEAT", "0.5", "1e9", "10s"},
    {"TB_IDLE", NULL, NULL, "spi"},
    {"TB_JOB_SEED", "-1", "1000000001", "1.5"},
    {"TB_LOG_PREFIX", NULL, NULL, "on"},
    {"TB_LOG_DIR", NULL, NULL, NULL}, /* a folder that cannot be written is warned of */
    {"TB_KEEP_DESCRIPTORS", NULL, NULL, "2"},
    {"TB_DEBUG", "-1", "10", "all"},
    {"TB_FAULT", NULL, NULL, NULL}, /* in test_fault */
};

static void every_setting_refuses_what_cannot_work(void **state)
{
    char *text = NULL, row[64];
    size_t bytes, rows = 0;
    FILE *f = open_memstream(&text, &bytes);

    (void)state;
    tbi_settings_document(f);
    fclose(f);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (wrong[i].small != NULL)
            refused(wrong[i].name, wrong[i].small, *wrong[i].small == '-' ? "from 0 on" : "too small");
        if (wrong[i].large != NULL)
            refused(wrong[i].name, wrong[i].large, "too large");
        if (wrong[i].bad != NULL)
            refused(wrong[i].name, wrong[i].bad, "expected");
        snprintf(row, sizeof row, "\n| `%s` |", wrong[i].name);
        assert_non_null(strstr(text, row));
    }
    for (const char *at = text; (at = strstr(at, "\n| `TB_")) != NULL; at++)
        rows++;
    assert_int_equal(rows, sizeof wrong / sizeof wrong[0]); /* a new setting is to be tested, too */
    free(text);
}

static void numbers_are_decimal(void **state)
{
    (void)state;
    refused("TB_AHEAD", "0x4", "expected");
    refused("TB_STORE", "0x1p30", "expected");
    refused("TB_AHEAD", " 2", "expected");
}

static void what_is_too_large_is_told_with_what_it_is_for(void **state)
{
    (void)state;
    refused("TB_STORE", "1000T", "TB_STORE=1000T is too large: 1M to 16T, or 0 are possible (bytes, of each rank's part "
            "of the object store");
}

static void the_ends_of_the_range_are_possible(void **state)
{
    struct tbi_settings s;

    (void)state;
    assert_int_equal(read_with("TB_STORE", "1M", NULL, &s), 0);
    assert_int_equal(read_with("TB_STORE", "16T", NULL, &s), 0);
    assert_int_equal(read_with("TB_STORE", "0", NULL, &s), 0);
    assert_int_equal(read_with("TB_NUM_GPUS", "-1", NULL, &s), 0);
    assert_int_equal(read_with("TB_HEARTBEAT", "0", NULL, &s), 0);
    assert_int_equal(read_with("TB_CREATE_TIMEOUT", "0.001", NULL, &s), 0);
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
        cmocka_unit_test(every_setting_refuses_what_cannot_work),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(what_is_too_large_is_told_with_what_it_is_for),
        cmocka_unit_test(the_ends_of_the_range_are_possible),
        cmocka_unit_test(the_document_is_the_table),
    };

    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        tbi_settings_document(stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
