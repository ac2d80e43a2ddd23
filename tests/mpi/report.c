/* report.c - gets SIGUSR2 on rank 0 alone while a task runs and the driver waits; goes on when a line comes on stdin.
 * For report.sh, which looks at what the ranks write. */
#include "../run/gate.h"

#include <signal.h>
#include <thornback.h>

static int lasts(tb_call *call)
{
    gate_wait(tb_arg_string(call, 0));
    return tb_return(call, 7);
}
TB_TASK(lasts);

int main(void)
{
    struct gate gate = gate_new();
    char line[8];
    tb_ref ref;
    int got = 0;

    tb_must(tb_init(NULL, NULL, NULL));
    ref = tb_remote(lasts, gate.path);
    gate_reach(&gate);
    kill(getpid(), SIGUSR2);
    if (fgets(line, sizeof line, stdin) == NULL)
        return 1;
    gate_open(&gate);
    tb_must(tb_get(ref, &got));
    tb_must(tb_release(ref));
    return tb_finalize() != 0 || got != 7;
}
