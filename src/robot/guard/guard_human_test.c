/* What humans and the hardware say stands above every model, at once, and over the death of the guard. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { LONG_MS = 20000 };

static struct harness h;
static char state_dir[64];
static int operator_fd;

static void open_guard(void)
{
    struct guard_options options = {.state_dir = state_dir};
    harness_open(&h, &options, NULL);
    struct err err = {0};
    assert_ok(ctl_connect(h.dir, CTL_ROLE_OPERATOR, &operator_fd, &err), err);
}

static void close_guard(void)
{
    mem_cleanup_close(&operator_fd);
    operator_fd = -1;
    harness_sweep(&h);
}

static int setup(void **state)
{
    memcpy(state_dir, "/tmp/muster-state-XXXXXX", 25);
    assert_non_null(mkdtemp(state_dir));
    open_guard();
    return 0;
}

static int teardown(void **state)
{
    close_guard();
    char path[96];
    snprintf(path, sizeof path, "%s/guard.latch", state_dir);
    unlink(path);
    rmdir(state_dir);
    return 0;
}

/* Power off, in the hardest way, and on again: another run directory, the same state directory. */
static void reboot(void)
{
    kill(h.guard, SIGKILL);
    waitpid(h.guard, NULL, 0);
    h.guard = 0;
    close_guard();
    open_guard();
}

static int say(int fd, enum ctl_verb verb, uint64_t lease, uint32_t ttl_ms, uint64_t *out_lease)
{
    struct ctl_command command = {
        .verb = verb, .lease = lease, .ttl_ms = ttl_ms, .who = "ann", .reason = "a test"};
    struct err err = {0};
    int done = ctl_command(fd, &command, PATIENCE_MS, out_lease, &err);
    return done < 0 ? (int)err.code : 0;
}

static int remote(enum ctl_verb verb)
{
    return say(h.agent, verb, 0, 0, NULL);
}

static uint32_t state_now(void)
{
    return harness_status(&h).state;
}

static void until_state(enum guard_state want)
{
    harness_until(&h, status, status.state == want);
}

/* A live model, generation 1, answers by hand. */
static void start_model(struct puppet *p)
{
    puppet_open(p, &h, 1);
    harness_admit(&h, 1);
    harness_activate(&h, 1, 0);
    harness_robot(&h);
    puppet_take_stream(p);
    assert_int_equal(state_now(), GUARD_AUTO);
}

static void expect_overruled(enum muster_state want)
{
    struct muster_verdict verdict;
    uint64_t seq = frame_send(&h, LONG_MS);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_OVERSIGHT);
    assert_int_equal(verdict.state, want);
    assert_int_equal(verdict.generation, 0);
}

static void expect_answer(struct puppet *p)
{
    struct muster_verdict verdict;
    uint64_t seq = frame_send(&h, LONG_MS);
    struct ring_result result = puppet_result(p, seq);
    puppet_say(p, &result);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_OK);
    assert_int_equal(verdict.state, MUSTER_STATE_AUTO);
}

/* The frame that the model has in hand gets its verdict at once, long before its deadline, and no release is blamed. */
static void a_stop_overrules_the_frame_in_hand(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    start_model(&p);
    expect_answer(&p);
    uint64_t seq = frame_send(&h, LONG_MS);
    harness_until(&h, status, status.runners[0].counters.frames == 2);
    assert_int_equal(remote(CTL_VERB_STOP), 0);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_OVERSIGHT);
    assert_int_equal(verdict.state, MUSTER_STATE_SAFE_STOP);
    assert_int_equal(verdict.generation, 0);
    assert_string_equal(verdict.release, "");
    struct ring_result late = puppet_result(&p, seq);
    puppet_say(&p, &late);
    expect_overruled(MUSTER_STATE_SAFE_STOP);
    struct ctl_status status = harness_status(&h);
    assert_int_equal(status.overridden, 2);
    assert_int_equal(status.runners[0].counters.lost, 0);
    assert_int_equal(status.runners[0].counters.interventions[INTERVENED_SEQUENCE], 0);
    assert_string_equal(status.oversight.who, "ann");
    assert_string_equal(status.oversight.reason, "a test");
    assert_true(status.oversight.latched);
    puppet_close(&p);
}

/* Two acts to go on, and the frame after the second one has an answer. */
static void reset_is_not_restart(void **state)
{
    struct puppet p;
    start_model(&p);
    assert_int_equal(remote(CTL_VERB_STOP), 0);
    assert_int_equal(remote(CTL_VERB_RELEASE), ERR_CONFLICT);
    assert_int_equal(remote(CTL_VERB_RESTART), ERR_CONFLICT);
    expect_overruled(MUSTER_STATE_SAFE_STOP);
    assert_int_equal(remote(CTL_VERB_RESET), 0);
    expect_overruled(MUSTER_STATE_ACK_WAIT);
    assert_int_equal(remote(CTL_VERB_RESTART), 0);
    assert_int_equal(state_now(), GUARD_AUTO);
    assert_false(harness_status(&h).oversight.latched);
    expect_answer(&p);
    puppet_close(&p);
}

static void a_latch_outlives_the_power(void **state)
{
    static const struct {
        enum ctl_verb verb;
        enum guard_state now, after;
    } rows[] = {
        {CTL_VERB_FALLBACK, GUARD_FORCED, GUARD_FORCED},   {CTL_VERB_HOLD, GUARD_HOLD, GUARD_HOLD},
        {CTL_VERB_STOP, GUARD_SAFE_STOP, GUARD_SAFE_STOP}, {CTL_VERB_RESET, GUARD_ACK_WAIT, GUARD_ACK_WAIT},
        {CTL_VERB_SERVICE, GUARD_SERVICE, GUARD_SERVICE},  {CTL_VERB_RESET, GUARD_ACK_WAIT, GUARD_ACK_WAIT},
        {CTL_VERB_RESTART, GUARD_STANDBY, GUARD_STANDBY}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(remote(rows[i].verb), 0);
        assert_int_equal(state_now(), rows[i].now);
        reboot();
        struct ctl_status status = harness_status(&h);
        assert_int_equal(status.state, rows[i].after);
        if (rows[i].after != GUARD_STANDBY)
            assert_string_equal(status.oversight.who, "ann");
    }
}

static void a_damaged_latch_is_a_stop(void **state)
{
    char path[96];
    snprintf(path, sizeof path, "%s/guard.latch", state_dir);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && pwrite(fd, "x", 1, 30) == 1);
    reboot();
    struct ctl_status status = harness_status(&h);
    assert_int_equal(status.state, GUARD_SAFE_STOP);
    assert_non_null(strstr(status.oversight.reason, "damaged"));
    uint64_t lease = status.oversight.lease;
    assert_true(lease > 1000000); /* more than anybody counted */
    reboot();                     /* still */
    assert_int_equal(state_now(), GUARD_SAFE_STOP);
    assert_int_equal(remote(CTL_VERB_RESET), 0);
    assert_int_equal(remote(CTL_VERB_RESTART), 0);
    reboot();
    assert_int_equal(state_now(), GUARD_STANDBY);
    assert_int_equal(harness_status(&h).oversight.lease, lease);
}

static void no_way_out_that_could_not_be_written_down(void **state)
{
    char path[96], away[96];
    assert_int_equal(remote(CTL_VERB_HOLD), 0);
    snprintf(path, sizeof path, "%s/guard.latch", state_dir);
    snprintf(away, sizeof away, "%s/guard.latch.new", state_dir);
    close_guard();
    assert_int_equal(mkdir(away, 0700), 0); /* in the way of the new file, and the old one is read-only */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    open_guard();
    assert_int_equal(state_now(), GUARD_SAFE_STOP);
    assert_int_equal(remote(CTL_VERB_RESET), 0); /* stays latched: allowed */
    assert_true(remote(CTL_VERB_RESTART) != 0);
    assert_int_equal(state_now(), GUARD_ACK_WAIT);
    rmdir(path);
    rmdir(away);
    assert_int_equal(remote(CTL_VERB_RESTART), 0);
}

/* The robot stops all the same, and the human is told what he cannot rely on. */
static void what_could_not_be_written_down_is_said(void **state)
{
    char path[96], away[96];
    snprintf(path, sizeof path, "%s/guard.latch", state_dir);
    snprintf(away, sizeof away, "%s/guard.latch.new", state_dir);
    struct ctl_command stop = {.verb = CTL_VERB_STOP, .who = "ann", .reason = "a test"};
    struct err err = {0};
    cleanup_close int observer = -1;
    assert_ok(ctl_connect(h.dir, CTL_ROLE_OBSERVER, &observer, &err), err);
    assert_ok(ctl_command(operator_fd, &stop, PATIENCE_MS, NULL, &err), err);
    assert_string_equal(err.text, "");
    assert_int_equal(remote(CTL_VERB_RESET), ERR_DENIED);
    assert_int_equal(say(operator_fd, CTL_VERB_RESET, 0, 0, NULL), 0);
    close_guard();
    assert_int_equal(mkdir(away, 0700), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    open_guard();
    mem_cleanup_close(&observer);
    assert_ok(ctl_connect(h.dir, CTL_ROLE_OBSERVER, &observer, &err), err);
    assert_ok(ctl_command(operator_fd, &stop, PATIENCE_MS, NULL, &err), err);
    assert_non_null(
        strstr(err.text, "safe_stop, but not kept over a restart: guard.latch cannot be written"));
    assert_int_equal(state_now(), GUARD_SAFE_STOP);
    union ctl_packet packet;
    struct ctl_fds fds;
    do
        assert_int_equal(ctl_await(observer, &packet, &fds, PATIENCE_MS, &err), 1);
    while (packet.message.kind != CTL_NOTICE || packet.message.notice != CTL_NOTICE_COMMAND);
    assert_non_null(strstr(packet.message.text, "not kept over a restart"));
    assert_int_equal(packet.message.result, 0);
    rmdir(path);
    rmdir(away);
    err = (struct err){0};
    assert_ok(ctl_command(operator_fd, &stop, PATIENCE_MS, NULL, &err), err);
    assert_string_equal(err.text, "");
}

static void a_lease_is_one_holders(void **state)
{
    struct puppet p;
    uint64_t first = 0, second = 0;
    start_model(&p);
    assert_int_equal(say(h.agent, CTL_VERB_OVERRIDE, 0, 10000, &first), 0);
    assert_true(first > 0);
    expect_overruled(MUSTER_STATE_OVERRIDE);
    assert_int_equal(say(h.agent, CTL_VERB_OVERRIDE, 0, 10000, NULL), ERR_DENIED);
    assert_int_equal(say(h.agent, CTL_VERB_HOLD, 0, 0, NULL), ERR_DENIED);
    assert_int_equal(say(h.agent, CTL_VERB_RENEW, first, 10000, NULL), 0);
    assert_int_equal(say(operator_fd, CTL_VERB_OVERRIDE, 0, 10000, &second),
                     0); /* at the robot: takes over */
    assert_true(second > first);
    assert_int_equal(say(h.agent, CTL_VERB_RENEW, first, 10000, NULL), ERR_CONFLICT);
    assert_true(harness_status(&h).oversight.local);
    assert_int_equal(say(operator_fd, CTL_VERB_RELEASE, second, 0, NULL), 0);
    assert_int_equal(state_now(), GUARD_ACK_WAIT);
    expect_overruled(MUSTER_STATE_ACK_WAIT);
    puppet_close(&p);
}

/* Not renewed: the stop, by the guard's own clock. */
static void a_lost_link_ends_in_the_stop(void **state)
{
    struct puppet p;
    uint64_t lease = 0;
    start_model(&p);
    assert_int_equal(say(h.agent, CTL_VERB_OVERRIDE, 0, 1500, &lease), 0);
    for (int i = 0; i < 3; i++) {
        poll(NULL, 0, 150);
        assert_int_equal(say(h.agent, CTL_VERB_RENEW, lease, 1500, NULL), 0);
    }
    until_state(GUARD_SAFE_STOP);
    assert_int_equal(say(h.agent, CTL_VERB_RENEW, lease, 300, NULL), ERR_CONFLICT);
    expect_overruled(MUSTER_STATE_SAFE_STOP);
    assert_non_null(strstr(harness_status(&h).oversight.reason, "not renewed"));
    reboot(); /* numbers go on */
    assert_int_equal(state_now(), GUARD_SAFE_STOP);
    assert_int_equal(remote(CTL_VERB_RESET), 0);
    uint64_t next = 0;
    assert_int_equal(say(h.agent, CTL_VERB_OVERRIDE, 0, 10000, &next), 0);
    assert_true(next > lease);
    reboot();
    assert_int_equal(state_now(), GUARD_SAFE_STOP); /* nobody holds a lease after a restart */
    puppet_close(&p);
}

static void the_fallback_answers_when_a_human_wants_it(void **state)
{
    struct puppet one, two;
    struct muster_verdict verdict;
    puppet_open(&one, &h, 1);
    puppet_open(&two, &h, 2);
    harness_admit(&h, 1);
    harness_admit(&h, 2);
    harness_activate(&h, 1, 2);
    harness_robot(&h);
    puppet_take_stream(&two);
    assert_int_equal(remote(CTL_VERB_FALLBACK), 0);
    uint64_t seq = frame_send(&h, LONG_MS);
    struct ring_result result = puppet_result(&two, seq);
    puppet_say(&two, &result);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_FALLBACK);
    assert_int_equal(verdict.reason, MUSTER_REASON_OVERSIGHT);
    assert_int_equal(verdict.state, MUSTER_STATE_FORCED);
    assert_int_equal(verdict.generation, 2);
    puppet_close(&two); /* nobody else: not the one that he does not want */
    harness_until(&h, status, status.runners[1].connected == 0);
    assert_int_equal(frame_wait(&h, frame_send(&h, LONG_MS), &verdict), MUSTER_SAFE);
    assert_int_equal(verdict.reason, MUSTER_REASON_RUNNER_LOST);
    assert_int_equal(remote(CTL_VERB_RELEASE), 0);
    assert_int_equal(state_now(), GUARD_AUTO);
    puppet_close(&one);
}

static int mirror(void)
{
    struct err err = {0};
    int fd = -1;
    assert_ok(ctl_connect(h.dir, CTL_ROLE_ESTOP, &fd, &err), err);
    return fd;
}

static void press(int fd, uint32_t pressed)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_ESTOP);
    message.count = pressed;
    assert_ok(ctl_send(fd, &message, NULL, &err), err);
}

static void a_mirror_that_goes_away_is_pressed(void **state)
{
    struct puppet p;
    start_model(&p);
    int fd = mirror();
    press(fd, 0);
    expect_answer(&p);
    press(fd, 1);
    until_state(GUARD_ESTOP);
    expect_overruled(MUSTER_STATE_ESTOP);
    assert_int_equal(remote(CTL_VERB_RESET), ERR_CONFLICT); /* while it is pressed */
    press(fd, 0);
    until_state(GUARD_SAFE_STOP);
    assert_int_equal(remote(CTL_VERB_RESET), 0);
    assert_int_equal(remote(CTL_VERB_RESTART), 0);
    expect_answer(&p);
    close(fd);
    until_state(GUARD_ESTOP);
    assert_int_equal(muster_estop(h.robot, 0), 0); /* the program cannot speak for the mirror */
    fd = mirror();
    assert_int_equal(state_now(), GUARD_ESTOP);
    press(fd, 0);
    until_state(GUARD_SAFE_STOP);
    press(fd, 1);
    until_state(GUARD_ESTOP);
    reboot();
    assert_int_equal(state_now(), GUARD_ESTOP);
    close(fd);
    puppet_close(&p);
}

static void the_program_mirrors_the_stop_too(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    start_model(&p);
    expect_answer(&p);
    uint64_t seq = frame_send(&h, LONG_MS);
    harness_until(&h, status, status.runners[0].counters.frames == 2);
    struct ring_result result = puppet_result(&p, seq);
    puppet_say(&p, &result);
    harness_until(&h, status, status.runners[0].counters.results == 2); /* the verdict is there, unread */
    assert_int_equal(muster_estop(h.robot, 1), 0);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE); /* from the moment it was said */
    assert_int_equal(muster_estop(h.robot, 0), 0);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    until_state(GUARD_SAFE_STOP);
    expect_overruled(MUSTER_STATE_SAFE_STOP);
    assert_int_equal(remote(CTL_VERB_RESET), 0);
    assert_int_equal(remote(CTL_VERB_RESTART), 0);
    expect_answer(&p);
    muster_close(TAKE_PTR(h.robot)); /* that a program goes away is no stop */
    harness_until(&h, status, !status.client_connected);
    assert_int_equal(state_now(), GUARD_AUTO);
    puppet_close(&p);
}

/* What a program said while there was no guard the next one hears, pressed first. */
static void a_stop_without_a_guard_is_not_lost(void **state)
{
    char dir[64];
    harness_robot(&h);
    struct muster *robot = TAKE_PTR(h.robot);
    kill(h.guard, SIGKILL);
    waitpid(h.guard, NULL, 0);
    assert_int_equal(muster_estop(robot, 1), -1);
    assert_int_equal(muster_estop(robot, 0), -1);
    memcpy(dir, h.dir, sizeof dir);
    mem_cleanup_close(&h.agent);
    mem_cleanup_close(&operator_fd);
    operator_fd = -1;
    struct guard_options options = {.state_dir = state_dir};
    harness_open_in(&h, dir, &options, NULL);
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    while (!muster_connected(robot) && harness_now_ms() < until_ms)
        muster_frame_begin(robot);
    h.robot = robot;
    until_state(GUARD_SAFE_STOP);
}

static void too_many_useless_frames_latch(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    puppet_open(&p, &h, 1);
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_ADMIT);
    message.generation = 1;
    message.release = harness_release(1);
    message.limits = (struct ctl_limits){
        .deadline_us = 60000000, .max_detections = 4, .label_count = 3, .min_score = 0.25f, .latch_after = 3};
    assert_ok(ctl_call(h.agent, &message, PATIENCE_MS, &err), err);
    harness_activate(&h, 1, 0);
    harness_robot(&h);
    puppet_take_stream(&p);
    for (int i = 0; i < 5; i++) { /* two in a row latch nothing */
        uint64_t seq = frame_send(&h, LONG_MS);
        struct ring_result result = puppet_result(&p, seq);
        result.count = i == 2 ? 2 : 100;
        puppet_say(&p, &result);
        assert_int_equal(frame_wait(&h, seq, &verdict), i == 2 ? MUSTER_OK : MUSTER_SAFE);
        assert_int_equal(state_now(), GUARD_AUTO);
    }
    uint64_t seq = frame_send(&h, LONG_MS);
    struct ring_result result = puppet_result(&p, seq);
    result.count = 100;
    puppet_say(&p, &result);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    until_state(GUARD_SAFE_STOP);
    assert_int_equal(remote(CTL_VERB_RESET), 0);
    assert_int_equal(remote(CTL_VERB_RESTART), 0);
    expect_answer(&p);
    puppet_close(&p);
}

/* A control loop of 2 ms learns who is in control, although no model is there to ring the guard. */
static void short_deadlines_learn_the_state_too(void **state)
{
    struct muster_verdict verdict = {.state = MUSTER_STATE_UNKNOWN};
    harness_robot(&h);
    assert_int_equal(say(h.agent, CTL_VERB_OVERRIDE, 0, 10000, NULL), 0);
    int64_t until_ms = harness_now_ms() + PATIENCE_MS;
    int in_a_row = 0;
    while (in_a_row < 5 && harness_now_ms() < until_ms) {
        assert_int_equal(frame_wait(&h, frame_send(&h, 2), &verdict), MUSTER_SAFE);
        in_a_row = verdict.state == MUSTER_STATE_OVERRIDE ? in_a_row + 1 : 0;
    }
    assert_int_equal(in_a_row, 5);
}

/* ---- who hears what ---- */

static struct ctl_message next_notice(int fd, enum ctl_notice want)
{
    union ctl_packet packet;
    struct ctl_fds fds;
    struct err err = {0};
    do {
        assert_ok(ctl_await(fd, &packet, &fds, PATIENCE_MS, &err) == 1 ? 0 : -1, err);
        ctl_fds_close(&fds);
    } while (packet.message.kind != CTL_NOTICE || packet.message.notice != want);
    return packet.message;
}

static void an_observer_sees_everything_and_changes_nothing(void **state)
{
    struct puppet p;
    struct muster_verdict verdict;
    struct err err = {0};
    int fd = -1;
    start_model(&p);
    assert_ok(ctl_connect(h.dir, CTL_ROLE_OBSERVER, &fd, &err), err);
    union ctl_packet packet;
    struct ctl_fds fds;
    assert_int_equal(ctl_await(fd, &packet, &fds, PATIENCE_MS, &err), 1);
    assert_int_equal(packet.message.kind, CTL_STREAM);
    struct ring frames, verdicts;
    assert_ok(ring_attach(&frames, fds.fd[0], RING_FRAMES, &err), err);
    assert_ok(ring_attach(&verdicts, fds.fd[1], RING_VERDICTS, &err), err);
    expect_answer(&p);
    assert_non_null(ring_peek(&frames, 1));
    const struct ring_verdict *seen = ring_peek(&verdicts, 1);
    assert_non_null(seen);
    assert_int_equal(seen->status, RING_VERDICT_OK);

    uint64_t seq = frame_send(&h, LONG_MS);
    struct ring_result result = puppet_result(&p, seq);
    result.count = 100;
    puppet_say(&p, &result);
    assert_int_equal(frame_wait(&h, seq, &verdict), MUSTER_SAFE);
    struct ctl_message notice = next_notice(fd, CTL_NOTICE_INTERVENTION);
    assert_int_equal(notice.result, INTERVENED_TOO_MANY);
    assert_int_equal(notice.generation, 1);
    assert_int_equal(notice.count, 1);
    assert_int_equal(remote(CTL_VERB_HOLD), 0);
    notice = next_notice(fd, CTL_NOTICE_STATE);
    assert_int_equal(notice.state, GUARD_HOLD);
    assert_string_equal(notice.command.who, "ann");
    notice = next_notice(fd, CTL_NOTICE_COMMAND);
    assert_non_null(strstr(notice.text, "hold by ann"));
    puppet_close(&p);
    notice = next_notice(fd, CTL_NOTICE_LOST);
    assert_int_equal(notice.generation, 1);
    assert_int_equal(say(fd, CTL_VERB_RELEASE, 0, 0, NULL), ERR_UNREACHABLE); /* shown the door */
    assert_int_equal(state_now(), GUARD_HOLD);
    ring_fini(&frames);
    ring_fini(&verdicts);
    close(fd);
}

/* Who does not listen loses his notices and delays nobody. */
static void a_deaf_observer_stops_nobody(void **state)
{
    struct err err = {0};
    int fd = -1;
    assert_ok(ctl_connect(h.dir, CTL_ROLE_OBSERVER, &fd, &err), err);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(say(operator_fd, CTL_VERB_HOLD, 0, 0, NULL), 0);
        assert_int_equal(say(operator_fd, CTL_VERB_RELEASE, 0, 0, NULL), 0);
    }
    assert_int_equal(state_now(), GUARD_STANDBY);
    close(fd);
}

static void a_local_word_is_taken_back_at_the_robot(void **state)
{
    assert_int_equal(say(operator_fd, CTL_VERB_HOLD, 0, 0, NULL), 0);
    assert_int_equal(remote(CTL_VERB_RELEASE), ERR_DENIED);
    reboot();
    assert_int_equal(remote(CTL_VERB_RELEASE), ERR_DENIED);
    assert_int_equal(say(operator_fd, CTL_VERB_RELEASE, 0, 0, NULL), 0);
    assert_int_equal(state_now(), GUARD_STANDBY);
}

int main(void)
{
#define HUMAN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        HUMAN_TEST(a_stop_overrules_the_frame_in_hand),
        HUMAN_TEST(reset_is_not_restart),
        HUMAN_TEST(a_latch_outlives_the_power),
        HUMAN_TEST(a_damaged_latch_is_a_stop),
        HUMAN_TEST(no_way_out_that_could_not_be_written_down),
        HUMAN_TEST(what_could_not_be_written_down_is_said),
        HUMAN_TEST(a_lease_is_one_holders),
        HUMAN_TEST(a_lost_link_ends_in_the_stop),
        HUMAN_TEST(the_fallback_answers_when_a_human_wants_it),
        HUMAN_TEST(a_mirror_that_goes_away_is_pressed),
        HUMAN_TEST(the_program_mirrors_the_stop_too),
        HUMAN_TEST(a_stop_without_a_guard_is_not_lost),
        HUMAN_TEST(too_many_useless_frames_latch),
        HUMAN_TEST(short_deadlines_learn_the_state_too),
        HUMAN_TEST(an_observer_sees_everything_and_changes_nothing),
        HUMAN_TEST(a_deaf_observer_stops_nobody),
        HUMAN_TEST(a_local_word_is_taken_back_at_the_robot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
