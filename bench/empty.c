/* empty.c - a job that does nothing; with an argument, for that many seconds. */
#include <stdlib.h>
#include <unistd.h>

#include <thornback.h>

int main(int argc, char **argv)
{
    tb_must(tb_init(&argc, &argv, NULL));
    if (argc > 1)
        usleep((useconds_t)(atof(argv[1]) * 1e6));
    return tb_finalize();
}
