/* What flows besides detections: values, frames of floats, what only a sequence shows, shadows, ends of sequences. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/guard/harness.h"
#include "robot/link/link.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { LONG_MS = 20000, FLOATS = 24, VALUES = 5 };

static struct harness h;

static int setup(void **state)
{
    harness_open(&h, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    harness_sweep(&h);
    return 0;
}

static const struct ctl_limits boxes = {
    .deadline_us = 60000000, .max_detections = 4, .label_count = 3, .min_score = 0.25f};
static const struct ctl_limits numbers = {
    .deadline_us = 60000000, .value_count = VALUES, .value_min = -1, .value_max = 1};

static void admit(uint64_t generation, const struct ctl_limits *limits)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_ADMIT);
    message.generation = generation;
    message.release = harness_release(generation);
    message.limits = *limits;
    assert_ok(ctl_call(h.agent, &message, PATIENCE_MS, &err), err);
}

static void start_puppet(struct puppet *p, const struct ctl_limits *limits)
{
    puppet_open(p, &h, 1);
    admit(1, limits);
    harness_activate(&h, 1, 0);
    if (!h.robot)
        harness_robot(&h);
    puppet_take_stream(p);
}

static void robot_of_floats(void)
{
    struct muster_options options = {.run_dir = h.dir, .floats = FLOATS, .spin = 1};
    char why[MUSTER_TEXT_SIZE];
    assert_int_equal(muster_open(&options, &h.robot, why), 0);
    assert_true(muster_connected(h.robot));
}

static uint64_t send_floats(uint32_t deadline_ms)
{
    float *to = muster_values_begin(h.robot);
    for (int i = 0; i < FLOATS; i++)
        to[i] = (float)i;
    return muster_frame_submit(h.robot, 0, deadline_ms * 1000);
}

static struct ring_result values_for(const struct puppet *p, uint64_t seq)
{
    struct ring_result result = {.seq = seq,
                                 .stream = p->stream,
                                 .generation = p->generation,
                                 .run_ns = 1000,
                                 .kind = RING_VALUES,
                                 .count = VALUES};
    for (int i = 0; i < VALUES; i++)
        result.values[i] = 0.1f * (float)i;
    return result;
}

static enum muster_answer answer(struct puppet *p, const struct ring_result *result,
                                 struct muster_verdict *out)
{
    puppet_say(p, result);
    return frame_wait(&h, result->seq, out);
}

static void values_are_checked_and_given_out(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    robot_of_floats();
    start_puppet(&p, &numbers);
    uint64_t seq = send_floats(LONG_MS);
    struct ring_result result = values_for(&p, seq);
    const struct ring_frame *head;
    while (!(head = ring_peek(&p.frames, seq)))
        poll(NULL, 0, 1);
    assert_int_equal(head->format, RING_FLOAT32);
    assert_int_equal(head->pixel_bytes, FLOATS * sizeof(float));
    assert_int_equal((uintptr_t)(head + 1) % 64, 0);
    assert_int_equal(answer(&p, &result, &verdict), MUSTER_OK);
    assert_int_equal(verdict.value_count, VALUES);
    assert_int_equal(verdict.count, 0);
    assert_memory_equal(verdict.values, result.values, VALUES * sizeof(float));

    static const struct {
        uint32_t kind, count;
        float last;
        enum muster_reason reason;
    } spoilt[] = {{RING_VALUES, VALUES, 1.5f, MUSTER_REASON_RANGE},
                  {RING_VALUES, VALUES, __builtin_nanf(""), MUSTER_REASON_NOT_FINITE},
                  {RING_VALUES, VALUES - 1, 0, MUSTER_REASON_RANGE},
                  {RING_VALUES, VALUES + 1, 0, MUSTER_REASON_TOO_MANY},
                  {RING_VALUES, UINT32_MAX, 0, MUSTER_REASON_TOO_MANY},
                  {RING_DETECTIONS, 1, 0, MUSTER_REASON_RANGE},
                  {RING_DETECTIONS, UINT32_MAX, 0, MUSTER_REASON_TOO_MANY},
                  {2, VALUES, 0, MUSTER_REASON_OTHER}};
    for (size_t i = 0; i < ARRAY_LEN(spoilt); i++) {
        result = values_for(&p, send_floats(LONG_MS));
        result.kind = spoilt[i].kind;
        result.count = spoilt[i].count;
        result.values[VALUES - 1] = spoilt[i].last;
        assert_int_equal(answer(&p, &result, &verdict), MUSTER_SAFE);
        assert_int_equal(verdict.reason, spoilt[i].reason);
        assert_int_equal(verdict.value_count, 0);
    }
    puppet_close(&p);
}

/* The whole room: 768 values, an odd number of them too. */
static void all_the_room_is_usable(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, RING_MAX_VALUES - 1, RING_MAX_VALUES};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct puppet p;
        struct muster_verdict verdict;
        struct ctl_limits limits = numbers;
        struct err err = {0};
        limits.value_count = counts[i];
        if (!h.robot)
            robot_of_floats();
        start_puppet(&p, &limits);
        struct ring_result result = values_for(&p, send_floats(LONG_MS));
        result.count = counts[i];
        for (uint32_t v = 0; v < counts[i]; v++)
            result.values[v] = (float)v / 1000;
        assert_int_equal(answer(&p, &result, &verdict), MUSTER_OK);
        assert_memory_equal(verdict.values, result.values, counts[i] * sizeof(float));
        assert_ok(harness_order(&h, CTL_RETIRE, 1, 0, &err), err);
        puppet_close(&p);
    }
}

static void a_value_that_moves_too_fast_is_not_passed_on(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    struct ctl_limits limits = numbers;
    limits.max_rate = 0.001f;
    robot_of_floats();
    start_puppet(&p, &limits);
    struct ring_result result = values_for(&p, send_floats(LONG_MS));
    assert_int_equal(answer(&p, &result, &verdict), MUSTER_OK);
    result = values_for(&p, send_floats(LONG_MS));
    result.values[0] = 0.9f;
    assert_int_equal(answer(&p, &result, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_RATE);
    result = values_for(&p, send_floats(LONG_MS));
    assert_int_equal(answer(&p, &result, &verdict), MUSTER_OK);
    puppet_close(&p);
}

/* frame_send writes the same picture every time. */
static void a_frozen_camera_is_noticed(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    struct ctl_limits limits = boxes;
    limits.frozen_frames = 3;
    start_puppet(&p, &limits);
    int ok = 0, frozen = 0;
    for (int i = 0; i < 6; i++) {
        struct ring_result result = puppet_result(&p, frame_send(&h, LONG_MS));
        ok += answer(&p, &result, &verdict) == MUSTER_OK;
        frozen += verdict.reason == MUSTER_REASON_FROZEN;
    }
    assert_int_equal(ok + frozen, 6);
    assert_true(ok >= 2 && frozen >= 3);
    memset(muster_frame_begin(h.robot), 99, 10);
    uint64_t seq = muster_frame_submit(h.robot, 0, LONG_MS * 1000);
    struct ring_result result = puppet_result(&p, seq);
    assert_int_equal(answer(&p, &result, &verdict), MUSTER_OK);
    puppet_close(&p);
}

static void an_old_frame_is_stale_at_once(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    struct ctl_limits limits = boxes;
    limits.max_age_us = 1000000;
    start_puppet(&p, &limits);
    muster_frame_begin(h.robot);
    uint64_t seq = muster_frame_submit(h.robot, muster_now_ns() - 5000000000, 60000000);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_STALE);
    seq = frame_send(&h, LONG_MS); /* how long the model takes is not the frame's age */
    poll(NULL, 0, 1100);
    struct ring_result result = puppet_result(&p, seq);
    assert_int_equal(answer(&p, &result, &verdict), MUSTER_OK);
    puppet_close(&p);
}

static void degraded_is_told(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    puppet_open_as(&p, &h, 1, 1, "an engine, cpu");
    harness_admit(&h, 1);
    harness_activate(&h, 1, 0);
    harness_robot(&h);
    puppet_take_stream(&p);
    struct ring_result result = puppet_result(&p, frame_send(&h, LONG_MS));
    assert_int_equal(answer(&p, &result, &verdict), MUSTER_OK);
    assert_int_equal(verdict.state, MUSTER_STATE_DEGRADED);
    struct ctl_runner_status status = harness_runner(&h, 1);
    assert_true(status.degraded);
    assert_string_equal(status.backend, "an engine, cpu");
    puppet_close(&p);
}

/* ---- shadows ---- */

static int shadow(uint64_t generation, uint32_t count)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_SHADOW);
    message.generation = generation;
    message.count = count;
    return ctl_call(h.agent, &message, PATIENCE_MS, &err) < 0 ? (int)err.code : 0;
}

static void until_mode(const struct puppet *p, enum ring_mode mode)
{
    struct ring_control page = {0};
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    do
        (void)ring_read(&p->control, ring_newest(&p->control), &page, sizeof page);
    while (page.mode != mode && harness_now_ms() < until_ms);
    assert_int_equal(page.mode, mode);
}

static void a_shadow_is_compared_and_never_used(void **state)
{
    struct puppet old, new;
    struct muster_verdict verdict;
    start_puppet(&old, &boxes);
    assert_int_equal(shadow(2, 5), ERR_CONFLICT);
    assert_int_equal(shadow(1, 5), ERR_CONFLICT);
    puppet_open(&new, &h, 2);
    harness_admit(&h, 2);
    puppet_take_stream(&new);
    assert_int_equal(shadow(2, 5), 0);
    until_mode(&new, RING_MODE_SHADOW);
    for (int i = 0; i < 5; i++) {
        uint64_t seq = frame_send(&h, LONG_MS);
        struct ring_result one = puppet_result(&old, seq), two = puppet_result(&new, seq);
        two.shadow = 1;
        if (i == 1)
            two.count = 1; /* says something else */
        if (i == 2)
            two.detections[0].score = 7; /* not sound */
        if (i % 2) {                     /* whichever comes first */
            puppet_say(&new, &two);
            puppet_say(&new, &two); /* twice counts once */
        }
        assert_int_equal(answer(&old, &one, &verdict), MUSTER_OK);
        assert_int_equal(verdict.generation, 1);
        if (i % 2 == 0)
            puppet_say(&new, &two);
        harness_until(&h, status,
                      status.runners[1].shadow_frames + status.runners[1].shadow_failed == (uint64_t)i + 1);
    }
    struct ctl_runner_status status = harness_runner(&h, 2);
    assert_int_equal(status.shadow_frames, 4);
    assert_int_equal(status.shadow_agreed, 3);
    assert_int_equal(status.shadow_failed, 1);
    assert_int_equal(status.shadow_left, 0);
    for (int i = 0; i < INTERVENTION_COUNT; i++)
        assert_int_equal(status.counters.interventions[i], 0);
    assert_int_equal(status.counters.frames, 0);
    until_mode(&new, RING_MODE_IDLE);
    puppet_close(&old);
    puppet_close(&new);
}

static struct ring_result shadow_result(const struct puppet *p, uint64_t seq)
{
    struct ring_result result = puppet_result(p, seq);
    result.shadow = 1;
    return result;
}

/* What cannot be compared counts neither for nor against it; nobody is shadowed by two, and 0 frames is the end. */
static void only_what_compares_counts(void **state)
{
    struct puppet old, new, third;
    struct muster_verdict verdict;
    start_puppet(&old, &boxes);
    puppet_open(&new, &h, 2);
    puppet_open(&third, &h, 3);
    harness_admit(&h, 2);
    puppet_take_stream(&new);
    assert_int_equal(shadow(3, 5), ERR_CONFLICT); /* not admitted */
    harness_admit(&h, 3);
    assert_int_equal(shadow(1, 0), 0); /* it is none, and no more now */
    assert_int_equal(shadow(3, 5), 0);
    until_mode(&third, RING_MODE_SHADOW);
    assert_int_equal(shadow(2, 5), 0);
    until_mode(&third, RING_MODE_IDLE);
    until_mode(&new, RING_MODE_SHADOW);

    uint64_t first = frame_send(&h, LONG_MS);
    struct ring_result nonsense = shadow_result(&new, first + 7), result = shadow_result(&new, first);
    puppet_say(&new, &nonsense); /* no such frame */
    nonsense = result;
    nonsense.generation = 3;
    puppet_say(&new, &nonsense); /* not its own name */
    nonsense = result;
    nonsense.status = RING_RESULT_STALE;
    puppet_say(&new, &nonsense); /* overtaken */
    result = puppet_result(&old, first);
    result.count = 100;
    assert_int_equal(answer(&old, &result, &verdict), MUSTER_SAFE);
    uint64_t second = frame_send(&h, LONG_MS);
    result = shadow_result(&new, second); /* of the first there is nothing to compare with */
    result.count = 100;
    puppet_say(&new, &result);
    harness_until(&h, status, status.runners[1].shadow_failed == 1);
    result = puppet_result(&old, second);
    assert_int_equal(answer(&old, &result, &verdict), MUSTER_OK);
    for (int i = 0; i < 2 * RING_SLOTS; i++) {
        result = puppet_result(&old, frame_send(&h, LONG_MS));
        assert_int_equal(answer(&old, &result, &verdict), MUSTER_OK);
    }
    result = shadow_result(&new, second + 1); /* its verdict is gone from the page */
    puppet_say(&new, &result);
    uint64_t pending = frame_send(&h, LONG_MS);
    result = shadow_result(&new, pending);
    puppet_say(&new, &result);
    assert_int_equal(shadow(2, 0), 0); /* the end, before there was a verdict */
    until_mode(&new, RING_MODE_IDLE);
    result = puppet_result(&old, pending);
    assert_int_equal(answer(&old, &result, &verdict), MUSTER_OK);
    result = shadow_result(&new, pending); /* one more that was under way */
    puppet_say(&new, &result);
    struct ctl_runner_status status = harness_runner(&h, 2);
    assert_int_equal(status.shadow_frames, 0);
    assert_int_equal(status.shadow_failed, 1);
    for (int i = 0; i < INTERVENTION_COUNT; i++)
        assert_int_equal(status.counters.interventions[i], 0);
    puppet_close(&old);
    puppet_close(&new);
    puppet_close(&third);
}

/* A runner that nobody admitted: it may be there, and its word counts for nothing. */
static void a_stranger_says_nothing(void **state)
{
    struct puppet p, stranger;
    struct muster_verdict verdict;
    start_puppet(&p, &boxes);
    puppet_open(&stranger, &h, 2);
    puppet_take_stream(&stranger);
    uint64_t seq = frame_send(&h, LONG_MS);
    struct ring_result result = puppet_result(&stranger, seq);
    puppet_say(&stranger, &result);
    harness_until(&h, status, status.runners[1].counters.interventions[INTERVENED_SEQUENCE] == 1);
    result = puppet_result(&p, seq);
    assert_int_equal(answer(&p, &result, &verdict), MUSTER_OK);
    assert_int_equal(verdict.generation, 1);
    puppet_close(&stranger);
    puppet_close(&p);
}

/* The frame that it had in hand as a shadow is the first one given to it: its result is the answer. */
static void a_switch_in_the_middle_of_shadowing_loses_nothing(void **state)
{
    struct puppet old, new;
    struct muster_verdict verdict;
    start_puppet(&old, &boxes);
    puppet_open(&new, &h, 2);
    harness_admit(&h, 2);
    puppet_take_stream(&new);
    assert_int_equal(shadow(2, 100), 0);
    harness_activate(&h, 2, 1);
    until_mode(&new, RING_MODE_ACTIVE);
    struct ring_result result = puppet_result(&new, frame_send(&h, LONG_MS));
    result.shadow = 1; /* it had not looked at its page yet */
    assert_int_equal(answer(&new, &result, &verdict), MUSTER_OK);
    assert_int_equal(verdict.generation, 2);
    assert_int_equal(harness_runner(&h, 2).shadow_left, 0);
    puppet_close(&old);
    puppet_close(&new);
}

/* Real runners: shadowing beside, then switching, while frames flow; every frame is answered by who is active. */
static void forty_switches_with_shadows_lose_nothing(void **state)
{
    struct muster_verdict verdict;
    pid_t runners[] = {actor_start(&h, 1, ACT_WELL), actor_start(&h, 2, ACT_WELL)};
    harness_admit(&h, 1);
    harness_admit(&h, 2);
    harness_until(&h, status, status.runners[0].connected && status.runners[1].connected);
    harness_activate(&h, 1, 2);
    harness_robot(&h);
    uint64_t active = 1;
    for (int swap = 0; swap < 40; swap++) {
        uint64_t next = 3 - active;
        assert_int_equal(shadow(next, 1000), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_OK);
            assert_int_equal(verdict.generation, active);
        }
        uint64_t in_flight = frame_send(&h, LONG_MS);
        harness_activate(&h, next, active);
        assert_int_equal(frame_wait(&h, in_flight, &verdict), MUSTER_OK);
        active = next;
        assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_OK);
        assert_int_equal(verdict.generation, active);
    }
    struct ctl_runner_status one = harness_runner(&h, 1), two = harness_runner(&h, 2);
    assert_int_equal(one.counters.lost + two.counters.lost, 0);
    assert_int_equal(
        one.counters.interventions[INTERVENED_SEQUENCE] + two.counters.interventions[INTERVENED_SEQUENCE], 0);
    assert_int_equal(one.counters.results + two.counters.results, 40 * 5);
    for (int i = 0; i < 2; i++) {
        kill(runners[i], SIGKILL);
        waitpid(runners[i], NULL, 0);
    }
}

/* ---- ends of sequences ---- */

static void a_switch_waits_for_the_end_of_a_sequence(void **state)
{
    struct puppet old, new;
    struct muster_verdict verdict;
    struct ctl_message message;
    struct err err = {0};
    start_puppet(&old, &boxes);
    puppet_open(&new, &h, 2);
    harness_admit(&h, 2);
    puppet_take_stream(&new);
    ctl_message_init(&message, CTL_ACTIVATE);
    message.generation = 2;
    message.fallback = 1;
    message.count = 1;
    assert_ok(ctl_call(h.agent, &message, PATIENCE_MS, &err), err);
    for (int i = 0; i < 4; i++) {
        if (i == 3)
            muster_sequence_end(h.robot);
        struct ring_result result = puppet_result(&old, frame_send(&h, LONG_MS));
        assert_int_equal(harness_status(&h).active_generation, 1);
        assert_int_equal(answer(&old, &result, &verdict), MUSTER_OK);
        assert_int_equal(verdict.generation, 1); /* the last one of the sequence still is the old one's */
    }
    assert_int_equal(harness_status(&h).active_generation, 2);
    struct ring_result result = puppet_result(&new, frame_send(&h, LONG_MS));
    assert_int_equal(answer(&new, &result, &verdict), MUSTER_OK);
    assert_int_equal(verdict.generation, 2);
    struct ctl_counters one = harness_runner(&h, 1).counters;
    assert_int_equal(one.lost, 0);
    puppet_close(&old);
    puppet_close(&new);
}

static void without_a_program_nothing_waits(void **state)
{
    struct puppet old, new;
    struct ctl_message message;
    struct err err = {0};
    puppet_open(&old, &h, 1);
    puppet_open(&new, &h, 2);
    harness_admit(&h, 1);
    harness_admit(&h, 2);
    harness_activate(&h, 1, 0);
    ctl_message_init(&message, CTL_ACTIVATE);
    message.generation = 2;
    message.count = 1;
    assert_ok(ctl_call(h.agent, &message, PATIENCE_MS, &err), err);
    harness_until(&h, status, status.active_generation == 2);
    puppet_close(&old);
    puppet_close(&new);
}

/* ---- looking out instead of sleeping ---- */

static void a_spinning_guard_is_the_same_guard(void **state)
{
    struct muster_verdict verdict;
    struct ring_control page = {0};
    struct puppet p;
    harness_sweep(&h);
    struct guard_options options = {.spin = true};
    harness_open(&h, &options, NULL);
    struct muster_options robot = {
        .run_dir = h.dir, .width = HARNESS_WIDTH, .height = HARNESS_HEIGHT, .spin = 1};
    char why[MUSTER_TEXT_SIZE];
    assert_int_equal(muster_open(&robot, &h.robot, why), 0);
    pid_t pid = actor_start(&h, 1, ACT_WELL);
    harness_admit(&h, 1);
    harness_until(&h, status, status.runners[0].connected);
    harness_activate(&h, 1, 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_OK);
    puppet_open(&p, &h, 2);
    harness_admit(&h, 2);
    harness_activate(&h, 2, 1);
    until_mode(&p, RING_MODE_ACTIVE);
    assert_true(ring_read(&p.control, ring_newest(&p.control), &page, sizeof page));
    assert_true(page.flags & RING_CONTROL_NO_BELL);
    puppet_take_stream(&p);
    uint64_t seq = frame_send(&h, LONG_MS);
    struct ring_result result = puppet_result(&p, seq);
    assert_true(ring_put(&p.results, ++p.count, &result, sizeof result)); /* and no bell */
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_OK);
    assert_int_equal(frame_wait(&h, frame_send(&h, 5), &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_DEADLINE);
    puppet_close(&p); /* lost, while nobody rings */
    assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_FALLBACK);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_SAFE);
}

static void sync_with_guard(bool asked)
{
    (void)harness_status(&h);
    assert_int_equal(ring_asked(&h.robot->verdicts) == 0, asked);
}

static void expect_safe(uint64_t seq, enum muster_reason reason)
{
    struct muster_verdict verdict;
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, reason);
}

/* The guard looks at frames when a result comes. While none will, it asks to be told; who does not tell is seen all the same. */
static void frames_are_asked_for_while_nobody_answers(void **state)
{
    struct puppet p;
    struct ctl_command command = {.verb = CTL_VERB_HOLD, .who = "ann", .reason = "a test"};
    struct err err = {0};
    harness_robot(&h);
    sync_with_guard(true);
    expect_safe(frame_send(&h, LONG_MS), MUSTER_REASON_RUNNER_LOST);
    start_puppet(&p, &boxes);
    sync_with_guard(false);
    struct ctl_limits shorter = boxes;
    shorter.deadline_us = 100000;
    admit(p.generation, &shorter); /* whoever answers may be held to another deadline */
    sync_with_guard(false);
    assert_int_equal(ring_asked(&h.robot->verdicts), shorter.deadline_us / 2);
    expect_safe(frame_send(&h, LONG_MS), MUSTER_REASON_DEADLINE);
    admit(p.generation, &boxes);
    uint64_t seq = frame_send(&h, LONG_MS);
    assert_ok(ctl_command(h.agent, &command, PATIENCE_MS, NULL, &err), err);
    sync_with_guard(true);
    expect_safe(seq, MUSTER_REASON_OVERSIGHT);
    expect_safe(frame_send(&h, LONG_MS), MUSTER_REASON_OVERSIGHT);
    command.verb = CTL_VERB_RELEASE;
    assert_ok(ctl_command(h.agent, &command, PATIENCE_MS, NULL, &err), err);
    sync_with_guard(false);
    puppet_close(&p);
    harness_until(&h, status, status.state == GUARD_STANDBY);
    sync_with_guard(true);
    (void)muster_frame_begin(h.robot);
    int sock = h.robot->sock;
    h.robot->sock = -1; /* it cannot tell */
    seq = muster_frame_submit(h.robot, 0, LONG_MS * 1000);
    h.robot->sock = sock;
    expect_safe(seq, MUSTER_REASON_RUNNER_LOST);
}

int main(void)
{
#define FLOW_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        FLOW_TEST(frames_are_asked_for_while_nobody_answers),
        FLOW_TEST(values_are_checked_and_given_out),
        FLOW_TEST(all_the_room_is_usable),
        FLOW_TEST(a_value_that_moves_too_fast_is_not_passed_on),
        FLOW_TEST(a_frozen_camera_is_noticed),
        FLOW_TEST(an_old_frame_is_stale_at_once),
        FLOW_TEST(degraded_is_told),
        FLOW_TEST(a_shadow_is_compared_and_never_used),
        FLOW_TEST(only_what_compares_counts),
        FLOW_TEST(a_stranger_says_nothing),
        FLOW_TEST(a_switch_in_the_middle_of_shadowing_loses_nothing),
        FLOW_TEST(forty_switches_with_shadows_lose_nothing),
        FLOW_TEST(a_switch_waits_for_the_end_of_a_sequence),
        FLOW_TEST(without_a_program_nothing_waits),
        FLOW_TEST(a_spinning_guard_is_the_same_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
