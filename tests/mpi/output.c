/* output.c - a job that prints in a way that output.sh can check; what, its first argument says. */
#include "../run/gate.h"

#include <signal.h>
#include <string.h>

#include <thornback.h>

/* A line whose length and end follow from its numbers, so that a torn one shows. */
static void say(FILE *to, const char *who, int task, int k)
{
    char x[301];
    int n = (task * 31 + k * 7) % 300;

    memset(x, 'x', (size_t)n);
    x[n] = 0;
    fprintf(to, "%s %d %d %d %s.\n", who, task, k, n, x);
}

static int chatters(tb_call *call)
{
    int task = tb_arg_int(call, 0), lines = tb_arg_int(call, 1);

    for (int k = 0; k < lines; k++) {
        say(stdout, "out", task, k);
        if (k % 4 == 0)
            say(stderr, "err", task, k);
    }
    return tb_return(call, lines);
}
TB_TASK(chatters, .num_cpus = 0.25);

/* Each names itself as its prefix should, twice on each stream, and leaves a line unfinished. */
static int names_itself(tb_call *call)
{
    for (int i = 0; i < 2; i++) {
        printf("%s rank=%d pid=%d\n", tb_call_function(call), tb_call_rank(call), (int)getpid());
        fprintf(stderr, "%s rank=%d pid=%d\n", tb_call_function(call), tb_call_rank(call),
                (int)getpid());
    }
    printf("%s rank=%d pid=%d", tb_call_function(call), tb_call_rank(call), (int)getpid());
    return tb_return(call, 1);
}

static int first(tb_call *call) { return names_itself(call); }
TB_TASK(first);
static int second(tb_call *call) { return names_itself(call); }
TB_TASK(second);

static int quiet(tb_call *call) { return tb_return(call, tb_arg_int(call, 0)); }
TB_TASK(quiet, .num_cpus = 0.25);

static int dies_in_mid_line(tb_call *call)
{
    (void)call;
    printf("an unfinished line");
    fflush(stdout);
    fprintf(stderr, "first\nlast words");
    raise(SIGKILL);
    return 0;
}
TB_TASK(dies_in_mid_line, .num_cpus = 0.25, .max_retries = TB_NONE);

static int reads_stdin(tb_call *call) { return tb_return(call, getchar()); }
TB_TASK(reads_stdin);

static int says_and_stays(tb_call *call)
{
    printf("said before the end\n");
    fprintf(stderr, "said before the end, too");
    gate_wait(tb_arg_string(call, 0));
    for (;;)
        pause();
    return 0;
}
TB_TASK(says_and_stays, .max_retries = TB_NONE);

/* Leaves two children that hold its pipes: one waits for ever, one prints for ever. */
static int leaves_children(tb_call *call)
{
    int waits = fork(), prints = waits == 0 ? 0 : fork();

    if (waits == 0)
        for (;;)
            pause();
    if (prints == 0) {
        while (write(1, "from a child\n", 13) == 13) {
        }
        _exit(0); /* nobody reads any more */
    }
    printf("children %d %d\n", waits, prints);
    fprintf(stderr, "leaves them\n");
    fflush(stdout);
    if (tb_arg_int(call, 0))
        abort();
    return tb_return(call, 1);
}
TB_TASK(leaves_children, .max_retries = TB_NONE);

/* Meanwhile the driver prints as well, if it shall. */
static void chatter(int tasks, int lines, bool driver)
{
    tb_ref *r = calloc((size_t)tasks, sizeof *r);
    size_t ended = 0;

    for (int i = 0; i < tasks; i++)
        r[i] = tb_remote(chatters, i, lines);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int k = 0; driver && ended < (size_t)tasks; k++) {
        say(stdout, "driver", 0, k);
        say(stderr, "driver", 0, k);
        tb_must(tb_wait(r, (size_t)tasks, (size_t)tasks, 0, &ended));
    }
    for (int i = 0; i < tasks; i++)
        tb_must(tb_get(r[i], NULL));
    tb_must(tb_release_all(r, (size_t)tasks));
    free(r);
}

static void name_themselves(void)
{
    tb_ref r[200];

    for (int i = 0; i < 200; i++)
        r[i] = (i * 7 / 3) % 2 ? tb_remote(first) : tb_remote(second);
    tb_must(tb_get_all(r, 200, (int[200]){0}));
    tb_must(tb_release_all(r, 200));
}

static void get_crash(tb_ref r, const char *output)
{
    tb_error e;

    if (tb_get(r, NULL) != TB_ERR_CRASHED || tb_error_detail(r, &e) != 0 ||
        strcmp(e.output, output) != 0) {
        fprintf(stderr, "no crash, or its output is \"%s\": %s\n", e.output, tb_last_error());
        exit(1);
    }
    tb_must(tb_release(r));
}

/* stdout becomes `path`, a FIFO that nobody reads until there is a line in `told`. */
static void stopped_terminal(const char *path, const char *told, const char *lines)
{
    tb_ref r[3];
    int fd = open(path, O_WRONLY), v;
    size_t ready;
    FILE *f;

    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
        abort();
    close(fd);
    for (int i = 0; i < 3; i++)
        r[i] = tb_remote(chatters, i, atoi(lines));
    for (int i = 0; i < 500; i++) {
        tb_ref q = tb_remote(quiet, i);

        tb_must(tb_get(q, &v));
        tb_must(tb_release(q));
    }
    for (int i = 0; i < 20; i++)
        get_crash(tb_remote(dies_in_mid_line), "first\nlast words");
    tb_must(tb_wait(r, 3, 1, 0, &ready));
    f = fopen(told, "w");
    fprintf(f, "%zu ended\n", ready);
    fclose(f);
    for (int i = 0; i < 3; i++)
        tb_must(tb_get(r[i], NULL));
    tb_must(tb_release_all(r, 3));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    struct gate gate;
    char line[64];
    tb_ref r;
    int v;

    tb_must(tb_init(&argc, &argv, NULL));
    if (strcmp(what, "chatter") == 0) {
        chatter(atoi(argv[2]), atoi(argv[3]), argc > 4);
    } else if (strcmp(what, "names") == 0) {
        name_themselves();
    } else if (strcmp(what, "dies") == 0) {
        get_crash(tb_remote(dies_in_mid_line), "first\nlast words");
    } else if (strcmp(what, "exits") == 0) {
        tb_must(tb_get(tb_remote(dies_in_mid_line), NULL));
    } else if (strcmp(what, "stdin") == 0) {
        r = tb_remote(reads_stdin);
        tb_must(tb_get(r, &v));
        tb_must(tb_release(r));
        printf("task %d driver %s", v, fgets(line, sizeof line, stdin));
    } else if (strcmp(what, "stays") == 0) {
        gate = gate_new();
        r = tb_remote(says_and_stays, (const char *)gate.path);
        gate_open(&gate);
        tb_must(tb_release(r));
    } else if (strcmp(what, "children") == 0) {
        get_crash(tb_remote(leaves_children, 1), "leaves them");
        r = tb_remote(leaves_children, 0);
        tb_must(tb_get(r, NULL));
        tb_must(tb_release(r));
    } else if (strcmp(what, "stopped") == 0) {
        stopped_terminal(argv[2], argv[3], argv[4]);
    } else {
        fprintf(stderr, "what?\n");
        return 1;
    }
    return tb_finalize();
}
