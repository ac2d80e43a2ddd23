/* test_output.c - holds exec/output: what is written into an executor's pipes comes out of the
 * ring as whole lines, all of it and none before there is room; at a death nothing is left
 * behind and nobody is waited for; the tail is the last task's; files get the same lines. */
#include "unit.h"
#include "exec/output.h"
#include "net/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 4096 }; /* small: what is printed must wait for room */

struct world {
    struct tbi_ring *ring;
    struct tbi_ring_reader reader;
    struct tbi_output_config config;
    struct tbi_outputs *outputs;
    struct tbi_output *output;
    int ends[2];
    char *got[3];             /* by stream */
    size_t bytes[3];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    w->ring = mmap(NULL, tbi_ring_footprint(SIZE), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    tbi_ring_reader_init(&w->reader, w->ring, SIZE);
    w->config = (struct tbi_output_config){.ring = w->ring, .ring_size = SIZE, .rank = 3,
                                           .slots = tbi_slots_create(tbi_page_bytes())};
    for (int i = 1; i < 3; i++)
        w->got[i] = calloc(1, 32 << 20);
    *state = w;
    return 0;
}

static void begin(struct world *w)
{
    w->outputs = tbi_outputs_create(&w->config);
    w->output = tbi_output_open(w->outputs, w->ends);
    assert_non_null(w->output);
    tbi_output_begin(w->output, 5, 2, 77);
}

static int teardown(void **state)
{
    struct world *w = *state;

    tbi_outputs_destroy(w->outputs);
    tbi_slots_destroy(w->config.slots);
    tbi_ring_reader_fini(&w->reader);
    munmap(w->ring, tbi_ring_footprint(SIZE));
    free(w->got[1]);
    free(w->got[2]);
    free(w);
    return 0;
}

static void say(const struct world *w, int stream, const char *text)
{
    assert_int_equal(write(w->ends[stream - 1], text, strlen(text)), strlen(text));
}

/* Reads the ring until it is empty. */
static bool hear(struct world *w)
{
    const struct tbi_record *r;
    bool some = false;

    while ((r = tbi_ring_next(&w->reader)) != NULL) {
        const struct msg_output *m = (const struct msg_output *)(r + 1);

        assert_int_equal(r->type, TBI_MSG_OUTPUT);
        assert_int_equal(r->proc, 5);
        memcpy(w->got[m->stream] + w->bytes[m->stream], m + 1, m->bytes);
        w->bytes[m->stream] += m->bytes;
        some = true;
    }
    assert_null(w->reader.broken);
    return some;
}

static bool is_readable(const struct world *w)
{
    struct pollfd fd = {.fd = tbi_outputs_fd(w->outputs), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static void until_all_is_heard(struct world *w)
{
    bool wrote, more = true;

    while (more) {
        more = tbi_outputs_read(w->outputs, &wrote);
        more |= hear(w);
    }
    assert_int_equal(tbi_outputs_printed(w->outputs), w->bytes[1] + w->bytes[2]);
}

static size_t die(struct world *w, char tail[TBI_TAIL])
{
    size_t n = tbi_output_close(w->output, tail);

    until_all_is_heard(w);
    return n;
}

static void each_stream_comes_in_whole_lines(void **state)
{
    struct world *w = *state;
    char tail[TBI_TAIL];

    begin(w);
    assert_false(is_readable(w));
    say(w, 1, "one\ntw");
    assert_true(is_readable(w));
    until_all_is_heard(w);
    assert_false(is_readable(w));
    assert_string_equal(w->got[1], "one\n");
    say(w, 2, "error\n");
    say(w, 1, "o");
    die(w, tail);
    assert_string_equal(w->got[1], "one\ntwo\n");
    assert_string_equal(w->got[2], "error\n");
    assert_string_equal(tail, "error");
    close(w->ends[0]);
    close(w->ends[1]);
}

/* Fills the pipe until it takes no more; returns the number of bytes. */
static size_t flood(struct world *w)
{
    char line[100];
    size_t sent = 0;
    ssize_t n;

    memset(line, 'x', sizeof line);
    line[99] = '\n';
    fcntl(w->ends[0], F_SETFL, O_NONBLOCK);
    while ((n = write(w->ends[0], line, sizeof line)) == (ssize_t)sizeof line)
        sent += sizeof line;
    assert_true(n < 0 && errno == EAGAIN);
    return sent;
}

static void without_room_the_pipe_is_not_read(void **state)
{
    struct world *w = *state;
    size_t sent;
    char tail[TBI_TAIL];
    bool wrote;

    begin(w);
    sent = flood(w);
    for (int i = 0; i < 100; i++)
        assert_true(tbi_outputs_read(w->outputs, &wrote));
    sent += flood(w);       /* what was taken once was taken from the pipe, and no more */
    for (int i = 0; i < 100; i++)
        assert_true(tbi_outputs_read(w->outputs, &wrote));
    assert_int_equal(flood(w), 0);
    until_all_is_heard(w);
    assert_int_equal(w->bytes[1], sent);
    die(w, tail);
    close(w->ends[0]);
    close(w->ends[1]);
}

static void at_a_death_the_pipe_is_read_without_room(void **state)
{
    struct world *w = *state;
    size_t sent;
    char tail[TBI_TAIL];
    bool wrote;

    begin(w);
    sent = flood(w);
    tbi_outputs_read(w->outputs, &wrote);
    sent += flood(w);
    tbi_output_close(w->output, tail);
    assert_true(tbi_outputs_printed(w->outputs) == sent);
    until_all_is_heard(w);
    assert_int_equal(w->bytes[1], sent);
    close(w->ends[0]);
    close(w->ends[1]);
}

/* Nobody reads while executors die that have printed much. */
static void what_the_dead_left_is_lost_beyond_a_limit_and_that_is_said(void **state)
{
    struct world *w = *state;
    char tail[TBI_TAIL];
    unsigned long long lost;
    size_t sent = 0;

    w->outputs = tbi_outputs_create(&w->config);
    for (int i = 0; i < 400; i++) {
        w->output = tbi_output_open(w->outputs, w->ends);
        assert_non_null(w->output);
        tbi_output_begin(w->output, 5, 2, 77);
        sent += flood(w);
        tbi_output_close(w->output, tail);
        close(w->ends[0]);
        close(w->ends[1]);
    }
    until_all_is_heard(w);
    assert_true(w->bytes[1] < sent && w->bytes[2] == 0);
    w->output = tbi_output_open(w->outputs, w->ends);
    tbi_output_begin(w->output, 5, 2, 77);
    say(w, 1, "more\n");
    die(w, tail);
    assert_int_equal(sscanf(w->got[2], "thornback: warning: %llu bytes", &lost), 1);
    assert_int_equal(w->bytes[1] + lost, sent + strlen("more\n"));
    close(w->ends[0]);
    close(w->ends[1]);
}

/* The other end stays open all the time here, as a child of the task would hold it. */
static void nobody_who_holds_the_pipe_is_waited_for(void **state)
{
    struct world *w = *state;
    char tail[TBI_TAIL];

    begin(w);
    say(w, 1, "last");
    assert_int_equal(die(w, tail), 0);
    assert_string_equal(w->got[1], "last\n");
    assert_int_equal(fcntl(w->ends[0], F_GETFD), FD_CLOEXEC); /* and not by what is exec'ed */
    close(w->ends[0]);
    close(w->ends[1]);
}

static void a_stream_that_is_closed_is_not_looked_at_again(void **state)
{
    struct world *w = *state;
    char tail[TBI_TAIL];

    begin(w);
    say(w, 1, "one\n");
    close(w->ends[0]);
    until_all_is_heard(w);
    assert_false(is_readable(w));
    say(w, 2, "still here\n");
    die(w, tail);
    assert_string_equal(w->got[1], "one\n");
    assert_string_equal(tail, "still here");
    close(w->ends[1]);
}

static void the_tail_is_of_the_task_that_ran_last(void **state)
{
    struct world *w = *state;
    struct tbi_slot *slot = tbi_slots_slot(w->config.slots, 2);
    char tail[TBI_TAIL];

    begin(w);
    slot->begun = 1;
    say(w, 2, "of the first\n");
    until_all_is_heard(w);
    slot->begun = 2;
    say(w, 2, "of the second\n");
    until_all_is_heard(w);
    say(w, 2, "and more\n");
    die(w, tail);
    assert_string_equal(tail, "of the second\nand more");
    close(w->ends[0]);
    close(w->ends[1]);

    w->output = tbi_output_open(w->outputs, w->ends);
    tbi_output_begin(w->output, 5, 2, 78);
    say(w, 2, "of the second\n");
    until_all_is_heard(w);
    slot->begun = 3;
    die(w, tail);           /* the third said nothing */
    assert_string_equal(tail, "");
    close(w->ends[0]);
    close(w->ends[1]);
}

static void assert_file(const char *dir, const char *name, const char *text)
{
    char path[200], got[200] = "";
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fread(got, 1, sizeof got - 1, f), strlen(text));
    assert_string_equal(got, text);
    fclose(f);
    unlink(path);
}

static void files_get_the_same_lines(void **state)
{
    struct world *w = *state;
    char dir[] = "/tmp/tb-output-XXXXXX", in[64], tail[TBI_TAIL];

    assert_non_null(mkdtemp(dir));
    snprintf(in, sizeof in, "%s/made", dir);
    for (int i = 0; i < 2; i++) {   /* the second time what is there stays */
        assert_int_equal(tbi_output_files(in, 3, w->config.file), 0);
        begin(w);
        say(w, 1, "one\ntwo");
        say(w, 2, "error\n");
        die(w, tail);
        close(w->ends[0]);
        close(w->ends[1]);
        close(w->config.file[0]);
        close(w->config.file[1]);
        if (i == 0) {
            tbi_outputs_destroy(w->outputs);
            memset(w->ring, 0, sizeof *w->ring);
            tbi_ring_reader_fini(&w->reader);
            tbi_ring_reader_init(&w->reader, w->ring, SIZE);
            w->bytes[1] = w->bytes[2] = 0;
        }
    }
    assert_file(in, "rank-3.out", "one\ntwo\none\ntwo\n");
    assert_file(in, "rank-3.err", "error\nerror\n");
    rmdir(in);
    rmdir(dir);
    assert_int_equal(tbi_output_files("/dev/null/logs", 3, w->config.file), -ENOTDIR);
    assert_true(w->config.file[0] == 0 && w->config.file[1] == 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_stream_comes_in_whole_lines),
        TEST(without_room_the_pipe_is_not_read),
        TEST(at_a_death_the_pipe_is_read_without_room),
        TEST(what_the_dead_left_is_lost_beyond_a_limit_and_that_is_said),
        TEST(nobody_who_holds_the_pipe_is_waited_for),
        TEST(a_stream_that_is_closed_is_not_looked_at_again),
        TEST(the_tail_is_of_the_task_that_ran_last),
        TEST(files_get_the_same_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
