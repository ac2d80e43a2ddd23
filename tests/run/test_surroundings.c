/* test_surroundings.c - holds that the working directory, umask and environment that a task leaves are not those of
 * the next one in its process, and that an actor keeps its own. */
#include "run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* argument: how */
static int changes(tb_call *call)
{
    static char text[] = "TB_TEST_PUT=1";
    int fd;

    switch (tb_arg_int(call, 0)) {
    case 0:
        tb_must(chdir("/"));
        umask(0);
        setenv("TB_TEST_SET", "other", 1);
        setenv("TB_TEST_NEW", "1", 1);
        break;
    case 1:
        fd = open("/", O_RDONLY | O_DIRECTORY);
        tb_must(fchdir(fd));
        close(fd);
        putenv(text);
        unsetenv("TB_TEST_SET");
        break;
    default:
        umask(0777);
        clearenv();
        setenv("TB_TEST_NEW", "1", 1);
    }
    return tb_return(call, (int)getpid());
}
TB_TASK(changes);

/* Returns: its process, and whether all is as at the start. arguments: directory, umask */
static int looks(tb_call *call)
{
    mode_t mask = umask(0);
    char dir[4096];
    bool same;

    umask(mask);
    same = getcwd(dir, sizeof dir) != NULL && strcmp(dir, tb_arg_string(call, 0)) == 0 &&
           (int)mask == tb_arg_int(call, 1) && getenv("TB_TEST_SET") != NULL &&
           strcmp(getenv("TB_TEST_SET"), "kept") == 0 && getenv("TB_TEST_NEW") == NULL && getenv("TB_TEST_PUT") == NULL &&
           getenv("PATH") != NULL;
    return tb_return(call, (int)getpid(), same);
}
TB_TASK(looks);

struct shell {
    char unused;
};
static int shell_cd(tb_call *call, struct shell *shell)
{
    (void)shell;
    tb_must(chdir(tb_arg_string(call, 0)));
    return tb_return(call, setenv("TB_TEST_SET", "changed", 1));
}
static int shell_pwd(tb_call *call, struct shell *shell)
{
    char dir[4096];

    (void)shell;
    return tb_return(call, (const char *)getcwd(dir, sizeof dir), (const char *)getenv("TB_TEST_SET"));
}
TB_ACTOR(shell, struct shell);
TB_METHOD(shell, shell_cd);
TB_METHOD(shell, shell_pwd);

static void what_a_task_changes_does_not_reach_the_next(void **state)
{
    enum { ROUNDS = 60 };
    mode_t mask = umask(0);
    char dir[4096];
    int same_process = 0;

    (void)state;
    umask(mask);
    assert_non_null(getcwd(dir, sizeof dir));
    for (int i = 0; i < ROUNDS; i++) {
        tb_ref r[3] = {tb_remote(changes, i % 3)};
        int changer, looked[2];

        assert_ok(tb_get(r[0], &changer));
        assert_ok(tb_remote_n(looks, r + 1, 2, (const char *)dir, (int)mask));
        assert_ok(tb_get_all(r + 1, 2, looked));
        same_process += looked[0] == changer;
        assert_true(looked[1]);
        assert_ok(tb_release_all(r, 3));
    }
    assert_true(same_process > 0); /* else this has shown nothing */
}

static void an_actor_keeps_its_own(void **state)
{
    tb_actor actor = tb_actor_new(shell);
    tb_ref r[3] = {tb_actor_call(actor, shell_cd, "/")};
    const char *dir, *set;

    (void)state;
    assert_ok(tb_get(r[0], NULL));
    assert_ok(tb_actor_call_n(actor, shell_pwd, r + 1, 2));
    assert_ok(tb_get(r[1], &dir));
    assert_ok(tb_get(r[2], &set));
    assert_string_equal(dir, "/");
    assert_string_equal(set, "changed");
    assert_ok(tb_release_all(r, 3));
    assert_ok(tb_actor_release(actor));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_a_task_changes_does_not_reach_the_next),
                                       cmocka_unit_test(an_actor_keeps_its_own)};

    setenv("TB_TEST_SET", "kept", 1);
    return cmocka_run_group_tests(tests, run_begin, run_end);
}
