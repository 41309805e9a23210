/* Who may say what, and what comes of it: retiring, waiting for the end of a sequence, stops, leases, news, shadows, scores. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/desk.h"

#include <errno.h>

static struct desk d;

static int setup(void **state)
{
    desk_open(&d, &(struct guard_options){.state_dir = ""});
    return 0;
}

static int teardown(void **state)
{
    desk_close(&d);
    return 0;
}

/* The program is asked to say of frames: at once while nobody answers, else when half of the answerer's time is over. */
static void the_program_is_asked_for_what_nobody_sees(void **state)
{
    struct ctl_limits limits = desk_limits;
    limits.deadline_us = 50000;
    desk_robot_open(&d, &d.robot);
    assert_int_equal(ring_asked(&d.robot.verdicts), 0);
    desk_runner_open(&d, &d.one, 1);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    assert_int_equal(ring_asked(&d.robot.verdicts), 30000000);
    assert_int_equal(desk_admit(&d, 1, &limits), 0);
    assert_int_equal(ring_asked(&d.robot.verdicts), 25000);
    int64_t now_ns = testbed_clock();
    uint64_t seq = desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, 0, 1);
    desk_settle(&d);
    assert_int_equal(d.guard->stream.seen, 0);
    struct ctl_message message;
    ctl_message_init(&message, CTL_FRAME);
    desk_send(&d, d.robot.fd, &message);
    assert_int_equal(d.guard->stream.seen, seq);
    desk_runner_close(&d, &d.one);
    assert_int_equal(ring_asked(&d.robot.verdicts), 0);
    desk_robot_close(&d, &d.robot);
}

/* ---- retiring ---- */

/* Told to exit, given two seconds. One that cannot be told is killed at once. */
static void who_is_retired_goes(void **state)
{
    for (int deaf = 0; deaf < 2; deaf++) {
        union ctl_packet packet;
        testbed_clock_set(0);
        testbed_clock_set(DESK_START_NS);
        desk_pair_up(&d);
        uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
        while (desk_hear(d.one.fd, &packet, NULL))
            ;
        int64_t now_ns = testbed_clock();
        if (deaf)
            testbed_fail_call("sendmsg", 1, 1, EAGAIN);
        assert_int_equal(desk_order(&d, CTL_RETIRE, 1, 0, 0), 0);
        testbed_stop();
        assert_null(desk_slot(&d, 1));
        assert_int_equal(d.guard->active, 0);
        assert_int_equal(d.guard->fallback, 0);
        assert_int_equal(d.guard->state, GUARD_STANDBY);
        assert_int_equal(desk_verdict(&d.robot, seq)->reason, INTERVENED_RUNNER_LOST);
        assert_int_equal(testbed_kills(), deaf);
        assert_true(desk_hear(d.one.fd, &packet, NULL) == !deaf);
        assert_true(deaf || packet.message.kind == CTL_EXIT);
        guard_peers_tick(d.guard, now_ns + 2000 * DESK_MS);
        assert_false(desk_hung_up(d.one.fd));
        guard_peers_tick(d.guard, now_ns + 2000 * DESK_MS + 1);
        assert_true(desk_hung_up(d.one.fd));
        assert_int_equal(testbed_kills(), deaf + 1);
        assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0);
        desk_part(&d);
    }
}

/* Its place is another's when it goes at last: that one stays. */
static void who_was_retired_takes_nobody_with_him(void **state)
{
    desk_pair_up(&d);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 1, 0, 0), 0);
    struct desk_runner next;
    desk_runner_open(&d, &next, 5);
    assert_ptr_equal(desk_slot(&d, 5), &d.guard->runners[0]);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 5, 2, 0), 0);
    desk_leave(&d, &d.one.fd);
    assert_true(guard_runner_live(desk_slot(&d, 5)));
    assert_int_equal(desk_slot(&d, 5)->restarts, 0);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &next, seq);
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 5);
    desk_runner_close(&d, &next);
    desk_part(&d);
}

static void a_retired_fallback_is_none_any_more(void **state)
{
    desk_pair_up(&d);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0);
    assert_int_equal(d.guard->fallback, 0);
    assert_int_equal(d.guard->active, 1);
    desk_answer(&d, &d.one, seq);
    assert_int_equal(desk_verdict(&d.robot, seq)->status, RING_VERDICT_OK);
    /* In use as the fallback: its frames are answered by nobody. */
    desk_runner_close(&d, &d.two);
    desk_runner_open(&d, &d.two, 3);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 3, 0), 0);
    desk_runner_close(&d, &d.one);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    seq = desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 3, 0, 0), 0);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    assert_int_equal(desk_verdict(&d.robot, seq)->reason, INTERVENED_RUNNER_LOST);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 3, 0, 0), 0); /* gone is gone */
    desk_part(&d);
}

/* ACTIVATE 0: nobody answers, and frames in hand are the safe state's. */
static void nobody_is_to_answer(void **state)
{
    desk_pair_up(&d);
    uint64_t first = desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    assert_int_equal(desk_verdict(&d.robot, first)->reason, INTERVENED_RUNNER_LOST);
    assert_int_equal(desk_page(&d.one).mode, RING_MODE_IDLE);
    uint64_t second = desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(desk_verdict(&d.robot, second)->generation, 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    desk_runner_close(&d, &d.one);
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    uint64_t third = desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    assert_int_equal(desk_verdict(&d.robot, third)->reason, INTERVENED_RUNNER_LOST);
    desk_part(&d);
}

/* A frame that nobody has looked at yet, when something changes: it is whose it was when it came. */
static void a_frame_just_before(void **state)
{
    desk_pair_up(&d);
    int64_t now_ns = testbed_clock();
    uint64_t seq = desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, 0, 1);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 5), 0);
    assert_int_equal(desk_page(&d.two).from_seq, seq + 1);
    seq = desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, 0, 2);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 1);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    seq = desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, 0, 3);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 0), 0);
    desk_answer(&d, &d.one, seq);
    desk_expect(&d, seq, RING_VERDICT_OK, INTERVENTION_COUNT, 1);
    seq = desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, 0, 4);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0);
    desk_expect(&d, seq, RING_VERDICT_SAFE, INTERVENED_RUNNER_LOST, 2);
    desk_runner_close(&d, &d.two);
    desk_runner_open(&d, &d.two, 3);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 3, 1, 0), 0);
    desk_runner_close(&d, &d.two); /* the fallback answers */
    assert_int_equal(d.guard->state, GUARD_FALLBACK);
    seq = desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, 0, 5);
    assert_true(desk_runner_try(&d, &d.two, 3, 0)); /* the primary is back */
    assert_int_equal(d.guard->state, GUARD_AUTO);
    desk_answer(&d, &d.one, seq);
    desk_expect(&d, seq, RING_VERDICT_FALLBACK, INTERVENED_RUNNER_LOST, 1);
    desk_part(&d);
}

/* ---- waiting for the end of a sequence ---- */

static void it_waits_a_minute_and_no_longer(void **state)
{
    desk_pair_up(&d);
    int64_t now_ns = testbed_clock();
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1), 0);
    assert_int_equal(d.guard->next.generation, 2);
    desk_pass(&d, 30000 * DESK_MS);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1),
                     0); /* said again: it waits since the first time */
    guard_activate_due(d.guard, false, now_ns + 60000 * DESK_MS - 1);
    assert_int_equal(d.guard->active, 1);
    guard_activate_due(d.guard, false, now_ns + 60000 * DESK_MS);
    assert_int_equal(d.guard->active, 2);
    assert_int_equal(d.guard->fallback, 1);
    assert_int_equal(d.guard->next.generation, 0);
    desk_part(&d);
}

static void only_the_last_frame_ends_a_sequence(void **state)
{
    desk_pair_up(&d);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1), 0);
    int64_t now_ns = testbed_clock();
    desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, RING_FRAME_SEQUENCE_END,
                1); /* one is behind it already */
    desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, 0, 2);
    guard_frames_scan(d.guard, now_ns);
    assert_int_equal(d.guard->active, 1);
    desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, 2, 3); /* another flag */
    guard_frames_scan(d.guard, now_ns);
    assert_int_equal(d.guard->active, 1);
    desk_submit(&d.robot, now_ns, now_ns + DESK_FAR, RING_FRAME_SEQUENCE_END, 4);
    guard_frames_scan(d.guard, now_ns);
    assert_int_equal(d.guard->active, 2);
    desk_part(&d);
}

/* Who is to come next dies, or is retired, or is called off, before it is his turn. */
static void a_wait_may_end_in_nothing(void **state)
{
    desk_pair_up(&d);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1), 0);
    desk_runner_close(&d, &d.two);
    guard_activate_due(d.guard, true, testbed_clock());
    assert_int_equal(d.guard->active, 1);
    assert_int_equal(d.guard->next.generation, 0);
    desk_runner_open(&d, &d.two, 3);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 3, 1, 1), 0);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0); /* another one */
    assert_int_equal(d.guard->next.generation, 3);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 3, 0, 0), 0);
    assert_int_equal(d.guard->next.generation, 0);
    desk_runner_close(&d, &d.two);
    desk_runner_open(&d, &d.two, 4);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 4, 1, 1), 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 4, 0), 0); /* the old one, at once */
    assert_int_equal(d.guard->next.generation, 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 4, 1, 1), 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
    assert_int_equal(d.guard->next.generation, 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 4, 1, 1), 0); /* nobody answers: nothing to wait for */
    assert_int_equal(d.guard->active, 4);
    desk_part(&d);
}

/* ---- humans and the hardware ---- */

static void press(int fd, uint32_t pressed)
{
    struct ctl_message message;
    ctl_message_init(&message, CTL_ESTOP);
    message.count = pressed;
    desk_send(&d, fd, &message);
}

/* As long as one of them is pressed, or a mirror is missing, it is pressed. */
static void all_have_to_let_go(void **state)
{
    int first = desk_join(&d, CTL_ROLE_ESTOP), second = desk_join(&d, CTL_ROLE_ESTOP);
    desk_robot_open(&d, &d.robot);
    press(first, 0);
    assert_int_equal(d.guard->state, GUARD_STANDBY);
    press(first, 1);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    assert_string_equal(d.guard->who, "e-stop mirror");
    press(d.robot.fd, 1);
    assert_string_equal(d.guard->who, "e-stop mirror"); /* who was first */
    press(second, 0);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    press(first, 0);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    press(d.robot.fd, 0);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    press(d.robot.fd, 1);
    assert_string_equal(d.guard->who, "robot program");
    press(d.robot.fd, 0);
    desk_leave(&d, &second);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    assert_string_equal(d.guard->who, "guard");
    press(d.robot.fd, 0); /* cannot speak for the mirror */
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    press(first, 0);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    press(d.robot.fd, 1);
    desk_robot_close(&d, &d.robot); /* a program that goes takes its word with it */
    assert_int_equal(d.guard->state, GUARD_ESTOP);
    press(first, 0);
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    close(first);
    desk_settle(&d);
    assert_int_equal(d.guard->state, GUARD_ESTOP);
}

static struct ctl_message last_notice(int fd, enum ctl_notice want)
{
    union ctl_packet packet;
    struct ctl_message found = {0};
    while (desk_hear(fd, &packet, NULL))
        if (packet.message.kind == CTL_NOTICE && packet.message.notice == want)
            found = packet.message;
    return found;
}

/* Word for word, with what came of it, and where it was said; a renewed lease is no news. */
static void commands_are_told(void **state)
{
    int observer = desk_join(&d, CTL_ROLE_OBSERVER), operator= desk_join(&d, CTL_ROLE_OPERATOR);
    assert_int_equal(desk_command(&d, operator, CTL_VERB_HOLD, 0, 0), 0);
    struct ctl_message notice = last_notice(observer, CTL_NOTICE_COMMAND);
    assert_int_equal(notice.result, 0);
    assert_int_equal(notice.count, 1);
    assert_int_equal(notice.state, GUARD_HOLD);
    assert_int_equal(notice.command.verb, CTL_VERB_HOLD);
    assert_string_equal(notice.command.who, "ann");
    assert_string_equal(notice.command.reason, "a test");
    assert_string_equal(notice.text, "hold by ann: hold");
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RELEASE, 0, 0), ERR_DENIED);
    notice = last_notice(observer, CTL_NOTICE_COMMAND);
    assert_int_equal(notice.result, ERR_DENIED);
    assert_int_equal(notice.count, 0);
    assert_int_equal(desk_command(&d, operator, CTL_VERB_OVERRIDE, 0, 500), 0);
    struct ctl_message ask, reply;
    ctl_message_init(&ask, CTL_COMMAND);
    ask.command = (struct ctl_command){.verb = CTL_VERB_OVERRIDE, .lease = 1, .ttl_ms = 500, .who = "ann"};
    ask.fallback = 4711;
    ask.generation = 5;
    assert_int_equal(desk_ask(&d, operator, & ask, &reply), 0);
    assert_int_equal(reply.generation, 2); /* the lease */
    assert_int_equal(reply.fallback, 4711);
    while (last_notice(observer, CTL_NOTICE_COMMAND).notice)
        ;
    ask.command.verb = CTL_VERB_RENEW;
    ask.command.lease = 2;
    assert_int_equal(desk_ask(&d, operator, & ask, &reply), 0);
    assert_int_equal(reply.generation, 5); /* no lease */
    assert_int_equal(last_notice(observer, CTL_NOTICE_COMMAND).notice, 0);
    ask.command.lease = 1;
    assert_int_equal(desk_ask(&d, operator, & ask, &reply), ERR_CONFLICT);
    assert_int_equal(reply.generation, 5);
    assert_int_equal(last_notice(observer, CTL_NOTICE_COMMAND).result, ERR_CONFLICT);
    desk_leave(&d, &operator);
    desk_leave(&d, &observer);
}

/* A lease goes over a restart as a number and as a stop; what its holder said does not. */
static void a_restart_ends_a_lease(void **state)
{
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_OVERRIDE, 0, 60000), 0);
    desk_reopen(&d, &(struct guard_options){.state_dir = ""});
    assert_int_equal(d.guard->state, GUARD_SAFE_STOP);
    assert_int_equal(d.guard->oversight.lease, 1);
    assert_false(d.guard->oversight.held || d.guard->oversight.local_word);
    assert_string_equal(d.guard->who, "ann");
    assert_string_equal(d.guard->reason, "held the lease when the guard ended");
    int operator= desk_join(&d, CTL_ROLE_OPERATOR);
    assert_int_equal(desk_command(&d, operator, CTL_VERB_STOP, 0, 0), 0);
    desk_reopen(&d, &(struct guard_options){.state_dir = ""});
    assert_true(d.guard->oversight.local_word);
    assert_string_equal(d.guard->reason, "a test");
    close(operator);
    desk_settle(&d);
}

/* ---- news ---- */

/* Once a second of each reason, with how many there were. */
static void interventions_are_told_once_a_second(void **state)
{
    int observer = desk_join(&d, CTL_ROLE_OBSERVER);
    desk_pair_up(&d);
    (void)last_notice(observer, CTL_NOTICE_STATE);
    static const struct {
        int64_t after_ns;
        uint32_t told;
    } rows[] = {{0, 1}, {10 * DESK_MS, 0}, {980 * DESK_MS, 0}, {10 * DESK_MS, 3}, {2000 * DESK_MS, 1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        testbed_clock_set(testbed_clock() + rows[i].after_ns);
        uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
        struct ring_result result = desk_result(&d, &d.one, seq);
        result.count = 100;
        desk_say(&d, &d.one, &result);
        struct ctl_message notice = last_notice(observer, CTL_NOTICE_INTERVENTION);
        assert_int_equal(notice.count, rows[i].told);
        if (!rows[i].told)
            continue;
        char want[32];
        snprintf(want, sizeof want, "frame %llu", (unsigned long long)seq);
        assert_string_equal(notice.text, want);
        assert_int_equal(notice.result, INTERVENED_TOO_MANY);
        assert_int_equal(notice.generation, 1);
    }
    desk_frame(&d, &d.robot, 0); /* another reason has a second of its own */
    desk_pass(&d, 1);
    assert_int_equal(last_notice(observer, CTL_NOTICE_INTERVENTION).result, INTERVENED_DEADLINE);
    desk_part(&d);
    desk_leave(&d, &observer);
}

static void states_and_losses_are_told(void **state)
{
    int observer = desk_join(&d, CTL_ROLE_OBSERVER), mirror = desk_join(&d, CTL_ROLE_ESTOP);
    desk_pair_up(&d);
    struct ctl_message notice = last_notice(observer, CTL_NOTICE_STATE);
    assert_string_equal(notice.text, "standby -> auto");
    assert_int_equal(notice.state, GUARD_AUTO);
    assert_int_equal(notice.generation, 1);
    assert_string_equal(notice.command.who, "");
    desk_runner_close(&d, &d.one);
    notice = last_notice(observer, CTL_NOTICE_LOST);
    assert_string_equal(notice.text, "runner lost");
    assert_int_equal(notice.generation, 1);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_STOP, 0, 0), 0);
    notice = last_notice(observer, CTL_NOTICE_STATE);
    assert_string_equal(notice.command.who, "ann");
    assert_string_equal(notice.command.reason, "a test");
    union ctl_packet packet;
    assert_false(desk_hear(mirror, &packet, NULL)); /* only agents and observers hear */
    desk_runner_close(&d, &d.two);
    desk_robot_close(&d, &d.robot);
    desk_leave(&d, &observer);
    close(mirror);
    desk_settle(&d);
}

/* Frames for runners, frames and verdicts for observers; to those who are there and to those who come. */
static void who_is_shown_what(void **state)
{
    union ctl_packet packet;
    struct ctl_fds fds;
    struct ring frames, verdicts;
    struct err err = {0};
    int early = desk_join(&d, CTL_ROLE_OBSERVER), late, agent;
    desk_runner_open(&d, &d.one, 1);
    assert_false(desk_hear(d.one.fd, &packet, NULL)); /* there is nothing yet */
    desk_robot_open(&d, &d.robot);
    desk_runner_open(&d, &d.two, 2);
    late = desk_join(&d, CTL_ROLE_OBSERVER);
    agent = desk_join(&d, CTL_ROLE_AGENT);
    const int peers[] = {early, late, d.one.fd, d.two.fd};
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_true(desk_hear(peers[i], &packet, &fds));
        assert_int_equal(packet.message.kind, CTL_STREAM);
        assert_int_equal(packet.message.generation, d.robot.stream);
        assert_ok(ring_attach(&frames, fds.fd[0], RING_FRAMES, &err), err);
        ring_fini(&frames);
        if (i < 2) {
            assert_ok(ring_attach(&verdicts, fds.fd[1], RING_VERDICTS, &err), err);
            assert_int_equal(verdicts.slot_count, RING_SLOTS);
            ring_fini(&verdicts);
        } else {
            assert_int_equal(fds.fd[1], -1);
        }
    }
    assert_false(desk_hear(agent, &packet, NULL));
    desk_part(&d);
    desk_leave(&d, &early);
    desk_leave(&d, &late);
    desk_leave(&d, &agent);
}

/* A new stream begins with what comes after it: numbers of its own, no history of the old one. */
static void a_new_program_begins_anew(void **state)
{
    desk_pair_up(&d);
    uint64_t stream = d.robot.stream;
    desk_frame(&d, &d.robot, DESK_FAR);
    desk_robot_close(&d, &d.robot);
    assert_int_equal(guard_next_deadline_ns(d.guard), INT64_MAX);
    assert_int_equal(desk_page(&d.one).mode, RING_MODE_IDLE);
    struct desk_robot next;
    desk_robot_open(&d, &next);
    assert_int_equal(next.stream, stream + 1);
    assert_int_equal(desk_page(&d.one).mode, RING_MODE_ACTIVE);
    assert_int_equal(desk_page(&d.one).stream, next.stream);
    assert_int_equal(desk_page(&d.one).from_seq, 1);
    assert_null(desk_verdict(&next, 1));
    uint64_t seq = desk_frame(&d, &next, DESK_FAR);
    desk_answer(&d, &d.one, seq);
    assert_int_equal(desk_verdict(&next, seq)->status, RING_VERDICT_OK);
    desk_robot_close(&d, &next);
    desk_runner_close(&d, &d.one);
    desk_runner_close(&d, &d.two);
}

/* ---- shadows ---- */

static void shadow(uint64_t seq, uint32_t count, uint32_t status)
{
    struct ring_result result = desk_result(&d, &d.two, seq);
    result.shadow = 1;
    result.count = count;
    result.status = status;
    desk_say(&d, &d.two, &result);
}

static void shadows_are_counted_exactly(void **state)
{
    desk_pair_up(&d);
    struct guard_runner *slot = desk_slot(&d, 2);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 1, 0, 3), ERR_CONFLICT);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 7, 0, 3), ERR_CONFLICT);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    assert_int_equal(desk_page(&d.two).mode, RING_MODE_SHADOW);
    uint64_t first = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(first, 2, RING_RESULT_OK); /* before the verdict */
    assert_int_equal(slot->shadow_frames, 0);
    desk_answer(&d, &d.one, first);
    assert_int_equal(slot->shadow_frames, 1);
    assert_int_equal(slot->shadow_agreed, 1);
    assert_int_equal(slot->shadow_left, 3);
    shadow(first, 2, RING_RESULT_OK); /* again: once is enough */
    assert_int_equal(slot->shadow_frames, 1);
    uint64_t second = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &d.one, second);
    shadow(second, 1, RING_RESULT_OK); /* after it, and something else */
    assert_int_equal(slot->shadow_frames, 2);
    assert_int_equal(slot->shadow_agreed, 1);
    uint64_t third = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(third, 2, RING_RESULT_STALE);
    assert_int_equal(slot->shadow_left, 2);
    uint64_t fourth = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(fourth, 100, RING_RESULT_OK);
    assert_int_equal(slot->shadow_failed, 1);
    assert_int_equal(slot->shadow_left, 1);
    uint64_t fifth = desk_frame(&d, &d.robot, 0);
    desk_pass(&d, 1);
    assert_int_equal(desk_verdict(&d.robot, fifth)->status, RING_VERDICT_SAFE);
    shadow(fifth, 2, RING_RESULT_OK); /* nothing to compare with */
    assert_int_equal(slot->shadow_left, 1);
    uint64_t sixth = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(sixth, 2, RING_RESULT_OK);
    desk_answer(&d, &d.one, sixth);
    assert_int_equal(slot->shadow_frames, 3);
    assert_int_equal(slot->shadow_left, 0);
    assert_int_equal(desk_page(&d.two).mode, RING_MODE_IDLE);
    uint64_t seventh = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(seventh, 2, RING_RESULT_OK); /* it had not looked at its page yet */
    desk_answer(&d, &d.one, seventh);
    assert_int_equal(slot->shadow_frames, 3);
    for (int i = 0; i < INTERVENTION_COUNT; i++)
        assert_int_equal(slot->counters.interventions[i], 0);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 1), 0); /* counted anew */
    assert_int_equal(slot->shadow_frames + slot->shadow_agreed + slot->shadow_failed, 0);
    desk_part(&d);
}

/* The end of a shadow, or of its runner, in between: what waits to be compared is forgotten. */
static void what_waits_to_be_compared_may_be_forgotten(void **state)
{
    desk_pair_up(&d);
    struct guard_runner *slot = desk_slot(&d, 2);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(seq, 2, RING_RESULT_OK);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 0), 0);
    desk_answer(&d, &d.one, seq);
    assert_int_equal(slot->shadow_frames, 0);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    seq = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(seq, 2, RING_RESULT_OK);
    desk_runner_close(&d, &d.two); /* lost: it is not shadowed any more */
    desk_answer(&d, &d.one, seq);
    assert_int_equal(slot->shadow_frames, 0);
    assert_true(desk_runner_try(&d, &d.two, 2, 0));
    assert_int_equal(desk_page(&d.two).mode, 0);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    seq = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(seq, 2, RING_RESULT_OK);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 2, 0, 0), 0);
    desk_answer(&d, &d.one, seq);
    assert_int_equal(desk_verdict(&d.robot, seq)->status, RING_VERDICT_OK);
    desk_part(&d);
}

/* In another's name, for a frame that never was: nothing, and nothing is held against it. */
static void a_shadow_that_says_nonsense(void **state)
{
    desk_pair_up(&d);
    struct guard_runner *slot = desk_slot(&d, 2);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    struct ring_result result = desk_result(&d, &d.two, seq);
    result.generation = 1;
    desk_say(&d, &d.two, &result);
    result = desk_result(&d, &d.two, seq + 1);
    desk_say(&d, &d.two, &result);
    assert_int_equal(slot->shadow_left, 4);
    assert_null(desk_verdict(&d.robot, seq));
    assert_int_equal(slot->counters.interventions[INTERVENED_SEQUENCE], 0);
    /* One whose verdict was written over while it thought: the newer one stands, and there is nothing to compare. */
    desk_answer(&d, &d.one, seq);
    assert_non_null(ring_begin(&d.guard->stream.verdicts, seq + RING_SLOTS));
    shadow(seq, 2, RING_RESULT_OK);
    assert_int_equal(slot->shadow_left, 4);
    desk_part(&d);
}

/* Another life of the same generation: what the one before has shadowed does not count for it. */
static void a_new_life_shadows_anew(void **state)
{
    desk_pair_up(&d);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 9), 0);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    shadow(seq, 2, RING_RESULT_OK);
    desk_runner_close(&d, &d.two);
    assert_true(desk_runner_try(&d, &d.two, 2, 0));
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 9), 0);
    shadow(seq, 2, RING_RESULT_OK);
    desk_answer(&d, &d.one, seq);
    assert_int_equal(desk_slot(&d, 2)->shadow_frames, 1);
    desk_part(&d);
}

/* A shadow's result in each place of the list is forgotten where it has to be. */
static void every_place_is_forgotten(void **state)
{
    desk_pair_up(&d);
    for (int i = 0; i < GUARD_SHADOWS; i++) {
        assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0);
        uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
        shadow(seq, 2, RING_RESULT_OK);
        assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 4), 0); /* begun anew in between */
        desk_answer(&d, &d.one, seq);
        assert_int_equal(desk_slot(&d, 2)->shadow_frames, 0);
    }
    desk_part(&d);
}

/* Scores count from the program that is connected, within bounds, for a generation that is known. */
static void scores_are_added_up(void **state)
{
    static const struct {
        uint64_t generation;
        uint32_t tp, fp, fn;
        bool counts;
    } rows[] = {{1, 256, 0, 0, true}, {1, 257, 0, 0, false}, {1, 0, 256, 3, true}, {1, 0, 257, 0, false},
                {1, 4, 0, 256, true}, {1, 0, 0, 257, false}, {9, 1, 1, 1, false},  {2, 1, 2, 3, true}};
    desk_pair_up(&d);
    uint64_t tp = 0, fp = 0, fn = 0, frames = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctl_message message;
        ctl_message_init(&message, CTL_SCORE);
        message.generation = rows[i].generation;
        message.score.tp = rows[i].tp;
        message.score.fp = rows[i].fp;
        message.score.fn = rows[i].fn;
        desk_send(&d, d.robot.fd, &message);
        if (rows[i].counts && rows[i].generation == 1) {
            tp += rows[i].tp;
            fp += rows[i].fp;
            fn += rows[i].fn;
            frames++;
        }
        const struct ctl_counters *counters = &desk_slot(&d, 1)->counters;
        assert_true(counters->score_tp == tp && counters->score_fp == fp && counters->score_fn == fn &&
                    counters->score_frames == frames);
    }
    assert_int_equal(desk_slot(&d, 2)->counters.score_tp, 1);
    assert_int_equal(desk_slot(&d, 2)->counters.score_fn, 3);
    desk_part(&d);
}

int main(void)
{
#define DESK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        DESK(who_is_retired_goes),
        DESK(the_program_is_asked_for_what_nobody_sees),
        DESK(a_frame_just_before),
        DESK(who_was_retired_takes_nobody_with_him),
        DESK(a_retired_fallback_is_none_any_more),
        DESK(a_new_life_shadows_anew),
        DESK(every_place_is_forgotten),
        DESK(nobody_is_to_answer),
        DESK(it_waits_a_minute_and_no_longer),
        DESK(only_the_last_frame_ends_a_sequence),
        DESK(a_wait_may_end_in_nothing),
        DESK(all_have_to_let_go),
        DESK(commands_are_told),
        DESK(a_restart_ends_a_lease),
        DESK(interventions_are_told_once_a_second),
        DESK(states_and_losses_are_told),
        DESK(who_is_shown_what),
        DESK(a_new_program_begins_anew),
        DESK(shadows_are_counted_exactly),
        DESK(what_waits_to_be_compared_may_be_forgotten),
        DESK(a_shadow_that_says_nonsense),
        DESK(scores_are_added_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
