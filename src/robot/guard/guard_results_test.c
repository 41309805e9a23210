/* What is taken from shared memory that others write: pictures and results, while they change; and what is counted of them. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/desk.h"

#include <math.h>

static struct desk d;

static int setup(void **state)
{
    desk_open(&d, &(struct guard_options){.state_dir = "", .hang_frames = 1000}); /* nobody is hung here */
    desk_robot_open(&d, &d.robot);
    return 0;
}

static int teardown(void **state)
{
    desk_close(&d);
    ring_fini(&d.robot.frames);
    ring_fini(&d.robot.verdicts);
    mem_cleanup_close(&d.robot.fd);
    return 0;
}

static void serve_with(struct desk_runner *r, uint64_t generation, const struct ctl_limits *limits)
{
    desk_runner_open(&d, r, generation);
    assert_int_equal(desk_admit(&d, generation, limits), 0);
}

static void end(struct desk_runner *r)
{
    desk_runner_close(&d, r);
}

static const struct ctl_counters *counters(uint64_t generation)
{
    return &desk_slot(&d, generation)->counters;
}

static void set_newest(const struct ring *ring, uint64_t newest)
{
    memcpy(ring->base + 128, &newest, sizeof newest);
}

/* ---- pictures ---- */

static struct ring_frame *frame_of(uint64_t seq)
{
    return (void *)(d.robot.frames.base + 4096 + (seq % RING_SLOTS) * d.robot.frames.stride + 64);
}

static void overwrite_newest_frame(void)
{
    assert_non_null(ring_begin(&d.robot.frames, d.robot.seq + RING_SLOTS));
}

static void the_same_picture_again_and_again(void **state)
{
    struct ctl_limits limits = desk_limits;
    limits.frozen_frames = 2;
    serve_with(&d.one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    for (int i = 0; i < 4; i++) {
        uint64_t seq = desk_submit(&d.robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 9);
        if (i == 0) /* only what the frame says it holds is looked at, and no more than there is room for */
            frame_of(seq)->pixel_bytes = UINT64_MAX;
        guard_frames_scan(d.guard, testbed_clock());
        assert_true((desk_verdict(&d.robot, seq) != NULL) == (i >= 1));
        if (i >= 1)
            desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_FROZEN, 1);
    }
    uint64_t seq = desk_submit(&d.robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 8);
    guard_frames_scan(d.guard, testbed_clock());
    desk_answer(&d, &d.one, seq);
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    /* What lies behind its payload is none of the picture. */
    for (uint8_t shade = 20; shade < 22; shade++) {
        seq = desk_submit(&d.robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, shade);
        struct ring_frame *frame = frame_of(seq);
        frame->pixel_bytes = 8;
        memset(frame + 1, 5, 8);
        guard_frames_scan(d.guard, testbed_clock());
        assert_true((desk_verdict(&d.robot, seq) != NULL) == (shade == 21));
    }
    /* Gone between two looks: no picture to compare, nothing is held against it. */
    seq = desk_submit(&d.robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 8);
    desk_between(1, overwrite_newest_frame);
    guard_frames_scan(d.guard, testbed_clock());
    assert_null(desk_verdict(&d.robot, seq));
    end(&d.one);
}

static void age_is_counted_until_it_was_handed_over(void **state)
{
    static const struct {
        int64_t capture_ago_ns, submitted_ago_ns; /* INT64_MAX: not said */
        bool stale;
    } rows[] = {
        {1000 * DESK_MS, 0, false},
        {1000 * DESK_MS + 1, 0, true},
        {5000 * DESK_MS, 4000 * DESK_MS, false},
        {5000 * DESK_MS, 3999 * DESK_MS, true},
        {1000 * DESK_MS, INT64_MAX, false},
        {1001 * DESK_MS, INT64_MAX, true},
        {1000 * DESK_MS, -5000 * DESK_MS, false}, /* handed over in the future: now */
    };
    struct ctl_limits limits = desk_limits;
    limits.max_age_us = 1000000;
    serve_with(&d.one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t now_ns = testbed_clock();
        uint64_t seq =
            desk_submit(&d.robot, now_ns - rows[i].capture_ago_ns, now_ns + DESK_FAR, 0, (uint8_t)i);
        struct ring_frame *frame = frame_of(seq);
        frame->submitted_ns = rows[i].submitted_ago_ns == INT64_MAX ? 0 : now_ns - rows[i].submitted_ago_ns;
        guard_frames_scan(d.guard, now_ns);
        assert_true((desk_verdict(&d.robot, seq) != NULL) == rows[i].stale);
        if (rows[i].stale)
            desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_STALE, 1);
        else
            desk_answer(&d, &d.one, seq);
    }
    end(&d.one);
}

/* ---- results ---- */

static void spoil_newest_result(void)
{
    struct ring_result *body =
        (void *)(d.one.results.base + 4096 + (d.one.count % RING_SLOTS) * d.one.results.stride + 64);
    body->count++;
}

static void change_kind_of_newest_result(void)
{
    struct ring_result *body =
        (void *)(d.one.results.base + 4096 + (d.one.count % RING_SLOTS) * d.one.results.stride + 64);
    body->kind ^= 1;
}

static void overwrite_newest_result(void)
{
    assert_non_null(ring_begin(&d.one.results, d.one.count + RING_SLOTS));
}

/* A result that changes while it is looked at is none. */
static void a_result_that_changes_under_the_eye(void **state)
{
    static void (*const acts[])(void) = {spoil_newest_result, change_kind_of_newest_result,
                                         overwrite_newest_result};
    desk_pair_up(&d);
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
        struct ring_result result = desk_result(&d, &d.one, seq);
        desk_murmur(&d.one, &result);
        desk_between(1, acts[i]);
        guard_results_drain(d.guard, desk_slot(&d, 1), testbed_clock());
        assert_null(desk_verdict(&d.robot, seq));
        assert_int_equal(counters(1)->interventions[INTERVENED_OTHER], i + 1);
    }
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    d.one.count += RING_SLOTS; /* past the half-written one */
    desk_answer(&d, &d.one, seq);
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    desk_part(&d);
}

/* The number of the newest result is the runner's word: at most one round is looked at, and what is not there is counted. */
static void results_that_are_not_there(void **state)
{
    desk_pair_up(&d);
    struct guard_runner *slot = desk_slot(&d, 1);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &d.one, seq);
    d.one.count = 99;
    desk_murmur(&d.one, &result); /* 100, and 92 before it never were */
    guard_results_drain(d.guard, slot, testbed_clock());
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    assert_int_equal(counters(1)->interventions[INTERVENED_OTHER], RING_SLOTS - 1);
    assert_int_equal(slot->next_result, 101);
    d.one.count = 100 + RING_SLOTS - 1;
    result.seq = seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_murmur(&d.one, &result);
    guard_results_drain(d.guard, slot, testbed_clock());
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    assert_int_equal(counters(1)->interventions[INTERVENED_OTHER], 2 * (RING_SLOTS - 1));
    set_newest(&d.one.results, 3); /* backwards: nothing */
    guard_results_drain(d.guard, slot, testbed_clock());
    assert_int_equal(slot->next_result, 100 + RING_SLOTS + 1);
    assert_int_equal(counters(1)->interventions[INTERVENED_OTHER], 2 * (RING_SLOTS - 1));
    desk_part(&d);
}

/* It claims to have run longer than the frame is old, or less than no time. */
static void a_run_takes_no_longer_than_the_frame_is_old(void **state)
{
    static const struct {
        int64_t claimed_ns, want_ns;
    } rows[] = {{INT64_MAX, 4 * DESK_MS},
                {4 * DESK_MS + 1, 4 * DESK_MS},
                {4 * DESK_MS, 4 * DESK_MS},
                {3, 3},
                {0, 0},
                {-1, 0},
                {INT64_MIN, 0}};
    desk_pair_up(&d);
    double sum_us = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
        testbed_clock_set(testbed_clock() + 4 * DESK_MS);
        struct ring_result result = desk_result(&d, &d.one, seq);
        result.run_ns = rows[i].claimed_ns;
        desk_say(&d, &d.one, &result);
        assert_int_equal(desk_verdict(&d.robot, seq)->run_ns, rows[i].want_ns);
        sum_us += (double)rows[i].want_ns / 1000.0;
    }
    assert_true(counters(1)->infer_sum_us == sum_us);
    uint32_t counted = 0;
    for (int i = 0; i < CTL_HIST_BUCKETS; i++)
        counted += counters(1)->infer_us[i];
    assert_int_equal(counted, ARRAY_LEN(rows));
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR); /* a run that failed is no run to count */
    struct ring_result failed = desk_result(&d, &d.one, seq);
    failed.status = RING_RESULT_FAILED;
    desk_say(&d, &d.one, &failed);
    assert_true(counters(1)->infer_sum_us == sum_us);
    desk_part(&d);
}

static void each_status_has_its_reason(void **state)
{
    static const struct {
        uint32_t status, kind;
        enum intervention reason;
    } rows[] = {{RING_RESULT_STALE, 0, INTERVENED_STALE},
                {RING_RESULT_NOT_FINITE, 0, INTERVENED_NOT_FINITE},
                {RING_RESULT_FAILED, 0, INTERVENED_OTHER},
                {RING_RESULT_OK, RING_VALUES + 1, INTERVENED_OTHER},
                {RING_RESULT_OK, RING_VALUES, INTERVENED_RANGE}};
    desk_pair_up(&d);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
        struct ring_result result = desk_result(&d, &d.one, seq);
        result.status = rows[i].status;
        result.kind = rows[i].kind;
        desk_say(&d, &d.one, &result);
        desk_expect(&d, seq, RING_VERDICT_SAFE, rows[i].reason, 1);
    }
    desk_part(&d);
}

static struct frame_signals some_signals(float first)
{
    return (struct frame_signals){
        .values = {first, NAN, -INFINITY}, .novel_box = {1, 2, 3, 4}, .valid = UINT32_MAX};
}

static void assert_verdict(uint64_t seq, const struct frame_signals *signals, struct frame_cause cause)
{
    const struct ring_verdict *verdict = desk_verdict(&d.robot, seq);
    assert_non_null(verdict);
    assert_memory_equal(&verdict->signals, signals, sizeof *signals);
    struct frame_cause found = ring_cause(verdict);
    assert_int_equal(found.rule, cause.rule);
    assert_int_equal(found.index, cause.index);
    assert_float_equal(found.value, cause.value, 1e-3);
    assert_float_equal(found.limit, cause.limit, 1e-3);
}

/* Whatever bits they are: of what was passed on, and of what was refused, which is when somebody will ask. */
static void signals_are_carried_with_the_cause(void **state)
{
    static const struct frame_signals none;
    desk_pair_up(&d);
    uint64_t seq = desk_frame(&d, &d.robot, 20 * DESK_MS);
    struct ring_result result = desk_result(&d, &d.one, seq);
    result.signals = some_signals(0.25f);
    desk_say(&d, &d.one, &result);
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    const float took_ms = ring_cause(desk_verdict(&d.robot, seq)).value;
    assert_true(took_ms >= 0 && took_ms < 20);
    assert_verdict(seq, &result.signals, (struct frame_cause){.value = took_ms, .limit = 20});

    seq = desk_frame(&d, &d.robot, 20 * DESK_MS);
    result = desk_result(&d, &d.one, seq);
    result.signals = some_signals(0.5f);
    result.count = 2;
    result.detections[1] = result.detections[0] = (struct detection){.x1 = 1, .y1 = 1, .score = 0.5f};
    result.detections[1].score = 1.5f;
    desk_say(&d, &d.one, &result);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_RANGE, 1);
    assert_verdict(seq, &result.signals, (struct frame_cause){CAUSE_SCORE, 1, 1.5f, 1});

    seq = desk_frame(&d, &d.robot, 20 * DESK_MS); /* nothing of the one before it is left */
    desk_pass(&d, 30 * DESK_MS);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
    const float late_ms = ring_cause(desk_verdict(&d.robot, seq)).value;
    assert_true(late_ms > 20 && late_ms < 21);
    assert_verdict(seq, &none, (struct frame_cause){.value = late_ms, .limit = 20});
    desk_part(&d);
}

/* For a stream that is over, for frame 0, twice, in another's name, of somebody who was not asked: nothing passes. */
static void a_result_nobody_asked_for(void **state)
{
    desk_pair_up(&d);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &d.two, seq);
    desk_say(&d, &d.two, &result); /* the fallback was not asked */
    assert_int_equal(counters(2)->interventions[INTERVENED_SEQUENCE], 1);
    result.generation = 1;
    desk_say(&d, &d.two, &result); /* nor in the other's name */
    assert_int_equal(counters(2)->interventions[INTERVENED_SEQUENCE], 2);
    result = desk_result(&d, &d.one, 0);
    desk_say(&d, &d.one, &result);
    result = desk_result(&d, &d.one, seq);
    result.stream++;
    desk_say(&d, &d.one, &result);
    result = desk_result(&d, &d.one, seq + GUARD_PENDING); /* its place in the list */
    desk_say(&d, &d.one, &result);
    assert_int_equal(counters(1)->interventions[INTERVENED_SEQUENCE], 3);
    assert_null(desk_verdict(&d.robot, seq));
    result = desk_result(&d, &d.one, seq);
    uint64_t stream = result.stream;
    desk_robot_close(&d, &d.robot);
    desk_say(&d, &d.one, &result);
    desk_robot_open(&d, &d.robot);
    assert_true(d.robot.stream != stream);
    desk_say(&d, &d.one, &result);
    assert_null(desk_verdict(&d.robot, seq));
    assert_int_equal(counters(1)->results, 0);
    desk_part(&d);
}

/* A bell that was lost, or never rung: the guard looks by itself, ten times a second. */
static void results_are_found_without_a_bell(void **state)
{
    desk_pair_up(&d);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &d.one, seq);
    desk_murmur(&d.one, &result);
    desk_pass(&d, 101 * DESK_MS);
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    desk_part(&d);
}

/* Whoever sleeps on a ring is woken when there is something, and only then: once for a verdict, once for a changed page. */
static void sleepers_are_woken_once(void **state)
{
    desk_pair_up(&d);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR), next = desk_frame(&d, &d.robot, DESK_FAR);
    desk_settle(&d);
    testbed_fail_call("futex", 1, 0, 0); /* counted, and never fails */
    desk_answer(&d, &d.one, seq);
    assert_int_equal(testbed_count("futex"), 1);
    desk_settle(&d);
    assert_int_equal(testbed_count("futex"), 1);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 0), 0);
    assert_int_equal(testbed_count("futex"), 3); /* both pages */
    assert_non_null(ring_begin(&d.guard->stream.verdicts, next + RING_SLOTS));
    desk_answer(&d, &d.one, next); /* a verdict that cannot be put wakes nobody */
    assert_int_equal(testbed_count("futex"), 3);
    testbed_stop();
    desk_part(&d);
}

/* ---- counters ---- */

/* Bucket i holds (2^(i/8), 2^((i+1)/8)] microseconds; what is outside goes to the ends. */
static void latencies_fall_into_their_buckets(void **state)
{
    static const struct {
        int64_t ns;
        int bucket;
    } rows[] = {{INT64_MIN, 0},    {-1, 0},         {0, 0},        {1000, 0},
                {1001, 0},         {1090, 0},       {1091, 1},     {2000, 7},
                {2001, 8},         {1024000, 79},   {1024001, 80}, {1000000000, 159},
                {1100000000, 159}, {INT64_MAX, 159}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t buckets[CTL_HIST_BUCKETS] = {0};
        guard_count_latency(buckets, rows[i].ns);
        for (int b = 0; b < CTL_HIST_BUCKETS; b++)
            assert_int_equal(buckets[b], b == rows[i].bucket);
    }
}

static void the_status_says_all_of_it(void **state)
{
    assert_true(desk_runner_try(&d, &d.one, 1, 1));
    assert_int_equal(desk_admit(&d, 1, &desk_limits), 0);
    assert_int_equal(desk_admit(&d, 2, &desk_limits), 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    desk_answer(&d, &d.one, desk_frame(&d, &d.robot, DESK_FAR));
    desk_frame(&d, &d.robot, 1);
    desk_pass(&d, 2);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 1, 0, 0), 0);
    struct ctl_message ask;
    union ctl_packet packet;
    ctl_message_init(&ask, CTL_STATUS_REQUEST);
    while (desk_hear(d.agent, &packet, NULL))
        ;
    desk_send(&d, d.agent, &ask);
    assert_true(desk_hear(d.agent, &packet, NULL));
    assert_int_equal(packet.message.kind, CTL_STATUS);
    const struct ctl_status *status = &packet.status.status;
    assert_int_equal(packet.message.generation, d.guard->epoch);
    assert_int_equal(status->epoch, d.guard->epoch);
    assert_true(status->epoch != 0 && status->epoch < 1ull << 63);
    assert_int_equal(status->started_mono_ns, DESK_START_NS);
    assert_int_equal(status->state, GUARD_DEGRADED);
    assert_int_equal(status->client_connected, 1);
    assert_int_equal(status->active_generation, 1);
    assert_int_equal(status->fallback_generation, 2);
    assert_int_equal(status->checked, 1);
    assert_int_equal(status->safe, 1);
    assert_int_equal(status->overridden, 0);
    const struct ctl_runner_status *first = &status->runners[0], *second = &status->runners[1];
    assert_int_equal(first->generation, 1);
    assert_int_equal(first->pid, getpid());
    assert_true(first->connected && first->admitted && first->degraded && !first->hung);
    assert_int_equal(second->generation, 2);
    assert_int_equal(second->pid, 0);
    assert_true(!second->connected && second->admitted);
    assert_memory_equal(&first->counters, counters(1), sizeof *counters(1));
    assert_int_equal(status->runners[2].generation, 0);
    assert_int_equal(status->oversight.lease, 0);
    assert_int_equal(status->oversight.lease_until_ns, 0);
    assert_false(status->oversight.latched || status->oversight.local);
    int operator= desk_join(&d, CTL_ROLE_OPERATOR);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_OVERRIDE, 0, 1000), 0);
    desk_send(&d, operator, & ask);
    assert_true(desk_hear(operator, & packet, NULL));
    assert_int_equal(status->oversight.lease, 1);
    assert_int_equal(status->oversight.lease_until_ns, testbed_clock() + 1000 * DESK_MS);
    assert_true(status->oversight.latched && !status->oversight.local);
    assert_string_equal(status->oversight.who, "ann");
    assert_string_equal(status->oversight.reason, "a test");
    assert_int_equal(desk_command(&d, operator, CTL_VERB_OVERRIDE, 0, 1000), 0);
    guard_fill_status(d.guard);
    assert_int_equal(d.guard->status.status.oversight.local, 1);
    desk_leave(&d, &operator);
    end(&d.one);
}

int main(void)
{
#define EXACT(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        EXACT(the_same_picture_again_and_again),
        EXACT(age_is_counted_until_it_was_handed_over),
        EXACT(a_result_that_changes_under_the_eye),
        EXACT(results_that_are_not_there),
        EXACT(a_run_takes_no_longer_than_the_frame_is_old),
        EXACT(each_status_has_its_reason),
        EXACT(signals_are_carried_with_the_cause),
        EXACT(a_result_nobody_asked_for),
        EXACT(results_are_found_without_a_bell),
        EXACT(sleepers_are_woken_once),
        EXACT(latencies_fall_into_their_buckets),
        EXACT(the_status_says_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
