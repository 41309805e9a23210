/* The memory of a ring, where the system refuses some of it: there is a whole ring or none, and nothing of it is left. And what is
 * where in it, byte by byte: other programs read it. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/testing.h"
#include "robot/ring/pace.h"
#include "robot/ring/region.h"
#include "robot/testbed/testbed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static void whatever_fails_nothing_is_left(void **state)
{
    static const int errors[] = {ENOMEM, EMFILE, EPERM};
    int fds = testbed_fds(), mappings = testbed_mappings();
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++) {
            struct ring writer, reader = {.fd = -1};
            struct err err = {0};
            testbed_fail(nth, errors[i]);
            int made = ring_create(&writer, RING_FRAMES, 4, 1000, &err);
            int attached = made < 0 ? -1 : ring_attach(&reader, dup(writer.fd), RING_FRAMES, &err);
            failed = testbed_stop();
            assert_true(failed == (attached < 0));
            if (failed) {
                assert_true(err.code != ERR_NONE && err.text[0]);
                assert_true((made == 0) == (writer.base != NULL));
                assert_true((made == 0) == (writer.fd != -1));
                assert_true(reader.fd == -1 && !reader.base);
            }
            ring_fini(&writer);
            ring_fini(&reader);
            assert_int_equal(testbed_fds(), fds);
            assert_int_equal(testbed_mappings(), mappings);
        }
    }
}

/* Who does not say how it is sealed is not sealed. */
static void no_answer_about_seals_is_a_no(void **state)
{
    static const char *const calls[] = {"fcntl", "fstatfs"};
    struct ring ring;
    struct err err = {0};
    assert_ok(ring_create(&ring, RING_CONTROL, 2, 0, &err), err);
    assert_true(ring_sealed(ring.fd));
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        testbed_fail_call(calls[i], 1, 1, EINVAL);
        assert_false(ring_sealed(ring.fd));
        assert_true(testbed_stop());
    }
    cleanup_close int huge = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (huge >= 0 &&
        fcntl(huge, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0)
        assert_false(ring_sealed(huge));
    ring_fini(&ring);
}

static void a_head_that_cannot_be_read_whole_is_refused(void **state)
{
    struct ring writer, reader;
    struct err err = {0};
    assert_ok(ring_create(&writer, RING_CONTROL, 2, 0, &err), err);
    testbed_short("pread", 1);
    assert_fails(ring_attach(&reader, dup(writer.fd), RING_CONTROL, &err), err, ERR_UNTRUSTED);
    assert_true(testbed_stop());
    ring_fini(&writer);
}

/* Another magic, another version, another kind: another thing. */
static void a_head_of_something_else_is_refused(void **state)
{
    for (size_t field = 0; field < 4; field++) {
        struct ring writer, reader;
        struct err err = {0};
        assert_ok(ring_create(&writer, RING_CONTROL, 2, 0, &err), err);
        ((uint32_t *)(void *)writer.base)[field]++;
        assert_fails(ring_attach(&reader, dup(writer.fd), RING_CONTROL, &err), err, ERR_UNTRUSTED);
        assert_int_equal(reader.fd, -1);
        ring_fini(&writer);
    }
}

static void a_ring_has_two_slots_at_least_and_a_power_of_two(void **state)
{
    for (uint32_t slots = 0; slots <= 2 * RING_MAX_SLOTS; slots++) {
        struct ring ring;
        struct err err = {0};
        bool good = slots >= 2 && slots <= 64 && __builtin_popcount(slots) == 1;
        assert_true((ring_create(&ring, RING_CONTROL, slots, 0, &err) == 0) == good);
        assert_true(good || err.code == ERR_INVALID);
        ring_fini(&ring);
    }
}

/* A finished ring, a zeroed one, one that never came to be: none of them closes what is somebody else's. */
static void an_end_closes_only_its_own(void **state)
{
    struct ring zeroed = {0}, ring;
    struct err err = {0};
    int fds = testbed_fds();
    ring_fini(&zeroed);
    ring_fini(&zeroed);
    assert_ok(ring_create(&ring, RING_CONTROL, 2, 0, &err), err);
    assert_int_equal(testbed_fds(), fds + 1);
    ring_fini(&ring);
    ring_fini(&ring);
    assert_int_equal(testbed_fds(), fds);
    assert_int_equal(ring.fd, -1);
}

/* As ring.h draws it. */
static void the_layout_is_the_one_in_the_drawing(void **state)
{
    static const struct {
        enum ring_kind kind;
        uint32_t slots;
        size_t pixels, body;
    } rows[] = {{RING_FRAMES, 2, 1, 64 + 8},
                {RING_FRAMES, 64, 8, 64 + 8},
                {RING_FRAMES, 2, RING_MAX_PIXEL_BYTES, 64 + RING_MAX_PIXEL_BYTES},
                {RING_RESULTS, 8, 0, sizeof(struct ring_result)},
                {RING_VERDICTS, 8, 0, sizeof(struct ring_verdict)},
                {RING_CONTROL, 2, 0, sizeof(struct ring_control)}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ring ring, reader;
        struct err err = {0};
        assert_ok(ring_create(&ring, rows[i].kind, rows[i].slots, rows[i].pixels, &err), err);
        struct region_head head;
        memcpy(&head, ring.base, sizeof head);
        size_t stride = (64 + rows[i].body + 63) / 64 * 64;
        assert_int_equal(head.magic, 0x474e524d);
        assert_int_equal(head.version, 2);
        assert_int_equal(head.kind, rows[i].kind);
        assert_int_equal(head.slot_count, rows[i].slots);
        assert_int_equal(head.body_bytes, rows[i].body);
        assert_int_equal(head.stride, stride);
        assert_int_equal(ring.bytes, 4096 + stride * rows[i].slots);
        assert_int_equal(ring_pixel_capacity(&ring), rows[i].kind == RING_FRAMES ? rows[i].body - 64 : 0);
        assert_ok(ring_attach(&reader, dup(ring.fd), rows[i].kind, &err), err);
        assert_int_equal(reader.stride, stride);
        for (uint64_t seq = 1; seq <= 3; seq++) {
            uint8_t *body = ring_begin(&ring, seq);
            size_t at = 4096 + (seq % rows[i].slots) * stride;
            assert_ptr_equal(body, ring.base + at + 64);
            uint64_t version;
            memcpy(&version, ring.base + at, 8);
            assert_int_equal(version, 2 * seq - 1);
            assert_null(ring_peek(&reader, seq));
            uint32_t bell = ring_bell(&reader);
            ring_publish(&ring, seq);
            memcpy(&version, ring.base + at, 8);
            assert_int_equal(version, 2 * seq);
            assert_int_equal(ring_bell(&reader), bell + 1);
            uint64_t newest;
            memcpy(&newest, ring.base + 128, 8);
            assert_int_equal(newest, seq);
            assert_ptr_equal(ring_peek(&reader, seq), reader.base + at + 64);
            assert_ptr_equal(ring_slot(&reader, (uint32_t)(seq % rows[i].slots)), reader.base + at + 64);
        }
        ring_fini(&reader);
        ring_fini(&ring);
    }
}

/* Numbers at the end of what there is, and gaps; an older entry never becomes the newest again. */
static void sequence_numbers_have_an_end(void **state)
{
    struct ring ring;
    struct err err = {0};
    struct ring_control body = {.stream = 7}, got;
    assert_ok(ring_create(&ring, RING_CONTROL, 2, 0, &err), err);
    assert_true(ring_put(&ring, 10, &body, sizeof body));
    assert_true(ring_put(&ring, 9, &body, sizeof body)); /* into another slot */
    assert_int_equal(ring_newest(&ring), 10);
    assert_false(ring_put(&ring, 10, &body, sizeof body));
    assert_false(ring_put(&ring, 8, &body, sizeof body));
    assert_true(ring_read(&ring, 9, &got, sizeof got) && ring_read(&ring, 10, &got, sizeof got));
    assert_null(ring_begin(&ring, UINT64_MAX / 4 + 1));
    assert_null(ring_peek(&ring, 0));
    assert_true(ring_put(&ring, UINT64_MAX / 4, &body, sizeof body));
    assert_true(ring_read(&ring, UINT64_MAX / 4, &got, sizeof got));
    assert_int_equal(ring_newest(&ring), UINT64_MAX / 4);
    assert_null(ring_peek(&ring, UINT64_MAX / 4 + 1));
    assert_false(ring_put(&ring, UINT64_MAX, &body, sizeof body));
    ring_fini(&ring);
}

/* What a ring asks of the other side is its own word. */
static void a_ring_asks_until_it_says_otherwise(void **state)
{
    struct ring writer, reader;
    struct err err = {0};
    assert_ok(ring_create(&writer, RING_VERDICTS, 2, 0, &err), err);
    assert_ok(ring_attach(&reader, dup(writer.fd), RING_VERDICTS, &err), err);
    assert_int_equal(ring_asked(&reader), RING_ASKED_NEVER);
    ring_ask(&writer, 25000);
    assert_int_equal(ring_asked(&reader), 25000);
    assert_int_equal(ring_bell(&reader), 0);
    ring_ask(&writer, 0);
    assert_int_equal(ring_asked(&reader), 0);
    ring_fini(&reader);
    ring_fini(&writer);
}

/* Only as much as was asked for is copied, and nothing behind it is touched. */
static void a_short_copy_is_short(void **state)
{
    struct ring ring;
    struct err err = {0};
    struct ring_control body = {.stream = 1, .from_seq = 2, .until_seq = 3, .mode = 4}, got;
    assert_ok(ring_create(&ring, RING_CONTROL, 2, 0, &err), err);
    assert_true(ring_put(&ring, 1, &body, 16));
    memset(&got, 0x55, sizeof got);
    assert_true(ring_read(&ring, 1, &got, 8));
    assert_int_equal(got.stream, 1);
    assert_int_equal(got.from_seq, 0x5555555555555555);
    assert_true(ring_read(&ring, 1, &got, sizeof got));
    assert_int_equal(got.from_seq, 2);
    assert_int_equal(got.until_seq, 0); /* was not put */
    ring_fini(&ring);
}

/* ---- waiting ---- */

/* A bell that rang costs no sleep, and a time that is over none either. */
static void nobody_sleeps_without_a_reason(void **state)
{
    struct ring ring;
    struct err err = {0};
    struct ring_control body = {0};
    assert_ok(ring_create(&ring, RING_CONTROL, 2, 0, &err), err);
    uint32_t seen = ring_bell(&ring);
    testbed_fail_call("futex", 1, 0, 0); /* counted, and never fails */
    ring_wait(&ring, seen, 0, 0);
    assert_int_equal(testbed_count("futex"), 0);
    ring_wait(&ring, seen, clock_mono_ns() + 100, 50); /* looks out, then sleeps for the rest */
    assert_int_equal(testbed_count("futex"), 1);
    ring_wait(&ring, seen, 1, INT64_MAX / 4); /* never looks out for longer than it may wait */
    assert_int_equal(testbed_count("futex"), 2);
    ring_spin(&ring, seen, clock_mono_ns() + 3000000); /* nobody rings: comes back */
    assert_true(ring_put(&ring, 1, &body, sizeof body));
    ring_wait(&ring, seen, clock_mono_ns() + 1000000000000, 1000000000000);
    assert_int_equal(testbed_count("futex"), 2);
    ring_wait(&ring, seen, clock_mono_ns() + 1000000000000, 0); /* the kernel sees that it rang */
    assert_int_equal(testbed_count("futex"), 3);
    ring_spin(&ring, seen, clock_mono_ns() + 1000000000000);
    ring_wake(&ring);
    assert_int_equal(testbed_count("futex"), 4);
    testbed_stop();
    ring_fini(&ring);
}

static struct pace steady(int64_t took_ns)
{
    struct pace pace = {0};
    for (int i = 0; i < 100; i++)
        pace_observe(&pace, took_ns);
    return pace;
}

/* How often it sleeps: far from the time when it is due once until then and once after; near it, once; a pace without a window,
 * once. `steps`: how far the clock is when it wakes. */
static void it_sleeps_until_shortly_before(void **state)
{
    struct ring ring;
    struct err err = {0};
    const struct pace pace = steady(10000000), none = {0};
    assert_ok(ring_create(&ring, RING_CONTROL, 2, 0, &err), err);
    uint32_t seen = ring_bell(&ring);
    int64_t now_ns = clock_mono_ns();
    testbed_fail_call("futex", 1, 0, 0);
    pace_wait(&pace, &ring, seen, now_ns, now_ns + 11000000); /* asleep, awake for the window, asleep */
    assert_int_equal(testbed_count("futex"), 2);
    now_ns = clock_mono_ns();
    testbed_fail_call("futex", 1, 0, 0);
    pace_wait(&pace, &ring, seen, now_ns - 9950000, now_ns + 1000000); /* due now: looked out for at once */
    assert_int_equal(testbed_count("futex"), 1);
    testbed_fail_call("futex", 1, 0, 0);
    pace_wait(&none, &ring, seen, now_ns, clock_mono_ns() + 100000);
    assert_int_equal(testbed_count("futex"), 1);
    testbed_fail_call("futex", 1, 0, 0);
    pace_wait(&pace, &ring, seen, now_ns - 30000000, clock_mono_ns() + 100000); /* long overdue */
    assert_int_equal(testbed_count("futex"), 1);
    testbed_fail_call("futex", 1, 0, 0);
    now_ns = clock_mono_ns();
    pace_wait(&pace, &ring, seen, now_ns, now_ns + 5000000); /* it may wait less than that */
    assert_int_equal(testbed_count("futex"), 1);
    struct ring_control body = {0};
    assert_true(ring_put(&ring, 1, &body, sizeof body));
    testbed_fail_call("futex", 1, 0, 0);
    now_ns = clock_mono_ns();
    pace_wait(&pace, &ring, seen, now_ns,
              now_ns + 1000000000000); /* it rang: the first sleep ends at once, and no second one */
    assert_int_equal(testbed_count("futex"), 1);
    testbed_stop();
    ring_fini(&ring);
}

/* The arithmetic of the pace, in whole numbers. */
static void the_pace_follows_by_eighths(void **state)
{
    struct pace pace = {0};
    pace_observe(&pace, 1000000);
    assert_int_equal(pace.mean_ns, 1000000);
    assert_int_equal(pace.deviation_ns, PACE_MAX_WINDOW_NS);
    assert_int_equal(pace.seen, 1);
    pace_observe(&pace, 1080000);
    assert_int_equal(pace.mean_ns, 1010000);
    assert_int_equal(pace.deviation_ns, PACE_MAX_WINDOW_NS + ((80000 - PACE_MAX_WINDOW_NS) >> 3));
    int64_t mean_ns = pace.mean_ns;
    pace_observe(&pace, mean_ns - 8000);
    assert_int_equal(pace.mean_ns, mean_ns - 1000);
    mean_ns = pace.mean_ns;
    pace_observe(&pace, mean_ns + 400000000); /* an outlier counts as four windows */
    assert_int_equal(pace.mean_ns, mean_ns + 4 * PACE_MAX_WINDOW_NS / 8);
    mean_ns = pace.mean_ns;
    pace_observe(&pace, mean_ns + 4 * PACE_MAX_WINDOW_NS);
    assert_int_equal(pace.mean_ns, mean_ns + 4 * PACE_MAX_WINDOW_NS / 8);
    pace = (struct pace){0};
    pace_observe(&pace, -5);
    assert_int_equal(pace.mean_ns, 0);
    assert_int_equal(pace.seen, 1);
    pace.seen = UINT32_MAX;
    pace_observe(&pace, 5);
    assert_int_equal(pace.seen, UINT32_MAX);
    pace = (struct pace){.mean_ns = 5, .seen = PACE_MIN_SEEN, .deviation_ns = PACE_MAX_WINDOW_NS};
    assert_int_equal(pace_window_ns(&pace), PACE_MAX_WINDOW_NS);
    pace.deviation_ns++;
    assert_int_equal(pace_window_ns(&pace), 0);
    pace.deviation_ns = PACE_MAX_WINDOW_NS / 2 - 5;
    assert_int_equal(pace_window_ns(&pace), PACE_MAX_WINDOW_NS - 10);
    pace.deviation_ns = PACE_MIN_WINDOW_NS / 2 + 5;
    assert_int_equal(pace_window_ns(&pace), PACE_MIN_WINDOW_NS + 10);
    pace.deviation_ns = 0;
    assert_int_equal(pace_window_ns(&pace), PACE_MIN_WINDOW_NS);
    pace.seen = PACE_MIN_SEEN - 1;
    assert_int_equal(pace_window_ns(&pace), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_fails_nothing_is_left),
        cmocka_unit_test(no_answer_about_seals_is_a_no),
        cmocka_unit_test(a_head_that_cannot_be_read_whole_is_refused),
        cmocka_unit_test(a_head_of_something_else_is_refused),
        cmocka_unit_test(a_ring_has_two_slots_at_least_and_a_power_of_two),
        cmocka_unit_test(an_end_closes_only_its_own),
        cmocka_unit_test(the_layout_is_the_one_in_the_drawing),
        cmocka_unit_test(sequence_numbers_have_an_end),
        cmocka_unit_test(a_ring_asks_until_it_says_otherwise),
        cmocka_unit_test(a_short_copy_is_short),
        cmocka_unit_test(nobody_sleeps_without_a_reason),
        cmocka_unit_test(it_sleeps_until_shortly_before),
        cmocka_unit_test(the_pace_follows_by_eighths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
