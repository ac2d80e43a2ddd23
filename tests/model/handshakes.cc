// handshakes.cc - holds the hand-shakes without locks of exec/bell, exec/slots and exec/ring under the C11 memory
// model: Relacy (Debian's relacy-dev) runs them in random interleavings in which loads may give old values, and finds
// lost wake-ups as deadlocks and unordered accesses to data as races. It is C++, so what follows repeats the C code,
// operation by operation; each mistake that once was in it, or that a reader might think harmless, is tried too and
// has to be found.
#include <relacy/relacy.hpp>
#include <cstdio>
#include <cstring>

using rl::mo_acq_rel;
using rl::mo_acquire;
using rl::mo_relaxed;
using rl::mo_release;
using rl::mo_seq_cst;

enum fault { NONE, NO_FENCE_AFTER_TAKING, NO_FENCE_IN_NOTE, NO_FENCE_IN_ARM, NO_FENCE_IN_RING, CLEARED_BEFORE_THE_WAKE,
             TAIL_RELAXED, HEAD_RELAXED };

// The kernel's: looks at the value and goes to sleep in one step.
struct futex {
    rl::mutex lock;
    rl::condition_variable wake;
};

template <fault F> struct bell {
    rl::atomic<unsigned> value, armed;
    futex kernel;

    bell() : value(0), armed(0) {}

    unsigned arm()
    {
        unsigned v = value($).load(mo_relaxed);

        armed($).store(v << 2 | 1, mo_release);
        if (F != NO_FENCE_IN_ARM)
            rl::atomic_thread_fence(mo_seq_cst, $);
        return v;
    }
    void disarm() { armed($).store(0, mo_relaxed); }
    void wait(unsigned v)
    {
        kernel.lock.lock($);
        if (value($).load(mo_relaxed) == v)
            kernel.wake.wait(kernel.lock, $);
        kernel.lock.unlock($);
    }
    // False: killed in the middle.
    bool ring(bool may_die)
    {
        unsigned who;

        if (F != NO_FENCE_IN_RING)
            rl::atomic_thread_fence(mo_seq_cst, $);
        who = armed($).load(mo_acquire);
        if (who == 0)
            return true;
        if (F == CLEARED_BEFORE_THE_WAKE && armed($).exchange(0, mo_seq_cst) == 0)
            return true;
        if (may_die && rl::rand(2))
            return false;
        value($).fetch_add(1, mo_relaxed);
        if (may_die && rl::rand(2))
            return false;
        kernel.lock.lock($);
        kernel.wake.notify_all($);
        kernel.lock.unlock($);
        if (may_die && rl::rand(2))
            return false;
        if (F != CLEARED_BEFORE_THE_WAKE)
            armed($).compare_exchange_strong(who, 0, mo_relaxed, mo_relaxed);
        return true;
    }
};

// Two executors write to their rings, set their bits and ring; the rank looks only where a bit is set and sleeps when
// there is none. Executor 1 may be killed while it rings, and then the zygote, as executor 2, says so and rings.
template <fault F, bool DIES> struct news : rl::test_suite<news<F, DIES>, 4> {
    rl::atomic<unsigned> tail[3], bits;
    bell<F> door;
    enum { EACH = 2 };

    void before()
    {
        for (int i = 0; i < 3; i++)
            tail[i]($).store(0, mo_relaxed);
        bits($).store(0, mo_relaxed);
    }
    bool publish(unsigned i, unsigned n, bool may_die)
    {
        tail[i]($).store(n, mo_release);
        if (F != NO_FENCE_IN_NOTE)
            rl::atomic_thread_fence(mo_seq_cst, $);
        if (!(bits($).load(mo_relaxed) >> i & 1))
            bits($).fetch_or(1u << i, mo_relaxed);
        return door.ring(may_die);
    }
    unsigned take()
    {
        unsigned news;

        if (bits($).load(mo_relaxed) == 0)
            return 0;
        news = bits($).exchange(0, F == NO_FENCE_AFTER_TAKING ? mo_seq_cst : mo_relaxed);
        if (F != NO_FENCE_AFTER_TAKING)
            rl::atomic_thread_fence(mo_seq_cst, $);
        return news;
    }
    void consume()
    {
        unsigned seen[3] = {0, 0, 0};

        while (seen[0] < EACH || seen[2] < 1) {
            unsigned news = take(), v;

            for (unsigned i = 0; i < 3; i++)
                if (news >> i & 1)
                    seen[i] = tail[i]($).load(mo_acquire);
            if (news != 0)
                continue;
            v = door.arm();
            if (bits($).load(mo_relaxed) == 0)
                door.wait(v);
            door.disarm();
        }
    }
    void thread(unsigned me)
    {
        if (me == 3) {
            consume();
        } else if (me == 0) {
            for (unsigned n = 1; n <= EACH; n++)
                publish(0, n, false);
        } else if (me == 1) {
            publish(1, 1, DIES);
        } else {
            publish(2, 1, false);
        }
    }
};

// One record after another through a ring with room for two.
template <fault F> struct ring : rl::test_suite<ring<F>, 2> {
    rl::atomic<unsigned> head, tail;
    rl::var<unsigned> data[2];
    enum { N = 4 };

    void before()
    {
        head($).store(0, mo_relaxed);
        tail($).store(0, mo_relaxed);
    }
    void thread(unsigned me)
    {
        unsigned at = 0;

        if (me == 0) {
            while (at < N) {
                if (at - head($).load(F == HEAD_RELAXED ? mo_relaxed : mo_acquire) == 2) {
                    rl::yield(1, $);
                    continue;
                }
                data[at % 2]($) = at + 100;
                tail($).store(++at, F == TAIL_RELAXED ? mo_relaxed : mo_release);
            }
        } else {
            while (at < N) {
                if (tail($).load(mo_acquire) == at) {
                    rl::yield(1, $);
                    continue;
                }
                RL_ASSERT((unsigned)data[at % 2]($) == at + 100);
                head($).store(++at, mo_release);
            }
        }
    }
};

static int failed;

template <class TEST> static void expect(bool good, const char *name)
{
    rl::test_params p;
    bool was;

    p.iteration_count = 30000;
    p.search_type = rl::sched_random;
    std::ostream quiet(nullptr); // of a failure the history; to read it give std::cout
    p.output_stream = &quiet;
    p.progress_stream = &quiet;
    was = rl::simulate<TEST>(p);
    std::printf("%s %s: %s\n", was == good ? "ok  " : "FAIL", name, was ? "holds" : "a failure was found");
    failed += was != good;
}

int main()
{
    expect<ring<NONE>>(true, "ring");
    expect<ring<TAIL_RELAXED>>(false, "ring whose tail is not released");
    expect<ring<HEAD_RELAXED>>(false, "ring whose head is not acquired");
    expect<news<NONE, false>>(true, "news bits and bell");
    expect<news<NONE, true>>(true, "news bits and bell when a producer is killed while it rings");
    expect<news<NO_FENCE_AFTER_TAKING, false>>(false, "news bits taken by a seq_cst exchange alone");
    expect<news<NO_FENCE_IN_NOTE, false>>(false, "news bits noted without a fence");
    expect<news<NO_FENCE_IN_ARM, false>>(false, "bell armed without a fence");
    expect<news<NO_FENCE_IN_RING, false>>(false, "bell rung without a fence");
    expect<news<CLEARED_BEFORE_THE_WAKE, true>>(false, "bell disarmed by a producer that is killed before it wakes");
    return failed != 0;
}
