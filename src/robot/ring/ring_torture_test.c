/* A writer that never waits against readers in other processes: no reader ever accepts a torn entry, and one
 * that waits for the bell never sleeps through it. */
#include "base/clock.h"
#include "base/testing.h"
#include "robot/ring/ring.h"

#include <sys/wait.h>
#include <unistd.h>

enum { ENTRIES = 200000, READERS = 2 };

/* Every field of entry n follows from n. */
static void fill(struct ring_result *body, uint64_t seq)
{
    *body = (struct ring_result){.seq = seq, .stream = ~seq, .generation = seq * 0x9e3779b97f4a7c15u};
    for (uint32_t i = 0; i < RING_MAX_DETECTIONS; i++)
        body->detections[i].label = (uint32_t)seq + i;
}

static bool whole(const struct ring_result *body, uint64_t seq)
{
    struct ring_result want;
    fill(&want, seq);
    return memcmp(body, &want, sizeof want) == 0;
}

/* Exit status of a reader: 0 done, 1 torn entry, 2 slept through the end, 3 saw nothing. */
static int read_all(const struct ring *ring)
{
    uint64_t accepted = 0, seq = 0;
    int64_t give_up_ns = clock_mono_ns() + 60 * 1000000000ll;
    while (seq < ENTRIES) {
        uint32_t bell = ring_bell(ring);
        uint64_t newest = ring_newest(ring);
        if (newest == seq) {
            ring_wait(ring, bell, give_up_ns, 0);
            if (clock_mono_ns() >= give_up_ns)
                return 2;
            continue;
        }
        seq = newest;
        for (uint64_t back = 0; back < RING_SLOTS && back < seq; back++) {
            struct ring_result body;
            if (!ring_read(ring, seq - back, &body, sizeof body))
                continue;
            accepted++;
            if (!whole(&body, seq - back))
                return 1;
        }
    }
    return accepted ? 0 : 3;
}

static pid_t start_reader(const struct ring *writer)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct ring ring;
    struct err err = {0};
    if (ring_attach(&ring, dup(writer->fd), RING_RESULTS, &err) < 0)
        _exit(4);
    _exit(read_all(&ring));
}

static void no_reader_accepts_a_torn_entry(void **state)
{
    struct ring ring;
    struct err err = {0};
    assert_ok(ring_create(&ring, RING_RESULTS, RING_SLOTS, 0, &err), err);
    pid_t readers[READERS];
    for (int i = 0; i < READERS; i++)
        readers[i] = start_reader(&ring);
    for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
        struct ring_result body;
        fill(&body, seq);
        assert_true(ring_put(&ring, seq, &body, sizeof body));
        if (seq % 64 == 0 || seq == ENTRIES)
            ring_wake(&ring);
    }
    for (int i = 0; i < READERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(readers[i], &status, 0), readers[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_reader_accepts_a_torn_entry)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
