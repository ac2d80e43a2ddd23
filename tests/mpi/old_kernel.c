/* old_kernel.c - with misuse.sh: a kernel without MADV_POPULATE_WRITE on which /dev/shm (in this test one
 * of its own, small) fills up after the job has started. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thornback.h>

enum { POPULATE_WRITE = 23, SIZE = 32 << 20 };

int madvise(void *at, size_t bytes, int advice)
{
    int (*real)(void *, size_t, int);

    if (advice == POPULATE_WRITE) {
        errno = EINVAL;
        return -1;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "madvise");
    return real(at, bytes, advice);
}

static int large(tb_call *call)
{
    return tb_return(call, tb_bytes(calloc(1, SIZE), SIZE));
}
TB_TASK(large);

static void fill(void)
{
    static const char zeros[1 << 16];
    int fd = open("/dev/shm/old_kernel", O_CREAT | O_WRONLY, 0600);
    size_t bytes = sizeof zeros;

    while (bytes > 0)
        if (write(fd, zeros, bytes) <= 0)
            bytes /= 2;
}

static void on_bus_error(int signal)
{
    static const char text[] = "the program's own handler\n";
    ssize_t written = write(STDOUT_FILENO, text, sizeof text - 1);

    (void)signal, (void)written;
    _exit(0);
}

/* Beyond the end of a file. */
static void bus_error(void)
{
    int fd = open("/dev/shm/empty", O_CREAT | O_RDWR, 0600);
    volatile char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    at[0] = 1;
}

int main(int argc, char **argv)
{
    tb_ref ref;
    int rc;

    signal(SIGBUS, on_bus_error);
    if (tb_init(&argc, &argv, NULL) != 0)
        return 1;
    if (argc > 1 && strcmp(argv[1], "other") == 0)
        bus_error();
    fill();
    ref = argc > 1 && strcmp(argv[1], "put") == 0 ? tb_put(tb_bytes(calloc(1, SIZE), SIZE))
                                                   : tb_remote(large);
    rc = tb_get(ref, NULL);
    printf("%d %s\n", rc, tb_last_error());
    fflush(stdout);
    tb_release(ref);
    return tb_finalize();
}
