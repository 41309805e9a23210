/* Every way in which a runner, a robot program or a stranger may misbehave, and what the guard makes of it.
 */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/guard/harness.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { LONG_MS = 20000 };

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

/* Generation 1 answers, by hand. */
static void start_puppet(struct puppet *p)
{
    puppet_open(p, &h, 1);
    harness_admit(&h, 1);
    harness_activate(&h, 1, 0);
    harness_robot(&h);
    puppet_take_stream(p);
}

static void a_sound_result_reaches_the_program(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    start_puppet(&p);
    uint64_t seq = frame_send(&h, LONG_MS);
    struct ring_result result = puppet_result(&p, seq);
    puppet_say(&p, &result);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_OK);
    assert_int_equal(verdict.reason, MUSTER_REASON_NONE);
    assert_int_equal(verdict.generation, 1);
    struct digest release = harness_release(1);
    struct digest_text text = digest_format(&release);
    assert_string_equal(verdict.release, text.text);
    assert_int_equal(verdict.count, 2);
    assert_memory_equal(verdict.detections, result.detections, 2 * sizeof result.detections[0]);

    muster_score(h.robot, &verdict, 2, 1, 3);
    harness_until(&h, status, status.runners[0].counters.score_frames == 1);
    struct ctl_counters counters = harness_runner(&h, 1).counters;
    assert_int_equal(counters.score_tp, 2);
    assert_int_equal(counters.score_fp, 1);
    assert_int_equal(counters.score_fn, 3);
    assert_int_equal(counters.frames, 1);
    assert_int_equal(counters.results, 1);
    assert_int_equal(counters.lost, 0);
    assert_int_equal(counters.detections, 2);
    uint64_t inferred = 0, framed = 0;
    for (int i = 0; i < CTL_HIST_BUCKETS; i++) {
        inferred += counters.infer_us[i];
        framed += counters.frame_us[i];
    }
    assert_int_equal(inferred, 1);
    assert_int_equal(framed, 1);
    puppet_close(&p);
}

static void spoil_nan(struct ring_result *r)
{
    r->detections[1].x0 = NAN;
}

static void spoil_infinity(struct ring_result *r)
{
    r->detections[0].score = INFINITY;
}

static void spoil_box(struct ring_result *r)
{
    r->detections[1].x1 = HARNESS_WIDTH + 3;
}

static void spoil_label(struct ring_result *r)
{
    r->detections[0].label = 3;
}

static void spoil_score(struct ring_result *r)
{
    r->detections[0].score = 0.2f;
}

static void spoil_count(struct ring_result *r)
{
    r->count = 5;
}

static void spoil_count_wildly(struct ring_result *r)
{
    r->count = UINT32_MAX;
}

static void spoil_stale(struct ring_result *r)
{
    r->status = RING_RESULT_STALE;
}

static void spoil_failed(struct ring_result *r)
{
    r->status = RING_RESULT_FAILED;
}

static void spoil_status(struct ring_result *r)
{
    r->status = 77;
}

static const struct {
    void (*spoil)(struct ring_result *);
    enum muster_reason reason;
} spoilt[] = {
    {spoil_nan, MUSTER_REASON_NOT_FINITE},
    {spoil_infinity, MUSTER_REASON_NOT_FINITE},
    {spoil_box, MUSTER_REASON_RANGE},
    {spoil_label, MUSTER_REASON_RANGE},
    {spoil_score, MUSTER_REASON_RANGE},
    {spoil_count, MUSTER_REASON_TOO_MANY},
    {spoil_count_wildly, MUSTER_REASON_TOO_MANY},
    {spoil_stale, MUSTER_REASON_STALE},
    {spoil_failed, MUSTER_REASON_OTHER},
    {spoil_status, MUSTER_REASON_OTHER},
};

static void a_spoilt_result_means_the_safe_state(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    start_puppet(&p);
    for (size_t i = 0; i < ARRAY_LEN(spoilt); i++) {
        uint64_t before = harness_runner(&h, 1).counters.interventions[spoilt[i].reason];
        uint64_t seq = frame_send(&h, LONG_MS);
        struct ring_result result = puppet_result(&p, seq);
        spoilt[i].spoil(&result);
        puppet_say(&p, &result);
        assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
        assert_int_equal(verdict.reason, spoilt[i].reason);
        assert_int_equal(verdict.count, 0);
        struct ctl_counters counters = harness_runner(&h, 1).counters;
        assert_int_equal(counters.interventions[spoilt[i].reason], before + 1);
        assert_int_equal(counters.lost, i + 1);
        assert_int_equal(counters.results, 0);
    }
    puppet_close(&p);
}

/* Results for other frames, streams and generations count against the runner but spoil nothing. */
static void out_of_sequence_results_change_nothing(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    start_puppet(&p);
    uint64_t seq = frame_send(&h, LONG_MS);
    struct ring_result good = puppet_result(&p, seq), bad[] = {good, good, good, good, good};
    bad[0].seq = seq + 1;
    bad[1].seq = 0;
    bad[2].seq = UINT64_MAX;
    bad[3].stream++;
    bad[4].generation = 2;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        puppet_say(&p, &bad[i]);
    harness_until(&h, status,
                  status.runners[0].counters.interventions[INTERVENED_SEQUENCE] == ARRAY_LEN(bad));
    puppet_say(&p, &good);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_OK);
    puppet_say(&p, &good); /* twice */
    harness_until(&h, status,
                  status.runners[0].counters.interventions[INTERVENED_SEQUENCE] == ARRAY_LEN(bad) + 1);
    assert_int_equal(harness_runner(&h, 1).counters.results, 1);
    puppet_close(&p);
}

static void a_late_result_is_counted_but_not_passed_on(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    start_puppet(&p);
    uint64_t seq = frame_send(&h, 20);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_DEADLINE);
    harness_until(&h, status, status.runners[0].counters.interventions[INTERVENED_DEADLINE] == 1);
    struct ring_result result = puppet_result(&p, seq);
    puppet_say(&p, &result);
    harness_until(&h, status, status.runners[0].counters.infer_sum_us > 0);
    struct ctl_counters counters = harness_runner(&h, 1).counters;
    assert_int_equal(counters.results, 0);
    assert_int_equal(counters.lost, 1);
    assert_int_equal(counters.interventions[INTERVENED_SEQUENCE], 0);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    puppet_close(&p);
}

static void nobody_active_means_safe_at_once(void **state)
{
    struct muster_verdict verdict;
    harness_robot(&h);
    uint64_t seq = frame_send(&h, LONG_MS);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_RUNNER_LOST);
    assert_int_equal(verdict.generation, 0);
    assert_int_equal(harness_status(&h).state, GUARD_STANDBY);
}

static void wait_for_state(enum guard_state want)
{
    harness_until(&h, status, status.state == want);
}

/* Kill -9 of the primary with a frame in flight: the fallback answers that very frame, the primary comes
 * back. */
static void a_crash_falls_back_and_comes_back(void **state)
{
    struct muster_verdict verdict;
    pid_t primary = actor_start(&h, 1, ACT_HANG), spare = actor_start(&h, 2, ACT_WELL);
    harness_admit(&h, 1);
    harness_admit(&h, 2);
    harness_until(&h, status, status.runners[0].connected && status.runners[1].connected);
    harness_activate(&h, 1, 2);
    harness_robot(&h);
    uint64_t seq = frame_send(&h, LONG_MS);
    harness_until(&h, status, status.runners[0].counters.frames == 1);
    kill(primary, SIGKILL);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_FALLBACK);
    assert_int_equal(verdict.generation, 2);
    assert_int_equal(verdict.reason, MUSTER_REASON_RUNNER_LOST);
    wait_for_state(GUARD_FALLBACK);
    struct ctl_runner_status lost = harness_runner(&h, 1);
    assert_int_equal(lost.restarts, 1);
    assert_int_equal(lost.counters.interventions[INTERVENED_RUNNER_LOST], 1);
    waitpid(primary, NULL, 0);
    primary = actor_start(&h, 1, ACT_WELL);
    wait_for_state(GUARD_AUTO);
    seq = frame_send(&h, LONG_MS);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_OK);
    assert_int_equal(verdict.generation, 1);
    assert_int_equal(harness_runner(&h, 1).counters.frames, 2); /* counters survive their runner */
    kill(primary, SIGKILL);
    kill(spare, SIGKILL);
    waitpid(primary, NULL, 0);
    waitpid(spare, NULL, 0);
    wait_for_state(GUARD_STANDBY);
    seq = frame_send(&h, LONG_MS);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_RUNNER_LOST);
}

static void a_hung_runner_is_killed(void **state)
{
    struct muster_verdict verdict;
    pid_t primary = actor_start(&h, 1, ACT_HANG_AT_FRAME_3), spare = actor_start(&h, 2, ACT_WELL);
    harness_admit(&h, 1);
    harness_admit(&h, 2);
    harness_until(&h, status, status.runners[0].connected && status.runners[1].connected);
    harness_activate(&h, 1, 2);
    harness_robot(&h);
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    int answers[4] = {0};
    while (answers[MUSTER_FALLBACK] == 0 && harness_now_ms() < until_ms)
        answers[frame_wait(&h, frame_send(&h, 10), &verdict)]++;
    assert_true(answers[MUSTER_FALLBACK] > 0);
    int status = 0;
    assert_int_equal(waitpid(primary, &status, 0), primary);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct ctl_runner_status lost = harness_runner(&h, 1);
    assert_true(lost.hung);
    assert_false(lost.connected);
    kill(spare, SIGKILL);
    waitpid(spare, NULL, 0);
}

/* Forty switches between two releases while frames flow: no frame is without a result, none comes from a
 * third. */
static void a_switch_loses_no_frame(void **state)
{
    struct muster_verdict verdict;
    pid_t runners[] = {actor_start(&h, 1, ACT_WELL), actor_start(&h, 2, ACT_WELL)};
    harness_admit(&h, 1);
    harness_admit(&h, 2);
    harness_until(&h, status, status.runners[0].connected && status.runners[1].connected);
    harness_activate(&h, 1, 2);
    harness_robot(&h);
    uint64_t active = 1, frames = 0;
    for (int swap = 0; swap < 40; swap++) {
        uint64_t in_flight = frame_send(&h, LONG_MS);
        active = 3 - active;
        harness_activate(&h, active, 3 - active);
        assert_int_equal(frame_wait(&h, in_flight, &verdict), MUSTER_OK);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_OK);
            assert_int_equal(verdict.generation, active);
        }
        frames += 4;
    }
    struct ctl_counters one = harness_runner(&h, 1).counters, two = harness_runner(&h, 2).counters;
    assert_int_equal(one.frames + two.frames, frames);
    assert_int_equal(one.results + two.results, frames);
    assert_int_equal(one.lost + two.lost, 0);
    assert_int_equal(one.interventions[INTERVENED_SEQUENCE] + two.interventions[INTERVENED_SEQUENCE], 0);

    struct err err = {0};
    assert_ok(harness_order(&h, CTL_RETIRE, 3 - active, 0, &err), err);
    int status = -1;
    assert_int_equal(waitpid(runners[2 - active], &status, 0), runners[2 - active]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_OK);
    assert_ok(harness_order(&h, CTL_RETIRE, active, 0, &err), err);
    assert_int_equal(waitpid(runners[active - 1], &status, 0), runners[active - 1]);
    assert_int_equal(harness_status(&h).state, GUARD_STANDBY);
    assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_SAFE);
}

/* The runner outlives the guard and serves the next one; so does the robot program. */
static void a_killed_guard_is_replaced(void **state)
{
    struct muster_verdict verdict;
    pid_t runner = actor_start(&h, 1, ACT_WELL);
    harness_admit(&h, 1);
    harness_until(&h, status, status.runners[0].connected);
    harness_activate(&h, 1, 0);
    harness_robot(&h);
    assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_OK);
    uint64_t epoch = harness_status(&h).epoch;
    kill(h.guard, SIGKILL);
    waitpid(h.guard, NULL, 0);
    assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_NO_GUARD);
    struct muster *robot = TAKE_PTR(h.robot);
    struct harness next = {.agent = -1};
    memcpy(next.dir, h.dir, sizeof next.dir);
    mem_cleanup_close(&h.agent);
    h.guard = fork();
    if (h.guard == 0) {
        struct guard_options options = {.run_dir = h.dir};
        struct guard *guard;
        struct err err = {0};
        _exit(guard_open(&options, &guard, &err) < 0 || guard_run(guard, &err) < 0);
    }
    struct err err = {0};
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    while (ctl_connect(h.dir, CTL_ROLE_AGENT, &h.agent, &err) < 0 && harness_now_ms() < until_ms)
        poll(NULL, 0, 5);
    h.robot = robot;
    assert_true(harness_status(&h).epoch != epoch);
    harness_admit(&h, 1);
    harness_until(&h, status, status.runners[0].connected);
    harness_activate(&h, 1, 0);
    enum muster_answer answer = MUSTER_SAFE;
    while (answer != MUSTER_OK && harness_now_ms() < until_ms)
        answer = frame_wait(&h, frame_send(&h, 100), &verdict);
    assert_int_equal(answer, MUSTER_OK);
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
}

static void expect_dropped(int sock)
{
    union ctl_packet packet;
    struct ctl_fds fds;
    struct err err = {0};
    for (;;) {
        int got = ctl_await(sock, &packet, &fds, PATIENCE_MS, &err);
        ctl_fds_close(&fds);
        if (got < 0)
            break;
    }
    assert_int_equal(err.code, ERR_UNREACHABLE);
}

static void strangers_are_shown_the_door(void **state)
{
    struct err err = {0};
    int sock;
    struct ctl_message message;
    assert_ok(ctl_dial(h.dir, &sock, &err), err); /* nonsense */
    assert_int_equal(send(sock, "hello", 5, 0), 5);
    expect_dropped(sock);
    close(sock);

    static const enum ctl_kind kinds[] = {CTL_ACTIVATE,       CTL_ADMIT,   CTL_RETIRE,
                                          CTL_STATUS_REQUEST, CTL_WELCOME, CTL_SCORE};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) { /* orders from somebody who is not the agent */
        assert_ok(ctl_dial(h.dir, &sock, &err), err);
        ctl_message_init(&message, kinds[i]);
        assert_ok(ctl_send(sock, &message, NULL, &err), err);
        expect_dropped(sock);
        close(sock);
    }
    ctl_message_init(&message, CTL_HELLO); /* without memory, or with memory that is not sealed */
    for (uint32_t role = CTL_ROLE_CLIENT; role <= CTL_ROLE_RUNNER; role++)
        for (int fd = -1; fd <= 0; fd++) {
            struct ctl_fds fds = {.fd = {fd, -1}};
            message.role = role;
            message.generation = 9;
            assert_ok(ctl_dial(h.dir, &sock, &err), err);
            assert_ok(ctl_send(sock, &message, &fds, &err), err);
            expect_dropped(sock);
            close(sock);
        }
    assert_int_equal(harness_status(&h).state, GUARD_STANDBY);
}

static void only_one_of_each(void **state)
{
    struct puppet p;
    start_puppet(&p);
    struct muster_options options = {.run_dir = h.dir, .width = 8, .height = 8};
    struct muster *second;
    char why[MUSTER_TEXT_SIZE];
    assert_int_equal(muster_open(&options, &second, why), 0);
    assert_false(muster_connected(second));
    muster_close(TAKE_PTR(h.robot));
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    while (!muster_connected(second) && harness_now_ms() < until_ms) /* the first is gone: now it may */
        muster_frame_begin(second);
    assert_true(muster_connected(second));
    muster_close(second);

    pid_t twin = actor_start(&h, 1, ACT_WELL);
    int status = 0;
    assert_int_equal(waitpid(twin, &status, 0), twin);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    struct guard_options again = {.run_dir = h.dir};
    struct guard *guard;
    struct err err = {0};
    assert_fails(guard_open(&again, &guard, &err), err, ERR_BUSY);
    puppet_close(&p);
}

static void impossible_orders_are_refused(void **state)
{
    struct err err = {0};
    assert_fails(harness_order(&h, CTL_ACTIVATE, 1, 0, &err), err, ERR_CONFLICT);
    assert_fails(harness_order(&h, CTL_ADMIT, 0, 0, &err), err, ERR_INVALID);
    for (uint64_t generation = 1; generation <= CTL_MAX_RUNNERS; generation++)
        harness_admit(&h, generation);
    harness_admit(&h, 1);
    assert_fails(harness_order(&h, CTL_ADMIT, CTL_MAX_RUNNERS + 1, 0, &err), err, ERR_TOO_BIG);
    assert_fails(harness_order(&h, CTL_ACTIVATE, 1, 0, &err), err, ERR_CONFLICT);
    assert_fails(harness_order(&h, CTL_ACTIVATE, 1, 1, &err), err, ERR_INVALID);
    assert_ok(harness_order(&h, CTL_RETIRE, 4, 0, &err), err);
    assert_ok(harness_order(&h, CTL_RETIRE, 4, 0, &err), err);
    harness_admit(&h, CTL_MAX_RUNNERS + 1);
}

/* Every bound of the limits, on both sides. */
static void limits_have_limits(void **state)
{
#define BOXES(...)                                                                                           \
    {                                                                                                        \
        .deadline_us = 1000, .max_detections = 4, .label_count = 3, __VA_ARGS__                              \
    }
#define NUMBERS(...)                                                                                         \
    {                                                                                                        \
        .deadline_us = 1000, .value_count = 4, __VA_ARGS__                                                   \
    }
    static const struct ctl_limits good[] = {
        BOXES(.min_score = 0),
        BOXES(.min_score = 1),
        {.deadline_us = 1, .label_count = 1},
        {.deadline_us = 60000000, .label_count = 65536, .max_detections = RING_MAX_DETECTIONS},
        BOXES(.max_age_us = 60000000, .max_jump = 3, .max_rate = 2),
        NUMBERS(.value_min = -1, .value_max = -1),
        {.deadline_us = 1, .value_count = RING_MAX_VALUES},
    };
    static const struct ctl_limits bad[] = {
        {.deadline_us = 1000, .max_detections = 4},
        {.deadline_us = 1000, .max_detections = 4, .label_count = 65537},
        {.deadline_us = 1000, .max_detections = RING_MAX_DETECTIONS + 1, .label_count = 3},
        BOXES(.min_score = -0.1f),
        BOXES(.min_score = 1.1f),
        BOXES(.min_score = NAN),
        {.max_detections = 4, .label_count = 3},
        {.deadline_us = 60000001, .max_detections = 4, .label_count = 3},
        BOXES(.max_age_us = 60000001),
        BOXES(.max_rate = -1),
        BOXES(.max_rate = INFINITY),
        BOXES(.max_jump = -1),
        BOXES(.max_jump = NAN),
        {.deadline_us = 1000, .value_count = RING_MAX_VALUES + 1, .value_max = 1},
        NUMBERS(.value_min = NAN, .value_max = 1),
        NUMBERS(.value_min = 0, .value_max = INFINITY),
        NUMBERS(.value_min = 2, .value_max = 1),
    };
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_ADMIT);
    message.generation = 1;
    message.release = harness_release(1);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        message.limits = good[i];
        assert_ok(ctl_call(h.agent, &message, PATIENCE_MS, &err), err);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        message.limits = bad[i];
        assert_fails(ctl_call(h.agent, &message, PATIENCE_MS, &err), err, ERR_INVALID);
    }
}

/* Scores count from the connected program only, in bounds, for a known generation. */
static void senseless_scores_count_nothing(void **state)
{
    struct puppet p;
    struct muster_verdict verdict = {.generation = 1, .seq = 1};
    start_puppet(&p);
    muster_score(h.robot, &verdict, 257, 0, 0);
    muster_score(h.robot, &verdict, 0, 257, 0);
    muster_score(h.robot, &verdict, 0, 0, 257);
    verdict.generation = 99;
    muster_score(h.robot, &verdict, 1, 1, 1);
    verdict.generation = 1;
    muster_score(h.robot, &verdict, 256, 256, 256);
    harness_until(&h, status, status.runners[0].counters.score_frames == 1);
    assert_int_equal(harness_runner(&h, 1).counters.score_tp, 256);
    puppet_close(&p);
}

/* A writer that lies about its own counters keeps nobody busy and is never believed. */
static void hostile_memory_is_bounded(void **state)
{
    struct puppet p;
    start_puppet(&p);
    static const uint64_t numbers[] = {UINT64_MAX, UINT64_MAX - 3, 1ull << 63, 1000000};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        uint8_t one = 1;
        memcpy(p.results.base + 128, &numbers[i], 8); /* "newest": ring.h */
        assert_int_equal(write(p.bell_fd, &one, sizeof one), sizeof one);
        assert_int_equal(harness_status(&h).state, GUARD_AUTO);
    }
    assert_int_equal(harness_runner(&h, 1).counters.results, 0);
    puppet_close(&p);
    wait_for_state(GUARD_STANDBY);
}

int main(void)
{
#define GUARD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        GUARD_TEST(a_sound_result_reaches_the_program),
        GUARD_TEST(a_spoilt_result_means_the_safe_state),
        GUARD_TEST(out_of_sequence_results_change_nothing),
        GUARD_TEST(a_late_result_is_counted_but_not_passed_on),
        GUARD_TEST(nobody_active_means_safe_at_once),
        GUARD_TEST(a_crash_falls_back_and_comes_back),
        GUARD_TEST(a_hung_runner_is_killed),
        GUARD_TEST(a_switch_loses_no_frame),
        GUARD_TEST(a_killed_guard_is_replaced),
        GUARD_TEST(strangers_are_shown_the_door),
        GUARD_TEST(only_one_of_each),
        GUARD_TEST(impossible_orders_are_refused),
        GUARD_TEST(limits_have_limits),
        GUARD_TEST(senseless_scores_count_nothing),
        GUARD_TEST(hostile_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
