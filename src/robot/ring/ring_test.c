#include "base/mem.h"
#include "base/testing.h"
#include "robot/ring/region.h"
#include "robot/ring/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct ring writer, reader;

static int setup(void **state)
{
    struct err err = {0};
    assert_ok(ring_create(&writer, RING_RESULTS, RING_SLOTS, 0, &err), err);
    assert_ok(ring_attach(&reader, dup(writer.fd), RING_RESULTS, &err), err);
    return 0;
}

static int teardown(void **state)
{
    ring_fini(&writer);
    ring_fini(&reader);
    return 0;
}

static struct ring_result sample(uint64_t seq)
{
    return (struct ring_result){.seq = seq, .generation = seq * 3, .count = (uint32_t)seq};
}

/* After n entries exactly the last slot_count are readable, each as it was written. */
static void exactly_the_newest_entries_are_readable(void **state)
{
    for (uint64_t n = 1; n <= 40; n++) {
        struct ring_result body = sample(n), got;
        assert_true(ring_put(&writer, n, &body, sizeof body));
        assert_int_equal(ring_newest(&reader), n);
        for (uint64_t seq = 0; seq <= n + 10; seq++) {
            bool there = seq >= 1 && seq <= n && seq + RING_SLOTS > n;
            assert_int_equal(ring_read(&reader, seq, &got, sizeof got), there);
            if (there) {
                body = sample(seq);
                assert_memory_equal(&got, &body, sizeof got);
            }
        }
    }
}

static void an_entry_being_written_is_not_readable(void **state)
{
    struct ring_result body = sample(1), got;
    assert_true(ring_put(&writer, 1, &body, sizeof body));
    const void *peeked = ring_peek(&reader, 1);
    assert_non_null(peeked);
    assert_true(ring_still(&reader, 1));
    assert_non_null(ring_begin(&writer, 1 + RING_SLOTS));
    assert_false(ring_still(&reader, 1));
    assert_null(ring_peek(&reader, 1));
    assert_null(ring_peek(&reader, 1 + RING_SLOTS));
    assert_false(ring_read(&reader, 1, &got, sizeof got));
    ring_publish(&writer, 1 + RING_SLOTS);
    assert_non_null(ring_peek(&reader, 1 + RING_SLOTS));
}

static void the_writer_never_goes_back(void **state)
{
    struct ring_result body = sample(9), got;
    assert_true(ring_put(&writer, 9, &body, sizeof body));
    assert_null(ring_begin(&writer, 9));
    assert_null(ring_begin(&writer, 1));
    assert_null(ring_begin(&writer, 0));
    assert_true(ring_read(&reader, 9, &got, sizeof got));
}

static void a_receiver_cannot_write(void **state)
{
    int fd = reader.fd;
    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    assert_true(mprotect(reader.base, 4096, PROT_READ | PROT_WRITE) < 0);
    assert_true(write(fd, "x", 1) < 0);
    assert_true(pwrite(fd, "x", 1, 5000) < 0);
    assert_true(ftruncate(fd, 0) < 0);
    assert_true(ftruncate(fd, 1 << 20) < 0);
    assert_true(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096) < 0);
    assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    cleanup_close int again = open(path, O_RDWR | O_CLOEXEC);
    if (again >= 0)
        assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
    /* The maker's own mapping still works. */
    struct ring_result body = sample(3), got;
    assert_true(ring_put(&writer, 3, &body, sizeof body));
    assert_true(ring_read(&reader, 3, &got, sizeof got));
}

/* A region as a hostile maker could hand it over. */
static int forge(const struct region_head *head, size_t size, unsigned seals)
{
    int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    assert_true(size < sizeof *head || pwrite(fd, head, sizeof *head, 0) == sizeof *head);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void forged_regions_are_refused(void **state)
{
    enum { ALL = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };
    struct err err = {0};
    struct ring ring;
    struct stat st;
    assert_int_equal(fstat(writer.fd, &st), 0);
    size_t size = (size_t)st.st_size;
    struct region_head good, bad;
    memcpy(&good, writer.base, sizeof good);
    assert_ok(ring_attach(&ring, forge(&good, size, ALL), RING_RESULTS, &err), err);
    ring_fini(&ring);

    static const unsigned weak[] = {F_SEAL_GROW, ALL & ~F_SEAL_SHRINK, ALL & ~F_SEAL_GROW,
                                    ALL & ~F_SEAL_FUTURE_WRITE};
    for (size_t i = 0; i < ARRAY_LEN(weak); i++)
        assert_fails(ring_attach(&ring, forge(&good, size, weak[i]), RING_RESULTS, &err), err, ERR_UNTRUSTED);
    assert_fails(ring_attach(&ring, forge(&good, size, ALL), RING_VERDICTS, &err), err, ERR_UNTRUSTED);
    static const size_t sizes[] = {0, 8, 4096, 8192};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        assert_fails(ring_attach(&ring, forge(&good, sizes[i], ALL), RING_RESULTS, &err), err, ERR_UNTRUSTED);
    assert_fails(ring_attach(&ring, forge(&good, size + 64, ALL), RING_RESULTS, &err), err, ERR_UNTRUSTED);

    static const uint32_t slots[] = {0, 1, 3, 7, 16, 128, UINT32_MAX, 1u << 31};
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        bad = good;
        bad.slot_count = slots[i];
        assert_fails(ring_attach(&ring, forge(&bad, size, ALL), RING_RESULTS, &err), err, ERR_UNTRUSTED);
    }
    static const uint64_t bodies[] = {0, 8, UINT64_MAX, UINT64_MAX - 63, 1ull << 40};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        bad = good;
        bad.body_bytes = bodies[i];
        assert_fails(ring_attach(&ring, forge(&bad, size, ALL), RING_RESULTS, &err), err, ERR_UNTRUSTED);
    }
    bad = good;
    bad.stride = 64;
    assert_fails(ring_attach(&ring, forge(&bad, size, ALL), RING_RESULTS, &err), err, ERR_UNTRUSTED);
    assert_fails(ring_attach(&ring, open("/dev/zero", O_RDWR | O_CLOEXEC), RING_RESULTS, &err), err,
                 ERR_UNTRUSTED);
    assert_fails(ring_attach(&ring, -1, RING_RESULTS, &err), err, ERR_UNTRUSTED);
}

/* Whatever the writer puts into the bell and the versions, reads stay inside and give nothing or an entry. */
static void hostile_indices_stay_inside(void **state)
{
    static const uint64_t numbers[] = {0, 1, 7, 8, UINT64_MAX, UINT64_MAX - 1, 1ull << 63, (1ull << 63) + 1};
    struct ring_result got;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct region_bell *bell = (struct region_bell *)(void *)(writer.base + REGION_BELL);
        bell->newest = numbers[i];
        for (uint32_t slot = 0; slot < writer.slot_count; slot++)
            memcpy(writer.base + REGION_SLOTS + slot * writer.stride, &numbers[i], 8);
        uint64_t newest = ring_newest(&reader);
        for (uint64_t back = 0; back < 20; back++)
            if (ring_read(&reader, newest - back, &got, sizeof got))
                assert_int_equal(numbers[i], 2 * (newest - back));
    }
    /* The reader keeps its own geometry. */
    struct region_head head = {.slot_count = UINT32_MAX, .stride = UINT64_MAX};
    memcpy(writer.base, &head, sizeof head);
    assert_false(ring_read(&reader, 5, &got, sizeof got));
}

static void impossible_sizes_are_refused(void **state)
{
    struct err err = {0};
    struct ring ring;
    assert_fails(ring_create(&ring, RING_FRAMES, 8, 0, &err), err, ERR_INVALID);
    assert_fails(ring_create(&ring, RING_FRAMES, 8, (size_t)RING_MAX_PIXEL_BYTES + 1, &err), err,
                 ERR_INVALID);
    assert_fails(ring_create(&ring, RING_FRAMES, 6, 100, &err), err, ERR_INVALID);
    assert_ok(ring_create(&ring, RING_FRAMES, 2, 100, &err), err);
    assert_true(ring_pixel_capacity(&ring) >= 100);
    ring_fini(&ring);
}

int main(void)
{
#define RING_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        RING_TEST(exactly_the_newest_entries_are_readable),
        RING_TEST(an_entry_being_written_is_not_readable),
        RING_TEST(the_writer_never_goes_back),
        RING_TEST(a_receiver_cannot_write),
        RING_TEST(forged_regions_are_refused),
        RING_TEST(hostile_indices_stay_inside),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
