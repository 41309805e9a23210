/* To the nanosecond and to the last counter: when a frame's time is up, who is charged with it, what its verdict says. The clock is
 * the test's (guard/desk.h). */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/desk.h"

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

/* ---- time ---- */

/* The verdict comes in the first nanosecond after the deadline, whatever numbers the program writes into its frame: never
 * later than a minute, never later than the release's own time. */
static void the_deadline_is_exact(void **state)
{
    static const int64_t off[] = {0, 1, 20 * DESK_MS, 60000 * DESK_MS, 90000 * DESK_MS, -1, -20 * DESK_MS};
    static const int64_t wild[] = {INT64_MIN, INT64_MAX, 0, -1, 1};
    const struct ctl_limits limits = {.deadline_us = 50000, .max_detections = 4, .label_count = 3};
    serve_with(&d.one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    enum { KINDS = ARRAY_LEN(off) + ARRAY_LEN(wild) };
    for (size_t i = 0; i < KINDS * KINDS; i++) {
        int64_t now_ns = testbed_clock();
        size_t a = i / KINDS, b = i % KINDS;
        int64_t capture_ns = a < ARRAY_LEN(off) ? now_ns + off[a] : wild[a - ARRAY_LEN(off)];
        int64_t deadline_ns = b < ARRAY_LEN(off) ? now_ns + off[b] : wild[b - ARRAY_LEN(off)];
        uint64_t seq = desk_submit(&d.robot, capture_ns, deadline_ns, 0, (uint8_t)i);
        guard_frames_scan(d.guard, now_ns);
        int64_t taken_ns = MAX(MIN(capture_ns, now_ns), 0),
                due_ns = MIN(MAX(deadline_ns, 0), taken_ns + 50 * DESK_MS);
        if (due_ns >= now_ns) {
            desk_pass(&d, due_ns - now_ns);
            assert_null(desk_verdict(&d.robot, seq));
            desk_pass(&d, 1);
        }
        desk_settle(&d);
        desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
        assert_int_equal(desk_verdict(&d.robot, seq)->decided_ns, MAX(due_ns + 1, now_ns));
    }
    assert_int_equal(counters(1)->frames, KINDS * KINDS);
    assert_int_equal(counters(1)->lost, KINDS * KINDS);
    assert_int_equal(counters(1)->interventions[INTERVENED_DEADLINE], KINDS * KINDS);
    end(&d.one);
}

static void no_frame_waits_longer_than_a_minute(void **state)
{
    desk_pair_up(&d);
    int64_t now_ns = testbed_clock();
    struct ctl_limits none = desk_limits;
    assert_int_equal(none.deadline_us, 60000000);
    uint64_t seq = desk_submit(&d.robot, now_ns, INT64_MAX, 0, 1);
    guard_frames_scan(d.guard, now_ns);
    assert_int_equal(guard_next_deadline_ns(d.guard), now_ns + 60000 * DESK_MS);
    desk_jump(&d, 60000 * DESK_MS);
    assert_null(desk_verdict(&d.robot, seq));
    desk_jump(&d, 1);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
    desk_part(&d);
}

static void a_result_in_the_last_moment_counts(void **state)
{
    desk_pair_up(&d);
    for (int64_t late_ns = 0; late_ns < 2; late_ns++) {
        uint64_t seq = desk_frame(&d, &d.robot, 10 * DESK_MS);
        testbed_clock_set(testbed_clock() + 10 * DESK_MS + late_ns);
        desk_answer(&d, &d.one, seq);
        if (late_ns)
            desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
        else
            desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
        assert_int_equal(counters(1)->results, 1);
        assert_int_equal(counters(1)->lost, late_ns);
        assert_int_equal(d.guard->checked, 1);
        assert_int_equal(d.guard->safe, late_ns);
    }
    desk_part(&d);
}

/* The guard sleeps exactly until the first of: a deadline, the end of a lease, its tick. */
static void it_wakes_for_the_first_thing_due(void **state)
{
    desk_pair_up(&d);
    assert_int_equal(guard_next_deadline_ns(d.guard), INT64_MAX);
    uint64_t seq = desk_frame(&d, &d.robot, 7 * DESK_MS);
    desk_frame(&d, &d.robot, 9 * DESK_MS);
    d.guard->next_tick_ns = testbed_clock() + 50 * DESK_MS;
    desk_settle(&d);
    assert_int_equal(testbed_slept_ns(), 7 * DESK_MS);
    desk_answer(&d, &d.one, seq);
    assert_int_equal(testbed_slept_ns(), 9 * DESK_MS);
    desk_answer(&d, &d.one, seq + 1);
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
    desk_part(&d);
}

/* ---- what a verdict says ---- */

static void a_checked_result_arrives_as_it_was(void **state)
{
    desk_pair_up(&d);
    for (uint32_t count = 0; count <= 4; count++) {
        uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
        struct ring_result result = desk_result(&d, &d.one, seq);
        result.count = count;
        result.detections[2] = result.detections[3] = result.detections[0];
        result.started_ns = 11;
        result.finished_ns = 22;
        result.run_ns = 3 * DESK_MS;
        testbed_clock_set(testbed_clock() + 5 * DESK_MS);
        desk_say(&d, &d.one, &result);
        desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
        const struct ring_verdict *verdict = desk_verdict(&d.robot, seq);
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
    desk_part(&d);
}

static void a_safe_verdict_says_nothing_more(void **state)
{
    desk_pair_up(&d);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &d.one, seq);
    seq = desk_frame(&d, &d.robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &d.one, seq);
    result.count = 5;
    desk_say(&d, &d.one, &result);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_TOO_MANY, 1);
    const struct ring_verdict *verdict = desk_verdict(&d.robot, seq);
    assert_int_equal(verdict->count, 0);
    assert_int_equal(verdict->run_ns, 0);
    assert_int_equal(verdict->started_ns, 0);
    assert_int_equal(verdict->finished_ns, 0);
    assert_int_equal(verdict->kind, RING_DETECTIONS);
    desk_part(&d);
}

static void values_arrive_as_they_were(void **state)
{
    for (uint32_t count = 1; count <= 5; count++) {
        const struct ctl_limits limits = {
            .deadline_us = 1000000, .value_count = count, .value_min = -1, .value_max = 1};
        serve_with(&d.one, count, &limits);
        assert_int_equal(desk_order(&d, CTL_ACTIVATE, count, 0, 0), 0);
        uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
        struct ring_result result = {
            .seq = seq, .stream = d.robot.stream, .generation = count, .kind = RING_VALUES, .count = count};
        for (uint32_t i = 0; i < count; i++)
            result.values[i] = 0.125f * (float)i;
        desk_say(&d, &d.one, &result);
        desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, count);
        const struct ring_verdict *verdict = desk_verdict(&d.robot, seq);
        assert_int_equal(verdict->kind, RING_VALUES);
        assert_int_equal(verdict->count, count);
        assert_int_equal(verdict->max_detections, count);
        assert_memory_equal(verdict->values, result.values, count * sizeof(float));
        assert_int_equal(counters(count)->results, 1);
        assert_int_equal(counters(count)->detections, 0);
        assert_int_equal(desk_order(&d, CTL_RETIRE, count, 0, 0), 0);
        end(&d.one);
    }
}

/* ---- who is charged with it ---- */

/* The primary dies with two frames in hand: the fallback inherits them, and is told from which one on. */
static void frames_in_hand_are_inherited(void **state)
{
    desk_pair_up(&d);
    uint64_t done = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &d.one, done);
    uint64_t first = desk_frame(&d, &d.robot, DESK_FAR), second = desk_frame(&d, &d.robot, DESK_FAR);
    desk_settle(&d);
    struct ring_control page = desk_page(&d.one);
    assert_int_equal(page.mode, RING_MODE_ACTIVE);
    assert_int_equal(page.stream, d.robot.stream);
    assert_int_equal(page.from_seq, 1);
    assert_int_equal(page.until_seq, UINT64_MAX);
    assert_int_equal(page.flags, 0);
    end(&d.one);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    page = desk_page(&d.two);
    assert_int_equal(page.mode, RING_MODE_ACTIVE);
    assert_int_equal(page.from_seq, first);
    desk_answer(&d, &d.two, second);
    desk_expect(&d, second, RING_VERDICT_FALLBACK, INTERVENED_RUNNER_LOST, 2);
    desk_answer(&d, &d.two, first);
    desk_expect(&d, first, RING_VERDICT_FALLBACK, INTERVENED_RUNNER_LOST, 2);
    assert_int_equal(counters(1)->frames, 3);
    assert_int_equal(counters(1)->lost, 0);
    assert_int_equal(counters(1)->interventions[INTERVENED_RUNNER_LOST], 2);
    assert_int_equal(counters(2)->frames, 2);
    assert_int_equal(counters(2)->results, 2);
    assert_int_equal(desk_slot(&d, 1)->restarts, 1);
    uint64_t own = desk_frame(&d, &d.robot, DESK_FAR);
    end(&d.two);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    desk_expect(&d, own, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 2);
    assert_int_equal(counters(2)->lost, 1);
    /* Nobody is left: the one that was to answer is charged. */
    own = desk_frame(&d, &d.robot, DESK_FAR);
    desk_expect(&d, own, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 1);
    assert_int_equal(counters(1)->frames, 4);
    assert_int_equal(counters(1)->lost, 1);
    assert_int_equal(d.guard->safe, 2);
    assert_int_equal(d.guard->checked, 3);
    assert_int_equal(d.guard->overridden, 0);
}

static void a_switch_tells_both(void **state)
{
    desk_pair_up(&d);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 0), 0);
    struct ring_control old = desk_page(&d.one), new = desk_page(&d.two);
    assert_int_equal(old.mode, RING_MODE_IDLE);
    assert_int_equal(old.until_seq, seq);
    assert_int_equal(new.mode, RING_MODE_ACTIVE);
    assert_int_equal(new.from_seq, seq + 1);
    desk_answer(&d, &d.one, seq); /* it had that one in hand */
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    desk_answer(&d, &d.two, seq = desk_frame(&d, &d.robot, DESK_FAR));
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 2);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 0), 0); /* again: nothing changes */
    assert_int_equal(ring_newest(&d.two.control), 1);
    /* One result that was under way when it was told is excused, the next is not. */
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    desk_answer(&d, &d.two, seq + 1);
    assert_int_equal(counters(2)->interventions[INTERVENED_SEQUENCE], 0);
    desk_answer(&d, &d.two, seq + 1);
    assert_int_equal(counters(2)->interventions[INTERVENED_SEQUENCE], 1);
    desk_answer(&d, &d.one, seq + 1); /* no such frame yet */
    assert_int_equal(counters(1)->interventions[INTERVENED_SEQUENCE], 1);
    desk_part(&d);
}

static void what_a_human_overrules_is_nobodys_fault(void **state)
{
    uint64_t seq;
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0), 0);
    seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_OVERSIGHT, 0);
    assert_int_equal(d.guard->overridden, 0); /* nobody was there who could have answered */
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RELEASE, 0, 0), 0);
    desk_pair_up(&d);
    seq = desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0), 0);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_OVERSIGHT, 0);
    assert_int_equal(d.guard->overridden, 1);
    assert_int_equal(counters(1)->frames, 1);
    assert_int_equal(counters(1)->lost, 0);
    assert_int_equal(counters(1)->interventions[INTERVENED_OVERSIGHT], 1);
    desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(d.guard->overridden, 2);
    assert_int_equal(counters(1)->frames, 1);
    end(&d.one);
    desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(d.guard->overridden, 3); /* the fallback could have */
    end(&d.two);
    desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(d.guard->overridden, 3);
    assert_int_equal(d.guard->safe, 5);
}

/* Forced to a fallback that is not there: that one is charged, not the primary that nobody wants. */
static void a_fallback_that_was_forced_and_is_gone(void **state)
{
    desk_pair_up(&d);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_FALLBACK, 0, 0), 0);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &d.two, seq);
    desk_expect(&d, seq, RING_VERDICT_FALLBACK, INTERVENED_OVERSIGHT, 2);
    end(&d.two);
    seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 2);
    assert_int_equal(counters(2)->frames, 2);
    assert_int_equal(counters(2)->lost, 1);
    assert_int_equal(counters(1)->frames, 0);
    end(&d.one);
}

/* Only frames that somebody was meant to answer count towards a latch. */
static void a_lost_runner_latches_nothing(void **state)
{
    struct ctl_limits limits = desk_limits;
    limits.latch_after = 2;
    serve_with(&d.one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    end(&d.one);
    for (int i = 0; i < 5; i++)
        desk_frame(&d, &d.robot, DESK_FAR);
    desk_settle(&d);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    serve_with(&d.one, 1, &limits);
    desk_frame(&d, &d.robot, 1);
    desk_pass(&d, 2);
    assert_int_equal(d.guard->state, GUARD_AUTO);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &d.one, seq); /* a good one in between */
    desk_frame(&d, &d.robot, 1);
    desk_pass(&d, 2);
    assert_int_equal(d.guard->state, GUARD_AUTO);
    desk_frame(&d, &d.robot, 1);
    desk_pass(&d, 2);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    assert_string_equal(d.guard->who, "guard");
    assert_non_null(strstr(d.guard->reason, "too many frames"));
    end(&d.one);
}

/* In a row means in a row: a good one in between begins anew. */
static void a_good_frame_begins_anew(void **state)
{
    struct ctl_limits limits = desk_limits;
    limits.latch_after = 3;
    serve_with(&d.one, 1, &limits);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    static const char lives[] = "bgbbgbbgbgbbb";
    for (size_t i = 0; lives[i]; i++) {
        assert_int_equal(d.guard->state, GUARD_AUTO);
        uint64_t seq = desk_frame(&d, &d.robot, DESK_MS);
        if (lives[i] == 'g')
            desk_answer(&d, &d.one, seq);
        desk_pass(&d, 2 * DESK_MS);
    }
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    end(&d.one);
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
    desk_pair_up(&d);
    for (int i = 0; i < RING_SLOTS + 3; i++)
        desk_submit(&d.robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 0);
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(counters(1)->frames, RING_SLOTS + 3);
    assert_int_equal(counters(1)->lost, 3);
    assert_int_equal(counters(1)->interventions[INTERVENED_STALE], 3);
    assert_int_equal(d.guard->safe, 3);
    assert_int_equal(d.guard->stream.seen, RING_SLOTS + 3);
    desk_answer(&d, &d.one, 4);
    desk_expect(&d, 4, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    for (int i = 0; i < RING_SLOTS; i++) /* exactly as many as it holds: none is lost */
        desk_submit(&d.robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 0);
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(counters(1)->lost, 3);
    desk_part(&d);
}

/* The number is the program's word. */
static void a_wild_number_costs_little(void **state)
{
    desk_pair_up(&d);
    set_newest(&d.robot.frames, 1ull << 40);
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(d.guard->stream.seen, 1ull << 40);
    assert_int_equal(counters(1)->frames, 1000 + RING_SLOTS);
    assert_int_equal(counters(1)->lost, 1000);
    assert_int_equal(d.guard->safe, 1000);
    desk_settle(&d); /* the rest is not there: their time was up when they were seen */
    assert_int_equal(d.guard->safe, 1000 + RING_SLOTS);
    assert_int_equal(counters(1)->interventions[INTERVENED_DEADLINE], RING_SLOTS);
    desk_expect(&d, 1ull << 40, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
    set_newest(&d.robot.frames, 5); /* backwards: nothing */
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(d.guard->stream.seen, 1ull << 40);
    desk_part(&d);
}

static void nobody_is_charged_where_nobody_answers(void **state)
{
    for (int i = 0; i < RING_SLOTS + 2; i++)
        desk_submit(&d.robot, testbed_clock(), testbed_clock() + DESK_FAR, 0, 0);
    guard_frames_scan(d.guard, testbed_clock());
    assert_int_equal(d.guard->safe, RING_SLOTS + 2);
    desk_expect(&d, RING_SLOTS + 2, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 0);
}

/* A frame that nobody answers while the ring goes round once is stale: its picture is gone. */
static void a_frame_is_stale_when_its_picture_is_gone(void **state)
{
    desk_pair_up(&d);
    uint64_t first = desk_frame(&d, &d.robot, DESK_FAR);
    for (uint64_t i = 1; i < RING_SLOTS; i++)
        desk_answer(&d, &d.one, desk_frame(&d, &d.robot, DESK_FAR));
    guard_frames_expire(d.guard, testbed_clock());
    assert_null(desk_verdict(&d.robot, first));
    uint64_t last = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &d.one, last); /* into the same place of the verdicts */
    guard_frames_expire(d.guard, testbed_clock());
    assert_int_equal(counters(1)->interventions[INTERVENED_STALE], 1);
    assert_int_equal(d.guard->safe, 1);
    desk_expect(&d, last, RING_VERDICT_OK, INTERVENTION_COUNT, 1); /* the newer verdict stands */
    desk_part(&d);
}

/* The first place of the guard's list is as good as any other: frame 64 sits there. */
static void the_first_place_is_looked_at_too(void **state)
{
    for (int act = 0; act < 4; act++) {
        desk_pair_up(&d);
        d.guard->stream.seen = d.robot.seq = GUARD_PENDING - 1;
        uint64_t seq = desk_frame(&d, &d.robot, 20 * DESK_MS);
        assert_int_equal(seq, GUARD_PENDING);
        assert_int_equal(guard_next_deadline_ns(d.guard), testbed_clock() + 20 * DESK_MS);
        if (act == 0) {
            desk_pass(&d, 20 * DESK_MS + 1);
            desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_DEADLINE, 1);
        } else if (act == 1) {
            assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0), 0);
            desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_OVERSIGHT, 0);
            assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RELEASE, 0, 0), 0);
        } else if (act == 2) {
            desk_runner_close(&d, &d.one);
            assert_int_equal(desk_page(&d.two).from_seq, seq);
            desk_answer(&d, &d.two, seq);
            desk_expect(&d, seq, RING_VERDICT_FALLBACK, INTERVENED_RUNNER_LOST, 2);
        }
        desk_runner_close(&d, &d.one);
        desk_runner_close(&d, &d.two);
        desk_robot_close(&d, &d.robot);
        desk_robot_open(&d, &d.robot);
    }
}

/* With a ring as large as the guard's own list: what is still open when its place is needed is stale. */
static void the_guards_list_goes_round_too(void **state)
{
    desk_robot_close(&d, &d.robot);
    assert_true(desk_robot_try(&d, &d.robot, RING_MAX_SLOTS));
    desk_pair_up(&d);
    for (int i = 0; i < GUARD_PENDING; i++)
        desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(d.guard->safe, 0);
    desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(d.guard->safe, 1);
    assert_int_equal(counters(1)->interventions[INTERVENED_STALE], 1);
    desk_expect(&d, 1, RING_VERDICT_SAFE, INTERVENED_STALE, 1);
    for (uint64_t seq = 2; seq <= GUARD_PENDING + 1; seq++) {
        desk_answer(&d, &d.one, seq);
        desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    }
    desk_part(&d);
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
        EXACT(a_good_frame_begins_anew),
        EXACT(a_fault_does_not_write_over_a_human),
        EXACT(frames_that_were_overwritten_unseen),
        EXACT(a_wild_number_costs_little),
        EXACT(nobody_is_charged_where_nobody_answers),
        EXACT(a_frame_is_stale_when_its_picture_is_gone),
        EXACT(the_first_place_is_looked_at_too),
        EXACT(the_guards_list_goes_round_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
