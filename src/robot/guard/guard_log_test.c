/* What its log says: one line for what changed, one for what failed, and not a word where nothing is wrong. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/guard/desk.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

static struct desk d;

static void expect_said(const char *want)
{
    char text[2048];
    snprintf(text, sizeof text, "%s", testbed_said());
    if (!str_eq(text, want))
        fail_msg("it said:\n%s\nand not:\n%s", text, want);
    testbed_listen();
}

static void a_life_in_its_log(void **state)
{
    char want[1024];
    int pid = (int)getpid();
    testbed_listen();
    desk_open(&d, &(struct guard_options){.state_dir = "", .realtime = true});
    expect_said("info started: init -> standby, generation 0, fallback 0\n");
    assert_true(desk_runner_try(&d, &d.one, 1, 0));
    snprintf(want, sizeof want, "info runner %d of generation 1 is connected\n", pid);
    expect_said(want);
    desk_runner_open(&d, &d.two, 2);
    testbed_listen();
    assert_int_equal(desk_admit(&d, 1, &desk_limits), 0);
    desk_robot_open(&d, &d.robot);
    snprintf(want, sizeof want, "info robot program %d is connected\n", pid);
    expect_said(want);
    desk_frame(&d, &d.robot, DESK_FAR);
    desk_frame(&d, &d.robot, DESK_FAR);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    expect_said("info generation 1 answers from frame 3 on\n"
                "info primary_ready: standby -> auto, generation 1, fallback 2\n");
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    int observer = desk_join(&d, CTL_ROLE_OBSERVER);
    uint64_t seq = desk_frame(&d, &d.robot, DESK_FAR);
    desk_answer(&d, &d.one, seq);
    seq = desk_frame(&d, &d.robot, 1);
    desk_pass(&d, 2);
    struct ctl_message score;
    ctl_message_init(&score, CTL_SCORE);
    score.generation = 9;
    desk_send(&d, d.robot.fd, &score);
    score.generation = 1;
    desk_send(&d, d.robot.fd, &score);
    score.kind = CTL_FRAME;
    desk_send(&d, d.robot.fd, &score);
    score.kind = CTL_ESTOP;
    desk_send(&d, d.robot.fd, &score);
    score.kind = CTL_STATUS_REQUEST;
    desk_send(&d, d.agent, &score);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 3), 0);
    assert_int_equal(desk_order(&d, CTL_SHADOW, 2, 0, 0), 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 2, 1, 1), 0);
    assert_int_equal(desk_order(&d, CTL_RETIRE, 9, 0, 0), 0);
    assert_int_equal(desk_admit(&d, 1, &desk_limits), 0);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    expect_said(""); /* frames are no news, nor is what changes nothing */
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
    expect_said("info deactivated: auto -> standby, generation 0, fallback 0\n");
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 2, 0), 0);
    testbed_listen();
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_HOLD, 0, 0), 0);
    expect_said("info hold: auto -> hold, generation 1, fallback 2\n"
                "info hold by ann: hold (a test)\n");
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RESET, 0, 0), ERR_CONFLICT);
    expect_said("info reset by ann: reset means nothing in hold: no latch is there, or what caused it still "
                "stands (a test)\n"
                "warn order 13 for generation 0: reset means nothing in hold: no latch is there, or what "
                "caused it still stands\n");
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_RELEASE, 0, 0), 0);
    testbed_listen();
    desk_leave(&d, &observer);
    expect_said("");
    desk_runner_close(&d, &d.one);
    expect_said("warn runner of generation 1 is gone\n"
                "info primary_lost: auto -> standby, generation 1, fallback 2\n"
                "info fallback_ready: standby -> fallback, generation 1, fallback 2\n");
    desk_robot_close(&d, &d.robot);
    expect_said("info robot program is gone\n");
    int fd = desk_knock(&d);
    struct err err = {0};
    struct ctl_message message;
    ctl_message_init(&message, CTL_EXIT);
    assert_ok(ctl_send(fd, &message, NULL, &err), err);
    desk_settle(&d);
    snprintf(want, sizeof want, "warn process %d: packet kind 7 is not for its role 0\n", pid);
    expect_said(want);
    close(fd);
    assert_int_equal(desk_command(&d, d.agent, CTL_VERB_STOP, 0, 0), 0);
    desk_runner_close(&d, &d.two);
    testbed_listen();
    desk_reopen(&d, &(struct guard_options){.state_dir = ""});
    expect_said("warn safe_stop was latched by ann: a test\n");
    desk_close(&d);
}

/* What could not be had, but was not needed, is said: in the level that it deserves. */
static void what_is_missing_is_said(void **state)
{
    static const struct {
        const char *call;
        const char *says;
    } rows[] = {{"mlockall", "info memory is not locked: Operation not permitted\n"},
                {"sched_setscheduler", "info no real-time priority: Operation not permitted\n"},
                {"madvise", "debug code is not touched ahead: Operation not permitted\n"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        char want[256];
        desk_make(&d);
        testbed_listen();
        testbed_fail_call(rows[i].call, 1, 1, EPERM);
        assert_ok(desk_start(&d, &(struct guard_options){.realtime = true}, &err), err);
        assert_true(testbed_stop());
        snprintf(want, sizeof want, "%sinfo started: init -> standby, generation 0, fallback 0\n",
                 rows[i].says);
        expect_said(want);
        desk_close(&d);
    }
}

/* Who does not read his socket: said once for each packet that he misses. */
static void who_does_not_read_is_named(void **state)
{
    char want[512];
    int pid = (int)getpid();
    desk_open(&d, NULL);
    desk_pair_up(&d);
    testbed_listen();
    testbed_fail_call("sendmsg", 1, 1, EAGAIN); /* the notice to the agent */
    desk_runner_close(&d, &d.one);
    assert_true(testbed_stop());
    assert_non_null(strstr(testbed_said(), "the peer does not read its socket"));
    testbed_listen();
    struct ctl_message ask;
    ctl_message_init(&ask, CTL_STATUS_REQUEST);
    testbed_fail_call("sendmsg", 1, 1, EAGAIN);
    desk_send(&d, d.agent, &ask);
    testbed_stop();
    snprintf(want, sizeof want, "debug status to process %d: the peer does not read its socket\n", pid);
    expect_said(want);
    int observer = desk_join(&d, CTL_ROLE_OBSERVER);
    desk_robot_close(&d, &d.robot);
    testbed_listen();
    testbed_fail_call("sendmsg", 2, 1, EAGAIN); /* after the welcome: the frames to the observer */
    desk_robot_open(&d, &d.robot);
    testbed_stop();
    snprintf(want, sizeof want,
             "info robot program %d is connected\nwarn process %d: the peer does not read its socket\n", pid,
             pid);
    expect_said(want);
    desk_leave(&d, &observer);
    desk_part(&d);
    desk_close(&d);
}

/* The kick that says: look at your page. Without it a runner finds out by itself. */
static void a_kick_that_is_not_heard(void **state)
{
    union ctl_packet packet;
    desk_open(&d, NULL);
    desk_runner_open(&d, &d.one, 1);
    desk_robot_open(&d, &d.robot);
    while (desk_hear(d.one.fd, &packet, NULL))
        ;
    int heard = 0;
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 1, 0, 0), 0);
    while (desk_hear(d.one.fd, &packet, NULL))
        heard += packet.message.kind == CTL_ACTIVATE;
    assert_int_equal(heard, 1);
    assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0); /* idle needs none */
    assert_false(desk_hear(d.one.fd, &packet, NULL));
    testbed_listen();
    struct ctl_message order;
    ctl_message_init(&order, CTL_ACTIVATE);
    order.generation = 1;
    bool said = false;
    for (unsigned nth = 1; nth <= 4 && !said; nth++) {
        assert_int_equal(desk_order(&d, CTL_ACTIVATE, 0, 0, 0), 0);
        testbed_listen();
        testbed_fail_call("sendmsg", nth, 1, EAGAIN);
        (void)desk_ask(&d, d.agent, &order, NULL);
        testbed_stop();
        said = strstr(testbed_said(), "warn runner of generation 1: the peer does not read its socket\n") !=
               NULL;
    }
    assert_true(said);
    assert_int_equal(desk_page(&d.one).mode, RING_MODE_ACTIVE);
    desk_runner_close(&d, &d.one);
    desk_robot_close(&d, &d.robot);
    desk_close(&d);
}

/* News leave room for replies: an observer who does not read gets no more than this much of them. */
static void news_leave_room(void **state)
{
    union ctl_packet packet;
    desk_open(&d, NULL);
    int observer = desk_join(&d, CTL_ROLE_OBSERVER), operator= desk_join(&d, CTL_ROLE_OPERATOR), few = 0,
        many = 0;
    testbed_fail_call("ioctl", 1, 1, ENOTTY); /* who cannot be asked how much he left unread hears nothing */
    assert_int_equal(desk_command(&d, operator, CTL_VERB_HOLD, 0, 0), 0);
    assert_true(testbed_stop());
    while (desk_hear(d.agent, &packet, NULL))
        few++;
    while (desk_hear(observer, &packet, NULL))
        many++;
    assert_int_equal(few, 1);
    assert_int_equal(many, 2);
    int unread = 0, most = 0, last = 0;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(desk_command(&d, operator, CTL_VERB_HOLD, 0, 0), 0);
        for (int p = 0; p < GUARD_MAX_PEERS; p++)
            if (d.guard->peers[p].used && d.guard->peers[p].role == CTL_ROLE_OBSERVER)
                assert_int_equal(ioctl(d.guard->peers[p].fd, SIOCOUTQ, &unread), 0);
        last = unread > most ? unread - most : last;
        most = unread > most ? unread : most;
        while (desk_hear(d.agent, &packet, NULL))
            ;
    }
    assert_in_range(most, 48 << 10, (48 << 10) + last - 1); /* exactly the first that passes it */
    desk_leave(&d, &operator);
    desk_leave(&d, &observer);
    desk_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_in_its_log),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(who_does_not_read_is_named),
        cmocka_unit_test(a_kick_that_is_not_heard),
        cmocka_unit_test(news_leave_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
