/* To the nanosecond and to the last counter: when a frame's time is up, who is charged with it, what its verdict says. The clock is
 * the test's (guard/desk.h). */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/desk.h"

static struct desk d;
static struct desk_runner one, two;
static struct desk_robot robot;

static int setup(void **state)
{
    desk_open(&d, &(struct guard_options){.state_dir = "", .hang_frames = 1000}); /* nobody is hung here */
    desk_robot_open(&d, &robot);
    return 0;
}

static int teardown(void **state)
{
    desk_close(&d);
    ring_fini(&robot.frames);
    ring_fini(&robot.verdicts);
    mem_cleanup_close(&robot.fd);
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

/* Generation 1 answers, 2 is its fallback. */
static void pair_up(void)
{
    serve_with(&one, 1, &desk_limits);
    serve_with(&two, 2, &desk_limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    assert_int_equal(d.guard->state, GUARD_AUTO);
}

static void part(void)
{
    end(&one);
    end(&two);
}

static void answer(struct desk_runner *r, uint64_t seq)
{
    struct ring_result result = desk_result(&d, r, seq);
    desk_say(&d, r, &result);
}

static const struct ctl_counters *counters(uint64_t generation)
{
    return &desk_slot(&d, generation)->counters;
}

static void expect(uint64_t seq, enum ring_verdict_status status, enum intervention reason,
                   uint64_t generation)
{
    const struct ring_verdict *verdict = desk_verdict(&robot, seq);
    assert_non_null(verdict);
    assert_int_equal(verdict->seq, seq);
    assert_int_equal(verdict->stream, robot.stream);
    assert_int_equal(verdict->status, status);
    assert_int_equal(verdict->reason, reason);
    assert_int_equal(verdict->generation, generation);
    assert_int_equal(verdict->state, d.guard->state);
    struct digest release = generation ? desk_release(generation) : (struct digest){{0}};
    assert_memory_equal(&verdict->release, &release, sizeof release);
}

/* ---- time ---- */

/* The verdict comes in the first nanosecond after the deadline, whatever numbers the program writes into its frame: never
 * later than a minute, never later than the release's own time. */
static void the_deadline_is_exact(void **state)
{
    static const int64_t off[] = {0, 1, 20 * DESK_MS, 60000 * DESK_MS, 90000 * DESK_MS, -1, -20 * DESK_MS};
    static const int64_t wild[] = {INT64_MIN, INT64_MAX, 0, -1, 1};
    const struct ctl_limits limits = {.deadline_us = 50000, .max_detections = 4, .label_count = 3};
    serve_with(&one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    enum { KINDS = ARRAY_LEN(off) + ARRAY_LEN(wild) };
    for (size_t i = 0; i < KINDS * KINDS; i++) {
        int64_t now_ns = testbed_clock();
        size_t a = i / KINDS, b = i % KINDS;
        int64_t capture_ns = a < ARRAY_LEN(off) ? now_ns + off[a] : wild[a - ARRAY_LEN(off)];
        int64_t deadline_ns = b < ARRAY_LEN(off) ? now_ns + off[b] : wild[b - ARRAY_LEN(off)];
        uint64_t seq = desk_submit(&robot, capture_ns, deadline_ns, 0, (uint8_t)i);
        guard_frames_scan(d.guard, now_ns);
        int64_t taken_ns = MAX(MIN(capture_ns, now_ns), 0),
                due_ns = MIN(MAX(deadline_ns, 0), taken_ns + 50 * DESK_MS);
        if (due_ns >= now_ns) {
            desk_pass(&d, due_ns - now_ns);
            assert_null(desk_verdict(&robot, seq));
            desk_pass(&d, 1);
        }
        desk_settle(&d);
        expect(seq, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
        assert_int_equal(desk_verdict(&robot, seq)->decided_ns, MAX(due_ns + 1, now_ns));
    }
    assert_int_equal(counters(1)->frames, KINDS * KINDS);
    assert_int_equal(counters(1)->lost, KINDS * KINDS);
    assert_int_equal(counters(1)->interventions[INTERVENED_DEADLINE], KINDS * KINDS);
    end(&one);
}

static void no_frame_waits_longer_than_a_minute(void **state)
{
    pair_up();
    int64_t now_ns = testbed_clock();
    struct ctl_limits none = desk_limits;
    assert_int_equal(none.deadline_us, 60000000);
    uint64_t seq = desk_submit(&robot, now_ns, INT64_MAX, 0, 1);
    guard_frames_scan(d.guard, now_ns);
    assert_int_equal(guard_next_deadline_ns(d.guard), now_ns + 60000 * DESK_MS);
    desk_jump(&d, 60000 * DESK_MS);
    assert_null(desk_verdict(&robot, seq));
    desk_jump(&d, 1);
    expect(seq, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
    part();
}

static void a_result_in_the_last_moment_counts(void **state)
{
    pair_up();
    for (int64_t late_ns = 0; late_ns < 2; late_ns++) {
        uint64_t seq = desk_frame(&d, &robot, 10 * DESK_MS);
        testbed_clock_set(testbed_clock() + 10 * DESK_MS + late_ns);
        answer(&one, seq);
        if (late_ns)
            expect(seq, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
        else
            expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
        assert_int_equal(counters(1)->results, 1);
        assert_int_equal(counters(1)->lost, late_ns);
        assert_int_equal(d.guard->checked, 1);
        assert_int_equal(d.guard->safe, late_ns);
    }
    part();
}

/* The guard sleeps exactly until the first of: a deadline, the end of a lease, its tick. */
static void it_wakes_for_the_first_thing_due(void **state)
{
    pair_up();
    assert_int_equal(guard_next_deadline_ns(d.guard), INT64_MAX);
    uint64_t seq = desk_frame(&d, &robot, 7 * DESK_MS);
    desk_frame(&d, &robot, 9 * DESK_MS);
    d.guard->next_tick_ns = testbed_clock() + 50 * DESK_MS;
    desk_settle(&d);
    assert_int_equal(testbed_slept_ns(), 7 * DESK_MS);
    answer(&one, seq);
    assert_int_equal(testbed_slept_ns(), 9 * DESK_MS);
    answer(&one, seq + 1);
    assert_int_equal(testbed_slept_ns(), 50 * DESK_MS);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_OVERRIDE, 0, 200), 0);
    int64_t until_ns = testbed_clock() + 200 * DESK_MS;
    d.guard->next_tick_ns = testbed_clock() + 500 * DESK_MS;
    desk_settle(&d);
    assert_int_equal(testbed_slept_ns(), 200 * DESK_MS);
    desk_pass(&d, 200 * DESK_MS - 1);
    assert_int_equal(d.guard->state, GUARD_OVERRIDE);
    desk_pass(&d, 1);
    assert_int_equal(testbed_clock(), until_ns);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    assert_string_equal(d.guard->who, "guard");
    assert_non_null(strstr(d.guard->reason, "lease 1 of ann"));
    d.guard->next_tick_ns = testbed_clock() - 1; /* overdue: does not sleep */
    desk_turn(&d);
    assert_int_equal(testbed_slept_ns(), 0);
    part();
}

/* ---- what a verdict says ---- */

static void a_checked_result_arrives_as_it_was(void **state)
{
    pair_up();
    for (uint32_t count = 0; count <= 4; count++) {
        uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
        struct ring_result result = desk_result(&d, &one, seq);
        result.count = count;
        result.detections[2] = result.detections[3] = result.detections[0];
        result.started_ns = 11;
        result.finished_ns = 22;
        result.run_ns = 3 * DESK_MS;
        testbed_clock_set(testbed_clock() + 5 * DESK_MS);
        desk_say(&d, &one, &result);
        expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
        const struct ring_verdict *verdict = desk_verdict(&robot, seq);
        assert_int_equal(verdict->decided_ns, testbed_clock());
        assert_int_equal(verdict->run_ns, 3 * DESK_MS);
        assert_int_equal(verdict->started_ns, 11);
        assert_int_equal(verdict->finished_ns, 22);
        assert_int_equal(verdict->kind, RING_DETECTIONS);
        assert_int_equal(verdict->count, count);
        assert_int_equal(verdict->max_detections, 4);
        assert_int_equal(verdict->label_count, 3);
        assert_true(verdict->min_score == 0.25f);
        assert_memory_equal(verdict->detections, result.detections, count * sizeof result.detections[0]);
    }
    assert_int_equal(counters(1)->results, 5);
    assert_int_equal(counters(1)->detections, 0 + 1 + 2 + 3 + 4);
    assert_true(counters(1)->confidence_sum == 4 * 0.5 + 3 * 0.75 + 2 * 0.5 + 0.5);
    assert_true(counters(1)->frame_sum_us == 5 * 5000.0);
    assert_true(counters(1)->infer_sum_us == 5 * 3000.0);
    part();
}

static void a_safe_verdict_says_nothing_more(void **state)
{
    pair_up();
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    answer(&one, seq);
    seq = desk_frame(&d, &robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &one, seq);
    result.count = 5;
    desk_say(&d, &one, &result);
    expect(seq, RING_VERDICT_SAFE, INTERVENED_TOO_MANY, 1);
    const struct ring_verdict *verdict = desk_verdict(&robot, seq);
    assert_int_equal(verdict->count, 0);
    assert_int_equal(verdict->run_ns, 0);
    assert_int_equal(verdict->started_ns, 0);
    assert_int_equal(verdict->finished_ns, 0);
    assert_int_equal(verdict->kind, RING_DETECTIONS);
    part();
}

static void values_arrive_as_they_were(void **state)
{
    for (uint32_t count = 1; count <= 5; count++) {
        const struct ctl_limits limits = {
            .deadline_us = 1000000, .value_count = count, .value_min = -1, .value_max = 1};
        serve_with(&one, count, &limits);
        assert_int_equal(desk_order(&d, CTL_ACTIVATE, count, 0, 0), 0);
        uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
        struct ring_result result = {
            .seq = seq, .stream = robot.stream, .generation = count, .kind = RING_VALUES, .count = count};
        for (uint32_t i = 0; i < count; i++)
            result.values[i] = 0.125f * (float)i;
        desk_say(&d, &one, &result);
        expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, count);
        const struct ring_verdict *verdict = desk_verdict(&robot, seq);
        assert_int_equal(verdict->kind, RING_VALUES);
        assert_int_equal(verdict->count, count);
        assert_int_equal(verdict->max_detections, count);
        assert_memory_equal(verdict->values, result.values, count * sizeof(float));
        assert_int_equal(counters(count)->results, 1);
        assert_int_equal(counters(count)->detections, 0);
        assert_int_equal(desk_order(&d, CTL_RETIRE, count, 0, 0), 0);
        end(&one);
    }
}

/* ---- who is charged with it ---- */

/* The primary dies with two frames in hand: the fallback inherits them, and is told from which one on. */
static void frames_in_hand_are_inherited(void **state)
{
    pair_up();
    uint64_t done = desk_frame(&d, &robot, DESK_FAR);
    answer(&one, done);
    uint64_t first = desk_frame(&d, &robot, DESK_FAR), second = desk_frame(&d, &robot, DESK_FAR);
    desk_settle(&d);
    struct ring_control page = desk_page(&one);
    assert_int_equal(page.mode, RING_MODE_ACTIVE);
    assert_int_equal(page.stream, robot.stream);
    assert_int_equal(page.from_seq, 1);
    assert_int_equal(page.until_seq, UINT64_MAX);
    assert_int_equal(page.flags, 0);
    end(&one);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    page = desk_page(&two);
    assert_int_equal(page.mode, RING_MODE_ACTIVE);
    assert_int_equal(page.from_seq, first);
    answer(&two, second);
    expect(second, RING_VERDICT_FALLBACK, INTERVENED_RUNNER_LOST, 2);
    answer(&two, first);
    expect(first, RING_VERDICT_FALLBACK, INTERVENED_RUNNER_LOST, 2);
    assert_int_equal(counters(1)->frames, 3);
    assert_int_equal(counters(1)->lost, 0);
    assert_int_equal(counters(1)->interventions[INTERVENED_RUNNER_LOST], 2);
    assert_int_equal(counters(2)->frames, 2);
    assert_int_equal(counters(2)->results, 2);
    assert_int_equal(desk_slot(&d, 1)->restarts, 1);
    uint64_t own = desk_frame(&d, &robot, DESK_FAR);
    end(&two);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    expect(own, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 2);
    assert_int_equal(counters(2)->lost, 1);
    /* Nobody is left: the one that was to answer is charged. */
    own = desk_frame(&d, &robot, DESK_FAR);
    expect(own, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 1);
    assert_int_equal(counters(1)->frames, 4);
    assert_int_equal(counters(1)->lost, 1);
    assert_int_equal(d.guard->safe, 2);
    assert_int_equal(d.guard->checked, 3);
    assert_int_equal(d.guard->overridden, 0);
}

static void a_switch_tells_both(void **state)
{
    pair_up();
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 0), 0);
    struct ring_control old = desk_page(&one), new = desk_page(&two);
    assert_int_equal(old.mode, RING_MODE_IDLE);
    assert_int_equal(old.until_seq, seq);
    assert_int_equal(new.mode, RING_MODE_ACTIVE);
    assert_int_equal(new.from_seq, seq + 1);
    answer(&one, seq); /* it had that one in hand */
    expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    answer(&two, seq = desk_frame(&d, &robot, DESK_FAR));
    expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 2);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 0), 0); /* again: nothing changes */
    assert_int_equal(ring_newest(&two.control), 1);
    /* One result that was under way when it was told is excused, the next is not. */
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    answer(&two, seq + 1);
    assert_int_equal(counters(2)->interventions[INTERVENED_SEQUENCE], 0);
    answer(&two, seq + 1);
    assert_int_equal(counters(2)->interventions[INTERVENED_SEQUENCE], 1);
    answer(&one, seq + 1); /* no such frame yet */
    assert_int_equal(counters(1)->interventions[INTERVENED_SEQUENCE], 1);
    part();
}

static void what_a_human_overrules_is_nobodys_fault(void **state)
{
    uint64_t seq;
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0), 0);
    seq = desk_frame(&d, &robot, DESK_FAR);
    expect(seq, RING_VERDICT_SAFE, INTERVENED_OVERSIGHT, 0);
    assert_int_equal(d.guard->overridden, 0); /* nobody was there who could have answered */
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RELEASE, 0, 0), 0);
    pair_up();
    seq = desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0), 0);
    expect(seq, RING_VERDICT_SAFE, INTERVENED_OVERSIGHT, 0);
    assert_int_equal(d.guard->overridden, 1);
    assert_int_equal(counters(1)->frames, 1);
    assert_int_equal(counters(1)->lost, 0);
    assert_int_equal(counters(1)->interventions[INTERVENED_OVERSIGHT], 1);
    desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(d.guard->overridden, 2);
    assert_int_equal(counters(1)->frames, 1);
    end(&one);
    desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(d.guard->overridden, 3); /* the fallback could have */
    end(&two);
    desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(d.guard->overridden, 3);
    assert_int_equal(d.guard->safe, 5);
}

/* Forced to a fallback that is not there: that one is charged, not the primary that nobody wants. */
static void a_fallback_that_was_forced_and_is_gone(void **state)
{
    pair_up();
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_FALLBACK, 0, 0), 0);
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    answer(&two, seq);
    expect(seq, RING_VERDICT_FALLBACK, INTERVENED_OVERSIGHT, 2);
    end(&two);
    seq = desk_frame(&d, &robot, DESK_FAR);
    expect(seq, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 2);
    assert_int_equal(counters(2)->frames, 2);
    assert_int_equal(counters(2)->lost, 1);
    assert_int_equal(counters(1)->frames, 0);
    end(&one);
}

/* Only frames that somebody was meant to answer count towards a latch. */
static void a_lost_runner_latches_nothing(void **state)
{
    struct ctl_limits limits = desk_limits;
    limits.latch_after = 2;
    serve_with(&one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    end(&one);
    for (int i = 0; i < 5; i++)
        desk_frame(&d, &robot, DESK_FAR);
    desk_settle(&d);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    serve_with(&one, 1, &limits);
    desk_frame(&d, &robot, 1);
    desk_pass(&d, 2);
    assert_int_equal(d.guard->state, GUARD_AUTO);
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    answer(&one, seq); /* a good one in between */
    desk_frame(&d, &robot, 1);
    desk_pass(&d, 2);
    assert_int_equal(d.guard->state, GUARD_AUTO);
    desk_frame(&d, &robot, 1);
    desk_pass(&d, 2);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    assert_string_equal(d.guard->who, "guard");
    assert_non_null(strstr(d.guard->reason, "too many frames"));
    end(&one);
}

/* A fault that comes with the stop it would cause is none of its own: the human's name stands. */
static void a_fault_does_not_write_over_a_human(void **state)
{
    desk_settle(&d);
    d.guard->fault = true;
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0),
                     ERR_CONFLICT); /* the fault was there first */
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RESET, 0, 0), 0);
    d.guard->fault = true;
    desk_settle(&d);
    assert_int_equal(d.guard->state, GUARD_ACK_WAIT);
    assert_string_equal(d.guard->who, "ann");
    assert_false(d.guard->fault);
}

/* ---- frames that come and go too fast ---- */

static void set_newest(const struct ring *ring, uint64_t newest)
{
    memcpy(ring->base + 128, &newest, sizeof newest);
}

/* More frames than the ring holds: the oldest were never seen, and are counted as stale. */
static void frames_that_were_overwritten_unseen(void **state)
{
    pair_up();
    for (int i = 0; i < RING_SLOTS + 3; i++)
        desk_submit(&robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 0);
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(counters(1)->frames, RING_SLOTS + 3);
    assert_int_equal(counters(1)->lost, 3);
    assert_int_equal(counters(1)->interventions[INTERVENED_STALE], 3);
    assert_int_equal(d.guard->safe, 3);
    assert_int_equal(d.guard->stream.seen, RING_SLOTS + 3);
    answer(&one, 4);
    expect(4, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    for (int i = 0; i < RING_SLOTS; i++) /* exactly as many as it holds: none is lost */
        desk_submit(&robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 0);
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(counters(1)->lost, 3);
    part();
}

/* The number is the program's word. */
static void a_wild_number_costs_little(void **state)
{
    pair_up();
    set_newest(&robot.frames, 1ull << 40);
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(d.guard->stream.seen, 1ull << 40);
    assert_int_equal(counters(1)->frames, 1000 + RING_SLOTS);
    assert_int_equal(counters(1)->lost, 1000);
    assert_int_equal(d.guard->safe, 1000);
    desk_settle(&d); /* the rest is not there: their time was up when they were seen */
    assert_int_equal(d.guard->safe, 1000 + RING_SLOTS);
    assert_int_equal(counters(1)->interventions[INTERVENED_DEADLINE], RING_SLOTS);
    expect(1ull << 40, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
    set_newest(&robot.frames, 5); /* backwards: nothing */
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(d.guard->stream.seen, 1ull << 40);
    part();
}

static void nobody_is_charged_where_nobody_answers(void **state)
{
    for (int i = 0; i < RING_SLOTS + 2; i++)
        desk_submit(&robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 0);
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(d.guard->safe, RING_SLOTS + 2);
    expect(RING_SLOTS + 2, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 0);
}

/* A frame that nobody answers while the ring goes round once is stale: its picture is gone. */
static void a_frame_is_stale_when_its_picture_is_gone(void **state)
{
    pair_up();
    uint64_t first = desk_frame(&d, &robot, DESK_FAR);
    for (uint64_t i = 1; i < RING_SLOTS; i++)
        answer(&one, desk_frame(&d, &robot, DESK_FAR));
    guard_frames_expire(d.guard, testbed_clock());
    assert_null(desk_verdict(&robot, first));
    uint64_t last = desk_frame(&d, &robot, DESK_FAR);
    answer(&one, last); /* into the same place of the verdicts */
    guard_frames_expire(d.guard, testbed_clock());
    assert_int_equal(counters(1)->interventions[INTERVENED_STALE], 1);
    assert_int_equal(d.guard->safe, 1);
    expect(last, RING_VERDICT_OK, INTERVENTION_COUNT, 1); /* the newer verdict stands */
    part();
}

/* With a ring as large as the guard's own list: what is still open when its place is needed is stale. */
static void the_guards_list_goes_round_too(void **state)
{
    desk_robot_close(&d, &robot);
    assert_true(desk_robot_try(&d, &robot, RING_MAX_SLOTS));
    pair_up();
    for (int i = 0; i < GUARD_PENDING; i++)
        desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(d.guard->safe, 0);
    desk_frame(&d, &robot, DESK_FAR);
    assert_int_equal(d.guard->safe, 1);
    assert_int_equal(counters(1)->interventions[INTERVENED_STALE], 1);
    expect(1, RING_VERDICT_SAFE, INTERVENED_STALE, 1);
    for (uint64_t seq = 2; seq <= GUARD_PENDING + 1; seq++) {
        answer(&one, seq);
        expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    }
    part();
}

/* ---- pictures ---- */

static struct ring_frame *frame_of(uint64_t seq)
{
    return (void *)(robot.frames.base + 4096 + (seq % RING_SLOTS) * robot.frames.stride + 64);
}

static void overwrite_newest_frame(void)
{
    assert_non_null(ring_begin(&robot.frames, robot.seq + RING_SLOTS));
}

static void the_same_picture_again_and_again(void **state)
{
    struct ctl_limits limits = desk_limits;
    limits.frozen_frames = 2;
    serve_with(&one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    for (int i = 0; i < 4; i++) {
        uint64_t seq = desk_submit(&robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 9);
        if (i == 0) /* only what the frame says it holds is looked at, and no more than there is room for */
            frame_of(seq)->pixel_bytes = UINT64_MAX;
        guard_frames_scan(d.guard, testbed_clock());
        assert_true((desk_verdict(&robot, seq) != NULL) == (i >= 1));
        if (i >= 1)
            expect(seq, RING_VERDICT_SAFE, INTERVENED_FROZEN, 1);
    }
    uint64_t seq = desk_submit(&robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 8);
    guard_frames_scan(d.guard, testbed_clock());
    answer(&one, seq);
    expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    /* What lies behind its payload is none of the picture. */
    for (uint8_t shade = 20; shade < 22; shade++) {
        seq = desk_submit(&robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, shade);
        struct ring_frame *frame = frame_of(seq);
        frame->pixel_bytes = 8;
        memset(frame + 1, 5, 8);
        guard_frames_scan(d.guard, testbed_clock());
        assert_true((desk_verdict(&robot, seq) != NULL) == (shade == 21));
    }
    /* Gone between two looks: no picture to compare, nothing is held against it. */
    seq = desk_submit(&robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 8);
    desk_between(1, overwrite_newest_frame);
    guard_frames_scan(d.guard, testbed_clock());
    assert_null(desk_verdict(&robot, seq));
    end(&one);
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
    serve_with(&one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t now_ns = testbed_clock();
        uint64_t seq = desk_submit(&robot, now_ns - rows[i].capture_ago_ns, now_ns + DESK_FAR, 0, (uint8_t)i);
        struct ring_frame *frame = frame_of(seq);
        frame->submitted_ns = rows[i].submitted_ago_ns == INT64_MAX ? 0 : now_ns - rows[i].submitted_ago_ns;
        guard_frames_scan(d.guard, now_ns);
        assert_true((desk_verdict(&robot, seq) != NULL) == rows[i].stale);
        if (rows[i].stale)
            expect(seq, RING_VERDICT_SAFE, INTERVENED_STALE, 1);
        else
            answer(&one, seq);
    }
    end(&one);
}

/* ---- results ---- */

static void spoil_newest_result(void)
{
    struct ring_result *body =
        (void *)(one.results.base + 4096 + (one.count % RING_SLOTS) * one.results.stride + 64);
    body->count++;
}

static void change_kind_of_newest_result(void)
{
    struct ring_result *body =
        (void *)(one.results.base + 4096 + (one.count % RING_SLOTS) * one.results.stride + 64);
    body->kind ^= 1;
}

static void overwrite_newest_result(void)
{
    assert_non_null(ring_begin(&one.results, one.count + RING_SLOTS));
}

/* A result that changes while it is looked at is none. */
static void a_result_that_changes_under_the_eye(void **state)
{
    static void (*const acts[])(void) = {spoil_newest_result, change_kind_of_newest_result,
                                         overwrite_newest_result};
    pair_up();
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
        struct ring_result result = desk_result(&d, &one, seq);
        desk_murmur(&one, &result);
        desk_between(1, acts[i]);
        guard_results_drain(d.guard, desk_slot(&d, 1), testbed_clock());
        assert_null(desk_verdict(&robot, seq));
        assert_int_equal(counters(1)->interventions[INTERVENED_OTHER], i + 1);
    }
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    one.count += RING_SLOTS; /* past the half-written one */
    answer(&one, seq);
    expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    part();
}

/* The number of the newest result is the runner's word: at most one round is looked at, and what is not there is counted. */
static void results_that_are_not_there(void **state)
{
    pair_up();
    struct guard_runner *slot = desk_slot(&d, 1);
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &one, seq);
    one.count = 99;
    desk_murmur(&one, &result); /* 100, and 92 before it never were */
    guard_results_drain(d.guard, slot, testbed_clock());
    expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    assert_int_equal(counters(1)->interventions[INTERVENED_OTHER], RING_SLOTS - 1);
    assert_int_equal(slot->next_result, 101);
    one.count = 100 + RING_SLOTS - 1;
    result.seq = seq = desk_frame(&d, &robot, DESK_FAR);
    desk_murmur(&one, &result);
    guard_results_drain(d.guard, slot, testbed_clock());
    expect(seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    assert_int_equal(counters(1)->interventions[INTERVENED_OTHER], 2 * (RING_SLOTS - 1));
    set_newest(&one.results, 3); /* backwards: nothing */
    guard_results_drain(d.guard, slot, testbed_clock());
    assert_int_equal(slot->next_result, 100 + RING_SLOTS + 1);
    assert_int_equal(counters(1)->interventions[INTERVENED_OTHER], 2 * (RING_SLOTS - 1));
    part();
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
    pair_up();
    double sum_us = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
        testbed_clock_set(testbed_clock() + 4 * DESK_MS);
        struct ring_result result = desk_result(&d, &one, seq);
        result.run_ns = rows[i].claimed_ns;
        desk_say(&d, &one, &result);
        assert_int_equal(desk_verdict(&robot, seq)->run_ns, rows[i].want_ns);
        sum_us += (double)rows[i].want_ns / 1000.0;
    }
    assert_true(counters(1)->infer_sum_us == sum_us);
    uint32_t counted = 0;
    for (int i = 0; i < CTL_HIST_BUCKETS; i++)
        counted += counters(1)->infer_us[i];
    assert_int_equal(counted, ARRAY_LEN(rows));
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR); /* a run that failed is no run to count */
    struct ring_result failed = desk_result(&d, &one, seq);
    failed.status = RING_RESULT_FAILED;
    desk_say(&d, &one, &failed);
    assert_true(counters(1)->infer_sum_us == sum_us);
    part();
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
    pair_up();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
        struct ring_result result = desk_result(&d, &one, seq);
        result.status = rows[i].status;
        result.kind = rows[i].kind;
        desk_say(&d, &one, &result);
        expect(seq, RING_VERDICT_SAFE, rows[i].reason, 1);
    }
    part();
}

/* For a stream that is over, for frame 0, twice, in another's name, of somebody who was not asked: nothing passes. */
static void a_result_nobody_asked_for(void **state)
{
    pair_up();
    uint64_t seq = desk_frame(&d, &robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &two, seq);
    desk_say(&d, &two, &result); /* the fallback was not asked */
    assert_int_equal(counters(2)->interventions[INTERVENED_SEQUENCE], 1);
    result.generation = 1;
    desk_say(&d, &two, &result); /* nor in the other's name */
    assert_int_equal(counters(2)->interventions[INTERVENED_SEQUENCE], 2);
    result = desk_result(&d, &one, 0);
    desk_say(&d, &one, &result);
    result = desk_result(&d, &one, seq);
    result.stream++;
    desk_say(&d, &one, &result);
    result = desk_result(&d, &one, seq + GUARD_PENDING); /* its place in the list */
    desk_say(&d, &one, &result);
    assert_int_equal(counters(1)->interventions[INTERVENED_SEQUENCE], 3);
    assert_null(desk_verdict(&robot, seq));
    result = desk_result(&d, &one, seq);
    uint64_t stream = result.stream;
    desk_robot_close(&d, &robot);
    desk_say(&d, &one, &result);
    desk_robot_open(&d, &robot);
    assert_true(robot.stream != stream);
    desk_say(&d, &one, &result);
    assert_null(desk_verdict(&robot, seq));
    assert_int_equal(counters(1)->results, 0);
    part();
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
    assert_true(desk_runner_try(&d, &one, 1, 1));
    assert_int_equal(desk_admit(&d, 1, &desk_limits), 0);
    assert_int_equal(desk_admit(&d, 2, &desk_limits), 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    answer(&one, desk_frame(&d, &robot, DESK_FAR));
    desk_frame(&d, &robot, 1);
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
    end(&one);
}

int main(void)
{
#define EXACT(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        EXACT(the_deadline_is_exact),
        EXACT(no_frame_waits_longer_than_a_minute),
        EXACT(a_result_in_the_last_moment_counts),
        EXACT(it_wakes_for_the_first_thing_due),
        EXACT(a_checked_result_arrives_as_it_was),
        EXACT(a_safe_verdict_says_nothing_more),
        EXACT(values_arrive_as_they_were),
        EXACT(frames_in_hand_are_inherited),
        EXACT(a_switch_tells_both),
        EXACT(what_a_human_overrules_is_nobodys_fault),
        EXACT(a_fallback_that_was_forced_and_is_gone),
        EXACT(a_lost_runner_latches_nothing),
        EXACT(a_fault_does_not_write_over_a_human),
        EXACT(frames_that_were_overwritten_unseen),
        EXACT(a_wild_number_costs_little),
        EXACT(nobody_is_charged_where_nobody_answers),
        EXACT(a_frame_is_stale_when_its_picture_is_gone),
        EXACT(the_guards_list_goes_round_too),
        EXACT(the_same_picture_again_and_again),
        EXACT(age_is_counted_until_it_was_handed_over),
        EXACT(a_result_that_changes_under_the_eye),
        EXACT(results_that_are_not_there),
        EXACT(a_run_takes_no_longer_than_the_frame_is_old),
        EXACT(each_status_has_its_reason),
        EXACT(a_result_nobody_asked_for),
        EXACT(latencies_fall_into_their_buckets),
        EXACT(the_status_says_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
