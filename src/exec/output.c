#include "exec/output.h"
#include "net/codec.h"
#include "util/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ = 64 * 1024,           /* bytes of a pipe in one turn: what it holds, as a rule */
    BACKLOG_MAX = 16 << 20      /* bytes of the dead, waiting for room, before some are lost */
};

struct stream {
    struct tbi_output *of;
    int number;                 /* 1 stdout, 2 stderr */
    int fd;                     /* -1: it was closed at the other end */
    struct tbi_lines lines;
};

struct tbi_output {
    struct tbi_outputs *all;
    uint32_t proc, slot;
    uint64_t begun;             /* the task that had begun when stderr was read last */
    struct stream stream[2];
};

struct tbi_outputs {
    const struct tbi_output_config *config;
    int epoll;
    int file[2];
    struct tbi_ring_writer writer;
    struct tbi_outbox records;  /* on their way into the ring */
    uint64_t printed, lost;
    const struct stream *current;
    struct tbi_lines_sink sink;
    char buffer[READ];
};

int tbi_output_files(const char *dir, unsigned rank, int file[2])
{
    static const char *const ending[] = {"out", "err"};
    char path[4096];

    file[0] = file[1] = 0;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return -errno;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/rank-%u.%s", dir, rank, ending[i]);
        file[i] = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        if (file[i] < 0) {
            int rc = -errno;

            if (i == 1)
                close(file[0]);
            file[0] = file[1] = 0;
            return rc;
        }
    }
    return 0;
}

static void write_file(struct tbi_outputs *all, int i, const char *lines, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(all->file[i], lines, bytes);

        if (n >= 0) {
            lines += n;
            bytes -= (size_t)n;
        } else if (errno != EINTR) {
            fprintf(stderr, "thornback: warning: rank %u cannot write to its file of what tasks "
                    "print to std%s (TB_LOG_DIR): %s; it ends here\n", all->config->rank,
                    i == 0 ? "out" : "err", strerror(errno));
            close(all->file[i]);
            all->file[i] = 0;
            return;
        }
    }
}

static void append(struct tbi_outputs *all, uint32_t stream, const char *lines, size_t bytes)
{
    struct msg_output *m = tbi_outbox_append(&all->records, TBI_MSG_OUTPUT, all->current->of->proc,
                                             sizeof *m + bytes);

    *m = (struct msg_output){.stream = stream, .bytes = (uint32_t)bytes};
    memcpy(m + 1, lines, bytes);
    all->printed += bytes;
}

static void emit(void *ctx, const char *lines, size_t bytes)
{
    struct tbi_outputs *all = ctx;
    int number = all->current->number;

    if (all->file[number - 1] != 0)
        write_file(all, number - 1, lines, bytes);
    if (tbi_outbox_bytes(&all->records) > BACKLOG_MAX) {
        all->lost += bytes;
        return;
    }
    if (all->lost > 0) {
        char note[160];
        int n = snprintf(note, sizeof note, "thornback: warning: %llu bytes that tasks of rank %u "
                         "printed are lost: nobody reads the driver's output\n",
                         (unsigned long long)all->lost, all->config->rank);

        all->lost = 0;
        append(all, 2, note, (size_t)n);
    }
    append(all, (uint32_t)number, lines, bytes);
}

/* ---- one executor ---- */

static void close_stream(struct stream *s)
{
    if (s->fd < 0)
        return;
    epoll_ctl(s->of->all->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    close(s->fd);
    s->fd = -1;
}

struct tbi_output *tbi_output_open(struct tbi_outputs *all, int ends[2])
{
    int out[2], err[2];
    struct tbi_output *o;

    if (pipe2(out, O_CLOEXEC) != 0)
        return NULL;
    if (pipe2(err, O_CLOEXEC) != 0) {
        int e = errno;

        close(out[0]);
        close(out[1]);
        errno = e;
        return NULL;
    }
    o = tbi_alloc_zeroed(1, sizeof *o);
    o->all = all;
    o->stream[0] = (struct stream){.of = o, .number = 1, .fd = out[0]};
    o->stream[1] = (struct stream){.of = o, .number = 2, .fd = err[0]};
    ends[0] = out[1];
    ends[1] = err[1];
    return o;
}

void tbi_output_begin(struct tbi_output *o, uint32_t proc, uint32_t slot, int pid)
{
    const struct tbi_output_config *config = o->all->config;

    o->proc = proc;
    o->slot = slot;
    for (int i = 0; i < 2; i++) {
        struct stream *s = &o->stream[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};

        tbi_lines_init(&s->lines, (struct tbi_lines_source){config->functions, config->nfunctions,
                                                            config->rank, pid}, s->number == 2);
        fcntl(s->fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(o->all->epoll, EPOLL_CTL_ADD, s->fd, &event);
    }
}

void tbi_output_forget(struct tbi_output *o)
{
    free(o);
}

static uint64_t begun(const struct tbi_output *o)
{
    struct tbi_slots *slots = o->all->config->slots;

    return slots == NULL ? 0 : atomic_load(&tbi_slots_slot(slots, o->slot)->begun);
}

/* One read of up to `most` bytes. */
static ssize_t take(struct stream *s, size_t most)
{
    struct tbi_outputs *all = s->of->all;
    ssize_t n = read(s->fd, all->buffer, most < READ ? most : READ);

    if (n <= 0)
        return n;
    /* What was read before the running task began is not its. */
    if (s->number == 2 && s->of->begun != begun(s->of)) {
        s->of->begun = begun(s->of);
        tbi_lines_forget_tail(&s->lines);
    }
    all->current = s;
    tbi_lines_take(&s->lines, all->buffer, (size_t)n, &all->sink);
    return n;
}

size_t tbi_output_close(struct tbi_output *o, char tail[TBI_TAIL])
{
    size_t n;

    for (int i = 0; i < 2; i++) {
        struct stream *s = &o->stream[i];
        int left = 0;
        ssize_t got;

        /* What lies there now: a child of the task may hold the pipe and go on writing for ever. */
        if (s->fd >= 0)
            ioctl(s->fd, FIONREAD, &left);
        while (left > 0 && (got = take(s, (size_t)left)) > 0)
            left -= (int)got;
        o->all->current = s;
        tbi_lines_end(&s->lines, &o->all->sink);
        close_stream(s);
    }
    if (o->begun != begun(o))
        tbi_lines_forget_tail(&o->stream[1].lines);
    n = tbi_lines_tail(&o->stream[1].lines, tail);
    free(o);
    return n;
}

/* ---- all of them ---- */

struct tbi_outputs *tbi_outputs_create(const struct tbi_output_config *config)
{
    struct tbi_outputs *all = tbi_alloc_zeroed(1, sizeof *all);

    all->config = config;
    memcpy(all->file, config->file, sizeof all->file);
    all->epoll = epoll_create1(EPOLL_CLOEXEC);
    all->sink.emit = emit;
    all->sink.ctx = all;
    tbi_ring_writer_init(&all->writer, config->ring, config->ring_size);
    if (all->epoll < 0) {
        free(all);
        return NULL;
    }
    return all;
}

void tbi_outputs_destroy(struct tbi_outputs *all)
{
    close(all->epoll);
    tbi_outbox_fini(&all->records);
    free(all);
}

int tbi_outputs_fd(const struct tbi_outputs *all)
{
    return all->epoll;
}

uint64_t tbi_outputs_printed(const struct tbi_outputs *all)
{
    return all->printed;
}

/* True: some found no room. */
static bool flush(struct tbi_outputs *all, bool *wrote)
{
    struct tbi_outbox *r = &all->records;
    size_t n;

    while (tbi_outbox_bytes(r) > 0 &&
           (n = tbi_ring_write(&all->writer, r->data + r->begin, tbi_outbox_bytes(r))) > 0) {
        r->begin += n;
        *wrote = true;
    }
    if (r->begin < r->end)
        return true;
    r->begin = r->end = 0;
    if (r->room > 16 * READ)
        tbi_outbox_fini(r);
    return false;
}

bool tbi_outputs_read(struct tbi_outputs *all, bool *wrote)
{
    struct epoll_event event[64];
    bool some = false;
    int n;

    if (flush(all, wrote))
        return true;
    n = epoll_wait(all->epoll, event, 64, 0);
    for (int i = 0; i < n; i++) {
        struct stream *s = event[i].data.ptr;
        ssize_t got = take(s, READ);

        if (got == 0)
            close_stream(s); /* nobody holds the other end any more */
        some |= got > 0;
    }
    return flush(all, wrote) || some;
}
