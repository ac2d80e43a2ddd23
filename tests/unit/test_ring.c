/* test_ring.c - holds exec/ring: every record arrives whole, once and in order, between threads (for
 * ThreadSanitizer) and between processes; a killed producer leaves nothing torn; a lying one is
 * found out and never believed. */
#include "unit.h"
#include "exec/ring.h"
#include "net/codec.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 4096 };

static struct tbi_ring *new_ring(void)
{
    void *p = mmap(NULL, tbi_ring_footprint(SIZE), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

static void free_ring(struct tbi_ring *ring)
{
    munmap(ring, tbi_ring_footprint(SIZE));
}

/* The k-th record of a stream: its size and content follow from k alone; some exceed the ring. */
static size_t size_of(uint64_t k)
{
    uint64_t seed = k + 1;

    unit_random(&seed);
    return seed % 50 == 0 ? seed % 20000 : seed % 200;
}

static void write_record(struct tbi_ring_writer *w, struct tbi_outbox *out, uint64_t k)
{
    size_t n = size_of(k);
    struct msg_put *m = tbi_outbox_append(out, TBI_MSG_PUT, 1, sizeof *m + n);

    *m = (struct msg_put){tbi_id_make(0, 0, 0, k + 1, 0), 0, (uint32_t)n};
    memset(m + 1, (int)k, n);
    while (tbi_outbox_bytes(out) > 0) {
        size_t sent = tbi_ring_write(w, out->data + out->begin, tbi_outbox_bytes(out));

        out->begin += sent;
        if (sent == 0)
            sched_yield();
    }
}

static bool is_record(const struct tbi_record *r, uint64_t k)
{
    const struct msg_put *m = (const void *)(r + 1);
    const uint8_t *data = (const void *)(m + 1);

    if (tbi_id_counter(m->id) != k + 1 || m->bytes != size_of(k))
        return false;
    for (size_t i = 0; i < m->bytes; i++)
        if (data[i] != (uint8_t)k)
            return false;
    return true;
}

enum { STREAM = 20000 };

static void *produce(void *ring)
{
    struct tbi_ring_writer w;
    struct tbi_outbox out = {0};

    tbi_ring_writer_init(&w, ring, SIZE);
    for (uint64_t k = 0; k < STREAM; k++)
        write_record(&w, &out, k);
    tbi_outbox_fini(&out);
    return NULL;
}

static void records_arrive_whole_once_and_in_order(void **state)
{
    struct tbi_ring *ring = new_ring();
    struct tbi_ring_reader r;
    pthread_t producer;

    (void)state;
    tbi_ring_reader_init(&r, ring, SIZE);
    assert_int_equal(pthread_create(&producer, NULL, produce, ring), 0);
    for (uint64_t k = 0; k < STREAM;) {
        const struct tbi_record *record = tbi_ring_next(&r);

        if (record == NULL) {
            assert_null(r.broken);
            sched_yield();
            continue;
        }
        assert_true(is_record(record, k));
        k++;
    }
    assert_null(tbi_ring_next(&r));
    assert_false(tbi_ring_has_news(&r));
    assert_int_equal(pthread_join(producer, NULL), 0);
    tbi_ring_reader_fini(&r);
    free_ring(ring);
}

static void a_killed_producer_leaves_nothing_torn(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (int round = 0; round < 100; round++) {
        struct tbi_ring *ring = new_ring();
        uint64_t k = 0, stop = unit_random(&seed) % 3000;
        const struct tbi_record *record;
        struct tbi_ring_reader r;
        pid_t child;
        int status;

        tbi_ring_reader_init(&r, ring, SIZE);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            produce(ring);
            pause();
            _exit(0);
        }
        while (k < stop)
            if ((record = tbi_ring_next(&r)) != NULL)
                assert_true(is_record(record, k++));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        while ((record = tbi_ring_next(&r)) != NULL)
            assert_true(is_record(record, k++));
        assert_null(r.broken);
        tbi_ring_reader_fini(&r);
        free_ring(ring);
    }
}

static void a_producer_that_writes_nonsense_is_found_out(void **state)
{
    uint64_t seed = 9;
    int found = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct tbi_ring *ring = new_ring();
        struct tbi_ring_reader r;
        struct tbi_ring_writer w;
        uint64_t junk[8];

        tbi_ring_reader_init(&r, ring, SIZE);
        tbi_ring_writer_init(&w, ring, SIZE);
        for (int i = 0; i < 8; i++)
            junk[i] = unit_random(&seed) >> unit_random(&seed) % 64;
        tbi_ring_write(&w, junk, sizeof junk);
        if (round % 3 == 0)
            atomic_store(&ring->tail, unit_random(&seed));
        while (tbi_ring_next(&r) != NULL) {
        }
        found += r.broken != NULL;
        tbi_ring_reader_fini(&r);
        free_ring(ring);
    }
    assert_true(found > 10000);
}

static void a_consumer_that_lies_about_what_it_read_is_found_out(void **state)
{
    static const uint64_t lie[] = {UINT64_MAX, 0x4141414141414141, 2000 + 8, 4, 992, 0};
    static uint8_t bytes[SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof lie / sizeof *lie; i++) {
        struct tbi_ring *ring = new_ring();
        struct tbi_ring_writer w;

        tbi_ring_writer_init(&w, ring, SIZE);
        assert_int_equal(tbi_ring_write(&w, bytes, 1000), 1000);
        atomic_store(&ring->head, 1000);
        assert_true(tbi_ring_look(&w));
        assert_int_equal(tbi_ring_write(&w, bytes, 1000), 1000);
        atomic_store(&ring->head, lie[i]); /* beyond what was written, odd, or less than before */
        assert_int_equal(tbi_ring_write(&w, bytes, SIZE), 0);
        assert_non_null(w.broken);
        assert_int_equal(tbi_ring_write(&w, bytes, 8), 0);
        assert_int_equal(atomic_load(&ring->tail), 2000);
        free_ring(ring);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_arrive_whole_once_and_in_order),
        cmocka_unit_test(a_killed_producer_leaves_nothing_torn),
        cmocka_unit_test(a_producer_that_writes_nonsense_is_found_out),
        cmocka_unit_test(a_consumer_that_lies_about_what_it_read_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
