/* openmp.c - uses OpenMP before tb_init, which with GNU's would hang in tasks: it must be refused. */
#include <stdio.h>

#include <thornback.h>

int main(int argc, char **argv)
{
    int sum = 0, rc;

#pragma omp parallel for reduction(+ : sum) num_threads(2)
    for (int i = 0; i < 100; i++)
        sum += i;
    rc = tb_init(&argc, &argv, NULL);
    printf("%d %d %s\n", sum, rc, tb_last_error());
    return rc == 0 ? tb_finalize() : 4;
}
