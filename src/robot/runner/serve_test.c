/* What a runner answers to which frame, with a guard and an engine that the test plays itself. */
#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "robot/runner/fake_guard.h"
#include "robot/runner/priority.h"

#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 8, FLOATS = 33 };
#define FOREVER UINT64_MAX

static struct { /* the engine */
    struct fake_guard guard;
    sem_t may_run, running; /* if `held` */
    bool held, fits;
    int attached, ran;
    const void *slots[RING_MAX_SLOTS];
    uint32_t slot_count, values;
    float memory; /* of a model that has one: the sum of all frames of a stream */
    enum err_code fails;
    int policy; /* while it ran last */
    int64_t deadline_ns;
    bool in_place, allocates;
} play;

/* Allocations of the runner's thread, once it has had its first frames. */
static _Thread_local bool watched;
static _Atomic uint64_t allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0 /* a sanitizer brings an allocator of its own */
#else
#define COUNTS 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    allocations += watched;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations += watched;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations += watched;
    return __libc_realloc(old, size);
}
#endif

static int play_attach(void *self, const struct runner_slots *slots, struct err *err)
{
    play.attached++;
    play.memory = 0;
    play.slot_count = slots->count;
    memcpy(play.slots, slots->payload, sizeof play.slots);
    return play.fits ? 0 : err_set(err, ERR_INVALID, "too small");
}

static int play_run(void *self, const struct runner_frame *frame, struct ring_result *out, struct err *err)
{
    if (play.held) {
        sem_post(&play.running);
        sem_wait(&play.may_run);
    }
    float first;
    memcpy(&first, frame->payload, sizeof first);
    play.ran++;
    watched = play.ran > 3;
    if (play.allocates)
        free(mem_zalloc(1, 100));
    play.policy = sched_getscheduler(0);
    play.deadline_ns = frame->deadline_ns;
    play.in_place = frame->payload == play.slots[frame->slot] && (uintptr_t)frame->payload % 64 == 0;
    out->run_ns = 1000;
    if (play.fails)
        return err_set(err, play.fails, "as it was told");
    play.memory += first;
    out->kind = RING_VALUES;
    out->count = play.values;
    for (uint32_t i = 0; i < out->count; i++)
        out->values[i] = play.memory + (float)i;
    return 0;
}

static struct fake_guard *begin(void)
{
    struct fake_guard *g = &play.guard;
    memset(&play, 0, sizeof play);
    play.fits = true;
    play.values = 3;
    sem_init(&play.may_run, 0, 0);
    sem_init(&play.running, 0, 0);
    fake_guard_open(g);
    return g;
}

static void run(struct fake_guard *g)
{
    fake_guard_run(g, (struct runner_engine){.attach = play_attach, .run = play_run});
    fake_stream(g, 100, SLOTS, FLOATS * sizeof(float));
}

static void end(struct fake_guard *g)
{
    play.held = false;
    sem_post(&play.may_run);
    fake_guard_end(g);
    fake_guard_close(g);
    sem_destroy(&play.may_run);
    sem_destroy(&play.running);
}

static void expect(struct fake_guard *g, uint64_t seq, enum ring_result_status status)
{
    struct ring_result result = fake_result(g);
    assert_int_equal(result.seq, seq);
    assert_int_equal(result.status, status);
    assert_int_equal(result.stream, g->stream);
    assert_int_equal(result.generation, 7);
    assert_int_equal(result.count, status == RING_RESULT_OK ? play.values : 0);
    assert_true(result.finished_ns >= result.started_ns);
}

/* Frame 1 is in the model's hands; what comes now has to wait. */
static void hold_frame_1(struct fake_guard *g)
{
    play.held = true;
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    assert_int_equal(fake_frame(g, 1, FLOATS), 1);
    sem_wait(&play.running);
    play.held = false;
}

static void the_latest_wins_and_the_others_are_said_to_be_dropped(void **state)
{
    struct fake_guard *g = begin();
    run(g);
    hold_frame_1(g);
    for (int i = 0; i < 4; i++)
        fake_frame(g, 2, FLOATS);
    sem_post(&play.may_run);
    expect(g, 1, RING_RESULT_OK);
    for (uint64_t seq = 2; seq <= 4; seq++)
        expect(g, seq, RING_RESULT_STALE);
    expect(g, 5, RING_RESULT_OK);
    assert_int_equal(play.ran, 2);
    end(g);
}

static void lossless_takes_each_in_order(void **state)
{
    struct fake_guard *g = begin();
    g->options.lossless = true;
    run(g);
    hold_frame_1(g);
    for (int i = 0; i < 5; i++)
        fake_frame(g, 2, FLOATS);
    sem_post(&play.may_run);
    for (uint64_t seq = 1; seq <= 6; seq++)
        expect(g, seq, RING_RESULT_OK);
    assert_int_equal(play.ran, 6);
    end(g);
}

static void lossless_is_bounded_by_the_ring(void **state)
{
    struct fake_guard *g = begin();
    g->options.lossless = true;
    run(g);
    hold_frame_1(g);
    while (fake_frame(g, 2, FLOATS) < 3 + SLOTS)
        ;
    sem_post(&play.may_run);
    expect(g, 1, RING_RESULT_STALE); /* overwritten under the model's hands */
    for (uint64_t seq = 2; seq <= 3; seq++)
        expect(g, seq, RING_RESULT_STALE);
    for (uint64_t seq = 4; seq <= 3 + SLOTS; seq++)
        expect(g, seq, RING_RESULT_OK);
    end(g);
}

static void only_the_frames_that_it_was_given(void **state)
{
    struct fake_guard *g = begin();
    g->options.lossless = true;
    run(g);
    for (int i = 0; i < 6; i++)
        fake_frame(g, 1, FLOATS);
    fake_orders(g, RING_MODE_IDLE, 2, 3, 0); /* switched away from: it finishes what was its own */
    expect(g, 2, RING_RESULT_OK);
    expect(g, 3, RING_RESULT_OK);
    fake_orders(g, RING_MODE_ACTIVE, 5, FOREVER, 0);
    expect(g, 5, RING_RESULT_OK);
    expect(g, 6, RING_RESULT_OK);
    fake_orders(g, (enum ring_mode)77, 1, FOREVER, 0);
    fake_frame(g, 1, FLOATS);
    fake_orders(g, RING_MODE_ACTIVE, 8, FOREVER, 0);
    fake_frame(g, 1, FLOATS);
    expect(g, 8, RING_RESULT_OK);
    end(g);
}

static void a_shadow_says_so_and_keeps_low(void **state)
{
    struct fake_guard *g = begin();
    bool returns = priority_can_return();
    int normal = sched_getscheduler(0);
    run(g);
    fake_orders(g, RING_MODE_SHADOW, 1, FOREVER, 0);
    fake_frame(g, 1, FLOATS);
    struct ring_result result = fake_result(g);
    assert_int_equal(result.shadow, 1);
    assert_int_equal(play.policy, returns ? SCHED_IDLE : normal);
    fake_orders(g, RING_MODE_ACTIVE, 2, FOREVER, 0);
    fake_frame(g, 1, FLOATS);
    result = fake_result(g);
    assert_int_equal(result.shadow, 0);
    assert_int_equal(result.status, RING_RESULT_OK);
    assert_int_equal(play.policy, normal);
    end(g);
}

static void another_stream_is_another_life(void **state)
{
    struct fake_guard *g = begin();
    run(g);
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    fake_frame(g, 5, FLOATS);
    assert_true(fake_result(g).values[0] == 5);
    fake_frame(g, 5, FLOATS);
    assert_true(fake_result(g).values[0] == 10);
    assert_true(play.in_place);
    fake_stream(g, 101, 2 * SLOTS, 2 * FLOATS * sizeof(float));
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    fake_frame(g, 1, 2 * FLOATS);
    struct ring_result result = fake_result(g);
    assert_int_equal(result.seq, 1);
    assert_int_equal(result.stream, 101);
    assert_true(result.values[0] == 1); /* nothing is left of the 10 */
    assert_int_equal(play.attached, 2);
    assert_int_equal(play.slot_count, 2 * SLOTS);
    assert_true(play.in_place);
    end(g);
}

static void frames_that_do_not_fit_the_model_are_not_given_to_it(void **state)
{
    struct fake_guard *g = begin();
    play.fits = false;
    run(g);
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    fake_frame(g, 1, FLOATS);
    expect(g, 1, RING_RESULT_FAILED);
    assert_int_equal(play.ran, 0);
    play.fits = true;
    fake_stream(g, 101, SLOTS, FLOATS * sizeof(float));
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    fake_frame(g, 1, FLOATS + 16); /* more than the slot holds */
    expect(g, 1, RING_RESULT_FAILED);
    assert_int_equal(play.ran, 0);
    fake_frame(g, 1, FLOATS);
    expect(g, 2, RING_RESULT_OK);
    end(g);
}

static void time_that_is_up(void **state)
{
    struct fake_guard *g = begin();
    g->options.deadline_us = 5000000;
    run(g);
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    fake_frame_until(g, 1, FLOATS, clock_mono_ns() - 1);
    expect(g, 1, RING_RESULT_STALE);
    assert_int_equal(play.ran, 0);
    int64_t now_ns = clock_mono_ns();
    fake_frame_until(g, 1, FLOATS, INT64_MAX);
    expect(g, 2, RING_RESULT_OK);
    assert_true(play.deadline_ns >= now_ns + 5000000000 && play.deadline_ns < now_ns + 15000000000);
    fake_frame_until(g, 1, FLOATS, now_ns + 4000000000);
    expect(g, 3, RING_RESULT_OK);
    assert_true(play.deadline_ns == now_ns + 4000000000);
    play.fails = ERR_TIMEOUT;
    fake_frame(g, 1, FLOATS);
    expect(g, 4, RING_RESULT_FAILED);
    play.fails = ERR_INVALID;
    fake_frame(g, 1, FLOATS);
    expect(g, 5, RING_RESULT_NOT_FINITE);
    play.fails = ERR_NONE;
    fake_frame(g, 1, FLOATS);
    expect(g, 6, RING_RESULT_OK);
    end(g);
}

static void values_arrive_whole(void **state)
{
    struct fake_guard *g = begin();
    run(g);
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    static const uint32_t counts[] = {1, 2, 3, RING_MAX_VALUES - 1, RING_MAX_VALUES};
    for (size_t n = 0; n < ARRAY_LEN(counts); n++) {
        play.values = counts[n];
        play.memory = 0;
        fake_frame(g, (float)n + 1, FLOATS);
        struct ring_result result = fake_result(g);
        assert_int_equal(result.kind, RING_VALUES);
        assert_int_equal(result.count, counts[n]);
        for (uint32_t i = 0; i < counts[n]; i++)
            assert_true(result.values[i] == (float)(n + 1 + i));
    }
    end(g);
}

static size_t rings(struct fake_guard *g)
{
    char bytes[64];
    ssize_t got = read(g->bell, bytes, sizeof bytes);
    return got > 0 ? (size_t)got : 0;
}

static void the_guard_is_rung_unless_it_looks_by_itself(void **state)
{
    struct fake_guard *g = begin();
    g->options.wait = RUNNER_WAIT_SPIN;
    run(g);
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    fake_frame(g, 1, FLOATS);
    expect(g, 1, RING_RESULT_OK);
    fake_frame(g, 1, FLOATS);
    expect(g, 2, RING_RESULT_OK);
    int64_t until_ms = clock_mono_ms() + 10000; /* it rings after the result can be seen */
    size_t heard = 0;
    while ((heard += rings(g)) < 2 && clock_mono_ms() < until_ms)
        usleep(1000);
    assert_int_equal(heard, 2);
    fake_orders(g, RING_MODE_ACTIVE, 3, FOREVER, RING_CONTROL_NO_BELL);
    fake_frame(g, 1, FLOATS);
    expect(g, 3, RING_RESULT_OK);
    end(g);
    assert_int_equal(g->returned, 0);
}

static uint64_t allocations_of_100_frames(bool allocates)
{
    struct fake_guard *g = begin();
    play.allocates = allocates;
    run(g);
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    allocations = 0;
    for (uint64_t seq = 1; seq <= 100; seq++) {
        fake_frame(g, 1, FLOATS);
        expect(g, seq, RING_RESULT_OK);
    }
    uint64_t counted = allocations;
    end(g);
    return counted;
}

static void a_frame_allocates_nothing(void **state)
{
    if (!COUNTS)
        skip();
    assert_int_equal(allocations_of_100_frames(false), 0);
    assert_int_equal(allocations_of_100_frames(true), 97); /* the counter counts */
}

static void hello_says_what_computes(void **state)
{
    struct fake_guard *g = begin();
    g->options.backend = "stub 1.0 cpu";
    g->options.degraded = true;
    run(g);
    assert_string_equal(g->hello.text, "stub 1.0 cpu");
    assert_int_equal(g->hello.count, 1);
    assert_int_equal(g->hello.generation, 7);
    end(g);
}

static void another_guard_finds_the_same_model(void **state)
{
    struct fake_guard *g = begin();
    run(g);
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    fake_frame(g, 5, FLOATS);
    assert_true(fake_result(g).values[0] == 5);
    mem_cleanup_close(&g->sock);
    mem_cleanup_close(&g->bell);
    ring_fini(&g->results);
    assert_true(fake_guard_meet(g, 10000));
    fake_stream(g, 500, SLOTS, FLOATS * sizeof(float));
    fake_orders(g, RING_MODE_ACTIVE, 1, FOREVER, 0);
    fake_frame(g, 2, FLOATS);
    assert_true(fake_result(g).values[0] == 2);
    end(g);
}

static void lists_of_cores(void **state)
{
    static const char *const wrong[] = {"", "x", "1-", "-1", "2-1", "0,", ",0", "0 ", "99999999999"};
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_fails(priority_pin(wrong[i], &err), err, ERR_INVALID);
    assert_fails(priority_pin("1023", &err), err, ERR_UNSUPPORTED);
    cpu_set_t before;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_ok(priority_pin("0-1023", &err), err);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_wins_and_the_others_are_said_to_be_dropped),
        cmocka_unit_test(lossless_takes_each_in_order),
        cmocka_unit_test(lossless_is_bounded_by_the_ring),
        cmocka_unit_test(only_the_frames_that_it_was_given),
        cmocka_unit_test(a_shadow_says_so_and_keeps_low),
        cmocka_unit_test(another_stream_is_another_life),
        cmocka_unit_test(frames_that_do_not_fit_the_model_are_not_given_to_it),
        cmocka_unit_test(time_that_is_up),
        cmocka_unit_test(values_arrive_whole),
        cmocka_unit_test(the_guard_is_rung_unless_it_looks_by_itself),
        cmocka_unit_test(a_frame_allocates_nothing),
        cmocka_unit_test(hello_says_what_computes),
        cmocka_unit_test(another_guard_finds_the_same_model),
        cmocka_unit_test(lists_of_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
